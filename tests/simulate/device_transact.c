/* Transactions and purchases. As src/daemon's transact.c, transact_keep.c and get.c. */
#include "device.h"

#define RETRY_MS 5000

/* ---- transactions ------------------------------------------------------------------------------------------------------- */

void service_put_transaction(struct device *d, struct world *w, int shop, struct slice id, struct slice items)
{
    struct query q CLEANUP(query_end) = query(device_store(d), DB_TRANSACTION_SET);
    query_bind_blob(&q, 1, SLICE_ARRAY(shop_id(w, shop)->bytes));
    query_bind_i64(&q, 2, d->services[shop].client.bit);
    if (id.len > 0) {
        query_bind_blob(&q, 3, id);
        query_bind_blob(&q, 4, items);
    } else {
        query_bind_null(&q, 3);
        query_bind_null(&q, 4);
    }
    MUST(query_run(&q) == 0);
}

void service_put_account(struct world *w, struct device *d, int shop, bool guest)
{
    struct query q CLEANUP(query_end) = query(device_store(d), guest ? DB_GUEST_PUT : DB_ACCOUNT_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(shop_id(w, shop)->bytes));
    query_bind_text(&q, 2, "shop:7700");
    if (!guest) {
        query_bind_text(&q, 3, node_name(SHOP_NODE(shop)));
        query_bind_text(&q, 4, d->user);
    }
    MUST(query_run(&q) == 0);
}

static struct purchase *find_purchase(struct world *w, const uint8_t id[TXN_ID_BYTES])
{
    for (int i = 0; i < w->purchase_count; i++)
        if (memcmp(w->purchases[i].id, id, TXN_ID_BYTES) == 0)
            return &w->purchases[i];
    return NULL;
}

/* Its row is gone: it was granted if the license is here, and otherwise it was not and never will be. */
static void end_purchase(struct world *w, struct purchase *p)
{
    p->finished = true;
    p->granted = p->kept || p->owed;
    w->sold[p->content] -= !p->granted && !p->renewal;
    w->renewed += p->granted && p->renewal;
}

void service_send(struct world *w, struct device *d, int shop)
{
    struct service *s = &d->services[shop];
    struct buf bytes CLEANUP(buf_free) = buf(msg_Transact_size);
    if (s->stage != TXN_SENDING || s->in_flight || !s->ready || !s->presented)
        return;
    msg_Transact m = { .session = s->number, .bit = txn_client_bit(&s->client), .count = 1 };
    memcpy(m.transaction, s->client.id, TXN_ID_BYTES);
    MUST(CODEC_ENCODE(msg_Transact, &bytes, &m) == 0);
    s->in_flight = true;
    (void)service_ask(w, d, shop, ASKED_TRANSACT, 0, msg_Type_TRANSACT, buf_slice(&bytes), buf_slice(&s->items));
}

static void on_retry(struct world *w, struct event *e) { service_send(w, &w->devices[e->node], e->a); }

static void try_later(struct world *w, struct device *d, int shop)
{
    d->services[shop].stage = TXN_SENDING;
    after(w, RETRY_MS, d->node, on_retry)->a = shop;
}

static void on_stored(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    d->services[e->a].stage = TXN_SENDING;
    service_send(w, d, e->a);
}

