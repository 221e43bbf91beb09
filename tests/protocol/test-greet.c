/* Greetings: the device's machine against a distributor's end in memory; every order, cut, refusal and silence. */
#include "protocol/greet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

#define NOW 1000

static const char envelope[] = "a keyset", signed_time[] = "a time";

static struct frame keyset_frame(size_t len)
{
    return (struct frame){ msg_Type_KEYSET, 0, slice(NULL, 0), slice(envelope, len) };
}

static struct buf welcome_bytes(bool registered)
{
    struct buf out = buf(msg_Welcome_size);
    msg_Welcome m = { .registered = registered, .session = 7, .bit = 1, .roster_sequence = 3, .has_time = true };
    CODEC_SET_TEXT(m.user, registered ? "alice" : "");
    assert_int_equal(CODEC_SET_BYTES(m.time, slice_str(signed_time)), 0);
    assert_int_equal(CODEC_ENCODE(msg_Welcome, &out, &m), 0);
    return out;
}

static struct frame reply_frame(const struct buf *message, uint16_t type)
{
    return (struct frame){ type, 1, buf_slice(message), slice(NULL, 0) };
}

static void expect(struct greet *g, enum greet_action_kind kind)
{
    assert_int_equal(greet_next(g).kind, kind);
    assert_int_equal(greet_next(g).kind, GREET_WAIT); /* each once */
}

static void expect_failure(struct greet *g, enum reason why)
{
    struct greet_action a = greet_next(g);
    assert_int_equal(a.kind, GREET_HANG_UP);
    assert_int_equal(a.why, why);
    assert_int_equal(greet_next(g).kind, GREET_WAIT);
    assert_int_equal(greet_deadline_ms(g), INT64_MAX);
}

/* Up to a state. */
static void bring_to(struct greet *g, enum greet_state state)
{
    struct frame f = keyset_frame(sizeof(envelope));
    greet_init(g, 42, NOW);
    if (state == GREET_KEYSET)
        return;
    assert_true(greet_frame(g, &f));
    expect(g, GREET_CHECK_KEYSET);
    if (state == GREET_CHECKING)
        return;
    greet_checked(g, REASON_NONE, NULL, NOW);
    expect(g, GREET_SEND);
    if (state == GREET_HELLO)
        return;
    struct buf welcome = welcome_bytes(true);
    f = reply_frame(&welcome, msg_Type_WELCOME);
    greet_reply(g, &f, REASON_NONE, NOW);
    expect(g, GREET_CHECK_TIME);
    buf_free(&welcome);
    if (state == GREET_TIME)
        return;
    greet_timed(g);
    expect(g, GREET_DONE);
}

/* Up to the question for a proof, or with it sent. */
static void bring_to_login(struct greet *g, bool registered_there, bool proved)
{
    struct buf bytes = buf(msg_Welcome_size);
    msg_Welcome m = { .registered = registered_there,
                      .session = registered_there ? 7 : 0,
                      .has_login_challenge = true };
    msg_LoginProve proof = { .key = "key", .proof = "proof" };
    memset(m.login_challenge, 9, sizeof(m.login_challenge));
    assert_int_equal(CODEC_ENCODE(msg_Welcome, &bytes, &m), 0);
    struct frame f = reply_frame(&bytes, msg_Type_WELCOME);
    bring_to(g, GREET_HELLO);
    greet_reply(g, &f, REASON_NONE, NOW);
    buf_free(&bytes);
    expect(g, GREET_CHECK_TIME);
    greet_timed(g);
    if (!registered_there)
        return;
    struct greet_action a = greet_next(g);
    assert_int_equal(a.kind, GREET_PROVE_LOGIN);
    assert_true(slice_equal(a.message, SLICE_ARRAY(m.login_challenge)));
    assert_int_equal(greet_next(g).kind, GREET_WAIT);
    if (!proved)
        return;
    greet_proved(g, &proof, NOW);
    a = greet_next(g);
    assert_int_equal(a.kind, GREET_SEND_PROOF);
    assert_int_equal(CODEC_DECODE(msg_LoginProve, a.message, &proof), 0);
    assert_string_equal((char *)proof.proof, "proof");
    assert_int_equal(greet_deadline_ms(g), NOW + GREET_STEP_MS);
}

