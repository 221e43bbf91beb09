/* Changing playlists: create, add, remove, move, rename, delete. What a person names is resolved when the command comes; what is planned is what is there then.
 * A number is that of the list as it was last shown here: another device's change since then moves nobody's finger.
 *
 * A playlist's ID follows from the name it is created under, so that one created on two devices apart is one playlist. Loop thread.
 *
 * Callbacks, in order: plan_edit, on_edited. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "daemon/control.h"
#include "daemon/library.h"
#include "daemon/playlists.h"
#include "daemon/playlists_shown.h"

#define ENTRIES_MAX 1000 /* of a playlist */
#define NUMBERS_MAX 64

enum action { CREATE = 1, ADD, REMOVE, MOVE, RENAME, DELETE };

struct edit {
    struct state_edit edit;
    struct daemon *daemon;
    struct call *call;
    enum action action;
    uint8_t playlist[PLAYLIST_ID_BYTES];
    char name[STATE_NAME_BYTES]; /* CREATE, RENAME; ADD to one that there is not */
    uint32_t to;                 /* number, from 1; 0: the end */
    size_t count;
    struct { /* ADD: content and title; REMOVE, MOVE: id */
        uint8_t id[PLAYLIST_ID_BYTES];
        struct id content;
        char title[STATE_TITLE_BYTES];
    } list[NUMBERS_MAX];
};

/* ---- planning ------------------------------------------------------------------------------------------------ */

static int put_name(const struct replica *r, struct replica_change *c, const struct edit *e, bool renamed)
{
    char name[STATE_NAME_BYTES];
    const struct replica_item *here = state_playlist(r, e->playlist);
    struct buf value CLEANUP(buf_free) = buf(REPLICA_VALUE_MAX);
    memcpy(name, e->name, sizeof(name));
    if (!renamed && here != NULL)
        renamed = state_playlist_of(here, name); /* the name it has is repeated: this change is one of the playlist */
    int o = state_playlist_put(renamed, name, &value);
    return o == 0 ? replica_put(r, c, STATE_PLAYLIST, SLICE_ARRAY(e->playlist), buf_slice(&value), NULL) : o;
}

static int put_entry(const struct replica *r, struct replica_change *c, const struct state_entry *entry)
{
    uint8_t key[2 * PLAYLIST_ID_BYTES];
    struct buf value CLEANUP(buf_free) = buf(REPLICA_VALUE_MAX);
    memcpy(key, entry->playlist, PLAYLIST_ID_BYTES);
    memcpy(key + PLAYLIST_ID_BYTES, entry->id, PLAYLIST_ID_BYTES);
    int o = state_entry_put(entry, &value);
    return o == 0 ? replica_put(r, c, STATE_ENTRY, SLICE_ARRAY(key), buf_slice(&value), NULL) : o;
}

static int drop_entry(const struct replica *r, struct replica_change *c, const uint8_t *playlist, const uint8_t *id)
{
    uint8_t key[2 * PLAYLIST_ID_BYTES];
    memcpy(key, playlist, PLAYLIST_ID_BYTES);
    memcpy(key + PLAYLIST_ID_BYTES, id, PLAYLIST_ID_BYTES);
    return replica_put(r, c, STATE_ENTRY, SLICE_ARRAY(key), slice(NULL, 0), NULL);
}

/* What is added at the end goes on in this device's own run, anywhere else in one of its own. */
static uint32_t run_of(const struct edit *e, const struct replica *r, bool at_end)
{
    uint32_t run = get_be32(r->self.replica + 8);
    if (!at_end)
        rng_fill(e->daemon->rng, &run, sizeof(run));
    return run == 0 ? 1 : run;
}

/* Places `added` before index `at` of the list; when there is no room between two neighbours, the whole list is numbered anew. */
static int place(const struct edit *e, const struct replica *r, struct replica_change *c, struct state_entry *list,
                 size_t count, size_t at, struct state_entry *added, size_t added_count)
{
    uint32_t run = run_of(e, r, at == count);
    const struct order *after = at > 0 ? &list[at - 1].order : NULL, *before = at < count ? &list[at].order : NULL;
    int o = 0;
    for (size_t i = 0; o == 0 && i < added_count; i++) {
        o = order_between(after, before, run, &added[i].order);
        after = &added[i].order;
    }
    bool anew = o == ORDER_FULL;
    o = 0;
    for (size_t i = 0; o == 0 && anew && i < count; i++) {
        list[i].order = order_at((uint32_t)(i < at ? i : i + added_count));
        o = put_entry(r, c, &list[i]);
    }
    for (size_t i = 0; o == 0 && i < added_count; i++) {
        if (anew)
            added[i].order = order_at((uint32_t)(at + i));
        o = put_entry(r, c, &added[i]);
    }
    return o;
}

static size_t index_of(const struct edit *e, size_t count) { return e->to == 0 ? count : size_min(e->to - 1, count); }

