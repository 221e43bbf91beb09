/* The opener: a small process beside hearthd that opens the files which commands name (packages, certificates, metadata, images), because hearthd itself reaches
 * none outside its own directories once it is confined. It may be asked by a hearthd that was taken over, so it judges each:
 *
 *   read     only what begins as a file of this project does: package, certificate, metadata, vouch
 *   create   only under a name that ends as those that export, burn and programs save write, with ".part" after it or not, and only what is not there
 *   rename   only from such a ".part" to such a name; all but packages and certificates in the place of nothing
 *   remove   only such a ".part", and a cue sheet
 *   list     any directory: names alone (hearthd's filter lets no mode be changed, also not by the descriptor)
 *
 * Blocking: pool threads, any number. */
#ifndef DAEMON_OPENER_H
#define DAEMON_OPENER_H

#include <stdbool.h>

#include "base/outcome.h"

#define OPENER_PATH_BYTES 1296

struct opener;
/* Starts the process; as spawner_new. 0 or -errno. */
int opener_new(struct opener **out) MUST_USE;
void opener_free(struct opener *o); /* the process ends, and is waited for; accepts NULL */

#define OPENER_FOREIGN 3 /* it is there, and none of ours */
/* Paths are whole ones. *fd is the caller's. flags: O_NOFOLLOW or 0. 0; FILE_NOT_REGULAR; OPENER_FOREIGN; -errno. */
int opener_read(struct opener *o, const char *path, int flags, int *fd) MUST_USE;
/* Descriptor to list (fdopendir) or to sync, or -errno. */
int opener_list(struct opener *o, const char *path) MUST_USE;
/* A new file, to read and write, readable as mode says. Descriptor or -errno; -EPERM: not under that name. */
int opener_create(struct opener *o, const char *path, unsigned mode) MUST_USE;
int opener_rename(struct opener *o, const char *from, const char *to) MUST_USE; /* 0; -EEXIST; -EPERM; -errno */
int opener_remove(struct opener *o, const char *path) MUST_USE;                 /* 0; -ENOENT; -EPERM; -errno */

/* The process's life: requests from fd, until it closes. */
_Noreturn void opener_serve(int fd);

#endif
