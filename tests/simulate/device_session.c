/* Sessions with shops, and registration. As src/daemon's session_greet.c, session_standing.c and register.c. */
#include "device.h"

/* ---- sessions ------------------------------------------------------------------------------------------------------- */

static void greet_go(struct world *w, struct device *d, int shop);
static void service_ready(struct world *w, struct device *d, int shop);
static event_fn on_connect;

uint32_t service_ask(struct world *w, struct device *d, int shop, enum asked_kind kind, int64_t n, uint16_t type,
                     struct slice message, struct slice tail)
{
    struct service *s = &d->services[shop];
    uint32_t request = ++s->next_request;
    for (size_t i = 0; i < ARRAY_COUNT(s->asked); i++)
        if (s->asked[i].request == 0) {
            s->asked[i] = (struct asked){ request, kind, n };
            conn_send(w, s->conn, d->node, type, request, message, tail);
            return request;
        }
    broken("too many questions at once");
}

void service_connect(struct world *w, struct device *d, int shop, int64_t delay_ms)
{
    after(w, delay_ms, d->node, on_connect)->a = shop;
}

void device_visit(struct world *w, struct device *d, int shop) { service_connect(w, d, shop, 1); }

static void on_connect(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    struct service *s = &d->services[e->a];
    if (s->conn != 0 || (e->a != d->home && !s->wanted))
        return;
    int conn = conn_open(w, d->node, SHOP_NODE(e->a));
    if (conn == 0) {
        service_connect(w, d, e->a, between(w, 1000, 5000));
        return;
    }
    struct conn *c = w->conns[conn];
    c->caller = (struct caller){ .role = REQUESTS_DEVICE, .client = d->client };
    memcpy(c->caller.key, d->who.device_key, sizeof(c->caller.key));
    memcpy(c->key, shop_at(w, e->a)->keys->tls.public_key, sizeof(c->key));
    s->conn = conn;
    s->ready = s->presented = false;
    s->next_request = 0;
    memset(s->asked, 0, sizeof(s->asked));
    greet_deinit(&s->greet);
    greet_init(&s->greet, d->who.generation, world_mono(w));
    /* The distributor's first frame. */
    conn_send(w, conn, SHOP_NODE(e->a), msg_Type_KEYSET, 0, slice(NULL, 0), buf_slice(&w->operators[e->a].shown));
}

static void registration_go(struct world *w, struct device *d, int shop);

static void session_down(struct world *w, struct device *d, int shop)
{
    struct service *s = &d->services[shop];
    s->conn = 0;
    s->ready = s->judging = false;
    s->in_flight = false;
    s->quoting = false;
    if (s->registering && s->registration.state == REGISTRATION_ASKING && s->registration.given)
        registration_answered(&s->registration, NULL, REASON_OFFLINE, NULL);
    memset(s->asked, 0, sizeof(s->asked));
    memset(d->reports, 0, sizeof(d->reports)); /* those of the other shop are asked again, too: they may be */
    service_connect(w, d, shop, between(w, 100, 3000));
    if (s->registering)
        registration_go(w, d, shop);
}

void device_lost(struct world *w, struct device *d, int conn)
{
    for (int shop = 0; shop < SHOPS; shop++)
        if (d->services[shop].conn == conn)
            session_down(w, d, shop);
}

void service_hang_up(struct world *w, struct device *d, int shop)
{
    conn_break(w, d->services[shop].conn);
    session_down(w, d, shop);
}

/* The greeting that an outcome belongs to, unless its connection is another one now. */
static struct greet *greeting(struct world *w, struct event *e, int shop)
{
    struct service *s = &w->devices[e->node].services[shop];
    return s->conn == e->n && s->conn != 0 ? &s->greet : NULL;
}

static void on_keyset_checked(struct world *w, struct event *e)
{
    struct greet *g = greeting(w, e, e->a);
    if (!g)
        return;
    greet_checked(g, event_reason(e, vlt_Type_KEYSET_CHECKED), NULL, world_mono(w));
    greet_go(w, &w->devices[e->node], e->a);
}

/* In a ready session: this connection's key may be the one that was withdrawn. */
static void on_new_keyset(struct world *w, struct event *e)
{
    struct service *s = &w->devices[e->node].services[e->a];
    if (!greeting(w, e, e->a))
        return;
    s->judging = false;
    if (event_reason(e, vlt_Type_KEYSET_CHECKED) != REASON_NONE)
        service_hang_up(w, &w->devices[e->node], e->a);
}

