/* A shop as a member of the directory, and what it asks of the other shop itself. As src/distributor/directory_client.c, directory_pull.c, outgoing.c and
 * errand_rows.c drive directory_member.h, keyset_meet and origin_rows.h. */
#include "distributor/directory_member.h"

#include "distributor/findings.h"
#include "distributor/origin_rows.h"
#include "distributor/share.h"
#include "distributor/share_chain.h"
#include "distributor/share_own.h"
#include "world.h"

#define POLL_MS 15000
#define PUSH_TIMEOUT_MS 15000
#define POLL_TIMEOUT_MS (POLL_MS + 10000)
#define ASK_TIMEOUT_MS 4000
#define PAUSE_MS 1000 /* after rows of which none was new */

static struct member *member_at(struct world *w, int node) { return &w->members[node - DEVICES]; }

static void begin(struct transaction *t, struct shop *s) { MUST(transaction_begin_batch(t, s->o->store) == 0); }

/* false: the power has failed in it. */
static bool commit(struct world *w, struct transaction *t, int shop)
{
    MUST(findings_flush(shop_at(w, shop)->o, w->town.now_ms) == 0 && transaction_commit(t) == 0);
    w->dirty[SHOP_NODE(shop)] = true;
    return !node_failed(w, SHOP_NODE(shop));
}

static event_fn on_connect;
static void pull(struct world *w, int shop, enum member_pull which, bool is_probe);

/* ---- who waits for rows ------------------------------------------------------------------------------------------------- */

static void release(struct world *w, struct member *m)
{
    for (size_t i = 0; i < m->waiting_count; i++)
        event_now(w, m->waiting[i]);
    m->waiting_count = 0;
}

void member_ask(struct world *w, int shop, struct event *again)
{
    struct member *m = &w->members[shop];
    if (!m->ready || m->waiting_count == ARRAY_COUNT(m->waiting)) {
        event_now(w, again);
        return;
    }
    m->waiting[m->waiting_count++] = again;
    if (m->pulls[MEMBER_ASKS].request == 0)
        pull(w, shop, MEMBER_ASKS, false);
}

/* ---- the connection -------------------------------------------------------------------------------------------------------- */

static void down(struct world *w, int shop)
{
    struct member *m = &w->members[shop];
    m->conn = 0;
    m->ready = false;
    m->push_request = m->pulls[MEMBER_POLLS].request = m->pulls[MEMBER_ASKS].request = 0;
    release(w, m);
    after(w, between(w, 250, w->calm ? 2000 : 30000), SHOP_NODE(shop), on_connect);
}

void member_lost(struct world *w, int shop, int conn)
{
    if (w->members[shop].conn == conn)
        down(w, shop);
}

static void hang_up(struct world *w, int shop, enum reason why)
{
    trace(w, "%s leaves the directory: %s", node_name(SHOP_NODE(shop)), reason_code(why));
    conn_break(w, w->members[shop].conn);
    down(w, shop);
}

enum { DUE_GREETING, DUE_PUSH, DUE_POLL, DUE_ASK };

static void on_due(struct world *w, struct event *e)
{
    struct member *m = member_at(w, e->node);
    uint32_t waits[] = { m->ready ? 0 : 1, m->push_request, m->pulls[MEMBER_POLLS].request,
                         m->pulls[MEMBER_ASKS].request };
    if (m->conn == e->a && waits[e->b] == e->request)
        hang_up(w, e->node - DEVICES, REASON_TIMED_OUT);
}

static void due(struct world *w, int shop, int what, uint32_t request, int64_t ms)
{
    struct event *e = after(w, ms, SHOP_NODE(shop), on_due);
    e->a = w->members[shop].conn;
    e->b = what;
    e->request = request;
}

