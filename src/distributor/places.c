/* Rows of places, and the two questions about bodies: where they lie (devices), which there are (contents servers).
 * On the connection's thread. Source: seed Fig. 4, S24. */
#include "distributor/places.h"

#include "base/util.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

/* The next row as text. 0, OPERATIONS_ABSENT, -errno. */
static int next_row(struct operations *o, int64_t *number, char text[PLACE_TEXT_MAX + 1])
{
    struct query q CLEANUP(query_end) = query(o->store, PLACE_NEXT);
    query_bind_i64(&q, 1, *number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *number = query_i64(&q, 0);
    query_text(&q, 1, text, PLACE_TEXT_MAX + 1);
    return query_check(&q);
}

int places_next(struct operations *o, int64_t *number, struct place *out)
{
    char text[PLACE_TEXT_MAX + 1];
    int r;
    do
        r = next_row(o, number, text);
    while (r == 0 &&
           place_parse(text, out) != 0); /* earlier versions took hosts that nothing can dial: nobody misses them */
    return r;
}

/* PATH and PATH/ are one folder. */
static bool is_same(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    a_len -= a_len > 0 && a[a_len - 1] == '/';
    b_len -= b_len > 0 && b[b_len - 1] == '/';
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

int places_add(struct operations *o, const struct place *p, int64_t now_ms)
{
    struct place other;
    unsigned count = 0;
    int64_t number = 0;
    int r;
    while ((r = places_next(o, &number, &other)) == 0) {
        count++;
        if (is_same(other.text, p->text))
            return REASON_ALREADY;
    }
    if (r != OPERATIONS_ABSENT)
        return r;
    if (count >= PLACES_MAX)
        return REASON_TOO_LARGE;
    struct query q CLEANUP(query_end) = query(o->store, PLACE_ADD);
    query_bind_text(&q, 1, p->text);
    if (p->kind == PLACE_SERVER)
        rows_bind_id(&q, 2, &p->server);
    else
        query_bind_null(&q, 2);
    query_bind_i64(&q, 3, now_ms);
    return rows_run(&q);
}

int places_remove(struct operations *o, const char *text)
{
    struct place p;
    int64_t number = 0;
    int found;
    while ((found = places_next(o, &number, &p)) == 0 && !is_same(p.text, text))
        continue;
    if (found != 0)
        return found;
    struct query q CLEANUP(query_end) = query(o->store, PLACE_REMOVE);
    query_bind_text(&q, 1, p.text);
    int r = rows_run(&q);
    return r == 0 && store_changed_count(o->store) == 0 ? OPERATIONS_ABSENT : r;
}

int places_find_server(struct operations *o, const struct id *server)
{
    struct query q CLEANUP(query_end) = query(o->store, PLACE_OF_SERVER);
    rows_bind_id(&q, 1, server);
    return rows_one(&q);
}

int places_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
               struct reply *out)
{
    (void)message;
    (void)tail;
    msg_Places answer = msg_Places_init_zero;
    struct device d;
    struct place p;
    int64_t number = 0;
    int r = devices_caller_or_guest(o, who, &d);
    while (r == 0 && answer.places_count < ARRAY_COUNT(answer.places)) {
        r = places_next(o, &number, &p);
        if (r == 0)
            CODEC_SET_TEXT(answer.places[answer.places_count++], p.text);
    }
    return r == 0 || r == OPERATIONS_ABSENT ? REPLY(out, PLACES, msg_Places, &answer) : r;
}

int places_bodies_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                      struct reply *out)
{
    (void)tail;
    static const uint8_t zero[ID_BYTES];
    msg_BodiesGet m;
    msg_Bodies answer = msg_Bodies_init_zero;
    int r = REQUEST_DECODE(message, msg_BodiesGet, &m);
    if (r == 0)
        r = places_find_server(o, &who->client); /* the operator may have taken it back meanwhile */
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_PERMITTED : r;
    struct query q CLEANUP(query_end) = query(o->store, BODIES_AFTER);
    query_bind_blob(&q, 1, m.has_after ? SLICE_ARRAY(m.after) : SLICE_ARRAY(zero));
    query_bind_i64(&q, 2, ARRAY_COUNT(answer.bodies));
    while (rows_next(&q, &r))
        query_fixed(&q, 0, answer.bodies[answer.bodies_count++].content, ID_BYTES);
    if (r == 0)
        r = query_check(&q);
    return r == 0 ? REPLY(out, BODIES, msg_Bodies, &answer) : r;
}
