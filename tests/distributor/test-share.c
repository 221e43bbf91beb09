/* Sharing between distributors (procedure P3), links and rosters across them. */
#include "town.h"

#include <stdlib.h>

#include "base/util.h"
#include "distributor/devices.h"
#include "distributor/directory_member.h"
#include "distributor/erase.h"
#include "distributor/links.h"
#include "distributor/roster.h"
#include "distributor/rotation.h"
#include "distributor/share_chain.h"
#include "distributor/share_rows.h"

static struct town town;
static struct gadget kitchen, bedroom;
static struct reply reply;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 2000);
    shop_user(&town.b, "alina", 2000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &bedroom, "bedroom");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &bedroom, "alina", TOWN_PASSWORD), 0);
    reply_init(&reply);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&bedroom);
    town_deinit(&town);
    return 0;
}

static int apply(struct shop *s, struct slice envelope)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, s->o->store), 0);
    int r = share_apply(s->o, envelope, town.now_ms);
    assert_int_equal(transaction_commit(&t), 0);
    return r;
}

/* Every row of A's outbox. */
static size_t outbox(struct slice rows[], size_t max, struct buf *tail)
{
    uint64_t last;
    uint32_t count = 0;
    size_t n = 0;
    struct reader r;
    assert_int_equal(share_outbox_read(town.a.o, 0, (uint32_t)max, 1 << 20, tail, &count, &last), 0);
    r = reader(buf_slice(tail));
    while (n < max && codec_list_next(&r, SHARE_ENVELOPE_MAX, &rows[n]) == 0)
        n++;
    assert_int_equal(n, count);
    return n;
}

static void rows_apply_once_and_in_order(void **state)
{
    (void)state;
    struct buf tail CLEANUP(buf_free) = buf(1 << 21);
    struct slice rows[64];
    size_t n = outbox(rows, 64, &tail);
    assert_true(n >= 5); /* keyset, key block, leaf, certificate, user */
    uint8_t before[32], after[32];
    assert_int_equal(apply(&town.b, rows[0]), 0);
    assert_int_equal(apply(&town.b, rows[2]), SHARE_GAP);
    for (size_t i = 1; i < n; i++)
        assert_int_equal(apply(&town.b, rows[i]), 0);
    struct device d;
    assert_int_equal(devices_find(town.b.o, &kitchen.client, &d), 0);
    assert_string_equal(d.user, "alice");
    shop_digest(&town.b, before);
    for (size_t i = n; i-- > 0;) /* known already, in any order */
        assert_int_equal(apply(&town.b, rows[i]), 0);
    assert_int_equal(apply(&town.a, rows[0]), 0); /* our own */
    uint8_t forged[SHARE_ENVELOPE_MAX];
    memcpy(forged, rows[n - 1].data, rows[n - 1].len);
    for (size_t at = 0; at < rows[n - 1].len; at += 7) {
        forged[at] ^= 1;
        assert_true(apply(&town.b, slice(forged, rows[n - 1].len)) > 0);
        forged[at] ^= 1;
    }
    shop_digest(&town.b, after);
    assert_memory_equal(before, after, 32);
}

