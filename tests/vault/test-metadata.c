/* Metadata in the vault: every range of a content and of a license against every signer, and each single fault. */
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/body.h"
#include "crypto/sha256.h"
#include "protocol/metadata.h"
#include "rig.h"

#define PLAIN_BYTES 5000

static struct rig rig;
static struct maker shop, other; /* shop publishes; other is a distributor this device knows nothing of */
static uint8_t plain[PLAIN_BYTES];

enum by { BY_PUBLISHER, BY_VOUCHED, BY_LISTED, BY_STRANGER, BY_COUNT };
static const char *const by_names[] = { "the publisher", "one vouched for", "one listed", "a stranger" };
static struct key32 keys[BY_COUNT]; /* of the providers */

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    maker_init(&other, 2, "Other");
    assert_int_equal(rig_register(&rig, &shop), 0);
    for (uint8_t i = 0; i < BY_COUNT; i++)
        maker_key(&keys[i], 88, i);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    maker_deinit(&shop);
    maker_deinit(&other);
    return 0;
}

static struct id id_of(const struct key32 *seed)
{
    struct signer s = maker_signer(seed);
    return id_of_key(s.public_key);
}

/* 0: nothing is said. */
static doc_SignerRange range_of(uint32_t kind)
{
    doc_SignerRange r = { .kind = kind, .keys_count = kind == RANGE_KEYS ? 1 : 0 };
    struct id listed = id_of(&keys[BY_LISTED]);
    if (kind == RANGE_KEYS)
        memcpy(r.keys[0], listed.bytes, ID_BYTES);
    return r;
}

/* A content that names the range, and a license for it. license_kind -1: no license. */
/* What another distributor publishes comes as a copy, with its license, under the delegation of the device's own. */
static void copied(const struct content *c, const struct maker *publisher)
{
    static doc_CopyCertificate certificate;
    doc_Delegation delegation;
    struct device source;
    struct key32 key;
    vlt_CertificateState at;
    struct offer offer = { .certificate = buf(4096), .delegation = buf(1024), .content = c, .presenter = &source };
    maker_key(&key, 90, 1);
    sign_public_key(&key, source.device_key);
    source.client = id_of_key(source.device_key);
    maker_copy(publisher, &shop, &source, &rig.self, c, 1, &certificate);
    maker_delegation(&shop, publisher, &delegation);
    sign_into(&offer.delegation, DOCUMENT_DELEGATION, &delegation, &shop.license);
    sign_into(&offer.certificate, DOCUMENT_COPY_CERTIFICATE, &certificate, &publisher->copy);
    assert_int_equal(rig_check(&rig, &offer, &at), 0);
    assert_int_equal(rig_commit(&rig, &at.name, &at), 0);
    buf_free(&offer.certificate);
    buf_free(&offer.delegation);
}

static void own(struct content *c, const struct maker *publisher, uint8_t seed, uint32_t content_kind, int license_kind)
{
    struct buf envelope CLEANUP(buf_free) = buf(1024), encoded CLEANUP(buf_free) = buf(2048);
    doc_License license;
    doc_Header header;
    content_init(c, publisher, seed, "audio/flac", SLICE_ARRAY(plain), 4096);
    c->info.has_metadata_signers = content_kind != 0;
    c->info.metadata_signers = range_of(content_kind);
    buf_clear(&c->info_bytes);
    assert_int_equal(CODEC_ENCODE(doc_ContentInfo, &c->info_bytes, &c->info), 0);
    body_content_id(buf_slice(&c->info_bytes), c->list_root, &c->id);
    if (license_kind < 0)
        return;
    if (publisher != &shop) {
        copied(c, publisher);
        return;
    }
    maker_license(&shop, &shop, &rig.self, c, 1, &license);
    license.conditions.has_metadata_signers = license_kind != 0;
    license.conditions.metadata_signers = range_of((uint32_t)license_kind);
    sign_into(&envelope, DOCUMENT_LICENSE, &license, &shop.license);
    maker_header(&shop, c, &header);
    encode_header(&header, &encoded);
    assert_int_equal(rig_license(&rig, buf_slice(&envelope), buf_slice(&encoded)), 0);
}

/* --- Files -------------------------------------------------------------------------------------------------------- */

