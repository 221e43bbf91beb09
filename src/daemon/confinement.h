/* What hearthd can still do once it has started: its own directories but the vault's, the network, its helpers and the channels to its children. Should somebody take
 * it over from the network, that is all there is; what its helpers do for it they judge themselves (spawner.h, opener.h).
 * By Landlock and seccomp (base/confine.h). */
#ifndef DAEMON_CONFINEMENT_H
#define DAEMON_CONFINEMENT_H

#include <stdbool.h>

#include "base/outcome.h"
#include "daemon/config.h"

/* No new privileges, Landlock, a list of system calls; what this kernel or this build has not is missing, and a warning says so; so it is under a sanitizer. The directories and the database are there, before
 * threads are started. whole: nothing of it is missing. 0 or -errno. */
int confinement_enter(const struct config *config, bool *whole) MUST_USE;

#endif
