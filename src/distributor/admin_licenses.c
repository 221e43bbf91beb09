/* The command license: what was sold to whom, for the customer who calls. One thread. */
#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/licenses.h"
#include "distributor/rows.h"

static const char *const states[] = {
    [LICENSE_LIVE] = "live",       [LICENSE_MOVING] = "moving",     [LICENSE_GONE] = "moved-away",
    [LICENSE_REVOKED] = "revoked", [LICENSE_REFUNDED] = "refunded", [LICENSE_RETURNED] = "returned",
    [LICENSE_LENT] = "lent"
};

/* A license as the newest edition says it, and what that one cost. */
struct row {
    uint64_t sequence, entry; /* entry: on the bill; 0: nothing was charged for it */
    struct id client, content;
    char account[OPERATIONS_NAME_BYTES], title[128], device[OPERATIONS_NAME_BYTES];
    uint32_t product, state;
    int64_t issued_ms, price, downloaded_ms; /* downloaded: when the device was last given the content; 0: never */
};

static int next(struct operations *o, const char *user, struct row *out)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_NEXT);
    query_bind_u64(&q, 1, out->sequence);
    if (user != NULL)
        query_bind_text(&q, 2, user);
    else
        query_bind_null(&q, 2);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    out->sequence = query_u64(&q, 0);
    query_fixed(&q, 1, out->client.bytes, sizeof(out->client.bytes));
    query_fixed(&q, 2, out->content.bytes, sizeof(out->content.bytes));
    query_text(&q, 3, out->account, sizeof(out->account));
    out->product = query_u32(&q, 4);
    out->state = query_u32(&q, 5);
    out->issued_ms = query_i64(&q, 6);
    query_text(&q, 7, out->title, sizeof(out->title));
    query_text(&q, 8, out->device, sizeof(out->device));
    out->downloaded_ms = query_i64(&q, 9);
    out->entry = query_u64(&q, 10);
    out->price = query_i64(&q, 11);
    return query_check(&q);
}

static int license_list(struct admin *a, const char *user)
{
    struct out_list l;
    struct row e = { 0 };
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "licenses");
    while ((r = next(a->o, user, &e)) == 0) {
        const char *state = e.state < ARRAY_COUNT(states) && states[e.state] ? states[e.state] : "other";
        const struct out_field fields[] = { OUT_N("license", e.sequence), OUT_T("user", e.account),
                                            OUT_T("title", e.title),      OUT_MS("bought", e.issued_ms),
                                            OUT_T("state", state),        OUT_MS("downloaded", e.downloaded_ms),
                                            OUT_T("device", e.device),    OUT_M("price", e.price),
                                            OUT_N("entry", e.entry),      OUT_N("product", e.product),
                                            OUT_I("content", &e.content), OUT_I("client", &e.client) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    if (r == OPERATIONS_ABSENT)
        return admin_list_end(a, &l, user);
    out_list_drop(&l);
    return admin_error(a, r, "list the licenses");
}

int admin_license(struct admin *a, int argc, char **argv)
{
    struct admin_option options[] = { { .name = "user" } };
    int r = admin_options(a, options, ARRAY_COUNT(options), &argc, argv);
    if (r != 0)
        return r;
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return license_list(a, options[0].text);
    return admin_usage(a, "license list [--user NAME]");
}