struct made { /* right as it is; a test changes it before `build` */
    doc_Metadata said;
    doc_MetadataVouch vouch;
    const struct key32 *signer, *voucher;
    bool with_vouch, with_keyset;
    struct buf parts, file;
};

static void made_init(struct made *f, const struct content *c, enum by by)
{
    struct metadata_reader so_far = metadata_reader(slice(NULL, 0));
    const struct metadata_part title = { .kind = METADATA_TAG,
                                         .key = slice_str("title"),
                                         .text = slice_str("Another title") };
    memset(f, 0, sizeof(*f));
    f->parts = buf(METADATA_PARTS_MAX);
    f->file = buf(METADATA_FILE_MAX + 1);
    assert_int_equal(metadata_put(&f->parts, &so_far, &title), 0);
    struct id signer = by == BY_PUBLISHER ? shop.id : id_of(&keys[by]);
    f->signer = by == BY_PUBLISHER ? &shop.license : &keys[by];
    f->said.kind = by == BY_PUBLISHER ? SIGNER_PUBLISHER : SIGNER_PROVIDER;
    f->said.sequence = 5;
    f->said.issued_ms = (uint64_t)maker_now();
    memcpy(f->said.content, c->id.bytes, ID_BYTES);
    memcpy(f->said.signer, signer.bytes, ID_BYTES);
    f->with_vouch = by == BY_VOUCHED;
    f->voucher = &shop.license;
    f->vouch.sequence = 3;
    f->vouch.issued_ms = (uint64_t)maker_now();
    f->vouch.ends_ms = (uint64_t)(maker_now() + DAY_MS);
    memcpy(f->vouch.distributor, shop.id.bytes, ID_BYTES);
    memcpy(f->vouch.provider, signer.bytes, ID_BYTES);
}

static void made_deinit(struct made *f)
{
    buf_free(&f->parts);
    buf_free(&f->file);
}

static void build(struct made *f, struct maker *publisher)
{
    struct buf document CLEANUP(buf_free) = buf(1024), vouch CLEANUP(buf_free) = buf(1024),
                        keyset CLEANUP(buf_free) = buf(8192);
    f->said.parts_bytes = (uint32_t)f->parts.len;
    sha256(buf_slice(&f->parts), f->said.parts_digest);
    sign_into(&document, DOCUMENT_METADATA, &f->said, f->signer);
    if (f->with_vouch)
        sign_into(&vouch, DOCUMENT_METADATA_VOUCH, &f->vouch, f->voucher);
    if (f->with_keyset)
        maker_keyset(publisher, &keyset);
    const struct metadata_file file = { buf_slice(&document), buf_slice(&vouch), buf_slice(&keyset),
                                        buf_slice(&f->parts) };
    buf_clear(&f->file);
    assert_int_equal(metadata_file_put(&f->file, &file), 0);
}

/* --- Asking ------------------------------------------------------------------------------------------------------- */

static vlt_MetadataJudged answer;

/* The refusal's reason, or the verdict's. */
static int judge_bytes(const struct content *c, struct slice bytes, bool keep)
{
    static vlt_MetadataJudge m;
    int fd CLEANUP(closep) = memfd_create("metadata", MFD_CLOEXEC);
    m = (vlt_MetadataJudge){ .keep = keep };
    assert_int_equal(file_pwrite_all(fd, bytes.data, bytes.len, 0), 0);
    memcpy(m.content, c->id.bytes, ID_BYTES);
    memcpy(m.list_root, c->list_root, 32);
    assert_int_equal(CODEC_SET_BYTES(m.info, buf_slice(&c->info_bytes)), 0);
    uint32_t id = rig_send(&rig, vlt_Type_METADATA_JUDGE, vlt_MetadataJudge_fields, &m, slice(NULL, 0), fd);
    int r = rig_receive(&rig, id, vlt_Type_METADATA_JUDGED, vlt_MetadataJudged_fields, vlt_MetadataJudged_size, &answer,
                        sizeof(answer));
    return r != 0 || answer.reason[0] == '\0' ? r : (int)reason_of_code(answer.reason);
}

static int judge(const struct content *c, const struct made *f, bool keep)
{
    return judge_bytes(c, buf_slice(&f->file), keep);
}

