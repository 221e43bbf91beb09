/* Dialing: from "host:port" to a connected socket, trying each address of a name in turn. On the loop thread.
 *
 * Callbacks, in the order in which they fire: on_resolved; then peer.c calls peer_dial_connected or peer_dial_expired. */
#define LOG_MODULE "dial"
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "net/peer_internal.h"

#define ATTEMPTS_MAX 8

struct peer_dial_state {
    uv_getaddrinfo_t resolver;
    bool resolving;
    struct sockaddr_storage addresses[ATTEMPTS_MAX];
    unsigned count, next;
    uint64_t attempt_deadline_ms; /* 0: the peer's own deadline is enough */
};

/* --- Attempts --- */

/* 0: under way. Whatever is wrong with one address does not speak against the next one. */
static int attempt(struct peer *p, const struct sockaddr_storage *address)
{
    int fd CLEANUP(closep) = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, address_len(address)) != 0 && errno != EINPROGRESS)
        return -errno;
    int r = peer_take_fd(p, fd);
    if (r != 0)
        return r;
    fd = -1;
    return 0;
}

static void try_next(struct peer *p)
{
    struct peer_dial_state *d = p->dial;
    uint64_t now = peer_now(p);
    peer_set_state(p, PEER_CONNECTING);
    while (d->next < d->count) {
        const struct sockaddr_storage *address = &d->addresses[d->next++];
        unsigned left = d->count - d->next + 1;
        address_text((const struct sockaddr *)address, p->address);
        int r = attempt(p, address);
        if (r != 0) {
            log_debug("%s: %s", p->address, strerror(-r));
            continue;
        }
        d->attempt_deadline_ms = left > 1 && p->open_deadline_ms > now ? now + (p->open_deadline_ms - now) / left : 0;
        peer_arm(p, d->attempt_deadline_ms);
        peer_poll(p);
        return;
    }
    peer_fail(p, REASON_OFFLINE);
}

void peer_dial_connected(struct peer *p)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0) {
        p->dial->attempt_deadline_ms = 0;
        peer_start_handshake(p);
        return;
    }
    log_debug("%s: %s", p->address, strerror(error));
    peer_drop_fd(p);
    try_next(p);
}

void peer_dial_expired(struct peer *p)
{
    p->dial->attempt_deadline_ms = 0;
    if (p->state != PEER_CONNECTING)
        return;
    peer_drop_fd(p);
    try_next(p);
}

uint64_t peer_dial_deadline(const struct peer *p) { return p->dial ? p->dial->attempt_deadline_ms : 0; }

/* --- Names --- */

static void on_resolved(uv_getaddrinfo_t *resolver, int status, struct addrinfo *found)
{
    struct peer *p = resolver->data;
    struct peer_dial_state *d = p->dial;
    d->resolving = false;
    for (const struct addrinfo *a = found; status == 0 && a && d->count < ATTEMPTS_MAX; a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
            continue;
        memcpy(&d->addresses[d->count++], a->ai_addr, a->ai_addrlen);
    }
    uv_freeaddrinfo(found);
    if (p->state == PEER_CLOSED) {
        peer_handle_closed(p);
        return;
    }
    p->open_handles--;
    if (status != 0)
        log_info("%s: %s", p->address, uv_strerror(status));
    try_next(p);
}

static int resolve(struct peer *p, const char *host, uint16_t port)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    p->dial->resolver.data = p;
    int r = uv_getaddrinfo(p->loop, &p->dial->resolver, on_resolved, host, service, &hints);
    if (r != 0)
        return r;
    p->dial->resolving = true;
    p->open_handles++;
    peer_set_state(p, PEER_RESOLVING);
    return 0;
}

/* --- From outside --- */

static void begin(struct peer *p, const char *address)
{
    struct peer_dial_state *d = p->dial;
    char host[ADDRESS_HOST_BYTES];
    uint16_t port;
    if (address_parse(address, host, &port) != 0) {
        log_info("not an address: %.64s", p->address);
        p->why = REASON_NOT_FOUND;
        peer_pump(p);
    } else if (address_numeric(host, port, &d->addresses[0]) == 0) {
        d->count = 1;
        peer_pump(p);
    } else if (resolve(p, host, port) != 0) {
        p->why = REASON_OFFLINE;
        peer_pump(p);
    }
}

void peer_dial_begin(struct peer *p) { try_next(p); }

int peer_dial(struct peer **out, uv_loop_t *loop, const struct peer_identity *identity, const char *address,
              const struct id *expected, uint64_t timeout_ms, const struct peer_callbacks *callbacks, void *ctx)
{
    struct peer_dial_state *d = calloc(1, sizeof *d);
    struct peer *p;
    if (!d)
        return -ENOMEM;
    int r = peer_new(&p, loop, callbacks, ctx);
    if (r != 0) {
        free(d);
        return r;
    }
    p->dial = d;
    p->dialed = true;
    p->identity = identity;
    p->expects = expected != NULL;
    if (expected)
        p->expected = *expected;
    text_safe(address, p->address, sizeof p->address);
    p->open_deadline_ms = peer_now(p) + timeout_ms;
    peer_arm(p, p->open_deadline_ms);
    begin(p, address);
    *out = p;
    return 0;
}

void peer_dial_stop(struct peer *p)
{
    if (p->dial && p->dial->resolving)
        uv_cancel((uv_req_t *)&p->dial->resolver); /* also when it is too late for that, on_resolved comes */
}

void peer_dial_free(struct peer *p)
{
    free(p->dial);
    p->dial = NULL;
}
