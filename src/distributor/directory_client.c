/* Callbacks, in the order in which they fire: on_setting_read (which directory), on_ready, then two loops beside each other -
 * push: on_outbox_read, on_pushed, on_confirmed; pull: on_pulled, on_applied - and on_closed, on_retry. */
#define LOG_MODULE "directory-client"
#include "distributor/directory_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/outgoing.h"
#include "distributor/partners.h"
#include "distributor/share.h"
#include "distributor/watch.h"
#include "net/address.h"

#define PULL_WAIT_MS 25000
#define PULL_TIMEOUT_MS (PULL_WAIT_MS + 15000)
#define PUSH_TIMEOUT_MS 15000
#define ASK_TIMEOUT_MS 4000 /* a household waits for this one */
#define PUSH_ROWS 256
#define PUSH_BYTES (256u << 10)
#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS 30000
#define URL_BYTES 256
#define URL_SCHEME "hearth://"

struct ask {
    struct ask *next;
    void (*on_done)(void *ctx);
    void *ctx;
};

/* One SHARE_PULL and what becomes of its answer. */
struct pull {
    struct writer_job job;
    struct directory_client *client;
    struct ask *asks; /* who waits for it; NULL in the long poll */
    bool is_ask;
    uint64_t after, next;
    uint32_t count;
    bool gap;
    struct buf rows;
    char (*touched)[OPERATIONS_NAME_BYTES];
    size_t touched_count;
};

struct directory_client {
    struct server *server;
    void (*on_stopped)(struct server *);
    bool stopping;

    struct writer_job setting_job;
    bool setting_runs, reload_wanted;
    char url[URL_BYTES], fresh_url[URL_BYTES];
    struct id id;
    char address[ADDRESS_TEXT_BYTES];

    struct outgoing *outgoing;
    bool ready;
    uv_timer_t retry;
    bool retry_open;
    uint64_t retry_ms;

    struct writer_job push_job;
    bool push_runs, push_wanted;
    struct buf push_rows;
    uint32_t push_count;
    uint64_t push_after, push_last, push_stored;

    uint32_t pulls; /* under way */
    bool resynced;  /* once a connection */
    uint64_t cursor;
    bool asking;
    struct ask *asks; /* of the next asking pull */
};

static void connect_now(struct directory_client *c);
static void read_setting(struct directory_client *c);
static void push(struct directory_client *c);
static int pull(struct directory_client *c, bool is_ask, uint32_t wait_ms);
static void poll_directory(struct directory_client *c, uint32_t wait_ms);

static void stopped_when_idle(struct directory_client *c)
{
    if (!c->stopping || c->on_stopped == NULL || c->setting_runs || c->push_runs || c->pulls > 0 ||
        c->outgoing != NULL || c->retry_open)
        return;
    struct server *server = c->server;
    void (*on_stopped)(struct server *) = steal(&c->on_stopped);
    buf_free(&c->push_rows);
    server->directory_client = NULL;
    free(c);
    on_stopped(server);
}

/* --- Which directory --------------------------------------------------------------------------------------------------- */

/* hearth://HOST:PORT#ID */
static bool url_parse(const char *url, char *address, size_t address_cap, struct id *id)
{
    char host[ADDRESS_HOST_BYTES];
    uint16_t port;
    if (strncmp(url, URL_SCHEME, strlen(URL_SCHEME)) != 0)
        return false;
    url += strlen(URL_SCHEME);
    const char *hash = strchr(url, '#');
    if (hash == NULL || (size_t)(hash - url) >= address_cap || id_parse(hash + 1, id) != 0)
        return false;
    memcpy(address, url, (size_t)(hash - url));
    address[hash - url] = '\0';
    return address_parse(address, host, &port) == 0;
}

static int run_setting(struct writer_job *job, void *database)
{
    struct directory_client *c = container_of(job, struct directory_client, setting_job);
    int r = operations_setting(database, "directory-url", c->fresh_url, sizeof(c->fresh_url));
    return r != 0 ? r : share_cursor(database, &c->cursor);
}

