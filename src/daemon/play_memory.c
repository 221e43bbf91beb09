/* Positions and the volume, as edits of the household's state.
 *
 * Callbacks, in order, for each note: plan_note, on_noted. */
#include "daemon/play_memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/deck_internal.h"
#include "daemon/library.h"

#define BEGINNING_MS 1000

/* ---- places -------------------------------------------------------------------------------------------------- */

size_t play_memory_places(const struct daemon *d, const struct id *content, struct place_left places[PLACES_MAX])
{
    const struct replica *r = state_replica(d);
    size_t count, different = 0, first = replica_find(r, STATE_POSITION, SLICE_ARRAY(content->bytes), &count);
    for (size_t i = first; i < first + count && different < PLACES_MAX; i++) {
        uint64_t position_ms = state_position_of(r->items[i]);
        bool known = false;
        for (size_t n = 0; n < different; n++)
            known |= places[n].position_ms == position_ms;
        if (!known)
            places[different++] = (struct place_left){ position_ms, r->items[i]->dot };
    }
    return different;
}

uint64_t play_memory_position(const struct daemon *d, const struct id *content)
{
    struct place_left places[PLACES_MAX];
    return play_memory_places(d, content, places) == 1 ? places[0].position_ms : 0;
}

/* ---- a play -------------------------------------------------------------------------------------------------- */

struct place_mark {
    struct daemon *daemon;
    struct id content;
    struct dot seen[PLACES_MAX]; /* what the next note takes the place of */
    size_t seen_count;
    uint64_t noted_ms;
    uint32_t holds;
};
struct note {
    struct state_edit edit;
    struct place_mark *mark;
    uint64_t position_ms;
    struct dot self; /* after it */
};

static void release(struct place_mark *m)
{
    if (--m->holds == 0)
        free(m);
}

struct place_mark *play_memory_begin(struct daemon *d, const struct id *content, bool takes_all)
{
    const struct replica *r = state_replica(d);
    struct place_left places[PLACES_MAX];
    struct place_mark *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return NULL;
    *m = (struct place_mark){ .daemon = d, .content = *content, .holds = 1 };
    size_t count, first = replica_find(r, STATE_POSITION, SLICE_ARRAY(content->bytes), &count);
    size_t different = play_memory_places(d, content, places);
    for (size_t i = first; (takes_all || different == 1) && i < first + count && m->seen_count < PLACES_MAX; i++)
        m->seen[m->seen_count++] = r->items[i]->dot;
    m->noted_ms = different == 1 ? places[0].position_ms : 0;
    return m;
}

static int plan_note(struct state_edit *e, const struct replica *r, struct replica_change *c)
{
    struct note *n = container_of(e, struct note, edit);
    struct place_mark *m = n->mark;
    struct dot list[2 * PLACES_MAX];
    struct dots seen = { list, m->seen_count, 0 };
    uint8_t value[8];
    memcpy(list, m->seen, m->seen_count * sizeof(list[0]));
    /* What this device has noted itself it always knows, also when that was under way as this play began. */
    size_t count, first = replica_find(r, STATE_POSITION, SLICE_ARRAY(m->content.bytes), &count);
    for (size_t i = first; i < first + count && seen.count < ARRAY_COUNT(list); i++)
        if (memcmp(r->items[i]->dot.replica, r->self.replica, REPLICA_ID_BYTES) == 0)
            list[seen.count++] = r->items[i]->dot;
    put_be64(value, n->position_ms);
    int outcome = replica_put(r, c, STATE_POSITION, SLICE_ARRAY(m->content.bytes),
                              n->position_ms == 0 ? slice(NULL, 0) : SLICE_ARRAY(value), &seen);
    n->self = c->self;
    return outcome;
}

static void on_noted(struct state_edit *e, int outcome)
{
    struct note *n = container_of(e, struct note, edit);
    if (outcome == 0) { /* else the next note may fare better */
        n->mark->seen[0] = n->self;
        n->mark->seen_count = n->position_ms == 0 ? 0 : 1;
    }
    release(n->mark);
    free(n);
}

void play_memory_left(struct place_mark *m, uint64_t position_ms)
{
    position_ms = position_ms < BEGINNING_MS || position_ms > STATE_POSITION_MAX ? 0 : position_ms;
    struct note *n = m == NULL || m->noted_ms == position_ms ? NULL : calloc(1, sizeof(*n));
    if (n == NULL)
        return;
    m->noted_ms = position_ms;
    m->holds++;
    *n = (struct note){ .edit = { .plan = plan_note, .done = on_noted }, .mark = m, .position_ms = position_ms };
    state_edit(m->daemon, &n->edit);
}

void play_memory_end(struct place_mark *m)
{
    if (m != NULL)
        release(m);
}

/* ---- the volume ---------------------------------------------------------------------------------------------- */

struct loudness {
    struct state_edit edit;
    char value[8];
};

static int plan_volume(struct state_edit *e, const struct replica *r, struct replica_change *c)
{
    const struct loudness *l = container_of(e, struct loudness, edit);
    return replica_put(r, c, STATE_SETTING, slice_str("volume"), slice_str(l->value), NULL);
}

static void on_volume(struct state_edit *e, int outcome)
{
    (void)outcome; /* said by the database; the next may fare better */
    free(container_of(e, struct loudness, edit));
}

void play_memory_volume(struct daemon *d, uint32_t percent)
{
    struct loudness *l = d->volume == percent ? NULL : calloc(1, sizeof(*l));
    d->volume = percent;
    if (l == NULL)
        return;
    l->edit = (struct state_edit){ .plan = plan_volume, .done = on_volume };
    (void)snprintf(l->value, sizeof(l->value), "%u", (unsigned)percent % 1000);
    state_edit(d, &l->edit);
}

void play_memory_changed(struct daemon *d)
{
    char value[STATE_SETTING_BYTES];
    if (deck_in_time(d) != NULL)
        return; /* nobody's sound gets louder because somebody else's did */
    state_setting_value(d, "volume", value);
    d->volume = (uint32_t)strtoul(value, NULL, 10);
}

/* ---- POSITIONS_GET ------------------------------------------------------------------------------------------- */

void positions_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_PositionsGet *m = message;
    struct place_left places[PLACES_MAX];
    struct track *t;
    char detail[256], short_id[ID_SHORT_BYTES];
    int r = library_resolve(d, m->track, &t, detail, sizeof(detail));
    if (r != 0) {
        call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
        return;
    }
    size_t count = play_memory_places(d, &t->content, places);
    for (size_t i = 0; i < count; i++) {
        ctl_PositionRow row = { .position_ms = places[i].position_ms };
        CODEC_SET_TEXT(row.device, state_author(d, &places[i].by, short_id));
        CALL_ROW(c, POSITION_ROW, PositionRow, &row);
    }
    call_finish(c);
}
