/* The file DIR/storage.key, mode 0600. Start-up only.
 *
 *   file         0  8  "HEARTHK1"
 *                8  32 key
 *   tpm          0  8  "HEARTHK2"
 *                8  .. what the TPM sealed (crypto/tpm.h)
 *   passphrase   0  8  "HEARTHK3"
 *                8  16 salt
 *                24 12 IV
 *                36 48 key under the passphrase's key, AES-256-GCM with the 24 bytes before it as associated data */
#define LOG_MODULE "storage-key"
#include "vault/storage_key.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "crypto/aead.h"
#include "crypto/password.h"
#include "crypto/tpm.h"

#define MAGIC_BYTES 8
#define FILE_BYTES (MAGIC_BYTES + sizeof(struct key32))
#define HEAD_BYTES (MAGIC_BYTES + PASSWORD_SALT_BYTES)
#define WRAPPED_BYTES (HEAD_BYTES + AEAD_IV_BYTES + sizeof(struct key32) + AEAD_TAG_BYTES)
_Static_assert(FILE_BYTES == 40 && WRAPPED_BYTES == 84, "daemon/doctor_keys.c tells the forms by these");
#define CONTENT_BYTES_MAX (MAGIC_BYTES + TPM_SEALED_BYTES_MAX)
#define PASSPHRASE_BYTES_MAX 1024

static const char magics[][MAGIC_BYTES + 1] = {
    [STORAGE_KEY_FILE] = "HEARTHK1", [STORAGE_KEY_TPM] = "HEARTHK2", [STORAGE_KEY_PASSPHRASE] = "HEARTHK3"
};

int storage_key_parse(const char *text, enum storage_key_form *out)
{
    static const char *const names[] = {
        [STORAGE_KEY_FILE] = "file", [STORAGE_KEY_TPM] = "tpm", [STORAGE_KEY_PASSPHRASE] = "passphrase"
    };
    for (int form = STORAGE_KEY_FILE; form <= STORAGE_KEY_PASSPHRASE; form++)
        if (strcmp(text, names[form]) == 0) {
            *out = (enum storage_key_form)form;
            return 0;
        }
    return -EINVAL;
}

/* --- The file --- */

static int read_content(const char *path, struct buf *content)
{
    int fd CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size < MAGIC_BYTES || st.st_size > (off_t)CONTENT_BYTES_MAX)
        return -EUCLEAN;
    if ((st.st_mode & 077) != 0) {
        log_warn("storage key was readable by others, now it is not");
        if (fchmod(fd, 0600) != 0)
            return -errno;
    }
    int r = buf_reserve(content, (size_t)st.st_size);
    if (r == 0)
        r = file_pread_all(fd, content->data, (size_t)st.st_size, 0);
    if (r == 0)
        content->len = (size_t)st.st_size;
    return r > 0 ? -ENOMEM : r;
}

/* Durably in the place of what is there, which is overwritten where it lay: its blocks may be read long after. */
static int replace_content(const char *path, const struct buf *content)
{
    static const uint8_t zeros[CONTENT_BYTES_MAX];
    struct stat st;
    int before CLEANUP(closep) = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    int r = file_replace(path, buf_slice(content), 0600);
    if (r != 0 || before < 0)
        return r;
    if (fstat(before, &st) != 0)
        return -errno;
    r = file_pwrite_all(before, zeros, size_min((size_t)st.st_size, sizeof(zeros)), 0);
    return r == 0 ? file_sync(before) : r;
}

static enum storage_key_form form_of(const struct buf *content)
{
    for (int form = STORAGE_KEY_FILE; form <= STORAGE_KEY_PASSPHRASE; form++)
        if (content->len >= MAGIC_BYTES && memcmp(content->data, magics[form], MAGIC_BYTES) == 0)
            return (enum storage_key_form)form;
    return STORAGE_KEY_AS_IT_IS;
}

/* --- Forms: opening --- */

static int open_file(struct slice content, struct key32 *key)
{
    if (content.len != FILE_BYTES)
        return -EUCLEAN;
    memcpy(key->bytes, content.data + MAGIC_BYTES, sizeof(key->bytes));
    return 0;
}

#define TO_MOVE                                                                                                                    \
    "To move to another machine, say `key = file` in the configuration where it belongs, start hearthd once, and copy its state. " \
    "Where that machine is lost: begin with an empty state directory, register, and hearth restore brings back what was bought."

