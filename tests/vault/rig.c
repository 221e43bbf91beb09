/* Starting, asking and ending vaults. */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "check.h"
#include "crypto/body.h"
#include "crypto/sha256.h"
#include "net/window.h"
#include "vault/sealed.h"
#include "vault/storage_key.h"

const char *const *rig_wrapper;

static void exec_vault(const char *dir, int requests, int tls)
{
    const char *argv[32];
    size_t n = 0;
    for (size_t i = 0; rig_wrapper && rig_wrapper[i]; i++)
        argv[n++] = rig_wrapper[i];
    argv[n++] = getenv("HEARTH_VAULT");
    argv[n++] = "--state-dir";
    argv[n++] = dir;
    argv[n] = NULL;
    int high_requests = fcntl(requests, F_DUPFD, 10), high_tls = fcntl(tls, F_DUPFD, 10);
    dup2(high_requests, 3);
    dup2(high_tls, 4);
    closefrom(5);
    setenv("ASAN_OPTIONS", "detect_leaks=0",
           0); /* its leak search would have to trace a process that may not be traced */
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

void rig_spawn(struct rig *r)
{
    int requests[2], tls[2];
    check(getenv("HEARTH_VAULT"));
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, requests) == 0);
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, tls) == 0);
    r->pid = fork();
    check(r->pid >= 0);
    if (r->pid == 0)
        exec_vault(r->dir, requests[1], tls[1]);
    close(requests[1]);
    close(tls[1]);
    channel_init(&r->requests, requests[0], 64 * 1024);
    channel_init(&r->tls, tls[0], 1024);
    r->next = 0;
}

void rig_identify(struct rig *r)
{
    vlt_IdentityGet ask = { 0 };
    vlt_Identity identity;
    uint32_t id = rig_send(r, vlt_Type_IDENTITY_GET, vlt_IdentityGet_fields, &ask, slice(NULL, 0), -1);
    check(rig_receive(r, id, vlt_Type_IDENTITY, vlt_Identity_fields, vlt_Identity_size, &identity, sizeof(identity)) ==
          0);
    memcpy(r->self.device_key, identity.device_key, 32);
    memcpy(r->self.sealing_key, identity.sealing_key, 32);
    r->self.client = id_of_key(identity.device_key);
    r->generation = identity.generation;
}

void rig_start(struct rig *r)
{
    rig_spawn(r);
    rig_identify(r);
}

void rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    signal(SIGPIPE, SIG_IGN);
    check(secret_init() == 0);
    r->tail = buf(1 << 20);
    strcpy(r->dir, "/tmp/hearth-vault-test-XXXXXX");
    check(mkdtemp(r->dir));
    rig_start(r);
}

static void close_channels(struct rig *r)
{
    channel_deinit(&r->requests);
    channel_deinit(&r->tls);
}

void rig_stop(struct rig *r)
{
    int status;
    close_channels(r);
    check(waitpid(r->pid, &status, 0) == r->pid);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    r->pid = 0;
}

int rig_start_fails(struct rig *r)
{
    int status;
    rig_spawn(r);
    check(waitpid(r->pid, &status, 0) == r->pid && WIFEXITED(status));
    close_channels(r);
    r->pid = 0;
    return WEXITSTATUS(status);
}

void rig_kill(struct rig *r)
{
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
    close_channels(r);
    r->pid = 0;
}

static void remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

void rig_deinit(struct rig *r)
{
    if (r->pid != 0)
        rig_stop(r);
    buf_free(&r->tail);
    remove_dir(r->dir);
}

/* --- Asking --- */

static int send_with_fd(int socket, struct slice bytes, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = { (void *)bytes.data, bytes.len };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &fd, sizeof(fd));
    return sendmsg(socket, &m, MSG_NOSIGNAL) == (ssize_t)bytes.len ? 0 : -errno;
}

uint32_t rig_send(struct rig *r, uint16_t type, const pb_msgdesc_t *fields, const void *message, struct slice tail,
                  int fd)
{
    struct buf frame = buf(FRAME_MAX);
    uint32_t id = ++r->next;
    check(codec_frame(&frame, type, id, fields, message, tail) == 0);
    if (fd >= 0)
        check(send_with_fd(r->requests.fd, buf_slice(&frame), fd) == 0);
    else
        (void)!channel_write(&r->requests, buf_slice(&frame)); /* a vault that is gone shows when receiving */
    buf_free(&frame);
    return id;
}

