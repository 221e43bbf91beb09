/* The vault as hearthd meets it: a child process, requests over fd 3, TLS signatures over fd 4 (docs: flows, vault.proto).
 *
 * When the child dies it is started again at once (then after 1, 2, 4 .. 60 s). Every request of vault.proto is idempotent, so
 * requests that were open are sent once more to the new child; those that fail again are answered `internal`. A request with a
 * descriptor is not repeated.
 */
#ifndef DAEMON_VAULT_CLIENT_H
#define DAEMON_VAULT_CLIENT_H

#include "crypto/sign.h"
#include "daemon/ask.h"
#include "vault.pb.h"

struct daemon;
struct vault;

/* Starts the child and asks for its identity; on_identity fires once: 0 (d->self, keys, generation are filled) or -errno.
 * An identity that changes later stops the program: it is another device. */
int vault_start(struct vault **out, struct daemon *d, void (*on_identity)(struct daemon *d, int error)) MUST_USE;
/* Asks for the generation again (daemon.generation), which rises with the vault's changes. Answered before whatever is asked later. */
void vault_refresh(struct vault *v);
/* Closes the channels; the child ends by itself and is reaped; open calls are answered `cancelled`. Freed later. */
void vault_stop(struct vault *v);

int vault_call(struct vault *v, const struct ask *ask, answer_fn on_answer, void *ctx) MUST_USE; /* 0, -ENOMEM */
/* With one descriptor beside it; takes pass_fd, also on failure. */
int vault_call_fd(struct vault *v, const struct ask *ask, int pass_fd, answer_fn on_answer, void *ctx) MUST_USE;

bool vault_is_up(const struct vault *v);
bool vault_is_silent(
    const struct vault *v); /* it is not there, or has let a question pass its deadline and answered nothing since */
uint32_t vault_restarts(const struct vault *v);
/* TLS signatures, synchronous, at most 2 s: for peer_identity_new. Valid while v is; fails with -EPIPE while there is no child. */
void vault_signer(struct vault *v, struct signer *out);

#endif
