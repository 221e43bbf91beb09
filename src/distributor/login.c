/* Callbacks, in the order in which they fire: run_find (reader thread), on_found, hash (pool), on_hashed. */
#include "distributor/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "crypto/password.h"
#include "net/address.h"

#define BUSY_RETRY_MS 2000

struct login_attempt {
    struct writer_job job;
    uv_work_t work;
    struct login_attempt *next; /* waiting for the pool */
    struct exchange *exchange;
    struct login *login;
    msg_Register wanted;
    char address[ADDRESS_TEXT_BYTES];
    bool known_device; /* this device is registered to this very account already */
    char stored[PASSWORD_HASH_BYTES];
    char fresh[PASSWORD_HASH_BYTES];
    bool matches;
    int outcome;
};
struct login {
    struct server *server;
    uint32_t running, waiting_count;
    struct login_attempt *first, **last;
};

int login_new(struct login **out, struct server *server)
{
    struct login *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    l->server = server;
    l->last = &l->first;
    *out = l;
    return 0;
}

void login_free(struct login *l) { free(l); }

void login_attempt_free(struct login_attempt *a)
{
    if (a == NULL)
        return;
    secret_wipe(a, sizeof(*a));
    free(a);
}

static struct throttle_login names_of(const struct login_attempt *a)
{
    const struct id *client = &a->exchange->who.client;
    return (struct throttle_login){
        .address = slice_str(a->address),
        .user = slice_str(a->wanted.user),
        .device = a->known_device ? slice(client->bytes, ID_BYTES) : slice(NULL, 0),
    };
}

static void next_on_pool(struct login *l);

static void on_hashed(uv_work_t *work, int status)
{
    struct login_attempt *a = container_of(work, struct login_attempt, work);
    struct login *l = a->login;
    struct exchange *x = a->exchange;
    l->running--;
    next_on_pool(l);
    if (status != 0 || a->outcome != 0) {
        exchange_refuse(x, REASON_INTERNAL, NULL);
        return;
    }
    x->who.password_ok = a->matches;
    x->who.password_hash = a->fresh[0] != '\0' ? a->fresh : NULL;
    exchange_registered(x);
}

static void hash(uv_work_t *work)
{
    struct login_attempt *a = container_of(work, struct login_attempt, work);
    struct slice password = slice_str(a->wanted.password);
    a->outcome = 0;
    bool again = a->known_device && a->stored[0] != '\0'; /* its first answer may have been lost */
    if (a->wanted.new_account && !again)
        a->outcome = password_hash(password, a->fresh);
    else
        a->matches = password_matches(a->stored[0] != '\0' ? a->stored : NULL, password);
}

static void next_on_pool(struct login *l)
{
    while (l->first != NULL && l->running < LOGIN_PARALLEL) {
        struct login_attempt *a = l->first;
        l->first = a->next;
        if (l->first == NULL)
            l->last = &l->first;
        l->waiting_count--;
        l->running++;
        int r = uv_queue_work(&l->server->loop, &a->work, hash, on_hashed);
        if (r != 0) {
            l->running--;
            exchange_refuse(a->exchange, REASON_INTERNAL, NULL);
        }
    }
}

static int run_find(struct writer_job *job, void *database)
{
    struct login_attempt *a = container_of(job, struct login_attempt, job);
    return requests_password_hash(database, a->wanted.user, &a->exchange->who.client, a->stored, sizeof(a->stored),
                                  &a->known_device);
}

static void on_found(struct writer_job *job, int outcome)
{
    struct login_attempt *a = container_of(job, struct login_attempt, job);
    struct login *l = a->login;
    struct throttle_login names = names_of(a);
    uint64_t wait_ms = outcome == 0 ? throttle_login_wait_ms(l->server->throttle, &names) : 0;
    if (wait_ms == 0 && l->waiting_count >= LOGIN_WAITING_MAX)
        wait_ms = BUSY_RETRY_MS;
    if (outcome != 0) {
        exchange_refuse(a->exchange, outcome > 0 ? REASON_INTERNAL : reason_of_error(outcome), NULL);
        return;
    }
    if (wait_ms > 0) {
        exchange_refuse_later(a->exchange, wait_ms);
        return;
    }
    l->waiting_count++;
    a->next = NULL;
    *l->last = a;
    l->last = &a->next;
    next_on_pool(l);
}

void login_start(struct login *l, struct exchange *x)
{
    struct login_attempt *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        exchange_refuse(x, REASON_INTERNAL, NULL);
        return;
    }
    x->login = a;
    a->exchange = x;
    a->login = l;
    if (CODEC_DECODE(msg_Register, x->message, &a->wanted) != 0) {
        exchange_refuse(x, REASON_MALFORMED, NULL);
        return;
    }
    snprintf(a->address, sizeof(a->address), "%s", peer_address(x->session->peer));
    a->job = (struct writer_job){ .run = run_find, .on_done = on_found };
    writer_submit(l->server->reader, &a->job);
}

void login_judged(struct login *l, struct exchange *x, int outcome)
{
    if (x->login == NULL)
        return;
    struct throttle_login names = names_of(x->login);
    /* A wrong invite is guessing as well; so is a new account that this device has, with another password. */
    if (outcome == REASON_BAD_CREDENTIALS || outcome == REASON_NOT_PERMITTED ||
        (outcome == REASON_USER_EXISTS && x->login->known_device))
        throttle_login_failed(l->server->throttle, &names);
    else if (outcome == 0)
        throttle_login_succeeded(l->server->throttle, &names);
}
