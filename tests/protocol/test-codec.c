/* The strict decoder, over every message of the project: filled by walking its descriptor, then damaged in every way. */
#include "protocol/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pb_common.h>
#include <pb_encode.h>

#include "base/util.h"
#include "control.pb.h"
#include "documents.pb.h"
#include "messages.pb.h"
#include "share.pb.h"
#include "vault.pb.h"

struct message {
    const char *name;
    const pb_msgdesc_t *fields;
    size_t max_bytes, struct_size;
};
static const struct message messages[] = {
#define MESSAGE(T) { #T, T##_fields, T##_size, sizeof(T) },
#include "messages.inc"
#undef MESSAGE
};

static char **schema_paths;
static int schema_count;

/* Every field present, every array with two elements (or full), numbers of several bytes. */
static void fill(const pb_msgdesc_t *fields, void *message, bool full)
{
    pb_field_iter_t f;
    if (!pb_field_iter_begin(&f, fields, message))
        return;
    do {
        pb_size_t count = 1;
        if (PB_HTYPE(f.type) == PB_HTYPE_REPEATED) {
            count = full || f.array_size < 2 ? f.array_size : 2;
            *(pb_size_t *)f.pSize = count;
        } else if (PB_HTYPE(f.type) == PB_HTYPE_OPTIONAL) {
            *(bool *)f.pSize = true;
        }
        for (pb_size_t i = 0; i < count; i++) {
            uint8_t *element = (uint8_t *)f.pData + (size_t)i * f.data_size;
            switch (PB_LTYPE(f.type)) {
            case PB_LTYPE_STRING:
                memset(element, 'a' + i % 26, full ? f.data_size - 1u : size_min(5, f.data_size - 1u));
                break;
            case PB_LTYPE_BYTES: {
                pb_bytes_array_t *bytes = (pb_bytes_array_t *)(void *)element;
                bytes->size = (pb_size_t)(f.data_size - offsetof(pb_bytes_array_t, bytes));
                while (bytes->size + offsetof(pb_bytes_array_t, bytes) > f.data_size)
                    bytes->size--;
                if (!full)
                    bytes->size = (pb_size_t)size_min(bytes->size, 9);
                else if (bytes->size > 1)
                    bytes->size -= (pb_size_t)(bytes->size % 16 == 2 ? 2 : 0); /* padding of the struct */
                memset(bytes->bytes, 0xa5, bytes->size);
                break;
            }
            case PB_LTYPE_FIXED_LENGTH_BYTES:
                memset(element, 0x80 + f.index, f.data_size);
                break;
            case PB_LTYPE_BOOL:
                *element = 1;
                break;
            default:
                if (PB_LTYPE_IS_SUBMSG(f.type))
                    fill(f.submsg_desc, element, full);
                else
                    memset(element, full ? 0xff : 0x41, f.data_size);
            }
        }
    } while (pb_field_iter_next(&f));
}

struct sample {
    void *decoded, *scratch;
    struct buf bytes;
};
static struct sample sample_of(const struct message *m)
{
    struct sample s = { calloc(1, m->struct_size), calloc(1, m->struct_size), buf(1 << 20) };
    assert_non_null(s.decoded);
    assert_non_null(s.scratch);
    fill(m->fields, s.decoded, false);
    if (codec_encode(&s.bytes, m->fields, s.decoded) != 0)
        fail_msg("%s does not encode", m->name);
    return s;
}
static void sample_free(struct sample *s)
{
    free(s->decoded);
    free(s->scratch);
    buf_free(&s->bytes);
}

static int decode(const struct message *m, struct slice bytes, struct sample *s)
{
    return codec_decode(m->fields, m->max_bytes, bytes, s->scratch, m->struct_size);
}

/* Whatever is accepted has exactly one encoding: these bytes. */
static void refused_or_canonical(const struct message *m, struct slice bytes, struct sample *s)
{
    int r = decode(m, bytes, s);
    if (r == CODEC_MALFORMED)
        return;
    assert_int_equal(r, 0);
    struct buf again CLEANUP(buf_free) = buf(1 << 20);
    assert_int_equal(buf_reserve(&again, m->max_bytes + 1), 0);
    pb_ostream_t stream = pb_ostream_from_buffer(again.data, again.cap);
    assert_true(pb_encode(&stream, m->fields, s->scratch));
    if (!slice_equal(slice(again.data, stream.bytes_written), bytes))
        fail_msg("%s: accepted a second form", m->name);
}

