/* Use logs: from the vault to their issuers, and for their owner.
 *
 * Callbacks of bringing one, in order: on_log (vault), on_issuer, on_taken (issuer), on_noted (vault); then the next page. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/guests.h"
#include "daemon/leases.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/shop.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "use-log"
#include "base/log.h"

#define PAGES_MAX \
    32 /* of one bringing: far more than a vault lets pile up, and an issuer that takes nothing is not asked without end */

struct bringing {
    struct daemon *daemon;
    unsigned pages;
    struct id issuer;
    struct buf envelope;
};

static void ask_log(struct bringing *b);

static void end(struct bringing *b)
{
    buf_free(&b->envelope);
    free(b);
}

static void on_noted(const struct answer *answer, void *ctx)
{
    struct bringing *b = ctx;
    if (answer->why == REASON_NONE && ++b->pages < PAGES_MAX) {
        ask_log(b); /* until nothing is left */
        return;
    }
    if (answer->why == REASON_NONE)
        log_warn("an issuer goes on without taking the use log");
    else
        log_warn("the vault did not take an issuer's word for the use log reason=%s", answer->refusal->code);
    end(b);
}

static void on_taken(const struct answer *answer, void *ctx)
{
    struct bringing *b = ctx;
    msg_UseLogTaken taken;
    vlt_UseLogTaken note;
    if (answer->why != REASON_NONE)
        log_info("a use log stays here for now reason=%s", answer->refusal->code);
    else if (CODEC_DECODE(msg_UseLogTaken, answer->frame->message, &taken) == 0 &&
             CODEC_SET_BYTES(note.taken, CODEC_BYTES(taken.taken)) == 0 &&
             vault_call(b->daemon->vault, &ASK(vlt_Type_USE_LOG_TAKEN, vlt_Type_DONE, vlt_UseLogTaken, &note), on_noted,
                        b) == 0)
        return;
    end(b);
}

static void on_issuer(struct account *a, enum reason why, const msg_Refusal *refusal, void *ctx)
{
    struct bringing *b = ctx;
    static const msg_UseLog message;
    struct ask ask = ASK(msg_Type_USE_LOG, msg_Type_USE_LOG_TAKEN, msg_UseLog, &message);
    ask.tail = buf_slice(&b->envelope);
    (void)refusal;
    if (a != NULL && session_call(a, &ask, on_taken, b) == 0)
        return;
    log_info("a use log stays here for now reason=%s", reason_code(why));
    end(b);
}

static void on_log(const struct answer *answer, void *ctx)
{
    struct bringing *b = ctx;
    vlt_UseLog log;
    buf_clear(&b->envelope);
    if (answer->why != REASON_NONE || CODEC_DECODE(vlt_UseLog, answer->frame->message, &log) != 0 || log.count == 0 ||
        buf_append(&b->envelope, answer->frame->tail) != 0 || issuer_find(b->daemon, &b->issuer, on_issuer, b) != 0)
        end(b);
}

static void ask_log(struct bringing *b)
{
    vlt_UseLogGet get;
    memcpy(get.issuer, b->issuer.bytes, sizeof(get.issuer));
    if (vault_call(b->daemon->vault, &ASK(vlt_Type_USE_LOG_GET, vlt_Type_USE_LOG, vlt_UseLogGet, &get), on_log, b) != 0)
        end(b);
}

void use_log_bring(struct daemon *d, const struct id *issuer)
{
    struct bringing *b = d->stopping ? NULL : calloc(1, sizeof(*b));
    if (b == NULL)
        return;
    *b = (struct bringing){ .daemon = d, .issuer = *issuer, .envelope = buf(8192) };
    ask_log(b);
}

/* --- USE_LOG_GET ---------------------------------------------------------------------------------------------------- */

struct listing {
    struct daemon *daemon;
    struct call *call;
    uint32_t left;
};

static void ask_page(struct listing *l, uint64_t before);

static void tell(struct listing *l, const vlt_UseListRow *row)
{
    const struct track *t = library_find(l->daemon, row->entry.content);
    struct id issuer = id_from(row->issuer);
    char short_id[ID_SHORT_BYTES];
    ctl_UseLogRow out = {
        .entry = row->entry, .taken = row->taken, .has_taken_ms = row->has_taken_ms, .taken_ms = row->taken_ms
    };
    memcpy(out.issuer, row->issuer, sizeof(out.issuer));
    CODEC_SET_TEXT(out.title, t != NULL && t->has_info ? t->title : "(no longer here)");
    CODEC_SET_TEXT(out.issuer_name, library_issuer_name(l->daemon, &issuer, short_id));
    CALL_ROW(l->call, USE_LOG_ROW, UseLogRow, &out);
    l->left--;
}

static void on_page(const struct answer *answer, void *ctx)
{
    struct listing *l = ctx;
    vlt_UseList *page CLEANUP(freep) = malloc(sizeof(*page));
    if (page == NULL || answer->why != REASON_NONE || CODEC_DECODE(vlt_UseList, answer->frame->message, page) != 0) {
        call_refuse(l->call, REASON_INTERNAL, NULL);
        free(l);
        return;
    }
    for (pb_size_t i = 0; i < page->rows_count && l->left > 0; i++)
        tell(l, &page->rows[i]);
    if (page->rows_count > 0 && l->left > 0) {
        ask_page(l, page->rows[page->rows_count - 1].row);
        return;
    }
    call_finish(l->call);
    free(l);
}

static void ask_page(struct listing *l, uint64_t before)
{
    vlt_UseListGet get = { .before = before };
    if (vault_call(l->daemon->vault, &ASK(vlt_Type_USE_LIST_GET, vlt_Type_USE_LIST, vlt_UseListGet, &get), on_page,
                   l) == 0)
        return;
    call_refuse(l->call, REASON_INTERNAL, NULL);
    free(l);
}

void use_log_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_UseLogGet *m = message;
    struct listing *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    *l = (struct listing){ .daemon = d, .call = c, .left = m->limit == 0 ? 1000 : m->limit };
    ask_page(l, 0);
}
