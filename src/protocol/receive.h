/* Receiving a body: the destination's side of every transfer (from a distributor, a sibling, a medium), without I/O.
 *
 * The caller feeds what arrives and what became of it, and then does what receive_next() says until that is RECEIVE_WAIT:
 *
 *   INFO       ask for the content information; it and the list's root must hash to the content ID
 *   LIST       ask for the hash list, piece by piece
 *   PREPARING  on the pool: is the list the root's (receive_list_is_right)? make the file; say what is there already
 *   BLOCKS     ask for what is missing, never more than a window ahead of what is written; store each on the pool; sync now and then
 *   SYNCING    everything is written; the last sync
 *   FINISHED, FAILED
 *
 * Nothing of a body is accepted before its list is verified, and no block without its hash: any source will do, also a hostile one.
 * A lost connection (receive_lost) costs only what was asked and had not arrived. Any thread, one at a time, except
 * receive_list_is_right and receive_block_is_right, which only read what does not change while they may be called.
 * Source: seed S24, S25, S161, S168; design sections 4 and 6.5. */
#ifndef PROTOCOL_RECEIVE_H
#define PROTOCOL_RECEIVE_H

#include <stdbool.h>

#include "crypto/body.h"
#include "protocol/reason.h"

#define RECEIVE_LIST_PIECE 8192u               /* hashes asked at once: 256 KiB */
#define RECEIVE_RANGE_MAX 64u                  /* blocks asked at once */
#define RECEIVE_WINDOW_BYTES (1024u * 1024)    /* default; also what a kill can cost at most */
#define RECEIVE_SYNC_BYTES (64u * 1024 * 1024) /* default */
#define RECEIVE_STALL_MS 30000                 /* nothing arrives for that long: the source is given up */
#define RECEIVE_CORRUPT_MAX 4                  /* blocks that do not fit their hash before the source is given up */

enum receive_state {
    RECEIVE_INFO,
    RECEIVE_LIST,
    RECEIVE_PREPARING,
    RECEIVE_BLOCKS,
    RECEIVE_SYNCING,
    RECEIVE_FINISHED,
    RECEIVE_FAILED,
    RECEIVE_STATE_COUNT
};
/* What is known of a block; the first three are what a resume map keeps. */
enum receive_mark {
    RECEIVE_MISSING = 0,
    RECEIVE_WRITTEN = 1, /* survives this process */
    RECEIVE_SYNCED = 2,  /* survives a power loss */
    RECEIVE_ASKED,
    RECEIVE_ARRIVED, /* being verified and written */
    RECEIVE_AT_SYNC, /* written before the sync that is running */
};

struct receive {
    enum receive_state state;
    enum reason why; /* of FAILED */
    struct id content;
    struct body_shape shape; /* from LIST on */
    uint8_t info[BODY_INFO_MAX];
    size_t info_len;
    uint8_t list_root[32];
    uint8_t *list; /* owned: shape.block_count hashes */
    uint32_t list_have;
    uint8_t *marks;                                    /* owned: enum receive_mark of each block */
    uint32_t next_missing;                             /* nothing before it is missing */
    uint32_t missing_count, asked_count, stored_count; /* stored: written or more */
    uint64_t stored_bytes;                             /* of blocks stored, as on the wire */
    uint64_t ahead_bytes;                              /* asked or arrived and not yet written */
    uint64_t unsynced_bytes;
    uint64_t window_bytes, sync_bytes;
    uint32_t corrupt_count;
    bool held;                                /* set by the caller: no blocks are asked for now */
    bool connected, asked, syncing, prepared; /* asked: the INFO or LIST question is open */
    int64_t heard_ms;                         /* when the source last said something useful, or was first asked */
};

/* window_bytes, sync_bytes: 0 for the defaults. Starts in INFO, not connected. */
void receive_init(struct receive *r, const struct id *content, uint64_t window_bytes, uint64_t sync_bytes);
void receive_deinit(struct receive *r); /* idempotent */

enum receive_action_kind {
    RECEIVE_WAIT,       /* for input */
    RECEIVE_ASK_INFO,   /* send INFO_GET */
    RECEIVE_ASK_LIST,   /* send LIST_GET first, count */
    RECEIVE_PREPARE,    /* do PREPARING, then receive_prepared */
    RECEIVE_ASK_BLOCKS, /* send BLOCKS_GET first, count */
    RECEIVE_SYNC,       /* make durable what is written, then receive_synced; goes on beside the blocks */
};
struct receive_action {
    enum receive_action_kind kind;
    uint32_t first, count;
};
/* Each action is given once; receive_lost takes open questions back. */
struct receive_action receive_next(struct receive *r, int64_t now_ms) MUST_USE;

/* Inputs. Positive outcomes RECEIVE_UNASKED: not what was asked; the source is to be dropped (receive_lost). A wrong content is FAILED. */
#define RECEIVE_UNASKED 1
void receive_connected(struct receive *r, int64_t now_ms);
void receive_lost(struct receive *r);
/* From the source, an offer, or a part file: may be given before it is asked for. 0, RECEIVE_UNASKED, -ENOMEM. */
int receive_info(struct receive *r, struct slice info, const uint8_t list_root[32], int64_t now_ms) MUST_USE;
int receive_list(struct receive *r, uint32_t first, struct slice hashes, int64_t now_ms) MUST_USE;
/* have: shape.block_count marks MISSING, WRITTEN or SYNCED (anything else counts as missing), or NULL: nothing. */
void receive_prepared(struct receive *r, const uint8_t *have);
/* A block arrived: 0, it is now the caller's to verify and write; RECEIVE_UNASKED (also a wrong length). */
int receive_block(struct receive *r, uint32_t index, size_t len, int64_t now_ms) MUST_USE;
/* What became of it: written, or it did not fit its hash (asked again; RECEIVE_CORRUPT_MAX of them fail the transfer). */
void receive_stored(struct receive *r, uint32_t index, bool right);
/* Blocks that did not fit are not held against the next source. */
void receive_forgive(struct receive *r);
void receive_synced(struct receive *r);
void receive_fail(struct receive *r, enum reason why);

/* Time: the moment at which receive_stalled becomes true; INT64_MAX when nothing is waited for. */
int64_t receive_deadline_ms(const struct receive *r);
bool receive_stalled(const struct receive *r, int64_t now_ms); /* then: drop the source, receive_lost */

bool receive_list_is_right(const struct receive *r);
bool receive_block_is_right(const struct receive *r, uint32_t index, struct slice block);
uint64_t receive_total_bytes(const struct receive *r); /* of all blocks; 0 when not known yet */

#endif
