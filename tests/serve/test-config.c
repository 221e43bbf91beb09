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
    static const struct {
        const char *text;
        int line;
    } cases[] = {
        { "[server]\nlissten = x\n", 2 },
        { "[limit]\nconnections = 5\n", 2 },
        { "connections = 5\n", 1 },
        { "[limits]\nconnections = 0\n", 2 },
        { "[limits]\nconnections = -1\n", 2 },
        { "[limits]\nconnections = many\n", 2 },
        { "[limits]\nconnections = 5x\n", 2 },
        { "[limits]\nconnections = \n", 2 },
        { "[limits]\nconnections = 99999999999999999999\n", 2 },
        { "[limits]\nidle-seconds = 1\n", 2 },
        { "[limits\nconnections = 5\n", 1 },
        { "[server]\nlisten = 7700\n", 2 },
        { "[server]\nlisten = *:7700\n", 2 },
        { "[server]\nstate-dir =\n", 2 },
        { "[server]\ntoken-paths = /a:b\n", 2 },
        { "[server]\npayment-command = collect\n", 2 },
        { "[metrics]\nlisten = 0.0.0.0:1\n", 2 },
        { "[metrics]\nlisten = 127.0.0.1:0\n", 2 },
        { "[limits]\nconnections\n", 2 },
        { "[limits]\nrequest-burst = 8\n[server]\nlisten = " /* far too long */
          "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
          "01234567890123456789012345678901234567890123456789\n",
          4 },
    };
    struct config before, c;
    memset(&before, 0, sizeof(before));
    config_init(&before);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char place[128];
        c = before;
        if (read_text(&c, cases[i].text) != CONFIG_MALFORMED)
            fail_msg("%s", cases[i].text);
        snprintf(place, sizeof(place), "%s, line %d: ", path, cases[i].line);
        bool of_a_line = strstr(cases[i].text, "[limits\n") != NULL; /* not what the next one is taken for */
        if (strncmp(c.mistake, place, strlen(place)) != 0 || c.mistake[strlen(place)] == '\0' ||
            (of_a_line && strstr(c.mistake, "no line") == NULL))
            fail_msg("%s%s", cases[i].text, c.mistake);
        memset(c.mistake, 0, sizeof(c.mistake));
        assert_memory_equal(&c, &before, sizeof(c));
    }
    /* As a disk leaves a file that was not synced when the power went: no empty configuration. */
    static const char zeros[64] = "[limits]\nconnections = 7\n";
    assert_int_equal(file_replace(path, slice(zeros, sizeof(zeros)), 0600), 0);
    assert_int_equal(config_read(&c, path), CONFIG_MALFORMED);
    assert_non_null(strstr(c.mistake, "damaged"));
    assert_int_equal(config_read(&c, "/proc/self/mem"), -EIO); /* what cannot be read is none either */
    unlink(path);
    assert_int_equal(config_read(&c, path), -ENOENT); /* named by hand, it has to be there */
}

static void test_log_and_quotas(void **state)
{
    (void)state;
    struct config c;
    config_init(&c);
    assert_int_equal(c.account_rows_per_minute, 30000);
    assert_int_equal(c.partner_rows_per_minute, 60000);
    assert_string_equal(c.log_level, "");
    assert_string_equal(c.log_requests, "refused");
    assert_int_equal(
        read_text(
            &c,
            "[log]\nlevel = debug\nformat = json\nrequests = all\n[metrics]\nlisten = 127.0.0.1:1\n"
            "[limits]\naccount-requests-per-minute = 0\naddress-requests-per-minute = 3\n"
            "partner-requests-per-minute = 4\naccount-rows-per-minute = 5\npartner-rows-per-minute = 0\npassword-attempts = 2\nstop-seconds = 3\n"),
        0);
    assert_string_equal(c.log_level, "debug");
    assert_string_equal(c.log_format, "json");
    assert_string_equal(c.log_requests, "all");
    assert_string_equal(c.metrics_listen, "127.0.0.1:1");
    assert_int_equal(c.account_requests_per_minute, 0);
    assert_int_equal(c.address_requests_per_minute, 3);
    assert_int_equal(c.partner_requests_per_minute, 4);
    assert_int_equal(c.account_rows_per_minute, 5);
    assert_int_equal(c.partner_rows_per_minute, 0);
    assert_int_equal(c.password_attempts, 2);
    assert_int_equal(c.stop_seconds, 3);
    static const char *const bad[] = { "[log]\nlevel = loud\n",      "[log]\nlevel = \n",
                                       "[log]\nformat = xml\n",      "[log]\nrequests = some\n",
                                       "[log]\nlevel = info warn\n", "[log]\nlevel = inf\n" };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(read_text(&c, bad[i]), CONFIG_MALFORMED);
    assert_string_equal(c.log_level, "debug");
}

/* What a reload may change, and what it only names. */
static void test_reload(void **state)
{
    (void)state;
    struct config c;
    char what[128], little[8];
    config_init(&c);
    assert_int_equal(read_text(&c, "[server]\nlisten = a:1\n[limits]\nconnections = 5\nidle-seconds = 20\n"), 0);
    struct config fresh = c;
    config_clear(&fresh);
    assert_int_equal(fresh.idle_seconds, 180);
    assert_int_equal(fresh.connections_max, 5);
    assert_int_equal(read_text(&fresh, "[server]\nlisten = b:2\n[limits]\nconnections = 6\nrequest-burst = 9\n"), 0);
    struct config again = fresh;
    assert_int_equal(config_keep(&c, &fresh, what, sizeof(what)), 2);
    assert_string_equal(what, "server listen, limits connections");
    assert_string_equal(fresh.listen, "a:1");
    assert_int_equal(fresh.connections_max, 5);
    assert_int_equal(fresh.request_burst, 9);
    assert_int_equal(config_keep(&c, &again, little, sizeof(little)), 2);
    assert_string_equal(little, "server ");
    assert_int_equal(config_keep(&c, &again, what, sizeof(what)), 0);
    assert_string_equal(what, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mistakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_and_quotas, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
