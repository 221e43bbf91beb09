/* Table counter: index and value, sealed. */
#define LOG_MODULE "counter"
#include "vault/counter.h"

#include "base/log.h"
#include "base/util.h"
#include "crypto/hkdf.h"
#include "vault/behind.h"
#include "vault/db.h"
#include "vault/keys.h"
#include "vault/sealed.h"

#define LABEL "hearth vault counter"
#define AUTH_LABEL "hearth vault counter auth"
#define PLAIN_BYTES 12 /* index:4 || value:8 */

/* --- The row --- */

/* STORE_ABSENT: there is none. */
static int load(struct vault *v)
{
    uint8_t plain[PLAIN_BYTES];
    struct query q CLEANUP(query_end) = query(v->store, DB_COUNTER_GET);
    int r = query_one(&q);
    if (r != 0)
        return r;
    struct slice sealed = query_blob(&q, 0);
    r = query_check(&q);
    if (r == 0 && sealed.len != PLAIN_BYTES + SEALED_OVERHEAD_BYTES)
        r = -EUCLEAN;
    if (r == 0)
        r = sealed_open(v, LABEL, slice(NULL, 0), sealed, plain);
    if (r == 0)
        v->counter.at = (struct tpm_counter){ .index = get_be32(plain), .value = get_be64(plain + 4) };
    return r;
}

static int put(struct vault *v, const struct tpm_counter *c)
{
    uint8_t plain[PLAIN_BYTES];
    struct buf sealed CLEANUP(buf_free) = buf(PLAIN_BYTES + SEALED_OVERHEAD_BYTES);
    put_be32(plain, c->index);
    put_be64(plain + 4, c->value);
    int r = sealed_put(v, LABEL, slice(NULL, 0), SLICE_ARRAY(plain), &sealed);
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    struct query q CLEANUP(query_end) = query(v->store, DB_COUNTER_PUT);
    query_bind_blob(&q, 1, buf_slice(&sealed));
    return query_run(&q);
}

static int run(struct vault *v, enum db_statement statement)
{
    struct query q CLEANUP(query_end) = query(v->store, statement);
    return query_run(&q);
}

/* The row as it is to be; NULL: none. behind: every distributor has to be heard first. */
static int settle(struct vault *v, const struct tpm_counter *c, bool behind)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = transaction_begin(&t, v->store);
    if (r == 0 && behind)
        r = run(v, DB_STANDING_ALL_BEHIND);
    if (r == 0)
        r = c != NULL ? put(v, c) : run(v, DB_COUNTER_DROP);
    if (r == 0)
        r = transaction_commit(&t);
    return r > 0 ? -EUCLEAN : r;
}

/* --- The start --- */

/* Others in this TPM cannot raise it, which would make this device look old. */
static void find_auth(const struct vault *v, struct key32 *auth)
{
    hkdf_key(v->storage_key, AUTH_LABEL, slice(NULL, 0), auth);
}

/* Its place follows from who the device is: what a start that was cut off has made is found again. */
static int make(struct vault *v, bool behind)
{
    struct key32 auth CLEANUP(key32_wipe);
    struct tpm_counter c;
    find_auth(v, &auth);
    int r = tpm_counter_make(v->tpm, &auth, get_be32(v->keys->client.bytes), &c);
    if (r != 0)
        log_warn("without a counter in the TPM, an older copy of this device is noticed by its distributors alone");
    else
        log_info("the TPM counts what this device spends: index=0x%x", (unsigned)c.index);
    int settled = r == 0 ? settle(v, &c, behind) : settle(v, NULL, behind);
    v->counter.kept = r == 0 && settled == 0;
    if (v->counter.kept)
        v->counter.at = c;
    return settled;
}

static int leave(struct vault *v, bool behind)
{
    uint32_t index = v->counter.at.index;
    v->counter.kept = false;
    int r = settle(v, NULL, behind);
    if (r == 0 && v->tpm != NULL && tpm_counter_remove(v->tpm, index) != 0)
        log_warn("a counter stays in the TPM: index=0x%x", (unsigned)index);
    return r;
}

static int be_behind(struct vault *v, const struct tpm_counter *now)
{
    log_error(
        "this device was put back from an older copy, the TPM has counted further: counter=%llu here=%llu. Counted licenses sleep until it has connected to its distributors; hearth doctor tells which",
        (unsigned long long)now->value, (unsigned long long)v->counter.at.value);
    return v->counter.leave ? leave(v, true) : settle(v, now, true);
}

static int judge(struct vault *v)
{
    struct key32 auth CLEANUP(key32_wipe);
    struct tpm_counter now = v->counter.at;
    find_auth(v, &auth);
    int r = tpm_counter_read(v->tpm, &auth, &now);
    if (r == 0 && now.value + 1 == v->counter.at.value) { /* it ended between the two */
        log_info("the TPM's counter is raised to what was made durable");
        r = tpm_counter_raise(v->tpm, &auth, &now);
    }
    if (r == TPM_FOREIGN) {
        log_error("the counter of this device in the TPM is gone: it is taken for an older copy");
        return v->counter.leave ? leave(v, true) : make(v, true);
    }
    if (r != 0)
        return -EIO;
    if (now.value != v->counter.at.value)
        r = be_behind(v, &now);
    else if (v->counter.leave)
        r = leave(v, false);
    v->counter.at = now;
    return r;
}

int counter_start(struct vault *v)
{
    int r = load(v);
    if (r == STORE_ABSENT)
        return v->tpm != NULL && !v->counter.leave ? make(v, false) : 0;
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    v->counter.kept = true;
    if (v->tpm != NULL)
        return judge(v);
    log_error("this device counted in a TPM that it no longer knows: it is taken for an older copy");
    return leave(v, true);
}

/* --- Spending --- */

void counter_spent(struct vault *v, const doc_License *l)
{
    v->counter.spent = v->counter.spent || (v->counter.kept && behind_counts(l));
}

int counter_before_commit(struct vault *v)
{
    if (!v->counter.spent)
        return 0;
    struct tpm_counter next = v->counter.at;
    next.value++;
    int r = put(v, &next);
    return r > 0 ? -EUCLEAN : r;
}

int counter_committed(struct vault *v)
{
    if (!v->counter.spent)
        return 0;
    struct key32 auth CLEANUP(key32_wipe);
    const uint64_t wanted = v->counter.at.value + 1;
    find_auth(v, &auth);
    v->counter.spent = false;
    int r = tpm_counter_raise(v->tpm, &auth, &v->counter.at);
    return r == 0 && v->counter.at.value == wanted ? 0 : -EIO; /* judged at the next start */
}
