/* One table of settings, read by inih line by line into a copy that replaces the old one only when all of it was good. */
#define LOG_MODULE "config"
#include "distributor/config.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/suggest.h"
#include "base/text.h"
#include "base/util.h"
#include "net/address.h"

enum kind { TEXT, NUMBER, LISTEN, LOOPBACK, DIRECTORY, DIRECTORIES, PROGRAM };

struct setting {
    const char *section, *name;
    enum kind kind;
    size_t offset, cap;  /* cap: bytes of a text */
    uint32_t min, max;   /* of a number */
    const char *choices; /* of a text: " one other "; NULL: anything */
    bool at_start;       /* counts from the next start only */
};

#define FIELD(field) offsetof(struct config, field), sizeof(((struct config *)0)->field)
#define AT_START(section, name, kind, field)                            \
    {                                                                   \
        section, name, kind, FIELD(field), 0, 0, NULL, .at_start = true \
    }
#define CHOICE_SETTING(section, name, field, choices)           \
    {                                                           \
        section, name, TEXT, FIELD(field), 0, 0, choices, false \
    }
#define NUMBER_SETTING(section, name, field, min, max)             \
    {                                                              \
        section, name, NUMBER, FIELD(field), min, max, NULL, false \
    }
#define NUMBER_AT_START(section, name, field, min, max)           \
    {                                                             \
        section, name, NUMBER, FIELD(field), min, max, NULL, true \
    }

static const struct setting settings[] = {
    AT_START("server", "state-dir", DIRECTORY, state_dir),
    AT_START("server", "listen", LISTEN, listen),
    AT_START("server", "pid-file", TEXT, pid_file),
    AT_START("server", "address-file", TEXT, address_file),
    AT_START("server", "token-paths", DIRECTORIES, token_paths),
    AT_START("server", "payment-command", PROGRAM, payment_command),
    NUMBER_AT_START("limits", "connections", connections_max, 1, 1000000),
    NUMBER_SETTING("limits", "connections-per-address", connections_per_address_max, 1, 1000000),
    NUMBER_SETTING("limits", "requests-per-second", requests_per_second, 1, 1000000),
    NUMBER_SETTING("limits", "request-burst", request_burst, 1, 1000000),
    NUMBER_SETTING("limits", "queue-per-connection", queue_max, 1, 256),
    NUMBER_SETTING("limits", "idle-seconds", idle_seconds, 10, 86400),
    NUMBER_SETTING("limits", "account-requests-per-minute", account_requests_per_minute, 0, 60000000),
    NUMBER_SETTING("limits", "address-requests-per-minute", address_requests_per_minute, 0, 60000000),
    NUMBER_SETTING("limits", "partner-requests-per-minute", partner_requests_per_minute, 0, 60000000),
    NUMBER_SETTING("limits", "account-rows-per-minute", account_rows_per_minute, 0, 60000000),
    NUMBER_SETTING("limits", "partner-rows-per-minute", partner_rows_per_minute, 0, 60000000),
    NUMBER_SETTING("limits", "password-attempts", password_attempts, 1, 1000),
    NUMBER_SETTING("limits", "stop-seconds", stop_seconds, 1, 600),
    CHOICE_SETTING("log", "level", log_level, " error warn info debug "),
    CHOICE_SETTING("log", "format", log_format, " text json "),
    CHOICE_SETTING("log", "requests", log_requests, " none refused all "),
    AT_START("metrics", "listen", LOOPBACK, metrics_listen),
    NUMBER_SETTING("contents", "look-seconds", look_seconds, 1, 86400),
};

void config_init(struct config *c)
{
    memset(c, 0, sizeof(*c));
    snprintf(c->state_dir, sizeof(c->state_dir), "%s", CONFIG_STATE_DIR_DEFAULT);
    c->connections_max = 12000;
    c->connections_per_address_max = 12000;
    c->requests_per_second = 400;
    c->request_burst = 800;
    c->queue_max = 16;
    c->idle_seconds = 180;
    c->account_requests_per_minute = 30000;
    c->partner_requests_per_minute = 60000;
    c->account_rows_per_minute = 30000;
    c->partner_rows_per_minute = 60000;
    c->password_attempts = 5;
    c->stop_seconds = 10;
    c->look_seconds = 60;
    snprintf(c->log_requests, sizeof(c->log_requests), "refused");
}

