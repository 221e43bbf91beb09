/* The configuration file: what it sets, what it leaves, and that a mistake in it changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "distributor/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"

static char path[64];

static int setup(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/test-config-%d.ini", (int)getpid());
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static int read_text(struct config *c, const char *text)
{
    assert_int_equal(file_replace(path, slice_str(text), 0600), 0);
    return config_read(c, path);
}

static void test_all(void **state)
{
    (void)state;
    struct config c;
    config_init(&c);
    assert_string_equal(c.state_dir, CONFIG_STATE_DIR_DEFAULT);
    assert_string_equal(c.path, "");
    assert_int_equal(read_text(&c, "; a comment\n[server]\nstate-dir = /srv/a b\nlisten = [::1]:7700\npid-file=/run/p\n"
                                   "address-file = /run/a ; where it listens\n\n[limits]\nconnections = 7\n"
                                   "connections-per-address = 3\nrequests-per-second = 5\nrequest-burst = 6\n"
                                   "queue-per-connection = 2\nidle-seconds = 60\n"),
                     0);
    assert_string_equal(c.state_dir, "/srv/a b");
    assert_string_equal(c.listen, "[::1]:7700");
    assert_string_equal(c.pid_file, "/run/p");
    assert_string_equal(c.address_file, "/run/a");
    assert_string_equal(c.path, path);
    assert_int_equal(c.connections_max, 7);
    assert_int_equal(c.connections_per_address_max, 3);
    assert_int_equal(c.requests_per_second, 5);
    assert_int_equal(c.request_burst, 6);
    assert_int_equal(c.queue_max, 2);
    assert_int_equal(c.idle_seconds, 60);
    assert_int_equal(read_text(&c, "[limits]\nidle-seconds = 61\n"), 0); /* over what is there */
    assert_int_equal(c.idle_seconds, 61);
    assert_int_equal(c.connections_max, 7);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[server]\nlissten = x\n",
        "[limit]\nconnections = 5\n",
        "connections = 5\n",
        "[limits]\nconnections = 0\n",
        "[limits]\nconnections = -1\n",
        "[limits]\nconnections = many\n",
        "[limits]\nconnections = 5x\n",
        "[limits]\nconnections = \n",
        "[limits]\nconnections = 99999999999999999999\n",
        "[limits]\nidle-seconds = 1\n",
        "[limits\nconnections = 5\n",
        "[limits]\nconnections\n",
        "[limits]\nrequest-burst = 8\n[server]\nlisten = " /* far too long */
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "01234567890123456789012345678901234567890123456789\n",
    };
    struct config before, c;
    memset(&before, 0, sizeof(before));
    config_init(&before);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        c = before;
        if (read_text(&c, texts[i]) != CONFIG_MALFORMED)
            fail_msg("%s", texts[i]);
        assert_memory_equal(&c, &before, sizeof(c));
    }
    unlink(path);
    assert_int_equal(config_read(&c, path), -ENOENT); /* named by hand, it has to be there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mistakes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
