/* Getting a copy certificate: what the user wants, the transaction with the license's issuer, and keeping what it grants.
 *
 * Callbacks, in order: on_issuer, on_use (a move: the vault says how much was used), on_granted (the transaction grants; stored before it is finished), on_outcome. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/account.h"
#include "daemon/copy_internal.h"
#include "daemon/events.h"
#include "daemon/guests.h"
#include "daemon/library.h"
#include "daemon/outbox.h"
#include "daemon/play.h"
#include "daemon/session.h"
#include "daemon/siblings.h"
#include "daemon/terms.h"
#include "daemon/transact.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "copy"
#include "base/log.h"

/* ---- asking -------------------------------------------------------------------------------------------------- */

/* It waits until the issuer is reached: what was asked for in an earlier run nobody asks for again, and a sibling that fetches is told, as is who has a
 * medium in hand. */
static void denied(struct copy *c, enum reason why, const char *detail)
{
    if (why == REASON_OFFLINE && (c->resumed || !(c->m.about.removable || c->fetched)))
        copy_out_unanswered(&c->m, why, detail, copy_now_ms(c));
    else
        copy_out_denied(&c->m, why, detail);
}

static void on_outcome(const struct transact_outcome *outcome, void *ctx)
{
    struct copy *c = ctx;
    if (!c->t.gone) {
        struct account *a = account_find_issuer(c->t.daemon, c->m.about.issuer.bytes);
        bool full = outcome->why == REASON_STORAGE_FULL;
        c->own_room = full && outcome->refusal->has_remedy; /* reason.h: room is made where it lacks */
        c->issuer_full = full && !c->own_room;
        enum reason why = c->issuer_full && !c->m.about.removable ? REASON_OFFLINE : outcome->why;
        /* It was sent, or may have been: the transaction goes on, and so do we. */
        if ((why == REASON_OFFLINE || c->issuer_full) && a != NULL && transact_outstanding(a->transact))
            copy_out_unanswered(&c->m, why, outcome->refusal->text, copy_now_ms(c));
        else if (outcome->why != REASON_NONE)
            denied(c, why, outcome->refusal->text);
        else if (c->m.state == COPY_OUT_ASKING && c->m.doing == COPY_OUT_ASK) /* find_asked knew whose it is */
            copy_out_given_already(&c->m, copy_now_ms(c));
        copy_step(c);
    }
    transfer_release(&c->t);
}

static void submit(struct copy *c, struct account *a, struct slice use)
{
    const struct copy_out_subject *about = &c->m.about;
    msg_Item item = msg_Item_init_zero;
    const char *failure;
    if (c->resumed && transact_was_put_back(a->transact)) {
        copy_out_denied(
            &c->m, REASON_OUT_OF_STEP,
            "This device was put back to an earlier state: the certificate may have been given since. Copy it again if it did not arrive.");
        return;
    }
    item.has_copy = true;
    memcpy(item.copy.content, about->content.bytes, sizeof(item.copy.content));
    memcpy(item.copy.license_id, about->license_id, sizeof(item.copy.license_id));
    memcpy(item.copy.destination, about->destination.bytes, sizeof(item.copy.destination));
    item.copy.move = about->move;
    item.copy.removable = about->removable;
    item.copy.has_checkout = item.copy.checkout = about->checkout;
    item.copy.has_use = use.len > 0;
    if (CODEC_SET_BYTES(item.copy.use, use) == 0) {
        if (session_failure(a->session, &failure) == REASON_OFFLINE)
            copy_wait_for_issuer(c);
        else
            transfer_say(&c->t, "asking %s", a->name);
        transfer_hold(&c->t);
        if (transact_submit(a, &item, on_outcome, c) == 0)
            return;
        transfer_release(&c->t);
    }
    copy_out_denied(&c->m, REASON_INTERNAL, NULL);
}

/* How much of it was used goes with a move. */
static void on_use(const struct answer *answer, void *ctx)
{
    struct copy *c = ctx;
    vlt_UseSigned use;
    struct account *a = c->t.gone ? NULL : account_find_issuer(c->t.daemon, c->m.about.issuer.bytes);
    if (!c->t.gone) {
        if (answer->why != REASON_NONE)
            copy_out_denied(&c->m, answer->why, answer->refusal->text);
        else if (a == NULL || CODEC_DECODE(vlt_UseSigned, answer->frame->message, &use) != 0)
            copy_out_denied(&c->m, REASON_INTERNAL, NULL);
        else
            submit(c, a, CODEC_BYTES(use.use));
        copy_step(c);
    }
    transfer_release(&c->t);
}

