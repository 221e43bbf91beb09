/* Receiving a body: against its twin in memory, with loss, repeats, cuts, damage, kills and power losses at random but
 * repeatable moments, and against hostile answers one by one. */
#include "protocol/receive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "crypto/merkle.h"
#include "protocol/documents.h"

#define BLOCKS 23
#define BLOCK_BYTES (BLOCK_PLAIN_MIN + BLOCK_OVERHEAD_BYTES)
#define LAST_PLAIN 100
#define PLAIN_BYTES ((BLOCKS - 1) * BLOCK_PLAIN_MIN + LAST_PLAIN)
#define WINDOW (5 * BLOCK_BYTES)
#define SYNC (6 * BLOCK_BYTES)

/* A body at its source. */
struct body {
    struct buf info;
    uint8_t blocks[BLOCKS][BLOCK_BYTES];
    uint8_t list[BLOCKS * 32], list_root[32];
    struct id content;
};

static size_t len_of(uint32_t index) { return index == BLOCKS - 1 ? LAST_PLAIN + BLOCK_OVERHEAD_BYTES : BLOCK_BYTES; }

static struct body *body_new(void)
{
    struct body *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    doc_ContentInfo info = { .plain_bytes = PLAIN_BYTES, .block_bytes = BLOCK_PLAIN_MIN, .block_count = BLOCKS };
    CODEC_SET_TEXT(info.media_type, "audio/flac");
    b->info = buf(BODY_INFO_MAX);
    assert_int_equal(CODEC_ENCODE(doc_ContentInfo, &b->info, &info), 0);
    struct rng_fake fake;
    rng_fake_init(&fake, 99);
    rng_fill(&fake.rng, b->blocks, sizeof(b->blocks));
    for (uint32_t i = 0; i < BLOCKS; i++)
        block_hash(slice(b->blocks[i], len_of(i)), b->list + (size_t)i * 32);
    merkle_root(b->list, BLOCKS, b->list_root);
    body_content_id(buf_slice(&b->info), b->list_root, &b->content);
    return b;
}
static void body_free(struct body *b)
{
    buf_free(&b->info);
    free(b);
}

/* ---- the twin ------------------------------------------------------------------------------------------------ */

struct question {
    enum receive_action_kind kind;
    unsigned source;
    uint32_t first, count, answered;
};
struct job { /* on the pool: verify and write */
    uint32_t index;
    unsigned source;
    uint32_t life; /* of the source that brought it */
    bool damaged;
};
#define SOURCES 3 /* at most, at a time */
struct world {
    struct body *body;
    struct receive r;
    struct rng_fake dice;
    int64_t now_ms;
    unsigned sources;                   /* 1 in the gentle world */
    uint32_t lives[SPREAD_SOURCES_MAX]; /* of each number, how many there have been */
    /* wire */
    struct question questions[128];
    size_t question_count;
    /* pool */
    struct job jobs[BLOCKS * SOURCES];
    size_t job_count;
    bool syncing;
    /* disk: as after a kill, and as after a power loss; sync_from is what a running sync will make durable */
    uint8_t written[BLOCKS], synced[BLOCKS], sync_from[BLOCKS];
    bool file; /* made by PREPARE */
    /* figures */
    uint64_t sent_bytes, twice_bytes, kills, power_losses, cuts, damages;
    bool gentle;
};

static uint32_t roll(struct world *w, uint32_t sides)
{
    uint32_t v;
    rng_fill(&w->dice.rng, &v, sizeof(v));
    return v % sides;
}

static uint64_t outstanding(const struct world *w)
{
    uint64_t bytes = 0;
    for (size_t q = 0; q < w->question_count; q++)
        for (uint32_t i = w->questions[q].answered; i < w->questions[q].count; i++)
            if (w->questions[q].kind == RECEIVE_ASK_BLOCKS)
                bytes += len_of(w->questions[q].first + i);
    for (size_t j = 0; j < w->job_count; j++)
        bytes += len_of(w->jobs[j].index);
    return bytes;
}

