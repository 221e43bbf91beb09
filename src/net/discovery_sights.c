/* What discovery knows about others: instances as seen on each interface and protocol, joined by client ID, however often it is seen.
 * Not here: who sees them (discovery_browse.c, discovery_system.c). Everything was said by strangers: bounded, checked, and only ever a hint.
 * On the loop thread. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/rng.h"
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

#define RANK_LAST 4u

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
    return IN6_IS_ADDR_LINKLOCAL(a) ? RANK_LAST : 3;
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
    if (rank == RANK_LAST)
        v6.sin6_scope_id = (uint32_t)interface;
    address_text((struct sockaddr *)&v6, out);
    return rank;
}

/* --- One client, however often it is seen --- */

static bool is_seen_at(const struct discovery *d, const struct id *client, const char *address)
{
    for (const struct discovery_sight *s = d->sights; s; s = s->next) {
        if (s->resolved && id_equal(s->client.bytes, client->bytes) && strcmp(s->address, address) == 0)
            return true;
    }
    return false;
}

static void report(struct discovery *d, const struct id *client)
{
    struct id copy = *client;
    if (!d->stopping)
        d->callbacks.on_changed(&copy, d->ctx);
}

void discovery_unresolved(struct discovery_sight *s)
{
    if (!s->resolved)
        return;
    s->resolved = false;
    if (!is_seen_at(s->owner, &s->client, s->address))
        report(s->owner, &s->client);
}

/* Of those that claim to be one client, no more than DISCOVERY_ONE_MAX: which of them stay is left to chance, for nobody knows which one is right. */
static bool leave_one_out(struct discovery_sight *one)
{
    struct discovery *d = one->owner;
    unsigned count = 0;
    uint32_t chance;
    for (const struct discovery_sight *s = d->sights; s; s = s->next)
        count += s->resolved && id_equal(s->client.bytes, one->client.bytes);
    if (count <= DISCOVERY_ONE_MAX)
        return false;
    rng_fill(rng_system(), &chance, sizeof chance);
    chance %= count;
    struct discovery_sight *s = d->sights;
    while (!(s->resolved && id_equal(s->client.bytes, one->client.bytes) && chance-- == 0))
        s = s->next;
    d->crowded = true;
    bool itself = s == one;
    discovery_sight_free(s);
    return itself;
}

void discovery_resolved(struct discovery_sight *s, const AvahiAddress *a, uint16_t port, const struct id *client)
{
    struct discovery *d = s->owner;
    char address[ADDRESS_TEXT_BYTES];
    unsigned rank = a ? write_address(a, port, s->interface, address) : 0;
    if (rank == 0 || !client || id_equal(client->bytes, &d->self)) {
        discovery_unresolved(s);
        return;
    }
    if (s->resolved && id_equal(s->client.bytes, client->bytes) && strcmp(s->address, address) == 0)
        return;
    if (s->resolved && !id_equal(s->client.bytes, client->bytes))
        discovery_unresolved(s);
    bool known = is_seen_at(d, client, address);
    struct id copy = *client;
    s->resolved = true;
    s->rank = rank;
    s->turn = ++d->turns;
    s->client = *client;
    memcpy(s->address, address, sizeof address);
    if (!leave_one_out(s) && !known)
        report(d, &copy);
}

static struct discovery_sight *next_in_turn(const struct discovery *d, const struct id *client,
                                            struct discovery_sight *const *before, size_t count)
{
    struct discovery_sight *next = NULL;
    for (struct discovery_sight *s = d->sights; s; s = s->next) {
        bool taken = !s->resolved || !id_equal(s->client.bytes, client->bytes) || (next && next->turn <= s->turn);
        for (size_t i = 0; !taken && i < count; i++)
            taken = strcmp(before[i]->address, s->address) == 0;
        if (!taken)
            next = s;
    }
    return next;
}

static void take_turn_of(struct discovery *d, const struct discovery_sight *one)
{
    uint64_t turn = ++d->turns;
    for (struct discovery_sight *s = d->sights; s; s = s->next) {
        if (s->resolved && id_equal(s->client.bytes, one->client.bytes) && strcmp(s->address, one->address) == 0)
            s->turn = turn;
    }
}

size_t discovery_addresses(struct discovery *d, const struct id *client, bool take_turn, char out[][ADDRESS_TEXT_BYTES],
                           size_t cap)
{
    struct discovery_sight *found[DISCOVERY_TURN_MAX], *s;
    size_t count = 0, written = 0;
    while (count < cap && count < DISCOVERY_TURN_MAX && (s = next_in_turn(d, client, found, count)) != NULL)
        found[count++] = s;
    for (size_t i = 0; take_turn && i < count; i++)
        take_turn_of(d, found[i]);
    for (unsigned rank = 1; rank <= RANK_LAST; rank++) {
        for (size_t i = 0; i < count; i++) {
            if (found[i]->rank == rank)
                memcpy(out[written++], found[i]->address, ADDRESS_TEXT_BYTES);
        }
    }
    return written;
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

/* Who claims to be nobody that is wanted, or has not said yet who he is; when there are none, anybody. Which of them, chance says: whoever announces many
 * mostly makes room for himself. */
static void make_room(struct discovery *d)
{
    struct discovery_sight *strangers[DISCOVERY_SIGHTS_MAX], *all[DISCOVERY_SIGHTS_MAX];
    unsigned stranger_count = 0, count = 0;
    uint32_t chance;
    for (struct discovery_sight *s = d->sights; s && count < DISCOVERY_SIGHTS_MAX; s = s->next) {
        all[count++] = s;
        if (!s->resolved || (d->callbacks.is_wanted && !d->callbacks.is_wanted(&s->client, d->ctx)))
            strangers[stranger_count++] = s;
    }
    rng_fill(rng_system(), &chance, sizeof chance);
    d->crowded = true;
    discovery_sight_free(stranger_count > 0 ? strangers[chance % stranger_count] : all[chance % count]);
}

struct discovery_sight *discovery_sight_new(struct discovery *d, AvahiIfIndex interface, AvahiProtocol protocol,
                                            const char *name, const char *domain)
{
    struct discovery_sight *s;
    if (*place_of(d, interface, protocol, name, domain))
        return NULL;
    s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    if (d->sight_count >= DISCOVERY_SIGHTS_MAX)
        make_room(d);
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
    struct discovery_sight **at = &d->sights;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    d->sight_count--;
    if (s->resolver)
        avahi_s_service_resolver_free(steal(&s->resolver));
    if (s->path[0] != '\0')
        discovery_system_forget(d, s->path);
    if (s->resolved && !is_seen_at(d, &s->client, s->address))
        report(d, &s->client);
    free(s);
}
