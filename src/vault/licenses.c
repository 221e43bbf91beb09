/* Judging, keeping and listing licenses (table license). */
#include "vault/licenses.h"

#include "crypto/contentkey.h"
#include "vault/behind.h"
#include "vault/counter.h"
#include "vault/db.h"
#include "vault/headers.h"
#include "vault/in_use.h"
#include "vault/keys.h"
#include "vault/sealed.h"
#include "vault/trusted_time.h"
#include "vault/use.h"

#define LABEL "hearth vault license"
#define PAGE_COUNT 32
#define DELEGATED_LATE_MS (UINT64_C(7) * 24 * 60 * 60 * 1000)
#define BOUND_BYTES (ID_BYTES + 16 + ID_BYTES + 8 + 1)

void licenses_deinit(struct license_row *row) { buf_free(&row->envelope); }

/* --- Rows --- */

static void bound_to(const doc_License *l, enum license_state state, uint8_t out[BOUND_BYTES])
{
    memcpy(out, l->issuer, ID_BYTES);
    memcpy(out + ID_BYTES, l->license_id, 16);
    memcpy(out + ID_BYTES + 16, l->content, ID_BYTES);
    put_be64(out + 2 * ID_BYTES + 16, l->sequence);
    out[2 * ID_BYTES + 24] = (uint8_t)state;
}

static int put(struct vault *v, const doc_License *l, struct slice envelope, enum license_state state)
{
    uint8_t bound[BOUND_BYTES];
    struct buf sealed CLEANUP(buf_free) = buf(LICENSES_ENVELOPE_MAX + SEALED_OVERHEAD_BYTES);
    struct buf conditions CLEANUP(buf_free) = buf(doc_Conditions_size), lease CLEANUP(buf_free) = buf(doc_Lease_size);
    if (envelope.len > LICENSES_ENVELOPE_MAX)
        return -EMSGSIZE;
    bound_to(l, state, bound);
    int r = sealed_put(v, LABEL, SLICE_ARRAY(bound), envelope, &sealed);
    if (r == 0)
        r = CODEC_ENCODE(doc_Conditions, &conditions, &l->conditions);
    if (r == 0 && l->has_lease)
        r = CODEC_ENCODE(doc_Lease, &lease, &l->lease);
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    struct query q CLEANUP(query_end) = query(v->store, DB_LICENSE_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(l->issuer));
    query_bind_blob(&q, 2, SLICE_ARRAY(l->license_id));
    query_bind_blob(&q, 3, SLICE_ARRAY(l->content));
    query_bind_u64(&q, 4, l->sequence);
    query_bind_i64(&q, 5, state);
    query_bind_u64(&q, 6, l->issued_ms);
    query_bind_blob(&q, 7, buf_slice(&conditions));
    query_bind_blob(&q, 8, buf_slice(&sealed));
    if (l->has_lease)
        query_bind_blob(&q, 9, buf_slice(&lease));
    else
        query_bind_null(&q, 9);
    if (l->has_lender)
        query_bind_blob(&q, 10, SLICE_ARRAY(l->lender));
    else
        query_bind_null(&q, 10);
    r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

/* The row under the query, opened, its signature verified again (S46). By whom it may be signed was judged when it was accepted;
 * the key is in the envelope, and nobody but the vault could have put another one there. 0 or -errno. */
static int read_row(const struct vault *v, struct query *q, struct license_row *row)
{
    doc_License named; /* what the columns say */
    uint8_t bound[BOUND_BYTES], envelope[LICENSES_ENVELOPE_MAX], signer[32];
    query_fixed(q, 0, named.issuer, sizeof(named.issuer));
    query_fixed(q, 1, named.license_id, sizeof(named.license_id));
    query_fixed(q, 2, named.content, sizeof(named.content));
    named.sequence = query_u64(q, 3);
    row->state = (enum license_state)query_u32(q, 4);
    struct slice sealed = query_blob(q, 5);
    int r = query_check(q);
    if (r != 0)
        return r;
    if (sealed.len < SEALED_OVERHEAD_BYTES || sealed.len > sizeof(envelope) + SEALED_OVERHEAD_BYTES)
        return -EUCLEAN;
    bound_to(&named, row->state, bound);
    r = sealed_open(v, LABEL, SLICE_ARRAY(bound), sealed, envelope);
    if (r != 0)
        return r;
    struct slice opened = slice(envelope, sealed.len - SEALED_OVERHEAD_BYTES);
    r = document_open(DOCUMENT_LICENSE, opened, &row->license, sizeof(row->license), signer);
    if (r != 0)
        return r < 0 ? r : -EUCLEAN;
    buf_free(&row->envelope);
    row->envelope = buf(LICENSES_ENVELOPE_MAX);
    return buf_append(&row->envelope, opened);
}

int licenses_get(const struct vault *v, const void *issuer, const uint8_t license_id[16], struct license_row *row)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_LICENSE_GET);
    query_bind_blob(&q, 1, slice(issuer, ID_BYTES));
    query_bind_blob(&q, 2, slice(license_id, 16));
    int r = query_one(&q);
    if (r == STORE_ABSENT)
        return LICENSES_ABSENT;
    return r != 0 ? r : read_row(v, &q, row);
}

