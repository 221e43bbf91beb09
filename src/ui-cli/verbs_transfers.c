/* transfers: what is under way, and its control. */
#include "ui-cli/verbs.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "base/width.h"

#define REMARK_BYTES 160

static const char *kind_word(uint32_t kind)
{
    static const char *const words[] = { "?", "download", "copy to", "copy from", "move to", "move from", "fetch" };
    return words[kind <= 6 ? kind : 0];
}
static const char *state_word(uint32_t state)
{
    static const char *const words[] = { "?", "waiting", "running", "paused", "done", "failed", "cancelled" };
    return words[state <= 6 ? state : 0];
}

static json_t *source_json(const ctl_TransferSource *s)
{
    json_t *o = json_pack("{s:s, s:I, s:I}", "name", s->name, "bytes", (json_int_t)s->bytes, "bytes_per_second",
                          (json_int_t)s->rate);
    if (s->has_still_ms)
        json_object_set_new(o, "still_ms", json_integer((json_int_t)s->still_ms));
    return o;
}

json_t *verb_transfer_json(const ctl_TransferRow *t)
{
    static const char *const kinds[] = { "unknown", "download", "copy-out", "copy-in", "move-out", "move-in", "fetch" };
    json_t *o = json_pack("{s:i, s:s, s:s, s:o, s:s, s:s, s:I, s:I}", "number", (int)t->number, "kind",
                          kinds[t->kind <= 6 ? t->kind : 0], "state", state_word(t->state), "content",
                          json_id(t->content), "title", t->title, "peer", t->peer, "done_bytes",
                          (json_int_t)t->done_bytes, "total_bytes", (json_int_t)t->total_bytes);
    json_put_text(o, "reason", t->has_reason, t->reason);
    json_put_text(o, "waits_for", t->has_waits_for, t->waits_for);
    if (t->has_merges)
        json_object_set_new(o, "merges", json_true());
    if (t->has_rate)
        json_object_set_new(o, "bytes_per_second", json_integer((json_int_t)t->rate));
    if (t->has_left_ms)
        json_object_set_new(o, "left_ms", json_integer((json_int_t)t->left_ms));
    if (t->has_still_ms)
        json_object_set_new(o, "still_ms", json_integer((json_int_t)t->still_ms));
    json_t *sources = t->sources_count > 0 ? json_array() : NULL;
    for (pb_size_t i = 0; i < t->sources_count; i++)
        json_array_append_new(sources, source_json(&t->sources[i]));
    if (sources != NULL)
        json_object_set_new(o, "sources", sources);
    return o;
}

#define ENDED_SHOWN 5

struct rows {
    struct cli *cli;
    json_t *list;
    struct table table;
    unsigned under_way; /* waiting, running or paused */
    bool all;
    unsigned ended, row_count, room;
    size_t lines_max;      /* of the table; 0: as many as there are */
    ctl_TransferRow *rows; /* for people: in order of number, as they come */
};

/* By a person: by this one, or, when it has ended, by the one at the other end. */
static bool has_been_cancelled(const ctl_TransferRow *t)
{
    return t->has_reason && strcmp(t->reason, reason_code(REASON_CANCELLED)) == 0;
}

/* In words; of a later version's reason the code, which says more than none. */
static const char *in_words(const char *code)
{
    enum reason why = reason_of_code(code);
    return strcmp(reason_code(why), code) == 0 ? reason_text(why) : code;
}

/* Why it waits, in words; "" when it is just beginning. */
static const char *why_it_waits(const ctl_TransferRow *t, char out[REMARK_BYTES])
{
    bool copy_out = t->kind == 2 || t->kind == 4;
    if (has_been_cancelled(t))
        (void)snprintf(out, REMARK_BYTES,
                       t->kind == 4 ? "it can be used here again when %s has answered"
                                    : "what it has cost comes back when %s has answered",
                       t->peer);
    else if (strcmp(t->reason, reason_code(REASON_STORAGE_FULL)) == 0)
        (void)snprintf(out, REMARK_BYTES, "%s has no room for it: hearth remove TRACK%s, then it goes on",
                       copy_out ? t->peer : "this device", copy_out ? " there" : "");
    else if (strcmp(t->reason, reason_code(REASON_OFFLINE)) == 0)
        (void)snprintf(out, REMARK_BYTES, "%s cannot be reached now; goes on when it can", t->waits_for);
    else
        return in_words(t->reason);
    return out;
}

