/* Terms, fees and statements. On the connection's thread. Source: design section 6 (billing). */
#include "distributor/settlement_internal.h"

#include <stdio.h>

#include "base/text.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/refunds.h"
#include "distributor/rows.h"
#include "distributor/shares.h"

#define ROWS_MAX 10000
#define DAY_MS INT64_C(86400000)

/* --- Terms --------------------------------------------------------------------------------------------------------- */

int settlements_terms(struct operations *o, int64_t partner, struct terms *out)
{
    struct query q CLEANUP(query_end) = query(o->store, TERMS_GET);
    query_bind_i64(&q, 1, partner);
    int r = rows_one(&q);
    *out = (struct terms){ 0 };
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    out->pays_fixed = query_i64(&q, 0);
    out->pays_points = query_u32(&q, 1);
    out->gets_fixed = query_i64(&q, 2);
    out->gets_points = query_u32(&q, 3);
    out->charges = query_i64(&q, 4);
    out->accepts = query_i64(&q, 5);
    out->gets_since_ms = query_i64(&q, 6);
    return query_check(&q);
}

int settlements_set_terms(struct operations *o, int64_t partner, const struct terms *t, int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, TERMS_SET);
    query_bind_i64(&q, 1, partner);
    query_bind_i64(&q, 2, t->pays_fixed);
    query_bind_i64(&q, 3, t->pays_points);
    query_bind_i64(&q, 4, t->gets_fixed);
    query_bind_i64(&q, 5, t->gets_points);
    query_bind_i64(&q, 6, t->charges);
    query_bind_i64(&q, 7, t->accepts);
    query_bind_i64(&q, 8, now_ms);
    return rows_run(&q);
}

int64_t settlements_fee_of(int64_t fixed, uint32_t points, int64_t price)
{
    int64_t parts[2] = { 0 };
    const int64_t weights[2] = { points, SHARES_WHOLE - (int64_t)points };
    if (price <= 0 || points == 0)
        return fixed;
    return shares_divide(price, weights, 2, parts) == 0 ? fixed + parts[0] : fixed;
}

/* --- Fees ---------------------------------------------------------------------------------------------------------- */

static void fee_reference(const uint8_t serial[16], char out[LEDGER_REFERENCE_BYTES])
{
    char text[HEX_TEXT_BYTES(16)];
    hex_encode(slice(serial, 16), text);
    snprintf(out, LEDGER_REFERENCE_BYTES, "fee:%s", text);
}

int settlements_fee(struct operations *o, const struct copy *c, const struct id *partner, int64_t price, int64_t now_ms)
{
    struct terms t;
    int r = settlements_terms(o, c->destination_number, &t);
    if (r != 0)
        return r;
    struct posting p = { .kind = POSTING_SETTLEMENT,
                         .time_ms = now_ms,
                         .product = c->product,
                         .subject = { .has_serial = true },
                         .text = "Fee for a copy to a partner's customer" };
    char account[LEDGER_ACCOUNT_BYTES];
    int64_t fee = settlements_fee_of(t.pays_fixed, t.pays_points, price);
    memcpy(p.subject.serial, c->serial, sizeof(p.subject.serial));
    fee_reference(c->serial, p.reference);
    ledger_account_partner(partner, account);
    r = posting_line(&p, LEDGER_REVENUE, -fee);
    if (r == 0)
        r = posting_line(&p, account, fee);
    if (r == 0)
        r = ledger_post(o, &p);
    return r > 0 ? -EUCLEAN : r;
}

int settlements_take_back_fee(struct operations *o, const uint8_t serial[16], int64_t now_ms)
{
    struct posting p = { 0 };
    fee_reference(serial, p.reference);
    int r = ledger_find(o, &p);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    return refunds_undelivered(o, p.entry, now_ms, "Fee taken back: the copy was not made");
}

int settlements_pay(struct operations *o, const struct partner *p, int64_t amount, const char *reference,
                    int64_t now_ms, const char *text)
{
    struct posting posting = { .kind = POSTING_PAYMENT, .time_ms = now_ms };
    char account[LEDGER_ACCOUNT_BYTES];
    ledger_account_partner(&p->id, account);
    snprintf(posting.text, sizeof(posting.text), "%s", text);
    int r = ledger_refer(o, &posting, "partner", reference);
    if (r == 0)
        r = posting_line(&posting, account, -amount);
    if (r == 0)
        r = posting_line(&posting, LEDGER_PAYMENTS, amount);
    return r == 0 ? ledger_post(o, &posting) : r;
}

/* --- Statements ---------------------------------------------------------------------------------------------------- */

struct making {
    struct operations *o;
    const struct partner *partner;
    char account[LEDGER_ACCOUNT_BYTES];
    uint64_t last_entry; /* of the statement before, then of this one */
    struct settlement_made s;
    struct buf rows;
};

