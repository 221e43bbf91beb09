/* Copies and moves, as their source: what drives copy_out.h, but for the certificate (device_copy_ask.c). As src/daemon's copy*.c. */
#include "device.h"

struct copy *copy_numbered(struct device *d, int number)
{
    for (size_t i = 0; number != 0 && i < ARRAY_COUNT(d->copies); i++)
        if (d->copies[i].number == number)
            return &d->copies[i];
    return NULL;
}

struct copy *copy_of(struct world *w, const struct event *e) { return copy_numbered(&w->devices[e->node], e->a); }

int content_of(const struct world *w, const struct id *content)
{
    for (int i = 0; i < CONTENTS; i++)
        if (id_equal(&w->contents[i].id, content))
            return i;
    broken("a content that nobody has published");
}

struct copy *copy_new(struct world *w, struct device *d, const struct copy_out_subject *about)
{
    for (size_t i = 0; i < ARRAY_COUNT(d->copies); i++) {
        struct copy *c = &d->copies[i];
        if (c->number != 0)
            continue;
        *c = (struct copy){ .number = ++w->copy_count, .item_shop = -1 };
        copy_out_init(&c->m, about);
        return c;
    }
    return NULL;
}

/* ---- the source: storing ----------------------------------------------------------------------------------------------- */

static void bind_papers(struct query *q, int first, const struct copy_out *m, bool with_receipt)
{
    const struct buf *papers[] = { &m->certificate, &m->delegation, &m->receipt };
    for (int i = 0; i < 2 + with_receipt; i++)
        if (papers[i]->len > 0)
            query_bind_blob(q, first + i, buf_slice(papers[i]));
        else
            query_bind_null(q, first + i);
}

static void add_row(struct device *d, struct copy *c, enum copy_out_state to)
{
    struct query q CLEANUP(query_end) = query(device_store(d), DB_COPY_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(c->m.about.issuer.bytes));
    query_bind_blob(&q, 2, SLICE_ARRAY(c->m.about.content.bytes));
    query_bind_blob(&q, 3, SLICE_ARRAY(c->m.about.license_id));
    query_bind_blob(&q, 4, SLICE_ARRAY(c->m.about.destination.bytes));
    query_bind_i64(&q, 5, c->m.about.move);
    query_bind_i64(&q, 6, 0);
    query_bind_i64(&q, 7, to);
    bind_papers(&q, 8, &c->m, false);
    MUST(query_run(&q) == 0);
    c->row = store_last_id(device_store(d));
}

static void set_row(struct device *d, struct copy *c, enum copy_out_state to)
{
    bool remove = to == COPY_OUT_GONE || to == COPY_OUT_DONE;
    struct query q CLEANUP(query_end) = query(device_store(d), remove ? DB_COPY_DELETE : DB_COPY_SET);
    query_bind_i64(&q, 1, c->row);
    if (!remove) {
        query_bind_i64(&q, 2, to);
        bind_papers(&q, 3, &c->m, true);
    }
    MUST(query_run(&q) == 0);
}

static void on_stored(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    struct copy *c = copy_of(w, e);
    MUST(c);
    int shop = c->item_shop;
    bool added = c->adding;
    c->adding = false;
    c->item_shop = -1;
    if (!added)
        copy_out_stored(&c->m, REASON_NONE, world_mono(w));
    if (shop >= 0)
        service_item_stored(w, d, shop);
    outbox_go(w, d);
    copy_go(w, d, c);
}

static void store(struct world *w, struct device *d, struct copy *c, const struct copy_out_action *a)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    trace(w, "%s stores copy %d of row %lld: %d", node_name(d->node), c->number, (long long)c->row, (int)a->to);
    device_begin(d, &t);
    if (c->row != 0)
        set_row(d, c, a->to);
    else if (a->to != COPY_OUT_GONE)
        add_row(d, c, a->to);
    if (a->type != 0)
        outbox_put(d, &c->m.about.issuer, a->type, a->message);
    device_commit(w, d, &t, on_stored, c->number, 0, 0);
}

/* ---- the source: license and body ---------------------------------------------------------------------------------------- */

static const char *serial_text(const struct copy *c)
{
    static char text[9];
    (void)snprintf(text, sizeof(text), "%02x%02x%02x%02x", c->m.serial[0], c->m.serial[1], c->m.serial[2],
                   c->m.serial[3]);
    return text;
}