static const char *since(uint64_t ms, char out[32])
{
    uint64_t s = ms / 1000;
    (void)snprintf(out, 32, "%llu %s",
                   (unsigned long long)(s < 120    ? s
                                        : s < 7200 ? s / 60
                                                   : s / 3600),
                   s < 120    ? "s"
                   : s < 7200 ? "min"
                              : "h");
    return out;
}

static bool was_there(const ctl_TransferRow *t)
{
    return t->state == 5 && strcmp(t->reason, reason_code(REASON_ALREADY)) == 0;
}

/* Why it waits or failed; how fast it runs, and for how long still. */
static const char *remark(const ctl_TransferRow *t, char out[REMARK_BYTES])
{
    char rate[24], time[32];
    out[0] = '\0';
    const bool full = t->state == 5 && strcmp(t->reason, reason_code(REASON_STORAGE_FULL)) == 0;
    if (t->has_reason && t->state == 6 && has_been_cancelled(t))
        (void)snprintf(out, REMARK_BYTES, "by %s", t->peer);
    else if (full && (t->kind == 3 || t->kind == 5))
        (void)snprintf(out, REMARK_BYTES, "no room; comes again when there is");
    else if (full && t->kind == 6)
        (void)snprintf(out, REMARK_BYTES, "no room: hearth remove TRACK makes some");
    else if (was_there(t))
        return "it was there already";
    else if (t->has_reason)
        return t->state == 1 ? why_it_waits(t, out) : in_words(t->reason);
    if (t->has_still_ms)
        (void)snprintf(out, REMARK_BYTES, "waits for %s since %s",
                       t->sources_count > 1    ? "all of them"
                       : t->sources_count == 1 ? t->sources[0].name
                                               : t->peer,
                       since(t->still_ms, time));
    else if (t->has_rate)
        (void)snprintf(out, REMARK_BYTES, "%s/s, %s left", output_bytes(t->rate, rate),
                       output_duration(t->left_ms, time));
    return out;
}

static void put_row(struct rows *rows, const ctl_TransferRow *t)
{
    char number[16], amount[64], done[24], total[24], time[32], text[REMARK_BYTES];
    bool ended = t->state > 3;
    snprintf(number, sizeof(number), "%u", (unsigned)t->number);
    if (t->total_bytes == 0 && t->done_bytes == 0) /* nothing is known yet, or nothing was to be sent */
        amount[0] = '\0';
    else if (t->state == 4)
        snprintf(amount, sizeof(amount), "%s", output_bytes(t->total_bytes, total));
    else
        snprintf(amount, sizeof(amount), "%s of %s", output_bytes(t->done_bytes, done),
                 output_bytes(t->total_bytes, total));
    const char *said = remark(t, text);
    bool beneath = t->has_reason && (!ended || said == in_words(t->reason)); /* a sentence */
    const char *state = t->state == 1 && has_been_cancelled(t) ? "giving back"
                        : t->has_still_ms                      ? "stalled"
                        : was_there(t)                         ? "ended"
                                                               : state_word(t->state);
    table_row(&rows->table, number, kind_word(t->kind), t->peer, t->title, state, amount, beneath ? "" : said);
    if (beneath)
        table_note(&rows->table, said);
    for (pb_size_t i = 0; t->sources_count > 1 && i < t->sources_count; i++) {
        if (t->sources[i].has_still_ms)
            snprintf(text, sizeof(text), "waits since %s", since(t->sources[i].still_ms, time));
        else
            snprintf(text, sizeof(text), "%s/s", output_bytes(t->sources[i].rate, done));
        table_row(&rows->table, "", "", t->sources[i].name, "", "", output_bytes(t->sources[i].bytes, total), text);
    }
}

static int on_transfer(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_TransferRow t;
    if (f->type != ctl_Type_TRANSFER_ROW || CODEC_DECODE(ctl_TransferRow, f->message, &t) != 0)
        return -EPROTO;
    rows->under_way += t.state <= 3;
    if (rows->list != NULL)
        return json_array_append_new(rows->list, verb_transfer_json(&t));
    if (rows->row_count == rows->room) {
        ctl_TransferRow *more = realloc(rows->rows, (rows->room = rows->room * 2 + 64) * sizeof(*more));
        if (more == NULL)
            return -ENOMEM;
        rows->rows = more;
    }
    rows->rows[rows->row_count++] = t;
    rows->ended += t.state > 3;
    return 0;
}

