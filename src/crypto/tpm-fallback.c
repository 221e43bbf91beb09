/* Built without tpm2-tss: there is no TPM. */
#define LOG_MODULE "tpm"
#include "crypto/tpm.h"

#include "base/log.h"

int tpm_open(struct tpm **out, const char *tcti)
{
    (void)out;
    (void)tcti;
    log_error("built without tpm2-tss: no TPM can be used");
    return TPM_ABSENT;
}

void tpm_close(struct tpm *t) { (void)t; }

int tpm_seal(struct tpm *t, const struct key32 *key, struct buf *out)
{
    (void)t;
    (void)key;
    (void)out;
    return TPM_ABSENT;
}

int tpm_unseal(struct tpm *t, struct slice sealed, struct key32 *out)
{
    (void)t;
    (void)sealed;
    (void)out;
    return TPM_ABSENT;
}

int tpm_counter_make(struct tpm *t, const struct key32 *auth, uint32_t wanted, struct tpm_counter *out)
{
    (void)t;
    (void)auth;
    (void)wanted;
    (void)out;
    return TPM_ABSENT;
}

int tpm_counter_read(struct tpm *t, const struct key32 *auth, struct tpm_counter *c)
{
    (void)t;
    (void)auth;
    (void)c;
    return TPM_ABSENT;
}

int tpm_counter_raise(struct tpm *t, const struct key32 *auth, struct tpm_counter *c)
{
    (void)t;
    (void)auth;
    (void)c;
    return TPM_ABSENT;
}

int tpm_counter_remove(struct tpm *t, uint32_t index)
{
    (void)t;
    (void)index;
    return TPM_ABSENT;
}
