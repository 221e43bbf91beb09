/* Turns: who waits for whom, and hears of it when. */
#include "net/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

#define MANY 200

struct one {
    struct turn turn;
    bool gives; /* it was let go meanwhile: has nothing to do, and gives its turn back at once */
    unsigned heard;
};
static struct turns *turns;
static struct one ones[MANY];

static void on_turn(struct turn *t)
{
    struct one *o = container_of(t, struct one, turn);
    o->heard++;
    if (o->gives)
        turns_give(turns, t);
}

static int setup(void **state)
{
    (void)state;
    memset(ones, 0, sizeof(ones));
    for (size_t i = 0; i < MANY; i++)
        ones[i].turn.on_turn = on_turn;
    return turns_new(&turns);
}

static bool take(unsigned i) { return turns_take(turns, &ones[i].turn); }
static void leave(unsigned i) { turns_leave(turns, &ones[i].turn); }
static void give(unsigned i) { turns_give(turns, &ones[i].turn); }

static int teardown(void **state)
{
    (void)state;
    turns_free(steal(&turns));
    return 0;
}

static void side_by_side(void **state)
{
    (void)state;
    assert_true(take(0));
    assert_true(take(1)); /* of the same content, neither has left */
    give(0);
    give(1);
    assert_int_equal(ones[0].heard + ones[1].heard, 0);
}

static void waits_for_who_leaves(void **state)
{
    (void)state;
    ones[3].turn.content.bytes[31] = 1;
    assert_true(take(0));
    leave(0);
    assert_false(take(1));
    assert_false(take(2));
    assert_true(take(3)); /* of another content */
    assert_int_equal(ones[1].heard, 0);
    give(0);
    assert_int_equal(ones[1].heard, 1);
    assert_int_equal(ones[2].heard, 1);
    leave(1);
    give(1);
    leave(2);
    give(2);
    give(3);
    assert_int_equal(ones[1].heard + ones[2].heard, 2);
}

/* One that leaves while it waits has its turn all the same, and who came later waits for it, too. */
static void leaves_while_it_waits(void **state)
{
    (void)state;
    assert_true(take(0));
    leave(0);
    assert_false(take(1));
    leave(1);
    assert_false(take(2));
    give(0);
    assert_int_equal(ones[1].heard, 1);
    assert_int_equal(ones[2].heard, 0);
    give(1);
    assert_int_equal(ones[2].heard, 1);
    give(2);
}

static void never_gets_its_turn(void **state)
{
    (void)state;
    assert_true(take(0));
    leave(0);
    assert_false(take(1));
    give(1);
    give(0);
    assert_int_equal(ones[1].heard, 0);
}

/* Each gives its turn back from within the call that tells it; freed meanwhile, too. */
static void many_in_a_row(void **state)
{
    (void)state;
    assert_true(take(0));
    leave(0);
    for (unsigned i = 1; i < MANY; i++) {
        ones[i].gives = true;
        assert_false(take(i));
        leave(i);
    }
    turns_free(turns);
    give(0);
    for (unsigned i = 1; i < MANY; i++)
        assert_int_equal(ones[i].heard, 1);
    turns = NULL;
}

static void without_others(void **state)
{
    (void)state;
    struct turn t = { .on_turn = on_turn };
    assert_true(turns_take(NULL, &t));
    turns_leave(NULL, &t);
    turns_give(NULL, &t);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(side_by_side),        EACH(waits_for_who_leaves), EACH(leaves_while_it_waits),
        EACH(never_gets_its_turn), EACH(many_in_a_row),        EACH(without_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
