/* Telling siblings what is here: for each link a question at a time, a few tracks a turn of the loop, those who ask in turn; beyond so many tracks a second they wait, and
 * nobody else does. Loop thread.
 *
 * Callbacks, in order: shelf_on_get (the question; its link is read no further), on_turn until it is answered, on_tick (more may be looked at), on_drain (there is room for
 * an answer); on_closed (the link is gone); on_timer_closed. */
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/copy.h"
#include "daemon/library_query.h"
#include "daemon/shelf.h"
#include "daemon/siblings.h"
#include "daemon/transfers_internal.h"
#include "protocol/shelf.h"

#define TURN_LOOKS 512u   /* tracks, before the loop does something else */
#define TICK_MS 10u       /* in which all siblings together */
#define TICK_LOOKS 10000u /* may have so many looked at; */
#define ANSWER_LOOKS 256u /* an answer counts for so many, however few it needs */

struct shelf_telling { /* a question */
    struct shelf_telling *next;
    struct link_user user;
    struct shelf_teller *teller;
    uint32_t request;
    size_t at;
    struct library_query query;
    msg_ShelfGet question;
    msg_Shelf answer;
};
struct shelf_teller {
    struct daemon *daemon;
    struct shelf_telling *first, **last; /* who asks, in turn */
    uint32_t looks;                      /* of this tick, still to be had */
    bool scheduled, stopping;
    unsigned holds; /* the timer, and a turn to come */
    struct later_item turn;
    uv_timer_t tick;
};

/* ---- a page -------------------------------------------------------------------------------------------------- */

static void put_item(struct daemon *d, const struct track *t, msg_ShelfItem *out)
{
    const struct track_license *l = track_license(t);
    *out = (msg_ShelfItem){ .has_creator = t->creator != NULL,
                            .has_album = t->album != NULL,
                            .duration_ms = t->duration_ms,
                            .plain_bytes = t->plain_bytes,
                            .has_body = t->has_body && !t->damaged,
                            .license_state = track_license_state(d, t),
                            .has_issuer = l != NULL };
    memcpy(out->content, t->content.bytes, sizeof(out->content));
    CODEC_SET_TEXT(out->title, t->has_info ? t->title : "");
    CODEC_SET_TEXT(out->creator, t->creator != NULL ? t->creator : "");
    CODEC_SET_TEXT(out->album, t->album != NULL ? t->album : "");
    CODEC_SET_TEXT(out->media_type, t->has_info ? t->media_type : "");
    if (l != NULL)
        memcpy(out->issuer, l->issuer.bytes, sizeof(out->issuer));
}

/* Looks at so many tracks at most; how many it were. *full: the answer is complete. */
static uint32_t look(struct daemon *d, struct shelf_telling *t, uint32_t looks, bool *full)
{
    const struct id *client = link_client(t->user.link);
    const msg_ShelfGet *m = &t->question;
    msg_Shelf *out = &t->answer;
    size_t count = size_min(library_count(d), SHELF_TRACKS_MAX);
    size_t end = size_min(count, (size_t)m->at + SHELF_LOOKED_AT), began = t->at;
    uint32_t cap = m->count < SHELF_ITEMS_MAX ? m->count : SHELF_ITEMS_MAX;
    for (; t->at < end && t->at - began < looks && out->items_count < cap; t->at++) {
        const struct track *track = library_by_title(d, t->at);
        if (!library_query_fits(&t->query, track) || !copy_may_be_told(d, client, track))
            continue;
        if (out->skip > 0)
            out->skip--;
        else
            put_item(d, track, &out->items[out->items_count++]);
    }
    out->has_next = t->at < count && cap > 0;
    out->next = (uint32_t)t->at;
    *full = t->at >= end || out->items_count >= cap;
    return (uint32_t)(t->at - began);
}

/* ---- turns --------------------------------------------------------------------------------------------------- */

static void on_turn(struct later_item *item);

static void schedule(struct shelf_teller *s)
{
    if (s->scheduled || s->stopping || s->first == NULL || s->looks == 0)
        return;
    s->scheduled = true;
    s->holds++;
    later_run(&s->daemon->later, &s->turn, on_turn);
}

static void put(struct shelf_teller *s, struct shelf_telling *t)
{
    t->next = NULL;
    *s->last = t;
    s->last = &t->next;
    schedule(s);
}

static void take(struct shelf_teller *s, struct shelf_telling *t)
{
    struct shelf_telling **at = &s->first;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    if (s->last == &t->next)
        s->last = at;
}

static void free_telling(struct shelf_telling *t)
{
    struct link *l = t->user.link;
    take(t->teller, t);
    link_leave(&t->user);
    free(t);
    if (l != NULL && link_peer(l) != NULL)
        peer_resume(link_peer(l)); /* the next question may be here already */
}

