/* Copies and moves: the machines of both ends against each other, with every fault at every step, and with pairs of them.
 * HEARTH_COPY_ALL=1 tries every pair of faults; otherwise every 37th. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "copy_world.h"

#define STEPS_MAX 2000
#define SLEEPS_MAX 40

struct outcome {
    unsigned steps;
    enum copy_out_state state;
    enum reason why;
};

static const char *const fault_names[FAULT_COUNT] = { "lose",  "crash-source", "crash-destination",
                                                      "cut",   "repeat",       "store",
                                                      "vault", "cancel",       "decline",
                                                      "pause", "again",        "given-already" };

static void fail_with(const struct world *w, const char *what, bool move, const struct fault *faults, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)fprintf(stderr, "fault %s at step %u\n", fault_names[faults[i].kind], faults[i].step);
    (void)fprintf(stderr, "%s: %s; source state %d doing %d to %d, serial %d, license %d\n", move ? "move" : "copy",
                  what, (int)w->out.state, (int)w->out.doing, (int)w->out.to, (int)w->serial, (int)w->license);
    fail();
}

/* Everything that was begun is finished, and says so at both ends alike. */
static void check_end(const struct world *w, bool move, const struct fault *faults, size_t count)
{
    bool cancelled = w->cancelled || w->declined;
    if (!copy_out_has_ended(&w->out))
        fail_with(w, "not finished", move, faults, count);
    if (w->out.state != w->row)
        fail_with(w, "the row says something else", move, faults, count);
    if (!cancelled && (w->row != COPY_OUT_DONE || w->serial != SERIAL_STORED))
        fail_with(w, "not copied", move, faults, count);
    if (w->row == COPY_OUT_DONE && move && (w->license != LICENSE_GIVEN_UP || w->body))
        fail_with(w, "moved, and still here", move, faults, count);
    if (w->row == COPY_OUT_GONE && (w->serial == SERIAL_STORED || w->license != LICENSE_AWAKE || !w->body))
        fail_with(w, "cancelled, and not back", move, faults, count);
    if (w->row == COPY_OUT_GONE && move && w->asked && w->given_back != 1)
        fail_with(w, "granted and cancelled, and its issuer was not told", move, faults, count);
    if (w->row == COPY_OUT_GONE && w->serial == SERIAL_REFUSED && w->given_back != 1)
        fail_with(w, "refused, and not reported", move, faults, count);
    if (w->serial == SERIAL_STORED && w->reported == 0)
        fail_with(w, "the destination did not report", move, faults, count);
}

static struct outcome play(const struct fixture *f, bool move, const struct fault *faults, size_t count)
{
    struct world *w = malloc(sizeof(*w));
    struct outcome out = { 0 };
    unsigned sleeps = 0;
    assert_non_null(w);
    world_init(w, f, move);
    for (; out.steps < STEPS_MAX; out.steps++) {
        for (size_t i = 0; i < count; i++)
            if (faults[i].step == out.steps)
                world_fault(w, faults[i].kind);
        bool moved = world_step(w);
        world_check(w);
        if (moved)
            continue;
        if (copy_out_has_ended(&w->out) || ++sleeps > SLEEPS_MAX)
            break;
        world_sleep(w);
    }
    check_end(w, move, faults, count);
    out.state = w->out.state;
    out.why = w->out.why;
    world_deinit(w);
    free(w);
    return out;
}

static struct fixture *fixture_of(void **state) { return *state; }

static void seal(struct fixture *f, bool move)
{
    f->certificate.move = move;
    fixture_seal(f, false);
}

/* ---- cases --------------------------------------------------------------------------------------------------- */

static void test_undisturbed(void **state)
{
    for (int move = 0; move <= 1; move++) {
        seal(fixture_of(state), move);
        struct outcome o = play(fixture_of(state), move, NULL, 0);
        assert_int_equal(o.state, COPY_OUT_DONE);
        assert_int_equal(o.why, REASON_NONE);
        assert_in_range(o.steps, 10, 80);
    }
}

static void test_every_fault_at_every_step(void **state)
{
    for (int move = 0; move <= 1; move++) {
        seal(fixture_of(state), move);
        unsigned steps = play(fixture_of(state), move, NULL, 0).steps;
        for (unsigned kind = 0; kind < FAULT_COUNT; kind++)
            for (unsigned step = 0; step < steps; step++)
                (void)play(fixture_of(state), move, &(struct fault){ step, kind }, 1);
    }
}

