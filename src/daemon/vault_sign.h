/* The vault's second channel: a TLS signature, asked for and answered at once, because GnuTLS cannot wait. Loop thread, blocks for 2 s
 * at most. Source: design section 1 (hearth-vault), section 9 (external signing). */
#ifndef DAEMON_VAULT_SIGN_H
#define DAEMON_VAULT_SIGN_H

#include <stdbool.h>

#include "crypto/sign.h"
#include "net/channel.h"

struct vault_sign {
    struct channel channel;
    bool open;
    bool owed; /* an answer was late, and has not come yet */
    uint32_t next_id;
};
void vault_sign_open(struct vault_sign *s, int fd); /* takes fd */
void vault_sign_close(struct vault_sign *s);        /* idempotent */
/* 0, -EPIPE (no vault), -ETIMEDOUT (nothing is asked, nor waited for, until that answer has come), -EACCES (the vault refused), -EPROTO, -errno. After
 * -EPROTO, -EPIPE and -errno the channel is closed, until there is another vault. */
int vault_sign(struct vault_sign *s, struct slice message, uint8_t signature[SIGN_BYTES]) MUST_USE;

#endif
