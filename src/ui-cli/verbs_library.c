/* library, show, remove: what this device has. */
#include "ui-cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

const char *verb_license_word(const ctl_TrackRow *t)
{
    static const char *const words[] = { "none",   "valid",  "suspended by a move", "given up", "expired",
                                         "asleep", "used up" };
    return t->license_state <= 6 ? words[t->license_state] : "unknown";
}

json_t *verb_track_json(const ctl_TrackRow *t)
{
    static const char *const states[] = { "none", "valid", "suspended", "surrendered", "expired", "asleep", "used-up" };
    json_t *o = json_pack("{s:i, s:o, s:s, s:s, s:I, s:I, s:b, s:s}", "number", (int)t->number, "content",
                          json_id(t->content), "title", t->title, "media_type", t->media_type, "duration_ms",
                          (json_int_t)t->duration_ms, "plain_bytes", (json_int_t)t->plain_bytes, "has_body",
                          t->has_body, "license", t->license_state <= 6 ? states[t->license_state] : "unknown");
    json_put_text(o, "creator", t->has_creator, t->creator);
    json_put_text(o, "album", t->has_album, t->album);
    if (t->has_issuer)
        json_object_set_new(o, "issuer", json_id(t->issuer));
    json_put_text(o, "issuer_name", t->has_issuer_name, t->issuer_name);
    if (t->has_license_id) {
        char hex[HEX_TEXT_BYTES(16)];
        hex_encode(slice(t->license_id, 16), hex);
        json_put_text(o, "license_id", true, hex);
    }
    if (t->has_conditions)
        json_object_set_new(o, "conditions", json_conditions(&t->conditions));
    if (t->has_lease) {
        json_t *lease = json_pack("{s:I, s:I}", "until_ms", (json_int_t)t->lease.until_ms, "grace_ms",
                                  (json_int_t)t->lease.grace_ms);
        if (t->lease.has_max_plays)
            json_object_set_new(lease, "max_plays", json_integer(t->lease.max_plays));
        json_object_set_new(o, "lease", lease);
    }
    json_put_text(o, "lender", t->has_lender, t->lender);
    if (t->has_position_ms)
        json_object_set_new(o, "position_ms", json_integer((json_int_t)t->position_ms));
    if (t->has_plays)
        json_object_set_new(o, "plays", json_integer(t->plays));
    if (t->has_play_ms)
        json_object_set_new(o, "play_ms", json_integer((json_int_t)t->play_ms));
    return o;
}

struct rows {
    struct cli *cli;
    json_t *list;
    struct table table;
};

static int on_track(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_TrackRow t;
    if (f->type != ctl_Type_TRACK_ROW || CODEC_DECODE(ctl_TrackRow, f->message, &t) != 0)
        return -EPROTO;
    if (rows->list != NULL)
        return json_array_append_new(rows->list, verb_track_json(&t));
    char number[16], duration[24], bytes[24], id[56];
    snprintf(number, sizeof(number), "%u", (unsigned)t.number);
    table_row(&rows->table, number, t.title, t.has_creator ? t.creator : "-", output_duration(t.duration_ms, duration),
              t.has_body ? output_bytes(t.plain_bytes, bytes) : "not stored", verb_license_word(&t),
              t.has_issuer_name ? t.issuer_name : "-", output_id(t.content, id));
    return 0;
}

static int run_library(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 0, &args, &count);
    if (code >= 0)
        return code;
    struct rows rows = { cli, cli->output.json ? json_array() : NULL, { 0 } };
    table_init(&rows.table, 8,
               (const char *[]){ "#", "TITLE", "CREATOR", "LENGTH", "SIZE", "LICENSE", "ISSUER", "ID" });
    code = CLI_CALL(cli, LIBRARY_GET, ctl_LibraryGet, &(ctl_LibraryGet){ 0 }, on_track, &rows);
    if (code == EXIT_DONE && rows.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "library", rows.list));
    if (code == EXIT_DONE && rows.list == NULL) {
        if (rows.table.rows == 1)
            output_line(&cli->output, "The library is empty: hearth browse, hearth get TRACK");
        table_print(&rows.table);
    }
    json_decref(rows.list);
    table_deinit(&rows.table);
    return code;
}
const struct verb verb_library = { "library", "", "Lists what this device has.", NULL, run_library };

int verb_on_track(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_TRACK_ROW && CODEC_DECODE(ctl_TrackRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

static int run_show(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_Show m = ctl_Show_init_zero;
    ctl_TrackRow t = ctl_TrackRow_init_zero;
    if (!cli_text(cli, m.track, sizeof(m.track), args[0], "TRACK"))
        return EXIT_USAGE;
    code = CLI_CALL(cli, SHOW, ctl_Show, &m, verb_on_track, &t);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json) {
        output_json(&cli->output, verb_track_json(&t));
        return EXIT_DONE;
    }
    char text[512];
    json_t *id = json_id(t.content);
    output_line(&cli->output, "title       %s", t.title);
    if (t.has_creator)
        output_line(&cli->output, "creator     %s", t.creator);
    if (t.has_album)
        output_line(&cli->output, "album       %s", t.album);
    output_line(&cli->output, "content     %s", json_string_value(id));
    output_line(&cli->output, "type        %s", t.media_type);
    output_line(&cli->output, "length      %s", output_duration(t.duration_ms, text));
    output_line(&cli->output, "size        %s%s", output_bytes(t.plain_bytes, text), t.has_body ? "" : " (not stored)");
    output_line(&cli->output, "license     %s%s%s", verb_license_word(&t), t.has_issuer_name ? ", issued by " : "",
                t.has_issuer_name ? t.issuer_name : "");
    if (t.has_conditions)
        output_line(&cli->output, "conditions  %s", output_conditions(&t.conditions, "", text));
    if (t.has_plays)
        output_line(&cli->output, "played      %u time%s", (unsigned)t.plays, t.plays == 1 ? "" : "s");
    if (t.has_play_ms)
        output_line(&cli->output, "playing     %s used", output_duration(t.play_ms, text));
    if (t.has_position_ms)
        output_line(&cli->output, "left at     %s: hearth play TRACK --resume", output_duration(t.position_ms, text));
    if (t.has_lease)
        output_line(&cli->output, "lease       until %s; refreshed by itself before that",
                    output_time(t.lease.until_ms, text));
    if (t.has_lender)
        output_line(&cli->output, "lent by     %s: hearth checkin gives it back", t.lender);
    json_decref(id);
    return EXIT_DONE;
}
const struct verb verb_show = { "show", "TRACK", "Shows everything about one track.", NULL, run_show };

static int run_remove(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_Remove m = ctl_Remove_init_zero;
    if (!cli_text(cli, m.track, sizeof(m.track), args[0], "TRACK"))
        return EXIT_USAGE;
    code = CLI_CALL(cli, REMOVE, ctl_Remove, &m, NULL, NULL);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, json_pack("{s:b}", "done", true));
    else
        output_line(&cli->output,
                    "Removed from this device. The license stays: hearth get or hearth fetch brings the content back.");
    return EXIT_DONE;
}
const struct verb verb_remove = { "remove", "TRACK", "Removes a track's content from this device; the license stays.",
                                  NULL, run_remove };
