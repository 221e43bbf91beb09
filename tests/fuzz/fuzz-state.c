/* What a sibling says about the household's state: versions and answers (replica.h) with values (state_values.h).
 * Promises: whatever is refused changes nothing; what is accepted leaves valid values only, a version that does not fall, and a replica whose answer a new
 * one takes and then has the same; the same answer again changes nothing.
 * Input: 0, then a version; 1, then an answer; else choices: changes on two replicas, then edits of the answer of one to the other, with `first byte & 1` a whole
 * one. */
#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "protocol/state_values.h"

static void replica_start(struct replica *r, uint8_t name)
{
    uint8_t id[REPLICA_ID_BYTES] = { name };
    replica_init(r, id);
}

static void put(struct replica *r, uint8_t kind, struct slice key, struct slice value)
{
    struct replica_change c = replica_change(r);
    CHECK(value.data == NULL || state_is_valid(kind, key, value));
    CHECK(replica_put(r, &c, kind, key, value, NULL) == 0);
    CHECK(replica_make_room(r, &c) == 0);
    replica_take(r, &c);
}

static void change(struct replica *r, uint8_t what)
{
    struct buf value CLEANUP(buf_free) = buf(REPLICA_VALUE_MAX);
    uint8_t key[64] = { (uint8_t)(what & 3) };
    struct state_entry e = { .order = order_at(what), .title = "A title" };
    bool deletes = what & 4;
    switch (what >> 5) {
    case 0:
        put(r, STATE_SETTING, slice_str("volume"), slice_str(deletes ? "10" : "20"));
        return;
    case 1:
        CHECK(state_position_put((uint64_t)what + 1, &value) == 0);
        put(r, STATE_POSITION, slice(key, 32), deletes ? slice(NULL, 0) : buf_slice(&value));
        return;
    case 2:
        CHECK(state_wish_put(what & 8, "A title", &value) == 0);
        put(r, STATE_WISH, slice(key, 64), deletes ? slice(NULL, 0) : buf_slice(&value));
        return;
    case 3:
        CHECK(state_playlist_put(what & 8, "Evening", &value) == 0);
        put(r, STATE_PLAYLIST, slice(key, 16), deletes ? slice(NULL, 0) : buf_slice(&value));
        return;
    default:
        CHECK(state_entry_put(&e, &value) == 0);
        key[16] = what & 31;
        put(r, STATE_ENTRY, slice(key, 32), deletes ? slice(NULL, 0) : buf_slice(&value));
    }
}

static void answer_to(const struct replica *r, const struct replica *asking, struct buf *answer)
{
    struct buf version CLEANUP(buf_free) = buf(REPLICA_VERSION_BYTES_MAX);
    CHECK(replica_version(asking, &version) == 0);
    CHECK(replica_answer(r, buf_slice(&version), false, answer) == 0);
}

static void same(const struct replica *a, const struct replica *b)
{
    CHECK(a->count == b->count && a->bytes == b->bytes && a->seen.count == b->seen.count);
    for (size_t i = 0; i < a->count; i++)
        CHECK(dot_equal(&a->items[i]->dot, &b->items[i]->dot));
    for (size_t i = 0; i < a->seen.count; i++)
        CHECK(dot_equal(&a->seen.list[i], &b->seen.list[i]));
}

static void look(const struct replica *r)
{
    struct state_entry *entries;
    size_t count;
    uint8_t playlist[PLAYLIST_ID_BYTES] = { 0 };
    for (size_t i = 0; i < r->count; i++) {
        CHECK(state_is_valid(r->items[i]->kind, replica_key(r->items[i]), replica_value(r->items[i])));
        CHECK(r->items[i]->dot.counter <= dots_of(&r->seen, r->items[i]->dot.replica));
    }
    CHECK(state_entries(r, playlist, &entries, &count) == 0);
    for (size_t i = 1; i < count; i++)
        CHECK(order_compare(&entries[i - 1].order, &entries[i].order) <= 0);
    fuzz_touch(entries, count * sizeof(*entries));
    free(entries);
}

static int take(struct replica *r, struct slice answer)
{
    struct replica_change c;
    uint64_t own = r->self.counter;
    int e = replica_read(r, answer, state_is_valid, &c);
    CHECK(e == 0 || replica_change_is_empty(&c));
    CHECK(r->self.counter == own);
    if (e == 0 && replica_make_room(r, &c) == 0)
        replica_take(r, &c);
    replica_change_free(&c);
    return e;
}

/* Another device hears of it all. */
static void pass_on(const struct replica *r)
{
    struct replica fresh;
    struct buf answer CLEANUP(buf_free) = buf(REPLICA_ANSWER_BYTES_MAX);
    replica_start(&fresh, 200);
    answer_to(r, &fresh, &answer);
    int e = take(&fresh, buf_slice(&answer));
    CHECK(e == 0 || (e == REPLICA_BEHIND && dots_of(&r->seen, fresh.self.replica) > 0));
    if (e == 0)
        same(r, &fresh);
    replica_free(&fresh);
}

static void try_answer(struct replica *r, struct slice answer)
{
    size_t before = r->seen.count, bytes = r->bytes;
    if (take(r, answer) != 0) {
        CHECK(r->seen.count == before && r->bytes == bytes);
        return;
    }
    struct replica_change again;
    CHECK(r->seen.count >= before);
    look(r);
    pass_on(r);
    CHECK(replica_read(r, answer, state_is_valid, &again) == 0);
    CHECK(again.added_count == 0 && again.seen.count == 0);
    replica_change_free(&again);
}

static void try_version(const struct replica *r, struct slice version)
{
    struct buf answer CLEANUP(buf_free) = buf(REPLICA_ANSWER_BYTES_MAX);
    int e = replica_answer(r, version, false, &answer);
    CHECK(e == 0 || e == REPLICA_MALFORMED);
    CHECK((replica_lacks(r, version) < 0) == (e != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    struct replica a, b;
    struct buf answer CLEANUP(buf_free) = buf(REPLICA_ANSWER_BYTES_MAX);
    uint8_t first = input_u8(&in), steps = input_u8(&in) & 31;
    replica_start(&a, 1);
    replica_start(&b, 2);
    a.log_max = first & 1 ? 0 : REPLICA_LOG_MAX;
    for (uint8_t i = 0; first > 1 && i < steps; i++) {
        uint8_t what = input_u8(&in);
        change(i % 2 == 0 ? &a : &b, what);
        if (i == steps / 2) {
            answer_to(&a, &b, &answer);
            CHECK(take(&b, buf_slice(&answer)) == 0);
        }
    }
    buf_clear(&answer);
    if (first <= 1) {
        change(&b, 9);
        CHECK(buf_append(&answer, input_rest(&in)) == 0);
    } else {
        answer_to(&a, &b, &answer);
        for (unsigned edits = input_u8(&in) & 3; edits > 0; edits--)
            input_edit(&in, &answer);
    }
    uint8_t *exact CLEANUP(freep) = input_copy(buf_slice(&answer));
    if (first == 0)
        try_version(&b, slice(exact, answer.len));
    else
        try_answer(&b, slice(exact, answer.len));
    replica_free(&a);
    replica_free(&b);
    return 0;
}
