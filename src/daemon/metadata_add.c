/* hearth metadata add, remove and vouch.
 *
 * Callbacks, in order: on_all (the vault has judged the new one and what is there), write_work (pool), on_written. Of a vouch: read_work (pool),
 * on_read, on_taken. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "control.pb.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/metadata.h"
#include "daemon/opener.h"
#include "daemon/vault_client.h"

struct job {
    struct daemon *daemon;
    struct call *call;
    uv_work_t work;
    char path[1024];
    int outcome;
    struct metadata_set *set; /* add */
    struct metadata_item *item;
    struct buf vouch;
};

static void job_free(struct job *j)
{
    metadata_set_free(j->set);
    buf_free(&j->vouch);
    free(j);
}

/* detail (may be NULL) is what follows the file's name. */
static void refuse(struct job *j, int error, const char *detail)
{
    bool unreadable = error == -ENOENT || error == -EACCES || error == -EISDIR || error == -ENOTDIR;
    const char *name = strrchr(j->path, '/');
    char text[256], safe[256];
    if (unreadable) {
        error = error == -EACCES ? REASON_NOT_PERMITTED : REASON_NOT_FOUND;
        detail = "is no file that hearthd can read.";
    }
    (void)snprintf(text, sizeof(text), "%.80s %s", name != NULL ? name + 1 : j->path, detail != NULL ? detail : "");
    call_refuse(j->call, reason_of_error(error), detail != NULL ? text_safe(text, safe, sizeof(safe)) : NULL);
    job_free(j);
}

static struct job *begin(struct daemon *d, struct call *c, const char *path)
{
    struct job *j = path[0] == '/' ? calloc(1, sizeof(*j)) : NULL;
    if (j == NULL) {
        call_refuse(c, path[0] == '/' ? REASON_INTERNAL : REASON_NOT_FOUND, "Name the file by its whole path.");
        return NULL;
    }
    *j = (struct job){ .daemon = d, .call = c, .vouch = buf(METADATA_VOUCH_MAX + METADATA_KEYSET_MAX + 64) };
    j->work.data = j;
    (void)snprintf(j->path, sizeof(j->path), "%s", path);
    return j;
}

/* --- add ---------------------------------------------------------------------------------------------------------- */

static void write_work(uv_work_t *work)
{
    struct job *j = work->data;
    char path[METADATA_PATH_BYTES];
    j->outcome = metadata_path(j->daemon, &j->set->content, j->item->number, path);
    if (j->outcome == 0)
        j->outcome = file_replace(path, buf_slice(&j->item->file), 0600);
}

static void on_written(uv_work_t *work, int status)
{
    struct job *j = work->data;
    ctl_MetadataRow row;
    (void)status;
    if (j->outcome != 0) {
        refuse(j, j->outcome, NULL);
        return;
    }
    metadata_row(j->set, j->item, &row);
    CALL_ROW(j->call, METADATA_ROW, MetadataRow, &row);
    call_finish(j->call);
    job_free(j);
}

static bool same_source(const struct metadata_item *a, const struct metadata_item *b)
{
    return a->known && b->known && id_equal(a->judged.signer, b->judged.signer) &&
           strcmp(a->judged.language, b->judged.language) == 0;
}

/* In the place of an earlier one of this signer and language, else in the first that is free. 0: there is none. */
static uint32_t choose_number(const struct metadata_set *set, const struct metadata_item *added)
{
    bool taken[METADATA_FILES_MAX + 1] = { false };
    uint32_t number = 1;
    for (unsigned i = 0; i < set->count; i++) {
        const struct metadata_item *item = &set->items[i];
        taken[item->number] = true;
        if (item->number != 0 && same_source(item, added))
            return item->number;
    }
    while (number <= METADATA_FILES_MAX && taken[number])
        number++;
    return number <= METADATA_FILES_MAX ? number : 0;
}

/* What follows the file's name. */
static const char *metadata_refusal(const struct metadata_set *set, const struct metadata_item *item, char *out,
                                    size_t cap)
{
    const char *text = NULL;
    switch (item->verdict) {
    case REASON_MALFORMED:
        return "is no metadata file, or was altered: `hearth-distributor metadata sign` writes them.";
    case REASON_SIGNATURE_INVALID:
        return "was altered, cut off, or is by another than it says.";
    case REASON_CONTENT_ID_MISMATCH:
        return "belongs to another content.";
    case REASON_KEYSET_INVALID:
        return "is signed with keys that are not known here to be its publisher's.";
    case REASON_METADATA_ENDED:
        return "has ended, or has not begun.";
    case REASON_METADATA_OUTDATED:
        return "is older than what its signer said here before.";
    case REASON_METADATA_NOT_PERMITTED:
        text = metadata_range_words(set, item);
        (void)snprintf(out, cap, "is not permitted: %s", text);
        return out;
    default:
        text = reason_text(item->verdict);
        (void)snprintf(out, cap, "is not taken. %s", text);
        return out;
    }
}

