/* Vaults that were put back from an older copy, seen by distributors: whose word is taken when, what is told to catch up, what is refused. */
#include "distributor/standings.h"

#include "base/util.h"
#include "crypto/seal.h"
#include "crypto/sha256.h"
#include "distributor/statements.h"
#include "town.h"

static struct town town;
static struct gadget kitchen, attic, bedroom;
static struct reply reply;
static struct id song;
static doc_Generation said;
static doc_CatchUp page;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 5000);
    shop_user(&town.b, "alina", 5000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    gadget_init(&town, &bedroom, "bedroom");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &bedroom, "alina", TOWN_PASSWORD), 0);
    town_link(&town, &kitchen, &bedroom);
    song = shop_publish(&town.a, "Reverie", 499, 50, 9, 1);
    reply_init(&reply);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    shop_check(&town.a);
    shop_check(&town.b);
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    gadget_deinit(&bedroom);
    town_deinit(&town);
    return 0;
}

/* HELLO without what the vault says to it. */
static void greet(struct shop *s, struct gadget *g, doc_Standing *standing)
{
    msg_Hello m = { .role = 1, .generation = UINT64_MAX }; /* what is not signed counts for nothing */
    msg_Welcome welcome;
    assert_int_equal(RUN(s, &g->who, HELLO, msg_Hello, &m, &reply), 0);
    REPLY_AS(&reply, WELCOME, msg_Welcome, &welcome);
    g->who.session = welcome.session;
    assert_int_equal(standing_judge(CODEC_BYTES(welcome.standing), &s->keyset, &g->client, standing), 0);
    assert_int_equal(standing->session, welcome.session);
    assert_int_equal(standing->generation, welcome.generation);
}

static struct standing known_of(struct shop *s, const struct gadget *g)
{
    struct standing known;
    assert_int_equal(standings_get(s->o, &g->client, &known), 0);
    return known;
}

static int buy(struct gadget *g)
{
    msg_Result result;
    return gadget_buy(&town.a, g, &song, &result);
}

static int ask_page(struct shop *s, struct gadget *g, const doc_Generation *statement, const uint8_t after[49])
{
    msg_CatchUpGet m = msg_CatchUpGet_init_zero;
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(m.statement.bytes));
    struct signer signer;
    signer_from_pair(&signer, &g->pair);
    assert_int_equal(document_sign(&envelope, DOCUMENT_GENERATION, statement, &signer), 0);
    assert_int_equal(CODEC_SET_BYTES(m.statement, buf_slice(&envelope)), 0);
    if (after)
        memcpy(m.after, after, sizeof(m.after));
    int r = RUN(s, &g->who, CATCH_UP_GET, msg_CatchUpGet, &m, &reply);
    if (r == 0)
        assert_int_equal(catch_up_judge(buf_slice(&reply.tail), &s->keyset, &g->client, &page), 0);
    return r;
}

/* The vault of g is an older copy of itself: all pages, as one would take them. Returns how many entries of a kind. */
static unsigned catch_up(struct shop *s, struct gadget *g, uint32_t kind)
{
    uint8_t after[49] = { 0 };
    unsigned count = 0;
    gadget_statement(s, &g->who, &said);
    said.current = false;
    do {
        assert_int_equal(ask_page(s, g, &said, after), 0);
        assert_memory_equal(page.nonce, said.nonce, sizeof(page.nonce));
        for (pb_size_t i = 0; i < page.entries_count; i++) {
            count += page.entries[i].kind == kind;
            catch_up_place(&page.entries[i], after);
        }
    } while (!page.last);
    return count;
}

/* --- Whose word is taken --- */

static void each_session_needs_the_vaults_word(void **state)
{
    (void)state;
    doc_Standing standing;
    greet(&town.a, &kitchen, &standing);
    assert_true(standing.has_last);
    assert_int_equal(buy(&kitchen), REASON_CATCH_UP_NEEDED);
    gadget_statement(&town.a, &kitchen.who, &said);
    assert_int_equal(gadget_present(&town.a, &kitchen, &kitchen.who, &said), 0);
    assert_int_equal(buy(&kitchen), 0);
    struct standing known = known_of(&town.a, &kitchen);
    assert_int_equal(known.generation, said.generation);
    assert_memory_equal(known.nonce, said.nonce, sizeof(known.nonce));
    greet(&town.a, &kitchen, &standing);
    assert_memory_equal(standing.last, said.nonce, sizeof(standing.last)); /* shown to the vault */
}

