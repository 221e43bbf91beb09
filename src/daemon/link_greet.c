/* The beginning of a link: hello both ways. A roster presented by the other end is looked at even when we do not know it: a device that
 * joined the household since we last heard from our distributor shows itself with it. Only one that is signed by a distributor of our
 * own, for our household, and newer than ours counts, and the vault is the judge. Source: design section 2.
 *
 * Callbacks, in order: on_checked. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/account.h"
#include "daemon/link_internal.h"
#include "daemon/siblings.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "link"
#include "base/log.h"

/* The roster that the other end can use: one that lists it, if there is one. */
static const struct account *presented(struct daemon *d, const struct id *client)
{
    const struct account *any = NULL;
    for (const struct account *a = d->accounts; a != NULL; a = a->next) {
        if (a->roster == NULL || a->roster_envelope.len == 0)
            continue;
        if (roster_find(a->roster, client) != NULL)
            return a;
        any = a;
    }
    return any;
}

int link_greet(struct link *l)
{
    struct daemon *d = l->owner->daemon;
    const struct account *a = presented(d, &l->client);
    msg_DeviceHello hello = msg_DeviceHello_init_zero;
    CODEC_SET_TEXT(hello.name, d->config.name);
    return peer_send(l->peer, msg_Type_DEVICE_HELLO, 0, msg_DeviceHello_fields, &hello,
                     a == NULL ? slice(NULL, 0) : buf_slice(&a->roster_envelope));
}

struct check { /* a roster on its way through the vault */
    struct link *link;
    struct id distributor;
    struct buf envelope;
};

static void check_free(struct check *c)
{
    buf_free(&c->envelope);
    free(c);
}

static void on_checked(const struct answer *answer, void *ctx)
{
    struct check *c = ctx;
    struct link *l = c->link;
    struct account *a = account_find(l->owner->daemon, c->distributor.bytes);
    if (answer->why != REASON_NONE) {
        log_info("%s presented a roster that does not count: %s", l->name, reason_code(answer->why));
    } else if (a != NULL && !l->owner->stopping) {
        if (account_set_roster(a, buf_slice(&c->envelope)) != 0)
            log_warn("a roster could not be taken over");
        siblings_refresh(l->owner->daemon);
    }
    check_free(c);
    if (l->peer != NULL && !l->owner->stopping) {
        peer_resume(l->peer);
        link_ready(l);
    }
    link_release(l);
}

/* Is it worth asking the vault? Only with a roster of an own distributor, for the own household, newer than known. */
static struct account *account_of(struct daemon *d, struct slice envelope)
{
    doc_Roster *roster CLEANUP(freep) = malloc(sizeof(*roster));
    uint8_t signer[32];
    if (roster == NULL || document_open(DOCUMENT_ROSTER, envelope, roster, sizeof(*roster), signer) != 0)
        return NULL;
    struct account *a = account_find(d, roster->distributor);
    if (a == NULL || a->roster == NULL || roster->sequence <= a->roster->sequence)
        return NULL;
    return memcmp(roster->household, a->roster->household, sizeof(roster->household)) == 0 ? a : NULL;
}

/* True when the vault was asked. */
static bool check_roster(struct link *l, struct slice envelope)
{
    struct daemon *d = l->owner->daemon;
    struct account *a = envelope.len == 0 ? NULL : account_of(d, envelope);
    struct check *c = a == NULL ? NULL : calloc(1, sizeof(*c));
    if (c == NULL)
        return false;
    c->link = l;
    c->distributor = a->distributor;
    c->envelope = buf(envelope.len);
    vlt_RosterCheck m = vlt_RosterCheck_init_zero;
    memcpy(m.distributor, a->distributor.bytes, sizeof(m.distributor));
    struct ask ask = ASK(vlt_Type_ROSTER_CHECK, vlt_Type_DONE, vlt_RosterCheck, &m);
    ask.tail = envelope;
    int r = buf_append(&c->envelope, envelope);
    if (r == 0)
        r = vault_call(d->vault, &ask, on_checked, c);
    if (r != 0) {
        check_free(c);
        return false;
    }
    l->holds++;
    return true;
}

void link_greeted(struct link *l, const struct frame *f)
{
    msg_DeviceHello hello;
    if (f->type != msg_Type_DEVICE_HELLO || CODEC_DECODE(msg_DeviceHello, f->message, &hello) != 0) {
        peer_close(l->peer, REASON_MALFORMED);
        return;
    }
    if (!check_roster(l, f->tail)) {
        link_ready(l);
        return;
    }
    l->state = LINK_CHECKING;
    peer_pause(l->peer); /* what it says next is judged by the roster */
}