static void on_setting_read(struct writer_job *job, int outcome)
{
    struct directory_client *c = container_of(job, struct directory_client, setting_job);
    c->setting_runs = false;
    if (c->stopping) {
        stopped_when_idle(c);
        return;
    }
    bool is_new = outcome == 0 && strcmp(c->url, c->fresh_url) != 0;
    if (is_new) {
        memcpy(c->url, c->fresh_url, sizeof(c->url));
        c->retry_ms = RETRY_FIRST_MS;
        if (c->url[0] != '\0' && !url_parse(c->url, c->address, sizeof(c->address), &c->id)) {
            log_error("the setting directory-url is none: hearth://HOST:PORT#ID");
            c->address[0] = '\0';
        } else if (c->url[0] == '\0') {
            c->address[0] = '\0';
        }
        if (c->outgoing != NULL)
            outgoing_close(c->outgoing, REASON_CANCELLED); /* the new one is dialled when it has closed */
        else
            connect_now(c);
    }
    if (c->reload_wanted)
        read_setting(c);
}

static void read_setting(struct directory_client *c)
{
    c->reload_wanted = c->setting_runs;
    if (c->setting_runs)
        return;
    c->setting_runs = true;
    c->setting_job = (struct writer_job){ .run = run_setting, .on_done = on_setting_read };
    writer_submit(c->server->reader, &c->setting_job);
}

void directory_client_reload(struct directory_client *c)
{
    if (c != NULL && !c->stopping)
        read_setting(c);
}

/* --- The connection ---------------------------------------------------------------------------------------------------- */

static void on_ready(void *ctx)
{
    struct directory_client *c = ctx;
    log_info("directory reached address=%s", c->address);
    c->ready = true;
    c->resynced = false;
    c->retry_ms = RETRY_FIRST_MS;
    push(c);
    poll_directory(c, 0);
}

static void on_retry(uv_timer_t *t) { connect_now(container_of(t, struct directory_client, retry)); }

static void on_closed(void *ctx, enum reason why)
{
    struct directory_client *c = ctx;
    if (c->ready || c->retry_ms == RETRY_FIRST_MS)
        log_info("directory is away address=%s reason=%s", c->address, reason_code(why));
    c->outgoing = NULL;
    c->ready = false;
    if (c->stopping) {
        stopped_when_idle(c);
        return;
    }
    uv_timer_start(&c->retry, on_retry, c->retry_ms, 0);
    c->retry_ms = u64_min(c->retry_ms * 2, RETRY_MAX_MS);
}

static void connect_now(struct directory_client *c)
{
    static const struct outgoing_callbacks callbacks = { on_ready, on_closed };
    if (c->stopping || c->outgoing != NULL || c->address[0] == '\0')
        return;
    if (outgoing_open(&c->outgoing, c->server, &c->id, c->address, &callbacks, c) != 0)
        uv_timer_start(&c->retry, on_retry, c->retry_ms, 0);
}

/* --- Ours to the directory ---------------------------------------------------------------------------------------------- */

static void push_end(struct directory_client *c)
{
    c->push_runs = false;
    buf_free(&c->push_rows);
    if (c->push_wanted && c->ready)
        push(c);
    stopped_when_idle(c);
}

static int run_confirm(struct writer_job *job, void *database)
{
    struct directory_client *c = container_of(job, struct directory_client, push_job);
    return share_outbox_confirm(database, c->push_stored);
}

static void on_confirmed(struct writer_job *job, int outcome)
{
    struct directory_client *c = container_of(job, struct directory_client, push_job);
    if (outcome != 0 && outcome != -ECANCELED)
        log_warn("what the directory has stored could not be noted errno=%d", -outcome);
    c->push_wanted = c->push_wanted || outcome == 0; /* there may be more */
    push_end(c);
}

static bool on_pushed(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct directory_client *c = ctx;
    msg_SharePushed pushed;
    if (reply == NULL) {
        log_debug("push unanswered reason=%s", reason_code(why));
        push_end(c);
        return false;
    }
    enum reason refused = peer_refusal(reply, msg_Type_SHARE_PUSHED, NULL);
    if (refused == REASON_NONE && CODEC_DECODE(msg_SharePushed, reply->message, &pushed) != 0)
        refused = REASON_MALFORMED;
    /* Stored up to here, or (a directory restored from a backup) only up to an earlier row: from there it goes on. */
    if (refused == REASON_NONE && (pushed.sequence > c->push_last || pushed.sequence == c->push_after))
        refused = REASON_OUT_OF_STEP;
    if (refused != REASON_NONE) {
        log_warn("the directory does not take our rows reason=%s", reason_code(refused));
        c->push_wanted = false;
        push_end(c);
        peer_close(p, refused);
        return false;
    }
    c->push_stored = pushed.sequence;
    c->push_job = (struct writer_job){ .run = run_confirm, .on_done = on_confirmed };
    writer_submit(c->server->writer, &c->push_job);
    return false;
}

