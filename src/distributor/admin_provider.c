/* A provider's own key: made, and read again. One thread. */
#include "distributor/admin_provider.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "protocol/metadata.h"

/* A seed, as the keys of a distributor lie (keys.h). */
int admin_provider_load(struct admin *a, const char *path, struct key32 *seed)
{
    struct stat st;
    int fd CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return admin_fail(a, admin_reason(-errno), "Cannot read the key %s: %s.", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size != (off_t)sizeof(seed->bytes))
        return admin_fail(a, REASON_MALFORMED, "%s is no signing key. Make one: metadata key FILE, or program key FILE",
                          path);
    if ((st.st_mode & 077) != 0)
        return admin_fail(a, REASON_NOT_PERMITTED, "Others can read the key %s: chmod 600 it, or make another one.",
                          path);
    int r = file_pread_all(fd, seed->bytes, sizeof(seed->bytes), 0);
    return r == 0 ? 0 : admin_error_at(a, r, "read the key", path);
}

int admin_provider_key(struct admin *a, const char *path)
{
    struct key32 seed CLEANUP(key32_wipe);
    uint8_t public_key[SIGN_PUBLIC_BYTES];
    bool made = false;
    int fd CLEANUP(closep) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r;
    if (fd >= 0) {
        rng_fill(rng_system(), seed.bytes, sizeof(seed.bytes));
        r = file_pwrite_all(fd, seed.bytes, sizeof(seed.bytes), 0);
        if (r == 0)
            r = file_sync(fd);
        if (r == 0)
            r = file_sync_parent(path);
        if (r != 0) {
            unlink(path);
            return admin_error_at(a, r, "write the key", path);
        }
        made = true;
    } else if (errno == EEXIST) {
        r = admin_provider_load(a, path, &seed); /* the ID of a key that is there */
    } else {
        r = admin_fail(a, admin_reason(-errno), "Cannot write %s: %s.", path, strerror(errno));
    }
    if (r != 0)
        return r;
    sign_public_key(&seed, public_key);
    const struct id id = id_of_key(public_key);
    const struct out_field fields[] = { OUT_I("provider", &id), OUT_T("file", path), OUT_F("made", made) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static bool read_keys(const char *text, doc_SignerRange *out)
{
    while (out->keys_count < ARRAY_COUNT(out->keys)) {
        char word[ID_TEXT_BYTES];
        size_t len = strcspn(text, ",");
        struct id id;
        if (len >= sizeof(word))
            return false;
        (void)snprintf(word, sizeof(word), "%.*s", (int)len, text);
        if (id_parse(word, &id) != 0)
            return false;
        memcpy(out->keys[out->keys_count++], id.bytes, ID_BYTES);
        if (text[len] == '\0')
            return true;
        text += len + 1;
    }
    return false;
}

int admin_signers(struct admin *a, const struct admin_option *option, doc_SignerRange *out)
{
    *out = (doc_SignerRange)doc_SignerRange_init_zero;
    for (uint32_t kind = RANGE_NOBODY; kind < RANGE_KINDS; kind++)
        if (kind != RANGE_KEYS && strcmp(option->text, metadata_range_text(kind)) == 0) {
            out->kind = kind;
            return 0;
        }
    out->kind = RANGE_KEYS;
    if (!read_keys(option->text, out))
        return admin_usage(a,
                           "--%s is none, publisher, vouched, anyone, or the IDs of up to %zu providers (metadata key)",
                           option->name, ARRAY_COUNT(out->keys));
    return 0;
}
