/* Wrong passwords get slower for whoever guesses, and for nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "distributor/throttle.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"

struct world {
    struct clock_fake clock;
    struct rng_fake rng;
    struct throttle *throttle;
};

static int setup(void **state)
{
    static struct world w;
    clock_fake_init(&w.clock, 1700000000000);
    rng_fake_init(&w.rng, 7);
    *state = &w;
    return throttle_new(&w.throttle, &w.clock.clock, &w.rng.rng);
}

static int teardown(void **state)
{
    struct world *w = *state;
    throttle_free(w->throttle);
    return 0;
}

static struct throttle_login login(const char *address, const char *user, const char *device)
{
    return (struct throttle_login){ slice_str(address), slice_str(user), slice_str(device) };
}

static void fail_times(struct world *w, struct throttle_login l, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        throttle_login_failed(w->throttle, &l);
}

static void test_growing(void **state)
{
    struct world *w = *state;
    struct throttle_login l = login("192.0.2.1:4000", "ada", "");
    fail_times(w, l, THROTTLE_FREE_ATTEMPTS - 1);
    assert_int_equal(throttle_login_wait_ms(w->throttle, &l), 0);
    uint64_t expected_ms = THROTTLE_FIRST_MS;
    for (unsigned i = 0; i < 30; i++) {
        throttle_login_failed(w->throttle, &l);
        assert_int_equal(throttle_login_wait_ms(w->throttle, &l), expected_ms);
        w->clock.mono += 1;
        assert_int_equal(throttle_login_wait_ms(w->throttle, &l), expected_ms - 1);
        expected_ms = u64_min(expected_ms * 2, THROTTLE_FORGET_MS);
    }
    w->clock.mono += THROTTLE_FORGET_MS + 1;
    assert_int_equal(throttle_login_wait_ms(w->throttle, &l), 0);
    throttle_login_failed(w->throttle, &l); /* starts anew */
    assert_int_equal(throttle_login_wait_ms(w->throttle, &l), 0);
}