static void test_a_login_is_proved(void **state)
{
    (void)state;
    struct greet g;
    struct frame ok = { msg_Type_OK, 1, slice(NULL, 0), slice(NULL, 0) };
    bring_to_login(&g, true, true);
    greet_reply(&g, &ok, REASON_NONE, NOW);
    assert_true(g.logged_in && !g.login_refused);
    expect(&g, GREET_DONE);
    assert_int_equal(greet_deadline_ms(&g), INT64_MAX);
    greet_deinit(&g);
}

static void test_without_a_token_it_is_a_session_as_well(void **state)
{
    (void)state;
    struct greet g;
    bring_to_login(&g, true, false);
    greet_proved(&g, NULL, NOW);
    assert_true(!g.logged_in && !g.login_refused);
    expect(&g, GREET_DONE);
    greet_proved(&g, &(msg_LoginProve){ .key = "late" }, NOW);
    assert_int_equal(greet_next(&g).kind, GREET_WAIT);
    greet_deinit(&g);
    bring_to_login(&g, false, false); /* a stranger there is not asked */
    expect(&g, GREET_DONE);
    greet_deinit(&g);
}

static void test_a_refused_login_is_no_end(void **state)
{
    (void)state;
    struct greet g;
    struct buf bytes = buf(msg_Refusal_size);
    msg_Refusal refusal;
    reason_refusal(&refusal, REASON_LOGIN_NEEDED, NULL);
    assert_int_equal(CODEC_ENCODE(msg_Refusal, &bytes, &refusal), 0);
    struct frame f = reply_frame(&bytes, msg_Type_REFUSAL);
    bring_to_login(&g, true, true);
    greet_reply(&g, &f, REASON_NONE, NOW);
    assert_true(!g.logged_in && g.login_refused);
    expect(&g, GREET_DONE);
    greet_deinit(&g);
    buf_free(&bytes);
    bring_to_login(&g, true, true);
    greet_reply(&g, NULL, REASON_TIMED_OUT, NOW);
    expect_failure(&g, REASON_TIMED_OUT);
    greet_deinit(&g);
    bring_to_login(&g, true, true);
    greet_late(&g, NOW + GREET_STEP_MS);
    expect_failure(&g, REASON_TIMED_OUT);
    greet_deinit(&g);
    bring_to_login(&g, true, true);
    greet_deinit(&g);
}

/* The distributor may push as soon as it has said WELCOME: nothing is lost, nothing ends. */
static void test_a_push_while_the_vault_is_asked(void **state)
{
    (void)state;
    struct greet g;
    struct frame push = { .type = msg_Type_ROSTER_CHANGED }, ok = { .type = msg_Type_OK, .request = 1 };
    bring_to(&g, GREET_TIME);
    assert_true(greet_frame(&g, &push));
    greet_timed(&g);
    expect(&g, GREET_DONE);
    assert_true(g.roster_changed);
    greet_deinit(&g);
    bring_to_login(&g, true, true);
    assert_false(g.roster_changed);
    assert_true(greet_frame(&g, &push));
    greet_reply(&g, &ok, REASON_NONE, NOW);
    expect(&g, GREET_DONE);
    assert_true(g.roster_changed && g.logged_in);
    greet_deinit(&g);
}

/* Both ends, as they are meant. */
static void test_both_ends(void **state)
{
    (void)state;
    struct greet g;
    enum greet_server_state server = GREET_SERVER_STRANGER;
    const char *detail;
    greet_init(&g, 42, NOW);
    assert_int_equal(greet_next(&g).kind, GREET_WAIT); /* nothing is said to somebody unknown */
    struct frame f = keyset_frame(sizeof(envelope));
    assert_true(greet_frame(&g, &f));
    struct greet_action a = greet_next(&g);
    assert_int_equal(a.kind, GREET_CHECK_KEYSET);
    assert_true(slice_equal(a.message, slice(envelope, sizeof(envelope))));
    greet_checked(&g, REASON_NONE, NULL, NOW);
    a = greet_next(&g);
    assert_int_equal(a.kind, GREET_SEND);
    msg_Hello hello;
    assert_int_equal(CODEC_DECODE(msg_Hello, a.message, &hello), 0);
    assert_int_equal(hello.role, GREET_ROLE_DEVICE);
    assert_int_equal(hello.generation, 42);
    assert_int_equal(greet_server_frame(&server, msg_Type_HELLO, &detail), GREET_JUDGE);
    assert_true(greet_server_judged(&server));
    struct buf welcome = welcome_bytes(true);
    f = reply_frame(&welcome, msg_Type_WELCOME);
    greet_reply(&g, &f, REASON_NONE, NOW);
    a = greet_next(&g);
    assert_int_equal(a.kind, GREET_CHECK_TIME);
    assert_true(slice_equal(a.message, slice_str(signed_time)));
    greet_timed(&g);
    expect(&g, GREET_DONE);
    assert_int_equal(g.welcome.session, 7);
    f = (struct frame){ .type = msg_Type_ROSTER_CHANGED };
    assert_false(greet_frame(&g, &f)); /* from here on it is the caller's */
    assert_int_equal(greet_server_frame(&server, msg_Type_ROSTER_GET, &detail), GREET_SERVE);
    buf_free(&welcome);
    greet_deinit(&g);
}

