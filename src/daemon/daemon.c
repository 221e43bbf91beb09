/* Starting and stopping, in order. Nothing here knows what the modules do.
 *
 * Callbacks, in order: on_identity (the vault has named itself: everything else starts), on_signal or daemon_stop, on_overdue. */
#include "daemon/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/notify.h"
#include "base/standard.h"
#include "base/text.h"
#include "base/util.h"
#include "daemon/account.h"
#include "daemon/bandwidth.h"
#include "daemon/confinement.h"
#include "daemon/control.h"
#include "daemon/db.h"
#include "daemon/deck.h"
#include "daemon/events.h"
#include "daemon/leases.h"
#include "daemon/library.h"
#include "daemon/listing.h"
#include "daemon/metadata.h"
#include "daemon/opener.h"
#include "daemon/outbox.h"
#include "daemon/play.h"
#include "daemon/play_memory.h"
#include "daemon/player.h"
#include "daemon/playlists_shown.h"
#include "daemon/programs.h"
#include "daemon/shop.h"
#include "daemon/siblings.h"
#include "daemon/spawner.h"
#include "daemon/state.h"
#include "daemon/transfers.h"
#include "daemon/upkeep.h"
#include "daemon/vault_client.h"
#include "net/discovery.h"
#include "net/peer.h"

#define LOG_MODULE "daemon"
#include "base/log.h"

#define DEVICES_MAX 64 /* accepted connections at a time */
#define STOP_MS 5000
#define LOCK_TRIES 20
#define LOCK_WAIT_MS 100

/* Why it cannot start, once and with the path that it is about. Returns the error. */
static int explain(struct daemon *d, int error, const char *what, const char *path)
{
    char safe[CONFIG_PATH_BYTES + 16];
    log_error("cannot start: %s path=%s error=%s", what, text_safe(path, safe, sizeof(safe)), strerror(-error));
    d->explained = true;
    return error;
}

/* --- Storage --- */

/* One hearthd for a state directory: two would fight over the vault's answers and the bodies. */
static int lock_state(struct daemon *d)
{
    char path[CONFIG_PATH_BYTES + 16];
    int r = file_join(path, sizeof(path), d->config.state_dir, "lock");
    if (r != 0)
        return r;
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0)
        return explain(d, -errno, "this file cannot be opened", path);
    /* One that was ended a moment ago may have left a child between fork and exec, which still holds it. */
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(d->lock_fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK)
            break;
        poll(NULL, 0, LOCK_WAIT_MS);
    }
    r = errno == EWOULDBLOCK ? -EBUSY : -errno;
    return explain(d, r, r == -EBUSY ? "another hearthd uses this directory" : "this directory cannot be locked",
                   d->config.state_dir);
}

static int make_directory(struct daemon *d, const char *path)
{
    int r = file_make_dirs(path, 0700);
    return r == 0 ? 0 : explain(d, r, "this directory cannot be made", path);
}

static int open_database(struct daemon *d)
{
    char path[CONFIG_PATH_BYTES + 16];
    int r = file_join(path, sizeof(path), d->config.state_dir, "hearthd.db");
    if (r == 0)
        r = db_open(&d->db, d->loop, d->config.state_dir);
    if (r == STORE_NEWER)
        return explain(d, -EPROTONOSUPPORT,
                       "this database was made by a newer version of hearth: install that again; nothing was changed",
                       path);
    if (r == -EUCLEAN)
        return explain(
            d, r,
            "this database is damaged, or is none: move it away to begin without it. Licenses are the vault's "
            "and stay; accounts are registered again",
            path);
    return r == 0 ? 0 : explain(d, r, "this database cannot be opened", path);
}

static int open_storage(struct daemon *d)
{
    int r = make_directory(d, d->config.state_dir);
    if (r == 0)
        r = make_directory(d, d->config.bodies_dir);
    if (r == 0)
        r = make_directory(d, d->config.runtime_dir);
    if (r == 0)
        r = lock_state(d);
    if (r == 0)
        r = metadata_start(d);
    if (r == 0)
        r = programs_start(d);
    return r == 0 ? open_database(d) : r;
}

