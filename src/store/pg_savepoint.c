/* Savepoints. In a batch the server gets one only when something is about to be written since the last one: most are ended without, and
 * two that begin at the same place share one. On the store's thread. */
#include "store/pg.h"

#define SAVE "SAVEPOINT inner_step" /* names the innermost of that name, so they nest without numbers */
#define RELEASE "RELEASE SAVEPOINT inner_step"
#define UNDO "ROLLBACK TO SAVEPOINT inner_step"

static bool is_lazy(const struct pg_store *s) { return s->batch && !s->each; }

static int say(struct pg_store *s, const char *sql)
{
    return is_lazy(s) ? pg_send_words(s, sql) : pg_run_script(s, sql, NULL);
}

static int make(struct pg_store *s)
{
    int r = say(s, SAVE);
    if (r != 0)
        return r;
    s->levels.made++;
    for (unsigned i = s->levels.open; i > 0 && s->levels.at[i - 1] == 0; i--)
        s->levels.at[i - 1] = s->levels.made;
    return 0;
}

int pg_level_write(struct pg_store *s)
{
    return s->levels.open > 0 && s->levels.at[s->levels.open - 1] == 0 ? make(s) : 0;
}

static int save(struct pg_store *s)
{
    if (s->levels.open == PG_LEVELS_MAX)
        return -EOVERFLOW;
    s->levels.at[s->levels.open++] = 0;
    int r = is_lazy(s) ? 0 : make(s);
    s->levels.open -= r != 0;
    return r;
}

static int release(struct pg_store *s)
{
    unsigned at = s->levels.at[--s->levels.open];
    bool shared = s->levels.open > 0 && s->levels.at[s->levels.open - 1] == at;
    pg_flight_push(s); /* the server works while the program goes on */
    if (at == 0 || shared)
        return 0;
    s->levels.made--;
    return say(s, RELEASE);
}

static int undo(struct pg_store *s)
{
    if (s->levels.at[s->levels.open - 1] ==
        0) { /* nothing was written, but a question may have failed, and the transaction with it */
        if (s->failed)
            s->undone = s->each = true;
        return 0;
    }
    pg_memory_undone(s);
    int r = pg_run_script(s, UNDO, NULL);
    s->failed = s->failed && r != 0;
    return r;
}

int pg_savepoint(struct pg_store *s, enum own_statement which)
{
    if (s->undone && which == OWN_SAVE)
        return -EAGAIN;
    if (s->undone && which == OWN_RELEASE)
        s->levels.open -= s->levels.open > 0;
    if (s->undone) /* there is nothing left to undo */
        return which == OWN_UNDO ? 0 : -EAGAIN;
    return which == OWN_SAVE ? save(s) : which == OWN_RELEASE ? release(s) : undo(s);
}
