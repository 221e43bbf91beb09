/* Copy certificates at their destination: judged, reserved, stored exactly once (S162-S173).
 *
 * A serial of an issuer is in one of these states:
 *   none      never seen, or its reservation was given up
 *   reserved  one certificate holds it, with everything a commit needs; survives power loss
 *   stored    committed: license and header are here, the receipt is signed; for ever
 *   refused   it will never be accepted here, the receipt says so; for ever
 *
 * Replays. The very certificate that is stored (or refused), offered again by its source, is answered with the same state and the same
 * receipt bytes: an offer that was cut off may be repeated, and nothing is stored twice. Found on a medium again, or another certificate
 * with that serial: REASON_SERIAL_ALREADY_USED (S166, S167).
 */
#ifndef VAULT_CERTIFICATES_H
#define VAULT_CERTIFICATES_H

#include "vault/requests.h"

enum certificate_state { CERTIFICATE_RESERVED = 1, CERTIFICATE_STORED = 2, CERTIFICATE_REFUSED = 3 };

/* CERTIFICATE_CHECK: all of certificate_judge; then the device's own part: the key block entry opens, both halves open, the license is for this
 * device's leaf and not older than one given up here; then the serial. Reserves it durably. Also REASON_NOT_REGISTERED,
 * REASON_KEYSET_INVALID, REASON_SERIAL_ALREADY_USED, REASON_DEVICE_REVOKED. Source: seed S162-S170. */
request_fn certificates_check;
/* CERTIFICATE_COMMIT: repeats every check from the stored bytes, at the time it is then; license, header, used serial and receipt become
 * durable together. Again: the same receipt. REASON_NOT_FOUND: not reserved. REASON_CANCELLED: refused for good before.
 * Source: seed S171-S173. */
request_fn certificates_commit;
/* CERTIFICATE_REFUSE: an authentic certificate for this device that is not stored yet never will be; signed. Stored: the answer is that state. */
request_fn certificates_refuse;
/* CERTIFICATE_RELEASE: the reservation is given up, the certificate may come again. REASON_ALREADY: stored or refused. */
request_fn certificates_release;

/* At start: reservations whose certificate has ended by the time that their distributor has signed go; it could neither be committed nor checked
 * again. The system clock makes nothing be forgotten. 0 or -errno. */
int certificates_forget_ended(struct vault *v) MUST_USE;

#endif
