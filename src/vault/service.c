/* Services in the database (table distributor) and open in memory. Keysets are checked in keysets.c. */
#include "vault/service.h"

#include <stdlib.h>

#include "base/util.h"
#include "crypto/seal.h"
#include "vault/db.h"
#include "vault/keys.h"
#include "vault/keysets.h"
#include "vault/logins.h"
#include "vault/sealed.h"
#include "vault/trusted_time.h"

#define LABEL "hearth vault service"

struct services {
    struct service *all[SERVICE_COUNT_MAX];
    unsigned count;
    bool loaded;
};

static void service_free(struct service *s)
{
    if (!s)
        return;
    secret_free(s->device_set);
    free(s);
}

static void service_freep(struct service **s) { service_free(*s); }

int services_init(struct vault *v)
{
    v->services = calloc(1, sizeof(*v->services));
    return v->services ? 0 : -ENOMEM;
}

void services_forget(struct vault *v)
{
    struct services *all = v->services;
    while (all->count > 0)
        service_free(all->all[--all->count]);
    all->loaded = false;
}

void services_deinit(struct vault *v)
{
    if (!v->services)
        return;
    services_forget(v);
    free(v->services);
    v->services = NULL;
}

/* --- Reading --- */

/* It was judged when it was stored; its end date is judged when it is used. */
static int read_keyset(struct service *s, struct slice envelope)
{
    struct id root;
    int r = document_open_keyset(envelope, &s->keyset, &root);
    if (r < 0)
        return r;
    return r == 0 && id_equal(&root, &s->distributor) ? 0 : -EUCLEAN;
}

static int read_set(const struct vault *v, struct service *s, struct slice sealed)
{
    if (sealed.len != KEYTREE_SET_BYTES + SEALED_OVERHEAD_BYTES)
        return -EUCLEAN;
    s->device_set = secret_alloc(KEYTREE_SET_BYTES);
    if (!s->device_set)
        return -ENOMEM;
    int r = sealed_open(v, LABEL, SLICE_ARRAY(s->distributor.bytes), sealed, s->device_set);
    if (r == 0 && keytree_set_leaf(service_set(s), &s->leaf.category, &s->leaf.number) != 0)
        r = -EUCLEAN;
    memcpy(s->leaf.distributor, s->distributor.bytes, sizeof(s->leaf.distributor));
    return r;
}

static int read_row(const struct vault *v, struct query *q, struct service **out)
{
    struct service *s CLEANUP(service_freep) = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    query_fixed(q, 0, s->distributor.bytes, sizeof(s->distributor.bytes));
    struct slice keyset = query_blob(q, 1), sealed = query_blob(q, 2);
    s->block_version = query_u64(q, 3);
    s->roster_sequence = query_u64(q, 4);
    int r = query_check(q);
    if (r == 0)
        r = read_keyset(s, keyset);
    if (r == 0)
        r = read_set(v, s, sealed);
    if (r == 0)
        *out = steal(&s);
    return r;
}

static int load(struct vault *v)
{
    struct services *all = v->services;
    struct query q CLEANUP(query_end) = query(v->store, DB_SERVICES);
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        r = all->count < SERVICE_COUNT_MAX ? read_row(v, &q, &all->all[all->count]) : -EUCLEAN;
        if (r != 0)
            break;
        all->count++;
    }
    if (r != 0)
        services_forget(v);
    all->loaded = r == 0;
    return r > 0 ? -EUCLEAN : r;
}

int services_all(struct vault *v, struct service *const **out, unsigned *count)
{
    int r = v->services->loaded ? 0 : load(v);
    if (r != 0)
        return r;
    *out = v->services->all;
    *count = v->services->count;
    return 0;
}

int services_find(struct vault *v, const void *distributor, const struct service **out)
{
    struct service *const *all;
    unsigned count;
    int r = services_all(v, &all, &count);
    if (r != 0)
        return r;
    for (unsigned i = 0; i < count; i++) {
        if (id_equal(&all[i]->distributor, distributor)) {
            *out = all[i];
            return 0;
        }
    }
    return REASON_NOT_REGISTERED;
}

int services_find_current(struct vault *v, const void *distributor, const struct service **out)
{
    const struct service *s;
    int r = services_find(v, distributor, &s);
    if (r != 0)
        return r;
    r = keysets_judge_current(v, &s->keyset, NULL);
    if (r == 0)
        *out = s;
    return r;
}

struct slice service_set(const struct service *s) { return slice(s->device_set, KEYTREE_SET_BYTES); }

bool service_has_leaf(const struct service *s, const doc_Leaf *leaf)
{
    return id_equal(leaf->distributor, &s->distributor) && leaf->category == s->leaf.category &&
           leaf->number == s->leaf.number;
}

/* --- SERVICE_DATA --- */

