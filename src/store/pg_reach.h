/* Which tables a statement reads or changes, and which of their rows, as far as its text says for certain. What the text does not say is taken to
 * be more: another table, any row. Knows SQL's words, and tables only by the names that the migrations give them. Pure; any thread. */
#ifndef STORE_PG_REACH_H
#define STORE_PG_REACH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/outcome.h"

#define PG_TABLES_MAX 256
#define PG_NAME_BYTES 40
#define PG_COLUMNS_MAX 40

struct pg_names {
    char (*names)[PG_NAME_BYTES];
    unsigned count, cap;
};
/* Tables in the order in which the migrations make them: the same for everyone who has the same migrations. Columns as they are met. */
struct pg_tables {
    struct pg_names tables, columns;
};
/* 0, owned (pg_tables_free); -E2BIG: more than PG_TABLES_MAX; -ENOMEM. */
int pg_tables_of(const char *const *migrations, unsigned count, struct pg_tables *out) MUST_USE;
void pg_tables_free(struct pg_tables *t);

struct pg_set {
    uint64_t bits[PG_TABLES_MAX / 64];
};
static inline bool pg_set_has(const struct pg_set *s, unsigned i) { return s->bits[i / 64] >> (i % 64) & 1; }
static inline void pg_set_add(struct pg_set *s, unsigned i) { s->bits[i / 64] |= UINT64_C(1) << (i % 64); }

struct pg_reach {
    struct pg_set tables; /* named in it */
    bool changes;         /* no SELECT */
    int table;            /* the one that is changed, or the only one that is read; -1: several, perhaps */
    /* Only rows of that table that have, in each of these columns, the value of that parameter. None: any rows. */
    struct {
        unsigned column; /* in the list of columns */
        int parameter;
    } rows[PG_COLUMNS_MAX];
    unsigned count;
};
/* sql: one statement, as the server gets it. names: its columns are added. 0, -ENOMEM. */
int pg_reach_of(const char *sql, struct pg_tables *names, struct pg_reach *out) MUST_USE;

#endif
