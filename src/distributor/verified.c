/* Two small direct-mapped tables; a newer document takes the place of whatever was there. */
#include "distributor/verified.h"

#include <stdlib.h>

#include "base/util.h"
#include "crypto/sha256.h"

#define KEYSETS 16
#define DEVICES 1024

struct verified {
    struct {
        uint8_t hash[SHA256_BYTES];
        doc_Keyset keyset;
    } keysets[KEYSETS];
    struct {
        uint8_t hash[SHA256_BYTES];
        doc_DeviceCertificate certificate;
    } devices[DEVICES];
};

struct verified *verified_new(void) { return calloc(1, sizeof(struct verified)); }

void verified_free(struct verified *v) { free(v); }

/* The first bytes of a hash are as good as random; an all-zero hash, the mark of an empty place, does not happen. */
static size_t place_of(const uint8_t hash[SHA256_BYTES], size_t count) { return get_be32(hash) % count; }

bool verified_find_keyset(const struct verified *v, struct slice envelope, doc_Keyset *out)
{
    uint8_t hash[SHA256_BYTES];
    sha256(envelope, hash);
    size_t at = place_of(hash, KEYSETS);
    if (memcmp(v->keysets[at].hash, hash, sizeof(hash)) != 0)
        return false;
    *out = v->keysets[at].keyset;
    return true;
}

void verified_add_keyset(struct verified *v, struct slice envelope, const doc_Keyset *keyset)
{
    uint8_t hash[SHA256_BYTES];
    sha256(envelope, hash);
    size_t at = place_of(hash, KEYSETS);
    memcpy(v->keysets[at].hash, hash, sizeof(hash));
    v->keysets[at].keyset = *keyset;
}

/* Judged under one keyset says nothing about the next: a later one may list other keys. */
static void device_hash(const doc_Keyset *keyset, struct slice envelope, uint8_t hash[SHA256_BYTES])
{
    uint8_t sequence[8];
    put_be64(sequence, keyset->sequence);
    const struct slice parts[] = { SLICE_ARRAY(keyset->distributor), SLICE_ARRAY(sequence), envelope };
    sha256_parts(parts, ARRAY_COUNT(parts), hash);
}

bool verified_find_device(const struct verified *v, const doc_Keyset *keyset, struct slice envelope, int64_t now_ms,
                          doc_DeviceCertificate *out)
{
    uint8_t hash[SHA256_BYTES];
    device_hash(keyset, envelope, hash);
    size_t at = place_of(hash, DEVICES);
    const doc_DeviceCertificate *c = &v->devices[at].certificate;
    if (memcmp(v->devices[at].hash, hash, sizeof(hash)) != 0)
        return false;
    if (now_ms < 0 || (uint64_t)now_ms > c->ends_ms || (uint64_t)now_ms < c->issued_ms)
        return false; /* at its edges the full judgement decides */
    *out = *c;
    return true;
}

void verified_add_device(struct verified *v, const doc_Keyset *keyset, struct slice envelope,
                         const doc_DeviceCertificate *certificate)
{
    uint8_t hash[SHA256_BYTES];
    device_hash(keyset, envelope, hash);
    size_t at = place_of(hash, DEVICES);
    memcpy(v->devices[at].hash, hash, sizeof(hash));
    v->devices[at].certificate = *certificate;
}
