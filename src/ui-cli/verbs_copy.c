/* copy, move, checkout, checkin, fetch: between the household's devices. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "ui-cli/verbs.h"

struct copying {
    struct cli *cli;
    bool checkout;
    json_t *list;
    ctl_TransferRow row;
    ctl_TrackRow track;
    ctl_Charged charged; /* for this one */
};

static int on_copying(const struct frame *f, void *ctx)
{
    struct copying *c = ctx;
    ctl_Progress p;
    if (f->type == ctl_Type_PROGRESS && CODEC_DECODE(ctl_Progress, f->message, &p) == 0) {
        output_progress(&c->cli->output, &p);
        return 0;
    }
    if (verb_on_charged(f, &c->charged))
        return 0;
    if (f->type == ctl_Type_TRANSFER_ROW)
        return CODEC_DECODE(ctl_TransferRow, f->message, &c->row) == 0 ? 0 : -EPROTO;
    if (f->type == ctl_Type_TRACK_ROW)
        return CODEC_DECODE(ctl_TrackRow, f->message, &c->track) == 0 ? 0 : -EPROTO;
    return -EPROTO;
}

static void say_copied(struct cli *cli, const ctl_TransferRow *row, const ctl_Charged *charged, bool move,
                       bool checkout)
{
    char cost[VERB_CHARGED_BYTES];
    const char *done = checkout ? "lent" : move ? "moved" : "copied";
    if (row->has_reason && strcmp(row->reason, reason_code(REASON_ALREADY)) == 0)
        output_line(&cli->output, "%s was %s to %s before: nothing was done now.%s", row->title, done, row->peer,
                    move ? ""
                         : " If it is not there any more (lost, or moved on): hearth fetch there, or --again here.");
    else
        output_line(&cli->output, "%s was %s to %s%s%s%s.", row->title, done, row->peer,
                    row->has_merges ? "; a copy that it still had from before is one license with it now" : "",
                    checkout ? ": hearth checkin there gives it back" : "", verb_charged_text(charged, cost));
}

/* Several tracks: so many under way that certificates are always being asked for while others are on their way; fewer than hearthd takes of
 * one client. A transaction holds 256. */
#define COPIES_AT_ONCE 800

struct copying_many {
    struct copying one; /* row: of the one that ends next */
    char **tracks;
    ctl_Copy message;
    bool move, stopped;
    bool *limited;       /* of each track: it was refused for the spending limit */
    msg_Refusal refusal; /* the first other one */
    size_t from, begun;  /* of the tracks: where this round began, and how many it has begun */
};

static const void *next_copy(size_t index, void *ctx)
{
    struct copying_many *m = ctx;
    if (m->stopped)
        return NULL;
    (void)snprintf(m->message.track, sizeof(m->message.track), "%s", m->tracks[m->from + index]);
    m->begun = index + 1;
    return &m->message;
}

static int on_copying_one(const struct frame *f, size_t index, void *ctx)
{
    struct copying_many *m = ctx;
    (void)index;
    return on_copying(f, &m->one);
}

static void copied(struct copying *c, bool move)
{
    json_t *o = c->list != NULL ? verb_transfer_json(&c->row) : NULL;
    if (o != NULL) {
        verb_put_charged(o, &c->charged);
        json_array_append_new(c->list, o);
    } else {
        say_copied(c->cli, &c->row, &c->charged, move, c->checkout);
    }
    c->charged = (ctl_Charged){ 0 };
}

/* After a refusal none is begun; those that were go on to their end. */
static int on_copy_end(size_t index, const msg_Refusal *refusal, void *ctx)
{
    struct copying_many *m = ctx;
    bool limited = refusal != NULL && strcmp(refusal->code, reason_code(REASON_SPENDING_LIMIT)) == 0;
    m->limited[m->from + index] = limited;
    if (refusal == NULL)
        copied(&m->one, m->move);
    else if (!limited && m->refusal.code[0] == '\0')
        m->refusal = *refusal;
    m->stopped |= refusal != NULL;
    return 0;
}

static int copy_one(struct copying *c, const ctl_Copy *m, bool move, const char *pin_file)
{
    const struct paying paying = { ctl_Type_COPY, ctl_Copy_fields, m, NULL, m->track, pin_file };
    int code = verb_call_paying(c->cli, &paying, on_copying, c);
    if (code == EXIT_DONE)
        copied(c, move);
    return code;
}

