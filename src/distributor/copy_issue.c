/* The license server issues a copy certificate, once copy_judge.c has found nothing against it. On the connection's thread.
 *
 * Source: seed S136-S141. Departure from S138, S139 (design section 2): for another distributor's device the certificate
 * is signed with our own copy key, to which that distributor delegated; no secret key leaves its server. */
#define LOG_MODULE "copies"
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "crypto/contentkey.h"
#include "crypto/seal.h"
#include "distributor/billing.h"
#include "distributor/copy_issue_internal.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"

#define REUSE_REMAINING_MS (60 * 60 * 1000) /* a certificate that is asked for again and has less left is issued anew */

static void making_deinit(struct making *m)
{
    give_authority_deinit(&m->authority);
    keyblocks_newest_wipe(&m->block);
}

/* --- Making it: S136-S139 ------------------------------------------------------------------------------------------ */

static int make_license(struct making *m, const struct signer *signer, const struct content_halves *halves,
                        struct buf *document)
{
    struct license l = m->license;
    l.client = m->destination.client;
    l.conditions = copy_conditions_there(m);
    l.has_lender = m->copy.checkout;
    l.lender = m->copy.source;
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
        r = give_signer(o, &m->authority, &copy_pair, &signer);
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
    d->partner_root = m->authority.is_partners;
    d->move = m->copy.move;
    d->removable = m->copy.removable;
    d->has_plays_before = d->move && m->license.conditions.has_max_plays;
    d->plays_before = d->has_plays_before && m->has_held ? m->held.plays : 0;
    d->has_play_ms_before = d->move && m->license.conditions.has_max_play_ms;
    d->play_ms_before = d->has_play_ms_before && m->has_held ? m->held.play_ms : 0;
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
                         .partner = c->relayed ? &m->authority.partner.id : NULL,
                         .product = c->product,
                         .price = c->price,
                         .subject = { .has_serial = true },
                         .text = text,
                         .now_ms = m->who->now_ms };
    memcpy(sale.subject.serial, c->serial, sizeof(c->serial));
    int r = billing_sell(m->o, &sale, &c->charge);
    if (r == 0 && m->authority.is_partners)
        r = settlements_fee(m->o, c, &m->authority.partner.id, c->price, m->who->now_ms);
    if (r == 0)
        r = copies_add(m->o, c, &m->destination_certificate.leaf, document, buf_slice(&m->authority.delegation));
    if (r == 0)
        r = licenses_count(m->o, c->license_id, &c->source, c->edition, copies_made(c, 1));
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

/* Would the source's vault still release it? Not when more was used there since: that is all that may void it, for what was not released is
 * nowhere. What the destination has used meanwhile is no reason: it may have stored this very certificate. */
static int judge_unused(const struct making *m, struct slice document, bool *same)
{
    doc_CopyCertificate *c CLEANUP(freep) = calloc(1, sizeof(*c));
    doc_License l;
    uint8_t signer[32];
    if (!c)
        return -ENOMEM;
    int r = document_open(DOCUMENT_COPY_CERTIFICATE, document, c, sizeof(*c), signer);
    if (r == 0)
        r = document_open(DOCUMENT_LICENSE, CODEC_BYTES(c->license), &l, sizeof(l), signer);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    const doc_Conditions *here = &m->license.conditions, *there = &l.conditions;
    uint64_t plays = here->max_plays - u64_min(m->license.plays, here->max_plays);
    uint64_t play_ms = here->max_play_ms - u64_min(m->license.play_ms, here->max_play_ms);
    bool plays_left = !here->has_max_plays || !there->has_max_plays ||
                      there->max_plays - u64_min(c->plays_before, there->max_plays) <= plays;
    bool time_left = !here->has_max_play_ms || !there->has_max_play_ms ||
                     there->max_play_ms - u64_min(c->play_ms_before, there->max_play_ms) <= play_ms;
    *same = plays_left && time_left;
    return 0;
}

