/* Devices of households: finding, certifying, renaming, removing. On the connection's thread.
 * Source: seed S12-S14 (tables (1) to (3)), S129, S135. */
#define LOG_MODULE "devices"
#include "distributor/devices.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/copies.h"
#include "distributor/handlers.h"
#include "distributor/keyblocks.h"
#include "distributor/keyset.h"
#include "distributor/reply.h"
#include "distributor/roster.h"
#include "distributor/rows.h"
#include "distributor/share_rows.h"
#include "distributor/spending.h"
#include "distributor/tokens.h"
#include "distributor/verified.h"

#define CERTIFICATE_LIFE_MS (INT64_C(730) * 86400000)

/* --- Finding ----------------------------------------------------------------------------------------------------- */

static void read_device(struct query *q, int column, struct device *d)
{
    query_text(q, column, d->user, sizeof(d->user));
    query_text(q, column + 1, d->name, sizeof(d->name));
    d->registered_ms = query_i64(q, column + 2);
    d->revoked = query_bool(q, column + 3);
}

int devices_find_at(struct operations *o, int64_t distributor, const struct id *client, struct device *out)
{
    struct query q CLEANUP(query_end) = query(o->store, DEVICE_GET);
    query_bind_i64(&q, 1, distributor);
    rows_bind_id(&q, 2, client);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *out = (struct device){ .client = *client, .distributor = distributor };
    read_device(&q, 0, out);
    return query_check(&q);
}

int devices_find_own(struct operations *o, const struct id *client, struct device *out)
{
    return devices_find_at(o, OPERATIONS_SELF, client, out);
}

int devices_find(struct operations *o, const struct id *client, struct device *out)
{
    struct query q CLEANUP(query_end) = query(o->store, DEVICE_FIND);
    rows_bind_id(&q, 1, client);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *out = (struct device){ .client = *client, .distributor = query_i64(&q, 0) };
    read_device(&q, 1, out);
    return query_check(&q);
}

int devices_find_in_household(struct operations *o, int64_t distributor, const char *user, const struct id *client,
                              struct device *out)
{
    struct query q CLEANUP(query_end) = query(o->store, HOUSEHOLD_DEVICE);
    query_bind_i64(&q, 1, distributor);
    query_bind_text(&q, 2, user);
    rows_bind_id(&q, 3, client);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *out = (struct device){ .client = *client, .distributor = query_i64(&q, 0) };
    read_device(&q, 1, out);
    return query_check(&q);
}

int devices_caller(struct operations *o, const struct caller *who, struct device *out)
{
    int r = devices_find_own(o, &who->client, out);
    if (r == OPERATIONS_ABSENT)
        return REASON_NOT_REGISTERED;
    return r == 0 && out->revoked ? REASON_DEVICE_REVOKED : r;
}

int devices_caller_or_guest(struct operations *o, const struct caller *who, struct device *out)
{
    int r = devices_find(o, &who->client, out);
    if (r == OPERATIONS_ABSENT)
        return REASON_NOT_REGISTERED;
    return r == 0 && out->revoked ? REASON_DEVICE_REVOKED : r;
}

int devices_leaf(struct operations *o, int64_t distributor, const struct id *client, uint32_t *category, uint32_t *leaf)
{
    struct query q CLEANUP(query_end) = query(o->store, LEAF_GET);
    query_bind_i64(&q, 1, distributor);
    rows_bind_id(&q, 2, client);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *category = query_u32(&q, 0);
    *leaf = query_u32(&q, 1);
    return query_check(&q);
}

int devices_certificate_bytes(struct operations *o, int64_t distributor, const struct id *client, struct buf *envelope)
{
    struct query q CLEANUP(query_end) = query(o->store, DEVICE_CERTIFICATE_GET);
    query_bind_i64(&q, 1, distributor);
    rows_bind_id(&q, 2, client);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_append(&q, 0, envelope);
    return query_check(&q);
}