static void on_time_checked(struct world *w, struct event *e)
{
    struct greet *g = greeting(w, e, e->a);
    if (!g)
        return;
    if (event_reason(e, vlt_Type_DONE) == REASON_KEYSET_INVALID) {
        service_hang_up(w, &w->devices[e->node], e->a);
        return;
    }
    greet_timed(g);
    greet_go(w, &w->devices[e->node], e->a);
}

static void on_proved(struct world *w, struct event *e)
{
    struct greet *g = greeting(w, e, e->a);
    if (!g)
        return;
    greet_proved(g, NULL, world_mono(w)); /* the policy of both shops asks for none */
    greet_go(w, &w->devices[e->node], e->a);
}

static void on_stood(struct world *w, struct event *e)
{
    struct greet *g = greeting(w, e, e->a);
    vlt_Standing standing;
    msg_Present statement = msg_Present_init_zero;
    if (!g)
        return;
    if (event_reason(e, vlt_Type_STANDING) != REASON_NONE) { /* signed by a key that was withdrawn since */
        MUST(operator_has_withdrawn(w, e->a, KEY_LICENSE));
        greet_stood(g, NULL, false, world_mono(w));
        greet_go(w, &w->devices[e->node], e->a);
        return;
    }
    MUST(CODEC_DECODE(vlt_Standing, buf_slice(&e->message), &standing) == 0);
    MUST(CODEC_SET_BYTES(statement.statement, CODEC_BYTES(standing.statement)) == 0);
    MUST(standing.current); /* no vault is put back here: nothing that it has said was ever lost */
    greet_stood(g, &statement, standing.current, world_mono(w));
    greet_go(w, &w->devices[e->node], e->a);
}

static void check_keyset(struct world *w, struct device *d, int shop, struct slice envelope, event_fn *then)
{
    vlt_KeysetCheck check = { .has_tls_key = true };
    memcpy(check.distributor, shop_id(w, shop)->bytes, ID_BYTES);
    memcpy(check.tls_key, w->conns[d->services[shop].conn]->key, sizeof(check.tls_key));
    ask_vault(w, d, vlt_Type_KEYSET_CHECK, vlt_KeysetCheck_fields, &check, envelope, then, shop, 0,
              d->services[shop].conn);
}

static void check_time(struct world *w, struct device *d, int shop, struct slice envelope)
{
    vlt_TimeCheck check = vlt_TimeCheck_init_zero;
    memcpy(check.distributor, shop_id(w, shop)->bytes, ID_BYTES);
    check.has_tls_key = true;
    memcpy(check.tls_key, w->conns[d->services[shop].conn]->key, sizeof(check.tls_key));
    MUST(CODEC_SET_BYTES(check.time, envelope) == 0);
    ASK_VAULT(w, d, TIME_CHECK, vlt_TimeCheck, &check, on_time_checked, shop, 0, d->services[shop].conn);
}

static void prove_login(struct world *w, struct device *d, int shop, struct slice challenge)
{
    vlt_LoginProve prove;
    memcpy(prove.distributor, shop_id(w, shop)->bytes, ID_BYTES);
    memcpy(prove.challenge, challenge.data, sizeof(prove.challenge));
    ASK_VAULT(w, d, LOGIN_PROVE, vlt_LoginProve, &prove, on_proved, shop, 0, d->services[shop].conn);
}

static void check_standing(struct world *w, struct device *d, int shop, struct slice envelope)
{
    vlt_StandingCheck check = vlt_StandingCheck_init_zero;
    memcpy(check.distributor, shop_id(w, shop)->bytes, ID_BYTES);
    MUST(CODEC_SET_BYTES(check.standing, envelope) == 0);
    ASK_VAULT(w, d, STANDING_CHECK, vlt_StandingCheck, &check, on_stood, shop, 0, d->services[shop].conn);
}

static void send_greeting(struct world *w, struct device *d, int shop, uint16_t type, struct slice message)
{
    (void)service_ask(w, d, shop, ASKED_GREETING, 0, type, message, slice(NULL, 0));
}