static void test_pairs_of_faults(void **state)
{
    bool all = getenv("HEARTH_COPY_ALL") != NULL;
    unsigned n = 0;
    for (int move = 0; move <= 1; move++) {
        seal(fixture_of(state), move);
        unsigned steps = play(fixture_of(state), move, NULL, 0).steps;
        for (unsigned i = 0; i < FAULT_COUNT * steps; i++)
            for (unsigned j = i; j < FAULT_COUNT * steps; j++) {
                if (!all && n++ % 37 != 0)
                    continue;
                const struct fault two[] = { { i / FAULT_COUNT, i % FAULT_COUNT },
                                             { j / FAULT_COUNT, j % FAULT_COUNT } };
                (void)play(fixture_of(state), move, two, 2);
            }
    }
}

/* A cancelled copy is over only with the destination's word, also when it was away; count and price come back with it. */
static void test_cancelled_while_away(void **state)
{
    seal(fixture_of(state), false);
    struct world w;
    world_init(&w, fixture_of(state), false);
    while (w.row != COPY_OUT_HELD || w.out.doing != COPY_OUT_WAIT)
        assert_true(world_step(&w));
    world_fault(&w, FAULT_CANCEL);
    while (w.row != COPY_OUT_WITHDRAWING)
        assert_true(world_step(&w));
    world_fault(&w, FAULT_CRASH_SOURCE); /* nobody has to say it again */
    for (int i = 0; i < 200 && !copy_out_has_ended(&w.out); i++)
        if (!world_step(&w))
            world_sleep(&w);
    assert_int_equal(w.row, COPY_OUT_GONE);
    assert_int_equal(w.serial, SERIAL_REFUSED);
    assert_int_equal(w.given_back, 1);
    assert_int_equal(w.out.why, REASON_CANCELLED);
    world_deinit(&w);
}

static struct copy_out_action drive_to(struct copy_out *m, enum copy_out_action_kind kind, int64_t wall_ms)
{
    struct copy_out_action a;
    do
        a = copy_out_next(m, 1, wall_ms);
    while (a.kind != kind && a.kind != COPY_OUT_WAIT);
    return a;
}

static void take_up(struct copy_out *m, const struct fixture *f, enum copy_out_state state, bool move)
{
    struct copy_out_subject about = { .issuer = f->partner,
                                      .source = f->source_id,
                                      .destination = f->destination_id,
                                      .content = id_from(f->certificate.content),
                                      .move = move };
    copy_out_init(m, &about);
    assert_int_equal(buf_append(&m->certificate, buf_slice(&f->certificate_bytes)), 0);
    assert_int_equal(buf_append(&m->delegation, buf_slice(&f->delegation_bytes)), 0);
    copy_out_resume_from(m, state, move, false);
}

/* The destination never comes back: a copy is forgotten in the end, a move never. */
static void test_given_up(void **state)
{
    const struct fixture *f = fixture_of(state);
    const int64_t long_after_ms = (int64_t)f->certificate.ends_ms + COPY_OUT_GIVE_UP_MS + 1;
    struct copy_out m;
    seal(fixture_of(state), false);
    take_up(&m, f, COPY_OUT_WITHDRAWING, false);
    assert_int_equal(drive_to(&m, COPY_OUT_CONNECT, long_after_ms - 2).kind, COPY_OUT_CONNECT);
    copy_out_lost(&m, REASON_OFFLINE, 1);
    copy_out_kick(&m, true);
    struct copy_out_action a = drive_to(&m, COPY_OUT_STORE, long_after_ms);
    assert_int_equal(a.kind, COPY_OUT_STORE);
    assert_int_equal(a.to, COPY_OUT_GONE);
    assert_int_equal(a.type, 0); /* no word, no report */
    copy_out_deinit(&m);

    seal(fixture_of(state), true);
    take_up(&m, f, COPY_OUT_WITHDRAWING, true);
    assert_int_equal(drive_to(&m, COPY_OUT_RELEASE, long_after_ms).kind, COPY_OUT_RELEASE);
    copy_out_released(&m, REASON_NONE, NULL, buf_slice(&f->certificate_bytes), 1);
    assert_int_equal(drive_to(&m, COPY_OUT_CONNECT, long_after_ms).kind, COPY_OUT_CONNECT);
    copy_out_deinit(&m);
}

