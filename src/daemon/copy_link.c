/* The destination: the head of the body, a link, the questions OFFER and WITHDRAW, and what it does by itself.
 *
 * Callbacks, in order: head_work (pool), on_head; on_ready or on_closed (link); on_reply; then, when the destination has everything,
 * copy_on_delivered; copy_reply_closed at any time. */
#include <stdlib.h>

#include "daemon/copy_internal.h"
#include "daemon/library.h"
#include "net/bodies.h"
#include "net/bunch.h"

#define LOG_MODULE "copy"
#include "base/log.h"

#define QUESTION_MS 60000

/* ---- the head of the body ------------------------------------------------------------------------------------ */

struct head {
    struct bunch_job job;
    struct copy *copy;
    char dir[BODIES_PATH_BYTES];
    struct id content;
    struct serve_file file;
    int outcome;
};

static void head_work(uv_work_t *work)
{
    struct head *h = work->data;
    h->outcome = bodies_complete(h->dir, &h->content, &h->file);
}

static void on_head(uv_work_t *work, int status)
{
    struct head *h = work->data;
    struct copy *c = h->copy;
    (void)status;
    if (h->outcome == 0)
        c->t.total_bytes = body_file_bytes(&h->file.shape) - body_block_offset(&h->file.shape, 0);
    if (!c->t.gone && h->outcome > 0 && library_body_changed(c->t.daemon, &c->t.content, false) != 0)
        log_debug("a body that is gone stays listed");
    if (!c->t.gone) {
        copy_out_head(&c->m, reason_of_error(h->outcome), buf_slice(&h->file.info), h->file.list_root, copy_now_ms(c));
        copy_step(c);
    }
    serve_file_deinit(&h->file);
    free(h);
    transfer_release(&c->t);
}

void copy_read_head(struct copy *c)
{
    struct head *h = calloc(1, sizeof(*h));
    if (h == NULL) {
        copy_out_head(&c->m, REASON_INTERNAL, slice(NULL, 0), NULL, copy_now_ms(c));
        return;
    }
    h->job.work.data = h;
    h->copy = c;
    h->content = c->t.content;
    CODEC_SET_TEXT(h->dir, c->t.daemon->config.bodies_dir);
    transfer_hold(&c->t);
    const struct track *t = library_find(c->t.daemon, c->t.content.bytes);
    if (t != NULL && t->has_info && t->plain_bytes <= BUNCH_BYTES_MAX)
        bunch_add(c->t.daemon->transfers->shared.bunch, &h->job, head_work, on_head);
    else
        bunch_alone(c->t.daemon->loop, &h->job, head_work, on_head);
}

/* ---- the link ------------------------------------------------------------------------------------------------ */

static void on_ready(struct link_user *u)
{
    struct copy *c = container_of(u, struct copy, link);
    copy_out_connected(&c->m);
    copy_step(c);
}

static void on_closed(struct link_user *u, enum reason why)
{
    struct copy *c = container_of(u, struct copy, link);
    c->request = 0;
    copy_out_lost(&c->m, why == REASON_STORAGE_FULL ? why : REASON_OFFLINE, copy_now_ms(c));
    copy_step(c);
}

struct copy *copy_of_link(const struct link_user *u)
{
    return u->on_closed == on_closed ? container_of(u, struct copy, link) : NULL;
}

void copy_connect(struct copy *c)
{
    if (!copy_has_room(c)) {
        copy_wait_for_room(c);
        return;
    }
    c->link.on_ready = on_ready;
    c->link.on_closed = on_closed;
    int r = link_open(c->t.daemon, &c->t.with, &c->link);
    if (r == 0 || r == LINK_READY)
        transfer_say(&c->t, r == 0 ? "connecting to %s" : "asking %s", c->t.peer);
    if (r == LINK_READY)
        copy_out_connected(&c->m);
    else if (r != 0)
        copy_out_lost(&c->m, r == LINK_NOWHERE ? REASON_OFFLINE : reason_of_error(r), copy_now_ms(c));
}

void copy_let_go(struct copy *c)
{
    if (c->request != 0 && c->link.link != NULL)
        peer_forget(link_peer(c->link.link), c->request);
    c->request = 0;
    link_leave(&c->link);
}

/* ---- questions ----------------------------------------------------------------------------------------------- */

static bool on_reply(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct copy *c = ctx;
    (void)p;
    c->request = 0;
    copy_out_reply(&c->m, reply, why, copy_now_ms(c));
    if (c->m.offered)
        transfer_say(&c->t, "%s", c->t.title);
    copy_step(c);
    return false;
}

