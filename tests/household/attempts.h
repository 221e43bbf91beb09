/* What the programs that were taken over have in common (compromised_*.c): attempts that none of them may succeed in, and the lines in the log that say what each
 * returned: attempt=NAME outcome=WORD, where "done" is what must not be. */
#ifndef HOUSEHOLD_ATTEMPTS_H
#define HOUSEHOLD_ATTEMPTS_H

#include <stdbool.h>
#include <sys/types.h>

void attempt_tell(const char *attempt, bool done, const char *outcome);
void attempt_called(const char *attempt, long result); /* a system call's; a descriptor is closed */

/* A Unix socket connected to where path leads; as attempt_called wants it. */
int attempt_connect(int kind, const char *path, bool abstract);

void attempts_on_process(const char *whose, pid_t pid, bool all); /* all: also to write its memory, and to end it */
void attempts_on_kernel(bool all); /* all: also what a process may usually change of itself */
void attempts_on_programs(void);   /* of a server */
void attempts_on_network(void);    /* of a server: IP is its business */

#endif
