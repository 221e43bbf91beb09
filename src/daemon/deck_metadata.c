/* Permitted metadata of the track that plays: which chapter and line it is at, where a chapter begins, whether there is a cover. Loop thread.
 *
 * Callbacks, in order, for each play in time: on_loaded. Until then, and without any, there is nothing to say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "daemon/deck_internal.h"
#include "daemon/library.h"
#include "daemon/metadata.h"

#define EARLY_MS 250 /* a seek may end so much before the place that it was for, which is in the chapter all the same */
#define RESTART_MS 3000 /* back, after so much of a chapter: its own beginning */

struct cue {
    uint64_t start_ms;
    struct slice text; /* of the set */
};
struct deck_metadata {
    struct metadata_set *set;
    struct cue *chapters, *lyrics;
    uint32_t chapter_count, lyric_count;
    bool cover;
};
struct load {
    struct daemon *daemon;
    const struct deck *deck; /* looked for, not looked into */
    uint32_t plays;
    bool shows; /* the play waits for the cover */
};

static void metadata_free(struct deck_metadata *m)
{
    if (m == NULL)
        return;
    metadata_set_free(m->set);
    free(m->chapters);
    free(m->lyrics);
    free(m);
}

void deck_metadata_drop(struct deck *k) { metadata_free(steal(&k->metadata)); }

/* --- Loading ------------------------------------------------------------------------------------------------------- */

/* The parts of one kind, of the first document that has some: two providers' lines are not mixed. */
static int take_cues(const struct metadata_set *set, enum metadata_kind kind, struct cue **out, uint32_t *count)
{
    const struct metadata_item *from = NULL;
    for (unsigned i = 0; from == NULL && i < set->count; i++)
        if (set->items[i].verdict == REASON_NONE && set->items[i].counts[kind] > 0)
            from = &set->items[i];
    if (from == NULL)
        return 0;
    *out = calloc(from->counts[kind], sizeof(**out));
    if (*out == NULL)
        return -ENOMEM;
    struct metadata_reader r = metadata_reader(from->parts);
    for (struct metadata_part p; metadata_next(&r, &p) == 0 && *count < from->counts[kind];)
        if (p.kind == kind)
            (*out)[(*count)++] = (struct cue){ p.start_ms, p.text };
    return 0;
}

static struct deck_metadata *metadata_new(struct metadata_set *set)
{
    struct deck_metadata *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        metadata_set_free(set);
        return NULL;
    }
    m->set = set;
    for (unsigned i = 0; i < set->count; i++)
        m->cover = m->cover || set->items[i].counts[METADATA_COVER] > 0;
    if (take_cues(set, METADATA_CHAPTER, &m->chapters, &m->chapter_count) == 0 &&
        take_cues(set, METADATA_LYRIC, &m->lyrics, &m->lyric_count) == 0)
        return m;
    metadata_free(m);
    return NULL;
}

/* In memory, for the player alone: nothing else decodes it. Negative: there is none. */
static int cover_in_memory(const struct deck_metadata *m)
{
    struct slice picture = { NULL, 0 };
    for (unsigned i = 0; picture.len == 0 && i < m->set->count; i++) {
        struct metadata_reader r = metadata_reader(m->set->items[i].parts);
        for (struct metadata_part p; picture.len == 0 && metadata_next(&r, &p) == 0;)
            if (p.kind == METADATA_COVER)
                picture = p.text;
    }
    return picture.len > 0 ? file_in_memory("cover", picture) : -1;
}

static void on_loaded(struct metadata_set *set, enum reason why, void *ctx)
{
    struct load *l = ctx;
    struct deck *k = l->daemon->decks;
    (void)why;
    while (k != NULL && k != l->deck)
        k = k->next;
    if (k != NULL && k->plays == l->plays) {
        k->metadata = set != NULL ? metadata_new(steal(&set)) : NULL;
        if (k->play != NULL && l->shows)
            play_cover(k->play, k->metadata != NULL ? cover_in_memory(k->metadata) : -1);
    }
    metadata_set_free(set);
    free(l);
}

/* A picture of its own, or a film, is not covered. */
static bool shows_cover(const struct deck *k)
{
    const struct track *t = library_find(k->daemon, k->tracks[k->current].content.bytes);
    return t != NULL && t->has_info && strncmp(t->media_type, "audio/", 6) == 0 &&
           (k->start.has_display || k->start.has_wayland);
}

void deck_metadata_load(struct deck *k)
{
    deck_metadata_drop(k);
    struct load *l = k->in_time ? calloc(1, sizeof(*l)) : NULL;
    if (l == NULL)
        return;
    *l = (struct load){ .daemon = k->daemon, .deck = k, .plays = k->plays, .shows = shows_cover(k) };
    if (metadata_collect(k->daemon, &k->tracks[k->current].content, NULL, on_loaded, l) != 0)
        free(l);
    else if (l->shows)
        play_await_cover(k->play);
}

/* --- Where it is --------------------------------------------------------------------------------------------------- */

/* How many have begun by then; 0: none. */
static uint32_t begun(const struct cue *cues, uint32_t count, uint64_t position_ms)
{
    uint32_t low = 0;
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        if (cues[middle].start_ms > position_ms)
            count = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void text_of(const struct cue *cue, char out[METADATA_TEXT_MAX + 1])
{
    (void)snprintf(out, METADATA_TEXT_MAX + 1, "%.*s", (int)cue->text.len, (const char *)cue->text.data);
}

void deck_metadata_row(const struct deck *k, ctl_Playing *out)
{
    const struct deck_metadata *m = k->metadata;
    char text[METADATA_TEXT_MAX + 1];
    if (m == NULL)
        return;
    uint32_t chapter = begun(m->chapters, m->chapter_count, out->position_ms + EARLY_MS);
    uint32_t line = begun(m->lyrics, m->lyric_count, out->position_ms);
    out->has_chapters = m->chapter_count > 0;
    out->chapters = m->chapter_count;
    out->has_chapter = out->has_chapter_title = chapter > 0;
    out->chapter = chapter;
    if (chapter > 0) {
        text_of(&m->chapters[chapter - 1], text);
        CODEC_SET_TEXT(out->chapter_title, text);
    }
    out->has_lyric = line > 0 && m->lyrics[line - 1].text.len > 0;
    if (out->has_lyric) {
        text_of(&m->lyrics[line - 1], text);
        CODEC_SET_TEXT(out->lyric, text);
    }
    out->has_cover = out->cover = m->cover;
}

uint32_t deck_metadata_chapters(const struct deck *k) { return k->metadata != NULL ? k->metadata->chapter_count : 0; }

bool deck_metadata_chapter(const struct deck *k, uint32_t number, uint64_t *start_ms)
{
    if (number == 0 || number > deck_metadata_chapters(k))
        return false;
    *start_ms = k->metadata->chapters[number - 1].start_ms;
    return true;
}

uint32_t deck_metadata_beside(const struct deck *k, bool back)
{
    const struct deck_metadata *m = k->metadata;
    uint64_t at = deck_position_ms(k);
    uint32_t here = m != NULL ? begun(m->chapters, m->chapter_count, at + EARLY_MS) : 0;
    if (!back)
        return here + 1;
    return here > 1 && at <= m->chapters[here - 1].start_ms + RESTART_MS ? here - 1 : here;
}