static void statements_that_are_not_taken(void **state)
{
    static const struct {
        const char *name;
        enum reason outcome;
    } cases[] = {
        { "not current", REASON_CATCH_UP_NEEDED },
        { "a lower generation", REASON_CATCH_UP_NEEDED },
        { "of an earlier session", REASON_SESSION_REPLACED },
        { "of a session to come", REASON_SESSION_REPLACED },
        { "for another distributor", REASON_WRONG_DESTINATION },
        { "of another device", REASON_SIGNATURE_INVALID },
        { "signed by another device", REASON_SIGNATURE_INVALID },
        { "a jump that would lock it out", REASON_NOT_PERMITTED },
        { "more than can be stored", REASON_NOT_PERMITTED },
    };
    (void)state;
    doc_Standing standing;
    greet(&town.a, &kitchen, &standing);
    struct standing before = known_of(&town.a, &kitchen);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        gadget_statement(&town.a, &kitchen.who, &said);
        said.current = i != 0;
        if (i == 1)
            said.generation = before.generation - 1;
        said.session += i == 3;
        said.session -= i == 2;
        if (i == 4)
            memcpy(said.distributor, town.b.keys->self.bytes, ID_BYTES);
        if (i == 5)
            memcpy(said.client, attic.client.bytes, ID_BYTES);
        if (i == 7)
            said.generation = (uint64_t)town.now_ms + STANDING_JUMP_MAX + 1;
        if (i == 8)
            said.generation = UINT64_MAX;
        int r = gadget_present(&town.a, i == 6 ? &attic : &kitchen, &kitchen.who, &said);
        if (r != (int)cases[i].outcome)
            fail_msg("%s: %s", cases[i].name, reason_code((enum reason)r));
        struct standing after = known_of(&town.a, &kitchen);
        assert_memory_equal(&before, &after, sizeof(before));
    }
    assert_int_equal(buy(&kitchen), REASON_CATCH_UP_NEEDED);
}

/* The kept answer is what was granted before: it is given again to whoever lost it, also to an older copy. */
static void an_answer_that_was_kept_is_still_given(void **state)
{
    (void)state;
    doc_Standing standing;
    struct order order;
    static const uint8_t id[16] = "transaction one";
    struct buf first CLEANUP(buf_free) = buf(1 << 16);
    order_init(&order);
    order_restore(&order, &song);
    assert_int_equal(
        gadget_transact_as(&town.a, &kitchen.who, kitchen.who.session, kitchen.bit ^ 1, id, &order, &reply), 0);
    assert_int_equal(buf_append(&first, buf_slice(&reply.tail)), 0);
    greet(&town.a, &kitchen, &standing);
    assert_int_equal(
        gadget_transact_as(&town.a, &kitchen.who, kitchen.who.session, kitchen.bit ^ 1, id, &order, &reply), 0);
    assert_true(slice_equal(buf_slice(&first), buf_slice(&reply.tail)));
    kitchen.bit ^= 1;
    buf_free(&order.tail);
}

static void the_operator_forgets(void **state)
{
    (void)state;
    doc_Standing standing;
    gadget_statement(&town.a, &kitchen.who, &said);
    said.generation = (uint64_t)town.now_ms + STANDING_JUMP_MAX; /* the most that is taken */
    assert_int_equal(gadget_present(&town.a, &kitchen, &kitchen.who, &said), 0);
    assert_int_equal(standings_reset(town.a.o, &kitchen.client), 0);
    assert_int_equal(standings_reset(town.a.o, &kitchen.client), OPERATIONS_ABSENT);
    greet(&town.a, &kitchen, &standing);
    assert_false(standing.has_last);
    assert_int_equal(standing.generation, 0);
    said.generation = 1;
    said.session = kitchen.who.session;
    assert_int_equal(gadget_present(&town.a, &kitchen, &kitchen.who, &said), 0);
    assert_int_equal(buy(&kitchen), 0);
}

