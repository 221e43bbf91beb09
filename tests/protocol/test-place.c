/* Places as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "protocol/place.h"

static struct id content = { { 1, 2, 3 } };

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *before_name;
    } cases[] = { { "http://example.org", "http://example.org/" },
                  { "http://example.org/", "http://example.org/" },
                  { "https://example.org:8443/a/b///", "https://example.org:8443/a/b/" },
                  { "http://[::1]:80/x", "http://[::1]:80/x/" },
                  { "http://[::1]", "http://[::1]/" } };
    char name[ID_TEXT_BYTES], url[PLACE_URL_BYTES], expected[PLACE_URL_BYTES];
    id_text(content.bytes, name);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct place p;
        assert_int_equal(place_parse(cases[i].text, &p), 0);
        assert_int_equal(p.kind, PLACE_HTTP);
        place_body_url(&p, &content, url);
        snprintf(expected, sizeof(expected), "%s%s.body", cases[i].before_name, name);
        assert_string_equal(url, expected);
    }
}

static void test_server(void **state)
{
    (void)state;
    static const char *const addresses[] = { "example.org:7700", "[::1]:7700", "127.0.0.1:1" };
    char name[ID_TEXT_BYTES], text[PLACE_TEXT_MAX + 1];
    struct place p;
    id_text(content.bytes, name);
    for (size_t i = 0; i < ARRAY_COUNT(addresses); i++) {
        snprintf(text, sizeof(text), "hearth://%s#%s", addresses[i], name);
        assert_int_equal(place_parse(text, &p), 0);
        assert_int_equal(p.kind, PLACE_SERVER);
        assert_string_equal(p.address, addresses[i]);
        assert_memory_equal(p.server.bytes, content.bytes, ID_BYTES);
    }
    snprintf(text, sizeof(text), "hearth://example.org#%s", name);
    assert_int_equal(place_parse(text, &p), PLACE_MALFORMED);
    snprintf(text, sizeof(text), "hearth://127.).0.1:7700#%s", name); /* nothing that could be dialled */
    assert_int_equal(place_parse(text, &p), PLACE_MALFORMED);
    snprintf(text, sizeof(text), "hearth://example.org:7700/x#%s", name);
    assert_int_equal(place_parse(text, &p), PLACE_MALFORMED);
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "x",
                                       "http://",
                                       "http:///x",
                                       "HTTP://x",
                                       "ftp://x/",
                                       "file:///etc/passwd",
                                       "http://u@x/",
                                       "http://x/?q",
                                       "http://x/#f",
                                       "http://x:/",
                                       "http://x:0/",
                                       "http://x:65536/",
                                       "http://x:1a/",
                                       "http://:80/",
                                       "http://[::1/",
                                       "http://::1]/",
                                       "http://[::1]x/",
                                       "http://a b/",
                                       "http://127.).0.1/",
                                       "http://a:80:80/",
                                       "http://[]/",
                                       "http://[]:80/",
                                       "http://[a(b]:80/",
                                       "http://[a[b]:80/",
                                       "http://a/\x7f",
                                       "http://a/\xc3\xa4",
                                       "hearth://x:1",
                                       "hearth://x:1#",
                                       "hearth://x:1#abc" };
    char longest[PLACE_TEXT_MAX + 3];
    struct place p = { .kind = PLACE_SERVER };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(place_parse(bad[i], &p), PLACE_MALFORMED);
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "http://", 7);
    longest[PLACE_TEXT_MAX + 1] = '\0';
    assert_int_equal(place_parse(longest, &p), PLACE_MALFORMED);
    assert_int_equal(p.kind, PLACE_SERVER); /* written on success only */
    longest[PLACE_TEXT_MAX] = '\0';
    assert_int_equal(place_parse(longest, &p), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_server),
                                        cmocka_unit_test(test_bad) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
