/* Settling between partners: fees and charges of A's copies for B's customers, seen from both sides. Source: design section 6 (billing). */
#include "town.h"

#include <stdio.h>

#include "crypto/sha256.h"
#include "distributor/billing.h"
#include "distributor/copies.h"
#include "distributor/refunds.h"
#include "distributor/settlements.h"

static struct town town;
static struct gadget kitchen, attic, bedroom; /* alice at A, alina at B twice */
static struct reply reply;
static struct id song;
static doc_CopyCertificate certificate;
static struct buf file, receipt;
static struct settlement_check check;
static char troubles[8][24]; /* of the findings, in order; "" agreed, "before" */
static size_t finding_count;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 2000);
    shop_user(&town.b, "alina", 2000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    gadget_init(&town, &bedroom, "bedroom");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &attic, "alina", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &bedroom, "alina", TOWN_PASSWORD), 0);
    song = shop_publish(&town.a, "Song", 499, 50, 5, 2);
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    town_link(&town, &kitchen, &bedroom);
    reply_init(&reply);
    file = buf(SETTLEMENTS_FILE_MAX);
    receipt = buf(512);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_free(&file);
    buf_free(&receipt);
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    gadget_deinit(&bedroom);
    town_deinit(&town);
    return 0;
}

static struct partner partner_of(struct shop *s)
{
    struct partner p;
    assert_int_equal(delegations_partner_next(s->o, 0, &p), 0);
    return p;
}

static int64_t owed(struct shop *s)
{
    struct partner p = partner_of(s);
    char account[LEDGER_ACCOUNT_BYTES];
    int64_t balance;
    ledger_account_partner(&p.id, account);
    assert_int_equal(ledger_balance(s->o, account, &balance), 0);
    return balance;
}

static void agree(struct shop *s, struct terms t)
{
    struct transaction x CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&x, s->o->store), 0);
    assert_int_equal(settlements_set_terms(s->o, partner_of(s).number, &t, town.now_ms), 0);
    assert_int_equal(transaction_commit(&x), 0);
}

/* A pays B 3 cents and a tenth of the price for each copy; what A charges B's customers is at most 60 cents. */
static void agree_both(bool charges)
{
    agree(&town.a, (struct terms){ .pays_fixed = 3, .pays_points = 1000, .charges = charges ? 60 : 0 });
    agree(&town.b, (struct terms){ .gets_fixed = 3, .gets_points = 1000, .accepts = charges ? 60 : 0 });
    if (!charges)
        return;
    struct transaction x CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&x, town.a.o->store), 0);
    assert_int_equal(operations_setting_set(town.a.o, "copy-charged", "destination"), 0);
    assert_int_equal(transaction_commit(&x), 0);
}

static void copy_to(struct gadget *to)
{
    msg_Result result;
    struct key32 key;
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, to, false, false, &result), 0);
    assert_int_equal(vault_key_of_copy(&town.a, &town.b, to, &kitchen.client, &result, &certificate, &key), 0);
    town_share(&town);
}

/* The destination has it: its receipt comes to the issuer, and nobody else hears of it. */
static void redeem(const struct gadget *by)
{
    gadget_receipt(by, &certificate, RECEIPT_STORED, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &kitchen.who, buf_slice(&receipt)), 0);
}

static void export_again(void)
{
    struct settlement_made last = { 0 };
    uint64_t number = 0;
    while (settlements_next(town.a.o, number, &last) == 0)
        number = last.number;
    buf_clear(&file);
    assert_int_equal(settlements_file(town.a.o, number, &file), 0);
}

static int make(void)
{
    struct settlement_made made;
    struct partner p = partner_of(&town.a);
    struct transaction x CLEANUP(transaction_end) = { 0 };
    town.now_ms += 1000;
    assert_int_equal(transaction_begin(&x, town.a.o->store), 0);
    int r = settlements_make(town.a.o, &p, town.now_ms, &made);
    if (r != 0)
        return r;
    buf_clear(&file);
    assert_int_equal(settlements_file(town.a.o, made.number, &file), 0);
    return transaction_commit(&x);
}

