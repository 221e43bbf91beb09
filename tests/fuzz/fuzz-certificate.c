/* Copy certificates at their destination, with every paper re-signed after it was changed, so that the judge's own rules decide.
 * Promises: nothing is accepted unless every rule holds, as rules.c says them a second time; while only fields were chosen, not
 * bytes, everything that keeps the rules is accepted; what is accepted is what was signed.
 * Input: a list of choices (one byte what, then its operands). Empty: the world's good case. */
#include <stdlib.h>

#include "base/util.h"
#include "crypto/body.h"
#include "fuzz.h"
#include "rules.h"
#include "world.h"

#define CHOICES_MAX 64
#define EDITS_MAX 4

enum paper { PAPER_CERTIFICATE, PAPER_LICENSE, PAPER_DELEGATION, PAPER_BLOCK, PAPER_INFO, PAPER_COUNT };
enum layer { LAYER_PAYLOAD, LAYER_ENVELOPE, LAYER_COUNT };

/* What will be signed and judged, field by field. */
struct draft {
    doc_CopyCertificate certificate;
    doc_License license;
    doc_Delegation delegation;
    doc_Ekb block;
    doc_ContentInfo info;
    doc_Keyset keyset;
    uint8_t list_root[32];
    struct id self, presenter;
    enum who signer[PAPER_COUNT];
    bool delegated, presented;
    bool own_content; /* the content ID is chosen, not computed */
    uint64_t lowest_block_version;
    int64_t now_ms;
    struct slice edits[PAPER_COUNT][LAYER_COUNT]; /* programs of input_edit */
    bool edited;
};

static void draft_init(struct draft *d, const struct world *w)
{
    memset(d, 0, sizeof(*d));
    memcpy(&d->certificate, w->documents[DOCUMENT_COPY_CERTIFICATE], sizeof(d->certificate));
    memcpy(&d->license, w->documents[DOCUMENT_LICENSE], sizeof(d->license));
    memcpy(&d->delegation, w->documents[DOCUMENT_DELEGATION], sizeof(d->delegation));
    memcpy(&d->block, w->documents[DOCUMENT_EKB], sizeof(d->block));
    d->info = w->content_info;
    d->keyset = w->own;
    memcpy(d->list_root, w->list_root, sizeof(d->list_root));
    d->self = w->ids[WHO_SELF];
    d->presenter = w->ids[WHO_SOURCE];
    d->signer[PAPER_CERTIFICATE] = d->signer[PAPER_LICENSE] = WHO_PARTNER_COPY;
    d->signer[PAPER_DELEGATION] = d->signer[PAPER_BLOCK] = WHO_OWN_LICENSE;
    d->delegated = d->presented = true;
    d->lowest_block_version = WORLD_BLOCK_VERSION;
    d->now_ms = WORLD_NOW_MS;
}

/* ---- choices ------------------------------------------------------------------------------------------------- */

/* Times worth trying: the edges of everything in the world, a little beside them, and the ends of the number range. */
static uint64_t choose_time(struct input *in)
{
    static const uint64_t edges[] = {
        0,
        1,
        WORLD_NOW_MS,
        WORLD_NOW_MS - WORLD_HOUR_MS,
        WORLD_NOW_MS + WORLD_DAY_MS,
        WORLD_NOW_MS - 2 * WORLD_DAY_MS,
        WORLD_NOW_MS + 20 * WORLD_DAY_MS,
        WORLD_NOW_MS - 10 * WORLD_DAY_MS,
        WORLD_NOW_MS + 30 * WORLD_DAY_MS,
        WORLD_NOW_MS + 7 * WORLD_DAY_MS - WORLD_HOUR_MS,
        INT64_MAX,
        UINT64_MAX,
    };
    static const uint64_t steps[] = { 1, DOCUMENTS_SKEW_MS, DOCUMENTS_SKEW_MS + 1, WORLD_HOUR_MS };
    uint8_t edge = input_u8(in), beside = input_u8(in);
    uint64_t step = steps[beside % ARRAY_COUNT(steps)];
    uint64_t time = edges[edge % ARRAY_COUNT(edges)];
    return beside < 64 ? time : beside < 160 ? time - step : time + step; /* may wrap: just as well */
}

