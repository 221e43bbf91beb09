/* Quotas: a minute's worth at once, then as many as a minute has; each name by itself, whatever else asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "distributor/quotas.h"

#include "base/util.h"

struct world {
    struct clock_fake clock;
    struct rng_fake rng;
    struct quotas *quotas;
};

static int setup(void **state)
{
    static struct world w;
    clock_fake_init(&w.clock, 1700000000000);
    rng_fake_init(&w.rng, 7);
    *state = &w;
    return quotas_new(&w.quotas, &w.clock.clock, &w.rng.rng);
}

static int teardown(void **state)
{
    struct world *w = *state;
    quotas_free(w->quotas);
    return 0;
}

static uint64_t take(struct world *w, const char *name, uint32_t per_minute)
{
    return quotas_take(w->quotas, QUOTAS_ACCOUNT, slice_str(name), per_minute);
}

static void test_no_limit(void **state)
{
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(take(*state, "anna", 0), 0);
}

static void test_rate(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(take(w, "anna", 60), 0);
    assert_int_equal(take(w, "anna", 60), 1000);
    w->clock.mono += 400;
    assert_int_equal(take(w, "anna", 60), 600); /* what was asked in vain costs nothing */
    w->clock.mono += 600;
    assert_int_equal(take(w, "anna", 60), 0);
    assert_int_equal(take(w, "anna", 60), 1000);
    w->clock.mono += 3600000; /* never more than a minute's worth */
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(take(w, "anna", 60), 0);
    assert_int_equal(take(w, "anna", 60), 1000);
}

static void test_each_by_itself(void **state)
{
    struct world *w = *state;
    assert_int_equal(take(w, "anna", 1), 0);
    assert_int_equal(take(w, "anna", 1), 60000);
    assert_int_equal(take(w, "bert", 1), 0);
    assert_int_equal(quotas_take(w->quotas, QUOTAS_PARTNER, slice_str("anna"), 1), 0);
    assert_int_equal(quotas_take(w->quotas, QUOTAS_ADDRESS, slice_str("anna"), 1), 0);
    assert_int_equal(take(w, "anna", 1), 60000);
}

static uint64_t charge(struct world *w, uint32_t count, uint32_t per_minute)
{
    return quotas_charge(w->quotas, QUOTAS_ORIGIN_ROWS, slice_str("anna"), count, per_minute);
}

/* What is used already is a debt, which is paid before anything else; of the greatest one four minutes are asked. */
static void test_debt(void **state)
{
    struct world *w = *state;
    assert_int_equal(charge(w, 1000000, 0), 0); /* no limit */
    assert_int_equal(charge(w, 0, 60), 0);
    assert_int_equal(charge(w, 60, 60), 0);
    assert_int_equal(charge(w, 0, 60), 0);
    assert_int_equal(charge(w, 3, 60), 3000);
    assert_int_equal(charge(w, 0, 60), 3000); /* asking costs nothing */
    w->clock.mono += 1000;
    assert_int_equal(charge(w, 1, 60), 3000);
    w->clock.mono += 3000;
    assert_int_equal(charge(w, 0, 60), 0);
    assert_int_equal(charge(w, UINT32_MAX, 60), 4 * 60000);
    assert_int_equal(charge(w, UINT32_MAX, 60), 4 * 60000);
    w->clock.mono += 4 * 60000;
    assert_int_equal(charge(w, 0, 60), 0);
    assert_int_equal(charge(w, 1, 60), 1000);
    w->clock.mono += 3600000;
    assert_int_equal(charge(w, 60, 60), 0);
    assert_int_equal(charge(w, 1, 60), 1000);
}

/* A lower limit counts at once. */
static void test_lowered(void **state)
{
    struct world *w = *state;
    assert_int_equal(take(w, "anna", 1000), 0);
    assert_int_equal(take(w, "anna", 1), 0);
    assert_int_equal(take(w, "anna", 1), 60000);
}

/* Strangers fill the table; memory stays what it is, and whoever asks all the time stays in it. */
static void test_bounded(void **state)
{
    struct world *w = *state;
    assert_int_equal(take(w, "anna", 2), 0);
    for (uint32_t i = 0; i < 4 * QUOTAS_NAMES; i++) {
        uint8_t name[4];
        put_be32(name, i);
        w->clock.mono += i % 64 == 0;
        assert_int_equal(quotas_take(w->quotas, QUOTAS_ADDRESS, SLICE_ARRAY(name), 1), 0);
        if (i % 1024 == 0)
            (void)!take(w, "anna", 2);
    }
    assert_true(take(w, "anna", 2) > 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = { CASE(test_no_limit), CASE(test_rate),    CASE(test_each_by_itself),
                                        CASE(test_debt),     CASE(test_lowered), CASE(test_bounded) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