static void on_finding(void *ctx, const struct settlement_finding *f)
{
    (void)ctx;
    assert_true(finding_count < 8);
    snprintf(troubles[finding_count++], sizeof(troubles[0]), "%s", f->trouble ? f->trouble : f->before ? "before" : "");
}

static int read_at(struct shop *s, struct slice bytes, bool keep)
{
    struct transaction x CLEANUP(transaction_end) = { 0 };
    finding_count = 0;
    assert_int_equal(transaction_begin(&x, s->o->store), 0);
    int r = settlement_check_file(s->o, bytes, town.now_ms, on_finding, NULL, &check);
    return r == 0 && keep ? transaction_commit(&x) : r;
}

static int accept(void) { return read_at(&town.b, buf_slice(&file), true); }

/* Signs other rows, as a dishonest A could. change: one row of the file. */
static void forge(void (*change)(doc_SettlementRow *row, size_t index))
{
    struct buf rows CLEANUP(buf_free) = buf(65536), envelope CLEANUP(buf_free) = buf(1024),
                    out = buf(SETTLEMENTS_FILE_MAX);
    struct reader r = reader(buf_slice(&file));
    struct slice bytes;
    doc_Settlement d;
    uint8_t key[32];
    assert_int_equal(codec_list_next(&r, 1024, &bytes), 0);
    assert_int_equal(document_open(DOCUMENT_SETTLEMENT, bytes, &d, sizeof(d), key), 0);
    d.net = 0;
    for (size_t i = 0; i < d.row_count && codec_list_next(&r, doc_SettlementRow_size, &bytes) == 0; i++) {
        doc_SettlementRow row;
        struct buf one CLEANUP(buf_free) = buf(doc_SettlementRow_size);
        assert_int_equal(CODEC_DECODE(doc_SettlementRow, bytes, &row), 0);
        change(&row, i);
        d.net += row.amount;
        assert_int_equal(CODEC_ENCODE(doc_SettlementRow, &one, &row), 0);
        assert_int_equal(codec_list_put(&rows, buf_slice(&one)), 0);
    }
    struct slice all = buf_slice(&rows);
    struct signer signer;
    sha256_parts(&all, 1, d.rows_digest);
    signer_from_pair(&signer, &town.a.keys->license);
    assert_int_equal(document_sign(&envelope, DOCUMENT_SETTLEMENT, &d, &signer), 0);
    assert_int_equal(codec_list_put(&out, buf_slice(&envelope)), 0);
    assert_int_equal(buf_append(&out, all), 0);
    assert_int_equal(buf_append(&out, r.rest), 0); /* the receipts */
    buf_free(&file);
    file = out;
}

static void fees_settle_once(void **state)
{
    (void)state;
    agree_both(false);
    copy_to(&bedroom);
    copy_to(&attic);
    assert_int_equal(owed(&town.a), 2 * 8);
    assert_int_equal(make(), 0);
    assert_int_equal(make(), OPERATIONS_ABSENT); /* nothing is new */
    assert_int_equal(read_at(&town.b, buf_slice(&file), false), 0);
    assert_int_equal(owed(&town.b), 0); /* only looked at */
    assert_int_equal(accept(), 0);
    assert_int_equal(check.agreed, 2);
    assert_int_equal(check.disagreed + check.missing, 0);
    assert_int_equal(check.posted, 16);
    assert_int_equal(owed(&town.b), -16);
    assert_int_equal(accept(), 0); /* again: nothing */
    assert_int_equal(check.before, 2);
    assert_int_equal(check.posted, 0);
    assert_int_equal(owed(&town.b), -16);
    struct partner a = partner_of(&town.b), b = partner_of(&town.a);
    struct transaction x CLEANUP(transaction_end) = { 0 }, y CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&x, town.a.o->store), 0);
    assert_int_equal(settlements_pay(town.a.o, &b, 16, "may", town.now_ms, "Paid"), 0);
    assert_int_equal(settlements_pay(town.a.o, &b, 16, "may", town.now_ms, "Paid"), REASON_ALREADY);
    assert_int_equal(transaction_commit(&x), 0);
    assert_int_equal(transaction_begin(&y, town.b.o->store), 0);
    assert_int_equal(settlements_pay(town.b.o, &a, -16, "may", town.now_ms, "Received"), 0);
    assert_int_equal(transaction_commit(&y), 0);
    assert_int_equal(owed(&town.a), 0);
    assert_int_equal(owed(&town.b), 0);
    assert_int_equal(make(), OPERATIONS_ABSENT); /* payments are no rows */
    shop_check(&town.a);
    shop_check(&town.b);
}