static int ask_use(struct copy *c)
{
    vlt_UseSign sign = { .give_back = false };
    memcpy(sign.issuer, c->m.about.issuer.bytes, sizeof(sign.issuer));
    memcpy(sign.license_id, c->m.about.license_id, sizeof(sign.license_id));
    return vault_call(c->t.daemon->vault, &ASK(vlt_Type_USE_SIGN, vlt_Type_USE_SIGNED, vlt_UseSign, &sign), on_use, c);
}

static void on_issuer(struct account *a, enum reason why, const msg_Refusal *refusal, void *ctx)
{
    struct copy *c = ctx;
    bool gone = c->t.gone;
    if (!gone && a == NULL)
        denied(c, why, refusal->text);
    else if (!gone && outbox_gives_back(c->t.daemon, &c->m.about)) /* else it gives that certificate again */
        copy_out_given_already(&c->m, copy_now_ms(c));
    else if (!gone && !c->m.about.move)
        submit(c, a, slice(NULL, 0));
    else if (!gone && ask_use(c) == 0)
        return; /* goes on in on_use */
    else if (!gone)
        copy_out_denied(&c->m, REASON_INTERNAL, NULL);
    if (!gone)
        copy_step(c);
    transfer_release(&c->t);
}

void copy_ask(struct copy *c)
{
    transfer_hold(&c->t);
    if (issuer_find(c->t.daemon, &c->m.about.issuer, on_issuer, c) == 0)
        return;
    copy_out_denied(&c->m, REASON_INTERNAL, NULL);
    transfer_release(&c->t);
}

void copy_settle(struct copy *c)
{
    struct account *a = c->m.unsure ? account_find_issuer(c->t.daemon, c->m.about.issuer.bytes) : NULL;
    if (c->m.unsure && (a == NULL || !transact_outstanding(a->transact)))
        copy_out_settled(&c->m);
}

/* ---- keeping ------------------------------------------------------------------------------------------------- */

static bool is_asked(const struct copy *c, const struct account *a, const msg_CopyAsk *ask)
{
    const struct copy_out_subject *about = &c->m.about;
    return id_equal(about->issuer.bytes, a->distributor.bytes) && id_equal(about->content.bytes, ask->content) &&
           memcmp(about->license_id, ask->license_id, sizeof(about->license_id)) == 0 &&
           id_equal(about->destination.bytes, ask->destination) && about->move == ask->move &&
           about->removable == ask->removable && about->checkout == (ask->has_checkout && ask->checkout);
}

/* The copy that an answer belongs to: the one that asks; or one that has it already, when the answer comes again. */
static struct copy *find_asked(struct account *a, const msg_CopyAsk *ask, const msg_Result *result, bool *kept)
{
    struct copy *asking = NULL;
    const struct id content = id_from(ask->content);
    for (struct transfer *t = transfers_of(a->daemon, &content); t != NULL; t = transfer_next_of(t)) {
        if (!copy_is_out(t) || transfer_has_ended(t) || !is_asked(copy_of(t), a, ask))
            continue;
        struct copy *c = copy_of(t);
        *kept = c->m.state != COPY_OUT_ASKING &&
                slice_equal(buf_slice(&c->m.certificate), CODEC_BYTES(result->certificate));
        if (*kept)
            return c;
        if (copy_out_wants_grant(&c->m) && !c->adding && asking == NULL)
            asking = c;
    }
    return asking;
}

static void on_granted(struct account *a, const msg_CopyAsk *ask, const msg_Result *result, struct transact_item *item)
{
    struct daemon *d = a->daemon;
    bool kept = false;
    if (d->transfers == NULL || d->transfers->stopping) {
        transact_item_stored(item, -ECANCELED); /* again after the next start */
        return;
    }
    struct copy *c = find_asked(a, ask, result, &kept);
    if (kept) {
        transact_item_stored(item, 0);
        return;
    }
    if (c == NULL) {
        struct copy_out_subject about = { .issuer = a->distributor,
                                          .content = id_from(ask->content),
                                          .source = d->self,
                                          .destination = id_from(ask->destination),
                                          .move = ask->move,
                                          .removable = ask->removable,
                                          .checkout = ask->has_checkout && ask->checkout };
        memcpy(about.license_id, ask->license_id, sizeof(about.license_id));
        c = copy_new(d, &about);
    }
    struct slice delegation = result->has_delegation ? CODEC_BYTES(result->delegation) : slice(NULL, 0);
    if (c == NULL || copy_out_granted(&c->m, CODEC_BYTES(result->certificate), delegation) != 0) {
        transact_item_stored(item, -ENOMEM);
        return;
    }
    if (result->has_charged && result->has_currency) {
        c->t.charged = result->charged;
        CODEC_SET_TEXT(c->t.currency, result->currency);
    }
    c->item = item; /* answered when it is stored: COPY_OUT_STORE */
    copy_step(c);
}

