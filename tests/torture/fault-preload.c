/* Loaded into a whole program by the dynamic linker (LD_PRELOAD): what fails in it is armed by another process, programs.py, in a file that both have mapped.
 *
 *   HEARTH_FAULTS  PROGRAM:FILE  in a program of this name; FILE is as large as struct fault_state
 *
 * Its helper processes (opener, spawner), which are forked from it, have no faults. Any thread. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"

#define FRAMES_MAX 40

static struct fault_state none, *shared;

/* Callers by file and place in it, as addr2line takes them. Nothing is allocated. */
static void say_where(char *out, size_t room)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    size_t at = 0;
    for (int i = 1; i < count && at < room; i++) {
        Dl_info info;
        if (dladdr(frames[i], &info) != 0 && info.dli_fname)
            at += (size_t)snprintf(out + at, room - at, "%s %zx\n", info.dli_fname,
                                   (size_t)((char *)frames[i] - (char *)info.dli_fbase) - 1);
    }
}

static void on_strike(struct fault_state *state)
{
    int saved = errno;
    unsigned armed = atomic_exchange(&state->armed, 0); /* what is done here does not count */
    say_where(state->where, sizeof(state->where));
    state->armed = armed;
    errno = saved;
}

static void on_signal(int number)
{
    shared->armed = 0;
    say_where(shared->ended, sizeof(shared->ended));
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void in_child(void) { fault_use(&none, NULL); }

__attribute__((constructor)) static void begin(void)
{
    extern char *program_invocation_short_name;
    static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
    const char *text = getenv("HEARTH_FAULTS");
    char program[64], path[256];
    void *frame;
    if (!text || sscanf(text, "%63[^:]:%255s", program, path) != 2 ||
        strcmp(program, program_invocation_short_name) != 0)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    shared = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        abort();
    (void)close(fd);
    (void)backtrace(&frame, 1); /* loads what it needs */
    (void)pthread_atfork(NULL, NULL, in_child);
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        (void)signal(fatal[i], on_signal);
    fault_knows_descriptors = true;
    shared->pid = (unsigned)getpid();
    fault_use(shared, on_strike);
}
