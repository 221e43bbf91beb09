/* Callbacks, in the order in which they fire: run_pull or run_push (the directory's thread), on_pull_done, on_tick (pulls
 * whose time is over). Jobs end in the order in which they ran, so a pull that saw nothing is parked before the push that
 * came after it wakes the parked ones: no wake-up is lost. */
#define LOG_MODULE "directory"
#include "distributor/directory.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "distributor/directory_db.h"
#include "distributor/directory_rows.h"
#include "distributor/exchange.h"

#define TICK_MS 200
#define PULLS_MAX 4 /* of one member */

struct directory_pull {
    struct writer_job job;
    struct directory_pull *next; /* of its session */
    struct directory *directory;
    struct session *session; /* NULL: gone, or answered */
    uint32_t request;
    uint64_t after, position;
    int64_t deadline_ms;
    bool parked; /* waits for rows; otherwise its job runs */
    struct buf rows;
    uint32_t count;
    struct directory_pull *next_parked;
};
struct directory {
    struct server *server;
    struct store *store;
    struct writer *writer;
    struct directory_pull *parked;
    uv_timer_t tick;
    void (*on_stopped)(struct server *);
};

/* --- Pulls ----------------------------------------------------------------------------------------------------------- */

static void pull_free(struct directory_pull *p)
{
    if (p->session != NULL) {
        struct directory_pull **at = &p->session->pull;
        while (*at != p)
            at = &(*at)->next;
        *at = p->next;
    }
    buf_free(&p->rows);
    free(p);
}

static void unpark(struct directory_pull *p)
{
    struct directory_pull **at = &p->directory->parked;
    while (*at != p)
        at = &(*at)->next_parked;
    *at = p->next_parked;
    p->parked = false;
}

static void answer(struct directory_pull *p)
{
    struct peer *peer = p->session->peer;
    msg_SharePulled pulled = { .next = p->position, .count = p->count };
    size_t len = p->rows.len;
    uint8_t *rows = steal(&p->rows.data);
    if (peer_send_owned(peer, msg_Type_SHARE_PULLED, p->request, msg_SharePulled_fields, &pulled, rows, len) != 0)
        peer_close(peer, REASON_INTERNAL);
    p->rows = buf(0);
    pull_free(p);
}

static void on_tick(uv_timer_t *t)
{
    struct directory *d = container_of(t, struct directory, tick);
    int64_t now_ms = clock_mono_ms(d->server->clock);
    if (d->parked == NULL)
        uv_timer_stop(t);
    struct directory_pull *next;
    for (struct directory_pull *p = d->parked; p != NULL; p = next) {
        next = p->next_parked;
        if (now_ms < p->deadline_ms)
            continue;
        unpark(p);
        answer(p);
    }
}

static int run_pull(struct writer_job *job, void *database)
{
    struct directory_pull *p = container_of(job, struct directory_pull, job);
    buf_free(&p->rows);
    return directory_db_read(database, p->after, DIRECTORY_PULL_ROWS, &p->rows, &p->count, &p->position);
}

static void on_pull_done(struct writer_job *job, int outcome)
{
    struct directory_pull *p = container_of(job, struct directory_pull, job);
    struct directory *d = p->directory;
    if (p->session == NULL) {
        pull_free(p);
    } else if (outcome != 0) {
        session_refuse(p->session, p->request, outcome < 0 ? reason_of_error(outcome) : REASON_INTERNAL, NULL,
                       slice(NULL, 0));
        pull_free(p);
    } else if (p->count > 0 || clock_mono_ms(d->server->clock) >= p->deadline_ms) {
        answer(p);
    } else {
        p->parked = true;
        p->next_parked = d->parked;
        d->parked = p;
        if (!uv_is_active((uv_handle_t *)&d->tick))
            uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS);
    }
}

static void look(struct directory_pull *p)
{
    p->job = (struct writer_job){ .run = run_pull, .on_done = on_pull_done };
    writer_submit(p->directory->writer, &p->job);
}