static void choose_id(const struct world *w, struct input *in, void *out)
{
    uint8_t choice = input_u8(in) % (WHO_COUNT + 2);
    if (choice < WHO_COUNT)
        memcpy(out, w->ids[choice].bytes, ID_BYTES);
    else if (choice == WHO_COUNT)
        memcpy(out, w->content.bytes, ID_BYTES);
    else
        memset(out, 0, ID_BYTES);
}

static void choose_key(const struct world *w, struct input *in, uint8_t out[32])
{
    memcpy(out, w->keys[input_u8(in) % WHO_COUNT].public_key, 32);
}

static uint32_t choose_number(struct input *in)
{
    static const uint32_t edges[] = { 0, 1, 2, 3, 4, 5, 11, 12, 13, 0x00c0ffee, INT32_MAX, UINT32_MAX };
    return edges[input_u8(in) % ARRAY_COUNT(edges)];
}

static void choose_in_keyset(const struct world *w, struct input *in, doc_Keyset *k)
{
    doc_Key *key = &k->keys[input_u8(in) % ARRAY_COUNT(k->keys)];
    switch (input_u8(in) % 5) {
    case 0:
        key->purpose = choose_number(in);
        break;
    case 1:
        key->ends_ms = choose_time(in);
        break;
    case 2:
        choose_key(w, in, key->key);
        break;
    case 3:
        k->keys_count = (pb_size_t)(input_u8(in) % (ARRAY_COUNT(k->keys) + 1));
        break;
    default:
        k->floors_count = (pb_size_t)(input_u8(in) % 3);
        choose_id(w, in, k->floors[input_u8(in) % 2].partner);
        k->floors[input_u8(in) % 2].lowest_sequence = choose_number(in);
        break;
    }
}

static void choose_in_info(const struct world *w, struct input *in, doc_ContentInfo *i)
{
    switch (input_u8(in) % 6) {
    case 0:
        i->plain_bytes = input_u64(in);
        break;
    case 1:
        i->plain_bytes = (uint64_t)i->block_bytes * input_u32(in) + input_u8(in) - 128;
        break;
    case 2:
        i->block_bytes = 1u << input_u8(in) % 32;
        break;
    case 3:
        i->block_count = input_u32(in);
        break;
    case 4:
        choose_id(w, in, i->publisher);
        break;
    default:
        i->block_count = (uint32_t)(i->block_bytes ? (i->plain_bytes + i->block_bytes - 1) / i->block_bytes : 0);
        break;
    }
}

static void choose_in_certificate(const struct world *w, struct input *in, doc_CopyCertificate *c)
{
    switch (input_u8(in) % 9) {
    case 0:
        choose_id(w, in, c->issuer);
        break;
    case 1:
        choose_id(w, in, c->source);
        break;
    case 2:
        choose_id(w, in, c->destination);
        break;
    case 3:
        c->partner_root = input_u8(in) & 1;
        break;
    case 4:
        c->removable = input_u8(in) & 1;
        break;
    case 5:
        c->issued_ms = choose_time(in);
        break;
    case 6:
        c->ends_ms = choose_time(in);
        break;
    case 7:
        c->key_block.index = choose_number(in);
        break;
    default:
        c->key_block.has_proof = input_u8(in) & 1;
        break;
    }
}

static void choose_in_license(const struct world *w, struct input *in, doc_License *l)
{
    switch (input_u8(in) % 6) {
    case 0:
        choose_id(w, in, l->issuer);
        break;
    case 1:
        choose_id(w, in, l->client);
        break;
    case 2:
        choose_id(w, in, l->leaf.distributor);
        break;
    case 3:
        l->leaf.category = choose_number(in);
        break;
    case 4:
        l->issued_ms = choose_time(in);
        break;
    default:
        l->conditions.has_usage_until_ms = true;
        l->conditions.usage_until_ms = choose_time(in);
        break;
    }
}

