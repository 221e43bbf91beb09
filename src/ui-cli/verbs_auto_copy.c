/* auto-copy: what one device buys comes to the others by itself. Here: by the distributor. */
#include "ui-cli/verbs.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "crypto/id.h"

static int on_row(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_AUTO_COPY_ROW && CODEC_DECODE(ctl_AutoCopyRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

static json_t *as_json(const ctl_AutoCopyRow *row)
{
    json_t *devices = json_array();
    for (pb_size_t i = 0; i < row->devices_count; i++)
        json_array_append_new(devices, json_pack("{s:s, s:s}", "name", row->devices[i].name, "distributor",
                                                 row->devices[i].distributor_name));
    return json_pack("{s:s, s:b, s:o}", "distributor", row->distributor_name, "by_distributor", row->on, "devices",
                     devices);
}

static void show(struct cli *cli, const ctl_AutoCopyRow *row)
{
    if (cli->output.json) {
        output_json(&cli->output, as_json(row));
        return;
    }
    if (row->on)
        output_line(&cli->output, "%s sends what a device of the account buys on to the account's other devices.",
                    row->distributor_name);
    for (pb_size_t i = 0; i < row->devices_count; i++)
        output_line(&cli->output, "%s sends what a device of the account buys on to %s%s%s%s.", row->distributor_name,
                    row->devices[i].name, row->devices[i].distributor_name[0] != '\0' ? " (" : "",
                    row->devices[i].distributor_name, row->devices[i].distributor_name[0] != '\0' ? ")" : "");
    if (row->on || row->devices_count > 0)
        output_line(
            &cli->output,
            "As far as the license allows copies; each costs what a copy of it costs: hearth browse and hearth show say it.");
    else
        output_line(&cli->output, "%s sends nothing on by itself.", row->distributor_name);
}

/* ---- all distributors ---- */

#define DISTRIBUTORS_MAX 64

struct every {
    size_t count;
    char ids[DISTRIBUTORS_MAX][ID_TEXT_BYTES];
};

static int on_distributor(const struct frame *f, void *ctx)
{
    struct every *e = ctx;
    ctl_DistributorRow row;
    if (f->type != ctl_Type_DISTRIBUTOR_ROW || CODEC_DECODE(ctl_DistributorRow, f->message, &row) != 0)
        return -EPROTO;
    if (e->count < DISTRIBUTORS_MAX && !row.linked)
        id_text(row.distributor, e->ids[e->count++]);
    return 0;
}

static int show_every(struct cli *cli)
{
    struct every every = { 0 };
    json_t *list = json_array();
    int code = CLI_CALL(cli, ACCOUNTS_GET, ctl_AccountsGet, &(ctl_AccountsGet){ 0 }, on_distributor, &every);
    for (size_t i = 0; code == EXIT_DONE && i < every.count; i++) {
        ctl_AutoCopy m = ctl_AutoCopy_init_zero;
        ctl_AutoCopyRow row = ctl_AutoCopyRow_init_zero;
        CODEC_SET_TEXT(m.distributor, every.ids[i]);
        code = CLI_CALL(cli, AUTO_COPY, ctl_AutoCopy, &m, on_row, &row);
        if (code == EXIT_DONE && cli->output.json)
            json_array_append_new(list, as_json(&row));
        else if (code == EXIT_DONE)
            show(cli, &row);
    }
    if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, json_pack("{s:O}", "auto_copy", list));
    else if (code == EXIT_DONE && every.count == 0)
        output_line(&cli->output, "This device is registered nowhere: hearth register URL");
    json_decref(list);
    return code;
}

/* ---- one ---- */

static bool is_switch(const char *word) { return strcmp(word, "on") == 0 || strcmp(word, "off") == 0; }

static int run(struct cli *cli, int argc, char **argv)
{
    char **args;
    const char *to = NULL;
    const struct option_spec options[] = { { "to", &to, NULL } };
    int count, code = cli_options(cli, argc, argv, options, ARRAY_COUNT(options), 0, 3, &args, &count);
    if (code >= 0)
        return code;
    if (count == 0 && to == NULL)
        return show_every(cli);
    const char *distributor = count > 1 && !is_switch(args[1]) ? args[1] : "";
    const char *word = count == 3 ? args[2] : count == 2 && is_switch(args[1]) ? args[1] : NULL;
    if (count == 0 || strcmp(args[0], "by-distributor") != 0 || (word != NULL && !is_switch(word)) ||
        (count == 3 && is_switch(args[1])) || (to != NULL && word == NULL))
        return cli_usage(cli, "auto-copy by-distributor [DISTRIBUTOR] [on|off [--to DEVICE]]");
    ctl_AutoCopy m = ctl_AutoCopy_init_zero;
    ctl_AutoCopyRow row = ctl_AutoCopyRow_init_zero;
    if (!cli_text(cli, m.distributor, sizeof(m.distributor), distributor, "DISTRIBUTOR"))
        return EXIT_USAGE;
    m.has_to = to != NULL;
    if (m.has_to && !cli_text(cli, m.to, sizeof(m.to), to, "DEVICE"))
        return EXIT_USAGE;
    m.has_on = word != NULL;
    m.on = word != NULL && strcmp(word, "on") == 0;
    code = CLI_CALL(cli, AUTO_COPY, ctl_AutoCopy, &m, on_row, &row);
    if (code == EXIT_DONE)
        show(cli, &row);
    return code;
}
const struct verb verb_auto_copy = {
    "auto-copy", "[by-distributor [DISTRIBUTOR] [on|off [--to DEVICE]]]",
    "Whether a distributor sends what one device buys on to the account's others.",
    "Alone it says what is set, of each distributor. on, off: to all other devices of the account there. --to: to this one device of the household, which may be a linked\n"
    "distributor's customer. A device takes it when it is connected, within 30 days, also when the one that bought it is off\n"
    "by then; each costs what a copy of it costs (hearth browse, hearth show), and what is never fetched costs nothing. off without --to ends all of it.",
    run
};
