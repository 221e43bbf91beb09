/* Serving and receiving for real: both ends in one loop, TLS between them, files on the disk; loss, resumption, damage, hostile sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/util.h"
#include "../base/recorded-syncs.h"
#include "body_fixture.h"
#include "net/receive_run.h"
#include "net/bunch.h"
#include "net/syncer.h"
#include "net/turns.h"

#define WAIT_MS 20000

/* What the source does with each request, besides serving it. */
enum mischief { HONEST, CLOSE_AFTER, WRONG_INDEX, SHORT_BLOCK, OTHER_CONTENT, WRONG_LIST, WRONG_INFO, REFUSE, SILENT };

struct world {
    uv_loop_t loop;
    struct body_fixture body;
    char dir[64];
    struct peer_identity *source_identity, *identity;
    struct peer_listener *listener;
    struct serve *serve;
    char address[32];
    struct key32 source_seed, seed;
    struct signer source_signer, signer;
    /* source */
    struct serve_client *client;
    enum mischief mischief;
    uint32_t requests, close_after;
    uint64_t sent_bytes;
    /* destination */
    struct receive_shared shared; /* nothing, but where a test sets it */
    struct receive_run *run;
    struct peer *peer;
    uint32_t lost;
    enum reason lost_why, why;
    bool ended, progressed;
    uint64_t done_bytes;
};
static struct world w;

/* ---- the source ---------------------------------------------------------------------------------------------- */

static int path_of(void *ctx, const struct id *content, char *path, size_t cap)
{
    (void)ctx;
    (void)cap;
    return id_equal(content, &w.body.content) ? bodies_path(w.body.dir, content, BODIES_BODY, path)
                                              : REASON_UNKNOWN_CONTENT;
}
static void on_sent(const struct id *content, uint32_t index, uint32_t block_count, uint64_t bytes, void *ctx)
{
    (void)ctx;
    assert_true(id_equal(content, &w.body.content) && index < block_count);
    w.sent_bytes += bytes;
}
static void source_open(struct peer *p, void *ctx)
{
    (void)ctx;
    assert_int_equal(serve_client_new(&w.client, w.serve, p, on_sent, NULL), 0);
}
/* True when the mischief answered. */
static bool make_mischief(struct peer *p, const struct frame *f)
{
    msg_Block block = { .index = 0 };
    msg_List list = { .first = 0 };
    msg_Info info = msg_Info_init_zero;
    struct slice first = body_fixture_block(&w.body, 0);
    memcpy(block.content, &w.body.content, 32);
    memcpy(list.content, &w.body.content, 32);
    switch (w.mischief) {
    case WRONG_INDEX:
    case SHORT_BLOCK:
    case OTHER_CONTENT:
        if (f->type != msg_Type_BLOCKS_GET)
            return false;
        block.index = w.mischief == WRONG_INDEX ? 1 : 0;
        block.content[0] ^= w.mischief == OTHER_CONTENT;
        return peer_send(p, msg_Type_BLOCK, f->request, msg_Block_fields, &block,
                         w.mischief == SHORT_BLOCK ? slice(first.data, first.len - 1) : first) == 0;
    case WRONG_LIST:
        return f->type == msg_Type_LIST_GET &&
               peer_send(p, msg_Type_LIST, f->request, msg_List_fields, &list,
                         slice(w.body.blocks, (size_t)w.body.shape.block_count * 32)) == 0;
    case WRONG_INFO:
        if (f->type != msg_Type_INFO_GET || CODEC_SET_BYTES(info.info, buf_slice(&w.body.info)) != 0)
            return false;
        info.list_root[0] = 1;
        return peer_send(p, msg_Type_INFO, f->request, msg_Info_fields, &info, slice(NULL, 0)) == 0;
    case REFUSE:
        return peer_refuse(p, f->request, REASON_NOT_OWNED, NULL) == 0;
    default:
        return false;
    }
}
static void source_frame(struct peer *p, const struct frame *f, void *ctx)
{
    (void)ctx;
    w.requests++;
    if (w.mischief == SILENT || make_mischief(p, f))
        return;
    if (w.mischief == CLOSE_AFTER && w.requests == w.close_after) {
        peer_close(p, REASON_OFFLINE);
        return;
    }
    struct id content;
    assert_int_equal(serve_content_of(f, &content), 0);
    assert_true(serve_frame(w.client, f));
}
static void source_drain(struct peer *p, void *ctx)
{
    (void)p;
    (void)ctx;
    serve_drain(w.client);
}
static void source_closed(struct peer *p, enum reason why, void *ctx)
{
    (void)p;
    (void)why;
    (void)ctx;
    serve_client_free(steal(&w.client));
}
static bool on_accept(struct peer *p, struct peer_callbacks *callbacks, void **ctx, void *listener_ctx)
{
    (void)p;
    (void)listener_ctx;
    *callbacks = (struct peer_callbacks){ source_open, source_frame, source_drain, source_closed };
    *ctx = NULL;
    return true;
}

