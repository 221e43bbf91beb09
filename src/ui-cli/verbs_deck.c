/* pause, seek, volume, next, previous, stop, now, queue, outputs: what plays, from another command. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "ui-cli/playing.h"
#include "ui-cli/verbs.h"

int verb_skip_row(const struct frame *f, void *ctx)
{
    (void)f;
    (void)ctx;
    return 0;
}

static int on_playing(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_PLAYING && CODEC_DECODE(ctl_Playing, f->message, ctx) == 0 ? 0 : -EPROTO;
}

static int say_state(struct cli *cli, const ctl_Playing *s)
{
    char line[PLAYING_LINE_BYTES];
    if (cli->output.json)
        output_json(&cli->output, s->count == 0 ? json_pack("{s:s}", "state", "stopped") : playing_json(s));
    else if (s->count == 0)
        output_line(&cli->output, "Stopped.");
    else
        output_line(&cli->output, "%s", s->state == 0 ? playing_stopped(s, line) : playing_line(s, SIZE_MAX, line));
    return EXIT_DONE;
}

static int control(struct cli *cli, uint32_t action, int64_t value)
{
    ctl_PlayControl m = { .action = action, .value = value };
    ctl_Playing s = ctl_Playing_init_zero;
    int code = CLI_CALL(cli, PLAY_CONTROL, ctl_PlayControl, &m, on_playing, &s);
    return code == EXIT_DONE ? say_state(cli, &s) : code;
}

static int run_pause(struct cli *cli, int argc, char **argv)
{
    bool off = false;
    const struct option_spec specs[] = { { "off", NULL, &off } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, 1, 0, 0, &args, &count);
    return code >= 0 ? code : control(cli, off ? 2 : 1, 0);
}
const struct verb verb_pause = { "pause", "[--off]", "Pauses what plays; --off goes on.", NULL, run_pause };

/* To the next track, or by a chapter. */
static int step(struct cli *cli, int argc, char **argv, uint32_t action, int64_t by)
{
    bool chapter = false;
    const struct option_spec specs[] = { { "chapter", NULL, &chapter } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, 1, 0, 0, &args, &count);
    return code >= 0 ? code : chapter ? control(cli, 14, by) : control(cli, action, 0);
}

static int run_next(struct cli *cli, int argc, char **argv) { return step(cli, argc, argv, 4, 1); }
const struct verb verb_next = { "next", "[--chapter]", "Goes on with the next track of the queue, or the next chapter.",
                                NULL, run_next };

static int run_previous(struct cli *cli, int argc, char **argv) { return step(cli, argc, argv, 5, -1); }
const struct verb verb_previous = { "previous", "[--chapter]",
                                    "Goes back to the beginning of the track or chapter, or, there, to the one before.",
                                    NULL, run_previous };

/* What plays no more was stopped: asked twice, it is the same. */
static int run_stop(struct cli *cli, int argc, char **argv)
{
    char **args;
    ctl_PlayControl m = { .action = 6 };
    ctl_Playing s = ctl_Playing_init_zero;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 0, &args, &count);
    if (code >= 0)
        return code;
    code = cli_call_except(cli, ctl_Type_PLAY_CONTROL, ctl_PlayControl_fields, &m, on_playing, &s, REASON_NOT_FOUND);
    if (code > 0)
        return code;
    if (code == EXIT_DONE || cli->output.json)
        return say_state(cli, &s);
    output_line(&cli->output, "Nothing is playing.");
    return EXIT_DONE;
}
const struct verb verb_stop = { "stop", "", "Ends playing. Where the track was left is remembered.", NULL, run_stop };

/* "90", "1:30", "1:02:03", "90.5", in milliseconds. */
static bool parse_time(const char *text, int64_t *out)
{
    int64_t total = 0;
    unsigned parts = 0;
    for (;; text++) {
        char *end;
        if (!isdigit((unsigned char)*text) || ++parts > 3)
            return false;
        unsigned long n = strtoul(text, &end, 10);
        if (end - text > 9)
            return false;
        total = total * 60 + (int64_t)n * 1000;
        text = end;
        if (*text == '.' && isdigit((unsigned char)text[1])) {
            for (int64_t unit = 100; isdigit((unsigned char)*++text); unit /= 10)
                total += (*text - '0') * unit;
        }
        if (*text != ':')
            break;
    }
    *out = total;
    return *text == '\0';
}

