/* Use conditions: columns and arithmetic. On the connection's thread. */
#include "distributor/conditions.h"

#include "base/util.h"
#include "distributor/rows.h"
#include "protocol/metadata.h"

/* --- Columns ----------------------------------------------------------------------------------------------------- */

static void read_time(struct query *q, int column, bool *has, uint64_t *value)
{
    *has = !query_is_null(q, column);
    *value = *has ? query_u64(q, column) : 0;
}

static void read_count(struct query *q, int column, bool *has, uint32_t *value)
{
    *has = !query_is_null(q, column);
    *value = *has ? query_u32(q, column) : 0;
}

/* One that cannot be read permits nobody. */
static void read_range(struct query *q, int column, bool *has, doc_SignerRange *range)
{
    *has = !query_is_null(q, column);
    if (*has && CODEC_DECODE(doc_SignerRange, query_blob(q, column), range) != 0)
        *range = (doc_SignerRange){ .kind = RANGE_NOBODY };
}

void conditions_read(struct query *q, int first, doc_Conditions *c)
{
    *c = (doc_Conditions)doc_Conditions_init_zero;
    read_time(q, first, &c->has_usage_from_ms, &c->usage_from_ms);
    read_time(q, first + 1, &c->has_usage_until_ms, &c->usage_until_ms);
    read_time(q, first + 2, &c->has_download_from_ms, &c->download_from_ms);
    read_time(q, first + 3, &c->has_download_until_ms, &c->download_until_ms);
    c->max_copies = query_u32(q, first + 4);
    c->copy_depth = query_u32(q, first + 5);
    c->max_removable = query_u32(q, first + 6);
    read_count(q, first + 7, &c->has_max_plays, &c->max_plays);
    read_time(q, first + 8, &c->has_max_play_ms, &c->max_play_ms);
    read_count(q, first + 9, &c->has_max_checkouts, &c->max_checkouts);
    c->has_record = c->record = query_bool(q, first + 10);
    c->has_own_price = !query_is_null(q, first + 11);
    c->own_price = c->has_own_price ? query_i64(q, first + 11) : 0;
    c->has_use_log = c->use_log = query_bool(q, first + 12);
    read_count(q, first + 13, &c->has_max_recoveries, &c->max_recoveries);
    read_time(q, first + 14, &c->has_charge_from_ms, &c->charge_from_ms);
    read_range(q, first + 15, &c->has_metadata_signers, &c->metadata_signers);
}

static void bind_count(struct query *q, int parameter, bool has, uint32_t value)
{
    rows_bind_time(q, parameter, has, value);
}

static void bind_range(struct query *q, int parameter, const doc_SignerRange *range)
{
    struct buf encoded CLEANUP(buf_free) = buf(doc_SignerRange_size);
    if (range && CODEC_ENCODE(doc_SignerRange, &encoded, range) == 0)
        query_bind_blob(q, parameter, buf_slice(&encoded));
    else
        query_bind_null(q, parameter);
}

void conditions_bind(struct query *q, int first, const doc_Conditions *c)
{
    rows_bind_time(q, first, c->has_usage_from_ms, c->usage_from_ms);
    rows_bind_time(q, first + 1, c->has_usage_until_ms, c->usage_until_ms);
    rows_bind_time(q, first + 2, c->has_download_from_ms, c->download_from_ms);
    rows_bind_time(q, first + 3, c->has_download_until_ms, c->download_until_ms);
    query_bind_i64(q, first + 4, c->max_copies);
    query_bind_i64(q, first + 5, c->copy_depth);
    query_bind_i64(q, first + 6, c->max_removable);
    bind_count(q, first + 7, c->has_max_plays, c->max_plays);
    rows_bind_time(q, first + 8, c->has_max_play_ms, c->max_play_ms);
    bind_count(q, first + 9, c->has_max_checkouts, c->max_checkouts);
    query_bind_i64(q, first + 10, c->has_record && c->record);
    if (c->has_own_price)
        query_bind_i64(q, first + 11, c->own_price);
    else
        query_bind_null(q, first + 11);
    query_bind_i64(q, first + 12, c->has_use_log && c->use_log);
    bind_count(q, first + 13, c->has_max_recoveries, c->max_recoveries);
    rows_bind_time(q, first + 14, c->has_charge_from_ms, c->charge_from_ms);
    bind_range(q, first + 15, c->has_metadata_signers ? &c->metadata_signers : NULL);
}

/* --- Arithmetic -------------------------------------------------------------------------------------------------- */

/* Not later than so long after from_ms. */
static void end_after(doc_Conditions *c, uint64_t from_ms, uint64_t for_ms)
{
    uint64_t until = u64_min(u64_add(from_ms, for_ms), INT64_MAX);
    if (!c->has_usage_until_ms || until < c->usage_until_ms) {
        c->has_usage_until_ms = true;
        c->usage_until_ms = until;
    }
}

