/* Which database the operations database is: STATE/operations.db (SQLite), or the PostgreSQL database that the file STATE/database
 * names. Several servers may work on one of the latter, on this machine over one state directory, or on others over copies of it. */
#ifndef DISTRIBUTOR_DATABASE_H
#define DISTRIBUTOR_DATABASE_H

#include "store/postgres.h"

/* Writes STATE/database (mode 0600) for a state directory that has no database yet. 0; as store_pg_judge; -EEXIST: it has another; -errno. */
int database_choose(const char *state_dir, const char *database) MUST_USE;
/* The same for one whose embedded database has moved there: nothing is in the way. 0, as store_pg_judge, -errno. */
int database_choose_moved(const char *state_dir, const char *database) MUST_USE;
/* Takes back the choice of an init that failed. */
void database_unchoose(const char *state_dir);
/* *out: the server's database, or "" for the embedded one. 0; -EINVAL: the file names none; -errno. */
int database_of(const char *state_dir, char out[STORE_PG_DATABASE_BYTES]) MUST_USE;
/* Opens it, as store_open and store_pg_open do. create: also one that is not there yet; otherwise -ENOENT. */
int database_open(struct store **out, const char *state_dir, const struct store_schema *schema, bool create) MUST_USE;

#endif
