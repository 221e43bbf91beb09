/* Questions to the person at the terminal. */
#ifndef UI_CLI_PROMPT_H
#define UI_CLI_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/outcome.h"

/* Yes or no, default no. False also when standard input is not a terminal. */
bool prompt_yes(const char *question);
bool prompt_possible(void);
/* One line without echo. 0, -ENOTTY, -ENODATA: it has ended, -EMSGSIZE, -errno. The caller wipes out. */
int prompt_secret(const char *question, char *out, size_t cap) MUST_USE;
int prompt_line(const char *question, char *out, size_t cap) MUST_USE;
/* One line of standard input, asked for when that is a terminal: what should not stand on a command line. 0, -ENODATA, -EMSGSIZE, -errno. */
int prompt_input(const char *question, char *out, size_t cap) MUST_USE;
/* First line of a file, which must not be readable by others when it is a regular file of ours. 0, -errno, -EMSGSIZE. */
int prompt_secret_file(const char *path, char *out, size_t cap) MUST_USE;

/* A password or PIN for a verb: from the file (its first line) or without echo, twice when it is a new one. option: the name of the option that
 * names the file, for who has no terminal. -1 to go on, or an exit code after saying why not. out is the caller's to wipe. */
struct cli;
int prompt_password(struct cli *cli, const char *option, const char *question, const char *file, bool twice, char *out,
                    size_t cap);

#endif
