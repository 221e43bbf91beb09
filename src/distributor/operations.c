/* Opening and creating the operations database; settings, counters, distributors, periodic work.
 * Runs on whichever thread owns the connection. */
#define LOG_MODULE "operations"
#include "distributor/operations.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/copies.h"
#include "distributor/database.h"
#include "distributor/erase.h"
#include "distributor/findings.h"
#include "distributor/keyblocks.h"
#include "distributor/keyset.h"
#include "distributor/late.h"
#include "distributor/operations_schema.h"
#include "distributor/program_history.h"
#include "distributor/rotation.h"
#include "distributor/rows.h"
#include "distributor/settlements.h"
#include "distributor/share_chain.h"
#include "distributor/share_empty.h"
#include "distributor/storage.h"
#include "distributor/tally.h"
#include "distributor/verified.h"

#define KNOWN_PLACES 4096 /* rows on their way to the directory and back, receipts that both ends bring */

static const struct {
    const char *name, *value;
} defaults[] = {
    { "name", "" },
    { "currency", "EUR" },
    { "listen", "0.0.0.0:7700" },
    { "address", "" },
    { "directory", "no" },
    { "directory-url", "" },
    { "registration", "invite" },
    { "credit-limit", "5000" },
    { "devices-per-account", "10" },
    { "login-policy", "device-key" },
    { "login-days", "30" },
    { "certificate-days", "7" },
    { "compare-every", "600" },
    { "directory-patience", "120" },
    { "key-block-kind", "auto" },
    { "move-charged", "no" },
    { "copy-charged", "source" },
    { "pay-within-days", "0" },
    { "payment-command", "" },
    { "payment-timeout", "60" },
    { "collect-at", "0" },
    { "settlement-days", "0" },
    { OPERATIONS_GONE_TO, "" },
    { OPERATIONS_NOT_COMPLETE, "" },
};

/* --- Settings ---------------------------------------------------------------------------------------------------- */

static const char *default_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(defaults); i++)
        if (strcmp(defaults[i].name, name) == 0)
            return defaults[i].value;
    return NULL;
}

int operations_setting(struct operations *o, const char *name, char *out, size_t cap)
{
    const char *otherwise = default_of(name);
    if (!otherwise)
        return -EINVAL;
    struct query q CLEANUP(query_end) = query(o->store, SETTING_GET);
    query_bind_text(&q, 1, name);
    int r = rows_one(&q);
    if (r == OPERATIONS_ABSENT) {
        snprintf(out, cap, "%s", otherwise);
        return 0;
    }
    if (r == 0)
        query_text(&q, 0, out, cap);
    return r != 0 ? r : query_check(&q);
}

int operations_setting_i64(struct operations *o, const char *name, int64_t *out)
{
    char text[32], *end;
    int r = operations_setting(o, name, text, sizeof(text));
    if (r != 0)
        return r;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        return -EUCLEAN;
    *out = v;
    return 0;
}

int operations_setting_set(struct operations *o, const char *name, const char *value)
{
    if (!default_of(name))
        return -EINVAL;
    struct query q CLEANUP(query_end) = query(o->store, SETTING_SET);
    query_bind_text(&q, 1, name);
    query_bind_text(&q, 2, value);
    return rows_run(&q);
}

static int write_counter(struct operations *o, const char *name, uint64_t value)
{
    struct query q CLEANUP(query_end) = query(o->store, COUNTER_SET);
    query_bind_text(&q, 1, name);
    query_bind_u64(&q, 2, value);
    return rows_later(&q);
}

int operations_count(struct operations *o, const char *name, uint64_t *out)
{
    uint64_t last;
    int r = operations_counter(o, name, &last);
    if (r == 0 && __builtin_add_overflow(last, 1, &last))
        r = -EOVERFLOW;
    if (r == 0)
        r = tally_set_number(o, name, last, false);
    if (r == OPERATIONS_ABSENT)
        r = write_counter(o, name, last);
    if (r == 0)
        *out = last;
    return r;
}

int operations_counter(struct operations *o, const char *name, uint64_t *out)
{
    if (tally_number(o, name, out))
        return 0;
    struct query q CLEANUP(query_end) = query(o->store, COUNTER_GET);
    query_bind_text(&q, 1, name);
    int r = rows_one(&q);
    *out = r == 0 ? query_u64(&q, 0) : 0;
    return r == OPERATIONS_ABSENT ? 0 : r != 0 ? r : query_check(&q);
}

