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
 * There may be several sources at once (spread.h chooses between them). Nothing of a body is accepted before its list is verified, and no block
 * without its hash: any source will do, also a hostile one. A source that is lost (receive_lost) costs only what it was asked for and had not
 * brought. Any thread, one at a time, except receive_list_is_right and receive_block_is_right, which only read what does not change while
 * they may be called.
 * Source: seed S24, S25, S161, S168; design sections 4 and 6.5. */
#ifndef PROTOCOL_RECEIVE_H
#define PROTOCOL_RECEIVE_H

#include <stdbool.h>

#include "crypto/body.h"
#include "protocol/reason.h"
#include "protocol/spread.h"

#define RECEIVE_LIST_PIECE 8192u               /* hashes asked at once: 256 KiB */
#define RECEIVE_WINDOW_BYTES (1024u * 1024)    /* default, of each source; also what a kill can cost at most */
#define RECEIVE_SYNC_BYTES (64u * 1024 * 1024) /* default */
#define RECEIVE_STALL_MS 30000                 /* nothing arrives for that long: the source is given up */

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
    int list_from;                        /* the source it comes from; -1: none */
    uint8_t *marks;                       /* owned: enum receive_mark of each block */
    uint32_t next_missing;                /* nothing before it is missing */
    uint32_t missing_count, stored_count; /* stored: written or more */
    uint64_t stored_bytes;                /* of blocks stored, as on the wire */
    uint64_t arrived_bytes;               /* arrived and not yet written */
    uint64_t unsynced_bytes;
    uint64_t window_bytes, sync_bytes;
    bool held; /* set by the caller: no blocks are asked for now */
    bool syncing, prepared;
    struct spread spread; /* the sources */
    int asked_of;         /* the source that the INFO or LIST question is open at; -1: none */
    int64_t asked_ms;     /* since then */
};

/* window_bytes, sync_bytes: 0 for the defaults. Starts in INFO, without a source. */
void receive_init(struct receive *r, const struct id *content, uint64_t window_bytes, uint64_t sync_bytes);
void receive_deinit(struct receive *r); /* idempotent */

enum receive_action_kind {
    RECEIVE_WAIT,       /* for input */
    RECEIVE_ASK_INFO,   /* send INFO_GET to `source` */
    RECEIVE_ASK_LIST,   /* send LIST_GET first, count */
    RECEIVE_ASK_BLOCKS, /* send BLOCKS_GET first, count */
    RECEIVE_PREPARE,    /* do PREPARING, then receive_prepared */
    RECEIVE_SYNC,       /* make durable what is written, then receive_synced; goes on beside the blocks */
};
struct receive_action {
    enum receive_action_kind kind;
    unsigned source; /* of the first three questions */
    uint32_t first, count;
};
/* Each action is given once; receive_lost takes open questions back. */
struct receive_action receive_next(struct receive *r, int64_t now_ms) MUST_USE;

/* Inputs. Positive outcomes. RECEIVE_UNASKED: not what was asked, RECEIVE_WRONG: of another content; the source is to be dropped (receive_lost).
 * RECEIVE_TWICE: another source was faster; nothing is to be done. */
#define RECEIVE_UNASKED 1
#define RECEIVE_TWICE 2
#define RECEIVE_WRONG 3
/* A source more: its number, until receive_lost. -1: there are SPREAD_SOURCES_MAX. */
int receive_connected(struct receive *r) MUST_USE;
void receive_lost(struct receive *r, unsigned source);
bool receive_is_connected(const struct receive *r); /* to any */
/* From a source, an offer, or a part file: may be given before it is asked for. 0, RECEIVE_UNASKED, RECEIVE_WRONG (information), -ENOMEM. A list comes
 * from one source as a whole: when that is lost before, it begins anew. */
int receive_info(struct receive *r, struct slice info, const uint8_t list_root[32]) MUST_USE;
int receive_list(struct receive *r, uint32_t first, struct slice hashes) MUST_USE;
/* PREPARING has found that the list is not the root's: the number of the source to drop, if it is still there, else -1. It is asked for again. */
int receive_list_is_wrong(struct receive *r) MUST_USE;
/* have: shape.block_count marks MISSING, WRITTEN or SYNCED (anything else counts as missing), or NULL: nothing. */
void receive_prepared(struct receive *r, const uint8_t *have);
/* A block arrived: 0, it is now the caller's to verify and write; RECEIVE_TWICE; RECEIVE_UNASKED (also a wrong length). */
int receive_block(struct receive *r, unsigned source, uint32_t index, size_t len, int64_t now_ms) MUST_USE;
/* What became of it: written, or it did not fit its hash: asked for again. Whoever brought it is to be dropped. */
void receive_stored(struct receive *r, uint32_t index, bool right);
void receive_synced(struct receive *r);
void receive_fail(struct receive *r, enum reason why);

/* Time: the source that has said nothing for RECEIVE_STALL_MS though it was asked; then: drop it. -1: none. */
int receive_stalled(const struct receive *r, int64_t now_ms);

bool receive_list_is_right(const struct receive *r);
bool receive_block_is_right(const struct receive *r, uint32_t index, struct slice block);
uint64_t receive_total_bytes(const struct receive *r); /* of all blocks; 0 when not known yet */

#endif
