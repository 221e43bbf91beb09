/* Licenses and headers: what is accepted, what is refused, which edition wins. */
#include "cm.h"

#include "rig.h"

static struct rig rig;
static struct maker shop, other;
static struct content song;
static struct buf one, two;

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    maker_init(&other, 2, "Other");
    content_init(&song, &shop, 1, "audio/flac", slice_str("some sound"), 4096);
    one = buf(4096);
    two = buf(4096);
    assert_int_equal(rig_register(&rig, &shop), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    content_deinit(&song);
    maker_deinit(&shop);
    maker_deinit(&other);
    buf_free(&one);
    buf_free(&two);
    return 0;
}

static int store(const doc_License *l, const struct key32 *signer)
{
    sign_into(&one, DOCUMENT_LICENSE, l, signer);
    return rig_license(&rig, buf_slice(&one), slice(NULL, 0));
}

static void storing(void **state)
{
    (void)state;
    vlt_Licenses all;
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0);
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0);
    rig_stop(&rig);
    rig_start(&rig);
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.total, 1);
    assert_int_equal(all.licenses_count, 1);
    assert_memory_equal(all.licenses[0].issuer, shop.id.bytes, 32);
    assert_memory_equal(all.licenses[0].license_id, song.license_id, 16);
    assert_memory_equal(all.licenses[0].content, song.id.bytes, 32);
    assert_true(all.licenses[0].sequence == 5);
    assert_int_equal(all.licenses[0].state, 1);
    assert_true(all.licenses[0].has_header);
    assert_int_equal(all.licenses[0].conditions.max_copies, 3);
}

static void highest_sequence_wins(void **state)
{
    (void)state;
    vlt_Licenses all;
    doc_License l;
    maker_license(&shop, &shop, &rig.self, &song, 5, &l);
    assert_int_equal(store(&l, &shop.license), 0);
    l.sequence = 4;
    l.conditions.max_copies = 99;
    assert_int_equal(store(&l, &shop.license), 0); /* harmless */
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_true(all.licenses[0].sequence == 5);
    assert_int_equal(all.licenses[0].conditions.max_copies, 3);
    assert_false(all.licenses[0].has_header);
    l.sequence = 6;
    assert_int_equal(store(&l, &shop.license), 0);
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.total, 1);
    assert_true(all.licenses[0].sequence == 6);
    assert_int_equal(all.licenses[0].conditions.max_copies, 99);
    l.sequence = UINT64_MAX;
    assert_int_equal(store(&l, &shop.license), REASON_MALFORMED);
}

