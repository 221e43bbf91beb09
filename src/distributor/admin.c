/* Common parts of the operator's commands: opening, errors, options. Output is in admin_out.c. One thread. */
#define LOG_MODULE "admin"
#include "distributor/admin.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/suggest.h"
#include "base/terminal.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/database.h"
#include "distributor/endings.h"
#include "distributor/keys_age.h"
#include "distributor/rotation.h"

/* Typed once a command, which may open its token more than once. */
static struct typed_pin {
    char label[64], pin[TOKEN_PIN_BYTES];
} * typed_pin;

/* --- Opening ----------------------------------------------------------------------------------------------------- */

int admin_no_database(struct admin *a)
{
    char database[STORE_PG_DATABASE_BYTES];
    if (database_of(a->state_dir, database) == 0 && database[0] != '\0')
        return admin_fail(a, REASON_NOT_FOUND,
                          "The keys in %s are there, but the database is empty: %s. Put the database back with its "
                          "server's tools, then: hearth-distributor restore --here",
                          a->state_dir, database);
    return admin_fail(
        a, REASON_NOT_FOUND,
        "The keys in %s are there, but their database (operations.db, or what the file `database` names) is not. Put a "
        "backup back: hearth-distributor restore BACKUP --replace. A new database under the same keys would give out "
        "numbers twice; only if nothing was ever done with these keys, remove %s/keys and run init again.",
        a->state_dir, a->state_dir);
}

bool admin_lost_keys(struct admin *a)
{
    static const char *const names[] = { "operations.db", "database", "keys" };
    char path[1100];
    bool there[ARRAY_COUNT(names)];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        there[i] = file_join(path, sizeof(path), a->state_dir, names[i]) == 0 && access(path, F_OK) == 0;
    if ((!there[0] && !there[1]) || there[2])
        return false;
    admin_fail(a, REASON_NOT_FOUND,
               "%s has a distributor's database, but its keys are gone: put the directory keys/ back from a backup.",
               a->state_dir);
    return true;
}

/* Whose is the state directory, if not ours? */
static bool is_others(const struct admin *a, char owner[64])
{
    struct stat s;
    if (stat(a->state_dir, &s) != 0 || s.st_uid == geteuid())
        return false;
    const struct passwd *user = getpwuid(s.st_uid);
    snprintf(owner, 64, user ? "%.60s" : "user", user ? user->pw_name : "");
    return true;
}

static int fail_moved(struct admin *a)
{
    return admin_fail(
        a, REASON_NOT_PERMITTED,
        "The database of %s was moved to a server; the line above says where. If that was interrupted, say "
        "database move --to the same again: it goes on. Otherwise this is a copy of before: put back the "
        "file `database` that names the server.",
        a->state_dir);
}

int admin_open(struct admin *a)
{
    char owner[64];
    int r = rotation_load(&a->keys, a->state_dir);
    if (r == 0)
        r = operations_open(&a->o, a->state_dir, a->keys, rng_system(), a->any_place ? OPERATIONS_ANY_PLACE : 0);
    if (r == -ENOENT)
        return a->keys ? admin_no_database(a)
               : admin_lost_keys(a)
                   ? ADMIN_FAILED
                   : admin_fail(a, REASON_NOT_FOUND,
                                "%s is not the state of a distributor. Make one: hearth-distributor init",
                                a->state_dir);
    if (r == -EACCES && a->keys == NULL && is_others(a, owner))
        return admin_fail(a, REASON_NOT_PERMITTED,
                          "%s belongs to %s. Run this as that user: sudo -u %s hearth-distributor ...", a->state_dir,
                          owner, owner);
    if (r == -EACCES && a->keys == NULL && access(a->state_dir, F_OK) != 0 && errno == EACCES)
        return admin_fail(a, REASON_NOT_PERMITTED,
                          "This user may not look into a directory above %s. Run this as the user whose it is: "
                          "sudo -u USER hearth-distributor ...",
                          a->state_dir);
    if (r == -ENXIO || r == -EACCES || r == -EKEYREJECTED)
        return admin_fail(
            a, REASON_NOT_PERMITTED, "The keys of %s cannot be opened: %s", a->state_dir,
            r == -ENXIO ? "the token that wraps them is not there, or holds another key; the log line above says which."
            : r == -EKEYREJECTED
                ? "the token refuses the PIN, which is not tried again before its file is changed; the log line above says which file."
                : "a key file or a PIN file cannot be read; the log line above says which.");
    if (r == -ENOKEY)
        return admin_fail(
            a, REASON_NOT_FOUND,
            "The database of %s lies under a storage key that is not in keys/; the log line above says which. Put back the "
            "keys/ that was saved with this database; or, if the key was changed on another machine, copy "
            "keys/storage.key.new (or storage.key) from there.",
            a->state_dir);
    if (r == OPERATIONS_MOVED)
        return fail_moved(a);
    if (r == STORE_NEWER)
        return admin_fail(
            a, REASON_NOT_PERMITTED,
            "%s was made by a newer version of this program: install that, or put the backup of before back.",
            a->state_dir);
    return r == 0 ? 0 : admin_error(a, r, "open the state directory");
}

