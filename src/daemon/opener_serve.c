/* The opener's process: one request after the other, each judged as if a stranger had sent it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/helper.h"
#include "base/util.h"
#include "daemon/opener_internal.h"

#define MAGIC_BYTES 8

/* --- Names --- */

struct ending {
    const char *text;
    bool replaces; /* one of this name may be there before */
};
static const struct ending endings[] = {
    { ".hearth", true },  { ".hearth-certificate", true }, /* export */
    { ".wav", false },    { ".bin", false },
    { ".cue", false }, /* burn */
    { ".update", false }, { ".img", false },
    { ".fw", false },     { ".hex", false }, /* programs save, and .bin */
};

static bool ends_in(const char *path, size_t len, const char *ending)
{
    size_t of = strlen(ending);
    return len > of && memcmp(path + len - of, ending, of) == 0 && path[len - of - 1] != '/';
}

/* Of the path without what is cut off its end; NULL: it is no name of ours. */
static const struct ending *ending_of(const char *path, size_t cut)
{
    size_t len = strlen(path);
    for (size_t i = 0; len > cut && i < ARRAY_COUNT(endings); i++)
        if (ends_in(path, len - cut, endings[i].text))
            return &endings[i];
    return NULL;
}

static const struct ending *part_of(const char *path)
{
    return ends_in(path, strlen(path), ".part") ? ending_of(path, strlen(".part")) : NULL;
}

/* --- What is asked for --- */

static int open_ours(const char *path, int flags, int *fd)
{
    static const char magics[][MAGIC_BYTES + 1] = { "HEARTHP1", "HEARTHC1", "HEARTHM1", "HEARTHV1" };
    char magic[MAGIC_BYTES];
    int opened CLEANUP(closep) = -1;
    int r = file_open_regular(path, flags, &opened);
    if (r != 0)
        return r;
    r = file_pread_all(opened, magic, sizeof(magic), 0);
    if (r != 0)
        return r == -EIO ? OPENER_FOREIGN : r;
    for (size_t i = 0; i < ARRAY_COUNT(magics); i++)
        if (memcmp(magic, magics[i], sizeof(magic)) == 0) {
            *fd = opened;
            opened = -1;
            return 0;
        }
    return OPENER_FOREIGN;
}

static int create(const char *path, unsigned mode, int *fd)
{
    if (part_of(path) == NULL && ending_of(path, 0) == NULL)
        return -EPERM;
    if (mode != 0600 && mode != 0644)
        return -EINVAL;
    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, (mode_t)mode);
    if (*fd < 0)
        return -errno;
    if (mode != 0600) /* whatever the umask is; file systems of media need not know modes */
        (void)!fchmod(*fd, (mode_t)mode);
    return 0;
}

/* What is written here is a plain file under one name: no directory, no link to somebody's, no pipe. */
static int is_written_here(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return -errno;
    return S_ISREG(st.st_mode) && st.st_nlink == 1 ? 0 : -EPERM;
}

static int give_name(const char *from, const char *to)
{
    const struct ending *part = part_of(from), *name = ending_of(to, 0);
    struct stat st;
    if (part == NULL || name == NULL || part->replaces != name->replaces)
        return -EPERM;
    int r = is_written_here(from);
    if (r != 0)
        return r;
    if (name->replaces)
        return rename(from, to) == 0 ? 0 : -errno;
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (lstat(to, &st) == 0) /* a file system that cannot do it at once */
        return -EEXIST;
    return rename(from, to) == 0 ? 0 : -errno;
}

static int remove_file(const char *path)
{
    if (part_of(path) == NULL && !ends_in(path, strlen(path), ".cue"))
        return -EPERM;
    return unlink(path) == 0 ? 0 : -errno;
}

static bool is_path(const char text[OPENER_PATH_BYTES])
{
    return memchr(text, '\0', OPENER_PATH_BYTES) != NULL && text[0] == '/';
}

static int answer_request(const struct opener_request *q, int *fd)
{
    if (!is_path(q->path) || (q->kind == OPENER_RENAME && !is_path(q->other)))
        return -EINVAL;
    switch (q->kind) {
    case OPENER_READ:
        return open_ours(q->path, (int)q->flags & O_NOFOLLOW, fd);
    case OPENER_LIST:
        *fd = open(q->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *fd >= 0 ? 0 : -errno;
    case OPENER_CREATE:
        return create(q->path, q->flags, fd);
    case OPENER_RENAME:
        return give_name(q->path, q->other);
    case OPENER_REMOVE:
        return remove_file(q->path);
    default:
        return -EINVAL;
    }
}

static bool serve_one(int socket)
{
    struct opener_request q;
    struct opener_answer answer = { .outcome = -EINVAL };
    int fds[HELPER_FDS_MAX], fd CLEANUP(closep) = -1;
    size_t count;
    bool good;
    if (!helper_next(socket, &q, sizeof(q), fds, &count, &good))
        return false;
    if (good)
        answer.serial = q.serial;
    if (good && count == 0)
        answer.outcome = answer_request(&q, &fd);
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    return helper_send(socket, &answer, sizeof(answer), &fd, answer.outcome == 0 && fd >= 0 ? 1 : 0) == 0;
}

void opener_serve(int fd)
{
    if (helper_enter(fd) != 0)
        _exit(EXIT_FAILURE);
    while (serve_one(fd))
        ;
    _exit(EXIT_SUCCESS);
}
