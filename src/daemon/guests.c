/* Finding an issuer.
 *
 * Callbacks, in order: on_now, on_address (each own distributor until one knows), on_row (database), then the answer. */
#include "daemon/guests.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/db.h"
#include "daemon/session.h"
#include "daemon/walk.h"

#define LOG_MODULE "guests"
#include "base/log.h"

struct finding {
    struct walk walk;
    struct daemon *daemon;
    struct later_item later;
    struct id issuer;
    char address[128];
    struct account *account; /* a reference */
    struct db_job job;
    issuer_fn on_issuer;
    void *ctx;
};

static void finish(struct finding *f, enum reason why, const msg_Refusal *refusal)
{
    msg_Refusal standard;
    if (why != REASON_NONE && refusal == NULL) {
        reason_refusal(&standard, why,
                       why == REASON_UNKNOWN_DISTRIBUTOR
                           ? "None of this device's distributors knows where the license's issuer is."
                           : NULL);
        refusal = &standard;
    }
    f->on_issuer(why == REASON_NONE ? f->account : NULL, why, refusal, f->ctx);
    account_unref(f->account);
    free(f);
}

/* --- A new guest --- */

static int put_row(struct store *store, struct db_job *job)
{
    struct finding *f = container_of(job, struct finding, job);
    struct query q CLEANUP(query_end) = query(store, DB_GUEST_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(f->issuer.bytes));
    query_bind_text(&q, 2, f->address);
    return query_run(&q);
}

static void on_row(struct db_job *job, int outcome)
{
    struct finding *f = container_of(job, struct finding, job);
    struct account *known = f->account != NULL ? NULL : account_find_issuer(f->daemon, f->issuer.bytes); /* meanwhile */
    if (outcome == 0 && known != NULL)
        f->account = account_ref(known);
    else if (outcome == 0 && f->account != NULL) {
        bool moved = strcmp(f->account->address, f->address) != 0; /* else somebody else has found it meanwhile */
        CODEC_SET_TEXT(f->account->address, f->address);
        if (moved)
            session_restart(f->account->session);
    } else if (outcome == 0 && (outcome = account_new(&f->account, f->daemon, &f->issuer, f->address)) == 0)
        account_add_guest(f->account);
    finish(f, reason_of_error(outcome), NULL);
}

static void walked(struct walk *w)
{
    struct finding *f = container_of(w, struct finding, walk);
    bool known = f->account != NULL;
    if (f->address[0] != '\0' && !(known && strcmp(f->address, f->account->address) == 0)) {
        f->job.work = put_row;
        f->job.done = on_row;
        db_run(f->daemon->db, &f->job);
    } else if (known) { /* still there, or nobody knows better */
        finish(f, REASON_NONE, NULL);
    } else if (w->answered == 0 && w->failure != REASON_NONE && w->failure != REASON_UNKNOWN_DISTRIBUTOR) {
        finish(f, w->failure, &w->refusal);
    } else {
        finish(f, REASON_UNKNOWN_DISTRIBUTOR, NULL);
    }
}

static void on_address(const struct answer *answer, void *ctx)
{
    struct finding *f = ctx;
    msg_Address m;
    if (answer->why != REASON_NONE)
        walk_failed(&f->walk, answer);
    else if (CODEC_DECODE(msg_Address, answer->frame->message, &m) != 0)
        walk_error(&f->walk, REASON_MALFORMED);
    else {
        if (f->address[0] == '\0')
            CODEC_SET_TEXT(f->address, m.address);
        walk_next(&f->walk);
    }
}

static void visit(struct walk *w, struct account *a)
{
    struct finding *f = container_of(w, struct finding, walk);
    msg_AddressGet get;
    memcpy(get.distributor, f->issuer.bytes, sizeof(get.distributor));
    int r = f->address[0] != '\0'
                ? 1
                : session_call(a, &ASK(msg_Type_ADDRESS_GET, msg_Type_ADDRESS, msg_AddressGet, &get), on_address, f);
    if (r > 0)
        walk_next(w);
    else if (r != 0)
        walk_error(w, r);
}

/* In the next turn of the loop: nobody is answered before the starting call has returned. */
static void on_now(struct later_item *item)
{
    struct finding *f = container_of(item, struct finding, later);
    if (f->account != NULL && (!f->account->guest || session_is_ready(f->account->session))) {
        finish(f, REASON_NONE, NULL);
        return;
    }
    /* Also for a guest that is not connected: its issuer may have moved since. */
    f->walk.visit = visit;
    f->walk.done = walked;
    walk_start(&f->walk, f->daemon, NULL);
}

int issuer_find(struct daemon *d, const struct id *issuer, issuer_fn on_issuer, void *ctx)
{
    struct finding *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return -ENOMEM;
    struct account *a = account_find_issuer(d, issuer->bytes);
    f->daemon = d;
    f->issuer = *issuer;
    f->on_issuer = on_issuer;
    f->ctx = ctx;
    if (a != NULL)
        f->account = account_ref(a);
    later_run(&d->later, &f->later, on_now);
    return 0;
}
