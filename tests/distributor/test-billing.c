/* The ledger: seed S76-S78, S85. */
#include "town.h"

#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "distributor/billing.h"
#include "distributor/holders.h"
#include "distributor/operations_schema.h"
#include "distributor/refunds.h"

static struct town town;
static struct gadget kitchen;
static struct reply reply;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 1000);
    gadget_init(&town, &kitchen, "kitchen");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    reply_init(&reply);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reply_free(&reply);
    gadget_deinit(&kitchen);
    town_deinit(&town);
    return 0;
}

static msg_Bills *bills(uint64_t before)
{
    static msg_Bills m;
    msg_BillsGet get = { .before = before };
    assert_int_equal(RUN(&town.a, &kitchen.who, BILLS_GET, msg_BillsGet, &get, &reply), 0);
    REPLY_AS(&reply, BILLS, msg_Bills, &m);
    return &m;
}

/* A sale of so much; n makes it another one. */
static uint64_t sell(enum posting_kind tariff, uint32_t product, int64_t price, uint64_t n, const char *text)
{
    uint64_t entry = 0;
    struct sale s = { .tariff = tariff,
                      .user = "alice",
                      .product = product,
                      .price = price,
                      .subject = { .has_license = true, .edition = n },
                      .text = text,
                      .now_ms = town.now_ms + (int64_t)n };
    assert_int_equal(billing_sell(town.a.o, &s, &entry), 0);
    return entry;
}

static int64_t balance_of(const char *account)
{
    int64_t balance;
    assert_int_equal(ledger_balance(town.a.o, account, &balance), 0);
    return balance;
}

static int refund(uint64_t entry, int64_t amount)
{
    return refunds_give(
        town.a.o, &(struct refund){ .entry = entry, .amount = amount, .text = "Sorry", .now_ms = town.now_ms }, NULL);
}

static void bills_come_in_pages_newest_first(void **state)
{
    (void)state;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    for (uint64_t i = 1; i <= 40; i++) {
        char text[32];
        snprintf(text, sizeof(text), "Number %d", (int)i);
        assert_int_not_equal(sell(POSTING_LICENSE, 0, (int64_t)i, i, text), 0);
    }
    assert_int_equal(sell(POSTING_COPY, 0, 0, 99, "Nothing"), 0);
    assert_int_equal(transaction_commit(&t), 0);
    msg_Bills *m = bills(0);
    assert_int_equal(m->lines_count, 32);
    assert_true(m->more);
    assert_string_equal(m->lines[0].text, "Number 40");
    assert_int_equal(m->lines[0].amount, -40);
    assert_int_equal(m->lines[0].balance, -820);
    assert_int_equal(m->lines[0].kind, POSTING_LICENSE);
    assert_int_equal(m->balance, -820);
    assert_int_equal(m->charged, 820);
    assert_int_equal(m->credit_limit, 1000);
    m = bills(m->lines[31].number);
    assert_int_equal(m->lines_count, 8);
    assert_false(m->more);
    assert_string_equal(m->lines[7].text, "Number 1");
    assert_string_equal(m->currency, "EUR");
}

static void what_was_sold_is_charged_once(void **state)
{
    (void)state;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    uint64_t entry = sell(POSTING_LICENSE, 0, 300, 7, "A thing");
    assert_int_equal(sell(POSTING_LICENSE, 0, 300, 7, "A thing"), entry);
    assert_int_not_equal(sell(POSTING_RENEWAL, 0, 300, 7, "Renewed"), entry); /* another tariff is another sale */
    assert_int_equal(billing_pay(town.a.o, "alice", 50, "bank-1", town.now_ms, "Paid"), 0);
    assert_int_equal(billing_pay(town.a.o, "alice", 50, "bank-1", town.now_ms, "Paid"), REASON_ALREADY);
    assert_int_equal(billing_pay(town.a.o, "alice", 50, NULL, town.now_ms, "Paid"), 0);
    assert_int_equal(billing_pay(town.a.o, "alice", 50, NULL, town.now_ms, "Paid"), 0);
    assert_int_equal(billing_pay(town.a.o, "alice", 50, "", town.now_ms, "Paid"), REASON_MALFORMED);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -600 + 150);
    shop_check(&town.a);
}

static void a_bill_can_always_be_read(void **state)
{
    (void)state;
    char text[241];
    for (size_t i = 0; i < 240; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3); /* euro signs */
    text[240] = '\0';
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    sell(POSTING_LICENSE, 0, 1, 1, text);
    sell(POSTING_LICENSE, 0, 1, 2, "two\nlines \x1b[31m");
    sell(POSTING_LICENSE, 0, 1, 3, "no \xff text");
    assert_int_equal(transaction_commit(&t), 0);
    msg_Bills *m = bills(0); /* decoded as a device does */
    assert_int_equal(m->lines_count, 3);
    assert_int_equal(strlen(m->lines[2].text), 189);
    assert_null(strchr(m->lines[1].text, '\n'));
}