void admin_close(struct admin *a)
{
    transaction_end(&a->open);
    operations_close(a->o);
    keys_free(a->keys);
    secret_free(typed_pin);
    typed_pin = NULL;
    a->o = NULL;
    a->keys = NULL;
}

int admin_judge_keys(struct admin *a)
{
    struct keys_ages ages;
    char text[KEYS_AGE_TEXT_BYTES];
    int r = keys_ages_read(a->o, a->keys, a->now_ms, &ages);
    if (r != 0)
        return admin_error(a, r, "read the keyset");
    return ages.of[0] != KEYS_GONE
               ? 0
               : admin_fail(a, REASON_KEYSET_INVALID, "Nothing was changed: %s.", keys_ages_text(&ages, text));
}

int admin_begin(struct admin *a)
{
    int r = a->o ? 0 : admin_open(a);
    if (r != 0)
        return r;
    r = transaction_begin(&a->open, a->o->store);
    if (r != 0)
        return admin_error(a, r, "lock the database");
    if (!a->any_place && (r = operations_judge_place(a->o)) != 0) /* while this waited for the lock */
        return r == OPERATIONS_MOVED ? fail_moved(a) : admin_error(a, r, "read the database");
    return a->any_keys ? 0 : admin_judge_keys(a);
}

int admin_commit(struct admin *a)
{
    int r = transaction_commit(&a->open);
    return r == 0 ? 0 : admin_error(a, r > 0 ? -EUCLEAN : r, "store the change");
}

void admin_warn(struct admin *a)
{
    struct endings *e CLEANUP(freep) = malloc(sizeof(*e));
    char safe[2 * ENDINGS_TEXT_BYTES];
    if (e == NULL || a->o == NULL || endings_read(a->o, a->now_ms, e) != 0) /* what was done was done */
        return;
    for (size_t i = 0; i < e->count; i++) {
        text_safe(e->texts[i], safe, sizeof(safe));
        fprintf(stderr, "hearth-distributor: warning: %s\n", safe);
    }
    if (e->more > 0)
        fprintf(stderr,
                "hearth-distributor: warning: %zu more end; all dates: hearth-distributor stats --openmetrics\n",
                e->more);
}

/* --- Errors ------------------------------------------------------------------------------------------------------ */

static void say(struct admin *a, const char *code, const char *message)
{
    char safe[1024];
    text_safe(message, safe, sizeof(safe));
    if (!a->json) {
        fprintf(stderr, "hearth-distributor: %s\n", safe);
        return;
    }
    const struct out_field fields[] = { OUT_T("code", code), OUT_T("message", safe) };
    out_error(fields, ARRAY_COUNT(fields));
}

int admin_fail(struct admin *a, enum reason reason, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    say(a, reason_code(reason), message);
    return ADMIN_FAILED;
}

