/* No room for the database to grow: every answer is a refusal then, nothing half done, and all is well when there is room again. */
#include "cm.h"

#include <signal.h>
#include <sys/resource.h>

#include "rig.h"

static struct rig rig;
static struct maker shop;

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit); /* inherited by the vault; this process writes no file */
}

static int buy(uint32_t number)
{
    struct content c;
    content_init(&c, &shop, 1, "audio/flac", slice(&number, sizeof(number)), 4096);
    memcpy(c.license_id, &number, sizeof(number));
    int r = rig_buy(&rig, &shop, &c, number + 1);
    content_deinit(&c);
    return r;
}

static void full(void **state)
{
    (void)state;
    vlt_Licenses all;
    uint8_t before[32], after[32];
    uint32_t count = 0;
    int r;
    signal(SIGXFSZ, SIG_IGN);
    maker_init(&shop, 1, "Shop");
    rig_init(&rig);
    assert_int_equal(rig_register(&rig, &shop), 0);
    rig_stop(&rig);
    limit_files(600 * 1024);
    rig_start(&rig);
    while ((r = buy(count)) == 0)
        count++;
    assert_true(count > 10);
    assert_true(r == REASON_STORAGE_FULL || r == REASON_INTERNAL || r == REASON_TOO_LARGE);
    rig_dump(&rig, before);
    for (uint32_t i = 0; i < 20; i++)
        assert_true(buy(count + i) > 0);
    rig_dump(&rig, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(rig_licenses(&rig, &all), 0); /* reading goes on */
    assert_int_equal(all.total, count);
    rig_kill(&rig);
    limit_files(RLIM_INFINITY);
    rig_start(&rig);
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.total, count);
    assert_int_equal(buy(count), 0);
    print_message("%u licenses fitted\n", count);
    rig_deinit(&rig);
    maker_deinit(&shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(full) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
