/* A vault's requests, under faults: as it serves them, without sandbox, TLS and player. */
#include <sys/socket.h>

#include "../vault/maker.h"
#include "base/util.h"
#include "crypto/seal.h"
#include "net/channel.h"
#include "torture.h"
#include "vault/keys.h"
#include "vault/requests.h"
#include "vault/start.h"

static char dir[64];
static struct vault vault;
static struct key32 storage_key;
static struct keys *keys;
static bool is_open;
static struct maker shop, other;
static struct content song, hers;
static struct device self, source, target;
static struct key32 target_key;
static struct buf frame, answer;
static doc_CopyCertificate certificate;

static void vault_close(void)
{
    if (is_open)
        vault_stop(&vault, keys);
    is_open = false;
    keys = NULL;
}

static int vault_open(void)
{
    char path[96];
    if (is_open)
        return 0;
    vault = (struct vault){ .clock = clock_system(), .rng = rng_system(), .storage_key = &storage_key };
    memset(vault.boot, 9, sizeof(vault.boot));
    (void)snprintf(path, sizeof(path), "%s/vault.db", dir);
    int r = vault_start(&vault, path, &keys);
    is_open = true;
    if (r != 0)
        vault_close();
    return r;
}

/* 0, or why it was refused; -errno: the vault would have stopped. */
static int ask(void)
{
    int ends[2];
    uint8_t bytes[65536];
    struct channel theirs;
    struct frame f;
    size_t used, need;
    ssize_t got;
    fault_pause();
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    MUST(write(ends[0], frame.data, frame.len) == (ssize_t)frame.len && shutdown(ends[0], SHUT_WR) == 0);
    fault_resume();
    channel_init(&theirs, ends[1], REQUESTS_TAIL_MAX);
    int r = requests_serve(&vault, &theirs);
    channel_deinit(&theirs);
    fault_pause();
    buf_clear(&answer);
    while ((got = read(ends[0], bytes, sizeof(bytes))) > 0)
        MUST(buf_append(&answer, slice(bytes, (size_t)got)) == 0);
    (void)close(ends[0]);
    if (r == 0 && answer.len == 0)
        r = -EPIPE;
    if (r == 0) {
        MUST(frame_split(buf_slice(&answer), FRAME_TAIL_MAX, &f, &used, &need) == 0 && used == answer.len);
        msg_Refusal refusal;
        if (f.type == msg_Type_REFUSAL) {
            MUST(CODEC_DECODE(msg_Refusal, f.message, &refusal) == 0);
            r = (int)reason_of_code(refusal.code);
        }
    }
    fault_resume();
    return r;
}

static void request(uint16_t type, const pb_msgdesc_t *fields, const void *message, struct slice tail)
{
    buf_clear(&frame);
    MUST(codec_frame(&frame, type, 1, fields, message, tail) == 0);
}
#define REQUEST(TYPE, T, message) request(vlt_Type_##TYPE, T##_fields, (message), slice(NULL, 0))

static void must_ask(void)
{
    int r = ask();
    if (r != 0)
        (void)fprintf(stderr, "refused: %s\n", reason_code(reason_of_error(r)));
    MUST(r == 0);
}

/* ---- what goes before --------------------------------------------------------------------------------------------- */

static void begin(void)
{
    MUST(secret_init() == 0);
    (void)snprintf(dir, sizeof(dir), "/tmp/hearth-torture-XXXXXX");
    MUST(mkdtemp(dir));
    torture_place(dir);
    memset(storage_key.bytes, 3, sizeof(storage_key.bytes));
    frame = buf(1 << 20);
    answer = buf(1 << 20);
}

static void begin_started(void)
{
    begin();
    MUST(vault_open() == 0);
    memcpy(self.device_key, keys->pair.public_key, 32);
    memcpy(self.sealing_key, keys->sealing_key, 32);
    self.client = id_of_key(self.device_key);
    maker_init(&shop, 1, "Shop");
    maker_init(&other, 2, "Other");
    content_init(&song, &shop, 1, "audio/flac", slice_str("some sound"), 4096);
    content_init(&hers, &other, 2, "audio/flac", slice_str("other sound"), 4096);
    struct key32 key;
    maker_key(&key, 90, 1);
    sign_public_key(&key, source.device_key);
    source.client = id_of_key(source.device_key);
    maker_key(&target_key, 91, 1);
    sign_public_key(&target_key, target.device_key);
    target.client = id_of_key(target.device_key);
    maker_key(&key, 91, 2);
    seal_public_key(&key, target.sealing_key);
}

