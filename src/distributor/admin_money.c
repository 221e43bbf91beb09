/* Commands about money: ledger. One thread. */
#include <inttypes.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/admin_money.h"
#include "distributor/billing.h"

enum { FROM, TO, ACCOUNT, KIND, CSV, TEXT, REFERENCE, ALL, OPTIONS };

/* --- Lists ----------------------------------------------------------------------------------------------------------- */

static void put_line(void *ctx, const struct ledger_line *l)
{
    struct out_list *list = ctx;
    const struct out_field fields[] = { OUT_N("number", l->number),       OUT_N("posting", l->posting),
                                        OUT_MS("time", l->time_ms),       OUT_T("kind", posting_kind_name(l->kind)),
                                        OUT_T("account", l->account),     OUT_M("amount", l->amount),
                                        OUT_M("balance", l->balance),     OUT_T("text", l->text),
                                        OUT_T("reference", l->reference), OUT_N("product", l->product),
                                        OUT_N("refunds", l->refunds),     OUT_F("license-revoked", l->revoked) };
    out_list_row(list, fields, ARRAY_COUNT(fields));
}

/* --from is the first moment, --to the first one after. */
static int filter_of(struct admin *a, const struct admin_option *options, struct ledger_filter *f)
{
    *f = (struct ledger_filter){ .until_ms = INT64_MAX };
    if (options[FROM].given)
        f->from_ms = options[FROM].number;
    if (options[TO].given)
        f->until_ms = options[TO].number;
    if (options[KIND].given && posting_kind_find(options[KIND].text, &f->kind) != 0)
        return admin_usage(a, "--kind license|copy|renewal|ownership|payment|refund|settlement");
    return 0;
}

/* word NULL: everybody. */
static int ledger_list(struct admin *a, const char *word, const struct admin_option *options)
{
    struct ledger_filter f;
    char account[LEDGER_ACCOUNT_BYTES];
    struct out_list l;
    int r = filter_of(a, options, &f);
    if (r == 0)
        r = admin_open(a);
    if (r == 0 && word)
        r = admin_find_account(a, word, account);
    if (r != 0)
        return r;
    f.account = word ? account : NULL;
    a->csv = options[CSV].given;
    out_list_begin(&l, a, "entries");
    r = ledger_each(a->o, &f, put_line, &l);
    out_list_end(&l);
    return r == 0 ? ADMIN_DONE : admin_error(a, r, "read the ledger");
}

/* --- Statement ------------------------------------------------------------------------------------------------------- */

static int ledger_statement(struct admin *a, const char *word, const struct admin_option *options)
{
    struct ledger_filter f;
    char account[LEDGER_ACCOUNT_BYTES];
    int64_t opening = 0, closing = 0, sums[LEDGER_KINDS];
    int r = filter_of(a, options, &f);
    if (r == 0)
        r = admin_open(a);
    if (r == 0)
        r = admin_find_account(a, word, account);
    if (r != 0)
        return r;
    f.account = account;
    struct transaction t CLEANUP(transaction_end) = { 0 }; /* lines and sums of the same moment */
    r = transaction_begin_read(&t, a->o->store);
    if (r == 0)
        r = ledger_opening(a->o, account, f.from_ms, &opening);
    if (r == 0)
        r = ledger_opening(a->o, account, f.until_ms, &closing);
    if (r == 0)
        r = ledger_sums(a->o, &f, sums);
    if (r != 0)
        return admin_error(a, r, "read the ledger");
    struct out_list l;
    const struct out_field fields[] = { OUT_T("account", account),
                                        OUT_T("currency", a->o->currency),
                                        OUT_MS("from", f.from_ms),
                                        OUT_MS("to", options[TO].given ? f.until_ms : a->now_ms),
                                        OUT_M("opening", opening),
                                        OUT_M("licenses", sums[POSTING_LICENSE]),
                                        OUT_M("copies", sums[POSTING_COPY]),
                                        OUT_M("renewals", sums[POSTING_RENEWAL]),
                                        OUT_M("ownerships", sums[POSTING_OWNERSHIP]),
                                        OUT_M("payments", sums[POSTING_PAYMENT]),
                                        OUT_M("refunds", sums[POSTING_REFUND]),
                                        OUT_M("settlements", sums[POSTING_SETTLEMENT]),
                                        OUT_M("closing", closing) };
    a->csv = options[CSV].given;
    out_list_begin(&l, a, "entries");
    out_list_head(&l, fields, ARRAY_COUNT(fields));
    r = ledger_each(a->o, &f, put_line, &l);
    out_list_end(&l);
    return r == 0 ? ADMIN_DONE : admin_error(a, r, "read the ledger");
}

/* --- check, pay, pay-out ------------------------------------------------------------------------------------------------------ */

