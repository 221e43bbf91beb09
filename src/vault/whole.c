/* Table whole: the sealed sum. */
#define LOG_MODULE "whole"
#include "vault/whole.h"

#include "base/log.h"
#include "base/util.h"
#include "crypto/hkdf.h"
#include "crypto/hmac.h"
#include "protocol/reason.h"
#include "vault/db.h"
#include "vault/keys.h"
#include "vault/sealed.h"

#define LABEL "hearth vault whole"
#define ROW_LABEL "hearth vault whole row"

static void hash_row(void *ctx, struct slice row, uint8_t out[STORE_SUM_BYTES])
{
    const struct vault *v = ctx;
    hmac_sha256(v->row_key, row, out);
}

static int seal(void *ctx, const uint8_t sum[STORE_SUM_BYTES])
{
    struct vault *v = ctx;
    struct buf sealed CLEANUP(buf_free) = buf(STORE_SUM_BYTES + SEALED_OVERHEAD_BYTES);
    int r = sealed_put(v, LABEL, slice(NULL, 0), slice(sum, STORE_SUM_BYTES), &sealed);
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    struct query q CLEANUP(query_end) = query(v->store, DB_WHOLE_PUT);
    query_bind_blob(&q, 1, buf_slice(&sealed));
    return query_run(&q);
}

/* STORE_ABSENT: there is none. */
static int load(struct vault *v, uint8_t sum[STORE_SUM_BYTES])
{
    struct query q CLEANUP(query_end) = query(v->store, DB_WHOLE_GET);
    int r = query_one(&q);
    if (r != 0)
        return r;
    struct slice sealed = query_blob(&q, 0);
    r = query_check(&q);
    if (r == 0 && sealed.len != STORE_SUM_BYTES + SEALED_OVERHEAD_BYTES)
        r = -EUCLEAN;
    return r != 0 ? r : sealed_open(v, LABEL, slice(NULL, 0), sealed, sum);
}

static int take_as_it_is(struct vault *v)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    uint8_t sum[STORE_SUM_BYTES];
    int r = transaction_begin(&t, v->store);
    if (r == 0)
        r = store_sum_rows(v->store, &v->sum, sum);
    if (r == 0) {
        store_sum_follow(v->store, &v->sum, sum);
        r = keys_mark_whole(v); /* changes a row, and with it the sum: it is sealed */
    }
    if (r == 0)
        r = transaction_commit(&t);
    v->whole = r == 0 ? WHOLE_YES : WHOLE_UNKNOWN;
    return r > 0 ? -EUCLEAN : r;
}

int whole_follow(struct vault *v)
{
    uint8_t sum[STORE_SUM_BYTES];
    v->row_key = secret_alloc(sizeof(*v->row_key));
    if (v->row_key == NULL)
        return -ENOMEM;
    hkdf_key(v->storage_key, ROW_LABEL, slice(NULL, 0), v->row_key);
    v->sum = (struct store_sum){ .but = "whole", .row = hash_row, .seal = seal, .ctx = v };
    if (!v->keys->whole)
        return take_as_it_is(v);
    int r = load(v, sum);
    if (r == 0)
        store_sum_follow(v->store, &v->sum, sum);
    else if (r == STORE_ABSENT)
        log_error("the sum over the rows of vault.db is gone");
    return r > 0 ? -EUCLEAN : r;
}

int whole_judge(struct vault *v)
{
    uint8_t sum[STORE_SUM_BYTES], rows[STORE_SUM_BYTES];
    if (v->whole == WHOLE_UNKNOWN) {
        store_sum_get(v->store, sum);
        int r = store_sum_rows(v->store, &v->sum, rows);
        if (r != 0)
            return r;
        v->whole = secret_equal(sum, rows, sizeof(sum)) ? WHOLE_YES : WHOLE_NO;
        if (v->whole == WHOLE_NO)
            log_error("rows of vault.db were changed by another program, or put back from an older copy of it");
    }
    return v->whole == WHOLE_YES ? 0 : REASON_VAULT_ALTERED;
}