static int judge_by(const struct content *c, enum by by)
{
    struct made f;
    made_init(&f, c, by);
    build(&f, &shop);
    int r = judge(c, &f, false);
    made_deinit(&f);
    return r;
}

static int take_vouch(enum by whom, uint64_t sequence, int64_t ends_ms, struct maker *by, bool with_keyset)
{
    struct buf vouch CLEANUP(buf_free) = buf(1024), keyset CLEANUP(buf_free) = buf(8192),
                     file CLEANUP(buf_free) = buf(8192);
    struct id provider = id_of(&keys[whom]);
    doc_MetadataVouch v = { .sequence = sequence, .issued_ms = (uint64_t)maker_now(), .ends_ms = (uint64_t)ends_ms };
    memcpy(v.distributor, by->id.bytes, ID_BYTES);
    memcpy(v.provider, provider.bytes, ID_BYTES);
    sign_into(&vouch, DOCUMENT_METADATA_VOUCH, &v, &by->license);
    maker_keyset(by, &keyset);
    assert_int_equal(
        metadata_vouch_put(&file, buf_slice(&vouch), with_keyset ? buf_slice(&keyset) : slice("not read", 8)), 0);
    const vlt_MetadataVouch m = { 0 };
    uint32_t id = rig_send(&rig, vlt_Type_METADATA_VOUCH, vlt_MetadataVouch_fields, &m, buf_slice(&file), -1);
    return rig_receive(&rig, id, vlt_Type_DONE, NULL, 0, NULL, 0);
}

/* --- Ranges ------------------------------------------------------------------------------------------------------- */

static void every_range_and_signer(void **state)
{
    (void)state;
    static const bool permits[RANGE_KINDS][BY_COUNT] = {
        [0] = { true, true, false, false }, /* nothing said: as vouched */
        [RANGE_NOBODY] = { false, false, false, false },
        [RANGE_PUBLISHER] = { true, false, false, false },
        [RANGE_KEYS] = { true, false, true, false },
        [RANGE_VOUCHED] = { true, true, false, false },
        [RANGE_ANYBODY] = { true, true, true, true },
    };
    uint8_t seed = 10;
    for (uint32_t of_content = 0; of_content < RANGE_KINDS; of_content++) {
        for (uint32_t of_license = 0; of_license < RANGE_KINDS; of_license++) {
            struct content c;
            own(&c, &shop, seed++, of_content, (int)of_license);
            for (int by = 0; by < BY_COUNT; by++) {
                bool license = of_license == 0 || permits[of_license][by];
                bool want = permits[of_content][by] && license;
                int r = judge_by(&c, (enum by)by);
                if (r != (want ? 0 : REASON_METADATA_NOT_PERMITTED))
                    fail_msg("content %u, license %u, by %s: %d", of_content, of_license, by_names[by], r);
                assert_int_equal(answer.by_license, !want && permits[of_content][by]);
                assert_int_equal(answer.vouched, by == BY_VOUCHED);
            }
            content_deinit(&c);
        }
    }
}

/* --- Single faults ------------------------------------------------------------------------------------------------ */

enum fault {
    RIGHT,
    NO_VOUCH,
    VOUCH_ENDED,
    VOUCH_BY_ANOTHER,
    VOUCH_BY_HIMSELF,
    VOUCH_FOR_ANOTHER,
    IN_ANOTHERS_NAME,
    IN_THE_PUBLISHERS_NAME,
    ANOTHER_CONTENT,
    ENDED,
    NOT_BEGUN,
    LAST_DAY,
    SEQUENCE_ZERO,
    FAULTS
};

