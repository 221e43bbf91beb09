/* A vault whose hearthd has turned: every request, in any order, with documents that are good, edited and signed again, or garbage.
 * Promises: nothing makes the vault fail inside; a serial is stored or refused, never both, and has one receipt for ever; a license that
 * was surrendered does not wake up; what the vault signs is about what it was asked.
 * Input: a list of requests (one byte what, then its operands), handled in batches as they arrive. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "crypto/contentkey.h"
#include "crypto/seal.h"
#include "fuzz.h"
#include "protocol/metadata.h"
#include "messages.h"
#include "vault/db.h"
#include "vault/keys.h"
#include "vault/play.h"
#include "vault/requests.h"
#include "vault/service.h"
#include "vault/start.h"
#include "world.h"

#define STEPS_MAX 24
#define EDITS_MAX 4
#define SERIALS 4 /* certificates are told apart by the last byte of their serial */
#define QUIET_FRAMES 64

struct run {
    const struct world *w;
    struct clock_fake clock;
    struct rng_fake rng;
    struct vault v;
    struct key32 storage_key;
    struct keys *keys;
    uint8_t license_half[112]; /* sealed once, so that a document that is made again has the same bytes */
    struct buf requests;       /* frames that were not handed over yet */
    uint32_t asked;
    /* What the vault has said, for ever. */
    struct buf receipts[SERIALS][3]; /* by outcome */
    bool surrender_said;
    uint64_t surrendered; /* the sequence of the bought license that was listed as given up */
};

/* ---- asking --------------------------------------------------------------------------------------------------- */

static void queue(struct run *r, uint16_t type, const pb_msgdesc_t *fields, const void *message, struct slice tail)
{
    CHECK(codec_frame(&r->requests, type, ++r->asked, fields, message, tail) == 0);
}

/* As the certificate's serial says. */
static size_t which(const uint8_t serial[16]) { return serial[15] % SERIALS; }

static void note_receipt(struct run *r, struct slice envelope)
{
    doc_Receipt receipt;
    CHECK(receipt_judge(envelope, &receipt) == 0 && id_equal(receipt.destination, &r->keys->client));
    struct buf *known = &r->receipts[which(receipt.serial)][receipt.outcome];
    struct buf *other = &r->receipts[which(receipt.serial)][3 - receipt.outcome];
    CHECK(other->len == 0); /* stored and refused: both ends would have it, or neither */
    CHECK(known->len == 0 || slice_equal(buf_slice(known), envelope));
    if (known->len == 0)
        CHECK(buf_append(known, envelope) == 0);
}

/* Given up stays given up, until a later edition comes. */
static void note_licenses(struct run *r, const vlt_Licenses *list)
{
    for (size_t i = 0; i < list->licenses_count; i++) {
        const vlt_LicenseRow *l = &list->licenses[i];
        if (!id_equal(l->issuer, r->w->own.distributor))
            continue;
        CHECK(l->state == 3 || l->sequence > r->surrendered);
        CHECK(l->state != 3 || r->surrender_said);
        if (l->state == 3)
            r->surrendered = l->sequence;
    }
}

static void note_surrender(struct run *r, struct slice envelope)
{
    doc_Surrender surrender;
    CHECK(surrender_judge(envelope, &surrender) == 0 && id_equal(surrender.client, &r->keys->client));
    r->surrender_said = true;
}

static void note(struct run *r, const struct frame *f)
{
    static vlt_Licenses licenses;
    vlt_CertificateState state;
    vlt_MoveFinished finished;
    msg_Refusal refusal = msg_Refusal_init_zero;
    if (f->type == msg_Type_REFUSAL)
        CHECK(CODEC_DECODE(msg_Refusal, f->message, &refusal) == 0);
    if (getenv("FUZZ_VERBOSE"))
        fprintf(stderr, "answer %u: type %u %s\n", f->request, f->type, refusal.code);
    switch (f->type) {
    case msg_Type_REFUSAL:
        CHECK(strcmp(refusal.code, "internal") != 0);
        break;
    case vlt_Type_CERTIFICATE_STATE:
        CHECK(CODEC_DECODE(vlt_CertificateState, f->message, &state) == 0);
        CHECK(state.has_receipt == (state.state != 1));
        if (state.has_receipt)
            note_receipt(r, CODEC_BYTES(state.receipt));
        break;
    case vlt_Type_LICENSES:
        CHECK(CODEC_DECODE(vlt_Licenses, f->message, &licenses) == 0);
        note_licenses(r, &licenses);
        break;
    case vlt_Type_MOVE_FINISHED:
        CHECK(CODEC_DECODE(vlt_MoveFinished, f->message, &finished) == 0);
        note_surrender(r, CODEC_BYTES(finished.surrender));
        break;
    default:
        break;
    }
}

