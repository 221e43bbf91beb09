/* CATCH_UP: what a copy of this vault that is no more had used up (tables used_serial, given_up). Nothing becomes better by it. Request thread. */
#include "vault/behind_internal.h"

#include <stdlib.h>

#include "base/util.h"
#include "vault/certificate_rows.h"
#include "vault/db.h"
#include "vault/keys.h"
#include "vault/keysets.h"
#include "vault/licenses.h"
#include "vault/moves.h"
#include "vault/trusted_time.h"

/* --- What was learned --- */

int catch_up_has_serial(const struct vault *v, const struct id *issuer, const uint8_t serial[16],
                        const struct id *distributor)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_USED_GET);
    query_bind_blob(&q, 1, SLICE_ARRAY(issuer->bytes));
    query_bind_blob(&q, 2, slice(serial, 16));
    query_bind_blob(&q, 3, SLICE_ARRAY(distributor->bytes));
    int r = query_one(&q);
    return r == STORE_ABSENT ? 0 : r == 0 ? 1 : r > 0 ? -EUCLEAN : r;
}

int catch_up_given_up(const struct vault *v, const void *issuer, const uint8_t license_id[16], uint64_t *sequence)
{
    *sequence = 0;
    struct query q CLEANUP(query_end) = query(v->store, DB_GIVEN_UP_GET);
    query_bind_blob(&q, 1, slice(issuer, ID_BYTES));
    query_bind_blob(&q, 2, slice(license_id, 16));
    int r = query_one(&q);
    if (r == STORE_ABSENT)
        return 0;
    if (r == 0) {
        *sequence = query_u64(&q, 0);
        r = query_check(&q);
    }
    return r > 0 ? -EUCLEAN : r;
}

/* --- Entries --- */

static int take_serial(struct vault *v, const doc_CatchUp *c, const doc_CatchUpEntry *e)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_USED_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(e->issuer));
    query_bind_blob(&q, 2, SLICE_ARRAY(e->name));
    query_bind_blob(&q, 3, SLICE_ARRAY(c->distributor));
    int r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

static int give_up(struct vault *v, const void *issuer, const uint8_t license_id[16], uint64_t sequence)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_GIVEN_UP_RAISE);
    query_bind_blob(&q, 1, slice(issuer, ID_BYTES));
    query_bind_blob(&q, 2, slice(license_id, 16));
    query_bind_u64(&q, 3, sequence);
    int r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

static int take_license(struct vault *v, const doc_CatchUpEntry *e)
{
    struct license_row row CLEANUP(licenses_deinit) = { 0 };
    int r = give_up(v, e->issuer, e->name, e->sequence); /* also one that is not here: it could be stored again */
    if (r == 0)
        r = licenses_get(v, e->issuer, e->name, &row);
    if (r != 0 || row.license.sequence > e->sequence || row.state == LICENSE_SURRENDERED)
        return r == LICENSES_ABSENT ? 0 : r;
    return licenses_set_state(v, &row, LICENSE_SURRENDERED);
}

/* The move goes on where it was, with the certificate that hearthd may still have: it is finished or taken back as any other. */
static int take_move(struct vault *v, const doc_CatchUpEntry *e)
{
    struct license_row row CLEANUP(licenses_deinit) = { 0 };
    int r = licenses_get(v, e->issuer, e->license_id, &row);
    if (r == LICENSES_ABSENT)
        return give_up(v, e->issuer, e->license_id, e->sequence);
    if (r != 0 || row.license.sequence > e->sequence)
        return r;
    const struct moves_known known = { .issuer = e->issuer,
                                       .serial = e->name,
                                       .digest = e->digest,
                                       .content = e->content,
                                       .destination = e->destination };
    return moves_take_up(v, &known, &row);
}

static int take_entry(struct vault *v, const doc_CatchUp *c, const doc_CatchUpEntry *e)
{
    if (e->has_sequence && e->sequence > VAULT_NUMBER_MAX)
        return REASON_MALFORMED;
    switch (e->kind) {
    case CATCH_UP_SERIAL:
        return take_serial(v, c, e);
    case CATCH_UP_LICENSE:
        return take_license(v, e);
    default:
        return take_move(v, e);
    }
}

/* --- Pages --- */

static int raise_generation(struct vault *v, uint64_t seen)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_GENERATION_RAISE);
    query_bind_u64(&q, 1, seen + 1);
    int r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

/* From here on the statement that the distributor took last is one of ours: we know what it stood for. */
static int finish(struct vault *v, const doc_CatchUp *page, const struct catching_up *c)
{
    struct standing_row row = { .has_taken = c->has_last };
    memcpy(row.taken, c->last, sizeof(row.taken));
    int r = raise_generation(v, page->generation);
    return r != 0 ? r : standing_row_put(v, page->distributor, &row);
}

static int take_page(struct vault *v, const doc_CatchUp *page, struct catching_up *c, struct reply *reply)
{
    uint8_t after[STANDING_PLACE_BYTES];
    int r = 0;
    memcpy(after, c->after, sizeof(after));
    for (pb_size_t i = 0; r == 0 && i < page->entries_count; i++) {
        r = take_entry(v, page, &page->entries[i]);
        catch_up_place(&page->entries[i], after);
    }
    if (r == 0 && page->last)
        r = finish(v, page, c);
    if (r != 0)
        return r;
    /* Should the commit fail, the next page does not fit and all begins anew. */
    memcpy(c->after, after, sizeof(c->after));
    c->open = !page->last;
    memcpy(reply->caught_up.after, after, sizeof(reply->caught_up.after));
    reply->caught_up.done = page->last;
    reply->type = vlt_Type_CAUGHT_UP;
    reply->fields = vlt_CaughtUp_fields;
    return 0;
}

int catch_up_take(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_CatchUp *m = rq->message;
    doc_Keyset keyset;
    uint64_t own, now_ms;
    doc_CatchUp *page CLEANUP(freep) = malloc(sizeof(*page));
    struct catching_up *c = behind_find(v, m->distributor);
    if (!page)
        return -ENOMEM;
    if (!c)
        return REASON_OUT_OF_STEP;
    int r = keysets_find(v, m->distributor, &keyset);
    if (r == 0)
        r = catch_up_judge(rq->tail, &keyset, &v->keys->client, page);
    if (r == 0)
        r = keys_generation(v, &own);
    if (r == 0)
        r = trusted_time_stamp(v, m->distributor, &now_ms);
    if (r != 0)
        return r;
    if (memcmp(page->nonce, c->nonce, sizeof(page->nonce)) != 0 ||
        memcmp(page->after, c->after, sizeof(page->after)) != 0)
        return REASON_OUT_OF_STEP;
    if (standing_is_absurd(page->generation, own, (int64_t)now_ms))
        return REASON_MALFORMED;
    return take_page(v, page, c, reply);
}