int licenses_of_content(struct vault *v, const struct id *content,
                        int (*visit)(struct vault *v, const struct license_row *row, void *ctx), void *ctx)
{
    struct license_row row CLEANUP(licenses_deinit) = { 0 };
    struct query q CLEANUP(query_end) = query(v->store, DB_LICENSES_OF_CONTENT);
    query_bind_blob(&q, 1, SLICE_ARRAY(content->bytes));
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        r = read_row(v, &q, &row);
        if (r == 0)
            r = visit(v, &row, ctx);
        if (r != 0)
            break;
    }
    return r;
}

int licenses_set_state(struct vault *v, const struct license_row *row, enum license_state state)
{
    if (state != LICENSE_VALID)
        counter_spent(v, &row->license);
    return put(v, &row->license, buf_slice(&row->envelope), state);
}

/* --- Accepting --- */

int licenses_open_half(const struct vault *v, const doc_License *license, struct key32 *half)
{
    struct id content = id_from(license->content);
    int r = contentkey_open_license_half_by(&v->keys->sealing_secret, v->keys->sealing_key, &content,
                                            SLICE_ARRAY(license->license_half), half);
    return r == CONTENTKEY_FORGED ? REASON_MALFORMED : r;
}

int licenses_keep(struct vault *v, const doc_License *license, struct slice envelope, bool strict)
{
    struct license_row known CLEANUP(licenses_deinit) = { 0 };
    if (license->sequence > VAULT_NUMBER_MAX || license->issued_ms > VAULT_NUMBER_MAX)
        return REASON_MALFORMED;
    int r = licenses_get(v, license->issuer, license->license_id, &known);
    if (r != 0 && r != LICENSES_ABSENT)
        return r;
    if (r == 0 && license->sequence <= known.license.sequence)
        return strict && known.state != LICENSE_VALID ? REASON_NOT_PERMITTED : 0;
    uint64_t given_up;
    r = catch_up_given_up(v, license->issuer, license->license_id, &given_up);
    if (r != 0 || license->sequence <= given_up)
        return r != 0 ? r : strict ? REASON_NOT_PERMITTED : 0;
    return put(v, license, envelope, LICENSE_VALID);
}

/* It was paid for when it was issued: a delegation that ends while the answer is under way takes nothing away. Not for long, for nothing but the
 * partner's own word says when it was issued. A delegation that was withdrawn is of no use at once, by the keyset's floor. */
static int delegated_at(const struct vault *v, const doc_License *named, int64_t *out)
{
    struct trusted_time t;
    int r = trusted_time_get(v, named->leaf.distributor, 0, &t);
    if (r != 0)
        return r;
    if (!trusted_time_is_trusted(&t)) /* the answer is given again: the partner keeps it */
        return REASON_CLOCK_UNTRUSTED;
    bool late = named->issued_ms < t.now_ms && t.now_ms - named->issued_ms <= DELEGATED_LATE_MS;
    *out = (int64_t)(late ? named->issued_ms : t.now_ms);
    return 0;
}

/* A later edition, from the partner that issued the copy certificate in which the license came: under a delegation of our distributor's, as the
 * certificate was. Only for a license that is here: nothing new comes this way. */
static int judge_delegated(struct vault *v, const doc_License *named, struct slice envelope, struct slice delegation,
                           doc_License *out, const struct service **s)
{
    struct license_row known CLEANUP(licenses_deinit) = { 0 };
    doc_Delegation d;
    int64_t at_ms;
    uint8_t signer[32];
    int r = licenses_get(v, named->issuer, named->license_id, &known);
    if (r != 0)
        return r == LICENSES_ABSENT ? REASON_NO_LICENSE : r;
    if (!id_equal(known.license.content, named->content))
        return REASON_CONTENT_ID_MISMATCH;
    r = services_find_current(v, named->leaf.distributor, s);
    if (r == 0)
        r = delegated_at(v, named, &at_ms);
    if (r == 0)
        r = delegation_judge(delegation, &(*s)->keyset, at_ms, &d);
    if (r == 0)
        r = document_open(DOCUMENT_LICENSE, envelope, out, sizeof(*out), signer);
    if (r == 0 && (!id_equal(d.partner, named->issuer) || memcmp(signer, d.copy_key, sizeof(signer)) != 0))
        r = REASON_DELEGATION_INVALID;
    return r;
}