int devices_certificate(struct operations *o, const struct device *d, int64_t now_ms, doc_DeviceCertificate *out)
{
    struct buf envelope CLEANUP(buf_free) = buf(512);
    doc_Keyset *keyset CLEANUP(freep) = calloc(1, sizeof(*keyset));
    if (!keyset)
        return -ENOMEM;
    uint32_t category = 0, leaf = 0;
    int r = devices_certificate_bytes(o, d->distributor, &d->client, &envelope);
    if (r == 0)
        r = devices_leaf(o, d->distributor, &d->client, &category, &leaf);
    if (r == 0)
        r = keyset_of(o, d->distributor, keyset);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_REGISTERED : r;
    struct id client;
    doc_DeviceCertificate certificate;
    if (!verified_find_device(o->verified, keyset, buf_slice(&envelope), now_ms, &certificate)) {
        r = device_judge(buf_slice(&envelope), keyset, now_ms, &certificate, &client);
        if (r != 0)
            return r;
        verified_add_device(o->verified, keyset, buf_slice(&envelope), &certificate);
    }
    client = id_of_key(certificate.device_key);
    if (!id_equal(&client, &d->client) || certificate.leaf.category != category || certificate.leaf.number != leaf)
        return REASON_SIGNATURE_INVALID; /* tables (1) and (2) of one distributor must say the same */
    *out = certificate;
    return 0;
}

/* --- Writing ----------------------------------------------------------------------------------------------------- */

static int share_device(struct operations *o, const struct device *d, bool removed)
{
    share_ClientUser row = { .registered_ms = (uint64_t)d->registered_ms, .revoked = d->revoked };
    memcpy(row.client, d->client.bytes, ID_BYTES);
    CODEC_SET_TEXT(row.user, d->user);
    CODEC_SET_TEXT(row.name, d->name);
    return SHARE_PUT(o, CLIENT_USER, removed, share_ClientUser, &row);
}

int devices_set(struct operations *o, const struct device *d)
{
    struct query q CLEANUP(query_end) = query(o->store, DEVICE_SET);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    rows_bind_id(&q, 2, &d->client);
    query_bind_text(&q, 3, d->user);
    query_bind_text(&q, 4, d->name);
    query_bind_i64(&q, 5, d->registered_ms);
    query_bind_i64(&q, 6, d->revoked);
    int r = rows_run(&q);
    if (r == 0)
        r = share_device(o, d, false);
    return r == 0 ? roster_touch(o, OPERATIONS_SELF, d->user) : r;
}

int devices_set_leaf(struct operations *o, const struct id *client, uint32_t leaf)
{
    struct query q CLEANUP(query_end) = query(o->store, LEAF_SET);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    rows_bind_id(&q, 2, client);
    query_bind_i64(&q, 3, OPERATIONS_CATEGORY);
    query_bind_i64(&q, 4, leaf);
    int r = rows_run(&q);
    share_LeafClient row = { .category = OPERATIONS_CATEGORY, .leaf = leaf };
    memcpy(row.client, client->bytes, ID_BYTES);
    return r == 0 ? SHARE_PUT(o, LEAF_CLIENT, false, share_LeafClient, &row) : r;
}

static int store_certificate(struct operations *o, const struct id *client, struct slice envelope, uint64_t ends_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, DEVICE_CERTIFICATE_SET);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    rows_bind_id(&q, 2, client);
    query_bind_blob(&q, 3, envelope);
    query_bind_u64(&q, 4, ends_ms);
    int r = rows_run(&q);
    share_ClientCertificate row = share_ClientCertificate_init_zero;
    memcpy(row.client, client->bytes, ID_BYTES);
    if (CODEC_SET_BYTES(row.certificate, envelope) != 0)
        return -EMSGSIZE;
    return r == 0 ? SHARE_PUT(o, CLIENT_CERTIFICATE, false, share_ClientCertificate, &row) : r;
}