static void payments_and_refunds_balance(void **state)
{
    (void)state;
    struct operations *o = town.a.o;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    const int64_t now = town.now_ms;
    assert_int_equal(transaction_begin(&t, o->store), 0);
    assert_int_equal(billing_judge_credit(o, "alice", 1000, now, NULL), 0);
    assert_int_equal(billing_judge_credit(o, "alice", 1001, now, NULL), REASON_CREDIT_REFUSED);
    assert_int_equal(billing_judge_credit(o, "alice", INT64_MAX, now, NULL), REASON_CREDIT_REFUSED);
    assert_int_equal(billing_judge_credit(o, "alice", -5, now, NULL), REASON_CREDIT_REFUSED);
    uint64_t entry = sell(POSTING_LICENSE, 0, 600, 1, "A thing");
    assert_int_equal(billing_judge_credit(o, "alice", 401, now, NULL), REASON_CREDIT_REFUSED);
    assert_int_equal(billing_pay(o, "alice", 100, NULL, now, "Paid"), 0);
    assert_int_equal(billing_pay(o, "nobody", 100, NULL, now, "Paid"), REASON_NOT_FOUND);
    assert_int_equal(billing_judge_credit(o, "alice", 500, now, NULL), 0);
    assert_int_equal(refund(entry, 601), REASON_TOO_LARGE);
    assert_int_equal(refund(entry, 0), 0);
    assert_int_equal(refund(entry, 0), REASON_ALREADY);
    assert_int_equal(refund(entry, 1), REASON_ALREADY);
    assert_int_equal(refund(entry + 1, 0), REASON_NOT_PERMITTED); /* our own side */
    assert_int_equal(refund(entry + 2, 0), REASON_NOT_PERMITTED); /* a payment */
    assert_int_equal(refund(entry + 4, 0), REASON_NOT_PERMITTED); /* a refund */
    assert_int_equal(refund(99, 0), REASON_NOT_FOUND);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), 100);
    msg_Bills *m = bills(0);
    assert_int_equal(m->lines[0].refunds, entry);
    assert_int_equal(m->lines[0].kind, POSTING_REFUND);
    assert_int_equal(m->refunded, 600);
    assert_int_equal(m->paid, 100);
    char money[BILLING_MONEY_BYTES];
    assert_string_equal(billing_money(town.a.o, -105, money), "-1.05 EUR");
    assert_string_equal(billing_money(town.a.o, INT64_MIN, money), "-92233720368547758.08 EUR");
}

static int pay_out(const char *user, int64_t amount, const char *reference, int64_t *paid)
{
    *paid = amount;
    return billing_pay_out(town.a.o, user, paid, reference, town.now_ms, "Paid out");
}

static void what_is_left_is_paid_out_once(void **state)
{
    (void)state;
    struct operations *o = town.a.o;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int64_t paid, payments;
    assert_int_equal(transaction_begin(&t, o->store), 0);
    sell(POSTING_LICENSE, 0, 100, 1, "A thing");
    assert_int_equal(pay_out("alice", 0, NULL, &paid), REASON_TOO_LARGE); /* who owes gets nothing */
    assert_int_equal(pay_out("alice", 1, NULL, &paid), REASON_TOO_LARGE);
    assert_int_equal(billing_pay(o, "alice", 1813, "bank-1", town.now_ms, "Paid"), 0);
    assert_int_equal(pay_out("nobody", 0, NULL, &paid), REASON_NOT_FOUND);
    assert_int_equal(pay_out("alice", -1, NULL, &paid), REASON_TOO_LARGE);
    assert_int_equal(pay_out("alice", 1714, NULL, &paid), REASON_TOO_LARGE);
    assert_int_equal(pay_out("alice", INT64_MAX, NULL, &paid), REASON_TOO_LARGE);
    assert_int_equal(pay_out("alice", 0, "", &paid), REASON_MALFORMED);
    assert_int_equal(pay_out("alice", 1000, "bank-1", &paid), 0); /* money that came has references of its own */
    assert_int_equal(paid, 1000);
    assert_int_equal(pay_out("alice", 0, "bank-1", &paid), REASON_ALREADY);
    assert_int_equal(paid, 0);
    assert_int_equal(pay_out("alice", 0, "bank-2", &paid), 0);
    assert_int_equal(paid, 713);
    assert_int_equal(pay_out("alice", 0, "bank-2", &paid), REASON_ALREADY); /* the same command again */
    assert_int_equal(pay_out("alice", 0, NULL, &paid), REASON_TOO_LARGE);
    assert_int_equal(ledger_balance(o, LEDGER_PAYMENTS, &payments), 0);
    assert_int_equal(payments, -100);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), 0);
    shop_check(&town.a);
    assert_int_equal(bills(0)->paid, 100);
}

