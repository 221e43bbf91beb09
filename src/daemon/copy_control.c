/* COPY (also a move, a checkout) and CHECKIN of the control socket: what is meant, and what is done already. */
#include <stdio.h>

#include "daemon/control.h"
#include "daemon/copy_internal.h"
#include "daemon/library.h"
#include "daemon/siblings.h"

/* The same command again: the same answer, and nothing happens. */
static void answer_done(struct call *call, const struct track *t, const char *device, bool move)
{
    ctl_TransferRow row = { .kind = (uint32_t)(move ? TRANSFER_MOVE_OUT : TRANSFER_COPY_OUT),
                            .state = TRANSFER_DONE,
                            .done_bytes = t->plain_bytes,
                            .total_bytes = t->plain_bytes,
                            .has_reason = true };
    memcpy(row.content, t->content.bytes, sizeof(row.content));
    CODEC_SET_TEXT(row.title, t->has_info ? t->title : "");
    CODEC_SET_TEXT(row.peer, device);
    CODEC_SET_TEXT(row.reason, reason_code(REASON_ALREADY));
    CALL_ROW(call, TRANSFER_ROW, TransferRow, &row);
    call_finish(call);
}

/* A sibling by name or prefix, or any device by its whole ID: whether it is of the household is the issuer's to say (S129, S130). */
static int resolve_destination(struct daemon *d, const char *text, struct id *out, char *detail, size_t cap)
{
    struct sibling *to;
    int r = siblings_resolve_other(d, text, &to, detail, cap);
    if (r == 0)
        *out = to->client;
    else if (r == REASON_NOT_FOUND && id_parse(text, out) == 0)
        r = 0;
    return r;
}

/* Of what has left this device the remedy is the same, whatever is wanted of it. */
void copy_refuse(struct daemon *d, struct call *c, const struct track *t, int why, const char *detail)
{
    msg_Refusal away;
    bool may_be = why == REASON_NO_LICENSE || why == REASON_IN_USE;
    if (may_be && t != NULL && t->license_count > 0 && library_away(d, track_license(t), &away) != REASON_NONE)
        call_refuse_as(c, &away);
    else
        call_refuse(c, reason_of_error(why), detail[0] != '\0' ? detail : NULL);
}

/* Whoever writes `--to A B` means two devices. */
static int resolve_track(struct daemon *d, const ctl_Copy *m, struct track **out, char *detail, size_t cap)
{
    struct sibling *device;
    char other[256];
    int r = library_resolve(d, m->track, out, detail, cap);
    if (r == REASON_NOT_FOUND && siblings_resolve_other(d, m->track, &device, other, sizeof(other)) == 0)
        (void)snprintf(detail, cap, "No track '%.64s': it is a device, and --to takes one%s", m->track,
                       m->move || m->has_checkout ? "." : ". Give the command once for each.");
    return r;
}

/* COPY of the control socket: also a move. */
void copy_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Copy *m = message;
    bool checkout = m->has_checkout && m->checkout;
    struct copy_wish wish = { .move = m->move || checkout, .again = m->again, .checkout = checkout };
    struct track *t = NULL;
    struct transfer *transfer;
    char detail[256] = "";
    int r = resolve_track(d, m, &t, detail, sizeof(detail));
    if (r == 0)
        r = resolve_destination(d, m->device, &wish.destination, detail, sizeof(detail));
    if (r == 0 && m->has_check && m->check) {
        call_finish(c);
        return;
    }
    if (r == 0) {
        wish.content = t->content;
        wish.again |= siblings_find(d, wish.destination.bytes) == NULL; /* what was done before says nothing of it */
        r = copy_begin(d, &wish, &transfer, detail, sizeof(detail));
    }
    if (r == REASON_ALREADY) {
        answer_done(c, t, m->device, wish.move);
        return;
    }
    if (r == 0)
        r = transfer_watch_call(transfer, c);
    if (r != 0)
        copy_refuse(d, c, t, r, detail);
}

/* CHECKIN of the control socket: the license goes back to where it was checked out from. */
void checkin_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Checkin *m = message;
    struct copy_wish wish = { .move = true, .checkout = true };
    struct track *t;
    struct transfer *transfer;
    char detail[256] = "";
    int r = library_resolve(d, m->track, &t, detail, sizeof(detail));
    const struct track_license *l = r == 0 ? track_license(t) : NULL;
    if (r == 0 && (l == NULL || !l->has_lender || l->state == LICENSE_SURRENDERED)) {
        msg_Refusal away;
        if (l == NULL || library_away(d, l, &away) == REASON_NONE)
            reason_refusal(&away, REASON_NOT_PERMITTED, "It is not checked out to this device.");
        CODEC_SET_TEXT(away.code, reason_code(REASON_NOT_PERMITTED));
        call_refuse_as(c, &away);
        return;
    }
    if (r == 0) {
        wish.content = t->content;
        wish.destination = l->lender;
        r = copy_begin(d, &wish, &transfer, detail, sizeof(detail));
    }
    if (r == 0)
        r = transfer_watch_call(transfer, c);
    if (r != 0)
        call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
}

/* ---- what it would cost -------------------------------------------------------------------------------------- */

int copy_license(struct daemon *d, const struct track *t, const struct track_license **out)
{
    return copy_choose_license(d, t, false, out);
}

int copy_weigh(struct daemon *d, const ctl_Copy *m, bool removable, const struct track *t,
               const struct track_license **out, bool *paid, char *detail, size_t cap)
{
    bool checkout = m->has_checkout && m->checkout;
    struct copy_wish wish = { .content = t->content,
                              .move = m->move || checkout,
                              .again = m->again,
                              .checkout = checkout,
                              .removable = removable };
    int r = resolve_destination(d, m->device, &wish.destination, detail, cap);
    if (r != 0)
        return r;
    wish.again |= siblings_find(d, wish.destination.bytes) == NULL;
    r = copy_choose_license(d, t, checkout, out);
    *paid = copy_find_equal(d, &wish, NULL) != NULL || copy_is_done(d, &wish, t);
    return r;
}

bool copy_merges(struct daemon *d, const ctl_Copy *m, const struct track *t)
{
    struct id destination;
    char detail[256];
    return m->move && !(m->has_checkout && m->checkout) &&
           resolve_destination(d, m->device, &destination, detail, sizeof(detail)) == 0 &&
           copies_done(d, &t->content, &destination, false);
}
