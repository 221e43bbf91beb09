/* A device: its vault, its database, its outbox, and its life. As src/daemon's vault_client.c, db.c and outbox.c. */
#include "device.h"

#define REPORT_RETRY_MS 30000

int shop_of_issuer(const struct world *w, const uint8_t *issuer)
{
    return id_equal(&w->town.a.keys->self, issuer) ? 0 : 1;
}

/* ---- vault and database ---- */

static void set_clock(struct world *w, struct device *d)
{
    d->clock.wall = w->town.now_ms + d->skew_ms;
    d->clock.mono = world_mono(w);
}

struct frame event_frame(const struct event *e)
{
    return (struct frame){ e->type, e->request, buf_slice(&e->message), buf_slice(&e->tail) };
}

enum reason event_reason(const struct event *e, uint16_t expected)
{
    struct frame f = event_frame(e);
    return reason_of_reply(&f, expected, NULL);
}

void ask_vault(struct world *w, struct device *d, uint16_t type, const pb_msgdesc_t *fields, const void *message,
               struct slice tail, event_fn *then, int a, int b, int64_t n)
{
    struct buf frame CLEANUP(buf_free) = buf(FRAME_MAX), answer CLEANUP(buf_free) = buf(FRAME_MAX);
    struct frame f;
    size_t used, need;
    if (!w->up[d->node])
        return;
    set_clock(w, d);
    MUST(codec_frame(&frame, type, 1, fields, message, tail) == 0);
    vault_side_ask(d->vault, buf_slice(&frame), &answer);
    w->dirty[d->node] = true;
    if (node_failed(w, d->node))
        return;
    MUST(frame_split(buf_slice(&answer), FRAME_TAIL_MAX, &f, &used, &need) == 0 && used == answer.len);
    if (f.type == msg_Type_REFUSAL) {
        msg_Refusal refusal;
        MUST(CODEC_DECODE(msg_Refusal, f.message, &refusal) == 0);
        trace(w, "the vault of %s refuses %u: %s", node_name(d->node), type, refusal.code);
        MUST(strcmp(refusal.code, "internal") != 0);
    }
    struct event *e = after(w, between(w, 0, 10), d->node, then);
    e->a = a;
    e->b = b;
    e->n = n;
    e->type = f.type;
    MUST(buf_append(&e->message, f.message) == 0 && buf_append(&e->tail, f.tail) == 0);
}

struct store *device_store(struct device *d) { return db_store(d->db); }

void device_begin(struct device *d, struct transaction *t) { MUST(transaction_begin(t, device_store(d)) == 0); }

void device_commit(struct world *w, struct device *d, struct transaction *t, event_fn *then, int a, int b, int64_t n)
{
    MUST(transaction_commit(t) == 0);
    if (node_failed(w, d->node) || !then)
        return;
    struct event *e = after(w, between(w, 0, 10), d->node, then);
    e->a = a;
    e->b = b;
    e->n = n;
}

/* ---- reports ---------------------------------------------------------------------------------------------------------------- */

void outbox_put(struct device *d, const struct id *shop, uint16_t type, struct slice message)
{
    struct query q CLEANUP(query_end) = query(device_store(d), DB_OUTBOX_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(shop->bytes));
    query_bind_i64(&q, 2, type);
    query_bind_blob(&q, 3, message);
    MUST(query_run(&q) == 0);
}

static bool under_way(struct device *d, int64_t row)
{
    for (size_t i = 0; i < ARRAY_COUNT(d->reports); i++)
        if (d->reports[i] == row)
            return true;
    return false;
}

/* To its own distributor or, when this device is not known there, any other: it relays. -1: none can be reached. */
static int shop_for(struct world *w, struct device *d, const uint8_t issuer[ID_BYTES])
{
    int shop = shop_of_issuer(w, issuer);
    shop = d->services[shop].ready && d->services[shop].known ? shop : d->home;
    return d->services[shop].ready && d->services[shop].known ? shop : -1;
}

static bool take_place(struct device *d, int64_t row, int64_t parcel)
{
    for (size_t i = 0; i < ARRAY_COUNT(d->reports); i++)
        if (d->reports[i] == 0) {
            d->reports[i] = row;
            d->parcels[i] = parcel;
            return true;
        }
    return false;
}

/* Redemptions that wait go together. */
static void send_redemptions(struct world *w, struct device *d, int to)
{
    struct buf tail CLEANUP(buf_free) = buf(ASKED_MAX * (msg_Redeem_size + 4)),
                    message CLEANUP(buf_free) = buf(msg_Redeems_size);
    msg_Redeems m = { .count = 0 };
    int64_t first = 0;
    struct query q CLEANUP(query_end) = query(device_store(d), DB_OUTBOX);
    while (query_step(&q) == STORE_ROW) {
        int64_t row = query_i64(&q, 0);
        if (query_u32(&q, 2) != msg_Type_REDEEM || under_way(d, row) || shop_for(w, d, query_blob(&q, 1).data) != to ||
            !take_place(d, row, first == 0 ? row : first))
            continue;
        first = first == 0 ? row : first;
        MUST(codec_list_put(&tail, query_blob(&q, 3)) == 0);
        m.count++;
    }
    MUST(CODEC_ENCODE(msg_Redeems, &message, &m) == 0);
    if (m.count > 0)
        (void)service_ask(w, d, to, ASKED_REPORT, first, msg_Type_REDEEMS, buf_slice(&message), buf_slice(&tail));
}

