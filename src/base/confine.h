/* Giving up what a process does not need, for the rest of its life.
 *
 *   confine.c        files, TCP, other processes: Landlock (Linux 5.13 and later; by system call, there is no library)
 *   confine_calls.c  system calls: seccomp, with libseccomp. Programs that use it have a fallback file beside their list, for a build without */
#ifndef BASE_CONFINE_H
#define BASE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
#define CONFINE_UNAVAILABLE 1       /* this kernel has no Landlock, this build no libseccomp */
#define CONFINE_ABSTRACT_SOCKETS 1u /* they are reached all the same */
#define CONFINE_TCP 2u              /* it is connected and bound all the same */
/* From now on this thread and those it starts open only what lies under the paths, and, where the kernel can tell, neither connect nor bind TCP,
 * signal no process outside, and reach no abstract Unix socket of one, but for what flags leave. Descriptors that are open stay open. Needs
 * PR_SET_NO_NEW_PRIVS. 0, CONFINE_UNAVAILABLE, -errno. */
int confine_files(const struct confine_path *paths, size_t count, unsigned flags) MUST_USE;

/* A system call with arguments. Where none of its rules fits, it is judged as one that is not named. */
struct confine_rule {
    int call;
    int error; /* what it fails with; 0: it is allowed */
    struct confine_argument {
        unsigned index;
        uint64_t mask, value; /* (argument & mask) == value; mask 0: whatever it is */
        bool differs;         /* != value, of the whole argument */
    } arguments[2];
};
struct confine_calls {
    bool all_else;    /* what is not named is allowed, and calls fail with EPERM; else the other way round */
    const int *calls; /* SCMP_SYS numbers, whatever their arguments */
    size_t call_count;
    const struct confine_rule *rules;
    size_t rule_count;
};
/* A filter for this thread and those it starts. Threads can be started, processes cannot, unless processes. Needs PR_SET_NO_NEW_PRIVS. 0 or -errno. */
int confine_calls(const struct confine_calls *list, bool processes) MUST_USE;

/* confine_server.c: what hearthd and the distributor need. flags: what else may be made. 0, CONFINE_UNAVAILABLE, -errno. */
#define CONFINE_UNIX_SOCKETS 1u
#define CONFINE_FOR_EVERYBODY 4u /* files that everybody reads: mode 0644 */
#define CONFINE_LINKS 2u         /* second names of files, where Landlock lets them be */
int confine_server_calls(unsigned flags) MUST_USE;

/* What libraries that are loaded later look up (libcurl, a token's module, those that resolve names): without /etc. */
#define CONFINE_SYSTEM_FILES 10
extern const struct confine_path confine_system_files[CONFINE_SYSTEM_FILES];

/* All of it: no new privileges, confine_files, then filter (0, CONFINE_UNAVAILABLE, -errno). What this kernel or this build has not is missing, and a warning says so. 0; CONFINE_UNAVAILABLE:
 * something is missing; -errno. */
int confine_enter(const struct confine_path *paths, size_t count, unsigned flags, int (*filter)(void)) MUST_USE;

#endif
