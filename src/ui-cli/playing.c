/* Lines, sentences and objects. */
#include "ui-cli/playing.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "base/width.h"
#include "ui-cli/output.h"

#define TITLE_COLUMNS_MIN 8
#define EXTRA_COLUMNS_MIN 8 /* less of a chapter or a lyric says nothing */

static const char *state_word(uint32_t state)
{
    static const char *const words[] = { "stopped", "starting", "playing", "paused", "waiting" };
    return state < ARRAY_COUNT(words) ? words[state] : "unknown";
}

/* --- For programs --- */

void playing_put_left(json_t *object, bool has_left, const ctl_Left *left)
{
    if (has_left && left->has_plays) {
        json_object_set_new(object, "plays_left", json_integer(left->plays));
        json_object_set_new(object, "max_plays", json_integer(left->max_plays));
    }
    if (has_left && left->has_play_ms) {
        json_object_set_new(object, "play_ms_left", json_integer((json_int_t)left->play_ms));
        json_object_set_new(object, "max_play_ms", json_integer((json_int_t)left->max_play_ms));
    }
}

json_t *playing_json(const ctl_Playing *s)
{
    json_t *o = json_pack("{s:s, s:s, s:o, s:i, s:i, s:I, s:I, s:i, s:s, s:b}", "state", state_word(s->state), "title",
                          s->title, "content", json_id(s->content), "number", (int)s->number, "count", (int)s->count,
                          "position_ms", (json_int_t)s->position_ms, "duration_ms", (json_int_t)s->duration_ms,
                          "volume", (int)s->volume, "output", s->output, "picture", s->picture);
    if (s->has_chapters)
        json_object_set_new(o, "chapters", json_integer(s->chapters));
    if (s->has_chapter)
        json_object_set_new(o, "chapter", json_integer(s->chapter));
    json_put_text(o, "chapter_title", s->has_chapter_title, s->chapter_title);
    json_put_text(o, "lyric", s->has_lyric, s->lyric);
    if (s->has_cover)
        json_object_set_new(o, "cover", json_boolean(s->cover));
    playing_put_left(o, s->has_left, &s->left);
    if (s->has_counted)
        json_object_set_new(o, "counted", json_boolean(s->counted));
    return o;
}

/* --- The line --- */

/* As much of it as there is room for, after two spaces. */
static void append(char out[PLAYING_LINE_BYTES], size_t columns, const char *text)
{
    char safe[PLAYING_LINE_BYTES];
    size_t n = strlen(out), used = width_of(out);
    if (used + 2 + EXTRA_COLUMNS_MIN > columns || n + 3 > PLAYING_LINE_BYTES)
        return;
    memcpy(out + n, "  ", 3);
    (void)width_cut(text_safe(text, safe, sizeof(safe)), columns - used - 2, out + n + 2, PLAYING_LINE_BYTES - n - 2);
}

const char *playing_line(const ctl_Playing *s, size_t columns, char out[PLAYING_LINE_BYTES])
{
    char at[24], all[24], number[32] = "", volume[16] = "", place[128], safe[512], title[512];
    if (s->count > 1)
        snprintf(number, sizeof(number), "%u/%u ", (unsigned)s->number, (unsigned)s->count);
    if (s->volume != 100)
        snprintf(volume, sizeof(volume), "  volume %u", (unsigned)s->volume);
    snprintf(place, sizeof(place), "  %s / %s%s%s%s", output_duration(s->position_ms + 1, at),
             output_duration(s->duration_ms, all), volume, s->state == 2 ? "" : "  ",
             s->state == 2 ? "" : state_word(s->state));
    size_t fixed = strlen(number) + strlen(place);
    size_t room = columns > fixed + TITLE_COLUMNS_MIN ? columns - fixed : TITLE_COLUMNS_MIN;
    (void)width_cut(text_safe(s->title, safe, sizeof(safe)), room, title, sizeof(title));
    snprintf(safe, sizeof(safe), "%s%.300s%s", number, title, place);
    (void)width_cut(safe, columns, out, PLAYING_LINE_BYTES); /* of a window that has no room even for the place */
    if (s->has_chapter_title)
        append(out, columns, s->chapter_title);
    if (s->has_lyric)
        append(out, columns, s->lyric);
    return out;
}

/* --- Sentences --- */

const char *playing_left(const ctl_Left *left, char out[PLAYING_LEFT_BYTES])
{
    char time[24] = "0:00", all[24];
    int n = 0;
    out[0] = '\0';
    if (left->has_plays)
        n = snprintf(out, PLAYING_LEFT_BYTES, "%u of %u plays %s left%s", (unsigned)left->plays,
                     (unsigned)left->max_plays, left->plays == 1 ? "is" : "are", left->has_play_ms ? ", and " : ".");
    if (left->has_play_ms)
        snprintf(out + n, PLAYING_LEFT_BYTES - (size_t)n, "%s of %s of playing time%s",
                 left->play_ms > 0 ? output_duration(left->play_ms, time) : time,
                 output_duration(left->max_play_ms, all), left->has_plays ? "." : " is left.");
    return out;
}

const char *playing_stopped(const ctl_Playing *s, char out[PLAYING_LINE_BYTES])
{
    char at[24], left[PLAYING_LEFT_BYTES] = "";
    const char *counted = "";
    if (s->has_left)
        (void)playing_left(&s->left, left);
    if (s->has_left && s->left.has_plays)
        counted = s->has_counted && s->counted ? " This play is counted." : " This play is not counted.";
    snprintf(out, PLAYING_LINE_BYTES, "Stopped %s at %s.%s%s%s", s->title, output_duration(s->position_ms + 1, at),
             counted, left[0] != '\0' ? " " : "", left);
    return out;
}
