/* The greeting's part about restored vaults, from WELCOME with a standing on: each step, each fault at it. */
#include "protocol/standing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "protocol/greet.h"

#define NOW 1000

static const char keyset[] = "a keyset", standing[] = "a standing", page[] = "a page";
static msg_Present statement;

static void expect(struct greet *g, enum greet_action_kind kind, const char *message)
{
    struct greet_action a = greet_next(g);
    assert_int_equal(a.kind, kind);
    assert_true(message == NULL || slice_equal(a.message, slice_str(message)));
    assert_int_equal(greet_next(g).kind, GREET_WAIT); /* each once */
}

static void expect_failure(struct greet *g, enum reason why)
{
    struct greet_action a = greet_next(g);
    assert_int_equal(a.kind, GREET_HANG_UP);
    assert_int_equal(a.why, why);
    assert_int_equal(greet_next(g).kind, GREET_WAIT);
}

static void answer(struct greet *g, uint16_t type, const pb_msgdesc_t *fields, const void *message, const char *tail)
{
    struct buf bytes CLEANUP(buf_free) = buf(FRAME_MESSAGE_MAX);
    assert_int_equal(codec_encode(&bytes, fields, message), 0);
    struct frame f = { type, 1, buf_slice(&bytes), tail ? slice_str(tail) : slice(NULL, 0) };
    greet_reply(g, &f, REASON_NONE, NOW);
}

static void refuse(struct greet *g, enum reason why)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, why, NULL);
    answer(g, msg_Type_REFUSAL, msg_Refusal_fields, &refusal, NULL);
}

static const char next_standing[] = "the next standing";

static void presented(struct greet *g)
{
    msg_Presented m = msg_Presented_init_zero;
    assert_int_equal(CODEC_SET_BYTES(m.standing, slice_str(next_standing)), 0);
    answer(g, msg_Type_PRESENTED, msg_Presented_fields, &m, NULL);
}

static void welcome(struct greet *g, uint64_t session, bool has_standing)
{
    msg_Welcome w = { .session = session, .has_standing = has_standing };
    assert_int_equal(CODEC_SET_BYTES(w.standing, slice_str(standing)), 0);
    answer(g, msg_Type_WELCOME, msg_Welcome_fields, &w, NULL);
    expect(g, GREET_CHECK_TIME, "");
    greet_timed(g);
}

/* HELLO is sent. These welcomes have neither time nor login in them. */
static void bring_to_hello(struct greet *g)
{
    struct frame f = { msg_Type_KEYSET, 0, slice(NULL, 0), slice_str(keyset) };
    greet_init(g, 42, NOW);
    assert_true(greet_frame(g, &f));
    expect(g, GREET_CHECK_KEYSET, NULL);
    greet_checked(g, REASON_NONE, NULL, NOW);
    expect(g, GREET_SEND, NULL);
}

static void page_came(struct greet *g)
{
    answer(g, msg_Type_CATCH_UP, msg_CatchUp_fields, &(msg_CatchUp){ 0 }, page);
    expect(g, GREET_TAKE_PAGE, page);
}

static void bring_to(struct greet *g, enum greet_state state)
{
    bring_to_hello(g);
    welcome(g, 7, true);
    expect(g, GREET_CHECK_STANDING, standing);
    if (state == GREET_STANDING)
        return;
    greet_stood(g, &statement, state == GREET_PRESENTING, NOW);
    expect(g, state == GREET_PRESENTING ? GREET_SEND_STATEMENT : GREET_SEND_CATCH_UP, NULL);
    if (state == GREET_CATCHING)
        page_came(g);
    assert_int_equal(g->state, state);
}