static void who_owes_too_long_gets_no_more(void **state)
{
    (void)state;
    struct operations *o = town.a.o;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, o->store), 0);
    assert_int_equal(operations_setting_set(o, "pay-within-days", "30"), 0);
    assert_int_equal(billing_pay(o, "alice", 10, NULL, town.now_ms, "Paid"), 0);
    sell(POSTING_LICENSE, 0, 20, 1, "A thing");
    const int64_t after = town.now_ms + 1 + 30 * TOWN_DAY_MS;
    assert_int_equal(billing_judge_credit(o, "alice", 1, after, NULL), 0);
    assert_int_equal(billing_judge_credit(o, "alice", 1, after + 1, &reply), REASON_CREDIT_REFUSED);
    assert_string_equal(reply.detail, "What is owed was not paid within 30 days.");
    assert_int_equal(billing_judge_credit(o, "alice", 0, after + 1, NULL), 0); /* what is free is not refused */
    assert_int_equal(billing_pay(o, "alice", 10, NULL, after, "Paid"), 0);     /* reinstated */
    assert_int_equal(billing_judge_credit(o, "alice", 1, after + 1, NULL), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

/* --- Rights holders -------------------------------------------------------------------------------------------------- */

static uint32_t add_product(void)
{
    struct product p = { .name = "Purchase", .price = 1 };
    assert_int_equal(products_add(town.a.o, &p), 0);
    return p.number;
}

static void add_holder(const char *name, uint32_t product, uint32_t basis_points, int64_t fixed, uint32_t tariffs)
{
    struct holder h = { .created_ms = town.now_ms };
    struct holder_share s = { product, basis_points, fixed, tariffs };
    snprintf(h.name, sizeof(h.name), "%s", name);
    assert_int_equal(holders_add(town.a.o, &h), 0);
    assert_int_equal(holders_set_share(town.a.o, name, &s), 0);
}

static void holders_get_their_share_and_return_it(void **state)
{
    (void)state;
    struct operations *o = town.a.o;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, o->store), 0);
    uint32_t product = add_product();
    add_holder("anna", product, 3333, 0, HOLDERS_TARIFFS_ALL);
    add_holder("ben", product, 3333, 0, HOLDERS_TARIFFS_ALL);
    add_holder("carl", product, 0, 7, 1u << POSTING_LICENSE);
    uint64_t entry = sell(POSTING_LICENSE, product, 107, 1, "A thing");
    assert_int_equal(balance_of("holder:carl"),
                     7); /* fixed first; of 100 cents 66.66 are the others', rounded down: 66 */
    assert_int_equal(balance_of("holder:anna"), 33);
    assert_int_equal(balance_of("holder:ben"), 33);
    assert_int_equal(balance_of("revenue"), 34);
    sell(POSTING_COPY, product, 5, 2, "A copy"); /* 3.333 together: 3; the odd one is the first's */
    assert_int_equal(balance_of("holder:anna"), 35);
    assert_int_equal(balance_of("holder:ben"), 34);
    assert_int_equal(balance_of("holder:carl"), 7);
    assert_int_equal(refund(entry, 50), 0); /* 7, 33, 33, 34 of 107: 3.27, 15.42, 15.42, 15.89 */
    assert_int_equal(balance_of("holder:carl"), 4);
    assert_int_equal(balance_of("holder:anna") + balance_of("holder:ben"), 69 - 31);
    assert_int_equal(balance_of("revenue"), 36 - 16);
    assert_int_equal(holders_pay(o, "anna", 1000, NULL, town.now_ms, "Out"), REASON_CREDIT_REFUSED);
    assert_int_equal(holders_pay(o, "anna", 15, "march", town.now_ms, "Out"), 0);
    assert_int_equal(holders_pay(o, "anna", 15, "march", town.now_ms, "Out"), REASON_ALREADY);
    assert_int_equal(holders_pay(o, "nobody", 15, NULL, town.now_ms, "Out"), REASON_NOT_FOUND);
    struct holder_share too_much = { product, 3335, 0, HOLDERS_TARIFFS_ALL };
    assert_int_equal(holders_set_share(o, "carl", &too_much), REASON_NOT_PERMITTED);
    assert_int_equal(holders_clear_share(o, "carl", product), 0);
    assert_int_equal(holders_clear_share(o, "carl", product), OPERATIONS_ABSENT);
    assert_int_equal(transaction_commit(&t), 0);
    shop_check(&town.a);
}

