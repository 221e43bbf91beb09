/* Serving bodies. A request waits in its client's queue until its body is open; block ranges are cut into reads of
 * a bounded size that the pool does, at most READS_AHEAD of them before what was read has been queued to the peer.
 *
 * Callbacks, in order: serve_opened (serve_body.c); read_work (pool), on_read_done; the client's on_sent; on_timer, when the pace allows more;
 * on_timer_closed. */
#define LOG_MODULE "serve"
#include "net/serve.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "crypto/merkle.h"
#include "net/serve_internal.h"

#define READ_BYTES (512u * 1024) /* of one read */
#define READS_AHEAD 3u
#define LIST_PIECE_MAX (1024u * 1024 / MERKLE_HASH_BYTES)

static void service(struct serve_client *c);

/* ---- lives --------------------------------------------------------------------------------------------------- */

static void serve_end(struct serve *s)
{
    serve_bodies_trim(s);
    if (s->closing && !s->clients && !s->bodies && !s->timer_open)
        free(s);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct serve *s = handle->data;
    s->timer_open = false;
    serve_end(s);
}

int serve_new(struct serve **out, uv_loop_t *loop, serve_path_fn path_of, void *ctx)
{
    struct serve *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->loop = loop;
    s->path_of = path_of;
    s->ctx = ctx;
    *out = s;
    return 0;
}

void serve_free(struct serve *s)
{
    if (!s)
        return;
    for (const struct serve_client *c = s->clients; c; c = c->next)
        assert(!c->peer);
    s->closing = true;
    if (s->timer_open)
        uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    serve_end(s);
}

void serve_set_pace(struct serve *s, struct pace *p, const struct clock *clock)
{
    s->pace = p;
    s->clock = clock;
    (void)uv_timer_init(s->loop, &s->timer);
    s->timer.data = s;
    s->timer_open = true;
}

void serve_set_bunch(struct serve *s, struct bunch *b) { s->bunch = b; }

void serve_queue(struct serve *s, struct bunch_job *j, bool small, uv_work_cb run, uv_after_work_cb after)
{
    if (s->bunch && small)
        bunch_add(s->bunch, j, run, after);
    else
        bunch_alone(s->loop, j, run, after);
}

void serve_forget(struct serve *s, const struct id *content)
{
    for (struct serve_body *b = s->bodies; b; b = b->next)
        if (id_equal(&b->content, content))
            b->forgotten = true;
    serve_bodies_trim(s);
}

int serve_client_new(struct serve_client **out, struct serve *s, struct peer *p, serve_sent_fn on_sent, void *ctx)
{
    struct serve_client *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    *c = (struct serve_client){ .serve = s, .next = s->clients, .peer = p, .on_sent = on_sent, .ctx = ctx };
    c->ranges_last = &c->ranges;
    c->reads_last = &c->reads;
    s->clients = c;
    *out = c;
    return 0;
}

static void range_pop(struct serve_client *c)
{
    struct serve_range *r = c->ranges;
    c->ranges = r->next;
    if (!c->ranges)
        c->ranges_last = &c->ranges;
    c->range_count--;
    serve_body_unref(r->body);
    free(r);
}

static void read_free(struct serve_read *d)
{
    for (uint32_t i = 0; i < d->count; i++)
        free(d->blocks[i]);
    serve_body_unref(d->body);
    free(d);
}

static void read_pop(struct serve_client *c)
{
    struct serve_read *d = c->reads;
    c->reads = d->next;
    if (!c->reads)
        c->reads_last = &c->reads;
    c->read_count--;
    read_free(d);
}

/* Once the owner has let go and the pool has, too. */
static void client_end(struct serve_client *c)
{
    if (c->peer || c->servicing)
        return;
    while (c->ranges)
        range_pop(c);
    while (c->reads && c->reads->done)
        read_pop(c);
    if (c->reads)
        return;
    struct serve *s = c->serve;
    struct serve_client **at = &s->clients;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    free(c);
    serve_end(s);
}

void serve_client_free(struct serve_client *c)
{
    if (!c)
        return;
    c->peer = NULL;
    client_end(c);
}

/* ---- reading and sending ------------------------------------------------------------------------------------- */

static void refuse(struct serve_client *c, uint32_t request, int outcome)
{
    if (c->peer && peer_refuse(c->peer, request, reason_of_error(outcome), NULL) != 0)
        log_debug("%s: no refusal could be sent", peer_address(c->peer));
}

