/* `hearth import`: packages and certificates from a medium. The same checks as for an offer, without a connection to prove the source: the
 * certificate must have been issued for a medium. Every block is verified on its way in.
 *
 * Callbacks, in order: list_work (pool), on_listed; then for each item open_work (pool), on_opened; on_checked (vault); body_work (pool)
 * and on_body, step by step; on_committed. Source: seed S161-S173; design section 6.6. Loop thread. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/merkle.h"
#include "daemon/commit.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/medium.h"
#include "daemon/papers.h"
#include "daemon/transfers_internal.h"
#include "protocol/receive.h"

#define LOG_MODULE "import"
#include "base/log.h"

#define ITEMS_MAX 1024
enum { STATE_RESERVED = 1, STATE_STORED = 2 }; /* vlt.CertificateState.state */

struct import {
    struct daemon *daemon;
    struct call *call;
    uv_work_t work;
    int outcome;
    char path[MEDIUM_PATH_BYTES];
    char **names; /* certificate files, owned */
    size_t count, at, imported;
    enum reason why; /* of the last that was not imported */
    char detail[256];
    /* the item at hand */
    msg_ExportCertificate certificate;
    struct certificate_name name;
    bool in_package; /* its package is being read; before: its certificate */
    int fd;
    uint64_t base;
    struct id content;
    struct serve_file file;
    struct body_part part;
    uint8_t *have;
    uint32_t next_block;
    bool complete;
};

static void next_item(struct import *i);

static void queue(struct import *i, uv_work_cb work, uv_after_work_cb after)
{
    (void)uv_queue_work(i->daemon->loop, &i->work, work, after); /* fails only without a function */
}

static void item_close(struct import *i)
{
    certificate_name_deinit(&i->name);
    i->name.license = buf(0);
    closep(&i->fd);
    i->fd = -1;
    serve_file_deinit(&i->file);
    body_part_deinit(&i->part);
    free(steal(&i->have));
    i->next_block = 0;
    i->complete = false;
}

static void end(struct import *i)
{
    struct call *c = i->call;
    if (i->imported > 0)
        call_finish(c);
    else
        call_refuse(c, i->why == REASON_NONE ? REASON_NOT_FOUND : i->why,
                    i->detail[0] != '\0'    ? i->detail
                    : i->why == REASON_NONE ? "There is no certificate (" MEDIUM_CERTIFICATE ") in this directory."
                                            : NULL);
    item_close(i);
    for (size_t n = 0; n < i->count; n++)
        free(i->names[n]);
    free(i->names);
    transfers_release(i->daemon->transfers);
    free(i);
}

static void item_refused(struct import *i, enum reason why, const char *detail)
{
    log_info("a package was not imported reason=%s", reason_code(why));
    i->why = why;
    CODEC_SET_TEXT(i->detail, detail != NULL ? detail : reason_text(why));
    if (i->count > 1)
        call_progress(i->call, i->at, i->count, "not imported: %s", reason_text(why));
    next_item(i);
}

/* The file at hand, as a person sees it on the medium. */
static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* What kept a file of the item at hand from being read, by its name. */
static void file_refused(struct import *i, int outcome)
{
    char detail[256];
    const char *kind = i->in_package ? "package" : "certificate", *other = i->in_package ? "certificate" : "package";
    int stem = (int)(strlen(i->names[i->at]) - strlen(MEDIUM_CERTIFICATE));
    char path[MEDIUM_PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%.*s%s", stem, i->names[i->at],
                   i->in_package ? MEDIUM_PACKAGE : MEDIUM_CERTIFICATE);
    if (outcome == -ENOENT)
        (void)snprintf(detail, sizeof(detail), "%.128s is missing: the %s is needed beside its %s.", file_name(path),
                       kind, other);
    else if (outcome == REASON_MALFORMED)
        (void)snprintf(detail, sizeof(detail), "%.128s is not a %s, or a part of it is missing: export it again.",
                       file_name(path), kind);
    else
        (void)snprintf(detail, sizeof(detail), "%.128s: %s", file_name(path),
                       outcome < 0 ? strerror(-outcome) : reason_text((enum reason)outcome));
    item_refused(i, outcome == -ENOENT ? REASON_NOT_FOUND : reason_of_error(outcome), detail);
}

