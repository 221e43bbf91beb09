/* Shelf: what a sibling says it has, a page at a time, judged before anybody sees it. It is what that device says and no more: nothing is licensed,
 * believed or kept by it. Without I/O, any thread. */
#ifndef PROTOCOL_SHELF_H
#define PROTOCOL_SHELF_H

#include "messages.pb.h"

#include "base/outcome.h"

#define SHELF_ITEMS_MAX 16   /* of one answer */
#define SHELF_LOOKED_AT 4096 /* tracks that one answer looks at: then the asker may have left */
#define SHELF_LISTED_MAX \
    10000u /* rows that are asked for in one listing: what a sibling says leaves room for the listings of other terminals */
#define SHELF_TRACKS_MAX (1u << 18) /* what lies behind is not told */

/* An answer to this question. 0, or SHELF_MALFORMED: more than was asked for; one that leads back, nowhere, or in steps so small that there would be no end; text
 * that acts on a terminal. */
#define SHELF_MALFORMED 1
int shelf_judge(const msg_ShelfGet *asked, const msg_Shelf *answer) MUST_USE;

#endif
