/* Every request a device or partner can make of a distributor, over a real database.
 * Promises: nothing that is asked makes the distributor fail inside (a negative outcome is a failure of its own), whatever is refused
 * has changed nothing, answers can be read, the ledger stays even and nobody gets beyond the credit given.
 * Input: a list of steps (one byte what, then its operands): raw requests, edited honest ones, other callers. */
#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "messages.h"
#include "shop.h"

#define STEPS_MAX 24
#define EDITS_MAX 6

struct run {
    struct shop *shop;
    struct caller callers[4]; /* two of the household, a stranger, the partner */
    size_t who;
    uint32_t bits[3];
    uint8_t license_id[16]; /* of the content */
    uint8_t serial[16];     /* of the last copy certificate that was issued */
    struct buf quote, answer, answer_tail;
    uint8_t next_id;
};

static const struct {
    uint16_t type;
    const char *message;
} requests[] = {
    { msg_Type_HELLO, "msg_Hello" },
    { msg_Type_REGISTER, "msg_Register" },
    { msg_Type_UNREGISTER, "msg_Unregister" },
    { msg_Type_DEVICE_RENAME, "msg_DeviceRename" },
    { msg_Type_DEVICE_REMOVE, "msg_DeviceRemove" },
    { msg_Type_ROSTER_GET, "msg_RosterGet" },
    { msg_Type_LINK_CODE_GET, "msg_LinkCodeGet" },
    { msg_Type_UNLINK, "msg_Unlink" },
    { msg_Type_ACCOUNT_GET, "msg_AccountGet" },
    { msg_Type_BILLS_GET, "msg_BillsGet" },
    { msg_Type_CATALOGUE_GET, "msg_CatalogueGet" },
    { msg_Type_QUOTE_GET, "msg_QuoteGet" },
    { msg_Type_HEADER_GET, "msg_HeaderGet" },
    { msg_Type_TRANSACT, "msg_Transact" },
    { msg_Type_COMMIT, "msg_Commit" },
    { msg_Type_REDEEM, "msg_Redeem" },
    { msg_Type_REDEEMS, "msg_Redeems" },
    { msg_Type_MOVE_DONE, "msg_MoveDone" },
    { msg_Type_PRESENT, "msg_Present" },
    { msg_Type_CATCH_UP_GET, "msg_CatchUpGet" },
    { msg_Type_MOVE_CANCEL, "msg_MoveCancel" },
    { msg_Type_DELEGATION_GET, "msg_DelegationGet" },
    { msg_Type_GRANT_GET, "msg_GrantGet" },
    { msg_Type_PARTNER_LINK, "msg_PartnerLink" },
    { msg_Type_PARTNER_UNLINK, "msg_PartnerUnlink" },
    { msg_Type_ROWS_GET, "msg_RowsGet" },
    { msg_Type_AUTO_COPY, "msg_AutoCopy" },
    { msg_Type_QUEUED_GET, "msg_RestorableGet" },
    { msg_Type_QUEUED_DONE, "msg_QueuedDone" },
    { msg_Type_LOGIN_PROVE, "msg_LoginProve" },
    { msg_Type_LOGIN, "msg_Login" },
    { msg_Type_LOGOUT, "msg_Logout" },
    { msg_Type_PASSWORD_SET, "msg_PasswordSet" },
    { msg_Type_LIMIT_SET, "msg_LimitSet" },
    { msg_Type_UNLOCK_SPENDING, "msg_UnlockSpending" },
    { msg_Type_ACCOUNT_EXPORT, "msg_AccountExport" },
    { msg_Type_ACCOUNT_ERASE, "msg_AccountErase" },
    { msg_Type_PROGRAMS_GET, "msg_ProgramsGet" },
    { msg_Type_PROGRAM_GET, "msg_ProgramGet" },
    { msg_Type_PROGRAM_BLOCKS_GET, "msg_ProgramBlocksGet" },
    { msg_Type_SHARE_PUSH, "msg_SharePush" },
    { msg_Type_BODIES_GET, "msg_BodiesGet" },
    { msg_Type_TERMS_GET, "msg_TermsGet" },
};

