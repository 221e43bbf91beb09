/* An errand is one thing asked of one partner; a line is the kept connection to it, dialled by the first errand.
 *
 * Errand: find the partner (reader thread) -> wait for the line -> ask, store (writer thread), ask, store -> done.
 * Whatever it is doing, the tick ends it at its deadline; it is freed once its database job has returned. */
#define LOG_MODULE "partners"
#include "distributor/partners.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/delegations.h"
#include "distributor/keyset.h"
#include "distributor/outgoing.h"

#define TICK_MS 100
#define REST_SHARE 4 /* after a failed attempt, errands for that partner fail at once for so many times its length: */
#define REST_MAX_MS \
    10000 /* one that is refused is tried again soon, one that answers nothing does not hold up everybody */
#define REFRESH_MS 20000 /* time for one partner in the background */
#define ENTRIES_MAX_BYTES (64u << 20)

struct errand;

struct line {
    struct partners *partners;
    struct line *next;
    struct id id;
    char address[OPERATIONS_ADDRESS_BYTES];
    struct outgoing *outgoing; /* NULL: not connected, not trying */
    bool ready;
    int64_t dialled_ms;
    int64_t rests_until_ms; /* 0: the last attempt was fine */
};

enum errand_state {
    ERRAND_FINDING,    /* job */
    ERRAND_CONNECTING, /* waits for the line */
    ERRAND_DELEGATION, /* request */
    ERRAND_KEEPING,    /* job */
    ERRAND_GRANT,      /* request */
    ERRAND_COUNTING,   /* job: how many entries the block has */
    ERRAND_STORING,    /* job */
    ERRAND_LINKING,    /* request */
    ERRAND_OVER,
};

struct waiter {
    struct waiter *next;
    partners_done_fn on_done;
    void *ctx;
};

struct errand {
    struct writer_job job;
    struct partners *partners;
    struct errand *next;
    enum errand_state state;
    bool job_runs;
    struct id partner;
    struct line *line;
    int64_t deadline_ms;
    uint32_t request;       /* 0: none is under way */
    struct waiter *waiters; /* fetching */
    struct partner facts;
    msg_Delegation delegation;
    msg_Grant grant;
    uint64_t version;
    uint32_t entry_count;
    struct buf entries;
    bool is_link, is_unlink;
    char address[OPERATIONS_ADDRESS_BYTES];
    msg_PartnerLink link;
    msg_PartnerUnlink unlink;
    partners_linked_fn on_linked;
    void *ctx;
};

struct partners {
    struct server *server;
    struct line *lines;
    struct errand *errands;
    uv_timer_t tick;
    bool tick_open;
    bool stopping;
    void (*on_stopped)(struct server *);
    struct writer_job refresh_job;
    bool refreshing, refresh_wanted;
    int64_t refresh_after;
    struct partner refresh_partner;
};

static void go_on(struct errand *e);

static int64_t now_ms(const struct partners *p) { return clock_mono_ms(p->server->clock); }

/* --- The end of an errand ------------------------------------------------------------------------------------------- */

static void stopped_when_idle(struct partners *p)
{
    if (!p->stopping || p->errands != NULL || p->refreshing || p->tick_open || p->on_stopped == NULL)
        return;
    for (struct line *l = p->lines; l != NULL; l = l->next)
        if (l->outgoing != NULL)
            return;
    struct server *server = p->server;
    void (*on_stopped)(struct server *) = steal(&p->on_stopped);
    while (p->lines != NULL) {
        struct line *l = p->lines;
        p->lines = l->next;
        free(l);
    }
    server->partners = NULL;
    free(p);
    on_stopped(server);
}

static void errand_free(struct errand *e)
{
    struct partners *p = e->partners;
    struct errand **at = &p->errands;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    buf_free(&e->entries);
    free(e);
    stopped_when_idle(p);
}

/* Tells everybody who waits, once; then the errand goes, now or when its job has returned. */
static void errand_end(struct errand *e, int outcome, const char *user, const char *detail)
{
    if (e->state == ERRAND_OVER)
        return;
    e->state = ERRAND_OVER;
    if (e->request != 0 && e->line != NULL && e->line->ready)
        peer_forget(outgoing_peer(e->line->outgoing), e->request);
    e->request = 0;
    struct waiter *waiters = steal(&e->waiters);
    partners_linked_fn on_linked = e->on_linked;
    void *ctx = e->ctx;
    char kept_user[OPERATIONS_NAME_BYTES] = "", kept_detail[sizeof(((msg_Refusal *)0)->text)] = "";
    if (user != NULL)
        snprintf(kept_user, sizeof(kept_user), "%s", user);
    if (detail != NULL)
        snprintf(kept_detail, sizeof(kept_detail), "%s", detail);
    if (!e->job_runs)
        errand_free(e);
    while (waiters != NULL) {
        struct waiter *w = waiters;
        waiters = w->next;
        w->on_done(w->ctx, outcome);
        free(w);
    }
    if (on_linked != NULL)
        on_linked(ctx, outcome, kept_user, kept_detail[0] != '\0' ? kept_detail : NULL);
}

