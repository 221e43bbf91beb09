/* Against the room that a household's shared state has: a sibling that fills it with what nobody sees, or with what all see, so that nobody else can write. What each case
 * sends can be read, and is answered for; whether others can still write is for test_hostile.py. */
#include <stdlib.h>

#include "base/util.h"
#include "protocol/state_values.h"
#include "stage.h"

#define NEARLY_ALL (REPLICA_ITEMS_MAX - 1)
#define PIECE_BYTES (32u * 1024)

static void fill(struct buf *out, uint64_t *seed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        if (buf_put_u8(out, (uint8_t)(*seed >> 56)) != 0)
            abort();
    }
}

static void put(int outcome)
{
    if (outcome != 0)
        abort();
}

/* A number first, so that they rise. */
static void put_key(struct buf *out, uint32_t number, size_t len, uint64_t *seed)
{
    put(buf_put_u32(out, number));
    fill(out, seed, len - 4);
}

/* Of this run alone: what an earlier one said of its own is known. */
static void put_replica(struct buf *out, const struct stage *s, bool own, uint32_t number, uint32_t run)
{
    uint8_t id[REPLICA_ID_BYTES] = { 0x66 };
    if (own)
        memcpy(id, s->wire.id.bytes, REPLICA_AUTHOR_BYTES);
    else
        put_be32(id, number + 1);
    put_be32(id + REPLICA_AUTHOR_BYTES, number + 1);
    put_be32(id + REPLICA_AUTHOR_BYTES + 4, run);
    put(buf_append(out, SLICE_ARRAY(id)));
}

static void say_answer(struct line *l, uint32_t request, struct slice answer)
{
    for (size_t at = 0; at < answer.len && l->peer != NULL; at += PIECE_BYTES) {
        size_t len = size_min(PIECE_BYTES, answer.len - at);
        line_say(l, msg_Type_STATE, request, msg_State_fields, &(msg_State){ .last = at + len == answer.len },
                 slice_sub(answer, at, len));
        line_flush(l, WIRE_WAIT_MS);
    }
}

/* Met, and asked: the device's question is owned. NULL: complained. */
static struct heard *asked(struct stage *s, struct line **l)
{
    *l = stage_meet_as_member(s);
    if (*l == NULL)
        return NULL;
    (*l)->hears_state = true;
    int64_t end_ms = wire_now_ms() + WIRE_WAIT_MS;
    for (struct heard *h; (h = line_hear(*l, end_ms - wire_now_ms())) != NULL; free(h))
        if (h->type == msg_Type_STATE_GET)
            return h;
    stage_complain(s, "the device does not ask");
    return NULL;
}

static const char *told(struct stage *s, struct slice answer)
{
    struct line *l;
    struct heard *h CLEANUP(freep) = asked(s, &l);
    const char *bad = s->complaint;
    if (h != NULL) {
        say_answer(l, h->request, answer);
        bad = stage_expect_alive(s, l);
    }
    line_free(l);
    return bad;
}

/* A difference: that many items of a kind, by one replica, or by as many as there are items. */
struct lot {
    uint8_t kind;
    size_t count, replicas;
    bool own; /* written under the member's own name */
    void (*item)(struct buf *key, struct buf *value, uint32_t number, uint64_t *seed);
};

static const char *send_lot(struct stage *s, const struct lot *lot)
{
    struct buf answer CLEANUP(buf_free) = buf(REPLICA_ANSWER_BYTES_MAX);
    uint64_t seed = (uint64_t)wire_now_ms() | 1;
    uint32_t run = (uint32_t)seed;
    put(buf_put_u8(&answer, 1));
    put(buf_put_u32(&answer, (uint32_t)lot->replicas));
    for (uint32_t i = 0; i < lot->replicas; i++) {
        put_replica(&answer, s, lot->own, i, run);
        put(buf_put_u64(&answer, lot->replicas == 1 ? u64_max(lot->count, 1) : 1));
    }
    put(buf_put_u32(&answer, (uint32_t)lot->count));
    for (uint32_t i = 0; i < lot->count; i++) {
        struct buf key CLEANUP(buf_free) = buf(REPLICA_KEY_MAX), value CLEANUP(buf_free) = buf(REPLICA_VALUE_MAX);
        lot->item(&key, &value, i, &seed);
        put(buf_put_u8(&answer, lot->kind));
        put(buf_put_u8(&answer, (uint8_t)key.len));
        put(buf_put_u16(&answer, (uint16_t)value.len));
        put_replica(&answer, s, lot->own, lot->replicas == 1 ? 0 : i, run);
        put(buf_put_u64(&answer, lot->replicas == 1 ? i + 1 : 1));
        put(buf_append(&answer, buf_slice(&key)));
        put(buf_append(&answer, buf_slice(&value)));
    }
    put(buf_put_u32(&answer, 0));
    return told(s, buf_slice(&answer));
}

