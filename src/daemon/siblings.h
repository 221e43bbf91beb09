/* Siblings: the other devices of the household. The rosters of all accounts merged, with what discovery, live connections and hand-given
 * addresses say about where they are. A roster says who; an address is only a hint. Source: design sections 2 and 6.5. Loop thread. */
#ifndef DAEMON_SIBLINGS_H
#define DAEMON_SIBLINGS_H

#include "daemon/account.h"

struct sibling {
    struct id client;
    struct id distributor; /* who certified it */
    char name[64];
    char distributor_name[64];
    char address[128]; /* last known or by hand; "" when there is none */
    bool by_hand;
    bool found;              /* discovery sees it now */
    bool reachable;          /* the last attempt to connect worked (or none was made) */
    uint32_t links;          /* live connections to it */
    struct account *account; /* whose roster lists it (its own distributor's, if we are registered there); borrowed */
};

int siblings_start(struct daemon *d) MUST_USE;
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
bool sibling_is_online(const struct sibling *s); /* discovery sees it or a connection is live */

/* Discovery reports (also of devices that are not siblings: kept, a roster may come later). */
void siblings_found(struct daemon *d, const struct id *client, const char *address);
void siblings_lost(struct daemon *d, const struct id *client);
/* Connections, from device_link: a live one came up (address: where it answers, or NULL when it dialed us), went away, or could not be made. */
void siblings_link_up(struct daemon *d, const struct id *client, const char *address);
void siblings_link_down(struct daemon *d, const struct id *client);
void siblings_unreachable(struct daemon *d, const struct id *client);
/* An address given by hand; remembered durably. */
void siblings_set_address(struct daemon *d, const struct id *client, const char *address, bool by_hand);
/* Told whenever a sibling is found or linked (transfers wait for it). May be NULL. */
void siblings_on_online(struct daemon *d, void (*on_online)(struct daemon *d, const struct id *client));

#endif
