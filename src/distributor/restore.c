/* Getting back what an account bought: the licenses of devices that were removed, and of this very device. No way to multiply rights: each
 * lost license is given again once, with what is left of its copies, and is gone where it was. On the connection's thread.
 * Source: design section 6.2 (a replacement gets back all that was bought). */
#define LOG_MODULE "restore"
#include "base/log.h"
#include "base/util.h"
#include "distributor/handlers.h"
#include "distributor/keyset.h"
#include "distributor/licenses.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

static void bind(struct query *q, const struct device *d, const struct id *content, int64_t now_ms)
{
    query_bind_text(q, 1, d->user);
    rows_bind_id(q, 2, content);
    rows_bind_id(q, 3, &d->client);
    query_bind_i64(q, 4, now_ms - DOCUMENTS_SKEW_MS);
}

/* The first content after *content; OPERATIONS_ABSENT. */
static int next_content(struct operations *o, const struct device *d, int64_t now_ms, struct id *content, bool *held)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_LOST_NEXT);
    bind(&q, d, content, now_ms);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, content->bytes, ID_BYTES);
    *held = query_bool(&q, 1);
    return query_check(&q);
}

int restore_list(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                 struct reply *out)
{
    (void)tail;
    msg_RestorableGet m;
    struct device d;
    msg_Restorable list = msg_Restorable_init_zero;
    int r = REQUEST_DECODE(message, msg_RestorableGet, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    struct id content = id_from(m.after);
    while (r == 0 && list.items_count < ARRAY_COUNT(list.items)) {
        msg_RestorableItem *item = &list.items[list.items_count];
        r = next_content(o, &d, who->now_ms, &content, &item->held);
        memcpy(item->content, content.bytes, sizeof(item->content));
        list.items_count += r == 0;
    }
    list.more = r == 0;
    return r == 0 || r == OPERATIONS_ABSENT ? REPLY(out, RESTORABLE, msg_Restorable, &list) : r;
}

int restore_find(struct operations *o, const struct device *d, const struct id *content, int64_t now_ms,
                 struct license *out)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_LOST);
    bind(&q, d, content, now_ms);
    int r = rows_one(&q);
    return r == 0 ? licenses_read(&q, out) : r;
}

static int kept_document(struct operations *o, const struct license *l, struct buf *document)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_DOCUMENT);
    query_bind_blob(&q, 1, SLICE_ARRAY(l->license_id));
    rows_bind_id(&q, 2, &l->client);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    query_append(&q, 0, document);
    return query_check(&q);
}

/* Where it was, it is no more. */
static int take_away(struct operations *o, const struct license *lost)
{
    struct query q CLEANUP(query_end) = query(o->store, MOVES_VOID);
    query_bind_blob(&q, 1, SLICE_ARRAY(lost->license_id));
    rows_bind_id(&q, 2, &lost->client);
    int r = rows_run(&q);
    return r == 0 ? licenses_set_state(o, lost->license_id, &lost->client, lost->sequence, LICENSE_GONE) : r;
}

static int give_again(struct operations *o, const struct device *d, const struct license *lost,
                      const struct content_halves *halves, int64_t now_ms, struct buf *document)
{
    doc_DeviceCertificate certificate;
    struct license l = *lost;
    struct signer signer;
    int r = devices_certificate(o, d, now_ms, &certificate);
    if (r == 0)
        r = take_away(o, lost);
    if (r != 0)
        return r;
    l.client = d->client;
    l.distributor = OPERATIONS_SELF;
    l.state = LICENSE_LIVE;
    memcpy(l.user, d->user, sizeof(l.user));
    signer_from_pair(&signer, &o->keys->license);
    r = licenses_sign(o, &l, &certificate, &halves->license, now_ms, &signer, document);
    if (r == 0)
        r = licenses_set(o, &l, buf_slice(document));
    if (r == 0)
        r = licenses_record(o, &l, now_ms);
    return r == 0 ? licenses_record_content(o, d->user, &l.content, &d->client, l.license_id, now_ms) : r;
}

/* A license that this device has, or is giving away, is not written over. */
static int judge_here(struct operations *o, const struct device *d, const struct license *lost, int64_t now_ms,
                      struct reply *out)
{
    struct license mine;
    int r = licenses_find(o, lost->license_id, &d->client, &mine);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    if (!id_equal(lost->client.bytes, d->client.bytes) && licenses_is_held(&mine, now_ms))
        return reply_refuse(out, REASON_ALREADY, "This device has a license for it, or is moving it away.");
    return 0;
}

int restore_run(struct operations *o, const struct caller *who, const msg_Restore *item, msg_Result *result,
                struct reply *out)
{
    struct device d;
    struct license lost;
    struct content_halves halves CLEANUP(content_halves_wipe) = { 0 };
    struct id content = id_from(item->content);
    struct buf document CLEANUP(buf_free) = buf(sizeof(result->license.bytes));
    struct buf header CLEANUP(buf_free) = buf(sizeof(result->header.bytes));
    int r = devices_caller(o, who, &d);
    if (r == 0)
        r = restore_find(o, &d, &content, who->now_ms, &lost);
    if (r == OPERATIONS_ABSENT)
        return reply_refuse(out, REASON_NO_LICENSE,
                            "There is nothing to get back: no license of the account was lost.");
    if (r == 0)
        r = judge_here(o, &d, &lost, who->now_ms, out);
    if (r == 0)
        r = contents_halves(o, &content, &halves);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    bool kept = lost.state == LICENSE_LIVE && id_equal(lost.client.bytes, d.client.bytes);
    r = kept ? kept_document(o, &lost, &document) : give_again(o, &d, &lost, &halves, who->now_ms, &document);
    if (r == 0)
        r = licenses_header(o, &d, &content, &halves, &header);
    if (r != 0)
        return r;
    result->has_license = result->has_header = true;
    if (CODEC_SET_BYTES(result->license, buf_slice(&document)) != 0 ||
        CODEC_SET_BYTES(result->header, buf_slice(&header)) != 0)
        return -EMSGSIZE;
    return 0;
}