/* ---- the destination ----------------------------------------------------------------------------------------- */

static void on_progress(uint64_t done_bytes, uint64_t total_bytes, void *ctx)
{
    (void)ctx;
    assert_true(done_bytes <= total_bytes);
    w.done_bytes = done_bytes;
    w.progressed = true;
}
static void on_lost(const struct receive_lost *lost, void *ctx)
{
    (void)ctx;
    assert_string_equal(lost->name, "source");
    w.lost++;
    w.lost_why = lost->why;
}
static void on_end(enum reason why, const char *detail, void *ctx)
{
    (void)ctx;
    (void)detail;
    assert_false(w.ended);
    w.ended = true;
    w.why = why;
}
static void begin(void)
{
    static const struct receive_run_callbacks callbacks = { on_progress, on_lost, on_end };
    w.ended = w.progressed = false;
    w.lost = 0;
    assert_int_equal(
        receive_run_new(&w.run, &w.loop, clock_system(), w.dir, &w.shared, &w.body.content, &callbacks, NULL), 0);
}
static void peer_open(struct peer *p, void *ctx)
{
    (void)ctx;
    uint32_t source;
    if (w.run != NULL)
        assert_int_equal(receive_run_attach(w.run, p, "source", &source), 0);
}
static void peer_frame(struct peer *p, const struct frame *f, void *ctx)
{
    (void)p;
    (void)f;
    (void)ctx;
}
static void peer_closed(struct peer *p, enum reason why, void *ctx)
{
    (void)p;
    (void)why;
    (void)ctx;
    w.peer = NULL;
}
static void dial(void)
{
    const struct peer_callbacks callbacks = { peer_open, peer_frame, NULL, peer_closed };
    struct id expected = id_of_key(w.source_signer.public_key);
    assert_int_equal(peer_dial(&w.peer, &w.loop, w.identity, w.address, &expected, 5000, &callbacks, NULL), 0);
}
static bool is_ended(void) { return w.ended; }
static bool is_lost(void) { return w.lost > 0; }
static bool is_closed(void) { return w.peer == NULL && w.client == NULL; }
static void run_until(bool (*condition)(void), const char *what)
{
    int64_t end = clock_mono_ms(clock_system()) + WAIT_MS;
    while (!condition()) {
        if (clock_mono_ms(clock_system()) > end)
            fail_msg("not in time: %s", what);
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    }
}
static void hang_up(void)
{
    if (w.peer != NULL)
        peer_close(w.peer, REASON_NONE);
    run_until(is_closed, "closing");
}
static void stop_receiving(void) { receive_run_free(steal(&w.run)); }

/* ---- setting ------------------------------------------------------------------------------------------------- */

static void world_init(uint64_t plain_bytes, uint32_t block_bytes)
{
    uint16_t port;
    memset(&w, 0, sizeof(w));
    body_fixture_init(&w.body, plain_bytes, block_bytes);
    fresh_dir(w.dir);
    assert_int_equal(uv_loop_init(&w.loop), 0);
    memset(&w.source_seed, 1, sizeof(w.source_seed));
    memset(&w.seed, 2, sizeof(w.seed));
    signer_from_seed(&w.source_signer, &w.source_seed);
    signer_from_seed(&w.signer, &w.seed);
    assert_int_equal(peer_identity_new(&w.source_identity, &w.source_signer), 0);
    assert_int_equal(peer_identity_new(&w.identity, &w.signer), 0);
    assert_int_equal(serve_new(&w.serve, &w.loop, path_of, NULL), 0);
    assert_int_equal(peer_listen(&w.listener, &w.loop, w.source_identity, "127.0.0.1", 0, 8, on_accept, NULL, &port),
                     0);
    (void)snprintf(w.address, sizeof(w.address), "127.0.0.1:%u", (unsigned)port);
}
/* Whatever was under way is over. */
static void world_stop(void)
{
    stop_receiving();
    hang_up();
    peer_listener_close(steal(&w.listener));
    serve_free(steal(&w.serve));
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
}
static void world_deinit(void)
{
    world_stop();
    assert_int_equal(uv_loop_close(&w.loop), 0);
    peer_identity_free(w.identity);
    peer_identity_free(w.source_identity);
    remove_dir(w.dir);
    body_fixture_deinit(&w.body);
}

