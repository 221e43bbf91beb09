/* Spending limits: rows, sums over the ledger, the requests UNLOCK_SPENDING and LIMIT_SET. PINs were hashed on the pool before (login.h).
 * On the connection's thread. Source: seed S76-S78 (credit); design section 6 (billing). */
#include "distributor/spending.h"

#include <stdio.h>
#include <time.h>

#include "crypto/password.h"
#include "distributor/billing.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

#define AMOUNT_MAX INT64_C(100000000000000)

/* --- What is spent ----------------------------------------------------------------------------------------------- */

int64_t spending_period_start_ms(enum spending_period period, int64_t now_ms)
{
    time_t now = (time_t)(now_ms / 1000);
    struct tm tm;
    if (gmtime_r(&now, &tm) == NULL)
        return 0;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    if (period == SPENDING_MONTH)
        tm.tm_mday = 1;
    return (int64_t)timegm(&tm) * 1000;
}

static int sum_spent(struct operations *o, const char *user, int64_t since_ms, int64_t *spent)
{
    struct query q CLEANUP(query_end) = query(o->store, SPENDING_SUM);
    query_bind_text(&q, 1, user);
    query_bind_i64(&q, 2, since_ms);
    int r = rows_one(&q);
    *spent = r == 0 ? query_i64(&q, 0) : 0;
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r != 0 ? r : query_check(&q);
}

static int unlocked_until(struct operations *o, const char *user, const struct id *client, int64_t now_ms, int64_t *ms)
{
    *ms = 0;
    if (client == NULL)
        return 0;
    struct query q CLEANUP(query_end) = query(o->store, SPENDING_UNLOCK_GET);
    rows_bind_id(&q, 1, client);
    query_bind_text(&q, 2, user);
    query_bind_i64(&q, 3, now_ms);
    int r = rows_one(&q);
    if (r == 0)
        *ms = query_i64(&q, 0);
    return r == OPERATIONS_ABSENT ? 0 : r != 0 ? r : query_check(&q);
}

int spending_find(struct operations *o, const char *user, const struct id *client, int64_t now_ms, struct spending *out)
{
    {
        struct query q CLEANUP(query_end) = query(o->store, SPENDING_GET);
        query_bind_text(&q, 1, user);
        int r = rows_one(&q);
        if (r != 0)
            return r;
        out->amount = query_i64(&q, 0);
        out->period = (enum spending_period)query_u32(&q, 1);
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    int r = sum_spent(o, user, spending_period_start_ms(out->period, now_ms), &out->spent);
    return r == 0 ? unlocked_until(o, user, client, now_ms, &out->unlocked_until_ms) : r;
}

int spending_judge(struct operations *o, const char *user, int64_t price, int64_t now_ms, struct reply *out)
{
    struct spending s;
    int64_t after;
    char limit[BILLING_MONEY_BYTES], spent[BILLING_MONEY_BYTES];
    int r = spending_find(o, user, o->asking != NULL ? &o->asking->client : NULL, now_ms, &s);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    if (s.unlocked_until_ms > 0 || (!__builtin_add_overflow(s.spent, price, &after) && after <= s.amount))
        return 0;
    if (out == NULL)
        return REASON_SPENDING_LIMIT;
    return reply_refuse(out, REASON_SPENDING_LIMIT, "%s: the account's own limit is %s a %s, of which %s is spent.",
                        o->name, billing_money(o, s.amount, limit), s.period == SPENDING_DAY ? "day" : "month",
                        billing_money(o, s.spent, spent));
}

/* --- Rows -------------------------------------------------------------------------------------------------------- */

int spending_pin_hash(struct operations *o, const char *user, char *out, size_t cap)
{
    struct query q CLEANUP(query_end) = query(o->store, SPENDING_GET);
    query_bind_text(&q, 1, user);
    int r = rows_one(&q);
    if (r == 0)
        query_text(&q, 2, out, cap);
    else if (r == OPERATIONS_ABSENT)
        out[0] = '\0';
    return r == OPERATIONS_ABSENT ? 0 : r != 0 ? r : query_check(&q);
}

static int delete_of(struct operations *o, enum statement statement, const char *user)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    query_bind_text(&q, 1, user);
    return rows_run(&q);
}

int spending_lock_device(struct operations *o, const struct id *client)
{
    struct query q CLEANUP(query_end) = query(o->store, SPENDING_LOCK);
    rows_bind_id(&q, 1, client);
    return rows_run(&q);
}

/* hash NULL: as it is. */
static int put(struct operations *o, const char *user, const msg_LimitSet *m, const char *hash, int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, hash != NULL ? SPENDING_SET : SPENDING_SET_AMOUNT);
    query_bind_text(&q, 1, user);
    query_bind_i64(&q, 2, m->amount);
    query_bind_i64(&q, 3, m->period);
    query_bind_i64(&q, 4, now_ms);
    if (hash != NULL)
        query_bind_text(&q, 5, hash);
    return rows_run(&q);
}

