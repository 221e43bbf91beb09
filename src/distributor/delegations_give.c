/* What a partner fetches from us: DELEGATION_GET (its copy key may sign for our clients) and GRANT_GET (our key block and its
 * partner root). On the connection's thread. Source: design sections 2 and 3; instead of seed S138, S139. */
#define LOG_MODULE "delegations"
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "crypto/contentkey.h"
#include "crypto/seal.h"
#include "distributor/delegations.h"
#include "distributor/devices.h"
#include "distributor/findings.h"
#include "distributor/handlers.h"
#include "distributor/keyblocks.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

#define SKEW_MS (5 * 60 * 1000)

static int find_asking(struct operations *o, const struct caller *who, struct partner *p)
{
    int r = delegations_partner_find(o, &who->partner, p);
    if (r == OPERATIONS_ABSENT || (r == 0 && p->withdrawn))
        return REASON_UNKNOWN_DISTRIBUTOR;
    return r;
}

static int next_sequence(struct operations *o, int64_t number, uint64_t *sequence)
{
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_SEQUENCE);
    query_bind_i64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    *sequence = query_u64(&q, 0);
    return query_check(&q);
}

static int note_given(struct operations *o, int64_t number, uint64_t ends_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_GIVEN_SET);
    query_bind_i64(&q, 1, number);
    query_bind_u64(&q, 2, ends_ms);
    return rows_run(&q);
}

int delegations_make(struct operations *o, const struct partner *p, const uint8_t copy_key[32], int64_t now_ms,
                     struct buf *envelope)
{
    doc_Delegation d = { .max_certificate_ms = DELEGATIONS_CERTIFICATE_LIFE_MS,
                         .issued_ms = (uint64_t)now_ms,
                         .ends_ms = (uint64_t)(now_ms + DELEGATIONS_LIFE_MS) };
    int r = next_sequence(o, p->number, &d.sequence);
    if (r == 0)
        r = note_given(o, p->number, d.ends_ms);
    if (r != 0)
        return r;
    memcpy(d.delegator, o->keys->self.bytes, ID_BYTES);
    memcpy(d.partner, p->id.bytes, ID_BYTES);
    memcpy(d.copy_key, copy_key, sizeof(d.copy_key));
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    r = document_sign(envelope, DOCUMENT_DELEGATION, &d, &signer);
    if (r == 0)
        log_info("delegated: partner=%s sequence=%llu", p->name, (unsigned long long)d.sequence);
    return r > 0 ? -EMSGSIZE : r;
}

int delegations_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                    struct reply *out)
{
    (void)tail;
    msg_DelegationGet m;
    struct partner p;
    msg_Delegation answer = msg_Delegation_init_zero;
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(answer.delegation.bytes));
    int r = REQUEST_DECODE(message, msg_DelegationGet, &m);
    if (r == 0)
        r = find_asking(o, who, &p);
    if (r == 0)
        r = delegations_make(o, &p, m.copy_key, who->now_ms, &envelope);
    if (r != 0)
        return r;
    if (CODEC_SET_BYTES(answer.delegation, buf_slice(&envelope)) != 0)
        return -EMSGSIZE;
    return REPLY(out, DELEGATION, msg_Delegation, &answer);
}

/* --- Is it within that? ------------------------------------------------------------------------------------------ */

static int is_ours(struct operations *o, const uint8_t content[32], bool *ours)
{
    struct query q CLEANUP(query_end) = query(o->store, OWN_CONTENT_HAS);
    query_bind_blob(&q, 1, slice(content, ID_BYTES));
    int r = rows_one(&q);
    *ours = r == 0;
    return r == OPERATIONS_ABSENT ? 0 : r;
}

