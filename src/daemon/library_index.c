/* The index of what this device has: tracks by content ID, and the same by title. Any thread, one at a time: at start the pool makes it. */
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "base/util.h"
#include "daemon/library_internal.h"

/* --- By content ID --- */

static uint64_t first_bytes(const void *content) { return get_be64(content); }

/* Where content is, or would be. */
static size_t position(const struct library *l, const void *content)
{
    size_t low = 0, high = l->count;
    uint64_t first = first_bytes(content);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct library_place *p = &l->places[middle];
        if (p->first < first || (p->first == first && memcmp(p->track->content.bytes, content, ID_BYTES) < 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct track *library_index_find(const struct library *l, const void *content)
{
    size_t at = position(l, content);
    return at < l->count && id_equal(l->places[at].track->content.bytes, content) ? l->places[at].track : NULL;
}

/* The letters of base32 are in the order of what they stand for. */
size_t library_index_prefix(const struct library *l, const char *prefix)
{
    char text[ID_TEXT_BYTES];
    struct id least;
    size_t len = strlen(prefix);
    if (len >= sizeof(text))
        return l->count;
    memset(text, 'a', sizeof(text) - 1); /* zero */
    text[sizeof(text) - 1] = '\0';
    for (size_t i = 0; i < len; i++)
        text[i] = (char)tolower((unsigned char)prefix[i]);
    return id_parse(text, &least) == 0 ? position(l, least.bytes) : l->count;
}

/* --- By title, as a catalogue is; what has none yet comes last --- */

static int compare_titles(const struct track *a, const struct track *b)
{
    if (!a->has_info || !b->has_info)
        return a->has_info == b->has_info ? memcmp(a->content.bytes, b->content.bytes, ID_BYTES) : a->has_info ? -1 : 1;
    int r = strcasecmp(a->title, b->title);
    return r != 0 ? r : memcmp(a->content.bytes, b->content.bytes, ID_BYTES);
}

static int compare_places(const void *a, const void *b)
{
    return compare_titles(*(struct track *const *)a, *(struct track *const *)b);
}

static size_t title_position(const struct library *l, const struct track *t)
{
    size_t low = 0, high = l->titled;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_titles(l->titles[middle], t) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void title_insert(struct library *l, struct track *t)
{
    if (l->unsorted)
        return;
    size_t at = title_position(l, t);
    memmove(&l->titles[at + 1], &l->titles[at], (l->titled - at) * sizeof(struct track *));
    l->titles[at] = t;
    l->titled++;
}

static void title_remove(struct library *l, const struct track *t)
{
    size_t at = l->unsorted ? l->titled : title_position(l, t);
    if (at == l->titled || l->titles[at] != t)
        return;
    l->titled--;
    memmove(&l->titles[at], &l->titles[at + 1], (l->titled - at) * sizeof(struct track *));
}

size_t library_index_title(const struct library *l, const char *title)
{
    size_t low = 0, high = l->titled;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct track *t = l->titles[middle];
        if (t->has_info && strcasecmp(t->title, title) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* --- Both --- */

static int grow(struct library *l)
{
    if (l->count < l->cap)
        return 0;
    size_t cap = l->cap == 0 ? 16 : l->cap * 2;
    struct library_place *places = reallocarray(l->places, cap, sizeof(*places));
    if (places == NULL)
        return -ENOMEM;
    l->places = places;
    struct track **titles = reallocarray(l->titles, cap, sizeof(struct track *));
    if (titles == NULL)
        return -ENOMEM;
    l->titles = titles;
    l->cap = cap;
    return 0;
}

static struct track *track_new(const struct id *content)
{
    struct track *t = calloc(1, sizeof(*t));
    if (t != NULL)
        t->content = *content;
    return t;
}

struct track *library_index_make(struct library *l, const struct id *content)
{
    struct track *t = library_index_find(l, content->bytes);
    if (t != NULL)
        return t;
    t = grow(l) == 0 ? track_new(content) : NULL;
    if (t == NULL)
        return NULL;
    size_t at = position(l, content->bytes);
    memmove(&l->places[at + 1], &l->places[at], (l->count - at) * sizeof(*l->places));
    l->places[at] = (struct library_place){ first_bytes(content->bytes), t };
    l->count++;
    title_insert(l, t);
    return t;
}

static void free_tracks(struct track **tracks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(tracks[i]);
}

static struct library_place *merge(const struct library *l, struct track *const *added, size_t count)
{
    struct library_place *places = calloc(l->count + count, sizeof(*places));
    size_t old = 0, to = 0;
    if (places == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const void *content = added[i]->content.bytes;
        while (old < l->count && memcmp(l->places[old].track->content.bytes, content, ID_BYTES) < 0)
            places[to++] = l->places[old++];
        places[to++] = (struct library_place){ first_bytes(content), added[i] };
    }
    while (old < l->count)
        places[to++] = l->places[old++];
    return places;
}

int library_index_add(struct library *l, const struct id *contents, size_t count)
{
    if (count == 0)
        return 0;
    struct track **added CLEANUP(freep) = calloc(count, sizeof(struct track *));
    struct track **titles CLEANUP(freep) = calloc(l->count + count, sizeof(struct track *));
    bool made = added != NULL && titles != NULL;
    for (size_t i = 0; made && i < count; i++)
        made = (added[i] = track_new(&contents[i])) != NULL;
    struct library_place *places = made ? merge(l, added, count) : NULL;
    if (places == NULL) {
        if (added != NULL)
            free_tracks(added, count);
        return -ENOMEM;
    }
    free(l->places);
    free(l->titles);
    l->places = places;
    l->titles = steal(&titles);
    l->count = l->cap = l->count + count;
    l->unsorted = true;
    return 0;
}

void library_index_sort(struct library *l)
{
    for (size_t i = 0; i < l->count; i++)
        l->titles[i] = l->places[i].track;
    if (l->count > 0)
        qsort(l->titles, l->count, sizeof(struct track *), compare_places);
    l->titled = l->count;
    l->unsorted = false;
}

void library_index_take(struct library *l, struct library *from)
{
    if (from->unsorted)
        library_index_sort(from);
    l->places = steal(&from->places);
    l->titles = steal(&from->titles);
    l->count = l->titled = from->count;
    l->cap = from->cap;
    l->unsorted = false;
    from->count = from->titled = from->cap = 0;
}

/* Text of a track: one allocation for all of them. */
static char *put_text(char **end, const char *text)
{
    char *at = *end;
    size_t len = strlen(text) + 1;
    memcpy(at, text, len);
    *end += len;
    return at;
}

int library_index_set_info(struct library *l, struct track *t, const doc_ContentInfo *info, const uint8_t list_root[32])
{
    if (t->has_info)
        return 0; /* it is part of what the content ID says: never another */
    const char *creator = info->has_creator ? info->creator : "", *album = info->has_album ? info->album : "";
    t->texts = malloc(strlen(info->title) + strlen(info->media_type) + strlen(creator) + strlen(album) + 4);
    if (t->texts == NULL)
        return -ENOMEM;
    char *end = t->texts;
    title_remove(l, t);
    t->title = put_text(&end, info->title);
    t->media_type = put_text(&end, info->media_type);
    t->creator = info->has_creator ? put_text(&end, creator) : NULL;
    t->album = info->has_album ? put_text(&end, album) : NULL;
    t->duration_ms = info->duration_ms;
    t->plain_bytes = info->plain_bytes;
    t->publisher = id_from(info->publisher);
    memcpy(t->list_root, list_root, sizeof(t->list_root));
    t->has_info = true;
    title_insert(l, t);
    return 0;
}

/* --- Conditions: most licenses have those of some other --- */

static int compare_wire(const struct library_conditions *c, struct slice wire)
{
    return c->len != wire.len ? (c->len < wire.len ? -1 : 1) : memcmp(c->wire, wire.data, wire.len);
}

const doc_Conditions *library_index_conditions(struct library *l, const doc_Conditions *conditions)
{
    struct buf wire CLEANUP(buf_free) = buf(doc_Conditions_size);
    if (l->last != NULL && memcmp(&l->last->conditions, conditions, sizeof(*conditions)) == 0)
        return &l->last->conditions; /* not found this way: then by what they say */
    if (CODEC_ENCODE(doc_Conditions, &wire, conditions) != 0)
        return NULL;
    size_t low = 0, high = l->condition_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_wire(l->conditions[middle], buf_slice(&wire));
        if (order == 0) {
            l->last = l->conditions[middle];
            return &l->last->conditions;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct library_conditions **more = reallocarray(l->conditions, l->condition_count + 1, sizeof(*more));
    if (more == NULL)
        return NULL;
    l->conditions = more;
    struct library_conditions *c = malloc(sizeof(*c) + wire.len);
    if (c == NULL)
        return NULL;
    memcpy(&c->conditions, conditions, sizeof(c->conditions)); /* with what lies between the members */
    c->len = wire.len;
    memcpy(c->wire, wire.data, wire.len);
    memmove(&more[low + 1], &more[low], (l->condition_count - low) * sizeof(*more));
    more[low] = c;
    l->condition_count++;
    l->last = c;
    return &c->conditions;
}

/* --- Life --- */

struct library *library_index_new(void)
{
    struct library *l = calloc(1, sizeof(*l));
    if (l != NULL)
        l->unsorted = true;
    return l;
}

void library_index_free(struct library *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->count; i++) {
        free(l->places[i].track->texts);
        free(l->places[i].track->licenses);
        free(l->places[i].track);
    }
    for (size_t i = 0; i < l->condition_count; i++)
        free(l->conditions[i]);
    free(l->conditions);
    free(l->places);
    free(l->titles);
    free(l);
}
