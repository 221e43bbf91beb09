/* What is the same over every database: closing, and passing on to the implementation. */
#include <assert.h>
#include <stdlib.h>

#include "store/internal.h"

void store_close(struct store *s)
{
    if (!s)
        return;
    for (unsigned i = 0; s->in_use && i < s->schema->statement_count; i++)
        assert(!s->in_use[i]);
    free(s->in_use);
    free(s->kept);
    s->driver->close(s);
}

void store_closep(struct store **s)
{
    store_close(*s);
    *s = NULL;
}

int store_checkpoint(struct store *s, uint64_t *log_pages)
{
    uint64_t pages = 0;
    int r = s->driver->checkpoint(s, &pages);
    if (r == 0 && log_pages)
        *log_pages = pages;
    return r;
}

int store_backup(struct store *s, const char *path) { return s->driver->backup(s, path); }
int store_scrub(struct store *s) { return s->driver->scrub(s); }
int store_verify(struct store *s) { return s->driver->verify(s); }
int store_outside_version(struct store *s, uint64_t *version) { return s->driver->outside_version(s, version); }
int64_t store_changed_count(const struct store *s) { return s->driver->changed_count(s); }
int64_t store_last_id(const struct store *s) { return s->driver->last_id(s); }
