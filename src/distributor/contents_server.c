/* Callbacks, in order: on_accept, on_open, on_frame (any number), on_drain, on_closed of each visitor; on_sweep; on_signal, then on_pull_stopped
 * of each pull, until nothing is left. */
#define LOG_MODULE "contents"
#include "distributor/contents_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/confinement.h"
#include "distributor/contents_pull.h"
#include "distributor/contents_state.h"
#include "distributor/throttle.h"
#include "net/address.h"
#include "net/serve.h"

#define FIRST_REQUEST_MS 10000
#define SWEEP_MS 1000
#define QUESTION_BYTES 1024 /* no question here has a tail */

struct visitor {
    struct contents_server *server;
    struct visitor *next, *previous;
    struct peer *peer;
    struct serve_client *bodies;
    struct name *address;
    int64_t ask_by_ms; /* INT64_MAX: has asked */
};

struct contents_server {
    struct config config;
    struct contents_state state;
    uv_loop_t loop;
    char bodies_dir[1100];
    struct sign_pair pair;
    struct peer_identity *identity;
    struct peer_listener *listener;
    struct serve *bodies;
    struct names addresses, known;
    struct visitor *first;
    struct contents_pull *pulls[CONTENTS_PRINCIPALS_MAX];
    struct id followed[CONTENTS_PRINCIPALS_MAX];
    size_t pull_count, pulls_left;
    uv_timer_t sweep;
    uv_signal_t signals[3];
    bool stopping;
    int notify_fd;
};
static const int signal_numbers[] = { SIGTERM, SIGINT, SIGHUP };

static int path_of(void *ctx, const struct id *content, char *path, size_t cap)
{
    const struct contents_server *s = ctx;
    char name[ID_TEXT_BYTES];
    id_text(content->bytes, name);
    int len = snprintf(path, cap, "%s/%s.body", s->bodies_dir, name);
    return len < 0 || (size_t)len >= cap ? REASON_UNKNOWN_CONTENT : 0;
}

/* --- Visitors ---------------------------------------------------------------------------------------------------- */

static void on_open(struct peer *p, void *ctx)
{
    struct visitor *v = ctx;
    peer_set_tail_max(p, QUESTION_BYTES);
    v->ask_by_ms = clock_mono_ms(clock_system()) + FIRST_REQUEST_MS;
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct visitor *v = ctx;
    v->ask_by_ms = INT64_MAX;
    peer_set_idle_ms(p, (uint64_t)v->server->config.idle_seconds * 1000);
    if (v->bodies == NULL && serve_client_new(&v->bodies, v->server->bodies, p, NULL, NULL) != 0) {
        peer_close(p, REASON_INTERNAL);
        return;
    }
    if (serve_frame(v->bodies, f))
        return;
    if (peer_refuse(p, f->request, REASON_NOT_PERMITTED, "This server gives bodies, and nothing else.") != 0)
        log_debug("a refusal could not be sent");
    peer_close(p, REASON_NOT_PERMITTED);
}

static void on_drain(struct peer *p, void *ctx)
{
    struct visitor *v = ctx;
    (void)p;
    if (v->bodies != NULL)
        serve_drain(v->bodies);
}

static void end_when_empty(struct contents_server *s)
{
    if (s->stopping && s->first == NULL && s->listener == NULL && s->pulls_left == 0)
        serve_free(steal(&s->bodies));
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct visitor *v = ctx;
    struct contents_server *s = v->server;
    (void)p, (void)why;
    serve_client_free(v->bodies);
    names_drop(&s->addresses, v->address);
    if (v->previous != NULL)
        v->previous->next = v->next;
    else
        s->first = v->next;
    if (v->next != NULL)
        v->next->previous = v->previous;
    free(v);
    end_when_empty(s);
}

