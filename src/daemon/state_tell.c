/* What came from a sibling, as events: a sentence for each thing that changes, the rest counted. Loop thread. */
#include <stdio.h>

#include "base/util.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/state_internal.h"

#define REMOVALS_LOOKED_AT \
    128 /* each among all items: after a long time there are thousands, and nobody reads of them */

#define WHAT_BYTES 256

struct tale { /* one answer's */
    struct state *state;
    const char *from;
    char told[STATE_EVENTS_MAX][WHAT_BYTES];
    unsigned count, more;
    const uint8_t *playlist; /* the last one that was told of */
};

static void tell(struct tale *t, const struct dot *by, const char *what)
{
    char short_id[ID_SHORT_BYTES];
    const char *author = by == NULL ? t->from : state_author(t->state->daemon, by, short_id);
    for (unsigned i = 0; i < t->count; i++)
        if (strcmp(t->told[i], what) == 0)
            return;
    if (t->count == STATE_EVENTS_MAX) {
        t->more++;
        return;
    }
    (void)snprintf(t->told[t->count++], sizeof(t->told[0]), "%s", what);
    if (strcmp(author, t->from) == 0)
        event(t->state->daemon, "state-changed", "%s: from %s", what, t->from);
    else
        event(t->state->daemon, "state-changed", "%s: by %s, from %s", what, author, t->from);
}

/* A track is played for an hour: that it goes on is no news. */
static bool is_old_news(struct state *s, const struct replica_item *i)
{
    bool same = memcmp(s->told_position.bytes, i->bytes, ID_BYTES) == 0 &&
                memcmp(s->told_by, i->dot.replica, REPLICA_ID_BYTES) == 0;
    s->told_position = id_from(i->bytes);
    memcpy(s->told_by, i->dot.replica, REPLICA_ID_BYTES);
    return same;
}

static bool is_removed(const struct replica_change *c, const struct dot *d)
{
    for (size_t i = 0; i < c->removed_count; i++)
        if (dot_equal(&c->removed[i].removed, d))
            return true;
    return false;
}

static const struct replica_item *better(const struct replica_item *a, const struct replica_item *b)
{
    if (a == NULL)
        return b;
    /* A name that was given is taken before one that was only repeated. */
    uint8_t given = a->kind == STATE_PLAYLIST ? replica_value(a).data[0] : 0,
            other = b->kind == STATE_PLAYLIST ? replica_value(b).data[0] : 0;
    return other > given || (other == given && state_is_before(&a->dot, &b->dot)) ? b : a;
}

/* What a setting or a name comes to: it may have been changed here, too, and neither knew of the other. NULL: there is none. */
static const struct replica_item *taken_of(const struct state *s, const struct replica_change *c, uint8_t kind,
                                           struct slice key)
{
    size_t count, first = replica_find(&s->replica, kind, key, &count);
    const struct replica_item *best = NULL;
    for (size_t i = first; i < first + count; i++)
        if (!is_removed(c, &s->replica.items[i]->dot))
            best = better(best, s->replica.items[i]);
    for (size_t i = 0; i < c->added_count; i++)
        if (c->added[i]->kind == kind && slice_equal(replica_key(c->added[i]), key))
            best = better(best, c->added[i]);
    return best;
}

/* By the name that it has now; one that was renamed by both. */
static void tell_playlist(const struct state *s, const struct replica_change *c, const uint8_t *id, char *what,
                          size_t cap)
{
    const struct replica_item *before = state_playlist(&s->replica, id),
                              *after = taken_of(s, c, STATE_PLAYLIST, slice(id, PLAYLIST_ID_BYTES));
    char old[STATE_NAME_BYTES] = "", name[STATE_NAME_BYTES] = "without a name";
    if (before != NULL)
        (void)state_playlist_of(before, old);
    if (after != NULL)
        (void)state_playlist_of(after, name);
    if (before != NULL && strcmp(old, name) != 0)
        (void)snprintf(what, cap, "the playlist %s is called %s now", old, name);
    else
        (void)snprintf(what, cap, "the playlist %s has changed", name);
}

