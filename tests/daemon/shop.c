/* The distributor's side of every exchange the tests need, and its ways of going wrong. */
#include "shop.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

/* --- Connections --- */

struct customer {
    struct shop *shop;
    bool greeted; /* the device has said HELLO */
};

static void send_message(struct peer *p, uint16_t type, uint32_t request, const pb_msgdesc_t *fields,
                         const void *message, struct slice tail)
{
    if (peer_send(p, type, request, fields, message, tail) != 0)
        peer_close(p, REASON_INTERNAL);
}
#define SEND(p, TYPE, T, request, message) \
    send_message((p), msg_Type_##TYPE, (request), msg_##T##_fields, (message), slice(NULL, 0))

static void refuse(struct peer *p, uint32_t request, enum reason why)
{
    if (peer_refuse(p, request, why, NULL) != 0)
        peer_close(p, why);
}

static void greet(struct shop *s, struct peer *p)
{
    struct buf keyset = buf(1 << 16);
    struct maker *m = s->greeting == GREET_OTHER_ROOT ? &s->other : &s->maker;
    uint64_t sequence = m->keyset.sequence;
    msg_Keyset empty = msg_Keyset_init_zero;
    if (s->greeting == GREET_SILENCE)
        return;
    if (s->greeting == GREET_GARBAGE) {
        msg_Ok ok = msg_Ok_init_zero;
        SEND(p, OK, Ok, 0, &ok);
        return;
    }
    if (s->greeting == GREET_OLD)
        m->keyset.sequence = 1;
    maker_keyset(m, &keyset);
    m->keyset.sequence = sequence;
    send_message(p, msg_Type_KEYSET, 0, msg_Keyset_fields, &empty, buf_slice(&keyset));
    buf_free(&keyset);
}

/* --- Requests --- */

static void hello(struct shop *s, struct peer *p, const struct frame *f)
{
    struct buf time = buf(1024);
    msg_Welcome w = { .registered = s->known && id_equal(peer_id(p)->bytes, s->device.client.bytes) };
    if (w.registered) {
        w.session = txn_server_open(&s->txn);
        w.bit = s->txn.bit;
        strcpy(w.user, "anna");
        w.roster_sequence = 1;
        maker_time(&s->maker, &s->device, maker_now(), &time);
        w.has_time = true;
        check(CODEC_SET_BYTES(w.time, buf_slice(&time)) == 0);
    }
    SEND(p, WELCOME, Welcome, f->request, &w);
    buf_free(&time);
}

static void register_device(struct shop *s, struct peer *p, const struct frame *f)
{
    struct buf certificate = buf(4096), set = buf(1 << 16);
    msg_Register ask;
    msg_Registered reply = { .roster_sequence = 1 };
    check(CODEC_DECODE(msg_Register, f->message, &ask) == 0);
    if (strcmp(ask.password, "right") != 0) {
        refuse(p, f->request, REASON_BAD_CREDENTIALS);
        return;
    }
    bool again = s->known && id_equal(peer_id(p)->bytes, s->device.client.bytes);
    s->registrations++;
    s->known = true;
    s->device.client = *peer_id(p);
    memcpy(s->device.device_key, peer_key(p), 32);
    memcpy(s->device.sealing_key, ask.sealing_key, 32);
    maker_certificate(&s->maker, &s->device, MAKER_LEAF, &certificate);
    maker_set(&s->maker, &s->device, MAKER_LEAF, &set);
    strcpy(reply.user, ask.user);
    strcpy(reply.distributor_name, s->maker.keyset.name);
    check(CODEC_SET_BYTES(reply.certificate, buf_slice(&certificate)) == 0);
    reply.session = again ? s->txn.session : txn_server_open(&s->txn);
    reply.bit = s->txn.bit;
    send_message(p, msg_Type_REGISTERED, f->request, msg_Registered_fields, &reply, buf_slice(&set));
    buf_free(&certificate);
    buf_free(&set);
}

static void roster(struct shop *s, struct peer *p, const struct frame *f)
{
    struct buf envelope = buf(1 << 16);
    msg_Roster empty = msg_Roster_init_zero;
    maker_roster(&s->maker, &s->device, 1, &envelope);
    send_message(p, msg_Type_ROSTER, f->request, msg_Roster_fields, &empty, buf_slice(&envelope));
    buf_free(&envelope);
}

static void catalogue(struct shop *s, struct peer *p, const struct frame *f)
{
    static msg_Catalogue page;
    page = (msg_Catalogue){ .total = 1, .items_count = 1 };
    msg_CatalogueItem *item = &page.items[0];
    memcpy(item->content, s->song.id.bytes, 32);
    strcpy(item->title, s->song.info.title);
    strcpy(item->media_type, s->song.info.media_type);
    item->plain_bytes = s->song.info.plain_bytes;
    item->products_count = 1;
    item->products[0] = (msg_Product){ .product = 1, .name = "to keep", .price = 99, .currency = "EUR" };
    SEND(p, CATALOGUE, Catalogue, f->request, &page);
}

static void quote(struct shop *s, struct peer *p, const struct frame *f)
{
    struct buf envelope = buf(4096);
    msg_Quote reply = msg_Quote_init_zero;
    doc_Quote q = { .product = 1,
                    .product_name = "to keep",
                    .price = 99,
                    .currency = "EUR",
                    .issued_ms = (uint64_t)maker_now(),
                    .ends_ms = (uint64_t)(maker_now() + DAY_MS) };
    memcpy(q.distributor, s->maker.id.bytes, 32);
    memcpy(q.client, s->device.client.bytes, 32);
    memcpy(q.content, s->song.id.bytes, 32);
    memcpy(q.license_id, s->song.license_id, 16);
    sign_into(&envelope, DOCUMENT_QUOTE, &q, &s->maker.license);
    check(CODEC_SET_BYTES(reply.quote, buf_slice(&envelope)) == 0);
    s->quotes++;
    SEND(p, QUOTE, Quote, f->request, &reply);
    buf_free(&envelope);
}

/* --- Transactions --- */

static void grant(struct shop *s, msg_Result *result)
{
    struct buf bytes = buf(4096);
    doc_License license;
    doc_Header header;
    maker_license(&s->maker, &s->maker, &s->device, &s->song, ++s->license_sequence, &license);
    sign_into(&bytes, DOCUMENT_LICENSE, &license,
              s->transact == TRANSACT_FORGED ? &s->other.license : &s->maker.license);
    result->has_license = result->has_header = true;
    check(CODEC_SET_BYTES(result->license, buf_slice(&bytes)) == 0);
    maker_header(&s->maker, &s->song, &header);
    buf_clear(&bytes);
    encode_header(&header, &bytes);
    check(CODEC_SET_BYTES(result->header, buf_slice(&bytes)) == 0);
    buf_free(&bytes);
}

static void execute(struct shop *s, const msg_Transact *m, struct slice tail)
{
    struct reader r = reader(tail);
    struct slice one;
    struct buf encoded = buf(1 << 16);
    buf_clear(&s->results);
    for (uint32_t i = 0; i < m->count; i++) {
        static msg_Item item;
        static msg_Result result;
        check(codec_list_next(&r, msg_Item_size, &one) == 0 && CODEC_DECODE(msg_Item, one, &item) == 0);
        check(item.has_purchase);
        result = (msg_Result){ .has_refusal = s->transact == TRANSACT_REFUSE };
        if (result.has_refusal)
            reason_refusal(&result.refusal, REASON_CREDIT_REFUSED, NULL);
        else
            grant(s, &result);
        buf_clear(&encoded);
        check(CODEC_ENCODE(msg_Result, &encoded, &result) == 0);
        check(codec_list_put(&s->results, buf_slice(&encoded)) == 0);
        s->executed++;
    }
    check(reader_done(&r));
    txn_server_answered(&s->txn, m->bit, m->transaction);
    buf_free(&encoded);
}

static void answer(struct shop *s, struct peer *p, uint32_t request, const msg_Transact *m, bool other)
{
    msg_Transacted reply = { .bit = m->bit, .count = m->count };
    memcpy(reply.transaction, m->transaction, sizeof(reply.transaction));
    reply.transaction[0] ^= other;
    buf_clear(&s->answer);
    check(CODEC_ENCODE(msg_Transacted, &s->answer, &reply) == 0);
    send_message(p, msg_Type_TRANSACTED, request, msg_Transacted_fields, &reply, buf_slice(&s->results));
}

static void answer_out_of_step(struct shop *s, struct peer *p, uint32_t request)
{
    struct buf tail = buf(1 << 20);
    msg_Refusal refusal;
    s->out_of_step++;
    reason_refusal(&refusal, REASON_OUT_OF_STEP, NULL);
    msg_Transacted state = { .bit = s->txn.bit };
    memcpy(state.transaction, s->txn.id, sizeof(state.transaction));
    buf_clear(&s->answer);
    check(CODEC_ENCODE(msg_Transacted, &s->answer, &state) == 0);
    check(codec_list_put(&tail, buf_slice(&s->answer)) == 0);
    if (s->txn.pending)
        check(buf_append(&tail, buf_slice(&s->results)) == 0);
    send_message(p, msg_Type_REFUSAL, request, msg_Refusal_fields, &refusal, buf_slice(&tail));
    buf_free(&tail);
}

static void transact(struct shop *s, struct peer *p, const struct frame *f)
{
    msg_Transact m;
    enum reason why = REASON_NONE;
    enum shop_transact how = s->transact;
    check(CODEC_DECODE(msg_Transact, f->message, &m) == 0);
    if (how == TRANSACT_DROP_BEFORE) {
        peer_close(p, REASON_OFFLINE);
        return;
    }
    if (atomic_exchange(&s->drop_bit, false))
        s->txn.bit ^= 1u;
    switch (txn_server_judge(&s->txn, m.session, m.bit, m.transaction, &why)) {
    case TXN_NEW:
        execute(s, &m, f->tail);
        break;
    case TXN_REPEAT:
        s->repeated++;
        break;
    case TXN_REFUSED:
        if (why == REASON_OUT_OF_STEP)
            answer_out_of_step(s, p, f->request);
        else
            refuse(p, f->request, why);
        return;
    }
    while (s->transact == TRANSACT_WAIT)
        usleep(1000);
    if (how == TRANSACT_DROP_AFTER)
        peer_close(p, REASON_OFFLINE);
    else if (how != TRANSACT_HOLD)
        answer(s, p, f->request, &m, how == TRANSACT_OTHER);
    if (how == TRANSACT_OTHER)
        peer_close(p, REASON_NONE);
}

static void commit(struct shop *s, const struct frame *f)
{
    msg_Commit m;
    check(CODEC_DECODE(msg_Commit, f->message, &m) == 0);
    s->committed += txn_server_commit(&s->txn, m.session, m.bit, m.transaction);
}

static void info(struct shop *s, struct peer *p, const struct frame *f)
{
    msg_Info reply = msg_Info_init_zero;
    check(CODEC_SET_BYTES(reply.info, buf_slice(&s->song.info_bytes)) == 0);
    memcpy(reply.list_root, s->song.list_root, 32);
    SEND(p, INFO, Info, f->request, &reply);
}

static void account(struct peer *p, const struct frame *f)
{
    msg_Account reply = { .user = "anna", .balance = -99, .credit_limit = 1000, .currency = "EUR" };
    SEND(p, ACCOUNT, Account, f->request, &reply);
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct customer *c = ctx;
    struct shop *s = c->shop;
    msg_Ok ok = msg_Ok_init_zero;
    if (!c->greeted && (s->greeting != GREET_RIGHT || f->type != msg_Type_HELLO)) {
        s->early++; /* the device has spoken although the keyset was wrong */
        return;
    }
    c->greeted = true;
    switch (f->type) {
    case msg_Type_HELLO:
        hello(s, p, f);
        break;
    case msg_Type_REGISTER:
        register_device(s, p, f);
        break;
    case msg_Type_UNREGISTER:
        s->known = false;
        SEND(p, OK, Ok, f->request, &ok);
        break;
    case msg_Type_ROSTER_GET:
        roster(s, p, f);
        break;
    case msg_Type_ACCOUNT_GET:
        account(p, f);
        break;
    case msg_Type_CATALOGUE_GET:
        catalogue(s, p, f);
        break;
    case msg_Type_QUOTE_GET:
        quote(s, p, f);
        break;
    case msg_Type_TRANSACT:
        transact(s, p, f);
        break;
    case msg_Type_COMMIT:
        commit(s, f);
        break;
    case msg_Type_INFO_GET:
        info(s, p, f);
        break;
    default:
        refuse(p, f->request, REASON_MALFORMED);
        break;
    }
}

static void on_open(struct peer *p, void *ctx)
{
    struct customer *c = ctx;
    c->shop->connections++;
    greet(c->shop, p);
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    (void)p;
    (void)why;
    free(ctx);
}

static bool on_accept(struct peer *p, struct peer_callbacks *callbacks, void **ctx, void *listener_ctx)
{
    struct customer *c = calloc(1, sizeof(*c));
    (void)p;
    check(c != NULL);
    c->shop = listener_ctx;
    *callbacks = (struct peer_callbacks){ .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed };
    *ctx = c;
    return true;
}

/* --- Life --- */

static void on_stop(uv_async_t *async)
{
    struct shop *s = async->data;
    peer_listener_close(s->listener);
    uv_close((uv_handle_t *)async, NULL);
}

static void *run(void *ctx)
{
    struct shop *s = ctx;
    uv_run(&s->loop, UV_RUN_DEFAULT);
    return NULL;
}

void shop_again(struct shop *s)
{
    struct signer signer = maker_signer(s->greeting == GREET_OTHER_TLS ? &s->other.tls : &s->maker.tls);
    check(uv_loop_init(&s->loop) == 0);
    check(uv_async_init(&s->loop, &s->stop, on_stop) == 0);
    s->stop.data = s;
    check(peer_identity_new(&s->identity, &signer) == 0);
    check(peer_listen(&s->listener, &s->loop, s->identity, "127.0.0.1", s->port, SHOP_PEERS_MAX, on_accept, s,
                      &s->port) == 0);
    snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", s->port);
    check(pthread_create(&s->thread, NULL, run, s) == 0);
}

void shop_start(struct shop *s, uint8_t seed)
{
    memset(s, 0, sizeof(*s));
    maker_init(&s->maker, seed, "Shop");
    maker_init(&s->other, (uint8_t)(seed + 100), "Other");
    s->maker.keyset.sequence = 5;
    content_init(&s->song, &s->maker, seed, "audio/flac", slice_str("a song, so to speak"), 4096);
    s->answer = buf(1 << 16);
    s->results = buf(1 << 20);
    shop_again(s);
}

void shop_stop(struct shop *s)
{
    uv_async_send(&s->stop);
    check(pthread_join(s->thread, NULL) == 0);
    check(uv_loop_close(&s->loop) == 0);
    peer_identity_free(s->identity);
}

void shop_deinit(struct shop *s)
{
    content_deinit(&s->song);
    maker_deinit(&s->maker);
    maker_deinit(&s->other);
    buf_free(&s->answer);
    buf_free(&s->results);
}
