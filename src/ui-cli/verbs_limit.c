/* limit, unlock: what the household allows itself to spend; and asking for the PIN when a purchase is beyond it. */
#include "ui-cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "base/util.h"
#include "ui-cli/prompt.h"

static const char *const periods[] = { "?", "day", "month" };

static const char *period_word(uint32_t period) { return periods[period < ARRAY_COUNT(periods) ? period : 0]; }

static int on_limit(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_LIMIT_ROW && CODEC_DECODE(ctl_LimitRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

static void show(struct cli *cli, const ctl_LimitRow *row)
{
    char limit[40], spent[40], when[32];
    if (cli->output.json) {
        json_t *o = json_pack("{s:s, s:s, s:o}", "distributor", row->distributor_name, "currency", row->currency,
                              "spending_limit", row->has_amount ? json_integer(row->amount) : json_null());
        if (row->has_amount)
            json_object_update_new(
                o, json_pack("{s:s, s:I}", "period", period_word(row->period), "spent", (json_int_t)row->spent));
        if (row->has_unlocked_until_ms)
            json_object_set_new(o, "unlocked_until_ms", json_integer((json_int_t)row->unlocked_until_ms));
        output_json(&cli->output, o);
        return;
    }
    if (!row->has_amount) {
        output_line(&cli->output, "%s: no spending limit.", row->distributor_name);
        return;
    }
    output_money(row->amount, row->currency, limit);
    output_money(row->spent, row->currency, spent);
    output_line(&cli->output, "%s: at most %s a %s without the PIN; spent so far: %s.", row->distributor_name, limit,
                period_word(row->period), spent);
    if (row->has_unlocked_until_ms)
        output_line(&cli->output, "Lifted on this device until %s.", output_time(row->unlocked_until_ms, when));
}

/* ---- limit ---- */

struct limit_options {
    const char *period, *pin_file, *new_pin_file, *password_file;
    bool password, new_pin;
};

/* -1: go on. */
static int read_amount(struct cli *cli, const char *text, const struct limit_options *o, msg_LimitSet *m)
{
    const char *period = o->period != NULL ? o->period : "month";
    m->amount = -1;
    m->period = strcmp(period, "day") == 0 ? 1 : 2;
    if (strcmp(text, "none") == 0)
        return -1;
    if (strcmp(period, "day") != 0 && strcmp(period, "month") != 0)
        return cli_usage(cli, "--period is day or month");
    return text_money(text, &m->amount) == 0 ? -1 : cli_usage(cli, "AMOUNT is such as 20 or 4.99, or none");
}

/* What proves that this may be changed, and the new PIN. -1: go on. */
static int read_secrets(struct cli *cli, const struct limit_options *o, bool exists, msg_LimitSet *m)
{
    int code = -1;
    m->password = o->password || o->password_file != NULL;
    if (m->password)
        code = prompt_password(cli, "password", "Password of the account: ", o->password_file, false, m->proof,
                               sizeof(m->proof));
    else if (exists)
        code = prompt_password(cli, "pin", "PIN: ", o->pin_file, false, m->proof, sizeof(m->proof));
    bool fresh = m->amount >= 0 && (!exists || o->new_pin || o->new_pin_file != NULL || m->password);
    if (code < 0 && fresh)
        code = prompt_password(cli, exists ? "new-pin" : "pin", exists ? "New PIN: " : "PIN, 4 to 12 digits: ",
                               exists || o->new_pin_file != NULL ? o->new_pin_file : o->pin_file, true, m->pin,
                               sizeof(m->pin));
    return code;
}

static int run_limit(struct cli *cli, int argc, char **argv)
{
    struct limit_options o = { NULL };
    const struct option_spec specs[] = {
        { "period", &o.period, NULL },     { "pin-file", &o.pin_file, NULL },
        { "new-pin", NULL, &o.new_pin },   { "new-pin-file", &o.new_pin_file, NULL },
        { "password", NULL, &o.password }, { "password-file", &o.password_file, NULL }
    };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, ARRAY_COUNT(specs), 1, 2, &args, &count);
    if (code >= 0)
        return code;
    ctl_LimitGet get = ctl_LimitGet_init_zero;
    ctl_LimitRow row = ctl_LimitRow_init_zero;
    ctl_LimitSet set = ctl_LimitSet_init_zero;
    if (!cli_text(cli, get.distributor, sizeof(get.distributor), args[0], "the distributor"))
        return EXIT_USAGE;
    memcpy(set.distributor, get.distributor, sizeof(set.distributor));
    if (count == 2 && (code = read_amount(cli, args[1], &o, &set.limit)) >= 0)
        return code;
    code = CLI_CALL(cli, LIMIT_GET, ctl_LimitGet, &get, on_limit, &row);
    if (code != EXIT_DONE)
        return code;
    if (count == 2) {
        if (o.period == NULL && row.has_period)
            set.limit.period = row.period;
        code = read_secrets(cli, &o, row.has_amount, &set.limit);
        row = (ctl_LimitRow)ctl_LimitRow_init_zero;
        if (code < 0)
            code = CLI_CALL(cli, LIMIT_SET, ctl_LimitSet, &set, on_limit, &row);
        secret_wipe(&set, sizeof(set));
    }
    if (code == EXIT_DONE)
        show(cli, &row);
    return code;
}
const struct verb verb_limit = {
    "limit", "DISTRIBUTOR [AMOUNT | none] [--period day|month] [--pin-file FILE] [--new-pin] [--password]",
    "Shows or sets what the account may spend without the PIN.",
    "AMOUNT a month (or a day): purchases, copies and renewals of all devices together; beyond it they are refused until the PIN is given\n"
    "(hearth unlock, or when hearth get asks). The first limit sets the PIN, changing or removing it needs it.\n"
    "  --pin-file FILE       its first line is the PIN (else asked without echo)\n"
    "  --new-pin             sets another PIN as well: [--new-pin-file FILE]\n"
    "  --password            the account's password instead of a PIN that was forgotten; sets another: [--password-file FILE]\n"
    "Without AMOUNT: shows the limit and what is spent of it.",
    run_limit
};

/* ---- unlock ---- */

static int unlock(struct cli *cli, const char *distributor, const char *pin_file, ctl_LimitRow *row)
{
    ctl_UnlockSpending m = ctl_UnlockSpending_init_zero;
    if (!cli_text(cli, m.distributor, sizeof(m.distributor), distributor, "the distributor"))
        return EXIT_USAGE;
    int code = prompt_password(cli, "pin", "PIN: ", pin_file, false, m.pin, sizeof(m.pin));
    if (code < 0)
        code = CLI_CALL(cli, UNLOCK_SPENDING, ctl_UnlockSpending, &m, on_limit, row);
    secret_wipe(&m, sizeof(m));
    return code;
}

static int run_unlock(struct cli *cli, int argc, char **argv)
{
    const char *pin_file = NULL;
    const struct option_spec specs[] = { { "pin-file", &pin_file, NULL } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, ARRAY_COUNT(specs), 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_LimitRow row = ctl_LimitRow_init_zero;
    code = unlock(cli, args[0], pin_file, &row);
    if (code == EXIT_DONE && !row.has_amount && !cli->output.json)
        output_line(&cli->output, "%s: the limit is lifted on this device for ten minutes.", row.distributor_name);
    else if (code == EXIT_DONE)
        show(cli, &row);
    return code;
}
const struct verb verb_unlock = { "unlock", "DISTRIBUTOR [--pin-file FILE]",
                                  "Lifts the spending limit on this device for ten minutes.",
                                  "The PIN comes from the terminal, without echo, or is the first line of FILE.",
                                  run_unlock };

/* ---- for verbs that may cost something ---- */

/* Whose license a track here has. EXIT_DONE or another exit code. */
static int issuer_of(struct cli *cli, const char *track, char *name, size_t cap)
{
    ctl_Show m = ctl_Show_init_zero;
    ctl_TrackRow row = ctl_TrackRow_init_zero;
    if (!cli_text(cli, m.track, sizeof(m.track), track, "TRACK"))
        return EXIT_USAGE;
    int code = CLI_CALL(cli, SHOW, ctl_Show, &m, verb_on_track, &row);
    if (code == EXIT_DONE)
        snprintf(name, cap, "%s", row.has_issuer_name ? row.issuer_name : "");
    return code;
}

int verb_call_paying(struct cli *cli, const struct paying *p, client_row_fn on_row, void *ctx)
{
    int code = cli_call_except(cli, p->type, p->fields, p->message, on_row, ctx, REASON_SPENDING_LIMIT);
    if (code >= 0)
        return code;
    const msg_Refusal refusal = *client_refusal(cli->client);
    if (p->pin_file == NULL && (cli->output.json || !prompt_possible()))
        return cli_fail(cli, refusal.code, refusal.text, refusal.has_remedy ? refusal.remedy : NULL);
    output_line(&cli->output, "%s", refusal.text);
    ctl_LimitRow row = ctl_LimitRow_init_zero;
    char distributor[64];
    snprintf(distributor, sizeof(distributor), "%s", p->distributor != NULL ? p->distributor : "");
    code = p->distributor != NULL ? EXIT_DONE : issuer_of(cli, p->track, distributor, sizeof(distributor));
    if (code == EXIT_DONE)
        code = unlock(cli, distributor, p->pin_file, &row);
    return code == EXIT_DONE ? cli_call(cli, p->type, p->fields, p->message, on_row, ctx) : code;
}
