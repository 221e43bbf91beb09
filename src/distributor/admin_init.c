/* Commands: init, id, settings. One thread. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/billing.h"
#include "distributor/database.h"
#include "distributor/devices.h"
#include "distributor/keyblocks.h"
#include "distributor/rows.h"
#include "distributor/tokens.h"
#include "net/address.h"

#define LISTEN_DEFAULT "0.0.0.0:7700"

/* What others can reach: the listening address, with this host's name where it listens on all. */
static void address_of(const char *listen, char out[OPERATIONS_ADDRESS_BYTES])
{
    const char *colon = strrchr(listen, ':');
    size_t len = colon ? (size_t)(colon - listen) : 0;
    bool all = (len == 7 && memcmp(listen, "0.0.0.0", 7) == 0) || (len == 4 && memcmp(listen, "[::]", 4) == 0) ||
               (len == 1 && *listen == '*') || len == 0;
    char host[64] = "localhost";
    if (all && gethostname(host, sizeof(host)) != 0)
        snprintf(host, sizeof(host), "localhost");
    host[sizeof(host) - 1] = '\0';
    if (all && colon)
        snprintf(out, OPERATIONS_ADDRESS_BYTES, "%s%s", host, colon);
    else
        snprintf(out, OPERATIONS_ADDRESS_BYTES, "%.*s", OPERATIONS_ADDRESS_BYTES - 1, listen);
}