/* A device whose clock is wrong would not even get as far as registering. */
static void test_time_is_also_for_strangers(void **state)
{
    (void)state;
    struct greet g;
    struct frame f = keyset_frame(sizeof(envelope));
    greet_init(&g, 42, NOW);
    assert_true(greet_frame(&g, &f));
    expect(&g, GREET_CHECK_KEYSET);
    greet_checked(&g, REASON_NONE, NULL, NOW);
    expect(&g, GREET_SEND);
    struct buf welcome = welcome_bytes(false);
    f = reply_frame(&welcome, msg_Type_WELCOME);
    greet_reply(&g, &f, REASON_NONE, NOW);
    expect(&g, GREET_CHECK_TIME);
    greet_timed(&g);
    expect(&g, GREET_DONE);
    buf_free(&welcome);
    greet_deinit(&g);
}

/* Who does not say what time it is has its keyset judged all the same, before anything else is told. */
static void test_no_time_is_judged_too(void **state)
{
    (void)state;
    struct greet g;
    struct buf bytes = buf(msg_Welcome_size);
    msg_Welcome m = { .registered = true, .session = 7, .bit = 1, .roster_sequence = 3, .has_login_challenge = true };
    assert_int_equal(CODEC_ENCODE(msg_Welcome, &bytes, &m), 0);
    struct frame f = reply_frame(&bytes, msg_Type_WELCOME);
    bring_to(&g, GREET_HELLO);
    greet_reply(&g, &f, REASON_NONE, NOW);
    struct greet_action a = greet_next(&g);
    assert_int_equal(a.kind, GREET_CHECK_TIME);
    assert_int_equal(a.message.len, 0);
    greet_timed(&g);
    expect(&g, GREET_PROVE_LOGIN);
    buf_free(&bytes);
    greet_deinit(&g);
}

static void test_a_keyset_that_does_not_verify(void **state)
{
    (void)state;
    struct greet g;
    bring_to(&g, GREET_CHECKING);
    greet_checked(&g, REASON_KEYSET_INVALID, "another root", NOW);
    struct greet_action a = greet_next(&g);
    assert_int_equal(a.kind, GREET_HANG_UP);
    assert_int_equal(a.why, REASON_KEYSET_INVALID);
    assert_string_equal(a.detail, "another root");
    greet_checked(&g, REASON_NONE, NULL, NOW); /* a late second answer changes nothing */
    assert_int_equal(greet_next(&g).kind, GREET_WAIT);
    assert_int_equal(g.state, GREET_FAILED);
    greet_deinit(&g);
}

/* In every state before READY: whatever frame is not the one that is due ends it. */
static void test_frames_out_of_order(void **state)
{
    (void)state;
    static const enum greet_state states[] = { GREET_KEYSET, GREET_CHECKING, GREET_HELLO, GREET_TIME };
    static const struct {
        const char *name;
        struct frame f;
    } cases[] = {
        { "keyset with a request", { msg_Type_KEYSET, 0, { (const uint8_t *)"x", 1 }, { (const uint8_t *)"y", 1 } } },
        { "keyset without an envelope", { msg_Type_KEYSET, 0, { NULL, 0 }, { NULL, 0 } } },
        { "welcome unasked", { msg_Type_WELCOME, 2, { NULL, 0 }, { NULL, 0 } } },
        { "push before the greeting", { msg_Type_ROSTER_CHANGED, 0, { NULL, 0 }, { NULL, 0 } } },
        { "a request", { msg_Type_ROSTER_GET, 2, { NULL, 0 }, { NULL, 0 } } },
    };
    for (size_t s = 0; s < ARRAY_COUNT(states); s++)
        for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
            struct greet g;
            if (states[s] == GREET_TIME && cases[i].f.type == msg_Type_ROSTER_CHANGED)
                continue; /* WELCOME was said */
            bring_to(&g, states[s]);
            assert_true(greet_frame(&g, &cases[i].f));
            expect_failure(&g, REASON_MALFORMED);
            greet_deinit(&g);
        }
}

