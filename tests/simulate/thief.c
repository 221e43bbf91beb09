/* Whatever a stolen key signs, and whoever shows the keyset of then, no device takes once its vault has seen a keyset that does without it. Before that it
 * would: of that nothing is tried here, since a thief with a key that counts is the shop.
 *
 * And old answers are given again: a license that was sold before is taken when its key was merely rotated, and never what a withdrawn key has signed. */
#include "thief.h"

#include "device.h"

void thief_steals(struct world *w, int shop, enum key_purpose purpose)
{
    const struct keys *k = shop_at(w, shop)->keys;
    MUST(w->stolen_count < STOLEN_MAX);
    struct stolen *s = &w->stolen[w->stolen_count++];
    *s = (struct stolen){ .shop = shop, .purpose = purpose, .keyset = buf(KEYSET_ENVELOPE_MAX) };
    if (purpose != KEY_SEALING)
        s->pair = purpose == KEY_TLS ? k->tls : purpose == KEY_LICENSE ? k->license : k->roster;
    memcpy(s->key, keys_public(k, purpose), sizeof(s->key));
    MUST(buf_append(&s->keyset, buf_slice(&w->operators[shop].shown)) == 0);
}

void thief_is_known(struct world *w, int shop, const uint8_t key[32], uint64_t sequence)
{
    for (int i = 0; i < w->stolen_count; i++)
        if (w->stolen[i].shop == shop && memcmp(w->stolen[i].key, key, 32) == 0 && w->stolen[i].sequence == 0) {
            w->stolen[i].sequence = sequence;
            w->stolen[i].known_ms = w->town.now_ms;
        }
}

/* ---- what he tries ---------------------------------------------------------------------------------------------------------- */

static bool knows(struct world *w, const struct device *d, const struct stolen *s)
{
    return s->sequence != 0 && shared_keyset(w, d->node, shop_at(w, s->shop)->keys->self.bytes) >= (int64_t)s->sequence;
}

/* A document of this shop, signed by the stolen key. */
static void sign(const struct stolen *s, enum document kind, const void *document, struct buf *out)
{
    struct signer signer;
    signer_from_pair(&signer, &s->pair);
    MUST(document_sign(out, kind, document, &signer) == 0);
}

static void on_refused(struct world *w, struct event *e)
{
    enum reason why = event_reason(e, (uint16_t)e->a);
    trace(w, "%s is shown what a stolen key has signed: %s", node_name(e->node), reason_code(why));
    if (why == REASON_NONE)
        broken("%s takes what a withdrawn key has signed", node_name(e->node));
    if (why != (enum reason)e->b && why != REASON_NOT_REGISTERED && why != REASON_CLOCK_UNTRUSTED)
        broken("%s refuses what a withdrawn key has signed, but for another reason: %s", node_name(e->node),
               reason_code(why));
}

static void forge_license(struct world *w, struct device *d, const struct stolen *s)
{
    static doc_License license;
    uint8_t signer[32];
    vlt_LicenseStore store = vlt_LicenseStore_init_zero;
    struct buf forged CLEANUP(buf_free) = buf(sizeof(store.license.bytes));
    const struct buf *old = &d->old_license[s->shop];
    if (old->len == 0)
        return;
    MUST(document_open(DOCUMENT_LICENSE, buf_slice(old), &license, sizeof(license), signer) == 0);
    license.sequence += 1000;
    license.issued_ms = chance(w, 2) ? license.issued_ms : (uint64_t)w->town.now_ms;
    sign(s, DOCUMENT_LICENSE, &license, &forged);
    MUST(CODEC_SET_BYTES(store.license, buf_slice(&forged)) == 0);
    ASK_VAULT(w, d, LICENSE_STORE, vlt_LicenseStore, &store, on_refused, vlt_Type_DONE, REASON_SIGNATURE_INVALID, 0);
}

static void forge_time(struct world *w, struct device *d, const struct stolen *s)
{
    doc_SignedTime time = { .time_ms = (uint64_t)(w->town.now_ms + 365 * TOWN_DAY_MS) };
    vlt_TimeCheck check = vlt_TimeCheck_init_zero;
    struct buf forged CLEANUP(buf_free) = buf(sizeof(check.time.bytes));
    memcpy(time.distributor, shop_id(w, s->shop)->bytes, ID_BYTES);
    memcpy(time.client, d->client.bytes, ID_BYTES);
    memcpy(check.distributor, time.distributor, ID_BYTES);
    sign(s, DOCUMENT_TIME, &time, &forged);
    MUST(CODEC_SET_BYTES(check.time, buf_slice(&forged)) == 0);
    ASK_VAULT(w, d, TIME_CHECK, vlt_TimeCheck, &check, on_refused, vlt_Type_DONE, REASON_SIGNATURE_INVALID, 0);
}

