/* Receiving a body from a source that does as it likes (protocol/receive.h), with the pool played by the harness.
 * Promises: nothing counts as stored that did not fit its hash; never more under way than the window allows, beside one block; only what
 * was asked is taken; a source that behaves in the end brings it to its end. Input: shape, then a list of what the source does. */
#include <stdlib.h>

#include "base/util.h"
#include "crypto/merkle.h"
#include "fuzz.h"
#include "protocol/documents.h"
#include "protocol/receive.h"

#define BLOCK_BYTES 4096u
#define BLOCKS_MAX 24u
#define WINDOW_BYTES (3u * BLOCK_BYTES)

struct content {
    uint32_t count;
    uint64_t plain_bytes;
    struct buf info;
    uint8_t list[BLOCKS_MAX * 32], root[32];
    struct id id;
};

struct run {
    struct receive r;
    const struct content *c;
    int64_t now_ms;
    uint32_t arrived[BLOCKS_MAX]; /* taken and not yet told to be stored */
    size_t arrived_count;
    bool stored[BLOCKS_MAX];
    bool connected, sync_wanted, ask_info, ask_list;
    uint32_t list_first, list_count;
    uint32_t asked[BLOCKS_MAX]; /* of the current connection, in order */
    size_t asked_count;
};

/* Every block is its index, again and again. */
static void block_bytes(uint32_t index, uint8_t out[BLOCK_BYTES + BLOCK_OVERHEAD_BYTES])
{
    memset(out, (int)(index + 1), BLOCK_BYTES + BLOCK_OVERHEAD_BYTES);
}

static void make_content(struct content *c, uint32_t count, uint32_t last_bytes)
{
    doc_ContentInfo i = { .media_type = "audio/flac", .title = "x", .block_bytes = BLOCK_BYTES, .block_count = count };
    uint8_t block[BLOCK_BYTES + BLOCK_OVERHEAD_BYTES];
    c->count = count;
    c->plain_bytes = i.plain_bytes = (uint64_t)(count - 1) * BLOCK_BYTES + last_bytes;
    c->info = buf(BODY_INFO_MAX);
    CHECK(CODEC_ENCODE(doc_ContentInfo, &c->info, &i) == 0);
    for (uint32_t n = 0; n < count; n++) {
        block_bytes(n, block);
        block_hash(slice(block, (n == count - 1 ? last_bytes : BLOCK_BYTES) + BLOCK_OVERHEAD_BYTES), c->list + n * 32);
    }
    merkle_root(c->list, count, c->root);
    body_content_id(buf_slice(&c->info), c->root, &c->id);
}

/* ---- what the exchange wants ---------------------------------------------------------------------------------- */

static void lose(struct run *x)
{
    if (x->connected)
        receive_lost(&x->r, 0);
    x->connected = x->ask_info = x->ask_list = false;
    x->asked_count = 0;
}

static void follow(struct run *x)
{
    for (;;) {
        struct receive_action a = receive_next(&x->r, x->now_ms);
        switch (a.kind) {
        case RECEIVE_WAIT:
            return;
        case RECEIVE_ASK_INFO:
            CHECK(x->connected && !x->ask_info);
            x->ask_info = true;
            break;
        case RECEIVE_ASK_LIST:
            CHECK(x->connected && !x->ask_list && a.count > 0 && a.count <= RECEIVE_LIST_PIECE &&
                  a.first + a.count <= x->c->count);
            x->ask_list = true;
            x->list_first = a.first;
            x->list_count = a.count;
            break;
        case RECEIVE_PREPARE:
            if (receive_list_is_right(&x->r))
                receive_prepared(&x->r, NULL);
            else if (receive_list_is_wrong(&x->r) == 0)
                lose(x);
            break;
        case RECEIVE_ASK_BLOCKS:
            CHECK(x->connected && a.count > 0 && a.count <= SPREAD_RANGE_BLOCKS && a.first + a.count <= x->c->count);
            for (uint32_t n = 0; n < a.count; n++) {
                CHECK(x->asked_count < BLOCKS_MAX && !x->stored[a.first + n]);
                x->asked[x->asked_count++] = a.first + n;
            }
            CHECK((x->asked_count + x->arrived_count) * (uint64_t)BLOCK_BYTES <= WINDOW_BYTES + BLOCK_BYTES);
            break;
        case RECEIVE_SYNC:
            x->sync_wanted = true;
            break;
        }
    }
}

/* ---- what the source does ------------------------------------------------------------------------------------- */

static bool take_asked(struct run *x, uint32_t index)
{
    for (size_t i = 0; i < x->asked_count; i++) {
        if (x->asked[i] == index) {
            x->asked_count--;
            memmove(&x->asked[i], &x->asked[i + 1], (x->asked_count - i) * sizeof(x->asked[0]));
            return true;
        }
    }
    return false;
}

static void give_block(struct run *x, uint32_t index, size_t len)
{
    int r = receive_block(&x->r, 0, index, len, x->now_ms);
    CHECK(r == 0 || r == RECEIVE_UNASKED);
    if (r == RECEIVE_UNASKED) {
        lose(x);
        return;
    }
    CHECK(take_asked(x, index) && len == body_block_len(&x->r.shape, index));
    CHECK(x->arrived_count < BLOCKS_MAX);
    x->arrived[x->arrived_count++] = index;
}

