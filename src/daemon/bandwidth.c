/* The limits, as settings and on the control socket. */
#include "daemon/bandwidth.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/control.h"
#include "daemon/setting.h"

static void load(struct daemon *d, const char *name, struct pace *p)
{
    char value[SETTING_VALUE_BYTES], *end;
    uint64_t rate = setting_read(d, name, value) ? strtoull(value, &end, 10) : 0;
    pace_set(p, rate >= PACE_RATE_MIN ? rate : 0, clock_mono_ms(d->clock));
}

static void change(struct daemon *d, const char *name, struct pace *p, uint64_t rate)
{
    char value[SETTING_VALUE_BYTES];
    if (rate == p->rate)
        return;
    pace_set(p, rate, clock_mono_ms(d->clock));
    (void)snprintf(value, sizeof(value), "%" PRIu64, rate);
    setting_put(d, name, value);
}

void bandwidth_start(struct daemon *d)
{
    load(d, "receive-limit", &d->receiving);
    load(d, "send-limit", &d->sending);
}

void bandwidth_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Bandwidth *m = message;
    if ((m->has_receive && m->receive != 0 && m->receive < PACE_RATE_MIN) ||
        (m->has_send && m->send != 0 && m->send < PACE_RATE_MIN)) {
        call_refuse(c, REASON_MALFORMED, "A limit is at least 1K a second; `none` takes it away.");
        return;
    }
    if (m->has_receive)
        change(d, "receive-limit", &d->receiving, m->receive);
    if (m->has_send)
        change(d, "send-limit", &d->sending, m->send);
    ctl_BandwidthRow row = { .receive = d->receiving.rate, .send = d->sending.rate };
    CALL_ROW(c, BANDWIDTH_ROW, BandwidthRow, &row);
    call_finish(c);
}
