/* hearth-vault: child of hearthd, the part that must be tamper-resistant. Only wiring here.
 *
 *   fd 3  requests (vault.proto), main thread; the vault ends when it closes
 *   fd 4  TLS signatures, a thread of its own
 *   and one channel to each player, received over fd 3, a thread each */
#define LOG_MODULE "main"
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/standard.h"
#include "base/util.h"
#include "crypto/known.h"
#include "net/channel.h"
#include "vault/in_use.h"
#include "vault/requests.h"
#include "vault/sandbox.h"
#include "vault/start.h"
#include "vault/storage_key.h"
#include "vault/tls_sign.h"

#define REQUESTS_FD 3
#define TLS_FD 4
#define LOCK_TRIES 100
#define LOCK_WAIT_MS 50
#define KNOWN_PLACES 1024 /* of 64 copies that arrive at once */

static const char usage[] = "usage: hearth-vault --state-dir DIR [--key file|tpm|passphrase] [--tpm TCTI]\n"
                            "                    [--passphrase-file FILE]\n"
                            "\n"
                            "Keeps the keys, licenses and used serials of a hearth device. hearthd starts it,\n"
                            "with its channels as descriptors 3 and 4; nobody starts it by hand.\n"
                            "\n"
                            "man hearth-vault says what it keeps; man hearthd.conf, [vault], what is set.\n";

static const char *parse(int argc, char **argv, struct storage_key_wish *wish)
{
    static const struct option options[] = { { "state-dir", required_argument, NULL, 's' },
                                             { "key", required_argument, NULL, 'k' },
                                             { "tpm", required_argument, NULL, 't' },
                                             { "passphrase-file", required_argument, NULL, 'p' },
                                             { 0 } };
    const char *dir = NULL;
    int c;
    opterr = 0; /* the usage says it */
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's')
            dir = optarg;
        else if (c == 't')
            wish->tcti = optarg;
        else if (c == 'p')
            wish->passphrase_file = optarg;
        else if (c != 'k' || storage_key_parse(optarg, &wish->form) != 0)
            return NULL;
    }
    return optind == argc ? dir : NULL;
}

static bool is_socket(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* One vault at a time: a predecessor may still be writing its last answer. The descriptor stays open for the life of the process. */
static int lock_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK || i == LOCK_TRIES) {
            int error = errno;
            close(fd);
            return -error;
        }
        poll(NULL, 0, LOCK_WAIT_MS);
    }
    return fd;
}

/* CAP_IPC_LOCK, or no limit at all. Under a limit, locking all memory to come would make later allocations fail. */
static bool may_lock_everything(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };
    struct rlimit limit;
    if (syscall(SYS_capget, &header, sets) == 0 && (sets[0].effective & (1u << CAP_IPC_LOCK)) != 0)
        return true;
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

static int prepare_process(const char *dir)
{
    umask(077);
    /* The terminal's and the service manager's signals reach the whole group; the vault ends when hearthd has. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    int r = secret_init();
    if (r == 0)
        r = secret_harden_process();
    if (r == 0)
        r = file_make_dirs(dir, 0700);
    if (r == 0 && chmod(dir, 0700) != 0)
        r = -errno;
    /* Keys are in memory that is locked in any case; this adds the stacks and buffers they pass through. */
    if (r == 0 && may_lock_everything() && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
        log_debug("memory as a whole is not locked: errno=%d", errno);
    return r;
}

/* Before the sandbox: a TPM, or a file with a passphrase, lies outside. Nothing of a stranger was read by then. */
static int open_key(struct vault *v, const char *dir, const struct storage_key_wish *wish, struct key32 **storage_key)
{
    char path[PATH_MAX];
    int r = file_join(path, sizeof(path), dir, "vault.db");
    if (r != 0)
        return r;
    bool is_new = access(path, F_OK) != 0;
    enum storage_key_form before = STORAGE_KEY_AS_IT_IS, now = STORAGE_KEY_AS_IT_IS;
    r = storage_key_form_get(dir, &before);
    if (is_new && r == 0)
        log_warn(
            "storage.key is here and vault.db is not: this begins as a new device. Where that was not meant, stop hearthd and put vault.db back; else register again, remove the former device (hearth devices), and hearth restore brings back what was bought");
    if (r == 0 || r == -ENOENT)
        r = storage_key_get(dir, is_new, wish, v->rng, storage_key);
    if (r == 0)
        r = storage_key_form_get(dir, &now);
    if (r == 0 && (before == STORAGE_KEY_TPM || now == STORAGE_KEY_TPM))
        r = tpm_open(&v->tpm, wish->tcti); /* for its counter; stays open inside the sandbox */
    v->counter.leave = now != STORAGE_KEY_TPM;
    if (r == STORAGE_KEY_ABSENT)
        log_error(
            "storage.key is missing, vault.db cannot be read without it: put it back; or move vault.db away, register again, and: hearth restore");
    if (r != 0)
        return r > 0 ? -ENOKEY : r;
    v->storage_key = *storage_key;
    return 0;
}

static int run(struct vault *v, const char *dir, struct keys **keys)
{
    struct tls_sign *tls = NULL;
    struct channel requests CLEANUP(channel_deinit);
    channel_init(&requests, REQUESTS_FD, REQUESTS_TAIL_MAX);
    char path[PATH_MAX];
    int r = file_join(path, sizeof(path), dir, "vault.db");
    if (r == 0)
        r = vault_start(v, path, keys);
    if (r == -EPROTONOSUPPORT)
        log_error("vault.db was made by a newer version of hearth: install that again; nothing was changed");
    if (r == 0)
        r = tls_sign_start(&tls, TLS_FD, *keys);
    if (r == 0)
        r = requests_serve(v, &requests);
    tls_sign_stop(tls);
    return r;
}

int main(int argc, char **argv)
{
    log_init("hearth-vault");
    struct storage_key_wish wish = { 0 };
    const char *dir = parse(argc, argv, &wish);
    if (!dir) {
        bool asked = argc == 2 && strcmp(argv[1], "--help") == 0;
        fputs(usage, asked ? stdout : stderr);
        return standard_end("hearth-vault", asked ? 0 : 2);
    }
    if (!is_socket(REQUESTS_FD) || !is_socket(TLS_FD)) {
        log_error("descriptors 3 and 4 must be hearthd's channels");
        return 2;
    }
    struct vault v = { .clock = clock_system(),
                       .rng = rng_system(),
                       .known = known_new(KNOWN_PLACES),
                       .opened = known_new(KNOWN_PLACES) };
    struct key32 *storage_key = NULL;
    struct keys *keys = NULL;
    in_use_read_boot(v.boot);
    int lock CLEANUP(closep) = -1;
    int r = v.known != NULL && v.opened != NULL ? prepare_process(dir) : -ENOMEM;
    if (r == 0)
        r = lock = lock_dir(dir);
    if (r >= 0)
        r = open_key(&v, dir, &wish, &storage_key);
    if (r == 0)
        r = sandbox_enter(dir);
    if (r == 0)
        r = run(&v, dir, &keys);
    vault_stop(&v, keys);
    tpm_close(v.tpm);
    known_free(v.known);
    known_free(v.opened);
    secret_free(storage_key);
    if (r < 0 && r != -ENOKEY && r != -EPROTONOSUPPORT) /* of these it was said above what to do */
        log_error("stopped path=%s error=%s", dir, strerror(-r));
    return r < 0 ? standard_status(r) : 0;
}