static int price_of(struct operations *o, const uint8_t serial[16], int64_t *price)
{
    char text[HEX_TEXT_BYTES(16)];
    struct posting p = { 0 };
    hex_encode(slice(serial, 16), text);
    snprintf(p.reference, sizeof(p.reference), "copy:%s", text);
    *price = 0;
    int r = ledger_find(o, &p);
    if (r == 0)
        r = ledger_get(o, p.number, &p);
    for (size_t i = 0; r == 0 && i < p.line_count; i++)
        *price += p.lines[i].amount > 0 ? p.lines[i].amount : 0;
    return r == OPERATIONS_ABSENT ? 0 : r;
}

/* The partner's line of a posting. */
static int entry_of(struct making *m, uint64_t posting, uint64_t *entry)
{
    struct query q CLEANUP(query_end) = query(m->o->store, LEDGER_LINE_OF);
    query_bind_u64(&q, 1, posting);
    query_bind_text(&q, 2, m->account);
    int r = rows_one(&q);
    if (r == 0)
        *entry = query_u64(&q, 0);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r != 0 ? r : query_check(&q);
}

static int describe(struct making *m, const struct ledger_line *l, doc_SettlementRow *row)
{
    struct posting p, before;
    struct copy c;
    int r = ledger_get(m->o, l->posting, &p);
    if (r != 0 || !p.subject.has_serial)
        return r != 0 ? r : -EUCLEAN;
    *row = (doc_SettlementRow){ .entry = l->number,
                                .kind = p.kind == POSTING_COPY ? ROW_CHARGE : ROW_FEE,
                                .amount = l->amount,
                                .time_ms = (uint64_t)l->time_ms };
    if (p.kind == POSTING_REFUND) {
        r = ledger_get(m->o, p.refunds, &before);
        if (r == 0)
            r = entry_of(m, p.refunds, &row->reverses);
        row->kind = r == 0 && before.kind == POSTING_COPY ? ROW_CHARGE_BACK : ROW_FEE_BACK;
    }
    if (r == 0)
        r = copies_find(m->o, p.subject.serial, &c, NULL, NULL);
    if (r == 0)
        r = price_of(m->o, p.subject.serial, &row->price);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    memcpy(row->serial, c.serial, sizeof(row->serial));
    memcpy(row->content, c.content.bytes, ID_BYTES);
    memcpy(row->destination, c.destination.bytes, ID_BYTES);
    CODEC_SET_TEXT(row->user, c.destination_user);
    return 0;
}

static int next_line(struct making *m, struct ledger_line *l)
{
    struct query q CLEANUP(query_end) = query(m->o->store, SETTLEMENT_LINE_NEXT);
    query_bind_text(&q, 1, m->account);
    query_bind_u64(&q, 2, m->last_entry);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    uint64_t number = query_u64(&q, 0);
    r = query_check(&q);
    query_end(&q);
    return r == 0 ? ledger_line_get(m->o, number, l) : r;
}

static int gather(struct making *m)
{
    struct ledger_line l;
    int r = 0;
    while (m->s.row_count < ROWS_MAX && (r = next_line(m, &l)) == 0) {
        doc_SettlementRow row;
        struct buf bytes CLEANUP(buf_free) = buf(doc_SettlementRow_size);
        r = describe(m, &l, &row);
        if (r == 0)
            r = CODEC_ENCODE(doc_SettlementRow, &bytes, &row);
        if (r == 0)
            r = codec_list_put(&m->rows, buf_slice(&bytes));
        if (r != 0)
            return r > 0 ? -EMSGSIZE : r;
        m->s.net += row.amount;
        m->s.row_count++;
        m->last_entry = l.number;
    }
    if (r != 0 && r != OPERATIONS_ABSENT)
        return r;
    return m->s.row_count == 0 ? OPERATIONS_ABSENT : 0;
}

/* Where the statement before ended. */
static int find_last(struct making *m)
{
    struct query q CLEANUP(query_end) = query(m->o->store, SETTLEMENT_LAST);
    query_bind_i64(&q, 1, m->partner->number);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    m->last_entry = query_u64(&q, 0);
    m->s.from_ms = query_i64(&q, 1);
    return query_check(&q);
}

static int sign(struct making *m, struct buf *file)
{
    const struct settlement_made *s = &m->s;
    doc_Settlement d = { .number = s->number,
                         .from_ms = (uint64_t)s->from_ms,
                         .until_ms = (uint64_t)s->until_ms,
                         .row_count = s->row_count,
                         .net = s->net,
                         .issued_ms = (uint64_t)s->issued_ms };
    memcpy(d.issuer, m->o->keys->self.bytes, ID_BYTES);
    memcpy(d.partner, m->partner->id.bytes, ID_BYTES);
    CODEC_SET_TEXT(d.currency, m->o->currency);
    const struct slice rows[] = { buf_slice(&m->rows) };
    sha256_parts(rows, 1, d.rows_digest);
    struct signer signer;
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    signer_from_pair(&signer, &m->o->keys->license);
    int r = document_sign(&envelope, DOCUMENT_SETTLEMENT, &d, &signer);
    if (r == 0)
        r = codec_list_put(file, buf_slice(&envelope));
    if (r == 0)
        r = buf_append(file, buf_slice(&m->rows));
    return r > 0 ? -EMSGSIZE : r;
}

