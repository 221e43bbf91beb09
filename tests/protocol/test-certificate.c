/* Copy certificates: every branch of the judgement with its reason, both ways of issuing, and what order the checks have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/util.h"
#include "fixture.h"

struct situation { /* what is given to the judge; changes of a test come before or after sealing */
    struct fixture f;
    struct certificate_case c;
    struct certificate_facts facts;
};
enum way { PARTNER, OWN };

static struct situation *situation_new(enum way way)
{
    struct situation *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    fixture_init(&s->f);
    if (way == OWN)
        fixture_own(&s->f);
    s->c = (struct certificate_case){
        .keyset = &s->f.keyset,
        .self = s->f.destination_id,
        .presenter = &s->f.source_id,
        .list_root = s->f.list_root,
        .lowest_block_version = 9,
        .now_ms = FIXTURE_NOW,
    };
    return s;
}

static void seal(struct situation *s, enum way way, bool keep_content)
{
    fixture_seal(&s->f, keep_content);
    s->c.certificate = buf_slice(&s->f.certificate_bytes);
    s->c.delegation = way == PARTNER ? buf_slice(&s->f.delegation_bytes) : slice(NULL, 0);
    s->c.info = buf_slice(&s->f.info_bytes);
}

static void situation_free(struct situation *s)
{
    fixture_deinit(&s->f);
    free(s);
}

/* ---- one change each ----------------------------------------------------------------------------------------- */

