/* Giving up the file system and TCP for the rest of the process, by Landlock (Linux 5.13 and later; by system call, there is no library). */
#ifndef BASE_CONFINE_H
#define BASE_CONFINE_H

#include <stddef.h>

#include "base/outcome.h"

enum confine_access {
    CONFINE_LIST, /* open directories, no file */
    CONFINE_READ,
    CONFINE_WRITE, /* read; also create and remove plain files and directories there */
};
struct confine_path {
    const char *path; /* file or directory with all below it; one that does not exist is skipped */
    enum confine_access access;
};
#define CONFINE_UNAVAILABLE 1       /* this kernel has no Landlock */
#define CONFINE_ABSTRACT_SOCKETS 1u /* they are reached all the same */
#define CONFINE_TCP 2u              /* it is connected and bound all the same */
/* From now on this thread and those it starts open only what lies under the paths, and, where the kernel can tell, neither connect nor bind TCP,
 * signal no process outside, and reach no abstract Unix socket of one, but for what flags leave. Descriptors that are open stay open. Needs
 * PR_SET_NO_NEW_PRIVS. 0, CONFINE_UNAVAILABLE, -errno. */
int confine_files(const struct confine_path *paths, size_t count, unsigned flags) MUST_USE;

#endif
