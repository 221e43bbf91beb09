/* hearth-distributor: the table of commands; finds the command, runs it. No logic of its own. */
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/commands.h"
#include "base/log.h"
#include "base/standard.h"
#include "base/suggest.h"
#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/contents_server.h"
#include "distributor/serve.h"

static int run_serve(struct admin *a, int argc, char **argv);
static int run_completion(struct admin *a, int argc, char **argv);

#define PRODUCT_USAGE                                                                                                \
    "--price AMOUNT [--copy-price AMOUNT] [--max-copies N] [--copy-depth N] [--max-removable N]\n"                   \
    "    [--usage-days N] [--usage-from DATE] [--usage-until DATE] [--download-from DATE] [--download-until DATE]\n" \
    "    [--max-plays N] [--play-time TIME] [--max-checkouts N] [--record] [--own-price AMOUNT] [--use-log]\n"       \
    "    [--renew-price AMOUNT] [--renew-late TIME] [--lease TIME] [--lease-grace TIME] [--lease-plays N]\n"         \
    "    [--max-recoveries N] [--charge-from TIME]"
#define SIGNERS_USAGE " none|publisher|vouched|anyone|ID,..."

static const struct admin_command commands[] = {
    { .summary = "Serving" },
    { "init",
      "--name NAME [--currency EUR] [--listen HOST:PORT] [--address HOST:PORT] [--directory]\n"
      "    [--registration invite|open|closed] [--credit-limit AMOUNT] [--database postgresql:CONNECTION]\n"
      "    [--root-token URL [--pin-file F] [--module F]]",
      "Make a new distributor in the state directory and print its URL.", admin_init },
    { "serve",
      "[--role all|directory|contents] [--listen HOST:PORT] [--config FILE] [--pid-file FILE]"
      " [--address-file FILE]",
      "Serve devices, partners and the directory until SIGTERM.", run_serve },
    { "id", "", "Print hearth://HOST:PORT#ID, which devices register with.", admin_id },
    { "settings", "[NAME VALUE]",
      "Show or change the operator's choices.\n"
      "NAME is listen, address, registration, credit-limit, devices-per-account, login-policy, login-days,\n"
      "certificate-days, compare-every, directory-patience, key-block-kind, move-charged, copy-charged, pay-within-days,\n"
      "payment-command, payment-timeout, collect-at, settlement-days or directory: hearth-distributor(1) says what each is.",
      admin_settings },
    { "stats", "[--openmetrics]", "Count what there is; or all figures of the running server, for a scraper.",
      admin_stats },
    { "reload", "", "The running server reads its configuration again; no connection is lost.", admin_reload },
    { "backup", "DIR [--without-bodies]",
      "Everything of this distributor, keys included, into a new directory, while it serves.", admin_backup },
    { "restore", "DIR [--replace] [--clock-was-ahead]\nrestore --here [--clock-was-ahead]\nrestore lost",
      "Put a backup back; no number is given out twice. --here: the files were put back by other means.\n"
      "--clock-was-ahead: it holds times after now, because the clock was wrong then and is right now.",
      admin_restore },
    { "database", "show\ndatabase move --to postgresql:CONNECTION",
      "Where the operations database is; its way from this machine to a PostgreSQL server, while nothing serves.",
      admin_database },
    { "keys",
      "list\nkeys rotate [tls] [license] [roster] [sealing] [--request FILE]\n"
      "keys rotate storage [--here | --token URL --pin-file F [--module F]] [--prepare]\nkeys withdraw KEY [--request FILE]\nkeys request FILE\n"
      "keys sign REQUEST OUT (--root FILE | --token URL [--pin-file F] [--module F])\nkeys install FILE\nkeys root export FILE\n"
      "keys root token --token URL [--pin-file F] [--module F]\nkeys wrap --token URL [--pin-file F] [--module F]",
      "The keys customers and partners know us by: changed while serving, withdrawn, kept offline or in a token.",
      admin_keys },
    { "completion", "bash|zsh|fish", "Print what a shell needs to complete these commands.", run_completion },
    { .summary = "Customers" },
    { "invite", "[--count N] [--days N]", "Make invitation codes for new accounts.", admin_invite },
    { "user",
      "list\nuser add NAME [--password-file FILE] [--full-name TEXT] [--email TEXT] [--credit AMOUNT]\n"
      "    [--payment-reference TEXT]\n"
      "user set NAME [--password-file FILE] [--credit AMOUNT] [--payment-reference TEXT]\n"
      "user export NAME\nuser erase NAME [--yes] [--forgive]\nuser token list NAME\nuser token revoke NAME [ID]",
      "Accounts. Without --password-file the terminal asks, without echo.", admin_user },
    { "device", "list [--user NAME]\ndevice revoke CLIENT\ndevice reset-generation CLIENT",
      "Devices of the accounts. reset-generation forgets what was seen of a device's vault, whose count went astray.",
      admin_device },
    { "certificate",
      "list [--user NAME] [--state issued|redeemed|refused|ended|given-back]\ncertificate give-back SERIAL [--text REASON]",
      "Copy certificates issued; count and price of an unused one given back by hand.", admin_certificate },
    { "license", "list [--user NAME]",
      "What was bought: when, on which device, its state, when it was last given out, its price.", admin_license },
    { "use-log", "USER", "What devices brought of the use that their licenses oblige them to log.", admin_use_log },
    { .summary = "What is sold" },
    { "publish",
      "FILE... [--title TEXT] [--creator TEXT] [--album TEXT] [--media-type TYPE]\n"
      "    [--metadata-signers" SIGNERS_USAGE "] [--license-signers" SIGNERS_USAGE "]\n"
      "    (--product NUMBER | [--name PRODUCT] " PRODUCT_USAGE ")",
      "Encrypt media files and put them on sale. A file published before is only put on sale again.", admin_publish },
    { "withdraw", "CONTENT [--undo]", "Take a content off the catalogue, or put it back; licenses stay.",
      admin_withdraw },
    { "content", "list | offer CONTENT PRODUCT...", "What was published; by which products a content is sold.",
      admin_content },
    { "product",
      "list\nproduct add --name NAME " PRODUCT_USAGE "\n    [--metadata-signers" SIGNERS_USAGE
      "]\nproduct withdraw NUMBER\n"
      "product option list PRODUCT\nproduct option add PRODUCT --name NAME --price AMOUNT [--copies N] [--copy-depth N]\n"
      "    [--removable N] [--usage TIME] [--plays N] [--play-time TIME] [--checkouts N] [--record]\n"
      "product option withdraw PRODUCT NUMBER",
      "The tariff: prices and conditions.", admin_product },
    { "tariff", "list\ntariff set PRODUCT --copy-charged source|destination|default",
      "Whose account pays for the copy certificates of a product.", admin_tariff },
    { "program",
      "publish FILE (--signature FILE | --key KEY --name NAME --version 1.2.3 --kind plug-in|update) [--note TEXT]\n"
      "program list\nprogram withdraw NAME [--version 1.2.3] [--undo]\n"
      "program history [--name NAME] [--client CLIENT] [--mark MARK]\n"
      "program provider add ID --name NAME\nprogram provider list\nprogram provider withdraw NAME [--undo]\n"
      "program key FILE\nprogram sign FILE --key KEY --name NAME --version 1.2.3 --kind plug-in|update [--signature FILE]",
      "Programs for devices: what is given out, who signs it, who got it. key and sign are for providers.",
      admin_program },
    { "metadata",
      "sign --content ID --out FILE (--key KEY [--vouch FILE] | --own) [--tags FILE] [--chapters FILE] [--lyrics FILE]\n"
      "    [--cover PICTURE] [--language TAG] [--sequence N] [--until DATE]\n"
      "metadata key FILE\nmetadata vouch PROVIDER FILE [--days N] [--withdraw]",
      "Signed tags, chapters, lyrics and covers. key and sign --key are for providers; a vouch makes a provider ours.",
      admin_metadata },
    { .summary = "Money" },
    { "ledger",
      "[list] [--account ACCOUNT] [--from DATE] [--to DATE] [--kind KIND] [--csv]\nledger check\nledger user NAME [--csv]\n"
      "ledger statement NAME [--from DATE] [--to DATE] [--csv]\nledger pay NAME AMOUNT [--text TEXT] [--reference TEXT]\n"
      "ledger pay-out NAME AMOUNT|--all [--text TEXT] [--reference TEXT]",
      "The double-entry ledger; statements; payments received, and what customers had left paid out.", admin_ledger },
    { "refund", "ENTRY [--amount AMOUNT] [--text REASON] [--license keep|revoke]",
      "Give back a charge, in whole or in part, once.", admin_refund },
    { "payment",
      "list [--user NAME] [--state prepared|handed|paid|declined]\npayment collect NAME [--amount AMOUNT]\n"
      "payment collect --all\npayment retry NUMBER\npayment mark NUMBER paid|declined [--text TEXT]\n"
      "payment payer NAME [REFERENCE]",
      "Payments asked of customers through the command in `settings payment-command`.", admin_payment },
    { "holder",
      "list\nholder add NAME [--full-name TEXT]\n"
      "holder share NAME --product NUMBER (--basis-points N | --fixed AMOUNT) [--of license,copy,renewal,ownership]\n"
      "holder pay NAME AMOUNT [--text TEXT] [--reference TEXT]",
      "Rights holders, their shares of each sale, what was paid out to them.", admin_holder },
    { "settlement",
      "list\nsettlement make PARTNER [FILE]\nsettlement export NUMBER FILE\nsettlement check FILE\n"
      "settlement accept FILE [--agreed-only]\nsettlement paid|received PARTNER AMOUNT [--text TEXT] [--reference TEXT]\n"
      "settlement position",
      "Statements of what partners and we owe each other: made, checked row by row, settled.", admin_settlement },
    { .summary = "Others" },
    { "partner",
      "add URL --name NAME\npartner list\npartner withdraw NAME\n"
      "partner terms NAME [--pays-fee AMOUNT] [--pays-share N] [--gets-fee AMOUNT] [--gets-share N]\n"
      "    [--charges AMOUNT] [--accepts-charges AMOUNT]",
      "Distributors whose devices may receive copies of what we sold.", admin_partner },
    { "directory", "set URL\ndirectory unset\ndirectory show\ndirectory check\ndirectory members",
      "The operations database shared by distributors.", admin_directory },
    { "sync", "export DIR [--for PARTNER] [--all]\nsync import DIR",
      "Shared rows, delegations and key grants as signed files, where there is no network.", admin_sync },
    { "contents",
      "init --listen HOST:PORT [--address HOST:PORT]\ncontents id\ncontents list\ncontents follow URL\ncontents unfollow URL|ID",
      "A contents server on a machine of its own; serve --role contents runs it.", admin_contents },
    { "place", "list\nplace add URL\nplace remove URL",
      "Where bodies lie beside this server: HTTP directories, contents servers.", admin_place },
};

