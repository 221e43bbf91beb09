/* The judges of documents, each with what it promises: it accepts only keys that its distributor listed for that purpose, and documents about the right
 * parties in their time. */
#include "judges.h"

#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "protocol/metadata.h"
#include "protocol/program.h"
#include "protocol/standing.h"

static bool is_now(uint64_t from_ms, uint64_t ends_ms)
{
    const uint64_t now = WORLD_NOW_MS, skew = DOCUMENTS_SKEW_MS;
    return from_ms <= now + skew && (ends_ms >= now || now - ends_ms <= skew);
}

static bool is_own(const struct opened *o, const void *distributor)
{
    return memcmp(distributor, o->w->ids[WHO_OWN_ROOT].bytes, ID_BYTES) == 0;
}

/* Does the own distributor list the signer as a license key for what was issued then? */
static bool by_license_key(const struct opened *o, uint64_t issued_ms)
{
    return o->signer == WHO_OWN_LICENSE
               ? issued_ms <= WORLD_NOW_MS + 30 * WORLD_DAY_MS
               : o->signer == WHO_OWN_LICENSE_OLD && issued_ms <= WORLD_NOW_MS - 10 * WORLD_DAY_MS;
}

static bool judge_keyset(const struct opened *o)
{
    const struct world *w = o->w;
    const doc_Keyset *k = o->payload;
    doc_Keyset out;
    int lies = metadata_keyset_judge(o->envelope, &w->ids[WHO_OWN_ROOT], 7, &out); /* in a file: no matter when */
    CHECK(lies != 0 || (o->signer == WHO_OWN_ROOT && is_own(o, k->distributor) && k->sequence >= 7));
    if (keyset_judge(o->envelope, &w->ids[WHO_OWN_ROOT], 7, w->keys[WHO_OWN_TLS].public_key, WORLD_NOW_MS, &out) != 0)
        return false;
    CHECK(o->signer == WHO_OWN_ROOT && is_own(o, k->distributor) && k->sequence >= 7 &&
          is_now(k->issued_ms, k->ends_ms));
    const uint8_t *newest = keyset_key(&out, KEY_ROSTER);
    bool listed = false;
    for (size_t i = 0; i < k->keys_count; i++)
        CHECK(k->keys[i].purpose != KEY_ROSTER || newest);
    for (size_t i = 0; i < k->keys_count; i++)
        listed |= k->keys[i].purpose == 1 && k->keys[i].ends_ms >= WORLD_NOW_MS &&
                  memcmp(k->keys[i].key, w->keys[WHO_OWN_TLS].public_key, 32) == 0;
    CHECK(listed && lies == 0 && (!newest || keyset_lists(&out, KEY_ROSTER, newest, 0)));
    return true;
}

static bool judge_device(const struct opened *o)
{
    const doc_DeviceCertificate *d = o->payload;
    doc_DeviceCertificate out;
    struct id client;
    if (device_judge(o->envelope, &o->w->own, WORLD_NOW_MS, &out, &client) != 0)
        return false;
    struct id expected = id_of_key(d->device_key);
    CHECK(by_license_key(o, d->issued_ms) && is_own(o, d->leaf.distributor) && is_now(d->issued_ms, d->ends_ms));
    CHECK(id_equal(&client, &expected));
    return true;
}

static bool judge_roster(const struct opened *o)
{
    const doc_Roster *r = o->payload;
    doc_Roster *out CLEANUP(freep) = malloc(sizeof(*out));
    CHECK(out);
    if (roster_judge(o->envelope, &o->w->own, WORLD_NOW_MS, out) != 0)
        return false;
    CHECK(o->signer == WHO_OWN_ROSTER && is_own(o, r->distributor) && is_now(r->issued_ms, r->ends_ms));
    const doc_RosterDevice *found = roster_find(out, &o->w->ids[WHO_SELF]);
    CHECK(!found || id_equal(found->client, &o->w->ids[WHO_SELF]));
    return true;
}

