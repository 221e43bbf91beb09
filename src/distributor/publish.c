/* Encrypting a file into a body, streaming. See crypto/body.h for the layout. One thread. */
#define LOG_MODULE "publish"
#include "distributor/publish.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "crypto/body.h"
#include "crypto/contentkey.h"
#include "crypto/merkle.h"
#include "crypto/sha256.h"
#include "distributor/backup_files.h"

#define READ_BYTES (256 * 1024)
#define PATH_BYTES 1400
#define PART_PREFIX "publish-"

/* --- Paths ------------------------------------------------------------------------------------------------------- */

int publish_body_path(struct operations *o, const struct id *content, char *out, size_t cap)
{
    char id[ID_TEXT_BYTES];
    id_text(content, id);
    return (size_t)snprintf(out, cap, "%s/bodies/%s.body", o->state_dir, id) < cap ? 0 : -ENAMETOOLONG;
}

/* --- Hash -------------------------------------------------------------------------------------------------------- */

static int open_source(const char *path, uint64_t *bytes)
{
    int fd = -1;
    struct stat st;
    int r = file_open_regular(path, 0, &fd);
    if (r != 0)
        return r == FILE_NOT_REGULAR ? -EINVAL : r;
    r = fstat(fd, &st) != 0 ? -errno : 0;
    if (r != 0) {
        close(fd);
        return r;
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    *bytes = (uint64_t)st.st_size;
    return fd;
}

static void progress(const struct publish *p, uint64_t done, uint64_t all)
{
    if (p->on_progress)
        p->on_progress(p->ctx, done, all);
}

/* Both passes together are 100 %. */
int publish_hash(const struct publish *p, uint8_t hash[32])
{
    uint64_t bytes = 0;
    int fd CLEANUP(closep) = open_source(p->path, &bytes);
    if (fd < 0)
        return fd;
    if (bytes == 0 || bytes > (uint64_t)BLOCK_COUNT_MAX * BLOCK_PLAIN_MAX)
        return PUBLISH_EMPTY;
    uint8_t *chunk CLEANUP(freep) = malloc(READ_BYTES);
    struct sha256_state state CLEANUP(sha256_abort) = { NULL };
    int r = chunk ? sha256_init(&state) : -ENOMEM;
    for (uint64_t at = 0; r == 0 && at < bytes; at += READ_BYTES) {
        size_t len = (size_t)u64_min(READ_BYTES, bytes - at);
        r = file_pread_all(fd, chunk, len, at);
        if (r == 0)
            sha256_update(&state, slice(chunk, len));
        progress(p, at + len, 2 * bytes);
    }
    if (r == 0)
        sha256_final(&state, hash);
    return r;
}

/* --- Body -------------------------------------------------------------------------------------------------------- */

struct writing {
    const struct publish *p;
    const struct rng *rng;
    int in, out;
    struct body_shape shape;
    doc_ContentInfo info;
    struct buf info_bytes;
    struct key32 content_key;
    uint8_t *plain, *sealed, *hashes;
    struct sha256_state file_hash;
    char part[PATH_BYTES];
};

static void writing_deinit(struct writing *w)
{
    key32_wipe(&w->content_key);
    if (w->plain)
        secret_wipe(w->plain, w->shape.block_bytes);
    free(w->plain);
    free(w->sealed);
    free(w->hashes);
    buf_free(&w->info_bytes);
    sha256_abort(&w->file_hash);
    closep(&w->in);
    closep(&w->out);
    if (w->part[0] != '\0')
        unlink(w->part);
}

/* Of what is played, no more than a second: use is measured in blocks. */
static uint32_t block_bytes_of(uint64_t plain_bytes, uint64_t duration_ms)
{
    uint32_t bytes = BLOCK_PLAIN_DEFAULT;
    while (duration_ms > 0 && bytes > BLOCK_PLAIN_PLAYED_MIN && bytes > plain_bytes / (duration_ms / 1000 + 1))
        bytes /= 2;
    while ((plain_bytes - 1) / bytes + 1 > BLOCK_COUNT_MAX && bytes < BLOCK_PLAIN_MAX)
        bytes *= 2;
    return bytes;
}

static int describe(struct operations *o, struct writing *w, uint64_t plain_bytes)
{
    const struct tags *t = &w->p->tags;
    doc_ContentInfo *i = &w->info;
    memcpy(i->publisher, o->keys->self.bytes, ID_BYTES);
    CODEC_SET_TEXT(i->media_type, t->media_type);
    CODEC_SET_TEXT(i->title, t->title);
    i->has_creator = t->creator[0] != '\0';
    CODEC_SET_TEXT(i->creator, t->creator);
    i->has_album = t->album[0] != '\0';
    CODEC_SET_TEXT(i->album, t->album);
    i->has_metadata_signers = w->p->signers != NULL;
    if (w->p->signers)
        i->metadata_signers = *w->p->signers;
    i->duration_ms = t->duration_ms;
    i->plain_bytes = plain_bytes;
    i->block_bytes = block_bytes_of(plain_bytes, t->duration_ms);
    i->block_count = (uint32_t)((plain_bytes - 1) / i->block_bytes + 1);
    rng_fill(w->rng, i->nonce, sizeof(i->nonce));
    int r = CODEC_ENCODE(doc_ContentInfo, &w->info_bytes, i);
    if (r != 0)
        return r < 0 ? r : PUBLISH_EMPTY;
    return body_shape_init(&w->shape, plain_bytes, i->block_bytes, w->info_bytes.len) != 0 ? PUBLISH_EMPTY : 0;
}

/* While it is written it has no name, so that nothing stays behind whoever ends us. A file system that cannot do that gives it one; then a lock says
 * that it is being written (publish_clean). */
static int open_part(struct writing *w)
{
    char dir[PATH_BYTES];
    snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(w->part, '/') - w->part), w->part);
    w->out = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (w->out >= 0) {
        w->part[0] = '\0';
        return 0;
    }
    w->out = mkostemp(w->part, O_CLOEXEC);
    if (w->out >= 0)
        return flock(w->out, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
    int r = -errno;
    w->part[0] = '\0';
    return r;
}

