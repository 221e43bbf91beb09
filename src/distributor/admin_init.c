/* Commands: init, id. One thread. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/admin_init.h"
#include "distributor/billing.h"
#include "distributor/database.h"
#include "distributor/devices.h"
#include "distributor/keyblocks.h"
#include "distributor/rows.h"
#include "distributor/tokens.h"
#include "net/address.h"

#define LISTEN_DEFAULT "0.0.0.0:7700"

void admin_address_of(const char *listen, char out[OPERATIONS_ADDRESS_BYTES])
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
        admin_address_of(r == 0 ? listen : LISTEN_DEFAULT, address);
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

int admin_judge_listen(struct admin *a, const char *what, const char *listen)
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

int admin_judge_address(struct admin *a, const char *what, const char *address)
{
    char host[ADDRESS_HOST_BYTES];
    uint16_t port;
    if (address_parse(address, host, &port) == 0 && strlen(address) < OPERATIONS_ADDRESS_BYTES)
        return 0;
    return admin_usage(a,
                       "%s cannot be %s: it is HOST:PORT by which others reach this machine, such as shop.example:7700",
                       what, address);
}

bool admin_is_registration(const char *text)
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

/* Does what is in the state directory open as a distributor's? 0: it is open; -ENOENT: its database is not there; as operations_open. */
static int open_made(struct admin *a)
{
    int r = keys_load(&a->keys, a->state_dir);
    return r == 0 ? operations_open(&a->o, a->state_dir, a->keys, rng_system(), 0) : r;
}

/* The option that asks for something else than there is; NULL: none does. */
static const char *differs(struct admin *a, const struct admin_option *options)
{
    static const struct {
        int option;
        const char *setting, *value; /* value: NULL, what the option says */
    } asked[] = {
        { INIT_NAME, "name", NULL },
        { INIT_CURRENCY, "currency", NULL },
        { INIT_LISTEN, "listen", NULL },
        { INIT_ADDRESS, "address", NULL },
        { INIT_DIRECTORY, "directory", "yes" },
        { INIT_REGISTRATION, "registration", NULL },
    };
    char there[PATH_MAX], database[STORE_PG_DATABASE_BYTES];
    int64_t credit = 0;
    for (size_t i = 0; i < ARRAY_COUNT(asked); i++) {
        const struct admin_option *o = &options[asked[i].option];
        if (o->given && (operations_setting(a->o, asked[i].setting, there, sizeof(there)) != 0 ||
                         strcmp(there, asked[i].value != NULL ? asked[i].value : o->text) != 0))
            return o->name;
    }
    if (options[INIT_CREDIT].given &&
        (operations_setting_i64(a->o, "credit-limit", &credit) != 0 || credit != options[INIT_CREDIT].number))
        return options[INIT_CREDIT].name;
    if (options[INIT_DATABASE].given &&
        (database_of(a->state_dir, database) != 0 || strcmp(database, options[INIT_DATABASE].text) != 0))
        return options[INIT_DATABASE].name;
    return options[INIT_ROOT_TOKEN].given && !keys_root_in_token(a->state_dir) ? options[INIT_ROOT_TOKEN].name : NULL;
}

/* init once more, of what is there: it is done. */
static int made_before(struct admin *a, const struct admin_option *options)
{
    int r = open_made(a);
    if (r == -ENOENT)
        return admin_no_database(a);
    const char *other = r == 0 ? differs(a, options) : NULL;
    if (r == 0 && other == NULL)
        return print_id(a);
    return admin_fail(a, REASON_ALREADY, "%s is the state of a distributor already%s%s. %s", a->state_dir,
                      other != NULL ? ", with another --" : "", other != NULL ? other : "",
                      "What can be changed: hearth-distributor settings; another distributor: another --state-dir");
}

/* Keys, then the database, in a state that has neither. Says what stands in the way. 0, or what the command ends with; *there: it ends, since there is one. */
static int make(struct admin *a, const struct admin_option *options, const struct operations_new *n,
                const struct token_place *root, bool *there)
{
    int r = keys_create(a->state_dir, rng_system(), options[INIT_ROOT_TOKEN].given ? root : NULL);
    if (r == -EEXIST) {
        *there = true;
        return made_before(a, options);
    }
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
        return admin_error_at(a, r, "make the distributor in", a->state_dir);
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
    if (!admin_is_registration(options[INIT_REGISTRATION].text))
        return admin_usage(a, "--registration is one of: invite, open, closed");
    char address[OPERATIONS_ADDRESS_BYTES] = "";
    if (options[INIT_LISTEN].given && (r = admin_judge_listen(a, "--listen", options[INIT_LISTEN].text)) != 0)
        return r;
    if (options[INIT_ADDRESS].given && (r = admin_judge_address(a, "--address", options[INIT_ADDRESS].text)) != 0)
        return r;
    const char *listen = options[INIT_LISTEN].given ? options[INIT_LISTEN].text : LISTEN_DEFAULT;
    if (options[INIT_ADDRESS].given)
        snprintf(address, sizeof(address), "%s", options[INIT_ADDRESS].text);
    else
        admin_address_of(listen, address);
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
    const char *const own[] = { a->config_path, options[INIT_PIN_FILE].text };
    bool there = false;
    r = admin_judge_directory(a, a->state_dir, false, own, ARRAY_COUNT(own));
    if (r == 0)
        r = make(a, options, &n, &root, &there);
    if (r != 0 || there)
        return r;
    keys_free(a->keys);
    a->keys = NULL;
    r = store_choices(a, options);
    return r == 0 ? print_id(a) : r;
}
