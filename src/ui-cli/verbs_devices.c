/* devices: the household's devices, found and registered. */
#include "ui-cli/verbs.h"

#include <string.h>

struct rows {
    struct cli *cli;
    json_t *list;
    struct table table;
};

static int on_device(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_DeviceRow d;
    if (f->type != ctl_Type_DEVICE_ROW || CODEC_DECODE(ctl_DeviceRow, f->message, &d) != 0)
        return -EPROTO;
    if (rows->list != NULL) {
        json_t *o = json_pack("{s:o, s:s, s:o, s:s, s:b, s:b}", "client", json_id(d.client), "name", d.name,
                              "distributor", json_id(d.distributor), "distributor_name", d.distributor_name, "online",
                              d.online, "self", d.self);
        json_put_text(o, "address", d.has_address, d.address);
        return json_array_append_new(rows->list, o);
    }
    char id[56];
    table_row(&rows->table, d.name, output_id(d.client, id), d.distributor_name,
              d.self     ? "this one"
              : d.online ? "online"
                         : "offline",
              d.has_address ? d.address : "-");
    return 0;
}

static int list(struct cli *cli)
{
    struct rows rows = { cli, cli->output.json ? json_array() : NULL, { 0 } };
    table_init(&rows.table, 5, (const char *[]){ "NAME", "ID", "DISTRIBUTOR", "STATE", "ADDRESS" });
    int code = CLI_CALL(cli, DEVICES_GET, ctl_DevicesGet, &(ctl_DevicesGet){ 0 }, on_device, &rows);
    if (code == EXIT_DONE && rows.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "devices", rows.list));
    if (code == EXIT_DONE && rows.list == NULL) {
        if (rows.table.rows == 1)
            output_line(&cli->output, "No device of the household is known yet: hearth register URL");
        table_print(&rows.table);
    }
    json_decref(rows.list);
    table_deinit(&rows.table);
    return code;
}

static int done(struct cli *cli, int code, const char *format, const char *a, const char *b)
{
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, json_pack("{s:b}", "done", true));
    else if (b != NULL && strcmp(a, b) == 0)
        output_line(&cli->output, "%s has this name already.", a);
    else if (b != NULL)
        output_line(&cli->output, "%s is now called %s.", a, b);
    else
        output_line(&cli->output, "%s%s", a, format);
    return EXIT_DONE;
}

static int run_devices(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 3, &args, &count);
    if (code >= 0)
        return code;
    if (count == 0)
        return list(cli);
    if (strcmp(args[0], "rename") == 0 && count == 3) {
        ctl_DeviceRename m = ctl_DeviceRename_init_zero;
        if (!cli_text(cli, m.device, sizeof(m.device), args[1], "the device") ||
            !cli_text(cli, m.name, sizeof(m.name), args[2], "the name"))
            return EXIT_USAGE;
        return done(cli, CLI_CALL(cli, DEVICE_RENAME, ctl_DeviceRename, &m, NULL, NULL), "", args[1], args[2]);
    }
    if (strcmp(args[0], "remove") == 0 && count == 2) {
        ctl_DeviceRemove m = ctl_DeviceRemove_init_zero;
        if (!cli_text(cli, m.device, sizeof(m.device), args[1], "the device"))
            return EXIT_USAGE;
        return done(cli, CLI_CALL(cli, DEVICE_REMOVE, ctl_DeviceRemove, &m, NULL, NULL),
                    " is no longer of the household; nothing new opens there.", args[1], NULL);
    }
    if (strcmp(args[0], "add") == 0 && count == 2) {
        ctl_DeviceAddress m = ctl_DeviceAddress_init_zero;
        if (!cli_text(cli, m.address, sizeof(m.address), args[1], "the address"))
            return EXIT_USAGE;
        return done(cli, CLI_CALL(cli, DEVICE_ADDRESS, ctl_DeviceAddress, &m, NULL, NULL),
                    " is reached and remembered.", args[1], NULL);
    }
    return cli_usage(cli, "one of: devices, devices rename DEVICE NAME, devices remove DEVICE, devices add HOST:PORT");
}
const struct verb verb_devices = {
    "devices", "[rename DEVICE NAME | remove DEVICE | add HOST:PORT]",
    "Lists, renames, removes the household's devices.",
    "remove throws a lost device out: its distributor withholds new keys from it.\n"
    "add reaches a sibling that is not found by itself (another network, isolated clients) and remembers the address.",
    run_devices
};
