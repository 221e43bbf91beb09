/* Use conditions (Fig. 12) as columns, and what becomes of them: bought, renewed, owned, leased, copied, moved. No decisions about who may.
 *
 * Plays and playing time are counted by the holder's vault over all editions of a license (src/vault/use.h), so that limits of a later
 * edition are totals: what was used before, and what may be used on. */
#ifndef DISTRIBUTOR_CONDITIONS_H
#define DISTRIBUTOR_CONDITIONS_H

#include "distributor/products.h"

/* Columns in the order of SQL_CONDITIONS(prefix), from `first` on. */
#define CONDITIONS_COLUMNS 16
void conditions_read(struct query *q, int first, doc_Conditions *out); /* query_check() afterwards */
void conditions_bind(struct query *q, int first, const doc_Conditions *c);

/* Those of a purchase made now. Source: seed S81. */
doc_Conditions conditions_of_product(const struct product *p, int64_t now_ms);
/* Adds what a buyer chose beside. Source: seed S81, S95. */
void conditions_add(doc_Conditions *c, const struct product_option *o);
/* Of a license that has `before`, after a renewal by product p: its period again, from the end of the last one or from now when that is
 * over; its plays and playing time beside what is left. Source: seed S103, S104. */
doc_Conditions conditions_renewed(const doc_Conditions *before, const struct product *p, int64_t now_ms);
/* Ownership: no end, no counted plays, no log. Copies stay as they are. */
doc_Conditions conditions_owned(const doc_Conditions *before);

/* Does a leave nothing to wish for that b gives? */
bool conditions_as_good(const doc_Conditions *a, const doc_Conditions *b);
/* May it be used at this time, as far as times say? */
bool conditions_are_over(const doc_Conditions *c, int64_t now_ms);
/* Is what was used of interest? */
bool conditions_are_counted(const doc_Conditions *c);

#endif
