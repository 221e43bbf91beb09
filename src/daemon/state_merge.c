/* What becomes of a sibling's answer: judged as a whole, planned, tidied, and what the person is told. Loop thread.
 *
 * Callbacks, in order, for each answer: plan_merge, taking_merge (unless nothing changes), on_merged. */
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/device_link.h"
#include "daemon/events.h"
#include "daemon/siblings.h"
#include "daemon/state_sync_internal.h"

#define LOG_MODULE "state"
#include "base/log.h"

#define BETWEEN_COMPLAINTS_MS 60000

struct merge {
    struct state_edit edit;
    struct state_sibling *from;
    struct buf answer;
    uint8_t self[REPLICA_ID_BYTES]; /* whose version it answers */
    int verdict;
    size_t dropped; /* that nobody could have seen */
};

static int plan_merge(struct state_edit *e, const struct replica *r, struct replica_change *c)
{
    struct merge *m = container_of(e, struct merge, edit);
    replica_change_free(c);
    *c = replica_change(r);
    /* An answer to what was said under an older ID may leave out what has to be asked for again. */
    if (memcmp(m->self, r->self.replica, sizeof(m->self)) != 0 || !state_is_heard(m->from))
        return 0;
    m->dropped = 0;
    m->verdict = replica_read(r, buf_slice(&m->answer), state_is_valid, c);
    if (m->verdict > 0)
        return REASON_NOT_PERMITTED;
    return m->verdict < 0 ? m->verdict : state_tidy(r, c, &m->dropped);
}

static void taking_merge(struct state_edit *e, const struct replica_change *c)
{
    struct merge *m = container_of(e, struct merge, edit);
    state_tell(m->from->state, c, state_sibling_name(m->from));
}

/* It may be asked twenty times a second. */
static bool may_complain(struct state_sibling *p)
{
    int64_t now = state_now_ms(p->state);
    if (p->complained_ms != 0 && now - p->complained_ms < BETWEEN_COMPLAINTS_MS)
        return false;
    p->complained_ms = now;
    return true;
}

void state_say_full(struct daemon *d, char *detail, size_t cap)
{
    char short_id[ID_SHORT_BYTES];
    size_t items;
    struct dot dot = { 0 };
    const uint8_t *largest = replica_largest_author(state_replica(d), &items);
    if (largest != NULL)
        memcpy(dot.replica, largest, sizeof(dot.replica));
    (void)snprintf(
        detail, cap,
        "The household's lists are full: hearth playlist delete NAME or hearth wishlist remove TRACK makes room. Most is by %s: %zu of %u things.",
        largest == NULL ? "nobody" : state_author(d, &dot, short_id), items, (unsigned)REPLICA_ITEMS_MAX);
}

static void complain_of_fullness(struct state_sibling *p)
{
    struct daemon *d = p->state->daemon;
    char short_id[ID_SHORT_BYTES];
    size_t items;
    struct dot dot = { 0 };
    const uint8_t *largest = replica_largest_author(&p->state->replica, &items);
    if (largest != NULL)
        memcpy(dot.replica, largest, sizeof(dot.replica));
    if (largest == NULL || items < REPLICA_ITEMS_MAX / 4)
        event(d, "state-full",
              "%s has more than there is room for: remove playlists or wishes there; if it is not yours, the device",
              state_sibling_name(p));
    else
        event(
            d, "state-full",
            "there is no room for what %s has: %s has written %zu of the %u things there may be; remove its playlists and wishes, and, if it is not yours, the device",
            state_sibling_name(p), state_author(d, &dot, short_id), items, (unsigned)REPLICA_ITEMS_MAX);
}

static void on_merged(struct state_edit *e, int outcome)
{
    struct merge *m = container_of(e, struct merge, edit);
    struct state_sibling *p = m->from;
    struct state *s = p->state;
    if (m->verdict == REPLICA_BEHIND) {
        state_sibling_behind(p);
    } else if (m->verdict == REPLICA_MALFORMED) {
        event(s->daemon, "state-refused", "%s sent a household's state that cannot be read; nothing of it was taken",
              state_sibling_name(p));
        if (p->link.link != NULL && link_peer(p->link.link) != NULL)
            peer_close(link_peer(p->link.link), REASON_MALFORMED);
    } else if (outcome == REASON_TOO_LARGE) {
        if (may_complain(p))
            complain_of_fullness(p);
    } else if (outcome != 0) {
        log_warn("what %s has was not taken outcome=%d", state_sibling_name(p), outcome);
    } else if (m->dropped > 0 && may_complain(p)) {
        event(
            s->daemon, "state-refused",
            "%s sent %zu things that nobody could see or remove, such as entries of a playlist that is not there: they were left out",
            state_sibling_name(p), m->dropped);
    }
    buf_free(&m->answer);
    free(m);
    if (p->wanted)
        state_pull(p);
    state_sibling_release(p);
}

void state_merge(struct state_sibling *p, const uint8_t self[REPLICA_ID_BYTES])
{
    struct merge *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return;
    m->edit = (struct state_edit){ .plan = plan_merge, .taking = taking_merge, .done = on_merged };
    m->from = p;
    p->holds++;
    m->answer = p->answer;
    p->answer = buf(REPLICA_ANSWER_BYTES_MAX);
    memcpy(m->self, self, sizeof(m->self));
    state_edit(p->state->daemon, &m->edit);
}
