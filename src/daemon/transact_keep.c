/* The answer to a transaction: each result made safe before the row may be finished.
 *
 * Callbacks, in order: on_license_stored (vault) or transact_item_stored (copies), once an item; then transact_kept. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/transact_internal.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "transact"
#include "base/log.h"

/* --- The answer --- */

static int decode_results(struct transact *t, struct slice tail)
{
    struct reader r = reader(tail);
    struct slice one;
    for (struct transact_item *i = t->batch; i != NULL; i = i->next) {
        if (codec_list_next(&r, msg_Result_size, &one) != 0)
            return CODEC_MALFORMED;
        if (i->result == NULL)
            i->result = malloc(sizeof(*i->result));
        if (i->result == NULL)
            return -ENOMEM;
        if (CODEC_DECODE(msg_Result, one, i->result) != 0)
            return CODEC_MALFORMED;
    }
    return reader_done(&r) ? 0 : CODEC_MALFORMED;
}

bool transact_take_answer(struct transact *t, const struct frame *f)
{
    msg_Transacted answer;
    if (CODEC_DECODE(msg_Transacted, f->message, &answer) != 0 || answer.bit != txn_client_bit(&t->client) ||
        memcmp(answer.transaction, t->client.id, TXN_ID_BYTES) != 0 || answer.count != t->batch_count)
        return false;
    return decode_results(t, f->tail) == 0;
}

/* --- Keeping what was granted --- */

static void item_kept(struct transact_item *i, bool safe)
{
    struct transact *t = i->transact;
    if (!safe)
        t->keep_failed = true;
    i->kept = safe;
    if (--t->to_keep == 0 && !t->closing)
        transact_kept(t, !t->keep_failed);
}

/* The vault's own failures may pass; its judgement does not. */
static bool may_pass(enum reason why)
{
    return why == REASON_INTERNAL || why == REASON_TIMED_OUT || why == REASON_CANCELLED || why == REASON_STORAGE_FULL ||
           why == REASON_CLOCK_UNTRUSTED;
}

static void on_license_stored(const struct answer *answer, void *ctx)
{
    struct transact_item *i = ctx;
    struct transact *t = i->transact;
    bool gone = t->closing, safe = true;
    if (!gone && answer->why == REASON_NONE) {
        struct track *track = library_find(t->daemon, i->content.bytes);
        event(t->daemon, "license", "%s granted a license for %s", t->account->name,
              track != NULL && track->has_info ? track->title : "a track");
        if (library_license_stored(t->daemon, CODEC_BYTES(i->result->license)) != 0)
            log_warn("a stored license was not listed; it will be after the next start");
    } else if (!gone && may_pass(answer->why)) {
        safe = false;
    } else if (!gone) {
        log_error("%s: the vault refused a license that was bought reason=%s", t->account->name, answer->refusal->code);
        event(t->daemon, "license-refused", "a license from %s was refused: %s", t->account->name,
              answer->refusal->text);
        i->why = answer->why;
        i->refusal = *answer->refusal;
    }
    if (!gone)
        item_kept(i, safe);
    transact_release(t);
}

void transact_item_stored(struct transact_item *item, int outcome)
{
    struct transact *t = item->transact;
    if (!t->closing)
        item_kept(item, outcome == 0);
    transact_release(t);
}

static void keep_license(struct transact_item *i)
{
    struct transact *t = i->transact;
    vlt_LicenseStore store = { .has_header = i->result->has_header };
    int r = CODEC_SET_BYTES(store.license, CODEC_BYTES(i->result->license));
    if (r == 0 && store.has_header)
        r = CODEC_SET_BYTES(store.header, CODEC_BYTES(i->result->header));
    store.has_delegation = i->result->has_delegation;
    if (r == 0 && store.has_delegation)
        r = CODEC_SET_BYTES(store.delegation, CODEC_BYTES(i->result->delegation));
    t->holds++;
    if (r == 0)
        r = vault_call(t->daemon->vault, &ASK(vlt_Type_LICENSE_STORE, vlt_Type_DONE, vlt_LicenseStore, &store),
                       on_license_stored, i);
    if (r != 0) {
        t->holds--;
        item_kept(i, false);
    }
}