static void act(struct world *w)
{
    for (;;) {
        struct receive_action a = receive_next(&w->r, w->now_ms);
        switch (a.kind) {
        case RECEIVE_WAIT:
            assert_true(outstanding(w) <= w->sources * WINDOW);
            return;
        case RECEIVE_PREPARE:
            assert_true(receive_list_is_right(&w->r));
            w->file = true;
            {
                uint8_t have[BLOCKS];
                for (uint32_t i = 0; i < BLOCKS; i++)
                    have[i] = w->synced[i] ? RECEIVE_SYNCED : w->written[i] ? RECEIVE_WRITTEN : 0xee;
                receive_prepared(&w->r, have);
            }
            break;
        case RECEIVE_SYNC:
            assert_false(w->syncing);
            w->syncing = true;
            memcpy(w->sync_from, w->written, sizeof(w->written));
            break;
        default:
            assert_true(w->r.spread.sources[a.source].here);
            assert_true(w->question_count < ARRAY_COUNT(w->questions));
            w->questions[w->question_count++] = (struct question){ a.kind, a.source, a.first, a.count, 0 };
        }
    }
}

static void question_done(struct world *w, size_t at)
{
    w->question_count--;
    memmove(w->questions + at, w->questions + at + 1, (w->question_count - at) * sizeof(w->questions[0]));
}

static void cut(struct world *w, unsigned source)
{
    receive_lost(&w->r, source);
    w->lives[source]++;
    for (size_t i = w->question_count; i-- > 0;)
        if (w->questions[i].source == source)
            question_done(w, i);
}

static void answer_blocks(struct world *w, size_t at)
{
    struct question *q = &w->questions[at];
    uint32_t index = q->first + q->answered++;
    w->sent_bytes += len_of(index);
    int outcome = receive_block(&w->r, q->source, index, len_of(index), w->now_ms);
    assert_int_equal(receive_block(&w->r, q->source, index, len_of(index), w->now_ms), RECEIVE_UNASKED); /* a repeat */
    if (outcome == RECEIVE_TWICE) {
        assert_true(w->sources > 1);
        w->twice_bytes += len_of(index);
    } else {
        assert_int_equal(outcome, 0);
        bool damaged = !w->gentle && roll(w, 60) == 0;
        w->damages += damaged;
        w->jobs[w->job_count++] = (struct job){ index, q->source, w->lives[q->source], damaged };
    }
    if (q->answered == q->count)
        question_done(w, at);
}

/* The first question of some source is answered, one piece at a time. */
static void answer(struct world *w)
{
    if (w->question_count == 0)
        return;
    size_t at = 0, picked = roll(w, (uint32_t)w->question_count);
    while (w->questions[at].source != w->questions[picked].source)
        at++;
    struct question *q = &w->questions[at];
    if (q->kind == RECEIVE_ASK_INFO) {
        assert_int_equal(receive_info(&w->r, buf_slice(&w->body->info), w->body->list_root), 0);
        question_done(w, at);
    } else if (q->kind == RECEIVE_ASK_LIST) {
        /* A source may answer with less than was asked. */
        uint32_t count = q->count > 4 ? q->count - roll(w, 4) : q->count;
        struct slice part = slice(w->body->list + (size_t)q->first * 32, (size_t)count * 32);
        assert_int_equal(receive_list(&w->r, q->first, part), 0);
        question_done(w, at);
    } else {
        answer_blocks(w, at);
    }
}

/* The pool finishes some job, not necessarily the oldest. */
static void work(struct world *w)
{
    if (w->job_count == 0)
        return;
    size_t which = roll(w, (uint32_t)w->job_count);
    struct job j = w->jobs[which];
    w->jobs[which] = w->jobs[--w->job_count];
    uint8_t block[BLOCK_BYTES];
    memcpy(block, w->body->blocks[j.index], len_of(j.index));
    block[j.index % LAST_PLAIN] ^= j.damaged;
    bool right = receive_block_is_right(&w->r, j.index, slice(block, len_of(j.index)));
    assert_int_equal(right, !j.damaged);
    if (right)
        w->written[j.index] = 1;
    receive_stored(&w->r, j.index, right);
    if (!right && w->r.spread.sources[j.source].here && w->lives[j.source] == j.life)
        cut(w, j.source);
}

