/* Everything that is held about a person, as rows of JSON: for the operator (user export) and for the owner (ACCOUNT_EXPORT). Keys, hashes of
 * passwords and codes, and signed forms of what is listed are not part of it. Read-only. Source: design section 6.2 (accounts). */
#ifndef DISTRIBUTOR_PERSON_H
#define DISTRIBUTOR_PERSON_H

#include "distributor/requests.h"

#define PERSON_ROW_BYTES 4096 /* a row's text, with the terminating zero */

extern const unsigned person_part_count;
const char *person_part_name(unsigned part);
/* Fires for each row of a part, from number `first` on, until it returns another value than 0, which is passed on. row: a JSON object, IDs as people
 * know them. 0, -errno. */
typedef int person_row_fn(const char *row, void *ctx);
int person_read(struct operations *o, const char *user, unsigned part, uint64_t first, person_row_fn *on_row, void *ctx)
    MUST_USE;

#endif
