/* Moves, at the source: the license sleeps before its certificate is let out, and is given up or wakes on the destination's word (R4, design 6.5).
 *
 *   released --finish--> finished   the license is surrendered
 *   released --cancel--> cancelled  the license is valid again
 *
 * Each request may be repeated; what was signed is given again byte for byte.
 */
#ifndef VAULT_MOVES_H
#define VAULT_MOVES_H

#include "vault/licenses.h"

enum move_state { MOVE_RELEASED = 1, MOVE_FINISHED = 2, MOVE_CANCELLED = 3 };

/* MOVE_RELEASE: opens a certificate sealed to this device. REASON_MALFORMED: does not open, or is no move. REASON_NOT_PERMITTED: of another
 * source. REASON_NO_LICENSE, REASON_LICENSE_SUSPENDED (another move of it is open), REASON_CERTIFICATE_EXPIRED, REASON_IN_USE (played at
 * this moment), REASON_OUT_OF_STEP (played since it was asked for: the certificate gives more than is left), REASON_ALREADY (finished),
 * REASON_SERIAL_ALREADY_USED (also: cancelled). REASON_SIGNATURE_INVALID, REASON_KEYSET_INVALID (none is known): not by the issuer's license key. By a copy key it is not proved here
 * that it is the issuer's: a forged one takes from this device what this device holds, and nobody accepts it. */
request_fn moves_release;
/* MOVE_FINISH: receipt of the destination, outcome stored. REASON_NOT_FOUND: no such move; REASON_NOT_PERMITTED: does not match it, or says refused;
 * REASON_CANCELLED. */
request_fn moves_finish;
/* MOVE_CANCEL: receipt of the destination, outcome refused. As above; REASON_ALREADY: finished. */
request_fn moves_cancel;

/* A move of this device's that the vault has forgotten, as its issuer knows it: released, its license (row) suspended. One that is known stays as
 * it is. Pointers: 32 bytes, serial 16. 0 or -errno. */
struct moves_known {
    const uint8_t *issuer, *serial, *digest, *content, *destination;
};
int moves_take_up(struct vault *v, const struct moves_known *known, const struct license_row *row) MUST_USE;

/* A surrendered license: REASON_IN_USE: it is checked out, and comes back. 0: it went for good. -errno */
int moves_judge_lent(const struct vault *v, const struct license_row *row) MUST_USE;

#endif
