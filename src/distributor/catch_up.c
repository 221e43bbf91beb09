/* CATCH_UP_GET: one page of what a device used up, as far as we know it; for a vault that says that it is an older copy of itself. Serials come
 * from the shared copy history of all issuers and from receipts that were brought here; licenses and moves are our own. Reads only. */
#define LOG_MODULE "standings"
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/rows.h"
#include "distributor/standings.h"

static void bind(struct operations *o, struct query *q, const struct caller *who, const uint8_t *after)
{
    rows_bind_id(q, 1, &who->client);
    rows_bind_id(q, 2, &o->keys->self);
    query_bind_i64(q, 3, after[0]);
    query_bind_blob(q, 4, slice(after + 1, ID_BYTES));
    query_bind_blob(q, 5, slice(after + 1 + ID_BYTES, 16));
}

static int read_entry(struct query *q, doc_CatchUpEntry *e)
{
    *e = (doc_CatchUpEntry){ .kind = query_u32(q, 0) };
    query_fixed(q, 1, e->issuer, sizeof(e->issuer));
    query_fixed(q, 2, e->name, sizeof(e->name));
    e->has_sequence = e->kind != CATCH_UP_SERIAL;
    if (e->has_sequence)
        e->sequence = query_u64(q, 3);
    if (e->kind == CATCH_UP_MOVE) {
        e->has_license_id = e->has_content = e->has_destination = e->has_digest = true;
        query_fixed(q, 4, e->license_id, sizeof(e->license_id));
        query_fixed(q, 5, e->content, sizeof(e->content));
        query_fixed(q, 6, e->destination, sizeof(e->destination));
        sha256(query_blob(q, 7), e->digest);
    }
    return query_check(q);
}

static int fill_page(struct operations *o, const struct caller *who, doc_CatchUp *page)
{
    struct query q CLEANUP(query_end) = query(o->store, CATCH_UP_PAGE);
    doc_CatchUpEntry more;
    int r;
    bind(o, &q, who, page->after);
    page->last = true;
    while (rows_next(&q, &r)) {
        if (page->entries_count == ARRAY_COUNT(page->entries)) {
            page->last = false;
            break;
        }
        r = read_entry(&q, &more);
        if (r != 0)
            return r;
        page->entries[page->entries_count++] = more;
    }
    return r;
}

static void note(struct operations *o, const struct caller *who)
{
    struct device d;
    if (devices_find(o, &who->client, &d) == 0)
        log_warn("device %s of %s was restored from an older copy of its vault", d.name, d.user);
}

int catch_up_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                 struct reply *out)
{
    (void)tail;
    msg_CatchUpGet m;
    msg_CatchUp answer = msg_CatchUp_init_zero;
    doc_Generation g;
    struct standing known;
    doc_CatchUp *page CLEANUP(freep) = calloc(1, sizeof(*page));
    if (!page)
        return -ENOMEM;
    int r = REQUEST_DECODE(message, msg_CatchUpGet, &m);
    if (r == 0)
        r = standings_statement(o, who, CODEC_BYTES(m.statement), &g);
    if (r == 0 && g.current)
        r = REASON_NOT_PERMITTED;
    if (r == 0)
        r = standings_get(o, &who->client, &known);
    if (r != 0)
        return r;
    memcpy(page->distributor, o->keys->self.bytes, ID_BYTES);
    memcpy(page->client, who->client.bytes, ID_BYTES);
    memcpy(page->nonce, g.nonce, sizeof(page->nonce));
    memcpy(page->after, m.after, sizeof(page->after));
    page->generation = known.generation;
    page->time_ms = (uint64_t)who->now_ms;
    if (page->after[0] == 0)
        note(o, who);
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    r = fill_page(o, who, page);
    if (r == 0)
        r = document_sign(&out->tail, DOCUMENT_CATCH_UP, page, &signer);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return REPLY(out, CATCH_UP, msg_CatchUp, &answer);
}
