/* What a serving process can still do once it has started: its state directory, the network, its database server. Should somebody take it over from the network, that is
 * all there is. By Landlock and seccomp (base/confine.h). A payment command is started by a process beside it (starter.h). The operator's other commands are not confined. */
#ifndef DISTRIBUTOR_CONFINEMENT_H
#define DISTRIBUTOR_CONFINEMENT_H

#include "base/outcome.h"
#include "distributor/config.h"

struct confinement {
    const struct config *config;
    const char *database; /* as the file `database` says; "": the embedded one */
};
enum confinement_kind { CONFINEMENT_NONE, CONFINEMENT_PARTS, CONFINEMENT_WHOLE };
/* No new privileges, Landlock, a list of system calls; what this kernel or this build has not is missing, and a warning says so (CONFINEMENT_PARTS); under a sanitizer all
 * of it is (CONFINEMENT_NONE). The log says which. What a restore by hand has left open to others is closed before: a store does so when it is opened, which may be after no mode can be changed. Before threads are started. 0 or -errno. */
int confinement_enter(const struct confinement *c, enum confinement_kind *kind) MUST_USE;

#endif
