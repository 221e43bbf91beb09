/* The control socket: clients, their calls, and the table that says who answers what.
 *
 * Callbacks, in order: on_accept, on_frame (starts a call; before control_ready most only wait), on_drain (long listings go on), on_closed (calls lose their client, followers are told). */
#include "daemon/control.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/runtime.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/util.h"
#include "daemon/listing.h"

#define LOG_MODULE "control"
#include "base/log.h"
#include "daemon/spawner.h"

#define CLIENTS_MAX 64
#define TURNED_AWAY_MAX 16 /* beside them: those who are told that there are so many */
#define CALLS_MAX 1024     /* of one client at a time */

struct client {
    struct control *control;
    struct peer *peer;
    struct client *next;
    struct call *calls;
    unsigned call_count;
    uint64_t terminal;
    bool turned_away;
};
struct call {
    struct client *client; /* NULL: it has left */
    struct call *next, **before;
    uint32_t request;
    uint64_t terminal; /* of its client, when it came */
    void (*on_gone)(struct call *c, void *ctx);
    void *ctx;
    void (*on_room)(struct call *c, void *ctx); /* one-shot */
    void *room_ctx;
};
struct held { /* a call whose handler has not been told yet */
    struct held *next;
    struct call *call;
    const struct control_entry *entry;
    void *message; /* owned */
};
struct control {
    struct daemon *daemon;
    struct peer_listener *listener;
    struct client *clients;
    struct held *held, **held_end;
    bool stopping;
};

/* --- Calls --- */

static void call_end(struct call *c)
{
    if (c->client != NULL) {
        *c->before = c->next;
        if (c->next != NULL)
            c->next->before = c->before;
        c->client->call_count--;
    }
    free(c);
}

static void send_or_close(struct client *client, uint32_t request, uint16_t type, const pb_msgdesc_t *fields,
                          const void *message)
{
    int r = peer_send(client->peer, type, request, fields, message, slice(NULL, 0));
    if (r == -EMSGSIZE || r == -EINVAL)
        log_error("an answer could not be encoded type=%u", (unsigned)type);
    if (r != 0)
        peer_close(client->peer, REASON_INTERNAL); /* better no answer than one with a hole */
}

void call_row(struct call *c, uint16_t type, const pb_msgdesc_t *fields, const void *message)
{
    if (c->client != NULL)
        send_or_close(c->client, c->request, type, fields, message);
}

void call_progress(struct call *c, uint64_t done, uint64_t total, const char *format, ...)
{
    ctl_Progress progress = { .done = done, .total = total };
    char text[256], safe[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    CODEC_SET_TEXT(progress.text, text_safe(text, safe, sizeof(safe)));
    CALL_ROW(c, PROGRESS, Progress, &progress);
}

void call_finish(struct call *c)
{
    ctl_Finished finished = ctl_Finished_init_zero;
    CALL_ROW(c, FINISHED, Finished, &finished);
    call_end(c);
}

void call_refuse_as(struct call *c, const msg_Refusal *refusal)
{
    call_row(c, msg_Type_REFUSAL, msg_Refusal_fields, refusal);
    call_end(c);
}

void call_refuse(struct call *c, enum reason why, const char *detail)
{
    msg_Refusal refusal;
    char safe[256], full[DAEMON_FULL_BYTES]; /* what was cut may end in the middle of a character */
    if (why == REASON_STORAGE_FULL && detail == NULL && c->client != NULL)
        detail = daemon_full_text(c->client->control->daemon, full);
    reason_refusal(&refusal, why, detail == NULL ? NULL : text_safe(detail, safe, sizeof(safe)));
    call_refuse_as(c, &refusal);
}

void call_choose_listing(struct daemon *d, const struct call *c) { listing_choose(d, c->terminal); }

void terminal_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Terminal *m = message;
    (void)d;
    if (c->client != NULL)
        c->client->terminal = m->session;
    call_finish(c);
}

bool call_is_watched(const struct call *c) { return c->client != NULL; }

