/* The storage key over the operations database: which key is used, what lies under it, and putting all of it under another one while serving.
 *
 *   1  keys_storage_prepare: the next key is in storage.key.new
 *   2  storage_switch: the database lists it as the newest; whatever is written from then on lies under it, whoever writes
 *   3  storage_step, again and again: each row that lies under the one before is put under it, some rows a transaction
 *   4  when a pass over all tables has met no other one, the database lists the new key alone
 *   5  the same with what lies beside the database (program_history.h); then storage.key.new takes the place of storage.key, and the one before is overwritten
 *
 * Every stored secret names its key, both keys are there until 5, and who does not hold a key that is named reads the files again: so nobody who
 * reads or writes meanwhile has to know of any of this. Which key is the newest is read in the transaction that writes, and writing transactions
 * come one after the other: after 2 nothing is put under the key before any more. Whoever is killed goes on at the next step with the next start or
 * command. Steps 3 and 4 are done by anybody, once; 5 in each state directory. On the connection's thread. Source: design section 3. */
#ifndef DISTRIBUTOR_STORAGE_H
#define DISTRIBUTOR_STORAGE_H

#include "distributor/operations.h"
#include "protocol/program.h"

/* What each stored secret is; with the row that it belongs to, its associated data (keys_protect). */
#define STORAGE_HEADER_HALF "hearth stored header half"
#define STORAGE_LICENSE_HALF "hearth stored license half"
#define STORAGE_BLOCK_ROOT "hearth block root"
#define STORAGE_COPY_KEY "hearth copy key"
#define STORAGE_PROGRAM "program information"
#define STORAGE_SECRET "hearth secret"

/* When it is opened: every key that the database lists is here; a database of an earlier version gets its list. Not in a transaction.
 * 0; -ENOKEY: one is not, which the log names; -ENXIO, -EACCES: its token; -errno. */
int storage_open(struct operations *o) MUST_USE;
/* The list of a new database, before anything is put under its key. Writes. */
int storage_begin(struct operations *o) MUST_USE;

/* Under the newest key. Writes (reads which one it is). */
int storage_protect(struct operations *o, const char *label, struct slice context, const struct key32 *secret,
                    uint8_t out[KEYS_STORED_BYTES]) MUST_USE;
/* What erased names are hashed with: drawn once, and not changed with the key under which it lies. Wipe it. */
int storage_names_secret(struct operations *o, struct key32 *out) MUST_USE;

/* --- Another key ------------------------------------------------------------------------------------------------- */

#define STORAGE_LISTED_MAX 4
struct storage_list {
    struct keys_storage_id ids[STORAGE_LISTED_MAX]; /* the newest first */
    size_t count;
};
int storage_list(struct operations *o, struct storage_list *out) MUST_USE;
/* Is the change to the newest key unfinished, in the database or in this state directory? */
bool storage_is_changing(const struct operations *o, const struct storage_list *list);

/* Lists `id`, a key that is here, as the newest. 0; STORAGE_CHANGING: there is an unfinished change; -errno. Writes. */
#define STORAGE_CHANGING 2206
int storage_switch(struct operations *o, const struct keys_storage_id *id, int64_t now_ms) MUST_USE;

/* How far somebody is. Begin with zeroes. */
struct storage_work {
    struct keys_storage_id to;
    bool begun, beside; /* beside: at what lies beside the database */
    unsigned table;
    struct storage_at { /* the row that was looked at last, in its table's terms */
        int64_t number;
        uint64_t version;
        struct id id;
        char name[PROGRAM_NAME_BYTES];
    } at;
    uint64_t changed; /* rows that were put under the newest key */
};
/* Does up to `rows` rows of what is left to do. 0: nothing is left; STORAGE_MORE; -EUCLEAN: a row that no key opens, which the log names: the key
 * before stays; as storage_open; -errno. Writes. Call it in a transaction of its own each time, and take over what it made of *work only when that is
 * durable: a row that was passed over is not looked at again. */
#define STORAGE_MORE 2207
int storage_step(struct operations *o, struct storage_work *work, unsigned rows) MUST_USE;

/* storage_rows.c: looks at the next row of work->table, and puts it under work->to. 0; OPERATIONS_ABSENT: it was the table's last; -errno. Writes. */
#define STORAGE_TABLES 4
int storage_row(struct operations *o, struct storage_work *work) MUST_USE;
/* A stored secret put under another key. *changed says if it was not yet. */
int storage_put_under(struct operations *o, const struct keys_storage_id *to, const char *label, struct slice context,
                      struct slice stored, uint8_t out[KEYS_STORED_BYTES], bool *changed) MUST_USE;

#endif
