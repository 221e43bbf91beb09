/* Counting only; how it is shown: openmetrics.c. Any thread, one at a time. */
#include "distributor/histogram.h"

const struct histogram_scale histogram_latency = { 15,
                                                   1000000,
                                                   { 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
                                                     500000, 1000000, 2500000, 5000000, 10000000 } };
const struct histogram_scale histogram_sizes = { 9, 1, { 1, 2, 4, 8, 16, 32, 64, 128, 256 } };

void histogram_add(struct histogram *h, const struct histogram_scale *scale, uint64_t value)
{
    uint32_t at = 0;
    while (at < scale->count && value > scale->bounds[at])
        at++;
    h->counts[at]++;
    h->sum += value;
}

uint64_t histogram_count(const struct histogram *h, const struct histogram_scale *scale)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i <= scale->count; i++)
        n += h->counts[i];
    return n;
}
