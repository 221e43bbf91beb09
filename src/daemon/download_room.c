/* Room for a body: how much of it a part that is there already still wants, and whether that is free. As net/bodies.c takes it. Loop thread. */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/util.h"
#include "daemon/daemon.h"
#include "daemon/download.h"
#include "net/bodies.h"

uint64_t download_room_missing(const struct daemon *d, const struct id *content, uint64_t left_bytes)
{
    char path[BODIES_PATH_BYTES];
    struct stat st;
    if (bodies_path(d->config.bodies_dir, content, BODIES_PART, path) != 0 || stat(path, &st) != 0 || st.st_size == 0)
        return left_bytes;
    uint64_t whole = (uint64_t)st.st_size, taken = (uint64_t)st.st_blocks * 512;
    return whole > taken ? whole - taken : 0;
}

bool download_room_is_there(const struct daemon *d, uint64_t bytes)
{
    struct statvfs fs;
    if (statvfs(d->config.bodies_dir, &fs) != 0)
        return true; /* trying says what is wrong */
    return (uint64_t)fs.f_bavail * fs.f_frsize >= bytes + BODIES_RESERVE_BYTES;
}

#define MIB (UINT64_C(1) << 20)

bool download_fits(const struct daemon *d, const struct id *content, uint64_t plain_bytes, char *detail, size_t cap)
{
    struct statvfs fs;
    if (statvfs(d->config.bodies_dir, &fs) != 0)
        return true; /* trying says what is wrong */
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t free_bytes = room > BODIES_RESERVE_BYTES ? room - BODIES_RESERVE_BYTES : 0;
    uint64_t whole = plain_bytes < UINT64_MAX / 2 ? plain_bytes + plain_bytes / 64
                                                  : UINT64_MAX; /* with all that goes around blocks */
    uint64_t missing = download_room_missing(d, content, whole);
    if (missing <= free_bytes)
        return true;
    (void)snprintf(detail, cap,
                   "It takes %llu MiB, and %llu MiB are free for it on %s. There, hearth remove TRACK makes room.",
                   (unsigned long long)(missing / MIB + (missing % MIB != 0)), (unsigned long long)(free_bytes / MIB),
                   d->config.name);
    return false;
}
