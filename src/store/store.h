/* A database with one way to open, one way to ask and one way to fail: SQLite, or PostgreSQL (store/postgres.h opens that).
 *
 * A program describes its database once: migrations (SQL scripts, script i leads from version i to i + 1) and a
 * table of statements indexed by its own enum. What the tables mean is the program's business, never this layer's.
 *
 *     enum { FIND_SERIAL, ADD_SERIAL };
 *     static const char *const statements[] = {
 *         [FIND_SERIAL] = "SELECT used_ms FROM serial WHERE issuer = ?1 AND serial = ?2",
 *         [ADD_SERIAL] = "INSERT INTO serial (issuer, serial, used_ms) VALUES (?1, ?2, ?3)",
 *     };
 *     static const struct store_schema schema = { migrations, ARRAY_COUNT(migrations),
 *                                                 statements, ARRAY_COUNT(statements) };
 *
 *     struct query q CLEANUP(query_end) = query(store, FIND_SERIAL);
 *     query_bind_blob(&q, 1, issuer);
 *     query_bind_blob(&q, 2, serial);
 *     int r = query_step(&q);
 *     if (r != STORE_ROW)
 *         return r == 0 ? SERIAL_UNUSED : r;
 *     int64_t used_ms = query_i64(&q, 0);
 *     r = query_check(&q);
 *
 * Threads: a store and its queries belong to one thread at a time; every thread opens the path for itself.
 * Binding and reading keep their first failure in the query ("sticky"); query_step(), query_run() and query_check()
 * report it, so that the lines between need no checks of their own.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/outcome.h"
#include "base/slice.h"

struct store;

/* Outcomes of this header. Fatal ones are -errno: -ENOSPC disk full, -EBUSY another writer stayed longer than the
 * timeout, -EUCLEAN damaged database or a value of another type than asked for, -EROFS, -EACCES, -ENOMEM, -EIO.
 * Over PostgreSQL also -EAGAIN (the transaction was undone: run it again from its beginning), -EHOSTDOWN, -EINPROGRESS (store/postgres.h).
 * A failed sync stops the program. */
#define STORE_ROW 1      /* query_step: a row may be read */
#define STORE_CONFLICT 2 /* a UNIQUE, CHECK, NOT NULL or FOREIGN KEY constraint refused the statement */
#define STORE_NEWER 3    /* store_open: the database was made by a newer version of the program */
#define STORE_ABSENT 4   /* query_one: no row */

enum store_flags {
    STORE_READ_ONLY = 1,          /* never creates, migrates or writes; an older schema is -ESTALE */
    STORE_OWN_SCHEMA = 4,         /* nothing is in it but what the migrations make: else -EUCLEAN (SQLite) */
    STORE_SUMMED = 8,             /* store_sum_follow may be called (SQLite) */
    STORE_NO_AUTO_CHECKPOINT = 2, /* another thread calls store_checkpoint() on a connection of its own */
};

struct store_schema { /* all borrowed for the life of the store */
    const char *const *migrations;
    unsigned migration_count;
    const char *const *statements; /* exactly one SQL statement each, parameters written ?1, ?2, ... */
    unsigned statement_count;
    unsigned flags;     /* enum store_flags */
    unsigned cache_kib; /* page cache of this connection; 0 means 1024 */
    unsigned busy_ms;   /* how long to wait for another writer; 0 means 5000 */
};

/* Opens or creates the database at path (mode 0600; ":memory:" for tests), brings it to the newest version, one
 * transaction a migration, and prepares every statement. WAL, synchronous=FULL, foreign keys, untrusted schema.
 * 0 and *out is owned by the caller (store_close); STORE_NEWER; -errno. */
int store_open(struct store **out, const char *path, const struct store_schema *schema) MUST_USE;
void store_close(struct store *s);   /* accepts NULL; every query must have ended */
void store_closep(struct store **s); /* cleanup attribute */

/* Moves the write-ahead log into the database as far as readers allow. 0 (also when some of it had to stay), -errno. log_pages: how long it was;
 * may be NULL. When nothing is left in it, the next transaction begins it anew; while somebody writes there always is, and it grows. */
