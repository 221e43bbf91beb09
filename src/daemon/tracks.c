/* What this device has, told to a person. The content may be removed; licenses stay with the vault. */
#include "daemon/tracks.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/listing.h"

void library_handle(struct daemon *d, struct call *c, const void *message)
{
    (void)message;
    listing_clear(d);
    for (size_t i = 0; i < library_count(d); i++) {
        const struct track *t = library_at(d, i);
        const struct track_license *l = track_license(t);
        struct id nobody = { 0 };
        ctl_TrackRow row;
        if (!t->has_body && (l == NULL || l->state == LICENSE_SURRENDERED))
            continue; /* only its information is known */
        uint32_t number =
            listing_add(d, &t->content, l != NULL ? &l->issuer : &nobody, t->has_info ? t->title : "", NULL);
        library_row(d, t, number, &row);
        CALL_ROW(c, TRACK_ROW, TrackRow, &row);
    }
    call_finish(c);
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