static void test_a_current_vault(void **state)
{
    (void)state;
    struct greet g;
    bring_to_hello(&g);
    welcome(&g, 7, true);
    expect(&g, GREET_CHECK_STANDING, standing);
    greet_stood(&g, &statement, true, NOW);
    struct greet_action a = greet_next(&g);
    assert_int_equal(a.kind, GREET_SEND_STATEMENT);
    msg_Present sent;
    assert_int_equal(CODEC_DECODE(msg_Present, a.message, &sent), 0);
    assert_true(slice_equal(CODEC_BYTES(sent.statement), CODEC_BYTES(statement.statement)));
    presented(&g);
    expect(&g, GREET_DONE, NULL);
    assert_true(g.presented && !g.behind && !g.caught_up && !greet_is_behind(&g));
    assert_true(slice_equal(CODEC_BYTES(g.welcome.standing), slice_str(next_standing))); /* for the next statement */
    greet_deinit(&g);
}

/* Neither a distributor that says nothing of it, nor a device that is not known there. */
static void test_nothing_to_stand_to(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct greet g;
        bring_to_hello(&g);
        welcome(&g, i == 0 ? 7 : 0, i != 0);
        expect(&g, GREET_DONE, NULL);
        assert_false(g.presented);
        greet_deinit(&g);
    }
}

static void test_catching_up_in_pages(void **state)
{
    (void)state;
    struct greet g;
    uint8_t after[49], none[49] = { 0 };
    memset(after, 5, sizeof(after));
    bring_to(&g, GREET_STANDING);
    greet_stood(&g, &statement, false, NOW);
    for (int i = 0; i < 3; i++) { /* each page is asked for from where the one before ended */
        struct greet_action a = greet_next(&g);
        msg_CatchUpGet get;
        assert_int_equal(a.kind, GREET_SEND_CATCH_UP);
        assert_int_equal(CODEC_DECODE(msg_CatchUpGet, a.message, &get), 0);
        assert_true(slice_equal(CODEC_BYTES(get.statement), CODEC_BYTES(statement.statement)));
        assert_memory_equal(get.after, i == 0 ? none : after, sizeof(after));
        page_came(&g);
        assert_true(greet_is_behind(&g));
        after[0] = (uint8_t)i;
        greet_page_taken(&g, after, i == 2, NOW);
    }
    expect(&g, GREET_CHECK_STANDING, standing); /* what it says now is new */
    greet_stood(&g, &statement, true, NOW);
    expect(&g, GREET_SEND_STATEMENT, NULL);
    presented(&g);
    expect(&g, GREET_DONE, NULL);
    assert_true(g.presented && g.behind && g.caught_up && !greet_is_behind(&g));
    greet_deinit(&g);
}

/* The session goes on without transactions; the vault guards itself. */
static void test_refusals_leave_the_rest(void **state)
{
    (void)state;
    struct greet g;
    bring_to(&g, GREET_STANDING);
    greet_stood(&g, NULL, false, NOW);
    expect(&g, GREET_DONE, NULL);
    assert_false(g.presented || greet_is_behind(&g));
    greet_deinit(&g);

    bring_to(&g, GREET_PRESENTING);
    refuse(&g, REASON_CATCH_UP_NEEDED);
    expect(&g, GREET_DONE, NULL);
    assert_false(g.presented);
    greet_deinit(&g);

    bring_to(&g, GREET_FETCHING);
    refuse(&g, REASON_RATE_LIMITED);
    expect(&g, GREET_DONE, NULL);
    assert_true(greet_is_behind(&g));
    greet_deinit(&g);

    bring_to(&g, GREET_CATCHING);
    greet_page_taken(&g, NULL, false, NOW);
    expect(&g, GREET_DONE, NULL);
    assert_true(greet_is_behind(&g));
    greet_deinit(&g);
}

/* A distributor that keeps saying so does not keep us for ever. */
static void test_still_behind_after_catching_up(void **state)
{
    (void)state;
    struct greet g;
    uint8_t after[49] = { 1 };
    bring_to(&g, GREET_CATCHING);
    greet_page_taken(&g, after, true, NOW);
    expect(&g, GREET_CHECK_STANDING, standing);
    greet_stood(&g, &statement, false, NOW);
    expect(&g, GREET_DONE, NULL);
    assert_false(g.presented);
    greet_deinit(&g);
}

