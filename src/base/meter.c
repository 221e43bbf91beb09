/* What came in the last half second or longer counts a third: a rate that does not dance. */
#include "base/meter.h"

#include <stdbool.h>

#define LATELY_MS 500

void meter_note(struct meter *m, uint64_t bytes, int64_t now_ms)
{
    int64_t spent_ms = now_ms - m->at_ms;
    bool measured = m->at_ms != 0 && bytes >= m->bytes;
    if (measured && spent_ms < LATELY_MS)
        return;
    if (measured) {
        uint64_t lately = (bytes - m->bytes) * 1000 / (uint64_t)spent_ms;
        m->rate = m->rate == 0 ? lately : (2 * m->rate + lately) / 3;
    }
    m->at_ms = now_ms;
    m->bytes = bytes;
}

uint64_t meter_rate(const struct meter *m, int64_t now_ms) { return now_ms - m->at_ms < METER_STILL_MS ? m->rate : 0; }
