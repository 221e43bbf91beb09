/* Giving a license to a device: the document, the row, what is recorded and shared. Whether it may have it, and what it pays, is the caller's.
 * Source: seed S80, S82-S84; S104 (a later edition); design section 2 (another distributor's device: our copy key, under a delegation). */
#ifndef DISTRIBUTOR_GIVE_H
#define DISTRIBUTOR_GIVE_H

#include "distributor/delegations.h"
#include "distributor/licenses.h"

/* What it takes to sign for a device: ours, or a partner's. */
struct give_authority {
    bool is_partners;
    struct partner partner;
    struct delegations_usable usable;
    struct buf delegation; /* the envelope; empty for ours */
};
void give_authority_deinit(struct give_authority *a);
/* For devices of that distributor. 0; REASON_DELEGATION_INVALID (worded in out); REQUESTS_ASK_PARTNER (out->ask is set); -errno. */
int give_authority(struct operations *o, const struct caller *who, int64_t distributor, struct reply *out,
                   struct give_authority *a) MUST_USE;
/* Who signs then: the license key, or the copy key in *copy_pair (wipe it). *pair: borrowed of keys or copy_pair. */
int give_pair(struct operations *o, const struct give_authority *a, struct sign_pair *copy_pair,
              const struct sign_pair **pair) MUST_USE;
int give_signer(struct operations *o, const struct give_authority *a, struct sign_pair *copy_pair,
                struct signer *signer) MUST_USE;

/* l: all but client, distributor, user, state, sequence and time, which are d's and new; with has_lease its next lease begins.
 * The result gets the license, for a device of ours a header too, for a partner's the delegation. 0; those of give_authority; of
 * devices_certificate; -errno. Writes. */
int license_give(struct operations *o, const struct caller *who, const struct device *d, struct license *l,
                 msg_Result *result, struct reply *out) MUST_USE;
/* A license's document and header into a result; a kept document (restore.c). */
int license_result(struct slice document, struct slice header, struct slice delegation, msg_Result *result) MUST_USE;

#endif
