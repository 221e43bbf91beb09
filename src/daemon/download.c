/* Downloads: receive_run over the places that the distributor names (sources.h), or else over the session of an account, and beside it over the
 * siblings that have the body (holders.h), again and again until it is here.
 *
 * One that finds the disk full waits for room (download_room.c), and goes on from what it has.
 *
 * Callbacks, in order: on_ready (session), on_places, then those of receive_run: on_progress, on_lost, on_end; on_no_holder. */
#include "daemon/download.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/db.h"
#include "daemon/events.h"
#include "daemon/fetch_body.h"
#include "daemon/holders.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/sources.h"
#include "daemon/transfers_internal.h"
#include "net/bodies.h"
#include "net/receive_run.h"
#include "net/receive_run_internal.h"

#define LOG_MODULE "download"
#include "base/log.h"

#define RETRY_FIRST_MS 1000
#define RETRY_LAST_MS 60000
#define EMPTY_TRIES_MAX 5 /* sources that answer, but bring nothing */

struct download {
    struct transfer t;
    struct account *account; /* a reference */
    struct receive_run *run;
    struct sources sources;
    struct holders holders;
    uint32_t own; /* the account's session, as a source of the run; 0: it is none */
    bool connecting;
    enum reason own_why; /* why the distributor does not bring it; NONE: it does, or nothing is known against it */
    char own_detail[256];
    uint64_t lost_at_bytes;
    uint32_t empty_tries;
    int64_t retry_ms, next_try_ms; /* 0: no next try is due */
    bool wants_room;               /* it waits for it, and run is NULL */
    uint64_t room_bytes;           /* so much */
    bool room_seen;                /* so much was free when it was looked last */
};

static struct download *download_of(struct transfer *t) { return container_of(t, struct download, t); }

/* ---- ends ---------------------------------------------------------------------------------------------------- */

static void leave_run(struct download *l)
{
    sources_deinit(&l->sources);
    holders_deinit(&l->holders);
    receive_run_free(steal(&l->run));
    l->own = 0;
    l->next_try_ms = 0;
}

static void let_go(struct download *l)
{
    leave_run(l);
    account_unref(steal(&l->account));
}

static void end(struct download *l, enum transfer_state state, enum reason why, const char *detail)
{
    download_row_put(l->t.daemon, &l->t.content, &l->t.with, false);
    let_go(l);
    transfer_set_state(&l->t, state, why, detail);
}

static void connect_source(struct download *l);

static void try_later(struct download *l, enum reason why)
{
    l->retry_ms = l->retry_ms == 0 ? RETRY_FIRST_MS : l->retry_ms * 2 > RETRY_LAST_MS ? RETRY_LAST_MS : l->retry_ms * 2;
    l->next_try_ms = transfers_now_ms(l->t.daemon) + l->retry_ms;
    if (receive_run_attached(l->run))
        return; /* from siblings it goes on */
    transfer_set_state(&l->t, TRANSFER_WAITING, why, NULL);
    transfer_say(&l->t, "waiting for %s", l->t.peer);
}

static void on_progress(uint64_t done_bytes, uint64_t total_bytes, void *ctx)
{
    struct download *l = ctx;
    if (l->t.state == TRANSFER_WAITING && receive_run_attached(l->run))
        transfer_set_state(&l->t, TRANSFER_RUNNING, REASON_NONE, NULL);
    if (done_bytes > l->t.done_bytes)
        l->wants_room = false;
    transfer_progress(&l->t, done_bytes, total_bytes);
}

/* What another try can change, and what not. */
static bool may_pass(enum reason why)
{
    return why == REASON_OFFLINE || why == REASON_TIMED_OUT || why == REASON_RATE_LIMITED || why == REASON_IN_USE ||
           why == REASON_INTERNAL || why == REASON_SESSION_REPLACED || why == REASON_NONE;
}

static void attach_next(struct download *l);

/* The distributor brings nothing, and says why. As long as siblings do, that ends nothing. */
static void without_distributor(struct download *l, enum reason why, const char *detail)
{
    l->own_why = why;
    CODEC_SET_TEXT(l->own_detail, detail != NULL ? detail : "");
    if (!holders_look(&l->holders))
        end(l, TRANSFER_FAILED, why, detail);
    else if (may_pass(why))
        try_later(l, why);
}

