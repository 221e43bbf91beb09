/* Moves away from this device (table move). */
#include "vault/moves.h"

#include <stdlib.h>

#include "base/util.h"
#include "crypto/seal.h"
#include "crypto/sha256.h"
#include "protocol/times.h"
#include "vault/behind.h"
#include "vault/db.h"
#include "vault/keys.h"
#include "vault/keysets.h"
#include "vault/licenses.h"
#include "vault/play.h"
#include "vault/trusted_time.h"
#include "vault/use.h"

#define SURRENDER_MAX 320

struct move {
    struct id issuer;
    uint8_t serial[16];
    enum move_state state;
    uint8_t digest[32]; /* of the certificate's envelope */
    uint8_t license_id[16];
    uint64_t sequence; /* of the license it suspended: a later edition is not its business */
    struct id content, destination;
    struct buf surrender;
    bool loan; /* the license in the certificate comes back here */
};

static void move_deinit(struct move *m) { buf_free(&m->surrender); }

/* 0, STORE_ABSENT, -errno. */
static int move_get(const struct vault *v, const void *issuer, const uint8_t serial[16], struct move *m)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_MOVE_GET);
    query_bind_blob(&q, 1, slice(issuer, ID_BYTES));
    query_bind_blob(&q, 2, slice(serial, 16));
    int r = query_one(&q);
    if (r != 0)
        return r;
    m->issuer = id_from(issuer);
    memcpy(m->serial, serial, sizeof(m->serial));
    m->state = (enum move_state)query_u32(&q, 0);
    query_fixed(&q, 1, m->digest, sizeof(m->digest));
    query_fixed(&q, 2, m->license_id, sizeof(m->license_id));
    m->sequence = query_u64(&q, 3);
    query_fixed(&q, 4, m->content.bytes, sizeof(m->content.bytes));
    query_fixed(&q, 5, m->destination.bytes, sizeof(m->destination.bytes));
    m->surrender = buf(SURRENDER_MAX);
    if (m->state == MOVE_FINISHED)
        query_append(&q, 6, &m->surrender);
    m->loan = query_bool(&q, 7);
    return query_check(&q);
}

static int move_put(struct vault *v, const struct move *m)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_MOVE_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(m->issuer.bytes));
    query_bind_blob(&q, 2, SLICE_ARRAY(m->serial));
    query_bind_i64(&q, 3, m->state);
    query_bind_blob(&q, 4, SLICE_ARRAY(m->digest));
    query_bind_blob(&q, 5, SLICE_ARRAY(m->license_id));
    query_bind_u64(&q, 6, m->sequence);
    query_bind_blob(&q, 7, SLICE_ARRAY(m->content.bytes));
    query_bind_blob(&q, 8, SLICE_ARRAY(m->destination.bytes));
    if (m->state == MOVE_FINISHED)
        query_bind_blob(&q, 9, buf_slice(&m->surrender));
    else
        query_bind_null(&q, 9);
    query_bind_i64(&q, 10, m->loan);
    int r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

/* The license that the move suspended changes state, unless a later edition has taken its place. */
static int settle_license(struct vault *v, const struct move *m, enum license_state state)
{
    struct license_row row CLEANUP(licenses_deinit) = { 0 };
    int r = licenses_get(v, &m->issuer, m->license_id, &row);
    if (r != 0)
        return r == LICENSES_ABSENT ? -EUCLEAN : r;
    if (row.state != LICENSE_SUSPENDED || row.license.sequence != m->sequence)
        return 0;
    return licenses_set_state(v, &row, state);
}

/* --- MOVE_RELEASE --- */

/* The sealed certificate in the clear: envelope, contents, and the license inside. */
struct released {
    struct slice envelope;
    doc_CopyCertificate certificate;
    doc_License license;
    uint8_t signer[32], license_signer[32];
    uint8_t bytes[sizeof(((vlt_MoveRelease *)0)->sealed.bytes)];
};

static int open_sealed(const struct vault *v, struct slice sealed, struct released *out)
{
    if (sealed.len <= SEAL_OVERHEAD_BYTES)
        return REASON_MALFORMED;
    int r = seal_open(&v->keys->sealing_secret, sealed, out->bytes);
    if (r != 0)
        return r > 0 ? REASON_MALFORMED : r;
    out->envelope = slice(out->bytes, sealed.len - SEAL_OVERHEAD_BYTES);
    r = document_open(DOCUMENT_COPY_CERTIFICATE, out->envelope, &out->certificate, sizeof(out->certificate),
                      out->signer);
    if (r == 0)
        r = document_open(DOCUMENT_LICENSE, CODEC_BYTES(out->certificate.license), &out->license, sizeof(out->license),
                          out->license_signer);
    return r;
}