static bool on_accept(struct peer *p, struct peer_callbacks *out, void **ctx, void *listener_ctx)
{
    struct contents_server *s = listener_ctx;
    uint8_t host[THROTTLE_HOST_BYTES];
    size_t len = throttle_host(slice_str(peer_address(p)), host);
    struct name *address = s->stopping ? NULL : names_take(&s->addresses, slice(host, len));
    if (address == NULL)
        return false;
    struct visitor *v = address->uses <= s->config.connections_per_address_max ? calloc(1, sizeof(*v)) : NULL;
    if (v == NULL) {
        names_drop(&s->addresses, address);
        return false;
    }
    *v = (struct visitor){ .server = s, .peer = p, .address = address, .next = s->first, .ask_by_ms = INT64_MAX };
    if (s->first != NULL)
        s->first->previous = v;
    s->first = v;
    *out = (struct peer_callbacks){ on_open, on_frame, on_drain, on_closed };
    *ctx = v;
    return true;
}

static void on_sweep(uv_timer_t *t)
{
    struct contents_server *s = container_of(t, struct contents_server, sweep);
    int64_t now_ms = clock_mono_ms(clock_system());
    struct visitor *next;
    for (struct visitor *v = s->first; v != NULL; v = next) {
        next = v->next;
        if (now_ms >= v->ask_by_ms)
            peer_close(v->peer, REASON_TIMED_OUT);
    }
}

/* --- Whom it follows --------------------------------------------------------------------------------------------- */

static int follow(struct contents_server *s, const struct place *p)
{
    const struct contents_pull_config c = { .loop = &s->loop,
                                            .identity = s->identity,
                                            .bodies_dir = s->bodies_dir,
                                            .known = &s->known,
                                            .look_ms = (uint64_t)s->config.look_seconds * 1000 };
    int r = contents_pull_new(&s->pulls[s->pull_count], &c, p);
    if (r != 0)
        return r;
    s->followed[s->pull_count] = p->server;
    s->pull_count++;
    s->pulls_left++;
    return 0;
}

static void on_pull_stopped(void *ctx)
{
    struct contents_server *s = ctx;
    s->pulls_left--;
    end_when_empty(s);
}

static bool still_follows(const struct contents_state *state, const struct id *distributor)
{
    for (size_t i = 0; i < state->principal_count; i++)
        if (id_equal(&state->principals[i].server, distributor->bytes))
            return true;
    return false;
}

/* SIGHUP: those that came are followed, those that went are left, everybody's bodies are looked for. An address that changed counts after the next start. */
static void reload(struct contents_server *s)
{
    struct contents_state *fresh CLEANUP(freep) = calloc(1, sizeof(*fresh));
    if (fresh == NULL || contents_state_load(fresh, s->state.dir) != 0)
        return; /* logged; the old one stays */
    contents_state_deinit(fresh);
    for (size_t i = s->pull_count; i-- > 0;) {
        if (still_follows(fresh, &s->followed[i])) {
            contents_pull_now(s->pulls[i]);
            continue;
        }
        contents_pull_stop(s->pulls[i], on_pull_stopped, s);
        s->pulls[i] = s->pulls[--s->pull_count];
        s->followed[i] = s->followed[s->pull_count];
    }
    for (size_t i = 0; i < fresh->principal_count; i++) {
        bool known = false;
        for (size_t k = 0; k < s->pull_count; k++)
            known = known || id_equal(&s->followed[k], fresh->principals[i].server.bytes);
        if (!known && s->pull_count < CONTENTS_PRINCIPALS_MAX && follow(s, &fresh->principals[i]) != 0)
            log_error("a distributor cannot be followed now");
    }
    log_info("configuration read again follows=%zu", s->pull_count);
}

/* --- Start and stop ---------------------------------------------------------------------------------------------- */

