/* Judging metadata and vouches, ranges of signers, and the files. No I/O. Any thread. */
#include "protocol/metadata.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/util.h"
#include "crypto/sha256.h"
#include "protocol/times.h"

#define MAGIC_BYTES 8
static const char file_magic[] = "HEARTHM1", vouch_magic[] = "HEARTHV1";

/* ---- Ranges ---- */

static const char *const ranges[RANGE_KINDS] = { [RANGE_NOBODY] = "none",
                                                 [RANGE_PUBLISHER] = "publisher",
                                                 [RANGE_KEYS] = "keys",
                                                 [RANGE_VOUCHED] = "vouched",
                                                 [RANGE_ANYBODY] = "anyone" };

const char *metadata_range_text(uint32_t kind)
{
    return kind >= RANGE_NOBODY && kind < RANGE_KINDS ? ranges[kind] : "?";
}

bool metadata_range_is_valid(const doc_SignerRange *r)
{
    return r->kind >= RANGE_NOBODY && r->kind < RANGE_KINDS && (r->kind == RANGE_KEYS) == (r->keys_count > 0);
}

static bool lists(const doc_SignerRange *r, const uint8_t signer[32])
{
    for (pb_size_t i = 0; i < r->keys_count; i++)
        if (id_equal(r->keys[i], signer))
            return true;
    return false;
}

/* Source: R1: the range of signers that the usage control information names, against the signer that the metadata names. */
bool metadata_range_permits(const doc_SignerRange *r, const doc_Metadata *m, bool vouched)
{
    const doc_SignerRange all_known = { .kind = RANGE_VOUCHED };
    if (!r)
        r = &all_known;
    if (!metadata_range_is_valid(r) || r->kind == RANGE_NOBODY)
        return false;
    if (m->kind == SIGNER_PUBLISHER || r->kind == RANGE_ANYBODY)
        return true;
    return r->kind == RANGE_KEYS ? lists(r, m->signer) : r->kind == RANGE_VOUCHED && vouched;
}

bool metadata_range_covers(const doc_SignerRange *a, const doc_SignerRange *b)
{
    if (!a || a->kind == RANGE_ANYBODY || (b && b->kind <= RANGE_PUBLISHER && b->kind <= a->kind))
        return true;
    if (!b || a->kind != b->kind)
        return false;
    for (pb_size_t i = 0; i < b->keys_count; i++)
        if (!lists(a, b->keys[i]))
            return false;
    return true;
}

/* ---- Documents ---- */

static bool language_is_valid(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && (*c != '-' || c == text || c[1] == '\0' || c[1] == '-'))
            return false;
    return true;
}

static int judge_signer(const doc_Metadata *m, const uint8_t key[32], const struct id *publisher,
                        const doc_Keyset *keyset)
{
    struct id by = id_of_key(key);
    if (m->kind == SIGNER_PROVIDER)
        return id_equal(&by, m->signer) ? 0 : REASON_SIGNATURE_INVALID;
    if (m->kind != SIGNER_PUBLISHER)
        return REASON_MALFORMED;
    if (!id_equal(publisher, m->signer))
        return REASON_SIGNATURE_INVALID;
    if (!keyset)
        return REASON_KEYSET_INVALID;
    bool listed = m->issued_ms <= INT64_MAX && id_equal(publisher, keyset->distributor) &&
                  keyset_lists(keyset, KEY_LICENSE, key, (int64_t)m->issued_ms);
    return listed ? 0 : REASON_SIGNATURE_INVALID;
}

int metadata_judge(struct slice envelope, const struct id *publisher, const doc_Keyset *keyset, doc_Metadata *out)
{
    doc_Metadata read;
    uint8_t key[32];
    int r = document_open(DOCUMENT_METADATA, envelope, &read, sizeof(read), key);
    if (r == 0)
        r = judge_signer(&read, key, publisher, keyset);
    if (r != 0)
        return r;
    if (!language_is_valid(read.language) || read.parts_bytes == 0 || read.parts_bytes > METADATA_PARTS_MAX ||
        read.sequence == 0 || read.sequence > INT64_MAX)
        return REASON_MALFORMED;
    *out = read;
    return 0;
}

int metadata_judge_time(const doc_Metadata *m, int64_t now_ms)
{
    bool lasts = !times_before(m->issued_ms, now_ms) && (!m->has_ends_ms || !times_ended(m->ends_ms, now_ms));
    return lasts ? 0 : REASON_METADATA_ENDED;
}

