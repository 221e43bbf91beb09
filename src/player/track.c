/* Blocks from the body file through the vault into memory. Plaintext stays in this process. */
#define LOG_MODULE "track"
#include "player/track.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/util.h"
#include "crypto/body.h"
#include "documents.pb.h"
#include "net/window.h"
#include "vault.pb.h"

#define NO_BLOCK UINT32_MAX
#define MAGIC_BYTES 8

struct track {
    int body_fd;
    struct channel vault;
    struct body_shape shape;
    struct window window; /* given with the first question */
    uint32_t index;       /* of the block in its plain part; NO_BLOCK at first */
    uint32_t request;
    enum reason failure;
    atomic_bool cancelled; /* by another thread */
};

/* Layout: crypto/body.h. Its content ID was judged by the vault, over the same bytes. */
static int read_shape(int fd, struct body_shape *shape)
{
    uint8_t head[MAGIC_BYTES + 4], info[BODY_INFO_MAX];
    doc_ContentInfo content;
    int r = file_pread_all(fd, head, sizeof(head), 0);
    if (r != 0)
        return r == -EIO ? REASON_BLOCK_CORRUPT : r;
    uint32_t info_bytes = get_be32(head + MAGIC_BYTES);
    if (memcmp(head, BODY_MAGIC, MAGIC_BYTES) != 0 || info_bytes == 0 || info_bytes > sizeof(info))
        return REASON_BLOCK_CORRUPT;
    r = file_pread_all(fd, info, info_bytes, sizeof(head));
    if (r != 0)
        return r == -EIO ? REASON_BLOCK_CORRUPT : r;
    if (CODEC_DECODE(doc_ContentInfo, slice(info, info_bytes), &content) != 0 ||
        body_shape_init(shape, content.plain_bytes, content.block_bytes, info_bytes) != 0)
        return REASON_BLOCK_CORRUPT;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    return S_ISREG(st.st_mode) && (uint64_t)st.st_size == body_file_bytes(shape) ? 0 : REASON_BLOCK_CORRUPT;
}

static void track_closep(struct track **t) { track_close(*t); }

int track_open(struct track **out, int body_fd, int vault_fd)
{
    struct track *t CLEANUP(track_closep) = calloc(1, sizeof(*t));
    if (!t) {
        closep(&body_fd);
        closep(&vault_fd);
        return -ENOMEM;
    }
    t->body_fd = body_fd;
    t->index = NO_BLOCK;
    channel_init(&t->vault, vault_fd, 0);
    int r = read_shape(body_fd, &t->shape);
    if (r != 0)
        return r;
    *out = steal(&t);
    return 0;
}

void track_close(struct track *t)
{
    if (!t)
        return;
    closep(&t->body_fd);
    channel_deinit(&t->vault);
    window_wipe(&t->window);
    free(t);
}

uint64_t track_bytes(const struct track *t) { return t->shape.plain_bytes; }

enum reason track_failure(const struct track *t) { return t->failure; }

void track_cancel(struct track *t)
{
    atomic_store(&t->cancelled, true); /* before the reader can notice */
    shutdown(t->vault.fd, SHUT_RDWR);
}

static uint32_t plain_len(const struct track *t, uint32_t index)
{
    return body_block_len(&t->shape, index) - BLOCK_OVERHEAD_BYTES;
}

/* What the vault answers to the question that was sent last. 0, a reason, -errno. */
static int take_answer(struct track *t, uint16_t type, struct frame *f)
{
    msg_Refusal refusal;
    int r = channel_read(&t->vault, true, f);
    if (r != 0)
        return r > 0 ? -EPIPE : r;
    return f->request == t->request && f->tail.len == 0 ? reason_of_reply(f, type, &refusal) : REASON_MALFORMED;
}

/* 0, a reason, -errno. */
static int give_window(struct track *t)
{
    static const vlt_WindowGive message;
    struct frame f;
    int fd CLEANUP(closep) = -1;
    int r = window_make(&t->window, t->shape.block_bytes, &fd);
    if (r == 0)
        r = channel_send_fd(&t->vault, vlt_Type_WINDOW_GIVE, ++t->request, vlt_WindowGive_fields, &message, fd);
    return r == 0 ? take_answer(t, vlt_Type_DONE, &f) : r;
}

/* 0, a reason, -errno. */
static int open_block(struct track *t, uint32_t index)
{
    vlt_BlockOpen ask = { .index = index };
    vlt_BlockPlain m;
    struct frame f;
    int r = file_pread_all(t->body_fd, t->window.sealed, body_block_len(&t->shape, index),
                           body_block_offset(&t->shape, index));
    if (r == 0)
        r = channel_send(&t->vault, vlt_Type_BLOCK_OPEN, ++t->request, vlt_BlockOpen_fields, &ask, slice(NULL, 0));
    if (r == 0)
        r = take_answer(t, vlt_Type_BLOCK_PLAIN, &f);
    if (r == 0 && (CODEC_DECODE(vlt_BlockPlain, f.message, &m) != 0 || m.index != index))
        r = REASON_MALFORMED;
    return r;
}

static int fetch(struct track *t, uint32_t index)
{
    int r = t->window.plain == NULL ? give_window(t) : 0;
    t->index = NO_BLOCK;
    if (r == 0)
        r = open_block(t, index);
    if (r == 0)
        t->index = index;
    return r;
}

int64_t track_read(struct track *t, uint64_t offset, void *out, size_t len)
{
    if (offset >= t->shape.plain_bytes || len == 0)
        return 0;
    if (t->failure != REASON_NONE || atomic_load(&t->cancelled))
        return -EIO;
    uint32_t index = (uint32_t)(offset / t->shape.block_bytes);
    size_t within = (size_t)(offset % t->shape.block_bytes);
    if (t->index != index) {
        int r = fetch(t, index);
        if (r != 0 && atomic_load(&t->cancelled))
            return -EIO; /* that is no failure of the track or the vault */
        if (r != 0) {
            t->failure = reason_of_error(r);
            log_warn("a block cannot be read: index=%u reason=%s", index, reason_code(t->failure));
            return -EIO;
        }
    }
    len = size_min(len, plain_len(t, index) - within);
    memcpy(out, t->window.plain + within, len);
    return (int64_t)len;
}
