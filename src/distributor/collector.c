/* Callbacks, in a circle: on_time -> run_look, on_looked -> run_take, on_taken -> on_hook_done -> run_end, on_ended -> wait for on_time.
 *
 * The payment is HANDED and durable before the command starts (starter.h). A lock on STATE/payment.lock is held by the command and whatever it starts:
 * after a server was killed, the next one waits for a command that still runs, so that never two work at the same time. */
#define LOG_MODULE "payments"
#include "distributor/collector.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/collector_hook.h"
#include "distributor/starter.h"

#define LOOK_MS 1000

struct collector {
    struct server *server;
    uv_timer_t timer;
    bool busy; /* somewhere in the circle */
    bool stopping, timer_closed;
    void (*on_stopped)(struct server *);
    struct writer_job look_job, take_job, end_job;
    struct payments_command command;
    struct payment payment;
    struct hook *hook; /* while it runs */
    int lock;          /* -1, or held for the run */
    bool said_other;   /* that another command is set than the starter knows */
    bool said_held;    /* that the lock is another's */
    enum payment_outcome outcome;
    char detail[PAYMENTS_DETAIL_BYTES];
};

static void rest(struct collector *c)
{
    closep(&c->lock);
    c->lock = -1;
    c->busy = false;
    if (!c->stopping || !c->timer_closed)
        return;
    struct server *server = c->server;
    void (*on_stopped)(struct server *) = c->on_stopped;
    starter_unwatch(server->process->starter);
    server->collector = NULL;
    free(c);
    on_stopped(server);
}

/* --- What it said ----------------------------------------------------------------------------------------------------- */

static int run_end(struct writer_job *job, void *database)
{
    struct collector *c = container_of(job, struct collector, end_job);
    return payments_end(database, c->payment.key, c->payment.attempts, c->outcome, c->detail,
                        clock_wall_ms(c->server->clock));
}

static void on_ended(struct writer_job *job, int outcome)
{
    struct collector *c = container_of(job, struct collector, end_job);
    static const char *const words[] = { [PAYMENT_SAYS_PAID] = "paid",
                                         [PAYMENT_SAYS_DECLINED] = "declined",
                                         [PAYMENT_SAYS_NOTHING] = "not known, handed again later" };
    if (outcome == 0)
        log_info("payment=%" PRIu64 " attempt=%" PRIu32 " outcome=%s", c->payment.number, c->payment.attempts,
                 words[c->outcome]);
    else /* it stays handed, and is handed again with the same key */
        log_warn("payment=%" PRIu64 " cannot be written down: outcome=%d", c->payment.number, outcome);
    rest(c);
}

static void write_down(struct collector *c, enum payment_outcome outcome, const char *detail)
{
    c->outcome = outcome;
    snprintf(c->detail, sizeof(c->detail), "%s", detail);
    c->end_job = (struct writer_job){ .run = run_end, .on_done = on_ended };
    writer_submit(c->server->writer, &c->end_job);
}

static void on_hook_done(void *ctx, enum payment_outcome outcome, const char *detail)
{
    struct collector *c = ctx;
    c->hook = NULL;
    write_down(c, outcome, detail);
}

/* --- Handing over ----------------------------------------------------------------------------------------------------- */

static char *request_of(const struct collector *c)
{
    const struct payment *p = &c->payment;
    const struct operations *o = c->server->read_ops; /* what never changes while it is open */
    char key[HEX_TEXT_BYTES(PAYMENTS_KEY_BYTES)];
    hex_encode(SLICE_ARRAY(p->key), key);
    json_t *json = json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:I}", "key", key, "payment", (json_int_t)p->number,
                             "amount", (json_int_t)p->amount, "currency", o->currency, "user", p->user, "payer",
                             p->payer, "distributor", o->name, "attempt", (json_int_t)p->attempts);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL, *line = NULL;
    if (text != NULL && asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    free(text);
    json_decref(json);
    return line;
}

