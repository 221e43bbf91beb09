/* The license server issues a copy certificate. On the connection's thread.
 *
 * A chain of judgements, each of which may refuse; only then is anything made or written. What another server must say
 * first ends the run with REQUESTS_ASK_..., to be run again (requests.h).
 * Source: seed S121-S141. Departure from S138, S139 (design section 2): for another distributor's device the certificate
 * is signed with our own copy key, to which that distributor delegated; no secret key leaves its server. */
#define LOG_MODULE "copies"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "crypto/contentkey.h"
#include "crypto/seal.h"
#include "distributor/billing.h"
#include "distributor/copies.h"
#include "distributor/delegations.h"
#include "distributor/handlers.h"
#include "distributor/keyblocks.h"
#include "distributor/reply.h"
#include "distributor/rows.h"
#include "distributor/settlements.h"

#define DAY_MS INT64_C(86400000)
#define REUSE_REMAINING_MS (60 * 60 * 1000) /* a certificate that is asked for again and has less left is issued anew */

/* One certificate in the making, filled judgement by judgement. */
struct making {
    struct operations *o;
    const struct caller *who;
    const msg_CopyAsk *ask;
    struct reply *out; /* detail of a refusal; whom to ask */
    struct device source, destination;
    doc_DeviceCertificate source_certificate, destination_certificate;
    struct license license; /* the source's */
    struct content content;
    struct product product;
    struct partner partner;            /* of the destination, when it is another distributor's */
    struct buf delegation;             /* the same */
    int64_t lasts_ms, ends_at_most_ms; /* life of a certificate, by our setting and by the delegation */
    struct keyblocks_newest block;
    struct copy copy;
};
typedef int step_fn(struct making *m);

static void making_deinit(struct making *m)
{
    buf_free(&m->delegation);
    keyblocks_newest_wipe(&m->block);
}

static bool is_partners(const struct making *m) { return m->destination.distributor != OPERATIONS_SELF; }

/* --- Who asks: S123-S125 ------------------------------------------------------------------------------------------- */

static int judge_source(struct making *m)
{
    if (m->ask->move && m->ask->removable) /* a medium cannot sign for it */
        return reply_refuse(m->out, REASON_MALFORMED, "A license cannot move to a medium.");
    int r = devices_find(m->o, &m->who->client, &m->source);
    if (r == OPERATIONS_ABSENT)
        return REASON_NOT_REGISTERED;
    return r == 0 && m->source.revoked ? REASON_DEVICE_REVOKED : r;
}

/* --- What it has: S126-S128 ---------------------------------------------------------------------------------------- */