static void choose_in_delegation(const struct world *w, struct input *in, doc_Delegation *d)
{
    switch (input_u8(in) % 7) {
    case 0:
        choose_id(w, in, d->delegator);
        break;
    case 1:
        choose_id(w, in, d->partner);
        break;
    case 2:
        choose_key(w, in, d->copy_key);
        break;
    case 3:
        d->sequence = choose_number(in);
        break;
    case 4:
        d->max_certificate_ms = input_u8(in) & 1 ? choose_time(in) : WORLD_DAY_MS + WORLD_HOUR_MS - input_u8(in) % 2;
        break;
    case 5:
        d->issued_ms = choose_time(in);
        break;
    default:
        d->ends_ms = choose_time(in);
        break;
    }
}

static void choose_in_block(const struct world *w, struct input *in, doc_Ekb *b)
{
    switch (input_u8(in) % 6) {
    case 0:
        choose_id(w, in, b->distributor);
        break;
    case 1:
        b->category = choose_number(in);
        break;
    case 2:
        b->kind = choose_number(in);
        break;
    case 3:
        b->version = choose_number(in);
        break;
    case 4:
        b->entry_count = choose_number(in);
        break;
    default:
        b->issued_ms = choose_time(in);
        break;
    }
}

/* A certificate by the own distributor, as if it had been issued here in the first place. */
static void choose_own_issuer(const struct world *w, struct draft *d)
{
    d->delegated = false;
    d->signer[PAPER_CERTIFICATE] = d->signer[PAPER_LICENSE] = WHO_OWN_LICENSE;
    memcpy(d->certificate.issuer, w->ids[WHO_OWN_ROOT].bytes, ID_BYTES);
    memcpy(d->license.issuer, w->ids[WHO_OWN_ROOT].bytes, ID_BYTES);
    d->certificate.partner_root = false;
}

static void choose_edit(struct input *in, struct draft *d)
{
    uint8_t paper = input_u8(in) % PAPER_COUNT, layer = input_u8(in) % LAYER_COUNT;
    d->edits[paper][layer] = input_bytes(in, input_u8(in) % 64);
    d->edited = true;
}

static void choose_around(const struct world *w, struct input *in, struct draft *d)
{
    switch (input_u8(in) % 7) {
    case 0:
        d->now_ms = (int64_t)choose_time(in);
        break;
    case 1:
        d->lowest_block_version = choose_number(in);
        break;
    case 2:
        choose_id(w, in, d->self.bytes);
        break;
    case 3:
        d->presented = input_u8(in) & 1;
        break;
    case 4:
        choose_id(w, in, d->presenter.bytes);
        break;
    case 5:
        d->delegated = input_u8(in) & 1;
        break;
    default:
        memset(d->list_root, input_u8(in), sizeof(d->list_root));
        break;
    }
}

static void choose(const struct world *w, struct input *in, struct draft *d)
{
    switch (input_u8(in) % 11) {
    case 0:
        choose_in_certificate(w, in, &d->certificate);
        break;
    case 1:
        choose_in_license(w, in, &d->license);
        break;
    case 2:
        choose_in_delegation(w, in, &d->delegation);
        break;
    case 3:
        choose_in_block(w, in, &d->block);
        break;
    case 4:
        choose_in_info(w, in, &d->info);
        break;
    case 5:
        choose_in_keyset(w, in, &d->keyset);
        break;
    case 6:
        d->signer[input_u8(in) % PAPER_COUNT] = (enum who)(input_u8(in) % WHO_COUNT);
        break;
    case 7:
        choose_own_issuer(w, d);
        break;
    case 8:
        choose_around(w, in, d);
        break;
    case 9:
        d->own_content = true;
        choose_id(w, in, input_u8(in) & 1 ? d->certificate.content : d->license.content);
        break;
    default:
        choose_edit(in, d);
        break;
    }
}

/* ---- signing and judging ------------------------------------------------------------------------------------- */

static void apply_edits(struct slice program, struct buf *target)
{
    struct input in = { program };
    for (int i = 0; i < EDITS_MAX && in.rest.len > 0; i++)
        input_edit(&in, target);
}

