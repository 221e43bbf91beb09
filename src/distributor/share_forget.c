/* Outbox rows that are to be forgotten. On the connection's thread. */
#include "distributor/share_forget.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_chain.h"
#include "distributor/share_empty.h"
#include "distributor/share_rows.h"
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

static int read_row(struct operations *o, uint64_t sequence, struct buf *envelope, doc_Share *share)
{
    uint8_t signer[32];
    buf_clear(envelope);
    {
        struct query q CLEANUP(query_end) = query(o->store, OUTBOX_GET);
        query_bind_u64(&q, 1, sequence);
        int r = rows_one(&q);
        if (r != 0)
            return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
        query_append(&q, 0, envelope);
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    int r = document_open(DOCUMENT_SHARE, buf_slice(envelope), share, sizeof(*share), signer);
    return r > 0 ? -EUCLEAN : r;
}

/* --- Emptying -------------------------------------------------------------------------------------------------------- */

/* What is there now, or was when it was emptied before, by its digest alone: with its signature it cannot be guessed. */
static int set_emptied(const doc_Share *there, struct slice envelope, doc_Share *share)
{
    struct buf row CLEANUP(buf_free) = buf(64);
    share_Emptied emptied;
    share_digest(envelope, there, emptied.digest);
    int r = CODEC_ENCODE(share_Emptied, &row, &emptied);
    if (r == 0 && CODEC_SET_BYTES(share->row, buf_slice(&row)) != 0)
        r = -EMSGSIZE;
    return r > 0 ? -EMSGSIZE : r;
}

static int write_empty(struct operations *o, uint64_t sequence, const doc_Share *there, struct slice was)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    struct buf envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    int r = share != NULL ? set_emptied(there, was, share) : -ENOMEM;
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

/* Rows that are emptied one after the other are told of together (share_empty.h). first: of all; run: of those that follow one another, to last. */
struct emptying {
    uint64_t first, run, last;
};

static int tell(struct operations *o, struct emptying *e)
{
    uint64_t run = e->run;
    e->run = 0;
    return run != 0 ? share_empty_tell(o, run, e->last) : 0;
}

/* only_removals: another row may be all that says what holds. What tells of empty rows stays: it names nobody. */
static int empty_row(struct operations *o, uint64_t sequence, bool only_removals, struct emptying *e)
{
    doc_Share *there CLEANUP(freep) = malloc(sizeof(*there));
    struct buf envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    int r = there != NULL ? read_row(o, sequence, &envelope, there) : -ENOMEM;
    if (r != 0)
        return r;
    if (there->table == share_Table_TAKEN_BACK || (only_removals && !there->removed))
        return 0;
    r = write_empty(o, sequence, there, buf_slice(&envelope));
    if (r == 0 && e->run != 0 && sequence != e->last + 1)
        r = tell(o, e);
    e->first = e->first != 0 ? e->first : sequence;
    e->run = e->run != 0 ? e->run : sequence;
    e->last = sequence;
    return r;
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
    struct emptying e = { 0 };
    uint64_t sequence = 0, confirmed;
    int r = share_outbox_confirmed(o, &confirmed);
    while (r == 0) {
        r = find_next(o, &s, sequence, last, confirmed, &sequence);
        if (r == 0)
            r = empty_row(o, sequence, false, &e);
    }
    if (r == OPERATIONS_ABSENT)
        r = tell(o, &e);
    return r == 0 && e.first > 0 ? push_from(o, e.first) : r;
}

int share_forget_range(struct operations *o, uint64_t first, uint64_t last)
{
    struct emptying e = { 0 };
    int r = 0;
    for (uint64_t sequence = first; r == 0 && sequence <= last; sequence++)
        r = empty_row(o, sequence, true, &e);
    if (r == 0)
        r = tell(o, &e);
    return r == 0 && e.first > 0 ? push_from(o, e.first) : r;
}

/* --- What no row has replaced ---------------------------------------------------------------------------------------- */

/* The last row of each key that names them. */
struct replaced {
    struct last_row {
        uint64_t sequence;
        uint32_t table;
        bool removed;
        struct buf row;
        struct slice key; /* in row */
    } * rows;
    size_t count;
};

static void replaced_free(struct replaced *l)
{
    for (size_t i = 0; i < l->count; i++)
        buf_free(&l->rows[i].row);
    free(l->rows);
}

static struct last_row *last_row_of(struct replaced *l, uint32_t table, struct slice key)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->rows[i].table == table && slice_equal(l->rows[i].key, key))
            return &l->rows[i];
    struct last_row *grown = reallocarray(l->rows, l->count + 1, sizeof(*grown));
    if (grown == NULL)
        return NULL;
    l->rows = grown;
    grown[l->count] = (struct last_row){ .table = table, .row = buf(sizeof(((doc_Share *)NULL)->row.bytes)) };
    return &grown[l->count++];
}

static int note_row(struct replaced *l, uint64_t sequence, const doc_Share *share)
{
    struct slice key, row = CODEC_BYTES(share->row);
    if (!share_row_key(share->table, row, &key))
        return 0;
    struct last_row *at = last_row_of(l, share->table, key);
    if (at == NULL)
        return -ENOMEM;
    buf_clear(&at->row);
    int r = buf_append(&at->row, row);
    at->sequence = sequence;
    at->removed = share->removed;
    at->key = slice(at->row.data, key.len);
    return r;
}

/* Has a row with its key come later that does not name them? A device that is another account's now. */
static int is_replaced(struct operations *o, const struct last_row *at, bool *yes)
{
    doc_Share *share CLEANUP(freep) = malloc(sizeof(*share));
    uint8_t signer[32];
    struct slice key;
    struct query q CLEANUP(query_end) = query(o->store, OUTBOX_NEXT);
    query_bind_u64(&q, 1, at->sequence);
    query_bind_i64(&q, 2, INT64_MAX);
    int r = share != NULL ? 0 : -ENOMEM;
    *yes = false;
    while (r == 0 && !*yes && rows_next(&q, &r)) {
        struct slice envelope = query_blob(&q, 1);
        if (!holds(envelope, at->key.data, at->key.len))
            continue;
        if (document_open(DOCUMENT_SHARE, envelope, share, sizeof(*share), signer) != 0)
            return -EUCLEAN;
        *yes = share->table == at->table && share_row_key(share->table, CODEC_BYTES(share->row), &key) &&
               slice_equal(key, at->key);
    }
    return r;
}

static int gather(struct operations *o, const struct sought *s, struct replaced *l)
{
    doc_Share *share CLEANUP(freep) = malloc(sizeof(*share));
    struct buf envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    uint64_t sequence = 0;
    int r = share != NULL ? 0 : -ENOMEM;
    while (r == 0) {
        r = find_next(o, s, sequence, INT64_MAX, UINT64_MAX, &sequence);
        if (r == 0)
            r = read_row(o, sequence, &envelope, share);
        if (r == 0)
            r = note_row(l, sequence, share);
    }
    return r == OPERATIONS_ABSENT ? 0 : r;
}

int share_forget_first(struct operations *o, const char *user, const struct id *clients, size_t count, uint64_t last)
{
    const struct sought s = { user, clients, count };
    struct replaced l CLEANUP(replaced_free) = { 0 };
    int r = gather(o, &s, &l);
    for (size_t i = 0; r == 0 && i < l.count; i++) {
        bool is = l.rows[i].removed || l.rows[i].sequence > last;
        if (!is)
            r = is_replaced(o, &l.rows[i], &is);
        if (r == 0 && !is)
            r = share_put_encoded(o, l.rows[i].table, true, buf_slice(&l.rows[i].row));
    }
    return r;
}
