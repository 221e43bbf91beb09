/* The child with the keys: starting it again and again, asking it.
 *
 * Callbacks, in order: on_open, on_frame (answers), on_closed (the channel broke), on_child_exit, on_timer (starts
 * the next one; deadlines). */
#include "daemon/vault_client.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/account.h"
#include "daemon/daemon.h"
#include "daemon/session.h"
#include "daemon/spawner.h"
#include "daemon/vault_sign.h"

#define LOG_MODULE "vault"
#include "base/log.h"

#define DEADLINE_TICK_MS 1000
#define ATTEMPTS_MAX 2
#define STOP_MS 3000
#define BACKOFF_MAX_MS 60000

struct vault_request {
    struct ask_copy copy;
    struct vault_request *next;
    uint32_t id;
    int pass_fd; /* -1: none */
    unsigned attempts;
    uint64_t deadline_ms;
};

struct vault {
    struct daemon *daemon;
    struct peer *peer; /* NULL: there is no child to talk to */
    bool open;         /* the peer takes frames */
    struct child process;
    bool alive; /* it runs */
    int status; /* with which the last one ended */
    uv_timer_t timer, killer;
    struct vault_sign sign;         /* the second channel */
    struct vault_request *requests; /* in the order they were made */
    uint32_t next_id, restarts, failures;
    uint32_t told_restarts;          /* of restarts: the child after it has been told the time */
    bool silent;                     /* it has let a deadline pass, and has answered nothing since */
    uint64_t started_ms, restart_ms; /* restart_ms: when to start the next child; 0: not */
    void (*on_identity)(struct daemon *d, int error);
    bool identified, stopping;
    unsigned handles; /* timer handles to be closed */
};

static uint64_t now(const struct vault *v) { return uv_now(v->daemon->loop); }
static int start_child(struct vault *v);

/* --- Requests --- */

static void request_free(struct vault_request *r)
{
    closep(&r->pass_fd);
    ask_copy_deinit(&r->copy);
    free(r);
}

static void request_fail(struct vault_request *r, enum reason why, const char *detail)
{
    ask_copy_answer(&r->copy, NULL, why, detail);
    request_free(r);
}

static void send_request(struct vault *v, struct vault_request *r)
{
    const struct ask *ask = &r->copy.ask;
    int e;
    r->attempts++;
    r->deadline_ms = now(v) + ask->timeout_ms;
    if (r->pass_fd >= 0) {
        int fd = r->pass_fd;
        r->pass_fd = -1;
        r->attempts = ATTEMPTS_MAX;
        e = peer_send_fd(v->peer, ask->type, r->id, ask->fields, ask->message, fd);
    } else {
        e = peer_send(v->peer, ask->type, r->id, ask->fields, ask->message, ask->tail);
    }
    if (e == -EPIPE && r->attempts < ATTEMPTS_MAX)
        r->attempts--; /* never left: the next child gets it */
    else if (e != 0)   /* the deadline answers it */
        log_warn("a request could not be sent outcome=%d", e);
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct vault *v = ctx;
    (void)p;
    v->silent = false;
    for (struct vault_request **at = &v->requests; *at != NULL; at = &(*at)->next) {
        struct vault_request *r = *at;
        if (r->id != f->request || r->attempts == 0)
            continue;
        *at = r->next;
        ask_copy_answer(&r->copy, f, REASON_NONE, NULL);
        request_free(r);
        return;
    }
    log_warn("an answer nobody waits for type=%u", (unsigned)f->type);
}

/* Takes every request that fits out of the list, then answers them: their callbacks may ask again. */
static void fail_requests(struct vault *v, bool (*fits)(const struct vault *, const struct vault_request *),
                          enum reason why, const char *detail)
{
    struct vault_request *failed = NULL, **end = &failed, **at = &v->requests;
    while (*at != NULL) {
        struct vault_request *r = *at;
        if (fits(v, r)) {
            *at = r->next;
            r->next = NULL;
            *end = r;
            end = &r->next;
        } else {
            at = &r->next;
        }
    }
    v->silent = v->silent || (failed != NULL && why == REASON_TIMED_OUT);
    while (failed != NULL) {
        struct vault_request *next = failed->next;
        request_fail(failed, why, detail);
        failed = next;
    }
}

static bool is_late(const struct vault *v, const struct vault_request *r)
{
    return r->deadline_ms != 0 && r->deadline_ms <= now(v);
}
static bool is_tried(const struct vault *v, const struct vault_request *r)
{
    (void)v;
    return r->attempts >= ATTEMPTS_MAX;
}
static bool is_any(const struct vault *v, const struct vault_request *r)
{
    (void)v;
    (void)r;
    return true;
}