/* A certificate that has ended is not offered; its refusal is asked for. */
static void test_ended_certificate(void **state)
{
    const struct fixture *f = fixture_of(state);
    struct copy_out m;
    seal(fixture_of(state), false);
    take_up(&m, f, COPY_OUT_HELD, false);
    struct copy_out_action a = drive_to(&m, COPY_OUT_STORE, (int64_t)f->certificate.ends_ms + DOCUMENTS_SKEW_MS + 1);
    assert_int_equal(a.to, COPY_OUT_WITHDRAWING);
    assert_int_equal(m.why, REASON_CERTIFICATE_EXPIRED);
    copy_out_deinit(&m);
}

/* The same command after a cancel: the very certificate is offered again, and nothing else is asked for. */
static void test_again_after_cancel(void **state)
{
    const struct fixture *f = fixture_of(state);
    struct copy_out m;
    seal(fixture_of(state), false);
    take_up(&m, f, COPY_OUT_HELD, false);
    copy_out_cancel(&m);
    assert_int_equal(drive_to(&m, COPY_OUT_STORE, FIXTURE_NOW).to, COPY_OUT_WITHDRAWING);
    copy_out_stored(&m, REASON_NONE, 1);
    assert_true(copy_out_again(&m));
    assert_int_equal(drive_to(&m, COPY_OUT_STORE, FIXTURE_NOW).to, COPY_OUT_HELD);
    copy_out_stored(&m, REASON_NONE, 1);
    assert_int_equal(drive_to(&m, COPY_OUT_READ_HEAD, FIXTURE_NOW).kind, COPY_OUT_READ_HEAD);
    copy_out_deinit(&m);

    take_up(&m, f, COPY_OUT_HELD, false); /* wanted again before the cancel was even stored */
    copy_out_cancel(&m);
    assert_int_equal(drive_to(&m, COPY_OUT_STORE, FIXTURE_NOW).to, COPY_OUT_WITHDRAWING);
    assert_true(copy_out_again(&m));
    copy_out_stored(&m, REASON_NONE, 1);
    assert_int_equal(drive_to(&m, COPY_OUT_STORE, FIXTURE_NOW).to, COPY_OUT_HELD);
    copy_out_stored(&m, REASON_NONE, 1);
    assert_int_equal(drive_to(&m, COPY_OUT_READ_HEAD, FIXTURE_NOW).kind, COPY_OUT_READ_HEAD);
    copy_out_deinit(&m);

    seal(fixture_of(state), true); /* a move is on its way back */
    take_up(&m, f, COPY_OUT_WITHDRAWING, true);
    assert_false(copy_out_again(&m));
    copy_out_deinit(&m);
}

/* Plays on until the source has ended. */
static void play_out(struct world *w)
{
    for (int i = 0; i < 200 && !copy_out_has_ended(&w->out); i++) {
        if (!world_step(w))
            world_sleep(w);
        world_check(w);
    }
    assert_true(copy_out_has_ended(&w->out));
}

static void play_to_middle(struct world *w, const struct fixture *f, bool move)
{
    world_init(w, f, move);
    while (w->blocks == 0)
        assert_true(world_step(w));
}

/* The owner of the destination does not want it: the source hears that by the signed refusal, without asking again, however long it takes. */
static void test_destination_declines(void **state)
{
    struct world w;
    for (int move = 0; move <= 1; move++)
        for (int lost = 0; lost <= 1; lost++) {
            seal(fixture_of(state), move);
            play_to_middle(&w, fixture_of(state), move);
            world_fault(&w, FAULT_DECLINE);
            if (lost)
                world_fault(&w, FAULT_LOSE);
            play_out(&w);
            assert_int_equal(w.row, COPY_OUT_GONE);
            assert_int_equal(w.out.why, REASON_CANCELLED);
            assert_true(w.out.declined);
            assert_false(w.out.anew);
            assert_int_equal(w.given_back, 1);
            assert_int_equal(w.question_count, 1 + lost); /* offers, no withdrawal */
            world_deinit(&w);
        }
}