/* --- Help -------------------------------------------------------------------------------------------------------- */

static void table(struct command out[ARRAY_COUNT(commands)])
{
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        out[i] = (struct command){ commands[i].name, commands[i].usage, commands[i].summary };
}

static void print_help(void)
{
    struct command all[ARRAY_COUNT(commands)];
    table(all);
    puts("usage: hearth-distributor [--state-dir DIR] [--config FILE] [--json] COMMAND ...\n"
         "Sells content to households and lets them share it.\n");
    commands_overview(all, ARRAY_COUNT(all), stdout);
    puts("\nhearth-distributor help               a line about each command\n"
         "hearth-distributor COMMAND --help     its arguments\n"
         "AMOUNT is 4.99 or 5; DATE is 2026-05-01 or 2026-05-01T12:00 (UTC); N may be\n"
         "`unlimited` where that makes sense.\n"
         "Exit status: 0 done, 1 refused or failed, 2 usage.");
}

static void print_command_help(const struct admin_command *c)
{
    commands_usage("hearth-distributor", &(struct command){ c->name, c->usage, c->summary }, stdout);
    putchar('\n');
    commands_text(c->summary, stdout);
}

static void print_list(void)
{
    struct command all[ARRAY_COUNT(commands)];
    table(all);
    commands_list(all, ARRAY_COUNT(all), stdout);
}