/* ---- what is on the medium ----------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *ending)
{
    size_t len = strlen(text), ending_len = strlen(ending);
    return len > ending_len && strcmp(text + len - ending_len, ending) == 0;
}

static int add_name(struct import *i, const char *dir, const char *name, const char *ending)
{
    char path[MEDIUM_PATH_BYTES];
    int n = dir != NULL ? snprintf(path, sizeof(path), "%s/%s%s", dir, name, ending)
                        : snprintf(path, sizeof(path), "%s%s", name, ending);
    if (n < 0 || n >= (int)sizeof(path))
        return -ENAMETOOLONG;
    i->names[i->count] = strdup(path);
    return i->names[i->count] == NULL ? -ENOMEM : (i->count++, 0);
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int list_dir(struct import *i)
{
    int r = 0, fd = opener_list(i->daemon->opener, i->path);
    if (fd < 0)
        return fd;
    struct dirent *e;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        r = -errno;
        close(fd);
        return r;
    }
    while (r == 0 && i->count < ITEMS_MAX && (e = readdir(dir)) != NULL)
        if (ends_with(e->d_name, MEDIUM_CERTIFICATE))
            r = add_name(i, i->path, e->d_name, "");
    closedir(dir);
    if (r == 0)
        qsort(i->names, i->count, sizeof(*i->names), compare_names);
    return r;
}

static void list_work(uv_work_t *work)
{
    struct import *i = work->data;
    struct stat st;
    if (stat(i->path, &st) != 0)
        i->outcome = -errno;
    else if (S_ISDIR(st.st_mode))
        i->outcome = list_dir(i);
    else if (ends_with(i->path, MEDIUM_CERTIFICATE))
        i->outcome = add_name(i, NULL, i->path, "");
    else if (ends_with(i->path, MEDIUM_PACKAGE)) /* "x.hearth" -> "x.hearth-certificate" */
        i->outcome = add_name(i, NULL, i->path, &MEDIUM_CERTIFICATE[strlen(MEDIUM_PACKAGE)]);
    else
        i->outcome = REASON_MALFORMED;
}

static void on_listed(uv_work_t *work, int status)
{
    struct import *i = work->data;
    (void)status;
    if (i->outcome != 0) {
        i->why = i->outcome == -ENOENT ? REASON_NOT_FOUND : reason_of_error(i->outcome);
        if (i->outcome < 0)
            (void)snprintf(i->detail, sizeof(i->detail), "%.190s: %s", i->path, strerror(-i->outcome));
        else
            (void)snprintf(i->detail, sizeof(i->detail),
                           "%.100s is neither a package (" MEDIUM_PACKAGE ") nor a certificate (" MEDIUM_CERTIFICATE
                           ") nor a directory of such.",
                           file_name(i->path));
        end(i);
        return;
    }
    next_item(i);
}

static int read_certificate(struct import *i, const char *path)
{
    int fd CLEANUP(closep) = -1;
    int r = medium_open(i->daemon->opener, path, &fd);
    return r == 0 ? medium_read_certificate(fd, &i->certificate) : r;
}

static void open_work(uv_work_t *work)
{
    struct import *i = work->data;
    const char *certificate = i->names[i->at];
    char package[MEDIUM_PATH_BYTES];
    size_t stem = strlen(certificate) - strlen(MEDIUM_CERTIFICATE);
    (void)snprintf(package, sizeof(package), "%.*s" MEDIUM_PACKAGE, (int)stem, certificate);
    i->in_package = false;
    i->outcome = read_certificate(i, certificate);
    if (i->outcome == 0)
        i->outcome = certificate_name_read(CODEC_BYTES(i->certificate.certificate), &i->name);
    if (i->outcome == 0) {
        i->in_package = true;
        i->outcome = medium_open(i->daemon->opener, package, &i->fd);
    }
    if (i->outcome == 0)
        i->outcome = medium_read_package(i->fd, &i->base, &i->content, &i->file);
    struct serve_file complete = { .list = NULL };
    i->complete = i->outcome == 0 && bodies_complete(i->daemon->config.bodies_dir, &i->content, &complete) == 0 &&
                  bodies_verify(i->daemon->config.bodies_dir, &i->content) == 0;
    serve_file_deinit(&complete);
}

/* ---- storing ------------------------------------------------------------------------------------------------- */

static void on_committed(enum reason why, const char *detail, struct slice receipt, void *ctx)
{
    struct import *i = ctx;
    const struct track *t = library_find(i->daemon, i->content.bytes);
    (void)receipt; /* reported to the distributor; there is nobody here to give it to */
    if (why != REASON_NONE) {
        item_refused(i, why, detail);
        return;
    }
    i->imported++;
    if (t != NULL) {
        ctl_TrackRow row;
        library_row(i->daemon, t, 0, &row);
        CALL_ROW(i->call, TRACK_ROW, TrackRow, &row);
        event(i->daemon, "imported", "%s was imported", row.title);
    }
    next_item(i);
}

static void commit(struct import *i)
{
    int r = commit_start(i->daemon, &i->name, buf_slice(&i->file.info), i->file.list_root, on_committed, i);
    if (r != 0)
        item_refused(i, reason_of_error(r), NULL);
}

/* 0, REASON_BLOCK_CORRUPT, -errno. */
static int copy_block(struct import *i, uint32_t index, uint8_t *block)
{
    const struct body_shape *shape = &i->file.shape;
    uint8_t hash[MERKLE_HASH_BYTES];
    size_t len = body_block_len(shape, index);
    int r = file_pread_all(i->fd, block, len, i->base + body_block_offset(shape, index));
    if (r != 0)
        return r;
    block_hash(slice(block, len), hash);
    if (memcmp(hash, i->file.list + (size_t)index * sizeof(hash), sizeof(hash)) != 0)
        return REASON_BLOCK_CORRUPT;
    return body_part_write(&i->part, index, slice(block, len));
}

