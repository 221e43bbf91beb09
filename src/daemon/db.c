/* hearthd.db: schema, and the queue of jobs.
 *
 * Callbacks, in order: run_batch (pool), on_batch (loop), then each job's done (loop). */
#include "daemon/db.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/util.h"

#define LOG_MODULE "db"
#include "base/log.h"

static const char *const migrations[] = {
    "CREATE TABLE account (id BLOB PRIMARY KEY CHECK (length(id) = 32), position INTEGER NOT NULL, address TEXT NOT NULL,"
    "  name TEXT NOT NULL, user TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    /* The device's half of exactly-once: the bit of the last finished transaction, and the outstanding one. */
    "CREATE TABLE txn (distributor BLOB PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE, bit INTEGER NOT NULL CHECK (bit IN (0, 1)),"
    "  id BLOB CHECK (id IS NULL OR length(id) = 16), items BLOB) STRICT, WITHOUT ROWID;"
    "CREATE TABLE outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, distributor BLOB NOT NULL, type INTEGER NOT NULL,"
    "  message BLOB NOT NULL) STRICT;"
    "CREATE TABLE address (client BLOB PRIMARY KEY, address TEXT NOT NULL, by_hand INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE content (id BLOB PRIMARY KEY CHECK (length(id) = 32), info BLOB NOT NULL,"
    "  list_root BLOB NOT NULL CHECK (length(list_root) = 32)) STRICT, WITHOUT ROWID;",
    /* Copies and moves this device is the source of, with the certificate until it is delivered (S115, S153); downloads under way. */
    "CREATE TABLE copy (number INTEGER PRIMARY KEY AUTOINCREMENT, issuer BLOB NOT NULL, content BLOB NOT NULL,"
    "  license_id BLOB NOT NULL, destination BLOB NOT NULL, move INTEGER NOT NULL, removable INTEGER NOT NULL,"
    "  state INTEGER NOT NULL, certificate BLOB, delegation BLOB, receipt BLOB) STRICT;"
    "CREATE TABLE download (content BLOB PRIMARY KEY CHECK (length(content) = 32), distributor BLOB NOT NULL) STRICT, WITHOUT ROWID;",
    "ALTER TABLE account ADD COLUMN guest INTEGER NOT NULL DEFAULT 0 CHECK (guest IN (0, 1));", /* account.h */
    /* Where a track was left (play_memory.h). */
    "CREATE TABLE position (content BLOB PRIMARY KEY CHECK (length(content) = 32), position_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
    "CREATE TABLE damaged (content BLOB PRIMARY KEY CHECK (length(content) = 32)) STRICT, WITHOUT ROWID;", /* damage.h */
    /* What the household keeps in common (state.h, protocol/replica.h): this copy's own ID and the file it belongs to, the version, the items. */
    "CREATE TABLE state_self (one INTEGER PRIMARY KEY CHECK (one = 1), replica BLOB NOT NULL CHECK (length(replica) = 16),"
    "  told INTEGER NOT NULL, inode INTEGER NOT NULL, born INTEGER NOT NULL) STRICT;"
    "CREATE TABLE state_seen (replica BLOB PRIMARY KEY CHECK (length(replica) = 16), counter INTEGER NOT NULL CHECK (counter > 0))"
    "  STRICT, WITHOUT ROWID;"
    "CREATE TABLE state_item (replica BLOB NOT NULL, counter INTEGER NOT NULL, kind INTEGER NOT NULL, key BLOB NOT NULL,"
    "  value BLOB NOT NULL, PRIMARY KEY (replica, counter)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE event_number (one INTEGER PRIMARY KEY CHECK (one = 1), next INTEGER NOT NULL CHECK (next > 0)) STRICT;", /* events.h */
    /* Of each sibling the address that was given by hand, and beside it the last one where it proved its key (siblings.h). */
    "CREATE TABLE place (client BLOB NOT NULL CHECK (length(client) = 32), by_hand INTEGER NOT NULL CHECK (by_hand IN (0, 1)),"
    "  address TEXT NOT NULL, PRIMARY KEY (client, by_hand)) STRICT, WITHOUT ROWID;"
    "INSERT INTO place (client, by_hand, address) SELECT client, CASE WHEN by_hand = 0 THEN 0 ELSE 1 END, address FROM address WHERE length(client) = 32;"
    "DROP TABLE address;",
    /* The last number that was given, and where a run was cut off, so that numbers leap from `given` to `first` (events.h). */
    ("ALTER TABLE event_number ADD COLUMN given INTEGER;"
     "CREATE TABLE event_cut (first INTEGER PRIMARY KEY CHECK (first > 0), given INTEGER NOT NULL CHECK (given >= 0)) STRICT;"),
};

