/* A table of groups of eight entries: a name belongs to one group, by a keyed hash, so that nobody can fill another's. */
#include "distributor/throttle.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "crypto/sha256.h"

#define WAYS 8
#define TAG_BYTES 16

struct entry {
    uint8_t tag[TAG_BYTES]; /* keyed hash of kind and name; the name itself is not kept */
    int64_t failed_ms;      /* monotonic time of the last failure */
    uint32_t failures;      /* 0: free */
    uint8_t kind;
};
struct throttle {
    const struct clock *clock;
    uint8_t key[32]; /* so that nobody can choose names of one group */
    uint32_t free_attempts;
    struct entry entries[THROTTLE_NAMES / WAYS][WAYS];
};

int throttle_new(struct throttle **out, const struct clock *clock, const struct rng *rng)
{
    struct throttle *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    l->clock = clock;
    l->free_attempts = THROTTLE_FREE_ATTEMPTS;
    rng_fill(rng, l->key, sizeof(l->key));
    *out = l;
    return 0;
}

void throttle_free(struct throttle *l) { free(l); }

void throttle_set_free_attempts(struct throttle *l, uint32_t attempts) { l->free_attempts = attempts; }

static size_t locate(const struct throttle *l, enum throttle_kind kind, struct slice name, uint8_t tag[TAG_BYTES])
{
    uint8_t hash[SHA256_BYTES], kind_byte = (uint8_t)kind;
    struct slice parts[] = { SLICE_ARRAY(l->key), slice(&kind_byte, 1), name };
    sha256_parts(parts, ARRAY_COUNT(parts), hash);
    memcpy(tag, hash, TAG_BYTES);
    return get_be32(hash + TAG_BYTES) % (THROTTLE_NAMES / WAYS);
}

static bool has_expired(const struct entry *e, int64_t now_ms)
{
    int64_t forget_ms = e->kind == THROTTLE_PIN ? THROTTLE_PIN_FORGET_MS : THROTTLE_FORGET_MS;
    return e->failures == 0 || now_ms - e->failed_ms > forget_ms;
}

static uint64_t delay_ms(const struct throttle *l, const struct entry *e)
{
    if (e->failures < l->free_attempts)
        return 0;
    uint32_t doublings = e->failures - l->free_attempts;
    uint64_t most = e->kind == THROTTLE_USER  ? THROTTLE_USER_MAX_MS
                    : e->kind == THROTTLE_PIN ? THROTTLE_PIN_MAX_MS
                                              : THROTTLE_FORGET_MS;
    return doublings >= 20 ? most : u64_min(most, (uint64_t)THROTTLE_FIRST_MS << doublings);
}

static const struct entry *find(const struct throttle *l, enum throttle_kind kind, struct slice name)
{
    uint8_t tag[TAG_BYTES];
    size_t set = locate(l, kind, name, tag);
    for (size_t i = 0; i < WAYS; i++) {
        const struct entry *e = &l->entries[set][i];
        if (e->failures > 0 && memcmp(e->tag, tag, TAG_BYTES) == 0)
            return e;
    }
    return NULL;
}

uint64_t throttle_wait_ms(const struct throttle *l, enum throttle_kind kind, struct slice name)
{
    const struct entry *e = find(l, kind, name);
    int64_t now_ms = clock_mono_ms(l->clock);
    if (e == NULL || has_expired(e, now_ms))
        return 0;
    int64_t passed_ms = now_ms - e->failed_ms;
    uint64_t wait_ms = delay_ms(l, e);
    return (uint64_t)passed_ms >= wait_ms ? 0 : wait_ms - (uint64_t)passed_ms;
}

/* The entry to use for a new name: a free or expired one, else the one with the fewest failures, oldest first. */
static struct entry *choose(struct entry set[WAYS], int64_t now_ms)
{
    struct entry *worst = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        struct entry *e = &set[i];
        if (has_expired(e, now_ms))
            return e;
        if (e->failures < worst->failures || (e->failures == worst->failures && e->failed_ms < worst->failed_ms))
            worst = e;
    }
    return worst;
}

