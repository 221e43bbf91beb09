/* By ESYS. What is sealed: length:2 || TPM2B_PUBLIC || TPM2B_PRIVATE, both as the TPM marshals them; length is that of the first. */
#define LOG_MODULE "tpm"
#include "crypto/tpm.h"

#include <dlfcn.h>
#include <poll.h>
#include <stdlib.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include "base/log.h"
#include "base/util.h"
#include "crypto/tpm_socket.h"

#define DEVICE "device:/dev/tpmrm0"
#define SOCKET "swtpm:path="

/* The libraries bring OpenSSL along, which a vault that is bound to no TPM should not carry: hence dlopen. */
#define CALLS(X)                           \
    X(tctildr, Tss2_TctiLdr_Initialize)    \
    X(tctildr, Tss2_TctiLdr_Finalize)      \
    X(mu, Tss2_MU_TPM2B_PUBLIC_Marshal)    \
    X(mu, Tss2_MU_TPM2B_PUBLIC_Unmarshal)  \
    X(mu, Tss2_MU_TPM2B_PRIVATE_Marshal)   \
    X(mu, Tss2_MU_TPM2B_PRIVATE_Unmarshal) \
    X(esys, Esys_Initialize)               \
    X(esys, Esys_Finalize)                 \
    X(esys, Esys_CreatePrimary)            \
    X(esys, Esys_StartAuthSession)         \
    X(esys, Esys_TRSess_SetAttributes)     \
    X(esys, Esys_Create)                   \
    X(esys, Esys_Load)                     \
    X(esys, Esys_Unseal)                   \
    X(esys, Esys_FlushContext)             \
    X(esys, Esys_NV_DefineSpace)           \
    X(esys, Esys_NV_UndefineSpace)         \
    X(esys, Esys_NV_Increment)             \
    X(esys, Esys_NV_Read)                  \
    X(esys, Esys_TR_FromTPMPublic)         \
    X(esys, Esys_TR_SetAuth)               \
    X(esys, Esys_TR_Close)                 \
    X(esys, Esys_Free)

struct calls {
#define MEMBER(library, name) __typeof__(&name) name;
    CALLS(MEMBER)
#undef MEMBER
};
struct tpm {
    struct calls tss;
    TSS2_TCTI_CONTEXT *tcti, *socket; /* one of them */
    ESYS_CONTEXT *esys;
    ESYS_TR primary, session;
};

static int load(struct calls *tss)
{
    if (setenv("TSS2_LOG", "all+none", 0) != 0) /* what fails is told by us, once */
        return -ENOMEM;
    void *tctildr = dlopen("libtss2-tctildr.so.0", RTLD_NOW | RTLD_LOCAL);
    void *mu = dlopen("libtss2-mu.so.0", RTLD_NOW | RTLD_LOCAL);
    void *esys = dlopen("libtss2-esys.so.0", RTLD_NOW | RTLD_LOCAL);
    bool whole = tctildr != NULL && mu != NULL && esys != NULL;
#define FIND(library, name) \
    if (whole)              \
        whole = (*(void **)&tss->name = dlsym(library, #name)) != NULL;
    CALLS(FIND)
#undef FIND
    if (!whole)
        log_error("tpm2-tss is not installed (Debian: libtss2-esys-3.0.2-0, libtss2-tcti-device0)");
    return whole ? 0 : TPM_ABSENT;
}

static int failed(const char *doing, TSS2_RC code)
{
    log_error("the TPM cannot %s: code=0x%x", doing, (unsigned)code);
    return TPM_ABSENT;
}

/* --- Keys and sessions --- */

/* TCG EK Credential Profile and Provisioning Guidance: the storage root key, ECC. */
static const TPM2B_PUBLIC primary_template = {
    .publicArea = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA,
        .parameters.eccDetail = {
            .symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
            .scheme.scheme = TPM2_ALG_NULL,
            .curveID = TPM2_ECC_NIST_P256,
            .kdf.scheme = TPM2_ALG_NULL,
        },
    },
};
/* It stays in this TPM under this parent. No password: what is asked for is the machine, and guesses would lock the TPM. */
static const TPM2B_PUBLIC sealed_template = {
    .publicArea = {
        .type = TPM2_ALG_KEYEDHASH,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA,
        .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL,
    },
};
static const TPM2B_DATA no_outside_info;
static const TPML_PCR_SELECTION no_registers;

static int make_primary(struct tpm *t)
{
    static const TPM2B_SENSITIVE_CREATE no_password;
    TSS2_RC rc = t->tss.Esys_CreatePrimary(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                           &no_password, &primary_template, &no_outside_info, &no_registers,
                                           &t->primary, NULL, NULL, NULL, NULL);
    return rc == TSS2_RC_SUCCESS ? 0 : failed("make its storage primary key", rc);
}

/* Salted by the primary key: whoever listens on the bus cannot follow. */
static int start_session(struct tpm *t)
{
    static const TPMT_SYM_DEF aes = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };
    TSS2_RC rc = t->tss.Esys_StartAuthSession(t->esys, t->primary, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                              ESYS_TR_NONE, NULL, TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256, &t->session);
    if (rc == TSS2_RC_SUCCESS)
        rc = t->tss.Esys_TRSess_SetAttributes(
            t->esys, t->session, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION, 0xff);
    return rc == TSS2_RC_SUCCESS ? 0 : failed("begin a session", rc);
}