/* --- What is told --- */

static void copy_to(struct gadget *from, struct gadget *to, bool move, doc_CopyCertificate *certificate,
                    struct buf *envelope)
{
    msg_Result result;
    uint8_t opened[sizeof(result.certificate.bytes)], signer[32];
    assert_int_equal(gadget_copy(&town.a, from, &song, to, move, false, &result), 0);
    struct slice bytes = CODEC_BYTES(result.certificate);
    if (move) { /* sealed to its source */
        assert_int_equal(seal_open(&from->sealing, bytes, opened), 0);
        bytes = slice(opened, bytes.len - SEAL_OVERHEAD_BYTES);
    }
    assert_int_equal(buf_append(envelope, bytes), 0);
    assert_int_equal(document_open(DOCUMENT_COPY_CERTIFICATE, bytes, certificate, sizeof(*certificate), signer), 0);
}

static void a_certificate_that_was_used(void **state)
{
    (void)state;
    static doc_CopyCertificate certificate;
    struct buf envelope CLEANUP(buf_free) = buf(4096), receipt CLEANUP(buf_free) = buf(1024);
    assert_int_equal(buy(&kitchen), 0);
    copy_to(&kitchen, &attic, false, &certificate, &envelope);
    assert_int_equal(catch_up(&town.a, &attic, CATCH_UP_SERIAL), 0); /* issued only: it may still be used */
    gadget_receipt(&attic, &certificate, RECEIPT_STORED, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &kitchen.who, buf_slice(&receipt)), 0);
    assert_int_equal(catch_up(&town.a, &attic, CATCH_UP_SERIAL), 1);
    assert_memory_equal(page.entries[0].name, certificate.serial, 16);
    assert_memory_equal(page.entries[0].issuer, town.a.keys->self.bytes, ID_BYTES);
    assert_int_equal(catch_up(&town.a, &kitchen, CATCH_UP_SERIAL), 0); /* it was the source */
}

/* The customer of another distributor brought its receipt there: that one knows at once, and after sharing names it once. */
static void a_serial_of_another_issuer(void **state)
{
    (void)state;
    static doc_CopyCertificate certificate;
    struct buf envelope CLEANUP(buf_free) = buf(4096), receipt CLEANUP(buf_free) = buf(1024);
    assert_int_equal(buy(&kitchen), 0);
    copy_to(&kitchen, &bedroom, false, &certificate, &envelope);
    town_share(&town);
    assert_int_equal(catch_up(&town.b, &bedroom, CATCH_UP_SERIAL), 0);
    gadget_receipt(&bedroom, &certificate, RECEIPT_STORED, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.b, &bedroom.who, buf_slice(&receipt)), 0);
    assert_int_equal(catch_up(&town.b, &bedroom, CATCH_UP_SERIAL), 1);
    assert_memory_equal(page.entries[0].issuer, town.a.keys->self.bytes, ID_BYTES);
    town_share(&town);
    town_share(&town);
    assert_int_equal(catch_up(&town.b, &bedroom, CATCH_UP_SERIAL), 1);
    assert_memory_equal(page.entries[0].name, certificate.serial, 16);
}

/* What some member of the directory that ours have nothing to do with says it issued. */
static void a_serial_of_a_stranger(void **state)
{
    (void)state;
    static doc_CopyCertificate certificate;
    static const char from_mallet[] = "UPDATE copy_history SET distributor ="
                                      " (SELECT number FROM distributor WHERE name = 'mallet')";
    struct buf envelope CLEANUP(buf_free) = buf(4096), receipt CLEANUP(buf_free) = buf(1024);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int64_t mallet;
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(operations_distributor_add(town.a.o, &kitchen.client, "mallet", &mallet), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(buy(&kitchen), 0);
    copy_to(&kitchen, &attic, false, &certificate, &envelope);
    gadget_receipt(&attic, &certificate, RECEIPT_STORED, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &kitchen.who, buf_slice(&receipt)), 0);
    assert_true(shop_change(&town.a, from_mallet));
    assert_int_equal(catch_up(&town.a, &attic, CATCH_UP_SERIAL), 0);
    assert_true(shop_change(&town.a, "UPDATE copy_history SET distributor = 2")); /* a partner */
    assert_int_equal(catch_up(&town.a, &attic, CATCH_UP_SERIAL), 1);
    assert_true(shop_change(&town.a, from_mallet));
    assert_true(shop_change(&town.a, "INSERT INTO link (distributor, \"user\", other, other_user)"
                                     " SELECT 1, 'alice', number, 'x' FROM distributor WHERE name = 'mallet'"));
    assert_int_equal(catch_up(&town.a, &attic, CATCH_UP_SERIAL), 1);
}

