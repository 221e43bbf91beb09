/* The command line as a whole: what every verb gets and how it answers. */
#ifndef UI_CLI_CLI_H
#define UI_CLI_CLI_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>

#include "ui-cli/client.h"
#include "ui-cli/output.h"

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3 };

struct verb;
struct cli {
    const struct verb *verb;
    struct client *client; /* opened by the first cli_call */
    const char *socket_path;
    const char *when_lost; /* what to do when hearthd goes away before it has answered; NULL: start it */
    struct output output;
};

/* argv[0] is the verb; options are parsed with cli_options. Returns an exit code. */
struct verb {
    const char *name;
    const char *arguments; /* synopsis after the name */
    const char *summary;
    const char *help; /* further lines, or NULL */
    int (*run)(struct cli *cli, int argc, char **argv);
};
/* Ends with NULL. One without run is a heading: its summary is the title of those up to the next. */
extern const struct verb *const verb_table[];

/* One option of a verb: a flag when `value` is NULL. --json, --socket and --help are added to every verb. */
struct option_spec {
    const char *name;
    const char **value;
    bool *flag;
};
/* Parses; leaves the positional arguments in *first .. *first + *count. Checks their number (max -1: any). Returns -1 to go on, or an exit code. */
int cli_options(struct cli *cli, int argc, char **argv, const struct option_spec *specs, size_t spec_count, int min,
                int max, char ***first, int *count);
int cli_usage(struct cli *cli, const char *problem); /* prints, returns EXIT_USAGE */

/* Sends one request. Returns EXIT_DONE or, after printing why not, another exit code.
 * client_refusal(cli->client) stays readable; *refused (may be NULL) takes refusals the verb handles itself. */
int cli_call(struct cli *cli, uint16_t type, const pb_msgdesc_t *fields, const void *message, client_row_fn on_row,
             void *ctx);
/* The same, but a refusal with this reason returns -1 without printing. */
int cli_call_except(struct cli *cli, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                    client_row_fn on_row, void *ctx, enum reason expected);
/* The same, but every refusal returns -1 without printing. */
int cli_call_quietly(struct cli *cli, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                     client_row_fn on_row, void *ctx);
/* The same, for a request that ends only when hearthd does: -1 without printing when it has ended, or ends. */
int cli_call_until_lost(struct cli *cli, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                        client_row_fn on_row, void *ctx);
/* Waits until hearthd is back, and says so on standard error. The next call asks that one. */
void cli_await(struct cli *cli);
/* Many requests at once (client.h). EXIT_DONE: each has ended, as its on_end was told; or another exit code, after printing why. */
int cli_call_many(struct cli *cli, const struct client_many *m);
int cli_fail(struct cli *cli, const char *code, const char *message,
             const char *remedy); /* prints, returns EXIT_REFUSED */
#define CLI_CALL(cli, TYPE, T, message, on_row, ctx) \
    cli_call((cli), ctl_Type_##TYPE, T##_fields, (message), (on_row), (ctx))

/* Copies an argument into a message's text field; false (and a usage error printed) when it is too long. */
bool cli_text(struct cli *cli, char *field, size_t cap, const char *value, const char *what);
/* A number from 1, as a listing shows it; 0 when text is NULL. false (and a usage error printed): it is none. what: what it numbers. */
bool cli_number(struct cli *cli, uint32_t *out, const char *text, const char *what);

#endif
