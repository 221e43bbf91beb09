/* Copy certificates: seed S121-S141; how they are settled (S153), moves. */
#include "town.h"

#include <stdio.h>

#include "crypto/seal.h"
#include "distributor/refunds.h"
#include "distributor/copies.h"

static struct town town;
static struct gadget kitchen, attic, bedroom, thief; /* alice at A twice, alina at B, mallory at A */
static struct reply reply;
static struct id song;
static doc_CopyCertificate certificate;
static struct buf receipt;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 2000);
    shop_user(&town.a, "mallory", 2000);
    shop_user(&town.b, "alina", 2000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    gadget_init(&town, &bedroom, "bedroom");
    gadget_init(&town, &thief, "thief");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &thief, "mallory", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &bedroom, "alina", TOWN_PASSWORD), 0);
    song = shop_publish(&town.a, "Song", 499, 50, 3, 2);
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    town_link(&town, &kitchen, &bedroom);
    reply_init(&reply);
    receipt = buf(512);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_free(&receipt);
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    gadget_deinit(&bedroom);
    gadget_deinit(&thief);
    town_deinit(&town);
    return 0;
}

static struct license license_of(const struct gadget *g)
{
    struct license l;
    assert_int_equal(licenses_find_content(town.a.o, &song, &g->client, &l), 0);
    return l;
}

static int copy_to(struct gadget *from, const struct gadget *to, msg_Result *result)
{
    return gadget_copy(&town.a, from, &song, to, false, false, result);
}

static void refused_without_a_trace(struct gadget *from, const struct gadget *to, bool move, bool removable,
                                    enum reason reason)
{
    uint8_t before[32], after[32];
    msg_Result result;
    shop_digest(&town.a, before);
    assert_int_equal(gadget_copy(&town.a, from, &song, to, move, removable, &result), reason);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
}

static void tick(void)
{
    bool changed;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    town_restart(&town.a);
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(operations_tick(town.a.o, town.now_ms, &changed), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

/* --- Issuing ----------------------------------------------------------------------------------------------------- */

static void a_copy_plays_on_the_next_device(void **state)
{
    (void)state;
    msg_Result result;
    struct key32 key;
    assert_int_equal(copy_to(&kitchen, &attic, &result), 0);
    assert_false(result.has_delegation);
    assert_int_equal(vault_key_of_copy(&town.a, &town.a, &attic, &kitchen.client, &result, &certificate, &key), 0);
    assert_true(vault_plays(&town.a, &song, &key));
    assert_false(certificate.partner_root);
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    assert_int_equal(license_of(&kitchen).copies, 1);
    /* Not for another device, nor from another. */
    doc_CopyCertificate other;
    assert_int_equal(vault_key_of_copy(&town.a, &town.a, &kitchen, &kitchen.client, &result, &other, &key),
                     REASON_WRONG_DESTINATION);
    assert_int_equal(vault_key_of_copy(&town.a, &town.a, &attic, &thief.client, &result, &other, &key),
                     REASON_NOT_PERMITTED);
    assert_int_equal(vault_key_of_copy(&town.a, &town.a, &attic, NULL, &result, &other, &key), REASON_NOT_PERMITTED);
}

static void a_copy_plays_at_another_distributors_device(void **state)
{
    (void)state;
    msg_Result result;
    struct key32 key;
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0);
    assert_true(result.has_delegation);
    assert_int_equal(vault_key_of_copy(&town.a, &town.b, &bedroom, &kitchen.client, &result, &certificate, &key), 0);
    assert_true(certificate.partner_root);
    assert_true(vault_plays(&town.a, &song, &key));
    assert_int_equal(certificate.ends_ms - certificate.issued_ms, 7 * TOWN_DAY_MS);
}

static void asking_again_gives_the_same_certificate(void **state)
{
    (void)state;
    msg_Result first, again;
    assert_int_equal(copy_to(&kitchen, &attic, &first), 0);
    assert_int_equal(copy_to(&kitchen, &attic, &again), 0);
    assert_true(slice_equal(CODEC_BYTES(first.certificate), CODEC_BYTES(again.certificate)));
    assert_int_equal(license_of(&kitchen).copies, 1);
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    town.now_ms += 7 * TOWN_DAY_MS - 1000;
    assert_int_equal(copy_to(&kitchen, &attic, &again), 0); /* too little left of the first */
    assert_false(slice_equal(CODEC_BYTES(first.certificate), CODEC_BYTES(again.certificate)));
    assert_int_equal(license_of(&kitchen).copies, 2);
}

static void only_the_household_of_the_account(void **state)
{
    (void)state;
    refused_without_a_trace(&kitchen, &thief, false, false, REASON_NOT_OWNED);
    refused_without_a_trace(&kitchen, &kitchen, false, false, REASON_MALFORMED);
    refused_without_a_trace(&attic, &kitchen, false, false, REASON_NO_LICENSE);
    struct gadget nowhere;
    gadget_init(&town, &nowhere, "nowhere");
    refused_without_a_trace(&kitchen, &nowhere, false, false, REASON_NOT_REGISTERED);
    gadget_deinit(&nowhere);
    msg_Unlink m;
    memcpy(m.distributor, town.a.keys->self.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.b, &bedroom.who, UNLINK, msg_Unlink, &m, &reply), 0);
    assert_int_equal(reply.unlinked_count, 1);
    assert_string_equal(reply.unlinked[0].user, "alina");
    assert_string_equal(reply.unlinked[0].partner_user, "alice");
    town_share(&town); /* the other end's row goes too */
    refused_without_a_trace(&kitchen, &bedroom, false, false, REASON_NOT_OWNED);
}