/* --- The network --- */

static bool on_accept(struct peer *p, struct peer_callbacks *callbacks, void **ctx, void *listener_ctx)
{
    struct daemon *d = listener_ctx;
    return d->on_device != NULL && !d->stopping && d->on_device(p, callbacks, ctx, d);
}

static void on_seen(const struct id *client, void *ctx) { siblings_seen(ctx, client); }
static int connect_bus(void *ctx) { return spawner_connect_bus(((struct daemon *)ctx)->spawner); }
static bool is_wanted(const struct id *client, void *ctx) { return siblings_is_named(ctx, client); }

static int start_listener(struct daemon *d)
{
    int r = peer_listen(&d->listener, d->loop, d->identity, d->config.listen_host, d->config.listen_port, DEVICES_MAX,
                        on_accept, d, &d->port);
    if (r == 0)
        return 0;
    log_error("cannot start: it cannot listen there address=%s:%u error=%s", d->config.listen_host,
              (unsigned)d->config.listen_port, strerror(-r));
    d->explained = true;
    return r;
}

static void start_discovery(struct daemon *d)
{
    static const struct discovery_callbacks callbacks = { .on_changed = on_seen,
                                                          .is_wanted = is_wanted,
                                                          .connect_bus = connect_bus };
    if (!d->config.discovery)
        return;
    int r = discovery_start(&d->discovery, d->loop, &d->self, d->port, &callbacks, d);
    if (r != 0) { /* addresses by hand still work; doctor says so */
        log_warn("discovery could not be started error=%s", strerror(-r));
        d->discovery = NULL;
    }
}

/* --- Start --- */

static void on_library(struct daemon *d, int error);

/* Whoever connects is answered from here on; what needs the library waits for it (control.h). */
static int start_modules(struct daemon *d)
{
    struct signer signer;
    vault_signer(d->vault, &signer);
    int r = peer_identity_new(&d->identity, &signer);
    if (r == 0)
        r = siblings_start(d);
    if (r == 0)
        r = library_start(d, on_library);
    if (r == 0)
        r = state_start(d);
    if (r == 0)
        play_memory_changed(d);
    if (r == 0)
        bandwidth_start(d);
    if (r == 0)
        r = outbox_start(d);
    if (r == 0)
        r = accounts_start(d);
    if (r == 0)
        r = device_time_refresh(d, NULL, NULL);
    if (r == 0)
        r = start_listener(d);
    if (r == 0)
        r = control_start(d);
    return r;
}

/* Nothing is asked for, offered or taken before it is known what is here. */
static int start_exchange(struct daemon *d)
{
    int r = transfers_start(d);
    if (r != 0)
        return r;
    state_listen(d);
    accounts_connect(d);
    start_discovery(d);
    upkeep_start(d);
    leases_start(d);
    db_release(d->db);
    return 0;
}

static void fail_start(struct daemon *d, int error)
{
    if (!d->stopping && !d->explained)
        (void)explain(d, error, "what is stored cannot be used", d->config.state_dir);
    daemon_stop(d, standard_status(error));
}

static void on_library(struct daemon *d, int error)
{
    char id[ID_SHORT_BYTES];
    if (error == 0)
        error = start_exchange(d);
    if (error != 0) {
        fail_start(d, error);
        return;
    }
    d->started = true;
    id_short(d->self.bytes, id);
    event(d, "started", "%s (%s) has started", d->config.name, id);
    notify_ready(d->notify_fd);
    control_ready(d);
}

static void on_identity(struct daemon *d, int error)
{
    if (error == 0) {
        d->explained = false;
        error = d->stopping ? 0 : start_modules(d);
    }
    if (error != 0)
        fail_start(d, error);
}

static void on_signal(uv_signal_t *handle, int signal)
{
    log_info("ending signal=%d", signal);
    daemon_stop(handle->data, 0);
}

static void on_helper_lost(void *ctx) { daemon_stop(ctx, 1); }

