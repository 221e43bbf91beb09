/* Hostile ends of connections. Callbacks: on_open, on_frame, on_closed; tick. */
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "net/peer_internal.h"

#define TICK_MS 5
#define OPEN_MS 10000

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "hostile: %s\n", what);
    exit(3);
}

int64_t wire_now_ms(void) { return clock_mono_ms(clock_system()); }

/* ---- a party -------------------------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *t) { (void)t; }

void wire_init(struct wire *w, uint64_t seed)
{
    struct rng_fake fake;
    struct key32 key;
    rng_fake_init(&fake, seed);
    rng_fill(seed ? &fake.rng : rng_system(), key.bytes, sizeof(key.bytes));
    *w = (struct wire){ 0 };
    sign_pair_init(&w->key, &key);
    w->id = id_of_key(w->key.public_key);
    struct signer signer;
    signer_from_pair(&signer, &w->key);
    if (uv_loop_init(&w->loop) != 0 || uv_timer_init(&w->loop, &w->tick) != 0 ||
        uv_timer_start(&w->tick, on_tick, TICK_MS, TICK_MS) != 0 || peer_identity_new(&w->identity, &signer) != 0)
        give_up("no loop or no identity");
}

void wire_turn(struct wire *w) { uv_run(&w->loop, UV_RUN_ONCE); }

void wire_deinit(struct wire *w)
{
    uv_close((uv_handle_t *)&w->tick, NULL);
    int64_t end_ms = wire_now_ms() + 5000;
    while (uv_run(&w->loop, UV_RUN_NOWAIT) != 0 && wire_now_ms() < end_ms)
        ;
    if (uv_loop_close(&w->loop) != 0)
        fprintf(stderr, "hostile: something is still open\n");
    peer_identity_free(w->identity);
    secret_wipe(&w->key, sizeof(w->key));
}

/* ---- a connection --------------------------------------------------------------------------------------------- */

static void on_open(struct peer *p, void *ctx)
{
    struct line *l = ctx;
    l->open = true;
    peer_set_tail_max(p, FRAME_TAIL_MAX);
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct line *l = ctx;
    (void)p;
    l->heard_count++;
    if (l->deaf)
        return;
    struct heard *h = malloc(sizeof(*h) + f->message.len + f->tail.len);
    if (!h)
        give_up("no memory");
    *h = (struct heard){ .type = f->type, .request = f->request };
    if (f->message.len > 0)
        memcpy(h->bytes, f->message.data, f->message.len);
    if (f->tail.len > 0)
        memcpy(h->bytes + f->message.len, f->tail.data, f->tail.len);
    h->message = slice(h->bytes, f->message.len);
    h->tail = slice(h->bytes + f->message.len, f->tail.len);
    *l->last = h;
    l->last = &h->next;
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct line *l = ctx;
    (void)p;
    l->peer = NULL;
    l->why = why;
}

const struct peer_callbacks line_callbacks = { on_open, on_frame, NULL, on_closed };

struct line *line_new(struct wire *w)
{
    struct line *l = calloc(1, sizeof(*l));
    if (!l)
        give_up("no memory");
    l->wire = w;
    l->last = &l->first;
    return l;
}

struct line *line_dial(struct wire *w, const char *address)
{
    struct line *l = line_new(w);
    if (peer_dial(&l->peer, &w->loop, w->identity, address, NULL, OPEN_MS, &line_callbacks, l) != 0)
        give_up("no connection can be begun");
    return l;
}

void line_free(struct line *l)
{
    if (!l)
        return;
    if (l->peer)
        peer_fail(l->peer, REASON_CANCELLED);
    while (l->peer)
        wire_turn(l->wire);
    while (l->first) {
        struct heard *h = l->first;
        l->first = h->next;
        free(h);
    }
    free(l);
}

bool line_wait_open(struct line *l, int64_t ms)
{
    int64_t end_ms = wire_now_ms() + ms;
    while (!l->open && l->peer && wire_now_ms() < end_ms)
        wire_turn(l->wire);
    return l->open;
}

bool line_wait_closed(struct line *l, int64_t ms)
{
    int64_t end_ms = wire_now_ms() + ms;
    while (l->peer && wire_now_ms() < end_ms)
        wire_turn(l->wire);
    return !l->peer;
}

static struct heard *hear_any(struct line *l, int64_t end_ms)
{
    while (!l->first && l->peer && wire_now_ms() < end_ms)
        wire_turn(l->wire);
    struct heard *h = l->first;
    if (!h)
        return NULL;
    l->first = h->next;
    if (!l->first)
        l->last = &l->first;
    h->next = NULL;
    return h;
}

struct heard *line_hear(struct line *l, int64_t ms)
{
    int64_t end_ms = wire_now_ms() + ms;
    struct heard *h = hear_any(l, end_ms);
    while (h && !l->hears_state && (h->type == msg_Type_STATE_GET || h->type == msg_Type_STATE_CHANGED)) {
        free(h);
        h = hear_any(l, end_ms);
    }
    return h;
}

void line_say(struct line *l, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
              struct slice tail)
{
    if (l->peer && peer_send(l->peer, type, request, fields, message, tail) != 0 && l->peer &&
        !peer_is_closing(l->peer))
        give_up("a frame could not be queued");
}

void line_say_raw(struct line *l, struct slice bytes)
{
    struct peer *p = l->peer;
    if (!p || peer_is_closing(p))
        return;
    struct peer_out *o = calloc(1, sizeof(*o));
    if (!o)
        give_up("no memory");
    o->pass_fd = -1;
    o->head = buf(bytes.len);
    if (buf_append(&o->head, bytes) != 0)
        give_up("no memory");
    *p->out.last = o;
    p->out.last = &o->next;
    p->out.queued_bytes += bytes.len + sizeof(*o);
    if (p->state == PEER_OPEN && !p->out.blocked)
        peer_pump(p);
}

bool line_flush(struct line *l, int64_t ms)
{
    int64_t end_ms = wire_now_ms() + ms;
    while (l->peer && !peer_flushed(l->peer) && wire_now_ms() < end_ms)
        wire_turn(l->wire);
    return !l->peer || peer_flushed(l->peer);
}

/* The module of peers swallows pongs; but it notes when it heard something. */
bool line_ping(struct line *l, int64_t ms)
{
    int64_t end_ms = wire_now_ms() + ms;
    if (!l->peer)
        return false;
    uint64_t heard_ms = l->peer->last_heard_ms;
    while (l->peer && uv_now(&l->wire->loop) <= heard_ms)
        wire_turn(l->wire);
    line_say(l, msg_Type_PING, 0x7ffffffd, NULL, NULL, slice(NULL, 0));
    while (l->peer && l->peer->last_heard_ms <= heard_ms && wire_now_ms() < end_ms)
        wire_turn(l->wire);
    return l->peer && l->peer->last_heard_ms > heard_ms;
}

int wire_connect_plain(const char *address)
{
    char host[ADDRESS_HOST_BYTES];
    uint16_t port;
    struct sockaddr_storage to;
    if (address_parse(address, host, &port) != 0 || address_numeric(host, port, &to) != 0)
        give_up("not an address");
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&to, address_len(&to)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}
