/* Copies and moves, as their destination: what drives copy_in.h. As src/daemon's offer.c, accept.c and commit.c; the body is counted blocks. */
#include "device.h"

/* ---- the destination ------------------------------------------------------------------------------------------------------------- */

static struct incoming *incoming_of(struct world *w, const struct event *e)
{
    struct device *d = &w->devices[e->node];
    for (size_t i = 0; i < ARRAY_COUNT(d->incoming); i++)
        if (d->incoming[i].used && d->incoming[i].number == e->a)
            return &d->incoming[i];
    return NULL;
}

static void incoming_go(struct world *w, struct device *d, struct incoming *in);

static void incoming_free(struct incoming *in)
{
    copy_in_deinit(&in->m);
    memset(in, 0, sizeof(*in));
}

/* The one that receives under this serial already. */
static struct incoming *find_same(struct device *d, const struct incoming *as)
{
    for (size_t i = 0; i < ARRAY_COUNT(d->incoming); i++) {
        struct incoming *in = &d->incoming[i];
        if (in->used && in != as && in->m.state >= COPY_IN_RECEIVING && !copy_in_has_ended(&in->m) &&
            id_equal(&in->m.name.issuer, &as->m.name.issuer) &&
            memcmp(in->m.name.serial, as->m.name.serial, sizeof(as->m.name.serial)) == 0)
            return in;
    }
    return NULL;
}

static bool is_coming(struct device *d, const struct incoming *as)
{
    for (size_t i = 0; i < ARRAY_COUNT(d->incoming); i++) {
        const struct incoming *in = &d->incoming[i];
        if (in->used && in != as && in->m.state >= COPY_IN_RECEIVING && !copy_in_has_ended(&in->m) &&
            id_equal(&in->m.name.content, &as->m.name.content))
            return true;
    }
    return false;
}

static void on_judged(struct world *w, struct event *e)
{
    struct incoming *in = incoming_of(w, e);
    vlt_CertificateState state;
    enum reason why = event_reason(e, vlt_Type_CERTIFICATE_STATE);
    if (!in)
        return;
    MUST(why != REASON_NONE || CODEC_DECODE(vlt_CertificateState, buf_slice(&e->message), &state) == 0);
    trace(w, "%s judges %d from %s: %s %d", node_name(e->node), in->number, node_name(device_of(w, &in->m.name.source)),
          reason_code(why), why == REASON_NONE ? (int)state.state : 0);
    copy_in_judged(&in->m, why, NULL, &state);
    incoming_go(w, &w->devices[e->node], in);
}

static void on_reported(struct world *w, struct event *e)
{
    struct incoming *in = incoming_of(w, e);
    outbox_go(w, &w->devices[e->node]);
    if (!in)
        return;
    if (e->b)
        copy_in_committed(&in->m, REASON_NONE, NULL, buf_slice(&in->m.receipt));
    else
        copy_in_reported(&in->m, REASON_NONE);
    incoming_go(w, &w->devices[e->node], in);
}

/* The receipt goes to the device's own distributor, which passes it on. */
static void report(struct world *w, struct device *d, struct incoming *in, struct slice receipt, bool commit)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct buf bytes CLEANUP(buf_free) = buf(msg_Redeem_size);
    msg_Redeem m = msg_Redeem_init_zero;
    MUST(CODEC_SET_BYTES(m.receipt, receipt) == 0 && CODEC_ENCODE(msg_Redeem, &bytes, &m) == 0);
    device_begin(d, &t);
    outbox_put(d, &in->m.name.own, msg_Type_REDEEM, buf_slice(&bytes));
    device_commit(w, d, &t, on_reported, in->number, commit, 0);
}

static void on_committed(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    struct incoming *in = incoming_of(w, e);
    vlt_CertificateState state;
    enum reason why = event_reason(e, vlt_Type_CERTIFICATE_STATE);
    if (!in)
        return;
    MUST(why != REASON_NONE || CODEC_DECODE(vlt_CertificateState, buf_slice(&e->message), &state) == 0);
    if (why == REASON_NONE && (state.state != 2 || !state.has_receipt))
        why = REASON_CANCELLED;
    if (why != REASON_NONE) {
        copy_in_committed(&in->m, why, NULL, slice(NULL, 0));
        incoming_go(w, d, in);
        return;
    }
    if (in->withdrawn)
        broken("%s stores a copy that was delegated to a partner that it knows to be withdrawn", node_name(d->node));
    d->body[promises_acknowledged(w, d->node, buf_slice(&in->m.name.license))] = true;
    buf_clear(&in->m.receipt);
    MUST(buf_append(&in->m.receipt, CODEC_BYTES(state.receipt)) == 0);
    report(w, d, in, CODEC_BYTES(state.receipt), true);
}

