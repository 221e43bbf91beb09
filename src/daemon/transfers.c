/* Transfers: states, watchers, control, and the second hand of those that wait.
 *
 * Callbacks, in order: on_tick, again and again while something has not ended; each watch's on_progress and on_end. */
#include "daemon/transfers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/copy.h"
#include "daemon/device_link.h"
#include "daemon/fetch.h"
#include "daemon/library.h"
#include "daemon/shelf.h"
#include "daemon/transfers_internal.h"
#include "net/bunch.h"
#include "net/http.h"
#include "net/receive_run.h"
#include "net/syncer.h"
#include "net/turns.h"

#define LOG_MODULE "transfers"
#include "base/log.h"

#define TICK_MS 1000
#define PROGRESS_MS 200
#define STILL_MS 3000 /* a source that says nothing for that long is worth a word */
#define ENDED_KEPT 64
#define ENDED_KEPT_MS (3600 * 1000)

struct transfer_watcher {
    struct transfer_watcher *next;
    struct transfer_watch watch;
};

/* ---- the table ----------------------------------------------------------------------------------------------- */

bool transfer_has_ended(const struct transfer *t) { return t->state >= TRANSFER_DONE; }

static void on_tick(uv_timer_t *timer)
{
    struct transfers *s = timer->data;
    int64_t now_ms = transfers_now_ms(s->daemon);
    bool active = false;
    transfers_hold(s);
    for (struct transfer *t = s->table.first, *next; t != NULL && !s->stopping; t = next) {
        transfer_hold(t);
        if (!transfer_has_ended(t) && t->actions->tick != NULL)
            t->actions->tick(t, now_ms);
        active |= !transfer_has_ended(t);
        next = t->next;
        transfer_release(t);
    }
    fetches_tick(s->daemon, now_ms);
    if (!active && s->fetches == NULL && s->tick_open) {
        (void)uv_timer_stop(&s->tick);
        memory_give_back();
    }
    transfers_release(s);
}

void transfers_wake(struct daemon *d)
{
    struct transfers *s = d->transfers;
    if (s != NULL && s->tick_open && !s->stopping && !uv_is_active((uv_handle_t *)&s->tick))
        (void)uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
}

void transfer_add(struct daemon *d, struct transfer *t, enum transfer_kind kind, const struct id *content,
                  const struct id *with, const char *peer, const struct transfer_actions *actions)
{
    struct transfers *s = d->transfers;
    const struct track *track = library_find(d, content->bytes);
    t->daemon = d;
    t->actions = actions;
    t->number = transfers_number_take(s);
    t->kind = kind;
    t->state = TRANSFER_WAITING;
    t->content = *content;
    t->with = *with;
    if (track != NULL && track->has_info)
        CODEC_SET_TEXT(t->title, track->title);
    else
        id_short(content->bytes, t->title);
    CODEC_SET_TEXT(t->peer, peer);
    transfer_table_add(&s->table, t);
    transfers_hold(s);
    transfers_wake(d);
}

static void free_if_gone(struct transfer *t)
{
    if (!t->gone || t->holds > 0)
        return;
    struct transfers *s = t->daemon->transfers;
    t->actions->free(t);
    transfers_release(s);
}

void transfer_hold(struct transfer *t) { t->holds++; }

void transfer_release(struct transfer *t)
{
    t->holds--;
    free_if_gone(t);
}

static void unlink_transfer(struct transfers *s, struct transfer *t)
{
    transfer_table_remove(&s->table, t);
    t->gone = true;
    free_if_gone(t);
}

/* Beyond so many those that ended first, and what has ended long ago. */
static void forget_ended(struct transfers *s)
{
    int64_t before_ms = transfers_now_ms(s->daemon) - ENDED_KEPT_MS;
    while (s->table.ended != NULL && (s->table.ended_count > ENDED_KEPT || s->table.ended->moved_ms < before_ms))
        unlink_transfer(s, s->table.ended);
}

struct transfer *transfers_find(struct daemon *d, enum transfer_kind kind, const struct id *content,
                                const struct id *with)
{
    for (struct transfer *t = transfers_of(d, content); t != NULL; t = transfer_next_of(t))
        if (t->kind == kind && !transfer_has_ended(t) && (with == NULL || id_equal(t->with.bytes, with->bytes)))
            return t;
    return NULL;
}

