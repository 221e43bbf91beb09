/* Callbacks: on_accept (a new connection), on_sweep (who has not greeted in time, or has an old keyset), on_pace (sockets
 * that may be read again), on_stop (until everyone is answered). */
#define LOG_MODULE "lobby"
#include "distributor/lobby.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "distributor/metrics.h"
#include "net/address.h"

#define PACE_TICK_MS 50
#define GREETING_MS 10000 /* from the handshake to HELLO */
#define SWEEP_MS 500
#define RENEWED_A_SWEEP 50 /* hung up on for a new keyset: 100 a second come back */
#define RENEW_IDLE_MS 2000
#define STOP_TICK_MS 20

struct lobby {
    struct server *server;
    struct peer_listener *listener;
    struct names addresses, users;
    struct session *first;
    struct session *first_paced;
    uv_timer_t pace_timer, sweep_timer, stop_timer;
    int handles_open;
    bool shut, stopping;
    int64_t stop_at_ms;
    void (*on_stopped)(struct server *);
};

static void stopped_when_empty(struct lobby *l)
{
    if (l->stopping && l->listener == NULL && l->first == NULL && l->handles_open == 0 && l->on_stopped != NULL)
        steal (&l->on_stopped)(l->server);
}

/* --- Coming and going ------------------------------------------------------------------------------------------------ */

static bool on_accept(struct peer *p, struct peer_callbacks *out, void **ctx, void *listener_ctx)
{
    struct server *server = listener_ctx;
    struct lobby *l = server->lobby;
    if (l->shut)
        return false;
    uint8_t host[THROTTLE_HOST_BYTES];
    size_t host_len = throttle_host(slice_str(peer_address(p)), host);
    struct name *address = names_take(&l->addresses, slice(host, host_len));
    if (address == NULL) {
        server->metrics->turned_away++;
        return false;
    }
    struct session *s =
        address->uses <= server->config.connections_per_address_max ? session_new(server, p, out) : NULL;
    if (s == NULL) {
        server->metrics->turned_away++;
        names_drop(&l->addresses, address);
        return false;
    }
    server->metrics->accepted++;
    s->address = address;
    s->next = l->first;
    if (l->first != NULL)
        l->first->previous = s;
    l->first = s;
    *ctx = s;
    return true;
}

void lobby_leave(struct session *s)
{
    struct lobby *l = s->server->lobby;
    if (s->previous != NULL)
        s->previous->next = s->next;
    else
        l->first = s->next;
    if (s->next != NULL)
        s->next->previous = s->previous;
    stopped_when_empty(l);
}

void lobby_set_user(struct session *s, const char *user)
{
    struct names *users = &s->server->lobby->users;
    if (s->user != NULL) {
        struct session **at = (struct session **)&s->user->data;
        while (*at != s)
            at = &(*at)->next_of_user;
        *at = s->next_of_user;
        s->next_of_user = NULL;
        names_drop(users, steal(&s->user));
    }
    if (user[0] == '\0')
        return;
    s->user = names_take(users, slice_str(user));
    if (s->user == NULL)
        return; /* without memory it hears of changed rosters at its next connection */
    s->next_of_user = s->user->data;
    s->user->data = s;
}

/* --- Pace ------------------------------------------------------------------------------------------------------------ */

static void unpace(struct session *s)
{
    if (!s->paused_by_pace)
        return;
    struct session **at = &s->server->lobby->first_paced;
    while (*at != s)
        at = &(*at)->next_paced;
    *at = s->next_paced;
    s->paused_by_pace = false;
}

static void on_pace(uv_timer_t *t)
{
    struct lobby *l = container_of(t, struct lobby, pace_timer);
    int64_t now_ms = clock_mono_ms(l->server->clock);
    if (l->first_paced == NULL)
        uv_timer_stop(t);
    struct session *next;
    for (struct session *s = l->first_paced; s != NULL; s = next) {
        next = s->next_paced;
        if (now_ms < s->pace_until_ms)
            continue;
        unpace(s);
        session_resume(s);
    }
}

void lobby_pace(struct session *s, uint64_t wait_ms)
{
    struct lobby *l = s->server->lobby;
    s->paused_by_pace = true;
    s->pace_until_ms = clock_mono_ms(s->server->clock) + (int64_t)wait_ms;
    s->next_paced = l->first_paced;
    l->first_paced = s;
    peer_pause(s->peer);
    if (!uv_is_active((uv_handle_t *)&l->pace_timer) && !l->stopping)
        uv_timer_start(&l->pace_timer, on_pace, PACE_TICK_MS, PACE_TICK_MS);
}

