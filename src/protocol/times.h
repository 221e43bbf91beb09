/* Times in documents against a clock that may be a little off. Private to the judging files of this folder. */
#ifndef PROTOCOL_TIMES_H
#define PROTOCOL_TIMES_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/documents.h"

/* Document times are unsigned, the clock is not: before 1970 counts as 1970. */
static inline uint64_t times_now(int64_t now_ms) { return now_ms > 0 ? (uint64_t)now_ms : 0; }
/* Is now after ends_ms, by more than the allowed skew? */
static inline bool times_ended(uint64_t ends_ms, int64_t now_ms)
{
    uint64_t now = times_now(now_ms);
    return now > ends_ms && now - ends_ms > DOCUMENTS_SKEW_MS;
}
/* Is now before from_ms, by more than the allowed skew? */
static inline bool times_before(uint64_t from_ms, int64_t now_ms)
{
    uint64_t now = times_now(now_ms);
    return from_ms > now && from_ms - now > DOCUMENTS_SKEW_MS;
}

#endif