struct transfer *transfers_incoming(struct daemon *d, const struct id *content)
{
    static const enum transfer_kind kinds[] = { TRANSFER_DOWNLOAD, TRANSFER_COPY_IN, TRANSFER_MOVE_IN, TRANSFER_FETCH };
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct transfer *t = transfers_find(d, kinds[i], content, NULL);
        if (t != NULL)
            return t;
    }
    return NULL;
}

uint32_t transfers_count(const struct daemon *d)
{
    uint32_t count = 0;
    for (const struct transfer *t = d->transfers == NULL ? NULL : d->transfers->table.first; t != NULL; t = t->next)
        count += !transfer_has_ended(t);
    return count;
}

void transfers_waiting(const struct daemon *d, uint32_t *count, bool *wants_room)
{
    *count = 0;
    *wants_room = false;
    for (const struct transfer *t = d->transfers == NULL ? NULL : d->transfers->table.first; t != NULL; t = t->next) {
        *count += t->state == TRANSFER_WAITING;
        *wants_room |= t->state == TRANSFER_WAITING && t->reason == REASON_STORAGE_FULL && t->kind == TRANSFER_DOWNLOAD;
    }
}

/* ---- watchers ------------------------------------------------------------------------------------------------ */

int transfer_watch(struct transfer *t, const struct transfer_watch *watch)
{
    struct transfer_watcher *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    w->watch = *watch;
    w->next = t->watchers;
    t->watchers = w;
    return 0;
}

void transfer_tell(struct transfer *t, enum reason why, const char *detail)
{
    struct transfer_watcher *w = steal(&t->watchers);
    transfer_hold(t);
    while (w != NULL) {
        struct transfer_watcher *next = w->next;
        w->watch.on_end(t, why, detail, w->watch.ctx);
        free(w);
        w = next;
    }
    transfer_release(t);
}

static void say(struct transfer *t, const char *text)
{
    for (struct transfer_watcher *w = t->watchers; w != NULL; w = w->next)
        if (w->watch.on_progress != NULL)
            w->watch.on_progress(t, text, w->watch.ctx);
}

