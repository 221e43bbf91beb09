/* Partners: what they delegated and granted to us. On the connection's thread. What we give them: delegations_give.c.
 * Source: design sections 2 and 3. */
#define LOG_MODULE "delegations"
#include "distributor/delegations.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "crypto/contentkey.h"
#include "crypto/seal.h"
#include "distributor/keyblocks.h"
#include "distributor/keyset.h"
#include "distributor/rows.h"
#include "distributor/storage.h"

#define NEARLY_OVER_MS (60 * 60 * 1000) /* a delegation with less left is not worth signing under */

/* --- Partners ---------------------------------------------------------------------------------------------------- */

static int read_partner(struct query *q, struct partner *out)
{
    struct partner p = { .number = query_i64(q, 0) };
    query_fixed(q, 1, p.id.bytes, ID_BYTES);
    query_text(q, 2, p.name, sizeof(p.name));
    query_text(q, 3, p.address, sizeof(p.address));
    query_fixed(q, 4, p.copy_key, sizeof(p.copy_key));
    p.withdrawn = query_bool(q, 5);
    *out = p;
    return query_check(q);
}

int delegations_partner_find(struct operations *o, const struct id *id, struct partner *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_FIND);
    rows_bind_id(&q, 1, id);
    int r = rows_one(&q);
    return r == 0 ? read_partner(&q, out) : r;
}

int delegations_partner_next(struct operations *o, int64_t after, struct partner *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_NEXT);
    query_bind_i64(&q, 1, after);
    int r = rows_one(&q);
    return r == 0 ? read_partner(&q, out) : r;
}

static int rename_distributor(struct operations *o, int64_t number, const char *name)
{
    struct query q CLEANUP(query_end) = query(o->store, DISTRIBUTOR_RENAME);
    query_bind_i64(&q, 1, number);
    query_bind_text(&q, 2, name);
    return rows_run(&q);
}

static int set_address(struct operations *o, int64_t number, const char *address)
{
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_SET);
    query_bind_i64(&q, 1, number);
    query_bind_text(&q, 2, address);
    return rows_run(&q);
}

/* A copy key of our own for each partner: withdrawing one says nothing about another. */
static int insert_partner(struct operations *o, int64_t number, const struct id *id, const char *address)
{
    struct key32 seed CLEANUP(key32_wipe);
    uint8_t public_key[SIGN_PUBLIC_BYTES], stored[KEYS_STORED_BYTES];
    rng_fill(o->rng, seed.bytes, sizeof(seed.bytes));
    sign_public_key(&seed, public_key);
    int r = storage_protect(o, STORAGE_COPY_KEY, SLICE_ARRAY(id->bytes), &seed, stored);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_ADD);
    query_bind_i64(&q, 1, number);
    query_bind_text(&q, 2, address);
    query_bind_blob(&q, 3, SLICE_ARRAY(public_key));
    query_bind_blob(&q, 4, SLICE_ARRAY(stored));
    return rows_run(&q);
}

int delegations_partner_add(struct operations *o, const struct id *id, const char *name, const char *address)
{
    if (id_equal(id, &o->keys->self))
        return REASON_NOT_PERMITTED;
    struct partner p;
    int64_t number;
    int r = delegations_partner_find(o, id, &p);
    if (r == 0) {
        r = rename_distributor(o, p.number, name);
        if (r == 0)
            r = set_address(o, p.number, address);
        return r == 0 ? REASON_ALREADY : r;
    }
    if (r == OPERATIONS_ABSENT)
        r = operations_distributor_add(o, id, name, &number);
    if (r == 0)
        r = rename_distributor(o, number, name);
    return r == 0 ? insert_partner(o, number, id, address) : r;
}

int delegations_partner_withdraw(struct operations *o, const struct id *id, int64_t now_ms, bool *told)
{
    struct partner p;
    *told = true;
    int r = delegations_partner_find(o, id, &p);
    if (r != 0 || p.withdrawn)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_WITHDRAW);
    query_bind_i64(&q, 1, p.number);
    query_bind_i64(&q, 2, now_ms);
    query_bind_i64(&q, 3, now_ms + DELEGATIONS_LIFE_MS);
    query_bind_i64(&q, 4, DELEGATIONS_CERTIFICATE_LIFE_MS + DELEGATIONS_LATE_MS);
    r = rows_run(&q);
    return r == 0 ? keyset_issue_if_possible(o, now_ms, told) : r; /* its floor ends the delegations given before */
}

