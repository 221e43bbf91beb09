/* Which storage key is used, and the change from one to the next. On the connection's thread. */
#define LOG_MODULE "storage"
#include "distributor/storage.h"

#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/erase.h"
#include "distributor/keyblocks.h"
#include "distributor/program_history.h"
#include "distributor/rows.h"

#define NAMES "erased names"

/* --- The list ---------------------------------------------------------------------------------------------------------- */

int storage_list(struct operations *o, struct storage_list *out)
{
    int r;
    *out = (struct storage_list){ .count = 0 };
    struct query q CLEANUP(query_end) = query(o->store, STORAGE_LISTED);
    query_bind_i64(&q, 1, STORAGE_LISTED_MAX);
    while (rows_next(&q, &r)) {
        query_fixed(&q, 0, out->ids[out->count].bytes, KEYS_STORAGE_ID_BYTES);
        out->count++;
    }
    return r == 0 ? query_check(&q) : r;
}

static int list_add(struct operations *o, const struct keys_storage_id *id, int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, STORAGE_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(id->bytes));
    query_bind_i64(&q, 2, now_ms);
    return rows_run(&q);
}

bool storage_is_changing(const struct operations *o, const struct storage_list *list)
{
    struct keys_storage_id first = keys_storage_first(o->keys);
    return list->count > 1 || (list->count == 1 && !keys_storage_same(&first, &list->ids[0]));
}

int storage_switch(struct operations *o, const struct keys_storage_id *id, int64_t now_ms)
{
    struct storage_list list;
    int r = storage_list(o, &list);
    if (r == 0)
        r = keys_storage_has(o->keys, id);
    if (r == 0 && list.count != 1)
        r = STORAGE_CHANGING;
    return r == 0 ? list_add(o, id, now_ms) : r;
}

/* --- Secrets of no other row --------------------------------------------------------------------------------------------- */

int storage_protect(struct operations *o, const char *label, struct slice context, const struct key32 *secret,
                    uint8_t out[KEYS_STORED_BYTES])
{
    struct storage_list list;
    int r = storage_list(o, &list);
    if (r == 0 && list.count == 0)
        r = -EUCLEAN;
    return r == 0 ? keys_protect(o->keys, o->rng, &list.ids[0], label, context, secret, out) : r;
}

int storage_names_secret(struct operations *o, struct key32 *out)
{
    struct query q CLEANUP(query_end) = query(o->store, SECRET_GET);
    query_bind_text(&q, 1, NAMES);
    int r = rows_one(&q);
    if (r == 0)
        r = keys_reveal(o->keys, STORAGE_SECRET, slice_str(NAMES), query_blob(&q, 0), out);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

/* Names that an earlier version has erased are hashed with the storage key of then: they stay known. */
static int draw_names_secret(struct operations *o, struct key32 *out)
{
    struct query q CLEANUP(query_end) = query(o->store, ERASED_NAME_ANY);
    int r = rows_one(&q);
    if (r == 0)
        return keys_storage_names_before(o->keys, out);
    if (r == OPERATIONS_ABSENT)
        rng_fill(o->rng, out->bytes, sizeof(out->bytes));
    return r == OPERATIONS_ABSENT ? 0 : r;
}

int storage_begin(struct operations *o)
{
    struct key32 names CLEANUP(key32_wipe) = { { 0 } };
    struct keys_storage_id first = keys_storage_first(o->keys);
    uint8_t sealed[KEYS_STORED_BYTES];
    int r = list_add(o, &first, 0); /* since always */
    if (r == 0)
        r = draw_names_secret(o, &names);
    if (r == 0)
        r = storage_protect(o, STORAGE_SECRET, slice_str(NAMES), &names, sealed);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, SECRET_ADD);
    query_bind_text(&q, 1, NAMES);
    query_bind_blob(&q, 2, SLICE_ARRAY(sealed));
    return rows_run(&q);
}

/* --- Opening ----------------------------------------------------------------------------------------------------------- */

/* A database of an earlier version names no key: does the one that is here open something? */
static int judge_first(struct operations *o)
{
    struct keyblocks_newest newest CLEANUP(keyblocks_newest_wipe) = { 0 };
    int r = keyblocks_newest(o, OPERATIONS_SELF, &newest);
    if (r == -EUCLEAN)
        log_error("what is in the database lies under another storage key than the one in keys/");
    return r == OPERATIONS_ABSENT ? 0 : r == -EUCLEAN ? -ENOKEY : r;
}

static int begin_list(struct operations *o)
{
    struct storage_list list;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = judge_first(o);
    if (r == 0)
        r = transaction_begin(&t, o->store);
    if (r == 0)
        r = storage_list(o, &list); /* somebody else may have been faster */
    if (r == 0 && list.count == 0)
        r = storage_begin(o);
    return r == 0 ? transaction_commit(&t) : r;
}

int storage_open(struct operations *o)
{
    struct storage_list list;
    int r = storage_list(o, &list);
    if (r == 0 && list.count == 0)
        return (o->schema.flags & STORE_READ_ONLY) != 0 ? 0 : begin_list(o);
    for (size_t i = 0; r == 0 && i < list.count; i++)
        r = keys_storage_has(o->keys, &list.ids[i]);
    return r;
}

/* --- Step by step -------------------------------------------------------------------------------------------------------- */

static int retire(struct operations *o)
{
    int r = store_run(o->store, STORAGE_RETIRE);
    /* What lay under the key before is in free pages, and somebody may have that key. */
    if (r == 0)
        r = erase_scrub_later(o);
    if (r == 0)
        log_info("everything in the database lies under the new storage key");
    return r > 0 ? -EUCLEAN : r;
}

static int step_database(struct operations *o, struct storage_work *work, unsigned rows)
{
    for (unsigned i = 0; i < rows && work->table < STORAGE_TABLES; i++) {
        int r = storage_row(o, work);
        if (r == OPERATIONS_ABSENT) {
            work->table++;
            work->at = (struct storage_at){ 0 };
        } else if (r != 0)
            return r;
    }
    int r = work->table == STORAGE_TABLES ? retire(o) : 0;
    return r == 0 ? STORAGE_MORE : r;
}

/* Nobody may be copying the keys meanwhile: a copy of a database that lies under the old one needs that one (backup.h). */
static int adopt(struct operations *o, const struct storage_work *work)
{
    int lock CLEANUP(closep) = keys_lock(o->state_dir, true, false);
    if (lock < 0)
        return lock == -EBUSY ? STORAGE_MORE : lock;
    int r = keys_storage_adopt(o->keys, o->state_dir, &work->to);
    if (r == 0)
        log_info("the storage key of before is destroyed: nothing lies under it any more");
    return r;
}

static int step_beside(struct operations *o, struct storage_work *work, unsigned rows)
{
    int r = program_history_put_under(o, work, rows);
    return r == OPERATIONS_ABSENT ? adopt(o, work) : r == 0 ? STORAGE_MORE : r;
}

int storage_step(struct operations *o, struct storage_work *work, unsigned rows)
{
    struct storage_list list;
    int r = storage_list(o, &list);
    if (r != 0 || !storage_is_changing(o, &list))
        return r == 0 ? keys_storage_tidy(o->state_dir) : r;
    bool beside = list.count == 1;
    if (!work->begun || work->beside != beside || !keys_storage_same(&work->to, &list.ids[0]))
        *work = (struct storage_work){ .to = list.ids[0], .begun = true, .beside = beside, .changed = work->changed };
    return beside ? step_beside(o, work, rows) : step_database(o, work, rows);
}
