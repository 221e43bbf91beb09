/* completion: what shells need; and names for them, which they ask for while somebody types. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ui-cli/help.h"
#include "ui-cli/verbs.h"

#define NAMES_S 1 /* longer nobody who pressed a key waits */

static int on_name(const struct frame *f, void *ctx)
{
    struct cli *cli = ctx;
    ctl_DeviceRow d;
    ctl_DistributorRow a;
    if (f->type == ctl_Type_DEVICE_ROW && CODEC_DECODE(ctl_DeviceRow, f->message, &d) == 0)
        output_line(&cli->output, "%s", d.name);
    else if (f->type == ctl_Type_DISTRIBUTOR_ROW && CODEC_DECODE(ctl_DistributorRow, f->message, &a) == 0)
        output_line(&cli->output, "%s", a.name);
    return 0;
}

static void on_alarm(int signal_)
{
    (void)signal_;
    _exit(EXIT_DONE);
}

/* A name a line. Without a hearthd, or with one that stands still, there are none, and nothing is said: it would stand in the line that is typed. */
static int list_names(struct cli *cli, bool devices)
{
    (void)signal(SIGALRM, on_alarm);
    (void)alarm(NAMES_S);
    if (client_open(&cli->client, cli->socket_path) != 0)
        return EXIT_DONE;
    int r = devices ? client_call(cli->client, ctl_Type_DEVICES_GET, ctl_DevicesGet_fields, &(ctl_DevicesGet){ 0 },
                                  on_name, cli)
                    : client_call(cli->client, ctl_Type_ACCOUNTS_GET, ctl_AccountsGet_fields, &(ctl_AccountsGet){ 0 },
                                  on_name, cli);
    (void)r; /* as many as came */
    return EXIT_DONE;
}

static int run_completion(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    if (strcmp(args[0], "devices") == 0 || strcmp(args[0], "distributors") == 0)
        return list_names(cli, args[0][1] == 'e');
    return help_complete(args[0]) == EXIT_DONE ? EXIT_DONE : cli_usage(cli, "the shell is one of: bash, zsh, fish");
}
const struct verb verb_completion = {
    "completion", "bash|zsh|fish|devices|distributors", "Prints what a shell needs to complete hearth's commands.",
    "In ~/.bashrc, unless a package has installed it: source <(hearth completion bash)\n"
    "What it printed asks for devices or distributors when one is to be named: a name a line, of those that hearthd knows.",
    run_completion
};
