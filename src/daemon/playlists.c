/* Playlists as a person sees them. Changing them: playlists_edit.c. Loop thread. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/deck_internal.h"
#include "daemon/library.h"
#include "daemon/listing.h"
#include "daemon/playlists.h"
#include "daemon/playlists_shown.h"

#define PREFIX_MIN 4 /* hexadecimal digits of an ID */

/* ---- which one ----------------------------------------------------------------------------------------------- */

/* The next playlist from index on, each once. NULL: no more. */
static const struct replica_item *next_playlist(const struct replica *r, size_t *index)
{
    size_t same;
    if (*index >= r->count || r->items[*index]->kind != STATE_PLAYLIST)
        return NULL;
    const uint8_t *id = r->items[*index]->bytes;
    (void)replica_find(r, STATE_PLAYLIST, slice(id, PLAYLIST_ID_BYTES), &same);
    *index += same;
    return state_playlist(r, id);
}

static size_t first_playlist(const struct replica *r)
{
    size_t none;
    return replica_find(r, STATE_PLAYLIST, slice(NULL, 0), &none);
}

static bool has_prefix(const uint8_t *id, const char *text)
{
    char hex[HEX_TEXT_BYTES(PLAYLIST_ID_BYTES)];
    size_t len = strlen(text);
    hex_encode(slice(id, PLAYLIST_ID_BYTES), hex);
    return len >= PREFIX_MIN && len < sizeof(hex) && strncasecmp(hex, text, len) == 0;
}

static unsigned find(const struct replica *r, const char *text, bool by_name, uint8_t *id, char *detail, size_t cap)
{
    unsigned count = 0;
    char name[STATE_NAME_BYTES], hex[HEX_TEXT_BYTES(PLAYLIST_ID_BYTES)];
    size_t index = first_playlist(r), len = 0;
    for (const struct replica_item *i; (i = next_playlist(r, &index)) != NULL;) {
        (void)state_playlist_of(i, name);
        if (by_name ? strcasecmp(name, text) != 0 : !has_prefix(i->bytes, text))
            continue;
        hex_encode(slice(i->bytes, 4), hex);
        int n =
            len >= cap ? 0 : snprintf(detail + len, cap - len, "%s%s (%s)", count == 0 ? "It fits: " : ", ", name, hex);
        len += n > 0 ? (size_t)n : 0;
        if (count++ == 0)
            memcpy(id, i->bytes, PLAYLIST_ID_BYTES);
    }
    return count;
}

int playlist_resolve(struct daemon *d, const char *text, uint8_t id[PLAYLIST_ID_BYTES], char *detail, size_t cap)
{
    const struct replica *r = state_replica(d);
    unsigned count = find(r, text, true, id, detail, cap);
    if (count == 0)
        count = find(r, text, false, id, detail, cap);
    if (count == 1)
        detail[0] = '\0';
    if (count == 0)
        (void)snprintf(detail, cap, "There is no playlist of this name: hearth playlist");
    return count == 1 ? 0 : count == 0 ? REASON_NOT_FOUND : REASON_AMBIGUOUS;
}

/* ---- rows ---------------------------------------------------------------------------------------------------- */

bool playlist_row(struct daemon *d, const uint8_t id[PLAYLIST_ID_BYTES], struct call *c)
{
    const struct replica_item *i = state_playlist(state_replica(d), id);
    struct state_entry *entries;
    size_t count;
    ctl_PlaylistRow row = ctl_PlaylistRow_init_zero;
    if (i == NULL || state_entries(state_replica(d), id, &entries, &count) != 0)
        return false;
    free(entries);
    memcpy(row.id, id, PLAYLIST_ID_BYTES);
    (void)state_playlist_of(i, row.name);
    row.entries = (uint32_t)count;
    CALL_ROW(c, PLAYLIST_ROW, PlaylistRow, &row);
    return true;
}

void playlists_handle(struct daemon *d, struct call *c, const void *message)
{
    const struct replica *r = state_replica(d);
    size_t index = first_playlist(r);
    (void)message;
    for (const struct replica_item *i; (i = next_playlist(r, &index)) != NULL;)
        (void)playlist_row(d, i->bytes, c);
    call_finish(c);
}

/* What it is called here, else as whoever added it had it. */
static const char *title_of(const struct track *t, const struct state_entry *e)
{
    return t != NULL && t->has_info ? t->title : e->title[0] != '\0' ? e->title : "(not known here)";
}

void playlist_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_PlaylistGet *m = message;
    uint8_t id[PLAYLIST_ID_BYTES];
    char detail[256];
    struct state_entry *entries CLEANUP(freep) = NULL;
    size_t count = 0;
    int r = playlist_resolve(d, m->playlist, id, detail, sizeof(detail));
    if (r == 0)
        r = state_entries(state_replica(d), id, &entries, &count);
    if (r != 0) {
        call_refuse(c, reason_of_error(r), r > 0 ? detail : NULL);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct track *t = library_find(d, entries[i].content.bytes);
        ctl_PlaylistEntry row = { .number = (uint32_t)i + 1,
                                  .duration_ms = t == NULL ? 0 : t->duration_ms,
                                  .here = t != NULL && t->has_body };
        memcpy(row.content, entries[i].content.bytes, ID_BYTES);
        CODEC_SET_TEXT(row.title, title_of(t, &entries[i]));
        CALL_ROW(c, PLAYLIST_ENTRY, PlaylistEntry, &row);
    }
    playlist_shown(d, id, entries, count);
    call_finish(c);
}

/* ---- playing one --------------------------------------------------------------------------------------------- */

int deck_add_playlist(struct deck *k, const char *playlist, char *detail, size_t detail_cap)
{
    uint8_t id[PLAYLIST_ID_BYTES];
    struct state_entry *entries CLEANUP(freep) = NULL;
    size_t count = 0;
    int r = playlist_resolve(k->daemon, playlist, id, detail, detail_cap);
    if (r == 0)
        r = state_entries(state_replica(k->daemon), id, &entries, &count);
    if (r == 0 && count == 0) {
        (void)snprintf(detail, detail_cap, "The playlist is empty: hearth playlist add NAME TRACK...");
        return REASON_NOT_FOUND;
    }
    if (r == 0 && count > DECK_TRACKS_MAX - k->count)
        return REASON_TOO_LARGE;
    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct track *t = library_find(k->daemon, entries[i].content.bytes);
        struct deck_track *added = &k->tracks[k->count++];
        *added = (struct deck_track){ .content = entries[i].content, .duration_ms = t == NULL ? 0 : t->duration_ms };
        CODEC_SET_TEXT(added->title, title_of(t, &entries[i]));
    }
    return r;
}