void outbox_go(struct world *w, struct device *d)
{
    if (!w->up[d->node])
        return;
    for (int shop = 0; shop < SHOPS; shop++)
        send_redemptions(w, d, shop);
    struct query q CLEANUP(query_end) = query(device_store(d), DB_OUTBOX);
    while (query_step(&q) == STORE_ROW) {
        int64_t row = query_i64(&q, 0);
        int shop = shop_for(w, d, query_blob(&q, 1).data);
        if (query_u32(&q, 2) != msg_Type_REDEEM && shop >= 0 && !under_way(d, row) && take_place(d, row, row))
            (void)service_ask(w, d, shop, ASKED_REPORT, row, (uint16_t)query_u32(&q, 2), query_blob(&q, 3),
                              slice(NULL, 0));
    }
}

static void on_report_retry(struct world *w, struct event *e) { outbox_go(w, &w->devices[e->node]); }

static bool is_passing(enum reason why)
{
    return why == REASON_OFFLINE || why == REASON_TIMED_OUT || why == REASON_RATE_LIMITED ||
           why == REASON_SESSION_REPLACED || why == REASON_NOT_REGISTERED || why == REASON_UNKNOWN_DEVICE;
}

/* What was said of one report: of redemptions, what stands in their list. */
static enum reason said(const struct event *e, struct reader *results)
{
    msg_Result result;
    struct slice one;
    if (e->type != msg_Type_REDEEMED)
        return event_reason(e, msg_Type_OK);
    MUST(codec_list_next(results, msg_Result_size, &one) == 0 && CODEC_DECODE(msg_Result, one, &result) == 0);
    return result.has_refusal ? reason_of_code(result.refusal.code) : REASON_NONE;
}

/* parcel: the first row of what was sent; its rows are in the order in which they were. */
void outbox_answered(struct world *w, struct device *d, int64_t parcel, const struct event *e)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct reader results = reader(buf_slice(&e->tail));
    int64_t rows[ASKED_MAX];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(d->reports); i++)
        if (d->reports[i] != 0 && d->parcels[i] == parcel) {
            size_t at = count++;
            for (; at > 0 && rows[at - 1] > d->reports[i]; at--)
                rows[at] = rows[at - 1];
            rows[at] = d->reports[i];
            d->reports[i] = 0;
        }
    device_begin(d, &t);
    for (size_t i = 0; i < count; i++) {
        enum reason why = said(e, &results);
        if (is_passing(why)) {
            after(w, REPORT_RETRY_MS, d->node, on_report_retry);
            continue;
        }
        trace(w, "%s has reported: %s", node_name(d->node), reason_code(why));
        struct query q CLEANUP(query_end) = query(device_store(d), DB_OUTBOX_DELETE);
        query_bind_i64(&q, 1, rows[i]);
        MUST(query_run(&q) == 0);
    }
    device_commit(w, d, &t, NULL, 0, 0, 0);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------------- */

static void open_databases(struct world *w, struct device *d)
{
    uint8_t boot[16];
    char dir[128];
    rng_fill(&d->rng.rng, boot, sizeof(boot));
    set_clock(w, d);
    (void)snprintf(dir, sizeof(dir), "%s/vault", d->dir);
    MUST(vault_side_open(&d->vault, dir, &d->clock.clock, &d->rng.rng, boot, &d->who) == 0);
    MUST(db_open(&d->db, NULL, d->dir) == 0);
}

void device_make(struct world *w, struct device *d)
{
    rng_fake_init(&d->rng, (unsigned)d->node);
    clock_fake_init(&d->clock, w->town.now_ms);
    open_databases(w, d);
    device_stop(w, d);
}

void device_start(struct world *w, struct device *d)
{
    open_databases(w, d);
    if (node_failed(w, d->node))
        return;
    d->client = id_from(d->who.client);
    for (int i = 0; i < SHOPS; i++) {
        d->services[i].items = buf(4096);
        d->services[i].reply_tail = buf(0);
    }
    promises_open(w, d->node);
    services_load(w, d);
    copies_load(w, d);
    for (int shop = 0; shop < SHOPS; shop++)
        service_connect(w, d, shop, between(w, 1, 500));
}

void device_stop(struct world *w, struct device *d)
{
    (void)w;
    copies_free(d);
    for (int i = 0; i < SHOPS; i++) {
        greet_deinit(&d->services[i].greet);
        buf_free(&d->services[i].items);
        buf_free(&d->services[i].reply_tail);
    }
    memset(d->services, 0, sizeof(d->services));
    memset(d->reports, 0, sizeof(d->reports));
    vault_side_close(steal(&d->vault));
    if (d->db)
        db_close(steal(&d->db));
}

bool device_is_idle(struct world *w, struct device *d)
{
    struct query q CLEANUP(query_end) = query(device_store(d), DB_OUTBOX);
    return d->services[d->home].registered && d->services[0].stage == TXN_IDLE && d->services[1].stage == TXN_IDLE &&
           copies_are_idle(w, d) && query_step(&q) == 0 && !service_restores(w, d);
}
