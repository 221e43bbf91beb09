/* One run of the operator's payment command: started by the starter, without a shell, told on its standard input what to collect, watched, ended in time. */
#ifndef DISTRIBUTOR_COLLECTOR_HOOK_H
#define DISTRIBUTOR_COLLECTOR_HOOK_H

#include <uv.h>

#include "distributor/payments.h"
#include "distributor/starter.h"

struct hook;
/* outcome by the exit status: 0 paid, 10 declined, anything else (a signal, too long, not started, its starter gone) nothing. detail: first line of its
 * output, or why it was not started; valid during the call. Fires once, on the loop, never before hook_start has returned, when every handle is closed. */
typedef void hook_done(void *ctx, enum payment_outcome outcome, const char *detail);
struct hook_run {
    struct starter *starter;
    int64_t timeout_ms;
    const char *request; /* JSON, one line; copied; less than a page */
    int lock;            /* a descriptor the command holds open as number 3 for as long as it, or a child of it, runs */
};
/* 0 or -errno (nothing was started, and hook_done does not fire). To end it: starter_hurry. */
int hook_start(struct hook **out, uv_loop_t *loop, const struct hook_run *run, hook_done *done, void *ctx) MUST_USE;

#endif
