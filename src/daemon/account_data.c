/* What a distributor holds about the account, for its owner; and the end of the account. Loop thread.
 *
 * Callbacks, in order: on_page (any number); on_erased. */
#include "daemon/account_data.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/session.h"
#include "daemon/transact.h"

#define ERASE_TIMEOUT_MS 60000

struct data {
    struct call *call;
    struct account *account; /* a reference */
    msg_AccountExport next;
    bool empty; /* no row of this part came yet */
};

static struct data *data_new(struct daemon *d, struct call *c, const char *distributor)
{
    struct account *a;
    int r = account_resolve(d, distributor, &a);
    struct data *x = r == 0 ? calloc(1, sizeof(*x)) : NULL;
    if (x == NULL) {
        call_refuse(c, r == 0 ? REASON_INTERNAL : reason_of_error(r), NULL);
        return NULL;
    }
    *x = (struct data){ .call = c, .account = account_ref(a), .empty = true };
    return x;
}

static void data_end(struct data *x, const msg_Refusal *refusal)
{
    if (refusal != NULL)
        call_refuse_as(x->call, refusal);
    else
        call_finish(x->call);
    account_unref(x->account);
    free(x);
}

static void data_fail(struct data *x, int error)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, reason_of_error(error), NULL);
    data_end(x, &refusal);
}

/* --- Export --- */

static void ask_page(struct data *x);

/* 0, CODEC_*, -errno. */
static int pass_on(struct data *x, const struct frame *f, const msg_AccountExported *page)
{
    struct reader rows = reader(f->tail);
    ctl_ExportRow row = ctl_ExportRow_init_zero;
    CODEC_SET_TEXT(row.part, page->part);
    for (uint32_t i = 0; i < page->count; i++) {
        struct slice text;
        int r = codec_list_next(&rows, sizeof(row.row.bytes), &text);
        if (r == 0)
            r = CODEC_SET_BYTES(row.row, text);
        if (r != 0)
            return r;
        row.has_row = true;
        x->empty = false;
        CALL_ROW(x->call, EXPORT_ROW, ExportRow, &row);
    }
    row.has_row = false;
    if (x->empty && !page->more)
        CALL_ROW(x->call, EXPORT_ROW, ExportRow, &row);
    return reader_done(&rows) ? 0 : -EPROTO;
}

static void on_page(const struct answer *answer, void *ctx)
{
    struct data *x = ctx;
    msg_AccountExported page;
    if (answer->why != REASON_NONE) {
        data_end(x, answer->refusal);
        return;
    }
    bool good = CODEC_DECODE(msg_AccountExported, answer->frame->message, &page) == 0 &&
                (page.count > 0 || !page.more) && pass_on(x, answer->frame, &page) == 0;
    if (!good) {
        data_fail(x, REASON_MALFORMED);
    } else if (page.last || !call_is_watched(x->call)) {
        data_end(x, NULL);
    } else {
        x->next.first = page.more ? x->next.first + page.count : 0;
        x->next.part += !page.more;
        x->empty = x->empty || !page.more;
        ask_page(x);
    }
}

static void on_room(struct call *c, void *ctx)
{
    (void)c;
    ask_page(ctx);
}

static void ask_page(struct data *x)
{
    if (!call_has_room(x->call)) {
        call_when_room(x->call, on_room, x);
        return;
    }
    int r = session_call(
        x->account, &ASK(msg_Type_ACCOUNT_EXPORT, msg_Type_ACCOUNT_EXPORTED, msg_AccountExport, &x->next), on_page, x);
    if (r != 0)
        data_fail(x, r);
}

void account_export_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_AccountExport *m = message;
    struct data *x = data_new(d, c, m->distributor);
    if (x != NULL)
        ask_page(x);
}

/* --- Erasure: the vault keeps its keys, so that what was bought plays on --- */

static void on_erased(const struct answer *answer, void *ctx)
{
    struct data *x = ctx;
    struct account *a = x->account;
    if (answer->why == REASON_NONE) {
        event(a->daemon, "account-erased", "the account at %s was erased", a->name);
        if (a->session != NULL)
            session_forgotten(a->session);
    }
    data_end(x, answer->refusal);
}

void account_erase_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_AccountErase *m = message;
    struct data *x = data_new(d, c, m->distributor);
    if (x == NULL)
        return;
    msg_AccountErase erase = msg_AccountErase_init_zero;
    CODEC_SET_TEXT(erase.password, m->password);
    struct ask ask = ASK(msg_Type_ACCOUNT_ERASE, msg_Type_OK, msg_AccountErase, &erase);
    ask.timeout_ms = ERASE_TIMEOUT_MS;
    msg_Refusal refusal;
    reason_refusal(&refusal, REASON_IN_USE, "A purchase or copy at this distributor is not finished yet.");
    if (transact_outstanding(x->account->transact)) {
        data_end(x, &refusal);
    } else {
        int r = session_call(x->account, &ask, on_erased, x);
        if (r != 0)
            data_fail(x, r);
    }
    secret_wipe(&erase, sizeof(erase));
}
