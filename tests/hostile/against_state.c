/* Against what a household's devices share: a sibling that has turned. It may change the state, as any sibling may; what it may not do is make a device read what
 * cannot be read, keep more than the bounds, ask for ever, or stop serving. */
#include <stdlib.h>

#include "base/util.h"
#include "protocol/state_values.h"
#include "stage.h"

static struct line *meet(struct stage *s)
{
    struct line *l = stage_meet_as_member(s);
    if (l != NULL)
        l->hears_state = true;
    return l;
}

static void say_changed(struct line *l, struct slice version)
{
    line_say(l, msg_Type_STATE_CHANGED, 0, msg_StateChanged_fields, &(msg_StateChanged){ 0 }, version);
}

static void say_state(struct line *l, uint32_t request, bool last, struct slice piece)
{
    line_say(l, msg_Type_STATE, request, msg_State_fields, &(msg_State){ .last = last }, piece);
}

/* A version nobody has: of a replica of one's own. */
static const uint8_t news[REPLICA_DOT_BYTES] = { 0x66, [REPLICA_DOT_BYTES - 1] = 9 };

/* The device's question; owned. Its first one may have come before the news. */
static struct heard *asked(struct stage *s, struct line *l)
{
    int64_t end_ms = wire_now_ms() + WIRE_WAIT_MS;
    for (struct heard *h; (h = line_hear(l, end_ms - wire_now_ms())) != NULL; free(h))
        if (h->type == msg_Type_STATE_GET)
            return h;
    stage_complain(s, "the device does not ask for what it lacks");
    return NULL;
}

/* Answered with this: refused whole, and hung up on. */
static const char *answered(struct stage *s, struct slice answer)
{
    struct line *l = meet(s);
    struct heard *h CLEANUP(freep) = l == NULL ? NULL : asked(s, l);
    const char *bad = s->complaint;
    if (h != NULL) {
        say_state(l, h->request, true, answer);
        bad = stage_expect_end(s, l, NULL);
    }
    line_free(l);
    return bad;
}

static int say_item(struct buf *out, uint8_t kind, struct slice key, struct slice value)
{
    int e = buf_put_u32(out, 1);
    if (e == 0)
        e = buf_put_u8(out, kind);
    if (e == 0)
        e = buf_put_u8(out, (uint8_t)key.len);
    if (e == 0)
        e = buf_put_u16(out, (uint16_t)value.len);
    if (e == 0)
        e = buf_append(out, SLICE_ARRAY(news));
    if (e == 0)
        e = buf_append(out, key);
    return e == 0 ? buf_append(out, value) : e;
}

static const char *answered_with_item(struct stage *s, uint8_t kind, struct slice key, struct slice value)
{
    struct buf answer CLEANUP(buf_free) = buf(4096);
    int e = buf_put_u8(&answer, 1);
    if (e == 0)
        e = buf_put_u32(&answer, 1);
    if (e == 0)
        e = buf_append(&answer, SLICE_ARRAY(news));
    if (e == 0)
        e = say_item(&answer, kind, key, value);
    if (e == 0)
        e = buf_put_u32(&answer, 0);
    return e == 0 ? answered(s, buf_slice(&answer)) : stage_complain(s, "out of memory");
}

static const char *an_answer_of_garbage(struct stage *s) { return answered(s, slice("what is this", 12)); }

static const char *an_empty_answer(struct stage *s) { return answered(s, slice(NULL, 0)); }

static const char *a_name_that_acts(struct stage *s)
{
    uint8_t key[PLAYLIST_ID_BYTES] = { 1 };
    return answered_with_item(s, STATE_PLAYLIST, SLICE_ARRAY(key), slice("\1\x1b]0;owned\x07", 12));
}

static const char *a_title_that_is_no_text(struct stage *s)
{
    uint8_t key[2 * ID_BYTES] = { 1 };
    return answered_with_item(s, STATE_WISH, SLICE_ARRAY(key), slice("\0\xc3", 2));
}

