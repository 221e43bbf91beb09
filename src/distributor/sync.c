/* Writing and taking. On the connection's thread. */
#define LOG_MODULE "sync"
#include "distributor/sync.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/findings.h"
#include "distributor/keyblocks.h"
#include "distributor/keyset.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_chain.h"
#include "distributor/share_empty.h"

#define MAGIC "HEARTHS1"
#define MAGIC_BYTES 8
#define ITEM_MAX 8192
#define UNITS_MAX_BYTES ((size_t)EKB_UNITS_MAX * EKB_ENTRY_BYTES)
#define PAGE_ROWS 256
#define PAGE_BYTES (512u << 10)
#define HEADS_MAX 64

enum item { KEYSET = 1, PARTNER, ROW, HEAD, DELEGATION, GRANT, BLOCK, UNITS, OTHERS_HEAD, ITEM_COUNT };

/* --- Writing ------------------------------------------------------------------------------------------------------ */

static int put_item(FILE *out, enum item kind, struct slice bytes)
{
    uint8_t head[5] = { (uint8_t)kind };
    put_be32(head + 1, (uint32_t)bytes.len);
    return fwrite(head, sizeof(head), 1, out) == 1 && (bytes.len == 0 || fwrite(bytes.data, bytes.len, 1, out) == 1)
               ? 0
               : -EIO;
}

static int put_list(FILE *out, enum item kind, struct slice items)
{
    struct reader list = reader(items);
    struct slice one;
    int r = 0;
    while (r == 0 && codec_list_next(&list, SHARE_ENVELOPE_MAX, &one) == 0)
        r = put_item(out, kind, one);
    return r;
}

struct acknowledged {
    uint64_t have; /* of our rows, by the partner's own word */
    bool has_copy_key;
    uint8_t copy_key[32];
};

static int read_acknowledged(struct operations *o, const struct partner *p, struct acknowledged *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_SAID_GET);
    query_bind_i64(&q, 1, p->number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *out = (struct acknowledged){ .have = query_u64(&q, 0), .has_copy_key = !query_is_null(&q, 1) };
    if (out->has_copy_key)
        query_fixed(&q, 1, out->copy_key, sizeof(out->copy_key));
    return query_check(&q);
}

/* What the partner has to know of us to answer: which key of ours it should delegate to, and how far its rows have come. */
static int put_partner(struct operations *o, const struct partner *p, int64_t now_ms, FILE *out)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    struct buf row CLEANUP(buf_free) = buf(256), envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    share_Partner m = { .time_ms = (uint64_t)now_ms };
    struct share_progress progress;
    int r = share ? share_progress(o, p->number, &progress) : -ENOMEM;
    if (r != 0)
        return r;
    m.have = progress.taken;
    memcpy(m.partner, p->id.bytes, ID_BYTES);
    memcpy(m.copy_key, p->copy_key, sizeof(m.copy_key));
    r = CODEC_ENCODE(share_Partner, &row, &m);
    if (r != 0 || CODEC_SET_BYTES(share->row, buf_slice(&row)) != 0)
        return r < 0 ? r : -EMSGSIZE;
    memcpy(share->origin, o->keys->self.bytes, ID_BYTES);
    share->table = share_Table_PARTNER;
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    r = document_sign(&envelope, DOCUMENT_SHARE, share, &signer);
    return r == 0 ? put_item(out, PARTNER, buf_slice(&envelope)) : r > 0 ? -EMSGSIZE : r;
}

