/* Key files: making, loading, rotating. Not keysets (keyset.c), not tokens (keys_token.c), not the storage key (keys_storage.c). Any thread. */
#define LOG_MODULE "keys"
#include "distributor/keys.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "crypto/seal.h"
#include "crypto/sha256.h"
#include "distributor/keys_internal.h"

const char *const keys_files[KEYS_FILE_COUNT] = {
    [FILE_ROOT] = "root.key",      [FILE_TLS] = "tls.key",         [FILE_LICENSE] = "license.key",
    [FILE_ROSTER] = "roster.key",  [FILE_SEALING] = "sealing.key", [FILE_TREE] = "tree.key",
    [FILE_STORAGE] = "storage.key"
};

int keys_path(const char *state_dir, const char *file, char *out, size_t cap)
{
    char dir[1024];
    int r = file_join(dir, sizeof(dir), state_dir, "keys");
    if (r != 0 || !file)
        return r != 0 ? r : snprintf(out, cap, "%s", dir) < (int)cap ? 0 : -ENAMETOOLONG;
    return file_join(out, cap, dir, file);
}

static int next_name(enum key_purpose purpose, char out[KEYS_NAME_BYTES])
{
    return snprintf(out, KEYS_NAME_BYTES, "%s.new", keys_files[purpose]) < KEYS_NAME_BYTES ? 0 : -ENAMETOOLONG;
}

/* --- One file ------------------------------------------------------------------------------------------------------ */

/* "tls.key" and "tls.key.new" hold the same kind of key. */
static struct slice name_of(const char *file)
{
    size_t len = strlen(file), tail = strlen(".new");
    return slice(file, len > tail && strcmp(file + len - tail, ".new") == 0 ? len - tail : len);
}

int keys_write(const struct keys *k, const char *state_dir, const struct rng *rng, const char *file,
               const struct key32 *key)
{
    uint8_t wrapped[KEYS_WRAPPED_BYTES];
    char path[KEYS_PATH_BYTES];
    int r = keys_path(state_dir, file, path, sizeof(path));
    if (r != 0)
        return r;
    if (k == NULL || !k->is_wrapped)
        return file_replace(path, SLICE_ARRAY(key->bytes), 0600);
    rng_fill(rng, wrapped, AEAD_IV_BYTES);
    r = aead_seal(&k->wrap, wrapped, name_of(file), SLICE_ARRAY(key->bytes), wrapped + AEAD_IV_BYTES);
    return r == 0 ? file_replace(path, SLICE_ARRAY(wrapped), 0600) : r;
}

static int open_private(const char *path, size_t *len)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int r = fstat(fd, &st) != 0 ? -errno : !S_ISREG(st.st_mode) ? -EUCLEAN : 0;
    if (r == 0 && (st.st_mode & 077) != 0) {
        log_error("key file can be read by others, refusing it: path=%s mode=%o", path, (unsigned)(st.st_mode & 07777));
        r = -EPERM;
    }
    if (r != 0) {
        closep(&fd);
        return r;
    }
    *len = (size_t)st.st_size;
    return fd;
}

int keys_read_file(const char *path, struct buf *out)
{
    size_t len = 0;
    int fd CLEANUP(closep) = open_private(path, &len);
    if (fd < 0)
        return fd;
    int r = buf_reserve(out, len);
    if (r == 0)
        r = file_pread_all(fd, out->data + out->len, len, 0);
    if (r == 0)
        out->len += len;
    return r > 0 ? -EUCLEAN : r;
}

int keys_read(const struct keys *k, const char *state_dir, const char *file, struct key32 *out)
{
    char path[KEYS_PATH_BYTES];
    uint8_t bytes[KEYS_WRAPPED_BYTES];
    size_t len = 0;
    int r = keys_path(state_dir, file, path, sizeof(path));
    if (r != 0)
        return r;
    int fd CLEANUP(closep) = open_private(path, &len);
    if (fd < 0)
        return fd;
    bool wrapped = k != NULL && k->is_wrapped && len == sizeof(bytes);
    r = wrapped || len == sizeof(out->bytes) ? file_pread_all(fd, bytes, len, 0) : -EUCLEAN;
    if (r == 0 && !wrapped)
        memcpy(out->bytes, bytes, sizeof(out->bytes));
    else if (r == 0)
        r = aead_open(&k->wrap, bytes, name_of(file), slice(bytes + AEAD_IV_BYTES, len - AEAD_IV_BYTES), out->bytes);
    secret_wipe(bytes, sizeof(bytes));
    if (r == -EUCLEAN || r > 0) {
        log_error("key file is damaged, or wrapped by another key: path=%s", path);
        r = -EUCLEAN;
    }
    return r;
}

/* --- All of them --------------------------------------------------------------------------------------------------- */