/* The pool is done with one block; right: the bytes were the block's. */
static void store(struct run *x, size_t which, bool right)
{
    uint8_t bytes[BLOCK_BYTES + BLOCK_OVERHEAD_BYTES];
    uint32_t index = x->arrived[which];
    x->arrived_count--;
    memmove(&x->arrived[which], &x->arrived[which + 1], (x->arrived_count - which) * sizeof(x->arrived[0]));
    block_bytes(index, bytes);
    bytes[7] ^= !right;
    struct slice block = slice(bytes, body_block_len(&x->r.shape, index));
    CHECK(receive_block_is_right(&x->r, index, block) == right);
    receive_stored(&x->r, index, right);
    x->stored[index] |= right;
    if (!right)
        lose(x);
}

static void give_list(struct run *x, uint32_t first, uint32_t count, uint8_t flip)
{
    uint8_t hashes[BLOCKS_MAX * 32 + 64] = { 0 };
    for (uint32_t n = 0; n < count && first < x->c->count && n < x->c->count - first; n++)
        memcpy(hashes + n * 32, x->c->list + (first + n) * 32, 32);
    hashes[0] ^= flip;
    x->ask_list = false;
    if (receive_list(&x->r, first, slice(hashes, 32 * (size_t)size_min(count, BLOCKS_MAX + 2))) == RECEIVE_UNASKED)
        lose(x);
}

static void give_info(struct run *x, struct input *in, bool good)
{
    struct buf info CLEANUP(buf_free) = buf(2 * BODY_INFO_MAX);
    CHECK(buf_append(&info, buf_slice(&x->c->info)) == 0);
    if (!good)
        input_edit(in, &info);
    x->ask_info = false;
    if (receive_info(&x->r, buf_slice(&info), x->c->root) > 0)
        lose(x);
}

static void act(struct run *x, struct input *in)
{
    uint8_t what = input_u8(in);
    switch (what % 12) {
    case 0:
        if (!x->connected) {
            CHECK(receive_connected(&x->r) == 0);
            x->connected = true;
        }
        break;
    case 1:
        lose(x);
        break;
    case 2:
        give_info(x, in, what & 0x80);
        break;
    case 3:
        give_list(x, x->list_first, x->list_count, what & 0x80 ? 0 : input_u8(in));
        break;
    case 4:
        give_list(x, input_u32(in), input_u8(in), 0);
        break;
    case 5:
        if (x->asked_count > 0)
            give_block(x, x->asked[0], body_block_len(&x->r.shape, x->asked[0]));
        break;
    case 6:
        give_block(x, what & 0x80 ? input_u32(in) : input_u8(in) % BLOCKS_MAX, input_u16(in));
        break;
    case 7:
    case 8:
        if (x->arrived_count > 0)
            store(x, (what >> 4) % x->arrived_count, what % 12 == 7);
        break;
    case 9:
        x->now_ms += input_u16(in);
        if (receive_stalled(&x->r, x->now_ms) == 0)
            lose(x);
        break;
    case 10:
        if (x->sync_wanted) {
            x->sync_wanted = false;
            receive_synced(&x->r);
        }
        break;
    default:
        if (!x->connected)
            give_info(x, in, true); /* from an offer */
        break;
    }
}

static void check(const struct run *x)
{
    uint32_t stored = 0;
    for (uint32_t n = 0; n < x->c->count; n++)
        stored += x->stored[n];
    if (x->r.state >= RECEIVE_BLOCKS && x->r.state != RECEIVE_FAILED)
        CHECK(x->r.stored_count == stored);
    if (x->r.state == RECEIVE_FINISHED)
        CHECK(stored == x->c->count);
}

/* From now on the source behaves, and so does the pool. */
static void settle(struct run *x)
{
    struct input none = { { NULL, 0 } };
    for (int i = 0; i < 400 && x->r.state != RECEIVE_FINISHED && x->r.state != RECEIVE_FAILED; i++) {
        if (!x->connected) {
            CHECK(receive_connected(&x->r) == 0);
            x->connected = true;
        } else if (x->ask_info) {
            give_info(x, &none, true);
        } else if (x->ask_list) {
            give_list(x, x->list_first, x->list_count, 0);
        } else if (x->asked_count > 0) {
            give_block(x, x->asked[0], body_block_len(&x->r.shape, x->asked[0]));
        } else if (x->arrived_count > 0) {
            store(x, 0, true);
        } else if (x->sync_wanted) {
            x->sync_wanted = false;
            receive_synced(&x->r);
        } else {
            lose(x); /* what was asked before, of a connection that is gone, is asked again */
        }
        follow(x);
        check(x);
    }
    CHECK(x->r.state == RECEIVE_FINISHED || x->r.state == RECEIVE_FAILED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    struct content *c CLEANUP(freep) = calloc(1, sizeof(*c));
    struct run *x CLEANUP(freep) = calloc(1, sizeof(*x));
    CHECK(c && x);
    make_content(c, 1 + input_u8(&in) % BLOCKS_MAX, 1 + input_u16(&in) % BLOCK_BYTES);
    x->c = c;
    receive_init(&x->r, &c->id, WINDOW_BYTES, (uint64_t)(1 + input_u8(&in) % 8) * BLOCK_BYTES);
    for (int i = 0; i < 400 && in.rest.len > 0; i++) {
        act(x, &in);
        follow(x);
        check(x);
    }
    settle(x);
    receive_deinit(&x->r);
    buf_free(&c->info);
    return 0;
}
