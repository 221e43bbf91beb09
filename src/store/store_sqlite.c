/* The store over SQLite: opening, closing, looking after the file, and what SQLite's codes mean here.
 * Its statements are in query_sqlite.c, its migrations in schema_sqlite.c. One thread at a time per store. */
#define LOG_MODULE "store"
#include "store/sqlite.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"

#define BUSY_TIMEOUT_MS 5000
#define VALUE_LIMIT_BYTES (64 << 20)
#define WAL_KEPT_BYTES "536870912" /* of a log that is begun anew: what is there is written faster than what is not */

static int system_outcome(sqlite3 *db, int otherwise)
{
    int system = db ? sqlite3_system_errno(db) : 0;
    return -(system > 0 ? system : otherwise);
}

int sqlite_outcome(sqlite3 *db, int code)
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

int sqlite_run_script(sqlite3 *db, const char *sql)
{
    return sqlite_outcome(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out)
{
    sqlite3_stmt *statement = NULL;
    const char *tail = NULL;
    int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, &tail);
    if (code != SQLITE_OK) {
        if ((code & 0xff) == SQLITE_ERROR)
            log_error("statement does not fit the schema: sql=%s", sql);
        else
            log_error("statement cannot be prepared: error=%s sql=%s", sqlite3_errstr(code), sql);
        return sqlite_outcome(db, code);
    }
    assert(statement && *tail == '\0'); /* exactly one statement a line of the table */
    *out = statement;
    return 0;
}

/* Nobody asks SQLite how much memory it has; counting takes a lock at every allocation. Says no when SQLite is in use already: as well. */
static void configure_library(void) { (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

static pthread_once_t configured = PTHREAD_ONCE_INIT;

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
            return sqlite_outcome(db, code);
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
        int r = sqlite_run_script(db, pragmas[i]);
        if (r != 0)
            return r;
    }
    return 0;
}

static int prepare_all(struct sqlite_store *s)
{
    static const char *const own_sql[OWN_COUNT] = {
        [OWN_BEGIN] = "BEGIN IMMEDIATE",      [OWN_BEGIN_BATCH] = "BEGIN IMMEDIATE",
        [OWN_BEGIN_READ] = "BEGIN DEFERRED",  [OWN_COMMIT] = "COMMIT",
        [OWN_ROLLBACK] = "ROLLBACK",          [OWN_SAVE] = "SAVEPOINT inner_step",
        [OWN_RELEASE] = "RELEASE inner_step", [OWN_UNDO] = "ROLLBACK TO inner_step",
    };
    int r = 0;
    for (unsigned i = 0; r == 0 && i < OWN_COUNT; i++)
        r = sqlite_prepare(s->db, own_sql[i], &s->own[i]);
    if (r == 0)
        r = sqlite_prepare(s->db, "PRAGMA data_version", &s->data_version);
    for (unsigned i = 0; r == 0 && i < s->base.schema->statement_count; i++)
        r = sqlite_prepare(s->db, s->base.schema->statements[i], &s->statements[i]);
    return r;
}

static void close_sqlite(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    for (unsigned i = 0; s->statements && i < store->schema->statement_count; i++)
        sqlite3_finalize(s->statements[i]);
    for (unsigned i = 0; i < OWN_COUNT; i++)
        sqlite3_finalize(s->own[i]);
    sqlite3_finalize(s->data_version);
    int code = sqlite3_close(s->db);
    assert(code == SQLITE_OK); /* otherwise something of ours is still open */
    (void)code;
    free(s->statements);
    buf_free(&s->sum_row);
    free(s);
}

static int checkpoint(struct store *store, uint64_t *log_pages)
{
    struct sqlite_store *s = sqlite_of(store);
    int pages = 0;
    int code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, NULL);
    if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED)
        return 0; /* another thread does it right now */
    *log_pages = pages > 0 ? (uint64_t)pages : 0;
    return sqlite_outcome(s->db, code);
}

static int copy_into(struct sqlite_store *s, const char *path)
{
    sqlite3_stmt *statement = NULL;
    int r = sqlite_prepare(s->db, "VACUUM INTO ?1", &statement);
    if (r != 0)
        return r;
    int code = sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    r = sqlite_outcome(s->db, code);
    sqlite3_finalize(statement);
    return r;
}

/* An empty file of the right mode is what VACUUM INTO accepts as its target. */
static int backup(struct store *store, const char *path)
{
    int fd CLEANUP(closep) = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = copy_into(sqlite_of(store), path);
    if (r == 0)
        r = file_sync(fd);
    if (r == 0)
        r = file_sync_parent(path);
    if (r != 0)
        unlink(path);
    return r;
}

