/* Judges what the second implementation wrote (test_write_samples.py): cases.vec in the directory HEARTH_SAMPLES names the
 * file, what its reader knows, and the outcome to expect. One cmocka test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/body.h"
#include "crypto/contentkey.h"
#include "crypto/ekb.h"
#include "protocol/metadata.h"
#include "protocol/program.h"
#include "protocol/standing.h"
#include "vectorfile.h"

#define FILE_MAX (4 << 20)

static const char *dir;
static doc_Keyset keyset; /* of the case, when it names one */

static struct buf file_field(const struct vector *v, const char *field)
{
    char path[4096];
    struct buf b = buf(FILE_MAX);
    assert_int_equal(file_join(path, sizeof(path), dir, vector_text(v, field)), 0);
    assert_int_equal(file_read(path, &b), 0);
    return b;
}

static struct id id_field(const struct vector *v, const char *field)
{
    struct slice s = vector_bytes(v, field);
    assert_int_equal(s.len, ID_BYTES);
    return id_from(s.data);
}

static int64_t now(const struct vector *v) { return (int64_t)vector_number(v, "now"); }

static void load_keyset(const struct vector *v)
{
    struct buf b CLEANUP(buf_free) = file_field(v, "keyset");
    struct id distributor = id_field(v, "distributor");
    assert_int_equal(
        keyset_judge(buf_slice(&b), &distributor, 0, NULL, (int64_t)vector_number(v, "keyset_now"), &keyset), 0);
}

/* ---- documents --------------------------------------------------------------------------------------------------- */

static int judge_keyset(const struct vector *v, struct slice d)
{
    doc_Keyset out;
    struct id distributor = id_field(v, "distributor");
    return keyset_judge(d, &distributor, vector_number(v, "sequence"), NULL, now(v), &out);
}

static int judge_device(const struct vector *v, struct slice d)
{
    doc_DeviceCertificate out;
    struct id client;
    return device_judge(d, &keyset, now(v), &out, &client);
}

static int judge_roster(const struct vector *v, struct slice d)
{
    static doc_Roster out;
    return roster_judge(d, &keyset, now(v), &out);
}

static int judge_license(const struct vector *v, struct slice d)
{
    doc_License out;
    (void)v;
    return license_judge(d, &keyset, &out);
}

static int judge_delegation(const struct vector *v, struct slice d)
{
    doc_Delegation out;
    return delegation_judge(d, &keyset, now(v), &out);
}

static int judge_ekb(const struct vector *v, struct slice d)
{
    doc_Ekb out;
    (void)v;
    return ekb_judge(d, &keyset, &out);
}

static int judge_grant(const struct vector *v, struct slice d)
{
    doc_KeyGrant out;
    struct id partner = id_field(v, "reader");
    return grant_judge(d, &keyset, &partner, now(v), &out);
}

static int judge_quote(const struct vector *v, struct slice d)
{
    doc_Quote out;
    struct id client = id_field(v, "reader");
    return quote_judge(d, &keyset, &client, now(v), &out);
}

static int judge_settlement(const struct vector *v, struct slice d)
{
    doc_Settlement out;
    struct id partner = id_field(v, "reader");
    return settlement_judge(d, &keyset, &partner, &out);
}

static int judge_time(const struct vector *v, struct slice d)
{
    doc_SignedTime out;
    struct id client = id_field(v, "reader");
    return time_judge(d, &keyset, &client, &out);
}

static int judge_receipt(const struct vector *v, struct slice d)
{
    doc_Receipt out;
    (void)v;
    return receipt_judge(d, &out);
}

static int judge_surrender(const struct vector *v, struct slice d)
{
    doc_Surrender out;
    (void)v;
    return surrender_judge(d, &out);
}

static int judge_use(const struct vector *v, struct slice d)
{
    doc_Use out;
    (void)v;
    return use_judge(d, &out);
}

static int judge_use_log(const struct vector *v, struct slice d)
{
    doc_UseLog out;
    (void)v;
    return use_log_judge(d, &out);
}

static int judge_use_log_taken(const struct vector *v, struct slice d)
{
    doc_UseLogTaken out;
    struct id client = id_field(v, "reader");
    return use_log_taken_judge(d, &keyset, &client, &out);
}

static int judge_standing(const struct vector *v, struct slice d)
{
    doc_Standing out;
    struct id client = id_field(v, "reader");
    return standing_judge(d, &keyset, &client, &out);
}

static int judge_generation(const struct vector *v, struct slice d)
{
    doc_Generation out;
    struct id client = id_field(v, "reader"), self = id_from(keyset.distributor);
    return generation_judge(d, &client, &self, &out);
}

static int judge_catch_up(const struct vector *v, struct slice d)
{
    static doc_CatchUp out;
    struct id client = id_field(v, "reader");
    return catch_up_judge(d, &keyset, &client, &out);
}