/* Nobody answers, the connection ends, or another answer comes. */
static void test_faults_while_waiting_for_the_distributor(void **state)
{
    (void)state;
    static const enum greet_state waits[] = { GREET_PRESENTING, GREET_FETCHING };
    for (size_t i = 0; i < ARRAY_COUNT(waits); i++) {
        struct greet g;
        bring_to(&g, waits[i]);
        assert_int_equal(greet_deadline_ms(&g), NOW + GREET_STEP_MS);
        greet_late(&g, NOW + GREET_STEP_MS - 1);
        assert_int_equal(greet_next(&g).kind, GREET_WAIT);
        greet_late(&g, NOW + GREET_STEP_MS);
        expect_failure(&g, REASON_TIMED_OUT);
        greet_deinit(&g);

        bring_to(&g, waits[i]);
        greet_reply(&g, NULL, REASON_OFFLINE, NOW);
        expect_failure(&g, REASON_OFFLINE);
        greet_deinit(&g);

        bring_to(&g, waits[i]);
        answer(&g, msg_Type_OK, msg_Ok_fields, &(msg_Ok){ 0 }, NULL);
        expect(&g, GREET_DONE, NULL);
        assert_false(g.presented || g.caught_up);
        greet_deinit(&g);
    }
}

static void test_frames_and_late_answers(void **state)
{
    (void)state;
    static const enum greet_state states[] = { GREET_STANDING, GREET_PRESENTING, GREET_FETCHING, GREET_CATCHING };
    for (size_t i = 0; i < ARRAY_COUNT(states); i++) {
        struct greet g;
        struct frame changed = { .type = msg_Type_ROSTER_CHANGED }, second = { .type = msg_Type_WELCOME, .request = 2 };
        bring_to(&g, states[i]);
        assert_true(greet_frame(&g, &changed)); /* remembered */
        assert_true(g.roster_changed);
        greet_timed(&g); /* what belongs to other states changes nothing */
        greet_checked(&g, REASON_NONE, NULL, NOW);
        greet_proved(&g, NULL, NOW);
        if (states[i] != GREET_STANDING)
            greet_stood(&g, NULL, true, NOW);
        if (states[i] != GREET_CATCHING)
            greet_page_taken(&g, NULL, true, NOW);
        assert_int_equal(g.state, states[i]);
        assert_true(greet_frame(&g, &second));
        expect_failure(&g, REASON_MALFORMED);
        greet_stood(&g, &statement, true, NOW);
        greet_page_taken(&g, NULL, true, NOW);
        assert_int_equal(g.state, GREET_FAILED);
        greet_deinit(&g);
    }
}

static void test_absurd_generations(void **state)
{
    (void)state;
    assert_false(standing_is_absurd(0, 0, 0));
    assert_false(standing_is_absurd(NOW + STANDING_JUMP_MAX, 0, NOW));
    assert_true(standing_is_absurd(NOW + STANDING_JUMP_MAX + 1, 0, NOW));
    assert_false(standing_is_absurd(5000 + STANDING_JUMP_MAX, 5000, NOW));
    assert_true(standing_is_absurd(UINT64_MAX, 0, NOW));
    assert_true(standing_is_absurd(UINT64_C(1) << 63, 5000, NOW));
    assert_false(standing_is_absurd(UINT64_MAX, UINT64_MAX, -1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_current_vault),
        cmocka_unit_test(test_nothing_to_stand_to),
        cmocka_unit_test(test_catching_up_in_pages),
        cmocka_unit_test(test_refusals_leave_the_rest),
        cmocka_unit_test(test_still_behind_after_catching_up),
        cmocka_unit_test(test_faults_while_waiting_for_the_distributor),
        cmocka_unit_test(test_frames_and_late_answers),
        cmocka_unit_test(test_absurd_generations),
    };
    statement.statement.size = 3;
    memcpy(statement.statement.bytes, "abc", 3);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
