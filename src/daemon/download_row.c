/* A download's row in hearthd.db, so that a kill does not end it. The source may be a sibling (fetch_body.c).
 *
 * Callbacks, in order: change_row (pool), on_row (loop). */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/db.h"
#include "daemon/download.h"

struct row_job {
    struct db_job job;
    struct id content, distributor;
    bool add;
};

static int change_row(struct store *store, struct db_job *job)
{
    struct row_job *j = container_of(job, struct row_job, job);
    struct query q CLEANUP(query_end) = query(store, j->add ? DB_DOWNLOAD_PUT : DB_DOWNLOAD_DELETE);
    query_bind_blob(&q, 1, SLICE_ARRAY(j->content.bytes));
    if (j->add)
        query_bind_blob(&q, 2, SLICE_ARRAY(j->distributor.bytes));
    return query_run(&q);
}

static void on_row(struct db_job *job, int outcome)
{
    (void)outcome; /* without its row a download is taken up by the same command; the queue has logged it */
    free(container_of(job, struct row_job, job));
}

void download_row_put(struct daemon *d, const struct id *content, const struct id *distributor, bool add)
{
    struct row_job *j = calloc(1, sizeof(*j));
    if (j == NULL)
        return;
    *j = (struct row_job){
        .job = { .work = change_row, .done = on_row }, .content = *content, .distributor = *distributor, .add = add
    };
    db_run(d->db, &j->job);
}