static void a_link_made_elsewhere_is_asked_of_the_directory(void **state)
{
    (void)state;
    struct gadget cellar;
    msg_Result result;
    gadget_init(&town, &cellar, "cellar"); /* registers at B, unknown to A until it asks */
    assert_int_equal(gadget_register(&town.b, &cellar, "alina", TOWN_PASSWORD), 0);
    town.directory = false;
    assert_int_equal(copy_to(&kitchen, &cellar, &result), REASON_NOT_REGISTERED);
    town.directory = true;
    assert_int_equal(copy_to(&kitchen, &cellar, &result), 0);
    gadget_deinit(&cellar);
}

static void revoked_devices_get_nothing(void **state)
{
    (void)state;
    msg_Result result;
    msg_DeviceRemove m;
    memcpy(m.client, attic.client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &kitchen.who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
    refused_without_a_trace(&kitchen, &attic, false, false, REASON_DEVICE_REVOKED);
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0);
    memcpy(m.client, bedroom.client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.b, &bedroom.who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
    town_share(&town);
    refused_without_a_trace(&kitchen, &bedroom, false, false, REASON_DEVICE_REVOKED);
    memcpy(m.client, kitchen.client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &kitchen.who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
    refused_without_a_trace(&kitchen, &attic, false, false, REASON_DEVICE_REVOKED);
}

static void a_revoked_device_passes_nothing_to_strangers(void **state)
{
    (void)state;
    msg_Result result;
    uint8_t signer[32];
    msg_DeviceRemove m;
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0);
    assert_int_equal(document_open(DOCUMENT_COPY_CERTIFICATE, CODEC_BYTES(result.certificate), &certificate,
                                   sizeof(certificate), signer),
                     0);
    gadget_receipt(&bedroom, &certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &bedroom.guest, buf_slice(&receipt)), 0);
    memcpy(m.client, bedroom.client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.b, &bedroom.who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
    town_share(&town);
    /* The thief registers it anew, here and for itself: it is in a household again, but not in the license's. */
    bedroom.who.session = 0;
    assert_int_equal(gadget_register(&town.a, &bedroom, "mallory", TOWN_PASSWORD), 0);
    refused_without_a_trace(&bedroom, &thief, false, false, REASON_DEVICE_REVOKED);
    refused_without_a_trace(&bedroom, &thief, true, false, REASON_DEVICE_REVOKED);
    refused_without_a_trace(&bedroom, &attic, false, false, REASON_DEVICE_REVOKED);
}

static void a_late_receipt_of_a_revoked_device_gives_no_license(void **state)
{
    (void)state;
    msg_Result result;
    uint8_t signer[32];
    msg_DeviceRemove m;
    assert_int_equal(copy_to(&kitchen, &attic, &result), 0);
    assert_int_equal(document_open(DOCUMENT_COPY_CERTIFICATE, CODEC_BYTES(result.certificate), &certificate,
                                   sizeof(certificate), signer),
                     0);
    memcpy(m.client, attic.client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &kitchen.who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
    gadget_receipt(&attic, &certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &kitchen.who, buf_slice(&receipt)), 0);
    assert_int_equal(license_of(&attic).state, LICENSE_REVOKED);
}

static void a_new_key_block_of_the_partner_is_fetched(void **state)
{
    (void)state;
    msg_Result result;
    struct key32 key;
    struct gadget cellar;
    gadget_init(&town, &cellar, "cellar");
    assert_int_equal(gadget_register(&town.b, &cellar, "alina", TOWN_PASSWORD), 0);
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0);
    msg_DeviceRemove m;
    memcpy(m.client, cellar.client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.b, &bedroom.who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
    town_share(&town); /* announces version 2 */
    town.b.unreachable = true;
    refused_without_a_trace(&kitchen, &bedroom, true, false, REASON_DELEGATION_INVALID);
    town.b.unreachable = false;
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0);
    assert_int_equal(vault_key_of_copy(&town.a, &town.b, &bedroom, &kitchen.client, &result, &certificate, &key), 0);
    doc_Ekb block;
    assert_int_equal(ekb_judge(CODEC_BYTES(certificate.key_block.block), &town.b.keyset, &block), 0);
    assert_int_equal(block.version, 2);
    assert_true(vault_plays(&town.a, &song, &key));
    gadget_deinit(&cellar);
}

