/* Who is asked, and what becomes of them.
 *
 * Callbacks, in order: on_ready or on_closed (link); holders_lost, from the run's owner; on_closed at any time. */
#include "daemon/holders.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/siblings.h"
#include "daemon/transfers_internal.h"

#define LOG_MODULE "holders"
#include "base/log.h"

#define SOURCES_SEEN_MAX 8
#define AGAIN_OFFLINE_MS 10000
#define AGAIN_WITHOUT_MS 60000 /* it did not have it */

struct holder {
    struct holder *next;
    struct holders *of;
    struct id client;
    struct link_user link;
    uint32_t source; /* 0: the link is not there yet */
};

/* ---- notes ----------------------------------------------------------------------------------------------------- */

static void note(struct holders *h, const struct id *client, int64_t again_ms)
{
    struct holder_note *n = NULL;
    for (unsigned i = 0; i < HOLDERS_KNOWN; i++)
        if (id_equal(h->known[i].client.bytes, client->bytes))
            n = &h->known[i];
    if (n == NULL) {
        n = &h->known[h->known_next];
        h->known_next = (h->known_next + 1) % HOLDERS_KNOWN;
    }
    *n = (struct holder_note){ *client, again_ms };
}

static bool may_be_asked(const struct holders *h, const struct sibling *s, int64_t now_ms)
{
    if (!sibling_is_online(s) || id_equal(s->client.bytes, h->except.bytes) ||
        id_equal(s->client.bytes, h->daemon->self.bytes))
        return false;
    for (unsigned i = 0; i < HOLDERS_KNOWN; i++)
        if (id_equal(h->known[i].client.bytes, s->client.bytes) && now_ms < h->known[i].again_ms)
            return false;
    for (const struct holder *holder = h->list; holder != NULL; holder = holder->next)
        if (id_equal(holder->client.bytes, s->client.bytes))
            return false;
    return true;
}

/* For how long it is left alone. What is wrong by intent or damage stays so: for good. */
static int64_t pause_after(enum reason why)
{
    switch (why) {
    case REASON_CANCELLED:
        return 0;
    case REASON_OFFLINE:
    case REASON_TIMED_OUT:
    case REASON_NONE:
        return AGAIN_OFFLINE_MS;
    case REASON_BLOCK_CORRUPT:
    case REASON_CONTENT_ID_MISMATCH:
    case REASON_MALFORMED:
        return INT64_MAX / 2;
    default:
        return AGAIN_WITHOUT_MS;
    }
}

void source_blame(struct daemon *d, const struct id *content, const struct receive_lost *lost)
{
    if (lost->why != REASON_BLOCK_CORRUPT && lost->why != REASON_CONTENT_ID_MISMATCH)
        return;
    const struct track *t = library_find(d, content->bytes);
    char short_id[ID_SHORT_BYTES];
    id_short(content->bytes, short_id);
    event(d, "source-corrupt", "%s sent what is not %s; nothing more of it is taken from there", lost->name,
          t != NULL && t->has_info ? t->title : short_id);
}

/* ---- one holder ------------------------------------------------------------------------------------------------ */

static void holder_end(struct holder *holder, enum reason why)
{
    struct holders *h = holder->of;
    struct holder **at = &h->list;
    while (*at != holder)
        at = &(*at)->next;
    *at = holder->next;
    note(h, &holder->client, transfers_now_ms(h->daemon) + pause_after(why));
    receive_run_drop(h->run, holder->source);
    struct link *l = holder->link.link;
    link_leave(&holder->link);
    if (why == REASON_MALFORMED && l != NULL && link_peer(l) != NULL)
        peer_close(link_peer(l), why);
    free(holder);
}

static void tell_none(struct holders *h)
{
    if (h->list == NULL && h->on_none != NULL)
        h->on_none(h->ctx);
}

static enum reason attach(struct holder *holder)
{
    const struct link *l = holder->link.link;
    int r = receive_run_attach(holder->of->run, link_peer(l), link_name(l), &holder->source);
    return reason_of_error(r);
}

