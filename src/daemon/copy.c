/* Copies: what is next, start. What the actions wait for is in their files. */
#include "daemon/copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/copy_internal.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/siblings.h"

#define LOG_MODULE "copy"
#include "base/log.h"

#define DETAIL_BYTES 160

/* ---- steps --------------------------------------------------------------------------------------------------- */

static void tell_event(struct copy *c)
{
    struct daemon *d = c->t.daemon;
    bool move = c->m.about.move;
    if (c->m.state == COPY_OUT_DONE)
        event(d, move ? "moved" : "copied", "%s was %s to %s", c->t.title, move ? "moved" : "copied", c->t.peer);
    else if (c->m.why == REASON_NONE)
        event(d, "exported", "%s was exported for %s", c->t.title, c->t.peer);
    else if (move && c->m.receipt.len > 0)
        event(d, "move-cancelled", "%s stays here: its move to %s was taken back", c->t.title, c->t.peer);
}

/* Whose room it is that lacks, of a medium the detail says so itself; or who did not want it. */
static const char *detail_of(const struct copy *c, enum reason why, const char *detail, char out[DETAIL_BYTES])
{
    if (why == REASON_CANCELLED && c->m.declined) {
        (void)snprintf(out, DETAIL_BYTES, "%s cancelled it%s.", c->t.peer,
                       c->m.about.move ? ": it stays here" : "; what it has cost comes back");
        return out;
    }
    if (why != REASON_STORAGE_FULL || c->m.about.removable || c->own_room ||
        (detail != NULL && strstr(detail, "hearth ") != NULL))
        return detail;
    (void)snprintf(out, DETAIL_BYTES, "There is not enough room for it on %s. There, hearth remove TRACK makes room.",
                   c->t.peer);
    return out;
}

/* DONE or GONE is stored: everybody hears it. */
static void end(struct copy *c)
{
    char detail[DETAIL_BYTES];
    struct daemon *d = c->t.daemon;
    struct id destination = c->t.with;
    bool done = c->m.why == REASON_NONE;
    c->ended = true;
    copy_forget_room(c);
    copy_let_go(c);
    if (c->m.state == COPY_OUT_DONE && !copies_done(d, &c->t.content, &c->t.with, c->m.about.move) &&
        copies_remember(d, &c->t.content, &c->t.with, c->m.about.move) != 0)
        log_warn("a finished copy is remembered after the next start only");
    tell_event(c);
    c->t.done_bytes = done ? c->t.total_bytes : c->t.done_bytes;
    transfer_set_state(&c->t,
                       done                           ? TRANSFER_DONE
                       : c->m.why == REASON_CANCELLED ? TRANSFER_CANCELLED
                                                      : TRANSFER_FAILED,
                       c->m.why == REASON_CANCELLED && !c->m.declined ? REASON_NONE : c->m.why,
                       detail_of(c, c->m.why, c->m.detail[0] != '\0' ? c->m.detail : NULL, detail));
    copies_kick(d, &destination);
}

#define QUEUED_TEXT "Ctrl-C leaves it queued"

void copy_wait_for_issuer(struct copy *c)
{
    const struct account *a = account_find_issuer(c->t.daemon, c->m.about.issuer.bytes);
    const char *name = a != NULL && a->name[0] != '\0' ? a->name : "its distributor";
    if (c->t.state == TRANSFER_PAUSED)
        return;
    transfer_set_state(&c->t, TRANSFER_WAITING, REASON_OFFLINE, NULL);
    CODEC_SET_TEXT(c->t.waits_for, name);
    transfer_say(&c->t,
                 c->issuer_full ? "waiting for %s, which has no room on its disk; " QUEUED_TEXT
                                : "waiting for %s, which cannot be reached; " QUEUED_TEXT,
                 name);
}

static void wait_for(struct copy *c, enum reason why)
{
    bool back = c->m.state == COPY_OUT_WITHDRAWING;
    if (c->t.state == TRANSFER_PAUSED)
        return;
    if (c->m.state == COPY_OUT_ASKING && why == REASON_OFFLINE && !c->m.cancelled) {
        copy_wait_for_issuer(c);
        return;
    }
    transfer_set_state(&c->t, TRANSFER_WAITING, back && c->m.why != REASON_NONE ? c->m.why : why, NULL);
    if (c->m.state != COPY_OUT_ASKING)
        transfer_say(&c->t, why == REASON_OFFLINE ? "waiting for %s, which is offline; " QUEUED_TEXT : "waiting for %s",
                     c->t.peer);
}