static void tell_setting(const struct state *s, const struct replica_change *c, const struct replica_item *i,
                         char *what, size_t cap)
{
    char text[STATE_SETTING_BYTES], taken[STATE_SETTING_BYTES];
    const struct replica_item *best = taken_of(s, c, i->kind, replica_key(i));
    state_setting_of(i, text);
    state_setting_of(best, taken);
    if (best == i || strcmp(text, taken) == 0)
        (void)snprintf(what, cap, "%.*s is %s", (int)i->key_len, (const char *)i->bytes, text);
    else
        (void)snprintf(what, cap, "%.*s is %s, and not %s, which was set at the same time", (int)i->key_len,
                       (const char *)i->bytes, taken, text);
}

static void tell_added(struct tale *t, const struct replica_change *c, const struct replica_item *i)
{
    struct state *s = t->state;
    char what[WHAT_BYTES], text[STATE_TITLE_BYTES];
    struct id content, distributor;
    switch ((enum state_kind)i->kind) {
    case STATE_SETTING:
        tell_setting(s, c, i, what, sizeof(what));
        break;
    case STATE_POSITION: {
        const struct track *track = library_find(s->daemon, i->bytes);
        unsigned long long seconds = (unsigned long long)state_position_of(i) / 1000;
        if (is_old_news(s, i))
            return;
        (void)snprintf(what, sizeof(what), "%.100s was left at %llu:%02llu",
                       track != NULL && track->has_info ? track->title : "a track that is not here", seconds / 60,
                       seconds % 60);
        break;
    }
    case STATE_WISH:
        (void)snprintf(what, sizeof(what), "%s %.100s",
                       state_wish_of(i, &content, &distributor, text) ? "bought:" : "wished:", text);
        break;
    case STATE_PLAYLIST:
    case STATE_ENTRY:
        if (t->playlist != NULL && memcmp(t->playlist, i->bytes, PLAYLIST_ID_BYTES) == 0)
            return; /* its next entry: they come in order */
        t->playlist = i->bytes;
        tell_playlist(s, c, i->bytes, what, sizeof(what));
        break;
    default:
        return;
    }
    tell(t, &i->dot, what);
}

static bool is_written_anew(const struct replica_change *c, const struct replica_item *old)
{
    for (size_t i = 0; i < c->added_count; i++)
        if (c->added[i]->kind == old->kind && slice_equal(replica_key(c->added[i]), replica_key(old)))
            return true;
    return false;
}

static void tell_removed(struct tale *t, const struct replica_change *c, const struct replica_item *old,
                         const struct dot *by)
{
    char what[WHAT_BYTES], text[STATE_TITLE_BYTES];
    struct id content, distributor;
    if (is_written_anew(c, old))
        return;
    switch ((enum state_kind)old->kind) {
    case STATE_WISH:
        (void)state_wish_of(old, &content, &distributor, text);
        (void)snprintf(what, sizeof(what), "no longer wished: %.100s", text);
        break;
    case STATE_PLAYLIST:
        (void)state_playlist_of(old, text);
        (void)snprintf(what, sizeof(what), "the playlist %s was deleted", text);
        break;
    default:
        return; /* entries go with their playlist or change it; a track that was played to its end is no news */
    }
    tell(t, by->counter == 0 ? NULL : by, what);
}

void state_tell(struct state *s, const struct replica_change *c, const char *from)
{
    struct tale t = { .state = s, .from = from };
    for (size_t i = 0; t.more == 0 && i < c->added_count; i++)
        tell_added(&t, c, c->added[i]);
    for (size_t n = 0; t.more == 0 && n < c->removed_count && n < REMOVALS_LOOKED_AT; n++)
        for (size_t i = 0; i < s->replica.count; i++)
            if (dot_equal(&s->replica.items[i]->dot, &c->removed[n].removed)) {
                tell_removed(&t, c, s->replica.items[i], &c->removed[n].event);
                break;
            }
    if (t.more > 0)
        event(s->daemon, "state-changed", "and more from %s", from);
}
