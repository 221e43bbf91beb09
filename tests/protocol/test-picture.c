/* The outlines of pictures: real ones are recognised, large ones, several in one and pieces are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/util.h"
#include "protocol/picture.h"

#define SIDE 4096
#define JPEG_START 0xff, 0xd8
#define JPEG_END 0xff, 0xd9
#define FRAME(kind, height, width) \
    0xff, kind, 0, 11, 8, (height) >> 8, (height)&0xff, (width) >> 8, (width)&0xff, 1, 1, 0x11, 0
#define SCAN 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0
#define PNG_START 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'
#define CHECKSUM 0, 0, 0, 0
#define HEAD(width, height)                                                                                  \
    0, 0, 0, 13, 'I', 'H', 'D', 'R', 0, (width) >> 16, (width) >> 8 & 0xff, (width)&0xff, 0, (height) >> 16, \
        (height) >> 8 & 0xff, (height)&0xff, 8, 6, 0, 0, 0, CHECKSUM
#define DATA 0, 0, 0, 3, 'I', 'D', 'A', 'T', 1, 2, 3, CHECKSUM
#define PNG_END 0, 0, 0, 0, 'I', 'E', 'N', 'D', CHECKSUM
#define BYTES(...)                                                                 \
    {                                                                              \
        (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) \
    }

struct picture_case {
    const char *name;
    struct slice picture;
    const char *type; /* NULL: refused */
};