static void without_a_delegation_nothing_leaves(void **state)
{
    (void)state;
    msg_Result result;
    town.b.unreachable = true;
    refused_without_a_trace(&kitchen, &bedroom, false, false, REASON_DELEGATION_INVALID);
    town.b.unreachable = false;
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.b.o->store), 0);
    bool told;
    assert_int_equal(delegations_partner_withdraw(town.b.o, &town.a.keys->self, town.now_ms, &told), 0);
    assert_true(told);
    assert_int_equal(transaction_commit(&t), 0);
    town_share(&town); /* its new keyset has the floor */
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), REASON_DELEGATION_INVALID);
    assert_int_equal(keyset_own(town.b.o, &town.b.keyset), 0);
}

/* What outlives the delegation is refused at the destination, paid or not: nothing such is issued. */
static void a_certificate_ends_with_the_delegation(void **state)
{
    (void)state;
    msg_Result result;
    struct key32 key;
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0); /* fetches it: thirty days */
    int64_t ends_ms = town.now_ms + 30 * TOWN_DAY_MS;
    town.now_ms += 27 * TOWN_DAY_MS;
    town.b.unreachable = true;
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, false, true, &result), 0);
    assert_int_equal(vault_key_of_copy(&town.a, &town.b, &bedroom, NULL, &result, &certificate, &key), 0);
    assert_in_range(certificate.ends_ms, (uint64_t)town.now_ms, (uint64_t)ends_ms);
    town.b.unreachable = false;
}

/* --- Count, depth, credit ------------------------------------------------------------------------------------------ */

static void redeem(struct gadget *source, struct gadget *destination, const msg_Result *result)
{
    uint8_t signer[32];
    assert_int_equal(document_open(DOCUMENT_COPY_CERTIFICATE, CODEC_BYTES(result->certificate), &certificate,
                                   sizeof(certificate), signer),
                     0);
    gadget_receipt(destination, &certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &source->who, buf_slice(&receipt)), 0);
}

static void copies_are_counted_and_copied_on(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(copy_to(&kitchen, &attic, &result), 0);
    redeem(&kitchen, &attic, &result);
    assert_int_equal(license_of(&attic).conditions.copy_depth, 1);
    assert_int_equal(license_of(&attic).conditions.max_copies, 3);
    /* The copy may be copied on once more (depth 2), its copy not. */
    assert_int_equal(copy_to(&attic, &bedroom, &result), 0);
    redeem(&attic, &bedroom, &result);
    struct license l = license_of(&bedroom);
    assert_int_equal(l.conditions.copy_depth, 0);
    assert_int_equal(l.conditions.max_copies, 0);
    assert_string_equal(l.account, "alice");
    /* A guest: B's device asks A, which issued its license. */
    msg_Hello m = { .role = 1 };
    assert_int_equal(RUN(&town.a, &bedroom.guest, HELLO, msg_Hello, &m, &reply), 0);
    msg_Welcome welcome;
    REPLY_AS(&reply, WELCOME, msg_Welcome, &welcome);
    assert_false(welcome.registered);
    bedroom.guest.session = welcome.session;
    doc_Generation said;
    gadget_statement(&town.a, &bedroom.guest, &said);
    assert_int_equal(gadget_present(&town.a, &bedroom, &bedroom.guest, &said), 0);
    assert_true(welcome.session > 0);
    struct gadget cellar, garden;
    gadget_init(&town, &cellar, "cellar");
    gadget_init(&town, &garden, "garden");
    assert_int_equal(gadget_register(&town.a, &cellar, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &garden, "alice", TOWN_PASSWORD), 0);
    refused_without_a_trace(&bedroom, &cellar, false, false, REASON_COPY_COUNT_EXHAUSTED);

    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0); /* better than what it has: it may copy on */
    assert_int_equal(copy_to(&kitchen, &cellar, &result), 0);
    assert_int_equal(license_of(&kitchen).copies, 3);
    refused_without_a_trace(&kitchen, &garden, false, false, REASON_COPY_COUNT_EXHAUSTED);
    gadget_deinit(&cellar);
    gadget_deinit(&garden);
}

