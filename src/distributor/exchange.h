/* Exchange: one request of a session on its way through the server.
 *
 *   database thread -> done: the answer is sent
 *                   -> ask the directory and the partners for their rows, or a partner for what it delegates (bounded by
 *                      EXCHANGE_ASK_MS in all) -> database thread again, when the first of them has answered
 *
 * Requests with a password pass login.c first, LINK asks the partner between its two halves, a distributor's HELLO and the directory's
 * requests have database work of their own. When the connection goes, what has begun still ends, unanswered: the device
 * repeats the same transaction later and gets the kept answer (R5). */
#ifndef DISTRIBUTOR_EXCHANGE_H
#define DISTRIBUTOR_EXCHANGE_H

#include "distributor/links.h"
#include "distributor/metrics.h"
#include "distributor/session.h"
#include "distributor/watch.h"

#define EXCHANGE_ASK_MS 5000

struct exchange {
    struct writer_job job;
    struct server *server;
    struct session *session; /* stays until the exchange has ended, though its peer may go */
    uint16_t type;
    uint32_t request;
    uint64_t log_id; /* in every line of the log that is about it, on whichever thread */
    uint64_t began_ns;
    enum metrics_outcome outcome;
    struct caller who;
    struct reply reply;
    int64_t ask_deadline_ms;
    struct writer *writer;      /* where it ran last */
    struct watch_waiting waits; /* while keys/ has not those that count, or a member that pushes too much */
    uint32_t rows;              /* shared ones that it wrote */
    struct asking
        *asking; /* the directory and partners, asked side by side for rows that are not here; NULL: they were not */
    bool asks_waited;                       /* nothing to do before one of them answers */
    char (*touched)[OPERATIONS_NAME_BYTES]; /* users whose rosters may have changed */
    size_t touched_count;
    struct login_attempt *login; /* of a request with a password; owned */
    struct links_half *half;     /* LINK; owned */
    char partner_user[OPERATIONS_NAME_BYTES];
    doc_Keyset *keyset;         /* a distributor's HELLO; owned */
    struct slice message, tail; /* into bytes */
    size_t bytes_len;
    uint8_t bytes[];
};

/* Copies the frame and begins. The session's exchange is then running. -ENOMEM (nothing was started). */
int exchange_start(struct session *s, uint16_t type, uint32_t request, struct slice message, struct slice tail)
    MUST_USE;
/* For login.c: the database part may run. reason: or it is refused. */
void exchange_registered(struct exchange *x);
void exchange_refuse(struct exchange *x, enum reason reason, const char *detail);
void exchange_refuse_later(struct exchange *x, uint64_t retry_ms); /* rate-limited */

#endif
