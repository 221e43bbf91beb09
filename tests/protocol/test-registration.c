/* Registration: the device's machine against a distributor, a vault and a database in memory; lost, refused, cut and killed at every step,
 * then the same command again. */
#include "protocol/registration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

/* What happens in the world, and where it goes wrong. */
enum fault {
    NO_FAULT,
    REQUEST_LOST, /* the distributor never hears it */
    ANSWER_LOST,  /* it does, and we do not */
    ANSWER_CUT,
    REFUSED,       /* a wrong password */
    KILLED_BEFORE, /* the process ends before the step has an effect */
    KILLED_AFTER,  /* ... and after it, before its outcome is heard */
    VAULT_REFUSES,
    STORE_FAILS,
    FAULT_COUNT
};

struct world {
    unsigned leaves, asked; /* the distributor: leaves given to this device; how often it was asked */
    bool vault_has, row;    /* durable here */
    bool tokens;            /* the distributor's policy asks for logins */
    bool vault_token;
    unsigned greeted;
};

static struct buf registered_bytes(bool token)
{
    struct buf out = buf(msg_Registered_size);
    msg_Registered m = { .session = 5, .bit = 1, .roster_sequence = 2 };
    CODEC_SET_TEXT(m.user, "alice");
    CODEC_SET_TEXT(m.distributor_name, "aurora");
    assert_int_equal(CODEC_SET_BYTES(m.certificate, slice_str("a certificate")), 0);
    m.has_login = token;
    memset(m.login, 7, sizeof(m.login));
    assert_int_equal(CODEC_ENCODE(msg_Registered, &out, &m), 0);
    return out;
}

static void refusal_of(struct buf *out, enum reason why)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, why, NULL);
    assert_int_equal(CODEC_ENCODE(msg_Refusal, out, &refusal), 0);
}

static void ask(struct world *w, struct registration *r, enum fault fault)
{
    struct buf bytes = registered_bytes(w->tokens);
    struct frame f = { msg_Type_REGISTERED, 1, buf_slice(&bytes), slice_str("sealed keys") };
    w->asked += fault != REQUEST_LOST;
    if (fault == REQUEST_LOST) {
        registration_answered(r, NULL, REASON_OFFLINE, NULL);
    } else if (fault == REFUSED) {
        struct buf refusal = buf(msg_Refusal_size);
        refusal_of(&refusal, REASON_BAD_CREDENTIALS);
        f = (struct frame){ msg_Type_REFUSAL, 1, buf_slice(&refusal), slice(NULL, 0) };
        registration_answered(r, &f, REASON_NONE, NULL);
        buf_free(&refusal);
    } else {
        w->leaves = 1; /* the device is known by its key: always the same leaf */
        if (fault == ANSWER_CUT)
            f.message.len /= 2;
        registration_answered(r, fault == ANSWER_LOST ? NULL : &f,
                              fault == ANSWER_LOST ? REASON_TIMED_OUT : REASON_NONE, NULL);
    }
    buf_free(&bytes);
}

static void begin(struct registration *r)
{
    registration_init(r, true);
    assert_int_equal(registration_next(r).kind, REGISTRATION_ASK);
}

/* One run of the command. false: it was killed. */
static bool run(struct world *w, struct registration *r, unsigned fault_at, enum fault fault)
{
    registration_init(r, !w->row);
    for (unsigned step = 0;; step++) {
        enum fault now = step == fault_at ? fault : NO_FAULT;
        struct registration_action a = registration_next(r);
        assert_int_equal(registration_next(r).kind, REGISTRATION_WAIT);
        if (now == KILLED_BEFORE && a.kind != REGISTRATION_END)
            return false;
        switch (a.kind) {
        case REGISTRATION_ASK:
            ask(w, r, now);
            break;
        case REGISTRATION_KEEP:
            assert_true(slice_equal(a.certificate, slice_str("a certificate")));
            assert_int_equal(w->leaves, 1);
            w->vault_has |= now != VAULT_REFUSES;
            if (now != KILLED_AFTER)
                registration_kept(r, now == VAULT_REFUSES ? REASON_SIGNATURE_INVALID : REASON_NONE, NULL);
            break;
        case REGISTRATION_KEEP_LOGIN:
            assert_true(w->tokens && w->vault_has);
            assert_int_equal(r->reply.login[79], 7);
            w->vault_token |= now != VAULT_REFUSES;
            if (now != KILLED_AFTER)
                registration_login_kept(r, now == VAULT_REFUSES ? REASON_STORAGE_FULL : REASON_NONE, NULL);
            break;
        case REGISTRATION_STORE:
            assert_true(!w->tokens || w->vault_token);
            assert_true(w->vault_has); /* never a row without what the vault needs */
            w->row |= now != STORE_FAILS;
            if (now != KILLED_AFTER)
                registration_stored(r, now == STORE_FAILS ? REASON_STORAGE_FULL : REASON_NONE);
            break;
        case REGISTRATION_GREET:
            assert_true(w->row);
            w->greeted++;
            if (now != KILLED_AFTER)
                registration_greeted(r);
            break;
        case REGISTRATION_END:
            return true;
        case REGISTRATION_WAIT:
            fail();
        }
        if (now == KILLED_AFTER)
            return false;
    }
}

