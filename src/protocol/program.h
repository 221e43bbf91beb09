/* Programs that distributors give to devices: player plug-ins and updates. What a provider signs, what a distributor grants to one device,
 * and how the program is sealed so that this device alone opens it. No I/O. Any thread.
 *
 *   information  program-specific information, PROGRAM_INFORMATION_BYTES drawn once for a program (whatever its version) and a device:
 *                mark:8 || secret:24. The mark names the device's copy to its distributor and may be shown; the secret is shown to nobody.
 *   key          HKDF(information, "hearth program" 00 || digest): of one version of the program on one device
 *   sealed       blocks of crypto/block.h one after the other, each PROGRAM_BLOCK_BYTES of the program (the last one shorter), under the
 *                key; the digest stands for the content nonce
 *
 * Source: related system R4. */
#ifndef PROTOCOL_PROGRAM_H
#define PROTOCOL_PROGRAM_H

#include "crypto/block.h"
#include "protocol/documents.h"

#define PROGRAM_INFORMATION_BYTES 32
#define PROGRAM_MARK_BYTES 8
#define PROGRAM_BLOCK_BYTES (16u * 1024)
#define PROGRAM_BYTES_MAX (16u << 20)
#define PROGRAM_NAME_BYTES 32    /* with the terminating zero */
#define PROGRAM_VERSION_BYTES 18 /* of its text, the same */

enum program_kind { PROGRAM_PLUGIN = 1, PROGRAM_UPDATE = 2 };
const char *program_kind_text(uint32_t kind);                      /* "plug-in", "update", or "?" */
int program_kind_parse(const char *text, uint32_t *kind) MUST_USE; /* 0 or -EINVAL */
/* "1.2.3": three numbers up to 65535 without leading zeros; also "1.2" and "1". 0 or -EINVAL. */
int program_version_parse(const char *text, uint64_t *version) MUST_USE;
const char *program_version_text(uint64_t version, char out[PROGRAM_VERSION_BYTES]);
bool program_version_is_valid(uint64_t version); /* not zero, no bits above */
bool program_name_is_valid(
    const char *name); /* 1 to 31 small letters, digits and dashes; begins and ends without a dash */

/* Signed by the key that its provider is named after; name, kind, version and size are such as there are.
 * 0, REASON_SIGNATURE_INVALID, REASON_MALFORMED, -errno. */
int program_judge(struct slice envelope, doc_Program *out) MUST_USE;
/* Signed by a license key of distributor, for this client, and the program inside is good. 0, REASON_SIGNATURE_INVALID,
 * REASON_WRONG_DESTINATION, REASON_MALFORMED, -errno. Whether this device wants it, its vault knows. */
int program_grant_judge(struct slice envelope, const doc_Keyset *distributor, const struct id *client,
                        doc_ProgramGrant *out, doc_Program *program) MUST_USE;

void program_key(const uint8_t information[PROGRAM_INFORMATION_BYTES], const uint8_t digest[32], struct key32 *key);
uint32_t program_block_count(uint64_t program_bytes);
uint32_t program_block_len(uint64_t program_bytes,
                           uint32_t index);    /* of the program; sealed: BLOCK_OVERHEAD_BYTES more */
uint64_t program_block_offset(uint32_t index); /* of the sealed block */
uint64_t program_sealed_bytes(uint64_t program_bytes);

#endif