int devices_certify(struct operations *o, const uint8_t device_key[32], const uint8_t sealing_key[32], uint32_t leaf,
                    int64_t now_ms, struct buf *envelope)
{
    doc_DeviceCertificate c = { .issued_ms = (uint64_t)now_ms, .ends_ms = (uint64_t)(now_ms + CERTIFICATE_LIFE_MS) };
    memcpy(c.device_key, device_key, sizeof(c.device_key));
    memcpy(c.sealing_key, sealing_key, sizeof(c.sealing_key));
    memcpy(c.leaf.distributor, o->keys->self.bytes, ID_BYTES);
    c.leaf.category = OPERATIONS_CATEGORY;
    c.leaf.number = leaf;
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    int r = document_sign(envelope, DOCUMENT_DEVICE, &c, &signer);
    struct id client = id_of_key(device_key);
    if (r == 0)
        r = store_certificate(o, &client, buf_slice(envelope), c.ends_ms);
    return r > 0 ? -EMSGSIZE : r;
}

/* --- Revoking ---------------------------------------------------------------------------------------------------- */

static int revoke_licenses(struct operations *o, const struct id *client)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_REVOKE);
    rows_bind_id(&q, 1, client);
    return rows_run(&q);
}

int devices_revoke(struct operations *o, struct device *d, int64_t now_ms)
{
    d->revoked = true;
    int r = devices_set(o, d);
    if (r == 0)
        r = revoke_licenses(o, &d->client);
    if (r == 0)
        r = keyblocks_revoke(o, &d->client, now_ms);
    if (r == 0)
        r = tokens_revoke_device(o, &d->client);
    if (r == 0)
        r = spending_lock_device(o, &d->client);
    if (r == 0) {
        char client[ID_TEXT_BYTES];
        id_text(&d->client, client);
        log_info("device revoked: client=%s", client);
    }
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

/* --- Requests ---------------------------------------------------------------------------------------------------- */

/* A device of the asking device's own account here. */
static int find_mine(struct operations *o, const struct caller *who, const uint8_t client[32], struct device *found,
                     struct reply *out)
{
    struct device mine;
    int r = devices_caller(o, who, &mine);
    if (r != 0)
        return r;
    struct id id = id_from(client);
    r = devices_find_own(o, &id, found);
    if (r == 0 && !found->revoked && strcmp(found->user, mine.user) == 0)
        return 0;
    if (r < 0)
        return r;
    struct device other;
    r = devices_find_in_household(o, OPERATIONS_SELF, mine.user, &id, &other);
    if (r == 0 && other.distributor != OPERATIONS_SELF)
        return reply_refuse(out, REASON_NOT_PERMITTED, "That device is another distributor's customer: ask there.");
    return r < 0 ? r : REASON_UNKNOWN_DEVICE;
}

int devices_rename(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                   struct reply *out)
{
    (void)tail;
    msg_DeviceRename m;
    int r = REQUEST_DECODE(message, msg_DeviceRename, &m);
    if (r != 0)
        return r;
    struct device d;
    r = find_mine(o, who, m.client, &d, out);
    if (r != 0)
        return r;
    if (m.name[0] == '\0')
        return reply_refuse(out, REASON_MALFORMED, "A device needs a name.");
    snprintf(d.name, sizeof(d.name), "%s", m.name);
    r = devices_set(o, &d);
    return r == 0 ? reply_ok(out) : r;
}

int devices_remove(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                   struct reply *out)
{
    (void)tail;
    msg_DeviceRemove m;
    int r = REQUEST_DECODE(message, msg_DeviceRemove, &m);
    if (r != 0)
        return r;
    struct device d;
    r = find_mine(o, who, m.client, &d, out);
    if (r == 0)
        r = devices_revoke(o, &d, who->now_ms);
    if (r == 0)
        r = copies_device_removed(o, &d, who->now_ms);
    return r == 0 ? reply_ok(out) : r;
}
