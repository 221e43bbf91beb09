/* The store over PostgreSQL: transactions. Its connection is in pg_connection.c, its statements in pg_query.c, its
 * migrations in pg_schema.c. Everything waits for the server: for threads that may. One thread at a time per store. */
#define LOG_MODULE "store"
#include "store/pg.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/rng.h"
#include "base/text.h"
#include "base/util.h"

#define SETTLE_MS 10000 /* for the server to come back and say what became of a commit */

/* --- Transactions ------------------------------------------------------------------------------------------------ */

/* Either way. */
static void ended(struct pg_store *s)
{
    s->in_transaction = s->batch = s->failed = false;
    s->levels.open = s->levels.made = 0;
    pg_memory_ended(s);
}

void pg_roll_back(struct pg_store *s)
{
    ended(s);
    if (s->connection && !pg_is_lost(s)) {
        int r = pg_land(s, NULL);
        if (!pg_is_lost(s))
            r = pg_run_script(s, "ROLLBACK", NULL);
        (void)r; /* nothing was promised; a connection that is beyond use is made again */
    }
    s->undone = false;
}

static bool read_state(const PGresult *r, struct pg_state *state)
{
    int64_t *const numbers[] = { &state->schema, &state->turn, &state->changes, &state->touched_changes };
    if (PQntuples(r) != 1 || PQnfields(r) != 5 || PQgetlength(r, 0, 4) >= (int)sizeof(state->turns))
        return false;
    for (int i = 0; i < (int)ARRAY_COUNT(numbers); i++)
        *numbers[i] = strtoll(PQgetvalue(r, 0, i), NULL, 10);
    snprintf(state->turns, sizeof(state->turns), "%s", PQgetvalue(r, 0, 4));
    return true;
}

/* Waiting for the row costs nobody his transaction: READ COMMITTED sees it as the one before has left it. */
int pg_take_turn(struct pg_store *s, int64_t deadline_ms, struct pg_state *state)
{
    for (;;) {
        int r = pg_connect(s, deadline_ms);
        if (r != 0)
            return r;
        PGresult *last CLEANUP(pg_clear) = NULL;
        s->undone = false;
        r = pg_run_script(s,
                          "BEGIN ISOLATION LEVEL READ COMMITTED;"
                          "UPDATE store_state SET turn = turn + 1 WHERE one = 1;"
                          "SELECT s.schema, s.turn, s.changes, t.changes, encode(t.turns, 'hex')"
                          " FROM store_state s, store_touched t WHERE s.one = 1 AND t.one = 1",
                          &last);
        if (r == 0 && !read_state(last, state))
            r = -ENOENT;
        if (r == 0)
            return 0;
        pg_roll_back(s);
        if (r != -EAGAIN && r != -EBUSY)
            return r;
        if (pg_now_ms() >= deadline_ms)
            return -EBUSY;
    }
}

int pg_begin_write(struct pg_store *s, bool batch)
{
    int r = pg_take_turn(s, pg_deadline_ms(s), &s->state);
    if (r != 0)
        return r;
    s->in_transaction = s->writes = true;
    s->changed = false;
    s->batch = batch;
    if (s->state.turn <= s->seen_turn) /* another database than before */
        pg_memory_forget(s);
    pg_memory_others(s, s->state.turns, s->state.changes == s->state.touched_changes);
    s->seen_turn = s->state.turn - 1;
    return 0;
}

/* What one sees stands still; nobody is waited for, and nobody waits. */
static int begin_read(struct pg_store *s)
{
    int64_t deadline_ms = pg_deadline_ms(s);
    for (;;) {
        int r = pg_connect(s, deadline_ms);
        if (r != 0)
            return r;
        s->undone = false;
        r = pg_run_script(s, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL);
        s->in_transaction = r == 0;
        s->writes = s->changed = false;
        if (r != -EAGAIN || pg_now_ms() >= deadline_ms)
            return r;
    }
}

