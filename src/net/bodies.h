/* Body files on their way here, in STATE/bodies: `<content-id>.part` is laid out as the body will be (crypto/body.h), `<content-id>.map`
 * says which blocks it has, `<content-id>.body` is complete. Everything here blocks: pool threads.
 *
 * Map: 0 8 "HEARTHM1" | 8 32 content ID | 40 16 boot ID | 56 4 block count | 60 4 block bytes | 64 .. one byte a block:
 *   0 missing, 1 written (trusted within the same boot: a process that is killed leaves its pages to the kernel),
 *   2 synced (trusted always: set only after the data was made durable).
 * A body of at most BODIES_MAPLESS_BYTES has no map, nor has one that was found damaged: what counts is what fits its hash.
 * Source: seed S24, S25, S172; design section 6.5. */
#ifndef NET_BODIES_H
#define NET_BODIES_H

#include <limits.h>

#include "crypto/body.h"
#include "net/serve.h"

#define BODIES_RESERVE_BYTES (16u << 20) /* stays free for databases */
#define BODIES_MAPLESS_BYTES (1u << 20)
#define BODIES_PATH_BYTES 1200

enum bodies_suffix { BODIES_BODY, BODIES_PART, BODIES_MAP };
/* DIR/<content-id>.body and so on. 0, -ENAMETOOLONG. */
int bodies_path(const char *dir, const struct id *content, enum bodies_suffix suffix, char out[BODIES_PATH_BYTES])
    MUST_USE;

struct body_part { /* or a body in whose place damaged blocks are written anew */
    char dir[BODIES_PATH_BYTES];
    struct id content;
    struct body_shape shape;
    int fd, map_fd; /* -1: not open */
    bool mends;    /* the file is the body: each block that is written makes it better, and a kill leaves it no worse */
    bool unsynced; /* something was written that no sync has covered; of the thread that prepares, syncs and finishes */
};
void body_part_init(struct body_part *p);
void body_part_deinit(struct body_part *p); /* closes; the files stay; idempotent */

/* Is anything there of this content, a body or a part? True also when that cannot be known. */
bool bodies_any(const char *dir, const struct id *content) MUST_USE;
/* Is the complete body there? Its file is read up to the blocks and checked. 0 with *out (serve_file_deinit), REASON_NOT_FOUND, an
 * enum reason when it is damaged (then it is a part now: what its list says cannot be known), -errno. */
int bodies_complete(const char *dir, const struct id *content, struct serve_file *out) MUST_USE;
/* The same, and every block against its hash. 0, REASON_NOT_FOUND, REASON_BLOCK_CORRUPT (the file stays as it is), -errno. */
int bodies_verify(const char *dir, const struct id *content) MUST_USE;
/* The head of a part file of an earlier run, as bodies_complete. */
int body_part_load(const char *dir, const struct id *content, struct serve_file *out) MUST_USE;
/* Makes or opens part and map, with room for the whole body. A body that is there is damaged (bodies_verify), and is mended in its place. have:
 * shape->block_count marks, filled; without a map every block that is there is held against its hash. info and list are verified.
 * 0, -ENOSPC, -errno. */
int body_part_prepare(struct body_part *p, const char *dir, const struct id *content, const struct body_shape *shape,
                      struct slice info, const uint8_t *list, uint8_t *have) MUST_USE;
/* Any number of threads at once, different blocks. */
int body_part_write(const struct body_part *p, uint32_t index, struct slice block) MUST_USE;
/* Makes everything written so far durable, then marks the blocks whose mark in `marks` is `at_sync`. A failed sync aborts. */
int body_part_sync(struct body_part *p, const uint8_t *marks, uint8_t at_sync) MUST_USE;
/* All blocks are synced: the part becomes the body, unless it is. Durable when 0. */
int body_part_finish(struct body_part *p) MUST_USE;
/* A small body that has no name yet: when its file was synced by another (syncer.h), body_part_rename; durable once the directory is synced. 0 also
 * when another one at the same content has named this very file. */
bool body_part_is_small(const struct body_part *p);
int body_part_rename(struct body_part *p) MUST_USE;
/* Removes what there is of a content: body, part, map. 0, -errno. */
int bodies_remove(const char *dir, const struct id *content) MUST_USE;

#endif