static void test_a_second_keyset(void **state)
{
    (void)state;
    struct greet g;
    struct frame f = keyset_frame(sizeof(envelope));
    bring_to(&g, GREET_CHECKING);
    assert_true(greet_frame(&g, &f));
    expect_failure(&g, REASON_MALFORMED);
    greet_deinit(&g);
}

static void test_refusals(void **state)
{
    (void)state;
    static const enum reason reasons[] = { REASON_DEVICE_REVOKED, REASON_RATE_LIMITED, REASON_INTERNAL };
    for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
        struct greet g;
        struct buf bytes = buf(msg_Refusal_size);
        msg_Refusal refusal;
        reason_refusal(&refusal, reasons[i], "because");
        assert_int_equal(CODEC_ENCODE(msg_Refusal, &bytes, &refusal), 0);
        struct frame f = reply_frame(&bytes, msg_Type_REFUSAL);
        bring_to(&g, GREET_HELLO);
        greet_reply(&g, &f, REASON_NONE, NOW);
        assert_string_equal(g.detail, "because");
        expect_failure(&g, reasons[i]);
        buf_free(&bytes);
        greet_deinit(&g);
    }
}

/* Up to the vault's statement, which is refused. */
static void refuse_statement(struct greet *g, enum reason why)
{
    struct buf bytes = buf(size_max(msg_Welcome_size, msg_Refusal_size));
    msg_Welcome m = { .registered = true, .session = 7 };
    msg_Present statement = msg_Present_init_zero;
    msg_Refusal refusal;
    assert_int_equal(CODEC_SET_BYTES(m.standing, slice_str("standing")), 0);
    m.has_standing = true;
    assert_int_equal(CODEC_ENCODE(msg_Welcome, &bytes, &m), 0);
    struct frame f = reply_frame(&bytes, msg_Type_WELCOME);
    bring_to(g, GREET_HELLO);
    greet_reply(g, &f, REASON_NONE, NOW);
    expect(g, GREET_CHECK_TIME);
    greet_timed(g);
    expect(g, GREET_CHECK_STANDING);
    assert_int_equal(CODEC_SET_BYTES(statement.statement, slice_str("statement")), 0);
    greet_stood(g, &statement, true, NOW);
    expect(g, GREET_SEND_STATEMENT);
    buf_clear(&bytes);
    reason_refusal(&refusal, why, "because");
    assert_int_equal(CODEC_ENCODE(msg_Refusal, &bytes, &refusal), 0);
    f = reply_frame(&bytes, msg_Type_REFUSAL);
    greet_reply(g, &f, REASON_NONE, NOW);
    buf_free(&bytes);
}

/* What is wrong with the vault leaves the rest as it is; a distributor that could not write it down is greeted again later. */
static void test_a_refused_statement(void **state)
{
    (void)state;
    static const enum reason later[] = { REASON_STORAGE_FULL, REASON_TIMED_OUT };
    struct greet g;
    refuse_statement(&g, REASON_CATCH_UP_NEEDED);
    expect(&g, GREET_DONE);
    assert_false(g.presented);
    greet_deinit(&g);
    for (size_t i = 0; i < ARRAY_COUNT(later); i++) {
        refuse_statement(&g, later[i]);
        assert_string_equal(g.detail, "because");
        expect_failure(&g, later[i]);
        greet_deinit(&g);
    }
}

/* A WELCOME cut at every byte, and with every byte flipped: refused, or another welcome; never a state in between. */
static void test_cut_and_flipped_welcomes(void **state)
{
    (void)state;
    struct buf whole = welcome_bytes(true);
    for (size_t i = 0; i < whole.len; i++)
        for (int flip = 0; flip <= 1; flip++) {
            struct greet g;
            struct buf bytes = buf(msg_Welcome_size);
            assert_int_equal(buf_append(&bytes, slice(whole.data, flip ? whole.len : i)), 0);
            if (flip)
                bytes.data[i] ^= 0x10;
            struct frame f = reply_frame(&bytes, msg_Type_WELCOME);
            bring_to(&g, GREET_HELLO);
            greet_reply(&g, &f, REASON_NONE, NOW);
            enum greet_action_kind kind = greet_next(&g).kind;
            /* what is optional at its end may be missing; anything else is refused */
            assert_true(kind == GREET_HANG_UP || (kind == GREET_CHECK_TIME && (flip || !g.welcome.has_time)));
            buf_free(&bytes);
            greet_deinit(&g);
        }
    buf_free(&whole);
}

