/* Dispatch of hearthd's requests, and the transaction around them. What a request means is in its handler's file. */
#define LOG_MODULE "requests"
#include "vault/requests.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "vault/behind.h"
#include "vault/certificates.h"
#include "vault/counter.h"
#include "vault/headers.h"
#include "vault/keys.h"
#include "vault/keysets.h"
#include "vault/licenses.h"
#include "vault/logins.h"
#include "vault/metadata.h"
#include "vault/moves.h"
#include "vault/play.h"
#include "vault/programs.h"
#include "vault/rosters.h"
#include "vault/service.h"
#include "vault/trusted_time.h"
#include "vault/use.h"
#include "vault/whole.h"

#define BATCH_COUNT_MAX 64
#define BATCH_MS 3
#define REPLIES_BYTES_MAX (4u << 20)

union any_request {
    vlt_KeysetCheck keyset_check;
    vlt_ServiceData service_data;
    vlt_LicenseStore license_store;
    vlt_CertificateCheck certificate_check;
    vlt_CertificateRefuse certificate_refuse;
    vlt_MoveRelease move_release;
    vlt_PlayOpen play_open;
    vlt_ProgramStore program_store;
    uint64_t align;
};

#define ROW(type, T, handler)                                     \
    {                                                             \
        vlt_Type_##type, T##_fields, T##_size, sizeof(T), handler \
    }
static const struct {
    uint16_t type;
    const pb_msgdesc_t *fields;
    size_t wire_max, size;
    request_fn *handler;
} table[] = {
    ROW(IDENTITY_GET, vlt_IdentityGet, requests_identity),
    ROW(KEYSET_CHECK, vlt_KeysetCheck, keysets_check),
    ROW(SERVICE_DATA, vlt_ServiceData, service_store),
    ROW(SERVICE_DROP, vlt_ServiceDrop, service_drop),
    ROW(ROSTER_CHECK, vlt_RosterCheck, rosters_check),
    ROW(TIME_CHECK, vlt_TimeCheck, trusted_time_check),
    ROW(TIME_GET, vlt_TimeGet, trusted_time_tell),
    ROW(DISTRIBUTORS_GET, vlt_DistributorsGet, service_list),
    ROW(ROSTER_GET, vlt_RosterGet, rosters_get),
    ROW(LICENSE_STORE, vlt_LicenseStore, licenses_store),
    ROW(HEADER_STORE, vlt_HeaderStore, headers_store),
    ROW(LICENSES_GET, vlt_LicensesGet, licenses_list),
    ROW(CERTIFICATE_CHECK, vlt_CertificateCheck, certificates_check),
    ROW(CERTIFICATE_COMMIT, vlt_CertificateCommit, certificates_commit),
    ROW(CERTIFICATE_REFUSE, vlt_CertificateRefuse, certificates_refuse),
    ROW(CERTIFICATE_RELEASE, vlt_CertificateRelease, certificates_release),
    ROW(MOVE_RELEASE, vlt_MoveRelease, moves_release),
    ROW(MOVE_FINISH, vlt_MoveFinish, moves_finish),
    ROW(MOVE_CANCEL, vlt_MoveCancel, moves_cancel),
    ROW(LOGIN_STORE, vlt_LoginStore, logins_store),
    ROW(LOGIN_PROVE, vlt_LoginProve, logins_prove),
    ROW(LOGIN_DROP, vlt_LoginDrop, logins_drop),
    ROW(PLAY_OPEN, vlt_PlayOpen, play_open),
    ROW(PLAY_CLOSE, vlt_PlayClose, play_close),
    ROW(STANDING_CHECK, vlt_StandingCheck, standing_check),
    ROW(CATCH_UP, vlt_CatchUp, catch_up_take),
    ROW(USE_SIGN, vlt_UseSign, use_sign),
    ROW(USE_LOG_GET, vlt_UseLogGet, use_log_get),
    ROW(USE_LOG_TAKEN, vlt_UseLogTaken, use_log_taken),
    ROW(USE_LIST_GET, vlt_UseListGet, use_list),
    ROW(BODY_STORED, vlt_BodyStored, use_body_stored),
    ROW(PROGRAM_CHECK, vlt_ProgramCheck, programs_check),
    ROW(PROGRAM_STORE, vlt_ProgramStore, programs_store),
    ROW(PROGRAMS_GET, vlt_ProgramsGet, programs_list),
    ROW(PROGRAM_DROP, vlt_ProgramDrop, programs_drop),
    ROW(PROGRAM_OPEN, vlt_ProgramOpen, programs_open),
    ROW(METADATA_JUDGE, vlt_MetadataJudge, metadata_judge_file),
    ROW(METADATA_VOUCH, vlt_MetadataVouch, metadata_take_vouch),
};

int requests_identity(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)rq;
    memcpy(reply->identity.device_key, v->keys->pair.public_key, sizeof(reply->identity.device_key));
    memcpy(reply->identity.sealing_key, v->keys->sealing_key, sizeof(reply->identity.sealing_key));
    reply->type = vlt_Type_IDENTITY;
    reply->fields = vlt_Identity_fields;
    return keys_generation(v, &reply->identity.generation);
}

/* Requests that share a transaction, and their answers while they wait for it. */
struct batch {
    struct vault *v;
    struct channel *channel;
    struct transaction transaction;
    uint32_t ids[BATCH_COUNT_MAX];
    unsigned count;
    struct buf replies;
    union any_request message;
    struct reply reply;
};