int delegations_copy_pair(struct operations *o, const struct partner *p, struct sign_pair *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_SECRET);
    query_bind_i64(&q, 1, p->number);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    struct key32 seed CLEANUP(key32_wipe);
    r = keys_reveal(o->keys, STORAGE_COPY_KEY, SLICE_ARRAY(p->id.bytes), query_blob(&q, 0), &seed);
    if (r == 0)
        sign_pair_init(out, &seed);
    return r;
}

/* --- Is what we have good enough? -------------------------------------------------------------------------------- */

struct kept {
    int64_t issued_ms, ends_ms, max_certificate_ms;
};

static int read_delegation(struct operations *o, int64_t number, struct kept *out, struct buf *envelope)
{
    struct query q CLEANUP(query_end) = query(o->store, DELEGATION_GET);
    query_bind_i64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    if (envelope)
        query_append(&q, 0, envelope);
    *out = (struct kept){ query_i64(&q, 1), query_i64(&q, 2), query_i64(&q, 3) };
    return query_check(&q);
}

static int announced_version(struct operations *o, int64_t number, uint64_t *version)
{
    struct query q CLEANUP(query_end) = query(o->store, DISTRIBUTOR_BLOCK);
    query_bind_i64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    *version = query_u64(&q, 0);
    return query_check(&q);
}

/* A grant that is not over, of the newest version the partner has announced. */
static int judge_grant(struct operations *o, int64_t number, int64_t now_ms, int64_t *ends_ms)
{
    struct keyblocks_newest newest CLEANUP(keyblocks_newest_wipe) = { 0 };
    uint64_t announced = 0;
    int r = keyblocks_newest(o, number, &newest);
    if (r == 0)
        r = announced_version(o, number, &announced);
    if (r != 0)
        return r;
    *ends_ms = newest.ends_ms;
    return newest.version >= announced && newest.ends_ms > now_ms ? 0 : OPERATIONS_ABSENT;
}

/* The partner may have withdrawn it since: its keyset says so. */
static int judge_floor(struct operations *o, const struct partner *p, int64_t now_ms, struct slice envelope)
{
    doc_Keyset *keyset CLEANUP(freep) = calloc(1, sizeof(*keyset));
    doc_Delegation d;
    if (!keyset)
        return -ENOMEM;
    int r = keyset_of(o, p->number, keyset);
    if (r == 0)
        r = delegation_judge(envelope, keyset, now_ms, &d);
    return r > 0 ? OPERATIONS_ABSENT : r;
}

int delegations_usable(struct operations *o, const struct partner *p, int64_t now_ms, struct delegations_usable *out,
                       struct buf *delegation)
{
    struct kept kept;
    int64_t grant_ends_ms;
    int r = read_delegation(o, p->number, &kept, delegation);
    if (r == 0 && kept.ends_ms - now_ms < NEARLY_OVER_MS)
        r = OPERATIONS_ABSENT;
    if (r == 0)
        r = judge_floor(o, p, now_ms, buf_slice(delegation));
    if (r == 0)
        r = judge_grant(o, p->number, now_ms, &grant_ends_ms);
    if (r == 0)
        *out = (struct delegations_usable){ kept.ends_ms, kept.max_certificate_ms };
    return r;
}

static int is_due(struct operations *o, const struct partner *p, int64_t now_ms, bool *due)
{
    struct delegations_usable usable;
    struct kept kept = { 0 };
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    int64_t grant_ends_ms = 0;
    *due = true;
    int r = delegations_usable(o, p, now_ms, &usable, &envelope);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    r = read_delegation(o, p->number, &kept, NULL);
    if (r == 0)
        r = judge_grant(o, p->number, now_ms, &grant_ends_ms);
    int64_t life_ms = kept.ends_ms - kept.issued_ms;
    *due = r == 0 && (kept.ends_ms - now_ms < life_ms / 2 || grant_ends_ms - now_ms < life_ms / 2);
    return r;
}

int delegations_due(struct operations *o, int64_t after, int64_t now_ms, struct partner *out)
{
    struct partner p = { .number = after };
    int r;
    while ((r = delegations_partner_next(o, p.number, &p)) == 0) {
        bool due = false;
        if (!p.withdrawn)
            r = is_due(o, &p, now_ms, &due);
        if (r != 0)
            return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
        if (due) {
            *out = p;
            return 0;
        }
    }
    return r;
}

/* --- Keeping what was fetched ------------------------------------------------------------------------------------ */

static int find_with_keyset(struct operations *o, const struct id *partner, struct partner *p, doc_Keyset *keyset)
{
    int r = delegations_partner_find(o, partner, p);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_UNKNOWN_DISTRIBUTOR : r;
    r = keyset_of(o, p->number, keyset);
    return r == OPERATIONS_ABSENT ? REASON_KEYSET_INVALID : r;
}

