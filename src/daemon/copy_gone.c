/* Copies whose destination was removed from the household: they end here at once, whatever is still certified (copy_out.h). Its distributor says so by a
 * roster that does not name it. A roster from before the certificate says nothing: the issuer knew the device earlier than this one. Loop thread. */
#include "daemon/account.h"
#include "daemon/copy_internal.h"
#include "daemon/siblings.h"

/* Clocks of two distributors may differ. */
static bool is_later(const struct account *a, const struct copy *c)
{
    bool issuers = id_equal(a->distributor.bytes, c->m.about.issuer.bytes);
    return c->m.has_serial && a->roster->issued_ms > c->m.issued_ms + (issuers ? 0 : DOCUMENTS_SKEW_MS);
}

static bool is_removed(struct daemon *d, const struct copy *c)
{
    bool later = false;
    for (const struct account *a = d->accounts; a != NULL; a = a->next)
        later |= a->roster != NULL && is_later(a, c);
    return later && !siblings_is_named(d, &c->t.with);
}

static void look_after(struct copy *c, const struct id *removed)
{
    struct daemon *d = c->t.daemon;
    bool before = c->m.gone, here = siblings_find(d, c->t.with.bytes) != NULL;
    if (removed != NULL ? id_equal(c->t.with.bytes, removed->bytes) : is_removed(d, c))
        copy_out_destination_gone(&c->m, true);
    else if (here)
        copy_out_destination_gone(&c->m, false);
    if (c->m.gone == before)
        return;
    if (c->m.gone && c->m.asleep) {
        transfer_set_state(&c->t, TRANSFER_WAITING, REASON_DEVICE_REVOKED, NULL);
        transfer_tell(&c->t, REASON_DEVICE_REVOKED,
                      "The destination was removed. When the certificate has ended: hearth restore TRACK");
    }
    copy_step(c);
}

void copies_household_changed(struct daemon *d, const struct id *removed)
{
    if (d->transfers == NULL || d->transfers->stopping)
        return;
    for (struct transfer *t = d->transfers->table.first, *next; t != NULL; t = next) {
        transfer_hold(t);
        if (copy_is_out(t) && !transfer_has_ended(t))
            look_after(copy_of(t), removed);
        next = t->next;
        transfer_release(t);
    }
}