void service_submit(struct world *w, struct device *d, int shop, const msg_Item *item, int copy)
{
    struct service *s = &d->services[shop];
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct buf one CLEANUP(buf_free) = buf(msg_Item_size);
    uint32_t bit;
    MUST(s->stage == TXN_IDLE);
    s->item = *item;
    s->copy = copy;
    s->resumed = false;
    buf_clear(&s->items);
    MUST(CODEC_ENCODE(msg_Item, &one, item) == 0 && codec_list_put(&s->items, buf_slice(&one)) == 0);
    txn_client_begin(&s->client, &d->rng.rng, &bit);
    s->stage = TXN_STORING;
    if (item->has_purchase) {
        MUST(w->purchase_count < PURCHASES_MAX);
        struct purchase *p = &w->purchases[w->purchase_count++];
        *p = (struct purchase){ .device = d->node, .shop = shop, .content = s->quoted, .renewal = s->renews };
        w->sold[s->quoted] += !s->renews;
        memcpy(p->id, s->client.id, TXN_ID_BYTES);
    }
    trace(w, "%s begins a transaction with %s: %s", node_name(d->node), node_name(SHOP_NODE(shop)),
          item->has_purchase  ? "purchase"
          : item->has_restore ? "restore"
                              : "copy");
    device_begin(d, &t);
    if (!s->registered) {
        service_put_account(w, d, shop, true);
        s->registered = shop != d->home;
    }
    service_put_transaction(d, w, shop, SLICE_ARRAY(s->client.id), buf_slice(&s->items));
    device_commit(w, d, &t, on_stored, shop, 0, 0);
}

/* --- finishing: the row goes when every result is safe --- */

/* What was paid for, and came signed by a key that had been withdrawn when it came. */
static struct purchase *find_owed(struct world *w, int device, int content)
{
    for (int i = 0; i < w->purchase_count; i++) {
        struct purchase *p = &w->purchases[i];
        if (p->device == device && p->owed && p->finished && (content < 0 || p->content == content))
            return p;
    }
    return NULL;
}

bool service_restores(struct world *w, struct device *d)
{
    struct service *s = &d->services[d->home];
    const struct purchase *p = find_owed(w, d->node, -1);
    msg_Item item = msg_Item_init_zero;
    if (!p)
        return false;
    if (!w->up[d->node] || !s->ready || !s->presented || s->quoting || s->stage != TXN_IDLE)
        return true;
    item.has_restore = true;
    memcpy(item.restore.content, w->contents[p->content].id.bytes, ID_BYTES);
    service_submit(w, d, d->home, &item, 0);
    return true;
}

static void on_finished(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    struct service *s = &d->services[e->a];
    s->stage = TXN_IDLE;
    if (s->conn != 0 && chance(w, 3) != 0) { /* the next one's bit commits as well */
        msg_Commit commit = { .session = s->number, .bit = s->client.bit };
        memcpy(commit.transaction, e->message.data, TXN_ID_BYTES);
        CONN_SEND(w, s->conn, d->node, COMMIT, 0, msg_Commit, &commit);
    }
    if (e->b != 0)
        copies_outcome(w, d, e->b, (enum reason)e->n);
    copies_go(w, d);
}

static void finish(struct world *w, struct device *d, int shop, enum reason why, bool answered)
{
    struct service *s = &d->services[shop];
    struct transaction t CLEANUP(transaction_end) = { 0 };
    uint8_t id[TXN_ID_BYTES];
    struct purchase *p = find_purchase(w, s->client.id);
    memcpy(id, s->client.id, TXN_ID_BYTES);
    s->stage = TXN_FINISHING;
    if (answered)
        MUST(txn_client_finish(&s->client, txn_client_bit(&s->client), id));
    s->client.outstanding = false;
    device_begin(d, &t);
    service_put_transaction(d, w, shop, slice(NULL, 0), slice(NULL, 0));
    MUST(transaction_commit(&t) == 0);
    if (node_failed(w, d->node))
        return;
    if (p)
        end_purchase(w, p);
    trace(w, "%s has finished: %s", node_name(d->node), reason_code(why));
    struct event *e = after(w, between(w, 0, 10), d->node, on_finished);
    e->a = shop;
    e->b = s->copy;
    e->n = why;
    MUST(buf_append(&e->message, SLICE_ARRAY(id)) == 0);
}

