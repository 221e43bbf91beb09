/* Package and certificate files. Blocking; pool threads. */
#include "daemon/medium.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "protocol/codec.h"

#define LOG_MODULE "medium"
#include "base/log.h"

#define PACKAGE_MAGIC "HEARTHP1"
#define CERTIFICATE_MAGIC "HEARTHC1"
#define HEAD_BYTES 12
#define COPY_BYTES (1u << 20)

/* magic || length:4 || message */
static int put_head(struct buf *out, const char magic[8], const pb_msgdesc_t *fields, const void *message)
{
    struct buf encoded CLEANUP(buf_free) = buf(4096);
    int r = codec_encode(&encoded, fields, message);
    if (r == 0)
        r = buf_append(out, slice(magic, 8));
    if (r == 0)
        r = codec_list_put(out, buf_slice(&encoded));
    return r <= 0 ? r : -EMSGSIZE;
}

/* The message at the front of fd, and where it ends. 0, REASON_MALFORMED, -errno. */
static int get_head(int fd, const char magic[8], const pb_msgdesc_t *fields, size_t max_bytes, void *message,
                    size_t size, uint64_t *end)
{
    uint8_t head[HEAD_BYTES], bytes[4096];
    int r = file_pread_all(fd, head, sizeof(head), 0);
    if (r != 0)
        return r == -EIO ? REASON_MALFORMED : r;
    size_t len = get_be32(head + 8);
    if (memcmp(head, magic, 8) != 0 || len > max_bytes || len > sizeof(bytes))
        return REASON_MALFORMED;
    r = file_pread_all(fd, bytes, len, sizeof(head));
    if (r == 0)
        r = codec_decode(fields, max_bytes, slice(bytes, len), message, size);
    if (r != 0)
        return r == -EIO || r > 0 ? REASON_MALFORMED : r;
    *end = sizeof(head) + len;
    return 0;
}

/* A new file under this name, whatever was there: nothing of a medium is written through. The descriptor, -errno. */
static int create_part(struct opener *o, const char *part)
{
    int r = opener_remove(o, part);
    return r == 0 || r == -ENOENT ? opener_create(o, part, 0644) : r;
}

static int sync_fd(int fd) { return fsync(fd) == 0 ? 0 : -errno; }

