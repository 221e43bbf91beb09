/* Two kinds of pulls: the long poll, and asking pulls for requests that wait. Both apply what they get in the writer thread; that
 * is idempotent, so they may overtake each other.
 * A probe comes first on a connection: it looks whether the row at the cursor is still there. What was read once is verified and stays; an order
 * that has changed (a directory put back from a backup, or one that lies) is read again from its beginning.
 * Callbacks, in the order in which they fire: on_pulled, run_apply (writer thread), on_applied; when there is no more run_caught_up or run_end and
 * their on_*. */
#define LOG_MODULE "directory-client"
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/announce.h"
#include "distributor/directory_client_internal.h"
#include "distributor/directory_member.h"
#include "distributor/lobby.h"
#include "distributor/older.h"
#include "distributor/partners.h"
#include "distributor/row_pace.h"
#include "distributor/share_own.h"

#define PULL_WAIT_MS 15000
#define PULL_TIMEOUT_MS (PULL_WAIT_MS + 10000)
#define ASK_TIMEOUT_MS 4000 /* a household waits for this one */

struct directory_ask {
    struct directory_ask *next;
    void (*on_done)(void *ctx);
    void *ctx;
};

/* One SHARE_PULL and what becomes of its answer. */
struct pull {
    struct writer_job job;
    struct directory_client *client;
    struct directory_ask *asks; /* who waits for it; NULL in the long poll */
    bool is_ask;
    bool had_learned; /* when the directory had no more (directory_member_end) */
    struct directory_page page;
    struct buf rows;
    char (*touched)[OPERATIONS_NAME_BYTES];
    size_t touched_count;
};

static int pull(struct directory_client *c, bool is_ask, bool is_probe, uint32_t wait_ms);
static void on_pace_looked(struct watch_waiting *w);

static void pull_free(struct pull *p)
{
    buf_free(&p->rows);
    free(p->touched);
    free(p);
}

static void tell_asks(struct directory_ask *asks)
{
    while (asks != NULL) {
        struct directory_ask *a = asks;
        asks = a->next;
        a->on_done(a->ctx);
        free(a);
    }
}

static void append_asks(struct directory_ask **list, struct directory_ask *more)
{
    while (*list != NULL)
        list = &(*list)->next;
    *list = more;
}

/* A member gives more rows than it may: the next ones are read when they may come, everybody's, since there is one order. What is needed meanwhile is asked
 * of partners themselves. */
static bool wait_for_pace(struct directory_client *c)
{
    if (!c->too_fast)
        return false;
    c->pace.on_looked = on_pace_looked;
    c->paced = c->paced || watch_wait(c->server, &c->pace);
    return c->paced;
}

static void on_pace_looked(struct watch_waiting *w)
{
    struct directory_client *c = container_of(w, struct directory_client, pace);
    c->paced = false;
    c->too_fast = row_pace_take(c->server, &c->fast, 0) > 0;
    if (c->ready && !c->stopping && !c->polls && !wait_for_pace(c))
        directory_pull_start(c, 0);
    directory_client_stopped_when_idle(c);
}

/* Those whose rows were read, and when the directory has no more of anybody's. One that gives the same again and again is asked once in a while. */
static void judge_pace(struct pull *p)
{
    struct directory_client *c = p->client;
    if (p->page.nothing_new && !c->too_fast) {
        c->too_fast = true;
        c->fast = c->id;
    }
    for (size_t i = 0; i < p->page.origin_count; i++)
        if (row_pace_take(c->server, &p->page.origins[i].id, p->page.origins[i].rows) > 0) {
            c->too_fast = true;
            c->fast = p->page.origins[i].id;
        }
}

static void on_pull_pause(uv_timer_t *pause)
{
    struct directory_client *c = pause->data;
    if (c->ready && !c->stopping && !c->polls && !wait_for_pace(c))
        directory_pull_start(c, PULL_WAIT_MS);
}

/* The next rows of the long poll, which has just brought some: those that come soon, together. */
static void poll_on(struct directory_client *c, uint32_t rows)
{
    uint64_t pause_ms = rows >= DIRECTORY_CLIENT_FULL ? 0 : directory_client_pause_ms(c, &c->pulled_ms);
    if (pause_ms > 0)
        (void)uv_timer_start(&c->pull_pause, on_pull_pause, pause_ms, 0);
    else
        directory_pull_start(c, 0);
}

