/* library, show, remove: what this device has. */
#include "ui-cli/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/id.h"
#include "protocol/documents.h"
#include "protocol/play_end.h"
#include "protocol/shelf.h"
#include "ui-cli/prompt.h"

const char *verb_license_word(const ctl_TrackRow *t)
{
    static const char *const words[] = { "none",   "valid",  "suspended by a move", "given up", "expired",
                                         "asleep", "used up" };
    if (t->has_borrower)
        return "checked out";
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
    json_object_set_new(o, "damaged", json_boolean(t->has_damaged && t->damaged));
    if (t->has_lease) {
        json_t *lease = json_pack("{s:I, s:I}", "until_ms", (json_int_t)t->lease.until_ms, "grace_ms",
                                  (json_int_t)t->lease.grace_ms);
        if (t->lease.has_max_plays)
            json_object_set_new(lease, "max_plays", json_integer(t->lease.max_plays));
        json_object_set_new(o, "lease", lease);
    }
    json_put_text(o, "lender", t->has_lender, t->lender);
    json_put_text(o, "lent_to", t->has_borrower, t->borrower);
    if (t->has_position_ms)
        json_object_set_new(o, "position_ms", json_integer((json_int_t)t->position_ms));
    if (t->has_positions_differ)
        json_object_set_new(o, "positions_differ", json_true());
    if (t->has_plays)
        json_object_set_new(o, "plays", json_integer(t->plays));
    if (t->has_play_ms)
        json_object_set_new(o, "play_ms", json_integer((json_int_t)t->play_ms));
    json_object_set_new(o, "in_use", json_boolean(t->has_in_use && t->in_use));
    if (t->has_cut_off)
        json_object_set_new(o, "cut_off",
                            json_pack("{s:s, s:b, s:I, s:i}", "end", t->cut_off, "recovered", t->recovered, "at_ms",
                                      (json_int_t)t->cut_off_ms, "recoveries", (int)t->recoveries));
    return o;
}

struct rows {
    struct cli *cli;
    json_t *list;
    struct table table;
    size_t count;
};

static int on_track(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_TrackRow t;
    if (f->type != ctl_Type_TRACK_ROW || CODEC_DECODE(ctl_TrackRow, f->message, &t) != 0)
        return -EPROTO;
    rows->count++;
    if (rows->list != NULL)
        return json_array_append_new(rows->list, verb_track_json(&t));
    char number[16], duration[24], bytes[24], id[56];
    table_row(&rows->table, output_number(t.number, number), t.title, t.has_creator ? t.creator : "-",
              output_duration(t.duration_ms, duration),
              !t.has_body                  ? "not stored"
              : t.has_damaged && t.damaged ? "damaged"
                                           : output_bytes(t.plain_bytes, bytes),
              verb_license_word(&t), t.has_issuer_name ? t.issuer_name : "-", output_id(t.content, id));
    return 0;
}

static bool read_count(const char *text, bool *has, uint32_t *out)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    *has = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && number <= UINT32_MAX;
    *out = (uint32_t)number;
    return *has;
}