#define CHANGE(name) static void name(struct situation *s)
CHANGE(nothing) { (void)s; }
CHANGE(issuer_is_another_partner) { s->f.certificate.issuer[0] ^= 1; }
CHANGE(signed_by_stranger) { s->f.certificate_signer = &s->f.stranger.signer; }
CHANGE(signed_by_partner_license_key) { s->f.certificate_signer = s->f.license_signer = &s->f.partner_license.signer; }
CHANGE(claims_own_root_key) { s->f.certificate.partner_root = false; }
CHANGE(claims_partner_root_key) { s->f.certificate.partner_root = true; }
CHANGE(delegation_by_stranger) { s->f.delegation_signer = &s->f.stranger.signer; }
CHANGE(delegation_by_the_partner) { s->f.delegation_signer = &s->f.partner_license.signer; }
CHANGE(delegation_of_another) { s->f.delegation.delegator[0] ^= 1; }
CHANGE(delegation_to_another) { s->f.delegation.partner[0] ^= 1; }
CHANGE(delegation_below_floor) { s->f.delegation.sequence = 2; }
CHANGE(delegation_above_floor) { s->f.delegation.sequence = 4; }
CHANGE(delegation_without_floor) { s->f.keyset.floors_count = 0; }
CHANGE(delegation_ended) { s->f.delegation.ends_ms = FIXTURE_NOW - DOCUMENTS_SKEW_MS - 1; }
CHANGE(delegation_not_yet) { s->f.delegation.issued_ms = FIXTURE_NOW + DOCUMENTS_SKEW_MS + 1; }
CHANGE(delegation_by_key_of_its_time)
{
    s->f.delegation_signer = &s->f.old_license.signer;
    s->f.delegation.issued_ms = FIXTURE_NOW - 3 * FIXTURE_DAY;
}
CHANGE(delegation_by_key_that_had_ended) { s->f.delegation_signer = &s->f.old_license.signer; }
CHANGE(certificate_outlives_delegation) { s->f.delegation.ends_ms = s->f.certificate.ends_ms - 1; }
CHANGE(certificate_ends_with_delegation) { s->f.delegation.ends_ms = s->f.certificate.ends_ms; }
CHANGE(certificate_lives_too_long)
{
    s->f.delegation.max_certificate_ms = s->f.certificate.ends_ms - s->f.certificate.issued_ms - 1;
}
CHANGE(certificate_lives_as_long_as_it_may)
{
    s->f.delegation.max_certificate_ms = s->f.certificate.ends_ms - s->f.certificate.issued_ms;
}
CHANGE(certificate_ends_before_it_begins) { s->f.certificate.issued_ms = s->f.certificate.ends_ms + 1; }
CHANGE(publisher_is_not_the_partner) { memcpy(s->f.info.publisher, &s->f.distributor, 32); }
CHANGE(license_by_stranger) { s->f.license_signer = &s->f.stranger.signer; }
CHANGE(license_by_another_of_the_issuers_keys) { s->f.license_signer = &s->f.old_license.signer; }
CHANGE(license_of_another_issuer) { s->f.license_doc.issuer[0] ^= 1; }
CHANGE(license_for_another_client) { s->f.license_doc.client[0] ^= 1; }
CHANGE(license_for_a_foreign_leaf) { memcpy(s->f.license_doc.leaf.distributor, &s->f.partner, 32); }
CHANGE(block_by_stranger) { s->f.block_signer = &s->f.stranger.signer; }
CHANGE(block_by_partner) { s->f.block_signer = &s->f.partner_license.signer; }
CHANGE(block_of_another_distributor) { memcpy(s->f.block.distributor, &s->f.partner, 32); }
CHANGE(block_of_another_category) { s->f.block.category = 2; }
CHANGE(block_of_another_kind) { s->f.block.kind = 2; }
CHANGE(block_entry_outside) { s->f.certificate.key_block.index = 4; }
CHANGE(block_outdated) { s->c.lowest_block_version = 10; }
CHANGE(block_newer) { s->c.lowest_block_version = 8; }
CHANGE(expired) { s->c.now_ms = (int64_t)s->f.certificate.ends_ms + DOCUMENTS_SKEW_MS + 1; }
CHANGE(expired_within_skew) { s->c.now_ms = (int64_t)s->f.certificate.ends_ms + DOCUMENTS_SKEW_MS; }
CHANGE(not_issued_yet) { s->c.now_ms = FIXTURE_NOW - DOCUMENTS_SKEW_MS - 1; }
CHANGE(not_issued_yet_within_skew) { s->c.now_ms = FIXTURE_NOW - DOCUMENTS_SKEW_MS; }
CHANGE(clock_before_1970) { s->c.now_ms = -1; }
CHANGE(another_destination) { s->c.self = s->f.source_id; }
CHANGE(brought_by_another) { s->c.presenter = &s->f.destination_id; }
CHANGE(brought_by_the_issuer) { s->c.presenter = &s->f.partner; }
CHANGE(brought_by_the_own_distributor) { s->c.presenter = &s->f.distributor; }
CHANGE(move_brought_by_the_issuer)
{
    s->c.presenter = &s->f.partner;
    s->f.certificate.move = true;
}
CHANGE(on_a_medium) { s->c.presenter = NULL; }
CHANGE(on_a_medium_and_issued_for_it)
{
    s->c.presenter = NULL;
    s->f.certificate.removable = true;
}
CHANGE(key_not_of_its_time) { s->f.certificate_signer = s->f.license_signer = &s->f.old_license.signer; }
static void withdraw(doc_Keyset *k, const struct fixture_party *p)
{
    for (pb_size_t i = 0; i < k->keys_count; i++)
        if (memcmp(k->keys[i].key, p->signer.public_key, 32) == 0)
            k->keys[i].purpose = KEY_SHARED;
}
CHANGE(key_was_withdrawn) { withdraw(&s->f.keyset, &s->f.license); }
CHANGE(key_was_withdrawn_long_ago)
{
    key_was_withdrawn(s);
    for (pb_size_t i = 0; i < s->f.keyset.keys_count; i++)
        if (s->f.keyset.keys[i].purpose == KEY_SHARED)
            s->f.keyset.keys[i].purpose = KEY_WITHDRAWN;
}
CHANGE(key_was_withdrawn_before)
{
    key_was_withdrawn(s);
    s->f.certificate_signer = s->f.license_signer = &s->f.old_license.signer;
    withdraw(&s->f.keyset, &s->f.old_license);
}
CHANGE(block_by_withdrawn_key)
{
    s->f.block_signer = &s->f.old_license.signer;
    s->f.block.issued_ms = FIXTURE_NOW - 3 * FIXTURE_DAY;
    withdraw(&s->f.keyset, &s->f.old_license);
}
CHANGE(key_of_its_time)
{
    s->f.certificate_signer = s->f.license_signer = &s->f.old_license.signer;
    s->f.certificate.issued_ms = FIXTURE_NOW - 3 * FIXTURE_DAY;
}
CHANGE(tls_key_signs) { s->f.certificate_signer = s->f.license_signer = &s->f.tls.signer; }
CHANGE(root_key_signs) { s->f.certificate_signer = s->f.license_signer = &s->f.root.signer; }
CHANGE(title_differs) { s->f.info.title[0] ^= 1; } /* after sealing: the content information is another */
CHANGE(list_differs) { s->f.list_root[5] ^= 1; }
CHANGE(shape_is_impossible) { s->f.info.block_count = 5; }

