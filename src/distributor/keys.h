/* A distributor's secret keys, in STATE/keys (files of mode 0600, one key each), and what they protect in the database.
 *
 *   root.key     Ed25519  signs keysets, nothing else; its public key hashes to the distributor ID. It may be elsewhere: root.token then says in
 *                         which token, where it may be an ES256 key; without that one it is offline; root.pub is its public key (32 or 65 bytes)
 *   tls.key      Ed25519  the key of TLS connections
 *   license.key  Ed25519  signs licenses, certificates, quotes, delegations, key blocks, grants, shares, times
 *   roster.key   Ed25519  signs rosters
 *   sealing.key  X25519   what partners seal to us
 *   tree.key     the tree secret of the device node keys (crypto/keytree.h)
 *   storage.key  AES-256: content halves, block root keys, copy keys and the secret of erased names lie in the databases only under it (storage.h)
 *   unused       there until the keys have a database: `init` may go on with them (keys_used)
 *   NAME.key.new the next key of a purpose, from before the keyset that lists it until it has taken the other's place (rotation.h);
 *                of storage.key: from before something lies under it until nothing lies under the other any more (storage.h)
 *   wrap.token, wrap.key  say in which token is the RSA key under which the key lies that wraps the others: 32 bytes as they are, or wrapped
 *                         as IV:12 || AES-256-GCM(wrapping key, associated data = file name without ".new")
 *
 * Loaded once; read-only afterwards, so one struct keys serves every thread. Not here: keysets (keyset.h). */
#ifndef DISTRIBUTOR_KEYS_H
#define DISTRIBUTOR_KEYS_H

#include "base/rng.h"
#include "base/secret.h"
#include "base/slice.h"
#include "crypto/aead.h"
#include "crypto/id.h"
#include "crypto/sign.h"
#include "crypto/token.h"
#include "protocol/documents.h"

#define KEYS_PURPOSES 4   /* of enum key_purpose: those that are rotated */
#define KEYS_NO_ROOT 2201 /* the root key is not on this machine */
#define KEYS_UNUSED \
    2203 /* keys_create: there are keys, and nothing was ever made with them: an `init` was interrupted */
#define KEYS_UNUSED_FILE "unused"
#define KEYS_GONE_FILE "storage.key.old" /* a storage key that nothing lies under any more, until it is overwritten */
#define KEYS_TOKEN 2202 /* its token is not there, refuses the PIN, or holds another key: said in the log */

struct storage_ring;
struct keys_next {
    bool there;
    struct key32 secret;
    uint8_t public_key[32];
};
struct keys {       /* in guarded memory */
    struct id self; /* the distributor ID */
    enum sign_algorithm root_algorithm;
    uint8_t root_public[SIGN_PUBLIC_MAX];
    bool has_root; /* in a file here */
    struct sign_pair root, tls, license, roster;
    struct key32 sealing, tree;
    struct storage_ring
        *storage; /* keys_storage.c: guarded, owned; the only part that changes, under a lock of its own */
    uint8_t sealing_public[32];
    struct keys_next next[KEYS_PURPOSES]; /* by purpose - 1 */
    bool is_wrapped;
    struct key32 wrap;
};

/* Removes keys that have no database yet; others stay. */
void keys_discard(const char *state_dir);
/* Makes STATE/keys with fresh keys. root: where the root key is; NULL: it is made too, as a file. 0; KEYS_UNUSED; -EEXIST when there are
 * some already; KEYS_TOKEN; -errno. */
int keys_create(const char *state_dir, const struct rng *rng, const struct token_place *root) MUST_USE;
/* From now on there is a database that goes with the keys: without it they must not begin anew, for numbers would be used twice. Idempotent. 0, -errno. */
int keys_used(const char *state_dir) MUST_USE;
/* Returns owned (keys_free). 0; -ENOENT without keys; -EPERM when a key file is readable by others; -EUCLEAN; -ENXIO: the token that wraps them is
 * not there; -EKEYREJECTED: it refuses the PIN; -EACCES: a key
 * file may not be read, or the PIN file is none; -errno. */
int keys_load(struct keys **out, const char *state_dir) MUST_USE;
void keys_free(struct keys *k); /* wipes; accepts NULL */
void keys_freep(struct keys **k);
/* "tls", "license", "roster", "sealing"; "other". */
const char *keys_purpose_name(enum key_purpose purpose);
/* Our key of a purpose, and the one that is to follow it. */
const uint8_t *keys_public(const struct keys *k, enum key_purpose purpose);

/* --- Rotating ---------------------------------------------------------------------------------------------------- */

/* Makes the next key of a purpose, when there is none yet. 0, -errno. */
int keys_prepare(const struct keys *k, const char *state_dir, const struct rng *rng, enum key_purpose purpose) MUST_USE;
/* Is there one on disk now? */
bool keys_is_prepared(const char *state_dir, enum key_purpose purpose);
/* The next key takes the place of the one before, which is gone. Idempotent. 0, -errno. */
int keys_adopt(const char *state_dir, enum key_purpose purpose) MUST_USE;

/* What the files of keys that are rotated look like from outside: another stamp, other files. */
struct keys_stamp {
    uint8_t digest[32];
};
void keys_stamp(const char *state_dir, struct keys_stamp *out);

/* --- The root key ------------------------------------------------------------------------------------------------ */

