/* License rows and documents. Who may have one is decided in license_issue.c and copy_issue.c. On the connection's thread. */
#include "distributor/licenses.h"

#include "base/util.h"
#include "crypto/contentkey.h"
#include "distributor/keyblocks.h"
#include "distributor/rows.h"
#include "distributor/share_rows.h"

static void read_lease(struct query *q, int first, struct license *l)
{
    l->has_lease = !query_is_null(q, first);
    if (!l->has_lease)
        return;
    l->lease.until_ms = query_u64(q, first);
    l->lease.grace_ms = query_u64(q, first + 1);
    l->lease.has_max_plays = !query_is_null(q, first + 2);
    if (l->lease.has_max_plays)
        l->lease.max_plays = query_u32(q, first + 2);
}

int licenses_read(struct query *q, struct license *out)
{
    struct license l = { 0 };
    query_fixed(q, 0, l.license_id, sizeof(l.license_id));
    query_fixed(q, 1, l.client.bytes, sizeof(l.client.bytes));
    query_fixed(q, 2, l.content.bytes, sizeof(l.content.bytes));
    l.sequence = query_u64(q, 3);
    l.distributor = query_i64(q, 4);
    query_text(q, 5, l.user, sizeof(l.user));
    query_text(q, 6, l.account, sizeof(l.account));
    l.product = query_u32(q, 7);
    l.copies = query_u32(q, 8);
    l.removables = query_u32(q, 9);
    l.checkouts = query_u32(q, 10);
    l.used.plays = query_u32(q, 11);
    l.used.play_ms = query_u64(q, 12);
    l.used.recoveries = query_u32(q, 13);
    l.state = query_u32(q, 14);
    l.issued_ms = query_i64(q, 15);
    read_lease(q, 16, &l);
    l.has_lender = !query_is_null(q, 19);
    if (l.has_lender)
        query_fixed(q, 19, l.lender.bytes, sizeof(l.lender.bytes));
    conditions_read(q, 20, &l.conditions);
    *out = l;
    return query_check(q);
}

int licenses_find(struct operations *o, const uint8_t license_id[16], const struct id *client, struct license *out)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_GET);
    query_bind_blob(&q, 1, slice(license_id, 16));
    rows_bind_id(&q, 2, client);
    int r = rows_one(&q);
    return r == 0 ? licenses_read(&q, out) : r;
}

int licenses_find_content(struct operations *o, const struct id *content, const struct id *client, struct license *out)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_OF_CONTENT);
    rows_bind_id(&q, 1, content);
    rows_bind_id(&q, 2, client);
    int r = rows_one(&q);
    return r == 0 ? licenses_read(&q, out) : r;
}

int licenses_find_elsewhere(struct operations *o, const struct device *d, const struct id *content, int64_t now_ms,
                            char name[OPERATIONS_NAME_BYTES])
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_ELSEWHERE);
    query_bind_text(&q, 1, d->user);
    rows_bind_id(&q, 2, content);
    rows_bind_id(&q, 3, &d->client);
    query_bind_i64(&q, 4, now_ms);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_text(&q, 0, name, OPERATIONS_NAME_BYTES);
    return query_check(&q);
}

bool licenses_is_held(const struct license *l, int64_t now_ms)
{
    return (l->state == LICENSE_LIVE || l->state == LICENSE_MOVING) && !conditions_are_over(&l->conditions, now_ms);
}

int licenses_set(struct operations *o, const struct license *l, struct slice document)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_SET);
    query_bind_blob(&q, 1, SLICE_ARRAY(l->license_id));
    rows_bind_id(&q, 2, &l->client);
    rows_bind_id(&q, 3, &l->content);
    query_bind_u64(&q, 4, l->sequence);
    query_bind_i64(&q, 5, l->distributor);
    query_bind_text(&q, 6, l->user);
    query_bind_text(&q, 7, l->account);
    query_bind_i64(&q, 8, l->product);
    query_bind_i64(&q, 9, l->copies);
    query_bind_i64(&q, 10, l->removables);
    query_bind_i64(&q, 11, l->checkouts);
    query_bind_i64(&q, 12, l->used.plays);
    query_bind_u64(&q, 13, l->used.play_ms);
    query_bind_i64(&q, 14, l->used.recoveries);
    query_bind_i64(&q, 15, l->state);
    query_bind_i64(&q, 16, l->issued_ms);
    rows_bind_time(&q, 17, l->has_lease, l->lease.until_ms);
    query_bind_u64(&q, 18, l->has_lease ? l->lease.grace_ms : 0);
    rows_bind_time(&q, 19, l->has_lease && l->lease.has_max_plays, l->lease.max_plays);
    if (l->has_lender)
        rows_bind_id(&q, 20, &l->lender);
    else
        query_bind_null(&q, 20);
    conditions_bind(&q, 21, &l->conditions);
    query_bind_blob(&q, 21 + CONDITIONS_COLUMNS, document);
    return rows_run(&q);
}

struct license_used licenses_used(const doc_Use *use)
{
    return (struct license_used){ use->plays, use->play_ms, use->recoveries };
}

int licenses_set_used(struct operations *o, struct license *l, const struct license_used *used)
{
    l->used.plays = (uint32_t)u64_max(l->used.plays, used->plays);
    l->used.play_ms = u64_max(l->used.play_ms, u64_min(used->play_ms, INT64_MAX));
    l->used.recoveries = (uint32_t)u64_max(l->used.recoveries, used->recoveries);
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_USED);
    query_bind_blob(&q, 1, SLICE_ARRAY(l->license_id));
    rows_bind_id(&q, 2, &l->client);
    query_bind_i64(&q, 3, l->used.plays);
    query_bind_u64(&q, 4, l->used.play_ms);
    query_bind_i64(&q, 5, l->used.recoveries);
    return rows_run(&q);
}

