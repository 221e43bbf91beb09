/* Rows of the confidential history. On the connection's thread. */
#define LOG_MODULE "program-history"
#include "distributor/program_history.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "distributor/devices.h"
#include "distributor/rows.h"
#include "distributor/storage.h"

#define DRAWS_MAX 8 /* of a mark that nobody has */

static const char first[] =
    "CREATE TABLE allotment (name TEXT NOT NULL, client BLOB NOT NULL CHECK (length(client) = 32),"
    " mark BLOB NOT NULL UNIQUE CHECK (length(mark) = 8), sealed BLOB NOT NULL, allotted_ms INTEGER NOT NULL,"
    " PRIMARY KEY (name, client)) STRICT;"
    "CREATE TABLE given (name TEXT NOT NULL, client BLOB NOT NULL, version INTEGER NOT NULL, given_ms INTEGER NOT NULL,"
    " PRIMARY KEY (name, client, version), FOREIGN KEY (name, client) REFERENCES allotment (name, client)) STRICT;";
static const char *const migrations[] = { first };

enum {
    ALLOTMENT_GET,
    ALLOTMENT_ADD,
    GIVEN_GET,
    GIVEN_ADD,
    HISTORY_NEXT,
    CLIENT_NEXT,
    FORGET_GIVEN,
    FORGET,
    SEALED_NEXT,
    SEALED_SET,
    COUNT
};
static const char *const history_statements[COUNT] = {
    [ALLOTMENT_GET] = "SELECT sealed FROM allotment WHERE name = ?1 AND client = ?2",
    [ALLOTMENT_ADD] = "INSERT INTO allotment (name, client, mark, sealed, allotted_ms) VALUES (?1, ?2, ?3, ?4, ?5)"
                      " ON CONFLICT (name, client) DO NOTHING",
    [GIVEN_GET] = "SELECT given_ms FROM given WHERE name = ?1 AND client = ?2 AND version = ?3",
    [GIVEN_ADD] = "INSERT INTO given (name, client, version, given_ms) VALUES (?1, ?2, ?3, ?4)"
                  " ON CONFLICT (name, client, version) DO NOTHING",
    [HISTORY_NEXT] = "SELECT a.name, a.client, a.mark, a.allotted_ms, g.version, g.given_ms FROM allotment a"
                     " LEFT JOIN given g ON g.name = a.name AND g.client = a.client"
                     " WHERE a.name > ?1 OR (a.name = ?1 AND (a.client > ?2 OR (a.client = ?2 AND g.version > ?3)))"
                     " ORDER BY a.name, a.client, g.version LIMIT 1",
    [CLIENT_NEXT] = "SELECT min(client) FROM allotment WHERE client > ?1 HAVING count(*) > 0",
    [FORGET_GIVEN] = "DELETE FROM given WHERE client = ?1",
    [FORGET] = "DELETE FROM allotment WHERE client = ?1",
    [SEALED_NEXT] = "SELECT name, client, sealed FROM allotment WHERE name > ?1 OR (name = ?1 AND client > ?2)"
                    " ORDER BY name, client LIMIT 1",
    [SEALED_SET] = "UPDATE allotment SET sealed = ?3 WHERE name = ?1 AND client = ?2",
};

struct program_history {
    struct store *store;
    struct store_schema schema;
};

void program_history_close(struct program_history *h)
{
    if (!h)
        return;
    store_close(h->store);
    free(h);
}

/* --- Opening ----------------------------------------------------------------------------------------------------- */

static int make_dir(const struct operations *o, char *path, size_t cap)
{
    char dir[1100];
    struct stat st;
    int r = file_join(dir, sizeof(dir), o->state_dir, "confidential");
    if (r == 0)
        r = file_join(path, cap, dir, "programs.db");
    if (r != 0)
        return r;
    bool read_only = (o->schema.flags & STORE_READ_ONLY) != 0;
    if (read_only && access(path, F_OK) != 0)
        return errno == ENOENT ? OPERATIONS_ABSENT : -errno;
    r = read_only ? 0 : file_make_dirs(dir, 0700);
    if (r == 0 && stat(dir, &st) != 0)
        r = -errno;
    if (r == 0 && (st.st_mode & 077) != 0) {
        log_error("others can look into the confidential history, refusing it: path=%s mode=%o", dir,
                  (unsigned)(st.st_mode & 07777));
        r = -EPERM;
    }
    return r;
}