static TSS2_RC reach(struct tpm *t, const char *tcti)
{
    if (strncmp(tcti, SOCKET, strlen(SOCKET)) == 0)
        return tpm_socket_open(&t->socket, tcti + strlen(SOCKET)) == 0 ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_IO_ERROR;
    return t->tss.Tss2_TctiLdr_Initialize(tcti, &t->tcti);
}

int tpm_open(struct tpm **out, const char *tcti)
{
    struct tpm *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    t->primary = t->session = ESYS_TR_NONE;
    int r = load(&t->tss);
    if (r == 0) {
        TSS2_RC rc = reach(t, tcti != NULL ? tcti : DEVICE);
        if (rc == TSS2_RC_SUCCESS)
            rc = t->tss.Esys_Initialize(&t->esys, t->socket != NULL ? t->socket : t->tcti, NULL);
        if (rc != TSS2_RC_SUCCESS)
            r = failed("be reached (its device belongs to the group tss)", rc);
    }
    if (r == 0)
        r = make_primary(t);
    if (r == 0)
        r = start_session(t);
    if (r != 0) {
        tpm_close(t);
        return r;
    }
    *out = t;
    return 0;
}

void tpm_close(struct tpm *t)
{
    if (t == NULL)
        return;
    if (t->session != ESYS_TR_NONE)
        (void)t->tss.Esys_FlushContext(t->esys, t->session);
    if (t->primary != ESYS_TR_NONE)
        (void)t->tss.Esys_FlushContext(t->esys, t->primary);
    if (t->esys != NULL)
        t->tss.Esys_Finalize(&t->esys);
    if (t->tcti != NULL)
        t->tss.Tss2_TctiLdr_Finalize(&t->tcti);
    tpm_socket_close(t->socket);
    free(t);
}

/* --- Sealing --- */

static int marshal(struct tpm *t, const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private, struct buf *out)
{
    uint8_t bytes[TPM_SEALED_BYTES_MAX];
    size_t len = 2;
    TSS2_RC rc = t->tss.Tss2_MU_TPM2B_PUBLIC_Marshal(public, bytes, sizeof(bytes), &len);
    put_be16(bytes, (uint16_t)(len - 2));
    if (rc == TSS2_RC_SUCCESS)
        rc = t->tss.Tss2_MU_TPM2B_PRIVATE_Marshal(private, bytes, sizeof(bytes), &len);
    return rc == TSS2_RC_SUCCESS ? buf_append(out, slice(bytes, len)) : failed("write down what it sealed", rc);
}

int tpm_seal(struct tpm *t, const struct key32 *key, struct buf *out)
{
    TPM2B_SENSITIVE_CREATE sensitive = { .sensitive.data.size = sizeof(key->bytes) };
    TPM2B_PUBLIC *public = NULL;
    TPM2B_PRIVATE *private = NULL;
    memcpy(sensitive.sensitive.data.buffer, key->bytes, sizeof(key->bytes));
    TSS2_RC rc =
        t->tss.Esys_Create(t->esys, t->primary, t->session, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &sealed_template,
                           &no_outside_info, &no_registers, &private, &public, NULL, NULL, NULL);
    secret_wipe(&sensitive, sizeof(sensitive));
    int r = rc == TSS2_RC_SUCCESS ? marshal(t, public, private, out) : failed("seal", rc);
    t->tss.Esys_Free(public);
    t->tss.Esys_Free(private);
    return r;
}

static int unmarshal(struct tpm *t, struct slice sealed, TPM2B_PUBLIC *public, TPM2B_PRIVATE *private)
{
    size_t at = 2;
    if (sealed.len < 2 || sealed.len > TPM_SEALED_BYTES_MAX)
        return TPM_FOREIGN;
    const size_t split = 2 + ((size_t)sealed.data[0] << 8 | sealed.data[1]);
    if (split > sealed.len || t->tss.Tss2_MU_TPM2B_PUBLIC_Unmarshal(sealed.data, split, &at, public) != 0 ||
        at != split)
        return TPM_FOREIGN;
    return t->tss.Tss2_MU_TPM2B_PRIVATE_Unmarshal(sealed.data, sealed.len, &at, private) == 0 && at == sealed.len
               ? 0
               : TPM_FOREIGN;
}