void copies_listen(struct daemon *d) { transact_set_copy_handler(d, on_granted); }

/* ---- beginning ----------------------------------------------------------------------------------------------- */

/* Which of two licenses to copy from: the one whose copies go furthest; then one of a distributor this device is registered with. */
static bool is_better(struct daemon *d, const struct track_license *l, const struct track_license *than)
{
    if (than == NULL || l->conditions->copy_depth != than->conditions->copy_depth)
        return than == NULL || l->conditions->copy_depth > than->conditions->copy_depth;
    return account_find(d, l->issuer.bytes) != NULL && account_find(d, than->issuer.bytes) == NULL;
}

int copy_choose_license(struct daemon *d, const struct track *t, bool checkout, const struct track_license **out)
{
    const struct track_license *best = NULL;
    int why = REASON_NO_LICENSE;
    for (size_t i = 0; i < t->license_count; i++) {
        const struct track_license *l = &t->licenses[i];
        bool back = checkout && l->has_lender; /* what was lent goes back in any case */
        bool over = !back && l->conditions->has_usage_until_ms &&
                    l->conditions->usage_until_ms < (uint64_t)device_time_for(d, &l->issuer);
        if (l->state == LICENSE_SUSPENDED)
            why = REASON_LICENSE_SUSPENDED;
        else if (l->state == LICENSE_SURRENDERED && l->has_borrower && why == REASON_NO_LICENSE)
            why = REASON_IN_USE;
        else if (l->state == LICENSE_VALID && over)
            why = REASON_LICENSE_EXPIRED;
        else if (l->state == LICENSE_VALID && plays_lock(d, l->issuer.bytes, l->license_id))
            why = REASON_IN_USE; /* R2 */
        else if (l->state == LICENSE_VALID && is_better(d, l, best))
            best = l;
    }
    *out = best;
    return best != NULL ? 0 : why;
}

struct copy *copy_find_equal(struct daemon *d, const struct copy_wish *wish, bool (*fits)(struct copy_out *m))
{
    for (struct transfer *t = transfers_of(d, &wish->content); t != NULL; t = transfer_next_of(t))
        if (copy_is_out(t) && !transfer_has_ended(t) && id_equal(t->with.bytes, wish->destination.bytes) &&
            copy_of(t)->m.about.move == wish->move && copy_of(t)->m.about.removable == wish->removable &&
            copy_of(t)->m.about.checkout == wish->checkout && (fits == NULL || fits(&copy_of(t)->m)))
            return copy_of(t);
    return NULL;
}

/* One that is on its way back for good is none. */
static struct copy *take_up_equal(struct daemon *d, const struct copy_wish *wish)
{
    struct copy *c = copy_find_equal(d, wish, copy_out_again);
    if (c != NULL && c->t.state == TRANSFER_PAUSED)
        transfer_set_state(&c->t, TRANSFER_WAITING, REASON_NONE, NULL);
    return c;
}

/* None of its licenses is here any more, nor on its way from here. */
static bool has_left(const struct track *t)
{
    for (size_t i = 0; i < t->license_count; i++)
        if (t->licenses[i].state == LICENSE_VALID || t->licenses[i].state == LICENSE_SUSPENDED)
            return false;
    return true;
}

/* A license that has come back here since may be moved once more; when it cannot be now, why not is the answer. */
bool copy_is_done(struct daemon *d, const struct copy_wish *wish, const struct track *t)
{
    return !wish->again && !wish->removable && (!wish->move || has_left(t)) &&
           copies_done(d, &wish->content, &wish->destination, wish->move);
}

int copy_begin(struct daemon *d, const struct copy_wish *wish, struct transfer **out, char *detail, size_t cap)
{
    const struct track *t = library_find(d, wish->content.bytes);
    const struct track_license *license;
    detail[0] = '\0';
    if (d->transfers == NULL || d->transfers->stopping)
        return REASON_CANCELLED;
    struct copy *c = take_up_equal(d, wish);
    if (c != NULL) { /* the same command again finishes what was begun */
        *out = &c->t;
        copy_step(c);
        return 0;
    }
    if (t == NULL)
        return REASON_UNKNOWN_CONTENT;
    int r = copy_choose_license(d, t, wish->checkout, &license);
    if (copy_is_done(d, wish, t))
        return REASON_ALREADY;
    msg_Refusal away;
    if ((r == REASON_IN_USE || r == REASON_NO_LICENSE) && t->license_count > 0 &&
        library_away(d, track_license(t), &away) != REASON_NONE) {
        (void)snprintf(detail, cap, "%s", away.text);
        return r;
    }
    if (r == REASON_IN_USE) {
        (void)snprintf(detail, cap, "It is played at this moment: hearth stop ends that.");
        return r;
    }
    if (!t->has_body) {
        (void)snprintf(detail, cap, "Its content is not on this device: hearth get TRACK --download-only");
        return REASON_NOT_FOUND;
    }
    if (r != 0)
        return r;
    struct copy_out_subject about = { .issuer = license->issuer,
                                      .content = wish->content,
                                      .source = d->self,
                                      .destination = wish->destination,
                                      .move = wish->move,
                                      .removable = wish->removable,
                                      .checkout = wish->checkout };
    memcpy(about.license_id, license->license_id, sizeof(about.license_id));
    c = copy_new(d, &about);
    if (c == NULL)
        return -ENOMEM;
    *out = &c->t;
    copy_add(c);
    return 0;
}