static void a_charge_without_a_receipt_is_nobodys(void **state)
{
    (void)state;
    agree_both(true);
    copy_to(&bedroom);
    assert_int_equal(make(), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(accept(), 0);
        assert_int_equal(check.disagreed, 1);
        assert_string_equal(troubles[0], "no-receipt");
        assert_int_equal(shop_balance(&town.b, "alina"), 0);
        gadget_receipt(&attic, &certificate, RECEIPT_STORED, town.now_ms, &receipt); /* of another device */
        assert_int_equal(codec_list_put(&file, buf_slice(&receipt)), 0);
    }
    export_again();
    gadget_receipt(&bedroom, &certificate, RECEIPT_REFUSED, town.now_ms, &receipt);
    assert_int_equal(codec_list_put(&file, buf_slice(&receipt)), 0);
    assert_int_equal(accept(), 0);
    assert_string_equal(troubles[0], "no-receipt");
    redeem(&bedroom);
    export_again();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(accept(), 0);
        assert_int_equal(check.disagreed, 0);
        assert_int_equal(shop_balance(&town.b, "alina"), -50);
    }
    assert_int_equal(owed(&town.b), -owed(&town.a));
}

static void a_receipt_that_was_brought_here_counts(void **state)
{
    (void)state;
    agree_both(true);
    copy_to(&bedroom);
    assert_int_equal(make(), 0);
    gadget_receipt(&bedroom, &certificate, RECEIPT_STORED, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.b, &bedroom.who, buf_slice(&receipt)), 0);
    assert_int_equal(accept(), 0);
    assert_int_equal(check.disagreed, 0);
    assert_int_equal(shop_balance(&town.b, "alina"), -50);
}

static void charges_reach_the_customer_and_come_back(void **state)
{
    (void)state;
    agree_both(true);
    copy_to(&bedroom);
    redeem(&bedroom);
    assert_int_equal(shop_balance(&town.a, "alice"), -499); /* the destination's account pays, at B */
    assert_int_equal(owed(&town.a), 8 - 50);
    assert_int_equal(make(), 0);
    assert_int_equal(accept(), 0);
    assert_int_equal(check.agreed, 2);
    assert_int_equal(shop_balance(&town.b, "alina"), -50);
    assert_int_equal(owed(&town.b), -owed(&town.a));
    /* Both are given back: they come by the next statement. */
    uint64_t sale = (uint64_t)shop_ask(&town.a, "SELECT charge FROM certificate");
    struct transaction x CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&x, town.a.o->store), 0);
    assert_int_equal(refunds_undelivered(town.a.o, sale, town.now_ms, "Given back"), 0);
    assert_int_equal(settlements_take_back_fee(town.a.o, certificate.serial, town.now_ms), 0);
    assert_int_equal(transaction_commit(&x), 0);
    assert_int_equal(owed(&town.a), 0);
    assert_int_equal(make(), 0);
    assert_int_equal(accept(), 0);
    assert_int_equal(check.agreed, 2);
    assert_int_equal(check.disagreed, 0);
    assert_int_equal(shop_balance(&town.b, "alina"), 0);
    assert_int_equal(owed(&town.b), 0);
    shop_check(&town.a);
    shop_check(&town.b);
}