static int run_completion(struct admin *a, int argc, char **argv)
{
    struct command all[ARRAY_COUNT(commands)];
    table(all);
    if (argc != 1 || commands_complete("hearth-distributor", argv[0], all, ARRAY_COUNT(all),
                                       "[--state-dir DIR] [--config FILE] [--json] [--help]", NULL, stdout) != 0)
        return admin_usage(a, "completion takes one of: bash, zsh, fish");
    return ADMIN_DONE;
}

static int fail_config(struct admin *a, const struct config *c, int r)
{
    if (r > 0)
        return admin_fail(a, REASON_MALFORMED, "The configuration has a mistake: %s.", c->mistake);
    return admin_fail(a, admin_reason(r), "Cannot read the configuration %s: %s.",
                      a->config_path ? a->config_path : CONFIG_FILE_DEFAULT,
                      r == -EINVAL ? "it is no plain file" : strerror(-r));
}

/* --- serve ------------------------------------------------------------------------------------------------------- */

static int copy_path(struct admin *a, char *to, size_t cap, const char *from)
{
    if (!from)
        return 0;
    return (size_t)snprintf(to, cap, "%s", from) < cap ? 0 : admin_usage(a, "too long: %s", from);
}

static int run_serve(struct admin *a, int argc, char **argv)
{
    enum { LISTEN, PID_FILE, ADDRESS_FILE, ROLE, COUNT };
    struct admin_option options[COUNT] = {
        { .name = "listen" }, { .name = "pid-file" }, { .name = "address-file" }, { .name = "role", .text = "all" }
    };
    int r = admin_options(a, options, COUNT, &argc, argv);
    if (r != 0)
        return r;
    if (argc != 0)
        return admin_usage(a, "serve takes options only");
    const char *role = options[ROLE].text;
    bool contents = strcmp(role, "contents") == 0, directory = strcmp(role, "directory") == 0;
    if (!contents && !directory && strcmp(role, "all") != 0)
        return admin_usage(a, "the role is one of: all, contents, directory");
    struct config *config CLEANUP(freep) = malloc(sizeof(*config));
    if (!config)
        return admin_error(a, -ENOMEM, "serve");
    config_init(config);
    r = config_read(config, a->config_path);
    if (r != 0)
        return fail_config(a, config, r);
    r = copy_path(a, config->state_dir, sizeof(config->state_dir), a->state_dir);
    if (r == 0)
        r = copy_path(a, config->listen, sizeof(config->listen), options[LISTEN].text);
    if (r == 0)
        r = copy_path(a, config->pid_file, sizeof(config->pid_file), options[PID_FILE].text);
    if (r == 0)
        r = copy_path(a, config->address_file, sizeof(config->address_file), options[ADDRESS_FILE].text);
    if (r != 0)
        return r;
    config->directory_only = directory;
    /* Who goes while it is written to ends nothing here; libuv gives programs that it starts the default again. The other commands keep it: what
     * they print may go to `head`. */
    (void)signal(SIGPIPE, SIG_IGN);
    char why[SERVE_WHY_BYTES] = "";
    r = contents ? contents_server_main(config, why) : serve_main(config, why);
    if (r == 0)
        return ADMIN_DONE;
    int failed = why[0] != '\0' ? admin_fail(a, admin_reason(r), "Cannot serve: %s", why) : admin_error(a, r, "serve");
    return r == -EACCES || r == -EKEYREJECTED
               ? EX_NOPERM
               : failed; /* whoever starts it again changes nothing, and might lock a token */
}

