/* Disks in memory. */
#include "disk.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define SECTOR_BYTES 512
#define PATH_BYTES 256
#define FILES_MAX 256
#define SHM_REGIONS 8
#define NOBODYS (DISKS_MAX - 1)

struct bytes {
    uint8_t *data;
    size_t len, cap;
};
struct change { /* since the last sync: bytes at a place, or (of_length) another length */
    struct change *before;
    size_t at, len, old_len, file_len;
    bool of_length;
    uint8_t *old, *now;
};
struct file {
    char path[PATH_BYTES];
    unsigned disk;
    bool exists, existed; /* existed, left: what comes back */
    struct bytes now, left;
    struct change *changes, *left_changes;
    int level[5]; /* open handles at each lock level */
    int opened;
    struct bytes kept; /* disk_keep */
    bool was_kept, kept_exists;
    void *shm[SHM_REGIONS];
    int shm_shared[SQLITE_SHM_NLOCK];
    bool shm_exclusive[SQLITE_SHM_NLOCK];
};
struct handle {
    sqlite3_file base;
    struct file *file;
    int level;
    bool temporary;
    uint32_t shm_mine, shm_mine_exclusive;
};
struct disk {
    char dir[PATH_BYTES];
    unsigned armed, count; /* armed: 0 is never */
    bool stopped, failed;
    const struct rng *rng;
};
static struct disk disks[DISKS_MAX];
static struct file *files[FILES_MAX];
static size_t file_count;
static uint64_t salt = 1;

static unsigned chance(const struct rng *rng, unsigned of)
{
    uint32_t v;
    rng_fill(rng, &v, sizeof(v));
    return v % of;
}

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

static void set_len(struct bytes *b, size_t len)
{
    if (len > b->cap) {
        b->cap = len + len / 2 + 4096;
        b->data = realloc(b->data, b->cap);
        assert(b->data);
    }
    if (len > b->len)
        memset(b->data + b->len, 0, len - b->len);
    b->len = len;
}

static void put(struct bytes *b, size_t at, const uint8_t *data, size_t len)
{
    if (len == 0)
        return;
    if (at + len > b->len)
        set_len(b, at + len);
    memcpy(b->data + at, data, len);
}

static void copy(struct bytes *to, const struct bytes *from)
{
    to->len = 0;
    set_len(to, from->len);
    if (from->len > 0)
        memcpy(to->data, from->data, from->len);
}

static void *keep(const void *data, size_t len)
{
    void *p = malloc(len > 0 ? len : 1);
    assert(p);
    if (len > 0)
        memcpy(p, data, len);
    return p;
}

/* ---- what was not synced --------------------------------------------------------------------------------------- */

static void forget(struct change **changes)
{
    while (*changes) {
        struct change *c = *changes;
        *changes = c->before;
        free(c->old);
        free(c->now);
        free(c);
    }
}

static void remember(struct file *f, size_t at, const void *data, size_t len, bool of_length)
{
    struct change *c = calloc(1, sizeof(*c));
    assert(c);
    *c = (struct change){ .before = f->changes, .at = at, .len = len, .file_len = f->now.len, .of_length = of_length };
    size_t end = of_length ? f->now.len : size_min(at + len, f->now.len);
    c->old_len = end > at ? end - at : 0;
    c->old = keep(c->old_len > 0 ? f->now.data + at : NULL, c->old_len);
    c->now = of_length ? NULL : keep(data, len);
    f->changes = c;
}

/* One write, or what of it reached the disk. */
static void redo(struct bytes *b, const struct change *c, const struct rng *rng)
{
    if (chance(rng, 2) == 0)
        return;
    if (c->of_length) {
        set_len(b, c->at);
        return;
    }
    bool torn = chance(rng, 3) == 0;
    for (size_t done = 0; done < c->len; done += SECTOR_BYTES)
        if (!torn || chance(rng, 2) == 0)
            put(b, c->at + done, c->now + done, size_min(SECTOR_BYTES, c->len - done));
}

static void redo_all(struct bytes *b, const struct change *c, const struct rng *rng)
{
    if (!c)
        return;
    redo_all(b, c->before, rng);
    redo(b, c, rng);
}

/* How much comes back differs from one loss to the next: all, nothing, or some of it. */
static void lose(struct file *f, const struct rng *rng)
{
    unsigned how = chance(rng, 4);
    copy(&f->left, &f->now);
    if (how == 0)
        return;
    for (const struct change *c = f->changes; c; c = c->before) {
        put(&f->left, c->at, c->old, c->old_len);
        set_len(&f->left, c->file_len);
    }
    if (how > 1)
        redo_all(&f->left, f->changes, rng);
}

static void decide(unsigned number, bool power_loss, const struct rng *rng)
{
    disks[number].stopped = true;
    for (size_t i = 0; i < file_count; i++) {
        struct file *f = files[i];
        if (f->disk != number)
            continue;
        f->existed = f->exists;
        if (power_loss)
            lose(f, rng);
        else
            copy(&f->left, &f->now);
        f->left_changes = power_loss ? NULL : f->changes;
        if (!power_loss)
            f->changes = NULL;
    }
}

static void count(const struct file *f)
{
    struct disk *d = &disks[f->disk];
    d->count++;
    if (d->armed == 0 || d->stopped || --d->armed > 0)
        return;
    d->failed = true;
    decide(f->disk, true, d->rng);
}

/* ---- one file --------------------------------------------------------------------------------------------------- */

static struct handle *handle_of(sqlite3_file *f) { return container_of(f, struct handle, base); }
static struct file *file_of(sqlite3_file *f) { return handle_of(f)->file; }

