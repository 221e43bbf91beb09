/* Callbacks, in order: on_now (the next turn of the loop), then on_issuer for each distributor that was looked for. */
#include "daemon/visits.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/guests.h"
#include "daemon/queued.h"
#include "daemon/session.h"
#include "daemon/siblings.h"

#define LOG_MODULE "visits"
#include "base/log.h"

struct visit { /* a distributor that is being looked for */
    struct visit *next;
    struct daemon *daemon;
    struct id distributor;
};

/* A current roster has a sibling of it, and this device is not registered there. */
static bool is_wanted(struct daemon *d, const struct id *distributor)
{
    bool wanted = false;
    for (size_t i = 0; i < siblings_count(d); i++)
        wanted |= id_equal(siblings_at(d, i)->distributor.bytes, distributor->bytes);
    return wanted && account_find(d, distributor->bytes) == NULL;
}

static void end_visit(struct visit *v)
{
    struct visit **at = &v->daemon->visits;
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    free(v);
}

static void on_issuer(struct account *a, enum reason why, const msg_Refusal *refusal, void *ctx)
{
    struct visit *v = ctx;
    (void)refusal;
    if (a == NULL)
        log_info("the distributor of a sibling was not found reason=%s",
                 reason_code(why)); /* asked for again when ours is there again */
    else if (a->guest && !v->daemon->stopping && is_wanted(v->daemon, &v->distributor)) {
        a->kept = true;
        if (session_is_ready(a->session))
            queued_ready(a);
        else
            session_kick(a->session);
    }
    end_visit(v);
}

static bool is_looked_for(const struct daemon *d, const struct id *distributor)
{
    for (const struct visit *v = d->visits; v != NULL; v = v->next)
        if (id_equal(v->distributor.bytes, distributor->bytes))
            return true;
    return false;
}

static void look_for(struct daemon *d, const struct id *distributor)
{
    struct account *a = account_find_issuer(d, distributor->bytes);
    if (a != NULL && a->kept && session_is_ready(a->session)) {
        queued_ready(a);
        return;
    }
    if (is_looked_for(d, distributor))
        return;
    struct visit *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return;
    *v = (struct visit){ .next = d->visits, .daemon = d, .distributor = *distributor };
    d->visits = v;
    if (issuer_find(d, distributor, on_issuer, v) != 0)
        end_visit(v);
}

static void leave(struct account *guest)
{
    guest->kept = false;
    if (session_is_ready(guest->session))
        session_restart(guest->session); /* ends the connection; nobody makes it anew */
}

static void on_now(struct later_item *item)
{
    struct daemon *d = container_of(item, struct daemon, visits_later);
    d->visits_due = false;
    if (d->stopping)
        return;
    for (struct account *a = d->guests; a != NULL; a = a->next)
        if (a->kept && !is_wanted(d, &a->distributor))
            leave(a);
    for (size_t i = 0; i < siblings_count(d); i++)
        if (is_wanted(d, &siblings_at(d, i)->distributor))
            look_for(d, &siblings_at(d, i)->distributor);
}

void visits_refresh(struct daemon *d)
{
    if (d->visits_due || d->stopping)
        return;
    d->visits_due = true;
    later_run(&d->later, &d->visits_later, on_now);
}
