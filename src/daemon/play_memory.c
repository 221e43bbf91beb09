/* Table position, and the volume. Known to the library at once, durable with the next batch of the database. */
#include "daemon/play_memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/db.h"
#include "daemon/library.h"
#include "daemon/setting.h"

#define BEGINNING_MS 1000
#define VOLUME "volume"

struct note {
    struct db_job job;
    struct id content;
    uint64_t position_ms;
};

static int read_positions(struct daemon *d)
{
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_POSITIONS);
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        struct id content;
        query_fixed(&q, 0, content.bytes, ID_BYTES);
        struct track *t = query_check(&q) == 0 ? library_find(d, content.bytes) : NULL;
        if (t != NULL)
            t->position_ms = query_u64(&q, 1);
    }
    return r == 0 ? query_check(&q) : r;
}

static void read_volume(struct daemon *d)
{
    char value[SETTING_VALUE_BYTES], *end;
    unsigned long volume = setting_read(d, VOLUME, value) ? strtoul(value, &end, 10) : 101;
    d->volume = volume <= 100 && *end == '\0' ? (uint32_t)volume : 100;
}

int play_memory_start(struct daemon *d)
{
    read_volume(d);
    return read_positions(d);
}

static int write_note(struct store *store, struct db_job *job)
{
    const struct note *n = container_of(job, struct note, job);
    struct query q CLEANUP(query_end) = query(store, n->position_ms > 0 ? DB_POSITION_PUT : DB_POSITION_DELETE);
    query_bind_blob(&q, 1, slice(n->content.bytes, ID_BYTES));
    if (n->position_ms > 0)
        query_bind_u64(&q, 2, n->position_ms);
    return query_run(&q);
}

static void on_written(struct db_job *job, int outcome)
{
    (void)outcome; /* said by the database; the next note may fare better */
    free(container_of(job, struct note, job));
}

static void write_down(struct daemon *d, const struct note *what)
{
    struct note *n = malloc(sizeof(*n));
    if (n == NULL)
        return;
    *n = *what;
    n->job = (struct db_job){ .work = write_note, .done = on_written };
    db_run(d->db, &n->job);
}

void play_memory_left(struct daemon *d, const struct id *content, uint64_t position_ms)
{
    struct track *t = library_find(d, content->bytes);
    const struct note n = {
        .content = *content,
        .position_ms = position_ms < BEGINNING_MS || position_ms > INT64_MAX ? 0 : position_ms,
    };
    if (t == NULL || t->position_ms == n.position_ms)
        return;
    t->position_ms = n.position_ms;
    write_down(d, &n);
}

void play_memory_volume(struct daemon *d, uint32_t percent)
{
    char value[SETTING_VALUE_BYTES];
    if (d->volume == percent)
        return;
    d->volume = percent;
    (void)snprintf(value, sizeof(value), "%u", (unsigned)percent);
    setting_put(d, VOLUME, value);
}
