/* Start in this order: keys, database connections, threads, parts, listener, files that announce us. Stop in reverse, each
 * step when the one before has ended:
 *
 *   on_signal -> nobody is let in any more -> watch, collector, directory client, partners (what is asked ends)
 *             -> sessions (what runs is answered, within a bound; then they hear that we stop) -> console -> directory, writer (what is
 *             queued is committed), reader -> the loop has nothing left
 *
 * A second signal ends the process at once: what was acknowledged is on disk, and nothing else counts. */
#define LOG_MODULE "serve"
#include "distributor/serve.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/announce.h"
#include "distributor/collector.h"
#include "distributor/confinement.h"
#include "distributor/console.h"
#include "distributor/database.h"
#include "distributor/directory.h"
#include "distributor/directory_client.h"
#include "distributor/keys_age.h"
#include "distributor/keyset.h"
#include "distributor/late.h"
#include "distributor/lobby.h"
#include "distributor/login.h"
#include "distributor/metrics.h"
#include "distributor/partners.h"
#include "distributor/publish.h"
#include "distributor/quotas.h"
#include "distributor/rekey.h"
#include "distributor/reload.h"
#include "distributor/renew.h"
#include "distributor/rotation.h"
#include "distributor/row_pace.h"
#include "distributor/starter.h"
#include "distributor/tally.h"
#include "distributor/throttle.h"
#include "distributor/watch.h"

#define START_PATIENCE_MS 60000
#define SPARE_DESCRIPTORS 256 /* databases, bodies, partners */

struct serve_signals {
    struct server *server;
    uv_signal_t handles[3];
    bool stopping;
};
static const int signal_numbers[] = { SIGTERM, SIGINT, SIGHUP };

/* --- Bodies ---------------------------------------------------------------------------------------------------------- */

static int path_of(void *ctx, const struct id *content, char *path, size_t cap)
{
    const struct server *server = ctx;
    char name[ID_TEXT_BYTES];
    id_text(content->bytes, name);
    int len = snprintf(path, cap, "%s/bodies/%s.body", server->config.state_dir, name);
    return len < 0 || (size_t)len >= cap ? REASON_UNKNOWN_CONTENT : 0;
}

/* --- Announcing ------------------------------------------------------------------------------------------------------ */

static void announce(struct server *server, uint16_t port)
{
    const char *listen = server->config.listen;
    int host_len = (int)(strrchr(listen, ':') - listen); /* it was parsed when we began to listen */
    char id[ID_TEXT_BYTES];
    id_text(server->keys->self.bytes, id);
    log_info("serving listen=%.*s:%u id=%s directory=%s", host_len, listen, port, id,
             server->directory != NULL ? "yes" : "no");
    notify_ready(server->notify_fd);
}

/* --- Stop ------------------------------------------------------------------------------------------------------------ */

static void on_reader_stopped(void *ctx)
{
    struct server *server = ctx;
    server->reader = NULL;
}

static void on_writer_stopped(void *ctx)
{
    struct server *server = ctx;
    server->writer = NULL;
    writer_stop(server->reader, on_reader_stopped, server);
}

static void on_directory_stopped(struct server *server) { writer_stop(server->writer, on_writer_stopped, server); }

static void on_console_stopped(struct server *server)
{
    directory_stop(server->directory, on_directory_stopped, server);
}

static void on_sessions_stopped(struct server *server)
{
    serve_free(steal(&server->bodies)); /* its clients are gone */
    console_stop(server->console, on_console_stopped, server);
}

static void on_partners_stopped(struct server *server) { lobby_stop(server->lobby, on_sessions_stopped, server); }

static void on_client_stopped(struct server *server) { partners_stop(server->partners, on_partners_stopped, server); }

static void on_collector_stopped(struct server *server)
{
    directory_client_stop(server->directory_client, on_client_stopped, server);
}

static void on_watch_stopped(struct server *server) { collector_stop(server->collector, on_collector_stopped, server); }

