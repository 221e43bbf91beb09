/* auto-copy: what one device buys comes to the others by itself. Here: by the distributor. */
#include "ui-cli/verbs.h"

#include <string.h>

#include "base/util.h"

static int on_row(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_AUTO_COPY_ROW && CODEC_DECODE(ctl_AutoCopyRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

static void show(struct cli *cli, const ctl_AutoCopyRow *row)
{
    if (cli->output.json)
        output_json(&cli->output,
                    json_pack("{s:s, s:b}", "distributor", row->distributor_name, "by_distributor", row->on));
    else if (row->on)
        output_line(&cli->output,
                    "%s sends what a device of the account buys on to its other devices, as far as the license allows "
                    "copies. Each costs what a copy costs.",
                    row->distributor_name);
    else
        output_line(&cli->output, "%s sends nothing on by itself.", row->distributor_name);
}

static bool is_switch(const char *word) { return strcmp(word, "on") == 0 || strcmp(word, "off") == 0; }

static int run(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 1, 3, &args, &count);
    if (code >= 0)
        return code;
    const char *distributor = count > 1 && !is_switch(args[1]) ? args[1] : "";
    const char *word = count == 3 ? args[2] : count == 2 && is_switch(args[1]) ? args[1] : NULL;
    if (strcmp(args[0], "by-distributor") != 0 || (word != NULL && !is_switch(word)) ||
        (count == 3 && is_switch(args[1])))
        return cli_usage(cli, "auto-copy by-distributor [DISTRIBUTOR] [on|off]");
    ctl_AutoCopy m = ctl_AutoCopy_init_zero;
    ctl_AutoCopyRow row = ctl_AutoCopyRow_init_zero;
    if (!cli_text(cli, m.distributor, sizeof(m.distributor), distributor, "DISTRIBUTOR"))
        return EXIT_USAGE;
    m.has_on = word != NULL;
    m.on = word != NULL && strcmp(word, "on") == 0;
    code = CLI_CALL(cli, AUTO_COPY, ctl_AutoCopy, &m, on_row, &row);
    if (code == EXIT_DONE)
        show(cli, &row);
    return code;
}
const struct verb verb_auto_copy = {
    "auto-copy", "by-distributor [DISTRIBUTOR] [on|off]",
    "Whether a distributor sends what one device buys on to the account's others.",
    "The others take it when they are connected, within 30 days, and pay for each what a copy costs. Devices of a linked\n"
    "account at another distributor are not served: copy to them from the device that bought it.",
    run
};
