/* Rows that other distributors share, into the same tables under their number. On the connection's thread.
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
#include "distributor/share.h"
#include "distributor/share_chain.h"
#include "distributor/share_empty.h"
#include "distributor/share_keyset.h"
#include "distributor/share_own.h"
#include "share.pb.h"

struct row {
    struct operations *o;
    int64_t origin;
    struct id origin_id;
    bool removed;
    struct slice bytes;
    int64_t now_ms;
};
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

/* --- Verifying --------------------------------------------------------------------------------------------------- */

/* A row's keyset proves itself by its root; it is kept although its own life may be over, because the rows that follow were
 * signed under it and a later one replaces it. */
static int learn_keyset(struct operations *o, const struct id *origin, const doc_Share *share, int64_t now_ms,
                        bool *newer)
{
    share_Keyset *m CLEANUP(freep) = calloc(1, sizeof(*m));
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    if (!m || !k)
        return -ENOMEM;
    struct id signer;
    if (CODEC_DECODE(share_Keyset, CODEC_BYTES(share->row), m) != 0)
        return REASON_MALFORMED;
    int r = document_open_keyset(CODEC_BYTES(m->keyset), k, &signer);
    if (r != 0)
        return r;
    int64_t judged_ms = k->issued_ms <= (uint64_t)now_ms ? (int64_t)k->issued_ms : now_ms;
    int64_t number;
    uint64_t before = 0;
    r = keyset_lowest(o, origin, &before);
    if (r == 0)
        r = keyset_store(o, origin, CODEC_BYTES(m->keyset), judged_ms, &number);
    *newer = r == 0 && k->sequence > before;
    return r == KEYSET_DIFFERS ? 0 : r; /* noted; its row has its place in the order all the same */
}

static int verify(struct operations *o, struct slice envelope, enum share_via via, int64_t now_ms, doc_Share *share,
                  int64_t *number, uint8_t signer[SIGN_PUBLIC_BYTES], bool *learned)
{
    doc_Keyset *keyset CLEANUP(freep) = calloc(1, sizeof(*keyset));
    if (!keyset)
        return -ENOMEM;
    int r = document_open_known(o->known, DOCUMENT_SHARE, envelope, share, sizeof(*share), signer);
    if (r != 0)
        return r;
    struct id origin = id_from(share->origin);
    if (share->table == share_Table_KEYSET && !share->removed && !id_equal(&origin, &o->keys->self))
        r = learn_keyset(o, &origin, share, now_ms, learned);
    if (r == 0)
        r = operations_distributor(o, &origin, number);
    if (r == 0)
        r = keyset_of(o, *number, keyset);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_KEYSET_INVALID : r;
    return share_keyset_judge(o, *number, keyset, share, signer, via);
}

/* --- In order ---------------------------------------------------------------------------------------------------- */

/* What was applied here before there were chains is only chained. */
static int applied_up_to(struct operations *o, int64_t number, uint64_t *sequence)
{
    struct query q CLEANUP(query_end) = query(o->store, DISTRIBUTOR_SHARED);
    query_bind_i64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    *sequence = query_u64(&q, 0);
    return query_check(&q);
}

static int set_progress(struct operations *o, int64_t number, const struct share_progress *p, uint64_t applied)
{
    struct query q CLEANUP(query_end) = query(o->store, CHAIN_SET);
    query_bind_i64(&q, 1, number);
    query_bind_u64(&q, 2, p->taken);
    if (p->taken > 0)
        query_bind_blob(&q, 3, SLICE_ARRAY(p->head));
    else
        query_bind_null(&q, 3);
    query_bind_u64(&q, 4, applied);
    query_bind_u64(&q, 5, p->directory);
    query_bind_i64(&q, 6, p->direct_ms);
    return rows_run(&q);
}