/* Wanted again after it was refused, by whichever end: that certificate is given back, and another is to be asked for. */
static void test_again_after_refusal(void **state)
{
    struct world w;
    seal(fixture_of(state), false);
    for (int cancelled = 0; cancelled <= 1; cancelled++) {
        world_init(&w, fixture_of(state), false);
        while (cancelled ? w.row != COPY_OUT_HELD || w.out.doing != COPY_OUT_WAIT : w.blocks == 0)
            assert_true(world_step(&w));
        world_fault(&w, cancelled ? FAULT_CANCEL : FAULT_DECLINE);
        while (w.serial != SERIAL_REFUSED)
            assert_true(world_step(&w));
        world_fault(&w, FAULT_LOSE); /* before the source has heard it */
        world_fault(&w, FAULT_AGAIN);
        play_out(&w);
        assert_int_equal(w.row, COPY_OUT_GONE);
        assert_true(w.out.anew);
        assert_false(w.out.declined);
        assert_int_equal(w.given_back, 1);
        world_deinit(&w);
    }
}

/* The offer of a copy that is HELD is answered so. */
static void offer_is_refused(struct copy_out *m, const struct fixture *f, enum reason why)
{
    struct buf bytes = buf(msg_Refusal_size);
    msg_Refusal refusal;
    reason_refusal(&refusal, why, NULL);
    assert_int_equal(CODEC_ENCODE(msg_Refusal, &bytes, &refusal), 0);
    (void)drive_to(m, COPY_OUT_READ_HEAD, FIXTURE_NOW);
    copy_out_head(m, REASON_NONE, buf_slice(&f->info_bytes), f->list_root, 1);
    (void)drive_to(m, COPY_OUT_CONNECT, FIXTURE_NOW);
    copy_out_connected(m);
    assert_int_equal(drive_to(m, COPY_OUT_SEND, FIXTURE_NOW).type, msg_Type_OFFER);
    copy_out_reply(m, &(struct frame){ msg_Type_REFUSAL, 1, buf_slice(&bytes), slice(NULL, 0) }, REASON_NONE, 1);
    buf_free(&bytes);
}

/* What has no room at the destination is not begun; what may have been begun waits for it. */
static void test_no_room(void **state)
{
    const struct fixture *f = fixture_of(state);
    struct copy_out m;
    seal(fixture_of(state), false);
    take_up(&m, f, COPY_OUT_ASKING, false);
    (void)drive_to(&m, COPY_OUT_ASK, FIXTURE_NOW);
    assert_int_equal(copy_out_granted(&m, buf_slice(&f->certificate_bytes), buf_slice(&f->delegation_bytes)), 0);
    assert_int_equal(drive_to(&m, COPY_OUT_STORE, FIXTURE_NOW).to, COPY_OUT_HELD);
    copy_out_stored(&m, REASON_NONE, 1);
    offer_is_refused(&m, f, REASON_STORAGE_FULL);
    assert_int_equal(drive_to(&m, COPY_OUT_STORE, FIXTURE_NOW).to, COPY_OUT_WITHDRAWING);
    assert_int_equal(m.why, REASON_STORAGE_FULL);
    copy_out_deinit(&m);

    take_up(&m, f, COPY_OUT_HELD, false);
    offer_is_refused(&m, f, REASON_STORAGE_FULL);
    assert_int_equal(drive_to(&m, COPY_OUT_LATER, FIXTURE_NOW).why, REASON_STORAGE_FULL);
    assert_int_equal(m.state, COPY_OUT_HELD);
    copy_out_deinit(&m);
}

/* The issuer has given the license of a move anew: nothing is left to do, and nothing of the later edition is touched. */
static void test_overtaken_move(void **state)
{
    const struct fixture *f = fixture_of(state);
    static const enum copy_out_state states[] = { COPY_OUT_HELD, COPY_OUT_WITHDRAWING };
    struct copy_out m;
    for (size_t i = 0; i < ARRAY_COUNT(states); i++) {
        seal(fixture_of(state), true);
        take_up(&m, f, states[i], true);
        copy_out_overtaken(&m);
        struct copy_out_action a = drive_to(&m, COPY_OUT_STORE, FIXTURE_NOW);
        assert_int_equal(a.to, COPY_OUT_GONE);
        assert_int_equal(a.type, 0);
        copy_out_deinit(&m);
    }
    seal(fixture_of(state), false); /* a copy goes on */
    take_up(&m, f, COPY_OUT_HELD, false);
    copy_out_overtaken(&m);
    assert_int_equal(drive_to(&m, COPY_OUT_READ_HEAD, FIXTURE_NOW).kind, COPY_OUT_READ_HEAD);
    copy_out_deinit(&m);
}

