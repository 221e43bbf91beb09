/* Standard output at a program's end: what could not be written is not done. Single thread. */
#ifndef BASE_STANDARD_H
#define BASE_STANDARD_H

/* First of all: standard input, output or error that was closed is opened for nothing, so that no file or socket of ours gets its number. */
void standard_open(void);
/* Writes out what stdout still holds. Returns status; or 1 in place of 0 when something written there was lost, which is said on standard error, except
 * of a pipe that nobody reads any more. */
int standard_end(const char *program, int status);

#endif
