/* Opening, closing and looking after a SQLite database, and what SQLite's codes mean here.
 * Not queries (query.c), transactions (transaction.c) or migrations (schema.c). One thread at a time per store. */
#define LOG_MODULE "store"
#include "store/store.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "store/internal.h"

#define BUSY_TIMEOUT_MS 5000
#define VALUE_LIMIT_BYTES (64 << 20)
#define WAL_KEPT_BYTES "16777216"

static int system_outcome(sqlite3 *db, int otherwise)
{
    int system = db ? sqlite3_system_errno(db) : 0;
    return -(system > 0 ? system : otherwise);
}

int store_outcome(sqlite3 *db, int code)
{
    if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) {
        log_error("database cannot be synced, stopping: code=%d", code);
        abort(); /* what we promised to be durable may not be: see base/file.c */
    }
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_CONSTRAINT:
        return STORE_CONFLICT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_INTERRUPT:
    case SQLITE_ABORT:
        return -ECANCELED;
    case SQLITE_TOOBIG:
        return -EFBIG;
    }
    /* SQLite's own words end here, and without them the rest is hard to find. */
    log_error("database: code=%d text=%s", code, db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
        return -EUCLEAN;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_CANTOPEN:
        return system_outcome(db, ENOENT);
    case SQLITE_IOERR:
        return system_outcome(db, EIO);
    default:
        return -EINVAL;
    }
}

int store_exec(sqlite3 *db, const char *sql) { return store_outcome(db, sqlite3_exec(db, sql, NULL, NULL, NULL)); }

int store_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out)
{
    sqlite3_stmt *statement = NULL;
    const char *tail = NULL;
    int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, &tail);
    if (code != SQLITE_OK) {
        log_error("statement does not fit the schema: sql=%s", sql);
        return store_outcome(db, code);
    }
    assert(statement && *tail == '\0'); /* exactly one statement a line of the table */
    *out = statement;
    return 0;
}

/* Made before SQLite sees it: SQLite gives its journal files the mode of the database. A file that is there already is looked at by
 * its name, never opened: closing a descriptor of it would drop the locks of every connection this process has to it. */
