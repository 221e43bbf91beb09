/* Gathered in operations.findings, one for each kind and distributor; written to the table `finding`. */
#define LOG_MODULE "findings"
#include "distributor/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/rows.h"

#define GATHERED_MAX 256 /* what is more is noted when it is found again */

struct finding_note {
    enum finding what;
    int64_t distributor;
    bool settled;
    uint32_t count;
    char text[FINDING_TEXT_BYTES];
};

static const char *const codes[FINDING_COUNT] = {
    [FINDING_ROWS_MISSING] = "rows-missing",
    [FINDING_ROWS_DIFFER] = "rows-differ",
    [FINDING_ROWS_TAKEN_BACK] = "rows-taken-back",
    [FINDING_ROWS_TOO_MANY] = "rows-too-many",
    [FINDING_ROWS_HIDDEN] = "rows-hidden",
    [FINDING_ORIGIN_WENT_BACK] = "origin-went-back",
    [FINDING_ROW_REFUSED] = "row-refused",
    [FINDING_DIRECTORY_WITHHOLDS] = "directory-withholds",
    [FINDING_DIRECTORY_CHANGED] = "directory-changed",
    [FINDING_DIRECTORY_LOST] = "directory-lost-rows",
    [FINDING_DIRECTORY_REPEATS] = "directory-repeats",
    [FINDING_OWN_ROWS_AHEAD] = "own-rows-ahead",
    [FINDING_KEYSET_DIFFERS] = "keyset-differs",
    [FINDING_KEYSET_OLDER] = "keyset-older",
    [FINDING_BEYOND_DELEGATION] = "beyond-delegation",
};

const char *finding_code(enum finding what) { return codes[what]; }

static struct finding_note *slot_of(struct operations *o, enum finding what, int64_t distributor)
{
    for (size_t i = 0; i < o->finding_count; i++)
        if (o->findings[i].what == what && o->findings[i].distributor == distributor)
            return &o->findings[i];
    if (o->finding_count == GATHERED_MAX)
        return NULL;
    struct finding_note *grown = reallocarray(o->findings, o->finding_count + 1, sizeof(*grown));
    if (grown == NULL)
        return NULL;
    o->findings = grown;
    struct finding_note *n = &grown[o->finding_count++];
    *n = (struct finding_note){ .what = what, .distributor = distributor };
    return n;
}

void findings_note(struct operations *o, enum finding what, int64_t distributor, const char *format, ...)
{
    struct finding_note *n = slot_of(o, what, distributor);
    if (n == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(n->text, sizeof(n->text), format, arguments);
    va_end(arguments);
    n->settled = false;
    n->count += n->count < UINT32_MAX;
}

void findings_settle(struct operations *o, enum finding what, int64_t distributor)
{
    struct finding_note *n = slot_of(o, what, distributor);
    if (n != NULL)
        n->settled = true;
}

void findings_drop(struct operations *o)
{
    free(o->findings);
    o->findings = NULL;
    o->finding_count = 0;
}

/* --- The table ----------------------------------------------------------------------------------------------------- */

static int settle(struct operations *o, const struct finding_note *n, int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, FINDING_SETTLE);
    query_bind_text(&q, 1, codes[n->what]);
    query_bind_i64(&q, 2, n->distributor);
    query_bind_i64(&q, 3, now_ms);
    return rows_run(&q);
}

/* *fresh: it was not so before. */
static int is_fresh(struct operations *o, const struct finding_note *n, bool *fresh)
{
    struct query q CLEANUP(query_end) = query(o->store, FINDING_GET);
    query_bind_text(&q, 1, codes[n->what]);
    query_bind_i64(&q, 2, n->distributor);
    int r = rows_one(&q);
    *fresh = r == OPERATIONS_ABSENT || (r == 0 && !query_is_null(&q, 0));
    return r == OPERATIONS_ABSENT ? 0 : r != 0 ? r : query_check(&q);
}

static int write_note(struct operations *o, const struct finding_note *n, int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, FINDING_SET);
    query_bind_text(&q, 1, codes[n->what]);
    query_bind_i64(&q, 2, n->distributor);
    query_bind_text(&q, 3, n->text);
    query_bind_i64(&q, 4, now_ms);
    query_bind_i64(&q, 5, n->count);
    return rows_run(&q);
}

static int flush_one(struct operations *o, const struct finding_note *n, int64_t now_ms)
{
    bool fresh = false;
    char name[OPERATIONS_NAME_BYTES] = "";
    struct id id;
    int r = operations_distributor_get(o, n->distributor, &id, name, sizeof(name));
    if (r == -EUCLEAN) /* found out about somebody whose row was taken back */
        return 0;
    if (r == 0 && n->count > 0)
        r = is_fresh(o, n, &fresh);
    if (r == 0 && n->count > 0)
        r = write_note(o, n, now_ms);
    if (r == 0 && fresh) /* its operator is told once, not every time it is seen */
        log_warn("found finding=%s distributor=%s: %s", codes[n->what], name, n->text);
    return r == 0 && n->settled ? settle(o, n, now_ms) : r;
}

int findings_flush(struct operations *o, int64_t now_ms)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < o->finding_count; i++)
        r = flush_one(o, &o->findings[i], now_ms);
    if (r == 0)
        findings_drop(o);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

int findings_next(struct operations *o, struct finding_row *row)
{
    struct finding_row read = { 0 };
    struct query q CLEANUP(query_end) = query(o->store, FINDING_NEXT);
    query_bind_i64(&q, 1, row->distributor);
    query_bind_text(&q, 2, row->code);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_text(&q, 0, read.code, sizeof(read.code));
    read.distributor = query_i64(&q, 1);
    query_text(&q, 2, read.text, sizeof(read.text));
    read.first_ms = query_i64(&q, 3);
    read.last_ms = query_i64(&q, 4);
    read.count = query_i64(&q, 5);
    read.settled_ms = query_is_null(&q, 6) ? 0 : query_i64(&q, 6);
    query_text(&q, 7, read.name, sizeof(read.name));
    query_fixed(&q, 8, read.id.bytes, ID_BYTES);
    r = query_check(&q);
    if (r == 0)
        *row = read;
    return r;
}

int findings_open(struct operations *o, int64_t *count)
{
    struct query q CLEANUP(query_end) = query(o->store, FINDING_OPEN);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    *count = query_i64(&q, 0);
    return query_check(&q);
}
