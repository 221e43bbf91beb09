/* What happens to a copy certificate that reaches its destination. Judging without a database is in protocol/certificate.c; the rows are in
 * certificate_rows.c.
 *
 *             check                      commit
 *     none ----------> reserved ------------------> stored
 *       \  <----------    |   release
 *        \   refuse       | refuse
 *         `-------> refused <'                                    */
#include "vault/certificates.h"

#include <stdlib.h>

#include "base/util.h"
#include "crypto/known.h"
#include "vault/behind.h"
#include "vault/certificate_rows.h"
#include "vault/counter.h"
#include "vault/headers.h"
#include "vault/keyblock.h"
#include "vault/keys.h"
#include "vault/licenses.h"
#include "vault/trusted_time.h"
#include "vault/use.h"

static int answer(const struct certificate_row *row, struct reply *reply)
{
    vlt_CertificateState *out = &reply->certificate;
    memcpy(out->name.issuer, row->issuer.bytes, sizeof(out->name.issuer));
    memcpy(out->name.serial, row->serial, sizeof(out->name.serial));
    out->state = row->state;
    memcpy(out->content, row->content.bytes, sizeof(out->content));
    memcpy(out->source, row->source.bytes, sizeof(out->source));
    memcpy(out->license_id, row->license_id, sizeof(out->license_id));
    out->move = row->move;
    out->ends_ms = row->ends_ms;
    out->has_receipt = row->state != CERTIFICATE_RESERVED;
    if (out->has_receipt && CODEC_SET_BYTES(out->receipt, buf_slice(&row->receipt)) != 0)
        return -EUCLEAN;
    reply->type = vlt_Type_CERTIFICATE_STATE;
    reply->fields = vlt_CertificateState_fields;
    return 0;
}

/* Our distributor: whose key block the certificate carries. Nothing is believed of it yet but that. */
static int service_of(struct vault *v, struct slice envelope, const struct service **out)
{
    struct service *const *all;
    unsigned count;
    uint8_t signer[32];
    int r = services_all(v, &all, &count);
    if (r != 0)
        return r;
    if (count == 1) /* the usual device: no need to look */
        return services_find_current(v, &all[0]->distributor, out);
    doc_CopyCertificate *certificate CLEANUP(freep) = malloc(sizeof(*certificate));
    doc_Ekb block;
    if (!certificate)
        return -ENOMEM;
    r = document_open(DOCUMENT_COPY_CERTIFICATE, envelope, certificate, sizeof(*certificate), signer);
    if (r == 0)
        r = document_open(DOCUMENT_EKB, CODEC_BYTES(certificate->key_block.block), &block, sizeof(block), signer);
    return r != 0 ? r : services_find_current(v, block.distributor, out);
}

static struct certificate_case case_of(const struct vault *v, const struct service *s, struct slice certificate,
                                       struct slice delegation)
{
    return (struct certificate_case){
        .keyset = &s->keyset,
        .self = v->keys->client,
        .certificate = certificate,
        .delegation = delegation,
        .lowest_block_version = s->block_version,
        .known = v->known,
    };
}

/* What others hand over waits until the time is known: its papers end, and what is stored stays. 0, REASON_CLOCK_UNTRUSTED, -errno. */
static int set_time(const struct vault *v, struct certificate_case *c)
{
    struct trusted_time t;
    int r = trusted_time_get(v, c->keyset->distributor, 0, &t);
    if (r != 0)
        return r;
    c->now_ms = (int64_t)t.now_ms;
    return trusted_time_is_trusted(&t) ? 0 : REASON_CLOCK_UNTRUSTED;
}

/* The license's half is for this device's sealing key, which stays the same as long as this process lives: what was opened before is not opened once
 * more. */
static int judge_half(struct vault *v, const doc_License *license)
{
    struct key32 half CLEANUP(key32_wipe) = { 0 };
    uint8_t sealed[sizeof(license->license_half) + sizeof(license->content)];
    memcpy(sealed, license->license_half, sizeof(license->license_half));
    memcpy(sealed + sizeof(license->license_half), license->content, sizeof(license->content));
    if (v->opened != NULL && known_has(v->opened, SLICE_ARRAY(sealed)))
        return 0;
    int r = licenses_open_half(v, license, &half);
    if (r == 0 && v->opened != NULL)
        known_add(v->opened, SLICE_ARRAY(sealed));
    return r;
}

