/* The outlines of JPEG (ISO/IEC 10918-1 annex B) and PNG (ISO/IEC 15948 clause 5). Pixels are not looked at: that is the confined player's. */
#include "protocol/picture.h"

#include <stdbool.h>
#include <string.h>

#include "base/util.h"

static bool fits(uint32_t width, uint32_t height, uint32_t side_max)
{
    return width > 0 && height > 0 && width <= side_max && height <= side_max;
}

/* --- JPEG ---------------------------------------------------------------------------------------------------------- */

enum marker {
    FRAME_BASELINE = 0xc0,
    FRAME_PROGRESSIVE = 0xc2,
    HUFFMAN_TABLES = 0xc4,
    RESTART_0 = 0xd0,
    RESTART_7 = 0xd7,
    END = 0xd9,
    SCAN = 0xda,
    QUANTIZATION = 0xdb,
    RESTART_INTERVAL = 0xdd,
    APPLICATION_0 = 0xe0,
    APPLICATION_15 = 0xef,
    COMMENT = 0xfe
};

static bool is_frame(uint8_t marker) { return marker >= FRAME_BASELINE && marker <= FRAME_PROGRESSIVE; }

static bool is_known(uint8_t marker)
{
    return is_frame(marker) || marker == HUFFMAN_TABLES || marker == SCAN || marker == QUANTIZATION ||
           marker == RESTART_INTERVAL || (marker >= APPLICATION_0 && marker <= APPLICATION_15) || marker == COMMENT;
}

/* The samples of a scan: up to the next marker that does not belong to them. */
static void pass_samples(struct reader *r)
{
    const struct slice s = r->rest;
    size_t at = 0;
    while (at + 1 < s.len &&
           (s.data[at] != 0xff || s.data[at + 1] == 0 || (s.data[at + 1] >= RESTART_0 && s.data[at + 1] <= RESTART_7)))
        at += s.data[at] == 0xff ? 2 : 1;
    r->rest = slice_sub(s, at, s.len - at);
}

/* 0xff as often as it likes, then the marker. */
static uint8_t next_marker(struct reader *r)
{
    uint8_t byte = reader_u8(r);
    if (byte != 0xff)
        r->bad = true;
    while (!r->bad && byte == 0xff)
        byte = reader_u8(r);
    return byte;
}

static bool judge_jpeg(struct slice picture, uint32_t side_max)
{
    struct reader r = reader(slice_sub(picture, 2, picture.len - 2));
    unsigned frames = 0;
    for (;;) {
        uint8_t marker = next_marker(&r);
        if (r.bad || marker == END)
            return !r.bad && frames == 1 && reader_done(&r);
        uint16_t len = is_known(marker) ? reader_u16(&r) : 0;
        if (len < 2)
            return false;
        struct reader inside = reader(reader_bytes(&r, len - 2u));
        if (is_frame(marker)) { /* precision:1 height:2 width:2 components */
            (void)reader_u8(&inside);
            uint32_t height = reader_u16(&inside), width = reader_u16(&inside);
            if (++frames > 1 || inside.bad || !fits(width, height, side_max))
                return false;
        }
        if (marker == SCAN)
            pass_samples(&r);
    }
}

/* --- PNG ----------------------------------------------------------------------------------------------------------- */

#define NOTES_MAX (64u << 10)
#define NAME_BYTES 4

static bool is_one_of(const uint8_t name[NAME_BYTES], const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(name, names[i], NAME_BYTES) == 0)
            return true;
    return false;
}

static bool judge_png(struct slice picture, uint32_t side_max)
{
    static const char *const compressed[] = { "zTXt", "iTXt", "iCCP" }, *const refused[] = { "IHDR", "acTL", "fcTL",
                                                                                             "fdAT" };
    struct reader r = reader(slice_sub(picture, 8, picture.len - 8));
    size_t notes = 0;
    for (bool first = true;; first = false) { /* length:4 name:4 data checksum:4 */
        uint32_t len = reader_u32(&r);
        struct slice name = reader_bytes(&r, NAME_BYTES);
        struct reader inside = reader(reader_bytes(&r, len));
        (void)reader_u32(&r);
        if (r.bad)
            return false;
        if (first) { /* width:4 height:4 ... */
            uint32_t width = reader_u32(&inside), height = reader_u32(&inside);
            if (memcmp(name.data, "IHDR", NAME_BYTES) != 0 || len != 13 || !fits(width, height, side_max))
                return false;
            continue;
        }
        if (memcmp(name.data, "IEND", NAME_BYTES) == 0)
            return reader_done(&r);
        notes += is_one_of(name.data, compressed, ARRAY_COUNT(compressed)) ? len : 0;
        if (notes > NOTES_MAX || is_one_of(name.data, refused, ARRAY_COUNT(refused)))
            return false;
    }
}

const char *picture_type(struct slice picture, uint32_t side_max)
{
    static const uint8_t jpeg[] = { 0xff, 0xd8, 0xff }, png[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
    if (picture.len > sizeof(jpeg) && memcmp(picture.data, jpeg, sizeof(jpeg)) == 0)
        return judge_jpeg(picture, side_max) ? "image/jpeg" : NULL;
    if (picture.len > sizeof(png) && memcmp(picture.data, png, sizeof(png)) == 0)
        return judge_png(picture, side_max) ? "image/png" : NULL;
    return NULL;
}