static void greet_go(struct world *w, struct device *d, int shop)
{
    struct service *s = &d->services[shop];
    if (!w->up[d->node] || s->conn == 0)
        return;
    struct greet_action a = greet_next(&s->greet);
    switch (a.kind) {
    case GREET_CHECK_KEYSET:
        check_keyset(w, d, shop, a.message, on_keyset_checked);
        break;
    case GREET_SEND:
        send_greeting(w, d, shop, msg_Type_HELLO, a.message);
        break;
    case GREET_CHECK_TIME:
        check_time(w, d, shop, a.message);
        break;
    case GREET_PROVE_LOGIN:
        prove_login(w, d, shop, a.message);
        break;
    case GREET_CHECK_STANDING:
        check_standing(w, d, shop, a.message);
        break;
    case GREET_SEND_STATEMENT:
        send_greeting(w, d, shop, msg_Type_PRESENT, a.message);
        break;
    case GREET_DONE:
        service_ready(w, d, shop);
        break;
    case GREET_HANG_UP:
        trace(w, "%s hangs up on %s: %s", node_name(d->node), node_name(SHOP_NODE(shop)), reason_code(a.why));
        service_hang_up(w, d, shop);
        break;
    default:
        MUST(a.kind == GREET_WAIT);
        break;
    }
}

/* ---- registration ----------------------------------------------------------------------------------------------------- */

static void on_kept(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    registration_kept(&d->services[e->a].registration, event_reason(e, vlt_Type_DONE), NULL);
    registration_go(w, d, e->a);
}

static void on_row(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    struct service *s = &d->services[e->a];
    s->client = (struct txn_client){ .bit = (uint8_t)s->registration.reply.bit };
    s->registered = true;
    registration_stored(&s->registration, REASON_NONE);
    registration_go(w, d, e->a);
}

static void store_registration(struct world *w, struct device *d, int shop)
{
    struct service *s = &d->services[shop];
    struct transaction t CLEANUP(transaction_end) = { 0 };
    device_begin(d, &t);
    service_put_account(w, d, shop, false);
    s->client.bit = (uint8_t)(s->registration.reply.bit & 1);
    service_put_transaction(d, w, shop, slice(NULL, 0), slice(NULL, 0));
    device_commit(w, d, &t, on_row, shop, 0, 0);
}

static void send_register(struct world *w, struct device *d, int shop)
{
    msg_Register m = msg_Register_init_zero;
    struct buf bytes CLEANUP(buf_free) = buf(msg_Register_size);
    CODEC_SET_TEXT(m.user, d->user);
    CODEC_SET_TEXT(m.password, TOWN_PASSWORD);
    CODEC_SET_TEXT(m.device_name, node_name(d->node));
    memcpy(m.sealing_key, d->who.sealing_key, sizeof(m.sealing_key));
    MUST(CODEC_ENCODE(msg_Register, &bytes, &m) == 0);
    (void)service_ask(w, d, shop, ASKED_REGISTER, 0, msg_Type_REGISTER, buf_slice(&bytes), slice(NULL, 0));
}

static void keep_service(struct world *w, struct device *d, int shop, const struct registration_action *a)
{
    vlt_ServiceData data = vlt_ServiceData_init_zero;
    memcpy(data.distributor, shop_id(w, shop)->bytes, ID_BYTES);
    MUST(CODEC_SET_BYTES(data.certificate, a->certificate) == 0);
    ask_vault(w, d, vlt_Type_SERVICE_DATA, vlt_ServiceData_fields, &data, a->sealed, on_kept, shop, 0, 0);
}

static void registration_go(struct world *w, struct device *d, int shop)
{
    struct service *s = &d->services[shop];
    if (!w->up[d->node])
        return;
    struct registration_action a = registration_next(&s->registration);
    switch (a.kind) {
    case REGISTRATION_ASK:
        send_register(w, d, shop);
        break;
    case REGISTRATION_KEEP:
        keep_service(w, d, shop, &a);
        break;
    case REGISTRATION_STORE:
        store_registration(w, d, shop);
        break;
    case REGISTRATION_GREET:
        registration_greeted(&s->registration);
        if (s->conn != 0)
            service_hang_up(w, d, shop); /* greeted anew */
        break;
    case REGISTRATION_END:
        break;
    default:
        MUST(a.kind == REGISTRATION_WAIT);
        return;
    }
    if (s->registration.state == REGISTRATION_DONE || s->registration.state == REGISTRATION_REFUSED) {
        trace(w, "%s is %s", node_name(d->node), s->registered ? "registered" : "not registered yet");
        s->registering = false;
    }
}

