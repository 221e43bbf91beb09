/* Carrying samples from libmpv's pipe to a disc or its image. */
#include "player/disc.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/util.h"
#include "net/channel.h"
#include "vault.pb.h"

#define PIPE_BYTES (1 << 20)
#define CHUNK_BYTES ((size_t)32 * DISC_SECTOR_BYTES)
#define SAMPLE_BYTES 4

struct disc {
    int read_fd, write_fd, out_fd;
    pthread_t thread;
    uint64_t bytes;
    atomic_int failure;
    uint8_t chunk[CHUNK_BYTES];
};

int disc_judge(int vault_fd)
{
    static const vlt_RecordAsk ask;
    msg_Refusal refusal;
    struct frame f;
    struct channel vault CLEANUP(channel_deinit);
    int own = fcntl(vault_fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return -errno;
    channel_init(&vault, own, 0);
    int r = channel_send(&vault, vlt_Type_RECORD_ASK, UINT32_MAX, vlt_RecordAsk_fields, &ask, slice(NULL, 0));
    if (r == 0) {
        r = channel_read(&vault, true, &f);
        if (r > 0)
            r = -EPIPE;
    }
    if (r != 0)
        return r;
    if (f.type == msg_Type_REFUSAL && CODEC_DECODE(msg_Refusal, f.message, &refusal) == 0)
        return reason_of_code(refusal.code);
    return f.type == vlt_Type_DONE ? 0 : REASON_MALFORMED;
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int fill_sector(struct disc *d)
{
    size_t over = (size_t)(d->bytes % DISC_SECTOR_BYTES);
    if (over == 0)
        return 0;
    memset(d->chunk, 0, DISC_SECTOR_BYTES);
    return write_all(d->out_fd, d->chunk, DISC_SECTOR_BYTES - over);
}

static int carry_on(struct disc *d)
{
    for (;;) {
        ssize_t got = read(d->read_fd, d->chunk, sizeof(d->chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return fill_sector(d);
        d->bytes += (uint64_t)got;
        if (d->bytes > (uint64_t)DISC_SECTORS_MAX * DISC_SECTOR_BYTES)
            return REASON_TOO_LARGE;
        int r = write_all(d->out_fd, d->chunk, (size_t)got);
        if (r != 0)
            return r;
    }
}

static void *carry(void *arg)
{
    struct disc *d = arg;
    int r = carry_on(d);
    secret_wipe(d->chunk, sizeof(d->chunk));
    atomic_store(&d->failure, r);
    closep(&d->read_fd); /* libmpv must not wait for a reader that has given up */
    d->read_fd = -1;
    return NULL;
}

static void disc_free(struct disc *d)
{
    if (!d)
        return;
    closep(&d->read_fd);
    closep(&d->write_fd);
    closep(&d->out_fd);
    free(d);
}

static void disc_freep(struct disc **d) { disc_free(*d); }

int disc_start(struct disc **out, int out_fd)
{
    int ends[2];
    struct disc *d CLEANUP(disc_freep) = calloc(1, sizeof(*d));
    if (!d) {
        closep(&out_fd);
        return -ENOMEM;
    }
    d->read_fd = d->write_fd = -1;
    d->out_fd = out_fd;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    d->read_fd = ends[0];
    d->write_fd = ends[1];
    (void)fcntl(d->write_fd, F_SETPIPE_SZ, PIPE_BYTES); /* fewer switches between the threads, where allowed */
    int r = -pthread_create(&d->thread, NULL, carry, d);
    if (r == 0)
        *out = steal(&d);
    return r;
}

int disc_fd(const struct disc *d) { return d->write_fd; }

int disc_failure(const struct disc *d) { return atomic_load(&d->failure); }

int disc_finish(struct disc *d, uint64_t *samples)
{
    closep(&d->write_fd);
    d->write_fd = -1;
    pthread_join(d->thread, NULL);
    int r = atomic_load(&d->failure);
    if (r == 0)
        *samples = d->bytes / SAMPLE_BYTES;
    disc_free(d);
    return r;
}
