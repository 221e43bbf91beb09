/* What a shared row changes, table by table. On the connection's thread.
 *
 * A row says something about its origin's own customers, contents and licenses, and nothing else: whatever it contains is
 * stored under the origin's number. Only a link touches a row of ours: when the other end takes it apart, ours goes too.
 * Source: seed "operations database C", procedure P3. */
#define LOG_MODULE "share"
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/copies.h"
#include "distributor/copy_queue.h"
#include "distributor/delegations.h"
#include "distributor/keyset.h"
#include "distributor/link_rows.h"
#include "distributor/roster.h"
#include "distributor/rows.h"
#include "distributor/share_apply_internal.h"
#include "share.pb.h"

/* 0, REASON_MALFORMED, -errno. */
typedef int apply_fn(const struct row *row);

#define ROW_DECODE(row, T, out) (CODEC_DECODE(T, (row)->bytes, (out)) == 0)

static int delete_by_blob(const struct row *row, enum statement statement, struct slice key)
{
    struct query q CLEANUP(query_end) = query(row->o->store, statement);
    query_bind_i64(&q, 1, row->origin);
    query_bind_blob(&q, 2, key);
    return rows_run(&q);
}

/* --- Devices ----------------------------------------------------------------------------------------------------- */

/* The account a client has now, so that its household's rosters follow. */
static int touch_client(const struct row *row, const uint8_t client[32])
{
    char user[OPERATIONS_NAME_BYTES];
    {
        struct query q CLEANUP(query_end) = query(row->o->store, DEVICE_GET);
        query_bind_i64(&q, 1, row->origin);
        query_bind_blob(&q, 2, slice(client, ID_BYTES));
        int r = rows_one(&q);
        if (r != 0)
            return r == OPERATIONS_ABSENT ? 0 : r;
        query_text(&q, 0, user, sizeof(user));
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    return roster_touch(row->o, row->origin, user);
}

static int clear_leaf(const struct row *row, const share_LeafClient *m)
{
    struct query q CLEANUP(query_end) = query(row->o->store, LEAF_CLEAR);
    query_bind_i64(&q, 1, row->origin);
    query_bind_i64(&q, 2, m->category);
    query_bind_i64(&q, 3, m->leaf);
    query_bind_blob(&q, 4, SLICE_ARRAY(m->client));
    return rows_run(&q);
}

static int apply_leaf_client(const struct row *row)
{
    share_LeafClient m;
    if (!ROW_DECODE(row, share_LeafClient, &m))
        return REASON_MALFORMED;
    if (row->removed)
        return delete_by_blob(row, LEAF_DELETE, SLICE_ARRAY(m.client));
    int r = clear_leaf(row, &m);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(row->o->store, LEAF_SET);
    query_bind_i64(&q, 1, row->origin);
    query_bind_blob(&q, 2, SLICE_ARRAY(m.client));
    query_bind_i64(&q, 3, m.category);
    query_bind_i64(&q, 4, m.leaf);
    return rows_run(&q);
}

static int set_certificate(const struct row *row, const share_ClientCertificate *m)
{
    struct query q CLEANUP(query_end) = query(row->o->store, DEVICE_CERTIFICATE_SET);
    query_bind_i64(&q, 1, row->origin);
    query_bind_blob(&q, 2, SLICE_ARRAY(m->client));
    query_bind_blob(&q, 3, CODEC_BYTES(m->certificate));
    query_bind_i64(&q, 4, 0); /* judged whenever it is used */
    return rows_run(&q);
}

static int apply_client_certificate(const struct row *row)
{
    share_ClientCertificate m;
    if (!ROW_DECODE(row, share_ClientCertificate, &m))
        return REASON_MALFORMED;
    int r =
        row->removed ? delete_by_blob(row, DEVICE_CERTIFICATE_DELETE, SLICE_ARRAY(m.client)) : set_certificate(row, &m);
    return r == 0 ? touch_client(row, m.client) : r;
}

static int set_client_user(const struct row *row, const share_ClientUser *m)
{
    struct query q CLEANUP(query_end) = query(row->o->store, DEVICE_SET);
    query_bind_i64(&q, 1, row->origin);
    query_bind_blob(&q, 2, SLICE_ARRAY(m->client));
    query_bind_text(&q, 3, m->user);
    query_bind_text(&q, 4, m->name);
    query_bind_u64(&q, 5, m->registered_ms);
    query_bind_i64(&q, 6, m->revoked);
    return rows_run(&q);
}

/* What a partner's device had of us is lost with it, also when it registers there again; what was on its way to it ends. */
static int revoke_licenses(const struct row *row, const share_ClientUser *m)
{
    struct device gone = { .client = id_from(m->client), .distributor = row->origin, .revoked = true };
    CODEC_SET_TEXT(gone.user, m->user);
    struct query q CLEANUP(query_end) = query(row->o->store, LICENSE_REVOKE_AT);
    query_bind_blob(&q, 1, SLICE_ARRAY(m->client));
    query_bind_i64(&q, 2, row->origin);
    int r = rows_run(&q);
    return r == 0 && !row->removed ? copies_device_removed(row->o, &gone, row->now_ms) : r;
}

static int apply_client_user(const struct row *row)
{
    share_ClientUser m;
    if (!ROW_DECODE(row, share_ClientUser, &m) || m.registered_ms > INT64_MAX)
        return REASON_MALFORMED;
    int r = touch_client(row, m.client); /* the account it leaves */
    if (r == 0)
        r = row->removed ? delete_by_blob(row, DEVICE_DELETE, SLICE_ARRAY(m.client)) : set_client_user(row, &m);
    if (r == 0 && m.revoked)
        r = revoke_licenses(row, &m);
    if (r == 0 && (m.revoked || row->removed))
        r = copy_queue_forget(row->o, row->origin, m.client);
    return r == 0 ? roster_touch(row->o, row->origin, m.user) : r;
}

/* --- Contents and licenses --------------------------------------------------------------------------------------- */

static int apply_content_license(const struct row *row)
{
    share_ContentLicense m;
    if (!ROW_DECODE(row, share_ContentLicense, &m))
        return REASON_MALFORMED;
    if (row->removed)
        return delete_by_blob(row, CONTENT_LICENSE_DELETE, SLICE_ARRAY(m.content));
    struct query q CLEANUP(query_end) = query(row->o->store, CONTENT_LICENSE_SET);
    query_bind_i64(&q, 1, row->origin);
    query_bind_blob(&q, 2, SLICE_ARRAY(m.content));
    query_bind_blob(&q, 3, SLICE_ARRAY(m.license_id));
    int r = query_run(&q);
    return r > 0 ? REASON_MALFORMED : r; /* a license ID that it used for another content */
}

static int apply_user_content(const struct row *row)
{
    share_UserContent m;
    if (!ROW_DECODE(row, share_UserContent, &m) || m.downloaded_ms > INT64_MAX)
        return REASON_MALFORMED;
    struct query q CLEANUP(query_end) = query(row->o->store, row->removed ? USER_CONTENT_DELETE : USER_CONTENT_SET);
    query_bind_i64(&q, 1, row->origin);
    query_bind_text(&q, 2, m.user);
    query_bind_blob(&q, 3, SLICE_ARRAY(m.content));
    query_bind_blob(&q, 4, SLICE_ARRAY(m.client));
    if (!row->removed) {
        query_bind_blob(&q, 5, SLICE_ARRAY(m.license_id));
        query_bind_u64(&q, 6, m.downloaded_ms);
    }
    return rows_run(&q);
}

static int apply_user_license(const struct row *row)
{
    share_UserLicense m;
    if (!ROW_DECODE(row, share_UserLicense, &m) || m.downloaded_ms > INT64_MAX || m.sequence > INT64_MAX)
        return REASON_MALFORMED;
    struct query q CLEANUP(query_end) = query(row->o->store, row->removed ? USER_LICENSE_DELETE : USER_LICENSE_SET);
    query_bind_i64(&q, 1, row->origin);
    query_bind_text(&q, 2, m.user);
    query_bind_blob(&q, 3, SLICE_ARRAY(m.license_id));
    query_bind_blob(&q, 4, SLICE_ARRAY(m.client));
    if (!row->removed) {
        query_bind_u64(&q, 5, m.sequence);
        query_bind_u64(&q, 6, m.downloaded_ms);
    }
    return rows_run(&q);
}

static int apply_copy_history(const struct row *row)
{
    share_CopyHistory m;
    if (!ROW_DECODE(row, share_CopyHistory, &m) || m.issued_ms > INT64_MAX || m.ends_ms > INT64_MAX)
        return REASON_MALFORMED;
    if (row->removed)
        return delete_by_blob(row, HISTORY_DELETE, SLICE_ARRAY(m.serial));
    struct query q CLEANUP(query_end) = query(row->o->store, HISTORY_SET);
    query_bind_i64(&q, 1, row->origin);
    query_bind_blob(&q, 2, SLICE_ARRAY(m.serial));
    query_bind_blob(&q, 3, SLICE_ARRAY(m.content));
    query_bind_blob(&q, 4, SLICE_ARRAY(m.license_id));
    query_bind_text(&q, 5, m.user);
    query_bind_blob(&q, 6, SLICE_ARRAY(m.source));
    query_bind_blob(&q, 7, SLICE_ARRAY(m.destination));
    query_bind_blob(&q, 8, SLICE_ARRAY(m.destination_distributor));
    query_bind_i64(&q, 9, m.category);
    query_bind_i64(&q, 10, m.leaf);
    query_bind_i64(&q, 11, m.move);
    query_bind_i64(&q, 12, m.removable);
    query_bind_u64(&q, 13, m.issued_ms);
    query_bind_u64(&q, 14, m.ends_ms);
    query_bind_i64(&q, 15, m.state);
    int r = rows_run(&q);
    bool for_us = id_equal(m.destination_distributor, &row->o->keys->self);
    return r == 0 && for_us ? delegations_watch(row->o, row->origin, &m) : r;
}

/* --- Links, keysets, blocks, receipts ---------------------------------------------------------------------------- */

static int store_link(const struct row *row, const share_Link *m, int64_t other)
{
    struct query q CLEANUP(query_end) = query(row->o->store, row->removed ? LINK_DELETE : LINK_ADD);
    query_bind_i64(&q, 1, row->origin);
    query_bind_text(&q, 2, m->user);
    query_bind_i64(&q, 3, other);
    query_bind_text(&q, 4, m->other_user);
    return rows_run(&q);
}

static int apply_link(const struct row *row)
{
    share_Link m;
    if (!ROW_DECODE(row, share_Link, &m) || id_equal(m.other, &row->origin_id))
        return REASON_MALFORMED;
    struct id other_id = id_from(m.other);
    char name[ID_SHORT_BYTES];
    id_short(&other_id, name);
    int64_t other;
    int r = operations_distributor_add(row->o, &other_id, name, &other);
    if (r == 0)
        r = roster_touch(row->o, row->origin, m.user); /* before it falls apart */
    if (r == 0)
        r = store_link(row, &m, other);
    if (r == 0 && row->removed && other == OPERATIONS_SELF)
        r = link_rows_remove(row->o, m.other_user, row->origin, m.user);
    return r == 0 ? roster_touch(row->o, row->origin, m.user) : r;
}

static int apply_keyset(const struct row *row)
{
    (void)row; /* stored while its share was verified */
    return 0;
}

static int apply_key_block(const struct row *row)
{
    share_KeyBlock m;
    if (!ROW_DECODE(row, share_KeyBlock, &m) || m.version > INT64_MAX)
        return REASON_MALFORMED;
    struct query q CLEANUP(query_end) = query(row->o->store, DISTRIBUTOR_SET_BLOCK);
    query_bind_i64(&q, 1, row->origin);
    query_bind_u64(&q, 2, m.version);
    return rows_run(&q);
}

static int apply_redemption(const struct row *row)
{
    share_Redemption m;
    if (!ROW_DECODE(row, share_Redemption, &m))
        return REASON_MALFORMED;
    struct slice surrender = m.has_surrender ? CODEC_BYTES(m.surrender) : slice(NULL, 0);
    return row->removed ? 0 : copies_settle_relayed(row->o, CODEC_BYTES(m.receipt), surrender, row->now_ms);
}

static apply_fn *const tables[] = {
    [share_Table_LEAF_CLIENT] = apply_leaf_client,
    [share_Table_CLIENT_CERTIFICATE] = apply_client_certificate,
    [share_Table_CLIENT_USER] = apply_client_user,
    [share_Table_CONTENT_LICENSE] = apply_content_license,
    [share_Table_USER_CONTENT] = apply_user_content,
    [share_Table_USER_LICENSE] = apply_user_license,
    [share_Table_COPY_HISTORY] = apply_copy_history,
    [share_Table_LINK] = apply_link,
    [share_Table_KEYSET] = apply_keyset,
    [share_Table_KEY_BLOCK] = apply_key_block,
    [share_Table_REDEMPTION] = apply_redemption,
};

int share_apply_to(const struct row *row, uint32_t table)
{
    if (table >= ARRAY_COUNT(tables) || !tables[table])
        return 0;
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    int r = savepoint_begin(&p, row->o->store);
    if (r == 0)
        r = tables[table](row);
    if (r == 0)
        return savepoint_release(&p);
    if (r > 0)
        log_warn("shared row passed over: table=%u reason=%s", table, reason_code((enum reason)r));
    return r < 0 ? r : 0;
}