/* ---- removing a device ---- */

void device_wish_removal(struct world *w, struct device *d, int other)
{
    struct service *s = &d->services[d->home];
    msg_DeviceRemove m;
    struct buf bytes CLEANUP(buf_free) = buf(msg_DeviceRemove_size);
    if (!w->up[d->node] || !s->ready || !s->presented || !w->devices[other].services[d->home].registered)
        return;
    trace(w, "%s wishes to remove %s", node_name(d->node), node_name(other));
    w->removing[other] = true;
    memcpy(m.client, w->devices[other].client.bytes, ID_BYTES);
    MUST(CODEC_ENCODE(msg_DeviceRemove, &bytes, &m) == 0);
    (void)service_ask(w, d, d->home, ASKED_REMOVE, other, msg_Type_DEVICE_REMOVE, buf_slice(&bytes), slice(NULL, 0));
}

/* ---- what shops say ------------------------------------------------------------------------------------------------------------ */

static void service_ready(struct world *w, struct device *d, int shop)
{
    struct service *s = &d->services[shop];
    s->ready = true;
    s->presented = s->greet.presented;
    s->known = s->greet.welcome.session != 0;
    s->number = s->greet.welcome.session;
    s->bit = s->greet.welcome.bit;
    trace(w, "%s is ready at %s: session %llu", node_name(d->node), node_name(SHOP_NODE(shop)),
          (unsigned long long)s->number);
    if (shop == d->home && !s->registered && !s->registering) {
        s->registering = true;
        registration_init(&s->registration, true);
        registration_go(w, d, shop);
        return;
    }
    service_send(w, d, shop);
    outbox_go(w, d);
    copies_go(w, d);
}

static void replied(struct world *w, struct device *d, int shop, const struct asked *asked, struct event *e)
{
    struct service *s = &d->services[shop];
    struct frame f = event_frame(e);
    switch (asked->kind) {
    case ASKED_GREETING:
        greet_reply(&s->greet, &f, REASON_NONE, world_mono(w));
        greet_go(w, d, shop);
        break;
    case ASKED_REGISTER: {
        enum reason why = event_reason(e, msg_Type_REGISTERED);
        buf_free(&s->reply_tail);
        s->reply_tail = e->tail;
        e->tail = buf(0);
        f.tail = buf_slice(&s->reply_tail);
        registration_answered(&s->registration, why == REASON_NONE ? &f : NULL, why, NULL);
        registration_go(w, d, shop);
        break;
    }
    case ASKED_QUOTE:
        service_quoted(w, d, shop, e);
        break;
    case ASKED_TRANSACT:
        service_answered(w, d, shop, e);
        break;
    case ASKED_REMOVE:
        trace(w, "removed: %s", reason_code(event_reason(e, msg_Type_OK)));
        break;
    case ASKED_REPORT:
        outbox_answered(w, d, asked->n, e);
        break;
    }
}

void device_hears(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    int shop = 0;
    while (shop < SHOPS && d->services[shop].conn != e->a)
        shop++;
    if (shop == SHOPS)
        return; /* of a connection that was given up */
    struct service *s = &d->services[shop];
    struct frame f = event_frame(e);
    if (s->judging) {
        struct event *later = after(w, 5, e->node, device_hears);
        later->a = e->a;
        later->type = e->type;
        later->request = e->request;
        later->message = e->message;
        later->tail = e->tail;
        e->message = e->tail = buf(0);
        return;
    }
    if (e->request == 0 && e->type == msg_Type_KEYSET && s->ready) {
        s->judging = true;
        check_keyset(w, d, shop, buf_slice(&e->tail), on_new_keyset);
        return;
    }
    if (e->request == 0) {
        if (greet_frame(&s->greet, &f) && !s->ready)
            greet_go(w, d, shop);
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(s->asked); i++)
        if (s->asked[i].request == e->request) {
            struct asked asked = s->asked[i];
            s->asked[i].request = 0;
            replied(w, d, shop, &asked, e);
            return;
        }
}