/* The certificate says: this device, this sealing key, this distributor's leaf. */
static int judge_certificate(struct vault *v, const struct id *distributor, struct slice envelope, doc_Leaf *leaf)
{
    doc_Keyset keyset;
    doc_DeviceCertificate certificate;
    struct id client;
    struct trusted_time t;
    int r = keysets_find(v, distributor->bytes, &keyset);
    if (r == 0)
        r = trusted_time_get(v, distributor->bytes, 0, &t);
    if (r == 0)
        r = device_judge(envelope, &keyset, (int64_t)t.now_ms, &certificate, &client);
    if (r != 0)
        return r == REASON_NOT_FOUND ? REASON_NOT_REGISTERED : r;
    if (!id_equal(&client, &v->keys->client) || !id_equal(certificate.sealing_key, v->keys->sealing_key) ||
        !id_equal(certificate.leaf.distributor, distributor))
        return REASON_WRONG_DESTINATION;
    *leaf = certificate.leaf;
    return 0;
}

/* set: guarded, KEYTREE_SET_BYTES. */
static int open_set(const struct vault *v, const doc_Leaf *leaf, struct slice sealed, uint8_t *set)
{
    uint32_t category, number;
    if (sealed.len != KEYTREE_SET_BYTES + SEAL_OVERHEAD_BYTES)
        return REASON_MALFORMED;
    int r = seal_open(&v->keys->sealing_secret, sealed, set);
    if (r != 0)
        return r > 0 ? REASON_MALFORMED : r;
    if (keytree_set_leaf(slice(set, KEYTREE_SET_BYTES), &category, &number) != 0)
        return REASON_MALFORMED;
    return category == leaf->category && number == leaf->number ? 0 : REASON_MALFORMED;
}

static int keep_set(struct vault *v, const struct id *distributor, const uint8_t *set)
{
    struct buf sealed CLEANUP(buf_free) = buf(KEYTREE_SET_BYTES + SEALED_OVERHEAD_BYTES);
    int r = sealed_put(v, LABEL, SLICE_ARRAY(distributor->bytes), slice(set, KEYTREE_SET_BYTES), &sealed);
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    struct query q CLEANUP(query_end) = query(v->store, DB_SERVICE_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(distributor->bytes));
    query_bind_blob(&q, 2, buf_slice(&sealed));
    return query_run(&q);
}

static int has_room(struct vault *v, const struct id *distributor)
{
    struct service *const *all;
    const struct service *known;
    unsigned count;
    int r = services_find(v, distributor, &known);
    if (r != REASON_NOT_REGISTERED)
        return r;
    r = services_all(v, &all, &count);
    if (r != 0)
        return r;
    return count < SERVICE_COUNT_MAX ? 0 : REASON_TOO_LARGE;
}

int service_store(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)reply;
    const vlt_ServiceData *m = rq->message;
    struct id distributor = id_from(m->distributor);
    doc_Leaf leaf;
    int r = judge_certificate(v, &distributor, CODEC_BYTES(m->certificate), &leaf);
    if (r == 0)
        r = has_room(v, &distributor);
    if (r != 0)
        return r;
    uint8_t *set = secret_alloc(KEYTREE_SET_BYTES);
    if (!set)
        return -ENOMEM;
    r = open_set(v, &leaf, rq->tail, set);
    if (r == 0)
        r = keep_set(v, &distributor, set);
    secret_free(set);
    services_forget(v);
    return r;
}

/* --- SERVICE_DROP, DISTRIBUTORS_GET --- */

int service_drop(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)reply;
    const vlt_ServiceDrop *m = rq->message;
    static const enum db_statement drops[] = { DB_SERVICE_DROP, DB_ROOTS_DROP };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(drops); i++) {
        struct query q CLEANUP(query_end) = query(v->store, drops[i]);
        query_bind_blob(&q, 1, SLICE_ARRAY(m->distributor));
        r = query_run(&q);
    }
    services_forget(v);
    if (r > 0)
        return -EUCLEAN;
    return r == 0 ? logins_forget(v, m->distributor) : r;
}

int service_list(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)rq;
    struct service *const *all;
    unsigned count;
    int r = services_all(v, &all, &count);
    if (r != 0)
        return r;
    for (unsigned i = 0; i < count; i++) {
        vlt_Distributor *row = &reply->distributors.distributors[i];
        memcpy(row->distributor, all[i]->distributor.bytes, sizeof(row->distributor));
        CODEC_SET_TEXT(row->name, all[i]->keyset.name);
        row->leaf = all[i]->leaf;
        row->keyset_sequence = all[i]->keyset.sequence;
        row->roster_sequence = all[i]->roster_sequence;
        row->block_version = all[i]->block_version;
    }
    reply->distributors.distributors_count = (pb_size_t)count;
    reply->type = vlt_Type_DISTRIBUTORS;
    reply->fields = vlt_Distributors_fields;
    return 0;
}
