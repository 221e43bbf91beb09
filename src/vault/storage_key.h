/* The key under which everything confidential in the vault's database lies: 32 bytes in DIR/storage.key, in one of three forms.
 *
 *   file         as they are: who can read the file has them (the default)
 *   tpm          sealed by this machine's TPM: copied to another machine, the file opens nothing
 *   passphrase   under a key that Argon2id makes of what another file holds: it may lie on a medium, or come from a service manager
 *
 * Where it comes from is this interface's secret. Start-up only, before the sandbox: it may need a device or a file elsewhere. */
#ifndef VAULT_STORAGE_KEY_H
#define VAULT_STORAGE_KEY_H

#include <stdbool.h>

#include "base/rng.h"
#include "base/secret.h"

enum storage_key_form { STORAGE_KEY_AS_IT_IS, STORAGE_KEY_FILE, STORAGE_KEY_TPM, STORAGE_KEY_PASSPHRASE };

/* What is wanted of it, and with what it may be opened. The texts are borrowed. */
struct storage_key_wish {
    enum storage_key_form form;  /* AS_IT_IS: what is there stays, what is new is FILE */
    const char *tcti;            /* which TPM (crypto/tpm.h); NULL: this machine's */
    const char *passphrase_file; /* its first line is the passphrase; NULL: none is known */
};
/* "file", "tpm", "passphrase". 0, -EINVAL. */
int storage_key_parse(const char *text, enum storage_key_form *out) MUST_USE;

/* The form in which it lies in state_dir. 0, -ENOENT, -EUCLEAN, -errno. */
int storage_key_form_get(const char *state_dir, enum storage_key_form *out) MUST_USE;

#define STORAGE_KEY_ABSENT 1 /* there is none and create is false */
#define STORAGE_KEY_CLOSED 2 /* it is there, and cannot be opened here: the log says why and what to do */
/* Reads the key of state_dir, or makes one that is durable before this returns. When another form is wished, the file is written in it, durably, and the
 * one before is overwritten: the key stays the same.
 * create: false when a database exists already, which a new key could not open. *out is guarded; the caller frees it (secret_free).
 * 0, STORAGE_KEY_ABSENT, STORAGE_KEY_CLOSED, -EUCLEAN for a damaged one, -errno. */
int storage_key_get(const char *state_dir, bool create, const struct storage_key_wish *wish, const struct rng *rng,
                    struct key32 **out) MUST_USE;

#endif
