/* Writer: a thread that owns one database connection and works off queued jobs, many to a transaction.
 *
 * Terms
 *   job     one unit of database work, embedded in whoever needs it; borrowed from writer_submit until its on_done
 *   batch   what one transaction holds: up to WRITER_BATCH_MAX jobs or WRITER_BATCH_MS of work, whichever is first;
 *           never waits for more jobs to come. While one batch is being synced the next one gathers by itself.
 *
 * A job runs inside a savepoint of its own: a refusal or failure undoes that job alone. on_done fires on the loop thread and
 * only after the batch is durable, so nothing is ever promised that a power cut could take back. When the commit fails, every
 * job of the batch is told so, and the database holds nothing of it.
 *
 * Over a database that others write to as well (PostgreSQL), a batch that was undone because of them, or because the server was
 * restarted, is run again from its first job: so run leaves nothing behind in memory that a second run would not overwrite. -EAGAIN, -EBUSY
 * and -EHOSTDOWN reach on_done only when that has gone on for too long; -EINPROGRESS, when nobody can say what became of a commit.
 *
 * A reader is the same thread over a read-only connection: each batch sees one consistent view, nothing is committed.
 *
 * Callbacks: run (on the writer's thread, once or several times), then on_done (on the loop thread, once, also when the writer stops). */
#ifndef DISTRIBUTOR_WRITER_H
#define DISTRIBUTOR_WRITER_H

#include <stdbool.h>
#include <uv.h>

#include "distributor/histogram.h"
#include "store/store.h"

#define WRITER_BATCH_MAX 64
#define WRITER_BATCH_MS 20
#define WRITER_TURN_MS 60 /* the same where a transaction is a turn among several processes, which costs more */

struct writer;

struct writer_job {
    /* 0: what it changed is kept. Anything else, positive or negative: what it changed is undone. Passed on to on_done. */
    int (*run)(struct writer_job *job, void *database);
    /* outcome: what run returned, or -errno when the transaction around it failed, or -ECANCELED when it never ran. */
    void (*on_done)(struct writer_job *job, int outcome);
    /* Or NULL: says what run will ask the database (query_ahead). Called for all jobs of a batch before the first one runs, and once more in a second
     * pass, which may build on the answers to the first; not where it makes no difference. */
    void (*ahead)(struct writer_job *job, void *database, unsigned pass);
    bool always;             /* runs though the database's judge says no */
    bool beside;             /* runs while others of its batch are unfinished; otherwise they are finished first */
    uint64_t request;        /* whose lines in the log this one's are (base/log.h); 0: nobody's */
    struct writer_job *next; /* the writer's */
    int outcome;             /* the writer's */
};

/* Jobs that leave something unfinished until the end of their batch, so that it is made on another thread meanwhile. On the writer's thread. */
struct writer_unfinished {
    int first;                     /* a job returns it: undone, the unfinished is finished, and it is run again */
    void (*begun)(void *database); /* each transaction */
    void (*ended)(void *database, int outcome); /* after each job's savepoint: 0: kept, otherwise undone */
    int (*finish)(
        void *database); /* between savepoints, and before the commit. 0, or -errno: nothing of the batch is kept */
    void (*over)(void *database, bool kept); /* after each transaction */
};

struct writer_database {
    void *database;      /* handed to every run; used by the writer's thread only from now on */
    struct store *store; /* its connection */
    bool read_only;
    const struct writer_unfinished *unfinished; /* or NULL */
    /* Or NULL: asked at the beginning of each transaction. 0; -EKEYREVOKED: of its jobs only those run that always do, the others are told that; any
     * other -errno: the transaction has failed. */
    int (*judge)(void *database, void *ctx);
    void *judge_ctx; /* borrowed */
};

/* Starts the thread. d is copied, what it points to is borrowed until writer_stop has returned. 0 or -errno. */
int writer_start(struct writer **out, uv_loop_t *loop, const struct writer_database *d) MUST_USE;
/* Queues a job; never fails. After writer_stop has begun, on_done tells -ECANCELED. Loop thread. */
void writer_submit(struct writer *w, struct writer_job *job);
/* Between two transactions, soon: moves what is left of the write-ahead log, so that the next transaction begins it anew. As nobody else writes, only
 * the writer can; others should have moved most of it, because nothing is written meanwhile. Loop thread. */
void writer_checkpoint(struct writer *w);
/* Runs what is queued, joins the thread, calls every on_done still due (they may submit: those are cancelled), then on_stopped once
 * the writer is freed. Blocks for at most the queued work. Loop thread; accepts NULL (on_stopped is then called at once). */
void writer_stop(struct writer *w, void (*on_stopped)(void *ctx), void *ctx);

struct writer_figures {
    uint64_t waiting; /* queued now */
    uint64_t jobs, batches, failed_batches;
    struct histogram commit_us, batch_jobs; /* of a reader: no commits */
    uint64_t again;                         /* batches that were run once more */
};
void writer_figures(struct writer *w, struct writer_figures *out); /* any thread; zeros for NULL */

#endif