/* A count of copies is of no use where the depth allows none. */
static void what_may_not_be_copied_is_not(void **state)
{
    (void)state;
    msg_Result result;
    song = shop_publish(&town.a, "For one device", 10, 0, 3, 0);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    refused_without_a_trace(&kitchen, &attic, false, false, REASON_COPY_COUNT_EXHAUSTED);
    refused_without_a_trace(&kitchen, &attic, false, true, REASON_COPY_COUNT_EXHAUSTED);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &attic, true, false, &result), 0); /* a move is none */
}

static void a_copy_takes_no_rights_away(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(copy_to(&kitchen, &attic, &result), 0);
    redeem(&kitchen, &attic, &result);
    refused_without_a_trace(&kitchen, &attic, false, false, REASON_ALREADY); /* it has as good a copy */
    refused_without_a_trace(&attic, &kitchen, false, false, REASON_ALREADY); /* it bought more */
    refused_without_a_trace(&attic, &kitchen, true, false, REASON_ALREADY);
    assert_int_equal(license_of(&kitchen).conditions.copy_depth, 2);
    refused_without_a_trace(&attic, &kitchen, false, true, REASON_ALREADY);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &attic, false, true, &result), 0); /* the content again */
    refused_without_a_trace(&kitchen, &bedroom, true, true, REASON_MALFORMED); /* a medium signs nothing */
}

static void removable_media_have_a_count_of_their_own(void **state)
{
    (void)state;
    msg_Result result;
    struct key32 key;
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &attic, false, true, &result), 0);
    assert_int_equal(vault_key_of_copy(&town.a, &town.a, &attic, NULL, &result, &certificate, &key), 0);
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0); /* fetches the delegation */
    refused_without_a_trace(&kitchen, &bedroom, false, true, REASON_COPY_COUNT_EXHAUSTED);
}

static void a_copy_is_paid_by_the_account_behind_the_license(void **state)
{
    (void)state;
    struct id dear = shop_publish(&town.a, "Dear", 1500, 2, 5, 1);
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &dear, &result), 0); /* 1999 of 2000 */
    uint8_t before[32], after[32];
    shop_digest(&town.a, before);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &dear, &attic, false, false, &result), REASON_CREDIT_REFUSED);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
}

/* --- Settling ---------------------------------------------------------------------------------------------------- */

static void a_receipt_counts_once_whoever_brings_it(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(copy_to(&kitchen, &attic, &result), 0);
    redeem(&kitchen, &attic, &result);
    assert_int_equal(license_of(&attic).state, LICENSE_LIVE);
    uint8_t before[32], after[32];
    shop_digest(&town.a, before);
    assert_int_equal(gadget_redeem(&town.a, &attic.who, buf_slice(&receipt)), 0);
    assert_int_equal(gadget_redeem(&town.a, &kitchen.who, buf_slice(&receipt)), 0);
    assert_int_equal(gadget_redeem(&town.a, &thief.who, buf_slice(&receipt)), REASON_NOT_PERMITTED);
    gadget_receipt(&thief, &certificate, 1, town.now_ms, &receipt); /* signed by the wrong hand */
    assert_int_equal(gadget_redeem(&town.a, &kitchen.who, buf_slice(&receipt)), REASON_SIGNATURE_INVALID);
    doc_CopyCertificate other = certificate;
    other.serial[15] ^= 1;
    gadget_receipt(&attic, &other, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &kitchen.who, buf_slice(&receipt)), REASON_NOT_FOUND);
    other = certificate; /* another device says that it has stored what was not for it */
    memcpy(other.destination, thief.client.bytes, ID_BYTES);
    gadget_receipt(&thief, &other, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &kitchen.who, buf_slice(&receipt)), REASON_WRONG_DESTINATION);
    gadget_receipt(&attic, &certificate, 2, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &kitchen.who, buf_slice(&receipt)), REASON_MALFORMED);
    tick();
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
}

/* Together: an answer to each, in their order. */
static int redeem_together(struct gadget *who, uint32_t count, struct slice list)
{
    msg_Redeems m = { .count = count };
    reply_free(&reply);
    reply_init(&reply);
    return town_run(&town.a, &who->who, msg_Type_REDEEMS, msg_Redeems_fields, &m, list, &reply);
}

static void add_receipt(struct buf *list, const struct gadget *by, const doc_CopyCertificate *of)
{
    struct buf encoded CLEANUP(buf_free) = buf(msg_Redeem_size);
    msg_Redeem m = msg_Redeem_init_zero;
    gadget_receipt(by, of, 1, town.now_ms, &receipt);
    assert_int_equal(CODEC_SET_BYTES(m.receipt, buf_slice(&receipt)), 0);
    assert_int_equal(CODEC_ENCODE(msg_Redeem, &encoded, &m), 0);
    assert_int_equal(codec_list_put(list, buf_slice(&encoded)), 0);
}

