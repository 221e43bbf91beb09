/* Bench: memory of many idle connections. A server process accepts COUNT TLS peers of a second process; when all are open and their
 * buffers have been given back, the server prints what it occupies for each.
 *   bench-peer-idle COUNT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "net/peer.h"

#define AT_ONCE 64
#define SETTLE_MS 3000
#define WAIT_MS 60000

static struct key32 seed;
static struct peer_identity *identity;
static unsigned wanted, opened, closed, dialed;
static uv_loop_t *loop;
static char address[32];

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench-peer-idle: %s\n", what);
    exit(1);
}

static unsigned long pss_kib(void)
{
    char line[256];
    unsigned long kib = 0;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    must(f != NULL, "no smaps_rollup");
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "Pss: %lu kB", &kib) == 1)
            break;
    }
    fclose(f);
    return kib;
}

static void start_identity(void)
{
    struct signer signer;
    rng_fill(rng_system(), seed.bytes, sizeof seed.bytes);
    signer_from_seed(&signer, &seed);
    must(peer_identity_new(&identity, &signer) == 0, "no identity");
    loop = uv_default_loop();
}

static void raise_limit(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    must(files.rlim_cur >= wanted + 50, "too few file descriptors are allowed");
}

/* --- The server --- */

static unsigned long before_kib;

static void on_settled(uv_timer_t *timer)
{
    unsigned long now_kib = pss_kib();
    (void)timer;
    printf("%u idle connections: PSS %lu KiB, before %lu KiB, each %.1f KiB\n", wanted, now_kib, before_kib,
           (double)(now_kib - before_kib) / wanted);
    fflush(stdout);
    exit(0);
}

static void on_server_open(struct peer *p, void *ctx)
{
    static uv_timer_t settle;
    (void)ctx;
    peer_set_idle_ms(p, 600000);
    if (++opened < wanted)
        return;
    uv_timer_init(loop, &settle);
    uv_timer_start(&settle, on_settled, SETTLE_MS, 0);
}

static void on_server_closed(struct peer *p, enum reason why, void *ctx)
{
    (void)p;
    (void)ctx;
    must(false, reason_text(why));
}

static bool on_accept(struct peer *p, struct peer_callbacks *callbacks, void **ctx, void *listener_ctx)
{
    (void)p;
    (void)listener_ctx;
    *callbacks = (struct peer_callbacks){ on_server_open, NULL, NULL, on_server_closed };
    *ctx = NULL;
    return true;
}

static void serve(int port_fd)
{
    struct peer_listener *listener;
    uint16_t port;
    start_identity();
    must(peer_listen(&listener, loop, identity, "127.0.0.1", 0, wanted, on_accept, NULL, &port) == 0, "cannot listen");
    before_kib = pss_kib();
    must(write(port_fd, &port, sizeof port) == sizeof port, "no pipe");
    uv_run(loop, UV_RUN_DEFAULT);
}

/* --- The clients --- */

static void dial_more(void);

static void on_open(struct peer *p, void *ctx)
{
    (void)p;
    (void)ctx;
    opened++;
    dial_more();
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    (void)p;
    (void)ctx;
    must(opened == wanted, reason_text(why));
    if (++closed == wanted)
        uv_stop(loop);
}

static void dial_more(void)
{
    static const struct peer_callbacks callbacks = { on_open, NULL, NULL, on_closed };
    struct peer *p;
    for (; dialed < wanted && dialed < opened + AT_ONCE; dialed++)
        must(peer_dial(&p, loop, identity, address, NULL, WAIT_MS, &callbacks, NULL) == 0, "cannot dial");
}

int main(int argc, char **argv)
{
    int pipes[2], status;
    uint16_t port;
    log_init("bench-peer-idle");
    must(argc == 2 && (wanted = (unsigned)atoi(argv[1])) > 0, "usage: bench-peer-idle COUNT");
    raise_limit();
    must(pipe(pipes) == 0, "no pipe");
    pid_t child = fork();
    if (child == 0)
        serve(pipes[1]);
    must(read(pipes[0], &port, sizeof port) == sizeof port, "no server");
    start_identity();
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    dial_more();
    uv_run(loop, UV_RUN_DEFAULT);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