/* Whoever signs keysets, while it is open. */
struct root_signer {
    struct signer signer;
    struct token *token;
};
/* k, state_dir: borrowed until keys_root_close. 0; KEYS_NO_ROOT; KEYS_TOKEN; -errno. */
int keys_root_open(const struct keys *k, const char *state_dir, struct root_signer *out) MUST_USE;
void keys_root_close(struct root_signer *r); /* idempotent */
/* Takes the root key off this machine: writes it to path (PKCS#8 in PEM; never over a file), then removes it here. 0; KEYS_NO_ROOT; -EEXIST; -errno. */
int keys_root_export(const struct keys *k, const char *state_dir, const char *path) MUST_USE;
/* Does a token have it? */
bool keys_root_in_token(const char *state_dir);
/* Reads such a file. 0; -EUCLEAN: another kind of file; -EPERM: readable by others; -errno. */
int keys_root_read(const char *path, struct sign_pair *out) MUST_USE;
/* Keysets are signed by the token from now on, which must hold the same root key; a root.key is removed. 0; KEYS_TOKEN; -errno. */
int keys_root_to_token(const struct keys *k, const char *state_dir, const struct token_place *place) MUST_USE;

/* --- Wrapping ---------------------------------------------------------------------------------------------------- */

/* Wraps every key file under a new key that is sealed to the token. What was interrupted is finished by doing it again. 0; KEYS_TOKEN; -EALREADY:
 * they are; -errno. */
int keys_wrap(const char *state_dir, const struct rng *rng, const struct token_place *place) MUST_USE;

/* Held by whoever changes or copies the key files as a whole: exclusive, or shared by readers. wait: until it is free. Returns a descriptor to close; -EBUSY; -errno. */
int keys_lock(const char *state_dir, bool exclusive, bool wait) MUST_USE;

/* --- The storage key: under what secrets lie in the databases (storage.h says when which) ------------------------- */

/* Names a key: HKDF of it. */
#define KEYS_STORAGE_ID_BYTES 8
struct keys_storage_id {
    uint8_t bytes[KEYS_STORAGE_ID_BYTES];
};
bool keys_storage_same(const struct keys_storage_id *a, const struct keys_storage_id *b);
#define KEYS_STORAGE_TEXT_BYTES (2 * KEYS_STORAGE_ID_BYTES + 1)
void keys_storage_text(const struct keys_storage_id *id, char out[KEYS_STORAGE_TEXT_BYTES]);

/* The key in storage.key, as it was read last. */
struct keys_storage_id keys_storage_first(const struct keys *k);
/* Is there such a key? Files that are newer than what was loaded are read. 0; -ENOKEY: no; -ENXIO, -EACCES: its token, as keys_load; -errno. Any thread. */
int keys_storage_has(const struct keys *k, const struct keys_storage_id *id) MUST_USE;
/* Those that are in no list of two calls in a row are forgotten; one that is needed after all is read again. */
void keys_storage_keep(const struct keys *k, const struct keys_storage_id *listed, size_t count);

/* Makes storage.key.new, in a token or (place NULL) as a file. One that is there is replaced: nothing may lie under it. 0; KEYS_TOKEN; -errno. */
int keys_storage_prepare(const struct keys *k, const char *state_dir, const struct rng *rng,
                         const struct token_place *place, struct keys_storage_id *id) MUST_USE;
/* The key in storage.key.new. 0; -ENOENT; as keys_storage_has. */
int keys_storage_prepared(const struct keys *k, const char *state_dir, struct keys_storage_id *id) MUST_USE;
/* storage.key.new, which is `id`, takes the place of storage.key, which is overwritten and gone. Idempotent. The caller holds keys_lock.
 * 0; -ENOKEY: neither file is it; -errno. */
int keys_storage_adopt(const struct keys *k, const char *state_dir, const struct keys_storage_id *id) MUST_USE;
/* What an interrupted change has left of the key before is overwritten and gone; not now, if somebody holds keys_lock. 0, -errno. */
int keys_storage_tidy(const char *state_dir) MUST_USE;
/* Where storage.key is: a token's URL, or "" for a file; *place (may be NULL) borrows text. 0, -errno. */
#define KEYS_PLACE_BYTES 2048
int keys_storage_place(const char *state_dir, char text[KEYS_PLACE_BYTES], struct token_place *place) MUST_USE;

/* A 32-byte secret as it lies in the database: ID of the storage key:8 || IV:12 || AES-256-GCM(storage key, associated data = label || context). Earlier versions
 * wrote no ID. */
#define KEYS_STORED_BYTES (KEYS_STORAGE_ID_BYTES + AEAD_IV_BYTES + 32 + AEAD_TAG_BYTES)
int keys_protect(const struct keys *k, const struct rng *rng, const struct keys_storage_id *under, const char *label,
                 struct slice context, const struct key32 *secret, uint8_t out[KEYS_STORED_BYTES])
    MUST_USE; /* 0; as keys_storage_has; -EIO */
/* 0; -EUCLEAN when it is not what keys_protect made for this label and context; as keys_storage_has. */
int keys_reveal(const struct keys *k, const char *label, struct slice context, struct slice stored,
                struct key32 *secret) MUST_USE;
/* Is it under this key? */
bool keys_is_under(struct slice stored, const struct keys_storage_id *id);
/* The hash of an erased name as versions before the secret of names made it was keyed with storage.key itself. */
int keys_storage_names_before(const struct keys *k, struct key32 *out) MUST_USE;

/* The PIN files of the tokens that this state's keys are in, "" for one without. Their number. */
#define KEYS_TOKENS_MAX 3
size_t keys_token_pins(const char *state_dir, char out[KEYS_TOKENS_MAX][KEYS_PLACE_BYTES]);

#endif
