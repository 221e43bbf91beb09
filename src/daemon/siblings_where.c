/* Where the other devices are: an address is a hint, whoever says it. What somebody announces is tried when its turn comes; stored is what a device has proved by its key,
 * and what was given by hand. Nothing here believes an address: whoever dials it wants the device's key (peer.h).
 *
 * Callbacks, in order: on_proved (of a connection that only proves an address); on_address_stored. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/address_proof.h"
#include "daemon/db.h"
#include "daemon/device_link.h"
#include "daemon/events.h"
#include "daemon/siblings_internal.h"
#include "daemon/state_sync.h"
#include "net/address.h"
#include "net/discovery.h"

#define LOG_MODULE "siblings"
#include "base/log.h"

#define TRY_FIRST_MS 2000
#define TRY_LAST_MS 8000 /* of one that was there a moment ago, */
#define AWAY_MS 600000   /* and of one that is away for longer: */
#define TRY_AWAY_LAST_MS 32000
#define HINTS_MAX 512 /* each of a device that a roster has named; more are of households that were left long ago */

/* --- Hints --- */

struct hint *siblings_hint(struct siblings *s, const void *client)
{
    for (size_t i = 0; i < s->hint_count; i++)
        if (id_equal(s->hints[i]->client.bytes, client))
            return s->hints[i];
    return NULL;
}

/* The place of one that no roster names, nobody is linked with and nothing is under way for. NULL: none. */
static struct hint *find_spare(struct daemon *d)
{
    struct siblings *s = d->siblings;
    for (size_t i = 0; i < s->hint_count; i++) {
        struct hint *h = s->hints[i];
        if (h->links == 0 && h->proving == NULL && siblings_find(d, h->client.bytes) == NULL)
            return h;
    }
    return NULL;
}

static struct hint *append_hint(struct siblings *s)
{
    if (s->hint_count == s->hint_cap) {
        size_t cap = s->hint_cap == 0 ? 8 : s->hint_cap * 2;
        struct hint **hints = reallocarray(s->hints, cap, sizeof(*hints));
        if (hints == NULL)
            return NULL;
        s->hints = hints;
        s->hint_cap = cap;
    }
    struct hint *h = calloc(1, sizeof(*h));
    if (h != NULL)
        s->hints[s->hint_count++] = h;
    return h;
}

/* Of siblings only: strangers, however many are announced, take no place. */
static struct hint *make_hint(struct daemon *d, const struct id *client)
{
    struct siblings *s = d->siblings;
    struct hint *h = siblings_hint(s, client->bytes);
    if (h != NULL)
        return h;
    if (s->hint_count >= HINTS_MAX)
        h = find_spare(d);
    if (h == NULL)
        h = append_hint(s);
    if (h != NULL)
        *h = (struct hint){ .client = *client };
    return h;
}

void siblings_forget(struct siblings *s)
{
    for (size_t i = 0; i < s->hint_count; i++)
        free(s->hints[i]);
    free(s->hints);
}

/* --- What is stored --- */

struct address_job {
    struct db_job job;
    struct id client;
    char address[128];
    bool by_hand;
    void (*on_stored)(int outcome, void *ctx); /* may be NULL */
    void *ctx;
};

static int store_address(struct store *store, struct db_job *job)
{
    struct address_job *a = container_of(job, struct address_job, job);
    struct query q CLEANUP(query_end) = query(store, DB_ADDRESS_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(a->client.bytes));
    query_bind_text(&q, 2, a->address);
    query_bind_i64(&q, 3, a->by_hand);
    return query_run(&q);
}

static void on_address_stored(struct db_job *job, int outcome)
{
    struct address_job *a = container_of(job, struct address_job, job);
    if (a->on_stored != NULL)
        a->on_stored(outcome, a->ctx);
    free(a);
}

static int store(struct daemon *d, const struct id *client, const char *address, bool by_hand,
                 void (*on_stored)(int outcome, void *ctx), void *ctx)
{
    struct address_job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return -ENOMEM;
    job->client = *client;
    CODEC_SET_TEXT(job->address, address);
    job->by_hand = by_hand;
    job->on_stored = on_stored;
    job->ctx = ctx;
    job->job.work = store_address;
    job->job.done = on_address_stored;
    db_run(d->db, &job->job);
    return 0;
}

int siblings_load(struct daemon *d)
{
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_ADDRESSES);
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        struct id client;
        char address[128];
        query_fixed(&q, 0, client.bytes, ID_BYTES);
        query_text(&q, 1, address, sizeof(address));
        bool by_hand = query_bool(&q, 2);
        r = query_check(&q);
        if (r != 0)
            return r;
        struct hint *h = make_hint(d, &client);
        if (h == NULL)
            return -ENOMEM;
        memcpy(by_hand ? h->by_hand : h->proved, address, sizeof(address));
    }
    return r;
}

/* --- Where to try --- */

static size_t add_place(sibling_places out, size_t count, const char *address)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(out[i], address) == 0)
            return count;
    if (address[0] == '\0' || count == SIBLING_PLACES_MAX)
        return count;
    CODEC_SET_TEXT(out[count], address);
    return count + 1;
}

