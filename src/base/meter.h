/* Meter: how fast a count of bytes rises lately, as a person reads it. No clock of its own. One thread. */
#ifndef BASE_METER_H
#define BASE_METER_H

#include <stdint.h>

#define METER_STILL_MS 3000 /* what has not been noted for that long stands still */

struct meter {      /* all zero: nothing is known */
    uint64_t rate;  /* bytes a second; 0: not known */
    uint64_t bytes; /* the count, when it was last looked at, */
    int64_t at_ms;  /* at that time; 0: never */
};

/* The count has risen to `bytes`; one that has fallen begins anew. now_ms: monotonic. */
void meter_note(struct meter *m, uint64_t bytes, int64_t now_ms);
/* Bytes a second; 0: it is not known, or stands still. */
uint64_t meter_rate(const struct meter *m, int64_t now_ms);

#endif
