/* Judging of what a sibling says it has. */
#include "protocol/shelf.h"

#include <string.h>

#include "base/text.h"
#include "base/util.h"

#define LICENSE_STATE_MAX 6

static bool is_plain(const char *text) { return text_is_plain(slice(text, strlen(text))); }

static bool is_good(const msg_ShelfItem *i)
{
    return is_plain(i->title) && is_plain(i->creator) && is_plain(i->album) && is_plain(i->media_type) &&
           i->license_state <= LICENSE_STATE_MAX;
}

/* It goes on behind what it told, has told what was asked for or looked at as much as it may, and comes to an end. */
static bool leads_on(const msg_ShelfGet *asked, const msg_Shelf *a)
{
    if (a->next <= asked->at || a->next > SHELF_TRACKS_MAX)
        return false;
    uint32_t step = a->next - asked->at;
    uint32_t full = asked->count < SHELF_ITEMS_MAX ? asked->count : SHELF_ITEMS_MAX;
    return step >= a->items_count + (asked->skip - a->skip) && (a->items_count == full || step >= SHELF_LOOKED_AT);
}

int shelf_judge(const msg_ShelfGet *asked, const msg_Shelf *answer)
{
    if (answer->items_count > asked->count || answer->skip > asked->skip ||
        (answer->items_count > 0 && answer->skip > 0) || (answer->has_next && !leads_on(asked, answer)))
        return SHELF_MALFORMED;
    for (pb_size_t i = 0; i < answer->items_count; i++)
        if (!is_good(&answer->items[i]))
            return SHELF_MALFORMED;
    return 0;
}
