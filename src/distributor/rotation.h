/* One key taking the other's place: keys on disk, keyset in the database, and what the keyset before has signed.
 *
 *   1  keys_prepare: the next key is on disk (keys.h)
 *   2  keyset_issue or keyset_install: the keyset lists it, and the one before for what that one has signed; a withdrawn one not at all
 *   3  rotation_settle: it takes the place of the one before
 *   4  a running server sees the keyset, tells everybody who is connected, and goes over to the new keys (renew.h)
 *   5  rotation_sign_again: what devices and partners hold of a withdrawn license key is signed by the new one
 *
 * Whoever is killed in between goes on at the next step with the next start or command. Source: design section 2. */
#ifndef DISTRIBUTOR_ROTATION_H
#define DISTRIBUTOR_ROTATION_H

#include "distributor/operations.h"

/* *changed: keys on disk are others than o's. */
int rotation_settle(struct operations *o, bool *changed) MUST_USE;
/* keys_load, after what was interrupted is settled. As keys_load. */
int rotation_load(struct keys **out, const char *state_dir) MUST_USE;
/* Key block and device certificates, when our own keyset does not list who signed the newest key block. Writes. */
int rotation_sign_again(struct operations *o, int64_t now_ms) MUST_USE;
/* Every roster is issued anew when it is next asked for: their key was withdrawn. Writes. */
int rotation_expire_rosters(struct operations *o) MUST_USE;

#endif