static int put_rows(struct operations *o, uint64_t after, int64_t now_ms, FILE *out, struct sync_written *written)
{
    struct buf rows CLEANUP(buf_free) = buf(PAGE_BYTES + SHARE_ENVELOPE_MAX + 4);
    uint32_t count = 1;
    int r = 0;
    *written = (struct sync_written){ .from = after + 1, .to = after };
    while (r == 0 && count > 0) {
        buf_clear(&rows);
        r = share_outbox_read(o, written->to, PAGE_ROWS, PAGE_BYTES, &rows, &count, &written->to);
        if (r == 0)
            r = put_list(out, ROW, buf_slice(&rows));
    }
    if (r != 0)
        return r;
    buf_clear(&rows);
    r = share_head_sign(o, written->to, now_ms, &rows);
    return r == 0 ? put_item(out, HEAD, buf_slice(&rows)) : r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

static int put_grant(struct operations *o, const struct partner *p, int64_t now_ms, FILE *out)
{
    doc_Keyset *keyset CLEANUP(freep) = calloc(1, sizeof(*keyset));
    struct keyblocks_newest newest CLEANUP(keyblocks_newest_wipe) = { 0 };
    struct buf block CLEANUP(buf_free) = buf(ITEM_MAX), grant CLEANUP(buf_free) = buf(ITEM_MAX),
                     units CLEANUP(buf_free) = buf(UNITS_MAX_BYTES);
    int r = keyset ? keyset_of(o, p->number, keyset) : -ENOMEM;
    if (r == 0)
        r = keyblocks_get(o, OPERATIONS_SELF, 0, &newest, &block);
    if (r == 0)
        r = delegations_grant_make(o, &p->id, keyset, &newest, now_ms, &grant);
    if (r == 0)
        r = keyblocks_page(o, newest.version, 0, EKB_UNITS_MAX, &units);
    if (r == 0)
        r = put_item(out, GRANT, buf_slice(&grant));
    if (r == 0)
        r = put_item(out, BLOCK, buf_slice(&block));
    return r == 0 ? put_item(out, UNITS, buf_slice(&units)) : r;
}

static int put_delegation(struct operations *o, const struct partner *p, const struct acknowledged *said,
                          int64_t now_ms, FILE *out, struct sync_written *written)
{
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    int r = 0;
    if (said->has_copy_key) {
        r = delegations_make(o, p, said->copy_key, now_ms, &envelope);
        if (r == 0)
            r = put_item(out, DELEGATION, buf_slice(&envelope));
        written->delegation = r == 0;
    }
    if (r == 0)
        r = put_grant(o, p, now_ms, out);
    written->grant = r == 0;
    return r == OPERATIONS_ABSENT || r == REASON_KEYSET_INVALID ? 0
                                                                : r; /* its keys are not known here yet: next time */
}

int sync_write(struct operations *o, const struct partner *p, bool everything, int64_t now_ms, FILE *out,
               struct sync_written *written)
{
    struct buf keyset CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX),
                      heads CLEANUP(buf_free) = buf((SHARE_HEAD_ENVELOPE_MAX + 4) * HEADS_MAX);
    struct acknowledged said;
    uint32_t count;
    uint64_t last = 0;
    int r = read_acknowledged(o, p, &said);
    if (r == 0)
        r = share_outbox_last(o, &last);
    if (r == 0)
        r = keyset_current(o, &keyset);
    if (r == 0)
        r = fwrite(MAGIC, MAGIC_BYTES, 1, out) == 1 ? 0 : -EIO;
    if (r == 0)
        r = put_item(out, KEYSET, buf_slice(&keyset));
    if (r == 0)
        r = put_partner(o, p, now_ms, out);
    if (r == 0)
        r = put_rows(o, everything || said.have > last ? 0 : said.have, now_ms, out, written);
    if (r == 0)
        r = put_delegation(o, p, &said, now_ms, out, written);
    if (r == 0)
        r = share_heads_read(o, HEADS_MAX, &heads, &count);
    return r == 0 ? put_list(out, OTHERS_HEAD, buf_slice(&heads)) : r;
}

/* --- Taking ------------------------------------------------------------------------------------------------------- */

struct taking {
    struct operations *o;
    int64_t now_ms;
    struct partner partner;
    doc_Keyset *keyset;
    bool has_keyset, is_strangers;
    bool has_partner; /* items 1 and 2 were good: the file is of that partner, for us */
    struct buf grant, block;
    struct sync_read *out;
};

static int refuse(struct taking *t, enum reason reason, const char *words)
{
    snprintf(t->out->detail, sizeof(t->out->detail), "%s", words);
    return reason;
}

/* Who it is from: one of our partners, whose ID its operator gave us, by its root key's own signature. Of somebody else's file only for whom it is
 * is of interest (take_partner). */
