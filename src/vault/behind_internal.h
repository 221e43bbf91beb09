/* What standing_check and catch_up_take share: the catch-ups under way. Not kept: after a restart they begin anew, with another nonce. */
#ifndef VAULT_BEHIND_INTERNAL_H
#define VAULT_BEHIND_INTERNAL_H

#include "protocol/standing.h"
#include "vault/behind.h"
#include "vault/service.h"

#define BEHIND_COUNT_MAX SERVICE_COUNT_MAX

struct catching_up {
    bool open;
    uint64_t number; /* the oldest gives way */
    struct id distributor;
    uint8_t nonce[STANDING_NONCE_BYTES];
    uint8_t after[STANDING_PLACE_BYTES];
    bool has_last; /* what the distributor took last, of a copy of this vault that is no more */
    uint8_t last[STANDING_NONCE_BYTES];
};
struct behind {
    struct catching_up under_way[BEHIND_COUNT_MAX];
    uint64_t count;
    char text[192];
};
/* The one of this distributor; NULL: none. */
struct catching_up *behind_find(struct vault *v, const void *distributor);
/* The same, made when there is none. */
struct catching_up *behind_begin(struct vault *v, const void *distributor);

/* The row of table standing. Zeros without one. */
struct standing_row {
    uint64_t behind; /* until this generation; 0: not behind */
    bool has_taken, has_issued;
    uint8_t taken[STANDING_NONCE_BYTES];  /* of the last statement that the distributor took, as far as known */
    uint8_t issued[STANDING_NONCE_BYTES]; /* of the last one signed; it may have been taken */
};
int standing_row_get(const struct vault *v, const void *distributor, struct standing_row *out) MUST_USE;
int standing_row_put(struct vault *v, const void *distributor, const struct standing_row *row) MUST_USE;

#endif