static int plan_add(const struct edit *e, const struct replica *r, struct replica_change *c, struct state_entry *list,
                    size_t count)
{
    struct state_entry *added CLEANUP(freep) = calloc(NUMBERS_MAX, sizeof(*added));
    if (added == NULL)
        return -ENOMEM;
    if (count + e->count > ENTRIES_MAX)
        return REASON_TOO_LARGE;
    for (size_t i = 0; i < e->count; i++) {
        added[i].content = e->list[i].content;
        memcpy(added[i].playlist, e->playlist, PLAYLIST_ID_BYTES);
        rng_fill(e->daemon->rng, added[i].id, PLAYLIST_ID_BYTES);
        memcpy(added[i].title, e->list[i].title, sizeof(added[i].title));
    }
    return place(e, r, c, list, count, index_of(e, count), added, e->count);
}

static int plan_move(const struct edit *e, const struct replica *r, struct replica_change *c, struct state_entry *list,
                     size_t count)
{
    struct state_entry moved;
    size_t from = 0;
    while (from < count && memcmp(list[from].id, e->list[0].id, PLAYLIST_ID_BYTES) != 0)
        from++;
    if (from == count)
        return REASON_NOT_FOUND; /* another device has removed it meanwhile */
    moved = list[from];
    count--;
    memmove(&list[from], &list[from + 1], (count - from) * sizeof(*list));
    return place(e, r, c, list, count, index_of(e, count), &moved, 1);
}

static int plan_delete(const struct edit *e, const struct replica *r, struct replica_change *c,
                       const struct state_entry *list, size_t count)
{
    int o = replica_put(r, c, STATE_PLAYLIST, SLICE_ARRAY(e->playlist), slice(NULL, 0), NULL);
    for (size_t i = 0; o == 0 && i < count; i++)
        o = drop_entry(r, c, e->playlist, list[i].id);
    return o;
}

static int plan_in(const struct edit *e, const struct replica *r, struct replica_change *c, struct state_entry *list,
                   size_t count)
{
    int o = 0;
    switch (e->action) {
    case ADD:
        o = plan_add(e, r, c, list, count);
        break;
    case REMOVE:
        for (size_t i = 0; o == 0 && i < e->count; i++)
            o = drop_entry(r, c, e->playlist, e->list[i].id);
        break;
    case MOVE:
        o = plan_move(e, r, c, list, count);
        break;
    case DELETE:
        return plan_delete(e, r, c, list, count);
    case CREATE:
    case RENAME:
        break;
    }
    return o == 0 ? put_name(r, c, e, e->action == RENAME) : o;
}

static int plan_edit(struct state_edit *edit, const struct replica *r, struct replica_change *c)
{
    const struct edit *e = container_of(edit, struct edit, edit);
    struct state_entry *list CLEANUP(freep) = NULL;
    size_t count;
    bool is_new = e->action == CREATE || (e->action == ADD && e->name[0] != '\0');
    if (!is_new && state_playlist(r, e->playlist) == NULL)
        return REASON_NOT_FOUND;
    int o = state_entries(r, e->playlist, &list, &count);
    return o == 0 ? plan_in(e, r, c, list, count) : o;
}

static void refuse_edit(const struct edit *e, int outcome)
{
    struct state_entry *list CLEANUP(freep) = NULL;
    size_t count = 0;
    char full[256];
    const char *detail = outcome == REASON_NOT_FOUND ? "Another device has removed it meanwhile." : NULL;
    state_say_full(e->daemon, full, sizeof(full));
    if (outcome == REASON_TOO_LARGE) {
        bool is_long = e->action == ADD && state_entries(state_replica(e->daemon), e->playlist, &list, &count) == 0 &&
                       count + e->count > ENTRIES_MAX;
        detail = is_long ? "A playlist has 1000 entries at most: hearth playlist remove NAME NUMBER makes room." : full;
    }
    call_refuse(e->call, reason_of_error(outcome), detail);
}

static void on_edited(struct state_edit *edit, int outcome)
{
    struct edit *e = container_of(edit, struct edit, edit);
    if (outcome != 0) {
        refuse_edit(e, outcome);
    } else {
        for (size_t i = 0; e->action == REMOVE && i < e->count; i++)
            playlist_shown_without(e->daemon, e->playlist, e->list[i].id);
        if (e->action == MOVE)
            playlist_shown_moved(e->daemon, e->playlist, e->list[0].id, e->to);
        (void)playlist_row(e->daemon, e->playlist, e->call);
        call_finish(e->call);
    }
    free(e);
}

/* ---- what a person names ------------------------------------------------------------------------------------- */

static bool is_name(const char *name) { return name[0] != '\0' && text_is_plain(slice_str(name)); }

static void id_of_name(struct daemon *d, const char *name, uint8_t id[PLAYLIST_ID_BYTES])
{
    static const char domain[] = "hearth playlist 1"; /* with its zero */
    uint8_t hash[SHA256_BYTES];
    sha256_parts((const struct slice[]){ SLICE_ARRAY(domain), slice_str(name) }, 2, hash);
    memcpy(id, hash, PLAYLIST_ID_BYTES);
    if (state_playlist(state_replica(d), id) != NULL)
        rng_fill(d->rng, id, PLAYLIST_ID_BYTES); /* one that was renamed since */
}

