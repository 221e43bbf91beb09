/* The connection of the store over PostgreSQL: made, made again when it broke, and what the server's codes mean here. Waits for the
 * server; on the store's thread. */
#define LOG_MODULE "store"
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "store/pg.h"

#define BUSY_MS 5000
#define RECONNECT_EVERY_MS 100
#define SCHEME "postgresql:"
#define URI SCHEME "//"

void pg_clear(PGresult **r)
{
    PQclear(*r);
    *r = NULL;
}

int64_t pg_now_ms(void) { return clock_mono_ms(clock_system()); }

int64_t pg_deadline_ms(const struct pg_store *s)
{
    return pg_now_ms() + (s->base.schema->busy_ms ? s->base.schema->busy_ms : BUSY_MS);
}

/* --- Outcomes ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *state; /* the beginning of an SQLSTATE */
    int outcome;
} outcomes[] = {
    { "40", -EAGAIN }, /* serialization failure, deadlock */
    { "08", -EAGAIN },        { "57P", -EAGAIN },   { "25P03", -EAGAIN },
    { "53300", -EAGAIN }, /* the connection's end */
    { "23", STORE_CONFLICT }, { "55P03", -EBUSY },  { "25P02", -ECANCELED },
    { "57014", -ECANCELED },  { "53100", -ENOSPC }, { "53200", -ENOMEM },
    { "25006", -EROFS },      { "42501", -EACCES }, { "42P01", -ENOENT },
    { "XX", -EUCLEAN },       { "58", -EIO },
};

/* The server's words, which have several lines, as one. */
static const char *one_line(const char *text, char safe[512])
{
    char line[512];
    size_t len = 0;
    for (; *text && len < sizeof(line) - 1; text++)
        if (strchr("\r\n\t ", *text) == NULL)
            line[len++] = *text;
        else if (len > 0 && line[len - 1] != ' ')
            line[len++] = ' ';
    len -= len > 0 && line[len - 1] == ' ';
    line[len] = '\0';
    return text_safe(line, safe, 512);
}

static void complain(const struct pg_store *s, const PGresult *r, const char *state)
{
    char safe[512];
    const char *text = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    log_error("database: state=%s text=%s", state, one_line(text ? text : PQerrorMessage(s->connection), safe));
}

static void on_notice(void *ctx, const char *text)
{
    char safe[512];
    (void)ctx;
    log_debug("database: text=%s", one_line(text, safe));
}

bool pg_is_lost(const struct pg_store *s) { return s->lost || PQstatus(s->connection) != CONNECTION_OK; }

int pg_outcome(struct pg_store *s, const PGresult *r)
{
    ExecStatusType status = r ? PQresultStatus(r) : PGRES_FATAL_ERROR;
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY)
        return 0;
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    int outcome = -EINVAL;
    for (size_t i = 0; state && outcome == -EINVAL && i < ARRAY_COUNT(outcomes); i++)
        if (strncmp(state, outcomes[i].state, strlen(outcomes[i].state)) == 0)
            outcome = outcomes[i].outcome;
    /* Without a state the server said nothing: libpq could not write or read. It may go on calling such a connection good. */
    s->lost |= !state;
    s->failed = true;
    if (pg_is_lost(s))
        outcome = -EAGAIN;
    if (outcome == -EAGAIN)
        s->undone = true;
    else if (outcome < 0 && outcome != -ECANCELED && outcome != -EBUSY)
        complain(s, r, state ? state : "-");
    return outcome;
}

int pg_run_script(struct pg_store *s, const char *sql, PGresult **last)
{
    int outcome = pg_land(s, NULL);
    if (outcome != 0)
        return outcome;
    PGresult *r CLEANUP(pg_clear) = PQexec(s->connection, sql);
    outcome = pg_outcome(s, r);
    if (outcome == 0 && last)
        *last = steal(&r);
    return outcome;
}

/* --- Connecting -------------------------------------------------------------------------------------------------- */

static const char *connection_string(const char *database)
{
    return strncmp(database, URI, strlen(URI)) == 0 ? database : database + strlen(SCHEME);
}

