/* Groups of eight entries; a name belongs to one group by a keyed hash, so that nobody can push out the one he chooses. */
#include "distributor/quotas.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "crypto/sha256.h"

#define WAYS 8
#define TAG_BYTES 12
#define MINUTE_MS INT64_C(60000)
#define DEBT_MINUTES 5 /* with a full bucket; more is never asked back */

struct entry {
    uint8_t tag[TAG_BYTES];
    bool used;
    int64_t asked_ms; /* monotonic; when `left` was true */
    int64_t left;     /* in 1/60000 of a request: one a minute makes one of these each millisecond */
};
struct quotas {
    const struct clock *clock;
    uint8_t key[32];
    struct entry entries[QUOTAS_NAMES / WAYS][WAYS];
};

int quotas_new(struct quotas **out, const struct clock *clock, const struct rng *rng)
{
    struct quotas *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return -ENOMEM;
    q->clock = clock;
    rng_fill(rng, q->key, sizeof(q->key));
    *out = q;
    return 0;
}

void quotas_free(struct quotas *q) { free(q); }

/* The name's entry, or the one it takes: a free one, else that of whoever has not asked for longest. */
static struct entry *find(struct quotas *q, enum quotas_kind kind, struct slice name, bool *is_new)
{
    uint8_t hash[SHA256_BYTES], kind_byte = (uint8_t)kind;
    struct slice parts[] = { SLICE_ARRAY(q->key), slice(&kind_byte, 1), name };
    sha256_parts(parts, ARRAY_COUNT(parts), hash);
    struct entry *group = q->entries[get_be32(hash + TAG_BYTES) % (QUOTAS_NAMES / WAYS)], *oldest = &group[0];
    for (size_t i = 0; i < WAYS; i++) {
        struct entry *e = &group[i];
        if (e->used && memcmp(e->tag, hash, TAG_BYTES) == 0) {
            *is_new = false;
            return e;
        }
        if (oldest->used && (!e->used || e->asked_ms < oldest->asked_ms))
            oldest = e;
    }
    *is_new = true;
    memcpy(oldest->tag, hash, TAG_BYTES);
    oldest->used = true;
    return oldest;
}

/* The name's entry, with what has flowed in since. */
static struct entry *fill(struct quotas *q, enum quotas_kind kind, struct slice name, uint32_t per_minute)
{
    int64_t now_ms = clock_mono_ms(q->clock), most = (int64_t)per_minute * MINUTE_MS;
    bool is_new;
    struct entry *e = find(q, kind, name, &is_new);
    int64_t passed_ms = is_new || now_ms < e->asked_ms ? 0 : now_ms - e->asked_ms;
    if (is_new || passed_ms > DEBT_MINUTES * MINUTE_MS || e->left + passed_ms * per_minute > most)
        e->left = most;
    else
        e->left += passed_ms * per_minute;
    e->asked_ms = now_ms;
    return e;
}

uint64_t quotas_take(struct quotas *q, enum quotas_kind kind, struct slice name, uint32_t per_minute)
{
    if (per_minute == 0)
        return 0;
    struct entry *e = fill(q, kind, name, per_minute);
    if (e->left < MINUTE_MS)
        return (uint64_t)(MINUTE_MS - e->left + per_minute - 1) / per_minute;
    e->left -= MINUTE_MS;
    return 0;
}

uint64_t quotas_charge(struct quotas *q, enum quotas_kind kind, struct slice name, uint32_t count, uint32_t per_minute)
{
    if (per_minute == 0)
        return 0;
    struct entry *e = fill(q, kind, name, per_minute);
    int64_t least = -(int64_t)per_minute * MINUTE_MS * (DEBT_MINUTES - 1);
    e->left -= (int64_t)count * MINUTE_MS;
    e->left = e->left < least ? least : e->left;
    return e->left < 0 ? (uint64_t)(-e->left + per_minute - 1) / per_minute : 0;
}