static void check_usable(const doc_License *l)
{
    const doc_Conditions *c = &l->conditions;
    bool begun = !c->has_usage_from_ms || c->usage_from_ms <= WORLD_NOW_MS;
    bool lasts = !c->has_usage_until_ms || c->usage_until_ms >= WORLD_NOW_MS;
    bool leased = !l->has_lease || l->lease.until_ms >= WORLD_NOW_MS - u64_min(l->lease.grace_ms, WORLD_NOW_MS);
    CHECK((license_usable(l, WORLD_NOW_MS) == 0) == (begun && lasts && leased));
}

static bool judge_license(const struct opened *o)
{
    const doc_License *l = o->payload;
    doc_License out;
    bool own = license_judge(o->envelope, &o->w->own, &out) == 0;
    if (!own && license_judge(o->envelope, &o->w->partner, &out) != 0)
        return false;
    CHECK(own ? by_license_key(o, l->issued_ms) && is_own(o, l->issuer)
              : o->signer == WHO_PARTNER_LICENSE && id_equal(l->issuer, &o->w->ids[WHO_PARTNER_ROOT]));
    check_usable(&out);
    return true;
}

static bool judge_delegation(const struct opened *o)
{
    const doc_Delegation *d = o->payload;
    doc_Delegation out;
    bool of_partner = id_equal(d->partner, &o->w->ids[WHO_PARTNER_ROOT]);
    if (delegation_judge(o->envelope, &o->w->own, WORLD_NOW_MS, &out) == 0)
        CHECK(by_license_key(o, d->issued_ms) && is_own(o, d->delegator) && is_now(d->issued_ms, d->ends_ms) &&
              (!of_partner || d->sequence >= 3));
    if (delegation_judge_past(o->envelope, &o->w->own, &out) != 0)
        return false; /* a key that was withdrawn since is none of the world's */
    CHECK(by_license_key(o, d->issued_ms) && is_own(o, d->delegator));
    return true;
}

static bool judge_block(const struct opened *o)
{
    const doc_Ekb *e = o->payload;
    doc_Ekb out;
    if (ekb_judge(o->envelope, &o->w->own, &out) != 0)
        return false;
    CHECK(by_license_key(o, e->issued_ms) && is_own(o, e->distributor));
    return true;
}

static bool judge_grant(const struct opened *o)
{
    const doc_KeyGrant *g = o->payload;
    doc_KeyGrant out;
    if (grant_judge(o->envelope, &o->w->own, &o->w->ids[WHO_PARTNER_ROOT], WORLD_NOW_MS, &out) != 0)
        return false;
    CHECK(by_license_key(o, g->issued_ms) && is_own(o, g->distributor) && is_now(g->issued_ms, g->ends_ms) &&
          id_equal(g->partner, &o->w->ids[WHO_PARTNER_ROOT]));
    return true;
}

static bool judge_quote(const struct opened *o)
{
    const doc_Quote *q = o->payload;
    doc_Quote out;
    if (quote_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], WORLD_NOW_MS, &out) != 0)
        return false;
    CHECK(by_license_key(o, q->issued_ms) && is_own(o, q->distributor) && is_now(q->issued_ms, q->ends_ms) &&
          id_equal(q->client, &o->w->ids[WHO_SELF]));
    return true;
}

static bool judge_receipt(const struct opened *o)
{
    const doc_Receipt *r = o->payload;
    doc_Receipt out;
    if (receipt_judge(o->envelope, &out) != 0)
        return false;
    CHECK(id_equal(r->destination, &o->w->ids[o->signer]) && (r->outcome == 1 || r->outcome == 2));
    return true;
}

static bool judge_surrender(const struct opened *o)
{
    const doc_Surrender *s = o->payload;
    doc_Surrender out;
    if (surrender_judge(o->envelope, &out) != 0)
        return false;
    CHECK(id_equal(s->client, &o->w->ids[o->signer]));
    return true;
}

