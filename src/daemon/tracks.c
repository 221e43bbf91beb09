/* What this device has, told to a person. The content may be removed; licenses stay with the vault. */
#include "daemon/tracks.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/damage.h"
#include "daemon/deck.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/listing.h"

/* --- The whole library, as fast as the client reads --- */

struct walkthrough {
    struct daemon *daemon;
    struct id next; /* the library may change between two rooms */
    bool last_id;   /* there is no ID after next */
};

static void send_track(struct daemon *d, struct call *c, const struct track *t)
{
    const struct track_license *l = track_license(t);
    struct id nobody = { 0 };
    ctl_TrackRow row;
    if (!t->has_body && (l == NULL || l->state == LICENSE_SURRENDERED))
        return; /* only its information is known */
    uint32_t number = listing_add(d, &t->content, l != NULL ? &l->issuer : &nobody, t->has_info ? t->title : "", NULL);
    library_row(d, t, number, &row);
    CALL_ROW(c, TRACK_ROW, TrackRow, &row);
}

/* The ID after id; false when there is none. */
static bool next_id(struct id *id)
{
    for (size_t i = ID_BYTES; i-- > 0;)
        if (++id->bytes[i] != 0)
            return true;
    return false;
}

static void send_tracks(struct call *c, void *ctx)
{
    struct walkthrough *w = ctx;
    size_t i = library_position(w->daemon, w->next.bytes);
    while (!w->last_id && i < library_count(w->daemon) && call_has_room(c)) {
        const struct track *t = library_at(w->daemon, i++);
        send_track(w->daemon, c, t);
        w->next = t->content;
        w->last_id = !next_id(&w->next);
    }
    if (!w->last_id && i < library_count(w->daemon)) {
        call_when_room(c, send_tracks, w);
        return;
    }
    free(w);
    call_finish(c);
}

void library_handle(struct daemon *d, struct call *c, const void *message)
{
    struct walkthrough *w = calloc(1, sizeof(*w));
    (void)message;
    if (w == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    w->daemon = d;
    listing_clear(d);
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
        if (t != NULL)
            t->has_body = false;
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
