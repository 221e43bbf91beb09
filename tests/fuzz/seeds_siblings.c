/* Seed inputs of what siblings say to each other: state (fuzz-state.c) and shelves (fuzz-shelf.c). */
#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "messages.pb.h"
#include "protocol/codec.h"
#include "protocol/state_values.h"
#include "seeds.h"

/* Bytes of a version or an answer: dots of the replicas that are called 1 and 2 (fuzz-state.c). */
#define DOT(replica, counter) (replica), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (counter)
#define COUNT(n) 0, 0, 0, (n)
#define SETTING(len) 1, (len), 0, 2
static void seed_versions(void)
{
    PUT("state", "version-of-us", BYTES(0, 0, DOT(1, 3), DOT(2, 1)));
    PUT("state", "version-beyond-us", BYTES(0, 0, DOT(2, 9)));
    PUT("state", "version-cut", BYTES(0, 0, DOT(2, 1), 7));
    PUT("state", "version-without-change", BYTES(0, 0, DOT(1, 0)));
    PUT("state", "version-twice", BYTES(0, 0, DOT(1, 1), DOT(1, 2)));
    PUT("state", "answer-unknown", BYTES(1, 0, 3));
    PUT("state", "answer-cut", BYTES(1, 0, 1, COUNT(9), DOT(1, 1)));
    PUT("state", "answer-ids-beyond", BYTES(1, 0, 1, 0, 0, 255, 255));
    PUT("state", "answer-items-beyond", BYTES(1, 0, 1, COUNT(0), 0, 1, 0, 0));
    PUT("state", "answer-item",
        BYTES(1, 0, 1, COUNT(1), DOT(1, 1), COUNT(1), SETTING(1), DOT(1, 1), 'x', '1', '2', COUNT(0)));
    PUT("state", "answer-item-unseen",
        BYTES(1, 0, 1, COUNT(0), COUNT(1), SETTING(1), DOT(1, 1), 'x', '1', '2', COUNT(0)));
    PUT("state", "answer-item-twice",
        BYTES(1, 0, 1, COUNT(1), DOT(1, 1), COUNT(2), SETTING(1), DOT(1, 1), 'x', '1', '2', SETTING(1), DOT(1, 1), 'x',
              '1', '2', COUNT(0)));
    PUT("state", "answer-item-unknown",
        BYTES(1, 0, 1, COUNT(1), DOT(1, 1), COUNT(1), 9, 1, 0, 1, DOT(1, 1), 'x', '1', COUNT(0)));
    PUT("state", "answer-setting-without-name",
        BYTES(1, 0, 1, COUNT(1), DOT(1, 1), COUNT(1), SETTING(0), DOT(1, 1), '1', '2', COUNT(0)));
    PUT("state", "answer-removals-beyond", BYTES(1, 0, 1, COUNT(0), COUNT(0), COUNT(4)));
    PUT("state", "answer-removal-unseen", BYTES(1, 0, 1, COUNT(0), COUNT(0), COUNT(1), DOT(1, 1), DOT(1, 2)));
    PUT("state", "answer-removal-of-ours",
        BYTES(1, 0, 1, COUNT(2), DOT(1, 1), DOT(2, 1), COUNT(0), COUNT(1), DOT(1, 1), DOT(2, 1)));
    PUT("state", "answer-live-unseen", BYTES(1, 0, 2, COUNT(0), COUNT(0), COUNT(1), DOT(1, 1)));
    PUT("state", "answer-live-twice",
        BYTES(1, 0, 2, COUNT(1), DOT(1, 1), COUNT(1), SETTING(1), DOT(1, 1), 'x', '1', '2', COUNT(1), DOT(1, 1)));
    PUT("state", "answer-without-ours", BYTES(1, 0, 2, COUNT(2), DOT(1, 1), DOT(2, 1), COUNT(0), COUNT(0)));
    PUT("state", "answer-with-ours", BYTES(1, 0, 2, COUNT(2), DOT(1, 1), DOT(2, 1), COUNT(0), COUNT(1), DOT(2, 1)));
    PUT("state", "answer-beyond-us", BYTES(1, 0, 1, COUNT(1), DOT(2, 200), COUNT(0), COUNT(0)));
    PUT("state", "answer-longer", BYTES(1, 0, 1, COUNT(0), COUNT(0), COUNT(0), 7));
}

