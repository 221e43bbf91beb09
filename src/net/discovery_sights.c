/* What discovery knows about others: instances as seen on each interface and protocol, joined by client ID, however often it is seen.
 * Not here: who sees them (discovery_browse.c, discovery_system.c). Everything was said by strangers: bounded, checked, and only ever a hint.
 * On the loop thread. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "net/discovery_internal.h"

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

void discovery_unresolved(struct discovery_sight *s)
{
    char before[ADDRESS_TEXT_BYTES];
    struct id client = s->client;
    if (!s->resolved)
        return;
    remember_best(s->owner, &client, before);
    s->resolved = false;
    report(s->owner, &client, before);
}

void discovery_resolved(struct discovery_sight *s, const AvahiAddress *a, uint16_t port, const struct id *client)
{
    struct discovery *d = s->owner;
    char before[ADDRESS_TEXT_BYTES], address[ADDRESS_TEXT_BYTES];
    unsigned rank = a ? write_address(a, port, s->interface, address) : 0;
    if (rank == 0 || !client || id_equal(client->bytes, &d->self)) {
        discovery_unresolved(s);
        return;
    }
    if (s->resolved && !id_equal(&s->client, client))
        discovery_unresolved(s);
    remember_best(d, client, before);
    s->resolved = true;
    s->rank = rank;
    s->client = *client;
    memcpy(s->address, address, sizeof address);
    report(d, client, before);
}

/* --- The table --- */

static struct discovery_sight **place_of(struct discovery *d, AvahiIfIndex interface, AvahiProtocol protocol,
                                         const char *name, const char *domain)
{
    struct discovery_sight **at = &d->sights;
    while (*at && ((*at)->interface != interface || (*at)->protocol != protocol || strcmp((*at)->name, name) != 0 ||
                   strcmp((*at)->domain, domain) != 0))
        at = &(*at)->next;
    return at;
}

struct discovery_sight *discovery_sight_find(struct discovery *d, AvahiIfIndex interface, AvahiProtocol protocol,
                                             const char *name, const char *domain)
{
    return *place_of(d, interface, protocol, name, domain);
}

struct discovery_sight *discovery_sight_new(struct discovery *d, AvahiIfIndex interface, AvahiProtocol protocol,
                                            const char *name, const char *domain)
{
    struct discovery_sight *s;
    if (*place_of(d, interface, protocol, name, domain) || d->sight_count >= DISCOVERY_SIGHTS_MAX)
        return NULL;
    s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->owner = d;
    s->interface = interface;
    s->protocol = protocol;
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->domain, sizeof s->domain, "%s", domain);
    s->next = d->sights;
    d->sights = s;
    d->sight_count++;
    return s;
}

void discovery_sight_free(struct discovery_sight *s)
{
    struct discovery *d = s->owner;
    char before[ADDRESS_TEXT_BYTES];
    struct id client = s->client;
    bool was_resolved = s->resolved;
    struct discovery_sight **at = &d->sights;
    while (*at != s)
        at = &(*at)->next;
    if (was_resolved)
        remember_best(d, &client, before);
    *at = s->next;
    d->sight_count--;
    free(s);
    if (was_resolved)
        report(d, &client, before);
}
