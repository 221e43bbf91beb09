/* What a sibling says about the household's state: versions and answers (replica.h) with values (state_values.h).
 * Promises: whatever is refused changes nothing; what is accepted leaves valid values only, a version that does not fall, and a replica whose answer a new
 * one takes and then has the same; the same answer again changes nothing; there is room between two entries of a list, unless they lie at one place; who takes
 * a new ID loses nothing.
 * Input: 0, then a version; 1, then an answer; else choices: changes on two replicas, then edits of the answer of one to the other. Of the first byte: 1, no
 * log is kept, so that answers are whole; 4, whole answers are asked for; 8, who answers takes a new ID first. */
#include <stdlib.h>

#include "base/text.h"
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

/* An entry between two others of its list. The two may lie at one place when they come from two devices. */
static struct order between(const struct replica *r, const uint8_t playlist[PLAYLIST_ID_BYTES], uint8_t what)
{
    struct state_entry *entries;
    size_t count;
    struct order order;
    CHECK(state_entries(r, playlist, &entries, &count) == 0);
    size_t at = (what & 31) % (count + 1);
    const struct order *after = at > 0 ? &entries[at - 1].order : NULL,
                       *before = at < count ? &entries[at].order : NULL;
    int e = order_between(after, before, 1u + (what >> 7), &order);
    CHECK(e == 0 || (e == ORDER_FULL && after && before));
    if (e == 0)
        CHECK((!after || order_compare(after, &order) < 0) && (!before || order_compare(&order, before) < 0));
    else
        order = order_at((uint32_t)count);
    free(entries);
    return order;
}

static void change_setting(struct replica *r, uint8_t what)
{
    static const struct {
        const char *name, *value;
    } settings[] = { { "volume", "20" }, { "repeat", "all" }, { "window", "640x480" },    { "x-later", "anything" },
                     { "volume", "10" }, { "repeat", "off" }, { "window", "fullscreen" }, { "volume", NULL } };
    const char *name = settings[what & 7].name, *value = settings[what & 7].value;
    put(r, STATE_SETTING, slice_str(name), value ? slice_str(value) : slice(NULL, 0));
}

static void change(struct replica *r, uint8_t what)
{
    struct buf value CLEANUP(buf_free) = buf(REPLICA_VALUE_MAX);
    uint8_t key[64] = { (uint8_t)(what & 3) };
    struct state_entry e = { .order = order_at(what), .title = "A title" };
    bool deletes = what & 4;
    switch (what >> 5) {
    case 0:
        change_setting(r, what);
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
        if (what >> 5 > 4)
            e.order = between(r, key, what);
        CHECK(state_entry_put(&e, &value) == 0);
        key[16] = what & 31;
        put(r, STATE_ENTRY, slice(key, 32), deletes ? slice(NULL, 0) : buf_slice(&value));
    }
}

static void answer_to(const struct replica *r, const struct replica *asking, bool whole, struct buf *answer)
{
    struct buf version CLEANUP(buf_free) = buf(REPLICA_VERSION_BYTES_MAX);
    CHECK(replica_version(asking, &version) == 0);
    CHECK(replica_answer(r, buf_slice(&version), whole, answer) == 0);
}

static void same(const struct replica *a, const struct replica *b)
{
    CHECK(a->count == b->count && a->bytes == b->bytes && a->seen.count == b->seen.count);
    for (size_t i = 0; i < a->count; i++)
        CHECK(dot_equal(&a->items[i]->dot, &b->items[i]->dot));
    for (size_t i = 0; i < a->seen.count; i++)
        CHECK(dot_equal(&a->seen.list[i], &b->seen.list[i]));
}

static void look_at_setting(const struct replica *r, const struct replica_item *item)
{
    char name[STATE_SETTING_NAME_BYTES] = { 0 }, value[STATE_SETTING_BYTES];
    memcpy(name, item->bytes, item->key_len);
    state_setting_of(item, value);
    CHECK(text_is_plain(slice_str(value)) && state_setting(r, name));
    CHECK(!state_setting_is_known(name) || state_setting_is_valid(name, value));
}

