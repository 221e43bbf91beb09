/* Reading the files of a content, and having the vault judge them one after the other.
 *
 * Callbacks, in order: read_work (pool), on_read, on_judged ..., on_all. */
#include "daemon/metadata.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "daemon/library.h"
#include "daemon/opener.h"
#include "daemon/vault_client.h"
#include "net/serve.h"

struct collect {
    struct daemon *daemon;
    metadata_fn *on_all;
    void *ctx;
    uv_work_t work;
    char body_path[METADATA_PATH_BYTES], extra[1024]; /* extra "": none */
    struct serve_file body;
    int outcome;
    unsigned next; /* item to be judged */
    struct metadata_set *set;
};

void metadata_set_free(struct metadata_set *s)
{
    for (unsigned i = 0; s != NULL && i < s->count; i++)
        buf_free(&s->items[i].file);
    free(s);
}

int metadata_path(const struct daemon *d, const struct id *content, uint32_t number, char out[METADATA_PATH_BYTES])
{
    char id[ID_TEXT_BYTES];
    id_text(content, id);
    int n = snprintf(out, METADATA_PATH_BYTES, "%s/metadata/%s-%u.metadata", d->config.state_dir, id, (unsigned)number);
    return n > 0 && n < METADATA_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

int metadata_start(struct daemon *d)
{
    char path[METADATA_PATH_BYTES];
    int r = file_join(path, sizeof(path), d->config.state_dir, "metadata");
    return r == 0 ? file_make_dirs(path, 0700) : r;
}

/* --- 3: the end --------------------------------------------------------------------------------------------------- */

static void end(struct collect *c, int error)
{
    struct metadata_set *set = steal(&c->set);
    if (error != 0) {
        metadata_set_free(set);
        set = NULL;
    }
    c->on_all(set, error == 0 ? REASON_NONE : reason_of_error(error), c->ctx);
    serve_file_deinit(&c->body);
    free(c);
}

/* --- 2: judged ---------------------------------------------------------------------------------------------------- */

static void ask_next(struct collect *c);

/* From here on its parts are looked at: the vault has found them to be the ones that were signed. */
static void open_parts(struct metadata_item *item)
{
    struct metadata_file file;
    int r = metadata_file_split(buf_slice(&item->file), &file);
    if (r == 0)
        r = metadata_parts_judge(file.parts, item->counts);
    if (r == 0)
        item->parts = file.parts;
    else
        item->verdict = REASON_MALFORMED;
}

static void on_judged(const struct answer *answer, void *ctx)
{
    struct collect *c = ctx;
    struct metadata_item *item = &c->set->items[c->next++];
    item->verdict = answer->why;
    if (answer->why == REASON_NONE && CODEC_DECODE(vlt_MetadataJudged, answer->frame->message, &item->judged) != 0) {
        item->verdict = REASON_INTERNAL;
    } else if (answer->why == REASON_NONE) {
        item->known = true;
        item->verdict = item->judged.reason[0] != '\0' ? reason_of_code(item->judged.reason) : REASON_NONE;
    }
    if (item->verdict == REASON_NONE)
        open_parts(item);
    ask_next(c);
}

static int ask(struct collect *c, const struct metadata_item *item)
{
    vlt_MetadataJudge *m CLEANUP(freep) = calloc(1, sizeof(*m));
    if (m == NULL)
        return -ENOMEM;
    m->keep = item->number == 0;
    memcpy(m->content, c->set->content.bytes, ID_BYTES);
    memcpy(m->list_root, c->body.list_root, sizeof(m->list_root));
    if (CODEC_SET_BYTES(m->info, buf_slice(&c->body.info)) != 0)
        return -EPROTO;
    int fd = file_in_memory("metadata",
                            buf_slice(&item->file)); /* what is judged is what was read, whatever becomes of the file */
    return fd < 0 ? fd
                  : vault_call_fd(c->daemon->vault,
                                  &ASK(vlt_Type_METADATA_JUDGE, vlt_Type_METADATA_JUDGED, vlt_MetadataJudge, m), fd,
                                  on_judged, c);
}

static void ask_next(struct collect *c)
{
    while (c->next < c->set->count && c->set->items[c->next].verdict != REASON_NONE)
        c->next++; /* could not even be read */
    int r = c->daemon->stopping ? REASON_CANCELLED : 0;
    if (r == 0 && c->next < c->set->count)
        r = ask(c, &c->set->items[c->next]);
    else if (r == 0)
        r = -EALREADY;
    if (r != 0)
        end(c, r == -EALREADY ? 0 : r);
}

/* --- 1: read ------------------------------------------------------------------------------------------------------ */

static bool is_not_there(int error)
{
    return error == FILE_NOT_REGULAR || error == -ENOENT || error == -EACCES || error == -EISDIR || error == -ENOTDIR ||
           error == -ELOOP;
}

/* One that is too large is none of ours; nothing of it is kept. */
static int read_one(struct collect *c, const char *path, uint32_t number)
{
    struct metadata_set *set = c->set;
    struct metadata_item *item = &set->items[set->count];
    int fd CLEANUP(closep) = -1;
    item->file = buf(METADATA_FILE_MAX);
    int r = number == 0 ? opener_read(c->daemon->opener, path, 0, &fd) : file_open_regular(path, 0, &fd);
    if (r == 0)
        r = file_read_open(fd, &item->file);
    if (r == -ENOENT && number != 0)
        return 0;
    if (r == -ENOMEM || (r != 0 && r != OPENER_FOREIGN && number == 0)) {
        buf_free(&item->file);
        return r == BUF_FULL ? REASON_TOO_LARGE : is_not_there(r) ? REASON_NOT_FOUND : r;
    }
    item->number = number;
    item->verdict = r == 0 && item->file.len > 0 ? REASON_NONE : REASON_MALFORMED;
    set->count++;
    return 0;
}

static int read_range(struct collect *c)
{
    doc_ContentInfo *info CLEANUP(freep) = malloc(sizeof(*info));
    struct id named;
    int r = info == NULL ? -ENOMEM : info_judge(buf_slice(&c->body.info), c->body.list_root, info, &named);
    if (r == 0 && info->has_metadata_signers)
        c->set->range = info->metadata_signers.kind;
    return r;
}

static int read_all(struct collect *c)
{
    char path[METADATA_PATH_BYTES];
    int fd CLEANUP(closep) = -1;
    int r = file_open_regular(c->body_path, O_NOFOLLOW, &fd);
    if (r != 0)
        return r == -ENOENT || r == FILE_NOT_REGULAR ? REASON_NOT_FOUND : r;
    r = serve_file_read(fd, &c->set->content, &c->body);
    if (r == 0)
        r = read_range(c);
    for (uint32_t number = 1; r == 0 && number <= METADATA_FILES_MAX; number++) {
        r = metadata_path(c->daemon, &c->set->content, number, path);
        if (r == 0)
            r = read_one(c, path, number);
    }
    if (r == 0 && c->extra[0] != '\0')
        r = read_one(c, c->extra, 0);
    return r;
}

static void read_work(uv_work_t *work)
{
    struct collect *c = work->data;
    c->outcome = read_all(c);
}

static void on_read(uv_work_t *work, int status)
{
    struct collect *c = work->data;
    (void)status;
    if (c->outcome != 0)
        end(c, c->outcome);
    else
        ask_next(c);
}

int metadata_collect(struct daemon *d, const struct id *content, const char *extra, metadata_fn *on_all, void *ctx)
{
    struct collect *c = calloc(1, sizeof(*c));
    struct metadata_set *set = calloc(1, sizeof(*set));
    if (c == NULL || set == NULL || library_body_path(d, content, ".body", c->body_path, sizeof(c->body_path)) != 0) {
        free(c);
        free(set);
        return -ENOMEM;
    }
    set->content = *content;
    c->daemon = d;
    c->on_all = on_all;
    c->ctx = ctx;
    c->set = set;
    c->work.data = c;
    (void)snprintf(c->extra, sizeof(c->extra), "%s", extra != NULL ? extra : "");
    (void)uv_queue_work(d->loop, &c->work, read_work, on_read); /* fails only without a function */
    return 0;
}