static bool is_left_alone(const struct download *l)
{
    return !transfer_has_ended(&l->t) && l->run != NULL && l->t.state != TRANSFER_PAUSED &&
           !receive_run_attached(l->run) && !l->connecting && !l->sources.active;
}

static void on_no_holder(void *ctx)
{
    struct download *l = ctx;
    if (!is_left_alone(l))
        return;
    if (l->own_why != REASON_NONE && (!may_pass(l->own_why) || l->t.done_bytes == 0))
        end(l, TRANSFER_FAILED, l->own_why, l->own_detail[0] != '\0' ? l->own_detail : NULL);
    else if (l->t.state == TRANSFER_RUNNING)
        try_later(l, REASON_OFFLINE);
}

static void on_lost(const struct receive_lost *lost, void *ctx)
{
    struct download *l = ctx;
    enum reason why = lost->why;
    source_blame(l->t.daemon, &l->t.content, lost);
    if (holders_lost(&l->holders, lost))
        return;
    if (sources_lost(&l->sources, lost)) { /* whatever was wrong there, elsewhere it need not be */
        attach_next(l);
        return;
    }
    l->own = 0;
    bool empty = l->t.done_bytes == l->lost_at_bytes;
    l->lost_at_bytes = l->t.done_bytes;
    l->empty_tries = empty ? l->empty_tries + 1 : 0;
    if (!empty)
        l->retry_ms = 0;
    bool connection = why == REASON_OFFLINE || why == REASON_NONE || why == REASON_SESSION_REPLACED;
    if (!may_pass(why) || (!connection && l->empty_tries >= EMPTY_TRIES_MAX))
        without_distributor(l, why, lost->detail);
    else
        try_later(l, why == REASON_NONE ? REASON_OFFLINE : why);
}

/* Whoever has just asked for it hears that there is no room; it goes on by itself, from what it has, when there is. */
static void wait_for_room(struct download *l)
{
    l->room_bytes = download_room_missing(l->t.daemon, &l->t.content, receive_run_left_bytes(l->run));
    leave_run(l);
    if (!l->wants_room)
        event(l->t.daemon, "storage-full", "%s waits: there is no room for it. It goes on by itself when there is",
              l->t.title);
    l->wants_room = true;
    l->room_seen = download_room_is_there(l->t.daemon, l->room_bytes);
    l->retry_ms = l->retry_ms == 0 ? RETRY_FIRST_MS : l->retry_ms * 2 > RETRY_LAST_MS ? RETRY_LAST_MS : l->retry_ms * 2;
    l->next_try_ms = transfers_now_ms(l->t.daemon) + l->retry_ms;
    transfer_set_state(&l->t, TRANSFER_WAITING, REASON_STORAGE_FULL, NULL);
    transfer_tell(
        &l->t, REASON_STORAGE_FULL,
        "There is no room for it on this device: hearth remove TRACK makes some. It goes on by itself then (hearth transfers).");
}

static void on_end(enum reason why, const char *detail, void *ctx)
{
    struct download *l = ctx;
    struct daemon *d = l->t.daemon;
    struct slice info;
    const uint8_t *list_root;
    if (why == REASON_STORAGE_FULL) {
        wait_for_room(l);
        return;
    }
    if (why != REASON_NONE) {
        end(l, TRANSFER_FAILED, why, detail);
        return;
    }
    int r = receive_run_info(l->run, &info, &list_root) ? library_info_known(d, &l->t.content, info, list_root) : 0;
    if (r == 0)
        r = library_body_changed(d, &l->t.content, true);
    if (r != 0)
        log_warn("a body that has arrived is listed after the next start only");
    serve_forget(d->transfers->serve, &l->t.content);
    const struct track *t = library_find(d, l->t.content.bytes);
    if (t != NULL && t->has_info)
        CODEC_SET_TEXT(l->t.title, t->title);
    event(d, "downloaded", "%s has been downloaded from %s", l->t.title, l->t.peer);
    end(l, TRANSFER_DONE, REASON_NONE, NULL);
}

/* ---- the source ---------------------------------------------------------------------------------------------- */

/* The next place, or its distributor. */
static void attach_next(struct download *l)
{
    l->own_why = REASON_NONE;
    if (sources_attach(&l->sources))
        return;
    struct peer *p = session_peer(l->account);
    if (p == NULL || receive_run_attach(l->run, p, l->account->name, &l->own) != 0)
        try_later(l, REASON_OFFLINE);
}

