/* Lives and users of links, and who gets which frame. Not here: dialing (link_dial.c), hello and rosters (link_greet.c).
 *
 * Callbacks, in order: on_accept, on_open; on_frame, on_drain; on_timer; on_closed, on_timer_closed. */
#include "daemon/device_link.h"

#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/accept.h"
#include "daemon/copy.h"
#include "daemon/link_internal.h"
#include "daemon/shelf.h"
#include "daemon/siblings.h"
#include "daemon/state_sync.h"

#define LOG_MODULE "link"
#include "base/log.h"

#define HELLO_MS 10000
#define UNUSED_MS 10000 /* a link we made and nobody uses */
#define IDLE_MS 20000   /* of the connection, with pings: a link lasts as long as both ends do, and says that they do */
#define DOUBT_MS \
    10000 /* the same, while the other end is announced where it is not any more; more than a third of the other, in which it was heard */
#define LINKS_OF_CLIENT_MAX 4 /* one more, and the oldest is closed: each may hold output that nobody reads */

/* ---- users --------------------------------------------------------------------------------------------------- */

static bool is_live(const struct link *l) { return l->state != LINK_CLOSED && (l->peer != NULL || l->dialing != NULL); }

void link_join(struct link *l, struct link_user *u)
{
    assert(u->link == NULL);
    u->link = l;
    u->waiting = false;
    u->next = l->users;
    l->users = u;
    if (l->state == LINK_OPEN)
        (void)uv_timer_stop(&l->timer);
}

static void arm(struct link *l, uint64_t ms);

void link_leave(struct link_user *u)
{
    struct link *l = u->link;
    if (l == NULL)
        return;
    struct link_user **at = &l->users;
    while (*at != u)
        at = &(*at)->next;
    *at = u->next;
    u->link = NULL;
    if (l->users == NULL && l->state == LINK_OPEN && (l->dialed || !link_is_trusted(l)))
        arm(l, UNUSED_MS);
}

struct peer *link_peer(const struct link *l) { return l->peer; }
const struct id *link_client(const struct link *l) { return &l->client; }
struct daemon *link_daemon(const struct link *l) { return l->owner->daemon; }
bool link_is_used(const struct link *l) { return l->users != NULL; }
bool link_is_trusted(const struct link *l) { return siblings_find(l->owner->daemon, l->client.bytes) != NULL; }

const char *link_name(const struct link *l)
{
    const struct sibling *s = siblings_find(l->owner->daemon, l->client.bytes);
    return s != NULL ? s->name : l->name;
}