int licenses_set_state(struct operations *o, const uint8_t license_id[16], const struct id *client, uint64_t sequence,
                       enum license_state state)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_STATE);
    query_bind_blob(&q, 1, slice(license_id, 16));
    rows_bind_id(&q, 2, client);
    query_bind_i64(&q, 3, state);
    query_bind_u64(&q, 4, sequence);
    return rows_run(&q);
}

int licenses_count(struct operations *o, const uint8_t license_id[16], const struct id *client, uint64_t sequence,
                   struct licenses_made made)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_COUNT);
    query_bind_blob(&q, 1, slice(license_id, 16));
    rows_bind_id(&q, 2, client);
    query_bind_i64(&q, 3, made.copies);
    query_bind_i64(&q, 4, made.removables);
    query_bind_u64(&q, 5, sequence);
    query_bind_i64(&q, 6, made.checkouts);
    return rows_later(&q);
}

int licenses_describe(struct operations *o, struct license *l, const doc_DeviceCertificate *device, int64_t now_ms,
                      doc_License *d)
{
    int r = operations_count(o, "license", &l->sequence);
    if (r != 0)
        return r;
    l->issued_ms = now_ms;
    *d = (doc_License){ .sequence = l->sequence,
                        .issued_ms = (uint64_t)now_ms,
                        .conditions = l->conditions,
                        .has_lease = l->has_lease,
                        .lease = l->lease,
                        .has_lender = l->has_lender };
    memcpy(d->lender, l->lender.bytes, ID_BYTES);
    memcpy(d->issuer, o->keys->self.bytes, ID_BYTES);
    memcpy(d->license_id, l->license_id, sizeof(d->license_id));
    memcpy(d->content, l->content.bytes, ID_BYTES);
    memcpy(d->client, l->client.bytes, ID_BYTES);
    d->leaf = device->leaf; /* S80, S137 */
    return 0;
}

int licenses_seal(doc_License *d, const uint8_t sealing_key[32], const struct key32 *license_half,
                  const struct signer *signer, struct buf *document)
{
    struct id content = id_from(d->content);
    int r = contentkey_seal_license_half(sealing_key, license_half, &content, d->license_half);
    if (r == 0)
        r = document_sign(document, DOCUMENT_LICENSE, d, signer);
    return r > 0 ? -EMSGSIZE : r;
}

int licenses_sign(struct operations *o, struct license *l, const doc_DeviceCertificate *device,
                  const struct key32 *license_half, int64_t now_ms, const struct signer *signer, struct buf *document)
{
    doc_License d;
    int r = licenses_describe(o, l, device, now_ms, &d);
    return r == 0 ? licenses_seal(&d, device->sealing_key, license_half, signer, document) : r;
}

int licenses_header(struct operations *o, const struct device *d, const struct id *content,
                    const struct content_halves *halves, struct buf *out)
{
    struct keyblocks_newest newest CLEANUP(keyblocks_newest_wipe) = { 0 };
    int r = keyblocks_newest(o, OPERATIONS_SELF, &newest);
    doc_Header h = doc_Header_init_zero;
    uint32_t category = 0, leaf = 0;
    if (r == 0)
        r = devices_leaf(o, OPERATIONS_SELF, &d->client, &category, &leaf);
    if (r == 0)
        r = keyblocks_entry(o, OPERATIONS_SELF, leaf, &h.key_block);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    memcpy(h.content, content->bytes, ID_BYTES);
    memcpy(h.issuer, o->keys->self.bytes, ID_BYTES);
    memcpy(h.license_id, halves->license_id, sizeof(h.license_id));
    r = contentkey_wrap(o->rng, &newest.root, content, halves->license_id, &halves->header, h.wrapped_half);
    if (r == 0)
        r = CODEC_ENCODE(doc_Header, out, &h);
    return r > 0 ? -EMSGSIZE : r;
}

int licenses_record(struct operations *o, const struct license *l, int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, USER_LICENSE_SET);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_text(&q, 2, l->user);
    query_bind_blob(&q, 3, SLICE_ARRAY(l->license_id));
    rows_bind_id(&q, 4, &l->client);
    query_bind_u64(&q, 5, l->sequence);
    query_bind_i64(&q, 6, now_ms);
    int r = rows_run(&q);
    share_UserLicense row = { .sequence = l->sequence, .downloaded_ms = (uint64_t)now_ms };
    CODEC_SET_TEXT(row.user, l->user);
    memcpy(row.license_id, l->license_id, sizeof(row.license_id));
    memcpy(row.client, l->client.bytes, ID_BYTES);
    return r == 0 ? SHARE_PUT(o, USER_LICENSE, false, share_UserLicense, &row) : r;
}

int licenses_record_content(struct operations *o, const char *user, const struct id *content, const struct id *client,
                            const uint8_t license_id[16], int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, USER_CONTENT_SET);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_text(&q, 2, user);
    rows_bind_id(&q, 3, content);
    rows_bind_id(&q, 4, client);
    query_bind_blob(&q, 5, slice(license_id, 16));
    query_bind_i64(&q, 6, now_ms);
    int r = rows_run(&q);
    share_UserContent row = { .downloaded_ms = (uint64_t)now_ms };
    CODEC_SET_TEXT(row.user, user);
    memcpy(row.content, content->bytes, ID_BYTES);
    memcpy(row.client, client->bytes, ID_BYTES);
    memcpy(row.license_id, license_id, sizeof(row.license_id));
    return r == 0 ? SHARE_PUT(o, USER_CONTENT, false, share_UserContent, &row) : r;
}