static int run_outbox(struct writer_job *job, void *database)
{
    struct directory_client *c = container_of(job, struct directory_client, push_job);
    c->push_rows = buf(PUSH_BYTES + SHARE_ENVELOPE_MAX + sizeof(uint32_t));
    int r = share_outbox_confirmed(database, &c->push_after);
    if (r != 0)
        return r;
    return share_outbox_read(database, c->push_after, PUSH_ROWS, PUSH_BYTES, &c->push_rows, &c->push_count,
                             &c->push_last);
}

static void on_outbox_read(struct writer_job *job, int outcome)
{
    struct directory_client *c = container_of(job, struct directory_client, push_job);
    if (outcome != 0 && outcome != -ECANCELED)
        log_warn("the outbox could not be read errno=%d", -outcome);
    if (outcome != 0 || c->push_count == 0 || !c->ready) {
        push_end(c);
        return;
    }
    msg_SharePush message = { .count = c->push_count };
    int r = peer_request(outgoing_peer(c->outgoing), msg_Type_SHARE_PUSH, msg_SharePush_fields, &message,
                         buf_slice(&c->push_rows), PUSH_TIMEOUT_MS, on_pushed, c, NULL);
    if (r != 0)
        push_end(c);
}

static void push(struct directory_client *c)
{
    c->push_wanted = c->push_runs;
    if (c->push_runs)
        return;
    c->push_runs = true;
    c->push_job = (struct writer_job){ .run = run_outbox, .on_done = on_outbox_read };
    writer_submit(c->server->reader, &c->push_job);
}

void directory_client_poke(struct directory_client *c)
{
    if (c != NULL && c->ready && !c->stopping)
        push(c);
}

/* --- Everyone else's ---------------------------------------------------------------------------------------------------- */

static void pull_free(struct pull *p)
{
    buf_free(&p->rows);
    free(p->touched);
    free(p);
}

static void tell_asks(struct ask *asks)
{
    while (asks != NULL) {
        struct ask *a = asks;
        asks = a->next;
        a->on_done(a->ctx);
        free(a);
    }
}

static void append_asks(struct ask **list, struct ask *more)
{
    while (*list != NULL)
        list = &(*list)->next;
    *list = more;
}

/* more: the answer had rows, and the next ones may be there already. */
static void pull_end(struct pull *p, bool more)
{
    struct directory_client *c = p->client;
    struct ask *asks = steal(&p->asks);
    bool is_ask = p->is_ask;
    bool usable = c->ready && !c->stopping;
    c->pulls--;
    pull_free(p);
    if (!is_ask) {
        if (usable)
            poll_directory(c, more ? 0 : PULL_WAIT_MS);
    } else if (usable && more) { /* all of it, before anyone looks again */
        append_asks(&asks, steal(&c->asks));
        c->asks = steal(&asks);
        usable = pull(c, true, 0) == 0;
        c->asking = usable;
    } else {
        c->asking = usable && c->asks != NULL && pull(c, true, 0) == 0;
    }
    if (is_ask && !c->asking)
        append_asks(&asks, steal(&c->asks));
    tell_asks(asks);
    stopped_when_idle(c);
}

/* One row that is not good harms nobody else's. */
static int apply_row(struct pull *p, struct operations *o, struct slice envelope)
{
    struct savepoint row CLEANUP(savepoint_end) = { 0 };
    int r = savepoint_begin(&row, o->store);
    if (r != 0)
        return r < 0 ? r : -EIO;
    r = share_apply(o, envelope, clock_wall_ms(p->client->server->clock));
    if (r == 0)
        r = savepoint_release(&row);
    if (r == SHARE_GAP)
        p->gap = true;
    else if (r > 0)
        log_warn("a shared row was not taken outcome=%d", r);
    return r < 0 ? r : 0;
}

static int run_apply(struct writer_job *job, void *database)
{
    struct pull *p = container_of(job, struct pull, job);
    struct reader rows = reader(buf_slice(&p->rows));
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < p->count; i++) {
        struct slice envelope;
        if (codec_list_next(&rows, SHARE_ENVELOPE_MAX, &envelope) != 0)
            return REASON_MALFORMED;
        r = apply_row(p, database, envelope);
    }
    int collected = watch_collect(database, &p->touched, &p->touched_count);
    uint64_t cursor = 0;
    if (r == 0)
        r = share_cursor(database, &cursor);
    if (r == 0 && p->next > cursor) /* the asking pull and the long poll may overtake each other */
        r = share_cursor_set(database, p->next);
    return r == 0 ? collected : r;
}

