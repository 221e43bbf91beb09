/* The household's values: what is valid, what several under one key come to, and the order of a playlist. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/util.h"
#include "protocol/state_values.h"

/* ---- order --------------------------------------------------------------------------------------------------- */

static void check_between(const struct order *a, const struct order *b, const struct order *o)
{
    assert_true(a == NULL || order_compare(a, o) < 0);
    assert_true(b == NULL || order_compare(o, b) < 0);
    assert_true(o->count > 0 && o->count <= ORDER_DIGITS_MAX && o->digits[o->count - 1] != 0);
}

static void test_appends_stay_short(void **state)
{
    (void)state;
    struct order last, next;
    assert_int_equal(order_between(NULL, NULL, 7, &last), 0);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(order_between(&last, NULL, i % 3 == 0 ? 9 : 7, &next), 0);
        check_between(&last, NULL, &next);
        last = next;
    }
    assert_true(last.count <= 3);
}

static void test_prepends_stay_short(void **state)
{
    (void)state;
    struct order first, next;
    assert_int_equal(order_between(NULL, NULL, 7, &first), 0);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(order_between(NULL, &first, (uint32_t)i + 1, &next), 0);
        check_between(NULL, &first, &next);
        first = next;
    }
    assert_true(first.count <= 3);
}

static void test_always_at_one_place(void **state)
{
    (void)state;
    struct order a, b, next;
    assert_int_equal(order_between(NULL, NULL, 7, &a), 0);
    assert_int_equal(order_between(&a, NULL, 7, &b), 0);
    int inserted = 0;
    while (order_between(&a, &b, (uint32_t)inserted + 100, &next) == 0) {
        check_between(&a, &b, &next);
        *(inserted % 2 == 0 ? &b : &a) = next;
        inserted++;
    }
    assert_true(inserted >= 100); /* then the list is numbered anew */
    assert_int_equal(order_between(&a, &a, 5, &next), ORDER_FULL);
    assert_int_equal(order_between(&b, &a, 5, &next), ORDER_FULL);
    for (uint32_t i = 0; i < 1000; i++) {
        struct order x = order_at(i), y = order_at(i + 1);
        assert_int_equal(order_between(&x, &y, 5, &next), 0);
        check_between(&x, &y, &next);
    }
}

/* What two devices add apart at one place does not mingle. */
static void test_runs_stay_together(void **state)
{
    (void)state;
    struct order last, all[2][5];
    assert_int_equal(order_between(NULL, NULL, 1, &last), 0);
    for (uint32_t d = 0; d < 2; d++)
        for (size_t i = 0; i < 5; i++)
            assert_int_equal(order_between(i == 0 ? &last : &all[d][i - 1], NULL, 50 + d, &all[d][i]), 0);
    assert_true(order_compare(&all[0][4], &all[1][0]) < 0);
}

static void test_random_insertions(void **state)
{
    (void)state;
    struct rng_fake rng;
    struct order list[400];
    size_t count = 0;
    rng_fake_init(&rng, 4711);
    while (count < ARRAY_COUNT(list)) {
        uint32_t n, run;
        struct order o;
        rng_fill(&rng.rng, &n, sizeof(n));
        rng_fill(&rng.rng, &run, sizeof(run));
        size_t at = n % (count + 1);
        const struct order *a = at > 0 ? &list[at - 1] : NULL, *b = at < count ? &list[at] : NULL;
        assert_int_equal(order_between(a, b, run | 1, &o), 0);
        check_between(a, b, &o);
        memmove(&list[at + 1], &list[at], (count - at) * sizeof(o));
        list[at] = o;
        count++;
    }
}

/* ---- values -------------------------------------------------------------------------------------------------- */

static const uint8_t id64[64] = { 1, 2, 3 };
static struct slice id_of(size_t len) { return slice(id64, len); }

