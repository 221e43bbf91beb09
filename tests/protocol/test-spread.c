/* Spreading over sources: against sources in memory that are fast, slow, silent or gone, by a clock of the test's own. */
#include "protocol/spread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/receive.h"

#define BLOCKS 512u
#define WINDOW (16u * BLOCK_PLAIN_MIN)
#define NEVER INT64_MAX

struct source {
    uint64_t rate; /* bytes a second */
    int64_t from_ms, silent_from_ms, silent_to_ms, gone_ms;
    struct spread_range ranges[SPREAD_RANGES_MAX * 2]; /* asked, oldest first */
    unsigned range_count;
    uint64_t credit; /* bytes times 1000 that it has had the time to send */
    uint64_t sent_bytes;
    int number; /* -1: not here */
};
struct world {
    struct spread s;
    struct body_shape shape;
    uint8_t marks[BLOCKS];
    uint32_t missing, done;
    struct source sources[SPREAD_SOURCES_MAX];
    unsigned count;
    int64_t now_ms;
    uint64_t twice_bytes;
};

static struct world *world_new(unsigned count, const struct source *sources)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    assert_int_equal(body_shape_init(&w->shape, (uint64_t)BLOCKS * BLOCK_PLAIN_MIN, BLOCK_PLAIN_MIN, 100), 0);
    assert_int_equal(w->shape.block_count, BLOCKS);
    w->missing = BLOCKS;
    w->count = count;
    for (unsigned i = 0; i < count; i++) {
        w->sources[i] = sources[i];
        w->sources[i].number = -1;
    }
    return w;
}

static void ask_all(struct world *w)
{
    for (;;) {
        struct spread_body b = { &w->shape, w->marks, w->missing, 0, WINDOW, 0 };
        struct spread_ask a;
        if (!spread_next(&w->s, &b, w->now_ms, &a))
            return;
        struct source *to = NULL;
        for (unsigned i = 0; i < w->count; i++)
            if (w->sources[i].number == (int)a.source)
                to = &w->sources[i];
        assert_non_null(to);
        assert_true(a.count > 0 && a.count <= SPREAD_RANGE_BLOCKS && a.first + a.count <= BLOCKS);
        for (uint32_t i = a.first; i < a.first + a.count; i++) {
            assert_true(w->marks[i] == RECEIVE_MISSING || w->marks[i] == RECEIVE_ASKED); /* never what is here */
            assert_true(spread_asked(&w->s, i) <= 2);
            w->missing -= w->marks[i] == RECEIVE_MISSING;
            w->marks[i] = RECEIVE_ASKED;
        }
        assert_true(w->s.sources[a.source].asked_bytes <= WINDOW);
        assert_true(to->range_count < sizeof(to->ranges) / sizeof(to->ranges[0]));
        if (to->range_count == 0)
            to->credit = 0;
        to->ranges[to->range_count++] = (struct spread_range){ a.first, a.first + a.count };
    }
}

static void go(struct world *w, struct source *from)
{
    for (unsigned r = 0; r < from->range_count; r++)
        for (uint32_t i = from->ranges[r].next; i < from->ranges[r].end; i++)
            if (w->marks[i] == RECEIVE_ASKED && spread_asked(&w->s, i) == 1) {
                w->marks[i] = RECEIVE_MISSING;
                w->missing++;
            }
    spread_leave(&w->s, (unsigned)from->number);
    from->number = -1;
    from->range_count = 0;
}

static void send(struct world *w, struct source *from)
{
    if (w->now_ms >= from->silent_from_ms && w->now_ms < from->silent_to_ms)
        return;
    from->credit += from->rate;
    while (from->range_count > 0) {
        uint32_t index = from->ranges[0].next;
        size_t len = body_block_len(&w->shape, index);
        if (from->credit < len * 1000)
            return;
        from->credit -= len * 1000;
        from->sent_bytes += len;
        assert_true(spread_brought(&w->s, (unsigned)from->number, index, len, w->now_ms));
        if (w->marks[index] == RECEIVE_ASKED) {
            w->marks[index] = RECEIVE_WRITTEN;
            w->done++;
        } else {
            w->twice_bytes += len;
        }
        if (++from->ranges[0].next == from->ranges[0].end) {
            from->range_count--;
            memmove(from->ranges, from->ranges + 1, from->range_count * sizeof(from->ranges[0]));
        }
    }
}

/* Milliseconds until all of it is here. */
static int64_t run(struct world *w)
{
    while (w->done < BLOCKS) {
        if (w->now_ms > 3600 * 1000)
            fail_msg("%u of %u blocks after an hour", w->done, BLOCKS);
        for (unsigned i = 0; i < w->count; i++) {
            struct source *s = &w->sources[i];
            if (s->number < 0 && w->now_ms == s->from_ms)
                s->number = spread_join(&w->s);
            if (s->number >= 0 && w->now_ms >= s->gone_ms)
                go(w, s);
        }
        ask_all(w);
        w->now_ms++;
        for (unsigned i = 0; i < w->count; i++)
            if (w->sources[i].number >= 0)
                send(w, &w->sources[i]);
    }
    return w->now_ms;
}

static const struct source steady = { .rate = 100000, .silent_from_ms = NEVER, .gone_ms = NEVER };

static struct source at_rate(uint64_t rate)
{
    struct source s = steady;
    s.rate = rate;
    return s;
}

struct spread_case {
    const char *name;
    struct source sources[4];
    uint64_t at_least_rate; /* of all together, over the whole time */
    uint64_t twice_at_most; /* bytes */
};
#define SILENT(when, until)                                                             \
    {                                                                                   \
        .rate = 100000, .silent_from_ms = when, .silent_to_ms = until, .gone_ms = NEVER \
    }
