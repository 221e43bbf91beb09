/* How a copy certificate ends: stored at its destination, refused there for good, or over. On the connection's thread.
 *
 *   ISSUED --receipt "stored"--> REDEEMED    the destination's license is entered; a move's source license is taken back
 *   ISSUED --receipt "refused"--> REFUSED    count and price back; a move's source license is live again
 *   ISSUED --end, not a move--> ENDED        nothing: a destination that is silent may have stored it
 *   ENDED  --late receipt, signed before the end--> REDEEMED; --late refusal--> REFUSED, count and price back
 *   ENDED  --the operator, by hand--> GIVEN_BACK   count and price back
 *   ISSUED --its device was removed, not a move--> GIVEN_BACK, count and price back, once for each license; else ENDED (copy_removed.c)
 *   GIVEN_BACK --late receipt, signed before the end--> REDEEMED, counted again; --late refusal--> REFUSED
 * Everything may come twice, from either side, and by way of another distributor. Source: seed S153; design section 6.5. */
#define LOG_MODULE "copies"
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/copies.h"
#include "distributor/copy_queue.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/refunds.h"
#include "distributor/reply.h"
#include "distributor/rows.h"
#include "distributor/settlements.h"
#include "distributor/share_rows.h"

#define OVERDUE_AT_ONCE 500
#define RECEIPT_STORED_OUTCOME 1
#define RECEIPT_REFUSED_OUTCOME 2

/* What was brought: who brings it does not matter, the signatures do. */
struct settlement {
    struct slice receipt_bytes, surrender_bytes; /* surrender empty when there is none */
    doc_Receipt receipt;
    int64_t now_ms;
};

/* --- Count and price --------------------------------------------------------------------------------------------- */

