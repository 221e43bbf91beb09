/* restore: what the accounts bought comes back to this device: licenses that were lost with another device or with this one's state, then
 * their bodies. Source: design section 6.2. Loop thread.
 *
 * Callbacks, in order: on_found when a track was named; then for each account: on_page; on_license, once an item of the page; on_body, once a download. Then the next page, the
 * next account, and when nothing is under way any more the answer. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/copy.h"
#include "daemon/download.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/shop.h"
#include "daemon/transact.h"
#include "daemon/walk.h"

#define LOG_MODULE "restore"
#include "base/log.h"

#define PAGES_MAX 4096

struct restoring {
    struct walk walk;
    struct call *call;
    msg_Restorable page;
    struct id after;
    uint32_t pages, licenses, bodies; /* licenses, bodies: under way */
    uint32_t restored, refused;
    bool walked;
    bool one; /* the content that was named, of whichever account has it */
    struct id content;
    enum reason why; /* of the last that was refused */
    msg_Refusal refusal;
};

struct one { /* a content on its way back */
    struct restoring *r;
    struct account *account; /* a reference */
    struct id content;
};

static void ask_page(struct restoring *r, struct account *a);

static void one_free(struct one *o)
{
    account_unref(o->account);
    free(o);
}

static void answer(struct restoring *r)
{
    if (!r->walked || r->bodies > 0 || r->licenses > 0)
        return;
    if (r->walk.answered == 0 && r->walk.failure != REASON_NONE)
        call_refuse_as(r->call, &r->walk.refusal);
    else if (r->restored == 0 && r->refused > 0)
        call_refuse_as(r->call, &r->refusal);
    else
        call_finish(r->call);
    free(r);
}

/* ---- bodies -------------------------------------------------------------------------------------------------- */

static void on_progress(uint64_t done_bytes, uint64_t total_bytes, void *ctx)
{
    const struct one *o = ctx;
    call_progress(o->r->call, done_bytes, total_bytes, "downloading; %u licenses are back", o->r->restored);
}

static void tell_row(const struct one *o)
{
    struct track *t = library_find(o->r->walk.daemon, o->content.bytes);
    ctl_TrackRow row;
    if (t == NULL)
        return;
    library_row(o->r->walk.daemon, t, 0, &row);
    CALL_ROW(o->r->call, TRACK_ROW, TrackRow, &row);
}

static void on_body(enum reason why, const char *detail, void *ctx)
{
    struct one *o = ctx;
    struct restoring *r = o->r;
    (void)detail;
    if (why != REASON_NONE)
        log_info("a restored track was not downloaded reason=%s", reason_code(why));
    tell_row(o);
    one_free(o);
    r->bodies--;
    answer(r);
}

/* Takes o. */
static void get_body(struct one *o)
{
    static const struct download_callbacks callbacks = { on_progress, on_body };
    const struct track *t = library_find(o->r->walk.daemon, o->content.bytes);
    if ((t == NULL || !t->has_body) && download_start(o->account, &o->content, &callbacks, o) == 0) {
        o->r->bodies++;
        return;
    }
    tell_row(o);
    one_free(o);
}

/* ---- licenses ------------------------------------------------------------------------------------------------ */

static void page_done(struct restoring *r)
{
    if (r->licenses > 0)
        return;
    if (r->page.more && ++r->pages < PAGES_MAX)
        ask_page(r, r->walk.accounts[r->walk.index]);
    else
        walk_next(&r->walk);
}

static void on_license(const struct transact_outcome *outcome, void *ctx)
{
    struct one *o = ctx;
    struct restoring *r = o->r;
    r->licenses--;
    if (outcome->why == REASON_NONE) {
        r->restored++;
        call_progress(r->call, 0, 0, "%u licenses are back", r->restored);
        copies_overtaken(r->walk.daemon, &o->account->distributor, &o->content);
        get_body(o);
    } else {
        r->refused++;
        r->why = outcome->why;
        r->refusal = *outcome->refusal;
        one_free(o);
    }
    page_done(r);
}

static bool has_license(const struct track *t, const struct account *a)
{
    for (size_t i = 0; t != NULL && i < t->license_count; i++)
        if (id_equal(t->licenses[i].issuer.bytes, a->distributor.bytes) && t->licenses[i].state == LICENSE_VALID)
            return true;
    return false;
}

