/* Login: what requests with a password or PIN (REGISTER, LOGIN, PASSWORD_SET, LIMIT_SET, UNLOCK_SPENDING, ACCOUNT_ERASE) need before their database part. Wrong passwords are answered with growing delays (throttle.h); the
 * password hash, slow on purpose, is computed on the libuv pool, a few at a time.
 *
 * Steps: stored hash read (reader thread) -> delay asked -> Argon2id (pool) -> exchange_registered (loop). */
#ifndef DISTRIBUTOR_LOGIN_H
#define DISTRIBUTOR_LOGIN_H

#include "distributor/exchange.h"

#define LOGIN_PARALLEL 2     /* hashes computed at once: each takes 64 MiB */
#define LOGIN_WAITING_MAX 64 /* beyond: rate-limited */

int login_new(struct login **out, struct server *server) MUST_USE;
void login_free(struct login *l); /* when no exchange is left; accepts NULL */

bool login_is_for(uint16_t type); /* is this a request with a password? */
/* Begins; ends in exchange_registered, exchange_refuse or exchange_refuse_later. The exchange keeps its struct login_attempt. */
void login_start(struct login *l, struct exchange *x);
/* After the database part: counts a failure or forgets earlier ones. outcome as of requests_run. */
void login_judged(struct login *l, struct exchange *x, int outcome);

struct login_attempt;
void login_attempt_free(struct login_attempt *a); /* wipes; accepts NULL */

#endif
