/* register, unregister, link, unlink, accounts: the household and its distributors. */
#include "ui-cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "base/util.h"
#include "crypto/id.h"
#include "ui-cli/prompt.h"

#define URL_SCHEME "hearth://"

struct rows {
    struct cli *cli;
    json_t *list;
    struct table table;
};

static json_t *distributor_json(const ctl_DistributorRow *d)
{
    json_t *o = json_pack("{s:o, s:s, s:s, s:b, s:b}", "distributor", json_id(d->distributor), "name", d->name, "user",
                          d->user, "online", d->online, "linked", d->linked);
    json_put_text(o, "address", d->has_address, d->address);
    if (d->has_balance)
        json_object_set_new(o, "balance", json_integer(d->balance));
    if (d->has_credit_limit)
        json_object_set_new(o, "credit_limit", json_integer(d->credit_limit));
    json_put_text(o, "currency", d->has_currency, d->currency);
    json_put_text(o, "full_name", d->has_full_name, d->full_name);
    json_put_text(o, "email", d->has_email, d->email);
    json_put_text(o, "payment_reference", d->has_payment_reference, d->payment_reference);
    if (d->has_devices)
        json_object_set_new(o, "devices", json_integer(d->devices));
    if (d->has_devices_max)
        json_object_set_new(o, "devices_max", json_integer(d->devices_max));
    if (d->has_forgotten && d->forgotten)
        json_object_set_new(o, "removed", json_true());
    return o;
}

/* ---- register (S1-S4) ---- */

struct registration {
    ctl_DistributorRow row;
    ctl_Confirm confirm;
};

static int on_registration(const struct frame *f, void *ctx)
{
    struct registration *g = ctx;
    if (f->type == ctl_Type_CONFIRM)
        return CODEC_DECODE(ctl_Confirm, f->message, &g->confirm) == 0 ? 0 : -EPROTO;
    if (f->type == ctl_Type_DISTRIBUTOR_ROW)
        return CODEC_DECODE(ctl_DistributorRow, f->message, &g->row) == 0 ? 0 : -EPROTO;
    return -EPROTO;
}

/* hearth://HOST:PORT[#ID] -> address and, when there, the ID. NULL, or what is wrong with it. */
static const char *parse_url(const char *url, ctl_Register *out)
{
    if (strncmp(url, URL_SCHEME, strlen(URL_SCHEME)) == 0)
        url += strlen(URL_SCHEME);
    size_t address_len = strcspn(url, "#/");
    if (address_len == 0 || address_len >= sizeof(out->address) || memchr(url, ':', address_len) == NULL)
        return "the URL needs HOST:PORT: it is hearth://HOST:PORT#DISTRIBUTOR-ID, as the distributor gave it";
    memcpy(out->address, url, address_len);
    out->address[address_len] = '\0';
    const char *fragment = url + address_len;
    if (*fragment == '/')
        fragment++;
    if (*fragment == '\0')
        return NULL;
    struct id id;
    if (*fragment != '#')
        return "the URL has no / behind its port: it is hearth://HOST:PORT#DISTRIBUTOR-ID";
    if (strlen(fragment + 1) != ID_TEXT_BYTES - 1)
        return "the ID behind # is cut off, or has more than an ID: it is 52 letters and digits. Without # and ID the "
               "fingerprint is shown instead";
    if (id_parse(fragment + 1, &id) != 0)
        return "the ID behind # is none: it is 52 of the letters a to z and the digits 2 to 7, as the distributor gave it";
    out->has_distributor = true;
    memcpy(out->distributor, id.bytes, sizeof(id.bytes));
    return NULL;
}

/* Without an ID in the URL, the person confirms the fingerprint. */
static int confirm(struct cli *cli, ctl_Register *m, const ctl_Confirm *c)
{
    char id[ID_TEXT_BYTES], question[512];
    id_text(c->distributor, id);
    if (cli->output.json || !prompt_possible()) {
        snprintf(question, sizeof(question), "register again with its ID: hearth://%s#%s", m->address, id);
        return cli_fail(cli, reason_code(REASON_CONFIRM_DISTRIBUTOR),
                        "the URL names no distributor ID, and nobody is here to compare the fingerprint", question);
    }
    output_line(&cli->output, "%s answers as %s", m->address, c->name);
    output_line(&cli->output, "Its fingerprint is %s", id);
    if (!prompt_yes("Is that the fingerprint the distributor gave you? [y/N] "))
        return cli_fail(cli, "cancelled", "not registered", NULL);
    m->has_distributor = true;
    memcpy(m->distributor, c->distributor, sizeof(m->distributor));
    return -1;
}