static void finish_sync(struct world *w)
{
    if (!w->syncing)
        return;
    w->syncing = false;
    for (uint32_t i = 0; i < BLOCKS; i++)
        w->synced[i] |= w->sync_from[i];
    receive_synced(&w->r);
}

static void restart(struct world *w)
{
    receive_deinit(&w->r);
    w->question_count = w->job_count = 0;
    w->syncing = false;
    receive_init(&w->r, &w->body->content, WINDOW, SYNC);
}

static void step(struct world *w)
{
    w->now_ms += roll(w, 20);
    uint32_t sides = w->gentle ? 80 : 100;
    uint32_t event = roll(w, sides);
    if (event < 35)
        answer(w);
    else if (event < 65)
        work(w);
    else if (event < 72)
        finish_sync(w);
    else if (event < 80 || w->kills + w->power_losses > 20) {
        if (spread_count(&w->r.spread) < w->sources)
            assert_true(receive_connected(&w->r) >= 0);
    } else if (event < 92) { /* a connection is cut; what the pool has goes on */
        unsigned source = roll(w, SOURCES);
        if (!w->r.spread.sources[source].here)
            return;
        cut(w, source);
        w->cuts++;
    } else if (event < 97) { /* kill -9: what was written stays */
        restart(w);
        w->kills++;
    } else { /* power loss: only what was synced stays */
        memcpy(w->written, w->synced, sizeof(w->synced));
        restart(w);
        w->power_losses++;
    }
    if (w->r.state != RECEIVE_FAILED)
        act(w);
}

static void run(struct body *body, uint64_t seed, bool gentle)
{
    struct world w = { .body = body, .now_ms = 1000, .gentle = gentle, .sources = 1 };
    rng_fake_init(&w.dice, seed);
    if (!gentle)
        w.sources = 1 + (unsigned)(seed % SOURCES);
    receive_init(&w.r, &body->content, WINDOW, SYNC);
    int steps = 0;
    while (w.r.state != RECEIVE_FINISHED) {
        if (w.r.state == RECEIVE_FAILED || ++steps > 100000)
            fail_msg("seed %llu: state %d after %d steps", (unsigned long long)seed, w.r.state, steps);
        step(&w);
    }
    for (uint32_t i = 0; i < BLOCKS; i++)
        assert_int_equal(w.synced[i], 1); /* finished means: it survives a power loss */
    assert_int_equal(receive_next(&w.r, w.now_ms).kind, RECEIVE_WAIT);
    assert_int_equal(receive_stalled(&w.r, INT64_MAX / 2), -1);
    uint64_t total = receive_total_bytes(&w.r);
    assert_int_equal(w.r.stored_bytes, total);
    if (gentle)
        assert_int_equal(w.sent_bytes, total); /* nothing twice */
    else if (w.power_losses == 0)              /* a cut or a kill costs at most a window, damage a block */
        assert_true(w.sent_bytes <= total + w.twice_bytes + (w.cuts + w.damages + w.kills * w.sources) * WINDOW);
    receive_deinit(&w.r);
}

static void gentle_worlds(void **state)
{
    (void)state;
    struct body *b = body_new();
    for (uint64_t seed = 1; seed <= 50; seed++)
        run(b, seed, true);
    body_free(b);
}

static void rough_worlds(void **state)
{
    (void)state;
    struct body *b = body_new();
    for (uint64_t seed = 1; seed <= 2000; seed++)
        run(b, seed, false);
    body_free(b);
}

/* ---- one by one ---------------------------------------------------------------------------------------------- */

static struct receive connected(const struct body *b)
{
    struct receive r;
    receive_init(&r, &b->content, WINDOW, SYNC);
    assert_int_equal(receive_connected(&r), 0);
    return r;
}
static void expect_action(struct receive *r, enum receive_action_kind kind, uint32_t first, uint32_t count)
{
    struct receive_action a = receive_next(r, 0);
    assert_int_equal(a.kind, kind);
    assert_int_equal(a.first, first);
    assert_int_equal(a.count, count);
}
static struct receive at_blocks(const struct body *b, const uint8_t *have)
{
    struct receive r = connected(b);
    assert_int_equal(receive_info(&r, buf_slice(&b->info), b->list_root), 0);
    assert_int_equal(receive_list(&r, 0, SLICE_ARRAY(b->list)), 0);
    expect_action(&r, RECEIVE_PREPARE, 0, 0);
    receive_prepared(&r, have);
    return r;
}

