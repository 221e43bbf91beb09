/* The store over PostgreSQL (libpq): the same interface as store.h, for the operations database of a distributor. Linked by whoever
 * needs it (store_pg_dep), into nothing else; without libpq postgres-fallback.c stands in, and opening says -ENOTSUP.
 *
 * The program's SQL is one text. It is written in what SQLite and PostgreSQL share, and what differs is translated word by word
 * (pg_sql.h). Only what engines that speak PostgreSQL's protocol have is used: tables, READ COMMITTED transactions, savepoints,
 * ON CONFLICT, RETURNING. No LISTEN, advisory locks, sequences, triggers or functions of our own.
 *
 * Three tables beside the program's:
 *   store_state    one row: the schema's version; `turn`, which every writing transaction raises first; `changes`, raised by
 *                  each that changed something (store_outside_version)
 *   store_touched  one row: `turns`, eight bytes a table in the order of the migrations, the turn that changed it last; `changes` as of then:
 *                  where store_state has another, somebody did not say what he changed, and nothing that is remembered counts
 *   store_writer   one row a connection that wrote: the turn of its last commit
 *
 * transaction_begin waits for its turn as SQLite's waits for the write lock: the row `turn` is taken by the first statement and
 * held to the end, so that of several processes one writes at a time, in the order in which they came, and none has its work undone by
 * another's. As nobody else writes meanwhile, READ COMMITTED shows one consistent state and does not refuse those who waited. A
 * statement that writes outside of a transaction gets a turn of its own. Whoever changes something by hand takes the turn too (docs/DATABASE.md).
 *
 * In a batch (store.h) the server is waited for only when something has to be known that is not remembered (pg_memory.c): changes by query_later()
 * are sent (pg_flight.c), and savepoints are made when something is written in them (pg_savepoint.c).
 *
 * -EAGAIN: the transaction was undone because of somebody else, or because the connection broke: run it again from its beginning.
 * Until it has ended every statement of it says the same.
 * A connection that broke during COMMIT is made again, and the row in store_writer says what became of it: 0 or -EAGAIN.
 * -EHOSTDOWN: the server cannot be reached, and nothing was kept. -EINPROGRESS, of transaction_commit: it can no longer be
 * reached, and nobody knows whether it was kept. */
#ifndef STORE_POSTGRES_H
#define STORE_POSTGRES_H

#include "store/store.h"

#define STORE_PG_DATABASE_BYTES 1024

/* Is it one? "postgresql://…" (a URI), or "postgresql:" and a connection string ("host=… dbname=…"). 0; -EINVAL: no; -EACCES: it holds a
 * password, which belongs into a password file; -ENOTSUP: built without libpq. */
int store_pg_judge(const char *database) MUST_USE;
/* Connects, and brings the schema to its newest version as store_open does. create: an empty database becomes ours, one with others'
 * tables is -ENOTEMPTY; otherwise one without our tables is -ENOENT. 0 and *out is owned by the caller; STORE_NEWER; -ESTALE; -EHOSTDOWN; -ECONNREFUSED: the server answers,
 * but not to us: no such database or role, a wrong password, too many connections (its words are in the log); -EILSEQ: no UTF-8 database;
 * -ENOTSUP; -errno. */
int store_pg_open(struct store **out, const char *database, const struct store_schema *schema, bool create) MUST_USE;
/* Files that a connection string names (certificates, a password file), by whole paths; what it leaves out is as libpq says. Their number. */
#define STORE_PG_FILES_MAX 8
size_t store_pg_files(const char *database, char out[STORE_PG_FILES_MAX][STORE_PG_DATABASE_BYTES]);

#endif
