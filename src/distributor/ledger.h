/* The double-entry ledger: postings, each of lines that sum to zero, each with a reference that is never used twice. The schema
 * enforces it (billing_schema.c). Amounts in minor units of the one currency. An account's balance is what is its owner's:
 * above zero we owe it, below zero it is owed to us.
 *
 *   user:NAME        a customer            holder:NAME   a rights holder
 *   partner:ID       another distributor   revenue       ours
 *   payments         the world outside: what was paid in is below zero, what was paid out above */
#ifndef DISTRIBUTOR_LEDGER_H
#define DISTRIBUTOR_LEDGER_H

#include "distributor/operations.h"
#include "protocol/reason.h"

#define LEDGER_ACCOUNT_BYTES 80
#define LEDGER_REFERENCE_BYTES 192
#define LEDGER_TEXT_BYTES 256
#define LEDGER_LINES_MAX 16
#define LEDGER_REVENUE "revenue"
#define LEDGER_PAYMENTS "payments"

/* Also in bills and settlements: never renumber. The first four are the tariffs. */
enum posting_kind {
    POSTING_LICENSE = 1,
    POSTING_COPY = 2,
    POSTING_RENEWAL = 3,
    POSTING_OWNERSHIP = 4,
    POSTING_PAYMENT = 5, /* from a customer, holder or partner, or to one */
    POSTING_REFUND = 6,
    POSTING_SETTLEMENT = 7, /* what a partner's statement says that we owe each other */
};
const char *posting_kind_name(uint32_t kind);                     /* "license", ... */
int posting_kind_find(const char *name, uint32_t *kind) MUST_USE; /* 0 or -EINVAL */

void ledger_account_user(const char *user, char out[LEDGER_ACCOUNT_BYTES]);
void ledger_account_holder(const char *holder, char out[LEDGER_ACCOUNT_BYTES]);
void ledger_account_partner(const struct id *partner, char out[LEDGER_ACCOUNT_BYTES]);

/* What was sold: a license of this edition, or a copy certificate. */
struct ledger_subject {
    bool has_license, has_serial;
    uint8_t license_id[16], serial[16];
    struct id client;
    uint64_t edition;
};

struct posting {
    enum posting_kind kind;
    char reference[LEDGER_REFERENCE_BYTES];
    char text[LEDGER_TEXT_BYTES];
    int64_t time_ms;
    uint32_t product; /* 0: none */
    struct ledger_subject subject;
    uint64_t refunds; /* the posting that is given back; 0: none */
    bool revoked;     /* a refund that took the license's future */
    bool drawn;       /* its reference holds what was drawn for it alone: nobody looks whether it is there */
    struct {
        char account[LEDGER_ACCOUNT_BYTES];
        int64_t amount;
    } lines[LEDGER_LINES_MAX];
    size_t line_count;
    uint64_t number, entry; /* of the posting, of its first line */
};
/* Adds to the line of this account; nothing for 0. 0, -EOVERFLOW, -ENOSPC (too many lines). */
int posting_line(struct posting *p, const char *account, int64_t amount) MUST_USE;
/* Makes the reference, "WHAT:REFERENCE", or "WHAT#NUMBER" with a number never used before when reference is NULL. 0; REASON_MALFORMED: an
 * empty or long one; -errno. Writes. */
int ledger_refer(struct operations *o, struct posting *p, const char *what, const char *reference) MUST_USE;
/* Was this reference posted? Fills number and entry. 0, OPERATIONS_ABSENT. */
int ledger_find(struct operations *o, struct posting *p) MUST_USE;
/* Posts it; fills number and entry. A posting without lines is none: 0, number 0. REASON_ALREADY: the reference was posted before (number
 * and entry are of then; nothing changed), or what it refunds was refunded before (number 0). Writes. */
int ledger_post(struct operations *o, struct posting *p) MUST_USE;
/* Paid out of an account, as the posting p with its reference (ledger_refer). *amount: 0 for all that is there; then what was paid, 0 unless
 * 0 is returned. 0; REASON_ALREADY: the reference was posted before; REASON_TOO_LARGE: it has less, or nothing. Writes. */
int ledger_pay_out(struct operations *o, struct posting *p, const char *account, int64_t *amount) MUST_USE;
/* A posting with its lines. 0, OPERATIONS_ABSENT, -errno. */
int ledger_get(struct operations *o, uint64_t number, struct posting *out) MUST_USE;
int ledger_balance(struct operations *o, const char *account, int64_t *balance) MUST_USE;

/* One line, with what its posting says. */
struct ledger_line {
    uint64_t number, posting;
    char account[LEDGER_ACCOUNT_BYTES];
    int64_t amount, balance, time_ms;
    char text[LEDGER_TEXT_BYTES], reference[LEDGER_REFERENCE_BYTES];
    uint32_t kind, product;
    uint64_t refunds; /* the first line of the posting it gives back; 0: none */
    bool revoked;
    char
        device[OPERATIONS_NAME_BYTES]; /* what the device is called now that bought; "": none, or it is known no more */
};
int ledger_line_get(struct operations *o, uint64_t number, struct ledger_line *out) MUST_USE; /* 0, OPERATIONS_ABSENT */

/* The newest lines of an account before this number (0: from the newest), at most *count; *count is then how many. 0 or -errno. */
int ledger_before(struct operations *o, const char *account, uint64_t before, struct ledger_line *lines, size_t *count)
    MUST_USE;

/* Lines of an account (NULL: all), of a time and kind (0: all), from a number on. */
struct ledger_filter {
    const char *account;
    int64_t from_ms, until_ms; /* until: not included */
    uint32_t kind;
};
/* Calls with each line, oldest first. 0 or -errno. */
int ledger_each(struct operations *o, const struct ledger_filter *f,
                void (*on_line)(void *ctx, const struct ledger_line *l), void *ctx) MUST_USE;
#define LEDGER_KINDS 8
/* Sums by kind, of one account. */
int ledger_sums(struct operations *o, const struct ledger_filter *f, int64_t sums[LEDGER_KINDS]) MUST_USE;
/* The balance an account had at a time. */
int ledger_opening(struct operations *o, const char *account, int64_t at_ms, int64_t *balance) MUST_USE;

struct ledger_audit {
    uint64_t entries;
    int64_t sum, revenue, payments, users, holders, partners;
    uint64_t uneven_posting; /* 0: all sum to zero */
    uint64_t drifted_entry;  /* 0: every balance is the sum of what came before */
    uint64_t open_entry;     /* 0: every line has its posting */
};
int ledger_check(struct operations *o, struct ledger_audit *out) MUST_USE;

#endif
