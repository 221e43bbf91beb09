/* Later: callbacks for the next turn of the loop, so that no starting call fires its own callback. Loop thread. */
#ifndef DAEMON_LATER_H
#define DAEMON_LATER_H

#include <stdbool.h>
#include <uv.h>

#include "base/outcome.h"

struct later_item { /* embedded by the owner; may be used again once it has run */
    void (*run)(struct later_item *item);
    struct later_item *next;
};
struct later {
    uv_idle_t idle;
    struct later_item *first, **last;
    bool open;
};
void later_init(struct later *l, uv_loop_t *loop);
void later_run(struct later *l, struct later_item *item, void (*run)(struct later_item *item));
/* Runs what is still waiting, then closes the handle. */
void later_close(struct later *l);

#endif