/* Every byte of what the other end says, cut there or flipped: no state is left for it that was not allowed. */
static void test_cut_and_flipped_messages(void **state)
{
    const struct fixture *f = fixture_of(state);
    seal(fixture_of(state), false);
    struct copy_out m;
    take_up(&m, f, COPY_OUT_HELD, false);
    assert_int_equal(drive_to(&m, COPY_OUT_READ_HEAD, FIXTURE_NOW).kind, COPY_OUT_READ_HEAD);
    copy_out_head(&m, REASON_NONE, buf_slice(&f->info_bytes), f->list_root, 1);
    (void)drive_to(&m, COPY_OUT_CONNECT, FIXTURE_NOW);
    copy_out_connected(&m);
    struct copy_out_action a = drive_to(&m, COPY_OUT_SEND, FIXTURE_NOW);
    assert_int_equal(a.type, msg_Type_OFFER);
    for (size_t i = 0; i < a.message.len; i++) {
        struct copy_in in;
        struct frame cut = { msg_Type_OFFER, 1, slice(a.message.data, i), slice(NULL, 0) };
        assert_int_equal(copy_in_read(&in, &cut, &f->destination_id, &f->source_id), REASON_MALFORMED);
    }
    uint8_t *bytes = malloc(a.message.len);
    assert_non_null(bytes);
    for (size_t i = 0; i < f->certificate_bytes.len; i += 7) { /* whatever it becomes, nothing is begun by it */
        struct copy_in in;
        memcpy(bytes, a.message.data, a.message.len);
        bytes[i] ^= 0x20;
        struct frame flipped = { msg_Type_OFFER, 1, slice(bytes, a.message.len), slice(NULL, 0) };
        int r = copy_in_read(&in, &flipped, &f->destination_id, &f->source_id);
        if (r != 0)
            continue;
        enum copy_in_action_kind kind = copy_in_next(&in).kind;
        assert_true(kind == COPY_IN_DENY || kind == COPY_IN_CHECK);
        copy_in_deinit(&in);
    }
    free(bytes);
    copy_out_deinit(&m);
}

/* A receipt of somebody else, or about something else, is no receipt. */
static void test_foreign_receipts(void **state)
{
    const struct fixture *f = fixture_of(state);
    struct buf envelope = buf(1024);
    seal(fixture_of(state), false);
    for (int broken = 0; broken < 5; broken++) {
        struct copy_out m;
        doc_Receipt r = { .outcome = RECEIPT_STORED, .signed_ms = FIXTURE_NOW };
        memcpy(r.issuer, f->partner.bytes, 32);
        memcpy(r.serial, f->certificate.serial, 16);
        memcpy(r.content, f->certificate.content, 32);
        memcpy(r.source, f->source_id.bytes, 32);
        memcpy(r.destination, f->destination_id.bytes, 32);
        uint8_t *const fields[] = { r.issuer, r.serial, r.content, r.source };
        if (broken < 4)
            fields[broken][0] ^= 1;
        const struct fixture_party *by = broken == 4 ? &f->stranger : &f->destination;
        if (broken == 4) {
            struct id stranger = fixture_id(by);
            memcpy(r.destination, stranger.bytes, 32);
        }
        fixture_sign(&envelope, DOCUMENT_RECEIPT, &r, by);
        take_up(&m, f, COPY_OUT_HELD, false);
        assert_false(copy_out_is_about(&m, &r));
        copy_out_deinit(&m);
    }
    buf_free(&envelope);
}

/* Who says what to whom: refused before the vault is asked. */
static void test_ends(void **state)
{
    const struct fixture *f = fixture_of(state);
    struct id stranger = fixture_id(&f->stranger);
    const struct {
        const char *name;
        const struct id *self, *source;
        enum reason why;
    } cases[] = {
        { "for another device", &stranger, &f->source_id, REASON_WRONG_DESTINATION },
        { "by another device", &f->destination_id, &stranger, REASON_NOT_PERMITTED },
    };
    struct copy_out m;
    seal(fixture_of(state), false);
    take_up(&m, f, COPY_OUT_WITHDRAWING, false);
    (void)drive_to(&m, COPY_OUT_CONNECT, FIXTURE_NOW);
    copy_out_connected(&m);
    struct copy_out_action a = drive_to(&m, COPY_OUT_SEND, FIXTURE_NOW);
    assert_int_equal(a.type, msg_Type_WITHDRAW);
    struct frame frame = { a.type, 1, a.message, slice(NULL, 0) };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct copy_in in;
        assert_int_equal(copy_in_read(&in, &frame, cases[i].self, cases[i].source), 0);
        struct copy_in_action denied = copy_in_next(&in);
        assert_int_equal(denied.kind, COPY_IN_DENY);
        assert_int_equal(denied.why, cases[i].why);
        assert_true(copy_in_has_ended(&in));
        copy_in_deinit(&in);
    }
    copy_out_deinit(&m);
}

