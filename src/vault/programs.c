/* Judging, keeping and finding programs (table program). Request thread. */
#include "vault/programs.h"

#include "base/util.h"
#include "crypto/seal.h"
#include "vault/db.h"
#include "vault/keys.h"
#include "vault/sealed.h"
#include "vault/service.h"

#define LABEL "hearth vault program"
#define GRANT_BYTES_MAX 640
#define KEPT_BYTES (8 + ID_BYTES) /* highest version, provider; the grant follows, or nothing: removed */
#define BOUND_BYTES (ID_BYTES + PROGRAM_NAME_BYTES)

struct program_row {
    uint64_t highest;
    struct id provider;
    uint8_t grant[GRANT_BYTES_MAX];
    size_t grant_bytes; /* 0: not here */
};

/* --- Rows -------------------------------------------------------------------------------------------------------- */

static struct slice bound_of(const vlt_ProgramName *name, uint8_t out[BOUND_BYTES])
{
    memset(out, 0, BOUND_BYTES);
    memcpy(out, name->distributor, ID_BYTES);
    memcpy(out + ID_BYTES, name->name, strnlen(name->name, PROGRAM_NAME_BYTES - 1));
    return slice(out, BOUND_BYTES);
}

static int take_row(const struct vault *v, const vlt_ProgramName *name, struct slice sealed, struct program_row *out)
{
    uint8_t bound[BOUND_BYTES], plain[KEPT_BYTES + GRANT_BYTES_MAX];
    if (sealed.len < SEALED_OVERHEAD_BYTES + KEPT_BYTES || sealed.len > SEALED_OVERHEAD_BYTES + sizeof(plain))
        return -EUCLEAN;
    int r = sealed_open(v, LABEL, bound_of(name, bound), sealed, plain);
    if (r != 0)
        return r;
    out->highest = get_be64(plain);
    out->provider = id_from(plain + 8);
    out->grant_bytes = sealed.len - SEALED_OVERHEAD_BYTES - KEPT_BYTES;
    memcpy(out->grant, plain + KEPT_BYTES, out->grant_bytes);
    return 0;
}

/* 0, REASON_UNKNOWN_PROGRAM, -errno. */
static int load(const struct vault *v, const vlt_ProgramName *name, struct program_row *out)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_PROGRAM_GET);
    query_bind_blob(&q, 1, SLICE_ARRAY(name->distributor));
    query_bind_text(&q, 2, name->name);
    int r = query_one(&q);
    if (r == STORE_ABSENT)
        return REASON_UNKNOWN_PROGRAM;
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    struct slice sealed = query_blob(&q, 0);
    r = query_check(&q);
    return r == 0 ? take_row(v, name, sealed, out) : r;
}

