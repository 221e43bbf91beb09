/* status, doctor, events: how the daemon is. */
#include "ui-cli/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int on_status(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_STATUS && CODEC_DECODE(ctl_Status, f->message, ctx) == 0 ? 0 : -EPROTO;
}

#define ROOM_LOW_BYTES (64ull << 20) /* as hearth doctor has it */

static bool is_full(const ctl_Status *s)
{
    return s->wants_room || (s->has_free_bytes && s->free_bytes < ROOM_LOW_BYTES);
}

/* What keeps the device from doing all it should; devices that are off are everyday life. */
static bool is_well(const ctl_Status *s)
{
    return s->distributors > 0 && s->distributors_online == s->distributors && s->distributors_forgotten == 0 &&
           !s->time_untrusted && !s->vault_silent && !is_full(s);
}

static void status_json(struct cli *cli, const ctl_Status *s)
{
    json_t *o = json_pack(
        "{s:s, s:o, s:s, s:b, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b, s:b}", "version", s->version,
        "client", json_id(s->client), "name", s->name, "well", is_well(s), "port", (int)s->port, "distributors",
        (int)s->distributors, "distributors_online", (int)s->distributors_online, "devices", (int)s->devices,
        "devices_online", (int)s->devices_online, "tracks", (int)s->tracks, "transfers", (int)s->transfers,
        "transfers_waiting", (int)s->transfers_waiting, "waiting", (int)s->waiting, "time_trusted", !s->time_untrusted,
        "loading", s->has_loading && s->loading, "vault_answers", !s->vault_silent);
    if (s->has_free_bytes)
        json_object_set_new(o, "free_bytes", json_integer((json_int_t)s->free_bytes));
    output_json(&cli->output, o);
}

static void status_text(struct cli *cli, const ctl_Status *s)
{
    struct output *out = &cli->output;
    char id[56], room[24];
    output_line(out, "%s %s", s->name,
                is_well(s) ? "is well." : "needs a look; hearth doctor says at what, and what to do.");
    output_line(out, "distributors  %u of %u online", (unsigned)s->distributors_online, (unsigned)s->distributors);
    if (s->distributors == 0)
        output_line(out, "              Not registered anywhere yet: hearth register URL");
    if (s->distributors_forgotten > 0)
        output_line(out, "              %u removed this device from the account; register again (hearth accounts)",
                    (unsigned)s->distributors_forgotten);
    output_line(out, "siblings      %u of %u online", (unsigned)s->devices_online, (unsigned)s->devices);
    output_line(out, "library       %u track%s%s", (unsigned)s->tracks, s->tracks == 1 ? "" : "s",
                s->has_loading && s->loading ? " so far; it is still being read" : "");
    if (s->has_free_bytes)
        output_line(out, "room          %s free%s", output_bytes(s->free_bytes, room),
                    is_full(s) ? ": too little; remove tracks (hearth remove TRACK)" : "");
    if (s->transfers > 0)
        output_line(out, "transfers     %u under way%s; see hearth transfers", (unsigned)s->transfers,
                    s->transfers_waiting == 0              ? ""
                    : s->transfers_waiting == s->transfers ? ", waiting"
                                                           : ", some waiting");
    if (s->waiting > 0)
        output_line(out, "waiting       %u report%s for a distributor that is away", (unsigned)s->waiting,
                    s->waiting == 1 ? "" : "s");
    if (s->vault_silent)
        output_line(out, "vault         does not answer: nothing can be played, bought or copied; hearth doctor");
    if (s->time_untrusted) {
        output_line(out, "time          untrusted: licenses with an end wait, nothing is lost");
        output_line(out, "              Set the clock, or let this device reach its distributor once: hearth doctor");
    }
    output_line(out, "this device   %s, port %u, hearthd %s", output_id(s->client, id), (unsigned)s->port, s->version);
}

static int run_status(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 0, &args, &count);
    if (code >= 0)
        return code;
    ctl_Status s = ctl_Status_init_zero;
    code = CLI_CALL(cli, STATUS_GET, ctl_StatusGet, &(ctl_StatusGet){ 0 }, on_status, &s);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        status_json(cli, &s);
    else
        status_text(cli, &s);
    return EXIT_DONE;
}
const struct verb verb_status = { "status", "", "Says how this device is at a glance.", NULL, run_status };

struct checks {
    struct cli *cli;
    json_t *list;
    int worst;
};

static int on_check(const struct frame *f, void *ctx)
{
    struct checks *c = ctx;
    ctl_CheckRow row;
    if (f->type != ctl_Type_CHECK_ROW || CODEC_DECODE(ctl_CheckRow, f->message, &row) != 0)
        return -EPROTO;
    static const char *const words[] = { "?", "good", "look", "BAD" };
    const char *word = words[row.verdict <= 3 ? row.verdict : 0];
    if ((int)row.verdict > c->worst)
        c->worst = (int)row.verdict;
    if (c->list != NULL) {
        json_t *o = json_pack("{s:s, s:s, s:s}", "name", row.name, "verdict", row.verdict == 3 ? "bad" : word, "text",
                              row.text);
        json_put_text(o, "remedy", row.has_remedy, row.remedy);
        json_array_append_new(c->list, o);
        return 0;
    }
    output_line(&c->cli->output, "%-4s  %-12s %s", word, row.name, row.text);
    if (row.has_remedy)
        output_line(&c->cli->output, "%19s-> %s", "", row.remedy);
    return 0;
}