static void each_fault(void **state)
{
    (void)state;
    static const struct {
        enum fault fault;
        const char *name;
        int want;
    } cases[] = {
        { RIGHT, "right", 0 },
        { NO_VOUCH, "without a vouch", REASON_METADATA_NOT_PERMITTED },
        { VOUCH_ENDED, "its vouch has ended", REASON_METADATA_NOT_PERMITTED },
        { VOUCH_BY_ANOTHER, "another distributor vouches", REASON_METADATA_NOT_PERMITTED },
        { VOUCH_BY_HIMSELF, "it vouches for itself", REASON_METADATA_NOT_PERMITTED },
        { VOUCH_FOR_ANOTHER, "a vouch for another", REASON_METADATA_NOT_PERMITTED },
        { IN_ANOTHERS_NAME, "signed by another than it names", REASON_SIGNATURE_INVALID },
        { IN_THE_PUBLISHERS_NAME, "a provider signs as the publisher", REASON_SIGNATURE_INVALID },
        { ANOTHER_CONTENT, "of another content", REASON_CONTENT_ID_MISMATCH },
        { ENDED, "ended", REASON_METADATA_ENDED },
        { NOT_BEGUN, "of tomorrow", REASON_METADATA_ENDED },
        { LAST_DAY, "ends tomorrow", 0 },
        { SEQUENCE_ZERO, "without a number", REASON_MALFORMED },
    };
    struct content c;
    own(&c, &shop, 5, RANGE_VOUCHED, 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct made f;
        made_init(&f, &c, BY_VOUCHED);
        switch (cases[i].fault) {
        case NO_VOUCH:
            f.with_vouch = false;
            break;
        case VOUCH_ENDED:
            f.vouch.ends_ms = (uint64_t)(maker_now() - DAY_MS);
            break;
        case VOUCH_BY_ANOTHER:
            f.voucher = &other.license;
            break;
        case VOUCH_BY_HIMSELF:
            f.voucher = &keys[BY_VOUCHED];
            break;
        case VOUCH_FOR_ANOTHER:
            f.vouch.provider[0] ^= 1;
            break;
        case IN_ANOTHERS_NAME:
            f.signer = &keys[BY_STRANGER];
            break;
        case IN_THE_PUBLISHERS_NAME:
            f.said.kind = SIGNER_PUBLISHER;
            memcpy(f.said.signer, shop.id.bytes, ID_BYTES);
            break;
        case ANOTHER_CONTENT:
            f.said.content[0] ^= 1;
            break;
        case ENDED:
            f.said.has_ends_ms = true;
            f.said.ends_ms = (uint64_t)(maker_now() - DAY_MS);
            break;
        case NOT_BEGUN:
            f.said.issued_ms = (uint64_t)(maker_now() + DAY_MS);
            break;
        case LAST_DAY:
            f.said.has_ends_ms = true;
            f.said.ends_ms = (uint64_t)(maker_now() + DAY_MS);
            break;
        case SEQUENCE_ZERO:
            f.said.sequence = 0;
            break;
        default:
            break;
        }
        build(&f, &shop);
        int r = judge(&c, &f, false);
        if (r != cases[i].want)
            fail_msg("%s: %d", cases[i].name, r);
        made_deinit(&f);
    }
    content_deinit(&c);
}

/* No byte is open: neither of a vouch or keyset that is of no use here, nor of those that are. */
static void alter_each_byte(const struct content *c, enum by by, bool with_vouch)
{
    struct made f;
    made_init(&f, c, by);
    f.with_vouch = with_vouch;
    f.with_keyset = true;
    build(&f, &shop);
    assert_int_equal(judge(c, &f, false), 0);
    for (size_t i = 0; i < f.file.len; i++) {
        f.file.data[i] ^= 1;
        if (judge(c, &f, false) == 0)
            fail_msg("%s: byte %zu altered and permitted", by_names[by], i);
        f.file.data[i] ^= 1;
    }
    made_deinit(&f);
}

static void every_byte_is_covered(void **state)
{
    (void)state;
    struct content c;
    own(&c, &shop, 5, RANGE_ANYBODY, 0);
    alter_each_byte(&c, BY_PUBLISHER, false);
    alter_each_byte(&c, BY_STRANGER, true);
    content_deinit(&c);
}

