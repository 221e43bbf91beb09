/* Callbacks: run_note (writer thread), on_noted (loop): the finding begins or ends. */
#define LOG_MODULE "row-pace"
#include "distributor/row_pace.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/findings.h"
#include "distributor/metrics.h"
#include "distributor/operations.h"
#include "distributor/quotas.h"
#include "distributor/writer.h"

#define HELD_MAX 64 /* distributors that are held back at a time; of more nobody is told */

struct row_pace {
    struct id held[HELD_MAX];
    size_t count;
};

struct note {
    struct writer_job job;
    struct id origin;
    uint32_t per_minute; /* 0: it is over */
};

int row_pace_new(struct row_pace **out)
{
    *out = calloc(1, sizeof(**out));
    return *out != NULL ? 0 : -ENOMEM;
}

void row_pace_free(struct row_pace *p) { free(p); }

static int run_note(struct writer_job *job, void *database)
{
    const struct note *n = container_of(job, struct note, job);
    int64_t number;
    int r = operations_distributor(database, &n->origin, &number);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    if (n->per_minute > 0)
        findings_note(
            database, FINDING_ROWS_TOO_MANY, number,
            "It gives more than %u shared rows a minute (`[limits] partner-rows-per-minute`): it is read more slowly, and what "
            "its customers change is heard of later. Nothing is left out. Ask its operator what writes them.",
            n->per_minute);
    else
        findings_settle(database, FINDING_ROWS_TOO_MANY, number);
    return 0;
}

static void on_noted(struct writer_job *job, int outcome)
{
    (void)outcome; /* it is said again */
    free(container_of(job, struct note, job));
}

static void note(struct server *server, const struct id *origin, uint32_t per_minute)
{
    struct note *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return;
    n->origin = *origin;
    n->per_minute = per_minute;
    n->job = (struct writer_job){ .run = run_note, .on_done = on_noted };
    writer_submit(server->writer, &n->job);
}

static size_t find(const struct row_pace *p, const struct id *origin)
{
    size_t i = 0;
    while (i < p->count && !id_equal(p->held[i].bytes, origin->bytes))
        i++;
    return i;
}

uint64_t row_pace_take(struct server *server, const struct id *origin, uint32_t rows)
{
    struct row_pace *p = server->row_pace;
    uint32_t per_minute = server->config.partner_rows_per_minute;
    uint64_t wait_ms = quotas_charge(server->quotas, QUOTAS_ORIGIN_ROWS, SLICE_ARRAY(origin->bytes), rows, per_minute);
    if (wait_ms == 0 || rows == 0)
        return wait_ms;
    server->metrics->over_quota[QUOTAS_ORIGIN_ROWS]++;
    if (find(p, origin) == p->count && p->count < HELD_MAX) {
        p->held[p->count++] = *origin;
        note(server, origin, per_minute);
    }
    return wait_ms;
}

void row_pace_ended(struct server *server, const struct id *origin)
{
    struct row_pace *p = server->row_pace;
    size_t i = find(p, origin);
    if (i == p->count || row_pace_take(server, origin, 0) > 0)
        return;
    p->held[i] = p->held[--p->count];
    note(server, origin, 0);
}

void row_pace_all_ended(struct server *server)
{
    for (size_t i = server->row_pace->count; i-- > 0;) {
        struct id origin = server->row_pace->held[i];
        row_pace_ended(server, &origin);
    }
}
