/* The storage key: its files, those that are in memory, and what lies under it. When which one is used is storage.c's to say. Any thread. */
#define LOG_MODULE "keys"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "crypto/hkdf.h"
#include "distributor/keys_internal.h"

#define ID_LABEL "hearth storage key"
#define NEXT_FILE "storage.key.new"
#define SLOTS 4
#define STORED_BEFORE_BYTES (KEYS_STORED_BYTES - KEYS_STORAGE_ID_BYTES) /* what earlier versions wrote */

struct slot {
    bool used, unlisted;
    struct keys_storage_id id;
    struct key32 key;
};
struct storage_ring {
    pthread_mutex_t lock;
    struct keys_storage_id first;
    size_t next; /* to be used again when all are */
    int refused; /* not 0: a token refused its PIN, and more tries might lock it: files are read no more */
    struct slot slots[SLOTS];
    char state_dir[1024];
};

bool keys_storage_same(const struct keys_storage_id *a, const struct keys_storage_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void keys_storage_text(const struct keys_storage_id *id, char out[KEYS_STORAGE_TEXT_BYTES])
{
    hex_encode(SLICE_ARRAY(id->bytes), out);
}

static struct keys_storage_id id_of_storage(const struct key32 *key)
{
    struct key32 derived CLEANUP(key32_wipe);
    struct keys_storage_id id;
    hkdf_key(key, ID_LABEL, slice(NULL, 0), &derived);
    memcpy(id.bytes, derived.bytes, sizeof(id.bytes));
    return id;
}

/* --- Files ----------------------------------------------------------------------------------------------------------- */

static int read_storage(const struct keys *k, const char *state_dir, const char *file, struct key32 *out)
{
    struct buf content CLEANUP(buf_free) = buf(KEYS_IN_TOKEN_MAX);
    char path[KEYS_PATH_BYTES];
    int r = keys_path(state_dir, file, path, sizeof(path));
    if (r == 0)
        r = keys_read_file(path, &content);
    bool in_token = r == 0 && keys_in_token(buf_slice(&content));
    if (r == 0)
        r = in_token ? keys_token_open(state_dir, buf_slice(&content), out) : keys_read(k, state_dir, file, out);
    if (in_token && r == -EUCLEAN)
        log_error("key file is damaged: path=%s", path);
    if (content.data != NULL)
        secret_wipe(content.data, content.len);
    return r;
}

int keys_storage_place(const char *state_dir, char text[KEYS_PLACE_BYTES], struct token_place *place)
{
    struct buf content CLEANUP(buf_free) = buf(KEYS_IN_TOKEN_MAX);
    struct token_place at = { NULL, NULL, NULL };
    char path[KEYS_PATH_BYTES];
    int r = keys_path(state_dir, keys_files[FILE_STORAGE], path, sizeof(path));
    if (r == 0)
        r = keys_read_file(path, &content);
    text[0] = '\0';
    if (r == 0 && keys_in_token(buf_slice(&content)))
        r = keys_token_place(buf_slice(&content), text, &at);
    if (content.data != NULL)
        secret_wipe(content.data, content.len);
    if (r == 0 && place != NULL)
        *place = at;
    return r;
}

/* --- Those in memory --------------------------------------------------------------------------------------------------- */

/* The caller holds the lock. */
static struct slot *look(struct storage_ring *ring, const struct keys_storage_id *id)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (ring->slots[i].used && keys_storage_same(&ring->slots[i].id, id))
            return &ring->slots[i];
    return NULL;
}

static void put(struct storage_ring *ring, const struct key32 *key)
{
    struct keys_storage_id id = id_of_storage(key);
    struct slot *s = look(ring, &id);
    for (size_t i = 0; s == NULL && i < SLOTS; i++)
        if (!ring->slots[i].used)
            s = &ring->slots[i];
    if (s == NULL) {
        s = &ring->slots[ring->next];
        ring->next = (ring->next + 1) % SLOTS;
    }
    *s = (struct slot){ .used = true, .id = id, .key = *key };
}