static const char *const statements[] = {
    [DB_ACCOUNTS] = "SELECT a.id, a.address, a.name, a.user, coalesce(t.bit, 0), t.id, t.items, a.guest"
                    " FROM account a LEFT JOIN txn t ON t.distributor = a.id ORDER BY a.position",
    [DB_ACCOUNT_PUT] = "INSERT INTO account (id, position, address, name, user, guest)"
                       " VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM account), ?2, ?3, ?4, 0)"
                       " ON CONFLICT (id) DO UPDATE SET address = ?2, name = ?3, user = ?4, guest = 0",
    [DB_GUEST_PUT] = "INSERT INTO account (id, position, address, name, user, guest)"
                     " VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM account), ?2, '', '', 1)"
                     " ON CONFLICT (id) DO UPDATE SET address = ?2 WHERE guest = 1",
    [DB_ACCOUNT_DELETE] = "DELETE FROM account WHERE id = ?1",
    [DB_TRANSACTION_SET] = "INSERT INTO txn (distributor, bit, id, items) VALUES (?1, ?2, ?3, ?4)"
                           " ON CONFLICT (distributor) DO UPDATE SET bit = ?2, id = ?3, items = ?4",
    [DB_OUTBOX] = "SELECT number, distributor, type, message FROM outbox ORDER BY number",
    [DB_OUTBOX_ADD] = "INSERT INTO outbox (distributor, type, message) VALUES (?1, ?2, ?3)",
    [DB_OUTBOX_DELETE] = "DELETE FROM outbox WHERE number = ?1",
    [DB_ADDRESSES] = "SELECT client, address, by_hand FROM place",
    [DB_ADDRESS_PUT] = "INSERT INTO place (client, address, by_hand) VALUES (?1, ?2, ?3)"
                       " ON CONFLICT (client, by_hand) DO UPDATE SET address = ?2",
    [DB_SETTINGS] = "SELECT name, value FROM setting ORDER BY name",
    [DB_SETTING_PUT] = "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
    [DB_CONTENTS] = "SELECT id, info, list_root FROM content ORDER BY id",
    [DB_CONTENT_PUT] = "INSERT INTO content (id, info, list_root) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    [DB_CONTENT_DELETE] = "DELETE FROM content WHERE id = ?1",
    [DB_COPIES] =
        "SELECT number, issuer, content, license_id, destination, move, removable, state, certificate, delegation, receipt"
        " FROM copy ORDER BY number",
    [DB_COPY_ADD] =
        "INSERT INTO copy (issuer, content, license_id, destination, move, removable, state, certificate, delegation)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [DB_COPY_SET] = "UPDATE copy SET state = ?2, certificate = ?3, delegation = ?4, receipt = ?5 WHERE number = ?1",
    [DB_COPY_DELETE] = "DELETE FROM copy WHERE number = ?1",
    [DB_DOWNLOADS] = "SELECT content, distributor FROM download",
    [DB_DOWNLOAD_PUT] = "INSERT INTO download (content, distributor) VALUES (?1, ?2)"
                        " ON CONFLICT (content) DO UPDATE SET distributor = ?2",
    [DB_DOWNLOAD_DELETE] = "DELETE FROM download WHERE content = ?1",
    [DB_POSITIONS] = "SELECT content, position_ms FROM position",
    [DB_DAMAGED] = "SELECT content FROM damaged",
    [DB_DAMAGED_PUT] = "INSERT INTO damaged (content) VALUES (?1) ON CONFLICT DO NOTHING",
    [DB_DAMAGED_DELETE] = "DELETE FROM damaged WHERE content = ?1",
    [DB_POSITIONS_CLEAR] = "DELETE FROM position",
    [DB_EVENT_NUMBER] = "SELECT next, coalesce(given, next - 1) FROM event_number",
    [DB_EVENT_NUMBER_PUT] = "INSERT INTO event_number (one, next, given) VALUES (1, ?1, ?2)"
                            " ON CONFLICT (one) DO UPDATE SET next = ?1, given = ?2",
    [DB_EVENT_CUTS] = "SELECT first, given FROM event_cut ORDER BY first DESC",
    [DB_EVENT_CUT_ADD] = "INSERT INTO event_cut (first, given) VALUES (?1, ?2)",
    [DB_EVENT_CUTS_TRIM] =
        "DELETE FROM event_cut WHERE first NOT IN (SELECT first FROM event_cut ORDER BY first DESC LIMIT ?1)",
    [DB_STATE_SELF] = "SELECT replica, told, inode, born FROM state_self",
    [DB_STATE_SELF_PUT] = "INSERT INTO state_self (one, replica, told, inode, born) VALUES (1, ?1, ?2, ?3, ?4)"
                          " ON CONFLICT (one) DO UPDATE SET replica = ?1, told = ?2, inode = ?3, born = ?4",
    [DB_STATE_SEEN] = "SELECT replica, counter FROM state_seen",
    [DB_STATE_SEEN_PUT] = "INSERT INTO state_seen (replica, counter) VALUES (?1, ?2)"
                          " ON CONFLICT (replica) DO UPDATE SET counter = ?2",
    [DB_STATE_SEEN_DELETE] = "DELETE FROM state_seen WHERE replica = ?1",
    [DB_STATE_ITEMS] = "SELECT kind, key, value, replica, counter FROM state_item",
    [DB_STATE_ITEM_ADD] = "INSERT INTO state_item (kind, key, value, replica, counter) VALUES (?1, ?2, ?3, ?4, ?5)",
    [DB_STATE_ITEM_DELETE] = "DELETE FROM state_item WHERE replica = ?1 AND counter = ?2",
};

