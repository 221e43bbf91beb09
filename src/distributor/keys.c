/* Key files: making, loading, and protecting secrets in the database. Not keysets (keyset.c). Any thread. */
#define LOG_MODULE "keys"
#include "distributor/keys.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "crypto/hkdf.h"
#include "crypto/seal.h"

static const char *const files[] = { "root.key",    "tls.key",  "license.key", "roster.key",
                                     "sealing.key", "tree.key", "storage.key" };
enum { FILE_ROOT, FILE_TLS, FILE_LICENSE, FILE_ROSTER, FILE_SEALING, FILE_TREE, FILE_STORAGE };

static int path_of(const char *state_dir, const char *file, char *out, size_t cap)
{
    char dir[1024];
    int r = file_join(dir, sizeof(dir), state_dir, "keys");
    if (r != 0 || !file)
        return r != 0 ? r : snprintf(out, cap, "%s", dir) < (int)cap ? 0 : -ENAMETOOLONG;
    return file_join(out, cap, dir, file);
}

int keys_create(const char *state_dir, const struct rng *rng)
{
    char path[1100];
    int r = path_of(state_dir, NULL, path, sizeof(path));
    if (r == 0)
        r = file_make_dirs(path, 0700);
    if (r == 0)
        r = path_of(state_dir, files[FILE_ROOT], path, sizeof(path));
    if (r != 0)
        return r;
    if (access(path, F_OK) == 0)
        return -EEXIST;
    /* The root key last: its presence says that all the others are there. */
    for (size_t i = ARRAY_COUNT(files); i-- > 0;) {
        struct key32 key CLEANUP(key32_wipe);
        rng_fill(rng, key.bytes, sizeof(key.bytes));
        r = path_of(state_dir, files[i], path, sizeof(path));
        if (r == 0)
            r = file_replace(path, SLICE_ARRAY(key.bytes), 0600);
        if (r != 0)
            return r;
    }
    return 0;
}

static int load_file(const char *state_dir, const char *file, struct key32 *out)
{
    char path[1100];
    int r = path_of(state_dir, file, path, sizeof(path));
    if (r != 0)
        return r;
    int fd CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size != (off_t)sizeof(out->bytes)) {
        log_error("key file is damaged: path=%s", path);
        return -EUCLEAN;
    }
    if ((st.st_mode & 077) != 0) {
        log_error("key file can be read by others, refusing it: path=%s mode=%o", path, (unsigned)(st.st_mode & 07777));
        return -EPERM;
    }
    return file_pread_all(fd, out->bytes, sizeof(out->bytes), 0);
}

static int load_pair(const char *state_dir, const char *file, struct sign_pair *pair)
{
    struct key32 seed CLEANUP(key32_wipe);
    int r = load_file(state_dir, file, &seed);
    if (r == 0)
        sign_pair_init(pair, &seed);
    return r;
}

int keys_load(struct keys **out, const char *state_dir)
{
    struct keys *k CLEANUP(keys_freep) = secret_alloc(sizeof(*k));
    if (!k)
        return -ENOMEM;
    int r = load_pair(state_dir, files[FILE_ROOT], &k->root);
    if (r == 0)
        r = load_pair(state_dir, files[FILE_TLS], &k->tls);
    if (r == 0)
        r = load_pair(state_dir, files[FILE_LICENSE], &k->license);
    if (r == 0)
        r = load_pair(state_dir, files[FILE_ROSTER], &k->roster);
    if (r == 0)
        r = load_file(state_dir, files[FILE_SEALING], &k->sealing);
    if (r == 0)
        r = load_file(state_dir, files[FILE_TREE], &k->tree);
    if (r == 0)
        r = load_file(state_dir, files[FILE_STORAGE], &k->storage);
    if (r != 0)
        return r;
    seal_public_key(&k->sealing, k->sealing_public);
    k->self = id_of_key(k->root.public_key);
    *out = steal(&k);
    return 0;
}

void keys_free(struct keys *k) { secret_free(k); }

void keys_freep(struct keys **k)
{
    keys_free(*k);
    *k = NULL;
}

/* label || context, as associated data: a stored secret means one thing in one row. */
static int associate(struct buf *out, const char *label, struct slice context)
{
    int r = buf_append(out, slice_str(label));
    if (r == 0)
        r = buf_put_u8(out, 0);
    if (r == 0)
        r = buf_append(out, context);
    return r > 0 ? -EINVAL : r;
}

int keys_protect(const struct keys *k, const struct rng *rng, const char *label, struct slice context,
                 const struct key32 *secret, uint8_t out[KEYS_STORED_BYTES])
{
    struct buf associated CLEANUP(buf_free) = buf(256);
    int r = associate(&associated, label, context);
    if (r != 0)
        return r;
    rng_fill(rng, out, AEAD_IV_BYTES);
    return aead_seal(&k->storage, out, buf_slice(&associated), SLICE_ARRAY(secret->bytes), out + AEAD_IV_BYTES);
}

int keys_reveal(const struct keys *k, const char *label, struct slice context, struct slice stored,
                struct key32 *secret)
{
    if (stored.len != KEYS_STORED_BYTES)
        return -EUCLEAN;
    struct buf associated CLEANUP(buf_free) = buf(256);
    int r = associate(&associated, label, context);
    if (r == 0)
        r = aead_open(&k->storage, stored.data, buf_slice(&associated),
                      slice_sub(stored, AEAD_IV_BYTES, stored.len - AEAD_IV_BYTES), secret->bytes);
    return r > 0 ? -EUCLEAN : r;
}
