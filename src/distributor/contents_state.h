/* The state directory of a contents server on a machine of its own: one key, an address, whom it holds bodies for, and the bodies. No operations
 * database and no secret of a distributor is there.
 *
 *   STATE/contents.key   seed of its TLS key, 32 bytes, 0600; its ID is the hash of the public key
 *   STATE/contents.conf  lines: "listen HOST:PORT", "address HOST:PORT", "follow hearth://HOST:PORT#DISTRIBUTOR-ID"
 *   STATE/bodies/        <content-id>.body, as everywhere; .part and .map while one is coming
 *
 * Blocks; not for a loop thread while it serves. */
#ifndef DISTRIBUTOR_CONTENTS_STATE_H
#define DISTRIBUTOR_CONTENTS_STATE_H

#include "base/secret.h"
#include "crypto/id.h"
#include "protocol/place.h"

#define CONTENTS_PRINCIPALS_MAX 64

struct contents_state {
    char dir[1024];
    struct key32 seed; /* wipe with contents_state_deinit */
    struct id self;
    char listen[PLACE_ADDRESS_BYTES], address[PLACE_ADDRESS_BYTES]; /* address "": as listen */
    struct place principals[CONTENTS_PRINCIPALS_MAX]; /* kind PLACE_SERVER: address and ID of a distributor */
    size_t principal_count;
};
/* A fresh one. -EEXIST: there is a key already. 0 or -errno. */
int contents_state_create(const char *dir, const char *listen, const char *address) MUST_USE;
/* -ENOENT: never created; -EUCLEAN: damaged, or a key that others may read (logged). */
int contents_state_load(struct contents_state *s, const char *dir) MUST_USE;
void contents_state_deinit(struct contents_state *s);
/* Writes what load reads, but the key. */
int contents_state_save(const struct contents_state *s) MUST_USE;

#endif