/* A household of devices that he likes. */
static void forge_roster(struct world *w, struct device *d, const struct stolen *s)
{
    static doc_Roster roster;
    vlt_RosterCheck check = vlt_RosterCheck_init_zero;
    struct buf forged CLEANUP(buf_free) = buf(FRAME_TAIL_MAX);
    roster = (doc_Roster){ .sequence = 1000000,
                           .issued_ms = (uint64_t)w->town.now_ms,
                           .ends_ms = (uint64_t)(w->town.now_ms + TOWN_DAY_MS) };
    memcpy(roster.distributor, shop_id(w, s->shop)->bytes, ID_BYTES);
    memcpy(check.distributor, roster.distributor, ID_BYTES);
    sign(s, DOCUMENT_ROSTER, &roster, &forged);
    ask_vault(w, d, vlt_Type_ROSTER_CHECK, vlt_RosterCheck_fields, &check, buf_slice(&forged), on_refused,
              vlt_Type_DONE, REASON_SIGNATURE_INVALID, 0);
}

/* As the shop: with the keyset of then, or with the newest one. */
static void impersonate(struct world *w, struct device *d, const struct stolen *s)
{
    vlt_KeysetCheck check = { .has_tls_key = true };
    bool newest = s->purpose == KEY_TLS && chance(w, 2);
    memcpy(check.distributor, shop_id(w, s->shop)->bytes, ID_BYTES);
    memcpy(check.tls_key, s->key, sizeof(check.tls_key));
    if (s->purpose != KEY_TLS) /* the keyset alone */
        memcpy(check.tls_key, shop_at(w, s->shop)->keys->tls.public_key, sizeof(check.tls_key));
    ask_vault(w, d, vlt_Type_KEYSET_CHECK, vlt_KeysetCheck_fields, &check,
              buf_slice(newest ? &w->operators[s->shop].shown : &s->keyset), on_refused, vlt_Type_KEYSET_CHECKED,
              REASON_KEYSET_INVALID, 0);
}

static void try(struct world *w, struct device *d, const struct stolen *s)
{
    w->thefts++;
    if (chance(w, 3) == 0 || s->purpose == KEY_TLS || s->purpose == KEY_SEALING)
        impersonate(w, d, s);
    else if (s->purpose == KEY_ROSTER)
        forge_roster(w, d, s);
    else if (chance(w, 2))
        forge_license(w, d, s);
    else
        forge_time(w, d, s);
}

/* ---- what is old -------------------------------------------------------------------------------------------------------------- */

static bool is_withdrawn(struct world *w, const struct device *d, int shop, const uint8_t signer[32])
{
    for (int i = 0; i < w->stolen_count; i++)
        if (w->stolen[i].shop == shop && memcmp(w->stolen[i].key, signer, 32) == 0)
            return knows(w, d, &w->stolen[i]);
    return false;
}

static void on_old(struct world *w, struct event *e)
{
    enum reason why = event_reason(e, vlt_Type_DONE);
    trace(w, "%s is given an old license again: %s", node_name(e->node), reason_code(why));
    if (e->a && why != REASON_SIGNATURE_INVALID && why != REASON_CLOCK_UNTRUSTED)
        broken("%s judges an old license of a withdrawn key: %s", node_name(e->node), reason_code(why));
    if (!e->a && why == REASON_SIGNATURE_INVALID)
        broken("%s takes no license of a key that was rotated", node_name(e->node));
}

static void give_old(struct world *w, struct device *d, int shop)
{
    static doc_License license;
    uint8_t signer[32];
    vlt_LicenseStore store = vlt_LicenseStore_init_zero;
    const struct buf *old = &d->old_license[shop];
    if (old->len == 0)
        return;
    MUST(document_open(DOCUMENT_LICENSE, buf_slice(old), &license, sizeof(license), signer) == 0);
    MUST(CODEC_SET_BYTES(store.license, buf_slice(old)) == 0);
    ASK_VAULT(w, d, LICENSE_STORE, vlt_LicenseStore, &store, on_old, is_withdrawn(w, d, shop, signer), 0, 0);
}

static void on_thief(struct world *w, struct event *e)
{
    struct device *d = &w->devices[chance(w, DEVICES)];
    if (w->up[d->node] && chance(w, 4) == 0)
        give_old(w, d, (int)chance(w, SHOPS));
    const struct stolen *s = w->stolen_count > 0 ? &w->stolen[chance(w, (unsigned)w->stolen_count)] : NULL;
    if (s && w->up[d->node] && knows(w, d, s))
        try(w, d, s);
    if (!w->calm)
        after(w, between(w, 1000, 10000), -1, e->run);
}

void thief_begin(struct world *w) { after(w, 20000, -1, on_thief); }
