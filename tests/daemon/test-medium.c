/* What may lie on a medium instead of a file: pipes, links, directories, devices. Nothing of it is waited for or written through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "../base/recorded-syncs.h"
#include "body_fixture.h"
#include "base/helper.h"
#include "daemon/medium.h"

#define HANGS_AFTER_S 20

static struct body_fixture body;
static char dir[64];
static char package[128], certificate[128], other[128];
static msg_ExportCertificate written;
static struct opener *opener;

static int setup(void **state)
{
    (void)state;
    alarm(HANGS_AFTER_S); /* instead of hanging, the test dies */
    body_fixture_init(&body, 70000, 65536);
    fresh_dir(dir);
    assert_int_equal(file_join(package, sizeof(package), dir, "x.hearth"), 0);
    assert_int_equal(file_join(certificate, sizeof(certificate), dir, "x.hearth-certificate"), 0);
    assert_int_equal(file_join(other, sizeof(other), dir, "other"), 0);
    written = (msg_ExportCertificate)msg_ExportCertificate_init_zero;
    assert_int_equal(CODEC_SET_BYTES(written.certificate, slice_str("a certificate")), 0);
    return opener_new(&opener, HELPER_PATIENCE_MS);
}
static int teardown(void **state)
{
    (void)state;
    opener_free(opener);
    remove_dir(dir);
    body_fixture_deinit(&body);
    alarm(0);
    return 0;
}

static int write_package(void)
{
    struct medium_writer w CLEANUP(medium_writer_deinit);
    char path[BODIES_PATH_BYTES];
    medium_writer_init(&w, opener);
    assert_int_equal(bodies_path(body.dir, &body.content, BODIES_BODY, path), 0);
    int r = medium_write_begin(&w, package, path, &body.content);
    while (r == 0 && w.done_bytes < w.total_bytes)
        r = medium_write_step(&w);
    return r == 0 ? medium_write_end(&w) : r;
}

static int read_package(void)
{
    int fd CLEANUP(closep) = -1;
    uint64_t base;
    struct id content;
    struct serve_file file = { .list = NULL };
    int r = medium_open(opener, package, &fd);
    if (r == 0)
        r = medium_read_package(fd, &base, &content, &file);
    if (r == 0)
        assert_true(id_equal(content.bytes, body.content.bytes));
    serve_file_deinit(&file);
    return r;
}

static int read_certificate(void)
{
    msg_ExportCertificate read;
    int fd CLEANUP(closep) = -1;
    int r = medium_open(opener, certificate, &fd);
    if (r == 0)
        r = medium_read_certificate(fd, &read);
    if (r == 0)
        assert_true(slice_equal(CODEC_BYTES(read.certificate), CODEC_BYTES(written.certificate)));
    return r;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    assert_int_equal(write_package(), 0);
    assert_int_equal(medium_write_certificate(opener, certificate, &written), 0);
    assert_int_equal(read_package(), 0);
    assert_int_equal(read_certificate(), 0);
}

/* A medium is pulled out as soon as it is said to be ready. */
static void a_name_comes_after_the_bytes(void **state)
{
    (void)state;
    record_syncs_anew();
    assert_int_equal(write_package(), 0);
    assert_string_equal(recorded_syncs, "FRD");
    record_syncs_anew();
    assert_int_equal(medium_write_certificate(opener, certificate, &written), 0);
    assert_string_equal(recorded_syncs, "FRD");
}

/* A file with something behind its end is not what was written. */
static void nothing_may_follow(void **state)
{
    (void)state;
    const char *const paths[] = { package, certificate };
    assert_int_equal(write_package(), 0);
    assert_int_equal(medium_write_certificate(opener, certificate, &written), 0);
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        FILE *f = fopen(paths[i], "ab");
        assert_non_null(f);
        assert_int_equal(fputc('x', f), 'x');
        assert_int_equal(fclose(f), 0);
    }
    assert_int_equal(read_package(), REASON_BLOCK_CORRUPT);
    assert_int_equal(read_certificate(), REASON_MALFORMED);
}

static void pipes_are_not_waited_for(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(package, 0666), 0);
    assert_int_equal(mkfifo(certificate, 0666), 0);
    assert_int_equal(read_package(), REASON_MALFORMED);
    assert_int_equal(read_certificate(), REASON_MALFORMED);
}

static void links_devices_sockets_and_directories_are_no_files(void **state)
{
    (void)state;
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    static const char *const targets[] = { "/dev/zero", "/dev/tty", "/nonexistent", "other" };
    assert_int_equal(write_package(), 0);
    assert_int_equal(rename(package, other), 0);
    for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
        assert_int_equal(symlink(targets[i], package), 0);
        assert_int_equal(symlink(targets[i], certificate), 0);
        assert_int_equal(read_package(), REASON_MALFORMED);
        assert_int_equal(read_certificate(), REASON_MALFORMED);
        assert_int_equal(unlink(package), 0);
        assert_int_equal(unlink(certificate), 0);
    }
    assert_int_equal(mkdir(package, 0777), 0);
    assert_int_equal(read_package(), REASON_MALFORMED);
    assert_int_equal(rmdir(package), 0);
    int fd CLEANUP(closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%.100s", package);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(read_package(), REASON_MALFORMED);
}

static void nothing_is_written_through(void **state)
{
    (void)state;
    char package_part[160], certificate_part[160];
    struct buf kept CLEANUP(buf_free) = buf(64);
    (void)snprintf(package_part, sizeof(package_part), "%s.part", package);
    (void)snprintf(certificate_part, sizeof(certificate_part), "%s.part", certificate);
    assert_int_equal(mkfifo(package_part, 0666), 0);
    assert_int_equal(mkfifo(certificate_part, 0666), 0);
    assert_int_equal(write_package(), 0);
    assert_int_equal(medium_write_certificate(opener, certificate, &written), 0);
    assert_int_equal(read_package(), 0);
    assert_int_equal(read_certificate(), 0);

    assert_int_equal(file_replace(other, slice_str("somebody's"), 0600), 0);
    assert_int_equal(symlink(other, package_part), 0);
    assert_int_equal(link(other, certificate_part), 0);
    assert_int_equal(write_package(), 0);
    assert_int_equal(medium_write_certificate(opener, certificate, &written), 0);
    assert_int_equal(file_read(other, &kept), 0);
    assert_true(slice_equal(buf_slice(&kept), slice_str("somebody's")));

    assert_int_equal(mkdir(package_part, 0777), 0);
    assert_true(write_package() < 0);
    assert_int_equal(rmdir(package_part), 0);
    assert_int_equal(write_package(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_comes_after_the_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_may_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(pipes_are_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(links_devices_sockets_and_directories_are_no_files, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_written_through, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