static bool judge_time(const struct opened *o)
{
    const doc_SignedTime *t = o->payload;
    doc_SignedTime out;
    if (time_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], &out) != 0)
        return false;
    CHECK(by_license_key(o, t->time_ms) && is_own(o, t->distributor) && id_equal(t->client, &o->w->ids[WHO_SELF]));
    return true;
}

static bool judge_share(const struct opened *o)
{
    const doc_Share *s = o->payload;
    doc_Share out;
    if (share_judge(o->envelope, &o->w->own, &out) != 0)
        return false;
    CHECK((o->signer == WHO_OWN_LICENSE || o->signer == WHO_OWN_LICENSE_OLD) && is_own(o, s->origin));
    return true;
}

static bool judge_settlement(const struct opened *o)
{
    const doc_Settlement *s = o->payload;
    doc_Settlement out;
    if (settlement_judge(o->envelope, &o->w->own, &o->w->ids[WHO_PARTNER_ROOT], &out) != 0)
        return false;
    CHECK(by_license_key(o, s->issued_ms) && is_own(o, s->issuer) &&
          id_equal(s->partner, &o->w->ids[WHO_PARTNER_ROOT]));
    return true;
}

/* Who had used less has as much to move. */
static void check_moves(const doc_Use *used)
{
    static const doc_Conditions here = { .has_max_plays = true,
                                         .max_plays = 10,
                                         .has_max_play_ms = true,
                                         .max_play_ms = 600000,
                                         .has_max_recoveries = true,
                                         .max_recoveries = 3 };
    static const doc_CopyCertificate move = { .plays_before = 1, .play_ms_before = 1000 };
    doc_Conditions there = here;
    doc_Use less = *used;
    there.max_plays = 8;
    there.max_play_ms = 500000;
    there.max_recoveries = 2;
    CHECK(use_covers_move(&here, &(doc_Use){ 0 }, &move, &there) &&
          !use_covers_move(&here, used, &move, &(doc_Conditions){ 0 }));
    less.plays /= 2;
    less.play_ms /= 2;
    less.recoveries /= 2;
    if (use_covers_move(&here, used, &move, &there))
        CHECK(used->plays <= 3 && used->play_ms <= 101000 && use_covers_move(&here, &less, &move, &there));
}

static bool judge_use(const struct opened *o)
{
    const doc_Use *u = o->payload;
    doc_Use out;
    if (use_judge(o->envelope, &out) != 0)
        return false;
    CHECK(id_equal(u->client, &o->w->ids[o->signer]));
    check_moves(&out);
    return true;
}

static bool judge_use_log(const struct opened *o)
{
    const doc_UseLog *l = o->payload;
    doc_UseLog out;
    if (use_log_judge(o->envelope, &out) != 0)
        return false;
    CHECK(id_equal(l->client, &o->w->ids[o->signer]) && l->entries_count > 0 && l->entries[0].number > 0);
    for (pb_size_t i = 1; i < l->entries_count; i++)
        CHECK(l->entries[i].number == l->entries[0].number + i);
    return true;
}

static bool judge_standing(const struct opened *o)
{
    const doc_Standing *s = o->payload;
    doc_Standing out;
    if (standing_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], &out) != 0)
        return false;
    CHECK(by_license_key(o, s->time_ms) && is_own(o, s->distributor) && id_equal(s->client, &o->w->ids[WHO_SELF]));
    return true;
}

static bool judge_generation(const struct opened *o)
{
    const doc_Generation *g = o->payload;
    doc_Generation out;
    if (generation_judge(o->envelope, &o->w->ids[WHO_SELF], &o->w->ids[WHO_OWN_ROOT], &out) != 0)
        return false;
    CHECK(o->signer == WHO_SELF && id_equal(g->client, &o->w->ids[WHO_SELF]) && is_own(o, g->distributor));
    return true;
}

