/* hearthd as it is, taken over by somebody on the network: once it serves, confined, it tries what hearthd must not be able to, says in the log what each attempt
 * returned, and goes on as if nothing were the matter. Not a test itself: test_compromised_daemon.py judges what it says. HOME names the directory of its user. What it
 * asks its vault and its helpers it asks over hearthd's own channels. */
#define LOG_MODULE "compromised"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attempts.h"
#include "base/file.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/util.h"
#include "daemon/account.h"
#include "daemon/confinement.h"
#include "daemon/control.h"
#include "daemon/library.h"
#include "daemon/opener.h"
#include "daemon/spawner.h"
#include "daemon/vault_client.h"
#include "net/bodies.h"
#include "protocol/documents.h"

void __real_control_ready(struct daemon *d);
void __wrap_control_ready(struct daemon *d);
int __real_confinement_enter(const struct config *config);
int __wrap_confinement_enter(const struct config *config);
int __real_spawner_start_vault(struct spawner *s, struct child *c, int requests_fd, int sign_fd, child_exit_fn on_exit);
int __wrap_spawner_start_vault(struct spawner *s, struct child *c, int requests_fd, int sign_fd, child_exit_fn on_exit);

/* As functions of this project return. */
static void returned(const char *attempt, int r)
{
    attempt_tell(attempt, r >= 0 && r != OPENER_FOREIGN, r == OPENER_FOREIGN ? "foreign" : strerrorname_np(-r));
    if (r > 2 && r != OPENER_FOREIGN)
        close(r);
}

static const struct config *config;

static const char *in_state(const char *name)
{
    static char paths[2][4096];
    static unsigned turn;
    char *path = paths[++turn % 2];
    snprintf(path, sizeof(paths[0]), "%s/%s", config->state_dir, name);
    return path;
}

static const char *in_home(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", getenv("HOME"), name);
    return path;
}

/* --- Files --- */

