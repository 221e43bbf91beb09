/* A new ID for this device's changes, when a sibling has seen more of them than were made: its database was put back from a copy. Loop thread.
 *
 * Callbacks, in order, for each new ID: on_time (when it had to wait), plan_rename, on_renamed. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/state_internal.h"

#define LOG_MODULE "state"
#include "base/log.h"

#define RENAME_MS 15000 /* between two */

struct rename {
    struct state_edit edit;
    struct state *state;
    uint8_t old[REPLICA_ID_BYTES];
};

static int plan_rename(struct state_edit *e, const struct replica *r, struct replica_change *c)
{
    struct rename *n = container_of(e, struct rename, edit);
    uint8_t id[REPLICA_ID_BYTES];
    if (memcmp(n->old, r->self.replica, sizeof(n->old)) != 0)
        return 0; /* another sibling has shown it already */
    state_new_id(n->state->daemon, id);
    return replica_rename(r, id, u64_min(r->told, n->state->rename_told), c);
}

static void on_renamed(struct state_edit *e, int outcome)
{
    struct rename *n = container_of(e, struct rename, edit);
    struct state *s = n->state;
    s->rename_told = UINT64_MAX;
    memset(s->renaming, 0, sizeof(s->renaming));
    if (outcome == 0) {
        s->born_here = true;
        state_sync_ask(s);
    }
    free(n);
}

static void rename_now(struct state *s)
{
    struct rename *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return;
    s->renamed_ms = clock_mono_ms(s->daemon->clock);
    log_info("a sibling has seen more changes of this device than it has made: it goes on under a new ID");
    *n = (struct rename){ .edit = { .plan = plan_rename, .done = on_renamed }, .state = s };
    memcpy(n->old, s->replica.self.replica, sizeof(n->old));
    state_edit(s->daemon, &n->edit);
}

static void on_time(uv_timer_t *timer) { rename_now(timer->data); }

void state_rename(struct state *s, uint64_t known)
{
    int64_t due = s->renamed_ms + RENAME_MS, now = clock_mono_ms(s->daemon->clock);
    s->rename_told = u64_min(s->rename_told, known);
    if (s->stopping || memcmp(s->renaming, s->replica.self.replica, sizeof(s->renaming)) == 0)
        return; /* it waits, or is under way */
    memcpy(s->renaming, s->replica.self.replica, sizeof(s->renaming));
    if (s->renamed_ms == 0 || now >= due)
        rename_now(s);
    else
        (void)uv_timer_start(&s->rename, on_time, (uint64_t)(due - now), 0);
}

void state_rename_start(struct state *s)
{
    (void)uv_timer_init(s->daemon->loop, &s->rename); /* cannot fail */
    s->rename.data = s;
}

void state_rename_stop(struct state *s) { uv_close((uv_handle_t *)&s->rename, NULL); }
