/* The states and questions of a body on its way here. No I/O, no clock of its own. */
#include "protocol/receive.h"

#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "crypto/merkle.h"
#include "protocol/documents.h"

static void set_state(struct receive *r, enum receive_state to)
{
    static const uint8_t allowed[RECEIVE_STATE_COUNT] = {
        [RECEIVE_INFO] = 1 << RECEIVE_LIST | 1 << RECEIVE_FAILED,
        [RECEIVE_LIST] = 1 << RECEIVE_PREPARING | 1 << RECEIVE_FAILED,
        [RECEIVE_PREPARING] = 1 << RECEIVE_LIST | 1 << RECEIVE_BLOCKS | 1 << RECEIVE_FAILED,
        [RECEIVE_BLOCKS] = 1 << RECEIVE_SYNCING | 1 << RECEIVE_FAILED,
        [RECEIVE_SYNCING] = 1 << RECEIVE_FINISHED | 1 << RECEIVE_FAILED,
    };
    assert(allowed[r->state] & 1 << to);
    r->state = to;
    r->asked_of = -1;
}

static bool is_over(const struct receive *r) { return r->state == RECEIVE_FINISHED || r->state == RECEIVE_FAILED; }

void receive_init(struct receive *r, const struct id *content, uint64_t window_bytes, uint64_t sync_bytes)
{
    *r = (struct receive){
        .state = RECEIVE_INFO,
        .content = *content,
        .asked_of = -1,
        .list_from = -1,
        .window_bytes = window_bytes ? window_bytes : RECEIVE_WINDOW_BYTES,
        .sync_bytes = sync_bytes ? sync_bytes : RECEIVE_SYNC_BYTES,
    };
}

void receive_deinit(struct receive *r)
{
    free(steal(&r->list));
    free(steal(&r->marks));
}

/* ---- what to do next ----------------------------------------------------------------------------------------- */

static uint64_t block_len(const struct receive *r, uint32_t index) { return body_block_len(&r->shape, index); }

static struct receive_action ask_blocks(struct receive *r, int64_t now_ms)
{
    struct receive_action a = { .kind = RECEIVE_WAIT };
    struct spread_ask ask;
    while (r->next_missing < r->shape.block_count && r->marks[r->next_missing] != RECEIVE_MISSING)
        r->next_missing++;
    const struct spread_body body = {
        .shape = &r->shape,
        .marks = r->marks,
        .missing_count = r->missing_count,
        .next_missing = r->next_missing,
        .window_bytes = r->window_bytes,
        .arrived_bytes = r->arrived_bytes,
    };
    if (r->held || !spread_next(&r->spread, &body, now_ms, &ask))
        return a;
    for (uint32_t i = ask.first; i < ask.first + ask.count; i++) {
        r->missing_count -= r->marks[i] == RECEIVE_MISSING;
        r->marks[i] = RECEIVE_ASKED;
    }
    return (struct receive_action){ RECEIVE_ASK_BLOCKS, ask.source, ask.first, ask.count };
}

static int any_source(const struct receive *r)
{
    for (unsigned i = 0; i < SPREAD_SOURCES_MAX; i++)
        if (r->spread.sources[i].here)
            return (int)i;
    return -1;
}

bool receive_is_connected(const struct receive *r) { return any_source(r) >= 0; }

static struct receive_action ask(struct receive *r, enum receive_action_kind kind, int64_t now_ms)
{
    int source = kind == RECEIVE_ASK_LIST && r->list_from >= 0 ? r->list_from : any_source(r);
    if (source < 0 || r->asked_of >= 0)
        return (struct receive_action){ .kind = RECEIVE_WAIT };
    r->asked_of = source;
    r->asked_ms = now_ms;
    uint32_t rest = kind == RECEIVE_ASK_LIST ? r->shape.block_count - r->list_have : 0;
    return (struct receive_action){ kind, (unsigned)source, r->list_have,
                                    rest < RECEIVE_LIST_PIECE ? rest : RECEIVE_LIST_PIECE };
}

static bool sync_is_due(const struct receive *r)
{
    if (r->syncing || r->unsynced_bytes == 0)
        return false;
    return r->state == RECEIVE_SYNCING || r->unsynced_bytes >= r->sync_bytes;
}

