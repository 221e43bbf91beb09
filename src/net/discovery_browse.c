/* What discovery hears about others: instances on each interface and protocol, resolved, and joined by client ID.
 * Everything here was said by strangers: bounded, checked, and only ever a hint. On the loop thread.
 *
 * Callbacks, in the order in which they fire: on_browsed, on_resolved, discovery_resolve_again. */
#define LOG_MODULE "discovery"
#include <arpa/inet.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "base/util.h"
#include "net/discovery_internal.h"

#define RESOLVE_AGAIN_MS 2000

/* --- Addresses --- */

static bool is_loopback(AvahiIfIndex interface)
{
    struct ifreq request = { 0 };
    int fd CLEANUP(closep) = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && if_indextoname((unsigned)interface, request.ifr_name) && ioctl(fd, SIOCGIFFLAGS, &request) == 0 &&
           (request.ifr_flags & IFF_LOOPBACK);
}

/* Lower is better. 0: not an address that this interface can lead to. A stranger does not make us connect to ourselves. */
static unsigned rank_v4(uint32_t address, bool loopback)
{
    uint32_t host = ntohl(address);
    if (host >> 24 == 127)
        return loopback ? 1 : 0;
    if (host == 0 || host == UINT32_MAX || IN_MULTICAST(host))
        return 0;
    return 2;
}

static unsigned rank_v6(const struct in6_addr *a)
{
    if (IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_MULTICAST(a) || IN6_IS_ADDR_V4MAPPED(a))
        return 0;
    return IN6_IS_ADDR_LINKLOCAL(a) ? 4 : 3;
}

static unsigned write_address(const AvahiAddress *a, uint16_t port, AvahiIfIndex interface,
                              char out[ADDRESS_TEXT_BYTES])
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    unsigned rank;
    if (port == 0)
        return 0;
    if (a->proto == AVAHI_PROTO_INET) {
        v4.sin_addr.s_addr = a->data.ipv4.address;
        address_text((struct sockaddr *)&v4, out);
        return rank_v4(v4.sin_addr.s_addr, is_loopback(interface));
    }
    memcpy(&v6.sin6_addr, a->data.ipv6.address, 16);
    rank = rank_v6(&v6.sin6_addr);
    if (rank == 4)
        v6.sin6_scope_id = (uint32_t)interface;
    address_text((struct sockaddr *)&v6, out);
    return rank;
}

/* --- One client, however often it is seen --- */

static const struct discovery_sight *best_of(const struct discovery *d, const struct id *client)
{
    const struct discovery_sight *best = NULL;
    for (const struct discovery_sight *s = d->sights; s; s = s->next) {
        if (s->resolved && id_equal(&s->client, client) && (!best || s->rank < best->rank))
            best = s;
    }
    return best;
}

/* before: the address that was the best, or "" when there was none. */
static void report(struct discovery *d, const struct id *client, const char *before)
{
    const struct discovery_sight *best = best_of(d, client);
    struct id copy = *client;
    if (d->stopping)
        return;
    if (best && strcmp(best->address, before) != 0)
        d->callbacks.on_found(&copy, best->address, d->ctx);
    else if (!best && *before)
        d->callbacks.on_lost(&copy, d->ctx);
}

static void remember_best(const struct discovery *d, const struct id *client, char before[ADDRESS_TEXT_BYTES])
{
    const struct discovery_sight *best = best_of(d, client);
    snprintf(before, ADDRESS_TEXT_BYTES, "%s", best ? best->address : "");
}

static void unresolve(struct discovery_sight *s)
{
    char before[ADDRESS_TEXT_BYTES];
    struct id client = s->client;
    if (!s->resolved)
        return;
    remember_best(s->owner, &client, before);
    s->resolved = false;
    report(s->owner, &client, before);
}

/* --- Resolving --- */

static int read_client(AvahiStringList *txt, struct id *client)
{
    AvahiStringList *found = avahi_string_list_find(txt, "id");
    char *key = NULL, *value = NULL;
    int r = ID_MALFORMED;
    if (found && avahi_string_list_get_pair(found, &key, &value, NULL) == 0) {
        if (value)
            r = id_parse(value, client);
        avahi_free(key);
        avahi_free(value);
    }
    return r;
}

static void resolved(struct discovery_sight *s, const AvahiAddress *a, uint16_t port, AvahiStringList *txt)
{
    struct discovery *d = s->owner;
    char before[ADDRESS_TEXT_BYTES], address[ADDRESS_TEXT_BYTES];
    struct id client;
    unsigned rank = a ? write_address(a, port, s->interface, address) : 0;
    if (rank == 0 || read_client(txt, &client) != 0 || id_equal(&client, &d->self)) {
        unresolve(s);
        return;
    }
    if (s->resolved && !id_equal(&s->client, &client))
        unresolve(s);
    remember_best(d, &client, before);
    s->resolved = true;
    s->rank = rank;
    s->client = client;
    memcpy(s->address, address, sizeof address);
    report(d, &client, before);
}

