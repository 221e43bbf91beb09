/* What the vault cannot do, watched from outside by strace; and what cannot be read in its files. */
#include "cm.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/keytree.h"
#include "rig.h"

static struct maker shop;

/* A little of everything, so that every kind of secret and every system call has been there. */
static void live(struct rig *rig, struct content *song)
{
    int fd;
    uint64_t play;
    struct channel player;
    struct buf plain = buf(1 << 16);
    content_init(song, &shop, 1, "audio/flac", slice_str("some sound"), 4096);
    assert_int_equal(rig_register(rig, &shop), 0);
    assert_int_equal(rig_buy(rig, &shop, song, 5), 0);
    assert_int_equal(rig_play(rig, song, &fd, &play), 0);
    channel_init(&player, fd, 1 << 20);
    assert_int_equal(rig_open_block(&player, 0, content_block(song, 0), &plain), 0);
    channel_deinit(&player);
    assert_int_equal(rig_play_close(rig, play), 0);
    uint8_t input[130] = { 0 }, signature[64];
    memset(input, 0x20, 64);
    memcpy(input + 64, "TLS 1.3, client CertificateVerify", 34);
    assert_int_equal(rig_tls(rig, SLICE_ARRAY(input), signature), 0);
    buf_free(&plain);
}

/* One traced call: what it says about a path, and whether the path is the vault's business. */
static bool is_allowed_path(const char *line, const char *dir)
{
    char inside[128];
    snprintf(inside, sizeof(inside), "\"%s", dir);
    return strstr(line, inside) || strstr(line, "\"/dev/urandom\"") || strstr(line, "\"vault.db") ||
           strstr(line, "\"\"");
}

static void traced(void **state)
{
    (void)state;
    static char trace[128];
    static const char *wrapper[] = { "strace", "-f", "-qq", "-e", "trace=all", "-o", trace, NULL };
    struct rig rig;
    struct content song;
    if (system("strace -qq -o /dev/null true >/dev/null 2>&1") != 0) {
        print_message("SKIP: strace is not installed or may not trace\n");
        skip();
    }
    snprintf(trace, sizeof(trace), "/tmp/hearth-vault-trace-%d", (int)getpid());
    rig_wrapper = wrapper;
    rig_init(&rig);
    live(&rig, &song);
    rig_stop(&rig);
    rig_wrapper = NULL;
    FILE *f = fopen(trace, "r");
    assert_non_null(f);
    char line[4096];
    bool confined = false;
    unsigned opened = 0, seen = 0;
    while (fgets(line, sizeof(line), f)) {
        const char *call = strchr(line, ' ') + 1; /* after the thread's number */
        call += strspn(call, " ");
        seen++;
        /* From its first line on: */
        if (strncmp(call, "socket(", 7) == 0 || strncmp(call, "connect(", 8) == 0 || strncmp(call, "bind(", 5) == 0 ||
            strncmp(call, "ptrace(", 7) == 0 || strncmp(call, "fork(", 5) == 0 || strncmp(call, "vfork(", 6) == 0)
            fail_msg("%s", line);
        if (strncmp(call, "seccomp(", 8) == 0 && strstr(line, "SECCOMP_SET_MODE_FILTER") && strstr(line, "= 0"))
            confined = true;
        if (!confined)
            continue;
        if (strncmp(call, "execve", 6) == 0)
            fail_msg("%s", line);
        if ((strncmp(call, "open", 4) == 0 || strncmp(call, "unlink", 6) == 0 || strncmp(call, "rename", 6) == 0 ||
             strncmp(call, "mkdir", 5) == 0) &&
            !strstr(line, "resumed>")) {
            opened++;
            if (!is_allowed_path(line, rig.dir))
                fail_msg("%s", line);
        }
    }
    fclose(f);
    unlink(trace);
    assert_int_equal(confined, getenv("HEARTH_HAS_FILTER") != NULL);
    if (confined)
        assert_true(opened > 3);
    else
        print_message("SKIP: built without a system-call filter\n");
    print_message("%u calls looked at, %u of them on files\n", seen, opened);
    content_deinit(&song);
    rig_deinit(&rig);
}