static void on_license_stored(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    struct service *s = &d->services[e->a];
    enum reason why = event_reason(e, vlt_Type_DONE);
    if (why == REASON_CLOCK_UNTRUSTED) {
        try_later(w, d, e->a);
        return;
    }
    struct purchase *p = find_purchase(w, s->client.id);
    if (why == REASON_SIGNATURE_INVALID && operator_has_withdrawn(w, e->a, KEY_LICENSE)) {
        trace(w, "%s has to ask for it again", node_name(d->node));
        if (p)
            p->owed = true;
        finish(w, d, e->a, why, true);
        return;
    }
    MUST(why == REASON_NONE); /* it was paid for */
    int content = promises_acknowledged(w, d->node, CODEC_BYTES(s->result.license));
    d->body[content] = true;
    buf_free(&d->old_license[e->a]);
    d->old_license[e->a] = buf(sizeof(s->result.license.bytes));
    MUST(buf_append(&d->old_license[e->a], CODEC_BYTES(s->result.license)) == 0);
    if (p) {
        p->kept = true;
        p->owed = false;
    }
    w->restored += s->item.has_restore;
    while (s->item.has_restore && (p = find_owed(w, d->node, content)) != NULL)
        p->owed = false;
    finish(w, d, e->a, REASON_NONE, true);
}

void service_item_stored(struct world *w, struct device *d, int shop) { finish(w, d, shop, REASON_NONE, true); }

static void keep_license(struct world *w, struct device *d, int shop)
{
    struct service *s = &d->services[shop];
    vlt_LicenseStore store = { .has_header = s->result.has_header };
    MUST(CODEC_SET_BYTES(store.license, CODEC_BYTES(s->result.license)) == 0);
    MUST(CODEC_SET_BYTES(store.header, CODEC_BYTES(s->result.header)) == 0);
    ASK_VAULT(w, d, LICENSE_STORE, vlt_LicenseStore, &store, on_license_stored, shop, 0, 0);
}

static int content_asked(const struct world *w, const msg_Item *item)
{
    struct id content = id_from(item->restore.content);
    return content_of(w, &content);
}

static bool take_answer(struct service *s, const struct event *e)
{
    msg_Transacted m;
    struct reader r = reader(buf_slice(&e->tail));
    struct slice one;
    return CODEC_DECODE(msg_Transacted, buf_slice(&e->message), &m) == 0 && m.bit == txn_client_bit(&s->client) &&
           memcmp(m.transaction, s->client.id, TXN_ID_BYTES) == 0 && m.count == 1 &&
           codec_list_next(&r, msg_Result_size, &one) == 0 && CODEC_DECODE(msg_Result, one, &s->result) == 0;
}

void service_answered(struct world *w, struct device *d, int shop, const struct event *e)
{
    struct service *s = &d->services[shop];
    s->in_flight = false;
    if (s->stage != TXN_SENDING)
        return; /* a repetition */
    switch (event_reason(e, msg_Type_TRANSACTED)) {
    case REASON_NONE:
        break;
    case REASON_SESSION_REPLACED:
        service_hang_up(w, d, shop);
        return;
    case REASON_OUT_OF_STEP:
        broken("%s is out of step with %s", node_name(d->node), node_name(SHOP_NODE(shop)));
    case REASON_UNKNOWN_DEVICE:
    case REASON_DEVICE_REVOKED:
    case REASON_NOT_REGISTERED:
    case REASON_NOT_PERMITTED:
    case REASON_MALFORMED:
        finish(w, d, shop, event_reason(e, msg_Type_TRANSACTED), false);
        return;
    default:
        try_later(w, d, shop);
        return;
    }
    MUST(take_answer(s, e));
    s->stage = TXN_KEEPING;
    if (s->result.has_refusal && s->item.has_restore && !w->removing[d->node] &&
        find_owed(w, d->node, content_asked(w, &s->item)))
        broken("%s does not get what it has paid for: %s", node_name(d->node), s->result.refusal.code);
    if (s->result.has_refusal)
        finish(w, d, shop, reason_of_code(s->result.refusal.code), true);
    else if (s->item.has_purchase || s->item.has_restore)
        keep_license(w, d, shop);
    else if (!copies_granted(w, d, shop, &s->item.copy, &s->result))
        finish(w, d, shop, REASON_NONE, true);
}

