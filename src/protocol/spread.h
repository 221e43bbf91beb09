/* Spreading a body over its sources: which of them is asked for which blocks next. The part of protocol/receive.h that chooses; no I/O, no clock of
 * its own, nothing believed that a source says about itself.
 *
 * Each source has a window of what it may be asked for and has not brought: half a second of what it was measured to bring, at most window_bytes; of a
 * source that is alone, all of it. The fastest choose first. Blocks that nobody was asked for come first; a source that would bring the last of them later
 * than all others together leaves them to those. When there are none left, a source without work takes over what the slowest one has not brought, if it
 * would be there well before; what then comes twice is passed over. So a source that stalls delays nothing but its own share, and that until the end only.
 * Any thread, one at a time. Source: seed S24, S38. */
#ifndef PROTOCOL_SPREAD_H
#define PROTOCOL_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "crypto/body.h"

#define SPREAD_SOURCES_MAX 8u
#define SPREAD_RANGES_MAX 16u   /* of one source at a time */
#define SPREAD_RANGE_BLOCKS 64u /* asked at once */
#define SPREAD_SILENT_MS 3000   /* who has brought nothing for that long is counted as bringing nothing */

struct spread_range { /* asked, and not brought: blocks from `next` up to `end` */
    uint32_t next, end;
};
struct spread_source {
    bool here;
    uint8_t range_count;
    struct spread_range ranges[SPREAD_RANGES_MAX];
    uint64_t asked_bytes;   /* of the ranges */
    uint64_t brought_bytes; /* in all; what came twice included */
    uint64_t rate;          /* bytes a second while it has work; 0: not known yet */
    uint64_t lately_bytes;  /* since it was last measured, */
    int64_t lately_ms;      /* in so much time with work */
    int64_t heard_ms;       /* when it last brought a block, or got work after it had none */
};
struct spread {
    struct spread_source sources[SPREAD_SOURCES_MAX];
};

/* The body, as its receiver sees it. */
struct spread_body {
    const struct body_shape *shape;
    const uint8_t *marks;   /* enum receive_mark of each block: MISSING may be asked for, ASKED is in some range */
    uint32_t missing_count; /* marks that are MISSING, */
    uint32_t next_missing;  /* none of them before this one */
    uint64_t window_bytes;
    uint64_t arrived_bytes; /* brought and not written: weighs on every window */
};
struct spread_ask {
    unsigned source;
    uint32_t first, count;
};

/* A source more: its number. -1: there are SPREAD_SOURCES_MAX. */
int spread_join(struct spread *s) MUST_USE;
/* One less. Its ranges are to be read before; they go with it. */
void spread_leave(struct spread *s, unsigned source);
unsigned spread_count(const struct spread *s);
/* What to ask for next, and of whom; it counts as asked from now on. False: nothing now. */
bool spread_next(struct spread *s, const struct spread_body *b, int64_t now_ms, struct spread_ask *out) MUST_USE;
/* A source brings the block that is next in one of its ranges: true, and no longer asked of it. */
bool spread_brought(struct spread *s, unsigned source, uint32_t index, size_t len, int64_t now_ms) MUST_USE;
/* How many sources the block is asked of. */
unsigned spread_asked(const struct spread *s, uint32_t index);
/* What may be expected of it: 0 when it is silent, or not measured yet. */
uint64_t spread_rate(const struct spread_source *source, int64_t now_ms);

#endif
