/* Steps 3 and 5 of rotation.h. On the connection's thread. */
#define LOG_MODULE "rotation"
#include "distributor/rotation.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/devices.h"
#include "distributor/keyblocks.h"
#include "distributor/keyset.h"
#include "distributor/roster.h"
#include "distributor/rows.h"

int rotation_settle(struct operations *o, bool *changed)
{
    doc_Keyset *own CLEANUP(freep) = malloc(sizeof(*own));
    if (!own)
        return -ENOMEM;
    *changed = false;
    int r = keyset_own(o, own);
    for (enum key_purpose p = KEY_TLS; r == 0 && p <= KEY_SEALING; p++) {
        const struct keys_next *next = &o->keys->next[p - 1];
        if (!next->there || !keyset_lists(own, p, next->public_key, 0))
            continue;
        r = keys_adopt(o->state_dir, p);
        *changed = true;
        if (r == 0)
            log_info("a key has taken the other's place: purpose=%s", keys_purpose_name(p));
    }
    return r;
}

static bool has_next(const struct keys *k)
{
    for (size_t i = 0; i < ARRAY_COUNT(k->next); i++)
        if (k->next[i].there)
            return true;
    return false;
}

int rotation_load(struct keys **out, const char *state_dir)
{
    struct keys *k CLEANUP(keys_freep) = NULL;
    struct operations *o CLEANUP(operations_closep) = NULL;
    bool changed = false;
    int r = keys_load(&k, state_dir);
    if (r == 0 && has_next(k) &&
        operations_open(&o, state_dir, k, rng_system(), OPERATIONS_READ_ONLY) == 0) /* else whoever opens it says so */
        r = rotation_settle(o, &changed);
    if (r == 0 && changed)
        return keys_load(out, state_dir);
    if (r == 0)
        *out = steal(&k);
    return r;
}

/* --- Signing again ------------------------------------------------------------------------------------------------- */

static bool is_ours(const doc_Keyset *own, const uint8_t key[32]) { return keyset_lists(own, KEY_LICENSE, key, 0); }

/* The key block stands for all: it is signed again last. */
static int is_due(struct operations *o, const doc_Keyset *own, bool *due)
{
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    doc_Ekb block;
    uint8_t signer[32];
    int r = keyblocks_newest_envelope(o, &envelope);
    if (r == 0)
        r = document_open(DOCUMENT_EKB, buf_slice(&envelope), &block, sizeof(block), signer);
    *due = r == 0 && !is_ours(own, signer) && is_ours(own, o->keys->license.public_key);
    return r == OPERATIONS_ABSENT ? 0 : r > 0 ? -EUCLEAN : r;
}

struct certified {
    struct id client;
    doc_DeviceCertificate certificate;
    uint8_t signer[32];
};

/* The next one after *c; what is in our own database is believed. */
static int next_certified(struct operations *o, struct certified *c)
{
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    struct query q CLEANUP(query_end) = query(o->store, DEVICE_CERTIFICATE_AFTER);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    rows_bind_id(&q, 2, &c->client);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, c->client.bytes, ID_BYTES);
    query_append(&q, 1, &envelope);
    r = query_check(&q);
    if (r == 0)
        r = document_open(DOCUMENT_DEVICE, buf_slice(&envelope), &c->certificate, sizeof(c->certificate), c->signer);
    return r > 0 ? -EUCLEAN : r;
}

static int certify_again(struct operations *o, const struct certified *c, int64_t now_ms)
{
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    struct device d;
    int r = devices_find_own(o, &c->client, &d);
    if (r != 0 || d.revoked) /* one that is gone needs none */
        return r == OPERATIONS_ABSENT ? 0 : r;
    r = devices_certify(o, c->certificate.device_key, c->certificate.sealing_key, c->certificate.leaf.number, now_ms,
                        &envelope);
    return r == 0 ? roster_touch(o, OPERATIONS_SELF, d.user) : r;
}

int rotation_sign_again(struct operations *o, int64_t now_ms)
{
    doc_Keyset *own CLEANUP(freep) = malloc(sizeof(*own));
    struct certified c = { .client = { { 0 } } };
    bool due = false;
    unsigned count = 0;
    if (!own)
        return -ENOMEM;
    int r = keyset_own(o, own);
    if (r == 0)
        r = is_due(o, own, &due);
    if (r != 0 || !due)
        return r;
    while ((r = next_certified(o, &c)) == 0) {
        if (is_ours(own, c.signer))
            continue;
        r = certify_again(o, &c, now_ms);
        if (r != 0)
            return r;
        count++;
    }
    if (r != OPERATIONS_ABSENT)
        return r;
    r = keyblocks_issue(o, now_ms);
    if (r == 0)
        log_info("signed again, since the key before was withdrawn: certificates=%u", count);
    return r;
}

int rotation_expire_rosters(struct operations *o)
{
    static const uint8_t none[32];
    struct query q CLEANUP(query_end) = query(o->store, ROSTER_EXPIRE);
    query_bind_blob(&q, 1, SLICE_ARRAY(none));
    return rows_run(&q);
}
