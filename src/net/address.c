/* Addresses and their text. Not here: resolving (dial.c). Any thread. */
#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_port(const char *text, uint16_t *port)
{
    unsigned long value = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return ADDRESS_MALFORMED;
    value = strtoul(text, NULL, 10);
    if (value == 0 || value > UINT16_MAX)
        return ADDRESS_MALFORMED;
    *port = (uint16_t)value;
    return 0;
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(".-_:%", c));
}

int address_parse(const char *text, char host[ADDRESS_HOST_BYTES], uint16_t *port)
{
    const char *start = text, *end, *colon;
    uint16_t value;
    if (*text == '[') {
        start = text + 1;
        end = strchr(start, ']');
        if (!end || end[1] != ':')
            return ADDRESS_MALFORMED;
        colon = end + 1;
    } else {
        end = colon = strrchr(text, ':');
        if (!colon || memchr(text, ':', (size_t)(colon - text)))
            return ADDRESS_MALFORMED; /* a bare IPv6 address would be ambiguous */
    }
    size_t len = (size_t)(end - start);
    if (len == 0 || len >= ADDRESS_HOST_BYTES || parse_port(colon + 1, &value) != 0)
        return ADDRESS_MALFORMED;
    for (size_t i = 0; i < len; i++) {
        if (!is_host_char(start[i]))
            return ADDRESS_MALFORMED;
    }
    memcpy(host, start, len);
    host[len] = '\0';
    *port = value;
    return 0;
}

int address_parse_listen(const char *text, char host[ADDRESS_HOST_BYTES], uint16_t *port)
{
    char some[ADDRESS_TEXT_BYTES];
    size_t len = strlen(text);
    if (len < 2 || len >= sizeof(some) || strcmp(text + len - 2, ":0") != 0)
        return address_parse(text, host, port);
    memcpy(some, text, len + 1);
    some[len - 1] = '1';
    if (address_parse(some, host, port) != 0)
        return ADDRESS_MALFORMED;
    *port = 0;
    return 0;
}

int address_numeric(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    char bare[ADDRESS_HOST_BYTES];
    const char *scope = strchr(host, '%');

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
        return 0;
    }
    snprintf(bare, sizeof bare, "%.*s", scope ? (int)(scope - host) : (int)strlen(host), host);
    if (inet_pton(AF_INET6, bare, &v6.sin6_addr) != 1)
        return ADDRESS_IS_NAME;
    if (scope) {
        v6.sin6_scope_id = if_nametoindex(scope + 1);
        if (v6.sin6_scope_id == 0)
            v6.sin6_scope_id = (uint32_t)strtoul(scope + 1, NULL, 10);
    }
    memcpy(out, &v6, sizeof v6);
    return 0;
}

void address_text(const struct sockaddr *sa, char out[ADDRESS_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "", scope[IF_NAMESIZE];
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)sa;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT_BYTES, "%s:%u", host, ntohs(v4->sin_port));
        return;
    }
    if (sa->sa_family != AF_INET6) {
        snprintf(out, ADDRESS_TEXT_BYTES, "unix");
        return;
    }
    const struct sockaddr_in6 *v6 = (const void *)sa;
    unsigned port = ntohs(v6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], host, sizeof host);
        snprintf(out, ADDRESS_TEXT_BYTES, "%s:%u", host, port);
        return;
    }
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    if (v6->sin6_scope_id && if_indextoname(v6->sin6_scope_id, scope))
        snprintf(out, ADDRESS_TEXT_BYTES, "[%s%%%s]:%u", host, scope, port);
    else
        snprintf(out, ADDRESS_TEXT_BYTES, "[%s]:%u", host, port);
}

socklen_t address_len(const struct sockaddr_storage *sa)
{
    return sa->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}
