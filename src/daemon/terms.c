/* Terms: which license is meant, then its issuer is asked; of a fetch the sibling, which asks its license's issuer.
 *
 * Callbacks, in order: on_issuer, on_terms; or on_looked_up, on_ready or on_closed (link), on_sibling. For a sibling: on_issuer, on_terms, or on_asker_closed. */
#include "daemon/terms.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/copy.h"
#include "daemon/device_link.h"
#include "daemon/fetch.h"
#include "daemon/guests.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/shop.h"
#include "daemon/siblings.h"

#define SIBLING_MS 60000 /* it asks its distributor before it answers */

struct terms {
    struct daemon *daemon;
    struct call *call; /* NULL: for a sibling */
    struct link_user link;
    uint32_t request;                /* to answer, or that is open */
    struct id content, issuer, from; /* from: whom a fetch names */
    bool moves, free, merges;
};

/* ---- the answer ---------------------------------------------------------------------------------------------- */

static void refuse(struct terms *t, enum reason why, const msg_Refusal *refusal)
{
    if (t->call != NULL && refusal != NULL)
        call_refuse_as(t->call, refusal);
    else if (t->call != NULL)
        call_refuse(t->call, why, NULL);
    else if (t->link.link != NULL)
        link_refuse(t->link.link, t->request, why, refusal != NULL ? refusal->text : NULL);
    link_leave(&t->link);
    free(t);
}

static void answer(struct terms *t, const msg_Terms *terms)
{
    if (t->call == NULL) {
        if (t->link.link != NULL && peer_send(link_peer(t->link.link), msg_Type_TERMS, t->request, msg_Terms_fields,
                                              terms, slice(NULL, 0)) != 0)
            peer_close(link_peer(t->link.link), REASON_INTERNAL);
        link_leave(&t->link);
        free(t);
        return;
    }
    const struct track *track = library_find(t->daemon, t->content.bytes);
    ctl_TermsRow row = { .terms = *terms };
    row.has_merges = row.merges = t->merges;
    row.price = t->free ? 0 : t->moves ? terms->move_price : terms->copy_price;
    CODEC_SET_TEXT(row.title, track != NULL && track->has_info ? track->title : "");
    CALL_ROW(t->call, TERMS_ROW, TermsRow, &row);
    call_finish(t->call);
    link_leave(&t->link);
    free(t);
}

/* ---- the issuer ---------------------------------------------------------------------------------------------- */

static void on_terms(const struct answer *a, void *ctx)
{
    struct terms *t = ctx;
    msg_Terms terms;
    if (a->why != REASON_NONE)
        refuse(t, a->why, a->refusal);
    else if (CODEC_DECODE(msg_Terms, a->frame->message, &terms) != 0)
        refuse(t, REASON_MALFORMED, NULL);
    else
        answer(t, &terms);
}

static int ask(struct terms *t, struct account *a, bool now)
{
    msg_TermsGet get;
    memcpy(get.content, t->content.bytes, sizeof(get.content));
    const struct ask question = ASK(msg_Type_TERMS_GET, msg_Type_TERMS, msg_TermsGet, &get);
    return now ? session_call_now(a, &question, on_terms, t) : session_call(a, &question, on_terms, t);
}

static void on_issuer(struct account *a, enum reason why, const msg_Refusal *refusal, void *ctx)
{
    struct terms *t = ctx;
    int r = a == NULL ? (int)why : ask(t, a, false);
    if (r != 0)
        refuse(t, reason_of_error(r), refusal);
}

/* ---- the sibling --------------------------------------------------------------------------------------------- */

static bool on_sibling(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct terms *t = ctx;
    msg_Refusal refusal = msg_Refusal_init_zero;
    msg_Terms terms;
    (void)p;
    t->request = 0;
    if (reply != NULL)
        why = peer_refusal(reply, msg_Type_TERMS, &refusal);
    if (why == REASON_NONE && CODEC_DECODE(msg_Terms, reply->message, &terms) == 0)
        answer(t, &terms);
    else
        refuse(t, why == REASON_NONE ? REASON_MALFORMED : why, refusal.code[0] != '\0' ? &refusal : NULL);
    return false;
}

static void on_ready(struct link_user *u)
{
    struct terms *t = container_of(u, struct terms, link);
    msg_Fetch m = { .has_terms = true, .terms = true };
    memcpy(m.content, t->content.bytes, sizeof(m.content));
    if (peer_request(link_peer(u->link), msg_Type_FETCH, msg_Fetch_fields, &m, slice(NULL, 0), SIBLING_MS, on_sibling,
                     t, &t->request) != 0)
        refuse(t, REASON_OFFLINE, NULL);
}