/* 0; OPERATIONS_ABSENT: read-only and nothing was given yet; -errno. */
static int open_history(struct operations *o)
{
    char path[1200];
    if (o->history)
        return 0;
    int r = make_dir(o, path, sizeof(path));
    struct program_history *h = r == 0 ? calloc(1, sizeof(*h)) : NULL;
    if (!h)
        return r != 0 ? r : -ENOMEM;
    h->schema = (struct store_schema){ .migrations = migrations,
                                       .migration_count = ARRAY_COUNT(migrations),
                                       .statements = history_statements,
                                       .statement_count = COUNT,
                                       .flags = o->schema.flags & STORE_READ_ONLY,
                                       .cache_kib = 512 };
    r = store_open(&h->store, path, &h->schema);
    if (r == STORE_NEWER)
        log_error("%s was made by a newer version of this program: install that again; nothing was changed", path);
    if (r != 0) {
        free(h);
        return r > 0 ? -EPROTONOSUPPORT : r;
    }
    o->history = h;
    return 0;
}

/* --- Rows -------------------------------------------------------------------------------------------------------- */

/* Which row a sealed value belongs to: name, zero, client. */
static size_t context_of(const char *name, const struct id *client, uint8_t out[PROGRAM_NAME_BYTES + ID_BYTES])
{
    size_t len = strnlen(name, PROGRAM_NAME_BYTES - 1);
    memcpy(out, name, len);
    out[len] = 0;
    memcpy(out + len + 1, client->bytes, ID_BYTES);
    return len + 1 + ID_BYTES;
}

static struct query query_for(struct operations *o, unsigned statement, const char *name, const struct id *client)
{
    struct query q = query(o->history->store, statement);
    query_bind_text(&q, 1, name);
    rows_bind_id(&q, 2, client);
    return q;
}

static int reveal(struct operations *o, const char *name, const struct id *client, struct key32 *information)
{
    uint8_t context[PROGRAM_NAME_BYTES + ID_BYTES];
    struct query q CLEANUP(query_end) = query_for(o, ALLOTMENT_GET, name, client);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    struct slice sealed = query_blob(&q, 0);
    r = query_check(&q);
    if (r == 0)
        r = keys_reveal(o->keys, STORAGE_PROGRAM, slice(context, context_of(name, client, context)), sealed,
                        information);
    return r;
}

int program_history_find(struct operations *o, const char *name, const struct id *client, struct key32 *information)
{
    int r = open_history(o);
    return r == 0 ? reveal(o, name, client, information) : r;
}

/* 0; STORE_CONFLICT: somebody has this mark; -errno. */
static int add(struct operations *o, const char *name, const struct id *client, int64_t now_ms)
{
    uint8_t context[PROGRAM_NAME_BYTES + ID_BYTES], sealed[KEYS_STORED_BYTES];
    struct key32 fresh CLEANUP(key32_wipe);
    rng_fill(o->rng, fresh.bytes, sizeof(fresh.bytes));
    int r = storage_protect(o, STORAGE_PROGRAM, slice(context, context_of(name, client, context)), &fresh, sealed);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query_for(o, ALLOTMENT_ADD, name, client);
    query_bind_blob(&q, 3, slice(fresh.bytes, PROGRAM_MARK_BYTES));
    query_bind_blob(&q, 4, SLICE_ARRAY(sealed));
    query_bind_i64(&q, 5, now_ms);
    return query_run(&q);
}

static int note_given(struct operations *o, const char *name, uint64_t version, const struct id *client, int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query_for(o, GIVEN_ADD, name, client);
    query_bind_u64(&q, 3, version);
    query_bind_i64(&q, 4, now_ms);
    return rows_run(&q);
}

static bool was_given(struct operations *o, const char *name, uint64_t version, const struct id *client)
{
    struct query q CLEANUP(query_end) = query_for(o, GIVEN_GET, name, client);
    query_bind_u64(&q, 3, version);
    return rows_one(&q) == 0;
}

int program_history_allot(struct operations *o, const char *name, uint64_t version, const struct id *client,
                          int64_t now_ms, struct key32 *information)
{
    int r = open_history(o);
    if (r != 0)
        return r > 0 ? -EROFS : r;
    if (was_given(o, name, version, client)) /* again: nothing is written */
        return reveal(o, name, client, information);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    r = transaction_begin(&t, o->history->store);
    int found = r == 0 ? reveal(o, name, client, information) : r;
    if (found != 0 && found != OPERATIONS_ABSENT)
        return found;
    if (found == OPERATIONS_ABSENT) {
        r = STORE_CONFLICT;
        for (unsigned i = 0; r == STORE_CONFLICT && i < DRAWS_MAX; i++)
            r = add(o, name, client, now_ms);
        if (r == 0)
            r = reveal(o, name, client, information); /* what the row says, whoever wrote it */
    }
    if (r == 0)
        r = note_given(o, name, version, client, now_ms);
    if (r == 0)
        r = transaction_commit(&t);
    return r > 0 ? -EUCLEAN : r;
}

