/* wishlist, settings: what the household's devices share beside playlists. */
#include "ui-cli/verbs.h"

#include <string.h>

#include "base/util.h"

struct rows {
    struct cli *cli;
    json_t *list;
    struct table table;
};

/* ---- wishlist ------------------------------------------------------------------------------------------------ */

static json_t *wish_json(const ctl_WishRow *w)
{
    return json_pack("{s:i, s:s, s:o, s:o, s:s, s:b, s:s}", "number", (int)w->number, "title", w->title, "content",
                     json_id(w->content), "distributor", json_id(w->distributor), "distributor_name",
                     w->distributor_name, "bought", w->bought, "device", w->device);
}

static int on_wish(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_WishRow w;
    char number[16], id[56], state[80];
    if (f->type != ctl_Type_WISH_ROW || CODEC_DECODE(ctl_WishRow, f->message, &w) != 0)
        return -EPROTO;
    if (rows->list != NULL)
        return json_array_append_new(rows->list, wish_json(&w));
    snprintf(state, sizeof(state), "%s %s", w.bought ? "bought on" : "wished on", w.device);
    table_row(&rows->table, output_number(w.number, number), w.title, w.distributor_name, state,
              output_id(w.content, id));
    return 0;
}

static int wishes(struct cli *cli)
{
    struct rows rows = { cli, cli->output.json ? json_array() : NULL, { 0 } };
    table_init(&rows.table, 5, (const char *[]){ "#", "TITLE", "DISTRIBUTOR", "STATE", "ID" });
    int code = CLI_CALL(cli, WISHES_GET, ctl_WishesGet, &(ctl_WishesGet){ 0 }, on_wish, &rows);
    if (code == EXIT_DONE && rows.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "wishes", rows.list));
    if (code == EXIT_DONE && rows.list == NULL) {
        if (rows.table.rows == 1)
            output_line(&cli->output, "The wish list is empty: hearth wishlist add TRACK");
        table_print(&rows.table);
    }
    json_decref(rows.list);
    table_deinit(&rows.table);
    return code;
}

static int on_added(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_WISH_ROW && CODEC_DECODE(ctl_WishRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

static int wish_add(struct cli *cli, const char *track)
{
    ctl_WishAdd m = ctl_WishAdd_init_zero;
    ctl_WishRow w = ctl_WishRow_init_zero;
    if (!cli_text(cli, m.track, sizeof(m.track), track, "TRACK"))
        return EXIT_USAGE;
    int code = CLI_CALL(cli, WISH_ADD, ctl_WishAdd, &m, on_added, &w);
    if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, wish_json(&w));
    else if (code == EXIT_DONE)
        output_line(&cli->output, "%s of %s is on the wish list.", w.title, w.distributor_name);
    return code;
}

static int wish_remove(struct cli *cli, const char *track)
{
    ctl_WishRemove m = ctl_WishRemove_init_zero;
    if (!cli_text(cli, m.track, sizeof(m.track), track, "TRACK"))
        return EXIT_USAGE;
    int code = CLI_CALL(cli, WISH_REMOVE, ctl_WishRemove, &m, NULL, NULL);
    if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, json_pack("{s:b}", "done", true));
    else if (code == EXIT_DONE)
        output_line(&cli->output, "It is off the wish list, on every device.");
    return code;
}

static int run_wishlist(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 2, &args, &count);
    if (code >= 0)
        return code;
    if (count == 0 || (count == 1 && strcmp(args[0], "list") == 0))
        return wishes(cli);
    if (count == 2 && strcmp(args[0], "add") == 0)
        return wish_add(cli, args[1]);
    if (count == 2 && strcmp(args[0], "remove") == 0)
        return wish_remove(cli, args[1]);
    return cli_usage(cli, "list, add TRACK or remove TRACK");
}
const struct verb verb_wishlist = {
    "wishlist", "[list | add TRACK | remove TRACK]",
    "Lists what somebody of the household wants, adds to it or takes from it.",
    "TRACK is an entry of a catalogue: a number from hearth browse, a title, or the beginning of a content ID; to remove, also a number of\n"
    "the wish list. All devices of the household share the list. An entry that one of them has bought says so; any device that is\n"
    "registered with the entry's distributor can buy it with hearth get.",
    run_wishlist
};

/* ---- settings ------------------------------------------------------------------------------------------------ */

static json_t *setting_json(const ctl_SettingRow *s)
{
    json_t *o = json_pack("{s:s, s:s, s:b}", "name", s->name, "value", s->value, "household", s->household);
    json_put_text(o, "device", s->has_device, s->device);
    return o;
}

static int on_setting(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_SettingRow s;
    char whose[128];
    if (f->type != ctl_Type_SETTING_ROW || CODEC_DECODE(ctl_SettingRow, f->message, &s) != 0)
        return -EPROTO;
    if (rows->list != NULL)
        return json_array_append_new(rows->list, setting_json(&s));
    snprintf(whose, sizeof(whose), "%s%s",
             s.has_device  ? "the household's, set on "
             : s.household ? "the household's"
                           : "this device's own",
             s.has_device ? s.device : "");
    table_row(&rows->table, s.name, s.value, whose);
    return 0;
}

static int settings(struct cli *cli)
{
    struct rows rows = { cli, cli->output.json ? json_array() : NULL, { 0 } };
    table_init(&rows.table, 3, (const char *[]){ "SETTING", "VALUE", "" });
    int code = CLI_CALL(cli, SETTINGS_GET, ctl_SettingsGet, &(ctl_SettingsGet){ 0 }, on_setting, &rows);
    if (code == EXIT_DONE && rows.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "settings", rows.list));
    else if (code == EXIT_DONE && rows.list == NULL)
        table_print(&rows.table);
    json_decref(rows.list);
    table_deinit(&rows.table);
    return code;
}

static int on_one(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_SETTING_ROW && CODEC_DECODE(ctl_SettingRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

static int run_settings(struct cli *cli, int argc, char **argv)
{
    ctl_SettingSet m = ctl_SettingSet_init_zero;
    ctl_SettingRow s = ctl_SettingRow_init_zero;
    bool unset = false;
    const struct option_spec specs[] = { { "unset", NULL, &unset } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, 1, 0, 2, &args, &count);
    if (code >= 0)
        return code;
    if (count == 0 && !unset)
        return settings(cli);
    if (unset ? count != 1 : count != 2)
        return cli_usage(cli, "NAME and VALUE, or --unset and NAME");
    m.has_value = !unset;
    if (!cli_text(cli, m.name, sizeof(m.name), args[0], "NAME") ||
        (!unset && !cli_text(cli, m.value, sizeof(m.value), args[1], "VALUE")))
        return EXIT_USAGE;
    code = CLI_CALL(cli, SETTING_SET, ctl_SettingSet, &m, on_one, &s);
    if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, setting_json(&s));
    else if (code == EXIT_DONE)
        output_line(&cli->output, "%s is %s, on every device of the household.", s.name, s.value);
    return code;
}
const struct verb verb_settings = {
    "settings", "[volume|repeat|window VALUE | --unset volume|repeat|window]",
    "Shows settings and whose they are, or changes one of the household.",
    "The household's are the same on every device: volume (0 to 100; of what is played next), repeat (off, all: the queue begins anew,\n"
    "one: the track does), window (automatic, fullscreen, or WIDTHxHEIGHT). A device's own: receive-limit and send-limit (hearth\n"
    "transfers limit), name (its configuration).",
    run_settings
};
