/* One account after the other. */
#include "daemon/walk.h"

#include "daemon/session.h"

static void step(struct walk *w)
{
    if (w->index < w->count) {
        w->visit(w, w->accounts[w->index]);
        return;
    }
    for (unsigned i = 0; i < w->count; i++)
        account_unref(w->accounts[i]);
    w->count = 0;
    w->done(w);
}

void walk_start(struct walk *w, struct daemon *d, struct account *only)
{
    w->daemon = d;
    w->count = w->index = w->answered = 0;
    w->failure = REASON_NONE;
    for (struct account *a = only != NULL ? only : d->accounts; a != NULL; a = only != NULL ? NULL : a->next) {
        if (w->count == WALK_ACCOUNTS_MAX)
            break;
        w->accounts[w->count++] = account_ref(a);
        session_kick(a->session);
    }
    step(w);
}

void walk_next(struct walk *w)
{
    w->index++;
    w->answered++;
    step(w);
}

void walk_failed(struct walk *w, const struct answer *answer)
{
    w->failure = answer->why;
    w->refusal = *answer->refusal;
    w->index++;
    step(w);
}

void walk_error(struct walk *w, int error)
{
    w->failure = reason_of_error(error);
    reason_refusal(&w->refusal, w->failure, NULL);
    w->index++;
    step(w);
}
