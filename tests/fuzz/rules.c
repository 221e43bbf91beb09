/* The rules for copy certificates, said a second time. Reads records with a reader of its own: numbers and byte strings by
 * field number, lenient about everything that the strict decoder is strict about. */
#include "rules.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define FIELDS 20

struct value {
    int times; /* how often the field was there */
    uint64_t number;
    const uint8_t *data;
    size_t len;
};
struct record {
    struct value field[FIELDS];
};

static int varint(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return 1;
    }
    return 0;
}

static int read_record(const uint8_t *at, size_t len, struct record *out)
{
    const uint8_t *end = at + len;
    memset(out, 0, sizeof(*out));
    while (at < end) {
        uint64_t tag, n;
        if (!varint(&at, end, &tag) || (tag >> 3) == 0 || (tag >> 3) >= FIELDS || !varint(&at, end, &n))
            return 0;
        struct value *v = &out->field[tag >> 3];
        v->times++;
        if ((tag & 7) == 0) {
            v->number = n;
        } else if ((tag & 7) == 2) {
            if (n > (size_t)(end - at))
                return 0;
            v->data = at;
            v->len = (size_t)n;
            at += n;
        } else {
            return 0;
        }
    }
    return 1;
}

/* An envelope: its signature verifies under the key inside. */
struct envelope {
    struct record record;
    uint8_t key[32];
};

static int open_envelope(const uint8_t *data, size_t len, const char *type, struct envelope *out)
{
    size_t type_len = strlen(type), fixed = 7 + type_len + 96;
    if (len < fixed || data[0] != 1 || data[1] != 1 || data[2] != type_len || memcmp(data + 3, type, type_len) != 0)
        return 0;
    const uint8_t *p = data + 3 + type_len;
    size_t payload_len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (payload_len != len - fixed || payload_len > 8192)
        return 0;
    const uint8_t *payload = p + 4, *key = payload + payload_len;
    uint8_t message[8192 + 128];
    int head = snprintf((char *)message, 128, "DSSEv1 %zu %s %zu ", type_len, type, payload_len);
    memcpy(message + head, payload, payload_len);
    if (crypto_sign_verify_detached(key + 32, message, (size_t)head + payload_len, key) != 0)
        return 0;
    memcpy(out->key, key, 32);
    return read_record(payload, payload_len, &out->record);
}

static int is_id(const struct value *v, const void *id)
{
    return v->times == 1 && v->len == 32 && memcmp(v->data, id, 32) == 0;
}