static void on_released(struct world *w, struct event *e)
{
    struct copy *c = copy_of(w, e);
    vlt_MoveReleased m = vlt_MoveReleased_init_zero;
    enum reason why = event_reason(e, vlt_Type_MOVE_RELEASED);
    MUST(c && (why != REASON_NONE || CODEC_DECODE(vlt_MoveReleased, buf_slice(&e->message), &m) == 0));
    copy_out_released(&c->m, why, NULL, CODEC_BYTES(m.certificate), world_mono(w));
    trace(w, "%s has released copy %d: %s", node_name(e->node), c->number, serial_text(c));
    copy_go(w, &w->devices[e->node], c);
}

static void on_surrendered(struct world *w, struct event *e)
{
    struct copy *c = copy_of(w, e);
    vlt_MoveFinished m = vlt_MoveFinished_init_zero;
    enum reason why = event_reason(e, vlt_Type_MOVE_FINISHED);
    MUST(c && (why != REASON_NONE || CODEC_DECODE(vlt_MoveFinished, buf_slice(&e->message), &m) == 0));
    copy_out_surrendered(&c->m, why, CODEC_BYTES(m.surrender), world_mono(w));
    copy_go(w, &w->devices[e->node], c);
}

static void on_awake(struct world *w, struct event *e)
{
    struct copy *c = copy_of(w, e);
    MUST(c);
    copy_out_awake(&c->m, event_reason(e, vlt_Type_DONE), world_mono(w));
    copy_go(w, &w->devices[e->node], c);
}

static void on_body(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    struct copy *c = copy_of(w, e);
    MUST(c);
    int content = content_of(w, &c->m.about.content);
    const struct content_fact *f = &w->contents[content];
    if (e->b == COPY_OUT_READ_HEAD) {
        copy_out_head(&c->m, d->body[content] ? REASON_NONE : REASON_NOT_FOUND, buf_slice(&f->info), f->list_root,
                      world_mono(w));
    } else {
        d->body[content] = false;
        copy_out_removed(&c->m, REASON_NONE, world_mono(w));
    }
    copy_go(w, d, c);
}

static void ask_release(struct world *w, struct device *d, struct copy *c, struct slice sealed)
{
    vlt_MoveRelease m = vlt_MoveRelease_init_zero;
    trace(w, "%s releases copy %d", node_name(d->node), c->number);
    MUST(CODEC_SET_BYTES(m.sealed, sealed) == 0);
    ASK_VAULT(w, d, MOVE_RELEASE, vlt_MoveRelease, &m, on_released, c->number, 0, 0);
}

static void ask_surrender(struct world *w, struct device *d, struct copy *c, struct slice receipt)
{
    vlt_MoveFinish m = vlt_MoveFinish_init_zero;
    MUST(CODEC_SET_BYTES(m.receipt, receipt) == 0);
    ASK_VAULT(w, d, MOVE_FINISH, vlt_MoveFinish, &m, on_surrendered, c->number, 0, 0);
}

static void ask_awaken(struct world *w, struct device *d, struct copy *c, struct slice refusal)
{
    vlt_MoveCancel m = vlt_MoveCancel_init_zero;
    MUST(CODEC_SET_BYTES(m.receipt, refusal) == 0);
    ASK_VAULT(w, d, MOVE_CANCEL, vlt_MoveCancel, &m, on_awake, c->number, 0, 0);
}

/* ---- the source: the destination -------------------------------------------------------------------------------------------- */

int device_of(const struct world *w, const struct id *client)
{
    for (int i = 0; i < DEVICES; i++)
        if (id_equal(&w->devices[i].client, client))
            return i;
    broken("a device that nobody knows");
}

static void connect_to(struct world *w, struct device *d, struct copy *c)
{
    c->conn = conn_open(w, d->node, device_of(w, &c->m.about.destination));
    if (c->conn == 0) {
        copy_out_lost(&c->m, REASON_OFFLINE, world_mono(w));
        return;
    }
    w->conns[c->conn]->copy = c->number;
    copy_out_connected(&c->m);
}

static void reply_delivered(struct world *w, struct device *d, struct copy *c, enum reason why)
{
    msg_Ok ok = msg_Ok_init_zero;
    if (c->answer_to != 0 && why == REASON_NONE)
        CONN_SEND(w, c->answer_conn, d->node, OK, c->answer_to, msg_Ok, &ok);
    else if (c->answer_to != 0)
        conn_refuse(w, c->answer_conn, d->node, c->answer_to, why);
    c->answer_to = 0;
}

