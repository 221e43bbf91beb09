/* The wish list: entries of catalogues that somebody of the household wants. Whoever is a customer of the entry's distributor can buy it; then it says so on
 * every device. Loop thread.
 *
 * Callbacks, in order: on_found (add), plan_wish, on_wished. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/library.h"
#include "daemon/listing.h"
#include "daemon/shop.h"
#include "daemon/siblings.h"
#include "daemon/state.h"

#define PREFIX_MIN 4

enum wish_action { WISH_ADD, WISH_REMOVE, WISH_BOUGHT };
struct wish {
    struct state_edit edit;
    struct daemon *daemon;
    struct call *call; /* NULL: nobody asked */
    enum wish_action action;
    struct id content, distributor;
    char title[STATE_TITLE_BYTES];
};

/* ---- rows ---------------------------------------------------------------------------------------------------- */

static bool is_bought_here(struct daemon *d, const struct id *content)
{
    const struct track *t = library_find(d, content->bytes);
    const struct track_license *l = t == NULL ? NULL : track_license(t);
    return l != NULL && l->state != LICENSE_SURRENDERED;
}

/* Of several under one key the bought one, else the first. */
static const struct replica_item *next_wish(const struct replica *r, size_t *index)
{
    size_t count;
    if (*index >= r->count || r->items[*index]->kind != STATE_WISH)
        return NULL;
    const struct replica_item *best = r->items[*index];
    (void)replica_find(r, STATE_WISH, replica_key(best), &count);
    for (size_t i = *index; i < *index + count; i++)
        if (replica_value(r->items[i]).data[0] > replica_value(best).data[0])
            best = r->items[i];
    *index += count;
    return best;
}

static size_t first_wish(const struct replica *r)
{
    size_t none;
    return replica_find(r, STATE_WISH, slice(NULL, 0), &none);
}

static void send_row(struct daemon *d, struct call *c, const struct replica_item *i, uint32_t number)
{
    struct id content, distributor;
    char short_id[ID_SHORT_BYTES];
    ctl_WishRow row = { .number = number };
    row.bought = state_wish_of(i, &content, &distributor, row.title);
    CODEC_SET_TEXT(row.device, state_author(d, &i->dot, short_id));
    if (!row.bought && is_bought_here(d, &content)) {
        row.bought = true;
        CODEC_SET_TEXT(row.device, siblings_own_name(d));
    }
    memcpy(row.content, content.bytes, ID_BYTES);
    memcpy(row.distributor, distributor.bytes, ID_BYTES);
    CODEC_SET_TEXT(row.distributor_name, library_issuer_name(d, &distributor, short_id));
    CALL_ROW(c, WISH_ROW, WishRow, &row);
}

void wishes_handle(struct daemon *d, struct call *c, const void *message)
{
    const struct replica *r = state_replica(d);
    size_t index = first_wish(r);
    (void)message;
    uint64_t listing = listing_begin(d);
    for (const struct replica_item *i; (i = next_wish(r, &index)) != NULL;) {
        struct id content, distributor;
        char title[STATE_TITLE_BYTES];
        (void)state_wish_of(i, &content, &distributor, title);
        send_row(d, c, i, listing_add(d, listing, &content, &distributor, title, NULL));
    }
    call_finish(c);
}

/* ---- changing ------------------------------------------------------------------------------------------------ */

static bool is_bought(const struct replica *r, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        if (replica_value(r->items[i]).data[0] == 1)
            return true;
    return false;
}

static int plan_wish(struct state_edit *edit, const struct replica *r, struct replica_change *c)
{
    const struct wish *w = container_of(edit, struct wish, edit);
    struct buf value CLEANUP(buf_free) = buf(REPLICA_VALUE_MAX);
    uint8_t key[2 * ID_BYTES];
    size_t count, first;
    memcpy(key, w->content.bytes, ID_BYTES);
    memcpy(key + ID_BYTES, w->distributor.bytes, ID_BYTES);
    first = replica_find(r, STATE_WISH, SLICE_ARRAY(key), &count);
    if (w->action == WISH_BOUGHT && is_bought(r, first, count))
        return 0;
    if (w->action == WISH_ADD && count > 0)
        return 0; /* whoever asked for it, it is there */
    if (w->action != WISH_ADD && count == 0)
        return w->action == WISH_REMOVE ? REASON_NOT_FOUND : 0;
    if (w->action == WISH_REMOVE)
        return replica_put(r, c, STATE_WISH, SLICE_ARRAY(key), slice(NULL, 0), NULL);
    int o = state_wish_put(w->action == WISH_BOUGHT, w->title, &value);
    return o == 0 ? replica_put(r, c, STATE_WISH, SLICE_ARRAY(key), buf_slice(&value), NULL) : o;
}

