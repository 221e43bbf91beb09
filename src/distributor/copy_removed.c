/* Certificates for a device that was removed from its household. Nobody gives it one that is open any more; count and price of a copy come back, as a lost
 * license does (restore.c): once for each license, since the device may have stored it and never say so. For the others there is the operator
 * (copies_give_back). Moves wait for their end, then the license is had again with restore. Source: design section 6.2. */
#include "base/util.h"
#include "distributor/copies.h"
#include "distributor/rows.h"

#define AT_ONCE 256

struct serials {
    uint8_t bytes[AT_ONCE][16];
    size_t count;
};

static int find_open(struct operations *o, const char *account, const struct device *gone, struct serials *out)
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATES_TO);
    query_bind_text(&q, 1, account);
    rows_bind_id(&q, 2, &gone->client);
    query_bind_i64(&q, 3, gone->distributor);
    query_bind_i64(&q, 4, AT_ONCE);
    int r = 0;
    for (out->count = 0; rows_next(&q, &r); out->count++) {
        query_fixed(&q, 0, out->bytes[out->count], sizeof(out->bytes[0]));
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    return r;
}

/* 0: it was; OPERATIONS_ABSENT. */
static int find_given_back(struct operations *o, const struct copy *c)
{
    struct query q CLEANUP(query_end) = query(o->store, CERTIFICATE_GIVEN_BACK_FIND);
    query_bind_blob(&q, 1, SLICE_ARRAY(c->license_id));
    rows_bind_id(&q, 2, &c->source);
    query_bind_i64(&q, 3, CERTIFICATE_GIVEN_BACK);
    return rows_one(&q);
}

static int end_one(struct operations *o, const uint8_t serial[16], int64_t now_ms)
{
    struct copy c;
    int r = copies_find(o, serial, &c, NULL, NULL);
    if (r == 0)
        r = find_given_back(o, &c);
    if (r == 0)
        return copies_set_state(o, &c, CERTIFICATE_ENDED, slice(NULL, 0), slice(NULL, 0));
    if (r == OPERATIONS_ABSENT)
        r = copies_give_back(o, serial, now_ms, "Given back: a copy for a device that was removed");
    return r > 0 ? -EUCLEAN : r;
}

static int end_those_of(struct operations *o, const char *account, const struct device *gone, int64_t now_ms)
{
    struct serials open;
    int r;
    do {
        r = find_open(o, account, gone, &open);
        for (size_t i = 0; r == 0 && i < open.count; i++)
            r = end_one(o, open.bytes[i], now_ms);
    } while (r == 0 && open.count == AT_ONCE);
    return r;
}

int copies_device_removed(struct operations *o, const struct device *gone, int64_t now_ms)
{
    char accounts[64][OPERATIONS_NAME_BYTES]; /* ours, of its household */
    size_t count = 0;
    int r = 0;
    {
        struct query q CLEANUP(query_end) = query(o->store, HOUSEHOLD_ACCOUNTS);
        query_bind_i64(&q, 1, gone->distributor);
        query_bind_text(&q, 2, gone->user);
        while (count < ARRAY_COUNT(accounts) && rows_next(&q, &r)) {
            query_text(&q, 0, accounts[count++], OPERATIONS_NAME_BYTES);
            r = query_check(&q);
            if (r != 0)
                return r;
        }
    }
    for (size_t i = 0; r == 0 && i < count; i++)
        r = end_those_of(o, accounts[i], gone, now_ms);
    return r;
}
