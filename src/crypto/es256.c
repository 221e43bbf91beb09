/* ES256 over GnuTLS, which judges the point; the ranges of r and s are judged here. Any thread. */
#include "crypto/es256.h"

#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define HALF 32

/* n: the order of the group (SEC 2, section 2.4.2); half: (n - 1) / 2. */
static const uint8_t order[HALF] = { 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                     0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 },
                     half_order[HALF] = { 0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff,
                                          0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b,
                                          0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8 };
static const uint8_t zero[HALF];

static gnutls_datum_t datum(const uint8_t *data, size_t len)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)data, (unsigned)len };
}

static bool is_within(const uint8_t number[HALF], const uint8_t most[HALF])
{
    return memcmp(number, zero, HALF) > 0 && memcmp(number, most, HALF) <= 0;
}

static bool ranges_are_good(const uint8_t signature[ES256_BYTES])
{
    return is_within(signature, order) && memcmp(signature, order, HALF) != 0 &&
           is_within(signature + HALF, half_order);
}

static bool verify(gnutls_pubkey_t key, const uint8_t public_key[ES256_PUBLIC_BYTES], struct slice message,
                   const uint8_t signature[ES256_BYTES])
{
    const gnutls_datum_t x = datum(public_key + 1, HALF), y = datum(public_key + 1 + HALF, HALF),
                         r = datum(signature, HALF), s = datum(signature + HALF, HALF),
                         data = datum(message.data, message.len);
    gnutls_datum_t der = { 0 };
    bool good = gnutls_pubkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_SECP256R1, &x, &y) >= 0 &&
                gnutls_encode_rs_value(&der, &r, &s) >= 0 &&
                gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &der) >= 0;
    gnutls_free(der.data);
    return good;
}

bool es256_is_valid(const uint8_t public_key[ES256_PUBLIC_BYTES], struct slice message,
                    const uint8_t signature[ES256_BYTES])
{
    gnutls_pubkey_t key;
    if (public_key[0] != 4 || !ranges_are_good(signature) || gnutls_pubkey_init(&key) < 0)
        return false;
    bool good = verify(key, public_key, message, signature);
    gnutls_pubkey_deinit(key);
    return good;
}

/* Right-aligned. DER may have a zero in front, and leaves others out. */
static bool put_number(const gnutls_datum_t *number, uint8_t out[HALF])
{
    const unsigned char *data = number->data;
    unsigned len = number->size;
    while (len > 0 && *data == 0)
        data++, len--;
    if (len > HALF)
        return false;
    memset(out, 0, HALF);
    if (len > 0)
        memcpy(out + HALF - len, data, len);
    return true;
}

/* s = n - s */
static void negate(uint8_t s[HALF])
{
    int borrow = 0;
    for (int i = HALF - 1; i >= 0; i--) {
        int digit = order[i] - s[i] - borrow;
        borrow = digit < 0;
        s[i] = (uint8_t)(digit & 0xff);
    }
}

int es256_from_der(struct slice der, uint8_t signature[ES256_BYTES])
{
    const gnutls_datum_t whole = datum(der.data, der.len);
    gnutls_datum_t r = { 0 }, s = { 0 };
    uint8_t made[ES256_BYTES];
    bool good = gnutls_decode_rs_value(&whole, &r, &s) >= 0;
    good = good && put_number(&r, made) && put_number(&s, made + HALF);
    gnutls_free(r.data);
    gnutls_free(s.data);
    if (good && memcmp(made + HALF, half_order, HALF) > 0 && memcmp(made + HALF, order, HALF) < 0)
        negate(made + HALF);
    if (!good || !ranges_are_good(made))
        return -EIO;
    memcpy(signature, made, sizeof(made));
    return 0;
}
