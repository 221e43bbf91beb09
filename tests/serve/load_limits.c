/* The machine's raw limits, each measured for about a second on one thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "crypto/seal.h"
#include "crypto/sign.h"
#include "load.h"

#define MEASURE_NS 1000000000ull

static double rate_of(void (*once)(void *ctx), void *ctx)
{
    uint64_t began_ns = uv_hrtime(), now_ns;
    unsigned n = 0;
    do {
        once(ctx);
        n++;
        now_ns = uv_hrtime();
    } while (now_ns - began_ns < MEASURE_NS);
    return n * 1e9 / (double)(now_ns - began_ns);
}

struct signing {
    struct signer signer;
    struct sign_pair pair;
    uint8_t bytes[1000], signature[64];
};

static void sign_once(void *ctx)
{
    struct signing *s = ctx;
    s->bytes[0]++;
    assert_int_equal(s->signer.sign(s->signer.ctx, SLICE_ARRAY(s->bytes), s->signature), 0);
}

static void verify_once(void *ctx)
{
    struct signing *s = ctx;
    assert_true(sign_is_valid(s->signer.public_key, SLICE_ARRAY(s->bytes), s->signature));
}

struct sealing {
    uint8_t key[32], bytes[32], out[32 + SEAL_OVERHEAD_BYTES];
};

static void seal_once(void *ctx)
{
    struct sealing *s = ctx;
    assert_int_equal(seal_to(s->key, SLICE_ARRAY(s->bytes), s->out), 0);
}

static void sync_once(void *ctx)
{
    const int *fd = ctx;
    uint8_t page[4096] = { 1 };
    assert_int_equal(pwrite(*fd, page, sizeof(page), 0), sizeof(page));
    assert_int_equal(fdatasync(*fd), 0);
}

static void append_once(void *ctx)
{
    const int *fd = ctx;
    uint8_t page[4096] = { 1 };
    assert_int_equal(write(*fd, page, sizeof(page)), sizeof(page));
    assert_int_equal(fsync(*fd), 0);
}

static void commit_once(void *ctx)
{
    sqlite3_stmt *insert = ctx;
    assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
    sqlite3_reset(insert);
}

static void print_commits(const char *path)
{
    sqlite3 *db;
    sqlite3_stmt *insert;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                  "CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO t (b) VALUES (zeroblob(1000))", -1, &insert, NULL), SQLITE_OK);
    printf("%-58s %10.0f /s\n", "limit: SQLite commits of one row, synced", rate_of(commit_once, insert));
    sqlite3_finalize(insert);
    sqlite3_close(db);
}

void load_print_limits(const char *dir)
{
    static struct signing s;
    struct sealing seal = { 0 };
    struct key32 seed, sealing;
    char path[256];
    rng_fill(rng_system(), seed.bytes, sizeof(seed.bytes));
    rng_fill(rng_system(), sealing.bytes, sizeof(sealing.bytes));
    sign_pair_init(&s.pair, &seed);
    signer_from_pair(&s.signer, &s.pair);
    seal_public_key(&sealing, seal.key);
    printf("%-58s %10.0f /s\n", "limit: Ed25519 signatures, one thread", rate_of(sign_once, &s));
    sign_once(&s);
    printf("%-58s %10.0f /s\n", "limit: Ed25519 verifications, one thread", rate_of(verify_once, &s));
    printf("%-58s %10.0f /s\n", "limit: sealed boxes, one thread", rate_of(seal_once, &seal));
    snprintf(path, sizeof(path), "%s-limits", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    printf("%-58s %10.0f /s\n", "limit: fdatasync of a rewritten page", rate_of(sync_once, &fd));
    printf("%-58s %10.0f /s\n", "limit: fsync of an appended page", rate_of(append_once, &fd));
    close(fd);
    unlink(path);
    print_commits(path);
    static const char *const endings[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        snprintf(path, sizeof(path), "%s-limits%s", dir, endings[i]);
        unlink(path);
    }
}
