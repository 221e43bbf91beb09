/* Addresses from records, the command line and other devices; places where bodies lie.
 * Promises: what is read has a host within its bound, of harmless characters, and a port; a numeric one written as text reads
 * back to the same address; an address to listen on differs by its port 0 alone; a place is one URL, or one server, that says nothing else.
 * Input: text, or with a first byte 0 the bytes of a socket address. */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "net/address.h"
#include "protocol/place.h"

static void check_text(const struct sockaddr *sa)
{
    char text[ADDRESS_TEXT_BYTES], host[ADDRESS_HOST_BYTES], again[ADDRESS_TEXT_BYTES];
    uint16_t port;
    address_text(sa, text);
    CHECK(strlen(text) < sizeof(text));
    if (address_parse(text, host, &port) != 0) {
        CHECK(strcmp(text, "unix") == 0 || strstr(text, ":0")); /* port 0 is for listeners only */
        return;
    }
    struct sockaddr_storage back;
    CHECK(address_numeric(host, port, &back) == 0);
    address_text((const struct sockaddr *)&back, again);
    CHECK(strcmp(text, again) == 0);
}

static void parse(const char *text)
{
    char host[ADDRESS_HOST_BYTES];
    uint16_t port = 0;
    int r = address_parse(text, host, &port);
    CHECK(r == 0 || r == ADDRESS_MALFORMED);
    if (r)
        return;
    size_t len = strlen(host);
    CHECK(port > 0 && len > 0 && len < sizeof(host));
    CHECK(strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%") == len);
    CHECK(strstr(text, host));
    struct sockaddr_storage numeric;
    r = address_numeric(host, port, &numeric);
    CHECK(r == 0 || r == ADDRESS_IS_NAME);
    if (r == 0) {
        CHECK(address_len(&numeric) ==
              (numeric.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)));
        check_text((const struct sockaddr *)&numeric);
    }
}

static void parse_listen(const char *text)
{
    char host[ADDRESS_HOST_BYTES], same[ADDRESS_HOST_BYTES];
    uint16_t port = 0, plain = 0;
    int r = address_parse_listen(text, host, &port);
    CHECK(r == 0 || r == ADDRESS_MALFORMED);
    if (address_parse(text, same, &plain) == 0)
        CHECK(r == 0 && port == plain && strcmp(host, same) == 0);
    else if (r == 0)
        CHECK(port == 0 && strcmp(text + strlen(text) - 2, ":0") == 0);
}

static void parse_place(const char *text)
{
    static const struct id content = { { 1 } };
    struct place p;
    char host[ADDRESS_HOST_BYTES], url[PLACE_URL_BYTES], server[ID_TEXT_BYTES];
    uint16_t port;
    int r = place_parse(text, &p);
    CHECK(r == 0 || r == PLACE_MALFORMED);
    if (r)
        return;
    size_t len = strlen(p.text);
    CHECK(len > 0 && len <= PLACE_TEXT_MAX && !strpbrk(text, "?@ \t\r\n\x1b\x7f"));
    for (size_t i = 0; i < len; i++)
        CHECK(p.text[i] > 0x20 && p.text[i] < 0x7f);
    if (p.kind == PLACE_SERVER) {
        id_text(&p.server, server);
        CHECK(strstr(text, server) && address_parse(p.address, host, &port) == 0);
        return;
    }
    CHECK(p.kind == PLACE_HTTP && !strchr(text, '#'));
    place_body_url(&p, &content, url);
    CHECK(strncmp(url, "http", 4) == 0 && strlen(url) > 5 && strcmp(url + strlen(url) - 5, ".body") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    if (size > 0 && data[0] == 0) {
        input_u8(&in);
        struct sockaddr_storage any = { 0 };
        struct slice bytes = input_bytes(&in, sizeof(any));
        memcpy(&any, bytes.data ? bytes.data : data, bytes.len);
        check_text((const struct sockaddr *)&any);
        return 0;
    }
    char *text CLEANUP(freep) = malloc(size + 1);
    CHECK(text);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    parse(text);
    parse_listen(text);
    parse_place(text);
    return 0;
}