static int remove_left(void *ctx, const char *name)
{
    char path[PATH_BYTES];
    if (strncmp(name, PART_PREFIX, strlen(PART_PREFIX)) != 0 || file_join(path, sizeof(path), ctx, name) != 0)
        return 0;
    int fd CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlink(path) == 0)
        log_info("removed what an interrupted publish left file=%s", name);
    return 0;
}

void publish_clean(const char *state_dir)
{
    char bodies[PATH_BYTES];
    if (file_join(bodies, sizeof(bodies), state_dir, "bodies") != 0)
        return;
    int r = backup_each(bodies, remove_left, bodies);
    if (r != 0)
        log_warn("cannot look for what was left errno=%d", -r);
}

static int prepare(struct operations *o, struct writing *w, struct content_new *n)
{
    uint64_t bytes = 0;
    w->in = open_source(w->p->path, &bytes);
    if (w->in < 0)
        return w->in;
    if (bytes == 0 || bytes > (uint64_t)BLOCK_COUNT_MAX * BLOCK_PLAIN_MAX)
        return PUBLISH_EMPTY;
    int r = describe(o, w, bytes);
    if (r != 0)
        return r;
    rng_fill(w->rng, n->header_half.bytes, sizeof(n->header_half.bytes));
    rng_fill(w->rng, n->license_half.bytes, sizeof(n->license_half.bytes));
    contentkey_derive(&n->header_half, &n->license_half, w->info.nonce, &w->content_key);
    w->plain = malloc(w->shape.block_bytes);
    w->sealed = malloc((size_t)w->shape.block_bytes + BLOCK_OVERHEAD_BYTES);
    w->hashes = calloc(w->shape.block_count, MERKLE_HASH_BYTES);
    if (!w->plain || !w->sealed || !w->hashes)
        return -ENOMEM;
    r = sha256_init(&w->file_hash);
    if (r != 0)
        return r;
    if ((size_t)snprintf(w->part, sizeof(w->part), "%s/bodies/" PART_PREFIX "XXXXXX", o->state_dir) >= sizeof(w->part))
        return -ENAMETOOLONG;
    return open_part(w);
}

