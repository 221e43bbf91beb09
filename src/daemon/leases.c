/* Refreshing and returning leases; how much was used.
 *
 * Callbacks of a refresh, in order: on_use (vault), on_outcome (transaction). on_tick looks for what is due. */
#include "daemon/leases.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/shop.h"
#include "daemon/transact.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "leases"
#include "base/log.h"

#define TICK_MS 20000

struct lease { /* one that is being refreshed or returned */
    struct daemon *daemon;
    struct lease *next;
    struct call *call;       /* NULL: in the background */
    struct account *account; /* a reference */
    struct id content, issuer;
    uint8_t license_id[16];
    bool give_back;
};

static void unlist(struct lease *l)
{
    struct lease **at = &l->daemon->lease_first;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
}

static struct lease *under_way(const struct daemon *d, const struct track_license *license)
{
    struct lease *l = d->lease_first;
    while (l != NULL && !(id_equal(l->issuer.bytes, license->issuer.bytes) &&
                          memcmp(l->license_id, license->license_id, sizeof(l->license_id)) == 0))
        l = l->next;
    return l;
}

static void end(struct lease *l, enum reason why, const msg_Refusal *refusal)
{
    unlist(l);
    struct track *t = library_find(l->daemon, l->content.bytes);
    ctl_TrackRow row;
    if (l->call != NULL && why == REASON_NONE && t != NULL) {
        library_row(l->daemon, t, 0, &row);
        CALL_ROW(l->call, TRACK_ROW, TrackRow, &row);
        call_finish(l->call);
    } else if (l->call != NULL && refusal != NULL) {
        call_refuse_as(l->call, refusal);
    } else if (l->call != NULL) {
        call_refuse(l->call, why == REASON_NONE ? REASON_INTERNAL : why, NULL);
    } else if (why != REASON_NONE) {
        log_info("a lease was not refreshed reason=%s", reason_code(why));
    }
    account_unref(l->account);
    free(l);
}

static void on_outcome(const struct transact_outcome *outcome, void *ctx)
{
    struct lease *l = ctx;
    const struct track *t = library_find(l->daemon, l->content.bytes);
    if (outcome->why == REASON_NONE)
        event(l->daemon, l->give_back ? "lease-returned" : "lease-refreshed", "the lease of %s was %s",
              t != NULL && t->has_info ? t->title : "a track", l->give_back ? "returned" : "refreshed");
    struct track_license *license = library_license(l->daemon, l->content.bytes, l->issuer.bytes, l->license_id, NULL);
    if (outcome->why == REASON_NO_LICENSE && license != NULL)
        license->lease_lost = true;
    end(l, outcome->why, outcome->refusal);
}

/* How much of the license was used, as the vault says. */
static void take_use(struct daemon *d, struct slice envelope)
{
    doc_Use use;
    struct track *t;
    struct track_license *known =
        use_judge(envelope, &use) == 0 ? library_license(d, NULL, use.issuer, use.license_id, &t) : NULL;
    if (known == NULL)
        return;
    known->plays = use.plays;
    known->play_ms = use.play_ms;
    if (use.returned && known->sequence == use.sequence)
        known->state = LICENSE_SURRENDERED;
    library_changed(d, t);
}

static void on_use(const struct answer *answer, void *ctx)
{
    struct lease *l = ctx;
    vlt_UseSigned m;
    msg_Item item = msg_Item_init_zero;
    if (answer->why != REASON_NONE) {
        end(l, answer->why, answer->refusal);
        return;
    }
    int r = CODEC_DECODE(vlt_UseSigned, answer->frame->message, &m);
    if (r == 0)
        r = CODEC_SET_BYTES(item.refresh.use, CODEC_BYTES(m.use));
    if (r == 0)
        take_use(l->daemon, CODEC_BYTES(m.use));
    item.has_refresh = true;
    if (r == 0)
        r = transact_submit(l->account, &item, on_outcome, l);
    if (r != 0)
        end(l, REASON_INTERNAL, NULL);
}

static int ask_use(struct daemon *d, const struct id *issuer, const uint8_t license_id[16], bool give_back,
                   answer_fn on_answer, void *ctx)
{
    vlt_UseSign sign = { .give_back = give_back };
    memcpy(sign.issuer, issuer->bytes, sizeof(sign.issuer));
    memcpy(sign.license_id, license_id, sizeof(sign.license_id));
    return vault_call(d->vault, &ASK(vlt_Type_USE_SIGN, vlt_Type_USE_SIGNED, vlt_UseSign, &sign), on_answer, ctx);
}

/* Takes c, also on failure. */
static void start(struct daemon *d, struct call *c, struct account *a, const struct track *t,
                  const struct track_license *license, bool give_back)
{
    struct lease *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        if (c != NULL)
            call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    *l = (struct lease){ .daemon = d,
                         .call = c,
                         .account = account_ref(a),
                         .content = t->content,
                         .issuer = license->issuer,
                         .give_back = give_back };
    memcpy(l->license_id, license->license_id, sizeof(l->license_id));
    l->next = d->lease_first;
    d->lease_first = l;
    if (ask_use(d, &l->issuer, l->license_id, give_back, on_use, l) != 0)
        end(l, REASON_INTERNAL, NULL);
}

/* --- By hand: LEASE ------------------------------------------------------------------------------------------------- */

static const struct track_license *leased(const struct track *t)
{
    for (size_t i = 0; i < t->license_count; i++)
        if (t->licenses[i].has_lease)
            return &t->licenses[i];
    return NULL;
}

