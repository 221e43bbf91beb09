/* Devices as their daemons and vaults would drive them. */
#include <stdio.h>

#include "crypto/contentkey.h"
#include "crypto/keytree.h"
#include "crypto/seal.h"
#include "distributor/licenses.h"
#include "distributor/links.h"
#include "distributor/standings.h"
#include "town.h"

_Static_assert(sizeof(((struct gadget *)0)->set) >= KEYTREE_SET_BYTES, "room for the key set");

void gadget_init(struct town *t, struct gadget *g, const char *name)
{
    *g = (struct gadget){ .name = name, .certificate = buf(512) };
    struct key32 seed;
    rng_fill(&t->rng.rng, seed.bytes, sizeof(seed.bytes));
    rng_fill(&t->rng.rng, g->sealing.bytes, sizeof(g->sealing.bytes));
    sign_pair_init(&g->pair, &seed);
    g->client = id_of_key(g->pair.public_key);
    g->who = (struct caller){ .role = REQUESTS_DEVICE, .client = g->client };
    memcpy(g->who.key, g->pair.public_key, sizeof(g->who.key));
    g->guest = g->who;
}

void gadget_deinit(struct gadget *g) { buf_free(&g->certificate); }

int gadget_present(struct shop *s, const struct gadget *g, struct caller *who, const doc_Generation *said)
{
    struct reply reply CLEANUP(reply_free);
    reply_init(&reply);
    msg_Present m = msg_Present_init_zero;
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(m.statement.bytes));
    struct signer signer;
    signer_from_pair(&signer, &g->pair);
    assert_int_equal(document_sign(&envelope, DOCUMENT_GENERATION, said, &signer), 0);
    assert_int_equal(CODEC_SET_BYTES(m.statement, buf_slice(&envelope)), 0);
    return RUN(s, who, PRESENT, msg_Present, &m, &reply);
}

void gadget_statement(struct shop *s, const struct caller *who, doc_Generation *out)
{
    struct standing known;
    assert_int_equal(standings_get(s->o, &who->client, &known), 0);
    *out = (doc_Generation){ .session = who->session, .generation = known.generation + 1, .current = true };
    memcpy(out->distributor, s->keys->self.bytes, ID_BYTES);
    memcpy(out->client, who->client.bytes, ID_BYTES);
    rng_fill(&s->town->rng.rng, out->nonce, sizeof(out->nonce));
}

static void present(struct shop *s, const struct gadget *g, struct caller *who)
{
    doc_Generation said;
    gadget_statement(s, who, &said);
    assert_int_equal(gadget_present(s, g, who, &said), 0);
}

static void hello(struct shop *s, struct caller *who, msg_Welcome *welcome)
{
    struct reply reply CLEANUP(reply_free);
    reply_init(&reply);
    msg_Hello m = { .role = 1, .generation = 1 };
    assert_int_equal(RUN(s, who, HELLO, msg_Hello, &m, &reply), 0);
    REPLY_AS(&reply, WELCOME, msg_Welcome, welcome);
    assert_int_equal(welcome->session, reply.session);
    who->session = reply.session;
}

void gadget_hello(struct shop *s, struct gadget *g)
{
    msg_Welcome welcome;
    hello(s, &g->who, &welcome);
    doc_SignedTime time;
    assert_int_equal(time_judge(CODEC_BYTES(welcome.time), &s->keyset, &g->client, &time), 0);
    if (g->who.session != 0)
        present(s, g, &g->who);
}

void gadget_visit(struct shop *s, struct gadget *g)
{
    msg_Welcome welcome;
    hello(s, &g->guest, &welcome);
    assert_false(welcome.registered);
    assert_int_not_equal(welcome.session, 0);
    g->guest_bit = welcome.bit;
    present(s, g, &g->guest);
}

int gadget_register(struct shop *s, struct gadget *g, const char *user, const char *password)
{
    struct reply reply CLEANUP(reply_free);
    reply_init(&reply);
    msg_Register m = msg_Register_init_zero;
    CODEC_SET_TEXT(m.user, user);
    CODEC_SET_TEXT(m.password, password);
    CODEC_SET_TEXT(m.device_name, g->name);
    seal_public_key(&g->sealing, m.sealing_key);
    gadget_hello(s, g);
    g->who.password_ok = strcmp(password, TOWN_PASSWORD) == 0;
    int r = RUN(s, &g->who, REGISTER, msg_Register, &m, &reply);
    if (r != 0)
        return r;
    msg_Registered answer;
    REPLY_AS(&reply, REGISTERED, msg_Registered, &answer);
    g->who.session = answer.session;
    g->bit = answer.bit;
    present(s, g, &g->who);
    assert_int_equal(reply.tail.len, KEYTREE_SET_BYTES + SEAL_OVERHEAD_BYTES);
    assert_int_equal(seal_open(&g->sealing, buf_slice(&reply.tail), g->set), 0);
    g->set_len = KEYTREE_SET_BYTES;
    buf_clear(&g->certificate);
    assert_int_equal(buf_append(&g->certificate, CODEC_BYTES(answer.certificate)), 0);
    doc_DeviceCertificate certificate;
    struct id client;
    assert_int_equal(device_judge(buf_slice(&g->certificate), &s->keyset, s->town->now_ms, &certificate, &client), 0);
    assert_true(id_equal(&client, &g->client));
    uint32_t category, leaf;
    assert_int_equal(keytree_set_leaf(slice(g->set, g->set_len), &category, &leaf), 0);
    assert_int_equal(leaf, certificate.leaf.number);
    return 0;
}

