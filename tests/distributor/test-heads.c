/* Chains, heads and findings: what shows that two members were told different things, and that somebody went back. */
#include "town.h"

#include <stdlib.h>

#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/findings.h"
#include "distributor/share_chain.h"
#include "distributor/share_forget.h"
#include "distributor/share_rows.h"

static struct town town;
static int64_t number_of_a; /* in B's table */

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 2000);
    town_share(&town);
    assert_int_equal(operations_distributor(town.b.o, &town.a.keys->self, &number_of_a), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    town_deinit(&town);
    return 0;
}

static void begin(struct transaction *t, struct shop *s) { assert_int_equal(transaction_begin(t, s->o->store), 0); }

/* Is there one, and does it still hold? */
static bool found(struct shop *s, enum finding what, bool *open)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct finding_row row = { 0 };
    begin(&t, s);
    assert_int_equal(findings_flush(s->o, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
    while (findings_next(s->o, &row) == 0)
        if (strcmp(row.code, finding_code(what)) == 0) {
            *open = row.settled_ms == 0;
            return true;
        }
    return false;
}

static int take_head(struct shop *s, struct slice envelope)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    share_Head head;
    int64_t number;
    begin(&t, s);
    int r = share_head_take(s->o, envelope, &number, &head);
    assert_int_equal(transaction_commit(&t), 0);
    return r;
}

/* A head as A's license key signs it, about whatever. */
static void sign_head(struct shop *by, const struct id *origin, uint64_t sequence, uint32_t table, uint64_t at,
                      const uint8_t chain[32], struct buf *out)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    struct buf bytes CLEANUP(buf_free) = buf(256);
    share_Head head = { .at = at, .time_ms = 1 };
    struct signer signer;
    memcpy(head.head, chain, 32);
    assert_int_equal(CODEC_ENCODE(share_Head, &bytes, &head), 0);
    assert_int_equal(CODEC_SET_BYTES(share->row, buf_slice(&bytes)), 0);
    memcpy(share->origin, origin->bytes, ID_BYTES);
    share->sequence = sequence;
    share->table = table;
    signer_from_pair(&signer, &by->keys->license);
    buf_clear(out);
    assert_int_equal(document_sign(out, DOCUMENT_SHARE, share, &signer), 0);
}

static void both_ends_come_to_the_same_head(void **state)
{
    (void)state;
    struct share_progress p;
    uint64_t last;
    uint8_t head[32];
    bool open;
    assert_int_equal(share_outbox_last(town.a.o, &last), 0);
    assert_int_equal(share_progress(town.b.o, number_of_a, &p), 0);
    assert_int_equal(p.taken, last);
    assert_int_equal(share_head_of_outbox(town.a.o, last, head), 0);
    assert_memory_equal(head, p.head, 32);
    assert_int_equal(share_head_of_outbox(town.a.o, last + 1, head), OPERATIONS_ABSENT);
    struct buf envelope CLEANUP(buf_free) = buf(SHARE_HEAD_ENVELOPE_MAX);
    assert_int_equal(share_head_sign(town.a.o, last, town.now_ms, &envelope), 0);
    assert_int_equal(take_head(&town.b, buf_slice(&envelope)), 0);
    assert_false(found(&town.b, FINDING_ROWS_DIFFER, &open));
}

static void a_head_is_its_origins_word_alone(void **state)
{
    (void)state;
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    uint8_t chain[32] = { 1 };
    const struct id *a = &town.a.keys->self;
    sign_head(&town.b, a, 0, share_Table_HEAD, 1, chain, &envelope);
    assert_int_equal(take_head(&town.b, buf_slice(&envelope)), REASON_SIGNATURE_INVALID);
    sign_head(&town.a, a, 0, share_Table_KEYSET, 1, chain, &envelope);
    assert_int_equal(take_head(&town.b, buf_slice(&envelope)), REASON_MALFORMED);
    sign_head(&town.a, a, 7, share_Table_HEAD, 1, chain, &envelope); /* a row, not a loose one */
    assert_int_equal(take_head(&town.b, buf_slice(&envelope)), REASON_MALFORMED);
    sign_head(&town.a, a, 0, share_Table_HEAD, UINT64_MAX, chain, &envelope);
    assert_int_equal(take_head(&town.b, buf_slice(&envelope)), REASON_MALFORMED);
    sign_head(&town.a, a, 0, share_Table_HEAD, 1, chain, &envelope);
    for (size_t at = 0; at < envelope.len; at++) {
        envelope.data[at] ^= 1;
        assert_true(take_head(&town.b, buf_slice(&envelope)) > 0);
        envelope.data[at] ^= 1;
    }
}