static int take_tracks(struct edit *e, const ctl_PlaylistEdit *m, char *detail, size_t cap)
{
    int r = m->tracks_count == 0 ? REASON_MALFORMED : 0;
    for (pb_size_t i = 0; r == 0 && i < m->tracks_count; i++) {
        struct track *t;
        r = library_resolve(e->daemon, m->tracks[i], &t, detail, cap);
        if (r != 0)
            return r;
        e->list[i].content = t->content;
        CODEC_SET_TEXT(e->list[i].title, t->has_info ? t->title : "");
        e->count++;
    }
    return r;
}

static bool is_there(const struct state_entry *list, size_t count, const uint8_t *id)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(list[i].id, id, PLAYLIST_ID_BYTES) == 0)
            return true;
    return false;
}

static int number_error(int r, size_t count, char *detail, size_t cap)
{
    if (r == REASON_NOT_FOUND)
        (void)snprintf(detail, cap, "The playlist has %zu entries: hearth playlist show NAME", count);
    if (r == REASON_OUT_OF_STEP)
        (void)snprintf(
            detail, cap,
            "A number is that of the list as it was shown, and it has changed since or was not shown: hearth "
            "playlist show NAME");
    return r;
}

static int take_numbers(struct edit *e, const ctl_PlaylistEdit *m, char *detail, size_t cap)
{
    struct state_entry *list CLEANUP(freep) = NULL;
    size_t count;
    if (m->numbers_count == 0 || (e->action == MOVE && (m->numbers_count > 1 || !m->has_to)))
        return REASON_MALFORMED;
    int r = state_entries(state_replica(e->daemon), e->playlist, &list, &count);
    for (pb_size_t i = 0; r == 0 && i < m->numbers_count; i++) {
        uint8_t *id = e->list[e->count].id;
        r = playlist_shown_at(e->daemon, e->playlist, m->numbers[i], id);
        if (r == 0 && m->has_to && m->to > count)
            r = REASON_NOT_FOUND;
        if (r == 0 && e->action == MOVE && !playlist_shown_is(e->daemon, e->playlist, list, count))
            r = REASON_OUT_OF_STEP; /* between which two it would come, nobody has seen */
        if (r == 0 && !is_there(list, count, id))
            r = REASON_OUT_OF_STEP;
        for (size_t n = 0; r == 0 && n < e->count; n++)
            if (memcmp(e->list[n].id, id, PLAYLIST_ID_BYTES) == 0)
                return REASON_MALFORMED; /* twice */
        e->count += r == 0;
    }
    return r > 0 ? number_error(r, count, detail, cap) : r;
}

/* Another one of that name would never be named again. */
static int take_name(struct edit *e, const char *name, char *detail, size_t cap)
{
    uint8_t other[PLAYLIST_ID_BYTES];
    char unused[256];
    if (!is_name(name)) {
        (void)snprintf(detail, cap, "A playlist's name is a text of 1 to 63 bytes.");
        return REASON_MALFORMED;
    }
    if (playlist_resolve(e->daemon, name, other, unused, sizeof(unused)) != REASON_NOT_FOUND &&
        (e->action != RENAME || memcmp(other, e->playlist, sizeof(other)) != 0)) {
        (void)snprintf(detail, cap, "There is a playlist of this name already.");
        return REASON_ALREADY;
    }
    CODEC_SET_TEXT(e->name, name);
    return 0;
}

static int take(struct edit *e, const ctl_PlaylistEdit *m, char *detail, size_t cap)
{
    int r = e->action == CREATE ? REASON_NOT_FOUND : playlist_resolve(e->daemon, m->playlist, e->playlist, detail, cap);
    if (r == REASON_NOT_FOUND && (e->action == CREATE || e->action == ADD)) {
        detail[0] = '\0';
        r = take_name(e, m->playlist, detail, cap);
        id_of_name(e->daemon, m->playlist, e->playlist);
    }
    if (r == 0 && e->action == RENAME)
        r = m->has_name ? take_name(e, m->name, detail, cap) : REASON_MALFORMED;
    if (r == 0 && e->action == ADD)
        r = take_tracks(e, m, detail, cap);
    if (r == 0 && (e->action == REMOVE || e->action == MOVE))
        r = take_numbers(e, m, detail, cap);
    return r;
}

void playlist_edit_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_PlaylistEdit *m = message;
    char detail[256] = "";
    struct edit *e = calloc(1, sizeof(*e));
    if (e == NULL || m->action < CREATE || m->action > DELETE) {
        free(e);
        call_refuse(c, e == NULL ? REASON_INTERNAL : REASON_MALFORMED, NULL);
        return;
    }
    e->edit = (struct state_edit){ .plan = plan_edit, .done = on_edited };
    e->daemon = d;
    e->call = c;
    e->action = (enum action)m->action;
    e->to = m->has_to ? m->to : 0;
    int r = take(e, m, detail, sizeof(detail));
    if (r != 0) {
        free(e);
        call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
        return;
    }
    state_edit(d, &e->edit);
}
