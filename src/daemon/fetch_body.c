/* The body alone: receive_run over a link to the sibling that was named, and beside it over others that have it (holders.h).
 *
 * Callbacks, in order: on_ready or on_closed (link), then those of receive_run: on_progress, on_lost, on_end; on_no_holder. */
#include "daemon/fetch_body.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/device_link.h"
#include "daemon/download.h"
#include "daemon/events.h"
#include "daemon/holders.h"
#include "daemon/library.h"
#include "daemon/siblings.h"
#include "daemon/sources.h"
#include "daemon/transfers_internal.h"
#include "net/receive_run.h"

#define LOG_MODULE "fetch"
#include "base/log.h"

#define RETRY_FIRST_MS 1000
#define RETRY_LAST_MS 16000

struct body {
    struct transfer t;
    struct link_user link;
    struct receive_run *run;
    struct holders holders;        /* others that have it */
    uint32_t own;                  /* the sibling that was named, as a source of the run; 0: it is none now */
    int64_t retry_ms, next_try_ms; /* 0: no next try is due */
    bool kept;                     /* it has a row, so that a kill does not end it (download_row.c) */
    bool resumed;                  /* by that row */
};

static struct body *body_of(struct transfer *t) { return container_of(t, struct body, t); }

static void let_go(struct body *b)
{
    holders_deinit(&b->holders);
    receive_run_free(steal(&b->run));
    link_leave(&b->link);
    b->own = 0;
    b->next_try_ms = 0;
}

static void end(struct body *b, enum transfer_state state, enum reason why, const char *detail)
{
    let_go(b);
    if (b->kept)
        download_row_put(b->t.daemon, &b->t.content, &b->t.with, false);
    transfer_set_state(&b->t, state, why, detail);
}

/* Nobody brings it now. Whoever has just asked for it hears why; what has begun goes on by itself. */
static void wait_or_end(struct body *b, enum reason why, const char *detail)
{
    if (why != REASON_OFFLINE || (b->t.done_bytes == 0 && !b->resumed)) {
        end(b, TRANSFER_FAILED, why, detail);
        return;
    }
    b->retry_ms = b->retry_ms == 0 ? RETRY_FIRST_MS : b->retry_ms * 2 > RETRY_LAST_MS ? RETRY_LAST_MS : b->retry_ms * 2;
    b->next_try_ms = transfers_now_ms(b->t.daemon) + b->retry_ms;
    transfer_set_state(&b->t, TRANSFER_WAITING, why, NULL);
    transfer_say(&b->t, "waiting for %s, which is offline; Ctrl-C leaves it going on", b->t.peer);
}

/* ---- what comes ------------------------------------------------------------------------------------------------ */

static void on_progress(uint64_t done_bytes, uint64_t total_bytes, void *ctx)
{
    struct body *b = ctx;
    if (b->t.state == TRANSFER_WAITING && receive_run_attached(b->run))
        transfer_set_state(&b->t, TRANSFER_RUNNING, REASON_NONE, NULL);
    if (done_bytes > b->t.done_bytes)
        b->retry_ms = 0;
    transfer_progress(&b->t, done_bytes, total_bytes);
}

static void on_no_holder(void *ctx)
{
    struct body *b = ctx;
    if (b->t.state == TRANSFER_RUNNING && b->own == 0 && !b->link.waiting)
        wait_or_end(b, REASON_OFFLINE, NULL);
}

/* What arrived stays for the next try. Other siblings go on, when there are some. */
static void own_is_lost(struct body *b, enum reason why, const char *detail)
{
    b->own = 0;
    link_leave(&b->link);
    if (!holders_look(&b->holders))
        wait_or_end(b, why == REASON_NONE || why == REASON_TIMED_OUT ? REASON_OFFLINE : why, detail);
}

static void on_lost(const struct receive_lost *lost, void *ctx)
{
    struct body *b = ctx;
    source_blame(b->t.daemon, &b->t.content, lost);
    if (!holders_lost(&b->holders, lost))
        own_is_lost(b, lost->why, lost->detail);
}

static void on_end(enum reason why, const char *detail, void *ctx)
{
    struct body *b = ctx;
    struct daemon *d = b->t.daemon;
    if (why != REASON_NONE) {
        end(b, TRANSFER_FAILED, why, detail);
        return;
    }
    if (library_body_changed(d, &b->t.content, true) != 0)
        log_warn("a body that has arrived is listed after the next start only");
    serve_forget(d->transfers->serve, &b->t.content);
    event(d, "fetched", "%s has been fetched from %s", b->t.title, b->t.peer);
    end(b, TRANSFER_DONE, REASON_NONE, NULL);
}

/* ---- the link -------------------------------------------------------------------------------------------------- */

static void on_ready(struct link_user *u)
{
    struct body *b = container_of(u, struct body, link);
    int r = receive_run_attach(b->run, link_peer(u->link), link_name(u->link), &b->own);
    if (r != 0)
        own_is_lost(b, reason_of_error(r), NULL);
}

