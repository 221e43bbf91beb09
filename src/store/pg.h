/* Shared by the files of the PostgreSQL implementation only. */
#ifndef STORE_PG_H
#define STORE_PG_H

#include <libpq-fe.h>

#include "store/internal.h"
#include "store/postgres.h"

#define PG_WRITER_BYTES 16

struct pg_value { /* bound */
    enum value_kind kind;
    uint8_t number[8];
    uint8_t *bytes;
    size_t len, cap;
};
struct pg_statement {
    char *sql;
    int parameter_count;
    struct pg_value *values; /* parameter_count of them, as the next */
    Oid *types;              /* as prepared; 0: never bound yet, the server's guess */
    uint64_t prepared_on;    /* the connection's number; 0: not */
    PGresult *result;
    int row;
};
struct pg_store {
    struct store base; /* first */
    char database[STORE_PG_DATABASE_BYTES];
    PGconn *connection;
    uint64_t number; /* of the connection: rises with each */
    struct pg_statement *statements;
    bool lost; /* the connection is, whatever libpq says */
    bool in_transaction, writes;
    bool undone;  /* the transaction is: until it has ended everything says -EAGAIN */
    bool changed; /* something, in this transaction */
    int64_t changed_count;
    int64_t turn;                         /* of this transaction */
    uint64_t own_changes;                 /* counted in store_state.changes */
    char writer[PG_WRITER_BYTES * 2 + 1]; /* hex; our row in store_writer */
};
static inline struct pg_store *pg_of(struct store *s) { return (struct pg_store *)s; }

void pg_clear(PGresult **r);
/* A result as an outcome of store.h; a failure that undoes the transaction is kept in s. */
int pg_outcome(struct pg_store *s, const PGresult *r) MUST_USE;
/* Runs a script without values; *last (cleared by the caller; may be NULL) is the result of its last statement. */
int pg_run_script(struct pg_store *s, const char *sql, PGresult **last) MUST_USE;
/* A connection, made again if need be; waits for the server until deadline_ms of the monotonic clock. 0, -EHOSTDOWN, -ECONNREFUSED (the first one
 * only), -EILSEQ, -errno. */
int pg_connect(struct pg_store *s, int64_t deadline_ms) MUST_USE;
bool pg_is_lost(const struct pg_store *s);
int64_t pg_now_ms(void);
int64_t pg_deadline_ms(const struct pg_store *s); /* of one that begins now */
/* BEGIN of one that writes; on 0, *state is the row of store_state: schema, turn, changes. */
int pg_take_turn(struct pg_store *s, int64_t deadline_ms, int64_t state[3]) MUST_USE;
int pg_begin_write(struct pg_store *s) MUST_USE;
int pg_commit(struct pg_store *s) MUST_USE;
void pg_roll_back(struct pg_store *s);

/* pg_query.c */
int pg_statements_new(struct pg_store *s) MUST_USE;
void pg_statements_free(struct pg_store *s);
int pg_bind(struct store *store, unsigned statement, int parameter, const struct value *v);
int pg_step(struct store *store, unsigned statement);
void pg_rewind(struct store *store, unsigned statement);
int pg_parameter_count(const struct store *store, unsigned statement);
int pg_columns(const struct store *store, unsigned statement);
int pg_column(struct store *store, unsigned statement, int column, struct value *out);
/* A column of any result. */
int pg_read(const PGresult *r, int row, int column, struct value *out) MUST_USE;

/* pg_schema.c: as schema_migrate; create: also an empty database. -ENOENT: it is empty. */
int pg_migrate(struct pg_store *s, bool create) MUST_USE;

#endif
