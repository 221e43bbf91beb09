/* keys rotate storage: another storage key, in a file or in a token, while servers serve. One thread. */
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/storage.h"

#define ROWS 100       /* a transaction: milliseconds, in which servers wait */
#define PAUSE_MS_MIN 1 /* between two, and as long as the one before took: in which they do not */

static int failed(struct admin *a, int r)
{
    if (r == KEYS_TOKEN || r == -ENXIO || r == -EACCES || r == -EKEYREJECTED)
        return admin_fail(a, REASON_NOT_PERMITTED,
                          "The token does not hold the storage key; the log line above says why.");
    if (r == -ENOKEY)
        return admin_fail(a, REASON_NOT_FOUND,
                          "A storage key that is needed is not in keys/; the log line above says which.");
    if (r == -EUCLEAN)
        return admin_fail(
            a, REASON_INTERNAL,
            "A row is damaged: no storage key opens it; the log line above says what it is. The key before stays. "
            "Put the row back from a backup, or remove it, and run this again.");
    return admin_error(a, r, "change the storage key");
}

static void pause_for(int64_t ms)
{
    const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    (void)nanosleep(&t, NULL); /* woken early: no harm */
}

/* --- The next key ---------------------------------------------------------------------------------------------------- */

/* With a place it is made anew, for nothing lies under one that is only prepared; without one it is where the key before is. */
static int prepare(struct admin *a, const struct storage_place *place, struct keys_storage_id *id)
{
    char text[KEYS_PLACE_BYTES];
    struct token_place same = { NULL, NULL, NULL };
    int r = place->here || place->token != NULL ? -ENOENT : keys_storage_prepared(a->keys, a->state_dir, id);
    if (r != -ENOENT)
        return r;
    r = keys_storage_place(a->state_dir, text, &same);
    const struct token_place *token = place->token != NULL               ? place->token
                                      : same.url != NULL && !place->here ? &same
                                                                         : NULL;
    return r == 0 ? keys_storage_prepare(a->keys, a->state_dir, rng_system(), token, id) : r;
}

static int switch_to(struct admin *a, const struct keys_storage_id *id)
{
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = storage_switch(a->o, id, a->now_ms);
    return r == 0 ? admin_commit(a) : failed(a, r);
}

/* Alone, so that nobody prepares another key over one that is in use already. *changing: whether there is anything to go on with. */
static int begin(struct admin *a, const struct storage_place *place, bool *changing)
{
    struct storage_list list;
    struct keys_storage_id id;
    int lock CLEANUP(closep) = keys_lock(a->state_dir, true, true); /* before the keys are read */
    int r = lock < 0 && lock != -ENOENT ? admin_error(a, lock, "lock the keys") : admin_open(a);
    if (r != 0)
        return r;
    r = storage_list(a->o, &list);
    if (r != 0)
        return failed(a, r);
    *changing = storage_is_changing(a->o, &list);
    if (*changing) /* begun before */
        return 0;
    r = prepare(a, place, &id);
    if (r != 0)
        return failed(a, r);
    *changing = !place->only_prepare;
    return place->only_prepare ? 0 : switch_to(a, &id);
}

/* --- Everything under it --------------------------------------------------------------------------------------------- */

/* What a transaction has done counts when it is kept. */
static int go_on(struct admin *a, struct storage_work *work)
{
    int r = STORAGE_MORE;
    while (r == STORAGE_MORE) {
        struct storage_work next = *work;
        int64_t began_ms = clock_mono_ms(clock_system());
        int begun = admin_begin(a);
        if (begun != 0)
            return begun;
        r = storage_step(a->o, &next, ROWS);
        if (r != 0 && r != STORAGE_MORE)
            return failed(a, r);
        int kept = admin_commit(a);
        if (kept != 0)
            return kept;
        *work = next;
        if (r == STORAGE_MORE)
            pause_for(PAUSE_MS_MIN + clock_mono_ms(clock_system()) - began_ms);
    }
    return 0;
}

static int tell(struct admin *a, uint64_t changed, const char *former)
{
    char id[KEYS_STORAGE_TEXT_BYTES], place[KEYS_PLACE_BYTES];
    struct keys_storage_id first = keys_storage_first(a->keys);
    int r = keys_storage_place(a->state_dir, place, NULL);
    if (r != 0)
        return admin_error(a, r, "read the storage key");
    keys_storage_text(&first, id);
    const struct out_field fields[] = { OUT_T("storage-key", id), OUT_T("in", place[0] != '\0' ? place : "a file"),
                                        OUT_N("rows-changed", changed), OUT_T("former", former) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_storage_rotate(struct admin *a, const struct storage_place *place)
{
    struct storage_work work = { .begun = false };
    bool changing = false;
    int r = begin(a, place, &changing);
    if (r == 0 && changing)
        r = go_on(a, &work);
    return r == 0 ? tell(a, work.changed, changing ? "destroyed" : "in use: the next one is prepared") : r;
}
