/* Commands: stats, reload. They ask the running server over its console (console.h) where that is what it takes. One thread. */
#include <stdlib.h>

#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/endings.h"
#include "distributor/findings.h"
#include "distributor/keyset.h"
#include "distributor/measures_text.h"
#include "distributor/rows.h"

#define ANSWER_MAX (1u << 20)

/* --- stats ------------------------------------------------------------------------------------------------------- */

/* Without a server: what the database says. */
static int print_database(struct admin *a)
{
    struct measures *measures CLEANUP(freep) = malloc(sizeof(*measures));
    struct buf text CLEANUP(buf_free) = buf(ANSWER_MAX);
    struct openmetrics m;
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = measures ? measures_read(a->o, a->now_ms, measures) : -ENOMEM;
    if (r != 0)
        return admin_error(a, r, "read the database");
    openmetrics_begin(&m, &text);
    openmetrics_family(&m, "hearth_up", OPENMETRICS_GAUGE, "", "1 when these are figures of a running server.");
    openmetrics_count(&m, "", 0);
    measures_text(&m, measures);
    r = openmetrics_end(&m);
    if (r != 0)
        return admin_error(a, r > 0 ? -EMSGSIZE : r, "write the figures");
    fwrite(text.data, 1, text.len, stdout);
    return ADMIN_DONE;
}

static int print_openmetrics(struct admin *a)
{
    struct buf answer CLEANUP(buf_free) = buf(ANSWER_MAX);
    int status = 0;
    size_t body = 0;
    int r = admin_ask(a, "GET /metrics HTTP/1.1\r\nHost: console\r\n\r\n", &answer, &status, &body);
    if (admin_runs_none(r))
        return print_database(a);
    if (r != 0 || status != 200)
        return admin_error(a, r != 0 ? r : -EIO, "ask the running server");
    fwrite(answer.data + body, 1, answer.len - 1 - body, stdout);
    return ADMIN_DONE;
}

static int print_counts(struct admin *a)
{
    int r = admin_open(a);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(a->o->store, STATS);
    r = rows_one(&q);
    if (r != 0)
        return admin_error(a, r, "read the database");
    int64_t findings = 0;
    r = findings_open(a->o, &findings);
    if (r != 0)
        return admin_error(a, r, "read the database");
    struct endings *e CLEANUP(freep) = malloc(sizeof(*e));
    r = e != NULL ? endings_read(a->o, a->now_ms, e) : -ENOMEM;
    if (r != 0)
        return admin_error(a, r, "read the database");
    unsigned due = 0;
    r = keyset_due(a->o, a->now_ms, &due);
    if (r != 0)
        return admin_error(a, r, "read the database");
    const struct out_field fields[] = {
        OUT_N("accounts", query_i64(&q, 0)),
        OUT_N("devices", query_i64(&q, 1)),
        OUT_N("contents", query_i64(&q, 2)),
        OUT_N("licenses", query_i64(&q, 3)),
        OUT_N("certificates", query_i64(&q, 4)),
        OUT_N("certificates-open", query_i64(&q, 5)),
        OUT_N("partners", query_i64(&q, 6)),
        OUT_N("shared-rows", query_i64(&q, 7)),
        OUT_N("revoked-leaves", query_i64(&q, 8)),
        OUT_N("key-block-version", query_i64(&q, 9)),
        OUT_N("findings-open", findings),
        OUT_N("ending-soon", e->count + e->more),
        OUT_T("keyset-due", keyset_due_asks(due, a->keys->has_root)),
    };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_stats(struct admin *a, int argc, char **argv)
{
    struct admin_option options[] = { { .name = "openmetrics", .kind = ADMIN_FLAG } };
    int r = admin_options(a, options, ARRAY_COUNT(options), &argc, argv);
    if (r == 0 && argc != 0)
        r = admin_usage(a, "stats takes no arguments but --openmetrics");
    if (r == 0 && a->json && options[0].given)
        r = admin_usage(a, "--openmetrics is a text of its own: without --json");
    if (r != 0)
        return r;
    return options[0].given ? print_openmetrics(a) : print_counts(a);
}

/* --- reload ------------------------------------------------------------------------------------------------------ */

int admin_reload(struct admin *a, int argc, char **argv)
{
    struct buf answer CLEANUP(buf_free) = buf(ANSWER_MAX);
    int status = 0;
    size_t body = 0;
    int r = admin_options(a, NULL, 0, &argc, argv);
    if (r == 0 && argc != 0)
        r = admin_usage(a, "reload takes no arguments");
    if (r != 0)
        return r;
    r = admin_ask(a, "POST /reload HTTP/1.1\r\nHost: console\r\nContent-Length: 0\r\n\r\n", &answer, &status, &body);
    if (admin_runs_none(r))
        return admin_fail(a, REASON_OFFLINE, "No server runs on %s. Start it: hearth-distributor serve", a->state_dir);
    if (r != 0)
        return admin_error(a, r, "ask the running server");
    char *said = (char *)answer.data + body;
    said[strcspn(said, "\n")] = '\0';
    if (status != 200)
        return admin_fail(a, REASON_MALFORMED, "%s", said);
    const struct out_field fields[] = { OUT_T("reloaded", said) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}
