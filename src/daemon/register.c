/* Preregistration: the driver of protocol/registration.h. Nothing but the account's own password leaves this device, and only to a
 * distributor whose keyset has verified.
 *
 * Callbacks of a registration, in order: on_probed (no ID given: ends there), on_registered (distributor), on_kept (vault), on_login_kept (vault; when there is one),
 * on_row (database), on_greeted (a session as a registered device). */
#include "daemon/register.h"

#include <stdlib.h>

#include "base/secret.h"
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/db.h"
#include "daemon/events.h"
#include "daemon/session.h"
#include "daemon/transact.h"
#include "daemon/vault_client.h"
#include "protocol/registration.h"

#define LOG_MODULE "register"
#include "base/log.h"

#define REGISTER_TIMEOUT_MS 30000 /* the distributor hashes a password */

struct registering {
    struct daemon *daemon;
    struct call *call;
    struct account *account; /* a reference */
    char old_address[128];
    struct registration m;
    msg_Register ask; /* wiped as soon as it is sent */
    struct db_job job;
};

static void registering_free(struct registering *g)
{
    secret_wipe(&g->ask, sizeof(g->ask));
    account_unref(g->account);
    free(g);
}

static void refuse(struct registering *g, const msg_Refusal *refusal)
{
    /* A new address that did not work out does not replace the old one. */
    if (!g->m.is_new && g->account != NULL && strcmp(g->old_address, g->account->address) != 0) {
        memcpy(g->account->address, g->old_address, sizeof(g->old_address));
        session_restart(g->account->session);
    }
    call_refuse_as(g->call, refusal);
    registering_free(g);
}

static void refuse_for(struct registering *g, enum reason why)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, why, NULL);
    refuse(g, &refusal);
}

static void step(struct registering *g);

/* --- The answer --- */

static void answer(struct registering *g)
{
    struct account *a = g->account;
    ctl_DistributorRow row = { .online = a->session != NULL && session_knows_us(a->session), .has_address = true };
    memcpy(row.distributor, a->distributor.bytes, ID_BYTES);
    CODEC_SET_TEXT(row.name, a->name);
    CODEC_SET_TEXT(row.user, a->user);
    CODEC_SET_TEXT(row.address, a->address);
    CALL_ROW(g->call, DISTRIBUTOR_ROW, DistributorRow, &row);
    call_finish(g->call);
    registering_free(g);
}

static void on_greeted(const struct answer *greeting, void *ctx)
{
    struct registering *g = ctx;
    (void)greeting;
    registration_greeted(&g->m);
    step(g);
}

/* Greeted anew as a registered device: with the distributor's time, and shown that it is known. */
static void greet(struct registering *g)
{
    session_restart(g->account->session);
    if (session_when_ready(g->account, on_greeted, g) == 0)
        return;
    registration_greeted(&g->m);
    step(g);
}

/* --- The row --- */

static int put_row(struct store *store, struct db_job *job)
{
    struct registering *g = container_of(job, struct registering, job);
    const msg_Registered *reply = &g->m.reply;
    struct slice id = SLICE_ARRAY(g->account->distributor.bytes);
    {
        struct query q CLEANUP(query_end) = query(store, DB_ACCOUNT_PUT);
        query_bind_blob(&q, 1, id);
        query_bind_text(&q, 2, g->account->address);
        query_bind_text(&q, 3, reply->distributor_name);
        query_bind_text(&q, 4, reply->user);
        int r = query_run(&q);
        if (r != 0 || !g->m.is_new)
            return r;
    }
    struct query q CLEANUP(query_end) = query(store, DB_TRANSACTION_SET);
    query_bind_blob(&q, 1, id);
    query_bind_i64(&q, 2, reply->bit & 1);
    query_bind_null(&q, 3);
    query_bind_null(&q, 4);
    return query_run(&q);
}

static void tell_account(struct registering *g)
{
    struct account *a = g->account;
    const msg_Registered *reply = &g->m.reply;
    memcpy(a->name, reply->distributor_name, sizeof(a->name));
    memcpy(a->user, reply->user, sizeof(a->user));
    account_add(a);
    event(g->daemon, "registered", "registered with %s as %s", a->name, a->user);
    if (!g->m.is_new)
        session_registered(a->session, reply->session, reply->bit, reply->roster_sequence);
}

static void on_row(struct db_job *job, int outcome)
{
    struct registering *g = container_of(job, struct registering, job);
    struct account *a = g->account;
    if (outcome == 0 && g->m.is_new)
        outcome = transact_load(a->transact, g->m.reply.bit & 1, slice(NULL, 0), slice(NULL, 0));
    if (outcome == 0 && a->session == NULL)
        outcome = -EIO;
    if (outcome == 0)
        tell_account(g);
    registration_stored(&g->m, reason_of_error(outcome < 0 ? outcome : outcome > 0 ? -EIO : 0));
    step(g);
}

/* --- Service data into the vault (S4) --- */

static void on_kept(const struct answer *answer, void *ctx)
{
    struct registering *g = ctx;
    registration_kept(&g->m, answer->why, answer->refusal);
    step(g);
}

