/* What both sides of a settlement compute alike. */
#ifndef DISTRIBUTOR_SETTLEMENT_INTERNAL_H
#define DISTRIBUTOR_SETTLEMENT_INTERNAL_H

#include "distributor/settlements.h"

/* Fixed amount and basis points of a price, rounded to the nearest cent as shares.h says (half: in favour of who gets it). */
int64_t settlements_fee_of(int64_t fixed, uint32_t points, int64_t price);

#endif