void copy_send(struct copy *c, uint16_t type, struct slice message)
{
    struct peer *p = c->link.link == NULL ? NULL : link_peer(c->link.link);
    int r = p == NULL ? -EPIPE
                      : peer_request(p, type, NULL, &message, slice(NULL, 0), QUESTION_MS, on_reply, c, &c->request);
    if (r != 0)
        copy_out_reply(&c->m, NULL, r == -EPIPE ? REASON_OFFLINE : reason_of_error(r), copy_now_ms(c));
}

/* ---- what the destination does ------------------------------------------------------------------------------- */

void copy_reply_closed(struct link_user *u, enum reason why)
{
    struct copy *c = container_of(u, struct copy, reply_link);
    (void)why;
    c->reply_request = 0;
    copy_out_unheard(&c->m);
}

/* Who fetches is told what it has cost the account. */
static void reply_fetched(struct copy *c, struct link *l, uint32_t request)
{
    msg_Fetched m = { .has_charged = c->t.charged > 0, .charged = c->t.charged, .has_currency = c->t.charged > 0 };
    c->fetched = false;
    CODEC_SET_TEXT(m.currency, c->t.currency);
    if (peer_send(link_peer(l), msg_Type_FETCHED, request, msg_Fetched_fields, &m, slice(NULL, 0)) != 0)
        log_debug("an answer could not be sent to %s", link_name(l));
}

void copy_reply(struct copy *c, enum reason why, const char *detail)
{
    struct link *l = c->reply_link.link;
    uint32_t request = c->reply_request;
    c->reply_request = 0;
    if (l == NULL)
        return;
    link_leave(&c->reply_link);
    if (request == 0 || link_peer(l) == NULL)
        return;
    if (why != REASON_NONE)
        link_refuse(l, request, why, detail);
    else if (c->fetched)
        reply_fetched(c, l, request);
    else if (peer_send(link_peer(l), msg_Type_OK, request, NULL, NULL, slice(NULL, 0)) != 0)
        log_debug("an answer could not be sent to %s", link_name(l));
}

static struct copy *find_about(struct daemon *d, const doc_Receipt *receipt)
{
    const struct id content = id_from(receipt->content);
    for (struct transfer *t = transfers_of(d, &content); t != NULL; t = transfer_next_of(t))
        if (copy_is_out(t) && !transfer_has_ended(t) && copy_out_is_about(&copy_of(t)->m, receipt))
            return copy_of(t);
    return NULL;
}

void copy_on_delivered(struct link *l, const struct frame *f)
{
    msg_Delivered m;
    doc_Receipt receipt;
    if (copy_out_read_delivered(f->message, &m, &receipt) != 0) {
        peer_close(link_peer(l), REASON_MALFORMED);
        return;
    }
    struct copy *c = find_about(link_daemon(l), &receipt);
    if (c == NULL) { /* ended before, and the answer was lost: the same answer again */
        if (peer_send(link_peer(l), msg_Type_OK, f->request, NULL, NULL, slice(NULL, 0)) != 0)
            log_debug("an answer could not be sent to %s", link_name(l));
        return;
    }
    int r = copy_out_delivered(&c->m, CODEC_BYTES(m.receipt), &receipt, copy_now_ms(c));
    if (r != 0) {
        link_refuse(l, f->request, (enum reason)r, NULL); /* it will be said again */
        return;
    }
    link_leave(&c->reply_link);
    link_join(l, &c->reply_link);
    c->reply_request = f->request;
    c->fetched = false;
    copy_step(c);
}

enum reason copies_may_read(struct daemon *d, const struct id *client, const struct id *content, bool trusted)
{
    for (struct transfer *t = transfers_of(d, content); t != NULL; t = transfer_next_of(t)) {
        if (!copy_is_out(t) || !id_equal(t->with.bytes, client->bytes))
            continue;
        if (t->state == TRANSFER_PAUSED)
            return REASON_IN_USE;
        if (copy_of(t)->m.offered)
            return REASON_NONE;
    }
    return trusted ? REASON_NONE : REASON_NOT_OWNED;
}

void copies_sent(struct daemon *d, const struct id *client, const struct id *content, uint32_t index,
                 uint32_t block_count, uint64_t bytes)
{
    (void)bytes;
    for (struct transfer *t = transfers_of(d, content); t != NULL; t = transfer_next_of(t))
        if (copy_is_out(t) && copy_of(t)->m.offered && id_equal(t->with.bytes, client->bytes)) {
            copy_out_active(&copy_of(t)->m, transfers_now_ms(d));
            transfer_progress(t, t->total_bytes / block_count * (index + 1), t->total_bytes);
            return;
        }
}