static void many_receipts_are_judged_each_for_itself(void **state)
{
    (void)state;
    static const char *const expected[] = { "not-found", NULL, "wrong-destination", NULL };
    struct buf list CLEANUP(buf_free) = buf(1u << 16);
    msg_Result result, said;
    msg_Redeemed answer;
    struct slice one;
    uint8_t before[32], after[32], signer[32];
    assert_int_equal(copy_to(&kitchen, &attic, &result), 0);
    assert_int_equal(document_open(DOCUMENT_COPY_CERTIFICATE, CODEC_BYTES(result.certificate), &certificate,
                                   sizeof(certificate), signer),
                     0);
    doc_CopyCertificate unknown = certificate, foreign = certificate;
    unknown.serial[15] ^= 1;
    memcpy(foreign.destination, thief.client.bytes, ID_BYTES);
    add_receipt(&list, &attic, &unknown);
    add_receipt(&list, &attic, &certificate);
    add_receipt(&list, &thief, &foreign);
    add_receipt(&list, &attic, &certificate);

    shop_digest(&town.a, before); /* what is not a list of that many changes nothing */
    assert_int_equal(redeem_together(&kitchen, 0, slice(NULL, 0)), REASON_MALFORMED);
    assert_int_equal(redeem_together(&kitchen, 65, buf_slice(&list)), REASON_MALFORMED);
    assert_int_equal(redeem_together(&kitchen, 3, buf_slice(&list)), REASON_MALFORMED);
    assert_int_equal(redeem_together(&kitchen, 5, buf_slice(&list)), REASON_MALFORMED);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);

    assert_int_equal(redeem_together(&kitchen, 4, buf_slice(&list)), 0);
    REPLY_AS(&reply, REDEEMED, msg_Redeemed, &answer);
    assert_int_equal(answer.count, 4);
    struct reader results = reader(buf_slice(&reply.tail));
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(codec_list_next(&results, msg_Result_size, &one), 0);
        assert_int_equal(CODEC_DECODE(msg_Result, one, &said), 0);
        assert_int_equal(said.has_refusal, expected[i] != NULL);
        if (expected[i] != NULL)
            assert_string_equal(said.refusal.code, expected[i]);
    }
    assert_true(reader_done(&results));
    assert_int_equal(license_of(&attic).state, LICENSE_LIVE);
    shop_check(&town.a);
}

static int move_cancel(struct gadget *who)
{
    msg_MoveCancel m = msg_MoveCancel_init_zero;
    assert_int_equal(CODEC_SET_BYTES(m.receipt, buf_slice(&receipt)), 0);
    return RUN(&town.a, &who->who, MOVE_CANCEL, msg_MoveCancel, &m, &reply);
}

static void copy_that_waits(void)
{
    msg_Result result;
    uint8_t signer[32];
    assert_int_equal(copy_to(&kitchen, &attic, &result), 0);
    assert_int_equal(document_open(DOCUMENT_COPY_CERTIFICATE, CODEC_BYTES(result.certificate), &certificate,
                                   sizeof(certificate), signer),
                     0);
}

static void silence_gives_nothing_back(void **state)
{
    (void)state;
    copy_that_waits();
    town.now_ms += 7 * TOWN_DAY_MS + DOCUMENTS_SKEW_MS + 1000;
    tick();
    struct copy c;
    assert_int_equal(copies_find(town.a.o, certificate.serial, &c, NULL, NULL), 0);
    assert_int_equal(c.state, CERTIFICATE_ENDED);
    assert_int_equal(license_of(&kitchen).copies, 1); /* perhaps it was stored and is never told */
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    /* Told late and stored late: nothing. Stored in time, told late: paid already. */
    gadget_receipt(&attic, &certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &attic.who, buf_slice(&receipt)), REASON_CERTIFICATE_EXPIRED);
    gadget_receipt(&attic, &certificate, 1, town.now_ms - TOWN_DAY_MS, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &attic.who, buf_slice(&receipt)), 0);
    assert_int_equal(license_of(&kitchen).copies, 1);
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    assert_int_equal(license_of(&attic).state, LICENSE_LIVE);
}