static void seed_state(void)
{
    PUT("state", "version", BYTES(0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
    PUT("state", "nothing", BYTES(1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    PUT("state", "difference", BYTES(2, 12, 1, 33, 66, 99, 130, 131, 34, 37, 67, 100, 132, 3, 0));
    PUT("state", "whole", BYTES(3, 12, 1, 33, 66, 99, 130, 131, 34, 37, 67, 100, 132, 3, 0));
    PUT("state", "edited", BYTES(2, 6, 1, 33, 66, 99, 130, 131, 1, 0, 0, 40, 1, 0));
    PUT("state", "edited-whole", BYTES(3, 6, 1, 33, 66, 99, 130, 131, 2, 0, 0, 9, 1, 2, 0, 30, 7, 7));
    PUT("state", "settings", BYTES(2, 14, 0, 1, 2, 3, 4, 5, 6, 7, 0, 4, 1, 2, 6, 3, 0));
    PUT("state", "whole-with-live", BYTES(6, 12, 1, 33, 66, 99, 130, 131, 34, 37, 67, 100, 132, 3, 0));
    PUT("state", "playlists-named-twice", BYTES(6, 8, 104, 96, 96, 104, 104, 96, 100, 108, 0));
    PUT("state", "new-id", BYTES(10, 12, 1, 33, 66, 99, 130, 131, 34, 37, 67, 100, 132, 3, 0, 0));
    PUT("state", "new-id-of-what-was-told", BYTES(10, 12, 1, 33, 66, 99, 130, 131, 34, 37, 67, 100, 132, 3, 200, 0));
    PUT("state", "between",
        BYTES(6, 31, 160, 160, 160, 160, 164, 161, 168, 192, 192, 196, 193, 224, 225, 232, 160, 161, 162, 163, 164, 165,
              166, 167, 168, 169, 170, 171, 172, 173, 174, 175, 224, 0));
    PUT("state", "entries",
        BYTES(2, 31, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147,
              148, 149, 150, 151, 152, 153, 154, 155, 156, 157, 158, 1, 0, 0, 60, 2));
}

/* Question (at, skip, count), then answers: how, bytes of one or edits of a good one. */
static void put_shelf(const char *name, uint8_t skip, uint8_t count, const msg_Shelf *answer)
{
    struct buf bytes CLEANUP(buf_free) = buf(1 << 16);
    CHECK(CODEC_ENCODE(msg_Shelf, &bytes, answer) == 0);
    PUT("shelf", name, BYTES(0, 0, 0, 0, 0, 0, 0, skip, count, 0, (uint8_t)(bytes.len >> 8), (uint8_t)bytes.len),
        buf_slice(&bytes));
}

static void seed_shelves(void)
{
    static msg_Shelf one = { .items_count = 1, .items = { { .title = "A title", .media_type = "audio/flac" } } };
    msg_Shelf *a CLEANUP(freep) = malloc(sizeof(*a));
    CHECK(a);
    put_shelf("one", 0, 5, &one);
    put_shelf("more-than-asked", 0, 0, &one);
    *a = one;
    a->items[0].license_state = 7;
    put_shelf("unknown-license", 0, 5, a);
    *a = one;
    a->has_next = true;
    put_shelf("leads-back", 0, 5, a);
    a->next = 3;
    put_shelf("leads-on-too-early", 0, 5, a);
    *a = (msg_Shelf){ .skip = 3 };
    put_shelf("skips-more", 2, 5, a);
}

/* Two entries of a list, with orders of a sibling's choice. */
static void put_orders(const char *name, struct order first, struct order second)
{
    struct buf answer CLEANUP(buf_free) = buf(1 << 12);
    const struct order *orders[] = { &first, &second };
    CHECK(buf_append(&answer, BYTES(1, COUNT(1), DOT(1, 2), COUNT(2))) == 0);
    for (uint8_t i = 0; i < 2; i++) {
        struct state_entry e = { .order = *orders[i], .title = "x" };
        struct buf value CLEANUP(buf_free) = buf(REPLICA_VALUE_MAX);
        CHECK(state_entry_put(&e, &value) == 0);
        CHECK(buf_append(&answer,
                         BYTES(STATE_ENTRY, 32, (uint8_t)(value.len >> 8), (uint8_t)value.len, DOT(1, 1 + i))) == 0);
        CHECK(buf_append(&answer, BYTES(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                        0, 0, 0, 0, 0)) == 0);
        CHECK(buf_append(&answer, buf_slice(&value)) == 0);
    }
    CHECK(buf_append(&answer, BYTES(COUNT(0))) == 0);
    PUT("state", name, BYTES(1, 0), buf_slice(&answer));
}

static void seed_orders(void)
{
    struct order deep = { .count = ORDER_DIGITS_MAX };
    for (size_t i = 0; i < ORDER_DIGITS_MAX; i++)
        deep.digits[i] = UINT32_MAX;
    put_orders("orders-apart", order_at(1), order_at(2));
    put_orders("orders-the-same", order_at(1), order_at(1));
    put_orders("orders-close", (struct order){ 1, { 5 } }, (struct order){ 1, { 6 } });
    put_orders("orders-of-a-run", (struct order){ 3, { 5, 9, 7 } }, (struct order){ 3, { 5, 9, 8 } });
    put_orders("orders-at-the-end-of-a-run", (struct order){ 3, { 5, 9, UINT32_MAX } }, (struct order){ 1, { 6 } });
    put_orders("orders-below", (struct order){ 1, { 5 } }, (struct order){ 2, { 5, 1 } });
    put_orders("orders-deep", (struct order){ 1, { 5 } }, deep);
    put_orders("order-of-zeros", (struct order){ 1, { 5 } }, (struct order){ 2, { 6, 0 } });
    put_orders("order-empty", (struct order){ 1, { 5 } }, (struct order){ 0 });
}

void seed_siblings(void)
{
    seed_state();
    seed_versions();
    seed_orders();
    seed_shelves();
}
