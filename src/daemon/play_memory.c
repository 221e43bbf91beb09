/* Tables position and setting. Known to the library at once, durable with the next batch of the database. */
#include "daemon/play_memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/db.h"
#include "daemon/library.h"

#define BEGINNING_MS 1000
#define VOLUME "volume"

struct note {
    struct db_job job;
    struct id content;
    uint64_t position_ms;
    uint32_t volume;
    bool of_track;
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

static int read_volume(struct daemon *d)
{
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_SETTINGS);
    char name[32], value[32], *end;
    int r;
    d->volume = 100;
    while ((r = query_step(&q)) == STORE_ROW) {
        query_text(&q, 0, name, sizeof(name));
        query_text(&q, 1, value, sizeof(value));
        unsigned long volume = query_check(&q) == 0 && strcmp(name, VOLUME) == 0 ? strtoul(value, &end, 10) : 101;
        if (volume <= 100 && *end == '\0')
            d->volume = (uint32_t)volume;
    }
    return r == 0 ? query_check(&q) : r;
}

int play_memory_start(struct daemon *d)
{
    int r = read_positions(d);
    return r == 0 ? read_volume(d) : r;
}

static int write_note(struct store *store, struct db_job *job)
{
    const struct note *n = container_of(job, struct note, job);
    char volume[16];
    struct query q CLEANUP(query_end) = query(store, !n->of_track         ? DB_SETTING_PUT
                                                     : n->position_ms > 0 ? DB_POSITION_PUT
                                                                          : DB_POSITION_DELETE);
    if (n->of_track) {
        query_bind_blob(&q, 1, slice(n->content.bytes, ID_BYTES));
        if (n->position_ms > 0)
            query_bind_u64(&q, 2, n->position_ms);
        return query_run(&q);
    }
    (void)snprintf(volume, sizeof(volume), "%u", (unsigned)n->volume);
    query_bind_text(&q, 1, VOLUME);
    query_bind_text(&q, 2, volume);
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
        .of_track = true,
        .position_ms = position_ms < BEGINNING_MS || position_ms > INT64_MAX ? 0 : position_ms,
    };
    if (t == NULL || t->position_ms == n.position_ms)
        return;
    t->position_ms = n.position_ms;
    write_down(d, &n);
}

void play_memory_volume(struct daemon *d, uint32_t percent)
{
    const struct note n = { .volume = percent };
    if (d->volume == percent)
        return;
    d->volume = percent;
    write_down(d, &n);
}