static void act(struct copy *c, const struct copy_out_action *a)
{
    struct id destination = c->t.with;
    char detail[DETAIL_BYTES];
    switch (a->kind) {
    case COPY_OUT_ASK:
        copy_ask(c);
        break;
    case COPY_OUT_RELEASE:
        copy_ask_release(c, a->message);
        break;
    case COPY_OUT_READ_HEAD:
        copy_read_head(c);
        break;
    case COPY_OUT_SURRENDER:
        copy_ask_surrender(c, a->message);
        break;
    case COPY_OUT_REMOVE_BODY:
        copy_remove_body(c);
        break;
    case COPY_OUT_AWAKEN:
        copy_ask_awaken(c, a->message);
        break;
    case COPY_OUT_STORE:
        copy_store(c, a);
        break;
    case COPY_OUT_CONNECT:
        copy_connect(c);
        break;
    case COPY_OUT_SEND:
        copy_send(c, a->type, a->message);
        break;
    case COPY_OUT_LET_GO:
        copy_let_go(c);
        copies_kick(c->t.daemon, &destination);
        break;
    case COPY_OUT_TELL:
        transfer_tell(&c->t, a->why, detail_of(c, a->why, a->detail, detail));
        break;
    case COPY_OUT_LATER:
        wait_for(c, a->why);
        break;
    case COPY_OUT_ANSWER:
        copy_reply(c, a->why, a->detail);
        break;
    case COPY_OUT_WAIT:
        break;
    }
}

/* What is taken back is listed so until the destination's word is here, and of a move until its license can be used again. */
static void show(struct copy *c)
{
    bool back = c->m.state == COPY_OUT_WITHDRAWING || c->m.state == COPY_OUT_REFUSED;
    if (back && c->t.state != TRANSFER_PAUSED && c->t.reason != c->m.why)
        transfer_set_state(&c->t, TRANSFER_WAITING, c->m.why, NULL);
    else if (c->m.offered && c->t.state == TRANSFER_WAITING)
        transfer_set_state(&c->t, TRANSFER_RUNNING, REASON_NONE, NULL);
}

void copy_step(struct copy *c)
{
    if (c->stepping || c->adding || c->ended || c->t.gone)
        return;
    c->stepping = true;
    transfer_hold(&c->t);
    while (!c->t.gone) {
        copy_settle(c);
        struct copy_out_action a =
            copy_out_next(&c->m, copy_now_ms(c), device_time_certain(c->t.daemon, &c->m.about.issuer));
        if (a.kind == COPY_OUT_WAIT)
            break;
        act(c, &a);
    }
    c->stepping = false;
    if (!c->t.gone && copy_out_has_ended(&c->m))
        end(c);
    else if (!c->t.gone)
        show(c);
    transfer_release(&c->t);
}

void copies_overtaken(struct daemon *d, const struct id *issuer, const struct id *content)
{
    for (struct transfer *t = transfers_of(d, content), *next; t != NULL; t = next) {
        transfer_hold(t);
        if (copy_is_out(t) && !transfer_has_ended(t) && id_equal(copy_of(t)->m.about.issuer.bytes, issuer->bytes)) {
            copy_out_overtaken(&copy_of(t)->m);
            copy_step(copy_of(t));
        }
        next = transfer_next_of(t);
        transfer_release(t);
    }
}

/* All are asked, also those that wait for something else than room. */
static void on_online(struct daemon *d, const struct id *client)
{
    if (d->transfers == NULL || d->transfers->stopping)
        return;
    for (struct transfer *t = d->transfers->table.first, *next; t != NULL; t = next) {
        transfer_hold(t);
        if (copy_is_out(t) && id_equal(t->with.bytes, client->bytes) && !transfer_has_ended(t)) {
            copy_forget_room(copy_of(t));
            copy_out_kick(&copy_of(t)->m, true);
            copy_step(copy_of(t));
        }
        next = t->next;
        transfer_release(t);
    }
}

/* ---- as a transfer ------------------------------------------------------------------------------------------- */

static void pause_transfer(struct transfer *t)
{
    copy_out_pause(&copy_of(t)->m);
    transfer_set_state(t, TRANSFER_PAUSED, REASON_NONE, NULL);
    copy_step(copy_of(t));
}

