/* May a copy certificate be issued? A chain of judgements, each of which may refuse; what another server must say first ends it with
 * REQUESTS_ASK_..., to be run again (requests.h). On the connection's thread. Source: seed S121-S135, S76-S78. */
#define LOG_MODULE "copies"
#include <inttypes.h>
#include <stdio.h>

#include "base/util.h"
#include "distributor/billing.h"
#include "distributor/copy_issue_internal.h"
#include "distributor/reply.h"

#define DAY_MS INT64_C(86400000)

typedef int step_fn(struct making *m);

static bool is_partners(const struct making *m) { return m->destination.distributor != OPERATIONS_SELF; }

bool copy_is_checkin(const struct making *m)
{
    return m->ask->has_checkout && m->ask->checkout && m->license.has_lender;
}

static bool is_checkout(const struct making *m)
{
    return m->ask->has_checkout && m->ask->checkout && !m->license.has_lender;
}

/* --- Who asks: S123-S125 ------------------------------------------------------------------------------------------- */

static int judge_source(struct making *m)
{
    if (m->ask->move && m->ask->removable) /* a medium cannot sign for it */
        return reply_refuse(m->out, REASON_MALFORMED, "A license cannot move to a medium.");
    if (m->ask->has_checkout && m->ask->checkout && !m->ask->move)
        return REASON_MALFORMED;
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
    if (l->state == LICENSE_LENT)
        return reply_refuse(m->out, REASON_LICENSE_SUSPENDED, "It is checked out; it is checked in there.");
    if (l->state == LICENSE_RETURNED)
        return reply_refuse(m->out, REASON_NO_LICENSE, "It was returned. Take it again first: hearth restore TRACK");
    if (!licenses_is_held(l, m->who->now_ms) && !l->has_lender)
        return REASON_LICENSE_EXPIRED;
    if (l->has_lease)
        return reply_refuse(m->out, REASON_NOT_PERMITTED,
                            "A lease is not copied or moved: return it, and take it on the other device.");
    if (l->has_lender && !copy_is_checkin(m))
        return reply_refuse(m->out, REASON_NOT_PERMITTED, "It is checked out to this device: hearth checkin TRACK");
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
    if (r == 0 && copy_is_checkin(m) && !id_equal(&id, &m->license.lender))
        return reply_refuse(m->out, REASON_NOT_PERMITTED, "It goes back to the device it was checked out from.");
    if (r != 0)
        return r;
    r = licenses_find(m->o, m->license.license_id, &m->destination.client, &m->held);
    m->has_held = r == 0;
    return r == OPERATIONS_ABSENT ? 0 : r;
}

/* How much of it was used, by the word of the vault: what moves is what is left. And which edition the vault has: a later one that its hearthd kept back
 * would be a second license there, once this one is elsewhere. */