struct judge_case {
    const char *name;
    enum way way;
    void (*change)(struct situation *s);
    int outcome; /* of certificate_judge */
    int alone;   /* of certificate_judge_alone */
};
#define BOTH(r) (r), (r)
static const struct judge_case cases[] = {
    { "valid under a delegation", PARTNER, nothing, BOTH(0) },
    { "valid from the own distributor", OWN, nothing, BOTH(0) },
    /* authority, delegated */
    { "issuer is not the partner delegated to", PARTNER, issuer_is_another_partner, BOTH(REASON_DELEGATION_INVALID) },
    { "signed by a stranger", PARTNER, signed_by_stranger, BOTH(REASON_SIGNATURE_INVALID) },
    { "signed with the partner's own key, not the copy key", PARTNER, signed_by_partner_license_key,
      BOTH(REASON_SIGNATURE_INVALID) },
    { "a partner claims the root key itself", PARTNER, claims_own_root_key, BOTH(REASON_DELEGATION_INVALID) },
    { "delegation signed by a stranger", PARTNER, delegation_by_stranger, BOTH(REASON_DELEGATION_INVALID) },
    { "the partner delegates to itself", PARTNER, delegation_by_the_partner, BOTH(REASON_DELEGATION_INVALID) },
    { "delegation names another delegator", PARTNER, delegation_of_another, BOTH(REASON_DELEGATION_INVALID) },
    { "delegation names another partner", PARTNER, delegation_to_another, BOTH(REASON_DELEGATION_INVALID) },
    { "delegation withdrawn", PARTNER, delegation_below_floor, REASON_DELEGATION_INVALID, 0 },
    { "delegation newer than the floor", PARTNER, delegation_above_floor, BOTH(0) },
    { "no floor for this partner", PARTNER, delegation_without_floor, BOTH(0) },
    { "delegation ended", PARTNER, delegation_ended, REASON_DELEGATION_INVALID, REASON_DELEGATION_INVALID },
    { "delegation not yet in force", PARTNER, delegation_not_yet, REASON_DELEGATION_INVALID, 0 },
    { "delegation signed by a key that has ended since", PARTNER, delegation_by_key_of_its_time, BOTH(0) },
    { "delegation signed by a key that was withdrawn since", PARTNER, key_was_withdrawn, REASON_DELEGATION_INVALID, 0 },
    { "delegation signed by a key that had ended", PARTNER, delegation_by_key_that_had_ended,
      BOTH(REASON_DELEGATION_INVALID) },
    { "certificate outlives the delegation", PARTNER, certificate_outlives_delegation,
      BOTH(REASON_DELEGATION_INVALID) },
    { "certificate ends with the delegation", PARTNER, certificate_ends_with_delegation, BOTH(0) },
    { "certificate lives longer than delegated", PARTNER, certificate_lives_too_long, BOTH(REASON_DELEGATION_INVALID) },
    { "certificate lives as long as delegated", PARTNER, certificate_lives_as_long_as_it_may, BOTH(0) },
    { "certificate ends before it begins", PARTNER, certificate_ends_before_it_begins,
      BOTH(REASON_DELEGATION_INVALID) },
    { "content the partner did not publish", PARTNER, publisher_is_not_the_partner, REASON_DELEGATION_INVALID, 0 },
    /* authority, own */
    { "own: signed by a stranger", OWN, signed_by_stranger, BOTH(REASON_SIGNATURE_INVALID) },
    { "own: another issuer, no delegation", OWN, issuer_is_another_partner, BOTH(REASON_SIGNATURE_INVALID) },
    { "own: claims a partner root", OWN, claims_partner_root_key, BOTH(REASON_MALFORMED) },
    { "own: key had ended when it signed", OWN, key_not_of_its_time, BOTH(REASON_SIGNATURE_INVALID) },
    { "own: key has ended since", OWN, key_of_its_time, BOTH(0) },
    { "own: its key was withdrawn since", OWN, key_was_withdrawn, REASON_SIGNATURE_INVALID, 0 },
    { "own: its key was withdrawn long ago", OWN, key_was_withdrawn_long_ago, REASON_SIGNATURE_INVALID, 0 },
    { "own: its key was withdrawn before", OWN, key_was_withdrawn_before, BOTH(REASON_SIGNATURE_INVALID) },
    { "own: a TLS key signs", OWN, tls_key_signs, BOTH(REASON_SIGNATURE_INVALID) },
    { "own: the root key signs", OWN, root_key_signs, BOTH(REASON_SIGNATURE_INVALID) },
    /* license inside */
    { "license by another signer", PARTNER, license_by_stranger, BOTH(REASON_SIGNATURE_INVALID) },
    { "own: license by another of its keys", OWN, license_by_another_of_the_issuers_keys,
      BOTH(REASON_SIGNATURE_INVALID) },
    { "license of another issuer", PARTNER, license_of_another_issuer, BOTH(REASON_SIGNATURE_INVALID) },
    { "license for another device", PARTNER, license_for_another_client, BOTH(REASON_WRONG_DESTINATION) },
    { "license for a leaf of another distributor", PARTNER, license_for_a_foreign_leaf,
      BOTH(REASON_WRONG_DESTINATION) },
    /* key block */
    { "key block by a stranger", PARTNER, block_by_stranger, BOTH(REASON_SIGNATURE_INVALID) },
    { "key block by a key that was withdrawn since", PARTNER, block_by_withdrawn_key, REASON_SIGNATURE_INVALID, 0 },
    { "key block by the partner", PARTNER, block_by_partner, BOTH(REASON_SIGNATURE_INVALID) },
    { "key block of another distributor", PARTNER, block_of_another_distributor, BOTH(REASON_SIGNATURE_INVALID) },
    { "key block of another category", PARTNER, block_of_another_category, BOTH(REASON_MALFORMED) },
    { "key block of another kind", PARTNER, block_of_another_kind, BOTH(REASON_MALFORMED) },
    { "entry outside the key block", PARTNER, block_entry_outside, BOTH(REASON_MALFORMED) },
    { "key block older than known", PARTNER, block_outdated, REASON_KEY_BLOCK_OUTDATED, 0 },
    { "key block newer than known", PARTNER, block_newer, BOTH(0) },
    /* times */
    { "own: ended", OWN, expired, REASON_CERTIFICATE_EXPIRED, 0 },
    { "own: ended, within the skew", OWN, expired_within_skew, BOTH(0) },
    { "own: not issued yet", OWN, not_issued_yet, REASON_CERTIFICATE_EXPIRED, 0 },
    { "own: not issued yet, within the skew", OWN, not_issued_yet_within_skew, BOTH(0) },
    { "own: clock before 1970", OWN, clock_before_1970, REASON_CERTIFICATE_EXPIRED, 0 },
    { "delegated: ended", PARTNER, expired, REASON_CERTIFICATE_EXPIRED, 0 },
    /* who */
    { "for another device", OWN, another_destination, BOTH(REASON_WRONG_DESTINATION) },
    { "brought by another device", PARTNER, brought_by_another, BOTH(REASON_NOT_PERMITTED) },
    { "brought by its issuer", PARTNER, brought_by_the_issuer, BOTH(0) },
    { "brought by the destination's distributor", PARTNER, brought_by_the_own_distributor, BOTH(REASON_NOT_PERMITTED) },
    { "a move brought by its issuer", PARTNER, move_brought_by_the_issuer, BOTH(REASON_NOT_PERMITTED) },
    { "on a medium, not issued for one", PARTNER, on_a_medium, REASON_NOT_PERMITTED, 0 },
    { "on a medium", PARTNER, on_a_medium_and_issued_for_it, BOTH(0) },
};

