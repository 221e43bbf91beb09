/* The limit, as a setting and on the control socket. */
#include "daemon/bandwidth.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/setting.h"

#define NAME "receive-limit"

void bandwidth_start(struct daemon *d)
{
    char value[SETTING_VALUE_BYTES], *end;
    uint64_t rate = setting_read(d, NAME, value) ? strtoull(value, &end, 10) : 0;
    pace_set(&d->receiving, rate >= PACE_RATE_MIN ? rate : 0, clock_mono_ms(d->clock));
}

void bandwidth_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Bandwidth *m = message;
    char value[SETTING_VALUE_BYTES];
    if (m->has_receive && m->receive != 0 && m->receive < PACE_RATE_MIN) {
        call_refuse(c, REASON_MALFORMED, "A limit is at least 1K a second; `none` takes it away.");
        return;
    }
    if (m->has_receive && m->receive != d->receiving.rate) {
        pace_set(&d->receiving, m->receive, clock_mono_ms(d->clock));
        (void)snprintf(value, sizeof(value), "%" PRIu64, m->receive);
        setting_put(d, NAME, value);
    }
    ctl_BandwidthRow row = { .receive = d->receiving.rate };
    CALL_ROW(c, BANDWIDTH_ROW, BandwidthRow, &row);
    call_finish(c);
}
