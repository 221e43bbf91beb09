/* Judging metadata files and vouches (tables metadata, metadata_vouch). Request thread. */
#include "vault/metadata.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "protocol/metadata.h"
#include "vault/db.h"
#include "vault/keys.h"
#include "vault/keysets.h"
#include "vault/licenses.h"
#include "vault/sealed.h"
#include "vault/service.h"
#include "vault/trusted_time.h"

#define LABEL "hearth vault metadata"
#define VOUCH_LABEL "hearth vault metadata vouch"
#define KEPT_BYTES (8 + SHA256_BYTES) /* sequence, digest of the document */
#define LANGUAGE_BYTES (METADATA_LANGUAGE_MAX + 1)
#define BESIDE_MAX \
    (4 + METADATA_VOUCH_MAX + METADATA_KEYSET_MAX) /* of a vouch: length, the vouch, keyset it came with */

/* --- What was taken before --------------------------------------------------------------------------------------- */

/* Which row: two identities and, of metadata, a language. */
struct row_name {
    enum db_statement get, put;
    const char *label;
    const uint8_t *first, *second;
    const char *language; /* NULL: it has none */
};

static struct slice bound_of(const struct row_name *n, uint8_t out[2 * ID_BYTES + LANGUAGE_BYTES])
{
    memset(out, 0, 2 * ID_BYTES + LANGUAGE_BYTES);
    memcpy(out, n->first, ID_BYTES);
    memcpy(out + ID_BYTES, n->second, ID_BYTES);
    if (n->language)
        memcpy(out + 2 * ID_BYTES, n->language, strnlen(n->language, METADATA_LANGUAGE_MAX));
    return slice(out, 2 * ID_BYTES + LANGUAGE_BYTES);
}

static void bind_name(struct query *q, const struct row_name *n)
{
    query_bind_blob(q, 1, slice(n->first, ID_BYTES));
    query_bind_blob(q, 2, slice(n->second, ID_BYTES));
    if (n->language)
        query_bind_text(q, 3, n->language);
}

/* Zeros: nothing. beside (may be NULL): appended to, what was kept with it. 0 or -errno. */
static int load(const struct vault *v, const struct row_name *n, uint8_t kept[KEPT_BYTES], struct buf *beside)
{
    uint8_t bound[2 * ID_BYTES + LANGUAGE_BYTES], plain[KEPT_BYTES + BESIDE_MAX];
    struct query q CLEANUP(query_end) = query(v->store, n->get);
    memset(kept, 0, KEPT_BYTES);
    bind_name(&q, n);
    int r = query_one(&q);
    if (r == STORE_ABSENT)
        return 0;
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    struct slice sealed = query_blob(&q, 0);
    r = query_check(&q);
    const size_t least = SEALED_OVERHEAD_BYTES + KEPT_BYTES;
    if (r == 0 && (sealed.len < least || sealed.len > least + (beside ? BESIDE_MAX : 0)))
        r = -EUCLEAN;
    if (r == 0)
        r = sealed_open(v, n->label, bound_of(n, bound), sealed, plain);
    if (r == 0 && beside)
        r = buf_append(beside, slice(plain + KEPT_BYTES, sealed.len - least)) == 0 ? 0 : -ENOMEM;
    if (r == 0)
        memcpy(kept, plain, KEPT_BYTES);
    return r;
}

