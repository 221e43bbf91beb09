/* Damaged bodies: which ones are known to be, and finding out. A play that meets a damaged block has the whole body looked through; what was
 * found is remembered in hearthd.db until the body is whole again, or gone. Mending is a transfer like any other (receive_run.h), which asks for
 * the damaged blocks alone. Loop thread; bodies are read on the pool. */
#ifndef DAEMON_DAMAGE_H
#define DAEMON_DAMAGE_H

#include "daemon/daemon.h"
#include "protocol/reason.h"

/* Looks through a body; the library then knows what it is. Once: REASON_NONE, it is whole; REASON_BLOCK_CORRUPT; REASON_NOT_FOUND, there is
 * none; another: it could not be read. on_done may be NULL. 0, or -ENOMEM (then it does not fire). */
typedef void (*damage_fn)(enum reason why, void *ctx);
int damage_look(struct daemon *d, const struct id *content, damage_fn on_done, void *ctx) MUST_USE;
/* What is known from now on. */
void damage_note(struct daemon *d, const struct id *content, bool damaged);

#endif
