/* A machine's TPM 2.0 (TCG Library Specification 2.0), by tpm2-tss, which is loaded when it is needed first. One thread; each call may take a second.
 *
 * What is sealed lies under the storage primary key of the owner's hierarchy (ECC P-256, the template of the TCG), which a TPM derives anew each time and no
 * other TPM can: the bytes may be copied, and open nowhere else, nor here after the TPM was cleared. On the bus they are encrypted.
 *
 * A counter is an NV index of its own that only goes up, by one each time; also one that was removed and made again does not begin below what any
 * counter of this TPM had reached. Raising it writes to the TPM's memory, which lasts for some 100,000 times: only what is worth it. */
#ifndef CRYPTO_TPM_H
#define CRYPTO_TPM_H

#include "base/secret.h"
#include "base/slice.h"

#define TPM_SEALED_BYTES_MAX 512

#define TPM_ABSENT 1 /* no TPM, no right to use it, or tpm2-tss is not installed: the log says which */
#define TPM_FOREIGN \
    2 /* no such counter, or somebody else's; sealed by another TPM, or by this one before it was cleared; or damaged */

struct tpm;
/* tcti: which TPM, in the words of tpm2-tss ("device:/dev/tpmrm0", "swtpm:path=SOCKET"); NULL: this machine's. *out: tpm_close. 0, TPM_ABSENT, -ENOMEM. */
int tpm_open(struct tpm **out, const char *tcti) MUST_USE;
void tpm_close(struct tpm *t);
/* Appends to out at most TPM_SEALED_BYTES_MAX bytes. 0, TPM_ABSENT when the TPM refuses, BUF_FULL, -ENOMEM. */
int tpm_seal(struct tpm *t, const struct key32 *key, struct buf *out) MUST_USE;
/* 0, TPM_FOREIGN, TPM_ABSENT. */
int tpm_unseal(struct tpm *t, struct slice sealed, struct key32 *out) MUST_USE;

struct tpm_counter {
    uint32_t index; /* of the owner's part of the NV memory, 0x01800000-0x01bfffff */
    uint64_t value;
};
/* auth: who has it may read and raise the counter. Made at wanted, or near it where that is taken; one that is there with this auth is used again, raised.
 * 0; TPM_ABSENT: the TPM refuses, or has no room. */
int tpm_counter_make(struct tpm *t, const struct key32 *auth, uint32_t wanted, struct tpm_counter *out) MUST_USE;
/* c->index is asked. 0, TPM_FOREIGN, TPM_ABSENT. */
int tpm_counter_read(struct tpm *t, const struct key32 *auth, struct tpm_counter *c) MUST_USE;
/* By one; c->value is read anew. 0, TPM_FOREIGN, TPM_ABSENT. */
int tpm_counter_raise(struct tpm *t, const struct key32 *auth, struct tpm_counter *c) MUST_USE;
/* 0, also when there is none; TPM_ABSENT. */
int tpm_counter_remove(struct tpm *t, uint32_t index) MUST_USE;

#endif
