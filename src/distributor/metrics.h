/* What the running server counts, and how it is shown to a scraper. Counting is on the loop thread, but for what the threads that own a
 * database count themselves (writer.h). What lies in the database is read when somebody asks (measures.h). */
#ifndef DISTRIBUTOR_METRICS_H
#define DISTRIBUTOR_METRICS_H

#include "distributor/histogram.h"
#include "distributor/measures.h"
#include "distributor/server.h"
#include "protocol/reason.h"

#define METRICS_KINDS 40
#define METRICS_TEXT_MAX (512u << 10)

enum metrics_outcome { METRICS_ANSWERED, METRICS_REFUSED, METRICS_FAILED, METRICS_OUTCOMES }; /* failed: internal */

struct metrics {
    int64_t began_ms; /* wall time */
    struct metrics_kind {
        uint64_t outcomes[METRICS_OUTCOMES];
        struct histogram latency; /* from the whole frame to the answer */
    } kinds[METRICS_KINDS];
    uint64_t refusals[REASON_COUNT];
    uint64_t accepted, turned_away; /* connections; turned away: too many of an address, or no memory */
    uint64_t closed[REASON_COUNT];
    uint64_t paced;         /* times that a socket was not read for a while because its requests came too fast */
    uint64_t over_quota[5]; /* quotas.h: enum quotas_kind */
    uint64_t reloads, reloads_refused;
};

/* "transact"; "other" for what is no request to a distributor. */
const char *metrics_kind_name(uint16_t type);
void metrics_request(struct metrics *m, uint16_t type, enum metrics_outcome outcome, uint64_t took_us);
void metrics_refusal(struct metrics *m, enum reason reason);
void metrics_closed(struct metrics *m, enum reason reason);

/* The whole text, appended to out (bound METRICS_TEXT_MAX). 0, BUF_FULL, -ENOMEM. Loop thread. */
int metrics_text(struct server *server, const struct measures *measures, struct buf *out) MUST_USE;

#endif
