/* hearth metadata list and show: the files with their verdicts; of permitted ones what they say.
 *
 * Callbacks, in order: on_all, on_room (any number). */
#include <stdlib.h>

#include "base/util.h"
#include "control.pb.h"
#include "daemon/control.h"
#include "daemon/library.h"
#include "daemon/metadata.h"
#include "protocol/picture.h"

struct view {
    struct call *call;
    ctl_MetadataGet wish;
    struct metadata_set *set;
    unsigned item; /* the next one */
    bool inside;   /* its row is sent, its parts are under way */
    struct metadata_reader parts;
};

static void view_end(struct view *v, enum reason why, const char *detail)
{
    if (why != REASON_NONE)
        call_refuse(v->call, why, detail);
    else
        call_finish(v->call);
    metadata_set_free(v->set);
    free(v);
}

static const char *picture_of(const struct metadata_item *item)
{
    struct metadata_reader r = metadata_reader(item->parts);
    struct metadata_part p;
    while (metadata_next(&r, &p) == 0)
        if (p.kind == METADATA_COVER)
            return picture_type(p.text, METADATA_COVER_SIDE_MAX);
    return NULL;
}

const char *metadata_range_words(const struct metadata_set *set, const struct metadata_item *item)
{
    static const char *const words[RANGE_KINDS] = {
        [RANGE_NOBODY] = "the content permits nobody's metadata.",
        [RANGE_PUBLISHER] = "the content permits its publisher's metadata alone.",
        [RANGE_KEYS] = "the content permits its publisher and the providers it lists, not this signer.",
        [RANGE_VOUCHED] =
            "the content permits its publisher and whom that vouches for. With its vouch for this signer: hearth metadata vouch FILE",
    };
    uint32_t range = set->range < RANGE_KINDS && words[set->range] != NULL ? set->range : RANGE_VOUCHED;
    return item->judged.by_license ? "the content permits its signer, the license does not." : words[range];
}

void metadata_row(const struct metadata_set *set, const struct metadata_item *item, ctl_MetadataRow *out)
{
    const char *picture = picture_of(item);
    *out = (ctl_MetadataRow){ .number = item->number,
                              .permitted = item->verdict == REASON_NONE,
                              .has_signer = item->known,
                              .publisher = item->known && item->judged.kind == SIGNER_PUBLISHER,
                              .vouched = item->judged.vouched,
                              .by_license = item->judged.by_license,
                              .sequence = item->judged.sequence,
                              .issued_ms = item->judged.issued_ms,
                              .has_ends_ms = item->judged.has_ends_ms,
                              .ends_ms = item->judged.ends_ms,
                              .tags = item->counts[METADATA_TAG],
                              .chapters = item->counts[METADATA_CHAPTER],
                              .lyrics = item->counts[METADATA_LYRIC],
                              .has_cover = picture != NULL };
    reason_refusal(&out->verdict, item->verdict, item->verdict == REASON_NONE ? "It may be used." : NULL);
    if (item->verdict == REASON_METADATA_NOT_PERMITTED) {
        CODEC_SET_TEXT(out->verdict.text, metadata_range_words(set, item));
        out->verdict.text[0] = 'T';
    }
    memcpy(out->signer, item->judged.signer, sizeof(out->signer));
    CODEC_SET_TEXT(out->language, item->judged.language);
    CODEC_SET_TEXT(out->cover, picture != NULL ? picture : "");
}

static void send_part(struct view *v, const struct metadata_part *p)
{
    char text[METADATA_TEXT_MAX + 1], key[METADATA_KEY_MAX + 1];
    ctl_MetadataPart row = { .kind = p->kind, .start_ms = p->start_ms };
    if (p->kind == METADATA_COVER)
        return;
    (void)snprintf(text, sizeof(text), "%.*s", (int)p->text.len, (const char *)p->text.data);
    (void)snprintf(key, sizeof(key), "%.*s", (int)p->key.len, (const char *)p->key.data);
    CODEC_SET_TEXT(row.text, text);
    CODEC_SET_TEXT(row.key, p->key.len > 0 ? key : "");
    CALL_ROW(v->call, METADATA_PART, MetadataPart, &row);
}

static bool is_wanted(const struct view *v, const struct metadata_item *item)
{
    return (v->wish.number == 0 || v->wish.number == item->number) &&
           (!v->wish.parts || item->verdict == REASON_NONE || v->wish.number != 0);
}

/* One row or part; false: there is no more. */
static bool step(struct view *v)
{
    struct metadata_part p;
    ctl_MetadataRow row;
    if (v->inside && metadata_next(&v->parts, &p) == 0) {
        send_part(v, &p);
        return true;
    }
    v->inside = false;
    while (v->item < v->set->count && !is_wanted(v, &v->set->items[v->item]))
        v->item++;
    if (v->item == v->set->count)
        return false;
    const struct metadata_item *item = &v->set->items[v->item++];
    metadata_row(v->set, item, &row);
    CALL_ROW(v->call, METADATA_ROW, MetadataRow, &row);
    v->parts = metadata_reader(item->parts);
    v->inside = v->wish.parts && item->parts.len > 0;
    return true;
}

static void on_room(struct call *c, void *ctx)
{
    struct view *v = ctx;
    (void)c;
    while (call_is_watched(v->call) && call_has_room(v->call))
        if (!step(v)) {
            view_end(v, REASON_NONE, NULL);
            return;
        }
    if (call_is_watched(v->call))
        call_when_room(v->call, on_room, v);
    else
        view_end(v, REASON_NONE, NULL);
}

static void on_all(struct metadata_set *set, enum reason why, void *ctx)
{
    struct view *v = ctx;
    bool found = false;
    v->set = set;
    for (unsigned i = 0; set != NULL && i < set->count; i++)
        found = found || v->wish.number == set->items[i].number;
    if (set == NULL)
        view_end(v, why,
                 why == REASON_NOT_FOUND ? "Its content is not on this device: hearth get TRACK --download-only"
                                         : NULL);
    else if (v->wish.number != 0 && !found)
        view_end(v, REASON_NOT_FOUND, "There is no metadata of this number: hearth metadata list TRACK");
    else
        on_room(v->call, v);
}

void metadata_get_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_MetadataGet *m = message;
    char detail[256] = "";
    struct track *t;
    int r = library_resolve(d, m->track, &t, detail, sizeof(detail));
    struct view *v = r == 0 ? calloc(1, sizeof(*v)) : NULL;
    if (r == 0 && v == NULL)
        r = -ENOMEM;
    if (r == 0) {
        v->call = c;
        v->wish = *m;
        r = metadata_collect(d, &t->content, NULL, on_all, v);
    }
    if (r == 0)
        return;
    free(v);
    call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
}