/* What a new account may say about its owner (S3): options, or asked for. */
struct person_field {
    const char *option, *what, *question;
    const char *given;
    bool *has;
    char *text;
    size_t cap;
};

/* Nothing is asked where nobody is, and an empty answer says nothing. EXIT_USAGE, a refusal's exit code, or -1. */
static int get_person(struct cli *cli, struct person_field *fields, size_t count, bool ask)
{
    for (size_t i = 0; i < count; i++) {
        struct person_field *f = &fields[i];
        if (f->given != NULL && !cli_text(cli, f->text, f->cap, f->given, f->what))
            return EXIT_USAGE;
        if (f->given == NULL && ask && prompt_line(f->question, f->text, f->cap) != 0)
            return cli_usage(cli, "the answer is too long");
        *f->has = f->given != NULL || f->text[0] != '\0';
        if (text_has_card_number(f->text)) { /* it leaves this program no further */
            secret_wipe(f->text, f->cap);
            return cli_fail(cli, reason_code(REASON_NOT_PERMITTED), "this looks like a card number: nothing was sent",
                            "give a reference of the payment provider instead");
        }
    }
    return -1;
}

static int run_register(struct cli *cli, int argc, char **argv)
{
    ctl_Register m = ctl_Register_init_zero;
    const char *user = NULL, *password_file = NULL;
    struct person_field person[] = {
        { "invite", "the invitation", "Invitation (Enter: none): ", NULL, &m.has_invite, m.invite, sizeof(m.invite) },
        { "full-name", "the name", "Full name (Enter: none): ", NULL, &m.has_full_name, m.full_name,
          sizeof(m.full_name) },
        { "email", "the address", "E-mail (Enter: none): ", NULL, &m.has_email, m.email, sizeof(m.email) },
        { "payment-reference", "the payment reference",
          "What your payment provider knows you by, never a card number (Enter: nothing): ", NULL,
          &m.has_payment_reference, m.payment_reference, sizeof(m.payment_reference) },
    };
    const struct option_spec specs[] = { { "user", &user, NULL },
                                         { "password-file", &password_file, NULL },
                                         { "new-account", NULL, &m.new_account },
                                         { person[0].option, &person[0].given, NULL },
                                         { person[1].option, &person[1].given, NULL },
                                         { person[2].option, &person[2].given, NULL },
                                         { person[3].option, &person[3].given, NULL } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, ARRAY_COUNT(specs), 1, 1, &args, &count);
    if (code >= 0)
        return code;
    const char *wrong = parse_url(args[0], &m);
    if (wrong != NULL)
        return cli_usage(cli, wrong);
    if (user == NULL && prompt_line("User ID: ", m.user, sizeof(m.user)) != 0)
        return cli_usage(cli, "nobody is here to be asked for the account: give --user ID");
    if (user != NULL && !cli_text(cli, m.user, sizeof(m.user), user, "the user ID"))
        return EXIT_USAGE;
    /* Whoever gives the password in a file is a script: it is asked nothing. */
    bool ask = m.new_account && password_file == NULL && !cli->output.json && prompt_possible();
    code = get_person(cli, person, ARRAY_COUNT(person), ask);
    if (code < 0)
        code = prompt_password(cli, "password", "Password: ", password_file, m.new_account, m.password,
                               sizeof(m.password));
    struct registration g = { 0 };
    while (code < 0) {
        code = cli_call_except(cli, ctl_Type_REGISTER, ctl_Register_fields, &m, on_registration, &g,
                               m.has_distributor ? REASON_NONE : REASON_CONFIRM_DISTRIBUTOR);
        if (code < 0 && (code = confirm(cli, &m, &g.confirm)) < 0)
            continue;
        break;
    }
    secret_wipe(m.password, sizeof(m.password));
    if (code != EXIT_DONE)
        return code;
    char id[56];
    if (cli->output.json)
        output_json(&cli->output, distributor_json(&g.row));
    else
        output_line(&cli->output, "Registered with %s (%s) as %s.", g.row.name, output_id(g.row.distributor, id),
                    g.row.user);
    return EXIT_DONE;
}
const struct verb verb_register = {
    "register", "URL [--user ID] [--new-account] [--password-file FILE]", "Registers this device with a distributor.",
    "URL is hearth://HOST:PORT#DISTRIBUTOR-ID; without the ID its fingerprint is shown for confirmation.\n"
    "  --user ID             the account (asked for when absent)\n"
    "  --password-file FILE  its first line is the password (else asked without echo)\n"
    "  --new-account         opens the account: [--invite CODE] [--full-name NAME] [--email ADDRESS] [--payment-reference REF],\n"
    "                        asked for when absent. REF is what your payment provider knows you by, never a card number\n"
    "Registering again is harmless.",
    run_register
};