/* A row that means nothing here (a newer kind, a damaged one) is passed over: its origin's next rows still count. */
static int apply_row(struct operations *o, const struct row *row, uint32_t table)
{
    if (table >= ARRAY_COUNT(tables) || !tables[table])
        return 0;
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    int r = savepoint_begin(&p, o->store);
    if (r == 0)
        r = tables[table](row);
    if (r == 0)
        return savepoint_release(&p);
    if (r > 0)
        log_warn("shared row passed over: table=%u reason=%s", table, reason_code((enum reason)r));
    return r < 0 ? r : 0;
}

/* How far the directory has come with this origin; since when it is behind. */
static void note_way(struct share_progress *p, uint64_t sequence, enum share_via via, int64_t now_ms)
{
    if (via == SHARE_VIA_DIRECTORY && sequence > p->directory)
        p->directory = sequence;
    if (p->directory >= p->taken)
        p->direct_ms = 0;
    else if (p->direct_ms == 0)
        p->direct_ms = now_ms;
}

static int take_next(const struct row *row, const doc_Share *share, struct slice envelope, enum share_via via,
                     struct share_progress *p)
{
    uint64_t applied = 0;
    uint8_t digest[32];
    int r = applied_up_to(row->o, row->origin, &applied);
    if (r == 0 && share->sequence > applied) {
        r = apply_row(row->o, row, share->table);
        applied = share->sequence;
    }
    if (r == 0)
        r = share_keyset_follow(row->o, row->origin, share);
    if (r == 0)
        r = share_empty_follow(row->o, row->origin, share, row->now_ms);
    if (r != 0)
        return r;
    share_digest(envelope, share, digest);
    share_chain_next(p->head, digest, p->head);
    p->taken = share->sequence;
    note_way(p, share->sequence, via, row->now_ms);
    return set_progress(row->o, row->origin, p, applied);
}

/* Known already: only the way it came may be news. */
static int take_again(const struct row *row, uint64_t sequence, enum share_via via, struct share_progress *p)
{
    uint64_t applied;
    if (via != SHARE_VIA_DIRECTORY || sequence <= p->directory)
        return 0;
    note_way(p, sequence, via, row->now_ms);
    int r = applied_up_to(row->o, row->origin, &applied);
    return r == 0 ? set_progress(row->o, row->origin, p, applied) : r;
}

int share_apply_row(struct operations *o, int64_t origin, const doc_Share *share, int64_t now_ms)
{
    struct row row = { .o = o,
                       .origin = origin,
                       .origin_id = id_from(share->origin),
                       .removed = share->removed,
                       .bytes = CODEC_BYTES(share->row),
                       .now_ms = now_ms };
    return apply_row(o, &row, share->table);
}

int share_take(struct operations *o, struct slice envelope, enum share_via via, int64_t now_ms, struct share_taken *out)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    if (!share)
        return -ENOMEM;
    int64_t number;
    struct share_progress p;
    struct share_taken unwanted, *taken = out != NULL ? out : &unwanted;
    *taken = (struct share_taken){ .known = false };
    uint8_t signer[SIGN_PUBLIC_BYTES];
    int r = verify(o, envelope, via, now_ms, share, &number, signer, &taken->learned);
    if (r != 0)
        return r;
    taken->origin = id_from(share->origin);
    if (number == OPERATIONS_SELF)
        return via == SHARE_VIA_DIRECTORY ? share_own_apply(o, share, signer, envelope, now_ms) : 0;
    r = share_progress(o, number, &p);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    struct row row = { .o = o,
                       .origin = number,
                       .origin_id = id_from(share->origin),
                       .removed = share->removed,
                       .bytes = CODEC_BYTES(share->row),
                       .now_ms = now_ms };
    taken->known = share->sequence <= (via == SHARE_VIA_DIRECTORY ? p.directory : p.taken);
    if (share->sequence <= p.taken)
        return take_again(&row, share->sequence, via, &p);
    return share->sequence == p.taken + 1 ? take_next(&row, share, envelope, via, &p) : SHARE_GAP;
}

int share_apply(struct operations *o, struct slice envelope, int64_t now_ms)
{
    return share_take(o, envelope, SHARE_VIA_DIRECTORY, now_ms, NULL);
}