static int add(struct making *m, struct slice file)
{
    const struct settlement_made *s = &m->s;
    struct query q CLEANUP(query_end) = query(m->o->store, SETTLEMENT_ADD);
    query_bind_u64(&q, 1, s->number);
    query_bind_i64(&q, 2, s->partner);
    query_bind_i64(&q, 3, s->from_ms);
    query_bind_i64(&q, 4, s->until_ms);
    query_bind_u64(&q, 5, m->last_entry);
    query_bind_i64(&q, 6, s->row_count);
    query_bind_i64(&q, 7, s->net);
    query_bind_i64(&q, 8, s->issued_ms);
    query_bind_blob(&q, 9, file);
    return rows_run(&q);
}

int settlements_make(struct operations *o, const struct partner *p, int64_t now_ms, struct settlement_made *out)
{
    struct making m = { .o = o, .partner = p, .rows = buf(SETTLEMENTS_FILE_MAX) };
    struct buf file CLEANUP(buf_free) = buf(SETTLEMENTS_FILE_MAX);
    m.s.partner = p->number;
    m.s.until_ms = m.s.issued_ms = now_ms;
    ledger_account_partner(&p->id, m.account);
    int r = find_last(&m);
    if (r == 0)
        r = gather(&m);
    if (r == 0)
        r = operations_count(o, "settlement", &m.s.number);
    if (r == 0)
        r = sign(&m, &file);
    if (r == 0)
        r = add(&m, buf_slice(&file));
    if (r == 0)
        *out = m.s;
    buf_free(&m.rows);
    return r;
}

/* When the first entry was posted that no statement has. 0, OPERATIONS_ABSENT, -errno. */
static int waits_since(struct operations *o, const struct partner *p, int64_t *since_ms)
{
    struct making m = { .o = o, .partner = p };
    struct ledger_line l;
    ledger_account_partner(&p->id, m.account);
    int r = find_last(&m);
    if (r == 0)
        r = next_line(&m, &l);
    if (r == 0)
        *since_ms = l.time_ms;
    return r;
}

int settlements_make_due(struct operations *o, int64_t now_ms)
{
    struct partner p = { 0 };
    struct settlement_made made;
    int64_t days, since_ms;
    int r = operations_setting_i64(o, "settlement-days", &days);
    if (r != 0 || days <= 0)
        return r;
    while ((r = delegations_partner_next(o, p.number, &p)) == 0) {
        r = waits_since(o, &p, &since_ms);
        if (r == 0 && now_ms - since_ms >= days * DAY_MS)
            r = settlements_make(o, &p, now_ms, &made);
        if (r != 0 && r != OPERATIONS_ABSENT)
            return r;
    }
    return r == OPERATIONS_ABSENT ? 0 : r;
}

int settlements_next(struct operations *o, uint64_t after, struct settlement_made *out)
{
    struct query q CLEANUP(query_end) = query(o->store, SETTLEMENT_NEXT);
    query_bind_u64(&q, 1, after);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *out = (struct settlement_made){ .number = query_u64(&q, 0),
                                     .partner = query_i64(&q, 1),
                                     .from_ms = query_i64(&q, 2),
                                     .until_ms = query_i64(&q, 3),
                                     .row_count = query_u32(&q, 4),
                                     .net = query_i64(&q, 5),
                                     .issued_ms = query_i64(&q, 6) };
    return query_check(&q);
}

static int put_receipt(struct operations *o, const uint8_t serial[16], struct buf *file)
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_RECEIPT);
    query_bind_blob(&q, 1, slice(serial, 16));
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    r = codec_list_put(file, query_blob(&q, 0));
    return r == 0 ? query_check(&q) : -EMSGSIZE;
}

/* Behind the rows, for each charge in their order: what its destination signed, as far as it has come to us by now. */
static int put_receipts(struct operations *o, struct slice statement, struct buf *file)
{
    struct reader r = reader(statement);
    struct slice bytes;
    int step = codec_list_next(&r, 1024, &bytes);
    while (step == 0 && (step = codec_list_next(&r, doc_SettlementRow_size, &bytes)) == 0) {
        doc_SettlementRow row;
        step = CODEC_DECODE(doc_SettlementRow, bytes, &row);
        if (step == 0 && row.kind == ROW_CHARGE)
            step = put_receipt(o, row.serial, file);
    }
    return step == CODEC_END ? 0 : step < 0 ? step : -EUCLEAN;
}

int settlements_file(struct operations *o, uint64_t number, struct buf *file)
{
    struct buf statement CLEANUP(buf_free) = buf(SETTLEMENTS_FILE_MAX);
    struct query q CLEANUP(query_end) = query(o->store, SETTLEMENT_FILE);
    query_bind_u64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_append(&q, 0, &statement);
    r = query_check(&q);
    query_end(&q);
    if (r == 0)
        r = buf_append(file, buf_slice(&statement)) != 0 ? -EMSGSIZE : 0;
    return r == 0 ? put_receipts(o, buf_slice(&statement), file) : r;
}