static const char *a_kind_that_is_none(struct stage *s)
{
    return answered_with_item(s, 200, slice("key", 3), slice("value", 5));
}

static const char *a_volume_beyond(struct stage *s)
{
    return answered_with_item(s, STATE_SETTING, slice("volume", 6), slice("400", 3));
}

static const char *more_items_than_there_may_be(struct stage *s)
{
    uint8_t head[1 + 4 + REPLICA_DOT_BYTES + 4] = { 1, 0, 0, 0, 1 };
    memcpy(head + 5, news, sizeof(news));
    put_be32(head + sizeof(head) - 4, UINT32_MAX);
    return answered(s, SLICE_ARRAY(head));
}

/* Pieces for ever: it is hung up on before they are more than an answer may be. */
static const char *pieces_without_an_end(struct stage *s)
{
    static const uint8_t piece[32 * 1024];
    struct line *l = meet(s);
    struct heard *h CLEANUP(freep) = l == NULL ? NULL : asked(s, l);
    const char *bad = s->complaint;
    if (h != NULL) {
        for (unsigned i = 0; i < 2 * REPLICA_ANSWER_BYTES_MAX / sizeof(piece) && l->peer != NULL; i++) {
            say_state(l, h->request, false, SLICE_ARRAY(piece));
            line_flush(l, WIRE_WAIT_MS);
        }
        bad = stage_expect_end(s, l, NULL);
    }
    line_free(l);
    return bad;
}

static const char *closed_after(struct stage *s, uint16_t type, uint32_t request, const pb_msgdesc_t *fields,
                                const void *message, struct slice tail)
{
    struct line *l = meet(s);
    if (l == NULL)
        return s->complaint;
    line_say(l, type, request, fields, message, tail);
    const char *bad = stage_expect_end(s, l, NULL);
    line_free(l);
    return bad;
}

static const char *a_question_with_garbage(struct stage *s)
{
    return closed_after(s, msg_Type_STATE_GET, 5, msg_StateGet_fields, &(msg_StateGet){ 0 },
                        slice(news, sizeof(news) - 1));
}

static const char *news_of_garbage(struct stage *s)
{
    uint8_t twice[2 * REPLICA_DOT_BYTES];
    memcpy(twice, news, sizeof(news));
    memcpy(twice + sizeof(news), news, sizeof(news));
    return closed_after(s, msg_Type_STATE_CHANGED, 0, msg_StateChanged_fields, &(msg_StateChanged){ 0 },
                        SLICE_ARRAY(twice));
}

/* News, again and again: it asks now and then, and goes on serving. */
static const char *news_without_an_end(struct stage *s)
{
    struct line *l = meet(s);
    unsigned questions = 0;
    if (l == NULL)
        return s->complaint;
    int64_t began_ms = wire_now_ms();
    for (unsigned i = 0; i < 2000; i++)
        say_changed(l, SLICE_ARRAY(news));
    while (wire_now_ms() - began_ms < 1500) {
        struct heard *h CLEANUP(freep) = line_hear(l, 100);
        if (h == NULL || h->type != msg_Type_STATE_GET)
            continue;
        questions++;
        say_changed(l, SLICE_ARRAY(news));
        line_say(l, msg_Type_REFUSAL, h->request, msg_Refusal_fields,
                 &(msg_Refusal){ .code = "internal", .text = "No." }, slice(NULL, 0));
    }
    const char *bad = questions > 60  ? stage_complain(s, "it asked %u times in 1.5 seconds", questions)
                      : questions < 2 ? stage_complain(s, "it asked %u times", questions)
                                      : stage_expect_alive(s, l);
    line_free(l);
    return bad;
}