/* A fixed sequence of numbers, well mixed. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void shares_are_exact_to_the_cent(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        size_t count = next(&seed) % HOLDERS_PER_PRODUCT + 1;
        struct share shares[HOLDERS_PER_PRODUCT] = { { 0 } };
        int64_t price = (int64_t)(next(&seed) % (round % 3 == 0 ? 20 : INT64_C(100000000000000))), kept, sum = 0;
        uint32_t left = SHARES_WHOLE;
        for (size_t i = 0; i < count; i++) {
            if (next(&seed) % 4 == 0) {
                shares[i].fixed = (int64_t)(next(&seed) % 50);
                continue;
            }
            shares[i].basis_points = (uint32_t)(next(&seed) % (left + 1));
            left -= shares[i].basis_points;
        }
        assert_int_equal(shares_of_price(price, shares, count, &kept), 0);
        assert_true(kept >= 0);
        int64_t base = price;
        for (size_t i = 0; i < count; i++)
            if (shares[i].basis_points == 0)
                base -= shares[i].amount;
        for (size_t i = 0; i < count; i++) {
            assert_true(shares[i].amount >= 0);
            sum += shares[i].amount;
            if (shares[i].basis_points == 0)
                continue;
            long double exact = (long double)base * shares[i].basis_points / SHARES_WHOLE;
            assert_true((long double)shares[i].amount > exact - 1.001L &&
                        (long double)shares[i].amount < exact + 1.001L);
        }
        assert_true(sum + kept == price);
        /* Any part of it, given back by everyone who has something of it: exact, and nobody gives more than they got. */
        int64_t weights[HOLDERS_PER_PRODUCT + 1], parts[HOLDERS_PER_PRODUCT + 1], part_sum = 0;
        if (price == 0)
            continue;
        int64_t part = (int64_t)(next(&seed) % (uint64_t)price) + 1;
        for (size_t i = 0; i < count; i++)
            weights[i] = shares[i].amount;
        weights[count] = kept;
        assert_int_equal(shares_divide(part, weights, count + 1, parts), 0);
        for (size_t i = 0; i <= count; i++) {
            assert_true(parts[i] >= 0 && parts[i] <= weights[i]);
            part_sum += parts[i];
        }
        assert_true(part_sum == part);
    }
    int64_t none[1] = { 0 }, out[1], kept;
    assert_int_equal(shares_divide(1, none, 1, out), -EINVAL);
    struct share two[2] = { { .basis_points = 6000 }, { .basis_points = 4001 } };
    assert_int_equal(shares_of_price(100, two, 2, &kept), -EINVAL);
}

/* --- The schema ------------------------------------------------------------------------------------------------------ */

/* What another program could try on the same database. Returns SQLite's answer to the last statement. */
static int by_hand(const char *sql)
{
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof(path), "%s/operations.db", town.a.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL), SQLITE_OK);
    int r = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    return r;
}

static void the_schema_keeps_the_ledger_even(void **state)
{
    (void)state;
    if (town_on_postgres())
        skip(); /* there it is the program that does (ledger_post) */
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    sell(POSTING_LICENSE, 0, 600, 1, "A thing");
    assert_int_equal(transaction_commit(&t), 0);
#define LINE(posting, account, amount, balance)                                                            \
    "INSERT INTO ledger (posting, account, amount, balance) VALUES (" #posting ", '" account "', " #amount \
    ", " #balance ");"
#define POSTING(number, reference)                                                                              \
    "INSERT INTO posting (number, reference, kind, time_ms, text) VALUES (" #number ", '" reference "', 1, 1, " \
    "'by hand');"
    static const char *const tricks[] = {
        LINE(900, "user:alice", -5, -605),                                                         /* no posting */
        "BEGIN;" LINE(900, "user:alice", -5, -605) "COMMIT;",                                      /* the same */
        POSTING(901, "x"),                                                                         /* no lines */
        "BEGIN;" LINE(902, "user:alice", -5, -605) POSTING(902, "x") "COMMIT;",                    /* uneven */
        "BEGIN;" LINE(903, "user:alice", -5, -605) LINE(903, "revenue", 4, 604) POSTING(903, "x"), /* uneven */
        "BEGIN;" LINE(904, "user:alice", -5, -604) LINE(904, "revenue", 5, 605) POSTING(904, "x"), /* wrong balance */
        "BEGIN;" LINE(905, "user:alice", -5, -605) LINE(905, "revenue", 5, 605) POSTING(905, "license:1"), /* twice */
        "BEGIN;" LINE(906, "nobody", -5, -5) LINE(906, "revenue", 5, 605) POSTING(906, "x"), /* no account */
        LINE(1, "user:alice", -5, -605),                                                     /* closed */
        "UPDATE ledger SET amount = -1 WHERE account = 'user:alice'",
        "UPDATE posting SET text = 'other'",
        "DELETE FROM ledger",
        "DELETE FROM posting",
    };
    for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++)
        assert_int_not_equal(by_hand(tricks[i]), SQLITE_OK);
    assert_int_equal(
        by_hand("BEGIN;" LINE(950, "user:alice", -5, -605) LINE(950, "revenue", 5, 605) POSTING(950, "x") "COMMIT;"),
        SQLITE_OK); /* what is even may be written */
    assert_int_equal(shop_balance(&town.a, "alice"), -605);
    shop_check(&town.a);
}