static int judge_program(const struct vector *v, struct slice d)
{
    doc_Program out;
    (void)v;
    return program_judge(d, &out);
}

static int judge_program_grant(const struct vector *v, struct slice d)
{
    doc_ProgramGrant out;
    doc_Program program;
    struct id client = id_field(v, "reader");
    return program_grant_judge(d, &keyset, &client, &out, &program);
}

static int judge_metadata(const struct vector *v, struct slice d)
{
    doc_Metadata out;
    struct id publisher = id_field(v, "publisher");
    return metadata_judge(d, &publisher, vector_has(v, "keyset") ? &keyset : NULL, &out);
}

static int judge_metadata_vouch(const struct vector *v, struct slice d)
{
    doc_MetadataVouch out;
    struct id provider = id_field(v, "reader");
    return metadata_vouch_judge(d, &keyset, provider.bytes, &out);
}

static int judge_metadata_file(const struct vector *v, struct slice d)
{
    struct metadata_file file;
    uint32_t counts[METADATA_COVER + 1];
    (void)v;
    int r = metadata_file_split(d, &file);
    return r == 0 ? metadata_parts_judge(file.parts, counts) : r;
}

static int judge_share(const struct vector *v, struct slice d)
{
    doc_Share out;
    (void)v;
    return share_judge(d, &keyset, &out);
}

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

struct body {
    struct slice info, list, blocks;
    struct body_shape shape;
    uint8_t root[32];
    doc_ContentInfo fields;
    struct id id;
};

static int split_body(struct slice bytes, struct body *b)
{
    struct reader r = reader(bytes);
    struct slice magic = reader_bytes(&r, 8);
    b->info = reader_bytes(&r, reader_u32(&r));
    if (r.bad || !slice_equal(magic, slice_str(BODY_MAGIC)))
        return REASON_MALFORMED;
    static const uint8_t no_root[32];
    int reason = info_judge(b->info, no_root, &b->fields, &b->id);
    if (reason)
        return reason;
    assert_int_equal(body_shape_init(&b->shape, b->fields.plain_bytes, b->fields.block_bytes, b->info.len), 0);
    b->list = reader_bytes(&r, (size_t)b->shape.block_count * 32);
    b->blocks = r.rest;
    if (r.bad || bytes.len != body_file_bytes(&b->shape))
        return REASON_MALFORMED;
    merkle_root(b->list.data, b->shape.block_count, b->root);
    return info_judge(b->info, b->root, &b->fields, &b->id);
}

static int verify_body(const struct body *b, const struct id *content)
{
    size_t at = 0;
    if (!id_equal(&b->id, content))
        return REASON_CONTENT_ID_MISMATCH;
    for (uint32_t i = 0; i < b->shape.block_count; i++) {
        uint8_t hash[32];
        uint32_t len = body_block_len(&b->shape, i);
        block_hash(slice_sub(b->blocks, at, len), hash);
        if (memcmp(hash, b->list.data + (size_t)i * 32, 32) != 0)
            return REASON_BLOCK_CORRUPT;
        at += len;
    }
    return 0;
}

static int judge_body(const struct vector *v, struct slice d)
{
    struct body b;
    struct id content = id_field(v, "content");
    int r = split_body(d, &b);
    return r ? r : verify_body(&b, &content);
}

static int judge_certificate(const struct vector *v, struct slice d)
{
    struct buf delegation CLEANUP(buf_free) = buf(FILE_MAX), body_file CLEANUP(buf_free) = file_field(v, "body");
    static struct certificate_facts facts;
    struct body b;
    struct id presenter;
    if (vector_has(v, "delegation"))
        delegation = file_field(v, "delegation");
    assert_int_equal(split_body(buf_slice(&body_file), &b), 0);
    struct certificate_case c = { .keyset = &keyset, .self = id_field(v, "reader"), .certificate = d };
    if (vector_has(v, "presenter")) {
        presenter = id_field(v, "presenter");
        c.presenter = &presenter;
    }
    c.delegation = buf_slice(&delegation);
    c.info = b.info;
    c.list_root = b.root;
    c.lowest_block_version = vector_number(v, "newest");
    c.now_ms = now(v);
    return certificate_judge(&c, &facts);
}

/* ---- playing ----------------------------------------------------------------------------------------------------- */

static int open_root(const doc_Header *h, struct slice set, struct key32 *root)
{
    doc_Ekb block;
    const doc_KeyBlockEntry *e = &h->key_block;
    int r = ekb_judge(CODEC_BYTES(e->block), &keyset, &block);
    if (r)
        return r;
    r = ekb_open(set, block.version, block.entry_count, block.entries_root, block.key_check, e->index,
                 SLICE_ARRAY(e->entry), CODEC_BYTES(e->proof), root);
    if (r == EKB_NOT_COVERED)
        return REASON_DEVICE_REVOKED;
    if (r)
        return r == EKB_MALFORMED ? REASON_MALFORMED : REASON_SIGNATURE_INVALID;
    struct id issuer = id_from(h->issuer);
    struct key32 block_root = *root;
    if (h->partner_root)
        contentkey_partner_root(&block_root, &issuer, root);
    return 0;
}