/* The TPM judged the bytes and refused; everything else is trouble with the TPM itself. */
static bool is_judgement(TSS2_RC rc)
{
    switch (rc & TSS2_RC_LAYER_MASK ? TPM2_RC_SUCCESS : rc & (TPM2_RC_FMT1 | 0x3f)) {
    case TPM2_RC_INTEGRITY:
    case TPM2_RC_BINDING:
    case TPM2_RC_SIZE:
    case TPM2_RC_VALUE:
    case TPM2_RC_ATTRIBUTES:
    case TPM2_RC_HASH:
    case TPM2_RC_SCHEME:
    case TPM2_RC_TYPE:
        return true;
    default:
        return false;
    }
}

int tpm_unseal(struct tpm *t, struct slice sealed, struct key32 *out)
{
    TPM2B_PUBLIC public = { 0 };
    TPM2B_PRIVATE private = { 0 };
    TPM2B_SENSITIVE_DATA *data = NULL;
    ESYS_TR object = ESYS_TR_NONE;
    int r = unmarshal(t, sealed, &public, &private);
    if (r != 0)
        return r;
    TSS2_RC rc =
        t->tss.Esys_Load(t->esys, t->primary, t->session, ESYS_TR_NONE, ESYS_TR_NONE, &private, &public, &object);
    if (rc != TSS2_RC_SUCCESS)
        return is_judgement(rc) ? TPM_FOREIGN : failed("load", rc);
    rc = t->tss.Esys_Unseal(t->esys, object, t->session, ESYS_TR_NONE, ESYS_TR_NONE, &data);
    (void)t->tss.Esys_FlushContext(t->esys, object);
    if (rc != TSS2_RC_SUCCESS)
        return failed("unseal", rc);
    if (data->size == sizeof(out->bytes))
        memcpy(out->bytes, data->buffer, sizeof(out->bytes));
    else
        r = TPM_FOREIGN;
    secret_wipe(data, sizeof(*data));
    t->tss.Esys_Free(data);
    return r;
}

/* --- Counters --- */

#define INDEX_FIRST 0x01800000u /* TCG Registry of Reserved TPM 2.0 Handles: of the owner */
#define INDEX_MASK 0x003fffffu
#define INDEX_TRIES 16
#define RATE_TRIES 20 /* a TPM that bounds how often it is written to asks to wait */
#define RATE_WAIT_MS 500

static TPM2B_AUTH auth_of(const struct key32 *auth)
{
    TPM2B_AUTH a = { .size = sizeof(auth->bytes) };
    memcpy(a.buffer, auth->bytes, sizeof(auth->bytes));
    return a;
}

static int define(struct tpm *t, const struct key32 *auth, uint32_t index)
{
    const TPM2B_NV_PUBLIC public = { .nvPublic = { .nvIndex = index,
                                                   .nameAlg = TPM2_ALG_SHA256,
                                                   .attributes = TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA |
                                                                 TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT,
                                                   .dataSize = sizeof(uint64_t) } };
    TPM2B_AUTH a = auth_of(auth);
    ESYS_TR handle = ESYS_TR_NONE;
    TSS2_RC rc = t->tss.Esys_NV_DefineSpace(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, t->session, ESYS_TR_NONE, &a,
                                            &public, &handle);
    secret_wipe(&a, sizeof(a));
    if (rc == TSS2_RC_SUCCESS)
        rc = t->tss.Esys_TR_Close(t->esys, &handle);
    return rc == TSS2_RC_SUCCESS ? 0 : failed("make a counter", rc);
}

/* *out: Esys_TR_Close. */
static int find(struct tpm *t, const struct key32 *auth, uint32_t index, ESYS_TR *out)
{
    TSS2_RC rc = t->tss.Esys_TR_FromTPMPublic(t->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, out);
    if (rc != TSS2_RC_SUCCESS)
        return (rc & (TPM2_RC_FMT1 | 0x3f)) == TPM2_RC_HANDLE ? TPM_FOREIGN : failed("find a counter", rc);
    if (auth == NULL)
        return 0;
    TPM2B_AUTH a = auth_of(auth);
    rc = t->tss.Esys_TR_SetAuth(t->esys, *out, &a);
    secret_wipe(&a, sizeof(a));
    return rc == TSS2_RC_SUCCESS ? 0 : failed("use a counter", rc);
}

