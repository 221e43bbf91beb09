/* Our next keyset: which keys and floors it lists, and who signs it. On the connection's thread. Source: design section 2. */
#define LOG_MODULE "keyset"
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/keys_age.h"
#include "distributor/keyset.h"
#include "distributor/keyset_internal.h"
#include "distributor/rotation.h"
#include "distributor/rows.h"
#include "distributor/share_rows.h"
#include "protocol/times.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define KEYSET_LIFE_MS (90 * DAY_MS)
#define ROSTER_STAYS_MS (60 * DAY_MS) /* rosters live half as long */
#define KEY_LIFE_MS (730 * DAY_MS)    /* documents outlive the keyset they were issued under */

static void add_key(doc_Keyset *k, enum key_purpose purpose, const uint8_t key[32], int64_t ends_ms)
{
    if (k->keys_count == ARRAY_COUNT(k->keys))
        return;
    doc_Key *added = &k->keys[k->keys_count++];
    added->purpose = purpose;
    memcpy(added->key, key, sizeof(added->key));
    added->ends_ms = (uint64_t)ends_ms;
}

static bool has_key(const doc_Keyset *k, const uint8_t key[32])
{
    for (pb_size_t i = 0; i < k->keys_count; i++)
        if (memcmp(k->keys[i].key, key, 32) == 0)
            return true;
    return false;
}

/* Of what is in use: a connection of the day before goes on; what was signed meanwhile elsewhere on this machine still counts. */
static int64_t retired_end(enum key_purpose purpose, int64_t now_ms)
{
    return now_ms + (purpose == KEY_TLS ? DAY_MS : HOUR_MS);
}

/* A next key takes over as soon as it is listed (rotation.h): ours is a former one then. */
static int add_ours(struct operations *o, const struct keys_ages *ages, int64_t now_ms, doc_Keyset *k)
{
    int r = 0;
    for (enum key_purpose p = KEY_TLS; r == 0 && p <= KEY_SEALING; p++) {
        const struct keys_next *next = &o->keys->next[p - 1];
        const uint8_t *ours = keys_public(o->keys, p);
        bool gone = false;
        r = keyset_is_withdrawn(o, ours, &gone);
        if (r == 0 && (gone || ages->of[p] == KEYS_FORMER) && !next->there)
            return -EKEYREVOKED; /* keys of before it was changed: another machine has the new ones */
        if (next->there)
            add_key(k, p, next->public_key, now_ms + KEY_LIFE_MS);
        if (!gone && ages->of[p] != KEYS_FORMER) /* a former one is, as it was */
            add_key(k, p, ours, next->there ? retired_end(p, now_ms) : now_ms + KEY_LIFE_MS);
        else if (p == KEY_LICENSE)
            add_key(k, KEY_SHARED, ours, now_ms);
    }
    return r;
}

struct former {
    doc_Key key;
    unsigned rank; /* the lowest is listed first */
};

static int by_rank(const void *a, const void *b)
{
    const struct former *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return x->key.ends_ms < y->key.ends_ms ? 1 : x->key.ends_ms > y->key.ends_ms ? -1 : 0;
}

/* Licenses and device certificates live that long after their key; a license without an end longer, where there is room. */
static bool signs_what_is_in_use(const doc_Key *k, int64_t now_ms)
{
    return k->purpose == KEY_LICENSE && (int64_t)k->ends_ms > now_ms - KEY_LIFE_MS;
}

void keyset_former_license_keys(const struct operations *o, const doc_Keyset *own, int64_t now_ms, unsigned *count,
                                int64_t *first_ends_ms)
{
    const struct keys_next *next = &o->keys->next[KEY_LICENSE - 1];
    *count = 0;
    *first_ends_ms = INT64_MAX;
    for (pb_size_t i = 0; i < own->keys_count; i++) {
        const doc_Key *k = &own->keys[i];
        if (!signs_what_is_in_use(k, now_ms) || memcmp(k->key, keys_public(o->keys, KEY_LICENSE), 32) == 0 ||
            (next->there && memcmp(k->key, next->public_key, 32) == 0))
            continue;
        ++*count;
        if ((int64_t)k->ends_ms + KEY_LIFE_MS < *first_ends_ms)
            *first_ends_ms = (int64_t)k->ends_ms + KEY_LIFE_MS;
    }
}

/* Those that were ours: what they signed is judged by the time it was signed, so they stay listed after their end. License keys first (admin_keys.c
 * sees to it that there is room), then the latest. An old connection and what was sealed to us do not come back, nor a roster that has ended. */