static int keep(const struct vault *v, const vlt_ProgramName *name, const struct program_row *row)
{
    uint8_t bound[BOUND_BYTES], plain[KEPT_BYTES + GRANT_BYTES_MAX];
    struct buf sealed CLEANUP(buf_free) = buf(sizeof(plain) + SEALED_OVERHEAD_BYTES);
    put_be64(plain, row->highest);
    memcpy(plain + 8, row->provider.bytes, ID_BYTES);
    memcpy(plain + KEPT_BYTES, row->grant, row->grant_bytes);
    int r = sealed_put(v, LABEL, bound_of(name, bound), slice(plain, KEPT_BYTES + row->grant_bytes), &sealed);
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    struct query q CLEANUP(query_end) = query(v->store, DB_PROGRAM_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(name->distributor));
    query_bind_text(&q, 2, name->name);
    query_bind_blob(&q, 3, buf_slice(&sealed));
    r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

/* It was judged when it came; keys that signed it may have left their keyset since. */
static int open_grant(const struct program_row *row, doc_ProgramGrant *grant, doc_Program *program)
{
    uint8_t signer[32];
    int r = document_open(DOCUMENT_PROGRAM_GRANT, slice(row->grant, row->grant_bytes), grant, sizeof(*grant), signer);
    if (r == 0)
        r = program_judge(CODEC_BYTES(grant->program), program);
    return r > 0 ? -EUCLEAN : r;
}

static int open_secret(const struct vault *v, const doc_ProgramGrant *grant, const doc_Program *program,
                       struct program_secret *out)
{
    int r = seal_open(&v->keys->sealing_secret, SLICE_ARRAY(grant->information), out->information.bytes);
    if (r != 0)
        return r > 0 ? REASON_MALFORMED : r;
    out->program_bytes = program->program_bytes;
    memcpy(out->digest, program->digest, sizeof(out->digest));
    program_key(out->information.bytes, out->digest, &out->key);
    return 0;
}

int programs_find(struct vault *v, const vlt_ProgramName *name, enum program_kind kind, struct program_secret *out)
{
    struct program_row row;
    doc_ProgramGrant grant;
    doc_Program program;
    int r = load(v, name, &row);
    if (r == 0 && row.grant_bytes == 0)
        r = REASON_UNKNOWN_PROGRAM;
    if (r == 0)
        r = open_grant(&row, &grant, &program);
    if (r == 0 && program.kind != kind)
        r = REASON_NOT_PERMITTED;
    return r == 0 ? open_secret(v, &grant, &program, out) : r;
}

/* --- Answers ----------------------------------------------------------------------------------------------------- */

static void describe(const vlt_ProgramName *name, const struct program_row *row, const doc_Program *program,
                     vlt_Program *out)
{
    out->name = *name;
    memcpy(out->provider, row->provider.bytes, ID_BYTES);
    out->highest = row->highest;
    out->here = program != NULL;
    if (!program)
        return;
    out->kind = program->kind;
    out->version = program->version;
    out->program_bytes = program->program_bytes;
    memcpy(out->digest, program->digest, sizeof(out->digest));
}

static void answer(struct reply *reply, const vlt_ProgramName *name, const struct program_row *row,
                   const doc_Program *program)
{
    describe(name, row, program, &reply->program);
    reply->type = vlt_Type_PROGRAM;
    reply->fields = vlt_Program_fields;
}

/* --- PROGRAM_CHECK, PROGRAM_STORE -------------------------------------------------------------------------------- */

struct judged {
    vlt_ProgramName name;
    struct program_row row; /* as it would be kept */
    doc_ProgramGrant grant;
    doc_Program program;
};

static int judge_here(const struct program_row *before, const doc_Program *program, bool older, struct reply *reply)
{
    doc_ProgramGrant grant;
    doc_Program here;
    if (!id_equal(before->provider.bytes, program->provider))
        return REASON_PROVIDER_UNKNOWN;
    if (older)
        return 0;
    if (program->version < before->highest)
        return REASON_PROGRAM_OUTDATED;
    if (before->grant_bytes == 0)
        return 0;
    int r = open_grant(before, &grant, &here);
    if (r != 0)
        return r;
    if (here.version == program->version && memcmp(here.digest, program->digest, sizeof(here.digest)) != 0) {
        reply->detail = "Another program of this name and version is here already.";
        return REASON_PROGRAM_OUTDATED;
    }
    return 0;
}

/* The signed document: by whom, for whom, of what, and no step back. Source: R4. */
static int judge(struct vault *v, const uint8_t distributor[32], bool older, struct slice envelope, struct judged *out,
                 struct reply *reply)
{
    const struct service *s;
    struct program_row before;
    if (envelope.len > sizeof(out->row.grant))
        return REASON_MALFORMED;
    int r = services_find_current(v, distributor, &s);
    if (r == 0)
        r = program_grant_judge(envelope, &s->keyset, &v->keys->client, &out->grant, &out->program);
    if (r != 0)
        return r;
    memcpy(out->name.distributor, distributor, ID_BYTES);
    CODEC_SET_TEXT(out->name.name, out->program.name);
    r = load(v, &out->name, &before);
    uint64_t highest = r == 0 ? before.highest : 0;
    if (r == 0)
        r = judge_here(&before, &out->program, older, reply);
    else if (r == REASON_UNKNOWN_PROGRAM)
        r = 0;
    if (r != 0)
        return r;
    out->row.highest = out->program.version > highest ? out->program.version : highest;
    out->row.provider = id_from(out->program.provider);
    out->row.grant_bytes = envelope.len;
    memcpy(out->row.grant, envelope.data, envelope.len);
    return 0;
}

int programs_check(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_ProgramCheck *m = rq->message;
    struct judged j = { 0 };
    struct program_secret secret CLEANUP(program_secret_wipe);
    int r = judge(v, m->distributor, m->older, rq->tail, &j, reply);
    if (r == 0)
        r = open_secret(v, &j.grant, &j.program, &secret);
    answer(reply, &j.name, &j.row, &j.program);
    return r;
}

static int unseal(int fd, const struct program_secret *secret, bool in_place)
{
    uint8_t *plain = secret_alloc(PROGRAM_BLOCK_BYTES);
    int r = plain ? program_unseal(fd, secret, plain, in_place) : -ENOMEM;
    secret_free(plain);
    return r;
}

int programs_store(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_ProgramStore *m = rq->message;
    struct judged j = { 0 };
    struct program_secret secret CLEANUP(program_secret_wipe);
    int r = *rq->fd < 0 ? REASON_MALFORMED : judge(v, m->distributor, m->older, CODEC_BYTES(m->grant), &j, reply);
    if (r == 0)
        r = open_secret(v, &j.grant, &j.program, &secret);
    if (r == 0)
        r = unseal(*rq->fd, &secret, false);
    if (r == 0 && m->keep)
        r = keep(v, &j.name, &j.row);
    answer(reply, &j.name, &j.row, &j.program);
    return r;
}

/* --- The rest ---------------------------------------------------------------------------------------------------- */

static int list_one(const struct vault *v, struct query *q, vlt_Program *out)
{
    vlt_ProgramName name = { 0 };
    struct program_row row;
    doc_ProgramGrant grant;
    doc_Program program;
    query_fixed(q, 0, name.distributor, sizeof(name.distributor));
    query_text(q, 1, name.name, sizeof(name.name));
    struct slice sealed = query_blob(q, 2);
    int r = query_check(q);
    if (r == 0)
        r = take_row(v, &name, sealed, &row);
    if (r == 0 && row.grant_bytes > 0)
        r = open_grant(&row, &grant, &program);
    if (r == 0)
        describe(&name, &row, row.grant_bytes > 0 ? &program : NULL, out);
    return r;
}

static int count_all(const struct vault *v, uint32_t *total)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_PROGRAM_COUNT);
    int r = query_one(&q);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    *total = query_u32(&q, 0);
    return query_check(&q);
}