static void on_closed(struct link_user *u, enum reason why) { refuse(container_of(u, struct terms, link), why, NULL); }

/* ---- beginning ----------------------------------------------------------------------------------------------- */

static int of_license(struct terms *t, const struct track_license *l, bool now)
{
    if (l == NULL)
        return REASON_NO_LICENSE;
    t->issuer = l->issuer;
    if (!now)
        return issuer_find(t->daemon, &t->issuer, on_issuer, t);
    struct account *a = account_find_issuer(t->daemon, t->issuer.bytes);
    int r = a == NULL ? -ENOTCONN : ask(t, a, true);
    return r == -ENOTCONN ? REASON_OFFLINE : r;
}

static int ask_sibling(struct terms *t, const struct sibling *from)
{
    const struct track *here = library_find(t->daemon, t->content.bytes);
    if (here != NULL && track_license_state(t->daemon, here) == LICENSE_VALID) { /* the body alone */
        t->free = true;
        answer(t, &(msg_Terms){ 0 });
        return 0;
    }
    t->link.on_ready = on_ready;
    t->link.on_closed = on_closed;
    int r = link_open(t->daemon, &from->client, &t->link);
    if (r == LINK_READY)
        on_ready(&t->link);
    return r == LINK_READY || r == 0 ? 0 : r == LINK_NOWHERE ? REASON_OFFLINE : r;
}

/* What is not here is known to a catalogue. */
static void on_looked_up(const struct found *found, enum reason why, const char *detail, const msg_Refusal *refusal,
                         void *ctx)
{
    struct terms *t = ctx;
    const struct sibling *from = siblings_find(t->daemon, t->from.bytes);
    int r = found == NULL ? (int)why : from == NULL ? REASON_NOT_OWNED : 0;
    (void)detail;
    if (r == 0) {
        t->content = found->entry.content;
        r = ask_sibling(t, from);
    }
    if (r != 0)
        refuse(t, reason_of_error(r), refusal);
}

static int of_fetch(struct terms *t, const ctl_Fetch *m, char *detail, size_t cap)
{
    struct sibling *from;
    int r = siblings_resolve_other(t->daemon, m->device, &from, detail, cap);
    if (r == 0)
        r = fetch_resolve(t->daemon, m->track, &t->content, detail, cap);
    if (r != 0 && r != REASON_NOT_FOUND)
        return r;
    t->from = from->client;
    return r == 0 ? ask_sibling(t, from) : lookup_start(t->daemon, m->track, on_looked_up, t);
}

static int begin(struct terms *t, const ctl_TermsGet *m, char *detail, size_t cap)
{
    struct track *track;
    const struct track_license *l = NULL;
    if (m->has_fetch)
        return of_fetch(t, &m->fetch, detail, cap);
    int r = library_resolve(t->daemon, m->track, &track, detail, cap);
    if (r != 0)
        return r;
    t->content = track->content;
    if (!m->has_copy)
        return of_license(t, track_license(track), true);
    t->moves = m->copy.move && !(m->copy.has_checkout && m->copy.checkout);
    r = copy_weigh(t->daemon, &m->copy, m->has_removable && m->removable, track, &l, &t->free, detail, cap);
    t->merges = r == 0 && !t->free && copy_merges(t->daemon, &m->copy, track);
    return r == 0 ? of_license(t, l, false) : r;
}

void terms_handle(struct daemon *d, struct call *c, const void *message)
{
    char detail[256] = "";
    struct terms *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    t->daemon = d;
    t->call = c;
    int r = begin(t, message, detail, sizeof(detail));
    if (r == 0)
        return;
    free(t);
    call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
}

static void on_asker_closed(struct link_user *u, enum reason why)
{
    (void)u; /* the answer goes nowhere */
    (void)why;
}

void terms_for_sibling(struct link *l, uint32_t request, const struct id *content, int r)
{
    struct daemon *d = link_daemon(l);
    const struct track *track = library_find(d, content->bytes);
    const struct track_license *license = NULL;
    struct terms *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        link_refuse(l, request, REASON_INTERNAL, NULL);
        return;
    }
    t->daemon = d;
    t->content = *content;
    t->request = request;
    t->link.on_closed = on_asker_closed;
    if (r == 0)
        r = track == NULL ? REASON_UNKNOWN_CONTENT : copy_license(d, track, &license);
    link_join(l, &t->link);
    if (r == 0)
        r = of_license(t, license, false);
    if (r != 0)
        refuse(t, reason_of_error(r), NULL);
}