static int on_close(sqlite3_file *sf)
{
    struct handle *h = handle_of(sf);
    h->file->opened--;
    h->file->level[h->level]--;
    if (h->temporary) {
        free(h->file->now.data);
        forget(&h->file->changes);
        free(h->file);
    }
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
    struct file *f = file_of(sf);
    if (!handle_of(sf)->temporary) {
        count(f);
        remember(f, (size_t)at, data, (size_t)len, false);
    }
    put(&f->now, (size_t)at, data, (size_t)len);
    return SQLITE_OK;
}

static int on_truncate(sqlite3_file *sf, sqlite3_int64 len)
{
    struct file *f = file_of(sf);
    if (!handle_of(sf)->temporary) {
        count(f);
        remember(f, (size_t)len, NULL, 0, true);
    }
    set_len(&f->now, (size_t)len);
    return SQLITE_OK;
}

static int on_sync(sqlite3_file *sf, int flags)
{
    (void)flags;
    if (!handle_of(sf)->temporary)
        count(file_of(sf));
    forget(&file_of(sf)->changes);
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
    return SECTOR_BYTES;
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
    assert(region < SHM_REGIONS);
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

static void forget_shm(struct file *f)
{
    for (int i = 0; i < SHM_REGIONS; i++) {
        free(f->shm[i]);
        f->shm[i] = NULL;
    }
    memset(f->shm_shared, 0, sizeof(f->shm_shared));
    memset(f->shm_exclusive, 0, sizeof(f->shm_exclusive));
}

static int on_shm_unmap(sqlite3_file *sf, int delete_it)
{
    if (delete_it && file_of(sf)->opened == 1)
        forget_shm(file_of(sf));
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

static unsigned disk_of(const char *path)
{
    for (unsigned i = 0; i < DISKS_MAX; i++) {
        size_t len = strlen(disks[i].dir);
        if (len > 0 && strncmp(path, disks[i].dir, len) == 0 && path[len] == '/')
            return i;
    }
    return NOBODYS;
}

static struct file *find(const char *path, bool make)
{
    for (size_t i = 0; i < file_count; i++)
        if (strcmp(files[i]->path, path) == 0)
            return files[i];
    if (!make)
        return NULL;
    struct file *f = calloc(1, sizeof(*f));
    assert(f && file_count < FILES_MAX);
    (void)snprintf(f->path, sizeof(f->path), "%s", path);
    f->disk = disk_of(path);
    files[file_count++] = f;
    return f;
}

static int on_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *sf, int flags, int *out_flags)
{
    struct handle *h = handle_of(sf);
    (void)vfs;
    *h = (struct handle){ .temporary = path == NULL };
    struct file *f = path ? find(path, flags & SQLITE_OPEN_CREATE) : calloc(1, sizeof(*f));
    if (!f || (!f->exists && !h->temporary && !(flags & SQLITE_OPEN_CREATE)))
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
    struct file *f = find(path, false);
    (void)vfs;
    (void)sync;
    if (!f || !f->exists)
        return SQLITE_IOERR_DELETE_NOENT;
    f->exists = false;
    set_len(&f->now, 0);
    forget(&f->changes);
    return SQLITE_OK;
}

static int on_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    const struct file *f = find(path, false);
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
        .mxPathname = PATH_BYTES,
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

void disk_add(unsigned number, const char *dir)
{
    assert(number < DISKS_MAX);
    (void)snprintf(disks[number].dir, sizeof(disks[number].dir), "%s", dir);
    for (size_t i = 0; i < file_count; i++)
        files[i]->disk = disk_of(files[i]->path);
}

void disk_arm(unsigned number, unsigned at, const struct rng *rng)
{
    disks[number].armed = at;
    disks[number].rng = rng;
}

bool disk_failed(unsigned number) { return disks[number].failed; }
unsigned disk_count(unsigned number) { return disks[number].count; }

void disk_stop(unsigned number, bool power_loss, const struct rng *rng)
{
    if (!disks[number].stopped)
        decide(number, power_loss, rng);
}

void disk_restore(unsigned number)
{
    struct disk *d = &disks[number];
    assert(d->stopped);
    for (size_t i = 0; i < file_count; i++) {
        struct file *f = files[i];
        if (f->disk != number)
            continue;
        assert(f->opened == 0);
        forget(&f->changes);
        f->exists = f->existed;
        copy(&f->now, &f->left);
        f->changes = f->left_changes;
        f->left_changes = NULL;
        f->existed = false;
        f->left.len = 0;
        forget_shm(f);
    }
    d->stopped = d->failed = false;
    d->armed = 0;
}

void disk_keep(unsigned number, const char *part)
{
    for (size_t i = 0; i < file_count; i++) {
        struct file *f = files[i];
        if (f->disk != number || !strstr(f->path, part))
            continue;
        copy(&f->kept, &f->now);
        f->kept_exists = f->exists;
        f->was_kept = true;
    }
}

void disk_put_back(unsigned number)
{
    for (size_t i = 0; i < file_count; i++) {
        struct file *f = files[i];
        if (f->disk != number || !f->was_kept)
            continue;
        assert(f->opened == 0);
        forget(&f->changes);
        copy(&f->now, &f->kept);
        f->exists = f->kept_exists;
    }
}

void disk_move(unsigned number, const char *to)
{
    char path[PATH_BYTES];
    size_t len = strlen(disks[number].dir);
    for (size_t i = 0; i < file_count; i++) {
        if (files[i]->disk != number)
            continue;
        (void)snprintf(path, sizeof(path), "%s%s", to, files[i]->path + len);
        memcpy(files[i]->path, path, sizeof(path));
    }
    disk_add(number, to);
}
