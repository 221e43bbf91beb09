/* Help and completion, out of the table of verbs. No hearthd is asked. Single thread. */
#include "ui-cli/help.h"

#include <string.h>

#include "base/commands.h"
#include "base/text.h"
#include "ui-cli/verbs.h"

#define COMMANDS_MAX 96
#define EVERYWHERE "[--json] [--socket PATH] [--help]"

static size_t commands(struct command out[COMMANDS_MAX])
{
    size_t n = 0;
    for (; n < COMMANDS_MAX && verb_table[n] != NULL; n++)
        out[n] = (struct command){ verb_table[n]->name, verb_table[n]->arguments, verb_table[n]->summary };
    return n;
}

const struct verb *help_find(const char *name)
{
    for (size_t i = 0; verb_table[i] != NULL; i++)
        if (verb_table[i]->name != NULL && strcmp(verb_table[i]->name, name) == 0)
            return verb_table[i];
    return NULL;
}

int help_unknown(const char *name, char out[HELP_UNKNOWN_BYTES])
{
    struct command table[COMMANDS_MAX];
    char safe[64];
    const char *near = commands_near(table, commands(table), name);
    snprintf(out, HELP_UNKNOWN_BYTES, "there is no command %s; %s%s%s hearth --help",
             text_safe(name, safe, sizeof(safe)), near != NULL ? "did you mean hearth " : "see",
             near != NULL ? near : "", near != NULL ? "? See" : "");
    return EXIT_USAGE;
}

int help_overview(void)
{
    struct command table[COMMANDS_MAX];
    puts("usage: hearth COMMAND [ARGUMENT...]\n"
         "Shares what a household bought between its devices, with the rights kept intact.\n");
    commands_overview(table, commands(table), stdout);
    puts("\nTRACK is a number of this terminal's last list, a unique title or a content ID.\n"
         "hearth help               a line about each command\n"
         "hearth COMMAND --help     all about one; each takes --json and --socket PATH\n"
         "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 no hearthd.");
    return EXIT_DONE;
}

int help_list(const char *name)
{
    struct command table[COMMANDS_MAX];
    char problem[HELP_UNKNOWN_BYTES];
    const struct verb *verb = name != NULL ? help_find(name) : NULL;
    if (verb != NULL)
        return help_verb(verb);
    if (name != NULL) {
        int code = help_unknown(name, problem);
        fprintf(stderr, "hearth: %s\n", problem);
        return code;
    }
    commands_list(table, commands(table), stdout);
    return EXIT_DONE;
}

void help_usage(const struct verb *verb, FILE *out)
{
    commands_usage("hearth", &(struct command){ verb->name, verb->arguments, verb->summary }, out);
}

int help_verb(const struct verb *verb)
{
    help_usage(verb, stdout);
    putchar('\n');
    commands_text(verb->summary, stdout);
    if (verb->help != NULL) {
        putchar('\n');
        commands_text(verb->help, stdout);
    }
    puts("\nEvery command takes --json (one object on standard output) and --socket PATH.");
    return EXIT_DONE;
}

int help_complete(const char *shell)
{
    static const struct commands_names names[] = { { "DEVICE", "hearth completion devices" },
                                                   { "DISTRIBUTOR", "hearth completion distributors" },
                                                   { NULL, NULL } };
    struct command table[COMMANDS_MAX];
    return commands_complete("hearth", shell, table, commands(table), EVERYWHERE, names, stdout) == 0 ? EXIT_DONE
                                                                                                      : EXIT_USAGE;
}
