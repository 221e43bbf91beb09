/* Reasons: every one has a code, a sentence and fits a Refusal; failures map to what a peer may know. */
#include "protocol/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/util.h"
#include "protocol/codec.h"

static void every_reason(void **state)
{
    (void)state;
    for (int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        enum reason r = (enum reason)i;
        assert_non_null(reason_code(r));
        assert_non_null(reason_text(r));
        assert_int_equal(reason_of_code(reason_code(r)), r);
        assert_true(strspn(reason_code(r), "abcdefghijklmnopqrstuvwxyz-") == strlen(reason_code(r)));
        msg_Refusal refusal;
        reason_refusal(&refusal, r, NULL);
        assert_string_equal(refusal.code, reason_code(r));
        assert_string_equal(refusal.text, reason_text(r)); /* nothing is cut */
        assert_int_equal(refusal.has_remedy, reason_remedy(r) != NULL);
        struct buf b CLEANUP(buf_free) = buf(4096);
        assert_int_equal(CODEC_ENCODE(msg_Refusal, &b, &refusal), 0);
    }
}

/* Those about which nothing can be done where it is heard. Every other one says what helps. */
static void remedies(void **state)
{
    (void)state;
    static const enum reason without[] = {
        REASON_OUTSIDE_DOWNLOAD_PERIOD,
        REASON_SIGNATURE_INVALID,
        REASON_DELEGATION_INVALID,
        REASON_WRONG_DESTINATION,
        REASON_CONTENT_ID_MISMATCH,
        REASON_NOT_PERMITTED,
        REASON_OUT_OF_STEP,
        REASON_SESSION_REPLACED,
        REASON_NOT_FOUND,
        REASON_ALREADY,
        REASON_CANCELLED,
        REASON_UNPLAYABLE,
        REASON_MALFORMED,
        REASON_TOO_LARGE,
        REASON_INTERNAL,
        REASON_METADATA_OUTDATED,
        REASON_METADATA_ENDED,
        REASON_METADATA_NOT_PERMITTED,
    };
    for (int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        bool expected = true;
        for (size_t n = 0; n < ARRAY_COUNT(without); n++)
            expected = expected && without[n] != (enum reason)i;
        if ((reason_remedy((enum reason)i) != NULL) != expected)
            fail_msg("%s", reason_code((enum reason)i));
    }
}

static void details_are_made_safe(void **state)
{
    (void)state;
    msg_Refusal refusal;
    reason_refusal(&refusal, REASON_INTERNAL, "red \033[31m");
    struct buf b CLEANUP(buf_free) = buf(4096);
    assert_int_equal(CODEC_ENCODE(msg_Refusal, &b, &refusal), 0);
    reason_refusal(&refusal, REASON_IN_USE, "It plays: hearth stop ends that.");
    assert_false(refusal.has_remedy); /* "try again when it is free" would be another */
    reason_refusal(&refusal, REASON_IN_USE, "It is being bought at this moment.");
    assert_true(refusal.has_remedy);
    reason_refusal(&refusal, REASON_STORAGE_FULL, "/media/stick is full: make room there.");
    assert_false(refusal.has_remedy); /* it is not what removing a track makes room on */
    reason_refusal(&refusal, REASON_STORAGE_FULL, NULL);
    assert_true(refusal.has_remedy);
    char longer[1000];
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    reason_refusal(&refusal, REASON_INTERNAL, longer);
    assert_int_equal(strlen(refusal.text), sizeof(refusal.text) - 1);
}

static void outside_the_table(void **state)
{
    (void)state;
    assert_string_equal(reason_code((enum reason) - 1), "internal");
    assert_string_equal(reason_code(REASON_COUNT), "internal");
    assert_int_equal(reason_of_code("of-a-later-version"), REASON_INTERNAL);
    assert_int_equal(reason_of_code("none"), REASON_INTERNAL); /* nobody refuses for no reason */
    assert_int_equal(reason_of_code(""), REASON_INTERNAL);
}

static void errors(void **state)
{
    (void)state;
    assert_int_equal(reason_of_error(0), REASON_NONE);
    assert_int_equal(reason_of_error(REASON_NO_LICENSE), REASON_NO_LICENSE);
    assert_int_equal(reason_of_error(-ENOSPC), REASON_STORAGE_FULL);
    assert_int_equal(reason_of_error(-EPROTO), REASON_MALFORMED);
    assert_int_equal(reason_of_error(-EMSGSIZE), REASON_TOO_LARGE);
    assert_int_equal(reason_of_error(-ETIMEDOUT), REASON_TIMED_OUT);
    assert_int_equal(reason_of_error(-EIO), REASON_INTERNAL);
    assert_int_equal(reason_of_error(10000), REASON_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason),      cmocka_unit_test(remedies), cmocka_unit_test(details_are_made_safe),
        cmocka_unit_test(outside_the_table), cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