int vault_call_fd(struct vault *v, const struct ask *ask, int pass_fd, answer_fn on_answer, void *ctx)
{
    if (v == NULL || v->stopping) {
        closep(&pass_fd);
        return -ECANCELED;
    }
    struct vault_request *r = calloc(1, sizeof(*r));
    int e = r == NULL ? -ENOMEM : ask_copy_init(&r->copy, ask, on_answer, ctx);
    if (e != 0) {
        closep(&pass_fd);
        free(r);
        return e;
    }
    r->pass_fd = pass_fd;
    r->id = v->next_id;
    v->next_id += 2; /* even: the peer's own request IDs are odd, so every answer comes to on_frame */
    if (v->next_id == 0)
        v->next_id = 2;
    r->deadline_ms = now(v) + r->copy.ask.timeout_ms;
    struct vault_request **end = &v->requests;
    while (*end != NULL)
        end = &(*end)->next;
    *end = r;
    if (v->open)
        send_request(v, r);
    return 0;
}

int vault_call(struct vault *v, const struct ask *ask, answer_fn on_answer, void *ctx)
{
    return vault_call_fd(v, ask, -1, on_answer, ctx);
}

/* --- Identity --- */

static int take_identity(struct daemon *d, const vlt_Identity *identity, bool first)
{
    struct id self = id_of_key(identity->device_key);
    if (!first && !id_equal(self.bytes, d->self.bytes))
        return -EKEYREJECTED;
    d->self = self;
    memcpy(d->device_key, identity->device_key, sizeof(d->device_key));
    memcpy(d->sealing_key, identity->sealing_key, sizeof(d->sealing_key));
    d->generation = identity->generation;
    return 0;
}

/* A new child has heard no distributor yet; each tells the time when a session begins. */
static void tell_time_again(struct vault *v, bool refreshed)
{
    const bool again = refreshed && v->told_restarts != v->restarts;
    v->told_restarts = v->restarts;
    for (struct account *a = v->daemon->accounts; again && a != NULL; a = a->next)
        if (session_peer(a) != NULL)
            session_restart(a->session);
}

static void on_identity(const struct answer *answer, void *ctx)
{
    struct vault *v = ctx;
    vlt_Identity identity;
    bool first = !v->identified;
    int r;
    if (v->stopping)
        return;
    if (answer->why != REASON_NONE)
        r = first ? -EIO : 0; /* a later child that does not even name itself will be restarted */
    else
        r = CODEC_DECODE(vlt_Identity, answer->frame->message, &identity) == 0
                ? take_identity(v->daemon, &identity, first)
                : -EPROTO;
    if (r == 0 && answer->why == REASON_NONE) {
        tell_time_again(v, !first);
        v->identified = true;
        v->failures = 0;
    }
    if (r == -EKEYREJECTED) {
        log_error("the vault has become another device; stopping");
        daemon_stop(v->daemon, 1);
    } else if (first) {
        v->on_identity(v->daemon, r);
    }
}

void vault_refresh(struct vault *v)
{
    vlt_IdentityGet get = vlt_IdentityGet_init_zero;
    if (vault_call(v, &ASK(vlt_Type_IDENTITY_GET, vlt_Type_IDENTITY, vlt_IdentityGet, &get), on_identity, v) != 0)
        log_error("out of memory");
}

static void on_open(struct peer *p, void *ctx)
{
    struct vault *v = ctx;
    peer_set_tail_max(p, FRAME_TAIL_MAX);
    v->open = true;
    for (struct vault_request *r = v->requests; r != NULL; r = r->next)
        send_request(v, r);
    vault_refresh(v);
}

/* --- The child's end and the next child --- */

static void free_when_done(struct vault *v)
{
    if (v->stopping && v->handles == 0 && v->peer == NULL && !v->alive)
        free(v);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct vault *v = handle->data;
    v->handles--;
    free_when_done(v);
}

/* Also when it is stopped by one whose request failed because the child is gone. */
static void close_timers(struct vault *v)
{
    if (uv_is_closing((uv_handle_t *)&v->timer))
        return;
    uv_close((uv_handle_t *)&v->timer, on_handle_closed);
    uv_close((uv_handle_t *)&v->killer, on_handle_closed);
}

/* It has said why, and would say the same again: another start changes nothing. 0: it may. */
static int hopeless_of(const struct vault *v)
{
    return v->status == EX_NOPERM ? -ENOKEY : v->status == EX_DATAERR ? -EUCLEAN : 0;
}

/* Both the channel and the process are gone. */
static void child_gone(struct vault *v)
{
    if (v->peer != NULL || v->alive)
        return;
    if (v->stopping) {
        close_timers(v);
        return;
    }
    v->restarts++;
    /* At once after a long life; one that keeps dying waits. */
    bool lived = now(v) - v->started_ms > BACKOFF_MAX_MS;
    v->failures = lived ? 0 : v->failures + 1;
    uint32_t shift = v->failures > 7 ? 7 : v->failures;
    v->restart_ms = now(v) + (v->failures <= 1 ? 0 : u64_min(BACKOFF_MAX_MS, 500ull << shift));
    int hopeless = hopeless_of(v);
    if (!v->identified && (hopeless != 0 || v->failures > 3)) {
        v->on_identity(v->daemon, hopeless != 0 ? hopeless : -EIO);
        return;
    }
    if (v->restart_ms <= now(v) && start_child(v) != 0)
        v->restart_ms = now(v) + BACKOFF_MAX_MS;
}

