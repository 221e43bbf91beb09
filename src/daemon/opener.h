/* The opener: a small process beside hearthd that opens the files which commands name (packages, certificates, metadata, images), because hearthd itself reaches
 * none outside its own directories once it is confined. It may be asked by a hearthd that was taken over, so it judges each:
 *
 *   read     only what begins as a file of this project does: package, certificate, metadata, vouch
 *   create   only under a name that ends as those that export, burn and programs save write, with ".part" after it or not, and only what is not there
 *   rename   only from such a ".part", a plain file, to such a name; all but packages and certificates in the place of nothing
 *   remove   only such a ".part", and a cue sheet
 *   list     any directory: names alone (hearthd's filter lets no mode be changed, also not by the descriptor)
 *
 * One that stands still (its disk does not answer) is given up: -ETIMEDOUT, and what it does in the end, it does unseen; a descriptor that comes late is closed.
 *
 * Blocking: pool threads, any number. Watched on the loop thread; on_lost fires once. */
#ifndef DAEMON_OPENER_H
#define DAEMON_OPENER_H

#include <stdbool.h>
#include <uv.h>

#include "base/outcome.h"

#define OPENER_PATH_BYTES 1296

struct opener;
/* Starts the process; as spawner_new. patience_ms: for an answer, and as long again for those that ask before. 0 or -errno. */
int opener_new(struct opener **out, unsigned patience_ms) MUST_USE;
/* From here on its end is heard of. 0; -EPIPE: it has ended already; -errno. */
int opener_watch(struct opener *o, uv_loop_t *loop, void (*on_lost)(void *ctx), void *ctx) MUST_USE;
/* When no thread asks any more: the process ends, and is waited for (helper_end); freed by the loop when it is watched. Accepts NULL. */
void opener_free(struct opener *o);

int opener_look(struct opener *o, unsigned patience_ms) MUST_USE; /* 0: it answers; -ETIMEDOUT; -EPIPE; -errno */

#define OPENER_FOREIGN 3 /* it is there, and none of ours */
/* Paths are whole ones. *fd is the caller's. flags: O_NOFOLLOW or 0. 0; FILE_NOT_REGULAR; OPENER_FOREIGN; -errno. */
int opener_read(struct opener *o, const char *path, int flags, int *fd) MUST_USE;
/* Descriptor to list (fdopendir) or to sync, or -errno. */
int opener_list(struct opener *o, const char *path) MUST_USE;
/* A new file, to read and write, readable as mode says (0600 or 0644), whatever the umask. Descriptor or -errno; -EPERM: not under that name. */
int opener_create(struct opener *o, const char *path, unsigned mode) MUST_USE;
int opener_rename(struct opener *o, const char *from, const char *to) MUST_USE; /* 0; -EEXIST; -EPERM; -errno */
int opener_remove(struct opener *o, const char *path) MUST_USE;                 /* 0; -ENOENT; -EPERM; -errno */

/* The process's life: requests from fd, until it closes. */
_Noreturn void opener_serve(int fd);

#endif