void lease_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Lease *m = message;
    struct track *t;
    char detail[256] = "";
    int r = library_resolve(d, m->track, &t, detail, sizeof(detail));
    const struct track_license *l = r == 0 ? leased(t) : NULL;
    struct account *a = l == NULL ? NULL : account_find(d, l->issuer.bytes);
    struct lease *open = l == NULL ? NULL : under_way(d, l);
    if (r != 0)
        call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
    else if (l == NULL)
        call_refuse(c, REASON_NOT_PERMITTED, "It is not leased: there is nothing to return or refresh.");
    else if (a == NULL)
        call_refuse(c, REASON_NOT_REGISTERED, NULL);
    else if (open != NULL && open->call == NULL && open->give_back == m->give_back)
        open->call = c; /* what is done in the background is what is asked for */
    else if (open != NULL)
        call_refuse(c, REASON_IN_USE, "It is being refreshed or returned at this moment.");
    else if (l->state == LICENSE_SURRENDERED && !m->give_back)
        call_refuse(c, REASON_NO_LICENSE, "It was returned. Take it again first: hearth restore TRACK");
    else
        start(d, c, a, t, l, m->give_back);
}

/* --- In the background ---------------------------------------------------------------------------------------------- */

/* Half of it is over, or its plays are used; and what it is a part of goes on. */
static bool is_due(const struct track_license *l, int64_t now_ms)
{
    int64_t until = (int64_t)u64_min(l->lease.until_ms, INT64_MAX);
    bool used = l->lease.has_max_plays && l->plays >= l->lease.max_plays;
    enum license_state state = track_license_state_of(l, now_ms);
    return l->has_lease && !l->lease_lost && (state == LICENSE_VALID || state == LICENSE_ASLEEP) &&
           (used || now_ms > l->issued_ms + (until - l->issued_ms) / 2);
}

static void look(struct daemon *d, struct account *a)
{
    int64_t now_ms = device_time_of(a);
    if (!session_may_transact(a->session) || transact_outstanding(a->transact))
        return;
    for (size_t i = 0; i < library_count(d); i++) {
        const struct track *t = library_at(d, i);
        for (size_t n = 0; n < t->license_count; n++)
            if (id_equal(t->licenses[n].issuer.bytes, a->distributor.bytes) && is_due(&t->licenses[n], now_ms) &&
                under_way(d, &t->licenses[n]) == NULL)
                start(d, NULL, a, t, &t->licenses[n], false);
    }
}

void leases_ready(struct account *a)
{
    look(a->daemon, a);
    use_log_bring(a->daemon, &a->distributor);
}

#define GUESTS_MAX 8 /* in one tick */

/* To issuers that this device is not registered with there is no session that would become ready: they are asked for. What they have already is
 * known to the vault, and nobody is asked then. */
static void bring_to_guests(struct daemon *d)
{
    const struct id *brought[GUESTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < library_count(d); i++) {
        const struct track *t = library_at(d, i);
        for (size_t n = 0; n < t->license_count && count < GUESTS_MAX; n++) {
            const struct track_license *l = &t->licenses[n];
            bool done =
                !l->conditions->has_use_log || !l->conditions->use_log || account_find(d, l->issuer.bytes) != NULL;
            for (size_t k = 0; k < count && !done; k++)
                done = id_equal(brought[k]->bytes, l->issuer.bytes);
            if (done)
                continue;
            brought[count++] = &l->issuer;
            use_log_bring(d, &l->issuer);
        }
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    if (device_time_refresh(d, NULL, NULL) != 0)
        log_warn("the vault was not asked what time it is");
    for (struct account *a = d->accounts; a != NULL; a = a->next)
        look(d, a);
    bring_to_guests(d);
}

void leases_start(struct daemon *d)
{
    (void)uv_timer_init(d->loop, &d->leases); /* cannot fail */
    d->leases.data = d;
    (void)uv_timer_start(&d->leases, on_tick, TICK_MS, TICK_MS);
}

void leases_stop(struct daemon *d)
{
    if (d->leases.data != NULL && !uv_is_closing((uv_handle_t *)&d->leases))
        uv_close((uv_handle_t *)&d->leases, NULL);
}

/* --- After a play --------------------------------------------------------------------------------------------------- */

struct counting {
    struct daemon *daemon;
    unsigned open; /* answers to come, and one until all were asked for */
    void (*on_counted)(void *ctx);
    void *ctx;
};

static void counted(struct counting *c)
{
    if (--c->open > 0)
        return;
    c->on_counted(c->ctx);
    free(c);
}

static void on_count(const struct answer *answer, void *ctx)
{
    struct counting *c = ctx;
    vlt_UseSigned m;
    if (answer->why == REASON_NONE && CODEC_DECODE(vlt_UseSigned, answer->frame->message, &m) == 0)
        take_use(c->daemon, CODEC_BYTES(m.use));
    counted(c);
}

static void count(struct counting *c, const struct track *t)
{
    for (size_t i = 0; t != NULL && i < t->license_count; i++) {
        const struct track_license *l = &t->licenses[i];
        const doc_Conditions *allowed = l->conditions;
        if (allowed->has_max_plays || allowed->has_max_play_ms || l->has_lease) {
            if (ask_use(c->daemon, &l->issuer, l->license_id, false, on_count, c) == 0)
                c->open++;
            else
                log_debug("what was used is read again after the next start");
        }
        if (allowed->has_use_log && allowed->use_log)
            use_log_bring(c->daemon, &l->issuer);
    }
}

void leases_played(struct daemon *d, const struct id *content, void (*on_counted)(void *ctx), void *ctx)
{
    struct counting *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        on_counted(ctx);
        return;
    }
    *c = (struct counting){ .daemon = d, .open = 1, .on_counted = on_counted, .ctx = ctx };
    count(c, library_find(d, content->bytes));
    counted(c);
}