/* ---- asking --------------------------------------------------------------------------------------------------- */

static bool is_outcome(int r)
{
    return r == 0 || (r > 0 && r < REASON_COUNT) || r == REQUESTS_ASK_DIRECTORY || r == REQUESTS_ASK_PARTNER;
}

static void keep_login(struct caller *who, const struct reply *reply)
{
    if (reply->has_challenge) {
        who->has_challenge = true;
        memcpy(who->challenge, reply->challenge, sizeof(who->challenge));
    }
    if (reply->login == REPLY_LOGIN_AS_BEFORE)
        return;
    who->has_token = reply->login == REPLY_LOGGED_IN;
    memcpy(who->token, reply->token, sizeof(who->token));
}

/* As the server does it: a savepoint each, kept when it was granted; asked again when another server was to be asked first. */
static int ask(struct run *r, uint16_t type, struct slice message, struct slice tail)
{
    struct caller *who = &r->callers[r->who];
    uint8_t *exact_message CLEANUP(freep) = input_copy(message), *exact_tail CLEANUP(freep) = input_copy(tail);
    for (;;) {
        struct savepoint p CLEANUP(savepoint_end) = { 0 };
        struct reply reply;
        reply_init(&reply);
        CHECK(savepoint_begin(&p, r->shop->operations->store) == 0);
        int outcome = requests_run(r->shop->operations, who, type, slice(exact_message, message.len),
                                   slice(exact_tail, tail.len), &reply);
        CHECK(is_outcome(outcome));
        if (outcome == 0) {
            CHECK(savepoint_release(&p) == 0);
            buf_clear(&r->answer);
            CHECK(reply.tail.len <= FRAME_TAIL_MAX && reply.message.len <= FRAME_MESSAGE_MAX);
            buf_clear(&r->answer_tail);
            CHECK(buf_append(&r->answer, buf_slice(&reply.message)) == 0);
            CHECK(buf_append(&r->answer_tail, buf_slice(&reply.tail)) == 0);
            if (type == msg_Type_HELLO || type == msg_Type_REGISTER)
                who->session = reply.session;
            keep_login(who, &reply);
        }
        reply_free(&reply);
        if (outcome == REQUESTS_ASK_DIRECTORY && !who->directory_asked) {
            who->directory_asked = true;
        } else if (outcome == REQUESTS_ASK_PARTNER && who->partners_asked_count < REQUESTS_PARTNERS_MAX) {
            CHECK(who->partners_asked_count == 0 || !id_equal(&reply.ask, &who->partners_asked[0]));
            who->partners_asked[who->partners_asked_count++] = reply.ask;
        } else {
            CHECK(outcome != REQUESTS_ASK_DIRECTORY && outcome != REQUESTS_ASK_PARTNER);
            who->directory_asked = false;
            who->partners_asked_count = 0;
            return outcome;
        }
    }
}