static int refuse(struct batch *b, uint32_t id, enum reason reason, const char *detail)
{
    msg_Refusal refusal;
    if (reason == REASON_STORAGE_FULL && detail == NULL)
        detail = "There is no room left on this device for what its vault has to write; nothing was changed.";
    reason_refusal(&refusal, reason, detail);
    return codec_frame(&b->replies, msg_Type_REFUSAL, id, msg_Refusal_fields, &refusal, slice(NULL, 0));
}

static int answer(struct batch *b, uint32_t id)
{
    static const vlt_Done done;
    struct reply *reply = &b->reply;
    if (reply->type == 0)
        return codec_frame(&b->replies, vlt_Type_DONE, id, vlt_Done_fields, &done, slice(NULL, 0));
    return codec_frame(&b->replies, reply->type, id, reply->fields, &reply->identity, buf_slice(&reply->tail));
}

static bool brings_fd(uint16_t type)
{
    return type == vlt_Type_PLAY_OPEN || type == vlt_Type_PROGRAM_STORE || type == vlt_Type_PROGRAM_OPEN ||
           type == vlt_Type_METADATA_JUDGE;
}

/* Decodes and runs one. As a handler. */
static int run(struct batch *b, const struct frame *f)
{
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        if (table[i].type != f->type)
            continue;
        assert(table[i].size <= sizeof(b->message));
        int r = codec_decode(table[i].fields, table[i].wire_max, f->message, &b->message, table[i].size);
        if (r != 0)
            return r > 0 ? REASON_MALFORMED : r;
        int fd CLEANUP(closep) = brings_fd(f->type) ? channel_take_fd(b->channel) : -1;
        struct request rq = { &b->message, f->tail, &fd };
        return table[i].handler(b->v, &rq, &b->reply);
    }
    return REASON_MALFORMED;
}

/* In a savepoint: a refusal leaves nothing behind. */
static int run_alone(struct batch *b, const struct frame *f)
{
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    int r = savepoint_begin(&p, b->v->store);
    if (r == 0 && f->type != vlt_Type_IDENTITY_GET) /* who it is does not stand in the rows that are added up */
        r = whole_judge(b->v);
    if (r == 0)
        r = run(b, f);
    if (r == 0)
        r = savepoint_release(&p);
    return r;
}

static int handle(struct batch *b, const struct frame *f)
{
    memset(&b->reply, 0, sizeof(b->reply));
    b->reply.tail = buf(REQUESTS_TAIL_MAX);
    b->ids[b->count++] = f->request;
    const bool spent = b->v->counter.spent;
    int r = run_alone(b, f);
    if (r != 0)
        b->v->counter.spent = spent;
    plays_request_done(b->v, r == 0);
    if (r != 0)
        services_forget(b->v); /* what the cache took from rows that are undone now */
    if (r < 0)
        log_error("request failed: type=%u errno=%d", f->type, -r);
    if (r == 0)
        r = answer(b, f->request);
    else
        r = refuse(b, f->request, reason_of_error(r), r > 0 ? b->reply.detail : NULL);
    buf_free(&b->reply.tail);
    secret_wipe(&b->message, sizeof(b->message));
    return r > 0 ? -ENOBUFS : r;
}

/* Whatever the answers said, it did not last: every request of the batch is refused instead. */
static int refuse_all(struct batch *b, int error)
{
    log_error("requests could not be made durable: count=%u errno=%d", b->count, -error);
    b->v->counter.spent = false;
    services_forget(b->v);
    buf_clear(&b->replies);
    for (unsigned i = 0; i < b->count; i++) {
        int r = refuse(b, b->ids[i], reason_of_error(error), NULL);
        if (r != 0)
            return r > 0 ? -ENOBUFS : r;
    }
    return 0;
}

/* One batch, from its first frame on. */
static int serve_batch(struct batch *b, struct frame *f)
{
    int64_t began_ms = clock_mono_ms(b->v->clock);
    int failed = transaction_begin(&b->transaction, b->v->store);
    int more = 0;
    b->count = 0;
    while (more == 0) {
        if (failed != 0) {
            b->ids[b->count++] = f->request;
        } else {
            int r = handle(b, f);
            if (r != 0)
                return r;
        }
        bool full = b->count == BATCH_COUNT_MAX || clock_mono_ms(b->v->clock) - began_ms >= BATCH_MS;
        more = full ? CHANNEL_NOTHING : channel_read(b->channel, false, f);
    }
    if (failed == 0)
        failed = counter_before_commit(b->v);
    if (failed == 0)
        failed = transaction_commit(&b->transaction);
    if (failed == 0 && counter_committed(b->v) != 0)
        return -EIO; /* durable, and not to be answered: judged at the next start */
    plays_committed(b->v, failed == 0);
    int r = failed != 0 ? refuse_all(b, failed > 0 ? -EUCLEAN : failed) : 0;
    if (r == 0)
        r = channel_write(b->channel, buf_slice(&b->replies));
    buf_free(&b->replies);
    if (r == 0 && more != CHANNEL_NOTHING)
        r = more;
    return r;
}

int requests_serve(struct vault *v, struct channel *c)
{
    struct batch *b CLEANUP(freep) = calloc(1, sizeof(*b));
    if (!b)
        return -ENOMEM;
    b->v = v;
    b->channel = c;
    b->replies = buf(REPLIES_BYTES_MAX);
    int r;
    struct frame f;
    do {
        r = channel_read(c, true, &f);
        if (r == 0)
            r = serve_batch(b, &f);
    } while (r == 0);
    transaction_end(&b->transaction);
    plays_committed(v, false); /* of a batch that was broken off */
    buf_free(&b->replies);
    if (r == CHANNEL_CLOSED || r == -EPIPE)
        return 0;
    return r > 0 ? -EPROTO : r;
}
