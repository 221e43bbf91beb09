/* Licenses this device holds, keyed by issuer and license ID; of several editions the one with the highest sequence (Fig. 12).
 *
 * States: valid; suspended, while a move that was released is not finished; surrendered, for good, until the issuer gives an edition
 * with a higher sequence. A row is sealed as a whole: neither the license nor its state can be altered in the file.
 */
#ifndef VAULT_LICENSES_H
#define VAULT_LICENSES_H

#include "vault/service.h"

enum license_state { LICENSE_VALID = 1, LICENSE_SUSPENDED = 2, LICENSE_SURRENDERED = 3 };

#define LICENSES_ENVELOPE_MAX 736
struct license_row {
    enum license_state state;
    doc_License license;
    struct buf envelope;
};
void licenses_deinit(struct license_row *row); /* cleanup attribute */

/* LICENSE_STORE: an issuer's own license for this device, and the header when it came along. A sequence not above the known one's changes
 * nothing and is DONE. So is a license whose header has been outdated meanwhile: the license is kept, the header is not. REASON_NOT_REGISTERED, REASON_KEYSET_INVALID, REASON_SIGNATURE_INVALID, REASON_MALFORMED (also: the license half does
 * not open), REASON_WRONG_DESTINATION, and those of headers_accept. With a delegation: a later edition of a license that is here already, signed
 * by the copy key of the partner that issued it; also REASON_NO_LICENSE, REASON_DELEGATION_INVALID, REASON_CONTENT_ID_MISMATCH. Source: seed S64-S66. */
request_fn licenses_store;
request_fn licenses_list; /* LICENSES_GET */

/* 0 with *row (licenses_deinit), LICENSES_ABSENT, -errno. */
#define LICENSES_ABSENT (-ENOENT)
int licenses_get(const struct vault *v, const void *issuer, const uint8_t license_id[16], struct license_row *row)
    MUST_USE;
/* Calls visit for each license of a content, the valid ones first, until it returns other than 0; returns that, or 0. */
int licenses_of_content(struct vault *v, const struct id *content,
                        int (*visit)(struct vault *v, const struct license_row *row, void *ctx), void *ctx) MUST_USE;
/* The license half opens with the device's key: 0, REASON_MALFORMED. */
int licenses_open_half(const struct vault *v, const doc_License *license, struct key32 *half) MUST_USE;
/* Keeps a license that has been judged, as valid, when its sequence is the highest. REASON_NOT_PERMITTED: not higher than one that is suspended
 * or given up; only asked with strict, else that too changes nothing. 0, -errno. Source: seed S65, S171. */
int licenses_keep(struct vault *v, const doc_License *license, struct slice envelope, bool strict) MUST_USE;
/* Another state for a stored row. 0 or -errno. */
int licenses_set_state(struct vault *v, const struct license_row *row, enum license_state state) MUST_USE;

#endif
