/* Giving licenses. On the connection's thread. */
#include "distributor/give.h"

#include <stdio.h>

#include "base/util.h"
#include "distributor/reply.h"

/* --- For whom we may sign ------------------------------------------------------------------------------------------ */

void give_authority_deinit(struct give_authority *a) { buf_free(&a->delegation); }

static bool was_asked(const struct caller *who, const struct id *partner)
{
    for (size_t i = 0; i < who->partners_asked_count; i++)
        if (id_equal(&who->partners_asked[i], partner))
            return true;
    return false;
}

int give_authority(struct operations *o, const struct caller *who, int64_t distributor, struct reply *out,
                   struct give_authority *a)
{
    struct id id = { { 0 } };
    char name[OPERATIONS_NAME_BYTES] = "";
    a->is_partners = distributor != OPERATIONS_SELF;
    a->usable = (struct delegations_usable){ .ends_ms = INT64_MAX, .max_certificate_ms = INT64_MAX };
    if (!a->is_partners)
        return 0;
    int r = operations_distributor_get(o, distributor, &id, name, sizeof(name));
    if (r == 0)
        r = delegations_partner_find(o, &id, &a->partner);
    if (r == OPERATIONS_ABSENT || (r == 0 && a->partner.withdrawn))
        return reply_refuse(out, REASON_DELEGATION_INVALID,
                            "There is no agreement with %s, the destination's distributor.", name);
    if (r == 0)
        r = delegations_usable(o, &a->partner, who->now_ms, &a->usable, &a->delegation);
    if (r != OPERATIONS_ABSENT)
        return r;
    out->ask = id;
    if (!was_asked(who, &id))
        return REQUESTS_ASK_PARTNER;
    return reply_refuse(out, REASON_DELEGATION_INVALID,
                        "%s could not be asked for its permission now. Try again later.", name);
}

int give_pair(struct operations *o, const struct give_authority *a, struct sign_pair *copy_pair,
              const struct sign_pair **pair)
{
    int r = a->is_partners ? delegations_copy_pair(o, &a->partner, copy_pair) : 0;
    if (r == 0)
        *pair = a->is_partners ? copy_pair : &o->keys->license;
    return r;
}

int give_signer(struct operations *o, const struct give_authority *a, struct sign_pair *copy_pair,
                struct signer *signer)
{
    const struct sign_pair *pair;
    int r = give_pair(o, a, copy_pair, &pair);
    if (r == 0)
        signer_from_pair(signer, pair);
    return r;
}

/* --- The license ------------------------------------------------------------------------------------------------- */

int license_result(struct slice document, struct slice header, struct slice delegation, msg_Result *result)
{
    result->has_license = true;
    result->has_header = header.len > 0;
    result->has_delegation = delegation.len > 0;
    bool fits = CODEC_SET_BYTES(result->license, document) == 0 && CODEC_SET_BYTES(result->header, header) == 0 &&
                CODEC_SET_BYTES(result->delegation, delegation) == 0;
    return fits ? 0 : -EMSGSIZE;
}

/* R3: the right stays here; what the device gets sleeps by then. */
static int begin_lease(struct operations *o, struct license *l, int64_t now_ms)
{
    struct product p;
    if (!l->has_lease)
        return 0;
    int r = products_get(o, l->product, &p);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    l->lease = (doc_Lease){ .until_ms = u64_min(u64_add((uint64_t)now_ms, p.lease_ms), INT64_MAX),
                            .grace_ms = p.lease_grace_ms,
                            .has_max_plays = p.lease_plays > 0,
                            .max_plays = p.lease_plays > 0 ? u32_add(l->used.plays, p.lease_plays) : 0 };
    return 0;
}

static void wipe_pair(struct sign_pair *p) { key32_wipe(&p->seed); }

static int sign(struct operations *o, const struct give_authority *a, const struct device *d, struct license *l,
                const struct content_halves *halves, int64_t now_ms, struct buf *document)
{
    struct sign_pair copy_pair CLEANUP(wipe_pair) = { 0 };
    struct signer signer;
    doc_DeviceCertificate certificate;
    int r = devices_certificate(o, d, now_ms, &certificate);
    if (r == 0)
        r = give_signer(o, a, &copy_pair, &signer);
    return r == 0 ? licenses_sign(o, l, &certificate, &halves->license, now_ms, &signer, document) : r;
}

static int record(struct operations *o, const struct device *d, const struct license *l, int64_t now_ms)
{
    if (d->distributor != OPERATIONS_SELF)
        return 0;
    int r = licenses_record(o, l, now_ms); /* S84 */
    return r == 0 ? licenses_record_content(o, d->user, &l->content, &d->client, l->license_id, now_ms) : r;
}

int license_give(struct operations *o, const struct caller *who, const struct device *d, struct license *l,
                 msg_Result *result, struct reply *out)
{
    struct content_halves halves CLEANUP(content_halves_wipe) = { 0 };
    struct give_authority authority CLEANUP(give_authority_deinit) = { .delegation =
                                                                           buf(sizeof(result->delegation.bytes)) };
    struct buf document CLEANUP(buf_free) = buf(sizeof(result->license.bytes));
    struct buf header CLEANUP(buf_free) = buf(sizeof(result->header.bytes));
    int r = give_authority(o, who, d->distributor, out, &authority);
    if (r == 0)
        r = contents_halves(o, &l->content, &halves);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    l->client = d->client;
    l->distributor = d->distributor;
    l->state = LICENSE_LIVE;
    memcpy(l->license_id, halves.license_id, sizeof(l->license_id));
    snprintf(l->user, sizeof(l->user), "%s", d->user);
    r = begin_lease(o, l, who->now_ms);
    if (r == 0)
        r = sign(o, &authority, d, l, &halves, who->now_ms, &document);
    if (r == 0 && !authority.is_partners)
        r = licenses_header(o, d, &l->content, &halves, &header);
    if (r == 0)
        r = licenses_set(o, l, buf_slice(&document));
    if (r == 0)
        r = record(o, d, l, who->now_ms);
    return r == 0 ? license_result(buf_slice(&document), buf_slice(&header), buf_slice(&authority.delegation), result)
                  : r;
}
