/* Commands about payments asked of customers. One thread. */
#include <inttypes.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/admin_money.h"
#include "distributor/payments.h"

enum { USER, STATE, AMOUNT, ALL, TEXT, OPTIONS };

static const char *const states[] = { [PAYMENT_PREPARED] = "prepared",
                                      [PAYMENT_HANDED] = "handed",
                                      [PAYMENT_PAID] = "paid",
                                      [PAYMENT_DECLINED] = "declined" };

static void put_payment(struct out_list *l, const struct payment *p)
{
    char key[HEX_TEXT_BYTES(PAYMENTS_KEY_BYTES)];
    bool known = p->state < ARRAY_COUNT(states) && states[p->state];
    hex_encode(SLICE_ARRAY(p->key), key);
    const struct out_field fields[] = {
        OUT_N("payment", p->number),    OUT_T("user", p->user),
        OUT_M("amount", p->amount),     OUT_T("state", known ? states[p->state] : "other"),
        OUT_N("attempts", p->attempts), OUT_MS("prepared", p->prepared_ms),
        OUT_MS("ended", p->ended_ms),   OUT_T("detail", p->detail),
        OUT_T("payer", p->payer),       OUT_T("key", key)
    };
    out_list_row(l, fields, ARRAY_COUNT(fields));
}

static int payment_list(struct admin *a, const struct admin_option *options)
{
    uint32_t state = 0;
    for (uint32_t i = PAYMENT_PREPARED; options[STATE].given && i < ARRAY_COUNT(states); i++)
        if (strcmp(options[STATE].text, states[i]) == 0)
            state = i;
    if (options[STATE].given && state == 0)
        return admin_usage(a, "--state prepared|handed|paid|declined");
    struct out_list l;
    struct payment p = { 0 };
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "payments");
    while ((r = payments_next(a->o, p.number, options[USER].text, state, &p)) == 0)
        put_payment(&l, &p);
    if (r == OPERATIONS_ABSENT)
        return admin_list_end(a, &l, options[USER].text);
    out_list_drop(&l);
    return admin_error(a, r, "list the payments");
}

/* One that is open already is shown, not doubled. */
static int payment_collect(struct admin *a, const char *user, const struct admin_option *options)
{
    struct payment p;
    struct out_list l;
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = admin_need_user(a, user);
    if (r != 0)
        return r;
    r = payments_prepare(a->o, user, options[AMOUNT].number, a->now_ms, &p);
    if (r == REASON_NOT_FOUND)
        return admin_fail(a, REASON_NOT_FOUND, "Nothing is owed by %s; see: hearth-distributor ledger user %s", user,
                          user);
    if (r == REASON_TOO_LARGE)
        return admin_fail(a, REASON_TOO_LARGE, "%s owes less than that.", user);
    r = r == 0 || r == REASON_ALREADY ? admin_commit(a) : admin_error(a, r, "prepare the payment");
    if (r != 0)
        return r;
    out_list_begin(&l, a, "payments");
    put_payment(&l, &p);
    out_list_end(&l);
    return ADMIN_DONE;
}

static int payment_collect_all(struct admin *a)
{
    struct account account = { .user = "" };
    struct out_list l;
    int r = admin_begin(a), found;
    unsigned count = 0;
    if (r != 0)
        return r;
    out_list_begin(&l, a, "payments");
    while ((found = accounts_next(a->o, account.user, &account)) == 0) {
        struct payment p;
        r = payments_prepare(a->o, account.user, 0, a->now_ms, &p);
        if (r < 0)
            break;
        if (r != 0)
            continue;
        put_payment(&l, &p);
        count++;
    }
    r = found == OPERATIONS_ABSENT ? admin_commit(a) : admin_error(a, found != 0 ? found : r, "prepare the payments");
    out_list_end(&l);
    if (r == 0 && count == 0 && !a->json && !a->csv)
        puts("Nobody owes anything that is not being collected by now.");
    return r;
}

static const char busy[] =
    "Payment %" PRIu64 " may be with the command now, on another machine: until payment-timeout is over. Try again.";