static void read_work(uv_work_t *work)
{
    struct serve_read *d = work->data;
    const struct body_shape *shape = &d->body->file.shape;
    struct iovec parts[SERVE_READ_BLOCKS];
    ssize_t expected = 0, got;
    for (uint32_t i = 0; i < d->count; i++) {
        size_t len = body_block_len(shape, d->first + i);
        d->blocks[i] = malloc(len);
        if (!d->blocks[i]) {
            d->outcome = -ENOMEM;
            return;
        }
        parts[i] = (struct iovec){ d->blocks[i], len };
        expected += (ssize_t)len;
    }
    /* Blocks lie one after the other: one call. A short one is read again, block by block. */
    got = preadv(d->body->fd, parts, (int)d->count, (off_t)body_block_offset(shape, d->first));
    for (uint32_t i = 0; got != expected && i < d->count && d->outcome == 0; i++)
        d->outcome =
            file_pread_all(d->body->fd, d->blocks[i], parts[i].iov_len, body_block_offset(shape, d->first + i));
}

static void send_read(struct serve_client *c, struct serve_read *d)
{
    if (d->outcome != 0) {
        log_error("reading a body failed path=%s: %s", d->body->path, strerror(-d->outcome));
        refuse(c, d->request, d->outcome);
        return;
    }
    msg_Block block = msg_Block_init_zero;
    memcpy(block.content, &d->body->content, sizeof(block.content));
    for (uint32_t i = 0; i < d->count && c->peer; i++) {
        size_t len = body_block_len(&d->body->file.shape, d->first + i);
        block.index = d->first + i;
        int r =
            peer_send_owned(c->peer, msg_Type_BLOCK, d->request, msg_Block_fields, &block, steal(&d->blocks[i]), len);
        if (r != 0)
            return; /* it is closing; its owner hears of it */
        if (c->on_sent)
            c->on_sent(&d->body->content, block.index, d->body->file.shape.block_count, len, c->ctx);
    }
}

static void on_read_done(uv_work_t *work, int status)
{
    struct serve_read *d = work->data;
    (void)status; /* never cancelled */
    d->done = true;
    service(d->client);
}

/* ---- the pace -------------------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct serve *s = timer->data;
    struct serve_client *first = s->clients, **last = &s->clients;
    while (*last)
        last = &(*last)->next;
    if (first && first->next) { /* whoever was first is last this time */
        s->clients = first->next;
        first->next = NULL;
        *last = first;
    }
    serve_opened(s);
}

/* False: not yet; who waits is served when it is time. */
static bool may_read(struct serve *s)
{
    uint32_t wait_ms = s->pace ? pace_wait_ms(s->pace, clock_mono_ms(s->clock)) : 0;
    if (wait_ms > 0 && !s->closing)
        (void)uv_timer_start(&s->timer, on_timer, wait_ms, 0);
    return wait_ms == 0;
}

/* Bytes of one read: at a slow pace a quarter of a second's worth, so that blocks come steadily. */
static uint64_t read_bytes(const struct serve *s)
{
    return s->pace && s->pace->rate != 0 ? u64_min(s->pace->rate / 4, READ_BYTES) : READ_BYTES;
}

/* ---- requests, one step at a time ------------------------------------------------------------------------------ */

/* Reads the next part of the range at the head of the queue. 0, REASON_MALFORMED, -errno. */
static int start_read(struct serve_client *c, struct serve_range *g)
{
    const struct body_shape *shape = &g->body->file.shape;
    if (g->count == 0 || g->first >= shape->block_count || g->count > shape->block_count - g->first)
        return REASON_MALFORMED;
    struct serve_read *d CLEANUP(freep) = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->client = c;
    d->body = g->body;
    d->request = g->request;
    d->first = g->first;
    d->job.work.data = d;
    uint64_t bytes = 0;
    do
        bytes += body_block_len(shape, d->first + d->count++);
    while (d->count < g->count && d->count < SERVE_READ_BLOCKS &&
           bytes + body_block_len(shape, d->first + d->count) <= read_bytes(c->serve));
    serve_queue(c->serve, &d->job, bytes <= BUNCH_BYTES_MAX, read_work, on_read_done);
    if (c->serve->pace)
        pace_take(c->serve->pace, bytes, clock_mono_ms(c->serve->clock));
    d->body->references++;
    g->first += d->count;
    g->count -= d->count;
    c->read_count++;
    *c->reads_last = d;
    c->reads_last = &d->next;
    (void)steal(&d);
    return 0;
}

static int send_info(struct serve_client *c, const struct serve_range *g)
{
    const struct serve_file *f = &g->body->file;
    msg_Info info = msg_Info_init_zero;
    if (CODEC_SET_BYTES(info.info, buf_slice(&f->info)) != 0)
        return -EMSGSIZE;
    memcpy(info.list_root, f->list_root, sizeof(info.list_root));
    return peer_send(c->peer, msg_Type_INFO, g->request, msg_Info_fields, &info, slice(NULL, 0));
}

