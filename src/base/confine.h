/* Giving up the file system and TCP for the rest of the process, by Landlock (Linux 5.13 and later; by system call, there is no library). */
#ifndef BASE_CONFINE_H
#define BASE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/outcome.h"

struct confine_path {
    const char *path; /* file or directory with all below it; one that does not exist is skipped */
    bool may_write;   /* also create and remove plain files and directories there; else read */
};
#define CONFINE_UNAVAILABLE 1 /* this kernel has no Landlock */
/* From now on this thread and those it starts open only what lies under the paths, and, where the kernel can tell, neither connect nor bind TCP,
 * and signal no process outside. Descriptors that are open stay open. Needs PR_SET_NO_NEW_PRIVS. 0, CONFINE_UNAVAILABLE, -errno. */
int confine_files(const struct confine_path *paths, size_t count) MUST_USE;

#endif
