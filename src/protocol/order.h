/* Order: where an entry stands in a list that several devices change apart. There is always room between two, and what one device adds together stays
 * together when others add at the same place. No I/O, any thread.
 *
 * An order is a row of digits, compared from the left; an absent digit is before any. The last two digits of what is added are the run - a number that
 * its author draws - and the place in it. */
#ifndef PROTOCOL_ORDER_H
#define PROTOCOL_ORDER_H

#include "base/slice.h"

#define ORDER_DIGITS_MAX 32

struct order {
    uint8_t count; /* 1 to ORDER_DIGITS_MAX; the last digit is not 0 */
    uint32_t digits[ORDER_DIGITS_MAX];
};
int order_compare(const struct order *a, const struct order *b);
/* After one and before another; NULL: the beginning, the end. run: not 0. 0; ORDER_FULL: number the list anew. */
#define ORDER_FULL 1
int order_between(const struct order *after, const struct order *before, uint32_t run, struct order *out) MUST_USE;
/* The one at this place of a list that is numbered anew. index below 65535. */
struct order order_at(uint32_t index);

/* One byte for the count, four for each digit, big-endian. */
int order_put(const struct order *o, struct buf *out) MUST_USE;
bool order_read(struct reader *in, struct order *out);

#endif