void town_link(struct town *t, struct gadget *of_a, struct gadget *of_b)
{
    struct reply reply CLEANUP(reply_free);
    reply_init(&reply);
    msg_LinkCodeGet get = msg_LinkCodeGet_init_zero;
    msg_LinkCode code;
    assert_int_equal(RUN(&t->a, &of_a->who, LINK_CODE_GET, msg_LinkCodeGet, &get, &reply), 0);
    REPLY_AS(&reply, LINK_CODE, msg_LinkCode, &code);

    msg_Link link = msg_Link_init_zero;
    memcpy(link.distributor, t->a.keys->self.bytes, ID_BYTES);
    CODEC_SET_TEXT(link.code, code.code);
    CODEC_SET_TEXT(link.address, code.address);
    struct buf bytes CLEANUP(buf_free) = buf(1024);
    assert_int_equal(CODEC_ENCODE(msg_Link, &bytes, &link), 0);
    struct links_half half;
    assert_int_equal(links_begin(t->b.o, &of_b->who, buf_slice(&bytes), &half, &reply), 0);

    struct caller partner = { .role = REQUESTS_DISTRIBUTOR,
                              .partner = t->b.keys->self,
                              .partner_keyset = &t->b.keyset };
    msg_PartnerLink ask = msg_PartnerLink_init_zero;
    msg_PartnerLinked answer;
    CODEC_SET_TEXT(ask.code, half.code);
    CODEC_SET_TEXT(ask.user, half.user);
    assert_int_equal(RUN(&t->a, &partner, PARTNER_LINK, msg_PartnerLink, &ask, &reply), 0);
    REPLY_AS(&reply, PARTNER_LINKED, msg_PartnerLinked, &answer);

    struct transaction open CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&open, t->b.o->store), 0);
    assert_int_equal(links_store(t->b.o, &half, answer.user, t->now_ms, &reply), 0);
    assert_int_equal(transaction_commit(&open), 0);
    if (t->directory)
        town_share(t);
}

/* --- Transactions ------------------------------------------------------------------------------------------------ */

void order_init(struct order *o) { *o = (struct order){ .tail = buf(1 << 20) }; }

static void order_add(struct order *o, const msg_Item *item)
{
    struct buf bytes CLEANUP(buf_free) = buf(2048);
    assert_int_equal(CODEC_ENCODE(msg_Item, &bytes, item), 0);
    assert_int_equal(codec_list_put(&o->tail, buf_slice(&bytes)), 0);
    o->count++;
}

void order_purchase(struct order *o, struct slice quote)
{
    msg_Item item = { .has_purchase = true };
    assert_int_equal(CODEC_SET_BYTES(item.purchase.quote, quote), 0);
    order_add(o, &item);
}

void order_copy(struct order *o, const struct id *content, const uint8_t license_id[16], const struct id *destination,
                struct slice use, bool removable)
{
    msg_Item item = { .has_copy = true,
                      .copy = { .move = use.len > 0, .has_use = use.len > 0, .removable = removable } };
    memcpy(item.copy.content, content->bytes, ID_BYTES);
    memcpy(item.copy.license_id, license_id, 16);
    memcpy(item.copy.destination, destination->bytes, ID_BYTES);
    assert_int_equal(CODEC_SET_BYTES(item.copy.use, use), 0);
    order_add(o, &item);
}

void order_restore(struct order *o, const struct id *content)
{
    msg_Item item = { .has_restore = true };
    memcpy(item.restore.content, content->bytes, ID_BYTES);
    order_add(o, &item);
}

int gadget_transact_as(struct shop *s, struct caller *who, uint64_t session, uint32_t bit, const uint8_t id[16],
                       struct order *o, struct reply *reply)
{
    msg_Transact m = { .session = session, .bit = bit, .count = o->count };
    memcpy(m.transaction, id, 16);
    return town_run(s, who, msg_Type_TRANSACT, msg_Transact_fields, &m, buf_slice(&o->tail), reply);
}

static void read_results(const struct reply *reply, struct results *out)
{
    struct reader r = reader(buf_slice(&reply->tail));
    struct slice bytes;
    out->count = 0;
    while (codec_list_next(&r, msg_Result_size, &bytes) == 0) {
        assert_true(out->count < 8);
        assert_int_equal(CODEC_DECODE(msg_Result, bytes, &out->results[out->count++]), 0);
    }
}

