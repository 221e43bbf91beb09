/* Plain arithmetic over rows; who calls it holds the transaction. On the connection's thread. */
#define LOG_MODULE "reserve"
#include "distributor/reserve.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "distributor/findings.h"
#include "distributor/keyblocks.h"
#include "distributor/keyset.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_again.h"
#include "distributor/share_keyset.h"

#define MARK "restored-to" /* the file */
#define NUMBER_MAX (UINT64_C(1) << 62)

/* Counters that are no rising numbers, or leap in their own way. A prefix ends in ':'. */
static const char *const not_leaping[] = { "outbox",      "outbox-confirmed", "outbox-held",  "directory-cursor",
                                           "scrub-due",   "scrub-done",       "leaf",         "epoch",
                                           "catching-up", "skipped:",         "floor:",       "check-wanted",
                                           "check-done",  "outbox-again",     "emptied-told", "outbox-again-ms",
                                           "heard:" };

static bool leaps(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(not_leaping); i++) {
        size_t len = strlen(not_leaping[i]);
        bool is_prefix = not_leaping[i][len - 1] == ':';
        if (is_prefix ? strncmp(name, not_leaping[i], len) == 0 : strcmp(name, not_leaping[i]) == 0)
            return false;
    }
    return true;
}

static int add(struct operations *o, const char *prefix, const char *name, uint64_t more)
{
    char full[128];
    uint64_t value;
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    int r = operations_counter(o, full, &value);
    if (r == 0 && value + more > NUMBER_MAX)
        r = -EOVERFLOW;
    return r == 0 ? operations_counter_set(o, full, value + more) : r;
}

/* The name of the counter after this one. OPERATIONS_ABSENT: there is none. */
static int next_counter(struct operations *o, char name[64])
{
    struct query q CLEANUP(query_end) = query(o->store, COUNTER_AFTER);
    query_bind_text(&q, 1, name);
    int r = rows_one(&q);
    if (r == 0) {
        query_text(&q, 0, name, 64);
        r = query_check(&q);
    }
    return r;
}

static int leap_counters(struct operations *o, uint64_t leap)
{
    char name[64] = "";
    int r;
    while ((r = next_counter(o, name)) == 0) {
        if (!leaps(name))
            continue;
        r = add(o, "", name, leap);
        if (r == 0)
            r = add(o, "skipped:", name, leap);
        if (r != 0)
            return r;
    }
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static int leap_leaves(struct operations *o, uint64_t elapsed_ms)
{
    uint64_t leaf;
    int r = operations_counter(o, "leaf", &leaf);
    if (r != 0)
        return r;
    leaf += RESERVE_LEAVES_LEAST + elapsed_ms * RESERVE_LEAVES_A_SECOND / 1000;
    return leaf > UINT32_MAX ? -EOVERFLOW : operations_counter_set(o, "leaf", leaf);
}

static int newest_number(struct operations *o, enum statement statement, uint64_t *out)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    int r = rows_one(&q);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    *out = query_u64(&q, 0);
    return query_check(&q);
}

static int leap_rows(struct operations *o, uint64_t leap, uint64_t elapsed_ms)
{
    const struct {
        enum statement newest;
        const char *name;
        uint64_t leap;
    } tables[] = { { LEDGER_NEWEST, "ledger", leap },
                   { PAYMENT_NEWEST, "payment", leap },
                   { PRODUCT_NEWEST, "product",
                     RESERVE_PRODUCTS_LEAST + elapsed_ms * RESERVE_PRODUCTS_A_SECOND / 1000 } };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(tables); i++) {
        char floor[64];
        uint64_t newest = 0, before = 0;
        snprintf(floor, sizeof(floor), "floor:%s", tables[i].name);
        r = newest_number(o, tables[i].newest, &newest);
        if (r == 0)
            r = operations_counter(o, floor, &before);
        uint64_t from = newest > before ? newest : before;
        if (r == 0 && tables[i].newest == PRODUCT_NEWEST && from + tables[i].leap > UINT32_MAX)
            r = -EOVERFLOW;
        if (r == 0)
            r = operations_counter_set(o, floor, from + tables[i].leap);
        if (r == 0)
            r = add(o, "skipped:", tables[i].name, from - newest + tables[i].leap);
    }
    return r;
}

static int leap_by(struct operations *o, enum statement statement, uint64_t leap)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    query_bind_u64(&q, 1, leap);
    return rows_run(&q);
}

/* A device whose vault spoke after the copy was taken is not behind: what it said last is forgotten, how far it had come is not. */
static int forget_nonces(struct operations *o)
{
    static const uint8_t none[16];
    struct query q CLEANUP(query_end) = query(o->store, RESERVE_STANDINGS);
    query_bind_blob(&q, 1, SLICE_ARRAY(none));
    return rows_run(&q);
}

static int leap_peers(struct operations *o, uint64_t leap)
{
    int r = leap_by(o, RESERVE_SESSIONS, leap);
    if (r == 0)
        r = add(o, "floor:", "session", leap);
    if (r == 0)
        r = leap_by(o, RESERVE_ROSTERS, leap);
    if (r == 0)
        r = add(o, "floor:", "roster", leap);
    if (r == 0)
        r = leap_by(o, RESERVE_DELEGATIONS, leap);
    return r == 0 ? forget_nonces(o) : r;
}

static int end_what_may_be_used_up(struct operations *o)
{
    static const enum statement ends[] = { RESERVE_INVITES, RESERVE_LINK_CODES, RESERVE_TOKENS, RESERVE_UNLOCKS };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(ends); i++)
        r = store_run(o->store, ends[i]);
    return r > 0 ? -EUCLEAN : r;
}