static void test_settings(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        bool valid;
    } cases[] = {
        { "volume", "0", true },
        { "volume", "100", true },
        { "volume", "101", false },
        { "volume", "007", false },
        { "volume", "", false },
        { "volume", "5x", false },
        { "volume", "-1", false },
        { "volume", "99999999999", false },
        { "repeat", "off", true },
        { "repeat", "one", true },
        { "repeat", "all", true },
        { "repeat", "twice", false },
        { "window", "automatic", true },
        { "window", "fullscreen", true },
        { "window", "800x600", true },
        { "window", "0x600", false },
        { "window", "800x0", false },
        { "window", "800x", false },
        { "window", "x600", false },
        { "window", "99999x1", false },
        { "window", "800x600x", false },
        { "of-a-later-version", "whatever", true },
        { "of-a-later-version", "\x1b[31m", false },
        { "of-a-later-version", "\xff", false },
        { "Volume", "5", false },
        { "", "5", false },
        { "a b", "5", false },
        { "abcdefghijklmnopqrstuvwxyzabcdef", "5", false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        if (state_is_valid(STATE_SETTING, slice_str(cases[i].name), slice_str(cases[i].value)) != cases[i].valid)
            fail_msg("%s=%s", cases[i].name, cases[i].value);
    uint8_t long_value[STATE_SETTING_BYTES];
    memset(long_value, 'x', sizeof(long_value));
    assert_false(state_is_valid(STATE_SETTING, slice_str("later"), SLICE_ARRAY(long_value)));
    assert_true(state_is_valid(STATE_SETTING, slice_str("later"), slice(long_value, sizeof(long_value) - 1)));
}

/* Of a value, every shorter one is another or none; whatever a flipped bit makes of it is valid or not, and never read beyond its end. */
static void cut_and_flip(uint8_t kind, struct slice key, struct slice value, size_t shortest)
{
    assert_true(state_is_valid(kind, key, value));
    for (size_t len = 0; len < value.len; len++) {
        uint8_t *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact, value.data, len);
        assert_int_equal(state_is_valid(kind, key, slice(exact, len)), len >= shortest);
        free(exact);
    }
    for (size_t i = 0; i < value.len * 8; i++) {
        uint8_t *flipped = malloc(value.len);
        assert_non_null(flipped);
        memcpy(flipped, value.data, value.len);
        flipped[i / 8] ^= (uint8_t)(1u << (i % 8));
        (void)state_is_valid(kind, key, slice(flipped, value.len));
        free(flipped);
    }
    for (size_t len = 0; len <= 64; len++)
        assert_true(len == key.len || !state_is_valid(kind, id_of(len), value));
}

static void test_cut_and_flipped(void **state)
{
    (void)state;
    struct buf value CLEANUP(buf_free) = buf(REPLICA_VALUE_MAX);
    assert_int_equal(state_position_put(61000, &value), 0);
    cut_and_flip(STATE_POSITION, id_of(32), buf_slice(&value), 8);
    buf_clear(&value);
    assert_int_equal(state_wish_put(true, "A song", &value), 0);
    cut_and_flip(STATE_WISH, id_of(64), buf_slice(&value), 2);
    buf_clear(&value);
    assert_int_equal(state_playlist_put(false, "Evening", &value), 0);
    cut_and_flip(STATE_PLAYLIST, id_of(16), buf_slice(&value), 2);
    buf_clear(&value);
    struct state_entry e = { .order = order_at(3), .title = "A song" };
    assert_int_equal(state_entry_put(&e, &value), 0);
    cut_and_flip(STATE_ENTRY, id_of(32), buf_slice(&value), 32 + 1 + 4);
    assert_false(state_is_valid(0, id_of(32), buf_slice(&value)));
    assert_false(state_is_valid(STATE_ENTRY + 1, id_of(32), buf_slice(&value)));
}

static void test_hostile_values(void **state)
{
    (void)state;
    static const char *const bad[] = { "\x1b]0;owned\x07", "a\nb", "\xc3", "\xe2\x80\xae*", "\xed\xa0\x80" };
    struct buf value CLEANUP(buf_free) = buf(REPLICA_VALUE_MAX);
    char text[200];
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        buf_clear(&value);
        assert_int_equal(state_playlist_put(true, bad[i], &value), 0);
        assert_false(state_is_valid(STATE_PLAYLIST, id_of(16), buf_slice(&value)));
        assert_false(state_is_valid(STATE_WISH, id_of(64), buf_slice(&value)));
        struct state_entry e = { .order = order_at(3) };
        memcpy(e.title, bad[i], strlen(bad[i]) + 1);
        buf_clear(&value);
        assert_int_equal(state_entry_put(&e, &value), 0);
        assert_false(state_is_valid(STATE_ENTRY, id_of(32), buf_slice(&value)));
    }
    memset(text, 'x', sizeof(text));
    text[STATE_NAME_BYTES] = '\0';
    buf_clear(&value);
    assert_int_equal(state_playlist_put(true, text, &value), 0);
    assert_false(state_is_valid(STATE_PLAYLIST, id_of(16), buf_slice(&value)));
    value.data[0] = 2;
    assert_false(state_is_valid(STATE_PLAYLIST, id_of(16), slice(value.data, 5)));
    uint8_t zero[8] = { 0 }, far[8] = { 0xff };
    assert_false(state_is_valid(STATE_POSITION, id_of(32), SLICE_ARRAY(zero)));
    assert_false(state_is_valid(STATE_POSITION, id_of(32), SLICE_ARRAY(far)));
    uint8_t entry[33 + 4 * ORDER_DIGITS_MAX + 4] = { 0 };
    entry[32] = ORDER_DIGITS_MAX + 1;
    memset(entry + 33, 1, sizeof(entry) - 33);
    assert_false(state_is_valid(STATE_ENTRY, id_of(32), SLICE_ARRAY(entry)));
    entry[32] = 0;
    assert_false(state_is_valid(STATE_ENTRY, id_of(32), slice(entry, 33)));
}