static int simple(struct cli *cli, int argc, char **argv, uint16_t type, const pb_msgdesc_t *fields, const char *done,
                  const char *question)
{
    bool yes = false;
    const struct option_spec specs[] = { { "yes", NULL, &yes } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, question != NULL, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_Unregister m = ctl_Unregister_init_zero; /* same shape for both */
    if (!cli_text(cli, m.distributor, sizeof(m.distributor), args[0], "the distributor"))
        return EXIT_USAGE;
    if (question != NULL && !yes && (cli->output.json || !prompt_possible()))
        return cli_usage(cli, "nobody is here to confirm it: give --yes");
    if (question != NULL && !yes && !prompt_yes(question))
        return cli_fail(cli, "cancelled", "nothing was changed", NULL);
    code = cli_call(cli, type, fields, &m, NULL, NULL);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, json_pack("{s:b}", "done", true));
    else
        output_line(&cli->output, "%s: %s", args[0], done);
    return EXIT_DONE;
}

static int run_unregister(struct cli *cli, int argc, char **argv)
{
    return simple(cli, argc, argv, ctl_Type_UNREGISTER, ctl_Unregister_fields,
                  "this device is no longer registered there.",
                  "This device gets no new keys there any more, and its licenses go back to the account.\n"
                  "Take it out? [y/N] ");
}
const struct verb verb_unregister = {
    "unregister", "DISTRIBUTOR [--yes]", "Takes this device out of an account.",
    "As if its owner had removed it: it gets no new keys there any more. What was bought stays the account's: hearth restore\n"
    "brings it to another device, or to this one when it has registered again.",
    run_unregister
};

static int run_unlink(struct cli *cli, int argc, char **argv)
{
    return simple(cli, argc, argv, ctl_Type_UNLINK, ctl_Unlink_fields, "that account is no longer linked.", NULL);
}
const struct verb verb_unlink = { "unlink", "DISTRIBUTOR", "Takes the link to an account at another distributor back.",
                                  NULL, run_unlink };

/* ---- link: one-time code on one side, URL on the other ---- */

