/* Callbacks, in the order in which they fire: on_setting_read (which directory), on_ready, then two loops beside each other -
 * push: on_outbox_read, on_pushed, on_confirmed; pull: on_pulled, on_applied - and on_closed, on_retry. */
#define LOG_MODULE "directory-client"
#include "distributor/directory.h"
#include "distributor/directory_client_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/keyset.h"
#include "distributor/share.h"
#include "distributor/share_own.h"

#define PUSH_TIMEOUT_MS 15000
#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS 30000
#define URL_SCHEME "hearth://"

static void connect_now(struct directory_client *c);
static void read_setting(struct directory_client *c);
static void push(struct directory_client *c);

void directory_client_stopped_when_idle(struct directory_client *c)
{
    if (!c->stopping || c->on_stopped == NULL || c->setting_runs || c->push_runs || c->pulls > 0 ||
        c->outgoing != NULL || c->timers_open > 0)
        return;
    struct server *server = c->server;
    void (*on_stopped)(struct server *) = steal(&c->on_stopped);
    buf_free(&c->outbox.rows);
    buf_free(&c->push_keyset);
    buf_free(&c->shown);
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
    if (r == 0)
        r = share_own_is_catching_up(database, &c->fresh_catches_up);
    return r != 0 ? r : share_cursor(database, &c->fresh_cursor);
}