/* As many as can be; those beyond the spending limit then one by one, with the PIN; then what was not begun for their sake. */
static int copy_many(struct copying_many *m, size_t count, const char *pin_file)
{
    struct cli *cli = m->one.cli;
    int code = EXIT_DONE;
    for (; m->from < count && code == EXIT_DONE; m->from += m->begun) {
        const struct client_many calls = { ctl_Type_COPY, ctl_Copy_fields, count - m->from, COPIES_AT_ONCE,
                                           next_copy,     on_copying_one,  on_copy_end,     m };
        m->stopped = false;
        code = cli_call_many(cli, &calls);
        if (code == EXIT_DONE && m->refusal.code[0] != '\0')
            return cli_fail(cli, m->refusal.code, m->refusal.text, m->refusal.has_remedy ? m->refusal.remedy : NULL);
        for (size_t i = m->from; i < m->from + m->begun && code == EXIT_DONE; i++) {
            if (!m->limited[i])
                continue;
            (void)snprintf(m->message.track, sizeof(m->message.track), "%s", m->tracks[i]);
            code = copy_one(&m->one, &m->message, m->move, pin_file);
        }
    }
    return code;
}

/* -1: go on. */
static int confirm(struct copying_many *m, size_t count)
{
    ctl_TermsGet terms = { .has_copy = true, .copy = m->message };
    const char *what = m->one.checkout ? "lending it" : m->move ? "moving it" : "a copy";
    bool costs = false;
    int code = -1;
    for (size_t i = 0; i < count && code < 0; i++) {
        (void)snprintf(terms.track, sizeof(terms.track), "%s", m->tracks[i]);
        (void)snprintf(terms.copy.track, sizeof(terms.copy.track), "%s", m->tracks[i]);
        code = verb_weigh(m->one.cli, &terms, what, &costs);
    }
    return code >= 0 ? code : verb_confirm_cost(m->one.cli, costs);
}

static int on_nothing(const struct frame *f, size_t index, void *ctx)
{
    (void)f;
    (void)index;
    (void)ctx;
    return 0;
}

static int on_checked(size_t index, const msg_Refusal *refusal, void *ctx)
{
    struct copying_many *m = ctx;
    (void)index;
    if (refusal != NULL && m->refusal.code[0] == '\0')
        m->refusal = *refusal;
    m->stopped |= refusal != NULL;
    return 0;
}

/* Is each argument what it should be? Before anything is begun, or paid. */
static int check(struct copying_many *m, size_t count)
{
    struct cli *cli = m->one.cli;
    const struct client_many calls = { ctl_Type_COPY, ctl_Copy_fields, count,      COPIES_AT_ONCE,
                                       next_copy,     on_nothing,      on_checked, m };
    m->message.has_check = m->message.check = true;
    int code = cli_call_many(cli, &calls);
    m->message.has_check = m->message.check = m->stopped = false;
    if (code == EXIT_DONE && m->refusal.code[0] != '\0')
        return cli_fail(cli, m->refusal.code, m->refusal.text, m->refusal.has_remedy ? m->refusal.remedy : NULL);
    return code;
}

static int copy_each(struct cli *cli, int argc, char **argv, bool move, bool checkout)
{
    const char *device = NULL, *pin_file = NULL;
    bool again = false, yes = false;
    const struct option_spec specs[] = {
        { "to", &device, NULL }, { "yes", NULL, &yes }, { "again", NULL, &again }, { "pin-file", &pin_file, NULL }
    };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, ARRAY_COUNT(specs), 1, -1, &args, &count);
    if (code >= 0)
        return code;
    if (device == NULL)
        return cli_usage(cli, "say where with --to DEVICE");
    struct copying_many m = { .one = { .cli = cli, .checkout = checkout }, .tracks = args, .move = move };
    m.message = (ctl_Copy){ .move = move, .again = again, .has_checkout = checkout, .checkout = checkout };
    if (!cli_text(cli, m.message.device, sizeof(m.message.device), device, "the device"))
        return EXIT_USAGE;
    for (int i = 0; i < count; i++)
        if (!cli_text(cli, m.message.track, sizeof(m.message.track), args[i], "TRACK"))
            return EXIT_USAGE;
    if (count > 1 && (code = check(&m, (size_t)count)) != EXIT_DONE)
        return code;
    if (verb_asks(cli, yes) && (code = confirm(&m, (size_t)count)) >= 0)
        return code;
    cli->when_lost = "start it: what was begun goes on by itself (hearth transfers)";
    m.limited = calloc((size_t)count, sizeof(*m.limited));
    if (m.limited == NULL)
        return cli_fail(cli, reason_code(REASON_INTERNAL), "out of memory", NULL);
    m.one.list = cli->output.json ? json_array() : NULL;
    code = copy_many(&m, (size_t)count, pin_file);
    if (code == EXIT_DONE && m.one.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "transfers", m.one.list));
    json_decref(m.one.list);
    free(m.limited);
    return code;
}

