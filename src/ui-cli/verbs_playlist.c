/* playlist: the household's playlists, the same on every device. */
#include "ui-cli/verbs.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"

enum { CREATE = 1, ADD, REMOVE, MOVE, RENAME, DELETE };

struct rows {
    struct cli *cli;
    json_t *list;
    struct table table;
};

static json_t *playlist_json(const ctl_PlaylistRow *row)
{
    char id[HEX_TEXT_BYTES(16)];
    hex_encode(slice(row->id, sizeof(row->id)), id);
    return json_pack("{s:s, s:s, s:i}", "id", id, "name", row->name, "entries", (int)row->entries);
}

static int on_playlist(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_PlaylistRow row;
    char count[16], id[HEX_TEXT_BYTES(4)];
    if (f->type != ctl_Type_PLAYLIST_ROW || CODEC_DECODE(ctl_PlaylistRow, f->message, &row) != 0)
        return -EPROTO;
    if (rows->list != NULL)
        return json_array_append_new(rows->list, playlist_json(&row));
    snprintf(count, sizeof(count), "%u", (unsigned)row.entries);
    hex_encode(slice(row.id, 4), id);
    table_row(&rows->table, row.name, count, id);
    return 0;
}

static int on_entry(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_PlaylistEntry row;
    char number[16], duration[24], id[56];
    if (f->type != ctl_Type_PLAYLIST_ENTRY || CODEC_DECODE(ctl_PlaylistEntry, f->message, &row) != 0)
        return -EPROTO;
    if (rows->list != NULL)
        return json_array_append_new(
            rows->list, json_pack("{s:i, s:s, s:o, s:I, s:b}", "number", (int)row.number, "title", row.title, "content",
                                  json_id(row.content), "duration_ms", (json_int_t)row.duration_ms, "here", row.here));
    snprintf(number, sizeof(number), "%u", (unsigned)row.number);
    table_row(&rows->table, number, row.title, row.duration_ms == 0 ? "" : output_duration(row.duration_ms, duration),
              row.here ? "" : "not on this device", output_id(row.content, id));
    return 0;
}

static int say_rows(struct rows *rows, int code, const char *key, const char *none)
{
    struct cli *cli = rows->cli;
    if (code == EXIT_DONE && rows->list != NULL)
        output_json(&cli->output, json_pack("{s:O}", key, rows->list));
    if (code == EXIT_DONE && rows->list == NULL) {
        if (rows->table.rows == 1)
            output_line(&cli->output, "%s", none);
        table_print(&rows->table);
    }
    json_decref(rows->list);
    table_deinit(&rows->table);
    return code;
}

static int list(struct cli *cli)
{
    struct rows rows = { cli, cli->output.json ? json_array() : NULL, { 0 } };
    table_init(&rows.table, 3, (const char *[]){ "PLAYLIST", "ENTRIES", "ID" });
    int code = CLI_CALL(cli, PLAYLISTS_GET, ctl_PlaylistsGet, &(ctl_PlaylistsGet){ 0 }, on_playlist, &rows);
    return say_rows(&rows, code, "playlists", "There is no playlist yet: hearth playlist add NAME TRACK...");
}

static int show(struct cli *cli, const char *name)
{
    struct rows rows = { cli, cli->output.json ? json_array() : NULL, { 0 } };
    ctl_PlaylistGet m = ctl_PlaylistGet_init_zero;
    if (!cli_text(cli, m.playlist, sizeof(m.playlist), name, "the name"))
        return EXIT_USAGE;
    table_init(&rows.table, 5, (const char *[]){ "#", "TITLE", "LENGTH", "", "ID" });
    int code = CLI_CALL(cli, PLAYLIST_GET, ctl_PlaylistGet, &m, on_entry, &rows);
    return say_rows(&rows, code, "entries", "The playlist is empty: hearth playlist add NAME TRACK...");
}

struct edited {
    bool there;
    ctl_PlaylistRow row;
};
static int on_edited(const struct frame *f, void *ctx)
{
    struct edited *e = ctx;
    e->there = true;
    return f->type == ctl_Type_PLAYLIST_ROW && CODEC_DECODE(ctl_PlaylistRow, f->message, &e->row) == 0 ? 0 : -EPROTO;
}

static int edit(struct cli *cli, const ctl_PlaylistEdit *m)
{
    struct edited e = { 0 };
    int code = CLI_CALL(cli, PLAYLIST_EDIT, ctl_PlaylistEdit, m, on_edited, &e);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, e.there ? playlist_json(&e.row) : json_pack("{s:b}", "done", true));
    else if (e.there)
        output_line(&cli->output, "%s has %u entr%s.", e.row.name, (unsigned)e.row.entries,
                    e.row.entries == 1 ? "y" : "ies");
    else
        output_line(&cli->output, "%s is deleted, on every device.", m->playlist);
    return EXIT_DONE;
}

