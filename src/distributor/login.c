/* Callbacks, in the order in which they fire: run_find (reader thread), on_found, hash (pool), on_hashed. */
#include "distributor/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "crypto/password.h"
#include "distributor/spending.h"
#include "net/address.h"

#define BUSY_RETRY_MS 2000
#define PASSWORD_BYTES 256

struct login_attempt {
    struct writer_job job;
    uv_work_t work;
    struct login_attempt *next; /* waiting for the pool */
    struct exchange *exchange;
    struct login *login;
    char user[OPERATIONS_NAME_BYTES]; /* "": the device's own */
    char given[PASSWORD_BYTES];       /* to be checked */
    char wanted[PASSWORD_BYTES];      /* to be hashed, when what was given fits; "": nothing */
    bool new_account;                 /* REGISTER: nothing to check, `given` is to be hashed */
    bool pin;                         /* `given` is the PIN of the spending limit, not the password */
    bool first_pin;                   /* LIMIT_SET: where there is no limit yet, nothing is checked */
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
        .user = slice_str(a->user),
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
    struct slice password = slice_str(a->given);
    a->outcome = 0;
    bool again = a->known_device && a->stored[0] != '\0'; /* its first answer may have been lost */
    if (a->new_account && !again) {
        a->outcome = password_hash(password, a->fresh);
        return;
    }
    if (a->first_pin && a->stored[0] == '\0') {
        a->outcome = a->wanted[0] != '\0' ? password_hash(slice_str(a->wanted), a->fresh) : 0;
        return;
    }
    a->matches = password_matches(a->stored[0] != '\0' ? a->stored : NULL, password);
    if (a->matches && a->wanted[0] != '\0')
        a->outcome = password_hash(slice_str(a->wanted), a->fresh);
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
    const struct id *client = &a->exchange->who.client;
    char user[OPERATIONS_NAME_BYTES] = "";
    if (a->pin) {
        int r = spending_account(database, client, a->user, user);
        memcpy(a->user, user, sizeof(user));
        return r == 0 ? spending_pin_hash(database, user, a->stored, sizeof(a->stored)) : r;
    }
    int r = a->user[0] == '\0' ? requests_user_of(database, client, a->user) : 0;
    return r == 0 ? requests_password_hash(database, a->user, client, a->stored, sizeof(a->stored), &a->known_device)
                  : r;
}

/* How long this one has to wait. A PIN is short: each guess counts as wrong until it has proved right, so that many at once are many. */
static uint64_t wait_of(struct login_attempt *a)
{
    struct throttle *t = a->login->server->throttle;
    struct throttle_login names = names_of(a);
    if (!a->pin)
        return throttle_login_wait_ms(t, &names);
    uint64_t wait_ms = throttle_wait_ms(t, THROTTLE_PIN, names.user);
    if (wait_ms == 0 && a->stored[0] != '\0')
        throttle_failed(t, THROTTLE_PIN, names.user);
    return wait_ms;
}

