/* Throttle: who tried too often. Two small mechanisms without I/O, for one thread each.
 *
 *   struct throttle   counts failures (wrong passwords) per name, with a delay that doubles; bounded memory
 *   struct bucket   a token bucket: sustained rate and burst of one connection's requests
 *
 * What a name is, is the caller's: an address (an IPv6 one counts as its /64), a user, a device. Failures of strangers
 * delay strangers: a device that is registered already is asked about under its own name (throttle_login). */
#ifndef DISTRIBUTOR_THROTTLE_H
#define DISTRIBUTOR_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/outcome.h"
#include "base/rng.h"
#include "base/slice.h"

struct throttle;

#define THROTTLE_NAMES \
    16384 /* names remembered at once; the least troublesome of a group of 8 is forgotten for a new one */
#define THROTTLE_FREE_ATTEMPTS 5            /* wrong ones before the first delay, unless told otherwise */
#define THROTTLE_FIRST_MS 1000              /* the first delay; doubles with each further failure */
#define THROTTLE_FORGET_MS (15 * 60 * 1000) /* without a failure for that long, a name starts anew */

enum throttle_kind {
    THROTTLE_ADDRESS, /* delays up to THROTTLE_FORGET_MS */
    THROTTLE_DEVICE,  /* a device known to the account: likewise */
    THROTTLE_PIN,     /* an account's PIN: delays up to THROTTLE_PIN_MAX_MS, forgotten after THROTTLE_PIN_FORGET_MS */
    THROTTLE_USER, /* an account tried by strangers from many addresses: delays up to THROTTLE_USER_MAX_MS, for strangers only */
};
#define THROTTLE_USER_MAX_MS 30000
#define THROTTLE_PIN_MAX_MS (60 * 60 * 1000)
#define THROTTLE_PIN_FORGET_MS (24 * 60 * 60 * 1000)

int throttle_new(struct throttle **out, const struct clock *clock, const struct rng *rng) MUST_USE; /* clock borrowed */
void throttle_free(struct throttle *l);
void throttle_set_free_attempts(struct throttle *l, uint32_t attempts); /* from 1 */
/* How long this name still has to wait before another attempt: 0 means now. */
uint64_t throttle_wait_ms(const struct throttle *l, enum throttle_kind kind, struct slice name);
void throttle_failed(struct throttle *l, enum throttle_kind kind, struct slice name);
void throttle_succeeded(struct throttle *l, enum throttle_kind kind, struct slice name); /* forgets the failures */

/* The names a login attempt is counted under. */
struct throttle_login {
    struct slice address; /* "host:port" of the connection */
    struct slice user;
    struct slice device; /* client ID when this device is registered to that user; else empty: a stranger */
};
uint64_t throttle_login_wait_ms(const struct throttle *l, const struct throttle_login *login);
void throttle_login_failed(struct throttle *l, const struct throttle_login *login);
void throttle_login_succeeded(struct throttle *l, const struct throttle_login *login);

/* Host part of "host:port" or "[v6]:port", an IPv6 one cut to its /64, as bytes. Returns the length written. */
#define THROTTLE_HOST_BYTES 64
size_t throttle_host(struct slice address, uint8_t out[THROTTLE_HOST_BYTES]);

struct bucket {
    int64_t filled_ms;
    uint32_t milli; /* thousandths of a token */
};
void bucket_init(struct bucket *b, uint32_t burst, int64_t now_ms);
/* Takes one token. 0, or milliseconds until there will be one (nothing taken). */
uint64_t bucket_take(struct bucket *b, uint32_t per_second, uint32_t burst, int64_t now_ms) MUST_USE;

#endif
