/* The other devices: rosters merged, and their names. Not here: where they are (siblings_where.c). */
#include "daemon/siblings_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/util.h"
#include "daemon/copy.h"
#include "daemon/device_link.h"
#include "daemon/events.h"
#include "daemon/visits.h"

#define LOG_MODULE "siblings"
#include "base/log.h"

/* --- The merged list --- */

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
        const struct hint *h = siblings_hint(s, s->list[i].client.bytes);
        bool known = false;
        for (size_t n = 0; n < old.count; n++)
            known |= id_equal(old.list[n].client.bytes, s->list[i].client.bytes);
        if (!known && d->started) /* else it was known before this start */
            event(d, "device-known", "%s (%s) belongs to the household", s->list[i].name, s->list[i].distributor_name);
        if (h == NULL)
            continue;
        if (known)
            siblings_apply(d, &s->list[i], h);
        else
            siblings_hint_changed(d, h);
    }
    for (size_t n = 0; n < old.count; n++)
        if (is_removed(d, &old.list[n]))
            copies_household_changed(d, &old.list[n].client);
    free(old.list);
    siblings_look(d);
    links_household_changed(d);
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
        (void)snprintf(detail, cap, "No device of the household is called %s: hearth devices lists them.", text);
    return r;
}

size_t siblings_count(const struct daemon *d) { return d->siblings == NULL ? 0 : d->siblings->count; }
struct sibling *siblings_at(struct daemon *d, size_t index) { return &d->siblings->list[index]; }
bool sibling_is_online(const struct sibling *s) { return s->links > 0; }

void siblings_on_online(struct daemon *d, void (*on_online)(struct daemon *d, const struct id *client))
{
    d->on_sibling_online = on_online;
}

/* --- Life --- */

int siblings_start(struct daemon *d)
{
    d->siblings = calloc(1, sizeof(*d->siblings));
    if (d->siblings == NULL)
        return -ENOMEM;
    int r = siblings_load(d);
    return r > 0 ? -EUCLEAN : r;
}

void siblings_stop(struct daemon *d)
{
    struct siblings *s = steal(&d->siblings);
    if (s == NULL)
        return;
    free(s->list);
    siblings_forget(s);
    free(s);
}