/* --- Start ------------------------------------------------------------------------------------------------------- */

static const struct admin_command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        if (commands[i].name && strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int no_command(struct admin *a, const char *name)
{
    struct suggest s = suggest(name);
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        if (commands[i].name)
            suggest_try(&s, commands[i].name);
    return suggest_found(&s) != NULL
               ? admin_usage(a, "there is no command %s; is it %s? (see --help)", name, suggest_found(&s))
               : admin_usage(a, "there is no command %s (see --help)", name);
}

/* Takes the options that every command knows out of argv, wherever they stand. */
static int global_options(struct admin *a, int *argc, char **argv, bool *help, bool *version)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        const char *word = argv[i], **value = NULL;
        size_t len = 0;
        if (strncmp(word, "--state-dir", len = 11) == 0 && (word[len] == '\0' || word[len] == '='))
            value = &a->state_dir;
        else if (strncmp(word, "--config", len = 8) == 0 && (word[len] == '\0' || word[len] == '='))
            value = &a->config_path;
        if (value && word[len] == '=')
            *value = word + len + 1;
        else if (value && i + 1 < *argc)
            *value = argv[++i];
        else if (value)
            return admin_usage(a, "%s needs a value", word);
        else if (strcmp(word, "--json") == 0)
            a->json = true;
        else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            *help = true;
        else if (kept == 0 && strcmp(word, "--version") == 0) /* `program` has one of its own */
            *version = true;
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    return 0;
}

