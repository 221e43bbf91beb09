/* Keeping what the vault says of the time. Callbacks: on_time, for each account; then the caller's. */
#include "daemon/device_time.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/account.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/siblings.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "time"
#include "base/log.h"

int64_t device_time_of(const struct account *a)
{
    const struct clock *clock = a->daemon->clock;
    switch (a->time.state) {
    case DEVICE_TIME_HEARD:
        return a->time.now_ms + (clock_mono_ms(clock) - a->time.mono_ms);
    case DEVICE_TIME_BEHIND:
    case DEVICE_TIME_CONTRADICTED:
        return a->time.now_ms;
    default:
        return clock_wall_ms(clock);
    }
}

static struct account *account_for(struct daemon *d, const struct id *issuer)
{
    struct account *a = account_find_issuer(d, issuer->bytes);
    for (struct account *other = d->accounts; a == NULL && other != NULL; other = other->next)
        if (other->time.state == DEVICE_TIME_HEARD)
            a = other;
    return a != NULL ? a : d->accounts;
}

int64_t device_time_for(struct daemon *d, const struct id *issuer)
{
    const struct account *a = account_for(d, issuer);
    return a != NULL ? device_time_of(a) : clock_wall_ms(d->clock);
}

int64_t device_time_certain(struct daemon *d, const struct id *issuer)
{
    const struct account *a = account_for(d, issuer);
    return a != NULL && a->time.state == DEVICE_TIME_HEARD ? device_time_of(a) : 0;
}

bool device_time_is_untrusted(const struct account *a)
{
    return a->time.state == DEVICE_TIME_BEHIND || a->time.state == DEVICE_TIME_CONTRADICTED;
}

const struct account *device_time_untrusted(const struct daemon *d)
{
    const struct account *a = d->accounts;
    while (a != NULL && !device_time_is_untrusted(a))
        a = a->next;
    return a;
}

/* Said once, for whichever account it is. What was here in time while nobody knew the time is told to the vault now. Rosters end and wake with the
 * time. */
static void changed(struct account *a, bool was_untrusted, uint32_t before, bool jumped)
{
    struct daemon *d = a->daemon;
    if (!a->listed)
        return;
    if (device_time_is_untrusted(a) && !was_untrusted)
        event(d, "time-untrusted",
              "the clock cannot be trusted: what has an end waits until it is set, or %s is reached", a->name);
    if (a->time.state == DEVICE_TIME_HEARD && before != DEVICE_TIME_HEARD)
        library_tell_vault(d);
    if (a->time.state != before || jumped)
        siblings_refresh(d);
}

void device_time_take(struct account *a, const struct answer *answer)
{
    vlt_Time m;
    if (answer->why != REASON_NONE || CODEC_DECODE(vlt_Time, answer->frame->message, &m) != 0 ||
        m.now_ms > INT64_MAX / 2) {
        log_warn("%s: the vault did not tell the time", a->name);
        return;
    }
    struct device_time before = a->time;
    bool was_untrusted = device_time_untrusted(a->daemon) != NULL;
    a->time = (struct device_time){ m.state, (int64_t)m.now_ms, clock_mono_ms(a->daemon->clock) };
    int64_t expected_ms = before.now_ms + (a->time.mono_ms - before.mono_ms);
    changed(a, was_untrusted, before.state, llabs(a->time.now_ms - expected_ms) > DOCUMENTS_SKEW_MS);
}

/* --- All of them --- */

struct round {
    unsigned open; /* answers to come, and one until all were asked for */
    void (*on_told)(void *ctx);
    void *ctx;
    struct daemon *daemon;
    struct later_item later;
};

struct one {
    struct round *round;
    struct account *account; /* a reference */
};

static void end(struct round *r)
{
    if (r->on_told != NULL)
        r->on_told(r->ctx);
    free(r);
}

static void on_nothing_asked(struct later_item *item) { end(container_of(item, struct round, later)); }

static void on_time(const struct answer *answer, void *ctx)
{
    struct one *one = ctx;
    struct round *r = one->round;
    device_time_take(one->account, answer);
    account_unref(one->account);
    free(one);
    if (--r->open == 0)
        end(r);
}

static void ask(struct round *r, struct account *a)
{
    vlt_TimeGet get;
    struct one *one = malloc(sizeof(*one));
    if (one == NULL)
        return;
    memcpy(get.distributor, a->distributor.bytes, ID_BYTES);
    *one = (struct one){ r, account_ref(a) };
    r->open++;
    if (vault_call(r->daemon->vault, &ASK(vlt_Type_TIME_GET, vlt_Type_TIME, vlt_TimeGet, &get), on_time, one) == 0)
        return;
    r->open--;
    account_unref(a);
    free(one);
}

int device_time_refresh(struct daemon *d, void (*on_told)(void *ctx), void *ctx)
{
    struct round *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    *r = (struct round){ .open = 1, .on_told = on_told, .ctx = ctx, .daemon = d };
    for (struct account *a = d->accounts; a != NULL; a = a->next)
        ask(r, a);
    for (struct account *a = d->guests; a != NULL; a = a->next)
        ask(r, a);
    if (--r->open == 0)
        later_run(&d->later, &r->later, on_nothing_asked);
    return 0;
}