static void act(struct world *w, struct device *d, struct copy *c, const struct copy_out_action *a)
{
    switch (a->kind) {
    case COPY_OUT_ASK:
        copy_ask(w, d, c);
        break;
    case COPY_OUT_RELEASE:
        ask_release(w, d, c, a->message);
        break;
    case COPY_OUT_SURRENDER:
        ask_surrender(w, d, c, a->message);
        break;
    case COPY_OUT_AWAKEN:
        ask_awaken(w, d, c, a->message);
        break;
    case COPY_OUT_READ_HEAD:
    case COPY_OUT_REMOVE_BODY: {
        struct event *e = after(w, between(w, 0, 10), d->node, on_body);
        e->a = c->number;
        e->b = (int)a->kind;
        break;
    }
    case COPY_OUT_STORE:
        store(w, d, c, a);
        break;
    case COPY_OUT_CONNECT:
        connect_to(w, d, c);
        break;
    case COPY_OUT_SEND:
        c->question = c->question + 1;
        conn_send(w, c->conn, d->node, a->type, c->question, a->message, slice(NULL, 0));
        break;
    case COPY_OUT_LET_GO:
        c->conn = 0;
        break;
    case COPY_OUT_ANSWER:
        reply_delivered(w, d, c, a->why);
        break;
    default:
        break;
    }
}

static void on_tick(struct world *w, struct event *e)
{
    struct copy *c = copy_of(w, e);
    if (!c || c->tick_ms != e->n)
        return;
    c->tick_ms = 0;
    copy_go(w, &w->devices[e->node], c);
}

static void copy_free(struct copy *c)
{
    copy_out_deinit(&c->m);
    memset(c, 0, sizeof(*c));
}

void copy_go(struct world *w, struct device *d, struct copy *c)
{
    int number = c->number;
    while (w->up[d->node] && !c->adding) {
        const struct service *s = &d->services[shop_of_issuer(w, c->m.about.issuer.bytes)];
        if (c->m.unsure && !s->client.outstanding)
            copy_out_settled(&c->m);
        struct copy_out_action a = copy_out_next(&c->m, world_mono(w), w->town.now_ms);
        if (a.kind == COPY_OUT_WAIT)
            break;
        act(w, d, c, &a);
        if (c->number != number)
            return;
    }
    if (!w->up[d->node] || c->adding)
        return;
    if (copy_out_has_ended(&c->m) && c->m.doing == COPY_OUT_WAIT) {
        trace(w, "copy %d has ended: %d %s", c->number, (int)c->m.state, reason_code(c->m.why));
        copy_free(c);
        return;
    }
    int64_t deadline_ms = copy_out_deadline_ms(&c->m);
    if (deadline_ms == INT64_MAX || deadline_ms == c->tick_ms)
        return;
    c->tick_ms = deadline_ms;
    int64_t delay_ms = deadline_ms - world_mono(w);
    struct event *e = after(w, delay_ms > 0 ? delay_ms : 0, d->node, on_tick);
    e->a = c->number;
    e->n = deadline_ms;
}

/* ---- between devices ---------------------------------------------------------------------------------------------------------------- */

static void hear_delivered(struct world *w, struct device *d, struct event *e)
{
    msg_Delivered delivered;
    doc_Receipt receipt;
    msg_Ok ok = msg_Ok_init_zero;
    MUST(copy_out_read_delivered(buf_slice(&e->message), &delivered, &receipt) == 0);
    for (size_t i = 0; i < ARRAY_COUNT(d->copies); i++) {
        struct copy *c = &d->copies[i];
        if (c->number == 0 || copy_out_has_ended(&c->m) || !copy_out_is_about(&c->m, &receipt))
            continue;
        if (copy_out_delivered(&c->m, CODEC_BYTES(delivered.receipt), &receipt, world_mono(w)) != 0) {
            conn_refuse(w, e->a, d->node, e->request, REASON_IN_USE);
            return;
        }
        c->answer_conn = e->a;
        c->answer_to = e->request;
        copy_go(w, d, c);
        return;
    }
    CONN_SEND(w, e->a, d->node, OK, e->request, msg_Ok, &ok); /* ended before */
}

static void source_hears(struct world *w, struct device *d, struct event *e)
{
    struct copy *c = copy_numbered(d, w->conns[e->a]->copy);
    struct frame f = event_frame(e);
    if (e->type == msg_Type_DELIVERED) {
        hear_delivered(w, d, e);
        return;
    }
    if (!c || c->conn != e->a || e->request != c->question)
        return;
    copy_out_reply(&c->m, &f, REASON_NONE, world_mono(w));
    copy_go(w, d, c);
}

void copies_hear(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    if (w->conns[e->a]->ends[0] == e->node)
        source_hears(w, d, e);
    else
        incoming_hear(w, d, e);
}

void copies_lost(struct world *w, struct device *d, int conn)
{
    for (size_t i = 0; i < ARRAY_COUNT(d->copies); i++) {
        struct copy *c = &d->copies[i];
        if (c->number != 0 && c->answer_conn == conn && c->answer_to != 0) {
            c->answer_to = 0;
            copy_out_unheard(&c->m);
        }
        if (c->number == 0 || c->conn != conn)
            continue;
        c->conn = 0;
        copy_out_lost(&c->m, REASON_OFFLINE, world_mono(w));
        copy_go(w, d, c);
    }
    incoming_lost(w, d, conn);
}

