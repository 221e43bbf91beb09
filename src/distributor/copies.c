/* Rows of copy certificates. On the connection's thread. Source: seed table (8), S141. */
#include "distributor/copies.h"

#include "distributor/rows.h"
#include "distributor/share_rows.h"

static int read_copy(struct query *q, struct copy *out, struct buf *document, struct buf *delegation)
{
    struct copy c = { 0 };
    query_fixed(q, 0, c.serial, sizeof(c.serial));
    query_fixed(q, 1, c.license_id, sizeof(c.license_id));
    query_fixed(q, 2, c.source.bytes, ID_BYTES);
    query_fixed(q, 3, c.destination.bytes, ID_BYTES);
    query_fixed(q, 4, c.content.bytes, ID_BYTES);
    query_text(q, 5, c.account, sizeof(c.account));
    c.destination_number = query_i64(q, 6);
    query_text(q, 7, c.destination_user, sizeof(c.destination_user));
    c.product = query_u32(q, 8);
    c.move = query_bool(q, 9);
    c.removable = query_bool(q, 10);
    c.counted = query_bool(q, 11);
    c.charge = query_u64(q, 12);
    c.block_version = query_u64(q, 13);
    c.issued_ms = query_i64(q, 14);
    c.ends_ms = query_i64(q, 15);
    c.state = query_u32(q, 16);
    if (document)
        query_append(q, 17, document);
    if (delegation && !query_is_null(q, 18))
        query_append(q, 18, delegation);
    c.edition = query_u64(q, 19);
    c.checkout = query_bool(q, 20);
    *out = c;
    return query_check(q);
}

int copies_find(struct operations *o, const uint8_t serial[16], struct copy *out, struct buf *document,
                struct buf *delegation)
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_GET);
    query_bind_blob(&q, 1, slice(serial, 16));
    int r = rows_one(&q);
    return r == 0 ? read_copy(&q, out, document, delegation) : r;
}

int copies_next(struct operations *o, const uint8_t after[16], const char *account, uint32_t state, struct copy *out)
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_NEXT);
    query_bind_blob(&q, 1, slice(after, 16));
    query_bind_text(&q, 2, account);
    query_bind_i64(&q, 3, state);
    int r = rows_one(&q);
    return r == 0 ? read_copy(&q, out, NULL, NULL) : r;
}

static void bind_open(struct query *q, const struct copy *like)
{
    query_bind_blob(q, 1, SLICE_ARRAY(like->license_id));
    rows_bind_id(q, 2, &like->source);
    rows_bind_id(q, 3, &like->destination);
    query_bind_i64(q, 4, like->move);
    query_bind_i64(q, 5, like->removable);
    query_bind_u64(q, 6, like->edition);
    query_bind_i64(q, 7, like->checkout);
}

void copies_ask_open(struct operations *o, const struct copy *like)
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_OPEN);
    bind_open(&q, like);
    query_ahead(&q);
}

int copies_find_open(struct operations *o, const struct copy *like, struct copy *out, struct buf *document,
                     struct buf *delegation)
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_OPEN);
    bind_open(&q, like);
    int r = rows_one(&q);
    return r == 0 ? read_copy(&q, out, document, delegation) : r;
}

int copies_find_move(struct operations *o, const uint8_t license_id[16], const struct id *source, uint64_t edition,
                     struct id *destination)
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_MOVE);
    query_bind_blob(&q, 1, slice(license_id, 16));
    rows_bind_id(&q, 2, source);
    query_bind_u64(&q, 3, edition);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, destination->bytes, ID_BYTES);
    return query_check(&q);
}

int copies_add_certificate(struct operations *o, const struct copy *c, struct slice document, struct slice delegation)
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(c->serial));
    query_bind_blob(&q, 2, SLICE_ARRAY(c->license_id));
    rows_bind_id(&q, 3, &c->source);
    rows_bind_id(&q, 4, &c->destination);
    rows_bind_id(&q, 5, &c->content);
    query_bind_text(&q, 6, c->account);
    query_bind_i64(&q, 7, c->destination_number);
    query_bind_text(&q, 8, c->destination_user);
    query_bind_i64(&q, 9, c->product);
    query_bind_i64(&q, 10, c->move);
    query_bind_i64(&q, 11, c->removable);
    query_bind_i64(&q, 12, c->counted);
    query_bind_u64(&q, 13, c->charge);
    query_bind_u64(&q, 14, c->block_version);
    query_bind_i64(&q, 15, c->issued_ms);
    query_bind_i64(&q, 16, c->ends_ms);
    query_bind_i64(&q, 17, c->state);
    query_bind_blob(&q, 18, document);
    if (delegation.len > 0)
        query_bind_blob(&q, 19, delegation);
    else
        query_bind_null(&q, 19);
    query_bind_u64(&q, 20, c->edition);
    query_bind_i64(&q, 21, c->checkout);
    return rows_later(&q);
}