static void on_found(struct writer_job *job, int outcome)
{
    struct login_attempt *a = container_of(job, struct login_attempt, job);
    struct login *l = a->login;
    uint64_t wait_ms = outcome == 0 ? wait_of(a) : 0;
    if (wait_ms == 0 && l->waiting_count >= LOGIN_WAITING_MAX)
        wait_ms = BUSY_RETRY_MS;
    if (outcome != 0) {
        exchange_refuse(a->exchange, reason_of_error(outcome), NULL);
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

/* --- What each request gives ---------------------------------------------------------------------------------------- */

static int read_register(struct slice message, struct login_attempt *a)
{
    msg_Register m;
    int r = CODEC_DECODE(msg_Register, message, &m);
    if (r == 0) {
        CODEC_SET_TEXT(a->user, m.user);
        CODEC_SET_TEXT(a->given, m.password);
        a->new_account = m.new_account;
    }
    secret_wipe(&m, sizeof(m));
    return r;
}

static int read_login(struct slice message, struct login_attempt *a)
{
    msg_Login m;
    int r = CODEC_DECODE(msg_Login, message, &m);
    if (r == 0) {
        CODEC_SET_TEXT(a->user, m.user);
        CODEC_SET_TEXT(a->given, m.password);
    }
    secret_wipe(&m, sizeof(m));
    return r;
}

static int read_password_set(struct slice message, struct login_attempt *a)
{
    msg_PasswordSet m;
    int r = CODEC_DECODE(msg_PasswordSet, message, &m);
    if (r == 0) {
        CODEC_SET_TEXT(a->given, m.password);
        CODEC_SET_TEXT(a->wanted, m.fresh);
    }
    secret_wipe(&m, sizeof(m));
    return r;
}

static int read_erase(struct slice message, struct login_attempt *a)
{
    msg_AccountErase m;
    int r = CODEC_DECODE(msg_AccountErase, message, &m);
    if (r == 0)
        CODEC_SET_TEXT(a->given, m.password);
    secret_wipe(&m, sizeof(m));
    return r;
}

static int read_limit_set(struct slice message, struct login_attempt *a)
{
    msg_LimitSet m;
    int r = CODEC_DECODE(msg_LimitSet, message, &m);
    if (r == 0) {
        CODEC_SET_TEXT(a->given, m.proof);
        CODEC_SET_TEXT(a->wanted, m.pin);
        a->pin = a->first_pin = !m.password;
    }
    secret_wipe(&m, sizeof(m));
    return r;
}

static int read_unlock(struct slice message, struct login_attempt *a)
{
    msg_UnlockSpending m;
    int r = CODEC_DECODE(msg_UnlockSpending, message, &m);
    if (r == 0) {
        CODEC_SET_TEXT(a->user, m.user);
        CODEC_SET_TEXT(a->given, m.pin);
        a->pin = true;
    }
    secret_wipe(&m, sizeof(m));
    return r;
}

static const struct {
    uint16_t type;
    int (*read)(struct slice message, struct login_attempt *a);
} kinds[] = {
    { msg_Type_REGISTER, read_register },         { msg_Type_LOGIN, read_login },
    { msg_Type_PASSWORD_SET, read_password_set }, { msg_Type_ACCOUNT_ERASE, read_erase },
    { msg_Type_LIMIT_SET, read_limit_set },       { msg_Type_UNLOCK_SPENDING, read_unlock },
};

static size_t kind_of(uint16_t type)
{
    size_t i = 0;
    while (i < ARRAY_COUNT(kinds) && kinds[i].type != type)
        i++;
    return i;
}

bool login_is_for(uint16_t type) { return kind_of(type) < ARRAY_COUNT(kinds); }

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
    if (kinds[kind_of(x->type)].read(x->message, a) != 0) {
        exchange_refuse(x, REASON_MALFORMED, NULL);
        return;
    }
    snprintf(a->address, sizeof(a->address), "%s", peer_address(x->session->peer));
    a->job = (struct writer_job){ .run = run_find, .on_done = on_found, .request = x->log_id };
    writer_submit(l->server->reader, &a->job);
}

void login_judged(struct login *l, struct exchange *x, int outcome)
{
    if (x->login == NULL)
        return;
    struct throttle_login names = names_of(x->login);
    if (x->who.password_ok && (x->login->pin || x->type == msg_Type_LIMIT_SET))
        throttle_succeeded(l->server->throttle, THROTTLE_PIN, names.user); /* the password resets the PIN */
    if (x->login->pin)
        return;
    /* A wrong invite is guessing as well; so is a new account that this device has, with another password. */
    if (outcome == REASON_BAD_CREDENTIALS || (x->type == msg_Type_REGISTER && outcome == REASON_NOT_PERMITTED) ||
        (outcome == REASON_USER_EXISTS && x->login->known_device))
        throttle_login_failed(l->server->throttle, &names);
    else if (outcome == 0)
        throttle_login_succeeded(l->server->throttle, &names);
}
