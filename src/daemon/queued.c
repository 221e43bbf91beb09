/* Callbacks of a round, in order: on_page; for each item on_license (when its license is not here), on_body, or of a guest on_guest_copy; then the next
 * page. Of the switch: on_state. */
#include "daemon/queued.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/copy.h"
#include "daemon/download.h"
#include "daemon/events.h"
#include "daemon/guest_copy.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/siblings.h"
#include "daemon/transact.h"

#define LOG_MODULE "queued"
#include "base/log.h"

#define PAGES_MAX 64

struct queued {              /* a round */
    struct account *account; /* a reference */
    msg_Restorable page;
    struct id after;
    uint32_t pages, pending;
    bool again;
};
struct one {
    struct queued *round;
    struct id content;
};

static void ask_page(struct queued *q);

static void round_end(struct queued *q)
{
    struct account *a = q->account;
    bool again = q->again && session_may_transact(a->session);
    a->queued = NULL;
    free(q);
    if (again)
        queued_ready(a);
    account_unref(a);
}

static void page_done(struct queued *q)
{
    if (q->pending > 0)
        return;
    if (q->page.more && ++q->pages < PAGES_MAX)
        ask_page(q);
    else
        round_end(q);
}

static void one_end(struct one *o)
{
    struct queued *q = o->round;
    free(o);
    q->pending--;
    page_done(q);
}

/* ---- one content ---- */

static void on_told(const struct answer *answer, void *ctx)
{
    (void)answer; /* lost: it is listed, and said, again */
    one_end(ctx);
}

static void tell_done(struct one *o)
{
    msg_QueuedDone done;
    memcpy(done.content, o->content.bytes, sizeof(done.content));
    if (session_call_now(o->round->account, &ASK(msg_Type_QUEUED_DONE, msg_Type_OK, msg_QueuedDone, &done), on_told,
                         o) != 0)
        one_end(o);
}

static void on_progress(uint64_t done_bytes, uint64_t total_bytes, void *ctx)
{
    (void)done_bytes;
    (void)total_bytes;
    (void)ctx;
}

static void on_body(enum reason why, const char *detail, void *ctx)
{
    struct one *o = ctx;
    (void)detail;
    if (why == REASON_NONE) {
        tell_done(o);
        return;
    }
    log_info("what was sent on was not downloaded reason=%s", reason_code(why));
    one_end(o);
}

static void get_body(struct one *o)
{
    static const struct download_callbacks callbacks = { on_progress, on_body };
    const struct track *t = library_find(o->round->account->daemon, o->content.bytes);
    if (t != NULL && t->has_body)
        tell_done(o);
    else if (download_start(o->round->account, &o->content, &callbacks, o) != 0)
        one_end(o);
}

void queued_tell(struct account *a, const struct id *content)
{
    const struct track *t = library_find(a->daemon, content->bytes);
    if (t != NULL && t->has_info)
        event(a->daemon, "auto-copied", "%s, bought on another device, was sent on by %s", t->title, a->name);
    else
        event(a->daemon, "auto-copied", "%s has sent on what another device bought", a->name);
}

static void on_license(const struct transact_outcome *outcome, void *ctx)
{
    struct one *o = ctx;
    struct account *a = o->round->account;
    if (outcome->why !=
        REASON_NONE) { /* no credit, beyond the limit, given otherwise: it stays listed until that is over */
        log_info("what waits at the distributor was not given reason=%s", reason_code(outcome->why));
        one_end(o);
        return;
    }
    queued_tell(a, &o->content);
    copies_overtaken(a->daemon, &a->distributor, &o->content);
    get_body(o);
}

static void on_guest_copy(void *ctx) { one_end(ctx); }

static void take_one(struct queued *q, const msg_RestorableItem *item)
{
    struct one *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return;
    *o = (struct one){ .round = q, .content = id_from(item->content) };
    q->pending++;
    if (q->account->guest) {
        if (guest_copy_start(q->account, &o->content, on_guest_copy, o) != 0)
            one_end(o);
        return;
    }
    if (item->held) {
        get_body(o);
        return;
    }
    msg_Item wanted = msg_Item_init_zero;
    wanted.has_restore = true;
    memcpy(wanted.restore.content, item->content, sizeof(wanted.restore.content));
    if (transact_submit(q->account, &wanted, on_license, o) != 0)
        one_end(o);
}

/* ---- a round ---- */

