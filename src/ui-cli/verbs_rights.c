/* renew, own, refresh, return, use-log: what becomes of a license that is here. */
#include "ui-cli/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/id.h"

/* ---- renew, own: S91-S97 ---- */

static int say_track(struct cli *cli, const ctl_TrackRow *t, const char *done)
{
    char conditions[512];
    if (cli->output.json)
        output_json(&cli->output, verb_track_json(t));
    else
        output_line(&cli->output, "%s is %s (%s).", t->title, done,
                    t->has_conditions ? output_conditions(&t->conditions, "", conditions) : "");
    return EXIT_DONE;
}

static int buy_more(struct cli *cli, ctl_QuoteGet *ask, const char *question, bool yes, const char *pin_file,
                    const char *done)
{
    ctl_QuoteRow quote = ctl_QuoteRow_init_zero;
    struct verb_got g = { .cli = cli };
    ctl_Get m = { .license = true, .has_quote_hash = true };
    int code = CLI_CALL(cli, QUOTE_GET, ctl_QuoteGet, ask, verb_on_quote, &quote);
    if (code != EXIT_DONE || (code = verb_confirm_price(cli, &quote, question, yes)) >= 0)
        return code;
    memcpy(m.quote_hash, quote.hash, sizeof(m.quote_hash));
    id_text(quote.content, m.track); /* what was confirmed */
    const struct paying paying = { ctl_Type_GET, ctl_Get_fields, &m, quote.distributor_name, m.track, pin_file };
    code = verb_call_paying(cli, &paying, verb_on_got, &g);
    return code == EXIT_DONE && done != NULL ? say_track(cli, &g.track, done) : code;
}

int verb_renew_track(struct cli *cli, const char *track, bool yes)
{
    ctl_QuoteGet ask = { .has_kind = true, .kind = 2 };
    snprintf(ask.track, sizeof(ask.track), "%s", track);
    return buy_more(cli, &ask, "Renew it? [y/N] ", yes, NULL, cli->output.json ? NULL : "renewed");
}

static int run_renew(struct cli *cli, int argc, char **argv)
{
    bool yes = false;
    const char *product = NULL, *with = NULL, *pin_file = NULL;
    const struct option_spec specs[] = {
        { "yes", NULL, &yes }, { "product", &product, NULL }, { "with", &with, NULL }, { "pin-file", &pin_file, NULL }
    };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, 4, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_QuoteGet ask = { .has_kind = true, .kind = 2 };
    if (!cli_number(cli, &ask.product, product, "product") ||
        !cli_text(cli, ask.track, sizeof(ask.track), args[0], "TRACK") || !verb_options(cli, with, &ask))
        return EXIT_USAGE;
    return buy_more(cli, &ask, "Renew it? [y/N] ", yes, pin_file, "renewed");
}
const struct verb verb_renew = {
    "renew", "TRACK [--yes] [--product N] [--with N,...] [--pin-file FILE]", "Renews a license that has an end.",
    "At the distributor that issued it, also when it came in a copy; the account behind it pays. A period is added to what is\n"
    "left, plays and playing time too. --product renews by another product of the track, --with adds its options.",
    run_renew
};