/* Renames a finished file to its name and makes that durable. */
static int publish(struct opener *o, const char *part, const char *path)
{
    char dir[MEDIUM_PATH_BYTES];
    int r = opener_rename(o, part, path);
    if (r != 0)
        return r;
    (void)snprintf(dir, sizeof(dir), "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash != NULL)
        *slash = '\0';
    int fd CLEANUP(closep) = opener_list(o, dir[0] == '\0' ? "/" : dir);
    if (fd < 0)
        return fd;
    r = sync_fd(fd);
    return r == -EINVAL ? 0 : r; /* file systems of media need not sync directories */
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

void medium_writer_init(struct medium_writer *w, struct opener *o)
{
    *w = (struct medium_writer){ .opener = o, .from = -1, .to = -1 };
}

void medium_writer_deinit(struct medium_writer *w)
{
    if (w->to >= 0 && opener_remove(w->opener, w->part) != 0) /* it may be gone with its medium */
        log_debug("what was written in part may lie there still");
    closep(&w->from);
    closep(&w->to);
    w->from = w->to = -1;
}

int medium_write_begin(struct medium_writer *w, const char *path, const char *body, const struct id *content)
{
    msg_ExportPackage package = msg_ExportPackage_init_zero;
    struct buf head CLEANUP(buf_free) = buf(4096);
    struct stat st;
    if (snprintf(w->path, sizeof(w->path), "%s", path) >= (int)sizeof(w->path))
        return -ENAMETOOLONG;
    (void)snprintf(w->part, sizeof(w->part), "%s.part", w->path);
    int r = file_open_regular(body, O_NOFOLLOW, &w->from);
    if (r != 0)
        return r == -ENOMEM ? r : -EUCLEAN;
    if (fstat(w->from, &st) != 0)
        return -EUCLEAN;
    w->to = create_part(w->opener, w->part);
    if (w->to < 0)
        return w->to;
    w->total_bytes = (uint64_t)st.st_size;
    memcpy(package.content, content, sizeof(package.content));
    r = put_head(&head, PACKAGE_MAGIC, msg_ExportPackage_fields, &package);
    if (r == 0)
        r = file_pwrite_all(w->to, head.data, head.len, 0);
    if (r == 0 && lseek(w->to, 0, SEEK_END) < 0)
        r = -errno;
    return r;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int medium_write_step(struct medium_writer *w)
{
    uint8_t *chunk CLEANUP(freep) = malloc(COPY_BYTES);
    if (chunk == NULL)
        return -ENOMEM;
    for (uint64_t step = 0; step < MEDIUM_STEP_BYTES && w->done_bytes < w->total_bytes; step += COPY_BYTES) {
        size_t len = (size_t)u64_min(COPY_BYTES, w->total_bytes - w->done_bytes);
        int r = file_pread_all(w->from, chunk, len, w->done_bytes) == 0 ? 0 : -EUCLEAN;
        if (r == 0)
            r = write_all(w->to, chunk, len);
        if (r != 0)
            return r;
        w->done_bytes += len;
    }
    return 0;
}

int medium_write_end(struct medium_writer *w)
{
    int r = sync_fd(w->to);
    if (r == 0)
        r = publish(w->opener, w->part, w->path);
    if (r == 0) {
        closep(&w->to);
        w->to = -1;
    }
    return r;
}

int medium_write_certificate(struct opener *o, const char *path, const msg_ExportCertificate *certificate)
{
    char part[MEDIUM_PATH_BYTES + 8];
    struct buf head CLEANUP(buf_free) = buf(8192);
    (void)snprintf(part, sizeof(part), "%s.part", path);
    int r = put_head(&head, CERTIFICATE_MAGIC, msg_ExportCertificate_fields, certificate);
    int fd CLEANUP(closep) = r == 0 ? create_part(o, part) : -1;
    if (r == 0 && fd < 0)
        r = fd;
    if (r == 0)
        r = file_pwrite_all(fd, head.data, head.len, 0);
    if (r == 0)
        r = sync_fd(fd);
    return r == 0 ? publish(o, part, path) : r;
}

enum reason medium_why(int error, const char *directory, char *detail, size_t cap)
{
    static const struct {
        int error;
        enum reason why;
        const char *words;
    } table[] = {
        { ENOSPC, REASON_STORAGE_FULL, "is full: make room there, or name another place." },
        { EDQUOT, REASON_STORAGE_FULL, "has no more for you: make room there, or name another place." },
        { EFBIG, REASON_TOO_LARGE, "takes no file as large as this one." },
        { ETIMEDOUT, REASON_TIMED_OUT, "does not answer." },
        { EUCLEAN, REASON_INTERNAL, "did not get it: what is here cannot be read (hearth doctor)." },
        { ENOMEM, REASON_INTERNAL, "did not get it: there is not enough memory." },
        { EPIPE, REASON_INTERNAL, "did not get it: hearthd is ending." },
    };
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (table[i].error == -error) {
            (void)snprintf(detail, cap, "%.180s %s", directory, table[i].words);
            return table[i].why;
        }
    (void)snprintf(detail, cap, "%.160s cannot be written: %s. Name another place.", directory, strerror(-error));
    return REASON_NOT_PERMITTED;
}

int medium_look(struct opener *o, const char *directory)
{
    char part[MEDIUM_PATH_BYTES];
    if (snprintf(part, sizeof(part), "%s/look" MEDIUM_PACKAGE ".part", directory) >= (int)sizeof(part))
        return -ENAMETOOLONG;
    int fd CLEANUP(closep) = create_part(o, part);
    return fd < 0 ? fd : opener_remove(o, part);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

int medium_open(struct opener *o, const char *path, int *fd)
{
    int r = opener_read(o, path, O_NOFOLLOW, fd);
    return r > 0 ? REASON_MALFORMED : r;
}

int medium_read_certificate(int fd, msg_ExportCertificate *out)
{
    struct stat st;
    uint64_t end;
    if (fstat(fd, &st) != 0)
        return -errno;
    int r = get_head(fd, CERTIFICATE_MAGIC, msg_ExportCertificate_fields, msg_ExportCertificate_size, out, sizeof(*out),
                     &end);
    return r == 0 && (uint64_t)st.st_size != end ? REASON_MALFORMED : r;
}

int medium_read_package(int fd, uint64_t *base, struct id *content, struct serve_file *file)
{
    msg_ExportPackage package;
    int r =
        get_head(fd, PACKAGE_MAGIC, msg_ExportPackage_fields, msg_ExportPackage_size, &package, sizeof(package), base);
    if (r != 0)
        return r;
    *content = id_from(package.content);
    r = serve_file_read_at(fd, *base, content, file);
    if (r == 0)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint */
    return r;
}
