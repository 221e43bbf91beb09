/* Two tables: how far each origin has come, and the rows. Any thread, one at a time. */
#include "distributor/directory_db.h"

#include "base/util.h"
#include "protocol/codec.h"

enum statement { FIND_LAST, PUT_SHARE, PUT_LAST, READ_SHARES, SET_SHARE, SCRUB_GET, SCRUB_ADD };

static const char version_1[] =
    "CREATE TABLE origin ("
    "  id BLOB PRIMARY KEY CHECK (length(id) = 32),"
    "  last_sequence INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE share ("
    "  position INTEGER PRIMARY KEY AUTOINCREMENT," /* never reused: members remember how far they read */
    "  origin BLOB NOT NULL REFERENCES origin(id),"
    "  sequence INTEGER NOT NULL,"
    "  envelope BLOB NOT NULL,"
    "  UNIQUE (origin, sequence)"
    ") STRICT;";
/* How much there is to scrub (directory_db_scrub). */
static const char version_2[] =
    "CREATE TABLE scrub (one INTEGER PRIMARY KEY CHECK (one = 1), due INTEGER NOT NULL) STRICT;"
    "INSERT INTO scrub VALUES (1, 0);";
static const char *const migrations[] = { version_1, version_2 };
static const char *const statements[] = {
    [FIND_LAST] = "SELECT last_sequence FROM origin WHERE id = ?1",
    [PUT_SHARE] = "INSERT INTO share (origin, sequence, envelope) VALUES (?1, ?2, ?3)",
    [PUT_LAST] = ("INSERT INTO origin (id, last_sequence) VALUES (?1, ?2)"
                  " ON CONFLICT (id) DO UPDATE SET last_sequence = ?2"),
    [SET_SHARE] = "UPDATE share SET envelope = ?3 WHERE origin = ?1 AND sequence = ?2 AND envelope <> ?3",
    [SCRUB_GET] = "SELECT due FROM scrub",
    [SCRUB_ADD] = "UPDATE scrub SET due = due + ?1",
    [READ_SHARES] = "SELECT position, envelope FROM share WHERE position > ?1 ORDER BY position LIMIT ?2",
};

static const struct store_schema schema = { migrations, ARRAY_COUNT(migrations), statements, ARRAY_COUNT(statements) };

int directory_db_open(struct store **out, const char *path) { return store_open(out, path, &schema); }

static struct slice id_slice(const struct id *id) { return slice(id->bytes, ID_BYTES); }

int directory_db_last(struct store *s, const struct id *origin, uint64_t *sequence)
{
    struct query q CLEANUP(query_end) = query(s, FIND_LAST);
    query_bind_blob(&q, 1, id_slice(origin));
    int r = query_one(&q);
    uint64_t last = r == 0 ? query_u64(&q, 0) : 0;
    if (r == 0)
        r = query_check(&q);
    if (r < 0)
        return r;
    *sequence = last;
    return 0;
}

/* A conflict would mean that the two tables disagree. */
static int run(struct query *q)
{
    int r = query_run(q);
    return r == STORE_CONFLICT ? -EUCLEAN : r;
}

int directory_db_put(struct store *s, const struct id *origin, uint64_t sequence, struct slice envelope)
{
    uint64_t last;
    int r = directory_db_last(s, origin, &last);
    if (r != 0)
        return r;
    if (sequence <= last)
        return 0; /* sent again after a lost answer */
    if (sequence != last + 1)
        return DIRECTORY_GAP;
    struct query put_last CLEANUP(query_end) = query(s, PUT_LAST);
    query_bind_blob(&put_last, 1, id_slice(origin));
    query_bind_u64(&put_last, 2, sequence);
    r = run(&put_last);
    if (r != 0)
        return r;
    struct query put CLEANUP(query_end) = query(s, PUT_SHARE);
    query_bind_blob(&put, 1, id_slice(origin));
    query_bind_u64(&put, 2, sequence);
    query_bind_blob(&put, 3, envelope);
    return run(&put);
}

static int add_due(struct store *s, int64_t more)
{
    struct query q CLEANUP(query_end) = query(s, SCRUB_ADD);
    query_bind_i64(&q, 1, more);
    return run(&q);
}

int directory_db_empty(struct store *s, const struct id *origin, uint64_t sequence, struct slice envelope)
{
    uint64_t last;
    int r = directory_db_last(s, origin, &last);
    if (r != 0)
        return r;
    if (sequence > last)
        return directory_db_put(s, origin, sequence, envelope);
    struct query q CLEANUP(query_end) = query(s, SET_SHARE);
    query_bind_blob(&q, 1, id_slice(origin));
    query_bind_u64(&q, 2, sequence);
    query_bind_blob(&q, 3, envelope);
    r = run(&q);
    return r == 0 && store_changed_count(s) > 0 ? add_due(s, 1) : r;
}

int directory_db_scrub(struct store *s)
{
    int64_t due = 0;
    {
        struct query q CLEANUP(query_end) = query(s, SCRUB_GET);
        int r = query_one(&q);
        due = r == 0 ? query_i64(&q, 0) : 0;
        if (r == 0)
            r = query_check(&q);
        if (r != 0 || due == 0)
            return r > 0 ? -EUCLEAN : r;
    }
    int r = store_scrub(s);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    if (r == 0)
        r = transaction_begin(&t, s);
    if (r == 0)
        r = add_due(s, -due);
    return r == 0 ? transaction_commit(&t) : r;
}

int directory_db_read(struct store *s, uint64_t after, uint32_t count_max, struct buf *out, uint32_t *count,
                      uint64_t *next)
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
