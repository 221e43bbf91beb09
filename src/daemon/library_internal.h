/* Inside of the library, shared by library.c (the index), library_load.c (start) and library_find.c (what people ask for). */
#ifndef DAEMON_LIBRARY_INTERNAL_H
#define DAEMON_LIBRARY_INTERNAL_H

#include "daemon/library.h"

struct library {
    struct track **tracks; /* sorted by content ID */
    size_t count, cap;
    bool loaded; /* the vault has listed every license */
    uint64_t ends_told_ms,
        ends_seen_ms; /* plays that were cut off behind hearthd's back: told until then; the last one of this listing */
};

/* The track of a content, made when there is none. NULL: out of memory. */
struct track *library_make(struct daemon *d, const struct id *content);
int library_set_info(struct track *t, const doc_ContentInfo *info, const uint8_t list_root[32])
    MUST_USE;                                                                           /* 0, -ENOMEM */
int library_put_license(struct track *t, const struct track_license *license) MUST_USE; /* 0, -ENOMEM */
/* Remembers content information durably, without waiting. */
int library_store_info(struct daemon *d, const struct id *content, struct slice info, const uint8_t list_root[32])
    MUST_USE;
/* Reads database and body files, then asks the vault. */
int library_load(struct daemon *d) MUST_USE;

#endif
