/* Bunch: small jobs that share a trip to the pool. Waking a worker, and the loop afterwards, costs more than what is done there with a small file; so
 * whatever comes while one trip is under way goes together in the next. One trip at a time, the jobs in their order. What is large would hold up the others:
 * it has a trip of its own (bunch_alone). Loop thread; what runs, runs on the pool. */
#ifndef NET_BUNCH_H
#define NET_BUNCH_H

#include <uv.h>

#include "base/outcome.h"

#define BUNCH_BYTES_MAX (64u * 1024) /* a job that reads, hashes or writes more goes alone */

struct bunch;
struct bunch_job {  /* embedded by who waits; until after fires */
    uv_work_t work; /* data: the owner's */
    uv_work_cb run;
    uv_after_work_cb after;
    struct bunch_job *next;
};

int bunch_new(struct bunch **out, uv_loop_t *loop) MUST_USE; /* 0, -ENOMEM */
void bunch_free(struct bunch *b); /* what waits is done all the same; it is freed then. Accepts NULL. */
/* run on the pool, then after on the loop (status 0), never before this returns: as uv_queue_work. */
void bunch_add(struct bunch *b, struct bunch_job *j, uv_work_cb run, uv_after_work_cb after);
void bunch_alone(uv_loop_t *loop, struct bunch_job *j, uv_work_cb run, uv_after_work_cb after);

#endif
