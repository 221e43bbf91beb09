/* What is freed and allocated again does not come from the kernel anew; what was kept goes back when it is said. */
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <unistd.h>

#define BLOCK (256u << 10)
#define BLOCKS 8

static long faults(void)
{
    struct rusage u;
    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return u.ru_minflt;
}

static long resident_bytes(void)
{
    long all, here;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &all, &here), 2);
    (void)fclose(f);
    return here * sysconf(_SC_PAGESIZE);
}

/* As blocks come and go: some at a time, all of them written. */
static void come_and_go(void)
{
    void *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK);
        assert_non_null(blocks[i]);
        memset(blocks[i], i + 1, BLOCK);
    }
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void kept_and_given_back(void **state)
{
    (void)state;
    memory_keep();
    come_and_go();
    long before = faults();
    for (int i = 0; i < 50; i++)
        come_and_go();
    assert_in_range(faults() - before, 0, 200); /* of 50 * 8 * 64 pages */
    long kept = resident_bytes();
    memory_give_back();
    assert_true(resident_bytes() <= kept - (long)(BLOCK * BLOCKS / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(kept_and_given_back) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
