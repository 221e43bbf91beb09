/* A database of a test's own on the PostgreSQL server that TOWN_POSTGRES names (a connection string without a database). */
#ifndef TEST_STORE_SHELF_H
#define TEST_STORE_SHELF_H

#include "store/postgres.h"

extern char shelf_database[STORE_PG_DATABASE_BYTES];
int shelf_make(void **state);           /* a group's setup */
void shelf_by_hand(const char *script); /* on a connection of its own, as somebody with psql would */
struct store *shelf_open(const struct store_schema *schema);

#endif
