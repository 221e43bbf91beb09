/* Shared by the files of the PostgreSQL implementation only. */
#ifndef STORE_PG_H
#define STORE_PG_H

#include <libpq-fe.h>

#include "store/internal.h"
#include "store/pg_reach.h"
#include "store/postgres.h"

#define PG_WRITER_BYTES 16
#define PG_PARAMETERS_MAX 64

enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_JSON = 114,
    OID_UNKNOWN = 705,
    OID_VARCHAR = 1043,
    OID_NUMERIC = 1700
};

/* --- Statements -------------------------------------------------------------------------------------------------- */

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
    struct pg_reach reach;
    PGresult *result;         /* ours, or that of */
    struct pg_answer *answer; /* NULL: it is ours */
    int row;
};

/* --- Memory ------------------------------------------------------------------------------------------------------ */

/* What a question was answered, as long as it would be answered the same (pg_memory.c). */
struct pg_answer {
    struct pg_answer *next; /* in its bucket */
    PGresult *result;       /* NULL: on its way */
    unsigned users;         /* the memory, statements that read it, the flight */
    bool kept;              /* by the memory */
    unsigned statement;
    uint64_t version; /* of its tables, when it was asked */
    size_t changes;   /* of its table's rows in this transaction, until then */
    size_t len;
    uint8_t values[]; /* bound */
};
struct pg_table {
    uint64_t version;      /* rises when any of its rows changes */
    uint64_t rows_version; /* when rows change of which the text does not say which */
    struct pg_change {     /* the others, in this transaction */
        unsigned statement;
        uint8_t *values;
        size_t len;
    } * changes;
    size_t count, cap;
};
#define PG_BUCKETS 4096
struct pg_memory {
    struct pg_tables names;
    struct pg_table *tables;
    struct pg_set touched; /* changed by this transaction */
    struct pg_answer *buckets[PG_BUCKETS];
    size_t count, bytes;
    struct buf values; /* of the statement at hand */
};

/* --- The store --------------------------------------------------------------------------------------------------- */

#define PG_FLIGHT_MAX 512
#define PG_LEVELS_MAX 8
#define PG_TURN_HEX 16

struct pg_state { /* the rows of store_state and store_touched */
    int64_t schema, turn, changes, touched_changes;
    char turns[PG_TABLES_MAX * PG_TURN_HEX + 1]; /* the last turn that changed each table */
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
    bool failed;  /* a statement of it, and what it did is not undone */
    bool batch;   /* it is one (store.h) */
    bool each;    /* of the next batch each statement is waited for: one that was not has failed */
    bool doubts;  /* what is remembered is asked all the same, and compared */
    int64_t changed_count;
    struct pg_state state;          /* when this transaction began */
    struct {                        /* savepoints (pg_savepoint.c) */
        unsigned open, made;        /* by the program, on the server */
        unsigned at[PG_LEVELS_MAX]; /* which on the server undoes it; 0: nothing was written since */
    } levels;
    struct {                                   /* statements that were sent and not waited for (pg_flight.c) */
        struct pg_answer *sent[PG_FLIGHT_MAX]; /* whose answer is to be remembered, or NULL */
        unsigned count;
    } flight;
    struct pg_memory memory;
    int64_t seen_turn;                    /* what others had changed until it is known to the memory */
    uint64_t own_changes;                 /* counted in store_state.changes */
    char writer[PG_WRITER_BYTES * 2 + 1]; /* hex; our row in store_writer */
};
static inline struct pg_store *pg_of(struct store *s) { return (struct pg_store *)s; }

/* --- pg_connection.c ---------------------------------------------------------------------------------------------- */

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

/* --- store_pg.c: transactions -------------------------------------------------------------------------------------- */

/* BEGIN of one that writes. */
int pg_take_turn(struct pg_store *s, int64_t deadline_ms, struct pg_state *state) MUST_USE;
int pg_begin_write(struct pg_store *s, bool batch) MUST_USE;
int pg_commit(struct pg_store *s) MUST_USE;
void pg_roll_back(struct pg_store *s);

/* --- pg_savepoint.c ------------------------------------------------------------------------------------------------ */

int pg_savepoint(struct pg_store *s, enum own_statement which) MUST_USE;
int pg_level_write(struct pg_store *s) MUST_USE; /* a savepoint for what is about to be written, if there is none yet */

/* --- pg_flight.c: statements on their way, in a batch --------------------------------------------------------------- */

/* Sends one whose values are bound. answer: to be filled, or NULL. 0, -EAGAIN. */
int pg_send(struct pg_store *s, struct pg_statement *st, const char *name, struct pg_answer *answer) MUST_USE;
int pg_send_words(struct pg_store *s, const char *sql) MUST_USE; /* without values or rows */
/* Waits for all that were sent. last (or NULL): the result of the last one, which is the caller's to judge. 0; -EAGAIN: another one failed. */
int pg_land(struct pg_store *s, PGresult **last) MUST_USE;
void pg_flight_push(struct pg_store *s); /* the server may begin */
void pg_flight_drop(struct pg_store *s); /* with its connection */

/* --- pg_memory.c --------------------------------------------------------------------------------------------------- */

int pg_memory_new(struct pg_store *s) MUST_USE;
void pg_memory_free(struct pg_store *s);
/* The answer to the statement with what is bound, borrowed; NULL: not remembered. */
struct pg_answer *pg_memory_find(struct pg_store *s, unsigned statement);
/* Room for one that is asked now; NULL without memory. */
struct pg_answer *pg_memory_add(struct pg_store *s, unsigned statement);
/* Its answer has come. Takes result. */
void pg_answer_fill(struct pg_store *s, struct pg_answer *a, PGresult *result);
struct pg_answer *pg_answer_ref(struct pg_answer *a);
void pg_answer_unref(struct pg_answer *a); /* accepts NULL */
/* The statement, with what is bound, changes rows now. */
void pg_memory_changed(struct pg_store *s, unsigned statement);
void pg_memory_undone(struct pg_store *s); /* some of what this transaction changed */
void pg_memory_ended(struct pg_store *s);  /* the transaction, either way */
void pg_memory_forget(struct pg_store *s); /* everything */
/* What others changed since the last turn, by the row of store_touched; tracked: nobody has changed anything without saying so there. */
void pg_memory_others(struct pg_store *s, const char *turns, bool tracked);

/* --- pg_query.c ---------------------------------------------------------------------------------------------------- */

struct pg_values { /* as libpq takes them; borrowed */
    const char *values[PG_PARAMETERS_MAX];
    int lengths[PG_PARAMETERS_MAX], formats[PG_PARAMETERS_MAX];
};
void pg_values(const struct pg_statement *st, struct pg_values *out);
int pg_statements_new(struct pg_store *s) MUST_USE; /* after pg_memory_new */
void pg_statements_free(struct pg_store *s);
int pg_bind(struct store *store, unsigned statement, int parameter, const struct value *v);
int pg_step(struct store *store, unsigned statement);
int pg_later(struct store *store, unsigned statement);
void pg_ahead(struct store *store, unsigned statement);
void pg_rewind(struct store *store, unsigned statement);
int pg_parameter_count(const struct store *store, unsigned statement);
int pg_columns(const struct store *store, unsigned statement);
int pg_column(struct store *store, unsigned statement, int column, struct value *out);

/* pg_value.c: a column of any result. */
int pg_read(const PGresult *r, int row, int column, struct value *out) MUST_USE;

/* pg_schema.c: as schema_migrate; create: also an empty database. -ENOENT: it is empty. */
int pg_migrate(struct pg_store *s, bool create) MUST_USE;

#endif
