/* DSSE envelopes. Not here: which key may sign what (protocol/documents.c). Any thread. */
#include "crypto/dsse.h"

#include <assert.h>
#include <stdio.h>

#define VERSION 1
#define TYPE_MAX 64
#define PAE_MAX (DSSE_PAYLOAD_MAX + TYPE_MAX + 64)

/* "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body (DSSE protocol.md, "Signature Definition"). */
int dsse_pae(struct buf *out, const char *payload_type, struct slice payload)
{
    char head[TYPE_MAX + 64];
    int head_len = snprintf(head, sizeof head, "DSSEv1 %zu %s %zu ", strlen(payload_type), payload_type, payload.len);
    assert(head_len > 0 && (size_t)head_len < sizeof head);
    int r = buf_reserve(out, (size_t)head_len + payload.len);
    if (r != 0)
        return r;
    r = buf_append(out, slice(head, (size_t)head_len));
    return r != 0 ? r : buf_append(out, payload);
}

static int append_envelope(struct buf *out, const char *payload_type, struct slice payload, const struct signer *signer,
                           const uint8_t signature[SIGN_BYTES])
{
    size_t type_len = strlen(payload_type), key_len = sign_public_len(signer->algorithm);
    uint8_t head[3] = { VERSION, (uint8_t)signer->algorithm, (uint8_t)type_len }, length[4];
    put_be32(length, (uint32_t)payload.len);
    struct slice parts[] = { SLICE_ARRAY(head), slice(payload_type, type_len),      SLICE_ARRAY(length),
                             payload,           slice(signer->public_key, key_len), slice(signature, SIGN_BYTES) };
    int r = buf_reserve(out, DSSE_OVERHEAD_BYTES - SIGN_PUBLIC_BYTES + key_len + type_len +
                                 payload.len); /* all or nothing */
    for (size_t i = 0; r == 0 && i < sizeof parts / sizeof parts[0]; i++)
        r = buf_append(out, parts[i]);
    return r;
}

int dsse_sign(struct buf *out, const char *payload_type, struct slice payload, const struct signer *signer)
{
    struct buf pae CLEANUP(buf_free) = buf(PAE_MAX);
    uint8_t signature[SIGN_BYTES];
    assert(strlen(payload_type) >= 1 && strlen(payload_type) <= TYPE_MAX);
    if (payload.len == 0)
        return -EINVAL;
    if (payload.len > DSSE_PAYLOAD_MAX)
        return BUF_FULL;
    int r = dsse_pae(&pae, payload_type, payload);
    if (r != 0)
        return r;
    r = signer->sign(signer->ctx, buf_slice(&pae), signature);
    if (r != 0)
        return r;
    assert(sign_public_len(signer->algorithm) != 0);
    return append_envelope(out, payload_type, payload, signer, signature);
}

static int is_good(const struct dsse_view *v, const char *payload_type, const uint8_t *signature)
{
    struct buf pae CLEANUP(buf_free) = buf(PAE_MAX);
    int e = dsse_pae(&pae, payload_type, v->payload);
    if (e != 0)
        return e;
    bool good = v->algorithm == SIGN_ES256 ? es256_is_valid(v->public_key, buf_slice(&pae), signature)
                                           : sign_is_valid(v->public_key, buf_slice(&pae), signature);
    return good ? 0 : DSSE_FORGED;
}

int dsse_split(struct slice envelope, const char *payload_type, struct dsse_view *view)
{
    struct reader r = reader(envelope);
    uint8_t version = reader_u8(&r), algorithm = reader_u8(&r), type_len = reader_u8(&r);
    struct slice type = reader_bytes(&r, type_len);
    uint32_t payload_len = reader_u32(&r);
    struct slice payload = reader_bytes(&r, payload_len);
    size_t key_len = sign_public_len(algorithm);
    struct slice public_key = reader_bytes(&r, key_len);
    (void)reader_bytes(&r, SIGN_BYTES);
    if (!reader_done(&r) || version != VERSION || key_len == 0 || type_len == 0 || type_len > TYPE_MAX ||
        payload_len == 0 || payload_len > DSSE_PAYLOAD_MAX)
        return DSSE_MALFORMED;
    if (!slice_equal(type, slice_str(payload_type)))
        return DSSE_WRONG_TYPE;
    struct dsse_view read = { .payload = payload, .algorithm = algorithm };
    memcpy(read.public_key, public_key.data, key_len);
    read.signer = sign_key_id(read.algorithm, read.public_key);
    *view = read;
    return 0;
}

int dsse_verify_known(struct known *known, struct slice envelope, const char *payload_type, struct dsse_view *view)
{
    struct dsse_view read;
    int r = dsse_split(envelope, payload_type, &read);
    if (r != 0)
        return r;
    if (known == NULL || !known_has(known, envelope)) {
        r = is_good(&read, payload_type, envelope.data + envelope.len - SIGN_BYTES); /* the last part of it */
        if (r != 0)
            return r;
        if (known != NULL)
            known_add(known, envelope);
    }
    *view = read;
    return 0;
}

int dsse_verify(struct slice envelope, const char *payload_type, struct dsse_view *view)
{
    return dsse_verify_known(NULL, envelope, payload_type, view);
}
