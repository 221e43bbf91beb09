/* Asking a sibling what it has, page after page, as fast as the client reads. Telling: shelf_tell.c.
 *
 * Callbacks, in order: on_ready or on_closed (link), on_answer for each page, on_room when the client has not read the one before. */
#include "daemon/shelf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/library.h"
#include "daemon/listing.h"
#include "daemon/siblings.h"
#include "daemon/transfers_internal.h"
#include "protocol/shelf.h"

#define LOG_MODULE "shelf"
#include "base/log.h"

#define ANSWER_MS 15000

/* ---- asking -------------------------------------------------------------------------------------------------- */

struct shelf_asking {
    struct shelf_asking *next;
    struct daemon *daemon;
    struct call *call;
    struct link_user link;
    uint32_t request; /* 0: none is under way */
    uint32_t left;    /* of those that are wanted */
    uint64_t listing; /* drawn */
    bool listed;      /* ... and begun */
    bool waits;       /* for the client to read: on_room comes */
    bool unlisted;    /* hearthd ends, and the table goes before the client */
    bool over;        /* meanwhile it ended, for this reason: */
    enum reason why;
    char name[64];
    msg_ShelfGet question;
};

static void unlist(struct shelf_asking *a)
{
    if (a->unlisted)
        return;
    struct shelf_asking **at = &a->daemon->transfers->askings;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    a->unlisted = true;
}

static void drop(struct shelf_asking *a)
{
    unlist(a);
    if (a->request != 0 && a->link.link != NULL)
        peer_forget(link_peer(a->link.link), a->request);
    link_leave(&a->link);
    free(a);
}

static void fail(struct shelf_asking *a, enum reason why, const char *detail)
{
    struct call *c = a->call;
    char text[256];
    if (why == REASON_OFFLINE && detail == NULL) {
        (void)snprintf(text, sizeof(text), "%s cannot be reached, and only it can say what it has.", a->name);
        detail = text;
    }
    drop(a);
    call_refuse(c, why, detail);
}

static void send_row(struct shelf_asking *a, const msg_ShelfItem *i)
{
    struct daemon *d = a->daemon;
    struct id content = id_from(i->content), issuer = { 0 };
    char short_id[ID_SHORT_BYTES];
    ctl_TrackRow row = { .has_creator = i->has_creator,
                         .has_album = i->has_album,
                         .duration_ms = i->duration_ms,
                         .plain_bytes = i->plain_bytes,
                         .has_body = i->has_body,
                         .license_state = i->license_state,
                         .has_issuer = i->has_issuer,
                         .has_issuer_name = i->has_issuer };
    memcpy(row.content, i->content, sizeof(row.content));
    CODEC_SET_TEXT(row.title, i->title[0] != '\0' ? i->title : "(not known yet)");
    CODEC_SET_TEXT(row.creator, i->creator);
    CODEC_SET_TEXT(row.album, i->album);
    CODEC_SET_TEXT(row.media_type, i->media_type);
    if (i->has_issuer) {
        issuer = id_from(i->issuer);
        memcpy(row.issuer, i->issuer, sizeof(row.issuer));
        CODEC_SET_TEXT(row.issuer_name, library_issuer_name(d, &issuer, short_id));
    }
    row.number = listing_add(d, a->listing, &content, &issuer, i->title, NULL);
    CALL_ROW(a->call, TRACK_ROW, TrackRow, &row);
}

static void ask(struct shelf_asking *a);

static void on_room(struct call *c, void *ctx)
{
    struct shelf_asking *a = ctx;
    a->waits = false;
    if (!call_is_watched(c))
        fail(a, REASON_CANCELLED, NULL);
    else if (a->over)
        fail(a, a->why, NULL);
    else
        ask(a);
}

/* A page is here: the next one, when the client has read what there is. */
static void go_on(struct shelf_asking *a)
{
    struct call *c = a->call;
    if (a->left == 0 || !call_is_watched(c)) {
        drop(a);
        call_finish(c);
    } else if (call_has_room(c)) {
        ask(a);
    } else {
        a->waits = true;
        call_when_room(c, on_room, a);
    }
}