/* What is shown on a screen that has not room for all: what runs before what waits, that before what has ended. */
static unsigned rank(const ctl_TransferRow *t) { return t->state == 2 ? 0 : t->state <= 3 ? 1 : 2; }

/* Of each rank, how many may be shown. A row takes two lines at most, unless it has several sources. */
static void share_lines(const struct rows *rows, unsigned ended, unsigned most[3])
{
    unsigned count[3] = { 0, 0, ended }, room = rows->lines_max > 0 ? (unsigned)(rows->lines_max / 2) : UINT32_MAX;
    for (unsigned i = 0; i < rows->row_count; i++)
        count[rank(&rows->rows[i])] += rank(&rows->rows[i]) < 2;
    for (unsigned r = 0; r < 3; room -= most[r++])
        most[r] = count[r] < room ? count[r] : room;
}

static void print_rows(struct rows *rows, unsigned *lines)
{
    unsigned left = !rows->all && rows->ended > ENDED_SHOWN ? rows->ended - ENDED_SHOWN : 0, hidden = 0, most[3];
    share_lines(rows, rows->ended - left, most);
    left = rows->ended - most[2];
    for (unsigned i = 0, passed = 0; i < rows->row_count; i++) {
        const ctl_TransferRow *t = &rows->rows[i];
        if (rank(t) == 2 ? passed++ < left : most[rank(t)] == 0) {
            hidden += rank(t) < 2;
            continue;
        }
        most[rank(t)]--;
        put_row(rows, t);
    }
    if (hidden > 0) {
        char text[48];
        (void)snprintf(text, sizeof(text), "%u more %s under way", hidden, hidden == 1 ? "is" : "are");
        table_note(&rows->table, text);
    }
    if (rows->table.rows == 1)
        output_line(&rows->cli->output, "Nothing is under way.");
    *lines = (rows->table.rows == 1) + (left > 0) + (unsigned)table_print(&rows->table);
    if (left > 0)
        output_line(&rows->cli->output, "%u more %s ended: hearth transfers --all", left, left == 1 ? "has" : "have");
}

static int list_transfers(struct cli *cli, bool all, size_t lines_max, unsigned *under_way, unsigned *lines)
{
    struct rows rows = {
        .cli = cli, .list = cli->output.json ? json_array() : NULL, .all = all, .lines_max = lines_max
    };
    table_init(&rows.table, 7, (const char *[]){ "#", "KIND", "DEVICE", "TITLE", "STATE", "AMOUNT", "" });
    rows.table.beneath = 5; /* how far it is, and how fast, is what is asked for */
    int code = CLI_CALL(cli, TRANSFERS_GET, ctl_TransfersGet, &(ctl_TransfersGet){ 0 }, on_transfer, &rows);
    *lines = 0;
    if (code == EXIT_DONE && rows.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "transfers", rows.list));
    else if (code == EXIT_DONE)
        print_rows(&rows, lines);
    *under_way = rows.under_way;
    json_decref(rows.list);
    free(rows.rows);
    table_deinit(&rows.table);
    return code;
}

#define FOLLOW_MS 1000

/* Once a second until nothing is under way; on a terminal each in the place of the one before. */
static int follow_transfers(struct cli *cli, bool all)
{
    bool again = !cli->output.json && width_moves(STDOUT_FILENO);
    unsigned under_way, lines;
    /* What has left the screen at its top cannot be written again. Three lines: the heading, how many more, the cursor. */
    const size_t screen = again ? width_lines_of_terminal(STDOUT_FILENO) : 0;
    const size_t lines_max = !again ? 0 : screen > 5 ? screen - 3 : 2;
    int code = list_transfers(cli, all, lines_max, &under_way, &lines);
    while (code == EXIT_DONE && under_way > 0) {
        (void)poll(NULL, 0, FOLLOW_MS);
        if (again && lines < screen)
            printf("\033[%uA\033[J", lines);
        else if (again) /* notes may have needed more */
            fputs("\033[H\033[J", stdout);
        code = list_transfers(cli, all, lines_max, &under_way, &lines);
        output_flush();
    }
    return code;
}