static void history_of(const struct copy *c, const doc_Leaf *leaf, share_CopyHistory *row)
{
    *row = (share_CopyHistory){ .category = leaf->category,
                                .leaf = leaf->number,
                                .move = c->move,
                                .removable = c->removable,
                                .issued_ms = (uint64_t)c->issued_ms,
                                .ends_ms = (uint64_t)c->ends_ms,
                                .state = c->state };
    memcpy(row->serial, c->serial, sizeof(row->serial));
    memcpy(row->content, c->content.bytes, ID_BYTES);
    memcpy(row->license_id, c->license_id, sizeof(row->license_id));
    CODEC_SET_TEXT(row->user, c->account);
    memcpy(row->source, c->source.bytes, ID_BYTES);
    memcpy(row->destination, c->destination.bytes, ID_BYTES);
    memcpy(row->destination_distributor, leaf->distributor, ID_BYTES);
}

static int set_history(struct operations *o, const share_CopyHistory *row)
{
    struct query q CLEANUP(query_end) = query(o->store, HISTORY_SET);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_blob(&q, 2, SLICE_ARRAY(row->serial));
    query_bind_blob(&q, 3, SLICE_ARRAY(row->content));
    query_bind_blob(&q, 4, SLICE_ARRAY(row->license_id));
    query_bind_text(&q, 5, row->user);
    query_bind_blob(&q, 6, SLICE_ARRAY(row->source));
    query_bind_blob(&q, 7, SLICE_ARRAY(row->destination));
    query_bind_blob(&q, 8, SLICE_ARRAY(row->destination_distributor));
    query_bind_i64(&q, 9, row->category);
    query_bind_i64(&q, 10, row->leaf);
    query_bind_i64(&q, 11, row->move);
    query_bind_i64(&q, 12, row->removable);
    query_bind_u64(&q, 13, row->issued_ms);
    query_bind_u64(&q, 14, row->ends_ms);
    query_bind_i64(&q, 15, row->state);
    int r = rows_later(&q);
    return r == 0 ? SHARE_PUT(o, COPY_HISTORY, false, share_CopyHistory, row) : r;
}

int copies_add_history(struct operations *o, const struct copy *c, const doc_Leaf *leaf)
{
    share_CopyHistory row;
    history_of(c, leaf, &row);
    return set_history(o, &row);
}

int copies_add(struct operations *o, const struct copy *c, const doc_Leaf *leaf, struct slice document,
               struct slice delegation)
{
    int r = copies_add_certificate(o, c, document, delegation);
    return r == 0 ? copies_add_history(o, c, leaf) : r;
}

static int read_history(struct operations *o, const uint8_t serial[16], share_CopyHistory *row)
{
    struct query q CLEANUP(query_end) = query(o->store, HISTORY_GET);
    query_bind_blob(&q, 1, slice(serial, 16));
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    *row = (share_CopyHistory)share_CopyHistory_init_zero;
    memcpy(row->serial, serial, sizeof(row->serial));
    query_fixed(&q, 0, row->content, sizeof(row->content));
    query_fixed(&q, 1, row->license_id, sizeof(row->license_id));
    query_text(&q, 2, row->user, sizeof(row->user));
    query_fixed(&q, 3, row->source, sizeof(row->source));
    query_fixed(&q, 4, row->destination, sizeof(row->destination));
    query_fixed(&q, 5, row->destination_distributor, sizeof(row->destination_distributor));
    row->category = query_u32(&q, 6);
    row->leaf = query_u32(&q, 7);
    row->move = query_bool(&q, 8);
    row->removable = query_bool(&q, 9);
    row->issued_ms = query_u64(&q, 10);
    row->ends_ms = query_u64(&q, 11);
    row->state = query_u32(&q, 12);
    return query_check(&q);
}

int copies_set_state(struct operations *o, const struct copy *c, enum certificate_state state, struct slice receipt,
                     struct slice surrender)
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_STATE);
    query_bind_blob(&q, 1, SLICE_ARRAY(c->serial));
    query_bind_i64(&q, 2, state);
    if (receipt.len > 0)
        query_bind_blob(&q, 3, receipt);
    else
        query_bind_null(&q, 3);
    if (surrender.len > 0)
        query_bind_blob(&q, 4, surrender);
    else
        query_bind_null(&q, 4);
    int r = rows_run(&q);
    if (r != 0 || state == c->state)
        return r;
    share_CopyHistory row;
    r = read_history(o, c->serial, &row);
    if (r != 0)
        return r;
    row.state = state;
    return set_history(o, &row);
}

void copies_tell_charged(int64_t price, const char *currency, msg_Result *result)
{
    result->has_charged = result->has_currency = price > 0;
    result->charged = price;
    CODEC_SET_TEXT(result->currency, price > 0 ? currency : "");
}
