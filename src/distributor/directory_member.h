/* A member's side of the directory, upon its operations database: what is pushed, what the answer to that means, and what becomes of a page of everybody's rows.
 * Without connection and waiting; those are directory_client.c's and directory_pull.c's. The directory is believed nothing: rows are signed by their
 * origins and taken in their order, and where it was before is compared with where it is now. On the connection's thread. Source: seed S105-S108, P3. */
#ifndef DISTRIBUTOR_DIRECTORY_MEMBER_H
#define DISTRIBUTOR_DIRECTORY_MEMBER_H

#include "distributor/operations.h"

/* --- Ours to the directory --- */
struct directory_push {
    uint64_t after;  /* it has confirmed our rows up to here */
    uint64_t last;   /* the last one of these; of no use when count is 0 */
    uint64_t newest; /* that there is */
    uint64_t stored; /* out of directory_member_judge */
    uint32_t count;
    struct buf rows; /* length:4 || envelope each; owned */
};
/* The next ones: a tail of SHARE_PUSH. p->rows is made anew. 0 or -errno. Read-only. */
int directory_member_read(struct operations *o, struct directory_push *p) MUST_USE;
/* What SHARE_PUSHED says: */
enum directory_pushed {
    DIRECTORY_PUSHED, /* they are stored up to p->stored, which may be before p->after: it was put back. directory_member_confirm */
    DIRECTORY_PUSHED_AHEAD, /* it has more rows of ours than we: directory_member_ahead */
    DIRECTORY_PUSHED_NONE,  /* it takes none of them */
};
enum directory_pushed directory_member_judge(struct directory_push *p, uint64_t sequence);
int directory_member_confirm(struct operations *o, const struct directory_push *p) MUST_USE; /* 0 or -errno. Writes. */
/* A finding, when it is so. 0 or -errno. Writes. */
int directory_member_ahead(struct operations *o, const struct directory_push *p) MUST_USE;

/* --- Everybody's to us --- */
#define DIRECTORY_PAGE_ORIGINS 32
struct directory_page_origin {
    struct id id;
    uint32_t rows;
};
struct directory_page { /* a SHARE_PULL and its answer */
    uint64_t after;     /* what was asked for; of a probe the row at the cursor is the first one that is given */
    uint64_t next;      /* where it ends, as the directory says */
    uint32_t count;
    struct slice rows;
    bool is_probe;       /* the first pull of a connection: is the row at our cursor still there? */
    bool may_read_again; /* once a connection: when a row turns out to be missing */
    /* Out: */
    bool reads_again; /* from the beginning: another order than before, or a gap */
    bool gap;
    bool
        learned; /* a keyset, of a row that is a gap: rows before it may be good now, so once there are no more, all is read again */
    bool refused; /* a row that is not good */
    uint32_t repeated;
    bool nothing_new; /* rows, all of which it had given before: the next ones can wait a while */
    struct directory_page_origin origins[DIRECTORY_PAGE_ORIGINS]; /* whose rows are news */
    size_t origin_count;
};
/* Takes what is good of it, and moves the cursor. 0, SHARE_AHEAD (share_own.h), REASON_MALFORMED, -errno. Writes. */
int directory_member_take(struct operations *o, struct directory_page *p, int64_t now_ms) MUST_USE;
/* There are no more. learned: of a page since everything was last read from its beginning; it is read again then: *reads_again. whole: it was read from the
 * beginning to here, and nothing refused, so what was refused once is not there any more, or was taken after all. 0 or -errno. Writes. */
int directory_member_end(struct operations *o, bool learned, bool whole, int64_t now_ms, bool *reads_again) MUST_USE;
/* After SHARE_AHEAD: the operator hears of it before the server stops. 0 or -errno. Writes. */
int directory_member_is_older(struct operations *o, int64_t now_ms) MUST_USE;

#endif
