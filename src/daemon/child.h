/* Children: finding a program of this project, and starting it with inherited descriptors. Loop thread. */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include <limits.h>
#include <uv.h>

#include "base/outcome.h"

/* Looks for program beside this executable, then in ../<part>/ of it (the build tree), then in the libexec directory.
 * 0, -ENOENT, -ENAMETOOLONG. */
int child_find(const char *program, const char *part, char out[PATH_MAX]) MUST_USE;
/* Starts path with argv; the child gets fds[0] as descriptor 3, fds[1] as 4, ...; 0 and 1 are /dev/null, 2 is ours. Environment: only what
 * the child needs (HEARTH_LOG, and for sound and locale HOME, XDG_RUNTIME_DIR, LANG, and which server and device of PulseAudio and PipeWire). The fds stay the caller's. */
int child_start(uv_process_t *process, uv_loop_t *loop, const char *path, char **argv, const int *fds, int fd_count,
                uv_exit_cb on_exit) MUST_USE;

/* The same with input as descriptor 0; -1: /dev/null. */
int child_start_reading(uv_process_t *process, uv_loop_t *loop, const char *path, char **argv, int input,
                        const int *fds, int fd_count, uv_exit_cb on_exit) MUST_USE;

#endif
