/* Which keys are withdrawn; is another keyset due; does somebody have one that we do not know? Said from what is stored, so that nothing has to be remembered. On the connection's thread. */
#include <stdlib.h>

#include "base/util.h"
#include "distributor/keys_age.h"
#include "distributor/keyset.h"
#include "distributor/rows.h"

int keyset_withdraw(struct operations *o, const uint8_t key[32], int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, WITHDRAWN_KEY_ADD);
    query_bind_blob(&q, 1, slice(key, 32));
    query_bind_i64(&q, 2, now_ms);
    return rows_run(&q);
}

int keyset_is_withdrawn(struct operations *o, const uint8_t key[32], bool *yes)
{
    struct query q CLEANUP(query_end) = query(o->store, WITHDRAWN_KEY_HAS);
    query_bind_blob(&q, 1, slice(key, 32));
    int r = rows_one(&q);
    if (r == 0 || r == OPERATIONS_ABSENT)
        *yes = r == 0;
    return r == OPERATIONS_ABSENT ? 0 : r;
}

int keyset_count_withdrawn(struct operations *o, const doc_Keyset *k, unsigned *count)
{
    int r = 0;
    *count = 0;
    for (pb_size_t i = 0; r == 0 && i < k->keys_count; i++) {
        bool gone = false;
        if (k->keys[i].purpose <= KEY_SEALING)
            r = keyset_is_withdrawn(o, k->keys[i].key, &gone);
        *count += gone;
    }
    return r;
}

/* A partner's floor that it does not have. */
static int lacks_floor(struct operations *o, const doc_Keyset *own, int64_t now_ms, bool *lacks)
{
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_FLOORS);
    query_bind_i64(&q, 1, now_ms);
    int r = 0;
    *lacks = false;
    while (rows_next(&q, &r)) {
        struct id partner;
        bool has = false;
        query_fixed(&q, 0, partner.bytes, sizeof(partner.bytes));
        uint64_t lowest = query_u64(&q, 1);
        for (pb_size_t j = 0; j < own->floors_count; j++)
            has = has || (id_equal(own->floors[j].partner, &partner) && own->floors[j].lowest_sequence >= lowest);
        *lacks = *lacks || !has;
    }
    return r < 0 ? r : query_check(&q);
}

int keyset_room(struct operations *o, int64_t now_ms, unsigned *left, int64_t *until_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_FLOORS);
    query_bind_i64(&q, 1, now_ms);
    unsigned count = 0;
    int64_t until = 0;
    int r = 0;
    while (rows_next(&q, &r)) {
        count++;
        until = query_i64(&q, 2); /* the last row's is the earliest */
    }
    r = r < 0 ? r : query_check(&q);
    if (r == 0) {
        *left = count < KEYSET_FLOORS ? KEYSET_FLOORS - count : 0;
        *until_ms = until;
    }
    return r;
}

int keyset_due(struct operations *o, int64_t now_ms, unsigned *why)
{
    doc_Keyset *own CLEANUP(freep) = malloc(sizeof(*own));
    uint64_t given = 0;
    unsigned withdrawn = 0;
    bool lacks = false;
    if (!own)
        return -ENOMEM;
    int r = keyset_own(o, own);
    if (r == 0)
        r = operations_counter(o, "keyset", &given);
    if (r == 0)
        r = lacks_floor(o, own, now_ms, &lacks);
    if (r == 0)
        r = keyset_count_withdrawn(o, own, &withdrawn);
    if (r != 0)
        return r;
    *why = (withdrawn > 0 ? KEYSET_DUE_WITHDRAWN : 0) | (lacks ? KEYSET_DUE_PARTNER : 0) |
           (given > own->sequence ? KEYSET_DUE_RESTORED : 0);
    if (now_ms >= (int64_t)(own->issued_ms + (own->ends_ms - own->issued_ms) / 2))
        *why |= KEYSET_DUE_AGE;
    for (enum key_purpose p = KEY_TLS; p <= KEY_SEALING; p++) {
        const struct keys_next *next =
            &o->keys->next[p - 1]; /* one made since these were loaded is not listed either */
        if (keys_is_prepared(o->state_dir, p) && !(next->there && keyset_lists(own, p, next->public_key, 0)))
            *why |= KEYSET_DUE_KEYS;
    }
    return 0;
}

