/* Fetching: FETCH to the sibling; its answer says whether it will offer; then the incoming copy carries the call. When the license is here
 * and only the body is missing, that is read from the sibling (fetch_body.c), and no distributor is asked.
 *
 * Callbacks, in order: on_ready or on_closed (link), on_answer (the sibling's OK or refusal), fetches_begun. */
#include "daemon/fetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/damage.h"
#include "daemon/device_link.h"
#include "daemon/fetch_body.h"
#include "daemon/library.h"
#include "daemon/listing.h"
#include "daemon/shop.h"
#include "daemon/siblings.h"
#include "daemon/transfers_internal.h"

#define ANSWER_MS 90000 /* the sibling asks its distributor before it answers */
#define OFFER_MS 30000  /* after that the offer must come */

struct fetch {
    struct fetch *next;
    struct daemon *daemon;
    struct call *call;
    struct id content;
    struct link_user link;
    uint32_t request;
    int64_t deadline_ms;
};

static void drop(struct fetch *f)
{
    struct fetch **at = &f->daemon->transfers->fetches;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    if (f->request != 0 && f->link.link != NULL)
        peer_forget(link_peer(f->link.link), f->request);
    link_leave(&f->link);
    free(f);
}

static void fail(struct fetch *f, enum reason why, const char *detail)
{
    struct call *c = f->call;
    drop(f);
    call_refuse(c, why, detail);
}

static void tell_charged(struct call *c, const msg_Fetched *fetched)
{
    ctl_Charged row = { .amount = fetched->charged };
    CODEC_SET_TEXT(row.currency, fetched->currency);
    if (fetched->has_charged && fetched->has_currency)
        CALL_ROW(c, CHARGED, Charged, &row);
}

static bool on_answer(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct fetch *f = ctx;
    msg_Refusal refusal = msg_Refusal_init_zero;
    msg_Fetched fetched;
    (void)p;
    f->request = 0;
    if (reply != NULL)
        why = peer_refusal(reply, msg_Type_FETCHED, &refusal);
    if (why == REASON_NONE && CODEC_DECODE(msg_Fetched, reply->message, &fetched) != 0)
        why = REASON_MALFORMED;
    if (why != REASON_NONE) {
        fail(f, why, refusal.text[0] != '\0' ? refusal.text : NULL);
        return false;
    }
    tell_charged(f->call, &fetched);
    f->deadline_ms = transfers_now_ms(f->daemon) + OFFER_MS;
    call_progress(f->call, 0, 0, "waiting for the offer");
    return false;
}

/* ---- the link ------------------------------------------------------------------------------------------------- */

static void on_ready(struct link_user *u)
{
    struct fetch *f = container_of(u, struct fetch, link);
    msg_Fetch m = msg_Fetch_init_zero;
    memcpy(m.content, f->content.bytes, sizeof(m.content));
    if (peer_request(link_peer(u->link), msg_Type_FETCH, msg_Fetch_fields, &m, slice(NULL, 0), ANSWER_MS, on_answer, f,
                     &f->request) != 0)
        fail(f, REASON_OFFLINE, NULL);
}

static void on_closed(struct link_user *u, enum reason why)
{
    struct fetch *f = container_of(u, struct fetch, link);
    f->request = 0;
    fail(f, why, NULL);
}

void fetches_begun(struct daemon *d, struct transfer *t)
{
    for (struct fetch *f = d->transfers->fetches, *next; f != NULL; f = next) {
        next = f->next;
        if (!id_equal(f->content.bytes, t->content.bytes) || transfer_watch_call(t, f->call) != 0)
            continue;
        drop(f);
    }
}

void fetches_tick(struct daemon *d, int64_t now_ms)
{
    for (struct fetch *f = d->transfers->fetches, *next; f != NULL; f = next) {
        next = f->next;
        if (now_ms >= f->deadline_ms)
            fail(f, REASON_TIMED_OUT, "The other device made no offer.");
    }
}

void fetches_stop(struct daemon *d)
{
    while (d->transfers->fetches != NULL)
        fail(d->transfers->fetches, REASON_CANCELLED, NULL);
}

int fetch_resolve(struct daemon *d, const char *text, struct id *content, char *detail, size_t cap)
{
    uint32_t number = listing_parse(text);
    const struct listing_entry *e = number == 0 ? NULL : listing_number(d, number);
    struct track *t;
    if (e != NULL) {
        *content = e->content;
        return 0;
    }
    if (id_parse(text, content) == 0)
        return 0;
    int r = library_resolve(d, text, &t, detail, cap);
    if (r == 0)
        *content = t->content;
    return r;
}

