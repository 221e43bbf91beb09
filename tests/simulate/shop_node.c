/* A distributor: connections, one request after the other upon its database, and what it asks of its partner and the directory.
 * As src/distributor/session.c and exchange.c, with a transaction for each request. */
#include "disk.h"
#include "distributor/accounts.h"
#include "distributor/reply.h"
#include "world.h"

void shop_start(struct world *w, int shop)
{
    operator_start(w, shop);
    if (node_failed(w, SHOP_NODE(shop)))
        return;
    promises_open(w, SHOP_NODE(shop));
    member_start(w, shop);
}

void shop_stop(struct world *w, int shop)
{
    member_stop(w, shop);
    operations_close(steal(&shop_at(w, shop)->o));
}

/* ---- one request ------------------------------------------------------------------------------------------------- */

static int run_once(struct shop *s, struct caller *who, const struct event *e, struct reply *out)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    MUST(transaction_begin_batch(&t, s->o->store) == 0 && savepoint_begin(&p, s->o->store) == 0);
    who->now_ms = s->town->now_ms;
    int r = requests_run(s->o, who, e->type, buf_slice(&e->message), buf_slice(&e->tail), out);
    if (r == 0)
        MUST(savepoint_release(&p) == 0);
    savepoint_end(&p);
    MUST(transaction_commit(&t) == 0);
    return r;
}

static void keep(struct conn *c, const struct reply *r)
{
    struct caller *who = &c->caller;
    if (r->session != 0)
        who->session = r->session;
    if (r->has_challenge) {
        who->has_challenge = true;
        memcpy(who->challenge, r->challenge, sizeof(who->challenge));
    }
}

/* It is known from now on, and its connections end. */
static void removed(struct world *w, int shop, struct slice message)
{
    msg_DeviceRemove m;
    MUST(CODEC_DECODE(msg_DeviceRemove, message, &m) == 0);
    for (int i = 0; i < DEVICES; i++)
        if (id_equal(&w->devices[i].client, m.client) && w->removed_ms[i][shop] == 0)
            w->removed_ms[i][shop] = w->town.now_ms;
    for (int i = 1; i <= w->conn_count; i++)
        if (w->conns[i]->ends[1] == SHOP_NODE(shop) && id_equal(&w->conns[i]->caller.client, m.client))
            conn_break(w, i);
}

static void answer(struct world *w, struct conn *c, int node, const struct event *e, int r, const struct reply *reply)
{
    msg_Refusal refusal;
    c->busy = false;
    if (r == 0 && e->type == msg_Type_HELLO)
        (void)greet_server_judged(&c->greeted);
    if (r == 0 && e->type == msg_Type_DEVICE_REMOVE)
        removed(w, node - DEVICES, buf_slice(&e->message));
    if (r == 0) {
        keep(c, reply);
        if (reply->type != msg_Type_NONE)
            conn_send(w, e->a, node, reply->type, e->request, buf_slice(&reply->message), buf_slice(&reply->tail));
        return;
    }
    trace(w, "%s refuses %u: %s %s", node_name(node), e->type, reason_code(reason_of_error(r)), reply->detail);
    MUST(r > 0); /* no failure of its own */
    reason_refusal(&refusal, reason_of_error(r), reply->detail[0] ? reply->detail : NULL);
    conn_send_as(w, e->a, node, msg_Type_REFUSAL, e->request, msg_Refusal_fields, &refusal, buf_slice(&reply->tail));
}

static event_fn on_asked;

/* Asks the partner or the directory, and runs the request again, whether or not anybody was reached. */
static void ask(struct world *w, const struct event *e, bool directory)
{
    struct event *again = event_new(w, e->node, on_asked);
    again->a = e->a;
    again->b = directory;
    again->type = e->type;
    again->request = e->request;
    MUST(buf_append(&again->message, buf_slice(&e->message)) == 0);
    MUST(buf_append(&again->tail, buf_slice(&e->tail)) == 0);
    if (directory && chance(w, 2)) /* whoever of the two answers first */
        member_ask(w, e->node - DEVICES, again);
    else
        event_in(w, again, between(w, 10, 400));
}

static void serve(struct world *w, struct conn *c, const struct event *e)
{
    int node = e->node;
    struct shop *s = shop_at(w, node - DEVICES);
    struct reply reply CLEANUP(reply_free);
    reply_init(&reply);
    int r = run_once(s, &c->caller, e, &reply);
    w->dirty[node] = true;
    if (node_failed(w, node))
        return;
    c->busy = r == REQUESTS_ASK_DIRECTORY || r == REQUESTS_ASK_PARTNER;
    if (r == REQUESTS_ASK_DIRECTORY)
        c->caller.directory_asked = true;
    if (r == REQUESTS_ASK_PARTNER)
        c->caller.partners_asked[c->caller.partners_asked_count++] = reply.ask;
    if (c->busy)
        ask(w, e, r == REQUESTS_ASK_DIRECTORY);
    else
        answer(w, c, node, e, r, &reply);
    member_poke(w, node - DEVICES);
}

static void on_asked(struct world *w, struct event *e)
{
    struct conn *c = conn_of(w, e->a, e->node);
    int shop = e->node - DEVICES;
    if (!c)
        return;
    if (!operator_serves(w, shop)) {
        struct event *later = after(w, 1000, e->node, on_asked);
        later->a = e->a;
        later->b = e->b;
        later->type = e->type;
        later->request = e->request;
        later->message = e->message;
        later->tail = e->tail;
        e->message = e->tail = buf(0);
        return;
    }
    (void)member_ask_origin(w, shop);
    if (!e->b && w->up[e->node] && can_reach(w, e->node, SHOP_NODE(1 - shop)) && operator_serves(w, 1 - shop)) {
        for (int i = 0; i < SHOPS; i++) { /* what both write for this is one step here */
            disk_arm((unsigned)SHOP_NODE(i), 0, NULL);
            w->dirty[SHOP_NODE(i)] = true;
        }
        town_ask(shop_at(w, shop), shop_at(w, 1 - shop));
    }
    if (w->up[e->node])
        serve(w, c, e);
}

/* ---- frames ------------------------------------------------------------------------------------------------------- */

static void on_frame(struct world *w, struct event *e)
{
    struct conn *c = conn_of(w, e->a, e->node);
    const char *detail;
    if (!c)
        return;
    bool serves = operator_serves(w, e->node - DEVICES);
    if (c->busy || !serves) { /* one after the other */
        struct event *later = after(w, serves ? 5 : 1000, e->node, on_frame);
        later->a = e->a;
        later->type = e->type;
        later->request = e->request;
        later->message = e->message;
        later->tail = e->tail;
        e->message = e->tail = buf(0);
        return;
    }
    enum greet_verdict verdict = greet_server_frame(&c->greeted, e->type, &detail);
    MUST(verdict == GREET_JUDGE || verdict == GREET_SERVE);
    c->caller.directory_asked = false;
    c->caller.partners_asked_count = 0;
    c->caller.password_ok = e->type == msg_Type_REGISTER; /* nobody here has forgotten his */
    serve(w, c, e);
}

void shop_hears(struct world *w, struct event *e) { on_frame(w, e); }
