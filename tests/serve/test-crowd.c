/* Many devices that are connected and silent: how much memory each of them costs the server.
 * argv[1]: hearth-distributor; argv[2] (may be absent): how many. Design section 8: 10,000 within 512 MiB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/util.h"
#include "client.h"
#include "program.h"

#define FULL_CROWD 10000
#define LIMIT_KIB (512u << 10)
#define AT_ONCE 64
#define SPARE_DESCRIPTORS 100

static const char *binary;
static unsigned wanted = 1000;
static uv_loop_t loop;

struct crowd {
    const struct peer_identity *identity;
    const char *address;
    struct peer **peers;
    unsigned dialled, greeted, closed, ending;
};

static bool on_welcome(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct crowd *c = ctx;
    (void)p, (void)why;
    if (reply != NULL && reply->type == msg_Type_WELCOME)
        c->greeted++;
    return false;
}

static void on_open(struct peer *p, void *ctx) { (void)p, (void)ctx; }

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    msg_Hello hello = { .role = 1, .generation = 1 };
    if (f->type == msg_Type_KEYSET &&
        peer_request(p, msg_Type_HELLO, msg_Hello_fields, &hello, slice(NULL, 0), 60000, on_welcome, ctx, NULL) != 0)
        abort();
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct crowd *c = ctx;
    (void)p;
    if (c->ending == 0)
        print_message("closed: %s\n", reason_code(why));
    c->closed++;
}

static void dial_more(struct crowd *c)
{
    static const struct peer_callbacks callbacks = { on_open, on_frame, NULL, on_closed };
    while (c->dialled < wanted && c->dialled - c->greeted < AT_ONCE) {
        assert_int_equal(peer_dial(&c->peers[c->dialled], &loop, c->identity, c->address, NULL, 60000, &callbacks, c),
                         0);
        c->dialled++;
    }
}

static void test_idle(void **state)
{
    (void)state;
    struct program server;
    struct client c;
    program_init(&server, binary, "crowd");
    program_start(&server);
    client_init(&c, &loop, 1);
    uint64_t before_kib = program_pss_kib(&server);
    struct crowd crowd = { .identity = c.identity, .address = server.address };
    crowd.peers = calloc(wanted, sizeof(struct peer *));
    while (crowd.greeted < wanted && crowd.closed == 0) {
        dial_more(&crowd);
        uv_run(&loop, UV_RUN_ONCE);
    }
    assert_int_equal(crowd.greeted, wanted);
    client_run_ms(&c, 2500); /* buffers of the handshake are given back after a second */
    uint64_t after_kib = program_pss_kib(&server);
    uint64_t each_bytes = (after_kib - before_kib) * 1024 / wanted;
    uint64_t full_kib = before_kib + each_bytes * FULL_CROWD / 1024;
    print_message("%u sessions: %llu KiB, %llu bytes each; %u would take %llu KiB of %u\n", wanted,
                  (unsigned long long)after_kib, (unsigned long long)each_bytes, FULL_CROWD,
                  (unsigned long long)full_kib, LIMIT_KIB);
    assert_true(full_kib <= LIMIT_KIB);
    crowd.ending = 1;
    for (unsigned i = 0; i < wanted; i++)
        peer_close(crowd.peers[i], REASON_CANCELLED);
    while (crowd.closed < wanted)
        uv_run(&loop, UV_RUN_ONCE);
    client_deinit(&c);
    program_stop(&server);
    program_deinit(&server);
    free(crowd.peers);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_idle) };
    if (argc < 2)
        return 77;
    binary = argv[1];
    if (argc > 2)
        wanted = (unsigned)strtoul(argv[2], NULL, 10);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted + SPARE_DESCRIPTORS) {
        limit.rlim_cur = wanted + SPARE_DESCRIPTORS < limit.rlim_max ? wanted + SPARE_DESCRIPTORS : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur < wanted + SPARE_DESCRIPTORS)
            wanted = (unsigned)limit.rlim_cur - SPARE_DESCRIPTORS;
    }
    uv_loop_init(&loop);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