static void expect_body(void)
{
    struct serve_file file = { .list = NULL };
    assert_int_equal(bodies_complete(w.dir, &w.body.content, &file), 0);
    serve_file_deinit(&file);
}

/* ---- tests --------------------------------------------------------------------------------------------------- */

struct shape_case {
    uint64_t plain_bytes;
    uint32_t block_bytes;
};
static const struct shape_case shapes[] = {
    { 1, 4096 },         { 4096, 4096 },
    { 4097, 4096 },      { 300 * 4096 + 5, 4096 },
    { 5 << 20, 262144 }, { (3 << 20) + 1, BLOCK_PLAIN_MAX },
};

static void all_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        world_init(shapes[i].plain_bytes, shapes[i].block_bytes);
        begin();
        dial();
        run_until(is_ended, "the body");
        assert_int_equal(w.why, REASON_NONE);
        assert_int_equal(w.lost, 0);
        expect_body();
        assert_int_equal(w.sent_bytes, w.done_bytes);
        /* It is here: nothing is asked. */
        stop_receiving();
        w.requests = 0;
        begin();
        run_until(is_ended, "nothing");
        assert_int_equal(w.why, REASON_NONE);
        assert_int_equal(w.requests, 0);
        world_deinit();
    }
}

/* What fits its hash is kept, and only what does not is transferred again. */
static void mends_a_damaged_body(void **state)
{
    (void)state;
    char path[BODIES_PATH_BYTES];
    world_init(3 << 20, 65536);
    begin();
    dial();
    run_until(is_ended, "the body");
    stop_receiving();
    assert_int_equal(bodies_path(w.dir, &w.body.content, BODIES_BODY, path), 0);
    damage(path, body_block_offset(&w.body.shape, 5) + 100);
    damage(path, body_block_offset(&w.body.shape, 40));
    w.sent_bytes = 0;
    hang_up();
    begin();
    dial();
    run_until(is_ended, "the damaged blocks");
    assert_int_equal(w.why, REASON_NONE);
    assert_int_equal(w.sent_bytes, body_block_len(&w.body.shape, 5) + body_block_len(&w.body.shape, 40));
    assert_int_equal(bodies_verify(w.dir, &w.body.content), 0);
    world_deinit();
}

/* Small ones that share their syncs and their trips to the pool: still the bytes, then the name, then the directory; larger ones have their own. */
static void shared_syncs(void **state)
{
    (void)state;
    static const struct shape_case some[] = { { 4096, 4096 }, { 200000, 65536 }, { 3 << 20, 65536 } };
    for (size_t i = 0; i < ARRAY_COUNT(some); i++) {
        world_init(some[i].plain_bytes, some[i].block_bytes);
        assert_int_equal(syncer_new(&w.shared.syncer, &w.loop, w.dir), 0);
        assert_int_equal(bunch_new(&w.shared.bunch, &w.loop), 0);
        serve_set_bunch(w.serve, w.shared.bunch);
        record_syncs_anew();
        begin();
        dial();
        run_until(is_ended, "the body");
        assert_int_equal(w.why, REASON_NONE);
        expect_body();
        const char *last = strrchr(recorded_syncs, 'R');
        assert_true(last != NULL && last > recorded_syncs && last[-1] == 'F' && last[1] == 'D');
        /* Another run finds it. */
        stop_receiving();
        w.requests = 0;
        begin();
        run_until(is_ended, "nothing");
        assert_int_equal(w.why, REASON_NONE);
        assert_int_equal(w.requests, 0);
        stop_receiving();
        hang_up();
        syncer_free(w.shared.syncer);
        bunch_free(w.shared.bunch);
        world_deinit();
    }
}

/* The source goes at every request once; what arrived is not asked for again. */
static void goes_on_after_a_loss(void **state)
{
    (void)state;
    for (uint32_t at = 1; at < 12; at++) {
        world_init(3 << 20, 65536);
        w.mischief = CLOSE_AFTER;
        w.close_after = at;
        begin();
        dial();
        run_until(is_lost, "the loss");
        hang_up();
        w.mischief = HONEST;
        dial();
        run_until(is_ended, "the body");
        assert_int_equal(w.why, REASON_NONE);
        expect_body();
        assert_true(w.sent_bytes <= w.done_bytes + (1 << 20));
        world_deinit();
    }
}

static bool has_some(void) { return w.done_bytes >= 2 << 20; }

