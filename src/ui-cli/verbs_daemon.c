/* status, doctor, events: how the daemon is. */
#include "ui-cli/verbs.h"

#include <stdio.h>
#include <string.h>

static int on_status(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_STATUS && CODEC_DECODE(ctl_Status, f->message, ctx) == 0 ? 0 : -EPROTO;
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
    char id[56];
    if (cli->output.json) {
        output_json(&cli->output,
                    json_pack("{s:s, s:o, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b}", "version", s.version,
                              "client", json_id(s.client), "name", s.name, "port", (int)s.port, "distributors",
                              (int)s.distributors, "distributors_online", (int)s.distributors_online, "devices",
                              (int)s.devices, "devices_online", (int)s.devices_online, "tracks", (int)s.tracks,
                              "transfers", (int)s.transfers, "waiting", (int)s.waiting, "time_trusted",
                              !(s.has_time_untrusted && s.time_untrusted), "loading", s.has_loading && s.loading));
        return EXIT_DONE;
    }
    output_line(&cli->output, "%s (%s), hearthd %s, port %u", s.name, output_id(s.client, id), s.version,
                (unsigned)s.port);
    output_line(&cli->output, "distributors  %u of %u online", (unsigned)s.distributors_online,
                (unsigned)s.distributors);
    if (s.distributors_forgotten > 0)
        output_line(&cli->output,
                    "              %u removed this device from the account; register again (hearth accounts)",
                    (unsigned)s.distributors_forgotten);
    output_line(&cli->output, "siblings      %u of %u online", (unsigned)s.devices_online, (unsigned)s.devices);
    output_line(&cli->output, "library       %u track%s%s", (unsigned)s.tracks, s.tracks == 1 ? "" : "s",
                s.has_loading && s.loading ? " so far; it is still being read" : "");
    if (s.transfers > 0)
        output_line(&cli->output, "transfers     %u under way; see hearth transfers", (unsigned)s.transfers);
    if (s.waiting > 0)
        output_line(&cli->output, "waiting       %u report%s for a distributor that is away", (unsigned)s.waiting,
                    s.waiting == 1 ? "" : "s");
    if (s.has_time_untrusted && s.time_untrusted) {
        output_line(&cli->output, "time          untrusted: licenses with an end wait, nothing is lost");
        output_line(&cli->output,
                    "              Set the clock, or let this device reach its distributor once: hearth doctor");
    }
    if (s.distributors == 0)
        output_line(&cli->output, "Not registered anywhere yet: hearth register URL");
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

static int on_event(const struct frame *f, void *ctx)
{
    struct cli *cli = ctx;
    ctl_Event e;
    if (f->type != ctl_Type_EVENT || CODEC_DECODE(ctl_Event, f->message, &e) != 0)
        return -EPROTO;
    char when[32];
    if (cli->output.json)
        output_json(&cli->output, json_pack("{s:I, s:I, s:s, s:s}", "number", (json_int_t)e.number, "time_ms",
                                            (json_int_t)e.time_ms, "kind", e.kind, "text", e.text));
    else
        output_line(&cli->output, "%5llu  %s  %-16s %s", (unsigned long long)e.number, output_time(e.time_ms, when),
                    e.kind, e.text);
    fflush(stdout);
    return 0;
}

static int run_events(struct cli *cli, int argc, char **argv)
{
    ctl_EventsGet get = { .last = 10 };
    const struct option_spec specs[] = { { "follow", NULL, &get.follow } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, 1, 0, 0, &args, &count);
    get.has_last = get.follow;
    return code >= 0 ? code : CLI_CALL(cli, EVENTS_GET, ctl_EventsGet, &get, on_event, cli);
}
const struct verb verb_events = {
    "events", "[--follow]", "Lists what happened lately.",
    "Those since hearthd was started, 256 at most. --follow begins with the last ten and goes on as things happen. With --json one object a line; numbers\nrise by one.",
    run_events
};