static int same_bytes(const struct value *a, const struct value *b)
{
    return a->times == 1 && b->times == 1 && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* A license key of the keyset which had not ended when the document was issued; to refuse, also one that was withdrawn since. */
static int is_license_key(const doc_Keyset *k, const uint8_t key[32], uint64_t issued_ms, bool alone)
{
    for (size_t i = 0; i < k->keys_count; i++)
        if ((k->keys[i].purpose == 2 || (alone && k->keys[i].purpose >= 5 && k->keys[i].purpose <= 6)) &&
            memcmp(k->keys[i].key, key, 32) == 0 && k->keys[i].ends_ms >= issued_ms)
            return 1;
    return 0;
}

#define SKEW_MS 300000.0
/* In floating point, where nothing overflows; what that rounds is far below a millisecond at any date that matters. */
static int in_time(uint64_t from_ms, uint64_t ends_ms, int64_t now_ms)
{
    long double now = now_ms > 0 ? (long double)now_ms : 0;
    return (long double)from_ms - now <= SKEW_MS && now - (long double)ends_ms <= SKEW_MS;
}

struct papers {
    struct envelope certificate, license, delegation, block;
    struct record info, entry, leaf;
};

/* Content information: publisher 1, media type 2, plain bytes 7, block bytes 8, block count 9. */
static const char *content_rules(const struct certificate_case *c, const struct papers *p)
{
    const struct value *v = p->info.field;
    double plain = (double)v[7].number, block = (double)v[8].number, count = (double)v[9].number;
    if (v[7].times != 1 || v[8].times != 1 || v[9].times != 1 || v[2].times != 1 || v[2].len == 0)
        return "the content information is whole";
    int power = 0;
    for (double size = 4096; size <= 1048576; size *= 2)
        power |= size == block;
    if (!power || plain < 1 || count < 1 || count > 1048576)
        return "a body has between one and 2^20 blocks of a power of two bytes";
    if (!((count - 1) * block < plain && plain <= count * block))
        return "as many blocks as the bytes need";
    if (c->info.len > 2048)
        return "content information has 2048 bytes at most";
    uint8_t hashed[18 + 4 + 2048 + 32] = "hearth content id", id[32]; /* 18: with its 00 */
    uint8_t *at = hashed + 20;                                        /* after two zero bytes of the length */
    *at++ = (uint8_t)(c->info.len >> 8);
    *at++ = (uint8_t)c->info.len;
    memcpy(at, c->info.data, c->info.len);
    at += c->info.len;
    memcpy(at, c->list_root, 32);
    crypto_hash_sha256(id, hashed, (size_t)(at + 32 - hashed));
    return is_id(&p->certificate.record.field[5], id) ? NULL : "the certificate names the content beside it";
}

/* Delegation: delegator 1, partner 2, copy key 3, sequence 4, longest life 5, issued 6, ends 7. */
static const char *delegated_rules(const struct certificate_case *c, const struct papers *p, bool alone)
{
    const struct value *d = p->delegation.record.field, *v = p->certificate.record.field;
    uint64_t lowest = 0;
    if (!is_license_key(c->keyset, p->delegation.key, d[6].number, alone) || d[6].number > INT64_MAX)
        return "the own distributor's license key signed the delegation";
    if (!is_id(&d[1], c->keyset->distributor))
        return "the delegation is the own distributor's";
    for (size_t i = c->keyset->floors_count; i-- > 0;)
        if (is_id(&d[2], c->keyset->floors[i].partner))
            lowest = c->keyset->floors[i].lowest_sequence;
    if (!alone && (d[4].number < lowest || !in_time(d[6].number, d[7].number, c->now_ms)))
        return "the delegation is in force";
    if (!is_id(&d[3], p->certificate.key))
        return "the delegated copy key signed the certificate";
    if (!same_bytes(&d[2], &v[1]) || v[8].number != 1)
        return "the issuer is the partner, and wraps under the partner root";
    if (!alone && !same_bytes(&p->info.field[1], &d[2]))
        return "the partner published the content";
    if (v[13].number < v[12].number || v[13].number > d[7].number || v[13].number - v[12].number > d[5].number)
        return "the certificate lives no longer than the delegation allows";
    return NULL;
}

/* Certificate: issuer 1, serial 2, source 3, destination 4, content 5, license 6, wrapped half 7, partner root 8, key block 9,
 * move 10, removable 11, issued 12, ends 13. */
static const char *certificate_rules(const struct certificate_case *c, const struct papers *p, bool alone)
{
    const struct value *v = p->certificate.record.field;
    if (c->delegation.len > 0) {
        const char *broken = delegated_rules(c, p, alone);
        if (broken)
            return broken;
    } else {
        if (!is_id(&v[1], c->keyset->distributor) || v[12].number > INT64_MAX ||
            !is_license_key(c->keyset, p->certificate.key, v[12].number, alone))
            return "the own distributor's license key signed the certificate";
        if (v[8].number != 0)
            return "the own distributor does not wrap under a partner root";
    }
    if (!is_id(&v[4], c->self.bytes))
        return "this device is the destination";
    bool by_issuer = c->presenter && v[10].number == 0 && is_id(&v[1], c->presenter->bytes);
    if (c->presenter ? !is_id(&v[3], c->presenter->bytes) && !by_issuer : !alone && v[11].number != 1)
        return "the source brought it, or the issuer a copy, or it was issued for a medium";
    if (!alone && !in_time(v[12].number, v[13].number, c->now_ms))
        return "the certificate is in its time";
    return NULL;
}

/* License: issuer 1, content 4, client 5, leaf 6 (distributor 1, category 2). Block: distributor 1, category 2, kind 3,
 * version 4, entry count 5, issued 8. Key block entry: block 1, index 2. */
static const char *license_rules(const struct certificate_case *c, const struct papers *p, bool alone)
{
    const struct value *v = p->certificate.record.field, *l = p->license.record.field, *b = p->block.record.field;
    if (memcmp(p->license.key, p->certificate.key, 32) != 0)
        return "the same hand signed license and certificate";
    if (!same_bytes(&l[1], &v[1]) || !same_bytes(&l[4], &v[5]) || !same_bytes(&l[5], &v[4]))
        return "license and certificate agree on issuer, content and device";
    if (!is_id(&p->leaf.field[1], c->keyset->distributor))
        return "the leaf is of the own distributor's tree";
    if (!is_license_key(c->keyset, p->block.key, b[8].number, alone) || b[8].number > INT64_MAX ||
        !is_id(&b[1], c->keyset->distributor))
        return "the own distributor signed the key block";
    if (b[3].number != 1 || b[2].number != p->leaf.field[2].number || p->entry.field[2].number >= b[5].number)
        return "the entry lies in a key block of the leaf's category";
    if (!alone && b[4].number < c->lowest_block_version)
        return "the key block is not older than the newest known";
    return NULL;
}

static int read_value(const struct value *v, struct record *out)
{
    return v->times == 1 && v->data && read_record(v->data, v->len, out);
}

static int read_papers(const struct certificate_case *c, bool alone, struct papers *p)
{
    const struct value *v = p->certificate.record.field;
    memset(p, 0, sizeof(*p));
    return open_envelope(c->certificate.data, c->certificate.len, "hearth/copy-certificate/1", &p->certificate) &&
           read_value(&v[9], &p->entry) && v[6].data &&
           open_envelope(v[6].data, v[6].len, "hearth/license/1", &p->license) &&
           read_value(&p->license.record.field[6], &p->leaf) && p->entry.field[1].data &&
           open_envelope(p->entry.field[1].data, p->entry.field[1].len, "hearth/ekb/1", &p->block) &&
           (alone || (c->info.len > 0 && read_record(c->info.data, c->info.len, &p->info))) &&
           (c->delegation.len == 0 ||
            open_envelope(c->delegation.data, c->delegation.len, "hearth/delegation/1", &p->delegation));
}

const char *rules_broken(const struct certificate_case *c, bool alone)
{
    struct papers p;
    if (!read_papers(c, alone, &p))
        return "every paper is there, readable and signed";
    const char *broken = certificate_rules(c, &p, alone);
    if (!broken)
        broken = license_rules(c, &p, alone);
    if (!broken && !alone)
        broken = content_rules(c, &p);
    return broken;
}
