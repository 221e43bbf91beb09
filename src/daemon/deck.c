/* One track after the other, once deck_begin.c has set the deck up.
 *
 * Callbacks, in order, for each track: on_progress and on_wish ..., on_end; on_gone when the client leaves. */
#include "daemon/deck.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/deck_internal.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/play_memory.h"
#include "daemon/player.h"

#define NOTE_MS 10000   /* how much of a track is played between two notes of where */
#define PICTURE_MS 8000 /* how long a picture of several stays */

/* --- What others see --- */

struct deck *deck_in_time(struct daemon *d)
{
    struct deck *k = d->decks;
    while (k != NULL && (!k->in_time || k->stopping))
        k = k->next;
    return k;
}

enum deck_state deck_state(const struct deck *k)
{
    return k->waiting             ? DECK_WAITING
           : !k->progress.running ? DECK_STARTING
           : k->progress.paused   ? DECK_PAUSED
                                  : DECK_PLAYING;
}

uint64_t deck_position_ms(const struct deck *k)
{
    if (!k->progress.running)
        return k->first_ms;
    return k->seeks != k->progress.seeks ? k->sought_ms : k->progress.position_ms;
}

uint64_t deck_duration_ms(const struct deck *k)
{
    return k->progress.duration_ms != 0 ? k->progress.duration_ms : k->tracks[k->current].duration_ms;
}

void deck_row(const struct deck *k, ctl_Playing *out)
{
    const struct deck_track *t = &k->tracks[k->current];
    *out = (ctl_Playing){ .state = deck_state(k),
                          .number = k->current + 1,
                          .count = k->count,
                          .position_ms = deck_position_ms(k),
                          .duration_ms = deck_duration_ms(k),
                          .volume = k->in_time ? k->daemon->volume : 100,
                          .picture = k->progress.picture,
                          .has_left = k->has_left,
                          .left = k->left };
    memcpy(out->content, t->content.bytes, ID_BYTES);
    CODEC_SET_TEXT(out->title, t->title);
    CODEC_SET_TEXT(out->output, k->output);
    deck_metadata_row(k, out);
}

static void tell_state(struct deck *k)
{
    ctl_Playing row;
    if (k->call == NULL || !call_has_room(k->call))
        return;
    deck_row(k, &row);
    CALL_ROW(k->call, PLAYING, Playing, &row);
}

/* --- Controls that wait --- */

static bool is_done(const struct deck *k, const struct deck_waiter *w)
{
    switch (w->what) {
    case WAIT_RUN:
        return k->waiting || (k->progress.running && (int32_t)(k->plays - w->value) >= 0);
    case WAIT_SEEK:
        return (int32_t)(k->progress.seeks - w->value) >= 0;
    case WAIT_PAUSE:
        return k->progress.paused == (w->value != 0);
    case WAIT_VOLUME:
        return k->progress.volume == w->value;
    default:
        return false;
    }
}

static void answer_waiters(struct deck *k)
{
    ctl_Playing row;
    for (struct deck_waiter **at = &k->waiters; *at != NULL;) {
        struct deck_waiter *w = *at;
        if (!is_done(k, w)) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        deck_row(k, &row);
        CALL_ROW(w->call, PLAYING, Playing, &row);
        call_finish(w->call);
        free(w);
    }
}

/* The track they were about is over: whatever plays next is the answer. */
static void await_next(struct deck *k)
{
    for (struct deck_waiter *w = k->waiters; w != NULL; w = w->next)
        if (w->what != WAIT_END) {
            w->what = WAIT_RUN;
            w->value = k->plays + 1;
        }
}

/* No row: nothing plays any more. That is what came of it, also of a seek that led to the end; but who wanted another track hears why it does not play. */
static void end_waiters(struct deck *k)
{
    struct deck_waiter *w;
    while ((w = k->waiters) != NULL) {
        k->waiters = w->next;
        if (w->what == WAIT_RUN && k->mishap)
            call_refuse_as(w->call, &k->refusal);
        else
            call_finish(w->call);
        free(w);
    }
}

/* --- The end --- */

static void deck_free(struct deck *k)
{
    for (struct deck **at = &k->daemon->decks; *at != NULL; at = &(*at)->next)
        if (*at == k) {
            *at = k->next;
            break;
        }
    end_waiters(k);
    deck_metadata_drop(k);
    play_memory_end(k->mark);
    free(k);
}