static void statements_are_made_in_time(void **state)
{
    (void)state;
    struct settlement_made made;
    agree_both(false);
    copy_to(&bedroom);
    for (int days = 0; days <= 8; days++) {
        struct transaction x CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&x, town.a.o->store), 0);
        assert_int_equal(operations_setting_set(town.a.o, "settlement-days", days == 0 ? "0" : "7"), 0);
        assert_int_equal(settlements_make_due(town.a.o, town.now_ms + days * TOWN_DAY_MS), 0);
        assert_int_equal(settlements_next(town.a.o, 0, &made), days < 7 ? OPERATIONS_ABSENT : 0);
        assert_int_equal(transaction_commit(&x), 0);
    }
    assert_int_equal(made.row_count, 1);
    assert_int_equal(settlements_next(town.a.o, made.number, &made),
                     OPERATIONS_ABSENT); /* the eighth day has nothing new */
}

static void without_an_agreement_the_source_pays(void **state)
{
    (void)state;
    agree_both(true);
    agree(&town.a, (struct terms){ .pays_fixed = 3, .charges = 49 });
    copy_to(&bedroom);
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    assert_int_equal(owed(&town.a), 3);
}

/* --- Disagreement, row by row ---------------------------------------------------------------------------------------- */

static void too_dear(doc_SettlementRow *row, size_t i) { row->amount += row->kind == 1 && i < 9 ? 1 : 0; }
static void other_serial(doc_SettlementRow *row, size_t i)
{
    (void)i;
    row->serial[15] ^= 1;
}
static void other_content(doc_SettlementRow *row, size_t i)
{
    (void)i;
    row->content[0] ^= 1;
}
static void charge_more(doc_SettlementRow *row, size_t i)
{
    (void)i;
    if (row->kind == 2)
        row->amount = -(row->price = 61);
}
static void other_user(doc_SettlementRow *row, size_t i)
{
    (void)i;
    CODEC_SET_TEXT(row->user, "mallory");
}
static void reversal(doc_SettlementRow *row, size_t i)
{
    (void)i;
    row->reverses = row->entry + 1000;
    row->kind += 2;
    row->amount = -row->amount;
}
static void same_copy_again(doc_SettlementRow *row, size_t i)
{
    (void)i;
    row->entry += 1000;
}
static void other_kind(doc_SettlementRow *row, size_t i)
{
    (void)i;
    row->kind = 9;
}

static void each_disagreement_is_named(void **state)
{
    (void)state;
    static const struct {
        void (*change)(doc_SettlementRow *row, size_t i);
        const char *fee, *charge;
    } cases[] = {
        { too_dear, "other-amount", "" },
        { other_serial, "unknown-copy", "unknown-copy" },
        { other_content, "other-copy", "other-copy" },
        { charge_more, "", "not-agreed" },
        { other_user, "", "not-our-customer" },
        { reversal, "nothing-to-reverse", "nothing-to-reverse" },
    };
    agree_both(true);
    copy_to(&bedroom);
    redeem(&bedroom);
    assert_int_equal(make(), 0);
    struct buf good CLEANUP(buf_free) = buf(65536);
    assert_int_equal(buf_append(&good, buf_slice(&file)), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_clear(&file);
        assert_int_equal(buf_append(&file, buf_slice(&good)), 0);
        forge(cases[i].change);
        assert_int_equal(read_at(&town.b, buf_slice(&file), false), 0);
        assert_string_equal(troubles[0], cases[i].charge); /* the charge was posted first */
        assert_string_equal(troubles[1], cases[i].fee);
        assert_int_equal(check.missing, cases[i].fee[0] != '\0'); /* then no fee was settled for it */
    }
    assert_int_equal(owed(&town.b), 0);
    /* What was settled is settled: under another entry it is not again. */
    buf_clear(&file);
    assert_int_equal(buf_append(&file, buf_slice(&good)), 0);
    assert_int_equal(accept(), 0);
    forge(same_copy_again);
    assert_int_equal(accept(), 0);
    assert_int_equal(check.disagreed, 2);
    assert_string_equal(troubles[0], "settled-before");
    assert_int_equal(owed(&town.b), -owed(&town.a));
    buf_clear(&file);
    assert_int_equal(buf_append(&file, buf_slice(&good)), 0);
    forge(other_kind);
    assert_int_equal(accept(), REASON_MALFORMED);
    shop_check(&town.b);
}

