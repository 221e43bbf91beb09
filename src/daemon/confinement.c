/* Entering it. What is open already, like the database, stays so. */
#define LOG_MODULE "confinement"
#include "daemon/confinement.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/log.h"
#include "base/util.h"

#define OWN_MAX 8
#define OWN_PATH_BYTES (CONFIG_PATH_BYTES + 32)

/* A file here may be replaced by another one (resolv.conf, at each network), which only a rule for the directory covers. */
static const struct confine_path etc = { "/etc", CONFINE_READ };
/* Where the passphrase of the storage key lies there, those that it needs by name. */
static const struct confine_path within_etc[] = {
    { "/etc/resolv.conf", CONFINE_READ }, { "/etc/hosts", CONFINE_READ },    { "/etc/nsswitch.conf", CONFINE_READ },
    { "/etc/host.conf", CONFINE_READ },   { "/etc/gai.conf", CONFINE_READ }, { "/etc/services", CONFINE_READ },
    { "/etc/ssl", CONFINE_READ },         { "/etc/gnutls", CONFINE_READ },   { "/etc/ld.so.cache", CONFINE_READ },
    { "/etc/localtime", CONFINE_READ },
};

struct allowed {
    struct confine_path paths[CONFINE_SYSTEM_FILES + ARRAY_COUNT(within_etc) + OWN_MAX];
    size_t count;
    char own[OWN_MAX][OWN_PATH_BYTES];
    size_t own_count;
};

static void allow(struct allowed *a, const struct confine_path *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        a->paths[a->count++] = paths[i];
}

static void allow_own(struct allowed *a, const char *dir, const char *name, enum confine_access access)
{
    char *path = a->own[a->own_count++];
    (void)snprintf(path, OWN_PATH_BYTES, "%s%s%s", dir, name[0] != '\0' ? "/" : "", name);
    allow(a, &(struct confine_path){ path, access }, 1);
}

/* By name, so that STATE/vault is not among them: keys and licenses are the vault's. The database's files are there by now, and are neither made nor removed. */
static void allow_state(struct allowed *a, const struct config *c)
{
    static const char *const names[] = { "programs", "metadata", "hearthd.db", "hearthd.db-wal", "hearthd.db-shm" };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        allow_own(a, c->state_dir, names[i], CONFINE_WRITE);
    allow_own(a, c->bodies_dir, "", CONFINE_WRITE);
    if (c->ca_file[0] != '\0') {
        if (access(c->ca_file, R_OK) != 0)
            log_warn("[downloads] ca-file cannot be read: what a web server gives is not fetched path=%s error=%s",
                     c->ca_file, strerror(errno));
        allow_own(a, c->ca_file, "", CONFINE_READ);
    }
}

static int filter(void) { return confine_server_calls(0); }

static int confine(const struct config *c, bool *whole)
{
    struct allowed *a CLEANUP(freep) = calloc(1, sizeof(*a));
    if (a == NULL)
        return -ENOMEM;
    allow(a, confine_system_files, CONFINE_SYSTEM_FILES);
    if (strncmp(c->vault_passphrase_file, "/etc/", 5) == 0)
        allow(a, within_etc, ARRAY_COUNT(within_etc));
    else
        allow(a, &etc, 1);
    allow_state(a, c);
    int r = confine_enter(a->paths, a->count, CONFINE_TCP, filter);
    if (r >= 0)
        log_info(r == 0 ? "confined" : "confined in part");
    *whole = r == 0;
    return r > 0 ? 0 : r;
}

extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

int confinement_enter(const struct config *config, bool *whole)
{
    *whole = false;
    if (__sanitizer_set_report_fd) { /* it traces the program from a process of its own, at its end */
        log_warn("built with a sanitizer: not confined");
        return 0;
    }
    return confine(config, whole);
}