static void a_license_that_moves_away(void **state)
{
    (void)state;
    static doc_CopyCertificate certificate;
    uint8_t digest[32];
    struct buf envelope CLEANUP(buf_free) = buf(4096), receipt CLEANUP(buf_free) = buf(1024);
    assert_int_equal(buy(&kitchen), 0);
    copy_to(&kitchen, &attic, true, &certificate, &envelope);
    assert_int_equal(catch_up(&town.a, &kitchen, CATCH_UP_LICENSE), 0); /* it may come back */
    assert_int_equal(catch_up(&town.a, &kitchen, CATCH_UP_MOVE), 1);
    sha256(buf_slice(&envelope), digest);
    assert_memory_equal(page.entries[0].digest, digest, 32); /* of what the vault lets out */
    assert_memory_equal(page.entries[0].name, certificate.serial, 16);
    assert_memory_equal(page.entries[0].destination, attic.client.bytes, ID_BYTES);
    assert_memory_equal(page.entries[0].content, song.bytes, ID_BYTES);
    gadget_receipt(&attic, &certificate, RECEIPT_STORED, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &attic.who, buf_slice(&receipt)), 0);
    assert_int_equal(catch_up(&town.a, &kitchen, CATCH_UP_LICENSE), 1);
    assert_int_equal(catch_up(&town.a, &kitchen, CATCH_UP_MOVE), 1); /* its source has not surrendered it yet */
    assert_int_equal(catch_up(&town.a, &attic, CATCH_UP_SERIAL), 1);
}

/* More than a page holds: all of them, each once, in order. */
static void many_serials(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    for (int i = 0; i < COUNT; i++) {
        struct query q CLEANUP(query_end) = query(town.a.o->store, RELAYED_SERIAL_ADD);
        uint8_t serial[16] = { (uint8_t)(i * 7), (uint8_t)i };
        query_bind_blob(&q, 1, SLICE_ARRAY(kitchen.client.bytes));
        query_bind_blob(&q, 2, SLICE_ARRAY(town.b.keys->self.bytes));
        query_bind_blob(&q, 3, SLICE_ARRAY(serial));
        assert_int_equal(query_run(&q), 0);
    }
    assert_int_equal(catch_up(&town.a, &kitchen, CATCH_UP_SERIAL), COUNT);
    assert_int_equal(page.entries_count, COUNT % ARRAY_COUNT(page.entries));
    assert_int_equal(catch_up(&town.a, &attic, CATCH_UP_SERIAL), 0); /* nobody else's */
}

static void pages_are_for_whoever_is_behind(void **state)
{
    (void)state;
    gadget_statement(&town.a, &kitchen.who, &said);
    assert_int_equal(ask_page(&town.a, &kitchen, &said, NULL), REASON_NOT_PERMITTED); /* it is current */
    said.current = false;
    said.session--;
    assert_int_equal(ask_page(&town.a, &kitchen, &said, NULL), REASON_SESSION_REPLACED);
    said.session++;
    memcpy(said.client, attic.client.bytes, ID_BYTES);
    assert_int_equal(ask_page(&town.a, &kitchen, &said, NULL), REASON_SIGNATURE_INVALID);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_session_needs_the_vaults_word),
        T(statements_that_are_not_taken),
        T(an_answer_that_was_kept_is_still_given),
        T(the_operator_forgets),
        T(a_certificate_that_was_used),
        T(a_serial_of_another_issuer),
        T(a_serial_of_a_stranger),
        T(a_license_that_moves_away),
        T(many_serials),
        T(pages_are_for_whoever_is_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
