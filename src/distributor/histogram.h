/* Histogram: how often a value fell into which range. Two scales: latencies in microseconds, and numbers of things.
 * No lock of its own: whoever owns one says which thread writes it. */
#ifndef DISTRIBUTOR_HISTOGRAM_H
#define DISTRIBUTOR_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BOUNDS 16

struct histogram_scale {
    uint32_t count; /* of bounds */
    uint32_t unit;  /* so many of a value are one of the unit that is shown: 1000000 microseconds are a second */
    uint64_t bounds[HISTOGRAM_BOUNDS]; /* rising; a value belongs to the first bound that is not below it */
};
extern const struct histogram_scale histogram_latency; /* microseconds, shown in seconds */
extern const struct histogram_scale histogram_sizes;   /* how many */

struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* one for each bound; then what is above the last one */
    uint64_t sum;
};
void histogram_add(struct histogram *h, const struct histogram_scale *scale, uint64_t value);
uint64_t histogram_count(const struct histogram *h, const struct histogram_scale *scale);

#endif
