/* Command line over file over defaults; and what is refused. */
#include "cm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "daemon/config.h"

static char path[64];

static int setup(void **state)
{
    int fd;
    (void)state;
    strcpy(path, "/tmp/hearthd-config-XXXXXX");
    fd = mkstemp(path);
    check(fd >= 0);
    close(fd);
    fd = open("/dev/null", O_WRONLY); /* what is wrong is said to the person, not to the test's log */
    check(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
    unsetenv("STATE_DIRECTORY");
    unsetenv("RUNTIME_DIRECTORY");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    check(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static int load(struct config *c, const char *a, const char *b, const char *d, const char *e)
{
    char *argv[] = { (char *)"hearthd", (char *)"--config", path, (char *)a, (char *)b, (char *)d, (char *)e, NULL };
    int argc = 3;
    while (argv[argc] != NULL)
        argc++;
    return config_load(c, argc, argv);
}

static void takes_file_then_arguments(void **state)
{
    struct config c;
    (void)state;
    write_file("[device]\nname = attic\n[network]\nlisten = 127.0.0.1:7411\ndiscovery = no\n"
               "[paths]\nstate-dir = /tmp/s\nruntime-dir = /tmp/r\n");
    assert_int_equal(load(&c, NULL, NULL, NULL, NULL), 0);
    assert_string_equal(c.name, "attic");
    assert_string_equal(c.listen_host, "127.0.0.1");
    assert_int_equal(c.listen_port, 7411);
    assert_false(c.discovery);
    assert_string_equal(c.bodies_dir, "/tmp/s/bodies");
    assert_string_equal(c.vault_dir, "/tmp/s/vault");
    assert_int_equal(load(&c, "--name", "loft", "--listen", "[::1]:0"), 0);
    assert_string_equal(c.name, "loft");
    assert_string_equal(c.listen_host, "::1");
    assert_int_equal(c.listen_port, 0);
    assert_string_equal(c.state_dir, "/tmp/s");
}

static void fetches_are_answered_as_configured(void **state)
{
    struct config c;
    (void)state;
    write_file("");
    assert_int_equal(load(&c, "--state-dir", "/tmp/s", "--runtime-dir", "/tmp/r"), 0);
    assert_int_equal(c.answer_fetch, CONFIG_FETCH_ALL);
    write_file("[household]\nanswer-fetch = own\n");
    assert_int_equal(load(&c, "--state-dir", "/tmp/s", "--runtime-dir", "/tmp/r"), 0);
    assert_int_equal(c.answer_fetch, CONFIG_FETCH_OWN);
    write_file("[household]\nanswer-fetch = None\n");
    assert_int_equal(load(&c, "--state-dir", "/tmp/s", "--runtime-dir", "/tmp/r"), 0);
    assert_int_equal(c.answer_fetch, CONFIG_FETCH_NONE);
    write_file("[household]\nanswer-fetch = some\n");
    assert_int_equal(load(&c, "--state-dir", "/tmp/s", "--runtime-dir", "/tmp/r"), CONFIG_USAGE);
}

static void takes_directories_of_service_manager(void **state)
{
    struct config c;
    (void)state;
    write_file("");
    setenv("STATE_DIRECTORY", "/tmp/one:/tmp/two", 1);
    setenv("RUNTIME_DIRECTORY", "/tmp/run", 1);
    assert_int_equal(load(&c, NULL, NULL, NULL, NULL), 0);
    assert_string_equal(c.state_dir, "/tmp/one");
    assert_string_equal(c.runtime_dir, "/tmp/run");
    assert_true(c.discovery);
    unsetenv("STATE_DIRECTORY");
    unsetenv("RUNTIME_DIRECTORY");
}

static void refuses(void **state)
{
    static const char *const files[] = {
        "[device]\nnames = attic\n",
        "[network]\nlisten = 7411\n",
        "[network]\nlisten = host:65536\n",
        "[network]\ndiscovery = maybe\n",
        "name = attic\n",
        "[device\n",
        "[device]\nname =\n",
    };
    static const char *const arguments[][2] = {
        { "--listen", "host" }, { "--listen", "host:" }, { "--listen", "host:x" }, { "--name", "" },
        { "--name", "\xff" },   { "--unknown", NULL },   { "extra", NULL },
    };
    struct config c;
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        write_file(files[i]);
        assert_int_equal(load(&c, NULL, NULL, NULL, NULL), CONFIG_USAGE);
    }
    write_file("");
    for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++)
        assert_int_equal(load(&c, arguments[i][0], arguments[i][1], NULL, NULL), CONFIG_USAGE);
    char *absent[] = { (char *)"hearthd", (char *)"--config", (char *)"/nonexistent/hearthd.conf", NULL };
    assert_int_equal(config_load(&c, 3, absent), CONFIG_USAGE);
}

/* What is said of a wrong file: once, with its line, what was meant, and what would do. */
static void names_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *said[3];
    } cases[] = {
        { "# one\n[network]\nlisten = 7411\n", { "line 3", "listen in [network] cannot be \"7411\"", "HOST:PORT" } },
        { "[network]\ndiscovery = maybe\n", { "line 2", "discovery in [network]", "yes or no" } },
        { "[device]\n\nnames = attic\n", { "line 3", "no setting names in [device]", "man hearthd.conf" } },
        { "[vault]\nkey = \x1b[31m\n", { "line 2", "key in [vault]", "file, tpm or passphrase" } },
        { "[downloads]\nca-file = pem\n", { "line 2", "\"pem\"", "absolute path" } },
        { "[device]\nattic\n", { "line 2", "NAME = VALUE", "" } },
    };
    struct config c;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char said[2048] = "";
        FILE *f = tmpfile();
        int before = dup(STDERR_FILENO);
        check(f != NULL && before >= 0 && dup2(fileno(f), STDERR_FILENO) >= 0);
        write_file(cases[i].text);
        int r = load(&c, NULL, NULL, NULL, NULL);
        check(dup2(before, STDERR_FILENO) >= 0 && close(before) == 0);
        rewind(f);
        check(fread(said, 1, sizeof(said) - 1, f) > 0);
        fclose(f);
        assert_int_equal(r, CONFIG_USAGE);
        assert_non_null(strstr(said, path));
        assert_ptr_equal(strchr(said, '\n'), strrchr(said, '\n'));
        assert_null(strchr(said, 0x1b));
        for (size_t k = 0; k < 3; k++)
            assert_non_null(strstr(said, cases[i].said[k]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_file_then_arguments),
        cmocka_unit_test(fetches_are_answered_as_configured),
        cmocka_unit_test(takes_directories_of_service_manager),
        cmocka_unit_test(refuses),
        cmocka_unit_test(names_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
