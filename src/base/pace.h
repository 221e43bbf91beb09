/* Pace: how fast bytes may be asked for, so that a limit holds on the average. No clock, no timer of its own: whoever asks says what time it is. One
 * thread. What was taken beyond the rate is waited for before the next is; nothing is saved up. */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdint.h>

struct pace {
    uint64_t rate;  /* bytes a second; 0: as fast as it goes */
    int64_t due_us; /* when what was taken is paid for, monotonic */
};
#define PACE_RATE_MIN 1024u /* below that a block takes longer than a stalled source is waited for */

void pace_set(struct pace *p, uint64_t rate, int64_t now_ms); /* takes effect at once */
/* Milliseconds until more may be asked for, or until that is to be asked again; 0: now. */
uint32_t pace_wait_ms(const struct pace *p, int64_t now_ms);
void pace_take(struct pace *p, uint64_t bytes, int64_t now_ms);

#endif