/* ---- purchases ------------------------------------------------------------------------------------------------------------ */

void device_wish_purchase(struct world *w, struct device *d, int content, bool renewal)
{
    struct service *s = &d->services[d->home];
    msg_QuoteGet m = { .product = 0, .has_kind = renewal, .kind = 2 };
    struct buf bytes CLEANUP(buf_free) = buf(msg_QuoteGet_size);
    if (!w->up[d->node] || !s->ready || !s->registered || !s->presented || s->quoting || s->stage != TXN_IDLE)
        return;
    trace(w, "%s wishes to %s %d", node_name(d->node), renewal ? "renew" : "buy", content);
    memcpy(m.content, w->contents[content].id.bytes, ID_BYTES);
    MUST(CODEC_ENCODE(msg_QuoteGet, &bytes, &m) == 0);
    s->quoting = true;
    s->quoted = content;
    s->renews = renewal;
    (void)service_ask(w, d, d->home, ASKED_QUOTE, content, msg_Type_QUOTE_GET, buf_slice(&bytes), slice(NULL, 0));
}

void service_quoted(struct world *w, struct device *d, int shop, const struct event *e)
{
    struct service *s = &d->services[shop];
    msg_Quote answer;
    msg_Item item = msg_Item_init_zero;
    s->quoting = false;
    if (event_reason(e, msg_Type_QUOTE) != REASON_NONE || s->stage != TXN_IDLE) {
        copies_go(w, d);
        return;
    }
    MUST(CODEC_DECODE(msg_Quote, buf_slice(&e->message), &answer) == 0);
    item.has_purchase = true;
    MUST(CODEC_SET_BYTES(item.purchase.quote, CODEC_BYTES(answer.quote)) == 0);
    service_submit(w, d, shop, &item, 0);
}

void device_wish_restore(struct world *w, struct device *d, int content)
{
    struct service *s = &d->services[d->home];
    msg_Item item = msg_Item_init_zero;
    if (!w->up[d->node] || !s->ready || !s->registered || !s->presented || s->quoting || s->stage != TXN_IDLE)
        return;
    trace(w, "%s wishes to restore %d", node_name(d->node), content);
    item.has_restore = true;
    memcpy(item.restore.content, w->contents[content].id.bytes, ID_BYTES);
    service_submit(w, d, d->home, &item, 0);
}

/* ---- what an earlier run has left ---- */

void services_load(struct world *w, struct device *d)
{
    struct query q CLEANUP(query_end) = query(device_store(d), DB_ACCOUNTS);
    while (query_step(&q) == STORE_ROW) {
        struct service *s = &d->services[shop_of_issuer(w, query_blob(&q, 0).data)];
        s->registered = true;
        s->client.bit = (uint8_t)query_u32(&q, 4);
        if (query_is_null(&q, 5))
            continue;
        struct slice items = query_blob(&q, 6), one;
        struct reader r = reader(items);
        query_fixed(&q, 5, s->client.id, TXN_ID_BYTES);
        s->client.outstanding = true;
        s->resumed = true;
        s->wanted = true;
        s->stage = TXN_SENDING;
        MUST(buf_append(&s->items, items) == 0 && codec_list_next(&r, msg_Item_size, &one) == 0);
        MUST(CODEC_DECODE(msg_Item, one, &s->item) == 0);
    }
    MUST(query_check(&q) == 0);
    for (int i = 0; i < w->purchase_count; i++) { /* the power may have failed just when it was stored, or finished */
        struct purchase *p = &w->purchases[i];
        const struct txn_client *c = &d->services[p->shop].client;
        if (p->device == d->node && !p->finished && (!c->outstanding || memcmp(c->id, p->id, TXN_ID_BYTES) != 0))
            end_purchase(w, p);
    }
}
