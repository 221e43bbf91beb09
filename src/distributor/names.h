/* Names in use: a table from short byte strings to counted entries, for who is connected (users, addresses).
 * One thread. Memory is bounded by what is in use: an entry goes when its last use ends. */
#ifndef DISTRIBUTOR_NAMES_H
#define DISTRIBUTOR_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/outcome.h"
#include "base/rng.h"
#include "base/slice.h"

#define NAMES_BYTES 64

struct name {
    struct name *next; /* the table's */
    uint32_t hash;     /* the table's */
    uint32_t uses;
    uint8_t bytes[NAMES_BYTES];
    uint8_t len;
    void *data;     /* the user's; NULL in a new entry */
    uint64_t value; /* the user's; 0 in a new entry */
};
struct names {
    struct name **rows;
    size_t row_count, count;
    uint8_t key[32];
};
int names_init(struct names *n, const struct rng *rng) MUST_USE; /* 0 or -ENOMEM */
void names_deinit(struct names *n);                              /* entries still in use are freed too */
/* Finds or adds an entry and counts one more use. NULL: no memory, or longer than NAMES_BYTES. */
struct name *names_take(struct names *n, struct slice bytes);
void names_drop(struct names *n, struct name *name); /* one use less; accepts NULL */
struct name *names_find(const struct names *n, struct slice bytes);
/* All entries, in no order: names_next(n, NULL) first. The current one may be dropped only after asking for the next. */
struct name *names_next(const struct names *n, const struct name *previous);

#endif