/* Not ours: of another auth, of another kind, or never raised. */
static bool is_not_ours(TSS2_RC rc)
{
    if (rc & TSS2_RC_LAYER_MASK)
        return false;
    switch (rc & TPM2_RC_FMT1 ? rc & (TPM2_RC_FMT1 | 0x3f) : rc) {
    case TPM2_RC_AUTH_FAIL:
    case TPM2_RC_BAD_AUTH:
    case TPM2_RC_ATTRIBUTES:
    case TPM2_RC_NV_AUTHORIZATION:
    case TPM2_RC_NV_RANGE:
    case TPM2_RC_NV_UNINITIALIZED:
        return true;
    default:
        return false;
    }
}

static TSS2_RC increment(struct tpm *t, ESYS_TR handle)
{
    TSS2_RC rc = TSS2_RC_SUCCESS;
    for (int i = 0; i < RATE_TRIES; i++) {
        rc = t->tss.Esys_NV_Increment(t->esys, handle, handle, t->session, ESYS_TR_NONE, ESYS_TR_NONE);
        if (rc != TPM2_RC_NV_RATE)
            break;
        (void)poll(NULL, 0, RATE_WAIT_MS);
    }
    return rc;
}

static TSS2_RC read_value(struct tpm *t, ESYS_TR handle, uint64_t *value)
{
    TPM2B_MAX_NV_BUFFER *data = NULL;
    TSS2_RC rc = t->tss.Esys_NV_Read(t->esys, handle, handle, t->session, ESYS_TR_NONE, ESYS_TR_NONE, sizeof(uint64_t),
                                     0, &data);
    if (rc == TSS2_RC_SUCCESS && data->size != sizeof(uint64_t))
        rc = TPM2_RC_NV_RANGE;
    if (rc == TSS2_RC_SUCCESS)
        *value = get_be64(data->buffer);
    t->tss.Esys_Free(data);
    return rc;
}

static int use_counter(struct tpm *t, const struct key32 *auth, bool raise, struct tpm_counter *c)
{
    ESYS_TR handle = ESYS_TR_NONE;
    uint64_t value = 0;
    int r = find(t, auth, c->index, &handle);
    if (r == 0) {
        TSS2_RC rc = raise ? increment(t, handle) : TSS2_RC_SUCCESS;
        if (rc == TSS2_RC_SUCCESS)
            rc = read_value(t, handle, &value);
        if (rc != TSS2_RC_SUCCESS)
            r = is_not_ours(rc) ? TPM_FOREIGN : failed("raise or read its counter", rc);
    }
    if (handle != ESYS_TR_NONE)
        (void)t->tss.Esys_TR_Close(t->esys, &handle);
    if (r == 0)
        c->value = value;
    return r;
}

int tpm_counter_read(struct tpm *t, const struct key32 *auth, struct tpm_counter *c)
{
    return use_counter(t, auth, false, c);
}

int tpm_counter_raise(struct tpm *t, const struct key32 *auth, struct tpm_counter *c)
{
    return use_counter(t, auth, true, c);
}

/* Raised at once: one that never was cannot be read. */
int tpm_counter_make(struct tpm *t, const struct key32 *auth, uint32_t wanted, struct tpm_counter *out)
{
    struct tpm_counter c = { 0 };
    for (uint32_t i = 0; i < INDEX_TRIES; i++) {
        ESYS_TR handle = ESYS_TR_NONE;
        c.index = INDEX_FIRST | ((wanted + i) & INDEX_MASK);
        int r = find(t, NULL, c.index, &handle);
        if (r == 0)
            (void)t->tss.Esys_TR_Close(t->esys, &handle);
        else if (r == TPM_FOREIGN)
            r = define(t, auth, c.index);
        if (r == 0)
            r = use_counter(t, auth, true, &c);
        if (r == 0)
            *out = c;
        if (r != TPM_FOREIGN)
            return r;
    }
    log_error("the TPM has no free place for a counter");
    return TPM_ABSENT;
}

int tpm_counter_remove(struct tpm *t, uint32_t index)
{
    ESYS_TR handle = ESYS_TR_NONE;
    int r = find(t, NULL, index, &handle);
    if (r != 0)
        return r == TPM_FOREIGN ? 0 : r;
    TSS2_RC rc =
        t->tss.Esys_NV_UndefineSpace(t->esys, ESYS_TR_RH_OWNER, handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE);
    if (rc == TSS2_RC_SUCCESS)
        return 0;
    (void)t->tss.Esys_TR_Close(t->esys, &handle);
    return failed("remove a counter", rc);
}
