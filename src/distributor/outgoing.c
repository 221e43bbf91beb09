/* Callbacks, in the order in which they fire: on_frame (the keyset), run_keyset (writer thread), on_keyset_done, on_welcome,
 * on_closed; refused, run_shown (writer thread) and on_shown_done beside on_closed. It is freed by whichever comes last: on_closed, or the end of the database work. */
#define LOG_MODULE "outgoing"
#include "distributor/outgoing.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/findings.h"
#include "distributor/keyset.h"
#include "distributor/older.h"

#define DIAL_MS 5000
#define WELCOME_MS 5000
#define IDLE_MS 90000

struct outgoing {
    struct writer_job job; /* judges the keyset, or the one that it knows of us */
    struct server *server;
    struct peer *peer; /* NULL once closed */
    struct id expected;
    uint8_t key[32];
    struct buf keyset; /* the other side's; once it has refused ours, the one it knows of us */
    bool job_runs, has_keyset, is_older;
    struct outgoing_callbacks callbacks;
    void *ctx;
};

static void outgoing_free(struct outgoing *o)
{
    buf_free(&o->keyset);
    free(o);
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct outgoing *o = ctx;
    (void)p;
    o->peer = NULL;
    struct outgoing_callbacks callbacks = o->callbacks;
    void *callback_ctx = o->ctx;
    if (!o->job_runs)
        outgoing_free(o);
    callbacks.on_closed(callback_ctx, why);
}

/* --- Refused --------------------------------------------------------------------------------------------------------- */

static int run_shown(struct writer_job *job, void *database)
{
    struct outgoing *o = container_of(job, struct outgoing, job);
    struct operations *operations = database;
    uint64_t sequence = 0;
    int r = keyset_proves_older(operations, buf_slice(&o->keyset), &o->is_older, &sequence);
    if (r != 0 || !o->is_older)
        return r;
    findings_note(
        operations, FINDING_OWN_ROWS_AHEAD, OPERATIONS_SELF,
        "Another distributor knows our keyset %llu, which our root key has signed and this database has not given out: it "
        "is an older copy of itself. The server has stopped. Run: hearth-distributor restore --here",
        (unsigned long long)sequence);
    return findings_flush(operations, clock_wall_ms(o->server->clock));
}

static void on_shown_done(struct writer_job *job, int outcome)
{
    struct outgoing *o = container_of(job, struct outgoing, job);
    struct server *server = o->server;
    bool is_older = o->is_older;
    if (outcome != 0 && outcome != -ECANCELED)
        log_warn("the keyset that the other side knows of us could not be judged outcome=%d", outcome);
    o->job_runs = false;
    if (o->peer == NULL)
        outgoing_free(o);
    if (is_older)
        older_stop(server);
}

/* By itself a refusal proves nothing: anybody may say so. */
static void judge_shown(struct outgoing *o, struct slice envelope)
{
    buf_clear(&o->keyset);
    if (envelope.len == 0 || buf_append(&o->keyset, envelope) != 0)
        return;
    o->job = (struct writer_job){ .run = run_shown, .on_done = on_shown_done };
    o->job_runs = true;
    writer_submit(o->server->writer, &o->job);
}

static bool on_welcome(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct outgoing *o = ctx;
    if (reply == NULL) {
        peer_close(p, why);
        return false;
    }
    msg_Refusal refusal;
    enum reason refused = peer_refusal(reply, msg_Type_WELCOME, &refusal);
    if (refused != REASON_NONE) {
        log_warn("the other side refuses us address=%s reason=%s", peer_address(p), reason_code(refused));
        if (refused == REASON_KEYSET_INVALID)
            judge_shown(o, reply->tail);
        if (o->callbacks.on_refused != NULL)
            o->callbacks.on_refused(o->ctx);
        peer_close(p, refused);
        return false;
    }
    o->callbacks.on_ready(o->ctx);
    return false;
}

/* --- Greeting -------------------------------------------------------------------------------------------------------- */

static int send_hello(struct outgoing *o)
{
    msg_Hello hello = { .role = REQUESTS_DISTRIBUTOR, .generation = 0 };
    return peer_request(o->peer, msg_Type_HELLO, msg_Hello_fields, &hello, buf_slice(&o->server->keyset), WELCOME_MS,
                        on_welcome, o, NULL);
}

static int run_keyset(struct writer_job *job, void *database)
{
    struct outgoing *o = container_of(job, struct outgoing, job);
    doc_Keyset *keyset CLEANUP(freep) = malloc(sizeof(*keyset));
    if (keyset == NULL)
        return -ENOMEM;
    return keyset_meet(database, &o->expected, buf_slice(&o->keyset), o->key, clock_wall_ms(o->server->clock), keyset);
}

static void on_keyset_done(struct writer_job *job, int outcome)
{
    struct outgoing *o = container_of(job, struct outgoing, job);
    o->job_runs = false;
    if (o->peer == NULL) {
        outgoing_free(o);
        return;
    }
    if (outcome == 0)
        outcome = send_hello(o);
    if (outcome == 0)
        return;
    enum reason why = outcome > 0 ? (enum reason)outcome : reason_of_error(outcome);
    log_warn("keyset refused address=%s reason=%s", peer_address(o->peer), reason_code(why));
    peer_close(o->peer, why);
}

/* Design section 2: until the keyset verifies, nothing is sent. */
static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct outgoing *o = ctx;
    if (f->type != msg_Type_KEYSET || o->has_keyset) {
        if (!o->has_keyset || f->request != 0)
            peer_close(p, REASON_MALFORMED);
        return; /* what the other side announces by itself is not for us */
    }
    o->has_keyset = true;
    memcpy(o->key, peer_key(p), sizeof(o->key));
    if (buf_append(&o->keyset, f->tail) != 0) {
        peer_close(p, REASON_TOO_LARGE);
        return;
    }
    o->job = (struct writer_job){ .run = run_keyset, .on_done = on_keyset_done };
    o->job_runs = true;
    writer_submit(o->server->writer, &o->job);
}

static void on_open(struct peer *p, void *ctx)
{
    (void)ctx;
    peer_set_tail_max(p, FRAME_TAIL_MAX); /* pages of key blocks and shared rows */
    peer_set_idle_ms(p, IDLE_MS);
}

int outgoing_open(struct outgoing **out, struct server *server, const struct id *expected, const char *address,
                  const struct outgoing_callbacks *callbacks, void *ctx)
{
    static const struct peer_callbacks of_peer = { on_open, on_frame, NULL, on_closed };
    struct outgoing *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return -ENOMEM;
    o->server = server;
    o->expected = *expected;
    o->keyset = buf(KEYSET_ENVELOPE_MAX);
    o->callbacks = *callbacks;
    o->ctx = ctx;
    int r = peer_dial(&o->peer, &server->loop, server->identity, address, NULL, DIAL_MS, &of_peer, o);
    if (r != 0) {
        outgoing_free(o);
        return r;
    }
    *out = o;
    return 0;
}

struct peer *outgoing_peer(struct outgoing *o) { return o->peer; }

void outgoing_close(struct outgoing *o, enum reason why)
{
    if (o->peer != NULL)
        peer_close(o->peer, why);
}