static void on_closed(struct link_user *u, enum reason why)
{
    (void)why;
    free_telling(container_of(u, struct shelf_telling, user));
}

static void answer(struct shelf_telling *t)
{
    struct link *l = t->user.link;
    if (peer_send(link_peer(l), msg_Type_SHELF, t->request, msg_Shelf_fields, &t->answer, slice(NULL, 0)) != 0)
        link_refuse(l, t->request, REASON_INTERNAL, NULL);
}

/* The first of those who ask and read what they are told. */
static struct shelf_telling *next_one(const struct shelf_teller *s)
{
    struct shelf_telling *t = s->first;
    while (t != NULL && !peer_writable(link_peer(t->user.link)))
        t = t->next;
    return t;
}

static void release(struct shelf_teller *s)
{
    if (--s->holds == 0)
        free(s);
}

static void on_tick(uv_timer_t *timer)
{
    struct shelf_teller *s = timer->data;
    if (s->looks == TICK_LOOKS)
        (void)uv_timer_stop(timer);
    s->looks = TICK_LOOKS;
    schedule(s);
}

static void spend(struct shelf_teller *s, uint32_t looks)
{
    s->looks -= looks < s->looks ? looks : s->looks;
    if (!uv_is_active((uv_handle_t *)&s->tick))
        (void)uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS); /* fails only without a callback */
}

static void go_on(struct shelf_teller *s, struct shelf_telling *t)
{
    bool full = true;
    if (!link_is_trusted(t->user.link)) /* it belongs to the household no more */
        link_refuse(t->user.link, t->request, REASON_NOT_OWNED, NULL);
    else
        spend(s, look(s->daemon, t, TURN_LOOKS, &full));
    if (!full) {
        take(s, t);
        put(s, t);
        return;
    }
    if (link_is_trusted(t->user.link))
        answer(t);
    spend(s, ANSWER_LOOKS);
    free_telling(t);
}

static void on_turn(struct later_item *item)
{
    struct shelf_teller *s = container_of(item, struct shelf_teller, turn);
    s->scheduled = false;
    struct shelf_telling *t = s->stopping ? NULL : next_one(s);
    if (t != NULL) {
        go_on(s, t);
        schedule(s);
    }
    release(s);
}

void shelf_on_drain(struct link *l)
{
    struct shelf_teller *s = link_daemon(l)->transfers->teller;
    if (s != NULL)
        schedule(s);
}

/* ---- questions ----------------------------------------------------------------------------------------------- */

static enum reason judge(const struct daemon *d, const struct link *l, char *detail, size_t cap)
{
    if (!link_is_trusted(l))
        return REASON_NOT_OWNED;
    if (d->transfers->teller == NULL)
        return REASON_CANCELLED;
    if (d->config.answer_fetch != CONFIG_FETCH_NONE)
        return REASON_NONE;
    (void)snprintf(detail, cap, "%s answers no fetches, and does not tell what it has.", d->config.name);
    return REASON_NOT_PERMITTED;
}

void shelf_on_get(struct link *l, const struct frame *f)
{
    struct daemon *d = link_daemon(l);
    char detail[128] = "";
    msg_ShelfGet m;
    if (CODEC_DECODE(msg_ShelfGet, f->message, &m) != 0 || m.at > SHELF_TRACKS_MAX) {
        peer_close(link_peer(l), REASON_MALFORMED);
        return;
    }
    enum reason why = judge(d, l, detail, sizeof(detail));
    struct shelf_telling *t = why == REASON_NONE ? calloc(1, sizeof(*t)) : NULL;
    if (t == NULL) {
        link_refuse(l, f->request, why == REASON_NONE ? REASON_INTERNAL : why, detail[0] != '\0' ? detail : NULL);
        return;
    }
    t->teller = d->transfers->teller;
    t->user.on_closed = on_closed;
    t->request = f->request;
    t->question = m;
    t->at = m.at;
    t->answer.skip = m.skip;
    library_query_init(&t->query, m.has_query ? m.query : NULL);
    link_join(l, &t->user);
    peer_pause(link_peer(l));
    put(t->teller, t);
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

int shelf_teller_new(struct daemon *d, struct shelf_teller **out)
{
    struct shelf_teller *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->daemon = d;
    s->last = &s->first;
    s->looks = TICK_LOOKS;
    s->holds = 1;                           /* the timer */
    (void)uv_timer_init(d->loop, &s->tick); /* cannot fail */
    s->tick.data = s;
    *out = s;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle) { release(handle->data); }

void shelf_teller_free(struct shelf_teller *s)
{
    if (s == NULL)
        return;
    s->stopping = true;
    while (s->first != NULL)
        free_telling(s->first);
    uv_close((uv_handle_t *)&s->tick, on_timer_closed);
}