static int write_blocks(struct writing *w)
{
    const struct body_shape *s = &w->shape;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < s->block_count; i++) {
        uint32_t len = body_block_len(s, i), plain_len = len - BLOCK_OVERHEAD_BYTES;
        uint64_t at = (uint64_t)i * s->block_bytes;
        r = file_pread_all(w->in, w->plain, plain_len, at);
        if (r != 0)
            return r == -EIO ? PUBLISH_CHANGED : r; /* shorter than it was */
        sha256_update(&w->file_hash, slice(w->plain, plain_len));
        r = block_seal(w->rng, &w->content_key, w->info.nonce, i, s->block_count, slice(w->plain, plain_len),
                       w->sealed);
        if (r != 0)
            return r;
        block_hash(slice(w->sealed, len), w->hashes + (size_t)i * MERKLE_HASH_BYTES);
        r = file_pwrite_all(w->out, w->sealed, len, body_block_offset(s, i));
        progress(w->p, s->plain_bytes + at + plain_len, 2 * s->plain_bytes);
    }
    return r;
}

static int write_head(struct writing *w)
{
    uint8_t head[12];
    memcpy(head, BODY_MAGIC, 8);
    put_be32(head + 8, w->shape.info_bytes);
    int r = file_pwrite_all(w->out, head, sizeof(head), 0);
    if (r == 0)
        r = file_pwrite_all(w->out, w->info_bytes.data, w->info_bytes.len, sizeof(head));
    if (r == 0)
        r = file_pwrite_all(w->out, w->hashes, (size_t)w->shape.block_count * MERKLE_HASH_BYTES,
                            body_list_offset(&w->shape));
    return r;
}

/* Under its name only when it is all on disk. */
static int put_in_place(struct operations *o, struct writing *w, const struct id *content)
{
    char path[PATH_BYTES];
    int r = publish_body_path(o, content, path, sizeof(path));
    if (r == 0)
        r = file_sync(w->out);
    if (r == 0 && w->part[0] == '\0') {
        char self[64];
        snprintf(self, sizeof(self), "/proc/self/fd/%d", w->out);
        r = linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
    } else if (r == 0 && rename(w->part, path) != 0) {
        r = -errno;
    }
    if (r != 0)
        return r;
    w->part[0] = '\0';
    return file_sync_parent(path);
}

static void fill_content(const struct writing *w, struct content *c)
{
    snprintf(c->title, sizeof(c->title), "%s", w->info.title);
    snprintf(c->creator, sizeof(c->creator), "%s", w->info.creator);
    snprintf(c->album, sizeof(c->album), "%s", w->info.album);
    snprintf(c->media_type, sizeof(c->media_type), "%s", w->info.media_type);
    c->duration_ms = w->info.duration_ms;
    c->plain_bytes = w->info.plain_bytes;
    c->withdrawn = false;
}

int publish_body(struct operations *o, const struct publish *p, const uint8_t hash[32], struct content_new *out)
{
    struct writing w CLEANUP(
        writing_deinit) = { .p = p, .rng = o->rng, .in = -1, .out = -1, .info_bytes = buf(BODY_INFO_MAX) };
    uint8_t read_hash[32], list_root[MERKLE_HASH_BYTES];
    int r = prepare(o, &w, out);
    if (r == 0)
        r = write_blocks(&w);
    if (r == 0)
        r = write_head(&w);
    if (r != 0)
        return r;
    sha256_final(&w.file_hash, read_hash);
    if (memcmp(read_hash, hash, sizeof(read_hash)) != 0)
        return PUBLISH_CHANGED;
    merkle_root(w.hashes, w.shape.block_count, list_root);
    body_content_id(buf_slice(&w.info_bytes), list_root, &out->content.id);
    fill_content(&w, &out->content);
    memcpy(out->file_hash, hash, sizeof(out->file_hash));
    out->now_ms = p->now_ms;
    return put_in_place(o, &w, &out->content.id);
}

void content_new_wipe(struct content_new *n)
{
    key32_wipe(&n->header_half);
    key32_wipe(&n->license_half);
}

void publish_undo(struct operations *o, const struct content_new *n)
{
    char path[PATH_BYTES];
    if (publish_body_path(o, &n->content.id, path, sizeof(path)) == 0)
        unlink(path);
}
