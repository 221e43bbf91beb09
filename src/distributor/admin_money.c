/* Commands about money: ledger, refund. One thread. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/billing.h"
#include "distributor/rows.h"

#define PAGE_ROWS 500

/* user NULL: everything. */
static int ledger_list(struct admin *a, const char *user)
{
    char wanted[OPERATIONS_NAME_BYTES + 8];
    snprintf(wanted, sizeof(wanted), "user:%s", user ? user : "");
    struct out_list l;
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "entries");
    int64_t last = 0;
    size_t got = PAGE_ROWS;
    while (r == 0 && got == PAGE_ROWS) {
        struct query q CLEANUP(query_end) = query(a->o->store, LEDGER_ALL);
        query_bind_i64(&q, 1, last);
        query_bind_i64(&q, 2, PAGE_ROWS);
        for (got = 0; rows_next(&q, &r); got++) {
            char account[OPERATIONS_NAME_BYTES + 8], text[256];
            last = query_i64(&q, 0);
            query_text(&q, 2, account, sizeof(account));
            query_text(&q, 5, text, sizeof(text));
            const struct out_field fields[] = {
                OUT_N("number", last),     OUT_N("movement", query_i64(&q, 1)), OUT_MS("time", query_i64(&q, 4)),
                OUT_T("account", account), OUT_M("amount", query_i64(&q, 3)),   OUT_T("text", text)
            };
            if (!user || strcmp(account, wanted) == 0)
                out_list_row(&l, fields, ARRAY_COUNT(fields));
        }
    }
    out_list_end(&l);
    return r == 0 ? ADMIN_DONE : admin_error(a, r, "read the ledger");
}

static int ledger_check(struct admin *a)
{
    struct billing_audit audit;
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = billing_check(a->o, &audit);
    if (r != 0)
        return admin_error(a, r, "check the ledger");
    if (audit.uneven_movement != 0)
        return admin_fail(a, REASON_INTERNAL, "Movement %" PRIu64 " does not sum to zero.", audit.uneven_movement);
    if (audit.drifted_entry != 0)
        return admin_fail(a, REASON_INTERNAL, "The balance of entry %" PRIu64 " is not the sum of its account.",
                          audit.drifted_entry);
    const struct out_field fields[] = { OUT_N("entries", audit.entries), OUT_M("revenue", audit.revenue),
                                        OUT_F("balanced", true) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int ledger_pay(struct admin *a, const char *user, const char *amount_text, const char *text)
{
    int64_t amount, balance;
    if (admin_parse_money(amount_text, &amount) != 0 || amount == 0)
        return admin_usage(a, "ledger pay USER AMOUNT, as in: ledger pay ann 20.00");
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = billing_pay(a->o, user, amount, a->now_ms, text);
    if (r == 0)
        r = billing_balance(a->o, user, &balance);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "enter the payment");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_T("user", user), OUT_M("paid", amount), OUT_M("balance", balance) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_ledger(struct admin *a, int argc, char **argv)
{
    struct admin_option options[] = { { .name = "text", .text = "Payment received" } };
    int r = admin_options(a, options, ARRAY_COUNT(options), &argc, argv);
    if (r != 0)
        return r;
    if (argc == 0)
        return ledger_list(a, NULL);
    if (argc == 1 && strcmp(argv[0], "check") == 0)
        return ledger_check(a);
    if (argc == 2 && strcmp(argv[0], "user") == 0)
        return ledger_list(a, argv[1]);
    if (argc == 3 && strcmp(argv[0], "pay") == 0)
        return ledger_pay(a, argv[1], argv[2], options[0].text);
    return admin_usage(a, "ledger, ledger check, ledger user NAME, or ledger pay NAME AMOUNT");
}

int admin_refund(struct admin *a, int argc, char **argv)
{
    struct admin_option options[] = { { .name = "text", .text = "Refund" } };
    int r = admin_options(a, options, ARRAY_COUNT(options), &argc, argv);
    if (r != 0)
        return r;
    char *end = NULL;
    unsigned long long number = argc == 1 ? strtoull(argv[0], &end, 10) : 0;
    if (number == 0 || *end != '\0' || number > INT64_MAX)
        return admin_usage(a, "refund ENTRY: the number that `ledger user NAME` shows");
    r = admin_begin(a);
    if (r != 0)
        return r;
    r = billing_refund(a->o, number, a->now_ms, options[0].text);
    if (r == REASON_NOT_PERMITTED)
        return admin_fail(a, REASON_NOT_PERMITTED, "Entry %llu is not a charge of a user.", number);
    return r == 0 ? admin_commit(a) : admin_error(a, r, "refund the entry");
}
