/* PKCS#8 of Ed25519 keys: a head that never changes, then the 32 bytes of the key. */
#include "crypto/pkcs8.h"

#include <sodium.h>

#define HEAD_BYTES 16
#define DER_BYTES (HEAD_BYTES + 32)
#define BASE64_BYTES 65 /* of DER_BYTES, terminated */

static const uint8_t head[HEAD_BYTES] = { 0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20 };
static const char begin[] = "-----BEGIN PRIVATE KEY-----\n", end[] = "\n-----END PRIVATE KEY-----\n";
#define BEGIN_BYTES (sizeof(begin) - 1)
#define END_BYTES (sizeof(end) - 1)
_Static_assert(BEGIN_BYTES + BASE64_BYTES + END_BYTES <= PKCS8_PEM_BYTES, "it fits");

size_t pkcs8_encode(const struct key32 *seed, char out[PKCS8_PEM_BYTES])
{
    uint8_t der[DER_BYTES];
    memcpy(der, head, HEAD_BYTES);
    memcpy(der + HEAD_BYTES, seed->bytes, sizeof(seed->bytes));
    memcpy(out, begin, BEGIN_BYTES);
    sodium_bin2base64(out + BEGIN_BYTES, BASE64_BYTES, der, sizeof(der), sodium_base64_VARIANT_ORIGINAL);
    memcpy(out + BEGIN_BYTES + BASE64_BYTES - 1, end, END_BYTES);
    secret_wipe(der, sizeof(der));
    return BEGIN_BYTES + BASE64_BYTES - 1 + END_BYTES;
}

bool pkcs8_decode(struct slice pem, struct key32 *seed)
{
    uint8_t der[DER_BYTES];
    size_t len = 0;
    while (pem.len > 0 && (pem.data[pem.len - 1] == '\n' || pem.data[pem.len - 1] == '\r'))
        pem.len--;
    if (pem.len <= BEGIN_BYTES + END_BYTES || memcmp(pem.data, begin, BEGIN_BYTES) != 0 ||
        memcmp(pem.data + pem.len - (END_BYTES - 1), end, END_BYTES - 1) != 0)
        return false;
    size_t base64_len = pem.len - BEGIN_BYTES - (END_BYTES - 1);
    bool good = sodium_base642bin(der, sizeof(der), (const char *)pem.data + BEGIN_BYTES, base64_len, "\r\n", &len,
                                  NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
                len == sizeof(der) && memcmp(der, head, HEAD_BYTES) == 0;
    if (good)
        memcpy(seed->bytes, der + HEAD_BYTES, sizeof(seed->bytes));
    secret_wipe(der, sizeof(der));
    return good;
}
