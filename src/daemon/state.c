/* The state in memory and in hearthd.db, and the queue of edits.
 *
 * Callbacks, in order, for each edit: plan (loop), write_change (pool), on_written (loop), then done (loop); on_later when nothing was planned. */
#include "daemon/state.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/play_memory.h"
#include "daemon/setting.h"
#include "daemon/siblings.h"
#include "daemon/state_internal.h"

#define LOG_MODULE "state"
#include "base/log.h"

#define OLD_POSITIONS_MAX 8192

const struct replica *state_replica(const struct daemon *d) { return &d->state->replica; }

/* ---- reading at start ---------------------------------------------------------------------------------------- */

void state_new_id(struct daemon *d, uint8_t id[REPLICA_ID_BYTES])
{
    memcpy(id, d->self.bytes, REPLICA_AUTHOR_BYTES);
    rng_fill(d->rng, id + REPLICA_AUTHOR_BYTES, REPLICA_ID_BYTES - REPLICA_AUTHOR_BYTES);
}

/* The ID belongs to this file. In another one it is a copy's, and the original may have gone on under it: never write under it again. */
static int read_self(struct state *s, bool *first)
{
    struct daemon *d = s->daemon;
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_STATE_SELF);
    uint8_t id[REPLICA_ID_BYTES];
    uint64_t inode, born, told;
    db_birth(d->db, &inode, &born);
    state_new_id(d, id);
    replica_init(&s->replica, id);
    s->born_here = true;
    int r = query_step(&q);
    *first = r == 0;
    if (r != STORE_ROW)
        return r;
    query_fixed(&q, 0, id, sizeof(id));
    told = query_u64(&q, 1);
    if (query_u64(&q, 2) != inode || query_u64(&q, 3) != born) {
        log_info("the database was put back from a copy: changes of this device go on under a new ID");
        return query_check(&q);
    }
    replica_init(&s->replica, id);
    s->replica.told = s->told = told;
    s->born_here = false;
    return query_check(&q);
}

static int read_seen(struct state *s)
{
    struct query q CLEANUP(query_end) = query(db_store(s->daemon->db), DB_STATE_SEEN);
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        struct dot d;
        query_fixed(&q, 0, d.replica, sizeof(d.replica));
        d.counter = query_u64(&q, 1);
        r = query_check(&q);
        if (r == 0)
            r = replica_load_seen(&s->replica, &d);
        if (r != 0)
            break;
    }
    return r > 0 ? -EUCLEAN : r;
}

static int read_items(struct state *s)
{
    struct query q CLEANUP(query_end) = query(db_store(s->daemon->db), DB_STATE_ITEMS);
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        struct dot d;
        uint32_t kind = query_u32(&q, 0);
        struct slice key = query_blob(&q, 1), value = query_blob(&q, 2);
        query_fixed(&q, 3, d.replica, sizeof(d.replica));
        d.counter = query_u64(&q, 4);
        r = query_check(&q);
        if (r == 0 && (kind > UINT8_MAX || !state_is_valid((uint8_t)kind, key, value)))
            r = REPLICA_MALFORMED;
        if (r == 0)
            r = replica_load_item(&s->replica, (uint8_t)kind, key, value, &d);
        if (r != 0)
            break;
    }
    return r > 0 ? -EUCLEAN : r;
}

/* ---- storing ------------------------------------------------------------------------------------------------- */

static int write_removed(struct store *store, const struct replica_change *c)
{
    struct query q CLEANUP(query_end) = query(store, DB_STATE_ITEM_DELETE);
    int r = 0;
    for (size_t i = 0; r == 0 && i < c->removed_count; i++) {
        query_bind_blob(&q, 1, SLICE_ARRAY(c->removed[i].removed.replica));
        query_bind_u64(&q, 2, c->removed[i].removed.counter);
        r = query_run(&q);
    }
    return r;
}

static int write_added(struct store *store, const struct replica_change *c)
{
    struct query q CLEANUP(query_end) = query(store, DB_STATE_ITEM_ADD);
    int r = 0;
    for (size_t i = 0; r == 0 && i < c->added_count; i++) {
        const struct replica_item *item = c->added[i];
        query_bind_i64(&q, 1, item->kind);
        query_bind_blob(&q, 2, replica_key(item));
        query_bind_blob(&q, 3, replica_value(item));
        query_bind_blob(&q, 4, SLICE_ARRAY(item->dot.replica));
        query_bind_u64(&q, 5, item->dot.counter);
        r = query_run(&q);
    }
    return r;
}

static int write_seen(struct store *store, const struct dot *d)
{
    struct query q CLEANUP(query_end) = query(store, d->counter == 0 ? DB_STATE_SEEN_DELETE : DB_STATE_SEEN_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(d->replica));
    if (d->counter != 0)
        query_bind_u64(&q, 2, d->counter);
    return query_run(&q);
}

