/* Transactions and savepoints that undo themselves at the end of a scope unless kept. */
#include <assert.h>

#include "store/internal.h"

static int run_own(struct store *s, enum own_statement which) { return s->driver->run_own(s, which); }

static int begin(struct transaction *t, struct store *s, enum own_statement how)
{
    assert(!t->store && !s->driver->in_transaction(s));
    int r = run_own(s, how);
    if (r != 0)
        return r;
    t->store = s;
    return 0;
}

int transaction_begin(struct transaction *t, struct store *s) { return begin(t, s, OWN_BEGIN); }

int transaction_begin_read(struct transaction *t, struct store *s) { return begin(t, s, OWN_BEGIN_READ); }

int transaction_commit(struct transaction *t)
{
    assert(t->store);
    int r = run_own(t->store, OWN_COMMIT);
    if (r == 0)
        t->store = NULL;
    else
        transaction_end(t);
    return r;
}

void transaction_end(struct transaction *t)
{
    struct store *s = t->store;
    t->store = NULL;
    if (!s || !s->driver->in_transaction(s)) /* some failures have rolled back already */
        return;
    int r = run_own(s, OWN_ROLLBACK);
    (void)r; /* nothing was promised, and the next begin reports a connection that is beyond use */
}

int savepoint_begin(struct savepoint *p, struct store *s)
{
    assert(!p->store && s->driver->in_transaction(s));
    int r = run_own(s, OWN_SAVE);
    if (r != 0)
        return r;
    p->store = s;
    return 0;
}

int savepoint_release(struct savepoint *p)
{
    assert(p->store);
    int r = run_own(p->store, OWN_RELEASE);
    if (r == 0)
        p->store = NULL;
    else
        savepoint_end(p);
    return r;
}

void savepoint_end(struct savepoint *p)
{
    struct store *s = p->store;
    p->store = NULL;
    if (!s || !s->driver->in_transaction(s))
        return;
    /* "inner_step" names the innermost one of that name, so savepoints nest without numbers. */
    if (run_own(s, OWN_UNDO) == 0) {
        int r = run_own(s, OWN_RELEASE);
        (void)r;
    }
}
