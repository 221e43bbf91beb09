/* Rows of entries by a keyed hash; twice as many rows whenever there are more entries than rows. */
#include "distributor/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "crypto/sha256.h"

#define ROWS_MIN 64

int names_init(struct names *n, const struct rng *rng)
{
    struct name **rows = calloc(ROWS_MIN, sizeof(*rows));
    if (rows == NULL)
        return -ENOMEM;
    *n = (struct names){ .rows = rows, .row_count = ROWS_MIN };
    rng_fill(rng, n->key, sizeof(n->key));
    return 0;
}

void names_deinit(struct names *n)
{
    for (size_t i = 0; i < n->row_count; i++)
        while (n->rows[i] != NULL) {
            struct name *name = n->rows[i];
            n->rows[i] = name->next;
            free(name);
        }
    free(n->rows);
    memset(n, 0, sizeof(*n));
}

static uint32_t hash_of(const struct names *n, struct slice bytes)
{
    uint8_t hash[SHA256_BYTES];
    struct slice parts[] = { SLICE_ARRAY(n->key), bytes };
    sha256_parts(parts, ARRAY_COUNT(parts), hash);
    return get_be32(hash);
}

static struct name **row_of(const struct names *n, uint32_t hash) { return &n->rows[hash % n->row_count]; }

static struct name *find(const struct names *n, uint32_t hash, struct slice bytes)
{
    for (struct name *name = *row_of(n, hash); name != NULL; name = name->next)
        if (name->hash == hash && slice_equal(slice(name->bytes, name->len), bytes))
            return name;
    return NULL;
}

struct name *names_find(const struct names *n, struct slice bytes) { return find(n, hash_of(n, bytes), bytes); }

/* More rows when they fill up. Without memory the rows just stay long. */
static void grow(struct names *n)
{
    size_t row_count = n->row_count * 2;
    struct name **rows = calloc(row_count, sizeof(*rows));
    if (rows == NULL)
        return;
    for (size_t i = 0; i < n->row_count; i++)
        while (n->rows[i] != NULL) {
            struct name *name = n->rows[i];
            n->rows[i] = name->next;
            name->next = rows[name->hash % row_count];
            rows[name->hash % row_count] = name;
        }
    free(n->rows);
    n->rows = rows;
    n->row_count = row_count;
}

struct name *names_take(struct names *n, struct slice bytes)
{
    if (bytes.len > NAMES_BYTES)
        return NULL;
    uint32_t hash = hash_of(n, bytes);
    struct name *name = find(n, hash, bytes);
    if (name != NULL) {
        name->uses++;
        return name;
    }
    name = calloc(1, sizeof(*name));
    if (name == NULL)
        return NULL;
    if (n->count >= n->row_count)
        grow(n);
    name->hash = hash;
    name->uses = 1;
    name->len = (uint8_t)bytes.len;
    if (bytes.len > 0)
        memcpy(name->bytes, bytes.data, bytes.len);
    struct name **row = row_of(n, hash);
    name->next = *row;
    *row = name;
    n->count++;
    return name;
}

void names_drop(struct names *n, struct name *name)
{
    if (name == NULL || --name->uses > 0)
        return;
    struct name **at = row_of(n, name->hash);
    while (*at != name)
        at = &(*at)->next;
    *at = name->next;
    n->count--;
    free(name);
}

struct name *names_next(const struct names *n, const struct name *previous)
{
    if (previous != NULL && previous->next != NULL)
        return previous->next;
    for (size_t i = previous == NULL ? 0 : previous->hash % n->row_count + 1; i < n->row_count; i++)
        if (n->rows[i] != NULL)
            return n->rows[i];
    return NULL;
}
