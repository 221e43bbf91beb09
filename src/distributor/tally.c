/* Small tables that are searched from their beginning: a transaction has few names, and at most as many accounts as requests. On the
 * connection's thread. */
#define LOG_MODULE "tally"
#include "distributor/tally.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/ledger.h"
#include "distributor/rows.h"

#define NUMBERS_MAX 24
#define NAME_BYTES 32
#define BALANCES_MAX 256

struct tally {
    bool open;
    struct {
        char name[NAME_BYTES];
        struct number {
            uint64_t value;
            bool there, written;
        } now;
    } numbers[NUMBERS_MAX];
    size_t number_count;
    struct {
        char account[LEDGER_ACCOUNT_BYTES];
        struct balance {
            int64_t value;
            bool there;
        } now;
    } balances[BALANCES_MAX];
    size_t balance_count;
    struct head {
        uint64_t sequence;
        uint8_t bytes[SHARE_CHAIN_BYTES];
        bool there;
    } head;
    uint64_t first_posting; /* of those whose lines were not summed yet; 0: none */
};

struct tally *tally_new(void) { return calloc(1, sizeof(struct tally)); }

void tally_free(struct tally *t) { free(t); }

static struct tally *open_one(const struct operations *o)
{
    return o->tally != NULL && o->tally->open ? o->tally : NULL;
}

/* The numbers that were needed before will be needed again. */
static void ask_numbers(struct operations *o, const struct tally *t)
{
    for (size_t i = 0; i < t->number_count; i++) {
        struct query q CLEANUP(query_end) = query(o->store, COUNTER_GET);
        query_bind_text(&q, 1, t->numbers[i].name);
        query_ahead(&q);
    }
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_LAST);
    query_ahead(&q);
}

void tally_begin(struct operations *o)
{
    tally_end(o);
    if (o->tally == NULL)
        return;
    o->tally->open = true;
    if (store_asks_ahead(o->store))
        ask_numbers(o, o->tally);
}

void tally_end(struct operations *o)
{
    struct tally *t = o->tally;
    if (t == NULL)
        return;
    t->open = t->head.there = false;
    for (size_t i = 0; i < t->number_count; i++)
        t->numbers[i].now.there = false;
    t->balance_count = 0;
    t->first_posting = 0;
}

/* --- Numbers ------------------------------------------------------------------------------------------------------- */

static size_t find_number(const struct tally *t, const char *name)
{
    size_t i = 0;
    while (i < t->number_count && strcmp(t->numbers[i].name, name) != 0)
        i++;
    return i;
}

bool tally_number(const struct operations *o, const char *name, uint64_t *out)
{
    const struct tally *t = open_one(o);
    size_t i = t != NULL ? find_number(t, name) : 0;
    if (t == NULL || i == t->number_count || !t->numbers[i].now.there)
        return false;
    *out = t->numbers[i].now.value;
    return true;
}

int tally_set_number(struct operations *o, const char *name, uint64_t value, bool written)
{
    struct tally *t = open_one(o);
    size_t i = t != NULL ? find_number(t, name) : 0;
    if (t == NULL || (i == t->number_count && (i == NUMBERS_MAX || strlen(name) >= NAME_BYTES)))
        return OPERATIONS_ABSENT;
    if (i == t->number_count) {
        memcpy(t->numbers[i].name, name, strlen(name) + 1);
        t->numbers[i].now = (struct number){ .written = true };
        t->number_count++;
    }
    int r = store_keep(o->store, &t->numbers[i].now, sizeof(t->numbers[i].now));
    if (r == 0)
        t->numbers[i].now = (struct number){ .value = value, .there = true, .written = written };
    return r;
}

static int write_number(struct operations *o, const char *name, uint64_t value)
{
    struct query q CLEANUP(query_end) = query(o->store, COUNTER_SET);
    query_bind_text(&q, 1, name);
    query_bind_u64(&q, 2, value);
    return rows_later(&q);
}