/* Questions, again and again: answered so often, then refused. */
static const char *questions_without_an_end(struct stage *s)
{
    struct line *l = meet(s);
    unsigned refused = 0;
    if (l == NULL)
        return s->complaint;
    for (uint32_t i = 0; i < 1000; i++)
        line_say(l, msg_Type_STATE_GET, 5 + 2 * i, msg_StateGet_fields, &(msg_StateGet){ 0 }, slice(NULL, 0));
    line_flush(l, WIRE_WAIT_MS);
    const char *bad = stage_expect_alive(s, l);
    for (struct heard *h; bad == NULL && (h = l->first) != NULL;) {
        h = line_hear(l, 0);
        refused += h->type == msg_Type_REFUSAL;
        free(h);
    }
    if (bad == NULL && refused < 500)
        bad = stage_complain(s, "only %u of 1000 questions were refused", refused);
    line_free(l);
    return bad;
}

/* It claims to have seen more of the device's own changes than there are: the device goes on under another ID, and serves. */
static const char *claims_to_know_more(struct stage *s)
{
    struct line *l = meet(s);
    struct heard *h CLEANUP(freep) = l == NULL ? NULL : asked(s, l);
    const char *bad = s->complaint;
    if (h != NULL) {
        uint8_t *version CLEANUP(freep) = malloc(h->tail.len + 1);
        bad = version == NULL ? stage_complain(s, "out of memory") : NULL;
        for (size_t at = 0; version != NULL && at + REPLICA_DOT_BYTES <= h->tail.len; at += REPLICA_DOT_BYTES) {
            memcpy(version + at, h->tail.data + at, REPLICA_ID_BYTES);
            put_be64(version + at + REPLICA_ID_BYTES, REPLICA_COUNTER_MAX);
        }
        for (unsigned i = 0; version != NULL && i < 50; i++)
            say_changed(l, slice(version, h->tail.len));
        if (bad == NULL)
            bad = stage_expect_alive(s, l);
    }
    line_free(l);
    return bad;
}

/* What it has, asked again and again: all is answered, one question after the other, and no faster than 3,900 a second. */
static const char *what_it_has_without_an_end(struct stage *s)
{
    const unsigned questions = 4000;
    unsigned answers = 0;
    struct line *l = meet(s);
    if (l == NULL)
        return s->complaint;
    int64_t began_ms = wire_now_ms();
    for (uint32_t i = 0; i < questions; i++)
        LINE_SAY(l, msg_Type_SHELF_GET, 5 + 2 * i, msg_ShelfGet,
                 (&(msg_ShelfGet){ .count = 16, .skip = UINT32_MAX, .has_query = true, .query = "e" }));
    for (struct heard *h; answers < questions && (h = line_hear(l, WIRE_WAIT_MS)) != NULL; free(h))
        answers += h->type == msg_Type_SHELF;
    int64_t took_ms = wire_now_ms() - began_ms;
    const char *bad = answers < questions            ? stage_complain(s, "%u of %u are answered", answers, questions)
                      : took_ms < questions / 4 - 50 ? stage_complain(s, "%u in %d ms", answers, (int)took_ms)
                                                     : stage_expect_alive(s, l);
    line_free(l);
    return bad;
}

#define MEMBER(function)          \
    {                             \
#function, function, true \
    }
static const struct hostile_case members[] = {
    MEMBER(an_answer_of_garbage),
    MEMBER(an_empty_answer),
    MEMBER(a_name_that_acts),
    MEMBER(a_title_that_is_no_text),
    MEMBER(a_kind_that_is_none),
    MEMBER(a_volume_beyond),
    MEMBER(more_items_than_there_may_be),
    MEMBER(pieces_without_an_end),
    MEMBER(a_question_with_garbage),
    MEMBER(news_of_garbage),
    MEMBER(news_without_an_end),
    MEMBER(questions_without_an_end),
    MEMBER(what_it_has_without_an_end),
    MEMBER(claims_to_know_more),
};
const struct hostile_cases against_state = { "state", members, ARRAY_COUNT(members) };
