/* Turns: who was let go in the middle leaves the files of a content only when the pool has done with them, and what has to be removed is removed. Whoever wants
 * the same content next waits for that; else what is left of a cancelled transfer takes from the one that was begun after it. Those that want it at the same time
 * are not kept apart. Loop thread. */
#ifndef NET_TURNS_H
#define NET_TURNS_H

#include <stdbool.h>

#include "base/outcome.h"
#include "crypto/id.h"

struct turns;
struct turn { /* embedded by who works on them; zero at first but for these: */
    struct id content;
    void (*on_turn)(struct turn *t); /* not before turns_take has returned */
    struct turn *next;
    bool waits, leaves; /* in the list when either */
};

int turns_new(struct turns **out) MUST_USE; /* 0, -ENOMEM */
void turns_free(struct turns *s);           /* freed when the last has left. Accepts NULL. */
/* s: NULL, there are no others. True: at once. False: on_turn follows, unless it gives it back before. */
bool turns_take(struct turns *s, struct turn *t) MUST_USE;
/* From now on others wait for it, also when it waits itself. Once. */
void turns_leave(struct turns *s, struct turn *t);
/* The last of it. Those whose turn it is now hear so from within. */
void turns_give(struct turns *s, struct turn *t);

#endif