bool call_shares_client(const struct call *a, const struct call *b)
{
    return a->client != NULL && a->client == b->client;
}

void call_on_gone(struct call *c, void (*on_gone)(struct call *c, void *ctx), void *ctx)
{
    c->on_gone = on_gone;
    c->ctx = ctx;
}

bool call_has_room(const struct call *c) { return c->client == NULL || peer_writable(c->client->peer); }

void call_when_room(struct call *c, void (*on_room)(struct call *c, void *ctx), void *ctx)
{
    c->on_room = on_room;
    c->room_ctx = ctx;
}

static void tell_room(struct call *c)
{
    void (*on_room)(struct call * c, void *ctx) = steal(&c->on_room);
    if (on_room != NULL)
        on_room(c, c->room_ctx); /* may end c */
}

/* --- Frames --- */

static const struct control_entry *find_entry(uint16_t type)
{
    for (const struct control_entry *e = control_table; e->type != 0; e++)
        if (e->type == type)
            return e;
    return NULL;
}

static void refuse_frame(struct client *client, const struct frame *f, enum reason why)
{
    if (peer_refuse(client->peer, f->request, why, NULL) != 0)
        peer_close(client->peer, why);
}

static void free_message(const struct control_entry *entry, void *message)
{
    secret_wipe(message, entry->size); /* may hold a password */
    free(message);
}

/* Takes message. */
static void hold(struct control *control, struct call *c, const struct control_entry *entry, void *message)
{
    struct held *h = malloc(sizeof(*h));
    if (h == NULL) {
        free_message(entry, message);
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    *h = (struct held){ NULL, c, entry, message };
    *control->held_end = h;
    control->held_end = &h->next;
}

static void handle(struct daemon *d, struct call *c, const struct control_entry *entry, const void *message)
{
    call_choose_listing(d, c);
    entry->handler(d, c, message);
}

static void run_held(struct control *control, bool refuse)
{
    struct held *h;
    while ((h = control->held) != NULL) {
        control->held = h->next;
        if (control->held == NULL)
            control->held_end = &control->held;
        if (refuse)
            call_refuse(h->call, REASON_CANCELLED, NULL);
        else
            handle(control->daemon, h->call, h->entry, h->message);
        free_message(h->entry, h->message);
        free(h);
    }
}

/* Takes message. */
static void run(struct client *client, const struct frame *f, const struct control_entry *entry, void *message)
{
    struct daemon *d = client->control->daemon;
    if (codec_decode(entry->fields, entry->max_bytes, f->message, message, entry->size) != 0) {
        refuse_frame(client, f, REASON_MALFORMED);
        free_message(entry, message);
        return;
    }
    struct call *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        refuse_frame(client, f, REASON_INTERNAL);
        free_message(entry, message);
        return;
    }
    c->client = client;
    c->request = f->request;
    c->terminal = client->terminal;
    c->next = client->calls;
    c->before = &client->calls;
    if (c->next != NULL)
        c->next->before = &c->next;
    client->calls = c;
    client->call_count++;
    if (!entry->early && !d->started) {
        hold(client->control, c, entry, message);
        return;
    }
    handle(d, c, entry, message);
    free_message(entry, message);
}

static void turn_away(struct client *client, const struct frame *f)
{
    if (peer_refuse(client->peer, f->request, REASON_RATE_LIMITED,
                    "hearthd serves 64 commands already: end one of them, such as hearth events --follow.") != 0 ||
        f->type != ctl_Type_TERMINAL) /* what is wanted comes behind it */
        peer_close(client->peer, REASON_RATE_LIMITED);
}
_Static_assert(CLIENTS_MAX == 64, "the sentence says how many");

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct client *client = ctx;
    const struct control_entry *entry = find_entry(f->type);
    (void)p;
    if (client->turned_away && f->request != 0) {
        turn_away(client, f);
        return;
    }
    /* A frame that is no request has no place here; one that cannot be read ends only itself. */
    if (f->request == 0) {
        peer_close(client->peer, REASON_MALFORMED);
        return;
    }
    if (entry == NULL || f->tail.len != 0) {
        refuse_frame(client, f, REASON_MALFORMED);
        return;
    }
    if (client->call_count >= CALLS_MAX) {
        refuse_frame(client, f, REASON_RATE_LIMITED);
        return;
    }
    void *message = calloc(1, entry->size);
    if (message == NULL) {
        refuse_frame(client, f, REASON_INTERNAL);
        return;
    }
    run(client, f, entry, message);
}