static int transact(struct shop *s, struct gadget *g, struct caller *who, struct order *o, struct results *out)
{
    struct reply reply CLEANUP(reply_free);
    reply_init(&reply);
    uint8_t id[16];
    rng_fill(&s->town->rng.rng, id, sizeof(id));
    uint32_t *bit = who == &g->who ? &g->bit : &g->guest_bit;
    int r = gadget_transact_as(s, who, who->session, *bit ^ 1, id, o, &reply);
    if (r == 0) {
        *bit ^= 1;
        msg_Transacted answer;
        REPLY_AS(&reply, TRANSACTED, msg_Transacted, &answer);
        assert_int_equal(answer.count, o->count);
        read_results(&reply, out);
        assert_int_equal(out->count, o->count);
    }
    buf_free(&o->tail);
    return r;
}

int gadget_transact(struct shop *s, struct gadget *g, struct order *o, struct results *out)
{
    return transact(s, g, &g->who, o, out);
}

int gadget_transact_guest(struct shop *s, struct gadget *g, struct order *o, struct results *out)
{
    return transact(s, g, &g->guest, o, out);
}

int gadget_quote(struct shop *s, struct gadget *g, const struct id *content, uint32_t product, struct buf *quote)
{
    struct reply reply CLEANUP(reply_free);
    reply_init(&reply);
    msg_QuoteGet m = { .product = product };
    memcpy(m.content, content->bytes, ID_BYTES);
    int r = RUN(s, &g->who, QUOTE_GET, msg_QuoteGet, &m, &reply);
    if (r != 0)
        return r;
    msg_Quote answer;
    REPLY_AS(&reply, QUOTE, msg_Quote, &answer);
    buf_clear(quote);
    assert_int_equal(buf_append(quote, CODEC_BYTES(answer.quote)), 0);
    return 0;
}

/* The only result of a transaction of one item: 0 or why it was refused. */
static int only_result(int r, const struct results *results, msg_Result *out)
{
    if (r != 0)
        return r;
    *out = results->results[0];
    return out->has_refusal ? (int)reason_of_code(out->refusal.code) : 0;
}

int gadget_buy(struct shop *s, struct gadget *g, const struct id *content, msg_Result *out)
{
    struct buf quote CLEANUP(buf_free) = buf(512);
    struct order order;
    static struct results results;
    int r = gadget_quote(s, g, content, 0, &quote);
    if (r != 0)
        return r;
    order_init(&order);
    order_purchase(&order, buf_slice(&quote));
    r = gadget_transact(s, g, &order, &results);
    return only_result(r, &results, out);
}

struct slice gadget_say_used(const struct shop *s, const struct gadget *g, const uint8_t license_id[16],
                             const doc_Use *said, struct buf *out)
{
    struct signer signer;
    struct license held;
    doc_Use use = *said;
    if (use.sequence == 0 && licenses_find(s->o, license_id, &g->client, &held) == 0)
        use.sequence = held.sequence;
    memcpy(use.issuer, s->keys->self.bytes, ID_BYTES);
    memcpy(use.license_id, license_id, sizeof(use.license_id));
    memcpy(use.client, g->client.bytes, ID_BYTES);
    signer_from_pair(&signer, &g->pair);
    assert_int_equal(document_sign(out, DOCUMENT_USE, &use, &signer), 0);
    return buf_slice(out);
}

int gadget_copy(struct shop *s, struct gadget *g, const struct id *content, const struct gadget *to, bool move,
                bool removable, msg_Result *out)
{
    struct order order;
    static struct results results;
    static const doc_Use unused;
    struct buf use CLEANUP(buf_free) = buf(512);
    uint8_t license_id[16];
    shop_license_id(s, content, license_id);
    order_init(&order);
    if (move)
        (void)gadget_say_used(s, g, license_id, &unused, &use);
    order_copy(&order, content, license_id, &to->client, buf_slice(&use), removable);
    struct caller *who = g->who.session != 0 && g->guest.session == 0 ? &g->who : &g->guest;
    int r = transact(s, g, who, &order, &results);
    return only_result(r, &results, out);
}

void gadget_receipt(const struct gadget *destination, const doc_CopyCertificate *certificate, uint32_t outcome,
                    int64_t signed_ms, struct buf *out)
{
    doc_Receipt r = { .outcome = outcome, .signed_ms = (uint64_t)signed_ms };
    memcpy(r.issuer, certificate->issuer, sizeof(r.issuer));
    memcpy(r.serial, certificate->serial, sizeof(r.serial));
    memcpy(r.content, certificate->content, sizeof(r.content));
    memcpy(r.source, certificate->source, sizeof(r.source));
    memcpy(r.destination, certificate->destination, sizeof(r.destination));
    struct signer signer;
    signer_from_pair(&signer, &destination->pair);
    buf_clear(out);
    assert_int_equal(document_sign(out, DOCUMENT_RECEIPT, &r, &signer), 0);
}

int gadget_redeem(struct shop *s, struct caller *who, struct slice receipt)
{
    struct reply reply CLEANUP(reply_free);
    reply_init(&reply);
    msg_Redeem m = msg_Redeem_init_zero;
    assert_int_equal(CODEC_SET_BYTES(m.receipt, receipt), 0);
    return RUN(s, who, REDEEM, msg_Redeem, &m, &reply);
}
