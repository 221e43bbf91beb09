/* The system source differs every time; the fake one never does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"

#include <string.h>

static void test_system(void **state)
{
    (void)state;
    uint8_t a[32] = { 0 }, b[32] = { 0 };
    rng_fill(rng_system(), a, sizeof(a));
    rng_fill(rng_system(), b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    rng_fill(rng_system(), a, 0);
    static uint8_t large[(1 << 20) + 3];
    rng_fill(rng_system(), large, sizeof(large));
    int tail = 0;
    for (int i = 0; i < 64 && !tail; i++) { /* three zero bytes 64 times over: not in this universe */
        rng_fill(rng_system(), large, sizeof(large));
        tail = large[sizeof(large) - 1] | large[sizeof(large) - 2] | large[sizeof(large) - 3];
    }
    assert_int_not_equal(tail, 0);
}

/* xoshiro256** after splitmix64(42), from the algorithms' published definitions: test vectors depend on it. */
static void test_fake_is_fixed(void **state)
{
    (void)state;
    static const uint8_t expected[16] = { 0x16, 0xc7, 0x2e, 0x0c, 0x2e, 0x0b, 0x78, 0x15,
                                          0x7e, 0x3a, 0x11, 0x6d, 0x86, 0xd9, 0x04, 0x61 };
    struct rng_fake f;
    uint8_t out[16];
    rng_fake_init(&f, 42);
    rng_fill(&f.rng, out, sizeof(out));
    assert_memory_equal(out, expected, sizeof(out));
}

static void test_fake_repeats(void **state)
{
    (void)state;
    struct rng_fake a, b;
    uint8_t from_a[100], from_b[100];
    rng_fake_init(&a, 7);
    rng_fake_init(&b, 7);
    rng_fill(&a.rng, from_a, sizeof(from_a));
    rng_fill(&b.rng, from_b, sizeof(from_b));
    assert_memory_equal(from_a, from_b, sizeof(from_a));
    rng_fake_init(&b, 8);
    rng_fill(&b.rng, from_b, sizeof(from_b));
    assert_memory_not_equal(from_a, from_b, sizeof(from_a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system),
        cmocka_unit_test(test_fake_is_fixed),
        cmocka_unit_test(test_fake_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
