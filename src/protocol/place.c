/* Places as text. */
#include "protocol/place.h"

#include <stdio.h>
#include <string.h>

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~' || strchr("\"<>\\^`{|}", *text) != NULL)
            return false;
    return true;
}

static bool is_port(const char *text, size_t len)
{
    unsigned long v = 0;
    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (unsigned long)(text[i] - '0');
    }
    return v >= 1 && v <= 65535;
}

/* What an address is made of (net/address.c): nothing else could be dialled. */
static bool is_host(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%", text[i]) == NULL)
            return false;
    return len > 0;
}

/* HOST:PORT, HOST (unless a port must be there), [V6]:PORT. */
static bool is_authority(const char *text, size_t len, bool port_needed)
{
    bool bracketed = len > 0 && text[0] == '[';
    const char *end = text + len, *host = bracketed ? text + 1 : text;
    const char *host_end = memchr(host, bracketed ? ']' : ':', (size_t)(end - host));
    if (host_end == NULL && bracketed)
        return false;
    if (host_end == NULL)
        host_end = end;
    const char *port = bracketed ? host_end + 1 : host_end; /* its colon, unless this is the end */
    if (!is_host(host, (size_t)(host_end - host)))
        return false;
    return port == end ? !port_needed : *port == ':' && is_port(port + 1, (size_t)(end - port - 1));
}

static int parse_http(const char *rest, struct place *out)
{
    out->kind = PLACE_HTTP;
    if (strpbrk(rest, "@?#") != NULL)
        return PLACE_MALFORMED;
    return is_authority(rest, strcspn(rest, "/"), false) ? 0 : PLACE_MALFORMED;
}

static int parse_server(const char *rest, struct place *out)
{
    size_t len = strcspn(rest, "#");
    out->kind = PLACE_SERVER;
    if (rest[len] != '#' || len >= sizeof(out->address) || memchr(rest, '/', len) != NULL ||
        memchr(rest, '@', len) != NULL || !is_authority(rest, len, true) || id_parse(rest + len + 1, &out->server) != 0)
        return PLACE_MALFORMED;
    memcpy(out->address, rest, len);
    return 0;
}

int place_parse(const char *text, struct place *out)
{
    static const struct {
        const char *scheme;
        int (*parse)(const char *rest, struct place *out);
    } kinds[] = { { "http://", parse_http }, { "https://", parse_http }, { "hearth://", parse_server } };
    size_t len = strlen(text);
    if (len > PLACE_TEXT_MAX || !is_printable(text))
        return PLACE_MALFORMED;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t skip = strlen(kinds[i].scheme);
        struct place p = { 0 };
        if (strncmp(text, kinds[i].scheme, skip) != 0)
            continue;
        memcpy(p.text, text, len + 1);
        int r = kinds[i].parse(text + skip, &p);
        if (r == 0)
            *out = p;
        return r;
    }
    return PLACE_MALFORMED;
}

void place_body_url(const struct place *p, const struct id *content, char out[PLACE_URL_BYTES])
{
    char name[ID_TEXT_BYTES];
    size_t len = strlen(p->text);
    while (len > 0 && p->text[len - 1] == '/')
        len--;
    id_text(content->bytes, name);
    snprintf(out, PLACE_URL_BYTES, "%.*s/%s.body", (int)len, p->text, name);
}
