/* A program's table of commands, as help and shells want it. Not how a command is run. */
#ifndef BASE_COMMANDS_H
#define BASE_COMMANDS_H

#include <stddef.h>
#include <stdio.h>

#include "base/outcome.h"

/* A line of the table. Without a name it is a heading, its text in summary, for the lines up to the next one.
 * usage: what stands after the name, one line for each form, the second and later ones beginning with the name again. Options begin with "--", their
 * value follows ("--to DEVICE", "--role all|contents"); words that are typed as they stand are in lower case, what stands for something is not. */
struct command {
    const char *name, *usage, *summary;
};

/* The command that somebody may have meant who typed this word, which is none (suggest.h). NULL: none. */
const char *commands_near(const struct command *table, size_t count, const char *word);

/* Headings, each with the names of its commands, in lines of 80 columns. */
void commands_overview(const struct command *table, size_t count, FILE *out);
/* Headings, each command with its summary, in lines of 80 columns. */
void commands_list(const struct command *table, size_t count, FILE *out);
/* A text about a command, in lines of 80 columns. A line break of its own is kept behind a full stop or a colon, and before lines that are empty or begin
 * with a blank; elsewhere it is a blank. What is indented goes on below its words, of "  --name VALUE  what it is" below "what". */
void commands_text(const char *text, FILE *out);
/* "usage: PROGRAM NAME USAGE", broken between words at 80 columns. */
void commands_usage(const char *program, const struct command *c, FILE *out);

/* What a word of a usage stands for, such as DEVICE, and the command that prints what there is of it: a name a line. */
struct commands_names {
    const char *placeholder, *lister;
};
#define COMMANDS_NO_SHELL 1 /* none of "bash", "zsh", "fish" */
/* Writes what the shell wants in order to complete the program's command lines. everywhere: the usage of options that every command takes, or NULL. names: what
 * can be listed, ended by one without a placeholder; or NULL. 0, COMMANDS_NO_SHELL. */
int commands_complete(const char *program, const char *shell, const struct command *table, size_t count,
                      const char *everywhere, const struct commands_names *names, FILE *out) MUST_USE;

#endif
