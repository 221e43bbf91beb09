/* hearth-distributor as it is, taken over by somebody on the network: once it serves, confined, it tries what it must not be able to, says in the log what each attempt
 * returned, and goes on as if nothing were the matter. Not a test itself: test_compromised_distributor.py judges what it says. HOME names the directory of its user; beside
 * it lies the state of another distributor. Its payment command reads its input to the end. */
#define LOG_MODULE "compromised"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attempts.h"
#include "base/clock.h"
#include "base/helper.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/util.h"
#include "distributor/confinement.h"
#include "distributor/starter_internal.h"

void __real_notify_ready(int fd);
void __wrap_notify_ready(int fd);
int __real_confinement_enter(const struct confinement *c, enum confinement_kind *kind);
int __wrap_confinement_enter(const struct confinement *c, enum confinement_kind *kind);
int __real_helper_fork(struct helper *h, size_t answer_bytes, int *theirs);
int __wrap_helper_fork(struct helper *h, size_t answer_bytes, int *theirs);

static char state_dir[PATH_MAX];
static pid_t parent; /* it cannot even ask for it later */
static struct helper *starter;

static const char *in(const char *dir, const char *name)
{
    static char paths[2][PATH_MAX + 64];
    static unsigned turn;
    char *path = paths[++turn % 2];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static const char *in_home(const char *name) { return in(getenv("HOME"), name); }
static const char *in_state(const char *name) { return in(state_dir, name); }

static void files(void)
{
    attempt_called("read-a-letter", open(in_home("letter.txt"), O_RDONLY | O_CLOEXEC));
    attempt_called("write-the-profile", open(in_home(".profile"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    attempt_called("remove-a-letter", unlink(in_home("letter.txt")));
    attempt_called("cut-a-letter", truncate(in_home("letter.txt"), 0));
    attempt_called("list-the-home", open(in_home("."), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    attempt_called("another-name-of-a-letter", link(in_home("letter.txt"), in_state("bodies/letter")));
    attempt_called("fetch-a-letter", rename(in_home("letter.txt"), in_state("bodies/letter")));
    attempt_called("give-the-keys-away", rename(in_state("keys"), in_home("keys")));
    attempt_called("read-another-s-keys", open(in_home("../boreal/keys/tls.key"), O_RDONLY | O_CLOEXEC));
    attempt_called("read-another-s-database", open(in_home("../boreal/operations.db"), O_RDONLY | O_CLOEXEC));
    attempt_called("write-another-s-database", open(in_home("../boreal/operations.db"), O_RDWR | O_CLOEXEC));
    attempt_called("a-file-in-tmp", open("/tmp/hearth-loot", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    attempt_called("shared-memory", open("/dev/shm/hearth-loot", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    attempt_called("write-the-system-s-programs", open("/usr/bin/hearth-loot", O_WRONLY | O_CREAT | O_CLOEXEC, 0700));
    attempt_called("write-the-configuration", open("/etc/hearth-loot", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    attempt_called("a-device", open("/dev/tty", O_RDWR | O_CLOEXEC));
    attempt_called("another-s-environment", open("/proc/1/environ", O_RDONLY | O_CLOEXEC));
    attempt_called("the-kernel-s-settings", open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC));
}

/* Of what is its own: for somebody else to find. */
static void rights(void)
{
    int own CLEANUP(closep) = open(in_state("bodies"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    attempt_called("others-may-read-the-keys", chmod(in_state("keys"), 0777));
    attempt_called("others-may-enter-the-state", fchmod(own, 0777));
    attempt_called("another-owner", chown(in_state("operations.db"), 12345, 12345));
    attempt_called("an-attribute", setxattr(in_state("operations.db"), "user.x", "x", 1, 0));
    attempt_called("a-program-with-its-owner-s-rights",
                   open(in_state("bodies/program"), O_WRONLY | O_CREAT | O_CLOEXEC, 04755));
    attempt_called("a-pipe-with-a-name", mknod(in_state("bodies/pipe"), S_IFIFO | 0600, 0));
    attempt_called("a-disk", mknod(in_state("bodies/disk"), S_IFBLK | 0600, (dev_t)0x800));
    attempt_called("a-link-to-a-letter", symlink(in_home("letter.txt"), in_state("bodies/x.body")));
    attempt_called("another-root", chroot(in_state("bodies")));
}

/* What it asks of the starter as an equal: the socket is its own. */
static int ask_starter(struct starter_request *q, const int *fds, size_t count)
{
    struct starter_answer answer = { 0 };
    int passed CLEANUP(closep) = -1;
    int r = helper_ask(starter, STARTER_PATIENCE_MS, q, sizeof(*q), fds, count, &answer, &passed);
    return r != 0 ? r : answer.outcome;
}

static void ask(const char *attempt, struct starter_request *q, const int *fds, size_t count)
{
    int r = ask_starter(q, fds, count);
    errno = -r;
    attempt_called(attempt, r == 0 ? 0 : -1);
}

/* The command of this test reads until its input ends, so that one runs while another is asked for. */
static void of_the_starter(void)
{
    int64_t soon = clock_mono_ms(clock_system()) + 60000;
    struct starter_request other = { .kind = STARTER_CONFIGURE, .path = "/bin/sh" };
    struct starter_request run = { .kind = STARTER_RUN, .until_ms = soon, .latest_ms = INT64_MAX, .path = "/bin/sh" };
    struct starter_request for_ever = { .kind = STARTER_RUN, .until_ms = INT64_MAX, .latest_ms = INT64_MAX };
    struct starter_request late = { .kind = STARTER_RUN, .until_ms = soon, .latest_ms = 1 };
    struct starter_request unknown = { .kind = STARTER_HURRY + 1 };
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        abort();
    const int fds[] = { in[0], out[1], in[0] };
    ask("another-payment-command", &other, NULL, 0);
    ask("a-command-without-a-lock", &run, fds, 2);
    ask("a-command-for-ever", &for_ever, fds, STARTER_FDS);
    ask("a-command-too-late", &late, fds, STARTER_FDS);
    ask("an-unknown-request", &unknown, fds, STARTER_FDS);
    log_error("one command: %s", ask_starter(&run, fds, STARTER_FDS) == 0 ? "started" : "refused");
    ask("a-second-command", &run, fds, STARTER_FDS);
    attempts_on_process("the-starter", starter->pid, true);
    close(in[0]);
    close(in[1]);
    close(out[0]);
    close(out[1]);
}

int __wrap_helper_fork(struct helper *h, size_t answer_bytes, int *theirs)
{
    starter = h;
    return __real_helper_fork(h, answer_bytes, theirs);
}

/* The same before it is confined: what it cannot do then is what confinement takes. */
int __wrap_confinement_enter(const struct confinement *c, enum confinement_kind *kind)
{
    snprintf(state_dir, sizeof(state_dir), "%s", c->config->state_dir);
    parent = getppid();
    int letter = open(in_home("letter.txt"), O_RDONLY | O_CLOEXEC),
        other = open(in_home("../boreal/operations.db"), O_RDWR | O_CLOEXEC),
        bus = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    log_error("before: letter=%d other=%d unix=%d", letter >= 0, other >= 0, bus >= 0);
    closep(&letter);
    closep(&other);
    closep(&bus);
    return __real_confinement_enter(c, kind);
}

void __wrap_notify_ready(int fd)
{
    bool filtered = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0; /* without a filter it would succeed, and do harm */
    if (!filtered)
        log_error("not confined: attempts are over before they begin");
    if (filtered) {
        files();
        rights();
        attempts_on_network();
        attempt_called("an-abstract-socket", attempt_connect(SOCK_STREAM, "hearth-loot", true));
        attempts_on_programs();
        attempts_on_process("who-started-it", parent, true);
        attempts_on_kernel(true);
        of_the_starter();
        log_error("attempts are over");
    }
    __real_notify_ready(fd);
}