size_t siblings_places(struct daemon *d, const struct id *client, bool take_turn, sibling_places out)
{
    const struct hint *h = siblings_hint(d->siblings, client->bytes);
    char seen[SIBLING_PLACES_MAX][ADDRESS_TEXT_BYTES];
    size_t count = 0;
    if (h != NULL) {
        count = add_place(out, count, h->by_hand);
        count = add_place(out, count, h->proved);
    }
    size_t seen_count = d->discovery == NULL
                            ? 0
                            : discovery_addresses(d->discovery, client, take_turn, seen, SIBLING_PLACES_MAX - count);
    for (size_t i = 0; i < seen_count; i++)
        count = add_place(out, count, seen[i]);
    return count;
}

static bool is_same_host(const char *a, const char *b)
{
    char host_a[ADDRESS_HOST_BYTES], host_b[ADDRESS_HOST_BYTES];
    uint16_t port;
    return address_parse(a, host_a, &port) == 0 && address_parse(b, host_b, &port) == 0 && strcmp(host_a, host_b) == 0;
}

/* The address of those seen at the same host as this one. */
static bool find_at_host(struct daemon *d, const struct id *client, const char *address, char out[ADDRESS_TEXT_BYTES])
{
    char seen[DISCOVERY_TURN_MAX][ADDRESS_TEXT_BYTES];
    size_t count =
        d->discovery == NULL ? 0 : discovery_addresses(d->discovery, client, false, seen, DISCOVERY_TURN_MAX);
    for (size_t i = 0; i < count; i++)
        if (is_same_host(seen[i], address)) {
            memcpy(out, seen[i], ADDRESS_TEXT_BYTES);
            return true;
        }
    return false;
}

bool siblings_is_seen_at(struct daemon *d, const struct id *client, const char *address)
{
    char at[ADDRESS_TEXT_BYTES];
    return find_at_host(d, client, address, at);
}

static bool is_found(struct daemon *d, const struct id *client)
{
    char seen[1][ADDRESS_TEXT_BYTES];
    return d->discovery != NULL && discovery_addresses(d->discovery, client, false, seen, 1) > 0;
}

/* --- The merged list --- */

/* Of one that is linked, not what others say of it. */
static void choose_address(const struct hint *h, sibling_places places, size_t count, char out[128])
{
    size_t i = 0;
    while (h->links > 0 && i < count && !is_same_host(places[i], h->remote))
        i++;
    memcpy(out, i < count ? places[i] : "", i < count ? sizeof(*places) : 1);
}

void siblings_apply(struct daemon *d, struct sibling *s, const struct hint *h)
{
    sibling_places places;
    if (h->links > 0 && h->live[0] != '\0')
        memcpy(s->address, h->live, sizeof(s->address));
    else
        choose_address(h, places, siblings_places(d, &h->client, false, places), s->address);
    s->found = h->found;
    s->reachable = !h->unreachable;
    s->links = h->links;
}

static void forget_tries(struct hint *h)
{
    if (h != NULL)
        h->away_ms = h->try_ms = 0;
}

void siblings_hint_changed(struct daemon *d, const struct hint *h)
{
    struct sibling *s = siblings_find(d, h->client.bytes);
    if (s == NULL)
        return;
    bool was_online = sibling_is_online(s), was_found = s->found;
    siblings_apply(d, s, h);
    bool is_online = sibling_is_online(s), is_found = s->found;
    struct id client = h->client; /* whoever is told may have the list merged anew */
    if (was_online != is_online)
        forget_tries(siblings_hint(d->siblings, client.bytes));
    if (was_online != is_online)
        event(d, is_online ? "device-online" : "device-offline", "%s is %s", s->name, is_online ? "there" : "gone");
    if (!was_online && is_online && d->on_sibling_online != NULL)
        d->on_sibling_online(d, &client);
    if (!was_found && is_found && !is_online)
        state_sibling_found(d, &client);
}

/* --- What was proved --- */

void siblings_proved(struct daemon *d, const struct id *client, const char *address)
{
    struct hint *h = d->siblings == NULL ? NULL : make_hint(d, client);
    if (h == NULL || strcmp(h->proved, address) == 0)
        return;
    CODEC_SET_TEXT(h->proved, address);
    if (store(d, client, address, false, NULL, NULL) != 0)
        log_warn("an address is known until the next start only");
    siblings_hint_changed(d, h);
}

/* --- A sibling that dialed us: where it listens is proved by asking there, once --- */

struct proving {
    struct daemon *daemon;
    struct id client;
    struct address_proof *proof;
    char address[ADDRESS_TEXT_BYTES];
};

static void on_proved(enum reason why, void *ctx)
{
    struct proving *p = ctx;
    struct hint *h = p->daemon->siblings == NULL ? NULL : siblings_hint(p->daemon->siblings, p->client.bytes);
    if (h != NULL)
        h->proving = NULL;
    if (why == REASON_NONE && h != NULL) {
        siblings_proved(p->daemon, &p->client, p->address);
        if (h->links > 0 && h->live[0] == '\0')
            CODEC_SET_TEXT(h->live, p->address);
        siblings_hint_changed(p->daemon, h);
    } else {
        log_debug("an address was not proved: %s", reason_code(why));
    }
    free(p);
}

