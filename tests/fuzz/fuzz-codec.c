/* The one decode function over every message of every schema.
 * Promises: what decodes encodes to the very same bytes and within its bound; a frame made of it splits into it again; what is
 * refused leaves nothing behind. Input: number of the message (2 bytes, messages.h), its bytes. */
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
        return 0;
    }
    for (size_t i = 0; i < m->struct_bytes; i++)
        CHECK(decoded[i] == 0); /* it may have held a password */
    return 0;
}