static int create_private(const char *path)
{
    int fd CLEANUP(closep) = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        return 0;
    struct stat st;
    if (errno != EEXIST || lstat(path, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : S_ISLNK(st.st_mode) ? -ELOOP : -EINVAL;
    return (st.st_mode & 077) != 0 && chmod(path, 0600) != 0 ? -errno : 0;
}

static int configure(sqlite3 *db, const struct store_schema *schema)
{
    static const struct {
        int option, value;
    } switches[] = {
        { SQLITE_DBCONFIG_DEFENSIVE, 1 },   { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
        { SQLITE_DBCONFIG_ENABLE_FKEY, 1 }, { SQLITE_DBCONFIG_DQS_DML, 0 },
        { SQLITE_DBCONFIG_DQS_DDL, 0 },     { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(switches); i++) {
        int code = sqlite3_db_config(db, switches[i].option, switches[i].value, NULL);
        if (code != SQLITE_OK)
            return store_outcome(db, code);
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_LIMIT_BYTES);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 1); /* VACUUM INTO attaches its target */
    sqlite3_busy_timeout(db, schema->busy_ms ? (int)schema->busy_ms : BUSY_TIMEOUT_MS);

    char cache[64];
    sqlite3_snprintf(sizeof(cache), cache, "PRAGMA cache_size=-%u", schema->cache_kib ? schema->cache_kib : 1024);
    const char *const pragmas[] = {
        cache,
        "PRAGMA temp_store=MEMORY",
        "PRAGMA mmap_size=0", /* a truncated file would be a SIGBUS */
        "PRAGMA cell_size_check=ON",
        "PRAGMA secure_delete=FAST",
        "PRAGMA synchronous=FULL",
        "PRAGMA journal_size_limit=" WAL_KEPT_BYTES,
        schema->flags & STORE_NO_AUTO_CHECKPOINT ? "PRAGMA wal_autocheckpoint=0" : "PRAGMA wal_autocheckpoint=1000",
        schema->flags & STORE_READ_ONLY ? "PRAGMA query_only=ON" : "PRAGMA journal_mode=WAL",
    };
    for (size_t i = 0; i < ARRAY_COUNT(pragmas); i++) {
        int r = store_exec(db, pragmas[i]);
        if (r != 0)
            return r;
    }
    return 0;
}

static int prepare_all(struct store *s)
{
    static const char *const own_sql[OWN_COUNT] = {
        [OWN_BEGIN] = "BEGIN IMMEDIATE",
        [OWN_BEGIN_READ] = "BEGIN DEFERRED",
        [OWN_COMMIT] = "COMMIT",
        [OWN_ROLLBACK] = "ROLLBACK",
        [OWN_SAVE] = "SAVEPOINT inner_step",
        [OWN_RELEASE] = "RELEASE inner_step",
        [OWN_UNDO] = "ROLLBACK TO inner_step",
        [OWN_OUTSIDE_VERSION] = "PRAGMA data_version",
    };
    int r = 0;
    for (unsigned i = 0; r == 0 && i < OWN_COUNT; i++)
        r = store_prepare(s->db, own_sql[i], &s->own[i]);
    for (unsigned i = 0; r == 0 && i < s->schema->statement_count; i++)
        r = store_prepare(s->db, s->schema->statements[i], &s->statements[i]);
    return r;
}

int store_open(struct store **out, const char *path, const struct store_schema *schema)
{
    bool read_only = schema->flags & STORE_READ_ONLY;
    if (!read_only && strcmp(path, ":memory:") != 0) {
        int r = create_private(path);
        if (r < 0)
            return r;
    }
    struct store *s CLEANUP(store_closep) = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->schema = schema;
    s->statements = calloc(schema->statement_count + 1, sizeof(*s->statements));
    s->in_use = calloc(schema->statement_count + 1, sizeof(*s->in_use));
    if (!s->statements || !s->in_use)
        return -ENOMEM;
    int mode = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int code = sqlite3_open_v2(path, &s->db, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK)
        return store_outcome(s->db, code);
    int r = configure(s->db, schema);
    if (r == 0)
        r = schema_migrate(s->db, schema);
    if (r == 0)
        r = prepare_all(s);
    if (r != 0)
        return r;
    *out = steal(&s);
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (unsigned i = 0; s->statements && i < s->schema->statement_count; i++) {
        assert(!s->in_use || !s->in_use[i]);
        sqlite3_finalize(s->statements[i]);
    }
    for (unsigned i = 0; i < OWN_COUNT; i++)
        sqlite3_finalize(s->own[i]);
    int code = sqlite3_close(s->db);
    assert(code == SQLITE_OK); /* otherwise something of ours is still open */
    (void)code;
    free(s->statements);
    free(s->in_use);
    free(s);
}

void store_closep(struct store **s)
{
    store_close(*s);
    *s = NULL;
}

int store_checkpoint(struct store *s)
{
    int code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED)
        return 0; /* another thread does it right now */
    return store_outcome(s->db, code);
}

static int copy_into(struct store *s, const char *path)
{
    sqlite3_stmt *statement = NULL;
    int r = store_prepare(s->db, "VACUUM INTO ?1", &statement);
    if (r != 0)
        return r;
    int code = sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    r = store_outcome(s->db, code);
    sqlite3_finalize(statement);
    return r;
}

/* An empty file of the right mode is what VACUUM INTO accepts as its target. */
int store_backup(struct store *s, const char *path)
{
    int fd CLEANUP(closep) = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = copy_into(s, path);
    if (r == 0)
        r = file_sync(fd);
    if (r == 0)
        r = file_sync_parent(path);
    if (r != 0)
        unlink(path);
    return r;
}

int store_scrub(struct store *s)
{
    int r = store_exec(s->db, "VACUUM");
    if (r != 0)
        return r;
    int left = 0;
    int code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &left, NULL);
    r = store_outcome(s->db, code);
    return r == 0 && left > 0 ? -EBUSY : r;
}

/* 0 when the first row of sql is absent or equal to `expected`. */
static int expect(sqlite3 *db, const char *sql, const char *expected)
{
    sqlite3_stmt *statement = NULL;
    int r = store_prepare(db, sql, &statement);
    if (r != 0)
        return r;
    int code = sqlite3_step(statement);
    r = store_outcome(db, code);
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        r = text && strcmp(text, expected) == 0 ? 0 : -EUCLEAN;
    }
    sqlite3_finalize(statement);
    return r;
}

int store_verify(struct store *s)
{
    int r = expect(s->db, "PRAGMA integrity_check(1)", "ok");
    return r != 0 ? r : expect(s->db, "PRAGMA foreign_key_check", "");
}

int store_outside_version(struct store *s, uint64_t *version)
{
    sqlite3_stmt *statement = s->own[OWN_OUTSIDE_VERSION];
    int code = sqlite3_step(statement);
    uint64_t seen = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    int r = store_outcome(s->db, code);
    sqlite3_reset(statement);
    if (r == 0)
        *version = seen;
    return r;
}

int64_t store_changed_count(const struct store *s) { return sqlite3_changes64(s->db); }

int64_t store_last_id(const struct store *s) { return sqlite3_last_insert_rowid(s->db); }
