/* A partner's statement against our own tables. Everything in it is hostile until it was found here too.
 *
 *   trouble               the row says
 *   unknown-copy          a certificate that its issuer never shared
 *   other-copy            another content or destination than the certificate has, or a destination that is not ours
 *   other-amount          another fee than was agreed
 *   not-agreed            a charge above what was agreed, or not the price
 *   no-receipt            a charge for a copy of which no receipt shows that our device has it; posted when the statement is read again with one
 *   not-our-customer      a user who is not the destination's
 *   settled-before        a second fee or charge for the same certificate, or an entry that was another one before
 *   nothing-to-reverse    that something is given back which was not settled, or not so much
 *   missing               (no row) a certificate of the time of the statement for which no fee was ever settled
 * Source: design section 6 (billing). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/accounts.h"
#include "distributor/keyset.h"
#include "distributor/rows.h"
#include "distributor/settlement_internal.h"

#define RECEIPT_MAX 512

struct checking {
    struct operations *o;
    int64_t now_ms;
    struct terms terms;
    struct reader receipts; /* behind the rows, in the order of the charges */
    struct settlement_check *out;
    void (*on_finding)(void *ctx, const struct settlement_finding *f);
    void *ctx;
};

/* --- One row --------------------------------------------------------------------------------------------------------- */

struct settled {
    uint8_t serial[16];
    uint32_t kind;
    int64_t amount;
};

static int find_settled(struct checking *c, uint64_t entry, struct settled *out)
{
    struct query q CLEANUP(query_end) = query(c->o->store, SETTLED_GET);
    query_bind_i64(&q, 1, c->out->issuer.number);
    query_bind_u64(&q, 2, entry);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, out->serial, sizeof(out->serial));
    out->kind = query_u32(&q, 1);
    out->amount = query_i64(&q, 2);
    return query_check(&q);
}

static int is_settled(struct checking *c, const doc_SettlementRow *row)
{
    struct query q CLEANUP(query_end) = query(c->o->store, SETTLED_FIND);
    query_bind_i64(&q, 1, c->out->issuer.number);
    query_bind_blob(&q, 2, SLICE_ARRAY(row->serial));
    query_bind_i64(&q, 3, row->kind);
    return rows_one(&q);
}

/* Is the destination our device, and this user's? */
static int judge_customer(struct checking *c, const doc_SettlementRow *row, const char **trouble)
{
    struct id client = id_from(row->destination);
    struct device d;
    struct account a;
    int r = devices_find_at(c->o, OPERATIONS_SELF, &client, &d);
    if (r == 0 && strcmp(d.user, row->user) != 0)
        r = OPERATIONS_ABSENT;
    if (r == 0)
        r = accounts_find(c->o, row->user, &a);
    if (r == OPERATIONS_ABSENT) {
        *trouble = "not-our-customer";
        return 0;
    }
    return r;
}

static int judge_copy(struct checking *c, const doc_SettlementRow *row, const char **trouble)
{
    struct query q CLEANUP(query_end) = query(c->o->store, HISTORY_OF_PARTNER);
    query_bind_i64(&q, 1, c->out->issuer.number);
    query_bind_blob(&q, 2, SLICE_ARRAY(row->serial));
    int r = rows_one(&q);
    if (r == OPERATIONS_ABSENT) {
        *trouble = "unknown-copy";
        return 0;
    }
    if (r != 0)
        return r;
    uint8_t content[32], destination[32], distributor[32];
    query_fixed(&q, 0, content, sizeof(content));
    query_fixed(&q, 1, destination, sizeof(destination));
    query_fixed(&q, 2, distributor, sizeof(distributor));
    if (memcmp(content, row->content, 32) != 0 || memcmp(destination, row->destination, 32) != 0 ||
        !id_equal(distributor, &c->o->keys->self))
        *trouble = "other-copy";
    return query_check(&q);
}

/* What was brought here by our own device was judged then (copy_settle.c). */
static int was_relayed(struct checking *c, const doc_SettlementRow *row)
{
    uint8_t digests[2][32];
    struct query q CLEANUP(query_end) = query(c->o->store, RELAYED_FIND);
    for (size_t i = 0; i < 2; i++) {
        copies_relayed_digest(c->out->issuer.id.bytes, row->serial, RECEIPT_STORED, i == 1, digests[i]);
        query_bind_blob(&q, (int)i + 1, SLICE_ARRAY(digests[i]));
    }
    return rows_one(&q);
}

