/* Serving bodies: answers INFO_GET, LIST_GET and BLOCKS_GET on a connection, for a device and for a contents server alike.
 *
 * Terms
 *   serve   one a process: the bodies that are open, and how one is found
 *   client  one connection that is served; its ranges wait in order, and while one is read from the disk the one before is sent
 *
 * Files are opened, read and (once a body) checked against their name on the pool; the loop thread never touches the disk. What a peer makes
 * us read is bounded by its output: nothing is read while the peer is not writable. Who may read what is the caller's: it asks before
 * it hands a frame over. Loop thread. Source: seed S26-S30, S36, S38, S151. */
#ifndef NET_SERVE_H
#define NET_SERVE_H

#include "base/clock.h"
#include "base/pace.h"
#include "crypto/body.h"
#include "net/peer.h"

#define SERVE_RANGES_MAX 256 /* requests of one client that wait; one more is refused `rate-limited` */

struct serve;
struct serve_client;

/* Where the body file of a content is (layout: crypto/body.h). 0 with path filled, or an enum reason (REASON_UNKNOWN_CONTENT). */
typedef int (*serve_path_fn)(void *ctx, const struct id *content, char *path, size_t cap);
int serve_new(struct serve **out, uv_loop_t *loop, serve_path_fn path_of, void *ctx) MUST_USE; /* 0, -ENOMEM */
/* Blocks are read no faster than p allows, for all clients together, who take turns. p, clock: borrowed, as long as s lives. Once. */
void serve_set_pace(struct serve *s, struct pace *p, const struct clock *clock);
/* Small files are opened and read together (bunch.h). b: borrowed, as long as s lives. Once. */
struct bunch;
void serve_set_bunch(struct serve *s, struct bunch *b);
/* Its clients are gone already (asserted); what the pool still does ends by itself, then the memory goes. Accepts NULL. */
void serve_free(struct serve *s);
/* The file of a content was removed or replaced: what is open is not used for new requests. */
void serve_forget(struct serve *s, const struct id *content);

/* p: borrowed, until serve_client_free, which must come before p's on_closed has returned. on_sent (may be NULL): bytes of blocks queued
 * to the peer, for progress; not called from within serve_frame. */
typedef void (*serve_sent_fn)(const struct id *content, uint32_t index, uint32_t block_count, uint64_t bytes,
                              void *ctx);
int serve_client_new(struct serve_client **out, struct serve *s, struct peer *p, serve_sent_fn on_sent, void *ctx)
    MUST_USE;
void serve_client_free(struct serve_client *c); /* accepts NULL */
/* A frame of one of the three types: answers it now or later, refusals included; a frame that cannot be read closes the peer.
 * False: it is of another type, nothing was done. */
bool serve_frame(struct serve_client *c, const struct frame *f);
/* Which content such a frame asks for, so that the caller can judge. 0, CODEC_MALFORMED (also: another type). */
int serve_content_of(const struct frame *f, struct id *content) MUST_USE;
/* From the peer's on_drain. */
void serve_drain(struct serve_client *c);

/* A body file as it lies on the disk. */
struct serve_file {
    struct body_shape shape;
    struct buf info; /* exact content information */
    uint8_t *list;   /* shape.block_count hashes */
    uint8_t list_root[32];
};
/* Reads and checks everything before the blocks: magic, information, list, and that all of it hashes to content; and that the file has the
 * length it must have. Blocking: pool threads, or before the loop runs. 0, REASON_CONTENT_ID_MISMATCH, REASON_BLOCK_CORRUPT, -errno. */
int serve_file_read(int fd, const struct id *content, struct serve_file *out) MUST_USE;
/* The same for a body that begins at offset `base` and ends with the file (a package on a medium). */
int serve_file_read_at(int fd, uint64_t base, const struct id *content, struct serve_file *out) MUST_USE;
void serve_file_deinit(struct serve_file *f); /* idempotent */

#endif