/* more: the answer had rows, and the next ones may be there already. */
static void pull_end(struct pull *p, bool more)
{
    struct directory_client *c = p->client;
    uint32_t rows = p->page.count;
    struct directory_ask *asks = steal(&p->asks);
    bool is_ask = p->is_ask;
    bool usable = c->ready && !c->stopping;
    c->pulls--;
    c->polls = c->polls && is_ask;
    pull_free(p);
    if (!is_ask) {
        if (usable && !wait_for_pace(c)) {
            if (more)
                poll_on(c, rows);
            else
                directory_pull_start(c, PULL_WAIT_MS);
        }
    } else if (usable && more && !c->too_fast) { /* all of it, before anyone looks again */
        append_asks(&asks, steal(&c->asks));
        c->asks = steal(&asks);
        usable = pull(c, true, false, 0) == 0;
        c->asking = usable;
    } else {
        c->asking = usable && c->asks != NULL && pull(c, true, false, 0) == 0;
    }
    if (is_ask && !c->asking)
        append_asks(&asks, steal(&c->asks));
    tell_asks(asks);
    directory_client_stopped_when_idle(c);
}

/* --- Ours ------------------------------------------------------------------------------------------------------------ */

static int run_caught_up(struct writer_job *job, void *database)
{
    uint64_t held;
    (void)job;
    int r = share_own_finish(database, &held);
    if (r == 0)
        log_info("our own rows are back from the directory held=%llu", (unsigned long long)held);
    return r;
}

static void on_caught_up(struct writer_job *job, int outcome)
{
    struct pull *p = container_of(job, struct pull, job);
    struct directory_client *c = p->client;
    c->catches_up = outcome != 0;
    if (outcome == 0 && c->server->lobby != NULL)
        lobby_greet_again(c->server->lobby); /* those that came before their rows did */
    pull_end(p, false);
    directory_client_poke(c);
}

static void reads_again(struct directory_client *c)
{
    log_warn("reading everything again that the directory has");
    c->learned = false;
    c->whole = true;
    c->cursor = 0;
}

static int run_end(struct writer_job *job, void *database)
{
    struct pull *p = container_of(job, struct pull, job);
    struct directory_client *c = p->client;
    return directory_member_end(database, p->had_learned, !p->had_learned, clock_wall_ms(c->server->clock),
                                &p->page.reads_again);
}

static void on_end(struct writer_job *job, int outcome)
{
    struct pull *p = container_of(job, struct pull, job);
    bool again = outcome == 0 && p->page.reads_again;
    if (outcome != 0 && outcome != -ECANCELED)
        log_warn("what came of all rows could not be noted errno=%d", -outcome);
    if (again)
        reads_again(p->client);
    pull_end(p, again);
}

static int run_older(struct writer_job *job, void *database)
{
    struct pull *p = container_of(job, struct pull, job);
    return directory_member_is_older(database, clock_wall_ms(p->client->server->clock));
}

static void on_older(struct writer_job *job, int outcome)
{
    struct pull *p = container_of(job, struct pull, job);
    (void)outcome;
    struct server *server = p->client->server;
    p->client->ready = false;
    pull_end(p, false);
    older_stop(server);
}

static void then(struct pull *p, int (*run)(struct writer_job *, void *), void (*on_done)(struct writer_job *, int))
{
    p->job = (struct writer_job){ .run = run, .on_done = on_done };
    writer_submit(p->client->server->writer, &p->job);
}

/* --------------------------------------------------------------------------------------------------------------------- */

static int run_apply(struct writer_job *job, void *database)
{
    struct pull *p = container_of(job, struct pull, job);
    p->page.rows = buf_slice(&p->rows);
    int r = directory_member_take(database, &p->page, clock_wall_ms(p->client->server->clock));
    int collected = announce_collect(database, &p->touched, &p->touched_count);
    return r == 0 ? collected : r;
}

static void on_applied(struct writer_job *job, int outcome)
{
    struct pull *p = container_of(job, struct pull, job);
    struct directory_client *c = p->client;
    bool more = outcome == 0 && (p->page.count > 0 || p->page.reads_again);
    if (outcome == 0) {
        announce_users(c->server->announce, p->touched, p->touched_count);
        judge_pace(p);
        c->learned = c->learned || p->page.learned;
        c->whole = c->whole && !p->page.refused;
        partners_refresh(c->server->partners); /* a row may have announced a newer key block */
        if (p->page.reads_again) {
            c->resynced = true;
            reads_again(c);
        } else if (p->page.after <= c->cursor && p->page.next > c->cursor) {
            c->cursor = p->page.next;
        }
    } else if (outcome == SHARE_AHEAD) {
        then(p, run_older, on_older);
        return;
    } else if (outcome != -ECANCELED) {
        log_warn("shared rows could not be stored outcome=%d", outcome);
        if (c->ready)
            outgoing_close(c->outgoing, REASON_INTERNAL); /* and again, after a while */
        c->ready = false;
    }
    pull_end(p, more);
}