int daemon_start(struct daemon *d, uv_loop_t *loop, const struct config *config, struct spawner *spawner,
                 struct opener *opener)
{
    *d = (struct daemon){ .loop = loop,
                          .clock = clock_system(),
                          .rng = rng_system(),
                          .config = *config,
                          .lock_fd = -1,
                          .notify_fd = notify_open(),
                          .control_fd = -1,
                          .spawner = spawner,
                          .opener = opener };
    later_init(&d->later, loop);
    (void)uv_signal_init(loop, &d->terminate); /* fail only without memory, when the next steps do, too */
    (void)uv_signal_init(loop, &d->interrupt);
    (void)uv_timer_init(loop, &d->overdue);
    d->terminate.data = d->interrupt.data = d->overdue.data = d;
    int r = spawner_watch(spawner, loop, on_helper_lost, d);
    if (r == 0)
        r = opener_watch(opener, loop, on_helper_lost, d);
    if (r == 0)
        r = open_storage(d);
    if (r == 0)
        r = events_start(d);
    if (r == 0)
        r = uv_signal_start(&d->terminate, on_signal, SIGTERM);
    if (r == 0)
        r = uv_signal_start(&d->interrupt, on_signal, SIGINT);
    if (r == 0)
        r = control_bind(d);
    if (r == 0) /* nothing of the world was read by now, and there is one thread */
        r = confinement_enter(&d->config, &d->is_confined);
    if (r == 0)
        r = vault_start(&d->vault, d, on_identity);
    if (r != 0)
        fail_start(d, r);
    return r;
}

/* --- Stop --- */

static void on_overdue(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    log_error("something did not end in time");
    _exit(d->exit_code == 0 ? 1 : d->exit_code); /* every database is consistent at any moment */
}

void daemon_stop(struct daemon *d, int exit_code)
{
    if (d->stopping)
        return;
    d->stopping = true;
    d->exit_code = exit_code;
    notify_stopping(d->notify_fd);
    control_stop(d);
    decks_stop(d);
    plays_stop(d);
    players_stop(d);
    if (d->discovery != NULL)
        discovery_stop(steal(&d->discovery), NULL, NULL); /* says goodbye */
    state_stop(d);
    siblings_quiet(d);
    if (d->transfers != NULL)
        transfers_stop(d);
    if (d->listener != NULL)
        peer_listener_close(steal(&d->listener));
    upkeep_stop(d);
    leases_stop(d);
    outbox_stop(d);
    accounts_stop(d);
    vault_stop(steal(&d->vault));
    events_stop(d);
    uv_close((uv_handle_t *)&d->terminate, NULL);
    uv_close((uv_handle_t *)&d->interrupt, NULL);
    (void)uv_timer_start(&d->overdue, on_overdue, STOP_MS, 0);
    uv_unref((uv_handle_t *)&d->overdue);
}

/* Where it did not come to control_start. */
static void close_control(struct daemon *d)
{
    if (d->control_fd >= 0 && d->spawner != NULL)
        spawner_unbind(d->spawner);
    closep(&d->control_fd);
}

void daemon_deinit(struct daemon *d)
{
    uv_close((uv_handle_t *)&d->overdue, NULL);
    later_close(&d->later);
    close_control(d);
    opener_free(steal(&d->opener));
    spawner_close(steal(&d->spawner));
    closep(&d->notify_fd);
    if (d->db != NULL)
        db_release(d->db); /* what was to be stored by a start that failed needs the loop, too */
    (void)uv_run(d->loop, UV_RUN_DEFAULT);
    db_close(steal(&d->db));
    state_free(d);
    siblings_stop(d);
    library_stop(d);
    listing_free(d);
    playlists_shown_free(d);
    quotes_free(d);
    free(steal(&d->plays));
    peer_identity_free(steal(&d->identity));
    closep(&d->lock_fd);
}

const char *daemon_full_text(const struct daemon *d, char out[DAEMON_FULL_BYTES])
{
    char safe[DAEMON_FULL_BYTES - 64];
    (void)snprintf(out, DAEMON_FULL_BYTES, "There is no room left on this device, in %s.",
                   text_safe(d->config.state_dir, safe, sizeof(safe)));
    return out;
}