static int ledger_judge(struct admin *a)
{
    struct ledger_audit audit;
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = ledger_check(a->o, &audit);
    if (r != 0)
        return admin_error(a, r, "check the ledger");
    if (audit.uneven_posting != 0 || audit.sum != 0)
        return admin_fail(a, REASON_INTERNAL, "Posting %" PRIu64 " does not sum to zero.", audit.uneven_posting);
    if (audit.drifted_entry != 0)
        return admin_fail(a, REASON_INTERNAL, "The balance of entry %" PRIu64 " is not the sum of its account.",
                          audit.drifted_entry);
    if (audit.open_entry != 0)
        return admin_fail(a, REASON_INTERNAL, "Entry %" PRIu64 " is of no posting.", audit.open_entry);
    const struct out_field fields[] = { OUT_N("entries", audit.entries),   OUT_M("sum", audit.sum),
                                        OUT_M("revenue", audit.revenue),   OUT_M("users", audit.users),
                                        OUT_M("holders", audit.holders),   OUT_M("partners", audit.partners),
                                        OUT_M("payments", audit.payments), OUT_F("balanced", true) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int ledger_pay(struct admin *a, const char *user, const char *amount_text, const struct admin_option *options)
{
    int64_t amount, balance;
    if (text_money(amount_text, &amount) != 0 || amount == 0)
        return admin_usage(a, "ledger pay NAME AMOUNT, as in: ledger pay ann 20.00 (what a customer gets back: ledger "
                              "pay-out NAME AMOUNT|--all)");
    int r = admin_begin(a);
    if (r != 0)
        return r;
    const char *text = options[TEXT].given ? options[TEXT].text : "Payment received";
    r = billing_pay(a->o, user, amount, options[REFERENCE].text, a->now_ms, text);
    if (r == REASON_NOT_FOUND)
        return admin_absent(a, "user", user, "user list");
    bool known = r == REASON_ALREADY; /* the same reference again: nothing is entered twice */
    if (r == 0 || known)
        r = billing_balance(a->o, user, &balance);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "enter the payment");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_T("user", user), OUT_M("paid", known ? 0 : amount),
                                        OUT_M("balance", balance), OUT_F("known-before", known) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

/* amount_text NULL: all that is left. */
static int pay_out(struct admin *a, const char *user, const char *amount_text, const struct admin_option *options)
{
    int64_t amount = 0, balance = 0;
    char left[BILLING_MONEY_BYTES];
    if (options[ALL].given == (amount_text != NULL) ||
        (amount_text != NULL && (text_money(amount_text, &amount) != 0 || amount == 0)))
        return admin_usage(a, "ledger pay-out NAME AMOUNT|--all, as in: ledger pay-out ann 17.13");
    int r = admin_begin(a);
    if (r != 0)
        return r;
    const char *text = options[TEXT].given ? options[TEXT].text : "Paid out";
    int paid = billing_pay_out(a->o, user, &amount, options[REFERENCE].text, a->now_ms, text);
    if (paid == REASON_NOT_FOUND)
        return admin_absent(a, "user", user, "user list");
    r = paid >= 0 ? billing_balance(a->o, user, &balance) : 0;
    if (r == 0 && paid == REASON_TOO_LARGE)
        return admin_fail(a, REASON_TOO_LARGE, "Nothing was paid out: the balance of %s is %s.", user,
                          billing_money(a->o, balance, left));
    if (r == 0)
        r = paid == 0 || paid == REASON_ALREADY ? admin_commit(a) : admin_error(a, paid, "enter the payout");
    else
        r = admin_error(a, r, "read the balance");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_T("user", user), OUT_M("paid-out", amount), OUT_M("balance", balance),
                                        OUT_F("known-before", paid == REASON_ALREADY) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_ledger(struct admin *a, int argc, char **argv)
{
    struct admin_option options[OPTIONS] = { [FROM] = { .name = "from", .kind = ADMIN_TIME },
                                             [TO] = { .name = "to", .kind = ADMIN_TIME },
                                             [ACCOUNT] = { .name = "account" },
                                             [KIND] = { .name = "kind" },
                                             [CSV] = { .name = "csv", .kind = ADMIN_FLAG },
                                             [TEXT] = { .name = "text" },
                                             [REFERENCE] = { .name = "reference" },
                                             [ALL] = { .name = "all", .kind = ADMIN_FLAG } };
    int r = admin_options(a, options, OPTIONS, &argc, argv);
    if (r != 0)
        return r;
    if (options[CSV].given && a->json)
        return admin_usage(a, "either --json or --csv");
    if (argc == 0 || (argc == 1 && strcmp(argv[0], "list") == 0))
        return ledger_list(a, options[ACCOUNT].text, options);
    if (argc == 1 && strcmp(argv[0], "check") == 0)
        return ledger_judge(a);
    if (argc == 2 && strcmp(argv[0], "user") == 0)
        return ledger_list(a, argv[1], options);
    if (argc == 2 && strcmp(argv[0], "statement") == 0)
        return ledger_statement(a, argv[1], options);
    if (argc == 3 && strcmp(argv[0], "pay") == 0)
        return ledger_pay(a, argv[1], argv[2], options);
    if ((argc == 2 || argc == 3) && strcmp(argv[0], "pay-out") == 0)
        return pay_out(a, argv[1], argc == 3 ? argv[2] : NULL, options);
    return admin_usage(a,
                       "ledger [list], ledger check, ledger user NAME, ledger statement NAME, ledger pay NAME AMOUNT, "
                       "or ledger pay-out NAME AMOUNT|--all");
}
