/* Callbacks, in the order in which they fire: run_* (a database thread), on_*_done (loop), on_asked or on_linked (loop), and
 * again from the start; the last thing is exchange_end. */
#define LOG_MODULE "exchange"
#include "distributor/exchange_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/announce.h"
#include "distributor/delegations.h"
#include "distributor/directory.h"
#include "distributor/directory_client.h"
#include "distributor/keyset.h"
#include "distributor/lobby.h"
#include "distributor/login.h"
#include "distributor/partners.h"
#include "distributor/places.h"
#include "distributor/quotas.h"
#include "distributor/row_pace.h"

static void leave_asking(struct exchange *x);

static void exchange_free(struct exchange *x)
{
    secret_wipe(x->bytes, x->bytes_len); /* a password perhaps */
    reply_free(&x->reply);
    login_attempt_free(x->login);
    leave_asking(x);
    free(x->touched);
    free(x->half);
    free(x->keyset);
    free(x);
}

static void exchange_end(struct exchange *x)
{
    struct session *s = x->session;
    uint64_t took_us = (uv_hrtime() - x->began_ns) / 1000;
    metrics_request(x->server->metrics, x->type, x->outcome, took_us);
    if (x->server->config.log_requests[0] == 'a' && x->outcome == METRICS_ANSWERED) /* "all" */
        log_info("answered kind=%s ms=%.1f", metrics_kind_name(x->type), (double)took_us / 1000);
    exchange_free(x);
    session_exchange_ended(s);
}

/* --- Answers ----------------------------------------------------------------------------------------------------- */

static bool is_answered(const struct exchange *x) { return x->type != msg_Type_COMMIT; }

/* What went wrong on our side is told with the request's ID: whoever has it finds the lines of the log. */
static bool is_ours(enum reason r)
{
    return r == REASON_INTERNAL || r == REASON_STORAGE_FULL || r == REASON_OFFLINE || r == REASON_TIMED_OUT;
}

static void log_refusal(struct exchange *x, enum reason reason)
{
    char client[ID_TEXT_BYTES];
    x->outcome = reason == REASON_INTERNAL || reason == REASON_STORAGE_FULL ? METRICS_FAILED : METRICS_REFUSED;
    if (x->server->config.log_requests[0] == 'n') /* "none" */
        return;
    id_text(x->session->id.bytes, client);
    log_info("refused kind=%s peer=%s reason=%s", metrics_kind_name(x->type), client, reason_code(reason));
}

void exchange_refuse(struct exchange *x, enum reason reason, const char *detail)
{
    struct log_request scope CLEANUP(log_request_end) = log_request(x->log_id);
    char text[sizeof(((msg_Refusal *)NULL)->text)], id[LOG_REQUEST_BYTES];
    if (detail == NULL && x->reply.detail[0] != '\0')
        detail = x->reply.detail;
    if (reason == REASON_STORAGE_FULL && detail == NULL)
        detail = "This distributor has no room left on its disk; its operator has to make some.";
    const char *sentence = detail != NULL ? detail : reason_text(reason);
    int len = is_ours(reason) ? snprintf(text, sizeof(text), "%.*s (request %s)", (int)sizeof(text) - 32, sentence,
                                         log_request_text(x->log_id, id))
                              : 0;
    if (len > 0 && strlen(sentence) <= sizeof(text) - 32) /* a long one is not cut for it */
        detail = text;
    log_refusal(x, reason);
    if (is_answered(x))
        session_refuse(x->session, x->request, reason, detail, buf_slice(&x->reply.tail));
    exchange_end(x);
}

void exchange_refuse_later(struct exchange *x, uint64_t retry_ms)
{
    struct log_request scope CLEANUP(log_request_end) = log_request(x->log_id);
    log_refusal(x, REASON_RATE_LIMITED);
    if (is_answered(x))
        session_refuse_later(x->session, x->request, retry_ms);
    exchange_end(x);
}

static uint64_t roster_sequence_of(const struct reply *r)
{
    msg_Welcome welcome;
    return CODEC_DECODE(msg_Welcome, buf_slice(&r->message), &welcome) == 0 ? welcome.roster_sequence : 0;
}

