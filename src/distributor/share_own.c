/* Reading back, holding, going on. On the connection's thread. */
#define LOG_MODULE "share"
#include "distributor/share_own.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/devices.h"
#include "distributor/keyblocks.h"
#include "distributor/keyset.h"
#include "distributor/operations_schema.h"
#include "distributor/rows.h"
#include "distributor/share_keyset.h"
#include "distributor/share_rows.h"

#define CATCHING_UP "catching-up"

#define ROW_DECODE(share, T, out) (CODEC_DECODE(T, CODEC_BYTES((share)->row), (out)) == 0)

int share_own_is_catching_up(struct operations *o, bool *yes)
{
    uint64_t value;
    int r = operations_counter(o, CATCHING_UP, &value);
    if (r == 0)
        *yes = value != 0;
    return r;
}

/* --- Reinstating ------------------------------------------------------------------------------------------------- */

static int has_account(struct operations *o, const char *user)
{
    struct query q CLEANUP(query_end) = query(o->store, HAS_ACCOUNT);
    query_bind_text(&q, 1, user);
    return rows_one(&q); /* OPERATIONS_ABSENT: it was opened after the copy was taken */
}

static int apply_of_user(struct operations *o, const doc_Share *share, const char *user, int64_t now_ms)
{
    int r = share->removed ? 0 : has_account(o, user);
    return r == OPERATIONS_ABSENT ? 0 : r == 0 ? share_apply_row(o, OPERATIONS_SELF, share, now_ms) : r;
}

/* A device that was removed stays out, of the next key block too. */
static int apply_device(struct operations *o, const doc_Share *share, int64_t now_ms)
{
    share_ClientUser m;
    struct device before;
    if (!ROW_DECODE(share, share_ClientUser, &m))
        return 0;
    struct id client = id_from(m.client);
    int found = devices_find_own(o, &client, &before);
    if (found < 0)
        return found;
    int r = apply_of_user(o, share, m.user, now_ms);
    bool newly = m.revoked && !share->removed && !(found == 0 && before.revoked);
    if (r != 0 || !newly)
        return r;
    r = keyblocks_revoke(o, &client, now_ms);
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static bool counts(uint32_t state)
{
    return state == CERTIFICATE_ISSUED || state == CERTIFICATE_REDEEMED || state == CERTIFICATE_ENDED;
}

static int state_before(struct operations *o, const uint8_t serial[16], uint32_t *state)
{
    struct query q CLEANUP(query_end) = query(o->store, HISTORY_STATE);
    query_bind_blob(&q, 1, slice(serial, 16));
    int r = rows_one(&q);
    *state = r == 0 ? query_u32(&q, 0) : 0;
    return r == OPERATIONS_ABSENT ? 0 : r != 0 ? r : query_check(&q);
}

static int count_copy(struct operations *o, const share_CopyHistory *m, int more)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_COPIES_MORE);
    query_bind_blob(&q, 1, SLICE_ARRAY(m->license_id));
    query_bind_blob(&q, 2, SLICE_ARRAY(m->source));
    query_bind_i64(&q, 3, more);
    query_bind_i64(&q, 4, m->removable ? more : 0);
    return rows_run(&q);
}

static int set_license(struct operations *o, const share_CopyHistory *m, enum license_state from, enum license_state to)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_STATE_AT);
    query_bind_blob(&q, 1, SLICE_ARRAY(m->license_id));
    query_bind_blob(&q, 2, SLICE_ARRAY(m->source));
    query_bind_i64(&q, 3, from);
    query_bind_i64(&q, 4, to);
    return rows_run(&q);
}

static int move_license(struct operations *o, const share_CopyHistory *m)
{
    if (m->state == CERTIFICATE_REFUSED || m->state == CERTIFICATE_GIVEN_BACK)
        return set_license(o, m, LICENSE_MOVING, LICENSE_LIVE);
    int r = set_license(o, m, LICENSE_LIVE, LICENSE_MOVING);
    return r == 0 && m->state == CERTIFICATE_REDEEMED ? set_license(o, m, LICENSE_MOVING, LICENSE_GONE) : r;
}

/* Its row without a document and without a price: what was charged for it is not in this ledger, so nothing is given back for it. */
static int reinstate_certificate(struct operations *o, const share_CopyHistory *m)
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_REINSTATE);
    query_bind_blob(&q, 1, SLICE_ARRAY(m->serial));
    query_bind_blob(&q, 2, slice("", 0));
    return rows_run(&q);
}

static int apply_certificate(struct operations *o, const doc_Share *share, int64_t now_ms)
{
    share_CopyHistory m;
    uint32_t before;
    if (!ROW_DECODE(share, share_CopyHistory, &m))
        return 0;
    int r = state_before(o, m.serial, &before);
    if (r == 0)
        r = share_apply_row(o, OPERATIONS_SELF, share, now_ms);
    if (r != 0 || share->removed || before == m.state)
        return r;
    int more = counts(m.state) - counts(before);
    if (!m.move && more != 0)
        r = count_copy(o, &m, more);
    if (r == 0 && m.move)
        r = move_license(o, &m);
    return r == 0 ? reinstate_certificate(o, &m) : r;
}

