/* What this device has, told to a person. The content may be removed; licenses stay with the vault. */
#include "daemon/tracks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/damage.h"
#include "daemon/deck.h"
#include "daemon/events.h"
#include "daemon/library_query.h"
#include "daemon/listing.h"
#include "daemon/shelf.h"

/* --- The library, by title, as fast as the client reads --- */

struct walkthrough {
    struct daemon *daemon;
    struct library_query query;
    uint32_t skip, left;
    uint64_t listing;
    size_t count, at;
    struct id *order; /* owned; the library may change between two rooms */
};

static void walkthrough_free(struct walkthrough *w)
{
    free(w->order);
    free(w);
}

static void send_track(struct daemon *d, struct call *c, uint64_t listing, const struct track *t)
{
    const struct track_license *l = track_license(t);
    struct id nobody = { 0 };
    ctl_TrackRow row;
    uint32_t number =
        listing_add(d, listing, &t->content, l != NULL ? &l->issuer : &nobody, t->has_info ? t->title : "", NULL);
    library_row(d, t, number, &row);
    CALL_ROW(c, TRACK_ROW, TrackRow, &row);
}

static void send_tracks(struct call *c, void *ctx)
{
    struct walkthrough *w = ctx;
    call_choose_listing(w->daemon, c);
    while (w->at < w->count && call_has_room(c)) {
        const struct track *t = library_find(w->daemon, w->order[w->at++].bytes);
        if (t != NULL)
            send_track(w->daemon, c, w->listing, t);
    }
    if (w->at < w->count) {
        call_when_room(c, send_tracks, w);
        return;
    }
    walkthrough_free(w);
    call_finish(c);
}

static int choose(struct walkthrough *w)
{
    struct daemon *d = w->daemon;
    size_t count = library_count(d), cap = count < w->left ? count : w->left;
    w->order = calloc(cap + 1, sizeof(*w->order));
    if (w->order == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count && w->count < cap; i++) {
        const struct track *t = library_by_title(d, i);
        if (!library_query_fits(&w->query, t))
            continue;
        if (w->skip > 0)
            w->skip--;
        else
            w->order[w->count++] = t->content;
    }
    return 0;
}

void library_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_LibraryGet *m = message;
    if (m->has_device) {
        shelf_ask(d, c, m);
        return;
    }
    struct walkthrough *w = calloc(1, sizeof(*w));
    if (w != NULL) {
        w->daemon = d;
        w->skip = m->has_skip ? m->skip : 0;
        w->left = m->has_limit ? m->limit : UINT32_MAX;
        library_query_init(&w->query, m->has_query ? m->query : NULL);
    }
    if (w == NULL || choose(w) != 0) {
        free(w);
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    w->listing = listing_begin(d);
    send_tracks(c, w);
}

static struct track *find(struct daemon *d, struct call *c, const char *text)
{
    struct track *t;
    char detail[256];
    int r = library_resolve(d, text, &t, detail, sizeof(detail));
    if (r == 0)
        return t;
    call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
    return NULL;
}

void show_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Show *m = message;
    struct track *t = find(d, c, m->track);
    ctl_TrackRow row;
    if (t == NULL)
        return;
    library_row(d, t, 0, &row);
    CALL_ROW(c, TRACK_ROW, TrackRow, &row);
    call_finish(c);
}

/* --- Removing the body file --- */

struct removal {
    uv_work_t work;
    struct daemon *daemon;
    struct call *call;
    struct id content;
    char path[CONFIG_PATH_BYTES + 80];
    int outcome;
};

static void unlink_file(uv_work_t *work)
{
    struct removal *r = work->data;
    r->outcome = unlink(r->path) == 0 || errno == ENOENT ? file_sync_parent(r->path) : -errno;
}

static void on_unlinked(uv_work_t *work, int status)
{
    struct removal *r = work->data;
    struct track *t = library_find(r->daemon, r->content.bytes);
    (void)status;
    if (r->outcome != 0) {
        call_refuse(r->call, reason_of_error(r->outcome), NULL);
    } else {
        if (t != NULL) {
            t->has_body = false;
            library_changed(r->daemon, t);
        }
        damage_note(r->daemon, &r->content, false);
        event(r->daemon, "removed", "%s was removed from this device", t != NULL && t->has_info ? t->title : "a track");
        call_finish(r->call);
    }
    free(r);
}

void remove_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Remove *m = message;
    struct track *t = find(d, c, m->track);
    if (t == NULL)
        return;
    const char *needed = decks_need(d, &t->content);
    if (needed != NULL) {
        call_refuse(c, REASON_IN_USE, needed);
        return;
    }
    struct removal *r = calloc(1, sizeof(*r));
    if (r == NULL || library_body_path(d, &t->content, ".body", r->path, sizeof(r->path)) != 0) {
        call_refuse(c, REASON_INTERNAL, NULL);
        free(r);
        return;
    }
    r->daemon = d;
    r->call = c;
    r->content = t->content;
    r->work.data = r;
    (void)uv_queue_work(d->loop, &r->work, unlink_file, on_unlinked); /* fails only without a function */
}