/* Did the commit of this turn happen? Whoever had the turn before us, perhaps our own former connection, has ended by now. */
static int settle(struct pg_store *s)
{
    int64_t deadline_ms = pg_now_ms() + SETTLE_MS;
    struct pg_state state;
    char sql[160];
    snprintf(sql, sizeof(sql), "SELECT 1 FROM store_writer WHERE writer = decode('%s', 'hex') AND turn = %lld",
             s->writer, (long long)s->state.turn);
    int r;
    do {
        PGresult *found CLEANUP(pg_clear) = NULL;
        r = pg_take_turn(s, deadline_ms, &state);
        if (r == 0)
            r = pg_run_script(s, sql, &found);
        if (r == 0) {
            bool committed = PQntuples(found) == 1;
            pg_roll_back(s);
            log_info("a commit whose answer was lost: %s", committed ? "it was kept" : "it was undone");
            s->own_changes += committed;
            return committed ? 0 : -EAGAIN;
        }
        pg_roll_back(s);
    } while (pg_now_ms() < deadline_ms);
    log_error("what became of a commit is not known errno=%d", -r);
    return -EINPROGRESS;
}

/* The row of store_touched: what this transaction has changed was changed in its turn. */
static void print_turns(const struct pg_store *s, char out[PG_TABLES_MAX * PG_TURN_HEX + 1])
{
    size_t known = strlen(s->state.turns) / PG_TURN_HEX;
    for (unsigned i = 0; i < s->memory.names.tables.count; i++) {
        char *at = out + (size_t)i * PG_TURN_HEX;
        if (pg_set_has(&s->memory.touched, i))
            snprintf(at, PG_TURN_HEX + 1, "%016llx", (unsigned long long)s->state.turn);
        else
            snprintf(at, PG_TURN_HEX + 1, "%.16s",
                     i < known ? s->state.turns + (size_t)i * PG_TURN_HEX : "0000000000000000");
    }
}

int pg_commit(struct pg_store *s)
{
    char sql[PG_TABLES_MAX * PG_TURN_HEX + 512], turns[PG_TABLES_MAX * PG_TURN_HEX + 1] = "";
    if (!s->undone && pg_land(s, NULL) != 0) /* what failed on its way is known now */
        s->undone = true;
    if (s->undone || (s->writes && !s->changed)) {
        bool undone = s->undone;
        pg_roll_back(s);
        return undone ? -EAGAIN : 0;
    }
    print_turns(s, turns);
    snprintf(sql, sizeof(sql),
             "INSERT INTO store_writer (writer, turn) VALUES (decode('%s', 'hex'), %lld)"
             " ON CONFLICT (writer) DO UPDATE SET turn = excluded.turn;"
             "UPDATE store_state SET changes = changes + 1 WHERE one = 1;"
             "UPDATE store_touched SET changes = %lld, turns = decode('%s', 'hex') WHERE one = 1;COMMIT",
             s->writer, (long long)s->state.turn, (long long)s->state.changes + 1, turns);
    PGresult *last CLEANUP(pg_clear) = NULL;
    int r = pg_run_script(s, s->writes ? sql : "COMMIT", &last);
    if (r == 0 && strcmp(PQcmdStatus(last), "COMMIT") != 0)
        r = -EAGAIN; /* it was beyond use, and was rolled back */
    ended(s);
    if (r == 0) {
        s->own_changes += s->writes;
        s->seen_turn += s->writes;
        s->each = false;
        return 0;
    }
    if (s->writes && pg_is_lost(s))
        return settle(s);
    pg_roll_back(s);
    return r;
}

static int run_own(struct store *store, enum own_statement which)
{
    struct pg_store *s = pg_of(store);
    switch (which) {
    case OWN_BEGIN:
    case OWN_BEGIN_BATCH:
        return pg_begin_write(s, which == OWN_BEGIN_BATCH);
    case OWN_BEGIN_READ:
        return begin_read(s);
    case OWN_COMMIT:
        return pg_commit(s);
    case OWN_ROLLBACK:
        pg_roll_back(s);
        return 0;
    default:
        return pg_savepoint(s, which);
    }
}

