/* HKDF-SHA256 over GnuTLS. Any thread. */
#include "crypto/hkdf.h"

#include <assert.h>
#include <stdlib.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define HASH_BYTES 32
#define INFO_MAX 128 /* label, 00, context: the longest in use is 18 + 1 + 64 */

static void must(int gnutls_code)
{
    if (gnutls_code < 0)
        abort(); /* no SHA-256 in the library, or no memory for a key: nothing safe is left to do */
}

static gnutls_datum_t datum(struct slice s)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)s.data, (unsigned int)s.len };
}

/* RFC 5869 section 2.2. */
static void extract(struct slice key_material, struct slice salt, uint8_t prk[HASH_BYTES])
{
    static const uint8_t nothing[1];
    gnutls_datum_t key = datum(key_material);
    gnutls_datum_t salt_datum = datum(salt.len > 0 ? salt : slice(nothing, 0));
    must(gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &key, &salt_datum, prk));
}

void hkdf_sha256(struct slice key_material, struct slice salt, struct slice info, uint8_t *out, size_t out_len)
{
    assert(out_len <= 255 * HASH_BYTES);
    struct key32 prk CLEANUP(key32_wipe);
    extract(key_material, salt, prk.bytes);
    gnutls_datum_t key = { prk.bytes, HASH_BYTES }, info_datum = datum(info);
    must(gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &key, &info_datum, out, out_len));
}

/* label || 00 || context; returns its length. */
static size_t write_info(const char *label, struct slice context, uint8_t info[INFO_MAX])
{
    size_t label_len = strlen(label);
    assert(label_len + 1 + context.len < INFO_MAX);
    memcpy(info, label, label_len + 1);
    if (context.len > 0)
        memcpy(info + label_len + 1, context.data, context.len);
    return label_len + 1 + context.len;
}

void hkdf_key(const struct key32 *from, const char *label, struct slice context, struct key32 *out)
{
    uint8_t info[INFO_MAX];
    size_t info_len = write_info(label, context, info);
    hkdf_sha256(SLICE_ARRAY(from->bytes), slice(NULL, 0), slice(info, info_len), out->bytes, sizeof out->bytes);
}
