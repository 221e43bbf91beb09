/* Built without libpq. */
#include <errno.h>

#include "store/copy.h"
#include "store/postgres.h"

int store_pg_judge(const char *database)
{
    (void)database;
    return -ENOTSUP;
}

int store_pg_open(struct store **out, const char *database, const struct store_schema *schema, bool create)
{
    (void)out;
    (void)database;
    (void)schema;
    (void)create;
    return -ENOTSUP;
}

size_t store_pg_files(const char *database, char out[STORE_PG_FILES_MAX][STORE_PG_DATABASE_BYTES])
{
    (void)database;
    (void)out;
    return 0;
}

int store_copy(struct store *from, struct store *to, struct store_copied *out)
{
    (void)from;
    (void)to;
    (void)out;
    return -ENOTSUP;
}