static void prove(struct daemon *d, struct hint *h)
{
    struct proving at = { .daemon = d, .client = h->client };
    if (h->proving != NULL || h->links == 0 || h->live[0] != '\0' ||
        !find_at_host(d, &h->client, h->remote, at.address))
        return;
    if (strcmp(h->proved, at.address) == 0) {
        CODEC_SET_TEXT(h->live, at.address);
        return;
    }
    struct proving *p = malloc(sizeof(*p));
    if (p == NULL)
        return;
    *p = at;
    if (address_prove(&p->proof, d, p->address, &p->client, on_proved, p) == 0)
        h->proving = p;
    else
        free(p);
}

void siblings_quiet(struct daemon *d)
{
    for (size_t i = 0; d->siblings != NULL && i < d->siblings->hint_count; i++)
        if (d->siblings->hints[i]->proving != NULL)
            address_proof_cancel(d->siblings->hints[i]->proving->proof);
}

/* --- What others report --- */

static void see(struct daemon *d, const struct id *client)
{
    bool found = is_found(d, client);
    struct hint *h = found ? make_hint(d, client) : siblings_hint(d->siblings, client->bytes);
    if (h == NULL)
        return;
    h->found = found;
    h->unreachable &= !found;
    prove(d, h);
    siblings_hint_changed(d, h);
}

void siblings_seen(struct daemon *d, const struct id *client)
{
    if (d->siblings == NULL || siblings_find(d, client->bytes) == NULL)
        return;
    see(d, client);
    links_seen(d, client);
}

void siblings_look(struct daemon *d)
{
    for (size_t i = 0; i < siblings_count(d); i++) {
        struct sibling *s = siblings_at(d, i);
        struct id client = s->client;
        if (!s->found && is_found(d, &client))
            see(d, &client);
    }
    if (d->discovery != NULL)
        discovery_wanted(d->discovery);
}

/* --- Connections --- */

void siblings_link_up(struct daemon *d, const struct id *client, const char *address, const char *remote)
{
    struct hint *h = d->siblings == NULL ? NULL : make_hint(d, client);
    if (h == NULL)
        return;
    h->links++;
    h->unreachable = false;
    if (address != NULL) {
        CODEC_SET_TEXT(h->live, address);
        siblings_proved(d, client, address);
    } else {
        h->live[0] = '\0'; /* of an older one, which may be dead and not know it */
        CODEC_SET_TEXT(h->remote, remote);
        prove(d, h);
    }
    siblings_hint_changed(d, h);
}

void siblings_link_down(struct daemon *d, const struct id *client)
{
    struct hint *h = d->siblings == NULL ? NULL : siblings_hint(d->siblings, client->bytes);
    if (h == NULL || h->links == 0)
        return;
    if (--h->links == 0)
        h->live[0] = '\0';
    siblings_hint_changed(d, h);
}

/* As long as more is seen than was tried, the others are tried soon. */
void siblings_unreachable(struct daemon *d, const struct id *client)
{
    struct hint *h = d->siblings == NULL ? NULL : make_hint(d, client);
    char seen[SIBLING_PLACES_MAX][ADDRESS_TEXT_BYTES];
    if (h == NULL)
        return;
    h->unreachable = d->discovery == NULL || discovery_addresses(d->discovery, client, false, seen,
                                                                 SIBLING_PLACES_MAX) < SIBLING_PLACES_MAX - 2;
    siblings_hint_changed(d, h);
}

int siblings_set_address(struct daemon *d, const struct id *client, const char *address,
                         void (*on_stored)(int outcome, void *ctx), void *ctx)
{
    struct hint *h = d->siblings == NULL ? NULL : make_hint(d, client);
    int r = h == NULL ? -ENOMEM : store(d, client, address, true, on_stored, ctx);
    if (r != 0)
        return r;
    h->unreachable = false;
    forget_tries(h);
    CODEC_SET_TEXT(h->by_hand, address);
    siblings_hint_changed(d, h);
    state_sibling_reachable(d, client);
    return 0;
}

/* --- Looking for those that are away --- */

/* The time it is away already is the next wait: 2, 4, 8 s. */
bool siblings_may_try(struct daemon *d, const struct id *client, int64_t now_ms)
{
    struct hint *h = d->siblings == NULL ? NULL : siblings_hint(d->siblings, client->bytes);
    if (h == NULL || now_ms < h->try_ms)
        return false;
    if (h->away_ms == 0)
        h->away_ms = now_ms;
    int64_t away = now_ms - h->away_ms, last = away < AWAY_MS ? TRY_LAST_MS : TRY_AWAY_LAST_MS;
    h->try_ms = now_ms + (away < TRY_FIRST_MS ? TRY_FIRST_MS : away > last ? last : away);
    return true;
}

void siblings_try_anew(struct daemon *d)
{
    for (size_t i = 0; d->siblings != NULL && i < d->siblings->hint_count; i++)
        forget_tries(d->siblings->hints[i]);
}