static int exists(const char *state_dir, const char *file)
{
    char path[KEYS_PATH_BYTES];
    int r = keys_path(state_dir, file, path, sizeof(path));
    return r != 0 ? r : access(path, F_OK) == 0 ? -EEXIST : 0;
}

int keys_create(const char *state_dir, const struct rng *rng, const struct token_place *root)
{
    char path[KEYS_PATH_BYTES];
    int r = keys_path(state_dir, NULL, path, sizeof(path));
    if (r == 0)
        r = file_make_dirs(path, 0700);
    if (r == 0)
        r = exists(state_dir, keys_files[FILE_ROOT]);
    if (r == 0)
        r = exists(state_dir, KEYS_ROOT_PUBLIC);
    if (r == -EEXIST)
        return exists(state_dir, KEYS_UNUSED_FILE) == -EEXIST ? KEYS_UNUSED : r;
    if (r == 0)
        r = keys_path(state_dir, KEYS_UNUSED_FILE, path, sizeof(path));
    if (r == 0)
        r = file_replace(path, slice_str("\n"), 0600);
    /* The root key last: its presence says that all the others are there. */
    for (size_t i = KEYS_FILE_COUNT; r == 0 && i-- > 0;) {
        struct key32 key CLEANUP(key32_wipe);
        if (i == FILE_ROOT && root != NULL)
            return keys_root_create(state_dir, root);
        rng_fill(rng, key.bytes, sizeof(key.bytes));
        r = keys_write(NULL, state_dir, rng, keys_files[i], &key);
    }
    return r;
}

/* The mark last: without it they would be a distributor's whose database is gone. */
void keys_discard(const char *state_dir)
{
    char path[KEYS_PATH_BYTES];
    if (exists(state_dir, KEYS_UNUSED_FILE) != -EEXIST)
        return;
    for (size_t i = 0; i < KEYS_FILE_COUNT; i++)
        if (keys_path(state_dir, keys_files[i], path, sizeof(path)) == 0)
            (void)unlink(path);
    if (keys_path(state_dir, KEYS_UNUSED_FILE, path, sizeof(path)) == 0)
        (void)unlink(path);
}

int keys_used(const char *state_dir)
{
    char path[KEYS_PATH_BYTES];
    int r = keys_path(state_dir, KEYS_UNUSED_FILE, path, sizeof(path));
    if (r == 0 && unlink(path) != 0)
        return errno == ENOENT ? 0 : -errno;
    return r == 0 ? file_sync_parent(path) : r;
}

static int load_pair(const struct keys *k, const char *state_dir, const char *file, struct sign_pair *pair)
{
    struct key32 seed CLEANUP(key32_wipe);
    int r = keys_read(k, state_dir, file, &seed);
    if (r == 0)
        sign_pair_init(pair, &seed);
    return r;
}

static int load_root_public(struct keys *k, const char *state_dir)
{
    struct buf public_key CLEANUP(buf_free) = buf(sizeof(k->root_public));
    char path[KEYS_PATH_BYTES];
    int r = keys_path(state_dir, KEYS_ROOT_PUBLIC, path, sizeof(path));
    if (r == 0)
        r = file_read_regular(path, &public_key);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    k->root_algorithm = public_key.len == ES256_PUBLIC_BYTES ? SIGN_ES256 : SIGN_ED25519;
    if (public_key.len != sign_public_len(k->root_algorithm))
        return -EUCLEAN;
    memcpy(k->root_public, public_key.data, public_key.len);
    return 0;
}

static int load_root(struct keys *k, const char *state_dir)
{
    int r = load_pair(k, state_dir, keys_files[FILE_ROOT], &k->root);
    k->has_root = r == 0;
    k->root_algorithm = SIGN_ED25519;
    if (r == 0)
        memcpy(k->root_public, k->root.public_key, SIGN_PUBLIC_BYTES);
    return r == -ENOENT ? load_root_public(k, state_dir) : r;
}

static int load_next(struct keys *k, const char *state_dir, enum key_purpose purpose)
{
    struct keys_next *next = &k->next[purpose - 1];
    char name[KEYS_NAME_BYTES];
    int r = next_name(purpose, name);
    if (r == 0)
        r = keys_read(k, state_dir, name, &next->secret);
    if (r != 0)
        return r == -ENOENT ? 0 : r;
    next->there = true;
    if (purpose == KEY_SEALING)
        seal_public_key(&next->secret, next->public_key);
    else
        sign_public_key(&next->secret, next->public_key);
    return 0;
}