static void test_others(void **state)
{
    struct world *w = *state;
    fail_times(w, login("192.0.2.1:4000", "ada", ""), 40);
    const struct {
        const char *name, *address, *user, *device;
        uint64_t wait_ms;
    } cases[] = {
        { "another port is the same host", "192.0.2.1:4001", "bob", "", THROTTLE_FORGET_MS },
        { "the same, inside IPv6", "[::ffff:192.0.2.1]:4001", "bob", "", THROTTLE_FORGET_MS },
        { "a stranger elsewhere waits a little for this user", "198.51.100.7:1", "ada", "", THROTTLE_USER_MAX_MS },
        { "another user elsewhere does not wait", "198.51.100.7:1", "bob", "", 0 },
        { "her own device does not wait, even from there", "192.0.2.1:4002", "ada", "kitchen", 0 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct throttle_login l = login(cases[i].address, cases[i].user, cases[i].device);
        if (throttle_login_wait_ms(w->throttle, &l) != cases[i].wait_ms)
            fail_msg("%s", cases[i].name);
    }
    struct throttle_login own = login("192.0.2.1:1", "ada", "kitchen");
    fail_times(w, own, THROTTLE_FREE_ATTEMPTS);
    assert_int_equal(throttle_login_wait_ms(w->throttle, &own), THROTTLE_FIRST_MS);
    throttle_login_succeeded(w->throttle, &own);
    assert_int_equal(throttle_login_wait_ms(w->throttle, &own), 0);
}

/* Whoever has an account of his own cannot wash his address clean with it. */
/* A PIN is short: its delays grow to an hour and it is remembered for a day. */
static void test_pins(void **state)
{
    struct world *w = *state;
    struct slice user = slice_str("ada");
    for (unsigned i = 0; i < THROTTLE_FREE_ATTEMPTS + 30; i++)
        throttle_failed(w->throttle, THROTTLE_PIN, user);
    assert_int_equal(throttle_wait_ms(w->throttle, THROTTLE_PIN, user), THROTTLE_PIN_MAX_MS);
    assert_int_equal(throttle_wait_ms(w->throttle, THROTTLE_USER, user), 0); /* the password is not delayed */
    w->clock.mono += THROTTLE_PIN_MAX_MS;
    assert_int_equal(throttle_wait_ms(w->throttle, THROTTLE_PIN, user), 0);
    throttle_failed(w->throttle, THROTTLE_PIN, user);
    assert_int_equal(throttle_wait_ms(w->throttle, THROTTLE_PIN, user), THROTTLE_PIN_MAX_MS);
    w->clock.mono += THROTTLE_PIN_FORGET_MS + 1;
    throttle_failed(w->throttle, THROTTLE_PIN, user);
    assert_int_equal(throttle_wait_ms(w->throttle, THROTTLE_PIN, user), 0);
    for (unsigned i = 0; i < THROTTLE_FREE_ATTEMPTS; i++)
        throttle_failed(w->throttle, THROTTLE_PIN, user);
    throttle_succeeded(w->throttle, THROTTLE_PIN, user);
    assert_int_equal(throttle_wait_ms(w->throttle, THROTTLE_PIN, user), 0);
}

static void test_success_of_a_stranger(void **state)
{
    struct world *w = *state;
    fail_times(w, login("192.0.2.1:1", "ada", ""), THROTTLE_FREE_ATTEMPTS);
    struct throttle_login mallory = login("192.0.2.1:1", "mallory", "");
    throttle_login_succeeded(w->throttle, &mallory);
    assert_int_equal(throttle_login_wait_ms(w->throttle, &mallory), THROTTLE_FIRST_MS);
}

static void test_hosts(void **state)
{
    (void)state;
    uint8_t a[THROTTLE_HOST_BYTES], b[THROTTLE_HOST_BYTES];
    const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        { "[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:2", true },
        { "[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", false },
        { "[fe80::1%eth0]:1", "[fe80::1%eth1]:1", true },
        { "192.0.2.1:1", "192.0.2.2:1", false },
        { "unix", "unix", true },
        { "", "", true },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size_t a_len = throttle_host(slice_str(cases[i].a), a), b_len = throttle_host(slice_str(cases[i].b), b);
        if (slice_equal(slice(a, a_len), slice(b, b_len)) != cases[i].same)
            fail_msg("%s %s", cases[i].a, cases[i].b);
    }
}

/* Many names: memory stays, and the worst offender is remembered. */
static void test_crowd(void **state)
{
    struct world *w = *state;
    struct throttle_login worst = login("203.0.113.9:1", "ada", "");
    fail_times(w, worst, 40);
    for (unsigned i = 0; i < 3 * THROTTLE_NAMES; i++) {
        char address[32];
        snprintf(address, sizeof(address), "10.%u.%u.%u:1", i >> 16 & 255, i >> 8 & 255, i & 255);
        fail_times(w, login(address, "nobody", ""), 1);
    }
    assert_int_equal(throttle_login_wait_ms(w->throttle, &worst), THROTTLE_FORGET_MS);
}

static void test_bucket(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 3, 1000);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(bucket_take(&b, 10, 3, 1000), 0);
    assert_int_equal(bucket_take(&b, 10, 3, 1000), 100);
    assert_int_equal(bucket_take(&b, 10, 3, 1099), 1);
    assert_int_equal(bucket_take(&b, 10, 3, 1100), 0);
    assert_int_equal(bucket_take(&b, 10, 3, 500), 100); /* a clock that went back gives nothing */
    for (unsigned i = 0; i < 3; i++)                    /* never more than the burst, however long it rested */
        assert_int_equal(bucket_take(&b, 10, 3, INT64_MAX / 2), 0);
    assert_int_equal(bucket_take(&b, 10, 3, INT64_MAX / 2), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_growing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_success_of_a_stranger, setup, teardown),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test_setup_teardown(test_crowd, setup, teardown),
        cmocka_unit_test(test_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
