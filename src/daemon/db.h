/* hearthd.db: what the device must remember that is no secret. One connection, used by one pool thread at a time.
 *
 * Reads happen at start (db_store); afterwards the modules keep what they need in memory and only write, through jobs:
 * up to DB_BATCH_MAX waiting jobs share one durable transaction, a savepoint each. done fires on the loop after the commit.
 */
#ifndef DAEMON_DB_H
#define DAEMON_DB_H

#include <uv.h>

#include "store/store.h"

#define DB_BATCH_MAX 64

enum db_statement {
    DB_ACCOUNTS,        /* id, address, name, user, bit, transaction, items, guest */
    DB_ACCOUNT_PUT,     /* id, address, name, user */
    DB_GUEST_PUT,       /* id, address */
    DB_ACCOUNT_DELETE,  /* id */
    DB_TRANSACTION_SET, /* distributor, bit, id (NULL: none outstanding), items (NULL) */
    DB_OUTBOX,          /* number, distributor, type, message */
    DB_OUTBOX_ADD,      /* distributor, type, message */
    DB_OUTBOX_DELETE,   /* number */
    DB_ADDRESSES,       /* client, address, by_hand */
    DB_ADDRESS_PUT,     /* client, address, by_hand */
    DB_SETTINGS,        /* name, value */
    DB_SETTING_PUT,     /* name, value */
    DB_CONTENTS,        /* content, info, list_root */
    DB_CONTENT_PUT,     /* content, info, list_root */
    DB_CONTENT_DELETE,  /* content */
    DB_COPIES, /* number, issuer, content, license_id, destination, move, removable, state, certificate, delegation, receipt */
    DB_COPY_ADD, /* issuer, content, license_id, destination, move, removable, state, certificate (NULL), delegation (NULL) */
    DB_COPY_SET,        /* number, state, certificate (NULL), delegation (NULL), receipt (NULL) */
    DB_COPY_DELETE,     /* number */
    DB_DOWNLOADS,       /* content, distributor */
    DB_DOWNLOAD_PUT,    /* content, distributor */
    DB_DOWNLOAD_DELETE, /* content */
    DB_POSITIONS,       /* content, position_ms: of before there was a common state */
    DB_POSITIONS_CLEAR,
    DB_STATE_SELF,        /* replica, told, inode, born */
    DB_STATE_SELF_PUT,    /* replica, told, inode, born */
    DB_STATE_SEEN,        /* replica, counter */
    DB_STATE_SEEN_PUT,    /* replica, counter */
    DB_STATE_SEEN_DELETE, /* replica */
    DB_STATE_ITEMS,       /* kind, key, value, replica, counter */
    DB_STATE_ITEM_ADD,    /* kind, key, value, replica, counter */
    DB_STATE_ITEM_DELETE, /* replica, counter */
    DB_DAMAGED,           /* content */
    DB_DAMAGED_PUT,       /* content */
    DB_DAMAGED_DELETE,    /* content */
    DB_EVENT_NUMBER,      /* next, given */
    DB_EVENT_NUMBER_PUT,  /* next, given */
    DB_EVENT_CUTS,        /* first, given; the newest first */
    DB_EVENT_CUT_ADD,     /* first, given */
    DB_EVENT_CUTS_TRIM,   /* how many stay */
    DB_STATEMENT_COUNT
};

struct db;
struct db_job { /* embedded by the operation; lives until done has fired */
    /* Pool thread. Touches only the store and what the job owns. 0 keeps its changes; anything else undoes them and is the
     * job's outcome. */
    int (*work)(struct store *store, struct db_job *job);
    /* Loop thread, after the commit: work's outcome, or -errno when the commit failed. */
    void (*done)(struct db_job *job, int outcome);
    struct db_job *next;
    int outcome;
};
int db_open(struct db **out, uv_loop_t *loop, const char *state_dir) MUST_USE; /* 0, STORE_NEWER, -errno */
/* For reading at start, while jobs are held. */
struct store *db_store(struct db *db);
/* A connection of one's own, for reading: any thread, after db_open. 0, -errno; store_close. */
int db_open_reader(struct store **out, const char *state_dir) MUST_USE;
/* From db_open on jobs wait; from here on they run. */
void db_release(struct db *db);
/* Which file it is: another one when the state directory was put back from a copy (file_birth). */
void db_birth(const struct db *db, uint64_t *inode, uint64_t *born_ns);
void db_run(struct db *db, struct db_job *job);
uint32_t db_waiting(const struct db *db); /* jobs not yet done */
/* No more jobs may come; freed once the running batch is done. */
void db_close(struct db *db);

#endif
