/* PINs that a token refused: a few more tries lock it for good, and programs that are started again and again try often. A PIN file that was refused is not
 * given again before it is another file, or was written since; what is remembered is which file and when, nothing of the PIN. Any thread. */
#define LOG_MODULE "keys"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/keys_internal.h"

#define NAME_BYTES 8

struct mark {
    char path[KEYS_PATH_BYTES];
    char text[160];
};

/* One file for each token and PIN file. false: there is nothing to remember. */
static bool mark_of(const char *state_dir, const struct token_place *place, struct mark *m)
{
    struct stat st;
    uint8_t digest[SHA256_BYTES];
    char name[HEX_TEXT_BYTES(NAME_BYTES)];
    if (state_dir == NULL || place->pin_file == NULL || stat(place->pin_file, &st) != 0)
        return false;
    const struct slice parts[] = { slice(place->url, strlen(place->url) + 1), slice_str(place->pin_file) };
    sha256_parts(parts, ARRAY_COUNT(parts), digest);
    hex_encode(slice(digest, NAME_BYTES), name);
    int len = snprintf(m->path, sizeof(m->path), "%s/pin-refused-%s", state_dir, name);
    (void)snprintf(m->text, sizeof(m->text), "%ju %ju %jd.%09ld %jd.%09ld\n", (uintmax_t)st.st_dev,
                   (uintmax_t)st.st_ino, (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec,
                   st.st_ctim.tv_nsec);
    return len > 0 && (size_t)len < sizeof(m->path);
}

bool keys_pin_was_refused(const char *state_dir, const struct token_place *place)
{
    struct mark m;
    struct buf text CLEANUP(buf_free) = buf(sizeof(m.text));
    return mark_of(state_dir, place, &m) && file_read_regular(m.path, &text) == 0 &&
           slice_equal(buf_slice(&text), slice_str(m.text));
}

void keys_pin_refused(const char *state_dir, const struct token_place *place)
{
    struct mark m;
    if (!mark_of(state_dir, place, &m))
        return;
    int r = file_replace(m.path, slice_str(m.text), 0600);
    if (r != 0)
        log_warn("cannot remember that the token refused the PIN: path=%s errno=%d", m.path, -r);
}

void keys_pin_taken(const char *state_dir, const struct token_place *place)
{
    struct mark m;
    if (mark_of(state_dir, place, &m))
        (void)unlink(m.path);
}