static bool parse_number(struct cli *cli, const char *text, uint32_t *out)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] >= '1' && text[0] <= '9' && *end == '\0' && n <= 1000) {
        *out = (uint32_t)n;
        return true;
    }
    cli_usage(cli, "a number is a place in the list, from 1: hearth playlist show NAME");
    return false;
}

static int add(struct cli *cli, ctl_PlaylistEdit *m, char **tracks, int count)
{
    if (count > (int)ARRAY_COUNT(m->tracks))
        return cli_usage(cli, "at most 64 tracks at a time");
    for (int i = 0; i < count; i++)
        if (!cli_text(cli, m->tracks[m->tracks_count++], sizeof(m->tracks[0]), tracks[i], "TRACK"))
            return EXIT_USAGE;
    return edit(cli, m);
}

static int take_out(struct cli *cli, ctl_PlaylistEdit *m, char **numbers, int count)
{
    if (count > (int)ARRAY_COUNT(m->numbers))
        return cli_usage(cli, "at most 64 numbers at a time");
    for (int i = 0; i < count; i++)
        if (!parse_number(cli, numbers[i], &m->numbers[m->numbers_count++]))
            return EXIT_USAGE;
    return edit(cli, m);
}

static int move(struct cli *cli, ctl_PlaylistEdit *m, char **args)
{
    m->numbers_count = 1;
    m->has_to = true;
    if (!parse_number(cli, args[0], &m->numbers[0]) || !parse_number(cli, args[1], &m->to))
        return EXIT_USAGE;
    return edit(cli, m);
}

static const struct {
    const char *word;
    uint32_t action;
    int min, max; /* arguments after the name; max -1: any */
} words[] = {
    { "create", CREATE, 0, 0 }, { "add", ADD, 1, -1 },      { "remove", REMOVE, 1, -1 },
    { "move", MOVE, 2, 2 },     { "rename", RENAME, 1, 1 }, { "delete", DELETE, 0, 0 },
};

static int change(struct cli *cli, char **args, int count, const char *at)
{
    ctl_PlaylistEdit m = ctl_PlaylistEdit_init_zero;
    int more = count - 2;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (strcmp(words[i].word, args[0]) == 0 && more >= words[i].min && (words[i].max < 0 || more <= words[i].max))
            m.action = words[i].action;
    if (m.action == 0)
        return cli_usage(cli, "list, show, create, add, remove, move, rename or delete");
    if (at != NULL && m.action != ADD)
        return cli_usage(cli, "--at is for add");
    m.has_to = at != NULL;
    if (!cli_text(cli, m.playlist, sizeof(m.playlist), args[1], "the name") ||
        (at != NULL && !parse_number(cli, at, &m.to)))
        return EXIT_USAGE;
    m.has_name = m.action == RENAME;
    if (m.has_name && !cli_text(cli, m.name, sizeof(m.name), args[2], "the name"))
        return EXIT_USAGE;
    return m.action == ADD      ? add(cli, &m, args + 2, more)
           : m.action == REMOVE ? take_out(cli, &m, args + 2, more)
           : m.action == MOVE   ? move(cli, &m, args + 2)
                                : edit(cli, &m);
}

static int run(struct cli *cli, int argc, char **argv)
{
    const char *at = NULL;
    const struct option_spec specs[] = { { "at", &at, NULL } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, 1, 0, -1, &args, &count);
    if (code >= 0)
        return code;
    if (count == 0 || (count == 1 && strcmp(args[0], "list") == 0))
        return list(cli);
    if (count == 2 && strcmp(args[0], "show") == 0)
        return show(cli, args[1]);
    if (count < 2)
        return cli_usage(cli, "list, show, create, add, remove, move, rename or delete, and a playlist's name");
    return change(cli, args, count, at);
}
const struct verb verb_playlist = {
    "playlist",
    "[list | show NAME | create NAME | add NAME TRACK... [--at N] | remove NAME N... | move NAME FROM TO | rename NAME NEW | delete NAME]",
    "Lists, shows and changes playlists, which all devices of the household share.",
    "N is a number of the list as `show` printed it last on this device: whatever another device has changed since, it means that entry, or is\n"
    "refused. add makes a playlist that there is not. What devices change while they are apart comes together when they meet: of two that add, both have added; what one changes outlives another's deletion that did not know of it.\n"
    "hearth play --playlist NAME plays it.",
    run
};