static void test_undisturbed(void **state)
{
    (void)state;
    struct world w = { 0 };
    struct registration r;
    assert_true(run(&w, &r, 0, NO_FAULT));
    assert_int_equal(r.state, REGISTRATION_DONE);
    assert_true(w.vault_has && w.row);
    assert_int_equal(w.greeted, 1);
    assert_int_equal(r.reply.session, 5);
}

static void test_with_a_login_token(void **state)
{
    (void)state;
    struct world w = { .tokens = true };
    struct registration r;
    assert_true(run(&w, &r, 0, NO_FAULT));
    assert_int_equal(r.state, REGISTRATION_DONE);
    assert_true(w.vault_token);
}

/* Known here already: the session that is there goes on. */
static void test_again(void **state)
{
    (void)state;
    struct world w = { .leaves = 1, .vault_has = true, .row = true };
    struct registration r;
    assert_true(run(&w, &r, 0, NO_FAULT));
    assert_int_equal(r.state, REGISTRATION_DONE);
    assert_int_equal(w.greeted, 0);
    assert_int_equal(w.leaves, 1);
}

/* Everything that can go wrong, at every step; afterwards the same command finishes it, with the same leaf. */
static void test_every_fault_then_again(void **state)
{
    (void)state;
    for (unsigned fault = NO_FAULT + 1; fault < FAULT_COUNT; fault++)
        for (unsigned at = 0; at < 12; at++) {
            struct world w = { .tokens = at >= 6 };
            struct registration r;
            bool ended = run(&w, &r, at % 6, fault);
            if (ended && r.state == REGISTRATION_REFUSED) {
                assert_int_not_equal(r.why, REASON_NONE);
                assert_string_not_equal(r.refusal.text, "");
                assert_false(w.row); /* nothing is half registered */
            }
            assert_true(run(&w, &r, 0, NO_FAULT));
            assert_int_equal(r.state, REGISTRATION_DONE);
            assert_true(w.vault_has && w.row);
            assert_int_equal(w.leaves, 1);
        }
}

static void test_answers_cut_and_flipped(void **state)
{
    (void)state;
    struct buf whole = registered_bytes(false);
    for (size_t i = 0; i < whole.len; i++) {
        struct registration r;
        begin(&r);
        struct frame f = { msg_Type_REGISTERED, 1, slice(whole.data, i), slice_str("sealed keys") };
        registration_answered(&r, &f, REASON_NONE, NULL);
        assert_int_equal(r.state, REGISTRATION_REFUSED);
        assert_int_equal(r.why, REASON_MALFORMED);
        whole.data[i] ^= 0x40; /* whatever it says now, the vault is asked before anything is stored */
        begin(&r);
        f.message = buf_slice(&whole);
        registration_answered(&r, &f, REASON_NONE, NULL);
        assert_true(r.state == REGISTRATION_REFUSED || r.state == REGISTRATION_KEEPING);
        whole.data[i] ^= 0x40;
    }
    buf_free(&whole);
}

static void test_answers_that_grant_nothing(void **state)
{
    (void)state;
    struct buf whole = registered_bytes(false);
    struct registration r;
    begin(&r);
    struct frame f = { msg_Type_REGISTERED, 1, buf_slice(&whole), slice(NULL, 0) }; /* without a key set */
    registration_answered(&r, &f, REASON_NONE, NULL);
    assert_int_equal(r.why, REASON_MALFORMED);
    begin(&r);
    f = (struct frame){ msg_Type_WELCOME, 1, buf_slice(&whole), slice_str("sealed keys") };
    registration_answered(&r, &f, REASON_NONE, NULL);
    assert_int_equal(r.why, REASON_MALFORMED);
    buf_free(&whole);
}

/* Outcomes that nobody waits for change nothing. */
static void test_outcomes_out_of_order(void **state)
{
    (void)state;
    struct registration r;
    registration_init(&r, true);
    registration_kept(&r, REASON_NONE, NULL);
    registration_login_kept(&r, REASON_NONE, NULL);
    registration_stored(&r, REASON_NONE);
    registration_greeted(&r);
    assert_int_equal(r.state, REGISTRATION_ASKING);
    struct world w = { 0 };
    assert_true(run(&w, &r, 0, NO_FAULT));
    registration_stored(&r, REASON_INTERNAL);
    assert_int_equal(r.state, REGISTRATION_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_undisturbed),
        cmocka_unit_test(test_with_a_login_token),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_every_fault_then_again),
        cmocka_unit_test(test_answers_cut_and_flipped),
        cmocka_unit_test(test_answers_that_grant_nothing),
        cmocka_unit_test(test_outcomes_out_of_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
