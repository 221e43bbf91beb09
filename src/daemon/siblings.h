/* Siblings: the other devices of the household. The rosters of all accounts merged, with what discovery, live connections and hand-given
 * addresses say about where they are. A roster says who; an address is only a hint, and who answers there proves by its key which device it is. Source: design
 * sections 2 and 6.5. Loop thread. */
#ifndef DAEMON_SIBLINGS_H
#define DAEMON_SIBLINGS_H

#include "daemon/account.h"

struct sibling {
    struct id client;
    struct id distributor; /* who certified it */
    char name[64];
    char distributor_name[64];
    char address[128];       /* where it is linked, by hand, last proved, or seen; "" when there is none */
    bool found;              /* somebody announces it now; anybody may */
    bool reachable;          /* nothing speaks against trying: it is seen anew, or not every address has had its turn */
    uint32_t links;          /* live connections to it */
    struct account *account; /* whose roster lists it (its own distributor's, if we are registered there); borrowed */
};

int siblings_start(struct daemon *d) MUST_USE;
void siblings_quiet(struct daemon *d); /* what it has under way ends */
void siblings_stop(struct daemon *d);
/* A roster has changed: merge again. */
void siblings_refresh(struct daemon *d);

/* Is it time to look for it where it was last? Soon after it has gone, and after each sign of a change, then less and less often. True counts as a try. */
bool siblings_may_try(struct daemon *d, const struct id *client, int64_t now_ms);
/* The network is another one: all are looked for anew. */
void siblings_try_anew(struct daemon *d);
/* Does any roster name it, also one that is over? */
bool siblings_is_named(const struct daemon *d, const struct id *client);
/* Borrowed until the next refresh. NULL when it is not in a current roster. */
struct sibling *siblings_find(struct daemon *d, const void *client);
/* A name (any case) or an ID prefix (4 characters at least). 0, REASON_NOT_FOUND, REASON_AMBIGUOUS. */
int siblings_resolve(struct daemon *d, const char *text, struct sibling **out) MUST_USE;
/* Where something is to go, or to come from: siblings_resolve, and detail says what is wrong with the name (also when it is this
 * device's own: REASON_WRONG_DESTINATION). */
int siblings_resolve_other(struct daemon *d, const char *text, struct sibling **out, char *detail, size_t cap) MUST_USE;
/* This device's own name: as the rosters have it, else as it is configured. */
const char *siblings_own_name(struct daemon *d);
size_t siblings_count(const struct daemon *d);
struct sibling *siblings_at(struct daemon *d, size_t index);
bool sibling_is_online(const struct sibling *s); /* a connection to it is live: it has proved its key */

/* Where it may be, in the order in which to try: the address by hand, the last one where it proved its key, then those at which it is seen now, whose turn it
 * is; each once. With take_turn others have their turn the next time. Returns how many. */
#define SIBLING_PLACES_MAX 6
typedef char sibling_places[SIBLING_PLACES_MAX][128];
size_t siblings_places(struct daemon *d, const struct id *client, bool take_turn, sibling_places out);
/* Is it announced at the host of this "host:port" now? */
bool siblings_is_seen_at(struct daemon *d, const struct id *client, const char *address);

/* Discovery reports that somebody is seen elsewhere than before, or not any more. Who is no sibling is not kept here. */
void siblings_seen(struct daemon *d, const struct id *client);
/* Connections, from device_link: a live one came up (address: where it has proved its key, or NULL when it dialed us, from remote), went away, or could not be made. */
void siblings_link_up(struct daemon *d, const struct id *client, const char *address, const char *remote);
void siblings_link_down(struct daemon *d, const struct id *client);
void siblings_unreachable(struct daemon *d, const struct id *client);
/* It has proved its key at this address. */
void siblings_proved(struct daemon *d, const struct id *client, const char *address);
/* An address given by hand, where it has just proved its key. on_stored fires once it is durable, or could not be made so (0 or -errno). 0, or -errno: nothing is kept. */
int siblings_set_address(struct daemon *d, const struct id *client, const char *address,
                         void (*on_stored)(int outcome, void *ctx), void *ctx) MUST_USE;
/* Told whenever a sibling is linked (transfers wait for it). May be NULL. */
void siblings_on_online(struct daemon *d, void (*on_online)(struct daemon *d, const struct id *client));

#endif