/* What goes wrong at the destination itself: neither is a body that is not whole committed, nor does the source hear of a copy that was not stored. */
static void test_destination_fails(void **state)
{
    const struct fixture *f = fixture_of(state);
    static const struct {
        const char *name;
        enum reason received, committed;
        bool receipt;
        enum copy_in_action_kind then;
        enum copy_in_state end;
    } cases[] = {
        { "no room", REASON_STORAGE_FULL, REASON_NONE, false, COPY_IN_HANG_UP, COPY_IN_FAILED },
        { "the source sends other bytes", REASON_BLOCK_CORRUPT, REASON_NONE, false, COPY_IN_HANG_UP, COPY_IN_FAILED },
        { "the vault refuses", REASON_NONE, REASON_SERIAL_ALREADY_USED, true, COPY_IN_HANG_UP, COPY_IN_FAILED },
        { "withdrawn meanwhile", REASON_NONE, REASON_CANCELLED, false, COPY_IN_DROP, COPY_IN_DROPPED },
        { "no receipt", REASON_NONE, REASON_NONE, false, COPY_IN_HANG_UP, COPY_IN_FAILED },
        { "stored", REASON_NONE, REASON_NONE, true, COPY_IN_DELIVER, COPY_IN_DELIVERING },
    };
    const vlt_CertificateState reserved = { .state = 1 };
    struct copy_out m;
    seal(fixture_of(state), false);
    take_up(&m, f, COPY_OUT_HELD, false);
    (void)drive_to(&m, COPY_OUT_READ_HEAD, FIXTURE_NOW);
    copy_out_head(&m, REASON_NONE, buf_slice(&f->info_bytes), f->list_root, 1);
    (void)drive_to(&m, COPY_OUT_CONNECT, FIXTURE_NOW);
    copy_out_connected(&m);
    struct copy_out_action offer = drive_to(&m, COPY_OUT_SEND, FIXTURE_NOW);
    struct frame frame = { offer.type, 1, offer.message, slice(NULL, 0) };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct copy_in in;
        assert_int_equal(copy_in_read(&in, &frame, &f->destination_id, &f->source_id), 0);
        assert_int_equal(copy_in_next(&in).kind, COPY_IN_CHECK);
        copy_in_judged(&in, REASON_NONE, NULL, &reserved);
        assert_int_equal(copy_in_next(&in).kind, COPY_IN_BEGIN);
        copy_in_begun(&in, REASON_NONE);
        assert_int_equal(copy_in_next(&in).kind, COPY_IN_REPLY);
        assert_int_equal(copy_in_next(&in).kind, COPY_IN_PULL);
        copy_in_received(&in, cases[i].received, NULL);
        enum copy_in_action_kind then = copy_in_next(&in).kind;
        if (cases[i].received == REASON_NONE) {
            assert_int_equal(then, COPY_IN_COMMIT);
            copy_in_committed(&in, cases[i].committed, NULL, cases[i].receipt ? slice_str("receipt") : slice(NULL, 0));
            then = copy_in_next(&in).kind;
        }
        if (then != cases[i].then || in.state != cases[i].end)
            fail_msg("%s: action %d, state %d", cases[i].name, (int)then, (int)in.state);
        copy_in_deinit(&in);
    }
    copy_out_deinit(&m);
}

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof(*f));
    if (f == NULL)
        return -1;
    fixture_init(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_undisturbed),
        cmocka_unit_test(test_every_fault_at_every_step),
        cmocka_unit_test(test_pairs_of_faults),
        cmocka_unit_test(test_cancelled_while_away),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_ended_certificate),
        cmocka_unit_test(test_again_after_cancel),
        cmocka_unit_test(test_destination_declines),
        cmocka_unit_test(test_again_after_refusal),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_overtaken_move),
        cmocka_unit_test(test_cut_and_flipped_messages),
        cmocka_unit_test(test_foreign_receipts),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_destination_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
