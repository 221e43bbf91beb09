/* Inside of serving: serve.c (clients, ranges, sending) and serve_body.c (the body files that are open). */
#ifndef NET_SERVE_INTERNAL_H
#define NET_SERVE_INTERNAL_H

#include <limits.h>

#include "net/bunch.h"
#include "net/serve.h"

#define SERVE_READ_BLOCKS 64u

struct serve_body { /* an open body file */
    struct serve *serve;
    struct serve_body *next;
    struct id content;
    char path[PATH_MAX];
    struct bunch_job job;
    int fd, outcome;         /* outcome of opening */
    bool large;              /* its list takes a while: on a trip of its own */
    bool opening, forgotten; /* forgotten: not for new requests */
    uint32_t references;
    struct serve_file file;
};

struct serve_range { /* one request that waits */
    struct serve_range *next;
    uint16_t type;
    uint32_t request, first, count;
    struct serve_body *body;
};

struct serve_read { /* some blocks of a range on their way from the disk */
    struct serve_read *next;
    struct serve_client *client;
    struct serve_body *body;
    struct bunch_job job;
    bool done, last; /* last: of its range */
    int outcome;
    uint32_t request, first, count;
    uint8_t *blocks[SERVE_READ_BLOCKS];
};

struct serve_client {
    struct serve *serve;
    struct serve_client *next;
    struct peer *peer; /* NULL: freed by its owner, waits for the pool */
    serve_sent_fn on_sent;
    void *ctx;
    struct serve_range *ranges, **ranges_last;
    uint32_t range_count;
    struct serve_read *reads, **reads_last; /* in the order in which they will be sent */
    uint32_t read_count;
    bool servicing;
};

struct serve {
    uv_loop_t *loop;
    serve_path_fn path_of;
    void *ctx;
    struct serve_client *clients;
    struct serve_body *bodies; /* the most recently used first */
    struct bunch *bunch;       /* NULL: none */
    struct pace *pace;         /* NULL: none */
    const struct clock *clock; /* of the pace */
    uv_timer_t timer;          /* until more may be read; only with a pace */
    bool closing, timer_open;
};

/* serve_body.c */
/* The body, opened or opening, with a reference for the caller. 0, an enum reason, -errno. */
int serve_body_get(struct serve *s, const struct id *content, struct serve_body **out) MUST_USE;
void serve_body_unref(struct serve_body *b);
/* Closes what nobody uses: all of it when closing, forgotten or broken, else all but the most recent few. */
void serve_bodies_trim(struct serve *s);
/* serve.c */
/* Together with others, or alone. */
void serve_queue(struct serve *s, struct bunch_job *j, bool small, uv_work_cb run, uv_after_work_cb after);
void serve_opened(struct serve *s); /* a body has been opened, or could not be: whoever waits goes on */

#endif