static void questions_in_order(void **state)
{
    (void)state;
    struct body *b = body_new();
    struct receive r;
    receive_init(&r, &b->content, 0, 0);
    expect_action(&r, RECEIVE_WAIT, 0, 0); /* nobody to ask */
    assert_int_equal(receive_connected(&r), 0);
    expect_action(&r, RECEIVE_ASK_INFO, 0, 0);
    expect_action(&r, RECEIVE_WAIT, 0, 0); /* once */
    receive_lost(&r, 0);
    assert_int_equal(receive_connected(&r), 0);
    expect_action(&r, RECEIVE_ASK_INFO, 0, 0); /* and again on the next connection */
    assert_int_equal(receive_info(&r, buf_slice(&b->info), b->list_root), 0);
    expect_action(&r, RECEIVE_ASK_LIST, 0, BLOCKS);
    assert_int_equal(receive_list(&r, 0, slice(b->list, 3 * 32)), 0);
    expect_action(&r, RECEIVE_ASK_LIST, 3, BLOCKS - 3);
    assert_int_equal(receive_list(&r, 3, slice(b->list + 96, sizeof(b->list) - 96)), 0);
    expect_action(&r, RECEIVE_PREPARE, 0, 0);
    expect_action(&r, RECEIVE_WAIT, 0, 0);
    receive_prepared(&r, NULL);
    expect_action(&r, RECEIVE_ASK_BLOCKS, 0, BLOCKS);
    receive_deinit(&r);
    body_free(b);
}

static void wrong_information(void **state)
{
    (void)state;
    struct body *b = body_new();
    for (size_t at = 0; at < b->info.len; at++) {
        struct receive r = connected(b);
        b->info.data[at] ^= 1;
        assert_int_equal(receive_info(&r, buf_slice(&b->info), b->list_root), RECEIVE_WRONG);
        b->info.data[at] ^= 1;
        assert_int_equal(r.state, RECEIVE_INFO);
        receive_deinit(&r);
    }
    struct receive r = connected(b);
    uint8_t root[32];
    memcpy(root, b->list_root, 32);
    root[31] ^= 1;
    assert_int_equal(receive_info(&r, buf_slice(&b->info), root), RECEIVE_WRONG);
    assert_int_equal(r.state, RECEIVE_INFO);
    receive_deinit(&r);
    body_free(b);
}

static void wrong_lists(void **state)
{
    (void)state;
    struct body *b = body_new();
    uint8_t longer[sizeof(b->list) + 32] = { 0 };
    memcpy(longer, b->list, sizeof(b->list));
    struct receive r = connected(b);
    assert_int_equal(receive_list(&r, 0, SLICE_ARRAY(b->list)), RECEIVE_UNASKED); /* before the information */
    assert_int_equal(receive_info(&r, buf_slice(&b->info), b->list_root), 0);
    assert_int_equal(receive_info(&r, buf_slice(&b->info), b->list_root), RECEIVE_UNASKED);
    assert_int_equal(receive_list(&r, 0, SLICE_ARRAY(longer)), RECEIVE_UNASKED);
    assert_int_equal(receive_list(&r, 0, slice(b->list, 33)), RECEIVE_UNASKED);
    assert_int_equal(receive_list(&r, 0, slice(b->list, 0)), RECEIVE_UNASKED);
    assert_int_equal(receive_list(&r, 1, slice(b->list, 32)), RECEIVE_UNASKED);
    assert_int_equal(receive_list(&r, UINT32_MAX, slice(b->list, 32)), RECEIVE_UNASKED);
    longer[40] ^= 1;
    assert_int_equal(receive_list(&r, 0, slice(longer, sizeof(b->list))), 0);
    assert_false(receive_list_is_right(&r));
    receive_fail(&r, REASON_CONTENT_ID_MISMATCH);
    receive_prepared(&r, NULL); /* the pool was already at it */
    assert_int_equal(r.state, RECEIVE_FAILED);
    receive_deinit(&r);
    body_free(b);
}