doc_Conditions conditions_of_product(const struct product *p, int64_t now_ms)
{
    doc_Conditions c = p->conditions;
    if (p->has_usage_for_ms)
        end_after(&c, (uint64_t)now_ms, p->usage_for_ms);
    return c;
}

/* Two limits together are one: only what is said to be without a limit is. */
static uint32_t add_limit(uint32_t limit, uint32_t more)
{
    if (limit == PRODUCTS_NO_LIMIT || more == PRODUCTS_NO_LIMIT)
        return PRODUCTS_NO_LIMIT;
    return (uint32_t)u64_min((uint64_t)limit + more, PRODUCTS_NO_LIMIT - 1);
}

void conditions_add(doc_Conditions *c, const struct product_option *o)
{
    c->max_copies = add_limit(c->max_copies, o->copies);
    c->copy_depth = add_limit(c->copy_depth, o->copy_depth);
    c->max_removable = add_limit(c->max_removable, o->removables);
    if (c->has_usage_until_ms)
        c->usage_until_ms = u64_min(u64_add(c->usage_until_ms, o->usage_ms), INT64_MAX);
    if (c->has_max_plays)
        c->max_plays = u32_add(c->max_plays, o->plays);
    if (c->has_max_play_ms)
        c->max_play_ms = u64_min(u64_add(c->max_play_ms, o->play_ms), INT64_MAX);
    if (o->checkouts > 0) {
        c->has_max_checkouts = true;
        c->max_checkouts = u32_add(c->max_checkouts, o->checkouts);
    }
    if (o->record)
        c->has_record = c->record = true;
}

doc_Conditions conditions_renewed(const doc_Conditions *before, const struct product *p, int64_t now_ms)
{
    doc_Conditions c = *before;
    const doc_Conditions *added = &p->conditions;
    uint64_t from = (uint64_t)now_ms;
    if (before->has_usage_until_ms && before->usage_until_ms > from)
        from = before->usage_until_ms;
    if (before->has_usage_until_ms) {
        c.has_usage_until_ms = added->has_usage_until_ms;
        c.usage_until_ms = added->usage_until_ms;
        if (p->has_usage_for_ms)
            end_after(&c, from, p->usage_for_ms);
    }
    c.has_max_plays = before->has_max_plays && added->has_max_plays;
    c.max_plays = c.has_max_plays ? u32_add(before->max_plays, added->max_plays) : 0;
    c.has_max_play_ms = before->has_max_play_ms && added->has_max_play_ms;
    c.max_play_ms = c.has_max_play_ms ? u64_min(u64_add(before->max_play_ms, added->max_play_ms), INT64_MAX) : 0;
    c.has_max_recoveries = before->has_max_recoveries || added->has_max_recoveries; /* a total, as the plays are */
    c.max_recoveries = u32_add(before->max_recoveries, added->max_recoveries);
    return c;
}

doc_Conditions conditions_owned(const doc_Conditions *before)
{
    doc_Conditions c = *before;
    c.has_usage_until_ms = c.has_max_plays = c.has_max_play_ms = c.has_own_price = c.has_use_log = false;
    c.usage_until_ms = c.max_play_ms = 0;
    c.max_plays = c.max_recoveries = 0;
    c.has_max_recoveries = c.has_charge_from_ms = false; /* nothing is counted */
    c.charge_from_ms = 0;
    c.own_price = 0;
    c.use_log = false;
    return c;
}

/* --- Comparing --------------------------------------------------------------------------------------------------- */

/* Limits where an absent one is none. */
static bool limit_as_good(bool has_a, uint64_t a, bool has_b, uint64_t b) { return !has_a || (has_b && a >= b); }

bool conditions_as_good(const doc_Conditions *a, const doc_Conditions *b)
{
    bool from = !a->has_usage_from_ms || (b->has_usage_from_ms && a->usage_from_ms <= b->usage_from_ms);
    return from && limit_as_good(a->has_usage_until_ms, a->usage_until_ms, b->has_usage_until_ms, b->usage_until_ms) &&
           a->copy_depth >= b->copy_depth && a->max_copies >= b->max_copies && a->max_removable >= b->max_removable &&
           limit_as_good(a->has_max_plays, a->max_plays, b->has_max_plays, b->max_plays) &&
           limit_as_good(a->has_max_play_ms, a->max_play_ms, b->has_max_play_ms, b->max_play_ms) &&
           a->max_checkouts >= b->max_checkouts && a->record >= b->record &&
           metadata_range_covers(a->has_metadata_signers ? &a->metadata_signers : NULL,
                                 b->has_metadata_signers ? &b->metadata_signers : NULL);
}

bool conditions_are_over(const doc_Conditions *c, int64_t now_ms)
{
    return c->has_usage_until_ms && (uint64_t)now_ms > c->usage_until_ms;
}

bool conditions_are_counted(const doc_Conditions *c) { return c->has_max_plays || c->has_max_play_ms; }