/* What only this device can tell: leaf, key block entry and both halves of the content key open. */
static int judge_here(struct vault *v, const struct service *s, const struct certificate_facts *f)
{
    const doc_CopyCertificate *certificate = &f->certificate;
    struct key32 header_half CLEANUP(key32_wipe) = { 0 };
    struct id issuer = id_from(certificate->issuer);
    const struct keyblock_half half = {
        .service = s,
        .block = &f->block,
        .entry = &certificate->key_block,
        .wrapped = certificate->wrapped_half,
        .partner = certificate->partner_root ? &issuer : NULL,
        .content = id_from(certificate->content),
        .license_id = f->license.license_id,
        .is_new = true,
    };
    if (certificate->ends_ms > VAULT_NUMBER_MAX || f->block.version > VAULT_NUMBER_MAX)
        return REASON_MALFORMED;
    if (!service_has_leaf(s, &f->license.leaf))
        return REASON_WRONG_DESTINATION;
    int r = judge_half(v, &f->license);
    return r != 0 ? r : keyblock_open_half(v, &half, &header_half);
}

/* A license older than one that was moved away from here would be of no use: better said before a transfer. */
static int judge_license(struct vault *v, const doc_License *license, struct reply *reply)
{
    struct license_row known CLEANUP(licenses_deinit) = { 0 };
    int r = licenses_get(v, license->issuer, license->license_id, &known);
    if (r != 0)
        return r == LICENSES_ABSENT ? 0 : r;
    if (known.state == LICENSE_VALID || license->sequence > known.license.sequence)
        return 0;
    reply->detail = "A later license for this content was moved away from this device.";
    return REASON_NOT_PERMITTED;
}

/* --- CERTIFICATE_CHECK --- */

/* A serial that is settled, offered once more. 0 answered, REASON_*. */
static int answer_replay(const struct certificate_row *row, const struct id *presenter, struct reply *reply)
{
    if (!presenter) /* S166: a medium is not asked again, it is refused */
        return REASON_SERIAL_ALREADY_USED;
    if (!id_equal(presenter, &row->source) && (row->move || !id_equal(presenter, &row->issuer)))
        return REASON_NOT_PERMITTED;
    return answer(row, reply);
}

/* The row that these very bytes left behind, settled: they were judged then. 0, STORE_ABSENT, -errno. */
static int find_settled(const struct vault *v, struct slice envelope, struct certificate_row *row)
{
    int r = certificate_row_find(v, envelope, row);
    return r == 0 && row->state == CERTIFICATE_RESERVED ? STORE_ABSENT : r;
}

/* Source: seed S165-S167. */
static int judge_serial(const struct vault *v, const struct certificate_row *wanted)
{
    struct certificate_row known CLEANUP(certificate_row_deinit);
    certificate_row_init(&known);
    int used = catch_up_has_serial(v, &wanted->issuer, wanted->serial, &wanted->distributor);
    if (used != 0)
        return used < 0 ? used : REASON_SERIAL_ALREADY_USED;
    int r = certificate_row_get(v, &wanted->issuer, wanted->serial, &known);
    if (r != 0)
        return r == STORE_ABSENT ? 0 : r;
    bool same = memcmp(known.digest, wanted->digest, sizeof(known.digest)) == 0;
    return same && known.state == CERTIFICATE_RESERVED ? 0 : REASON_SERIAL_ALREADY_USED;
}

static int reserve(struct vault *v, struct certificate_row *row, const struct certificate_case *c, struct reply *reply)
{
    row->presented = c->presenter != NULL;
    memcpy(row->list_root, c->list_root, sizeof(row->list_root));
    int r = buf_append(&row->certificate, c->certificate);
    if (r == 0)
        r = buf_append(&row->delegation, c->delegation);
    if (r == 0)
        r = buf_append(&row->info, c->info);
    if (r != 0)
        return r > 0 ? REASON_TOO_LARGE : r;
    r = certificate_row_reserve(v, row);
    return r != 0 ? r : answer(row, reply);
}

