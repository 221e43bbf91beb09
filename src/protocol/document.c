/* The table of signed documents; signing and opening any of them. Whether a signer may is judged elsewhere. Any thread. */
#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "protocol/documents.h"

struct kind {
    const char *type;
    const pb_msgdesc_t *fields;
    size_t payload_max, struct_size;
};
#define KIND(name, T)                                        \
    {                                                        \
        "hearth/" name "/1", T##_fields, T##_size, sizeof(T) \
    }

static const struct kind kinds[DOCUMENT_COUNT] = {
    [DOCUMENT_KEYSET] = KIND("keyset", doc_Keyset),
    [DOCUMENT_DEVICE] = KIND("device", doc_DeviceCertificate),
    [DOCUMENT_ROSTER] = KIND("roster", doc_Roster),
    [DOCUMENT_LICENSE] = KIND("license", doc_License),
    [DOCUMENT_COPY_CERTIFICATE] = KIND("copy-certificate", doc_CopyCertificate),
    [DOCUMENT_DELEGATION] = KIND("delegation", doc_Delegation),
    [DOCUMENT_EKB] = KIND("ekb", doc_Ekb),
    [DOCUMENT_KEY_GRANT] = KIND("key-grant", doc_KeyGrant),
    [DOCUMENT_QUOTE] = KIND("quote", doc_Quote),
    [DOCUMENT_RECEIPT] = KIND("receipt", doc_Receipt),
    [DOCUMENT_SURRENDER] = KIND("surrender", doc_Surrender),
    [DOCUMENT_TIME] = KIND("time", doc_SignedTime),
    [DOCUMENT_SHARE] = KIND("share", doc_Share),
    [DOCUMENT_SETTLEMENT] = KIND("settlement", doc_Settlement),
    [DOCUMENT_USE] = KIND("use", doc_Use),
    [DOCUMENT_USE_LOG] = KIND("use-log", doc_UseLog),
    [DOCUMENT_USE_LOG_TAKEN] = KIND("use-log-taken", doc_UseLogTaken),
    [DOCUMENT_STANDING] = KIND("standing", doc_Standing),
    [DOCUMENT_GENERATION] = KIND("generation", doc_Generation),
    [DOCUMENT_CATCH_UP] = KIND("catch-up", doc_CatchUp),
    [DOCUMENT_PROGRAM] = KIND("program", doc_Program),
    [DOCUMENT_PROGRAM_GRANT] = KIND("program-grant", doc_ProgramGrant),
    [DOCUMENT_METADATA] = KIND("metadata", doc_Metadata),
    [DOCUMENT_METADATA_VOUCH] = KIND("metadata-vouch", doc_MetadataVouch),
};

static const struct kind *kind_of(enum document d)
{
    assert(d >= 0 && d < DOCUMENT_COUNT);
    return &kinds[d];
}

const char *document_type(enum document d) { return kind_of(d)->type; }

int document_sign(struct buf *out, enum document d, const void *payload, const struct signer *signer)
{
    const struct kind *k = kind_of(d);
    struct buf encoded CLEANUP(buf_free) = buf(k->payload_max);
    int r = codec_encode(&encoded, k->fields, payload);
    if (r)
        return r;
    return dsse_sign(out, k->type, buf_slice(&encoded), signer);
}

static int reason_of_dsse(int r)
{
    if (r < 0)
        return r;
    return r == DSSE_MALFORMED || r == DSSE_WRONG_TYPE ? REASON_MALFORMED : r != 0 ? REASON_SIGNATURE_INVALID : 0;
}

static int decode(const struct kind *k, struct slice bytes, void *payload, size_t payload_size)
{
    assert(payload_size == k->struct_size);
    void *decoded CLEANUP(freep) = malloc(payload_size); /* the caller's memory is written only on success */
    if (!decoded)
        return -ENOMEM;
    int r = codec_decode(k->fields, k->payload_max, bytes, decoded, payload_size);
    if (r)
        return r < 0 ? r : REASON_MALFORMED;
    memcpy(payload, decoded, payload_size);
    return 0;
}

/* view: of an envelope whose signature is good. */
static int open_envelope(const struct kind *k, struct known *known, struct slice envelope, struct dsse_view *view,
                         void *payload, size_t payload_size)
{
    int r = reason_of_dsse(dsse_verify_known(known, envelope, k->type, view));
    return r != 0 ? r : decode(k, view->payload, payload, payload_size);
}

int document_open_known(struct known *known, enum document d, struct slice envelope, void *payload, size_t payload_size,
                        uint8_t signer_key[32])
{
    struct dsse_view view;
    if (envelope.len > 1 && envelope.data[1] != SIGN_ED25519) /* who may sign these is listed as an Ed25519 key */
        return REASON_MALFORMED;
    int r = open_envelope(kind_of(d), known, envelope, &view, payload, payload_size);
    if (r == 0)
        memcpy(signer_key, view.public_key, SIGN_PUBLIC_BYTES);
    return r;
}

int document_open(enum document d, struct slice envelope, void *payload, size_t payload_size, uint8_t signer_key[32])
{
    return document_open_known(NULL, d, envelope, payload, payload_size, signer_key);
}

int document_peek(enum document d, struct slice envelope, void *payload, size_t payload_size)
{
    struct dsse_view view;
    int r = reason_of_dsse(dsse_split(envelope, kind_of(d)->type, &view));
    return r != 0 ? r : decode(kind_of(d), view.payload, payload, payload_size);
}

int document_open_keyset(struct slice envelope, doc_Keyset *payload, struct id *signer)
{
    struct dsse_view view;
    int r = open_envelope(kind_of(DOCUMENT_KEYSET), NULL, envelope, &view, payload, sizeof(*payload));
    if (r == 0)
        *signer = view.signer;
    return r;
}
