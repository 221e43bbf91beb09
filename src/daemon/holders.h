/* Holders: siblings that have a body, as further sources of a receive_run, beside the one it was begun from. Whoever is online is asked for blocks; who
 * does not have them says so, and is asked again later. What a sibling may read is judged there (device_link.c), what it sends is judged here, block by
 * block: no rights go along, and no distributor is asked. Loop thread. Source: seed S151; design section 6.5. */
#ifndef DAEMON_HOLDERS_H
#define DAEMON_HOLDERS_H

#include "daemon/device_link.h"
#include "net/receive_run.h"

#define HOLDERS_MAX 4u /* at a time */
#define HOLDERS_KNOWN 32u
#define HOLDERS_WORTH_BYTES (4u << 20) /* what is left; less is here before anybody else was asked, */
#define HOLDERS_PATIENCE_MS 2000       /* unless after so long it still takes longer than that again */

struct holder;
struct holder_note { /* who is not to be asked before */
    struct id client;
    int64_t again_ms;
};
struct holders {
    struct daemon *daemon;
    struct receive_run *run; /* borrowed, until holders_deinit */
    struct holder *list;
    struct holder_note known[HOLDERS_KNOWN];
    unsigned known_next;
    int64_t since_ms; /* somebody has been bringing it; 0: nobody yet */
    struct id except; /* the sibling that the run has as its own source; zero: none */
    void (*on_none)(void *ctx);
    void *ctx;
};
/* on_none: the last of those that were asked is gone; not from within holders_look. */
void holders_init(struct holders *h, struct daemon *d, struct receive_run *run, const struct id *except,
                  void (*on_none)(void *ctx), void *ctx);
void holders_deinit(struct holders *h); /* before the run is freed; idempotent */
/* Asks siblings that are online, when it is worth it: from the tick of whoever waits for the body. True: somebody is asked now. */
bool holders_look(struct holders *h);
void holders_leave(struct holders *h); /* all of them: nothing is wanted now */
/* From on_lost. True: it was one of them, and is seen to. Calls on_none last. */
bool holders_lost(struct holders *h, const struct receive_lost *lost);

/* A source has brought what is not the content's: people hear of it. */
void source_blame(struct daemon *d, const struct id *content, const struct receive_lost *lost);

#endif
