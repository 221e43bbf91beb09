/* Built without libpq: nobody asks for it. */
#include "town_db.h"

void town_pg_make(struct shop *s) { fail_msg("no PostgreSQL for %s", s->dir); }
void town_pg_free(struct shop *s) { town_pg_make(s); }
int64_t town_pg_ask(const struct shop *s, const char *sql)
{
    fail_msg("no PostgreSQL for %s: %s", s->dir, sql);
    return 0;
}
bool town_pg_change(const struct shop *s, const char *sql) { return town_pg_ask(s, sql) != 0; }
void town_pg_digest(const struct shop *s, struct sha256_state *state)
{
    (void)state;
    town_pg_make((struct shop *)s);
}
