/* PLAY: what is to be played, where it begins, and for whom. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/util.h"
#include "daemon/deck_internal.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/play_memory.h"
#include "daemon/siblings.h"
#include "protocol/output.h"

#define ALMOST_OVER_MS 2000 /* left so near its end, a track begins anew */

/* Who asked has left: no sound for nobody. */
static void on_gone(struct call *c, void *ctx)
{
    struct deck *k = ctx;
    (void)c;
    if (!k->stopping)
        deck_stop(k);
}

/* Of several names, which one it is about. */
static void name_it(const char *name, char *detail, size_t detail_cap)
{
    char what[256];
    (void)snprintf(what, sizeof(what), "%s", detail[0] != '\0' ? detail : reason_text(REASON_NO_LICENSE));
    (void)snprintf(detail, detail_cap, "%.100s: %s", name, what);
}

int deck_add(struct deck *k, const char (*names)[128], size_t count, char *detail, size_t detail_cap)
{
    uint32_t before = k->count;
    struct id id;
    int r = count <= DECK_TRACKS_MAX - k->count ? 0 : REASON_TOO_LARGE;
    detail[0] = '\0';
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct track *t;
        struct deck_track *added = &k->tracks[k->count];
        r = library_resolve(k->daemon, names[i], &t, detail, detail_cap);
        if (r == REASON_NOT_FOUND && id_parse(names[i], &id) == 0) {
            r = REASON_NO_LICENSE; /* a content that this device knows nothing of, named in full */
            detail[0] = '\0';
        }
        if (r != 0) {
            if (count > 1)
                name_it(names[i], detail, detail_cap);
            break;
        }
        *added = (struct deck_track){ .content = t->content, .duration_ms = t->duration_ms };
        CODEC_SET_TEXT(added->title, t->has_info ? t->title : "");
        k->count++;
    }
    if (r != 0)
        k->count = before;
    return r;
}

static bool set_output(struct deck *k, const char *text)
{
    static const struct {
        const char *word;
        uint32_t output;
    } words[] = { { "audio", ply_Output_OUTPUT_AUDIO },
                  { "silent", ply_Output_OUTPUT_SILENT },
                  { "digest", ply_Output_OUTPUT_DIGEST },
                  { "null", ply_Output_OUTPUT_NULL } };
    CODEC_SET_TEXT(k->output, text);
    k->start.has_device = output_is_device(text);
    if (k->start.has_device) {
        k->start.output = ply_Output_OUTPUT_AUDIO;
        CODEC_SET_TEXT(k->start.device, text);
    }
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (strcmp(words[i].word, text) == 0)
            k->start.output = words[i].output;
    k->in_time = k->start.output == ply_Output_OUTPUT_AUDIO || k->start.output == ply_Output_OUTPUT_SILENT;
    return k->start.output != ply_Output_OUTPUT_NONE;
}

static void set_display(struct deck *k, const ctl_Play *m)
{
    k->start.has_display = m->has_display;
    k->start.has_authority = m->has_authority;
    k->start.has_wayland = m->has_wayland;
    CODEC_SET_TEXT(k->start.display, m->display);
    CODEC_SET_TEXT(k->start.authority, m->authority);
    CODEC_SET_TEXT(k->start.wayland, m->wayland);
}

/* The name may also be wrong where no place matters. */
static int judge_device(struct daemon *d, const char *name, char *detail, size_t detail_cap)
{
    struct sibling *s;
    int r = strcasecmp(name, siblings_own_name(d)) == 0 ? 0 : siblings_resolve(d, name, &s);
    if (r == REASON_NOT_FOUND)
        (void)snprintf(detail, detail_cap, "No device of the household is called %s: hearth devices lists them.", name);
    return r;
}

static void say_places(struct daemon *d, const struct place_left *places, size_t count, char *detail, size_t detail_cap)
{
    char short_id[ID_SHORT_BYTES];
    size_t len = 0;
    for (size_t i = 0; i < count && len < detail_cap; i++) {
        unsigned long long s = (unsigned long long)places[i].position_ms / 1000;
        int n = snprintf(detail + len, detail_cap - len, "%s%llu:%02llu on %s", i == 0 ? "It was left at " : ", at ",
                         s / 60, s % 60, state_author(d, &places[i].by, short_id));
        len += n > 0 ? (size_t)n : 0;
    }
}

