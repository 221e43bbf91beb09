/* How a program begins and ends towards whoever started it: descriptors, output, exit status. Single thread. */
#ifndef BASE_STANDARD_H
#define BASE_STANDARD_H

/* First of all: standard input, output or error that was closed is opened for nothing, so that no file or socket of ours gets its number. */
void standard_open(void);
/* Writes out what stdout still holds. Returns status; or 1 in place of 0 when something written there was lost, which is said on standard error, except
 * of a pipe that nobody reads any more. */
int standard_end(const char *program, int status);
/* The exit status of a server that cannot start because of an error (-errno): EX_NOPERM where it is not permitted, or has not the key; EX_DATAERR where what
 * is stored is damaged, or a newer version's; EX_CONFIG where a path cannot be what it should. Whoever starts it again changes none of these (units name
 * them in RestartPreventExitStatus=). Else 1; 0 of 0. */
int standard_status(int error);

#endif