void link_refuse(struct link *l, uint32_t request, enum reason why, const char *detail)
{
    if (l->peer != NULL && request != 0 && peer_refuse(l->peer, request, why, detail) != 0)
        log_debug("a refusal could not be sent to %s", l->name);
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

void link_release(struct link *l)
{
    if (--l->holds > 0)
        return;
    struct transfers *s = l->owner;
    struct link **at = &s->links;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    free(l);
    transfers_release(s);
}

static void on_timer_closed(uv_handle_t *handle) { link_release(handle->data); }

static void on_timer(uv_timer_t *timer)
{
    struct link *l = timer->data;
    if (l->peer != NULL)
        peer_close(l->peer, l->state == LINK_OPEN ? REASON_NONE : REASON_TIMED_OUT);
}

static void arm(struct link *l, uint64_t ms) { (void)uv_timer_start(&l->timer, on_timer, ms, 0); }

static struct link *link_new(struct transfers *s)
{
    struct link *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->owner = s;
    l->next = s->links;
    s->links = l;
    l->holds = 2; /* peer and timer */
    transfers_hold(s);
    (void)uv_timer_init(s->daemon->loop, &l->timer);
    l->timer.data = l;
    return l;
}

static void close_oldest(const struct link *newest)
{
    struct link *oldest = NULL;
    unsigned count = 0;
    for (struct link *l = newest->owner->links; l != NULL; l = l->next) /* the newest first */
        if (is_live(l) && l->peer != NULL && l != newest && id_equal(l->client.bytes, newest->client.bytes)) {
            oldest = l;
            count++;
        }
    if (count >= LINKS_OF_CLIENT_MAX)
        peer_close(oldest->peer, REASON_RATE_LIMITED);
}

static void on_open(struct peer *p, void *ctx)
{
    struct link *l = ctx;
    l->client = *peer_id(p);
    id_short(l->client.bytes, l->name);
    l->state = LINK_GREETING;
    close_oldest(l);
    peer_set_idle_ms(p, IDLE_MS);
    arm(l, HELLO_MS);
    if (link_greet(l) != 0)
        peer_close(p, REASON_INTERNAL);
}

static void on_drain(struct peer *p, void *ctx)
{
    struct link *l = ctx;
    (void)p;
    if (l->serving != NULL)
        serve_drain(l->serving);
    state_on_drain(l);
    shelf_on_drain(l);
}

void link_ended(struct link *l, enum reason why)
{
    struct daemon *d = l->owner->daemon;
    bool opened = l->state != LINK_OPENING;
    log_debug("%s: closed: %s", l->name, reason_code(why));
    l->state = LINK_CLOSED;
    l->peer = NULL;
    serve_client_free(steal(&l->serving));
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
    if (!l->owner->stopping && l->counted)
        siblings_link_down(d, &l->client);
    if (!l->owner->stopping && !opened && l->dialed && why != REASON_CANCELLED)
        siblings_unreachable(d, &l->client);
    while (l->users != NULL) {
        struct link_user *u = l->users;
        l->users = u->next;
        u->link = NULL;
        u->on_closed(u, why == REASON_NONE ? REASON_OFFLINE : why);
    }
    link_release(l);
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    (void)p;
    link_ended(ctx, why);
}

/* ---- frames -------------------------------------------------------------------------------------------------- */

static void on_sent(const struct id *content, uint32_t index, uint32_t block_count, uint64_t bytes, void *ctx)
{
    struct link *l = ctx;
    copies_sent(l->owner->daemon, &l->client, content, index, block_count, bytes);
}

/* A sibling may read any body (it opens with a license only); another device, what was offered to it. */
static void serve(struct link *l, const struct frame *f)
{
    struct id content;
    if (serve_content_of(f, &content) != 0) {
        peer_close(l->peer, REASON_MALFORMED);
        return;
    }
    enum reason why = copies_may_read(l->owner->daemon, &l->client, &content, link_is_trusted(l));
    if (why != REASON_NONE) {
        link_refuse(l, f->request, why, NULL);
        return;
    }
    if (l->serving == NULL && serve_client_new(&l->serving, l->owner->serve, l->peer, on_sent, l) != 0) {
        link_refuse(l, f->request, REASON_INTERNAL, NULL);
        return;
    }
    (void)serve_frame(l->serving, f);
}

static void dispatch(struct link *l, const struct frame *f)
{
    switch (f->type) {
    case msg_Type_OFFER:
        accept_on_offer(l, f);
        break;
    case msg_Type_WITHDRAW:
        accept_on_withdraw(l, f);
        break;
    case msg_Type_DELIVERED:
        copy_on_delivered(l, f);
        break;
    case msg_Type_FETCH:
        copy_on_fetch(l, f);
        break;
    case msg_Type_SHELF_GET:
        shelf_on_get(l, f);
        break;
    case msg_Type_STATE_GET:
        state_on_get(l, f);
        break;
    case msg_Type_STATE_CHANGED:
        state_on_changed(l, f);
        break;
    case msg_Type_INFO_GET:
    case msg_Type_LIST_GET:
    case msg_Type_BLOCKS_GET:
        serve(l, f);
        break;
    case msg_Type_REFUSAL:
        break; /* of the connection as a whole: the peer closes */
    default:
        link_refuse(l, f->request, REASON_NOT_PERMITTED, NULL);
    }
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct link *l = ctx;
    if (l->owner->stopping)
        return;
    if (l->state == LINK_OPEN)
        dispatch(l, f);
    else if (l->state == LINK_GREETING && f->type != msg_Type_REFUSAL)
        link_greeted(l, f);
    else if (f->type != msg_Type_REFUSAL)
        peer_close(p, REASON_MALFORMED);
}

/* Users may leave, and others join, while one is told. */
static struct link_user *next_waiting(const struct link *l)
{
    struct link_user *u = l->users;
    while (u != NULL && !u->waiting)
        u = u->next;
    return u;
}

static void tell_ready(struct link *l)
{
    for (struct link_user *u; is_live(l) && (u = next_waiting(l)) != NULL;) {
        u->waiting = false;
        u->on_ready(u);
    }
}

/* Who waits for one that is still being dialed waits no longer: the sibling was quicker. */
static void take_over(struct link *l)
{
    for (struct link *other = l->owner->links; other != NULL; other = other->next) {
        if (other == l || other->dialing == NULL || !id_equal(other->client.bytes, l->client.bytes))
            continue;
        for (struct link_user *u; (u = other->users) != NULL;) {
            other->users = u->next;
            u->link = l;
            u->next = l->users;
            l->users = u;
        }
        link_dial_stop(other);
    }
}

/* It is a sibling's. */
static void count(struct link *l)
{
    take_over(l);
    l->counted = true;
    siblings_link_up(l->owner->daemon, &l->client, l->dialed ? l->address : NULL, peer_address(l->peer));
    if (is_live(l))
        state_linked(l);
}

void link_ready(struct link *l)
{
    if (!is_live(l))
        return;
    l->state = LINK_OPEN;
    (void)uv_timer_stop(&l->timer);
    bool trusted = link_is_trusted(l);
    l->holds++;
    if (trusted)
        count(l);
    if (is_live(l) && l->users == NULL && (l->dialed || !trusted))
        arm(l, UNUSED_MS);
    tell_ready(l);
    link_release(l);
}

/* ---- making links -------------------------------------------------------------------------------------------- */

const struct peer_callbacks link_callbacks = { on_open, on_frame, on_drain, on_closed };

static bool on_accept(struct peer *p, struct peer_callbacks *out, void **ctx, void *daemon)
{
    struct daemon *d = daemon;
    struct link *l = d->transfers == NULL || d->transfers->stopping ? NULL : link_new(d->transfers);
    if (l == NULL)
        return false;
    l->peer = p;
    *out = link_callbacks;
    *ctx = l;
    return true;
}

static struct link *find_live(struct transfers *s, const struct id *client)
{
    struct link *found = NULL;
    for (struct link *l = s->links; l != NULL; l = l->next)
        if (is_live(l) && id_equal(l->client.bytes, client->bytes) && (found == NULL || l->state == LINK_OPEN))
            found = l;
    return found;
}

static int dial(struct transfers *s, const struct sibling *to, struct link **out)
{
    struct link *l = link_new(s);
    if (l == NULL)
        return -ENOMEM;
    l->dialed = true;
    l->client = to->client;
    CODEC_SET_TEXT(l->name, to->name);
    int r = link_dial(l);
    if (r != 0) {
        l->state = LINK_CLOSED;
        uv_close((uv_handle_t *)&l->timer, on_timer_closed);
        link_release(l);
        return r;
    }
    *out = l;
    return 0;
}

int link_open(struct daemon *d, const struct id *client, struct link_user *u)
{
    struct transfers *s = d->transfers;
    if (s == NULL || s->stopping)
        return -ECANCELED;
    struct link *l = find_live(s, client);
    if (l == NULL) {
        const struct sibling *to = siblings_find(d, client->bytes);
        if (to == NULL)
            return LINK_NOWHERE;
        int r = dial(s, to, &l);
        if (r != 0)
            return r;
    }
    link_join(l, u);
    u->waiting = l->state != LINK_OPEN;
    return u->waiting ? 0 : LINK_READY;
}

void links_users(const struct daemon *d, const struct id *client, void (*with)(const struct link_user *u, void *ctx),
                 void *ctx)
{
    for (const struct link *l = d->transfers == NULL ? NULL : d->transfers->links; l != NULL; l = l->next)
        for (const struct link_user *u = id_equal(l->client.bytes, client->bytes) ? l->users : NULL; u != NULL;
             u = u->next)
            with(u, ctx);
}

static struct link *find_uncounted(const struct daemon *d)
{
    struct link *l = d->transfers == NULL || d->transfers->stopping ? NULL : d->transfers->links;
    while (l != NULL && (l->counted || l->state != LINK_OPEN || l->peer == NULL || !link_is_trusted(l)))
        l = l->next;
    return l;
}

void links_household_changed(struct daemon *d)
{
    for (struct link *l; (l = find_uncounted(d)) != NULL;) {
        l->holds++;
        if (l->users != NULL || !l->dialed)
            (void)uv_timer_stop(&l->timer);
        count(l);
        tell_ready(l);
        link_release(l);
    }
}

void links_seen(struct daemon *d, const struct id *client)
{
    for (struct link *l = d->transfers == NULL ? NULL : d->transfers->links; l != NULL; l = l->next)
        if (l->state == LINK_OPEN && l->peer != NULL && id_equal(l->client.bytes, client->bytes))
            peer_set_idle_ms(l->peer, siblings_is_seen_at(d, client, peer_address(l->peer)) ? IDLE_MS : DOUBT_MS);
}

void links_start(struct daemon *d) { d->on_device = on_accept; }

void links_stop(struct daemon *d)
{
    d->on_device = NULL;
    for (struct link *l = d->transfers->links, *next; l != NULL; l = next) {
        next = l->next;
        if (l->peer != NULL)
            peer_close(l->peer, REASON_NONE);
        else
            link_dial_stop(l);
    }
}