static void keep(struct registering *g, const struct registration_action *a)
{
    vlt_ServiceData data = vlt_ServiceData_init_zero;
    int r = CODEC_SET_BYTES(data.certificate, a->certificate) == 0 ? 0 : -EPROTO;
    memcpy(data.distributor, g->account->distributor.bytes, ID_BYTES);
    struct ask ask = ASK(vlt_Type_SERVICE_DATA, vlt_Type_DONE, vlt_ServiceData, &data);
    ask.tail = a->sealed;
    if (r == 0)
        r = vault_call(g->daemon->vault, &ask, on_kept, g);
    if (r == 0)
        return;
    registration_kept(&g->m, reason_of_error(r), NULL);
    step(g);
}

/* --- Asking (S1-S3) --- */

static void on_registered(const struct answer *answer, void *ctx)
{
    struct registering *g = ctx;
    registration_answered(&g->m, answer->why == REASON_NONE ? answer->frame : NULL, answer->why, answer->refusal);
    step(g);
}

static void ask(struct registering *g)
{
    struct ask question = ASK(msg_Type_REGISTER, msg_Type_REGISTERED, msg_Register, &g->ask);
    question.timeout_ms = REGISTER_TIMEOUT_MS;
    int r = session_call(g->account, &question, on_registered, g);
    secret_wipe(&g->ask, sizeof(g->ask));
    if (r == 0)
        return;
    registration_answered(&g->m, NULL, reason_of_error(r), NULL);
    step(g);
}

/* --- A login token into the vault (S61) --- */

static void on_login_kept(const struct answer *answer, void *ctx)
{
    struct registering *g = ctx;
    registration_login_kept(&g->m, answer->why, answer->refusal);
    step(g);
}

static void keep_login(struct registering *g)
{
    vlt_LoginStore store;
    memcpy(store.distributor, g->account->distributor.bytes, ID_BYTES);
    memcpy(store.token, g->m.reply.login, sizeof(store.token));
    int r = vault_call(g->daemon->vault, &ASK(vlt_Type_LOGIN_STORE, vlt_Type_DONE, vlt_LoginStore, &store),
                       on_login_kept, g);
    if (r == 0)
        return;
    registration_login_kept(&g->m, reason_of_error(r), NULL);
    step(g);
}

static void step(struct registering *g)
{
    struct registration_action a = registration_next(&g->m);
    switch (a.kind) {
    case REGISTRATION_WAIT:
        break;
    case REGISTRATION_ASK:
        ask(g);
        break;
    case REGISTRATION_KEEP:
        keep(g, &a);
        break;
    case REGISTRATION_KEEP_LOGIN:
        keep_login(g);
        break;
    case REGISTRATION_STORE:
        g->job.work = put_row;
        g->job.done = on_row;
        db_run(g->daemon->db, &g->job);
        break;
    case REGISTRATION_GREET:
        greet(g);
        break;
    case REGISTRATION_END:
        if (g->m.state == REGISTRATION_DONE)
            answer(g);
        else
            refuse(g, &g->m.refusal);
        break;
    }
}

static int find_account(struct registering *g, const ctl_Register *m)
{
    struct id distributor = id_from(m->distributor);
    g->account = account_find(g->daemon, distributor.bytes);
    registration_init(&g->m, g->account == NULL);
    if (g->account == NULL)
        return account_new(&g->account, g->daemon, &distributor, m->address);
    (void)account_ref(g->account);
    memcpy(g->old_address, g->account->address, sizeof(g->old_address));
    if (strcmp(m->address, g->account->address) != 0) {
        memcpy(g->account->address, m->address, sizeof(m->address));
        session_restart(g->account->session);
    }
    return 0;
}

static int begin(struct registering *g, const ctl_Register *m)
{
    int r = find_account(g, m);
    if (r != 0)
        return r;
    g->ask = (msg_Register){
        .new_account = m->new_account,
        .has_invite = m->has_invite,
        .has_full_name = m->has_full_name,
        .has_email = m->has_email,
        .has_payment_reference = m->has_payment_reference,
    };
    CODEC_SET_TEXT(g->ask.user, m->user);
    CODEC_SET_TEXT(g->ask.password, m->password);
    CODEC_SET_TEXT(g->ask.invite, m->invite);
    CODEC_SET_TEXT(g->ask.full_name, m->full_name);
    CODEC_SET_TEXT(g->ask.email, m->email);
    CODEC_SET_TEXT(g->ask.payment_reference, m->payment_reference);
    CODEC_SET_TEXT(g->ask.device_name, g->daemon->config.name);
    memcpy(g->ask.sealing_key, g->daemon->sealing_key, sizeof(g->ask.sealing_key));
    step(g);
    return 0;
}

/* --- Who answers there? --- */

static void on_probed(const doc_Keyset *keyset, enum reason why, void *ctx)
{
    struct registering *g = ctx;
    if (keyset == NULL) {
        refuse_for(g, why);
        return;
    }
    ctl_Confirm confirm = ctl_Confirm_init_zero;
    memcpy(confirm.distributor, keyset->distributor, ID_BYTES);
    CODEC_SET_TEXT(confirm.name, keyset->name);
    CALL_ROW(g->call, CONFIRM, Confirm, &confirm);
    refuse_for(g, REASON_CONFIRM_DISTRIBUTOR);
}

void register_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Register *m = message;
    struct registering *g = calloc(1, sizeof(*g));
    if (g == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    g->daemon = d;
    g->call = c;
    registration_init(&g->m, true);
    int r = m->has_distributor ? begin(g, m) : session_probe(d, m->address, on_probed, g);
    if (r != 0)
        refuse_for(g, reason_of_error(r));
}