/* What was paid after the copy was taken is forgotten: nobody is asked to pay it again before the operator has looked. */
static int hold_collection(struct operations *o, struct reserve_report *out)
{
    int r = operations_setting_i64(o, "collect-at", &out->collect_at);
    out->was_collecting = r == 0 && out->collect_at > 0;
    return r == 0 && out->was_collecting ? operations_setting_set(o, "collect-at", "0") : r;
}

static int catch_up(struct operations *o, int64_t now_ms, struct reserve_report *out)
{
    char url[256];
    int r = operations_setting(o, "directory-url", url, sizeof(url));
    out->catches_up = r == 0 && url[0] != '\0';
    if (r == 0 && out->catches_up)
        r = operations_counter_set(o, "catching-up", 1);
    if (r != 0)
        return r;
    return out->catches_up ? share_read_again(o, now_ms) : share_again_begin(o, now_ms);
}

int reserve_newest(struct operations *o, int64_t *ms)
{
    struct query q CLEANUP(query_end) = query(o->store, RESERVE_NEWEST);
    int r = rows_one(&q);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    *ms = query_i64(&q, 0);
    for (int column = 1; column < 4; column++)
        if (query_i64(&q, column) > *ms)
            *ms = query_i64(&q, column);
    return query_check(&q);
}

struct mark {
    int64_t made_ms;    /* when numbers leapt here the last time, by the clock of then */
    int64_t counted_ms; /* up to which time they did */
};

static int read_mark(const char *path, struct mark *out)
{
    struct buf text CLEANUP(buf_free) = buf(64);
    char copy[65] = "", *end;
    int r = file_read_regular(path, &text);
    if (r != 0)
        return r == -ENOENT ? 0 : r > 0 ? -EUCLEAN : r;
    memcpy(copy, text.data, text.len);
    struct mark m = { .made_ms = strtoll(copy, &end, 10) };
    if (end == copy || *end != ' ')
        return -EUCLEAN;
    char *second = end + 1;
    m.counted_ms = strtoll(second, &end, 10);
    if (end == second || *end != '\n' || m.made_ms < 0 || m.counted_ms < 0 || m.counted_ms > INT64_MAX / 4)
        return -EUCLEAN;
    *out = m;
    return 0;
}

static int write_mark(const char *path, const struct mark *m)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "%" PRId64 " %" PRId64 "\n", m->made_ms, m->counted_ms);
    int r = file_replace(path, slice(text, (size_t)len), 0600);
    return r > 0 ? -EIO : r;
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* The time up to which this restore counts: now, or later. */
static int counted_to(struct operations *o, const struct reserve_from *from, int64_t now_ms, int64_t *until_ms)
{
    char path[PATH_MAX];
    int64_t newest_ms = 0;
    struct mark last = { 0 };
    int r = file_join(path, sizeof(path), from->state_dir, MARK);
    if (r == 0)
        r = reserve_newest(o, &newest_ms);
    if (r == 0)
        r = read_mark(path, &last);
    if (r != 0)
        return r;
    int64_t known_ms = later(newest_ms, from->taken_ms);
    if (now_ms < known_ms && !from->clock_was_ahead)
        return -ERANGE;
    struct mark m = { now_ms, now_ms };
    if (now_ms < known_ms || now_ms < last.made_ms)
        m.counted_ms = later(known_ms, last.counted_ms) + RESERVE_CLOCK_MS;
    else if (last.made_ms > 0)
        m.counted_ms = later(now_ms, last.counted_ms + (now_ms - last.made_ms) + RESERVE_AGAIN_MS);
    r = write_mark(path, &m);
    if (r == 0)
        *until_ms = m.counted_ms;
    return r;
}

int reserve_leap(struct operations *o, const struct reserve_from *from, int64_t now_ms, struct reserve_report *out)
{
    int64_t until_ms;
    bool issued; /* without the root key the log says what to do: until then devices refuse the keyset of before */
    int r = counted_to(o, from, now_ms, &until_ms);
    if (r != 0)
        return r;
    uint64_t elapsed_ms = (uint64_t)(until_ms - from->taken_ms);
    *out = (struct reserve_report){ .leap = RESERVE_LEAST + elapsed_ms * RESERVE_A_SECOND / 1000,
                                    .taken_ms = from->taken_ms };
    r = share_keyset_begin(o);
    if (r == 0)
        r = leap_counters(o, out->leap);
    if (r == 0)
        r = leap_leaves(o, elapsed_ms);
    if (r == 0)
        r = leap_rows(o, out->leap, elapsed_ms);
    if (r == 0)
        r = leap_peers(o, out->leap);
    if (r == 0)
        r = end_what_may_be_used_up(o);
    if (r == 0)
        r = hold_collection(o, out);
    if (r == 0)
        r = catch_up(o, now_ms, out);
    if (r == 0)
        r = operations_count(o, "epoch", &out->epoch);
    if (r == 0)
        r = keyset_issue_if_possible(o, now_ms, &issued);
    if (r == 0)
        r = keyblocks_issue(o, now_ms);
    findings_settle(o, FINDING_OWN_ROWS_AHEAD, OPERATIONS_SELF); /* this is its remedy */
    if (r == 0)
        r = findings_flush(o, now_ms);
    if (r == 0)
        log_info("restored epoch=%llu leap=%llu", (unsigned long long)out->epoch, (unsigned long long)out->leap);
    return r;
}