static int open_blocks(const struct body *b, const struct key32 *content_key, struct slice plain)
{
    uint8_t *out CLEANUP(freep) = malloc(b->shape.block_bytes);
    size_t at = 0, plain_at = 0;
    assert_non_null(out);
    assert_int_equal(plain.len, b->shape.plain_bytes);
    for (uint32_t i = 0; i < b->shape.block_count; i++) {
        uint32_t len = body_block_len(&b->shape, i);
        if (block_open(content_key, b->fields.nonce, i, b->shape.block_count, slice_sub(b->blocks, at, len), out) != 0)
            return REASON_SIGNATURE_INVALID;
        assert_memory_equal(out, plain.data + plain_at, len - BLOCK_OVERHEAD_BYTES);
        at += len;
        plain_at += len - BLOCK_OVERHEAD_BYTES;
    }
    return 0;
}

static int judge_play(const struct vector *v, struct slice d)
{
    struct buf license_file CLEANUP(buf_free) = file_field(v, "license"), set CLEANUP(buf_free) = file_field(v, "set");
    struct buf body_file CLEANUP(buf_free) = file_field(v, "body"), plain CLEANUP(buf_free) = file_field(v, "plain");
    static doc_Header h;
    doc_License license;
    struct body b;
    uint8_t signer[32];
    struct key32 root, header_half, license_half, content_key, sealing;
    if (CODEC_DECODE(doc_Header, d, &h) != 0)
        return REASON_MALFORMED;
    assert_int_equal(document_open(DOCUMENT_LICENSE, buf_slice(&license_file), &license, sizeof(license), signer), 0);
    if (!id_equal(h.content, license.content) || !id_equal(h.issuer, license.issuer) ||
        memcmp(h.license_id, license.license_id, sizeof(h.license_id)) != 0)
        return REASON_NO_LICENSE;
    int r = open_root(&h, buf_slice(&set), &root);
    if (r)
        return r;
    struct id content = id_from(h.content);
    struct slice secret = vector_bytes(v, "sealing");
    memcpy(sealing.bytes, secret.data, sizeof(sealing.bytes));
    if (contentkey_unwrap(&root, &content, h.license_id, SLICE_ARRAY(h.wrapped_half), &header_half) != 0 ||
        contentkey_open_license_half(&sealing, &content, SLICE_ARRAY(license.license_half), &license_half) != 0)
        return REASON_SIGNATURE_INVALID;
    r = split_body(buf_slice(&body_file), &b);
    if (r == 0)
        r = verify_body(&b, &content);
    if (r)
        return r;
    contentkey_derive(&header_half, &license_half, b.fields.nonce, &content_key);
    return open_blocks(&b, &content_key, buf_slice(&plain));
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

static const struct kind {
    const char *name;
    int (*judge)(const struct vector *v, struct slice file);
} kinds[] = {
    { "keyset", judge_keyset },
    { "device", judge_device },
    { "roster", judge_roster },
    { "license", judge_license },
    { "delegation", judge_delegation },
    { "ekb", judge_ekb },
    { "key-grant", judge_grant },
    { "quote", judge_quote },
    { "settlement", judge_settlement },
    { "time", judge_time },
    { "receipt", judge_receipt },
    { "surrender", judge_surrender },
    { "use", judge_use },
    { "use-log", judge_use_log },
    { "use-log-taken", judge_use_log_taken },
    { "standing", judge_standing },
    { "generation", judge_generation },
    { "catch-up", judge_catch_up },
    { "program", judge_program },
    { "program-grant", judge_program_grant },
    { "metadata", judge_metadata },
    { "metadata-vouch", judge_metadata_vouch },
    { "metadata-file", judge_metadata_file },
    { "share", judge_share },
    { "body", judge_body },
    { "copy-certificate", judge_certificate },
    { "play", judge_play },
};

static void check(const struct vector *v)
{
    struct buf file CLEANUP(buf_free) = file_field(v, "file");
    const char *name = vector_text(v, "kind"), *want = vector_text(v, "expect");
    if (vector_has(v, "keyset"))
        load_keyset(v);
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (strcmp(kinds[i].name, name) != 0)
            continue;
        int r = kinds[i].judge(v, buf_slice(&file));
        assert_true(r >= 0);
        assert_string_equal(r == 0 ? "ok" : reason_code((enum reason)r), want);
        return;
    }
    fail_msg("no such kind: %s", name);
}

static void test_samples(void **state)
{
    char path[4096];
    (void)state;
    dir = getenv("HEARTH_SAMPLES");
    assert_non_null(dir);
    assert_int_equal(file_join(path, sizeof(path), dir, "cases.vec"), 0);
    vectors_run(path, check);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_samples) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
