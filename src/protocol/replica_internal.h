/* What replica.c and replica_talk.c share. */
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

#endif