/* ---- wishes ---------------------------------------------------------------------------------------------------------------------------- */

static bool is_equal(const struct copy *c, const struct copy_out_subject *about)
{
    return c->number != 0 && !copy_out_has_ended(&c->m) && id_equal(&c->m.about.content, &about->content) &&
           id_equal(&c->m.about.destination, &about->destination) && c->m.about.move == about->move;
}

void device_wish_copy(struct world *w, struct device *d, int content, int to, bool move)
{
    const struct content_fact *f = &w->contents[content];
    if (!w->up[d->node] || !d->body[content] || to == d->node)
        return;
    struct copy_out_subject about = { .issuer = (f->shop == 0 ? &w->town.a : &w->town.b)->keys->self,
                                      .content = f->id,
                                      .source = d->client,
                                      .destination = w->devices[to].client,
                                      .move = move };
    memcpy(about.license_id, f->license_id, sizeof(about.license_id));
    for (size_t i = 0; i < ARRAY_COUNT(d->copies); i++)
        if (is_equal(&d->copies[i], &about) && !d->copies[i].adding && copy_out_again(&d->copies[i].m)) {
            copy_go(w, d, &d->copies[i]);
            return;
        }
    struct copy *c = copy_new(w, d, &about);
    if (!c)
        return;
    trace(w, "%s wishes to %s %d to %s: copy %d", node_name(d->node), move ? "move" : "copy", content, node_name(to),
          c->number);
    c->adding = true;
    store(w, d, c, &(struct copy_out_action){ .to = COPY_OUT_ASKING });
}

void copies_cancel(struct world *w, struct device *d)
{
    struct copy *c = &d->copies[chance(w, ARRAY_COUNT(d->copies))];
    if (!w->up[d->node] || c->number == 0 || c->adding)
        return;
    trace(w, "%s cancels copy %d", node_name(d->node), c->number);
    copy_out_cancel(&c->m);
    copy_go(w, d, c);
}

bool copies_are_idle(struct world *w, const struct device *d)
{
    for (size_t i = 0; i < ARRAY_COUNT(d->copies); i++)
        if (d->copies[i].number != 0 && !w->removing[device_of(w, &d->copies[i].m.about.destination)])
            return false;
    return true;
}

/* ---- life --------------------------------------------------------------------------------------------------------------------------------- */

static bool is_asleep(struct world *w, struct device *d, const struct copy_out_subject *about)
{
    return promises_license_state(w, d->node, about->issuer.bytes, about->license_id) == 2;
}

void copies_load(struct world *w, struct device *d)
{
    struct query q CLEANUP(query_end) = query(device_store(d), DB_COPIES);
    while (query_step(&q) == STORE_ROW) {
        struct copy_out_subject about = { .source = d->client };
        query_fixed(&q, 1, about.issuer.bytes, ID_BYTES);
        query_fixed(&q, 2, about.content.bytes, ID_BYTES);
        query_fixed(&q, 3, about.license_id, sizeof(about.license_id));
        query_fixed(&q, 4, about.destination.bytes, ID_BYTES);
        about.move = query_bool(&q, 5);
        struct copy *c = copy_new(w, d, &about);
        MUST(c);
        struct buf *const columns[] = { &c->m.certificate, &c->m.delegation, &c->m.receipt };
        for (int i = 0; i < 3; i++)
            if (!query_is_null(&q, 8 + i))
                query_append(&q, 8 + i, columns[i]);
        c->row = query_i64(&q, 0);
        c->resumed = true;
        trace(w, "%s resumes copy %d of row %lld: %s %d to %s, %u", node_name(d->node), c->number, (long long)c->row,
              about.move ? "move" : "copy", content_of(w, &about.content), node_name(device_of(w, &about.destination)),
              query_u32(&q, 7));
        copy_out_resume_from(&c->m, (enum copy_out_state)query_u32(&q, 7), is_asleep(w, d, &about), true);
    }
    MUST(query_check(&q) == 0);
    query_end(&q);
    for (size_t i = 0; i < ARRAY_COUNT(d->copies); i++)
        if (d->copies[i].number != 0)
            copy_go(w, d, &d->copies[i]);
}

void copies_free(struct device *d)
{
    for (size_t i = 0; i < ARRAY_COUNT(d->copies); i++)
        if (d->copies[i].number != 0)
            copy_free(&d->copies[i]);
    incoming_free_all(d);
}
