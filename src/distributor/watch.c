/* Callbacks: the timers below, each submitting at most one job at a time; run_* on the writer thread, on_*_done on the loop. */
#define LOG_MODULE "watch"
#include "distributor/watch.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "distributor/announce.h"
#include "distributor/delegations.h"
#include "distributor/directory_client.h"
#include "distributor/directory_db.h"
#include "distributor/erase.h"
#include "distributor/findings.h"
#include "distributor/keyset.h"
#include "distributor/lobby.h"
#include "distributor/partners.h"
#include "distributor/rekey.h"
#include "distributor/renew.h"
#include "distributor/serving.h"
#include "distributor/share.h"
#include "distributor/share_chain.h"

#define LOOK_MS 1000      /* for changes by others */
#define SWEEP_USER_MS 5   /* until the next sweep, for each user who is connected */
#define TICK_MS 30000     /* the database's periodic work */
#define CHECKPOINT_MS 250 /* its sync holds up those of the writer: rather often and little each time */
#define CHECKPOINTS_A_SCRUB 8
#define SAY_MS 60000     /* that keys are old */
#define LOG_PAGES 131072 /* 512 MiB: a longer log is begun anew. It takes a sync of the database, so not too often */
#define CHECK_MS 4000
#define CHECK_LOOKS 5

struct watch {
    struct server *server;
    uv_timer_t look_timer, tick_timer, checkpoint_timer;
    int handles_open;
    void (*on_stopped)(struct server *);
    bool stopping;

    struct writer_job look_job, tick_job;
    bool look_runs, tick_runs;
    struct serving serving;
    int64_t noted_ms; /* wall; of it */
    struct writer_job leave_job;
    bool leaves, notes;
    uint64_t version, seen; /* of the database, as others change it; seen: by a look that may be undone */
    bool has_version, changed, keyset_changed;
    bool sweep_due; /* everybody's roster is to be looked at */
    int64_t sweep_after_ms;
    enum keys_age said; /* in the log */
    int64_t say_after_ms;
    struct renew_reading look_reading, tick_reading;
    char (*touched)[OPERATIONS_NAME_BYTES];
    size_t touched_count;

    /* `directory check`: wanted by the operator's command, asked, done. */
    uint64_t check_wanted, check_done;
    enum { CHECK_NOT, CHECK_ASKING, CHECK_DIRECTORY, CHECK_ENDING } check;
    unsigned check_looks;
    bool check_has_directory;
    struct writer_job check_job;

    uv_work_t checkpoint_work;
    bool checkpoint_runs, log_is_long;
    unsigned checkpoints;
    struct operations *checkpoint_ops; /* a connection of its own, used on the pool by one work item at a time */
    struct store *directory_store;     /* likewise; NULL when this is no directory */
};

static void stopped_when_idle(struct watch *w)
{
    if (w->stopping && w->handles_open == 0 && (w->check == CHECK_NOT || w->check == CHECK_DIRECTORY) && !w->leaves &&
        !w->look_runs && !w->tick_runs && !w->checkpoint_runs && w->on_stopped != NULL) {
        struct server *server = w->server;
        void (*on_stopped)(struct server *) = steal(&w->on_stopped);
        operations_close(w->checkpoint_ops);
        store_close(w->directory_store);
        renew_reading_free(&w->look_reading);
        renew_reading_free(&w->tick_reading);
        free(w->touched);
        server->watch = NULL;
        free(w);
        watch_looked(server);
        on_stopped(server);
    }
}

/* --- What the admin's commands changed ------------------------------------------------------------------------------ */

/* A distributor that is connected to us and no partner any more. */
struct partner_check {
    struct writer_job job;
    struct server *server;
    struct id id;
};

static int run_partner_check(struct writer_job *job, void *database)
{
    struct partner_check *c = container_of(job, struct partner_check, job);
    struct partner partner;
    int r = delegations_partner_find(database, &c->id, &partner);
    if (r == OPERATIONS_ABSENT || (r == 0 && partner.withdrawn))
        return REASON_NOT_PERMITTED;
    return r;
}

static void hang_up(struct session *s, void *ctx)
{
    const struct id *id = ctx;
    if (id_equal(s->id.bytes, id->bytes))
        peer_close(s->peer, REASON_NOT_PERMITTED);
}

