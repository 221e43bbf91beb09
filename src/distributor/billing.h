/* The billing server's part: a double-entry ledger, credit, bills. Amounts in minor units of the one currency.
 * Every movement is two rows that sum to zero: one of the household's account, one of ours. */
#ifndef DISTRIBUTOR_BILLING_H
#define DISTRIBUTOR_BILLING_H

#include "distributor/operations.h"
#include "protocol/reason.h"

/* What the user has (positive) or owes (negative); 0 without any entry. */
int billing_balance(struct operations *o, const char *user, int64_t *balance) MUST_USE;
/* May this account be charged so much? 0, REASON_CREDIT_REFUSED, -errno. Source: seed S76-S78. */
int billing_judge_credit(struct operations *o, const char *user, int64_t price) MUST_USE;
/* Charges (price > 0) or gives back (price < 0); nothing for 0. No credit check. text: for the bill. Writes. Source: seed S85. */
int billing_charge(struct operations *o, const char *user, int64_t price, int64_t now_ms, const char *text) MUST_USE;
/* The same of price >= 0; *entry is then the number to give it back by, 0 when there was nothing to charge. Writes. */
int billing_charge_entry(struct operations *o, const char *user, int64_t price, int64_t now_ms, const char *text,
                         uint64_t *entry) MUST_USE;
/* A payment received from the household. Writes. */
int billing_pay(struct operations *o, const char *user, int64_t amount, int64_t now_ms, const char *text) MUST_USE;
/* Gives back the charge with this number, once. 0, REASON_NOT_FOUND, REASON_ALREADY, REASON_NOT_PERMITTED (not a charge). Writes. */
int billing_refund(struct operations *o, uint64_t number, int64_t now_ms, const char *text) MUST_USE;

struct billing_audit {
    uint64_t entries;
    int64_t revenue;
    uint64_t uneven_movement; /* 0: all sum to zero */
    uint64_t drifted_entry;   /* 0: every balance is the sum of what came before */
};
int billing_check(struct operations *o, struct billing_audit *out) MUST_USE;

#define BILLING_MONEY_BYTES 40
/* "4.99 EUR" */
char *billing_money(struct operations *o, int64_t amount, char out[BILLING_MONEY_BYTES]);

#endif
