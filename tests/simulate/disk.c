/* Disks in memory: what their files contain, what of it was synced, and what is left of it after a loss of power. SQLite's side is disk_vfs.c. */
#include "disk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "disk_internal.h"

#define FILES_MAX 256
#define NOBODYS (DISKS_MAX - 1)

struct change { /* since the last sync: bytes at a place, or (of_length) another length */
    struct change *before;
    size_t at, len, old_len, file_len;
    bool of_length;
    uint8_t *old, *now;
};
struct disk {
    char dir[DISK_PATH_BYTES];
    unsigned armed, count; /* armed: 0 is never */
    bool stopped, failed;
    const struct rng *rng;
};
static struct disk disks[DISKS_MAX];
static struct file *files[FILES_MAX];
static size_t file_count;

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
    for (size_t done = 0; done < c->len; done += DISK_SECTOR_BYTES)
        if (!torn || chance(rng, 2) == 0)
            put(b, c->at + done, c->now + done, size_min(DISK_SECTOR_BYTES, c->len - done));
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

/* ---- files, as disk_vfs.c asks for them --------------------------------------------------------------------------- */

static unsigned disk_of(const char *path)
{
    for (unsigned i = 0; i < DISKS_MAX; i++) {
        size_t len = strlen(disks[i].dir);
        if (len > 0 && strncmp(path, disks[i].dir, len) == 0 && path[len] == '/')
            return i;
    }
    return NOBODYS;
}

struct file *disk_find(const char *path, bool make)
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

struct file *disk_temporary(void)
{
    struct file *f = calloc(1, sizeof(*f));
    assert(f);
    f->temporary = true;
    return f;
}

void disk_temporary_free(struct file *f)
{
    free(f->now.data);
    forget(&f->changes);
    free(f);
}

void disk_write(struct file *f, size_t at, const void *data, size_t len)
{
    if (!f->temporary) {
        count(f);
        remember(f, at, data, len, false);
    }
    put(&f->now, at, data, len);
}

void disk_truncate(struct file *f, size_t len)
{
    if (!f->temporary) {
        count(f);
        remember(f, len, NULL, 0, true);
    }
    set_len(&f->now, len);
}

void disk_sync(struct file *f)
{
    if (!f->temporary)
        count(f);
    forget(&f->changes);
}

void disk_delete(struct file *f)
{
    f->exists = false;
    set_len(&f->now, 0);
    forget(&f->changes);
}

/* ---- the machine's ------------------------------------------------------------------------------------------------ */

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
        disk_forget_shared(f);
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
    char path[DISK_PATH_BYTES];
    size_t len = strlen(disks[number].dir);
    for (size_t i = 0; i < file_count; i++) {
        if (files[i]->disk != number)
            continue;
        (void)snprintf(path, sizeof(path), "%s%s", to, files[i]->path + len);
        memcpy(files[i]->path, path, sizeof(path));
    }
    disk_add(number, to);
}