static void stop(struct server *server)
{
    notify_stopping(server->notify_fd);
    if (server->lobby != NULL)
        lobby_shut(server->lobby);
    watch_stop(server->watch, on_watch_stopped, server);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct serve_signals *signals = handle->data;
    char said[RELOAD_SAID_BYTES];
    if (number == SIGHUP) {
        int r = signals->stopping ? 0 : reload(signals->server, said);
        if (r != 0)
            log_debug("not reloaded outcome=%d", r); /* it was said why */
        return;
    }
    if (signals->stopping) {
        log_warn("ended at once signal=%d", number);
        _exit(1);
    }
    signals->stopping = true;
    log_info("stopping signal=%d", number);
    for (size_t i = 0; i < ARRAY_COUNT(signals->handles); i++)
        uv_unref((uv_handle_t *)&signals
                     ->handles[i]); /* a second one is heard for as long as there is something to wait for */
    stop(signals->server);
}

static void close_signals(struct serve_signals *signals)
{
    for (size_t i = 0; i < ARRAY_COUNT(signals->handles); i++)
        if (!uv_is_closing((uv_handle_t *)&signals->handles[i]))
            uv_close((uv_handle_t *)&signals->handles[i], NULL);
}

/* --- Only one ---------------------------------------------------------------------------------------------------------- */

/* One server for a state directory, several over a database on a server; the admin's commands may run beside them. *fd holds the lock until it
 * is closed. */