static int print_id(struct admin *a)
{
    char address[OPERATIONS_ADDRESS_BYTES], listen[OPERATIONS_ADDRESS_BYTES], id[ID_TEXT_BYTES];
    char url[OPERATIONS_ADDRESS_BYTES + ID_TEXT_BYTES + 16];
    int r = operations_setting(a->o, "address", address, sizeof(address));
    if (r == 0 && address[0] == '\0') {
        r = operations_setting(a->o, "listen", listen, sizeof(listen));
        address_of(r == 0 ? listen : LISTEN_DEFAULT, address);
    }
    if (r != 0)
        return admin_error(a, r, "read the settings");
    id_text(&a->keys->self, id);
    snprintf(url, sizeof(url), "hearth://%s#%s", address, id);
    if (!a->json) {
        puts(url);
        return ADMIN_DONE;
    }
    const struct out_field fields[] = { OUT_T("url", url), OUT_T("id", id), OUT_T("name", a->o->name),
                                        OUT_T("address", address), OUT_T("currency", a->o->currency) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_id(struct admin *a, int argc, char **argv)
{
    int r = admin_options(a, NULL, 0, &argc, argv);
    if (r == 0 && argc != 0)
        r = admin_usage(a, "id takes no arguments");
    if (r == 0)
        r = admin_open(a);
    return r == 0 ? print_id(a) : r;
}

/* --- init -------------------------------------------------------------------------------------------------------- */

enum {
    INIT_NAME,
    INIT_CURRENCY,
    INIT_LISTEN,
    INIT_ADDRESS,
    INIT_DIRECTORY,
    INIT_REGISTRATION,
    INIT_CREDIT,
    INIT_DATABASE,
    INIT_ROOT_TOKEN,
    INIT_PIN_FILE,
    INIT_MODULE,
    INIT_COUNT
};

static int make_directories(struct admin *a)
{
    char path[1100];
    int r = file_join(path, sizeof(path), a->state_dir, "bodies");
    return r == 0 ? file_make_dirs(path, 0700) : r;
}

static int store_choices(struct admin *a, const struct admin_option *options)
{
    int r = admin_begin(a);
    char credit[32];
    snprintf(credit, sizeof(credit), "%lld", (long long)options[INIT_CREDIT].number);
    if (r == 0 && options[INIT_REGISTRATION].given)
        r = operations_setting_set(a->o, "registration", options[INIT_REGISTRATION].text);
    if (r == 0 && options[INIT_CREDIT].given)
        r = operations_setting_set(a->o, "credit-limit", credit);
    return r == 0 ? admin_commit(a) : r;
}

static int judge_listen(struct admin *a, const char *what, const char *listen)
{
    char host[ADDRESS_HOST_BYTES];
    uint16_t port;
    if (address_parse_listen(listen, host, &port) == 0)
        return 0;
    return admin_usage(a,
                       "%s cannot be %s: it is ADDRESS:PORT of this machine, such as 0.0.0.0:7700 (all of IPv4), "
                       "[::]:7700 (all) or 127.0.0.1:7700",
                       what, listen);
}

static int judge_address(struct admin *a, const char *what, const char *address)
{
    char host[ADDRESS_HOST_BYTES];
    uint16_t port;
    if (address_parse(address, host, &port) == 0 && strlen(address) < OPERATIONS_ADDRESS_BYTES)
        return 0;
    return admin_usage(a,
                       "%s cannot be %s: it is HOST:PORT by which others reach this machine, such as shop.example:7700",
                       what, address);
}

static bool is_policy(const char *text)
{
    return strcmp(text, "invite") == 0 || strcmp(text, "open") == 0 || strcmp(text, "closed") == 0;
}

/* *chosen: it had none before, and has none again when this fails. */
static int choose_database(struct admin *a, const char *database, bool *chosen)
{
    char before[STORE_PG_DATABASE_BYTES];
    int r = database_of(a->state_dir, before);
    if (r == 0)
        r = database_choose(a->state_dir, database);
    *chosen = r == 0 && before[0] == '\0';
    return r;
}

/* Does what is in the state directory open as a distributor's? */
static bool has_database(struct admin *a)
{
    int r = keys_load(&a->keys, a->state_dir);
    if (r == 0)
        r = operations_open(&a->o, a->state_dir, a->keys, rng_system(), 0);
    return r != -ENOENT;
}

/* Keys, then the database, in a state that has neither. Says what stands in the way. 0, or what the command ends with. */
static int make(struct admin *a, const struct admin_option *options, const struct operations_new *n,
                const struct token_place *root)
{
    int r = keys_create(a->state_dir, rng_system(), options[INIT_ROOT_TOKEN].given ? root : NULL);
    if (r == -EEXIST)
        return has_database(a)
                   ? admin_fail(a, REASON_ALREADY, "%s is the state of a distributor already.", a->state_dir)
                   : admin_no_database(a);
    const bool made = r == 0;
    if (r == 0 || r == KEYS_UNUSED) /* a first try ended between keys and database */
        r = make_directories(a);
    bool chosen = false;
    if (r == 0 && options[INIT_DATABASE].given)
        r = choose_database(a, options[INIT_DATABASE].text, &chosen);
    if (r == 0)
        r = keys_load(&a->keys, a->state_dir);
    if (r == 0)
        r = operations_create(a->state_dir, a->keys, rng_system(), n);
    /* Another init came in between, at whichever statement: now, or soon, its database is there. */
    for (unsigned more = 3; (r == -EUCLEAN || r == -EINVAL) && options[INIT_DATABASE].given && more > 0; more--)
        r = operations_create(a->state_dir, a->keys, rng_system(), n);
    if ((r == OPERATIONS_TAKEN || r == -ENOTEMPTY) && made && !options[INIT_ROOT_TOKEN].given)
        keys_discard(a->state_dir); /* nobody has seen them, and they have no database */
    if (r != 0 && chosen)
        database_unchoose(a->state_dir);
    if (r == -EEXIST)
        return admin_fail(a, REASON_ALREADY, "%s is the state of a distributor already.", a->state_dir);
    if (r == -ENOTEMPTY && options[INIT_DATABASE].given)
        return admin_fail(a, REASON_ALREADY,
                          "The database %s is not empty: somebody's tables are in it. Make an empty one "
                          "(createdb -E UTF8 -T template0 NAME) and name that.",
                          options[INIT_DATABASE].text);
    if (r == OPERATIONS_TAKEN)
        return options[INIT_DATABASE].given
                   ? admin_fail(a, REASON_ALREADY,
                                "The database %s is another distributor's already. Make an empty one (createdb -E UTF8 "
                                "-T template0 NAME) and name that.",
                                options[INIT_DATABASE].text)
                   : admin_fail(a, REASON_ALREADY, "The database of %s is another distributor's already.",
                                a->state_dir);
    if (r == KEYS_TOKEN)
        return admin_fail(a, REASON_NOT_PERMITTED,
                          "The token does not serve as root key; the log line above says why.");
    if (r != 0)
        return admin_error(a, r, "make the distributor");
    return 0;
}

int admin_init(struct admin *a, int argc, char **argv)
{
    struct admin_option options[INIT_COUNT] = { { .name = "name" },
                                                { .name = "currency", .text = "EUR" },
                                                { .name = "listen" },
                                                { .name = "address" },
                                                { .name = "directory", .kind = ADMIN_FLAG },
                                                { .name = "registration", .text = "invite" },
                                                { .name = "credit-limit", .kind = ADMIN_MONEY },
                                                { .name = "database" },
                                                { .name = "root-token" },
                                                { .name = "pin-file" },
                                                { .name = "module" } };
    char pin[PATH_MAX], module[PATH_MAX];
    int r = admin_options(a, options, INIT_COUNT, &argc, argv);
    if (r != 0)
        return r;
    if (argc != 0 || !options[INIT_NAME].given)
        return admin_usage(a, "init needs --name NAME");
    if (!is_policy(options[INIT_REGISTRATION].text))
        return admin_usage(a, "--registration is one of: invite, open, closed");
    char address[OPERATIONS_ADDRESS_BYTES] = "";
    if (options[INIT_LISTEN].given && (r = judge_listen(a, "--listen", options[INIT_LISTEN].text)) != 0)
        return r;
    if (options[INIT_ADDRESS].given && (r = judge_address(a, "--address", options[INIT_ADDRESS].text)) != 0)
        return r;
    const char *listen = options[INIT_LISTEN].given ? options[INIT_LISTEN].text : LISTEN_DEFAULT;
    if (options[INIT_ADDRESS].given)
        snprintf(address, sizeof(address), "%s", options[INIT_ADDRESS].text);
    else
        address_of(listen, address);
    struct operations_new n = { .name = options[INIT_NAME].text,
                                .currency = options[INIT_CURRENCY].text,
                                .listen = listen,
                                .address = address,
                                .directory = options[INIT_DIRECTORY].given,
                                .now_ms = a->now_ms };
    if ((r = admin_absolute(a, &options[INIT_PIN_FILE], pin)) != 0 ||
        (r = admin_absolute(a, &options[INIT_MODULE], module)) != 0)
        return r;
    const struct token_place root = { options[INIT_ROOT_TOKEN].text, options[INIT_MODULE].text,
                                      options[INIT_PIN_FILE].text };
    r = options[INIT_DATABASE].given ? admin_judge_database(a, "--database", options[INIT_DATABASE].text) : 0;
    if (r != 0)
        return r;
    if (!operations_new_is_valid(&n))
        return admin_usage(a, "--name has 1 to 63 characters, --currency three capital letters");
    if (admin_lost_keys(a))
        return ADMIN_FAILED;
    r = make(a, options, &n, &root);
    if (r != 0)
        return r;
    keys_free(a->keys);
    a->keys = NULL;
    r = store_choices(a, options);
    return r == 0 ? print_id(a) : r;
}

/* --- settings ---------------------------------------------------------------------------------------------------- */

static const char *const names[] = { "name",
                                     "currency",
                                     "listen",
                                     "address",
                                     "directory",
                                     "directory-url",
                                     "registration",
                                     "credit-limit",
                                     "devices-per-account",
                                     "login-policy",
                                     "login-days",
                                     "certificate-days",
                                     "compare-every",
                                     "directory-patience",
                                     "key-block-kind",
                                     "move-charged",
                                     "copy-charged",
                                     "pay-within-days",
                                     "payment-command",
                                     "payment-timeout",
                                     "collect-at",
                                     "settlement-days" };
#define FIRST_CHANGEABLE 2 /* name and currency are part of what was issued */

/* Stored in minor units, as JSON shows them. */
static bool is_amount(const char *name) { return strcmp(name, "credit-limit") == 0 || strcmp(name, "collect-at") == 0; }

static int list_settings(struct admin *a)
{
    struct out_list l;
    out_list_begin(&l, a, "settings");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char value[256];
        int r = operations_setting(a->o, names[i], value, sizeof(value));
        if (r != 0)
            snprintf(value, sizeof(value), "?");
        if (r == 0 && !a->json && is_amount(names[i]))
            billing_money(a->o, strtoll(value, NULL, 10), value);
        const struct out_field fields[] = { OUT_T("name", names[i]), OUT_T("value", value) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return ADMIN_DONE;
}

static const struct {
    const char *name;
    int least, most;
} numbers[] = { { "certificate-days", 1, 365 },     { "compare-every", 0, 86400 },
                { "directory-patience", 1, 86400 }, { "devices-per-account", 1, DEVICES_PER_HOUSEHOLD },
                { "login-days", 1, 3650 },          { "pay-within-days", 0, 365 },
                { "payment-timeout", 1, 3600 },     { "settlement-days", 0, 365 } };

static int judge_setting(struct admin *a, const char *name, const char *value)
{
    char *end;
    if (strcmp(name, "registration") == 0 && !is_policy(value))
        return admin_usage(a, "registration is one of: invite, open, closed");
    enum tokens_policy policy;
    if (strcmp(name, "login-policy") == 0 && !tokens_policy_of(value, &policy))
        return admin_usage(a, "login-policy is one of: device-key, password, both");
    if (strcmp(name, "key-block-kind") == 0 && !keyblocks_kind_is_valid(value))
        return admin_usage(a, "key-block-kind is one of: auto, complete-subtree, subset-difference");
    bool yes_no = strcmp(name, "move-charged") == 0 || strcmp(name, "directory") == 0;
    if (yes_no && strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        return admin_usage(a, "%s is yes or no", name);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (strcmp(name, numbers[i].name) != 0)
            continue;
        long long n = strtoll(value, &end, 10);
        if (*value == '\0' || *end != '\0' || n < numbers[i].least || n > numbers[i].most)
            return admin_usage(a, "%s is a whole number from %d to %d", name, numbers[i].least, numbers[i].most);
    }
    if (strcmp(name, "payment-command") == 0 && *value != '\0' && *value != '/')
        return admin_usage(a, "payment-command is the whole path of a program, or empty");
    if (strcmp(name, "copy-charged") == 0 && strcmp(value, "source") != 0 && strcmp(value, "destination") != 0)
        return admin_usage(a, "copy-charged is source or destination");
    if (strcmp(name, "listen") == 0)
        return judge_listen(a, name, value);
    if (strcmp(name, "address") == 0)
        return judge_address(a, name, value);
    if (strcmp(name, "directory-url") == 0)
        return admin_usage(a, "use: directory set URL");
    return 0;
}

/* An address that only says where it listened goes with it; one that the operator chose stays. */
static int move_address(struct admin *a, const char *listen)
{
    char before[OPERATIONS_ADDRESS_BYTES], derived[OPERATIONS_ADDRESS_BYTES], address[OPERATIONS_ADDRESS_BYTES];
    int r = operations_setting(a->o, "listen", before, sizeof(before));
    if (r == 0)
        r = operations_setting(a->o, "address", address, sizeof(address));
    if (r != 0)
        return r;
    address_of(before, derived);
    if (strcmp(address, derived) != 0)
        return 0;
    address_of(listen, derived);
    return operations_setting_set(a->o, "address", derived);
}

int admin_settings(struct admin *a, int argc, char **argv)
{
    int r = admin_options(a, NULL, 0, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 0) {
        r = admin_open(a);
        return r == 0 ? list_settings(a) : r;
    }
    if (argc != 2)
        return admin_usage(a, "settings [NAME VALUE]");
    for (size_t i = FIRST_CHANGEABLE; i < ARRAY_COUNT(names); i++) {
        if (strcmp(names[i], argv[0]) != 0)
            continue;
        char minor[32];
        const char *value = argv[1];
        int64_t amount;
        r = judge_setting(a, argv[0], value);
        if (r == 0 && is_amount(argv[0])) {
            if (text_money(value, &amount) != 0)
                return admin_usage(a, "%s is an amount such as 50 or 49.99", argv[0]);
            snprintf(minor, sizeof(minor), "%" PRId64, amount);
            value = minor;
        }
        if (r == 0)
            r = admin_begin(a);
        if (r != 0)
            return r;
        r = strcmp(argv[0], "listen") == 0 ? move_address(a, value) : 0;
        if (r == 0)
            r = operations_setting_set(a->o, argv[0], value);
        r = r == 0 ? admin_commit(a) : admin_error(a, r, "store the setting");
        if (r == 0 && strcmp(argv[0], "payment-command") == 0)
            fprintf(stderr,
                    "A server that runs goes by what was set when it began: start it again, and payments go on.\n");
        return r == 0 ? list_settings(a) : r;
    }
    return admin_usage(a, "there is no setting %s to change", argv[0]);
}