static void keyset_request(void)
{
    struct buf envelope CLEANUP(buf_free) = buf(8192);
    vlt_KeysetCheck m = { .has_tls_key = true };
    memcpy(m.distributor, shop.id.bytes, 32);
    sign_public_key(&shop.tls, m.tls_key);
    maker_keyset(&shop, &envelope);
    request(vlt_Type_KEYSET_CHECK, vlt_KeysetCheck_fields, &m, buf_slice(&envelope));
}

static void service_request(void)
{
    struct buf made CLEANUP(buf_free) = buf(512), set CLEANUP(buf_free) = buf(32768);
    vlt_ServiceData m = { 0 };
    maker_certificate(&shop, &self, MAKER_LEAF, &made);
    maker_set(&shop, &self, MAKER_LEAF, &set);
    memcpy(m.distributor, shop.id.bytes, 32);
    MUST(CODEC_SET_BYTES(m.certificate, buf_slice(&made)) == 0);
    request(vlt_Type_SERVICE_DATA, vlt_ServiceData_fields, &m, buf_slice(&set));
}

static void license_request(void)
{
    doc_License license;
    doc_Header header;
    struct buf envelope CLEANUP(buf_free) = buf(1024), encoded CLEANUP(buf_free) = buf(2048);
    vlt_LicenseStore m = { .has_header = true };
    maker_license(&shop, &shop, &self, &song, 5, &license);
    sign_into(&envelope, DOCUMENT_LICENSE, &license, &shop.license);
    maker_header(&shop, &song, &header);
    encode_header(&header, &encoded);
    MUST(CODEC_SET_BYTES(m.license, buf_slice(&envelope)) == 0 && CODEC_SET_BYTES(m.header, buf_slice(&encoded)) == 0);
    REQUEST(LICENSE_STORE, vlt_LicenseStore, &m);
}

static void begin_registered(void)
{
    begin_started();
    keyset_request();
    must_ask();
    service_request();
    must_ask();
}

static void begin_bought(void)
{
    begin_registered();
    license_request();
    must_ask();
}

/* ---- scenes ---------------------------------------------------------------------------------------------------------- */

static void first_start(void) { begin(); }

static void starts(void)
{
    begin_bought();
    vault_close();
}

static void keyset(void)
{
    begin_started();
    keyset_request();
}

static void service(void)
{
    begin_started();
    keyset_request();
    must_ask();
    service_request();
}

static void roster(void)
{
    struct buf envelope CLEANUP(buf_free) = buf(65536);
    vlt_RosterCheck m;
    begin_registered();
    memcpy(m.distributor, shop.id.bytes, 32);
    maker_roster(&shop, &self, 3, &envelope);
    request(vlt_Type_ROSTER_CHECK, vlt_RosterCheck_fields, &m, buf_slice(&envelope));
}

static void signed_time(void)
{
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    vlt_TimeCheck m = { 0 };
    begin_registered();
    memcpy(m.distributor, shop.id.bytes, 32);
    maker_time(&shop, &self, maker_now(), &envelope);
    MUST(CODEC_SET_BYTES(m.time, buf_slice(&envelope)) == 0);
    REQUEST(TIME_CHECK, vlt_TimeCheck, &m);
}

static void license(void)
{
    begin_registered();
    license_request();
}

/* A copy of the other distributor's content, for this device. */
static void certificate_request(void)
{
    static vlt_CertificateCheck m;
    doc_Delegation delegation;
    struct buf envelope CLEANUP(buf_free) = buf(4096), delegated CLEANUP(buf_free) = buf(1024);
    maker_copy(&other, &shop, &source, &self, &hers, 10, &certificate);
    maker_delegation(&shop, &other, &delegation);
    sign_into(&delegated, DOCUMENT_DELEGATION, &delegation, &shop.license);
    sign_into(&envelope, DOCUMENT_COPY_CERTIFICATE, &certificate, &other.copy);
    m.has_delegation = m.has_presenter = true;
    MUST(CODEC_SET_BYTES(m.certificate, buf_slice(&envelope)) == 0);
    MUST(CODEC_SET_BYTES(m.delegation, buf_slice(&delegated)) == 0);
    MUST(CODEC_SET_BYTES(m.info, buf_slice(&hers.info_bytes)) == 0);
    memcpy(m.list_root, hers.list_root, 32);
    memcpy(m.presenter, source.client.bytes, 32);
    REQUEST(CERTIFICATE_CHECK, vlt_CertificateCheck, &m);
}

