/* What a copy certificate must satisfy at its destination: the heart of the product, as a list of small checks.
 *
 * Everything here follows from documents and the clock. What needs the vault's database (serial unused: S165-S167; the
 * key block entry opens) is the vault's. Any thread.
 * Source: seed S162-S164, S168-S170; design sections 2 and 6.5. */
#include "base/util.h"
#include "protocol/documents.h"
#include "protocol/times.h"

#include <stdlib.h>

/* One judgement under way. */
struct judgement {
    const struct certificate_case *c;
    struct certificate_facts *facts; /* filled check by check; copied to the caller when all have passed */
    doc_Delegation delegation;       /* when delegated */
    uint8_t signer[32];              /* who signed the certificate, proved by its signature */
    struct id content;               /* of the content beside it */
    bool delegated;                  /* the issuer is a partner of the destination's distributor */
    bool alone;                      /* nothing beside it, and its time may be over */
};
typedef int check_fn(struct judgement *j);

/* The envelope is well-formed and its signature is good for the key it names. Source: seed S162, S163. */
static int check_envelope(struct judgement *j)
{
    return document_open_known(j->c->known, DOCUMENT_COPY_CERTIFICATE, j->c->certificate, &j->facts->certificate,
                               sizeof(j->facts->certificate), j->signer);
}

/* The content information beside it can be read; later checks compare with it. */
static int check_info(struct judgement *j)
{
    if (j->alone)
        return 0;
    return info_judge(j->c->info, j->c->list_root, &j->facts->info, &j->content);
}

/* Alone, a certificate is refused and no more: that has to be possible when the key behind it was withdrawn while it was on its way, or the license
 * that a move has put to sleep would never wake. */
static bool is_own_key(const struct judgement *j, int64_t issued_ms)
{
    const doc_Keyset *k = j->c->keyset;
    return keyset_lists(k, KEY_LICENSE, j->signer, issued_ms) ||
           (j->alone && keyset_lists_withdrawn(k, j->signer, issued_ms));
}

/* The own distributor's license key signed it. Source: seed S162 ("the public key of license server B"). */
static int check_own_issuer(struct judgement *j)
{
    const doc_CopyCertificate *certificate = &j->facts->certificate;
    if (!id_equal(certificate->issuer, j->c->keyset->distributor) || certificate->issued_ms > INT64_MAX ||
        !is_own_key(j, (int64_t)certificate->issued_ms))
        return REASON_SIGNATURE_INVALID;
    if (certificate->partner_root)
        return REASON_MALFORMED;
    return 0;
}

/* The own distributor delegated to the partner whose copy key signed it: in force, not withdrawn.
 * Source: departure from seed S138, S139 (design section 2): no secret key leaves its server. */
static int check_delegation(struct judgement *j)
{
    const doc_CopyCertificate *certificate = &j->facts->certificate;
    int r = j->alone ? delegation_judge_past(j->c->delegation, j->c->keyset, &j->delegation)
                     : delegation_judge(j->c->delegation, j->c->keyset, j->c->now_ms, &j->delegation);
    if (r < 0)
        return r;
    if (r)
        return REASON_DELEGATION_INVALID;
    if (memcmp(j->signer, j->delegation.copy_key, sizeof(j->signer)) != 0)
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(certificate->issuer, j->delegation.partner) || !certificate->partner_root)
        return REASON_DELEGATION_INVALID;
    return 0;
}

/* Scope: a partner issues only for what it published itself. */
static int check_publisher(struct judgement *j)
{
    if (j->alone || id_equal(j->facts->info.publisher, j->delegation.partner))
        return 0;
    return REASON_DELEGATION_INVALID;
}

/* A certificate ends no later than its delegation, and lives no longer than that allows. */
static int check_delegated_life(struct judgement *j)
{
    const doc_CopyCertificate *certificate = &j->facts->certificate;
    if (certificate->ends_ms < certificate->issued_ms || certificate->ends_ms > j->delegation.ends_ms ||
        certificate->ends_ms - certificate->issued_ms > j->delegation.max_certificate_ms)
        return REASON_DELEGATION_INVALID;
    return 0;
}