static int prepare(struct import *i)
{
    i->have = calloc(i->file.shape.block_count, 1);
    if (i->have == NULL)
        return -ENOMEM;
    return body_part_prepare(&i->part, i->daemon->config.bodies_dir, &i->content, &i->file.shape,
                             buf_slice(&i->file.info), i->file.list, i->have);
}

static void body_work(uv_work_t *work)
{
    struct import *i = work->data;
    uint32_t count = i->file.shape.block_count;
    uint8_t *block CLEANUP(freep) = malloc(i->file.shape.block_bytes + BLOCK_OVERHEAD_BYTES);
    i->outcome = block == NULL ? -ENOMEM : i->have == NULL ? prepare(i) : 0;
    for (uint64_t bytes = 0; i->outcome == 0 && i->next_block < count && bytes < MEDIUM_STEP_BYTES; i->next_block++) {
        if (i->have[i->next_block] != RECEIVE_MISSING)
            continue;
        i->outcome = copy_block(i, i->next_block, block);
        i->have[i->next_block] = RECEIVE_AT_SYNC;
        bytes += body_block_len(&i->file.shape, i->next_block);
    }
    if (i->outcome != 0)
        return;
    i->outcome = body_part_sync(&i->part, i->have, RECEIVE_AT_SYNC);
    if (i->outcome == 0 && i->next_block == count)
        i->outcome = body_part_finish(&i->part);
}

static void on_body(uv_work_t *work, int status)
{
    struct import *i = work->data;
    (void)status;
    if (i->outcome != 0) {
        item_refused(i, reason_of_error(i->outcome), NULL);
        return;
    }
    call_progress(i->call, (uint64_t)i->next_block * i->file.shape.block_bytes, i->file.shape.plain_bytes, "importing");
    if (i->next_block < i->file.shape.block_count)
        queue(i, body_work, on_body);
    else
        commit(i);
}

/* ---- checking ------------------------------------------------------------------------------------------------ */

static void on_checked(const struct answer *answer, void *ctx)
{
    struct import *i = ctx;
    vlt_CertificateState state;
    if (answer->why != REASON_NONE)
        item_refused(i, answer->why, answer->refusal->text);
    else if (CODEC_DECODE(vlt_CertificateState, answer->frame->message, &state) != 0)
        item_refused(i, REASON_INTERNAL, NULL);
    else if (state.state != STATE_RESERVED)
        item_refused(i, REASON_SERIAL_ALREADY_USED, NULL);
    else if (i->complete)
        commit(i);
    else if (transfers_incoming(i->daemon, &i->content) != NULL)
        item_refused(i, REASON_IN_USE, "It is on its way here already.");
    else
        queue(i, body_work, on_body);
}

static int check(struct import *i)
{
    struct papers papers = {
        .certificate = CODEC_BYTES(i->certificate.certificate),
        .delegation = i->certificate.has_delegation ? CODEC_BYTES(i->certificate.delegation) : slice(NULL, 0),
        .info = buf_slice(&i->file.info),
        .list_root = i->file.list_root,
    };
    return papers_check(i->daemon, &papers, on_checked, i);
}

/* One for another device, or one that was altered so that it looks like that. */
static int judge_other(const struct import *i)
{
    doc_CopyCertificate certificate;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_COPY_CERTIFICATE, CODEC_BYTES(i->certificate.certificate), &certificate,
                          sizeof(certificate), signer);
    return r != 0 ? r : REASON_WRONG_DESTINATION;
}

static void on_opened(uv_work_t *work, int status)
{
    struct import *i = work->data;
    (void)status;
    int r = i->outcome;
    if (r != 0) {
        file_refused(i, r);
        return;
    }
    if (!id_equal(i->name.destination.bytes, i->daemon->self.bytes))
        r = judge_other(i);
    if (r == 0)
        r = check(i);
    if (r != 0)
        item_refused(i, reason_of_error(r), r < 0 ? strerror(-r) : NULL);
}

static void next_item(struct import *i)
{
    item_close(i);
    i->at++; /* from SIZE_MAX to the first */
    if (i->at >= i->count || i->daemon->transfers->stopping) {
        end(i);
        return;
    }
    queue(i, open_work, on_opened);
}

void import_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Import *m = message;
    struct import *i = m->path[0] == '/' ? calloc(1, sizeof(*i)) : NULL;
    char **names = i == NULL ? NULL : calloc(ITEMS_MAX, sizeof(*names));
    if (names == NULL) {
        free(i);
        call_refuse(c, m->path[0] == '/' ? REASON_INTERNAL : REASON_NOT_FOUND,
                    m->path[0] == '/' ? NULL : "Name a package, a certificate or a directory by its whole path.");
        return;
    }
    i->daemon = d;
    i->call = c;
    i->names = names;
    i->fd = -1;
    i->name.license = buf(0);
    body_part_init(&i->part);
    CODEC_SET_TEXT(i->path, m->path);
    transfers_hold(d->transfers);
    i->work.data = i;
    i->at = SIZE_MAX;
    queue(i, list_work, on_listed);
}
