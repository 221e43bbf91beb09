/* What discovery says about this device: one service on every interface, and on each interface the addresses that lead here.
 * Every record lives for DISCOVERY_TTL_S only. On the loop thread.
 *
 *   _hearth._tcp.local            PTR  hearth-SHORT._hearth._tcp.local      shared
 *   hearth-SHORT._hearth._tcp...  SRV  0 0 port hearth-SHORT.local          ours
 *   hearth-SHORT._hearth._tcp...  TXT  id=<client ID>, v=1                  ours
 *   hearth-SHORT.local            A, AAAA                                   ours, per interface
 *
 * Callbacks, in the order in which they fire: on_group (probing, then established, or a collision), on_news, discovery_settled. */
#define LOG_MODULE "discovery"
#include <avahi-common/alternative.h>
#include <avahi-common/domain.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "net/discovery_internal.h"

#define SETTLE_MS 100
#define PROBE_LOOK_MS 1000
#define PROBE_LOOKS 4 /* probing takes about one second */

/* --- Records --- */

static int add_record(struct discovery *d, AvahiSEntryGroup *group, AvahiIfIndex interface, AvahiPublishFlags flags,
                      AvahiRecord *record)
{
    if (!record)
        return AVAHI_ERR_NO_MEMORY;
    int r = avahi_server_add(d->server, group, interface, AVAHI_PROTO_UNSPEC, flags, record);
    avahi_record_unref(record);
    return r;
}

AvahiRecord *discovery_record_pointer(const char *name, const char *to)
{
    AvahiRecord *r = avahi_record_new_full(name, AVAHI_DNS_CLASS_IN, AVAHI_DNS_TYPE_PTR, DISCOVERY_TTL_S);
    if (r)
        r->data.ptr.name = avahi_strdup(to);
    return r;
}

AvahiRecord *discovery_record_place(const char *name, const char *host, uint16_t port)
{
    AvahiRecord *r = avahi_record_new_full(name, AVAHI_DNS_CLASS_IN, AVAHI_DNS_TYPE_SRV, DISCOVERY_TTL_S);
    if (!r)
        return NULL;
    r->data.srv.priority = r->data.srv.weight = 0;
    r->data.srv.port = port;
    r->data.srv.name = avahi_strdup(host);
    return r;
}

AvahiRecord *discovery_record_text(const char *name, const struct id *self)
{
    char text[3 + ID_TEXT_BYTES] = "id=";
    AvahiRecord *r = avahi_record_new_full(name, AVAHI_DNS_CLASS_IN, AVAHI_DNS_TYPE_TXT, DISCOVERY_TTL_S);
    if (!r)
        return NULL;
    id_text(self, text + 3);
    r->data.txt.string_list = avahi_string_list_new(text, "v=1", NULL);
    return r;
}

static int add_shared(struct discovery *d, AvahiRecord *r) { return add_record(d, d->service, AVAHI_IF_UNSPEC, 0, r); }

static int add_own(struct discovery *d, AvahiRecord *r)
{
    return add_record(d, d->service, AVAHI_IF_UNSPEC, AVAHI_PUBLISH_UNIQUE, r);
}

static int add_service(struct discovery *d)
{
    char name[AVAHI_DOMAIN_NAME_MAX];
    int r = avahi_service_name_join(name, sizeof name, d->instance, DISCOVERY_SERVICE, DISCOVERY_DOMAIN);
    if (r == 0)
        r = add_shared(d, discovery_record_pointer(DISCOVERY_SERVICE "." DISCOVERY_DOMAIN, name));
    if (r == 0)
        r = add_own(d, discovery_record_place(name, avahi_server_get_host_name_fqdn(d->server), d->port));
    if (r == 0)
        r = add_own(d, discovery_record_text(name, &d->self));
    if (r == 0) /* so that general browsers list the type */
        r = add_shared(
            d, discovery_record_pointer(DISCOVERY_TYPES "." DISCOVERY_DOMAIN, DISCOVERY_SERVICE "." DISCOVERY_DOMAIN));
    return r == 0 ? avahi_s_entry_group_commit(d->service) : r;
}

/* --- Collisions: names are labels, another one will do --- */

