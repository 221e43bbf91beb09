/* See database_move.h. */
#define LOG_MODULE "operations"
#include "distributor/database_move.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "distributor/database.h"
#include "distributor/rows.h"

enum found { FOUND_NOTHING, FOUND_PART, FOUND_ALL };

/* What a try before has left there. */
static int look(struct operations *there, const struct id *self, enum found *out)
{
    struct id id;
    char incomplete[8];
    struct query q CLEANUP(query_end) = query(there->store, DISTRIBUTOR_GET);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    int r = query_one(&q);
    if (r == STORE_ABSENT) {
        *out = FOUND_NOTHING;
        return 0;
    }
    if (r == 0)
        query_fixed(&q, 0, id.bytes, sizeof(id.bytes));
    if (r == 0)
        r = query_check(&q);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    if (!id_equal(&id, self))
        return DATABASE_MOVE_TAKEN;
    r = operations_setting(there, OPERATIONS_NOT_COMPLETE, incomplete, sizeof(incomplete));
    if (r == 0)
        *out = incomplete[0] != '\0' ? FOUND_PART : FOUND_ALL;
    return r;
}

/* Step 1, unless it was done. */
static int copy(struct operations *o, struct operations *there, bool gone, struct store_copied *out)
{
    enum found found;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = transaction_begin(&t, there->store);
    if (r == 0)
        r = look(there, &o->keys->self, &found);
    if (r != 0)
        return r;
    if (gone) /* step 2 was done: what is there counts, whole or not at all */
        return found == FOUND_NOTHING ? -ENOENT : 0;
    if (found == FOUND_ALL)
        return DATABASE_MOVE_THERE;
    r = store_copy(o->store, there->store, out);
    if (r == 0)
        r = operations_setting_set(there, OPERATIONS_NOT_COMPLETE, "yes");
    if (r == 0)
        r = transaction_commit(&t);
    return r;
}

/* Step 3. */
static int complete(struct operations *there)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = transaction_begin(&t, there->store);
    if (r == 0)
        r = operations_setting_set(there, OPERATIONS_NOT_COMPLETE, "");
    return r == 0 ? transaction_commit(&t) : r;
}

int database_move(struct operations *o, struct transaction *t, const char *to, struct store_copied *out)
{
    struct store *store CLEANUP(store_closep) = NULL;
    char gone[STORE_PG_DATABASE_BYTES];
    struct store_copied copied = { 0 };
    int r = operations_setting(o, OPERATIONS_GONE_TO, gone, sizeof(gone));
    if (r == 0 && gone[0] != '\0' && strcmp(gone, to) != 0) {
        log_error("the move that was begun went to=%s", gone);
        return DATABASE_MOVE_ELSEWHERE;
    }
    if (r == 0)
        r = store_pg_open(&store, to, &o->schema, gone[0] == '\0');
    if (r != 0)
        return r;
    struct operations there = { .store = store, .keys = o->keys, .rng = o->rng }; /* for its settings */
    r = copy(o, &there, gone[0] != '\0', &copied);
    if (r == 0)
        r = operations_setting_set(o, OPERATIONS_GONE_TO, to);
    if (r == 0)
        r = transaction_commit(t);
    /* The mark of 2 goes into the file itself: when somebody reads it meanwhile, its log stays, and they are moved aside one after the other. */
    if (r == 0)
        r = store_checkpoint(o->store, NULL);
    if (r == 0)
        r = complete(&there);
    if (r == 0)
        *out = copied;
    return r;
}

/* One file, whole: its log would be another, and between two renames neither half counts. */
int database_move_end(const char *state_dir, const char *to, int64_t now_ms, char *aside, size_t cap)
{
    char name[64], from[1100], into[1100];
    int r = database_choose_moved(state_dir, to);
    if (r == 0)
        r = file_join(from, sizeof(from), state_dir, "operations.db");
    aside[0] = '\0';
    if (r != 0 || access(from, F_OK) != 0)
        return r;
    snprintf(name, sizeof(name), "moved-%lld", (long long)now_ms);
    r = file_join(aside, cap, state_dir, name);
    if (r == 0)
        r = file_join(into, sizeof(into), aside, "operations.db");
    if (r == 0)
        r = store_fold(from);
    if (r == 0 && mkdir(aside, 0700) != 0)
        r = -errno;
    if (r == 0 && rename(from, into) != 0)
        r = -errno;
    if (r == 0)
        r = file_sync_dir(aside);
    return r == 0 ? file_sync_dir(state_dir) : r;
}
