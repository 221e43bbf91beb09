/* DSSE envelopes: payload type, payload bytes, the signer's public key, one signature over the
 * pre-authentication encoding "DSSEv1 <len> <type> <len> <payload>". Bytes are verified before they are parsed.
 *
 * Envelope bytes (all integers big-endian, nothing may follow):
 *   0      1  version, 1
 *   1      1  algorithm, 1 = Ed25519, 2 = ES256 (es256.h): it has to be the key's own, for it is a part of the signer's ID
 *   2      1  T, length of the payload type (1..64)
 *   3      T  payload type, ASCII
 *   3+T    4  P, length of the payload (1..DSSE_PAYLOAD_MAX)
 *   7+T    P  payload
 *   7+T+P  K  signer's public key: K = 32 (Ed25519) or 65 (ES256)
 *   7+T+P+K 64 signature
 */
#ifndef CRYPTO_DSSE_H
#define CRYPTO_DSSE_H

#include "base/slice.h"
#include "crypto/known.h"
#include "crypto/sign.h"

#define DSSE_PAYLOAD_MAX (256 * 1024)
#define DSSE_OVERHEAD_BYTES 103 /* Ed25519; with ES256 33 more */
#define DSSE_MALFORMED 1        /* not an envelope */
#define DSSE_WRONG_TYPE 2
#define DSSE_FORGED 3 /* signature does not verify under the key it names */

/* Appends an envelope to out. 0; BUF_FULL (also: payload over DSSE_PAYLOAD_MAX); -EINVAL for an empty payload; -ENOMEM;
 * -errno of the signer. */
int dsse_sign(struct buf *out, const char *payload_type, struct slice payload, const struct signer *signer) MUST_USE;

struct dsse_view {
    struct slice payload; /* borrows from the envelope */
    enum sign_algorithm algorithm;
    uint8_t public_key[SIGN_PUBLIC_MAX]; /* who signed; the caller decides whether that key, and that algorithm, may */
    struct id signer;                    /* the ID of that key, of which its algorithm is a part */
};
/* Splits and verifies. On success the signature is good for view->public_key.
 * 0, DSSE_*, -ENOMEM. */
int dsse_verify(struct slice envelope, const char *payload_type, struct dsse_view *view) MUST_USE;
/* The same, with a memory (NULL: none) in which an envelope that is good is kept, so that it need not be verified twice. */
int dsse_verify_known(struct known *known, struct slice envelope, const char *payload_type, struct dsse_view *view)
    MUST_USE;
/* Splits alone: the key that it names has not been proved to have signed. 0, DSSE_*. */
int dsse_split(struct slice envelope, const char *payload_type, struct dsse_view *view) MUST_USE;
/* The pre-authentication encoding, for test vectors and the vault. 0, BUF_FULL, -ENOMEM. */
int dsse_pae(struct buf *out, const char *payload_type, struct slice payload) MUST_USE;

#endif