int metadata_vouch_judge(struct slice envelope, const doc_Keyset *keyset, const uint8_t provider[32],
                         doc_MetadataVouch *out)
{
    doc_MetadataVouch read;
    uint8_t key[32];
    int r = document_open(DOCUMENT_METADATA_VOUCH, envelope, &read, sizeof(read), key);
    if (r != 0)
        return r;
    if (read.issued_ms > INT64_MAX || !keyset_lists(keyset, KEY_LICENSE, key, (int64_t)read.issued_ms) ||
        !id_equal(read.distributor, keyset->distributor))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(read.provider, provider))
        return REASON_WRONG_DESTINATION;
    if (read.sequence == 0 || read.sequence > INT64_MAX)
        return REASON_MALFORMED;
    *out = read;
    return 0;
}

int metadata_keyset_judge(struct slice envelope, const struct id *distributor, uint64_t lowest_sequence,
                          doc_Keyset *out)
{
    doc_Keyset *read CLEANUP(freep) = malloc(sizeof(*read));
    struct id root;
    if (!read)
        return -ENOMEM;
    int r = document_open_keyset(envelope, read, &root);
    if (r != 0)
        return r;
    if (!id_equal(&root, distributor) || !id_equal(distributor, read->distributor) || read->sequence < lowest_sequence)
        return REASON_KEYSET_INVALID;
    *out = *read;
    return 0;
}

/* ---- Files ---- */

static struct slice counted(struct reader *r, size_t max, bool needed)
{
    uint32_t len = reader_u32(r);
    if (len > max || (needed && len == 0))
        r->bad = true;
    return r->bad ? slice(NULL, 0) : reader_bytes(r, len);
}

static bool begins(struct reader *r, const char magic[MAGIC_BYTES + 1])
{
    struct slice found = reader_bytes(r, MAGIC_BYTES);
    return !r->bad && memcmp(found.data, magic, MAGIC_BYTES) == 0;
}

int metadata_file_split(struct slice file, struct metadata_file *out)
{
    struct reader r = reader(file);
    struct metadata_file f = { 0 };
    if (file.len > METADATA_FILE_MAX || !begins(&r, file_magic))
        return REASON_MALFORMED;
    f.document = counted(&r, METADATA_DOCUMENT_MAX, true);
    f.vouch = counted(&r, METADATA_VOUCH_MAX, false);
    f.keyset = counted(&r, METADATA_KEYSET_MAX, false);
    f.parts = r.rest;
    if (r.bad || f.parts.len == 0)
        return REASON_MALFORMED;
    *out = f;
    return 0;
}

int metadata_vouch_split(struct slice file, struct metadata_file *out)
{
    struct reader r = reader(file);
    struct metadata_file f = { 0 };
    if (!begins(&r, vouch_magic))
        return REASON_MALFORMED;
    f.vouch = counted(&r, METADATA_VOUCH_MAX, true);
    f.keyset = counted(&r, METADATA_KEYSET_MAX, true);
    if (!reader_done(&r))
        return REASON_MALFORMED;
    *out = f;
    return 0;
}

static int put_counted(struct buf *out, struct slice bytes)
{
    int r = buf_put_u32(out, (uint32_t)bytes.len);
    return r == 0 ? buf_append(out, bytes) : r;
}

int metadata_file_put(struct buf *out, const struct metadata_file *f)
{
    int r = buf_append(out, slice(file_magic, MAGIC_BYTES));
    if (r == 0)
        r = put_counted(out, f->document);
    if (r == 0)
        r = put_counted(out, f->vouch);
    if (r == 0)
        r = put_counted(out, f->keyset);
    return r == 0 ? buf_append(out, f->parts) : r;
}

int metadata_vouch_put(struct buf *out, struct slice vouch, struct slice keyset)
{
    int r = buf_append(out, slice(vouch_magic, MAGIC_BYTES));
    if (r == 0)
        r = put_counted(out, vouch);
    return r == 0 ? put_counted(out, keyset) : r;
}

bool metadata_parts_match(const doc_Metadata *m, struct slice parts)
{
    uint8_t digest[SHA256_BYTES];
    if (parts.len != m->parts_bytes)
        return false;
    sha256(parts, digest);
    return memcmp(digest, m->parts_digest, sizeof(digest)) == 0;
}