/* Ends every errand that is due at at_ms, one after the other: ending one calls others' code. */
static void end_due(struct partners *p, int64_t at_ms, int outcome)
{
    struct errand *e = p->errands;
    while (e != NULL) {
        if (e->state == ERRAND_OVER || at_ms < e->deadline_ms) {
            e = e->next;
            continue;
        }
        errand_end(e, outcome, NULL, NULL);
        e = p->errands;
    }
}

static void on_tick(uv_timer_t *t)
{
    struct partners *p = container_of(t, struct partners, tick);
    if (p->errands == NULL)
        uv_timer_stop(t);
    else
        end_due(p, now_ms(p), -ETIMEDOUT);
}

/* --- Lines ---------------------------------------------------------------------------------------------------------- */

static void line_rests(struct line *l)
{
    int64_t at_ms = now_ms(l->partners), rest_ms = (at_ms - l->dialled_ms) * REST_SHARE;
    l->rests_until_ms = at_ms + (rest_ms < REST_MAX_MS ? rest_ms : REST_MAX_MS);
}

static struct errand *find_connecting(const struct line *l)
{
    for (struct errand *e = l->partners->errands; e != NULL; e = e->next)
        if (e->line == l && e->state == ERRAND_CONNECTING)
            return e;
    return NULL;
}

static void on_line_ready(void *ctx)
{
    struct line *l = ctx;
    l->ready = true;
    l->rests_until_ms = 0;
    log_info("connected address=%s", l->address);
    struct errand *e;
    while ((e = find_connecting(l)) != NULL) /* each one leaves that state; others may end with it */
        go_on(e);
}

static void on_line_closed(void *ctx, enum reason why)
{
    struct line *l = ctx;
    struct partners *p = l->partners;
    if (!l->ready) {
        line_rests(l);
        log_info("not reached address=%s reason=%s", l->address, reason_code(why));
    }
    l->outgoing = NULL;
    l->ready = false;
    struct errand *e;
    while ((e = find_connecting(l)) != NULL)
        errand_end(e, -ENOTCONN, NULL, NULL);
    stopped_when_idle(p);
}

static struct line *line_find(struct partners *p, const struct id *id)
{
    for (struct line *l = p->lines; l != NULL; l = l->next)
        if (id_equal(l->id.bytes, id->bytes))
            return l;
    return NULL;
}

static struct line *line_get(struct partners *p, const struct id *id)
{
    struct line *l = line_find(p, id);
    if (l != NULL)
        return l;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->partners = p;
    l->id = *id;
    l->next = p->lines;
    p->lines = l;
    return l;
}

static bool is_resting(struct partners *p, const struct id *id)
{
    struct line *l = line_find(p, id);
    return l != NULL && l->outgoing == NULL && now_ms(p) < l->rests_until_ms;
}

static void take_line(struct errand *e, const char *address)
{
    static const struct outgoing_callbacks callbacks = { on_line_ready, on_line_closed };
    struct partners *p = e->partners;
    struct line *l = line_get(p, &e->partner);
    if (l == NULL) {
        errand_end(e, -ENOMEM, NULL, NULL);
        return;
    }
    e->line = l;
    e->state = ERRAND_CONNECTING;
    if (l->ready) {
        go_on(e);
        return;
    }
    if (l->outgoing != NULL)
        return; /* somebody is dialling already */
    snprintf(l->address, sizeof(l->address), "%s", address);
    l->dialled_ms = now_ms(p);
    int r = outgoing_open(&l->outgoing, p->server, &l->id, l->address, &callbacks, l);
    if (r != 0) {
        errand_end(e, r, NULL, NULL);
    }
}

/* --- Jobs ----------------------------------------------------------------------------------------------------------- */

static void on_job_done(struct writer_job *job, int outcome);

static void submit(struct errand *e, enum errand_state state, struct writer *w, int (*run)(struct writer_job *, void *))
{
    e->state = state;
    e->job_runs = true;
    e->job = (struct writer_job){ .run = run, .on_done = on_job_done };
    writer_submit(w, &e->job);
}

