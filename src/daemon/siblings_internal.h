/* Inside of the siblings: siblings.c (rosters merged, names) and siblings_where.c (where they are). */
#ifndef DAEMON_SIBLINGS_INTERNAL_H
#define DAEMON_SIBLINGS_INTERNAL_H

#include "daemon/siblings.h"

/* What is known about where a device of the household is. It outlives the roster that names it: the roster may come again. */
struct proving;
struct hint {
    struct id client;
    char by_hand[128], proved[128]; /* stored; "": none */
    char live[128];   /* where it has proved its key, while it is linked; "": it dialed us, and that is not known yet */
    char remote[128]; /* from where it dialed us */
    bool found, unreachable;
    uint32_t links;
    int64_t away_ms, try_ms; /* since when it is looked for, 0: not yet; when next */
    struct proving *proving; /* where it listens, of one that dialed us; NULL: nothing is under way */
};
struct siblings {
    struct sibling *list;
    size_t count;
    struct hint **hints; /* each of its own: they stay where they are */
    size_t hint_count, hint_cap;
};

struct hint *siblings_hint(struct siblings *s, const void *client); /* NULL: none */
/* As the merged list has it. */
void siblings_apply(struct daemon *d, struct sibling *s, const struct hint *h);
void siblings_hint_changed(struct daemon *d, const struct hint *h);
/* Of those that are siblings now, what discovery sees already. */
void siblings_look(struct daemon *d);
int siblings_load(struct daemon *d) MUST_USE;
void siblings_forget(struct siblings *s);

#endif