int delegations_store(struct operations *o, const struct id *partner, struct slice delegation, int64_t now_ms)
{
    doc_Keyset *keyset CLEANUP(freep) = calloc(1, sizeof(*keyset));
    struct partner p;
    doc_Delegation d;
    int r = keyset ? find_with_keyset(o, partner, &p, keyset) : -ENOMEM;
    if (r == 0)
        r = delegation_judge(delegation, keyset, now_ms, &d);
    if (r != 0)
        return r;
    if (!id_equal(d.partner, &o->keys->self) || memcmp(d.copy_key, p.copy_key, sizeof(d.copy_key)) != 0 ||
        d.max_certificate_ms > INT64_MAX || d.ends_ms > INT64_MAX || d.issued_ms > INT64_MAX)
        return REASON_DELEGATION_INVALID;
    struct kept kept;
    r = read_delegation(o, p.number, &kept, NULL);
    if (r < 0 || (r == 0 && kept.issued_ms > (int64_t)d.issued_ms)) /* one from a medium that came late */
        return r;
    struct query q CLEANUP(query_end) = query(o->store, DELEGATION_SET);
    query_bind_i64(&q, 1, p.number);
    query_bind_blob(&q, 2, delegation);
    query_bind_u64(&q, 3, d.issued_ms);
    query_bind_u64(&q, 4, d.ends_ms);
    query_bind_u64(&q, 5, d.max_certificate_ms);
    return rows_run(&q);
}

static int open_root(struct operations *o, const doc_KeyGrant *grant, struct key32 *root)
{
    int r = seal_open(&o->keys->sealing, SLICE_ARRAY(grant->sealed_root), root->bytes);
    return r > 0 ? DELEGATIONS_SEALED_ELSEWHERE : r;
}

/* How many units of EKB_ENTRY_BYTES all of a block is; 0: not as it must be. */
static uint32_t units_of(const doc_Ekb *block)
{
    if (block->kind == EKB_KIND_SUBSET_DIFFERENCE)
        return block->unit_count <= EKB_UNITS_MAX ? block->unit_count : 0;
    return block->entry_count <= EKB_ENTRIES_MAX ? block->entry_count : 0;
}

int delegations_grant_store(struct operations *o, const struct id *partner, struct slice grant, struct slice block,
                            struct slice entries, int64_t now_ms)
{
    doc_Keyset *keyset CLEANUP(freep) = calloc(1, sizeof(*keyset));
    struct key32 root CLEANUP(key32_wipe) = { { 0 } };
    struct partner p;
    doc_KeyGrant g;
    doc_Ekb b;
    int r = keyset ? find_with_keyset(o, partner, &p, keyset) : -ENOMEM;
    if (r == 0)
        r = grant_judge(grant, keyset, &o->keys->self, now_ms, &g);
    if (r == 0)
        r = ekb_judge(block, keyset, &b);
    if (r == 0 &&
        (g.version != b.version || g.category != b.category || g.ends_ms > INT64_MAX || b.version > INT64_MAX))
        r = REASON_MALFORMED;
    if (r == 0 && (units_of(&b) == 0 || entries.len != (size_t)units_of(&b) * EKB_ENTRY_BYTES))
        r = REASON_MALFORMED;
    if (r == 0)
        r = open_root(o, &g, &root);
    if (r != 0)
        return r;
    struct keyblocks_newest newest CLEANUP(keyblocks_newest_wipe) = { 0 };
    r = keyblocks_newest(o, p.number, &newest);
    if (r < 0)
        return r;
    if (r == 0 && (newest.version > b.version || (newest.version == b.version && newest.ends_ms >= (int64_t)g.ends_ms)))
        return 0; /* a slower answer than one that came later */
    return keyblocks_keep_granted(o, p.number, &b, block, entries, &root, (int64_t)g.ends_ms);
}

int delegations_block_units(struct operations *o, const struct id *partner, struct slice block, uint32_t *count)
{
    doc_Keyset *keyset CLEANUP(freep) = calloc(1, sizeof(*keyset));
    struct partner p;
    doc_Ekb b;
    int r = keyset ? find_with_keyset(o, partner, &p, keyset) : -ENOMEM;
    if (r == 0)
        r = ekb_judge(block, keyset, &b);
    if (r == 0 && units_of(&b) == 0)
        r = REASON_MALFORMED;
    if (r == 0)
        *count = units_of(&b);
    return r;
}
