/* The billing server's part: tariffs, credit, payments received, bills. On the ledger (ledger.h). Refunds: refunds.h; what
 * rights holders get: holders.h. */
#ifndef DISTRIBUTOR_BILLING_H
#define DISTRIBUTOR_BILLING_H

#include "distributor/ledger.h"
#include "distributor/requests.h"

/* What the user has (positive) or owes (negative); 0 without any entry. */
int billing_balance(struct operations *o, const char *user, int64_t *balance) MUST_USE;
/* May this account be charged so much now? Asked before anything is issued. Free things are not refused.
 * 0; REASON_CREDIT_REFUSED (out, may be NULL, then says why): beyond the credit limit, a payment was declined and is still owed, or owed
 * for longer than the setting pay-within-days allows;
 * REASON_SPENDING_LIMIT: the household's own limit (spending.h); -errno. Source: seed S76-S78. */
int billing_judge_credit(struct operations *o, const char *user, int64_t price, int64_t now_ms, struct reply *out)
    MUST_USE;

/* Something sold: charged to the user, shared among the rights holders of the product, the rest is ours; one posting, in the
 * transaction of the caller. Its reference comes from what was sold: the edition (license sequence) for license, renewal and ownership, the
 * serial for a copy certificate; the same again is not charged again. */
struct sale {
    enum posting_kind tariff; /* POSTING_LICENSE, POSTING_COPY, POSTING_RENEWAL, POSTING_OWNERSHIP */
    const char *user;         /* pays */
    const struct id *partner; /* or, when not NULL, this one's account does, for its customer (settlements.h) */
    uint32_t product;
    int64_t price; /* >= 0; 0: nothing is posted */
    struct ledger_subject subject;
    const char *text; /* for the bill */
    int64_t now_ms;
};
/* No credit check. *entry (may be NULL): the number it has on the bill, to refund it by; 0 when there was nothing to charge. Writes.
 * Source: seed S85. */
int billing_sell(struct operations *o, const struct sale *s, uint64_t *entry) MUST_USE;
/* The subject of a sale of this license edition. */
struct ledger_subject billing_license_subject(const uint8_t license_id[16], const struct id *client, uint64_t edition);

/* A payment received from the household. reference: the operator's, never entered twice; NULL: none. 0; REASON_NOT_FOUND: no such
 * user; REASON_ALREADY. Writes. */
int billing_pay(struct operations *o, const char *user, int64_t amount, const char *reference, int64_t now_ms,
                const char *text) MUST_USE;
/* What a customer has left, paid out. *amount: 0 for all of it; then what was paid, 0 unless 0 is returned. reference: as billing_pay; the two
 * do not meet. 0; REASON_NOT_FOUND; REASON_ALREADY; REASON_TOO_LARGE: less is left, or nothing. Writes. */
int billing_pay_out(struct operations *o, const char *user, int64_t *amount, const char *reference, int64_t now_ms,
                    const char *text) MUST_USE;

/* Whose account pays for copy certificates of a product: the destination's, or else the source's. The product's own rule, else the
 * setting copy-charged. */
int billing_copy_payer(struct operations *o, uint32_t product, bool *destination) MUST_USE;
/* "source" or "destination"; NULL: as the setting says. Writes. */
int billing_set_copy_payer(struct operations *o, uint32_t product, const char *word) MUST_USE;

#define BILLING_MONEY_BYTES 40
/* "4.99 EUR" */
char *billing_money(struct operations *o, int64_t amount, char out[BILLING_MONEY_BYTES]);

#endif