static void must_refuse(const struct message *m, struct slice bytes, struct sample *s, const char *what)
{
    if (decode(m, bytes, s) != CODEC_MALFORMED)
        fail_msg("%s: accepted %s", m->name, what);
    for (size_t i = 0; i < m->struct_size; i++)
        assert_int_equal(((uint8_t *)s->scratch)[i], 0); /* nothing of it stays */
}

/* The top-level fields of an encoding: [start[i], start[i + 1]). */
static size_t split_fields(struct slice bytes, size_t *start, size_t cap)
{
    size_t at = 0, count = 0;
    while (at < bytes.len) {
        assert_true(count + 1 < cap);
        start[count++] = at;
        unsigned wire_type = bytes.data[at] & 7;
        while (bytes.data[at++] & 0x80)
            ;
        uint64_t value = 0;
        unsigned shift = 0;
        do {
            value |= (uint64_t)(bytes.data[at] & 0x7f) << shift;
            shift += 7;
        } while (bytes.data[at++] & 0x80);
        assert_true(wire_type == 0 || wire_type == 2);
        if (wire_type == 2)
            at += (size_t)value;
    }
    start[count] = at;
    return count;
}

static void round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct sample s = sample_of(&messages[i]);
        if (decode(&messages[i], buf_slice(&s.bytes), &s) != 0)
            fail_msg("%s does not decode", messages[i].name);
        sample_free(&s);
    }
}

/* The largest message of each type stays within the generated bound, and that within a frame. */
static void largest(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        const struct message *m = &messages[i];
        void *full = calloc(1, m->struct_size);
        assert_non_null(full);
        fill(m->fields, full, true);
        struct buf b CLEANUP(buf_free) = buf(1 << 20);
        int r = codec_encode(&b, m->fields, full);
        if (r != 0 || b.len > m->max_bytes)
            fail_msg("%s: %d, %zu bytes", m->name, r, b.len);
        assert_true(m->max_bytes <= FRAME_MESSAGE_MAX);
        free(full);
    }
}

static void every_truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct sample s = sample_of(&messages[i]);
        for (size_t cut = 0; cut < s.bytes.len; cut++)
            refused_or_canonical(&messages[i], slice(s.bytes.data, cut), &s);
        sample_free(&s);
    }
}

static void every_flipped_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct sample s = sample_of(&messages[i]);
        for (size_t bit = 0; bit < s.bytes.len * 8; bit++) {
            s.bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            refused_or_canonical(&messages[i], buf_slice(&s.bytes), &s);
            s.bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        sample_free(&s);
    }
}

static void wrong_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct sample s = sample_of(&messages[i]);
        size_t start[64], count = split_fields(buf_slice(&s.bytes), start, ARRAY_COUNT(start));
        for (size_t f = 0; f + 1 < count; f++) {
            struct slice first = slice_sub(buf_slice(&s.bytes), start[f], start[f + 1] - start[f]);
            struct slice second = slice_sub(buf_slice(&s.bytes), start[f + 1], start[f + 2] - start[f + 1]);
            if (first.data[0] == second.data[0])
                continue; /* two elements of an array */
            struct buf swapped CLEANUP(buf_free) = buf(1 << 20);
            assert_int_equal(buf_append(&swapped, slice(s.bytes.data, start[f])), 0);
            assert_int_equal(buf_append(&swapped, second), 0);
            assert_int_equal(buf_append(&swapped, first), 0);
            assert_int_equal(buf_append(&swapped, slice(s.bytes.data + start[f + 2], s.bytes.len - start[f + 2])), 0);
            must_refuse(&messages[i], buf_slice(&swapped), &s, "fields in another order");
        }
        sample_free(&s);
    }
}

static void duplicates(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct sample s = sample_of(&messages[i]);
        size_t start[64], count = split_fields(buf_slice(&s.bytes), start, ARRAY_COUNT(start));
        for (size_t f = 0; f < count; f++) {
            struct buf twice CLEANUP(buf_free) = buf(1 << 20);
            assert_int_equal(buf_append(&twice, slice(s.bytes.data, start[f + 1])), 0);
            assert_int_equal(buf_append(&twice, slice(s.bytes.data + start[f], s.bytes.len - start[f])), 0);
            refused_or_canonical(&messages[i], buf_slice(&twice), &s); /* arrays may grow */
        }
        sample_free(&s);
    }
}