static int keep(const struct vault *v, const struct row_name *n, uint64_t sequence, struct slice document,
                struct slice beside)
{
    uint8_t bound[2 * ID_BYTES + LANGUAGE_BYTES], digest[SHA256_BYTES];
    struct buf plain CLEANUP(buf_free) = buf(KEPT_BYTES + BESIDE_MAX);
    struct buf sealed CLEANUP(buf_free) = buf(KEPT_BYTES + BESIDE_MAX + SEALED_OVERHEAD_BYTES);
    sha256(document, digest);
    int r = buf_put_u64(&plain, sequence);
    if (r == 0)
        r = buf_append(&plain, SLICE_ARRAY(digest));
    if (r == 0)
        r = buf_append(&plain, beside);
    if (r == 0)
        r = sealed_put(v, n->label, bound_of(n, bound), buf_slice(&plain), &sealed);
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    struct query q CLEANUP(query_end) = query(v->store, n->put);
    bind_name(&q, n);
    query_bind_blob(&q, n->language ? 4 : 3, buf_slice(&sealed));
    r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

/* Nothing later was taken, and nothing else of this number. */
static bool is_newest(const uint8_t kept[KEPT_BYTES], uint64_t sequence, struct slice document)
{
    uint8_t digest[SHA256_BYTES];
    sha256(document, digest);
    uint64_t highest = get_be64(kept);
    return sequence > highest || (sequence == highest && memcmp(kept + 8, digest, sizeof(digest)) == 0);
}

static struct row_name metadata_name(const doc_Metadata *m)
{
    return (struct row_name){ DB_METADATA_GET, DB_METADATA_PUT, LABEL, m->content, m->signer, m->language };
}

static struct row_name vouch_name(const uint8_t distributor[ID_BYTES], const uint8_t provider[ID_BYTES])
{
    return (struct row_name){ DB_METADATA_VOUCH_GET, DB_METADATA_VOUCH_PUT, VOUCH_LABEL, distributor, provider, NULL };
}

/* --- Keys of a distributor ---------------------------------------------------------------------------------------- */

/* The newest keyset that is known of it; else the one that came along, when no newer one was ever seen. Its end says until when new things are
 * taken from it, not how long what it signed lasts. 0, REASON_KEYSET_INVALID and others of metadata_keyset_judge, -errno. */
static int find_keyset(struct vault *v, const struct id *distributor, struct slice beside, doc_Keyset *out)
{
    const struct service *s;
    uint64_t lowest;
    int r = services_find(v, distributor->bytes, &s);
    if (r == 0)
        *out = s->keyset;
    if (r <= 0)
        return r;
    r = keysets_find(v, distributor->bytes, out);
    if (r <= 0)
        return r;
    if (beside.len == 0)
        return REASON_KEYSET_INVALID;
    r = keysets_sequence(v, distributor, &lowest);
    return r == 0 ? metadata_keyset_judge(beside, distributor, lowest, out) : r;
}

/* A keyset that came along is its distributor's, also where a newer one is known and this one is of no use: no byte of a file that is taken is open. */
static int judge_beside(struct slice keyset, const struct id *distributor)
{
    doc_Keyset said;
    return keyset.len == 0 ? 0 : metadata_keyset_judge(keyset, distributor, 0, &said);
}

/* --- Vouches ------------------------------------------------------------------------------------------------------- */

static int keep_vouch(const struct vault *v, const doc_MetadataVouch *vouch, const struct metadata_file *file)
{
    struct buf beside CLEANUP(buf_free) = buf(BESIDE_MAX);
    const struct row_name name = vouch_name(vouch->distributor, vouch->provider);
    int r = buf_put_u32(&beside, (uint32_t)file->vouch.len);
    if (r == 0)
        r = buf_append(&beside, file->vouch);
    if (r == 0)
        r = buf_append(&beside, file->keyset);
    return r == 0 ? keep(v, &name, vouch->sequence, file->vouch, buf_slice(&beside)) : r > 0 ? -ENOBUFS : r;
}

/* The vouch that was taken before, judged anew: a key that its distributor has withdrawn since vouches for nobody. 0; positive: there is none that
 * counts; -errno. */
static int judge_kept_vouch(struct vault *v, const struct id *distributor, const uint8_t provider[ID_BYTES],
                            struct slice beside, doc_MetadataVouch *out)
{
    struct reader r = reader(beside);
    struct slice vouch = reader_bytes(&r, reader_u32(&r));
    doc_Keyset keyset;
    if (r.bad)
        return REASON_NOT_FOUND; /* of a version that kept the number alone */
    int outcome = find_keyset(v, distributor, r.rest, &keyset);
    return outcome == 0 ? metadata_vouch_judge(vouch, &keyset, provider, out) : outcome;
}

/* --- METADATA_JUDGE ------------------------------------------------------------------------------------------------ */

struct judging {
    struct metadata_file file;
    doc_ContentInfo info;
    struct id content, publisher;
    doc_Keyset keyset;
    bool has_keyset, vouched, brings_vouch; /* brings_vouch: the vouch that counts is this file's */
    doc_Metadata said;
    doc_MetadataVouch vouch;  /* when vouched, or brings_vouch */
    bool licensed, permitted; /* by a license */
    uint64_t now_ms;          /* the publisher's */
};

static int read_file(int fd, struct buf *out)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size <= 0)
        return REASON_MALFORMED;
    if (st.st_size > METADATA_FILE_MAX)
        return REASON_TOO_LARGE;
    int r = buf_reserve(out, (size_t)st.st_size);
    if (r == 0)
        r = file_pread_all(fd, out->data, (size_t)st.st_size, 0);
    if (r != 0)
        return r == -EIO ? REASON_MALFORMED : r > 0 ? -ENOMEM : r;
    out->len = (size_t)st.st_size;
    return 0;
}