static int payment_retry(struct admin *a, uint64_t number)
{
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = payments_retry(a->o, number, a->now_ms);
    if (r == REASON_NOT_FOUND)
        return admin_absent_number(a, "payment", number, "payment list");
    if (r == REASON_ALREADY)
        return admin_fail(a, REASON_ALREADY, "Payment %" PRIu64 " has ended; what is still owed: payment collect NAME",
                          number);
    if (r == REASON_IN_USE)
        return admin_fail(a, r, busy, number);
    return r == 0 ? admin_commit(a) : admin_error(a, r, "hand the payment over again");
}

/* What the operator learnt by other ways, when the command never could say. */
static int payment_mark(struct admin *a, uint64_t number, const char *word, const char *text)
{
    struct payment p;
    bool paid = strcmp(word, "paid") == 0;
    if (!paid && strcmp(word, "declined") != 0)
        return admin_usage(a, "payment mark NUMBER paid|declined");
    int lock CLEANUP(closep) = -1;
    int r = payments_lock(a->state_dir, &lock); /* what a command is about to say must not be contradicted */
    if (r == -EWOULDBLOCK)
        return admin_fail(a, REASON_IN_USE, "A payment is with the command now. Try again.");
    r = r == 0 || r == -ENOENT ? admin_begin(a) : admin_error(a, r, "lock the payments");
    if (r != 0)
        return r;
    r = payments_get(a->o, number, &p);
    if (r == OPERATIONS_ABSENT)
        return admin_absent_number(a, "payment", number, "payment list");
    if (r == 0)
        r = payments_end(a->o, p.key, PAYMENTS_ANY_ATTEMPT, paid ? PAYMENT_SAYS_PAID : PAYMENT_SAYS_DECLINED, text,
                         a->now_ms);
    if (r == REASON_IN_USE)
        return admin_fail(a, r, busy, number);
    if (r == REASON_NOT_PERMITTED)
        return admin_fail(a, REASON_NOT_PERMITTED, "Payment %" PRIu64 " has ended otherwise.", number);
    return r == 0 ? admin_commit(a) : admin_error(a, r, "mark the payment");
}

static int payment_payer(struct admin *a, const char *user, const char *payer)
{
    char now[PAYMENTS_PAYER_BYTES];
    if (payer && strlen(payer) >= sizeof(now))
        return admin_usage(a, "a reference has at most %zu characters", sizeof(now) - 1);
    int r = payer ? admin_begin(a) : admin_open(a);
    if (r == 0)
        r = admin_need_user(a, user);
    if (r != 0)
        return r;
    r = payer ? payments_set_payer(a->o, user, payer) : 0;
    if (r == 0)
        r = payments_payer(a->o, user, now);
    if (r != 0)
        return admin_error(a, r, "set the payer");
    r = payer ? admin_commit(a) : 0;
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_T("user", user), OUT_T("payer", now) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_payment(struct admin *a, int argc, char **argv)
{
    struct admin_option options[OPTIONS] = { [USER] = { .name = "user" },
                                             [STATE] = { .name = "state" },
                                             [AMOUNT] = { .name = "amount", .kind = ADMIN_MONEY },
                                             [ALL] = { .name = "all", .kind = ADMIN_FLAG },
                                             [TEXT] = { .name = "text", .text = "marked by the operator" } };
    uint64_t number = 0;
    int r = admin_options(a, options, OPTIONS, &argc, argv);
    if (r != 0)
        return r;
    const char *verb = argc > 0 ? argv[0] : "";
    if (argc == 1 && strcmp(verb, "list") == 0)
        return payment_list(a, options);
    if (argc == 1 && strcmp(verb, "collect") == 0 && options[ALL].given)
        return payment_collect_all(a);
    if (argc == 2 && strcmp(verb, "collect") == 0)
        return payment_collect(a, argv[1], options);
    if (argc == 2 && strcmp(verb, "retry") == 0 && admin_parse_number(argv[1], &number) == 0)
        return payment_retry(a, number);
    if (argc == 3 && strcmp(verb, "mark") == 0 && admin_parse_number(argv[1], &number) == 0)
        return payment_mark(a, number, argv[2], options[TEXT].text);
    if ((argc == 2 || argc == 3) && strcmp(verb, "payer") == 0)
        return payment_payer(a, argv[1], argc == 3 ? argv[2] : NULL);
    return admin_usage(
        a, "payment list, payment collect NAME|--all, payment retry NUMBER, payment mark NUMBER paid|declined, or"
           " payment payer NAME [REFERENCE]");
}
