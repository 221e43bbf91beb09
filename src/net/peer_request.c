/* Requests of a peer and the replies to them; refusals. On the loop thread.
 *
 * Both ends choose their own request IDs, so these must not meet: who dialed (or was given a descriptor) asks with odd IDs, who accepted
 * with even ones. A frame whose ID is ours is a reply; one that nobody waits for any more is dropped. */
#include <stdlib.h>

#include "base/util.h"
#include "net/peer_internal.h"

/* --- The list of what is waited for, oldest first --- */

static void append(struct peer *p, struct peer_request_entry *e)
{
    e->next = NULL;
    e->previous = p->requests_last;
    if (p->requests_last)
        p->requests_last->next = e;
    else
        p->requests = e;
    p->requests_last = e;
}

static void unlink_entry(struct peer *p, struct peer_request_entry *e)
{
    if (e->previous)
        e->previous->next = e->next;
    else
        p->requests = e->next;
    if (e->next)
        e->next->previous = e->previous;
    else
        p->requests_last = e->previous;
}

static struct peer_request_entry *find(struct peer *p, uint32_t id)
{
    struct peer_request_entry *e = p->requests;
    while (e && e->id != id)
        e = e->next;
    return e;
}

/* --- Asking --- */

uint32_t peer_next_request(struct peer *p)
{
    if (p->next_request == 0)
        p->next_request = p->dialed ? 1 : 2;
    uint32_t id = p->next_request;
    p->next_request += 2;
    if (p->next_request < id) {
        p->requests_wrapped = true;
        p->next_request = p->dialed ? 1 : 2;
    }
    return id;
}

int peer_request(struct peer *p, uint16_t type, const pb_msgdesc_t *fields, const void *message, struct slice tail,
                 uint64_t timeout_ms, peer_reply_fn on_reply, void *ctx, uint32_t *request)
{
    struct peer_request_entry *e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    e->id = peer_next_request(p);
    e->timeout_ms = timeout_ms;
    e->deadline_ms = peer_now(p) + timeout_ms;
    e->on_reply = on_reply;
    e->ctx = ctx;
    int r = peer_send(p, type, e->id, fields, message, tail);
    if (r != 0) {
        free(e);
        return r;
    }
    append(p, e);
    if (p->state == PEER_OPEN)
        peer_arm(p, e->deadline_ms);
    if (request)
        *request = e->id;
    return 0;
}

void peer_forget(struct peer *p, uint32_t request)
{
    struct peer_request_entry *e = find(p, request);
    if (request != 0 && request == p->firing)
        p->firing_forgotten = true;
    if (!e)
        return;
    unlink_entry(p, e);
    free(e);
}

/* --- Being answered --- */

/* Fires e, which is not in the list; puts it back when it waits for more. */
static void fire(struct peer *p, struct peer_request_entry *e, const struct frame *reply, enum reason why)
{
    bool last = !reply || reply->type == msg_Type_REFUSAL;
    p->firing = e->id;
    p->firing_forgotten = false;
    bool more = e->on_reply(p, reply, why, e->ctx);
    bool keep = more && !last && !p->firing_forgotten;
    p->firing = 0;
    if (!keep) {
        free(e);
        return;
    }
    e->deadline_ms = peer_now(p) + e->timeout_ms;
    append(p, e);
    if (p->state == PEER_OPEN)
        peer_arm(p, e->deadline_ms);
}

static bool is_ours(const struct peer *p, uint32_t id)
{
    return id != 0 && (id & 1) == (p->dialed ? 1u : 0u) && (p->requests_wrapped || id < p->next_request);
}

bool peer_deliver_reply(struct peer *p, const struct frame *f)
{
    struct peer_request_entry *e = is_ours(p, f->request) ? find(p, f->request) : NULL;
    if (!e)
        return is_ours(p, f->request);
    unlink_entry(p, e);
    fire(p, e, f, REASON_NONE);
    return true;
}

/* --- Not being answered --- */

uint64_t peer_requests_deadline(const struct peer *p)
{
    uint64_t at = 0;
    for (const struct peer_request_entry *e = p->requests; e; e = e->next) {
        if (at == 0 || e->deadline_ms < at)
            at = e->deadline_ms;
    }
    return at;
}

void peer_requests_expire(struct peer *p)
{
    for (;;) {
        struct peer_request_entry *e = p->requests;
        while (e && e->deadline_ms > peer_now(p))
            e = e->next;
        if (!e || p->state != PEER_OPEN)
            return;
        unlink_entry(p, e);
        fire(p, e, NULL, REASON_TIMED_OUT);
    }
}

void peer_requests_restart(struct peer *p)
{
    for (struct peer_request_entry *e = p->requests; e; e = e->next)
        e->deadline_ms = peer_now(p) + e->timeout_ms;
}

void peer_requests_fail(struct peer *p, enum reason why)
{
    while (p->requests) {
        struct peer_request_entry *e = p->requests;
        unlink_entry(p, e);
        fire(p, e, NULL, why);
    }
}

/* --- Refusals --- */

int peer_refuse(struct peer *p, uint32_t request, enum reason reason, const char *detail)
{
    msg_Refusal refusal = msg_Refusal_init_zero;
    reason_refusal(&refusal, reason, detail);
    return peer_send(p, msg_Type_REFUSAL, request, msg_Refusal_fields, &refusal, slice(NULL, 0));
}

enum reason peer_refusal(const struct frame *f, uint16_t expected_type, msg_Refusal *out)
{
    return reason_of_reply(f, expected_type, out);
}