static int reinstate(struct operations *o, const doc_Share *share, int64_t now_ms)
{
    share_UserContent content;
    share_UserLicense license;
    share_Link link;
    switch (share->table) {
    case share_Table_CLIENT_USER:
        return apply_device(o, share, now_ms);
    case share_Table_COPY_HISTORY:
        return apply_certificate(o, share, now_ms);
    case share_Table_USER_CONTENT:
        return ROW_DECODE(share, share_UserContent, &content) ? apply_of_user(o, share, content.user, now_ms) : 0;
    case share_Table_USER_LICENSE:
        return ROW_DECODE(share, share_UserLicense, &license) ? apply_of_user(o, share, license.user, now_ms) : 0;
    case share_Table_LINK:
        return ROW_DECODE(share, share_Link, &link) ? apply_of_user(o, share, link.user, now_ms) : 0;
    case share_Table_LEAF_CLIENT:
    case share_Table_CLIENT_CERTIFICATE:
    case share_Table_CONTENT_LICENSE:
        return share_apply_row(o, OPERATIONS_SELF, share, now_ms);
    default: /* keysets and key blocks were issued anew; receipts for others are theirs */
        return 0;
    }
}

/* Whoever has stolen a key can sign what looks like a later row of ours, and goes on with it after the key was withdrawn, which this database knows: that
 * proves nothing about the database. */
static int judge_ahead(struct operations *o, const uint8_t signer[SIGN_PUBLIC_BYTES])
{
    bool gone = false;
    int r = keyset_is_withdrawn(o, signer, &gone);
    return r != 0 ? r : gone ? REASON_SIGNATURE_INVALID : SHARE_AHEAD;
}

int share_own_apply(struct operations *o, const doc_Share *share, const uint8_t signer[SIGN_PUBLIC_BYTES],
                    struct slice envelope, int64_t now_ms)
{
    uint64_t last;
    bool catching_up;
    int r = share_outbox_last(o, &last);
    if (r != 0 || share->sequence <= last)
        return r;
    r = share_own_is_catching_up(o, &catching_up);
    if (r != 0)
        return r;
    if (!catching_up)
        return judge_ahead(o, signer);
    if (share->sequence != last + 1)
        return SHARE_GAP;
    r = share_outbox_keep(o, share->sequence, share, envelope);
    if (r == 0)
        r = operations_counter_set(o, "outbox", share->sequence);
    if (r == 0)
        r = share_outbox_confirm(o, share->sequence);
    if (r == 0)
        r = share_keyset_follow(o, OPERATIONS_SELF, share);
    return r == 0 ? reinstate(o, share, now_ms) : r;
}

/* --- Going on ---------------------------------------------------------------------------------------------------- */

/* The first held row. OPERATIONS_ABSENT: none. */
static int first_held(struct operations *o, uint64_t *sequence, struct buf *envelope)
{
    struct query q CLEANUP(query_end) = query(o->store, OUTBOX_HELD);
    query_bind_u64(&q, 1, SHARE_HELD);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *sequence = query_u64(&q, 0);
    query_append(&q, 1, envelope);
    return query_check(&q);
}

static int drop(struct operations *o, uint64_t sequence)
{
    struct query q CLEANUP(query_end) = query(o->store, OUTBOX_DELETE);
    query_bind_u64(&q, 1, sequence);
    return rows_run(&q);
}

static int number_held(struct operations *o, uint64_t *count)
{
    doc_Share *share CLEANUP(freep) = malloc(sizeof(*share));
    struct buf envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    uint8_t signer[SIGN_PUBLIC_BYTES];
    uint64_t held;
    int r = share ? 0 : -ENOMEM;
    while (r == 0) {
        buf_clear(&envelope);
        r = first_held(o, &held, &envelope);
        if (r == 0 && document_open(DOCUMENT_SHARE, buf_slice(&envelope), share, sizeof(*share), signer) != 0)
            r = -EUCLEAN;
        if (r == 0)
            r = share_put_encoded(o, share->table, share->removed, CODEC_BYTES(share->row));
        if (r == 0)
            r = drop(o, held);
        *count += r == 0;
    }
    return r == OPERATIONS_ABSENT ? 0 : r;
}

int share_own_finish(struct operations *o, uint64_t *count)
{
    bool catching_up;
    *count = 0;
    int r = share_own_is_catching_up(o, &catching_up);
    if (r != 0 || !catching_up)
        return r;
    r = operations_counter_set(o, CATCHING_UP, 0); /* first: from here on rows get real numbers */
    return r == 0 ? number_held(o, count) : r;
}
