/* Inside of the library, shared by library.c (what others tell and ask), library_index.c (how it is kept), library_read.c and library_load.c (start), and
 * library_find.c (what people ask for). */
#ifndef DAEMON_LIBRARY_INTERNAL_H
#define DAEMON_LIBRARY_INTERNAL_H

#include "daemon/library.h"

struct library_place {
    uint64_t first; /* bytes of the content ID: most comparisons end here */
    struct track *track;
};
struct library_conditions { /* once for all licenses that have them */
    doc_Conditions conditions;
    size_t len;
    uint8_t wire[];
};
struct library_load;
struct library {
    struct library_place *places;                  /* by content ID */
    struct track **titles;                         /* by title */
    size_t count, titled, cap;                     /* titled: of titles; as count, or unsorted */
    size_t listed;                                 /* how many tracks are (track.listed) */
    bool unsorted;                                 /* titles come when all tracks are there: of library_read */
    struct library_conditions **conditions, *last; /* last: asked for; NULL */
    size_t condition_count;
    struct library_load *load; /* NULL: everything is here */
    uint64_t ends_told_ms,
        ends_seen_ms; /* plays that were cut off behind hearthd's back: told until then; the last one of this listing */
    unsigned listings_failed; /* of the vault's licenses, one after the other */
};

/* library_index.c: no I/O */
struct library *library_index_new(void); /* NULL: out of memory */
void library_index_free(struct library *l);
struct track *library_index_find(const struct library *l, const void *content); /* NULL */
/* The track of a content, made when there is none. NULL: out of memory. */
struct track *library_index_make(struct library *l, const struct id *content);
int library_index_set_info(struct library *l, struct track *t, const doc_ContentInfo *info, const uint8_t list_root[32])
    MUST_USE; /* 0, -ENOMEM */
/* The first place whose content ID's text does not come before this one. */
size_t library_index_prefix(const struct library *l, const char *prefix);
/* Adds tracks that are not there yet. contents: sorted, each once. 0, -ENOMEM. */
int library_index_add(struct library *l, const struct id *contents, size_t count) MUST_USE;
/* Ends `unsorted`. */
void library_index_sort(struct library *l);
/* Moves all tracks of another index, which is left empty, into an empty one. */
void library_index_take(struct library *l, struct library *from);
/* The first track whose title is not before this one, any case; titled: none. */
size_t library_index_title(const struct library *l, const char *title);
/* The same conditions, kept as long as the library. NULL: out of memory. */
const doc_Conditions *library_index_conditions(struct library *l, const doc_Conditions *conditions);

/* library_read.c: pool */
struct adopted { /* a body without a row in the database */
    struct adopted *next;
    struct id content;
    struct buf info;
    uint8_t list_root[32];
};
struct library_read {
    struct library *library; /* new and empty before */
    struct adopted *adopted;
};
int library_read(struct library_read *read, const char *state_dir, const char *bodies_dir) MUST_USE; /* 0, -errno */
void library_read_deinit(struct library_read *read);

/* As library_index_make, of this device. */
struct track *library_make(struct daemon *d, const struct id *content);
int library_put_license(struct track *t, const struct track_license *license) MUST_USE; /* 0, -ENOMEM */
/* Remembers content information durably, without waiting. */
int library_store_info(struct daemon *d, const struct id *content, struct slice info, const uint8_t list_root[32])
    MUST_USE;

#endif