/* Both files. The next key's token may be away as long as nothing lies under that key. */
static int read_both(const struct keys *k, struct storage_ring *ring)
{
    struct key32 key CLEANUP(key32_wipe);
    int next = read_storage(k, ring->state_dir, NEXT_FILE, &key);
    if (next == 0)
        put(ring, &key);
    if (keys_refused(next))
        ring->refused = next;
    /* After the next one: when that takes this one's place in between, it is read here. */
    int r = read_storage(k, ring->state_dir, keys_files[FILE_STORAGE], &key);
    if (r == 0) {
        put(ring, &key);
        ring->first = id_of_storage(&key);
    }
    if (keys_refused(r))
        ring->refused = r;
    return r != 0 ? r : next == -ENOENT || next == -ENXIO || keys_refused(next) ? 0 : next;
}

/* Between opening and reading another process may have put the next key in this one's place, and overwritten what was opened: then it is read anew. A PIN
 * that was refused is not tried twice. */
static int read_files(const struct keys *k, struct storage_ring *ring)
{
    int r = read_both(k, ring);
    for (unsigned more = 2; r != 0 && ring->refused == 0 && more > 0; more--)
        r = read_both(k, ring);
    return r;
}

/* When something is looked for that is not in memory. */
static int read_again(const struct keys *k, struct storage_ring *ring)
{
    return ring->refused != 0 ? ring->refused : read_files(k, ring);
}

int keys_storage_load(struct keys *k, const char *state_dir)
{
    struct storage_ring *ring = secret_alloc(sizeof(*ring));
    if (ring == NULL)
        return -ENOMEM;
    k->storage = ring;
    if (snprintf(ring->state_dir, sizeof(ring->state_dir), "%s", state_dir) >= (int)sizeof(ring->state_dir))
        return -ENAMETOOLONG;
    return pthread_mutex_init(&ring->lock, NULL) != 0 ? -ENOMEM : read_files(k, ring);
}

struct keys_storage_id keys_storage_first(const struct keys *k)
{
    pthread_mutex_lock(&k->storage->lock);
    struct keys_storage_id id = k->storage->first;
    pthread_mutex_unlock(&k->storage->lock);
    return id;
}

static int find(const struct keys *k, const struct keys_storage_id *id, struct key32 *out)
{
    struct storage_ring *ring = k->storage;
    char text[KEYS_STORAGE_TEXT_BYTES];
    pthread_mutex_lock(&ring->lock);
    struct slot *s = look(ring, id);
    int r = s == NULL ? read_again(k, ring) : 0;
    s = look(ring, id);
    if (s != NULL) {
        *out = s->key;
        s->unlisted = false;
    }
    pthread_mutex_unlock(&ring->lock);
    if (s != NULL)
        return 0;
    keys_storage_text(id, text);
    log_error("there is something under a storage key that is not in keys/ storage-key=%s", text);
    return r == -ENXIO || keys_refused(r) ? r : -ENOKEY;
}

int keys_storage_has(const struct keys *k, const struct keys_storage_id *id)
{
    struct key32 key CLEANUP(key32_wipe);
    return find(k, id, &key);
}

static bool is_listed(const struct keys_storage_id *id, const struct keys_storage_id *listed, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (keys_storage_same(id, &listed[i]))
            return true;
    return false;
}

/* Not at once: somebody may still read what the database held a moment before. */
void keys_storage_keep(const struct keys *k, const struct keys_storage_id *listed, size_t count)
{
    struct storage_ring *ring = k->storage;
    pthread_mutex_lock(&ring->lock);
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *s = &ring->slots[i];
        if (!s->used || is_listed(&s->id, listed, count))
            s->unlisted = false;
        else if (s->unlisted)
            secret_wipe(s, sizeof(*s));
        else
            s->unlisted = true;
    }
    pthread_mutex_unlock(&ring->lock);
}

/* --- Changing ---------------------------------------------------------------------------------------------------------- */