/* Nobody answers: each wait has its end, and READY has none. */
static void test_deadlines(void **state)
{
    (void)state;
    struct greet g;
    bring_to(&g, GREET_KEYSET);
    assert_int_equal(greet_deadline_ms(&g), NOW + GREET_STEP_MS);
    greet_late(&g, NOW + GREET_STEP_MS - 1);
    assert_int_equal(greet_next(&g).kind, GREET_WAIT);
    greet_late(&g, NOW + GREET_STEP_MS);
    expect_failure(&g, REASON_TIMED_OUT);
    greet_deinit(&g);
    bring_to(&g, GREET_HELLO);
    greet_late(&g, NOW + GREET_STEP_MS);
    expect_failure(&g, REASON_TIMED_OUT);
    greet_deinit(&g);
    bring_to(&g, GREET_HELLO);
    greet_reply(&g, NULL, REASON_TIMED_OUT, NOW);
    expect_failure(&g, REASON_TIMED_OUT);
    greet_deinit(&g);
    bring_to(&g, GREET_READY);
    assert_int_equal(greet_deadline_ms(&g), INT64_MAX);
    greet_late(&g, INT64_MAX);
    assert_int_equal(g.state, GREET_READY);
    greet_deinit(&g);
}

/* What the distributor's end hears, in every state. */
static void test_the_distributors_end(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum greet_server_state before;
        uint16_t type;
        enum greet_verdict verdict;
        enum greet_server_state after;
    } cases[] = {
        { "hello", GREET_SERVER_STRANGER, msg_Type_HELLO, GREET_JUDGE, GREET_SERVER_JUDGING },
        { "request of a stranger", GREET_SERVER_STRANGER, msg_Type_TRANSACT, GREET_REFUSE, GREET_SERVER_STRANGER },
        { "register of a stranger", GREET_SERVER_STRANGER, msg_Type_REGISTER, GREET_REFUSE, GREET_SERVER_STRANGER },
        { "bodies for a stranger", GREET_SERVER_STRANGER, msg_Type_BLOCKS_GET, GREET_REFUSE, GREET_SERVER_STRANGER },
        { "request before it is judged", GREET_SERVER_JUDGING, msg_Type_TRANSACT, GREET_QUEUE, GREET_SERVER_JUDGING },
        { "hello twice at once", GREET_SERVER_JUDGING, msg_Type_HELLO, GREET_REFUSE, GREET_SERVER_JUDGING },
        { "hello again", GREET_SERVER_READY, msg_Type_HELLO, GREET_REFUSE, GREET_SERVER_READY },
        { "request", GREET_SERVER_READY, msg_Type_TRANSACT, GREET_SERVE, GREET_SERVER_READY },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        enum greet_server_state s = cases[i].before;
        const char *detail;
        assert_int_equal(greet_server_frame(&s, cases[i].type, &detail), cases[i].verdict);
        assert_int_equal(s, cases[i].after);
        assert_true((detail != NULL) == (cases[i].verdict == GREET_REFUSE));
    }
    enum greet_server_state s = GREET_SERVER_STRANGER;
    assert_false(greet_server_judged(&s));
    assert_int_equal(s, GREET_SERVER_STRANGER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ends),
        cmocka_unit_test(test_time_is_also_for_strangers),
        cmocka_unit_test(test_a_login_is_proved),
        cmocka_unit_test(test_without_a_token_it_is_a_session_as_well),
        cmocka_unit_test(test_a_refused_login_is_no_end),
        cmocka_unit_test(test_a_push_while_the_vault_is_asked),
        cmocka_unit_test(test_no_time_is_judged_too),
        cmocka_unit_test(test_a_keyset_that_does_not_verify),
        cmocka_unit_test(test_frames_out_of_order),
        cmocka_unit_test(test_a_second_keyset),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_refused_statement),
        cmocka_unit_test(test_cut_and_flipped_welcomes),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_the_distributors_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
