/* Strict nanopb: what decodes must encode back to the very same bytes, and its text must be printable.
 * nanopb by itself accepts duplicates, unknown fields, any order and long forms of numbers. Any thread. */
#include "protocol/codec.h"

#include <assert.h>
#include <pb_common.h>
#include <pb_decode.h>
#include <pb_encode.h>

#include "base/secret.h"
#include "base/text.h"

#define TEXT_MAX 2048 /* above every max_length of the .options files */

/* ---- text ---------------------------------------------------------------------------------------------------- */

/* Does the text show as it is, without acting on a terminal or reordering a line? cap: of the char array. */
static bool text_is_shown(const char *text, size_t cap)
{
    char safe[TEXT_MAX];
    assert(cap <= sizeof(safe));
    if (!memchr(text, '\0', cap))
        return false;
    bool same = strcmp(text_safe(text, safe, sizeof(safe)), text) == 0;
    secret_wipe(safe, strlen(safe)); /* it may have been a password */
    return same;
}

static bool texts_are_shown(const pb_msgdesc_t *fields, const void *message);

/* The elements of the field the iterator stands on. */
static bool field_is_shown(const pb_field_iter_t *f)
{
    pb_size_t count = 1;
    if (PB_HTYPE(f->type) == PB_HTYPE_REPEATED)
        count = *(const pb_size_t *)f->pSize;
    else if (PB_HTYPE(f->type) == PB_HTYPE_OPTIONAL)
        count = *(const bool *)f->pSize ? 1 : 0;
    for (pb_size_t i = 0; i < count; i++) {
        const char *element = (const char *)f->pData + (size_t)i * f->data_size;
        if (PB_LTYPE(f->type) == PB_LTYPE_STRING && !text_is_shown(element, f->data_size))
            return false;
        if (PB_LTYPE_IS_SUBMSG(f->type) && !texts_are_shown(f->submsg_desc, element))
            return false;
    }
    return true;
}

/* Bounded recursion: schemas are not recursive, their depth is at most five. */
static bool texts_are_shown(const pb_msgdesc_t *fields, const void *message)
{
    pb_field_iter_t f;
    if (!pb_field_iter_begin_const(&f, fields, message))
        return true;
    do {
        assert(PB_ATYPE(f.type) == PB_ATYPE_STATIC && PB_HTYPE(f.type) != PB_HTYPE_ONEOF);
        if (!field_is_shown(&f))
            return false;
    } while (pb_field_iter_next(&f));
    return true;
}

/* ---- decoding ------------------------------------------------------------------------------------------------ */

/* An output stream that compares instead of writing: re-encoding needs no memory and leaves no second copy of a secret. */
static bool compare_written(pb_ostream_t *stream, const pb_byte_t *written, size_t len)
{
    struct reader *expected = stream->state;
    struct slice same = reader_bytes(expected, len);
    return !expected->bad && slice_equal(same, slice(written, len));
}

static bool encodes_to(const pb_msgdesc_t *fields, const void *message, struct slice bytes)
{
    struct reader expected = reader(bytes);
    pb_ostream_t stream = { .callback = compare_written, .state = &expected, .max_size = bytes.len };
    return pb_encode(&stream, fields, message) && reader_done(&expected);
}

int codec_decode(const pb_msgdesc_t *fields, size_t max_bytes, struct slice bytes, void *out, size_t out_size)
{
    memset(out, 0, out_size);
    if (bytes.len > max_bytes)
        return CODEC_MALFORMED;
    pb_istream_t stream = pb_istream_from_buffer(bytes.data, bytes.len);
    if (pb_decode(&stream, fields, out) && encodes_to(fields, out, bytes) && texts_are_shown(fields, out))
        return 0;
    secret_wipe(out, out_size);
    return CODEC_MALFORMED;
}

/* ---- encoding ------------------------------------------------------------------------------------------------ */

/* -EINVAL also for text that the other end's decoder would refuse. */
static int encoded_size(const pb_msgdesc_t *fields, const void *message, size_t *size)
{
    if (!texts_are_shown(fields, message) || !pb_get_encoded_size(size, fields, message))
        return -EINVAL;
    return 0;
}

static int append_encoded(struct buf *out, const pb_msgdesc_t *fields, const void *message, size_t size)
{
    int r = buf_reserve(out, size);
    if (r)
        return r;
    if (size == 0)
        return 0;
    pb_ostream_t stream = pb_ostream_from_buffer(out->data + out->len, size);
    if (!pb_encode(&stream, fields, message))
        return -EINVAL;
    out->len += stream.bytes_written;
    return 0;
}

int codec_encode(struct buf *out, const pb_msgdesc_t *fields, const void *message)
{
    size_t size;
    int r = encoded_size(fields, message, &size);
    return r ? r : append_encoded(out, fields, message, size);
}

int codec_frame(struct buf *out, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                struct slice tail)
{
    size_t size;
    int r = encoded_size(fields, message, &size);
    if (r)
        return r;
    if (size > FRAME_MESSAGE_MAX || tail.len > FRAME_TAIL_MAX)
        return -EINVAL;
    r = buf_reserve(out, FRAME_HEADER_BYTES + size + tail.len); /* all or nothing */
    if (r)
        return r;
    size_t before = out->len;
    uint8_t header[FRAME_HEADER_BYTES];
    frame_header(header, type, request, size, tail.len);
    r = buf_append(out, SLICE_ARRAY(header));
    if (!r)
        r = append_encoded(out, fields, message, size);
    if (!r)
        r = buf_append(out, tail);
    if (r)
        out->len = before;
    return r;
}

/* ---- lists and fields ---------------------------------------------------------------------------------------- */

int codec_list_put(struct buf *out, struct slice item)
{
    if (item.len > UINT32_MAX)
        return -EINVAL;
    size_t before = out->len;
    int r = buf_put_u32(out, (uint32_t)item.len);
    if (!r)
        r = buf_append(out, item);
    if (r)
        out->len = before;
    return r;
}

int codec_list_next(struct reader *r, size_t item_max, struct slice *item)
{
    if (reader_done(r))
        return CODEC_END;
    size_t len = reader_u32(r);
    if (r->bad || len > item_max)
        return CODEC_MALFORMED;
    struct slice bytes = reader_bytes(r, len);
    if (r->bad)
        return CODEC_MALFORMED;
    *item = bytes;
    return 0;
}

int codec_set_bytes(pb_byte_t *bytes, size_t cap, pb_size_t *size, struct slice s)
{
    if (s.len > cap)
        return CODEC_TOO_LONG;
    if (s.len > 0)
        memcpy(bytes, s.data, s.len);
    *size = (pb_size_t)s.len;
    return 0;
}

void codec_set_text(char *field, size_t cap, const char *text) { text_safe(text, field, cap); }