static int take_keyset(struct taking *t, struct slice bytes)
{
    struct id signer;
    int64_t number;
    int r = document_open_keyset(bytes, t->keyset, &signer);
    if (r != 0)
        return r;
    t->out->sender = id_from(t->keyset->distributor);
    if (id_equal(t->out->sender.bytes, &t->o->keys->self))
        return REASON_WRONG_DESTINATION; /* our own, on its way */
    r = keyset_judge(bytes, &t->out->sender, 0, NULL, t->now_ms, t->keyset);
    if (r == 0)
        r = delegations_partner_find(t->o, &t->out->sender, &t->partner);
    t->is_strangers = r == OPERATIONS_ABSENT || (r == 0 && t->partner.withdrawn);
    t->has_keyset = r == 0 || r == OPERATIONS_ABSENT;
    if (r != 0 || t->is_strangers)
        return r == OPERATIONS_ABSENT ? 0 : r;
    snprintf(t->out->name, sizeof(t->out->name), "%s", t->partner.name);
    r = keyset_store(t->o, &t->out->sender, bytes, t->now_ms, &number);
    if (r == KEYSET_DIFFERS)
        return refuse(t, REASON_KEYSET_INVALID, "It has another keyset of the same number than the one known here.");
    return r != 0 ? r : keyset_of(t->o, number, t->keyset); /* the newest */
}

static int open_loose(struct taking *t, struct slice bytes, uint32_t table, doc_Share *share)
{
    int r = share_judge(bytes, t->keyset, share);
    if (r != 0)
        return r;
    return share->sequence == 0 && share->table == table ? 0 : REASON_MALFORMED;
}

static int take_partner(struct taking *t, struct slice bytes)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    share_Partner m;
    int r = share ? open_loose(t, bytes, share_Table_PARTNER, share) : -ENOMEM;
    if (r != 0)
        return r;
    if (CODEC_DECODE(share_Partner, CODEC_BYTES(share->row), &m) != 0 || m.have > INT64_MAX || m.time_ms > INT64_MAX)
        return REASON_MALFORMED;
    if (!id_equal(m.partner, &t->o->keys->self))
        return refuse(t, REASON_WRONG_DESTINATION, "It was written for another distributor.");
    if (t->is_strangers)
        return refuse(t, REASON_UNKNOWN_DISTRIBUTOR,
                      "It is of no partner of ours. Add it first: partner add URL --name NAME");
    t->has_partner = true;
    struct query q CLEANUP(query_end) = query(t->o->store, PARTNER_SAID_SET); /* the latest word counts */
    query_bind_i64(&q, 1, t->partner.number);
    query_bind_u64(&q, 2, m.have);
    query_bind_blob(&q, 3, SLICE_ARRAY(m.copy_key));
    query_bind_u64(&q, 4, m.time_ms);
    return rows_run(&q);
}

static int take_row(struct taking *t, struct slice bytes)
{
    struct share_place place;
    struct share_taken taken = { 0 };
    int r = share_place_of(bytes, &place);
    if (r == 0 && !id_equal(place.origin.bytes, &t->out->sender))
        r = REASON_SIGNATURE_INVALID; /* a partner speaks for itself only */
    if (r == 0)
        r = share_take(t->o, bytes, SHARE_VIA_ORIGIN, t->now_ms, &taken);
    if (r == SHARE_GAP)
        return refuse(
            t, REASON_OUT_OF_STEP,
            "Rows before it are missing here: import the file before this one first, or let it be exported with --all.");
    t->out->rows += r == 0;
    t->out->known += r == 0 && taken.known;
    return r;
}

static int take_head(struct taking *t, struct slice bytes, bool of_sender)
{
    struct share_place place;
    share_Head head;
    int64_t number;
    int r = share_place_of(bytes, &place);
    if (r == 0 && of_sender && !id_equal(place.origin.bytes, &t->out->sender))
        return REASON_SIGNATURE_INVALID;
    if (r == 0)
        r = share_head_take(t->o, bytes, &number, &head);
    return r == REASON_KEYSET_INVALID && !of_sender ? 0 : r; /* of somebody who is not known here */
}

/* A file that has lain long brings what has ended since: that alone is not taken. */
static int unless_over(int r, bool *taken)
{
    *taken = r == 0;
    return r == REASON_CERTIFICATE_EXPIRED || r == REASON_DELEGATION_INVALID ? 0 : r;
}

static int take_units(struct taking *t, struct slice bytes)
{
    if (t->grant.len == 0 || t->block.len == 0)
        return REASON_MALFORMED;
    int r =
        delegations_grant_store(t->o, &t->out->sender, buf_slice(&t->grant), buf_slice(&t->block), bytes, t->now_ms);
    /* Ours was changed since the partner last heard of us; everything else counts. */
    if (r == DELEGATIONS_SEALED_ELSEWHERE) {
        snprintf(
            t->out->detail, sizeof(t->out->detail),
            "Its key grant is sealed to a key of ours from before, and was left out: export to it; its next file brings one.");
        return 0;
    }
    return unless_over(r, &t->out->grant);
}

