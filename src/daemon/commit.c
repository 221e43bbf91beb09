/* Committing what has arrived.
 *
 * Callbacks, in order: on_committed (vault), on_reported (database), on_done. */
#include "daemon/commit.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/ask.h"
#include "daemon/library.h"
#include "daemon/outbox.h"
#include "daemon/transfers_internal.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "commit"
#include "base/log.h"

enum { STATE_STORED = 2 }; /* vlt.CertificateState.state */

struct commit {
    struct daemon *daemon;
    struct id own, content;
    struct buf license, info, receipt, report;
    uint8_t list_root[32];
    struct db_job job;
    int64_t report_number;
    commit_fn on_done; /* NULL: nobody waits */
    void *ctx;
};

static void commit_free(struct commit *c)
{
    buf_free(&c->license);
    buf_free(&c->info);
    buf_free(&c->receipt);
    buf_free(&c->report);
    free(c);
}

static void done(struct commit *c, enum reason why, const char *detail)
{
    if (c->on_done != NULL)
        c->on_done(why, detail, buf_slice(&c->receipt), c->ctx);
    commit_free(c);
}

static int add_report(struct store *store, struct db_job *job)
{
    struct commit *c = container_of(job, struct commit, job);
    return outbox_add(store, &c->own, msg_Type_REDEEM, buf_slice(&c->report), &c->report_number);
}

static void on_reported(struct db_job *job, int outcome)
{
    struct commit *c = container_of(job, struct commit, job);
    if (outcome == 0 && !c->daemon->stopping &&
        outbox_added(c->daemon, c->report_number, &c->own, msg_Type_REDEEM, buf_slice(&c->report)) != 0)
        log_warn("a report goes out after the next start only");
    done(c, reason_of_error(outcome), NULL);
}

/* Takes the receipt over; the report goes into the outbox. */
static int report(struct commit *c, struct slice receipt)
{
    msg_Redeem m = msg_Redeem_init_zero;
    int r = buf_append(&c->receipt, receipt);
    if (r == 0)
        r = CODEC_SET_BYTES(m.receipt, receipt);
    if (r == 0)
        r = CODEC_ENCODE(msg_Redeem, &c->report, &m);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    c->job.work = add_report;
    c->job.done = on_reported;
    db_run(c->daemon->db, &c->job);
    return 0;
}

static void tell_library(struct commit *c)
{
    struct daemon *d = c->daemon;
    int r = library_info_known(d, &c->content, buf_slice(&c->info), c->list_root);
    if (r == 0)
        r = library_body_changed(d, &c->content, true);
    if (r == 0)
        r = library_license_stored(d, buf_slice(&c->license));
    if (r != 0)
        log_warn("a track that has arrived is listed after the next start only");
    if (d->transfers != NULL)
        serve_forget(d->transfers->serve, &c->content);
}

static void on_committed(const struct answer *answer, void *ctx)
{
    struct commit *c = ctx;
    vlt_CertificateState state;
    enum reason why = answer->why;
    if (why == REASON_NONE && CODEC_DECODE(vlt_CertificateState, answer->frame->message, &state) != 0)
        why = REASON_INTERNAL;
    if (why == REASON_NONE && (state.state != STATE_STORED || !state.has_receipt))
        why = REASON_CANCELLED;
    if (why != REASON_NONE) {
        done(c, why, answer->refusal != NULL ? answer->refusal->text : NULL);
        return;
    }
    if (!c->daemon->stopping)
        tell_library(c);
    int r = report(c, CODEC_BYTES(state.receipt));
    if (r != 0)
        done(c, reason_of_error(r), NULL);
}

static struct commit *commit_new(struct daemon *d, const struct certificate_name *name)
{
    struct commit *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->daemon = d;
    c->own = name->own;
    c->content = name->content;
    c->license = buf(736);
    c->info = buf(BODY_INFO_MAX);
    c->receipt = buf(384);
    c->report = buf(msg_Redeem_size);
    return c;
}

int commit_start(struct daemon *d, const struct certificate_name *name, struct slice info, const uint8_t list_root[32],
                 commit_fn on_done, void *ctx)
{
    vlt_CertificateCommit m = vlt_CertificateCommit_init_zero;
    struct commit *c = commit_new(d, name);
    if (c == NULL)
        return -ENOMEM;
    memcpy(m.name.issuer, name->issuer.bytes, sizeof(m.name.issuer));
    memcpy(m.name.serial, name->serial, sizeof(m.name.serial));
    memcpy(c->list_root, list_root, sizeof(c->list_root));
    c->on_done = on_done;
    c->ctx = ctx;
    int r = buf_append(&c->license, buf_slice(&name->license));
    if (r == 0)
        r = buf_append(&c->info, info);
    if (r == 0)
        r = vault_call(d->vault,
                       &ASK(vlt_Type_CERTIFICATE_COMMIT, vlt_Type_CERTIFICATE_STATE, vlt_CertificateCommit, &m),
                       on_committed, c);
    if (r == 0)
        return 0;
    commit_free(c);
    return r < 0 ? r : -EMSGSIZE;
}

int commit_report(struct daemon *d, const struct certificate_name *name, struct slice receipt, commit_fn on_done,
                  void *ctx)
{
    struct commit *c = commit_new(d, name);
    if (c == NULL)
        return -ENOMEM;
    c->on_done = on_done;
    c->ctx = ctx;
    int r = report(c, receipt);
    if (r != 0)
        commit_free(c);
    return r;
}