static int add_former(struct operations *o, const doc_Keyset *before, int64_t now_ms, doc_Keyset *k)
{
    struct former former[ARRAY_COUNT(before->keys)];
    size_t count = 0;
    for (pb_size_t i = 0; i < before->keys_count; i++) {
        doc_Key f = before->keys[i];
        enum key_purpose p = (enum key_purpose)f.purpose;
        bool gone = false;
        int r = keyset_is_withdrawn(o, f.key, &gone);
        if (r != 0)
            return r;
        if (has_key(k, f.key) || (gone && p != KEY_LICENSE && p != KEY_SHARED && p != KEY_WITHDRAWN))
            continue;
        if (gone) { /* what it has signed and is on its way has to be refused, however long that is: such a move comes back by that alone */
            f.purpose = p == KEY_LICENSE ? KEY_SHARED : KEY_WITHDRAWN;
            f.ends_ms = u64_min(f.ends_ms, (uint64_t)now_ms);
        }
        f.ends_ms = u64_min(f.ends_ms, (uint64_t)retired_end(p, now_ms));
        int64_t stays_ms = p == KEY_TLS || p == KEY_SEALING ? 0 : p == KEY_ROSTER ? ROSTER_STAYS_MS : KEY_LIFE_MS;
        bool is_old = (int64_t)f.ends_ms < now_ms - stays_ms;
        if (!is_old || f.purpose == KEY_LICENSE)
            former[count++] = (struct former){ f, signs_what_is_in_use(&f, now_ms) ? 0 : is_old ? 2 : 1 };
    }
    qsort(former, count, sizeof(former[0]), by_rank);
    for (size_t i = 0; i < count; i++)
        add_key(k, (enum key_purpose)former[i].key.purpose, former[i].key.key, (int64_t)former[i].key.ends_ms);
    return 0;
}

/* Of those whose delegations may still count; the latest withdrawn ones, should there ever be more than room. */
static int add_floors(struct operations *o, int64_t now_ms, doc_Keyset *k)
{
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_FLOORS);
    query_bind_i64(&q, 1, now_ms);
    int r = 0;
    while (k->floors_count < KEYSET_FLOORS && rows_next(&q, &r)) {
        doc_PartnerFloor *floor = &k->floors[k->floors_count++];
        query_fixed(&q, 0, floor->partner, sizeof(floor->partner));
        floor->lowest_sequence = query_u64(&q, 1);
    }
    return r < 0 ? r : query_check(&q);
}

/* The number after the last one: it is taken when the keyset is stored. */
static int next_sequence(struct operations *o, uint64_t *sequence)
{
    uint64_t last = 0;
    int r = operations_counter(o, "keyset", &last);
    *sequence = u64_add(last, 1);
    return r;
}

static int take_sequence(struct operations *o, uint64_t sequence)
{
    return operations_counter_set(o, "keyset", sequence);
}

int keyset_propose(struct operations *o, int64_t now_ms, doc_Keyset *out)
{
    doc_Keyset *before CLEANUP(freep) = calloc(1, sizeof(*before));
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    if (!k || !before)
        return -ENOMEM;
    memcpy(k->distributor, o->keys->self.bytes, ID_BYTES);
    CODEC_SET_TEXT(k->name, o->name);
    k->issued_ms = (uint64_t)now_ms;
    k->ends_ms = (uint64_t)(now_ms + KEYSET_LIFE_MS);
    struct keys_ages ages = { .until_ms = INT64_MAX };
    int r = keyset_of(o, OPERATIONS_SELF, before);
    bool is_first = r == OPERATIONS_ABSENT;
    if (r == 0)
        keys_ages_of(before, o->keys, now_ms, &ages);
    if (r == 0 || is_first)
        r = add_ours(o, &ages, now_ms, k);
    if (r == 0 && !is_first)
        r = add_former(o, before, now_ms, k);
    if (r == 0)
        r = add_floors(o, now_ms, k);
    if (r == 0)
        r = next_sequence(o, &k->sequence);
    if (r == 0)
        *out = *k;
    return r;
}

