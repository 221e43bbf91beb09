/* Chains, heads and findings: what shows that two members were told different things, and that somebody went back. */
#include "town.h"

#include <stdlib.h>

#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/findings.h"
#include "distributor/share_chain.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_empty.h"
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

/* --- Empty rows ------------------------------------------------------------------------------------------------------ */

/* Another member that reads A's outbox from its beginning, as it is now. */
static void read_all(struct town *late, int64_t *number, struct share_progress *progress)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct buf rows CLEANUP(buf_free) = buf(1 << 20);
    uint64_t last;
    uint32_t count;
    assert_int_equal(share_outbox_read(town.a.o, 0, 1000, 1 << 20, &rows, &count, &last), 0);
    struct reader list = reader(buf_slice(&rows));
    struct slice envelope;
    begin(&t, &late->b);
    while (codec_list_next(&list, SHARE_ENVELOPE_MAX, &envelope) == 0)
        assert_int_equal(share_apply(late->b.o, envelope, town.now_ms), 0);
    assert_int_equal(operations_distributor(late->b.o, &town.a.keys->self, number), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(share_progress(late->b.o, *number, progress), 0);
}

static bool judged(struct shop *s, enum finding what, int64_t patience_ms)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    bool open = false;
    begin(&t, s);
    assert_int_equal(share_progress_judge(s->o, false, patience_ms, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
    return found(s, what, &open) && open;
}

static uint64_t put_user(const char *user, uint8_t device, bool removed)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    share_ClientUser row = { .registered_ms = 1 };
    uint64_t last;
    memset(row.client, device, sizeof(row.client));
    CODEC_SET_TEXT(row.user, user);
    CODEC_SET_TEXT(row.name, "thing");
    begin(&t, &town.a);
    assert_int_equal(SHARE_PUT(town.a.o, CLIENT_USER, removed, share_ClientUser, &row), 0);
    assert_int_equal(share_outbox_last(town.a.o, &last), 0);
    assert_int_equal(transaction_commit(&t), 0);
    return last;
}

