#include "distributor/directory_db.h"

#include "base/util.h"
#include "protocol/codec.h"

enum statement { FIND_ORIGIN, PUT_KEYSET, PUT_SHARE, PUT_LAST, READ_SHARES };

static const char *const migrations[] = {
    "CREATE TABLE origin ("
    "  id BLOB PRIMARY KEY CHECK (length(id) = 32),"
    "  keyset_sequence INTEGER NOT NULL,"
    "  keyset BLOB NOT NULL,"
    "  last_sequence INTEGER NOT NULL DEFAULT 0"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE share ("
    "  position INTEGER PRIMARY KEY AUTOINCREMENT," /* never reused: members remember how far they read */
    "  origin BLOB NOT NULL REFERENCES origin(id),"
    "  sequence INTEGER NOT NULL,"
    "  envelope BLOB NOT NULL,"
    "  UNIQUE (origin, sequence)"
    ") STRICT;",
};
static const char *const statements[] = {
    [FIND_ORIGIN] = "SELECT keyset_sequence, last_sequence FROM origin WHERE id = ?1",
    [PUT_KEYSET] = "INSERT INTO origin (id, keyset_sequence, keyset) VALUES (?1, ?2, ?3)"
                   " ON CONFLICT (id) DO UPDATE SET keyset_sequence = ?2, keyset = ?3",
    [PUT_SHARE] = "INSERT INTO share (origin, sequence, envelope) VALUES (?1, ?2, ?3)",
    [PUT_LAST] = "UPDATE origin SET last_sequence = ?2 WHERE id = ?1",
    [READ_SHARES] = "SELECT position, envelope FROM share WHERE position > ?1 ORDER BY position LIMIT ?2",
};

static const struct store_schema writing = { migrations, ARRAY_COUNT(migrations), statements, ARRAY_COUNT(statements),
                                             STORE_NO_AUTO_CHECKPOINT, 0 };
static const struct store_schema reading = { migrations, ARRAY_COUNT(migrations), statements, ARRAY_COUNT(statements),
                                             STORE_READ_ONLY, 0 };

int directory_db_open(struct store **out, const char *path, bool read_only)
{
    return store_open(out, path, read_only ? &reading : &writing);
}

static struct slice id_slice(const struct id *id) { return slice(id->bytes, ID_BYTES); }

/* 0, STORE_ABSENT, -errno. */
static int find_origin(struct store *s, const struct id *origin, uint64_t *keyset_sequence, uint64_t *last_sequence)
{
    struct query q CLEANUP(query_end) = query(s, FIND_ORIGIN);
    query_bind_blob(&q, 1, id_slice(origin));
    int r = query_one(&q);
    if (r != 0)
        return r;
    uint64_t keyset = query_u64(&q, 0), last = query_u64(&q, 1);
    r = query_check(&q);
    if (r != 0)
        return r;
    *keyset_sequence = keyset;
    *last_sequence = last;
    return 0;
}

int directory_db_put_keyset(struct store *s, const struct id *origin, uint64_t sequence, struct slice envelope)
{
    uint64_t known, last;
    int r = find_origin(s, origin, &known, &last);
    if (r < 0)
        return r;
    if (r == 0 && known >= sequence)
        return known == sequence ? 0 : DIRECTORY_OLDER;
    struct query q CLEANUP(query_end) = query(s, PUT_KEYSET);
    query_bind_blob(&q, 1, id_slice(origin));
    query_bind_u64(&q, 2, sequence);
    query_bind_blob(&q, 3, envelope);
    r = query_run(&q);
    return r == STORE_CONFLICT ? -EUCLEAN : r;
}

int directory_db_put(struct store *s, const struct id *origin, uint64_t sequence, struct slice envelope)
{
    uint64_t keyset, last;
    int r = find_origin(s, origin, &keyset, &last);
    if (r != 0)
        return r == STORE_ABSENT ? -ENOENT : r;
    if (sequence <= last)
        return 0; /* sent again after a lost answer */
    if (sequence != last + 1)
        return DIRECTORY_GAP;
    {
        struct query q CLEANUP(query_end) = query(s, PUT_SHARE);
        query_bind_blob(&q, 1, id_slice(origin));
        query_bind_u64(&q, 2, sequence);
        query_bind_blob(&q, 3, envelope);
        r = query_run(&q);
        if (r != 0)
            return r == STORE_CONFLICT ? -EUCLEAN : r;
    }
    struct query q CLEANUP(query_end) = query(s, PUT_LAST);
    query_bind_blob(&q, 1, id_slice(origin));
    query_bind_u64(&q, 2, sequence);
    r = query_run(&q);
    return r == STORE_CONFLICT ? -EUCLEAN : r;
}

int directory_db_last(struct store *s, const struct id *origin, uint64_t *sequence)
{
    uint64_t keyset, last = 0;
    int r = find_origin(s, origin, &keyset, &last);
    if (r < 0)
        return r;
    *sequence = last;
    return 0;
}

int directory_db_read(struct store *s, uint64_t after, uint32_t count_max, struct buf *out, uint32_t *count, uint64_t *next)
{
    struct query q CLEANUP(query_end) = query(s, READ_SHARES);
    query_bind_u64(&q, 1, after);
    query_bind_i64(&q, 2, count_max);
    uint32_t appended = 0;
    uint64_t position = after;
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        uint64_t at = query_u64(&q, 0);
        struct slice envelope = query_blob(&q, 1);
        if (appended > 0 && out->max_bytes - out->len < envelope.len + sizeof(uint32_t)) {
            r = 0; /* the rest comes with the next pull */
            break;
        }
        r = codec_list_put(out, envelope);
        if (r != 0)
            break;
        position = at;
        appended++;
    }
    if (r == 0)
        r = query_check(&q);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    *count = appended;
    *next = position;
    return 0;
}