static void copy_judged(void)
{
    begin_registered();
    certificate_request();
}

static void copy_committed(void)
{
    vlt_CertificateCommit m = { 0 };
    begin_registered();
    certificate_request();
    must_ask();
    memcpy(m.name.issuer, certificate.issuer, sizeof(m.name.issuer));
    memcpy(m.name.serial, certificate.serial, sizeof(m.name.serial));
    REQUEST(CERTIFICATE_COMMIT, vlt_CertificateCommit, &m);
}

static void release_request(void)
{
    vlt_MoveRelease m = { 0 };
    struct buf envelope CLEANUP(buf_free) = buf(4096), sealed CLEANUP(buf_free) = buf(4096);
    maker_copy(&shop, &shop, &self, &target, &song, 10, &certificate);
    certificate.move = true;
    sign_into(&envelope, DOCUMENT_COPY_CERTIFICATE, &certificate, &shop.license);
    MUST(buf_reserve(&sealed, envelope.len + SEAL_OVERHEAD_BYTES) == 0);
    MUST(seal_to(self.sealing_key, buf_slice(&envelope), sealed.data) == 0);
    sealed.len = envelope.len + SEAL_OVERHEAD_BYTES;
    MUST(CODEC_SET_BYTES(m.sealed, buf_slice(&sealed)) == 0);
    REQUEST(MOVE_RELEASE, vlt_MoveRelease, &m);
}

static void move_released(void)
{
    begin_bought();
    release_request();
}

static void receipt_of(uint32_t outcome, struct buf *out)
{
    doc_Receipt r = { .outcome = outcome, .signed_ms = (uint64_t)maker_now() };
    memcpy(r.issuer, certificate.issuer, 32);
    memcpy(r.serial, certificate.serial, 16);
    memcpy(r.content, certificate.content, 32);
    memcpy(r.source, certificate.source, 32);
    memcpy(r.destination, certificate.destination, 32);
    sign_into(out, DOCUMENT_RECEIPT, &r, &target_key);
}

static void move_finished(void)
{
    vlt_MoveFinish m = { 0 };
    struct buf receipt CLEANUP(buf_free) = buf(1024);
    begin_bought();
    release_request();
    must_ask();
    receipt_of(1, &receipt);
    MUST(CODEC_SET_BYTES(m.receipt, buf_slice(&receipt)) == 0);
    REQUEST(MOVE_FINISH, vlt_MoveFinish, &m);
}

static void move_cancelled(void)
{
    vlt_MoveCancel m = { 0 };
    struct buf receipt CLEANUP(buf_free) = buf(1024);
    begin_bought();
    release_request();
    must_ask();
    receipt_of(2, &receipt);
    MUST(CODEC_SET_BYTES(m.receipt, buf_slice(&receipt)) == 0);
    REQUEST(MOVE_CANCEL, vlt_MoveCancel, &m);
}

static void use_signed(void)
{
    vlt_UseSign m = { 0 };
    begin_bought();
    memcpy(m.issuer, shop.id.bytes, ID_BYTES);
    memcpy(m.license_id, song.license_id, sizeof(m.license_id));
    REQUEST(USE_SIGN, vlt_UseSign, &m);
}

int main(int argc, char **argv)
{
    static const struct scene scenes[] = {
        { "a vault starts first", first_start, vault_open, vault_close, vault_open, false, true },
        { "a vault starts", starts, vault_open, vault_close, vault_open, false, true },
        { "a keyset is judged", keyset, ask, vault_close, vault_open, false, false },
        { "service data is stored", service, ask, vault_close, vault_open, false, false },
        { "a roster is judged", roster, ask, vault_close, vault_open, false, false },
        { "signed time is taken", signed_time, ask, vault_close, vault_open, false, false },
        { "a license is stored", license, ask, vault_close, vault_open, false, false },
        { "a copy is judged", copy_judged, ask, vault_close, vault_open, true, false },
        { "a copy is committed", copy_committed, ask, vault_close, vault_open, true, false },
        { "a move is released", move_released, ask, vault_close, vault_open, true, false },
        { "a move is finished", move_finished, ask, vault_close, vault_open, true, false },
        { "a move is cancelled", move_cancelled, ask, vault_close, vault_open, true, false },
        { "use is signed", use_signed, ask, vault_close, vault_open, false, false },
    };
    return torture_main(argc, argv, scenes, ARRAY_COUNT(scenes));
}
