/* Inside of partners.c, errands.c and lines.c.
 *
 * An errand is one thing asked of one partner; a line is the kept connection to it, dialled by the first errand. */
#ifndef DISTRIBUTOR_PARTNERS_INTERNAL_H
#define DISTRIBUTOR_PARTNERS_INTERNAL_H

#include "distributor/delegations.h"
#include "distributor/directory_client.h"
#include "distributor/partners.h"

struct outgoing;
struct errand;

struct line {
    struct partners *partners;
    struct line *next;
    struct id id;
    char address[OPERATIONS_ADDRESS_BYTES];
    struct outgoing *outgoing; /* NULL: not connected, not trying */
    bool ready;
    int64_t dialled_ms;
    int64_t rests_until_ms; /* 0: the last attempt was fine */
};

enum errand_state {
    ERRAND_FINDING,    /* job */
    ERRAND_CONNECTING, /* waits for the line */
    ERRAND_DELEGATION, /* request */
    ERRAND_KEEPING,    /* job */
    ERRAND_GRANT,      /* request */
    ERRAND_COUNTING,   /* job: how many entries the block has */
    ERRAND_STORING,    /* job */
    ERRAND_LINKING,    /* request */
    ERRAND_ROWS,       /* request */
    ERRAND_TAKING,     /* job: the rows that came */
    ERRAND_OVER,
};

struct waiter {
    struct waiter *next;
    partners_done_fn on_done;
    void *ctx;
};

struct errand {
    struct writer_job job;
    struct partners *partners;
    struct errand *next;
    enum errand_state state;
    bool job_runs;
    struct id partner;
    struct line *line;
    int64_t deadline_ms;
    uint32_t request;       /* 0: none is under way */
    struct waiter *waiters; /* fetching */
    struct partner facts;
    msg_Delegation delegation;
    msg_Grant grant;
    uint64_t version;
    uint32_t entry_count;
    struct buf entries;
    bool is_link, is_unlink, is_rows;
    uint64_t after; /* rows of the partner that are here */
    msg_Rows rows;
    char (*touched)[OPERATIONS_NAME_BYTES]; /* users whose rosters may have changed by them */
    size_t touched_count;
    char address[OPERATIONS_ADDRESS_BYTES];
    msg_PartnerLink link;
    msg_PartnerUnlink unlink;
    partners_linked_fn on_linked;
    void *ctx;
};

struct partners {
    struct server *server;
    struct line *lines;
    struct errand *errands;
    uv_timer_t tick;
    bool tick_open;
    bool stopping;
    void (*on_stopped)(struct server *);
    struct writer_job refresh_job;
    bool refreshing, refresh_wanted;
    int64_t refresh_after;
    struct partner refresh_partner;
    size_t rounds; /* partners_rows.c */
    bool comparing;
    int64_t started_ms, compared_ms; /* when the last comparison in the background began; at first the start */
};

static inline int64_t partners_now_ms(const struct partners *p) { return clock_mono_ms(p->server->clock); }
/* --- partners.c --- */
void partners_stopped_when_idle(struct partners *p);

/* --- errands.c --- */
/* Begins: finds the partner, then everything else. */
void errand_start(struct errand *e);
/* The line is ready: the first question. */
void errand_go_on(struct errand *e);
/* Tells everybody who waits, once; then the errand goes, now or when its job has returned. */
void errand_end(struct errand *e, int outcome, const char *user, const char *detail);

/* For errand_rows.c: a database job, a question, and its reply (false: the errand has ended). */
void errand_submit(struct errand *e, enum errand_state state, struct writer *w,
                   int (*run)(struct writer_job *, void *));
void errand_ask(struct errand *e, enum errand_state state, uint16_t type, const pb_msgdesc_t *fields,
                const void *message, peer_reply_fn on_reply);
bool errand_reply_is(struct errand *e, const struct frame *reply, enum reason why, uint16_t type,
                     const pb_msgdesc_t *fields, size_t max_bytes, void *out, size_t out_size) MUST_USE;

/* --- errand_rows.c --- */
int errand_rows_find(struct errand *e, struct operations *o) MUST_USE; /* reads how far we are; a database thread */
void errand_rows_ask(struct errand *e);
void errand_rows_taken(struct errand *e);

/* --- lines.c --- */
struct line *line_find(struct partners *p, const struct id *id);
/* The errand waits for the line to its partner, which is dialled when it is not there; it may end in here. */
void line_take(struct errand *e, const char *address);
/* Do errands for this partner fail at once, because it could not be reached just now? */
bool line_is_resting(struct partners *p, const struct id *id);

#endif