static void check(struct world *w, struct device *d, struct incoming *in)
{
    vlt_CertificateCheck *m CLEANUP(freep) = calloc(1, sizeof(*m));
    MUST(m);
    m->has_delegation = in->m.delegation.len > 0;
    m->has_presenter = true;
    memcpy(m->presenter, in->m.name.source.bytes, ID_BYTES);
    memcpy(m->list_root, in->m.list_root, sizeof(m->list_root));
    MUST(CODEC_SET_BYTES(m->certificate, buf_slice(&in->m.certificate)) == 0);
    MUST(CODEC_SET_BYTES(m->delegation, buf_slice(&in->m.delegation)) == 0);
    MUST(CODEC_SET_BYTES(m->info, buf_slice(&in->m.info)) == 0);
    ASK_VAULT(w, d, CERTIFICATE_CHECK, vlt_CertificateCheck, m, on_judged, in->number, 0, 0);
}

static void refuse(struct world *w, struct device *d, struct incoming *in)
{
    vlt_CertificateRefuse m = vlt_CertificateRefuse_init_zero;
    m.has_delegation = in->m.delegation.len > 0;
    MUST(CODEC_SET_BYTES(m.certificate, buf_slice(&in->m.certificate)) == 0);
    MUST(CODEC_SET_BYTES(m.delegation, buf_slice(&in->m.delegation)) == 0);
    ASK_VAULT(w, d, CERTIFICATE_REFUSE, vlt_CertificateRefuse, &m, on_judged, in->number, 0, 0);
}

static bool is_withdrawn(struct world *w, const struct device *d, const struct incoming *in)
{
    const struct operator* p = & w->operators[d->home];
    doc_Delegation delegation;
    if (in->m.delegation.len == 0 || p->floor_sequence == 0)
        return false;
    MUST(document_peek(DOCUMENT_DELEGATION, buf_slice(&in->m.delegation), &delegation, sizeof(delegation)) == 0);
    return delegation.sequence < p->floor &&
           shared_keyset(w, d->node, shop_id(w, d->home)->bytes) >= (int64_t)p->floor_sequence;
}

static void commit(struct world *w, struct device *d, struct incoming *in)
{
    in->withdrawn = is_withdrawn(w, d, in);
    vlt_CertificateCommit m = vlt_CertificateCommit_init_zero;
    memcpy(m.name.issuer, in->m.name.issuer.bytes, ID_BYTES);
    memcpy(m.name.serial, in->m.name.serial, sizeof(m.name.serial));
    ASK_VAULT(w, d, CERTIFICATE_COMMIT, vlt_CertificateCommit, &m, on_committed, in->number, 0, 0);
}

static void begin(struct world *w, struct device *d, struct incoming *in)
{
    struct incoming *same = find_same(d, in);
    if (same) {
        if (in->m.connected) {
            same->conn = in->conn;
            copy_in_again(&same->m);
        }
        copy_in_begun(&in->m, REASON_ALREADY);
        incoming_go(w, d, same);
        return;
    }
    copy_in_begun(&in->m, is_coming(d, in) ? REASON_IN_USE : REASON_NONE);
}

static void on_block(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    struct incoming *in = incoming_of(w, e);
    if (!in || !in->pulling || e->b != in->conn)
        return;
    struct conn *c = conn_of(w, in->conn, d->node);
    if (!c || !c->open)
        return; /* it hears of that */
    in->blocks++;
    struct device *source = &w->devices[c->ends[0]];
    struct copy *copy = copy_numbered(source, c->copy);
    if (copy)
        copy_out_active(&copy->m, world_mono(w));
    if (in->blocks < BLOCKS) {
        struct event *next = after(w, between(w, 5, 200), d->node, on_block);
        next->a = e->a;
        next->b = e->b;
        return;
    }
    in->pulling = false;
    copy_in_received(&in->m, REASON_NONE, NULL);
    incoming_go(w, d, in);
}

static void pull(struct world *w, struct device *d, struct incoming *in)
{
    in->pulling = true;
    struct event *e = after(w, between(w, 5, 200), d->node, on_block);
    e->a = in->number;
    e->b = in->conn;
}

