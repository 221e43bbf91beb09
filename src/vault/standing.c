/* STANDING_CHECK: what a distributor has seen of this vault, and what the vault says to it. Request thread. */
#include "vault/behind_internal.h"

#include "base/util.h"
#include "vault/keys.h"
#include "vault/keysets.h"
#include "vault/trusted_time.h"

/* Was the statement that the distributor took last signed by this vault, or by a later state of it? */
static bool is_ours(const doc_Standing *s, struct standing_row *row)
{
    if (!s->has_last)
        return true;
    if (row->has_issued && memcmp(s->last, row->issued, sizeof(row->issued)) == 0) {
        memcpy(row->taken, row->issued, sizeof(row->taken));
        row->has_taken = true;
        return true;
    }
    return row->has_taken && memcmp(s->last, row->taken, sizeof(row->taken)) == 0;
}

/* A statement that may be taken is remembered first: one that this vault does not know is a later one's. */
static int be_current(struct vault *v, const doc_Standing *s, struct standing_row *row, doc_Generation *out)
{
    memcpy(row->issued, out->nonce, sizeof(row->issued));
    row->has_issued = out->current = true;
    return standing_row_put(v, s->distributor, row);
}

static int be_behind(struct vault *v, const doc_Standing *s, struct standing_row *row, const doc_Generation *out)
{
    struct catching_up *c = behind_begin(v, s->distributor);
    memcpy(c->nonce, out->nonce, sizeof(c->nonce));
    memcpy(c->last, s->last, sizeof(c->last));
    c->has_last = s->has_last;
    uint64_t before = row->behind;
    row->behind = row->behind > s->generation ? row->behind : s->generation > 0 ? s->generation : 1;
    return row->behind == before ? 0 : standing_row_put(v, s->distributor, row);
}

static int say(const struct vault *v, const doc_Generation *g, struct reply *reply)
{
    vlt_Standing *out = &reply->standing;
    struct signer signer = keys_signer(v);
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(out->statement.bytes));
    int r = document_sign(&envelope, DOCUMENT_GENERATION, g, &signer);
    if (r != 0 || CODEC_SET_BYTES(out->statement, buf_slice(&envelope)) != 0)
        return r < 0 ? r : -ENOBUFS;
    out->current = g->current;
    reply->type = vlt_Type_STANDING;
    reply->fields = vlt_Standing_fields;
    return 0;
}

int standing_check(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_StandingCheck *m = rq->message;
    doc_Keyset keyset;
    doc_Standing s;
    struct standing_row row;
    uint64_t now_ms;
    doc_Generation g = { 0 };
    int r = keysets_find(v, m->distributor, &keyset); /* also one where this device is a guest */
    if (r == 0)
        r = standing_judge(CODEC_BYTES(m->standing), &keyset, &v->keys->client, &s);
    if (r == 0)
        r = keys_generation(v, &g.generation);
    if (r == 0)
        r = standing_row_get(v, m->distributor, &row);
    if (r == 0)
        r = trusted_time_stamp(v, m->distributor, &now_ms);
    if (r != 0)
        return r;
    if (s.session > VAULT_NUMBER_MAX || standing_is_absurd(s.generation, g.generation, (int64_t)now_ms))
        return REASON_MALFORMED;
    memcpy(g.distributor, s.distributor, sizeof(g.distributor));
    memcpy(g.client, s.client, sizeof(g.client));
    g.session = s.session;
    rng_fill(v->rng, g.nonce, sizeof(g.nonce));
    bool ours = is_ours(&s, &row) && s.generation <= g.generation && row.behind == 0;
    r = ours ? be_current(v, &s, &row, &g) : be_behind(v, &s, &row, &g);
    return r != 0 ? r : say(v, &g, reply);
}
