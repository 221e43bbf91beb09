/* Rows of the table certificate. What may follow what is decided in certificates.c. */
#include "vault/certificate_rows.h"

#include "crypto/body.h"
#include "crypto/sha256.h"
#include "vault/db.h"

void certificate_row_init(struct certificate_row *row)
{
    *row = (struct certificate_row){ .state = CERTIFICATE_RESERVED };
    row->receipt = buf(RECEIPT_MAX);
    row->certificate = buf(CERTIFICATE_MAX);
    row->delegation = buf(DELEGATION_MAX);
    row->info = buf(BODY_INFO_MAX);
}

void certificate_row_deinit(struct certificate_row *row)
{
    buf_free(&row->receipt);
    buf_free(&row->certificate);
    buf_free(&row->delegation);
    buf_free(&row->info);
}

void certificate_row_fill(struct certificate_row *row, struct slice envelope, const struct id *distributor,
                          const doc_CopyCertificate *certificate, const doc_License *license)
{
    row->issuer = id_from(certificate->issuer);
    memcpy(row->serial, certificate->serial, sizeof(row->serial));
    sha256(envelope, row->digest);
    row->distributor = *distributor;
    row->content = id_from(certificate->content);
    row->source = id_from(certificate->source);
    memcpy(row->license_id, license->license_id, sizeof(row->license_id));
    row->move = certificate->move;
    row->ends_ms = certificate->ends_ms;
}

static void bind_name(struct query *q, const void *issuer, const uint8_t serial[16])
{
    query_bind_blob(q, 1, slice(issuer, ID_BYTES));
    query_bind_blob(q, 2, slice(serial, 16));
}

int certificate_row_get(const struct vault *v, const void *issuer, const uint8_t serial[16],
                        struct certificate_row *row)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_CERTIFICATE_GET);
    bind_name(&q, issuer, serial);
    int r = query_one(&q);
    if (r != 0)
        return r;
    row->issuer = id_from(issuer);
    memcpy(row->serial, serial, sizeof(row->serial));
    row->state = (enum certificate_state)query_u32(&q, 0);
    query_fixed(&q, 1, row->digest, sizeof(row->digest));
    query_fixed(&q, 2, row->distributor.bytes, sizeof(row->distributor.bytes));
    query_fixed(&q, 3, row->content.bytes, sizeof(row->content.bytes));
    query_fixed(&q, 4, row->source.bytes, sizeof(row->source.bytes));
    query_fixed(&q, 5, row->license_id, sizeof(row->license_id));
    row->move = query_bool(&q, 6);
    row->ends_ms = query_u64(&q, 7);
    row->presented = query_bool(&q, 8);
    if (row->state != CERTIFICATE_RESERVED) {
        query_append(&q, 9, &row->receipt);
        return query_check(&q);
    }
    query_append(&q, 10, &row->certificate);
    query_append(&q, 11, &row->delegation);
    query_append(&q, 12, &row->info);
    query_fixed(&q, 13, row->list_root, sizeof(row->list_root));
    return query_check(&q);
}

int certificate_row_find(const struct vault *v, struct slice envelope, struct certificate_row *row)
{
    uint8_t digest[32], serial[16];
    struct id issuer;
    struct query q CLEANUP(query_end) = query(v->store, DB_CERTIFICATE_NAME);
    sha256(envelope, digest);
    query_bind_blob(&q, 1, SLICE_ARRAY(digest));
    int r = query_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, issuer.bytes, sizeof(issuer.bytes));
    query_fixed(&q, 1, serial, sizeof(serial));
    r = query_check(&q);
    return r != 0 ? r : certificate_row_get(v, &issuer, serial, row);
}

/* Parameters 1, 2 and from `at` on: what both ways to write a row have in common. Returns the next parameter. */
static int bind_facts(struct query *q, const struct certificate_row *row, int at)
{
    bind_name(q, &row->issuer, row->serial);
    query_bind_blob(q, at++, SLICE_ARRAY(row->digest));
    query_bind_blob(q, at++, SLICE_ARRAY(row->distributor.bytes));
    query_bind_blob(q, at++, SLICE_ARRAY(row->content.bytes));
    query_bind_blob(q, at++, SLICE_ARRAY(row->source.bytes));
    query_bind_blob(q, at++, SLICE_ARRAY(row->license_id));
    query_bind_i64(q, at++, row->move);
    query_bind_u64(q, at++, row->ends_ms);
    query_bind_i64(q, at++, row->presented);
    return at;
}

/* A row that the statement's conditions left alone is one we misjudged. */
static int run(struct vault *v, struct query *q)
{
    int r = query_run(q);
    if (r == 0 && store_changed_count(v->store) != 1)
        r = -EUCLEAN;
    return r > 0 ? -EUCLEAN : r;
}

int certificate_row_reserve(struct vault *v, const struct certificate_row *row)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_CERTIFICATE_RESERVE);
    int at = bind_facts(&q, row, 3);
    query_bind_blob(&q, at++, buf_slice(&row->certificate));
    query_bind_blob(&q, at++, buf_slice(&row->delegation));
    query_bind_blob(&q, at++, buf_slice(&row->info));
    query_bind_blob(&q, at, SLICE_ARRAY(row->list_root));
    return run(v, &q);
}

int certificate_row_settle(struct vault *v, const struct certificate_row *row)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_CERTIFICATE_SETTLE);
    query_bind_i64(&q, 3, row->state);
    int at = bind_facts(&q, row, 4);
    query_bind_blob(&q, at, buf_slice(&row->receipt));
    return run(v, &q);
}

int certificate_row_release(struct vault *v, const void *issuer, const uint8_t serial[16])
{
    struct query q CLEANUP(query_end) = query(v->store, DB_CERTIFICATE_RELEASE);
    bind_name(&q, issuer, serial);
    int r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

int certificate_row_forget_ended(struct vault *v)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = transaction_begin(&t, v->store);
    if (r != 0)
        return r;
    {
        struct query q CLEANUP(query_end) = query(v->store, DB_CERTIFICATE_FORGET);
        query_bind_u64(&q, 1, DOCUMENTS_SKEW_MS);
        r = query_run(&q);
    }
    if (r == 0)
        r = transaction_commit(&t);
    return r > 0 ? -EUCLEAN : r;
}