enum reason admin_reason(int r)
{
    switch (r) {
    case -ENOENT:
        return REASON_NOT_FOUND;
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return REASON_NOT_PERMITTED;
    default:
        return reason_of_error(r);
    }
}

int admin_error(struct admin *a, int r, const char *doing)
{
    if (r > 0 && r < REASON_COUNT)
        return admin_fail(a, (enum reason)r, "Cannot %s: %s", doing, reason_text((enum reason)r));
    if (r == OPERATIONS_ABSENT)
        return admin_fail(a, REASON_NOT_FOUND, "Cannot %s: there is nothing of this name.", doing);
    if (r == -EHOSTDOWN)
        return admin_fail(a, REASON_OFFLINE, "Cannot %s: the database server cannot be reached. Nothing was changed.",
                          doing);
    if (r == -ECONNREFUSED)
        return admin_fail(a, REASON_NOT_PERMITTED,
                          "Cannot %s: the database server does not let us in; the line above has its words.", doing);
    if (r == -EILSEQ)
        return admin_fail(a, REASON_NOT_PERMITTED,
                          "Cannot %s: the database is not of UTF-8 encoding. Make one that is: createdb -E UTF8 -T "
                          "template0 NAME",
                          doing);
    if (r == -EAGAIN)
        return admin_fail(a, REASON_IN_USE,
                          "Cannot %s: the database server was interrupted. Nothing was changed; try again.", doing);
    if (r == -EINPROGRESS)
        return admin_fail(
            a, REASON_TIMED_OUT,
            "Cannot tell whether this was done (%s): the database server is gone. Look before you do it again.", doing);
    if (r == -EKEYREVOKED)
        return admin_fail(
            a, REASON_KEYSET_INVALID,
            "Cannot %s: keys/ here has keys of before; those in use are on another machine. Copy the files of "
            "keys/ from there. If they are lost: keys rotate, without a purpose",
            doing);
    if (r == -EMEDIUMTYPE)
        return admin_fail(a, REASON_NOT_PERMITTED,
                          "Cannot %s: what has this name is a device, a pipe or a socket. Name a file.", doing);
    if (r == -EBUSY)
        return admin_fail(a, REASON_IN_USE, "Cannot %s: the database is in use. Try again.", doing);
    if (r == -ENOSPC || r == -EDQUOT)
        return admin_fail(a, REASON_STORAGE_FULL,
                          "Cannot %s: the disk of %s is full. Make room there, then say it again.", doing,
                          a->state_dir);
    return admin_fail(a, admin_reason(r), "Cannot %s: %s.", doing, strerror(r < 0 ? -r : EINVAL));
}

int admin_error_at(struct admin *a, int r, const char *doing, const char *path)
{
    char text[PATH_MAX + 64];
    snprintf(text, sizeof(text), "%s %s", doing, path);
    return admin_error(a, r, text);
}

int admin_usage(struct admin *a, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    say(a, "usage", message);
    return ADMIN_USAGE;
}

/* --- Values ------------------------------------------------------------------------------------------------------ */

int admin_parse_time(const char *text, int64_t *out_ms)
{
    struct tm t = { 0 };
    const char *end = strptime(text, "%Y-%m-%dT%H:%M", &t);
    if (!end) {
        t = (struct tm){ 0 };
        end = strptime(text, "%Y-%m-%d", &t);
    }
    if (!end || *end != '\0')
        return -EINVAL;
    time_t s = timegm(&t);
    if (s < 0)
        return -EINVAL;
    *out_ms = (int64_t)s * 1000;
    return 0;
}