static void pages_and_cursors(void **state)
{
    (void)state;
    struct buf tail CLEANUP(buf_free) = buf(1 << 20);
    uint64_t last = 0, value = 7;
    uint32_t count = 0, total = 0;
    do {
        buf_clear(&tail);
        assert_int_equal(share_outbox_read(town.a.o, last, 2, 1 << 20, &tail, &count, &last), 0);
        total += count;
    } while (count > 0);
    assert_int_equal(total, last);
    buf_clear(&tail);
    assert_int_equal(share_outbox_read(town.a.o, 0, 100, 1, &tail, &count, &last), 0);
    assert_int_equal(count, 1); /* one always fits */
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(share_outbox_confirmed(town.a.o, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(share_outbox_confirm(town.a.o, 5), 0);
    assert_int_equal(share_cursor_set(town.a.o, 9), 0);
    assert_int_equal(share_outbox_confirmed(town.a.o, &value), 0);
    assert_int_equal(value, 5);
    assert_int_equal(share_restart(town.a.o, town.now_ms), 0);
    assert_int_equal(share_cursor(town.a.o, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(transaction_commit(&t), 0);
}

/* A row signed by whoever, about whatever. */
static void sign_row(struct shop *by, const struct id *origin, uint64_t sequence, uint32_t table,
                     const pb_msgdesc_t *fields, const void *row, struct buf *out)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    struct buf bytes CLEANUP(buf_free) = buf(4000);
    struct signer signer;
    assert_int_equal(codec_encode(&bytes, fields, row), 0);
    assert_int_equal(CODEC_SET_BYTES(share->row, buf_slice(&bytes)), 0);
    memcpy(share->origin, origin->bytes, ID_BYTES);
    share->sequence = sequence;
    share->table = table;
    signer_from_pair(&signer, &by->keys->license);
    buf_clear(out);
    assert_int_equal(document_sign(out, DOCUMENT_SHARE, share, &signer), 0);
}

static uint64_t rows_of_b(void)
{
    uint64_t last;
    assert_int_equal(share_outbox_last(town.b.o, &last), 0);
    return last;
}

static void nobody_speaks_for_another(void **state)
{
    (void)state;
    struct buf row CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    share_ClientUser m = { .registered_ms = 1 };
    memcpy(m.client, bedroom.client.bytes, ID_BYTES);
    CODEC_SET_TEXT(m.user, "alice");
    CODEC_SET_TEXT(m.name, "mine now");
    town_share(&town);
    uint64_t next = rows_of_b() + 1;
    sign_row(&town.b, &town.a.keys->self, next, share_Table_CLIENT_USER, share_ClientUser_fields, &m, &row);
    assert_int_equal(apply(&town.a, buf_slice(&row)), REASON_SIGNATURE_INVALID);
    /* B may claim a device for a user "alice" of its own: that is not our alice. */
    memcpy(m.client, kitchen.client.bytes, ID_BYTES);
    sign_row(&town.b, &town.b.keys->self, next, share_Table_CLIENT_USER, share_ClientUser_fields, &m, &row);
    assert_int_equal(apply(&town.a, buf_slice(&row)), 0);
    struct device d;
    assert_int_equal(devices_find(town.a.o, &kitchen.client, &d), 0);
    assert_int_equal(d.distributor, OPERATIONS_SELF);
    /* A link that only B asserts makes no household. */
    share_Link link = share_Link_init_zero;
    CODEC_SET_TEXT(link.user, "mallory");
    memcpy(link.other, town.a.keys->self.bytes, ID_BYTES);
    CODEC_SET_TEXT(link.other_user, "alice");
    sign_row(&town.b, &town.b.keys->self, next + 1, share_Table_LINK, share_Link_fields, &link, &row);
    assert_int_equal(apply(&town.a, buf_slice(&row)), 0);
    assert_int_equal(devices_find_in_household(town.a.o, OPERATIONS_SELF, "alice", &bedroom.client, &d),
                     OPERATIONS_ABSENT);
    /* What this version does not know, and what cannot be read, is passed over. */
    sign_row(&town.b, &town.b.keys->self, next + 2, 999, share_Link_fields, &link, &row);
    assert_int_equal(apply(&town.a, buf_slice(&row)), 0);
    sign_row(&town.b, &town.b.keys->self, next + 3, share_Table_USER_LICENSE, share_Link_fields, &link, &row);
    assert_int_equal(apply(&town.a, buf_slice(&row)), 0);
    sign_row(&town.b, &town.b.keys->self, next + 5, share_Table_LINK, share_Link_fields, &link, &row);
    assert_int_equal(apply(&town.a, buf_slice(&row)), SHARE_GAP);
}

static void a_stranger_is_learned_by_its_keyset(void **state)
{
    (void)state;
    struct town other; /* two more shops, unknown to ours */
    town_init(&other);
    struct buf tail CLEANUP(buf_free) = buf(1 << 20);
    uint64_t last;
    uint32_t count;
    struct slice first, second;
    assert_int_equal(share_outbox_read(other.b.o, 0, 2, 1 << 20, &tail, &count, &last), 0);
    struct reader r = reader(buf_slice(&tail));
    assert_int_equal(codec_list_next(&r, SHARE_ENVELOPE_MAX, &first), 0);
    assert_int_equal(codec_list_next(&r, SHARE_ENVELOPE_MAX, &second), 0);
    assert_int_equal(apply(&town.a, second), REASON_KEYSET_INVALID);
    town.now_ms += 1000 * TOWN_DAY_MS; /* long over by itself, but what follows was signed under it */
    assert_int_equal(apply(&town.a, first), 0);
    assert_int_equal(apply(&town.a, second), 0);
    town_deinit(&other);
}

/* --- Links and rosters ------------------------------------------------------------------------------------------- */

static void roster_of(struct shop *s, struct gadget *g, doc_Roster *roster)
{
    msg_RosterGet m = msg_RosterGet_init_zero;
    assert_int_equal(RUN(s, &g->who, ROSTER_GET, msg_RosterGet, &m, &reply), 0);
    assert_int_equal(roster_judge(buf_slice(&reply.tail), &s->keyset, town.now_ms, roster), 0);
}

static bool was_touched(struct shop *s, const char *user)
{
    char touched[OPERATIONS_NAME_BYTES];
    bool found = false;
    while (roster_take_touched(s->o, touched))
        found = found || strcmp(touched, user) == 0;
    return found;
}

static void a_household_spans_distributors(void **state)
{
    (void)state;
    static doc_Roster a, b;
    town_link(&town, &kitchen, &bedroom);
    roster_of(&town.a, &kitchen, &a);
    roster_of(&town.b, &bedroom, &b);
    assert_int_equal(a.devices_count, 2);
    assert_int_equal(b.devices_count, 2);
    assert_string_equal(roster_find(&a, &bedroom.client)->distributor_name, "Boreal");
    assert_memory_equal(roster_find(&b, &kitchen.client)->distributor, town.a.keys->self.bytes, ID_BYTES);

    was_touched(&town.a, "");
    msg_DeviceRename m = msg_DeviceRename_init_zero;
    memcpy(m.client, bedroom.client.bytes, ID_BYTES);
    CODEC_SET_TEXT(m.name, "boudoir");
    assert_int_equal(RUN(&town.a, &kitchen.who, DEVICE_RENAME, msg_DeviceRename, &m, &reply), REASON_NOT_PERMITTED);
    assert_int_equal(RUN(&town.b, &bedroom.who, DEVICE_RENAME, msg_DeviceRename, &m, &reply), 0);
    town_share(&town);
    assert_true(was_touched(&town.a, "alice"));
    roster_of(&town.a, &kitchen, &a);
    assert_string_equal(roster_find(&a, &bedroom.client)->name, "boudoir");

    msg_AccountGet get = msg_AccountGet_init_zero;
    static msg_Account account;
    assert_int_equal(RUN(&town.a, &kitchen.who, ACCOUNT_GET, msg_AccountGet, &get, &reply), 0);
    REPLY_AS(&reply, ACCOUNT, msg_Account, &account);
    assert_int_equal(account.links_count, 1);
    assert_string_equal(account.links[0].user, "alina");

    msg_Unlink unlink = msg_Unlink_init_zero;
    memcpy(unlink.distributor, town.b.keys->self.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &kitchen.who, UNLINK, msg_Unlink, &unlink, &reply), 0);
    assert_int_equal(RUN(&town.a, &kitchen.who, UNLINK, msg_Unlink, &unlink, &reply), REASON_NOT_FOUND);
    struct caller partner = { .role = REQUESTS_DISTRIBUTOR, .partner = town.a.keys->self };
    msg_PartnerUnlink told = msg_PartnerUnlink_init_zero;
    CODEC_SET_TEXT(told.user, "alice");
    CODEC_SET_TEXT(told.partner_user, "alina");
    was_touched(&town.b, "");
    assert_int_equal(RUN(&town.b, &partner, PARTNER_UNLINK, msg_PartnerUnlink, &told, &reply), 0);
    assert_true(was_touched(&town.b, "alina") || getenv("TOWN_RESTART"));
    roster_of(&town.a, &kitchen, &a);
    roster_of(&town.b, &bedroom, &b);
    assert_int_equal(a.devices_count, 1);
    assert_int_equal(b.devices_count, 1);
    town_share(&town);
    roster_of(&town.b, &bedroom, &b);
    assert_int_equal(b.devices_count, 1);
}

static void link_codes_work_once_and_not_for_long(void **state)
{
    (void)state;
    msg_LinkCodeGet get = msg_LinkCodeGet_init_zero;
    msg_LinkCode code;
    msg_PartnerLink ask = msg_PartnerLink_init_zero;
    struct caller partner = { .role = REQUESTS_DISTRIBUTOR, .partner = town.b.keys->self };
    assert_int_equal(RUN(&town.a, &kitchen.who, LINK_CODE_GET, msg_LinkCodeGet, &get, &reply), 0);
    REPLY_AS(&reply, LINK_CODE, msg_LinkCode, &code);
    assert_string_equal(code.address, "shop:7700");
    CODEC_SET_TEXT(ask.code, "aaaaaaaaaaaaaaaa");
    CODEC_SET_TEXT(ask.user, "alina");
    assert_int_equal(RUN(&town.a, &partner, PARTNER_LINK, msg_PartnerLink, &ask, &reply), REASON_BAD_CREDENTIALS);
    CODEC_SET_TEXT(ask.code, code.code);
    struct caller stranger = { .role = REQUESTS_DISTRIBUTOR, .partner = kitchen.client };
    assert_int_equal(RUN(&town.a, &stranger, PARTNER_LINK, msg_PartnerLink, &ask, &reply), REASON_UNKNOWN_DISTRIBUTOR);
    assert_int_equal(RUN(&town.a, &partner, PARTNER_LINK, msg_PartnerLink, &ask, &reply), 0);
    assert_int_equal(RUN(&town.a, &partner, PARTNER_LINK, msg_PartnerLink, &ask, &reply), REASON_BAD_CREDENTIALS);
    assert_int_equal(RUN(&town.a, &kitchen.who, LINK_CODE_GET, msg_LinkCodeGet, &get, &reply), 0);
    REPLY_AS(&reply, LINK_CODE, msg_LinkCode, &code);
    CODEC_SET_TEXT(ask.code, code.code);
    town.now_ms += 11 * 60 * 1000;
    assert_int_equal(RUN(&town.a, &partner, PARTNER_LINK, msg_PartnerLink, &ask, &reply), REASON_BAD_CREDENTIALS);

    struct links_half half;
    struct buf bytes CLEANUP(buf_free) = buf(1024);
    msg_Link link = msg_Link_init_zero;
    memcpy(link.distributor, town.a.keys->self.bytes, ID_BYTES);
    CODEC_SET_TEXT(link.code, "x");
    assert_int_equal(CODEC_ENCODE(msg_Link, &bytes, &link), 0);
    assert_int_equal(links_begin(town.a.o, &kitchen.who, buf_slice(&bytes), &half, &reply), REASON_MALFORMED);
    memcpy(link.distributor, kitchen.client.bytes, ID_BYTES);
    buf_clear(&bytes);
    assert_int_equal(CODEC_ENCODE(msg_Link, &bytes, &link), 0);
    assert_int_equal(links_begin(town.a.o, &kitchen.who, buf_slice(&bytes), &half, &reply), REASON_UNKNOWN_DISTRIBUTOR);
}

static void set_partners_address(const char *address)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    int r = delegations_partner_add(town.a.o, &town.b.keys->self, "Boreal", address);
    assert_true(r == 0 || r == REASON_ALREADY);
    assert_int_equal(transaction_commit(&t), 0);
}

static void a_link_goes_only_where_the_operator_says(void **state)
{
    (void)state;
    struct links_half half;
    struct buf bytes CLEANUP(buf_free) = buf(1024);
    msg_Link link = msg_Link_init_zero;
    memcpy(link.distributor, town.b.keys->self.bytes, ID_BYTES);
    CODEC_SET_TEXT(link.code, "x");
    CODEC_SET_TEXT(link.address, "10.0.0.1:22");
    assert_int_equal(CODEC_ENCODE(msg_Link, &bytes, &link), 0);
    set_partners_address("partner:7700");
    assert_int_equal(links_begin(town.a.o, &kitchen.who, buf_slice(&bytes), &half, &reply), 0);
    assert_string_equal(half.address, "partner:7700");
    set_partners_address("");
    assert_int_equal(links_begin(town.a.o, &kitchen.who, buf_slice(&bytes), &half, &reply), REASON_OFFLINE);
}

static void roles_are_kept_apart(void **state)
{
    (void)state;
    struct caller partner = { .role = REQUESTS_DISTRIBUTOR, .partner = town.b.keys->self };
    msg_AccountGet get = msg_AccountGet_init_zero;
    msg_GrantGet grant = { .category = OPERATIONS_CATEGORY };
    assert_int_equal(RUN(&town.a, &partner, ACCOUNT_GET, msg_AccountGet, &get, &reply), REASON_NOT_PERMITTED);
    assert_int_equal(RUN(&town.a, &kitchen.who, GRANT_GET, msg_GrantGet, &grant, &reply), REASON_NOT_PERMITTED);
    assert_int_equal(RUN(&town.a, &kitchen.who, INFO_GET, msg_AccountGet, &get, &reply), REASON_NOT_PERMITTED);
    partner.partner_keyset = &town.b.keyset;
    grant.version = 99;
    assert_int_equal(RUN(&town.a, &partner, GRANT_GET, msg_GrantGet, &grant, &reply), REASON_NOT_FOUND);
    grant.version = 1;
    assert_int_equal(RUN(&town.a, &partner, GRANT_GET, msg_GrantGet, &grant, &reply), 0);
    grant.category = 2;
    assert_int_equal(RUN(&town.a, &partner, GRANT_GET, msg_GrantGet, &grant, &reply), REASON_NOT_FOUND);
    partner.partner = kitchen.client;
    msg_DelegationGet ask = msg_DelegationGet_init_zero;
    assert_int_equal(RUN(&town.a, &partner, DELEGATION_GET, msg_DelegationGet, &ask, &reply),
                     REASON_UNKNOWN_DISTRIBUTOR);
}

/* Its newest keyset is known before its first row. */
static void meet(struct shop *s, struct shop *other)
{
    struct buf keyset CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int64_t number;
    assert_int_equal(transaction_begin(&t, other->o->store), 0);
    assert_int_equal(keyset_issue(other->o, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(keyset_current(other->o, &keyset), 0);
    struct transaction kept CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&kept, s->o->store), 0);
    assert_int_equal(keyset_store(s->o, &other->keys->self, buf_slice(&keyset), town.now_ms, &number), 0);
    assert_int_equal(transaction_commit(&kept), 0);
}

/* Rows of the first day are judged under the keyset of the first day, which comes before them; an old key signs nothing new. */
static void rows_outlive_the_keys_that_signed_them(void **state)
{
    (void)state;
    static doc_Keyset own;
    struct slice rows[64];
    struct buf tail CLEANUP(buf_free) = buf(1 << 20), forged CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    struct town late;
    struct sign_pair first = town.a.keys->license;
    struct keys thief = *town.a.keys;
    for (int i = 0; i < 17; i++) {
        town_rotate(&town.a, KEY_LICENSE, false);
        town.now_ms += 100 * TOWN_DAY_MS;
    }
    assert_int_equal(keyset_own(town.a.o, &own), 0);
    assert_false(keyset_lists_shared(&own, first.public_key));
    town_init(&late);
    late.now_ms = town.now_ms;
    meet(&late.b, &town.a);
    size_t n = outbox(rows, ARRAY_COUNT(rows), &tail);
    assert_true(n > 18);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(apply(&late.b, rows[i]), 0);
    assert_int_equal(apply(&late.b, rows[1]), 0); /* given again: signed by a key of before, and here already */
    assert_int_equal(share_row_sign(&thief, share_Table_KEYSET, true, slice("", 0), n + 1, &forged), 0);
    assert_int_equal(apply(&late.b, buf_slice(&forged)), REASON_SIGNATURE_INVALID);
    town_deinit(&late);
}

/* What the directory gives of A, rows first to last of these. */
static struct directory_page take(struct shop *s, const struct slice rows[], size_t first, size_t last, bool may_again)
{
    struct buf tail CLEANUP(buf_free) = buf(1 << 20);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct directory_page page = { .after = first, .next = last, .may_read_again = may_again };
    for (size_t i = first; i < last; i++, page.count++)
        assert_int_equal(codec_list_put(&tail, rows[i]), 0);
    page.rows = buf_slice(&tail);
    assert_int_equal(transaction_begin(&t, s->o->store), 0);
    assert_int_equal(directory_member_take(s->o, &page, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_false(page.refused);
    return page;
}

static bool reads_again_at_the_end(struct shop *s, bool learned)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    bool again;
    assert_int_equal(transaction_begin(&t, s->o->store), 0);
    assert_int_equal(directory_member_end(s->o, learned, !learned, town.now_ms, &again), 0);
    assert_int_equal(transaction_commit(&t), 0);
    return again;
}

static uint64_t taken_of_a(struct shop *s)
{
    struct share_progress p;
    int64_t number;
    assert_int_equal(operations_distributor(s->o, &town.a.keys->self, &number), 0);
    assert_int_equal(share_progress(s->o, number, &p), 0);
    return p.taken;
}

static bool is_emptied(struct slice envelope, doc_Share *share)
{
    uint8_t signer[32];
    assert_int_equal(document_open(DOCUMENT_SHARE, envelope, share, sizeof(*share), signer), 0);
    return share->table == share_Table_NONE;
}

/* The keys were changed, then an account ended: its rows are emptied under a key whose keyset comes after them. Whoever reads all this for the first time waits
 * for that keyset, by which nobody else's empty row counts. */
static void an_emptied_row_waits_for_the_keyset_of_its_key(void **state)
{
    (void)state;
    static doc_Share share;
    struct slice rows[64], forgeries[64];
    struct buf tail CLEANUP(buf_free) = buf(1 << 20), forged CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct town late;
    uint64_t before = 0;
    size_t first = 0;
    assert_int_equal(share_outbox_last(town.a.o, &before), 0);
    town_rotate(&town.a, KEY_LICENSE, false);
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(erase_account(town.a.o, "alice", true, town.now_ms, NULL), 0);
    assert_int_equal(transaction_commit(&t), 0);
    size_t n = outbox(rows, ARRAY_COUNT(rows), &tail);
    while (first < n && !is_emptied(rows[first], &share))
        first++;
    assert_true(first < before && before < n);

    town_init(&late);
    assert_false(take(&late.b, rows, 0, before, false).learned); /* the new keyset is not among these */
    assert_int_equal(taken_of_a(&late.b), first);
    assert_true(take(&late.b, rows, before, n, false).learned);
    assert_int_equal(taken_of_a(&late.b), first);

    struct keys stranger = *town.a.keys; /* signs as A, by a key that A never had */
    stranger.license = kitchen.pair;
    assert_int_equal(
        share_row_sign(&stranger, share_Table_NONE, share.removed, CODEC_BYTES(share.row), first + 1, &forged), 0);
    memcpy(forgeries, rows, sizeof(rows));
    forgeries[first] = buf_slice(&forged);
    assert_true(reads_again_at_the_end(&late.b, true));
    take(&late.b, forgeries, 0, n, false);
    assert_int_equal(taken_of_a(&late.b), first);

    assert_true(reads_again_at_the_end(&late.b, true));
    assert_false(take(&late.b, rows, 0, n, false).gap);
    assert_int_equal(taken_of_a(&late.b), n);
    assert_false(reads_again_at_the_end(&late.b, false));
    assert_true(take(&late.a, rows, 0, n, true).reads_again); /* all in one page: at once */
    assert_false(take(&late.a, rows, 0, n, false).gap);
    assert_int_equal(taken_of_a(&late.a), n);
    town_deinit(&late);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(rows_apply_once_and_in_order),
        TEST(pages_and_cursors),
        TEST(nobody_speaks_for_another),
        TEST(a_stranger_is_learned_by_its_keyset),
        TEST(rows_outlive_the_keys_that_signed_them),
        TEST(an_emptied_row_waits_for_the_keyset_of_its_key),
        TEST(a_household_spans_distributors),
        TEST(link_codes_work_once_and_not_for_long),
        TEST(a_link_goes_only_where_the_operator_says),
        TEST(roles_are_kept_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
