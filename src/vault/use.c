/* Counting plays and playing time (table use). The log: use_log.c. Request thread. */
#include "vault/use.h"

#include "base/util.h"
#include "vault/counter.h"
#include "vault/db.h"
#include "vault/in_use.h"
#include "vault/keys.h"
#include "vault/play.h"
#include "vault/sealed.h"
#include "vault/trusted_time.h"
#include "vault/use_log.h"

#define LABEL "hearth vault use"
#define PLAIN_BYTES 13 /* plays:4 || play_ms:8 || downloaded:1 */

/* --- The row --- */

int use_get(const struct vault *v, const void *issuer, const uint8_t license_id[16], struct use *out)
{
    uint8_t bound[SEALED_LICENSE_BYTES], plain[PLAIN_BYTES];
    struct query q CLEANUP(query_end) = query(v->store, DB_USE_GET);
    *out = (struct use){ 0 };
    query_bind_blob(&q, 1, slice(issuer, ID_BYTES));
    query_bind_blob(&q, 2, slice(license_id, 16));
    int r = query_one(&q);
    if (r != 0)
        return r == STORE_ABSENT ? 0 : r > 0 ? -EUCLEAN : r;
    struct slice sealed = query_blob(&q, 0);
    if (sealed.len != PLAIN_BYTES + SEALED_OVERHEAD_BYTES)
        return -EUCLEAN;
    sealed_license(issuer, license_id, bound);
    r = sealed_open(v, LABEL, SLICE_ARRAY(bound), sealed, plain);
    if (r != 0)
        return r;
    out->plays = get_be32(plain);
    out->play_ms = get_be64(plain + 4);
    out->downloaded = plain[12] != 0;
    return query_check(&q);
}

