/* accounts and bills: what the distributors say about the household's accounts. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/household.h"
#include "daemon/session.h"
#include "daemon/walk.h"

/* --- accounts --- */

struct view {
    struct walk walk;
    struct call *call;
    struct id linked[64]; /* distributors shown as linked */
    unsigned linked_count;
    uint64_t first, before; /* bills: where to begin, where the page begins */
    uint32_t limit, rows;   /* of each distributor */
    msg_Account account;    /* room for answers */
    msg_Bills page;
};

static void own_row(struct account *a, ctl_DistributorRow *row)
{
    *row = (ctl_DistributorRow)ctl_DistributorRow_init_zero;
    memcpy(row->distributor, a->distributor.bytes, ID_BYTES);
    CODEC_SET_TEXT(row->name, a->name);
    CODEC_SET_TEXT(row->user, a->user);
    row->online = a->session != NULL && session_knows_us(a->session);
    row->has_forgotten = row->forgotten = a->session != NULL && session_is_forgotten(a->session);
    row->has_address = true;
    CODEC_SET_TEXT(row->address, a->address);
}

static void said_of_account(const msg_Account *account, ctl_DistributorRow *row)
{
    row->has_balance = row->has_credit_limit = row->has_currency = true;
    row->balance = account->balance;
    row->credit_limit = account->credit_limit;
    CODEC_SET_TEXT(row->currency, account->currency);
    row->has_full_name = account->has_full_name;
    row->has_email = account->has_email;
    row->has_payment_reference = account->has_payment_reference;
    CODEC_SET_TEXT(row->full_name, account->full_name);
    CODEC_SET_TEXT(row->email, account->email);
    CODEC_SET_TEXT(row->payment_reference, account->payment_reference);
    row->has_devices = account->has_devices;
    row->has_devices_max = account->has_devices_max;
    row->devices = account->devices;
    row->devices_max = account->devices_max;
}

/* A linked distributor is a row of its own, once, unless this device is registered there as well. */
static void linked_row(struct view *v, const msg_AccountLink *link)
{
    ctl_DistributorRow row = { .linked = true };
    if (account_find(v->walk.daemon, link->distributor) != NULL || v->linked_count == ARRAY_COUNT(v->linked))
        return;
    for (unsigned i = 0; i < v->linked_count; i++)
        if (id_equal(v->linked[i].bytes, link->distributor))
            return;
    v->linked[v->linked_count++] = id_from(link->distributor);
    memcpy(row.distributor, link->distributor, ID_BYTES);
    CODEC_SET_TEXT(row.name, link->distributor_name);
    CODEC_SET_TEXT(row.user, link->user);
    CALL_ROW(v->call, DISTRIBUTOR_ROW, DistributorRow, &row);
}

static void on_account(const struct answer *answer, void *ctx)
{
    struct view *v = ctx;
    struct account *a = v->walk.accounts[v->walk.index];
    ctl_DistributorRow row;
    if ((answer->why == REASON_DEVICE_REVOKED || answer->why == REASON_NOT_REGISTERED) && a->session != NULL)
        session_forgotten(a->session);
    own_row(a, &row);
    bool good = answer->why == REASON_NONE && CODEC_DECODE(msg_Account, answer->frame->message, &v->account) == 0;
    if (good)
        said_of_account(&v->account, &row);
    CALL_ROW(v->call, DISTRIBUTOR_ROW, DistributorRow, &row);
    for (pb_size_t i = 0; good && i < v->account.links_count; i++)
        linked_row(v, &v->account.links[i]);
    walk_next(&v->walk); /* one that is away is a row, too: not online */
}

static void visit_account(struct walk *w, struct account *a)
{
    msg_AccountGet get = msg_AccountGet_init_zero;
    int r = session_call(a, &ASK(msg_Type_ACCOUNT_GET, msg_Type_ACCOUNT, msg_AccountGet, &get), on_account, w);
    if (r != 0)
        walk_error(w, r);
}

