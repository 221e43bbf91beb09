/* Others, as the system's avahi-daemon sees them: its browser, and a resolver for each instance on each interface and protocol. What they say goes into the same table as what our
 * own responder hears (discovery_sights.c). On the loop thread.
 *
 * Callbacks, in the order in which they fire: on_browsing; on_resolver for each that is asked for; signals come by discovery_system_see. */
#include <avahi-common/address.h>
#include <stdlib.h>

#include "base/util.h"
#include "net/discovery_system.h"

/* --- Seeing others --- */

/* Which instance a resolver was asked for; it may be gone when the answer comes. */
struct asked {
    struct discovery_system *system;
    AvahiIfIndex interface;
    AvahiProtocol protocol;
    char name[AVAHI_LABEL_MAX], domain[AVAHI_DOMAIN_NAME_MAX];
};

static void free_asked(void *asked) { free(asked); }

static int on_resolver(sd_bus_message *reply, void *ctx, sd_bus_error *error)
{
    struct asked *a = ctx;
    struct discovery_system *s = a->system;
    char path[DISCOVERY_PATH_BYTES];
    (void)error;
    if (discovery_system_path(s, reply, path) != 0 || s->owner->by != DISCOVERY_SYSTEM)
        return 0;
    struct discovery_sight *e = discovery_sight_find(s->owner, a->interface, a->protocol, a->name, a->domain);
    if (e && e->path[0] == '\0')
        memcpy(e->path, path, sizeof e->path);
    else
        discovery_system_call(s, NULL, path, RESOLVER, "Free");
    return 0;
}

/* Over IPv4 for an IPv4 address, over IPv6 for the other, as discovery_browse.c does. */
static void resolve(struct discovery_system *s, const struct discovery_sight *e)
{
    struct asked *a = malloc(sizeof *a);
    sd_bus_slot *slot = NULL;
    if (!a)
        return;
    *a = (struct asked){ .system = s, .interface = e->interface, .protocol = e->protocol };
    memcpy(a->name, e->name, sizeof a->name);
    memcpy(a->domain, e->domain, sizeof a->domain);
    if (sd_bus_call_method_async(s->bus, &slot, DAEMON, "/", SERVER, "ServiceResolverNew", on_resolver, a, "iisssiu",
                                 e->interface, e->protocol, e->name, DISCOVERY_SERVICE, e->domain, e->protocol,
                                 0u) < 0) {
        free(a);
        discovery_system_fail(s, "it cannot be asked", TRY_AGAIN_MS);
        return;
    }
    (void)sd_bus_slot_set_destroy_callback(slot, free_asked);
    (void)sd_bus_slot_set_floating(slot, 1);
    sd_bus_slot_unref(slot);
}

static void on_item(struct discovery_system *s, sd_bus_message *m, bool is_new)
{
    struct discovery *d = s->owner;
    int32_t interface, protocol;
    const char *name, *type, *domain;
    uint32_t flags;
    if (sd_bus_message_read(m, "iisssu", &interface, &protocol, &name, &type, &domain, &flags) < 0 ||
        strlen(name) >= AVAHI_LABEL_MAX || strlen(domain) >= AVAHI_DOMAIN_NAME_MAX)
        return;
    struct discovery_sight *e = is_new ? discovery_sight_new(d, interface, protocol, name, domain)
                                       : discovery_sight_find(d, interface, protocol, name, domain);
    if (e && is_new) {
        resolve(s, e);
    } else if (e) {
        discovery_sight_free(e);
    }
}

static int read_client(sd_bus_message *m, struct id *client)
{
    int found = -ENOENT;
    if (sd_bus_message_enter_container(m, 'a', "ay") < 0)
        return -EBADMSG;
    const void *bytes;
    size_t len;
    char text[ID_TEXT_BYTES];
    while (sd_bus_message_read_array(m, 'y', &bytes, &len) > 0) {
        if (len != 3 + sizeof text - 1 || memcmp(bytes, "id=", 3) != 0 || found == 0)
            continue;
        memcpy(text, (const char *)bytes + 3, sizeof text - 1);
        text[sizeof text - 1] = '\0';
        found = id_parse(text, client);
    }
    return found;
}

static void on_address(struct discovery_sight *e, sd_bus_message *m)
{
    int32_t interface, protocol, address_protocol;
    const char *name, *type, *domain, *host, *text;
    uint16_t port;
    AvahiAddress address;
    struct id client;
    if (sd_bus_message_read(m, "iissssisq", &interface, &protocol, &name, &type, &domain, &host, &address_protocol,
                            &text, &port) < 0 ||
        !avahi_address_parse(text, address_protocol, &address))
        return;
    discovery_resolved(e, &address, port, read_client(m, &client) == 0 ? &client : NULL);
}

static struct discovery_sight *sight_of(struct discovery_system *s, const char *path)
{
    struct discovery_sight *e = s->owner->sights;
    while (e && strcmp(e->path, path) != 0)
        e = e->next;
    return e;
}

void discovery_system_see(struct discovery_system *s, sd_bus_message *m)
{
    const char *path = sd_bus_message_get_path(m);
    struct discovery_sight *e = sight_of(s, path);
    if (sd_bus_message_is_signal(m, BROWSER, "ItemNew")) {
        on_item(s, m, true);
    } else if (sd_bus_message_is_signal(m, BROWSER, "ItemRemove")) {
        on_item(s, m, false);
    } else if (sd_bus_message_is_signal(m, RESOLVER, "Found") && e) {
        on_address(e, m);
    } else if (sd_bus_message_is_signal(m, RESOLVER, "Failure") && e) {
        discovery_unresolved(e);
        discovery_system_call(s, NULL, path, RESOLVER, "Free");
        e->path[0] = '\0';
    }
}

void discovery_system_resolve_again(struct discovery_system *s)
{
    for (const struct discovery_sight *e = s->owner->sights; e && s->told_there; e = e->next) {
        if (e->path[0] == '\0')
            resolve(s, e);
    }
}

/* One that was there before ends when there is a new one. */
static int on_browsing(sd_bus_message *reply, void *ctx, sd_bus_error *error)
{
    struct discovery_system *s = ctx;
    char path[DISCOVERY_PATH_BYTES];
    (void)error;
    if (discovery_system_path(s, reply, path) != 0)
        return 0;
    if (s->browser[0] != '\0')
        discovery_system_call(s, NULL, s->browser, BROWSER, "Free");
    memcpy(s->browser, path, sizeof s->browser);
    return 0;
}

static void browse(struct discovery_system *s)
{
    if (sd_bus_call_method_async(s->bus, NULL, DAEMON, "/", SERVER, "ServiceBrowserNew", on_browsing, s, "iissu",
                                 AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, DISCOVERY_SERVICE, DISCOVERY_DOMAIN, 0u) < 0)
        discovery_system_fail(s, "it cannot be asked", TRY_AGAIN_MS);
}

void discovery_system_browse(struct discovery_system *s)
{
    if (s->browser[0] == '\0')
        browse(s);
}

void discovery_system_browse_again(struct discovery *d)
{
    if (d->system && d->system->told_there && d->system->browser[0] != '\0')
        browse(d->system);
}

void discovery_system_forget(struct discovery *d, const char *path)
{
    if (d->system && d->system->told_there)
        discovery_system_call(d->system, NULL, path, RESOLVER, "Free");
}