static int put(struct vault *v, const void *issuer, const uint8_t license_id[16], const struct use *u)
{
    uint8_t bound[SEALED_LICENSE_BYTES], plain[PLAIN_BYTES];
    struct buf sealed CLEANUP(buf_free) = buf(PLAIN_BYTES + SEALED_OVERHEAD_BYTES);
    put_be32(plain, u->plays);
    put_be64(plain + 4, u->play_ms);
    plain[12] = u->downloaded;
    sealed_license(issuer, license_id, bound);
    int r = sealed_put(v, LABEL, SLICE_ARRAY(bound), SLICE_ARRAY(plain), &sealed);
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    struct query q CLEANUP(query_end) = query(v->store, DB_USE_PUT);
    query_bind_blob(&q, 1, slice(issuer, ID_BYTES));
    query_bind_blob(&q, 2, slice(license_id, 16));
    query_bind_blob(&q, 3, buf_slice(&sealed));
    r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

/* --- A play --- */

static bool is_counted(const doc_License *l)
{
    return l->conditions.has_max_plays || l->conditions.has_max_play_ms || l->has_lease;
}

static int judge_counts(const doc_License *l, const struct use *u)
{
    const doc_Conditions *c = &l->conditions;
    if (c->has_max_plays && u->plays >= c->max_plays)
        return REASON_USE_EXHAUSTED;
    if (c->has_max_play_ms && u->play_ms >= c->max_play_ms)
        return REASON_USE_EXHAUSTED;
    if (l->has_lease && l->lease.has_max_plays && u->plays >= l->lease.max_plays)
        return REASON_LEASE_ENDED;
    return 0;
}

static int charge(struct vault *v, const doc_License *l, struct use_play *p)
{
    const doc_Conditions *c = &l->conditions;
    struct use u;
    int r = use_get(v, l->issuer, l->license_id, &u);
    if (r == 0)
        r = judge_counts(l, &u);
    if (r != 0)
        return r;
    if (c->has_max_play_ms)
        p->budget_ms = c->max_play_ms - u.play_ms;
    p->allowed_ms = p->charged_ms = u64_min(u64_add(p->duration_ms, p->duration_ms / 2), p->budget_ms);
    u.plays = u32_add(u.plays, 1);
    u.play_ms = u64_add(u.play_ms, p->charged_ms);
    p->counted = true;
    counter_spent(v, l);
    return put(v, l->issuer, l->license_id, &u);
}

int use_begin(struct vault *v, const struct license_row *row, uint64_t duration_ms, struct use_play *out)
{
    const doc_License *l = &row->license;
    struct use_play p = { .duration_ms = duration_ms, .budget_ms = UINT64_MAX, .allowed_ms = UINT64_MAX };
    memcpy(p.issuer, l->issuer, sizeof(p.issuer));
    memcpy(p.license_id, l->license_id, sizeof(p.license_id));
    int r = is_counted(l) ? charge(v, l, &p) : 0;
    if (r == 0 && l->conditions.has_use_log && l->conditions.use_log)
        r = use_log_begin(v, l, u64_min(p.allowed_ms, duration_ms), &p.log_row);
    if (r == 0)
        *out = p;
    return r;
}

int use_settle(struct vault *v, const struct use_play *p, bool counts, uint64_t used_ms, uint64_t opened_ms)
{
    struct use u;
    int r = p->log_row != 0 ? use_log_end(v, p->log_row, opened_ms) : 0;
    if (r != 0 || !p->counted)
        return r;
    r = use_get(v, p->issuer, p->license_id, &u);
    if (r != 0)
        return r;
    u.play_ms -= u64_min(u.play_ms, p->charged_ms - u64_min(used_ms, p->charged_ms));
    u.plays -= !counts && u.plays > 0;
    return put(v, p->issuer, p->license_id, &u);
}

/* --- The download period --- */

static bool is_in_period(const doc_Conditions *c, uint64_t now_ms)
{
    return !(c->has_download_from_ms && now_ms < c->download_from_ms) &&
           !(c->has_download_until_ms && now_ms > c->download_until_ms);
}

/* What an untrusted time would say is not kept: it would hold for ever. 0, REASON_OUTSIDE_DOWNLOAD_PERIOD, REASON_CLOCK_UNTRUSTED, -errno. */
static int judge_period(const struct vault *v, const doc_License *l)
{
    struct trusted_time t;
    int r = trusted_time_get(v, l->leaf.distributor, l->issued_ms, &t);
    if (r != 0)
        return r;
    if (!trusted_time_is_trusted(&t))
        return REASON_CLOCK_UNTRUSTED;
    return is_in_period(&l->conditions, t.now_ms) ? 0 : REASON_OUTSIDE_DOWNLOAD_PERIOD;
}

int use_downloaded(struct vault *v, const doc_License *l)
{
    struct use u;
    if (!l->conditions.has_download_from_ms && !l->conditions.has_download_until_ms)
        return 0;
    int r = use_get(v, l->issuer, l->license_id, &u);
    if (r != 0 || u.downloaded)
        return r;
    u.downloaded = true;
    return put(v, l->issuer, l->license_id, &u);
}

int use_judge_download(struct vault *v, const doc_License *l)
{
    struct use u;
    const doc_Conditions *c = &l->conditions;
    if (!c->has_download_from_ms && !c->has_download_until_ms)
        return 0;
    int r = use_get(v, l->issuer, l->license_id, &u);
    if (r != 0 || u.downloaded)
        return r;
    r = judge_period(v, l);
    return r != 0 ? r : use_downloaded(v, l);
}

static int note_body(struct vault *v, const struct license_row *row, void *ctx)
{
    (void)ctx;
    int r = row->state == LICENSE_VALID ? judge_period(v, &row->license) : REASON_NO_LICENSE;
    return r == 0 ? use_downloaded(v, &row->license) : r > 0 ? 0 : r;
}

int use_body_stored(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_BodyStored *m = rq->message;
    struct id content = id_from(m->content);
    (void)reply;
    return licenses_of_content(v, &content, note_body, NULL);
}

/* --- What is left --- */

static int counts(const struct vault *v, const void *issuer, const uint8_t license_id[16], doc_Use *out)
{
    struct use u;
    struct in_use cut;
    int r = use_get(v, issuer, license_id, &u);
    if (r == 0)
        r = in_use_get(v, issuer, license_id, &cut);
    if (r != 0)
        return r;
    out->plays = u.plays;
    out->play_ms = u.play_ms;
    out->recoveries = cut.recoveries;
    return 0;
}

int use_judge_left(const struct vault *v, const doc_License *here, const doc_CopyCertificate *move,
                   const doc_Conditions *there)
{
    doc_Use used = { 0 };
    int r = counts(v, here->issuer, here->license_id, &used);
    return r != 0 ? r : use_covers_move(&here->conditions, &used, move, there) ? 0 : REASON_OUT_OF_STEP;
}

/* --- USE_SIGN --- */

/* A lease goes back; what is no lease is the device's. Once gone, saying so again is harmless. */
static int give_back(struct vault *v, const struct license_row *row)
{
    if (!row->license.has_lease)
        return REASON_NOT_PERMITTED;
    if (row->state == LICENSE_SUSPENDED)
        return REASON_LICENSE_SUSPENDED;
    return row->state == LICENSE_VALID ? licenses_set_state(v, row, LICENSE_SURRENDERED) : 0;
}

int use_sign(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_UseSign *m = rq->message;
    struct license_row row CLEANUP(licenses_deinit) = { 0 };
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(reply->use_signed.use.bytes));
    doc_Use use = { .returned = m->give_back };
    int r = plays_close_ended(v); /* what they did not take was not used: no later word may be below this one */
    if (r == 0)
        r = licenses_get(v, m->issuer, m->license_id, &row);
    if (r != 0)
        return r == LICENSES_ABSENT ? REASON_NO_LICENSE : r;
    if (plays_use(v, m->issuer, m->license_id))
        return REASON_IN_USE;
    r = counts(v, m->issuer, m->license_id, &use);
    if (r == 0 && m->give_back)
        r = give_back(v, &row);
    if (r != 0)
        return r;
    use.sequence = row.license.sequence;
    memcpy(use.issuer, m->issuer, sizeof(use.issuer));
    memcpy(use.license_id, m->license_id, sizeof(use.license_id));
    memcpy(use.client, v->keys->client.bytes, sizeof(use.client));
    struct signer signer = keys_signer(v);
    r = trusted_time_stamp(v, row.license.leaf.distributor, &use.signed_ms);
    if (r == 0)
        r = document_sign(&envelope, DOCUMENT_USE, &use, &signer);
    if (r == 0)
        r = CODEC_SET_BYTES(reply->use_signed.use, buf_slice(&envelope));
    reply->type = vlt_Type_USE_SIGNED;
    reply->fields = vlt_UseSigned_fields;
    return r > 0 ? -ENOBUFS : r;
}