/* ---- the limit ------------------------------------------------------------------------------------------------- */

/* "none", or a number of bytes a second with K, M or G (1024 each). */
static bool read_rate(const char *text, uint64_t *rate)
{
    static const char units[] = "KMG";
    char *end;
    if (strcmp(text, "none") == 0) {
        *rate = 0;
        return true;
    }
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    if (errno != 0 || n == 0 || (*end != '\0' && (unit == NULL || end[1] != '\0')) || n > (UINT64_MAX >> 1) >> shift)
        return false;
    *rate = n << shift;
    return true;
}

static int on_bandwidth(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_BANDWIDTH_ROW && CODEC_DECODE(ctl_BandwidthRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

static void say_limit(struct cli *cli, const char *what, uint64_t limit)
{
    char rate[24];
    if (limit != 0)
        output_line(&cli->output, "This device %s at most %s a second.", what, output_bytes(limit, rate));
    else
        output_line(&cli->output, "This device %s as fast as it can.", what);
}

static json_t *limit_json(uint64_t limit) { return limit != 0 ? json_integer((json_int_t)limit) : json_null(); }

static int limit(struct cli *cli, const char *wanted, bool send)
{
    ctl_Bandwidth m = { .has_receive = wanted != NULL && !send, .has_send = wanted != NULL && send };
    ctl_BandwidthRow row = { 0 };
    if (wanted != NULL && !read_rate(wanted, send ? &m.send : &m.receive))
        return cli_usage(cli, "a limit is `none`, or bytes a second, as 500K or 2M");
    int code = CLI_CALL(cli, BANDWIDTH, ctl_Bandwidth, &m, on_bandwidth, &row);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json) {
        output_json(&cli->output, json_pack("{s:o, s:o}", "receive_bytes_per_second", limit_json(row.receive),
                                            "send_bytes_per_second", limit_json(row.send)));
    } else {
        say_limit(cli, "receives", row.receive);
        say_limit(cli, "sends", row.send);
    }
    return EXIT_DONE;
}

static int run_transfers(struct cli *cli, int argc, char **argv)
{
    bool follow = false, send = false, all = false;
    const struct option_spec specs[] = { { "follow", NULL, &follow }, { "send", NULL, &send }, { "all", NULL, &all } };
    char **args;
    unsigned under_way, lines;
    int count, code = cli_options(cli, argc, argv, specs, 3, 0, 2, &args, &count);
    if (code >= 0)
        return code;
    if (send && (count == 0 || strcmp(args[0], "limit") != 0))
        return cli_usage(cli, "--send is for a limit");
    if (count == 0)
        return follow ? follow_transfers(cli, all) : list_transfers(cli, all, 0, &under_way, &lines);
    if (strcmp(args[0], "limit") == 0)
        return limit(cli, count == 2 ? args[1] : NULL, send);
    static const char *const actions[] = { "", "pause", "resume", "cancel" };
    ctl_TransferControl m = { 0 };
    if (!cli_number(cli, &m.number, count == 2 ? args[1] : NULL, "transfer"))
        return EXIT_USAGE;
    for (uint32_t a = 1; a <= 3; a++)
        if (strcmp(args[0], actions[a]) == 0)
            m.action = a;
    if (m.action == 0 || m.number == 0)
        return cli_usage(cli, "pause, resume or cancel, and the number of a transfer");
    code = CLI_CALL(cli, TRANSFER_CONTROL, ctl_TransferControl, &m, NULL, NULL);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, json_pack("{s:b}", "done", true));
    else
        output_line(&cli->output, "Transfer %u is to %s; hearth transfers shows how it goes.", (unsigned)m.number,
                    m.action == 1   ? "pause"
                    : m.action == 2 ? "go on"
                                    : "be cancelled");
    return EXIT_DONE;
}
const struct verb verb_transfers = {
    "transfers", "[--follow] [--all] | pause N | resume N | cancel N | limit [[--send] RATE | none]",
    "Lists and steers what is under way.",
    "What has ended is shown as well: the last five, with --all what ended within the hour, 64 at most (always, with --json).\n"
    "--follow shows it again each second, until nothing is. limit: what all that this device receives may take\n"
    "together, in bytes a second (500K, 2M); with --send, what it sends to other devices. Both are remembered.",
    run_transfers
};
