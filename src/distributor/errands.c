/* Errand: find the partner (reader thread) -> wait for the line -> ask, store (writer thread), ask, store -> done.
 * Whatever it is doing, it can be ended; it is freed once its database job has returned. */
#define LOG_MODULE "partners"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/keyset.h"
#include "distributor/outgoing.h"
#include "distributor/partners_internal.h"

/* --- The end ----------------------------------------------------------------------------------------------------------- */

static void errand_free(struct errand *e)
{
    struct partners *p = e->partners;
    struct errand **at = &p->errands;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    buf_free(&e->entries);
    free(e->touched);
    free(e);
    partners_stopped_when_idle(p);
}

void errand_end(struct errand *e, int outcome, const char *user, const char *detail)
{
    if (e->state == ERRAND_OVER)
        return;
    e->state = ERRAND_OVER;
    if (e->request != 0 && e->line != NULL && e->line->ready)
        peer_forget(outgoing_peer(e->line->outgoing), e->request);
    e->request = 0;
    struct waiter *waiters = steal(&e->waiters);
    partners_linked_fn on_linked = e->on_linked;
    void *ctx = e->ctx;
    char kept_user[OPERATIONS_NAME_BYTES] = "", kept_detail[sizeof(((msg_Refusal *)0)->text)] = "";
    if (user != NULL)
        snprintf(kept_user, sizeof(kept_user), "%s", user);
    if (detail != NULL)
        snprintf(kept_detail, sizeof(kept_detail), "%s", detail);
    if (!e->job_runs)
        errand_free(e);
    while (waiters != NULL) {
        struct waiter *w = waiters;
        waiters = w->next;
        w->on_done(w->ctx, outcome);
        free(w);
    }
    if (on_linked != NULL)
        on_linked(ctx, outcome, kept_user, kept_detail[0] != '\0' ? kept_detail : NULL);
}

/* --- Jobs ----------------------------------------------------------------------------------------------------------- */

static void on_job_done(struct writer_job *job, int outcome);

void errand_submit(struct errand *e, enum errand_state state, struct writer *w, int (*run)(struct writer_job *, void *))
{
    e->state = state;
    e->job_runs = true;
    e->job = (struct writer_job){ .run = run, .on_done = on_job_done };
    writer_submit(w, &e->job);
}

static int run_find(struct writer_job *job, void *database)
{
    struct errand *e = container_of(job, struct errand, job);
    int r = delegations_partner_find(database, &e->partner, &e->facts);
    if (r == OPERATIONS_ABSENT || (r == 0 && e->facts.withdrawn))
        return REASON_UNKNOWN_DISTRIBUTOR;
    return r == 0 && e->is_rows ? errand_rows_find(e, database) : r;
}

static int run_keep_delegation(struct writer_job *job, void *database)
{
    struct errand *e = container_of(job, struct errand, job);
    return delegations_store(database, &e->partner, CODEC_BYTES(e->delegation.delegation),
                             clock_wall_ms(e->partners->server->clock));
}

static int run_count(struct writer_job *job, void *database)
{
    struct errand *e = container_of(job, struct errand, job);
    int r = delegations_block_units(database, &e->partner, CODEC_BYTES(e->grant.block), &e->entry_count);
    if (r != 0)
        return r;
    doc_Ekb block;
    uint8_t signer[SIGN_PUBLIC_BYTES];
    r = document_open(DOCUMENT_EKB, CODEC_BYTES(e->grant.block), &block, sizeof(block), signer);
    if (r == 0)
        e->version = block.version;
    return r;
}

static int run_store_grant(struct writer_job *job, void *database)
{
    struct errand *e = container_of(job, struct errand, job);
    int r = delegations_grant_store(database, &e->partner, CODEC_BYTES(e->grant.grant), CODEC_BYTES(e->grant.block),
                                    buf_slice(&e->entries), clock_wall_ms(e->partners->server->clock));
    return r == DELEGATIONS_SEALED_ELSEWHERE ? REASON_SIGNATURE_INVALID : r; /* it was shown our keyset */
}

/* --- Asking --------------------------------------------------------------------------------------------------------- */

/* A reply of the expected type, decoded into out; otherwise the errand ends. */
bool errand_reply_is(struct errand *e, const struct frame *reply, enum reason why, uint16_t type,
                     const pb_msgdesc_t *fields, size_t max_bytes, void *out, size_t out_size)
{
    e->request = 0;
    if (reply == NULL) {
        errand_end(e, why == REASON_TIMED_OUT ? -ETIMEDOUT : -ENOTCONN, NULL, NULL);
        return false;
    }
    msg_Refusal refusal = msg_Refusal_init_zero;
    enum reason refused = peer_refusal(reply, type, &refusal);
    if (refused == REASON_NONE && codec_decode(fields, max_bytes, reply->message, out, out_size) != 0)
        refused = REASON_MALFORMED;
    if (refused != REASON_NONE) {
        errand_end(e, (int)refused, NULL, refusal.text);
        return false;
    }
    return true;
}
#define REPLY_IS(e, reply, why, type, T, out) errand_reply_is(e, reply, why, type, T##_fields, T##_size, out, sizeof(T))

