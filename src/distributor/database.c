/* The choice is one line of a file, so that every command finds the same database without being told. On the caller's thread. */
#define LOG_MODULE "operations"
#include "distributor/database.h"

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"

static int choice_path(const char *state_dir, char *path, size_t cap)
{
    return file_join(path, cap, state_dir, "database");
}

int database_of(const char *state_dir, char out[STORE_PG_DATABASE_BYTES])
{
    char path[1100];
    struct buf text CLEANUP(buf_free) = buf(STORE_PG_DATABASE_BYTES - 1);
    int r = choice_path(state_dir, path, sizeof(path));
    if (r == 0)
        r = file_read_regular(path, &text);
    if (r == -ENOENT) {
        out[0] = '\0';
        return 0;
    }
    if (r < 0)
        return r;
    while (text.len > 0 && isspace(text.data[text.len - 1]))
        text.len--;
    if (text.len > 0)
        memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    r = r > 0 || strlen(out) != text.len ? -EINVAL : store_pg_judge(out);
    if (r != 0)
        log_error(
            "the file `database` in the state directory is of no use: postgresql:CONNECTION, without a password errno=%d",
            -r);
    return r;
}

int database_choose_moved(const char *state_dir, const char *database)
{
    char path[1100], line[STORE_PG_DATABASE_BYTES + 1];
    int r = store_pg_judge(database);
    if (r == 0)
        r = choice_path(state_dir, path, sizeof(path));
    if (r != 0)
        return r;
    snprintf(line, sizeof(line), "%s\n", database);
    return file_replace(path, slice_str(line), 0600);
}

int database_choose(const char *state_dir, const char *database)
{
    char file[1100], now[STORE_PG_DATABASE_BYTES];
    int r = store_pg_judge(database);
    if (r == 0)
        r = database_of(state_dir, now);
    if (r == 0)
        r = file_join(file, sizeof(file), state_dir, "operations.db");
    if (r != 0)
        return r;
    if (now[0] != '\0' ? strcmp(now, database) != 0 : access(file, F_OK) == 0)
        return -EEXIST;
    return database_choose_moved(state_dir, database);
}

void database_unchoose(const char *state_dir)
{
    char path[1100];
    if (choice_path(state_dir, path, sizeof(path)) == 0)
        unlink(path);
}

int database_open(struct store **out, const char *state_dir, const struct store_schema *schema, bool create)
{
    char database[STORE_PG_DATABASE_BYTES], path[1100];
    int r = database_of(state_dir, database);
    if (r != 0)
        return r;
    if (database[0] != '\0')
        return store_pg_open(out, database, schema, create);
    r = file_join(path, sizeof(path), state_dir, "operations.db");
    if (r != 0)
        return r;
    if (access(path, F_OK) != 0 && (!create || errno != ENOENT))
        return -errno;
    return store_open(out, path, schema);
}
