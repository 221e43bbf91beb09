/* Metadata: who may sign it, every range against every signer, vouches, files and parts; every truncation, every flipped byte, over the limits. */
#include "protocol/metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/util.h"
#include "crypto/sha256.h"
#include "fixture.h"

static struct fixture f;
static struct fixture_party provider;
static doc_Metadata metadata;
static doc_MetadataVouch vouch;
static struct buf parts;

static const uint8_t jpeg[] = { 0xff, 0xd8, 0xff, 0xc0, 0, 8, 8, 0, 1, 0, 1, 0, 0xff, 0xd9 };

static void put_good_parts(struct buf *out)
{
    struct metadata_reader so_far = metadata_reader(slice(NULL, 0));
    const struct metadata_part all[] = {
        { .kind = METADATA_TAG, .key = slice_str("title"), .text = slice_str("Die Forelle") },
        { .kind = METADATA_TAG, .key = slice_str("artist"), .text = slice_str("A") },
        { .kind = METADATA_TAG, .key = slice_str("artist"), .text = slice_str("B") },
        { .kind = METADATA_CHAPTER, .start_ms = 0, .text = slice_str("Etwas lebhaft") },
        { .kind = METADATA_CHAPTER, .start_ms = 61000, .text = slice_str("Schluss") },
        { .kind = METADATA_LYRIC,
          .start_ms = 500,
          .text = slice_str("In einem B\xc3\xa4"
                            "chlein helle") },
        { .kind = METADATA_LYRIC, .start_ms = 500, .text = slice_str("da scho\xc3\x9f in froher Eil") },
        { .kind = METADATA_LYRIC, .start_ms = 9000 },
        { .kind = METADATA_COVER, .text = slice(jpeg, sizeof(jpeg)) },
    };
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        assert_int_equal(metadata_put(out, &so_far, &all[i]), 0);
}