/* The receiver goes, as by a kill, and another takes it up: from the files, without asking for information or list. */
static void goes_on_in_another_run(void **state)
{
    (void)state;
    world_init(40 << 20, 262144);
    begin();
    dial();
    run_until(has_some, "a part");
    stop_receiving();
    hang_up();
    uint64_t sent = w.sent_bytes;
    begin();
    dial();
    run_until(is_ended, "the body");
    assert_int_equal(w.why, REASON_NONE);
    expect_body();
    assert_true(sent > 0 &&
                w.sent_bytes <= w.done_bytes + (2 << 20)); /* what was on its way when the run was given up */
    world_deinit();
}

struct mischief_case {
    const char *name;
    enum mischief mischief;
    enum reason why;
};
static const struct mischief_case mischiefs[] = {
    { "another block than asked", WRONG_INDEX, REASON_MALFORMED },
    { "a block too short", SHORT_BLOCK, REASON_MALFORMED },
    { "a block of another content", OTHER_CONTENT, REASON_MALFORMED },
    { "a list that is not the root's", WRONG_LIST, REASON_CONTENT_ID_MISMATCH },
    { "information that is not the content's", WRONG_INFO, REASON_CONTENT_ID_MISMATCH },
    { "a refusal", REFUSE, REASON_NOT_OWNED },
};

static void hostile_sources(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(mischiefs); i++) {
        const struct mischief_case *c = &mischiefs[i];
        world_init(1 << 20, 65536);
        w.mischief = c->mischief;
        begin();
        dial();
        run_until(is_lost, c->name);
        if (w.lost_why != c->why)
            fail_msg("%s: %s", c->name, reason_code(w.lost_why));
        /* An honest source brings it all the same. */
        hang_up();
        w.mischief = HONEST;
        dial();
        run_until(is_ended, "the body");
        assert_int_equal(w.why, REASON_NONE);
        expect_body();
        world_deinit();
    }
}

/* The source's disk is bad: it is given up, nothing of it is taken for a body, and another source completes it. */
static void damaged_at_the_source(void **state)
{
    (void)state;
    char path[BODIES_PATH_BYTES];
    struct serve_file file = { .list = NULL };
    world_init(1 << 20, 65536);
    assert_int_equal(bodies_path(w.body.dir, &w.body.content, BODIES_BODY, path), 0);
    damage(path, body_block_offset(&w.body.shape, 7) + 100);
    begin();
    dial();
    run_until(is_lost, "the damage");
    assert_int_equal(w.lost_why, REASON_BLOCK_CORRUPT);
    assert_false(w.ended);
    assert_int_equal(bodies_complete(w.dir, &w.body.content, &file), REASON_NOT_FOUND);
    hang_up();
    damage(path, body_block_offset(&w.body.shape, 7) + 100); /* flipped back */
    dial();
    run_until(is_ended, "the body");
    assert_int_equal(w.why, REASON_NONE);
    expect_body();
    world_deinit();
}

static void unknown_at_the_source(void **state)
{
    (void)state;
    world_init(1 << 20, 65536);
    struct id content = w.body.content;
    w.body.content.bytes[0] ^= 1;
    begin(); /* asks for another */
    w.body.content = content;
    dial();
    run_until(is_lost, "the refusal");
    assert_int_equal(w.lost_why, REASON_UNKNOWN_CONTENT);
    world_deinit();
}

/* The receiver lets go at once, in every phase; nothing is left over (the sanitizers and uv_loop_close say so). */
static void let_go(void **state)
{
    (void)state;
    for (int turns = 0; turns < 60; turns += 3) {
        world_init(2 << 20, 65536);
        begin();
        dial();
        for (int i = 0; i < turns && !w.ended; i++)
            (void)uv_run(&w.loop, UV_RUN_ONCE);
        stop_receiving();
        world_deinit();
    }
}

static bool is_connected(void) { return w.client != NULL; }

