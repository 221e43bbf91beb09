/* Signed documents of every kind: opening, and the judge of that kind behind it.
 * Promises: an envelope that was touched is refused; what opens names the key that signed it and encodes to the payload that was
 * signed; a judge accepts only keys its distributor listed for that purpose, and documents about the right parties in their time.
 * Input: kind, mode, signer, then raw envelope (mode 0), raw payload to be signed (1), edits of the world's payload, signed (2),
 * or edits of the world's envelope (3). */
#include <stdlib.h>

#include "base/util.h"
#include "protocol/metadata.h"
#include "protocol/program.h"
#include "protocol/standing.h"
#include "fuzz.h"
#include "world.h"

#define ENVELOPE_MAX (DSSE_PAYLOAD_MAX + 256)
#define EDITS_MAX 24

/* An opened document and who must have signed it. */
struct opened {
    const struct world *w;
    struct slice envelope;
    const void *payload;
    enum who signer;
};

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

static void judge_keyset(const struct opened *o)
{
    const struct world *w = o->w;
    const doc_Keyset *k = o->payload;
    doc_Keyset out;
    if (keyset_judge(o->envelope, &w->ids[WHO_OWN_ROOT], 7, w->keys[WHO_OWN_TLS].public_key, WORLD_NOW_MS, &out) != 0)
        return;
    CHECK(o->signer == WHO_OWN_ROOT && is_own(o, k->distributor) && k->sequence >= 7 &&
          is_now(k->issued_ms, k->ends_ms));
    bool listed = false;
    for (size_t i = 0; i < k->keys_count; i++)
        listed |= k->keys[i].purpose == 1 && k->keys[i].ends_ms >= WORLD_NOW_MS &&
                  memcmp(k->keys[i].key, w->keys[WHO_OWN_TLS].public_key, 32) == 0;
    CHECK(listed);
}

static void judge_device(const struct opened *o)
{
    const doc_DeviceCertificate *d = o->payload;
    doc_DeviceCertificate out;
    struct id client;
    if (device_judge(o->envelope, &o->w->own, WORLD_NOW_MS, &out, &client) != 0)
        return;
    struct id expected = id_of_key(d->device_key);
    CHECK(by_license_key(o, d->issued_ms) && is_own(o, d->leaf.distributor) && is_now(d->issued_ms, d->ends_ms));
    CHECK(id_equal(&client, &expected));
}

static void judge_roster(const struct opened *o)
{
    const doc_Roster *r = o->payload;
    doc_Roster *out CLEANUP(freep) = malloc(sizeof(*out));
    CHECK(out);
    if (roster_judge(o->envelope, &o->w->own, WORLD_NOW_MS, out) != 0)
        return;
    CHECK(o->signer == WHO_OWN_ROSTER && is_own(o, r->distributor) && is_now(r->issued_ms, r->ends_ms));
    const doc_RosterDevice *found = roster_find(out, &o->w->ids[WHO_SELF]);
    CHECK(!found || id_equal(found->client, &o->w->ids[WHO_SELF]));
}

static void judge_license(const struct opened *o)
{
    const doc_License *l = o->payload;
    doc_License out;
    if (license_judge(o->envelope, &o->w->own, &out) == 0) {
        CHECK(by_license_key(o, l->issued_ms) && is_own(o, l->issuer));
        if (license_usable(&out, WORLD_NOW_MS) == 0)
            CHECK((!l->conditions.has_usage_from_ms || l->conditions.usage_from_ms <= WORLD_NOW_MS) &&
                  (!l->conditions.has_usage_until_ms || l->conditions.usage_until_ms >= WORLD_NOW_MS));
    }
}

static void judge_delegation(const struct opened *o)
{
    const doc_Delegation *d = o->payload;
    doc_Delegation out;
    bool of_partner = id_equal(d->partner, &o->w->ids[WHO_PARTNER_ROOT]);
    if (delegation_judge(o->envelope, &o->w->own, WORLD_NOW_MS, &out) == 0)
        CHECK(by_license_key(o, d->issued_ms) && is_own(o, d->delegator) && is_now(d->issued_ms, d->ends_ms) &&
              (!of_partner || d->sequence >= 3));
    if (delegation_judge_past(o->envelope, &o->w->own, &out) == 0)
        CHECK(by_license_key(o, d->issued_ms) && is_own(o, d->delegator));
}