int certificates_check(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_CertificateCheck *m = rq->message;
    struct slice envelope = CODEC_BYTES(m->certificate);
    struct id presenter = id_from(m->presenter);
    struct certificate_row row CLEANUP(certificate_row_deinit);
    const struct service *s;
    certificate_row_init(&row);
    int r = find_settled(v, envelope, &row);
    if (r != STORE_ABSENT)
        return r != 0 ? r : answer_replay(&row, m->has_presenter ? &presenter : NULL, reply);
    r = behind_judge(v, reply); /* the serial may be one that this vault has forgotten */
    if (r != 0)
        return r;

    struct certificate_facts *facts CLEANUP(freep) = calloc(1, sizeof(*facts));
    if (!facts)
        return -ENOMEM;
    r = service_of(v, envelope, &s);
    if (r != 0)
        return r;
    struct certificate_case c =
        case_of(v, s, envelope, m->has_delegation ? CODEC_BYTES(m->delegation) : slice(NULL, 0));
    c.presenter = m->has_presenter ? &presenter : NULL;
    c.info = CODEC_BYTES(m->info);
    c.list_root = m->list_root;
    r = set_time(v, &c);
    if (r == 0)
        r = certificate_judge(&c, facts); /* S162-S164, S168-S170 */
    if (r == 0)
        r = judge_here(v, s, facts);
    if (r == 0)
        r = judge_license(v, &facts->license, reply);
    if (r != 0)
        return r;
    certificate_row_deinit(&row);
    certificate_row_init(&row);
    certificate_row_fill(&row, envelope, &s->distributor, &facts->certificate, &facts->license);
    r = judge_serial(v, &row); /* S165 */
    if (r == 0)
        r = keyblock_seen(v, s, facts->block.version);
    return r != 0 ? r : reserve(v, &row, &c, reply);
}

/* --- CERTIFICATE_COMMIT --- */

static int sign_receipt(const struct vault *v, struct certificate_row *row, enum certificate_state state)
{
    doc_Receipt receipt = { .outcome = state == CERTIFICATE_STORED ? RECEIPT_STORED : RECEIPT_REFUSED };
    memcpy(receipt.issuer, row->issuer.bytes, sizeof(receipt.issuer));
    memcpy(receipt.serial, row->serial, sizeof(receipt.serial));
    memcpy(receipt.content, row->content.bytes, sizeof(receipt.content));
    memcpy(receipt.source, row->source.bytes, sizeof(receipt.source));
    memcpy(receipt.destination, v->keys->client.bytes, sizeof(receipt.destination));
    struct signer signer = keys_signer(v);
    row->state = state;
    int r = trusted_time_stamp(v, row->distributor.bytes, &receipt.signed_ms);
    if (r == 0)
        r = document_sign(&row->receipt, DOCUMENT_RECEIPT, &receipt, &signer);
    return r > 0 ? -ENOBUFS : r;
}

/* The header of this holder around the same body. Source: seed S172. */
static int put_header(struct vault *v, const struct service *s, const struct certificate_facts *f)
{
    const doc_CopyCertificate *certificate = &f->certificate;
    doc_Header h = { .partner_root = certificate->partner_root, .key_block = certificate->key_block };
    memcpy(h.content, certificate->content, sizeof(h.content));
    memcpy(h.issuer, certificate->issuer, sizeof(h.issuer));
    memcpy(h.license_id, f->license.license_id, sizeof(h.license_id));
    memcpy(h.wrapped_half, certificate->wrapped_half, sizeof(h.wrapped_half));
    return headers_put(v, &h, s, f->block.version);
}

/* Every check again, from the stored bytes, as things are now. */
static int judge_again(struct vault *v, const struct service *s, const struct certificate_row *row,
                       struct certificate_facts *facts)
{
    struct certificate_case c = case_of(v, s, buf_slice(&row->certificate), buf_slice(&row->delegation));
    c.presenter = row->presented ? &row->source : NULL;
    c.info = buf_slice(&row->info);
    c.list_root = row->list_root;
    /* The block was new enough when the serial was reserved: a revocation elsewhere must not undo a transfer. */
    c.lowest_block_version = 0;
    int r = set_time(v, &c);
    if (r == 0)
        r = certificate_judge(&c, facts);
    return r != 0 ? r : judge_here(v, s, facts);
}