int keys_load(struct keys **out, const char *state_dir)
{
    struct keys *k CLEANUP(keys_freep) = secret_alloc(sizeof(*k));
    if (!k)
        return -ENOMEM;
    *k = (struct keys){ 0 };
    int r = keys_load_wrap(k, state_dir);
    if (r == 0)
        r = load_root(k, state_dir);
    if (r == 0)
        r = load_pair(k, state_dir, keys_files[FILE_TLS], &k->tls);
    if (r == 0)
        r = load_pair(k, state_dir, keys_files[FILE_LICENSE], &k->license);
    if (r == 0)
        r = load_pair(k, state_dir, keys_files[FILE_ROSTER], &k->roster);
    if (r == 0)
        r = keys_read(k, state_dir, keys_files[FILE_SEALING], &k->sealing);
    if (r == 0)
        r = keys_read(k, state_dir, keys_files[FILE_TREE], &k->tree);
    if (r == 0)
        r = keys_storage_load(k, state_dir);
    for (enum key_purpose p = KEY_TLS; r == 0 && p <= KEY_SEALING; p++)
        r = load_next(k, state_dir, p);
    if (r != 0)
        return r;
    seal_public_key(&k->sealing, k->sealing_public);
    k->self = sign_key_id(k->root_algorithm, k->root_public);
    *out = steal(&k);
    return 0;
}

void keys_free(struct keys *k)
{
    if (k != NULL)
        secret_free(k->storage);
    secret_free(k);
}

void keys_freep(struct keys **k)
{
    keys_free(*k);
    *k = NULL;
}

const char *keys_purpose_name(enum key_purpose purpose)
{
    static const char *const names[] = {
        [KEY_TLS] = "tls", [KEY_LICENSE] = "license", [KEY_ROSTER] = "roster", [KEY_SEALING] = "sealing"
    };
    return purpose >= KEY_TLS && purpose <= KEY_SEALING ? names[purpose] : "other";
}

const uint8_t *keys_public(const struct keys *k, enum key_purpose purpose)
{
    return purpose == KEY_TLS       ? k->tls.public_key
           : purpose == KEY_LICENSE ? k->license.public_key
           : purpose == KEY_ROSTER  ? k->roster.public_key
                                    : k->sealing_public;
}

/* --- Rotating ------------------------------------------------------------------------------------------------------ */

int keys_prepare(const struct keys *k, const char *state_dir, const struct rng *rng, enum key_purpose purpose)
{
    struct key32 key CLEANUP(key32_wipe);
    char name[KEYS_NAME_BYTES];
    int r = next_name(purpose, name);
    if (r != 0 || k->next[purpose - 1].there)
        return r;
    rng_fill(rng, key.bytes, sizeof(key.bytes));
    return keys_write(k, state_dir, rng, name, &key);
}

bool keys_is_prepared(const char *state_dir, enum key_purpose purpose)
{
    char name[KEYS_NAME_BYTES];
    return next_name(purpose, name) == 0 && exists(state_dir, name) == -EEXIST;
}

void keys_stamp(const char *state_dir, struct keys_stamp *out)
{
    struct {
        uint64_t inode, size, seconds, nanoseconds;
    } files[KEYS_PURPOSES];
    char path[KEYS_PATH_BYTES];
    struct stat s;
    memset(files, 0, sizeof(files));
    for (enum key_purpose p = KEY_TLS; p <= KEY_SEALING; p++)
        if (keys_path(state_dir, keys_files[p], path, sizeof(path)) == 0 && stat(path, &s) == 0) {
            files[p - 1].inode = s.st_ino;
            files[p - 1].size = (uint64_t)s.st_size;
            files[p - 1].seconds = (uint64_t)s.st_mtim.tv_sec;
            files[p - 1].nanoseconds = (uint64_t)s.st_mtim.tv_nsec;
        }
    sha256(slice(files, sizeof(files)), out->digest);
}

int keys_adopt(const char *state_dir, enum key_purpose purpose)
{
    char name[KEYS_NAME_BYTES], from[KEYS_PATH_BYTES], to[KEYS_PATH_BYTES];
    int r = next_name(purpose, name);
    if (r == 0)
        r = keys_path(state_dir, name, from, sizeof(from));
    if (r == 0)
        r = keys_path(state_dir, keys_files[purpose], to, sizeof(to));
    if (r == 0 && rename(from, to) != 0)
        return errno == ENOENT ? 0 : -errno; /* somebody else, who saw the same keyset, was faster */
    return r == 0 ? file_sync_parent(to) : r;
}

int keys_lock(const char *state_dir, bool exclusive, bool wait)
{
    char path[KEYS_PATH_BYTES];
    int r = keys_path(state_dir, NULL, path, sizeof(path));
    if (r != 0)
        return r;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    do
        r = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB)) == 0 ? 0 : -errno;
    while (r == -EINTR);
    if (r == 0)
        return fd;
    close(fd);
    return r == -EWOULDBLOCK ? -EBUSY : r;
}
