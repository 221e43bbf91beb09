/* One look an hour at what has an end date. */
#include "daemon/upkeep.h"

#include "daemon/account.h"
#include "daemon/session.h"
#include "daemon/siblings.h"

#define TICK_MS (60 * 60 * 1000)

/* That many eighths of its life are over. */
static bool is_old(uint64_t issued_ms, uint64_t ends_ms, unsigned eighths, int64_t now_ms)
{
    return ends_ms <= issued_ms || (uint64_t)now_ms > issued_ms + (ends_ms - issued_ms) / 8 * eighths;
}

static void look_after(struct account *a)
{
    int64_t now_ms = device_time_of(a);
    if (!session_knows_us(a->session))
        return;
    if (a->keyset != NULL && is_old(a->keyset->issued_ms, a->keyset->ends_ms, 7, now_ms))
        session_restart(a->session); /* its first frame is the newest keyset */
    else if (a->roster == NULL || is_old(a->roster->issued_ms, a->roster->ends_ms, 4, now_ms))
        session_refresh_roster(a->session);
}

static void on_tick(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    for (struct account *a = d->accounts; a != NULL; a = a->next)
        look_after(a);
    siblings_refresh(d); /* a roster that has ended names nobody any more */
}

void upkeep_start(struct daemon *d)
{
    (void)uv_timer_init(d->loop, &d->upkeep); /* cannot fail */
    d->upkeep.data = d;
    (void)uv_timer_start(&d->upkeep, on_tick, TICK_MS, TICK_MS);
}

void upkeep_stop(struct daemon *d)
{
    if (d->upkeep.data != NULL && !uv_is_closing((uv_handle_t *)&d->upkeep))
        uv_close((uv_handle_t *)&d->upkeep, NULL);
}