static int judge_content(const vlt_MetadataJudge *m, struct judging *j)
{
    int r = info_judge(CODEC_BYTES(m->info), m->list_root, &j->info, &j->content);
    if (r != 0)
        return r;
    j->publisher = id_from(j->info.publisher);
    return id_equal(&j->content, m->content) ? 0 : REASON_CONTENT_ID_MISMATCH;
}

/* A provider's own document needs no keyset; its vouch does. */
static int find_publisher(struct vault *v, struct judging *j)
{
    int r = find_keyset(v, &j->publisher, j->file.keyset, &j->keyset);
    j->has_keyset = r == 0;
    return r < 0 ? r : 0;
}

/* The latest vouch counts, from this file or taken before. */
static int judge_vouch(struct vault *v, struct judging *j)
{
    uint8_t kept[KEPT_BYTES];
    struct buf beside CLEANUP(buf_free) = buf(BESIDE_MAX);
    const struct row_name name = vouch_name(j->publisher.bytes, j->said.signer);
    int r = j->said.kind == SIGNER_PROVIDER ? load(v, &name, kept, &beside) : REASON_NOT_FOUND;
    if (r != 0)
        return r < 0 ? r : 0;
    if (j->file.vouch.len > 0 && j->has_keyset) {
        r = metadata_vouch_judge(j->file.vouch, &j->keyset, j->said.signer, &j->vouch);
        j->brings_vouch = r == 0 && is_newest(kept, j->vouch.sequence, j->file.vouch);
    }
    if (r >= 0 && !j->brings_vouch)
        r = judge_kept_vouch(v, &j->publisher, j->said.signer, buf_slice(&beside), &j->vouch);
    j->vouched = r == 0 && j->now_ms <= u64_add(j->vouch.ends_ms, DOCUMENTS_SKEW_MS);
    return r < 0 ? r : 0;
}

static int ask_license(struct vault *v, const struct license_row *row, void *ctx)
{
    struct judging *j = ctx;
    const doc_Conditions *c = &row->license.conditions;
    if (row->state != LICENSE_VALID || !id_equal(row->license.client, &v->keys->client) ||
        !id_equal(&j->publisher, row->license.issuer))
        return 0;
    j->licensed = true;
    j->permitted =
        j->permitted || !c->has_metadata_signers || metadata_range_permits(&c->metadata_signers, &j->said, j->vouched);
    return 0;
}

/* Source: R1: the signer that the metadata names, against the signers that content and license name. */
static int judge_ranges(struct vault *v, struct judging *j)
{
    const doc_SignerRange *of_content = j->info.has_metadata_signers ? &j->info.metadata_signers : NULL;
    if (!metadata_range_permits(of_content, &j->said, j->vouched))
        return REASON_METADATA_NOT_PERMITTED;
    int r = licenses_of_content(v, &j->content, ask_license, j);
    return r != 0 ? r : !j->licensed ? REASON_NO_LICENSE : j->permitted ? 0 : REASON_METADATA_NOT_PERMITTED;
}

static int judge_sequence(const struct vault *v, const struct judging *j)
{
    uint8_t kept[KEPT_BYTES];
    const struct row_name name = metadata_name(&j->said);
    int r = load(v, &name, kept, NULL);
    return r != 0 ? r : is_newest(kept, j->said.sequence, j->file.document) ? 0 : REASON_METADATA_OUTDATED;
}

/* While the time is untrusted it is at least what the document says of itself, so that a wrong clock makes nothing "not yet". */
static int set_time(const struct vault *v, struct judging *j)
{
    struct trusted_time t;
    int r = trusted_time_get(v, j->publisher.bytes, 0, &t);
    if (r == 0)
        j->now_ms = trusted_time_is_trusted(&t) ? t.now_ms : u64_max(t.now_ms, j->said.issued_ms);
    return r;
}

/* What lies beside the document is whole, whether it is of use here or not. */
static int judge_whole(const struct judging *j)
{
    doc_MetadataVouch said;
    uint8_t key[32];
    int r = j->file.vouch.len > 0 ? document_open(DOCUMENT_METADATA_VOUCH, j->file.vouch, &said, sizeof(said), key) : 0;
    return r == 0 ? judge_beside(j->file.keyset, &j->publisher) : r;
}