static void on_setting_read(struct writer_job *job, int outcome)
{
    struct directory_client *c = container_of(job, struct directory_client, setting_job);
    c->setting_runs = false;
    if (c->stopping) {
        directory_client_stopped_when_idle(c);
        return;
    }
    bool is_new = outcome == 0 && strcmp(c->url, c->fresh_url) != 0;
    if (is_new) {
        memcpy(c->url, c->fresh_url, sizeof(c->url));
        c->cursor = c->fresh_cursor; /* from here on they are moved by what is pulled */
        c->catches_up = c->fresh_catches_up;
        c->retry_ms = RETRY_FIRST_MS;
        c->away = REASON_NONE;
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
    c->resynced = c->learned = false;
    c->whole = c->cursor == 0;
    c->retry_ms = RETRY_FIRST_MS;
    c->push_probe = true;
    push(c);
    directory_pull_probe(c);
}

static void on_refused(void *ctx)
{
    struct directory_client *c = ctx;
    c->refused = true;
}

static void on_retry(uv_timer_t *t) { connect_now(container_of(t, struct directory_client, retry)); }

static void on_closed(void *ctx, enum reason why)
{
    struct directory_client *c = ctx;
    if (why != REASON_CANCELLED && (c->ready || c->retry_ms == RETRY_FIRST_MS))
        log_info("directory is away address=%s reason=%s", c->address, reason_code(why));
    c->outgoing = NULL;
    c->ready = c->pushed = c->pulled = false;
    if (why != REASON_CANCELLED) {
        c->away = why;
        c->away_refused = c->refused;
    }
    c->refused = false;
    if (c->stopping) {
        directory_client_stopped_when_idle(c);
        return;
    }
    uv_timer_stop(&c->push_pause);
    uv_timer_stop(&c->pull_pause);
    uv_timer_start(&c->retry, on_retry, c->retry_ms, 0);
    c->retry_ms = u64_min(c->retry_ms * 2, RETRY_MAX_MS);
}

static void connect_now(struct directory_client *c)
{
    static const struct outgoing_callbacks callbacks = { on_ready, on_refused, on_closed };
    if (c->stopping || c->outgoing != NULL || c->address[0] == '\0')
        return;
    buf_clear(&c->shown);
    if (buf_append(&c->shown, buf_slice(&c->server->keyset)) != 0 ||
        outgoing_open(&c->outgoing, c->server, &c->id, c->address, &callbacks, c) != 0)
        uv_timer_start(&c->retry, on_retry, c->retry_ms, 0);
}

/* --- Ours to the directory ---------------------------------------------------------------------------------------------- */

uint64_t directory_client_pause_ms(struct directory_client *c, int64_t *last_ms)
{
    int64_t now_ms = clock_mono_ms(c->server->clock);
    int64_t left_ms = *last_ms == 0 ? 0 : *last_ms + DIRECTORY_CLIENT_TOGETHER_MS - now_ms;
    if (left_ms > 0)
        return (uint64_t)left_ms;
    *last_ms = now_ms;
    return 0;
}

static void push_end(struct directory_client *c)
{
    c->push_runs = false;
    buf_free(&c->outbox.rows);
    if (c->push_wanted && c->ready)
        push(c);
    directory_client_stopped_when_idle(c);
}

static int run_confirm(struct writer_job *job, void *database)
{
    struct directory_client *c = container_of(job, struct directory_client, push_job);
    return directory_member_confirm(database, &c->outbox);
}

static int run_ahead(struct writer_job *job, void *database)
{
    struct directory_client *c = container_of(job, struct directory_client, push_job);
    return directory_member_ahead(database, &c->outbox);
}

static void on_ahead_noted(struct writer_job *job, int outcome)
{
    struct directory_client *c = container_of(job, struct directory_client, push_job);
    (void)outcome;
    push_end(c);
}

static void on_confirmed(struct writer_job *job, int outcome)
{
    struct directory_client *c = container_of(job, struct directory_client, push_job);
    if (outcome != 0 && outcome != -ECANCELED)
        log_warn("what the directory has stored could not be noted errno=%d", -outcome);
    c->push_wanted = c->push_wanted || (outcome == 0 && c->outbox.stored < c->outbox.newest); /* there may be more */
    push_end(c);
}

static bool on_pushed(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct directory_client *c = ctx;
    msg_SharePushed pushed;
    if (reply == NULL) {
        log_debug("push unanswered reason=%s", reason_code(why));
        if (why == REASON_TIMED_OUT) { /* it is there and does not answer: as good as away */
            c->ready = false;
            peer_close(p, why);
        }
        push_end(c);
        return false;
    }
    enum reason refused = peer_refusal(reply, msg_Type_SHARE_PUSHED, NULL);
    if (refused == REASON_NONE && CODEC_DECODE(msg_SharePushed, reply->message, &pushed) != 0)
        refused = REASON_MALFORMED;
    c->pushed = refused == REASON_NONE;
    enum directory_pushed outcome =
        refused == REASON_NONE ? directory_member_judge(&c->outbox, pushed.sequence) : DIRECTORY_PUSHED_NONE;
    if (refused == REASON_NONE && outcome == DIRECTORY_PUSHED_AHEAD) {
        c->push_wanted = false;
        c->push_job = (struct writer_job){ .run = run_ahead, .on_done = on_ahead_noted };
        writer_submit(c->server->writer, &c->push_job);
        return false;
    }
    if (refused == REASON_NONE && outcome == DIRECTORY_PUSHED_NONE)
        refused = REASON_OUT_OF_STEP;
    if (refused != REASON_NONE) {
        log_warn("the directory does not take our rows reason=%s", reason_code(refused));
        c->push_wanted = false;
        push_end(c);
        peer_close(p, refused);
        return false;
    }
    c->push_job = (struct writer_job){ .run = run_confirm, .on_done = on_confirmed };
    writer_submit(c->server->writer, &c->push_job);
    return false;
}

static int run_outbox(struct writer_job *job, void *database)
{
    struct directory_client *c = container_of(job, struct directory_client, push_job);
    buf_clear(&c->push_keyset);
    int r = directory_member_read(database, &c->outbox);
    return r == 0 ? keyset_current(database, &c->push_keyset) : r;
}

/* Keys were changed since we connected, by a command perhaps: rows that the new ones signed would not verify there. A new connection shows the new
 * keyset, as soon as this server has seen it itself (watch.c looks once a second, and pushes then). */
static bool is_outdated(struct directory_client *c)
{
    if (slice_equal(buf_slice(&c->push_keyset), buf_slice(&c->shown)))
        return false;
    if (!slice_equal(buf_slice(&c->server->keyset), buf_slice(&c->shown))) {
        c->ready = false;
        c->retry_ms = RETRY_FIRST_MS;
        outgoing_close(c->outgoing, REASON_CANCELLED);
    }
    return true;
}

static void on_outbox_read(struct writer_job *job, int outcome)
{
    struct directory_client *c = container_of(job, struct directory_client, push_job);
    if (outcome != 0 && outcome != -ECANCELED)
        log_warn("the outbox could not be read errno=%d", -outcome);
    if (outcome != 0 || (c->outbox.count == 0 && !c->push_probe) || !c->ready || is_outdated(c)) {
        push_end(c);
        return;
    }
    c->push_probe = false;
    msg_SharePush message = { .count = c->outbox.count };
    int r = peer_request(outgoing_peer(c->outgoing), msg_Type_SHARE_PUSH, msg_SharePush_fields, &message,
                         buf_slice(&c->outbox.rows), PUSH_TIMEOUT_MS, on_pushed, c, NULL);
    if (r != 0)
        push_end(c);
}

static void on_push_pause(uv_timer_t *t)
{
    struct directory_client *c = container_of(t, struct directory_client, push_pause);
    if (c->ready && !c->stopping)
        push(c);
}

static void push(struct directory_client *c)
{
    c->push_wanted = c->push_runs;
    if (c->push_runs)
        return;
    uint64_t pause_ms =
        c->push_probe || c->outbox.count >= DIRECTORY_CLIENT_FULL ? 0 : directory_client_pause_ms(c, &c->pushed_ms);
    if (pause_ms > 0) {
        (void)uv_timer_start(&c->push_pause, on_push_pause, pause_ms, 0);
        return;
    }
    c->push_runs = true;
    c->push_job = (struct writer_job){ .run = run_outbox, .on_done = on_outbox_read };
    writer_submit(c->server->reader, &c->push_job);
}

void directory_client_poke(struct directory_client *c)
{
    if (c != NULL && c->ready && !c->stopping)
        push(c);
}

bool directory_client_is_set(const struct directory_client *c) { return c != NULL && c->address[0] != '\0'; }

bool directory_client_is_ready(const struct directory_client *c) { return c != NULL && c->ready; }

bool directory_client_keeps_up(const struct directory_client *c)
{
    return directory_client_is_ready(c) && !c->too_fast;
}

void directory_client_check(struct directory_client *c)
{
    if (c == NULL || c->stopping || c->address[0] == '\0')
        return;
    c->ready = false;
    c->retry_ms = RETRY_FIRST_MS;
    if (c->outgoing != NULL)
        outgoing_close(c->outgoing, REASON_CANCELLED);
    else
        connect_now(c);
}

void directory_client_state(const struct directory_client *c, char out[64])
{
    if (c == NULL || c->url[0] == '\0')
        snprintf(out, 64, "none");
    else if (c->ready && c->pushed && c->pulled)
        snprintf(out, 64, "reached");
    else if (c->address[0] == '\0' || c->away != REASON_NONE)
        snprintf(out, 64, "away %s%s", reason_code(c->address[0] == '\0' ? REASON_MALFORMED : c->away),
                 c->away_refused && c->away == REASON_KEYSET_INVALID ? DIRECTORY_CLIENT_OURS : "");
    else
        snprintf(out, 64, "connecting");
}

void directory_client_figures(const struct directory_client *c, struct directory_client_figures *out)
{
    bool known = c != NULL && c->caught_up_ms != 0;
    *out = (struct directory_client_figures){
        .connected = c != NULL && c->ready,
        .caught_up_ms_ago = known ? clock_mono_ms(c->server->clock) - c->caught_up_ms : -1000,
    };
}

/* --- Life --------------------------------------------------------------------------------------------------------------- */

int directory_client_start(struct directory_client **out, struct server *server)
{
    struct directory_client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    c->server = server;
    c->retry_ms = RETRY_FIRST_MS;
    c->outbox.rows = buf(0);
    c->push_keyset = c->shown = buf(KEYSET_ENVELOPE_MAX);
    uv_timer_init(&server->loop, &c->retry);
    uv_timer_init(&server->loop, &c->push_pause);
    uv_timer_init(&server->loop, &c->pull_pause);
    c->retry.data = c->push_pause.data = c->pull_pause.data = c;
    c->timers_open = 3;
    *out = c;
    read_setting(c);
    return 0;
}

static void on_timer_closed(uv_handle_t *h)
{
    struct directory_client *c = h->data;
    c->timers_open--;
    directory_client_stopped_when_idle(c);
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
    uv_close((uv_handle_t *)&c->retry, on_timer_closed);
    uv_close((uv_handle_t *)&c->push_pause, on_timer_closed);
    uv_close((uv_handle_t *)&c->pull_pause, on_timer_closed);
    if (c->outgoing != NULL)
        outgoing_close(c->outgoing, REASON_CANCELLED);
}