static void on_open(struct peer *p, void *ctx)
{
    (void)p;
    (void)ctx;
}

static void on_drain(struct peer *p, void *ctx)
{
    struct client *client = ctx;
    struct call *next;
    (void)p;
    for (struct call *c = client->calls; c != NULL; c = next) {
        next = c->next;
        tell_room(c);
    }
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct client *client = ctx;
    (void)p;
    (void)why;
    for (struct client **at = &client->control->clients; *at != NULL; at = &(*at)->next)
        if (*at == client) {
            *at = client->next;
            break;
        }
    struct call *c = client->calls;
    while (c != NULL) {
        struct call *next = c->next;
        c->client = NULL;
        if (c->on_gone != NULL)
            c->on_gone(c, c->ctx); /* ends c */
        else
            tell_room(c); /* there is always room for rows that go nowhere */
        c = next;
    }
    struct control *control = client->control;
    free(client);
    if (control->stopping && control->clients == NULL)
        free(control);
}

static bool on_accept(struct peer *p, struct peer_callbacks *callbacks, void **ctx, void *listener_ctx)
{
    struct control *control = listener_ctx;
    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL || control->stopping) {
        free(client);
        return false;
    }
    size_t count = 0;
    for (const struct client *other = control->clients; other != NULL; other = other->next)
        count += !other->turned_away;
    client->turned_away = count >= CLIENTS_MAX;
    client->control = control;
    client->peer = p;
    client->next = control->clients;
    control->clients = client;
    *callbacks = (struct peer_callbacks){
        .on_open = on_open, .on_frame = on_frame, .on_drain = on_drain, .on_closed = on_closed
    };
    *ctx = client;
    return true;
}

/* --- Life --- */

int control_bind(struct daemon *d)
{
    char path[CONFIG_PATH_BYTES + 16];
    int r = file_join(path, sizeof(path), d->config.runtime_dir, RUNTIME_SOCKET);
    if (r == 0)
        r = d->control_fd = peer_bind_unix(path);
    if (r >= 0)
        return 0;
    log_error("the control socket could not be opened path=%s error=%s", path, strerror(-r));
    d->explained = true;
    return r;
}

int control_start(struct daemon *d)
{
    char path[CONFIG_PATH_BYTES + 16];
    int r = file_join(path, sizeof(path), d->config.runtime_dir, RUNTIME_SOCKET);
    if (r != 0)
        return r;
    struct control *control CLEANUP(freep) = calloc(1, sizeof(*control));
    if (control == NULL)
        return -ENOMEM;
    control->daemon = d;
    control->held_end = &control->held;
    r = peer_listen_unix(&control->listener, d->loop, d->control_fd, path, CLIENTS_MAX + TURNED_AWAY_MAX, on_accept,
                         control);
    d->control_fd = -1;
    if (r != 0) {
        log_error("the control socket could not be opened path=%s error=%s", path, strerror(-r));
        d->explained = true;
        return r;
    }
    d->control = steal(&control);
    return 0;
}

void control_ready(struct daemon *d)
{
    if (d->control != NULL)
        run_held(d->control, false);
}

void control_stop(struct daemon *d)
{
    struct control *control = steal(&d->control);
    if (control == NULL)
        return;
    run_held(control, true);
    control->stopping = true;
    peer_listener_close(control->listener);
    spawner_unbind(d->spawner);
    if (control->clients == NULL)
        free(control);
}
