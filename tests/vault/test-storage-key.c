/* The storage key in each of its forms, from one to another, and where it must not open. TPMs are swtpm processes with a directory each; without swtpm those
 * cases are skipped, and said to be. */
#include "vault/storage_key.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/util.h"

#define SWTPM "/usr/bin/swtpm"

struct place {
    char dir[64], key[PATH_MAX], before[PATH_MAX], passphrase[PATH_MAX];
};

static void path_of(char out[PATH_MAX], const struct place *p, const char *name)
{
    assert_int_equal(file_join(out, PATH_MAX, p->dir, name), 0);
}

static void write_file(const char *path, const char *text)
{
    assert_int_equal(file_replace(path, slice_str(text), 0600), 0);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    assert_int_equal(secret_init(), 0);
    strcpy(p->dir, "/tmp/hearth-key-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    path_of(p->key, p, "storage.key");
    path_of(p->before, p, "before");
    path_of(p->passphrase, p, "passphrase");
    write_file(p->passphrase, "correct horse\nnot this line\n");
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char *argv[] = { (char *)"rm", (char *)"-rf", p->dir, NULL };
    pid_t child = fork();
    if (child == 0) {
        execv("/bin/rm", argv);
        _exit(127);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    free(p);
    return 0;
}

static int get(const struct place *p, bool create, const struct storage_key_wish *wish, struct key32 *out)
{
    struct key32 *key = NULL;
    int r = storage_key_get(p->dir, create, wish, rng_system(), &key);
    if (r == 0)
        *out = *key;
    else
        assert_null(key);
    secret_free(key);
    return r;
}

static const struct storage_key_wish as_it_is, to_file = { STORAGE_KEY_FILE, NULL, NULL };

static void content_of(const char *path, uint8_t out[1024], size_t *len)
{
    struct buf b = buf(1024);
    assert_int_equal(file_read(path, &b), 0);
    *len = b.len;
    memcpy(out, b.data, b.len);
    buf_free(&b);
}

static bool holds(const char *path, const struct key32 *key)
{
    uint8_t content[1024];
    size_t len;
    content_of(path, content, &len);
    return memmem(content, len, key->bytes, sizeof(key->bytes)) != NULL;
}

/* Its old inode keeps a name, so that what was left there can be seen. */
static void keep_before(const struct place *p)
{
    (void)unlink(p->before);
    assert_int_equal(link(p->key, p->before), 0);
}

/* Whatever byte of the file is another one, or missing, another key never comes of it. */
static void bytes_count(const struct place *p, const struct storage_key_wish *wish, const struct key32 *key,
                        size_t step)
{
    uint8_t content[1024];
    struct key32 found;
    size_t len;
    content_of(p->key, content, &len);
    for (size_t i = 0; i < len; i += step) {
        content[i] ^= 1;
        assert_int_equal(file_replace(p->key, slice(content, len), 0600), 0);
        int r = get(p, false, wish, &found);
        assert_true(r == STORAGE_KEY_CLOSED || r == -EUCLEAN);
        content[i] ^= 1;
    }
    for (size_t i = 0; i < len; i += step) {
        assert_int_equal(file_replace(p->key, slice(content, i), 0600), 0);
        int r = get(p, false, wish, &found);
        assert_true(r == STORAGE_KEY_CLOSED || r == -EUCLEAN);
    }
    assert_int_equal(file_replace(p->key, slice(content, len), 0600), 0);
    assert_int_equal(get(p, false, wish, &found), 0);
    assert_memory_equal(&found, key, sizeof(found));
}

/* --- Without a TPM --- */

static void forms_have_names(void **state)
{
    static const struct {
        const char *text;
        int outcome;
        enum storage_key_form form;
    } cases[] = {
        { "file", 0, STORAGE_KEY_FILE },
        { "tpm", 0, STORAGE_KEY_TPM },
        { "passphrase", 0, STORAGE_KEY_PASSPHRASE },
        { "files", -EINVAL, STORAGE_KEY_AS_IT_IS },
        { "", -EINVAL, STORAGE_KEY_AS_IT_IS },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        enum storage_key_form form = STORAGE_KEY_AS_IT_IS;
        assert_int_equal(storage_key_parse(cases[i].text, &form), cases[i].outcome);
        assert_int_equal(form, cases[i].form);
    }
}

static void a_file_is_the_default(void **state)
{
    const struct place *p = *state;
    struct key32 key, again;
    struct stat st;
    assert_int_equal(get(p, false, &as_it_is, &key), STORAGE_KEY_ABSENT);
    assert_int_equal(get(p, true, &as_it_is, &key), 0);
    assert_int_equal(stat(p->key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(get(p, false, &as_it_is, &again), 0);
    assert_memory_equal(&key, &again, sizeof(key));
    assert_true(holds(p->key, &key));
}

static void a_passphrase_opens_it_and_nothing_else_does(void **state)
{
    const struct place *p = *state;
    const struct storage_key_wish wish = { STORAGE_KEY_PASSPHRASE, NULL, p->passphrase };
    struct key32 key, found;
    assert_int_equal(get(p, true, &as_it_is, &key), 0);
    keep_before(p);
    assert_int_equal(get(p, false, &wish, &found), 0);
    assert_memory_equal(&key, &found, sizeof(key));
    assert_false(holds(p->key, &key));
    assert_false(holds(p->before, &key)); /* nor where it lay before */
    bytes_count(p, &wish, &key, 29);

    assert_int_equal(get(p, false, &as_it_is, &found), STORAGE_KEY_CLOSED); /* nobody says which passphrase */
    assert_int_equal(get(p, false, &to_file, &found), STORAGE_KEY_CLOSED);
    write_file(p->passphrase, "correct hors\n");
    assert_int_equal(get(p, false, &wish, &found), STORAGE_KEY_CLOSED);
    write_file(p->passphrase, "\n");
    assert_int_equal(get(p, false, &wish, &found), STORAGE_KEY_CLOSED);
    assert_int_equal(unlink(p->passphrase), 0);
    assert_int_equal(get(p, false, &wish, &found), STORAGE_KEY_CLOSED);
    write_file(p->passphrase, "correct horse"); /* without a line's end: the same */
    assert_int_equal(get(p, false, &wish, &found), 0);

    const struct storage_key_wish out = { STORAGE_KEY_FILE, NULL, p->passphrase };
    assert_int_equal(get(p, false, &out, &found), 0);
    assert_int_equal(get(p, false, &as_it_is, &found), 0);
    assert_memory_equal(&key, &found, sizeof(key));
}

static void a_new_one_may_be_under_a_passphrase_at_once(void **state)
{
    const struct place *p = *state;
    const struct storage_key_wish wish = { STORAGE_KEY_PASSPHRASE, NULL, p->passphrase };
    struct key32 key, found;
    assert_int_equal(get(p, true, &wish, &key), 0);
    assert_false(holds(p->key, &key));
    assert_int_equal(get(p, false, &wish, &found), 0);
    assert_memory_equal(&key, &found, sizeof(key));
}

/* --- With TPMs --- */

struct machine {
    const char *name;
    char tcti[160], socket[128], state[128];
    pid_t pid;
};

static bool have_tpm(void) { return access(SWTPM, X_OK) == 0 && getenv("HEARTH_HAS_TPM") != NULL; }

static bool answers(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd CLEANUP(closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(strlen(path) < sizeof(to.sun_path));
    strcpy(to.sun_path, path);
    return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

/* Another directory is another TPM. */
static void start(struct machine *m, const struct place *p)
{
    char state[160], server[160], control[160];
    snprintf(m->state, sizeof(m->state), "%s/%s", p->dir, m->name);
    snprintf(m->socket, sizeof(m->socket), "%s/%s.socket", p->dir, m->name);
    snprintf(m->tcti, sizeof(m->tcti), "swtpm:path=%s", m->socket);
    snprintf(state, sizeof(state), "dir=%s", m->state);
    snprintf(server, sizeof(server), "type=unixio,path=%s", m->socket);
    snprintf(control, sizeof(control), "type=unixio,path=%s.ctrl", m->socket);
    assert_true(mkdir(m->state, 0700) == 0 || errno == EEXIST);
    (void)unlink(m->socket);
    m->pid = fork();
    assert_true(m->pid >= 0);
    if (m->pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC); /* it tells of each connection */
        if (dup2(null, STDOUT_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0)
            execl(SWTPM, "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server, "--ctrl", control,
                  "--flags", "not-need-init,startup-clear", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; !answers(m->socket); i++) {
        assert_true(i < 2000);
        usleep(10000);
    }
}

static void stop(struct machine *m)
{
    if (m->pid <= 0)
        return;
    (void)kill(m->pid, SIGTERM);
    assert_int_equal(waitpid(m->pid, NULL, 0), m->pid);
    m->pid = 0;
}

/* A machine that is switched on, asked, and switched off. */
static int get_on(struct machine *m, const struct place *p, bool create, enum storage_key_form form, struct key32 *out)
{
    start(m, p);
    const struct storage_key_wish wish = { form, m->tcti, NULL };
    int r = get(p, create, &wish, out);
    stop(m);
    return r;
}

static void a_tpm_opens_it_on_one_machine(void **state)
{
    const struct place *p = *state;
    struct machine kitchen = { .name = "kitchen" }, thief = { .name = "thief" };
    struct key32 key, found;
    uint8_t content[1024];
    size_t len;
    if (!have_tpm()) {
        print_message("SKIP: swtpm or tpm2-tss is not there\n");
        skip();
    }
    assert_int_equal(get(p, true, &as_it_is, &key), 0);
    keep_before(p);
    assert_int_equal(get_on(&kitchen, p, false, STORAGE_KEY_TPM, &found), 0);
    assert_memory_equal(&key, &found, sizeof(key));
    assert_false(holds(p->key, &key));
    assert_false(holds(p->before, &key));

    assert_int_equal(get_on(&kitchen, p, false, STORAGE_KEY_AS_IT_IS, &found), 0); /* started anew */
    assert_memory_equal(&key, &found, sizeof(key));
    content_of(p->key, content, &len);
    assert_int_equal(get_on(&thief, p, false, STORAGE_KEY_TPM, &found),
                     STORAGE_KEY_CLOSED); /* copied to another machine */
    assert_int_equal(get_on(&thief, p, false, STORAGE_KEY_FILE, &found), STORAGE_KEY_CLOSED);
    const struct storage_key_wish nowhere = { STORAGE_KEY_TPM, "swtpm:path=/nonexistent", NULL };
    assert_int_equal(get(p, false, &nowhere, &found), STORAGE_KEY_CLOSED); /* to one without a TPM */
    uint8_t after[1024];
    size_t after_len;
    content_of(p->key, after, &after_len);
    assert_int_equal(after_len, len); /* what was refused has changed nothing */
    assert_memory_equal(after, content, len);

    /* the way to another machine: let go here, bind there */
    assert_int_equal(get_on(&kitchen, p, false, STORAGE_KEY_FILE, &found), 0);
    assert_true(holds(p->key, &key));
    assert_int_equal(get_on(&thief, p, false, STORAGE_KEY_TPM, &found), 0);
    assert_memory_equal(&key, &found, sizeof(key));
    assert_int_equal(get_on(&kitchen, p, false, STORAGE_KEY_AS_IT_IS, &found), STORAGE_KEY_CLOSED);
}

static void damage_is_not_taken_for_a_key(void **state)
{
    const struct place *p = *state;
    struct machine m = { .name = "kitchen" };
    struct key32 key, found;
    uint8_t content[1024];
    size_t len;
    if (!have_tpm()) {
        print_message("SKIP: swtpm or tpm2-tss is not there\n");
        skip();
    }
    assert_int_equal(get_on(&m, p, true, STORAGE_KEY_TPM, &key), 0);
    assert_false(holds(p->key, &key));
    content_of(p->key, content, &len);
    for (size_t i = 0; i < len; i += 61) {
        content[i] ^= 1;
        assert_int_equal(file_replace(p->key, slice(content, len), 0600), 0);
        int r = get_on(&m, p, false, STORAGE_KEY_AS_IT_IS, &found);
        assert_true(r == STORAGE_KEY_CLOSED || r == -EUCLEAN);
        content[i] ^= 1;
        assert_int_equal(file_replace(p->key, slice(content, i), 0600), 0);
        r = get_on(&m, p, false, STORAGE_KEY_AS_IT_IS, &found);
        assert_true(r == STORAGE_KEY_CLOSED || r == -EUCLEAN);
    }
    assert_int_equal(file_replace(p->key, slice(content, len), 0600), 0);
    assert_int_equal(get_on(&m, p, false, STORAGE_KEY_AS_IT_IS, &found), 0);
    assert_memory_equal(&key, &found, sizeof(key));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_have_names),
        T(a_file_is_the_default),
        T(a_passphrase_opens_it_and_nothing_else_does),
        T(a_new_one_may_be_under_a_passphrase_at_once),
        T(a_tpm_opens_it_on_one_machine),
        T(damage_is_not_taken_for_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