static void license_refusals(void **state)
{
    (void)state;
    doc_License right, l;
    uint8_t before[32], after[32];
    rig_dump(&rig, before);
    maker_license(&shop, &shop, &rig.self, &song, 5, &right);

    l = right;
    l.client[0] ^= 1;
    assert_int_equal(store(&l, &shop.license), REASON_WRONG_DESTINATION);
    l = right;
    l.leaf.number++;
    assert_int_equal(store(&l, &shop.license), REASON_WRONG_DESTINATION);
    l = right;
    memcpy(l.leaf.distributor, other.id.bytes, 32);
    assert_int_equal(store(&l, &shop.license), REASON_WRONG_DESTINATION);
    l = right;
    l.license_half[50] ^= 1;
    assert_int_equal(store(&l, &shop.license), REASON_MALFORMED);
    l = right; /* the half is of another content */
    l.content[0] ^= 1;
    assert_int_equal(store(&l, &shop.license), REASON_MALFORMED);
    assert_int_equal(store(&right, &shop.copy), REASON_SIGNATURE_INVALID);
    assert_int_equal(store(&right, &shop.root), REASON_SIGNATURE_INVALID);
    assert_int_equal(store(&right, &other.license), REASON_SIGNATURE_INVALID);
    l = right;
    memcpy(l.issuer, other.id.bytes, 32);
    assert_int_equal(store(&l, &other.license), REASON_NOT_REGISTERED);
    rig_dump(&rig, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(store(&right, &shop.license), 0);
}

static int store_header(const doc_Header *h)
{
    encode_header(h, &two);
    return rig_header(&rig, buf_slice(&two));
}

static void headers(void **state)
{
    (void)state;
    doc_Header right, h;
    uint8_t before[32], after[32];
    rig_dump(&rig, before);
    maker_header(&shop, &song, &right);
    h = right;
    h.wrapped_half[20] ^= 1;
    assert_int_equal(store_header(&h), REASON_MALFORMED);
    h = right;
    h.license_id[0] ^= 1;
    assert_int_equal(store_header(&h), REASON_MALFORMED);
    h = right;
    h.content[0] ^= 1;
    assert_int_equal(store_header(&h), REASON_MALFORMED);
    h = right;
    h.partner_root = true;
    assert_int_equal(store_header(&h), REASON_NOT_PERMITTED);
    h = right;
    memcpy(h.issuer, other.id.bytes, 32);
    assert_int_equal(store_header(&h), REASON_NOT_REGISTERED);
    h = right;
    h.key_block.entry[20] ^= 1;
    assert_int_equal(store_header(&h), REASON_SIGNATURE_INVALID);
    h = right; /* somebody else's block */
    maker_entry(&other, MAKER_LEAF, &h.key_block);
    assert_int_equal(store_header(&h), REASON_SIGNATURE_INVALID);
    rig_dump(&rig, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(store_header(&right), 0); /* before the license is fine */
    h = right; /* its root key is known by now; a header is opened by its own entry all the same */
    h.key_block.entry[20] ^= 1;
    assert_int_equal(store_header(&h), REASON_SIGNATURE_INVALID);
}

static void outdated_block(void **state)
{
    (void)state;
    doc_Header old, new;
    vlt_Distributors all;
    vlt_Licenses licenses;
    doc_License l;
    maker_header(&shop, &song, &old);
    maker_rekey(&shop, 2, 3);
    maker_header(&shop, &song, &new);
    assert_int_equal(store_header(&old), 0);
    assert_int_equal(store_header(&new), 0);
    assert_int_equal(store_header(&old), REASON_KEY_BLOCK_OUTDATED);
    assert_int_equal(rig_distributors(&rig, &all), 0);
    assert_true(all.distributors[0].block_version == 2);
    /* What was paid for is kept even when its header has been overtaken. */
    struct content second;
    content_init(&second, &shop, 2, "audio/flac", slice_str("other sound"), 4096);
    maker_license(&shop, &shop, &rig.self, &second, 6, &l);
    sign_into(&one, DOCUMENT_LICENSE, &l, &shop.license);
    memcpy(old.content, second.id.bytes, 32);
    memcpy(old.license_id, second.license_id, 16);
    encode_header(&old, &two);
    assert_int_equal(rig_license(&rig, buf_slice(&one), buf_slice(&two)), 0);
    assert_int_equal(rig_licenses(&rig, &licenses), 0);
    assert_int_equal(licenses.total, 1);
    assert_false(licenses.licenses[0].has_header);
    content_deinit(&second);
}

static void revoked_leaf(void **state)
{
    (void)state;
    doc_Header h;
    uint32_t index;
    uint8_t entry[EKB_ENTRY_BYTES];
    struct buf proof = buf(2048);
    maker_header(&shop, &song, &h);
    maker_rekey(&shop, 2, MAKER_LEAF);
    assert_int_equal(ekb_find(&shop.cover, MAKER_LEAF, &index, entry, &proof), EKB_NOT_COVERED);
    maker_entry(&shop, MAKER_LEAF + 1, &h.key_block); /* a neighbour's entry is all there is */
    maker_wrap(&shop.block_root, NULL, &song, h.wrapped_half);
    assert_int_equal(store_header(&h), REASON_DEVICE_REVOKED);
    buf_free(&proof);
}

static void header_of_another_license(void **state)
{
    (void)state;
    doc_License l;
    doc_Header h;
    maker_license(&shop, &shop, &rig.self, &song, 5, &l);
    sign_into(&one, DOCUMENT_LICENSE, &l, &shop.license);
    maker_header(&shop, &song, &h);
    h.license_id[3] ^= 1;
    encode_header(&h, &two);
    assert_int_equal(rig_license(&rig, buf_slice(&one), buf_slice(&two)), REASON_CONTENT_ID_MISMATCH);
    vlt_Licenses all;
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.total, 0);
}

static void listing_in_pages(void **state)
{
    (void)state;
    vlt_Licenses page;
    vlt_LicensesGet ask = { .has_after = true };
    uint8_t seen[40] = { 0 };
    for (uint8_t i = 0; i < 40; i++) {
        struct content c;
        content_init(&c, &shop, (uint8_t)(10 + i), "audio/flac", slice_str("x"), 4096);
        assert_int_equal(rig_buy(&rig, &shop, &c, 100u + i), 0);
        content_deinit(&c);
    }
    assert_int_equal(rig_licenses(&rig, &page), 0);
    assert_int_equal(page.total, 40);
    assert_int_equal(page.licenses_count, 32);
    for (unsigned i = 0; i < 32; i++)
        seen[page.licenses[i].license_id[0] - 10]++;
    memcpy(ask.after.issuer, page.licenses[31].issuer, 32);
    memcpy(ask.after.license_id, page.licenses[31].license_id, 16);
    uint32_t id = rig_send(&rig, vlt_Type_LICENSES_GET, vlt_LicensesGet_fields, &ask, slice(NULL, 0), -1);
    assert_int_equal(
        rig_receive(&rig, id, vlt_Type_LICENSES, vlt_Licenses_fields, vlt_Licenses_size, &page, sizeof(page)), 0);
    assert_int_equal(page.licenses_count, 8);
    assert_int_equal(page.total, 0);
    for (unsigned i = 0; i < 8; i++)
        seen[page.licenses[i].license_id[0] - 10]++;
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(seen[i], 1);
    memcpy(ask.after.license_id, page.licenses[7].license_id, 16);
    id = rig_send(&rig, vlt_Type_LICENSES_GET, vlt_LicensesGet_fields, &ask, slice(NULL, 0), -1);
    assert_int_equal(
        rig_receive(&rig, id, vlt_Type_LICENSES, vlt_Licenses_fields, vlt_Licenses_size, &page, sizeof(page)), 0);
    assert_int_equal(page.licenses_count, 0);
}

static void flipped_bytes(void **state)
{
    (void)state;
    doc_License l;
    doc_Header h;
    uint8_t before[32], after[32];
    maker_license(&shop, &shop, &rig.self, &song, 5, &l);
    sign_into(&one, DOCUMENT_LICENSE, &l, &shop.license);
    maker_header(&shop, &song, &h);
    encode_header(&h, &two);
    rig_dump(&rig, before);
    for (size_t i = 0; i < one.len + two.len; i++) {
        uint8_t *byte = i < one.len ? &one.data[i] : &two.data[i - one.len];
        *byte ^= (uint8_t)(1u << (i % 8));
        int r = rig_license(&rig, buf_slice(&one), buf_slice(&two));
        if (r <= 0)
            print_message("byte %zu of %zu + %zu was not noticed\n", i, one.len, two.len);
        assert_true(r > 0);
        *byte ^= (uint8_t)(1u << (i % 8));
        if (i % 16 == 0) {
            rig_dump(&rig, after);
            assert_memory_equal(before, after, 32);
        }
    }
    assert_int_equal(rig_license(&rig, buf_slice(&one), buf_slice(&two)), 0);
}

static void dropped_distributor(void **state)
{
    (void)state;
    vlt_Licenses all;
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0);
    assert_int_equal(rig_drop(&rig, &shop), 0);
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.total, 1);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_NOT_REGISTERED);
    assert_int_equal(rig_register(&rig, &shop), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
}

/* What a device had before it was removed went back to the account: with a new leaf it does not have that as well. */
static void back_with_another_leaf(void **state)
{
    (void)state;
    struct buf set = buf(32768);
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0);
    assert_int_equal(rig_drop(&rig, &shop), 0);
    for (uint32_t leaf = MAKER_LEAF + 1;; leaf = MAKER_LEAF) {
        maker_certificate(&shop, &rig.self, leaf, &one);
        maker_set(&shop, &rig.self, leaf, &set);
        assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&set)), 0);
        if (leaf == MAKER_LEAF)
            break;
        assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_NO_LICENSE);
    }
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
    buf_free(&set);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(storing),        T(highest_sequence_wins), T(license_refusals),          T(headers),
        T(outdated_block), T(revoked_leaf),          T(header_of_another_license), T(listing_in_pages),
        T(flipped_bytes),  T(dropped_distributor),   T(back_with_another_leaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