static void stop(struct contents_server *s)
{
    s->stopping = true;
    notify_stopping(s->notify_fd);
    uv_close((uv_handle_t *)&s->sweep, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(s->signals); i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    if (s->listener != NULL)
        peer_listener_close(steal(&s->listener)); /* and its visitors */
    for (size_t i = 0; i < s->pull_count; i++)
        contents_pull_stop(s->pulls[i], on_pull_stopped, s);
    end_when_empty(s);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct contents_server *s = handle->data;
    if (s->stopping)
        return;
    if (number == SIGHUP) {
        reload(s);
        return;
    }
    log_info("stopping signal=%d", number);
    stop(s);
}

static int listen_on(struct contents_server *s, uint16_t *port)
{
    char host[ADDRESS_HOST_BYTES];
    uint16_t wanted;
    if (address_parse_listen(s->config.listen, host, &wanted) != 0)
        return -EINVAL;
    return peer_listen(&s->listener, &s->loop, s->identity, host, wanted, s->config.connections_max, on_accept, s,
                       port);
}

static void announce(const struct contents_server *s, uint16_t port)
{
    char id[ID_TEXT_BYTES];
    id_text(s->state.self.bytes, id);
    log_info("serving bodies port=%u id=%s follows=%zu", port, id, s->pull_count);
    notify_ready(s->notify_fd);
}

static int start(struct contents_server *s, enum serve_step *step)
{
    struct signer signer;
    enum confinement_kind confined;
    uint16_t port;
    int r = contents_state_load(&s->state, s->config.state_dir);
    *step = r == 0 ? SERVE_OTHER : SERVE_CONTENTS;
    if (r == 0 && s->config.listen[0] == '\0')
        snprintf(s->config.listen, sizeof(s->config.listen), "%s", s->state.listen);
    if (r == 0)
        r = file_join(s->bodies_dir, sizeof(s->bodies_dir), s->state.dir, "bodies");
    if (r == 0)
        r = confinement_enter(&(struct confinement){ &s->config, "" }, &confined);
    if (r != 0)
        return r;
    sign_pair_init(&s->pair, &s->state.seed);
    signer_from_pair(&signer, &s->pair);
    r = peer_identity_new(&s->identity, &signer);
    if (r == 0)
        r = names_init(&s->addresses, rng_system());
    if (r == 0)
        r = names_init(&s->known, rng_system());
    if (r == 0)
        r = serve_new(&s->bodies, &s->loop, path_of, s);
    if (r == 0) {
        *step = SERVE_LISTEN;
        r = listen_on(s, &port);
    }
    for (size_t i = 0; r == 0 && i < s->state.principal_count; i++)
        r = follow(s, &s->state.principals[i]);
    if (r == 0)
        r = serve_announce(&s->config, port, step);
    if (r == 0)
        announce(s, port);
    return r;
}

int contents_server_main(const struct config *config, char why[SERVE_WHY_BYTES])
{
    struct contents_server *s CLEANUP(freep) = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->config = *config;
    int notify_fd CLEANUP(closep) = notify_open();
    s->notify_fd = notify_fd;
    int r = secret_hide_process();
    if (r == 0)
        r = uv_loop_init(&s->loop);
    if (r != 0)
        return r;
    (void)uv_timer_init(&s->loop, &s->sweep);
    (void)uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    for (size_t i = 0; i < ARRAY_COUNT(s->signals); i++) {
        (void)uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        (void)uv_signal_start(&s->signals[i], on_signal, signal_numbers[i]);
    }
    enum serve_step step = SERVE_OTHER;
    r = start(s, &step);
    if (r != 0) {
        serve_explain(&s->config, step, r, why);
        log_error("cannot serve bodies errno=%d", -r);
        stop(s);
    }
    uv_run(&s->loop, UV_RUN_DEFAULT);
    peer_identity_free(s->identity);
    names_deinit(&s->addresses);
    names_deinit(&s->known);
    key32_wipe(&s->pair.seed);
    contents_state_deinit(&s->state);
    if (uv_loop_close(&s->loop) != 0)
        log_warn("something is still open at the end");
    return r;
}
