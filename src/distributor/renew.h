/* A new keyset, and with it new keys, in the running server: who is connected hears of the keyset before anything that a new key has signed leaves.
 * And keys/ while it has not those that count (keys_age.h): it is looked at until somebody has put them there. */
#ifndef DISTRIBUTOR_RENEW_H
#define DISTRIBUTOR_RENEW_H

#include "distributor/keys_age.h"
#include "distributor/server.h"

/* What one job has read of keyset and keys, for the loop to take when the job is done. A job has one of its own. */
struct renew_reading {
    struct buf keyset; /* empty: the newest one was read before */
    struct keys *keys; /* that go with it; NULL: as before */
    struct buf
        last; /* what was taken last: keys are loaded, and a token asked, only when it is another one, or files of keys/ are others */
    struct keys_stamp stamp; /* of those files, when they were loaded last */
    struct keys_ages ages;   /* of the keys that are there then: those in use, or `keys` */
};
struct renew_reading renew_reading(void);
void renew_reading_free(struct renew_reading *r);
/* Has it to be read although the database has not changed? */
bool renew_is_due(const struct renew_reading *r);
/* Database thread. 0, -errno. */
int renew_read(struct operations *o, int64_t now_ms, struct renew_reading *r) MUST_USE;
/* Takes what was read. Nothing happens when the keyset is the one that is shown already. Loop thread. */
void renew_take(struct server *server, struct renew_reading *r);
void renew_free(struct server *server); /* when nothing runs any more */

#endif
