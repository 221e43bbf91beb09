/* Callbacks: write_note (database thread), on_written. */
#include "daemon/setting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/db.h"

struct note {
    struct db_job job;
    char name[SETTING_VALUE_BYTES], value[SETTING_VALUE_BYTES];
};

bool setting_read(struct daemon *d, const char *name, char value[SETTING_VALUE_BYTES])
{
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_SETTINGS);
    char read[SETTING_VALUE_BYTES];
    while (query_step(&q) == STORE_ROW) {
        query_text(&q, 0, read, sizeof(read));
        query_text(&q, 1, value, SETTING_VALUE_BYTES);
        if (query_check(&q) == 0 && strcmp(read, name) == 0)
            return true;
    }
    return false;
}

static int write_note(struct store *store, struct db_job *job)
{
    const struct note *n = container_of(job, struct note, job);
    struct query q CLEANUP(query_end) = query(store, DB_SETTING_PUT);
    query_bind_text(&q, 1, n->name);
    query_bind_text(&q, 2, n->value);
    return query_run(&q);
}

static void on_written(struct db_job *job, int outcome)
{
    (void)outcome; /* said by the database; the next note may fare better */
    free(container_of(job, struct note, job));
}

void setting_put(struct daemon *d, const char *name, const char *value)
{
    struct note *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return;
    n->job = (struct db_job){ .work = write_note, .done = on_written };
    (void)snprintf(n->name, sizeof(n->name), "%s", name);
    (void)snprintf(n->value, sizeof(n->value), "%s", value);
    db_run(d->db, &n->job);
}
