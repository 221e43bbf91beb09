/* Enabling key blocks from outside: entries as a partner sends them, and one entry with its proof as a certificate carries it.
 * Promises: what loads is ordered, covers what it says and proves it; an altered entry, proof, place or header opens nothing, and
 * what opens gives the one true root key. Input: mode, then entries to be loaded (0), edits of the world's entries (1),
 * edits of entry and proof (2), or a proof for any tree (3). */
#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "world.h"

#define EDITS_MAX 8
#define LEAVES_TRIED 16

static void check_found(const struct ekb *e, uint32_t leaf)
{
    struct buf proof CLEANUP(buf_free) = buf(MERKLE_PROOF_MAX * MERKLE_HASH_BYTES);
    uint8_t entry[EKB_ENTRY_BYTES], hash[MERKLE_HASH_BYTES];
    uint32_t index = 0;
    int r = ekb_find(e, leaf, &index, entry, &proof);
    CHECK(r == 0 || r == EKB_NOT_COVERED);
    bool covered = false;
    for (uint32_t i = 0; i < e->count && e->count <= 4096; i++) {
        const uint8_t *at = e->entries + (size_t)i * EKB_ENTRY_BYTES;
        struct keytree_node node = { at[0], get_be32(at + 1) };
        if (keytree_covers(node, leaf)) {
            CHECK(!covered); /* ranges do not overlap */
            covered = true;
            CHECK(r == 0 && index == i && memcmp(at, entry, sizeof(entry)) == 0);
        }
    }
    CHECK(e->count > 4096 || covered == (r == 0));
    if (r)
        return;
    struct slice part = SLICE_ARRAY(entry);
    merkle_leaf(&part, 1, hash);
    CHECK(merkle_proves(hash, index, e->count, buf_slice(&proof), e->root));
    entry[7] ^= 1;
    merkle_leaf(&part, 1, hash);
    CHECK(!merkle_proves(hash, index, e->count, buf_slice(&proof), e->root));
}

static void load(struct slice wire, struct input *leaves)
{
    struct ekb e CLEANUP(ekb_deinit) = { 0 };
    uint8_t *exact CLEANUP(freep) = input_copy(wire);
    int r = ekb_load(&e, WORLD_CATEGORY, WORLD_BLOCK_VERSION, slice(exact, wire.len));
    CHECK(r == 0 || r == EKB_MALFORMED);
    if (r)
        return;
    CHECK(e.count > 0 && e.count <= EKB_ENTRIES_MAX && (size_t)e.count * EKB_ENTRY_BYTES == wire.len);
    CHECK(memcmp(e.entries, wire.data, wire.len) == 0);
    for (uint32_t i = 0; i < e.count && i < LEAVES_TRIED; i++) {
        const uint8_t *at = e.entries + (size_t)i * EKB_ENTRY_BYTES;
        uint32_t first = keytree_first_leaf((struct keytree_node){ at[0], get_be32(at + 1) });
        check_found(&e, first);
        check_found(&e, first - 1);
    }
    check_found(&e, 0);
    check_found(&e, UINT32_MAX);
    for (int i = 0; i < LEAVES_TRIED && leaves->rest.len > 0; i++)
        check_found(&e, input_u32(leaves));
}

static void load_edited(const struct world *w, struct input *in)
{
    struct buf entries CLEANUP(buf_free) = buf(64 * 1024);
    CHECK(buf_append(&entries, slice(w->block.entries, (size_t)w->block.count * EKB_ENTRY_BYTES)) == 0);
    for (int i = 0; i < EDITS_MAX && in->rest.len > 0; i++)
        input_edit(in, &entries);
    load(buf_slice(&entries), in);
}

/* The one true opening, with what the input changes. */
static void open_edited(const struct world *w, struct input *in)
{
    struct buf entry CLEANUP(buf_free) = buf(256), proof CLEANUP(buf_free) = buf(4096),
                     set CLEANUP(buf_free) = buf(32 * 1024);
    uint8_t root[32], check[32], good_entry[EKB_ENTRY_BYTES];
    uint32_t good_index = 0;
    struct buf good_proof CLEANUP(buf_free) = buf(4096);
    CHECK(ekb_find(&w->block, WORLD_LEAF, &good_index, good_entry, &good_proof) == 0);
    CHECK(buf_append(&entry, SLICE_ARRAY(good_entry)) == 0 && buf_append(&proof, buf_slice(&good_proof)) == 0);
    CHECK(buf_append(&set, slice(w->device_set, KEYTREE_SET_BYTES)) == 0);
    memcpy(root, w->block.root, sizeof(root));
    memcpy(check, w->block.key_check, sizeof(check));
    uint64_t version = WORLD_BLOCK_VERSION;
    uint32_t index = good_index, count = w->block.count;
    for (int i = 0; i < EDITS_MAX && in->rest.len > 0; i++) {
        switch (input_u8(in) % 8) {
        case 0:
            input_edit(in, &entry);
            break;
        case 1:
            input_edit(in, &proof);
            break;
        case 2:
            input_edit(in, &set);
            break;
        case 3:
            root[input_u8(in) % 32] ^= input_u8(in);
            break;
        case 4:
            check[input_u8(in) % 32] ^= input_u8(in);
            break;
        case 5:
            version = input_u64(in);
            break;
        case 6:
            index = input_u8(in) & 1 ? input_u32(in) : input_u8(in) % 8;
            break;
        default:
            count = input_u8(in) & 1 ? input_u32(in) : w->block.count + input_u8(in) - 128;
            break;
        }
    }
    struct key32 found;
    uint8_t *exact_entry CLEANUP(freep) = input_copy(buf_slice(&entry)),
                         *exact_proof CLEANUP(freep) = input_copy(buf_slice(&proof)),
                         *exact_set CLEANUP(freep) = input_copy(buf_slice(&set));
    int r = ekb_open(slice(exact_set, set.len), version, count, root, check, index, slice(exact_entry, entry.len),
                     slice(exact_proof, proof.len), &found);
    CHECK(r >= 0 && r <= EKB_MALFORMED);
    bool same = slice_equal(buf_slice(&entry), SLICE_ARRAY(good_entry)) &&
                slice_equal(buf_slice(&proof), buf_slice(&good_proof)) && memcmp(root, w->block.root, 32) == 0 &&
                memcmp(check, w->block.key_check, 32) == 0 && version == WORLD_BLOCK_VERSION && index == good_index;
    /* The count may be another one for which the same hashes prove the same place. */
    if (r == 0)
        CHECK(same && memcmp(found.bytes, w->block_root_key.bytes, sizeof(found.bytes)) == 0);
    else if (same && count == w->block.count)
        CHECK(!slice_equal(buf_slice(&set), slice(w->device_set, KEYTREE_SET_BYTES)));
}

/* A proof from anywhere proves only what hashes to the root; here nothing does. */
static void prove_anything(struct input *in)
{
    uint8_t leaf[32] = { 1 }, root[32] = { 2 };
    uint64_t index = input_u64(in), count = input_u64(in);
    struct slice proof = input_rest(in);
    uint8_t *exact CLEANUP(freep) = input_copy(proof);
    CHECK(!merkle_proves(leaf, index, count, slice(exact, proof.len), root));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct world *w = world_get();
    struct input in = input(data, size);
    switch (input_u8(&in) % 4) {
    case 0: {
        struct input none = { { NULL, 0 } };
        load(in.rest, &none);
        break;
    }
    case 1:
        load_edited(w, &in);
        break;
    case 2:
        open_edited(w, &in);
        break;
    default:
        prove_anything(&in);
        break;
    }
    return 0;
}