static bool is_wanted(const struct download *l)
{
    return !transfer_has_ended(&l->t) && !l->t.gone && l->t.state != TRANSFER_PAUSED && l->run != NULL && l->own == 0 &&
           !l->sources.active;
}

static void on_unreachable(void *ctx)
{
    struct download *l = ctx;
    if (is_wanted(l))
        attach_next(l);
}

static void on_places(void *ctx)
{
    struct download *l = ctx;
    l->connecting = false;
    if (is_wanted(l))
        attach_next(l);
    transfer_release(&l->t);
}

static void on_ready(const struct answer *answer, void *ctx)
{
    struct download *l = ctx;
    l->connecting = false;
    bool wanted = is_wanted(l);
    struct peer *p = wanted && answer->why == REASON_NONE ? session_peer(l->account) : NULL;
    if (p != NULL) {
        transfer_set_state(&l->t, TRANSFER_RUNNING, REASON_NONE, NULL);
        if (!l->sources.known && sources_ask(&l->sources, l->account, on_places) == 0) {
            l->connecting = true;
            return; /* on_places goes on, and releases */
        }
        attach_next(l);
    } else if (wanted) {
        /* Whoever has just asked for it hears at once that nobody is there; what has begun goes on by itself. */
        if (l->t.done_bytes == 0 && l->t.watchers != NULL && answer->why != REASON_NONE &&
            !receive_run_attached(l->run))
            without_distributor(l, answer->why, answer->refusal->text);
        else
            try_later(l, REASON_OFFLINE);
    }
    transfer_release(&l->t);
}

static void connect_source(struct download *l)
{
    if (l->connecting || l->run == NULL || l->own != 0 || l->sources.active)
        return;
    l->next_try_ms = 0;
    transfer_hold(&l->t);
    l->connecting = true;
    if (session_when_ready(l->account, on_ready, l) == 0)
        return;
    l->connecting = false;
    try_later(l, REASON_INTERNAL);
    transfer_release(&l->t);
}

static int start_run(struct download *l)
{
    static const struct receive_run_callbacks callbacks = { on_progress, on_lost, on_end };
    struct daemon *d = l->t.daemon;
    int r = receive_run_new(&l->run, d->loop, d->clock, d->config.bodies_dir, &d->transfers->shared, &l->t.content,
                            &callbacks, l);
    if (r != 0)
        return r;
    receive_run_set_pace(l->run, &d->receiving);
    sources_init(&l->sources, d, l->run, on_unreachable, l);
    holders_init(&l->holders, d, l->run, NULL, on_no_holder, l);
    return 0;
}

/* At once when room has been made; else, since something else may be wrong, later and later. */
static void look_for_room(struct download *l, int64_t now_ms)
{
    bool there = download_room_is_there(l->t.daemon, l->room_bytes), fresh = there && !l->room_seen;
    l->room_seen = there;
    if ((fresh || (there && now_ms >= l->next_try_ms)) && start_run(l) == 0)
        connect_source(l);
}

/* ---- as a transfer ------------------------------------------------------------------------------------------- */

static void pause_transfer(struct transfer *t)
{
    struct download *l = download_of(t);
    sources_leave(&l->sources, REASON_CANCELLED);
    holders_leave(&l->holders);
    if (l->run != NULL)
        receive_run_detach(l->run);
    l->own = 0;
    l->next_try_ms = 0;
    transfer_set_state(t, TRANSFER_PAUSED, REASON_NONE, NULL);
}

static void resume_transfer(struct transfer *t)
{
    struct download *l = download_of(t);
    transfer_set_state(t, TRANSFER_WAITING, l->wants_room ? REASON_STORAGE_FULL : REASON_NONE, NULL);
    connect_source(l);
}

void download_discard(struct daemon *d, struct receive_run *run, const struct id *content)
{
    const struct track *t = library_find(d, content->bytes);
    if (t != NULL && t->has_body)
        return;
    if (run != NULL)
        receive_run_discard(run);
    else if (receive_run_remove(d->loop, &d->transfers->shared, d->config.bodies_dir, content, NULL, NULL) != 0)
        log_warn("what was there of a cancelled download stays");
}

static void cancel_transfer(struct transfer *t)
{
    struct download *l = download_of(t);
    download_discard(t->daemon, l->run, &t->content);
    end(l, TRANSFER_CANCELLED, REASON_NONE, NULL);
}

