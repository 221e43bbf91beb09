/* `hearth export`: a certificate for a removable medium, then package and certificate into a directory, then the certificate goes.
 *
 * Callbacks, in order: look_work (pool) and on_looked; export_held (copy.c, when the certificate is here); write_work (pool) and on_written, step by step; on_end
 * (of the transfer). Source: seed S151-S153; design section 6.6. Loop thread. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/copy.h"
#include "daemon/library.h"
#include "daemon/medium.h"
#include "daemon/siblings.h"
#include "daemon/transfers_internal.h"

#define LOG_MODULE "export"
#include "base/log.h"

#define NAME_BYTES 96
#define DETAIL_BYTES 256

struct export
{
    struct export *next;
    struct daemon *daemon;
    struct transfer *transfer; /* held */
    struct call *call;
    uv_work_t work;
    struct medium_writer writer;
    msg_ExportCertificate certificate;
    char directory[1024], package[MEDIUM_PATH_BYTES], beside[MEDIUM_PATH_BYTES], body[BODIES_PATH_BYTES];
    struct id content;
    bool begun, finished; /* begun: the pool has it; finished: everything is on the medium */
    int outcome;
};

static void export_free(struct export *e)
{
    struct export **at = &e->daemon->transfers->exports;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    struct transfer *t = e->transfer;
    medium_writer_deinit(&e->writer);
    free(e);
    if (t != NULL)
        transfer_release(t);
}

static void tell_file(struct call *c, const char *path)
{
    ctl_FileRow row = ctl_FileRow_init_zero;
    CODEC_SET_TEXT(row.path, path);
    CALL_ROW(c, FILE_ROW, FileRow, &row);
}

/* The transfer has ended, or somebody must do something first. */
static void on_end(const struct transfer *t, enum reason why, const char *detail, void *ctx)
{
    struct export *e = ctx;
    struct call *c = steal(&e->call);
    if (why == REASON_NONE) {
        transfer_tell_charged(t, c);
        tell_file(c, e->package);
        tell_file(c, e->beside);
        call_finish(c);
    } else {
        call_refuse(c, why, detail);
    }
    if (!e->begun || e->finished)
        export_free(e);
}