static int check_authority(struct judgement *j)
{
    if (!j->delegated)
        return check_own_issuer(j);
    int r = check_delegation(j);
    if (!r)
        r = check_publisher(j);
    if (!r)
        r = check_delegated_life(j);
    return r;
}

/* The license inside is by the same hand, for the same content and the same device. */
static int check_license(struct judgement *j)
{
    const doc_CopyCertificate *certificate = &j->facts->certificate;
    doc_License *license = &j->facts->license;
    uint8_t signer[32];
    int r = document_open_known(j->c->known, DOCUMENT_LICENSE, CODEC_BYTES(certificate->license), license,
                                sizeof(*license), signer);
    if (r)
        return r;
    if (memcmp(signer, j->signer, sizeof(signer)) != 0 || !id_equal(license->issuer, certificate->issuer))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(license->content, certificate->content))
        return REASON_CONTENT_ID_MISMATCH;
    if (!id_equal(license->client, certificate->destination) ||
        !id_equal(license->leaf.distributor, j->c->keyset->distributor))
        return REASON_WRONG_DESTINATION;
    return 0;
}

/* The key block is the own distributor's, of the license's category. Its age is judged last. */
static int check_key_block(struct judgement *j)
{
    const doc_KeyBlockEntry *entry = &j->facts->certificate.key_block;
    int r = (j->alone ? ekb_judge_past : ekb_judge_known)(j->c->known, CODEC_BYTES(entry->block), j->c->keyset,
                                                          &j->facts->block);
    if (r)
        return r;
    if (j->facts->block.category != j->facts->license.leaf.category)
        return REASON_MALFORMED;
    return ekb_entry_judge(&j->facts->block, entry);
}

static int check_times(struct judgement *j)
{
    const doc_CopyCertificate *certificate = &j->facts->certificate;
    if (j->alone)
        return 0;
    if (times_before(certificate->issued_ms, j->c->now_ms) || times_ended(certificate->ends_ms, j->c->now_ms))
        return REASON_CERTIFICATE_EXPIRED;
    return 0;
}

static int check_destination(struct judgement *j)
{
    return id_equal(j->facts->certificate.destination, &j->c->self) ? 0 : REASON_WRONG_DESTINATION;
}

/* Whoever brings it is its source, or of a copy its issuer, for a source that is away; what nobody brings comes on a medium and must have been
 * issued for one. A move comes from its source alone, which gives its license up. */
static int check_presenter(struct judgement *j)
{
    const doc_CopyCertificate *certificate = &j->facts->certificate;
    const struct id *presenter = j->c->presenter;
    if (presenter) {
        bool entitled = id_equal(certificate->source, presenter) ||
                        (!certificate->move && id_equal(certificate->issuer, presenter));
        return entitled ? 0 : REASON_NOT_PERMITTED;
    }
    return j->alone || certificate->removable ? 0 : REASON_NOT_PERMITTED;
}

/* Source: seed S168-S170. */
static int check_content(struct judgement *j)
{
    if (j->alone || id_equal(&j->content, j->facts->certificate.content))
        return 0;
    return REASON_CONTENT_ID_MISMATCH;
}

/* Headers made now use the newest key block: an older one might open for a device revoked since. */
static int check_block_version(struct judgement *j)
{
    return j->alone || j->facts->block.version >= j->c->lowest_block_version ? 0 : REASON_KEY_BLOCK_OUTDATED;
}

static check_fn *const checks[] = {
    check_envelope, check_info,        check_authority, check_license, check_key_block,
    check_times,    check_destination, check_presenter, check_content, check_block_version,
};

static int judge(const struct certificate_case *c, bool alone, struct certificate_facts *out)
{
    struct certificate_facts *facts CLEANUP(freep) = calloc(1, sizeof(*facts));
    if (!facts)
        return -ENOMEM;
    struct judgement j = { .c = c, .facts = facts, .delegated = c->delegation.len > 0, .alone = alone };
    for (size_t i = 0; i < ARRAY_COUNT(checks); i++) {
        int r = checks[i](&j);
        if (r)
            return r;
    }
    *out = *facts;
    return 0;
}

int certificate_judge(const struct certificate_case *c, struct certificate_facts *out) { return judge(c, false, out); }

int certificate_judge_alone(const struct certificate_case *c, struct certificate_facts *out)
{
    return judge(c, true, out);
}