int store_checkpoint(struct store *s, uint64_t *log_pages) MUST_USE;
/* Writes a consistent copy to a new file (mode 0600), synced. -EEXIST when something is there. Not in a transaction. */
int store_backup(struct store *s, const char *path) MUST_USE;
/* Writes the database anew and empties the write-ahead log, so that nothing that was deleted is left in either. Others wait meanwhile. Not in a
 * transaction. 0; -EBUSY: somebody else is at it, or reads an older state: again later. */
int store_scrub(struct store *s) MUST_USE;
/* The file at path is the whole of a database afterwards, without its write-ahead log, whoever was killed with it open. Nobody has it open. 0, -EBUSY, -errno. SQLite only. */
int store_fold(const char *path) MUST_USE;
/* Reads the whole database and its foreign keys. 0 or -EUCLEAN. Slow: for doctor and restore. */
int store_verify(struct store *s) MUST_USE;

/* A number that is another one after somebody else (another connection, another process) has committed a change; changes
 * made through s do not count. Comparable only with earlier answers of s. */
int store_outside_version(struct store *s, uint64_t *version) MUST_USE;

int64_t store_changed_count(const struct store *s); /* rows changed by the last INSERT, UPDATE or DELETE */
int64_t store_last_id(const struct store *s);       /* rowid of the last INSERT; SQLite only: elsewhere RETURNING */

/* --- Transactions: rolled back at the end of the scope unless committed ------------------------------------------ */

/* struct transaction t CLEANUP(transaction_end) = { 0 }; */
struct transaction {
    struct store *store; /* NULL when not open */
};
int transaction_begin(struct transaction *t, struct store *s) MUST_USE; /* takes the write lock at once; not nested */
int transaction_begin_read(struct transaction *t, struct store *s) MUST_USE; /* one consistent view */
/* As transaction_begin, for whoever runs the whole again when it is -EAGAIN. Over PostgreSQL what runs by query_later() may then fail after the
 * call: as -EAGAIN of a later one, and when it is run again at the call that is to blame. */
int transaction_begin_batch(struct transaction *t, struct store *s) MUST_USE;
/* A failure that makes the database undo all of it by itself (no memory, no room, a disk's error) is what each later statement, savepoint and the commit
 * fail with, until transaction_end. */
/* Durable when 0. STORE_CONFLICT when a deferred foreign key is open (the transaction is then rolled back), -errno. */
int transaction_commit(struct transaction *t) MUST_USE;
void transaction_end(struct transaction *t); /* rolls back what is open; idempotent */

/* struct savepoint p CLEANUP(savepoint_end) = { 0 }; inside a transaction, may nest */
struct savepoint {
    struct store *store;
};
int savepoint_begin(struct savepoint *p, struct store *s) MUST_USE;
int savepoint_release(struct savepoint *p) MUST_USE; /* keeps the changes for the enclosing transaction */
void savepoint_end(struct savepoint *p);             /* undoes the changes unless released; idempotent */

/* Bytes in memory that go with the database: they are put back as they are now when the savepoint that is open now, or one around it, or the
 * transaction is undone. at: at most 64 bytes, borrowed until the transaction has ended. Inside a transaction. 0, -ENOMEM. */
int store_keep(struct store *s, void *at, size_t len) MUST_USE;

/* --- All rows under one sum (SQLite) ------------------------------------------------------------------------------ */

#define STORE_SUM_BYTES 32
/* The sum, modulo 2^256, of what row() makes of each row of each table but one. When row() has a secret key, and an earlier sum is known to be right, another
 * program cannot have changed, added, removed or put back a row since without being noticed. Columns that are NULL or 0 do not count: a migration
 * may add such, and tables, without a difference; it must not change rows. */
