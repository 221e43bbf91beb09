/* Wiping, comparing, guarded memory, and a hardened process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/secret.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"

static void test_wipe(void **state)
{
    (void)state;
    struct key32 k, zero = { { 0 } };
    memset(&k, 0xaa, sizeof(k));
    key32_wipe(&k);
    assert_memory_equal(&k, &zero, sizeof(k));
    secret_wipe(NULL, 0);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(secret_equal("abc", "abc", 3));
    assert_false(secret_equal("abc", "abd", 3));
    assert_false(secret_equal("xbc", "abc", 3));
    assert_true(secret_equal(NULL, NULL, 0));
}

static void test_guarded(void **state)
{
    (void)state;
    assert_int_equal(secret_init(), 0);
    assert_int_equal(secret_init(), 0);
    static const size_t sizes[] = { 1, 32, 4096, 5000 };
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        uint8_t *p = secret_alloc(sizes[i]);
        assert_non_null(p);
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(p[at], 0);
        memset(p, 0xff, sizes[i]);
        secret_free(p);
    }
    secret_free(NULL);
    assert_null(secret_alloc(SIZE_MAX / 2));
}

/* In a child: what is asked of a process that holds secrets cannot be taken back. */
static void test_harden(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit core;
        if (secret_harden_process() != 0)
            _exit(1);
        if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
            _exit(2);
        if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0)
            _exit(3);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_hide(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(secret_hide_process() == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A secret that could be swapped out is not handed out at all. */
static void test_not_lockable(void **state)
{
    (void)state;
    assert_int_equal(secret_init(), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static char page[4096];
        const struct rlimit none = { 0, 0 };
        if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (getuid() == 0 && setuid(65534) != 0))
            _exit(77);
        if (mlock(page, sizeof(page)) == 0)
            _exit(77); /* privileged in some other way */
        _exit(secret_alloc(32) == NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wipe),   cmocka_unit_test(test_equal), cmocka_unit_test(test_guarded),
        cmocka_unit_test(test_harden), cmocka_unit_test(test_hide),  cmocka_unit_test(test_not_lockable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