/* Does the filter bite? The vault itself has no reason to try, so a child of this test enters the same sandbox and tries. */
static void forbidden_calls(void **state)
{
    (void)state;
    const char *probe = getenv("HEARTH_SANDBOX_PROBE");
    assert_non_null(probe);
    int r = system(probe);
    if (r != 0 && WEXITSTATUS(r) == 77) {
        print_message("SKIP: no sandbox in this build or kernel\n");
        skip();
    }
    assert_int_equal(r, 0);
}

static void must_not_contain(const struct buf *file, const char *name, const void *secret, size_t len, const char *what)
{
    if (memmem(file->data, file->len, secret, len))
        fail_msg("%s contains %s", name, what);
}

static void no_secret_in_files(void **state)
{
    (void)state;
    struct rig rig;
    struct content song;
    struct dirent *e;
    static uint8_t set[KEYTREE_SET_BYTES];
    unsigned count = 0;
    rig_init(&rig);
    live(&rig, &song);
    keytree_device_set(&shop.tree, MAKER_CATEGORY, MAKER_LEAF, set);
    DIR *d = opendir(rig.dir);
    assert_non_null(d);
    while ((e = readdir(d))) {
        char path[512];
        struct stat st;
        struct buf file = buf(16u << 20);
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", rig.dir, e->d_name);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 077, 0);
        assert_int_equal(file_read(path, &file), 0);
        must_not_contain(&file, e->d_name, song.header_half.bytes, 32, "a header half");
        must_not_contain(&file, e->d_name, song.license_half.bytes, 32, "a license half");
        must_not_contain(&file, e->d_name, song.key.bytes, 32, "a content key");
        must_not_contain(&file, e->d_name, shop.block_root.bytes, 32, "a root key");
        for (size_t i = 0; i < KEYTREE_PATH_COUNT + KEYTREE_LABEL_COUNT; i++)
            must_not_contain(&file, e->d_name, set + 9 + 32 * i, 32, "a node key or label");
        must_not_contain(&file, e->d_name, "some sound", 10, "plain content");
        count++;
        buf_free(&file);
    }
    closedir(d);
    assert_true(count >= 2);
    struct stat st;
    assert_int_equal(stat(rig.dir, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    content_deinit(&song);
    rig_deinit(&rig);
}

/* Its own seeds are known to nobody outside; but whoever has the storage key can say what they are, and then they must not be there. */
static void seeds_are_sealed(void **state)
{
    (void)state;
    struct rig rig;
    struct buf db = buf(16u << 20);
    char path[128];
    rig_init(&rig);
    rig_stop(&rig);
    struct key32 seed, sealing;
    rig_secrets(&rig, &seed, &sealing);
    uint8_t public_key[32];
    sign_public_key(&seed, public_key);
    assert_memory_equal(public_key, rig.self.device_key, 32);
    snprintf(path, sizeof(path), "%s/vault.db", rig.dir);
    assert_int_equal(file_read(path, &db), 0);
    must_not_contain(&db, "vault.db", seed.bytes, 32, "the device's seed");
    must_not_contain(&db, "vault.db", sealing.bytes, 32, "the device's sealing key");
    buf_free(&db);
    rig_deinit(&rig);
}

static void not_dumpable(void **state)
{
    (void)state;
    struct rig rig;
    char path[64];
    struct stat st;
    rig_init(&rig);
    snprintf(path, sizeof(path), "/proc/%d/limits", (int)rig.pid);
    FILE *f = fopen(path, "r");
    char line[256];
    bool core = false;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        core = core || (strncmp(line, "Max core file size", 18) == 0 && strstr(line, " 0 "));
    fclose(f);
    assert_true(core);
    snprintf(path, sizeof(path), "/proc/%d/status", (int)rig.pid);
    f = fopen(path, "r");
    bool no_new_privileges = false;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        no_new_privileges = no_new_privileges || strcmp(line, "NoNewPrivs:\t1\n") == 0;
    fclose(f);
    assert_true(no_new_privileges);
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)rig.pid); /* of a process that may not be traced it is root's */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 0);
    rig_deinit(&rig);
}

static int setup(void **state)
{
    (void)state;
    maker_init(&shop, 1, "Shop");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    maker_deinit(&shop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traced),           cmocka_unit_test(forbidden_calls), cmocka_unit_test(no_secret_in_files),
        cmocka_unit_test(seeds_are_sealed), cmocka_unit_test(not_dumpable),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