/* Hands over what is queued, lets the vault work until there is no more, and reads what it said: one answer for each. */
static void hand_over(struct run *r)
{
    int ends[2];
    struct channel theirs, ours;
    struct frame f;
    uint32_t answers = 0, expected = r->asked;
    if (r->requests.len == 0)
        return;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    int room = 8 << 20;
    CHECK(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
    CHECK(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
    channel_init(&ours, ends[0], FRAME_TAIL_MAX);
    channel_init(&theirs, ends[1], REQUESTS_TAIL_MAX);
    CHECK(channel_write(&ours, buf_slice(&r->requests)) == 0 && shutdown(ends[0], SHUT_WR) == 0);
    CHECK(requests_serve(&r->v, &theirs) == 0);
    channel_deinit(&theirs);
    while (channel_read(&ours, true, &f) == 0) {
        CHECK(f.request > 0 && f.request <= r->asked);
        note(r, &f);
        answers++;
    }
    CHECK(answers == expected);
    channel_deinit(&ours);
    buf_clear(&r->requests);
    r->asked = 0;
}

/* ---- documents ------------------------------------------------------------------------------------------------ */

static void edit(struct input *in, struct buf *target)
{
    for (int i = input_u8(in) % EDITS_MAX; i > 0; i--)
        input_edit(in, target);
}

/* Signed after it was edited (or not); edited again at times. */
static void make(struct run *r, struct input *in, enum document d, const void *payload, enum who signer,
                 struct buf *out)
{
    struct buf bytes CLEANUP(buf_free) = buf(DSSE_PAYLOAD_MAX);
    uint8_t how = input_u8(in);
    CHECK(codec_encode(&bytes, world_kind(d)->fields, payload) == 0);
    if (how & 1)
        edit(in, &bytes);
    world_sign(r->w, d, buf_slice(&bytes), (how & 6) == 6 ? (enum who)(input_u8(in) % WHO_COUNT) : signer, out);
    if ((how & 0x30) == 0x30)
        edit(in, out);
}

/* The world's license, for this vault, at the next sequence. */
static void license_for_us(struct run *r, const void *issuer, doc_License *out)
{
    memcpy(out, r->w->documents[DOCUMENT_LICENSE], sizeof(*out));
    memcpy(out->issuer, issuer, ID_BYTES);
    memcpy(out->client, r->keys->client.bytes, ID_BYTES);
    memcpy(out->license_half, r->license_half, sizeof(out->license_half));
}

/* The header half under the block's root, or the partner root. */
static void wrap(struct run *r, bool partner_root, const uint8_t license_id[16], uint8_t out[60])
{
    struct key32 header_half = { { 8 } }, root = r->w->block_root_key;
    if (partner_root)
        contentkey_partner_root(&r->w->block_root_key, &r->w->ids[WHO_PARTNER_ROOT], &root);
    struct rng_fake same;
    rng_fake_init(&same, 6);
    CHECK(contentkey_wrap(&same.rng, &root, &r->w->content, license_id, &header_half, out) == 0);
}

/* A partner's copy certificate that brings a license here. */
static void certificate_for_us(struct run *r, struct input *in, struct buf *certificate, struct buf *delegation)
{
    doc_CopyCertificate *c CLEANUP(freep) = malloc(sizeof(*c));
    doc_License license;
    struct buf envelope CLEANUP(buf_free) = buf(4096);
    uint8_t how = input_u8(in);
    CHECK(c);
    memcpy(c, r->w->documents[DOCUMENT_COPY_CERTIFICATE], sizeof(*c));
    memcpy(c->destination, r->keys->client.bytes, ID_BYTES);
    c->serial[15] = how % SERIALS;
    c->move = how & 4;
    c->removable = how & 8;
    license_for_us(r, c->issuer, &license);
    license.sequence = 40 + (how >> 4);
    wrap(r, true, license.license_id, c->wrapped_half);
    make(r, in, DOCUMENT_LICENSE, &license, WHO_PARTNER_COPY, &envelope);
    if (CODEC_SET_BYTES(c->license, buf_slice(&envelope)) == 0)
        make(r, in, DOCUMENT_COPY_CERTIFICATE, c, WHO_PARTNER_COPY, certificate);
    make(r, in, DOCUMENT_DELEGATION, r->w->documents[DOCUMENT_DELEGATION], WHO_OWN_LICENSE, delegation);
}

/* ---- requests ------------------------------------------------------------------------------------------------- */

static void ask_check(struct run *r, struct input *in, bool refuse)
{
    struct buf certificate CLEANUP(buf_free) = buf(8192), delegation CLEANUP(buf_free) = buf(8192);
    vlt_CertificateCheck *check CLEANUP(freep) = calloc(1, sizeof(*check));
    vlt_CertificateRefuse *no CLEANUP(freep) = calloc(1, sizeof(*no));
    CHECK(check && no);
    certificate_for_us(r, in, &certificate, &delegation);
    check->has_delegation = no->has_delegation = delegation.len > 0;
    check->has_presenter = input_u8(in) & 1;
    memcpy(check->presenter, r->w->ids[WHO_SOURCE].bytes, ID_BYTES);
    memcpy(check->list_root, r->w->list_root, 32);
    if (CODEC_SET_BYTES(check->certificate, buf_slice(&certificate)) != 0 ||
        CODEC_SET_BYTES(check->delegation, buf_slice(&delegation)) != 0 ||
        CODEC_SET_BYTES(no->certificate, buf_slice(&certificate)) != 0 ||
        CODEC_SET_BYTES(no->delegation, buf_slice(&delegation)) != 0 ||
        CODEC_SET_BYTES(check->info, buf_slice(&r->w->info)) != 0)
        return;
    if (refuse)
        queue(r, vlt_Type_CERTIFICATE_REFUSE, vlt_CertificateRefuse_fields, no, slice(NULL, 0));
    else
        queue(r, vlt_Type_CERTIFICATE_CHECK, vlt_CertificateCheck_fields, check, slice(NULL, 0));
}

static void ask_settle(struct run *r, struct input *in, bool commit)
{
    const doc_CopyCertificate *c = r->w->documents[DOCUMENT_COPY_CERTIFICATE];
    vlt_CertificateCommit yes = { 0 };
    vlt_CertificateRelease release = { 0 };
    memcpy(yes.name.issuer, c->issuer, ID_BYTES);
    memcpy(yes.name.serial, c->serial, sizeof(c->serial));
    yes.name.serial[15] = input_u8(in) % (SERIALS + 1);
    release.name = yes.name;
    if (commit)
        queue(r, vlt_Type_CERTIFICATE_COMMIT, vlt_CertificateCommit_fields, &yes, slice(NULL, 0));
    else
        queue(r, vlt_Type_CERTIFICATE_RELEASE, vlt_CertificateRelease_fields, &release, slice(NULL, 0));
}

/* A license of the own distributor, bought; with a header. */
static void ask_license(struct run *r, struct input *in)
{
    doc_License license;
    struct buf envelope CLEANUP(buf_free) = buf(4096), header CLEANUP(buf_free) = buf(8192);
    vlt_LicenseStore store = vlt_LicenseStore_init_zero;
    doc_Header h = { .issuer = { 0 } };
    const doc_CopyCertificate *c = r->w->documents[DOCUMENT_COPY_CERTIFICATE];
    license_for_us(r, r->w->own.distributor, &license);
    license.sequence = 60 + input_u8(in) % 4;
    make(r, in, DOCUMENT_LICENSE, &license, WHO_OWN_LICENSE, &envelope);
    memcpy(h.content, r->w->content.bytes, ID_BYTES);
    memcpy(h.issuer, r->w->own.distributor, ID_BYTES);
    memcpy(h.license_id, license.license_id, 16);
    h.key_block = c->key_block;
    wrap(r, false, license.license_id, h.wrapped_half);
    CHECK(CODEC_ENCODE(doc_Header, &header, &h) == 0);
    if (input_u8(in) & 1)
        edit(in, &header);
    store.has_header = input_u8(in) & 1;
    if (CODEC_SET_BYTES(store.license, buf_slice(&envelope)) != 0 ||
        CODEC_SET_BYTES(store.header, buf_slice(&header)) != 0)
        return;
    queue(r, vlt_Type_LICENSE_STORE, vlt_LicenseStore_fields, &store, slice(NULL, 0));
}

/* A move away of what was bought. */
static void ask_release(struct run *r, struct input *in)
{
    doc_CopyCertificate *c CLEANUP(freep) = malloc(sizeof(*c));
    doc_License license;
    struct buf inside CLEANUP(buf_free) = buf(4096), envelope CLEANUP(buf_free) = buf(8192);
    vlt_MoveRelease release = vlt_MoveRelease_init_zero;
    uint8_t sealed[8192 + SEAL_OVERHEAD_BYTES], how = input_u8(in);
    CHECK(c);
    memcpy(c, r->w->documents[DOCUMENT_COPY_CERTIFICATE], sizeof(*c));
    memcpy(c->issuer, r->w->own.distributor, ID_BYTES);
    memcpy(c->source, r->keys->client.bytes, ID_BYTES);
    memcpy(c->destination, r->w->ids[how & 1 ? WHO_STRANGER : WHO_SOURCE].bytes, ID_BYTES);
    c->serial[15] = how % SERIALS;
    c->serial[0] = 0x99; /* of another row than those that come in */
    c->move = true;
    memcpy(&license, r->w->documents[DOCUMENT_LICENSE], sizeof(license));
    memcpy(license.issuer, r->w->own.distributor, ID_BYTES);
    make(r, in, DOCUMENT_LICENSE, &license, WHO_OWN_LICENSE, &inside);
    if (CODEC_SET_BYTES(c->license, buf_slice(&inside)) != 0)
        return;
    make(r, in, DOCUMENT_COPY_CERTIFICATE, c, WHO_OWN_LICENSE, &envelope);
    CHECK(seal_to(r->keys->sealing_key, buf_slice(&envelope), sealed) == 0);
    if (CODEC_SET_BYTES(release.sealed, slice(sealed, envelope.len + SEAL_OVERHEAD_BYTES)) == 0)
        queue(r, vlt_Type_MOVE_RELEASE, vlt_MoveRelease_fields, &release, slice(NULL, 0));
}

static void ask_move_end(struct run *r, struct input *in, bool finish)
{
    struct buf envelope CLEANUP(buf_free) = buf(4096);
    vlt_MoveFinish yes = vlt_MoveFinish_init_zero;
    vlt_MoveCancel no = vlt_MoveCancel_init_zero;
    uint8_t how = input_u8(in);
    enum who destination = how & 1 ? WHO_STRANGER : WHO_SOURCE;
    doc_Receipt receipt = { .outcome = how & 0x40 ? 1 + (how & 1)
                                       : finish   ? RECEIPT_STORED
                                                  : RECEIPT_REFUSED,
                            .signed_ms = WORLD_NOW_MS };
    const doc_CopyCertificate *c = r->w->documents[DOCUMENT_COPY_CERTIFICATE];
    memcpy(receipt.issuer, r->w->own.distributor, ID_BYTES);
    memcpy(receipt.serial, c->serial, sizeof(receipt.serial));
    receipt.serial[15] = how % SERIALS;
    receipt.serial[0] = 0x99;
    memcpy(receipt.content, r->w->content.bytes, ID_BYTES);
    memcpy(receipt.source, r->keys->client.bytes, ID_BYTES);
    memcpy(receipt.destination, r->w->ids[destination].bytes, ID_BYTES);
    make(r, in, DOCUMENT_RECEIPT, &receipt, destination, &envelope);
    if (CODEC_SET_BYTES(yes.receipt, buf_slice(&envelope)) != 0 ||
        CODEC_SET_BYTES(no.receipt, buf_slice(&envelope)) != 0)
        return;
    if (finish)
        queue(r, vlt_Type_MOVE_FINISH, vlt_MoveFinish_fields, &yes, slice(NULL, 0));
    else
        queue(r, vlt_Type_MOVE_CANCEL, vlt_MoveCancel_fields, &no, slice(NULL, 0));
}

/* Keyset, roster or time of the own distributor. */
static void ask_paper(struct run *r, struct input *in)
{
    struct buf envelope CLEANUP(buf_free) = buf(REQUESTS_TAIL_MAX);
    vlt_KeysetCheck keyset = { .has_tls_key = input_u8(in) & 1 };
    vlt_RosterCheck roster;
    vlt_TimeCheck time = vlt_TimeCheck_init_zero;
    memcpy(keyset.distributor, r->w->own.distributor, ID_BYTES);
    memcpy(keyset.tls_key, r->w->keys[WHO_OWN_TLS].public_key, 32);
    memcpy(roster.distributor, r->w->own.distributor, ID_BYTES);
    memcpy(time.distributor, r->w->own.distributor, ID_BYTES);
    switch (input_u8(in) % 5) {
    case 0: {
        doc_Keyset k = r->w->own;
        k.sequence = input_u8(in) & 1 ? input_u64(in) : UINT64_C(7) + input_u8(in);
        make(r, in, DOCUMENT_KEYSET, &k, WHO_OWN_ROOT, &envelope);
        queue(r, vlt_Type_KEYSET_CHECK, vlt_KeysetCheck_fields, &keyset, buf_slice(&envelope));
        break;
    }
    case 1:
        make(r, in, DOCUMENT_ROSTER, r->w->documents[DOCUMENT_ROSTER], WHO_OWN_ROSTER, &envelope);
        queue(r, vlt_Type_ROSTER_CHECK, vlt_RosterCheck_fields, &roster, buf_slice(&envelope));
        break;
    case 3: {
        static const uint8_t information[32];
        vlt_ProgramCheck check = { .older = input_u8(in) & 1 };
        doc_ProgramGrant grant;
        memcpy(&grant, r->w->documents[DOCUMENT_PROGRAM_GRANT], sizeof(grant));
        memcpy(grant.client, r->keys->client.bytes, ID_BYTES);
        CHECK(seal_to(r->keys->sealing_key, SLICE_ARRAY(information), grant.information) == 0);
        memcpy(check.distributor, r->w->own.distributor, ID_BYTES);
        make(r, in, DOCUMENT_PROGRAM_GRANT, &grant, WHO_OWN_LICENSE, &envelope);
        queue(r, vlt_Type_PROGRAM_CHECK, vlt_ProgramCheck_fields, &check, buf_slice(&envelope));
        break;
    }
    case 4: {
        const vlt_MetadataVouch take = { 0 };
        doc_MetadataVouch vouch;
        struct buf keyset_bytes CLEANUP(buf_free) = buf(8192), file CLEANUP(buf_free) = buf(16384);
        memcpy(&vouch, r->w->documents[DOCUMENT_METADATA_VOUCH], sizeof(vouch));
        vouch.sequence = input_u8(in);
        make(r, in, DOCUMENT_METADATA_VOUCH, &vouch, WHO_OWN_LICENSE, &envelope);
        world_envelope(r->w, DOCUMENT_KEYSET, &keyset_bytes);
        CHECK(metadata_vouch_put(&file, buf_slice(&envelope), buf_slice(&keyset_bytes)) == 0);
        queue(r, vlt_Type_METADATA_VOUCH, vlt_MetadataVouch_fields, &take, buf_slice(&file));
        break;
    }
    default: {
        doc_SignedTime t = { .time_ms = input_u8(in) & 1 ? input_u64(in) : (uint64_t)WORLD_NOW_MS + input_u32(in) };
        memcpy(t.distributor, r->w->own.distributor, ID_BYTES);
        memcpy(t.client, r->keys->client.bytes, ID_BYTES);
        make(r, in, DOCUMENT_TIME, &t, WHO_OWN_LICENSE, &envelope);
        if (CODEC_SET_BYTES(time.time, buf_slice(&envelope)) == 0)
            queue(r, vlt_Type_TIME_CHECK, vlt_TimeCheck_fields, &time, slice(NULL, 0));
        break;
    }
    }
}

static void ask_service(struct run *r, struct input *in)
{
    struct buf envelope CLEANUP(buf_free) = buf(1024), set CLEANUP(buf_free) = buf(REQUESTS_TAIL_MAX);
    vlt_ServiceData data = vlt_ServiceData_init_zero;
    doc_DeviceCertificate certificate;
    uint8_t sealed[REQUESTS_TAIL_MAX + SEAL_OVERHEAD_BYTES];
    memcpy(&certificate, r->w->documents[DOCUMENT_DEVICE], sizeof(certificate));
    memcpy(certificate.device_key, r->keys->pair.public_key, 32);
    memcpy(certificate.sealing_key, r->keys->sealing_key, 32);
    memcpy(data.distributor, r->w->own.distributor, ID_BYTES);
    make(r, in, DOCUMENT_DEVICE, &certificate, WHO_OWN_LICENSE, &envelope);
    CHECK(buf_append(&set, slice(r->w->device_set, KEYTREE_SET_BYTES)) == 0);
    if (input_u8(in) & 1)
        edit(in, &set);
    CHECK(seal_to(r->keys->sealing_key, buf_slice(&set), sealed) == 0);
    if (CODEC_SET_BYTES(data.certificate, buf_slice(&envelope)) == 0)
        queue(r, vlt_Type_SERVICE_DATA, vlt_ServiceData_fields, &data,
              slice(sealed, size_min(set.len + SEAL_OVERHEAD_BYTES, REQUESTS_TAIL_MAX)));
}

/* Any type, any bytes, or the message of its type as zeros with edits. */
static void ask_any(struct run *r, struct input *in)
{
    static const char *const names[] = {
        "vlt_LicensesGet",     "vlt_PlayOpen",         "vlt_PlayClose",   "vlt_ServiceDrop",  "vlt_HeaderStore",
        "vlt_MoveRelease",     "vlt_CertificateCheck", "vlt_RosterGet",   "vlt_MoveCancel",   "vlt_LicenseStore",
        "vlt_DistributorsGet", "vlt_IdentityGet",      "vlt_LoginStore",  "vlt_LoginProve",   "vlt_LoginDrop",
        "vlt_ProgramsGet",     "vlt_ProgramDrop",      "vlt_ProgramOpen", "vlt_ProgramStore", "vlt_ProgramCheck",
        "vlt_MetadataJudge",   "vlt_MetadataVouch"
    };
    static const uint16_t types[] = { vlt_Type_LICENSES_GET,      vlt_Type_PLAY_OPEN,        vlt_Type_PLAY_CLOSE,
                                      vlt_Type_SERVICE_DROP,      vlt_Type_HEADER_STORE,     vlt_Type_MOVE_RELEASE,
                                      vlt_Type_CERTIFICATE_CHECK, vlt_Type_ROSTER_GET,       vlt_Type_MOVE_CANCEL,
                                      vlt_Type_LICENSE_STORE,     vlt_Type_DISTRIBUTORS_GET, vlt_Type_IDENTITY_GET,
                                      vlt_Type_LOGIN_STORE,       vlt_Type_LOGIN_PROVE,      vlt_Type_LOGIN_DROP,
                                      vlt_Type_PROGRAMS_GET,      vlt_Type_PROGRAM_DROP,     vlt_Type_PROGRAM_OPEN,
                                      vlt_Type_PROGRAM_STORE,     vlt_Type_PROGRAM_CHECK,    vlt_Type_METADATA_JUDGE,
                                      vlt_Type_METADATA_VOUCH };
    size_t index = input_u8(in) % ARRAY_COUNT(names);
    const struct message *m = message_named(names[index]);
    void *zero CLEANUP(freep) = calloc(1, m->struct_bytes);
    struct buf bytes CLEANUP(buf_free) = buf(FRAME_MESSAGE_MAX);
    uint8_t header[FRAME_HEADER_BYTES];
    CHECK(zero && codec_encode(&bytes, m->fields, zero) == 0);
    if (types[index] == vlt_Type_PLAY_OPEN) {
        vlt_PlayOpen play = vlt_PlayOpen_init_zero;
        memcpy(play.content, r->w->content.bytes, ID_BYTES);
        memcpy(play.list_root, r->w->list_root, 32);
        CHECK(CODEC_SET_BYTES(play.info, buf_slice(&r->w->info)) == 0);
        buf_clear(&bytes);
        CHECK(CODEC_ENCODE(vlt_PlayOpen, &bytes, &play) == 0);
    }
    edit(in, &bytes);
    uint8_t kind = input_u8(in);
    frame_header(header, kind == 255 ? input_u16(in) : types[index], ++r->asked, bytes.len, 0);
    CHECK(buf_append(&r->requests, SLICE_ARRAY(header)) == 0 && buf_append(&r->requests, buf_slice(&bytes)) == 0);
}

static void step(struct run *r, struct input *in)
{
    uint8_t what = input_u8(in);
    switch (what % 13) {
    case 0:
        ask_check(r, in, false);
        break;
    case 1:
        ask_check(r, in, true);
        break;
    case 2:
        ask_settle(r, in, true);
        break;
    case 3:
        ask_settle(r, in, false);
        break;
    case 4:
        ask_license(r, in);
        break;
    case 5:
        ask_release(r, in);
        break;
    case 6:
        ask_move_end(r, in, true);
        break;
    case 7:
        ask_move_end(r, in, false);
        break;
    case 8:
        ask_paper(r, in);
        break;
    case 9:
        ask_service(r, in);
        break;
    case 10:
        ask_any(r, in);
        break;
    case 11: {
        vlt_LicensesGet get = { 0 };
        queue(r, vlt_Type_LICENSES_GET, vlt_LicensesGet_fields, &get, slice(NULL, 0));
        break;
    }
    default:
        r->clock.wall += (int64_t)input_u32(in) - 1000;
        break;
    }
    if (what & 0x80 || r->asked >= QUIET_FRAMES)
        hand_over(r);
}

/* ---- the vault ------------------------------------------------------------------------------------------------ */

static void start(struct run *r)
{
    rng_fake_init(&r->rng, 5);
    clock_fake_init(&r->clock, WORLD_NOW_MS);
    memset(r->storage_key.bytes, 3, sizeof(r->storage_key.bytes));
    r->v = (struct vault){ .clock = &r->clock.clock, .rng = &r->rng.rng, .storage_key = &r->storage_key };
    CHECK(vault_start(&r->v, ":memory:", &r->keys) == 0);
    struct key32 half = { { 7 } };
    CHECK(contentkey_seal_license_half(r->keys->sealing_key, &half, &r->w->content, r->license_half) == 0);
    /* Registered with the own distributor, as an honest hearthd would. */
    struct input plain = { { NULL, 0 } };
    struct buf keyset CLEANUP(buf_free) = buf(8192);
    vlt_KeysetCheck check = { .has_tls_key = false };
    memcpy(check.distributor, r->w->own.distributor, ID_BYTES);
    world_envelope(r->w, DOCUMENT_KEYSET, &keyset);
    queue(r, vlt_Type_KEYSET_CHECK, vlt_KeysetCheck_fields, &check, buf_slice(&keyset));
    ask_service(r, &plain);
    hand_over(r);
}

static void stop(struct run *r)
{
    vault_stop(&r->v, r->keys);
    buf_free(&r->requests);
    for (size_t i = 0; i < SERIALS * 3; i++)
        buf_free(&r->receipts[i / 3][i % 3]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run *r CLEANUP(freep) = calloc(1, sizeof(*r));
    struct input in = input(data, size);
    CHECK(r && setenv("HEARTH_LOG", "error", 0) == 0);
    log_init("fuzz");
    r->w = world_get();
    r->requests = buf(8 << 20);
    for (size_t i = 0; i < SERIALS * 3; i++)
        r->receipts[i / 3][i % 3] = buf(4096);
    start(r);
    for (int i = 0; i < STEPS_MAX && in.rest.len > 0; i++)
        step(r, &in);
    vlt_LicensesGet get = { 0 };
    queue(r, vlt_Type_LICENSES_GET, vlt_LicensesGet_fields, &get, slice(NULL, 0));
    hand_over(r);
    stop(r);
    return 0;
}