void config_clear(struct config *c)
{
    static struct config defaults; /* large; filled with the same bytes each time */
    config_init(&defaults);
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++)
        if (!settings[i].at_start)
            memcpy((char *)c + settings[i].offset, (const char *)&defaults + settings[i].offset, settings[i].cap);
}

static bool set_number(const struct setting *s, struct config *c, const char *value)
{
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || value[0] == '-' || v < s->min || v > s->max)
        return false;
    *(uint32_t *)(void *)((char *)c + s->offset) = (uint32_t)v;
    return true;
}

static bool is_loopback(const char *value)
{
    char host[ADDRESS_HOST_BYTES];
    uint16_t port;
    return address_parse(value, host, &port) == 0 && (strcmp(host, "::1") == 0 || strncmp(host, "127.", 4) == 0);
}

static bool are_whole_paths(const char *value)
{
    for (const char *at = value; *at != '\0'; at += strspn(at, ":")) {
        if (*at != '/')
            return false;
        at += strcspn(at, ":");
    }
    return true;
}

/* "" is as if it was not said, where that can be. */
static bool fits(enum kind kind, const char *value)
{
    char host[ADDRESS_HOST_BYTES];
    uint16_t port;
    switch (kind) {
    case LISTEN:
        return value[0] == '\0' || address_parse_listen(value, host, &port) == 0;
    case LOOPBACK:
        return value[0] == '\0' || is_loopback(value);
    case DIRECTORY:
        return value[0] != '\0';
    case DIRECTORIES:
        return are_whole_paths(value);
    case PROGRAM:
        return value[0] == '\0' || value[0] == '/';
    case TEXT:
    case NUMBER:
        break;
    }
    return true;
}

static bool set_text(const struct setting *s, struct config *c, const char *value)
{
    char spaced[32];
    if (strlen(value) >= s->cap || !fits(s->kind, value))
        return false;
    if (s->choices != NULL && (strlen(value) > 16 || strchr(value, ' ') != NULL || value[0] == '\0'))
        return false;
    if (s->choices != NULL) {
        snprintf(spaced, sizeof(spaced), " %s ", value);
        if (strstr(s->choices, spaced) == NULL)
            return false;
    }
    memcpy((char *)c + s->offset, value, strlen(value) + 1);
    return true;
}

/* What may have been meant: a setting of that section, or this one of another. */
static void say_unknown(struct config *c, const char *section, const char *name)
{
    struct suggest here = suggest(name);
    const char *elsewhere = NULL;
    char what[CONFIG_MISTAKE_BYTES], meant[96] = "; hearth-distributor.conf(5) lists them";
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        if (strcmp(settings[i].section, section) == 0)
            suggest_try(&here, settings[i].name);
        else if (strcmp(settings[i].name, name) == 0)
            elsewhere = settings[i].section;
    }
    if (suggest_found(&here) != NULL)
        snprintf(meant, sizeof(meant), "; is it %s?", suggest_found(&here));
    else if (elsewhere != NULL)
        snprintf(meant, sizeof(meant), "; it belongs to [%s]", elsewhere);
    snprintf(what, sizeof(what), "[%.40s] %.60s: there is no such setting%s", section, name, meant);
    text_safe(what, c->mistake, sizeof(c->mistake));
}

static void say_mistake(struct config *c, const struct setting *s, const char *value)
{
    static const char *const allowed[] = { [TEXT] = "a shorter text",
                                           [LISTEN] = "ADDRESS:PORT of this machine, such as 0.0.0.0:7700",
                                           [LOOPBACK] = "127.0.0.1:PORT or [::1]:PORT",
                                           [DIRECTORY] = "the path of a directory",
                                           [DIRECTORIES] = "whole paths of directories, with : between",
                                           [PROGRAM] = "the whole path of a program" };
    char range[64], what[CONFIG_MISTAKE_BYTES];
    snprintf(range, sizeof(range), "a whole number from %u to %u", s->min, s->max);
    snprintf(what, sizeof(what), "[%s] %s = %.60s: it is %s%s", s->section, s->name, value,
             s->kind == NUMBER         ? range
             : s->choices              ? "one of"
             : strlen(value) >= s->cap ? allowed[TEXT]
                                       : allowed[s->kind],
             s->choices ? s->choices : "");
    size_t len = strlen(what);
    while (len > 0 && what[len - 1] == ' ')
        what[--len] = '\0';
    text_safe(what, c->mistake, sizeof(c->mistake));
}

