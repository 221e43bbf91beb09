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
#include "distributor/late.h"
#include "distributor/reply.h"

#define REUSE_REMAINING_MS (60 * 60 * 1000) /* a certificate that is asked for again and has less left is issued anew */

static void making_deinit(struct making *m)
{
    give_authority_deinit(&m->authority);
    keyblocks_newest_wipe(&m->block);
}

/* --- Making it: S136-S139 ------------------------------------------------------------------------------------------ */

static int describe_license(struct making *m, doc_License *d)
{
    struct license l = m->license;
    l.client = m->destination.client;
    l.conditions = copy_conditions_there(m);
    l.has_lender = m->copy.checkout;
    l.lender = m->copy.source;
    return licenses_describe(m->o, &l, &m->destination_certificate, m->who->now_ms, d);
}

static void describe_certificate(const struct making *m, doc_CopyCertificate *d)
{
    memcpy(d->issuer, m->o->keys->self.bytes, ID_BYTES);
    memcpy(d->serial, m->copy.serial, sizeof(d->serial));
    memcpy(d->source, m->copy.source.bytes, ID_BYTES);
    memcpy(d->destination, m->copy.destination.bytes, ID_BYTES);
    memcpy(d->content, m->copy.content.bytes, ID_BYTES);
    d->partner_root = m->authority.is_partners;
    d->move = m->copy.move;
    d->removable = m->copy.removable;
    d->has_plays_before = d->move && m->license.conditions.has_max_plays;
    d->plays_before = d->has_plays_before && m->has_held ? m->held.used.plays : 0;
    d->has_play_ms_before = d->move && m->license.conditions.has_max_play_ms;
    d->play_ms_before = d->has_play_ms_before && m->has_held ? m->held.used.play_ms : 0;
    d->has_recoveries_before = d->move && m->license.conditions.has_max_recoveries;
    d->recoveries_before = d->has_recoveries_before && m->has_held ? m->held.used.recoveries : 0;
    d->issued_ms = (uint64_t)m->copy.issued_ms;
    d->ends_ms = (uint64_t)m->copy.ends_ms;
}

/* All that the database says of it; papers: zeroed. */
static int prepare(struct making *m, struct copy_papers *papers)
{
    struct operations *o = m->o;
    struct content_halves halves CLEANUP(content_halves_wipe) = { 0 };
    doc_CopyCertificate *d = &papers->certificate;
    uint64_t sequence = 0;
    int r = contents_halves(o, &m->content.id, &halves);
    if (r == 0)
        r = give_pair(o, &m->authority, &papers->copy_pair, &papers->pair);
    if (r == 0)
        r = describe_license(m, &papers->license);
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
    describe_certificate(m, d);
    memcpy(papers->sealing_key, m->destination_certificate.sealing_key, sizeof(papers->sealing_key));
    papers->license_half = halves.license;
    return 0;
}

static void papers_freep(struct copy_papers **p)
{
    if (*p != NULL)
        copy_papers_wipe(*p);
    free(*p);
}

static int make_certificate(struct making *m, struct buf *document)
{
    struct copy_papers *papers CLEANUP(papers_freep) = calloc(1, sizeof(*papers));
    int r = papers ? prepare(m, papers) : -ENOMEM;
    return r == 0 ? copy_papers_make(papers, document) : r;
}

/* --- Recording and charging: S141, S85 ----------------------------------------------------------------------------- */

static int charge(struct making *m)
{
    struct copy *c = &m->copy;
    char text[256];
    snprintf(text, sizeof(text), "%s: %.90s from %s to %s", c->move ? "Move" : "Copy", m->content.title, m->source.name,
             m->destination.name);
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
        r = licenses_count(m->o, c->license_id, &c->source, c->edition, copies_made(c, 1));
    if (r == 0 && c->move)
        r = licenses_set_state(m->o, c->license_id, &c->source, c->edition, LICENSE_MOVING);
    return r;
}

static int record(struct making *m, struct slice document)
{
    int r = charge(m);
    return r == 0 ? copies_add(m->o, &m->copy, &m->destination_certificate.leaf, document,
                               buf_slice(&m->authority.delegation))
                  : r;
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
    const struct license_used *used = &m->license.used;
    doc_Use counts = { .plays = used->plays, .play_ms = used->play_ms, .recoveries = used->recoveries };
    *same = use_covers_move(&m->license.conditions, &counts, c, &l.conditions);
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
    if (!good)
        return OPERATIONS_ABSENT;
    m->copy = open;
    return fill_result(m, buf_slice(&document), buf_slice(&delegation), result);
}