static void accounts_done(struct walk *w)
{
    struct view *v = container_of(w, struct view, walk);
    call_finish(v->call);
    free(v);
}

void accounts_handle(struct daemon *d, struct call *c, const void *message)
{
    struct view *v = calloc(1, sizeof(*v));
    (void)message;
    if (v == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    v->call = c;
    v->walk.visit = visit_account;
    v->walk.done = accounts_done;
    walk_start(&v->walk, d, NULL);
}

/* --- bills --- */

#define BILL_ROWS_MAX 2048 /* who wants older ones asks again */

static void visit_bills(struct walk *w, struct account *a);

static void on_bills(const struct answer *answer, void *ctx)
{
    struct view *v = ctx;
    struct account *a = v->walk.accounts[v->walk.index];
    if (answer->why != REASON_NONE) {
        walk_failed(&v->walk, answer);
        return;
    }
    if (CODEC_DECODE(msg_Bills, answer->frame->message, &v->page) != 0) {
        walk_error(&v->walk, REASON_MALFORMED);
        return;
    }
    if (v->before == 0) {
        ctl_BillTotals totals = { .balance = v->page.balance,
                                  .credit_limit = v->page.credit_limit,
                                  .charged = v->page.charged,
                                  .paid = v->page.paid,
                                  .refunded = v->page.refunded };
        CODEC_SET_TEXT(totals.distributor_name, a->name);
        CODEC_SET_TEXT(totals.currency, v->page.currency);
        CALL_ROW(v->call, BILL_TOTALS, BillTotals, &totals);
    }
    for (pb_size_t i = 0; i < v->page.lines_count && v->rows < v->limit; i++) {
        ctl_BillRow row = { .line = v->page.lines[i] };
        row.more = ++v->rows == v->limit && (i + 1 < v->page.lines_count || v->page.more);
        CODEC_SET_TEXT(row.distributor_name, a->name);
        CODEC_SET_TEXT(row.currency, v->page.currency);
        CALL_ROW(v->call, BILL_ROW, BillRow, &row);
    }
    if (v->page.more && v->page.lines_count > 0 && v->rows < v->limit && call_is_watched(v->call)) {
        v->before = v->page.lines[v->page.lines_count - 1].number;
        visit_bills(&v->walk, a);
        return;
    }
    v->before = v->first;
    v->rows = 0;
    walk_next(&v->walk);
}

static void visit_bills(struct walk *w, struct account *a)
{
    struct view *v = container_of(w, struct view, walk);
    msg_BillsGet get = { .before = v->before };
    int r = session_call(a, &ASK(msg_Type_BILLS_GET, msg_Type_BILLS, msg_BillsGet, &get), on_bills, w);
    if (r != 0)
        walk_error(w, r);
}

static void bills_done(struct walk *w)
{
    struct view *v = container_of(w, struct view, walk);
    if (w->failure != REASON_NONE)
        call_refuse_as(v->call, &w->refusal); /* a list of charges must not look complete when it is not */
    else
        call_finish(v->call);
    free(v);
}

void bills_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_BillsGet *m = message;
    struct account *only = NULL;
    int r = m->distributor[0] == '\0' ? (d->accounts == NULL ? REASON_NOT_REGISTERED : 0)
                                      : account_resolve(d, m->distributor, &only);
    struct view *v = r == 0 ? calloc(1, sizeof(*v)) : NULL;
    if (v == NULL) {
        call_refuse(c, r == 0 ? REASON_INTERNAL : reason_of_error(r), NULL);
        return;
    }
    v->call = c;
    v->first = v->before = m->before;
    v->limit = m->limit == 0 || m->limit > BILL_ROWS_MAX ? BILL_ROWS_MAX : m->limit;
    v->walk.visit = visit_bills;
    v->walk.done = bills_done;
    walk_start(&v->walk, d, only);
}