/* Its own history accuses it: devices refuse such a certificate anyway, but its operator should be asked. */
int delegations_watch(struct operations *o, int64_t partner, const share_CopyHistory *row)
{
    int64_t ends_ms, withdrawn_ms;
    bool ours;
    {
        struct query q CLEANUP(query_end) = query(o->store, PARTNER_GIVEN_GET);
        query_bind_i64(&q, 1, partner);
        int r = rows_one(&q);
        if (r != 0)
            return r == OPERATIONS_ABSENT ? 0
                                          : r; /* a member that is no partner: nothing was given, nothing can be used */
        ends_ms = query_i64(&q, 0);
        withdrawn_ms = query_i64(&q, 1);
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    int r = is_ours(o, row->content, &ours);
    if (r != 0)
        return r;
    const char *what = NULL;
    if (withdrawn_ms > 0 && row->issued_ms > (uint64_t)withdrawn_ms + SKEW_MS)
        what = "after it was withdrawn";
    else if (row->ends_ms > row->issued_ms && row->ends_ms - row->issued_ms > (uint64_t)DELEGATIONS_CERTIFICATE_LIFE_MS)
        what = "for longer than its delegation lets a certificate last";
    else if (ends_ms > 0 && row->ends_ms > (uint64_t)ends_ms)
        what = "that ends after its delegation";
    else if (ours)
        what = "of content that we published";
    if (what != NULL)
        findings_note(
            o, FINDING_BEYOND_DELEGATION, partner,
            "Its own copy history has a certificate for a client of ours %s. Devices refuse it; ask its operator, or: "
            "partner withdraw",
            what);
    return 0;
}

/* --- Grant ------------------------------------------------------------------------------------------------------- */

/* HKDF(root, partner), sealed to the partner's newest sealing key. */
int delegations_grant_make(struct operations *o, const struct id *partner, const doc_Keyset *keyset,
                           const struct keyblocks_newest *newest, int64_t now_ms, struct buf *envelope)
{
    const uint8_t *sealing_key = keyset ? keyset_key(keyset, KEY_SEALING) : NULL;
    if (!sealing_key)
        return REASON_KEYSET_INVALID;
    struct key32 partner_root CLEANUP(key32_wipe);
    contentkey_partner_root(&newest->root, partner, &partner_root);
    doc_KeyGrant g = { .category = OPERATIONS_CATEGORY,
                       .version = newest->version,
                       .issued_ms = (uint64_t)now_ms,
                       .ends_ms = (uint64_t)(now_ms + DELEGATIONS_LIFE_MS) };
    memcpy(g.distributor, o->keys->self.bytes, ID_BYTES);
    memcpy(g.partner, partner->bytes, ID_BYTES);
    if (seal_to(sealing_key, SLICE_ARRAY(partner_root.bytes), g.sealed_root) != 0)
        return REASON_KEYSET_INVALID;
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    int r = document_sign(envelope, DOCUMENT_KEY_GRANT, &g, &signer);
    return r > 0 ? -EMSGSIZE : r;
}

int delegations_grant_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                          struct reply *out)
{
    (void)tail;
    msg_GrantGet m;
    struct partner p;
    int r = REQUEST_DECODE(message, msg_GrantGet, &m);
    if (r == 0)
        r = find_asking(o, who, &p);
    if (r == 0 && m.category != OPERATIONS_CATEGORY)
        r = REASON_NOT_FOUND;
    struct keyblocks_newest block CLEANUP(keyblocks_newest_wipe) = { 0 };
    msg_Grant answer = { .first = m.first };
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(answer.block.bytes)),
                        grant CLEANUP(buf_free) = buf(sizeof(answer.grant.bytes));
    if (r == 0)
        r = keyblocks_get(o, OPERATIONS_SELF, m.version, &block, &envelope);
    if (r == OPERATIONS_ABSENT)
        return REASON_NOT_FOUND; /* begin again with the newest */
    if (r == 0)
        r = delegations_grant_make(o, &who->partner, who->partner_keyset, &block, who->now_ms, &grant);
    if (r == 0)
        r = keyblocks_page(o, block.version, m.first, DELEGATIONS_PAGE_UNITS, &out->tail);
    if (r != 0)
        return r;
    if (CODEC_SET_BYTES(answer.block, buf_slice(&envelope)) != 0 ||
        CODEC_SET_BYTES(answer.grant, buf_slice(&grant)) != 0)
        return -EMSGSIZE;
    return REPLY(out, GRANT, msg_Grant, &answer);
}

/* A device of ours asks where a partner is that issued a license to it: renewals are the issuer's. Source: design section 6.4. */
int delegations_address(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                        struct reply *out)
{
    (void)tail;
    msg_AddressGet m;
    msg_Address answer = msg_Address_init_zero;
    struct device d;
    struct partner p;
    int r = REQUEST_DECODE(message, msg_AddressGet, &m);
    struct id id = id_from(m.distributor);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0)
        r = delegations_partner_find(o, &id, &p);
    if (r == OPERATIONS_ABSENT)
        return REASON_UNKNOWN_DISTRIBUTOR;
    if (r != 0)
        return r;
    CODEC_SET_TEXT(answer.address, p.address);
    return REPLY(out, ADDRESS, msg_Address, &answer);
}
