/* Load: many devices of one distributor, played by this process over real connections, for benches. Each device has bought some
 * tracks and asks for copy certificates for the other devices of its account, each pair of track and destination once: every
 * answer is a certificate that was made, charged and synced, none a repetition of an earlier one. On one loop. */
#ifndef TESTS_SERVE_LOAD_H
#define TESTS_SERVE_LOAD_H

#include "client.h"
#include "program.h"

#define LOAD_ACCOUNTS 32
#define LOAD_HOUSEHOLD 8 /* devices of an account */
#define LOAD_DEVICES (LOAD_ACCOUNTS * LOAD_HOUSEHOLD)
#define LOAD_TRACKS_OF_ONE 32
#define LOAD_TRACKS (LOAD_TRACKS_OF_ONE * LOAD_HOUSEHOLD)
#define LOAD_COPIES_OF_ONE (LOAD_TRACKS_OF_ONE * (LOAD_HOUSEHOLD - 1))

struct load;
struct load_device {
    struct load *load;
    struct client client;
    unsigned number, asked; /* copies it has asked for */
    uint64_t transaction, due_ns;
    struct load_device *next_due; /* has been due while it was still waiting for an answer */
    unsigned overdue;
    uint64_t overdue_ns[64]; /* when each of them was due: a ring */
    unsigned overdue_first;
    bool busy;
};

struct load {
    uv_loop_t *loop;
    struct program server, second; /* second: over the same PostgreSQL database, or not there (no directory) */
    char kept[160];                /* the prepared state, copied back by load_restore */
    struct load_device *devices;
    struct {
        uint8_t content[32], license_id[16];
        uint32_t product;
    } tracks[LOAD_TRACKS];
    uint64_t rate, began_ns, end_ns, started;
    unsigned in_flight, next_device;
    bool exhausted;
    double *waited_ms;
    unsigned sample_count;
};

struct load_figures {
    double seconds, per_second, p50_ms, p99_ms, worst_ms;
    double server_cpu_us, own_cpu_us; /* of one certificate */
    unsigned count, left;             /* left: due and not even asked for at the end, with a rate */
};

/* HEARTH_LOAD_DATABASE (postgresql:...): the operations database is there, and every other device is a second server's.
 * A distributor with accounts, devices, tracks and purchases, stopped; takes half a minute. */
void load_prepare(struct load *l, uv_loop_t *loop, const char *binary);
void load_restore(struct load *l); /* the state as load_prepare left it; the server is stopped */
void load_connect(struct load *l); /* the server runs */
void load_disconnect(struct load *l);
/* rate: transactions a second, begun on time whether or not earlier ones are answered, each waiting from the moment it was due;
 * 0: each device asks again as soon as it has its answer. */
void load_run(struct load *l, unsigned seconds, uint64_t rate, struct load_figures *out);
void load_deinit(struct load *l);

/* What this machine can do at most, each for about a second: printed one a line. dir: on the disk that counts. */
void load_print_limits(const char *dir);

/* Strangers: a child process that keeps `count` connections open that never say who they are: silent ones, ones that send a TLS hello a byte a
 * second, ones that end their handshake and then say nothing; each comes back when it was hung up on. */
struct strangers {
    pid_t pid;
    int report; /* a pipe: a line with the number of open connections, every second */
};
void strangers_start(struct strangers *s, const char *address, unsigned count); /* returns when they are all there */
void strangers_stop(struct strangers *s);

#endif
