/* The real hearth-distributor as a child process, for tests: a state directory of its own, a free port that it keeps over
 * restarts, an end by its process ID. argv[1] of the test is the program. Failures fail the test. */
#ifndef TESTS_SERVE_PROGRAM_H
#define TESTS_SERVE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct program {
    const char *binary;
    char dir[128];
    char address[64]; /* "127.0.0.1:PORT" */
    pid_t pid;        /* 0: not running */
    bool beside;      /* another server over a state directory of which one is there already */
};

void program_init(struct program *p, const char *binary, const char *name); /* fresh directory, `init` */
void program_init_database(struct program *p, const char *binary, const char *name,
                           const char *database); /* postgresql:... */
/* One more server over p's state directory and database, on a port of its own; not started yet, never program_deinit()ed. */
void program_init_beside(struct program *p, const struct program *of);
void program_init_directory(struct program *p, const char *binary, const char *name);
void program_start(struct program *p); /* returns once it listens */
void program_kill(struct program *p);  /* SIGKILL */
void program_stop(struct program *p);  /* SIGTERM; must end with 0 within 10 s */
void program_deinit(struct program *p);
/* An admin command; its exit status. NULL-terminated arguments after --state-dir DIR. */
int program_admin(struct program *p, ...) __attribute__((sentinel));
int program_admin_list(struct program *p, const char *const arguments[], size_t count);
int program_run(const char *const argv[]);         /* any other program, by its name; its exit status */
double program_cpu_us(const struct program *p);    /* processor time so far, of all its threads */
uint64_t program_pss_kib(const struct program *p); /* its memory, shared pages in proportion */

#endif