int keys_storage_prepare(const struct keys *k, const char *state_dir, const struct rng *rng,
                         const struct token_place *place, struct keys_storage_id *id)
{
    struct key32 key CLEANUP(key32_wipe), read CLEANUP(key32_wipe);
    struct buf content CLEANUP(buf_free) = buf(KEYS_IN_TOKEN_MAX);
    char path[KEYS_PATH_BYTES];
    rng_fill(rng, key.bytes, sizeof(key.bytes));
    int r = keys_path(state_dir, NEXT_FILE, path, sizeof(path));
    if (r == 0 && place == NULL)
        r = keys_write(k, state_dir, rng, NEXT_FILE, &key);
    else if (r == 0) {
        r = keys_token_seal(state_dir, place, &key, &content);
        if (r == 0)
            r = file_replace(path, buf_slice(&content), 0600);
    }
    if (r == 0) /* nothing is put under a key that cannot be read again */
        r = read_storage(k, state_dir, NEXT_FILE, &read);
    if (r == 0 && !secret_equal(read.bytes, key.bytes, sizeof(key.bytes)))
        r = -EIO;
    if (r != 0)
        return r == -ENXIO || keys_refused(r) ? KEYS_TOKEN : r;
    *id = id_of_storage(&key);
    return 0;
}

int keys_storage_prepared(const struct keys *k, const char *state_dir, struct keys_storage_id *id)
{
    struct key32 key CLEANUP(key32_wipe);
    int r = read_storage(k, state_dir, NEXT_FILE, &key);
    if (r == 0)
        *id = id_of_storage(&key);
    return r;
}

/* In place: the file system may keep older blocks all the same (docs/SECURITY.md). */
static int overwrite(const char *path)
{
    static const uint8_t zeroes[KEYS_IN_TOKEN_MAX];
    struct stat st;
    int fd CLEANUP(closep) = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &st) != 0)
        return -errno;
    int r = file_pwrite_all(fd, zeroes, size_min((size_t)st.st_size, sizeof(zeroes)), 0);
    if (r == 0)
        r = file_sync(fd);
    if (r == 0 && unlink(path) != 0 && errno != ENOENT)
        r = -errno;
    return r == 0 ? file_sync_parent(path) : r;
}

struct paths {
    char now[KEYS_PATH_BYTES], next[KEYS_PATH_BYTES], gone[KEYS_PATH_BYTES];
};
static int paths_of(const char *state_dir, struct paths *p)
{
    int r = keys_path(state_dir, keys_files[FILE_STORAGE], p->now, sizeof(p->now));
    if (r == 0)
        r = keys_path(state_dir, NEXT_FILE, p->next, sizeof(p->next));
    return r == 0 ? keys_path(state_dir, KEYS_GONE_FILE, p->gone, sizeof(p->gone)) : r;
}

