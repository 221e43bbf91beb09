/* Outbox rows that are to be forgotten. On the connection's thread. */
#include "distributor/share_forget.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_chain.h"
#include "share.pb.h"

struct sought {
    const char *user;
    const struct id *clients;
    size_t count;
};

/* --- Does a row name them? ------------------------------------------------------------------------------------------- */

static bool holds(struct slice bytes, const void *what, size_t len)
{
    return bytes.len > 0 && len > 0 && memmem(bytes.data, bytes.len, what, len) != NULL;
}

static bool holds_client(struct slice bytes, const struct sought *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (holds(bytes, s->clients[i].bytes, ID_BYTES))
            return true;
    return false;
}

static bool names_user(const doc_Share *share, const char *user)
{
    struct slice row = CODEC_BYTES(share->row);
    union {
        share_ClientUser client;
        share_UserContent content;
        share_UserLicense license;
        share_CopyHistory history;
        share_Link link;
    } m;
#define NAMES(T, member) (CODEC_DECODE(T, row, &m.member) == 0 && strcmp(m.member.user, user) == 0)
    switch (share->table) {
    case share_Table_CLIENT_USER:
        return NAMES(share_ClientUser, client);
    case share_Table_USER_CONTENT:
        return NAMES(share_UserContent, content);
    case share_Table_USER_LICENSE:
        return NAMES(share_UserLicense, license);
    case share_Table_COPY_HISTORY:
        return NAMES(share_CopyHistory, history);
    case share_Table_LINK:
        return NAMES(share_Link, link);
    default:
        return false;
    }
#undef NAMES
}

/* 1: it does; 0; -errno. */
static int judge_row(const struct sought *s, struct slice envelope, uint64_t sequence, uint64_t confirmed)
{
    bool client = holds_client(envelope, s);
    if (!client && !holds(envelope, s->user, strlen(s->user)))
        return 0;
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    uint8_t signer[32];
    if (share == NULL)
        return -ENOMEM;
    int r = document_open(DOCUMENT_SHARE, envelope, share, sizeof(*share), signer);
    if (r != 0)
        return r < 0 ? r : -EUCLEAN;
    if (share->table == share_Table_REDEMPTION && sequence > confirmed) /* its issuer has not heard of it */
        return 0;
    return client || names_user(share, s->user);
}

/* --- Emptying -------------------------------------------------------------------------------------------------------- */

/* What is there now, or was when it was emptied before, by its digest alone: with its signature it cannot be guessed. */
static int set_emptied(struct operations *o, uint64_t sequence, doc_Share *share)
{
    doc_Share *there CLEANUP(freep) = calloc(1, sizeof(*there));
    struct buf envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX), row CLEANUP(buf_free) = buf(64);
    share_Emptied emptied;
    uint8_t signer[32];
    if (there == NULL)
        return -ENOMEM;
    {
        struct query q CLEANUP(query_end) = query(o->store, OUTBOX_GET);
        query_bind_u64(&q, 1, sequence);
        int r = rows_one(&q);
        if (r != 0)
            return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
        query_append(&q, 0, &envelope);
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    int r = document_open(DOCUMENT_SHARE, buf_slice(&envelope), there, sizeof(*there), signer);
    if (r != 0)
        return r < 0 ? r : -EUCLEAN;
    share_digest(buf_slice(&envelope), there, emptied.digest);
    r = CODEC_ENCODE(share_Emptied, &row, &emptied);
    if (r == 0 && CODEC_SET_BYTES(share->row, buf_slice(&row)) != 0)
        r = -EMSGSIZE;
    return r > 0 ? -EMSGSIZE : r;
}

static int empty_row(struct operations *o, uint64_t sequence)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    struct buf envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    if (share == NULL)
        return -ENOMEM;
    int r = set_emptied(o, sequence, share);
    if (r != 0)
        return r;
    memcpy(share->origin, o->keys->self.bytes, ID_BYTES);
    share->sequence = sequence;
    share->table = share_Table_NONE;
    share->removed = true;
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    r = document_sign(&envelope, DOCUMENT_SHARE, share, &signer);
    if (r != 0)
        return r > 0 ? -EMSGSIZE : r;
    struct query q CLEANUP(query_end) = query(o->store, OUTBOX_SET);
    query_bind_u64(&q, 1, sequence);
    query_bind_blob(&q, 2, buf_slice(&envelope));
    return rows_run(&q);
}

/* The directory hears of it: everything from there on is pushed again, and what it has it ignores, but for empty rows. */
static int push_from(struct operations *o, uint64_t sequence)
{
    uint64_t confirmed;
    int r = share_outbox_confirmed(o, &confirmed);
    return r == 0 && confirmed >= sequence ? share_outbox_confirm(o, sequence - 1) : r;
}

/* The next one after `after` that names them: 0, OPERATIONS_ABSENT, -errno. */
static int find_next(struct operations *o, const struct sought *s, uint64_t after, uint64_t last, uint64_t confirmed,
                     uint64_t *sequence)
{
    struct query q CLEANUP(query_end) = query(o->store, OUTBOX_NEXT);
    query_bind_u64(&q, 1, after);
    query_bind_i64(&q, 2, INT64_MAX);
    int r;
    while (rows_next(&q, &r)) {
        *sequence = query_u64(&q, 0);
        if (*sequence > last)
            break;
        int names = judge_row(s, query_blob(&q, 1), *sequence, confirmed);
        if (names != 0)
            return names > 0 ? query_check(&q) : names;
    }
    return r == 0 ? OPERATIONS_ABSENT : r;
}

int share_forget(struct operations *o, const char *user, const struct id *clients, size_t count, uint64_t last)
{
    const struct sought s = { user, clients, count };
    uint64_t sequence = 0, first = 0, confirmed;
    int r = share_outbox_confirmed(o, &confirmed);
    while (r == 0) {
        r = find_next(o, &s, sequence, last, confirmed, &sequence);
        if (r == 0)
            r = empty_row(o, sequence);
        if (r == 0 && first == 0)
            first = sequence;
    }
    if (r != OPERATIONS_ABSENT)
        return r;
    return first > 0 ? push_from(o, first) : 0;
}

int share_forget_range(struct operations *o, uint64_t first, uint64_t last)
{
    int r = 0;
    for (uint64_t sequence = first; r == 0 && sequence <= last; sequence++)
        r = empty_row(o, sequence);
    return r == 0 && first <= last ? push_from(o, first) : r;
}