static void take(struct shelf_asking *a, const msg_Shelf *page)
{
    call_choose_listing(a->daemon, a->call);
    if (!a->listed)
        listing_begin_drawn(a->daemon, a->listing);
    a->listed = true;
    for (pb_size_t i = 0; i < page->items_count; i++)
        send_row(a, &page->items[i]);
    a->left = page->has_next ? a->left - page->items_count : 0;
    a->question.at = page->next;
    a->question.skip = page->skip;
}

static bool on_answer(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct shelf_asking *a = ctx;
    msg_Refusal refusal = msg_Refusal_init_zero;
    msg_Shelf *page CLEANUP(freep) = malloc(sizeof(*page));
    (void)p;
    a->request = 0;
    if (reply != NULL)
        why = peer_refusal(reply, msg_Type_SHELF, &refusal);
    if (why == REASON_NONE && page == NULL)
        why = REASON_INTERNAL;
    if (why == REASON_NONE &&
        (CODEC_DECODE(msg_Shelf, reply->message, page) != 0 || shelf_judge(&a->question, page) != 0))
        why = REASON_MALFORMED;
    if (why != REASON_NONE) {
        fail(a, why, refusal.text[0] != '\0' ? refusal.text : NULL);
        return false;
    }
    if (call_is_watched(a->call)) /* else the terminal may have another listing by now */
        take(a, page);
    go_on(a);
    return false;
}

static void ask(struct shelf_asking *a)
{
    a->question.count = a->left < SHELF_ITEMS_MAX ? a->left : SHELF_ITEMS_MAX;
    if (peer_request(link_peer(a->link.link), msg_Type_SHELF_GET, msg_ShelfGet_fields, &a->question, slice(NULL, 0),
                     ANSWER_MS, on_answer, a, &a->request) != 0)
        fail(a, REASON_OFFLINE, NULL);
}

static void on_ready(struct link_user *u) { ask(container_of(u, struct shelf_asking, link)); }

static void on_closed(struct link_user *u, enum reason why)
{
    struct shelf_asking *a = container_of(u, struct shelf_asking, link);
    a->request = 0;
    a->over = true;
    a->why = why;
    if (!a->waits)
        fail(a, why, NULL);
}

static void begin(struct daemon *d, struct call *c, const struct sibling *from, const ctl_LibraryGet *m)
{
    struct shelf_asking *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    struct id client = from->client;
    a->daemon = d;
    a->call = c;
    a->listing = listing_draw(d);
    a->left = m->has_limit && m->limit < SHELF_LISTED_MAX ? m->limit : SHELF_LISTED_MAX;
    a->link.on_ready = on_ready;
    a->link.on_closed = on_closed;
    a->question.skip = m->has_skip ? m->skip : 0;
    a->question.has_query = m->has_query;
    CODEC_SET_TEXT(a->question.query, m->has_query ? m->query : "");
    CODEC_SET_TEXT(a->name, from->name);
    a->next = d->transfers->askings;
    d->transfers->askings = a;
    int r = link_open(d, &client, &a->link);
    if (r == LINK_READY)
        ask(a);
    else if (r != 0)
        fail(a, r == LINK_NOWHERE ? REASON_OFFLINE : reason_of_error(r), NULL);
}

void shelf_ask(struct daemon *d, struct call *c, const ctl_LibraryGet *m)
{
    struct sibling *from;
    char detail[256] = "";
    int r = d->transfers == NULL || d->transfers->stopping
                ? REASON_CANCELLED
                : siblings_resolve_other(d, m->device, &from, detail, sizeof(detail));
    if (r != 0)
        call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
    else
        begin(d, c, from, m);
}

/* Whoever waits for its client is told when that has read. */
void shelves_stop(struct daemon *d)
{
    for (struct shelf_asking *a = d->transfers->askings, *next; a != NULL; a = next) {
        next = a->next;
        if (a->request != 0 && a->link.link != NULL)
            peer_forget(link_peer(a->link.link), a->request);
        a->request = 0;
        link_leave(&a->link);
        unlist(a);
        a->over = true;
        a->why = REASON_CANCELLED;
        if (!a->waits)
            fail(a, REASON_CANCELLED, NULL);
    }
}
