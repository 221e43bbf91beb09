/* What time it is (table distributor: time_ms, issued_ms; in memory: who was heard). Request thread. */
#include "vault/trusted_time.h"

#include "base/util.h"
#include "protocol/times.h"
#include "vault/db.h"
#include "vault/keys.h"
#include "vault/keysets.h"

/* --- Who was heard in this run --- */

static const struct heard *find_heard(const struct vault *v, const void *distributor)
{
    for (size_t i = 0; i < ARRAY_COUNT(v->heard); i++)
        if (v->heard[i].time_ms != 0 && id_equal(&v->heard[i].distributor, distributor))
            return &v->heard[i];
    return NULL;
}

/* The boot clock goes on while the machine is suspended, and nobody sets it. */
static uint64_t heard_now(const struct vault *v, const struct heard *h)
{
    int64_t elapsed_ms = clock_mono_ms(v->clock) - h->mono_ms;
    return u64_add(h->time_ms, elapsed_ms > 0 ? (uint64_t)elapsed_ms : 0);
}

/* Its own place, a free one, or that of whoever was heard longest ago. */
static void hear(struct vault *v, const void *distributor, uint64_t time_ms)
{
    struct heard *at = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(v->heard); i++) {
        struct heard *h = &v->heard[i];
        if (h->time_ms != 0 && id_equal(&h->distributor, distributor)) {
            at = h;
            break;
        }
        if (!at || (at->time_ms != 0 && (h->time_ms == 0 || h->mono_ms < at->mono_ms)))
            at = h;
    }
    bool known = at->time_ms != 0 && id_equal(&at->distributor, distributor);
    if (known && heard_now(v, at) >= time_ms)
        return; /* on its way for long, or held back: time does not go backwards */
    *at = (struct heard){ id_from(distributor), time_ms, clock_mono_ms(v->clock) };
}

/* --- What the time is --- */

static uint64_t wall_now(const struct vault *v) { return times_now(clock_wall_ms(v->clock)); }

static bool differ(uint64_t a, uint64_t b) { return (a > b ? a - b : b - a) > DOCUMENTS_SKEW_MS; }

/* What the database knows of the distributor, and of those this device is registered with. */
struct known {
    uint64_t floor_ms;  /* of the distributor */
    uint64_t latest_ms; /* the latest of all floors: the clock was right when it was there */
    bool contradicted;
};

static int look(const struct vault *v, const void *distributor, uint64_t wall_ms, struct known *out)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_TIMES);
    struct id id;
    int r;
    query_bind_blob(&q, 1, slice(distributor, ID_BYTES));
    *out = (struct known){ 0 };
    while ((r = query_step(&q)) == STORE_ROW) {
        query_fixed(&q, 0, id.bytes, sizeof(id.bytes));
        uint64_t floor_ms = u64_max(query_u64(&q, 1), query_u64(&q, 2));
        r = query_check(&q);
        if (r != 0)
            break;
        const struct heard *h = find_heard(v, &id);
        if (id_equal(&id, distributor))
            out->floor_ms = floor_ms;
        out->latest_ms = u64_max(out->latest_ms, floor_ms);
        out->contradicted |= h && differ(heard_now(v, h), wall_ms);
    }
    return r > 0 ? -EUCLEAN : r;
}

int trusted_time_get(const struct vault *v, const void *distributor, uint64_t at_least_ms, struct trusted_time *out)
{
    uint64_t wall_ms = wall_now(v);
    struct known known;
    const struct heard *h = find_heard(v, distributor);
    int r = look(v, distributor, wall_ms, &known);
    if (r != 0)
        return r;
    struct trusted_time t = { .floor_ms = u64_max(known.floor_ms, at_least_ms) };
    if (h) { /* what a document says of its issue does not put forward what the distributor says itself */
        t.state = TIME_HEARD;
        t.now_ms = heard_now(v, h);
        t.floor_ms = u64_min(t.floor_ms, t.now_ms);
    } else if (times_before(u64_max(known.latest_ms, t.floor_ms), (int64_t)wall_ms)) {
        t.state = TIME_BEHIND;
        t.now_ms = t.floor_ms;
    } else if (known.contradicted) {
        t.state = TIME_CONTRADICTED;
        t.now_ms = t.floor_ms;
    } else {
        t.state = TIME_BY_CLOCK;
        t.now_ms = u64_max(wall_ms, t.floor_ms);
    }
    *out = t;
    return 0;
}

bool trusted_time_is_trusted(const struct trusted_time *t)
{
    return t->state == TIME_HEARD || t->state == TIME_BY_CLOCK;
}

int trusted_time_stamp(const struct vault *v, const void *distributor, uint64_t *out)
{
    struct trusted_time t;
    int r = trusted_time_get(v, distributor, 0, &t);
    if (r == 0)
        *out = t.now_ms;
    return r;
}

int trusted_time_judge(const struct vault *v, const void *distributor)
{
    struct trusted_time t;
    int r = trusted_time_get(v, distributor, 0, &t);
    return r != 0 ? r : trusted_time_is_trusted(&t) ? 0 : REASON_CLOCK_UNTRUSTED;
}

/* --- TIME_CHECK --- */

static int raise_mark(struct vault *v, const void *distributor, uint64_t time_ms)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_TIME_RAISE);
    query_bind_blob(&q, 1, slice(distributor, ID_BYTES));
    query_bind_u64(&q, 2, time_ms);
    int r = query_run(&q);
    if (r == 0 && store_changed_count(v->store) != 0)
        hear(v, distributor, time_ms); /* should the commit fail, it was heard all the same */
    return r > 0 ? -EUCLEAN : r;
}

/* An ended keyset proves no time after its end, and a clock that is ahead does not make one ended that its distributor proves to be current. */
static int take(struct vault *v, struct slice envelope, const doc_Keyset *keyset)
{
    doc_SignedTime time;
    int r = time_judge(envelope, keyset, &v->keys->client, &time);
    if (r != 0)
        return r;
    if (time.time_ms > VAULT_NUMBER_MAX)
        return REASON_MALFORMED;
    if (times_ended(keyset->ends_ms, (int64_t)time.time_ms))
        return REASON_KEYSET_INVALID;
    if (times_before(keyset->issued_ms, (int64_t)time.time_ms))
        return 0;
    return raise_mark(v, keyset->distributor, time.time_ms);
}

int trusted_time_check(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)reply;
    const vlt_TimeCheck *m = rq->message;
    doc_Keyset keyset;
    int r = keysets_load(v, m->distributor, &keyset);
    if (r != 0)
        return r == REASON_NOT_FOUND ? REASON_NOT_REGISTERED : r;
    int taken = m->time.size > 0 ? take(v, CODEC_BYTES(m->time), &keyset) : 0;
    if (taken < 0)
        return taken;
    /* KEYSET_CHECK let it pass so far as no signed time was known: now it counts, and so does the end of this connection's key. */
    r = keysets_judge_current(v, &keyset, m->has_tls_key ? m->tls_key : NULL);
    return r != 0 ? r : taken;
}

/* --- TIME_GET --- */

int trusted_time_tell(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_TimeGet *m = rq->message;
    struct trusted_time t;
    int r = trusted_time_get(v, m->distributor, 0, &t);
    if (r != 0)
        return r;
    reply->time = (vlt_Time){ .state = t.state, .now_ms = t.now_ms };
    reply->type = vlt_Type_TIME;
    reply->fields = vlt_Time_fields;
    return 0;
}
