/* A body file at a URL as a source of a receive_run (layout: crypto/body.h). Nothing that comes is believed: the head must hash to the content
 * ID before the exchange hears of it, and blocks go the way that all blocks go.
 *
 * Callbacks, in order: on_head_bytes, on_head_done (range of the head, then of the rest of a long list), root_work (pool), on_root;
 * on_block_bytes, on_block_done (each a range of blocks). */
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "crypto/merkle.h"
#include "net/http.h"
#include "net/receive_run_internal.h"
#include "protocol/documents.h"

#define LOG_MODULE "receive"
#include "base/log.h"

#define HEAD_BYTES (64u << 10) /* asked first: information and list of most bodies */
#define HEAD_FIXED_BYTES 12u

struct block_get {
    struct receive_http *source;
    struct block_get *next;
    struct http_get *get; /* NULL: it has ended */
    uint32_t index, end;
    uint8_t *block; /* owned: the one that is coming */
    size_t have, len;
};

struct receive_http {
    struct receive_source *of;
    struct http *http;
    char url[HTTP_URL_BYTES];
    struct http_get *head_get;
    struct buf head;
    struct body_shape shape;
    bool shaped, loading, loaded; /* shaped: the information was read; loaded: all of it is this content's */
    uint8_t list_root[32];
    struct receive_action asked; /* INFO or LIST, while the head is on its way */
    struct root_job *job;
    struct block_get *blocks;
};

/* --- The head ---------------------------------------------------------------------------------------------------- */

static struct slice info_of(const struct receive_http *s)
{
    return slice(s->head.data + HEAD_FIXED_BYTES, s->shape.info_bytes);
}

static const uint8_t *list_of(const struct receive_http *s) { return s->head.data + body_list_offset(&s->shape); }

/* The information, as soon as there is enough of it. REASON_NONE also while there is not. */
static enum reason read_shape(struct receive_http *s, uint64_t total_bytes)
{
    doc_ContentInfo info;
    if (s->shaped || s->head.len < HEAD_FIXED_BYTES)
        return REASON_NONE;
    size_t len = get_be32(s->head.data + 8);
    if (memcmp(s->head.data, BODY_MAGIC, 8) != 0 || len == 0 || len > BODY_INFO_MAX)
        return REASON_CONTENT_ID_MISMATCH;
    if (s->head.len < HEAD_FIXED_BYTES + len)
        return REASON_NONE;
    if (CODEC_DECODE(doc_ContentInfo, slice(s->head.data + HEAD_FIXED_BYTES, len), &info) != 0 ||
        body_shape_init(&s->shape, info.plain_bytes, info.block_bytes, len) != 0 ||
        total_bytes != body_file_bytes(&s->shape))
        return REASON_CONTENT_ID_MISMATCH;
    s->shaped = true;
    return REASON_NONE;
}

static int on_head_bytes(struct slice bytes, uint64_t total_bytes, void *ctx)
{
    struct receive_http *s = ctx;
    enum reason why = REASON_NONE;
    uint64_t wanted = s->shaped ? body_block_offset(&s->shape, 0) : HEAD_BYTES;
    if (s->head.len < wanted) { /* the first blocks come along with a short list: asked for again, verified then */
        size_t take = bytes.len < wanted - s->head.len ? bytes.len : (size_t)(wanted - s->head.len);
        if (buf_append(&s->head, slice(bytes.data, take)) != 0)
            why = REASON_INTERNAL;
    }
    if (why == REASON_NONE)
        why = read_shape(s, total_bytes);
    if (why == REASON_NONE)
        return 0;
    s->head_get = NULL;
    receive_run_lose(s->of, why, NULL);
    return -1;
}

struct root_job { /* the list is long: hashed on the pool, from memory of its own */
    uv_work_t work;
    struct receive_run *run;
    struct receive_http *source; /* NULL: it is gone */
    uint8_t *list;
    uint32_t count;
    uint8_t root[32];
};

static void root_work(uv_work_t *work)
{
    struct root_job *j = work->data;
    merkle_root(j->list, j->count, j->root);
}

static int feed(struct receive_http *s, const struct receive_action *a)
{
    struct receive *x = &s->of->run->exchange;
    if (a->kind == RECEIVE_ASK_INFO)
        return receive_info(x, info_of(s), s->list_root);
    if (a->first > s->shape.block_count || a->count > s->shape.block_count - a->first)
        return RECEIVE_UNASKED;
    return receive_list(x, a->first, slice(list_of(s) + (size_t)a->first * 32, (size_t)a->count * 32));
}

static void on_root(uv_work_t *work, int status)
{
    struct root_job *j = work->data;
    struct receive_run *r = j->run;
    struct receive_http *s = j->source;
    uint8_t root[32];
    (void)status;
    memcpy(root, j->root, sizeof(root));
    free(j->list);
    free(j);
    if (s != NULL)
        s->job = NULL;
    if (receive_pool_done(r) || s == NULL)
        return;
    struct id named;
    body_content_id(info_of(s), root, &named);
    if (!id_equal(&named, r->exchange.content.bytes)) {
        receive_run_lose(s->of, REASON_CONTENT_ID_MISMATCH, "Another body lies there.");
        return;
    }
    memcpy(s->list_root, root, sizeof(root));
    s->loaded = true;
    s->loading = false;
    receive_run_taken(s->of, feed(s, &s->asked));
}