static int open_tpm(const char *tcti, struct slice content, struct key32 *key)
{
    struct tpm *t;
    int r = tpm_open(&t, tcti);
    if (r == TPM_ABSENT)
        log_error("the storage key is bound to the TPM of a machine, and there is none that can be used. %s", TO_MOVE);
    if (r != 0)
        return r == TPM_ABSENT ? STORAGE_KEY_CLOSED : r;
    r = tpm_unseal(t, slice(content.data + MAGIC_BYTES, content.len - MAGIC_BYTES), key);
    tpm_close(t);
    if (r == TPM_FOREIGN)
        log_error("the storage key is bound to the TPM of another machine, or this one's was cleared. %s", TO_MOVE);
    return r > 0 ? STORAGE_KEY_CLOSED : r;
}

/* The first line of a regular file. */
static int read_passphrase(const char *path, struct buf *out)
{
    int r = path != NULL ? file_read_regular(path, out) : -ENOENT;
    if (r != 0) {
        log_error(
            "the storage key needs its passphrase: `passphrase-file = FILE` in the configuration, FILE being one that this user can read: %s",
            r < 0 ? strerror(-r) : "it is no plain file, or too long");
        return STORAGE_KEY_CLOSED;
    }
    const uint8_t *end = out->len > 0 ? memchr(out->data, '\n', out->len) : NULL;
    if (end != NULL)
        out->len = (size_t)(end - out->data);
    if (out->len > 0)
        return 0;
    log_error("the passphrase is empty");
    return STORAGE_KEY_CLOSED;
}

static int passphrase_key(const char *path, const uint8_t salt[PASSWORD_SALT_BYTES], struct key32 *key)
{
    struct buf passphrase = buf(PASSPHRASE_BYTES_MAX);
    int r = read_passphrase(path, &passphrase);
    if (r == 0)
        r = password_key(buf_slice(&passphrase), salt, key);
    if (passphrase.data != NULL)
        secret_wipe(passphrase.data, passphrase.len);
    buf_free(&passphrase);
    return r;
}

static int open_passphrase(const char *path, struct slice content, struct key32 *key)
{
    struct key32 wrapping CLEANUP(key32_wipe);
    if (content.len != WRAPPED_BYTES)
        return -EUCLEAN;
    int r = passphrase_key(path, content.data + MAGIC_BYTES, &wrapping);
    if (r == 0)
        r = aead_open(&wrapping, content.data + HEAD_BYTES, slice(content.data, HEAD_BYTES),
                      slice(content.data + HEAD_BYTES + AEAD_IV_BYTES, content.len - HEAD_BYTES - AEAD_IV_BYTES),
                      key->bytes);
    else
        return r;
    if (r == AEAD_FORGED)
        log_error(
            "this is not the passphrase of the storage key (or storage.key is damaged): `passphrase-file` in the configuration names a file with the one that it was put under");
    return r == AEAD_FORGED ? STORAGE_KEY_CLOSED : r;
}

static int open_content(const struct storage_key_wish *wish, const struct buf *content, struct key32 *key)
{
    switch (form_of(content)) {
    case STORAGE_KEY_FILE:
        return open_file(buf_slice(content), key);
    case STORAGE_KEY_TPM:
        return open_tpm(wish->tcti, buf_slice(content), key);
    case STORAGE_KEY_PASSPHRASE:
        return open_passphrase(wish->passphrase_file, buf_slice(content), key);
    default:
        return -EUCLEAN;
    }
}

/* --- Forms: writing --- */

static int put_tpm(const char *tcti, const struct key32 *key, struct buf *out)
{
    struct tpm *t;
    int r = tpm_open(&t, tcti);
    if (r != 0)
        return r == TPM_ABSENT ? STORAGE_KEY_CLOSED : r;
    r = tpm_seal(t, key, out);
    tpm_close(t);
    return r == TPM_ABSENT ? STORAGE_KEY_CLOSED : r > 0 ? -EMSGSIZE : r;
}

