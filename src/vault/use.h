/* Use: how often and how long each license was played here, and the use log that some oblige to keep.
 *
 * Plays and playing time count per issuer and license ID, over all editions: a later edition that allows more says so by a higher limit.
 * A play is charged before its key is let out, with all the playing time it may take; what it did not take is given back at its end (in_use.h).
 * Playing time is the content's duration in proportion to the blocks that were opened, each time but for those opened last (player_channel.h):
 * neither a clock nor a fast decoder shortens it, nor does going back. A content whose duration is not known counts USE_BLOCK_MS for each block.
 * Source: seed Fig. 12; related systems R2, R3. */
#ifndef VAULT_USE_H
#define VAULT_USE_H

#include "vault/licenses.h"

#define USE_BLOCK_MS 1000
#define USE_DURATION_MAX_MS UINT32_MAX

struct use {
    uint32_t plays;
    uint64_t play_ms;
    bool downloaded; /* the body was here within the license's download period */
};
/* Zeros without a row. 0 or -errno. */
int use_get(const struct vault *v, const void *issuer, const uint8_t license_id[16], struct use *out) MUST_USE;

/* One play under way. */
struct use_play {
    uint8_t issuer[32], license_id[16];
    bool counted;
    uint64_t duration_ms; /* of the whole content */
    uint64_t budget_ms;   /* how much of it the license has left; UINT64_MAX: no limit */
    uint64_t
        allowed_ms; /* how much this play may open: of what is counted half as much again as it lasts, for going back, and not more than is left */
    uint64_t charged_ms; /* beforehand: all of that */
    uint64_t log_row;    /* 0: none */
};
/* Judges the counted conditions, and charges. duration_ms: of the content. 0; REASON_USE_EXHAUSTED; REASON_LEASE_ENDED: the lease's plays are
 * used up; REASON_USE_LOG_DUE; -errno. */
int use_begin(struct vault *v, const struct license_row *row, uint64_t duration_ms, struct use_play *out) MUST_USE;
/* The play is over. counts: it stays one of the plays that are counted; used_ms: what stays of its playing time. What that is in_use.h decides.
 * opened_ms: what was opened, as the use log says. 0 or -errno. */
int use_settle(struct vault *v, const struct use_play *p, bool counts, uint64_t used_ms, uint64_t opened_ms) MUST_USE;

/* The download period: a license plays what was here within it. 0, REASON_OUTSIDE_DOWNLOAD_PERIOD, -errno. */
int use_judge_download(struct vault *v, const doc_License *license) MUST_USE;
/* It came with a copy certificate, for which its source had it in time. 0 or -errno. */
int use_downloaded(struct vault *v, const doc_License *license) MUST_USE;
/* What is left here is at least what a move gives there: 0 or REASON_OUT_OF_STEP. */
int use_judge_left(const struct vault *v, const doc_License *here, const doc_CopyCertificate *move,
                   const doc_Conditions *there) MUST_USE;

/* USE_SIGN. REASON_NO_LICENSE; REASON_NOT_PERMITTED: give_back of a license without a lease; REASON_LICENSE_SUSPENDED; REASON_IN_USE: it is
 * played at this moment. Source: R3. */
request_fn use_sign;
request_fn use_body_stored; /* BODY_STORED */
request_fn use_log_get;     /* USE_LOG_GET: entries the issuer has not confirmed, oldest first */
request_fn
    use_log_taken; /* USE_LOG_TAKEN: REASON_NOT_FOUND without a keyset of the issuer, and those of use_log_taken_judge */
request_fn use_list; /* USE_LIST_GET */

#endif
