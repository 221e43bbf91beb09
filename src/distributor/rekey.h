/* A server's part in a change of the storage key (storage.h): it goes on with what was begun, some rows between two requests, and forgets the key before. */
#ifndef DISTRIBUTOR_REKEY_H
#define DISTRIBUTOR_REKEY_H

#include "distributor/server.h"

struct rekey;
int rekey_new(struct rekey **out, struct server *server) MUST_USE; /* 0, -ENOMEM */
/* Once a second; changed: others have changed the database. Loop thread. */
void rekey_look(struct rekey *r, bool changed);
void rekey_free(struct rekey *r); /* when nothing runs any more; accepts NULL */

#endif
