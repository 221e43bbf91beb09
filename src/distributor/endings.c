/* Sentences about what ends. On the connection's thread. */
#include "distributor/endings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/util.h"
#include "distributor/keyset.h"

#define DAY_MS INT64_C(86400000)
#define KEYS_SOON_MS (30 * DAY_MS)
#define PARTNER_SOON_MS DAY_MS /* they renew by themselves, long before */
#define WHEN_BYTES 40

static bool is_soon(int64_t ends_ms, int64_t now_ms, int64_t soon_ms)
{
    return ends_ms < now_ms ||
           now_ms > ends_ms - soon_ms; /* ends_ms is of a document of ours, now_ms may be anything */
}

/* "ends 2026-05-01 12:00 UTC", "has ended ...". */
static const char *when(int64_t ends_ms, int64_t now_ms, char out[WHEN_BYTES])
{
    time_t at = (time_t)(ends_ms / 1000);
    struct tm t;
    const char *verb = ends_ms < now_ms ? "has ended" : "ends";
    int len = snprintf(out, WHEN_BYTES, "%s ", verb);
    if (gmtime_r(&at, &t) == NULL || strftime(out + len, WHEN_BYTES - (size_t)len, "%Y-%m-%d %H:%M UTC", &t) == 0)
        snprintf(out, WHEN_BYTES, "%s at no date", verb); /* a clock that is far off */
    return out;
}

PRINTF_LIKE(2, 3) static void add(struct endings *e, const char *format, ...)
{
    va_list arguments;
    if (e->count == ENDINGS_MAX) {
        e->more++;
        return;
    }
    va_start(arguments, format);
    vsnprintf(e->texts[e->count++], ENDINGS_TEXT_BYTES, format, arguments);
    va_end(arguments);
}

/* One that retires ends soon and is meant to: the latest of a purpose counts. */
static int64_t latest_of(const struct measures *m, enum key_purpose purpose)
{
    int64_t latest = 0;
    for (size_t i = 0; i < m->key_count; i++)
        if (m->keys[i].purpose == purpose && m->keys[i].ends_ms > latest)
            latest = m->keys[i].ends_ms;
    return latest;
}

static void add_partner(struct endings *e, const struct measures *m, const struct measures_partner *p, bool of_grant)
{
    char date[WHEN_BYTES];
    int64_t ends_ms = of_grant ? p->grant_ends_ms : p->delegation_ends_ms;
    if (ends_ms != 0 && is_soon(ends_ms, m->now_ms, PARTNER_SOON_MS))
        add(e,
            "The %s of partner %s %s and was not renewed, which happens by itself while this distributor serves and the partner answers. "
            "See whether it does: hearth-distributor partner list",
            of_grant ? "key grant" : "delegation", p->name, when(ends_ms, m->now_ms, date));
}

void endings_of(const struct measures *m, bool has_root, struct endings *out)
{
    static const char *const names[] = {
        [KEY_TLS] = "tls", [KEY_LICENSE] = "license", [KEY_ROSTER] = "roster", [KEY_SEALING] = "sealing"
    };
    char date[WHEN_BYTES];
    *out = (struct endings){ .count = 0 };
    char old[KEYS_AGE_TEXT_BYTES];
    if (m->ages.of[0] != KEYS_NEWEST)
        add(out, "%s.", keys_ages_text(&m->ages, old));
    if (m->keyset_due != 0 && !has_root)
        add(out,
            "A keyset is to be signed with the root key, which is not here: %s. hearth-distributor keys request FILE; "
            "keys sign where the key is; keys install FILE. (With its token here: keys rotate)",
            keyset_due_text(m->keyset_due));
    else if ((m->keyset_due & KEYSET_DUE_WITHDRAWN) != 0)
        add(out,
            "A key that was withdrawn is in use since the database was put back, and everybody takes what it signs: "
            "hearth-distributor keys rotate");
    if (is_soon(m->keyset_ends_ms, m->now_ms, KEYS_SOON_MS))
        add(out,
            "The keyset %s; without the next one nobody talks to this distributor. Issue it: hearth-distributor %s",
            when(m->keyset_ends_ms, m->now_ms, date),
            has_root ? "keys rotate" : "keys rotate, or without the root key's token here: keys request FILE");
    for (enum key_purpose p = KEY_TLS; p <= KEY_SEALING; p++) {
        int64_t ends_ms = latest_of(m, p);
        if (ends_ms != 0 && is_soon(ends_ms, m->now_ms, KEYS_SOON_MS))
            add(out, "The %s key %s. Change it: hearth-distributor keys rotate %s%s", names[p],
                when(ends_ms, m->now_ms, date), names[p], has_root ? "" : " [--request FILE]");
    }
    for (size_t i = 0; i < m->partner_count; i++) {
        add_partner(out, m, &m->partners[i], false);
        add_partner(out, m, &m->partners[i], true);
    }
}

int endings_read(struct operations *o, int64_t now_ms, struct endings *out)
{
    struct measures *m CLEANUP(freep) = malloc(sizeof(*m));
    int r = m != NULL ? measures_read(o, now_ms, m) : -ENOMEM;
    if (r == 0)
        endings_of(m, o->keys->has_root, out);
    return r;
}
