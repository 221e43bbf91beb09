/* Whether the vault is behind, and what follows for others (table standing). Request thread. */
#include "vault/behind_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "vault/db.h"

#define NO_LIMIT UINT32_MAX /* doc_Conditions.max_copies */

int behind_init(struct vault *v)
{
    v->behind = calloc(1, sizeof(*v->behind));
    return v->behind ? 0 : -ENOMEM;
}

void behind_deinit(struct vault *v) { free(steal(&v->behind)); }

/* --- Catch-ups under way --- */

struct catching_up *behind_find(struct vault *v, const void *distributor)
{
    for (unsigned i = 0; i < BEHIND_COUNT_MAX; i++) {
        struct catching_up *c = &v->behind->under_way[i];
        if (c->open && id_equal(&c->distributor, distributor))
            return c;
    }
    return NULL;
}

struct catching_up *behind_begin(struct vault *v, const void *distributor)
{
    struct catching_up *c = behind_find(v, distributor);
    for (unsigned i = 0; !c && i < BEHIND_COUNT_MAX; i++)
        c = v->behind->under_way[i].open ? NULL : &v->behind->under_way[i];
    if (!c) {
        c = &v->behind->under_way[0];
        for (unsigned i = 1; i < BEHIND_COUNT_MAX; i++)
            c = v->behind->under_way[i].number < c->number ? &v->behind->under_way[i] : c;
    }
    *c = (struct catching_up){ .open = true, .number = ++v->behind->count, .distributor = id_from(distributor) };
    return c;
}

/* --- Rows --- */

static void read_nonce(struct query *q, int column, bool *has, uint8_t out[STANDING_NONCE_BYTES])
{
    *has = !query_is_null(q, column);
    if (*has)
        query_fixed(q, column, out, STANDING_NONCE_BYTES);
}

int standing_row_get(const struct vault *v, const void *distributor, struct standing_row *out)
{
    *out = (struct standing_row){ 0 };
    struct query q CLEANUP(query_end) = query(v->store, DB_STANDING_GET);
    query_bind_blob(&q, 1, slice(distributor, ID_BYTES));
    int r = query_one(&q);
    if (r != 0)
        return r == STORE_ABSENT ? 0 : r > 0 ? -EUCLEAN : r;
    out->behind = query_u64(&q, 0);
    read_nonce(&q, 1, &out->has_taken, out->taken);
    read_nonce(&q, 2, &out->has_issued, out->issued);
    return query_check(&q);
}

static void bind_nonce(struct query *q, int parameter, bool has, const uint8_t nonce[STANDING_NONCE_BYTES])
{
    if (has)
        query_bind_blob(q, parameter, slice(nonce, STANDING_NONCE_BYTES));
    else
        query_bind_null(q, parameter);
}

int standing_row_put(struct vault *v, const void *distributor, const struct standing_row *row)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_STANDING_PUT);
    query_bind_blob(&q, 1, slice(distributor, ID_BYTES));
    query_bind_u64(&q, 2, row->behind);
    bind_nonce(&q, 3, row->has_taken, row->taken);
    bind_nonce(&q, 4, row->has_issued, row->issued);
    int r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

/* --- What follows --- */

static const char *name_of(struct vault *v, const void *distributor)
{
    const struct service *s;
    return services_find(v, distributor, &s) == 0 ? s->keyset.name : "its distributor";
}

int behind_judge(struct vault *v, struct reply *reply)
{
    uint8_t distributor[ID_BYTES];
    {
        struct query q CLEANUP(query_end) = query(v->store, DB_STANDING_BEHIND);
        int r = query_one(&q);
        if (r == STORE_ABSENT)
            return 0;
        if (r == 0) {
            query_fixed(&q, 0, distributor, sizeof(distributor));
            r = query_check(&q);
        }
        if (r != 0)
            return r > 0 ? -EUCLEAN : r;
    }
    snprintf(v->behind->text, sizeof(v->behind->text),
             "This device was put back from an older copy. It has to connect to %s first.", name_of(v, distributor));
    reply->detail = v->behind->text;
    return REASON_VAULT_BEHIND;
}

bool behind_counts(const doc_License *l)
{
    const doc_Conditions *c = &l->conditions;
    bool unlimited = c->copy_depth > 0 && c->max_copies == NO_LIMIT;
    return !unlimited || c->has_max_plays || c->has_max_play_ms || l->has_lease;
}