static void on_applied(struct writer_job *job, int outcome)
{
    struct pull *p = container_of(job, struct pull, job);
    struct directory_client *c = p->client;
    bool more = outcome == 0 && p->count > 0;
    if (outcome == 0) {
        watch_announce(c->server->watch, p->touched, p->touched_count);
        partners_refresh(c->server->partners); /* a row may have announced a newer key block */
        if (p->next > c->cursor)
            c->cursor = p->next;
        if (p->gap && !c->resynced) {
            log_warn("a row is missing: reading everything again");
            c->resynced = true;
            c->cursor = 0;
        }
    } else if (outcome != -ECANCELED) {
        log_warn("shared rows could not be stored outcome=%d", outcome);
        if (c->ready)
            outgoing_close(c->outgoing, REASON_INTERNAL); /* and again, after a while */
        c->ready = false;
    }
    pull_end(p, more);
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
        (CODEC_DECODE(msg_SharePulled, reply->message, &pulled) != 0 || pulled.next < p->after))
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
    p->next = pulled.next;
    p->count = pulled.count;
    if (p->count == 0) {
        pull_end(p, false);
        return false;
    }
    p->job = (struct writer_job){ .run = run_apply, .on_done = on_applied };
    writer_submit(p->client->server->writer, &p->job);
    return false;
}

/* Asks for rows after the cursor; an asking pull takes c->asks with it. 0, or -errno (nothing was started). */
static int pull(struct directory_client *c, bool is_ask, uint32_t wait_ms)
{
    struct pull *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->client = c;
    p->is_ask = is_ask;
    p->rows = buf(FRAME_TAIL_MAX);
    p->after = c->cursor;
    msg_SharePull message = { .after = p->after, .wait_ms = wait_ms };
    uint64_t timeout_ms = is_ask ? ASK_TIMEOUT_MS : PULL_TIMEOUT_MS;
    int r = peer_request(outgoing_peer(c->outgoing), msg_Type_SHARE_PULL, msg_SharePull_fields, &message,
                         slice(NULL, 0), timeout_ms, on_pulled, p, NULL);
    if (r != 0) {
        free(p);
        return r;
    }
    c->pulls++;
    if (is_ask)
        p->asks = steal(&c->asks);
    return 0;
}

/* The long poll; without it the connection is of no use. */
static void poll_directory(struct directory_client *c, uint32_t wait_ms)
{
    if (pull(c, false, wait_ms) == 0)
        return;
    c->ready = false;
    outgoing_close(c->outgoing, REASON_INTERNAL);
}

int directory_client_ask(struct directory_client *c, void (*on_done)(void *ctx), void *ctx)
{
    if (c == NULL || c->stopping || !c->ready)
        return -ENOTCONN;
    struct ask *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -ENOMEM;
    a->on_done = on_done;
    a->ctx = ctx;
    a->next = c->asks;
    c->asks = a;
    if (c->asking)
        return 0; /* with the next pull: the one under way may have been answered before this question arose */
    int r = pull(c, true, 0);
    if (r == 0) {
        c->asking = true;
        return 0;
    }
    c->asks = a->next;
    free(a);
    return r;
}

/* --- Life --------------------------------------------------------------------------------------------------------------- */

int directory_client_start(struct directory_client **out, struct server *server)
{
    struct directory_client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    c->server = server;
    c->retry_ms = RETRY_FIRST_MS;
    c->push_rows = buf(0);
    uv_timer_init(&server->loop, &c->retry);
    c->retry_open = true;
    *out = c;
    read_setting(c);
    return 0;
}

static void on_retry_closed(uv_handle_t *h)
{
    struct directory_client *c = container_of((uv_timer_t *)(void *)h, struct directory_client, retry);
    c->retry_open = false;
    stopped_when_idle(c);
}

void directory_client_stop(struct directory_client *c, void (*on_stopped)(struct server *), struct server *server)
{
    if (c == NULL) {
        on_stopped(server);
        return;
    }
    c->stopping = true;
    c->on_stopped = on_stopped;
    c->ready = false;
    uv_close((uv_handle_t *)&c->retry, on_retry_closed);
    if (c->outgoing != NULL)
        outgoing_close(c->outgoing, REASON_CANCELLED);
}