static int run_library(struct cli *cli, int argc, char **argv)
{
    char **args;
    const char *limit = NULL, *skip = NULL, *device = NULL;
    const struct option_spec specs[] = { { "limit", &limit, NULL }, { "skip", &skip, NULL }, { "on", &device, NULL } };
    int count, code = cli_options(cli, argc, argv, specs, 3, 0, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_LibraryGet m = { .has_query = count == 1, .has_device = device != NULL };
    if (device != NULL && !cli_text(cli, m.device, sizeof(m.device), device, "the device"))
        return EXIT_USAGE;
    if (count == 1 && !cli_text(cli, m.query, sizeof(m.query), args[0], "QUERY"))
        return EXIT_USAGE;
    if (limit != NULL && !read_count(limit, &m.has_limit, &m.limit))
        return cli_usage(cli, "--limit is a number of tracks");
    if (skip != NULL && !read_count(skip, &m.has_skip, &m.skip))
        return cli_usage(cli, "--skip is a number of tracks");
    struct rows rows = { .cli = cli, .list = cli->output.json ? json_array() : NULL };
    table_init(&rows.table, 8,
               (const char *[]){ "#", "TITLE", "CREATOR", "LENGTH", "SIZE", "LICENSE", "ISSUER", "ID" });
    code = CLI_CALL(cli, LIBRARY_GET, ctl_LibraryGet, &m, on_track, &rows);
    bool limited = m.has_device && rows.count == SHELF_LISTED_MAX && (!m.has_limit || m.limit > SHELF_LISTED_MAX);
    if (code == EXIT_DONE && rows.list != NULL)
        output_json(&cli->output, json_pack("{s:O, s:b}", "library", rows.list, "limited", limited));
    if (code == EXIT_DONE && rows.list == NULL) {
        if (rows.table.rows == 1)
            output_line(&cli->output, m.has_query || m.has_skip ? "Nothing more in the library fits."
                                      : m.has_device            ? "Nothing is there that can be fetched from here."
                                                     : "The library is empty: hearth browse, hearth get TRACK");
        const bool tell = m.has_device && rows.table.rows > 1;
        table_print(&rows.table);
        if (tell)
            output_line(&cli->output, "One of them for this device: hearth fetch NUMBER --from %s", device);
        if (limited)
            output_line(&cli->output, "As many are listed at once. What may follow: --skip %llu",
                        (unsigned long long)m.skip + SHELF_LISTED_MAX);
    }
    json_decref(rows.list);
    table_deinit(&rows.table);
    return code;
}
const struct verb verb_library = {
    "library", "[QUERY] [--limit N] [--skip N] [--on DEVICE]",
    "Lists what this device has, by title: all, or what has QUERY in title, creator or album.",
    "A page of a large library: --limit 50, then --limit 50 --skip 50, and so on.\n"
    "--on DEVICE lists what another device of the household has, as that says now: what can be fetched from there.\n"
    "The numbers are for hearth fetch NUMBER --from DEVICE; 10,000 tracks at once, then --skip 10000.\n",
    run_library
};

int verb_on_track(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_TRACK_ROW && CODEC_DECODE(ctl_TrackRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

/* --- The use log, where there is the obligation to keep one --- */

struct log {
    const ctl_TrackRow *track;
    uint64_t uses, due,
        sent_ms; /* of this license; that its issuer does not have, of all its licenses; the last time it took some */
};

static bool is_logged(const ctl_TrackRow *t)
{
    return t->has_conditions && t->conditions.has_use_log && t->conditions.use_log;
}

static int on_use(const struct frame *f, void *ctx)
{
    struct log *log = ctx;
    ctl_UseLogRow row;
    if (f->type != ctl_Type_USE_LOG_ROW || CODEC_DECODE(ctl_UseLogRow, f->message, &row) != 0)
        return -EPROTO;
    if (memcmp(row.issuer, log->track->issuer, sizeof(row.issuer)) != 0)
        return 0;
    log->uses += memcmp(row.entry.license_id, log->track->license_id, sizeof(log->track->license_id)) == 0;
    log->due += !row.taken;
    if (row.has_taken_ms && row.taken_ms > log->sent_ms)
        log->sent_ms = row.taken_ms;
    return 0;
}

static int read_log(struct cli *cli, const ctl_TrackRow *t, struct log *log)
{
    *log = (struct log){ .track = t };
    return CLI_CALL(cli, USE_LOG_GET, ctl_UseLogGet, &(ctl_UseLogGet){ 0 }, on_use, log);
}

static int say_log(struct cli *cli, const ctl_TrackRow *t)
{
    struct log log;
    char sent[32];
    int code = read_log(cli, t, &log);
    if (code != EXIT_DONE)
        return code;
    output_line(&cli->output, "use log     %llu use%s logged for %s%s%s", (unsigned long long)log.uses,
                log.uses == 1 ? "" : "s", t->issuer_name, log.sent_ms != 0 ? ", last sent " : "",
                log.sent_ms != 0 ? output_time(log.sent_ms, sent) : "");
    if (log.due > 0)
        output_line(&cli->output, "due         %llu still to be sent; at %u nothing of %s plays until they are",
                    (unsigned long long)log.due, (unsigned)USE_LOG_DUE_COUNT, t->issuer_name);
    return EXIT_DONE;
}

static int show_json(struct cli *cli, const ctl_TrackRow *t)
{
    struct log log;
    int code = is_logged(t) ? read_log(cli, t, &log) : EXIT_DONE;
    if (code != EXIT_DONE)
        return code;
    json_t *o = verb_track_json(t);
    if (is_logged(t))
        json_object_set_new(o, "use_log",
                            json_pack("{s:I, s:I, s:I, s:o}", "uses", (json_int_t)log.uses, "due", (json_int_t)log.due,
                                      "due_limit", (json_int_t)USE_LOG_DUE_COUNT, "sent_ms",
                                      log.sent_ms != 0 ? json_integer((json_int_t)log.sent_ms) : json_null()));
    code = verb_put_terms(cli, t, o);
    if (code == EXIT_DONE)
        output_json(&cli->output, o);
    else
        json_decref(o);
    return code;
}

/* R2: what became of the last play that did not come to its end. Its user's own doing is nothing to tell. */
static void say_cut_off(struct cli *cli, const ctl_TrackRow *t)
{
    char when[32], cost[96] = "";
    vlt_PlayEnd end = play_end_of_code(t->cut_off);
    const char *text = play_end_text(end);
    if (end == vlt_PlayEnd_END_STOPPED)
        return;
    if (t->recovered)
        (void)snprintf(cost, sizeof(cost), "; not counted for that, recovery %u of %u", (unsigned)t->recoveries,
                       (unsigned)t->conditions.max_recoveries);
    else if (t->has_plays || t->has_play_ms)
        (void)snprintf(cost, sizeof(cost), "; as if its user had ended it, no recovery");
    output_line(&cli->output, "cut off     last at %s: %s%s", output_time(t->cut_off_ms, when),
                text != NULL ? text : t->cut_off, cost);
}

static void say_used(struct cli *cli, const ctl_TrackRow *t)
{
    char used[24] = "0:00", all[24], of[64] = "";
    const doc_Conditions *c = &t->conditions;
    if (c->has_max_plays)
        (void)snprintf(of, sizeof(of), " of %u", (unsigned)c->max_plays);
    if (t->has_plays)
        output_line(&cli->output, "played      %u%s time%s", (unsigned)t->plays, of,
                    (c->has_max_plays ? c->max_plays : t->plays) == 1 ? "" : "s");
    if (t->has_lease && t->lease.has_max_plays)
        output_line(&cli->output, "            until %u with this lease", (unsigned)t->lease.max_plays);
    if (t->has_play_ms)
        output_line(&cli->output, "playing     %s of %s used",
                    t->play_ms > 0 ? output_duration(t->play_ms, used) : used, output_duration(c->max_play_ms, all));
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
    if (cli->output.json)
        return show_json(cli, &t);
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
    if (t.has_damaged && t.damaged)
        output_line(&cli->output, "damaged     hearth get TRACK --download-only transfers the damaged blocks again");
    output_line(&cli->output, "license     %s%s%s", verb_license_word(&t), t.has_issuer_name ? ", issued by " : "",
                t.has_issuer_name ? t.issuer_name : "");
    if (t.has_conditions)
        output_line(&cli->output, "conditions  %s", output_conditions(&t.conditions, "", text));
    code = verb_say_terms(cli, &t);
    say_used(cli, &t);
    if (t.has_position_ms)
        output_line(&cli->output, "left at     %s: hearth play TRACK --resume", output_duration(t.position_ms, text));
    if (t.has_positions_differ)
        output_line(&cli->output,
                    "left at     several places, on devices that did not know of each other: hearth play asks");
    if (t.has_lease)
        output_line(&cli->output, "lease       until %s; refreshed by itself before that",
                    output_time(t.lease.until_ms, text));
    if (t.has_in_use && t.in_use)
        output_line(&cli->output, "in use      it is played at this moment, and for one play at a time");
    if (t.has_cut_off)
        say_cut_off(cli, &t);
    if (t.has_lender)
        output_line(&cli->output, "lent by     %s: hearth checkin gives it back", t.lender);
    if (t.has_borrower)
        output_line(&cli->output, "lent to     %s: hearth checkin there brings it back", t.borrower);
    json_decref(id);
    return code == EXIT_DONE && is_logged(&t) ? say_log(cli, &t) : code;
}
const struct verb verb_show = { "show", "TRACK", "Shows everything about one track.", NULL, run_show };

static int run_remove(struct cli *cli, int argc, char **argv)
{
    char **args, question[256];
    bool yes = false;
    const struct option_spec specs[] = { { "yes", NULL, &yes } };
    int count, code = cli_options(cli, argc, argv, specs, 1, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_Show ask = ctl_Show_init_zero;
    ctl_Remove m = ctl_Remove_init_zero;
    ctl_TrackRow t = ctl_TrackRow_init_zero;
    if (!cli_text(cli, ask.track, sizeof(ask.track), args[0], "TRACK"))
        return EXIT_USAGE;
    code = CLI_CALL(cli, SHOW, ctl_Show, &ask, verb_on_track, &t);
    if (code != EXIT_DONE)
        return code;
    id_text(t.content, m.track); /* what is asked about, whatever the listing says meanwhile */
    snprintf(question, sizeof(question), "Remove %s from this device? [y/N] ", t.title);
    if (verb_asks(cli, yes) && !prompt_yes(question))
        return cli_fail(cli, "cancelled", "nothing was removed", NULL);
    code = CLI_CALL(cli, REMOVE, ctl_Remove, &m, NULL, NULL);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, json_pack("{s:b}", "done", true));
    else
        output_line(
            &cli->output,
            "%s was removed from this device. The license stays: hearth get or hearth fetch brings the content back.",
            t.title);
    return EXIT_DONE;
}
const struct verb verb_remove = { "remove", "TRACK [--yes]",
                                  "Removes a track's content from this device; the license stays.",
                                  "It is asked at a terminal, by the track's title, unless --yes is given.",
                                  run_remove };
