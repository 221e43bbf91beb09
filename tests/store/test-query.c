/* Values in, values out, and every way in which a value can be of the wrong kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "household.h"

#include "base/util.h"

static struct store *store;

static int setup(void **state)
{
    static struct store_schema schema;
    (void)state;
    schema = household_schema(0);
    return store_open(&store, ":memory:", &schema);
}

static int teardown(void **state)
{
    (void)state;
    store_closep(&store);
    return 0;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct query q CLEANUP(query_end) = query(store, ADD_LAMP);
    query_bind_text(&q, 1, "desk");
    query_bind_chars(&q, 2, slice("hallway", 4));
    query_bind_blob(&q, 3, slice("\0\1\2", 3));
    assert_int_equal(query_run(&q), 0);
    assert_int_equal(store_changed_count(store), 1);
    assert_int_equal(store_last_id(store), 1);
    query_bind_text(&q, 1, "floor"); /* the query is ready again */
    query_bind_text(&q, 2, NULL);
    query_bind_blob(&q, 3, slice(NULL, 0));
    assert_int_equal(query_run(&q), 0);

    struct query list CLEANUP(query_end) = query(store, LIST_LAMPS);
    char text[8];
    uint8_t code[3];
    assert_int_equal(query_step(&list), STORE_ROW);
    assert_int_equal(query_u64(&list, 0), 1);
    query_text(&list, 1, text, sizeof(text));
    assert_string_equal(text, "desk");
    query_text(&list, 2, text, sizeof(text));
    assert_string_equal(text, "hall");
    query_fixed(&list, 3, code, sizeof(code));
    assert_memory_equal(code, "\0\1\2", 3);
    assert_int_equal(query_step(&list), STORE_ROW);
    assert_true(query_is_null(&list, 2));
    assert_false(query_is_null(&list, 3));
    assert_int_equal(query_blob(&list, 3).len, 0);
    assert_int_equal(query_check(&list), 0);
    assert_int_equal(query_step(&list), 0);
    assert_int_equal(query_step(&list), 0); /* stays at the end */
}

static void test_absent(void **state)
{
    (void)state;
    struct query q CLEANUP(query_end) = query(store, FIND_ROOM);
    query_bind_text(&q, 1, "cellar");
    assert_int_equal(query_one(&q), STORE_ABSENT);
    query_end(&q);
    query_end(&q);
    q = query(store, FIND_ROOM);
    query_bind_text(&q, 1, "hall");
    assert_int_equal(query_one(&q), 0);
    assert_int_equal(query_i64(&q, 0), 0);
}

static void test_conflicts(void **state)
{
    (void)state;
    assert_int_equal(household_add_room(store, "attic", 2), 0);
    assert_int_equal(household_add_room(store, "attic", 3), STORE_CONFLICT);  /* UNIQUE */
    assert_int_equal(household_add_room(store, "mine", -2), STORE_CONFLICT);  /* CHECK */
    assert_int_equal(household_add_room(store, NULL, 0), STORE_CONFLICT);     /* NOT NULL */
    assert_int_equal(household_add_lamp(store, "x", "mine"), STORE_CONFLICT); /* FOREIGN KEY */
    assert_int_equal(household_add_room(store, "mine", -1), 0);
    struct query q CLEANUP(query_end) = query(store, ADD_ROOM);
    query_bind_text(&q, 1, "attic");
    query_bind_i64(&q, 2, 1);
    assert_int_equal(query_step(&q), STORE_CONFLICT);
    assert_int_equal(query_step(&q), STORE_CONFLICT); /* and is not tried again */
    assert_int_equal(query_check(&q), STORE_CONFLICT);
}

enum reading { AS_I64, AS_U64, AS_U32, AS_BOOL, AS_TEXT4, AS_FIXED4, AS_BLOB };