static void every_branch(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct judge_case *c = &cases[i];
        struct situation *s = situation_new(c->way);
        c->change(s);
        seal(s, c->way, false);
        int r = certificate_judge(&s->c, &s->facts);
        if (r != c->outcome)
            fail_msg("%s: %s, not %s", c->name, reason_code((enum reason)r), reason_code((enum reason)c->outcome));
        r = certificate_judge_alone(&s->c, &s->facts);
        if (r != c->alone)
            fail_msg("%s, alone: %s, not %s", c->name, reason_code((enum reason)r), reason_code((enum reason)c->alone));
        situation_free(s);
    }
}

/* What is beside the certificate is not what it names. Source: seed S168-S170. */
static void another_content(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*change)(struct situation *s);
        int outcome;
    } content_cases[] = {
        { "information differs", title_differs, REASON_CONTENT_ID_MISMATCH },
        { "hash list differs", list_differs, REASON_CONTENT_ID_MISMATCH },
        { "impossible shape", shape_is_impossible, REASON_MALFORMED },
    };
    for (size_t i = 0; i < ARRAY_COUNT(content_cases); i++) {
        struct situation *s = situation_new(PARTNER);
        seal(s, PARTNER, false);
        content_cases[i].change(s);
        seal(s, PARTNER, true);
        int r = certificate_judge(&s->c, &s->facts);
        if (r != content_cases[i].outcome)
            fail_msg("%s: %s", content_cases[i].name, reason_code((enum reason)r));
        assert_int_equal(certificate_judge_alone(&s->c, &s->facts), 0);
        situation_free(s);
    }
    /* The license inside is for another content than the certificate. */
    struct situation *s = situation_new(PARTNER);
    seal(s, PARTNER, false);
    s->f.license_doc.content[0] ^= 1;
    seal(s, PARTNER, true);
    assert_int_equal(certificate_judge(&s->c, &s->facts), REASON_CONTENT_ID_MISMATCH);
    situation_free(s);
}

