/* Loading and making the device's keys (table device). */
#include "vault/keys.h"

#include "base/util.h"
#include "crypto/seal.h"
#include "vault/db.h"
#include "vault/sealed.h"

#define LABEL "hearth vault device"
#define WHOLE_LABEL "hearth vault device, whole"
#define SECRETS_BYTES (2 * sizeof(struct key32))

static struct slice bound_to(const uint8_t made[8]) { return slice(made, 8); }

static void fill(struct keys *k, const struct key32 *seed)
{
    sign_pair_init(&k->pair, seed);
    seal_public_key(&k->sealing_secret, k->sealing_key);
    k->client = id_of_key(k->pair.public_key);
}

/* The seeds as the row `device` has them. whole: with the word that all rows have a sealed sum. */
static int seal(const struct vault *v, const struct key32 secrets[2], uint64_t made_ms, bool whole, struct buf *out)
{
    uint8_t made[8];
    put_be64(made, made_ms);
    int r = sealed_put(v, whole ? WHOLE_LABEL : LABEL, bound_to(made), slice(secrets, SECRETS_BYTES), out);
    return r > 0 ? -ENOMEM : r;
}

/* Not whole yet: whole.c marks it with its first sum. */
static int create(struct vault *v)
{
    struct key32 secrets[2];
    struct buf sealed CLEANUP(buf_free) = buf(SECRETS_BYTES + SEALED_OVERHEAD_BYTES);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = transaction_begin(&t, v->store);
    if (r != 0)
        return r;
    int64_t now_ms = clock_wall_ms(v->clock);
    uint64_t made_ms = now_ms > 0 ? (uint64_t)now_ms : 1;
    rng_fill(v->rng, secrets, sizeof(secrets));
    r = seal(v, secrets, made_ms, false, &sealed);
    secret_wipe(secrets, sizeof(secrets));
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(v->store, DB_DEVICE_ADD);
    query_bind_u64(&q, 1, made_ms);
    query_bind_blob(&q, 2, buf_slice(&sealed));
    r = query_run(&q);
    if (r == 0)
        r = transaction_commit(&t);
    return r > 0 ? -EUCLEAN : r;
}

/* STORE_ABSENT when there are none yet. */
static int read_row(const struct vault *v, struct key32 secrets[2], uint64_t *made_ms, bool *whole)
{
    uint8_t made[8];
    struct query q CLEANUP(query_end) = query(v->store, DB_DEVICE_GET);
    int r = query_one(&q);
    if (r != 0)
        return r;
    *made_ms = query_u64(&q, 0);
    put_be64(made, *made_ms);
    struct slice sealed = query_blob(&q, 1);
    r = query_check(&q);
    if (r == 0 && sealed.len != SECRETS_BYTES + SEALED_OVERHEAD_BYTES)
        r = -EUCLEAN;
    if (r != 0)
        return r;
    *whole = sealed_opens(v, WHOLE_LABEL, bound_to(made), sealed, (uint8_t *)secrets);
    return *whole ? 0 : sealed_open(v, LABEL, bound_to(made), sealed, (uint8_t *)secrets);
}

static int load(const struct vault *v, struct keys *k)
{
    struct key32 secrets[2];
    uint64_t made_ms;
    int r = read_row(v, secrets, &made_ms, &k->whole);
    if (r != 0)
        return r;
    k->sealing_secret = secrets[1];
    fill(k, &secrets[0]);
    secret_wipe(secrets, sizeof(secrets));
    return 0;
}

int keys_load(struct vault *v, struct keys **out)
{
    struct keys *k = secret_alloc(sizeof(*k));
    if (!k)
        return -ENOMEM;
    int r = load(v, k);
    if (r == STORE_ABSENT) {
        r = create(v);
        if (r == 0)
            r = load(v, k);
    }
    if (r != 0) {
        secret_free(k);
        return r > 0 ? -EUCLEAN : r;
    }
    *out = k;
    v->keys = k;
    return 0;
}

int keys_mark_whole(struct vault *v)
{
    struct key32 secrets[2];
    uint64_t made_ms;
    bool whole;
    struct buf sealed CLEANUP(buf_free) = buf(SECRETS_BYTES + SEALED_OVERHEAD_BYTES);
    int r = read_row(v, secrets, &made_ms, &whole);
    if (r == 0)
        r = seal(v, secrets, made_ms, true, &sealed);
    secret_wipe(secrets, sizeof(secrets));
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    struct query q CLEANUP(query_end) = query(v->store, DB_DEVICE_SEAL);
    query_bind_blob(&q, 1, buf_slice(&sealed));
    return query_run(&q);
}

void keys_free(struct keys *k) { secret_free(k); }

int keys_generation(const struct vault *v, uint64_t *out)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_GENERATION_GET);
    int r = query_one(&q);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    *out = query_u64(&q, 0);
    return query_check(&q);
}

struct signer keys_signer(const struct vault *v)
{
    struct signer s;
    signer_from_pair(&s, &v->keys->pair);
    return s;
}