static struct receive_action begin_sync(struct receive *r)
{
    for (uint32_t i = 0; i < r->shape.block_count; i++)
        if (r->marks[i] == RECEIVE_WRITTEN)
            r->marks[i] = RECEIVE_AT_SYNC;
    r->syncing = true;
    r->unsynced_bytes = 0;
    return (struct receive_action){ .kind = RECEIVE_SYNC };
}

struct receive_action receive_next(struct receive *r, int64_t now_ms)
{
    switch (r->state) {
    case RECEIVE_INFO:
        return ask(r, RECEIVE_ASK_INFO, now_ms);
    case RECEIVE_LIST:
        return ask(r, RECEIVE_ASK_LIST, now_ms);
    case RECEIVE_PREPARING:
        if (r->prepared)
            break;
        r->prepared = true;
        return (struct receive_action){ .kind = RECEIVE_PREPARE };
    case RECEIVE_BLOCKS:
        if (sync_is_due(r))
            return begin_sync(r);
        return ask_blocks(r, now_ms);
    case RECEIVE_SYNCING:
        if (sync_is_due(r))
            return begin_sync(r);
        break;
    default:
        break;
    }
    return (struct receive_action){ .kind = RECEIVE_WAIT };
}

/* ---- what arrives -------------------------------------------------------------------------------------------- */

int receive_connected(struct receive *r) { return spread_join(&r->spread); }

static void miss(struct receive *r, uint32_t index)
{
    r->marks[index] = RECEIVE_MISSING;
    r->missing_count++;
    if (index < r->next_missing)
        r->next_missing = index;
}

void receive_lost(struct receive *r, unsigned source)
{
    const struct spread_source gone = r->spread.sources[source];
    if (r->asked_of == (int)source)
        r->asked_of = -1;
    if (r->list_from == (int)source) {
        r->list_from = -1;
        if (r->state == RECEIVE_LIST)
            r->list_have = 0;
    }
    spread_leave(&r->spread, source);
    for (unsigned g = 0; gone.here && g < gone.range_count; g++)
        for (uint32_t i = gone.ranges[g].next; i < gone.ranges[g].end; i++)
            if (r->marks[i] == RECEIVE_ASKED && spread_asked(&r->spread, i) == 0)
                miss(r, i);
}

int receive_info(struct receive *r, struct slice info, const uint8_t list_root[32])
{
    if (r->state != RECEIVE_INFO)
        return RECEIVE_UNASKED;
    doc_ContentInfo read;
    struct id content;
    int outcome = info_judge(info, list_root, &read, &content);
    if (outcome < 0)
        return outcome;
    if (outcome > 0 || !id_equal(&content, &r->content))
        return RECEIVE_WRONG;
    struct body_shape shape;
    if (body_shape_init(&shape, read.plain_bytes, read.block_bytes, info.len) != 0)
        return RECEIVE_UNASKED;
    uint8_t *list CLEANUP(freep) = malloc((size_t)shape.block_count * MERKLE_HASH_BYTES);
    uint8_t *marks CLEANUP(freep) = calloc(shape.block_count, 1);
    if (!list || !marks)
        return -ENOMEM;
    r->shape = shape;
    memcpy(r->info, info.data, info.len);
    r->info_len = info.len;
    memcpy(r->list_root, list_root, MERKLE_HASH_BYTES);
    r->list = steal(&list);
    r->marks = steal(&marks);
    set_state(r, RECEIVE_LIST);
    return 0;
}

int receive_list(struct receive *r, uint32_t first, struct slice hashes)
{
    /* The receiver derives the length of the list itself; a piece of another length is not what was asked. */
    size_t rest = r->state == RECEIVE_LIST ? r->shape.block_count - r->list_have : 0;
    size_t count = hashes.len / MERKLE_HASH_BYTES;
    if (first != r->list_have || count == 0 || count > rest || hashes.len % MERKLE_HASH_BYTES != 0)
        return RECEIVE_UNASKED;
    memcpy(r->list + (size_t)first * MERKLE_HASH_BYTES, hashes.data, hashes.len);
    r->list_have += (uint32_t)count;
    r->list_from = r->asked_of;
    r->asked_of = -1;
    if (r->list_have == r->shape.block_count)
        set_state(r, RECEIVE_PREPARING);
    return 0;
}

int receive_list_is_wrong(struct receive *r)
{
    int from = r->list_from;
    r->list_from = -1;
    r->list_have = 0;
    r->prepared = false;
    set_state(r, RECEIVE_LIST);
    return from;
}

