/* What doctor says of the clock: how far it is from what distributors have signed, as the vault has them. Loop thread. */
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/account.h"
#include "daemon/device_time.h"
#include "daemon/session.h"
#include "daemon/status.h"

#define SKEW_MAX_MS DOCUMENTS_SKEW_MS

/* The account whose clock differs most from ours, of those that were heard; NULL: none was. */
static const struct account *worst_skew(const struct daemon *d, int64_t *skew_ms)
{
    const struct account *worst = NULL;
    for (struct account *a = d->accounts; a != NULL; a = a->next) {
        int64_t ms = device_time_of(a) - clock_wall_ms(d->clock);
        if (a->time.state != DEVICE_TIME_HEARD || (worst != NULL && llabs(ms) <= llabs(*skew_ms)))
            continue;
        worst = a;
        *skew_ms = ms;
    }
    return worst;
}

/* The largest unit that it fills twice: nobody counts seconds of a year. */
static const char *skew_text(int64_t skew_ms, char out[48])
{
    static const struct {
        int64_t s;
        const char *word;
    } units[] = { { 86400, "days" }, { 3600, "hours" }, { 60, "minutes" }, { 1, "s" } };
    int64_t s = llabs(skew_ms) / 1000;
    size_t i = 0;
    while (i + 1 < ARRAY_COUNT(units) && s < 2 * units[i].s)
        i++;
    (void)snprintf(out, 48, "%lld %s", (long long)(s / units[i].s), units[i].word);
    return out;
}

static void say_untrusted(struct daemon *d, const struct account *untrusted, struct doctor_verdict *v)
{
    const bool connected = session_peer(account_find(d, untrusted->distributor.bytes)) != NULL;
    v->how = DOCTOR_BAD;
    if (connected)
        (void)snprintf(
            v->text, sizeof(v->text),
            "The time is untrusted: %s is connected, and has signed a later time before. What has an end waits until then; nothing is lost.",
            untrusted->name);
    else
        (void)snprintf(
            v->text, sizeof(v->text),
            "The time is untrusted: the clock %s, and %s has not told it. What has an end waits; nothing is lost.",
            untrusted->time.state == DEVICE_TIME_BEHIND ? "runs behind what was signed before"
                                                        : "disagrees with another distributor's",
            untrusted->name);
    v->remedy = connected ? "It passes by itself; its operator can say when."
                          : "Set the clock (timedatectl set-ntp true), or let this device reach it once.";
}

void doctor_clock(struct daemon *d, struct doctor_verdict *v)
{
    int64_t skew_ms = 0;
    char skew[48];
    const struct account *untrusted = device_time_untrusted(d), *heard = worst_skew(d, &skew_ms);
    *v = (struct doctor_verdict){ .how = DOCTOR_GOOD };
    if (untrusted != NULL) {
        say_untrusted(d, untrusted, v);
    } else if (heard == NULL) {
        v->how = DOCTOR_LOOK;
        v->remedy = "A distributor tells it when a session begins: let this device reach it once.";
        (void)snprintf(v->text, sizeof(v->text), "No distributor has told the time yet.");
    } else if (llabs(skew_ms) > SKEW_MAX_MS) {
        v->how = DOCTOR_BAD;
        v->remedy = "Set the clock: timedatectl set-ntp true";
        (void)snprintf(v->text, sizeof(v->text), "The clock is %s %s; while this device runs it goes by %s.",
                       skew_text(skew_ms, skew), skew_ms > 0 ? "slow" : "fast", heard->name);
    } else {
        (void)snprintf(v->text, sizeof(v->text), "The clock agrees with the distributors' (%lld ms).",
                       (long long)skew_ms);
    }
}