static void on_connect(struct world *w, struct event *e)
{
    int shop = e->node - DEVICES;
    struct member *m = &w->members[shop];
    if (m->conn != 0)
        return;
    m->conn = conn_open(w, e->node, DIRECTORY_NODE);
    if (m->conn == 0) {
        after(w, between(w, 1000, w->calm ? 3000 : 30000), e->node, on_connect);
        return;
    }
    struct conn *c = w->conns[m->conn];
    memcpy(c->caller.key, shop_at(w, shop)->keys->tls.public_key, sizeof(c->caller.key));
    memcpy(c->key, w->directory.shop.keys->tls.public_key, sizeof(c->key));
    m->ready = m->resynced = false;
    m->next_request = 1;
    due(w, shop, DUE_GREETING, 1, 10000);
    struct buf keyset CLEANUP(buf_free) = buf(FRAME_TAIL_MAX);
    directory_keyset(w, shop, &keyset);
    conn_send(w, m->conn, DIRECTORY_NODE, msg_Type_KEYSET, 0, slice(NULL, 0), buf_slice(&keyset));
}

static void meet(struct world *w, int shop, const struct event *e)
{
    static doc_Keyset keyset;
    struct shop *s = shop_at(w, shop);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct buf own CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX), *shown = &w->members[shop].shown;
    begin(&t, s);
    int r = keyset_meet(s->o, &w->directory.shop.keys->self, buf_slice(&e->tail), w->conns[e->a]->key, w->town.now_ms,
                        &keyset);
    MUST(r >= 0);
    if (!commit(w, &t, shop))
        return;
    if (r == 0 && slice_equal(buf_slice(&e->tail), buf_slice(&w->directory.older_keyset)))
        broken("%s takes the directory's older keyset", node_name(e->node));
    if (r > 0) {
        hang_up(w, shop, (enum reason)r);
        return;
    }
    MUST(buf_append(&own, buf_slice(&w->operators[shop].shown)) == 0);
    buf_clear(shown);
    MUST(buf_append(shown, buf_slice(&own)) == 0);
    msg_Hello hello = { .role = REQUESTS_DISTRIBUTOR };
    conn_send_as(w, e->a, e->node, msg_Type_HELLO, 1, msg_Hello_fields, &hello, buf_slice(&own));
}

/* ---- ours to the directory ---------------------------------------------------------------------------------------------------- */

static void push(struct world *w, int shop, bool probe)
{
    struct member *m = &w->members[shop];
    struct shop *s = shop_at(w, shop);
    if (!m->ready || m->push_request != 0 || !operator_serves(w, shop))
        return;
    struct buf keyset CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    MUST(keyset_current(s->o, &keyset) == 0);
    if (!slice_equal(buf_slice(&keyset), buf_slice(&m->shown))) { /* rows by new keys: it has to know them first */
        if (!slice_equal(buf_slice(&w->operators[shop].shown), buf_slice(&m->shown)))
            hang_up(w, shop, REASON_CANCELLED);
        return;
    }
    m->rows_seen = s->o->rows_put;
    MUST(directory_member_read(s->o, &m->outbox) == 0);
    if (m->outbox.count == 0 && !probe)
        return;
    msg_SharePush message = { .count = m->outbox.count };
    m->push_request = ++m->next_request;
    due(w, shop, DUE_PUSH, m->push_request, PUSH_TIMEOUT_MS);
    conn_send_as(w, m->conn, SHOP_NODE(shop), msg_Type_SHARE_PUSH, m->push_request, msg_SharePush_fields, &message,
                 buf_slice(&m->outbox.rows));
}

void member_poke(struct world *w, int shop)
{
    if (w->members[shop].rows_seen != shop_at(w, shop)->o->rows_put)
        push(w, shop, false);
}

static void pushed(struct world *w, int shop, const struct event *e)
{
    struct member *m = &w->members[shop];
    struct shop *s = shop_at(w, shop);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    msg_SharePushed answer;
    m->push_request = 0;
    enum reason why = event_reason(e, msg_Type_SHARE_PUSHED);
    if (why == REASON_NONE)
        MUST(CODEC_DECODE(msg_SharePushed, buf_slice(&e->message), &answer) == 0);
    enum directory_pushed outcome =
        why == REASON_NONE ? directory_member_judge(&m->outbox, answer.sequence) : DIRECTORY_PUSHED_NONE;
    if (outcome == DIRECTORY_PUSHED_NONE) {
        hang_up(w, shop, why == REASON_NONE ? REASON_OUT_OF_STEP : why);
        return;
    }
    begin(&t, s);
    MUST((outcome == DIRECTORY_PUSHED ? directory_member_confirm : directory_member_ahead)(s->o, &m->outbox) == 0);
    if (commit(w, &t, shop) && outcome == DIRECTORY_PUSHED && m->outbox.stored < m->outbox.newest)
        push(w, shop, false);
    else if (w->up[SHOP_NODE(shop)])
        member_poke(w, shop);
}