static void take(struct slice envelope, enum share_via via)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    begin(&t, &town.b);
    assert_int_equal(share_take(town.b.o, envelope, via, town.now_ms, NULL), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static bool is_withheld(void)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    bool open = false;
    begin(&t, &town.b);
    assert_int_equal(share_progress_judge(town.b.o, true, 0, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
    return found(&town.b, FINDING_DIRECTORY_WITHHOLDS, &open) && open;
}

/* A directory that holds rows back says nothing by bytes of its own under their numbers. */
static void what_the_directory_gives_is_the_origins(void **state)
{
    (void)state;
    struct buf rows CLEANUP(buf_free) = buf(1 << 16), forged CLEANUP(buf_free) = buf(1024);
    uint8_t chain[32] = { 1 };
    uint64_t before, last, end;
    uint32_t count;
    struct slice envelope;
    assert_int_equal(share_outbox_last(town.a.o, &before), 0);
    last = put_user("bob", 7, false);
    assert_int_equal(last, before + 1);
    assert_int_equal(share_outbox_read(town.a.o, before, 1, 1 << 16, &rows, &count, &end), 0);
    struct reader list = reader(buf_slice(&rows));
    assert_int_equal(codec_list_next(&list, SHARE_ENVELOPE_MAX, &envelope), 0);
    take(envelope, SHARE_VIA_ORIGIN);
    assert_true(is_withheld());
    sign_head(&town.b, &town.a.keys->self, last, share_Table_HEAD, 1, chain, &forged);
    take(buf_slice(&forged), SHARE_VIA_DIRECTORY);
    assert_true(is_withheld());
    take(envelope, SHARE_VIA_DIRECTORY);
    assert_false(is_withheld());
}

/* Emptied rows keep their place in the chain, and are told of: who took them full and who takes them empty come to the same. */
static void emptied_rows_keep_the_chain(void **state)
{
    (void)state;
    struct share_progress full, empty;
    struct town late;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int64_t number;
    uint64_t first = put_user("carl", 7, true), last = put_user("carl", 8, true), after;
    town_share(&town);
    begin(&t, &town.a);
    assert_int_equal(share_forget_range(town.a.o, first, last), 0);
    assert_int_equal(share_outbox_last(town.a.o, &after), 0);
    assert_int_equal(after, last + 1);                               /* one row for both */
    assert_int_equal(share_forget_range(town.a.o, first, after), 0); /* again is harmless; what tells of them stays */
    assert_int_equal(transaction_commit(&t), 0);
    town_share(&town);
    assert_int_equal(share_progress(town.b.o, number_of_a, &full), 0);
    town_init(&late);
    read_all(&late, &number, &empty);
    assert_int_equal(empty.taken, full.taken);
    assert_memory_equal(empty.head, full.head, 32);
    assert_false(judged(&late.b, FINDING_ROWS_HIDDEN, 0) || judged(&late.b, FINDING_ROWS_TAKEN_BACK, 0));
    assert_false(judged(&town.b, FINDING_ROWS_HIDDEN, 0) || judged(&town.b, FINDING_ROWS_TAKEN_BACK, 0));
    town_deinit(&late);
}

/* A writes an empty row over one of its own, as share_forget.c would, and tells nobody. */
static void hide(uint64_t sequence)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    struct buf was CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX), row CLEANUP(buf_free) = buf(64),
                   envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    share_Emptied emptied;
    struct signer signer;
    begin(&t, &town.a);
    {
        struct query q CLEANUP(query_end) = query(town.a.o->store, OUTBOX_GET);
        query_bind_u64(&q, 1, sequence);
        assert_int_equal(query_one(&q), 0);
        query_append(&q, 0, &was);
    }
    sha256(buf_slice(&was), emptied.digest);
    assert_int_equal(CODEC_ENCODE(share_Emptied, &row, &emptied), 0);
    assert_int_equal(CODEC_SET_BYTES(share->row, buf_slice(&row)), 0);
    memcpy(share->origin, town.a.keys->self.bytes, ID_BYTES);
    share->sequence = sequence;
    share->removed = true;
    signer_from_pair(&signer, &town.a.keys->license);
    assert_int_equal(document_sign(&envelope, DOCUMENT_SHARE, share, &signer), 0);
    struct query q CLEANUP(query_end) = query(town.a.o->store, OUTBOX_SET);
    query_bind_u64(&q, 1, sequence);
    query_bind_blob(&q, 2, buf_slice(&envelope));
    assert_int_equal(query_run(&q), 0);
    query_end(&q);
    assert_int_equal(transaction_commit(&t), 0);
}

static void tell(uint64_t first, uint64_t last)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    begin(&t, &town.a);
    assert_int_equal(share_empty_tell(town.a.o, first, last), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

/* One reader was given the row, another its empty place: the chain is the same, and whichever way it is told, or not, one of them finds it. */
static void who_is_shown_something_else_finds_it(void **state)
{
    (void)state;
    struct share_progress full, empty;
    struct town late;
    int64_t number;
    uint64_t row = put_user("carl", 7, false);
    town_share(&town);
    hide(row);
    town_init(&late);
    read_all(&late, &number, &empty);
    assert_int_equal(share_progress(town.b.o, number_of_a, &full), 0);
    assert_int_equal(empty.taken, full.taken);
    assert_memory_equal(empty.head, full.head, 32);
    town.now_ms += 1000;
    assert_false(judged(&late.b, FINDING_ROWS_HIDDEN, 1001)); /* what tells of it may be on its way */
    assert_true(judged(&late.b, FINDING_ROWS_HIDDEN, 1000));
    assert_false(judged(&town.b, FINDING_ROWS_TAKEN_BACK, 0));
    tell(row, row);
    read_all(&late, &number, &empty);
    town_share(&town);
    assert_false(judged(&late.b, FINDING_ROWS_HIDDEN, 0));
    assert_true(judged(&town.b, FINDING_ROWS_TAKEN_BACK, 0)); /* nothing came after it: who has read it goes by it */
    put_user("carl", 7, true);
    town_share(&town);
    assert_false(judged(&town.b, FINDING_ROWS_TAKEN_BACK, 0));
    town_deinit(&late);
}

/* What tells beforehand, or of itself, tells nothing. */
static void nobody_tells_beforehand(void **state)
{
    (void)state;
    struct share_progress p;
    struct town late;
    int64_t number;
    uint64_t last;
    assert_int_equal(share_outbox_last(town.a.o, &last), 0);
    tell(1, last + 2);
    hide(put_user("carl", 7, false));
    town_init(&late);
    read_all(&late, &number, &p);
    assert_true(judged(&late.b, FINDING_ROWS_HIDDEN, 0));
    town_deinit(&late);
}

/* An earlier version has emptied rows and told nobody: this one does, once. */
static void what_was_emptied_before_is_told_of(void **state)
{
    (void)state;
    struct share_progress p;
    struct town late;
    int64_t number;
    uint64_t first = put_user("carl", 7, true), between, last, told;
    put_user("carl", 8, true);
    between = put_user("carl", 9, true);
    last = put_user("carl", 10, true);
    hide(first);
    hide(first + 1);
    hide(last);
    for (int i = 0; i < 4; i++) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        begin(&t, &town.a);
        if (i == 0)
            assert_int_equal(operations_counter_set(town.a.o, "emptied-told", 0),
                             0); /* as a database of that version */
        assert_int_equal(share_empty_tell_before(town.a.o), 0);
        assert_int_equal(transaction_commit(&t), 0);
    }
    assert_int_equal(share_outbox_last(town.a.o, &told), 0);
    assert_int_equal(told, last + 2);
    town_init(&late);
    read_all(&late, &number, &p);
    assert_false(judged(&late.b, FINDING_ROWS_HIDDEN, 0));
    hide(between);
    town_deinit(&late);
    town_init(&late);
    read_all(&late, &number, &p);
    assert_true(judged(&late.b, FINDING_ROWS_HIDDEN, 0));
    town_deinit(&late);
}

