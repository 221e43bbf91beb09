/* Ownership helpers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/outcome.h"

static char *make_and_keep(void)
{
    char *p CLEANUP(freep) = malloc(1);
    return steal(&p); /* under the address sanitizer a missed steal is a use after free */
}

static void test_steal(void **state)
{
    (void)state;
    char *p CLEANUP(freep) = make_and_keep();
    assert_non_null(p);
    *p = 1;
    char *q CLEANUP(freep) = steal(&p);
    assert_null(p);
    assert_int_equal(*q, 1);
}

static void test_closep(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int same = fd;
    assert_true(fd >= 0);
    closep(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(fcntl(same, F_GETFD), -1);
    errno = ENOSPC;
    closep(&fd);
    assert_int_equal(errno, ENOSPC);
}

struct outer {
    int before;
    int inner;
};

static void test_container_of(void **state)
{
    (void)state;
    struct outer o = { 1, 2 };
    assert_ptr_equal(container_of(&o.inner, struct outer, inner), &o);
    int array[7];
    (void)array;
    assert_int_equal(ARRAY_COUNT(array), 7);
    assert_int_equal(size_min(3, 4), 3);
    assert_true(u64_min(UINT64_MAX, 4) == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steal),
        cmocka_unit_test(test_closep),
        cmocka_unit_test(test_container_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