static void bytes_that_were_altered(void **state)
{
    (void)state;
    struct content c;
    struct made f;
    own(&c, &shop, 5, RANGE_VOUCHED, 0);
    made_init(&f, &c, BY_VOUCHED);
    build(&f, &shop);
    size_t parts_at = f.file.len - f.parts.len;
    for (size_t i = 0; i < f.file.len; i++) {
        f.file.data[i] ^= 0x40;
        int r = judge(&c, &f, false);
        if (r == 0)
            fail_msg("byte %zu altered and permitted", i);
        assert_true(i < parts_at || r == REASON_SIGNATURE_INVALID);
        f.file.data[i] ^= 0x40;
        assert_int_not_equal(judge_bytes(&c, slice(f.file.data, i), false), 0);
    }
    assert_int_equal(judge(&c, &f, false), 0);
    assert_int_equal(buf_put_u8(&f.file, 0), 0);
    assert_int_equal(judge(&c, &f, false), REASON_SIGNATURE_INVALID);
    f.file.len--;
    assert_int_equal(buf_reserve(&f.file, METADATA_FILE_MAX + 1 - f.file.len), 0);
    memset(f.file.data + f.file.len, 0, METADATA_FILE_MAX + 1 - f.file.len);
    f.file.len = METADATA_FILE_MAX + 1;
    assert_int_equal(judge(&c, &f, false), REASON_TOO_LARGE);
    c.info_bytes.data[c.info_bytes.len - 1] ^= 1; /* a content information that is none of this content */
    assert_int_not_equal(judge(&c, &f, false), 0);
    made_deinit(&f);
    content_deinit(&c);
}

static void without_a_license(void **state)
{
    (void)state;
    struct content c;
    own(&c, &shop, 5, RANGE_ANYBODY, -1);
    assert_int_equal(judge_by(&c, BY_STRANGER), REASON_NO_LICENSE);
    assert_int_equal(rig_buy(&rig, &shop, &c, 1), 0);
    assert_int_equal(judge_by(&c, BY_STRANGER), 0);
    content_deinit(&c);
}

/* --- What was there before ---------------------------------------------------------------------------------------- */

static int keep_sequence(const struct content *c, enum by by, uint64_t sequence, const char *language)
{
    struct made f;
    made_init(&f, c, by);
    f.said.sequence = sequence;
    CODEC_SET_TEXT(f.said.language, language);
    f.said.issued_ms = 1000; /* the same document whenever it is made */
    f.vouch.issued_ms = 1000;
    f.vouch.ends_ms = INT64_MAX;
    build(&f, &shop);
    int r = judge(c, &f, true);
    made_deinit(&f);
    return r;
}

static void an_older_one_is_refused(void **state)
{
    (void)state;
    struct content c, d;
    struct made f;
    own(&c, &shop, 5, RANGE_ANYBODY, 0);
    own(&d, &shop, 6, RANGE_ANYBODY, 0);
    assert_int_equal(keep_sequence(&c, BY_STRANGER, 7, ""), 0);
    assert_int_equal(keep_sequence(&c, BY_STRANGER, 7, ""), 0); /* that very one again */
    assert_int_equal(keep_sequence(&c, BY_STRANGER, 6, ""), REASON_METADATA_OUTDATED);
    assert_int_equal(keep_sequence(&c, BY_STRANGER, 6, "de"),
                     0); /* another language, signer, content: others' numbers */
    assert_int_equal(keep_sequence(&c, BY_LISTED, 6, ""), 0);
    assert_int_equal(keep_sequence(&d, BY_STRANGER, 6, ""), 0);
    made_init(&f, &c, BY_STRANGER); /* another document of that number */
    f.said.sequence = 7;
    build(&f, &shop);
    assert_int_equal(judge(&c, &f, false), REASON_METADATA_OUTDATED);
    f.said.sequence = 8;
    build(&f, &shop);
    assert_int_equal(judge(&c, &f, false), 0); /* only looked at */
    assert_int_equal(keep_sequence(&c, BY_STRANGER, 7, ""), 0);
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(keep_sequence(&c, BY_STRANGER, 6, ""), REASON_METADATA_OUTDATED);
    assert_int_equal(judge(&c, &f, true), 0);
    assert_int_equal(keep_sequence(&c, BY_STRANGER, 7, ""), REASON_METADATA_OUTDATED);
    made_deinit(&f);
    content_deinit(&c);
    content_deinit(&d);
}

