/* Key blocks at the distributor, of both kinds: whom they leave out, what a partner gets of them, and what stays in the database.
 * Figures are read by SQL of the test's own. */
#include "town.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "crypto/ekb_parts.h"
#include "distributor/keyblocks.h"
#include "distributor/keyblocks_parts.h"

#define MANY 3000 /* revoked leaves: four parts and more */
#define STEP 7

static struct town town;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    town_deinit(&town);
    return 0;
}

/* --- Helpers ------------------------------------------------------------------------------------------------------ */

static void begin(struct transaction *t, struct shop *s) { assert_int_equal(transaction_begin(t, s->o->store), 0); }

static int64_t ask(const struct shop *s, const char *sql) { return shop_ask(s, sql); }
static void change(const struct shop *s, const char *sql) { assert_true(shop_change(s, sql)); }

static void issue(struct shop *s, const char *kind)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    begin(&t, s);
    if (kind)
        assert_int_equal(operations_setting_set(s->o, "key-block-kind", kind), 0);
    assert_int_equal(keyblocks_issue(s->o, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

/* So many leaves of `s` revoked, every STEP-th from leaf 1 on; nobody has them. */
static void lose(const struct shop *s, unsigned count)
{
    char sql[400];
    snprintf(
        sql, sizeof(sql),
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %u) INSERT INTO revoked_leaf"
        " (category, leaf, client, revoked_ms) SELECT %d, 1 + i * %d, %s, 1 FROM n WHERE true ON CONFLICT DO NOTHING",
        count - 1, OPERATIONS_CATEGORY, STEP, town_on_postgres() ? "decode(repeat('00', 32), 'hex')" : "zeroblob(32)");
    change(s, sql);
}

/* A device of leaf `leaf` gives itself a leaf that has a client, so that it can be revoked by its client. */
static struct id resident(struct shop *s, uint32_t leaf)
{
    struct id id;
    char sql[400], hex[2 * ID_BYTES + 1];
    for (size_t i = 0; i < ID_BYTES; i++)
        id.bytes[i] = (uint8_t)(leaf >> (i % 4 * 8));
    for (size_t i = 0; i < ID_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", id.bytes[i]);
    snprintf(sql, sizeof(sql),
             "INSERT INTO leaf_client (distributor, client, category, leaf) VALUES (%d, %s'%s'%s, %d, %u)",
             OPERATIONS_SELF, town_on_postgres() ? "decode(" : "x", hex, town_on_postgres() ? ", 'hex')" : "",
             OPERATIONS_CATEGORY, leaf);
    change(s, sql);
    return id;
}

static void revoke(struct shop *s, const struct id *client)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    begin(&t, s);
    assert_int_equal(keyblocks_revoke(s->o, client, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

/* As a device opens it: with the set of its leaf and nothing else. */
static int open_entry(const struct shop *s, uint32_t leaf, const doc_KeyBlockEntry *entry, doc_Ekb *block,
                      struct key32 *root)
{
    static uint8_t set[KEYTREE_SET_BYTES];
    struct slice proof = entry->has_proof ? CODEC_BYTES(entry->proof) : slice(NULL, 0);
    keytree_device_set(&s->keys->tree, OPERATIONS_CATEGORY, leaf, set);
    assert_int_equal(ekb_judge(CODEC_BYTES(entry->block), &s->keyset, block), 0);
    assert_int_equal(ekb_entry_judge(block, entry), 0);
    if (!entry->has_part)
        return ekb_open(SLICE_ARRAY(set), block->version, block->entry_count, block->entries_root, block->key_check,
                        entry->index, SLICE_ARRAY(entry->entry), proof, root);
    struct ekb_place place CLEANUP(ekb_place_deinit) = ekb_place();
    assert_int_equal(ekb_place_decode(CODEC_BYTES(entry->part), &place), 0);
    assert_int_equal(buf_append(&place.proof, proof), 0);
    place.index = entry->index;
    memcpy(place.top, entry->entry, sizeof(place.top));
    return ekb_parts_open(SLICE_ARRAY(set), block->version, block->entry_count, block->entries_root, block->key_check,
                          &place, root);
}

/* `leaf` of `of` is served by `by`, with a key that opens. */
static void assert_served(struct shop *of, struct shop *by, int64_t number, uint32_t leaf, uint32_t kind)
{
    doc_KeyBlockEntry entry;
    doc_Ekb block;
    struct key32 root CLEANUP(key32_wipe);
    struct keyblocks_newest newest CLEANUP(keyblocks_newest_wipe) = { 0 };
    assert_int_equal(keyblocks_entry(by->o, number, leaf, &entry), 0);
    assert_int_equal(open_entry(of, leaf, &entry, &block, &root), 0);
    assert_int_equal(block.kind, kind);
    assert_int_equal(keyblocks_newest(of->o, OPERATIONS_SELF, &newest), 0);
    assert_memory_equal(root.bytes, newest.root.bytes, sizeof(root.bytes));
}

static void assert_left_out(struct shop *by, int64_t number, uint32_t leaf)
{
    doc_KeyBlockEntry entry;
    assert_int_equal(keyblocks_entry(by->o, number, leaf, &entry), REASON_DEVICE_REVOKED);
}

static void check_some(struct shop *of, struct shop *by, int64_t number, uint32_t kind)
{
    for (uint32_t i = 0; i < MANY; i += 61) {
        assert_left_out(by, number, 1 + i * STEP);
        assert_served(of, by, number, 2 + i * STEP, kind);
    }
    assert_left_out(by, number, 1 + (MANY - 1) * STEP);
    assert_served(of, by, number, 0, kind);
    assert_served(of, by, number, UINT32_MAX, kind);
}

static int64_t number_of(struct shop *s, const struct shop *other)
{
    struct partner p;
    assert_int_equal(delegations_partner_find(s->o, &other->keys->self, &p), 0);
    return p.number;
}

/* --- Cases -------------------------------------------------------------------------------------------------------- */

static void the_kind_is_chosen_by_size(void **state)
{
    (void)state;
    assert_int_equal(ask(&town.a, "SELECT kind FROM key_block ORDER BY version"), EKB_KIND_COMPLETE_SUBTREE);
    lose(&town.a, 100);
    issue(&town.a, NULL);
    assert_int_equal(ask(&town.a, "SELECT kind FROM key_block ORDER BY version DESC"), EKB_KIND_COMPLETE_SUBTREE);
    lose(&town.a, MANY);
    issue(&town.a, NULL);
    assert_int_equal(ask(&town.a, "SELECT kind FROM key_block ORDER BY version DESC"), EKB_KIND_SUBSET_DIFFERENCE);
    check_some(&town.a, &town.a, OPERATIONS_SELF, EKB_KIND_SUBSET_DIFFERENCE);
}

static void the_operator_chooses_otherwise(void **state)
{
    (void)state;
    issue(&town.a, "subset-difference");
    assert_served(&town.a, &town.a, OPERATIONS_SELF, 5, EKB_KIND_SUBSET_DIFFERENCE);
    lose(&town.a, MANY);
    issue(&town.a, "complete-subtree");
    check_some(&town.a, &town.a, OPERATIONS_SELF, EKB_KIND_COMPLETE_SUBTREE);
}

static void one_more_revocation_makes_one_part_anew(void **state)
{
    (void)state;
    lose(&town.a, MANY);
    issue(&town.a, "subset-difference");
    struct id client = resident(&town.a, 100 * STEP + 3);
    int64_t parts = ask(&town.a, "SELECT count(*) FROM key_block_part");
    assert_true(parts > 4);
    assert_served(&town.a, &town.a, OPERATIONS_SELF, 100 * STEP + 3, EKB_KIND_SUBSET_DIFFERENCE);
    revoke(&town.a, &client);
    assert_left_out(&town.a, OPERATIONS_SELF, 100 * STEP + 3);
    check_some(&town.a, &town.a, OPERATIONS_SELF, EKB_KIND_SUBSET_DIFFERENCE);
    assert_int_equal(ask(&town.a, "SELECT count(*) FROM key_block_part WHERE until = 3"), 1);
    assert_in_range(ask(&town.a, "SELECT count(*) FROM key_block_part WHERE since = 3 AND until IS NULL"), 1, 2);
    assert_int_equal(ask(&town.a, "SELECT count(*) FROM key_block_part WHERE since = 2"), parts);
}

static void parts_are_forgotten_with_their_versions(void **state)
{
    (void)state;
    lose(&town.a, MANY);
    issue(&town.a, "subset-difference");
    for (unsigned i = 0; i < 12; i++) {
        struct id client = resident(&town.a, i * 500 + 3);
        revoke(&town.a, &client);
        assert_int_equal(ask(&town.a, "SELECT count(*) FROM key_block_part WHERE until <="
                                      " (SELECT min(version) FROM key_block WHERE kind = 2)"),
                         0);
    }
    assert_int_equal(ask(&town.a, "SELECT count(*) FROM key_block"), 4);
    for (unsigned i = 0; i < 5; i++)
        issue(&town.a, "complete-subtree");
    assert_int_equal(ask(&town.a, "SELECT count(*) FROM key_block_part"), 0);
}

static void a_rolled_back_part_is_not_remembered(void **state)
{
    (void)state;
    lose(&town.a, MANY);
    issue(&town.a, "subset-difference");
    struct id client = resident(&town.a, 24);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    begin(&t, &town.a);
    assert_int_equal(keyblocks_revoke(town.a.o, &client, town.now_ms), 0);
    assert_left_out(&town.a, OPERATIONS_SELF, 24);
    transaction_end(&t);
    assert_served(&town.a, &town.a, OPERATIONS_SELF, 24, EKB_KIND_SUBSET_DIFFERENCE);
    revoke(&town.a, &client);
    assert_left_out(&town.a, OPERATIONS_SELF, 24);
    check_some(&town.a, &town.a, OPERATIONS_SELF, EKB_KIND_SUBSET_DIFFERENCE);
}

static void the_outermost_leaves_and_one_said_twice(void **state)
{
    (void)state;
    issue(&town.a, "subset-difference");
    struct id first = resident(&town.a, 0), second = resident(&town.a, 0xffffffff);
    revoke(&town.a, &first);
    revoke(&town.a, &second);
    revoke(&town.a, &second); /* said twice */
    assert_left_out(&town.a, OPERATIONS_SELF, 0);
    assert_left_out(&town.a, OPERATIONS_SELF, 0xffffffff);
    assert_served(&town.a, &town.a, OPERATIONS_SELF, 1, EKB_KIND_SUBSET_DIFFERENCE);
}

/* The units of a whole version, in pages of that many. */
static void read_pages(struct shop *s, uint64_t version, uint32_t most, struct buf *out)
{
    size_t before;
    do {
        before = out->len;
        assert_int_equal(keyblocks_page(s->o, version, (uint32_t)(out->len / EKB_ENTRY_BYTES), most, out), 0);
        assert_true(out->len - before <= (size_t)most * EKB_ENTRY_BYTES);
    } while (out->len > before);
}

static void pages_of_any_size_are_the_same_block(void **state)
{
    (void)state;
    struct buf whole CLEANUP(buf_free) = buf(1 << 24);
    struct ekb_parts e CLEANUP(ekb_parts_deinit) = { 0 };
    lose(&town.a, MANY);
    issue(&town.a, "subset-difference");
    read_pages(&town.a, 2, 1 << 20, &whole);
    assert_int_equal(ekb_parts_load(&e, OPERATIONS_CATEGORY, 2, buf_slice(&whole)), 0);
    assert_int_equal(ekb_parts_units(&e) * EKB_ENTRY_BYTES, whole.len);
    const uint32_t sizes[] = { 97, 100, 511, 4096 };
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct buf again CLEANUP(buf_free) = buf(1 << 24);
        read_pages(&town.a, 2, sizes[i], &again);
        assert_int_equal(again.len, whole.len);
        assert_memory_equal(again.data, whole.data, whole.len);
    }
    struct id client = resident(&town.a, 24);
    revoke(&town.a, &client); /* a partner in the middle of fetching the version before goes on */
    struct buf old CLEANUP(buf_free) = buf(1 << 24);
    read_pages(&town.a, 2, 1000, &old);
    assert_int_equal(old.len, whole.len);
    assert_memory_equal(old.data, whole.data, whole.len);
}

static void a_partner_keeps_it_and_serves_from_it(void **state)
{
    (void)state;
    int64_t a_at_b = number_of(&town.b, &town.a);
    lose(&town.a, MANY);
    issue(&town.a, "subset-difference");
    town_ask(&town.b, &town.a);
    check_some(&town.a, &town.b, a_at_b, EKB_KIND_SUBSET_DIFFERENCE);
    struct id client = resident(&town.a, 24);
    revoke(&town.a, &client);
    town_ask(&town.b, &town.a);
    assert_left_out(&town.b, a_at_b, 24);
    check_some(&town.a, &town.b, a_at_b, EKB_KIND_SUBSET_DIFFERENCE);
    town_ask(&town.b, &town.a); /* the same version once more: its grant ends later */
    check_some(&town.a, &town.b, a_at_b, EKB_KIND_SUBSET_DIFFERENCE);
    assert_int_equal(ask(&town.b, "SELECT count(*) FROM key_block WHERE distributor <> 1"), 1);
    assert_int_equal(ask(&town.b, "SELECT count(*) FROM key_block_part WHERE until IS NOT NULL"), 0);
    issue(&town.a, "complete-subtree");
    town_ask(&town.b, &town.a);
    assert_left_out(&town.b, a_at_b, 24);
    check_some(&town.a, &town.b, a_at_b, EKB_KIND_COMPLETE_SUBTREE);
    assert_int_equal(ask(&town.b, "SELECT count(*) FROM key_block_part"), 0);
}

static void a_block_that_is_not_what_was_signed_changes_nothing(void **state)
{
    (void)state;
    int64_t a_at_b = number_of(&town.b, &town.a);
    struct buf envelope CLEANUP(buf_free) = buf(1024), units CLEANUP(buf_free) = buf(1 << 24);
    struct keyblocks_newest newest CLEANUP(keyblocks_newest_wipe) = { 0 };
    doc_Ekb block;
    lose(&town.a, MANY);
    issue(&town.a, "subset-difference");
    town_ask(&town.b, &town.a);
    issue(&town.a, NULL);
    assert_int_equal(keyblocks_get(town.a.o, OPERATIONS_SELF, 0, &newest, &envelope), 0);
    assert_int_equal(ekb_judge(buf_slice(&envelope), &town.a.keyset, &block), 0);
    read_pages(&town.a, newest.version, 1 << 20, &units);
    for (size_t at = 0; at < units.len; at += units.len / 40) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        units.data[at] ^= 1;
        begin(&t, &town.b);
        assert_int_equal(keyblocks_keep_granted(town.b.o, a_at_b, &block, buf_slice(&envelope), buf_slice(&units),
                                                &newest.root, INT64_MAX),
                         REASON_MALFORMED);
        units.data[at] ^= 1;
    }
    assert_int_equal(ask(&town.b, "SELECT max(version) FROM key_block WHERE distributor <> 1"), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_kind_is_chosen_by_size),
        TEST(the_operator_chooses_otherwise),
        TEST(one_more_revocation_makes_one_part_anew),
        TEST(parts_are_forgotten_with_their_versions),
        TEST(a_rolled_back_part_is_not_remembered),
        TEST(the_outermost_leaves_and_one_said_twice),
        TEST(pages_of_any_size_are_the_same_block),
        TEST(a_partner_keeps_it_and_serves_from_it),
        TEST(a_block_that_is_not_what_was_signed_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