static void restore_one(struct restoring *r, struct account *a, const msg_RestorableItem *wanted)
{
    const struct track *t = library_find(r->walk.daemon, wanted->content);
    bool have = wanted->held && has_license(t, a);
    msg_Item item = msg_Item_init_zero;
    if (have && t->has_body)
        return;
    struct one *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return;
    *o = (struct one){ .r = r, .account = account_ref(a), .content = id_from(wanted->content) };
    if (have) {
        get_body(o);
        return;
    }
    item.has_restore = true;
    memcpy(item.restore.content, wanted->content, sizeof(item.restore.content));
    r->licenses++;
    if (transact_submit(a, &item, on_license, o) == 0)
        return;
    r->licenses--;
    one_free(o);
}

/* Rising, so that a distributor cannot lead us in a circle. */
static bool is_rising(const struct restoring *r)
{
    const uint8_t *last = r->after.bytes;
    for (pb_size_t i = 0; i < r->page.items_count; i++) {
        if (memcmp(r->page.items[i].content, last, ID_BYTES) <= 0)
            return false;
        last = r->page.items[i].content;
    }
    return !r->page.more || r->page.items_count > 0;
}

static void on_page(const struct answer *reply, void *ctx)
{
    struct restoring *r = ctx;
    struct account *a = r->walk.accounts[r->walk.index];
    if (reply->why != REASON_NONE) {
        walk_failed(&r->walk, reply);
        return;
    }
    if (CODEC_DECODE(msg_Restorable, reply->frame->message, &r->page) != 0 || !is_rising(r)) {
        walk_error(&r->walk, REASON_MALFORMED);
        return;
    }
    r->licenses++; /* this loop, so that the page is not done in the middle */
    for (pb_size_t i = 0; i < r->page.items_count; i++) {
        memcpy(r->after.bytes, r->page.items[i].content, ID_BYTES);
        restore_one(r, a, &r->page.items[i]);
    }
    r->licenses--;
    page_done(r);
}

static void ask_page(struct restoring *r, struct account *a)
{
    msg_RestorableGet get;
    memcpy(get.after, r->after.bytes, sizeof(get.after));
    int e = session_call(a, &ASK(msg_Type_RESTORABLE_GET, msg_Type_RESTORABLE, msg_RestorableGet, &get), on_page, r);
    if (e != 0)
        walk_error(&r->walk, e);
}

static void visit(struct walk *w, struct account *a)
{
    struct restoring *r = container_of(w, struct restoring, walk);
    if (r->one) {
        msg_RestorableItem wanted = { .held = false };
        memcpy(wanted.content, r->content.bytes, sizeof(wanted.content));
        r->page = (msg_Restorable)msg_Restorable_init_zero;
        r->licenses++;
        restore_one(r, a, &wanted);
        r->licenses--;
        page_done(r);
        return;
    }
    r->after = (struct id){ 0 };
    r->pages = 0;
    ask_page(r, a);
}

static void walked(struct walk *w)
{
    struct restoring *r = container_of(w, struct restoring, walk);
    r->walked = true;
    answer(r);
}

/* Which content and where: then as all. */
static void on_found(const struct found *found, enum reason why, const char *detail, const msg_Refusal *refusal,
                     void *ctx)
{
    struct restoring *r = ctx;
    if (found == NULL) {
        if (refusal != NULL)
            call_refuse_as(r->call, refusal);
        else
            call_refuse(r->call, why, detail);
        free(r);
        return;
    }
    r->one = true;
    r->content = found->entry.content;
    walk_start(&r->walk, r->walk.daemon, found->account);
}

void restore_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Restore *m = message;
    struct restoring *r = d->accounts != NULL && d->transfers != NULL ? calloc(1, sizeof(*r)) : NULL;
    if (r == NULL) {
        call_refuse(c, d->accounts == NULL ? REASON_NOT_REGISTERED : REASON_INTERNAL, NULL);
        return;
    }
    r->call = c;
    r->walk.visit = visit;
    r->walk.done = walked;
    r->walk.daemon = d;
    if (!m->has_track)
        walk_start(&r->walk, d, NULL);
    else if (lookup_start(d, m->track, on_found, r) != 0) {
        call_refuse(c, REASON_INTERNAL, NULL);
        free(r);
    }
}