static void put_entry(struct buf *key, struct buf *value, uint32_t number, uint64_t *seed)
{
    put_key(key, number, 2 * PLAYLIST_ID_BYTES, seed);
    fill(value, seed, ID_BYTES);
    put(buf_append(value, slice("\1\0\0\0\5", 5)));
}

static void put_position(struct buf *key, struct buf *value, uint32_t number, uint64_t *seed)
{
    put_key(key, number, ID_BYTES, seed);
    put(state_position_put(5000, value));
}

static void put_setting(struct buf *key, struct buf *value, uint32_t number, uint64_t *seed)
{
    char name[] = "zaaaa";
    (void)seed;
    for (size_t i = 4; i > 0; i--, number /= 26)
        name[i] = (char)('a' + number % 26);
    put(buf_append(key, slice_str(name)));
    put(buf_append(value, slice_str("x")));
}

static void put_volume(struct buf *key, struct buf *value, uint32_t number, uint64_t *seed)
{
    (void)number;
    (void)seed;
    put(buf_append(key, slice_str("volume")));
    put(buf_append(value, slice_str("50")));
}

static void put_wish(struct buf *key, struct buf *value, uint32_t number, uint64_t *seed)
{
    put_key(key, number, 2 * ID_BYTES, seed);
    put(state_wish_put(false, "Buy this", value));
}

static const char *replicas_that_nobody_has(struct stage *s)
{
    return send_lot(s, &(struct lot){ .replicas = REPLICA_IDS_MAX - 1 });
}

static const char *replicas_of_its_own(struct stage *s)
{
    return send_lot(s, &(struct lot){ .replicas = REPLICA_IDS_MAX - 1, .own = true });
}

static const char *entries_of_no_playlist(struct stage *s)
{
    return send_lot(s, &(struct lot){ STATE_ENTRY, NEARLY_ALL, 1, true, put_entry });
}

static const char *settings_that_nobody_knows(struct stage *s)
{
    return send_lot(s, &(struct lot){ STATE_SETTING, NEARLY_ALL, 1, true, put_setting });
}

static const char *a_setting_many_times(struct stage *s)
{
    return send_lot(s, &(struct lot){ STATE_SETTING, NEARLY_ALL, 1, true, put_volume });
}

static const char *positions_of_nothing(struct stage *s)
{
    return send_lot(s, &(struct lot){ STATE_POSITION, NEARLY_ALL, 1, true, put_position });
}

static const char *wishes_without_an_end(struct stage *s)
{
    return send_lot(s, &(struct lot){ STATE_WISH, REPLICA_ITEMS_MAX / 2, 1, true, put_wish });
}

static const char *wishes_of_many_that_are_none(struct stage *s)
{
    return send_lot(s, &(struct lot){ STATE_WISH, REPLICA_IDS_MAX - 1, REPLICA_IDS_MAX - 1, false, put_wish });
}