static void on_progress(const struct transfer *t, const char *text, void *ctx)
{
    struct export *e = ctx;
    if (e->call != NULL)
        call_progress(e->call, t->done_bytes, t->total_bytes, "%s", text);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static void write_work(uv_work_t *work)
{
    struct export *e = work->data;
    struct medium_writer *w = &e->writer;
    e->outcome = w->to < 0 ? medium_write_begin(w, e->package, e->body, &e->content) : 0;
    if (e->outcome == 0)
        e->outcome = medium_write_step(w);
    if (e->outcome != 0 || w->done_bytes < w->total_bytes)
        return;
    /* The package first: a certificate without its content helps nobody. */
    e->outcome = medium_write_end(w);
    if (e->outcome == 0)
        e->outcome = medium_write_certificate(e->daemon->opener, e->beside, &e->certificate);
    e->finished = e->outcome == 0;
}

static void next_step(struct export *e);

static void on_written(uv_work_t *work, int status)
{
    struct export *e = work->data;
    struct transfer *t = e->transfer;
    (void)status;
    if (t->gone || transfer_has_ended(t)) { /* cancelled meanwhile */
        export_free(e);
        return;
    }
    transfer_progress(t, e->writer.done_bytes, e->writer.total_bytes);
    if (e->outcome == 0 && !e->finished) {
        next_step(e);
        return;
    }
    transfer_hold(t);
    int outcome = e->outcome;
    if (e->call == NULL || outcome != 0)
        e->begun = false;
    if (outcome == 0) {
        copy_written(t, REASON_NONE, NULL); /* ends the transfer once the row has gone; on_end frees e */
        if (e->call == NULL)
            export_free(e);
    } else {
        char detail[DETAIL_BYTES];
        log_warn("exporting failed: %s", strerror(-outcome));
        bool waited = e->call != NULL;
        enum reason why = medium_why(outcome, e->directory, detail, sizeof(detail));
        copy_written(t, why, detail);
        if (!waited)
            export_free(e);
    }
    transfer_release(t);
}

static void next_step(struct export *e)
{
    (void)uv_queue_work(e->daemon->loop, &e->work, write_work, on_written); /* fails only without a function */
}

static int fill_names(struct export *e, const struct track *t)
{
    char name[NAME_BYTES], short_id[ID_SHORT_BYTES];
    text_file_name(t->has_info ? t->title : "track", name, sizeof(name));
    id_short(e->content.bytes, short_id);
    int n = snprintf(e->package, sizeof(e->package), "%s/%s-%s" MEDIUM_PACKAGE, e->directory, name, short_id);
    if (n < 0 || n >= (int)sizeof(e->package))
        return -ENAMETOOLONG;
    n = snprintf(e->beside, sizeof(e->beside), "%s/%s-%s" MEDIUM_CERTIFICATE, e->directory, name, short_id);
    if (n < 0 || n >= (int)sizeof(e->beside))
        return -ENAMETOOLONG;
    return bodies_path(e->daemon->config.bodies_dir, &e->content, BODIES_BODY, e->body);
}

static void begin(struct export *e)
{
    struct slice certificate, delegation;
    const struct track *t = library_find(e->daemon, e->content.bytes);
    if (e->begun || !copy_certificate(e->transfer, &certificate, &delegation))
        return;
    int r = t == NULL || !t->has_body ? REASON_NOT_FOUND : fill_names(e, t);
    if (r == 0)
        r = CODEC_SET_BYTES(e->certificate.certificate, certificate);
    e->certificate.has_delegation = delegation.len > 0;
    if (r == 0 && delegation.len > 0)
        r = CODEC_SET_BYTES(e->certificate.delegation, delegation);
    if (r != 0) {
        copy_written(e->transfer, r == REASON_NOT_FOUND ? REASON_NOT_FOUND : reason_of_error(r), NULL);
        return;
    }
    e->begun = true;
    transfer_set_state(e->transfer, TRANSFER_RUNNING, REASON_NONE, NULL);
    next_step(e);
}

void export_held(struct daemon *d, struct transfer *t)
{
    for (struct export *e = d->transfers->exports; e != NULL; e = e->next)
        if (e->transfer == t) {
            begin(e);
            return;
        }
}

/* ---- starting ------------------------------------------------------------------------------------------------ */

static int start(struct daemon *d, struct call *c, const ctl_Export *m, const struct id *content,
                 const struct id *destination, char *detail, size_t cap)
{
    struct transfer *t;
    const struct copy_wish wish = { .content = *content, .destination = *destination, .removable = true };
    int r = copy_begin(d, &wish, &t, detail, cap);
    if (r != 0)
        return r;
    for (const struct export *other = d->transfers->exports; other != NULL; other = other->next)
        if (other->transfer == t)
            return REASON_IN_USE;
    struct export *e = calloc(1, sizeof(*e));
    struct transfer_watch watch = { on_progress, on_end, e };
    if (e == NULL || transfer_watch(t, &watch) != 0) {
        free(e);
        return -ENOMEM;
    }
    medium_writer_init(&e->writer, d->opener);
    e->daemon = d;
    e->transfer = t;
    e->call = c;
    e->content = *content;
    e->work.data = e;
    memcpy(e->directory, m->directory, sizeof(e->directory));
    transfer_hold(t);
    e->next = d->transfers->exports;
    d->transfers->exports = e;
    begin(e);
    return 0;
}

/* Looks at the directory before anything is asked for: what cannot be written must cost no copy. */
struct request {
    struct daemon *daemon;
    struct call *call;
    uv_work_t work;
    int outcome;
    bool there;
    ctl_Export message;
};

static void look_work(uv_work_t *work)
{
    struct request *q = work->data;
    struct stat st;
    q->outcome = stat(q->message.directory, &st) != 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    q->there = q->outcome == 0;
    if (q->there)
        q->outcome = medium_look(q->daemon->opener, q->message.directory);
}

static int resolve_and_start(struct daemon *d, struct call *c, const ctl_Export *m, struct track **t, char *detail,
                             size_t cap)
{
    struct sibling *to = NULL;
    call_choose_listing(d, c);
    int r = library_resolve(d, m->track, t, detail, cap);
    if (r == 0)
        r = siblings_resolve_other(d, m->device, &to, detail, cap);
    if (r != 0)
        return r;
    struct id content = (*t)->content, destination = to->client;
    return start(d, c, m, &content, &destination, detail, cap);
}

static void on_looked(uv_work_t *work, int status)
{
    struct request *q = work->data;
    struct transfers *transfers = q->daemon->transfers;
    char detail[DETAIL_BYTES] = "";
    struct track *t = NULL;
    int r;
    (void)status;
    if (transfers->stopping) {
        r = REASON_CANCELLED;
    } else if (q->outcome != 0) {
        r = medium_why(q->outcome, q->message.directory, detail, sizeof(detail));
        if (!q->there && (q->outcome == -ENOENT || q->outcome == -ENOTDIR))
            r = REASON_NOT_FOUND;
    } else {
        r = resolve_and_start(q->daemon, q->call, &q->message, &t, detail, sizeof(detail));
    }
    if (r != 0)
        copy_refuse(q->daemon, q->call, t, r, detail);
    free(q);
    transfers_release(transfers);
}

void export_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Export *m = message;
    struct request *q = m->directory[0] == '/' ? calloc(1, sizeof(*q)) : NULL;
    if (q == NULL) {
        call_refuse(c, m->directory[0] == '/' ? REASON_INTERNAL : REASON_NOT_FOUND,
                    m->directory[0] == '/' ? NULL : "Name a directory by its whole path.");
        return;
    }
    *q = (struct request){ .daemon = d, .call = c, .message = *m };
    q->work.data = q;
    transfers_hold(d->transfers);
    (void)uv_queue_work(d->loop, &q->work, look_work, on_looked); /* fails only without a function */
}