/* What it has signed is issued anew when it is next asked for. */
static int drops_roster_key(struct operations *o, const doc_Keyset *k, bool *gone)
{
    doc_Keyset *before CLEANUP(freep) = malloc(sizeof(*before));
    if (!before)
        return -ENOMEM;
    int r = keyset_of(o, OPERATIONS_SELF, before);
    for (pb_size_t i = 0; r == 0 && i < before->keys_count; i++)
        *gone =
            *gone || (before->keys[i].purpose == KEY_ROSTER && !keyset_lists(k, KEY_ROSTER, before->keys[i].key, 0));
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static int publish(struct operations *o, const doc_Keyset *k, struct slice envelope)
{
    share_Keyset row = share_Keyset_init_zero;
    if (CODEC_SET_BYTES(row.keyset, envelope) != 0)
        return -EINVAL;
    bool gone = false;
    int r = drops_roster_key(o, k, &gone);
    if (r == 0 && gone)
        r = rotation_expire_rosters(o);
    if (r == 0)
        r = take_sequence(o, k->sequence);
    if (r == 0)
        r = keyset_write(o, OPERATIONS_SELF, k, envelope);
    if (r == 0)
        r = SHARE_PUT(o, KEYSET, false, share_Keyset, &row);
    if (r == 0)
        log_info("keyset issued: sequence=%llu", (unsigned long long)k->sequence);
    return r;
}

int keyset_issue(struct operations *o, int64_t now_ms)
{
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    struct buf envelope CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    struct root_signer root = { .token = NULL };
    if (!k)
        return -ENOMEM;
    int r = keyset_propose(o, now_ms, k);
    if (r == 0)
        r = keys_root_open(o->keys, o->state_dir, &root);
    if (r != 0)
        return r;
    r = document_sign(&envelope, DOCUMENT_KEYSET, k, &root.signer);
    keys_root_close(&root);
    if (r != 0)
        return r > 0 ? -EINVAL : r;
    return publish(o, k, buf_slice(&envelope));
}

int keyset_issue_if_possible(struct operations *o, int64_t now_ms, bool *issued)
{
    int r = keyset_issue(o, now_ms);
    *issued = r == 0;
    if (r != KEYS_NO_ROOT && r != KEYS_TOKEN)
        return r;
    log_warn("a new keyset is due, and the root key is not here: hearth-distributor keys request FILE");
    return 0;
}

/* A key that was withdrawn, before this was asked for or since, is not given back. */
static int judge_withdrawn(struct operations *o, const doc_Keyset *k)
{
    unsigned listed = 0;
    int r = keyset_count_withdrawn(o, k, &listed);
    return r == 0 && listed > 0 ? REASON_KEYSET_INVALID : r;
}

/* What was withdrawn from a partner since it was asked for is not given back. */
static int judge_floors(struct operations *o, const doc_Keyset *k, int64_t now_ms)
{
    doc_Keyset *now CLEANUP(freep) = calloc(1, sizeof(*now));
    int r = now != NULL ? add_floors(o, now_ms, now) : -ENOMEM;
    for (pb_size_t i = 0; r == 0 && i < now->floors_count; i++) {
        bool kept = false;
        for (pb_size_t j = 0; j < k->floors_count; j++)
            kept = kept || (id_equal(k->floors[j].partner, now->floors[i].partner) &&
                            k->floors[j].lowest_sequence >= now->floors[i].lowest_sequence);
        r = kept ? 0 : REASON_KEYSET_INVALID;
    }
    return r;
}

/* Why keyset_judge does not take it. k: for reading it once more. */
static const char *why_not(const struct operations *o, struct slice envelope, uint64_t lowest, int64_t now_ms,
                           doc_Keyset *k)
{
    struct id root;
    int r = document_open_keyset(envelope, k, &root);
    if (r != 0)
        return r == REASON_SIGNATURE_INVALID ? "its signature is wrong: it was changed after it was signed"
                                             : "it is no keyset, or damaged (it is to be what `keys sign` has written)";
    if (!id_equal(&root, &o->keys->self) || !id_equal(k->distributor, &o->keys->self))
        return "another root key than this distributor's has signed it";
    if (k->sequence < lowest)
        return "it is older than the keyset there is";
    return times_ended(k->ends_ms, now_ms) ? "it has ended"
                                           : "it was made at a time after now: one of the clocks is wrong";
}

int keyset_install(struct operations *o, struct slice envelope, int64_t now_ms, const char **why)
{
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    uint64_t lowest = 0;
    if (!k)
        return -ENOMEM;
    int r = next_sequence(o, &lowest);
    if (r == 0) {
        r = keyset_judge(envelope, &o->keys->self, lowest, NULL, now_ms, k);
        *why = r > 0 ? why_not(o, envelope, lowest, now_ms, k)
                     : "it does not list the keys in use: they were changed after it was asked for";
    }
    if (r == 0 && (k->sequence > INT64_MAX || envelope.len > KEYSET_ENVELOPE_MAX))
        r = REASON_KEYSET_INVALID;
    for (enum key_purpose p = KEY_TLS; r == 0 && p <= KEY_SEALING; p++) {
        const struct keys_next *next = &o->keys->next[p - 1];
        if (!keyset_lists(k, p, keys_public(o->keys, p), now_ms) &&
            !(next->there && keyset_lists(k, p, next->public_key, now_ms)))
            r = REASON_KEYSET_INVALID; /* asked for before a key was changed again: nobody could be served with it */
    }
    if (r == 0) {
        *why = "it lists a key that was withdrawn";
        r = judge_withdrawn(o, k);
    }
    if (r == 0) {
        *why = "a partner was withdrawn after it was asked for, which it does not say";
        r = judge_floors(o, k, now_ms);
    }
    return r == 0 ? publish(o, k, envelope) : r;
}