static void finish(struct deck *k)
{
    struct call *c = steal(&k->call);
    if (c != NULL && k->played == 0 && k->refused > 0 && !k->stopping)
        call_refuse_as(c, &k->refusal);
    else if (c != NULL)
        call_finish(c);
    deck_free(k);
}

/* --- One track --- */

static void note_position(struct deck *k, uint64_t position_ms)
{
    if (!k->in_time)
        return;
    k->noted_ms = position_ms;
    play_memory_left(k->mark, position_ms);
}

static void on_progress(const ply_Progress *progress, void *ctx)
{
    struct deck *k = ctx;
    bool first = progress->running && !k->progress.running;
    bool paused = progress->paused && !k->progress.paused;
    uint64_t at = progress->position_ms;
    k->progress = *progress;
    if (k->in_time && progress->volume != k->daemon->volume && !first)
        play_memory_volume(k->daemon, progress->volume); /* by a key in the window, too */
    if (progress->running && (paused || at > k->noted_ms + NOTE_MS || at + NOTE_MS < k->noted_ms))
        note_position(k, at);
    if (first && k->in_time)
        player_prepare(k->daemon); /* the next one is at hand */
    answer_waiters(k);
    tell_state(k);
    if (first && k->background && k->call != NULL)
        call_finish(steal(&k->call));
}

static void on_wish(uint32_t wanted, void *ctx)
{
    struct deck *k = ctx;
    if (wanted == ply_Wanted_WANTED_STOP)
        deck_stop(k);
    else if (wanted == ply_Wanted_WANTED_NEXT)
        deck_go(k, k->current + 1);
    else if (wanted == ply_Wanted_WANTED_PREVIOUS)
        deck_go(k, k->current > 0 ? k->current - 1 : 0);
}

static void tell_played(struct deck *k, const struct play_end *end)
{
    const ply_Played *played = &end->played;
    ctl_Played row = { .has_digest = played->has_digest, .has_format = played->has_format, .samples = played->samples };
    k->played++;
    k->mishap = false;
    row.has_left = deck_left(k->daemon, &k->tracks[k->current].content, end, &row.left);
    if (k->call == NULL)
        return;
    CODEC_SET_TEXT(row.track_title, k->tracks[k->current].title);
    memcpy(row.digest, played->digest, sizeof(row.digest));
    CODEC_SET_TEXT(row.format, played->format);
    CALL_ROW(k->call, PLAYED, Played, &row);
}

/* Where it was left, and what that cost: for who plays it, and for who has stopped it. */
static void tell_stopped(struct deck *k, const struct play_end *end, uint64_t at)
{
    ctl_Playing row;
    k->mishap = false;
    deck_row(k, &row);
    row.state = DECK_STOPPED;
    row.position_ms = at;
    row.has_left = deck_left(k->daemon, &k->tracks[k->current].content, end, &row.left);
    row.has_counted = true;
    row.counted = end->counted;
    if (k->call != NULL && !k->background)
        CALL_ROW(k->call, PLAYING, Playing, &row);
    for (const struct deck_waiter *w = k->waiters; w != NULL; w = w->next)
        if (w->what == WAIT_END)
            CALL_ROW(w->call, PLAYING, Playing, &row);
}

/* What a person can mend at the terminal, and then go on. */
static bool is_mendable(enum reason why) { return why == REASON_LICENSE_EXPIRED || why == REASON_USE_EXHAUSTED; }

static void take_refusal(struct deck *k, enum reason why, const msg_Refusal *refusal)
{
    bool begun = k->progress.running;
    ctl_PlayFailed row = { .number = k->current + 1, .refusal = *refusal, .has_begun = true, .begun = begun };
    k->refused++;
    k->refusal = *refusal;
    k->mishap = true;
    k->waiting = k->asks && k->call != NULL && is_mendable(why);
    event(k->daemon, "not-played", "%s was not played%s: %s", k->tracks[k->current].title, begun ? " to its end" : "",
          refusal->text);
    if (k->call == NULL || (k->count == 1 && !k->waiting)) /* one track: the call's own refusal says it */
        return;
    row.waits = k->waiting;
    CODEC_SET_TEXT(row.title, k->tracks[k->current].title);
    memcpy(row.content, k->tracks[k->current].content.bytes, ID_BYTES);
    CALL_ROW(k->call, PLAY_FAILED, PlayFailed, &row);
}