static int hash_list(struct receive_http *s)
{
    struct root_job *j = calloc(1, sizeof(*j));
    size_t len = (size_t)s->shape.block_count * 32;
    uint8_t *list = malloc(len);
    if (j == NULL || list == NULL) {
        free(j);
        free(list);
        return -ENOMEM;
    }
    memcpy(list, list_of(s), len);
    *j = (struct root_job){ .run = s->of->run, .source = s, .list = list, .count = s->shape.block_count };
    j->work.data = s->job = j;
    receive_pool_queue(s->of->run, &j->work, root_work, on_root);
    return 0;
}

static int get_head(struct receive_http *s, uint64_t first, uint64_t len);

static void on_head_done(enum reason why, const char *detail, void *ctx)
{
    struct receive_http *s = ctx;
    s->head_get = NULL;
    if (why == REASON_NONE && !s->shaped)
        why = REASON_CONTENT_ID_MISMATCH;
    if (why != REASON_NONE) {
        receive_run_lose(s->of, why, detail);
        return;
    }
    uint64_t wanted = body_block_offset(&s->shape, 0);
    int r = s->head.len < wanted ? get_head(s, s->head.len, wanted - s->head.len) : hash_list(s);
    if (r != 0)
        receive_run_lose(s->of, REASON_INTERNAL, NULL);
}

static int get_head(struct receive_http *s, uint64_t first, uint64_t len)
{
    static const struct http_callbacks callbacks = { on_head_bytes, on_head_done };
    s->loading = true;
    return http_get_start(&s->head_get, s->http, s->url, first, len, &callbacks, s);
}

/* --- Blocks ------------------------------------------------------------------------------------------------------ */

static void block_get_free(struct block_get *g)
{
    struct block_get **at = &g->source->blocks;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    if (g->get != NULL)
        http_get_cancel(g->get);
    free(g->block);
    free(g);
}

/* One block is complete. 0, or an outcome of receive_run_taken. */
static int take_block(struct block_get *g)
{
    uint8_t *block = steal(&g->block);
    g->have = 0;
    return receive_run_block(g->source->of, block, g->index++, slice(block, g->len));
}

static int on_block_bytes(struct slice bytes, uint64_t total_bytes, void *ctx)
{
    struct block_get *g = ctx;
    struct receive_source *of = g->source->of;
    const struct body_shape *shape = &of->run->exchange.shape;
    int outcome = total_bytes == body_file_bytes(shape) ? 0 : RECEIVE_UNASKED;
    while (outcome == 0 && bytes.len > 0) {
        if (g->index == g->end) {
            outcome = RECEIVE_UNASKED;
            break;
        }
        if (g->block == NULL) {
            g->len = body_block_len(shape, g->index);
            g->block = malloc(g->len);
            if (g->block == NULL) {
                outcome = -ENOMEM;
                break;
            }
        }
        size_t take = bytes.len < g->len - g->have ? bytes.len : g->len - g->have;
        memcpy(g->block + g->have, bytes.data, take);
        g->have += take;
        bytes = slice(bytes.data + take, bytes.len - take);
        if (g->have == g->len)
            outcome = take_block(g);
    }
    if (outcome == 0)
        return 0;
    receive_run_lose(of, outcome == RECEIVE_UNASKED ? REASON_CONTENT_ID_MISMATCH : REASON_INTERNAL, NULL);
    return -1;
}

static void on_block_done(enum reason why, const char *detail, void *ctx)
{
    struct block_get *g = ctx;
    struct receive_source *of = g->source->of;
    if (why == REASON_NONE && g->index != g->end)
        why = REASON_OFFLINE;
    g->get = NULL;
    block_get_free(g);
    if (why != REASON_NONE)
        receive_run_lose(of, why, detail);
}

static int ask_blocks(struct receive_http *s, uint32_t first, uint32_t count)
{
    static const struct http_callbacks callbacks = { on_block_bytes, on_block_done };
    const struct body_shape *shape = &s->of->run->exchange.shape;
    struct block_get *g = calloc(1, sizeof(*g));
    if (g == NULL)
        return -ENOMEM;
    *g = (struct block_get){ .source = s, .index = first, .end = first + count };
    uint64_t begin = body_block_offset(shape, first);
    uint64_t end = body_block_offset(shape, first + count - 1) + body_block_len(shape, first + count - 1);
    int r = http_get_start(&g->get, s->http, s->url, begin, end - begin, &callbacks, g);
    if (r != 0) {
        free(g);
        return r;
    }
    g->next = s->blocks;
    s->blocks = g;
    return 0;
}

int receive_http_act(struct receive_http *s, const struct receive_action *a)
{
    if (a->kind == RECEIVE_ASK_BLOCKS)
        return ask_blocks(s, a->first, a->count);
    if (s->loaded)
        return feed(s, a);
    s->asked = *a;
    return s->loading ? 0 : get_head(s, 0, HEAD_BYTES);
}

/* --- Life -------------------------------------------------------------------------------------------------------- */

int receive_http_new(struct receive_http **out, struct receive_source *of, struct http *h, const char *url)
{
    struct receive_http *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->of = of;
    s->http = h;
    snprintf(s->url, sizeof(s->url), "%s", url);
    s->head = buf(HEAD_FIXED_BYTES + BODY_INFO_MAX + (size_t)BLOCK_COUNT_MAX * 32);
    *out = s;
    return 0;
}

void receive_http_free(struct receive_http *s)
{
    if (s == NULL)
        return;
    if (s->head_get != NULL)
        http_get_cancel(s->head_get);
    while (s->blocks != NULL)
        block_get_free(s->blocks);
    if (s->job != NULL)
        s->job->source = NULL;
    buf_free(&s->head);
    free(s);
}