int operations_counter_set(struct operations *o, const char *name, uint64_t value)
{
    int r = write_counter(o, name, value);
    if (r == 0)
        r = tally_set_number(o, name, value, true);
    return r == OPERATIONS_ABSENT ? 0 : r;
}

/* --- Distributors ------------------------------------------------------------------------------------------------ */

int operations_distributor(struct operations *o, const struct id *id, int64_t *number)
{
    struct query q CLEANUP(query_end) = query(o->store, DISTRIBUTOR_FIND);
    rows_bind_id(&q, 1, id);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *number = query_i64(&q, 0);
    return query_check(&q);
}

int operations_distributor_get(struct operations *o, int64_t number, struct id *id, char *name, size_t cap)
{
    struct query q CLEANUP(query_end) = query(o->store, DISTRIBUTOR_GET);
    query_bind_i64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    query_fixed(&q, 0, id->bytes, sizeof(id->bytes));
    if (name)
        query_text(&q, 1, name, cap);
    return query_check(&q);
}

int operations_distributor_add(struct operations *o, const struct id *id, const char *name, int64_t *number)
{
    int r = operations_distributor(o, id, number);
    if (r != OPERATIONS_ABSENT)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, DISTRIBUTOR_ADD);
    rows_bind_id(&q, 1, id);
    query_bind_text(&q, 2, name);
    r = rows_one(&q);
    if (r == 0)
        *number = query_i64(&q, 0);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r != 0 ? r : query_check(&q);
}

/* --- Opening ----------------------------------------------------------------------------------------------------- */

static int open_store(struct operations **out, const char *state_dir, const struct keys *keys, const struct rng *rng,
                      unsigned flags, bool create)
{
    struct operations *o CLEANUP(operations_closep) = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->keys = keys;
    o->rng = rng;
    o->verified = verified_new();
    o->known = known_new(KNOWN_PLACES);
    if (!o->verified || !o->known)
        return -ENOMEM;
    if ((size_t)snprintf(o->state_dir, sizeof(o->state_dir), "%s", state_dir) >= sizeof(o->state_dir))
        return -ENAMETOOLONG;
    static const struct {
        unsigned operations, store;
    } meanings[] = { { OPERATIONS_READ_ONLY, STORE_READ_ONLY },
                     { OPERATIONS_NO_AUTO_CHECKPOINT, STORE_NO_AUTO_CHECKPOINT } };
    o->schema = operations_schema;
    for (size_t i = 0; i < ARRAY_COUNT(meanings); i++)
        o->schema.flags |= flags & meanings[i].operations ? meanings[i].store : 0;
    int r = database_open(&o->store, state_dir, &o->schema, create);
    if (r != 0)
        return r;
    *out = steal(&o);
    return 0;
}

/* Tables, and no distributor: an empty file under the database's name, or another database than it was. */
static bool is_empty(struct operations *o)
{
    struct query q CLEANUP(query_end) = query(o->store, DISTRIBUTOR_GET);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    return query_one(&q) == STORE_ABSENT;
}

int operations_judge_place(struct operations *o)
{
    char gone[STORE_PG_DATABASE_BYTES], incomplete[8];
    int r = operations_setting(o, OPERATIONS_GONE_TO, gone, sizeof(gone));
    if (r == 0)
        r = operations_setting(o, OPERATIONS_NOT_COMPLETE, incomplete, sizeof(incomplete));
    if (r != 0)
        return r;
    if (gone[0] != '\0')
        log_error("this database has moved, and does not count any more: to=%s", gone);
    else if (incomplete[0] != '\0')
        log_error("this database was not moved here completely, and does not count yet");
    return gone[0] != '\0' || incomplete[0] != '\0' ? OPERATIONS_MOVED : 0;
}

int operations_open(struct operations **out, const char *state_dir, const struct keys *keys, const struct rng *rng,
                    unsigned flags)
{
    struct operations *o CLEANUP(operations_closep) = NULL;
    int r = open_store(&o, state_dir, keys, rng, flags, false);
    if (r != 0)
        return r;
    struct id self;
    r = is_empty(o) ? -ENOENT : operations_distributor_get(o, OPERATIONS_SELF, &self, o->name, sizeof(o->name));
    if (r == 0)
        r = operations_setting(o, "currency", o->currency, sizeof(o->currency));
    if (r == 0 && !(flags & OPERATIONS_ANY_PLACE))
        r = operations_judge_place(o);
    if (r != 0)
        return r;
    if (!id_equal(&self, &keys->self)) {
        log_error("keys and database are of different distributors: state=%s", state_dir);
        return -EUCLEAN;
    }
    r = storage_open(o);
    if (r != 0)
        return r;
    *out = steal(&o);
    return 0;
}