/* A name that was given is taken before one that was repeated. */
static void look_at_playlist(const struct replica *r, const struct replica_item *item)
{
    char name[STATE_NAME_BYTES];
    const struct replica_item *taken = state_playlist(r, item->bytes);
    bool renamed = state_playlist_of(item, name);
    CHECK(text_is_plain(slice_str(name)) && taken);
    CHECK(state_playlist_of(taken, name) || !renamed);
}

static void look_at(const struct replica *r, const struct replica_item *item)
{
    char title[STATE_TITLE_BYTES];
    struct id content, distributor;
    switch (item->kind) {
    case STATE_SETTING:
        look_at_setting(r, item);
        break;
    case STATE_POSITION:
        CHECK(state_position_of(item) > 0 && state_position_of(item) <= STATE_POSITION_MAX);
        break;
    case STATE_WISH:
        (void)state_wish_of(item, &content, &distributor, title);
        CHECK(text_is_plain(slice_str(title)) && id_equal(&content, item->bytes));
        break;
    case STATE_PLAYLIST:
        look_at_playlist(r, item);
        break;
    }
}

/* Whatever orders a sibling has given to two entries that follow each other. */
static void look_between(const struct order *after, const struct order *before)
{
    struct order order;
    uint32_t run = after && after->count > 1 ? after->digits[after->count - 2] : 1;
    int e = order_between(after, before, run > 0 ? run : 1, &order);
    CHECK(e == 0 || e == ORDER_FULL);
    if (e == 0)
        CHECK((!after || order_compare(after, &order) < 0) && (!before || order_compare(&order, before) < 0) &&
              order.digits[order.count - 1] != 0);
    if (after && before)
        CHECK(order_between(before, after, 1, &order) == ORDER_FULL); /* the wrong way */
}

static void look(const struct replica *r)
{
    struct state_entry *entries;
    size_t count;
    uint8_t playlist[PLAYLIST_ID_BYTES] = { 0 };
    for (size_t i = 0; i < r->count; i++) {
        CHECK(state_is_valid(r->items[i]->kind, replica_key(r->items[i]), replica_value(r->items[i])));
        CHECK(r->items[i]->dot.counter <= dots_of(&r->seen, r->items[i]->dot.replica));
        look_at(r, r->items[i]);
    }
    CHECK(state_entries(r, playlist, &entries, &count) == 0);
    for (size_t i = 1; i < count; i++)
        CHECK(order_compare(&entries[i - 1].order, &entries[i].order) <= 0);
    for (size_t i = 0; i <= count; i++)
        look_between(i > 0 ? &entries[i - 1].order : NULL, i < count ? &entries[i].order : NULL);
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
    answer_to(r, &fresh, false, &answer);
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

/* Also of the changes that no other device has heard of yet. */
static void take_new_id(struct replica *r, uint8_t told)
{
    const uint8_t id[REPLICA_ID_BYTES] = { 3 };
    struct replica_change c;
    size_t count = r->count, bytes = r->bytes;
    CHECK(replica_rename(r, id, told, &c) == 0 && replica_make_room(r, &c) == 0);
    replica_take(r, &c);
    CHECK(memcmp(r->self.replica, id, sizeof(id)) == 0 && r->count == count && r->bytes == bytes);
    look(r);
    pass_on(r);
}

static void try_version(struct replica *r, struct slice version)
{
    struct buf answer CLEANUP(buf_free) = buf(REPLICA_ANSWER_BYTES_MAX);
    int e = replica_answer(r, version, false, &answer);
    CHECK(e == 0 || e == REPLICA_MALFORMED);
    CHECK((replica_lacks(r, version) < 0) == (e != 0));
    uint64_t of_ours = 0;
    int told = replica_told(r, version, &of_ours);
    CHECK(told == 0 || told == REPLICA_BEHIND || (told == -EINVAL && e != 0));
    CHECK(told != 0 || (e == 0 && of_ours <= r->self.counter && r->told >= of_ours));
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
            answer_to(&a, &b, false, &answer);
            CHECK(take(&b, buf_slice(&answer)) == 0);
        }
    }
    buf_clear(&answer);
    if (first <= 1) {
        change(&b, 9);
        CHECK(buf_append(&answer, input_rest(&in)) == 0);
    } else {
        uint8_t told = first & 8 ? input_u8(&in) : 0;
        if (first & 8)
            take_new_id(&a, told);
        answer_to(&a, &b, first & 4, &answer);
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
