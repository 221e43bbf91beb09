/* Rows and files of the public store of programs. On the connection's thread. */
#include "distributor/programs.h"

#include <stdio.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/rows.h"

int programs_path(const struct operations *o, const uint8_t digest[32], char out[PROGRAMS_PATH_BYTES])
{
    char hex[HEX_TEXT_BYTES(32)];
    hex_encode(slice(digest, 32), hex);
    int n = snprintf(out, PROGRAMS_PATH_BYTES, "%s/programs/%s", o->state_dir, hex);
    return n > 0 && n < PROGRAMS_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

/* --- Providers --------------------------------------------------------------------------------------------------- */

static int read_provider(struct query *q, struct program_provider *out)
{
    struct program_provider p = { 0 };
    int r = rows_one(q);
    if (r != 0)
        return r;
    query_fixed(q, 0, p.id.bytes, sizeof(p.id.bytes));
    query_text(q, 1, p.name, sizeof(p.name));
    p.added_ms = query_i64(q, 2);
    p.withdrawn = query_bool(q, 3);
    r = query_check(q);
    if (r == 0)
        *out = p;
    return r;
}

int program_providers_find(struct operations *o, const struct id *id, struct program_provider *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PROVIDER_FIND);
    rows_bind_id(&q, 1, id);
    return read_provider(&q, out);
}

int program_providers_named(struct operations *o, const char *name, struct program_provider *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PROVIDER_NAMED);
    query_bind_text(&q, 1, name);
    return read_provider(&q, out);
}

int program_providers_next(struct operations *o, struct program_provider *at)
{
    struct query q CLEANUP(query_end) = query(o->store, PROVIDER_NEXT);
    query_bind_text(&q, 1, at->name);
    return read_provider(&q, at);
}

int program_providers_add(struct operations *o, const struct program_provider *p)
{
    struct query q CLEANUP(query_end) = query(o->store, PROVIDER_ADD);
    rows_bind_id(&q, 1, &p->id);
    query_bind_text(&q, 2, p->name);
    query_bind_i64(&q, 3, p->added_ms);
    int r = query_run(&q);
    return r > 0 ? -EEXIST : r;
}

int program_providers_withdraw(struct operations *o, const char *name, bool withdrawn)
{
    struct query q CLEANUP(query_end) = query(o->store, PROVIDER_WITHDRAW);
    query_bind_text(&q, 1, name);
    query_bind_i64(&q, 2, withdrawn);
    int r = rows_run(&q);
    return r != 0 ? r : store_changed_count(o->store) > 0 ? 0 : OPERATIONS_ABSENT;
}

/* --- Programs ---------------------------------------------------------------------------------------------------- */

static int take_row(struct query *q, struct program *out)
{
    struct program p = { 0 };
    query_text(q, 0, p.said.name, sizeof(p.said.name));
    p.said.version = query_u64(q, 1);
    query_fixed(q, 2, p.said.provider, sizeof(p.said.provider));
    query_text(q, 3, p.provider_name, sizeof(p.provider_name));
    p.said.kind = query_u32(q, 4);
    p.said.program_bytes = query_u64(q, 5);
    query_fixed(q, 6, p.said.digest, sizeof(p.said.digest));
    struct slice document = query_blob(q, 7);
    query_text(q, 8, p.note, sizeof(p.note));
    p.published_ms = query_i64(q, 9);
    p.withdrawn = query_bool(q, 10);
    int r = query_check(q);
    if (r == 0 && document.len > sizeof(p.document))
        r = -EUCLEAN;
    if (r != 0)
        return r;
    memcpy(p.document, document.data, document.len);
    p.document_bytes = document.len;
    *out = p;
    return 0;
}

static int read_program(struct query *q, struct program *out)
{
    int r = rows_one(q);
    return r == 0 ? take_row(q, out) : r;
}

int programs_last(struct operations *o, const char *name, struct program *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PROGRAM_LAST);
    query_bind_text(&q, 1, name);
    return read_program(&q, out);
}

int programs_find(struct operations *o, const char *name, uint64_t version, struct program *out)
{
    int r;
    {
        struct query q CLEANUP(query_end) = query(o->store, version == 0 ? PROGRAM_NEWEST : PROGRAM_FIND);
        query_bind_text(&q, 1, name);
        if (version != 0)
            query_bind_u64(&q, 2, version);
        r = read_program(&q, out);
    }
    if (r == 0)
        return out->withdrawn ? REASON_PROGRAM_WITHDRAWN : 0;
    if (r != OPERATIONS_ABSENT)
        return r;
    r = version == 0 ? programs_last(o, name, out) : OPERATIONS_ABSENT;
    return r == 0 ? REASON_PROGRAM_WITHDRAWN : r == OPERATIONS_ABSENT ? REASON_UNKNOWN_PROGRAM : r;
}

