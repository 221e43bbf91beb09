/* Shared memory under a memory file's seals. Not in core files; where it lies is each end's own business. */
#include "net/window.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/util.h"
#include "crypto/block.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* The plain part is whole pages, since a block is. */
static size_t whole_bytes(uint32_t block_bytes) { return 2 * (size_t)block_bytes + BLOCK_OVERHEAD_BYTES; }

static int map(struct window *w, uint32_t block_bytes, int fd)
{
    size_t bytes = whole_bytes(block_bytes);
    uint8_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    *w = (struct window){ .plain = at, .sealed = at + block_bytes, .mapped = bytes };
    return madvise(at, bytes, MADV_DONTDUMP) != 0 ? -errno : 0;
}

int window_make(struct window *w, uint32_t block_bytes, int *out)
{
    int fd CLEANUP(closep) = memfd_create("window", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)whole_bytes(block_bytes)) != 0 || fcntl(fd, F_ADD_SEALS, SEALS) != 0)
        return -errno;
    int r = map(w, block_bytes, fd);
    if (r == 0 && mlock(w->plain, block_bytes) != 0)
        r = -errno;
    if (r != 0) {
        window_leave(w);
        return r;
    }
    *out = fd;
    fd = -1;
    return 0;
}

/* Only memory files can be sealed, and those of large pages, which may be missing when they are touched, have no such size. */
int window_take(struct window *w, uint32_t block_bytes, int fd)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &st) != 0 ||
        (uint64_t)st.st_size != whole_bytes(block_bytes))
        return WINDOW_UNFIT;
    int r = map(w, block_bytes, fd);
    if (r != 0)
        window_leave(w);
    return r == -EPERM || r == -EACCES ? WINDOW_UNFIT : r; /* not to be written to */
}

void window_wipe(struct window *w)
{
    if (w->plain)
        secret_wipe(w->plain, (size_t)(w->sealed - w->plain));
    window_leave(w);
}

void window_leave(struct window *w)
{
    if (w->plain)
        munmap(w->plain, w->mapped);
    *w = (struct window){ 0 };
}
