/* Part files and their maps. What a map says is believed only as far as its header allows. Blocking; pool threads. */
#include "net/bodies.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "crypto/block.h"
#include "crypto/merkle.h"
#include "protocol/receive.h"

#define LOG_MODULE "bodies"
#include "base/log.h"

#define MAP_HEAD_BYTES 64
#define BOOT_ID_BYTES 16
#define BOOT_ID_TEXT 36

int bodies_path(const char *dir, const struct id *content, enum bodies_suffix suffix, char out[BODIES_PATH_BYTES])
{
    static const char *const endings[] = { "body", "part", "map" };
    char text[ID_TEXT_BYTES];
    id_text(content, text);
    int n = snprintf(out, BODIES_PATH_BYTES, "%s/%s.%s", dir, text, endings[suffix]);
    return n > 0 && n < BODIES_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

void body_part_init(struct body_part *p) { *p = (struct body_part){ .fd = -1, .map_fd = -1 }; }

void body_part_deinit(struct body_part *p)
{
    closep(&p->fd);
    closep(&p->map_fd);
    p->fd = p->map_fd = -1;
}

static int remove_one(const char *dir, const struct id *content, enum bodies_suffix suffix)
{
    char path[BODIES_PATH_BYTES];
    int r = bodies_path(dir, content, suffix, path);
    if (r != 0)
        return r;
    return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

/* ---- what is there ------------------------------------------------------------------------------------------- */

static int read_head(const char *path, const struct id *content, struct serve_file *out)
{
    int fd CLEANUP(closep) = -1;
    int r = file_open_regular(path, O_NOFOLLOW, &fd);
    if (r != 0)
        return r == -ENOENT || r == FILE_NOT_REGULAR ? REASON_NOT_FOUND : r;
    return serve_file_read(fd, content, out);
}

/* The map of an older part is not about it. */
static int become_part(const char *dir, const struct id *content, const char *body)
{
    char part[BODIES_PATH_BYTES];
    int r = bodies_path(dir, content, BODIES_PART, part);
    if (r == 0)
        r = remove_one(dir, content, BODIES_MAP);
    if (r == 0 && rename(body, part) != 0)
        r = -errno;
    return r == 0 ? file_sync_dir(dir) : r;
}

bool bodies_any(const char *dir, const struct id *content)
{
    static const enum bodies_suffix suffixes[] = { BODIES_BODY, BODIES_PART };
    char path[BODIES_PATH_BYTES];
    bool any = false;
    for (size_t i = 0; i < ARRAY_COUNT(suffixes) && !any; i++)
        any = bodies_path(dir, content, suffixes[i], path) != 0 || access(path, F_OK) == 0 || errno != ENOENT;
    return any;
}

int bodies_complete(const char *dir, const struct id *content, struct serve_file *out)
{
    char path[BODIES_PATH_BYTES];
    int r = bodies_path(dir, content, BODIES_BODY, path);
    if (r == 0)
        r = read_head(path, content, out);
    if (r == REASON_BLOCK_CORRUPT || r == REASON_CONTENT_ID_MISMATCH) {
        log_warn("a body is damaged before its blocks path=%s", path);
        int outcome = become_part(dir, content, path);
        return outcome == 0 ? r : outcome;
    }
    return r;
}

int body_part_load(const char *dir, const struct id *content, struct serve_file *out)
{
    char path[BODIES_PATH_BYTES];
    int r = bodies_path(dir, content, BODIES_PART, path);
    return r == 0 ? read_head(path, content, out) : r;
}

/* Marks the blocks of the file that fit their hashes as written; *missing counts the others. 0, -ENOMEM, -errno. */
static int look_through(int fd, const struct body_shape *shape, const uint8_t *list, uint8_t *have, uint32_t *missing)
{
    uint8_t hash[MERKLE_HASH_BYTES];
    uint8_t *block CLEANUP(freep) = malloc(body_block_len(shape, 0));
    if (block == NULL)
        return -ENOMEM;
    *missing = 0;
    for (uint32_t i = 0; i < shape->block_count; i++) {
        size_t len = body_block_len(shape, i);
        int r = file_pread_all(fd, block, len, body_block_offset(shape, i));
        if (r != 0 && r != -EIO) /* what the disk cannot read is missing */
            return r;
        if (r == 0)
            block_hash(slice(block, len), hash);
        bool fits = r == 0 && memcmp(hash, list + (size_t)i * MERKLE_HASH_BYTES, sizeof(hash)) == 0;
        have[i] = fits ? RECEIVE_WRITTEN : RECEIVE_MISSING;
        *missing += !fits;
    }
    return 0;
}

int bodies_verify(const char *dir, const struct id *content)
{
    struct serve_file file CLEANUP(serve_file_deinit) = { .list = NULL };
    char path[BODIES_PATH_BYTES];
    uint32_t missing;
    int r = bodies_path(dir, content, BODIES_BODY, path);
    if (r == 0)
        r = read_head(path, content, &file);
    if (r != 0)
        return r == REASON_CONTENT_ID_MISMATCH ? REASON_BLOCK_CORRUPT : r;
    int fd CLEANUP(closep) = -1;
    r = file_open_regular(path, O_NOFOLLOW, &fd);
    uint8_t *have CLEANUP(freep) = malloc(file.shape.block_count);
    if (r != 0 || have == NULL)
        return r < 0 ? r : r > 0 ? REASON_NOT_FOUND : -ENOMEM;
    r = look_through(fd, &file.shape, file.list, have, &missing);
    return r == 0 && missing > 0 ? REASON_BLOCK_CORRUPT : r;
}

int bodies_remove(const char *dir, const struct id *content)
{
    /* The map first: a part without one counts as empty, a map without its part must not be believed. */
    int r = remove_one(dir, content, BODIES_MAP);
    if (r == 0)
        r = remove_one(dir, content, BODIES_PART);
    if (r == 0)
        r = remove_one(dir, content, BODIES_BODY);
    return r == 0 ? file_sync_dir(dir) : r;
}

/* ---- the map ------------------------------------------------------------------------------------------------- */

/* Of this boot of the machine; zero when it cannot be known, then only synced blocks count. */
static void read_boot_id(uint8_t out[BOOT_ID_BYTES])
{
    memset(out, 0, BOOT_ID_BYTES);
    struct buf text CLEANUP(buf_free) = buf(64);
    char hex[BOOT_ID_BYTES * 2 + 1];
    size_t used = 0;
    if (file_read("/proc/sys/kernel/random/boot_id", &text) != 0 || text.len < BOOT_ID_TEXT)
        return;
    for (size_t i = 0; i < BOOT_ID_TEXT && used < sizeof(hex) - 1; i++)
        if (text.data[i] != '-')
            hex[used++] = (char)text.data[i];
    hex[used] = '\0';
    if (hex_decode(hex, out, BOOT_ID_BYTES) != 0)
        memset(out, 0, BOOT_ID_BYTES);
}

static void map_head(const struct body_part *p, const uint8_t boot_id[BOOT_ID_BYTES], uint8_t head[MAP_HEAD_BYTES])
{
    memcpy(head, "HEARTHM1", 8);
    memcpy(head + 8, &p->content, sizeof(p->content));
    memcpy(head + 40, boot_id, BOOT_ID_BYTES);
    put_be32(head + 56, p->shape.block_count);
    put_be32(head + 60, p->shape.block_bytes);
}

/* What the map of an earlier run says; all missing when it is not about this body. */
static void read_map(const struct body_part *p, const char *path, const uint8_t head[MAP_HEAD_BYTES], uint8_t *have)
{
    static const uint8_t unknown_boot[BOOT_ID_BYTES];
    struct buf b CLEANUP(buf_free) = buf(MAP_HEAD_BYTES + (size_t)p->shape.block_count);
    memset(have, RECEIVE_MISSING, p->shape.block_count);
    if (file_read(path, &b) != 0 || b.len != MAP_HEAD_BYTES + (size_t)p->shape.block_count)
        return;
    if (memcmp(b.data, head, 40) != 0 || memcmp(b.data + 56, head + 56, 8) != 0)
        return;
    bool same_boot =
        memcmp(b.data + 40, head + 40, BOOT_ID_BYTES) == 0 && memcmp(head + 40, unknown_boot, BOOT_ID_BYTES) != 0;
    for (uint32_t i = 0; i < p->shape.block_count; i++) {
        uint8_t mark = b.data[MAP_HEAD_BYTES + i];
        if (mark == RECEIVE_SYNCED || (mark == RECEIVE_WRITTEN && same_boot))
            have[i] = mark;
    }
}

static int write_map(const char *path, const uint8_t head[MAP_HEAD_BYTES], const uint8_t *have, uint32_t count)
{
    struct buf b CLEANUP(buf_free) = buf(MAP_HEAD_BYTES + (size_t)count);
    int r = buf_append(&b, slice(head, MAP_HEAD_BYTES));
    if (r == 0)
        r = buf_append(&b, slice(have, count));
    return r == 0 ? file_replace(path, buf_slice(&b), 0600) : r;
}

/* ---- preparing ----------------------------------------------------------------------------------------------- */

/* Room for all of it now, so that it does not run out in the middle. */
static int allocate(int fd, uint64_t bytes)
{
    struct statvfs fs;
    if (fstatvfs(fd, &fs) != 0)
        return -errno;
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (bytes > INT64_MAX || room < bytes || room - bytes < BODIES_RESERVE_BYTES)
        return -ENOSPC;
    if (fallocate(fd, 0, 0, (off_t)bytes) == 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return -errno;
    return ftruncate(fd, (off_t)bytes) == 0 ? 0 : -errno;
}

static int write_head(int fd, const struct body_shape *shape, struct slice info, const uint8_t *list)
{
    uint8_t head[12];
    memcpy(head, BODY_MAGIC, 8);
    put_be32(head + 8, (uint32_t)info.len);
    int r = file_pwrite_all(fd, head, sizeof(head), 0);
    if (r == 0)
        r = file_pwrite_all(fd, info.data, info.len, sizeof(head));
    if (r == 0)
        r = file_pwrite_all(fd, list, (size_t)shape->block_count * 32, body_list_offset(shape));
    return r;
}

static bool has_map(const struct body_shape *shape) { return body_file_bytes(shape) > BODIES_MAPLESS_BYTES; }

/* have: filled already, of a part that is looked through. */
static int prepare_map(struct body_part *p, const char *path, bool read, uint8_t *have)
{
    uint8_t boot_id[BOOT_ID_BYTES], head[MAP_HEAD_BYTES];
    read_boot_id(boot_id);
    map_head(p, boot_id, head);
    if (read)
        read_map(p, path, head, have);
    /* Marks of an earlier boot are dropped before this boot's ID stands above them. */
    int r = write_map(path, head, have, p->shape.block_count);
    if (r != 0)
        return r;
    p->map_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return p->map_fd < 0 ? -errno : 0;
}

/* The body, when it is there: it is mended in its place, so that it plays on meanwhile as far as it did. Else the part. */
static int open_part(struct body_part *p)
{
    char body[BODIES_PATH_BYTES], part[BODIES_PATH_BYTES];
    int r = bodies_path(p->dir, &p->content, BODIES_BODY, body);
    if (r == 0)
        r = bodies_path(p->dir, &p->content, BODIES_PART, part);
    if (r != 0)
        return r;
    p->fd = open(body, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    p->mends = p->fd >= 0;
    if (!p->mends && errno == ENOENT)
        p->fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return p->fd < 0 ? -errno : 0;
}

int body_part_prepare(struct body_part *p, const char *dir, const struct id *content, const struct body_shape *shape,
                      struct slice info, const uint8_t *list, uint8_t *have)
{
    char map[BODIES_PATH_BYTES];
    p->content = *content;
    p->shape = *shape;
    if (snprintf(p->dir, sizeof(p->dir), "%s", dir) >= (int)sizeof(p->dir))
        return -ENAMETOOLONG;
    int r = bodies_path(dir, content, BODIES_MAP, map);
    if (r == 0)
        r = open_part(p);
    if (r != 0)
        return r;
    struct stat st;
    if (fstat(p->fd, &st) != 0)
        return -errno;
    bool fresh = st.st_size == 0 || (uint64_t)st.st_size != body_file_bytes(shape);
    bool mapped = has_map(shape) && !p->mends, read = mapped && !fresh && access(map, F_OK) == 0;
    uint32_t missing;
    if (fresh && st.st_size != 0 && ftruncate(p->fd, 0) != 0) /* what another one has begun meanwhile stays */
        return -errno;
    if (fresh)
        r = allocate(p->fd, body_file_bytes(shape));
    if (r == 0)
        r = write_head(p->fd, shape, info, list);
    p->unsynced = true;
    memset(have, RECEIVE_MISSING, shape->block_count);
    if (r == 0 && !fresh && !read)
        r = look_through(p->fd, shape, list, have, &missing);
    return r == 0 && mapped ? prepare_map(p, map, read, have) : r;
}

/* ---- blocks -------------------------------------------------------------------------------------------------- */

static int mark_run(const struct body_part *p, uint32_t first, uint32_t count, uint8_t mark)
{
    uint8_t run[256];
    memset(run, mark, sizeof(run));
    int r = 0;
    while (count > 0 && r == 0) {
        uint32_t part = count < sizeof(run) ? count : (uint32_t)sizeof(run);
        r = file_pwrite_all(p->map_fd, run, part, MAP_HEAD_BYTES + (uint64_t)first);
        first += part;
        count -= part;
    }
    return r;
}

int body_part_write(const struct body_part *p, uint32_t index, struct slice block)
{
    int r = file_pwrite_all(p->fd, block.data, block.len, body_block_offset(&p->shape, index));
    return r == 0 && p->map_fd >= 0 ? mark_run(p, index, 1, RECEIVE_WRITTEN) : r;
}

int body_part_sync(struct body_part *p, const uint8_t *marks, uint8_t at_sync)
{
    int r = file_sync(p->fd);
    p->unsynced = p->unsynced && r != 0;
    for (uint32_t i = 0, end; i < p->shape.block_count && r == 0 && p->map_fd >= 0; i = end) {
        end = i + 1;
        if (marks[i] != at_sync)
            continue;
        while (end < p->shape.block_count && marks[end] == at_sync)
            end++;
        r = mark_run(p, i, end - i, RECEIVE_SYNCED);
    }
    return r;
}

bool body_part_is_small(const struct body_part *p) { return !has_map(&p->shape) && !p->mends; }

/* Another one, at the same content at the same time, has given the file its name. */
static bool is_named(const struct body_part *p, const char *body)
{
    struct stat ours, named;
    return fstat(p->fd, &ours) == 0 && lstat(body, &named) == 0 && ours.st_dev == named.st_dev &&
           ours.st_ino == named.st_ino;
}

int body_part_rename(struct body_part *p)
{
    char part[BODIES_PATH_BYTES], body[BODIES_PATH_BYTES];
    int r = bodies_path(p->dir, &p->content, BODIES_PART, part);
    if (r == 0)
        r = bodies_path(p->dir, &p->content, BODIES_BODY, body);
    if (r != 0 || rename(part, body) == 0)
        return r;
    r = -errno;
    return r == -ENOENT && is_named(p, body) ? 0 : r;
}

int body_part_finish(struct body_part *p)
{
    int r = p->unsynced ? file_sync(p->fd) : 0; /* its head, when every block was there already */
    if (r == 0 && !p->mends)
        r = body_part_rename(p);
    if (r == 0 && !p->mends)
        r = file_sync_dir(p->dir);
    if (r == 0 && has_map(&p->shape))
        r = remove_one(p->dir, &p->content, BODIES_MAP); /* one that stays behind is harmless: it has no part */
    if (r == 0 && p->mends)
        r = remove_one(p->dir, &p->content, BODIES_PART); /* of an earlier try */
    body_part_deinit(p);
    return r;
}
