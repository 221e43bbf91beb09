/* login, logout, passwd: the account's password at a distributor. */
#include "ui-cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/util.h"
#include "ui-cli/prompt.h"

static int on_login(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_LOGIN_ROW && CODEC_DECODE(ctl_LoginRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

static void show(struct cli *cli, const char *what, const ctl_LoginRow *row)
{
    char when[32];
    if (cli->output.json)
        output_json(&cli->output, json_pack("{s:s, s:s, s:I}", "distributor", row->distributor_name, "user", row->user,
                                            "ends_ms", (json_int_t)row->ends_ms));
    else
        output_line(&cli->output, "%s %s%s%s; this device is logged in there until %s.", what, row->distributor_name,
                    row->user[0] != '\0' ? " as " : "", row->user, output_time(row->ends_ms, when));
}

static int run_login(struct cli *cli, int argc, char **argv)
{
    const char *file = NULL;
    const struct option_spec specs[] = { { "password-file", &file, NULL } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, ARRAY_COUNT(specs), 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_Login m = ctl_Login_init_zero;
    ctl_LoginRow row = ctl_LoginRow_init_zero;
    if (!cli_text(cli, m.distributor, sizeof(m.distributor), args[0], "the distributor"))
        return EXIT_USAGE;
    code = prompt_password(cli, "password", "Password: ", file, false, m.password, sizeof(m.password));
    if (code < 0)
        code = CLI_CALL(cli, LOGIN, ctl_Login, &m, on_login, &row);
    secret_wipe(&m, sizeof(m));
    if (code == EXIT_DONE)
        show(cli, "Logged in at", &row);
    return code;
}
const struct verb verb_login = {
    "login", "DISTRIBUTOR [--password-file FILE]", "Proves the account's password on this device.",
    "Some distributors ask for the password before anything is bought, copied or changed. Once given, it holds on this device for as\n"
    "long as the distributor says, until the password changes, or until hearth logout.\n"
    "  --password-file FILE  its first line is the password (else asked without echo)",
    run_login
};

static int run_logout(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_Logout m = ctl_Logout_init_zero;
    if (!cli_text(cli, m.distributor, sizeof(m.distributor), args[0], "the distributor"))
        return EXIT_USAGE;
    code = CLI_CALL(cli, LOGOUT, ctl_Logout, &m, NULL, NULL);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, json_pack("{s:b}", "done", true));
    else
        output_line(&cli->output, "%s: logged out on this device.", args[0]);
    return EXIT_DONE;
}
const struct verb verb_logout = { "logout", "DISTRIBUTOR", "Forgets the login of this device.",
                                  "What was bought plays on. The device stays registered.", run_logout };

static int run_passwd(struct cli *cli, int argc, char **argv)
{
    const char *file = NULL, *new_file = NULL;
    const struct option_spec specs[] = { { "password-file", &file, NULL }, { "new-password-file", &new_file, NULL } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, ARRAY_COUNT(specs), 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_PasswordSet m = ctl_PasswordSet_init_zero;
    ctl_LoginRow row = ctl_LoginRow_init_zero;
    if (!cli_text(cli, m.distributor, sizeof(m.distributor), args[0], "the distributor"))
        return EXIT_USAGE;
    code = prompt_password(cli, "password", "Password: ", file, false, m.password, sizeof(m.password));
    if (code < 0)
        code = prompt_password(cli, "new-password", "New password: ", new_file, true, m.fresh, sizeof(m.fresh));
    if (code < 0)
        code = CLI_CALL(cli, PASSWORD_SET, ctl_PasswordSet, &m, on_login, &row);
    secret_wipe(&m, sizeof(m));
    if (code == EXIT_DONE)
        show(cli, "The password was changed at", &row);
    return code;
}
const struct verb verb_passwd = {
    "passwd", "DISTRIBUTOR [--password-file FILE] [--new-password-file FILE]", "Changes the account's password.",
    "Every other device is logged out; it stays registered. Passwords come from the terminal, without echo, or from files.",
    run_passwd
};