static int set_up(void **state)
{
    (void)state;
    fixture_init(&f);
    fixture_party_init(&provider, 99);
    struct id id = fixture_id(&provider);
    parts = buf(METADATA_PARTS_MAX);
    put_good_parts(&parts);
    metadata = (doc_Metadata){ .kind = SIGNER_PROVIDER, .sequence = 1, .issued_ms = FIXTURE_NOW };
    memset(metadata.content, 7, sizeof(metadata.content));
    memcpy(metadata.signer, id.bytes, ID_BYTES);
    CODEC_SET_TEXT(metadata.language, "de-AT");
    metadata.parts_bytes = (uint32_t)parts.len;
    sha256(buf_slice(&parts), metadata.parts_digest);
    vouch = (doc_MetadataVouch){ .sequence = 1, .issued_ms = FIXTURE_NOW, .ends_ms = FIXTURE_NOW + FIXTURE_DAY };
    memcpy(vouch.distributor, f.distributor.bytes, ID_BYTES);
    memcpy(vouch.provider, id.bytes, ID_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_free(&parts);
    fixture_deinit(&f);
    return 0;
}

static int judge_with(const struct fixture_party *by, const doc_Keyset *keyset)
{
    struct buf envelope CLEANUP(buf_free) = buf(4096);
    doc_Metadata out;
    fixture_sign(&envelope, DOCUMENT_METADATA, &metadata, by);
    assert_true(envelope.len <= METADATA_DOCUMENT_MAX);
    int r = metadata_judge(buf_slice(&envelope), &f.distributor, keyset, &out);
    if (r == 0)
        assert_memory_equal(&out, &metadata, sizeof(out));
    return r;
}

static int judge(const struct fixture_party *by) { return judge_with(by, &f.keyset); }

static void test_provider(void **state)
{
    (void)state;
    assert_int_equal(judge(&provider), 0);
    assert_int_equal(judge_with(&provider, NULL), 0);
    assert_int_equal(judge(&f.license), REASON_SIGNATURE_INVALID);
    assert_int_equal(judge(&f.stranger), REASON_SIGNATURE_INVALID);
}

static void test_publisher(void **state)
{
    (void)state;
    metadata.kind = SIGNER_PUBLISHER;
    assert_int_equal(judge(&provider), REASON_SIGNATURE_INVALID); /* named after its own key */
    memcpy(metadata.signer, f.distributor.bytes, ID_BYTES);
    assert_int_equal(judge(&f.license), 0);
    assert_int_equal(judge_with(&f.license, NULL), REASON_KEYSET_INVALID);
    assert_int_equal(judge_with(&f.partner_license, &f.partner_keyset), REASON_SIGNATURE_INVALID);
    assert_int_equal(judge(&provider), REASON_SIGNATURE_INVALID);
    assert_int_equal(judge(&f.roster), REASON_SIGNATURE_INVALID);
    assert_int_equal(judge(&f.old_license), REASON_SIGNATURE_INVALID); /* it had ended by then */
    metadata.issued_ms = UINT64_MAX;
    assert_int_equal(judge(&f.license), REASON_SIGNATURE_INVALID);
}

static void test_shape(void **state)
{
    (void)state;
    static const struct {
        uint32_t kind, bytes;
        uint64_t sequence;
        const char *language;
        int want;
    } cases[] = {
        { 1, 1, 1, "", 0 },
        { 1, METADATA_PARTS_MAX, INT64_MAX, "zh-Hant-TW", 0 },
        { 0, 1, 1, "", REASON_MALFORMED },
        { 3, 1, 1, "", REASON_MALFORMED },
        { 1, 0, 1, "", REASON_MALFORMED },
        { 1, METADATA_PARTS_MAX + 1, 1, "", REASON_MALFORMED },
        { 1, 1, 0, "", REASON_MALFORMED },
        { 1, 1, (uint64_t)INT64_MAX + 1, "", REASON_MALFORMED },
        { 1, 1, 1, "-de", REASON_MALFORMED },
        { 1, 1, 1, "de-", REASON_MALFORMED },
        { 1, 1, 1, "de--AT", REASON_MALFORMED },
        { 1, 1, 1, "d e", REASON_MALFORMED },
        { 1, 1, 1, "../de", REASON_MALFORMED },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        metadata.kind = cases[i].kind;
        metadata.parts_bytes = cases[i].bytes;
        metadata.sequence = cases[i].sequence;
        memset(metadata.language, 0, sizeof(metadata.language));
        CODEC_SET_TEXT(metadata.language, cases[i].language);
        assert_int_equal(judge(&provider), cases[i].want);
    }
}

static void test_every_byte(void **state)
{
    (void)state;
    struct buf envelope CLEANUP(buf_free) = buf(4096);
    doc_Metadata out;
    fixture_sign(&envelope, DOCUMENT_METADATA, &metadata, &provider);
    for (size_t i = 0; i < envelope.len; i++) {
        envelope.data[i] ^= 1;
        assert_int_not_equal(metadata_judge(buf_slice(&envelope), &f.distributor, &f.keyset, &out), 0);
        envelope.data[i] ^= 1;
        assert_int_not_equal(metadata_judge(slice(envelope.data, i), &f.distributor, &f.keyset, &out), 0);
    }
    assert_int_equal(metadata_judge(buf_slice(&envelope), &f.distributor, &f.keyset, &out), 0);
}

static void test_time(void **state)
{
    (void)state;
    assert_int_equal(metadata_judge_time(&metadata, FIXTURE_NOW + 1000 * FIXTURE_DAY), 0); /* without an end */
    assert_int_equal(metadata_judge_time(&metadata, FIXTURE_NOW - FIXTURE_DAY), REASON_METADATA_ENDED);
    metadata.has_ends_ms = true;
    metadata.ends_ms = FIXTURE_NOW + FIXTURE_DAY;
    assert_int_equal(metadata_judge_time(&metadata, FIXTURE_NOW + FIXTURE_DAY), 0);
    assert_int_equal(metadata_judge_time(&metadata, FIXTURE_NOW + 2 * FIXTURE_DAY), REASON_METADATA_ENDED);
}

static int judge_vouch(const struct fixture_party *by, const doc_Keyset *keyset)
{
    struct buf envelope CLEANUP(buf_free) = buf(4096);
    struct id id = fixture_id(&provider);
    doc_MetadataVouch out;
    fixture_sign(&envelope, DOCUMENT_METADATA_VOUCH, &vouch, by);
    assert_true(envelope.len <= METADATA_VOUCH_MAX);
    return metadata_vouch_judge(buf_slice(&envelope), keyset, id.bytes, &out);
}

static void test_vouch(void **state)
{
    (void)state;
    assert_int_equal(judge_vouch(&f.license, &f.keyset), 0);
    assert_int_equal(judge_vouch(&provider, &f.keyset), REASON_SIGNATURE_INVALID); /* nobody vouches for himself */
    assert_int_equal(judge_vouch(&f.license, &f.partner_keyset), REASON_SIGNATURE_INVALID);
    assert_int_equal(judge_vouch(&f.partner_license, &f.partner_keyset), REASON_SIGNATURE_INVALID);
    vouch.sequence = 0;
    assert_int_equal(judge_vouch(&f.license, &f.keyset), REASON_MALFORMED);
    vouch.sequence = 1;
    vouch.issued_ms = UINT64_MAX;
    assert_int_equal(judge_vouch(&f.license, &f.keyset), REASON_SIGNATURE_INVALID);
    vouch.issued_ms = FIXTURE_NOW;
    vouch.provider[0] ^= 1;
    assert_int_equal(judge_vouch(&f.license, &f.keyset), REASON_WRONG_DESTINATION);
}

static void test_keyset(void **state)
{
    (void)state;
    struct buf envelope CLEANUP(buf_free) = buf(8192);
    doc_Keyset out;
    fixture_sign(&envelope, DOCUMENT_KEYSET, &f.keyset, &f.root);
    assert_int_equal(metadata_keyset_judge(buf_slice(&envelope), &f.distributor, f.keyset.sequence, &out), 0);
    assert_int_equal(metadata_keyset_judge(buf_slice(&envelope), &f.distributor, f.keyset.sequence + 1, &out),
                     REASON_KEYSET_INVALID);
    assert_int_equal(metadata_keyset_judge(buf_slice(&envelope), &f.partner, 0, &out), REASON_KEYSET_INVALID);
    buf_clear(&envelope);
    fixture_sign(&envelope, DOCUMENT_KEYSET, &f.keyset, &f.license);
    assert_int_equal(metadata_keyset_judge(buf_slice(&envelope), &f.distributor, 0, &out), REASON_KEYSET_INVALID);
}

/* ---- ranges ---- */

enum signer_case { BY_PUBLISHER, BY_VOUCHED, BY_LISTED, BY_ANYBODY, SIGNER_CASES };

static void test_ranges(void **state)
{
    (void)state;
    static const bool want[RANGE_KINDS + 1][SIGNER_CASES] = {
        /*                      publisher vouched listed anybody */
        [0] = { false, false, false, false },
        [RANGE_NOBODY] = { false, false, false, false },
        [RANGE_PUBLISHER] = { true, false, false, false },
        [RANGE_KEYS] = { true, false, true, false },
        [RANGE_VOUCHED] = { true, true, false, false },
        [RANGE_ANYBODY] = { true, true, true, true },
        [RANGE_KINDS] = { false, false, false, false },
    };
    for (uint32_t kind = 0; kind <= RANGE_KINDS; kind++) {
        doc_SignerRange range = { .kind = kind, .keys_count = kind == RANGE_KEYS ? 2 : 0 };
        memset(range.keys[0], 1, ID_BYTES);
        memset(range.keys[1], 2, ID_BYTES);
        for (int who = 0; who < SIGNER_CASES; who++) {
            doc_Metadata m = { .kind = who == BY_PUBLISHER ? SIGNER_PUBLISHER : SIGNER_PROVIDER };
            memset(m.signer, who == BY_LISTED ? 2 : 3, ID_BYTES);
            assert_int_equal(metadata_range_permits(&range, &m, who == BY_VOUCHED), want[kind][who]);
            if (kind == RANGE_VOUCHED) /* and without a word about it */
                assert_int_equal(metadata_range_permits(NULL, &m, who == BY_VOUCHED), want[kind][who]);
        }
    }
    doc_SignerRange odd = { .kind = RANGE_KEYS };
    assert_false(metadata_range_is_valid(&odd));
    odd = (doc_SignerRange){ .kind = RANGE_ANYBODY, .keys_count = 1 };
    assert_false(metadata_range_is_valid(&odd));
    assert_false(metadata_range_permits(&odd, &metadata, true));
}

static void test_covers(void **state)
{
    (void)state;
    doc_SignerRange r[RANGE_KINDS];
    for (uint32_t kind = 0; kind < RANGE_KINDS; kind++)
        r[kind] = (doc_SignerRange){ .kind = kind, .keys_count = kind == RANGE_KEYS ? 1 : 0 };
    doc_SignerRange more = r[RANGE_KEYS];
    more.keys_count = 2;
    memset(more.keys[1], 9, ID_BYTES);
    assert_true(metadata_range_covers(NULL, &r[RANGE_ANYBODY]));
    assert_true(metadata_range_covers(&r[RANGE_ANYBODY], NULL));
    assert_false(metadata_range_covers(&r[RANGE_VOUCHED], NULL));
    assert_true(metadata_range_covers(&more, &r[RANGE_KEYS]));
    assert_false(metadata_range_covers(&r[RANGE_KEYS], &more));
    for (uint32_t a = RANGE_NOBODY; a < RANGE_KINDS; a++)
        for (uint32_t b = RANGE_NOBODY; b < RANGE_KINDS; b++) {
            bool apart = a == RANGE_VOUCHED && b == RANGE_KEYS;
            assert_int_equal(metadata_range_covers(&r[a], &r[b]), a >= b && !apart);
        }
}

/* ---- files ---- */

static void test_file(void **state)
{
    (void)state;
    const struct metadata_file whole = { slice_str("document"), slice_str("vouch"), slice_str("keyset"),
                                         buf_slice(&parts) };
    struct metadata_file read;
    struct buf file CLEANUP(buf_free) = buf(METADATA_FILE_MAX + 1);
    assert_int_equal(metadata_file_put(&file, &whole), 0);
    assert_int_equal(metadata_file_split(buf_slice(&file), &read), 0);
    assert_true(slice_equal(read.document, whole.document) && slice_equal(read.vouch, whole.vouch));
    assert_true(slice_equal(read.keyset, whole.keyset) && slice_equal(read.parts, whole.parts));
    assert_true(metadata_parts_match(&metadata, read.parts));
    size_t head = file.len - parts.len;
    for (size_t len = 0; len <= head; len++) /* without parts it is none */
        assert_int_equal(metadata_file_split(slice(file.data, len), &read), REASON_MALFORMED);
    for (size_t len = head + 1; len < file.len; len++) { /* cut off in the parts: the document says so */
        assert_int_equal(metadata_file_split(slice(file.data, len), &read), 0);
        assert_false(metadata_parts_match(&metadata, read.parts));
    }
    for (size_t i = head; i < file.len; i++) {
        file.data[i] ^= 1;
        assert_int_equal(metadata_file_split(buf_slice(&file), &read), 0);
        assert_false(metadata_parts_match(&metadata, read.parts));
        file.data[i] ^= 1;
    }
    assert_int_equal(buf_put_u8(&file, 0), 0);
    assert_int_equal(metadata_file_split(buf_slice(&file), &read), 0);
    assert_false(metadata_parts_match(&metadata, read.parts));
    assert_int_equal(buf_reserve(&file, METADATA_FILE_MAX + 1 - file.len), 0);
    memset(file.data + file.len, 0, METADATA_FILE_MAX + 1 - file.len);
    file.len = METADATA_FILE_MAX + 1;
    assert_int_equal(metadata_file_split(buf_slice(&file), &read), REASON_MALFORMED);
    put_be32(file.data + 8, METADATA_DOCUMENT_MAX + 1);
    file.len = METADATA_FILE_MAX;
    assert_int_equal(metadata_file_split(buf_slice(&file), &read), REASON_MALFORMED);
}

static void test_vouch_file(void **state)
{
    (void)state;
    struct metadata_file read;
    struct buf file CLEANUP(buf_free) = buf(8192);
    assert_int_equal(metadata_vouch_put(&file, slice_str("vouch"), slice_str("keyset")), 0);
    assert_int_equal(metadata_vouch_split(buf_slice(&file), &read), 0);
    for (size_t len = 0; len < file.len; len++)
        assert_int_equal(metadata_vouch_split(slice(file.data, len), &read), REASON_MALFORMED);
    assert_int_equal(buf_put_u8(&file, 0), 0);
    assert_int_equal(metadata_vouch_split(buf_slice(&file), &read), REASON_MALFORMED);
}

/* ---- parts ---- */

static void test_parts(void **state)
{
    (void)state;
    uint32_t counts[METADATA_COVER + 1];
    struct metadata_part p;
    assert_int_equal(metadata_parts_judge(buf_slice(&parts), counts), 0);
    assert_int_equal(counts[METADATA_TAG], 3);
    assert_int_equal(counts[METADATA_CHAPTER], 2);
    assert_int_equal(counts[METADATA_LYRIC], 3);
    assert_int_equal(counts[METADATA_COVER], 1);
    struct metadata_reader r = metadata_reader(buf_slice(&parts));
    assert_int_equal(metadata_next(&r, &p), 0);
    assert_true(slice_equal(p.key, slice_str("title")) && slice_equal(p.text, slice_str("Die Forelle")));
    unsigned whole = 0; /* cut between two parts it is whole: the document knows the length */
    for (size_t len = 0; len < parts.len; len++)
        whole += metadata_parts_judge(slice(parts.data, len), counts) == 0;
    assert_int_equal(whole, 9); /* nothing at all among them */
}

struct part_case {
    const char *name;
    struct metadata_part parts[2]; /* the second one is judged; kind 0: there is one only */
    bool good;
};
#define TAG(k, t)                                                       \
    {                                                                   \
        .kind = METADATA_TAG, .key = slice_str(k), .text = slice_str(t) \
    }
#define AT(k, ms, t)                                        \
    {                                                       \
        .kind = (k), .start_ms = (ms), .text = slice_str(t) \
    }

static void check_part(const struct part_case *c, struct slice last)
{
    struct buf out CLEANUP(buf_free) = buf(1 << 21);
    struct metadata_reader so_far = metadata_reader(slice(NULL, 0));
    uint32_t counts[METADATA_COVER + 1];
    for (size_t i = 0; i < 2 && c->parts[i].kind != 0; i++) {
        struct metadata_part p = c->parts[i];
        bool is_last = i == 1 || c->parts[1].kind == 0;
        if (is_last && last.data)
            p.text = last;
        int r = metadata_put(&out, &so_far, &p);
        if (r != (is_last && !c->good ? REASON_MALFORMED : 0))
            fail_msg("%s: writing gives %d", c->name, r);
        if (r == 0)
            continue;
        uint8_t head[13] = { (uint8_t)p.kind }; /* the reader refuses the same */
        size_t lead = p.kind == METADATA_TAG ? 1 + p.key.len : p.kind == METADATA_COVER ? 0 : 8;
        put_be32(head + 1, (uint32_t)(lead + p.text.len));
        assert_int_equal(buf_append(&out, slice(head, 5)), 0);
        if (p.kind == METADATA_TAG) {
            assert_int_equal(buf_put_u8(&out, (uint8_t)p.key.len), 0);
            assert_int_equal(buf_append(&out, p.key), 0);
        } else if (lead == 8) {
            assert_int_equal(buf_put_u64(&out, p.start_ms), 0);
        }
        assert_int_equal(buf_append(&out, p.text), 0);
    }
    if ((metadata_parts_judge(buf_slice(&out), counts) == 0) != c->good)
        fail_msg("%s: reading differs", c->name);
}

static void test_part_rules(void **state)
{
    (void)state;
    const struct part_case cases[] = {
        { "a tag", { TAG("genre", "Lied") }, true },
        { "a tag without a key", { TAG("", "x") }, false },
        { "a tag without a value", { TAG("genre", "") }, false },
        { "a key with capitals", { TAG("Genre", "x") }, false },
        { "a key with an equals sign", { TAG("a=b", "x") }, false },
        { "a key of 31", { TAG("abcdefghijklmnopqrstuvwxyz01234", "x") }, true },
        { "a key of 32", { TAG("abcdefghijklmnopqrstuvwxyz012345", "x") }, false },
        { "an escape sequence", { TAG("title", "\033]0;x\007") }, false },
        { "a line end", { TAG("title", "a\nb") }, false },
        { "text that turns round",
          { TAG("title", "a\xe2\x80\xae"
                         "b") },
          false },
        { "no UTF-8", { TAG("title", "\xff\xfe") }, false },
        { "a chapter", { AT(METADATA_CHAPTER, 5, "x") }, true },
        { "a chapter without a title", { AT(METADATA_CHAPTER, 5, "") }, false },
        { "a later chapter", { AT(METADATA_CHAPTER, 5, "x"), AT(METADATA_CHAPTER, 6, "y") }, true },
        { "a chapter at the same time", { AT(METADATA_CHAPTER, 5, "x"), AT(METADATA_CHAPTER, 5, "y") }, false },
        { "an earlier chapter", { AT(METADATA_CHAPTER, 5, "x"), AT(METADATA_CHAPTER, 4, "y") }, false },
        { "a line at the same time", { AT(METADATA_LYRIC, 5, "x"), AT(METADATA_LYRIC, 5, "y") }, true },
        { "an earlier line", { AT(METADATA_LYRIC, 5, "x"), AT(METADATA_LYRIC, 4, "y") }, false },
        { "an empty line", { AT(METADATA_LYRIC, 5, "") }, true },
        { "the last moment", { AT(METADATA_LYRIC, METADATA_MS_MAX, "") }, true },
        { "beyond it", { AT(METADATA_LYRIC, METADATA_MS_MAX + 1, "") }, false },
        { "a line before a chapter's time", { AT(METADATA_CHAPTER, 5, "x"), AT(METADATA_LYRIC, 1, "y") }, true },
        { "a tag behind a chapter", { AT(METADATA_CHAPTER, 5, "x"), TAG("title", "y") }, false },
        { "no such kind", { AT((enum metadata_kind)5, 0, "x") }, false },
        { "a cover that is text", { AT(METADATA_COVER, 0, "GIF89a....") }, false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        check_part(&cases[i], slice(NULL, 0));
    static uint8_t large[METADATA_COVER_MAX + 1];
    static char text[METADATA_TEXT_MAX + 1];
    memset(text, 'x', sizeof(text));
    memcpy(large, jpeg, sizeof(jpeg) - 2);
    memcpy(large + sizeof(jpeg) - 2, "\xff\xda\0\2", 4); /* samples up to the end */
    memcpy(large + METADATA_COVER_MAX - 2, "\xff\xd9", 2);
    const struct part_case cover = { "a cover", { AT(METADATA_COVER, 0, "") }, true };
    const struct part_case two = { "two covers",
                                   { { .kind = METADATA_COVER, .text = SLICE_ARRAY(jpeg) }, AT(METADATA_COVER, 0, "") },
                                   false };
    struct part_case tag = { "a long text", { TAG("comment", "") }, true };
    check_part(&cover, slice(large, METADATA_COVER_MAX));
    check_part(&two, SLICE_ARRAY(jpeg));
    check_part(&tag, slice(text, METADATA_TEXT_MAX));
    tag.good = false;
    check_part(&tag, slice(text, METADATA_TEXT_MAX + 1));
    struct part_case too_large = cover;
    too_large.good = false;
    memcpy(large + METADATA_COVER_MAX - 2, "\0\xff\xd9", 3);
    check_part(&too_large, slice(large, METADATA_COVER_MAX + 1));
}

static void test_counts(void **state)
{
    (void)state;
    static const struct {
        enum metadata_kind kind;
        uint32_t max;
    } kinds[] = { { METADATA_TAG, METADATA_TAGS_MAX },
                  { METADATA_CHAPTER, METADATA_CHAPTERS_MAX },
                  { METADATA_LYRIC, METADATA_LYRICS_MAX } };
    for (size_t k = 0; k < ARRAY_COUNT(kinds); k++) {
        struct buf out CLEANUP(buf_free) = buf(1 << 20);
        struct metadata_reader so_far = metadata_reader(slice(NULL, 0));
        struct metadata_part p = { .kind = kinds[k].kind, .key = slice_str("k"), .text = slice_str("v") };
        for (uint32_t i = 0; i < kinds[k].max; i++) {
            p.start_ms = i;
            if (p.kind == METADATA_TAG)
                p.start_ms = 0;
            assert_int_equal(metadata_put(&out, &so_far, &p), 0);
        }
        p.start_ms = p.kind == METADATA_TAG ? 0 : kinds[k].max;
        assert_int_equal(metadata_put(&out, &so_far, &p), REASON_MALFORMED);
    }
}

/* The range in the content information is part of the content's name, and has to be one that there is. */
static void test_info(void **state)
{
    (void)state;
    struct id plain, ranged;
    doc_ContentInfo i = f.info, out;
    struct buf bytes CLEANUP(buf_free) = buf(2048);
    assert_int_equal(CODEC_ENCODE(doc_ContentInfo, &bytes, &i), 0);
    assert_int_equal(info_judge(buf_slice(&bytes), f.list_root, &out, &plain), 0);
    for (uint32_t kind = 0; kind <= RANGE_KINDS; kind++) {
        i.has_metadata_signers = true;
        i.metadata_signers = (doc_SignerRange){ .kind = kind, .keys_count = kind == RANGE_KEYS ? 3 : 0 };
        buf_clear(&bytes);
        assert_int_equal(CODEC_ENCODE(doc_ContentInfo, &bytes, &i), 0);
        int r = info_judge(buf_slice(&bytes), f.list_root, &out, &ranged);
        assert_int_equal(r, kind == 0 || kind == RANGE_KINDS ? REASON_MALFORMED : 0);
        if (r == 0)
            assert_false(id_equal(&plain, &ranged));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_provider),   TEST(test_publisher), TEST(test_shape),      TEST(test_every_byte), TEST(test_time),
        TEST(test_vouch),      TEST(test_keyset),    TEST(test_ranges),     TEST(test_covers),     TEST(test_file),
        TEST(test_vouch_file), TEST(test_parts),     TEST(test_part_rules), TEST(test_counts),     TEST(test_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