static int run_seek(struct cli *cli, int argc, char **argv)
{
    const char *chapter = NULL;
    const struct option_spec specs[] = { { "chapter", &chapter, NULL } };
    char **args;
    int64_t ms;
    /* "-10" is an amount, not an option: getopt sees it behind "--" */
    char *copy[8];
    int n = 0, count;
    for (int i = 0; i < argc && n < 6; i++) {
        if (argv[i][0] == '-' && isdigit((unsigned char)argv[i][1]))
            copy[n++] = (char *)"--";
        copy[n++] = argv[i];
    }
    copy[n] = NULL;
    int code = cli_options(cli, n, copy, specs, 1, 0, 1, &args, &count);
    if (code >= 0)
        return code;
    if ((chapter != NULL) == (count == 1))
        return cli_usage(cli, "the place is a time, or --chapter and a number");
    if (chapter != NULL)
        return strspn(chapter, "0123456789") == strlen(chapter) && strlen(chapter) <= 4 && chapter[0] != '\0'
                   ? control(cli, 13, strtol(chapter, NULL, 10))
                   : cli_usage(cli, "a chapter is a number, from 1");
    const char *text = args[0];
    bool back = text[0] == '-', by = back || text[0] == '+';
    if (!parse_time(text + by, &ms))
        return cli_usage(cli, "the place is a time, such as 90, 1:30, +10 or -10");
    return control(cli, by ? 8 : 7, back ? -ms : ms);
}
const struct verb verb_seek = {
    "seek", "TIME|+TIME|-TIME|--chapter N", "Goes to another place of the track.",
    "TIME is seconds, or minutes:seconds, or hours:minutes:seconds; with a sign, from where it is.", run_seek
};

/* That is what was asked for; what plays, if anything, is said beside it by --json. */
static int say_volume(struct cli *cli, uint32_t action, int64_t value)
{
    ctl_PlayControl m = { .action = action, .value = value };
    ctl_Playing s = ctl_Playing_init_zero;
    int code = CLI_CALL(cli, PLAY_CONTROL, ctl_PlayControl, &m, on_playing, &s);
    if (code != EXIT_DONE)
        return code;
    if (!cli->output.json)
        output_line(&cli->output, "The volume is %u.", (unsigned)s.volume);
    else if (s.count > 0)
        output_json(&cli->output, playing_json(&s));
    else
        output_json(&cli->output, json_pack("{s:s, s:i}", "state", "stopped", "volume", (int)s.volume));
    return EXIT_DONE;
}

static int run_volume(struct cli *cli, int argc, char **argv)
{
    char **args, *end, *copy[8];
    int n = 0, count;
    for (int i = 0; i < argc && n < 6; i++) {
        if (argv[i][0] == '-' && isdigit((unsigned char)argv[i][1]))
            copy[n++] = (char *)"--";
        copy[n++] = argv[i];
    }
    copy[n] = NULL;
    int code = cli_options(cli, n, copy, NULL, 0, 0, 1, &args, &count);
    if (code >= 0)
        return code;
    if (count == 0)
        return say_volume(cli, 10, 0);
    long value = strtol(args[0], &end, 10);
    bool by = args[0][0] == '-' || args[0][0] == '+';
    if (end == args[0] || *end != '\0' || value < -100 || value > 100)
        return cli_usage(cli, "the volume is 0 to 100, or a change such as +5 or -5");
    return say_volume(cli, by ? 10 : 9, value);
}
const struct verb verb_volume = { "volume", "[N|+N|-N]", "Shows or changes how loud it is, 0 to 100.",
                                  "It is remembered for what is played later; also when nothing plays.", run_volume };

static int run_now(struct cli *cli, int argc, char **argv)
{
    char **args;
    ctl_Playing s = ctl_Playing_init_zero;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 0, &args, &count);
    if (code >= 0)
        return code;
    code = CLI_CALL(cli, NOW_GET, ctl_NowGet, &(ctl_NowGet){ 0 }, on_playing, &s);
    return code == EXIT_DONE ? say_state(cli, &s) : code;
}
const struct verb verb_now = { "now", "", "Shows what plays, and where it is.", NULL, run_now };

/* ---- queue ---- */

struct rows {
    struct cli *cli;
    json_t *list;
    struct table table;
};

