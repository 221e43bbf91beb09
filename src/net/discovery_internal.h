/* Inside of discovery, shared by its files only.
 *
 *   discovery.c          life: who does it, our own responder or the system's avahi-daemon; starting again, stopping
 *   discovery_publish.c  our own records; follows the addresses of this host
 *   discovery_browse.c   everybody else's
 *   discovery_sights.c   one client, however often and by whomever it is seen
 *   discovery_system.c   all that through the system's avahi-daemon
 *   avahi_uv.c           Avahi's main loop on libuv */
#ifndef NET_DISCOVERY_INTERNAL_H
#define NET_DISCOVERY_INTERNAL_H

#include <avahi-common/domain.h>
#include <avahi-core/core.h>
#include <avahi-core/lookup.h>
#include <avahi-core/publish.h>
#include <net/if.h>
#include <stdbool.h>

#include "net/address.h"
#include "net/avahi_uv.h"
#include "net/discovery.h"

#define DISCOVERY_PATH_BYTES 64
#define DISCOVERY_DOMAIN "local"
#define DISCOVERY_TYPES "_services._dns-sd._udp"
#define DISCOVERY_TTL_S 10       /* a device that was killed is gone after that long */
#define DISCOVERY_LOCALS_MAX 32  /* addresses of this host that are published */
#define DISCOVERY_SIGHTS_MAX 512 /* instances seen, each counted on every interface and protocol; */
#define DISCOVERY_ONE_MAX 64     /* of them, those that claim to be one client */

/* One address of this host on one interface, with the records that say so. */
struct discovery_local {
    AvahiIfIndex interface;
    AvahiAddress address;
    AvahiSEntryGroup *group;
    bool wanted;
};

/* One instance as seen on one interface over one protocol. */
struct discovery_sight {
    struct discovery *owner;
    struct discovery_sight *next;
    AvahiIfIndex interface;
    AvahiProtocol protocol;
    AvahiSServiceResolver *resolver; /* of our own responder */
    char path[DISCOVERY_PATH_BYTES]; /* of the system's daemon; "": none */
    bool resolved;
    unsigned rank; /* of the address; the lowest is the easiest to reach */
    uint64_t turn; /* of the address: who has waited longest has the lowest */
    struct id client;
    char address[ADDRESS_TEXT_BYTES];
    char name[AVAHI_LABEL_MAX];
    char domain[AVAHI_DOMAIN_NAME_MAX];
};

struct discovery {
    uv_loop_t *loop;
    struct id self;
    uint16_t port;
    struct discovery_callbacks callbacks;
    void *ctx;
    bool stopping;
    void (*on_stopped)(void *ctx);
    void *stopped_ctx;
    unsigned open_handles;

    enum discovery_by by;
    struct discovery_system *system; /* NULL: not looked for */

    struct avahi_uv *avahi; /* NULL while Avahi is not running */
    AvahiServer *server;
    uv_timer_t timer; /* starts Avahi, and looks after the clock while it runs */
    int64_t clock_offset_ms;
    bool failed_before; /* logged once, not every time */

    char host[AVAHI_LABEL_MAX], instance[AVAHI_LABEL_MAX];
    AvahiSEntryGroup *service;
    struct discovery_local locals[DISCOVERY_LOCALS_MAX];
    unsigned local_count;
    uv_poll_t *routes; /* the kernel's news about addresses; NULL when it gives none */
    int routes_fd;
    uv_timer_t settle; /* news come in bursts */
    unsigned looks;    /* in a row at which something was still probed */

    AvahiSServiceBrowser *browser;
    struct discovery_sight *sights;
    unsigned sight_count;
    uint64_t turns;
    bool crowded;     /* some were left out */
    uv_timer_t retry; /* resolvers that gave up */
    uv_timer_t again; /* those that were left out */
};

/* --- discovery.c --- */
void discovery_restart(struct discovery *d, uint64_t after_ms); /* Avahi ends and starts again */
void discovery_rename_host(struct discovery *d);
void discovery_forget_handle(uv_handle_t *handle); /* closed callback of our own handles */
void discovery_forget_system(struct discovery *d); /* one of its handles is gone */
void discovery_system_there(struct discovery *d);  /* the daemon will publish: our own responder ends */
void discovery_system_away(struct discovery *d);   /* nobody else does: our own responder begins */

/* --- discovery_publish.c --- */
int discovery_routes_open(struct discovery *d) MUST_USE;
void discovery_routes_close(struct discovery *d);
int discovery_publish(struct discovery *d) MUST_USE; /* 0 or an Avahi code */
void discovery_unpublish(struct discovery *d);
void discovery_settled(uv_timer_t *timer);
/* The records, owned by the caller, or NULL without memory. name: of the service, with its type and domain. */
AvahiRecord *discovery_record_pointer(const char *name, const char *to);
AvahiRecord *discovery_record_place(const char *name, const char *host, uint16_t port);
AvahiRecord *discovery_record_text(const char *name, const struct id *self);

/* --- discovery_browse.c --- */
int discovery_browse(struct discovery *d) MUST_USE; /* 0 or an Avahi code */
void discovery_unbrowse(
    struct discovery *d); /* what was seen is seen no more, and reported so unless all of it stops */
void discovery_resolve_again(uv_timer_t *timer);
void discovery_browse_again(struct discovery *d); /* what was left out comes again */

/* --- discovery_sights.c --- */
struct discovery_sight *discovery_sight_find(struct discovery *d, AvahiIfIndex interface, AvahiProtocol protocol,
                                             const char *name, const char *domain); /* NULL: not seen */
/* NULL: it is there already, or there is no memory. When the table is full another one is left out, a stranger's if there is one. */
struct discovery_sight *discovery_sight_new(struct discovery *d, AvahiIfIndex interface, AvahiProtocol protocol,
                                            const char *name, const char *domain);
void discovery_sight_free(struct discovery_sight *s); /* with its resolver */
/* What it resolved to; a or client NULL: nothing that can be used. Reports the client when it is seen elsewhere now. s may be gone afterwards. */
void discovery_resolved(struct discovery_sight *s, const AvahiAddress *a, uint16_t port, const struct id *client);
void discovery_unresolved(struct discovery_sight *s);

/* --- discovery_system.c --- */
int discovery_system_start(struct discovery *d) MUST_USE;            /* 0 or -errno; news come from the loop */
void discovery_system_stop(struct discovery *d);                     /* discovery_forget_system follows */
void discovery_system_forget(struct discovery *d, const char *path); /* a resolver */
void discovery_system_browse_again(struct discovery *d);

#endif