static void after_blocks(struct receive *r)
{
    if (r->state == RECEIVE_BLOCKS && r->stored_count == r->shape.block_count)
        set_state(r, RECEIVE_SYNCING);
    if (r->state == RECEIVE_SYNCING && !r->syncing && r->unsynced_bytes == 0)
        set_state(r, RECEIVE_FINISHED);
}

void receive_prepared(struct receive *r, const uint8_t *have)
{
    if (r->state != RECEIVE_PREPARING)
        return;
    for (uint32_t i = 0; i < r->shape.block_count; i++) {
        uint8_t mark = have ? have[i] : RECEIVE_MISSING;
        r->marks[i] = mark == RECEIVE_WRITTEN || mark == RECEIVE_SYNCED ? mark : RECEIVE_MISSING;
        if (r->marks[i] == RECEIVE_MISSING) {
            r->missing_count++;
            continue;
        }
        r->stored_count++;
        r->stored_bytes += block_len(r, i);
        if (mark == RECEIVE_WRITTEN)
            r->unsynced_bytes += block_len(r, i);
    }
    set_state(r, RECEIVE_BLOCKS);
    after_blocks(r);
}

int receive_block(struct receive *r, unsigned source, uint32_t index, size_t len, int64_t now_ms)
{
    if (r->state < RECEIVE_BLOCKS || index >= r->shape.block_count || len != block_len(r, index) ||
        !spread_brought(&r->spread, source, index, len, now_ms))
        return RECEIVE_UNASKED;
    if (r->state != RECEIVE_BLOCKS || r->marks[index] != RECEIVE_ASKED)
        return RECEIVE_TWICE;
    r->marks[index] = RECEIVE_ARRIVED;
    r->arrived_bytes += len;
    return 0;
}

void receive_stored(struct receive *r, uint32_t index, bool right)
{
    if (r->state != RECEIVE_BLOCKS)
        return; /* it failed meanwhile */
    assert(index < r->shape.block_count && r->marks[index] == RECEIVE_ARRIVED);
    uint64_t len = block_len(r, index);
    r->arrived_bytes -= len;
    if (!right) {
        if (spread_asked(&r->spread, index) > 0)
            r->marks[index] = RECEIVE_ASKED;
        else
            miss(r, index);
        return;
    }
    r->marks[index] = RECEIVE_WRITTEN;
    r->stored_count++;
    r->stored_bytes += len;
    r->unsynced_bytes += len;
    after_blocks(r);
}

void receive_synced(struct receive *r)
{
    if (!r->syncing)
        return;
    r->syncing = false;
    for (uint32_t i = 0; i < r->shape.block_count; i++)
        if (r->marks[i] == RECEIVE_AT_SYNC)
            r->marks[i] = RECEIVE_SYNCED;
    after_blocks(r);
}

void receive_fail(struct receive *r, enum reason why)
{
    if (is_over(r))
        return;
    r->why = why;
    set_state(r, RECEIVE_FAILED);
}

/* ---- time, checks, figures ----------------------------------------------------------------------------------- */

int receive_stalled(const struct receive *r, int64_t now_ms)
{
    if (r->asked_of >= 0 && now_ms - r->asked_ms >= RECEIVE_STALL_MS)
        return r->asked_of;
    for (unsigned i = 0; i < SPREAD_SOURCES_MAX && r->state == RECEIVE_BLOCKS; i++) {
        const struct spread_source *s = &r->spread.sources[i];
        if (s->here && s->range_count > 0 && now_ms - s->heard_ms >= RECEIVE_STALL_MS)
            return (int)i;
    }
    return -1;
}

bool receive_list_is_right(const struct receive *r)
{
    uint8_t root[MERKLE_HASH_BYTES];
    merkle_root(r->list, r->shape.block_count, root);
    return memcmp(root, r->list_root, sizeof(root)) == 0;
}

bool receive_block_is_right(const struct receive *r, uint32_t index, struct slice block)
{
    uint8_t hash[MERKLE_HASH_BYTES];
    block_hash(block, hash);
    return memcmp(hash, r->list + (size_t)index * MERKLE_HASH_BYTES, sizeof(hash)) == 0;
}

uint64_t receive_total_bytes(const struct receive *r)
{
    if (r->state == RECEIVE_INFO || r->shape.block_count == 0)
        return 0;
    return r->shape.plain_bytes + (uint64_t)r->shape.block_count * BLOCK_OVERHEAD_BYTES;
}
