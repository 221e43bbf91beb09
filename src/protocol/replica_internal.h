/* What replica.c, replica_room.c, replica_talk.c and state_tidy.c share. */
#ifndef PROTOCOL_REPLICA_INTERNAL_H
#define PROTOCOL_REPLICA_INTERNAL_H

#include "protocol/replica.h"

/* list: of a pointer to elements of that size. 0, -ENOMEM. */
int replica_grow(void *list, size_t *cap, size_t needed, size_t size) MUST_USE;
int replica_append(struct dots *list, const struct dot *d) MUST_USE; /* whatever the order */
int replica_compare_dots(const void *a, const void *b);              /* struct dot */
int replica_compare_keys(uint8_t kind, struct slice key, const struct replica_item *i);
int replica_compare_items(const struct replica_item *a, const struct replica_item *b);
struct replica_item *replica_item_new(uint8_t kind, struct slice key, struct slice value, const struct dot *d);
int replica_change_add(struct replica_change *c, uint8_t kind, struct slice key, struct slice value,
                       const struct dot *d) MUST_USE;
int replica_change_remove(struct replica_change *c, const struct dot *event, const struct dot *removed) MUST_USE;
/* The items as they will be, sorted. *out is owned by the caller (free), the items are borrowed. 0, -ENOMEM. */
int replica_after(const struct replica *r, const struct replica_change *c, struct replica_item ***out, size_t *count)
    MUST_USE;
/* One more change of our own: c->self is its dot then. 0, REPLICA_FULL, -ENOMEM. */
int replica_own_event(struct replica_change *c) MUST_USE;

#endif