static void judge_block(const struct opened *o)
{
    const doc_Ekb *e = o->payload;
    doc_Ekb out;
    if (ekb_judge(o->envelope, &o->w->own, &out) == 0)
        CHECK(by_license_key(o, e->issued_ms) && is_own(o, e->distributor));
}

static void judge_grant(const struct opened *o)
{
    const doc_KeyGrant *g = o->payload;
    doc_KeyGrant out;
    if (grant_judge(o->envelope, &o->w->own, &o->w->ids[WHO_PARTNER_ROOT], WORLD_NOW_MS, &out) == 0)
        CHECK(by_license_key(o, g->issued_ms) && is_own(o, g->distributor) && is_now(g->issued_ms, g->ends_ms) &&
              id_equal(g->partner, &o->w->ids[WHO_PARTNER_ROOT]));
}

static void judge_quote(const struct opened *o)
{
    const doc_Quote *q = o->payload;
    doc_Quote out;
    if (quote_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], WORLD_NOW_MS, &out) == 0)
        CHECK(by_license_key(o, q->issued_ms) && is_own(o, q->distributor) && is_now(q->issued_ms, q->ends_ms) &&
              id_equal(q->client, &o->w->ids[WHO_SELF]));
}

static void judge_receipt(const struct opened *o)
{
    const doc_Receipt *r = o->payload;
    doc_Receipt out;
    if (receipt_judge(o->envelope, &out) == 0)
        CHECK(id_equal(r->destination, &o->w->ids[o->signer]) && (r->outcome == 1 || r->outcome == 2));
}

static void judge_surrender(const struct opened *o)
{
    const doc_Surrender *s = o->payload;
    doc_Surrender out;
    if (surrender_judge(o->envelope, &out) == 0)
        CHECK(id_equal(s->client, &o->w->ids[o->signer]));
}

static void judge_time(const struct opened *o)
{
    const doc_SignedTime *t = o->payload;
    doc_SignedTime out;
    if (time_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], &out) == 0)
        CHECK(by_license_key(o, t->time_ms) && is_own(o, t->distributor) && id_equal(t->client, &o->w->ids[WHO_SELF]));
}

static void judge_share(const struct opened *o)
{
    const doc_Share *s = o->payload;
    doc_Share out;
    if (share_judge(o->envelope, &o->w->own, &out) == 0)
        CHECK((o->signer == WHO_OWN_LICENSE || o->signer == WHO_OWN_LICENSE_OLD) && is_own(o, s->origin));
}

static void judge_settlement(const struct opened *o)
{
    const doc_Settlement *s = o->payload;
    doc_Settlement out;
    if (settlement_judge(o->envelope, &o->w->own, &o->w->ids[WHO_PARTNER_ROOT], &out) == 0)
        CHECK(by_license_key(o, s->issued_ms) && is_own(o, s->issuer) &&
              id_equal(s->partner, &o->w->ids[WHO_PARTNER_ROOT]));
}

static void judge_use(const struct opened *o)
{
    const doc_Use *u = o->payload;
    doc_Use out;
    if (use_judge(o->envelope, &out) == 0)
        CHECK(id_equal(u->client, &o->w->ids[o->signer]));
}

static void judge_use_log(const struct opened *o)
{
    const doc_UseLog *l = o->payload;
    doc_UseLog out;
    if (use_log_judge(o->envelope, &out) != 0)
        return;
    CHECK(id_equal(l->client, &o->w->ids[o->signer]) && l->entries_count > 0 && l->entries[0].number > 0);
    for (pb_size_t i = 1; i < l->entries_count; i++)
        CHECK(l->entries[i].number == l->entries[0].number + i);
}

