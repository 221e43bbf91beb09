/* PRESENT, and the table device_standing. On the connection's thread. */
#define LOG_MODULE "standings"
#include "distributor/standings.h"

#include "base/log.h"
#include "base/util.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

int standings_get(struct operations *o, const struct id *client, struct standing *out)
{
    *out = (struct standing){ 0 };
    struct query q CLEANUP(query_end) = query(o->store, STANDING_GET);
    rows_bind_id(&q, 1, client);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    out->generation = query_u64(&q, 0);
    out->session = query_u64(&q, 1);
    query_fixed(&q, 2, out->nonce, sizeof(out->nonce));
    static const uint8_t none[STANDING_NONCE_BYTES]; /* after a restore of ours it is not known (reserve.c) */
    out->has_nonce = memcmp(out->nonce, none, sizeof(none)) != 0;
    return query_check(&q);
}

int standings_sign(struct operations *o, const struct id *client, uint64_t session, int64_t now_ms, struct buf *out)
{
    struct standing known;
    int r = standings_get(o, client, &known);
    if (r != 0)
        return r;
    doc_Standing s = {
        .session = session, .generation = known.generation, .has_last = known.has_nonce, .time_ms = (uint64_t)now_ms
    };
    memcpy(s.distributor, o->keys->self.bytes, ID_BYTES);
    memcpy(s.client, client->bytes, ID_BYTES);
    memcpy(s.last, known.nonce, sizeof(s.last));
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    r = document_sign(out, DOCUMENT_STANDING, &s, &signer);
    return r > 0 ? -EMSGSIZE : r;
}

int standings_judge(struct operations *o, const struct caller *who)
{
    struct standing known;
    int r = standings_get(o, &who->client, &known);
    if (r != 0)
        return r;
    return known.has_nonce && known.session == who->session ? 0 : REASON_CATCH_UP_NEEDED;
}

int standings_statement(struct operations *o, const struct caller *who, struct slice envelope, doc_Generation *out)
{
    struct standing known;
    int r = generation_judge(envelope, &who->client, &o->keys->self, out);
    if (r == 0)
        r = standings_get(o, &who->client, &known);
    if (r != 0)
        return r;
    if (who->session == 0 || out->session != who->session) /* each session is opened once: nothing older fits */
        return REASON_SESSION_REPLACED;
    if (out->generation > INT64_MAX || standing_is_absurd(out->generation, known.generation, who->now_ms)) {
        log_warn("a vault's count has jumped absurdly: it is not taken");
        return REASON_NOT_PERMITTED;
    }
    return 0;
}

static int keep(struct operations *o, const struct caller *who, const doc_Generation *g)
{
    struct query q CLEANUP(query_end) = query(o->store, STANDING_SET);
    rows_bind_id(&q, 1, &who->client);
    query_bind_u64(&q, 2, g->generation);
    query_bind_u64(&q, 3, g->session);
    query_bind_blob(&q, 4, SLICE_ARRAY(g->nonce));
    return rows_run(&q);
}

/* A session is its connection's, which a later one replaces: the number must still be the row's. */
static int judge_session(struct operations *o, const struct caller *who)
{
    struct query q CLEANUP(query_end) = query(o->store, SESSION_GET);
    rows_bind_id(&q, 1, &who->client);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_REGISTERED : r;
    uint64_t current = query_u64(&q, 0);
    r = query_check(&q);
    return r != 0 ? r : current == who->session ? 0 : REASON_SESSION_REPLACED;
}

int standings_present(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                      struct reply *out)
{
    (void)tail;
    msg_Present m;
    msg_Presented presented = msg_Presented_init_zero;
    doc_Generation g;
    struct standing known;
    int r = REQUEST_DECODE(message, msg_Present, &m);
    if (r == 0)
        r = judge_session(o, who);
    if (r == 0)
        r = standings_statement(o, who, CODEC_BYTES(m.statement), &g);
    if (r == 0)
        r = standings_get(o, &who->client, &known);
    if (r != 0)
        return r;
    if (!g.current || g.generation < known.generation)
        return REASON_CATCH_UP_NEEDED;
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(presented.standing.bytes));
    r = keep(o, who, &g);
    if (r == 0)
        r = standings_sign(o, &who->client, who->session, who->now_ms, &envelope);
    if (r == 0 && CODEC_SET_BYTES(presented.standing, buf_slice(&envelope)) != 0)
        r = -EMSGSIZE;
    return r == 0 ? REPLY(out, PRESENTED, msg_Presented, &presented) : r;
}

int standings_reset(struct operations *o, const struct id *client)
{
    struct query q CLEANUP(query_end) = query(o->store, STANDING_DROP);
    rows_bind_id(&q, 1, client);
    int r = rows_run(&q);
    return r == 0 && store_changed_count(o->store) == 0 ? OPERATIONS_ABSENT : r;
}
