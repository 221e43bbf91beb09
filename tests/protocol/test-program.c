/* Programs and grants: every rule of their judges, names and versions, and the arithmetic of what is sealed. */
#include "protocol/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/util.h"
#include "fixture.h"

static struct fixture f;
static struct fixture_party provider;
static doc_Program program;
static doc_ProgramGrant grant;

static int set_up(void **state)
{
    (void)state;
    fixture_init(&f);
    fixture_party_init(&provider, 99);
    struct id id = fixture_id(&provider);
    program = (doc_Program){ .name = "tone", .kind = PROGRAM_PLUGIN, .version = 1ull << 32, .program_bytes = 40000 };
    memcpy(program.provider, id.bytes, ID_BYTES);
    grant = (doc_ProgramGrant){ .issued_ms = FIXTURE_NOW };
    memcpy(grant.distributor, f.distributor.bytes, ID_BYTES);
    memcpy(grant.client, f.destination_id.bytes, ID_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_deinit(&f);
    return 0;
}

static int judge(const struct fixture_party *by)
{
    struct buf envelope CLEANUP(buf_free) = buf(4096);
    doc_Program out;
    fixture_sign(&envelope, DOCUMENT_PROGRAM, &program, by);
    return program_judge(buf_slice(&envelope), &out);
}

static int judge_grant(const struct fixture_party *by)
{
    struct buf inside CLEANUP(buf_free) = buf(4096), envelope CLEANUP(buf_free) = buf(4096);
    doc_ProgramGrant out;
    doc_Program read;
    fixture_sign(&inside, DOCUMENT_PROGRAM, &program, &provider);
    assert_int_equal(CODEC_SET_BYTES(grant.program, buf_slice(&inside)), 0);
    fixture_sign(&envelope, DOCUMENT_PROGRAM_GRANT, &grant, by);
    int r = program_grant_judge(buf_slice(&envelope), &f.keyset, &f.destination_id, &out, &read);
    if (r == 0)
        assert_memory_equal(&read, &program, sizeof(read));
    return r;
}

static void test_program(void **state)
{
    (void)state;
    assert_int_equal(judge(&provider), 0);
    assert_int_equal(judge(&f.license),
                     REASON_SIGNATURE_INVALID); /* a distributor does not sign in a provider's place */
    const doc_Program good = program;
    const struct {
        uint32_t kind;
        uint64_t version, bytes;
        int want;
    } cases[] = {
        { 2, 1, 1, 0 },
        { 1, (1ull << 48) - 1, PROGRAM_BYTES_MAX, 0 },
        { 0, 1, 1, REASON_MALFORMED },
        { 3, 1, 1, REASON_MALFORMED },
        { 1, 0, 1, REASON_MALFORMED },
        { 1, 1ull << 48, 1, REASON_MALFORMED },
        { 1, 1, 0, REASON_MALFORMED },
        { 1, 1, PROGRAM_BYTES_MAX + 1, REASON_MALFORMED },
        { 1, 1, UINT64_MAX, REASON_MALFORMED },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        program = good;
        program.kind = cases[i].kind;
        program.version = cases[i].version;
        program.program_bytes = cases[i].bytes;
        assert_int_equal(judge(&provider), cases[i].want);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = { "a", "7", "tone", "tone-2", "a--b", "abcdefghijklmnopqrstuvwxyz01234" };
    static const char *const bad[] = {
        "", "-", "-a", "a-", "Tone", "a b", "a/b", "../a", "a\nb", "ton\xc3\xa9", "abcdefghijklmnopqrstuvwxyz012345"
    };
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_true(program_name_is_valid(good[i]));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(program_name_is_valid(bad[i]));
}

static void test_versions(void **state)
{
    (void)state;
    static const struct {
        const char *text, *again;
    } good[] = { { "1", "1.0.0" },
                 { "1.2", "1.2.0" },
                 { "0.0.1", "0.0.1" },
                 { "65535.65535.65535", "65535.65535.65535" },
                 { "10.0.3", "10.0.3" } };
    static const char *const bad[] = { "",
                                       "0",
                                       "0.0.0",
                                       "1.",
                                       ".1",
                                       "1..2",
                                       "1.2.",
                                       "1.2.3.",
                                       "1.2.3.4",
                                       "01",
                                       "1.02",
                                       "65536",
                                       "-1",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "1a",
                                       "1.a",
                                       "99999999999999999999",
                                       "1.2.3-rc1" };
    uint64_t version, before = 0;
    char text[PROGRAM_VERSION_BYTES];
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_int_equal(program_version_parse(good[i].text, &version), 0);
        assert_true(program_version_is_valid(version));
        assert_string_equal(program_version_text(version, text), good[i].again);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(program_version_parse(bad[i], &version), -EINVAL);
    static const char *const rising[] = { "0.0.1", "0.0.65535", "0.1", "0.9.9", "0.10", "1", "1.0.1", "2", "10" };
    for (size_t i = 0; i < ARRAY_COUNT(rising); i++, before = version) {
        assert_int_equal(program_version_parse(rising[i], &version), 0);
        assert_true(version > before);
    }
}

static void test_grant(void **state)
{
    (void)state;
    assert_int_equal(judge_grant(&f.license), 0);
    static const struct {
        const char *name;
        size_t party;
    } wrong[] = { { "root", offsetof(struct fixture, root) },
                  { "roster key", offsetof(struct fixture, roster) },
                  { "TLS key", offsetof(struct fixture, tls) },
                  { "partner's license key", offsetof(struct fixture, partner_license) },
                  { "copy key", offsetof(struct fixture, copy_key) },
                  { "the device", offsetof(struct fixture, destination) },
                  { "a stranger", offsetof(struct fixture, stranger) } };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        const struct fixture_party *by = (const void *)((const char *)&f + wrong[i].party);
        if (judge_grant(by) != REASON_SIGNATURE_INVALID)
            fail_msg("signed by %s", wrong[i].name);
    }
    assert_int_equal(judge_grant(&provider), REASON_SIGNATURE_INVALID);
    memcpy(grant.client, f.source_id.bytes, ID_BYTES);
    assert_int_equal(judge_grant(&f.license), REASON_WRONG_DESTINATION);
    memcpy(grant.client, f.destination_id.bytes, ID_BYTES);
    memcpy(grant.distributor, f.partner.bytes, ID_BYTES);
    assert_int_equal(judge_grant(&f.license), REASON_SIGNATURE_INVALID);
    memcpy(grant.distributor, f.distributor.bytes, ID_BYTES);
    grant.issued_ms = UINT64_MAX;
    assert_int_equal(judge_grant(&f.license), REASON_SIGNATURE_INVALID);
    grant.issued_ms = FIXTURE_NOW;
    program.kind = 9;
    assert_int_equal(judge_grant(&f.license), REASON_MALFORMED);
}

/* A flipped bit anywhere, and every length but the right one. */
static void test_altered(void **state)
{
    (void)state;
    struct buf inside CLEANUP(buf_free) = buf(4096), envelope CLEANUP(buf_free) = buf(4096);
    doc_ProgramGrant out;
    doc_Program read;
    fixture_sign(&inside, DOCUMENT_PROGRAM, &program, &provider);
    assert_int_equal(CODEC_SET_BYTES(grant.program, buf_slice(&inside)), 0);
    fixture_sign(&envelope, DOCUMENT_PROGRAM_GRANT, &grant, &f.license);
    struct slice whole = buf_slice(&envelope);
    for (size_t i = 0; i < whole.len; i++) {
        envelope.data[i] ^= 4;
        assert_int_not_equal(program_grant_judge(whole, &f.keyset, &f.destination_id, &out, &read), 0);
        envelope.data[i] ^= 4;
        assert_int_not_equal(program_grant_judge(slice(whole.data, i), &f.keyset, &f.destination_id, &out, &read), 0);
    }
    assert_int_equal(program_grant_judge(whole, &f.keyset, &f.destination_id, &out, &read), 0);
}

static void test_sealed(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        uint32_t count, last;
    } cases[] = { { 1, 1, 1 },
                  { PROGRAM_BLOCK_BYTES - 1, 1, PROGRAM_BLOCK_BYTES - 1 },
                  { PROGRAM_BLOCK_BYTES, 1, PROGRAM_BLOCK_BYTES },
                  { PROGRAM_BLOCK_BYTES + 1, 2, 1 },
                  { PROGRAM_BYTES_MAX, 1024, PROGRAM_BLOCK_BYTES } };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(program_block_count(cases[i].bytes), cases[i].count);
        assert_int_equal(program_block_len(cases[i].bytes, cases[i].count - 1), cases[i].last);
        assert_int_equal(program_sealed_bytes(cases[i].bytes), cases[i].bytes + 44ull * cases[i].count);
    }
    uint8_t information[32] = { 1 }, digest[32] = { 2 };
    struct key32 one, same, other;
    program_key(information, digest, &one);
    program_key(information, digest, &same);
    assert_memory_equal(one.bytes, same.bytes, 32);
    digest[31] = 1; /* another version */
    program_key(information, digest, &other);
    assert_memory_not_equal(one.bytes, other.bytes, 32);
    digest[31] = 0;
    information[0] = 0; /* another device */
    program_key(information, digest, &other);
    assert_memory_not_equal(one.bytes, other.bytes, 32);
}

static void test_kinds(void **state)
{
    (void)state;
    uint32_t kind;
    assert_int_equal(program_kind_parse("plug-in", &kind), 0);
    assert_int_equal(kind, PROGRAM_PLUGIN);
    assert_int_equal(program_kind_parse("update", &kind), 0);
    assert_int_equal(kind, PROGRAM_UPDATE);
    assert_int_equal(program_kind_parse("virus", &kind), -EINVAL);
    assert_string_equal(program_kind_text(PROGRAM_PLUGIN), "plug-in");
    assert_string_equal(program_kind_text(0), "?");
    assert_string_equal(program_kind_text(77), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_program, set_up, tear_down),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_versions),
        cmocka_unit_test_setup_teardown(test_grant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_altered, set_up, tear_down),
        cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