int admin_parse_url(const char *url, char address[OPERATIONS_ADDRESS_BYTES], struct id *id)
{
    static const char scheme[] = "hearth://";
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        return -EINVAL;
    const char *host = url + sizeof(scheme) - 1, *hash = strchr(host, '#');
    if (!hash || hash == host || (size_t)(hash - host) >= OPERATIONS_ADDRESS_BYTES || id_parse(hash + 1, id) != 0)
        return -EINVAL;
    const char *colon = memrchr(host, ':', (size_t)(hash - host));
    if (!colon || colon == host || colon + 1 == hash || strspn(colon + 1, "0123456789") != (size_t)(hash - colon - 1))
        return -EINVAL;
    snprintf(address, OPERATIONS_ADDRESS_BYTES, "%.*s", (int)(hash - host), host);
    return 0;
}

static int parse_count(const char *text, int64_t *out)
{
    if (strcmp(text, "unlimited") == 0) {
        *out = UINT32_MAX;
        return 0;
    }
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)*text) || *end != '\0' || v >= UINT32_MAX)
        return -EINVAL;
    *out = (int64_t)v;
    return 0;
}

/* A number and d, h, m or s. */
static int parse_duration(const char *text, int64_t *out_ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = { { 'd', INT64_C(86400000) }, { 'h', 3600000 }, { 'm', 60000 }, { 's', 1000 } };
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)*text) || *end == '\0' || end[1] != '\0')
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++)
        if (*end == units[i].unit)
            return __builtin_mul_overflow((int64_t)v, units[i].ms, out_ms) ? -EINVAL : 0;
    return -EINVAL;
}

/* --- Options ----------------------------------------------------------------------------------------------------- */

/* --x-ms is --x in milliseconds since 1970. */
static struct admin_option *find_option(struct admin_option *options, size_t count, const char *word, size_t len,
                                        bool *in_ms)
{
    *in_ms = false;
    for (size_t i = 0; i < count; i++) {
        size_t name_len = strlen(options[i].name);
        if (len < name_len || memcmp(options[i].name, word, name_len) != 0)
            continue;
        *in_ms = options[i].kind == ADMIN_TIME && len == name_len + 3 && memcmp(word + name_len, "-ms", 3) == 0;
        if (len == name_len || *in_ms)
            return &options[i];
    }
    return NULL;
}

static int parse_ms(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && isdigit((unsigned char)*text) && *end == '\0' ? 0 : -EINVAL;
}

static int set_option(struct admin *a, struct admin_option *option, const char *value, bool in_ms)
{
    int r = 0;
    option->given = true;
    option->text = value;
    switch (option->kind) {
    case ADMIN_COUNT:
        r = parse_count(value, &option->number);
        break;
    case ADMIN_MONEY:
        r = text_money(value, &option->number);
        break;
    case ADMIN_TIME:
        r = in_ms ? parse_ms(value, &option->number) : admin_parse_time(value, &option->number);
        break;
    case ADMIN_DURATION:
        r = parse_duration(value, &option->number);
        break;
    case ADMIN_TEXT:
    case ADMIN_FLAG:
        break;
    }
    static const char *const forms[] = {
        [ADMIN_TEXT] = "text",
        [ADMIN_FLAG] = "a flag",
        [ADMIN_COUNT] = "a whole number or `unlimited`",
        [ADMIN_MONEY] = "an amount such as 4.99, 0.50 or 5: no decimals, or two",
        [ADMIN_TIME] = "a date such as 2026-05-01 or 2026-05-01T12:00",
        [ADMIN_DURATION] = "a length of time such as 30d, 12h, 90m or 45s",
    };
    return r == 0 ? 0 : admin_usage(a, "--%s cannot be %s: it is %s", option->name, value, forms[option->kind]);
}