static bool judge_catch_up(const struct opened *o)
{
    static doc_CatchUp out;
    uint8_t before[STANDING_PLACE_BYTES], place[STANDING_PLACE_BYTES];
    if (catch_up_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], &out) != 0)
        return false;
    CHECK(by_license_key(o, out.time_ms) && is_own(o, out.distributor) && id_equal(out.client, &o->w->ids[WHO_SELF]));
    CHECK(out.last || out.entries_count > 0);
    memcpy(before, out.after, sizeof(before));
    for (pb_size_t i = 0; i < out.entries_count; i++) {
        const doc_CatchUpEntry *e = &out.entries[i];
        catch_up_place(e, place);
        CHECK(memcmp(before, place, sizeof(place)) < 0);
        CHECK(e->kind == 1 || is_own(o, e->issuer)); /* nobody speaks of another's licenses */
        CHECK(e->has_sequence == (e->kind != 1) && e->has_digest == (e->kind == 3));
        memcpy(before, place, sizeof(before));
    }
    return true;
}

static bool judge_use_log_taken(const struct opened *o)
{
    const doc_UseLogTaken *t = o->payload;
    doc_UseLogTaken out;
    if (use_log_taken_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], &out) != 0)
        return false;
    CHECK((o->signer == WHO_OWN_LICENSE || o->signer == WHO_OWN_LICENSE_OLD) && is_own(o, t->issuer) &&
          id_equal(t->client, &o->w->ids[WHO_SELF]));
    return true;
}

static bool judge_certificate(const struct opened *o) /* fuzz-certificate.c */
{
    (void)o;
    return false;
}

static void check_program(const doc_Program *p)
{
    CHECK(program_name_is_valid(p->name) && program_version_is_valid(p->version));
    CHECK(p->kind == PROGRAM_PLUGIN || p->kind == PROGRAM_UPDATE);
    CHECK(p->program_bytes > 0 && p->program_bytes <= PROGRAM_BYTES_MAX);
    uint32_t count = program_block_count(p->program_bytes), last = count - 1;
    CHECK(program_block_offset(last) + program_block_len(p->program_bytes, last) + BLOCK_OVERHEAD_BYTES ==
          program_sealed_bytes(p->program_bytes));
}

static bool judge_program(const struct opened *o)
{
    const doc_Program *p = o->payload;
    doc_Program out;
    if (program_judge(o->envelope, &out) != 0)
        return false;
    CHECK(id_equal(p->provider, &o->w->ids[o->signer]));
    check_program(&out);
    return true;
}

static bool judge_program_grant(const struct opened *o)
{
    const doc_ProgramGrant *g = o->payload;
    doc_ProgramGrant out;
    doc_Program program;
    if (program_grant_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], &out, &program) != 0)
        return false;
    CHECK(by_license_key(o, g->issued_ms) && is_own(o, g->distributor) && id_equal(g->client, &o->w->ids[WHO_SELF]));
    check_program(&program);
    return true;
}

/* What covers another range permits whatever the other permits. */
static void check_ranges(const doc_Metadata *m)
{
    doc_SignerRange ranges[RANGE_KINDS + 1] = { 0 };
    const doc_SignerRange *some[ARRAY_COUNT(ranges)] = { NULL };
    for (uint32_t i = 1; i < ARRAY_COUNT(ranges); i++) {
        doc_SignerRange *r = &ranges[i];
        r->kind = i < RANGE_KINDS ? i : RANGE_KEYS;
        r->keys_count = r->kind == RANGE_KEYS;
        r->keys[0][0] = (uint8_t)i;
        if (i == RANGE_KINDS) /* the signer among others */
            memcpy(r->keys[r->keys_count++], m->signer, ID_BYTES);
        some[i] = r;
        CHECK((strcmp(metadata_range_text(i), "?") == 0) == (i == RANGE_KINDS));
    }
    for (size_t a = 0; a < ARRAY_COUNT(some); a++)
        for (size_t b = 0; b < ARRAY_COUNT(some); b++)
            if (metadata_range_covers(some[a], some[b]) && some[a] && metadata_range_permits(some[b], m, true))
                CHECK(metadata_range_permits(some[a], m, true));
}

