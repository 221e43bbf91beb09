/* keys rotate: is there room in the keyset for what has to stay in it beside one more key of these purposes? One thread. */
#include <stdlib.h>
#include <time.h>

#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/keyset.h"
#include "distributor/serving.h"

#define UNTIL_BYTES 32

static const char *until_text(int64_t ms, bool is_soon, char out[UNTIL_BYTES])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm date;
    size_t len = !gmtime_r(&seconds, &date) ? 0
                 : is_soon                  ? strftime(out, UNTIL_BYTES, "%Y-%m-%d %H:%M UTC", &date)
                                            : strftime(out, UNTIL_BYTES, "%Y-%m-%d", &date);
    if (len == 0)
        snprintf(out, UNTIL_BYTES, "?");
    return out;
}

/* A license key that leaves the keyset takes what it has signed along: licenses that nobody could copy or give back any more. */
static int judge_license(struct admin *a)
{
    doc_Keyset *own CLEANUP(freep) = malloc(sizeof(*own));
    unsigned count = 0;
    int64_t first_ends_ms = 0;
    char until[UNTIL_BYTES];
    int r = own != NULL ? keyset_own(a->o, own) : -ENOMEM;
    if (r != 0)
        return admin_error(a, r, "read the keyset");
    keyset_former_license_keys(a->o, own, a->now_ms, &count, &first_ends_ms);
    if (count < KEYSET_FORMER_LICENSE_KEYS)
        return 0;
    return admin_fail(
        a, REASON_NOT_PERMITTED,
        "%u former license keys are listed that licenses in use are signed by, and there is no room for one more before %s: a key that is "
        "not listed makes them worthless. Rotate the others alone: keys rotate tls roster sealing. If a license key was stolen: keys withdraw KEY",
        count, until_text(first_ends_ms, false, until));
}

/* Here, or on another machine over the same database. */
static int serves(struct admin *a, bool *yes)
{
    struct serving here;
    char line[64], place[SERVING_PLACE_BYTES];
    int64_t seen_ms;
    *yes = !admin_runs_none(admin_ask_line(a, "GET /directory HTTP/1.1\r\nHost: console\r\n\r\n", line, sizeof(line)));
    if (*yes)
        return 0;
    int r = serving_init(&here, a->state_dir, rng_system());
    if (r == 0)
        r = serving_elsewhere(a->o, &here, a->now_ms, place, &seen_ms);
    *yes = r == 0;
    return r == OPERATIONS_ABSENT ? 0 : r;
}

/* Connections of today may be under a former TLS key: one that leaves the keyset ends them, in the middle of what they ask. */
static int judge_tls(struct admin *a, unsigned more)
{
    bool runs = false;
    int64_t until_ms = 0;
    char until[UNTIL_BYTES];
    int r = serves(a, &runs);
    if (r == 0 && runs)
        r = keyset_drops_tls(a->o, more, a->now_ms, &until_ms);
    if (r == -EKEYREVOKED) /* these are keys of before: there is nothing to keep */
        return 0;
    if (r != 0)
        return admin_error(a, r, "see which connections the keys are for");
    if (until_ms == 0)
        return 0;
    return admin_fail(
        a, REASON_NOT_PERMITTED,
        "A former TLS key that connected devices may use would leave the keyset, which is full, and cut them off in the middle of what they "
        "ask. There is room again from %s. If a key was stolen, do not wait: keys withdraw KEY",
        until_text(until_ms, true, until));
}

int admin_keys_room(struct admin *a, const bool wanted[KEYS_PURPOSES + 1])
{
    unsigned more = 0;
    int r = admin_open(a);
    for (enum key_purpose p = KEY_TLS; r == 0 && p <= KEY_SEALING; p++)
        more += wanted[p] && !a->keys->next[p - 1].there;
    if (r == 0 && wanted[KEY_LICENSE])
        r = judge_license(a);
    if (r == 0)
        r = judge_tls(a, more);
    if (r == 0)
        admin_close(a);
    return r;
}
