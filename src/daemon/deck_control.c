/* The other commands: what they want of the deck that plays in time. */
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/deck_internal.h"
#include "daemon/play_memory.h"

#define SHORT_OF_END_MS 1000
#define RESTART_MS 3000 /* previous: after so much of a track, its own beginning */

/* The client's own, else the one that plays in time. NULL: nothing plays. */
static struct deck *look(struct daemon *d, const struct call *c)
{
    struct deck *k = d->decks;
    while (k != NULL && (k->stopping || k->call == NULL || !call_shares_client(k->call, c)))
        k = k->next;
    return k != NULL ? k : deck_in_time(d);
}

static struct deck *find(struct daemon *d, struct call *c)
{
    struct deck *k = look(d, c);
    if (k == NULL)
        call_refuse(c, REASON_NOT_FOUND, "Nothing is played: hearth play TRACK");
    return k;
}

/* --- PLAY_CONTROL --- */

enum action {
    ACTION_PAUSE = 1,
    ACTION_GO_ON,
    ACTION_TOGGLE,
    ACTION_NEXT,
    ACTION_PREVIOUS,
    ACTION_STOP,
    ACTION_SEEK_TO,
    ACTION_SEEK_BY,
    ACTION_VOLUME_TO,
    ACTION_VOLUME_BY,
    ACTION_AGAIN,
    ACTION_GIVE_UP,
    ACTION_CHAPTER_TO,
    ACTION_CHAPTER_BY
};

/* Answered when it is done; before what may do it at once. false: refused. */
static bool await(struct deck *k, struct call *c, int what, uint32_t value)
{
    struct deck_waiter *w = calloc(1, sizeof(*w));
    struct deck_waiter **end = &k->waiters;
    if (w == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return false;
    }
    w->call = c;
    w->what = what;
    w->value = value;
    while (*end != NULL)
        end = &(*end)->next;
    *end = w;
    return true;
}

static void pause_(struct deck *k, struct call *c, bool paused)
{
    if (k->play != NULL && await(k, c, WAIT_PAUSE, paused))
        play_pause(k->play, paused);
}

static int64_t bounded_sum(uint64_t at, int64_t by)
{
    const int64_t most = INT64_MAX / 2;
    int64_t from = at > (uint64_t)most ? most : (int64_t)at;
    return from + (by > most ? most : by < -most ? -most : by);
}

