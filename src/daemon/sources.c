/* Callbacks, in order: on_places (the distributor's answer), then for a contents server on_open and on_closed. */
#define LOG_MODULE "sources"
#include "daemon/sources.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/session.h"
#include "daemon/transfers_internal.h"

#define DIAL_MS 10000

/* --- Asking ------------------------------------------------------------------------------------------------------ */

static void keep(struct sources *s, const msg_Places *m)
{
    for (pb_size_t i = 0; i < m->places_count && s->count < SOURCES_MAX; i++) {
        if (place_parse(m->places[i], &s->places[s->count]) == 0)
            s->count++;
        else
            log_info("a place that cannot be read was left out");
    }
}

static void on_places(const struct answer *answer, void *ctx)
{
    struct sources *s = ctx;
    msg_Places *m CLEANUP(freep) = calloc(1, sizeof(*m));
    s->asking = false;
    s->known = true;
    if (m != NULL && answer->why == REASON_NONE && CODEC_DECODE(msg_Places, answer->frame->message, m) == 0)
        keep(s, m);
    s->on_known(s->ctx);
}

int sources_ask(struct sources *s, struct account *a, void (*on_known)(void *ctx))
{
    struct ask ask = { .type = msg_Type_PLACES_GET, .reply_type = msg_Type_PLACES };
    s->on_known = on_known;
    int r = session_call_now(a, &ask, on_places, s);
    s->asking = r == 0;
    return r;
}

/* --- A contents server ------------------------------------------------------------------------------------------- */

struct place_link {
    struct sources *sources; /* NULL: nobody waits any more */
    struct peer *peer;
};

static void on_open(struct peer *p, void *ctx)
{
    struct place_link *l = ctx;
    struct sources *s = l->sources;
    if (s != NULL && receive_run_attach(s->run, p, s->places[s->next - 1].text, &s->source) != 0)
        peer_close(p, REASON_INTERNAL);
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    (void)f, (void)ctx;
    peer_close(p, REASON_MALFORMED); /* nothing was asked that is not answered by a reply */
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct place_link *l = ctx;
    struct sources *s = l->sources;
    bool failed = s != NULL && s->source == 0;
    (void)p;
    free(l);
    if (s == NULL)
        return;
    s->link = NULL;
    if (!failed)
        return; /* the run has said that it lost its source */
    sources_leave(s, why);
    s->on_failed(s->ctx);
}

static int dial(struct sources *s, const struct place *p)
{
    static const struct peer_callbacks callbacks = { on_open, on_frame, NULL, on_closed };
    struct place_link *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    l->sources = s;
    int r = peer_dial(&l->peer, s->daemon->loop, s->daemon->identity, p->address, &p->server, DIAL_MS, &callbacks, l);
    if (r != 0) {
        free(l);
        return r;
    }
    s->link = l;
    return 0;
}

/* --- One after another ------------------------------------------------------------------------------------------- */

bool sources_attach(struct sources *s)
{
    char url[PLACE_URL_BYTES];
    while (s->next < s->count) {
        const struct place *p = &s->places[s->next++];
        int r;
        if (p->kind == PLACE_HTTP) {
            place_body_url(p, receive_run_content(s->run), url);
            r = receive_run_attach_url(s->run, s->daemon->transfers->http, url, p->text, &s->source);
        } else {
            r = dial(s, p);
        }
        s->active = r == 0;
        if (s->active) {
            log_info("a body is fetched from place=%s", p->text);
            return true;
        }
    }
    return false;
}

void sources_leave(struct sources *s, enum reason why)
{
    if (!s->active)
        return;
    s->active = false;
    if (why != REASON_NONE && why != REASON_CANCELLED)
        log_info("a place was left place=%s reason=%s", s->places[s->next - 1].text, reason_code(why));
    receive_run_drop(s->run, s->source);
    s->source = 0;
    struct place_link *l = steal(&s->link);
    if (l != NULL) {
        l->sources = NULL;
        peer_close(l->peer, REASON_CANCELLED);
    }
}

bool sources_lost(struct sources *s, const struct receive_lost *lost)
{
    if (!s->active || lost->source != s->source)
        return false;
    sources_leave(s, lost->why);
    return true;
}

void sources_init(struct sources *s, struct daemon *d, struct receive_run *run, void (*on_failed)(void *ctx), void *ctx)
{
    *s = (struct sources){ .daemon = d, .run = run, .on_failed = on_failed, .ctx = ctx };
    s->known = !d->config.places;
}

void sources_deinit(struct sources *s) { sources_leave(s, REASON_CANCELLED); }
