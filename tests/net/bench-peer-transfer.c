/* Bench of the net layer alone: one file over TLS in blocks, as a device gives it to another; every block is hashed, written and
 * the whole synced. Not here: licenses, certificates (the transfer bench of the real programs).
 *   bench-peer-transfer serve FILE            prints PORT; serves any number of fetches, ends when standard input does
 *   bench-peer-transfer fetch HOST:PORT OUT   prints seconds and CPU seconds; OUT "-": nothing is hashed or written
 * Loop thread; hashing and writing on the pool. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "crypto/block.h"
#include "net/peer.h"

#define BLOCK_BYTES (BLOCK_PLAIN_DEFAULT + BLOCK_OVERHEAD_BYTES)
#define AHEAD 6   /* blocks read from the file but not sent, or received but not written */
#define WINDOW 16 /* blocks of one request */
#define WAIT_MS 30000
#define RANGES 4

static struct key32 seed;
static struct peer_identity *identity;
static uv_loop_t *loop;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench-peer-transfer: %s\n", what);
    exit(1);
}

static void start_identity(void)
{
    struct signer signer;
    rng_fill(rng_system(), seed.bytes, sizeof seed.bytes);
    signer_from_seed(&signer, &seed);
    must(peer_identity_new(&identity, &signer) == 0, "no identity");
    loop = uv_default_loop();
}

/* --- Giving --- */

struct range {
    uint32_t request, next, end;
};
struct giver {
    struct peer *peer;
    int fd;
    struct range ranges[RANGES]; /* asked for, in order */
    uint32_t range_count, reading;
    bool closed;
};
struct reading {
    uv_work_t work;
    struct giver *giver;
    uint32_t index, request;
    uint8_t *data;
    size_t len;
    int result;
};

static void give_more(struct giver *g);

static void on_read(uv_work_t *work)
{
    struct reading *r = work->data;
    ssize_t n = pread(r->giver->fd, r->data, BLOCK_BYTES, (off_t)r->index * BLOCK_BYTES);
    r->result = n < 0 ? -errno : 0;
    r->len = n < 0 ? 0 : (size_t)n;
}

static void on_read_done(uv_work_t *work, int status)
{
    struct reading *r = work->data;
    struct giver *g = r->giver;
    msg_Block block = msg_Block_init_zero;
    (void)status;
    block.index = r->index;
    g->reading--;
    if (g->closed)
        free(r->data);
    else if (peer_send_owned(g->peer, msg_Type_BLOCK, r->request, msg_Block_fields, &block, r->data, r->len) != 0)
        peer_close(g->peer, REASON_INTERNAL);
    free(r);
    if (!g->closed)
        give_more(g);
    else if (g->reading == 0)
        free(g);
}

/* One reading at a time keeps the order. */
static void give_more(struct giver *g)
{
    if (g->reading > 0 || g->range_count == 0 || !peer_writable(g->peer))
        return;
    struct reading *r = calloc(1, sizeof *r);
    must(r && (r->data = malloc(BLOCK_BYTES)), "memory");
    r->giver = g;
    r->request = g->ranges[0].request;
    r->index = g->ranges[0].next++;
    if (g->ranges[0].next == g->ranges[0].end)
        memmove(&g->ranges[0], &g->ranges[1], --g->range_count * sizeof g->ranges[0]);
    r->work.data = r;
    g->reading++;
    must(uv_queue_work(loop, &r->work, on_read, on_read_done) == 0, "pool");
}

static void on_asked(struct peer *p, const struct frame *f, void *ctx)
{
    struct giver *g = ctx;
    msg_BlocksGet get;
    must(f->type == msg_Type_BLOCKS_GET && CODEC_DECODE(msg_BlocksGet, f->message, &get) == 0, "a strange request");
    (void)p;
    must(g->range_count < RANGES, "too many requests");
    g->ranges[g->range_count++] = (struct range){ f->request, get.first, get.first + get.count };
    give_more(g);
}

static void on_giver_drain(struct peer *p, void *ctx)
{
    (void)p;
    give_more(ctx);
}

static void on_giver_closed(struct peer *p, enum reason why, void *ctx)
{
    struct giver *g = ctx;
    (void)p;
    (void)why;
    g->closed = true;
    if (g->reading == 0)
        free(g);
}

static bool on_accept(struct peer *p, struct peer_callbacks *callbacks, void **ctx, void *listener_ctx)
{
    struct giver *g = calloc(1, sizeof *g);
    must(g != NULL, "memory");
    g->peer = p;
    g->fd = *(int *)listener_ctx;
    *callbacks = (struct peer_callbacks){ NULL, on_asked, on_giver_drain, on_giver_closed };
    *ctx = g;
    return true;
}

static void on_stdin(uv_poll_t *poll, int status, int events)
{
    char c;
    (void)status;
    (void)events;
    if (read(0, &c, 1) <= 0)
        exit(0);
    (void)poll;
}