static void start(struct daemon *d, struct call *c, const struct id *content, const struct sibling *from)
{
    struct fetch *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    f->daemon = d;
    f->call = c;
    f->content = *content;
    f->link.on_ready = on_ready;
    f->link.on_closed = on_closed;
    f->deadline_ms = transfers_now_ms(d) + ANSWER_MS + OFFER_MS;
    f->next = d->transfers->fetches;
    d->transfers->fetches = f;
    transfers_wake(d);
    call_progress(c, 0, 0, "asking %s", from->name);
    int r = link_open(d, &from->client, &f->link);
    if (r == LINK_READY)
        on_ready(&f->link);
    else if (r != 0)
        fail(f, r == LINK_NOWHERE ? REASON_OFFLINE : reason_of_error(r), NULL);
}

static void finish_with_track(struct daemon *d, struct call *c, const struct track *t)
{
    ctl_TrackRow row;
    library_row(d, t, 0, &row);
    CALL_ROW(c, TRACK_ROW, TrackRow, &row);
    call_finish(c);
}

struct verifying {
    struct daemon *daemon;
    struct call *call;
    struct id content, from;
};

static void on_verified(enum reason why, void *ctx)
{
    struct verifying v = *(struct verifying *)ctx;
    free(ctx);
    const struct track *t = library_find(v.daemon, v.content.bytes);
    const struct sibling *from = siblings_find(v.daemon, v.from.bytes);
    if (why == REASON_NONE && t != NULL)
        finish_with_track(v.daemon, v.call, t);
    else if ((why == REASON_BLOCK_CORRUPT || why == REASON_NOT_FOUND) && from != NULL)
        fetch_body_start(v.daemon, v.call, &v.content, from);
    else
        call_refuse(v.call, why == REASON_NONE ? REASON_INTERNAL : why, NULL);
}

static void verify(struct daemon *d, struct call *c, const struct id *content, const struct sibling *from)
{
    struct verifying *v = malloc(sizeof(*v));
    if (v != NULL)
        *v = (struct verifying){ d, c, *content, from->client };
    call_progress(c, 0, 0, "verifying");
    if (v != NULL && damage_look(d, content, on_verified, v) == 0)
        return;
    free(v);
    call_refuse(c, REASON_INTERNAL, NULL);
}

/* It is known what is wanted, and from where. */
static void begin(struct daemon *d, struct call *c, const struct id *named, const struct sibling *from)
{
    struct id content = *named;
    const struct track *t = library_find(d, content.bytes);
    bool licensed = t != NULL && track_license_state(d, t) == LICENSE_VALID;
    if (licensed && t->has_body) { /* it is here: nothing to fetch, but what is damaged */
        verify(d, c, &content, from);
        return;
    }
    struct transfer *coming = transfers_incoming(d, &content);
    if (coming != NULL && coming->kind != TRANSFER_DOWNLOAD && transfer_watch_call(coming, c) == 0)
        return;
    if (licensed)
        fetch_body_start(d, c, &content, from);
    else
        start(d, c, &content, from);
}

/* What neither the last listing nor the library knows may be on sale. */
struct search {
    struct daemon *daemon;
    struct call *call;
    struct id from;
};

static void on_looked_up(const struct found *found, enum reason why, const char *detail, const msg_Refusal *refusal,
                         void *ctx)
{
    struct search s = *(struct search *)ctx;
    free(ctx);
    const struct sibling *from = siblings_find(s.daemon, s.from.bytes);
    char text[256];
    (void)refusal;
    if (from == NULL) {
        call_refuse(s.call, REASON_NOT_OWNED, NULL);
    } else if (why == REASON_NONE) {
        begin(s.daemon, s.call, &found->entry.content, from);
    } else if (why == REASON_AMBIGUOUS || why == REASON_CANCELLED) {
        call_refuse(s.call, why, detail);
    } else {
        (void)snprintf(text, sizeof(text),
                       "Nothing known here has this name. hearth library --on %s shows what is there, with numbers.",
                       from->name);
        call_refuse(s.call, REASON_NOT_FOUND, text);
    }
}

static int look_up(struct daemon *d, struct call *c, const char *track, const struct sibling *from)
{
    struct search *s = malloc(sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    *s = (struct search){ d, c, from->client };
    int r = lookup_start(d, track, on_looked_up, s);
    if (r != 0)
        free(s);
    return r;
}

void fetch_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Fetch *m = message;
    struct sibling *from;
    struct id content;
    char detail[256] = "";
    int r = siblings_resolve_other(d, m->device, &from, detail, sizeof(detail));
    if (r == 0) {
        r = fetch_resolve(d, m->track, &content, detail, sizeof(detail));
        if (r == 0) {
            begin(d, c, &content, from);
            return;
        }
        if (r == REASON_NOT_FOUND) {
            r = look_up(d, c, m->track, from);
            if (r == 0)
                return;
        }
    }
    call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
}