static int send_list(struct serve_client *c, const struct serve_range *g)
{
    const struct serve_file *f = &g->body->file;
    if (g->count == 0 || g->count > LIST_PIECE_MAX || g->first >= f->shape.block_count ||
        g->count > f->shape.block_count - g->first)
        return REASON_MALFORMED;
    msg_List list = { .first = g->first };
    memcpy(list.content, &g->body->content, sizeof(list.content));
    struct slice hashes = slice(f->list + (size_t)g->first * MERKLE_HASH_BYTES, (size_t)g->count * MERKLE_HASH_BYTES);
    return peer_send(c->peer, msg_Type_LIST, g->request, msg_List_fields, &list, hashes);
}

/* One step of the range at the head of the queue. False: it has to wait. */
static bool take_step(struct serve_client *c)
{
    struct serve_range *g = c->ranges;
    int r = 0;
    if (g->body->opening || c->read_count >= READS_AHEAD)
        return false;
    if (g->body->outcome != 0)
        r = g->body->outcome;
    else if (g->type == msg_Type_INFO_GET)
        r = send_info(c, g);
    else if (g->type == msg_Type_LIST_GET)
        r = send_list(c, g);
    else if (!may_read(c->serve))
        return false;
    else
        r = start_read(c, g);
    if (r != 0)
        refuse(c, g->request, r);
    if (r != 0 || g->type != msg_Type_BLOCKS_GET || g->count == 0)
        range_pop(c);
    return true;
}

static void service(struct serve_client *c)
{
    if (c->servicing)
        return;
    c->servicing = true;
    bool moved = true;
    while (moved && c->peer && peer_writable(c->peer)) {
        moved = false;
        if (c->reads && c->reads->done) {
            send_read(c, c->reads);
            read_pop(c);
            moved = true;
        } else if (c->ranges) {
            moved = take_step(c);
        }
    }
    c->servicing = false;
    client_end(c);
}

void serve_drain(struct serve_client *c) { service(c); }

void serve_opened(struct serve *s)
{
    for (struct serve_client *c = s->clients, *next; c; c = next) {
        next = c->next;
        service(c);
    }
    serve_end(s);
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

/* 0, CODEC_MALFORMED. */
static int read_request(const struct frame *f, struct serve_range *g, struct id *content)
{
    g->type = f->type;
    g->request = f->request;
    if (f->type == msg_Type_INFO_GET) {
        msg_InfoGet m;
        if (CODEC_DECODE(msg_InfoGet, f->message, &m) != 0)
            return CODEC_MALFORMED;
        *content = id_from(m.content);
    } else if (f->type == msg_Type_LIST_GET) {
        msg_ListGet m;
        if (CODEC_DECODE(msg_ListGet, f->message, &m) != 0)
            return CODEC_MALFORMED;
        *content = id_from(m.content);
        g->first = m.first;
        g->count = m.count;
    } else {
        msg_BlocksGet m;
        if (f->type != msg_Type_BLOCKS_GET || CODEC_DECODE(msg_BlocksGet, f->message, &m) != 0)
            return CODEC_MALFORMED;
        *content = id_from(m.content);
        g->first = m.first;
        g->count = m.count;
    }
    return f->tail.len == 0 && f->request != 0 ? 0 : CODEC_MALFORMED;
}

int serve_content_of(const struct frame *f, struct id *content)
{
    struct serve_range g;
    return read_request(f, &g, content);
}

static int take_request(struct serve_client *c, const struct serve_range *wire, const struct id *content)
{
    if (c->range_count >= SERVE_RANGES_MAX)
        return REASON_RATE_LIMITED;
    struct serve_range *g CLEANUP(freep) = malloc(sizeof(*g));
    if (!g)
        return -ENOMEM;
    *g = *wire;
    int r = serve_body_get(c->serve, content, &g->body);
    if (r != 0)
        return r;
    c->range_count++;
    *c->ranges_last = g;
    c->ranges_last = &g->next;
    (void)steal(&g);
    return 0;
}

bool serve_frame(struct serve_client *c, const struct frame *f)
{
    if (f->type != msg_Type_INFO_GET && f->type != msg_Type_LIST_GET && f->type != msg_Type_BLOCKS_GET)
        return false;
    struct serve_range g = { .next = NULL };
    struct id content;
    if (read_request(f, &g, &content) != 0) {
        peer_close(c->peer, REASON_MALFORMED);
        return true;
    }
    int r = take_request(c, &g, &content);
    if (r != 0)
        refuse(c, f->request, r);
    else
        service(c);
    return true;
}