static void on_closed(struct link_user *u, enum reason why)
{
    own_is_lost(container_of(u, struct body, link), why, NULL);
}

static void connect_source(struct body *b)
{
    b->next_try_ms = 0;
    int r = link_open(b->t.daemon, &b->t.with, &b->link);
    if (r == LINK_READY)
        on_ready(&b->link);
    else if (r != 0)
        wait_or_end(b, r == LINK_NOWHERE ? REASON_OFFLINE : reason_of_error(r), NULL);
}

/* ---- as a transfer --------------------------------------------------------------------------------------------- */

static void pause_transfer(struct transfer *t)
{
    struct body *b = body_of(t);
    holders_leave(&b->holders);
    receive_run_detach(b->run);
    link_leave(&b->link);
    b->own = 0;
    b->next_try_ms = 0;
    transfer_set_state(t, TRANSFER_PAUSED, REASON_NONE, NULL);
}

static void resume_transfer(struct transfer *t)
{
    transfer_set_state(t, TRANSFER_WAITING, REASON_NONE, NULL);
    connect_source(body_of(t));
}

static void cancel_transfer(struct transfer *t)
{
    struct body *b = body_of(t);
    download_discard(t->daemon, b->run, &t->content);
    end(b, TRANSFER_CANCELLED, REASON_NONE, NULL);
}

static void tick_transfer(struct transfer *t, int64_t now_ms)
{
    struct body *b = body_of(t);
    if (t->state == TRANSFER_PAUSED)
        return;
    (void)holders_look(&b->holders);
    if (b->next_try_ms != 0 && now_ms >= b->next_try_ms)
        connect_source(b);
}

static void stop_transfer(struct transfer *t) { let_go(body_of(t)); }
static void free_transfer(struct transfer *t) { free(body_of(t)); }
static const struct receive_run *run_of(const struct transfer *t) { return container_of(t, const struct body, t)->run; }

static const struct transfer_actions actions = { pause_transfer, resume_transfer, cancel_transfer, tick_transfer,
                                                 stop_transfer,  free_transfer,   run_of };

bool fetch_body_give_way(struct transfer *t)
{
    if (t == NULL || t->kind != TRANSFER_FETCH || t->state != TRANSFER_WAITING ||
        (t->done_bytes == 0 && !body_of(t)->resumed))
        return false;
    end(body_of(t), TRANSFER_FAILED, REASON_OFFLINE, "It comes from elsewhere now.");
    return true;
}

static int body_new(struct daemon *d, const struct id *content, const struct sibling *from, struct body **out)
{
    static const struct receive_run_callbacks callbacks = { on_progress, on_lost, on_end };
    struct body *b = calloc(1, sizeof(*b));
    int r = b == NULL ? -ENOMEM
                      : receive_run_new(&b->run, d->loop, d->clock, d->config.bodies_dir, &d->transfers->shared,
                                        content, &callbacks, b);
    if (r != 0) {
        free(b);
        return r;
    }
    b->link.on_ready = on_ready;
    b->link.on_closed = on_closed;
    b->kept = transfers_find(d, TRANSFER_DOWNLOAD, content, NULL) == NULL; /* the row is that one's */
    receive_run_set_pace(b->run, &d->receiving);
    holders_init(&b->holders, d, b->run, &from->client, on_no_holder, b);
    transfer_add(d, &b->t, TRANSFER_FETCH, content, &from->client, from->name, &actions);
    *out = b;
    return 0;
}

void fetch_body_start(struct daemon *d, struct call *call, const struct id *content, const struct sibling *from)
{
    const struct track *track = library_find(d, content->bytes);
    char detail[256];
    struct body *b;
    if (track != NULL && !track->has_body && !download_fits(d, content, track->plain_bytes, detail, sizeof(detail))) {
        call_refuse(call, REASON_STORAGE_FULL, detail);
        return;
    }
    int r = body_new(d, content, from, &b);
    if (r != 0) {
        call_refuse(call, reason_of_error(r), NULL);
        return;
    }
    call_progress(call, 0, 0, "asking %s", from->name);
    if (transfer_watch_call(&b->t, call) != 0) {
        call_refuse(call, REASON_INTERNAL, NULL);
        end(b, TRANSFER_FAILED, REASON_INTERNAL, NULL);
        return;
    }
    if (b->kept)
        download_row_put(d, content, &from->client, true);
    connect_source(b);
}

int fetch_body_resume(struct daemon *d, const struct id *content, const struct id *client)
{
    const struct sibling *from = siblings_find(d, client->bytes);
    struct body *b;
    if (from == NULL)
        return 0;
    int r = body_new(d, content, from, &b);
    if (r != 0)
        return r;
    b->resumed = true;
    connect_source(b);
    return 0;
}