static void resume_transfer(struct transfer *t)
{
    copy_out_resume(&copy_of(t)->m);
    transfer_set_state(t, TRANSFER_WAITING, REASON_NONE, NULL);
    copy_step(copy_of(t));
}

static void cancel_transfer(struct transfer *t)
{
    copy_out_cancel(&copy_of(t)->m);
    if (t->state == TRANSFER_PAUSED)
        transfer_set_state(t, TRANSFER_WAITING, REASON_NONE, NULL);
    copy_step(copy_of(t));
}

static void tick_transfer(struct transfer *t, int64_t now_ms)
{
    if (now_ms >= copy_out_deadline_ms(&copy_of(t)->m))
        copy_step(copy_of(t));
}

static void stop_transfer(struct transfer *t)
{
    copy_let_go(copy_of(t));
    copy_reply(copy_of(t), REASON_OFFLINE, NULL);
}

static void free_transfer(struct transfer *t)
{
    struct copy *c = copy_of(t);
    copy_forget_room(c);
    copy_out_deinit(&c->m);
    free(c);
}

static const struct transfer_actions actions = { pause_transfer, resume_transfer, cancel_transfer,
                                                 tick_transfer,  stop_transfer,   free_transfer };

struct copy *copy_new(struct daemon *d, const struct copy_out_subject *about)
{
    const struct sibling *to = siblings_find(d, &about->destination);
    char short_id[ID_SHORT_BYTES];
    struct copy *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    id_short(about->destination.bytes, short_id);
    copy_out_init(&c->m, about);
    c->reply_link.on_closed = copy_reply_closed;
    c->t.merges = about->move && !about->checkout && copies_done(d, &about->content, &about->destination, false);
    transfer_add(d, &c->t, about->move ? TRANSFER_MOVE_OUT : TRANSFER_COPY_OUT, &about->content, &about->destination,
                 to != NULL ? to->name : short_id, &actions);
    return c;
}

/* ---- start --------------------------------------------------------------------------------------------------- */

static bool is_asleep(const struct copy *c)
{
    const struct track_license *l =
        library_license(c->t.daemon, c->t.content.bytes, c->m.about.issuer.bytes, c->m.about.license_id, NULL);
    return l != NULL && l->state == LICENSE_SUSPENDED;
}

static int load_row(struct daemon *d, struct query *q)
{
    struct copy_out_subject about = { .source = d->self };
    int64_t row = query_i64(q, 0);
    query_fixed(q, 1, about.issuer.bytes, ID_BYTES);
    query_fixed(q, 2, about.content.bytes, ID_BYTES);
    query_fixed(q, 3, about.license_id, sizeof(about.license_id));
    query_fixed(q, 4, about.destination.bytes, ID_BYTES);
    uint32_t kind = query_u32(q, 5);
    about.move = kind != COPY_ROW_COPY;
    about.checkout = kind == COPY_ROW_CHECKOUT;
    about.removable = query_bool(q, 6);
    uint32_t state = query_u32(q, 7);
    int r = query_check(q);
    if (r != 0)
        return r;
    if (state == COPY_OUT_DONE)
        return copies_remember(d, &about.content, &about.destination, about.move);
    if (state < COPY_OUT_ASKING || state > COPY_OUT_DONE)
        return -EUCLEAN;
    struct copy *c = copy_new(d, &about);
    if (c == NULL)
        return -ENOMEM;
    struct buf *const columns[] = { &c->m.certificate, &c->m.delegation, &c->m.receipt };
    for (int i = 0; i < 3; i++)
        if (!query_is_null(q, 8 + i))
            query_append(q, 8 + i, columns[i]);
    c->row = row;
    c->resumed = true;
    copy_out_resume_from(&c->m, (enum copy_out_state)state, is_asleep(c), true);
    show(c);
    /* Its destination may never come, and what is next may need nobody but the issuer and the vault. */
    c->m.next_try_ms = copy_now_ms(c) + COPY_OUT_RETRY_FIRST_MS;
    return query_check(q);
}

int copies_start(struct daemon *d)
{
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_COPIES);
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        r = load_row(d, &q);
        if (r != 0)
            return r;
    }
    if (r != 0)
        return r < 0 ? r : -EUCLEAN;
    copies_listen(d);
    siblings_on_online(d, on_online);
    copies_household_changed(d, NULL);
    return 0;
}