static void files(void)
{
    attempt_called("read-the-storage-key", open(in_state("vault/storage.key"), O_RDONLY | O_CLOEXEC));
    attempt_called("read-the-vault-s-database", open(in_state("vault/vault.db"), O_RDONLY | O_CLOEXEC));
    attempt_called("write-to-the-vault-s-database", open(in_state("vault/vault.db"), O_RDWR | O_CLOEXEC));
    attempt_called("cut-the-vault-s-database", truncate(in_state("vault/vault.db"), 0));
    attempt_called("list-the-vault", open(in_state("vault"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    attempt_called("put-another-key-there", rename(in_state("programs"), in_state("vault/storage.key")));
    attempt_called("move-the-key-to-its-own", rename(in_state("vault/storage.key"), in_state("bodies/key")));
    attempt_called("move-the-vault", rename(in_state("vault"), in_state("programs/vault")));
    attempt_called("remove-the-vault-s-database", unlink(in_state("vault/vault.db")));
    attempt_called("link-the-key", link(in_state("vault/storage.key"), in_state("bodies/key")));
    attempt_called("link-to-the-key", symlink(in_state("vault/storage.key"), in_state("bodies/x.hearth")));
    attempt_called("others-may-read-the-key", chmod(in_state("vault/storage.key"), 0666));
    attempt_called("an-attribute-of-the-key", setxattr(in_state("vault/storage.key"), "user.x", "x", 1, 0));
    attempt_called("read-a-letter", open(in_home("letter.txt"), O_RDONLY | O_CLOEXEC));
    attempt_called("write-the-profile", open(in_home(".profile"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    attempt_called("list-the-home", open(in_home("."), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    attempt_called("a-file-in-tmp", open("/tmp/hearth-loot", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    attempt_called("shared-memory", open("/dev/shm/hearth-loot", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    attempt_called("a-device", open("/dev/tty", O_RDWR | O_CLOEXEC));
    attempt_called("a-program-with-its-owner-s-rights",
                   open(in_state("bodies/program"), O_WRONLY | O_CREAT | O_CLOEXEC, 04755));
    attempt_called("a-pipe-with-a-name", mknod(in_state("bodies/pipe"), S_IFIFO | 0600, 0));
}

/* --- Its helpers --- */

static pid_t helpers[2], vault_pid; /* spawner and opener, in the order in which they were started */

static void note_helpers(void)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
    int fd CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || sscanf(text, "%d %d", &helpers[0], &helpers[1]) != 2)
        log_error("its helpers are not known");
}

/* --- Its helpers --- */

static void on_never(struct child *c, int status, int signal)
{
    (void)c;
    log_error("a child ended that was none status=%d signal=%d", status, signal);
}

/* By the descriptors that the opener gives: of a directory to list, of a file it made. */
static void modes(struct opener *o)
{
    int home = opener_list(o, in_home("")), vault = opener_list(o, in_state("vault"));
    int file = opener_create(o, in_home("x.bin.part"), 0600);
    attempt_called("others-may-enter-the-home", fchmod(home, 0777));
    attempt_called("others-may-enter-the-vault", fchmod(vault, 0777));
    attempt_called("nobody-may-enter-the-home", fchmod(home, 0));
    attempt_called("a-program-of-a-new-file", fchmod(file, 04755));
    attempt_called("another-owner-of-the-home", fchown(home, 12345, 12345));
    if (opener_remove(o, in_home("x.bin.part")) != 0)
        log_error("x.bin.part is left");
    close(home);
    close(vault);
    close(file);
}

static void ask_helpers(struct daemon *d)
{
    static struct child child; /* lives as long as it may be asked about */
    int fd = -1, pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return;
    child.spawner = d->spawner;
    returned("spawner-a-second-vault", spawner_start_vault(d->spawner, &child, pair[0], pair[1], on_never));
    returned("spawner-a-program-as-a-device", spawner_start_burner(d->spawner, &child, "/bin/sh", -1, on_never));
    returned("spawner-a-way-out-of-dev", spawner_start_burner(d->spawner, &child, "/dev/../bin/sh", -1, on_never));
    returned("spawner-another-argument", spawner_start_burner(d->spawner, &child, "/dev/null -version", -1, on_never));
    int r = opener_read(d->opener, in_state("vault/storage.key"), 0, &fd);
    returned("opener-read-the-key", r);
    returned("opener-read-the-database", opener_read(d->opener, in_state("vault/vault.db"), 0, &fd));
    returned("opener-read-a-letter", opener_read(d->opener, in_home("letter.txt"), 0, &fd));
    returned("opener-write-the-profile", opener_create(d->opener, in_home(".profile"), 0600));
    returned("opener-overwrite-a-letter", opener_rename(d->opener, in_home("x.hearth.part"), in_home("letter.txt")));
    returned("opener-remove-a-letter", opener_remove(d->opener, in_home("letter.txt")));
    returned("opener-remove-the-database", opener_remove(d->opener, in_state("vault/vault.db")));
    returned("opener-a-relative-path", opener_create(d->opener, "x.hearth", 0600));
    modes(d->opener);
    close(pair[0]);
    close(pair[1]);
}

/* --- Its vault --- */

static void on_answer(const struct answer *answer, void *ctx)
{
    attempt_tell(ctx, answer->why == REASON_NONE, reason_code(answer->why));
    free(ctx);
}

static void ask_vault(struct daemon *d, const char *attempt, struct ask ask, struct slice tail, int fd)
{
    char *name = strdup(attempt);
    ask.tail = tail;
    int r = name == NULL ? -ENOMEM
            : fd >= 0    ? vault_call_fd(d->vault, &ask, fd, on_answer, name)
                         : vault_call(d->vault, &ask, on_answer, name);
    if (r != 0)
        log_error("the vault could not be asked error=%s", strerror(-r));
}

/* A message of any kind with nothing in it. */
static const union {
    uint64_t align;
    uint8_t bytes[16384];
} nothing;

#define ASK_VAULT(attempt, type, reply, T, message) \
    ask_vault(d, attempt, ASK(vlt_Type_##type, vlt_Type_##reply, vlt_##T, message), tail, -1)

/* What the TLS channel signs is the one message of a handshake. */
static void sign(struct daemon *d)
{
    uint8_t signature[SIGN_BYTES], challenge[130];
    struct buf pae CLEANUP(buf_free) = buf(1024);
    struct signer signer;
    vault_signer(d->vault, &signer);
    returned("sign-foreign-bytes", signer.sign(signer.ctx, slice_str("pay everything to me"), signature));
    if (dsse_pae(&pae, "hearth/receipt/1", slice_str("a receipt of its own")) == 0)
        returned("sign-a-document", signer.sign(signer.ctx, buf_slice(&pae), signature));
    memset(challenge, ' ', sizeof(challenge));
    memcpy(challenge + 64, "TLS 1.3, server Certificate", 27);
    returned("sign-another-handshake-s-text", signer.sign(signer.ctx, SLICE_ARRAY(challenge), signature));
}

static struct serve_file body; /* of the first track, which is its own to read */

static void read_body(struct daemon *d)
{
    char path[BODIES_PATH_BYTES];
    const struct track *t = library_at(d, 0);
    if (bodies_path(d->config.bodies_dir, &t->content, BODIES_BODY, path) != 0)
        return;
    int fd CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || serve_file_read(fd, &t->content, &body) != 0)
        log_error("its own body could not be read");
}

/* Documents as a distributor signs them, signed by whoever likes to. */
static int forge(struct buf *out, enum document kind, const void *payload)
{
    struct key32 seed;
    struct signer signer;
    rng_fill(rng_system(), seed.bytes, sizeof(seed.bytes));
    signer_from_seed(&signer, &seed);
    return document_sign(out, kind, payload, &signer);
}

static void forged_rights(struct daemon *d, const struct id *distributor)
{
    static const struct slice tail = { NULL, 0 };
    static doc_License license;
    static doc_CopyCertificate certificate;
    static vlt_LicenseStore store;
    static vlt_CertificateCheck check;
    struct buf signed_license CLEANUP(buf_free) = buf(4096), signed_certificate CLEANUP(buf_free) = buf(8192);
    const struct track *t = library_at(d, 0);
    memcpy(license.issuer, distributor->bytes, ID_BYTES);
    memcpy(license.content, t->content.bytes, ID_BYTES);
    memcpy(license.client, d->self.bytes, ID_BYTES);
    memcpy(license.leaf.distributor, distributor->bytes, ID_BYTES);
    license.sequence = 1000000;
    license.issued_ms = (uint64_t)clock_wall_ms(d->clock);
    if (forge(&signed_license, DOCUMENT_LICENSE, &license) != 0 ||
        CODEC_SET_BYTES(store.license, buf_slice(&signed_license)) != 0)
        log_error("the license could not be made");
    ASK_VAULT("store-a-license-nobody-issued", LICENSE_STORE, DONE, LicenseStore, &store);
    ((uint8_t *)store.license.bytes)[store.license.size - 1] ^= 1;
    ASK_VAULT("store-an-altered-license", LICENSE_STORE, DONE, LicenseStore, &store);
    memcpy(certificate.issuer, distributor->bytes, ID_BYTES);
    memcpy(certificate.destination, d->self.bytes, ID_BYTES);
    memcpy(certificate.content, t->content.bytes, ID_BYTES);
    certificate.issued_ms = license.issued_ms;
    certificate.ends_ms = license.issued_ms + 3600000;
    if (CODEC_SET_BYTES(certificate.license, buf_slice(&signed_license)) != 0 ||
        forge(&signed_certificate, DOCUMENT_COPY_CERTIFICATE, &certificate) != 0 ||
        CODEC_SET_BYTES(check.certificate, buf_slice(&signed_certificate)) != 0)
        log_error("the certificate could not be made");
    if (CODEC_SET_BYTES(check.info, buf_slice(&body.info)) != 0)
        log_error("the information is too long");
    memcpy(check.list_root, t->list_root, sizeof(check.list_root));
    ASK_VAULT("a-certificate-nobody-issued", CERTIFICATE_CHECK, CERTIFICATE_STATE, CertificateCheck, &check);
    ASK_VAULT("commit-what-was-not-checked", CERTIFICATE_COMMIT, CERTIFICATE_STATE, CertificateCommit, &nothing);
}

static void forged_words(struct daemon *d, const struct id *distributor)
{
    static struct slice tail;
    static doc_SignedTime time;
    static vlt_TimeCheck check;
    static doc_Keyset keys;
    static doc_Roster devices;
    struct buf word CLEANUP(buf_free) = buf(1024), own_keys CLEANUP(buf_free) = buf(4096),
                    own_devices CLEANUP(buf_free) = buf(4096);
    vlt_KeysetCheck keyset = vlt_KeysetCheck_init_zero;
    vlt_RosterCheck roster = vlt_RosterCheck_init_zero;
    vlt_ServiceData service = vlt_ServiceData_init_zero;
    memcpy(time.distributor, distributor->bytes, ID_BYTES);
    memcpy(time.client, d->self.bytes, ID_BYTES);
    time.time_ms = (uint64_t)clock_wall_ms(d->clock) + UINT64_C(10) * 365 * 86400000;
    memcpy(check.distributor, distributor->bytes, ID_BYTES);
    if (forge(&word, DOCUMENT_TIME, &time) != 0 || CODEC_SET_BYTES(check.time, buf_slice(&word)) != 0)
        log_error("the time could not be made");
    ASK_VAULT("advance-the-time", TIME_CHECK, DONE, TimeCheck, &check);
    memcpy(keyset.distributor, distributor->bytes, ID_BYTES);
    memcpy(roster.distributor, distributor->bytes, ID_BYTES);
    memcpy(service.distributor, distributor->bytes, ID_BYTES);
    memcpy(keys.distributor, distributor->bytes, ID_BYTES);
    CODEC_SET_TEXT(keys.name, "aurora");
    keys.sequence = devices.sequence = 1000000;
    keys.issued_ms = (uint64_t)clock_wall_ms(d->clock);
    keys.ends_ms = keys.issued_ms + 86400000;
    memcpy(devices.distributor, distributor->bytes, ID_BYTES);
    if (forge(&own_keys, DOCUMENT_KEYSET, &keys) != 0 || forge(&own_devices, DOCUMENT_ROSTER, &devices) != 0)
        log_error("keyset and roster could not be made");
    tail = buf_slice(&own_keys);
    ASK_VAULT("a-keyset-of-its-own", KEYSET_CHECK, KEYSET_CHECKED, KeysetCheck, &keyset);
    tail = buf_slice(&own_devices);
    ASK_VAULT("a-roster-of-its-own", ROSTER_CHECK, DONE, RosterCheck, &roster);
    tail = slice(NULL, 0);
    if (CODEC_SET_BYTES(service.certificate, buf_slice(&word)) == 0)
        ASK_VAULT("keys-of-another-device", SERVICE_DATA, DONE, ServiceData, &service);
    ASK_VAULT("take-the-log-for-read", USE_LOG_TAKEN, DONE, UseLogTaken, &nothing);
    ASK_VAULT("finish-a-move", MOVE_FINISH, MOVE_FINISHED, MoveFinish, &nothing);
    ASK_VAULT("take-a-move-back", MOVE_CANCEL, DONE, MoveCancel, &nothing);
    ASK_VAULT("catch-up-by-itself", CATCH_UP, CAUGHT_UP, CatchUp, &nothing);
}

static void plays(struct daemon *d)
{
    static const struct slice tail = { NULL, 0 };
    const struct track *t = library_at(d, 0);
    vlt_PlayOpen play = vlt_PlayOpen_init_zero;
    int pair[2];
    ASK_VAULT("a-block-without-a-play", BLOCK_OPEN, BLOCK_PLAIN, BlockOpen, &nothing);
    ASK_VAULT("sign-on-the-wrong-channel", TLS_SIGN, TLS_SIGNED, TlsSign, &nothing);
    ASK_VAULT("close-another-play", PLAY_CLOSE, PLAY_CLOSED, PlayClose, &(vlt_PlayClose){ .play = 1 });
    ASK_VAULT("count-for-another-license", USE_SIGN, USE_SIGNED, UseSign, &(vlt_UseSign){ .give_back = true });
    memcpy(play.content, t->content.bytes, ID_BYTES);
    memcpy(play.list_root, t->list_root, sizeof(play.list_root));
    play.list_root[0] ^= 1;
    if (CODEC_SET_BYTES(play.info, buf_slice(&body.info)) != 0)
        log_error("the information is too long");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return;
    ask_vault(d, "play-another-content-under-its-name",
              ASK(vlt_Type_PLAY_OPEN, vlt_Type_PLAY_OPENED, vlt_PlayOpen, &play), tail, pair[0]);
    close(pair[1]);
}

/* The last one: answers come in order. */
static void on_last(const struct answer *answer, void *ctx)
{
    (void)answer;
    (void)ctx;
    log_error("attempts are over");
}

static void requests(struct daemon *d)
{
    static const vlt_IdentityGet last;
    const struct id distributor = d->accounts->distributor;
    read_body(d);
    sign(d);
    forged_rights(d, &distributor);
    forged_words(d, &distributor);
    plays(d);
    if (vault_call(d->vault, &ASK(vlt_Type_IDENTITY_GET, vlt_Type_IDENTITY, vlt_IdentityGet, &last), on_last, d) != 0)
        log_error("the vault could not be asked");
}

/* --- When --- */

/* The same before it is confined: what it cannot do then is what confinement takes. */
int __wrap_confinement_enter(const struct config *c)
{
    config = c;
    note_helpers();
    int key = open(in_state("vault/storage.key"), O_RDONLY | O_CLOEXEC),
        letter = open(in_home("letter.txt"), O_RDONLY | O_CLOEXEC),
        bus = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    log_error("before: key=%d letter=%d unix=%d", key >= 0, letter >= 0, bus >= 0);
    closep(&key);
    closep(&letter);
    closep(&bus);
    return __real_confinement_enter(c);
}

int __wrap_spawner_start_vault(struct spawner *s, struct child *c, int requests_fd, int sign_fd, child_exit_fn on_exit)
{
    int r = __real_spawner_start_vault(s, c, requests_fd, sign_fd, on_exit);
    if (r == 0)
        vault_pid = c->pid;
    return r;
}

void __wrap_control_ready(struct daemon *d)
{
    config = &d->config;
    bool filtered = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0; /* without a filter it would succeed, and do harm */
    if (!filtered)
        log_error("not confined: attempts are over before they begin");
    if (filtered && d->accounts != NULL && library_count(d) > 0) {
        files();
        attempts_on_network();
        attempts_on_programs();
        attempts_on_process("the-vault", vault_pid, true);
        attempts_on_process("the-spawner", helpers[0], true);
        attempts_on_process("the-opener", helpers[1], true);
        attempts_on_kernel(true);
        ask_helpers(d);
        requests(d);
    }
    __real_control_ready(d);
}
