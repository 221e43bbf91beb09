/* Documents about restored vaults: what a distributor has seen of a vault, what the vault says, what it has to know again.
 *
 * A vault counts its changes (generation) and draws a nonce for each statement it signs. The distributor keeps generation and nonce of the last
 * statement that it took, and shows them to the vault at the next session. A vault that knows neither, or has counted less, is an older copy of
 * itself, however often its count was made to rise since. Judging functions as in documents.h. Source: design section 6, restored backups. */
#ifndef PROTOCOL_STANDING_H
#define PROTOCOL_STANDING_H

#include "protocol/documents.h"

#define STANDING_NONCE_BYTES 16
#define STANDING_PLACE_BYTES 49 /* kind:1 || issuer:32 || name:16: where an entry stands in the order of catching up */

/* Counts begin at the time when the vault was made and rise by one; one that is further off than this is absurd. now_ms: wall time. */
#define STANDING_JUMP_MAX (UINT64_C(1) << 40)
bool standing_is_absurd(uint64_t generation, uint64_t known, int64_t now_ms);

/* Signed by a license key of keyset. REASON_WRONG_DESTINATION: about another device. REASON_SIGNATURE_INVALID, REASON_MALFORMED. */
int standing_judge(struct slice envelope, const doc_Keyset *distributor, const struct id *client, doc_Standing *out)
    MUST_USE;
/* Signed by client, for self. REASON_SIGNATURE_INVALID: signed by another. REASON_WRONG_DESTINATION: for another distributor. */
int generation_judge(struct slice envelope, const struct id *client, const struct id *self, doc_Generation *out)
    MUST_USE;

enum catch_up_kind { CATCH_UP_SERIAL = 1, CATCH_UP_LICENSE = 2, CATCH_UP_MOVE = 3 };
void catch_up_place(const doc_CatchUpEntry *e, uint8_t out[STANDING_PLACE_BYTES]);
/* As standing_judge; then: each entry is of a known kind and whole, those of kinds 2 and 3 are the distributor's own, and they rise from `after` on
 * (REASON_MALFORMED). */
int catch_up_judge(struct slice envelope, const doc_Keyset *distributor, const struct id *client, doc_CatchUp *out)
    MUST_USE;

#endif