static int run_copy(struct cli *cli, int argc, char **argv) { return copy_each(cli, argc, argv, false, false); }
const struct verb verb_copy = {
    "copy", "TRACK... --to DEVICE [--yes] [--again] [--pin-file FILE]",
    "Copies tracks to another device of the household.",
    "The distributor issues a contents copy certificate for that device; the track then goes straight to it.\n"
    "An interrupted copy is finished by itself, or by running the command again. What was copied there before is\n"
    "not copied or charged again, unless --again says so (it was lost there, or moved on). What a copy costs was told with\n"
    "the license (hearth show TRACK says it): at a terminal it is asked, unless --yes is given; elsewhere it is charged,\n"
    "and told afterwards. Several tracks go side by side, when each is known here; when one is refused, those that were begun are finished, and no more are.",
    run_copy
};

static int run_move(struct cli *cli, int argc, char **argv) { return copy_each(cli, argc, argv, true, false); }
const struct verb verb_move = {
    "move", "TRACK... --to DEVICE [--yes] [--pin-file FILE]", "Moves tracks to another device of the household.",
    "The license is suspended here until the other device has signed for it; at no moment are both usable, at no moment is neither kept.\n"
    "hearth transfers cancel N takes a move back that has not arrived. Where a distributor charges for it, that is asked at a\n"
    "terminal, unless --yes is given; as is a move to a device that was given a copy before: the two become one license.",
    run_move
};

static int run_checkout(struct cli *cli, int argc, char **argv) { return copy_each(cli, argc, argv, true, true); }
const struct verb verb_checkout = {
    "checkout", "TRACK... --to DEVICE [--yes]", "Lends tracks to a portable device of the household.",
    "As often as the license allows. Until it is checked in there, this device cannot play it; its content stays here.\n"
    "It costs what a copy costs: asked at a terminal, unless --yes is given.",
    run_checkout
};

static int run_checkin(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_Checkin m = ctl_Checkin_init_zero;
    struct copying c = { .cli = cli };
    if (!cli_text(cli, m.track, sizeof(m.track), args[0], "TRACK"))
        return EXIT_USAGE;
    code = CLI_CALL(cli, CHECKIN, ctl_Checkin, &m, on_copying, &c);
    if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, json_pack("{s:[o]}", "transfers", verb_transfer_json(&c.row)));
    else if (code == EXIT_DONE)
        output_line(&cli->output, "%s is back on %s.", c.row.title, c.row.peer);
    return code;
}
const struct verb verb_checkin = { "checkin", "TRACK", "Gives back what was checked out to this device.",
                                   "The license goes back to the device it came from.", run_checkin };

/* -1: go on. */
static int confirm_fetch(struct cli *cli, const ctl_Fetch *m)
{
    ctl_TermsGet terms = { .has_fetch = true, .fetch = *m };
    bool costs = false;
    memcpy(terms.track, m->track, sizeof(terms.track));
    int code = verb_weigh(cli, &terms, "the copy", &costs);
    return code >= 0 ? code : verb_confirm_cost(cli, costs);
}

static json_t *fetched_json(const struct copying *c)
{
    json_t *o = verb_track_json(&c->track);
    verb_put_charged(o, &c->charged);
    return o;
}

static int run_fetch(struct cli *cli, int argc, char **argv)
{
    const char *device = NULL;
    bool yes = false;
    const struct option_spec specs[] = { { "from", &device, NULL }, { "yes", NULL, &yes } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, ARRAY_COUNT(specs), 1, 1, &args, &count);
    if (code >= 0)
        return code;
    if (device == NULL)
        return cli_usage(cli, "say from where with --from DEVICE");
    char cost[VERB_CHARGED_BYTES];
    ctl_Fetch m = ctl_Fetch_init_zero;
    if (!cli_text(cli, m.track, sizeof(m.track), args[0], "TRACK") ||
        !cli_text(cli, m.device, sizeof(m.device), device, "the device"))
        return EXIT_USAGE;
    if (verb_asks(cli, yes) && (code = confirm_fetch(cli, &m)) >= 0)
        return code;
    struct copying c = { .cli = cli };
    code = CLI_CALL(cli, FETCH, ctl_Fetch, &m, on_copying, &c);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, fetched_json(&c));
    else
        output_line(&cli->output, "%s is in the library%s.", c.track.title, verb_charged_text(&c.charged, cost));
    return EXIT_DONE;
}
const struct verb verb_fetch = {
    "fetch", "TRACK --from DEVICE [--yes]", "Asks another device of the household to copy a track here.",
    "TRACK is what this device or a catalogue knows by that name, a number that hearth library --on DEVICE has shown, or the\n"
    "whole content ID.\n"
    "What is here already is verified: what is damaged of it comes again. A copy is charged to the account behind the other\n"
    "device's license: at a terminal its price is asked, unless --yes is given; elsewhere it is told afterwards.",
    run_fetch
};