/* --- Greeting -------------------------------------------------------------------------------------------------------- */

/* A distributor that was shown a keyset that is not the newest: it comes back when it needs us. Devices are shown the new one. */
static bool is_outdated(const struct session *s)
{
    return s->state == SESSION_READY && s->role == REQUESTS_DISTRIBUTOR &&
           s->keyset_generation != s->server->keyset_generation;
}

static void on_sweep(uv_timer_t *t)
{
    struct lobby *l = container_of(t, struct lobby, sweep_timer);
    int64_t now_ms = clock_mono_ms(l->server->clock);
    bool again = false;
    unsigned renewed = 0;
    for (struct session *s = l->first; s != NULL; s = s->next) {
        bool outdated = is_outdated(s), stranger = s->state == SESSION_STRANGER;
        again = again || outdated || stranger;
        if (stranger && now_ms >= s->greet_by_ms) {
            peer_close(s->peer, REASON_TIMED_OUT);
        } else if (outdated && renewed < RENEWED_A_SWEEP && s->running == NULL &&
                   now_ms - s->heard_ms >= RENEW_IDLE_MS) {
            peer_close(s->peer, REASON_OFFLINE);
            renewed++;
        }
    }
    if (!again)
        uv_timer_stop(t);
}

static void sweep(struct lobby *l)
{
    if (!uv_is_active((uv_handle_t *)&l->sweep_timer) && !l->stopping)
        uv_timer_start(&l->sweep_timer, on_sweep, SWEEP_MS, SWEEP_MS);
}

void lobby_expect_greeting(struct session *s)
{
    s->greet_by_ms = clock_mono_ms(s->server->clock) + GREETING_MS;
    sweep(s->server->lobby);
}

void lobby_show_keyset(struct lobby *l)
{
    struct session *next;
    for (struct session *s = l->first; s != NULL; s = next) {
        next = s->next;
        bool greeting = s->state == SESSION_STRANGER || s->state == SESSION_GREETING,
             device = s->state == SESSION_READY && s->role == REQUESTS_DEVICE;
        if (device)
            s->keyset_generation = s->server->keyset_generation;
        /* Who is in the middle of a greeting begins it again: it has seen the old one, and would not know the next one's signatures. */
        if (greeting ||
            (device && peer_send(s->peer, msg_Type_KEYSET, 0, NULL, NULL, buf_slice(&s->server->keyset)) != 0))
            peer_close(s->peer, REASON_OFFLINE);
    }
    sweep(l);
}

void lobby_set_identity(struct lobby *l, const struct peer_identity *identity)
{
    if (l->listener != NULL)
        peer_listener_set_identity(l->listener, identity);
}

void lobby_greet_again(struct lobby *l)
{
    struct session *next;
    for (struct session *s = l->first; s != NULL; s = next) {
        next = s->next;
        /* Who is in the middle of a greeting was perhaps judged before. */
        if (s->state == SESSION_GREETING ||
            (s->state == SESSION_READY && s->role == REQUESTS_DEVICE && s->user == NULL))
            peer_close(s->peer, REASON_OFFLINE);
    }
}

/* --- The end of a connection ------------------------------------------------------------------------------------------ */

void lobby_forget_connection(struct session *s)
{
    lobby_set_user(s, "");
    unpace(s);
    names_drop(&s->server->lobby->addresses, steal(&s->address));
}

/* --- Announcements ---------------------------------------------------------------------------------------------------- */

static void tell(struct session *s, uint16_t type)
{
    if (s->peer != NULL && peer_send(s->peer, type, 0, NULL, NULL, slice(NULL, 0)) != 0)
        peer_close(s->peer, REASON_INTERNAL);
}

static void push(struct lobby *l, const char *user, uint16_t type)
{
    const struct name *name = names_find(&l->users, slice_str(user));
    if (name == NULL)
        return;
    for (struct session *one = name->data; one != NULL; one = one->next_of_user)
        tell(one, type);
}

void lobby_push_roster(struct lobby *l, const char *user) { push(l, user, msg_Type_ROSTER_CHANGED); }

static bool is_among(const struct session *s, const struct id *guests, size_t count)
{
    bool among = false;
    for (size_t i = 0; i < count; i++)
        among |= id_equal(s->id.bytes, guests[i].bytes);
    return among;
}

/* Guests have no name to be found by: seldom, and a walk through ten thousand sessions is short. */
void lobby_push_queue(struct lobby *l, const char *user, const struct id *guests, size_t guest_count)
{
    struct session *next;
    push(l, user, msg_Type_QUEUE_CHANGED);
    for (struct session *s = guest_count > 0 ? l->first : NULL; s != NULL; s = next) {
        next = s->next;
        if (s->state == SESSION_READY && s->role == REQUESTS_DEVICE && s->user == NULL &&
            is_among(s, guests, guest_count))
            tell(s, msg_Type_QUEUE_CHANGED);
    }
}