/* On either database, by the program itself: what does not come to nothing is a fault of ours, and nothing of it is kept. */
static void an_uneven_posting_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t user, payments;
    } cases[] = { { "a cent too many", 100, -99 }, { "one side alone", 100, 0 }, { "both ways alike", 100, 100 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        struct posting p = { .kind = POSTING_PAYMENT, .time_ms = town.now_ms, .reference = "received:x", .text = "x" };
        assert_int_equal(posting_line(&p, "user:alice", cases[i].user), 0);
        assert_int_equal(posting_line(&p, LEDGER_PAYMENTS, cases[i].payments), 0);
        assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
        if (ledger_post(town.a.o, &p) != -EUCLEAN)
            fail_msg("%s", cases[i].name);
    }
    assert_int_equal(shop_balance(&town.a, "alice"), 0);
    shop_check(&town.a);
}

/* A database from before: movements of two rows, with what they gave back. */
static void the_ledger_of_before_is_kept(void **state)
{
    (void)state;
    if (town_on_postgres())
        skip(); /* there was none before */
    char dir[] = "/tmp/hearth-ledger-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/operations.db", dir);
    struct store_schema before = operations_schema;
    struct store *store = NULL;
    sqlite3 *db = NULL;
    static const char *const no_statements[] = { "SELECT 1" };
    before.migration_count = 1;
    before.statements = no_statements;
    before.statement_count = 1;
    assert_int_equal(store_open(&store, path, &before), 0);
    store_close(store);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(
            db,
            "INSERT INTO ledger (movement, account, amount, balance, time_ms, text, reverses) VALUES"
            " (1, 'user:ann', -5, -5, 10, 'License: Song', NULL), (1, 'revenue', 5, 5, 10, 'License: Song', NULL),"
            " (2, 'user:ann', -1, -6, 11, 'Copy: Song', NULL), (2, 'revenue', 1, 6, 11, 'Copy: Song', NULL),"
            " (3, 'user:ann', 1, -5, 12, 'Refund', 3), (3, 'revenue', -1, 5, 12, 'Refund', NULL),"
            " (4, 'payments', -5, -5, 13, 'Paid', NULL), (4, 'user:ann', 5, 0, 13, 'Paid', NULL)",
            NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_open(&store, path, &operations_schema), 0);
    struct operations o = { .store = store };
    struct ledger_audit audit;
    struct posting p;
    assert_int_equal(ledger_check(&o, &audit), 0);
    assert_int_equal(audit.entries, 8);
    assert_true(audit.uneven_posting == 0 && audit.drifted_entry == 0 && audit.open_entry == 0);
    assert_int_equal(ledger_get(&o, 3, &p), 0);
    assert_int_equal(p.kind, POSTING_REFUND);
    assert_int_equal(p.refunds, 2);
    assert_int_equal(ledger_get(&o, 4, &p), 0);
    assert_int_equal(p.kind, POSTING_PAYMENT);
    assert_int_equal(ledger_get(&o, 1, &p), 0);
    assert_int_equal(p.kind, POSTING_LICENSE);
    store_close(store);
    char command[96];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bills_come_in_pages_newest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_sold_is_charged_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bill_can_always_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(payments_and_refunds_balance, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_left_is_paid_out_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_owes_too_long_gets_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(holders_get_their_share_and_return_it, set_up, tear_down),
        cmocka_unit_test(shares_are_exact_to_the_cent),
        cmocka_unit_test_setup_teardown(the_schema_keeps_the_ledger_even, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_uneven_posting_is_refused, set_up, tear_down),
        cmocka_unit_test(the_ledger_of_before_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
