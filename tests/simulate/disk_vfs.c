/* Disks in memory, as SQLite sees them: its VFS, the locks of open files, and the memory that connections share. What a file contains is disk.c's. */
#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "disk.h"
#include "disk_internal.h"

struct handle {
    sqlite3_file base;
    struct file *file;
    int level;
    uint32_t shm_mine, shm_mine_exclusive;
};
static uint64_t salt = 1;

/* ---- one file --------------------------------------------------------------------------------------------------- */

static struct handle *handle_of(sqlite3_file *f) { return container_of(f, struct handle, base); }
static struct file *file_of(sqlite3_file *f) { return handle_of(f)->file; }

static int on_close(sqlite3_file *sf)
{
    struct handle *h = handle_of(sf);
    h->file->opened--;
    h->file->level[h->level]--;
    if (h->file->temporary)
        disk_temporary_free(h->file);
    return SQLITE_OK;
}

static int on_read(sqlite3_file *sf, void *out, int len, sqlite3_int64 at)
{
    const struct file *f = file_of(sf);
    size_t wanted = (size_t)len, from = (size_t)at;
    size_t got = from < f->now.len ? size_min(wanted, f->now.len - from) : 0;
    if (got > 0)
        memcpy(out, f->now.data + from, got);
    memset((uint8_t *)out + got, 0, wanted - got);
    return got < wanted ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int on_write(sqlite3_file *sf, const void *data, int len, sqlite3_int64 at)
{
    disk_write(file_of(sf), (size_t)at, data, (size_t)len);
    return SQLITE_OK;
}

static int on_truncate(sqlite3_file *sf, sqlite3_int64 len)
{
    disk_truncate(file_of(sf), (size_t)len);
    return SQLITE_OK;
}

static int on_sync(sqlite3_file *sf, int flags)
{
    (void)flags;
    disk_sync(file_of(sf));
    return SQLITE_OK;
}

static int on_size(sqlite3_file *sf, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)file_of(sf)->now.len;
    return SQLITE_OK;
}

static int others(const struct handle *h, int from)
{
    int n = 0;
    for (int level = from; level <= SQLITE_LOCK_EXCLUSIVE; level++)
        n += h->file->level[level] - (h->level == level);
    return n;
}

static int on_lock(sqlite3_file *sf, int level)
{
    struct handle *h = handle_of(sf);
    if (level <= h->level)
        return SQLITE_OK;
    bool busy = level == SQLITE_LOCK_SHARED     ? others(h, SQLITE_LOCK_PENDING) > 0
                : level == SQLITE_LOCK_RESERVED ? others(h, SQLITE_LOCK_RESERVED) > 0
                                                : others(h, SQLITE_LOCK_SHARED) > 0;
    if (busy)
        return SQLITE_BUSY;
    h->file->level[h->level]--;
    h->level = level;
    h->file->level[level]++;
    return SQLITE_OK;
}

static int on_unlock(sqlite3_file *sf, int level)
{
    struct handle *h = handle_of(sf);
    h->file->level[h->level]--;
    h->level = level;
    h->file->level[level]++;
    return SQLITE_OK;
}

static int on_check_reserved(sqlite3_file *sf, int *out)
{
    *out = file_of(sf)->level[SQLITE_LOCK_RESERVED] + file_of(sf)->level[SQLITE_LOCK_PENDING] +
               file_of(sf)->level[SQLITE_LOCK_EXCLUSIVE] >
           0;
    return SQLITE_OK;
}