static void tick_transfer(struct transfer *t, int64_t now_ms)
{
    struct download *l = download_of(t);
    if (l->t.state == TRANSFER_PAUSED)
        return;
    if (l->run == NULL && l->wants_room)
        look_for_room(l, now_ms);
    if (l->run == NULL)
        return;
    (void)holders_look(&l->holders);
    if (l->next_try_ms != 0 && now_ms >= l->next_try_ms)
        connect_source(l);
}

static void stop_transfer(struct transfer *t) { let_go(download_of(t)); }
static void free_transfer(struct transfer *t) { free(download_of(t)); }
static const struct receive_run *run_of(const struct transfer *t)
{
    return container_of(t, const struct download, t)->run;
}

static const struct transfer_actions actions = { pause_transfer, resume_transfer, cancel_transfer, tick_transfer,
                                                 stop_transfer,  free_transfer,   run_of };

/* ---- starting ------------------------------------------------------------------------------------------------ */

static int download_new(struct account *a, const struct id *content, struct download **out)
{
    struct daemon *d = a->daemon;
    struct download *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    l->t.daemon = d;
    l->t.content = *content;
    int r = start_run(l);
    if (r != 0) {
        free(l);
        return r;
    }
    l->account = account_ref(a);
    transfer_add(d, &l->t, TRANSFER_DOWNLOAD, content, &a->distributor, a->name, &actions);
    *out = l;
    return 0;
}

struct joiner {
    struct download_callbacks callbacks;
    void *ctx;
};

static void joiner_progress(const struct transfer *t, const char *text, void *ctx)
{
    struct joiner *j = ctx;
    (void)text;
    if (j->callbacks.on_progress != NULL)
        j->callbacks.on_progress(t->done_bytes, t->total_bytes, j->ctx);
}

static void joiner_end(const struct transfer *t, enum reason why, const char *detail, void *ctx)
{
    struct joiner j = *(struct joiner *)ctx;
    (void)t;
    free(ctx);
    j.callbacks.on_done(why, detail, j.ctx);
}

int download_start(struct account *a, const struct id *content, const struct download_callbacks *callbacks, void *ctx)
{
    struct daemon *d = a->daemon;
    struct transfer *t = transfers_incoming(d, content);
    struct download *l = NULL;
    if (d->transfers == NULL || d->transfers->stopping)
        return -ECANCELED;
    struct joiner *j = calloc(1, sizeof(*j));
    if (j == NULL)
        return -ENOMEM;
    *j = (struct joiner){ *callbacks, ctx };
    if (fetch_body_give_way(t))
        t = NULL;
    int r = t != NULL ? 0 : download_new(a, content, &l);
    if (l != NULL)
        t = &l->t;
    struct transfer_watch watch = { joiner_progress, joiner_end, j };
    if (r == 0)
        r = transfer_watch(t, &watch);
    if (r != 0) {
        free(j);
        if (l != NULL)
            end(l, TRANSFER_FAILED, REASON_INTERNAL, NULL);
        return r;
    }
    if (l != NULL) {
        download_row_put(d, &l->t.content, &l->t.with, true);
        connect_source(l);
    } else if (t->kind == TRANSFER_DOWNLOAD && download_of(t)->wants_room && download_of(t)->run == NULL) {
        if (start_run(download_of(t)) == 0) /* whoever asks again hears how it is now */
            connect_source(download_of(t));
    } else if (t->state == TRANSFER_PAUSED && t->actions->resume != NULL) {
        t->actions->resume(t);
    }
    return 0;
}

int downloads_start(struct daemon *d)
{
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_DOWNLOADS);
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        struct id content, distributor;
        struct download *l;
        query_fixed(&q, 0, content.bytes, ID_BYTES);
        query_fixed(&q, 1, distributor.bytes, ID_BYTES);
        r = query_check(&q);
        if (r != 0)
            return r;
        struct account *a = account_find(d, distributor.bytes);
        if (a == NULL) { /* a device's, or of one that was unregistered or removed meanwhile */
            r = fetch_body_resume(d, &content, &distributor);
            if (r != 0)
                return r;
            continue;
        }
        r = download_new(a, &content, &l);
        if (r != 0)
            return r;
        connect_source(l);
    }
    return r == STORE_CONFLICT ? -EUCLEAN : r;
}