static int put_passphrase(const char *path, const struct rng *rng, const struct key32 *key, struct buf *out)
{
    uint8_t rest[PASSWORD_SALT_BYTES + AEAD_IV_BYTES + sizeof(key->bytes) + AEAD_TAG_BYTES];
    uint8_t head[HEAD_BYTES];
    struct key32 wrapping CLEANUP(key32_wipe);
    rng_fill(rng, rest, PASSWORD_SALT_BYTES + AEAD_IV_BYTES);
    memcpy(head, magics[STORAGE_KEY_PASSPHRASE], MAGIC_BYTES);
    memcpy(head + MAGIC_BYTES, rest, PASSWORD_SALT_BYTES);
    int r = passphrase_key(path, rest, &wrapping);
    if (r == 0)
        r = aead_seal(&wrapping, rest + PASSWORD_SALT_BYTES, slice(head, sizeof(head)),
                      slice(key->bytes, sizeof(key->bytes)), rest + PASSWORD_SALT_BYTES + AEAD_IV_BYTES);
    if (r == 0)
        r = buf_append(out, slice(rest, sizeof(rest)));
    return r == BUF_FULL ? -EMSGSIZE : r;
}

static int put_content(const struct storage_key_wish *wish, enum storage_key_form form, const struct rng *rng,
                       const struct key32 *key, struct buf *out)
{
    int r = buf_append(out, slice(magics[form], MAGIC_BYTES));
    if (r != 0)
        return r > 0 ? -EMSGSIZE : r;
    if (form == STORAGE_KEY_TPM)
        return put_tpm(wish->tcti, key, out);
    if (form == STORAGE_KEY_PASSPHRASE)
        return put_passphrase(wish->passphrase_file, rng, key, out);
    r = buf_append(out, slice(key->bytes, sizeof(key->bytes)));
    return r > 0 ? -EMSGSIZE : r;
}

/* --- The key --- */

static int write_form(const char *path, const struct storage_key_wish *wish, enum storage_key_form form,
                      const struct rng *rng, const struct key32 *key)
{
    struct buf content = buf(CONTENT_BYTES_MAX);
    int r = put_content(wish, form, rng, key, &content);
    if (r == 0)
        r = replace_content(path, &content);
    if (content.data != NULL)
        secret_wipe(content.data, content.len);
    buf_free(&content);
    return r;
}

static int get(const char *path, bool create, const struct storage_key_wish *wish, const struct rng *rng,
               struct buf *content, struct key32 *key)
{
    static const char *const words[] = { [STORAGE_KEY_FILE] = "lies in its file as it is",
                                         [STORAGE_KEY_TPM] = "is bound to this machine's TPM",
                                         [STORAGE_KEY_PASSPHRASE] = "lies under its passphrase" };
    int r = read_content(path, content);
    if (r == -ENOENT && create) {
        rng_fill(rng, key->bytes, sizeof(key->bytes));
        return write_form(path, wish, wish->form == STORAGE_KEY_AS_IT_IS ? STORAGE_KEY_FILE : wish->form, rng, key);
    }
    if (r != 0)
        return r == -ENOENT ? STORAGE_KEY_ABSENT : r;
    r = open_content(wish, content, key);
    if (r != 0 || wish->form == STORAGE_KEY_AS_IT_IS || wish->form == form_of(content))
        return r;
    r = write_form(path, wish, wish->form, rng, key);
    if (r == 0)
        log_info("the storage key %s from now on", words[wish->form]);
    return r;
}

int storage_key_get(const char *state_dir, bool create, const struct storage_key_wish *wish, const struct rng *rng,
                    struct key32 **out)
{
    char path[PATH_MAX];
    struct buf content = buf(CONTENT_BYTES_MAX);
    int r = file_join(path, sizeof(path), state_dir, "storage.key");
    if (r != 0)
        return r;
    struct key32 *key = secret_alloc(sizeof(*key));
    if (!key)
        return -ENOMEM;
    r = get(path, create, wish, rng, &content, key);
    if (content.data != NULL)
        secret_wipe(content.data, content.len);
    buf_free(&content);
    if (r != 0) {
        secret_free(key);
        return r;
    }
    *out = key;
    return 0;
}

int storage_key_form_get(const char *state_dir, enum storage_key_form *out)
{
    char path[PATH_MAX];
    struct buf content = buf(CONTENT_BYTES_MAX);
    int r = file_join(path, sizeof(path), state_dir, "storage.key");
    if (r == 0)
        r = read_content(path, &content);
    if (r == 0)
        *out = form_of(&content);
    if (content.data != NULL)
        secret_wipe(content.data, content.len);
    buf_free(&content);
    return r;
}