/* The next receipt of the file, when it is this row's. */
static int next_receipt(struct checking *c, const doc_SettlementRow *row, bool *proves)
{
    struct reader ahead = c->receipts;
    struct slice bytes;
    doc_Receipt d;
    *proves = false;
    if (codec_list_next(&ahead, RECEIPT_MAX, &bytes) != 0)
        return 0;
    int r = receipt_judge(bytes, &d);
    if (r != 0 || memcmp(d.serial, row->serial, sizeof(d.serial)) != 0)
        return r < 0 ? r : 0;
    c->receipts = ahead;
    *proves = d.outcome == RECEIPT_STORED && id_equal(&c->out->issuer.id, d.issuer) &&
              memcmp(d.content, row->content, ID_BYTES) == 0 && memcmp(d.destination, row->destination, ID_BYTES) == 0;
    return 0;
}

/* That there was such a copy is the issuer's word; that our device has it is the device's. */
static int judge_receipt(struct checking *c, const doc_SettlementRow *row, bool proves, const char **trouble)
{
    if (proves)
        return 0;
    int r = was_relayed(c, row);
    if (r == OPERATIONS_ABSENT)
        *trouble = "no-receipt";
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static int judge_new(struct checking *c, const doc_SettlementRow *row, bool proves, const char **trouble)
{
    int r = judge_copy(c, row, trouble);
    if (r != 0 || *trouble)
        return r;
    if (row->price < 0 || row->reverses != 0) {
        *trouble = "other-amount";
        return 0;
    }
    if (row->kind == ROW_FEE) {
        int64_t fee = settlements_fee_of(c->terms.gets_fixed, c->terms.gets_points, row->price);
        if (row->amount != fee || fee == 0)
            *trouble = "other-amount";
        return 0;
    }
    if (row->amount >= 0 || row->amount < -c->terms.accepts || row->amount != -row->price) {
        *trouble = "not-agreed";
        return 0;
    }
    r = judge_customer(c, row, trouble);
    return r == 0 && !*trouble ? judge_receipt(c, row, proves, trouble) : r;
}

static int judge_reversal(struct checking *c, const doc_SettlementRow *row, const char **trouble)
{
    struct settled before;
    int r = find_settled(c, row->reverses, &before);
    if (r < 0)
        return r;
    /* Fees were above zero and charges below: judged when they were settled. */
    bool fits = r == 0 && memcmp(before.serial, row->serial, 16) == 0 && before.kind + 2 == row->kind &&
                (row->kind == ROW_FEE_BACK ? row->amount < 0 && row->amount >= -before.amount
                                           : row->amount > 0 && row->amount <= -before.amount);
    if (!fits)
        *trouble = "nothing-to-reverse";
    else if (row->kind == ROW_CHARGE_BACK)
        return judge_customer(c, row, trouble);
    return 0;
}

static int judge_row(struct checking *c, const doc_SettlementRow *row, struct settlement_finding *f)
{
    struct settled before;
    bool proves = false;
    int r = row->kind == ROW_CHARGE ? next_receipt(c, row, &proves) : 0;
    if (r == 0)
        r = find_settled(c, row->entry, &before);
    if (r == 0) {
        f->before =
            memcmp(before.serial, row->serial, 16) == 0 && before.kind == row->kind && before.amount == row->amount;
        f->trouble = f->before ? NULL : "settled-before";
        return 0;
    }
    if (r == OPERATIONS_ABSENT)
        r = is_settled(c, row);
    if (r != OPERATIONS_ABSENT) {
        f->trouble = "settled-before";
        return r;
    }
    return row->kind == ROW_FEE || row->kind == ROW_CHARGE ? judge_new(c, row, proves, &f->trouble)
                                                           : judge_reversal(c, row, &f->trouble);
}

/* --- Posting --------------------------------------------------------------------------------------------------------- */

static int keep(struct checking *c, const doc_SettlementRow *row)
{
    struct query q CLEANUP(query_end) = query(c->o->store, SETTLED_ADD);
    query_bind_i64(&q, 1, c->out->issuer.number);
    query_bind_u64(&q, 2, row->entry);
    query_bind_blob(&q, 3, SLICE_ARRAY(row->serial));
    query_bind_i64(&q, 4, row->kind);
    query_bind_i64(&q, 5, row->amount);
    query_bind_u64(&q, 6, c->out->statement.number);
    return rows_run(&q);
}

/* A fee is our revenue; a charge is our customer's to pay. The issuer's account has the other side. */
static int post(struct checking *c, const doc_SettlementRow *row)
{
    struct posting p = { .kind = POSTING_SETTLEMENT, .time_ms = c->now_ms, .subject = { .has_serial = true } };
    char issuer[LEDGER_ACCOUNT_BYTES], user[LEDGER_ACCOUNT_BYTES];
    const bool of_user = row->kind == ROW_CHARGE || row->kind == ROW_CHARGE_BACK;
    static const char *const texts[] = { [ROW_FEE] = "Fee for a copy, of",
                                         [ROW_CHARGE] = "Copy, charged by",
                                         [ROW_FEE_BACK] = "Fee taken back by",
                                         [ROW_CHARGE_BACK] = "Given back by" };
    memcpy(p.subject.serial, row->serial, sizeof(p.subject.serial));
    ledger_account_partner(&c->out->issuer.id, issuer);
    ledger_account_user(row->user, user);
    snprintf(p.reference, sizeof(p.reference), "settled:%s:%" PRIu64, issuer, row->entry);
    snprintf(p.text, sizeof(p.text), "%s %s", texts[row->kind], c->out->issuer.name);
    int r = posting_line(&p, of_user ? user : LEDGER_REVENUE, row->amount);
    if (r == 0)
        r = posting_line(&p, issuer, -row->amount);
    if (r == 0)
        r = ledger_post(c->o, &p);
    if (r == 0)
        r = keep(c, row);
    return r > 0 ? -EUCLEAN : r;
}

static int take_row(struct checking *c, const doc_SettlementRow *row)
{
    struct settlement_finding f = { .row = row };
    int r = row->kind < ROW_FEE || row->kind > ROW_CHARGE_BACK || row->entry == 0 || row->entry > INT64_MAX ||
                    row->reverses > INT64_MAX
                ? REASON_MALFORMED
                : judge_row(c, row, &f);
    if (r == 0 && !f.trouble && !f.before) {
        r = post(c, row);
        c->out->posted += row->amount;
    }
    if (r != 0)
        return r;
    *(f.trouble ? &c->out->disagreed : f.before ? &c->out->before : &c->out->agreed) += 1;
    if (c->on_finding)
        c->on_finding(c->ctx, &f);
    return 0;
}

/* Where a fee is due for every copy, one that was left out is a finding. */
static int find_missing(struct checking *c)
{
    if (c->terms.gets_fixed == 0)
        return 0;
    struct query q CLEANUP(query_end) = query(c->o->store, SETTLED_MISSING);
    query_bind_i64(&q, 1, c->out->issuer.number);
    rows_bind_id(&q, 2, &c->o->keys->self);
    int64_t from_ms = (int64_t)c->out->statement.from_ms;
    query_bind_i64(&q, 3, from_ms > c->terms.gets_since_ms ? from_ms : c->terms.gets_since_ms);
    query_bind_u64(&q, 4, c->out->statement.until_ms);
    int r;
    while (rows_next(&q, &r)) {
        doc_SettlementRow row = { .kind = ROW_FEE };
        query_fixed(&q, 0, row.serial, sizeof(row.serial));
        query_fixed(&q, 1, row.content, sizeof(row.content));
        query_fixed(&q, 2, row.destination, sizeof(row.destination));
        row.time_ms = query_u64(&q, 3);
        r = query_check(&q);
        if (r != 0)
            return r;
        c->out->missing++;
        if (c->on_finding)
            c->on_finding(c->ctx, &(struct settlement_finding){ .row = &row, .trouble = "missing" });
    }
    return r;
}

/* --- The file -------------------------------------------------------------------------------------------------------- */

/* Whose it says it is, to know by whose keyset to judge it. */
static int find_issuer(struct operations *o, struct slice envelope, doc_Keyset *keyset, struct partner *issuer)
{
    doc_Settlement claimed;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_SETTLEMENT, envelope, &claimed, sizeof(claimed), signer);
    if (r != 0)
        return r;
    struct id id = id_from(claimed.issuer);
    r = delegations_partner_find(o, &id, issuer);
    if (r == 0)
        r = keyset_of(o, issuer->number, keyset);
    return r == OPERATIONS_ABSENT ? REASON_UNKNOWN_DISTRIBUTOR : r;
}

