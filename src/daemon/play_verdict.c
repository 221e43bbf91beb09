/* Words and classes. Loop thread. */
#include "daemon/play_verdict.h"

#include <signal.h>
#include <stdio.h>

#include "base/util.h"
#include "protocol/play_end.h"

vlt_PlayEnd play_end_of_refusal(enum reason why)
{
    switch (why) {
    case REASON_CANCELLED:
        return vlt_PlayEnd_END_STOPPED;
    case REASON_USE_EXHAUSTED: /* it had all that was left */
        return vlt_PlayEnd_END_FINISHED;
    case REASON_OUTPUT_FAILED:
        return vlt_PlayEnd_END_OUTPUT_FAILED;
    case REASON_TIMED_OUT:
        return vlt_PlayEnd_END_HUNG;
    default:
        return vlt_PlayEnd_END_UNREADABLE;
    }
}

/* Signals that a process brings on itself; every other one was sent. */
static bool is_fault(int signal)
{
    static const int faults[] = {
        SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ, SIGPIPE
    };
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++)
        if (faults[i] == signal)
            return true;
    return false;
}

vlt_PlayEnd play_end_of_exit(enum reason why, int signal)
{
    if (why == REASON_CANCELLED)
        return vlt_PlayEnd_END_STOPPED;
    if (why == REASON_TIMED_OUT)
        return vlt_PlayEnd_END_HUNG;
    if (why == REASON_OUTPUT_FAILED)
        return vlt_PlayEnd_END_OUTPUT_FAILED;
    return signal == 0 || is_fault(signal) ? vlt_PlayEnd_END_CRASHED : vlt_PlayEnd_END_KILLED;
}

const char *play_verdict_text(const vlt_PlayClosed *closed, char out[PLAY_VERDICT_BYTES])
{
    const char *why = play_end_text(closed->end);
    out[0] = '\0';
    if (why == NULL)
        return out;
    if (closed->recovered)
        (void)snprintf(out, PLAY_VERDICT_BYTES, "This play is not counted, because %s (recovery %u of %u).", why,
                       (unsigned)closed->recoveries, (unsigned)closed->max_recoveries);
    else if (closed->counted && closed->end == vlt_PlayEnd_END_STOPPED)
        (void)snprintf(out, PLAY_VERDICT_BYTES, "This play is counted: %s after it had begun.", why);
    else if (closed->counted)
        (void)snprintf(out, PLAY_VERDICT_BYTES, "This play is counted, though %s%s.", why,
                       closed->end >= vlt_PlayEnd_END_CRASHED && closed->max_recoveries > 0
                           ? ": its license allows no more recoveries"
                           : "");
    return out;
}
