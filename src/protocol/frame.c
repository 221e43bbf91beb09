/* Splitting and heading frames. Trusts no length before it is bounded. No I/O. Any thread. */
#include "protocol/frame.h"

#include <assert.h>

#include "base/util.h"

#define LENGTH_BYTES 4
#define AFTER_LENGTH_MIN (FRAME_HEADER_BYTES - LENGTH_BYTES)

int frame_split(struct slice bytes, size_t tail_max, struct frame *out, size_t *used, size_t *need)
{
    tail_max = size_min(tail_max, FRAME_TAIL_MAX);
    if (bytes.len < LENGTH_BYTES) {
        *need = FRAME_HEADER_BYTES;
        return FRAME_INCOMPLETE;
    }
    struct reader r = reader(bytes);
    size_t length = reader_u32(&r);
    /* Judged as early as possible: nobody waits for, or allocates, what will be refused. */
    if (length < AFTER_LENGTH_MIN)
        return FRAME_MALFORMED;
    if (length > AFTER_LENGTH_MIN + FRAME_MESSAGE_MAX + tail_max)
        return FRAME_TOO_LARGE;
    if (bytes.len < FRAME_HEADER_BYTES) {
        *need = FRAME_HEADER_BYTES;
        return FRAME_INCOMPLETE;
    }
    uint16_t type = reader_u16(&r);
    uint32_t request = reader_u32(&r);
    size_t message_len = reader_u32(&r);
    size_t rest_len = length - AFTER_LENGTH_MIN;
    if (message_len > rest_len)
        return FRAME_MALFORMED;
    if (message_len > FRAME_MESSAGE_MAX || rest_len - message_len > tail_max)
        return FRAME_TOO_LARGE;
    if (r.rest.len < rest_len) {
        *need = LENGTH_BYTES + length;
        return FRAME_INCOMPLETE;
    }
    *out = (struct frame){
        .type = type,
        .request = request,
        .message = reader_bytes(&r, message_len),
        .tail = reader_bytes(&r, rest_len - message_len),
    };
    *used = LENGTH_BYTES + length;
    return 0;
}

void frame_header(uint8_t out[FRAME_HEADER_BYTES], uint16_t type, uint32_t request, size_t message_len, size_t tail_len)
{
    assert(message_len <= FRAME_MESSAGE_MAX && tail_len <= FRAME_TAIL_MAX);
    put_be32(out, (uint32_t)(AFTER_LENGTH_MIN + message_len + tail_len));
    put_be16(out + 4, type);
    put_be32(out + 6, request);
    put_be32(out + 10, (uint32_t)message_len);
}