/* --- LIMIT_SET --------------------------------------------------------------------------------------------------- */

static bool is_pin(const char *pin)
{
    size_t len = strlen(pin);
    return len >= SPENDING_PIN_MIN && len <= SPENDING_PIN_MAX && strspn(pin, "0123456789") == len;
}

static int judge_limit(const struct caller *who, const msg_LimitSet *m, bool exists, struct reply *out)
{
    if (exists && !who->password_ok)
        return m->password ? REASON_BAD_CREDENTIALS : REASON_WRONG_PIN;
    if (m->password && !who->password_ok)
        return REASON_BAD_CREDENTIALS;
    if (m->amount < 0)
        return exists ? 0 : REASON_NOT_FOUND;
    if (m->amount > AMOUNT_MAX || (m->period != SPENDING_DAY && m->period != SPENDING_MONTH))
        return REASON_MALFORMED;
    if (!exists && m->pin[0] == '\0')
        return reply_refuse(out, REASON_NOT_PERMITTED, "A limit needs a PIN.");
    if (m->pin[0] != '\0' && !is_pin(m->pin))
        return reply_refuse(out, REASON_NOT_PERMITTED, "A PIN has %d to %d digits.", SPENDING_PIN_MIN,
                            SPENDING_PIN_MAX);
    return m->pin[0] != '\0' && who->password_hash == NULL ? -EINVAL : 0;
}

static int set_limit(struct operations *o, const struct caller *who, const msg_LimitSet *m, struct reply *out)
{
    struct device d;
    struct spending before;
    int r = devices_caller(o, who, &d);
    if (r == 0)
        r = spending_find(o, d.user, NULL, who->now_ms, &before);
    if (r != 0 && r != OPERATIONS_ABSENT)
        return r;
    r = judge_limit(who, m, r == 0, out);
    if (r == 0) /* whatever was unlocked was unlocked under the old one */
        r = delete_of(o, SPENDING_LOCK_USER, d.user);
    if (r == 0 && m->amount < 0)
        r = delete_of(o, SPENDING_DELETE, d.user);
    else if (r == 0)
        r = put(o, d.user, m, m->pin[0] != '\0' ? who->password_hash : NULL, who->now_ms);
    if (r != 0)
        return r;
    return reply_ok(out);
}

int spending_set(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                 struct reply *out)
{
    (void)tail;
    msg_LimitSet m;
    int r = REQUEST_DECODE(message, msg_LimitSet, &m);
    if (r == 0)
        r = set_limit(o, who, &m, out);
    secret_wipe(&m, sizeof(m));
    return r;
}

/* --- UNLOCK_SPENDING --------------------------------------------------------------------------------------------- */

int spending_account(struct operations *o, const struct id *client, const char *named, char user[OPERATIONS_NAME_BYTES])
{
    struct device d;
    char only[OPERATIONS_NAME_BYTES];
    int r = devices_find_own(o, client, &d);
    if (r == OPERATIONS_ABSENT && named[0] == '\0') {
        r = requests_user_of(o, client, only);
        if (r != 0)
            return r;
        named = only;
        r = OPERATIONS_ABSENT;
    }
    if (r == OPERATIONS_ABSENT && named[0] != '\0')
        r = devices_find_in_household(o, OPERATIONS_SELF, named, client, &d);
    else if (r == 0 && named[0] != '\0' && strcmp(named, d.user) != 0)
        r = OPERATIONS_ABSENT;
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_REGISTERED : r;
    snprintf(user, OPERATIONS_NAME_BYTES, "%s", named[0] != '\0' ? named : d.user);
    return d.revoked ? REASON_DEVICE_REVOKED : 0;
}

int spending_unlock(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                    struct reply *out)
{
    (void)tail;
    msg_UnlockSpending m;
    char user[OPERATIONS_NAME_BYTES];
    struct spending s;
    int r = REQUEST_DECODE(message, msg_UnlockSpending, &m);
    secret_wipe(m.pin, sizeof(m.pin));
    if (r == 0)
        r = spending_account(o, &who->client, m.user, user);
    if (r == 0)
        r = spending_find(o, user, NULL, who->now_ms, &s);
    if (r == OPERATIONS_ABSENT)
        return reply_refuse(out, REASON_NOT_FOUND, "The account has no spending limit.");
    if (r != 0)
        return r;
    if (!who->password_ok)
        return REASON_WRONG_PIN;
    struct query q CLEANUP(query_end) = query(o->store, SPENDING_UNLOCK);
    rows_bind_id(&q, 1, &who->client);
    query_bind_text(&q, 2, user);
    query_bind_i64(&q, 3, who->now_ms + SPENDING_UNLOCK_MS);
    r = rows_run(&q);
    return r == 0 ? reply_ok(out) : r;
}