static void on_taken(struct writer_job *job, int outcome)
{
    struct collector *c = container_of(job, struct collector, take_job);
    if (outcome != 0) {
        if (outcome < 0 && outcome != -ECANCELED)
            log_warn("cannot take a payment errno=%d", -outcome);
        rest(c);
        return;
    }
    char *request CLEANUP(freep) = request_of(c);
    int r = c->stopping ? -ECANCELED : request == NULL ? -ENOMEM : 0;
    if (r == 0)
        r = hook_start(&c->hook, &c->server->loop,
                       &(struct hook_run){ c->server->process->starter, c->command.timeout_ms, request, c->lock },
                       on_hook_done, c);
    if (r == 0)
        return;
    const char *why = r == -ECANCELED ? "the server stopped" : strerror(-r);
    if (r != -ECANCELED)
        log_warn("the payment command cannot be started: %s", why);
    write_down(c, PAYMENT_SAYS_NOTHING, why);
}

static int run_take(struct writer_job *job, void *database)
{
    struct collector *c = container_of(job, struct collector, take_job);
    return payments_take(database, clock_wall_ms(c->server->clock), c->command.timeout_ms, &c->payment);
}

/* --- Looking ---------------------------------------------------------------------------------------------------------- */

/* What was set when the server began is what counts: who takes it over may write another one into the database. Until then payments are not taken, so they wait as
 * they are. */
static bool can_be_started(struct collector *c)
{
    struct starter *starter = c->server->process->starter;
    bool other = strcmp(c->command.path, starter_command(starter)) != 0;
    if (other && !c->said_other)
        log_warn(config_permits(&c->server->config, c->command.path)
                     ? "payment-command was changed: payments wait until the server is started again"
                     : "payment-command is another one than the configuration's: payments wait");
    c->said_other = other;
    return !other && starter_is_there(starter);
}

static void on_looked(struct writer_job *job, int outcome)
{
    struct collector *c = container_of(job, struct collector, look_job);
    int r = outcome == 0 && !c->stopping && can_be_started(c) ? payments_lock(c->server->config.state_dir, &c->lock)
                                                              : -ECANCELED;
    if (outcome < 0 && outcome != -ECANCELED && outcome != -EKEYREVOKED) /* of that watch.c speaks */
        log_warn("cannot look for payments errno=%d", -outcome);
    if (r != 0 && r != -EWOULDBLOCK && r != -ECANCELED)
        log_warn("cannot lock the payments errno=%d", -r);
    if (r == -EWOULDBLOCK && !c->said_held)
        log_warn(
            "a payment command of before still runs, or what it has left running: payments wait until it has ended");
    if (r != -ECANCELED)
        c->said_held = r == -EWOULDBLOCK;
    if (r != 0) {
        rest(c);
        return;
    }
    c->take_job = (struct writer_job){ .run = run_take, .on_done = on_taken };
    writer_submit(c->server->writer, &c->take_job);
}

static int run_look(struct writer_job *job, void *database)
{
    struct collector *c = container_of(job, struct collector, look_job);
    return payments_due(database, clock_wall_ms(c->server->clock), &c->command);
}

static void on_time(uv_timer_t *timer)
{
    struct collector *c = container_of(timer, struct collector, timer);
    if (c->busy)
        return;
    c->busy = true;
    c->look_job = (struct writer_job){ .run = run_look, .on_done = on_looked };
    writer_submit(c->server->reader, &c->look_job);
}

/* --- Life ------------------------------------------------------------------------------------------------------------- */

int collector_start(struct collector **out, struct server *server)
{
    struct collector *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    c->server = server;
    c->lock = -1;
    uv_timer_init(&server->loop, &c->timer);
    *out = c;
    int r = starter_watch(server->process->starter, &server->loop);
    return r == 0 ? uv_timer_start(&c->timer, on_time, LOOK_MS / 4, LOOK_MS) : r;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct collector *c = container_of((uv_timer_t *)(void *)handle, struct collector, timer);
    c->timer_closed = true;
    if (!c->busy)
        rest(c);
}

void collector_stop(struct collector *c, void (*on_stopped)(struct server *), struct server *server)
{
    if (c == NULL) {
        on_stopped(server);
        return;
    }
    c->stopping = true;
    c->on_stopped = on_stopped;
    if (c->hook != NULL)
        starter_hurry(c->server->process->starter);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