static void on_ready(struct link_user *u)
{
    struct holder *holder = container_of(u, struct holder, link);
    struct holders *h = holder->of;
    enum reason why = link_is_trusted(u->link) ? attach(holder) : REASON_NOT_PERMITTED;
    if (why == REASON_NONE)
        return;
    holder_end(holder, why);
    tell_none(h);
}

static void on_closed(struct link_user *u, enum reason why)
{
    struct holder *holder = container_of(u, struct holder, link);
    struct holders *h = holder->of;
    holder_end(holder, why);
    tell_none(h);
}

static void ask(struct holders *h, const struct sibling *s)
{
    struct holder *holder = calloc(1, sizeof(*holder));
    if (holder == NULL)
        return;
    *holder = (struct holder){ .next = h->list, .of = h, .client = s->client };
    holder->link.on_ready = on_ready;
    holder->link.on_closed = on_closed;
    h->list = holder;
    int r = link_open(h->daemon, &s->client, &holder->link);
    enum reason why = r == LINK_READY ? attach(holder) : r == LINK_NOWHERE ? REASON_OFFLINE : reason_of_error(r);
    if (why != REASON_NONE)
        holder_end(holder, why);
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

void holders_init(struct holders *h, struct daemon *d, struct receive_run *run, const struct id *except,
                  void (*on_none)(void *ctx), void *ctx)
{
    *h = (struct holders){ .daemon = d, .run = run, .on_none = on_none, .ctx = ctx };
    if (except != NULL)
        h->except = *except;
}

void holders_leave(struct holders *h)
{
    while (h->list != NULL)
        holder_end(h->list, REASON_CANCELLED);
}

void holders_deinit(struct holders *h)
{
    h->on_none = NULL;
    if (h->daemon != NULL)
        holders_leave(h);
}

/* Will what is left be here soon, at what comes now? Nobody is judged before he had time to show it. */
static bool is_here_soon(const struct holders *h, uint64_t left_bytes, int64_t now_ms)
{
    struct receive_source_view sources[SOURCES_SEEN_MAX];
    size_t count = receive_run_sources(h->run, sources, SOURCES_SEEN_MAX);
    uint64_t rate = 0;
    for (size_t i = 0; i < count; i++)
        rate += sources[i].rate;
    return h->since_ms == 0 || now_ms - h->since_ms < HOLDERS_PATIENCE_MS ||
           left_bytes * 1000 <= rate * HOLDERS_PATIENCE_MS;
}

static bool is_worth_it(const struct holders *h, int64_t now_ms)
{
    uint64_t left_bytes = receive_run_left_bytes(h->run);
    return left_bytes == 0 || left_bytes >= HOLDERS_WORTH_BYTES || !receive_run_attached(h->run) ||
           !is_here_soon(h, left_bytes, now_ms);
}

bool holders_look(struct holders *h)
{
    int64_t now_ms = transfers_now_ms(h->daemon);
    unsigned count = 0;
    if (!receive_run_attached(h->run))
        h->since_ms = 0;
    else if (h->since_ms == 0)
        h->since_ms = now_ms;
    for (const struct holder *holder = h->list; holder != NULL; holder = holder->next)
        count++;
    for (size_t i = 0; i < siblings_count(h->daemon) && count < HOLDERS_MAX && is_worth_it(h, now_ms); i++) {
        const struct sibling *s = siblings_at(h->daemon, i);
        if (!may_be_asked(h, s, now_ms))
            continue;
        ask(h, s);
        count++;
    }
    return h->list != NULL;
}

bool holders_lost(struct holders *h, const struct receive_lost *lost)
{
    struct holder *holder = h->list;
    while (holder != NULL && holder->source != lost->source)
        holder = holder->next;
    if (holder == NULL)
        return false;
    if (lost->why != REASON_UNKNOWN_CONTENT)
        log_info("%s sends no more reason=%s", lost->name, reason_code(lost->why));
    holder_end(holder, lost->why);
    tell_none(h);
    return true;
}