/* Where the end of a track leads, as the household's setting has it; a round of the queue in which nothing was played is the last one. */
static int64_t next_of(struct deck *k, enum reason why)
{
    char repeat[STATE_SETTING_BYTES];
    int64_t next = (int64_t)k->current + 1;
    if (!k->in_time)
        return next;
    state_setting_value(k->daemon, "repeat", repeat);
    if (strcmp(repeat, "one") == 0 && why == REASON_NONE)
        return k->current;
    if (strcmp(repeat, "all") != 0 || next < k->count || k->played == k->round_played)
        return next;
    k->round_played = k->played;
    return 0;
}

static void on_end(const struct play_end *end, void *ctx)
{
    struct deck *k = ctx;
    uint64_t at = deck_position_ms(k);
    k->play = NULL;
    k->left_ms = at;
    if (end->why == REASON_NONE) {
        note_position(k, 0);
        tell_played(k, end);
    } else {
        if (k->progress.running)
            note_position(k, at);
        if (end->why != REASON_CANCELLED)
            take_refusal(k, end->why, &end->refusal);
        else
            tell_stopped(k, end, at);
    }
    k->progress = (ply_Progress){ 0 };
    int64_t to = k->move_to >= 0 ? k->move_to : next_of(k, end->why);
    await_next(k);
    if (k->waiting && !k->stopping) {
        answer_waiters(k);
        tell_state(k);
        return;
    }
    k->waiting = false;
    if (k->stopping || to >= k->count) {
        finish(k);
        return;
    }
    k->current = (uint32_t)to;
    k->first_ms = 0;
    deck_play_current(k);
}

void deck_play_current(struct deck *k)
{
    static const struct play_callbacks callbacks = { on_progress, on_wish, on_end };
    ply_Start start = k->start;
    char window[STATE_SETTING_BYTES];
    k->move_to = -1;
    k->waiting = false;
    k->plays++;
    k->seeks = 0;
    k->noted_ms = k->first_ms;
    k->progress = (ply_Progress){ 0 };
    k->has_left = deck_left(k->daemon, &k->tracks[k->current].content, NULL, &k->left);
    play_memory_end(k->mark);
    k->mark = k->in_time ? play_memory_begin(k->daemon, &k->tracks[k->current].content, k->chosen) : NULL;
    k->chosen = false;
    state_setting_value(k->daemon, "window", window);
    start.has_window = strcmp(window, "automatic") != 0;
    if (start.has_window)
        CODEC_SET_TEXT(start.window, window);
    start.from_ms = k->first_ms;
    start.volume = k->in_time ? k->daemon->volume : 100;
    start.picture_ms = k->count > 1 ? PICTURE_MS : 0;
    if (play_start(&k->play, k->daemon, &k->tracks[k->current].content, &start, k->plugin, &callbacks, k) == 0) {
        deck_metadata_load(k);
        tell_state(k);
        return;
    }
    k->refused++;
    reason_refusal(&k->refusal, REASON_INTERNAL, NULL);
    finish(k);
}

/* --- Controls --- */

void deck_seek(struct deck *k, uint64_t position_ms)
{
    uint64_t end = k->progress.duration_ms != 0 ? k->progress.duration_ms : UINT64_MAX;
    position_ms = u64_min(position_ms, end);
    k->sought_ms = position_ms;
    if (k->play == NULL || !play_seek(k->play, position_ms))
        k->first_ms = position_ms;
    else
        k->seeks++;
}

void deck_volume(struct deck *k, uint32_t percent)
{
    play_memory_volume(k->daemon, percent);
    if (k->play != NULL)
        play_volume(k->play, percent);
}

void deck_go(struct deck *k, uint32_t index)
{
    k->move_to = index;
    if (k->play != NULL) {
        play_stop(k->play); /* on_end goes on */
    } else if (index >= k->count) {
        finish(k);
    } else {
        k->first_ms = k->waiting && index == k->current ? k->left_ms : 0; /* again: from there */
        k->current = index;
        deck_play_current(k);
    }
}

void deck_stop(struct deck *k)
{
    k->stopping = true;
    deck_go(k, k->count);
}

void decks_stop(struct daemon *d)
{
    struct deck *next;
    for (struct deck *k = d->decks; k != NULL; k = next) {
        next = k->next;
        deck_stop(k);
    }
}

const char *decks_need(const struct daemon *d, const struct id *content)
{
    for (const struct deck *k = d->decks; k != NULL; k = k->next)
        for (uint32_t i = k->current; i < k->count && !k->stopping; i++)
            if (id_equal(k->tracks[i].content.bytes, content->bytes))
                return i == k->current
                           ? "It is played at this moment: hearth stop ends that."
                           : "It is to be played: hearth queue says when, hearth queue --drop N takes it out.";
    return NULL;
}