int licenses_store(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)reply;
    const vlt_LicenseStore *m = rq->message;
    struct slice envelope = CODEC_BYTES(m->license);
    struct key32 half CLEANUP(key32_wipe) = { 0 };
    uint8_t signer[32];
    doc_License license;
    const struct service *s;
    int r = document_open(DOCUMENT_LICENSE, envelope, &license, sizeof(license), signer); /* to learn its issuer */
    if (r == 0 && m->has_delegation) {
        doc_License named = license;
        r = judge_delegated(v, &named, envelope, CODEC_BYTES(m->delegation), &license, &s);
    } else if (r == 0) {
        r = services_find_current(v, license.issuer, &s);
        if (r == 0)
            r = license_judge(envelope, &s->keyset, &license);
    }
    if (r != 0)
        return r;
    if (!id_equal(license.client, &v->keys->client) || !service_has_leaf(s, &license.leaf))
        return REASON_WRONG_DESTINATION;
    r = licenses_open_half(v, &license, &half);
    if (r == 0)
        r = licenses_keep(v, &license, envelope, false);
    if (r != 0 || !m->has_header)
        return r;
    r = headers_accept(v, CODEC_BYTES(m->header), &license);
    /* A repeated answer may be older than the newest key block. What was paid for is kept; a new header is asked for. */
    return r == REASON_KEY_BLOCK_OUTDATED ? 0 : r;
}

/* --- LICENSES_GET --- */

static int list_use(const struct vault *v, vlt_LicenseRow *row)
{
    struct use use;
    int r = use_get(v, row->issuer, row->license_id, &use);
    if (r == 0) {
        row->plays = use.plays;
        row->play_ms = use.play_ms;
    }
    return r;
}

static int list_in_use(const struct vault *v, vlt_LicenseRow *row)
{
    struct in_use u;
    int r = in_use_get(v, row->issuer, row->license_id, &u);
    if (r != 0)
        return r;
    row->in_use = u.locked;
    row->recoveries = u.recoveries;
    row->has_end = row->has_recovered = row->has_end_ms = u.end != vlt_PlayEnd_END_NONE;
    row->end = u.end;
    row->recovered = u.recovered;
    row->end_ms = u.end_ms;
    return 0;
}

static int list_row(const struct vault *v, struct query *q, vlt_LicenseRow *row)
{
    query_fixed(q, 0, row->issuer, sizeof(row->issuer));
    query_fixed(q, 1, row->license_id, sizeof(row->license_id));
    query_fixed(q, 2, row->content, sizeof(row->content));
    row->sequence = query_u64(q, 3);
    row->state = query_u32(q, 4);
    row->issued_ms = query_u64(q, 5);
    struct slice conditions = query_blob(q, 6);
    row->has_header = query_bool(q, 7);
    row->has_lease = !query_is_null(q, 8);
    struct slice lease = row->has_lease ? query_blob(q, 8) : slice(NULL, 0);
    row->has_lender = !query_is_null(q, 9);
    if (row->has_lender)
        query_fixed(q, 9, row->lender, sizeof(row->lender));
    bool used = query_bool(q, 10);
    row->has_borrower = !query_is_null(q, 11);
    if (row->has_borrower)
        query_fixed(q, 11, row->borrower, sizeof(row->borrower));
    row->has_moved_to = !query_is_null(q, 12);
    if (row->has_moved_to)
        query_fixed(q, 12, row->moved_to, sizeof(row->moved_to));
    bool was_in_use = query_bool(q, 13);
    int r = query_check(q);
    if (r == 0)
        r = CODEC_DECODE(doc_Conditions, conditions, &row->conditions);
    if (r == 0 && row->has_lease)
        r = CODEC_DECODE(doc_Lease, lease, &row->lease);
    if (r == 0 && used)
        r = list_use(v, row);
    if (r == 0 && was_in_use)
        r = list_in_use(v, row);
    return r > 0 ? -EUCLEAN : r;
}

static int count_rows(const struct vault *v, uint32_t *count)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_LICENSE_COUNT);
    int r = query_one(&q);
    if (r == 0) {
        *count = query_u32(&q, 0);
        r = query_check(&q);
    }
    return r > 0 ? -EUCLEAN : r;
}

int licenses_list(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_LicensesGet *m = rq->message;
    vlt_Licenses *out = &reply->licenses;
    int r = m->has_after ? 0 : count_rows(v, &out->total);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(v->store, DB_LICENSE_PAGE);
    query_bind_blob(&q, 1, m->has_after ? SLICE_ARRAY(m->after.issuer) : slice(NULL, 0)); /* before all */
    query_bind_blob(&q, 2, m->has_after ? SLICE_ARRAY(m->after.license_id) : slice(NULL, 0));
    query_bind_i64(&q, 3, PAGE_COUNT);
    while ((r = query_step(&q)) == STORE_ROW) {
        r = list_row(v, &q, &out->licenses[out->licenses_count]);
        if (r != 0)
            break;
        out->licenses_count++;
    }
    reply->type = vlt_Type_LICENSES;
    reply->fields = vlt_Licenses_fields;
    return r > 0 ? -EUCLEAN : r;
}
