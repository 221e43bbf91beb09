/* Statements that were sent to the server and are not waited for: libpq's pipeline mode, in a transaction that is run again as a whole
 * when one of them fails (store.h: a batch). The server works on them while the program goes on; whoever has to know something waits
 * for all at once. On the store's thread. */
#define LOG_MODULE "store"
#include "base/log.h"
#include "base/util.h"
#include "store/pg.h"

static int lose(struct pg_store *s)
{
    s->lost = s->undone = true;
    return -EAGAIN;
}

static int enter(struct pg_store *s)
{
    int r = s->flight.count == PG_FLIGHT_MAX ? pg_land(s, NULL) : 0;
    if (r == 0 && s->flight.count == 0 && PQenterPipelineMode(s->connection) != 1)
        r = lose(s);
    return r;
}

static int sent(struct pg_store *s, bool well, struct pg_answer *answer)
{
    if (!well)
        return lose(s);
    s->flight.sent[s->flight.count++] = answer != NULL ? pg_answer_ref(answer) : NULL;
    return 0;
}

int pg_send(struct pg_store *s, struct pg_statement *st, const char *name, struct pg_answer *answer)
{
    struct pg_values v;
    int r = enter(s);
    if (r != 0)
        return r;
    pg_values(st, &v);
    return sent(s,
                PQsendQueryPrepared(s->connection, name, st->parameter_count, v.values, v.lengths, v.formats, 1) == 1,
                answer);
}

int pg_send_words(struct pg_store *s, const char *sql)
{
    int r = enter(s);
    return r == 0 ? sent(s, PQsendQueryParams(s->connection, sql, 0, NULL, NULL, NULL, NULL, 1) == 1, NULL) : r;
}

void pg_flight_push(struct pg_store *s)
{
    if (s->flight.count > 0 && PQflush(s->connection) < 0)
        s->lost = s->undone = true;
}

void pg_flight_drop(struct pg_store *s)
{
    while (s->flight.count > 0)
        pg_answer_unref(s->flight.sent[--s->flight.count]);
}

/* Whose fault it is comes out when each is waited for. */
static int judge(struct pg_store *s, const PGresult *r)
{
    int outcome = pg_outcome(s, r);
    if (outcome == 0)
        return 0;
    if (outcome != -EAGAIN) {
        log_warn("a statement of a batch failed: it is run again, and each is waited for outcome=%d", outcome);
        s->each = s->undone = true;
    }
    return -EAGAIN;
}

/* The one result of a statement. */
static PGresult *take(struct pg_store *s)
{
    PGresult *r = PQgetResult(s->connection), *more;
    while (r != NULL && (more = PQgetResult(s->connection)) != NULL)
        PQclear(more);
    return r;
}

/* What was sent behind the failure was not run: its results say so, and are passed over. */
static int land_each(struct pg_store *s, PGresult **last)
{
    int r = 0;
    for (unsigned i = 0; i < s->flight.count; i++) {
        PGresult *result CLEANUP(pg_clear) = take(s);
        if (r == 0 && last != NULL && i + 1 == s->flight.count)
            *last = steal(&result);
        else if (r == 0)
            r = judge(s, result);
        if (r == 0 && result != NULL && s->flight.sent[i] != NULL)
            pg_answer_fill(s, s->flight.sent[i], steal(&result));
    }
    return r;
}

int pg_land(struct pg_store *s, PGresult **last)
{
    if (s->flight.count == 0)
        return 0;
    if (PQpipelineSync(s->connection) != 1) {
        pg_flight_drop(s);
        return lose(s);
    }
    int r = land_each(s, last);
    pg_flight_drop(s);
    if (pg_is_lost(s))
        return r != 0 || last != NULL ? r : lose(s);
    PQclear(PQgetResult(s->connection)); /* of the sync */
    return PQexitPipelineMode(s->connection) == 1 ? r : lose(s);
}