static void answer(struct exchange *x)
{
    struct session *s = x->session;
    struct reply *r = &x->reply;
    if (x->type == msg_Type_HELLO && x->who.role == REQUESTS_DISTRIBUTOR) {
        session_greeted_distributor(s, &x->who.partner, steal(&x->keyset));
        partners_is_there(x->server->partners, &x->who.partner);
    } else if (x->type == msg_Type_HELLO && x->who.role == REQUESTS_CONTENTS) {
        session_greeted_contents(s);
    } else if (x->type == msg_Type_HELLO) {
        session_greeted(s, r->session, r->user, roster_sequence_of(r));
    } else if (x->type == msg_Type_REGISTER) {
        session_set_user(s, r->session, r->user);
    } else if (x->type == msg_Type_UNREGISTER || x->type == msg_Type_ACCOUNT_ERASE) {
        session_set_user(s, s->number, "");
    }
    session_set_login(s, r);
    for (size_t i = 0; i < r->unlinked_count; i++) /* UNLINK: as far as the partner can be reached now */
        partners_unlink(x->server->partners, &r->unlinked[i].partner, r->unlinked[i].user, r->unlinked[i].partner_user);
    if (r->queued_user[0] != '\0')
        lobby_push_queue(x->server->lobby, r->queued_user, r->queued_guests, r->queued_guest_count);
    if (x->who.role ==
        REQUESTS_DEVICE) /* as far as something is there for it: to a guest that has nothing here no body is sent */
        s->sends_body |= r->sends_body;
    if (s->peer == NULL || r->type == msg_Type_NONE)
        return;
    uint8_t *tail = steal(&r->tail.data); /* sent as it is */
    if (peer_send_encoded(s->peer, r->type, x->request, buf_slice(&r->message), tail, r->tail.len) != 0)
        peer_close(s->peer, REASON_INTERNAL);
    r->tail = buf(0);
}

static uint64_t ask_left_ms(struct exchange *x)
{
    int64_t now_ms = clock_mono_ms(x->server->clock);
    if (x->ask_deadline_ms == 0)
        x->ask_deadline_ms = now_ms + EXCHANGE_ASK_MS;
    return now_ms < x->ask_deadline_ms ? (uint64_t)(x->ask_deadline_ms - now_ms) : 0;
}

/* A member that pushes more rows than it may is answered later, and pushes the next ones then. */
static void on_pushed_looked(struct watch_waiting *w)
{
    struct exchange *x = container_of(w, struct exchange, waits);
    struct log_request scope CLEANUP(log_request_end) = log_request(x->log_id);
    if (row_pace_take(x->server, &x->who.partner, 0) > 0 && ask_left_ms(x) > 0 && watch_wait(x->server, w))
        return;
    answer(x);
    exchange_end(x);
}

static bool pace_push(struct exchange *x)
{
    msg_SharePush push;
    uint32_t rows = CODEC_DECODE(msg_SharePush, x->message, &push) == 0 ? push.count : 0;
    uint64_t wait_ms = row_pace_take(x->server, &x->who.partner, rows);
    if (rows < DIRECTORY_PUSH_PAGE) /* not a whole page of ours: it has no more */
        row_pace_ended(x->server, &x->who.partner);
    x->waits.on_looked = on_pushed_looked;
    return wait_ms > 0 && watch_wait(x->server, &x->waits);
}

/* What an account's requests write, all partners read. */
static void charge_rows(const struct exchange *x)
{
    const struct session *s = x->session;
    if (x->rows > 0 && s->user != NULL)
        (void)!quotas_charge(x->server->quotas, QUOTAS_ACCOUNT_ROWS, slice(s->user->bytes, s->user->len), x->rows,
                             x->server->config.account_rows_per_minute);
}

/* An outcome that is final. */
void exchange_finish(struct exchange *x, int outcome)
{
    if (login_is_for(x->type))
        login_judged(x->server->login, x, outcome);
    if (outcome == -EKEYREVOKED) {
        exchange_refuse(
            x, REASON_OFFLINE,
            "This server of the distributor has keys of before; its operator has to put the new ones there.");
    } else if (outcome < 0) {
        log_error("request failed type=%u errno=%d", x->type, -outcome);
        x->reply.detail[0] = '\0';
        buf_clear(&x->reply.tail);
        exchange_refuse(x, reason_of_error(outcome), NULL);
    } else if (outcome > 0) {
        exchange_refuse(x, outcome < REASON_COUNT ? (enum reason)outcome : REASON_INTERNAL, NULL);
    } else {
        announce_users(x->server->announce, x->touched, x->touched_count);
        charge_rows(x);
        if (!requests_is_read_only(x->type))
            directory_client_poke(x->server->directory_client);
        if (x->type == msg_Type_SHARE_PUSH) {
            directory_wake(x->server->directory);
            if (pace_push(x))
                return;
        }
        answer(x);
        exchange_end(x);
    }
}

/* --- The database part -------------------------------------------------------------------------------------------- */

static int run_request(struct writer_job *job, void *database)
{
    struct exchange *x = container_of(job, struct exchange, job);
    struct operations *o = database;
    reply_free(&x->reply);
    reply_init(&x->reply);
    x->who.now_ms = clock_wall_ms(x->server->clock);
    uint64_t rows = o->rows_put;
    int r = requests_run(o, &x->who, x->type, x->message, x->tail, &x->reply);
    x->rows = (uint32_t)u64_min(o->rows_put - rows, UINT32_MAX);
    int collected = announce_collect(o, &x->touched, &x->touched_count);
    return r == 0 ? collected : r;
}

