/* The other devices: rosters merged, hints of where they are kept beside. */
#include "daemon/siblings.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/util.h"
#include "daemon/copy.h"
#include "daemon/db.h"
#include "daemon/events.h"
#include "daemon/state_sync.h"
#include "daemon/visits.h"

#define LOG_MODULE "siblings"
#include "base/log.h"

#define TRY_FIRST_MS 2000
#define TRY_LAST_MS 8000 /* of one that was there a moment ago, */
#define AWAY_MS 600000   /* and of one that is away for longer: */
#define TRY_AWAY_LAST_MS 32000
#define HINTS_MAX 512 /* of devices in no roster, too: anybody may announce anything */

/* What is known about where a device is, whether or not a roster names it. */
struct hint {
    struct id client;
    char address[128], found_address[128];
    bool by_hand, stored, found, unreachable;
    uint32_t links;
    int64_t away_ms, try_ms; /* since when it is looked for, 0: not yet; when next */
};
struct siblings {
    struct sibling *list;
    size_t count;
    struct hint *hints;
    size_t hint_count, hint_cap;
};

/* --- Hints --- */

static struct hint *find_hint(struct siblings *s, const void *client)
{
    for (size_t i = 0; i < s->hint_count; i++)
        if (id_equal(s->hints[i].client.bytes, client))
            return &s->hints[i];
    return NULL;
}

/* A place for one more: a new one, or one that says nothing useful any more. */
static struct hint *make_hint(struct siblings *s, const struct id *client)
{
    struct hint *h = find_hint(s, client->bytes);
    if (h != NULL)
        return h;
    for (size_t i = 0; i < s->hint_count && s->hint_count >= HINTS_MAX; i++)
        if (!s->hints[i].stored && !s->hints[i].found && s->hints[i].links == 0) {
            h = &s->hints[i];
            break;
        }
    if (h == NULL && s->hint_count >= HINTS_MAX)
        return NULL;
    if (h == NULL && s->hint_count == s->hint_cap) {
        size_t cap = s->hint_cap == 0 ? 8 : s->hint_cap * 2;
        struct hint *hints = reallocarray(s->hints, cap, sizeof(*hints));
        if (hints == NULL)
            return NULL;
        s->hints = hints;
        s->hint_cap = cap;
    }
    if (h == NULL)
        h = &s->hints[s->hint_count++];
    *h = (struct hint){ .client = *client };
    return h;
}

struct address_job {
    struct db_job job;
    struct id client;
    char address[128];
    bool by_hand;
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
    (void)outcome; /* a hint: the queue has logged it */
    free(container_of(job, struct address_job, job));
}

static void remember(struct daemon *d, struct hint *h, const char *address, bool by_hand)
{
    if (h->stored && strcmp(h->address, address) == 0 && (h->by_hand || !by_hand))
        return;
    CODEC_SET_TEXT(h->address, address);
    h->by_hand = by_hand;
    h->stored = true;
    struct address_job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return;
    job->client = h->client;
    CODEC_SET_TEXT(job->address, address);
    job->by_hand = by_hand;
    job->job.work = store_address;
    job->job.done = on_address_stored;
    db_run(d->db, &job->job);
}

/* --- The merged list --- */

static void apply_hint(struct sibling *s, const struct hint *h)
{
    /* What discovery sees now is fresher than what was remembered. */
    const char *address = h->found && h->found_address[0] != '\0' ? h->found_address : h->address;
    memcpy(s->address, address, sizeof(s->address));
    s->by_hand = h->by_hand && address == h->address;
    s->found = h->found;
    s->reachable = !h->unreachable;
    s->links = h->links;
}

static void forget_tries(struct hint *h)
{
    if (h != NULL)
        h->away_ms = h->try_ms = 0;
}

static void hint_changed(struct daemon *d, const struct hint *h)
{
    struct sibling *s = siblings_find(d, h->client.bytes);
    if (s == NULL)
        return;
    bool was_online = sibling_is_online(s);
    apply_hint(s, h);
    bool is_online = sibling_is_online(s);
    if (was_online == is_online)
        return;
    event(d, is_online ? "device-online" : "device-offline", "%s is %s", s->name, is_online ? "there" : "gone");
    forget_tries(find_hint(d->siblings, h->client.bytes));
    struct id client = h->client; /* whoever is told may make room for other hints */
    if (is_online && d->on_sibling_online != NULL)
        d->on_sibling_online(d, &client);
    if (is_online)
        state_sibling_online(d, &client);
}

