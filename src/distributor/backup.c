/* Making and putting back; files: backup_files.c; what leaps: reserve.c. One thread. */
#define LOG_MODULE "backup"
#include "distributor/backup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/backup_files.h"
#include "distributor/program_history.h"
#include "distributor/replaced.h"

#define MANIFEST "backup.json"
#define HISTORY "programs.db"
#define MANIFEST_MAX (1u << 20)
#define RESTORING "restore.tmp" /* in the state directory */

static void hex_of(const uint8_t hash[SHA256_BYTES], char out[2 * SHA256_BYTES + 1])
{
    for (size_t i = 0; i < SHA256_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

/* --- Making ------------------------------------------------------------------------------------------------------ */

struct making {
    const char *state_dir, *to;
    json_t *files; /* {"keys/root.key": {"bytes": N, "sha256": "..."}} */
    uint64_t bytes;
};

static int list_file(struct making *m, const char *name, const uint8_t hash[SHA256_BYTES], uint64_t bytes)
{
    char hex[2 * SHA256_BYTES + 1];
    hex_of(hash, hex);
    m->bytes += bytes;
    json_t *entry = json_pack("{s:I,s:s}", "bytes", (json_int_t)bytes, "sha256", hex);
    return json_object_set_new(m->files, name, entry) == 0 ? 0 : -ENOMEM;
}

/* A database that was written by store_backup. */
static int list_database(struct making *m, const char *name)
{
    char path[PATH_MAX];
    uint8_t hash[SHA256_BYTES];
    uint64_t bytes;
    int r = file_join(path, sizeof(path), m->to, name);
    if (r == 0)
        r = backup_hash_file(path, hash, &bytes);
    return r == 0 ? list_file(m, name, hash, bytes) : r;
}

static int copy_store(struct making *m, struct store *s, const char *name)
{
    char path[PATH_MAX];
    int r = file_join(path, sizeof(path), m->to, name);
    if (r == 0)
        r = store_backup(s, path);
    return r == 0 ? list_database(m, name) : r > 0 ? -EIO : r;
}

static int copy_directory(struct making *m, bool *has)
{
    char path[PATH_MAX];
    struct store *s CLEANUP(store_closep) = NULL;
    int r = file_join(path, sizeof(path), m->state_dir, "directory.db");
    *has = r == 0 && access(path, F_OK) == 0;
    if (r != 0 || !*has)
        return r;
    r = directory_db_open(&s, path);
    return r == 0 ? copy_store(m, s, "directory.db") : r > 0 ? -EUCLEAN : r;
}

static int copy_key(void *ctx, const char *name)
{
    struct making *m = ctx;
    if (strcmp(name, KEYS_UNUSED_FILE) == 0 || strcmp(name, KEYS_GONE_FILE) == 0)
        return 0;
    char inside[NAME_MAX + 8], from[PATH_MAX], to[PATH_MAX];
    uint8_t hash[SHA256_BYTES];
    uint64_t bytes;
    snprintf(inside, sizeof(inside), "keys/%s", name);
    int r = file_join(from, sizeof(from), m->state_dir, inside);
    if (r == 0)
        r = file_join(to, sizeof(to), m->to, inside);
    if (r == 0)
        r = backup_copy_file(from, to, 0600, hash, &bytes);
    return r == 0 ? list_file(m, inside, hash, bytes) : r;
}

static int copy_keys(struct making *m)
{
    char from[PATH_MAX], to[PATH_MAX];
    int r = file_join(from, sizeof(from), m->state_dir, "keys");
    if (r == 0)
        r = file_join(to, sizeof(to), m->to, "keys");
    if (r == 0)
        r = file_make_dirs(to, 0700);
    if (r == 0)
        r = backup_each(from, copy_key, m);
    return r == 0 ? file_sync_dir(to) : r;
}

/* What is specific to each device's copy of a program: without it a device would get another. */
static int copy_history(struct operations *o, struct making *m)
{
    char path[PATH_MAX];
    bool any = false;
    int r = file_join(path, sizeof(path), m->to, HISTORY);
    if (r == 0)
        r = program_history_backup(o, path, &any);
    return r == 0 && any ? list_database(m, HISTORY) : r;
}

static int link_programs(const char *from_dir, const char *to_dir)
{
    char from[PATH_MAX], to[PATH_MAX];
    uint64_t count;
    int r = file_join(from, sizeof(from), from_dir, "programs");
    if (r == 0 && access(from, F_OK) != 0)
        return 0;
    if (r == 0)
        r = file_join(to, sizeof(to), to_dir, "programs");
    return r == 0 ? backup_link_folder(from, to, "", &count) : r;
}

/* After the database: a body is there before the row that names it. */
static int link_bodies(const char *state_dir, const char *to_dir, uint64_t *count)
{
    char from[PATH_MAX], to[PATH_MAX];
    int r = file_join(from, sizeof(from), state_dir, "bodies");
    if (r == 0)
        r = file_join(to, sizeof(to), to_dir, "bodies");
    return r == 0 ? backup_link_folder(from, to, ".body", count) : r;
}

static int write_manifest(const struct making *m, const struct backup *b)
{
    char path[PATH_MAX];
    json_t *j CLEANUP(json_decrefp) =
        json_pack("{s:i,s:s,s:s,s:I,s:I,s:b,s:O}", "hearth_backup", BACKUP_FORMAT, "distributor", b->id, "name",
                  b->name, "taken_ms", (json_int_t)b->taken_ms, "bodies", (json_int_t)b->bodies, "directory",
                  b->has_directory, "files", m->files);
    char *text CLEANUP(freep) = j ? json_dumps(j, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    if (!text)
        return -ENOMEM;
    int r = file_join(path, sizeof(path), m->to, MANIFEST);
    return r == 0 ? file_replace(path, slice_str(text), 0600) : r;
}

/* Keys after what lies under them, and none is destroyed in between. */
static int copy_secrets(struct operations *o, struct making *m)
{
    int lock CLEANUP(closep) = keys_lock(m->state_dir, false, true);
    int r = lock < 0 ? lock : copy_store(m, o->store, "operations.db");
    if (r == 0)
        r = copy_history(o, m);
    return r == 0 ? copy_keys(m) : r;
}

static int fill(struct operations *o, struct making *m, bool with_bodies, struct backup *b)
{
    int r = copy_secrets(o, m);
    if (r == 0)
        r = copy_directory(m, &b->has_directory);
    if (r == 0)
        r = link_programs(m->state_dir, m->to);
    if (r == 0 && with_bodies)
        r = link_bodies(m->state_dir, m->to, &b->bodies);
    b->bytes = m->bytes;
    return r == 0 ? write_manifest(m, b) : r;
}

int backup_make(struct operations *o, const char *dir, bool with_bodies, int64_t now_ms, struct backup *out)
{
    char partial[PATH_MAX];
    struct backup b = { .taken_ms = now_ms }; /* before the state that is copied: the leap counts from here */
    if ((size_t)snprintf(partial, sizeof(partial), "%s.partial", dir) >= sizeof(partial))
        return -ENAMETOOLONG;
    if (access(dir, F_OK) == 0)
        return -EEXIST;
    id_text(o->keys->self.bytes, b.id);
    snprintf(b.name, sizeof(b.name), "%s", o->name);
    json_t *files CLEANUP(json_decrefp) = json_object();
    struct making m = { .state_dir = o->state_dir, .to = partial, .files = files };
    int r = files ? backup_remove_folder(partial) : -ENOMEM; /* of a try before */
    if (r == 0 && mkdir(partial, 0700) != 0)
        r = -errno;
    if (r == 0)
        r = fill(o, &m, with_bodies, &b);
    if (r == 0)
        r = file_sync_dir(partial);
    if (r == 0 && rename(partial, dir) != 0)
        r = -errno;
    if (r == 0)
        r = file_sync_parent(dir);
    if (r != 0) {
        int undone = backup_remove_folder(partial);
        if (undone != 0)
            log_warn("what was begun stays errno=%d", -undone);
        return r;
    }
    *out = b;
    return 0;
}

/* --- Reading ----------------------------------------------------------------------------------------------------- */

static int read_manifest(const char *dir, json_t **out)
{
    char path[PATH_MAX];
    struct buf text CLEANUP(buf_free) = buf(MANIFEST_MAX);
    int r = file_join(path, sizeof(path), dir, MANIFEST);
    if (r == 0)
        r = file_read_regular(path, &text);
    if (r != 0)
        return r > 0 ? BACKUP_DAMAGED : r;
    *out = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    return *out ? 0 : BACKUP_DAMAGED;
}

/* "operations.db", "keys/NAME": nothing that leads anywhere else. */
static bool is_inside(const char *name)
{
    const char *base = strncmp(name, "keys/", 5) == 0 ? name + 5 : name;
    return base[0] != '\0' && base[0] != '.' && strchr(base, '/') == NULL && strlen(base) <= NAME_MAX;
}

static int judge_file(const char *dir, const char *name, const json_t *entry, uint64_t *sum)
{
    char path[PATH_MAX], hex[2 * SHA256_BYTES + 1];
    uint8_t hash[SHA256_BYTES];
    uint64_t bytes;
    const char *wanted = json_string_value(json_object_get(entry, "sha256"));
    int r = is_inside(name) && wanted ? file_join(path, sizeof(path), dir, name) : BACKUP_DAMAGED;
    if (r == 0)
        r = backup_hash_file(path, hash, &bytes);
    if (r != 0)
        return r == -ENOENT || r == -EINVAL ? BACKUP_DAMAGED : r;
    hex_of(hash, hex);
    *sum += bytes;
    return strcmp(hex, wanted) == 0 ? 0 : BACKUP_DAMAGED;
}

int backup_read(const char *dir, struct backup *out)
{
    json_t *j CLEANUP(json_decrefp) = NULL;
    const char *id, *name, *file;
    int format, has_directory;
    json_int_t taken_ms, bodies;
    json_t *files, *entry;
    struct backup b = { 0 };
    int r = read_manifest(dir, &j);
    if (r != 0)
        return r;
    if (json_unpack(j, "{s:i}", "hearth_backup", &format) != 0)
        return BACKUP_DAMAGED;
    if (format > BACKUP_FORMAT)
        return BACKUP_NEWER;
    if (json_unpack(j, "{s:s,s:s,s:I,s:I,s:b,s:o}", "distributor", &id, "name", &name, "taken_ms", &taken_ms, "bodies",
                    &bodies, "directory", &has_directory, "files", &files) != 0 ||
        taken_ms < 0 || bodies < 0 || !json_is_object(files) || !json_object_get(files, "operations.db"))
        return BACKUP_DAMAGED;
    json_object_foreach(files, file, entry)
    {
        r = judge_file(dir, file, entry, &b.bytes);
        if (r != 0) {
            char safe[256];
            log_error("file=%s of the backup is not what it was", text_safe(file, safe, sizeof(safe)));
            return r;
        }
    }
    snprintf(b.id, sizeof(b.id), "%s", id);
    snprintf(b.name, sizeof(b.name), "%s", name);
    b.taken_ms = taken_ms;
    b.bodies = (uint64_t)bodies;
    b.has_directory = has_directory != 0;
    *out = b;
    return 0;
}

/* --- Putting back ------------------------------------------------------------------------------------------------ */

struct restoring {
    const char *dir, *state_dir;
    bool again; /* a try before was interrupted: what it moved in already is this very backup's */
    char tmp[PATH_MAX], keys_from[PATH_MAX], keys_to[PATH_MAX];
};

static int copy_here(const char *from_dir, const char *to_dir, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];
    int r = file_join(from, sizeof(from), from_dir, name);
    if (r == 0)
        r = file_join(to, sizeof(to), to_dir, name);
    return r == 0 ? backup_copy_file(from, to, 0600, NULL, NULL) : r;
}

static int copy_key_here(void *ctx, const char *name)
{
    const struct restoring *s = ctx;
    return copy_here(s->keys_from, s->keys_to, name);
}

static int copy_history_here(const struct restoring *s)
{
    char from[PATH_MAX], dir[PATH_MAX], to[PATH_MAX];
    int r = file_join(from, sizeof(from), s->dir, HISTORY);
    if (r == 0 && access(from, F_OK) != 0)
        return 0;
    if (r == 0)
        r = file_join(dir, sizeof(dir), s->tmp, "confidential");
    if (r == 0)
        r = file_join(to, sizeof(to), dir, "programs.db");
    if (r == 0)
        r = file_make_dirs(dir, 0700);
    return r == 0 ? backup_copy_file(from, to, 0600, NULL, NULL) : r;
}

static int copy_back(struct restoring *s, const struct backup *b)
{
    int r = file_join(s->keys_from, sizeof(s->keys_from), s->dir, "keys");
    if (r == 0)
        r = file_join(s->keys_to, sizeof(s->keys_to), s->tmp, "keys");
    if (r == 0)
        r = backup_remove_folder(s->tmp);
    if (r == 0)
        r = file_make_dirs(s->keys_to, 0700);
    if (r == 0)
        r = backup_each(s->keys_from, copy_key_here, s);
    if (r == 0)
        r = copy_here(s->dir, s->tmp, "operations.db");
    if (r == 0)
        r = copy_history_here(s);
    return r == 0 && b->has_directory ? copy_here(s->dir, s->tmp, "directory.db") : r;
}

/* Keys that were withdrawn in the database whose place this takes stay so: another one takes over from each that the copy has in use. */
static int keep_withdrawn(struct restoring *s, const struct rng *rng, struct keys **keys, struct operations **o)
{
    bool any = false;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = transaction_begin(&t, (*o)->store);
    if (r == 0)
        r = replaced_withdrawn(*o, s->state_dir);
    if (r == 0)
        r = transaction_commit(&t);
    if (r == 0)
        r = replaced_prepare(*o, s->tmp, &any);
    if (r != 0 || !any)
        return r;
    operations_close(steal(o));
    keys_free(steal(keys));
    r = keys_load(keys, s->tmp);
    return r == 0 ? operations_open(o, s->tmp, *keys, rng, 0) : r;
}

/* In the temporary directory: whoever opens the database under its real name finds the leap done. */
static int leap(struct restoring *s, const struct rng *rng, int64_t now_ms, bool clock_was_ahead,
                const struct backup *b, struct reserve_report *out)
{
    struct keys *keys CLEANUP(keys_freep) = NULL;
    struct operations *o CLEANUP(operations_closep) = NULL;
    char id[ID_TEXT_BYTES];
    int r = keys_load(&keys, s->tmp);
    if (r != 0)
        return r == -ENOENT || r == -EUCLEAN ? BACKUP_DAMAGED : r;
    id_text(keys->self.bytes, id);
    if (strcmp(id, b->id) != 0)
        return BACKUP_OTHER;
    r = operations_open(&o, s->tmp, keys, rng, 0);
    if (r == 0 && store_verify(o->store) != 0)
        r = BACKUP_DAMAGED;
    if (r == 0)
        r = keep_withdrawn(s, rng, &keys, &o);
    if (r != 0)
        return r == -EUCLEAN ? BACKUP_DAMAGED : r;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    r = transaction_begin(&t, o->store);
    if (r == 0)
        r = reserve_leap(o, &(struct reserve_from){ b->taken_ms, s->state_dir, clock_was_ahead }, now_ms, out);
    if (r == 0)
        r = transaction_commit(&t);
    return r == 0 ? store_checkpoint(o->store, NULL) : r;
}

static int move(const char *from_dir, const char *to_dir, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];
    int r = file_join(from, sizeof(from), from_dir, name);
    if (r == 0)
        r = file_join(to, sizeof(to), to_dir, name);
    return r == 0 && rename(from, to) != 0 ? -errno : r;
}

/* The database comes last: without it this is no distributor's state, and restoring can be begun again. */
static int move_in(const struct restoring *s, const struct backup *b)
{
    char old[PATH_MAX];
    int r = file_join(old, sizeof(old), s->state_dir, "keys");
    if (r == 0 && s->again)
        r = backup_remove_folder(old);
    if (r == 0)
        r = move(s->tmp, s->state_dir, "keys");
    if (r == 0)
        r = file_join(old, sizeof(old), s->state_dir, "confidential");
    if (r == 0 && s->again)
        r = backup_remove_folder(old);
    if (r == 0) {
        r = move(s->tmp, s->state_dir, "confidential");
        r = r == -ENOENT ? 0 : r;
    }
    if (r == 0 && b->has_directory)
        r = move(s->tmp, s->state_dir, "directory.db");
    if (r == 0)
        r = file_sync_dir(s->state_dir);
    if (r == 0)
        r = move(s->tmp, s->state_dir, "operations.db");
    return r == 0 ? file_sync_dir(s->state_dir) : r;
}

/* Whether something of this name, that is no empty folder, is in the state directory. */
static bool holds(const char *state_dir, const char *name)
{
    char path[PATH_MAX];
    struct stat s;
    if (file_join(path, sizeof(path), state_dir, name) != 0 || lstat(path, &s) != 0)
        return false;
    return !S_ISDIR(s.st_mode) || rmdir(path) != 0;
}

int backup_restore(const char *dir, const char *state_dir, const struct rng *rng, int64_t now_ms, bool clock_was_ahead,
                   struct backup *from, struct reserve_report *out)
{
    struct restoring s = { .dir = dir, .state_dir = state_dir };
    struct backup b;
    uint64_t bodies;
    int r = backup_read(dir, &b);
    s.again = r == 0 && holds(state_dir, RESTORING);
    if (r == 0 && (holds(state_dir, "operations.db") || holds(state_dir, "database") ||
                   ((holds(state_dir, "keys") || holds(state_dir, "confidential")) && !s.again)))
        r = -EEXIST;
    if (r == 0)
        r = file_make_dirs(state_dir, 0700);
    if (r == 0)
        r = file_join(s.tmp, sizeof(s.tmp), state_dir, RESTORING);
    if (r == 0)
        r = copy_back(&s, &b);
    if (r == 0)
        r = leap(&s, rng, now_ms, clock_was_ahead, &b, out);
    if (r == 0)
        r = link_bodies(dir, state_dir, &bodies);
    if (r == 0)
        r = link_programs(dir, state_dir);
    if (r == 0)
        r = move_in(&s, &b);
    if (r == 0)
        r = backup_remove_folder(s.tmp);
    if (r == 0)
        *from = b;
    return r;
}

int backup_move_aside(const char *state_dir, int64_t now_ms)
{
    static const char *const names[] = { "operations.db", "operations.db-wal", "operations.db-shm",
                                         "directory.db",  "directory.db-wal",  "directory.db-shm",
                                         "keys",          "confidential",      "database" };
    char name[64], aside[PATH_MAX];
    snprintf(name, sizeof(name), "replaced-%lld", (long long)now_ms);
    int r = file_join(aside, sizeof(aside), state_dir, name);
    if (r == 0 && mkdir(aside, 0700) != 0)
        r = -errno;
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(names); i++) {
        r = move(state_dir, aside, names[i]);
        r = r == -ENOENT ? 0 : r;
    }
    return r == 0 ? file_sync_dir(state_dir) : r;
}