struct store_sum {
    const char *but; /* the table that keeps the sum */
    void (*row)(void *ctx, struct slice row, uint8_t out[STORE_SUM_BYTES]);
    /* In every transaction that has changed it, before the commit: puts it into its table. 0, or what the commit then returns. */
    int (*seal)(void *ctx, const uint8_t sum[STORE_SUM_BYTES]);
    void *ctx;
};
/* Adds up all rows as they are: reads the whole database. 0, -errno. */
int store_sum_rows(struct store *s, const struct store_sum *by, uint8_t out[STORE_SUM_BYTES]) MUST_USE;
/* From now on the sum follows every change; rows are changed in transactions only (asserted). by: borrowed for the life of the store. */
void store_sum_follow(struct store *s, const struct store_sum *by, const uint8_t sum[STORE_SUM_BYTES]);
void store_sum_get(const struct store *s, uint8_t out[STORE_SUM_BYTES]);

/* --- Queries ----------------------------------------------------------------------------------------------------- */

struct query {
    struct store *store; /* NULL when it has ended */
    unsigned index;
    int outcome;         /* first failure */
    uint64_t bound_bits; /* which parameters were bound */
    bool stepped, done;
};

/* struct query q CLEANUP(query_end) = query(store, FIND_SERIAL);
 * A statement has one user at a time: asserts that the previous query over it has ended. */
struct query query(struct store *s, unsigned statement);
void query_end(struct query *q); /* resets the statement and forgets the values; idempotent */

/* Values are copied. parameter counts from 1, as in the SQL. Every parameter must be bound (asserted). */
void query_bind_i64(struct query *q, int parameter, int64_t v);
void query_bind_u64(struct query *q, int parameter, uint64_t v);       /* above INT64_MAX: -EOVERFLOW */
void query_bind_text(struct query *q, int parameter, const char *v);   /* NULL binds NULL */
void query_bind_chars(struct query *q, int parameter, struct slice v); /* text that is not terminated */
void query_bind_blob(struct query *q, int parameter, struct slice v);  /* an empty slice is an empty blob, not NULL */
void query_bind_null(struct query *q, int parameter);

/* Next row: STORE_ROW, 0 at the end, STORE_CONFLICT, -errno. */
int query_step(struct query *q) MUST_USE;
/* First row of a query that has at most one: 0, STORE_ABSENT, STORE_CONFLICT, -errno. */
int query_one(struct query *q) MUST_USE;
/* Runs to the end, ignoring rows, and leaves the query ready to be bound again. 0, STORE_CONFLICT, -errno. */
int query_run(struct query *q) MUST_USE;
/* As query_run, for a change whose changed rows nobody counts and whose constraints nobody breaks. In a batch over PostgreSQL it is sent, and not
 * waited for: 0 means nothing yet. */
int query_later(struct query *q) MUST_USE;
/* This will be asked, with these values, in this transaction: in a batch over PostgreSQL it is asked now, with others, and whoever runs it gets what it
 * would be answered then. Otherwise nothing happens. Leaves the query ready to be bound again. */
void query_ahead(struct query *q);
bool store_asks_ahead(const struct store *s); /* Is it worth the trouble? */
/* First failure so far: 0, -EUCLEAN after a read, or what a step said. After it fails, what was read means nothing. */
int query_check(const struct query *q) MUST_USE;
/* One statement without parameters. As query_run. */
int store_run(struct store *s, unsigned statement) MUST_USE;

/* column counts from 0. A value of another type, length or range makes the query -EUCLEAN and reads as zero or empty. */
bool query_is_null(const struct query *q, int column);
int64_t query_i64(struct query *q, int column);
uint64_t query_u64(struct query *q, int column);
uint32_t query_u32(struct query *q, int column);
bool query_bool(struct query *q, int column);
void query_fixed(struct query *q, int column, void *out, size_t len); /* a blob of exactly len bytes */
struct slice query_blob(struct query *q, int column);                 /* valid until the next step or the end */
void query_text(struct query *q, int column, char *out, size_t cap);  /* at most cap - 1 bytes, no NUL inside */
/* Appends a blob or text to out; one that does not fit its bound makes the query -EFBIG. */
void query_append(struct query *q, int column, struct buf *out);

#endif