int programs_next(struct operations *o, struct program *at)
{
    struct query q CLEANUP(query_end) = query(o->store, PROGRAM_NEXT);
    query_bind_text(&q, 1, at->said.name);
    query_bind_u64(&q, 2, at->said.version);
    return read_program(&q, at);
}

int programs_page(struct operations *o, uint32_t first, uint32_t most, struct program *out, uint32_t *count,
                  uint32_t *total)
{
    int r;
    {
        struct query q CLEANUP(query_end) = query(o->store, PROGRAM_COUNT);
        r = rows_one(&q);
        if (r == 0) {
            *total = query_u32(&q, 0);
            r = query_check(&q);
        }
        if (r != 0)
            return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    }
    struct query q CLEANUP(query_end) = query(o->store, PROGRAM_PAGE);
    query_bind_u64(&q, 1, first);
    query_bind_u64(&q, 2, most);
    *count = 0;
    while (*count < most && rows_next(&q, &r)) {
        r = take_row(&q, &out[*count]);
        if (r != 0)
            return r;
        ++*count;
    }
    return *count < most ? r : 0;
}

int programs_withdraw(struct operations *o, const char *name, uint64_t version, bool withdrawn)
{
    struct query q CLEANUP(query_end) = query(o->store, version == 0 ? PROGRAM_WITHDRAW_ALL : PROGRAM_WITHDRAW);
    query_bind_text(&q, 1, name);
    query_bind_i64(&q, version == 0 ? 2 : 3, withdrawn);
    if (version != 0)
        query_bind_u64(&q, 2, version);
    int r = rows_run(&q);
    return r != 0 ? r : store_changed_count(o->store) > 0 ? 0 : OPERATIONS_ABSENT;
}

/* --- Publishing -------------------------------------------------------------------------------------------------- */

/* Vouched for; and once a name is a provider's, it stays that. */
static int judge_provider(struct operations *o, const doc_Program *said)
{
    struct program_provider provider;
    struct program before;
    struct id id = id_from(said->provider);
    int r = program_providers_find(o, &id, &provider);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_PROVIDER_UNKNOWN : r;
    if (provider.withdrawn)
        return REASON_PROVIDER_UNKNOWN;
    r = programs_last(o, said->name, &before);
    if (r == OPERATIONS_ABSENT)
        return 0;
    return r != 0 ? r : id_equal(before.said.provider, said->provider) ? 0 : REASON_PROVIDER_UNKNOWN;
}

static int judge_again(struct operations *o, const doc_Program *said)
{
    struct program there;
    int r;
    {
        struct query q CLEANUP(query_end) = query(o->store, PROGRAM_FIND);
        query_bind_text(&q, 1, said->name);
        query_bind_u64(&q, 2, said->version);
        r = read_program(&q, &there);
    }
    if (r == OPERATIONS_ABSENT)
        return 0;
    if (r != 0)
        return r;
    if (there.said.kind != said->kind || memcmp(there.said.digest, said->digest, sizeof(said->digest)) != 0)
        return REASON_USER_EXISTS;
    r = programs_withdraw(o, said->name, said->version, false);
    return r == 0 ? REASON_ALREADY : r;
}

static int store_file(const struct operations *o, const doc_Program *said, struct slice bytes)
{
    char path[PROGRAMS_PATH_BYTES], dir[1100];
    int r = programs_path(o, said->digest, path);
    if (r == 0)
        r = file_join(dir, sizeof(dir), o->state_dir, "programs");
    if (r == 0)
        r = file_make_dirs(dir, 0755);
    return r == 0 ? file_replace(path, bytes, 0644) : r;
}

int programs_add(struct operations *o, const doc_Program *said, struct slice document, struct slice bytes,
                 const char *note, int64_t now_ms)
{
    uint8_t digest[SHA256_BYTES];
    sha256(bytes, digest);
    if (bytes.len != said->program_bytes || memcmp(digest, said->digest, sizeof(digest)) != 0)
        return REASON_CONTENT_ID_MISMATCH;
    int r = judge_provider(o, said);
    int again = r == 0 ? judge_again(o, said) : r;
    if (again != 0 && again != REASON_ALREADY)
        return again;
    r = store_file(o, said, bytes); /* again: it may have been damaged */
    if (r != 0 || again != 0)
        return r != 0 ? r : again;
    struct query q CLEANUP(query_end) = query(o->store, PROGRAM_ADD);
    query_bind_text(&q, 1, said->name);
    query_bind_u64(&q, 2, said->version);
    query_bind_blob(&q, 3, SLICE_ARRAY(said->provider));
    query_bind_i64(&q, 4, said->kind);
    query_bind_u64(&q, 5, said->program_bytes);
    query_bind_blob(&q, 6, SLICE_ARRAY(said->digest));
    query_bind_blob(&q, 7, document);
    query_bind_text(&q, 8, note);
    query_bind_i64(&q, 9, now_ms);
    return rows_run(&q);
}
