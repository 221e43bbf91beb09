/* accounts export, accounts erase: what a distributor holds about the owner of an account, and its end. */
#include "ui-cli/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/util.h"
#include "ui-cli/prompt.h"

/* ---- export ---- */

static int on_export(const struct frame *f, void *ctx)
{
    json_t *all = ctx;
    ctl_ExportRow m;
    if (f->type != ctl_Type_EXPORT_ROW || CODEC_DECODE(ctl_ExportRow, f->message, &m) != 0)
        return -EPROTO;
    json_t *part = json_object_get(all, m.part);
    if (part == NULL) {
        part = json_array();
        if (json_object_set_new(all, m.part, part) != 0)
            return -ENOMEM;
    }
    if (!m.has_row)
        return 0;
    json_t *row = json_loadb((const char *)m.row.bytes, m.row.size, 0, NULL);
    if (row == NULL)
        return -EPROTO;
    return json_array_append_new(part, row) == 0 ? 0 : -ENOMEM;
}

static enum reason reason_of_file(int error)
{
    switch (error) {
    case EEXIST:
        return REASON_ALREADY;
    case ENOENT:
    case ENOTDIR:
        return REASON_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
        return REASON_NOT_PERMITTED;
    default:
        return reason_of_error(-error);
    }
}

/* A new file that only its user reads: it is about a person. */
static int write_file(struct cli *cli, const char *path, const json_t *all)
{
    char message[512];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool good = out != NULL && json_dumpf(all, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF &&
                fflush(out) == 0 && fsync(fd) == 0;
    int error = errno;
    if (out != NULL)
        fclose(out);
    else if (fd >= 0)
        close(fd);
    if (good)
        return EXIT_DONE;
    snprintf(message, sizeof(message), "%s cannot be written: %s.", path, strerror(error));
    if (fd >= 0)
        unlink(path);
    return cli_fail(cli, reason_code(reason_of_file(error)), message,
                    error == EEXIST ? "Name a file that is not there yet." : NULL);
}

int verb_account_export(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 1, 2, &args, &count);
    if (code >= 0)
        return code;
    ctl_AccountExport m = ctl_AccountExport_init_zero;
    if (!cli_text(cli, m.distributor, sizeof(m.distributor), args[0], "the distributor"))
        return EXIT_USAGE;
    json_t *all = json_object();
    code = CLI_CALL(cli, ACCOUNT_EXPORT, ctl_AccountExport, &m, on_export, all);
    if (code == EXIT_DONE && count == 2)
        code = write_file(cli, args[1], all);
    if (code == EXIT_DONE && count == 1 && !cli->output.json)
        code = json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 && putchar('\n') != EOF
                   ? EXIT_DONE
                   : cli_fail(cli, "storage-full", "the output cannot be written", NULL);
    else if (code == EXIT_DONE && count == 1)
        output_json(&cli->output, json_incref(all));
    else if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, json_pack("{s:s}", "path", args[1]));
    else if (code == EXIT_DONE)
        output_line(&cli->output, "Written to %s.", args[1]);
    json_decref(all);
    return code;
}

/* ---- erase ---- */

static const char *const warning =
    "The account ends, for all its devices: name, address, password, devices, links, what was downloaded and copied are\n"
    "erased there. Amounts stay for the books, under a pseudonym. What was bought plays on where it is now, but can never\n"
    "again be restored, copied or renewed, and its user name is given to nobody again. This cannot be undone.\n"
    "See first what is held: hearth accounts export DISTRIBUTOR\n";

int verb_account_erase(struct cli *cli, int argc, char **argv)
{
    const char *file = NULL;
    bool yes = false;
    const struct option_spec specs[] = { { "password-file", &file, NULL }, { "yes", NULL, &yes } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, ARRAY_COUNT(specs), 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_AccountErase m = ctl_AccountErase_init_zero;
    if (!cli_text(cli, m.distributor, sizeof(m.distributor), args[0], "the distributor"))
        return EXIT_USAGE;
    if (!yes && (cli->output.json || !prompt_possible()))
        return cli_usage(cli, "nobody is here to confirm it: give --yes");
    output_line(&cli->output, "%s", warning);
    if (!yes && !prompt_yes("Erase it? [y/N] "))
        return cli_fail(cli, "cancelled", "nothing was changed", NULL);
    code = prompt_password(cli, "password", "Password: ", file, false, m.password, sizeof(m.password));
    if (code < 0)
        code = CLI_CALL(cli, ACCOUNT_ERASE, ctl_AccountErase, &m, NULL, NULL);
    secret_wipe(&m, sizeof(m));
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, json_pack("{s:b}", "erased", true));
    else
        output_line(&cli->output, "%s: the account is erased.", args[0]);
    return EXIT_DONE;
}
