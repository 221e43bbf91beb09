/* Callbacks, in order: on_granted (transaction), on_info (issuer), on_judged (vault), on_body (download), on_committed, on_redeemed (issuer).
 * Of a certificate that is of no use here: on_judged, on_refused (vault), on_refusal_told (issuer), and once more from on_granted. */
#include "daemon/guest_copy.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/commit.h"
#include "daemon/download.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/papers.h"
#include "daemon/queued.h"
#include "daemon/session.h"
#include "daemon/transact.h"

#define LOG_MODULE "queued"
#include "base/log.h"

enum { STATE_RESERVED = 1, STATE_STORED = 2, STATE_REFUSED = 3 }; /* vlt.CertificateState.state */

struct guest_copy {
    struct account *issuer; /* a reference */
    struct id content;
    struct certificate_name name;
    struct buf certificate, delegation, info;
    uint8_t list_root[32];
    enum reason why; /* it is of no use here */
    bool asked_again;
    void (*on_end)(void *ctx);
    void *ctx;
};

static int begin(struct guest_copy *c);

static void papers_drop(struct guest_copy *c)
{
    certificate_name_deinit(&c->name);
    c->name.license = buf(0);
    buf_clear(&c->certificate);
    buf_clear(&c->delegation);
    buf_clear(&c->info);
}

static void copy_free(struct guest_copy *c)
{
    papers_drop(c);
    buf_free(&c->certificate);
    buf_free(&c->delegation);
    buf_free(&c->info);
    account_unref(c->issuer);
    free(c);
}

static void end(struct guest_copy *c)
{
    void (*on_end)(void *ctx) = c->on_end;
    void *ctx = c->ctx;
    copy_free(c);
    on_end(ctx);
}

/* For now: it is listed again on the next connection. */
static void give_up(struct guest_copy *c, enum reason why)
{
    log_info("what waits at %s was not taken reason=%s", c->issuer->name, reason_code(why));
    end(c);
}

static struct papers papers_of(const struct guest_copy *c)
{
    return (struct papers){ .certificate = buf_slice(&c->certificate),
                            .delegation = buf_slice(&c->delegation),
                            .info = buf_slice(&c->info),
                            .list_root = c->list_root,
                            .presenter = &c->issuer->distributor };
}

/* ---- a certificate that is of no use: the issuer gets the vault's signed word, and gives count and price back ---- */

/* Another one may be good. */
static bool may_be_replaced(enum reason why)
{
    return why == REASON_CERTIFICATE_EXPIRED || why == REASON_KEY_BLOCK_OUTDATED || why == REASON_DELEGATION_INVALID;
}

static void on_refusal_told(const struct answer *answer, void *ctx)
{
    struct guest_copy *c = ctx;
    if (answer->why != REASON_NONE || c->asked_again || !may_be_replaced(c->why)) {
        give_up(c, answer->why != REASON_NONE ? answer->why : c->why);
        return;
    }
    c->asked_again = true;
    papers_drop(c);
    int r = begin(c);
    if (r != 0)
        give_up(c, reason_of_error(r));
}

static void tell_refusal(struct guest_copy *c, struct slice receipt)
{
    msg_MoveCancel m = msg_MoveCancel_init_zero;
    if (CODEC_SET_BYTES(m.receipt, receipt) != 0 ||
        session_call_now(c->issuer, &ASK(msg_Type_MOVE_CANCEL, msg_Type_OK, msg_MoveCancel, &m), on_refusal_told, c) !=
            0)
        give_up(c, REASON_OFFLINE);
}

static void on_refused(const struct answer *answer, void *ctx)
{
    struct guest_copy *c = ctx;
    vlt_CertificateState state;
    if (answer->why != REASON_NONE)
        give_up(c, answer->why);
    else if (CODEC_DECODE(vlt_CertificateState, answer->frame->message, &state) != 0 || state.state != STATE_REFUSED)
        give_up(c, REASON_INTERNAL);
    else
        tell_refusal(c, CODEC_BYTES(state.receipt));
}

static void refuse(struct guest_copy *c, enum reason why)
{
    struct papers papers = papers_of(c);
    c->why = why;
    if (papers_refuse(c->issuer->daemon, &papers, on_refused, c) != 0)
        give_up(c, REASON_INTERNAL);
}

/* ---- the end of a good one ---------------------------------------------------------------------------------------- */

static void on_redeemed(const struct answer *answer, void *ctx)
{
    (void)answer; /* our own distributor passes it on too: commit.c */
    end(ctx);
}

/* The report is in the outbox. The issuer hears of it at once, so that nothing waits there any more. */
static void on_reported(enum reason why, const char *detail, struct slice receipt, void *ctx)
{
    struct guest_copy *c = ctx;
    msg_Redeem m = msg_Redeem_init_zero;
    (void)detail;
    if (why != REASON_NONE)
        give_up(c, why);
    else if (CODEC_SET_BYTES(m.receipt, receipt) != 0 ||
             session_call_now(c->issuer, &ASK(msg_Type_REDEEM, msg_Type_OK, msg_Redeem, &m), on_redeemed, c) != 0)
        end(c);
}

static void on_committed(enum reason why, const char *detail, struct slice receipt, void *ctx)
{
    struct guest_copy *c = ctx;
    if (why == REASON_NONE)
        queued_tell(c->issuer, &c->content);
    on_reported(why, detail, receipt, ctx);
}

