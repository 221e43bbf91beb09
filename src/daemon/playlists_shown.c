/* Playlists as they were last shown. */
#include "daemon/playlists_shown.h"

#include <stdlib.h>

#include "base/util.h"

#define LISTS_MAX 8 /* the one that was shown longest ago gives way */

struct shown {
    uint8_t playlist[PLAYLIST_ID_BYTES];
    uint8_t (*entries)[PLAYLIST_ID_BYTES];
    size_t count;
};
struct playlists_shown {
    struct shown lists[LISTS_MAX]; /* the newest first */
    size_t count;
};

static struct shown *find(struct daemon *d, const uint8_t *playlist)
{
    for (size_t i = 0; d->playlists_shown != NULL && i < d->playlists_shown->count; i++)
        if (memcmp(d->playlists_shown->lists[i].playlist, playlist, PLAYLIST_ID_BYTES) == 0)
            return &d->playlists_shown->lists[i];
    return NULL;
}

/* Leaves its place free. */
static void forget(struct playlists_shown *s, struct shown *list)
{
    free(list->entries);
    s->count--;
    memmove(list, list + 1, (size_t)(s->lists + s->count - list) * sizeof(*list));
}

void playlist_shown(struct daemon *d, const uint8_t playlist[PLAYLIST_ID_BYTES], const struct state_entry *list,
                    size_t count)
{
    struct shown *old = find(d, playlist), next = { .count = count };
    struct playlists_shown *s = d->playlists_shown;
    if (s == NULL)
        s = d->playlists_shown = calloc(1, sizeof(*s));
    if (s != NULL && old != NULL)
        forget(s, old);
    if (s == NULL || (next.entries = calloc(count + 1, sizeof(*next.entries))) == NULL)
        return;
    memcpy(next.playlist, playlist, sizeof(next.playlist));
    for (size_t i = 0; i < count; i++)
        memcpy(next.entries[i], list[i].id, PLAYLIST_ID_BYTES);
    if (s->count == LISTS_MAX)
        forget(s, &s->lists[LISTS_MAX - 1]);
    memmove(&s->lists[1], &s->lists[0], s->count * sizeof(next));
    s->lists[0] = next;
    s->count++;
}

int playlist_shown_at(struct daemon *d, const uint8_t playlist[PLAYLIST_ID_BYTES], uint32_t number,
                      uint8_t entry[PLAYLIST_ID_BYTES])
{
    const struct shown *s = find(d, playlist);
    if (s == NULL)
        return REASON_OUT_OF_STEP;
    if (number == 0 || number > s->count)
        return REASON_NOT_FOUND;
    memcpy(entry, s->entries[number - 1], PLAYLIST_ID_BYTES);
    return 0;
}

bool playlist_shown_is(struct daemon *d, const uint8_t playlist[PLAYLIST_ID_BYTES], const struct state_entry *list,
                       size_t count)
{
    const struct shown *s = find(d, playlist);
    if (s == NULL || s->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (memcmp(s->entries[i], list[i].id, PLAYLIST_ID_BYTES) != 0)
            return false;
    return true;
}

static bool take_out(struct shown *s, const uint8_t *entry)
{
    for (size_t i = 0; s != NULL && i < s->count; i++)
        if (memcmp(s->entries[i], entry, PLAYLIST_ID_BYTES) == 0) {
            s->count--;
            memmove(s->entries[i], s->entries[i + 1], (s->count - i) * sizeof(*s->entries));
            return true;
        }
    return false;
}

void playlist_shown_without(struct daemon *d, const uint8_t playlist[PLAYLIST_ID_BYTES],
                            const uint8_t entry[PLAYLIST_ID_BYTES])
{
    (void)take_out(find(d, playlist), entry);
}

void playlist_shown_moved(struct daemon *d, const uint8_t playlist[PLAYLIST_ID_BYTES],
                          const uint8_t entry[PLAYLIST_ID_BYTES], uint32_t number)
{
    struct shown *s = find(d, playlist);
    if (!take_out(s, entry)) /* makes the room that is taken now */
        return;
    size_t at = size_min(number - 1, s->count);
    memmove(s->entries[at + 1], s->entries[at], (s->count - at) * sizeof(*s->entries));
    memcpy(s->entries[at], entry, PLAYLIST_ID_BYTES);
    s->count++;
}

void playlists_shown_free(struct daemon *d)
{
    struct playlists_shown *s = d->playlists_shown;
    d->playlists_shown = NULL;
    for (size_t i = 0; s != NULL && i < s->count; i++)
        free(s->lists[i].entries);
    free(s);
}