#define SCHEMA(flags_)                                                                                  \
    {                                                                                                   \
        .migrations = migrations, .migration_count = ARRAY_COUNT(migrations), .statements = statements, \
        .statement_count = ARRAY_COUNT(statements), .flags = (flags_), .cache_kib = 256                 \
    }
static const struct store_schema schema = SCHEMA(0), reading = SCHEMA(STORE_READ_ONLY);
_Static_assert(ARRAY_COUNT(statements) == DB_STATEMENT_COUNT, "one text for each statement");

struct db {
    uv_loop_t *loop;
    uv_work_t work;
    struct store *store;
    struct db_job *first, **last; /* waiting */
    struct db_job *batch;         /* being worked on; the pool's while running */
    uint64_t inode, born_ns;
    uint32_t waiting;
    bool running, held, closing;
};

int db_open_reader(struct store **out, const char *state_dir)
{
    char path[1200];
    int r = file_join(path, sizeof(path), state_dir, "hearthd.db");
    return r != 0 ? r : store_open(out, path, &reading);
}

int db_open(struct db **out, uv_loop_t *loop, const char *state_dir)
{
    char path[1200];
    int r = file_join(path, sizeof(path), state_dir, "hearthd.db");
    if (r != 0)
        return r;
    struct db *db CLEANUP(freep) = calloc(1, sizeof(*db));
    if (db == NULL)
        return -ENOMEM;
    r = store_open(&db->store, path, &schema);
    if (r == 0)
        r = file_birth(path, &db->inode, &db->born_ns);
    if (r != 0) {
        store_close(db->store);
        return r;
    }
    db->loop = loop;
    db->held = true;
    db->last = &db->first;
    db->work.data = db;
    *out = steal(&db);
    return 0;
}

struct store *db_store(struct db *db) { return db->store; }
void db_birth(const struct db *db, uint64_t *inode, uint64_t *born_ns)
{
    *inode = db->inode & INT64_MAX; /* as a database keeps numbers */
    *born_ns = db->born_ns & INT64_MAX;
}

uint32_t db_waiting(const struct db *db) { return db->waiting; }

static int run_job(struct store *store, struct db_job *job)
{
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    int r = savepoint_begin(&p, store);
    if (r == 0)
        r = job->work(store, job);
    return r == 0 ? savepoint_release(&p) : r;
}

static int run_jobs(struct store *store, struct db_job *first)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = transaction_begin(&t, store);
    if (r != 0)
        return r;
    for (struct db_job *job = first; job != NULL; job = job->next)
        job->outcome = run_job(store, job);
    return transaction_commit(&t);
}

static void run_batch(uv_work_t *work)
{
    struct db *db = work->data;
    int r = run_jobs(db->store, db->batch);
    if (r == 0)
        return;
    for (struct db_job *job = db->batch; job != NULL; job = job->next)
        job->outcome = r;
}

static void start_batch(struct db *db);

static void on_batch(uv_work_t *work, int status)
{
    struct db *db = work->data;
    (void)status; /* never cancelled */
    struct db_job *job = db->batch;
    db->batch = NULL;
    db->running = false;
    while (job != NULL) {
        struct db_job *next = job->next;
        if (job->outcome != 0)
            log_warn("a change was not stored outcome=%d", job->outcome);
        db->waiting--;
        job->done(job, job->outcome);
        job = next;
    }
    start_batch(db);
}

static void start_batch(struct db *db)
{
    if (db->running || (db->held && !db->closing))
        return;
    if (db->first == NULL) {
        if (db->closing) {
            store_close(db->store);
            free(db);
        }
        return;
    }
    struct db_job **end = &db->first;
    for (unsigned i = 0; i < DB_BATCH_MAX && *end != NULL; i++)
        end = &(*end)->next;
    db->batch = db->first;
    db->first = *end;
    *end = NULL;
    if (db->first == NULL)
        db->last = &db->first;
    db->running = true;
    (void)uv_queue_work(db->loop, &db->work, run_batch, on_batch); /* fails only without a function */
}

void db_run(struct db *db, struct db_job *job)
{
    job->next = NULL;
    job->outcome = 0;
    *db->last = job;
    db->last = &job->next;
    db->waiting++;
    start_batch(db);
}

void db_release(struct db *db)
{
    db->held = false;
    start_batch(db);
}

void db_close(struct db *db)
{
    if (db == NULL || db->closing)
        return;
    db->closing = true;
    start_batch(db);
}