const char *keyset_due_text(unsigned why)
{
    return why & KEYSET_DUE_WITHDRAWN  ? "a key was withdrawn, and everybody takes what it signs until then"
           : why & KEYSET_DUE_PARTNER  ? "a partner was withdrawn, which devices learn from it"
           : why & KEYSET_DUE_RESTORED ? "the database was restored, and devices refuse the keyset of before"
           : why & KEYSET_DUE_KEYS     ? "keys were made anew, and wait for it"
           : why & KEYSET_DUE_AGE      ? "half of the life of the one there is is over"
                                       : "";
}

const char *keyset_due_asks(unsigned why, bool has_root)
{
    return keyset_due_text(has_root ? why & KEYSET_DUE_WITHDRAWN : why);
}

/* That a key was withdrawn was heard after the keyset was issued (share_keyset.c). One that is in use stays in it until the operator has made another. */
static int lists_withdrawn(struct operations *o, const doc_Keyset *own, bool *yes)
{
    unsigned listed = 0;
    bool in_use = false;
    int r = keyset_count_withdrawn(o, own, &listed);
    for (enum key_purpose p = KEY_TLS; r == 0 && !in_use && p <= KEY_SEALING; p++)
        r = o->keys->next[p - 1].there ? 0 : keyset_is_withdrawn(o, keys_public(o->keys, p), &in_use);
    *yes = r == 0 && listed > 0 && !in_use && o->keys->has_root;
    return r;
}

int keyset_keep_fresh(struct operations *o, int64_t now_ms, bool *changed)
{
    doc_Keyset *own CLEANUP(freep) = malloc(sizeof(*own));
    bool due = false;
    if (own == NULL)
        return -ENOMEM;
    int r = keyset_of(o, OPERATIONS_SELF, own);
    if (r == 0 && now_ms < (int64_t)(own->issued_ms + (own->ends_ms - own->issued_ms) / 2))
        r = lists_withdrawn(o, own, &due);
    else if (r == 0)
        due = true;
    if (r < 0 || (r == 0 && !due))
        return r;
    struct keys_ages ages;
    if (r == 0)
        keys_ages_of(own, o->keys, now_ms, &ages);
    if (r == 0 && ages.of[0] != KEYS_NEWEST) /* another machine has those that are in use */
        return r;
    return keyset_issue_if_possible(o, now_ms, changed); /* without the root key what is served goes on until the end */
}

/* Those that are proposed stand in the order in which they stay: the next ones come first, and what is last falls out. */
int keyset_drops_tls(struct operations *o, unsigned more, int64_t now_ms, int64_t *until_ms)
{
    doc_Keyset *k CLEANUP(freep) = malloc(sizeof(*k));
    int r = k != NULL ? keyset_propose(o, now_ms, k) : -ENOMEM;
    if (r != 0)
        return r;
    *until_ms = 0;
    size_t stay = more < ARRAY_COUNT(k->keys) ? ARRAY_COUNT(k->keys) - more : 0;
    for (size_t i = stay; i < k->keys_count; i++)
        if (k->keys[i].purpose == KEY_TLS && (int64_t)k->keys[i].ends_ms > now_ms &&
            (int64_t)k->keys[i].ends_ms > *until_ms)
            *until_ms = (int64_t)k->keys[i].ends_ms;
    return 0;
}

int keyset_proves_older(struct operations *o, struct slice envelope, bool *yes, uint64_t *sequence)
{
    doc_Keyset *shown CLEANUP(freep) = malloc(sizeof(*shown)), *own CLEANUP(freep) = malloc(sizeof(*own));
    struct buf newest CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    struct id root;
    uint64_t given = 0;
    *yes = false;
    if (shown == NULL || own == NULL)
        return -ENOMEM;
    int r = document_open_keyset(envelope, shown, &root);
    if (r != 0 || !id_equal(&root, &o->keys->self) || !id_equal(shown->distributor, &o->keys->self))
        return r < 0 ? r : 0;
    r = operations_counter(o, "keyset", &given);
    if (r == 0)
        r = keyset_own(o, own);
    if (r == 0)
        r = keyset_current(o, &newest);
    if (r != 0)
        return r;
    /* Of one number: since it was put back it has issued its own. After `restore` numbers have leapt beyond the newest one's. */
    bool is_another = shown->sequence == given && own->sequence == given && !slice_equal(buf_slice(&newest), envelope);
    *yes = shown->sequence > given || is_another;
    *sequence = shown->sequence;
    return 0;
}
