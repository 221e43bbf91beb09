/* Shared by the files of keys.h only: keys.c, keys_pin.c, keys_storage.c, keys_token.c. */
#ifndef DISTRIBUTOR_KEYS_INTERNAL_H
#define DISTRIBUTOR_KEYS_INTERNAL_H

#include "distributor/keys.h"

#define KEYS_PATH_BYTES 1200
#define KEYS_NAME_BYTES 32
#define KEYS_ROOT_PUBLIC "root.pub"
#define KEYS_WRAPPED_BYTES (AEAD_IV_BYTES + 32 + AEAD_TAG_BYTES) /* a key file under wrap.key */

/* Those of a purpose have its number. */
enum {
    FILE_ROOT,
    FILE_TLS = KEY_TLS,
    FILE_LICENSE = KEY_LICENSE,
    FILE_ROSTER = KEY_ROSTER,
    FILE_SEALING = KEY_SEALING,
    FILE_TREE,
    FILE_STORAGE,
    KEYS_FILE_COUNT
};
extern const char *const keys_files[KEYS_FILE_COUNT];

/* STATE/keys/FILE; file NULL: the directory. */
int keys_path(const char *state_dir, const char *file, char *out, size_t cap) MUST_USE;
/* k: its wrapping key; NULL: as it is. */
int keys_write(const struct keys *k, const char *state_dir, const struct rng *rng, const char *file,
               const struct key32 *key) MUST_USE;
int keys_read(const struct keys *k, const char *state_dir, const char *file, struct key32 *out) MUST_USE;
/* A whole file that nobody else may read. 0, -EPERM, -EUCLEAN: longer than out may be; -errno. */
int keys_read_file(const char *path, struct buf *out) MUST_USE;

/* keys_token.c: reads wrap.key, when there is one. As keys_load. */
int keys_load_wrap(struct keys *k, const char *state_dir) MUST_USE;
/* root.token and root.pub of a new distributor. 0, KEYS_TOKEN, -errno. */
int keys_root_create(const char *state_dir, const struct token_place *place) MUST_USE;

/* keys_token.c: a key file that a token opens by itself (keys.h). seal: 0, KEYS_TOKEN, -errno. open: 0, -EUCLEAN, and as keys_load. */
#define KEYS_IN_TOKEN_MAX (64 + KEYS_PLACE_BYTES + TOKEN_SEALED_MAX)
bool keys_in_token(struct slice content);
int keys_token_seal(const char *state_dir, const struct token_place *place, const struct key32 *key, struct buf *out)
    MUST_USE;
int keys_token_open(const char *state_dir, struct slice content, struct key32 *key) MUST_USE;
/* Where: text is what *place borrows. 0, -EUCLEAN. */
int keys_token_place(struct slice content, char text[KEYS_PLACE_BYTES], struct token_place *place) MUST_USE;

/* keys_pin.c: was the PIN in this file refused by this token, and the file not changed since? state_dir NULL: nothing is remembered. */
bool keys_pin_was_refused(const char *state_dir, const struct token_place *place);
void keys_pin_refused(const char *state_dir, const struct token_place *place);
void keys_pin_taken(const char *state_dir, const struct token_place *place);

/* keys_module.c: whether a token's library may be loaded: by a whole path, neither below the state directory nor of the user whose that is, unless root. state_dir NULL: there is none. */
bool keys_module_is_others(const char *state_dir, const char *module);

/* Of reading a key: a file, or a token's PIN, is refused, and would be again. */
static inline bool keys_refused(int r) { return r == -EACCES || r == -EKEYREJECTED; }

/* keys_storage.c: reads storage.key and storage.key.new. As keys_load. */
int keys_storage_load(struct keys *k, const char *state_dir) MUST_USE;

#endif
