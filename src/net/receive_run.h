/* Receiving a body for real: drives protocol/receive over a peer, with hashing and files on the pool. For downloads and copies.
 *
 * Blocks go from the buffer they were decrypted into straight to a pool job that hashes and writes them; nothing is copied. What is
 * under way is bounded by the exchange's window. The source may go and another may come; the part file stays until it is complete.
 *
 * Callbacks, in the order in which they fire: any number of on_progress and on_lost, then on_end once. None fires before the starting call
 * has returned, none after receive_run_free. Loop thread. */
#ifndef NET_RECEIVE_RUN_H
#define NET_RECEIVE_RUN_H

#include "base/clock.h"
#include "base/pace.h"
#include "net/peer.h"
#include "protocol/documents.h"

struct receive_run;
struct receive_run_callbacks {
    void (*on_progress)(uint64_t done_bytes, uint64_t total_bytes,
                        void *ctx); /* at most five times a second, and at the end */
    /* The source is not used any more: it closed, stalled, refused (why), or sent what was not asked (REASON_MALFORMED: close it). */
    void (*on_lost)(enum reason why, const char *detail, void *ctx);
    /* REASON_NONE: the body file is complete, durable, and in its place. Else the part file stays, for another try. */
    void (*on_end)(enum reason why, const char *detail, void *ctx);
};

/* dir: where bodies are. Looks first what is there of this content; one that is complete ends at once. 0, -ENOMEM. */
int receive_run_new(struct receive_run **out, uv_loop_t *loop, const struct clock *clock, const char *dir,
                    const struct id *content, const struct receive_run_callbacks *callbacks, void *ctx) MUST_USE;
/* p: borrowed, as long as r lives; blocks are asked for at its pace. */
void receive_run_set_pace(struct receive_run *r, struct pace *p);
/* From an offer, before a source is attached: need not be asked for. Judged like any other. */
void receive_run_offer_info(struct receive_run *r, struct slice info, const uint8_t list_root[32]);
/* p: borrowed, until on_lost, on_end, receive_run_detach or p's on_closed. */
void receive_run_attach(struct receive_run *r, struct peer *p);
/* The same of one source among several: a block of its that does not fit its hash ends in on_lost at once, and is not held against the next. */
void receive_run_attach_place(struct receive_run *r, struct peer *p);
/* Instead of a peer: the body file behind this URL, at any HTTP server that answers ranges (http.h). Whatever is wrong there ends in on_lost, never in
 * on_end: another source may do better. h: borrowed, until then. 0, -ENOMEM. */
struct http;
int receive_run_attach_url(struct receive_run *r, struct http *h, const char *url) MUST_USE;
const struct id *receive_run_content(const struct receive_run *r);
void receive_run_detach(struct receive_run *r); /* no on_lost follows */
bool receive_run_attached(const struct receive_run *r);
/* What has arrived is to be removed: once the pool, which may still write it, is done. Before receive_run_free; accepts NULL. */
void receive_run_discard(struct receive_run *r);
void receive_run_free(struct receive_run *r); /* accepts NULL; freed once the pool is done */
/* Exact content information and list root, once known (always after on_end with REASON_NONE); false before. */
bool receive_run_info(const struct receive_run *r, struct slice *info, const uint8_t **list_root);

#endif