static void a_signed_refusal_gives_back_once(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0); /* stays: its count is not given back for the other's */
    copy_that_waits();
    gadget_receipt(&attic, &certificate, 2, town.now_ms, &receipt);
    assert_int_equal(move_cancel(&thief), REASON_NOT_PERMITTED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(move_cancel(i == 0 ? &kitchen : &attic), 0);
        assert_int_equal(license_of(&kitchen).copies, 1);
        assert_int_equal(shop_balance(&town.a, "alice"), -549);
    }
    gadget_receipt(&attic, &certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &attic.who, buf_slice(&receipt)), REASON_NOT_PERMITTED);
    /* Also when the certificate has ended meanwhile. */
    copy_that_waits();
    town.now_ms += 7 * TOWN_DAY_MS + DOCUMENTS_SKEW_MS + 1000;
    tick();
    assert_int_equal(shop_balance(&town.a, "alice"), -599);
    gadget_receipt(&attic, &certificate, 2, town.now_ms, &receipt);
    assert_int_equal(move_cancel(&kitchen), 0);
    assert_int_equal(license_of(&kitchen).copies, 1);
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    shop_check(&town.a);
}

static void what_was_refunded_is_not_given_back_again(void **state)
{
    (void)state;
    copy_that_waits();
    struct copy c;
    assert_int_equal(copies_find(town.a.o, certificate.serial, &c, NULL, NULL), 0);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(
        refunds_give(town.a.o, &(struct refund){ .entry = c.charge, .now_ms = town.now_ms, .text = "Sorry" }, NULL), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
    gadget_receipt(&attic, &certificate, 2, town.now_ms, &receipt);
    assert_int_equal(move_cancel(&kitchen), 0);
    assert_int_equal(license_of(&kitchen).copies, 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
    shop_check(&town.a);
}

static void receipts_reach_the_issuer_by_way_of_others(void **state)
{
    (void)state;
    msg_Result result;
    struct key32 key;
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0);
    assert_int_equal(vault_key_of_copy(&town.a, &town.b, &bedroom, &kitchen.client, &result, &certificate, &key), 0);
    gadget_receipt(&bedroom, &certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.b, &bedroom.who, buf_slice(&receipt)), 0);
    assert_int_equal(gadget_redeem(&town.b, &bedroom.who, buf_slice(&receipt)), 0);
    town_share(&town);
    assert_int_equal(license_of(&bedroom).state, LICENSE_LIVE);
    struct copy c;
    assert_int_equal(copies_find(town.a.o, certificate.serial, &c, NULL, NULL), 0);
    assert_int_equal(c.state, CERTIFICATE_REDEEMED);
}

static void refused_relay(struct gadget *by, enum reason reason)
{
    uint8_t before[32], after[32];
    shop_digest(&town.b, before);
    assert_int_equal(gadget_redeem(&town.b, &by->guest, buf_slice(&receipt)), reason);
    shop_digest(&town.b, after);
    assert_memory_equal(before, after, 32);
}

static void only_what_was_issued_is_passed_on_and_once(void **state)
{
    (void)state;
    msg_Result result;
    uint8_t signer[32], before[32], after[32];
    struct gadget stranger;
    gadget_init(&town, &stranger, "stranger");
    assert_int_equal(copy_to(&kitchen, &bedroom, &result), 0);
    assert_int_equal(document_open(DOCUMENT_COPY_CERTIFICATE, CODEC_BYTES(result.certificate), &certificate,
                                   sizeof(certificate), signer),
                     0);
    town_share(&town);
    doc_CopyCertificate invented = certificate;
    memcpy(invented.destination, stranger.client.bytes, ID_BYTES);
    gadget_receipt(&stranger, &invented, 1, town.now_ms, &receipt);
    refused_relay(&stranger, REASON_NOT_REGISTERED);
    refused_relay(&kitchen, REASON_UNKNOWN_DEVICE); /* its source, as it says: the certificate is another's */
    invented = certificate;
    invented.serial[0] ^= 1;
    gadget_receipt(&bedroom, &invented, 1, town.now_ms, &receipt);
    refused_relay(&kitchen, REASON_UNKNOWN_DEVICE);
    invented = certificate;
    memset(invented.issuer, 7, sizeof(invented.issuer));
    gadget_receipt(&bedroom, &invented, 1, town.now_ms, &receipt);
    refused_relay(&kitchen, REASON_UNKNOWN_DEVICE);

    gadget_receipt(&bedroom, &certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.b, &kitchen.guest, buf_slice(&receipt)), 0);
    shop_digest(&town.b, before);
    for (int64_t later_ms = 1; later_ms < 10; later_ms++) { /* signed anew, and all the same word */
        gadget_receipt(&bedroom, &certificate, 1, town.now_ms + later_ms, &receipt);
        assert_int_equal(gadget_redeem(&town.b, &bedroom.who, buf_slice(&receipt)), 0);
    }
    shop_digest(&town.b, after);
    assert_memory_equal(before, after, 32);

    msg_DeviceRemove m;
    memcpy(m.client, bedroom.client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.b, &bedroom.who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
    assert_int_equal(gadget_redeem(&town.b, &bedroom.who, buf_slice(&receipt)), REASON_DEVICE_REVOKED);
    gadget_deinit(&stranger);
}