static int judge_license(struct making *m)
{
    int r = licenses_find(m->o, m->ask->license_id, &m->who->client, &m->license);
    if (r == OPERATIONS_ABSENT)
        return REASON_NO_LICENSE;
    if (r != 0)
        return r;
    const struct license *l = &m->license;
    if (!id_equal(&l->content, m->ask->content) || l->state == LICENSE_GONE)
        return REASON_NO_LICENSE;
    if (l->state == LICENSE_REVOKED)
        return REASON_DEVICE_REVOKED;
    if (l->state == LICENSE_REFUNDED)
        return reply_refuse(m->out, REASON_NO_LICENSE,
                            "Its price was given back: it may be copied and renewed no more.");
    if (!licenses_is_held(l, m->who->now_ms))
        return REASON_LICENSE_EXPIRED;
    /* A license in the middle of a move may only go on to where it is going. */
    if (l->state == LICENSE_MOVING) {
        struct id towards;
        r = copies_find_move(m->o, l->license_id, &l->client, l->sequence, &towards);
        if (r < 0)
            return r;
        if (r != 0 || !m->ask->move || !id_equal(&towards, m->ask->destination))
            return REASON_LICENSE_SUSPENDED;
    }
    r = contents_find(m->o, &l->content, &m->content);
    if (r == 0)
        r = products_get(m->o, l->product, &m->product);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

/* --- Where it goes: S129-S131, S135 -------------------------------------------------------------------------------- */

/* The household is that of the account behind the license, which pays: what else the asking device may be registered for, and
 * with whom, does not matter. */
static int judge_household(struct making *m)
{
    int r = devices_find_in_household(m->o, OPERATIONS_SELF, m->license.account, &m->who->client, &m->source);
    if (r == OPERATIONS_ABSENT)
        return m->who->directory_asked ? REASON_NOT_OWNED : REQUESTS_ASK_DIRECTORY;
    return r == 0 && m->source.revoked ? REASON_DEVICE_REVOKED : r;
}

/* A destination that is registered nowhere is offered preregistration here: its own person runs the command there, with the account's password.
 * Source: seed S131; design section 6.2. */
static int offer_preregistration(struct making *m)
{
    static const char words[] = "The destination is registered nowhere. To register it here, run on it:";
    char address[OPERATIONS_ADDRESS_BYTES], id[ID_TEXT_BYTES], line[sizeof(m->out->detail)];
    int r = operations_setting(m->o, "address", address, sizeof(address));
    if (r == 0 && address[0] == '\0')
        r = operations_setting(m->o, "listen", address, sizeof(address));
    if (r != 0)
        return r;
    id_text(&m->o->keys->self, id);
    int len = snprintf(line, sizeof(line), "%s hearth register hearth://%s#%s --user %s", words, address, id,
                       m->license.account);
    if (len < 0 || (size_t)len >= sizeof(line)) /* half a command would be worse than none */
        return reply_refuse(m->out, REASON_NOT_REGISTERED,
                            "The destination is registered with no distributor known here.");
    return reply_refuse(m->out, REASON_NOT_REGISTERED, "%s", line);
}

/* Nobody's household has it, or not this one: say which, after the directory was asked. */
static int refuse_destination(struct making *m)
{
    if (!m->who->directory_asked)
        return REQUESTS_ASK_DIRECTORY;
    struct id id = id_from(m->ask->destination);
    struct device other;
    int r = devices_find(m->o, &id, &other);
    if (r == OPERATIONS_ABSENT)
        return offer_preregistration(m);
    return r == 0 ? REASON_NOT_OWNED : r;
}

static int judge_destination(struct making *m)
{
    struct id id = id_from(m->ask->destination);
    if (id_equal(&id, &m->who->client))
        return reply_refuse(m->out, REASON_MALFORMED, "A device cannot copy to itself.");
    int r = devices_find_in_household(m->o, OPERATIONS_SELF, m->license.account, &id, &m->destination);
    if (r == OPERATIONS_ABSENT)
        return refuse_destination(m);
    if (r == 0 && m->destination.revoked)
        return reply_refuse(m->out, REASON_DEVICE_REVOKED, "The destination was removed from the household.");
    return r;
}

static int judge_certificates(struct making *m)
{
    int r = devices_certificate(m->o, &m->destination, m->who->now_ms, &m->destination_certificate);
    if (r > 0 && is_partners(m) && !m->who->directory_asked)
        return REQUESTS_ASK_DIRECTORY;
    /* A move is sealed to its source, so that nobody has the certificate before the license is given up. */
    if (r == 0 && m->ask->move)
        r = devices_certificate(m->o, &m->source, m->who->now_ms, &m->source_certificate);
    return r;
}

/* --- The destination's distributor lets us ------------------------------------------------------------------------- */

static bool was_asked(const struct making *m)
{
    for (size_t i = 0; i < m->who->partners_asked_count; i++)
        if (id_equal(&m->who->partners_asked[i], &m->partner.id))
            return true;
    return false;
}

static int judge_delegation(struct making *m)
{
    int64_t days;
    int r = operations_setting_i64(m->o, "certificate-days", &days);
    if (r != 0)
        return r;
    m->lasts_ms = (days > 0 && days < 3650 ? days : 7) * DAY_MS;
    m->ends_at_most_ms = INT64_MAX;
    if (!is_partners(m))
        return 0;
    struct id id = { { 0 } };
    char name[OPERATIONS_NAME_BYTES] = "";
    r = operations_distributor_get(m->o, m->destination.distributor, &id, name, sizeof(name));
    if (r == 0)
        r = delegations_partner_find(m->o, &id, &m->partner);
    if (r == OPERATIONS_ABSENT || (r == 0 && m->partner.withdrawn))
        return reply_refuse(m->out, REASON_DELEGATION_INVALID,
                            "There is no agreement with %s, the destination's distributor.", name);
    struct delegations_usable usable;
    if (r == 0)
        r = delegations_usable(m->o, &m->partner, m->who->now_ms, &usable, &m->delegation);
    if (r == OPERATIONS_ABSENT) {
        m->out->ask = id;
        if (!was_asked(m))
            return REQUESTS_ASK_PARTNER;
        return reply_refuse(m->out, REASON_DELEGATION_INVALID,
                            "%s could not be asked for its permission now. Try again later.", name);
    }
    m->lasts_ms = (int64_t)u64_min((uint64_t)m->lasts_ms, (uint64_t)usable.max_certificate_ms);
    m->ends_at_most_ms = usable.ends_ms;
    return r;
}

static int judge_block(struct making *m)
{
    int r = keyblocks_newest(m->o, m->destination.distributor, &m->block);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

/* --- How often, and for how much: S132-S134, S76-S78 --------------------------------------------------------------- */

static void describe(struct making *m)
{
    struct copy *c = &m->copy;
    memcpy(c->license_id, m->license.license_id, sizeof(c->license_id));
    c->source = m->who->client;
    c->destination = m->destination.client;
    c->content = m->content.id;
    snprintf(c->account, sizeof(c->account), "%s", m->license.account);
    c->destination_number = m->destination.distributor;
    snprintf(c->destination_user, sizeof(c->destination_user), "%s", m->destination.user);
    c->product = m->license.product;
    c->edition = m->license.sequence;
    c->move = m->ask->move;
    c->removable = m->ask->removable;
    c->counted = !c->move; /* nothing multiplies in a move */
    c->block_version = m->block.version;
    c->issued_ms = m->who->now_ms;
    c->ends_ms = (int64_t)u64_min((uint64_t)(c->issued_ms + m->lasts_ms), (uint64_t)m->ends_at_most_ms);
    c->state = CERTIFICATE_ISSUED;
}

/* What the destination's license would say. */
static doc_Conditions conditions_there(const struct making *m)
{
    const struct license *l = &m->license;
    doc_Conditions c = l->conditions;
    if (!m->ask->move) {
        c.copy_depth -= c.copy_depth > 0;
        if (c.copy_depth == 0)
            c.max_copies = c.max_removable = 0;
        return c;
    }
    if (c.max_copies != PRODUCTS_NO_LIMIT) /* what is left of the count moves along */
        c.max_copies -= (uint32_t)u64_min(l->copies, c.max_copies);
    if (c.max_removable != PRODUCTS_NO_LIMIT)
        c.max_removable -= (uint32_t)u64_min(l->removables, c.max_removable);
    return c;
}

static bool is_as_good(const doc_Conditions *a, const doc_Conditions *b)
{
    bool from = !a->has_usage_from_ms || (b->has_usage_from_ms && a->usage_from_ms <= b->usage_from_ms);
    bool until = !a->has_usage_until_ms || (b->has_usage_until_ms && a->usage_until_ms >= b->usage_until_ms);
    return from && until && a->copy_depth >= b->copy_depth && a->max_copies >= b->max_copies &&
           a->max_removable >= b->max_removable;
}

/* A later license replaces the one before: it must not take anything away from a device that has as much already. */
static int judge_need(struct making *m)
{
    struct license held;
    struct device there;
    int r = licenses_find(m->o, m->license.license_id, &m->destination.client, &held);
    if (r == 0 && !licenses_is_held(&held, m->who->now_ms))
        return 0;
    if (r == 0) /* another household's, from before: of no account here */
        r = devices_find_in_household(m->o, OPERATIONS_SELF, held.account, &held.client, &there);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    doc_Conditions offered = conditions_there(m);
    bool gains = !is_as_good(&held.conditions, &offered), loses = !is_as_good(&offered, &held.conditions);
    /* A medium brings the content too, where no connection does: it may bring the same again. */
    if (m->ask->removable ? loses : m->ask->move ? !gains : !gains || loses)
        return reply_refuse(m->out, REASON_ALREADY,
                            "That device has its license; let it run hearth fetch, which brings the content alone.");
    return 0;
}

static int judge_count(struct making *m)
{
    const doc_Conditions *c = &m->license.conditions;
    if (m->ask->move)
        return 0;
    if (c->copy_depth == 0)
        return reply_refuse(m->out, REASON_COPY_COUNT_EXHAUSTED, "The license allows no copies.");
    if (c->max_copies != PRODUCTS_NO_LIMIT && m->license.copies >= c->max_copies)
        return reply_refuse(m->out, REASON_COPY_COUNT_EXHAUSTED, "All %" PRIu32 " copies the license allows were made.",
                            c->max_copies);
    if (m->ask->removable && c->max_removable != PRODUCTS_NO_LIMIT && m->license.removables >= c->max_removable)
        return reply_refuse(m->out, REASON_COPY_COUNT_EXHAUSTED,
                            "The license allows %" PRIu32 " copies to removable media, and no more.", c->max_removable);
    return 0;
}

/* A partner's customer is charged through the partner, as far as that was agreed: within it, the partner answers for the credit. */
static int judge_relayed(struct making *m)
{
    struct terms t;
    int r = settlements_terms(m->o, m->partner.number, &t);
    if (r == 0)
        m->copy.relayed = m->copy.price > 0 && m->copy.price <= t.charges;
    return r;
}

static int judge_price(struct making *m)
{
    char charged[8] = "";
    int r = m->ask->move ? operations_setting(m->o, "move-charged", charged, sizeof(charged)) : 0;
    if (r != 0)
        return r;
    m->copy.price = !m->ask->move || strcmp(charged, "yes") == 0 ? m->product.copy_price : 0;
    bool destination;
    r = billing_copy_payer(m->o, m->product.number, &destination);
    if (r != 0)
        return r;
    if (destination && is_partners(m))
        r = judge_relayed(m);
    snprintf(m->copy.payer, sizeof(m->copy.payer), "%s",
             destination && !is_partners(m) ? m->destination.user : m->copy.account);
    if (r != 0 || m->copy.relayed)
        return r;
    return billing_judge_credit(m->o, m->copy.payer, m->copy.price, m->who->now_ms, m->out);
}

/* --- Making it: S136-S139 ------------------------------------------------------------------------------------------ */

/* For ours the license key; for a partner's device the copy key to which it delegated. */
static int choose_signer(struct making *m, struct sign_pair *copy_pair, struct signer *signer)
{
    if (!is_partners(m)) {
        signer_from_pair(signer, &m->o->keys->license);
        return 0;
    }
    int r = delegations_copy_pair(m->o, &m->partner, copy_pair);
    if (r == 0)
        signer_from_pair(signer, copy_pair);
    return r;
}

static int make_license(struct making *m, const struct signer *signer, const struct content_halves *halves,
                        struct buf *document)
{
    struct license l = m->license;
    l.client = m->destination.client;
    l.conditions = conditions_there(m);
    return licenses_sign(m->o, &l, &m->destination_certificate, &halves->license, m->who->now_ms, signer, document);
}

static void wipe_pair(struct sign_pair *p) { key32_wipe(&p->seed); }

static int make_certificate(struct making *m, struct buf *document)
{
    struct operations *o = m->o;
    struct content_halves halves CLEANUP(content_halves_wipe) = { 0 };
    struct sign_pair copy_pair CLEANUP(wipe_pair) = { 0 };
    struct signer signer;
    doc_CopyCertificate *d CLEANUP(freep) = calloc(1, sizeof(*d));
    struct buf license CLEANUP(buf_free) = buf(sizeof(d->license.bytes));
    uint64_t sequence = 0;
    int r = d ? contents_halves(o, &m->content.id, &halves) : -ENOMEM;
    if (r == 0)
        r = choose_signer(m, &copy_pair, &signer);
    if (r == 0)
        r = make_license(m, &signer, &halves, &license);
    if (r == 0)
        r = operations_count(o, "certificate", &sequence);
    if (r == 0)
        r = contentkey_wrap(o->rng, &m->block.root, &m->content.id, m->license.license_id, &halves.header,
                            d->wrapped_half);
    if (r == 0)
        r = keyblocks_entry(o, m->destination.distributor, m->destination_certificate.leaf.number, &d->key_block);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    put_be64(m->copy.serial, sequence);
    rng_fill(o->rng, m->copy.serial + 8, 8);
    memcpy(d->issuer, o->keys->self.bytes, ID_BYTES);
    memcpy(d->serial, m->copy.serial, sizeof(d->serial));
    memcpy(d->source, m->copy.source.bytes, ID_BYTES);
    memcpy(d->destination, m->copy.destination.bytes, ID_BYTES);
    memcpy(d->content, m->copy.content.bytes, ID_BYTES);
    d->partner_root = is_partners(m);
    d->move = m->copy.move;
    d->removable = m->copy.removable;
    d->issued_ms = (uint64_t)m->copy.issued_ms;
    d->ends_ms = (uint64_t)m->copy.ends_ms;
    if (CODEC_SET_BYTES(d->license, buf_slice(&license)) != 0)
        return -EMSGSIZE;
    r = document_sign(document, DOCUMENT_COPY_CERTIFICATE, d, &signer);
    return r > 0 ? -EMSGSIZE : r;
}

/* --- Recording and charging: S141, S85 ----------------------------------------------------------------------------- */

static int record(struct making *m, struct slice document)
{
    struct copy *c = &m->copy;
    char text[256];
    snprintf(text, sizeof(text), "%s: %.90s to %s", c->move ? "Move" : "Copy", m->content.title, m->destination.name);
    struct sale sale = { .tariff = POSTING_COPY,
                         .user = c->payer,
                         .partner = c->relayed ? &m->partner.id : NULL,
                         .product = c->product,
                         .price = c->price,
                         .subject = { .has_serial = true },
                         .text = text,
                         .now_ms = m->who->now_ms };
    memcpy(sale.subject.serial, c->serial, sizeof(c->serial));
    int r = billing_sell(m->o, &sale, &c->charge);
    if (r == 0 && is_partners(m))
        r = settlements_fee(m->o, c, &m->partner.id, c->price, m->who->now_ms);
    if (r == 0)
        r = copies_add(m->o, c, &m->destination_certificate.leaf, document, buf_slice(&m->delegation));
    if (r == 0 && c->counted)
        r = licenses_count(m->o, c->license_id, &c->source, c->edition, 1, c->removable ? 1 : 0);
    if (r == 0 && c->move)
        r = licenses_set_state(m->o, c->license_id, &c->source, c->edition, LICENSE_MOVING);
    return r;
}

static int fill_result(struct making *m, struct slice document, struct slice delegation, msg_Result *result)
{
    uint8_t sealed[sizeof(result->certificate.bytes)];
    struct slice certificate = document;
    if (m->ask->move) {
        if (document.len + SEAL_OVERHEAD_BYTES > sizeof(sealed))
            return -EMSGSIZE;
        int r = seal_to(m->source_certificate.sealing_key, document, sealed);
        if (r != 0)
            return r;
        certificate = slice(sealed, document.len + SEAL_OVERHEAD_BYTES);
    }
    result->has_certificate = true;
    result->has_delegation = delegation.len > 0;
    if (CODEC_SET_BYTES(result->certificate, certificate) != 0 || CODEC_SET_BYTES(result->delegation, delegation) != 0)
        return -EMSGSIZE;
    return 0;
}

/* Asking again while one is open gives the same certificate, which can be redeemed only once: nothing is counted twice. */
static int reuse(struct making *m, msg_Result *result)
{
    struct copy open;
    struct buf document CLEANUP(buf_free) = buf(4096), delegation CLEANUP(buf_free) = buf(1024);
    int r = copies_find_open(m->o, &m->copy, &open, &document, &delegation);
    if (r != 0)
        return r;
    bool good = open.block_version == m->copy.block_version && open.destination_number == m->copy.destination_number &&
                open.ends_ms - m->who->now_ms > REUSE_REMAINING_MS &&
                slice_equal(buf_slice(&delegation), buf_slice(&m->delegation));
    return good ? fill_result(m, buf_slice(&document), buf_slice(&delegation), result) : OPERATIONS_ABSENT;
}

int copy_issue_run(struct operations *o, const struct caller *who, const msg_CopyAsk *item, msg_Result *result,
                   struct reply *out)
{
    static step_fn *const judgements[] = { judge_source,       judge_license,    judge_household, judge_destination,
                                           judge_certificates, judge_delegation, judge_block };
    struct making m CLEANUP(making_deinit) = { .o = o, .who = who, .ask = item, .out = out, .delegation = buf(1024) };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(judgements); i++)
        r = judgements[i](&m);
    if (r != 0)
        return r;
    describe(&m);
    r = reuse(&m, result);
    if (r != OPERATIONS_ABSENT)
        return r;
    struct buf document CLEANUP(buf_free) = buf(4096);
    r = judge_need(&m);
    if (r == 0)
        r = judge_count(&m);
    if (r == 0)
        r = judge_price(&m);
    if (r == 0)
        r = make_certificate(&m, &document);
    if (r == 0)
        r = record(&m, buf_slice(&document));
    return r == 0 ? fill_result(&m, buf_slice(&document), buf_slice(&m.delegation), result) : r;
}
