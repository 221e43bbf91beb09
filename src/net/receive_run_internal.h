/* Inside of a receive_run: receive_run.c (life, what is next), receive_source.c (questions to a connection, and its answers), receive_http.c (a URL) and
 * receive_pool.c (what the pool does). */
#ifndef NET_RECEIVE_RUN_INTERNAL_H
#define NET_RECEIVE_RUN_INTERNAL_H

#include "base/meter.h"
#include "net/bodies.h"
#include "net/bunch.h"
#include "net/receive_run.h"
#include "net/syncer.h"
#include "net/turns.h"
#include "protocol/receive.h"

struct range { /* one BLOCKS_GET that is not answered to the end */
    struct receive_source *source;
    struct range *next;
    uint32_t request, index, end;
};

struct receive_source {
    struct receive_run *run;
    struct receive_source *next;
    unsigned number;   /* in the exchange */
    uint32_t serial;   /* of all that the run ever had */
    struct peer *peer; /* or: */
    struct receive_http *http;
    uint32_t question; /* the open INFO_GET or LIST_GET; 0: none */
    uint32_t vigil;    /* a request nobody answers: tells that the peer closes, also when nothing is asked */
    struct range *ranges;
    struct meter meter;
    int64_t since_ms; /* attached */
    char name[64];
};

struct receive_run {
    uv_loop_t *loop;
    const struct clock *clock;
    struct pace *pace; /* NULL: none */
    struct receive_shared shared;
    struct sync_wait wait;
    struct turn turn;
    struct receive_run_callbacks callbacks;
    void *ctx;
    char dir[BODIES_PATH_BYTES];
    struct receive exchange;
    struct body_part part;
    struct receive_source *sources;
    uint32_t last_serial;
    uint32_t verified_count; /* blocks hashed by this run; those of an earlier one are not hashed again */
    uv_timer_t timer;
    struct bunch_job look, prepare;
    uv_work_t sync, finish;
    struct serve_file found; /* by look */
    int look_outcome, prepare_outcome, sync_outcome, finish_outcome;
    bool found_complete;
    uint8_t *have, *sync_marks; /* of prepare and sync */
    uint32_t busy;              /* pool jobs under way */
    int64_t progress_ms;
    bool something; /* by peek */
    bool looked, ended, freed, timer_open, discard;
};

/* receive_run.c */
void receive_run_lose(struct receive_source *s, enum reason why, const char *detail); /* calls out: last */
void receive_run_taken(struct receive_source *s, int outcome); /* of an input of the exchange; calls out: last */
void receive_run_pump(struct receive_run *r);                  /* does what the exchange says until it waits */
void receive_run_end(struct receive_run *r, enum reason why, const char *detail);        /* calls out: last */
void receive_run_tell(struct receive_run *r, bool always);                               /* progress */
struct receive_source *receive_run_source(const struct receive_run *r, uint32_t serial); /* NULL: gone */
/* By the exchange's number; NULL as well. */
struct receive_source *receive_run_numbered(const struct receive_run *r, int number);
void receive_run_release(struct receive_run *r); /* frees it when it may go */
/* A block has come from s: memory (malloc) is taken, also on failure; block lies inside it. 0, RECEIVE_UNASKED, -ENOMEM. */
int receive_run_block(struct receive_source *s, void *memory, uint32_t index, struct slice block) MUST_USE;
/* receive_source.c */
int receive_source_act(struct receive_source *s, const struct receive_action *a) MUST_USE; /* 0, -errno of sending */
void receive_source_watch(struct receive_source *s);                                       /* begins the vigil */
void receive_source_forget(struct receive_source *s);                                      /* every question */
/* receive_pool.c */
void receive_pool_look(struct receive_run *r); /* what is there of this content? */
void receive_pool_prepare(struct receive_run *r);
void receive_pool_sync(struct receive_run *r);
void receive_pool_finish(struct receive_run *r);
void receive_pool_discard(struct receive_run *r); /* when nothing else is under way */
/* Takes memory (malloc), also on failure; block lies inside it. 0, -ENOMEM. */
int receive_pool_store(struct receive_source *s, void *memory, uint32_t index, struct slice block) MUST_USE;
/* One job more, one less: true when nobody wants to hear of it any more. */
void receive_pool_queue(struct receive_run *r, uv_work_t *work, uv_work_cb run, uv_after_work_cb after);
bool receive_pool_done(struct receive_run *r) MUST_USE;

/* receive_http.c: a body file at a URL as a source. */
struct http;
int receive_http_new(struct receive_http **out, struct receive_source *of, struct http *h, const char *url) MUST_USE;
void receive_http_free(struct receive_http *s); /* what is under way is cancelled */
/* Does what the exchange asks of its source; may feed it at once. 0, RECEIVE_UNASKED, -errno. */
int receive_http_act(struct receive_http *s, const struct receive_action *a) MUST_USE;

#endif