static void on_no_more(struct pull *p)
{
    struct directory_client *c = p->client;
    p->had_learned = c->learned;
    if (c->catches_up && !c->learned)
        then(p, run_caught_up, on_caught_up);
    else if (c->learned || c->whole)
        then(p, run_end, on_end);
    else
        pull_end(p, false);
    c->whole = false;
}

static bool on_pulled(struct peer *peer, const struct frame *reply, enum reason why, void *ctx)
{
    struct pull *p = ctx;
    msg_SharePulled pulled;
    if (reply == NULL) {
        log_debug("pull unanswered reason=%s", reason_code(why));
        if (why == REASON_TIMED_OUT) {
            p->client->ready = false;
            peer_close(peer, why);
        }
        pull_end(p, false);
        return false;
    }
    enum reason refused = peer_refusal(reply, msg_Type_SHARE_PULLED, NULL);
    if (refused == REASON_NONE &&
        (CODEC_DECODE(msg_SharePulled, reply->message, &pulled) != 0 || pulled.next < p->page.after))
        refused = REASON_MALFORMED;
    if (refused == REASON_NONE && buf_append(&p->rows, reply->tail) != 0)
        refused = REASON_INTERNAL;
    if (refused != REASON_NONE) {
        log_warn("the directory does not give rows reason=%s", reason_code(refused));
        p->client->ready = false;
        peer_close(peer, refused);
        pull_end(p, false);
        return false;
    }
    p->client->pulled = true;
    p->page.next = pulled.next;
    p->page.count = pulled.count;
    if (p->page.count == 0 && !p->page.is_probe) {
        p->client->caught_up_ms = clock_mono_ms(p->client->server->clock);
        row_pace_all_ended(p->client->server);
        on_no_more(p);
        return false;
    }
    p->job = (struct writer_job){ .run = run_apply, .on_done = on_applied };
    writer_submit(p->client->server->writer, &p->job);
    return false;
}

/* Asks for rows after the cursor; an asking pull takes c->asks with it. 0, or -errno (nothing was started). */
static int pull(struct directory_client *c, bool is_ask, bool is_probe, uint32_t wait_ms)
{
    struct pull *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->client = c;
    p->is_ask = is_ask;
    p->page.is_probe = is_probe;
    p->page.may_read_again = !c->resynced;
    p->rows = buf(FRAME_TAIL_MAX);
    p->page.after = is_probe ? c->cursor - 1 : c->cursor;
    msg_SharePull message = { .after = p->page.after, .wait_ms = wait_ms };
    uint64_t timeout_ms = is_ask ? ASK_TIMEOUT_MS : PULL_TIMEOUT_MS;
    int r = peer_request(outgoing_peer(c->outgoing), msg_Type_SHARE_PULL, msg_SharePull_fields, &message,
                         slice(NULL, 0), timeout_ms, on_pulled, p, NULL);
    if (r != 0) {
        free(p);
        return r;
    }
    c->pulls++;
    c->polls = c->polls || !is_ask;
    if (is_ask)
        p->asks = steal(&c->asks);
    return 0;
}

void directory_pull_start(struct directory_client *c, uint32_t wait_ms)
{
    if (pull(c, false, false, wait_ms) == 0)
        return;
    c->ready = false;
    outgoing_close(c->outgoing, REASON_INTERNAL);
}

void directory_pull_probe(struct directory_client *c)
{
    if (c->cursor == 0) {
        directory_pull_start(c, 0);
    } else if (pull(c, false, true, 0) != 0) {
        c->ready = false;
        outgoing_close(c->outgoing, REASON_INTERNAL);
    }
}

int directory_client_ask(struct directory_client *c, void (*on_done)(void *ctx), void *ctx)
{
    if (c == NULL || c->stopping || !c->ready)
        return -ENOTCONN;
    struct directory_ask *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -ENOMEM;
    a->on_done = on_done;
    a->ctx = ctx;
    a->next = c->asks;
    c->asks = a;
    if (c->asking)
        return 0; /* with the next pull: the one under way may have been answered before this question arose */
    int r = pull(c, true, false, 0);
    if (r == 0) {
        c->asking = true;
        return 0;
    }
    c->asks = a->next;
    free(a);
    return r;
}