static void wrong_blocks(void **state)
{
    (void)state;
    struct body *b = body_new();
    struct receive r = at_blocks(b, NULL);
    expect_action(&r, RECEIVE_ASK_BLOCKS, 0, 5);
    expect_action(&r, RECEIVE_WAIT, 0, 0);
    assert_int_equal(receive_block(&r, 0, 5, BLOCK_BYTES, 0), RECEIVE_UNASKED);
    assert_int_equal(receive_block(&r, 0, BLOCKS, BLOCK_BYTES, 0), RECEIVE_UNASKED);
    assert_int_equal(receive_block(&r, 0, UINT32_MAX, BLOCK_BYTES, 0), RECEIVE_UNASKED);
    static const size_t lengths[] = { 0, 1, BLOCK_BYTES - 1, BLOCK_BYTES + 1, SIZE_MAX };
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++)
        assert_int_equal(receive_block(&r, 0, 0, lengths[i], 0), RECEIVE_UNASKED);
    receive_deinit(&r);
    uint8_t have[BLOCKS];
    memset(have, RECEIVE_SYNCED, sizeof(have));
    have[7] = RECEIVE_MISSING; /* damaged for ever */
    r = at_blocks(b, have);
    expect_action(&r, RECEIVE_ASK_BLOCKS, 7, 1);
    assert_int_equal(receive_block(&r, 0, 7, BLOCK_BYTES, 0), 0);
    receive_stored(&r, 7, false);
    expect_action(&r, RECEIVE_ASK_BLOCKS, 7, 1); /* again, until its source is dropped */
    receive_lost(&r, 0);
    expect_action(&r, RECEIVE_WAIT, 0, 0);
    assert_int_equal(receive_connected(&r), 0);
    expect_action(&r, RECEIVE_ASK_BLOCKS, 7, 1);
    assert_int_equal(r.state, RECEIVE_BLOCKS);
    receive_deinit(&r);
    body_free(b);
}

static void stalls(void **state)
{
    (void)state;
    struct body *b = body_new();
    struct receive r = connected(b);
    assert_int_equal(receive_stalled(&r, INT64_MAX / 2), -1);
    assert_int_equal(receive_next(&r, 500).kind, RECEIVE_ASK_INFO);
    assert_int_equal(receive_stalled(&r, 500 + RECEIVE_STALL_MS - 1), -1);
    assert_int_equal(receive_stalled(&r, 500 + RECEIVE_STALL_MS), 0);
    receive_lost(&r, 0);
    assert_int_equal(receive_stalled(&r, INT64_MAX / 2), -1);
    receive_deinit(&r);
    r = at_blocks(b, NULL);
    assert_int_equal(receive_next(&r, 1000).kind, RECEIVE_ASK_BLOCKS);
    assert_int_equal(receive_stalled(&r, 1000 + RECEIVE_STALL_MS - 1), -1);
    assert_int_equal(receive_stalled(&r, 1000 + RECEIVE_STALL_MS), 0);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(receive_block(&r, 0, i, BLOCK_BYTES, 2000 + i), 0);
    assert_int_equal(receive_stalled(&r, INT64_MAX / 2), -1); /* a slow disk is not the source's fault */
    receive_deinit(&r);
    body_free(b);
}