/* The facts are the documents', and nothing is written when it is refused. */
static void facts(void **state)
{
    (void)state;
    struct situation *s = situation_new(PARTNER);
    seal(s, PARTNER, false);
    assert_int_equal(certificate_judge(&s->c, &s->facts), 0);
    assert_memory_equal(s->facts.certificate.serial, s->f.certificate.serial, 16);
    assert_int_equal(s->facts.license.leaf.number, 12);
    assert_int_equal(s->facts.block.version, 9);
    assert_string_equal(s->facts.info.title, "Etude");
    memset(&s->facts, 0xee, sizeof(s->facts));
    s->c.self = s->f.source_id;
    assert_int_equal(certificate_judge(&s->c, &s->facts), REASON_WRONG_DESTINATION);
    for (size_t i = 0; i < sizeof(s->facts); i++)
        assert_int_equal(((uint8_t *)&s->facts)[i], 0xee);
    situation_free(s);
}

/* No byte of any envelope can be changed, cut off or added. */
static void every_byte_counts(void **state)
{
    (void)state;
    struct situation *s = situation_new(PARTNER);
    seal(s, PARTNER, false);
    struct slice *const given[] = { &s->c.certificate, &s->c.delegation, &s->c.info };
    for (size_t g = 0; g < ARRAY_COUNT(given); g++) {
        struct slice whole = *given[g];
        uint8_t *copy = malloc(whole.len + 1);
        assert_non_null(copy);
        memcpy(copy, whole.data, whole.len);
        copy[whole.len] = 0;
        size_t step = whole.len > 600 ? 7 : 1; /* a signature is checked for each: keep it to seconds */
        for (size_t at = 0; at < whole.len; at += step) {
            *given[g] = slice(copy, whole.len);
            copy[at] ^= 0x40;
            assert_true(certificate_judge(&s->c, &s->facts) > 0);
            copy[at] ^= 0x40;
            if (at == 0 && g == 1)
                continue; /* no delegation at all is another case */
            *given[g] = slice(copy, at);
            assert_true(certificate_judge(&s->c, &s->facts) > 0);
        }
        *given[g] = slice(copy, whole.len + 1);
        assert_true(certificate_judge(&s->c, &s->facts) > 0);
        *given[g] = whole;
        free(copy);
    }
    assert_int_equal(certificate_judge(&s->c, &s->facts), 0);
    s->c.delegation = slice(NULL, 0);
    assert_int_equal(certificate_judge(&s->c, &s->facts), REASON_SIGNATURE_INVALID);
    /* A delegation where none is needed does not help either. */
    situation_free(s);
    s = situation_new(OWN);
    seal(s, OWN, false);
    s->c.delegation = buf_slice(&s->f.delegation_bytes);
    assert_int_equal(certificate_judge(&s->c, &s->facts), REASON_SIGNATURE_INVALID);
    situation_free(s);
}

/* With two things wrong, the earlier check speaks: nothing is told about a certificate that is not authentic. */
static void order(void **state)
{
    (void)state;
    static void (*const in_order[])(struct situation *) = {
        signed_by_stranger,  license_by_stranger, block_by_stranger, not_issued_yet,
        another_destination, brought_by_another,  block_outdated,
    };
    static const int outcomes[] = { REASON_SIGNATURE_INVALID,   REASON_SIGNATURE_INVALID, REASON_SIGNATURE_INVALID,
                                    REASON_CERTIFICATE_EXPIRED, REASON_WRONG_DESTINATION, REASON_NOT_PERMITTED,
                                    REASON_KEY_BLOCK_OUTDATED };
    for (size_t first = 0; first < ARRAY_COUNT(in_order); first++)
        for (size_t second = first + 1; second < ARRAY_COUNT(in_order); second++) {
            struct situation *s = situation_new(OWN);
            in_order[second](s);
            in_order[first](s);
            seal(s, OWN, false);
            assert_int_equal(certificate_judge(&s->c, &s->facts), outcomes[first]);
            situation_free(s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_branch), cmocka_unit_test(another_content),   cmocka_unit_test(facts),
        cmocka_unit_test(order),        cmocka_unit_test(every_byte_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