/* Nothing is left in the log. */
static int empty_log(sqlite3 *db)
{
    int left = 0;
    int code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &left, NULL);
    int r = sqlite_outcome(db, code);
    return r == 0 && left > 0 ? -EBUSY : r;
}

static int scrub(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    int r = sqlite_run_script(s->db, "VACUUM");
    return r == 0 ? empty_log(s->db) : r;
}

int store_fold(const char *path)
{
    sqlite3 *db = NULL;
    int r = sqlite_outcome(db, sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL));
    if (r == 0) /* it reads the log only now */
        r = sqlite_run_script(db, "PRAGMA synchronous=FULL; PRAGMA schema_version");
    if (r == 0)
        r = empty_log(db);
    int code = sqlite3_close(db); /* the last one: log and index go with it */
    return r == 0 ? sqlite_outcome(NULL, code) : r;
}

/* 0 when the first row of sql is absent or equal to `expected`. */
static int expect(sqlite3 *db, const char *sql, const char *expected)
{
    sqlite3_stmt *statement = NULL;
    int r = sqlite_prepare(db, sql, &statement);
    if (r != 0)
        return r;
    int code = sqlite3_step(statement);
    r = sqlite_outcome(db, code);
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        r = text && strcmp(text, expected) == 0 ? 0 : -EUCLEAN;
    }
    sqlite3_finalize(statement);
    return r;
}

static int verify(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    int r = expect(s->db, "PRAGMA integrity_check(1)", "ok");
    return r != 0 ? r : expect(s->db, "PRAGMA foreign_key_check", "");
}

static int outside_version(struct store *store, uint64_t *version)
{
    struct sqlite_store *s = sqlite_of(store);
    sqlite3_stmt *statement = s->data_version;
    int code = sqlite3_step(statement);
    uint64_t seen = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    int r = sqlite_outcome(s->db, code);
    sqlite3_reset(statement);
    if (r == 0)
        *version = seen;
    return r;
}

static int64_t changed_count(const struct store *store)
{
    return sqlite3_changes64(((const struct sqlite_store *)store)->db);
}

static int64_t last_id(const struct store *store)
{
    return sqlite3_last_insert_rowid(((const struct sqlite_store *)store)->db);
}

static int run_own(struct store *store, enum own_statement which)
{
    struct sqlite_store *s = sqlite_of(store);
    sqlite3_stmt *statement = s->own[which];
    int r = sqlite_outcome(s->db, sqlite3_step(statement));
    sqlite3_reset(statement); /* repeats the step's code */
    return r;
}

static bool in_transaction(const struct store *store)
{
    return !sqlite3_get_autocommit(((const struct sqlite_store *)store)->db);
}

static const struct store_driver driver = {
    .close = close_sqlite,
    .bind = sqlite_bind,
    .step = sqlite_step,
    .rewind = sqlite_rewind,
    .parameter_count = sqlite_parameter_count,
    .column_count = sqlite_columns,
    .column = sqlite_column,
    .run_own = run_own,
    .in_transaction = in_transaction,
    .checkpoint = checkpoint,
    .backup = backup,
    .scrub = scrub,
    .verify = verify,
    .outside_version = outside_version,
    .changed_count = changed_count,
    .last_id = last_id,
    .seal = sqlite_sum_seal,
};

int store_open(struct store **out, const char *path, const struct store_schema *schema)
{
    bool read_only = schema->flags & STORE_READ_ONLY;
    if (!read_only && strcmp(path, ":memory:") != 0) {
        int r = create_private(path);
        if (r < 0)
            return r;
    }
    struct sqlite_store *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    struct store *store CLEANUP(store_closep) = &s->base;
    s->base.driver = &driver;
    s->base.schema = schema;
    s->statements = calloc(schema->statement_count + 1, sizeof(*s->statements));
    s->base.in_use = calloc(schema->statement_count + 1, sizeof(*s->base.in_use));
    if (!s->statements || !s->base.in_use)
        return -ENOMEM;
    pthread_once(&configured, configure_library);
    int mode = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int code = sqlite3_open_v2(path, &s->db, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK)
        return sqlite_outcome(s->db, code);
    int r = configure(s->db, schema);
    if (r == 0)
        r = schema_migrate(s->db, schema);
    if (r == 0 && schema->flags & STORE_OWN_SCHEMA)
        r = schema_judge(s->db, schema);
    if (r == 0 && schema->flags & STORE_SUMMED)
        sqlite_sum_watch(s);
    if (r == 0)
        r = prepare_all(s);
    if (r != 0)
        return r;
    *out = steal(&store);
    return 0;
}
