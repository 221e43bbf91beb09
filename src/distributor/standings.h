/* What we have seen of each device's vault, and what one that was put back from an older copy has to know again (catch_up.c).
 *
 * WELCOME shows a device that is known what its vault said last (hearth/standing/1); the vault answers with hearth/generation/1, brought by PRESENT.
 * Only in a session in which that was current are new transactions taken. What HELLO says of a generation counts for nothing: anybody can write
 * a number. Source: design section 6, restored backups. */
#ifndef DISTRIBUTOR_STANDINGS_H
#define DISTRIBUTOR_STANDINGS_H

#include "distributor/requests.h"
#include "protocol/standing.h"

struct standing {
    uint64_t generation; /* the highest */
    uint64_t session;    /* in which it was said */
    bool has_nonce;
    uint8_t nonce[STANDING_NONCE_BYTES]; /* of the statement taken last */
};
int standings_get(struct operations *o, const struct id *client, struct standing *out)
    MUST_USE; /* zeros without a row */
/* The document for WELCOME. 0, -EMSGSIZE, -errno. */
int standings_sign(struct operations *o, const struct id *client, uint64_t session, int64_t now_ms, struct buf *out)
    MUST_USE;
/* 0; REASON_CATCH_UP_NEEDED: the vault has not spoken in this session, or was not current; -errno. */
int standings_judge(struct operations *o, const struct caller *who) MUST_USE;
/* A statement of this caller's vault, for this session. 0, those of generation_judge, REASON_SESSION_REPLACED, REASON_NOT_PERMITTED: its count has
 * jumped absurdly. */
int standings_statement(struct operations *o, const struct caller *who, struct slice envelope, doc_Generation *out)
    MUST_USE;
/* By the operator's hand, for a device whose count went astray: as if nothing had been seen. OPERATIONS_ABSENT: nothing was. */
int standings_reset(struct operations *o, const struct id *client) MUST_USE;

#endif
