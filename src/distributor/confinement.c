/* Entering it. What is open already, like the database and the console's socket, stays so. */
#define LOG_MODULE "confinement"
#include "distributor/confinement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/confine.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "distributor/keys.h"
#include "store/postgres.h"

#define PATHS_MAX 64

struct allowed {
    struct confine_path paths[PATHS_MAX];
    char own[PATHS_MAX][PATH_MAX];
    size_t count;
    bool full;
};

static void allow(struct allowed *a, enum confine_access access, const char *path, size_t len)
{
    if (len == 0)
        return;
    a->full |= a->count == PATHS_MAX || len >= PATH_MAX;
    if (a->full)
        return;
    memcpy(a->own[a->count], path, len);
    a->own[a->count][len] = '\0';
    a->paths[a->count] = (struct confine_path){ a->own[a->count], access };
    a->count++;
}

static void allow_file(struct allowed *a, enum confine_access access, const char *path)
{
    if (path != NULL)
        allow(a, access, path, strlen(path));
}

/* A file that is written anew, or replaced, is another one: its directory. */
static void allow_around(struct allowed *a, enum confine_access access, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == path)
        return; /* not all there is */
    allow(a, access, slash != NULL ? path : ".", slash != NULL ? (size_t)(slash - path) : path[0] != '\0');
}

/* Its directories by name as well: they may be links to another disk. */
static void allow_state(struct allowed *a, const struct config *c)
{
    static const char *const names[] = { "", "/bodies", "/keys", "/programs", "/confidential" };
    char path[PATH_MAX + 16];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", c->state_dir, names[i]);
        allow_file(a, CONFINE_WRITE, path);
    }
    allow_around(a, CONFINE_WRITE, c->pid_file);
    allow_around(a, CONFINE_WRITE, c->address_file);
    allow_around(a, CONFINE_READ, c->path);
}

/* What libpq reads for a connection that is made anew. */
static void allow_database(struct allowed *a, const char *database)
{
    static const char *const variables[] = { "PGPASSFILE", "PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT", "PGSERVICEFILE" };
    static const char *const names[] = { "/.pgpass", "/.postgresql", "/.pg_service.conf" };
    char path[PATH_MAX], files[STORE_PG_FILES_MAX][STORE_PG_DATABASE_BYTES];
    const char *home = getenv("HOME");
    for (size_t i = 0; i < ARRAY_COUNT(variables); i++)
        allow_file(a, CONFINE_READ, getenv(variables[i]));
    for (size_t i = 0; home != NULL && i < ARRAY_COUNT(names); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", home, names[i]);
        allow_file(a, CONFINE_READ, path);
    }
    for (size_t i = 0, count = store_pg_files(database, files); i < count; i++)
        allow_file(a, CONFINE_READ, files[i]);
}

/* `directories.tokendir = DIR` of SoftHSM's configuration. */
static void allow_softhsm(struct allowed *a)
{
    static const char name[] = "directories.tokendir";
    char line[PATH_MAX];
    const char *path = getenv("SOFTHSM2_CONF");
    FILE *f = path != NULL ? fopen(path, "re") : NULL;
    allow_file(a, CONFINE_READ, path);
    allow_file(a, CONFINE_WRITE, "/var/lib/softhsm");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        const char *value = strchr(line, '=');
        if (strncmp(line, name, sizeof(name) - 1) != 0 || value == NULL)
            continue;
        value += 1 + strspn(value + 1, " \t");
        allow(a, CONFINE_WRITE, value, strcspn(value, "\r\n"));
    }
    if (f != NULL)
        (void)fclose(f);
}

static void allow_tokens(struct allowed *a, const struct config *c)
{
    char pins[KEYS_TOKENS_MAX][KEYS_PLACE_BYTES];
    for (size_t i = 0, count = keys_token_pins(c->state_dir, pins); i < count; i++)
        allow_around(a, CONFINE_READ, pins[i]);
    allow_softhsm(a);
    for (const char *at = c->token_paths; *at != '\0'; at += strspn(at, ":")) {
        size_t len = strcspn(at, ":");
        allow(a, CONFINE_WRITE, at, len);
        at += len;
    }
}

static int filter(void) { return confine_server_calls(CONFINE_LINKS); }
static int filter_files(void) { return confine_server_calls(CONFINE_LINKS | CONFINE_FOR_EVERYBODY); }
static int filter_sockets(void) { return confine_server_calls(CONFINE_LINKS | CONFINE_UNIX_SOCKETS); }
static int filter_both(void)
{
    return confine_server_calls(CONFINE_LINKS | CONFINE_UNIX_SOCKETS | CONFINE_FOR_EVERYBODY);
}

/* A database on this machine, and the daemon of card readers, are reached over Unix sockets; the files that announce us are everybody's to read. */
static int (*filter_of(const struct confinement *c))(void)
{
    char pins[KEYS_TOKENS_MAX][KEYS_PLACE_BYTES];
    bool sockets =
        c->database[0] != '\0' || c->config->token_paths[0] != '\0' || keys_token_pins(c->config->state_dir, pins) > 0;
    bool files = c->config->pid_file[0] != '\0' || c->config->address_file[0] != '\0';
    return sockets && files ? filter_both : sockets ? filter_sockets : files ? filter_files : filter;
}

/* What a copy or a restore by hand has left open to others: a store closes it when it is opened, which may be after no mode can be changed. */
static int make_private(const char *state_dir)
{
    static const char *const names[] = { "directory.db", "confidential/programs.db" };
    char path[PATH_MAX];
    struct stat st;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        int r = file_join(path, sizeof(path), state_dir, names[i]);
        if (r == 0 && lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0 && chmod(path, 0600) != 0)
            r = -errno;
        if (r != 0)
            return r;
    }
    return 0;
}

extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

int confinement_enter(const struct confinement *c, enum confinement_kind *kind)
{
    *kind = CONFINEMENT_NONE;
    int r = make_private(c->config->state_dir);
    if (r != 0)
        return r;
    if (__sanitizer_set_report_fd) { /* it traces the program from a process of its own, at its end */
        log_warn("built with a sanitizer: not confined");
        return 0;
    }
    struct allowed *a CLEANUP(freep) = calloc(1, sizeof(*a));
    if (a == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < CONFINE_SYSTEM_FILES; i++)
        allow_file(a, confine_system_files[i].access, confine_system_files[i].path);
    allow_file(a, CONFINE_READ, "/etc");
    allow_state(a, c->config);
    allow_tokens(a, c->config);
    if (c->database[0] != '\0')
        allow_database(a, c->database);
    if (a->full)
        return -ENAMETOOLONG;
    r = confine_enter(a->paths, a->count, CONFINE_TCP, filter_of(c));
    if (r < 0)
        return r;
    *kind = r == 0 ? CONFINEMENT_WHOLE : CONFINEMENT_PARTS;
    log_info(r == 0 ? "confined" : "confined in part");
    return 0;
}