static int run_find(struct writer_job *job, void *database)
{
    struct errand *e = container_of(job, struct errand, job);
    int r = delegations_partner_find(database, &e->partner, &e->facts);
    if (r == OPERATIONS_ABSENT || (r == 0 && e->facts.withdrawn))
        return REASON_UNKNOWN_DISTRIBUTOR;
    return r;
}

static int run_keep_delegation(struct writer_job *job, void *database)
{
    struct errand *e = container_of(job, struct errand, job);
    return delegations_store(database, &e->partner, CODEC_BYTES(e->delegation.delegation),
                             clock_wall_ms(e->partners->server->clock));
}

static int run_count(struct writer_job *job, void *database)
{
    struct errand *e = container_of(job, struct errand, job);
    int r = delegations_block_entries(database, &e->partner, CODEC_BYTES(e->grant.block), &e->entry_count);
    if (r != 0)
        return r;
    doc_Ekb block;
    uint8_t signer[SIGN_PUBLIC_BYTES];
    r = document_open(DOCUMENT_EKB, CODEC_BYTES(e->grant.block), &block, sizeof(block), signer);
    if (r == 0)
        e->version = block.version;
    return r;
}

static int run_store_grant(struct writer_job *job, void *database)
{
    struct errand *e = container_of(job, struct errand, job);
    return delegations_grant_store(database, &e->partner, CODEC_BYTES(e->grant.grant), CODEC_BYTES(e->grant.block),
                                   buf_slice(&e->entries), clock_wall_ms(e->partners->server->clock));
}

/* --- Asking --------------------------------------------------------------------------------------------------------- */

/* A reply of the expected type, decoded into out; otherwise the errand ends. */
static bool reply_is(struct errand *e, const struct frame *reply, enum reason why, uint16_t type,
                     const pb_msgdesc_t *fields, size_t max_bytes, void *out, size_t out_size)
{
    e->request = 0;
    if (reply == NULL) {
        errand_end(e, why == REASON_TIMED_OUT ? -ETIMEDOUT : -ENOTCONN, NULL, NULL);
        return false;
    }
    msg_Refusal refusal = msg_Refusal_init_zero;
    enum reason refused = peer_refusal(reply, type, &refusal);
    if (refused == REASON_NONE && codec_decode(fields, max_bytes, reply->message, out, out_size) != 0)
        refused = REASON_MALFORMED;
    if (refused != REASON_NONE) {
        errand_end(e, (int)refused, NULL, refusal.text);
        return false;
    }
    return true;
}
#define REPLY_IS(e, reply, why, type, T, out) reply_is(e, reply, why, type, T##_fields, T##_size, out, sizeof(T))

static void ask(struct errand *e, enum errand_state state, uint16_t type, const pb_msgdesc_t *fields,
                const void *message, peer_reply_fn on_reply)
{
    int64_t left_ms = e->deadline_ms - now_ms(e->partners);
    e->state = state;
    int r = left_ms <= 0 ? -ETIMEDOUT
                         : peer_request(outgoing_peer(e->line->outgoing), type, fields, message, slice(NULL, 0),
                                        (uint64_t)left_ms, on_reply, e, &e->request);
    if (r != 0)
        errand_end(e, r, NULL, NULL);
}

static bool on_delegation(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct errand *e = ctx;
    (void)p;
    if (REPLY_IS(e, reply, why, msg_Type_DELEGATION, msg_Delegation, &e->delegation))
        submit(e, ERRAND_KEEPING, e->partners->server->writer, run_keep_delegation);
    return false;
}

static bool on_grant(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct errand *e = ctx;
    (void)p;
    msg_Grant grant;
    if (!REPLY_IS(e, reply, why, msg_Type_GRANT, msg_Grant, &grant))
        return false;
    bool is_first = e->entries.len == 0;
    if (!is_first && !slice_equal(CODEC_BYTES(grant.block), CODEC_BYTES(e->grant.block))) {
        errand_end(e, -EAGAIN, NULL, NULL); /* a newer block came in between: the next errand gets it whole */
        return false;
    }
    if (grant.first * (uint64_t)EKB_ENTRY_BYTES != e->entries.len || reply->tail.len == 0 ||
        reply->tail.len % EKB_ENTRY_BYTES != 0 || buf_append(&e->entries, reply->tail) != 0) {
        errand_end(e, REASON_MALFORMED, NULL, NULL);
        return false;
    }
    e->grant = grant;
    submit(e, ERRAND_COUNTING, e->partners->server->reader, run_count);
    return false;
}

