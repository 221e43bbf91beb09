/* Hashing samples as they come. */
#include "player/digest.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"
#include "crypto/sha256.h"

#define PIPE_BYTES (1 << 20)
#define READ_BYTES ((size_t)64 * 1024)

struct digest {
    int read_fd, write_fd;
    pthread_t thread;
    struct sha256_state state;
    uint64_t bytes;
    int error;
    uint8_t chunk[READ_BYTES];
};

static void *drain(void *arg)
{
    struct digest *d = arg;
    for (;;) {
        ssize_t got = read(d->read_fd, d->chunk, sizeof(d->chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            d->error = got < 0 ? -errno : 0;
            return NULL;
        }
        sha256_update(&d->state, slice(d->chunk, (size_t)got));
        d->bytes += (uint64_t)got;
    }
}

static void digest_free(struct digest *d)
{
    if (!d)
        return;
    closep(&d->read_fd);
    closep(&d->write_fd);
    sha256_abort(&d->state);
    free(d);
}

static void digest_freep(struct digest **d) { digest_free(*d); }

int digest_start(struct digest **out)
{
    int ends[2];
    struct digest *d CLEANUP(digest_freep) = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->read_fd = d->write_fd = -1;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    d->read_fd = ends[0];
    d->write_fd = ends[1];
    (void)fcntl(d->write_fd, F_SETPIPE_SZ, PIPE_BYTES); /* fewer switches between the threads, where allowed */
    int r = sha256_init(&d->state);
    if (r == 0)
        r = -pthread_create(&d->thread, NULL, drain, d);
    if (r == 0)
        *out = steal(&d);
    return r;
}

int digest_fd(const struct digest *d) { return d->write_fd; }

int digest_finish(struct digest *d, uint8_t hash[32], uint64_t *bytes)
{
    closep(&d->write_fd);
    d->write_fd = -1;
    pthread_join(d->thread, NULL);
    int r = d->error;
    if (r == 0) {
        sha256_final(&d->state, hash);
        *bytes = d->bytes;
    }
    digest_free(d);
    return r;
}
