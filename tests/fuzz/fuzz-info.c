/* Content information and the arithmetic of the body it describes.
 * Promises: what is accepted is canonical, names itself by all its bytes, and has a shape whose parts lie one behind the other
 * without overlap or overflow. Input: mode, list root byte, then content information (0), edits of the world's (1), or plain
 * numbers for the shape (2). */
#include <stdlib.h>

#include "base/util.h"
#include "crypto/body.h"
#include "fuzz.h"
#include "world.h"

#define EDITS_MAX 16

static void check_shape(const struct body_shape *s)
{
    const uint32_t last = s->block_count - 1, tried[] = { 0, 1, last / 2, last };
    CHECK(s->block_count >= 1 && s->block_count <= BLOCK_COUNT_MAX);
    CHECK(s->block_bytes >= BLOCK_PLAIN_MIN && s->block_bytes <= BLOCK_PLAIN_MAX);
    CHECK(body_list_offset(s) == 12 + (uint64_t)s->info_bytes);
    CHECK(body_block_offset(s, 0) == body_list_offset(s) + 32 * (uint64_t)s->block_count);
    uint64_t plain = (uint64_t)last * s->block_bytes + body_block_len(s, last) - BLOCK_OVERHEAD_BYTES;
    CHECK(plain == s->plain_bytes && body_block_len(s, last) > BLOCK_OVERHEAD_BYTES);
    for (size_t i = 0; i < ARRAY_COUNT(tried); i++) {
        uint32_t index = tried[i];
        if (index >= last)
            continue;
        CHECK(body_block_len(s, index) == s->block_bytes + BLOCK_OVERHEAD_BYTES);
        CHECK(body_block_offset(s, index + 1) == body_block_offset(s, index) + body_block_len(s, index));
    }
    CHECK(body_file_bytes(s) == body_block_offset(s, last) + body_block_len(s, last));
    CHECK(body_file_bytes(s) < UINT64_C(1) << 41);
    CHECK(body_block_len(s, s->block_count) == 0 && body_block_len(s, UINT32_MAX) == 0);
}

static void judge(struct slice wire, const uint8_t list_root[32])
{
    uint8_t *exact CLEANUP(freep) = input_copy(wire);
    struct slice info = slice(exact, wire.len);
    doc_ContentInfo out;
    struct id content, again;
    int r = info_judge(info, list_root, &out, &content);
    CHECK(r == 0 || r == REASON_MALFORMED);
    if (r)
        return;
    struct buf encoded CLEANUP(buf_free) = buf(BODY_INFO_MAX);
    CHECK(CODEC_ENCODE(doc_ContentInfo, &encoded, &out) == 0 && slice_equal(buf_slice(&encoded), info));
    struct body_shape shape;
    CHECK(body_shape_init(&shape, out.plain_bytes, out.block_bytes, info.len) == 0);
    CHECK(shape.block_count == out.block_count && out.media_type[0]);
    check_shape(&shape);
    uint8_t other[32];
    memcpy(other, list_root, sizeof(other));
    other[31] ^= 1;
    body_content_id(info, other, &again);
    CHECK(!id_equal(&content, &again));
    body_content_id(info, list_root, &again);
    CHECK(id_equal(&content, &again));
}

static void judge_edited(const struct world *w, struct input *in, const uint8_t list_root[32])
{
    struct buf info CLEANUP(buf_free) = buf(2 * BODY_INFO_MAX);
    CHECK(buf_append(&info, buf_slice(&w->info)) == 0);
    for (int i = 0; i < EDITS_MAX && in->rest.len > 0; i++)
        input_edit(in, &info);
    judge(buf_slice(&info), list_root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    uint8_t mode = input_u8(&in) % 3, list_root[32];
    memset(list_root, input_u8(&in), sizeof(list_root));
    if (mode == 0) {
        judge(input_rest(&in), list_root);
    } else if (mode == 1) {
        judge_edited(world_get(), &in, list_root);
    } else {
        struct body_shape shape;
        uint64_t plain_bytes = input_u64(&in);
        uint32_t block_bytes = input_u32(&in);
        if (body_shape_init(&shape, plain_bytes, block_bytes, input_u16(&in)) == 0) {
            CHECK(shape.plain_bytes == plain_bytes && shape.block_bytes == block_bytes);
            check_shape(&shape);
        }
    }
    return 0;
}