static int write_numbers(struct operations *o, struct tally *t)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < t->number_count; i++) {
        struct number *n = &t->numbers[i].now;
        if (!n->there || n->written)
            continue;
        r = write_number(o, t->numbers[i].name, n->value);
        n->written = r == 0;
    }
    return r;
}

/* --- Balances ------------------------------------------------------------------------------------------------------ */

static size_t find_balance(const struct tally *t, const char *account)
{
    size_t i = 0;
    while (i < t->balance_count && strcmp(t->balances[i].account, account) != 0)
        i++;
    return i;
}

bool tally_balance(const struct operations *o, const char *account, int64_t *out)
{
    const struct tally *t = open_one(o);
    size_t i = t != NULL ? find_balance(t, account) : 0;
    if (t == NULL || i == t->balance_count || !t->balances[i].now.there)
        return false;
    *out = t->balances[i].now.value;
    return true;
}

int tally_set_balance(struct operations *o, const char *account, int64_t balance)
{
    struct tally *t = open_one(o);
    size_t i = t != NULL ? find_balance(t, account) : 0;
    if (t == NULL || (i == t->balance_count && i == BALANCES_MAX))
        return 0; /* it is read again */
    if (i == t->balance_count) {
        memcpy(t->balances[i].account, account, strlen(account) + 1);
        t->balances[i].now.there = false;
        t->balance_count++;
    }
    int r = store_keep(o->store, &t->balances[i].now, sizeof(t->balances[i].now));
    if (r == 0)
        t->balances[i].now = (struct balance){ .value = balance, .there = true };
    return r;
}

void tally_forget_balances(struct operations *o)
{
    struct tally *t = open_one(o);
    for (size_t i = 0; t != NULL && i < t->balance_count; i++)
        t->balances[i].now.there = false;
}

/* --- The outbox's head --------------------------------------------------------------------------------------------- */

bool tally_head(const struct operations *o, uint64_t sequence, uint8_t out[SHARE_CHAIN_BYTES])
{
    const struct tally *t = open_one(o);
    if (t == NULL || !t->head.there || t->head.sequence != sequence)
        return false;
    memcpy(out, t->head.bytes, SHARE_CHAIN_BYTES);
    return true;
}

int tally_set_head(struct operations *o, uint64_t sequence, const uint8_t head[SHARE_CHAIN_BYTES])
{
    struct tally *t = open_one(o);
    int r = t != NULL ? store_keep(o->store, &t->head, sizeof(t->head)) : OPERATIONS_ABSENT;
    if (r != 0)
        return r < 0 ? r : 0;
    t->head.sequence = sequence;
    t->head.there = true;
    memcpy(t->head.bytes, head, SHARE_CHAIN_BYTES);
    return 0;
}

/* --- Postings ------------------------------------------------------------------------------------------------------ */

int tally_posted(struct operations *o, uint64_t posting)
{
    struct tally *t = open_one(o);
    if (t == NULL)
        return OPERATIONS_ABSENT;
    if (t->first_posting != 0) /* numbers rise */
        return 0;
    int r = store_keep(o->store, &t->first_posting, sizeof(t->first_posting));
    if (r == 0)
        t->first_posting = posting;
    return r;
}

/* As the database has it: not everyone's triggers keep the ledger even. */
static int prove_even(struct operations *o, struct tally *t)
{
    if (t->first_posting == 0)
        return 0;
    struct query q CLEANUP(query_end) = query(o->store, POSTING_UNEVEN);
    query_bind_u64(&q, 1, t->first_posting);
    int r = rows_one(&q);
    if (r == 0)
        log_error("a posting is not even: nothing of its transaction is kept number=%llu",
                  (unsigned long long)query_u64(&q, 0));
    if (r == OPERATIONS_ABSENT)
        t->first_posting = 0;
    return r == OPERATIONS_ABSENT ? 0 : r == 0 ? -EUCLEAN : r;
}

int tally_write(struct operations *o)
{
    struct tally *t = open_one(o);
    int r = t != NULL ? write_numbers(o, t) : 0;
    return r == 0 && t != NULL ? prove_even(o, t) : r;
}
