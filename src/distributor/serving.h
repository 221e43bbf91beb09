/* Which servers serve over this database, where several can (PostgreSQL): a row of each, written anew now and then. The embedded database has one server,
 * which a lock in the state directory tells of. Who puts a database back, or says that it was put back, must be alone. Any thread, over its own connection. */
#ifndef DISTRIBUTOR_SERVING_H
#define DISTRIBUTOR_SERVING_H

#include "distributor/operations.h"

#define SERVING_EVERY_MS 15000
#define SERVING_FORGOTTEN_MS 60000 /* since it was heard: it was killed, or cannot reach the database */
#define SERVING_PLACE_BYTES 1200

struct serving {
    bool shared; /* may there be others? */
    uint8_t id[16];
    char place[SERVING_PLACE_BYTES]; /* machine:state directory: within one, serve.lock tells */
};
/* 0, -errno. */
int serving_init(struct serving *s, const char *state_dir, const struct rng *rng) MUST_USE;
/* It is there now; it has ended. Nothing where there are no others. Write. */
int serving_note(struct operations *o, const struct serving *s, int64_t now_ms) MUST_USE;
int serving_end(struct operations *o, const struct serving *s) MUST_USE;
/* One that was heard lately and has another place. 0 with its place and when; OPERATIONS_ABSENT; -errno. */
int serving_elsewhere(struct operations *o, const struct serving *s, int64_t now_ms, char place[SERVING_PLACE_BYTES],
                      int64_t *seen_ms) MUST_USE;

#endif