static void on_all(struct metadata_set *set, enum reason why, void *ctx)
{
    struct job *j = ctx;
    j->set = set;
    if (set == NULL) {
        refuse(j, why == REASON_NOT_FOUND ? -ENOENT : (int)why, why == REASON_TOO_LARGE ? "is too large." : NULL);
        return;
    }
    j->item = &set->items[set->count - 1];
    if (j->item->verdict != REASON_NONE) {
        char said[192];
        refuse(j, j->item->verdict, metadata_refusal(set, j->item, said, sizeof(said)));
        return;
    }
    j->item->number = choose_number(set, j->item);
    if (j->item->number == 0)
        refuse(j, REASON_TOO_LARGE, "is one too many: hearth metadata remove TRACK N makes room.");
    else
        (void)uv_queue_work(j->daemon->loop, &j->work, write_work, on_written);
}

void metadata_add_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_MetadataAdd *m = message;
    char detail[256] = "";
    struct track *t;
    int r = library_resolve(d, m->track, &t, detail, sizeof(detail));
    if (r != 0) {
        call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
        return;
    }
    if (!t->has_body) {
        call_refuse(c, REASON_NOT_FOUND, "Its content is not on this device: hearth get TRACK --download-only");
        return;
    }
    struct job *j = begin(d, c, m->path);
    r = j != NULL ? metadata_collect(d, &t->content, m->path, on_all, j) : 0;
    if (r != 0)
        refuse(j, r, NULL);
}

/* --- remove ------------------------------------------------------------------------------------------------------- */

void metadata_remove_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_MetadataRemove *m = message;
    char path[METADATA_PATH_BYTES], detail[256] = "";
    struct track *t;
    int r = library_resolve(d, m->track, &t, detail, sizeof(detail));
    if (r == 0)
        r = metadata_path(d, &t->content, m->number, path);
    if (r == 0 && (m->number == 0 || m->number > METADATA_FILES_MAX || unlink(path) != 0)) {
        bool absent = m->number == 0 || m->number > METADATA_FILES_MAX || errno == ENOENT;
        if (absent)
            (void)snprintf(detail, sizeof(detail), "There is no metadata of this number: hearth metadata list TRACK");
        r = absent ? REASON_NOT_FOUND : -errno;
    }
    if (r == 0)
        call_finish(c);
    else
        call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
}

#define NO_VOUCH "is no vouch, or was altered: `hearth-distributor metadata vouch` writes them."

/* --- vouch -------------------------------------------------------------------------------------------------------- */

static const char *vouch_refusal(enum reason why)
{
    return why == REASON_MALFORMED           ? NO_VOUCH
           : why == REASON_METADATA_OUTDATED ? "is older than what its distributor said of this provider here before."
           : why == REASON_SIGNATURE_INVALID ? "was altered, or its distributor has given up the key that signed it."
           : why == REASON_KEYSET_INVALID    ? "is signed with keys that are not its distributor's."
                                             : NULL;
}

static void on_taken(const struct answer *answer, void *ctx)
{
    struct job *j = ctx;
    if (answer->why != REASON_NONE) {
        refuse(j, answer->why, vouch_refusal(answer->why));
        return;
    }
    call_finish(j->call);
    job_free(j);
}

static void read_work(uv_work_t *work)
{
    struct job *j = work->data;
    int fd CLEANUP(closep) = -1;
    j->outcome = opener_read(j->daemon->opener, j->path, 0, &fd);
    if (j->outcome == 0)
        j->outcome = file_read_open(fd, &j->vouch);
}

static void on_read(uv_work_t *work, int status)
{
    struct job *j = work->data;
    const vlt_MetadataVouch m = { 0 };
    struct ask ask = ASK(vlt_Type_METADATA_VOUCH, vlt_Type_DONE, vlt_MetadataVouch, &m);
    (void)status;
    int r = j->outcome > 0 ? REASON_MALFORMED : j->outcome;
    ask.tail = buf_slice(&j->vouch);
    if (r == 0)
        r = vault_call(j->daemon->vault, &ask, on_taken, j);
    if (r != 0)
        refuse(j, r, r == REASON_MALFORMED ? NO_VOUCH : NULL);
}

void metadata_vouch_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_MetadataVouch *m = message;
    struct job *j = begin(d, c, m->path);
    if (j != NULL)
        (void)uv_queue_work(d->loop, &j->work, read_work, on_read);
}