/* --state-dir, else what the configuration file says. A mistake in that is one for every command: else it shows when the server is started the next time. */
static int choose_state_dir(struct admin *a, struct config *config)
{
    config_init(config);
    int r = config_read(config, a->config_path);
    if (r != 0)
        return fail_config(a, config, r);
    if (a->state_dir == NULL)
        a->state_dir = config->state_dir;
    return 0;
}

static int run(int argc, char **argv)
{
    log_init("hearth-distributor");
    struct admin a = { .now_ms = clock_wall_ms(clock_system()) };
    bool help = false, version = false;
    argc--;
    argv++;
    int r = global_options(&a, &argc, argv, &help, &version);
    if (r != 0)
        return r;
    if (version) {
        puts("hearth-distributor " HEARTH_VERSION);
        return ADMIN_DONE;
    }
    if (argc == 1 && !help && strcmp(argv[0], "help") == 0) {
        print_list();
        return ADMIN_DONE;
    }
    if (argc == 2 && strcmp(argv[0], "help") == 0) {
        argv++;
        argc--;
        help = true;
    }
    const struct admin_command *command = argc > 0 ? find_command(argv[0]) : NULL;
    if (argc > 0 && !command)
        return no_command(&a, argv[0]);
    if (!command) {
        print_help();
        return help ? ADMIN_DONE : ADMIN_USAGE;
    }
    if (help) {
        print_command_help(command);
        return ADMIN_DONE;
    }
    setlocale(LC_CTYPE, ""); /* how wide is what a terminal shows? */
    static struct config config;
    r = choose_state_dir(&a, &config);
    if (r == 0 && (secret_init() != 0 || secret_hide_process() != 0))
        r = admin_fail(&a, REASON_INTERNAL, "Cannot protect memory.");
    if (strcmp(argv[0], "serve") != 0) /* a server starts again by itself, with nobody there */
        token_ask_with(admin_ask_pin);
    if (r == 0)
        r = command->run(&a, argc - 1, argv + 1);
    if (r == ADMIN_DONE)
        admin_warn(&a);
    admin_close(&a);
    return r;
}

int main(int argc, char **argv)
{
    standard_open();
    return standard_end("hearth-distributor", run(argc, argv));
}
