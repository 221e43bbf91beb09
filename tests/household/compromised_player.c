/* The player as it is, taken over by what it decodes: from the moment its sandbox is closed it tries what a player must not be able to, says in the log what
 * each attempt returned, and then plays as if nothing were the matter. Not a test itself: test_compromised.py judges what it says. TMPDIR names the state
 * directory of its hearthd. */
#define LOG_MODULE "compromised"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attempts.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "crypto/block.h"
#include "net/window.h"
#include "player/track.h"
#include "vault.pb.h"

#define SYS_FCHMODAT2 452 /* newer than some headers */

int __real_track_open(struct track **out, int body_fd, int vault_fd);
int __wrap_track_open(struct track **out, int body_fd, int vault_fd);

/* --- What is outside of it --- */

static const char *in_state(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", getenv("TMPDIR"), name);
    return path;
}

static pid_t spawner_pid, vault_pid;       /* looked up while they can be */
static bool read_the_key, reached_the_net; /* before the sandbox was closed: what it takes away is there */

__attribute__((constructor)) static void look_around(void)
{
    char path[64];
    int parent = (int)getppid(), child;
    int key = open(in_state("vault/storage.key"), O_RDONLY | O_CLOEXEC),
        net = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    read_the_key = key >= 0;
    reached_the_net = net >= 0;
    closep(&key);
    closep(&net);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%d %d", &spawner_pid, &child) == 2) /* the spawner is started first, then the vault */
        vault_pid = child;
    if (f)
        fclose(f);
}

