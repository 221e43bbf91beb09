/* One query for each kind of figure, all by index. On the connection's thread. */
#include "distributor/measures.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "distributor/findings.h"
#include "distributor/keyset.h"
#include "distributor/rows.h"

/* A counter as far as numbers were really given: a restore leaps (reserve.h), and what it leapt over is kept beside it. */
static int given(struct operations *o, const char *name, uint64_t *out)
{
    char skipped_name[64];
    uint64_t value, skipped;
    snprintf(skipped_name, sizeof(skipped_name), "skipped:%s", name);
    int r = operations_counter(o, name, &value);
    if (r == 0)
        r = operations_counter(o, skipped_name, &skipped);
    if (r == 0)
        *out = value > skipped ? value - skipped : 0;
    return r;
}

static int read_counters(struct operations *o, struct measures *m)
{
    const struct {
        const char *name;
        uint64_t *out;
    } counters[] = { { "license", &m->licenses }, { "certificate", &m->certificates }, { "movement", &m->postings } };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(counters); i++)
        r = given(o, counters[i].name, counters[i].out);
    if (r == 0)
        r = operations_counter(o, "outbox", &m->outbox);
    if (r == 0)
        r = operations_counter(o, "outbox-confirmed", &m->outbox_confirmed);
    if (r == 0)
        r = operations_counter(o, "directory-cursor", &m->directory_cursor);
    if (r == 0)
        r = operations_counter(o, "epoch", &m->epoch);
    int64_t open = 0;
    if (r == 0)
        r = findings_open(o, &open);
    m->findings_open = (uint64_t)open;
    return r;
}

static int read_rows(struct operations *o, struct measures *m)
{
    struct query q CLEANUP(query_end) = query(o->store, MEASURES);
    int r = rows_one(&q);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    uint64_t newest = query_u64(&q, 0), skipped;
    m->certificates_open = query_u64(&q, 1);
    m->payments_open = query_u64(&q, 2);
    m->key_block_version = query_u64(&q, 3);
    r = query_check(&q);
    if (r == 0)
        r = operations_counter(o, "skipped:ledger", &skipped);
    if (r == 0)
        m->ledger_entries = newest > skipped ? newest - skipped : 0;
    return r;
}

static int read_keyset(struct operations *o, struct measures *m)
{
    doc_Keyset *k CLEANUP(freep) = malloc(sizeof(*k));
    if (!k)
        return -ENOMEM;
    int r = keyset_own(o, k);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    keys_ages_of(k, o->keys, m->now_ms, &m->ages);
    m->keyset_sequence = k->sequence;
    m->keyset_ends_ms = (int64_t)k->ends_ms;
    for (size_t i = 0; i < k->keys_count && m->key_count < MEASURES_KEYS; i++)
        m->keys[m->key_count++] = (struct measures_key){ k->keys[i].purpose, (int64_t)k->keys[i].ends_ms };
    return 0;
}

static int read_partners(struct operations *o, struct measures *m)
{
    struct query q CLEANUP(query_end) = query(o->store, MEASURES_PARTNERS_LIST);
    query_bind_i64(&q, 1, MEASURES_PARTNERS);
    int r = 0;
    while (rows_next(&q, &r)) {
        struct measures_partner *p = &m->partners[m->partner_count++];
        query_text(&q, 0, p->name, sizeof(p->name));
        p->delegation_ends_ms = query_i64(&q, 1);
        p->grant_ends_ms = query_i64(&q, 2);
    }
    return r == 0 ? query_check(&q) : r;
}

int measures_read(struct operations *o, int64_t now_ms, struct measures *out)
{
    char url[256];
    *out = (struct measures){ .now_ms = now_ms };
    snprintf(out->name, sizeof(out->name), "%s", o->name);
    int r = operations_setting(o, "directory-url", url, sizeof(url));
    if (r != 0)
        return r;
    out->has_directory = url[0] != '\0';
    r = read_counters(o, out);
    if (r == 0)
        r = read_rows(o, out);
    if (r == 0)
        r = read_keyset(o, out);
    if (r == 0)
        r = keyset_due(o, now_ms, &out->keyset_due);
    return r == 0 ? read_partners(o, out) : r;
}
