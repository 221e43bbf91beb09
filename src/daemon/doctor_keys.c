/* Whether the vault's files are there and nobody else can read them, and what their key is bound to. Their content is the vault's: nothing is read here. Loop thread. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "daemon/status.h"

static const char *wrong_with(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? "is missing" : strerror(errno);
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return "is not the file it was";
    if (st.st_uid != geteuid())
        return "belongs to somebody else";
    if ((st.st_mode & 077) != 0)
        return "can be read by others";
    return access(path, R_OK | W_OK) == 0 ? NULL : strerror(errno);
}

/* Nothing is read here: each form of the key (vault/storage_key.c) has a length of its own. What the configuration says need not be so: `key` may be absent. */
static const char *bound(const char *storage_key)
{
    enum { AS_IT_IS_BYTES = 40, UNDER_PASSPHRASE_BYTES = 84 };
    struct stat st;
    if (lstat(storage_key, &st) != 0 || st.st_size == AS_IT_IS_BYTES)
        return "Whoever copies them has them; [vault] key in hearthd.conf binds them.";
    return st.st_size == UNDER_PASSPHRASE_BYTES ? "Their key is under a passphrase."
                                                : "They open on this machine alone: its TPM seals their key.";
}

/* A group is not looked at: an access list, which a service manager may set for the one user, shows as its rights. */
static bool is_open(const char *passphrase_file)
{
    struct stat st;
    return passphrase_file[0] != '\0' && stat(passphrase_file, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) != 0;
}

const char *doctor_keys(const struct daemon *d, char text[DOCTOR_TEXT_BYTES])
{
    static const char *const names[] = { "vault/vault.db", "vault/storage.key" };
    char path[CONFIG_PATH_BYTES + 32];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const char *wrong = file_join(path, sizeof(path), d->config.state_dir, names[i]) == 0 ? wrong_with(path)
                                                                                              : "has too long a name";
        if (wrong == NULL)
            continue;
        (void)snprintf(text, DOCTOR_TEXT_BYTES, "%.200s %s.", path, wrong);
        return "Give it back as it was: owner and mode 0600 (chown, chmod), or the file from a copy of the state directory. Lost for good: register again in a fresh state directory, then hearth restore";
    }
    if (is_open(d->config.vault_passphrase_file)) {
        (void)snprintf(text, DOCTOR_TEXT_BYTES,
                       "The passphrase in %.160s is not for the vault alone: others may use it.",
                       d->config.vault_passphrase_file);
        return "chmod 600 it";
    }
    (void)snprintf(text, DOCTOR_TEXT_BYTES, "The vault's files are there, and nobody else can read them. %s",
                   bound(path));
    return NULL;
}