static int on_link_code(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_LINK_CODE && CODEC_DECODE(ctl_LinkCode, f->message, ctx) == 0 ? 0 : -EPROTO;
}
static int on_linked(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_DISTRIBUTOR_ROW && CODEC_DECODE(ctl_DistributorRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

static int show_code(struct cli *cli, const char *distributor)
{
    ctl_LinkCodeGet m = ctl_LinkCodeGet_init_zero;
    if (!cli_text(cli, m.distributor, sizeof(m.distributor), distributor, "the distributor"))
        return EXIT_USAGE;
    ctl_LinkCode c = ctl_LinkCode_init_zero;
    int code = CLI_CALL(cli, LINK_CODE_GET, ctl_LinkCodeGet, &m, on_link_code, &c);
    if (code != EXIT_DONE)
        return code;
    char when[32];
    if (cli->output.json)
        output_json(&cli->output, json_pack("{s:s, s:I}", "url", c.url, "ends_ms", (json_int_t)c.ends_ms));
    else
        output_line(&cli->output,
                    "On a device of the other account, before %s, run `hearth link -` and give it this:\n  %s",
                    output_time(c.ends_ms, when), c.url);
    return EXIT_DONE;
}

static int run_link(struct cli *cli, int argc, char **argv)
{
    const char *distributor = "";
    const struct option_spec specs[] = { { "account", &distributor, NULL } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, 1, 0, 1, &args, &count);
    if (code >= 0)
        return code;
    if (count == 0)
        return show_code(cli, distributor);
    ctl_Link m = ctl_Link_init_zero;
    if (!cli_text(cli, m.distributor, sizeof(m.distributor), distributor, "the distributor"))
        return EXIT_USAGE;
    if (strcmp(args[0], "-") == 0 && prompt_input("URL that `hearth link` printed there: ", m.url, sizeof(m.url)) != 0)
        return cli_usage(cli, "give the URL on standard input, one line");
    if (strcmp(args[0], "-") != 0 && !cli_text(cli, m.url, sizeof(m.url), args[0], "the URL"))
        return EXIT_USAGE;
    ctl_DistributorRow row = ctl_DistributorRow_init_zero;
    code = CLI_CALL(cli, LINK, ctl_Link, &m, on_linked, &row);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, distributor_json(&row));
    else
        output_line(&cli->output, "Linked with %s's account at %s: the devices of both are one household now.",
                    row.user, row.name);
    return EXIT_DONE;
}
const struct verb verb_link = {
    "link", "[URL|-] [--account DISTRIBUTOR]", "Links two accounts of the household.",
    "Without URL: prints a one-time URL of this account. With it: links this account to the one that printed it.\n"
    "- reads the URL from standard input: on a command line other users of this machine could read it.\n"
    "--account chooses, when this device is registered with several distributors.",
    run_link
};

/* ---- accounts, bills ---- */

static int on_account(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_DistributorRow d;
    if (f->type != ctl_Type_DISTRIBUTOR_ROW || CODEC_DECODE(ctl_DistributorRow, f->message, &d) != 0)
        return -EPROTO;
    if (rows->list != NULL)
        return json_array_append_new(rows->list, distributor_json(&d));
    char id[56], balance[40] = "-", devices[32] = "-";
    if (d.has_devices && d.has_devices_max)
        snprintf(devices, sizeof(devices), "%u of %u", d.devices, d.devices_max);
    if (d.has_balance)
        output_money(d.balance, d.has_currency ? d.currency : "", balance);
    table_row(&rows->table, d.name, output_id(d.distributor, id), d.user,
              d.linked      ? "linked"
              : d.forgotten ? "removed; register again"
              : d.online    ? "online"
                            : "offline",
              balance, devices, d.has_address ? d.address : "-");
    return 0;
}

static int run_accounts(struct cli *cli, int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "export") == 0)
        return verb_account_export(cli, argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "erase") == 0)
        return verb_account_erase(cli, argc - 1, argv + 1);
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 0, &args, &count);
    if (code >= 0)
        return code;
    struct rows rows = { cli, cli->output.json ? json_array() : NULL, { 0 } };
    table_init(&rows.table, 7,
               (const char *[]){ "DISTRIBUTOR", "ID", "USER", "STATE", "BALANCE", "DEVICES", "ADDRESS" });
    code = CLI_CALL(cli, ACCOUNTS_GET, ctl_AccountsGet, &(ctl_AccountsGet){ 0 }, on_account, &rows);
    if (code == EXIT_DONE && rows.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "accounts", rows.list));
    if (code == EXIT_DONE && rows.list == NULL) {
        if (rows.table.rows == 1)
            output_line(&cli->output, "Not registered anywhere yet: hearth register URL");
        table_print(&rows.table);
    }
    json_decref(rows.list);
    table_deinit(&rows.table);
    return code;
}
const struct verb verb_accounts = {
    "accounts", "[export DISTRIBUTOR [FILE] | erase DISTRIBUTOR [--yes] [--password-file FILE]]",
    "Lists the household's accounts; exports or erases one.",
    "  export   everything the distributor holds about the account, as JSON, to FILE (a new one) or standard output\n"
    "  erase    ends the account: everything about its owner is erased there, amounts stay under a pseudonym. Needs the password.\n"
    "           Refused while something is owed. What was bought plays on where it is, and can never be restored, copied or renewed.",
    run_accounts
};