void directory_wake(struct directory *d)
{
    while (d != NULL && d->parked != NULL) {
        struct directory_pull *p = d->parked;
        unpark(p);
        look(p);
    }
}

static void start_pull(struct session *s, uint32_t request, const msg_SharePull *wanted)
{
    struct directory *d = s->server->directory;
    struct directory_pull *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        session_refuse(s, request, REASON_INTERNAL, NULL, slice(NULL, 0));
        return;
    }
    p->directory = d;
    p->session = s;
    p->request = request;
    p->after = wanted->after;
    p->deadline_ms = clock_mono_ms(d->server->clock) + (int64_t)u64_min(wanted->wait_ms, DIRECTORY_WAIT_MAX_MS);
    p->rows = buf(DIRECTORY_PULL_BYTES);
    p->next = s->pull;
    s->pull = p;
    look(p);
}

bool directory_pull_frame(struct session *s, const struct frame *f)
{
    if (f->type != msg_Type_SHARE_PULL || s->server->directory == NULL || s->role != REQUESTS_DISTRIBUTOR)
        return false;
    msg_SharePull wanted;
    size_t count = 0;
    for (const struct directory_pull *p = s->pull; p != NULL; p = p->next)
        count++;
    if (CODEC_DECODE(msg_SharePull, f->message, &wanted) != 0 || wanted.after > INT64_MAX)
        session_refuse(s, f->request, REASON_MALFORMED, NULL, slice(NULL, 0));
    else if (count >= PULLS_MAX)
        session_refuse_later(s, f->request, TICK_MS);
    else
        start_pull(s, f->request, &wanted);
    return true;
}

void directory_session_closed(struct session *s)
{
    while (s->pull != NULL) {
        struct directory_pull *p = s->pull;
        s->pull = p->next;
        p->session = NULL;
        if (p->parked) {
            unpark(p);
            pull_free(p);
        } /* else its job frees it */
    }
}

/* --- Pushes ---------------------------------------------------------------------------------------------------------- */

static int run_push(struct writer_job *job, void *database)
{
    struct exchange *x = container_of(job, struct exchange, job);
    return directory_rows_push(database, &x->who, x->message, x->tail, &x->reply);
}

void directory_push(struct exchange *x, void (*on_done)(struct writer_job *job, int outcome))
{
    x->job = (struct writer_job){ .run = run_push, .on_done = on_done, .request = x->log_id };
    writer_submit(x->server->directory->writer, &x->job);
}

/* --- Life ------------------------------------------------------------------------------------------------------------ */

int directory_start(struct directory **out, struct server *server)
{
    char path[PATH_MAX];
    int r = file_join(path, sizeof(path), server->config.state_dir, "directory.db");
    if (r != 0)
        return r;
    struct directory *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return -ENOMEM;
    d->server = server;
    r = directory_db_open(&d->store, path);
    if (r == 0)
        r = writer_start(&d->writer, &server->loop,
                         &(struct writer_database){ .database = d->store, .store = d->store });
    if (r != 0) {
        store_close(d->store);
        free(d);
        return r;
    }
    uv_timer_init(&server->loop, &d->tick);
    *out = d;
    return 0;
}

static void on_tick_closed(uv_handle_t *h)
{
    struct directory *d = container_of((uv_timer_t *)(void *)h, struct directory, tick);
    struct server *server = d->server;
    void (*on_stopped)(struct server *) = d->on_stopped;
    store_close(d->store);
    server->directory = NULL;
    free(d);
    on_stopped(server);
}

static void on_writer_stopped(void *ctx)
{
    struct directory *d = ctx;
    uv_close((uv_handle_t *)&d->tick, on_tick_closed);
}

void directory_stop(struct directory *d, void (*on_stopped)(struct server *), struct server *server)
{
    if (d == NULL) {
        on_stopped(server);
        return;
    }
    d->on_stopped = on_stopped;
    writer_stop(d->writer, on_writer_stopped, d);
}