static uint64_t outbox_last(void)
{
    uint64_t last;
    assert_int_equal(share_outbox_last(town.a.o, &last), 0);
    return last;
}

/* Before what names carl is emptied it is replaced, where nothing has replaced it: not what another one has by now. */
static void nothing_is_emptied_that_holds(void **state)
{
    (void)state;
    uint64_t before = outbox_last(), last;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    put_user("carl", 7, false); /* removed later */
    put_user("carl", 8, false); /* another one's later */
    put_user("carl", 9, false); /* his at the end */
    put_user("carl", 7, true);
    last = put_user("bob", 8, false);
    town_share(&town);
    begin(&t, &town.a);
    assert_int_equal(share_forget_first(town.a.o, "carl", NULL, 0, last), 0);
    assert_int_equal(share_forget(town.a.o, "carl", NULL, 0, last), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(last, before + 5);
    assert_int_equal(outbox_last(), last + 2); /* one is removed; four that follow one another are told of */
    town_share(&town);
    assert_false(judged(&town.b, FINDING_ROWS_TAKEN_BACK, 0) || judged(&town.b, FINDING_ROWS_HIDDEN, 0));
    begin(&t, &town.a);
    assert_int_equal(share_forget_range(town.a.o, last, last + 1), 0); /* bob's row holds: it is no removal */
    assert_int_equal(transaction_commit(&t), 0);
    town_share(&town);
    assert_false(judged(&town.b, FINDING_ROWS_TAKEN_BACK, 0) || judged(&town.b, FINDING_ROWS_HIDDEN, 0));
}

/* Keys are what stands before the bar in docs/FORMATS.md. */
static void keys_of_rows(void **state)
{
    (void)state;
    static const uint8_t client[] = { 0x0a, 2, 1, 2, 0x12, 1, 'u' }, link[] = { 0x0a, 1, 'u', 0x12, 2, 3, 4, 0x1a, 0 };
    const struct {
        const char *name;
        uint32_t table;
        struct slice row;
        size_t key; /* bytes; 0: none */
    } cases[] = {
        { "one field", share_Table_CLIENT_USER, SLICE_ARRAY(client), 4 },
        { "three fields", share_Table_LINK, SLICE_ARRAY(link), 9 },
        { "cut off", share_Table_LINK, slice(link, 7), 0 },
        { "cut off in a field", share_Table_CLIENT_USER, slice(client, 3), 0 },
        { "another field first", share_Table_CLIENT_USER, slice(client + 4, 3), 0 },
        { "nothing", share_Table_CLIENT_USER, slice(client, 0), 0 },
        { "a table without keys", share_Table_KEYSET, SLICE_ARRAY(client), 0 },
        { "no table", 4, SLICE_ARRAY(client), 0 },
        { "no table at all", UINT32_MAX, SLICE_ARRAY(client), 0 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct slice key = slice(NULL, 0);
        bool has = share_row_key(cases[i].table, cases[i].row, &key);
        if (has != (cases[i].key > 0) || key.len != cases[i].key)
            fail_msg("%s: %d, %zu bytes", cases[i].name, has, key.len);
    }
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
    /* A stranger who has heard it once, and one who makes one up, accuse nobody. */
    assert_int_equal(keyset_meet(town.b.o, a, buf_slice(&old), town.b.keys->tls.public_key, town.now_ms, judged),
                     REASON_KEYSET_INVALID);
    struct buf forged CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    struct id signer_id;
    struct signer stranger;
    signer_from_pair(&stranger, &town.b.keys->root);
    assert_int_equal(document_open_keyset(buf_slice(&old), judged, &signer_id), 0);
    assert_int_equal(document_sign(&forged, DOCUMENT_KEYSET, judged, &stranger), 0);
    assert_int_equal(keyset_meet(town.b.o, a, buf_slice(&forged), key, town.now_ms, judged), REASON_KEYSET_INVALID);
    assert_int_equal(transaction_commit(&t), 0);
    assert_false(found(&town.b, FINDING_KEYSET_OLDER, &open));
    begin(&t, &town.b);
    assert_int_equal(keyset_meet(town.b.o, a, buf_slice(&old), key, town.now_ms, judged), REASON_KEYSET_INVALID);
    assert_int_equal(transaction_commit(&t), 0);
    assert_true(found(&town.b, FINDING_KEYSET_OLDER, &open) && open);
}

static bool proves_older(struct shop *s, struct slice envelope)
{
    bool yes;
    uint64_t sequence;
    assert_int_equal(keyset_proves_older(s->o, envelope, &yes, &sequence), 0);
    return yes;
}

/* A keyset of ours that we do not know, by our root key alone: who was put back from an older copy is shown it. */
static void only_its_own_root_key_proves_an_older_copy(void **state)
{
    (void)state;
    struct buf now CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX), later CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX),
                   forged CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX),
                   other CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct id signer_id;
    struct signer root, stranger;
    signer_from_pair(&root, &town.a.keys->root);
    signer_from_pair(&stranger, &town.b.keys->root);
    assert_int_equal(keyset_current(town.a.o, &now), 0);
    assert_int_equal(document_open_keyset(buf_slice(&now), k, &signer_id), 0);
    assert_false(proves_older(&town.a, buf_slice(&now)));
    assert_false(proves_older(&town.a, slice("", 0)));
    k->ends_ms++; /* of one number, another one */
    assert_int_equal(document_sign(&other, DOCUMENT_KEYSET, k, &root), 0);
    assert_true(proves_older(&town.a, buf_slice(&other)));
    k->sequence++;
    assert_int_equal(document_sign(&later, DOCUMENT_KEYSET, k, &root), 0);
    assert_true(proves_older(&town.a, buf_slice(&later)));
    assert_false(proves_older(&town.b, buf_slice(&later)));
    assert_int_equal(document_sign(&forged, DOCUMENT_KEYSET, k, &stranger), 0);
    assert_false(proves_older(&town.a, buf_slice(&forged)));
    later.data[later.len / 2] ^= 1;
    assert_false(proves_older(&town.a, buf_slice(&later)));
    later.data[later.len / 2] ^= 1;
    begin(&t, &town.a); /* as `restore` leaves it without the root key: the keyset of before, numbers far beyond */
    assert_int_equal(operations_counter_set(town.a.o, "keyset", k->sequence + 1), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_false(proves_older(&town.a, buf_slice(&later)));
    assert_false(proves_older(&town.a, buf_slice(&other)));
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
        TEST(what_the_directory_gives_is_the_origins),
        TEST(emptied_rows_keep_the_chain),
        TEST(who_is_shown_something_else_finds_it),
        TEST(nobody_tells_beforehand),
        TEST(what_was_emptied_before_is_told_of),
        TEST(nothing_is_emptied_that_holds),
        TEST(keys_of_rows),
        TEST(two_keysets_of_one_sequence_are_found),
        TEST(an_older_keyset_is_refused_and_found),
        TEST(only_its_own_root_key_proves_an_older_copy),
        TEST(copies_beyond_a_delegation_are_found),
        TEST(copies_of_a_withdrawn_partner_are_found),
        TEST(copies_of_our_own_content_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