static void on_wished(struct state_edit *edit, int outcome)
{
    struct wish *w = container_of(edit, struct wish, edit);
    if (w->call != NULL && outcome != 0) {
        char detail[256];
        state_say_full(w->daemon, detail, sizeof(detail));
        call_refuse(w->call, reason_of_error(outcome), outcome == REASON_TOO_LARGE ? detail : NULL);
    } else if (w->call != NULL) {
        const struct replica *r = state_replica(w->daemon);
        uint8_t key[2 * ID_BYTES];
        size_t count, index;
        memcpy(key, w->content.bytes, ID_BYTES);
        memcpy(key + ID_BYTES, w->distributor.bytes, ID_BYTES);
        index = replica_find(r, STATE_WISH, SLICE_ARRAY(key), &count);
        if (w->action == WISH_ADD && count > 0)
            send_row(w->daemon, w->call, next_wish(r, &index), 0);
        call_finish(w->call);
    }
    free(w);
}

static struct wish *wish_new(struct daemon *d, struct call *c, enum wish_action action)
{
    struct wish *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->edit = (struct state_edit){ .plan = plan_wish, .done = on_wished };
    w->daemon = d;
    w->call = c;
    w->action = action;
    return w;
}

static void on_found(const struct found *found, enum reason why, const char *detail, const msg_Refusal *refusal,
                     void *ctx)
{
    struct wish *w = ctx;
    if (found == NULL) {
        if (refusal != NULL)
            call_refuse_as(w->call, refusal);
        else
            call_refuse(w->call, why, detail);
        free(w);
        return;
    }
    w->content = found->entry.content;
    w->distributor = found->entry.distributor;
    CODEC_SET_TEXT(w->title, found->entry.title[0] != '\0' ? found->entry.title : "(without a title)");
    if (is_bought_here(w->daemon, &w->content)) {
        call_refuse(w->call, REASON_ALREADY, "This device has it already.");
        free(w);
        return;
    }
    state_edit(w->daemon, &w->edit);
}

void wish_add_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_WishAdd *m = message;
    struct wish *w = wish_new(d, c, WISH_ADD);
    int r = w == NULL ? -ENOMEM : lookup_start(d, m->track, on_found, w);
    if (r == 0)
        return;
    free(w);
    call_refuse(c, reason_of_error(r), NULL);
}

/* By the last listing, a title, or the beginning of a content ID. */
static int find(struct daemon *d, const char *text, struct wish *w)
{
    const struct replica *r = state_replica(d);
    const struct listing_entry *e = listing_number(d, listing_parse(text));
    unsigned fits = 0;
    size_t index = first_wish(r);
    for (const struct replica_item *i; (i = next_wish(r, &index)) != NULL;) {
        struct id content, distributor;
        char title[STATE_TITLE_BYTES];
        (void)state_wish_of(i, &content, &distributor, title);
        bool fit =
            e != NULL
                ? id_equal(e->content.bytes, content.bytes) && id_equal(e->distributor.bytes, distributor.bytes)
                : strcasecmp(title, text) == 0 || (strlen(text) >= PREFIX_MIN && id_has_prefix(content.bytes, text));
        if (!fit)
            continue;
        fits++;
        w->content = content;
        w->distributor = distributor;
    }
    return fits == 1 ? 0 : fits == 0 ? REASON_NOT_FOUND : REASON_AMBIGUOUS;
}

void wish_remove_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_WishRemove *m = message;
    struct wish *w = wish_new(d, c, WISH_REMOVE);
    int r = w == NULL ? -ENOMEM : find(d, m->track, w);
    if (r != 0) {
        free(w);
        call_refuse(c, reason_of_error(r),
                    r == REASON_NOT_FOUND   ? "The wish list has no such entry: hearth wishlist"
                    : r == REASON_AMBIGUOUS ? "Several entries fit: take the number in hearth wishlist"
                                            : NULL);
        return;
    }
    state_edit(d, &w->edit);
}

void wishes_look(struct daemon *d)
{
    const struct replica *r = state_replica(d);
    size_t index = first_wish(r);
    for (const struct replica_item *i; (i = next_wish(r, &index)) != NULL;) {
        struct id wished, distributor;
        char title[STATE_TITLE_BYTES];
        bool bought = state_wish_of(i, &wished, &distributor, title);
        struct wish *w = bought || !is_bought_here(d, &wished) ? NULL : wish_new(d, NULL, WISH_BOUGHT);
        if (w == NULL)
            continue;
        w->content = wished;
        w->distributor = distributor;
        memcpy(w->title, title, sizeof(title));
        state_edit(d, &w->edit);
    }
}
