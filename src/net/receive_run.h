/* Receiving a body for real: drives protocol/receive over a peer, with hashing and files on the pool. For downloads and copies.
 *
 * Blocks go from the buffer they were decrypted into straight to a pool job that hashes and writes them; nothing is copied. What is
 * under way is bounded by the exchange's windows. Sources come and go, several at a time: connections, and URLs at any HTTP server that answers ranges
 * (http.h). None is believed: one that sends what was not asked, or a block that does not fit its hash, is lost, and held against no other. The part file
 * stays until it is complete.
 *
 * Callbacks, in the order in which they fire: any number of on_progress and on_lost, then on_end once. None fires before the starting call
 * has returned, none after receive_run_free. Loop thread. */
#ifndef NET_RECEIVE_RUN_H
#define NET_RECEIVE_RUN_H

#include "base/clock.h"
#include "base/pace.h"
#include "net/peer.h"
#include "protocol/documents.h"

struct bunch;
struct syncer;
struct turns;
struct receive_run;
struct receive_lost { /* borrowed, as its strings, for the call */
    uint32_t source;
    const char *name;
    enum reason why;
    const char *detail; /* or NULL */
};
struct receive_run_callbacks {
    void (*on_progress)(uint64_t done_bytes, uint64_t total_bytes,
                        void *ctx); /* at most five times a second, and at the end */
    /* A source is not used any more: it closed, stalled, refused (why), sent what was not asked (REASON_MALFORMED: close it) or what is not this
     * content's (REASON_BLOCK_CORRUPT, REASON_CONTENT_ID_MISMATCH). The other sources go on. */
    void (*on_lost)(const struct receive_lost *lost, void *ctx);
    /* REASON_NONE: the body file is complete, durable, and in its place. Else the part file stays, for another try. */
    void (*on_end)(enum reason why, const char *detail, void *ctx);
};

struct receive_shared {    /* of runs side by side into one directory; each NULL: every run by itself */
    struct syncer *syncer; /* small bodies wait for the disk together */
    struct bunch *bunch;   /* and go to the pool together */
    struct turns *turns;   /* what one leaves behind is over before the next of its content begins */
};
/* dir: where bodies are. Waits for what an earlier run of this content has left to the pool; then looks first what is there of this content; one that is complete ends at once. shared: NULL, or members that are borrowed as long as
 * the run lives. 0, -ENOMEM. */
int receive_run_new(struct receive_run **out, uv_loop_t *loop, const struct clock *clock, const char *dir,
                    const struct receive_shared *shared, const struct id *content,
                    const struct receive_run_callbacks *callbacks, void *ctx) MUST_USE;
/* p: borrowed, as long as r lives; blocks are asked for at its pace. */
void receive_run_set_pace(struct receive_run *r, struct pace *p);
/* From an offer, before a source is attached: need not be asked for. Judged like any other. */
void receive_run_offer_info(struct receive_run *r, struct slice info, const uint8_t list_root[32]);
/* A source more. name: for people. *source: its number in this run, never 0, never given twice. p: borrowed, until on_lost, receive_run_drop, on_end or
 * p's on_closed. 0, -ENOMEM, -ENOBUFS: there are enough; -ECANCELED: it has ended. */
int receive_run_attach(struct receive_run *r, struct peer *p, const char *name, uint32_t *source) MUST_USE;
/* The same of the body file behind a URL. h: borrowed, likewise. What lies there is judged before the exchange hears of it. */
struct http;
int receive_run_attach_url(struct receive_run *r, struct http *h, const char *url, const char *name, uint32_t *source)
    MUST_USE;
/* No on_lost follows; nothing, when it is gone already. */
void receive_run_drop(struct receive_run *r, uint32_t source);
void receive_run_detach(struct receive_run *r);         /* all of them */
bool receive_run_attached(const struct receive_run *r); /* to any */
const struct id *receive_run_content(const struct receive_run *r);
/* Bytes of blocks that are not here yet; 0 as long as it is not known. */
uint64_t receive_run_left_bytes(const struct receive_run *r);
/* The sources, for people: fills at most max and says how many. */
struct receive_source_view {
    const char *name;
    uint64_t brought_bytes;
    uint64_t rate;    /* bytes a second, lately */
    int64_t still_ms; /* since something last came from it, or since it was attached */
};
size_t receive_run_sources(const struct receive_run *r, struct receive_source_view *out, size_t max);
/* What has arrived is to be removed: once the pool, which may still write it, is done. Before receive_run_free; accepts NULL. */
void receive_run_discard(struct receive_run *r);
void receive_run_free(struct receive_run *r); /* accepts NULL; freed once the pool is done */
/* Removes what there is of a content that no run has. on_done: NULL, or hears 0 or -errno, not before this returns. 0, -ENOMEM. */
int receive_run_remove(uv_loop_t *loop, const struct receive_shared *shared, const char *dir, const struct id *content,
                       void (*on_done)(int outcome, void *ctx), void *ctx) MUST_USE;
/* Exact content information and list root, once known (always after on_end with REASON_NONE); false before. */
bool receive_run_info(const struct receive_run *r, struct slice *info, const uint8_t **list_root);

#endif