static void on_child_exit(struct child *process, int status, int signal)
{
    struct vault *v = container_of(process, struct vault, process);
    v->status = signal == 0 ? status : 0;
    if (!v->stopping && hopeless_of(v) != 0)
        v->daemon->explained = true;
    else if (!v->stopping)
        log_error("the vault has ended status=%d signal=%d", status, signal);
    uv_timer_stop(&v->killer);
    v->open = false;
    if (v->peer != NULL)
        peer_close(v->peer, REASON_OFFLINE);
    v->alive = false;
    child_gone(v);
}

static void on_kill(uv_timer_t *timer)
{
    struct vault *v = timer->data;
    if (v->alive)
        child_end(&v->process, SIGKILL);
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct vault *v = ctx;
    (void)p;
    (void)why;
    v->peer = NULL;
    v->open = false;
    vault_sign_close(&v->sign);
    if (!v->stopping)
        fail_requests(v, is_tried, REASON_INTERNAL, "The vault has ended while it worked on this.");
    /* It ends by itself when its channel closes, and its exit status says why; a stuck one is ended. */
    if (v->alive)
        (void)uv_timer_start(&v->killer, on_kill, STOP_MS, 0);
    child_gone(v);
}

static void on_timer(uv_timer_t *timer)
{
    struct vault *v = timer->data;
    if (v->stopping)
        return;
    fail_requests(v, is_late, REASON_TIMED_OUT, "The vault did not answer in time.");
    if (v->restart_ms != 0 && v->restart_ms <= now(v) && !v->alive && v->peer == NULL) {
        v->restart_ms = 0;
        if (start_child(v) != 0)
            v->restart_ms = now(v) + BACKOFF_MAX_MS;
    }
}

/* --- Starting --- */

static int spawn(struct vault *v, int requests_fd, int sign_fd)
{
    int r = spawner_start_vault(v->daemon->spawner, &v->process, requests_fd, sign_fd, on_child_exit);
    if (r != 0)
        log_error("hearth-vault could not be started error=%s", strerror(-r));
    v->daemon->explained = v->daemon->explained || r != 0;
    v->alive = r == 0;
    return r;
}

static int start_child(struct vault *v)
{
    static const struct peer_callbacks callbacks = { .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed };
    int requests[2], sign[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, requests) != 0)
        return -errno;
    int ours CLEANUP(closep) = requests[0], theirs CLEANUP(closep) = requests[1];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sign) != 0)
        return -errno;
    int sign_ours CLEANUP(closep) = sign[0], sign_theirs CLEANUP(closep) = sign[1];

    v->started_ms = now(v);
    int r = spawn(v, theirs, sign_theirs);
    if (r == 0)
        r = peer_from_fd(&v->peer, v->daemon->loop, ours, &callbacks, v);
    if (r != 0)
        return r;
    ours = -1;
    vault_sign_open(&v->sign, sign_ours);
    sign_ours = -1;
    return 0;
}

int vault_start(struct vault **out, struct daemon *d, void (*identity)(struct daemon *d, int error))
{
    struct vault *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return -ENOMEM;
    v->daemon = d;
    v->on_identity = identity;
    v->next_id = 2;
    (void)uv_timer_init(d->loop, &v->timer); /* cannot fail, as the next */
    (void)uv_timer_init(d->loop, &v->killer);
    v->timer.data = v->killer.data = v;
    v->handles = 2;
    (void)uv_timer_start(&v->timer, on_timer, DEADLINE_TICK_MS, DEADLINE_TICK_MS);
    int r = start_child(v);
    *out = v;
    if (r != 0) {
        *out = NULL;
        vault_stop(v);
    }
    return r;
}

void vault_stop(struct vault *v)
{
    if (v == NULL || v->stopping)
        return;
    v->stopping = true;
    fail_requests(v, is_any, REASON_CANCELLED, NULL);
    uv_timer_stop(&v->timer);
    vault_sign_close(&v->sign);
    if (v->peer != NULL)
        peer_close(v->peer, REASON_CANCELLED);
    else if (!v->alive)
        close_timers(v);
}

bool vault_is_up(const struct vault *v) { return v != NULL && v->open && v->identified; }
bool vault_is_silent(const struct vault *v) { return v == NULL || v->silent || !v->open; }
uint32_t vault_restarts(const struct vault *v) { return v->restarts; }

static int sign(void *ctx, struct slice message, uint8_t signature[SIGN_BYTES])
{
    struct vault *v = ctx;
    return vault_sign(&v->sign, message, signature);
}

void vault_signer(struct vault *v, struct signer *out)
{
    out->algorithm = SIGN_ED25519;
    memcpy(out->public_key, v->daemon->device_key, SIGN_PUBLIC_BYTES);
    out->sign = sign;
    out->ctx = v;
}
