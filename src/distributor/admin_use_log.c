/* The command use-log: what devices brought of the use their licenses oblige them to log. One thread. */
#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/rows.h"

struct entry {
    struct id client, content;
    uint64_t number, play_ms;
    int64_t began_ms, received_ms;
    char title[128];
};

static int next(struct operations *o, const char *user, struct entry *e)
{
    struct query q CLEANUP(query_end) = query(o->store, USE_LOG_NEXT);
    query_bind_text(&q, 1, user);
    rows_bind_id(&q, 2, &e->client);
    query_bind_u64(&q, 3, e->number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    e->received_ms = query_i64(&q, 0);
    query_fixed(&q, 1, e->client.bytes, sizeof(e->client.bytes));
    e->number = query_u64(&q, 2);
    query_fixed(&q, 3, e->content.bytes, sizeof(e->content.bytes));
    e->began_ms = query_i64(&q, 4);
    e->play_ms = query_u64(&q, 5);
    e->title[0] = '\0';
    if (!query_is_null(&q, 6))
        query_text(&q, 6, e->title, sizeof(e->title));
    return query_check(&q);
}

int admin_use_log(struct admin *a, int argc, char **argv)
{
    struct out_list l;
    struct entry e = { 0 };
    int r = admin_options(a, NULL, 0, &argc, argv);
    if (r != 0)
        return r;
    if (argc != 1)
        return admin_usage(a, "use-log USER");
    r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "uses");
    while ((r = next(a->o, argv[0], &e)) == 0) {
        const struct out_field fields[] = { OUT_I("client", &e.client),       OUT_N("number", e.number),
                                            OUT_I("content", &e.content),     OUT_T("title", e.title),
                                            OUT_MS("began", e.began_ms),      OUT_N("play-ms", e.play_ms),
                                            OUT_MS("received", e.received_ms) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    if (r == OPERATIONS_ABSENT)
        return admin_list_end(a, &l, argv[0]);
    out_list_drop(&l);
    return admin_error(a, r, "list the use log");
}