static void on_partner_checked(struct writer_job *job, int outcome)
{
    struct partner_check *c = container_of(job, struct partner_check, job);
    if (outcome == REASON_NOT_PERMITTED)
        lobby_visit_distributors(c->server->lobby, hang_up, &c->id);
    free(c);
}

static void check_partner(struct session *s, void *ctx)
{
    struct server *server = ctx;
    if (id_equal(s->id.bytes, server->keys->self.bytes))
        return;
    struct partner_check *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return;
    c->job = (struct writer_job){ .run = run_partner_check, .on_done = on_partner_checked };
    c->server = server;
    c->id = s->id;
    writer_submit(server->reader, &c->job);
}

/* --- `directory check` --------------------------------------------------------------------------------------------- */

static int run_check_end(struct writer_job *job, void *database)
{
    struct watch *w = container_of(job, struct watch, check_job);
    int64_t now_ms = clock_wall_ms(w->server->clock), patience_ms = 0;
    int r = operations_setting_i64(database, "directory-patience", &patience_ms);
    if (r == 0)
        r = share_progress_judge(database, w->check_has_directory, patience_ms * 1000, now_ms);
    if (r == 0)
        r = findings_flush(database, now_ms);
    return r == 0 ? share_check_set(database, SHARE_CHECK_DONE, w->check_wanted) : r;
}

static void on_check_ended(struct writer_job *job, int outcome)
{
    struct watch *w = container_of(job, struct watch, check_job);
    w->check = CHECK_NOT;
    if (outcome == 0)
        w->check_done = w->check_wanted;
    stopped_when_idle(w);
}

static void check_end(struct watch *w)
{
    w->check = CHECK_ENDING;
    w->check_has_directory = directory_client_is_ready(w->server->directory_client);
    w->check_job = (struct writer_job){ .run = run_check_end, .on_done = on_check_ended };
    writer_submit(w->server->writer, &w->check_job);
}

static void on_directory_asked(void *ctx) { check_end(ctx); }

static void on_partners_asked(void *ctx)
{
    struct watch *w = ctx;
    w->check = CHECK_DIRECTORY;
    w->check_looks = 0;
    stopped_when_idle(w);
}

/* Partners first; meanwhile the directory is connected anew; then all it has. Once a second. */
static void check_go_on(struct watch *w)
{
    struct server *server = w->server;
    if (w->check == CHECK_NOT && w->check_wanted > w->check_done && !w->stopping) {
        w->check = CHECK_ASKING;
        directory_client_check(server->directory_client);
        if (partners_ask_everyone(server->partners, CHECK_MS, on_partners_asked, w) != 0)
            on_partners_asked(w);
    } else if (w->check == CHECK_DIRECTORY) {
        w->check = CHECK_ENDING;
        if (directory_client_ask(server->directory_client, on_directory_asked, w) == 0)
            return;
        if (!directory_client_is_set(server->directory_client) || ++w->check_looks >= CHECK_LOOKS)
            check_end(w);
        else
            w->check = CHECK_DIRECTORY;
    }
}

static int run_look(struct writer_job *job, void *database)
{
    struct watch *w = container_of(job, struct watch, look_job);
    struct operations *o = database;
    uint64_t version;
    int r = store_outside_version(o->store, &version);
    if (r != 0)
        return r;
    w->changed = !w->has_version || version != w->version;
    w->seen = version;
    int64_t now_ms = clock_wall_ms(w->server->clock);
    w->notes = w->serving.shared && (now_ms < w->noted_ms || now_ms - w->noted_ms >= SERVING_EVERY_MS);
    r = w->notes ? serving_note(o, &w->serving, now_ms) : 0;
    if (r == 0)
        r = findings_flush(o, now_ms);
    if (r == 0 && w->changed)
        r = share_check(o, SHARE_CHECK_WANTED, &w->check_wanted);
    return r == 0 && (w->changed || renew_is_due(&w->look_reading))
               ? renew_read(o, clock_wall_ms(w->server->clock), &w->look_reading)
               : r;
}

/* Other servers over the same database may change something every second: looking at everybody's roster takes a tenth of the writer's time at
 * most. */