static int store(struct vault *v, struct certificate_row *row, struct reply *reply)
{
    const struct service *s;
    struct certificate_facts *facts CLEANUP(freep) = calloc(1, sizeof(*facts));
    if (!facts)
        return -ENOMEM;
    int r = behind_judge(v, reply);
    if (r == 0)
        r = judge_serial(v, row); /* reserved before this vault learned that it is used */
    if (r == 0)
        r = services_find_current(v, &row->distributor, &s);
    if (r == 0)
        r = judge_again(v, s, row, facts);
    if (r != 0)
        return r;
    r = licenses_keep(v, &facts->license, CODEC_BYTES(facts->certificate.license), true); /* S171 */
    if (r == 0)
        r = use_downloaded(v, &facts->license);
    if (r == 0)
        r = put_header(v, s, facts); /* S172 */
    if (r == 0)
        r = sign_receipt(v, row, CERTIFICATE_STORED);
    if (r == 0)
        r = certificate_row_settle(v, row); /* S173 */
    return r != 0 ? r : answer(row, reply);
}

int certificates_commit(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_CertificateCommit *m = rq->message;
    struct certificate_row row CLEANUP(certificate_row_deinit);
    certificate_row_init(&row);
    int r = certificate_row_get(v, m->name.issuer, m->name.serial, &row);
    if (r != 0)
        return r == STORE_ABSENT ? REASON_NOT_FOUND : r;
    switch (row.state) {
    case CERTIFICATE_RESERVED:
        return store(v, &row, reply);
    case CERTIFICATE_STORED:
        return answer(&row, reply);
    default:
        return REASON_CANCELLED;
    }
}

int certificates_forget_ended(struct vault *v) { return certificate_row_forget_ended(v); }

/* --- CERTIFICATE_REFUSE, CERTIFICATE_RELEASE --- */

int certificates_refuse(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_CertificateRefuse *m = rq->message;
    struct slice envelope = CODEC_BYTES(m->certificate);
    struct certificate_row row CLEANUP(certificate_row_deinit);
    const struct service *s;
    certificate_row_init(&row);
    int r = find_settled(v, envelope, &row);
    if (r != STORE_ABSENT)
        return r != 0 ? r : answer(&row, reply);

    struct certificate_facts *facts CLEANUP(freep) = calloc(1, sizeof(*facts));
    if (!facts)
        return -ENOMEM;
    r = service_of(v, envelope, &s);
    if (r != 0)
        return r;
    struct certificate_case c =
        case_of(v, s, envelope, m->has_delegation ? CODEC_BYTES(m->delegation) : slice(NULL, 0));
    r = certificate_judge_alone(&c, facts);
    if (r == 0 && facts->certificate.ends_ms > VAULT_NUMBER_MAX)
        r = REASON_MALFORMED;
    if (r != 0)
        return r;
    certificate_row_deinit(&row);
    certificate_row_init(&row);
    certificate_row_fill(&row, envelope, &s->distributor, &facts->certificate, &facts->license);
    counter_spent(v, &facts->license); /* its source may have it back: it must not be stored here as well */
    r = judge_serial(v, &row);
    if (r == 0)
        r = sign_receipt(v, &row, CERTIFICATE_REFUSED);
    if (r == 0)
        r = certificate_row_settle(v, &row);
    return r != 0 ? r : answer(&row, reply);
}

int certificates_release(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_CertificateRelease *m = rq->message;
    struct certificate_row row CLEANUP(certificate_row_deinit);
    (void)reply;
    certificate_row_init(&row);
    int r = certificate_row_get(v, m->name.issuer, m->name.serial, &row);
    if (r != 0)
        return r == STORE_ABSENT ? 0 : r;
    if (row.state != CERTIFICATE_RESERVED)
        return REASON_ALREADY;
    return certificate_row_release(v, m->name.issuer, m->name.serial);
}
