/* Help: an overview that fits a screen, the list of all verbs, one verb. All print to standard output and return an exit code. */
#ifndef UI_CLI_HELP_H
#define UI_CLI_HELP_H

#include <stdio.h>

#include "ui-cli/cli.h"

int help_overview(void);
int help_list(const char *name); /* of all verbs; with a name: of this one, and EXIT_USAGE when there is none */
int help_verb(const struct verb *verb);
int help_complete(const char *shell); /* what the shell needs to complete; EXIT_USAGE: it is none that is known */
void help_usage(const struct verb *verb, FILE *out); /* its synopsis alone */

#define HELP_UNKNOWN_BYTES 192
/* What to say of a command that there is not, with one that may be meant. Returns EXIT_USAGE. */
int help_unknown(const char *name, char out[HELP_UNKNOWN_BYTES]);
const struct verb *help_find(const char *name); /* NULL: there is no such verb */

#endif
