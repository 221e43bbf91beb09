/* hearth: the household's command line. A table of verbs; each asks hearthd and prints. No logic the daemon should own. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/standard.h"
#include "base/text.h"
#include "base/util.h"
#include "ui-cli/cli.h"
#include "ui-cli/help.h"

#define OPTIONS_MAX 16
#define AGAIN_MS 300 /* between two tries to reach a hearthd that has ended */

int cli_usage(struct cli *cli, const char *problem)
{
    if (cli->output.json) {
        output_error(&cli->output, "usage", problem, NULL);
        return EXIT_USAGE;
    }
    fprintf(stderr, "hearth %s: %s\n", cli->verb->name, problem);
    help_usage(cli->verb, stderr);
    return EXIT_USAGE;
}

int cli_fail(struct cli *cli, const char *code, const char *message, const char *remedy)
{
    output_error(&cli->output, code, message, remedy);
    return EXIT_REFUSED;
}

static int unknown_option(struct cli *cli, char **argv)
{
    char problem[256], safe[64];
    snprintf(problem, sizeof(problem),
             "%s is not known here, or lacks its value; what begins with - and is no option stands after --",
             text_safe(argv[optind > 1 ? optind - 1 : 1], safe, sizeof(safe)));
    return cli_usage(cli, problem);
}

/* One of the two would be lost. */
static int given_twice(struct cli *cli, const char *name)
{
    char problem[128];
    snprintf(problem, sizeof(problem), "--%s takes one value, and was given twice", name);
    return cli_usage(cli, problem);
}

int cli_options(struct cli *cli, int argc, char **argv, const struct option_spec *specs, size_t spec_count, int min,
                int max, char ***first, int *count)
{
    struct option longs[OPTIONS_MAX + 4] = {
        { "json", no_argument, NULL, 'j' },
        { "socket", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },
    };
    for (size_t i = 0; i < spec_count; i++)
        longs[3 + i] = (struct option){ specs[i].name, specs[i].value != NULL ? required_argument : no_argument, NULL,
                                        256 + (int)i };
    opterr = 0;
    optind = 1;
    bool help = false, given[OPTIONS_MAX] = { false };
    for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        if (c == 'j')
            output_init(&cli->output, true);
        else if (c == 's')
            cli->socket_path = optarg;
        else if (c == 'h')
            help = true;
        else if (c >= 256 && specs[c - 256].value != NULL && given[c - 256])
            return given_twice(cli, specs[c - 256].name);
        else if (c >= 256 && specs[c - 256].value != NULL)
            given[c - 256] = (*specs[c - 256].value = optarg) != NULL;
        else if (c >= 256)
            *specs[c - 256].flag = true;
        else
            return unknown_option(cli, argv);
    }
    if (help)
        return help_verb(cli->verb);
    *first = argv + optind;
    *count = argc - optind;
    if (*count < min)
        return cli_usage(cli, "an argument is missing");
    if (max >= 0 && *count > max)
        return cli_usage(cli, "too many arguments");
    return -1;
}

bool cli_text(struct cli *cli, char *field, size_t cap, const char *value, const char *what)
{
    if (snprintf(field, cap, "%s", value) < (int)cap)
        return true;
    char problem[128];
    snprintf(problem, sizeof(problem), "%s is longer than %zu bytes", what, cap - 1);
    cli_usage(cli, problem);
    return false;
}

bool cli_number(struct cli *cli, uint32_t *out, const char *text, const char *what)
{
    char *end, problem[128];
    unsigned long long n = text != NULL ? strtoull(text, &end, 10) : 0;
    if (text == NULL || (text[0] >= '1' && text[0] <= '9' && *end == '\0' && n <= UINT32_MAX)) {
        *out = (uint32_t)n;
        return true;
    }
    snprintf(problem, sizeof(problem), "the number of a %s is one that is listed, from 1", what);
    cli_usage(cli, problem);
    return false;
}

static int unreachable(struct cli *cli, int error)
{
    char message[256];
    if (error == -EPIPE || error == -ECONNRESET) {
        output_error(&cli->output, "daemon-unreachable", "hearthd has ended before it answered",
                     cli->when_lost != NULL ? cli->when_lost : "start it, and give the command again");
        return EXIT_UNREACHABLE;
    }
    const char *path = cli->client != NULL ? client_path(cli->client) : "its socket";
    if (error == -EACCES || error == -EPERM) {
        snprintf(message, sizeof(message), "this user may not speak to the hearthd at %s", path);
        output_error(&cli->output, "daemon-unreachable", message,
                     "give the command as the user whose it is, or as root: sudo hearth ...; or start one of your own: "
                     "systemctl --user start hearthd");
        return EXIT_UNREACHABLE;
    }
    snprintf(message, sizeof(message), "hearthd does not answer at %s: %s", path, strerror(-error));
    output_error(&cli->output, "daemon-unreachable", message,
                 "start hearthd (systemctl --user start hearthd), or name its socket with --socket or HEARTH_SOCKET");
    return EXIT_UNREACHABLE;
}

static int failed(struct cli *cli, int error)
{
    if (error == -EINVAL) {
        output_error(&cli->output, "usage", "an argument is not printable UTF-8 text", NULL);
        return EXIT_USAGE;
    }
    if (error == -EPROTO)
        return cli_fail(cli, "malformed", "hearthd and this program do not understand each other",
                        "install the same version of both");
    return unreachable(cli, error);
}