/* --- Moves ------------------------------------------------------------------------------------------------------- */

/* Opens what is sealed to the source, into result. */
static void unseal(const struct gadget *source, msg_Result *result)
{
    uint8_t opened[sizeof(result->certificate.bytes)];
    assert_int_equal(seal_open(&source->sealing, CODEC_BYTES(result->certificate), opened), 0);
    result->certificate.size -= SEAL_OVERHEAD_BYTES;
    memcpy(result->certificate.bytes, opened, result->certificate.size);
}

static void surrender_of(const struct gadget *source, const uint8_t license_id[16], struct buf *out)
{
    doc_Surrender d = { .signed_ms = (uint64_t)town.now_ms };
    memcpy(d.issuer, certificate.issuer, sizeof(d.issuer));
    memcpy(d.license_id, license_id, 16);
    memcpy(d.serial, certificate.serial, sizeof(d.serial));
    memcpy(d.client, source->client.bytes, ID_BYTES);
    struct signer signer;
    signer_from_pair(&signer, &source->pair);
    buf_clear(out);
    assert_int_equal(document_sign(out, DOCUMENT_SURRENDER, &d, &signer), 0);
}

static int move_done(struct gadget *who, struct slice surrender)
{
    msg_MoveDone m = msg_MoveDone_init_zero;
    assert_int_equal(CODEC_SET_BYTES(m.receipt, buf_slice(&receipt)), 0);
    assert_int_equal(CODEC_SET_BYTES(m.surrender, surrender), 0);
    return RUN(&town.a, &who->who, MOVE_DONE, msg_MoveDone, &m, &reply);
}

static void a_move_takes_the_license_along(void **state)
{
    (void)state;
    msg_Result result;
    struct key32 key;
    struct buf surrender CLEANUP(buf_free) = buf(512);
    uint8_t license_id[16], wrong[16] = { 0 };
    shop_license_id(&town.a, &song, license_id);
    assert_int_equal(copy_to(&kitchen, &attic, &result), 0);
    redeem(&kitchen, &attic, &result);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, true, false, &result), 0);
    unseal(&kitchen, &result);
    assert_int_equal(vault_key_of_copy(&town.a, &town.b, &bedroom, &kitchen.client, &result, &certificate, &key), 0);
    assert_true(vault_plays(&town.a, &song, &key));
    assert_int_equal(shop_balance(&town.a, "alice"), -549); /* a move is free */
    /* While it lasts, the license sleeps. */
    refused_without_a_trace(&kitchen, &attic, false, false, REASON_LICENSE_SUSPENDED);
    refused_without_a_trace(&kitchen, &attic, true, false, REASON_LICENSE_SUSPENDED);
    msg_Result again;
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, true, false, &again), 0);
    unseal(&kitchen, &again);
    assert_true(slice_equal(CODEC_BYTES(result.certificate), CODEC_BYTES(again.certificate)));
    town.now_ms += 30 * TOWN_DAY_MS;
    tick(); /* a move does not end by itself */
    assert_int_equal(license_of(&kitchen).state, LICENSE_MOVING);

    gadget_receipt(&bedroom, &certificate, 1, town.now_ms, &receipt);
    surrender_of(&kitchen, wrong, &surrender);
    assert_int_equal(move_done(&kitchen, buf_slice(&surrender)), REASON_MALFORMED);
    surrender_of(&kitchen, license_id, &surrender);
    assert_int_equal(move_done(&kitchen, buf_slice(&surrender)), 0);
    assert_int_equal(move_done(&kitchen, buf_slice(&surrender)), 0);
    assert_int_equal(license_of(&kitchen).state, LICENSE_GONE);
    struct license moved = license_of(&bedroom);
    assert_int_equal(moved.state, LICENSE_LIVE);
    assert_int_equal(moved.conditions.copy_depth, 2);
    assert_int_equal(moved.conditions.max_copies, 2); /* one of three was made before */
    refused_without_a_trace(&kitchen, &attic, false, false, REASON_NO_LICENSE);
    gadget_receipt(&bedroom, &certificate, 2, town.now_ms, &receipt);
    assert_int_equal(move_cancel(&kitchen), REASON_NOT_PERMITTED); /* too late */
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
}

