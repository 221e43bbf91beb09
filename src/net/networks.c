/* A mark over what getifaddrs() says: FNV-1a, each address by itself, so that their order does not count. */
#include "net/networks.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static uint64_t hash(uint64_t so_far, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        so_far = (so_far ^ at[i]) * UINT64_C(1099511628211);
    return so_far;
}

static uint64_t mark_of(const struct ifaddrs *a)
{
    uint64_t mark = hash(UINT64_C(14695981039346656037), a->ifa_name, strlen(a->ifa_name));
    const struct sockaddr *s = a->ifa_addr;
    if (s->sa_family == AF_INET)
        return hash(mark, &((const struct sockaddr_in *)(const void *)s)->sin_addr, sizeof(struct in_addr));
    return hash(mark, &((const struct sockaddr_in6 *)(const void *)s)->sin6_addr, sizeof(struct in6_addr));
}

uint64_t networks_mark(void)
{
    struct ifaddrs *all;
    uint64_t mark = 1;
    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
        bool is_address =
            a->ifa_addr != NULL && (a->ifa_addr->sa_family == AF_INET || a->ifa_addr->sa_family == AF_INET6);
        if (is_address && (a->ifa_flags & IFF_RUNNING) != 0)
            mark += mark_of(a);
    }
    freeifaddrs(all);
    return mark;
}