/* Asking again while one is open gives the same certificate, which can be redeemed only once: nothing is counted twice. */
static int reuse(struct making *m, msg_Result *result)
{
    struct copy open;
    struct buf document CLEANUP(buf_free) = buf(4096), delegation CLEANUP(buf_free) = buf(1024);
    bool unused = true;
    int r = copies_find_open(m->o, &m->copy, &open, &document, &delegation);
    if (r == 0 && m->copy.move)
        r = judge_unused(m, buf_slice(&document), &unused);
    if (r == 0 && !unused) {
        r = copies_void(m->o, &open, m->who->now_ms);
        return r == 0 ? OPERATIONS_ABSENT : r;
    }
    if (r != 0)
        return r;
    bool good = open.block_version == m->copy.block_version && open.destination_number == m->copy.destination_number &&
                open.ends_ms - m->who->now_ms > REUSE_REMAINING_MS &&
                slice_equal(buf_slice(&delegation), buf_slice(&m->authority.delegation));
    return good ? fill_result(m, buf_slice(&document), buf_slice(&delegation), result) : OPERATIONS_ABSENT;
}

int copy_issue_run(struct operations *o, const struct caller *who, const msg_CopyAsk *item, msg_Result *result,
                   struct reply *out)
{
    struct making m CLEANUP(
        making_deinit) = { .o = o, .who = who, .ask = item, .out = out, .authority = { .delegation = buf(1024) } };
    int r = copy_judge_parties(&m);
    if (r == 0)
        r = reuse(&m, result);
    if (r != OPERATIONS_ABSENT)
        return r;
    struct buf document CLEANUP(buf_free) = buf(4096);
    r = copy_judge_terms(&m);
    if (r == 0)
        r = make_certificate(&m, &document);
    if (r == 0)
        r = record(&m, buf_slice(&document));
    return r == 0 ? fill_result(&m, buf_slice(&document), buf_slice(&m.authority.delegation), result) : r;
}

/* --- To the device that asks ---------------------------------------------------------------------------------------- */

static int hand_over(struct making *m, const struct device *d, struct slice document, msg_Result *result)
{
    struct content_halves halves CLEANUP(content_halves_wipe) = { 0 };
    doc_CopyCertificate *c CLEANUP(freep) = calloc(1, sizeof(*c));
    struct buf header CLEANUP(buf_free) = buf(sizeof(result->header.bytes));
    uint8_t signer[32];
    if (!c)
        return -ENOMEM;
    int r = document_open(DOCUMENT_COPY_CERTIFICATE, document, c, sizeof(*c), signer);
    if (r == 0)
        r = contents_halves(m->o, &m->content.id, &halves);
    if (r == 0)
        r = licenses_header(m->o, d, &m->content.id, &halves, &header);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    return license_result(CODEC_BYTES(c->license), buf_slice(&header), slice(NULL, 0), result);
}

int copy_issue_here(struct operations *o, const struct caller *who, const struct id *source,
                    const uint8_t license_id[16], const struct device *d, const struct id *content, msg_Result *result,
                    struct reply *out)
{
    struct caller as_source = *who;
    msg_CopyAsk ask = msg_CopyAsk_init_zero;
    as_source.client = *source;
    memcpy(ask.content, content->bytes, ID_BYTES);
    memcpy(ask.license_id, license_id, sizeof(ask.license_id));
    memcpy(ask.destination, d->client.bytes, ID_BYTES);
    struct making m CLEANUP(making_deinit) = {
        .o = o, .who = &as_source, .ask = &ask, .out = out, .authority = { .delegation = buf(1024) }
    };
    struct buf document CLEANUP(buf_free) = buf(4096);
    int r = copy_judge_parties(&m);
    if (r == 0)
        r = copy_judge_terms(&m);
    if (r == 0)
        r = make_certificate(&m, &document);
    if (r == 0)
        r = record(&m, buf_slice(&document));
    if (r == 0)
        r = copies_enter(o, &m.copy, buf_slice(&document), who->now_ms);
    if (r == REQUESTS_ASK_DIRECTORY || r == REQUESTS_ASK_PARTNER) /* both are ours */
        r = REASON_NOT_OWNED;
    return r == 0 ? hand_over(&m, d, buf_slice(&document), result) : r;
}