static void ask_ahead(struct writer_job *job, void *database, unsigned pass)
{
    struct exchange *x = container_of(job, struct exchange, job);
    requests_ahead(database, &x->who, x->type, x->message, x->tail, pass);
}

/* Who was asked for rows that are not here. Outlives its exchange, when that ends before the last one has answered. */
struct asking {
    struct exchange *exchange; /* NULL: it has ended */
    size_t pending;
    bool news; /* somebody has answered since the request last ran */
};

static void settle_asking(struct exchange *x)
{
    struct asking *a = x->asking;
    x->asks_waited = false;
    if (a->pending > 0 && !a->news) {
        x->asks_waited = true;
        return;
    }
    x->who.directory_asked = a->pending == 0; /* now it is judged by what is known here */
    a->news = false;
    exchange_run(x);
}

static void on_asked(void *ctx)
{
    struct asking *a = ctx;
    struct log_request scope CLEANUP(log_request_end) = log_request(a->exchange != NULL ? a->exchange->log_id : 0);
    a->pending--;
    a->news = true;
    if (a->exchange == NULL && a->pending == 0)
        free(a);
    else if (a->exchange != NULL && a->exchange->asks_waited)
        settle_asking(a->exchange);
}

static void leave_asking(struct exchange *x)
{
    struct asking *a = steal(&x->asking);
    if (a != NULL && a->pending == 0)
        free(a);
    else if (a != NULL)
        a->exchange = NULL;
}

/* A failed look-up asks the directory, and beside it the partners: it may be away, slow, or hold rows back. */
static void ask_directory(struct exchange *x)
{
    if (x->who.directory_asked) {
        exchange_finish(x, REASON_OFFLINE);
        return;
    }
    uint64_t left_ms = ask_left_ms(x);
    if (x->asking == NULL && left_ms > 0 && (x->asking = calloc(1, sizeof(*x->asking))) != NULL) {
        x->asking->exchange = x;
        x->asking->pending += directory_client_ask(x->server->directory_client, on_asked, x->asking) == 0;
        x->asking->pending += partners_ask_everyone(x->server->partners, left_ms, on_asked, x->asking) == 0;
    }
    if (x->asking != NULL) {
        settle_asking(x);
        return;
    }
    x->who.directory_asked = true;
    exchange_run(x);
}

static void on_partner_asked(void *ctx, int outcome)
{
    struct exchange *x = ctx;
    struct log_request scope CLEANUP(log_request_end) = log_request(x->log_id);
    if (outcome != 0)
        log_info("a partner did not give what a request needs outcome=%d", outcome);
    exchange_run(x);
}

static void ask_partner(struct exchange *x)
{
    struct caller *who = &x->who;
    struct id partner = x->reply.ask;
    for (size_t i = 0; i < who->partners_asked_count; i++)
        if (id_equal(who->partners_asked[i].bytes, partner.bytes)) {
            exchange_finish(x, REASON_OFFLINE);
            return;
        }
    if (who->partners_asked_count == REQUESTS_PARTNERS_MAX) {
        exchange_finish(x, REASON_OFFLINE);
        return;
    }
    who->partners_asked[who->partners_asked_count++] = partner;
    uint64_t left_ms = ask_left_ms(x);
    if (left_ms == 0 || partners_fetch(x->server->partners, &partner, left_ms, on_partner_asked, x) != 0)
        exchange_run(x);
}

static void on_keys_looked(struct watch_waiting *w)
{
    struct exchange *x = container_of(w, struct exchange, waits);
    struct log_request scope CLEANUP(log_request_end) = log_request(x->log_id);
    writer_submit(x->writer, &x->job);
}

/* A key was withdrawn, and this server has not gone over to the next one; or it never will, since keys/ lacks it (keys_age.h). */
bool exchange_waits_for_keys(struct exchange *x)
{
    x->waits.on_looked = on_keys_looked;
    return ask_left_ms(x) > 0 && watch_wait(x->server, &x->waits);
}

void exchange_on_done(struct writer_job *job, int outcome)
{
    struct exchange *x = container_of(job, struct exchange, job);
    if (outcome == -EKEYREVOKED && exchange_waits_for_keys(x))
        return;
    if (outcome == REQUESTS_ASK_DIRECTORY)
        ask_directory(x);
    else if (outcome == REQUESTS_ASK_PARTNER)
        ask_partner(x);
    else
        exchange_finish(x, outcome);
}

