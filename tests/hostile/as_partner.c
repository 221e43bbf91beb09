/* A hostile partner: good papers, and what it answers to DELEGATION_GET, GRANT_GET and ROWS_GET is not worth them. */
#include <stdlib.h>

#include "as_distributor_internal.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/util.h"
#include "share.pb.h"

#define ENVELOPE_MAX 4400

static uint64_t now_ms(void) { return (uint64_t)clock_wall_ms(clock_system()); }

static void say(struct line *l, const struct heard *f, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                struct slice tail)
{
    if (l->peer)
        line_say(l, type, f->request, fields, message, tail);
}

static uint16_t answer_to(uint16_t type)
{
    return type == msg_Type_DELEGATION_GET ? msg_Type_DELEGATION
           : type == msg_Type_GRANT_GET    ? msg_Type_GRANT
           : type == msg_Type_ROWS_GET     ? msg_Type_ROWS
                                           : msg_Type_OK;
}

/* ---- no answers ------------------------------------------------------------------------------------------------- */

static void on_silence(struct host *h, struct line *l, const struct heard *f) { (void)h, (void)l, (void)f; }

static void on_garbage(struct host *h, struct line *l, const struct heard *f)
{
    uint8_t bytes[200];
    (void)h;
    rng_fill(rng_system(), bytes, sizeof(bytes));
    if (l->peer &&
        peer_send_encoded(l->peer, answer_to(f->type), f->request, slice(bytes, sizeof(bytes)), NULL, 0) != 0)
        abort();
}

static void on_other(struct host *h, struct line *l, const struct heard *f)
{
    msg_Ok ok = msg_Ok_init_zero;
    (void)h;
    say(l, f, msg_Type_OK, msg_Ok_fields, &ok, slice(NULL, 0));
}

/* ---- delegations ------------------------------------------------------------------------------------------------ */

static void delegate(struct host *h, struct line *l, const struct heard *f, const struct key32 *key, bool for_another)
{
    msg_DelegationGet get;
    msg_Delegation answer = msg_Delegation_init_zero;
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    struct signer signer;
    if (f->type != msg_Type_DELEGATION_GET || CODEC_DECODE(msg_DelegationGet, f->message, &get) != 0)
        return;
    doc_Delegation d = {
        .sequence = 1, .max_certificate_ms = 24 * HOUR_MS, .issued_ms = now_ms(), .ends_ms = now_ms() + 48 * HOUR_MS
    };
    memcpy(d.delegator, h->id.bytes, ID_BYTES);
    memcpy(d.partner, for_another ? h->id.bytes : h->visitor.bytes, ID_BYTES);
    memcpy(d.copy_key, get.copy_key, sizeof(d.copy_key));
    signer_from_seed(&signer, key);
    if (document_sign(&envelope, DOCUMENT_DELEGATION, &d, &signer) != 0 ||
        CODEC_SET_BYTES(answer.delegation, buf_slice(&envelope)) != 0)
        abort();
    say(l, f, msg_Type_DELEGATION, msg_Delegation_fields, &answer, slice(NULL, 0));
}

static void on_delegation_forged(struct host *h, struct line *l, const struct heard *f)
{
    struct key32 other;
    rng_fill(rng_system(), other.bytes, sizeof(other.bytes));
    delegate(h, l, f, &other, false);
}

static void on_delegation_of_another(struct host *h, struct line *l, const struct heard *f)
{
    delegate(h, l, f, &h->license, true);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static void put_share(struct host *h, const struct key32 *key, const uint8_t origin[32], uint64_t sequence,
                      uint32_t table, const pb_msgdesc_t *fields, const void *row, struct buf *out)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    struct buf bytes CLEANUP(buf_free) = buf(4000);
    struct signer signer;
    (void)h;
    if (!share || codec_encode(&bytes, fields, row) != 0 || CODEC_SET_BYTES(share->row, buf_slice(&bytes)) != 0)
        abort();
    memcpy(share->origin, origin, ID_BYTES);
    share->sequence = sequence;
    share->table = table;
    signer_from_seed(&signer, key);
    if (document_sign(out, DOCUMENT_SHARE, share, &signer) != 0)
        abort();
}

/* A device of a household that is not ours, as ours. */
static void put_device(struct host *h, const struct key32 *key, const uint8_t origin[32], uint64_t sequence,
                       struct buf *rows)
{
    struct buf envelope CLEANUP(buf_free) = buf(ENVELOPE_MAX);
    share_ClientUser row = { .registered_ms = 1 };
    memcpy(row.client, h->wire.id.bytes, ID_BYTES);
    CODEC_SET_TEXT(row.user, "alice");
    CODEC_SET_TEXT(row.name, "wolf-device");
    put_share(h, key, origin, sequence, share_Table_CLIENT_USER, share_ClientUser_fields, &row, &envelope);
    if (codec_list_put(rows, buf_slice(&envelope)) != 0)
        abort();
}