static int issue(struct making *m, msg_Result *result)
{
    struct buf document CLEANUP(buf_free) = buf(4096);
    int r = make_certificate(m, &document);
    if (r == 0)
        r = record(m, buf_slice(&document));
    if (r == 0)
        r = fill_result(m, buf_slice(&document), buf_slice(&m->authority.delegation), result);
    if (r == 0)
        copies_tell_charged(m->copy.price, m->o->currency, result);
    return r;
}

/* All but what its signatures go into; the rest is late.c's. */
static int issue_late(struct making *m, struct late_copy *late)
{
    int r = prepare(m, &late->papers);
    if (r == 0)
        r = charge(m);
    if (r == 0)
        r = copies_add_history(m->o, &m->copy, &m->destination_certificate.leaf);
    if (r == 0)
        r = buf_append(&late->delegation, buf_slice(&m->authority.delegation));
    late->copy = m->copy;
    memcpy(late->currency, m->o->currency, sizeof(late->currency));
    if (r != 0)
        late_cancel(m->o);
    return r;
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
    r = copy_judge_terms(&m);
    if (r != 0)
        return r;
    struct late_copy *late = item->move ? NULL : late_begin(o); /* a move's is sealed once more */
    return late ? issue_late(&m, late) : issue(&m, result);
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

static struct caller as_source(const struct caller *who, const struct copy_queue_row *row)
{
    struct caller source = *who;
    source.client = row->source;
    return source;
}

static msg_CopyAsk ask_of(const struct copy_queue_row *row, const struct device *d)
{
    msg_CopyAsk ask = msg_CopyAsk_init_zero;
    memcpy(ask.content, row->content.bytes, ID_BYTES);
    memcpy(ask.license_id, row->license_id, sizeof(ask.license_id));
    memcpy(ask.destination, d->client.bytes, ID_BYTES);
    return ask;
}

int copy_issue_here(struct operations *o, const struct caller *who, const struct copy_queue_row *row,
                    const struct device *d, msg_Result *result, struct reply *out)
{
    struct caller source = as_source(who, row);
    msg_CopyAsk ask = ask_of(row, d);
    struct making m CLEANUP(
        making_deinit) = { .o = o, .who = &source, .ask = &ask, .out = out, .authority = { .delegation = buf(1024) } };
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

/* --- To a guest, which settles it with its receipt ------------------------------------------------------------------ */

/* The certificate it was given before, however old: it has stored it and says so, or its vault refuses it. Only then there is another.
 * OPERATIONS_ABSENT: it is settled. */
static int give_again(struct making *m, struct copy_queue_row *row, msg_Result *result)
{
    struct buf document CLEANUP(buf_free) = buf(4096), delegation CLEANUP(buf_free) = buf(1024);
    int r = row->certified ? copies_find(m->o, row->serial, &m->copy, &document, &delegation) : OPERATIONS_ABSENT;
    if (r != 0)
        return r;
    bool waits = m->copy.state == CERTIFICATE_ISSUED || m->copy.state == CERTIFICATE_ENDED;
    return waits && document.len > 0 ? fill_result(m, buf_slice(&document), buf_slice(&delegation), result)
                                     : OPERATIONS_ABSENT;
}

/* One that its source has asked for is the same copy. */
static int give_new(struct making *m, msg_Result *result)
{
    int r = copy_judge_parties(m);
    if (r == 0)
        r = reuse(m, result);
    if (r == OPERATIONS_ABSENT)
        r = copy_judge_terms(m);
    else
        return r;
    return r == 0 ? issue(m, result) : r;
}

int copy_issue_guest(struct operations *o, const struct caller *who, struct copy_queue_row *row, const struct device *d,
                     msg_Result *result, struct reply *out)
{
    struct caller source = as_source(who, row);
    msg_CopyAsk ask = ask_of(row, d);
    struct making m CLEANUP(
        making_deinit) = { .o = o, .who = &source, .ask = &ask, .out = out, .authority = { .delegation = buf(1024) } };
    int r = give_again(&m, row, result);
    if (r == OPERATIONS_ABSENT)
        r = give_new(&m, result);
    if (r != 0)
        return r;
    memcpy(row->serial, m.copy.serial, sizeof(row->serial));
    row->ends_ms = m.copy.ends_ms;
    return 0;
}
