/* What a sibling says it has, an answer after the other, as the device that asks judges it.
 * Promises: what is accepted shows as it is, is no more than was asked for, and comes to an end: who follows it asks a bounded number of times.
 * Input: the question (at, skip, count), then answers, each: how, and the bytes of one (how even) or edits of a good one. */
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "fuzz.h"
#include "protocol/codec.h"
#include "protocol/shelf.h"

#define ANSWER_MAX (32u << 10)
#define EDITS_MAX 6
/* Full answers, or answers that looked at as much as they may; the last one of each. */
#define ANSWERS_MAX (SHELF_TRACKS_MAX / SHELF_LOOKED_AT + SHELF_TRACKS_MAX + 2)

/* What was asked for, answered as a device does that has this many tracks. */
static void good_answer(const msg_ShelfGet *asked, uint32_t tracks, msg_Shelf *out)
{
    uint32_t left = asked->at < tracks ? tracks - asked->at : 0, skipped = asked->skip < left ? asked->skip : left;
    uint32_t count = size_min(size_min(asked->count, SHELF_ITEMS_MAX), left - skipped);
    *out = (msg_Shelf)msg_Shelf_init_zero;
    out->skip = asked->skip - skipped;
    out->items_count = (pb_size_t)count;
    for (uint32_t i = 0; i < count; i++) {
        msg_ShelfItem *item = &out->items[i];
        item->content[0] = (uint8_t)i;
        CODEC_SET_TEXT(item->title, "A title");
        CODEC_SET_TEXT(item->media_type, "audio/flac");
        item->license_state = i % 7;
    }
    out->has_next = asked->at + skipped + count < tracks;
    out->next = asked->at + skipped + count;
}

static void look(const msg_ShelfGet *asked, const msg_Shelf *a)
{
    CHECK(a->items_count <= asked->count && a->items_count <= SHELF_ITEMS_MAX && a->skip <= asked->skip);
    for (pb_size_t i = 0; i < a->items_count; i++) {
        const msg_ShelfItem *item = &a->items[i];
        const char *const texts[] = { item->title, item->creator, item->album, item->media_type };
        for (size_t t = 0; t < ARRAY_COUNT(texts); t++)
            CHECK(text_is_plain(slice_str(texts[t])) && !strchr(texts[t], 0x1b));
        CHECK(item->license_state <= 6);
    }
    if (a->has_next)
        CHECK(a->next > asked->at && a->next <= SHELF_TRACKS_MAX);
}

static void make_answer(struct input *in, const msg_ShelfGet *asked, struct buf *out)
{
    uint8_t how = input_u8(in);
    if (how % 2 == 0) {
        CHECK(buf_append(out, input_bytes(in, input_u16(in))) == 0);
        return;
    }
    msg_Shelf *good CLEANUP(freep) = malloc(sizeof(*good));
    CHECK(good);
    good_answer(asked, input_u32(in) % (SHELF_TRACKS_MAX + 1), good);
    CHECK(CODEC_ENCODE(msg_Shelf, out, good) == 0);
    for (unsigned i = how / 2 % EDITS_MAX; i > 0; i--)
        input_edit(in, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    msg_ShelfGet asked = { .at = input_u32(&in) % SHELF_TRACKS_MAX, .skip = input_u32(&in), .count = input_u8(&in) };
    msg_Shelf *answer CLEANUP(freep) = malloc(sizeof(*answer));
    uint32_t answers = 0;
    CHECK(answer);
    while (in.rest.len > 0) {
        struct buf bytes CLEANUP(buf_free) = buf(ANSWER_MAX);
        make_answer(&in, &asked, &bytes);
        uint8_t *exact CLEANUP(freep) = input_copy(buf_slice(&bytes));
        if (CODEC_DECODE(msg_Shelf, slice(exact, bytes.len), answer) != 0 || shelf_judge(&asked, answer) != 0)
            break;
        look(&asked, answer);
        CHECK(++answers <= ANSWERS_MAX);
        if (!answer->has_next || answer->items_count >= asked.count)
            break;
        asked.at = answer->next;
        asked.skip = answer->skip;
        asked.count -= answer->items_count;
    }
    return 0;
}