void exchange_submit(struct exchange *x, struct writer *w, int (*run)(struct writer_job *, void *),
                     void (*on_done)(struct writer_job *, int))
{
    bool beside = run == run_request &&
                  (x->type == msg_Type_TRANSACT || x->type == msg_Type_COMMIT); /* transact.c looks itself */
    x->job = (struct writer_job){ .run = run, .on_done = on_done, .beside = beside, .request = x->log_id };
    x->job.ahead = run == run_request ? ask_ahead : NULL;
    x->writer = w;
    writer_submit(w, &x->job);
}

void exchange_run(struct exchange *x)
{
    struct writer *w = requests_is_read_only(x->type) ? x->server->reader : x->server->writer;
    exchange_submit(x, w, run_request, exchange_on_done);
}

void exchange_registered(struct exchange *x) { exchange_run(x); }

/* --- Start -------------------------------------------------------------------------------------------------------- */

static void fill_caller(struct caller *who, const struct session *s)
{
    who->role = s->role;
    who->client = s->id;
    who->partner = s->id;
    who->partner_keyset = s->keyset;
    who->session = s->number;
    memcpy(who->key, s->key, sizeof(who->key));
    who->has_challenge = s->has_challenge;
    who->has_token = s->has_token;
    memcpy(who->challenge, s->challenge, sizeof(who->challenge));
    memcpy(who->token, s->token, sizeof(who->token));
}

/* How long this one has to stay away: its household, the distributor, or, before it has said who it is, its address asks for too much. */
static uint64_t over_quota_ms(const struct session *s, uint16_t type)
{
    struct server *server = s->server;
    enum quotas_kind kind = QUOTAS_ADDRESS;
    struct slice name = slice(s->address->bytes, s->address->len);
    uint32_t per_minute = server->config.address_requests_per_minute;
    if (s->state == SESSION_READY && s->role == REQUESTS_DISTRIBUTOR) {
        kind = QUOTAS_PARTNER;
        name = slice(s->id.bytes, ID_BYTES);
        per_minute = server->config.partner_requests_per_minute;
    } else if (s->user != NULL) {
        kind = QUOTAS_ACCOUNT;
        name = slice(s->user->bytes, s->user->len);
        per_minute = server->config.account_requests_per_minute;
    }
    uint64_t wait_ms = quotas_take(server->quotas, kind, name, per_minute);
    if (wait_ms == 0 && kind == QUOTAS_ACCOUNT &&
        !requests_is_read_only(type)) { /* what it has written is paid first */
        kind = QUOTAS_ACCOUNT_ROWS;
        wait_ms = quotas_charge(server->quotas, kind, name, 0, server->config.account_rows_per_minute);
    }
    if (wait_ms > 0)
        server->metrics->over_quota[kind]++;
    return wait_ms;
}

/* A commit has no answer, and only frees; a vault that may not say where it stands would be refused everything as one that was put back. */
static bool is_free(uint16_t type) { return type == msg_Type_COMMIT || type == msg_Type_PRESENT; }

static void begin(struct exchange *x)
{
    struct session *s = x->session;
    uint64_t wait_ms = is_free(x->type) ? 0 : over_quota_ms(s, x->type);
    if (wait_ms > 0)
        exchange_refuse_later(x, wait_ms);
    else if (x->type == msg_Type_HELLO)
        exchange_hello(x);
    else if (login_is_for(x->type) && s->role == REQUESTS_DEVICE)
        login_start(s->server->login, x);
    else if (x->type == msg_Type_LINK && s->role == REQUESTS_DEVICE)
        exchange_link(x);
    else if (x->type == msg_Type_SHARE_PUSH && s->server->directory != NULL)
        directory_push(x, exchange_on_done);
    else
        exchange_run(x);
}

int exchange_start(struct session *s, uint16_t type, uint32_t request, struct slice message, struct slice tail)
{
    size_t len = message.len + tail.len; /* both bounded by the frame */
    struct exchange *x = calloc(1, sizeof(*x) + len);
    if (x == NULL)
        return -ENOMEM;
    x->server = s->server;
    x->session = s;
    x->type = type;
    x->request = request;
    x->log_id = ++s->server->last_log_id;
    x->began_ns = s->frame_ns;
    x->bytes_len = len;
    if (message.len > 0)
        memcpy(x->bytes, message.data, message.len);
    if (tail.len > 0)
        memcpy(x->bytes + message.len, tail.data, tail.len);
    x->message = slice(x->bytes, message.len);
    x->tail = slice(x->bytes + message.len, tail.len);
    reply_init(&x->reply);
    fill_caller(&x->who, s);
    struct log_request scope CLEANUP(log_request_end) = log_request(x->log_id);
    s->running = x;
    begin(x);
    return 0;
}