static void edit(struct input *in, struct buf *target)
{
    for (int i = input_u8(in) % EDITS_MAX; i > 0; i--)
        input_edit(in, target);
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

/* A request of any type over an edited message of zeros, or over any bytes. */
static void step_any(struct run *r, struct input *in)
{
    size_t index = input_u8(in) % ARRAY_COUNT(requests);
    const struct message *m = message_named(requests[index].message);
    struct buf message CLEANUP(buf_free) = buf(FRAME_MESSAGE_MAX), tail CLEANUP(buf_free) = buf(8192);
    if (input_u8(in) & 1) {
        CHECK(buf_append(&message, input_bytes(in, input_u8(in))) == 0);
    } else {
        void *zero CLEANUP(freep) = calloc(1, m->struct_bytes);
        CHECK(zero && codec_encode(&message, m->fields, zero) == 0);
        edit(in, &message);
    }
    CHECK(buf_append(&tail, input_bytes(in, input_u8(in) % 64)) == 0);
    ask(r, requests[index].type, buf_slice(&message), buf_slice(&tail));
}

static void step_quote(struct run *r, struct input *in)
{
    msg_QuoteGet get = { .product = r->shop->product };
    msg_Quote quote;
    struct buf message CLEANUP(buf_free) = buf(256);
    memcpy(get.content, r->shop->content.bytes, ID_BYTES);
    CHECK(CODEC_ENCODE(msg_QuoteGet, &message, &get) == 0);
    edit(in, &message);
    if (ask(r, msg_Type_QUOTE_GET, buf_slice(&message), slice(NULL, 0)) == 0 &&
        CODEC_DECODE(msg_Quote, buf_slice(&r->answer), &quote) == 0) {
        buf_clear(&r->quote);
        CHECK(buf_append(&r->quote, CODEC_BYTES(quote.quote)) == 0);
        doc_Quote quoted;
        uint8_t key[32];
        CHECK(document_open(DOCUMENT_QUOTE, CODEC_BYTES(quote.quote), &quoted, sizeof(quoted), key) == 0);
        memcpy(r->license_id, quoted.license_id, sizeof(r->license_id));
    }
}

static void put_item(struct run *r, struct input *in, struct buf *tail)
{
    struct buf bytes CLEANUP(buf_free) = buf(4096), quote CLEANUP(buf_free) = buf(2048);
    msg_Item item = msg_Item_init_zero;
    uint8_t choice = input_u8(in);
    item.has_purchase = choice & 1;
    item.has_copy = !item.has_purchase || (choice & 0x30) == 0x30;
    CHECK(buf_append(&quote, buf_slice(&r->quote)) == 0);
    if (choice & 2)
        edit(in, &quote);
    if (item.has_purchase && CODEC_SET_BYTES(item.purchase.quote, buf_slice(&quote)) != 0)
        return;
    memcpy(item.copy.content, r->shop->content.bytes, ID_BYTES);
    memcpy(item.copy.destination,
           r->shop->world->ids[choice & 4   ? WHO_SELF
                               : choice & 8 ? WHO_STRANGER
                                            : WHO_SOURCE]
               .bytes,
           ID_BYTES);
    item.copy.move = choice & 0x40;
    item.copy.removable = choice & 0x80;
    memcpy(item.copy.license_id, r->license_id, sizeof(item.copy.license_id));
    CHECK(CODEC_ENCODE(msg_Item, &bytes, &item) == 0);
    if ((choice & 0x30) == 0x10)
        edit(in, &bytes);
    if (codec_list_put(tail, buf_slice(&bytes)) != 0)
        return;
}

/* What a copy certificate among the results is called; a move's is sealed to its device. */
static void note_serial(struct run *r, struct slice item)
{
    msg_Result *result CLEANUP(freep) = malloc(sizeof(*result));
    doc_CopyCertificate *certificate CLEANUP(freep) = malloc(sizeof(*certificate));
    uint8_t plain[sizeof(result->certificate.bytes)], key[32];
    CHECK(result && certificate && CODEC_DECODE(msg_Result, item, result) == 0);
    CHECK(result->has_refusal != (result->has_license || result->has_certificate));
    if (!result->has_certificate)
        return;
    struct slice envelope = CODEC_BYTES(result->certificate);
    if (envelope.data[0] != 1 && seal_open(&shop_sealing_secret, envelope, plain) == 0)
        envelope = slice(plain, envelope.len - SEAL_OVERHEAD_BYTES);
    if (document_open(DOCUMENT_COPY_CERTIFICATE, envelope, certificate, sizeof(*certificate), key) == 0)
        memcpy(r->serial, certificate->serial, sizeof(r->serial));
}

static void note_results(struct run *r, uint32_t count)
{
    struct reader tail = reader(buf_slice(&r->answer_tail));
    struct slice item;
    uint32_t found = 0;
    for (; codec_list_next(&tail, msg_Result_size, &item) == 0; found++)
        note_serial(r, item);
    CHECK(found == count && reader_done(&tail));
}

/* A transaction as an honest device would send it next, or nearly. */
static void step_transact(struct run *r, struct input *in)
{
    struct buf message CLEANUP(buf_free) = buf(256), tail CLEANUP(buf_free) = buf(64 * 1024);
    if (r->who > 2)
        return;
    uint8_t how = input_u8(in);
    msg_Transact t = { .session = r->callers[r->who].session, .bit = r->bits[r->who] ^ 1, .count = 1u + how % 3 };
    memset(t.transaction, how & 0x80 ? r->next_id : ++r->next_id, sizeof(t.transaction));
    if (how & 0x40)
        t.bit = input_u8(in);
    for (uint32_t i = 0; i < t.count; i++)
        put_item(r, in, &tail);
    if (how & 0x20)
        t.count = input_u32(in);
    CHECK(CODEC_ENCODE(msg_Transact, &message, &t) == 0);
    if (how & 0x10)
        edit(in, &tail);
    if (how & 0x08)
        edit(in, &message);
    msg_Transacted done;
    if (ask(r, msg_Type_TRANSACT, buf_slice(&message), buf_slice(&tail)) == 0 &&
        CODEC_DECODE(msg_Transacted, buf_slice(&r->answer), &done) == 0) {
        r->bits[r->who] = done.bit;
        note_results(r, done.count);
    }
}

/* Receipts and surrenders signed by any device, about a serial that may be one of ours. */
static void step_settle(struct run *r, struct input *in)
{
    static const enum who signers[] = { WHO_SELF, WHO_SOURCE, WHO_STRANGER, WHO_OWN_LICENSE };
    const struct world *w = r->shop->world;
    struct buf receipt CLEANUP(buf_free) = buf(2048), surrender CLEANUP(buf_free) = buf(2048),
                       payload CLEANUP(buf_free) = buf(1024), message CLEANUP(buf_free) = buf(2048);
    uint8_t how = input_u8(in);
    enum who signer = signers[how % 4], source = signers[(how >> 2) % 4];
    doc_Receipt about = { .outcome = how & 0x10 ? RECEIPT_REFUSED : RECEIPT_STORED, .signed_ms = WORLD_NOW_MS };
    memcpy(about.issuer, r->shop->keys->self.bytes, ID_BYTES);
    memcpy(about.content, r->shop->content.bytes, ID_BYTES);
    memcpy(about.destination, w->ids[signer].bytes, ID_BYTES);
    memcpy(about.source, w->ids[source].bytes, ID_BYTES);
    memcpy(about.serial, r->serial, sizeof(about.serial));
    CHECK(codec_encode(&payload, doc_Receipt_fields, &about) == 0);
    edit(in, &payload);
    world_sign(w, DOCUMENT_RECEIPT, buf_slice(&payload), signer, &receipt);
    doc_Surrender gone = { .signed_ms = WORLD_NOW_MS };
    memcpy(gone.issuer, about.issuer, ID_BYTES);
    memcpy(gone.serial, about.serial, sizeof(gone.serial));
    memcpy(gone.license_id, r->license_id, sizeof(gone.license_id));
    memcpy(gone.client, w->ids[source].bytes, ID_BYTES);
    buf_clear(&payload);
    CHECK(codec_encode(&payload, doc_Surrender_fields, &gone) == 0);
    edit(in, &payload);
    world_sign(w, DOCUMENT_SURRENDER, buf_slice(&payload), source, &surrender);
    msg_MoveDone done = msg_MoveDone_init_zero;
    msg_Redeem redeem = msg_Redeem_init_zero;
    if (CODEC_SET_BYTES(done.receipt, buf_slice(&receipt)) != 0 ||
        CODEC_SET_BYTES(done.surrender, buf_slice(&surrender)) != 0 ||
        CODEC_SET_BYTES(redeem.receipt, buf_slice(&receipt)) != 0)
        return;
    if (how & 0x80)
        CHECK(CODEC_ENCODE(msg_MoveDone, &message, &done) == 0);
    else
        CHECK(CODEC_ENCODE(msg_Redeem, &message, &redeem) == 0);
    ask(r,
        how & 0x80   ? msg_Type_MOVE_DONE
        : how & 0x40 ? msg_Type_MOVE_CANCEL
                     : msg_Type_REDEEM,
        buf_slice(&message), slice(NULL, 0));
}

/* Requests with a password or PIN that the pool found right, or not; and the operator's policy. */
static void step_account(struct run *r, struct input *in)
{
    static const char *const policies[] = { "device-key", "password", "both" };
    struct caller *who = &r->callers[r->who];
    struct buf message CLEANUP(buf_free) = buf(FRAME_MESSAGE_MAX);
    msg_PasswordSet password = { .password = "old", .fresh = "a fresh password" };
    msg_LimitSet limit = { .pin = "1234", .proof = "4321" };
    msg_AccountExport export = { 0 };
    msg_Login login = msg_Login_init_zero;
    msg_UnlockSpending unlock = { .pin = "1234" };
    msg_AccountErase erase = { .password = "old" };
    who->password_ok = (input_u8(in) & 1) != 0;
    who->password_hash = "$argon2id$x";
    uint16_t type;
    switch (input_u8(in) % 7) {
    case 0:
        type = msg_Type_LOGIN;
        CHECK(CODEC_ENCODE(msg_Login, &message, &login) == 0);
        break;
    case 1:
        type = msg_Type_PASSWORD_SET;
        CHECK(CODEC_ENCODE(msg_PasswordSet, &message, &password) == 0);
        break;
    case 2:
        type = msg_Type_LIMIT_SET;
        limit.amount = (int64_t)input_u8(in) * 10 - 10;
        limit.period = input_u8(in) % 4;
        CHECK(CODEC_ENCODE(msg_LimitSet, &message, &limit) == 0);
        break;
    case 3:
        type = msg_Type_UNLOCK_SPENDING;
        CHECK(CODEC_ENCODE(msg_UnlockSpending, &message, &unlock) == 0);
        break;
    case 4:
        type = msg_Type_ACCOUNT_EXPORT;
        export.part = input_u8(in);
        export.first = input_u8(in);
        CHECK(CODEC_ENCODE(msg_AccountExport, &message, &export) == 0);
        break;
    case 5:
        type = msg_Type_ACCOUNT_ERASE;
        CHECK(CODEC_ENCODE(msg_AccountErase, &message, &erase) == 0);
        break;
    default:
        CHECK(operations_setting_set(r->shop->operations, "login-policy", policies[input_u8(in) % 3]) == 0);
        return;
    }
    if (input_u8(in) & 1)
        edit(in, &message);
    ask(r, type, buf_slice(&message), slice(NULL, 0));
    who->password_ok = false;
    who->password_hash = NULL;
}

/* Of the values that choose a caller, the upper half is an account's affairs. */
static void step_caller(struct run *r, struct input *in)
{
    uint8_t choice = input_u8(in);
    if (choice < 128)
        r->who = choice % ARRAY_COUNT(r->callers);
    else
        step_account(r, in);
}

static void step(struct run *r, struct input *in)
{
    switch (input_u8(in) % 6) {
    case 0:
        step_any(r, in);
        break;
    case 1:
        step_quote(r, in);
        break;
    case 2:
    case 3:
        step_transact(r, in);
        break;
    case 4:
        step_settle(r, in);
        break;
    default:
        step_caller(r, in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shop *s = shop_get();
    struct input in = input(data, size);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct run r = {
        .shop = s, .quote = buf(1024), .answer = buf(FRAME_MESSAGE_MAX), .answer_tail = buf(FRAME_TAIL_MAX)
    };
    rng_fake_init(&s->rng, 78); /* each run alike */
    CHECK(transaction_begin(&t, s->operations->store) == 0);
    shop_caller(s, WHO_SELF, &r.callers[0]);
    shop_caller(s, WHO_SOURCE, &r.callers[1]);
    shop_caller(s, WHO_STRANGER, &r.callers[2]);
    shop_caller_partner(s, &r.callers[3]);
    for (int i = 0; i < STEPS_MAX && in.rest.len > 0; i++)
        step(&r, &in);
    shop_check(s);
    buf_free(&r.quote);
    buf_free(&r.answer);
    buf_free(&r.answer_tail);
    return 0;
}