static void files(void)
{
    attempt_called("read-the-storage-key", open(in_state("vault/storage.key"), O_RDONLY | O_CLOEXEC));
    attempt_called("write-to-the-vault-s-database", open(in_state("vault/vault.db"), O_RDWR | O_CLOEXEC));
    attempt_called("read-hearthd-s-database", open(in_state("hearthd.db"), O_RDONLY | O_CLOEXEC));
    attempt_called("list-the-bodies", open(in_state("bodies"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    attempt_called("create-a-file", open(in_state("loot"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    attempt_called("read-the-users", open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    attempt_called("leave-shared-memory", open("/dev/shm/hearth-loot", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    attempt_called("rename-a-file", rename(in_state("hearthd.db"), in_state("hearthd.db.gone")));
}

/* What Landlock leaves to everybody. Tried with the mode that the key has, so that nothing is open to others meanwhile. */
static void rights_of_files(void)
{
    const char *key = in_state("vault/storage.key");
    attempt_called("open-the-key-to-others", chmod(key, 0600));
    attempt_called("open-the-key-to-others-by-fchmodat2", syscall(SYS_FCHMODAT2, AT_FDCWD, key, 0600, 0));
    attempt_called("give-the-key-away", chown(key, getuid(), getgid()));
    attempt_called("an-attribute", setxattr(key, "user.hearth", "x", 1, 0));
    attempt_called("set-back-its-time", utimes(key, NULL));
    attempt_called("watch-a-directory", inotify_add_watch(inotify_init1(IN_CLOEXEC), in_state("vault"), IN_ALL_EVENTS));
}

static void network(void)
{
    attempt_called("internet", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    attempt_called("internet-6", socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    attempt_called("netlink", socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
    attempt_called("hearthd-s-control-socket", attempt_connect(SOCK_STREAM, in_state("../hearthd.sock"), false));
    attempt_called("abstract-socket", attempt_connect(SOCK_STREAM, "hearth-loot", true));
}

static void programs(void)
{
    char name[] = "true";
    char *const argv[] = { name, NULL };
    attempt_called("run-a-program", execv("/bin/true", argv));
    attempt_called("another-process", syscall(SYS_fork));
    attempt_called("another-process-by-clone", syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
    attempt_called("namespaces", unshare(CLONE_NEWUSER | CLONE_NEWNET));
    attempt_called("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
}

/* None of these needs to see the other one's memory. */
static void signals_and_limits(void)
{
    int ends[2];
    attempt_called("end-the-vault", kill(vault_pid, SIGKILL));
    attempt_called("end-a-thread-of-the-vault", syscall(SYS_tgkill, vault_pid, vault_pid, SIGKILL));
    attempt_called("a-limit-of-the-vault", prlimit(vault_pid, RLIMIT_CPU, &(struct rlimit){ 0, 0 }, NULL));
    attempt_called("slow-the-vault-down", setpriority(PRIO_PROCESS, (id_t)vault_pid, 19));
    attempt_called("own-the-vault-s-signals", pipe2(ends, O_CLOEXEC) == 0 ? fcntl(ends[0], F_SETOWN, vault_pid) : 0);
    attempt_called("a-signal-of-its-choice", fcntl(ends[0], F_SETSIG, SIGKILL));
    attempt_called("be-traceable", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    attempt_called("type-at-the-terminal", ioctl(STDERR_FILENO, TIOCSTI, "x"));
    attempt_called("a-queue-of-messages", msgget(IPC_PRIVATE, IPC_CREAT | 0600));
}

/* --- What it may ask the vault --- */

static int ask(struct channel *vault, uint16_t type, const pb_msgdesc_t *fields, const void *message, int fd)
{
    static uint32_t request = 1000;
    msg_Refusal refusal;
    struct frame f;
    int r = fd >= 0 ? channel_send_fd(vault, type, ++request, fields, message, fd)
                    : channel_send(vault, type, ++request, fields, message, slice(NULL, 0));
    if (r == 0)
        r = channel_read(vault, true, &f);
    if (r != 0)
        return r > 0 ? -EPIPE : r;
    if (f.type == msg_Type_REFUSAL && CODEC_DECODE(msg_Refusal, f.message, &refusal) == 0)
        return reason_of_code(refusal.code);
    return 0;
}

static void asked(const char *attempt, int r)
{
    attempt_tell(attempt, r == 0, r > 0 ? reason_code((enum reason)r) : strerrorname_np(-r));
}

static void requests(struct channel *vault)
{
    static const vlt_IdentityGet identity;
    static const vlt_TlsSign sign;
    static const vlt_LicenseStore license;
    static const vlt_PlayOpen play;
    static const vlt_RecordAsk record;
    static const vlt_PluginOpen plugin;
    asked("hearthd-s-requests", ask(vault, vlt_Type_IDENTITY_GET, vlt_IdentityGet_fields, &identity, -1));
    asked("sign-foreign-bytes", ask(vault, vlt_Type_TLS_SIGN, vlt_TlsSign_fields, &sign, -1));
    asked("store-a-license", ask(vault, vlt_Type_LICENSE_STORE, vlt_LicenseStore_fields, &license, -1));
    asked("open-another-play", ask(vault, vlt_Type_PLAY_OPEN, vlt_PlayOpen_fields, &play, -1));
    asked("record", ask(vault, vlt_Type_RECORD_ASK, vlt_RecordAsk_fields, &record, -1));
    asked("a-plug-in", ask(vault, vlt_Type_PLUGIN_OPEN, vlt_PluginOpen_fields, &plugin, -1));
}

static uint32_t block_bytes_of(int body_fd)
{
    uint8_t head[12], info[65536];
    doc_ContentInfo content;
    if (pread(body_fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
        return 0;
    uint32_t len = get_be32(head + 8);
    if (len > sizeof(info) || pread(body_fd, info, len, 12) != (ssize_t)len ||
        CODEC_DECODE(doc_ContentInfo, slice(info, len), &content) != 0)
        return 0;
    return content.block_bytes;
}

/* What was never sealed under this content's key, in memory that both share: nothing may lie there afterwards but what lay there before. */
static void blocks(struct channel *vault, uint32_t block_bytes)
{
    static const vlt_WindowGive give;
    struct window w;
    int fd, small = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (window_make(&w, block_bytes, &fd) != 0)
        return;
    asked("block-without-memory", ask(vault, vlt_Type_BLOCK_OPEN, vlt_BlockOpen_fields, &(vlt_BlockOpen){ 0 }, -1));
    asked("memory-that-is-none", ask(vault, vlt_Type_WINDOW_GIVE, vlt_WindowGive_fields, &give, small));
    int r = ask(vault, vlt_Type_WINDOW_GIVE, vlt_WindowGive_fields, &give, fd);
    memset(w.plain, 'p', block_bytes);
    memset(w.sealed, 's', block_bytes + BLOCK_OVERHEAD_BYTES);
    if (r == 0) {
        asked("foreign-bytes", ask(vault, vlt_Type_BLOCK_OPEN, vlt_BlockOpen_fields, &(vlt_BlockOpen){ 0 }, -1));
        asked("no-such-block",
              ask(vault, vlt_Type_BLOCK_OPEN, vlt_BlockOpen_fields, &(vlt_BlockOpen){ .index = UINT32_MAX }, -1));
        size_t i = 0;
        while (i < block_bytes && w.plain[i] == 'p')
            i++;
        attempt_tell("plaintext-before-it-is-judged", i < block_bytes, "untouched");
    }
    window_wipe(&w);
    close(fd);
    close(small);
}

int __wrap_track_open(struct track **out, int body_fd, int vault_fd)
{
    struct channel vault;
    files();
    rights_of_files();
    network();
    programs();
    signals_and_limits();
    attempts_on_process("hearthd", getppid(), false);
    attempts_on_process("the-vault", vault_pid, false);
    attempts_on_process("the-spawner", spawner_pid, false);
    attempts_on_kernel(false);
    log_error("before: key=%d net=%d", read_the_key, reached_the_net);
    channel_init(&vault, dup(vault_fd), 0);
    requests(&vault);
    blocks(&vault, block_bytes_of(body_fd));
    channel_deinit(&vault);
    log_error("attempts are over");
    return __real_track_open(out, body_fd, vault_fd);
}
