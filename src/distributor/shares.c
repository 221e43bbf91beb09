/* Arithmetic only. Products of two 63-bit amounts need 128 bits. */
#include "distributor/shares.h"

#include <errno.h>
#include <stdbool.h>

#include "base/util.h"

__extension__ typedef unsigned __int128 wide;

static int sum_of(const int64_t *weights, size_t count, int64_t *sum)
{
    *sum = 0;
    for (size_t i = 0; i < count; i++)
        if (weights[i] < 0 || __builtin_add_overflow(*sum, weights[i], sum))
            return -EINVAL;
    return 0;
}

int shares_divide(int64_t amount, const int64_t *weights, size_t count, int64_t *out)
{
    int64_t lost[SHARES_MAX], sum, left = amount;
    if (amount < 0 || count > SHARES_MAX || sum_of(weights, count, &sum) != 0)
        return -EINVAL;
    if (sum == 0)
        return amount == 0 && count == 0 ? 0 : -EINVAL;
    for (size_t i = 0; i < count; i++) {
        wide exact = (wide)amount * (wide)weights[i];
        out[i] = (int64_t)(exact / (wide)sum);
        lost[i] = (int64_t)(exact % (wide)sum);
        left -= out[i];
    }
    for (; left > 0; left--) { /* fewer cents than parts that lost something */
        size_t most = 0;
        for (size_t i = 1; i < count; i++)
            if (lost[i] > lost[most])
                most = i;
        out[most]++;
        lost[most] = -1;
    }
    return 0;
}

int shares_of_price(int64_t price, struct share *shares, size_t count, int64_t *kept)
{
    int64_t points[SHARES_MAX], parts[SHARES_MAX], left = price, whole = 0;
    if (price < 0 || count >= SHARES_MAX)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (shares[i].fixed < 0)
            return -EINVAL;
        shares[i].amount = shares[i].fixed < left ? shares[i].fixed : left;
        left -= shares[i].amount;
        points[i] = shares[i].basis_points;
        whole += points[i];
    }
    if (whole > SHARES_WHOLE)
        return -EINVAL;
    points[count] = SHARES_WHOLE - whole; /* the distributor's, named last */
    int r = shares_divide(left, points, count + 1, parts);
    if (r != 0)
        return r;
    for (size_t i = 0; i < count; i++)
        shares[i].amount += parts[i];
    *kept = parts[count];
    return 0;
}
