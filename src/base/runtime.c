/* Where hearthd's control socket lies. The answer depends on the environment as little as possible: who starts hearthd from a session and hearth from cron,
 * or the other way round, means the same place. Any thread. */
#include "base/runtime.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_DIR "/run/hearth"

static bool is_ours(const char *dir)
{
    struct stat st;
    return stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

static void add(struct runtime_places *p, const char *base, const char *below)
{
    int n = snprintf(p->dirs[p->count], RUNTIME_DIR_BYTES, "%s%s", base, below);
    if (n <= 0 || n >= RUNTIME_DIR_BYTES)
        return;
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->dirs[i], p->dirs[p->count]) == 0)
            return;
    p->count++;
}

static void add_own(struct runtime_places *p)
{
    const char *session = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME");
    char usual[64];
    snprintf(usual, sizeof(usual), "/run/user/%u", (unsigned)geteuid());
    if (session != NULL && session[0] == '/' && is_ours(session))
        add(p, session, "/hearth");
    if (is_ours(usual))
        add(p, usual, "/hearth");
    if (home != NULL && home[0] == '/')
        add(p, home, "/.local/run/hearth");
}

void runtime_places(struct runtime_places *out)
{
    out->count = 0;
    if (geteuid() == 0)
        add(out, SYSTEM_DIR, "");
    add_own(out);
    add(out, SYSTEM_DIR, "");
}

int runtime_dir(char *out, size_t cap)
{
    struct runtime_places own = { .count = 0 };
    if (geteuid() == 0)
        add(&own, SYSTEM_DIR, "");
    add_own(&own);
    if (own.count == 0)
        return -ENOENT;
    return snprintf(out, cap, "%s", own.dirs[0]) < (int)cap ? 0 : -ENAMETOOLONG;
}
