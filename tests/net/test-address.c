/* Addresses: text to host and port and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>

#include "base/util.h"
#include "net/address.h"

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host; /* NULL: malformed */
        uint16_t port;
    } cases[] = {
        { "127.0.0.1:1", "127.0.0.1", 1 },
        { "a.example:65535", "a.example", 65535 },
        { "[::1]:80", "::1", 80 },
        { "[fe80::1%eth0]:80", "fe80::1%eth0", 80 },
        { "host_name-2:007", "host_name-2", 7 },
        { "", NULL, 0 },
        { ":80", NULL, 0 },
        { "[]:80", NULL, 0 },
        { "host", NULL, 0 },
        { "host:", NULL, 0 },
        { "host:0", NULL, 0 },
        { "host:65536", NULL, 0 },
        { "host:99999999999", NULL, 0 },
        { "host:+80", NULL, 0 },
        { "host: 80", NULL, 0 },
        { "host:80 ", NULL, 0 },
        { "::1:80", NULL, 0 },
        { "[::1:80", NULL, 0 },
        { "[::1]80", NULL, 0 },
        { "[::1]", NULL, 0 },
        { "ho st:80", NULL, 0 },
        { "host/x:80", NULL, 0 },
        { "h\xc3\xb6st:80", NULL, 0 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char host[ADDRESS_HOST_BYTES] = "";
        uint16_t port = 0;
        int r = address_parse(cases[i].text, host, &port);
        if (r != (cases[i].host ? 0 : ADDRESS_MALFORMED))
            fail_msg("%s", cases[i].text);
        assert_string_equal(host, cases[i].host ? cases[i].host : ""); /* outputs only on success */
        assert_int_equal(port, cases[i].port);
    }
    static const struct {
        const char *text;
        int r, port;
    } to_listen[] = {
        { "0.0.0.0:0", 0, 0 },          { "[::]:7700", 0, 7700 },           { "host:0", 0, 0 },
        { ":0", ADDRESS_MALFORMED, 0 }, { "*:7700", ADDRESS_MALFORMED, 0 }, { "host:70000", ADDRESS_MALFORMED, 0 },
        { "", ADDRESS_MALFORMED, 0 },   { "7700", ADDRESS_MALFORMED, 0 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(to_listen); i++) {
        char there[ADDRESS_HOST_BYTES];
        uint16_t at = 0;
        assert_int_equal(address_parse_listen(to_listen[i].text, there, &at), to_listen[i].r);
        assert_int_equal(at, to_listen[i].port);
    }
    char long_host[ADDRESS_HOST_BYTES + 10], host[ADDRESS_HOST_BYTES];
    uint16_t port;
    memset(long_host, 'a', sizeof long_host);
    memcpy(long_host + ADDRESS_HOST_BYTES, ":80", 4);
    assert_int_equal(address_parse(long_host, host, &port), ADDRESS_MALFORMED);
    assert_int_equal(address_parse(long_host + 1, host, &port), 0);
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *host, *text; /* NULL: a name */
    } cases[] = {
        { "127.0.0.1", "127.0.0.1:80" },
        { "::1", "[::1]:80" },
        { "::ffff:10.0.0.1", "10.0.0.1:80" },
        { "fe80::1%lo", "[fe80::1%lo]:80" },
        { "localhost", NULL },
        { "1.2.3", NULL },
        { "1.2.3.4.5", NULL },
        { "fe80::g", NULL },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct sockaddr_storage address;
        char text[ADDRESS_TEXT_BYTES];
        assert_int_equal(address_numeric(cases[i].host, 80, &address), cases[i].text ? 0 : ADDRESS_IS_NAME);
        if (!cases[i].text)
            continue;
        address_text((struct sockaddr *)&address, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(address_len(&address),
                         address.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse), cmocka_unit_test(test_text) };
    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
