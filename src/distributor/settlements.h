/* Settling with partners: what is owed for copies certified for each other's customers, and for charges to their accounts.
 *
 *   the issuer of the copies       fees and charges are posted to partner:ID as they happen; a statement gathers what no statement had before
 *   the partner                    checks each row against its own tables and terms, names what it does not agree with, posts the rest once
 * Both then have the same balance with the opposite sign; a payment between them ends it. Source: design section 6 (billing). */
#ifndef DISTRIBUTOR_SETTLEMENTS_H
#define DISTRIBUTOR_SETTLEMENTS_H

#include "distributor/copies.h"
#include "distributor/delegations.h"
#include "distributor/ledger.h"

/* What was agreed; both sides set it, each in its own words. */
struct terms {
    int64_t pays_fixed, gets_fixed;    /* for each copy: by us for their customers' copies; by them for ours */
    uint32_t pays_points, gets_points; /* and basis points of its price */
    int64_t charges, accepts;          /* the most one copy may be charged: by us to their customer; by them to ours */
    int64_t gets_since_ms;             /* read only: since when gets_fixed is due */
};
int settlements_terms(struct operations *o, int64_t partner, struct terms *out)
    MUST_USE; /* all 0 when nothing was agreed */
/* now_ms: from when on a fixed fee is due to us, when there was none before. Writes. */
int settlements_set_terms(struct operations *o, int64_t partner, const struct terms *t, int64_t now_ms) MUST_USE;

/* --- The issuer's side --- */

/* The fee for a copy certificate that was issued for a partner's customer, at this price. Writes. */
int settlements_fee(struct operations *o, const struct copy *c, const struct id *partner, int64_t price, int64_t now_ms)
    MUST_USE;
/* Taken back: the certificate was never used. 0 also when there was none. Writes. */
int settlements_take_back_fee(struct operations *o, const uint8_t serial[16], int64_t now_ms) MUST_USE;

struct settlement_made {
    uint64_t number;
    int64_t partner, from_ms, until_ms, issued_ms, net;
    uint32_t row_count;
};
/* A statement of everything that none before had. 0; OPERATIONS_ABSENT: nothing is new; -errno. Writes. */
int settlements_make(struct operations *o, const struct partner *p, int64_t now_ms, struct settlement_made *out)
    MUST_USE;
/* Periodic: for each partner with something that is older than the setting settlement-days (0: by hand only). 0 or -errno. Writes. */
int settlements_make_due(struct operations *o, int64_t now_ms) MUST_USE;
/* The next after this number. file: appended, with the receipts of what it charges that are here by now. 0, OPERATIONS_ABSENT, -errno. */
int settlements_next(struct operations *o, uint64_t after, struct settlement_made *out) MUST_USE;
int settlements_file(struct operations *o, uint64_t number, struct buf *file) MUST_USE;
/* Paid between us and the partner: to it (amount > 0) or by it (< 0). reference: as billing_pay. 0, REASON_ALREADY, -errno. Writes. */
int settlements_pay(struct operations *o, const struct partner *p, int64_t amount, const char *reference,
                    int64_t now_ms, const char *text) MUST_USE;

/* --- The partner's side (settlement_check.c) --- */

#define SETTLEMENTS_FILE_MAX (16 << 20)
enum settlement_row_kind { ROW_FEE = 1, ROW_CHARGE = 2, ROW_FEE_BACK = 3, ROW_CHARGE_BACK = 4 };
struct settlement_finding {
    const doc_SettlementRow *row;
    const char *trouble; /* NULL: agreed. Else what is wrong, in a word: see settlement_check.c */
    bool before;         /* agreed, and posted before */
};
struct settlement_check {
    doc_Settlement statement;
    struct partner issuer;
    uint32_t agreed, disagreed, before, missing;
    int64_t posted; /* sum of the amounts that were posted now */
};
/* Judges a statement and posts the rows that are agreed and new; copies that it leaves out are findings too (trouble "missing"). Who only
 * wants to know rolls back. on_finding: for each. 0; REASON_MALFORMED, REASON_SIGNATURE_INVALID, REASON_WRONG_DESTINATION,
 * REASON_UNKNOWN_DISTRIBUTOR (no partner, or its keyset is not known), REASON_NOT_PERMITTED (another currency), -errno. Writes. */
int settlement_check_file(struct operations *o, struct slice file, int64_t now_ms,
                          void (*on_finding)(void *ctx, const struct settlement_finding *f), void *ctx,
                          struct settlement_check *out) MUST_USE;

#endif