static int judge_end(const struct vault *v, const doc_License *here, const doc_CopyCertificate *c)
{
    struct trusted_time t;
    int r = trusted_time_get(v, here->leaf.distributor, here->issued_ms, &t);
    if (r != 0)
        return r;
    if (times_ended(c->ends_ms, (int64_t)t.now_ms))
        return REASON_CERTIFICATE_EXPIRED;
    return trusted_time_is_trusted(&t) ? 0 : REASON_CLOCK_UNTRUSTED;
}

/* The issuer's license key signed it, where the destination is a customer of the issuer's. Otherwise a copy key did, for which the destination's distributor
 * stands: its keyset need not be known here, and the destination judges it. */
static int judge_signer(const struct vault *v, const struct released *in)
{
    const doc_CopyCertificate *c = &in->certificate;
    doc_Keyset keyset;
    if (memcmp(in->signer, in->license_signer, sizeof(in->signer)) != 0)
        return REASON_SIGNATURE_INVALID;
    if (c->partner_root)
        return 0;
    int r = keysets_load(v, c->issuer, &keyset);
    if (r != 0)
        return r == REASON_NOT_FOUND ? REASON_KEYSET_INVALID : r;
    return c->issued_ms <= INT64_MAX && keyset_lists(&keyset, KEY_LICENSE, in->signer, (int64_t)c->issued_ms)
               ? 0
               : REASON_SIGNATURE_INVALID;
}

static int judge_release(const struct vault *v, const struct released *in)
{
    const doc_CopyCertificate *c = &in->certificate;
    if (!c->move || !id_equal(in->license.issuer, c->issuer) || !id_equal(in->license.content, c->content) ||
        id_equal(c->source, c->destination) || c->partner_root == id_equal(in->license.leaf.distributor, c->issuer))
        return REASON_MALFORMED;
    if (!id_equal(c->source, &v->keys->client))
        return REASON_NOT_PERMITTED;
    return judge_signer(v, in);
}

static int suspend(struct vault *v, const struct released *in)
{
    const doc_CopyCertificate *c = &in->certificate;
    struct license_row row CLEANUP(licenses_deinit) = { 0 };
    struct move m CLEANUP(move_deinit) = { .state = MOVE_RELEASED };
    int r = plays_close_ended(v);
    if (r == 0)
        r = licenses_get(v, c->issuer, in->license.license_id, &row);
    if (r != 0)
        return r == LICENSES_ABSENT ? REASON_NO_LICENSE : r;
    if (!id_equal(row.license.content, c->content) || row.state == LICENSE_SURRENDERED)
        return REASON_NO_LICENSE;
    if (row.state == LICENSE_SUSPENDED)
        return REASON_LICENSE_SUSPENDED;
    r = judge_end(v, &row.license, c);
    if (r != 0)
        return r;
    if (plays_use(v, c->issuer, in->license.license_id))
        return REASON_IN_USE;
    r = use_judge_left(v, &row.license, c, &in->license.conditions); /* played since it was asked for: ask again */
    if (r != 0)
        return r;
    m.issuer = id_from(c->issuer);
    memcpy(m.serial, c->serial, sizeof(m.serial));
    sha256(in->envelope, m.digest);
    memcpy(m.license_id, row.license.license_id, sizeof(m.license_id));
    m.sequence = row.license.sequence;
    m.content = id_from(c->content);
    m.destination = id_from(c->destination);
    m.loan = in->license.has_lender && id_equal(in->license.lender, &v->keys->client);
    r = licenses_set_state(v, &row, LICENSE_SUSPENDED);
    return r != 0 ? r : move_put(v, &m);
}

/* A move that is known: only the very same certificate is let out again, and only while it is open. */
static int judge_known(const struct move *m, const struct released *in)
{
    uint8_t digest[32];
    sha256(in->envelope, digest);
    if (memcmp(digest, m->digest, sizeof(digest)) != 0)
        return REASON_SERIAL_ALREADY_USED;
    switch (m->state) {
    case MOVE_RELEASED:
        return 0;
    case MOVE_FINISHED:
        return REASON_ALREADY;
    default: /* for good, unlike a question that was cancelled */
        return REASON_SERIAL_ALREADY_USED;
    }
}

int moves_release(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_MoveRelease *message = rq->message;
    struct move m CLEANUP(move_deinit) = { 0 };
    struct released *in CLEANUP(freep) = calloc(1, sizeof(*in));
    if (!in)
        return -ENOMEM;
    int r = behind_judge(v, reply);
    if (r == 0)
        r = open_sealed(v, CODEC_BYTES(message->sealed), in);
    if (r != 0)
        return r;
    r = move_get(v, in->certificate.issuer, in->certificate.serial, &m);
    if (r == 0) {
        r = judge_known(&m, in);
    } else if (r == STORE_ABSENT) {
        r = judge_release(v, in);
        if (r == 0)
            r = suspend(v, in);
    }
    if (r == 0)
        r = CODEC_SET_BYTES(reply->released.certificate, in->envelope) != 0 ? REASON_TOO_LARGE : 0;
    reply->type = vlt_Type_MOVE_RELEASED;
    reply->fields = vlt_MoveReleased_fields;
    return r;
}