void throttle_failed(struct throttle *l, enum throttle_kind kind, struct slice name)
{
    int64_t now_ms = clock_mono_ms(l->clock);
    uint8_t tag[TAG_BYTES];
    size_t set = locate(l, kind, name, tag);
    struct entry *e = (struct entry *)find(l, kind, name);
    if (e == NULL || has_expired(e, now_ms)) {
        if (e == NULL)
            e = choose(l->entries[set], now_ms);
        memset(e, 0, sizeof(*e));
        memcpy(e->tag, tag, TAG_BYTES);
        e->kind = (uint8_t)kind;
    }
    e->failed_ms = now_ms;
    if (e->failures < UINT32_MAX)
        e->failures++;
}

void throttle_succeeded(struct throttle *l, enum throttle_kind kind, struct slice name)
{
    struct entry *e = (struct entry *)find(l, kind, name);
    if (e != NULL)
        memset(e, 0, sizeof(*e));
}

size_t throttle_host(struct slice address, uint8_t out[THROTTLE_HOST_BYTES])
{
    char text[THROTTLE_HOST_BYTES];
    size_t len = address.len;
    while (len > 0 && address.data[len - 1] != ':')
        len--;
    len = len > 0 ? len - 1 : address.len; /* without ":port" */
    const uint8_t *from = address.data;
    if (len >= 2 && from[0] == '[' && from[len - 1] == ']') {
        from++;
        len -= 2;
    }
    len = size_min(len, sizeof(text) - 1);
    if (len > 0)
        memcpy(text, from, len);
    text[len] = '\0';
    text[strcspn(text, "%")] = '\0';

    struct in6_addr v6;
    if (inet_pton(AF_INET6, text, &v6) != 1) {
        memcpy(out, text, len);
        return len;
    }
    if (IN6_IS_ADDR_V4MAPPED(&v6)) { /* the same host as its IPv4 address */
        char v4[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &v6.s6_addr[12], v4, sizeof(v4));
        memcpy(out, v4, strlen(v4));
        return strlen(v4);
    }
    memcpy(out, v6.s6_addr, 8);
    return 8;
}

static struct slice host_of(const struct throttle_login *login, uint8_t out[THROTTLE_HOST_BYTES])
{
    return slice(out, throttle_host(login->address, out));
}

uint64_t throttle_login_wait_ms(const struct throttle *l, const struct throttle_login *login)
{
    if (login->device.len > 0)
        return throttle_wait_ms(l, THROTTLE_DEVICE, login->device);
    uint8_t host[THROTTLE_HOST_BYTES];
    uint64_t address_ms = throttle_wait_ms(l, THROTTLE_ADDRESS, host_of(login, host));
    uint64_t user_ms = throttle_wait_ms(l, THROTTLE_USER, login->user);
    return address_ms > user_ms ? address_ms : user_ms;
}

void throttle_login_failed(struct throttle *l, const struct throttle_login *login)
{
    if (login->device.len > 0) {
        throttle_failed(l, THROTTLE_DEVICE, login->device);
        return;
    }
    uint8_t host[THROTTLE_HOST_BYTES];
    throttle_failed(l, THROTTLE_ADDRESS, host_of(login, host));
    throttle_failed(l, THROTTLE_USER, login->user);
}

void throttle_login_succeeded(struct throttle *l, const struct throttle_login *login)
{
    /* A stranger's success clears nothing: whoever owns one account could otherwise guess on at others for ever. */
    if (login->device.len > 0)
        throttle_succeeded(l, THROTTLE_DEVICE, login->device);
}

void bucket_init(struct bucket *b, uint32_t burst, int64_t now_ms)
{
    b->filled_ms = now_ms;
    b->milli = burst > UINT32_MAX / 1000 ? UINT32_MAX : burst * 1000;
}

uint64_t bucket_take(struct bucket *b, uint32_t per_second, uint32_t burst, int64_t now_ms)
{
    int64_t passed_ms = now_ms > b->filled_ms ? now_ms - b->filled_ms : 0;
    uint64_t most = (uint64_t)burst * 1000;
    uint64_t milli = u64_min(most, b->milli + u64_min((uint64_t)passed_ms, 3600000) * per_second);
    b->milli = (uint32_t)u64_min(milli, UINT32_MAX);
    b->filled_ms = now_ms;
    if (b->milli < 1000)
        return (1000 - b->milli + per_second - 1) / per_second;
    b->milli -= 1000;
    return 0;
}