static void ask_grant(struct errand *e)
{
    msg_GrantGet get = { .category = OPERATIONS_CATEGORY,
                         .version = e->entries.len == 0 ? 0 : e->version,
                         .first = (uint32_t)(e->entries.len / EKB_ENTRY_BYTES) };
    ask(e, ERRAND_GRANT, msg_Type_GRANT_GET, msg_GrantGet_fields, &get, on_grant);
}

static bool on_linked(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct errand *e = ctx;
    (void)p;
    msg_PartnerLinked linked;
    if (REPLY_IS(e, reply, why, msg_Type_PARTNER_LINKED, msg_PartnerLinked, &linked))
        errand_end(e, 0, linked.user, NULL);
    return false;
}

static bool on_unlinked(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct errand *e = ctx;
    (void)p;
    msg_Ok ok;
    if (REPLY_IS(e, reply, why, msg_Type_OK, msg_Ok, &ok))
        errand_end(e, 0, NULL, NULL);
    return false;
}

/* The line is ready: the first question. */
static void go_on(struct errand *e)
{
    if (e->is_link) {
        ask(e, ERRAND_LINKING, msg_Type_PARTNER_LINK, msg_PartnerLink_fields, &e->link, on_linked);
    } else if (e->is_unlink) {
        ask(e, ERRAND_LINKING, msg_Type_PARTNER_UNLINK, msg_PartnerUnlink_fields, &e->unlink, on_unlinked);
    } else {
        msg_DelegationGet get = msg_DelegationGet_init_zero;
        memcpy(get.copy_key, e->facts.copy_key, sizeof(get.copy_key));
        ask(e, ERRAND_DELEGATION, msg_Type_DELEGATION_GET, msg_DelegationGet_fields, &get, on_delegation);
    }
}

static void on_job_done(struct writer_job *job, int outcome)
{
    struct errand *e = container_of(job, struct errand, job);
    e->job_runs = false;
    if (e->state == ERRAND_OVER) {
        errand_free(e);
        return;
    }
    if (outcome != 0) {
        errand_end(e, outcome, NULL, NULL);
        return;
    }
    if (e->state == ERRAND_FINDING) {
        take_line(e, e->facts.address[0] != '\0' ? e->facts.address : e->address);
        return;
    }
    if (e->state == ERRAND_STORING) {
        errand_end(e, 0, NULL, NULL);
        return;
    }
    if (e->line == NULL || !e->line->ready) { /* the line went while we were storing */
        errand_end(e, -ENOTCONN, NULL, NULL);
        return;
    }
    size_t wanted = (size_t)e->entry_count * EKB_ENTRY_BYTES;
    if (e->state == ERRAND_COUNTING && e->entries.len > wanted)
        errand_end(e, REASON_MALFORMED, NULL, NULL);
    else if (e->state == ERRAND_COUNTING && e->entries.len == wanted)
        submit(e, ERRAND_STORING, e->partners->server->writer, run_store_grant);
    else
        ask_grant(e);
}

/* --- Calls ---------------------------------------------------------------------------------------------------------- */

static int errand_new(struct errand **out, struct partners *p, const struct id *partner, uint64_t timeout_ms)
{
    if (p == NULL || p->stopping)
        return -ESHUTDOWN;
    if (is_resting(p, partner))
        return -ENOTCONN;
    struct errand *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return -ENOMEM;
    e->partners = p;
    e->partner = *partner;
    e->deadline_ms = now_ms(p) + (int64_t)timeout_ms;
    e->entries = buf(ENTRIES_MAX_BYTES);
    e->next = p->errands;
    p->errands = e;
    if (!uv_is_active((uv_handle_t *)&p->tick))
        uv_timer_start(&p->tick, on_tick, TICK_MS, TICK_MS);
    *out = e;
    return 0;
}

static struct errand *find_fetching(struct partners *p, const struct id *partner)
{
    for (struct errand *e = p->errands; e != NULL; e = e->next)
        if (!e->is_link && !e->is_unlink && e->state != ERRAND_OVER && id_equal(e->partner.bytes, partner->bytes))
            return e;
    return NULL;
}

int partners_fetch(struct partners *p, const struct id *partner, uint64_t timeout_ms, partners_done_fn on_done,
                   void *ctx)
{
    if (p == NULL || p->stopping)
        return -ESHUTDOWN;
    struct waiter *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    w->on_done = on_done;
    w->ctx = ctx;
    struct errand *e = find_fetching(p, partner); /* many requests may need the same at once */
    if (e == NULL) {
        int r = errand_new(&e, p, partner, timeout_ms);
        if (r != 0) {
            free(w);
            return r;
        }
        submit(e, ERRAND_FINDING, p->server->reader, run_find);
    }
    w->next = e->waiters;
    e->waiters = w;
    return 0;
}