const struct names *lobby_users(const struct lobby *l) { return &l->users; }

void lobby_visit_distributors(struct lobby *l, void (*visit)(struct session *s, void *ctx), void *ctx)
{
    struct session *next;
    for (struct session *one = l->first; one != NULL; one = next) {
        next = one->next;
        if (one->state == SESSION_READY && one->role == REQUESTS_DISTRIBUTOR)
            visit(one, ctx);
    }
}

void lobby_figures(const struct lobby *l, struct lobby_figures *out)
{
    *out = (struct lobby_figures){ 0 };
    for (const struct session *s = l != NULL ? l->first : NULL; s != NULL; s = s->next) {
        bool greeted = s->state == SESSION_READY;
        out->strangers += !greeted && s->state != SESSION_CLOSED;
        out->devices += greeted && s->role == REQUESTS_DEVICE;
        out->distributors += greeted && s->role == REQUESTS_DISTRIBUTOR;
        out->running += s->running != NULL;
        out->waiting += s->waiting_count;
    }
}

/* --- Start and stop --------------------------------------------------------------------------------------------------- */

int lobby_start(struct lobby **out, struct server *server, uint16_t *port)
{
    char host[ADDRESS_HOST_BYTES];
    uint16_t wanted;
    if (address_parse_listen(server->config.listen, host, &wanted) != 0)
        return -EINVAL;
    struct lobby *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    l->server = server;
    int r = names_init(&l->addresses, server->rng);
    if (r == 0)
        r = names_init(&l->users, server->rng);
    if (r != 0) {
        lobby_free(l);
        return r;
    }
    uv_timer_init(&server->loop, &l->pace_timer);
    uv_timer_init(&server->loop, &l->sweep_timer);
    uv_timer_init(&server->loop, &l->stop_timer);
    l->handles_open = 3;
    *out = l;
    return peer_listen(&l->listener, &server->loop, server->identity, host, wanted, server->config.connections_max,
                       on_accept, server, port);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct lobby *l = h->data;
    l->handles_open--;
    stopped_when_empty(l);
}

/* A frame that answers nothing: whoever hears it knows that it is not the network. */
static void say_goodbye(struct lobby *l)
{
    for (struct session *s = l->first; s != NULL; s = s->next)
        if (s->peer != NULL && s->state == SESSION_READY)
            session_refuse(s, 0, REASON_OFFLINE, "The distributor stops. Try again in a while.", slice(NULL, 0));
}

static void close_all(struct lobby *l)
{
    say_goodbye(l);
    if (l->listener != NULL)
        peer_listener_close(steal(&l->listener));
    l->pace_timer.data = l->sweep_timer.data = l->stop_timer.data = l;
    uv_close((uv_handle_t *)&l->pace_timer, on_handle_closed);
    uv_close((uv_handle_t *)&l->sweep_timer, on_handle_closed);
    uv_close((uv_handle_t *)&l->stop_timer, on_handle_closed);
}

static void on_stop(uv_timer_t *t)
{
    struct lobby *l = container_of(t, struct lobby, stop_timer);
    bool busy = false;
    for (struct session *s = l->first; s != NULL && !busy; s = s->next)
        busy = s->running != NULL;
    if (!busy || clock_mono_ms(l->server->clock) >= l->stop_at_ms)
        close_all(l);
}

void lobby_shut(struct lobby *l) { l->shut = true; }

void lobby_stop(struct lobby *l, void (*on_stopped)(struct server *), struct server *server)
{
    if (l == NULL) {
        on_stopped(server);
        return;
    }
    l->shut = l->stopping = true;
    l->on_stopped = on_stopped;
    l->stop_at_ms = clock_mono_ms(server->clock) + (int64_t)server->config.stop_seconds * 1000;
    for (struct session *s = l->first; s != NULL; s = s->next)
        if (s->peer != NULL && s->state != SESSION_OPENING)
            peer_pause(s->peer);
    if (uv_timer_start(&l->stop_timer, on_stop, 0, STOP_TICK_MS) != 0)
        close_all(l);
}

void lobby_free(struct lobby *l)
{
    if (l == NULL)
        return;
    names_deinit(&l->addresses);
    names_deinit(&l->users);
    free(l);
}

bool lobby_is_stopping(const struct lobby *l) { return l->stopping; }