int cli_call_many(struct cli *cli, const struct client_many *m)
{
    int r = cli->client == NULL ? client_open(&cli->client, cli->socket_path) : 0;
    if (r == 0)
        r = client_call_many(cli->client, m);
    output_progress_end(&cli->output);
    return r == 0 ? EXIT_DONE : failed(cli, r);
}

int cli_call_quietly(struct cli *cli, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                     client_row_fn on_row, void *ctx)
{
    int r;
    if (cli->client == NULL && (r = client_open(&cli->client, cli->socket_path)) != 0)
        return unreachable(cli, r);
    r = client_call(cli->client, type, fields, message, on_row, ctx);
    output_progress_end(&cli->output);
    return r == 0 ? EXIT_DONE : r == CLIENT_REFUSED ? -1 : failed(cli, r);
}

int cli_call_except(struct cli *cli, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                    client_row_fn on_row, void *ctx, enum reason expected)
{
    int r;
    if (cli->client == NULL && (r = client_open(&cli->client, cli->socket_path)) != 0)
        return unreachable(cli, r);
    r = client_call(cli->client, type, fields, message, on_row, ctx);
    output_progress_end(&cli->output);
    if (r == 0)
        return EXIT_DONE;
    if (r == CLIENT_REFUSED) {
        const msg_Refusal *refusal = client_refusal(cli->client);
        if (expected != REASON_NONE && strcmp(refusal->code, reason_code(expected)) == 0)
            return -1;
        return cli_fail(cli, refusal->code, refusal->text, refusal->has_remedy ? refusal->remedy : NULL);
    }
    return failed(cli, r);
}

int cli_call(struct cli *cli, uint16_t type, const pb_msgdesc_t *fields, const void *message, client_row_fn on_row,
             void *ctx)
{
    return cli_call_except(cli, type, fields, message, on_row, ctx, REASON_NONE);
}

int cli_call_until_lost(struct cli *cli, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                        client_row_fn on_row, void *ctx)
{
    int r;
    if (cli->client == NULL && (r = client_open(&cli->client, cli->socket_path)) != 0)
        return unreachable(cli, r);
    r = client_call(cli->client, type, fields, message, on_row, ctx);
    if (r == 0 || r == -EPIPE || r == -ECONNRESET)
        return -1;
    if (r != CLIENT_REFUSED)
        return failed(cli, r);
    const msg_Refusal *refusal = client_refusal(cli->client);
    if (strcmp(refusal->code, reason_code(REASON_CANCELLED)) == 0)
        return -1;
    return cli_fail(cli, refusal->code, refusal->text, refusal->has_remedy ? refusal->remedy : NULL);
}

void cli_await(struct cli *cli)
{
    const struct timespec again = { .tv_nsec = AGAIN_MS * 1000000L };
    fprintf(stderr, "hearth: hearthd has ended; this waits until it is back (Ctrl-C ends it)\n");
    do {
        client_free(steal(&cli->client));
        (void)nanosleep(&again, NULL);
    } while (client_open(&cli->client, cli->socket_path) != 0);
    fprintf(stderr, "hearth: hearthd is back\n");
}

/* --json and --socket may also stand before the verb. */
static int skip_leading_options(struct cli *cli, int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--json") == 0)
            output_init(&cli->output, true);
        else if (strcmp(argv[i], "--socket") == 0 && i + 1 < argc)
            cli->socket_path = argv[++i];
        else if (strncmp(argv[i], "--socket=", 9) == 0)
            cli->socket_path = argv[i] + 9;
        else if (strcmp(argv[i], "--version") == 0) {
            puts("hearth " HEARTH_VERSION);
            exit(standard_end("hearth", EXIT_DONE));
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return -1;
        else
            return -2;
    }
    return i;
}

static int run(int argc, char **argv)
{
    struct cli cli = { 0 };
    output_init(&cli.output, false);
    int at = skip_leading_options(&cli, argc, argv);
    if (at == -1)
        return help_overview();
    if (at == -2) {
        fprintf(stderr, "hearth: %s is not known here, or lacks its value; see hearth --help\n", argv[1]);
        return EXIT_USAGE;
    }
    if (at >= argc && cli.output.json) {
        output_error(&cli.output, "usage", "a command is missing; see hearth --help", NULL);
        return EXIT_USAGE;
    }
    if (at >= argc)
        return help_overview() + EXIT_USAGE;
    if (strcmp(argv[at], "help") == 0)
        return help_list(at + 1 < argc ? argv[at + 1] : NULL);
    cli.verb = help_find(argv[at]);
    if (cli.verb != NULL) {
        int code = cli.verb->run(&cli, argc - at, argv + at);
        client_free(cli.client);
        return code;
    }
    char problem[HELP_UNKNOWN_BYTES];
    int code = help_unknown(argv[at], problem);
    if (cli.output.json)
        output_error(&cli.output, "usage", problem, NULL);
    else
        fprintf(stderr, "hearth: %s\n", problem);
    return code;
}

int main(int argc, char **argv)
{
    standard_open();
    setlocale(LC_ALL, "");
    prctl(PR_SET_DUMPABLE, 0); /* a password may pass through */
    return standard_end("hearth", run(argc, argv));
}
