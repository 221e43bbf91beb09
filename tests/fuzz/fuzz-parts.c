/* Key blocks in parts from outside: a whole block as a partner sends it, and the place of one leaf as a certificate carries it.
 * Promises: what loads is what was read, and what is found in it is proved by its root; an altered block, place or set opens nothing but
 * the one true root key. Input: mode, then bytes to be loaded (0), edits of a good block (1), edits of a place (2), or a part to be
 * decoded (3). */
#include <stdlib.h>

#include "base/util.h"
#include "crypto/ekb_parts.h"
#include "fuzz.h"
#include "world.h"

#define EDITS_MAX 8
#define LEAVES_TRIED 16
#define REVOKED 540 /* more than a part holds */
#define BLOCK_MAX_BYTES (1u << 17)

static struct ekb_parts good;

static void fill_zero(void *ctx, void *out, size_t len) { memset(out, ++*(uint8_t *)ctx, len); }

static void make_good(const struct world *w)
{
    static uint8_t next;
    static const struct rng rng = { fill_zero, &next };
    uint32_t revoked[REVOKED];
    for (uint32_t i = 0; i < REVOKED; i++)
        revoked[i] = WORLD_LEAF + 1 + 2 * i;
    CHECK(ekb_parts_build(&good, &w->tree_secret, WORLD_CATEGORY, WORLD_BLOCK_VERSION, revoked, REVOKED,
                          &w->block_root_key, &rng) == 0);
}

/* --- A whole block ------------------------------------------------------------------------------------------------- */

static void check_found(const struct ekb_parts *e, uint32_t leaf)
{
    struct ekb_place place CLEANUP(ekb_place_deinit) = ekb_place(), again CLEANUP(ekb_place_deinit) = ekb_place();
    struct buf part CLEANUP(buf_free) = buf(EKB_PLACE_PART_BYTES);
    struct cover_subset subset;
    int r = ekb_parts_find(e, leaf, &place);
    CHECK(r == 0 || r == EKB_NOT_COVERED);
    if (r)
        return;
    CHECK(place.index < e->count && place.part_index < place.part_count);
    CHECK(keytree_covers(e->parts[place.index].node, leaf));
    CHECK(cover_decode(place.entry, &subset) && cover_has(&subset, leaf));
    CHECK(ekb_place_encode(&place, &part) == 0);
    CHECK(ekb_place_decode(buf_slice(&part), &again) == 0);
    CHECK(again.part_index == place.part_index && again.part_count == place.part_count);
    CHECK(slice_equal(buf_slice(&again.part_proof), buf_slice(&place.part_proof)));
}

static void load(struct slice wire, struct input *leaves)
{
    struct ekb_parts e CLEANUP(ekb_parts_deinit) = { 0 };
    struct buf written CLEANUP(buf_free) = buf(wire.len);
    uint8_t *exact CLEANUP(freep) = input_copy(wire);
    int r = ekb_parts_load(&e, WORLD_CATEGORY, WORLD_BLOCK_VERSION, slice(exact, wire.len));
    CHECK(r == 0 || r == EKB_MALFORMED);
    if (r)
        return;
    CHECK(e.count > 0 && ekb_parts_units(&e) * EKB_ENTRY_BYTES == wire.len);
    CHECK(ekb_parts_encode(&e, &written) == 0 && slice_equal(buf_slice(&written), wire));
    for (uint32_t i = 0; i < e.count && i < LEAVES_TRIED; i++) {
        uint32_t first = keytree_first_leaf(e.parts[i].node);
        check_found(&e, first);
        check_found(&e, first - 1);
    }
    for (int i = 0; i < LEAVES_TRIED && leaves->rest.len > 0; i++)
        check_found(&e, input_u32(leaves));
}

static void load_edited(struct input *in)
{
    struct buf bytes CLEANUP(buf_free) = buf(BLOCK_MAX_BYTES);
    CHECK(ekb_parts_encode(&good, &bytes) == 0);
    for (int i = 0; i < EDITS_MAX && in->rest.len > 0; i++)
        input_edit(in, &bytes);
    load(buf_slice(&bytes), in);
}

/* --- A place ------------------------------------------------------------------------------------------------------- */

static bool edit_place(struct input *in, struct ekb_place *p, struct buf *part, struct buf *set, uint64_t *version)
{
    switch (input_u8(in) % 6) {
    case 0:
        input_edit(in, part);
        break;
    case 1:
        input_edit(in, &p->proof);
        break;
    case 2:
        input_edit(in, set);
        break;
    case 3:
        p->top[input_u8(in) % EKB_ENTRY_BYTES] ^= input_u8(in);
        break;
    case 4:
        p->index = input_u8(in) & 1 ? input_u32(in) : input_u8(in) % 32;
        break;
    default:
        *version = input_u64(in);
        break;
    }
    return in->rest.len > 0;
}

static void open_edited(const struct world *w, struct input *in)
{
    struct ekb_place place CLEANUP(ekb_place_deinit) = ekb_place();
    struct buf part CLEANUP(buf_free) = buf(4096), set CLEANUP(buf_free) = buf(32 * 1024);
    uint64_t version = WORLD_BLOCK_VERSION;
    struct key32 found;
    CHECK(ekb_parts_find(&good, WORLD_LEAF, &place) == 0 && ekb_place_encode(&place, &part) == 0);
    CHECK(buf_append(&set, slice(w->device_set, KEYTREE_SET_BYTES)) == 0);
    bool more = in->rest.len > 0, edited = more;
    for (int i = 0; i < EDITS_MAX && more; i++)
        more = edit_place(in, &place, &part, &set, &version);
    uint8_t *exact_part CLEANUP(freep) = input_copy(buf_slice(&part));
    uint8_t *exact_set CLEANUP(freep) = input_copy(buf_slice(&set));
    int r = ekb_place_decode(slice(exact_part, part.len), &place);
    if (r == 0)
        r = ekb_parts_open(slice(exact_set, set.len), version, good.count, good.root, good.key_check, &place, &found);
    CHECK(r >= 0 && r <= EKB_MALFORMED);
    if (r == 0)
        CHECK(memcmp(found.bytes, w->block_root_key.bytes, sizeof(found.bytes)) == 0);
    CHECK(r == 0 || edited);
}

static void decode(struct slice wire)
{
    struct ekb_place place CLEANUP(ekb_place_deinit) = ekb_place();
    struct buf written CLEANUP(buf_free) = buf(EKB_PLACE_PART_BYTES);
    uint8_t *exact CLEANUP(freep) = input_copy(wire);
    int r = ekb_place_decode(slice(exact, wire.len), &place);
    CHECK(r == 0 || r == EKB_MALFORMED);
    if (r == 0)
        CHECK(ekb_place_encode(&place, &written) == 0 && slice_equal(buf_slice(&written), wire));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct world *w = world_get();
    struct input in = input(data, size);
    if (good.count == 0)
        make_good(w);
    switch (input_u8(&in) % 4) {
    case 0:
        load(input_rest(&in), &in);
        break;
    case 1:
        load_edited(&in);
        break;
    case 2:
        open_edited(w, &in);
        break;
    default:
        decode(input_rest(&in));
        break;
    }
    return 0;
}