static int run_own(struct cli *cli, int argc, char **argv)
{
    bool yes = false;
    const char *pin_file = NULL;
    const struct option_spec specs[] = { { "yes", NULL, &yes }, { "pin-file", &pin_file, NULL } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, 2, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_QuoteGet ask = { .has_kind = true, .kind = 3 };
    if (!cli_text(cli, ask.track, sizeof(ask.track), args[0], "TRACK"))
        return EXIT_USAGE;
    return buy_more(cli, &ask, "Make it yours? [y/N] ", yes, pin_file, "yours");
}
const struct verb verb_own = { "own", "TRACK [--yes] [--pin-file FILE]",
                               "Turns a license into ownership, for the price it names.",
                               "It has no end then, no counted plays and no use log; copies stay as they were.",
                               run_own };

/* ---- refresh, return: leases (R3) ---- */

static int run_lease(struct cli *cli, int argc, char **argv, bool give_back)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_Lease m = { .give_back = give_back };
    struct verb_got g = { .cli = cli };
    char until[32];
    if (!cli_text(cli, m.track, sizeof(m.track), args[0], "TRACK"))
        return EXIT_USAGE;
    code = CLI_CALL(cli, LEASE, ctl_Lease, &m, verb_on_got, &g);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, verb_track_json(&g.track));
    else if (give_back)
        output_line(&cli->output, "%s was returned: any device of the account may take it (hearth restore TRACK).",
                    g.track.title);
    else
        output_line(&cli->output, "%s may be used until %s.", g.track.title,
                    output_time(g.track.lease.until_ms, until));
    return EXIT_DONE;
}

static int run_refresh(struct cli *cli, int argc, char **argv) { return run_lease(cli, argc, argv, false); }
const struct verb verb_refresh = {
    "refresh", "TRACK", "Refreshes the lease of a license now.",
    "It is done in the background before the lease ends, whenever the distributor can be reached.", run_refresh
};

static int run_return(struct cli *cli, int argc, char **argv) { return run_lease(cli, argc, argv, true); }
const struct verb verb_return = {
    "return", "TRACK", "Gives a leased license back.",
    "It cannot be used here any more; another device of the account, or this one, may take it.", run_return
};

/* ---- use-log ---- */

struct rows {
    struct cli *cli;
    json_t *list;
    struct table table;
};

static int on_use(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_UseLogRow row;
    char began[32], duration[24], taken[32], sent[48] = "to be sent";
    if (f->type != ctl_Type_USE_LOG_ROW || CODEC_DECODE(ctl_UseLogRow, f->message, &row) != 0)
        return -EPROTO;
    if (rows->list != NULL)
        return json_array_append_new(
            rows->list,
            json_pack("{s:I, s:s, s:o, s:I, s:I, s:s, s:b, s:o}", "number", (json_int_t)row.entry.number, "title",
                      row.title, "content", json_id(row.entry.content), "began_ms", (json_int_t)row.entry.began_ms,
                      "play_ms", (json_int_t)row.entry.play_ms, "issuer_name", row.issuer_name, "sent", row.taken,
                      "sent_ms", row.has_taken_ms ? json_integer((json_int_t)row.taken_ms) : json_null()));
    if (row.taken)
        snprintf(sent, sizeof(sent), "sent%s%s", row.has_taken_ms ? " " : "",
                 row.has_taken_ms ? output_time(row.taken_ms, taken) : "");
    table_row(&rows->table, output_time(row.entry.began_ms, began), row.title,
              output_duration(row.entry.play_ms, duration), row.issuer_name, sent);
    return 0;
}

static int run_use_log(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 0, &args, &count);
    if (code >= 0)
        return code;
    struct rows rows = { cli, cli->output.json ? json_array() : NULL, { 0 } };
    table_init(&rows.table, 5, (const char *[]){ "WHEN", "TITLE", "PLAYED", "FOR", "" });
    code = CLI_CALL(cli, USE_LOG_GET, ctl_UseLogGet, &(ctl_UseLogGet){ 0 }, on_use, &rows);
    if (code == EXIT_DONE && rows.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "uses", rows.list));
    if (code == EXIT_DONE && rows.list == NULL) {
        if (rows.table.rows == 1)
            output_line(&cli->output, "Nothing was logged: no license here obliges to it, or it was not played.");
        table_print(&rows.table);
    }
    json_decref(rows.list);
    table_deinit(&rows.table);
    return code;
}
const struct verb verb_use_log = { "use-log", "", "Shows what was logged of the use of licenses that oblige to it.",
                                   "Each entry goes to the distributor that issued the license, and to nobody else.",
                                   run_use_log };
