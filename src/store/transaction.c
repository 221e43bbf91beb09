/* Transactions and savepoints that undo themselves at the end of a scope unless kept, and memory that is undone with them. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/internal.h"

int store_came(struct store *s, int outcome)
{
    if (outcome != 0 && outcome != STORE_ROW && s->begun && s->undone_by == 0 && !s->driver->in_transaction(s))
        s->undone_by = outcome < 0 ? outcome : -ECANCELED;
    return outcome;
}

static int run_own(struct store *s, enum own_statement which) { return s->driver->run_own(s, which); }

/* --- Memory ------------------------------------------------------------------------------------------------------ */

int store_keep(struct store *s, void *at, size_t len)
{
    assert(len <= KEPT_BYTES && s->driver->in_transaction(s));
    if (s->kept_count == s->kept_cap) {
        size_t cap = s->kept_cap * 2 + 64;
        struct kept *grown = realloc(s->kept, cap * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        s->kept = grown;
        s->kept_cap = cap;
    }
    struct kept *k = &s->kept[s->kept_count++];
    *k = (struct kept){ .depth = s->depth, .at = at, .len = len };
    memcpy(k->before, at, len);
    return 0;
}

/* The newest first, so that the oldest bytes of a place are the last that are put back. */
static void put_back(struct store *s, unsigned depth)
{
    while (s->kept_count > 0 && s->kept[s->kept_count - 1].depth >= depth) {
        struct kept *k = &s->kept[--s->kept_count];
        memcpy(k->at, k->before, k->len);
    }
}

static void pass_on(struct store *s)
{
    for (size_t i = s->kept_count; i > 0 && s->kept[i - 1].depth == s->depth; i--)
        s->kept[i - 1].depth--;
}

/* --- Transactions ------------------------------------------------------------------------------------------------ */

static int begin(struct transaction *t, struct store *s, enum own_statement how)
{
    assert(!t->store && !s->driver->in_transaction(s));
    int r = run_own(s, how);
    if (r != 0)
        return r;
    t->store = s;
    s->depth = 0;
    s->kept_count = 0;
    s->begun = true;
    s->undone_by = 0;
    return 0;
}

int transaction_begin(struct transaction *t, struct store *s) { return begin(t, s, OWN_BEGIN); }

int transaction_begin_batch(struct transaction *t, struct store *s) { return begin(t, s, OWN_BEGIN_BATCH); }

int transaction_begin_read(struct transaction *t, struct store *s) { return begin(t, s, OWN_BEGIN_READ); }

int transaction_commit(struct transaction *t)
{
    assert(t->store);
    int r = t->store->undone_by;
    if (r == 0 && t->store->driver->seal)
        r = t->store->driver->seal(t->store);
    if (r == 0)
        r = run_own(t->store, OWN_COMMIT);
    if (r != 0) {
        transaction_end(t);
        return r;
    }
    t->store->kept_count = 0;
    t->store->begun = false;
    t->store = NULL;
    return 0;
}

void transaction_end(struct transaction *t)
{
    struct store *s = t->store;
    t->store = NULL;
    if (!s)
        return;
    put_back(s, 0);
    s->begun = false;
    s->undone_by = 0;
    if (!s->driver->in_transaction(s)) /* some failures have rolled back already */
        return;
    int r = run_own(s, OWN_ROLLBACK);
    (void)r; /* nothing was promised, and the next begin reports a connection that is beyond use */
}

int savepoint_begin(struct savepoint *p, struct store *s)
{
    assert(!p->store && s->begun);
    int r = s->undone_by != 0 ? s->undone_by : store_came(s, run_own(s, OWN_SAVE));
    if (r != 0)
        return r;
    p->store = s;
    s->depth++;
    return 0;
}

int savepoint_release(struct savepoint *p)
{
    assert(p->store);
    int r = p->store->undone_by != 0 ? p->store->undone_by : store_came(p->store, run_own(p->store, OWN_RELEASE));
    if (r != 0) {
        savepoint_end(p);
        return r;
    }
    pass_on(p->store);
    p->store->depth--;
    p->store = NULL;
    return 0;
}

void savepoint_end(struct savepoint *p)
{
    struct store *s = p->store;
    p->store = NULL;
    if (!s)
        return;
    put_back(s, s->depth);
    s->depth--;
    if (!s->driver->in_transaction(s))
        return;
    /* "inner_step" names the innermost one of that name, so savepoints nest without numbers. */
    if (run_own(s, OWN_UNDO) == 0) {
        int r = run_own(s, OWN_RELEASE);
        (void)r;
    }
}
