/* Inside of the exchange: exchange.c (every request, from its start to its answer) and exchange_between.c (what distributors have a part in). Loop thread. */
#ifndef DISTRIBUTOR_EXCHANGE_INTERNAL_H
#define DISTRIBUTOR_EXCHANGE_INTERNAL_H

#include "distributor/exchange.h"

void exchange_run(struct exchange *x); /* its database part, from the beginning */
void exchange_submit(struct exchange *x, struct writer *w, int (*run)(struct writer_job *, void *),
                     void (*on_done)(struct writer_job *, int));
void exchange_on_done(struct writer_job *job, int outcome); /* asks others, or finishes */
void exchange_finish(struct exchange *x, int outcome);      /* answers, and ends */
/* A key was withdrawn, and this server has not gone over to the next one; or it never will, since keys/ lacks it (keys_age.h). True: it runs again later. */
bool exchange_waits_for_keys(struct exchange *x);

void exchange_hello(struct exchange *x);
void exchange_link(struct exchange *x);

#endif