int programs_list(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_ProgramsGet *m = rq->message;
    vlt_Programs *out = &reply->programs;
    int r = count_all(v, &out->total);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(v->store, DB_PROGRAM_PAGE);
    query_bind_u64(&q, 1, m->offset);
    query_bind_u64(&q, 2, ARRAY_COUNT(out->programs));
    while ((r = query_step(&q)) == STORE_ROW) {
        r = list_one(v, &q, &out->programs[out->programs_count]);
        if (r != 0)
            return r;
        out->programs_count++;
    }
    reply->type = vlt_Type_PROGRAMS;
    reply->fields = vlt_Programs_fields;
    return r > 0 ? -EUCLEAN : r;
}

int programs_drop(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_ProgramDrop *m = rq->message;
    struct program_row row;
    (void)reply;
    int r = load(v, &m->name, &row);
    if (r != 0)
        return r == REASON_UNKNOWN_PROGRAM ? 0 : r;
    row.grant_bytes = 0;
    if (!m->forget)
        return keep(v, &m->name, &row);
    struct query q CLEANUP(query_end) = query(v->store, DB_PROGRAM_FORGET);
    query_bind_blob(&q, 1, SLICE_ARRAY(m->name.distributor));
    query_bind_text(&q, 2, m->name.name);
    r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

int programs_open(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_ProgramOpen *m = rq->message;
    struct program_row row;
    doc_ProgramGrant grant;
    doc_Program program;
    struct program_secret secret CLEANUP(program_secret_wipe);
    int r = *rq->fd < 0 ? REASON_MALFORMED : programs_find(v, &m->name, PROGRAM_UPDATE, &secret);
    if (r == REASON_NOT_PERMITTED)
        reply->detail = "A plug-in is opened by the player only: hearth play TRACK --plugin NAME";
    if (r == 0)
        r = unseal(*rq->fd, &secret, true);
    if (r == 0)
        r = load(v, &m->name, &row);
    if (r == 0)
        r = open_grant(&row, &grant, &program);
    if (r == 0)
        answer(reply, &m->name, &row, &program);
    return r;
}