static int write_self(struct store *store, const struct state *s)
{
    struct query q CLEANUP(query_end) = query(store, DB_STATE_SELF_PUT);
    uint64_t inode, born;
    bool same = memcmp(s->replica.self.replica, s->change.self.replica, REPLICA_ID_BYTES) == 0;
    db_birth(s->daemon->db, &inode, &born);
    query_bind_blob(&q, 1, SLICE_ARRAY(s->change.self.replica));
    query_bind_u64(&q, 2, same ? s->told : 0);
    query_bind_u64(&q, 3, inode);
    query_bind_u64(&q, 4, born);
    return query_run(&q);
}

/* Of the state only told changes while this runs. */
static int write_change(struct store *store, struct db_job *job)
{
    struct state *s = container_of(job, struct state, job);
    int r = write_removed(store, &s->change);
    if (r == 0)
        r = write_added(store, &s->change);
    for (size_t i = 0; r == 0 && i < s->change.seen.count; i++)
        r = write_seen(store, &s->change.seen.list[i]);
    if (r == 0)
        r = write_self(store, s);
    return r == 0 && s->current->store != NULL ? s->current->store(s->current, store) : r;
}

/* ---- the queue ----------------------------------------------------------------------------------------------- */

static void run_next(struct state *s);

static void finish(struct state *s, int outcome)
{
    struct state_edit *e = s->current;
    s->current = NULL;
    s->busy = false;
    run_next(s);
    if (e->done != NULL)
        e->done(e, outcome);
}

static void on_later(struct later_item *item)
{
    struct state *s = container_of(item, struct state, later);
    s->scheduled = false;
    if (s->current != NULL)
        finish(s, s->outcome);
    else
        run_next(s);
}

static void schedule(struct state *s)
{
    if (s->scheduled)
        return;
    s->scheduled = true;
    later_run(&s->daemon->later, &s->later, on_later);
}

static void on_written(struct db_job *job, int outcome)
{
    struct state *s = container_of(job, struct state, job);
    if (outcome == 0) {
        if (s->current->taking != NULL)
            s->current->taking(s->current, &s->change);
        bool changed = !replica_change_is_empty(&s->change);
        replica_take(&s->replica, &s->change);
        if (changed) {
            play_memory_changed(s->daemon);
            state_sync_changed(s);
            wishes_look(s->daemon);
        }
    } else {
        replica_change_free(&s->change);
    }
    finish(s, outcome > 0 ? -EIO : outcome);
}

static void run_next(struct state *s)
{
    struct state_edit *e = s->first;
    if (e == NULL || s->busy)
        return;
    s->first = e->next;
    if (s->first == NULL)
        s->last = &s->first;
    s->busy = true;
    s->current = e;
    s->change = replica_change(&s->replica);
    int r = e->plan(e, &s->replica, &s->change);
    bool nothing = r == 0 && replica_change_is_empty(&s->change) && e->store == NULL;
    if (r == 0 && !nothing) {
        r = replica_make_room(&s->replica, &s->change);
        nothing = replica_change_is_empty(&s->change) && e->store == NULL;
    }
    if (r == REPLICA_FULL)
        r = REASON_TOO_LARGE;
    if (r != 0 || nothing) {
        replica_change_free(&s->change);
        s->outcome = r;
        schedule(s);
        return;
    }
    s->told = s->replica.told;
    s->job = (struct db_job){ .work = write_change, .done = on_written };
    db_run(s->daemon->db, &s->job);
}

void state_edit(struct daemon *d, struct state_edit *e)
{
    struct state *s = d->state;
    e->next = NULL;
    *s->last = e;
    s->last = &e->next;
    if (!s->busy)
        schedule(s);
}

/* What others are known to have is stored, too: without it, a copy that is put back would write anew what was long deleted. */
static int store_nothing(struct state_edit *e, struct store *store)
{
    (void)e;
    (void)store;
    return 0;
}

static int plan_nothing(struct state_edit *e, const struct replica *r, struct replica_change *c)
{
    (void)e;
    (void)r;
    (void)c;
    return 0;
}

static void on_told_stored(struct state_edit *e, int outcome)
{
    (void)outcome;
    free(e);
}

void state_store_told(struct state *s)
{
    struct state_edit *e = s->told == s->replica.told || s->busy ? NULL : calloc(1, sizeof(*e));
    if (e == NULL)
        return;
    *e = (struct state_edit){ .plan = plan_nothing, .store = store_nothing, .done = on_told_stored };
    state_edit(s->daemon, e);
}

/* ---- what fills it without being seen ------------------------------------------------------------------------ */

static bool is_member(const uint8_t *author, void *ctx)
{
    struct daemon *d = ctx;
    bool found = memcmp(author, d->self.bytes, REPLICA_AUTHOR_BYTES) == 0;
    for (size_t i = 0; !found && i < siblings_count(d); i++)
        found = memcmp(siblings_at(d, i)->client.bytes, author, REPLICA_AUTHOR_BYTES) == 0;
    return found;
}

static size_t count_members(void *ctx) { return siblings_count(ctx) + 1; }

static int plan_tidy(struct state_edit *e, const struct replica *r, struct replica_change *c)
{
    size_t dropped;
    (void)e;
    return state_tidy(r, c, &dropped);
}