static void on_resolved(AvahiSServiceResolver *r, AvahiIfIndex interface, AvahiProtocol protocol,
                        AvahiResolverEvent event, const char *name, const char *type, const char *domain,
                        const char *host_name, const AvahiAddress *a, uint16_t port, AvahiStringList *txt,
                        AvahiLookupResultFlags flags, void *ctx)
{
    struct discovery_sight *s = ctx;
    struct discovery *d = s->owner;
    (void)r, (void)interface, (void)protocol, (void)name, (void)type, (void)domain, (void)host_name, (void)flags;
    if (event == AVAHI_RESOLVER_FOUND) {
        resolved(s, a, port, txt);
        return;
    }
    avahi_s_service_resolver_free(steal(&s->resolver));
    if (!uv_is_active((uv_handle_t *)&d->retry))
        uv_timer_start(&d->retry, discovery_resolve_again, RESOLVE_AGAIN_MS, 0);
    unresolve(s);
}

/* Over IPv4 for an IPv4 address, over IPv6 for the other: what is seen is what can be reached. */
static void resolve(struct discovery_sight *s)
{
    s->resolver = avahi_s_service_resolver_new(s->owner->server, s->interface, s->protocol, s->name, DISCOVERY_SERVICE,
                                               s->domain, s->protocol, 0, on_resolved, s);
    if (!s->resolver)
        log_debug("not resolved: %s", avahi_strerror(avahi_server_errno(s->owner->server)));
}

void discovery_resolve_again(uv_timer_t *timer)
{
    struct discovery *d = timer->data;
    for (struct discovery_sight *s = d->sights; s; s = s->next) {
        if (!s->resolver)
            resolve(s);
    }
}

/* --- Browsing --- */

static struct discovery_sight **find_sight(struct discovery *d, AvahiIfIndex interface, AvahiProtocol protocol,
                                           const char *name, const char *domain)
{
    struct discovery_sight **at = &d->sights;
    while (*at && ((*at)->interface != interface || (*at)->protocol != protocol || strcmp((*at)->name, name) != 0 ||
                   strcmp((*at)->domain, domain) != 0))
        at = &(*at)->next;
    return at;
}

static void appeared(struct discovery *d, AvahiIfIndex interface, AvahiProtocol protocol, const char *name,
                     const char *domain)
{
    struct discovery_sight *s;
    if (*find_sight(d, interface, protocol, name, domain) || d->sight_count >= DISCOVERY_SIGHTS_MAX)
        return;
    s = calloc(1, sizeof *s);
    if (!s)
        return;
    s->owner = d;
    s->interface = interface;
    s->protocol = protocol;
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->domain, sizeof s->domain, "%s", domain);
    s->next = d->sights;
    d->sights = s;
    d->sight_count++;
    resolve(s);
}

static void disappeared(struct discovery *d, struct discovery_sight **at)
{
    struct discovery_sight *s = *at;
    char before[ADDRESS_TEXT_BYTES];
    struct id client = s->client;
    bool was_resolved = s->resolved;
    if (was_resolved)
        remember_best(d, &client, before);
    *at = s->next;
    d->sight_count--;
    if (s->resolver)
        avahi_s_service_resolver_free(s->resolver);
    free(s);
    if (was_resolved)
        report(d, &client, before);
}

static void on_browsed(AvahiSServiceBrowser *b, AvahiIfIndex interface, AvahiProtocol protocol, AvahiBrowserEvent event,
                       const char *name, const char *type, const char *domain, AvahiLookupResultFlags flags, void *ctx)
{
    struct discovery *d = ctx;
    struct discovery_sight **at;
    (void)b, (void)type, (void)flags;
    switch (event) {
    case AVAHI_BROWSER_NEW:
        appeared(d, interface, protocol, name, domain);
        break;
    case AVAHI_BROWSER_REMOVE:
        at = find_sight(d, interface, protocol, name, domain);
        if (*at)
            disappeared(d, at);
        break;
    case AVAHI_BROWSER_FAILURE:
        discovery_restart(d, 1000);
        break;
    case AVAHI_BROWSER_CACHE_EXHAUSTED:
    case AVAHI_BROWSER_ALL_FOR_NOW:
        break;
    }
}

int discovery_browse(struct discovery *d)
{
    d->browser = avahi_s_service_browser_new(d->server, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, DISCOVERY_SERVICE, "local",
                                             0, on_browsed, d);
    return d->browser ? 0 : avahi_server_errno(d->server);
}

void discovery_unbrowse(struct discovery *d)
{
    uv_timer_stop(&d->retry);
    if (d->browser)
        avahi_s_service_browser_free(steal(&d->browser));
    while (d->sights)
        disappeared(d, &d->sights);
}
