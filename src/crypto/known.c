/* A direct-mapped table of hashes. */
#include "crypto/known.h"

#include <stdlib.h>

#include "base/util.h"
#include "crypto/sha256.h"

struct known {
    size_t place_count;
    uint8_t hashes[][SHA256_BYTES];
};

struct known *known_new(size_t place_count)
{
    struct known *k = calloc(1, sizeof(*k) + place_count * SHA256_BYTES);
    if (k != NULL)
        k->place_count = place_count;
    return k;
}

void known_free(struct known *k) { free(k); }

/* The first bytes of a hash are as good as random; an all-zero hash, the mark of an empty place, does not happen. */
static size_t place_of(const struct known *k, const uint8_t hash[SHA256_BYTES])
{
    return get_be64(hash) % k->place_count;
}

bool known_has(const struct known *k, struct slice envelope)
{
    uint8_t hash[SHA256_BYTES];
    sha256(envelope, hash);
    return memcmp(k->hashes[place_of(k, hash)], hash, sizeof(hash)) == 0;
}

void known_add(struct known *k, struct slice envelope)
{
    uint8_t hash[SHA256_BYTES];
    sha256(envelope, hash);
    memcpy(k->hashes[place_of(k, hash)], hash, sizeof(hash));
}