/* ---- one of several ------------------------------------------------------------------------------------------ */

static void load(struct replica *r, uint8_t kind, struct slice key, struct slice value, uint8_t name, uint64_t counter)
{
    struct dot d = { { name }, counter };
    if (dots_of(&r->seen, d.replica) < counter)
        assert_int_equal(replica_load_seen(r, &d), 0);
    assert_int_equal(replica_load_item(r, kind, key, value, &d), 0);
}

static void test_one_is_taken(void **state)
{
    (void)state;
    uint8_t id[REPLICA_ID_BYTES] = { 1 };
    struct replica r;
    char text[STATE_SETTING_BYTES], name[STATE_NAME_BYTES];
    replica_init(&r, id);
    assert_null(state_setting(&r, "volume"));
    assert_null(state_playlist(&r, id64));
    load(&r, STATE_SETTING, slice_str("volume"), slice_str("10"), 1, 9);
    load(&r, STATE_SETTING, slice_str("volume"), slice_str("20"), 2, 3);
    state_setting_of(state_setting(&r, "volume"), text);
    assert_string_equal(text, "10");
    /* the renaming wins, whatever the counters say */
    load(&r, STATE_PLAYLIST, id_of(16),
         slice_str("\x01"
                   "New"),
         2, 2);
    struct buf old CLEANUP(buf_free) = buf(64);
    assert_int_equal(state_playlist_put(false, "Old", &old), 0);
    load(&r, STATE_PLAYLIST, id_of(16), buf_slice(&old), 1, 8);
    assert_true(state_playlist_of(state_playlist(&r, id64), name));
    assert_string_equal(name, "New");
    replica_free(&r);
}

static void test_entries_in_order(void **state)
{
    (void)state;
    uint8_t id[REPLICA_ID_BYTES] = { 1 };
    struct replica r;
    struct state_entry *list;
    size_t count;
    replica_init(&r, id);
    struct dot seen = { { 1 }, 9 };
    assert_int_equal(replica_load_seen(&r, &seen), 0);
    seen.replica[0] = 2;
    assert_int_equal(replica_load_seen(&r, &seen), 0);
    for (uint8_t i = 0; i < 3; i++) {
        uint8_t key[32] = { 5 };
        struct state_entry e = { .order = order_at(2u - i), .title = "x" };
        struct buf value CLEANUP(buf_free) = buf(REPLICA_VALUE_MAX);
        key[16] = i;
        e.title[0] = (char)('a' + i);
        assert_int_equal(state_entry_put(&e, &value), 0);
        load(&r, STATE_ENTRY, SLICE_ARRAY(key), buf_slice(&value), 1, (uint64_t)i + 1);
        if (i == 1) { /* moved on two devices */
            e.order = order_at(7);
            buf_clear(&value);
            assert_int_equal(state_entry_put(&e, &value), 0);
            load(&r, STATE_ENTRY, SLICE_ARRAY(key), buf_slice(&value), 2, 9);
        }
    }
    uint8_t playlist[16] = { 5 }, other[16] = { 6 };
    assert_int_equal(state_entries(&r, playlist, &list, &count), 0);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].title, "c");
    assert_string_equal(list[1].title, "a");
    assert_string_equal(list[2].title, "b");
    free(list);
    assert_int_equal(state_entries(&r, other, &list, &count), 0);
    assert_int_equal(count, 0);
    free(list);
    replica_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_stay_short),  cmocka_unit_test(test_prepends_stay_short),
        cmocka_unit_test(test_always_at_one_place), cmocka_unit_test(test_runs_stay_together),
        cmocka_unit_test(test_random_insertions),   cmocka_unit_test(test_settings),
        cmocka_unit_test(test_cut_and_flipped),     cmocka_unit_test(test_hostile_values),
        cmocka_unit_test(test_one_is_taken),        cmocka_unit_test(test_entries_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