struct reading {
    FILE *file;
    struct config *config;
    int line, mistaken; /* the one that was read last; the first with a mistake that a setting has, else 0 */
};

/* inih: fgets, which counts. */
static char *next_line(char *line, int cap, void *ctx)
{
    struct reading *reading = ctx;
    reading->line++;
    return fgets(line, cap, reading->file);
}

/* inih: one "name = value" line; 0 makes it return the line's number, of the first such. */
static int on_setting(void *ctx, const char *section, const char *name, const char *value)
{
    struct reading *reading = ctx;
    struct config *c = reading->config;
    if (reading->mistaken != 0)
        return 0;
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        const struct setting *s = &settings[i];
        if (strcmp(s->section, section) == 0 && strcmp(s->name, name) == 0) {
            bool taken = s->kind == NUMBER ? set_number(s, c, value) : set_text(s, c, value);
            if (!taken) {
                say_mistake(c, s, value);
                reading->mistaken = reading->line;
            }
            return taken;
        }
    }
    say_unknown(c, section, name);
    reading->mistaken = reading->line;
    return 0; /* a misspelt name is a mistake, not a wish to be ignored */
}

/* What a disk leaves of a file that was not synced before the power went: as text it would be an empty one. */
static bool has_zeros(FILE *f)
{
    int c;
    while ((c = getc(f)) != EOF && c != '\0')
        ;
    rewind(f); /* clears an error too: it is met again */
    return c == '\0';
}

int config_read(struct config *c, const char *path)
{
    const char *file = path != NULL ? path : CONFIG_FILE_DEFAULT;
    int fd = -1;
    int r = file_open_regular(file, 0, &fd);
    if (r != 0)
        return path == NULL && r == -ENOENT ? 0 : r == FILE_NOT_REGULAR ? -EINVAL : r;
    FILE *f = fdopen(fd, "r");
    if (f == NULL) {
        r = -errno;
        close(fd);
        return r;
    }
    struct config *fresh CLEANUP(freep) = malloc(sizeof(*fresh));
    if (fresh == NULL) {
        fclose(f);
        return -ENOMEM;
    }
    *fresh = *c;
    fresh->mistake[0] = '\0';
    bool is_text = !has_zeros(f);
    struct reading reading = { f, fresh, 0, 0 };
    int line = is_text ? ini_parse_stream(next_line, &reading, on_setting, &reading) : 1;
    bool is_whole = ferror(f) == 0; /* what cannot be read is no end of the file */
    fclose(f);
    if (line < 0 || !is_whole)
        return line < 0 ? -ENOMEM : -EIO;
    if (line > 0 || strlen(file) >= sizeof(fresh->path)) {
        char safe[PATH_MAX];
        snprintf(c->mistake, sizeof(c->mistake), "%.160s, line %d: %.200s", text_safe(file, safe, sizeof(safe)), line,
                 !is_text                               ? "there are zero bytes in it: the file is damaged"
                 : line > 0 && line == reading.mistaken ? fresh->mistake
                                                        : "this is no line NAME = VALUE, and no [SECTION]");
        log_error("the configuration has a mistake: %s", c->mistake);
        return CONFIG_MALFORMED;
    }
    snprintf(fresh->path, sizeof(fresh->path), "%s", file);
    *c = *fresh;
    return 0;
}

bool config_permits(const struct config *c, const char *command)
{
    return c->payment_command[0] == '\0' || strcmp(c->payment_command, command) == 0;
}

unsigned config_keep(const struct config *c, struct config *fresh, char *what, size_t cap)
{
    unsigned n = 0;
    size_t len = 0;
    what[0] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        const struct setting *s = &settings[i];
        const char *before = (const char *)c + s->offset;
        char *now = (char *)fresh + s->offset;
        bool same = s->kind == NUMBER ? memcmp(before, now, s->cap) == 0 : strcmp(before, now) == 0;
        if (!s->at_start || same)
            continue;
        memcpy(now, before, s->cap);
        int more = snprintf(what + len, cap - len, "%s%s %s", n > 0 ? ", " : "", s->section, s->name);
        len = more > 0 ? size_min(len + (size_t)more, cap - 1) : len;
        n++;
    }
    return n;
}