/* A list comes from one source. When it is not the root's, that source is to be dropped, and another is asked for all of it. */
static void lists_of_several_sources(void **state)
{
    (void)state;
    struct body *b = body_new();
    struct receive r = connected(b);
    assert_int_equal(receive_connected(&r), 1);
    assert_int_equal(receive_info(&r, buf_slice(&b->info), b->list_root), 0);
    expect_action(&r, RECEIVE_ASK_LIST, 0, BLOCKS);
    assert_int_equal(receive_list(&r, 0, slice(b->list, 5 * 32)), 0);
    expect_action(&r, RECEIVE_ASK_LIST, 5, BLOCKS - 5);
    receive_lost(&r, 0); /* what it has brought of the list goes with it */
    struct receive_action a = receive_next(&r, 0);
    assert_int_equal(a.kind, RECEIVE_ASK_LIST);
    assert_int_equal(a.source, 1);
    assert_int_equal(a.first, 0);
    uint8_t wrong[sizeof(b->list)];
    memcpy(wrong, b->list, sizeof(wrong));
    wrong[64] ^= 1;
    assert_int_equal(receive_list(&r, 0, SLICE_ARRAY(wrong)), 0);
    expect_action(&r, RECEIVE_PREPARE, 0, 0);
    assert_false(receive_list_is_right(&r));
    assert_int_equal(receive_connected(&r), 0);
    assert_int_equal(receive_list_is_wrong(&r), 1);
    receive_lost(&r, 1);
    a = receive_next(&r, 0);
    assert_int_equal(a.kind, RECEIVE_ASK_LIST);
    assert_int_equal(a.source, 0);
    assert_int_equal(receive_list(&r, 0, SLICE_ARRAY(wrong)), 0);
    expect_action(&r, RECEIVE_PREPARE, 0, 0);
    receive_lost(&r, 0); /* it is gone already when its list is judged */
    assert_int_equal(receive_list_is_wrong(&r), -1);
    assert_int_equal(receive_connected(&r), 0);
    expect_action(&r, RECEIVE_ASK_LIST, 0, BLOCKS);
    receive_deinit(&r);
    body_free(b);
}

/* What is there already is not asked for; a complete one only needs its last sync, or nothing at all. */
static void resumes(void **state)
{
    (void)state;
    struct body *b = body_new();
    uint8_t have[BLOCKS];
    memset(have, RECEIVE_SYNCED, sizeof(have));
    struct receive r = at_blocks(b, have);
    assert_int_equal(r.state, RECEIVE_FINISHED);
    receive_deinit(&r);
    have[4] = RECEIVE_WRITTEN;
    r = at_blocks(b, have);
    assert_int_equal(r.state, RECEIVE_SYNCING);
    expect_action(&r, RECEIVE_SYNC, 0, 0);
    receive_synced(&r);
    assert_int_equal(r.state, RECEIVE_FINISHED);
    receive_deinit(&r);
    have[4] = have[9] = have[10] = RECEIVE_MISSING;
    have[22] = RECEIVE_ARRIVED; /* nothing a map may say */
    r = at_blocks(b, have);
    expect_action(&r, RECEIVE_ASK_BLOCKS, 4, 1);
    expect_action(&r, RECEIVE_ASK_BLOCKS, 9, 2);
    expect_action(&r, RECEIVE_ASK_BLOCKS, 22, 1);
    expect_action(&r, RECEIVE_WAIT, 0, 0);
    receive_deinit(&r);
    body_free(b);
}

/* A window smaller than a block moves one by one. */
static void small_window(void **state)
{
    (void)state;
    struct body *b = body_new();
    struct receive r = at_blocks(b, NULL);
    r.window_bytes = 10;
    r.sync_bytes = UINT64_MAX;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        expect_action(&r, RECEIVE_ASK_BLOCKS, i, 1);
        expect_action(&r, RECEIVE_WAIT, 0, 0);
        assert_int_equal(receive_block(&r, 0, i, len_of(i), 0), 0);
        expect_action(&r, RECEIVE_WAIT, 0, 0);
        receive_stored(&r, i, true);
    }
    assert_int_equal(r.state, RECEIVE_SYNCING);
    receive_deinit(&r);
    body_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_in_order),
        cmocka_unit_test(wrong_information),
        cmocka_unit_test(wrong_lists),
        cmocka_unit_test(wrong_blocks),
        cmocka_unit_test(stalls),
        cmocka_unit_test(lists_of_several_sources),
        cmocka_unit_test(resumes),
        cmocka_unit_test(small_window),
        cmocka_unit_test(gentle_worlds),
        cmocka_unit_test(rough_worlds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