/* What one frame says: see rig_receive. */
static int judge_reply(const struct frame *f, uint32_t request, uint16_t expected, const pb_msgdesc_t *fields,
                       size_t wire_max, void *out, size_t size, msg_Refusal *refusal)
{
    check(f->request == request);
    if (f->type == msg_Type_REFUSAL) {
        check(CODEC_DECODE(msg_Refusal, f->message, refusal) == 0);
        return reason_of_code(refusal->code);
    }
    check(f->type == expected);
    if (fields)
        check(codec_decode(fields, wire_max, f->message, out, size) == 0);
    return 0;
}

int rig_receive(struct rig *r, uint32_t request, uint16_t expected, const pb_msgdesc_t *fields, size_t wire_max,
                void *out, size_t size)
{
    struct frame f;
    if (channel_read(&r->requests, true, &f) != 0)
        return -EPIPE;
    r->type = f.type;
    buf_clear(&r->tail);
    check(buf_append(&r->tail, f.tail) == 0);
    return judge_reply(&f, request, expected, fields, wire_max, out, size, &r->refusal);
}

#define ASK_DONE(r, TYPE, T, m, tail) \
    rig_receive(r, rig_send(r, vlt_Type_##TYPE, T##_fields, m, tail, -1), vlt_Type_DONE, NULL, 0, NULL, 0)
#define ASK(r, TYPE, T, m, tail, REPLY, U, out)                                                                        \
    rig_receive(r, rig_send(r, vlt_Type_##TYPE, T##_fields, m, tail, -1), vlt_Type_##REPLY, U##_fields, U##_size, out, \
                sizeof(*(out)))
#define NO_TAIL slice(NULL, 0)

int rig_keyset_bytes(struct rig *r, const struct maker *m, const uint8_t *tls_key, struct slice envelope)
{
    vlt_KeysetCheck ask = { .has_tls_key = tls_key != NULL };
    vlt_KeysetChecked out;
    memcpy(ask.distributor, m->id.bytes, 32);
    if (tls_key)
        memcpy(ask.tls_key, tls_key, 32);
    int result = ASK(r, KEYSET_CHECK, vlt_KeysetCheck, &ask, envelope, KEYSET_CHECKED, vlt_KeysetChecked, &out);
    if (result == 0)
        check(out.sequence == m->keyset.sequence && strcmp(out.name, m->keyset.name) == 0);
    return result;
}

int rig_keyset(struct rig *r, struct maker *m, bool with_tls_key)
{
    struct buf envelope = buf(8192);
    uint8_t tls_key[32];
    sign_public_key(&m->tls, tls_key);
    maker_keyset(m, &envelope);
    int result = rig_keyset_bytes(r, m, with_tls_key ? tls_key : NULL, buf_slice(&envelope));
    buf_free(&envelope);
    return result;
}

int rig_service(struct rig *r, const struct maker *m, struct slice certificate, struct slice set)
{
    vlt_ServiceData ask = { 0 };
    memcpy(ask.distributor, m->id.bytes, 32);
    check(CODEC_SET_BYTES(ask.certificate, certificate) == 0);
    return ASK_DONE(r, SERVICE_DATA, vlt_ServiceData, &ask, set);
}

int rig_register(struct rig *r, struct maker *m)
{
    struct buf certificate = buf(512), set = buf(32768);
    int result = rig_keyset(r, m, true);
    maker_certificate(m, &r->self, MAKER_LEAF, &certificate);
    maker_set(m, &r->self, MAKER_LEAF, &set);
    if (result == 0)
        result = rig_service(r, m, buf_slice(&certificate), buf_slice(&set));
    buf_free(&certificate);
    buf_free(&set);
    return result;
}

int rig_drop(struct rig *r, const struct maker *m)
{
    vlt_ServiceDrop ask;
    memcpy(ask.distributor, m->id.bytes, 32);
    return ASK_DONE(r, SERVICE_DROP, vlt_ServiceDrop, &ask, NO_TAIL);
}

int rig_login(struct rig *r, const struct maker *m, const uint8_t sealed[80])
{
    vlt_LoginStore ask;
    memcpy(ask.distributor, m->id.bytes, 32);
    memcpy(ask.token, sealed, sizeof(ask.token));
    return ASK_DONE(r, LOGIN_STORE, vlt_LoginStore, &ask, NO_TAIL);
}

int rig_prove(struct rig *r, const struct maker *m, const uint8_t challenge[32], vlt_LoginProof *out)
{
    vlt_LoginProve ask;
    memcpy(ask.distributor, m->id.bytes, 32);
    memcpy(ask.challenge, challenge, sizeof(ask.challenge));
    return ASK(r, LOGIN_PROVE, vlt_LoginProve, &ask, NO_TAIL, LOGIN_PROOF, vlt_LoginProof, out);
}

int rig_logout(struct rig *r, const struct maker *m)
{
    vlt_LoginDrop ask;
    memcpy(ask.distributor, m->id.bytes, 32);
    return ASK_DONE(r, LOGIN_DROP, vlt_LoginDrop, &ask, NO_TAIL);
}

int rig_roster(struct rig *r, const struct maker *m, struct slice envelope)
{
    vlt_RosterCheck ask;
    memcpy(ask.distributor, m->id.bytes, 32);
    return ASK_DONE(r, ROSTER_CHECK, vlt_RosterCheck, &ask, envelope);
}

int rig_time(struct rig *r, const struct maker *m, struct slice envelope)
{
    vlt_TimeCheck ask = { 0 };
    memcpy(ask.distributor, m->id.bytes, 32);
    check(CODEC_SET_BYTES(ask.time, envelope) == 0);
    return ASK_DONE(r, TIME_CHECK, vlt_TimeCheck, &ask, NO_TAIL);
}

int rig_give(struct rig *r, const struct maker *m, const struct content *c, const doc_License *l)
{
    doc_Header h;
    struct buf license = buf(2048), header = buf(2048);
    sign_into(&license, DOCUMENT_LICENSE, l, &m->license);
    maker_header(m, c, &h);
    encode_header(&h, &header);
    int outcome = rig_license(r, buf_slice(&license), buf_slice(&header));
    buf_free(&license);
    buf_free(&header);
    return outcome;
}

int rig_no_time(struct rig *r, const struct maker *m)
{
    vlt_TimeCheck ask = { .has_tls_key = true };
    memcpy(ask.distributor, m->id.bytes, 32);
    sign_public_key(&m->tls, ask.tls_key);
    return ASK_DONE(r, TIME_CHECK, vlt_TimeCheck, &ask, NO_TAIL);
}

int rig_license(struct rig *r, struct slice license, struct slice header)
{
    vlt_LicenseStore ask = { .has_header = header.len > 0 };
    check(CODEC_SET_BYTES(ask.license, license) == 0);
    check(CODEC_SET_BYTES(ask.header, header) == 0);
    return ASK_DONE(r, LICENSE_STORE, vlt_LicenseStore, &ask, NO_TAIL);
}

int rig_header(struct rig *r, struct slice header)
{
    vlt_HeaderStore ask = { 0 };
    check(CODEC_SET_BYTES(ask.header, header) == 0);
    return ASK_DONE(r, HEADER_STORE, vlt_HeaderStore, &ask, NO_TAIL);
}

int rig_licenses(struct rig *r, vlt_Licenses *out)
{
    vlt_LicensesGet ask = { 0 };
    return ASK(r, LICENSES_GET, vlt_LicensesGet, &ask, NO_TAIL, LICENSES, vlt_Licenses, out);
}

int rig_distributors(struct rig *r, vlt_Distributors *out)
{
    vlt_DistributorsGet ask = { 0 };
    return ASK(r, DISTRIBUTORS_GET, vlt_DistributorsGet, &ask, NO_TAIL, DISTRIBUTORS, vlt_Distributors, out);
}

int rig_check(struct rig *r, const struct offer *o, vlt_CertificateState *out)
{
    static vlt_CertificateCheck ask;
    memset(&ask, 0, sizeof(ask));
    check(CODEC_SET_BYTES(ask.certificate, buf_slice(&o->certificate)) == 0);
    ask.has_delegation = o->delegation.len > 0;
    check(CODEC_SET_BYTES(ask.delegation, buf_slice(&o->delegation)) == 0);
    check(CODEC_SET_BYTES(ask.info, buf_slice(&o->content->info_bytes)) == 0);
    memcpy(ask.list_root, o->content->list_root, 32);
    ask.has_presenter = o->presenter != NULL;
    if (o->presenter)
        memcpy(ask.presenter, o->presenter->client.bytes, 32);
    return ASK(r, CERTIFICATE_CHECK, vlt_CertificateCheck, &ask, NO_TAIL, CERTIFICATE_STATE, vlt_CertificateState, out);
}

int rig_commit(struct rig *r, const vlt_CertificateName *name, vlt_CertificateState *out)
{
    vlt_CertificateCommit ask = { .name = *name };
    return ASK(r, CERTIFICATE_COMMIT, vlt_CertificateCommit, &ask, NO_TAIL, CERTIFICATE_STATE, vlt_CertificateState,
               out);
}

int rig_refuse(struct rig *r, const struct offer *o, vlt_CertificateState *out)
{
    vlt_CertificateRefuse ask = { .has_delegation = o->delegation.len > 0 };
    check(CODEC_SET_BYTES(ask.certificate, buf_slice(&o->certificate)) == 0);
    check(CODEC_SET_BYTES(ask.delegation, buf_slice(&o->delegation)) == 0);
    return ASK(r, CERTIFICATE_REFUSE, vlt_CertificateRefuse, &ask, NO_TAIL, CERTIFICATE_STATE, vlt_CertificateState,
               out);
}

int rig_release(struct rig *r, const vlt_CertificateName *name)
{
    vlt_CertificateRelease ask = { .name = *name };
    return ASK_DONE(r, CERTIFICATE_RELEASE, vlt_CertificateRelease, &ask, NO_TAIL);
}

int rig_move_release(struct rig *r, struct slice sealed, vlt_MoveReleased *out)
{
    vlt_MoveRelease ask = { 0 };
    check(CODEC_SET_BYTES(ask.sealed, sealed) == 0);
    return ASK(r, MOVE_RELEASE, vlt_MoveRelease, &ask, NO_TAIL, MOVE_RELEASED, vlt_MoveReleased, out);
}

int rig_use_sign(struct rig *r, const struct maker *issuer, const struct content *c, bool give_back, doc_Use *out)
{
    vlt_UseSign ask = { .give_back = give_back };
    vlt_UseSigned said;
    memcpy(ask.issuer, issuer->id.bytes, ID_BYTES);
    memcpy(ask.license_id, c->license_id, sizeof(c->license_id));
    int outcome = ASK(r, USE_SIGN, vlt_UseSign, &ask, NO_TAIL, USE_SIGNED, vlt_UseSigned, &said);
    if (outcome == 0)
        check(use_judge(CODEC_BYTES(said.use), out) == 0);
    return outcome;
}

int rig_move_finish(struct rig *r, struct slice receipt, vlt_MoveFinished *out)
{
    vlt_MoveFinish ask = { 0 };
    check(CODEC_SET_BYTES(ask.receipt, receipt) == 0);
    return ASK(r, MOVE_FINISH, vlt_MoveFinish, &ask, NO_TAIL, MOVE_FINISHED, vlt_MoveFinished, out);
}

int rig_move_cancel(struct rig *r, struct slice receipt)
{
    vlt_MoveCancel ask = { 0 };
    check(CODEC_SET_BYTES(ask.receipt, receipt) == 0);
    return ASK_DONE(r, MOVE_CANCEL, vlt_MoveCancel, &ask, NO_TAIL);
}

int rig_play_end(struct rig *r, uint64_t play, vlt_PlayEnd end, vlt_PlayClosed *closed)
{
    vlt_PlayClose ask = { .play = play, .end = end };
    uint32_t id = rig_send(r, vlt_Type_PLAY_CLOSE, vlt_PlayClose_fields, &ask, NO_TAIL, -1);
    return rig_receive(r, id, vlt_Type_PLAY_CLOSED, vlt_PlayClosed_fields, vlt_PlayClosed_size, closed,
                       sizeof(*closed));
}

int rig_play_close(struct rig *r, uint64_t play)
{
    vlt_PlayClosed closed;
    return rig_play_end(r, play, vlt_PlayEnd_END_FINISHED, &closed);
}

static uint32_t play_ask(struct rig *r, const struct content *c, bool record, int *player)
{
    int ends[2];
    static vlt_PlayOpen ask;
    memset(&ask, 0, sizeof(ask));
    ask.has_record = ask.record = record;
    memcpy(ask.content, c->id.bytes, 32);
    check(CODEC_SET_BYTES(ask.info, buf_slice(&c->info_bytes)) == 0);
    memcpy(ask.list_root, c->list_root, 32);
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    uint32_t id = rig_send(r, vlt_Type_PLAY_OPEN, vlt_PlayOpen_fields, &ask, NO_TAIL, ends[1]);
    close(ends[1]);
    *player = ends[0];
    return id;
}

uint32_t rig_play_ask(struct rig *r, const struct content *c, int *player) { return play_ask(r, c, false, player); }

int rig_play_opened(struct rig *r, uint32_t id, vlt_PlayOpened *out)
{
    return rig_receive(r, id, vlt_Type_PLAY_OPENED, vlt_PlayOpened_fields, vlt_PlayOpened_size, out, sizeof(*out));
}

int rig_play(struct rig *r, const struct content *c, int *player, uint64_t *play)
{
    int end;
    vlt_PlayOpened out;
    int result = rig_play_opened(r, rig_play_ask(r, c, &end), &out);
    if (result == 0 && player)
        *player = end;
    else
        close(end);
    if (result == 0 && play)
        *play = out.play;
    else if (result == 0 && !player)
        check(rig_play_close(r, out.play) == 0);
    return result;
}

int rig_record(struct rig *r, const struct content *c, int *player, uint64_t *play)
{
    vlt_PlayOpened out;
    int result = rig_play_opened(r, play_ask(r, c, true, player), &out);
    if (result == 0)
        *play = out.play;
    else
        close(*player);
    return result;
}

#define UNTOUCHED 0x5a

int rig_give_window(struct channel *player, int fd)
{
    static const vlt_WindowGive ask;
    vlt_Done out;
    msg_Refusal refusal;
    struct frame f;
    if (channel_send_fd(player, vlt_Type_WINDOW_GIVE, UINT32_MAX, vlt_WindowGive_fields, &ask, fd) != 0 ||
        channel_read(player, true, &f) != 0)
        return -EPIPE;
    return judge_reply(&f, UINT32_MAX, vlt_Type_DONE, vlt_Done_fields, vlt_Done_size, &out, sizeof(out), &refusal);
}

int rig_ask_block(struct channel *player, uint32_t index)
{
    vlt_BlockOpen ask = { .index = index };
    vlt_BlockPlain out;
    msg_Refusal refusal;
    struct frame f;
    if (channel_send(player, vlt_Type_BLOCK_OPEN, index + 1, vlt_BlockOpen_fields, &ask, NO_TAIL) != 0 ||
        channel_read(player, true, &f) != 0)
        return -EPIPE;
    int result = judge_reply(&f, index + 1, vlt_Type_BLOCK_PLAIN, vlt_BlockPlain_fields, vlt_BlockPlain_size, &out,
                             sizeof(out), &refusal);
    check(result != 0 || (out.index == index && f.tail.len == 0));
    return result;
}

int rig_open_block(struct channel *player, uint32_t index, struct slice block, struct buf *plain)
{
    struct window window;
    int fd;
    check(window_make(&window, BLOCK_PLAIN_MIN, &fd) == 0);
    memset(window.plain, UNTOUCHED, BLOCK_PLAIN_MIN);
    memcpy(window.sealed, block.data, size_min(block.len, BLOCK_PLAIN_MIN + BLOCK_OVERHEAD_BYTES));
    int result = rig_give_window(player, fd);
    close(fd);
    if (result == 0)
        result = rig_ask_block(player, index);
    if (result == 0)
        check(buf_append(plain, slice(window.plain, block.len - BLOCK_OVERHEAD_BYTES)) == 0);
    for (size_t i = 0; result != 0 && i < BLOCK_PLAIN_MIN; i++)
        check(window.plain[i] == UNTOUCHED);
    window_wipe(&window);
    return result;
}

int rig_tls(struct rig *r, struct slice input, uint8_t signature[64])
{
    vlt_TlsSign ask = { 0 };
    vlt_TlsSigned out;
    struct frame f;
    check(channel_send(&r->tls, vlt_Type_TLS_SIGN, 9, vlt_TlsSign_fields, &ask, input) == 0);
    if (channel_read(&r->tls, true, &f) != 0)
        return -EPIPE;
    int result = judge_reply(&f, 9, vlt_Type_TLS_SIGNED, vlt_TlsSigned_fields, vlt_TlsSigned_size, &out, sizeof(out),
                             &r->refusal);
    if (result == 0)
        memcpy(signature, out.signature, 64);
    return result;
}

int rig_buy(struct rig *r, const struct maker *m, const struct content *c, uint64_t sequence)
{
    doc_License license;
    doc_Header header;
    struct buf envelope = buf(1024), encoded = buf(2048);
    maker_license(m, m, &r->self, c, sequence, &license);
    sign_into(&envelope, DOCUMENT_LICENSE, &license, &m->license);
    maker_header(m, c, &header);
    encode_header(&header, &encoded);
    int result = rig_license(r, buf_slice(&envelope), buf_slice(&encoded));
    buf_free(&envelope);
    buf_free(&encoded);
    return result;
}

/* --- Looking at the database from outside --- */

static void dump_table(sqlite3 *db, const char *table, struct sha256_state *state)
{
    char sql[128];
    sqlite3_stmt *s;
    snprintf(sql, sizeof(sql), "SELECT * FROM \"%s\" ORDER BY 1, 2", table);
    check(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            const void *value = sqlite3_column_blob(s, i);
            uint8_t head[5] = { (uint8_t)sqlite3_column_type(s, i) };
            int len = sqlite3_column_bytes(s, i);
            put_be32(head + 1, (uint32_t)len);
            sha256_update(state, SLICE_ARRAY(head));
            if (len > 0)
                sha256_update(state, slice(value, (size_t)len));
        }
    }
    sqlite3_finalize(s);
}

/* The row `device`, as the vault itself reads it. */
static void open_device(const struct rig *r, struct vault *v, sqlite3 **db, uint8_t generation[8],
                        struct key32 secrets[2])
{
    char path[128];
    struct key32 *storage_key;
    sqlite3_stmt *s;
    *v = (struct vault){ .rng = rng_system() };
    check(storage_key_get(r->dir, false, &(struct storage_key_wish){ 0 }, v->rng, &storage_key) == 0);
    v->storage_key = storage_key;
    snprintf(path, sizeof(path), "%s/vault.db", r->dir);
    check(sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
    check(sqlite3_prepare_v2(*db, "SELECT generation, sealed FROM device", -1, &s, NULL) == SQLITE_OK);
    check(sqlite3_step(s) == SQLITE_ROW);
    put_be64(generation, (uint64_t)sqlite3_column_int64(s, 0));
    struct slice sealed = slice(sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1));
    check(sealed.len == 2 * sizeof(*secrets) + SEALED_OVERHEAD_BYTES);
    check(sealed_open(v, "hearth vault device, whole", slice(generation, 8), sealed, (uint8_t *)secrets) == 0);
    sqlite3_finalize(s);
}

static void close_device(struct vault *v, sqlite3 *db)
{
    sqlite3_close(db);
    secret_free((struct key32 *)(uintptr_t)v->storage_key);
}

void rig_secrets(const struct rig *r, struct key32 *seed, struct key32 *sealing)
{
    struct vault v;
    struct key32 secrets[2];
    sqlite3 *db;
    uint8_t generation[8];
    open_device(r, &v, &db, generation, secrets);
    close_device(&v, db);
    *seed = secrets[0];
    *sealing = secrets[1];
}

void rig_alter(const struct rig *r, const char *sql)
{
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/vault.db", r->dir);
    check(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
    check(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
}

void rig_alter_and_seal(const struct rig *r, const char *sql)
{
    struct vault v;
    struct key32 secrets[2];
    sqlite3 *db;
    sqlite3_stmt *s;
    uint8_t generation[8];
    struct buf sealed CLEANUP(buf_free) = buf(256);
    rig_alter(r, sql);
    open_device(r, &v, &db, generation, secrets);
    check(sealed_put(&v, "hearth vault device", SLICE_ARRAY(generation), slice(secrets, sizeof(secrets)), &sealed) ==
          0);
    check(sqlite3_prepare_v2(db, "UPDATE device SET sealed = ?1", -1, &s, NULL) == SQLITE_OK);
    sqlite3_bind_blob(s, 1, sealed.data, (int)sealed.len, SQLITE_STATIC);
    check(sqlite3_step(s) == SQLITE_DONE);
    sqlite3_finalize(s);
    check(sqlite3_exec(db, "DELETE FROM whole", NULL, NULL, NULL) == SQLITE_OK);
    close_device(&v, db);
}

void rig_dump(const struct rig *r, uint8_t digest[32])
{
    static const char *const tables[] = { "device", "distributor", "root", "license", "header", "certificate", "move" };
    char path[128];
    sqlite3 *db;
    struct sha256_state state;
    snprintf(path, sizeof(path), "%s/vault.db", r->dir);
    check(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    check(sha256_init(&state) == 0);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        dump_table(db, tables[i], &state);
    sha256_final(&state, digest);
    sqlite3_close(db);
}