/* Where the first one begins. Several places are for the person to choose from. */
static int set_place(struct deck *k, const ctl_Play *m, char *detail, size_t detail_cap)
{
    struct daemon *d = k->daemon;
    struct place_left places[PLACES_MAX];
    const struct deck_track *t = &k->tracks[0];
    size_t count = play_memory_places(d, &t->content, places);
    const struct place_left *place = m->resume && count == 1 ? &places[0] : NULL;
    char short_id[ID_SHORT_BYTES];
    bool named = m->has_position && strcmp(m->position, "start") != 0;
    for (size_t i = 0; named && i < count; i++)
        if (strcasecmp(state_author(d, &places[i].by, short_id), m->position) == 0)
            place = &places[i];
    int r = named && place == NULL ? judge_device(d, m->position, detail, detail_cap) : 0;
    if (r != 0 || !k->in_time)
        return r;
    if (named && place == NULL && count == 0)
        (void)snprintf(detail, detail_cap, "It was left nowhere.");
    else if (count > 0)
        say_places(d, places, count, detail, detail_cap);
    if (named && place == NULL)
        return REASON_NOT_FOUND;
    if (count > 1 && !m->has_position)
        return REASON_CHOOSE_POSITION;
    detail[0] = '\0';
    k->chosen = m->has_position;
    if (place != NULL && (t->duration_ms == 0 || place->position_ms + ALMOST_OVER_MS < t->duration_ms))
        k->first_ms = place->position_ms;
    return 0;
}

/* Of several, what cannot be found is told, and the others are played. */
static int add_each(struct deck *k, struct call *c, const ctl_Play *m, char *detail, size_t detail_cap)
{
    int r = 0;
    for (pb_size_t i = 0; i < m->tracks_count; i++) {
        r = deck_add(k, &m->tracks[i], 1, detail, detail_cap);
        if (r == 0)
            continue;
        ctl_PlayFailed row = { .number = i + 1, .has_unknown = true, .unknown = true };
        reason_refusal(&row.refusal, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
        CODEC_SET_TEXT(row.title, m->tracks[i]);
        k->refused++;
        k->refusal = row.refusal;
        event(k->daemon, "not-played", "%s was not played: %s", row.title, row.refusal.text);
        CALL_ROW(c, PLAY_FAILED, PlayFailed, &row);
    }
    if (k->count == 0)
        (void)snprintf(detail, detail_cap, "None of them can be played.");
    return k->count > 0 ? 0 : r;
}

static int set_up(struct deck *k, struct call *c, const ctl_Play *m, char *detail, size_t detail_cap)
{
    if (!set_output(k, m->output)) {
        (void)snprintf(detail, detail_cap,
                       "The output is audio, silent, digest, null, or a device that `hearth outputs` lists.");
        return REASON_MALFORMED;
    }
    if (m->tracks_count == 0 && !m->has_playlist)
        return REASON_MALFORMED;
    if (k->in_time && deck_in_time(k->daemon) != NULL) {
        (void)snprintf(detail, detail_cap,
                       "Something is played already: hearth queue TRACK adds to it, hearth stop ends it.");
        return REASON_IN_USE;
    }
    set_display(k, m);
    CODEC_SET_TEXT(k->plugin, m->plugin);
    k->asks = m->ask;
    k->background = m->background;
    bool alone = m->tracks_count == 1 && !m->has_playlist;
    int r = m->has_playlist ? deck_add_playlist(k, m->playlist, detail, detail_cap) : 0;
    if (r == 0)
        r = alone ? deck_add(k, m->tracks, 1, detail, detail_cap) : add_each(k, c, m, detail, detail_cap);
    return r != 0 ? r : set_place(k, m, detail, detail_cap);
}

void deck_play(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Play *m = message;
    char detail[256] = "";
    struct deck *k = calloc(1, sizeof(*k));
    if (k == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    k->daemon = d;
    int r = set_up(k, c, m, detail, sizeof(detail));
    if (r != 0) {
        free(k);
        call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
        return;
    }
    if (k->in_time)
        play_memory_changed(d); /* as loud as the household has it by now */
    k->call = c;
    k->next = d->decks;
    d->decks = k;
    call_on_gone(c, on_gone, k);
    deck_play_current(k);
}
