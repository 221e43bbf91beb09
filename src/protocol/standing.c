/* Judging what is said about restored vaults. No I/O. Any thread. */
#include "protocol/standing.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

bool standing_is_absurd(uint64_t generation, uint64_t known, int64_t now_ms)
{
    uint64_t base = now_ms > 0 && (uint64_t)now_ms > known ? (uint64_t)now_ms : known;
    return generation > base && generation - base > STANDING_JUMP_MAX;
}

static bool may_sign(const doc_Keyset *k, const uint8_t signer[32], const void *distributor, uint64_t time_ms)
{
    return time_ms <= INT64_MAX && keyset_lists(k, KEY_LICENSE, signer, (int64_t)time_ms) &&
           id_equal(distributor, k->distributor);
}

int standing_judge(struct slice envelope, const doc_Keyset *distributor, const struct id *client, doc_Standing *out)
{
    doc_Standing read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_STANDING, envelope, &read, sizeof(read), signer);
    if (r != 0)
        return r;
    if (!may_sign(distributor, signer, read.distributor, read.time_ms))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(read.client, client))
        return REASON_WRONG_DESTINATION;
    *out = read;
    return 0;
}

int generation_judge(struct slice envelope, const struct id *client, const struct id *self, doc_Generation *out)
{
    doc_Generation read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_GENERATION, envelope, &read, sizeof(read), signer);
    if (r != 0)
        return r;
    struct id by = id_of_key(signer);
    if (!id_equal(&by, read.client) || !id_equal(&by, client))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(read.distributor, self))
        return REASON_WRONG_DESTINATION;
    *out = read;
    return 0;
}

void catch_up_place(const doc_CatchUpEntry *e, uint8_t out[STANDING_PLACE_BYTES])
{
    out[0] = (uint8_t)e->kind;
    memcpy(out + 1, e->issuer, ID_BYTES);
    memcpy(out + 1 + ID_BYTES, e->name, sizeof(e->name));
}

static bool is_whole(const doc_CatchUpEntry *e, const void *distributor)
{
    bool of_move = e->has_license_id && e->has_content && e->has_destination && e->has_digest;
    bool beyond = e->has_license_id || e->has_content || e->has_destination || e->has_digest;
    switch (e->kind) {
    case CATCH_UP_SERIAL:
        return !beyond && !e->has_sequence;
    case CATCH_UP_LICENSE:
        return !beyond && e->has_sequence && id_equal(e->issuer, distributor);
    case CATCH_UP_MOVE:
        return of_move && e->has_sequence && id_equal(e->issuer, distributor);
    default:
        return false;
    }
}

static bool entries_are_good(const doc_CatchUp *c)
{
    uint8_t before[STANDING_PLACE_BYTES], place[STANDING_PLACE_BYTES];
    memcpy(before, c->after, sizeof(before));
    for (pb_size_t i = 0; i < c->entries_count; i++) {
        if (!is_whole(&c->entries[i], c->distributor))
            return false;
        catch_up_place(&c->entries[i], place);
        if (memcmp(place, before, sizeof(place)) <= 0)
            return false;
        memcpy(before, place, sizeof(before));
    }
    return c->last || c->entries_count > 0; /* pages lead to an end */
}

int catch_up_judge(struct slice envelope, const doc_Keyset *distributor, const struct id *client, doc_CatchUp *out)
{
    doc_CatchUp *read CLEANUP(freep) = malloc(sizeof(*read));
    uint8_t signer[32];
    if (!read)
        return -ENOMEM;
    int r = document_open(DOCUMENT_CATCH_UP, envelope, read, sizeof(*read), signer);
    if (r != 0)
        return r;
    if (!may_sign(distributor, signer, read->distributor, read->time_ms))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(read->client, client))
        return REASON_WRONG_DESTINATION;
    if (!entries_are_good(read))
        return REASON_MALFORMED;
    *out = *read;
    return 0;
}
