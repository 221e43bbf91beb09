/* How fast shared rows of one distributor are taken: beyond `partner-rows-per-minute` whoever brings them is asked, or answered, later. No row is left out,
 * so no log gets a gap; what waits, waits where it was written. A distributor that is held back is a finding (rows-too-many) until it was read to its end.
 * Loop thread. */
#ifndef DISTRIBUTOR_ROW_PACE_H
#define DISTRIBUTOR_ROW_PACE_H

#include "distributor/server.h"

struct row_pace;
int row_pace_new(struct row_pace **out) MUST_USE;
void row_pace_free(struct row_pace *p); /* accepts NULL; when no job of the writer runs any more */

/* So many rows of this distributor were taken. Returns how many ms to wait before the next ones: 0: none. rows 0: only asks. */
uint64_t row_pace_take(struct server *server, const struct id *origin, uint32_t rows);
/* It has no more rows now; nobody has. */
void row_pace_ended(struct server *server, const struct id *origin);
void row_pace_all_ended(struct server *server);

#endif
