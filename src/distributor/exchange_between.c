/* Requests that distributors have a part in: HELLO, whoever says it, and LINK.
 *
 * Callbacks, in the order in which they fire: run_* (a database thread), exchange_on_done; of LINK on_link_begun, on_linked, and exchange_on_done. */
#define LOG_MODULE "exchange"
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/announce.h"
#include "distributor/exchange_internal.h"
#include "distributor/meet.h"
#include "distributor/partners.h"
#include "distributor/places.h"

/* --- A distributor's HELLO ---------------------------------------------------------------------------------------- */

static int run_distributor(struct writer_job *job, void *database)
{
    struct exchange *x = container_of(job, struct exchange, job);
    reply_free(&x->reply);
    reply_init(&x->reply);
    int r = meet_distributor(database, x->tail, x->who.key, clock_wall_ms(x->server->clock), &x->who.partner, x->keyset,
                             &x->reply.tail);
    if (r != 0)
        return r;
    msg_Welcome welcome = msg_Welcome_init_zero;
    welcome.registered = true;
    x->reply.type = msg_Type_WELCOME;
    r = CODEC_ENCODE(msg_Welcome, &x->reply.message, &welcome);
    return r > 0 ? -EINVAL : r;
}

/* A contents server is known by its key: the operator has named it as a place. */
static int run_contents(struct writer_job *job, void *database)
{
    struct exchange *x = container_of(job, struct exchange, job);
    msg_Welcome welcome = { .registered = true };
    int r = places_find_server(database, &x->who.client);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_PERMITTED : r;
    x->reply.type = msg_Type_WELCOME;
    r = CODEC_ENCODE(msg_Welcome, &x->reply.message, &welcome);
    return r > 0 ? -EINVAL : r;
}

void exchange_hello(struct exchange *x)
{
    msg_Hello hello;
    if (CODEC_DECODE(msg_Hello, x->message, &hello) != 0 ||
        (hello.role != REQUESTS_DEVICE && hello.role != REQUESTS_DISTRIBUTOR && hello.role != REQUESTS_CONTENTS)) {
        exchange_refuse(x, REASON_MALFORMED, NULL);
        return;
    }
    x->who.role = (enum requests_role)hello.role;
    if (x->server->config.directory_only && x->who.role != REQUESTS_DISTRIBUTOR) {
        exchange_refuse(x, REASON_NOT_PERMITTED, "This is a directory: it serves distributors only.");
        return;
    }
    if (x->who.role == REQUESTS_DEVICE) {
        exchange_run(x);
        return;
    }
    if (x->who.role == REQUESTS_CONTENTS) {
        exchange_submit(x, x->server->reader, run_contents, exchange_on_done);
        return;
    }
    x->keyset = malloc(sizeof(*x->keyset));
    if (x->keyset == NULL) {
        exchange_refuse(x, REASON_INTERNAL, NULL);
        return;
    }
    exchange_submit(x, x->server->writer, run_distributor, exchange_on_done);
}

/* --- LINK: our half, the partner's, our half again ----------------------------------------------------------------- */

static int run_link_begin(struct writer_job *job, void *database)
{
    struct exchange *x = container_of(job, struct exchange, job);
    x->who.now_ms = clock_wall_ms(x->server->clock);
    return links_begin(database, &x->who, x->message, x->half, &x->reply);
}

static int run_link_store(struct writer_job *job, void *database)
{
    struct exchange *x = container_of(job, struct exchange, job);
    reply_free(&x->reply);
    reply_init(&x->reply);
    int r = links_store(database, x->half, x->partner_user, clock_wall_ms(x->server->clock), &x->reply);
    int collected = announce_collect(database, &x->touched, &x->touched_count);
    return r == 0 ? collected : r;
}

static void on_linked(void *ctx, int outcome, const char *user, const char *detail)
{
    struct exchange *x = ctx;
    struct log_request scope CLEANUP(log_request_end) = log_request(x->log_id);
    if (outcome == 0) {
        memcpy(x->partner_user, user, strlen(user) + 1);
        exchange_submit(x, x->server->writer, run_link_store, exchange_on_done);
        return;
    }
    if (outcome > 0) /* a code is short: guessing at it takes longer each time */
        throttle_failed(x->server->throttle, THROTTLE_DEVICE, slice(x->who.client.bytes, ID_BYTES));
    if (outcome < 0)
        outcome = REASON_OFFLINE;
    exchange_refuse(x, (enum reason)outcome,
                    outcome == REASON_OFFLINE ? "The other distributor cannot be reached now." : detail);
}

static void on_link_begun(struct writer_job *job, int outcome)
{
    struct exchange *x = container_of(job, struct exchange, job);
    if (outcome == -EKEYREVOKED && exchange_waits_for_keys(x))
        return;
    if (outcome != 0) {
        exchange_finish(x, outcome);
        return;
    }
    const struct links_half *h = x->half;
    int r =
        partners_link(x->server->partners, &h->partner, h->address, h->code, h->user, EXCHANGE_ASK_MS, on_linked, x);
    if (r != 0)
        on_linked(x, r, NULL, NULL);
}

void exchange_link(struct exchange *x)
{
    uint64_t wait_ms = throttle_wait_ms(x->server->throttle, THROTTLE_DEVICE, slice(x->who.client.bytes, ID_BYTES));
    if (wait_ms > 0) {
        exchange_refuse_later(x, wait_ms);
        return;
    }
    x->half = calloc(1, sizeof(*x->half));
    if (x->half == NULL) {
        exchange_refuse(x, REASON_INTERNAL, NULL);
        return;
    }
    exchange_submit(x, x->server->reader, run_link_begin, on_link_begun);
}
