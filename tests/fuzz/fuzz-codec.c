/* The one decode function over every message of every schema.
 * Promises: what decodes encodes to the very same bytes and within its bound; a frame made of it splits into it again; what is
 * refused leaves nothing behind; what does not fit, or would not be taken at the other end, is not written, not even in part. Input: number of the message (2 bytes, messages.h), its bytes. */
#include <pb_common.h>
#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "messages.h"

static void check_decoded(const struct message *m, struct slice bytes, const void *decoded)
{
    struct buf again CLEANUP(buf_free) = buf(m->encoded_max);
    CHECK(bytes.len <= m->encoded_max);
    CHECK(codec_encode(&again, m->fields, decoded) == 0);
    CHECK(slice_equal(buf_slice(&again), bytes));

    struct buf framed CLEANUP(buf_free) = buf(FRAME_MAX);
    struct frame f;
    size_t used, need;
    CHECK(codec_frame(&framed, 7, 9, m->fields, decoded, slice("tail", 4)) == 0);
    CHECK(frame_split(buf_slice(&framed), 4, &f, &used, &need) == 0 && used == framed.len);
    CHECK(f.type == 7 && f.request == 9 && slice_equal(f.message, bytes) && f.tail.len == 4);
}

static void check_no_room(const struct message *m, struct slice bytes, const void *decoded)
{
    struct buf small CLEANUP(buf_free) = buf(bytes.len > 0 ? bytes.len - 1 : 0),
                     none CLEANUP(buf_free) = buf(bytes.len);
    CHECK(codec_encode(&small, m->fields, decoded) == (bytes.len > 0 ? BUF_FULL : 0) && small.len == 0);
    CHECK(codec_frame(&none, 7, 9, m->fields, decoded, slice(NULL, 0)) == BUF_FULL && none.len == 0);
    CHECK(codec_frame(&none, 7, 9, m->fields, decoded, slice("", FRAME_TAIL_MAX + 1)) == -EINVAL && none.len == 0);
}

/* Its first text of all, wherever it lies, written over; none: false. */
static bool spoil_text(const pb_msgdesc_t *fields, void *message, const char *text)
{
    pb_field_iter_t f;
    if (!pb_field_iter_begin(&f, fields, message))
        return false;
    do {
        if (PB_HTYPE(f.type) == PB_HTYPE_OPTIONAL)
            *(bool *)f.pSize = true;
        else if (PB_HTYPE(f.type) == PB_HTYPE_REPEATED)
            *(pb_size_t *)f.pSize = 1;
        if (PB_LTYPE(f.type) == PB_LTYPE_STRING) {
            memset(f.pData, 'a', f.data_size); /* without an end when text is NULL */
            if (text)
                memcpy(f.pData, text, strlen(text) + 1);
            return true;
        }
        if (PB_LTYPE_IS_SUBMSG(f.type) && spoil_text(f.submsg_desc, f.pData, text))
            return true;
    } while (pb_field_iter_next(&f));
    return false;
}

static void check_spoilt(const struct message *m, void *decoded)
{
    static const char *const texts[] = { "\x1b", "\xff", NULL };
    struct buf out CLEANUP(buf_free) = buf(FRAME_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        if (spoil_text(m->fields, decoded, texts[i]))
            CHECK(codec_encode(&out, m->fields, decoded) == -EINVAL && out.len == 0 &&
                  codec_frame(&out, 7, 9, m->fields, decoded, slice(NULL, 0)) == -EINVAL && out.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    const struct message *m = message_of(input_u16(&in));
    struct slice rest = input_rest(&in);
    uint8_t *exact CLEANUP(freep) = input_copy(rest), *decoded CLEANUP(freep) = malloc(m->struct_bytes);
    CHECK(decoded);
    memset(decoded, 0xa5, m->struct_bytes); /* decoding must not depend on what was there */
    struct slice bytes = slice(exact, rest.len);
    if (codec_decode(m->fields, m->encoded_max, bytes, decoded, m->struct_bytes) == 0) {
        check_decoded(m, bytes, decoded);
        check_no_room(m, bytes, decoded);
        check_spoilt(m, decoded);
        return 0;
    }
    for (size_t i = 0; i < m->struct_bytes; i++)
        CHECK(decoded[i] == 0); /* it may have held a password */
    return 0;
}