static int serve(const char *path)
{
    struct peer_listener *listener;
    uint16_t port;
    uv_poll_t input;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0, path);
    must(peer_listen(&listener, loop, identity, "127.0.0.1", 0, 64, on_accept, &fd, &port) == 0, "cannot listen");
    printf("%u\n", port);
    fflush(stdout);
    if (uv_poll_init(loop, &input, 0) == 0)
        uv_poll_start(&input, UV_READABLE, on_stdin);
    uv_run(loop, UV_RUN_DEFAULT);
    return 0;
}

/* --- Taking --- */

struct taker {
    struct peer *peer;
    int fd;
    uint32_t asked, received, count, busy, requests;
    bool waste;
};
struct writing {
    uv_work_t work;
    struct taker *taker;
    void *memory;
    struct slice block;
    uint32_t index;
    uint8_t hash[32];
    int result;
};

static void on_write(uv_work_t *work)
{
    struct writing *w = work->data;
    block_hash(w->block, w->hash);
    w->result = file_pwrite_all(w->taker->fd, w->block.data, w->block.len, (uint64_t)w->index * BLOCK_BYTES);
}

static void take_on(struct taker *t);

static void on_written(uv_work_t *work, int status)
{
    struct writing *w = work->data;
    struct taker *t = w->taker;
    (void)status;
    must(w->result == 0, "cannot write");
    free(w->memory);
    free(w);
    t->busy--;
    if (t->busy < AHEAD)
        peer_resume(t->peer);
    take_on(t);
}

static bool on_block(struct peer *p, const struct frame *f, enum reason why, void *ctx)
{
    struct taker *t = ctx;
    msg_Block block;
    must(f != NULL, reason_text(why));
    must(peer_refusal(f, msg_Type_BLOCK, NULL) == REASON_NONE, "refused");
    must(CODEC_DECODE(msg_Block, f->message, &block) == 0 && block.index == t->received, "out of order");
    t->received++;
    if (!t->waste) {
        struct writing *w = calloc(1, sizeof *w);
        must(w != NULL, "memory");
        *w = (struct writing){ .taker = t, .block = f->tail, .index = block.index };
        w->memory = peer_keep_frame(p);
        w->work.data = w;
        must(uv_queue_work(loop, &w->work, on_write, on_written) == 0, "pool");
        if (++t->busy >= AHEAD)
            peer_pause(p);
    }
    bool more = t->received % WINDOW != 0 && t->received < t->count;
    if (!more)
        t->requests--;
    take_on(t);
    return more;
}

static void take_on(struct taker *t)
{
    while (t->asked < t->count && t->requests < 2) {
        msg_BlocksGet get = msg_BlocksGet_init_zero;
        get.first = t->asked;
        get.count = (uint32_t)u64_min(WINDOW, t->count - t->asked);
        must(peer_request(t->peer, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &get, slice(NULL, 0), WAIT_MS, on_block,
                          t, NULL) == 0,
             "cannot ask");
        t->asked += get.count;
        t->requests++;
    }
    if (t->received == t->count && t->busy == 0)
        peer_close(t->peer, REASON_NONE);
}

static void on_taker_open(struct peer *p, void *ctx)
{
    peer_set_tail_max(p, FRAME_TAIL_MAX);
    take_on(ctx);
}

static void on_taker_closed(struct peer *p, enum reason why, void *ctx)
{
    (void)p;
    (void)ctx;
    must(why == REASON_NONE, reason_text(why));
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

static int fetch(const char *address, const char *out, uint64_t size)
{
    struct taker t = { .fd = -1, .waste = strcmp(out, "-") == 0 };
    struct peer_callbacks callbacks = { on_taker_open, NULL, NULL, on_taker_closed };
    struct rusage usage;
    uint64_t start = uv_hrtime();
    if (!t.waste)
        must((t.fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) >= 0, out);
    t.count = (uint32_t)((size + BLOCK_BYTES - 1) / BLOCK_BYTES);
    must(peer_dial(&t.peer, loop, identity, address, NULL, WAIT_MS, &callbacks, &t) == 0, "cannot dial");
    uv_run(loop, UV_RUN_DEFAULT);
    must(t.received == t.count, "cut short");
    if (!t.waste)
        must(fsync(t.fd) == 0, "cannot sync");
    getrusage(RUSAGE_SELF, &usage);
    printf("%.3f s  cpu %.3f user %.3f sys\n", (double)(uv_hrtime() - start) / 1e9, seconds(usage.ru_utime),
           seconds(usage.ru_stime));
    return 0;
}

int main(int argc, char **argv)
{
    log_init("bench-peer-transfer");
    must(argc >= 3, "usage: serve FILE | fetch HOST:PORT OUT BYTES");
    start_identity();
    if (strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    must(argc == 5, "usage: fetch HOST:PORT OUT BYTES");
    return fetch(argv[2], argv[3], strtoull(argv[4], NULL, 10));
}
