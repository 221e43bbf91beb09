/* Callbacks: on_tick (the next transactions are due), on_answer (of each). */
#include "load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/util.h"
#include "shop.h"

#define SAMPLES_MAX (LOAD_DEVICES * LOAD_COPIES_OF_ONE)
#define ANSWER_MS 60000

/* --- What is asked --- */

static unsigned account_of(const struct load_device *d) { return d->number / LOAD_HOUSEHOLD; }

static unsigned place_of(const struct load_device *d) { return d->number % LOAD_HOUSEHOLD; }

static void next_transaction(struct load_device *d, msg_Transact *t)
{
    *t = (msg_Transact){ .session = d->client.session, .bit = d->client.bit ^= 1, .count = 1 };
    rng_fill(rng_system(), t->transaction, sizeof(t->transaction));
}

/* The copies of a device: each of its tracks to each of its household. */
static void next_copy(struct load_device *d, struct buf *tail)
{
    struct load *l = d->load;
    unsigned track = place_of(d) * LOAD_TRACKS_OF_ONE + d->asked % LOAD_TRACKS_OF_ONE;
    unsigned other = (place_of(d) + 1 + d->asked / LOAD_TRACKS_OF_ONE) % LOAD_HOUSEHOLD;
    const struct load_device *destination = &l->devices[account_of(d) * LOAD_HOUSEHOLD + other];
    msg_Item item = msg_Item_init_zero;
    struct buf encoded = buf(4096);
    d->asked++;
    item.has_copy = true;
    memcpy(item.copy.content, l->tracks[track].content, 32);
    memcpy(item.copy.license_id, l->tracks[track].license_id, 16);
    memcpy(item.copy.destination, destination->client.id.bytes, 32);
    assert_int_equal(CODEC_ENCODE(msg_Item, &encoded, &item), 0);
    assert_int_equal(codec_list_put(tail, buf_slice(&encoded)), 0);
    buf_free(&encoded);
}

/* --- Asking --- */

static bool on_answer(struct peer *p, const struct frame *reply, enum reason why, void *ctx);

static void ask(struct load_device *d, uint64_t due_ns)
{
    struct load *l = d->load;
    struct buf tail = buf(8192);
    msg_Transact t;
    if (d->asked == LOAD_COPIES_OF_ONE) {
        l->exhausted = true;
        return;
    }
    next_transaction(d, &t);
    next_copy(d, &tail);
    d->due_ns = due_ns;
    d->busy = true;
    l->in_flight++;
    if (peer_request(d->client.peer, msg_Type_TRANSACT, msg_Transact_fields, &t, buf_slice(&tail), ANSWER_MS, on_answer,
                     d, NULL) != 0)
        abort();
    buf_free(&tail);
}

static void ask_or_queue(struct load_device *d, uint64_t due_ns)
{
    if (!d->busy) {
        ask(d, due_ns);
        return;
    }
    if (d->overdue == ARRAY_COUNT(d->overdue_ns)) {
        fprintf(stderr, "the server is too far behind for this rate\n");
        d->load->exhausted = true;
        return;
    }
    d->overdue_ns[(d->overdue_first + d->overdue++) % ARRAY_COUNT(d->overdue_ns)] = due_ns;
}

static bool on_answer(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct load_device *d = ctx;
    struct load *l = d->load;
    static msg_Result result;
    struct slice one;
    (void)p;
    if (reply == NULL || reply->type != msg_Type_TRANSACTED) {
        fprintf(stderr, "not answered: %s\n", reason_code(reply == NULL ? why : peer_refusal(reply, 0, NULL)));
        exit(1);
    }
    struct reader list = reader(reply->tail);
    if (codec_list_next(&list, 8192, &one) != 0 || CODEC_DECODE(msg_Result, one, &result) != 0 ||
        !result.has_certificate) {
        fprintf(stderr, "no certificate: %s\n", result.refusal.text);
        exit(1);
    }
    uint64_t now_ns = uv_hrtime();
    if (l->sample_count < SAMPLES_MAX)
        l->waited_ms[l->sample_count++] = (double)(now_ns - d->due_ns) / 1e6;
    l->in_flight--;
    d->busy = false;
    if (d->overdue > 0 && now_ns < l->end_ns) {
        uint64_t due_ns = d->overdue_ns[d->overdue_first];
        d->overdue_first = (d->overdue_first + 1) % ARRAY_COUNT(d->overdue_ns);
        d->overdue--;
        ask(d, due_ns);
    } else if (l->rate == 0 && now_ns < l->end_ns) {
        ask(d, now_ns);
    }
    return false;
}