/* ---- everybody's to us ---------------------------------------------------------------------------------------------------------- */

static void pull(struct world *w, int shop, enum member_pull which, bool is_probe)
{
    struct member *m = &w->members[shop];
    struct pull_under_way *p = &m->pulls[which];
    uint64_t cursor = 0;
    MUST(share_cursor(shop_at(w, shop)->o, &cursor) == 0);
    is_probe = is_probe && cursor > 0;
    p->page =
        (struct directory_page){ .is_probe = is_probe, .may_read_again = !m->resynced, .after = cursor - is_probe };
    p->request = ++m->next_request;
    msg_SharePull message = { .after = p->page.after, .wait_ms = which == MEMBER_POLLS && !is_probe ? POLL_MS : 0 };
    due(w, shop, which == MEMBER_POLLS ? DUE_POLL : DUE_ASK, p->request,
        which == MEMBER_POLLS ? POLL_TIMEOUT_MS : ASK_TIMEOUT_MS);
    CONN_SEND(w, m->conn, SHOP_NODE(shop), SHARE_PULL, p->request, msg_SharePull, &message);
}

static void on_pause(struct world *w, struct event *e)
{
    if (member_at(w, e->node)->conn == e->a && member_at(w, e->node)->ready)
        pull(w, e->node - DEVICES, MEMBER_POLLS, false);
}

static void pulled(struct world *w, int shop, enum member_pull which, const struct event *e)
{
    struct member *m = &w->members[shop];
    struct shop *s = shop_at(w, shop);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct directory_page *page = &m->pulls[which].page;
    msg_SharePulled answer;
    m->pulls[which].request = 0;
    MUST(event_reason(e, msg_Type_SHARE_PULLED) == REASON_NONE);
    MUST(CODEC_DECODE(msg_SharePulled, buf_slice(&e->message), &answer) == 0);
    page->next = answer.next;
    page->count = answer.count;
    page->rows = buf_slice(&e->tail);
    int r = page->next < page->after ? REASON_MALFORMED : 0;
    if (r == 0 && (page->count > 0 || page->is_probe)) {
        begin(&t, s);
        r = directory_member_take(s->o, page, w->town.now_ms);
        MUST(r >= 0 && r != SHARE_AHEAD); /* nobody can sign what this shop has not */
        if (r > 0)
            transaction_end(&t);
        else if (!commit(w, &t, shop))
            return;
    }
    if (r > 0) {
        hang_up(w, shop, (enum reason)r);
        return;
    }
    if (page->count > 0 || page->is_probe)
        trace(w, "%s has read %u rows after %llu, to %llu:%s%s", node_name(e->node), page->count,
              (unsigned long long)page->after, (unsigned long long)page->next, page->gap ? " with a gap" : "",
              page->reads_again ? " and reads again" : "");
    m->resynced = m->resynced || page->reads_again;
    bool more = page->count > 0 || page->reads_again || page->is_probe;
    if (which == MEMBER_POLLS && page->nothing_new)
        after(w, PAUSE_MS, e->node, on_pause)->a = e->a;
    else if (which == MEMBER_POLLS || (more && !page->nothing_new))
        pull(w, shop, which, false);
    else
        release(w, m);
}

/* ---- frames ------------------------------------------------------------------------------------------------------------------------ */

