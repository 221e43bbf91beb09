/* The account's password, given on this device: login, logout, a new password. The password goes to the distributor alone, the token that comes
 * back, sealed, to the vault alone. Loop thread.
 *
 * Callbacks, in order: on_logged_in (distributor), on_stored (vault). Leaving: on_dropped (vault), on_logged_out (distributor). */
#include "daemon/login.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/session.h"
#include "daemon/vault_client.h"

#define LOGIN_TIMEOUT_MS 30000 /* the distributor hashes a password, or two */

struct login {
    struct call *call;
    struct account *account; /* a reference */
    bool changed;            /* the password */
    uint64_t ends_ms;
};

static struct login *login_new(struct daemon *d, struct call *c, const char *distributor)
{
    struct account *a;
    int r = account_resolve_issuer(d, distributor, &a);
    struct login *l = r == 0 ? calloc(1, sizeof(*l)) : NULL;
    if (l == NULL) {
        call_refuse(c, r == 0 ? REASON_INTERNAL : reason_of_error(r), NULL);
        return NULL;
    }
    l->call = c;
    l->account = account_ref(a);
    return l;
}

static void login_end(struct login *l, const msg_Refusal *refusal)
{
    if (refusal != NULL)
        call_refuse_as(l->call, refusal);
    else
        call_finish(l->call);
    account_unref(l->account);
    free(l);
}

static void login_fail(struct login *l, int error)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, reason_of_error(error), NULL);
    login_end(l, &refusal);
}

/* --- In --- */

static void on_stored(const struct answer *answer, void *ctx)
{
    struct login *l = ctx;
    if (answer->why != REASON_NONE) {
        login_end(l, answer->refusal);
        return;
    }
    struct account *a = l->account;
    event(a->daemon, l->changed ? "password-changed" : "logged-in",
          l->changed ? "the password at %s was changed on this device" : "logged in at %s as %s", a->name, a->user);
    ctl_LoginRow row = { .ends_ms = l->ends_ms };
    CODEC_SET_TEXT(row.distributor_name, a->name);
    CODEC_SET_TEXT(row.user, a->user);
    CALL_ROW(l->call, LOGIN_ROW, LoginRow, &row);
    login_end(l, NULL);
}

static void on_logged_in(const struct answer *answer, void *ctx)
{
    struct login *l = ctx;
    msg_LoggedIn m;
    if (answer->why != REASON_NONE) {
        login_end(l, answer->refusal);
        return;
    }
    if (CODEC_DECODE(msg_LoggedIn, answer->frame->message, &m) != 0) {
        login_fail(l, REASON_MALFORMED);
        return;
    }
    l->ends_ms = m.ends_ms;
    vlt_LoginStore store;
    memcpy(store.distributor, l->account->distributor.bytes, ID_BYTES);
    memcpy(store.token, m.token, sizeof(store.token));
    int r = vault_call(l->account->daemon->vault, &ASK(vlt_Type_LOGIN_STORE, vlt_Type_DONE, vlt_LoginStore, &store),
                       on_stored, l);
    if (r != 0)
        login_fail(l, r);
}

static void ask(struct login *l, struct ask *question)
{
    question->timeout_ms = LOGIN_TIMEOUT_MS;
    int r = session_call(l->account, question, on_logged_in, l);
    if (r != 0)
        login_fail(l, r);
}

void login_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Login *m = message;
    struct login *l = login_new(d, c, m->distributor);
    if (l == NULL)
        return;
    msg_Login login = msg_Login_init_zero;
    CODEC_SET_TEXT(login.password, m->password);
    ask(l, &ASK(msg_Type_LOGIN, msg_Type_LOGGED_IN, msg_Login, &login));
    secret_wipe(&login, sizeof(login));
}

void password_set_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_PasswordSet *m = message;
    struct login *l = login_new(d, c, m->distributor);
    if (l == NULL)
        return;
    l->changed = true;
    msg_PasswordSet set = msg_PasswordSet_init_zero;
    CODEC_SET_TEXT(set.password, m->password);
    CODEC_SET_TEXT(set.fresh, m->fresh);
    ask(l, &ASK(msg_Type_PASSWORD_SET, msg_Type_LOGGED_IN, msg_PasswordSet, &set));
    secret_wipe(&set, sizeof(set));
}

/* --- Out: the vault first, so that it holds also when the distributor is away --- */

static void on_logged_out(const struct answer *answer, void *ctx)
{
    struct login *l = ctx;
    if (answer->why == REASON_NONE)
        event(l->account->daemon, "logged-out", "logged out at %s", l->account->name);
    login_end(l, answer->refusal);
}

static void on_dropped(const struct answer *answer, void *ctx)
{
    struct login *l = ctx;
    if (answer->why != REASON_NONE) {
        login_end(l, answer->refusal);
        return;
    }
    msg_Logout out = msg_Logout_init_zero;
    int r = session_call(l->account, &ASK(msg_Type_LOGOUT, msg_Type_OK, msg_Logout, &out), on_logged_out, l);
    if (r != 0)
        login_fail(l, r);
}

void logout_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Logout *m = message;
    struct login *l = login_new(d, c, m->distributor);
    if (l == NULL)
        return;
    vlt_LoginDrop drop;
    memcpy(drop.distributor, l->account->distributor.bytes, ID_BYTES);
    int r = vault_call(d->vault, &ASK(vlt_Type_LOGIN_DROP, vlt_Type_DONE, vlt_LoginDrop, &drop), on_dropped, l);
    if (r != 0)
        login_fail(l, r);
}