/* It says to one device that it has seen more of every other's changes than there are. */
static const char *claims_for_others(struct stage *s)
{
    struct line *l;
    struct heard *h CLEANUP(freep) = asked(s, &l);
    struct buf version CLEANUP(buf_free) = buf(REPLICA_VERSION_BYTES_MAX), answer CLEANUP(buf_free) = buf(4096 * 16);
    const char *bad = s->complaint;
    if (h != NULL) {
        for (size_t at = 0; at + REPLICA_DOT_BYTES <= h->tail.len; at += REPLICA_DOT_BYTES) {
            const uint8_t *id = h->tail.data + at;
            if (memcmp(id, peer_id(l->peer)->bytes, REPLICA_AUTHOR_BYTES) == 0)
                continue;
            put(buf_append(&version, slice(id, REPLICA_ID_BYTES)));
            put(buf_put_u64(&version, REPLICA_COUNTER_MAX));
        }
        put(buf_put_u8(&answer, 1));
        put(buf_put_u32(&answer, (uint32_t)(version.len / REPLICA_DOT_BYTES)));
        put(buf_append(&answer, buf_slice(&version)));
        put(buf_put_u32(&answer, 0));
        put(buf_put_u32(&answer, 0));
        say_answer(l, h->request, buf_slice(&answer));
        bad = stage_expect_alive(s, l);
    }
    line_free(l);
    return bad;
}

#define LINES 30
#define QUESTIONS 20

static void ask(struct line *l, uint32_t request)
{
    line_say(l, msg_Type_STATE_GET, request, msg_StateGet_fields, &(msg_StateGet){ 0 }, slice(NULL, 0));
}

/* It asks on many connections for everything, and reads nothing of it. What that costs the device is for test_hostile.py, which looks while this waits. */
static const char *asks_and_does_not_read(struct stage *s)
{
    struct line *lines[LINES] = { NULL };
    const char *bad = NULL;
    for (size_t i = 0; bad == NULL && i < LINES; i++) {
        lines[i] = stage_meet_as_member(s);
        bad = lines[i] == NULL ? s->complaint : NULL;
        if (bad == NULL && lines[i]->peer != NULL)
            peer_pause(lines[i]->peer);
        for (uint32_t n = 0; bad == NULL && n < QUESTIONS && lines[i]->peer != NULL; n++) {
            ask(lines[i], 5 + 2 * n);
            line_flush(lines[i], 20);
        }
    }
    for (int64_t end_ms = wire_now_ms() + 1500; bad == NULL && wire_now_ms() < end_ms;)
        wire_turn(&s->wire);
    for (size_t i = 0; i < LINES; i++)
        line_free(lines[i]);
    return bad;
}

/* It asks for everything as often as it may, while the device sends 65536 bytes a second at most. */
static const char *asks_for_more_than_is_sent(struct stage *s)
{
    struct line *l = stage_meet_as_member(s);
    if (l == NULL)
        return s->complaint;
    l->hears_state = true;
    uint64_t bytes = 0, most = (uint64_t)65536 * 8;
    uint32_t request = 5;
    int64_t end_ms = wire_now_ms() + 4000;
    ask(l, request);
    while (wire_now_ms() < end_ms && l->peer != NULL) {
        struct heard *h CLEANUP(freep) = line_hear(l, 100);
        msg_State m;
        if (h == NULL)
            continue;
        if (h->type == msg_Type_STATE)
            bytes += h->tail.len;
        if (h->type == msg_Type_REFUSAL ||
            (h->type == msg_Type_STATE && CODEC_DECODE(msg_State, h->message, &m) == 0 && m.last))
            ask(l, request += 2);
    }
    const char *bad = bytes > most ? stage_complain(s, "%llu bytes in 4 seconds", (unsigned long long)bytes)
                      : bytes == 0 ? stage_complain(s, "nothing at all was sent")
                                   : stage_expect_alive(s, l);
    line_free(l);
    return bad;
}

#define MEMBER(function)          \
    {                             \
#function, function, true \
    }
static const struct hostile_case members[] = {
    MEMBER(wishes_without_an_end),  MEMBER(replicas_that_nobody_has),     MEMBER(replicas_of_its_own),
    MEMBER(entries_of_no_playlist), MEMBER(settings_that_nobody_knows),   MEMBER(a_setting_many_times),
    MEMBER(positions_of_nothing),   MEMBER(wishes_of_many_that_are_none), MEMBER(claims_for_others),
    MEMBER(asks_and_does_not_read), MEMBER(asks_for_more_than_is_sent),
};
const struct hostile_cases against_state_room = { "state-room", members, ARRAY_COUNT(members) };