static void rows_signed_twice_are_found(void **state)
{
    (void)state;
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    uint8_t other[32] = { 9 };
    uint64_t last;
    bool open;
    assert_int_equal(share_outbox_last(town.a.o, &last), 0);
    sign_head(&town.a, &town.a.keys->self, 0, share_Table_HEAD, last, other, &envelope);
    assert_int_equal(take_head(&town.b, buf_slice(&envelope)), 0);
    assert_true(found(&town.b, FINDING_ROWS_DIFFER, &open) && open);
    buf_clear(&envelope);
    assert_int_equal(share_head_sign(town.a.o, last, town.now_ms, &envelope), 0);
    assert_int_equal(take_head(&town.b, buf_slice(&envelope)), 0);
    assert_true(found(&town.b, FINDING_ROWS_DIFFER, &open) && !open);
}

static void rows_that_exist_and_do_not_come_are_found(void **state)
{
    (void)state;
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    uint64_t last;
    bool open;
    shop_user(&town.a, "bob", 1);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    begin(&t, &town.a);
    assert_int_equal(keyset_issue(town.a.o, town.now_ms), 0); /* a row that nobody carries */
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(share_outbox_last(town.a.o, &last), 0);
    assert_int_equal(share_head_sign(town.a.o, last, town.now_ms, &envelope), 0);
    assert_int_equal(take_head(&town.b, buf_slice(&envelope)), 0);
    begin(&t, &town.b);
    assert_int_equal(share_progress_judge(town.b.o, true, 1000, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_true(found(&town.b, FINDING_ROWS_MISSING, &open) && open);
    town_share(&town);
    begin(&t, &town.b);
    assert_int_equal(share_progress_judge(town.b.o, true, 1000, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_true(found(&town.b, FINDING_ROWS_MISSING, &open) && !open);
}

/* Emptied rows keep their place in the chain: who took them full and who takes them empty come to the same. */
static void emptied_rows_keep_the_chain(void **state)
{
    (void)state;
    struct share_progress full, empty;
    struct town late;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct buf rows CLEANUP(buf_free) = buf(1 << 20);
    uint64_t last;
    uint32_t count;
    assert_int_equal(share_progress(town.b.o, number_of_a, &full), 0);
    begin(&t, &town.a);
    assert_int_equal(share_forget_range(town.a.o, 2, full.taken), 0);
    assert_int_equal(share_forget_range(town.a.o, 2, full.taken), 0); /* again is harmless */
    assert_int_equal(transaction_commit(&t), 0);
    town_init(&late);
    assert_int_equal(share_outbox_read(town.a.o, 0, 1000, 1 << 20, &rows, &count, &last), 0);
    struct reader list = reader(buf_slice(&rows));
    struct slice envelope;
    begin(&t, &late.b);
    while (codec_list_next(&list, SHARE_ENVELOPE_MAX, &envelope) == 0)
        assert_int_equal(share_apply(late.b.o, envelope, town.now_ms), 0);
    int64_t number;
    assert_int_equal(operations_distributor(late.b.o, &town.a.keys->self, &number), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(share_progress(late.b.o, number, &empty), 0);
    assert_int_equal(empty.taken, full.taken);
    assert_memory_equal(empty.head, full.head, 32);
    town_deinit(&late);
}

/* Two keysets of one sequence: the first stays, and the operator hears of it. */
static void two_keysets_of_one_sequence_are_found(void **state)
{
    (void)state;
    struct buf first CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX), second CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    doc_Keyset *judged CLEANUP(freep) = calloc(1, sizeof(*judged));
    struct id signer_id;
    struct signer root;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int64_t number;
    bool open;
    assert_int_equal(keyset_current(town.a.o, &first), 0);
    assert_int_equal(document_open_keyset(buf_slice(&first), k, &signer_id), 0);
    k->ends_ms++;
    signer_from_pair(&root, &town.a.keys->root);
    assert_int_equal(document_sign(&second, DOCUMENT_KEYSET, k, &root), 0);
    begin(&t, &town.b);
    assert_int_equal(keyset_store(town.b.o, &town.a.keys->self, buf_slice(&first), town.now_ms, &number), 0);
    assert_int_equal(keyset_store(town.b.o, &town.a.keys->self, buf_slice(&second), town.now_ms, &number),
                     KEYSET_DIFFERS);
    assert_int_equal(
        keyset_meet(town.b.o, &town.a.keys->self, buf_slice(&second), town.a.keys->tls.public_key, town.now_ms, judged),
        REASON_KEYSET_INVALID);
    assert_int_equal(keyset_of(town.b.o, number, judged), 0);
    assert_int_equal(judged->ends_ms + 1, k->ends_ms);
    assert_int_equal(transaction_commit(&t), 0);
    assert_true(found(&town.b, FINDING_KEYSET_DIFFERS, &open) && open);
}

static void an_older_keyset_is_refused_and_found(void **state)
{
    (void)state;
    struct buf old CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX), new CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    doc_Keyset *judged CLEANUP(freep) = calloc(1, sizeof(*judged));
    struct transaction t CLEANUP(transaction_end) = { 0 };
    bool open;
    const struct id *a = &town.a.keys->self;
    assert_int_equal(keyset_current(town.a.o, &old), 0);
    begin(&t, &town.a);
    assert_int_equal(keyset_issue(town.a.o, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(keyset_current(town.a.o, &new), 0);
    begin(&t, &town.b);
    const uint8_t *key = town.a.keys->tls.public_key;
    assert_int_equal(keyset_meet(town.b.o, a, buf_slice(&new), key, town.now_ms, judged), 0);
    assert_int_equal(keyset_meet(town.b.o, a, buf_slice(&old), key, town.now_ms, judged), REASON_KEYSET_INVALID);
    assert_int_equal(transaction_commit(&t), 0);
    assert_true(found(&town.b, FINDING_KEYSET_OLDER, &open) && open);
}

/* A's own history accuses it. */
static void watch(const share_CopyHistory *row, const struct id *of_destination)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    struct buf bytes CLEANUP(buf_free) = buf(4000), envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    struct share_progress p;
    struct signer signer;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    share_CopyHistory m = *row;
    memcpy(m.destination_distributor, of_destination->bytes, ID_BYTES);
    assert_int_equal(share_progress(town.b.o, number_of_a, &p), 0);
    assert_int_equal(CODEC_ENCODE(share_CopyHistory, &bytes, &m), 0);
    assert_int_equal(CODEC_SET_BYTES(share->row, buf_slice(&bytes)), 0);
    memcpy(share->origin, town.a.keys->self.bytes, ID_BYTES);
    share->sequence = p.taken + 1;
    share->table = share_Table_COPY_HISTORY;
    signer_from_pair(&signer, &town.a.keys->license);
    assert_int_equal(document_sign(&envelope, DOCUMENT_SHARE, share, &signer), 0);
    begin(&t, &town.b);
    assert_int_equal(share_apply(town.b.o, buf_slice(&envelope), town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static void copies_beyond_a_delegation_are_found(void **state)
{
    (void)state;
    bool open;
    const uint64_t now = (uint64_t)town.now_ms, day = (uint64_t)TOWN_DAY_MS;
    const struct id *b = &town.b.keys->self;
    share_CopyHistory row = {
        .serial = { 1 }, .content = { 2 }, .issued_ms = now, .ends_ms = now + 7 * day, .state = 1
    };
    town_ask(&town.a, &town.b); /* B delegates for 30 days */
    watch(&row, b);
    assert_false(found(&town.b, FINDING_BEYOND_DELEGATION, &open));
    row.ends_ms = now + 31 * day;
    watch(&row, &town.a.keys->self); /* of another's clients: not ours to judge */
    assert_false(found(&town.b, FINDING_BEYOND_DELEGATION, &open));
    watch(&row, b); /* lasts longer than it may */
    assert_true(found(&town.b, FINDING_BEYOND_DELEGATION, &open) && open);
}

static void copies_of_a_withdrawn_partner_are_found(void **state)
{
    (void)state;
    bool open;
    const uint64_t now = (uint64_t)town.now_ms, day = (uint64_t)TOWN_DAY_MS;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    share_CopyHistory row = { .serial = { 1 }, .content = { 2 }, .issued_ms = now, .ends_ms = now + day, .state = 1 };
    town_ask(&town.a, &town.b);
    begin(&t, &town.b);
    bool told;
    assert_int_equal(delegations_partner_withdraw(town.b.o, &town.a.keys->self, town.now_ms, &told), 0);
    assert_true(told);
    assert_int_equal(transaction_commit(&t), 0);
    watch(&row, &town.b.keys->self); /* from before */
    assert_false(found(&town.b, FINDING_BEYOND_DELEGATION, &open));
    row.issued_ms = now + day / 2;
    watch(&row, &town.b.keys->self);
    assert_true(found(&town.b, FINDING_BEYOND_DELEGATION, &open) && open);
}

static void copies_of_our_own_content_are_found(void **state)
{
    (void)state;
    bool open;
    const uint64_t now = (uint64_t)town.now_ms;
    share_CopyHistory row = { .serial = { 1 }, .issued_ms = now, .ends_ms = now + 1000, .state = 1 };
    struct id content = shop_publish(&town.b, "Ours", 100, 10, 3, 1);
    memcpy(row.content, content.bytes, ID_BYTES);
    town_ask(&town.a, &town.b);
    watch(&row, &town.b.keys->self);
    assert_true(found(&town.b, FINDING_BEYOND_DELEGATION, &open) && open);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(both_ends_come_to_the_same_head),
        TEST(a_head_is_its_origins_word_alone),
        TEST(rows_signed_twice_are_found),
        TEST(rows_that_exist_and_do_not_come_are_found),
        TEST(emptied_rows_keep_the_chain),
        TEST(two_keysets_of_one_sequence_are_found),
        TEST(an_older_keyset_is_refused_and_found),
        TEST(copies_beyond_a_delegation_are_found),
        TEST(copies_of_a_withdrawn_partner_are_found),
        TEST(copies_of_our_own_content_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