static void judge_standing(const struct opened *o)
{
    const doc_Standing *s = o->payload;
    doc_Standing out;
    if (standing_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], &out) == 0)
        CHECK(by_license_key(o, s->time_ms) && is_own(o, s->distributor) && id_equal(s->client, &o->w->ids[WHO_SELF]));
}

static void judge_generation(const struct opened *o)
{
    const doc_Generation *g = o->payload;
    doc_Generation out;
    if (generation_judge(o->envelope, &o->w->ids[WHO_SELF], &o->w->ids[WHO_OWN_ROOT], &out) == 0)
        CHECK(o->signer == WHO_SELF && id_equal(g->client, &o->w->ids[WHO_SELF]) && is_own(o, g->distributor));
}

static void judge_catch_up(const struct opened *o)
{
    static doc_CatchUp out;
    uint8_t before[STANDING_PLACE_BYTES], place[STANDING_PLACE_BYTES];
    if (catch_up_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], &out) != 0)
        return;
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
}

static void judge_use_log_taken(const struct opened *o)
{
    const doc_UseLogTaken *t = o->payload;
    doc_UseLogTaken out;
    if (use_log_taken_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], &out) == 0)
        CHECK((o->signer == WHO_OWN_LICENSE || o->signer == WHO_OWN_LICENSE_OLD) && is_own(o, t->issuer) &&
              id_equal(t->client, &o->w->ids[WHO_SELF]));
}

static void judge_certificate(const struct opened *o) { (void)o; } /* fuzz-certificate.c */

typedef void judge_fn(const struct opened *o);
static void check_program(const doc_Program *p)
{
    CHECK(program_name_is_valid(p->name) && program_version_is_valid(p->version));
    CHECK(p->kind == PROGRAM_PLUGIN || p->kind == PROGRAM_UPDATE);
    CHECK(p->program_bytes > 0 && p->program_bytes <= PROGRAM_BYTES_MAX);
    uint32_t count = program_block_count(p->program_bytes), last = count - 1;
    CHECK(program_block_offset(last) + program_block_len(p->program_bytes, last) + BLOCK_OVERHEAD_BYTES ==
          program_sealed_bytes(p->program_bytes));
}

static void judge_program(const struct opened *o)
{
    const doc_Program *p = o->payload;
    doc_Program out;
    if (program_judge(o->envelope, &out) != 0)
        return;
    CHECK(id_equal(p->provider, &o->w->ids[o->signer]));
    check_program(&out);
}

static void judge_program_grant(const struct opened *o)
{
    const doc_ProgramGrant *g = o->payload;
    doc_ProgramGrant out;
    doc_Program program;
    if (program_grant_judge(o->envelope, &o->w->own, &o->w->ids[WHO_SELF], &out, &program) != 0)
        return;
    CHECK(by_license_key(o, g->issued_ms) && is_own(o, g->distributor) && id_equal(g->client, &o->w->ids[WHO_SELF]));
    check_program(&program);
}

static void judge_metadata(const struct opened *o)
{
    const doc_Metadata *m = o->payload;
    const struct id *publisher = &o->w->ids[WHO_OWN_ROOT];
    const doc_SignerRange all_known = { .kind = RANGE_VOUCHED }, publisher_only = { .kind = RANGE_PUBLISHER };
    doc_Metadata out;
    if (metadata_judge(o->envelope, publisher, &o->w->own, &out) != 0)
        return;
    bool own = m->kind == SIGNER_PUBLISHER;
    CHECK(own || (m->kind == SIGNER_PROVIDER && id_equal(m->signer, &o->w->ids[o->signer])));
    CHECK(!own || (by_license_key(o, m->issued_ms) && is_own(o, m->signer)));
    CHECK(m->parts_bytes > 0 && m->parts_bytes <= METADATA_PARTS_MAX && m->sequence > 0);
    CHECK(metadata_range_permits(&publisher_only, &out, true) == own);
    CHECK(metadata_range_permits(&all_known, &out, false) == own);
    if (!own)
        CHECK(metadata_judge(o->envelope, publisher, NULL, &out) == 0); /* a provider needs nobody's keyset */
}