static int lock_state_dir(const struct server *server, int *fd)
{
    char path[PATH_MAX], database[STORE_PG_DATABASE_BYTES];
    int r = database_of(server->config.state_dir, database);
    if (r == 0)
        r = file_join(path, sizeof(path), server->config.state_dir, "serve.lock");
    if (r != 0)
        return r;
    int lock CLEANUP(closep) = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return -errno;
    if (flock(lock, (database[0] != '\0' ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    *fd = lock;
    lock = -1;
    return 0;
}

/* Whatever the operations database is, the directory's is one process's. */
static int lock_alone(int lock)
{
    if (flock(lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int r = errno == EWOULDBLOCK ? -EBUSY : -errno;
    log_error("who serves the directory is one process, and another server runs on this state directory");
    return r;
}

/* --- Start ----------------------------------------------------------------------------------------------------------- */

static int start_signals(struct serve_signals *signals, struct server *server)
{
    signals->server = server;
    int r = 0;
    for (size_t i = 0; i < ARRAY_COUNT(signals->handles); i++) {
        uv_signal_init(&server->loop, &signals->handles[i]);
        signals->handles[i].data = signals;
        int started = uv_signal_start(&signals->handles[i], on_signal, signal_numbers[i]);
        r = r != 0 ? r : started;
    }
    return r;
}

/* Nothing is read or written with keys that do not count any more (keys_age.h). */
static int judge_keys(void *database, void *ctx)
{
    return keys_usable(database, clock_wall_ms(((const struct server *)ctx)->clock));
}

/* The database's part: both connections, what is read once. */
static int start_database(struct server *server, bool *serves_directory)
{
    const char *dir = server->config.state_dir;
    int r = operations_open(&server->write_ops, dir, server->keys, server->rng, OPERATIONS_NO_AUTO_CHECKPOINT);
    if (r == 0)
        r = operations_open(&server->read_ops, dir, server->keys, server->rng, OPERATIONS_READ_ONLY);
    if (r == 0)
        r = keys_used(dir);
    if (r == 0)
        publish_clean(dir);
    char directory[8] = "", listen[CONFIG_LISTEN_BYTES] = "";
    if (r == 0)
        r = operations_setting(server->read_ops, "directory", directory, sizeof(directory));
    if (r == 0)
        r = operations_setting(server->read_ops, "listen", listen, sizeof(listen));
    if (r == 0)
        r = keyset_current(server->read_ops, &server->keyset);
    if (r != 0)
        return r > 0 && r != STORE_NEWER && r != OPERATIONS_MOVED ? -EUCLEAN : r;
    if (server->config.listen[0] == '\0')
        snprintf(server->config.listen, sizeof(server->config.listen), "%s",
                 listen[0] != '\0' ? listen : SERVE_LISTEN_DEFAULT);
    *serves_directory = strcmp(directory, "yes") == 0;
    return 0;
}

/* Nothing of the world was read by now, and there is one thread. The payment command is what the database says now, unless the configuration, which
 * nobody who takes the server over can write, says another one: then none is. */
static int confine(struct server *server)
{
    char command[PAYMENTS_COMMAND_BYTES], database[STORE_PG_DATABASE_BYTES];
    struct process *process = server->process;
    int r = operations_setting(server->read_ops, "payment-command", command, sizeof(command));
    if (r == 0)
        r = database_of(server->config.state_dir, database);
    if (r != 0 || process->entered)
        return r;
    if (!config_permits(&server->config, command)) {
        log_warn(
            "payments wait: `settings payment-command` must say the same as the configuration's [server] payment-command");
        command[0] = '\0';
    } else if (command[0] != '\0' && access(command, X_OK) != 0) {
        log_warn("the payment command cannot be started command=%s error=%s", command, strerror(errno));
    }
    r = starter_configure(process->starter, command);
    if (r != 0)
        return r;
    const struct confinement c = { &server->config, database };
    r = confinement_enter(&c, &process->confined);
    process->entered = r == 0;
    if (r == 0 && command[0] != '\0')
        log_info("payments are handed to command=%s", command);
    return r;
}

static int start_threads(struct server *server)
{
    static const struct writer_unfinished unfinished = { REQUESTS_FINISH_FIRST, late_begun, late_ended, late_finish,
                                                         late_over };
    int r = late_new(&server->write_ops->late);
    server->write_ops->tally = tally_new();
    if (r == 0 && server->write_ops->tally == NULL)
        r = -ENOMEM;
    if (r == 0)
        r = writer_start(&server->writer, &server->loop,
                         &(struct writer_database){ server->write_ops, server->write_ops->store, false, &unfinished,
                                                    judge_keys, server });
    if (r == 0)
        r = writer_start(
            &server->reader, &server->loop,
            &(struct writer_database){ server->read_ops, server->read_ops->store, true, NULL, judge_keys, server });
    return r;
}

static int start(struct server *server, int lock, enum serve_step *step)
{
    bool serves_directory = false;
    uint16_t port;
    struct signer tls;
    *step = SERVE_KEYS;
    int r = rotation_load(&server->keys, server->config.state_dir);
    if (r == 0) {
        signer_from_pair(&tls, &server->keys->tls);
        r = peer_identity_new(&server->identity, &tls);
    }
    if (r == 0) {
        *step = SERVE_DATABASE;
        r = start_database(server, &serves_directory);
    }
    if (r == 0) {
        *step = SERVE_CONSOLE; /* its socket is made before no more can be */
        r = console_start(&server->console, server);
    }
    if (r == 0) {
        *step = SERVE_OTHER;
        r = confine(server);
    }
    if (r == 0)
        r = start_threads(server);
    if (r == 0 && server->config.directory_only && !serves_directory) {
        log_error("this is no directory: hearth-distributor init --directory makes one");
        r = -EINVAL;
    }
    if (r == 0)
        r = throttle_new(&server->throttle, server->clock, server->rng);
    if (r == 0)
        r = quotas_new(&server->quotas, server->clock, server->rng);
    if (r == 0)
        r = row_pace_new(&server->row_pace);
    if (r == 0)
        reload_apply(server);
    if (r == 0)
        r = announce_new(&server->announce, server);
    if (r == 0)
        r = login_new(&server->login, server);
    if (r == 0)
        r = serve_new(&server->bodies, &server->loop, path_of, server);
    if (r == 0 && serves_directory)
        r = lock_alone(lock);
    if (r == 0 && serves_directory) {
        *step = SERVE_DATABASE;
        r = directory_start(&server->directory, server);
    }
    if (r == 0) {
        *step = SERVE_LISTEN;
        r = lobby_start(&server->lobby, server, &port);
    }
    if (r == 0)
        r = serve_announce(&server->config, port, step);
    if (r == 0)
        *step = SERVE_OTHER;
    if (r == 0)
        r = partners_start(&server->partners, server);
    if (r == 0)
        r = directory_client_start(&server->directory_client, server);
    if (r == 0)
        r = rekey_new(&server->rekey, server);
    if (r == 0)
        r = watch_start(&server->watch, server);
    if (r == 0)
        r = collector_start(&server->collector, server);
    if (r == 0)
        announce(server, port);
    return r;
}

static void release(struct server *server)
{
    lobby_free(server->lobby);
    login_free(server->login);
    announce_free(server->announce);
    throttle_free(server->throttle);
    quotas_free(server->quotas);
    row_pace_free(server->row_pace);
    free(server->metrics);
    rekey_free(server->rekey);
    operations_close(server->read_ops);
    operations_close(server->write_ops);
    renew_free(server);
    peer_identity_free(server->identity);
    keys_free(server->keys);
    buf_free(&server->keyset);
}

static int run(struct server *server, struct serve_signals *signals, char why[SERVE_WHY_BYTES])
{
    int lock CLEANUP(closep) = -1;
    enum serve_step step = SERVE_OTHER;
    int r = start_signals(signals, server);
    if (r == 0) {
        step = SERVE_LOCK;
        r = lock_state_dir(server, &lock);
    }
    if (r == 0)
        r = start(server, lock, &step);
    bool started = r == 0;
    if (r != 0) {
        char safe[SERVE_WHY_BYTES];
        serve_explain(&server->config, step, r, why);
        log_error("cannot serve: %s", text_safe(why, safe, sizeof(safe)));
        close_signals(signals);
        stop(server);
    }
    uv_run(&server->loop, UV_RUN_DEFAULT);
    close_signals(signals);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    if (started || step > SERVE_LISTEN)
        serve_unannounce(&server->config);
    if (r == 0 && server->failure != 0)
        snprintf(why, SERVE_WHY_BYTES, "It stopped by itself; the log says why.");
    return r == 0 ? server->failure : r;
}

/* As many descriptors as connections may need; what the system does not give, the listener does without. */
static void raise_descriptor_limit(uint32_t connections)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + SPARE_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        log_warn("fewer descriptors than connections allowed=%llu connections=%u", (unsigned long long)limit.rlim_cur,
                 connections);
}

static int serve_once(const struct config *config, int notify_fd, struct process *process, char why[SERVE_WHY_BYTES])
{
    struct server *server CLEANUP(freep) = calloc(1, sizeof(*server));
    struct serve_signals *signals CLEANUP(freep) = calloc(1, sizeof(*signals));
    if (server == NULL || signals == NULL)
        return -ENOMEM;
    server->config = *config;
    server->notify_fd = notify_fd;
    server->process = process;
    raise_descriptor_limit(config->connections_max);
    server->clock = clock_system();
    server->rng = rng_system();
    server->keyset = buf(KEYSET_ENVELOPE_MAX);
    rng_fill(server->rng, &server->last_log_id, sizeof(server->last_log_id));
    server->last_log_id &= INT64_MAX; /* never around to 0, which is none */
    server->metrics = calloc(1, sizeof(*server->metrics));
    if (server->metrics == NULL)
        return -ENOMEM;
    server->metrics->began_ms = clock_wall_ms(server->clock);
    int r = uv_loop_init(&server->loop);
    if (r != 0)
        return r;
    r = run(server, signals, why);
    release(server);
    if (uv_loop_close(&server->loop) != 0)
        log_warn("something is still open at the end");
    else
        log_info("stopped");
    return r;
}

/* A database server that goes away while this one starts comes back, as it does for one that runs; after a boot it may come up later. */
static bool is_away(int r) { return r == -EHOSTDOWN || r == -EAGAIN; }

int serve_main(const struct config *config, char why[SERVE_WHY_BYTES])
{
    int64_t until_ms = clock_mono_ms(clock_system()) + START_PATIENCE_MS;
    struct process process = { 0 };
    int r = secret_hide_process();
    if (r == 0)
        r = starter_new(&process.starter, STARTER_PATIENCE_MS);
    if (r != 0)
        return r;
    int notify_fd CLEANUP(closep) = notify_open();
    while (is_away(r = serve_once(config, notify_fd, &process, why)) && clock_mono_ms(clock_system()) < until_ms) {
        log_info("tried again in a moment");
        why[0] = '\0';
        (void)sleep(1);
    }
    starter_free(process.starter);
    return r;
}
