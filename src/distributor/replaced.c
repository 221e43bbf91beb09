/* See replaced.h. */
#define LOG_MODULE "restore"
#include "distributor/replaced.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "distributor/keys.h"
#include "distributor/keyset.h"
#include "distributor/rows.h"

#define ASIDE "replaced-"

struct before {
    struct keys *keys;
    struct operations *o;
};

static void before_close(struct before *b)
{
    operations_close(b->o);
    keys_free(b->keys);
}

static int before_open(struct before *b, const char *dir, const struct rng *rng)
{
    int r = keys_load(&b->keys, dir);
    return r == 0 ? operations_open(&b->o, dir, b->keys, rng, OPERATIONS_READ_ONLY) : r;
}

int replaced_serving(const char *state_dir, const struct rng *rng, int64_t now_ms, char place[SERVING_PLACE_BYTES],
                     int64_t *seen_ms)
{
    struct serving here;
    struct before b CLEANUP(before_close) = { NULL, NULL };
    int r = serving_init(&here, state_dir, rng);
    if (r != 0 || !here.shared || before_open(&b, state_dir, rng) != 0)
        return OPERATIONS_ABSENT;
    r = serving_elsewhere(b.o, &here, now_ms, place, seen_ms);
    return r == 0 ? 0 : OPERATIONS_ABSENT;
}

/* --- Withdrawn keys -------------------------------------------------------------------------------------------------- */

static int carry(struct operations *o, struct operations *from)
{
    struct query q CLEANUP(query_end) = query(from->store, WITHDRAWN_KEY_ALL);
    int r = 0;
    while (r == 0 && rows_next(&q, &r)) {
        uint8_t key[32];
        query_fixed(&q, 0, key, sizeof(key));
        int64_t since_ms = query_i64(&q, 1);
        r = query_check(&q);
        if (r == 0)
            r = keyset_withdraw(o, key, since_ms);
    }
    return r;
}

static int carry_from(struct operations *o, const char *state_dir, const char *name)
{
    char dir[PATH_MAX];
    struct before b CLEANUP(before_close) = { NULL, NULL };
    int r = file_join(dir, sizeof(dir), state_dir, name);
    if (r == 0 && before_open(&b, dir, o->rng) != 0) {
        log_warn("%s cannot be read: keys that were withdrawn in it are to be withdrawn again", name);
        return 0;
    }
    bool is_ours = r == 0 && id_equal(b.keys->self.bytes, &o->keys->self);
    return is_ours ? carry(o, b.o) : r;
}

int replaced_withdrawn(struct operations *o, const char *state_dir)
{
    DIR *dir = opendir(state_dir);
    struct dirent *entry;
    if (dir == NULL)
        return -errno;
    int r = 0;
    while (r == 0 && (entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, ASIDE, strlen(ASIDE)) == 0)
            r = carry_from(o, state_dir, entry->d_name);
    closedir(dir);
    return r;
}

int replaced_prepare(struct operations *o, const char *dir, bool *any)
{
    int r = 0;
    *any = false;
    for (enum key_purpose p = KEY_TLS; r == 0 && p <= KEY_SEALING; p++) {
        bool gone = false;
        r = keyset_is_withdrawn(o, keys_public(o->keys, p), &gone);
        if (r == 0 && gone)
            r = keys_prepare(o->keys, dir, o->rng, p);
        *any = *any || gone;
    }
    return r;
}
