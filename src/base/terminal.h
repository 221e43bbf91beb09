/* The state of the terminal that is standard input, changed for a while: a secret that is not echoed, keys that come one by one. It is as it was
 * when this program ends or is stopped, in whatever way that can be noticed, and changed again when it goes on. Not what is drawn on a terminal.
 * Single thread; one change at a time. */
#ifndef BASE_TERMINAL_H
#define BASE_TERMINAL_H

#include <stddef.h>
#include <termios.h>

#include "base/outcome.h"

/* As standard input is now: what a change begins with. 0; -errno (-ENOTTY: it is no terminal). */
int terminal_get(struct termios *out) MUST_USE;
/* Changed until terminal_restore. how: TCSADRAIN, or TCSAFLUSH, which throws away what was typed before. question: written to standard error then, and again
 * whenever the program goes on after a stop; borrowed until terminal_restore; NULL: none. 0, -errno. */
int terminal_change(const struct termios *wanted, int how, const char *question) MUST_USE;
void terminal_restore(int how); /* as it was before; idempotent */

/* Asks on standard error and reads one line of standard input without echo, byte by byte: no buffer of the C library keeps it. out, of cap bytes, is the
 * caller's to wipe. 0; -ENOTTY; -ENODATA: it has ended; -EMSGSIZE; -errno. */
int terminal_secret(const char *question, char *out, size_t cap) MUST_USE;
/* One line of standard input, terminal or not, in the same way. "\r" before its end is taken off. 0, -ENODATA, -EMSGSIZE, -errno. */
int terminal_line(char *out, size_t cap) MUST_USE;

#endif