static bool in_transaction(const struct store *store) { return ((const struct pg_store *)store)->in_transaction; }

/* --- Looking after it -------------------------------------------------------------------------------------------- */

static int no_checkpoint(struct store *store, uint64_t *log_pages)
{
    (void)store;
    (void)log_pages;
    return 0;
}

static int nothing_to_do(struct store *store)
{
    (void)store; /* the server looks after its log, its free pages and its checksums itself */
    return 0;
}

static int backup(struct store *store, const char *path)
{
    (void)store;
    (void)path;
    return -ENOTSUP; /* pg_dump */
}

static int outside_version(struct store *store, uint64_t *version)
{
    struct pg_store *s = pg_of(store);
    PGresult *r CLEANUP(pg_clear) = NULL;
    if (s->undone && s->in_transaction)
        return -EAGAIN;
    int outcome = -EAGAIN;
    for (int tries = s->in_transaction ? 1 : 2; outcome == -EAGAIN && tries > 0; tries--) {
        outcome = s->in_transaction ? 0 : pg_connect(s, pg_deadline_ms(s));
        if (outcome == 0)
            outcome = pg_run_script(s, "SELECT changes FROM store_state WHERE one = 1", &r);
    }
    s->undone &= s->in_transaction;
    if (outcome != 0)
        return outcome;
    if (PQntuples(r) != 1)
        return -EUCLEAN;
    *version = strtoull(PQgetvalue(r, 0, 0), NULL, 10) - s->own_changes;
    return 0;
}

static int64_t changed_count(const struct store *store) { return ((const struct pg_store *)store)->changed_count; }

static int64_t last_id(const struct store *store)
{
    (void)store;
    assert(!"the statement says RETURNING"); /* whoever numbers rows himself knows the number */
    return 0;
}

/* --- Opening ----------------------------------------------------------------------------------------------------- */

static void close_pg(struct store *store)
{
    struct pg_store *s = pg_of(store);
    pg_flight_drop(s);
    pg_statements_free(s);
    pg_memory_free(s);
    PQfinish(s->connection);
    free(s);
}

static const struct store_driver driver = {
    .close = close_pg,
    .bind = pg_bind,
    .step = pg_step,
    .later = pg_later,
    .ahead = pg_ahead,
    .rewind = pg_rewind,
    .parameter_count = pg_parameter_count,
    .column_count = pg_columns,
    .column = pg_column,
    .run_own = run_own,
    .in_transaction = in_transaction,
    .checkpoint = no_checkpoint,
    .backup = backup,
    .scrub = nothing_to_do,
    .verify = nothing_to_do,
    .outside_version = outside_version,
    .changed_count = changed_count,
    .last_id = last_id,
};

int store_pg_open(struct store **out, const char *database, const struct store_schema *schema, bool create)
{
    int r = store_pg_judge(database);
    if (r != 0)
        return r;
    struct pg_store *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    struct store *store CLEANUP(store_closep) = &s->base;
    s->base.driver = &driver;
    s->base.schema = schema;
    memcpy(s->database, database, strlen(database) + 1);
    uint8_t writer[PG_WRITER_BYTES];
    rng_fill(rng_system(), writer, sizeof(writer));
    hex_encode(SLICE_ARRAY(writer), s->writer);
    s->base.in_use = calloc(schema->statement_count + 1, sizeof(*s->base.in_use));
    s->doubts = getenv("HEARTH_DOUBT") != NULL;
    r = s->base.in_use ? pg_memory_new(s) : -ENOMEM;
    if (r == 0)
        r = pg_statements_new(s);
    if (r == 0)
        r = pg_connect(s, 0);
    if (r == 0)
        r = pg_migrate(s, create);
    if (r != 0)
        return r;
    *out = steal(&store);
    return 0;
}
