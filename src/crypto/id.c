/* Identities: hashes of public keys, and their text. Any thread. */
#include "crypto/id.h"

#include <ctype.h>

#include "base/text.h"
#include "crypto/sha256.h"

_Static_assert(ID_TEXT_BYTES == BASE32_TEXT_BYTES(ID_BYTES), "size of an ID's text");

/* RFC 8410 section 4: SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING of 32 bytes }. */
static const uint8_t spki_head[ID_SPKI_BYTES - 32] = {
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
};

void id_spki(const uint8_t public_key[32], uint8_t spki[ID_SPKI_BYTES])
{
    memcpy(spki, spki_head, sizeof spki_head);
    memcpy(spki + sizeof spki_head, public_key, 32);
}

struct id id_of_key(const uint8_t public_key[32])
{
    uint8_t spki[ID_SPKI_BYTES];
    struct id id;
    id_spki(public_key, spki);
    sha256(SLICE_ARRAY(spki), id.bytes);
    return id;
}

/* RFC 5480, section 2: SEQUENCE { SEQUENCE { OID 1.2.840.10045.2.1, OID 1.2.840.10045.3.1.7 }, BIT STRING of the uncompressed point }. */
static const uint8_t spki_head_p256[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
};

struct id id_of_es256_key(const uint8_t public_key[65])
{
    const struct slice parts[] = { SLICE_ARRAY(spki_head_p256), slice(public_key, 65) };
    struct id id;
    sha256_parts(parts, 2, id.bytes);
    return id;
}

int id_key_of_spki(struct slice spki, uint8_t public_key[32])
{
    if (spki.len != ID_SPKI_BYTES || memcmp(spki.data, spki_head, sizeof spki_head) != 0)
        return ID_NOT_ED25519;
    memcpy(public_key, spki.data + sizeof spki_head, 32);
    return 0;
}

bool id_equal(const void *a, const void *b) { return memcmp(a, b, ID_BYTES) == 0; }

struct id id_from(const void *bytes)
{
    struct id id;
    memcpy(id.bytes, bytes, ID_BYTES);
    return id;
}

void id_text(const void *id, char out[ID_TEXT_BYTES]) { base32_encode(slice(id, ID_BYTES), out); }

void id_short(const void *id, char out[ID_SHORT_BYTES])
{
    char text[ID_TEXT_BYTES];
    id_text(id, text);
    memcpy(out, text, ID_SHORT_BYTES - 1);
    out[ID_SHORT_BYTES - 1] = '\0';
}

int id_parse(const char *text, struct id *out)
{
    struct id id;
    if (base32_decode(text, id.bytes, ID_BYTES) != 0)
        return ID_MALFORMED;
    *out = id;
    return 0;
}

bool id_has_prefix(const void *id, const char *prefix)
{
    char text[ID_TEXT_BYTES];
    size_t len = strlen(prefix);
    if (len == 0 || len >= ID_TEXT_BYTES)
        return false;
    id_text(id, text);
    for (size_t i = 0; i < len; i++) {
        if (tolower((unsigned char)prefix[i]) != text[i])
            return false;
    }
    return true;
}