static void unknown_fields(void **state)
{
    (void)state;
    static const uint8_t unknown[][4] = { { 0xa0, 0x06, 0x01 }, { 0xa2, 0x06, 0x01, 0x00 }, { 0xa5, 0x06 } };
    static const size_t lens[] = { 3, 4, 2 };
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct sample s = sample_of(&messages[i]);
        for (size_t u = 0; u < ARRAY_COUNT(unknown); u++) {
            struct buf more CLEANUP(buf_free) = buf(1 << 20);
            assert_int_equal(buf_append(&more, buf_slice(&s.bytes)), 0);
            assert_int_equal(buf_append(&more, slice(unknown[u], lens[u])), 0);
            must_refuse(&messages[i], buf_slice(&more), &s, "an unknown field");
        }
        sample_free(&s);
    }
}

/* Tag, length and value of each field in a longer form than needed. */
static void long_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct sample s = sample_of(&messages[i]);
        size_t start[64], count = split_fields(buf_slice(&s.bytes), start, ARRAY_COUNT(start));
        for (size_t f = 0; f < count; f++)
            for (int part = 0; part < 2; part++) {
                size_t last = start[f]; /* last byte of the number */
                while (s.bytes.data[last] & 0x80)
                    last++;
                if (part == 1) {
                    last++;
                    while (s.bytes.data[last] & 0x80)
                        last++;
                }
                struct buf longer CLEANUP(buf_free) = buf(1 << 20);
                assert_int_equal(buf_append(&longer, slice(s.bytes.data, last)), 0);
                assert_int_equal(buf_put_u8(&longer, s.bytes.data[last] | 0x80), 0);
                assert_int_equal(buf_put_u8(&longer, 0), 0);
                assert_int_equal(buf_append(&longer, slice(s.bytes.data + last + 1, s.bytes.len - last - 1)), 0);
                must_refuse(&messages[i], buf_slice(&longer), &s, "a number in a long form");
            }
        sample_free(&s);
    }
}

static void over_the_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct sample s = sample_of(&messages[i]);
        if (s.bytes.len > 0)
            assert_int_equal(codec_decode(messages[i].fields, s.bytes.len - 1, buf_slice(&s.bytes), s.scratch,
                                          messages[i].struct_size),
                             CODEC_MALFORMED);
        sample_free(&s);
    }
}

struct text_case {
    const char *name, *text;
    bool shown;
};
static const struct text_case text_cases[] = {
    { "plain", "Sonata No. 14", true },
    { "empty", "", true },
    { "accents and other scripts", "D\xc3\xa9j\xc3\xa0 \xe5\x9b\x9b\xe5\xad\xa3 \xf0\x9f\x8e\xb5", true },
    { "escape", "a\033[31m", false },
    { "line feed", "a\nb", false },
    { "delete", "a\x7f", false },
    { "C1 control", "a\xc2\x9b", false },
    { "right-to-left override",
      "a\xe2\x80\xae"
      "b",
      false },
    { "isolate",
      "a\xe2\x81\xa6"
      "b",
      false },
    { "line separator",
      "a\xe2\x80\xa8"
      "b",
      false },
    { "broken sequence", "a\xc3", false },
    { "overlong", "a\xc0\xaf", false },
    { "surrogate", "a\xed\xa0\x80", false },
    { "beyond Unicode", "a\xf4\x90\x80\x80", false },
};