static void commit(struct guest_copy *c)
{
    int r = commit_start(c->issuer->daemon, &c->name, buf_slice(&c->info), c->list_root, on_committed, c);
    if (r != 0)
        give_up(c, reason_of_error(r));
}

static void report_again(struct guest_copy *c, struct slice receipt)
{
    int r = commit_report(c->issuer->daemon, &c->name, receipt, on_reported, c);
    if (r != 0)
        give_up(c, reason_of_error(r));
}

/* ---- the body ----------------------------------------------------------------------------------------------------- */

static void on_progress(uint64_t done_bytes, uint64_t total_bytes, void *ctx)
{
    (void)done_bytes;
    (void)total_bytes;
    (void)ctx;
}

static void on_body(enum reason why, const char *detail, void *ctx)
{
    struct guest_copy *c = ctx;
    (void)detail;
    if (why == REASON_NONE)
        commit(c);
    else
        give_up(c, why);
}

static void get_body(struct guest_copy *c)
{
    static const struct download_callbacks callbacks = { on_progress, on_body };
    const struct track *t = library_find(c->issuer->daemon, c->content.bytes);
    if (t != NULL && t->has_body)
        commit(c);
    else if (download_start(c->issuer, &c->content, &callbacks, c) != 0)
        give_up(c, REASON_INTERNAL);
}

/* ---- the vault's judgement ---------------------------------------------------------------------------------------- */

static void on_judged(const struct answer *answer, void *ctx)
{
    struct guest_copy *c = ctx;
    vlt_CertificateState state;
    if (may_be_replaced(answer->why))
        refuse(c, answer->why);
    else if (answer->why != REASON_NONE)
        give_up(c, answer->why);
    else if (CODEC_DECODE(vlt_CertificateState, answer->frame->message, &state) != 0)
        give_up(c, REASON_INTERNAL);
    else if (state.state == STATE_RESERVED)
        get_body(c);
    else if (state.state == STATE_STORED) /* before: only the receipt did not arrive */
        report_again(c, CODEC_BYTES(state.receipt));
    else
        refuse(c, REASON_CERTIFICATE_EXPIRED); /* as it was before; the same word again */
}

static void check(struct guest_copy *c, const msg_Info *info)
{
    struct papers papers;
    memcpy(c->list_root, info->list_root, sizeof(c->list_root));
    int r = buf_append(&c->info, CODEC_BYTES(info->info));
    papers = papers_of(c);
    if (r == 0)
        r = papers_check(c->issuer->daemon, &papers, on_judged, c);
    if (r != 0)
        give_up(c, REASON_INTERNAL);
}

static void on_info(const struct answer *answer, void *ctx)
{
    struct guest_copy *c = ctx;
    msg_Info info;
    if (answer->why != REASON_NONE)
        give_up(c, answer->why);
    else if (CODEC_DECODE(msg_Info, answer->frame->message, &info) != 0)
        give_up(c, REASON_MALFORMED);
    else
        check(c, &info);
}

static void ask_info(struct guest_copy *c)
{
    msg_InfoGet get;
    memcpy(get.content, c->content.bytes, sizeof(get.content));
    if (session_call_now(c->issuer, &ASK(msg_Type_INFO_GET, msg_Type_INFO, msg_InfoGet, &get), on_info, c) != 0)
        give_up(c, REASON_OFFLINE);
}

/* ---- the certificate ---------------------------------------------------------------------------------------------- */

/* What was asked for, and for here; the rest is the vault's. */
static int take_papers(struct guest_copy *c, const msg_Result *result)
{
    int r = buf_append(&c->certificate, CODEC_BYTES(result->certificate));
    if (r == 0)
        r = buf_append(&c->delegation, CODEC_BYTES(result->delegation));
    if (r == 0)
        r = certificate_name_read(CODEC_BYTES(result->certificate), &c->name);
    if (r != 0)
        return r;
    const struct certificate_name *n = &c->name;
    bool fits = id_equal(n->issuer.bytes, c->issuer->distributor.bytes) && id_equal(n->content.bytes, c->content.bytes);
    return fits ? 0 : REASON_MALFORMED;
}

static void on_granted(const struct transact_outcome *outcome, void *ctx)
{
    struct guest_copy *c = ctx;
    enum reason why = outcome->why;
    if (why == REASON_NONE && !outcome->result->has_certificate)
        why = REASON_MALFORMED;
    if (why == REASON_NONE)
        why = reason_of_error(take_papers(c, outcome->result));
    if (why == REASON_NONE)
        ask_info(c);
    else
        give_up(c, why);
}

static int begin(struct guest_copy *c)
{
    msg_Item item = msg_Item_init_zero;
    item.has_restore = true;
    memcpy(item.restore.content, c->content.bytes, sizeof(item.restore.content));
    return transact_submit(c->issuer, &item, on_granted, c);
}

int guest_copy_start(struct account *issuer, const struct id *content, void (*on_end)(void *ctx), void *ctx)
{
    struct guest_copy *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    *c = (struct guest_copy){ .issuer = account_ref(issuer),
                              .content = *content,
                              .certificate = buf(sizeof(((msg_Result *)NULL)->certificate.bytes)),
                              .delegation = buf(sizeof(((msg_Result *)NULL)->delegation.bytes)),
                              .info = buf(sizeof(((msg_Info *)NULL)->info.bytes)),
                              .on_end = on_end,
                              .ctx = ctx };
    int r = begin(c);
    if (r != 0)
        copy_free(c);
    return r;
}
