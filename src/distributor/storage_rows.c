/* Each table of the operations database that holds something under the storage key: its next row, put under another key. On the connection's thread. */
#define LOG_MODULE "storage"
#include "base/log.h"
#include "base/util.h"
#include "distributor/keyblocks.h"
#include "distributor/rows.h"
#include "distributor/storage.h"

int storage_put_under(struct operations *o, const struct keys_storage_id *to, const char *label, struct slice context,
                      struct slice stored, uint8_t out[KEYS_STORED_BYTES], bool *changed)
{
    struct key32 secret CLEANUP(key32_wipe) = { { 0 } };
    if (keys_is_under(stored, to)) {
        memcpy(out, stored.data, KEYS_STORED_BYTES);
        return 0;
    }
    int r = keys_reveal(o->keys, label, context, stored, &secret);
    if (r == 0)
        r = keys_protect(o->keys, o->rng, to, label, context, &secret, out);
    if (r == -EUCLEAN)
        log_error("no storage key opens a row, so the one before has to stay: what=%s", label);
    *changed |= r == 0;
    return r;
}

/* A row's own part of its associated data, and what is stored in it: copies, for the row is written while it is read. */
struct row {
    struct id id;
    uint8_t stored[2][KEYS_STORED_BYTES];
    size_t len[2];
};

static void copy_stored(struct row *row, size_t i, struct query *q, int column)
{
    struct slice stored = query_blob(q, column);
    row->len[i] = size_min(stored.len, sizeof(row->stored[i]));
    if (row->len[i] > 0)
        memcpy(row->stored[i], stored.data, row->len[i]);
}

static struct slice stored_in(const struct row *row, size_t i) { return slice(row->stored[i], row->len[i]); }

static int next_content(struct operations *o, struct storage_work *work, struct row *row)
{
    struct query q CLEANUP(query_end) = query(o->store, STORAGE_CONTENT_NEXT);
    rows_bind_id(&q, 1, &work->at.id);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, row->id.bytes, ID_BYTES);
    copy_stored(row, 0, &q, 1);
    copy_stored(row, 1, &q, 2);
    work->at.id = row->id;
    return query_check(&q);
}

static int content(struct operations *o, struct storage_work *work)
{
    struct row row;
    uint8_t header[KEYS_STORED_BYTES], license[KEYS_STORED_BYTES];
    bool changed = false;
    int r = next_content(o, work, &row);
    if (r == 0)
        r = storage_put_under(o, &work->to, STORAGE_HEADER_HALF, SLICE_ARRAY(row.id.bytes), stored_in(&row, 0), header,
                              &changed);
    if (r == 0)
        r = storage_put_under(o, &work->to, STORAGE_LICENSE_HALF, SLICE_ARRAY(row.id.bytes), stored_in(&row, 1),
                              license, &changed);
    if (r != 0 || !changed)
        return r;
    work->changed++;
    struct query q CLEANUP(query_end) = query(o->store, STORAGE_CONTENT_SET);
    rows_bind_id(&q, 1, &row.id);
    query_bind_blob(&q, 2, SLICE_ARRAY(header));
    query_bind_blob(&q, 3, SLICE_ARRAY(license));
    return rows_run(&q);
}

static int next_block(struct operations *o, struct storage_work *work, struct row *row)
{
    struct query q CLEANUP(query_end) = query(o->store, STORAGE_BLOCK_NEXT);
    query_bind_i64(&q, 1, work->at.number);
    query_bind_u64(&q, 2, work->at.version);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    work->at.number = query_i64(&q, 0);
    work->at.version = query_u64(&q, 1);
    query_fixed(&q, 2, row->id.bytes, ID_BYTES);
    copy_stored(row, 0, &q, 3);
    return query_check(&q);
}

static int block(struct operations *o, struct storage_work *work)
{
    struct row row;
    uint8_t context[KEYBLOCKS_CONTEXT_BYTES], root[KEYS_STORED_BYTES];
    bool changed = false;
    int r = next_block(o, work, &row);
    if (r != 0)
        return r;
    keyblocks_context(&row.id, work->at.version, context);
    r = storage_put_under(o, &work->to, STORAGE_BLOCK_ROOT, SLICE_ARRAY(context), stored_in(&row, 0), root, &changed);
    if (r != 0 || !changed)
        return r;
    work->changed++;
    struct query q CLEANUP(query_end) = query(o->store, STORAGE_BLOCK_SET);
    query_bind_i64(&q, 1, work->at.number);
    query_bind_u64(&q, 2, work->at.version);
    query_bind_blob(&q, 3, SLICE_ARRAY(root));
    return rows_run(&q);
}

static int next_partner(struct operations *o, struct storage_work *work, struct row *row)
{
    struct query q CLEANUP(query_end) = query(o->store, STORAGE_PARTNER_NEXT);
    query_bind_i64(&q, 1, work->at.number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    work->at.number = query_i64(&q, 0);
    query_fixed(&q, 1, row->id.bytes, ID_BYTES);
    copy_stored(row, 0, &q, 2);
    return query_check(&q);
}

static int partner(struct operations *o, struct storage_work *work)
{
    struct row row;
    uint8_t key[KEYS_STORED_BYTES];
    bool changed = false;
    int r = next_partner(o, work, &row);
    if (r == 0)
        r = storage_put_under(o, &work->to, STORAGE_COPY_KEY, SLICE_ARRAY(row.id.bytes), stored_in(&row, 0), key,
                              &changed);
    if (r != 0 || !changed)
        return r;
    work->changed++;
    struct query q CLEANUP(query_end) = query(o->store, STORAGE_PARTNER_SET);
    query_bind_i64(&q, 1, work->at.number);
    query_bind_blob(&q, 2, SLICE_ARRAY(key));
    return rows_run(&q);
}

static int next_secret(struct operations *o, struct storage_work *work, struct row *row)
{
    struct query q CLEANUP(query_end) = query(o->store, STORAGE_SECRET_NEXT);
    query_bind_text(&q, 1, work->at.name);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_text(&q, 0, work->at.name, sizeof(work->at.name));
    copy_stored(row, 0, &q, 1);
    return query_check(&q);
}

static int secret(struct operations *o, struct storage_work *work)
{
    struct row row;
    uint8_t sealed[KEYS_STORED_BYTES];
    bool changed = false;
    int r = next_secret(o, work, &row);
    if (r == 0)
        r = storage_put_under(o, &work->to, STORAGE_SECRET, slice_str(work->at.name), stored_in(&row, 0), sealed,
                              &changed);
    if (r != 0 || !changed)
        return r;
    work->changed++;
    struct query q CLEANUP(query_end) = query(o->store, STORAGE_SECRET_SET);
    query_bind_text(&q, 1, work->at.name);
    query_bind_blob(&q, 2, SLICE_ARRAY(sealed));
    return rows_run(&q);
}

int storage_row(struct operations *o, struct storage_work *work)
{
    static int (*const tables[STORAGE_TABLES])(struct operations *, struct storage_work *) = { content, block, partner,
                                                                                               secret };
    return tables[work->table](o, work);
}
