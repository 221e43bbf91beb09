/* The storage key in a file of its own: DIR/storage.key, mode 0600. Start-up only.
 *
 *   0  8  "HEARTHK1"
 *   8  32 key */
#define LOG_MODULE "storage-key"
#include "vault/storage_key.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"

#define MAGIC "HEARTHK1"
#define MAGIC_BYTES 8
#define FILE_BYTES (MAGIC_BYTES + sizeof(struct key32))

static int read_key(const char *path, uint8_t content[FILE_BYTES])
{
    int fd CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size != FILE_BYTES)
        return -EUCLEAN;
    if ((st.st_mode & 077) != 0) {
        log_warn("storage key was readable by others, now it is not");
        if (fchmod(fd, 0600) != 0)
            return -errno;
    }
    int r = file_pread_all(fd, content, FILE_BYTES, 0);
    if (r == 0 && memcmp(content, MAGIC, MAGIC_BYTES) != 0)
        r = -EUCLEAN;
    return r;
}

static int create_key(const char *path, const struct rng *rng, uint8_t content[FILE_BYTES])
{
    memcpy(content, MAGIC, MAGIC_BYTES);
    rng_fill(rng, content + MAGIC_BYTES, sizeof(struct key32));
    return file_replace(path, slice(content, FILE_BYTES), 0600);
}

int storage_key_get(const char *state_dir, bool create, const struct rng *rng, struct key32 **out)
{
    char path[PATH_MAX];
    uint8_t content[FILE_BYTES];
    int r = file_join(path, sizeof(path), state_dir, "storage.key");
    if (r != 0)
        return r;
    struct key32 *key = secret_alloc(sizeof(*key));
    if (!key)
        return -ENOMEM;
    r = read_key(path, content);
    if (r == -ENOENT)
        r = create ? create_key(path, rng, content) : STORAGE_KEY_ABSENT;
    if (r == 0)
        memcpy(key->bytes, content + MAGIC_BYTES, sizeof(key->bytes));
    else
        secret_free(steal(&key));
    secret_wipe(content, sizeof(content));
    if (r == 0)
        *out = key;
    return r;
}