static int judge_use(struct making *m)
{
    doc_Use use;
    struct license *l = &m->license;
    if (!m->ask->move)
        return 0;
    if (!m->ask->has_use)
        return reply_refuse(m->out, REASON_MALFORMED, "How much of it was used must be said.");
    int r = use_judge(CODEC_BYTES(m->ask->use), &use);
    if (r != 0)
        return r;
    if (!id_equal(use.client, &l->client) || !id_equal(use.issuer, &m->o->keys->self) ||
        memcmp(use.license_id, l->license_id, sizeof(use.license_id)) != 0)
        return REASON_MALFORMED;
    if (use.sequence != l->sequence)
        return reply_refuse(m->out, REASON_OUT_OF_STEP,
                            "The device has another edition of this license than the latest.");
    struct license_used used = licenses_used(&use);
    if (used.plays < l->used.plays || used.play_ms < l->used.play_ms || used.recoveries < l->used.recoveries)
        return REASON_OUT_OF_STEP; /* an older word than the last */
    return licenses_set_used(m->o, l, &used);
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

static int judge_delegation(struct making *m)
{
    int64_t days;
    int r = operations_setting_i64(m->o, "certificate-days", &days);
    if (r == 0)
        r = give_authority(m->o, m->who, m->destination.distributor, m->out, &m->authority);
    if (r != 0)
        return r;
    m->lasts_ms = (days > 0 && days < 3650 ? days : 7) * DAY_MS;
    m->lasts_ms = (int64_t)u64_min((uint64_t)m->lasts_ms, (uint64_t)m->authority.usable.max_certificate_ms);
    m->ends_at_most_ms = m->authority.usable.ends_ms;
    return 0;
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
    c->checkout = is_checkout(m);
    c->counted = !c->move; /* nothing multiplies in a move */
    c->block_version = m->block.version;
    c->issued_ms = m->who->now_ms;
    c->ends_ms = (int64_t)u64_min((uint64_t)(c->issued_ms + m->lasts_ms), (uint64_t)m->ends_at_most_ms);
    c->state = CERTIFICATE_ISSUED;
}

/* A copy, as the conditions of its original allow copies; plays and time as they were sold. */
static doc_Conditions conditions_of_copy(const struct making *m)
{
    doc_Conditions c = m->license.conditions;
    const doc_Conditions *sold = &m->product.conditions;
    c.copy_depth -= c.copy_depth > 0;
    if (c.copy_depth == 0)
        c.max_copies = c.max_removable = 0;
    if (c.has_max_plays && sold->has_max_plays)
        c.max_plays = (uint32_t)u64_min(c.max_plays, sold->max_plays);
    if (c.has_max_play_ms && sold->has_max_play_ms)
        c.max_play_ms = u64_min(c.max_play_ms, sold->max_play_ms);
    if (c.has_max_recoveries && sold->has_max_recoveries)
        c.max_recoveries = (uint32_t)u64_min(c.max_recoveries, sold->max_recoveries);
    c.has_max_checkouts = false; /* the original is lent */
    c.max_checkouts = 0;
    return c;
}

static void take_made(uint32_t *max, uint32_t made)
{
    if (*max != PRODUCTS_NO_LIMIT)
        *max -= (uint32_t)u64_min(made, *max);
}

/* What is left of each count moves along. What is checked out is to be used, not to be given on. */
static doc_Conditions conditions_of_move(const struct making *m)
{
    const struct license *l = &m->license;
    doc_Conditions c = l->conditions;
    take_made(&c.max_copies, l->copies);
    take_made(&c.max_removable, l->removables);
    take_made(&c.max_checkouts, l->checkouts);
    if (is_checkout(m)) {
        c.max_copies = c.copy_depth = c.max_removable = c.max_checkouts = 0;
        c.has_max_checkouts = c.has_own_price = c.has_record = c.record = false;
        c.own_price = 0;
    }
    return copy_is_checkin(m) && m->has_held ? m->held.conditions : c;
}

doc_Conditions copy_conditions_there(const struct making *m)
{
    const struct license *l = &m->license;
    const doc_Conditions *from = &l->conditions;
    doc_Conditions c = m->ask->move ? conditions_of_move(m) : conditions_of_copy(m);
    struct license_used there = m->has_held ? m->held.used : (struct license_used){ 0 };
    if (m->ask->move && c.has_max_plays && from->has_max_plays)
        c.max_plays = from->max_plays - (uint32_t)u64_min(l->used.plays, from->max_plays);
    if (m->ask->move && c.has_max_play_ms && from->has_max_play_ms)
        c.max_play_ms = from->max_play_ms - u64_min(l->used.play_ms, from->max_play_ms);
    if (m->ask->move && c.has_max_recoveries)
        c.max_recoveries = from->max_recoveries - (uint32_t)u64_min(l->used.recoveries, from->max_recoveries);
    /* limits are totals of all that its vault has counted */
    if (c.has_max_plays)
        c.max_plays = u32_add(c.max_plays, there.plays);
    if (c.has_max_play_ms)
        c.max_play_ms = u64_min(u64_add(c.max_play_ms, there.play_ms), INT64_MAX);
    if (c.has_max_recoveries)
        c.max_recoveries = u32_add(c.max_recoveries, there.recoveries);
    return c;
}

/* A later license replaces the one before: it must not take anything away from a device that has as much already. */
static int judge_need(struct making *m)
{
    const struct license *held = &m->held;
    struct device there;
    if (!m->has_held || !licenses_is_held(held, m->who->now_ms))
        return 0;
    int r = devices_find_in_household(m->o, OPERATIONS_SELF, held->account, &held->client, &there);
    if (r != 0) /* another household's, from before: of no account here */
        return r == OPERATIONS_ABSENT ? 0 : r;
    doc_Conditions offered = copy_conditions_there(m);
    bool gains = !conditions_as_good(&held->conditions, &offered),
         loses = !conditions_as_good(&offered, &held->conditions);
    /* A medium brings the content too, where no connection does: it may bring the same again. */
    if (m->ask->removable ? loses : m->ask->move ? !gains || (m->copy.checkout && loses) : !gains || loses)
        return reply_refuse(
            m->out, REASON_ALREADY,
            "That device has a license for it: nothing was copied, nothing was charged. Should its content be missing or damaged there, hearth fetch there brings it.");
    return 0;
}

static int judge_checkout_count(struct making *m)
{
    const doc_Conditions *c = &m->license.conditions;
    if (!m->copy.checkout)
        return 0;
    bool copies = c->copy_depth > 0 && (c->max_copies == PRODUCTS_NO_LIMIT || m->license.copies < c->max_copies);
    if (!c->has_max_checkouts || c->max_checkouts == 0)
        return reply_refuse(m->out, REASON_COPY_COUNT_EXHAUSTED, "The license allows no checkouts%s.",
                            copies ? ", but copies: hearth copy TRACK --to DEVICE" : "");
    if (c->max_checkouts != PRODUCTS_NO_LIMIT && m->license.checkouts >= c->max_checkouts)
        return reply_refuse(m->out, REASON_COPY_COUNT_EXHAUSTED,
                            "All %" PRIu32 " checkouts the license allows were made.", c->max_checkouts);
    return 0;
}

static int judge_count(struct making *m)
{
    const doc_Conditions *c = &m->license.conditions;
    if (m->ask->move)
        return judge_checkout_count(m);
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
    int r = settlements_terms(m->o, m->authority.partner.number, &t);
    if (r == 0)
        m->copy.relayed = m->copy.price > 0 && m->copy.price <= t.charges;
    return r;
}

static int judge_price(struct making *m)
{
    int r = 0;
    m->copy.price = 0;
    if (!copy_is_checkin(m)) /* paid when it was lent */
        r = products_copy_price(m->o, &m->product, m->ask->move && !m->copy.checkout, &m->copy.price);
    if (r != 0)
        return r;
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

/* --- The chain ------------------------------------------------------------------------------------------------------ */

int copy_judge_parties(struct making *m)
{
    static step_fn *const judgements[] = { judge_source,       judge_license,    judge_household, judge_destination,
                                           judge_certificates, judge_delegation, judge_block,     judge_use };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(judgements); i++)
        r = judgements[i](m);
    if (r == 0)
        describe(m);
    return r;
}

int copy_judge_terms(struct making *m)
{
    int r = judge_need(m);
    if (r == 0)
        r = judge_count(m);
    return r == 0 ? judge_price(m) : r;
}
