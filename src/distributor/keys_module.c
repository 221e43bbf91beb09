/* The library of a token is code: it runs in the server before that is confined, and in the operator's commands. Its name lies in keys/, where a server that was taken over can write another one: what
 * that server could have made itself is not loaded. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "distributor/keys_internal.h"

static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

bool keys_module_is_others(const char *state_dir, const char *module)
{
    char file[PATH_MAX], dir[PATH_MAX];
    struct stat of_file, of_dir;
    if (module[0] != '/' || realpath(module, file) == NULL || stat(file, &of_file) != 0)
        return false;
    if (state_dir == NULL || realpath(state_dir, dir) == NULL || stat(dir, &of_dir) != 0) /* before there is one */
        return true;
    return !is_below(file, dir) && (of_file.st_uid == 0 || of_file.st_uid != of_dir.st_uid);
}
