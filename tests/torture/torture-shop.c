/* A distributor's requests upon its database, under faults: as its writer runs them, one in a transaction. */
#include "../distributor/town.h"
#include "base/util.h"
#include "crypto/seal.h"
#include "torture.h"

static struct town town;
static struct gadget kitchen, attic, bedroom; /* anna's two, and bert's, who is the partner's customer */
static struct id song;
static struct caller who;
static uint16_t type;
static struct buf message, tail;
static bool is_open;

static void open_without_threads(struct shop *s)
{
    if (s->o)
        operations_close(steal(&s->o));
    MUST(operations_open(&s->o, s->dir, s->keys, &town.rng.rng, 0) == 0);
}

static void begin(void)
{
    MUST(setenv("TOWN_RESTART", "1", 1) == 0); /* no threads: children are forked */
    town_init(&town);
    shop_user(&town.a, "anna", 10000);
    shop_user(&town.b, "bert", 10000);
    song = shop_publish(&town.a, "Song", 100, 20, 3, 2);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    gadget_init(&town, &bedroom, "bedroom");
    MUST(gadget_register(&town.a, &kitchen, "anna", TOWN_PASSWORD) == 0);
    MUST(gadget_register(&town.a, &attic, "anna", TOWN_PASSWORD) == 0);
    MUST(gadget_register(&town.b, &bedroom, "bert", TOWN_PASSWORD) == 0);
    town_link(&town, &kitchen, &bedroom);
    torture_place(town.a.dir);
}

/* The request that is asked from here on. */
static void ready(const struct caller *caller, uint16_t request, const pb_msgdesc_t *fields, const void *m,
                  struct slice with)
{
    who = *caller;
    who.now_ms = town.now_ms;
    type = request;
    message = buf(1 << 20);
    tail = buf(1 << 20);
    MUST(codec_encode(&message, fields, m) == 0 && buf_append(&tail, with) == 0);
    open_without_threads(&town.a);
    open_without_threads(&town.b);
    is_open = true;
}

/* Why its only item was refused; 0: it was not. */
static int item_outcome(const struct reply *reply)
{
    static msg_Result result;
    struct reader r = reader(buf_slice(&reply->tail));
    struct slice bytes;
    if (type != msg_Type_TRANSACT)
        return 0;
    MUST(codec_list_next(&r, msg_Result_size, &bytes) == 0 && CODEC_DECODE(msg_Result, bytes, &result) == 0);
    return result.has_refusal ? (int)reason_of_code(result.refusal.code) : 0;
}

static int ask(void)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    struct reply reply CLEANUP(reply_free);
    struct caller asks = who;
    reply_init(&reply);
    int r = transaction_begin_batch(&t, town.a.o->store);
    if (r == 0)
        r = savepoint_begin(&p, town.a.o->store);
    if (r == 0)
        r = requests_run(town.a.o, &asks, type, buf_slice(&message), buf_slice(&tail), &reply);
    if (r == 0)
        r = savepoint_release(&p);
    savepoint_end(&p);
    if (r == 0)
        r = transaction_commit(&t);
    if (r != 0)
        return r;
    fault_pause();
    r = item_outcome(&reply);
    fault_resume();
    return r;
}

static void shop_close(void)
{
    if (is_open)
        operations_close(steal(&town.a.o));
    is_open = false;
}

static int shop_open(void)
{
    if (is_open)
        return 0;
    int r = operations_open(&town.a.o, town.a.dir, town.a.keys, &town.rng.rng, 0);
    is_open = r == 0;
    return r;
}

/* ---- scenes ------------------------------------------------------------------------------------------------------ */

static void starts(void)
{
    begin();
    msg_RosterGet m = msg_RosterGet_init_zero;
    ready(&kitchen.who, msg_Type_ROSTER_GET, msg_RosterGet_fields, &m, slice(NULL, 0));
    shop_close();
}

static void greets(void)
{
    begin();
    msg_Hello m = msg_Hello_init_zero;
    m.role = REQUESTS_DEVICE;
    ready(&kitchen.who, msg_Type_HELLO, msg_Hello_fields, &m, slice(NULL, 0));
}