static void sweep_in_time(struct watch *w)
{
    struct server *server = w->server;
    int64_t now_ms = clock_mono_ms(server->clock);
    if (!w->sweep_due || now_ms < w->sweep_after_ms)
        return;
    w->sweep_due = false;
    w->sweep_after_ms = now_ms + SWEEP_USER_MS * (int64_t)lobby_users(server->lobby)->count;
    announce_everybody(server->announce);
}

/* When it begins and ends, and every minute meanwhile. */
static void say_age(struct watch *w)
{
    char text[KEYS_AGE_TEXT_BYTES];
    const struct keys_ages *ages = &w->look_reading.ages;
    int64_t now_ms = clock_mono_ms(w->server->clock);
    enum keys_age before = w->said;
    if (ages->of[0] == before && (before == KEYS_NEWEST || now_ms < w->say_after_ms))
        return;
    w->said = ages->of[0];
    w->say_after_ms = now_ms + SAY_MS;
    if (w->said == KEYS_GONE)
        log_error("%s", keys_ages_text(ages, text));
    else if (w->said == KEYS_FORMER)
        log_warn("%s", keys_ages_text(ages, text));
    else
        log_info("keys/ here has the keys that count");
}

static void on_look_done(struct writer_job *job, int outcome)
{
    struct watch *w = container_of(job, struct watch, look_job);
    struct server *server = w->server;
    w->look_runs = false;
    if (outcome == 0 && w->notes)
        w->noted_ms = clock_wall_ms(server->clock);
    if (outcome == 0) {
        w->version = w->seen;
        w->has_version = true;
        w->sweep_due |= w->changed;
    }
    if (outcome == 0 && !w->stopping) {
        renew_take(server, &w->look_reading);
        say_age(w);
        sweep_in_time(w);
        rekey_look(server->rekey, w->changed);
    }
    if (outcome == 0 && w->changed && !w->stopping) {
        lobby_visit_distributors(server->lobby, check_partner, server);
        directory_client_reload(server->directory_client);
        directory_client_poke(server->directory_client);
        partners_refresh(server->partners);
    } else if (outcome != 0 && outcome != -ECANCELED) {
        log_warn("cannot look at the database errno=%d", -outcome);
    }
    if (outcome == 0)
        check_go_on(w);
    if (!w->stopping) {
        watch_looked(server);
        partners_compare(server->partners);
    }
    stopped_when_idle(w);
}

static void on_look(uv_timer_t *t)
{
    struct watch *w = container_of(t, struct watch, look_timer);
    if (w->look_runs)
        return;
    w->look_runs = true;
    w->look_job = (struct writer_job){ .run = run_look, .on_done = on_look_done, .always = true };
    writer_submit(w->server->writer, &w->look_job);
}

/* --- Periodic work -------------------------------------------------------------------------------------------------- */

static int run_tick(struct writer_job *job, void *database)
{
    struct watch *w = container_of(job, struct watch, tick_job);
    w->keyset_changed = false;
    int r = operations_tick(database, clock_wall_ms(w->server->clock), &w->keyset_changed);
    int collected = announce_collect(database, &w->touched, &w->touched_count);
    if (r == 0 && w->keyset_changed)
        r = renew_read(database, clock_wall_ms(w->server->clock), &w->tick_reading);
    return r == 0 ? collected : r;
}

static void on_tick_done(struct writer_job *job, int outcome)
{
    struct watch *w = container_of(job, struct watch, tick_job);
    w->tick_runs = false;
    if (outcome == 0 && w->keyset_changed)
        renew_take(w->server, &w->tick_reading);
    if (outcome == 0)
        announce_users(w->server->announce, w->touched, w->touched_count);
    else if (outcome != -ECANCELED && outcome != -EKEYREVOKED)
        log_warn("periodic work failed outcome=%d", outcome);
    free(w->touched);
    w->touched = NULL;
    w->touched_count = 0;
    if (!w->stopping) {
        directory_client_poke(w->server->directory_client);
        partners_refresh(w->server->partners);
    }
    stopped_when_idle(w);
}

static void on_tick(uv_timer_t *t)
{
    struct watch *w = container_of(t, struct watch, tick_timer);
    if (w->tick_runs)
        return;
    w->tick_runs = true;
    w->tick_job = (struct writer_job){ .run = run_tick, .on_done = on_tick_done };
    writer_submit(w->server->writer, &w->tick_job);
}

