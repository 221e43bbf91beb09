/* Words and classes. Loop thread. */
#include "daemon/play_verdict.h"

#include <signal.h>
#include <stdio.h>

#include "base/util.h"

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
    return signal == 0 || is_fault(signal) ? vlt_PlayEnd_END_CRASHED : vlt_PlayEnd_END_KILLED;
}

static const struct {
    const char *code, *text;
} ends[] = {
    [vlt_PlayEnd_END_STOPPED] = { "stopped", "it was stopped" },
    [vlt_PlayEnd_END_KILLED] = { "killed", "somebody ended the player" },
    [vlt_PlayEnd_END_CRASHED] = { "crashed", "the player crashed" },
    [vlt_PlayEnd_END_HUNG] = { "hung", "the player hung" },
    [vlt_PlayEnd_END_OUTPUT_FAILED] = { "output-failed", "the output failed" },
    [vlt_PlayEnd_END_UNREADABLE] = { "unreadable", "it could not be read or rendered" },
    [vlt_PlayEnd_END_DAEMON_LOST] = { "daemon-lost", "hearthd ended without a word" },
    [vlt_PlayEnd_END_VAULT_LOST] = { "vault-lost", "the vault ended without a word" },
    [vlt_PlayEnd_END_POWER_LOST] = { "power-lost", "the power was lost" },
};

const char *play_end_code(uint32_t end) { return end < ARRAY_COUNT(ends) ? ends[end].code : NULL; }

const char *play_verdict_text(const vlt_PlayClosed *closed, char out[PLAY_VERDICT_BYTES])
{
    out[0] = '\0';
    if (play_end_code(closed->end) == NULL)
        return out;
    const char *why = ends[closed->end].text;
    if (closed->recovered)
        (void)snprintf(out, PLAY_VERDICT_BYTES, "This play is not counted, because %s (recovery %u of %u).", why,
                       (unsigned)closed->recoveries, (unsigned)closed->max_recoveries);
    else if (closed->counted)
        (void)snprintf(out, PLAY_VERDICT_BYTES, "This play is counted, though %s%s.", why,
                       closed->end >= vlt_PlayEnd_END_CRASHED && closed->max_recoveries > 0
                           ? ": its license allows no more recoveries"
                           : "");
    return out;
}