static int on_queue(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_QueueRow row;
    char number[16], duration[24], id[56];
    if (f->type != ctl_Type_QUEUE_ROW || CODEC_DECODE(ctl_QueueRow, f->message, &row) != 0)
        return -EPROTO;
    if (rows->list != NULL)
        return json_array_append_new(rows->list,
                                     json_pack("{s:i, s:s, s:o, s:I, s:b}", "number", (int)row.number, "title",
                                               row.title, "content", json_id(row.content), "duration_ms",
                                               (json_int_t)row.duration_ms, "current", row.current));
    snprintf(number, sizeof(number), "%u", (unsigned)row.number);
    table_row(&rows->table, row.current ? ">" : "", number, row.title, output_duration(row.duration_ms, duration),
              output_id(row.content, id));
    return 0;
}

static int ask_queue(struct rows *rows, const char *drop, char **tracks, int count)
{
    struct cli *cli = rows->cli;
    ctl_QueueAdd add = ctl_QueueAdd_init_zero;
    if (drop != NULL) {
        ctl_QueueDrop m;
        if (!cli_number(cli, &m.number, drop, "track in the queue"))
            return EXIT_USAGE;
        return CLI_CALL(cli, QUEUE_DROP, ctl_QueueDrop, &m, on_queue, rows);
    }
    if (count == 0)
        return CLI_CALL(cli, QUEUE_GET, ctl_QueueGet, &(ctl_QueueGet){ 0 }, on_queue, rows);
    if (count > (int)ARRAY_COUNT(add.tracks))
        return cli_usage(cli, "at most 64 tracks at a time");
    for (int i = 0; i < count; i++)
        if (!cli_text(cli, add.tracks[add.tracks_count++], sizeof(add.tracks[0]), tracks[i], "TRACK"))
            return EXIT_USAGE;
    return CLI_CALL(cli, QUEUE_ADD, ctl_QueueAdd, &add, on_queue, rows);
}

static int run_queue(struct cli *cli, int argc, char **argv)
{
    const char *drop = NULL;
    const struct option_spec specs[] = { { "drop", &drop, NULL } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, 1, 0, -1, &args, &count);
    if (code >= 0)
        return code;
    if (drop != NULL && count > 0)
        return cli_usage(cli, "--drop and TRACK exclude each other");
    struct rows rows = { cli, cli->output.json ? json_array() : NULL, { 0 } };
    table_init(&rows.table, 5, (const char *[]){ "", "#", "TITLE", "LENGTH", "ID" });
    code = ask_queue(&rows, drop, args, count);
    if (code == EXIT_DONE && rows.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "queue", rows.list));
    if (code == EXIT_DONE && rows.list == NULL) {
        if (rows.table.rows == 1)
            output_line(&cli->output, "Nothing is played: hearth play TRACK...");
        table_print(&rows.table);
    }
    json_decref(rows.list);
    table_deinit(&rows.table);
    return code;
}
const struct verb verb_queue = { "queue", "[TRACK... | --drop N]",
                                 "Shows what is played next, adds to it, or drops number N of it.", NULL, run_queue };

/* ---- outputs ---- */

static int on_output(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_OutputRow row;
    if (f->type != ctl_Type_OUTPUT_ROW || CODEC_DECODE(ctl_OutputRow, f->message, &row) != 0)
        return -EPROTO;
    if (rows->list != NULL)
        return json_array_append_new(rows->list,
                                     json_pack("{s:s, s:s}", "name", row.name, "description", row.description));
    table_row(&rows->table, row.name, row.description);
    return 0;
}

static int run_outputs(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 0, &args, &count);
    if (code >= 0)
        return code;
    struct rows rows = { cli, cli->output.json ? json_array() : NULL, { 0 } };
    table_init(&rows.table, 2, (const char *[]){ "OUTPUT", "" });
    code = CLI_CALL(cli, OUTPUTS_GET, ctl_OutputsGet, &(ctl_OutputsGet){ 0 }, on_output, &rows);
    if (code == EXIT_DONE && rows.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "outputs", rows.list));
    if (code == EXIT_DONE && rows.list == NULL) {
        if (rows.table.rows == 1)
            output_line(&cli->output, "No sound system answers here.");
        table_print(&rows.table);
    }
    json_decref(rows.list);
    table_deinit(&rows.table);
    return code;
}
const struct verb verb_outputs = { "outputs", "", "Lists the sound devices that hearth play --output takes.", NULL,
                                   run_outputs };