int store_pg_judge(const char *database)
{
    if (strncmp(database, SCHEME, strlen(SCHEME)) != 0 || strlen(database) >= STORE_PG_DATABASE_BYTES)
        return -EINVAL;
    PQconninfoOption *options = PQconninfoParse(connection_string(database), NULL);
    int r = options ? 0 : -EINVAL;
    for (PQconninfoOption *o = options; o && o->keyword; o++)
        if (o->val && (strcmp(o->keyword, "password") == 0 || strcmp(o->keyword, "sslpassword") == 0))
            r = -EACCES;
    PQconninfoFree(options);
    return r;
}

static bool is_file(const PQconninfoOption *o)
{
    static const char *const names[] = { "passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir" };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(o->keyword, names[i]) == 0)
            return o->val != NULL && o->val[0] == '/' && strlen(o->val) < STORE_PG_DATABASE_BYTES;
    return false;
}

size_t store_pg_files(const char *database, char out[STORE_PG_FILES_MAX][STORE_PG_DATABASE_BYTES])
{
    size_t count = 0;
    if (store_pg_judge(database) != 0)
        return 0;
    PQconninfoOption *options = PQconninfoParse(connection_string(database), NULL);
    for (PQconninfoOption *o = options; o && o->keyword; o++)
        if (is_file(o) && count < STORE_PG_FILES_MAX)
            memcpy(out[count++], o->val, strlen(o->val) + 1);
    PQconninfoFree(options);
    return count;
}

/* What the operator wrote comes between what may be overridden and what may not. */
static const char *const dial_names[] = { "connect_timeout", "tcp_user_timeout", "application_name",
                                          "dbname",          "client_encoding",  NULL };
#define DIAL_VALUES(s)                                                                      \
    {                                                                                       \
        "5", "15000", "hearth-distributor", connection_string((s)->database), "UTF8", NULL, \
    }

static PGconn *dial(const struct pg_store *s)
{
    const char *const values[] = DIAL_VALUES(s);
    return PQconnectdbParams(dial_names, values, 1);
}

/* Does the server answer, though it does not let us in? */
static bool answers(const struct pg_store *s)
{
    const char *const values[] = DIAL_VALUES(s);
    return PQpingParams(dial_names, values, 1) == PQPING_OK;
}

static int set_up(struct pg_store *s)
{
    const char *encoding = PQparameterStatus(s->connection, "server_encoding");
    if (!encoding || strcmp(encoding, "UTF8") != 0) {
        log_error("the database's encoding is %s; make one with: createdb -E UTF8 -T template0 NAME",
                  encoding ? encoding : "unknown");
        return -EILSEQ;
    }
    char sql[512];
    unsigned busy_ms = s->base.schema->busy_ms ? s->base.schema->busy_ms : BUSY_MS;
    /* A process that hangs in a transaction must not keep the others waiting for ever. Acknowledged is durable, whatever the server's
     * own setting says. */
    snprintf(sql, sizeof(sql),
             "SET lock_timeout = %u; SET idle_in_transaction_session_timeout = 20000;"
             "SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = %s;"
             "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
             busy_ms, s->base.schema->flags & STORE_READ_ONLY ? "on" : "off");
    return pg_run_script(s, sql, NULL);
}

static int try_connect(struct pg_store *s)
{
    pg_flight_drop(s);
    PQfinish(s->connection);
    s->connection = dial(s);
    if (!s->connection)
        return -ENOMEM;
    s->number++;
    s->lost = false;
    if (PQstatus(s->connection) != CONNECTION_OK)
        return -EHOSTDOWN;
    PQsetNoticeProcessor(s->connection, on_notice, NULL);
    int r = set_up(s);
    return r == -EAGAIN ? -EHOSTDOWN : r;
}

int pg_connect(struct pg_store *s, int64_t deadline_ms)
{
    if (s->connection && !pg_is_lost(s))
        return 0;
    bool was_there = s->connection != NULL;
    int r;
    while ((r = try_connect(s)) == -EHOSTDOWN && pg_now_ms() + RECONNECT_EVERY_MS <= deadline_ms)
        usleep(RECONNECT_EVERY_MS * 1000);
    if (r == -EHOSTDOWN && !was_there && answers(s))
        r = try_connect(s); /* it may have come up in between */
    if (r == -EHOSTDOWN)
        complain(s, NULL, "-");
    if (r == -EHOSTDOWN && !was_there && answers(s)) /* once it had let us in, what keeps us out now passes */
        r = -ECONNREFUSED;
    else if (r == 0 && was_there)
        log_info("connected to the database again");
    return r;
}
