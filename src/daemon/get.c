/* get: the license, the body, or both, in whichever order they are asked for. Source: seed S21-S25, S61-S66.
 *
 * Steps, in order, each skipped when it is not wanted or done already: on_found (which content), on_info (what it is), on_bought
 * (license), on_verified (a body that is here), on_downloaded (body), on_header (a header before the purchase), then the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/damage.h"
#include "daemon/download.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/shop.h"
#include "daemon/state.h"
#include "daemon/transact.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "get"
#include "base/log.h"

struct getting {
    struct daemon *daemon;
    struct call *call;
    struct account *account; /* a reference */
    struct id content;
    bool license, download;
    msg_Item item;
};

static void end(struct getting *g, enum reason why, const char *detail, const msg_Refusal *refusal)
{
    if (refusal != NULL)
        call_refuse_as(g->call, refusal);
    else if (why != REASON_NONE)
        call_refuse(g->call, why, detail);
    else
        call_finish(g->call);
    account_unref(g->account);
    free(g);
}

static void answer_track(struct getting *g)
{
    struct track *t = library_find(g->daemon, g->content.bytes);
    ctl_TrackRow row;
    if (t == NULL) {
        end(g, REASON_INTERNAL, NULL, NULL);
        return;
    }
    library_row(g->daemon, t, 0, &row);
    CALL_ROW(g->call, TRACK_ROW, TrackRow, &row);
    end(g, REASON_NONE, NULL, NULL);
}

/* --- 5: the header, when the body came before the license (S35, S36) --- */

static void on_header_stored(const struct answer *answer, void *ctx)
{
    if (answer->why != REASON_NONE)
        log_info("a header was not stored reason=%s", answer->refusal->code);
    answer_track(ctx);
}

static void on_header(const struct answer *answer, void *ctx)
{
    struct getting *g = ctx;
    msg_Header header;
    vlt_HeaderStore store;
    bool good = answer->why == REASON_NONE && CODEC_DECODE(msg_Header, answer->frame->message, &header) == 0 &&
                CODEC_SET_BYTES(store.header, CODEC_BYTES(header.header)) == 0;
    if (!good || vault_call(g->daemon->vault, &ASK(vlt_Type_HEADER_STORE, vlt_Type_DONE, vlt_HeaderStore, &store),
                            on_header_stored, g) != 0)
        answer_track(g); /* it comes again with the license */
}

static void get_header(struct getting *g)
{
    struct track *t = library_find(g->daemon, g->content.bytes);
    msg_HeaderGet get;
    memcpy(get.content, g->content.bytes, ID_BYTES);
    if ((t != NULL && t->license_count > 0) ||
        session_call(g->account, &ASK(msg_Type_HEADER_GET, msg_Type_HEADER, msg_HeaderGet, &get), on_header, g) != 0)
        answer_track(g);
}

/* --- 4: the body (S24, S25) --- */

static void on_progress(uint64_t done_bytes, uint64_t total_bytes, void *ctx)
{
    struct getting *g = ctx;
    call_progress(g->call, done_bytes, total_bytes, "downloading");
}

static void on_downloaded(enum reason why, const char *detail, void *ctx)
{
    struct getting *g = ctx;
    if (why != REASON_NONE)
        end(g, why, detail, NULL);
    else
        get_header(g);
}

/* By the license it would be played with; without one, whoever sells one judges. */
static bool is_in_download_period(struct daemon *d, const struct track *t)
{
    const struct track_license *l = track_license(t);
    uint64_t now_ms = l == NULL ? 0 : (uint64_t)device_time_for(d, &l->issuer);
    const doc_Conditions *c = l == NULL ? NULL : l->conditions;
    return c == NULL || !((c->has_download_from_ms && now_ms < c->download_from_ms) ||
                          (c->has_download_until_ms && now_ms > c->download_until_ms));
}

static void download_body(struct getting *g)
{
    static const struct download_callbacks callbacks = { on_progress, on_downloaded };
    call_progress(g->call, 0, 0, "downloading");
    int r = download_start(g->account, &g->content, &callbacks, g);
    if (r != 0)
        end(g, reason_of_error(r), NULL, NULL);
}

/* What is damaged is transferred again, and no more; a download period was kept when it came. */
static void on_verified(enum reason why, void *ctx)
{
    struct getting *g = ctx;
    if (why == REASON_NONE)
        answer_track(g);
    else if (why == REASON_BLOCK_CORRUPT || why == REASON_NOT_FOUND)
        download_body(g);
    else
        end(g, why, NULL, NULL);
}