static void read_as(struct query *q, enum reading how)
{
    char bytes[4] = "xxx";
    switch (how) {
    case AS_I64:
        (void)query_i64(q, 0);
        return;
    case AS_U64:
        (void)query_u64(q, 0);
        return;
    case AS_U32:
        (void)query_u32(q, 0);
        return;
    case AS_BOOL:
        (void)query_bool(q, 0);
        return;
    case AS_TEXT4:
        query_text(q, 0, bytes, sizeof(bytes));
        return;
    case AS_FIXED4:
        query_fixed(q, 0, bytes, sizeof(bytes));
        return;
    case AS_BLOB:
        (void)query_blob(q, 0);
        return;
    }
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        char kind; /* i, t, b or n: what is stored */
        int64_t number;
        const char *bytes;
        size_t len;
        enum reading how;
        int outcome;
    } cases[] = {
        { "smallest number", 'i', INT64_MIN, "", 0, AS_I64, 0 },
        { "largest number", 'i', INT64_MAX, "", 0, AS_U64, 0 },
        { "negative as unsigned", 'i', -1, "", 0, AS_U64, -EUCLEAN },
        { "largest of 32 bits", 'i', UINT32_MAX, "", 0, AS_U32, 0 },
        { "above 32 bits", 'i', (int64_t)UINT32_MAX + 1, "", 0, AS_U32, -EUCLEAN },
        { "true", 'i', 1, "", 0, AS_BOOL, 0 },
        { "two as a truth", 'i', 2, "", 0, AS_BOOL, -EUCLEAN },
        { "text as a number", 't', 0, "1", 1, AS_I64, -EUCLEAN },
        { "null as a number", 'n', 0, "", 0, AS_I64, -EUCLEAN },
        { "text that fits", 't', 0, "abc", 3, AS_TEXT4, 0 },
        { "text that does not", 't', 0, "abcd", 4, AS_TEXT4, -EUCLEAN },
        { "text with a NUL", 't', 0, "a\0b", 3, AS_TEXT4, -EUCLEAN },
        { "blob as text", 'b', 0, "abc", 3, AS_TEXT4, -EUCLEAN },
        { "null as text", 'n', 0, "", 0, AS_TEXT4, -EUCLEAN },
        { "exact blob", 'b', 0, "abcd", 4, AS_FIXED4, 0 },
        { "blob one short", 'b', 0, "abc", 3, AS_FIXED4, -EUCLEAN },
        { "blob one long", 'b', 0, "abcde", 5, AS_FIXED4, -EUCLEAN },
        { "text as a blob", 't', 0, "abcd", 4, AS_FIXED4, -EUCLEAN },
        { "null as a blob", 'n', 0, "", 0, AS_BLOB, -EUCLEAN },
        { "empty blob", 'b', 0, "", 0, AS_BLOB, 0 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct query q CLEANUP(query_end) = query(store, ANY_VALUE);
        struct slice bytes = slice(cases[i].bytes, cases[i].len);
        if (cases[i].kind == 'i')
            query_bind_i64(&q, 1, cases[i].number);
        else if (cases[i].kind == 't')
            query_bind_chars(&q, 1, bytes);
        else if (cases[i].kind == 'b')
            query_bind_blob(&q, 1, bytes);
        else
            query_bind_null(&q, 1);
        assert_int_equal(query_one(&q), 0);
        read_as(&q, cases[i].how);
        if (query_check(&q) != cases[i].outcome)
            fail_msg("%s: %d", cases[i].name, query_check(&q));
        if (cases[i].outcome != 0)
            assert_int_equal(query_step(&q), cases[i].outcome);
    }
}

static void test_failed_reads_are_empty(void **state)
{
    (void)state;
    struct query q CLEANUP(query_end) = query(store, ANY_VALUE);
    query_bind_text(&q, 1, "abcdef");
    assert_int_equal(query_one(&q), 0);
    char text[4] = "xxx";
    uint8_t bytes[2] = { 1, 1 };
    query_text(&q, 0, text, sizeof(text));
    query_fixed(&q, 0, bytes, sizeof(bytes));
    assert_string_equal(text, "");
    assert_int_equal(bytes[0] | bytes[1], 0);
    assert_int_equal(query_i64(&q, 0), 0);
    assert_int_equal(query_blob(&q, 0).len, 0);
}

static void test_append(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_free) = buf(8);
    for (int i = 0; i < 3; i++) {
        struct query q CLEANUP(query_end) = query(store, ANY_VALUE);
        if (i == 1)
            query_bind_text(&q, 1, "abc");
        else
            query_bind_blob(&q, 1, slice("def", 3));
        assert_int_equal(query_one(&q), 0);
        query_append(&q, 0, &out);
        assert_int_equal(query_check(&q), i < 2 ? 0 : -EFBIG);
    }
    assert_true(slice_equal(buf_slice(&out), slice_str("defabc")));
}

static void test_binding_failures(void **state)
{
    (void)state;
    struct query q CLEANUP(query_end) = query(store, ADD_ROOM);
    query_bind_text(&q, 1, "tower");
    query_bind_u64(&q, 2, (uint64_t)INT64_MAX + 1);
    assert_int_equal(query_run(&q), -EOVERFLOW);
    query_bind_text(&q, 1, "tower");
    query_bind_u64(&q, 2, INT64_MAX);
    assert_int_equal(query_run(&q), 0);
    static const uint8_t small[1];
    struct query any CLEANUP(query_end) = query(store, ANY_VALUE);
    query_bind_blob(&any, 1, slice(small, (size_t)1 << 40)); /* refused by its length alone */
    assert_int_equal(query_step(&any), -EFBIG);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_round_trip),
        EACH(test_absent),
        EACH(test_conflicts),
        EACH(test_kinds),
        EACH(test_failed_reads_are_empty),
        EACH(test_append),
        EACH(test_binding_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
