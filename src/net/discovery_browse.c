/* What our own responder hears about others: instances on each interface and protocol, resolved. On the loop thread.
 *
 * Callbacks, in the order in which they fire: on_browsed, on_resolved, discovery_resolve_again. */
#define LOG_MODULE "discovery"
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>

#include "base/log.h"
#include "base/util.h"
#include "net/discovery_internal.h"

#define RESOLVE_AGAIN_MS 2000

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

static void on_resolved(AvahiSServiceResolver *r, AvahiIfIndex interface, AvahiProtocol protocol,
                        AvahiResolverEvent event, const char *name, const char *type, const char *domain,
                        const char *host_name, const AvahiAddress *a, uint16_t port, AvahiStringList *txt,
                        AvahiLookupResultFlags flags, void *ctx)
{
    struct discovery_sight *s = ctx;
    struct discovery *d = s->owner;
    (void)r, (void)interface, (void)protocol, (void)name, (void)type, (void)domain, (void)host_name, (void)flags;
    if (event == AVAHI_RESOLVER_FOUND) {
        struct id client;
        discovery_resolved(s, a, port, read_client(txt, &client) == 0 ? &client : NULL);
        return;
    }
    avahi_s_service_resolver_free(steal(&s->resolver));
    if (!uv_is_active((uv_handle_t *)&d->retry))
        uv_timer_start(&d->retry, discovery_resolve_again, RESOLVE_AGAIN_MS, 0);
    discovery_unresolved(s);
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

static void on_browsed(AvahiSServiceBrowser *b, AvahiIfIndex interface, AvahiProtocol protocol, AvahiBrowserEvent event,
                       const char *name, const char *type, const char *domain, AvahiLookupResultFlags flags, void *ctx)
{
    struct discovery *d = ctx;
    struct discovery_sight *s;
    (void)b, (void)type, (void)flags;
    switch (event) {
    case AVAHI_BROWSER_NEW:
        s = discovery_sight_new(d, interface, protocol, name, domain);
        if (s)
            resolve(s);
        break;
    case AVAHI_BROWSER_REMOVE:
        s = discovery_sight_find(d, interface, protocol, name, domain);
        if (s)
            discovery_sight_free(s);
        break;
    case AVAHI_BROWSER_FAILURE:
        discovery_restart(d, 1000);
        break;
    case AVAHI_BROWSER_CACHE_EXHAUSTED:
    case AVAHI_BROWSER_ALL_FOR_NOW:
        break;
    }
}

static AvahiSServiceBrowser *browser_new(struct discovery *d)
{
    return avahi_s_service_browser_new(d->server, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, DISCOVERY_SERVICE, "local", 0,
                                       on_browsed, d);
}

int discovery_browse(struct discovery *d)
{
    d->browser = browser_new(d);
    return d->browser ? 0 : avahi_server_errno(d->server);
}

/* The old one ends when there is a new one: nothing that goes away is missed. */
void discovery_browse_again(struct discovery *d)
{
    AvahiSServiceBrowser *browser = d->browser ? browser_new(d) : NULL;
    if (!browser)
        return;
    avahi_s_service_browser_free(d->browser);
    d->browser = browser;
}

void discovery_unbrowse(struct discovery *d)
{
    uv_timer_stop(&d->retry);
    if (d->browser)
        avahi_s_service_browser_free(steal(&d->browser));
    while (d->sights)
        discovery_sight_free(d->sights);
}