static const char *clock_text(uint64_t ms, char out[32])
{
    uint64_t s = ms / 1000;
    if (s >= 3600)
        (void)snprintf(out, 32, "%llu:%02u:%02u", (unsigned long long)(s / 3600), (unsigned)(s / 60 % 60),
                       (unsigned)(s % 60));
    else
        (void)snprintf(out, 32, "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
    return out;
}

/* There is no such place in it: refused. */
static bool is_beyond(struct deck *k, struct call *c, uint64_t position_ms)
{
    char detail[128], to[32], length[32];
    uint64_t duration_ms = deck_duration_ms(k);
    if (duration_ms == 0 || position_ms < duration_ms)
        return false;
    (void)snprintf(detail, sizeof(detail), "It cannot go to %s: the track is %s long.", clock_text(position_ms, to),
                   clock_text(duration_ms, length));
    call_refuse(c, REASON_NOT_FOUND, detail);
    return true;
}

static void seek(struct deck *k, struct call *c, int64_t position_ms)
{
    uint64_t to = position_ms > 0 ? (uint64_t)position_ms : 0;
    if (is_beyond(k, c, to))
        return;
    bool running = k->progress.running;
    if (await(k, c, running ? WAIT_SEEK : WAIT_RUN, running ? k->seeks + 1 : k->plays))
        deck_seek(k, to);
}

/* Forward, it stays short of the end: seeking ends no track. */
static void seek_by(struct deck *k, struct call *c, int64_t by)
{
    uint64_t at = deck_position_ms(k), duration_ms = deck_duration_ms(k);
    int64_t to = bounded_sum(at, by),
            last = duration_ms > SHORT_OF_END_MS ? (int64_t)(duration_ms - SHORT_OF_END_MS) : 0;
    if (duration_ms > 0 && by > 0 && to > last)
        to = (int64_t)u64_max(at, (uint64_t)last);
    seek(k, c, duration_ms > 0 && to >= (int64_t)duration_ms ? (int64_t)duration_ms - 1 : to);
}

static uint32_t percent(int64_t wanted) { return wanted < 0 ? 0 : wanted > 100 ? 100 : (uint32_t)wanted; }

static void volume(struct deck *k, struct call *c, int64_t wanted)
{
    uint32_t to = percent(wanted);
    if (await(k, c, k->progress.running ? WAIT_VOLUME : WAIT_RUN, k->progress.running ? to : k->plays))
        deck_volume(k, to);
}

/* Nothing plays: it is how loud the next one will be. */
static void later_volume(struct daemon *d, struct call *c, const ctl_PlayControl *m)
{
    ctl_Playing row = { .state = DECK_STOPPED };
    int64_t to = m->action == ACTION_VOLUME_TO ? m->value : bounded_sum(d->volume, m->value);
    play_memory_volume(d, percent(to));
    row.volume = d->volume;
    CALL_ROW(c, PLAYING, Playing, &row);
    call_finish(c);
}

static void go(struct deck *k, struct call *c, uint32_t index)
{
    if (index >= k->count) {
        call_refuse(c, REASON_NOT_FOUND, "This is the last track of the queue: hearth queue TRACK adds another.");
        return;
    }
    if (await(k, c, WAIT_RUN, k->plays + 1))
        deck_go(k, index);
}

static void previous(struct deck *k, struct call *c)
{
    if (k->current == 0 || deck_position_ms(k) > RESTART_MS)
        seek(k, c, 0);
    else
        go(k, c, k->current - 1);
}

static bool is_for_a_play(uint32_t action)
{
    return action != ACTION_NEXT && action != ACTION_PREVIOUS && action != ACTION_STOP && action != ACTION_AGAIN &&
           action != ACTION_GIVE_UP;
}

static void chapter(struct deck *k, struct call *c, int64_t number)
{
    uint64_t start_ms = 0;
    char detail[96] = "There are no chapters: hearth metadata list TRACK";
    uint32_t count = deck_metadata_chapters(k);
    bool found = number >= 0 && number <= count && deck_metadata_chapter(k, (uint32_t)number, &start_ms);
    if (count > 0)
        (void)snprintf(detail, sizeof(detail), "There are %u chapters.", (unsigned)count);
    if (found)
        seek(k, c, (int64_t)start_ms);
    else
        call_refuse(c, REASON_NOT_FOUND, detail);
}

static void control(struct deck *k, struct call *c, const ctl_PlayControl *m)
{
    switch ((enum action)m->action) {
    case ACTION_PAUSE:
    case ACTION_GO_ON:
        pause_(k, c, m->action == ACTION_PAUSE);
        break;
    case ACTION_TOGGLE:
        pause_(k, c, !k->progress.paused);
        break;
    case ACTION_NEXT:
        go(k, c, k->current + 1);
        break;
    case ACTION_PREVIOUS:
        previous(k, c);
        break;
    case ACTION_STOP:
        if (await(k, c, WAIT_END, 0))
            deck_stop(k);
        break;
    case ACTION_SEEK_TO:
        seek(k, c, m->value);
        break;
    case ACTION_SEEK_BY:
        seek_by(k, c, m->value);
        break;
    case ACTION_VOLUME_TO:
        volume(k, c, m->value);
        break;
    case ACTION_VOLUME_BY:
        volume(k, c, bounded_sum(k->daemon->volume, m->value));
        break;
    case ACTION_AGAIN:
        go(k, c, k->current);
        break;
    case ACTION_GIVE_UP:
        call_finish(c);
        deck_go(k, k->current + 1);
        break;
    case ACTION_CHAPTER_TO:
        chapter(k, c, m->value);
        break;
    case ACTION_CHAPTER_BY:
        chapter(k, c, deck_metadata_beside(k, m->value < 0));
        break;
    }
}

void deck_control(struct daemon *d, struct call *c, const void *message)
{
    const ctl_PlayControl *m = message;
    if (m->action < ACTION_PAUSE || m->action > ACTION_CHAPTER_BY) {
        call_refuse(c, REASON_MALFORMED, NULL);
        return;
    }
    bool loudness = m->action == ACTION_VOLUME_TO || m->action == ACTION_VOLUME_BY;
    if (loudness && look(d, c) == NULL) {
        later_volume(d, c, m);
        return;
    }
    struct deck *k = find(d, c);
    if (k == NULL)
        return;
    if (!k->waiting && (m->action == ACTION_AGAIN || m->action == ACTION_GIVE_UP))
        call_refuse(c, REASON_OUT_OF_STEP, NULL);
    else if (k->play == NULL && is_for_a_play(m->action))
        call_refuse(c, REASON_NOT_PERMITTED, "It waits for an answer at the terminal: hearth next, hearth stop");
    else
        control(k, c, m);
}

void deck_now(struct daemon *d, struct call *c, const void *message)
{
    ctl_Playing row;
    struct deck *k = find(d, c);
    (void)message;
    if (k == NULL)
        return;
    deck_row(k, &row);
    CALL_ROW(c, PLAYING, Playing, &row);
    call_finish(c);
}

/* --- The queue --- */

static void send_queue(struct deck *k, struct call *c)
{
    for (uint32_t i = 0; i < k->count; i++) {
        ctl_QueueRow row = { .number = i + 1, .duration_ms = k->tracks[i].duration_ms, .current = i == k->current };
        memcpy(row.content, k->tracks[i].content.bytes, ID_BYTES);
        CODEC_SET_TEXT(row.title, k->tracks[i].title);
        CALL_ROW(c, QUEUE_ROW, QueueRow, &row);
    }
    call_finish(c);
}

void deck_queue_get(struct daemon *d, struct call *c, const void *message)
{
    struct deck *k = look(d, c);
    (void)message;
    if (k != NULL)
        send_queue(k, c);
    else
        call_finish(c); /* no row: nothing is queued */
}

void deck_queue_add(struct daemon *d, struct call *c, const void *message)
{
    const ctl_QueueAdd *m = message;
    char detail[256];
    struct deck *k = find(d, c);
    if (k == NULL)
        return;
    int r = deck_add(k, m->tracks, m->tracks_count, detail, sizeof(detail));
    if (r != 0)
        call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
    else
        send_queue(k, c);
}

void deck_queue_drop(struct daemon *d, struct call *c, const void *message)
{
    const ctl_QueueDrop *m = message;
    struct deck *k = find(d, c);
    if (k == NULL)
        return;
    uint32_t i = m->number - 1;
    if (m->number == 0 || i >= k->count) {
        call_refuse(c, REASON_NOT_FOUND, "The queue has no such number: hearth queue lists it.");
        return;
    }
    if (i == k->current || k->move_to >= 0) {
        call_refuse(c, REASON_IN_USE, "It plays at this moment: hearth next goes on, hearth stop ends.");
        return;
    }
    memmove(&k->tracks[i], &k->tracks[i + 1], (k->count - i - 1) * sizeof(k->tracks[0]));
    k->count--;
    k->current -= i < k->current;
    send_queue(k, c);
}