static void a_cancelled_move_wakes_the_license(void **state)
{
    (void)state;
    msg_Result result;
    uint8_t signer[32];
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &attic, true, false, &result), 0);
    unseal(&kitchen, &result);
    assert_int_equal(document_open(DOCUMENT_COPY_CERTIFICATE, CODEC_BYTES(result.certificate), &certificate,
                                   sizeof(certificate), signer),
                     0);
    gadget_receipt(&attic, &certificate, 2, town.now_ms, &receipt);
    assert_int_equal(move_cancel(&thief), REASON_NOT_PERMITTED);
    assert_int_equal(move_cancel(&kitchen), 0);
    assert_int_equal(move_cancel(&kitchen), 0);
    assert_int_equal(license_of(&kitchen).state, LICENSE_LIVE);
    gadget_receipt(&attic, &certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &attic.who, buf_slice(&receipt)), REASON_NOT_PERMITTED);
    assert_int_equal(copy_to(&kitchen, &attic, &result), 0);
}

static void one_refusal_does_not_wake_a_license_moved_again(void **state)
{
    (void)state;
    msg_Result result;
    uint8_t signer[32];
    static doc_CopyCertificate first;
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &attic, true, false, &result), 0);
    unseal(&kitchen, &result);
    assert_int_equal(
        document_open(DOCUMENT_COPY_CERTIFICATE, CODEC_BYTES(result.certificate), &first, sizeof(first), signer), 0);
    town.now_ms += 8 * TOWN_DAY_MS;
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &attic, true, false, &result), 0); /* the first has ended */
    unseal(&kitchen, &result);
    assert_int_equal(document_open(DOCUMENT_COPY_CERTIFICATE, CODEC_BYTES(result.certificate), &certificate,
                                   sizeof(certificate), signer),
                     0);
    assert_memory_not_equal(first.serial, certificate.serial, 16);
    gadget_receipt(&attic, &first, 2, town.now_ms, &receipt);
    assert_int_equal(move_cancel(&kitchen), 0);
    assert_int_equal(license_of(&kitchen).state, LICENSE_MOVING); /* the second may have been used */
    gadget_receipt(&attic, &certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &attic.who, buf_slice(&receipt)), 0);
    assert_int_equal(license_of(&kitchen).state, LICENSE_GONE);
}

static void an_old_certificate_leaves_a_license_bought_anew_alone(void **state)
{
    (void)state;
    msg_Result result;
    static doc_CopyCertificate first;
    struct gadget cellar;
    gadget_init(&town, &cellar, "cellar");
    assert_int_equal(gadget_register(&town.a, &cellar, "alice", TOWN_PASSWORD), 0);
    copy_that_waits();
    first = certificate;
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, true, false, &result), 0);
    unseal(&kitchen, &result);
    redeem(&kitchen, &bedroom, &result);
    assert_int_equal(license_of(&kitchen).state, LICENSE_GONE);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    assert_int_equal(copy_to(&kitchen, &cellar, &result), 0);
    assert_int_equal(license_of(&kitchen).copies, 1);
    gadget_receipt(&attic, &first, 2, town.now_ms, &receipt);
    assert_int_equal(move_cancel(&kitchen), 0);
    assert_int_equal(license_of(&kitchen).copies, 1); /* what the old license gave is the old one's */
    assert_int_equal(license_of(&kitchen).state, LICENSE_LIVE);
    gadget_deinit(&cellar);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_copy_plays_on_the_next_device),
        TEST(a_copy_plays_at_another_distributors_device),
        TEST(asking_again_gives_the_same_certificate),
        TEST(only_the_household_of_the_account),
        TEST(a_link_made_elsewhere_is_asked_of_the_directory),
        TEST(revoked_devices_get_nothing),
        TEST(a_revoked_device_passes_nothing_to_strangers),
        TEST(a_late_receipt_of_a_revoked_device_gives_no_license),
        TEST(a_new_key_block_of_the_partner_is_fetched),
        TEST(without_a_delegation_nothing_leaves),
        TEST(a_certificate_ends_with_the_delegation),
        TEST(copies_are_counted_and_copied_on),
        TEST(what_may_not_be_copied_is_not),
        TEST(a_copy_takes_no_rights_away),
        TEST(an_old_certificate_leaves_a_license_bought_anew_alone),
        TEST(removable_media_have_a_count_of_their_own),
        TEST(a_copy_is_paid_by_the_account_behind_the_license),
        TEST(a_receipt_counts_once_whoever_brings_it),
        TEST(many_receipts_are_judged_each_for_itself),
        TEST(silence_gives_nothing_back),
        TEST(a_signed_refusal_gives_back_once),
        TEST(what_was_refunded_is_not_given_back_again),
        TEST(receipts_reach_the_issuer_by_way_of_others),
        TEST(only_what_was_issued_is_passed_on_and_once),
        TEST(a_move_takes_the_license_along),
        TEST(a_cancelled_move_wakes_the_license),
        TEST(one_refusal_does_not_wake_a_license_moved_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