static void numbers_that_were_altered(void **state)
{
    (void)state;
    struct content c, d;
    own(&c, &shop, 5, RANGE_ANYBODY, 0);
    own(&d, &shop, 6, RANGE_ANYBODY, 0);
    assert_int_equal(keep_sequence(&c, BY_STRANGER, 7, ""), 0);
    assert_int_equal(keep_sequence(&d, BY_STRANGER, 1, ""), 0);
    rig_stop(&rig);
    rig_alter_and_seal(&rig, "UPDATE metadata SET sealed = (SELECT min(sealed) FROM metadata)");
    rig_start(&rig);
    int one = keep_sequence(&c, BY_STRANGER, 7, ""), two = keep_sequence(&d, BY_STRANGER, 1, "");
    assert_true((one == REASON_INTERNAL) != (two == REASON_INTERNAL)); /* one of them is its own */
    content_deinit(&c);
    content_deinit(&d);
}

static void a_vouch_is_withdrawn(void **state)
{
    (void)state;
    struct content c;
    own(&c, &shop, 5, RANGE_VOUCHED, 0);
    assert_int_equal(judge_by(&c, BY_VOUCHED), 0);
    assert_int_equal(take_vouch(BY_STRANGER, 4, maker_now() - DAY_MS, &shop, true), 0); /* of another provider */
    assert_int_equal(judge_by(&c, BY_VOUCHED), 0);
    assert_int_equal(take_vouch(BY_VOUCHED, 4, maker_now() - DAY_MS, &shop, false), REASON_MALFORMED);
    assert_int_equal(judge_by(&c, BY_VOUCHED), 0);
    assert_int_equal(take_vouch(BY_VOUCHED, 4, maker_now() - DAY_MS, &shop, true), 0);
    assert_int_equal(judge_by(&c, BY_VOUCHED), REASON_METADATA_NOT_PERMITTED);
    assert_int_equal(take_vouch(BY_VOUCHED, 3, maker_now() + DAY_MS, &shop, true), REASON_METADATA_OUTDATED);
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(judge_by(&c, BY_VOUCHED), REASON_METADATA_NOT_PERMITTED);
    assert_int_equal(take_vouch(BY_VOUCHED, 9, maker_now() + DAY_MS, &other, false), REASON_MALFORMED);
    assert_int_equal(take_vouch(BY_VOUCHED, 9, maker_now() + DAY_MS, &other, true), 0); /* harms nobody */
    assert_int_equal(judge_by(&c, BY_VOUCHED), REASON_METADATA_NOT_PERMITTED);
    content_deinit(&c);
}

static int judge_without_vouch(const struct content *c, enum by by)
{
    struct made f;
    made_init(&f, c, by);
    f.with_vouch = false;
    build(&f, &shop);
    int r = judge(c, &f, false);
    made_deinit(&f);
    return r;
}

/* Taken from a file of its own, or with another's metadata, it counts for whatever its provider signs; and as long as it would in a file. */
static void a_vouch_that_was_taken_counts(void **state)
{
    (void)state;
    struct content c, d, narrow;
    own(&c, &shop, 5, RANGE_VOUCHED, 0);
    own(&d, &shop, 6, RANGE_VOUCHED, 0);
    own(&narrow, &shop, 7, RANGE_VOUCHED, RANGE_PUBLISHER);
    assert_int_equal(judge_without_vouch(&c, BY_VOUCHED), REASON_METADATA_NOT_PERMITTED);
    assert_int_equal(judge_by(&c, BY_VOUCHED), 0); /* only looked at: nothing is kept */
    assert_int_equal(judge_without_vouch(&c, BY_VOUCHED), REASON_METADATA_NOT_PERMITTED);
    assert_int_equal(take_vouch(BY_VOUCHED, 3, maker_now() + DAY_MS, &shop, true), 0);
    assert_int_equal(judge_without_vouch(&c, BY_VOUCHED), 0);
    assert_true(answer.vouched);
    assert_int_equal(judge_without_vouch(&d, BY_VOUCHED), 0);
    assert_int_equal(judge_without_vouch(&narrow, BY_VOUCHED), REASON_METADATA_NOT_PERMITTED);
    assert_true(answer.by_license);
    assert_int_equal(judge_without_vouch(&c, BY_STRANGER), REASON_METADATA_NOT_PERMITTED);
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(judge_without_vouch(&c, BY_VOUCHED), 0);
    struct made f; /* a file with a vouch by somebody else, or an older one, takes nothing away */
    made_init(&f, &c, BY_VOUCHED);
    f.voucher = &other.license;
    build(&f, &shop);
    assert_int_equal(judge(&c, &f, false), 0);
    f.voucher = &shop.license;
    f.vouch.sequence = 2;
    build(&f, &shop);
    assert_int_equal(judge(&c, &f, false), 0);
    made_deinit(&f);
    assert_int_equal(take_vouch(BY_VOUCHED, 4, maker_now() - DAY_MS, &shop, true), 0); /* withdrawn, or ended */
    assert_int_equal(judge_without_vouch(&c, BY_VOUCHED), REASON_METADATA_NOT_PERMITTED);
    assert_int_equal(keep_sequence(&d, BY_STRANGER, 1, ""), REASON_METADATA_NOT_PERMITTED);
    assert_int_equal(take_vouch(BY_STRANGER, 1, maker_now() + DAY_MS, &other, true), 0); /* not the publisher's */
    assert_int_equal(judge_without_vouch(&c, BY_STRANGER), REASON_METADATA_NOT_PERMITTED);
    content_deinit(&c);
    content_deinit(&d);
    content_deinit(&narrow);
}

