/* Whether a directory is ours to begin in: what somebody else keeps there would be taken along by backups, and opened to nobody else. One thread. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "distributor/admin_init.h"

/* "name*": whatever follows. */
static bool is_named(const char *name, const char *pattern)
{
    size_t len = strlen(pattern);
    return pattern[len - 1] == '*' ? strncmp(name, pattern, len - 1) == 0 : strcmp(name, pattern) == 0;
}

static bool is_ours(const char *name, bool contents)
{
    static const char *const of_distributors[] = { "keys",         "bodies",         "programs",      "confidential",
                                                   "database*",    "operations.db*", "directory.db*", "serve.lock",
                                                   "payment.lock", "console.sock",   "pin-refused-*", "replaced-*" };
    static const char *const of_contents[] = { "contents.key*", "contents.conf*", "bodies" };
    const char *const *names = contents ? of_contents : of_distributors;
    size_t count = contents ? ARRAY_COUNT(of_contents) : ARRAY_COUNT(of_distributors);
    bool yes = name[0] == '.' || strcmp(name, "lost+found") == 0;
    for (size_t i = 0; !yes && i < count; i++)
        yes = is_named(name, names[i]);
    return yes;
}

/* Is it one of the files that the command was told of? */
static bool is_told(const char *dir, const char *name, const char *const own[], size_t count)
{
    char path[PATH_MAX], real[PATH_MAX], other[PATH_MAX];
    if (file_join(path, sizeof(path), dir, name) != 0 || realpath(path, real) == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (own[i] != NULL && realpath(own[i], other) != NULL && strcmp(real, other) == 0)
            return true;
    return false;
}

int admin_judge_directory(struct admin *a, const char *dir, bool contents, const char *const own[], size_t count)
{
    char foreign[NAME_MAX + 1] = "", own_keys[PATH_MAX];
    int r = file_join(own_keys, sizeof(own_keys), dir, contents ? "contents.key" : "keys");
    if (r != 0)
        return admin_error_at(a, r, "use", dir);
    if (access(own_keys, F_OK) == 0)
        return 0; /* it is ours, whatever lies beside */
    DIR *d = opendir(dir);
    if (d == NULL && errno == ENOTDIR)
        return admin_fail(a, REASON_MALFORMED, "%s is no directory.", dir);
    if (d == NULL)
        return errno == ENOENT ? 0 : admin_error_at(a, -errno, "look for what is in", dir);
    for (struct dirent *e; foreign[0] == '\0' && (e = readdir(d)) != NULL;)
        if (!is_ours(e->d_name, contents) && !is_told(dir, e->d_name, own, count))
            snprintf(foreign, sizeof(foreign), "%s", e->d_name);
    closedir(d);
    if (foreign[0] == '\0')
        return 0;
    return admin_fail(
        a, REASON_ALREADY,
        "%s is not empty: %s is not ours. Name a directory of its own with --state-dir, or one that is not there yet.",
        dir, foreign);
}