static void on_page(const struct answer *reply, void *ctx)
{
    struct queued *q = ctx;
    if (reply->why != REASON_NONE || CODEC_DECODE(msg_Restorable, reply->frame->message, &q->page) != 0) {
        round_end(q);
        return;
    }
    q->pending++; /* this loop */
    for (pb_size_t i = 0; i < q->page.items_count; i++) {
        const msg_RestorableItem *item = &q->page.items[i];
        if (memcmp(item->content, q->after.bytes, ID_BYTES) <= 0) { /* rising: nobody leads us in a circle */
            q->page.more = false;
            break;
        }
        memcpy(q->after.bytes, item->content, ID_BYTES);
        take_one(q, item);
    }
    q->pending--;
    page_done(q);
}

static void ask_page(struct queued *q)
{
    msg_RestorableGet get;
    memcpy(get.after, q->after.bytes, sizeof(get.after));
    if (session_call_now(q->account, &ASK(msg_Type_QUEUED_GET, msg_Type_QUEUED, msg_RestorableGet, &get), on_page, q) !=
        0)
        round_end(q);
}

void queued_ready(struct account *a)
{
    if (a->queued != NULL) {
        a->queued->again = true;
        return;
    }
    struct queued *q = a->daemon->stopping || !session_may_transact(a->session) ? NULL : calloc(1, sizeof(*q));
    if (q == NULL)
        return;
    q->account = account_ref(a);
    a->queued = q;
    ask_page(q);
}

/* ---- the switch ---- */

struct switching {
    struct call *call;
    struct account *account; /* a reference */
};

static void name_device(struct daemon *d, const struct id *client, ctl_AutoCopyDevice *out)
{
    const struct sibling *s = siblings_find(d, client->bytes);
    char text[ID_SHORT_BYTES];
    id_short(client->bytes, text);
    *out = (ctl_AutoCopyDevice)ctl_AutoCopyDevice_init_zero;
    CODEC_SET_TEXT(out->name, s != NULL                                ? s->name
                              : id_equal(client->bytes, d->self.bytes) ? siblings_own_name(d)
                                                                       : text);
    CODEC_SET_TEXT(out->distributor_name, s != NULL ? s->distributor_name : "");
}

static void on_state(const struct answer *answer, void *ctx)
{
    struct switching *s = ctx;
    msg_AutoCopyState state;
    ctl_AutoCopyRow row = ctl_AutoCopyRow_init_zero;
    if (answer->why != REASON_NONE) {
        call_refuse_as(s->call, answer->refusal);
    } else if (CODEC_DECODE(msg_AutoCopyState, answer->frame->message, &state) != 0) {
        call_refuse(s->call, REASON_MALFORMED, NULL);
    } else {
        CODEC_SET_TEXT(row.distributor_name, s->account->name);
        row.on = state.on;
        for (pb_size_t i = 0; i < state.devices_count; i++) {
            struct id client = id_from(state.devices[i].client);
            name_device(s->account->daemon, &client, &row.devices[row.devices_count++]);
        }
        CALL_ROW(s->call, AUTO_COPY_ROW, AutoCopyRow, &row);
        call_finish(s->call);
    }
    account_unref(s->account);
    free(s);
}

void auto_copy_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_AutoCopy *m = message;
    msg_AutoCopy wanted = { .has_on = m->has_on, .on = m->on };
    struct account *a;
    struct sibling *to;
    char detail[160] = "";
    if (m->has_to) {
        int named = siblings_resolve_other(d, m->to, &to, detail, sizeof(detail));
        if (named != 0) {
            call_refuse(c, reason_of_error(named), detail[0] != '\0' ? detail : NULL);
            return;
        }
        wanted.has_client = true;
        memcpy(wanted.client, to->client.bytes, sizeof(wanted.client));
    }
    int r = account_resolve(d, m->distributor, &a);
    struct switching *s = r == 0 ? calloc(1, sizeof(*s)) : NULL;
    if (s == NULL) {
        call_refuse(c, r == 0 ? REASON_INTERNAL : reason_of_error(r),
                    r == REASON_AMBIGUOUS ? "This device has several distributors: name one of them." : NULL);
        return;
    }
    *s = (struct switching){ c, account_ref(a) };
    r = session_call(a, &ASK(msg_Type_AUTO_COPY, msg_Type_AUTO_COPY_STATE, msg_AutoCopy, &wanted), on_state, s);
    if (r == 0)
        return;
    call_refuse(c, reason_of_error(r), NULL);
    account_unref(a);
    free(s);
}