/* The roster of a device's own distributor knows best; else the newest. */
static bool is_better(const struct account *a, const doc_RosterDevice *device, const struct sibling *old)
{
    bool own = id_equal(device->distributor, a->distributor.bytes);
    bool old_own = id_equal(old->distributor.bytes, old->account->distributor.bytes);
    if (own != old_own)
        return own;
    return a->roster->issued_ms > old->account->roster->issued_ms;
}

static void merge_device(struct siblings *list, struct account *a, const doc_RosterDevice *device)
{
    struct sibling *s = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (id_equal(list->list[i].client.bytes, device->client))
            s = &list->list[i];
    if (s != NULL && !is_better(a, device, s))
        return;
    if (s == NULL)
        s = &list->list[list->count++];
    *s = (struct sibling){ .account = a, .reachable = true };
    s->client = id_from(device->client);
    s->distributor = id_from(device->distributor);
    memcpy(s->name, device->name, sizeof(s->name));
    memcpy(s->distributor_name, device->distributor_name, sizeof(s->distributor_name));
}

static bool is_current(const struct account *a)
{
    return a->roster != NULL && a->roster->ends_ms >= (uint64_t)device_time_of(a);
}

bool siblings_is_named(const struct daemon *d, const struct id *client)
{
    for (const struct account *a = d->accounts; a != NULL; a = a->next)
        if (a->roster != NULL && roster_find(a->roster, client) != NULL)
            return true;
    return false;
}

/* By a roster; the account of one that is merely over, or was left, says nothing. */
static bool is_removed(const struct daemon *d, const struct sibling *old)
{
    for (const struct account *a = d->accounts; a != NULL; a = a->next)
        if (a == old->account)
            return a->roster != NULL && !siblings_is_named(d, &old->client);
    return false;
}

void siblings_refresh(struct daemon *d)
{
    struct siblings *s = d->siblings;
    size_t most = 0;
    if (s == NULL)
        return;
    for (struct account *a = d->accounts; a != NULL; a = a->next)
        most += a->roster == NULL ? 0 : a->roster->devices_count;
    struct siblings next = *s, old = *s;
    next.count = 0;
    next.list = most == 0 ? NULL : calloc(most, sizeof(*next.list));
    if (most > 0 && next.list == NULL)
        return;
    for (struct account *a = d->accounts; a != NULL; a = a->next)
        for (pb_size_t i = 0; is_current(a) && i < a->roster->devices_count; i++)
            if (!id_equal(a->roster->devices[i].client, d->self.bytes))
                merge_device(&next, a, &a->roster->devices[i]);
    *s = next;
    for (size_t i = 0; i < s->count; i++) {
        struct hint *h = find_hint(s, s->list[i].client.bytes);
        bool known = false;
        for (size_t n = 0; n < old.count; n++)
            known |= id_equal(old.list[n].client.bytes, s->list[i].client.bytes);
        if (!known)
            event(d, "device-known", "%s (%s) belongs to the household", s->list[i].name, s->list[i].distributor_name);
        if (h == NULL)
            continue;
        if (known)
            apply_hint(&s->list[i], h);
        else
            hint_changed(d, h);
    }
    for (size_t n = 0; n < old.count; n++)
        if (is_removed(d, &old.list[n]))
            copies_household_changed(d, &old.list[n].client);
    free(old.list);
    copies_household_changed(d, NULL);
    visits_refresh(d);
}

struct sibling *siblings_find(struct daemon *d, const void *client)
{
    for (size_t i = 0; d->siblings != NULL && i < d->siblings->count; i++)
        if (id_equal(d->siblings->list[i].client.bytes, client))
            return &d->siblings->list[i];
    return NULL;
}

int siblings_resolve(struct daemon *d, const char *text, struct sibling **out)
{
    struct sibling *found = NULL;
    for (size_t i = 0; i < siblings_count(d); i++) {
        struct sibling *s = siblings_at(d, i);
        if (strcasecmp(s->name, text) != 0 && !(strlen(text) >= 4 && id_has_prefix(s->client.bytes, text)))
            continue;
        if (found != NULL)
            return REASON_AMBIGUOUS;
        found = s;
    }
    if (found == NULL)
        return REASON_NOT_FOUND;
    *out = found;
    return 0;
}

const char *siblings_own_name(struct daemon *d)
{
    for (struct account *a = d->accounts; a != NULL; a = a->next) {
        const doc_RosterDevice *self = a->roster == NULL ? NULL : roster_find(a->roster, &d->self);
        if (self != NULL)
            return self->name;
    }
    return d->config.name;
}

