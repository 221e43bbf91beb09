/* A small database that the tests of this layer share: rooms, and the lamps in them. */
#ifndef TEST_STORE_HOUSEHOLD_H
#define TEST_STORE_HOUSEHOLD_H

#include "store/store.h"

enum {
    ADD_ROOM,
    FIND_ROOM,
    ADD_LAMP,
    COUNT_LAMPS,
    LIST_LAMPS,
    ANY_VALUE,
    LIMIT_PAGES,
    FILL,
    ADD_OR_UNDO,
    STATEMENT_COUNT
};

extern const char *const household_migrations[];
extern const char *const household_statements[];
#define HOUSEHOLD_VERSION 2

/* Newest version, all statements. */
struct store_schema household_schema(unsigned flags);

/* cmocka setup and teardown: a new directory in household_dir, removed with all that SQLite makes in it. */
extern char household_dir[64];
int household_setup(void **state);
int household_teardown(void **state);
const char *household_path(void); /* of the database in it */

struct store *household_open(void); /* asserts that it opens */
int household_add_room(struct store *s, const char *name, int64_t floor) MUST_USE;
int household_add_lamp(struct store *s, const char *name, const char *room) MUST_USE;
int64_t household_lamp_count(struct store *s);

#endif