/* What is cancelled, wherever it is by then, and wanted again at once: nothing that is left of the first takes anything from the second. */
static void cancelled_and_wanted_again(void **state)
{
    (void)state;
    static const struct shape_case some[] = { { 4096, 4096 }, { 200000, 65536 }, { 3 << 20, 65536 } };
    for (size_t i = 0; i < ARRAY_COUNT(some); i++) {
        bool over = false;
        for (unsigned steps = 0; !over; steps++) {
            world_init(some[i].plain_bytes, some[i].block_bytes);
            assert_int_equal(syncer_new(&w.shared.syncer, &w.loop, w.dir), 0);
            assert_int_equal(bunch_new(&w.shared.bunch, &w.loop), 0);
            assert_int_equal(turns_new(&w.shared.turns), 0);
            dial();
            run_until(is_connected, "a connection");
            begin();
            uint32_t source;
            assert_int_equal(receive_run_attach(w.run, w.peer, "source", &source), 0);
            for (unsigned step = 0; step < steps && !w.ended; step++)
                (void)uv_run(&w.loop, UV_RUN_ONCE);
            over = w.ended;
            receive_run_discard(w.run);
            stop_receiving();
            begin();
            assert_int_equal(receive_run_attach(w.run, w.peer, "source", &source), 0);
            run_until(is_ended, "the body, once more");
            if (w.why != REASON_NONE)
                fail_msg("after %u steps: %s", steps, reason_code(w.why));
            world_stop();
            expect_body();
            syncer_free(steal(&w.shared.syncer));
            bunch_free(steal(&w.shared.bunch));
            turns_free(steal(&w.shared.turns));
            (void)uv_run(&w.loop, UV_RUN_DEFAULT);
            world_deinit();
        }
    }
}

/* ---- the serving end alone ----------------------------------------------------------------------------------- */

struct raw { /* a client that asks what it likes */
    uint32_t replies, refusals;
    enum reason why;
};
static bool on_raw_reply(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct raw *r = ctx;
    (void)p;
    (void)why;
    if (reply == NULL)
        return false;
    r->replies++;
    if (reply->type == msg_Type_REFUSAL) {
        r->refusals++;
        r->why = peer_refusal(reply, msg_Type_BLOCK, NULL);
    }
    return true;
}
static struct raw raw;
static uint32_t expected_replies;
static bool has_replies(void) { return raw.replies >= expected_replies; }
static bool is_open(void) { return w.client != NULL; }

static void ask_blocks(uint32_t first, uint32_t count)
{
    msg_BlocksGet m = { .first = first, .count = count };
    memcpy(m.content, &w.body.content, 32);
    assert_int_equal(peer_request(w.peer, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &m, slice(NULL, 0), WAIT_MS,
                                  on_raw_reply, &raw, NULL),
                     0);
}

static void ranges_are_judged(void **state)
{
    (void)state;
    static const uint32_t bad[][2] = {
        { 0, 0 }, { 16, 1 }, { 0, 17 }, { 15, 2 }, { UINT32_MAX, 1 }, { 1, UINT32_MAX }, { UINT32_MAX, UINT32_MAX }
    };
    world_init(1 << 20, 65536);
    dial();
    run_until(is_open, "a connection");
    peer_set_tail_max(w.peer, FRAME_TAIL_MAX);
    memset(&raw, 0, sizeof(raw));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        ask_blocks(bad[i][0], bad[i][1]);
        expected_replies = (uint32_t)i + 1;
        run_until(has_replies, "a refusal");
        assert_int_equal(raw.why, REASON_MALFORMED);
    }
    ask_blocks(0, 16);
    expected_replies += 16;
    run_until(has_replies, "every block");
    assert_int_equal(raw.refusals, ARRAY_COUNT(bad));
    world_deinit();
}

/* Who asks for more than may wait is told so, and is served all the same. */
static void too_many_ranges(void **state)
{
    (void)state;
    world_init(1 << 20, 65536);
    dial();
    run_until(is_open, "a connection");
    peer_set_tail_max(w.peer, FRAME_TAIL_MAX);
    memset(&raw, 0, sizeof(raw));
    for (uint32_t i = 0; i < 4 * SERVE_RANGES_MAX; i++)
        ask_blocks(i % 16, 1);
    expected_replies = 4 * SERVE_RANGES_MAX;
    run_until(has_replies, "an answer to each");
    assert_true(raw.refusals < 4 * SERVE_RANGES_MAX);
    assert_true(raw.refusals == 0 || raw.why == REASON_RATE_LIMITED);
    world_deinit();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_shapes),
        cmocka_unit_test(mends_a_damaged_body),
        cmocka_unit_test(shared_syncs),
        cmocka_unit_test(cancelled_and_wanted_again),
        cmocka_unit_test(goes_on_after_a_loss),
        cmocka_unit_test(goes_on_in_another_run),
        cmocka_unit_test(hostile_sources),
        cmocka_unit_test(damaged_at_the_source),
        cmocka_unit_test(unknown_at_the_source),
        cmocka_unit_test(let_go),
        cmocka_unit_test(ranges_are_judged),
        cmocka_unit_test(too_many_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