static void rename_service(struct discovery *d)
{
    char *other = avahi_alternative_service_name(d->instance);
    if (!other)
        return;
    snprintf(d->instance, sizeof d->instance, "%s", other);
    avahi_free(other);
    log_info("the name of this device was taken, now \"%s\"", d->instance);
    avahi_s_entry_group_reset(d->service);
    if (add_service(d) < 0)
        discovery_restart(d, 1000);
}

static void on_group(AvahiServer *server, AvahiSEntryGroup *group, AvahiEntryGroupState state, void *ctx)
{
    struct discovery *d = ctx;
    (void)server;
    if (state == AVAHI_ENTRY_GROUP_FAILURE)
        discovery_restart(d, 1000);
    if (state != AVAHI_ENTRY_GROUP_COLLISION)
        return;
    if (group == d->service)
        rename_service(d);
    else
        discovery_rename_host(d);
}

/* --- Addresses --- */

static bool is_publishable(const struct ifaddrs *a)
{
    unsigned need = IFF_UP, loopback = a->ifa_flags & IFF_LOOPBACK;
    if (!a->ifa_addr || (a->ifa_flags & need) != need || (a->ifa_flags & IFF_POINTOPOINT))
        return false;
    if (a->ifa_addr->sa_family == AF_INET)
        return loopback || (a->ifa_flags & IFF_MULTICAST);
    /* IPv6 on loopback would need a multicast route that hosts do not have */
    return a->ifa_addr->sa_family == AF_INET6 && !loopback && (a->ifa_flags & IFF_MULTICAST);
}