static const struct picture_case cases[] = {
    { "nothing", { NULL, 0 }, NULL },
    { "another kind", BYTES('G', 'I', 'F', '8', '9', 'a', 0, 0), NULL },
    { "a JPEG", BYTES(JPEG_START, FRAME(0xc0, 1, 1), JPEG_END), "image/jpeg" },
    { "a progressive one, with everything",
      BYTES(JPEG_START, 0xff, 0xe1, 0, 4, 'x', 'y', 0xff, 0xdb, 0, 2, 0xff, 0xff, 0xfe, 0, 3, '!',
            FRAME(0xc2, SIDE, SIDE), 0xff, 0xc4, 0, 2, 0xff, 0xdd, 0, 4, 0, 1, SCAN, 1, 0xff, 0, 2, 0xff, 0xd7, 3, SCAN,
            4, 0xff, JPEG_END),
      "image/jpeg" },
    { "a head that is no more than that", BYTES(JPEG_START, 0xff, 0xe0), NULL },
    { "too high", BYTES(JPEG_START, FRAME(0xc0, SIDE + 1, 1), JPEG_END), NULL },
    { "too wide", BYTES(JPEG_START, FRAME(0xc0, 1, SIDE + 1), JPEG_END), NULL },
    { "65535 times 65535", BYTES(JPEG_START, FRAME(0xc1, 65535, 65535), SCAN, 1, JPEG_END), NULL },
    { "a height that comes later", BYTES(JPEG_START, FRAME(0xc0, 0, 1), SCAN, 1, 0xff, 0xdc, 0, 4, 0, 1, JPEG_END),
      NULL },
    { "no frame", BYTES(JPEG_START, 0xff, 0xe0, 0, 2, JPEG_END), NULL },
    { "two frames", BYTES(JPEG_START, FRAME(0xc0, 1, 1), FRAME(0xc0, 1, 1), JPEG_END), NULL },
    { "a frame behind the samples", BYTES(JPEG_START, FRAME(0xc0, 1, 1), SCAN, 1, FRAME(0xc0, 1, 1), JPEG_END), NULL },
    { "a frame in a comment", BYTES(JPEG_START, 0xff, 0xfe, 0, 15, FRAME(0xc0, 9999, 1), FRAME(0xc0, 1, 1), JPEG_END),
      "image/jpeg" },
    { "a frame in a segment that decoders may not pass over",
      BYTES(JPEG_START, 0xff, 0xf0, 0, 15, FRAME(0xc0, 9999, 1), FRAME(0xc0, 1, 1), JPEG_END), NULL },
    { "lossless", BYTES(JPEG_START, FRAME(0xc3, 1, 1), JPEG_END), NULL },
    { "two pictures", BYTES(JPEG_START, FRAME(0xc0, 1, 1), JPEG_END, JPEG_START, FRAME(0xc0, 1, 1), JPEG_END), NULL },
    { "a byte behind the end", BYTES(JPEG_START, FRAME(0xc0, 1, 1), JPEG_END, 0), NULL },
    { "a segment of no length", BYTES(JPEG_START, 0xff, 0xe0, 0, 1, FRAME(0xc0, 1, 1), JPEG_END), NULL },
    { "a segment beyond the end", BYTES(JPEG_START, FRAME(0xc0, 1, 1), 0xff, 0xe0, 0, 5, JPEG_END), NULL },
    { "a short frame", BYTES(JPEG_START, 0xff, 0xc0, 0, 6, 8, 0, 1, 0, JPEG_END), NULL },
    { "bytes between segments", BYTES(JPEG_START, 0, FRAME(0xc0, 1, 1), JPEG_END), NULL },
    { "a restart outside samples", BYTES(JPEG_START, FRAME(0xc0, 1, 1), 0xff, 0xd0, JPEG_END), NULL },

    { "a PNG", BYTES(PNG_START, HEAD(SIDE, SIDE), DATA, PNG_END), "image/png" },
    { "a magic number", BYTES(PNG_START), NULL },
    { "too wide", BYTES(PNG_START, HEAD(SIDE + 1, 1), DATA, PNG_END), NULL },
    { "16000 times 16000", BYTES(PNG_START, HEAD(16000, 16000), DATA, PNG_END), NULL },
    { "of no width", BYTES(PNG_START, HEAD(0, 1), DATA, PNG_END), NULL },
    { "2^24 pixels more",
      BYTES(PNG_START, 0, 0, 0, 13, 'I', 'H', 'D', 'R', 1, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0, CHECKSUM, PNG_END),
      NULL },
    { "another chunk first", BYTES(PNG_START, DATA, HEAD(1, 1), PNG_END), NULL },
    { "two heads", BYTES(PNG_START, HEAD(1, 1), HEAD(1, 1), PNG_END), NULL },
    { "a long head",
      BYTES(PNG_START, 0, 0, 0, 14, 'I', 'H', 'D', 'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0, CHECKSUM, PNG_END),
      NULL },
    { "animated", BYTES(PNG_START, HEAD(1, 1), 0, 0, 0, 0, 'a', 'c', 'T', 'L', CHECKSUM, PNG_END), NULL },
    { "no end", BYTES(PNG_START, HEAD(1, 1), DATA), NULL },
    { "a byte behind the end", BYTES(PNG_START, HEAD(1, 1), PNG_END, 0), NULL },
    { "a chunk of 4 GiB", BYTES(PNG_START, HEAD(1, 1), 0xff, 0xff, 0xff, 0xff, 'I', 'D', 'A', 'T', PNG_END), NULL },
};

static void test_outlines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *type = picture_type(cases[i].picture, SIDE);
        if ((type == NULL) != (cases[i].type == NULL) || (type && strcmp(type, cases[i].type) != 0))
            fail_msg("%s: %s", cases[i].name, type ? type : "refused");
    }
}

/* Nothing that was cut off is whole. */
static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        for (size_t len = 0; cases[i].type && len < cases[i].picture.len; len++)
            assert_null(picture_type(slice_sub(cases[i].picture, 0, len), SIDE));
}

/* Compressed notes are bounded together. */
static void test_notes(void **state)
{
    (void)state;
    static const uint8_t start[] = { PNG_START, HEAD(1, 1) }, end[] = { PNG_END };
    static uint8_t png[(64 << 10) + 256];
    static const char *const names[] = { "zTXt", "iTXt", "iCCP" };
    for (unsigned beyond = 0; beyond < 2; beyond++) {
        size_t at = sizeof(start), lens[] = { 30000, 30000, 5536 + beyond };
        memcpy(png, start, sizeof(start));
        for (size_t i = 0; i < ARRAY_COUNT(lens); i++) {
            put_be32(png + at, (uint32_t)lens[i]);
            memcpy(png + at + 4, names[i], 4);
            at += 12 + lens[i];
        }
        memcpy(png + at, end, sizeof(end));
        assert_int_equal(picture_type(slice(png, at + sizeof(end)), SIDE) == NULL, beyond);
        memset(png, 0, sizeof(png));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_outlines), cmocka_unit_test(test_cut),
                                        cmocka_unit_test(test_notes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
