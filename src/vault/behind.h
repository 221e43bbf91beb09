/* A vault that was put back from an older copy: how it is noticed, what it does not do meanwhile, how it catches up.
 *
 *   current --STANDING_CHECK: the distributor took a later statement--> behind --CATCH_UP, the last page--> current
 *
 * Whom it is behind is in the table standing, and counts while this device is registered there: no other distributor, and none that was left, can
 * keep it asleep. While behind anyone: no copy certificate is accepted, none is let out for a move, counted licenses do not play. What a catch-up
 * brings makes nothing better: serials become used, licenses given up. hearthd only carries; what it withholds it could have withheld by
 * staying offline, and a distributor takes no TRANSACT in a session in which the vault has not spoken.
 * Source: design section 6, restored backups. */
#ifndef VAULT_BEHIND_H
#define VAULT_BEHIND_H

#include "vault/requests.h"

struct vault;
int behind_init(struct vault *v) MUST_USE; /* 0, -ENOMEM */
void behind_deinit(struct vault *v);

/* 0; REASON_VAULT_BEHIND, with reply->detail naming the distributor; -errno. */
int behind_judge(struct vault *v, struct reply *reply) MUST_USE;
/* Can its right be spent, so that having it back would be worth something? All but those of which the holder may make copies without a limit and
 * whose plays nobody counts: a move takes from them what a copy would have left. */
bool behind_counts(const doc_License *l);

/* STANDING_CHECK: judges the standing, notes what it means, signs what the vault says to it. REASON_NOT_FOUND, REASON_KEYSET_INVALID: no keyset;
 * those of standing_judge; REASON_MALFORMED: an absurd generation. */
request_fn standing_check;
/* CATCH_UP: one page, in the order of standing.h, for the nonce of this run's last STANDING_CHECK, else REASON_OUT_OF_STEP: an older page
 * proves nothing. The last one ends being behind, and raises the generation above the one seen. Those of catch_up_judge. */
request_fn catch_up_take;

/* --- What was learned, for the tables it is about --- */

/* The serial of issuer is used up: issuer says so, or the distributor under whose keyset its certificate is judged. 0 or 1, -errno. */
int catch_up_has_serial(const struct vault *v, const struct id *issuer, const uint8_t serial[16],
                        const struct id *distributor) MUST_USE;
/* Editions up to *sequence are given up; 0: none. 0 or -errno. */
int catch_up_given_up(const struct vault *v, const void *issuer, const uint8_t license_id[16], uint64_t *sequence)
    MUST_USE;

#endif
