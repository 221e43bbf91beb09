/* Dividing money to the cent. No rows, no rounding error: what is divided is always exactly what was there.
 *
 * The remainder rule: everyone first gets the exact part rounded down; the cents that are left go, one each, to those whose
 * parts lost most by rounding, and among equals to the one named first. */
#ifndef DISTRIBUTOR_SHARES_H
#define DISTRIBUTOR_SHARES_H

#include <stddef.h>
#include <stdint.h>

#include "base/outcome.h"

#define SHARES_MAX 12
#define SHARES_WHOLE 10000 /* basis points */

/* Divides amount >= 0 in proportion to the weights (each >= 0, at most SHARES_MAX): out sums to it, and none is further than one
 * cent from its exact part. amount <= sum of weights: none gets more than its weight. 0; -EINVAL: no weight, or too many. */
int shares_divide(int64_t amount, const int64_t *weights, size_t count, int64_t *out) MUST_USE;

/* What holders get of a price. fixed: first, in order, each at most what is left. basis_points: of what the fixed ones leave, divided by
 * the remainder rule among the holders and, named last, the distributor, who has the points that nobody else has. */
struct share {
    int64_t fixed;
    uint32_t basis_points;
    int64_t amount; /* out */
};
/* *kept: of the price; with it the amounts sum to the price. 0; -EINVAL: points above the whole, a negative number, SHARES_MAX or more. */
int shares_of_price(int64_t price, struct share *shares, size_t count, int64_t *kept) MUST_USE;

#endif