static int judge(struct vault *v, struct judging *j)
{
    if (!id_equal(&j->content, j->said.content))
        return REASON_CONTENT_ID_MISMATCH;
    if (!metadata_parts_match(&j->said, j->file.parts))
        return REASON_SIGNATURE_INVALID;
    int r = judge_whole(j);
    if (r == 0)
        r = set_time(v, j);
    if (r == 0)
        r = metadata_judge_time(&j->said, (int64_t)u64_min(j->now_ms, INT64_MAX));
    if (r == 0)
        r = judge_vouch(v, j);
    if (r == 0)
        r = judge_ranges(v, j);
    return r == 0 ? judge_sequence(v, j) : r;
}

static int remember(const struct vault *v, const struct judging *j)
{
    const struct row_name name = metadata_name(&j->said);
    int r = keep(v, &name, j->said.sequence, j->file.document, slice(NULL, 0));
    return r == 0 && j->vouched && j->brings_vouch ? keep_vouch(v, &j->vouch, &j->file) : r;
}

static void answer(const struct judging *j, enum reason verdict, struct reply *reply)
{
    vlt_MetadataJudged *out = &reply->metadata;
    CODEC_SET_TEXT(out->reason, verdict == REASON_NONE ? "" : reason_code(verdict));
    out->kind = j->said.kind;
    memcpy(out->signer, j->said.signer, sizeof(out->signer));
    out->sequence = j->said.sequence;
    CODEC_SET_TEXT(out->language, j->said.language);
    out->issued_ms = j->said.issued_ms;
    out->has_ends_ms = j->said.has_ends_ms;
    out->ends_ms = j->said.ends_ms;
    out->vouched = j->vouched;
    out->by_license = verdict == REASON_METADATA_NOT_PERMITTED && j->licensed;
    reply->type = vlt_Type_METADATA_JUDGED;
    reply->fields = vlt_MetadataJudged_fields;
}

int metadata_judge_file(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_MetadataJudge *m = rq->message;
    struct buf bytes CLEANUP(buf_free) = buf(METADATA_FILE_MAX);
    struct judging *j CLEANUP(freep) = calloc(1, sizeof(*j));
    if (!j)
        return -ENOMEM;
    int r = *rq->fd < 0 ? REASON_MALFORMED : judge_content(m, j);
    if (r == 0)
        r = read_file(*rq->fd, &bytes); /* a copy: whoever gave the descriptor may still write */
    if (r == 0)
        r = metadata_file_split(buf_slice(&bytes), &j->file);
    if (r == 0)
        r = find_publisher(v, j);
    if (r == 0)
        r = metadata_judge(j->file.document, &j->publisher, j->has_keyset ? &j->keyset : NULL, &j->said);
    if (r != 0)
        return r;
    int verdict = judge(v, j);
    if (verdict == 0 && m->keep)
        verdict = remember(v, j);
    if (verdict < 0)
        return verdict;
    answer(j, (enum reason)verdict, reply);
    return 0;
}

/* --- METADATA_VOUCH ------------------------------------------------------------------------------------------------ */

/* Whom it is by and for, as it says itself: what follows holds it to that. */
static int read_vouch(struct slice envelope, struct id *distributor, struct id *provider)
{
    doc_MetadataVouch said;
    uint8_t key[32];
    int r = document_open(DOCUMENT_METADATA_VOUCH, envelope, &said, sizeof(said), key);
    if (r != 0)
        return r;
    *distributor = id_from(said.distributor);
    *provider = id_from(said.provider);
    return 0;
}

int metadata_take_vouch(struct vault *v, const struct request *rq, struct reply *reply)
{
    struct metadata_file file;
    struct id distributor, provider;
    doc_Keyset keyset;
    doc_MetadataVouch vouch;
    uint8_t kept[KEPT_BYTES];
    struct buf beside CLEANUP(buf_free) = buf(BESIDE_MAX);
    (void)reply;
    int r = metadata_vouch_split(rq->tail, &file);
    if (r == 0)
        r = read_vouch(file.vouch, &distributor, &provider);
    if (r == 0)
        r = judge_beside(file.keyset, &distributor);
    if (r == 0)
        r = find_keyset(v, &distributor, file.keyset, &keyset);
    if (r == 0)
        r = metadata_vouch_judge(file.vouch, &keyset, provider.bytes, &vouch);
    if (r != 0)
        return r;
    const struct row_name name = vouch_name(distributor.bytes, provider.bytes);
    r = load(v, &name, kept, &beside);
    if (r == 0 && !is_newest(kept, vouch.sequence, file.vouch))
        r = REASON_METADATA_OUTDATED;
    return r == 0 ? keep_vouch(v, &vouch, &file) : r;
}
