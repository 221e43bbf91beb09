/* Shared by town_db.c and town_pg.c. */
#ifndef TEST_DISTRIBUTOR_TOWN_DB_H
#define TEST_DISTRIBUTOR_TOWN_DB_H

#include "town.h"

struct sha256_state;
bool town_db_is_bookkeeping(const char *table);
void town_db_hash(struct sha256_state *state, const void *value, uint32_t len);

void town_pg_make(struct shop *s);
void town_pg_free(struct shop *s);
int64_t town_pg_ask(const struct shop *s, const char *sql);
bool town_pg_change(const struct shop *s, const char *sql);
void town_pg_digest(const struct shop *s, struct sha256_state *state);

#endif