int program_history_next(struct operations *o, struct program_allotment *at)
{
    struct program_allotment next = { 0 };
    int r = open_history(o);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query_for(o, HISTORY_NEXT, at->name, &at->client);
    query_bind_u64(&q, 3, at->version);
    r = rows_one(&q);
    if (r != 0)
        return r;
    query_text(&q, 0, next.name, sizeof(next.name));
    query_fixed(&q, 1, next.client.bytes, sizeof(next.client.bytes));
    query_fixed(&q, 2, next.mark, sizeof(next.mark));
    next.allotted_ms = query_i64(&q, 3);
    if (!query_is_null(&q, 4)) {
        next.version = query_u64(&q, 4);
        next.given_ms = query_i64(&q, 5);
    }
    r = query_check(&q);
    if (r == 0)
        *at = next;
    return r;
}

/* --- Erased accounts --------------------------------------------------------------------------------------------- */

static int next_client(struct operations *o, struct id *at)
{
    struct query q CLEANUP(query_end) = query(o->history->store, CLIENT_NEXT);
    rows_bind_id(&q, 1, at);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, at->bytes, sizeof(at->bytes));
    return query_check(&q);
}

static int forget_client(struct operations *o, const struct id *client)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = transaction_begin(&t, o->history->store);
    for (unsigned statement = FORGET_GIVEN; r == 0 && statement <= FORGET; statement++) {
        struct query q CLEANUP(query_end) = query(o->history->store, statement);
        rows_bind_id(&q, 1, client);
        r = rows_run(&q);
    }
    return r == 0 ? transaction_commit(&t) : r;
}

static bool is_there(const struct operations *o)
{
    char path[1200];
    return file_join(path, sizeof(path), o->state_dir, "confidential/programs.db") == 0 && access(path, F_OK) == 0;
}

/* --- Another storage key ----------------------------------------------------------------------------------------- */

static int put_next_under(struct operations *o, struct storage_work *work)
{
    uint8_t context[PROGRAM_NAME_BYTES + ID_BYTES], sealed[KEYS_STORED_BYTES];
    struct storage_at at = { 0 };
    bool changed = false;
    struct query q CLEANUP(query_end) = query_for(o, SEALED_NEXT, work->at.name, &work->at.id);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_text(&q, 0, at.name, sizeof(at.name));
    query_fixed(&q, 1, at.id.bytes, sizeof(at.id.bytes));
    struct slice stored = query_blob(&q, 2);
    r = query_check(&q);
    if (r == 0)
        r = storage_put_under(o, &work->to, STORAGE_PROGRAM, slice(context, context_of(at.name, &at.id, context)),
                              stored, sealed, &changed);
    if (r != 0)
        return r;
    work->at = at;
    if (!changed)
        return 0;
    work->changed++;
    struct query set CLEANUP(query_end) = query_for(o, SEALED_SET, at.name, &at.id);
    query_bind_blob(&set, 3, SLICE_ARRAY(sealed));
    return rows_run(&set);
}

int program_history_put_under(struct operations *o, struct storage_work *work, unsigned rows)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = is_there(o) ? open_history(o) : OPERATIONS_ABSENT; /* nothing was ever given */
    if (r != 0)
        return r;
    r = transaction_begin(&t, o->history->store);
    for (unsigned i = 0; r == 0 && i < rows; i++)
        r = put_next_under(o, work);
    if (r != 0 && r != OPERATIONS_ABSENT)
        return r;
    bool ended = r == OPERATIONS_ABSENT;
    r = transaction_commit(&t);
    if (r == 0 && ended) {
        r = store_scrub(o->history->store);
        return r == 0 ? OPERATIONS_ABSENT : r == -EBUSY ? 0 : r; /* somebody reads: again later */
    }
    return r > 0 ? -EUCLEAN : r;
}

int program_history_backup(struct operations *o, const char *path, bool *any)
{
    *any = is_there(o);
    int r = *any ? open_history(o) : 0;
    if (r == 0 && *any)
        r = store_backup(o->history->store, path);
    return r > 0 ? -EUCLEAN : r;
}

int program_history_forget(struct operations *o)
{
    struct id at = { 0 };
    struct device d;
    bool any = false;
    int r = is_there(o) ? open_history(o) : OPERATIONS_ABSENT; /* nothing was ever given */
    while (r == 0 && (r = next_client(o, &at)) == 0) {
        r = devices_find_own(o, &at, &d);
        if (r == OPERATIONS_ABSENT) {
            any = true;
            r = forget_client(o, &at);
        }
    }
    if (r != OPERATIONS_ABSENT)
        return r > 0 ? -EUCLEAN : r;
    return any ? store_scrub(o->history->store) : 0;
}