static void keep_item(struct transact_item *i)
{
    struct transact *t = i->transact;
    if (i->result->has_refusal) {
        i->why = reason_of_code(i->result->refusal.code);
        i->refusal = i->result->refusal;
        item_kept(i, true);
    } else if (!i->item.has_copy && i->result->has_license) {
        keep_license(i);
    } else if (i->item.has_restore && i->result->has_certificate && t->account->guest) {
        item_kept(i, true); /* it is kept at the issuer until its receipt: guest_copy.h */
    } else if (i->item.has_refresh && i->result->has_done && i->result->done) {
        item_kept(i, true); /* returned: the vault had put it to sleep before it was said */
    } else if (i->item.has_copy && i->result->has_certificate && t->daemon->on_copied != NULL) {
        t->holds++;
        t->daemon->on_copied(t->account, &i->item.copy, i->result, i);
    } else { /* an answer that grants nothing that was asked for */
        i->why = REASON_MALFORMED;
        reason_refusal(&i->refusal, REASON_MALFORMED, NULL);
        item_kept(i, true);
    }
}

void transact_keep_all(struct transact *t)
{
    t->stage = KEEPING;
    t->keep_failed = false;
    t->to_keep = t->batch_count + 1; /* one for this loop, so that it does not end in the middle */
    t->holds++;
    struct transact_item *next;
    for (struct transact_item *i = t->batch; i != NULL; i = next) {
        next = i->next;
        if (i->kept) /* from an earlier round */
            t->to_keep--;
        else
            keep_item(i);
    }
    if (--t->to_keep == 0 && !t->closing)
        transact_kept(t, !t->keep_failed);
    transact_release(t);
}

/* --- A response that was forgotten --- */

struct old_license {
    struct transact *transact;
    vlt_LicenseStore store;
};

static void on_old_license(const struct answer *answer, void *ctx)
{
    struct old_license *old CLEANUP(freep) = ctx;
    struct transact *t = old->transact;
    if (answer->why != REASON_NONE)
        log_warn("a license of an earlier purchase was not stored reason=%s", answer->refusal->code);
    else if (library_license_stored(t->daemon, CODEC_BYTES(old->store.license)) != 0)
        log_warn("a stored license was not listed; it will be after the next start");
    transact_release(t);
}

static void keep_old(struct transact *t, const msg_Result *result)
{
    struct old_license *old = calloc(1, sizeof(*old));
    if (old == NULL)
        return;
    old->transact = t;
    old->store.has_header = result->has_header;
    int r = CODEC_SET_BYTES(old->store.license, CODEC_BYTES(result->license));
    if (r == 0 && old->store.has_header)
        r = CODEC_SET_BYTES(old->store.header, CODEC_BYTES(result->header));
    old->store.has_delegation = result->has_delegation;
    if (r == 0 && old->store.has_delegation)
        r = CODEC_SET_BYTES(old->store.delegation, CODEC_BYTES(result->delegation));
    t->holds++;
    if (r == 0)
        r = vault_call(t->daemon->vault, &ASK(vlt_Type_LICENSE_STORE, vlt_Type_DONE, vlt_LicenseStore, &old->store),
                       on_old_license, old);
    if (r == 0)
        return;
    t->holds--;
    free(old);
}

uint32_t transact_keep_old(struct transact *t, struct slice tail, uint32_t bit)
{
    struct reader r = reader(tail);
    struct slice one;
    msg_Transacted pending;
    msg_Result *result CLEANUP(freep) = malloc(sizeof(*result));
    if (result == NULL || codec_list_next(&r, msg_Transacted_size, &one) != 0 ||
        CODEC_DECODE(msg_Transacted, one, &pending) != 0)
        return bit;
    while (codec_list_next(&r, msg_Result_size, &one) == 0)
        if (CODEC_DECODE(msg_Result, one, result) == 0 && result->has_license)
            keep_old(t, result); /* a copy nobody remembers: asking again gives the same certificate while it is open */
    return pending.bit & 1;
}