/* --- Taken up again after a restored backup --- */

int moves_take_up(struct vault *v, const struct moves_known *known, const struct license_row *row)
{
    struct move m CLEANUP(move_deinit) = { 0 };
    int r = move_get(v, known->issuer, known->serial, &m);
    if (r != STORE_ABSENT)
        return r; /* known, and perhaps further than that */
    m = (struct move){ .issuer = id_from(known->issuer),
                       .state = MOVE_RELEASED,
                       .sequence = row->license.sequence,
                       .content = id_from(known->content),
                       .destination = id_from(known->destination) };
    memcpy(m.serial, known->serial, sizeof(m.serial));
    memcpy(m.digest, known->digest, sizeof(m.digest));
    memcpy(m.license_id, row->license.license_id, sizeof(m.license_id));
    r = row->state == LICENSE_VALID ? licenses_set_state(v, row, LICENSE_SUSPENDED) : 0;
    return r != 0 ? r : move_put(v, &m);
}

int moves_judge_lent(const struct vault *v, const struct license_row *row)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_MOVE_BORROWER);
    query_bind_blob(&q, 1, SLICE_ARRAY(row->license.issuer));
    query_bind_blob(&q, 2, SLICE_ARRAY(row->license.license_id));
    query_bind_u64(&q, 3, row->license.sequence);
    int r = query_one(&q);
    return r == STORE_ABSENT ? 0 : r == 0 ? REASON_IN_USE : r;
}

/* --- MOVE_FINISH, MOVE_CANCEL --- */

/* The move a receipt is about, when it is the destination's and says what is wanted. */
static int judge_receipt(const struct vault *v, struct slice envelope, enum receipt_outcome wanted, struct move *m)
{
    doc_Receipt receipt;
    int r = receipt_judge(envelope, &receipt);
    if (r != 0)
        return r;
    r = move_get(v, receipt.issuer, receipt.serial, m);
    if (r != 0)
        return r == STORE_ABSENT ? REASON_NOT_FOUND : r;
    if (receipt.outcome != wanted || !id_equal(receipt.destination, &m->destination) ||
        !id_equal(receipt.content, &m->content) || !id_equal(receipt.source, &v->keys->client))
        return REASON_NOT_PERMITTED;
    return 0;
}

static int sign_surrender(const struct vault *v, struct move *m)
{
    doc_Surrender surrender = { 0 };
    memcpy(surrender.issuer, m->issuer.bytes, sizeof(surrender.issuer));
    memcpy(surrender.license_id, m->license_id, sizeof(surrender.license_id));
    memcpy(surrender.serial, m->serial, sizeof(surrender.serial));
    memcpy(surrender.client, v->keys->client.bytes, sizeof(surrender.client));
    struct signer signer = keys_signer(v);
    int r = trusted_time_stamp(v, m->issuer.bytes, &surrender.signed_ms);
    if (r == 0)
        r = document_sign(&m->surrender, DOCUMENT_SURRENDER, &surrender, &signer);
    return r > 0 ? -ENOBUFS : r;
}

static int finish(struct vault *v, struct move *m)
{
    m->state = MOVE_FINISHED;
    int r = sign_surrender(v, m);
    if (r == 0)
        r = settle_license(v, m, LICENSE_SURRENDERED);
    return r != 0 ? r : move_put(v, m);
}

int moves_finish(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_MoveFinish *message = rq->message;
    struct move m CLEANUP(move_deinit) = { 0 };
    int r = judge_receipt(v, CODEC_BYTES(message->receipt), RECEIPT_STORED, &m);
    if (r == 0 && m.state == MOVE_CANCELLED)
        r = REASON_CANCELLED;
    if (r == 0 && m.state == MOVE_RELEASED)
        r = finish(v, &m);
    if (r == 0)
        r = CODEC_SET_BYTES(reply->finished.surrender, buf_slice(&m.surrender)) != 0 ? -EUCLEAN : 0;
    reply->type = vlt_Type_MOVE_FINISHED;
    reply->fields = vlt_MoveFinished_fields;
    return r;
}

int moves_cancel(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)reply;
    const vlt_MoveCancel *message = rq->message;
    struct move m CLEANUP(move_deinit) = { 0 };
    int r = judge_receipt(v, CODEC_BYTES(message->receipt), RECEIPT_REFUSED, &m);
    if (r != 0 || m.state == MOVE_CANCELLED)
        return r;
    if (m.state == MOVE_FINISHED)
        return REASON_ALREADY;
    m.state = MOVE_CANCELLED;
    r = settle_license(v, &m, LICENSE_VALID);
    return r != 0 ? r : move_put(v, &m);
}