static void texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(text_cases); i++) {
        const struct text_case *c = &text_cases[i];
        msg_Account account = { .user = "u", .currency = "EUR", .links_count = 2 };
        memcpy(account.links[1].user, c->text, strlen(c->text)); /* inside an array of messages */
        struct buf b CLEANUP(buf_free) = buf(16384);
        int r = CODEC_ENCODE(msg_Account, &b, &account);
        if (r != (c->shown ? 0 : -EINVAL))
            fail_msg("%s: encoded with %d", c->name, r);
        assert_int_equal(buf_reserve(&b, 4096), 0);
        pb_ostream_t stream = pb_ostream_from_buffer(b.data, b.cap);
        assert_true(pb_encode(&stream, msg_Account_fields, &account));
        msg_Account back;
        r = CODEC_DECODE(msg_Account, slice(b.data, stream.bytes_written), &back);
        if (r != (c->shown ? 0 : CODEC_MALFORMED))
            fail_msg("%s: decoded with %d", c->name, r);
        CODEC_SET_TEXT(account.links[1].user, c->text); /* what this sets can always be sent */
        buf_clear(&b);
        assert_int_equal(CODEC_ENCODE(msg_Account, &b, &account), 0);
    }
    /* A zero byte inside a string, then more. */
    static const uint8_t zero_inside[] = { 0x0a, 3, 'a', 0, 'b', 0x10, 0 };
    msg_CatalogueGet get;
    assert_int_equal(CODEC_DECODE(msg_CatalogueGet, SLICE_ARRAY(zero_inside), &get), CODEC_MALFORMED);
}

static void lists(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(19);
    assert_int_equal(codec_list_put(&b, slice_str("one")), 0);
    assert_int_equal(codec_list_put(&b, slice_str("")), 0);
    assert_int_equal(codec_list_put(&b, slice_str("three")), BUF_FULL);
    assert_int_equal(b.len, 11); /* nothing of it was added */
    assert_int_equal(codec_list_put(&b, slice_str("four")), 0);
    struct reader r = reader(buf_slice(&b));
    struct slice item;
    assert_int_equal(codec_list_next(&r, 4, &item), 0);
    assert_true(slice_equal(item, slice_str("one")));
    assert_int_equal(codec_list_next(&r, 4, &item), 0);
    assert_int_equal(item.len, 0);
    assert_int_equal(codec_list_next(&r, 4, &item), 0);
    assert_int_equal(codec_list_next(&r, 4, &item), CODEC_END);
    r = reader(buf_slice(&b));
    assert_int_equal(codec_list_next(&r, 2, &item), CODEC_MALFORMED); /* over the limit */
    for (size_t cut = 1; cut < 7; cut++) {
        r = reader(slice(b.data, cut));
        assert_int_equal(codec_list_next(&r, 100, &item), CODEC_MALFORMED);
    }
    static const uint8_t negative[] = { 0xff, 0xff, 0xff, 0xff, 'x' };
    r = reader(SLICE_ARRAY(negative));
    assert_int_equal(codec_list_next(&r, SIZE_MAX, &item), CODEC_MALFORMED);
}

static void whole_frames(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(200);
    msg_ListGet get = { .first = 7, .count = 9 };
    assert_int_equal(codec_frame(&b, msg_Type_LIST_GET, 5, msg_ListGet_fields, &get, slice_str("tail")), 0);
    struct frame f;
    size_t used, need;
    assert_int_equal(frame_split(buf_slice(&b), 100, &f, &used, &need), 0);
    assert_int_equal(used, b.len);
    msg_ListGet back;
    assert_int_equal(CODEC_DECODE(msg_ListGet, f.message, &back), 0);
    assert_int_equal(back.count, 9);
    assert_true(slice_equal(f.tail, slice_str("tail")));
    size_t before = b.len;
    uint8_t big[150] = { 0 };
    assert_int_equal(codec_frame(&b, msg_Type_LIST_GET, 5, msg_ListGet_fields, &get, SLICE_ARRAY(big)), BUF_FULL);
    assert_int_equal(b.len, before);
}

/* messages.inc is complete: as many as the schemas say. */
static void none_is_missing(void **state)
{
    (void)state;
    size_t count = 0;
    for (int i = 0; i < schema_count; i++) {
        FILE *file = fopen(schema_paths[i], "r");
        assert_non_null(file);
        char line[1024];
        while (fgets(line, sizeof(line), file))
            count += strncmp(line, "message ", 8) == 0;
        (void)fclose(file);
    }
    assert_int_equal(count, ARRAY_COUNT(messages));
}

int main(int argc, char **argv)
{
    schema_paths = argv + 1;
    schema_count = argc - 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_missing),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(largest),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(every_flipped_bit),
        cmocka_unit_test(wrong_order),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(unknown_fields),
        cmocka_unit_test(long_numbers),
        cmocka_unit_test(over_the_limit),
        cmocka_unit_test(texts),
        cmocka_unit_test(lists),
        cmocka_unit_test(whole_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
