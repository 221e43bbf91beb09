/* Rosters: gathering a household's devices, signing, and remembering whose may have changed. On the connection's thread. */
#define LOG_MODULE "roster"
#include "distributor/roster.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/accounts.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

#define ROSTER_LIFE_MS (INT64_C(30) * 86400000)

/* --- Touched ----------------------------------------------------------------------------------------------------- */

static int add_touched(struct operations *o, const char *user)
{
    for (size_t i = 0; i < o->touched_count; i++)
        if (strcmp(o->touched[i], user) == 0)
            return 0;
    if (o->touched_count == o->touched_cap) {
        size_t cap = o->touched_cap == 0 ? 16 : o->touched_cap * 2;
        void *grown = reallocarray(o->touched, cap, sizeof(*o->touched));
        if (!grown)
            return -ENOMEM;
        o->touched = grown;
        o->touched_cap = cap;
    }
    snprintf(o->touched[o->touched_count++], OPERATIONS_NAME_BYTES, "%s", user);
    return 0;
}

int roster_touch(struct operations *o, int64_t distributor, const char *user)
{
    struct query q CLEANUP(query_end) = query(o->store, HOUSEHOLD_ACCOUNTS);
    query_bind_i64(&q, 1, distributor);
    query_bind_text(&q, 2, user);
    int r = 0;
    while (rows_next(&q, &r)) {
        char ours[OPERATIONS_NAME_BYTES];
        query_text(&q, 0, ours, sizeof(ours));
        r = query_check(&q);
        if (r == 0)
            r = add_touched(o, ours);
        if (r != 0)
            return r;
    }
    return r;
}

bool roster_take_touched(struct operations *o, char user[OPERATIONS_NAME_BYTES])
{
    if (o->touched_count == 0)
        return false;
    memcpy(user, o->touched[--o->touched_count], OPERATIONS_NAME_BYTES);
    return true;
}

/* --- Gathering --------------------------------------------------------------------------------------------------- */

static int gather(struct operations *o, const char *user, doc_Roster *roster)
{
    struct query q CLEANUP(query_end) = query(o->store, HOUSEHOLD_DEVICES);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_text(&q, 2, user);
    int r = 0;
    while (roster->devices_count < ARRAY_COUNT(roster->devices) && rows_next(&q, &r)) {
        doc_RosterDevice *d = &roster->devices[roster->devices_count++];
        query_fixed(&q, 0, d->client, sizeof(d->client));
        query_fixed(&q, 1, d->distributor, sizeof(d->distributor));
        query_text(&q, 2, d->name, sizeof(d->name));
        query_text(&q, 3, d->distributor_name, sizeof(d->distributor_name));
        if (CODEC_SET_BYTES(d->certificate, query_blob(&q, 4)) != 0)
            return -EUCLEAN;
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    return r;
}

/* Of everything but sequence and times, which are still zero here. */
static int digest_of(const doc_Roster *roster, uint8_t digest[32])
{
    struct buf encoded CLEANUP(buf_free) = buf(doc_Roster_size);
    int r = CODEC_ENCODE(doc_Roster, &encoded, roster);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    sha256(buf_slice(&encoded), digest);
    return 0;
}

struct kept {
    uint64_t sequence;
    uint8_t digest[32];
    int64_t issued_ms;
};

static int read_kept(struct operations *o, const char *user, struct kept *kept, struct buf *envelope)
{
    struct query q CLEANUP(query_end) = query(o->store, ROSTER_GET);
    query_bind_text(&q, 1, user);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    kept->sequence = query_u64(&q, 0);
    query_fixed(&q, 1, kept->digest, sizeof(kept->digest));
    kept->issued_ms = query_i64(&q, 2);
    if (envelope)
        query_append(&q, 3, envelope);
    return query_check(&q);
}

static int issue(struct operations *o, const char *user, doc_Roster *roster, const struct kept *next,
                 struct buf *envelope)
{
    roster->sequence = next->sequence;
    roster->issued_ms = (uint64_t)next->issued_ms;
    roster->ends_ms = (uint64_t)(next->issued_ms + ROSTER_LIFE_MS);
    struct signer signer;
    signer_from_pair(&signer, &o->keys->roster);
    struct buf signed_roster CLEANUP(buf_free) = buf(doc_Roster_size + 256);
    int r = document_sign(&signed_roster, DOCUMENT_ROSTER, roster, &signer);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    struct query q CLEANUP(query_end) = query(o->store, ROSTER_SET);
    query_bind_text(&q, 1, user);
    query_bind_u64(&q, 2, next->sequence);
    query_bind_blob(&q, 3, SLICE_ARRAY(next->digest));
    query_bind_i64(&q, 4, next->issued_ms);
    query_bind_blob(&q, 5, buf_slice(&signed_roster));
    r = rows_run(&q);
    if (r == 0 && envelope)
        r = buf_append(envelope, buf_slice(&signed_roster));
    return r > 0 ? -EMSGSIZE : r;
}

int roster_current(struct operations *o, const char *user, int64_t now_ms, uint64_t *sequence, struct buf *envelope)
{
    doc_Roster *roster CLEANUP(freep) = calloc(1, sizeof(*roster));
    if (!roster)
        return -ENOMEM;
    struct account a;
    int r = accounts_find(o, user, &a);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    memcpy(roster->distributor, o->keys->self.bytes, ID_BYTES);
    memcpy(roster->household, a.household, sizeof(roster->household));
    r = gather(o, user, roster);
    struct kept kept = { 0 }, next = { .issued_ms = now_ms };
    if (r == 0)
        r = digest_of(roster, next.digest);
    if (r == 0)
        r = read_kept(o, user, &kept, NULL);
    if (r < 0)
        return r;
    bool same = r == 0 && memcmp(kept.digest, next.digest, sizeof(kept.digest)) == 0;
    if (same && now_ms < kept.issued_ms + ROSTER_LIFE_MS / 2) {
        *sequence = kept.sequence;
        return envelope ? read_kept(o, user, &kept, envelope) : 0;
    }
    if (r == OPERATIONS_ABSENT) /* it may have had one that a restored database has forgotten (reserve.h) */
        r = operations_counter(o, "floor:roster", &kept.sequence);
    if (r < 0)
        return r;
    next.sequence = kept.sequence + 1;
    r = issue(o, user, roster, &next, envelope);
    if (r == 0)
        *sequence = next.sequence;
    return r;
}

int roster_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
               struct reply *out)
{
    (void)tail;
    msg_RosterGet m;
    int r = REQUEST_DECODE(message, msg_RosterGet, &m);
    struct device d;
    if (r == 0)
        r = devices_caller(o, who, &d);
    uint64_t sequence;
    if (r == 0)
        r = roster_current(o, d.user, who->now_ms, &sequence, &out->tail);
    msg_Roster answer = msg_Roster_init_zero;
    return r == 0 ? REPLY(out, ROSTER, msg_Roster, &answer) : r;
}