/* A fixed sequence of numbers, well mixed. */
static uint64_t draw(void)
{
    static uint64_t state = 7;
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void anything(doc_SettlementRow *row, size_t i)
{
    static const int64_t amounts[] = { 8, -8, 50, -50, 3, -3, 1, -1, 0, 5000, -5000 };
    static const char *const users[] = { "alina", "mallory", "" };
    (void)i;
    for (uint64_t edits = draw() % 4; edits > 0; edits--) {
        switch (draw() % 6) {
        case 0:
            row->entry = draw() % 60 + 1;
            break;
        case 1:
            row->kind = (uint32_t)(draw() % 4 + 1);
            break;
        case 2:
            row->amount = amounts[draw() % (sizeof(amounts) / sizeof(amounts[0]))];
            break;
        case 3:
            row->price = amounts[draw() % (sizeof(amounts) / sizeof(amounts[0]))];
            break;
        case 4:
            row->reverses = draw() % 60;
            break;
        default:
            CODEC_SET_TEXT(row->user, users[draw() % 3]);
            break;
        }
    }
}

/* A partner that signs whatever it likes gets no more than two charges as agreed, and the books stay even. */
static void nothing_that_a_partner_signs_costs_more_than_agreed(void **state)
{
    (void)state;
    agree_both(true);
    copy_to(&bedroom);
    redeem(&bedroom);
    copy_to(&attic);
    redeem(&attic);
    assert_int_equal(make(), 0);
    struct buf good CLEANUP(buf_free) = buf(65536);
    assert_int_equal(buf_append(&good, buf_slice(&file)), 0);
    for (int round = 0; round < 400; round++) {
        buf_clear(&file);
        assert_int_equal(buf_append(&file, buf_slice(&good)), 0);
        forge(anything);
        int r = accept();
        assert_true(r == 0 || r == REASON_MALFORMED);
        /* fees are ours, at most twice 3 and a tenth of a price up to 5000; charges are at most 60 each, of two copies */
        assert_true(owed(&town.b) <= 2 * 60 && owed(&town.b) >= -2 * 503);
        assert_true(shop_balance(&town.b, "alina") >= -2 * 60 && shop_balance(&town.b, "alina") <= 0);
    }
    shop_check(&town.b);
}

static void what_is_left_out_is_missed(void **state)
{
    (void)state;
    msg_Result before;
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, false, true, &before),
                     0); /* nothing was agreed yet */
    town.now_ms += 1000;
    agree_both(false);
    copy_to(&bedroom);
    agree(&town.a, (struct terms){ 0 }); /* A forgets */
    copy_to(&attic);
    assert_int_equal(make(), 0);
    assert_int_equal(accept(), 0);
    assert_int_equal(check.agreed, 1);
    assert_int_equal(check.missing, 1);
    assert_string_equal(troubles[1], "missing");
}

static void what_was_altered_is_refused(void **state)
{
    (void)state;
    agree_both(true);
    copy_to(&bedroom);
    assert_int_equal(make(), 0);
    assert_int_equal(read_at(&town.a, buf_slice(&file), false), REASON_UNKNOWN_DISTRIBUTOR); /* its own */
    for (size_t cut = 0; cut < file.len; cut++)
        assert_int_not_equal(read_at(&town.b, slice(file.data, cut), true), 0);
    for (size_t at = 0; at < file.len; at++) {
        file.data[at] ^= 1;
        assert_int_not_equal(read_at(&town.b, buf_slice(&file), true), 0);
        file.data[at] ^= 1;
    }
    assert_int_equal(buf_append(&file, slice_str("x")), 0);
    assert_int_not_equal(accept(), 0);
    assert_int_equal(owed(&town.b), 0);
    shop_check(&town.b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(fees_settle_once),
        TEST(a_charge_without_a_receipt_is_nobodys),
        TEST(a_receipt_that_was_brought_here_counts),
        TEST(charges_reach_the_customer_and_come_back),
        TEST(statements_are_made_in_time),
        TEST(without_an_agreement_the_source_pays),
        TEST(each_disagreement_is_named),
        TEST(nothing_that_a_partner_signs_costs_more_than_agreed),
        TEST(what_is_left_out_is_missed),
        TEST(what_was_altered_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