/* Encodes, edits, signs, edits again. */
static void make_paper(const struct world *w, const struct draft *d, enum paper paper, enum document kind,
                       const void *payload, struct buf *out)
{
    struct buf encoded CLEANUP(buf_free) = buf(DSSE_PAYLOAD_MAX);
    CHECK(codec_encode(&encoded, world_kind(kind)->fields, payload) == 0);
    apply_edits(d->edits[paper][LAYER_PAYLOAD], &encoded);
    world_sign(w, kind, buf_slice(&encoded), d->signer[paper], out);
    apply_edits(d->edits[paper][LAYER_ENVELOPE], out);
}

/* Papers go into one another from the inside out. False: one has grown out of its place. */
static bool make_certificate(const struct world *w, struct draft *d, struct buf *certificate)
{
    struct buf license CLEANUP(buf_free) = buf(2048), block CLEANUP(buf_free) = buf(2048);
    make_paper(w, d, PAPER_LICENSE, DOCUMENT_LICENSE, &d->license, &license);
    make_paper(w, d, PAPER_BLOCK, DOCUMENT_EKB, &d->block, &block);
    if (CODEC_SET_BYTES(d->certificate.license, buf_slice(&license)) != 0 ||
        CODEC_SET_BYTES(d->certificate.key_block.block, buf_slice(&block)) != 0)
        return false;
    make_paper(w, d, PAPER_CERTIFICATE, DOCUMENT_COPY_CERTIFICATE, &d->certificate, certificate);
    return true;
}

static void make_info(struct draft *d, struct buf *info)
{
    struct id content;
    CHECK(CODEC_ENCODE(doc_ContentInfo, info, &d->info) == 0);
    apply_edits(d->edits[PAPER_INFO][LAYER_PAYLOAD], info);
    body_content_id(buf_slice(info), d->list_root, &content);
    if (!d->own_content) {
        memcpy(d->certificate.content, content.bytes, ID_BYTES);
        memcpy(d->license.content, content.bytes, ID_BYTES);
    }
}

static void check_facts(const struct draft *d, const struct certificate_facts *facts)
{
    if (d->edited)
        return;
    CHECK(id_equal(facts->certificate.content, d->certificate.content) &&
          id_equal(facts->license.client, d->license.client));
    CHECK(facts->certificate.issued_ms == d->certificate.issued_ms &&
          facts->certificate.ends_ms == d->certificate.ends_ms);
    CHECK(facts->block.version == d->block.version && facts->license.leaf.category == d->license.leaf.category);
}

static void judge(const struct draft *d, const struct certificate_case *c, bool alone)
{
    struct certificate_facts *facts CLEANUP(freep) = malloc(sizeof(*facts));
    CHECK(facts);
    int r = alone ? certificate_judge_alone(c, facts) : certificate_judge(c, facts);
    CHECK(r >= 0 && r < REASON_COUNT);
    const char *broken = rules_broken(c, alone);
    if (r == 0 && broken)
        fuzz_broken(broken, __FILE__, __LINE__);
    if (r != 0 && !broken && !d->edited)
        fuzz_broken("what keeps every rule is accepted", reason_code((enum reason)r), __LINE__);
    if (r == 0)
        check_facts(d, facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct world *w = world_get();
    struct input in = input(data, size);
    struct draft draft;
    draft_init(&draft, w);
    for (int i = 0; i < CHOICES_MAX && in.rest.len > 0; i++)
        choose(w, &in, &draft);

    struct buf info CLEANUP(buf_free) = buf(BODY_INFO_MAX + 256), certificate CLEANUP(buf_free) = buf(4096),
                    delegation CLEANUP(buf_free) = buf(4096);
    make_info(&draft, &info);
    if (!make_certificate(w, &draft, &certificate))
        return 0;
    if (draft.delegated)
        make_paper(w, &draft, PAPER_DELEGATION, DOCUMENT_DELEGATION, &draft.delegation, &delegation);
    struct certificate_case c = {
        .keyset = &draft.keyset,
        .self = draft.self,
        .presenter = draft.presented ? &draft.presenter : NULL,
        .certificate = buf_slice(&certificate),
        .delegation = buf_slice(&delegation),
        .info = buf_slice(&info),
        .list_root = draft.list_root,
        .lowest_block_version = draft.lowest_block_version,
        .now_ms = draft.now_ms,
    };
    judge(&draft, &c, false);
    judge(&draft, &c, true);
    return 0;
}