void transfer_say(struct transfer *t, const char *format, ...)
{
    char text[192], safe[128];
    va_list args;
    if (t->watchers == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    CODEC_SET_TEXT(safe, text);
    say(t, safe);
}

void transfer_progress(struct transfer *t, uint64_t done_bytes, uint64_t total_bytes)
{
    int64_t now_ms = transfers_now_ms(t->daemon);
    if (done_bytes != t->done_bytes)
        t->moved_ms = now_ms;
    meter_note(&t->meter, done_bytes, now_ms);
    t->done_bytes = done_bytes;
    t->total_bytes = total_bytes;
    if (t->watchers == NULL || (now_ms - t->progress_ms < PROGRESS_MS && done_bytes < total_bytes))
        return;
    t->progress_ms = now_ms;
    say(t, t->title);
}

void transfer_set_state(struct transfer *t, enum transfer_state state, enum reason why, const char *detail)
{
    struct transfers *s = t->daemon->transfers;
    if (transfer_has_ended(t))
        return;
    t->state = state;
    t->reason = why;
    t->waits_for[0] = '\0';
    t->meter = (struct meter){ 0 };
    t->moved_ms = transfers_now_ms(t->daemon);
    if (!transfer_has_ended(t)) {
        transfers_wake(t->daemon);
        return;
    }
    transfer_hold(t);
    transfer_table_end(&s->table, t);
    if (state == TRANSFER_FAILED)
        log_info("a transfer has failed number=%u reason=%s", t->number, reason_code(why));
    transfer_tell(t, state == TRANSFER_CANCELLED ? REASON_CANCELLED : why, detail);
    forget_ended(s);
    transfer_release(t);
}

/* ---- control ------------------------------------------------------------------------------------------------- */

static void sources_of(const struct transfer *t, ctl_TransferRow *row)
{
    struct receive_source_view views[ARRAY_COUNT(row->sources)];
    const struct receive_run *run = t->actions->run != NULL ? t->actions->run(t) : NULL;
    if (run == NULL)
        return;
    row->sources_count = (pb_size_t)receive_run_sources(run, views, ARRAY_COUNT(views));
    for (pb_size_t i = 0; i < row->sources_count; i++) {
        row->sources[i].bytes = views[i].brought_bytes;
        row->sources[i].rate = views[i].rate;
        row->sources[i].has_still_ms = views[i].still_ms >= STILL_MS;
        row->sources[i].still_ms = row->sources[i].has_still_ms ? (uint64_t)views[i].still_ms : 0;
        CODEC_SET_TEXT(row->sources[i].name, views[i].name);
    }
}

static void row_of(const struct transfer *t, ctl_TransferRow *row)
{
    *row = (ctl_TransferRow){
        .number = t->number,
        .kind = (uint32_t)t->kind,
        .state = (uint32_t)t->state,
        .done_bytes = t->done_bytes,
        .total_bytes = t->total_bytes,
        .has_reason = t->reason != REASON_NONE,
        .has_merges = t->merges,
        .merges = t->merges,
    };
    memcpy(row->content, t->content.bytes, sizeof(row->content));
    CODEC_SET_TEXT(row->title, t->title);
    CODEC_SET_TEXT(row->peer, t->peer);
    int64_t still_ms = transfers_now_ms(t->daemon) - t->moved_ms;
    bool runs = t->state == TRANSFER_RUNNING && t->total_bytes > 0;
    row->has_still_ms = runs && still_ms >= STILL_MS;
    row->still_ms = row->has_still_ms ? (uint64_t)still_ms : 0;
    row->has_rate = row->has_left_ms = runs && !row->has_still_ms && t->meter.rate > 0;
    row->rate = row->has_rate ? t->meter.rate : 0;
    row->left_ms = row->has_rate ? (t->total_bytes - u64_min(t->done_bytes, t->total_bytes)) * 1000 / t->meter.rate : 0;
    if (row->has_reason)
        CODEC_SET_TEXT(row->reason, reason_code(t->reason));
    row->has_waits_for = t->state == TRANSFER_WAITING && row->has_reason;
    if (row->has_waits_for)
        CODEC_SET_TEXT(row->waits_for, t->waits_for[0] != '\0' ? t->waits_for : t->peer);
    sources_of(t, row);
}

static void call_on_progress(const struct transfer *t, const char *text, void *ctx)
{
    call_progress(ctx, t->done_bytes, t->total_bytes, "%s", text);
}

void transfer_tell_charged(const struct transfer *t, struct call *c)
{
    ctl_Charged row = { .amount = t->charged };
    CODEC_SET_TEXT(row.currency, t->currency);
    if (t->charged > 0)
        CALL_ROW(c, CHARGED, Charged, &row);
}

static void call_on_end(const struct transfer *t, enum reason why, const char *detail, void *ctx)
{
    struct call *c = ctx;
    const struct track *track = library_find(t->daemon, t->content.bytes);
    if (why != REASON_NONE) {
        call_refuse(c, why, detail);
        return;
    }
    transfer_tell_charged(t, c);
    if (t->kind == TRANSFER_COPY_OUT || t->kind == TRANSFER_MOVE_OUT || track == NULL) {
        ctl_TransferRow row;
        row_of(t, &row);
        CALL_ROW(c, TRANSFER_ROW, TransferRow, &row);
    } else {
        ctl_TrackRow row;
        library_row(t->daemon, track, 0, &row);
        CALL_ROW(c, TRACK_ROW, TrackRow, &row);
    }
    call_finish(c);
}

int transfer_watch_call(struct transfer *t, struct call *c)
{
    struct transfer_watch watch = { call_on_progress, call_on_end, c };
    return transfer_watch(t, &watch);
}

void transfers_get(struct daemon *d, struct call *c, const void *message)
{
    (void)message;
    forget_ended(d->transfers);
    for (const struct transfer *t = d->transfers->table.first; t != NULL; t = t->next) {
        ctl_TransferRow row;
        row_of(t, &row);
        CALL_ROW(c, TRANSFER_ROW, TransferRow, &row);
    }
    call_finish(c);
}

enum { PAUSE = 1, RESUME = 2, CANCEL = 3 };

void transfer_control(struct daemon *d, struct call *c, const void *message)
{
    const ctl_TransferControl *m = message;
    struct transfer *t = d->transfers->table.first;
    while (t != NULL && t->number != m->number)
        t = t->next;
    if (t == NULL) {
        call_refuse(c, REASON_NOT_FOUND, "There is no transfer of this number: hearth transfers --all lists them.");
        return;
    }
    void (*action)(struct transfer *) = m->action == PAUSE    ? t->actions->pause
                                        : m->action == RESUME ? t->actions->resume
                                        : m->action == CANCEL ? t->actions->cancel
                                                              : NULL;
    if (action == NULL) {
        call_refuse(c, REASON_NOT_PERMITTED, NULL);
        return;
    }
    if (transfer_has_ended(t)) {
        call_refuse(c, REASON_ALREADY, "This transfer has ended.");
        return;
    }
    if (t->reason == REASON_CANCELLED && m->action != CANCEL) {
        call_refuse(c, REASON_ALREADY, "This transfer is being cancelled.");
        return;
    }
    transfer_hold(t);
    if (!(m->action == PAUSE && t->state == TRANSFER_PAUSED) && !(m->action == RESUME && t->state != TRANSFER_PAUSED))
        action(t);
    ctl_TransferRow row;
    row_of(t, &row);
    CALL_ROW(c, TRANSFER_ROW, TransferRow, &row);
    call_finish(c);
    transfer_release(t);
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

void transfers_hold(struct transfers *s) { s->holds++; }

void transfers_release(struct transfers *s)
{
    if (--s->holds > 0)
        return;
    s->daemon->transfers = NULL;
    serve_free(s->serve);
    syncer_free(s->shared.syncer);
    bunch_free(s->shared.bunch);
    turns_free(s->shared.turns);
    copies_done_free(&s->copies_done);
    transfer_table_deinit(&s->table);
    free(s);
}

static int path_of(void *ctx, const struct id *content, char *path, size_t cap)
{
    struct daemon *d = ctx;
    const struct track *t = library_find(d, content->bytes);
    if (t == NULL || !t->has_body)
        return REASON_UNKNOWN_CONTENT;
    return library_body_path(d, content, ".body", path, cap);
}

int transfers_start(struct daemon *d)
{
    struct transfers *s CLEANUP(freep) = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    int r = serve_new(&s->serve, d->loop, path_of, d);
    if (r != 0)
        return r;
    r = syncer_new(&s->shared.syncer, d->loop, d->config.bodies_dir);
    if (r == 0)
        r = bunch_new(&s->shared.bunch, d->loop);
    if (r == 0)
        r = turns_new(&s->shared.turns);
    if (r == 0)
        r = transfer_table_init(&s->table);
    if (r == 0)
        r = http_new(&s->http, d->loop, d->config.ca_file);
    if (r == 0)
        r = shelf_teller_new(d, &s->teller);
    if (r != 0) {
        http_free(s->http);
        transfer_table_deinit(&s->table);
        turns_free(s->shared.turns);
        bunch_free(s->shared.bunch);
        syncer_free(s->shared.syncer);
        serve_free(s->serve);
        return r;
    }
    serve_set_bunch(s->serve, s->shared.bunch);
    serve_set_pace(s->serve, &d->sending, d->clock);
    s->daemon = d;
    transfers_numbers_start(s);
    s->holds = 1; /* the tick */
    (void)uv_timer_init(d->loop, &s->tick);
    s->tick.data = s;
    s->tick_open = true;
    d->transfers = steal(&s);
    links_start(d);
    r = downloads_start(d);
    return r == 0 ? copies_start(d) : r;
}

static void on_tick_closed(uv_handle_t *handle) { transfers_release(handle->data); }

void transfers_stop(struct daemon *d)
{
    struct transfers *s = d->transfers;
    if (s == NULL || s->stopping)
        return;
    transfers_hold(s);
    transfers_numbers_stop(s);
    s->stopping = true;
    s->tick_open = false;
    uv_close((uv_handle_t *)&s->tick, on_tick_closed);
    fetches_stop(d);
    shelves_stop(d);
    shelf_teller_free(steal(&s->teller));
    while (s->table.first != NULL) {
        struct transfer *t = s->table.first;
        transfer_hold(t);
        transfer_tell(t, REASON_CANCELLED, "hearthd is ending; the transfer goes on when it starts again.");
        if (t->actions->stop != NULL)
            t->actions->stop(t);
        unlink_transfer(s, t);
        transfer_release(t);
    }
    links_stop(d);
    http_free(steal(&s->http));
    transfers_release(s);
}
