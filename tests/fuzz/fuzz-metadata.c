/* Metadata files and their parts.
 * Promises: a file that is split is put together to the same bytes again; parts that are read are written to the same bytes again, each is within
 * its bounds and shows as it is, and reading ends. Input: mode, then a file (0), edits of a good one (1), a vouch file (2), edits of a good one (3),
 * parts (4), edits of good ones (5). */
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "fuzz.h"
#include "protocol/metadata.h"
#include "protocol/picture.h"
#include "world.h"

#define EDITS_MAX 12
#define FILE_MAX (64u << 10)

static void good_parts(struct buf *out)
{
    static const uint8_t jpeg[] = { 0xff, 0xd8, 0xff, 0xe0, 0, 2, 0xff, 0xc0, 0, 8, 8, 0, 1, 0, 1, 0, 0xff, 0xd9 };
    struct metadata_reader so_far = metadata_reader(slice(NULL, 0));
    const struct metadata_part parts[] = {
        { .kind = METADATA_TAG,
          .key = slice_str("title"),
          .text = slice_str("Nachtst\xc3\xbc"
                            "ck") },
        { .kind = METADATA_TAG, .key = slice_str("artist"), .text = slice_str("Somebody") },
        { .kind = METADATA_CHAPTER, .text = slice_str("One") },
        { .kind = METADATA_CHAPTER, .start_ms = 60000, .text = slice_str("Two") },
        { .kind = METADATA_LYRIC, .start_ms = 1000, .text = slice_str("A line") },
        { .kind = METADATA_LYRIC, .start_ms = 2500 },
        { .kind = METADATA_COVER, .text = slice(jpeg, sizeof(jpeg)) },
    };
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        CHECK(metadata_put(out, &so_far, &parts[i]) == 0);
}

static void good_file(const struct world *w, bool vouch_only, struct buf *out)
{
    struct buf document CLEANUP(buf_free) = buf(4096), vouch CLEANUP(buf_free) = buf(4096),
                        keyset CLEANUP(buf_free) = buf(4096), parts CLEANUP(buf_free) = buf(4096);
    world_envelope(w, DOCUMENT_METADATA, &document);
    world_envelope(w, DOCUMENT_METADATA_VOUCH, &vouch);
    world_envelope(w, DOCUMENT_KEYSET, &keyset);
    good_parts(&parts);
    const struct metadata_file f = { buf_slice(&document), buf_slice(&vouch), buf_slice(&keyset), buf_slice(&parts) };
    CHECK((vouch_only ? metadata_vouch_put(out, f.vouch, f.keyset) : metadata_file_put(out, &f)) == 0);
}

static void read_file(struct slice file)
{
    struct metadata_file f;
    struct buf again CLEANUP(buf_free) = buf(FILE_MAX);
    int r = metadata_file_split(file, &f);
    CHECK(r == 0 || r == REASON_MALFORMED);
    if (r == 0)
        CHECK(metadata_file_put(&again, &f) == 0 && slice_equal(buf_slice(&again), file));
}

static void read_vouch(struct slice file)
{
    struct metadata_file f;
    struct buf again CLEANUP(buf_free) = buf(FILE_MAX);
    int r = metadata_vouch_split(file, &f);
    CHECK(r == 0 || r == REASON_MALFORMED);
    if (r == 0)
        CHECK(metadata_vouch_put(&again, f.vouch, f.keyset) == 0 && slice_equal(buf_slice(&again), file));
}

static void check_part(const struct metadata_part *p)
{
    CHECK(p->kind >= METADATA_TAG && p->kind <= METADATA_COVER && p->start_ms <= METADATA_MS_MAX);
    fuzz_touch_slice(p->text);
    fuzz_touch_slice(p->key);
    if (p->kind == METADATA_COVER)
        CHECK(picture_type(p->text, METADATA_COVER_SIDE_MAX) != NULL);
    else
        CHECK(p->text.len <= METADATA_TEXT_MAX && text_is_utf8(p->text) && !memchr(p->text.data, 0x1b, p->text.len));
}

/* The document says which parts it was signed over: these, as they are. */
static void check_match(struct slice parts)
{
    doc_Metadata m = { .parts_bytes = (uint32_t)parts.len };
    sha256(parts, m.parts_digest);
    CHECK(metadata_parts_match(&m, parts) && !metadata_parts_match(&m, slice_sub(parts, 1, parts.len)));
    m.parts_digest[31] ^= 1;
    CHECK(!metadata_parts_match(&m, parts));
}

/* What the reader would refuse is not written, nor what does not fit. */
static void check_put(const struct metadata_reader *so_far, const struct metadata_part *p, struct buf *full)
{
    struct metadata_reader r = *so_far;
    struct metadata_part bad = *p;
    bad.kind = (enum metadata_kind)(p->kind == METADATA_COVER ? METADATA_TAG : 0);
    CHECK(metadata_put(full, &r, &bad) == REASON_MALFORMED && metadata_put(full, &r, p) == REASON_TOO_LARGE &&
          full->len == 2);
}

static void read_parts(struct slice parts)
{
    struct metadata_reader r = metadata_reader(parts), so_far = metadata_reader(slice(NULL, 0));
    struct buf again CLEANUP(buf_free) = buf(FILE_MAX);
    struct metadata_part p;
    uint32_t counts[METADATA_COVER + 1];
    int result;
    while ((result = metadata_next(&r, &p)) == 0) {
        struct buf full CLEANUP(buf_free) = buf(4);
        CHECK(buf_append(&full, slice("ab", 2)) == 0);
        check_part(&p);
        check_put(&so_far, &p, &full);
        CHECK(metadata_put(&again, &so_far, &p) == 0);
    }
    CHECK(result == METADATA_END || result == REASON_MALFORMED);
    CHECK((metadata_parts_judge(parts, counts) == 0) == (result == METADATA_END));
    if (result == METADATA_END && parts.len > 0)
        check_match(parts);
    if (result == METADATA_END)
        CHECK(slice_equal(buf_slice(&again), parts));
    else
        CHECK(metadata_next(&r, &p) == REASON_MALFORMED); /* and stays so */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    unsigned mode = input_u8(&in) % 6;
    struct buf file CLEANUP(buf_free) = buf(FILE_MAX);
    if (mode % 2 == 0) {
        struct slice rest = input_rest(&in);
        CHECK(buf_append(&file, slice_sub(rest, 0, size_min(rest.len, FILE_MAX))) == 0);
    } else if (mode == 5) {
        good_parts(&file);
    } else {
        good_file(world_get(), mode == 3, &file);
    }
    for (unsigned i = 0; mode % 2 == 1 && i < EDITS_MAX && in.rest.len > 0; i++)
        input_edit(&in, &file);
    uint8_t *copy CLEANUP(freep) = input_copy(buf_slice(&file));
    struct slice bytes = slice(copy, file.len);
    if (mode < 2)
        read_file(bytes);
    else if (mode < 4)
        read_vouch(bytes);
    else
        read_parts(bytes);
    return 0;
}
