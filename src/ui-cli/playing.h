/* What plays, and what became of a play, told to people and to programs. Nothing is printed here. */
#ifndef UI_CLI_PLAYING_H
#define UI_CLI_PLAYING_H

#include <jansson.h>
#include <stddef.h>

#include "control.pb.h"

json_t *playing_json(const ctl_Playing *s);
void playing_put_left(json_t *object, bool has_left, const ctl_Left *left);

#define PLAYING_LINE_BYTES 1024
/* One line of so many columns at most: title, place, volume and state, then as much of chapter and lyric as there is room for. What has to give way
 * is lyric, chapter, then the title. */
const char *playing_line(const ctl_Playing *s, size_t columns, char out[PLAYING_LINE_BYTES]);
/* "7 of 9 plays are left, 12:00 of 30:00 of playing time." Empty: nothing is counted. */
#define PLAYING_LEFT_BYTES 160
const char *playing_left(const ctl_Left *left, char out[PLAYING_LEFT_BYTES]);
/* Of a track that was stopped: where it was left and what that cost. */
const char *playing_stopped(const ctl_Playing *s, char out[PLAYING_LINE_BYTES]);

#endif