void operations_close(struct operations *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(o->blocks); i++) {
        ekb_deinit(&o->blocks[i].ekb);
        ekb_parts_deinit(&o->blocks[i].parts);
    }
    late_free(o->late);
    tally_free(o->tally);
    program_history_close(o->history);
    store_close(o->store);
    free(o->touched);
    findings_drop(o);
    verified_free(o->verified);
    known_free(o->known);
    free(o);
}

void operations_closep(struct operations **o)
{
    operations_close(*o);
    *o = NULL;
}

/* --- Creating ---------------------------------------------------------------------------------------------------- */

static bool is_currency(const char *s)
{
    return strlen(s) == 3 && isupper((unsigned char)s[0]) && isupper((unsigned char)s[1]) &&
           isupper((unsigned char)s[2]);
}

static bool is_name(const char *s)
{
    char safe[OPERATIONS_NAME_BYTES];
    return *s && strlen(s) < sizeof(safe) && strcmp(text_safe(s, safe, sizeof(safe)), s) == 0;
}

bool operations_new_is_valid(const struct operations_new *n) { return is_name(n->name) && is_currency(n->currency); }

static int fill_new(struct operations *o, const struct operations_new *n)
{
    int64_t number = 0;
    int r = operations_distributor_add(o, &o->keys->self, n->name, &number);
    if (r != 0 || number != OPERATIONS_SELF)
        return r != 0 ? r : OPERATIONS_TAKEN;
    const struct {
        const char *name, *value;
    } settings[] = { { "name", n->name },
                     { "currency", n->currency },
                     { "listen", n->listen },
                     { "address", n->address },
                     { "directory", n->directory ? "yes" : "no" } };
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(settings); i++)
        r = operations_setting_set(o, settings[i].name, settings[i].value);
    if (r == 0)
        r = share_empty_begin(o);
    if (r == 0)
        r = storage_begin(o);
    if (r == 0)
        r = keyset_issue(o, n->now_ms);
    if (r == 0)
        r = keyblocks_issue(o, n->now_ms);
    return r;
}

int operations_create(const char *state_dir, const struct keys *keys, const struct rng *rng,
                      const struct operations_new *n)
{
    if (!operations_new_is_valid(n))
        return -EINVAL;
    struct operations *o CLEANUP(operations_closep) = NULL;
    int r = open_store(&o, state_dir, keys, rng, 0, true);
    if (r != 0)
        return r;
    snprintf(o->name, sizeof(o->name), "%s", n->name);
    snprintf(o->currency, sizeof(o->currency), "%s", n->currency);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    r = transaction_begin(&t, o->store);
    int64_t number;
    if (r == 0 && operations_distributor(o, &keys->self, &number) == 0)
        r = -EEXIST;
    if (r == 0)
        r = fill_new(o, n);
    if (r == 0)
        r = transaction_commit(&t);
    int used = r == 0 || r == -EEXIST ? keys_used(state_dir) : 0;
    return r == 0 ? used : r;
}

/* --- Periodic work ----------------------------------------------------------------------------------------------- */

static int purge(struct operations *o, enum statement statement, int64_t before_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    query_bind_i64(&q, 1, before_ms);
    return rows_run(&q);
}

int operations_tick(struct operations *o, int64_t now_ms, bool *keyset_changed)
{
    bool changed = false;
    int r = keyset_keep_fresh(o, now_ms, &changed);
    if (r == 0)
        r = keyblocks_replace_unreadable(o, now_ms);
    if (r == 0)
        r = rotation_sign_again(o, now_ms);
    if (r == 0)
        r = copies_end_overdue(o, now_ms);
    if (r == 0)
        r = settlements_make_due(o, now_ms);
    if (r == 0)
        r = purge(o, INVITE_PURGE, now_ms);
    if (r == 0)
        r = purge(o, LINK_CODE_PURGE, now_ms);
    if (r == 0)
        r = purge(o, TOKEN_PURGE, now_ms);
    if (r == 0)
        r = purge(o, SPENDING_LOCK_PURGE, now_ms);
    if (r == 0)
        r = purge(o, QUEUE_PURGE, now_ms);
    if (r == 0)
        r = erase_tick(o, now_ms);
    if (r == 0)
        r = share_chain_fill(o);
    if (r == 0)
        r = share_empty_tell_before(o);
    if (r == 0)
        *keyset_changed = changed;
    return r;
}