static void get_body(struct getting *g)
{
    struct track *t = library_find(g->daemon, g->content.bytes);
    if (!g->download) {
        answer_track(g);
    } else if (t != NULL && t->has_body) {
        call_progress(g->call, 0, 0, "verifying");
        if (damage_look(g->daemon, &g->content, on_verified, g) != 0)
            end(g, REASON_INTERNAL, NULL, NULL);
    } else if (t != NULL && !is_in_download_period(g->daemon, t)) {
        end(g, REASON_OUTSIDE_DOWNLOAD_PERIOD, NULL, NULL); /* its vault would not play it */
    } else {
        download_body(g);
    }
}

/* --- 3: the license (S63-S66) --- */

static void on_bought(const struct transact_outcome *outcome, void *ctx)
{
    struct getting *g = ctx;
    if (outcome->why != REASON_NONE) {
        end(g, outcome->why, NULL, outcome->refusal);
        return;
    }
    wishes_look(g->daemon);
    get_body(g);
}

/* What cannot be kept here is not paid for. */
static bool fits(const struct getting *g, char *detail, size_t cap)
{
    const struct track *t = library_find(g->daemon, g->content.bytes);
    if (!g->download || t == NULL || !t->has_info || t->has_body)
        return true;
    if (download_fits(g->daemon, &g->content, t->plain_bytes, detail, cap))
        return true;
    size_t len = strlen(detail);
    (void)snprintf(detail + len, cap - len, " Nothing was bought.");
    return false;
}

static void get_license(struct getting *g)
{
    if (!g->license) {
        get_body(g);
        return;
    }
    char detail[256];
    call_progress(g->call, 0, 0, "buying");
    int r = transact_join(g->account, &g->content, on_bought, g); /* given twice, it is bought once */
    if (r == TRANSACT_NONE && !fits(g, detail, sizeof(detail))) {
        end(g, REASON_STORAGE_FULL, detail, NULL);
        return;
    }
    if (r == TRANSACT_NONE)
        r = transact_submit(g->account, &g->item, on_bought, g);
    else if (r == TRANSACT_BUSY)
        r = REASON_IN_USE;
    if (r != 0)
        end(g, reason_of_error(r), NULL, NULL);
}

/* --- 2: content information --- */

static void on_info(const struct answer *answer, void *ctx)
{
    struct getting *g = ctx;
    msg_Info info;
    /* Without it the license is as good; the title is learned with the body. */
    if (answer->why == REASON_NONE &&
        (CODEC_DECODE(msg_Info, answer->frame->message, &info) != 0 ||
         library_info_known(g->daemon, &g->content, CODEC_BYTES(info.info), info.list_root) != 0))
        log_warn("%s: content information does not fit its content", g->account->name);
    get_license(g);
}

static void get_info(struct getting *g)
{
    struct track *t = library_find(g->daemon, g->content.bytes);
    msg_InfoGet get;
    if (t != NULL && t->has_info) {
        get_license(g);
        return;
    }
    memcpy(get.content, g->content.bytes, ID_BYTES);
    if (session_call(g->account, &ASK(msg_Type_INFO_GET, msg_Type_INFO, msg_InfoGet, &get), on_info, g) != 0)
        get_license(g);
}

/* --- 1: which content --- */

static void on_found(const struct found *found, enum reason why, const char *detail, const msg_Refusal *refusal,
                     void *ctx)
{
    struct getting *g = ctx;
    if (found == NULL) {
        end(g, why, detail, refusal);
        return;
    }
    g->account = account_ref(found->account);
    g->content = found->entry.content;
    get_info(g);
}

static int start_purchase(struct getting *g, const ctl_Get *m)
{
    const struct quote_kept *quote = m->has_quote_hash ? quote_find(g->daemon, m->quote_hash) : NULL;
    struct account *a = quote == NULL ? NULL : account_find_issuer(g->daemon, quote->distributor.bytes);
    if (a == NULL)
        return REASON_QUOTE_CHANGED;
    g->account = account_ref(a);
    g->content = quote->content;
    g->item.has_purchase = true;
    if (CODEC_SET_BYTES(g->item.purchase.quote, slice(quote->envelope, quote->envelope_len)) != 0)
        return REASON_INTERNAL;
    get_info(g);
    return 0;
}

void get_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Get *m = message;
    struct getting *g = calloc(1, sizeof(*g));
    if (g == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    *g = (struct getting){ .daemon = d, .call = c, .license = m->license, .download = m->download };
    int r = m->license ? start_purchase(g, m) : m->download ? lookup_start(d, m->track, on_found, g) : REASON_MALFORMED;
    if (r != 0)
        end(g, reason_of_error(r), NULL, NULL);
}
