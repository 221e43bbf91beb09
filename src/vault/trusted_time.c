/* The high-water mark of time (table high_water). */
#include "vault/trusted_time.h"

#include "vault/db.h"
#include "vault/keys.h"
#include "vault/service.h"

int trusted_time_load(struct vault *v)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_TIME_GET);
    int r = query_one(&q);
    if (r == STORE_ABSENT)
        return 0;
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    v->high_water_ms = query_u64(&q, 0);
    return query_check(&q);
}

static uint64_t system_now(const struct vault *v)
{
    int64_t wall_ms = clock_wall_ms(v->clock);
    return wall_ms > 0 ? (uint64_t)wall_ms : 0;
}

uint64_t trusted_time_now(const struct vault *v)
{
    uint64_t wall_ms = system_now(v);
    return wall_ms > v->high_water_ms ? wall_ms : v->high_water_ms;
}

bool trusted_time_is_behind(const struct vault *v)
{
    uint64_t wall_ms = system_now(v);
    return wall_ms < v->high_water_ms && v->high_water_ms - wall_ms > DOCUMENTS_SKEW_MS;
}

int trusted_time_check(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)reply;
    const vlt_TimeCheck *m = rq->message;
    const struct service *s;
    doc_SignedTime time;
    int r = services_find_current(v, m->distributor, &s);
    if (r == 0)
        r = time_judge(CODEC_BYTES(m->time), &s->keyset, &v->keys->client, &time);
    if (r != 0)
        return r;
    if (time.time_ms > VAULT_NUMBER_MAX)
        return REASON_MALFORMED;
    if (time.time_ms <= v->high_water_ms)
        return 0;
    struct query q CLEANUP(query_end) = query(v->store, DB_TIME_RAISE);
    query_bind_u64(&q, 1, time.time_ms);
    r = query_run(&q);
    if (r == 0)
        v->high_water_ms = time.time_ms; /* should the commit fail, memory is merely the stricter of the two */
    return r > 0 ? -EUCLEAN : r;
}
