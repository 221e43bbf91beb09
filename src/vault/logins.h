/* Login tokens of distributors (protocol/login_token.h): kept, proved, never given out. One for each distributor.
 * Source: seed S61, S113 (user ID and password). */
#ifndef VAULT_LOGINS_H
#define VAULT_LOGINS_H

#include "vault/requests.h"

/* LOGIN_STORE: a token sealed to this device; replaces the one before. REASON_NOT_REGISTERED: no keyset of it was checked; REASON_MALFORMED: it does not open. */
request_fn logins_store;
/* LOGIN_PROVE: REASON_LOGIN_NEEDED when there is none. */
request_fn logins_prove;
request_fn logins_drop; /* LOGIN_DROP: also when there is none */
/* For service.c: the service is dropped. 0 or -errno. */
int logins_forget(struct vault *v, const void *distributor) MUST_USE;

#endif
