/* The places where a body may be had beside its distributor, as the distributor says (protocol/place.h): one after another becomes a
 * source of a receive_run. Each is tried once; when none is left the distributor itself is the source, as it was without places.
 * Loop thread. Source: seed Fig. 4, S24. */
#ifndef DAEMON_SOURCES_H
#define DAEMON_SOURCES_H

#include "daemon/account.h"
#include "net/receive_run.h"
#include "protocol/place.h"

#define SOURCES_MAX 8

struct place_link;
struct sources {
    struct daemon *daemon;
    struct receive_run *run; /* borrowed, until sources_deinit */
    struct place places[SOURCES_MAX];
    unsigned count, next;
    bool known, asking, active; /* active: one of them is the source now */
    struct place_link *link;    /* to a contents server */
    uint32_t source;            /* of the run; 0: its link is not there yet */
    void (*on_known)(void *ctx);
    void (*on_failed)(void *ctx);
    void *ctx;
};
/* on_failed: a contents server could not be reached, and nothing was attached; as after receive_run's on_lost, try the next. */
void sources_init(struct sources *s, struct daemon *d, struct receive_run *run, void (*on_failed)(void *ctx),
                  void *ctx);
void sources_deinit(struct sources *s); /* before the run is freed; idempotent; on_known may still fire */
/* Asks the distributor, once: on_known fires when it has answered, whatever it said. 0, or -errno (on_known does not fire). */
int sources_ask(struct sources *s, struct account *a, void (*on_known)(void *ctx)) MUST_USE;
/* The next place becomes the run's source. False: none is left. */
bool sources_attach(struct sources *s);
/* From on_lost: was it the place? Then what leads there is closed. */
bool sources_lost(struct sources *s, const struct receive_lost *lost);
void sources_leave(struct sources *s, enum reason why); /* the one that is used now; nothing when there is none */

#endif