static void checkpoint(uv_work_t *work)
{
    struct watch *w = container_of(work, struct watch, checkpoint_work);
    bool scrub = w->checkpoints++ % CHECKPOINTS_A_SCRUB == 0;
    uint64_t log_pages = 0;
    int r = store_checkpoint(w->checkpoint_ops->store, &log_pages);
    w->log_is_long = r == 0 && log_pages > LOG_PAGES;
    if (r == 0 && scrub)
        r = erase_scrub(w->checkpoint_ops);
    if (r == 0 && scrub && w->directory_store != NULL)
        r = directory_db_scrub(w->directory_store);
    if (r != 0 && r != -EBUSY)
        log_warn("the write-ahead log stays errno=%d", -r);
}

static void on_checkpointed(uv_work_t *work, int status)
{
    struct watch *w = container_of(work, struct watch, checkpoint_work);
    (void)status;
    w->checkpoint_runs = false;
    if (w->log_is_long && w->server->writer != NULL)
        writer_checkpoint(w->server->writer);
    stopped_when_idle(w);
}

static void on_checkpoint(uv_timer_t *t)
{
    struct watch *w = container_of(t, struct watch, checkpoint_timer);
    if (!w->checkpoint_runs)
        w->checkpoint_runs = uv_queue_work(&w->server->loop, &w->checkpoint_work, checkpoint, on_checkpointed) == 0;
}

/* --- Life ----------------------------------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *h)
{
    struct watch *w = h->data;
    w->handles_open--;
    stopped_when_idle(w);
}

static int start_timer(struct watch *w, uv_timer_t *t, uv_timer_cb on_time, uint64_t first_ms, uint64_t every_ms)
{
    uv_timer_init(&w->server->loop, t);
    t->data = w;
    w->handles_open++;
    return uv_timer_start(t, on_time, first_ms, every_ms);
}

static int open_directory(struct watch *w)
{
    char path[PATH_MAX];
    int r = file_join(path, sizeof(path), w->server->config.state_dir, "directory.db");
    return r == 0 ? directory_db_open(&w->directory_store, path) : r;
}

int watch_start(struct watch **out, struct server *server)
{
    struct watch *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    w->server = server;
    w->look_reading = renew_reading();
    w->tick_reading = renew_reading();
    int r = operations_open(&w->checkpoint_ops, server->config.state_dir, server->keys, server->rng,
                            OPERATIONS_NO_AUTO_CHECKPOINT);
    if (r == 0 && server->directory != NULL)
        r = open_directory(w);
    if (r != 0) {
        operations_close(w->checkpoint_ops);
        free(w);
        return r > 0 ? -EUCLEAN : r;
    }
    r = serving_init(&w->serving, server->config.state_dir, server->rng);
    if (r != 0)
        log_warn("others over this database will not know of this server errno=%d", -r);
    *out = w; /* from here watch_stop undoes */
    r = start_timer(w, &w->look_timer, on_look, 0, LOOK_MS);
    int r2 = start_timer(w, &w->tick_timer, on_tick, 0, TICK_MS);
    int r3 = start_timer(w, &w->checkpoint_timer, on_checkpoint, CHECKPOINT_MS, CHECKPOINT_MS);
    return r != 0 ? r : r2 != 0 ? r2 : r3;
}

static int run_leave(struct writer_job *job, void *database)
{
    return serving_end(database, &container_of(job, struct watch, leave_job)->serving);
}

static void on_left(struct writer_job *job, int outcome)
{
    struct watch *w = container_of(job, struct watch, leave_job);
    (void)outcome; /* it is forgotten by itself */
    w->leaves = false;
    stopped_when_idle(w);
}

void watch_stop(struct watch *w, void (*on_stopped)(struct server *), struct server *server)
{
    if (w == NULL) {
        on_stopped(server);
        return;
    }
    w->stopping = true;
    w->on_stopped = on_stopped;
    w->leaves = true;
    w->leave_job = (struct writer_job){ .run = run_leave, .on_done = on_left, .always = true };
    writer_submit(server->writer, &w->leave_job);
    uv_close((uv_handle_t *)&w->look_timer, on_handle_closed);
    uv_close((uv_handle_t *)&w->tick_timer, on_handle_closed);
    uv_close((uv_handle_t *)&w->checkpoint_timer, on_handle_closed);
}