/* Unless it is a second name of storage.key, which is about to be changed. The caller holds keys_lock. */
static int overwrite_gone(const struct paths *p)
{
    struct stat now, gone;
    if (lstat(p->gone, &gone) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (stat(p->now, &now) != 0)
        return -errno;
    return now.st_dev == gone.st_dev && now.st_ino == gone.st_ino ? 0 : overwrite(p->gone);
}

int keys_storage_tidy(const char *state_dir)
{
    struct paths p;
    int r = paths_of(state_dir, &p);
    if (r != 0 || access(p.gone, F_OK) != 0)
        return r;
    int lock CLEANUP(closep) = keys_lock(state_dir, true, false);
    return lock == -EBUSY ? 0 : lock < 0 ? lock : overwrite_gone(&p);
}

/* A second name first, so that storage.key is one of the two keys at any moment, and the other one can be overwritten. */
static int change_names(const struct paths *p)
{
    int r = overwrite_gone(p); /* of a change before, which was interrupted */
    if (r == 0 && link(p->now, p->gone) != 0 && errno != EEXIST)
        r = -errno;
    if (r == 0 && rename(p->next, p->now) != 0)
        r = -errno;
    return r == 0 ? file_sync_parent(p->now) : r;
}

int keys_storage_adopt(const struct keys *k, const char *state_dir, const struct keys_storage_id *id)
{
    struct paths p;
    struct keys_storage_id prepared;
    struct storage_ring *ring = k->storage;
    int r = paths_of(state_dir, &p);
    int found = r == 0 ? keys_storage_prepared(k, state_dir, &prepared) : r;
    if (found == 0 && keys_storage_same(&prepared, id))
        r = change_names(&p);
    else if (found != 0 && found != -ENOENT)
        return found;
    if (r != 0)
        return r;
    pthread_mutex_lock(&ring->lock);
    r = read_files(k, ring);
    bool is_first = r == 0 && keys_storage_same(&ring->first, id);
    pthread_mutex_unlock(&ring->lock);
    return r != 0 ? r : is_first ? overwrite_gone(&p) : -ENOKEY;
}

/* --- What lies under it -------------------------------------------------------------------------------------------------- */

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

int keys_protect(const struct keys *k, const struct rng *rng, const struct keys_storage_id *under, const char *label,
                 struct slice context, const struct key32 *secret, uint8_t out[KEYS_STORED_BYTES])
{
    struct buf associated CLEANUP(buf_free) = buf(256);
    struct key32 key CLEANUP(key32_wipe);
    uint8_t *iv = out + KEYS_STORAGE_ID_BYTES;
    int r = associate(&associated, label, context);
    if (r == 0)
        r = find(k, under, &key);
    if (r != 0)
        return r;
    memcpy(out, under->bytes, sizeof(under->bytes));
    rng_fill(rng, iv, AEAD_IV_BYTES);
    return aead_seal(&key, iv, buf_slice(&associated), SLICE_ARRAY(secret->bytes), iv + AEAD_IV_BYTES);
}

/* stored: IV and what was sealed. */
static int open_stored(const struct key32 *key, struct slice associated, struct slice stored, struct key32 *secret)
{
    int r = aead_open(key, stored.data, associated, slice_sub(stored, AEAD_IV_BYTES, stored.len - AEAD_IV_BYTES),
                      secret->bytes);
    return r > 0 ? -EUCLEAN : r;
}

/* The caller holds the lock. */
static int open_with_any(const struct storage_ring *ring, struct slice associated, struct slice stored,
                         struct key32 *secret)
{
    int r = -EUCLEAN;
    for (size_t i = 0; r == -EUCLEAN && i < SLOTS; i++)
        if (ring->slots[i].used)
            r = open_stored(&ring->slots[i].key, associated, stored, secret);
    return r;
}

/* It does not say under which key: whichever opens it, also one that was forgotten. */
static int reveal_before(const struct keys *k, struct slice associated, struct slice stored, struct key32 *secret)
{
    pthread_mutex_lock(&k->storage->lock);
    int r = open_with_any(k->storage, associated, stored, secret);
    if (r == -EUCLEAN) {
        r = read_again(k, k->storage);
        r = r == 0 ? open_with_any(k->storage, associated, stored, secret) : r;
    }
    pthread_mutex_unlock(&k->storage->lock);
    return r;
}

int keys_reveal(const struct keys *k, const char *label, struct slice context, struct slice stored,
                struct key32 *secret)
{
    struct buf associated CLEANUP(buf_free) = buf(256);
    struct key32 key CLEANUP(key32_wipe);
    struct keys_storage_id id;
    if (stored.len != KEYS_STORED_BYTES && stored.len != STORED_BEFORE_BYTES)
        return -EUCLEAN;
    int r = associate(&associated, label, context);
    if (r != 0)
        return r;
    if (stored.len == STORED_BEFORE_BYTES)
        return reveal_before(k, buf_slice(&associated), stored, secret);
    memcpy(id.bytes, stored.data, sizeof(id.bytes));
    r = find(k, &id, &key);
    return r == 0 ? open_stored(&key, buf_slice(&associated),
                                slice_sub(stored, sizeof(id.bytes), stored.len - sizeof(id.bytes)), secret)
                  : r;
}

bool keys_is_under(struct slice stored, const struct keys_storage_id *id)
{
    return stored.len == KEYS_STORED_BYTES && memcmp(stored.data, id->bytes, sizeof(id->bytes)) == 0;
}

int keys_storage_names_before(const struct keys *k, struct key32 *out)
{
    struct keys_storage_id first = keys_storage_first(k);
    return find(k, &first, out);
}