void member_hears(struct world *w, struct event *e)
{
    int shop = e->node - DEVICES;
    struct member *m = &w->members[shop];
    if (m->conn != e->a)
        return;
    if (e->type == msg_Type_KEYSET && e->request == 0)
        meet(w, shop, e);
    else if (e->request == 1 && event_reason(e, msg_Type_WELCOME) == REASON_NONE) {
        trace(w, "%s has reached the directory", node_name(e->node));
        m->ready = true;
        push(w, shop, true);
        if (m->ready)
            pull(w, shop, MEMBER_POLLS, true);
    } else if (e->request == 1)
        hang_up(w, shop, event_reason(e, msg_Type_WELCOME));
    else if (e->request == m->push_request)
        pushed(w, shop, e);
    else
        for (int which = MEMBER_POLLS; which <= MEMBER_ASKS; which++)
            if (e->request == m->pulls[which].request) {
                pulled(w, shop, (enum member_pull)which, e);
                return;
            }
}

/* ---- the other shop itself ----------------------------------------------------------------------------------------------------------- */

/* ROWS_GET until there are no more: one step here, in which the asking shop alone writes. */
bool member_ask_origin(struct world *w, int shop)
{
    struct shop *s = shop_at(w, shop), *other = shop_at(w, 1 - shop);
    struct partner p;
    msg_Rows rows = { .count = 1 };
    uint64_t at = 0;
    if (!can_reach(w, SHOP_NODE(shop), SHOP_NODE(1 - shop)) || !operator_serves(w, shop) ||
        !operator_serves(w, 1 - shop))
        return false;
    MUST(delegations_partner_find(s->o, &other->keys->self, &p) == 0);
    MUST(origin_rows_after(s->o, p.number, &at) == 0);
    while (rows.count > 0) {
        struct reply reply CLEANUP(reply_free);
        struct transaction t CLEANUP(transaction_end) = { 0 };
        struct caller who = { .role = REQUESTS_DISTRIBUTOR, .partner = s->keys->self, .partner_keyset = &s->keyset };
        msg_RowsGet get = { .after = at };
        reply_init(&reply);
        memcpy(who.key, s->keys->tls.public_key, sizeof(who.key));
        if (RUN(other, &who, ROWS_GET, msg_RowsGet, &get, &reply) != 0)
            return false;
        REPLY_AS(&reply, ROWS, msg_Rows, &rows);
        begin(&t, s);
        int r = origin_rows_take(s->o, p.number, &rows, buf_slice(&reply.tail), w->town.now_ms, &at);
        MUST(r >= 0);
        if (!commit(w, &t, shop) || r > 0)
            return false;
    }
    return true;
}

static void on_compare(struct world *w, struct event *e)
{
    int shop = e->node - DEVICES;
    if (!w->members[shop].ready || chance(w, 4) == 0)
        (void)member_ask_origin(w, shop);
    if (w->up[e->node])
        member_poke(w, shop);
    if (w->up[e->node])
        after(w, between(w, 5000, 60000), e->node, on_compare);
}

/* ---- life ---------------------------------------------------------------------------------------------------------------------------------- */

void member_start(struct world *w, int shop)
{
    w->members[shop].shown = buf(KEYSET_ENVELOPE_MAX);
    after(w, between(w, 1, 500), SHOP_NODE(shop), on_connect);
    after(w, between(w, 5000, 60000), SHOP_NODE(shop), on_compare);
}

void member_stop(struct world *w, int shop)
{
    struct member *m = &w->members[shop];
    release(w, m); /* dropped: they are of the life before */
    buf_free(&m->outbox.rows);
    buf_free(&m->shown);
    memset(m, 0, sizeof(*m));
}

bool members_have_settled(struct world *w)
{
    uint64_t last;
    struct partner p;
    struct share_progress progress;
    for (int shop = 0; shop < SHOPS; shop++) {
        struct shop *s = shop_at(w, shop), *other = shop_at(w, 1 - shop);
        MUST(share_outbox_last(other->o, &last) == 0);
        MUST(delegations_partner_find(s->o, &other->keys->self, &p) == 0);
        MUST(share_progress(s->o, p.number, &progress) == 0);
        if (!w->members[shop].ready || progress.taken != last || progress.directory != last ||
            directory_has(w, 1 - shop) != last)
            return false;
    }
    return true;
}