static void judge_metadata_vouch(const struct opened *o)
{
    const doc_MetadataVouch *v = o->payload;
    doc_MetadataVouch out;
    if (metadata_vouch_judge(o->envelope, &o->w->own, o->w->ids[WHO_STRANGER].bytes, &out) != 0)
        return;
    CHECK(by_license_key(o, v->issued_ms) && is_own(o, v->distributor));
    CHECK(id_equal(v->provider, &o->w->ids[WHO_STRANGER]) && out.sequence > 0);
}

static judge_fn *const judges[DOCUMENT_COUNT] = {
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

static enum who who_signed(const struct world *w, const uint8_t key[32])
{
    int who = 0;
    while (who < WHO_COUNT && memcmp(w->keys[who].public_key, key, 32) != 0)
        who++;
    CHECK(who < WHO_COUNT); /* nobody else ever signed anything */
    return (enum who)who;
}

/* payload: what was signed, NULL when the envelope is somebody else's work. */
static void open_document(const struct world *w, enum document d, struct slice wire, const struct slice *payload)
{
    const struct document_kind *kind = world_kind(d);
    uint8_t *exact CLEANUP(freep) = input_copy(wire), *decoded CLEANUP(freep) = malloc(kind->struct_bytes), key[32];
    struct slice envelope = slice(exact, wire.len);
    CHECK(decoded);
    int r = document_open(d, envelope, decoded, kind->struct_bytes, key);
    CHECK(r >= 0);
    if (r) {
        CHECK(r == REASON_MALFORMED || r == REASON_SIGNATURE_INVALID);
        return;
    }
    struct opened o = { w, envelope, decoded, who_signed(w, key) };
    struct buf again CLEANUP(buf_free) = buf(kind->payload_max);
    CHECK(codec_encode(&again, kind->fields, decoded) == 0);
    CHECK(!payload || slice_equal(buf_slice(&again), *payload));
    for (int other = 0; other < DOCUMENT_COUNT; other++) { /* one kind never passes for another */
        struct dsse_view view;
        if (other != (int)d)
            CHECK(dsse_verify(envelope, document_type((enum document)other), &view) == DSSE_WRONG_TYPE);
    }
    judges[d](&o);
}

static void edit(struct input *in, struct buf *target)
{
    for (int i = 0; i < EDITS_MAX && in->rest.len > 0; i++)
        input_edit(in, target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct world *w = world_get();
    struct input in = input(data, size);
    enum document d = (enum document)(input_u8(&in) % DOCUMENT_COUNT);
    uint8_t mode = input_u8(&in) % 4, choice = input_u8(&in);
    enum who signer = choice == 0 ? world_kind(d)->signer : (enum who)(choice % WHO_COUNT);
    struct buf payload CLEANUP(buf_free) = buf(DSSE_PAYLOAD_MAX), envelope CLEANUP(buf_free) = buf(ENVELOPE_MAX);

    if (mode == 0) {
        open_document(w, d, input_rest(&in), NULL);
    } else if (mode == 3) {
        world_envelope(w, d, &payload);
        CHECK(buf_append(&envelope, buf_slice(&payload)) == 0);
        edit(&in, &envelope);
        if (slice_equal(buf_slice(&envelope), buf_slice(&payload)))
            return 0;
        uint8_t *decoded CLEANUP(freep) = malloc(world_kind(d)->struct_bytes), key[32];
        CHECK(decoded && document_open(d, buf_slice(&envelope), decoded, world_kind(d)->struct_bytes, key) > 0);
    } else {
        if (mode == 1)
            CHECK(buf_append(&payload, slice_sub(in.rest, 0, size_min(in.rest.len, DSSE_PAYLOAD_MAX))) == 0);
        else
            world_payload(w, d, &payload);
        if (mode == 2)
            edit(&in, &payload);
        world_sign(w, d, buf_slice(&payload), signer, &envelope);
        struct slice signed_payload = buf_slice(&payload);
        open_document(w, d, buf_slice(&envelope), &signed_payload);
    }
    return 0;
}
