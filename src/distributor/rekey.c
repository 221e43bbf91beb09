/* Callbacks: run (writer's thread), on_done, which submits the next as long as there is more; the writer runs requests in between. */
#define LOG_MODULE "rekey"
#include "distributor/rekey.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/storage.h"

#define ROWS 50        /* a job: milliseconds */
#define QUIET_LOOKS 2u /* after the last change, until the key before has left our memory (keys_storage_keep) */

struct rekey {
    struct writer_job job;
    struct server *server;
    struct storage_work work, next; /* next: of a transaction that may be undone */
    bool runs, more;
    unsigned quiet;
    int failed; /* how it ended last */
};

int rekey_new(struct rekey **out, struct server *server)
{
    struct rekey *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->server = server;
    *out = r;
    return 0;
}

void rekey_free(struct rekey *r) { free(r); }

static int run(struct writer_job *job, void *database)
{
    struct rekey *r = container_of(job, struct rekey, job);
    struct operations *o = database;
    struct storage_list list;
    r->next = r->work;
    int outcome = storage_step(o, &r->next, ROWS);
    r->more = outcome == STORAGE_MORE;
    if (outcome != 0)
        return r->more ? 0 : outcome;
    outcome = storage_list(o, &list);
    if (outcome == 0)
        keys_storage_keep(o->keys, list.ids, list.count);
    return outcome;
}

static void on_done(struct writer_job *job, int outcome);

static void submit(struct rekey *r)
{
    r->runs = true;
    r->job = (struct writer_job){ .run = run, .on_done = on_done };
    writer_submit(r->server->writer, &r->job);
}

static void on_done(struct writer_job *job, int outcome)
{
    struct rekey *r = container_of(job, struct rekey, job);
    r->runs = false;
    if (outcome == -ECANCELED) /* the server stops */
        return;
    if (outcome != 0 && outcome != r->failed)
        log_error("what lies under the storage key of before stays there, and that key as well errno=%d", -outcome);
    r->failed = outcome;
    if (outcome != 0)
        return;
    r->work = r->next;
    if (r->more)
        submit(r);
    else
        r->quiet++;
}

void rekey_look(struct rekey *r, bool changed)
{
    if (changed)
        r->quiet = 0;
    if (!r->runs && (r->quiet < QUIET_LOOKS || r->failed != 0))
        submit(r);
}
