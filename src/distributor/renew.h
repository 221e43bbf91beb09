/* A new keyset, and with it new keys, in the running server: who is connected hears of the keyset before anything that a new key has signed leaves. */
#ifndef DISTRIBUTOR_RENEW_H
#define DISTRIBUTOR_RENEW_H

#include "distributor/server.h"

/* What one job has read of keyset and keys, for the loop to take when the job is done. A job has one of its own. */
struct renew_reading {
    struct buf keyset; /* empty: the newest one was read before */
    struct keys *keys; /* that go with it; NULL: as before */
    struct buf last;   /* what was taken last: keys are loaded, and a token asked, only when it is another one */
};
struct renew_reading renew_reading(void);
void renew_reading_free(struct renew_reading *r);
/* Database thread. 0, -errno. */
int renew_read(struct operations *o, struct renew_reading *r) MUST_USE;
/* Takes what was read. Nothing happens when the keyset is the one that is shown already. Loop thread. */
void renew_take(struct server *server, struct renew_reading *r);
void renew_free(struct server *server); /* when nothing runs any more */

#endif