int siblings_resolve_other(struct daemon *d, const char *text, struct sibling **out, char *detail, size_t cap)
{
    int r = siblings_resolve(d, text, out);
    if (r == REASON_NOT_FOUND &&
        (strcasecmp(siblings_own_name(d), text) == 0 || (strlen(text) >= 4 && id_has_prefix(d->self.bytes, text)))) {
        (void)snprintf(detail, cap, "%s is this device itself: name another one (hearth devices).", text);
        return REASON_WRONG_DESTINATION;
    }
    if (r == REASON_NOT_FOUND)
        (void)snprintf(detail, cap, "No device of the household has this name: hearth devices");
    return r;
}

size_t siblings_count(const struct daemon *d) { return d->siblings == NULL ? 0 : d->siblings->count; }
struct sibling *siblings_at(struct daemon *d, size_t index) { return &d->siblings->list[index]; }
bool sibling_is_online(const struct sibling *s) { return s->found || s->links > 0; }

/* --- What others report --- */

void siblings_found(struct daemon *d, const struct id *client, const char *address)
{
    struct hint *h = d->siblings == NULL ? NULL : make_hint(d->siblings, client);
    if (h == NULL)
        return;
    h->found = true;
    h->unreachable = false;
    CODEC_SET_TEXT(h->found_address, address);
    if (siblings_find(d, client->bytes) != NULL && !h->by_hand)
        remember(d, h, address, false);
    hint_changed(d, h);
}

void siblings_lost(struct daemon *d, const struct id *client)
{
    struct hint *h = d->siblings == NULL ? NULL : find_hint(d->siblings, client->bytes);
    if (h == NULL)
        return;
    h->found = false;
    hint_changed(d, h);
}

void siblings_link_up(struct daemon *d, const struct id *client, const char *address)
{
    struct hint *h = d->siblings == NULL ? NULL : make_hint(d->siblings, client);
    if (h == NULL)
        return;
    h->links++;
    h->unreachable = false;
    if (address != NULL && !h->by_hand)
        remember(d, h, address, false);
    hint_changed(d, h);
}

void siblings_link_down(struct daemon *d, const struct id *client)
{
    struct hint *h = d->siblings == NULL ? NULL : find_hint(d->siblings, client->bytes);
    if (h == NULL || h->links == 0)
        return;
    h->links--;
    hint_changed(d, h);
}

void siblings_unreachable(struct daemon *d, const struct id *client)
{
    struct hint *h = d->siblings == NULL ? NULL : make_hint(d->siblings, client);
    if (h == NULL)
        return;
    h->unreachable = true;
    hint_changed(d, h);
}

void siblings_set_address(struct daemon *d, const struct id *client, const char *address, bool by_hand)
{
    struct hint *h = d->siblings == NULL ? NULL : make_hint(d->siblings, client);
    if (h == NULL)
        return;
    h->unreachable = false;
    forget_tries(h);
    remember(d, h, address, by_hand);
    hint_changed(d, h);
    if (by_hand)
        state_sibling_reachable(d, client);
}

void siblings_on_online(struct daemon *d, void (*on_online)(struct daemon *d, const struct id *client))
{
    d->on_sibling_online = on_online;
}

/* --- Looking for those that are away --- */

/* The time it is away already is the next wait: 2, 4, 8 s. */
bool siblings_may_try(struct daemon *d, const struct id *client, int64_t now_ms)
{
    struct hint *h = d->siblings == NULL ? NULL : find_hint(d->siblings, client->bytes);
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
        forget_tries(&d->siblings->hints[i]);
}

/* --- Life --- */

static int load(struct daemon *d)
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
        struct hint *h = make_hint(d->siblings, &client);
        if (h == NULL)
            break; /* more than fit: hints */
        memcpy(h->address, address, sizeof(address));
        h->by_hand = by_hand;
        h->stored = true;
    }
    return r == STORE_ROW ? 0 : r;
}

int siblings_start(struct daemon *d)
{
    d->siblings = calloc(1, sizeof(*d->siblings));
    if (d->siblings == NULL)
        return -ENOMEM;
    int r = load(d);
    return r > 0 ? -EUCLEAN : r;
}

void siblings_stop(struct daemon *d)
{
    struct siblings *s = steal(&d->siblings);
    if (s == NULL)
        return;
    free(s->list);
    free(s->hints);
    free(s);
}
