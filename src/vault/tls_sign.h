/* TLS signatures: the one thing the vault signs without knowing what it says, and therefore only in the form that can say nothing else. */
#ifndef VAULT_TLS_SIGN_H
#define VAULT_TLS_SIGN_H

#include <stdbool.h>

#include "vault/vault.h"

/* Exactly what RFC 8446 4.4.3 has an endpoint sign: 64 spaces, "TLS 1.3, server CertificateVerify" or the client's, a zero byte, a transcript
 * hash of 32 or 48 bytes. Nothing a document signature covers begins like this. */
bool tls_sign_is_input(struct slice input);

struct tls_sign;
/* Serves TLS_SIGN on fd (taken) on a thread of its own that touches neither disk nor database. keys: constant, outlive it. 0 or -errno. */
int tls_sign_start(struct tls_sign **out, int fd, const struct keys *keys) MUST_USE;
void tls_sign_stop(struct tls_sign *t); /* closes the channel, waits, frees; accepts NULL */

#endif