/* One option at argv[at]; *taken: how many words it is. */
static int take_option(struct admin *a, struct admin_option *options, size_t count, int argc, char **argv, int at,
                       int *taken)
{
    const char *word = argv[at] + 2, *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    *taken = 1;
    if (len == 4 && memcmp(word, "json", 4) == 0) {
        a->json = true;
        return 0;
    }
    bool in_ms;
    struct admin_option *option = find_option(options, count, word, len, &in_ms);
    if (!option) {
        struct suggest s = suggest(word);
        for (size_t i = 0; i < count; i++)
            suggest_try(&s, options[i].name);
        return suggest_found(&s) != NULL
                   ? admin_usage(a, "there is no option %s here; is it --%s? (see --help)", argv[at], suggest_found(&s))
                   : admin_usage(a, "there is no option %s here (see --help)", argv[at]);
    }
    if (option->kind == ADMIN_FLAG) {
        option->given = true;
        return equals ? admin_usage(a, "--%s takes no value", option->name) : 0;
    }
    if (!equals && at + 1 >= argc)
        return admin_usage(a, "--%s needs a value", option->name);
    *taken = equals ? 1 : 2;
    return set_option(a, option, equals ? equals + 1 : argv[at + 1], in_ms);
}

int admin_options(struct admin *a, struct admin_option *options, size_t count, int *argc, char **argv)
{
    int kept = 0;
    for (int i = 0; i < *argc;) {
        if (strcmp(argv[i], "--") == 0) {
            for (i++; i < *argc; i++)
                argv[kept++] = argv[i];
            break;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            argv[kept++] = argv[i++];
            continue;
        }
        int taken = 0;
        int r = take_option(a, options, count, *argc, argv, i, &taken);
        if (r != 0)
            return r;
        i += taken;
    }
    *argc = kept;
    return 0;
}

/* --- Passwords --------------------------------------------------------------------------------------------------- */

static void wipe_buf(struct buf *b)
{
    secret_wipe(b->data, b->cap);
    buf_free(b);
}

static void type_pin(struct typed_pin *t)
{
    char prompt[128], line[ADMIN_PASSWORD_BYTES] = "";
    snprintf(prompt, sizeof(prompt), "PIN of token %s: ", t->label);
    if (terminal_secret(prompt, line, sizeof(line)) == 0 && strlen(line) < TOKEN_PIN_BYTES)
        memcpy(t->pin, line, strlen(line) + 1);
    secret_wipe(line, sizeof(line));
}

bool admin_ask_pin(const char *label, char pin[TOKEN_PIN_BYTES])
{
    struct typed_pin now = { .pin = "" };
    text_safe(label != NULL ? label : "", now.label, sizeof(now.label));
    if (typed_pin == NULL && (typed_pin = secret_alloc(sizeof(*typed_pin))) == NULL)
        return false;
    if (typed_pin->pin[0] == '\0' || strcmp(typed_pin->label, now.label) != 0) {
        *typed_pin = now;
        type_pin(typed_pin);
    }
    memcpy(pin, typed_pin->pin, TOKEN_PIN_BYTES);
    return pin[0] != '\0';
}

int admin_read_file(const char *path, struct buf *out)
{
    int r = file_read_regular(path, out);
    return r == FILE_NOT_REGULAR ? -EINVAL : r;
}

int admin_password(struct admin *a, const char *file, char out[ADMIN_PASSWORD_BYTES])
{
    if (!file) {
        int r = terminal_secret("Password: ", out, ADMIN_PASSWORD_BYTES);
        if (r == -ENOTTY)
            return admin_usage(a, "no terminal to ask for the password; use --password-file");
        if (r == -ENODATA)
            return admin_fail(a, REASON_BAD_CREDENTIALS, "No password was given: nothing was changed.");
        return r == 0 ? 0 : admin_error(a, r, "read the password");
    }
    struct buf content CLEANUP(wipe_buf) = buf(4096);
    int r = admin_read_file(file, &content);
    if (r != 0)
        return admin_error(a, r > 0 ? -EMSGSIZE : r, "read the password file");
    size_t len = 0;
    while (len < content.len && content.data[len] != '\n' && content.data[len] != '\r')
        len++;
    if (len >= ADMIN_PASSWORD_BYTES || memchr(content.data ? content.data : (const uint8_t *)"", '\0', len))
        return admin_fail(a, REASON_TOO_LARGE, "The password file's first line is no password.");
    if (len > 0)
        memcpy(out, content.data, len);
    out[len] = '\0';
    return 0;
}