/* An account of ours that says it is linked to theirs. */
static void put_link(struct host *h, uint64_t sequence, const uint8_t other[32], struct buf *rows)
{
    struct buf envelope CLEANUP(buf_free) = buf(ENVELOPE_MAX);
    share_Link row = share_Link_init_zero;
    CODEC_SET_TEXT(row.user, "alice");
    memcpy(row.other, other, ID_BYTES);
    CODEC_SET_TEXT(row.other_user, "alice");
    put_share(h, &h->license, h->id.bytes, sequence, share_Table_LINK, share_Link_fields, &row, &envelope);
    if (codec_list_put(rows, buf_slice(&envelope)) != 0)
        abort();
}

static void make_head(struct host *h, uint64_t at, struct buf *out)
{
    share_Head head = { .at = at, .head = { 66 }, .time_ms = now_ms() };
    if (at == 0)
        memset(head.head, 0, sizeof(head.head));
    put_share(h, &h->license, h->id.bytes, 0, share_Table_HEAD, share_Head_fields, &head, out);
}

static void say_rows(struct host *h, struct line *l, const struct heard *f, uint64_t last, uint32_t count,
                     const struct buf *rows)
{
    msg_RowsGet get;
    msg_Rows answer = { .has_at = true, .count = count };
    struct buf at CLEANUP(buf_free) = buf(1024), end CLEANUP(buf_free) = buf(1024);
    if (CODEC_DECODE(msg_RowsGet, f->message, &get) != 0)
        abort();
    make_head(h, get.after, &at);
    make_head(h, last, &end);
    if (CODEC_SET_BYTES(answer.at, buf_slice(&at)) != 0 || CODEC_SET_BYTES(answer.last, buf_slice(&end)) != 0)
        abort();
    say(l, f, msg_Type_ROWS, msg_Rows_fields, &answer, buf_slice(rows));
}

static void on_rows_forged(struct host *h, struct line *l, const struct heard *f)
{
    struct buf rows CLEANUP(buf_free) = buf(1 << 16);
    struct key32 other;
    if (f->type != msg_Type_ROWS_GET)
        return;
    rng_fill(rng_system(), other.bytes, sizeof(other.bytes));
    put_device(h, &other, h->id.bytes, 1, &rows);
    say_rows(h, l, f, 1, 1, &rows);
}

/* In the name of somebody whose keys it has not. */
static void on_rows_of_another(struct host *h, struct line *l, const struct heard *f)
{
    struct buf rows CLEANUP(buf_free) = buf(1 << 16);
    if (f->type != msg_Type_ROWS_GET)
        return;
    put_device(h, &h->license, h->wire.id.bytes, 1, &rows);
    say_rows(h, l, f, 1, 1, &rows);
}

static void on_rows_with_a_gap(struct host *h, struct line *l, const struct heard *f)
{
    struct buf rows CLEANUP(buf_free) = buf(1 << 16);
    if (f->type != msg_Type_ROWS_GET)
        return;
    put_device(h, &h->license, h->id.bytes, 7, &rows);
    say_rows(h, l, f, 7, 1, &rows);
}

static void on_rows_again_and_again(struct host *h, struct line *l, const struct heard *f)
{
    struct buf rows CLEANUP(buf_free) = buf(1 << 16);
    if (f->type != msg_Type_ROWS_GET)
        return;
    h->asked++;
    if (h->asked > 200) /* it would have asked for ever */
        abort();
    put_device(h, &h->license, h->id.bytes, 1, &rows);
    say_rows(h, l, f, 1, 1, &rows);
}

/* Well signed, all of it, and a lie: our household is not theirs because they say so. */
static void on_rows_that_lie(struct host *h, struct line *l, const struct heard *f)
{
    struct buf rows CLEANUP(buf_free) = buf(1 << 16);
    msg_RowsGet get;
    if (f->type != msg_Type_ROWS_GET || CODEC_DECODE(msg_RowsGet, f->message, &get) != 0)
        return;
    if (get.after == 0) {
        put_device(h, &h->license, h->id.bytes, 1, &rows);
        put_link(h, 2, h->visitor.bytes, &rows);
    }
    say_rows(h, l, f, 2, get.after == 0 ? 2 : 0, &rows);
}

const struct act partner_acts[] = {
    { .name = "partner_silence", .on_partner = on_silence },
    { .name = "partner_garbage", .on_partner = on_garbage },
    { .name = "partner_other_answers", .on_partner = on_other },
    { .name = "partner_delegation_forged", .on_partner = on_delegation_forged },
    { .name = "partner_delegation_for_another", .on_partner = on_delegation_of_another },
    { .name = "partner_rows_forged", .on_partner = on_rows_forged },
    { .name = "partner_rows_of_another", .on_partner = on_rows_of_another },
    { .name = "partner_rows_with_a_gap", .on_partner = on_rows_with_a_gap },
    { .name = "partner_rows_again_and_again", .on_partner = on_rows_again_and_again },
    { .name = "partner_rows_that_lie", .on_partner = on_rows_that_lie },
};
const size_t partner_act_count = ARRAY_COUNT(partner_acts);