void errand_ask(struct errand *e, enum errand_state state, uint16_t type, const pb_msgdesc_t *fields,
                const void *message, peer_reply_fn on_reply)
{
    int64_t left_ms = e->deadline_ms - partners_now_ms(e->partners);
    e->state = state;
    int r = left_ms <= 0 ? -ETIMEDOUT
                         : peer_request(outgoing_peer(e->line->outgoing), type, fields, message, slice(NULL, 0),
                                        (uint64_t)left_ms, on_reply, e, &e->request);
    if (r != 0)
        errand_end(e, r, NULL, NULL);
}

static bool on_delegation(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct errand *e = ctx;
    (void)p;
    if (REPLY_IS(e, reply, why, msg_Type_DELEGATION, msg_Delegation, &e->delegation))
        errand_submit(e, ERRAND_KEEPING, e->partners->server->writer, run_keep_delegation);
    return false;
}

static bool on_grant(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct errand *e = ctx;
    (void)p;
    msg_Grant grant;
    if (!REPLY_IS(e, reply, why, msg_Type_GRANT, msg_Grant, &grant))
        return false;
    bool is_first = e->entries.len == 0;
    if (!is_first && !slice_equal(CODEC_BYTES(grant.block), CODEC_BYTES(e->grant.block))) {
        errand_end(e, -EAGAIN, NULL, NULL); /* a newer block came in between: the next errand gets it whole */
        return false;
    }
    if (grant.first * (uint64_t)EKB_ENTRY_BYTES != e->entries.len || reply->tail.len == 0 ||
        reply->tail.len % EKB_ENTRY_BYTES != 0 || buf_append(&e->entries, reply->tail) != 0) {
        errand_end(e, REASON_MALFORMED, NULL, NULL);
        return false;
    }
    e->grant = grant;
    errand_submit(e, ERRAND_COUNTING, e->partners->server->reader, run_count);
    return false;
}

static void ask_grant(struct errand *e)
{
    msg_GrantGet get = { .category = OPERATIONS_CATEGORY,
                         .version = e->entries.len == 0 ? 0 : e->version,
                         .first = (uint32_t)(e->entries.len / EKB_ENTRY_BYTES) };
    errand_ask(e, ERRAND_GRANT, msg_Type_GRANT_GET, msg_GrantGet_fields, &get, on_grant);
}

static bool on_linked(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct errand *e = ctx;
    (void)p;
    msg_PartnerLinked linked;
    if (REPLY_IS(e, reply, why, msg_Type_PARTNER_LINKED, msg_PartnerLinked, &linked))
        errand_end(e, 0, linked.user, NULL);
    return false;
}

static bool on_unlinked(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct errand *e = ctx;
    (void)p;
    msg_Ok ok;
    if (REPLY_IS(e, reply, why, msg_Type_OK, msg_Ok, &ok))
        errand_end(e, 0, NULL, NULL);
    return false;
}

void errand_go_on(struct errand *e)
{
    if (e->is_link) {
        errand_ask(e, ERRAND_LINKING, msg_Type_PARTNER_LINK, msg_PartnerLink_fields, &e->link, on_linked);
    } else if (e->is_unlink) {
        errand_ask(e, ERRAND_LINKING, msg_Type_PARTNER_UNLINK, msg_PartnerUnlink_fields, &e->unlink, on_unlinked);
    } else if (e->is_rows) {
        errand_rows_ask(e);
    } else {
        msg_DelegationGet get = msg_DelegationGet_init_zero;
        memcpy(get.copy_key, e->facts.copy_key, sizeof(get.copy_key));
        errand_ask(e, ERRAND_DELEGATION, msg_Type_DELEGATION_GET, msg_DelegationGet_fields, &get, on_delegation);
    }
}

static void on_job_done(struct writer_job *job, int outcome)
{
    struct errand *e = container_of(job, struct errand, job);
    e->job_runs = false;
    if (e->state == ERRAND_OVER) {
        errand_free(e);
        return;
    }
    if (outcome != 0) {
        errand_end(e, outcome, NULL, NULL);
        return;
    }
    if (e->state == ERRAND_FINDING) {
        line_take(e, e->facts.address[0] != '\0' ? e->facts.address : e->address);
        return;
    }
    if (e->state == ERRAND_TAKING) {
        errand_rows_taken(e);
        return;
    }
    if (e->state == ERRAND_STORING) {
        errand_end(e, 0, NULL, NULL);
        return;
    }
    if (e->line == NULL || !e->line->ready) { /* the line went while we were storing */
        errand_end(e, -ENOTCONN, NULL, NULL);
        return;
    }
    size_t wanted = (size_t)e->entry_count * EKB_ENTRY_BYTES;
    if (e->state == ERRAND_COUNTING && e->entries.len > wanted)
        errand_end(e, REASON_MALFORMED, NULL, NULL);
    else if (e->state == ERRAND_COUNTING && e->entries.len == wanted)
        errand_submit(e, ERRAND_STORING, e->partners->server->writer, run_store_grant);
    else
        ask_grant(e);
}

void errand_start(struct errand *e) { errand_submit(e, ERRAND_FINDING, e->partners->server->reader, run_find); }
