/* Body files that are open: opened and checked on the pool, shared by the clients that read them, a few kept for the next one.
 *
 * Callbacks, in order: open_work (pool), on_open_done; of a large one in between read_large_work (pool), on_open_done once more. */
#define LOG_MODULE "serve"
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "net/serve_internal.h"

#define LARGE_BYTES (1u << 20)
#define IDLE_LARGE 8u  /* kept open though nobody asks: who has got the list asks for blocks next */
#define IDLE_SMALL 64u /* as many as are offered at a time (copies) */

static void body_free(struct serve_body *b)
{
    struct serve_body **at = &b->serve->bodies;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    serve_file_deinit(&b->file);
    closep(&b->fd);
    free(b);
}

static bool body_is_idle(const struct serve_body *b) { return b->references == 0 && !b->opening; }

void serve_bodies_trim(struct serve *s)
{
    uint32_t idle[2] = { 0 };
    for (struct serve_body *b = s->bodies, *next; b; b = next) {
        next = b->next;
        if (body_is_idle(b) &&
            (++idle[b->large] > (b->large ? IDLE_LARGE : IDLE_SMALL) || b->forgotten || b->outcome != 0 || s->closing))
            body_free(b);
    }
}

void serve_body_unref(struct serve_body *b)
{
    assert(b->references > 0);
    b->references--;
}

static void read_large_work(uv_work_t *work)
{
    struct serve_body *b = work->data;
    b->outcome = serve_file_read(b->fd, &b->content, &b->file);
    (void)posix_fadvise(b->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint */
}

static void open_work(uv_work_t *work)
{
    struct serve_body *b = work->data;
    struct stat st;
    int r = file_open_regular(b->path, O_NOFOLLOW, &b->fd); /* a pipe would hold up the pool */
    if (r == 0 && fstat(b->fd, &st) != 0)
        r = -errno;
    if (r != 0) {
        b->outcome = r == -ENOENT || r == FILE_NOT_REGULAR ? REASON_UNKNOWN_CONTENT : r;
        return;
    }
    b->large = st.st_size > LARGE_BYTES;
    if (!b->large)
        b->outcome = serve_file_read(b->fd, &b->content, &b->file);
}

static void on_open_done(uv_work_t *work, int status)
{
    struct serve_body *b = work->data;
    struct serve *s = b->serve;
    (void)status; /* never cancelled */
    if (b->large && b->outcome == 0 && !b->file.list) {
        serve_queue(s, &b->job, false, read_large_work, on_open_done);
        return;
    }
    b->opening = false;
    if (b->outcome != 0 && b->outcome != REASON_UNKNOWN_CONTENT)
        log_error("a body file cannot be served path=%s outcome=%d", b->path, b->outcome);
    serve_opened(s);
}

int serve_body_get(struct serve *s, const struct id *content, struct serve_body **out)
{
    for (struct serve_body **at = &s->bodies; *at; at = &(*at)->next) {
        struct serve_body *b = *at;
        if (b->forgotten || (!b->opening && b->outcome != 0) || !id_equal(&b->content, content))
            continue;
        *at = b->next; /* to the front */
        b->next = s->bodies;
        s->bodies = b;
        b->references++;
        *out = b;
        return 0;
    }
    struct serve_body *b CLEANUP(freep) = calloc(1, sizeof(*b));
    if (!b)
        return -ENOMEM;
    int r = s->path_of(s->ctx, content, b->path, sizeof(b->path));
    if (r != 0)
        return r;
    b->serve = s;
    b->content = *content;
    b->fd = -1;
    b->job.work.data = b;
    b->references = 1;
    serve_queue(s, &b->job, true, open_work, on_open_done);
    b->opening = true;
    b->next = s->bodies;
    s->bodies = b;
    *out = steal(&b);
    serve_bodies_trim(s);
    return 0;
}