static void drop(struct world *w, struct device *d, struct incoming *in)
{
    struct incoming *same = find_same(d, in);
    in->blocks = 0;
    in->pulling = false;
    if (!same)
        return;
    same->pulling = false;
    copy_in_withdrawn(&same->m);
    incoming_go(w, d, same);
}

static void incoming_act(struct world *w, struct device *d, struct incoming *in, const struct copy_in_action *a)
{
    switch (a->kind) {
    case COPY_IN_CHECK:
        check(w, d, in);
        break;
    case COPY_IN_REFUSE:
        refuse(w, d, in);
        break;
    case COPY_IN_BEGIN:
        begin(w, d, in);
        break;
    case COPY_IN_REPORT:
        report(w, d, in, buf_slice(&in->m.receipt), false);
        break;
    case COPY_IN_COMMIT:
        commit(w, d, in);
        break;
    case COPY_IN_REPLY:
        conn_send(w, in->conn, d->node, a->type, in->request, a->message, slice(NULL, 0));
        break;
    case COPY_IN_DENY:
        conn_refuse(w, in->conn, d->node, in->request, a->why);
        break;
    case COPY_IN_PULL:
        pull(w, d, in);
        break;
    case COPY_IN_HALT:
        in->pulling = false;
        break;
    case COPY_IN_DELIVER:
        in->delivering = 1000000 + ++in->next_request;
        conn_send(w, in->conn, d->node, a->type, in->delivering, a->message, slice(NULL, 0));
        break;
    case COPY_IN_DROP:
        drop(w, d, in);
        break;
    case COPY_IN_HANG_UP:
        conn_break(w, in->conn);
        break;
    default:
        break;
    }
}

static void incoming_go(struct world *w, struct device *d, struct incoming *in)
{
    int number = in->number;
    struct copy_in_action a;
    while (w->up[d->node] && in->number == number && (a = copy_in_next(&in->m)).kind != COPY_IN_WAIT)
        incoming_act(w, d, in, &a);
    if (w->up[d->node] && in->number == number && copy_in_has_ended(&in->m) && in->m.doing == COPY_IN_WAIT) {
        trace(w, "%s: incoming %d has ended: %d %s", node_name(d->node), number, (int)in->m.state,
              reason_code(in->m.why));
        incoming_free(in);
    }
}

/* ---- the source ---- */

void incoming_hear(struct world *w, struct device *d, struct event *e)
{
    struct frame f = event_frame(e);
    int from = w->conns[e->a]->ends[0];
    if (from < 0)
        return;
    const struct id *source = &w->devices[from].client;
    for (size_t i = 0; i < ARRAY_COUNT(d->incoming); i++) {
        struct incoming *in = &d->incoming[i];
        if (e->type == msg_Type_OK || e->type == msg_Type_REFUSAL) {
            if (!in->used || in->conn != e->a || in->delivering != e->request)
                continue;
            copy_in_delivered(&in->m, e->type == msg_Type_OK);
            incoming_go(w, d, in);
            return;
        }
        if (in->used)
            continue;
        *in = (struct incoming){ .used = true, .number = ++w->copy_count, .conn = e->a, .request = e->request };
        MUST(copy_in_read(&in->m, &f, &d->client, source) == 0);
        incoming_go(w, d, in);
        return;
    }
    if (e->type != msg_Type_OK && e->type != msg_Type_REFUSAL)
        conn_refuse(w, e->a, d->node, e->request, REASON_RATE_LIMITED);
}

void incoming_lost(struct world *w, struct device *d, int conn)
{
    for (size_t i = 0; i < ARRAY_COUNT(d->incoming); i++) {
        struct incoming *in = &d->incoming[i];
        if (!in->used || in->conn != conn)
            continue;
        in->pulling = false;
        copy_in_lost(&in->m);
        incoming_go(w, d, in);
    }
}

/* ---- its owner ---- */

void incoming_cancel(struct world *w, struct device *d)
{
    struct incoming *in = &d->incoming[chance(w, 4)];
    if (!w->up[d->node] || !in->used)
        return;
    trace(w, "%s declines %d", node_name(d->node), in->number);
    copy_in_cancel(&in->m);
    incoming_go(w, d, in);
}

void incoming_free_all(struct device *d)
{
    for (size_t i = 0; i < ARRAY_COUNT(d->incoming); i++)
        if (d->incoming[i].used)
            incoming_free(&d->incoming[i]);
}
