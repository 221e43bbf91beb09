/* Built without libpq. */
#include "store/postgres.h"

#include <errno.h>

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
