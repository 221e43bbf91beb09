/* A new keyset, and with it new keys, in the running server: who is connected hears of the keyset before anything that a new key has signed leaves. */
#ifndef DISTRIBUTOR_RENEW_H
#define DISTRIBUTOR_RENEW_H

#include "distributor/server.h"

/* Takes both: what was read of the database, and the keys that belong to it (NULL: as before). Nothing happens when the keyset is the one that is
 * shown already. Loop thread. */
void renew_take(struct server *server, struct buf *keyset, struct keys *keys);
/* Database thread: the keyset into *out and, when its keys are others than o's, those into *keys. 0, -errno. */
int renew_read(struct operations *o, struct buf *out, struct keys **keys) MUST_USE;
void renew_free(struct server *server); /* when nothing runs any more */

#endif
