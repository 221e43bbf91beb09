/* Opening a sealed program, on whichever thread has its key. */
#include "vault/programs.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/sha256.h"

void program_secret_wipe(struct program_secret *s) { secret_wipe(s, sizeof(*s)); }

/* In place a block goes to a lower offset than it came from: nothing that is still to be read is overwritten. */
static int open_blocks(int fd, const struct program_secret *s, uint8_t *sealed, uint8_t *plain, bool in_place,
                       struct sha256_state *hash)
{
    uint32_t count = program_block_count(s->program_bytes);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = program_block_len(s->program_bytes, i);
        int r = file_pread_all(fd, sealed, len + BLOCK_OVERHEAD_BYTES, program_block_offset(i));
        if (r != 0)
            return r == -EIO ? REASON_BLOCK_CORRUPT : r;
        r = block_open(&s->key, s->digest, i, count, slice(sealed, len + BLOCK_OVERHEAD_BYTES), plain);
        if (r != 0)
            return r > 0 ? REASON_BLOCK_CORRUPT : r;
        sha256_update(hash, slice(plain, len));
        r = in_place ? file_pwrite_all(fd, plain, len, (uint64_t)i * PROGRAM_BLOCK_BYTES) : 0;
        if (r != 0)
            return r;
    }
    return 0;
}

int program_unseal(int fd, const struct program_secret *s, uint8_t *plain, bool in_place)
{
    struct stat st;
    uint8_t digest[SHA256_BYTES];
    if (fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != program_sealed_bytes(s->program_bytes))
        return REASON_BLOCK_CORRUPT;
    uint8_t *sealed CLEANUP(freep) = malloc(PROGRAM_BLOCK_BYTES + BLOCK_OVERHEAD_BYTES);
    struct sha256_state hash CLEANUP(sha256_abort) = { NULL };
    int r = sealed ? sha256_init(&hash) : -ENOMEM;
    if (r == 0)
        r = open_blocks(fd, s, sealed, plain, in_place, &hash);
    if (r == 0) {
        sha256_final(&hash, digest);
        r = memcmp(digest, s->digest, sizeof(digest)) == 0 ? 0 : REASON_BLOCK_CORRUPT;
    }
    secret_wipe(plain, PROGRAM_BLOCK_BYTES);
    if (in_place && ftruncate(fd, r == 0 ? (off_t)s->program_bytes : 0) != 0 && r == 0)
        r = -errno;
    return r;
}