static int run_doctor(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 0, &args, &count);
    if (code >= 0)
        return code;
    struct checks c = { cli, cli->output.json ? json_array() : NULL, 0 };
    code = CLI_CALL(cli, DOCTOR, ctl_Doctor, &(ctl_Doctor){ 0 }, on_check, &c);
    if (code == EXIT_DONE && c.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "checks", c.list));
    json_decref(c.list);
    return code == EXIT_DONE && c.worst == 3 ? EXIT_REFUSED : code;
}
const struct verb verb_doctor = { "doctor", "", "Tests what this device depends on and says what to do.",
                                  "Exit status 1 when something is bad.", run_doctor };

struct followed {
    struct cli *cli;
    uint64_t last; /* number; 0: none yet */
};

/* A number that does not follow the one before: what is between was not seen, hearthd was cut off, or the device was put back from a copy and counts from there. */
static void say_gap(struct followed *f, const ctl_Event *e)
{
    bool back = e->number <= f->last;
    uint64_t missing = back ? 0 : e->has_missing ? e->missing : e->number - f->last - 1;
    uint32_t cut_off = e->has_cut_off ? e->cut_off : 0;
    char events[64];
    if (f->cli->output.json) {
        output_json(&f->cli->output,
                    json_pack("{s:{s:I, s:I, s:o, s:i}}", "gap", "after", (json_int_t)f->last, "before",
                              (json_int_t)e->number, "missing", back ? json_null() : json_integer((json_int_t)missing),
                              "cut_off", (int)cut_off));
        return;
    }
    (void)snprintf(events, sizeof(events), "%llu event%s missed here", (unsigned long long)missing,
                   missing == 1 ? " was" : "s were");
    if (back)
        output_line(&f->cli->output, "       ... numbers go on from an earlier state of this device");
    else if (cut_off == 0)
        output_line(&f->cli->output, "       ... %s", events);
    else
        output_line(&f->cli->output, "       ... hearthd was cut off; %s",
                    missing == 0 ? "no event is known to be missed" : events);
}

static int on_event(const struct frame *f, void *ctx)
{
    struct followed *followed = ctx;
    struct cli *cli = followed->cli;
    ctl_Event e;
    if (f->type != ctl_Type_EVENT || CODEC_DECODE(ctl_Event, f->message, &e) != 0)
        return -EPROTO;
    char when[32];
    if (followed->last != 0 && e.number != followed->last + 1)
        say_gap(followed, &e);
    followed->last = e.number;
    if (cli->output.json)
        output_json(&cli->output, json_pack("{s:I, s:I, s:s, s:s}", "number", (json_int_t)e.number, "time_ms",
                                            (json_int_t)e.time_ms, "kind", e.kind, "text", e.text));
    else
        output_line(&cli->output, "%5llu  %s  %-19s  %s", (unsigned long long)e.number, output_time(e.time_ms, when),
                    e.kind, e.text);
    output_flush();
    return 0;
}

/* What happened while hearthd was away is told when it is back, or that it is told no more. */
static int follow(struct cli *cli, ctl_EventsGet *get, struct followed *f)
{
    for (;;) {
        int code = cli_call_until_lost(cli, ctl_Type_EVENTS_GET, ctl_EventsGet_fields, get, on_event, f);
        if (code >= 0)
            return code;
        cli_await(cli);
        get->has_after = f->last != 0;
        get->after = f->last;
        get->has_last = !get->has_after;
    }
}

static int run_events(struct cli *cli, int argc, char **argv)
{
    ctl_EventsGet get = { .last = 10 };
    const char *after = NULL;
    const struct option_spec specs[] = { { "follow", NULL, &get.follow }, { "after", &after, NULL } };
    char **args, *end = NULL;
    int count, code = cli_options(cli, argc, argv, specs, 2, 0, 0, &args, &count);
    if (code >= 0)
        return code;
    struct followed followed = { .cli = cli };
    if (after != NULL) {
        errno = 0;
        followed.last = strtoull(after, &end, 10);
        if (errno != 0 || after[0] < '0' || after[0] > '9' || *end != '\0')
            return cli_usage(cli, "--after takes the number of the last event that was seen");
    }
    get.has_after = after != NULL;
    get.after = followed.last;
    get.has_last = get.follow && after == NULL;
    return get.follow ? follow(cli, &get, &followed)
                      : CLI_CALL(cli, EVENTS_GET, ctl_EventsGet, &get, on_event, &followed);
}
const struct verb verb_events = {
    "events", "[--follow] [--after NUMBER]", "Lists what happened lately.",
    "Those since hearthd was started, 256 at most. --follow begins with the last ten and goes on as things happen, also when hearthd\n"
    "was restarted meanwhile, until Ctrl-C. --after NUMBER begins behind the last one that was seen. Numbers rise by one, also over restarts;\n"
    "what was missed is told: with --json, which prints one object a line, as\n"
    "{\"gap\":{\"after\":N,\"before\":M,\"missing\":COUNT,\"cut_off\":TIMES}}. A hearthd that was cut off (killed) goes on with a larger number;\n"
    "\"missing\" counts events, not numbers.",
    run_events
};
