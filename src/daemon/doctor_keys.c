/* Whether the vault's files are there and nobody else can read them. Their content is the vault's: nothing is read here. Loop thread. */
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

bool doctor_keys_are_well(const struct daemon *d, char text[DOCTOR_TEXT_BYTES])
{
    static const char *const names[] = { "vault/storage.key", "vault/vault.db" };
    char path[CONFIG_PATH_BYTES + 32];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const char *wrong = file_join(path, sizeof(path), d->config.state_dir, names[i]) == 0 ? wrong_with(path)
                                                                                              : "has too long a name";
        if (wrong == NULL)
            continue;
        (void)snprintf(text, DOCTOR_TEXT_BYTES, "%.200s %s.", path, wrong);
        return false;
    }
    return true;
}