static void on_edit_over(struct state_edit *e, int outcome)
{
    if (outcome != 0)
        log_warn("the household's state was not tidied outcome=%d", outcome);
    free(e);
}

static void tidy(struct daemon *d)
{
    struct state_edit *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return;
    *e = (struct state_edit){ .plan = plan_tidy, .done = on_edit_over };
    state_edit(d, e);
}

/* ---- what an earlier version kept ---------------------------------------------------------------------------- */

struct old {
    struct state_edit edit;
    char volume[SETTING_VALUE_BYTES]; /* "": none */
    size_t count;
    struct {
        struct id content;
        uint64_t position_ms;
    } list[];
};

static int plan_old(struct state_edit *e, const struct replica *r, struct replica_change *c)
{
    struct old *o = container_of(e, struct old, edit);
    int outcome = 0;
    for (size_t i = 0; outcome == 0 && i < o->count; i++) {
        uint8_t value[8];
        put_be64(value, o->list[i].position_ms);
        outcome = replica_put(r, c, STATE_POSITION, SLICE_ARRAY(o->list[i].content.bytes), SLICE_ARRAY(value), NULL);
    }
    if (outcome == 0 && o->volume[0] != '\0' && state_setting_is_valid("volume", o->volume))
        outcome = replica_put(r, c, STATE_SETTING, slice_str("volume"), slice_str(o->volume), NULL);
    return outcome;
}

static int store_old(struct state_edit *e, struct store *store)
{
    (void)e;
    return store_run(store, DB_POSITIONS_CLEAR);
}

static void on_old_taken(struct state_edit *e, int outcome)
{
    if (outcome != 0)
        log_warn("positions of an earlier version could not be taken over outcome=%d", outcome);
    free(container_of(e, struct old, edit));
}

static int take_old(struct daemon *d)
{
    struct old *o CLEANUP(freep) = calloc(1, sizeof(*o) + OLD_POSITIONS_MAX * sizeof(o->list[0]));
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_POSITIONS);
    int r = 0;
    if (o == NULL)
        return -ENOMEM;
    while (o->count < OLD_POSITIONS_MAX && (r = query_step(&q)) == STORE_ROW) {
        query_fixed(&q, 0, o->list[o->count].content.bytes, ID_BYTES);
        uint64_t ms = query_u64(&q, 1);
        r = query_check(&q);
        if (r != 0)
            return r;
        o->list[o->count].position_ms = u64_min(u64_max(ms, 1), STATE_POSITION_MAX);
        o->count++;
    }
    if (r < 0)
        return r;
    o->edit = (struct state_edit){ .plan = plan_old, .store = store_old, .done = on_old_taken };
    if (!setting_read(d, "volume", o->volume))
        o->volume[0] = '\0';
    state_edit(d, &steal(&o)->edit);
    return 0;
}

/* ---- for people ---------------------------------------------------------------------------------------------- */

const char *state_author(struct daemon *d, const struct dot *dot, char short_id[ID_SHORT_BYTES])
{
    if (memcmp(dot->replica, d->self.bytes, REPLICA_AUTHOR_BYTES) == 0)
        return siblings_own_name(d);
    for (size_t i = 0; i < siblings_count(d); i++)
        if (memcmp(siblings_at(d, i)->client.bytes, dot->replica, REPLICA_AUTHOR_BYTES) == 0)
            return siblings_at(d, i)->name;
    uint8_t id[ID_BYTES] = { 0 };
    memcpy(id, dot->replica, REPLICA_AUTHOR_BYTES);
    id_short(id, short_id);
    return short_id;
}

void state_setting_value(const struct daemon *d, const char *name, char value[STATE_SETTING_BYTES])
{
    static const struct {
        const char *name, *value;
    } without[] = { { "volume", "100" }, { "repeat", "off" }, { "window", "automatic" } };
    const struct replica_item *i = state_setting(&d->state->replica, name);
    value[0] = '\0';
    if (i != NULL) {
        state_setting_of(i, value);
        return;
    }
    for (size_t n = 0; n < ARRAY_COUNT(without); n++)
        if (strcmp(without[n].name, name) == 0)
            (void)snprintf(value, STATE_SETTING_BYTES, "%s", without[n].value);
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

int state_start(struct daemon *d)
{
    struct state *s = calloc(1, sizeof(*s));
    bool first;
    if (s == NULL)
        return -ENOMEM;
    d->state = s;
    s->daemon = d;
    s->last = &s->first;
    s->rename_told = UINT64_MAX;
    int r = read_self(s, &first);
    if (r == 0)
        r = read_seen(s);
    if (r == 0)
        r = read_items(s);
    s->replica.members = (struct replica_members){ is_member, count_members, d };
    s->replica.spared = STATE_SETTING;
    if (r == 0 && first)
        return take_old(d);
    if (r == 0)
        tidy(d); /* an earlier version took what it was sent */
    return r;
}

void state_free(struct daemon *d)
{
    struct state *s = steal(&d->state);
    if (s == NULL)
        return;
    replica_free(&s->replica);
    free(s);
}