static int title_of(struct operations *o, const struct id *content, char title[128])
{
    struct content c;
    int r = contents_find(o, content, &c);
    if (r == 0)
        snprintf(title, 128, "%s", c.title);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

/* A charge that its operator has refunded by hand is not refunded again. */
static int give_back(struct operations *o, const struct copy *c, int64_t now_ms)
{
    char title[128], text[192];
    int r = title_of(o, &c->content, title);
    if (r == 0 && c->state != CERTIFICATE_GIVEN_BACK)
        r = licenses_count(o, c->license_id, &c->source, c->edition, copies_made(c, -1));
    if (r == 0)
        r = settlements_take_back_fee(o, c->serial, now_ms);
    if (r != 0 || c->charge == 0)
        return r;
    snprintf(text, sizeof(text), "Given back, not used: copy of %s", title);
    return refunds_undelivered(o, c->charge, now_ms, text);
}

struct licenses_made copies_made(const struct copy *c, int sign)
{
    return (struct licenses_made){ .copies = c->counted ? sign : 0,
                                   .removables = c->counted && c->removable ? sign : 0,
                                   .checkouts = c->checkout ? sign : 0 };
}

int copies_void(struct operations *o, const struct copy *c, int64_t now_ms)
{
    int r = give_back(o, c, now_ms);
    return r == 0 ? copies_set_state(o, c, CERTIFICATE_REFUSED, slice(NULL, 0), slice(NULL, 0)) : r;
}

/* --- Outcomes ---------------------------------------------------------------------------------------------------- */

/* A receipt may come late: the device was removed meanwhile, or is another user's now. */
static int state_on_arrival(struct operations *o, const struct copy *c, uint32_t *state)
{
    struct device d;
    int r = devices_find_at(o, c->destination_number, &c->destination, &d);
    bool taken_out = r == 0 && (d.revoked || strcmp(d.user, c->destination_user) != 0);
    *state = taken_out ? LICENSE_REVOKED : LICENSE_LIVE;
    return r == OPERATIONS_ABSENT ? 0 : r;
}

/* The destination's license, out of the certificate we issued. It keeps the copies it has made before. */
static int enter_license(struct operations *o, const struct copy *c, struct slice document, int64_t now_ms)
{
    doc_CopyCertificate *certificate CLEANUP(freep) = calloc(1, sizeof(*certificate));
    if (!certificate)
        return -ENOMEM;
    doc_License d; /* signed and kept by ourselves */
    int r = document_peek(DOCUMENT_COPY_CERTIFICATE, document, certificate, sizeof(*certificate));
    if (r == 0)
        r = document_peek(DOCUMENT_LICENSE, CODEC_BYTES(certificate->license), &d, sizeof(d));
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    struct license l = { .client = c->destination,
                         .content = c->content,
                         .sequence = d.sequence,
                         .distributor = c->destination_number,
                         .product = c->product,
                         .conditions = d.conditions,
                         .has_lender = d.has_lender,
                         .lender = id_from(d.lender),
                         .issued_ms = c->issued_ms };
    memcpy(l.license_id, c->license_id, sizeof(l.license_id));
    snprintf(l.user, sizeof(l.user), "%s", c->destination_user);
    snprintf(l.account, sizeof(l.account), "%s", c->account);
    struct license before;
    r = state_on_arrival(o, c, &l.state);
    if (r != 0)
        return r;
    r = licenses_find(o, c->license_id, &c->destination, &before);
    if (r < 0)
        return r;
    if (r == 0 && before.sequence > l.sequence) /* the highest sequence wins everywhere */
        return 0;
    if (r == 0 && (before.state == LICENSE_LIVE || before.state == LICENSE_LENT)) {
        l.copies = before.copies;
        l.removables = before.removables;
        l.checkouts = before.checkouts;
    }
    if (r == 0) { /* its vault counts on */
        l.used = before.used;
    }
    r = licenses_set(o, &l, CODEC_BYTES(certificate->license));
    if (r != 0 || l.distributor != OPERATIONS_SELF)
        return r;
    r = licenses_record(o, &l, now_ms);
    return r == 0 ? licenses_record_content(o, l.user, &l.content, &l.client, l.license_id, now_ms) : r;
}

int copies_enter(struct operations *o, const struct copy *c, struct slice document, int64_t now_ms)
{
    int r = enter_license(o, c, document, now_ms);
    return r == 0 ? copies_set_state(o, c, CERTIFICATE_REDEEMED, slice(NULL, 0), slice(NULL, 0)) : r;
}

static int settle_stored(struct operations *o, const struct copy *c, struct slice document, const struct settlement *s)
{
    if (c->state == CERTIFICATE_REFUSED)
        return REASON_NOT_PERMITTED; /* the destination signed both: the first word counts */
    bool given_back = c->state == CERTIFICATE_GIVEN_BACK;
    if ((c->state == CERTIFICATE_ENDED || given_back) &&
        s->receipt.signed_ms > (uint64_t)c->ends_ms + DOCUMENTS_SKEW_MS)
        return REASON_CERTIFICATE_EXPIRED;
    int r = 0;
    if (c->state != CERTIFICATE_REDEEMED) {
        r = enter_license(o, c, document, s->now_ms);
        if (r == 0 && c->move)
            r = licenses_set_state(o, c->license_id, &c->source, c->edition, c->checkout ? LICENSE_LENT : LICENSE_GONE);
        if (r == 0 && given_back)
            r = licenses_count(o, c->license_id, &c->source, c->edition, copies_made(c, 1));
    }
    if (r == 0)
        r = copy_queue_settled(o, c);
    return r == 0 ? copies_set_state(o, c, CERTIFICATE_REDEEMED, s->receipt_bytes, s->surrender_bytes) : r;
}

/* Awake again, unless another certificate of the same move may still be used. */
static int wake_source(struct operations *o, const struct copy *c)
{
    struct id towards;
    struct license l;
    int r = copies_find_move(o, c->license_id, &c->source, c->edition, &towards);
    if (r != OPERATIONS_ABSENT)
        return r;
    r = licenses_find(o, c->license_id, &c->source, &l);
    if (r == 0 && l.state == LICENSE_MOVING)
        r = licenses_set_state(o, c->license_id, &c->source, c->edition, LICENSE_LIVE);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

static int settle_refused(struct operations *o, const struct copy *c, const struct settlement *s)
{
    if (c->state == CERTIFICATE_REDEEMED)
        return REASON_NOT_PERMITTED;
    if (c->state == CERTIFICATE_REFUSED)
        return 0;
    int r = give_back(o, c, s->now_ms);
    if (r == 0)
        r = copies_set_state(o, c, CERTIFICATE_REFUSED, s->receipt_bytes, s->surrender_bytes);
    return r == 0 && c->move ? wake_source(o, c) : r;
}

/* A surrender must be about the very license and certificate. */
static int judge_surrender(const struct copy *c, const struct settlement *s)
{
    if (s->surrender_bytes.len == 0)
        return 0;
    doc_Surrender given;
    int r = surrender_judge(s->surrender_bytes, &given);
    if (r != 0)
        return r;
    if (!c->move || !id_equal(given.issuer, s->receipt.issuer) || !id_equal(given.client, &c->source) ||
        memcmp(given.license_id, c->license_id, sizeof(given.license_id)) != 0 ||
        memcmp(given.serial, c->serial, sizeof(given.serial)) != 0)
        return REASON_MALFORMED;
    return 0;
}

static int settle(struct operations *o, const struct settlement *s)
{
    struct copy c;
    struct buf document CLEANUP(buf_free) = buf(4096);
    int r = copies_find(o, s->receipt.serial, &c, &document, NULL);
    if (r == OPERATIONS_ABSENT)
        return REASON_NOT_FOUND;
    if (r == 0 && (!id_equal(s->receipt.destination, &c.destination) || !id_equal(s->receipt.source, &c.source) ||
                   !id_equal(s->receipt.content, &c.content)))
        return REASON_WRONG_DESTINATION;
    if (r == 0)
        r = judge_surrender(&c, s);
    if (r != 0)
        return r;
    return s->receipt.outcome == RECEIPT_STORED_OUTCOME ? settle_stored(o, &c, buf_slice(&document), s)
                                                        : settle_refused(o, &c, s);
}

/* --- Another distributor's ----------------------------------------------------------------------------------------- */

/* Was such a certificate issued, as far as its issuer shared it? 0, OPERATIONS_ABSENT, -errno. */
static int find_issued(struct operations *o, const doc_Receipt *receipt)
{
    struct id issuer = id_from(receipt->issuer);
    int64_t number;
    int r = operations_distributor(o, &issuer, &number);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, HISTORY_FIND);
    query_bind_i64(&q, 1, number);
    query_bind_blob(&q, 2, SLICE_ARRAY(receipt->serial));
    query_bind_blob(&q, 3, SLICE_ARRAY(receipt->source));
    query_bind_blob(&q, 4, SLICE_ARRAY(receipt->destination));
    return rows_one(&q);
}

/* A shared row goes to every member for ever: only for a certificate there is, and for each of its ends once. */
static int judge_relayed(struct operations *o, const struct caller *who, const struct settlement *s, struct reply *out)
{
    int r = find_issued(o, &s->receipt);
    if (r == OPERATIONS_ABSENT && !who->directory_asked)
        return REQUESTS_ASK_DIRECTORY;
    if (r == OPERATIONS_ABSENT) /* it may become known later: a reason after which devices try again */
        return reply_refuse(out, REASON_UNKNOWN_DEVICE, "%s knows of no such certificate for this device.", o->name);
    if (r != 0 || s->surrender_bytes.len == 0)
        return r;
    doc_Surrender given;
    r = surrender_judge(s->surrender_bytes, &given);
    if (r == 0 && (!id_equal(given.issuer, s->receipt.issuer) || !id_equal(given.client, s->receipt.source) ||
                   memcmp(given.serial, s->receipt.serial, sizeof(given.serial)) != 0))
        r = REASON_MALFORMED;
    return r;
}

/* What the destination has used up, should it forget it (catch_up.c). */
static int keep_serial(struct operations *o, const doc_Receipt *receipt)
{
    struct query q CLEANUP(query_end) = query(o->store, RELAYED_SERIAL_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(receipt->destination));
    query_bind_blob(&q, 2, SLICE_ARRAY(receipt->issuer));
    query_bind_blob(&q, 3, SLICE_ARRAY(receipt->serial));
    return rows_run(&q);
}

void copies_relayed_digest(const uint8_t issuer[32], const uint8_t serial[16], uint32_t outcome, bool surrender,
                           uint8_t digest[32])
{
    const uint8_t kind[] = { (uint8_t)outcome, surrender };
    const struct slice parts[] = { slice(issuer, 32), slice(serial, 16), SLICE_ARRAY(kind) };
    sha256_parts(parts, ARRAY_COUNT(parts), digest);
}

/* Passed on once, as a row of ours that the issuer reads. */
static int relay(struct operations *o, const struct settlement *s)
{
    uint8_t digest[32];
    copies_relayed_digest(s->receipt.issuer, s->receipt.serial, s->receipt.outcome, s->surrender_bytes.len > 0, digest);
    struct query q CLEANUP(query_end) = query(o->store, RELAYED_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(digest));
    query_bind_i64(&q, 2, s->now_ms);
    int r = rows_run(&q);
    if (r != 0 || store_changed_count(o->store) == 0)
        return r;
    r = keep_serial(o, &s->receipt);
    if (r != 0)
        return r;
    share_Redemption row = { .has_surrender = s->surrender_bytes.len > 0 };
    if (CODEC_SET_BYTES(row.receipt, s->receipt_bytes) != 0 || CODEC_SET_BYTES(row.surrender, s->surrender_bytes) != 0)
        return REASON_TOO_LARGE;
    return SHARE_PUT(o, REDEMPTION, false, share_Redemption, &row);
}

int copies_settle_relayed(struct operations *o, struct slice receipt, struct slice surrender, int64_t now_ms)
{
    struct settlement s = { .receipt_bytes = receipt, .surrender_bytes = surrender, .now_ms = now_ms };
    int r = receipt_judge(receipt, &s.receipt);
    if (r == 0 && !id_equal(s.receipt.issuer, &o->keys->self))
        return 0;
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    if (r == 0)
        r = savepoint_begin(&p, o->store);
    if (r == 0)
        r = settle(o, &s);
    if (r == 0)
        return savepoint_release(&p);
    if (r > 0)
        log_debug("a receipt from elsewhere changes nothing: reason=%s", reason_code((enum reason)r));
    return r < 0 ? r : 0;
}

/* --- Requests ---------------------------------------------------------------------------------------------------- */

/* Registered here, or with another distributor whose rows we have, and not removed there. */
static int judge_bringer(struct operations *o, const struct caller *who)
{
    struct device d;
    int r = devices_find(o, &who->client, &d);
    if (r == OPERATIONS_ABSENT)
        return who->directory_asked ? REASON_NOT_REGISTERED : REQUESTS_ASK_DIRECTORY;
    return r == 0 && d.revoked ? REASON_DEVICE_REVOKED : r;
}

static int run_settlement(struct operations *o, const struct caller *who, struct slice receipt, struct slice surrender,
                          uint32_t outcome, struct reply *out)
{
    struct settlement s = { .receipt_bytes = receipt, .surrender_bytes = surrender, .now_ms = who->now_ms };
    int r = receipt_judge_known(o->known, receipt, &s.receipt); /* source and destination bring the same */
    if (r != 0)
        return r;
    if (s.receipt.outcome != outcome)
        return REASON_MALFORMED;
    if (!id_equal(&who->client, s.receipt.source) && !id_equal(&who->client, s.receipt.destination))
        return REASON_NOT_PERMITTED;
    r = judge_bringer(o, who);
    if (r != 0)
        return r;
    if (id_equal(s.receipt.issuer, &o->keys->self)) {
        r = settle(o, &s);
    } else {
        r = judge_relayed(o, who, &s, out);
        if (r == 0)
            r = relay(o, &s);
    }
    return r == 0 ? reply_ok(out) : r;
}

int copies_redeem(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                  struct reply *out)
{
    (void)tail;
    msg_Redeem m;
    int r = REQUEST_DECODE(message, msg_Redeem, &m);
    return r == 0 ? run_settlement(o, who, CODEC_BYTES(m.receipt), slice(NULL, 0), RECEIPT_STORED_OUTCOME, out) : r;
}

int copies_move_done(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                     struct reply *out)
{
    (void)tail;
    msg_MoveDone m;
    int r = REQUEST_DECODE(message, msg_MoveDone, &m);
    if (r == 0 && m.surrender.size == 0)
        r = REASON_MALFORMED;
    return r == 0
               ? run_settlement(o, who, CODEC_BYTES(m.receipt), CODEC_BYTES(m.surrender), RECEIPT_STORED_OUTCOME, out)
               : r;
}

int copies_move_cancel(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                       struct reply *out)
{
    (void)tail;
    msg_MoveCancel m;
    int r = REQUEST_DECODE(message, msg_MoveCancel, &m);
    return r == 0 ? run_settlement(o, who, CODEC_BYTES(m.receipt), slice(NULL, 0), RECEIPT_REFUSED_OUTCOME, out) : r;
}

/* --- By hand --------------------------------------------------------------------------------------------------------- */

int copies_give_back(struct operations *o, const uint8_t serial[16], int64_t now_ms, const char *text)
{
    struct copy c;
    int r = copies_find(o, serial, &c, NULL, NULL);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
    if (c.state == CERTIFICATE_GIVEN_BACK || c.state == CERTIFICATE_REFUSED)
        return REASON_ALREADY;
    if (c.state == CERTIFICATE_REDEEMED || c.move)
        return REASON_NOT_PERMITTED;
    uint32_t arrives;
    r = state_on_arrival(o, &c, &arrives);
    if (r == 0 && arrives == LICENSE_LIVE && now_ms <= c.ends_ms + DOCUMENTS_SKEW_MS)
        return REASON_IN_USE;
    if (r == 0)
        r = licenses_count(o, c.license_id, &c.source, c.edition, copies_made(&c, -1));
    if (r == 0)
        r = settlements_take_back_fee(o, c.serial, now_ms);
    if (r == 0 && c.charge != 0)
        r = refunds_undelivered(o, c.charge, now_ms, text);
    return r == 0 ? copies_set_state(o, &c, CERTIFICATE_GIVEN_BACK, slice(NULL, 0), slice(NULL, 0)) : r;
}

/* --- Over -------------------------------------------------------------------------------------------------------- */

static int find_overdue(struct operations *o, int64_t before_ms, uint8_t serial[16])
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_OVERDUE);
    query_bind_i64(&q, 1, before_ms);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, serial, 16);
    return query_check(&q);
}

int copies_end_overdue(struct operations *o, int64_t now_ms)
{
    for (int i = 0; i < OVERDUE_AT_ONCE; i++) { /* the rest at the next tick */
        uint8_t serial[16];
        struct copy c;
        int r = find_overdue(o, now_ms - DOCUMENTS_SKEW_MS, serial);
        if (r != 0)
            return r == OPERATIONS_ABSENT ? 0 : r;
        r = copies_find(o, serial, &c, NULL, NULL);
        if (r == 0)
            r = copies_set_state(o, &c, CERTIFICATE_ENDED, slice(NULL, 0), slice(NULL, 0));
        if (r != 0)
            return r > 0 ? -EUCLEAN : r;
    }
    return 0;
}