static bool judge_metadata(const struct opened *o)
{
    const doc_Metadata *m = o->payload;
    const struct id *publisher = &o->w->ids[WHO_OWN_ROOT];
    const doc_SignerRange all_known = { .kind = RANGE_VOUCHED }, publisher_only = { .kind = RANGE_PUBLISHER };
    doc_Metadata out;
    if (metadata_judge(o->envelope, publisher, &o->w->own, &out) != 0)
        return false;
    bool own = m->kind == SIGNER_PUBLISHER;
    CHECK(own || (m->kind == SIGNER_PROVIDER && id_equal(m->signer, &o->w->ids[o->signer])));
    CHECK(!own || (by_license_key(o, m->issued_ms) && is_own(o, m->signer)));
    CHECK(m->parts_bytes > 0 && m->parts_bytes <= METADATA_PARTS_MAX && m->sequence > 0);
    CHECK(metadata_range_permits(&publisher_only, &out, true) == own);
    CHECK(metadata_range_permits(&all_known, &out, false) == own);
    if (!own)
        CHECK(metadata_judge(o->envelope, publisher, NULL, &out) == 0); /* a provider needs nobody's keyset */
    else
        CHECK(metadata_judge(o->envelope, publisher, NULL, &out) == REASON_KEYSET_INVALID);
    CHECK((metadata_judge_time(&out, WORLD_NOW_MS) == 0) ==
          is_now(m->issued_ms, m->has_ends_ms ? m->ends_ms : UINT64_MAX));
    check_ranges(&out);
    return true;
}

static bool judge_metadata_vouch(const struct opened *o)
{
    const doc_MetadataVouch *v = o->payload;
    doc_MetadataVouch out;
    if (metadata_vouch_judge(o->envelope, &o->w->own, o->w->ids[WHO_STRANGER].bytes, &out) != 0)
        return false;
    CHECK(by_license_key(o, v->issued_ms) && is_own(o, v->distributor));
    CHECK(id_equal(v->provider, &o->w->ids[WHO_STRANGER]) && out.sequence > 0);
    return true;
}

bool (*const judges[DOCUMENT_COUNT])(const struct opened *o) = {
    [DOCUMENT_KEYSET] = judge_keyset,
    [DOCUMENT_DEVICE] = judge_device,
    [DOCUMENT_ROSTER] = judge_roster,
    [DOCUMENT_LICENSE] = judge_license,
    [DOCUMENT_COPY_CERTIFICATE] = judge_certificate,
    [DOCUMENT_DELEGATION] = judge_delegation,
    [DOCUMENT_EKB] = judge_block,
    [DOCUMENT_KEY_GRANT] = judge_grant,
    [DOCUMENT_QUOTE] = judge_quote,
    [DOCUMENT_RECEIPT] = judge_receipt,
    [DOCUMENT_SURRENDER] = judge_surrender,
    [DOCUMENT_TIME] = judge_time,
    [DOCUMENT_SHARE] = judge_share,
    [DOCUMENT_SETTLEMENT] = judge_settlement,
    [DOCUMENT_USE] = judge_use,
    [DOCUMENT_USE_LOG] = judge_use_log,
    [DOCUMENT_USE_LOG_TAKEN] = judge_use_log_taken,
    [DOCUMENT_STANDING] = judge_standing,
    [DOCUMENT_GENERATION] = judge_generation,
    [DOCUMENT_CATCH_UP] = judge_catch_up,
    [DOCUMENT_PROGRAM] = judge_program,
    [DOCUMENT_PROGRAM_GRANT] = judge_program_grant,
    [DOCUMENT_METADATA] = judge_metadata,
    [DOCUMENT_METADATA_VOUCH] = judge_metadata_vouch,
};
