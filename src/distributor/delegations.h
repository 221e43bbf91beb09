/* Partners: distributors whose devices may receive copies of what we sold, and whose content our devices may receive.
 * A partner delegates to our copy key (one per partner), and grants us its newest key block. */
#ifndef DISTRIBUTOR_DELEGATIONS_H
#define DISTRIBUTOR_DELEGATIONS_H

#include "distributor/operations.h"
#include "protocol/documents.h"
#include "share.pb.h"

#define DELEGATIONS_LIFE_MS (30 * INT64_C(86400000))             /* of a delegation that we give */
#define DELEGATIONS_CERTIFICATE_LIFE_MS (30 * INT64_C(86400000)) /* of a certificate under it, at most */
#define DELEGATIONS_LATE_MS (7 * INT64_C(86400000)) /* that devices take one after its end (docs/USE-CONDITIONS.md) */

struct partner {
    int64_t number; /* in the table `distributor` */
    struct id id;
    char name[OPERATIONS_NAME_BYTES];
    char address[OPERATIONS_ADDRESS_BYTES]; /* HOST:PORT */
    uint8_t copy_key[32];                   /* ours for this partner: what DELEGATION_GET asks it to delegate to */
    bool withdrawn;
};
/* 0, OPERATIONS_ABSENT (also: a distributor known from shares only), -errno. A withdrawn one is found, with withdrawn set. */
int delegations_partner_find(struct operations *o, const struct id *id, struct partner *out) MUST_USE;
/* The partner with the lowest number above `after` (0: the first); withdrawn ones too. 0, OPERATIONS_ABSENT, -errno. */
int delegations_partner_next(struct operations *o, int64_t after, struct partner *out) MUST_USE;
/* Operator's side. add: 0, REASON_ALREADY with the address and name replaced. Writes. */
int delegations_partner_add(struct operations *o, const struct id *id, const char *name, const char *address) MUST_USE;
/* No new delegations, and a floor in the next keyset that ends the old ones. *told: that keyset is issued; else it waits for the root key.
 * 0, OPERATIONS_ABSENT. Writes. */
int delegations_partner_withdraw(struct operations *o, const struct id *id, int64_t now_ms, bool *told) MUST_USE;

/* --- What we fetch from a partner, over a connection the server opens: keyset (keyset_store), DELEGATION_GET, GRANT_GET --- */

/* Which partner should be asked next in the background: delegation or grant absent, ending, or older than the key block
 * the partner has announced. 0 with *out, OPERATIONS_ABSENT when all is well. after: as delegations_partner_next. */
int delegations_due(struct operations *o, int64_t after, int64_t now_ms, struct partner *out) MUST_USE;
/* Judges and keeps the answers. grant/block: the envelopes of the Grant message; entries: all pages of its tail, put together
 * (doc_Ekb.entry_count * EKB_ENTRY_BYTES bytes; ask again with `first` until they are all there).
 * 0, DELEGATIONS_SEALED_ELSEWHERE (the grant's root is to another sealing key than ours of now: the partner has not heard of it), REASON_SIGNATURE_INVALID,
 * REASON_DELEGATION_INVALID, REASON_MALFORMED, REASON_KEYSET_INVALID (no keyset kept), -errno. Writes. */
#define DELEGATIONS_SEALED_ELSEWHERE 2103
int delegations_store(struct operations *o, const struct id *partner, struct slice delegation, int64_t now_ms) MUST_USE;
int delegations_grant_store(struct operations *o, const struct id *partner, struct slice grant, struct slice block,
                            struct slice entries, int64_t now_ms) MUST_USE;
/* For issuing: the delegation and a grant that are in force and as new as the partner's newest announced key block.
 * delegation: envelope appended. 0, OPERATIONS_ABSENT (ask the partner), -errno. */
struct delegations_usable {
    int64_t ends_ms, max_certificate_ms;
};
int delegations_usable(struct operations *o, const struct partner *p, int64_t now_ms, struct delegations_usable *out,
                       struct buf *delegation) MUST_USE;
/* Our copy key for this partner, with its secret: wipe it. */
int delegations_copy_pair(struct operations *o, const struct partner *p, struct sign_pair *out) MUST_USE;

/* What we give a partner: a delegation to its copy key, and our newest block's partner root sealed to the newest sealing key of its keyset; envelopes
 * appended. make writes. 0, REASON_KEYSET_INVALID (no sealing key), -errno. */
struct keyblocks_newest;
int delegations_make(struct operations *o, const struct partner *p, const uint8_t copy_key[32], int64_t now_ms,
                     struct buf *envelope) MUST_USE;
int delegations_grant_make(struct operations *o, const struct id *partner, const doc_Keyset *keyset,
                           const struct keyblocks_newest *newest, int64_t now_ms, struct buf *envelope) MUST_USE;
/* A copy that this partner's history says it issued for a client of ours: is it within what we gave? What is not is a finding. 0 or -errno. */
int delegations_watch(struct operations *o, int64_t partner, const share_CopyHistory *row) MUST_USE;

/* Entries in a block, to know how many pages to ask for; verifies under the partner's kept keyset. */
int delegations_block_units(struct operations *o, const struct id *partner, struct slice block, uint32_t *count)
    MUST_USE;
#define DELEGATIONS_PAGE_UNITS 16384 /* in one GRANT tail */

#endif