static int judge_statement(struct checking *c, struct slice envelope)
{
    doc_Keyset *keyset CLEANUP(freep) = calloc(1, sizeof(*keyset));
    if (!keyset)
        return -ENOMEM;
    int r = find_issuer(c->o, envelope, keyset, &c->out->issuer);
    if (r == 0)
        r = settlement_judge(envelope, keyset, &c->o->keys->self, &c->out->statement);
    if (r != 0)
        return r;
    const doc_Settlement *s = &c->out->statement;
    if (s->number > INT64_MAX || s->from_ms > INT64_MAX || s->until_ms > INT64_MAX)
        return REASON_MALFORMED;
    return strcmp(s->currency, c->o->currency) == 0 ? settlements_terms(c->o, c->out->issuer.number, &c->terms)
                                                    : REASON_NOT_PERMITTED;
}

/* The rows' part of what follows the envelope: as many as it says. */
static int find_rows(const doc_Settlement *s, struct slice rest, struct slice *rows)
{
    struct reader r = reader(rest);
    struct slice bytes;
    for (uint32_t i = 0; i < s->row_count; i++) {
        int step = codec_list_next(&r, doc_SettlementRow_size, &bytes);
        if (step != 0)
            return step < 0 ? step : REASON_MALFORMED;
    }
    *rows = slice(rest.data, rest.len - r.rest.len);
    return 0;
}