#define STEADY(bytes)                                            \
    {                                                            \
        .rate = bytes, .silent_from_ms = NEVER, .gone_ms = NEVER \
    }
#define GONE(when)                                               \
    {                                                            \
        .rate = 100000, .silent_from_ms = NEVER, .gone_ms = when \
    }
#define LATER(when)                                                                \
    {                                                                              \
        .rate = 100000, .from_ms = when, .silent_from_ms = NEVER, .gone_ms = NEVER \
    }
static const struct spread_case cases[] = {
    { "one alone", { STEADY(100000) }, 99000, 0 },
    { "two alike", { STEADY(100000), STEADY(100000) }, 190000, 2 * BLOCK_PLAIN_MAX },
    { "three alike", { STEADY(100000), STEADY(100000), STEADY(100000) }, 285000, 4 * WINDOW },
    { "very unlike", { STEADY(400000), STEADY(50000), STEADY(5000) }, 400000, 2 * WINDOW },
    { "one goes in the middle", { STEADY(100000), STEADY(100000), GONE(3000) }, 220000, 4 * WINDOW },
    { "two go", { STEADY(100000), GONE(2000), GONE(3000) }, 115000, 4 * WINDOW },
    { "one falls silent for ever", { STEADY(100000), STEADY(100000), SILENT(3000, NEVER) }, 190000, 4 * WINDOW },
    { "one is silent from the beginning", { STEADY(100000), SILENT(0, NEVER) }, 90000, 2 * WINDOW },
    { "one is silent for a while", { STEADY(100000), STEADY(100000), SILENT(1000, 6000) }, 200000, 4 * WINDOW },
    { "one comes later", { STEADY(100000), LATER(5000) }, 160000, 2 * WINDOW },
    { "a slow one was there first", { STEADY(3000), LATER(50) }, 95000, 2 * WINDOW },
};

static void rates_add_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct spread_case *c = &cases[i];
        unsigned count = 0;
        while (count < ARRAY_COUNT(c->sources) && c->sources[count].rate > 0)
            count++;
        struct world *w = world_new(count, c->sources);
        uint64_t total = w->shape.plain_bytes + (uint64_t)BLOCKS * BLOCK_OVERHEAD_BYTES;
        uint64_t rate = total * 1000 / (uint64_t)run(w);
        if (rate < c->at_least_rate || w->twice_bytes > c->twice_at_most)
            fail_msg("%s: %llu bytes a second, %llu bytes twice", c->name, (unsigned long long)rate,
                     (unsigned long long)w->twice_bytes);
        free(w);
    }
}

static void three_are_nearly_three_times_one(void **state)
{
    (void)state;
    const struct source all[] = { steady, steady, steady };
    struct world *one = world_new(1, all), *three = world_new(3, all);
    int64_t alone_ms = run(one), together_ms = run(three);
    assert_true(alone_ms * 10 >= together_ms * 27);
    free(one);
    free(three);
}

/* Who is fast brings most; who is slow is not waited for. */
static void fastest_bring_most(void **state)
{
    (void)state;
    const struct source all[] = { at_rate(10000), at_rate(300000), at_rate(60000) };
    struct world *w = world_new(3, all);
    (void)run(w);
    assert_true(w->sources[1].sent_bytes > 4 * w->sources[2].sent_bytes);
    assert_true(w->sources[2].sent_bytes > 3 * w->sources[0].sent_bytes);
    assert_true(spread_rate(&w->s.sources[1], w->now_ms) > 250000);
    free(w);
}

static void nobody_and_too_many(void **state)
{
    (void)state;
    struct world *w = world_new(0, NULL);
    struct spread_body b = { &w->shape, w->marks, BLOCKS, 0, WINDOW, 0 };
    struct spread_ask a;
    assert_false(spread_next(&w->s, &b, 0, &a));
    for (unsigned i = 0; i < SPREAD_SOURCES_MAX; i++)
        assert_int_equal(spread_join(&w->s), i);
    assert_int_equal(spread_join(&w->s), -1);
    assert_int_equal(spread_count(&w->s), SPREAD_SOURCES_MAX);
    spread_leave(&w->s, 3);
    assert_int_equal(spread_join(&w->s), 3);
    free(w);
}

/* Only what is next in a range of that very source counts. */
static void only_what_was_asked(void **state)
{
    (void)state;
    struct world *w = world_new(0, NULL);
    struct spread_body b = { &w->shape, w->marks, BLOCKS, 0, WINDOW, 0 };
    struct spread_ask a;
    size_t len = body_block_len(&w->shape, 0);
    assert_int_equal(spread_join(&w->s), 0);
    assert_true(spread_next(&w->s, &b, 0, &a));
    assert_int_equal(spread_join(&w->s), 1);
    assert_false(spread_brought(&w->s, 0, a.first + 1, len, 1)); /* not the next */
    assert_false(spread_brought(&w->s, 1, a.first, len, 1));     /* of another source */
    assert_true(spread_brought(&w->s, 0, a.first, len, 1));
    assert_false(spread_brought(&w->s, 0, a.first, len, 1)); /* once */
    assert_false(spread_brought(&w->s, 0, UINT32_MAX, len, 1));
    spread_leave(&w->s, 0);
    assert_false(spread_brought(&w->s, 0, a.first + 1, len, 1));
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_add_up),        cmocka_unit_test(three_are_nearly_three_times_one),
        cmocka_unit_test(fastest_bring_most),  cmocka_unit_test(nobody_and_too_many),
        cmocka_unit_test(only_what_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
