/* System calls and nothing else: no idea what the files mean. */
#include "distributor/backup_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"

#define CHUNK_BYTES (256u << 10)

static int open_regular(const char *path, int *out)
{
    int r = file_open_regular(path, O_NOFOLLOW, out);
    return r == FILE_NOT_REGULAR ? -EINVAL : r;
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Reads from to its end; writes to `to` unless that is -1. */
static int pump(int from, int to, uint8_t hash[SHA256_BYTES], uint64_t *bytes)
{
    uint8_t *chunk CLEANUP(freep) = malloc(CHUNK_BYTES);
    struct sha256_state state;
    uint64_t sum = 0;
    if (chunk == NULL)
        return -ENOMEM;
    int r = sha256_init(&state);
    if (r != 0)
        return r;
    ssize_t n;
    while (r == 0 && (n = read(from, chunk, CHUNK_BYTES)) != 0) {
        if (n < 0) {
            r = errno == EINTR ? 0 : -errno;
            continue;
        }
        sha256_update(&state, slice(chunk, (size_t)n));
        sum += (uint64_t)n;
        r = to >= 0 ? write_all(to, chunk, (size_t)n) : 0;
    }
    if (r != 0) {
        sha256_abort(&state);
        return r;
    }
    uint8_t digest[SHA256_BYTES];
    sha256_final(&state, digest);
    if (hash != NULL)
        memcpy(hash, digest, sizeof(digest));
    if (bytes != NULL)
        *bytes = sum;
    return 0;
}

int backup_copy_file(const char *from, const char *to, mode_t mode, uint8_t hash[SHA256_BYTES], uint64_t *bytes)
{
    int in CLEANUP(closep) = -1, out CLEANUP(closep) = -1;
    int r = open_regular(from, &in);
    if (r != 0)
        return r;
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (out < 0)
        return -errno;
    r = pump(in, out, hash, bytes);
    if (r == 0)
        r = file_sync(out);
    if (r != 0)
        unlink(to);
    return r;
}

int backup_hash_file(const char *path, uint8_t hash[SHA256_BYTES], uint64_t *bytes)
{
    int in CLEANUP(closep) = -1;
    int r = open_regular(path, &in);
    return r == 0 ? pump(in, -1, hash, bytes) : r;
}

int backup_each(const char *folder, int (*visit)(void *ctx, const char *name), void *ctx)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return errno == ENOENT ? 0 : -errno;
    int r = 0;
    struct dirent *entry;
    struct stat s;
    while (r == 0 && (entry = readdir(dir)) != NULL)
        if (fstatat(dirfd(dir), entry->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(s.st_mode))
            r = visit(ctx, entry->d_name);
    closedir(dir);
    return r;
}

struct linking {
    const char *from, *to, *ending;
    uint64_t count;
};

static bool is_same(const char *from, const char *to)
{
    struct stat a, b;
    return stat(from, &a) == 0 && lstat(to, &b) == 0 && S_ISREG(b.st_mode) && a.st_size == b.st_size;
}

static int link_one(void *ctx, const char *name)
{
    struct linking *l = ctx;
    char from[PATH_MAX], to[PATH_MAX];
    size_t len = strlen(name), tail = strlen(l->ending);
    if (len < tail || strcmp(name + len - tail, l->ending) != 0)
        return 0;
    int r = file_join(from, sizeof(from), l->from, name);
    if (r == 0)
        r = file_join(to, sizeof(to), l->to, name);
    if (r != 0)
        return r;
    l->count++;
    if (link(from, to) == 0 || (errno == EEXIST && is_same(from, to)))
        return 0;
    if (errno == EEXIST && unlink(to) != 0) /* half of one, from a try before */
        return -errno;
    return backup_copy_file(from, to, 0600, NULL, NULL);
}

int backup_link_folder(const char *from, const char *to, const char *ending, uint64_t *count)
{
    struct linking l = { .from = from, .to = to, .ending = ending };
    int r = file_make_dirs(to, 0700);
    if (r == 0)
        r = backup_each(from, link_one, &l);
    if (r == 0)
        r = file_sync_dir(to);
    *count = l.count;
    return r;
}

static int remove_in(const char *folder, int levels)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return errno == ENOENT ? 0 : -errno;
    int r = 0;
    struct dirent *entry;
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        char path[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        r = file_join(path, sizeof(path), folder, entry->d_name);
        if (r == 0 && unlink(path) != 0)
            r = errno == EISDIR && levels > 1 ? remove_in(path, levels - 1) : -errno;
    }
    closedir(dir);
    return r == 0 && rmdir(folder) != 0 ? -errno : r;
}

int backup_remove_folder(const char *folder) { return remove_in(folder, 2); }