static int keep(struct buf *to, struct slice bytes)
{
    buf_clear(to);
    return buf_append(to, bytes) == 0 ? 0 : REASON_TOO_LARGE;
}

static int take_item(struct taking *t, uint8_t kind, struct slice bytes)
{
    if (kind > PARTNER && !t->has_partner)
        return REASON_MALFORMED;
    switch (kind) {
    case KEYSET:
        return take_keyset(t, bytes);
    case PARTNER:
        return t->has_keyset ? take_partner(t, bytes) : REASON_MALFORMED;
    case ROW:
        return take_row(t, bytes);
    case HEAD:
    case OTHERS_HEAD:
        return take_head(t, bytes, kind == HEAD);
    case DELEGATION:
        return unless_over(delegations_store(t->o, &t->out->sender, bytes, t->now_ms), &t->out->delegation);
    case GRANT:
        return keep(&t->grant, bytes);
    case BLOCK:
        return keep(&t->block, bytes);
    case UNITS:
        return take_units(t, bytes);
    default:
        return REASON_MALFORMED;
    }
}

/* One item; OPERATIONS_ABSENT at the end of the file. Kinds never go back: the order is part of the format. */
static int read_item(FILE *in, uint8_t *kind, struct buf *bytes)
{
    uint8_t head[5];
    size_t got = fread(head, 1, sizeof(head), in);
    if (got == 0 && feof(in))
        return OPERATIONS_ABSENT;
    uint32_t len = got == sizeof(head) ? get_be32(head + 1) : 0;
    if (got != sizeof(head) || head[0] == 0 || head[0] >= ITEM_COUNT || head[0] < *kind ||
        len > (head[0] == UNITS ? UNITS_MAX_BYTES : ITEM_MAX) || len == 0)
        return ferror(in) ? -EIO : REASON_MALFORMED;
    *kind = head[0];
    buf_clear(bytes);
    uint8_t part[4096];
    while (len > 0) {
        size_t n = len < sizeof(part) ? len : sizeof(part);
        if (fread(part, 1, n, in) != n)
            return ferror(in) ? -EIO : REASON_MALFORMED;
        if (buf_append(bytes, slice(part, n)) != 0)
            return -ENOMEM;
        len -= (uint32_t)n;
    }
    return 0;
}

static int take_all(struct taking *t, FILE *in)
{
    struct buf bytes CLEANUP(buf_free) = buf(UNITS_MAX_BYTES);
    uint8_t kind = KEYSET;
    uint8_t magic[MAGIC_BYTES];
    bool has_head = false;
    int r = fread(magic, sizeof(magic), 1, in) == 1 && memcmp(magic, MAGIC, MAGIC_BYTES) == 0 ? 0 : REASON_MALFORMED;
    while (r == 0) {
        r = read_item(in, &kind, &bytes);
        if (r == OPERATIONS_ABSENT)
            return has_head ? 0 : REASON_MALFORMED; /* cut off */
        if (r == 0)
            r = take_item(t, kind, buf_slice(&bytes));
        has_head = has_head || kind == HEAD;
    }
    return r;
}

/* A file is whole: nothing that would tell of an empty row is still on its way. */
static int judge_empty(struct taking *t)
{
    struct share_progress progress;
    int r = share_progress(t->o, t->partner.number, &progress);
    return r == 0 ? share_empty_judge(t->o, t->partner.number, &progress, INT64_MAX) : r;
}

int sync_take(struct operations *o, FILE *in, int64_t now_ms, struct sync_read *out)
{
    doc_Keyset *keyset CLEANUP(freep) = calloc(1, sizeof(*keyset));
    *out = (struct sync_read){ 0 };
    if (keyset == NULL)
        return -ENOMEM;
    struct taking t = {
        .o = o, .keyset = keyset, .now_ms = now_ms, .grant = buf(ITEM_MAX), .block = buf(ITEM_MAX), .out = out
    };
    int r = take_all(&t, in);
    if (r == 0)
        r = judge_empty(&t);
    if (r > 0 && out->detail[0] == '\0')
        snprintf(out->detail, sizeof(out->detail), "%s Nothing of it was taken. Fetch the file again.",
                 r < REASON_COUNT ? reason_text((enum reason)r) : "It cannot be read.");
    buf_free(&t.grant);
    buf_free(&t.block);
    return r >= REASON_COUNT ? REASON_MALFORMED : r;
}