static void on_tick(uv_timer_t *t)
{
    struct load *l = t->data;
    uint64_t now_ns = uv_hrtime();
    if (now_ns >= l->end_ns || l->exhausted) {
        uv_timer_stop(t);
        return;
    }
    uint64_t due = (now_ns - l->began_ns) / 1000 * l->rate / 1000000;
    for (; l->started < due; l->started++) {
        ask_or_queue(&l->devices[l->next_device], l->began_ns + l->started * 1000000000ull / l->rate);
        l->next_device = (l->next_device + 1) % LOAD_DEVICES;
    }
}

/* --- A run --- */

static double own_cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double servers_cpu_us(const struct load *l)
{
    return program_cpu_us(&l->server) + (l->second.pid != 0 ? program_cpu_us(&l->second) : 0);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void start(struct load *l, uv_timer_t *timer)
{
    uv_timer_init(l->loop, timer);
    timer->data = l;
    if (l->rate > 0) {
        uv_timer_start(timer, on_tick, 0, 1);
        return;
    }
    for (unsigned i = 0; i < LOAD_DEVICES; i++)
        ask(&l->devices[i], uv_hrtime());
}

void load_run(struct load *l, unsigned seconds, uint64_t rate, struct load_figures *out)
{
    uv_timer_t timer;
    double server_us = servers_cpu_us(l), own_us = own_cpu_us();
    l->rate = rate;
    l->sample_count = 0;
    l->started = 0;
    l->exhausted = false;
    l->began_ns = uv_hrtime();
    l->end_ns = l->began_ns + seconds * 1000000000ull;
    start(l, &timer);
    while (uv_hrtime() < l->end_ns && !l->exhausted)
        uv_run(l->loop, UV_RUN_ONCE);
    unsigned left = 0;
    for (unsigned i = 0; i < LOAD_DEVICES; i++)
        left += l->devices[i].overdue;
    while (l->in_flight > 0)
        uv_run(l->loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < LOAD_DEVICES; i++)
        l->devices[i].overdue = 0;
    double took = (double)(uv_hrtime() - l->began_ns) / 1e9;
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(l->loop, UV_RUN_NOWAIT);
    unsigned n = l->sample_count;
    assert_true(n > 0);
    qsort(l->waited_ms, n, sizeof(double), ascending);
    *out = (struct load_figures){ .seconds = took,
                                  .count = n,
                                  .left = left,
                                  .per_second = n / took,
                                  .p50_ms = l->waited_ms[n / 2],
                                  .p99_ms = l->waited_ms[(size_t)n * 99 / 100],
                                  .worst_ms = l->waited_ms[n - 1],
                                  .server_cpu_us = (servers_cpu_us(l) - server_us) / n,
                                  .own_cpu_us = (own_cpu_us() - own_us) / n };
}

void load_connect(struct load *l)
{
    uv_update_time(l->loop); /* what came before may have taken longer than any deadline */
    for (unsigned i = 0; i < LOAD_DEVICES; i++) {
        struct load_device *d = &l->devices[i];
        const struct program *server = l->second.pid != 0 && i % 2 == 1 ? &l->second : &l->server;
        assert_true(client_connect(&d->client, server->address));
        client_hello(&d->client);
        d->asked = d->overdue = 0;
        d->busy = false;
    }
}

void load_disconnect(struct load *l)
{
    for (unsigned i = 0; i < LOAD_DEVICES; i++)
        client_disconnect(&l->devices[i].client);
}