static void registers(void)
{
    begin();
    static struct gadget cellar;
    gadget_init(&town, &cellar, "cellar");
    msg_Register m = msg_Register_init_zero;
    CODEC_SET_TEXT(m.user, "anna");
    CODEC_SET_TEXT(m.password, TOWN_PASSWORD);
    CODEC_SET_TEXT(m.device_name, "cellar");
    seal_public_key(&cellar.sealing, m.sealing_key);
    gadget_hello(&town.a, &cellar);
    cellar.who.password_ok = true;
    ready(&cellar.who, msg_Type_REGISTER, msg_Register_fields, &m, slice(NULL, 0));
}

/* The next transaction of the gadget, of one item. */
static void transaction(struct gadget *g, struct order *order)
{
    msg_Transact m = { .session = g->who.session, .bit = g->bit ^ 1, .count = order->count };
    memset(m.transaction, 7, sizeof(m.transaction));
    ready(&g->who, msg_Type_TRANSACT, msg_Transact_fields, &m, buf_slice(&order->tail));
}

static void buys(void)
{
    static struct order order;
    struct buf quote = buf(512);
    begin();
    MUST(gadget_quote(&town.a, &kitchen, &song, 0, &quote) == 0);
    order_init(&order);
    order_purchase(&order, buf_slice(&quote));
    transaction(&kitchen, &order);
}

static void copy_to(const struct gadget *to, bool move)
{
    static struct order order;
    static msg_Result result;
    static const doc_Use unused;
    static struct buf use;
    uint8_t license_id[16];
    begin();
    use = buf(512);
    MUST(gadget_buy(&town.a, &kitchen, &song, &result) == 0);
    town_ask(&town.a, &town.b);
    shop_license_id(&town.a, &song, license_id);
    if (move)
        (void)gadget_say_used(&town.a, &kitchen, license_id, &unused, &use);
    order_init(&order);
    order_copy(&order, &song, license_id, &to->client, buf_slice(&use), false);
    transaction(&kitchen, &order);
}

static void copies(void) { copy_to(&attic, false); }
static void copies_across(void) { copy_to(&bedroom, false); }
static void moves(void) { copy_to(&attic, true); }

static void redeems(void)
{
    static msg_Result result;
    static doc_CopyCertificate certificate;
    struct key32 key;
    struct buf receipt = buf(1024);
    begin();
    MUST(gadget_buy(&town.a, &kitchen, &song, &result) == 0);
    MUST(gadget_copy(&town.a, &kitchen, &song, &attic, false, false, &result) == 0);
    MUST(vault_key_of_copy(&town.a, &town.a, &attic, &kitchen.client, &result, &certificate, &key) == 0);
    gadget_receipt(&attic, &certificate, 1, town.now_ms, &receipt);
    msg_Redeem m = msg_Redeem_init_zero;
    MUST(CODEC_SET_BYTES(m.receipt, buf_slice(&receipt)) == 0);
    ready(&attic.who, msg_Type_REDEEM, msg_Redeem_fields, &m, slice(NULL, 0));
}

static void restores(void)
{
    static struct order order;
    static msg_Result result;
    begin();
    MUST(gadget_buy(&town.a, &kitchen, &song, &result) == 0);
    order_init(&order);
    order_restore(&order, &song);
    transaction(&kitchen, &order);
}

static void removes(void)
{
    begin();
    msg_DeviceRemove m = msg_DeviceRemove_init_zero;
    memcpy(m.client, attic.client.bytes, ID_BYTES);
    ready(&kitchen.who, msg_Type_DEVICE_REMOVE, msg_DeviceRemove_fields, &m, slice(NULL, 0));
}

/* Asked again, it is not there any more. */
static int ask_removal(void)
{
    int r = ask();
    return r == REASON_UNKNOWN_DEVICE ? 0 : r;
}

int main(int argc, char **argv)
{
    static const struct scene scenes[] = {
        { "a distributor starts", starts, shop_open, shop_close, shop_open, false, true },
        { "a device greets", greets, ask, shop_close, shop_open, false, false },
        { "a device registers", registers, ask, shop_close, shop_open, false, false },
        { "a purchase", buys, ask, shop_close, shop_open, false, false },
        { "a copy", copies, ask, shop_close, shop_open, true, false },
        { "a copy across", copies_across, ask, shop_close, shop_open, true, false },
        { "a move", moves, ask, shop_close, shop_open, true, false },
        { "a redemption", redeems, ask, shop_close, shop_open, false, false },
        { "a restore", restores, ask, shop_close, shop_open, false, false },
        { "a device is removed", removes, ask_removal, shop_close, shop_open, false, false },
    };
    return torture_main(argc, argv, scenes, ARRAY_COUNT(scenes));
}