static int on_control(sqlite3_file *sf, int op, void *arg)
{
    (void)sf;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int on_sector(sqlite3_file *sf)
{
    (void)sf;
    return DISK_SECTOR_BYTES;
}

static int on_characteristics(sqlite3_file *sf)
{
    (void)sf;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as on Linux: what is written beside it stays */
}

/* ---- memory that connections of one process share ---------------------------------------------------------------- */

static int on_shm_map(sqlite3_file *sf, int region, int bytes, int extend, void volatile **out)
{
    struct file *f = file_of(sf);
    assert(region < DISK_SHARED_REGIONS);
    if (!f->shm[region] && extend)
        f->shm[region] = calloc(1, (size_t)bytes);
    *out = f->shm[region];
    return SQLITE_OK;
}

static int on_shm_lock(sqlite3_file *sf, int first, int n, int flags)
{
    struct handle *h = handle_of(sf);
    struct file *f = h->file;
    bool lock = flags & SQLITE_SHM_LOCK, exclusive = flags & SQLITE_SHM_EXCLUSIVE;
    for (int i = first; lock && i < first + n; i++) {
        bool mine = h->shm_mine >> i & 1u, mine_exclusive = h->shm_mine_exclusive >> i & 1u;
        if ((f->shm_exclusive[i] && !mine_exclusive) || (exclusive && f->shm_shared[i] > (int)mine))
            return SQLITE_BUSY;
    }
    for (int i = first; i < first + n; i++) {
        uint32_t *held = exclusive ? &h->shm_mine_exclusive : &h->shm_mine, bit = 1u << i;
        bool had = *held & bit;
        *held = lock ? *held | bit : *held & ~bit;
        if (exclusive)
            f->shm_exclusive[i] = lock;
        else
            f->shm_shared[i] += (int)lock - (int)had;
    }
    return SQLITE_OK;
}

static void on_shm_barrier(sqlite3_file *sf) { (void)sf; }

void disk_forget_shared(struct file *f)
{
    for (int i = 0; i < DISK_SHARED_REGIONS; i++) {
        free(f->shm[i]);
        f->shm[i] = NULL;
    }
    memset(f->shm_shared, 0, sizeof(f->shm_shared));
    memset(f->shm_exclusive, 0, sizeof(f->shm_exclusive));
}

static int on_shm_unmap(sqlite3_file *sf, int delete_it)
{
    if (delete_it && file_of(sf)->opened == 1)
        disk_forget_shared(file_of(sf));
    return SQLITE_OK;
}

/* ---- the VFS ------------------------------------------------------------------------------------------------------ */

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_reserved,
    .xFileControl = on_control,
    .xSectorSize = on_sector,
    .xDeviceCharacteristics = on_characteristics,
    .xShmMap = on_shm_map,
    .xShmLock = on_shm_lock,
    .xShmBarrier = on_shm_barrier,
    .xShmUnmap = on_shm_unmap,
};

static int on_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *sf, int flags, int *out_flags)
{
    struct handle *h = handle_of(sf);
    (void)vfs;
    *h = (struct handle){ 0 };
    struct file *f = path ? disk_find(path, flags & SQLITE_OPEN_CREATE) : disk_temporary();
    if (!f || (!f->exists && !f->temporary && !(flags & SQLITE_OPEN_CREATE)))
        return SQLITE_CANTOPEN;
    f->exists = true;
    f->opened++;
    f->level[SQLITE_LOCK_NONE]++;
    h->file = f;
    h->base.pMethods = &methods;
    if (out_flags)
        *out_flags = flags;
    return SQLITE_OK;
}

/* A name is gone at once: hearth deletes nothing by SQLite but journals that are not needed any more. */
static int on_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    struct file *f = disk_find(path, false);
    (void)vfs;
    (void)sync;
    if (!f || !f->exists)
        return SQLITE_IOERR_DELETE_NOENT;
    disk_delete(f);
    return SQLITE_OK;
}

static int on_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    const struct file *f = disk_find(path, false);
    (void)vfs;
    *out = f && f->exists && (flags != SQLITE_ACCESS_EXISTS || f->now.len > 0);
    return SQLITE_OK;
}

static int on_full_path(sqlite3_vfs *vfs, const char *path, int cap, char *out)
{
    (void)vfs;
    (void)snprintf(out, (size_t)cap, "%s", path);
    return SQLITE_OK;
}

static int on_randomness(sqlite3_vfs *vfs, int len, char *out)
{
    struct rng_fake rng;
    (void)vfs;
    rng_fake_init(&rng, salt++);
    rng_fill(&rng.rng, out, (size_t)len);
    return len;
}

static int on_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

static int on_time(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    (void)vfs;
    *out = INT64_C(212400000000000);
    return SQLITE_OK;
}

static int on_error(sqlite3_vfs *vfs, int len, char *out)
{
    (void)vfs;
    (void)len;
    (void)out;
    return 0;
}

void disk_init(void)
{
    static sqlite3_vfs vfs = {
        .iVersion = 2,
        .szOsFile = sizeof(struct handle),
        .mxPathname = DISK_PATH_BYTES,
        .zName = "disks",
        .xOpen = on_open,
        .xDelete = on_delete,
        .xAccess = on_access,
        .xFullPathname = on_full_path,
        .xRandomness = on_randomness,
        .xSleep = on_sleep,
        .xGetLastError = on_error,
        .xCurrentTimeInt64 = on_time,
    };
    int code = sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    if (code == SQLITE_OK)
        code = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    assert(code == SQLITE_OK);
    code = sqlite3_vfs_register(&vfs, 1);
    assert(code == SQLITE_OK);
    (void)code;
}
