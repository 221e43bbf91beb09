/* IDs as text: one text for one ID, prefixes, everything else refused (SPKI vectors: test-vectors.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "crypto/id.h"

static struct id sample(void)
{
    struct id id;
    for (size_t i = 0; i < ID_BYTES; i++)
        id.bytes[i] = (uint8_t)(i * 37 + 11);
    return id;
}

static void test_text_round_trip(void **state)
{
    (void)state;
    struct id id = sample(), back;
    char text[ID_TEXT_BYTES], brief[ID_SHORT_BYTES];
    id_text(&id, text);
    assert_int_equal(strlen(text), 52);
    assert_int_equal(id_parse(text, &back), 0);
    assert_true(id_equal(&id, &back));
    id_short(&id, brief);
    assert_int_equal(strlen(brief), 8);
    assert_memory_equal(brief, text, 8);
    back = id_from(id.bytes);
    assert_true(id_equal(&id, &back));
    back.bytes[31] ^= 1;
    assert_false(id_equal(&id, &back));
}

static void test_refuses_other_text(void **state)
{
    (void)state;
    struct id id = sample(), back = { { 42 } };
    char text[ID_TEXT_BYTES], wrong[ID_TEXT_BYTES + 1];
    id_text(&id, text);
    for (size_t len = 0; len < 52; len++) {
        memcpy(wrong, text, len);
        wrong[len] = '\0';
        assert_int_equal(id_parse(wrong, &back), ID_MALFORMED);
    }
    memcpy(wrong, text, 52);
    memcpy(wrong + 52, "a", 2);
    assert_int_equal(id_parse(wrong, &back), ID_MALFORMED);
    static const char strange[] = "018=-_ \x80\xff";
    for (size_t at = 0; at < 52; at++) {
        for (size_t i = 0; i < sizeof strange - 1; i++) {
            memcpy(wrong, text, sizeof text);
            wrong[at] = strange[i];
            assert_int_equal(id_parse(wrong, &back), ID_MALFORMED);
        }
    }
    memcpy(wrong, text, sizeof text);
    wrong[51] = (char)(wrong[51] + 1); /* bits beyond the 256th */
    assert_int_equal(id_parse(wrong, &back), ID_MALFORMED);
    assert_int_equal(back.bytes[0], 42); /* outputs are written only on success */
}

static void test_prefix(void **state)
{
    (void)state;
    struct id id = sample();
    char text[ID_TEXT_BYTES], prefix[ID_TEXT_BYTES + 1];
    id_text(&id, text);
    for (size_t len = 1; len <= 52; len++) {
        for (size_t i = 0; i < len; i++)
            prefix[i] = (char)toupper((unsigned char)text[i]);
        prefix[len] = '\0';
        assert_true(id_has_prefix(&id, prefix));
        prefix[len - 1] = prefix[len - 1] == 'Q' ? 'R' : 'Q';
        assert_false(id_has_prefix(&id, prefix));
    }
    assert_false(id_has_prefix(&id, ""));
    memcpy(prefix, text, 52);
    memcpy(prefix + 52, "a", 2);
    assert_false(id_has_prefix(&id, prefix));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_round_trip),
        cmocka_unit_test(test_refuses_other_text),
        cmocka_unit_test(test_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