int partners_link(struct partners *p, const struct id *partner, const char *address, const char *code, const char *user,
                  uint64_t timeout_ms, partners_linked_fn on_linked_fn, void *ctx)
{
    struct errand *e;
    int r = errand_new(&e, p, partner, timeout_ms);
    if (r != 0)
        return r;
    e->is_link = true;
    snprintf(e->address, sizeof(e->address), "%s", address);
    CODEC_SET_TEXT(e->link.code, code);
    CODEC_SET_TEXT(e->link.user, user);
    e->on_linked = on_linked_fn;
    e->ctx = ctx;
    submit(e, ERRAND_FINDING, p->server->reader, run_find);
    return 0;
}

void partners_unlink(struct partners *p, const struct id *partner, const char *user, const char *partner_user)
{
    struct errand *e;
    if (errand_new(&e, p, partner, REFRESH_MS) != 0)
        return;
    e->is_unlink = true;
    CODEC_SET_TEXT(e->unlink.user, user);
    CODEC_SET_TEXT(e->unlink.partner_user, partner_user);
    submit(e, ERRAND_FINDING, p->server->reader, run_find);
}

/* --- In the background ----------------------------------------------------------------------------------------------- */

static void refresh_next(struct partners *p);

static int run_due(struct writer_job *job, void *database)
{
    struct partners *p = container_of(job, struct partners, refresh_job);
    return delegations_due(database, p->refresh_after, clock_wall_ms(p->server->clock), &p->refresh_partner);
}

static void refresh_end(struct partners *p)
{
    p->refreshing = false;
    if (p->refresh_wanted && !p->stopping)
        partners_refresh(p);
    else
        stopped_when_idle(p);
}

static void on_refreshed(void *ctx, int outcome)
{
    struct partners *p = ctx;
    if (outcome != 0) {
        char text[ID_SHORT_BYTES];
        id_short(&p->refresh_partner.id, text);
        log_info("delegation and grant not renewed partner=%s outcome=%d", text, outcome);
    }
    refresh_next(p);
}

static void on_due(struct writer_job *job, int outcome)
{
    struct partners *p = container_of(job, struct partners, refresh_job);
    if (outcome != 0 || p->stopping) {
        if (outcome < 0 && outcome != -ECANCELED)
            log_warn("cannot tell which partner is due errno=%d", -outcome);
        refresh_end(p);
        return;
    }
    p->refresh_after = p->refresh_partner.number;
    if (partners_fetch(p, &p->refresh_partner.id, REFRESH_MS, on_refreshed, p) != 0)
        refresh_next(p);
}

static void refresh_next(struct partners *p)
{
    if (p->stopping) {
        refresh_end(p);
        return;
    }
    p->refresh_job = (struct writer_job){ .run = run_due, .on_done = on_due };
    writer_submit(p->server->reader, &p->refresh_job);
}

void partners_refresh(struct partners *p)
{
    /* A directory's members are not its partners: nothing is delegated to it. */
    if (p == NULL || p->stopping || p->server->directory != NULL)
        return;
    if (p->refreshing) {
        p->refresh_wanted = true;
        return;
    }
    p->refreshing = true;
    p->refresh_wanted = false;
    p->refresh_after = 0;
    refresh_next(p);
}

void partners_is_there(struct partners *p, const struct id *partner)
{
    struct line *l = p != NULL ? line_find(p, partner) : NULL;
    if (l != NULL)
        l->rests_until_ms = 0;
    partners_refresh(p);
}

/* --- Life ----------------------------------------------------------------------------------------------------------- */

int partners_start(struct partners **out, struct server *server)
{
    struct partners *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->server = server;
    uv_timer_init(&server->loop, &p->tick);
    p->tick_open = true;
    *out = p;
    return 0;
}

static void on_tick_closed(uv_handle_t *h)
{
    struct partners *p = container_of((uv_timer_t *)(void *)h, struct partners, tick);
    p->tick_open = false;
    stopped_when_idle(p);
}

void partners_stop(struct partners *p, void (*on_stopped)(struct server *), struct server *server)
{
    if (p == NULL) {
        on_stopped(server);
        return;
    }
    p->stopping = true;
    p->on_stopped = on_stopped;
    uv_close((uv_handle_t *)&p->tick, on_tick_closed); /* p stays until that has fired */
    for (struct line *l = p->lines; l != NULL; l = l->next)
        if (l->outgoing != NULL)
            outgoing_close(l->outgoing, REASON_CANCELLED);
    end_due(p, INT64_MAX, -ECANCELED);
}