/* The license key that signed it was stolen, and is in no later keyset: what it has vouched for is over, as in a file. */
static void a_vouch_by_a_withdrawn_key(void **state)
{
    (void)state;
    struct content c;
    own(&c, &shop, 5, RANGE_VOUCHED, 0);
    assert_int_equal(take_vouch(BY_VOUCHED, 3, maker_now() + DAY_MS, &shop, true), 0);
    assert_int_equal(judge_without_vouch(&c, BY_VOUCHED), 0);
    shop.keyset.keys[1] = other.keyset.keys[1]; /* a new license key in the place of that one */
    shop.keyset.sequence++;
    assert_int_equal(rig_keyset(&rig, &shop, false), 0);
    assert_int_equal(judge_without_vouch(&c, BY_VOUCHED), REASON_METADATA_NOT_PERMITTED);
    content_deinit(&c);
}

/* A copy of what another distributor publishes: its keys come in the file, unless a newer keyset of it was ever seen. */
static void of_an_unknown_publisher(void **state)
{
    (void)state;
    struct content c;
    struct made f;
    own(&c, &other, 5, RANGE_VOUCHED, 0);
    made_init(&f, &c, BY_VOUCHED);
    f.voucher = &other.license;
    memcpy(f.vouch.distributor, other.id.bytes, ID_BYTES);
    build(&f, &other);
    assert_int_equal(judge(&c, &f, false), REASON_METADATA_NOT_PERMITTED);
    f.with_keyset = true;
    build(&f, &other);
    assert_int_equal(judge(&c, &f, false), 0);
    build(&f, &shop); /* somebody else's keyset */
    assert_int_equal(judge(&c, &f, false), REASON_KEYSET_INVALID);
    f.with_keyset = false; /* the vouch for it counts from then on, with the keyset it came with */
    build(&f, &other);
    assert_int_equal(take_vouch(BY_VOUCHED, 3, maker_now() + DAY_MS, &other, true), 0);
    f.with_vouch = false;
    build(&f, &other);
    assert_int_equal(judge(&c, &f, false), 0);
    made_deinit(&f);
    made_init(&f, &c, BY_PUBLISHER);
    f.signer = &other.license;
    memcpy(f.said.signer, other.id.bytes, ID_BYTES);
    build(&f, &other);
    assert_int_equal(judge(&c, &f, false), REASON_KEYSET_INVALID);
    f.with_keyset = true;
    build(&f, &other);
    assert_int_equal(judge(&c, &f, false), 0);
    other.keyset.sequence++;
    assert_int_equal(rig_keyset(&rig, &other, false), 0);
    assert_int_equal(judge(&c, &f, false), 0); /* by the newer one, which lists the key still */
    made_deinit(&f);
    content_deinit(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_range_and_signer),     TEST(each_fault),
        TEST(bytes_that_were_altered),    TEST(without_a_license),
        TEST(an_older_one_is_refused),    TEST(numbers_that_were_altered),
        TEST(a_vouch_is_withdrawn),       TEST(of_an_unknown_publisher),
        TEST(every_byte_is_covered),      TEST(a_vouch_that_was_taken_counts),
        TEST(a_vouch_by_a_withdrawn_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
