/* Finding and starting the programs that belong to hearthd. */
#include "daemon/child.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

#ifndef HEARTH_LIBEXECDIR
#define HEARTH_LIBEXECDIR "/usr/libexec/hearth"
#endif

static int try_path(char out[PATH_MAX], const char *dir, const char *middle, const char *program)
{
    int n = snprintf(out, PATH_MAX, "%s/%s%s", dir, middle, program);
    if (n < 0 || n >= PATH_MAX)
        return -ENAMETOOLONG;
    return access(out, X_OK) == 0 ? 0 : -ENOENT;
}

int child_find(const char *program, const char *part, char out[PATH_MAX])
{
    char own[PATH_MAX], middle[64];
    ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
    if (n > 0) {
        own[n] = '\0';
        char *slash = strrchr(own, '/');
        if (slash != NULL)
            *slash = '\0';
        if (try_path(out, own, "", program) == 0)
            return 0;
        (void)snprintf(middle, sizeof(middle), "../%s/", part);
        if (try_path(out, own, middle, program) == 0)
            return 0;
    }
    return try_path(out, HEARTH_LIBEXECDIR, "", program);
}

static bool is_wanted(const char *variable)
{
    static const char *const wanted[] = {
        "HEARTH_LOG=",
        "HOME=",
        "PATH=",
        "LANG=",
        "LC_ALL=",
        "TZ=",
        "TMPDIR=",
        "XDG_RUNTIME_DIR=",
        /* which server and device; others of these name configuration files, libraries to load, logs to write */
        "PULSE_SERVER=",
        "PULSE_SINK=",
        "PULSE_RUNTIME_PATH=",
        "PIPEWIRE_REMOTE=",
        "PIPEWIRE_RUNTIME_DIR=",
        "PIPEWIRE_NODE=",
        "ASAN_OPTIONS=",
        "UBSAN_OPTIONS=",
    };
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++)
        if (strncmp(variable, wanted[i], strlen(wanted[i])) == 0)
            return true;
    return false;
}

#define CHILD_VARIABLES_MAX 32
#define CHILD_FDS_MAX 4

int child_start(uv_process_t *process, uv_loop_t *loop, const char *path, char **argv, const int *fds, int fd_count,
                uv_exit_cb on_exit)
{
    return child_start_reading(process, loop, path, argv, -1, fds, fd_count, on_exit);
}

int child_start_reading(uv_process_t *process, uv_loop_t *loop, const char *path, char **argv, int input,
                        const int *fds, int fd_count, uv_exit_cb on_exit)
{
    char *environment[CHILD_VARIABLES_MAX + 1];
    unsigned count = 0;
    for (char **e = environ; *e != NULL && count < CHILD_VARIABLES_MAX; e++)
        if (is_wanted(*e))
            environment[count++] = *e;
    environment[count] = NULL;

    uv_stdio_container_t stdio[3 + CHILD_FDS_MAX] = {
        { .flags = UV_IGNORE },
        { .flags = UV_IGNORE },
        { .flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO },
    };
    if (fd_count > CHILD_FDS_MAX)
        return -EINVAL;
    if (input >= 0) {
        stdio[0].flags = UV_INHERIT_FD;
        stdio[0].data.fd = input;
    }
    for (int i = 0; i < fd_count; i++) {
        stdio[3 + i].flags = UV_INHERIT_FD;
        stdio[3 + i].data.fd = fds[i];
    }
    uv_process_options_t options = {
        .exit_cb = on_exit,
        .file = path,
        .args = argv,
        .env = environment,
        .stdio_count = 3 + fd_count,
        .stdio = stdio,
    };
    return uv_spawn(loop, process, &options); /* libuv's codes are -errno on this system */
}
