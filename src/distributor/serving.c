/* Rows of the table `serving`. On the connection's thread. */
#include "distributor/serving.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"
#include "distributor/database.h"
#include "distributor/rows.h"

int serving_init(struct serving *s, const char *state_dir, const struct rng *rng)
{
    char database[STORE_PG_DATABASE_BYTES], machine[HOST_NAME_MAX + 1] = "", whole[PATH_MAX];
    *s = (struct serving){ .shared = false };
    int r = database_of(state_dir, database);
    if (r != 0 || database[0] == '\0')
        return r;
    s->shared = true;
    rng_fill(rng, s->id, sizeof(s->id));
    if (gethostname(machine, sizeof(machine) - 1) != 0 || realpath(state_dir, whole) == NULL)
        return -errno;
    return snprintf(s->place, sizeof(s->place), "%s:%s", machine, whole) < (int)sizeof(s->place) ? 0 : -ENAMETOOLONG;
}

int serving_note(struct operations *o, const struct serving *s, int64_t now_ms)
{
    if (!s->shared)
        return 0;
    struct query q CLEANUP(query_end) = query(o->store, SERVING_SET);
    query_bind_blob(&q, 1, SLICE_ARRAY(s->id));
    query_bind_text(&q, 2, s->place);
    query_bind_i64(&q, 3, now_ms);
    return rows_run(&q);
}

int serving_end(struct operations *o, const struct serving *s)
{
    if (!s->shared)
        return 0;
    struct query q CLEANUP(query_end) = query(o->store, SERVING_END);
    query_bind_blob(&q, 1, SLICE_ARRAY(s->id));
    return rows_run(&q);
}

int serving_elsewhere(struct operations *o, const struct serving *s, int64_t now_ms, char place[SERVING_PLACE_BYTES],
                      int64_t *seen_ms)
{
    if (!s->shared)
        return OPERATIONS_ABSENT;
    struct query q CLEANUP(query_end) = query(o->store, SERVING_ELSEWHERE);
    query_bind_text(&q, 1, s->place);
    query_bind_i64(&q, 2, now_ms - SERVING_FORGOTTEN_MS);
    query_bind_i64(&q, 3, now_ms + SERVING_FORGOTTEN_MS); /* clocks differ; a row of a database of later says nothing */
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_text(&q, 0, place, SERVING_PLACE_BYTES);
    *seen_ms = query_i64(&q, 1);
    return query_check(&q);
}
