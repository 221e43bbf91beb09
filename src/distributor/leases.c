/* What holders say of the use of their licenses: leases that are refreshed or given back (R3), and use logs (Fig. 12).
 * On the connection's thread. */
#define LOG_MODULE "lease"
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/devices.h"
#include "distributor/give.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

/* --- Refresh, return ----------------------------------------------------------------------------------------------- */

/* The lease the device speaks of. 0, a reason (worded), -errno. */
static int find_lease(struct operations *o, const struct caller *who, const doc_Use *use, struct license *l,
                      struct reply *out)
{
    if (!id_equal(use->client, &who->client) || !id_equal(use->issuer, &o->keys->self))
        return REASON_MALFORMED;
    int r = licenses_find(o, use->license_id, &who->client, l);
    if (r == OPERATIONS_ABSENT)
        return REASON_NO_LICENSE;
    if (r != 0)
        return r;
    if (!l->has_lease)
        return reply_refuse(out, REASON_NOT_PERMITTED, "It is not leased: there is nothing to return or refresh.");
    if (l->state == LICENSE_GONE)
        return reply_refuse(out, REASON_NO_LICENSE,
                            "Its lease had ended, and another device of the account has it now.");
    if (use->sequence != l->sequence)
        return REASON_OUT_OF_STEP;
    return l->state == LICENSE_LIVE || (l->state == LICENSE_RETURNED && use->returned) ? 0 : REASON_NO_LICENSE;
}

/* The right is free: no device holds it, and any of the account may take it. */
static int take_back(struct operations *o, const struct license *l, msg_Result *result)
{
    result->has_done = result->done = true;
    return licenses_set_state(o, l->license_id, &l->client, l->sequence, LICENSE_RETURNED);
}

int leases_refresh(struct operations *o, const struct caller *who, const msg_Refresh *item, msg_Result *result,
                   struct reply *out)
{
    struct device d;
    struct license l;
    doc_Use use;
    int r = devices_caller(o, who, &d);
    if (r == 0)
        r = use_judge(CODEC_BYTES(item->use), &use);
    if (r == 0)
        r = find_lease(o, who, &use, &l, out);
    if (r != 0)
        return r;
    struct license_used used = licenses_used(&use);
    r = licenses_set_used(o, &l, &used);
    if (r != 0)
        return r;
    if (use.returned)
        return take_back(o, &l, result);
    if (conditions_are_over(&l.conditions, who->now_ms))
        return REASON_LICENSE_EXPIRED;
    return license_give(o, who, &d, &l, result, out);
}

/* --- USE_LOG ------------------------------------------------------------------------------------------------------- */

/* It came in a certificate of which no receipt has arrived yet, or which was given back. */
static int account_of_certificate(struct operations *o, const struct id *client, const doc_UseLogEntry *e,
                                  char account[OPERATIONS_NAME_BYTES])
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_ACCOUNT);
    query_bind_blob(&q, 1, SLICE_ARRAY(e->license_id));
    rows_bind_id(&q, 2, client);
    query_bind_blob(&q, 3, SLICE_ARRAY(e->content));
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_text(&q, 0, account, OPERATIONS_NAME_BYTES);
    return query_check(&q);
}

/* The account behind a license of ours that this device has or had; "" when nothing is known of it any more, since one entry that is never taken
 * would keep back every later one, and so stop the device's plays. 0, OPERATIONS_ABSENT: not even the device is known, -errno. */
static int account_of(struct operations *o, const struct caller *who, const doc_UseLogEntry *e,
                      char account[OPERATIONS_NAME_BYTES])
{
    struct license l;
    struct device d;
    int r = licenses_find(o, e->license_id, &who->client, &l);
    if (r == 0 && id_equal(&l.content, e->content)) {
        memcpy(account, l.account, OPERATIONS_NAME_BYTES);
        return 0;
    }
    if (r == 0 || r == OPERATIONS_ABSENT)
        r = account_of_certificate(o, &who->client, e, account);
    if (r != OPERATIONS_ABSENT)
        return r;
    account[0] = '\0';
    return devices_find(o, &who->client, &d);
}

static int keep_entry(struct operations *o, const struct caller *who, const doc_UseLogEntry *e)
{
    char account[OPERATIONS_NAME_BYTES];
    int r = account_of(o, who, e, account);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NO_LICENSE : r;
    struct query q CLEANUP(query_end) = query(o->store, USE_LOG_ADD);
    rows_bind_id(&q, 1, &who->client);
    query_bind_u64(&q, 2, e->number);
    query_bind_text(&q, 3, account);
    query_bind_blob(&q, 4, SLICE_ARRAY(e->license_id));
    query_bind_blob(&q, 5, SLICE_ARRAY(e->content));
    query_bind_u64(&q, 6, e->began_ms);
    query_bind_u64(&q, 7, e->play_ms);
    query_bind_i64(&q, 8, who->now_ms);
    return rows_run(&q);
}

static int last_number(struct operations *o, const struct id *client, uint64_t *last)
{
    struct query q CLEANUP(query_end) = query(o->store, USE_LOG_LAST);
    rows_bind_id(&q, 1, client);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    *last = query_u64(&q, 0);
    return query_check(&q);
}

static int sign_taken(struct operations *o, const struct id *client, uint64_t through, msg_UseLogTaken *answer)
{
    doc_UseLogTaken taken = { .through = through };
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(answer->taken.bytes));
    struct signer signer;
    memcpy(taken.issuer, o->keys->self.bytes, ID_BYTES);
    memcpy(taken.client, client->bytes, ID_BYTES);
    signer_from_pair(&signer, &o->keys->license);
    int r = document_sign(&envelope, DOCUMENT_USE_LOG_TAKEN, &taken, &signer);
    if (r == 0)
        r = CODEC_SET_BYTES(answer->taken, buf_slice(&envelope));
    return r > 0 ? -EMSGSIZE : r;
}

/* What is known already is not written over. A vault begins with the oldest entry that we have not confirmed: a gap is what we lost ourselves, in
 * an older copy of the database or when an account was erased, and no device can ever fill it. */
int use_log_take(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                 struct reply *out)
{
    msg_UseLog m;
    uint64_t last = 0;
    msg_UseLogTaken answer = msg_UseLogTaken_init_zero;
    doc_UseLog *log CLEANUP(freep) = calloc(1, sizeof(*log));
    if (!log)
        return -ENOMEM;
    int r = REQUEST_DECODE(message, msg_UseLog, &m);
    if (r == 0)
        r = use_log_judge(tail, log);
    if (r == 0 && (!id_equal(log->client, &who->client) || !id_equal(log->issuer, &o->keys->self)))
        r = REASON_WRONG_DESTINATION;
    if (r == 0)
        r = last_number(o, &who->client, &last);
    if (r == 0 && log->entries[0].number > last + 1)
        log_warn("entries of a use log are gone here: from=%" PRIu64 " to=%" PRIu64, last + 1,
                 log->entries[0].number - 1);
    for (pb_size_t i = 0; r == 0 && i < log->entries_count; i++) {
        const doc_UseLogEntry *e = &log->entries[i];
        if (e->number > INT64_MAX || e->began_ms > INT64_MAX || e->play_ms > INT64_MAX)
            r = REASON_MALFORMED;
        else if (e->number > last)
            r = keep_entry(o, who, e);
    }
    if (r != 0)
        return r;
    uint64_t through = log->entries[log->entries_count - 1].number;
    r = sign_taken(o, &who->client, through > last ? through : last, &answer);
    return r == 0 ? REPLY(out, USE_LOG_TAKEN, msg_UseLogTaken, &answer) : r;
}