static void read_address(const struct sockaddr *from, AvahiAddress *to)
{
    memset(to, 0, sizeof *to);
    if (from->sa_family == AF_INET) {
        to->proto = AVAHI_PROTO_INET;
        to->data.ipv4.address = ((const struct sockaddr_in *)(const void *)from)->sin_addr.s_addr;
    } else {
        to->proto = AVAHI_PROTO_INET6;
        memcpy(to->data.ipv6.address, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    }
}

static struct discovery_local *find_local(struct discovery *d, AvahiIfIndex interface, const AvahiAddress *address)
{
    for (unsigned i = 0; i < d->local_count; i++) {
        if (d->locals[i].interface == interface && avahi_address_cmp(&d->locals[i].address, address) == 0)
            return &d->locals[i];
    }
    return NULL;
}

static int add_local(struct discovery *d, AvahiIfIndex interface, const AvahiAddress *address)
{
    struct discovery_local *l = &d->locals[d->local_count];
    bool v4 = address->proto == AVAHI_PROTO_INET;
    *l = (struct discovery_local){ .interface = interface, .address = *address, .wanted = true };
    l->group = avahi_s_entry_group_new(d->server, on_group, d);
    AvahiRecord *r = avahi_record_new_full(avahi_server_get_host_name_fqdn(d->server), AVAHI_DNS_CLASS_IN,
                                           v4 ? AVAHI_DNS_TYPE_A : AVAHI_DNS_TYPE_AAAA, DISCOVERY_TTL_S);
    if (!l->group || !r) {
        if (l->group)
            avahi_s_entry_group_free(l->group);
        if (r)
            avahi_record_unref(r);
        return AVAHI_ERR_NO_MEMORY;
    }
    if (v4)
        r->data.a.address = address->data.ipv4;
    else
        r->data.aaaa.address = address->data.ipv6;
    d->local_count++;
    /* Several addresses of one family on one interface are several records of one name. */
    int error = add_record(d, l->group, interface, AVAHI_PUBLISH_UNIQUE | AVAHI_PUBLISH_ALLOW_MULTIPLE, r);
    return error == 0 ? avahi_s_entry_group_commit(l->group) : error;
}

static void drop_unwanted(struct discovery *d)
{
    for (unsigned i = 0; i < d->local_count;) {
        if (d->locals[i].wanted) {
            i++;
            continue;
        }
        avahi_s_entry_group_free(d->locals[i].group);
        d->locals[i] = d->locals[--d->local_count];
    }
}

/* Brings what is published in line with what the host has. Records that stay are not touched. */
static int follow_addresses(struct discovery *d)
{
    struct ifaddrs *all;
    int r = 0;
    if (getifaddrs(&all) != 0)
        return AVAHI_ERR_OS;
    for (unsigned i = 0; i < d->local_count; i++)
        d->locals[i].wanted = false;
    for (const struct ifaddrs *a = all; a && r == 0; a = a->ifa_next) {
        AvahiAddress address;
        if (!is_publishable(a))
            continue;
        AvahiIfIndex interface = (AvahiIfIndex)if_nametoindex(a->ifa_name);
        read_address(a->ifa_addr, &address);
        struct discovery_local *known = find_local(d, interface, &address);
        if (known)
            known->wanted = true;
        else if (interface > 0 && d->local_count < DISCOVERY_LOCALS_MAX)
            r = add_local(d, interface, &address);
    }
    freeifaddrs(all);
    if (r == 0)
        drop_unwanted(d);
    return r;
}

/* --- The kernel's news --- */

static bool is_probing(const struct discovery *d)
{
    bool probing = avahi_s_entry_group_get_state(d->service) == AVAHI_ENTRY_GROUP_REGISTERING;
    for (unsigned i = 0; i < d->local_count; i++)
        probing |= avahi_s_entry_group_get_state(d->locals[i].group) == AVAHI_ENTRY_GROUP_REGISTERING;
    return probing;
}

/* A group whose interface goes away while it is probed there waits for the answer for ever, and is announced nowhere. */
static void look_after_probing(struct discovery *d)
{
    d->looks = is_probing(d) ? d->looks + 1 : 0;
    if (d->looks > PROBE_LOOKS) {
        d->looks = 0;
        log_info("a name is not probed to its end: from the beginning");
        discovery_restart(d, 0);
    } else if (d->looks > 0) {
        uv_timer_start(&d->settle, discovery_settled, PROBE_LOOK_MS, 0);
    }
}

void discovery_settled(uv_timer_t *timer)
{
    struct discovery *d = timer->data;
    if (!d->server)
        return;
    int r = follow_addresses(d);
    if (r < 0) {
        log_warn("addresses could not be published: %s", avahi_strerror(r));
        discovery_restart(d, 1000);
    } else {
        look_after_probing(d);
    }
}

static void on_news(uv_poll_t *poll, int status, int events)
{
    struct discovery *d = poll->data;
    char waste[8192];
    (void)status;
    (void)events;
    while (recv(d->routes_fd, waste, sizeof waste, MSG_DONTWAIT) > 0) { /* that something changed is enough */
    }
    if (!uv_is_active((uv_handle_t *)&d->settle))
        uv_timer_start(&d->settle, discovery_settled, SETTLE_MS, 0);
}

static void on_routes_closed(uv_handle_t *handle)
{
    struct discovery *d = handle->data;
    close(d->routes_fd);
    discovery_forget_handle(handle);
    free(handle);
}

int discovery_routes_open(struct discovery *d)
{
    struct sockaddr_nl news = { .nl_family = AF_NETLINK,
                                .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
    int fd CLEANUP(closep) = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    uv_poll_t *poll CLEANUP(freep) = malloc(sizeof *poll);
    if (!poll)
        return -ENOMEM;
    if (fd < 0 || bind(fd, (struct sockaddr *)&news, sizeof news) != 0)
        return -errno;
    int r = uv_poll_init(d->loop, poll, fd);
    if (r != 0)
        return r;
    poll->data = d;
    d->routes_fd = fd;
    fd = -1;
    d->routes = steal(&poll);
    d->open_handles++;
    return uv_poll_start(d->routes, UV_READABLE, on_news);
}

void discovery_routes_close(struct discovery *d)
{
    if (d->routes)
        uv_close((uv_handle_t *)steal(&d->routes), on_routes_closed);
}

/* --- From discovery.c --- */

int discovery_publish(struct discovery *d)
{
    d->service = avahi_s_entry_group_new(d->server, on_group, d);
    if (!d->service)
        return AVAHI_ERR_NO_MEMORY;
    int r = follow_addresses(d);
    return r < 0 ? r : add_service(d);
}

/* The groups themselves go with the server, after its goodbye. */
void discovery_unpublish(struct discovery *d)
{
    uv_timer_stop(&d->settle);
    d->service = NULL;
    d->local_count = 0;
    d->looks = 0;
}