/* Count, digest and net are judged before the first row counts. */
static int judge_rows(const doc_Settlement *s, struct slice rows)
{
    uint8_t digest[32];
    struct reader r = reader(rows);
    struct slice bytes;
    int64_t net = 0;
    uint32_t count = 0;
    sha256_parts(&rows, 1, digest);
    if (memcmp(digest, s->rows_digest, sizeof(digest)) != 0)
        return REASON_SIGNATURE_INVALID;
    int step;
    while ((step = codec_list_next(&r, doc_SettlementRow_size, &bytes)) == 0) {
        doc_SettlementRow row;
        step = CODEC_DECODE(doc_SettlementRow, bytes, &row);
        if (step != 0 || __builtin_add_overflow(net, row.amount, &net))
            return step < 0 ? step : REASON_MALFORMED;
        count++;
    }
    if (step < 0)
        return step;
    return step == CODEC_END && count == s->row_count && net == s->net ? 0 : REASON_MALFORMED;
}

/* Whose they are is judged with the charge (next_receipt). */
static int judge_receipts(struct slice receipts)
{
    struct reader r = reader(receipts);
    struct slice bytes;
    int step;
    while ((step = codec_list_next(&r, RECEIPT_MAX, &bytes)) == 0)
        ;
    return step == CODEC_END ? 0 : step < 0 ? step : REASON_MALFORMED;
}

int settlement_check_file(struct operations *o, struct slice file, int64_t now_ms,
                          void (*on_finding)(void *ctx, const struct settlement_finding *f), void *ctx,
                          struct settlement_check *out)
{
    *out = (struct settlement_check){ 0 };
    struct checking c = { .o = o, .now_ms = now_ms, .out = out, .on_finding = on_finding, .ctx = ctx };
    struct reader r = reader(file);
    struct slice envelope, bytes;
    int step = codec_list_next(&r, 1024, &envelope);
    if (step != 0)
        return step < 0 ? step : REASON_MALFORMED;
    step = judge_statement(&c, envelope);
    const size_t head = envelope.len + 4;
    struct slice rest = slice(file.data + head, file.len - head), rows;
    if (step == 0)
        step = find_rows(&out->statement, rest, &rows);
    if (step == 0)
        step = judge_rows(&out->statement, rows);
    if (step != 0)
        return step;
    r = reader(rows);
    struct slice receipts = slice(rest.data + rows.len, rest.len - rows.len);
    c.receipts = reader(receipts);
    step = judge_receipts(receipts);
    while (step == 0 && (step = codec_list_next(&r, doc_SettlementRow_size, &bytes)) == 0) {
        doc_SettlementRow row;
        step = CODEC_DECODE(doc_SettlementRow, bytes, &row);
        if (step == 0)
            step = take_row(&c, &row);
        if (step != 0)
            return step;
    }
    return step == CODEC_END ? find_missing(&c) : step;
}