int copy_may_fetch(struct daemon *d, const struct id *client, const struct track *t)
{
    const struct track_license *license;
    const struct sibling *s = siblings_find(d, client);
    if (s == NULL)
        return REASON_NOT_OWNED;
    if (d->config.answer_fetch == CONFIG_FETCH_ALL)
        return 0;
    if (d->config.answer_fetch == CONFIG_FETCH_OWN && (t == NULL || copy_choose_license(d, t, false, &license) != 0 ||
                                                       id_equal(s->distributor.bytes, license->issuer.bytes)))
        return 0; /* without a license there is a better reason */
    return REASON_NOT_PERMITTED;
}

bool copy_may_be_told(struct daemon *d, const struct id *client, const struct track *t)
{
    const struct sibling *s = siblings_find(d, client);
    const struct track_license *l = track_license(t);
    return copy_may_fetch(d, client, t) == 0 && (d->config.answer_fetch == CONFIG_FETCH_ALL ||
                                                 (l != NULL && id_equal(s->distributor.bytes, l->issuer.bytes)));
}

static void tell_fetch(struct daemon *d, const struct id *client, const struct track *t)
{
    const struct sibling *s = siblings_find(d, client);
    if (s != NULL && t != NULL)
        event(d, "fetch-answered", "%s fetches %s", s->name, t->has_info ? t->title : "a track");
}

/* Who fetches what has moved on is told where it can be fetched. */
static void say_where(struct daemon *d, const struct copy_wish *wish, char *detail, size_t cap)
{
    const struct track *t = library_find(d, wish->content.bytes);
    const struct track_license *l = t != NULL ? track_license(t) : NULL;
    const struct sibling *there =
        l != NULL && l->state == LICENSE_SURRENDERED && l->has_moved_to ? siblings_find(d, l->moved_to.bytes) : NULL;
    if (there != NULL && !id_equal(there->client.bytes, wish->destination.bytes))
        (void)snprintf(detail, cap, "Its license was moved to %s: hearth fetch TRACK --from %s", there->name,
                       there->name);
}

/* FETCH of a sibling: answered when there is a certificate for it, or with the reason why there is none. */
void copy_on_fetch(struct link *l, const struct frame *f)
{
    struct daemon *d = link_daemon(l);
    msg_Fetch m;
    struct transfer *t;
    char detail[256] = "";
    if (CODEC_DECODE(msg_Fetch, f->message, &m) != 0) {
        peer_close(link_peer(l), REASON_MALFORMED);
        return;
    }
    /* Whoever asks for it has lost what it had. */
    const struct copy_wish wish = { .content = id_from(m.content), .destination = *link_client(l), .again = true };
    int r = link_is_trusted(l) ? copy_may_fetch(d, &wish.destination, library_find(d, wish.content.bytes))
                               : REASON_NOT_OWNED;
    if (r == REASON_NOT_PERMITTED)
        (void)snprintf(detail, sizeof(detail), "%s does not answer fetches; copy it from there.", d->config.name);
    if (m.has_terms && m.terms) {
        terms_for_sibling(l, f->request, &wish.content, r);
        return;
    }
    if (r == 0)
        r = copy_begin(d, &wish, &t, detail, sizeof(detail));
    if (r == REASON_NO_LICENSE)
        say_where(d, &wish, detail, sizeof(detail));
    if (r != 0) {
        link_refuse(l, f->request, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
        return;
    }
    struct copy *c = copy_of(t);
    c->fetched = true;
    r = copy_out_fetched(&c->m);
    if (r != 0) {
        link_refuse(l, f->request, (enum reason)r, NULL);
        return;
    }
    tell_fetch(d, &wish.destination, library_find(d, wish.content.bytes));
    link_join(l, &c->reply_link);
    c->reply_request = f->request;
    copy_step(c);
}
