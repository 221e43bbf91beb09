/* Exactly-once: both ends against each other, every order of loss, repeat, cut and crash up to a depth.
 *
 * The world is small: a device that wants a few items one after the other, a distributor, and a wire that holds at most one
 * request and one answer of each connection. Every event that can happen in a state is tried (depth-first, states seen are not
 * visited twice), and after each the promises are checked. */
#include "protocol/txn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

#define ITEMS 3

struct wire_request {
    bool there;
    bool commit;
    uint8_t session, bit, id;
};
struct wire_answer {
    bool there;
    uint8_t bit, id, result; /* result: the item executed, from 1 */
};
struct world {
    /* durable */
    uint8_t server_session, server_bit, server_id, server_pending, server_result;
    uint8_t executed[ITEMS + 1];
    uint8_t client_bit, client_id, client_outstanding, client_got[ITEMS + 1];
    uint8_t wanted; /* the item the client is at, from 1; ITEMS + 1: all done */
    /* not durable */
    uint8_t session;                          /* of the client's connection; 0: none */
    bool sent;                                /* on this connection */
    struct wire_request request, old_request; /* old: on an earlier connection, still under way */
    struct wire_answer answer;
};

/* IDs are small numbers here: 16 equal bytes. */
static void wide(uint8_t small, uint8_t id[TXN_ID_BYTES]) { memset(id, small, TXN_ID_BYTES); }

struct counter {
    struct rng rng;
    uint8_t next;
};
static void count_up(void *ctx, void *out, size_t len) { memset(out, ((struct counter *)ctx)->next, len); }

static struct txn_server server_of(const struct world *w)
{
    struct txn_server s = { .session = w->server_session, .bit = w->server_bit, .pending = w->server_pending };
    wide(w->server_id, s.id);
    return s;
}
static void keep_server(struct world *w, const struct txn_server *s)
{
    w->server_session = (uint8_t)s->session;
    w->server_bit = s->bit;
    w->server_id = s->id[0];
    w->server_pending = s->pending;
}
static struct txn_client client_of(const struct world *w)
{
    struct txn_client c = { .bit = w->client_bit, .outstanding = w->client_outstanding };
    wide(w->client_id, c.id);
    return c;
}
static void keep_client(struct world *w, const struct txn_client *c)
{
    w->client_bit = c->bit;
    w->client_id = c->id[0];
    w->client_outstanding = c->outstanding;
}

enum event {
    CONNECT,      /* the device opens a session; what was under way before may still arrive */
    BEGIN,        /* the device begins the next item: durable before sending */
    SEND,         /* sends or repeats the outstanding one */
    COMMIT_SENT,  /* nothing outstanding: sends a commit of the last one */
    DELIVER,      /* the request reaches the server */
    DELIVER_OLD,  /* a request of an earlier connection reaches the server */
    ANSWERED,     /* the answer reaches the device */
    LOSE_REQUEST, /* the connection breaks, with what was on it */
    LOSE_ANSWER,
    CRASH, /* the device forgets what is not durable */
    EVENT_COUNT
};

/* The server takes a request; its effects and state are durable together. */
static void serve(struct world *w, const struct wire_request *q, bool live)
{
    struct txn_server s = server_of(w);
    uint8_t id[TXN_ID_BYTES];
    wide(q->id, id);
    if (q->commit) {
        if (txn_server_commit(&s, q->session, q->bit, id))
            w->server_result = 0; /* the kept response goes */
        keep_server(w, &s);
        return;
    }
    enum reason why = REASON_NONE;
    enum txn_verdict verdict = txn_server_judge(&s, q->session, q->bit, id, &why);
    if (verdict == TXN_NEW) {
        uint8_t item = q->id; /* the client numbers its items by ID in this world */
        w->executed[item]++;
        assert_int_equal(w->executed[item], 1); /* promise: never twice */
        txn_server_answered(&s, q->bit, id);
        w->server_result = item;
        keep_server(w, &s);
    } else if (verdict == TXN_REFUSED) {
        /* Only a later session may make an honest device's request refused. */
        assert_int_equal(why, REASON_SESSION_REPLACED);
        return;
    }
    assert_int_equal(w->server_result, q->id); /* promise: a repeat gets the same answer */
    if (live)
        w->answer = (struct wire_answer){ true, q->bit, q->id, w->server_result };
}

static bool apply(struct world *w, enum event e)
{
    struct txn_client c = client_of(w);
    switch (e) {
    case CONNECT: {
        if (w->session != 0 || w->server_session >= 4)
            return false;
        struct txn_server s = server_of(w);
        w->session = (uint8_t)txn_server_open(&s);
        keep_server(w, &s);
        w->sent = false;
        return true;
    }
    case BEGIN: {
        if (c.outstanding || w->wanted > ITEMS)
            return false;
        struct counter counter = { { count_up, &counter }, w->wanted };
        uint32_t bit;
        txn_client_begin(&c, &counter.rng, &bit);
        assert_int_equal(bit, txn_client_bit(&c));
        keep_client(w, &c);
        return true;
    }
    case SEND:
        if (w->session == 0 || !c.outstanding || w->sent || w->request.there)
            return false;
        w->request = (struct wire_request){ true, false, w->session, (uint8_t)txn_client_bit(&c), c.id[0] };
        w->sent = true;
        return true;
    case COMMIT_SENT:
        if (w->session == 0 || c.outstanding || w->request.there || c.id[0] == 0)
            return false;
        w->request = (struct wire_request){ true, true, w->session, c.bit, c.id[0] };
        return true;
    case DELIVER: {
        if (!w->request.there)
            return false;
        struct wire_request q = w->request;
        w->request.there = false;
        serve(w, &q, true);
        return true;
    }
    case DELIVER_OLD: {
        if (!w->old_request.there)
            return false;
        struct wire_request q = w->old_request;
        w->old_request.there = false;
        serve(w, &q, false);
        return true;
    }
    case ANSWERED: {
        if (!w->answer.there)
            return false;
        uint8_t id[TXN_ID_BYTES];
        wide(w->answer.id, id);
        w->answer.there = false;
        if (!txn_client_finish(&c, w->answer.bit, id))
            return true;
        assert_int_equal(w->answer.result, w->wanted);
        w->client_got[w->wanted]++;
        w->wanted++;
        w->sent = false;
        keep_client(w, &c);
        return true;
    }
    case LOSE_REQUEST:
    case LOSE_ANSWER:
    case CRASH:
        if (w->session == 0 || (e == LOSE_REQUEST && !w->request.there) || (e == LOSE_ANSWER && !w->answer.there))
            return false;
        if (e == CRASH && w->request.there)
            w->old_request = w->request; /* it may still arrive, after a later connection even */
        w->request.there = w->answer.there = w->sent = false;
        w->session = 0;
        return true;
    default:
        return false;
    }
}

static void promises(const struct world *w)
{
    for (int i = 1; i <= ITEMS; i++) {
        assert_true(w->executed[i] <= 1);
        assert_true(w->client_got[i] <= w->executed[i]);
        if (i < w->wanted)
            assert_int_equal(w->client_got[i], 1); /* no answer is lost */
    }
    /* What was executed and not yet received is still kept for the device. */
    if (w->wanted <= ITEMS && w->executed[w->wanted])
        assert_int_equal(w->server_result, w->wanted);
}

/* States seen: an open-addressed table of whole worlds (they are small). */
#define SEEN_CAP (1u << 20)
struct seen {
    struct world *worlds;
    size_t count;
};
static bool add_seen(struct seen *s, const struct world *w)
{
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < sizeof(*w); i++)
        hash = (hash ^ ((const uint8_t *)w)[i]) * 1099511628211u;
    size_t at = hash & (SEEN_CAP - 1);
    static const struct world none;
    while (memcmp(&s->worlds[at], &none, sizeof(none)) != 0) {
        if (memcmp(&s->worlds[at], w, sizeof(*w)) == 0)
            return false;
        at = (at + 1) & (SEEN_CAP - 1);
    }
    s->worlds[at] = *w;
    s->count++;
    assert_true(s->count < SEEN_CAP / 2);
    return true;
}

static bool all_done;
static void explore(struct seen *seen, const struct world *w)
{
    promises(w);
    all_done |= w->wanted > ITEMS;
    for (int e = 0; e < EVENT_COUNT; e++) {
        struct world next;
        memcpy(&next, w, sizeof(next));
        if (apply(&next, (enum event)e) && add_seen(seen, &next))
            explore(seen, &next);
    }
}

static void every_history(void **state)
{
    (void)state;
    struct seen seen = { calloc(SEEN_CAP, sizeof(struct world)), 0 };
    assert_non_null(seen.worlds);
    struct world w;
    memset(&w, 0, sizeof(w));
    w.wanted = 1;
    explore(&seen, &w);
    assert_true(all_done);
    assert_true(seen.count > 1000);
    print_message("%zu states\n", seen.count);
    free(seen.worlds);
}

struct judge_case {
    const char *name;
    uint64_t session;
    uint32_t bit;
    uint8_t id;
    bool pending;
    enum txn_verdict verdict;
    enum reason reason;
};
static const struct judge_case judge_cases[] = {
    /* the server: session 7, bit 1, ID 5 */
    { "toggled bit", 7, 0, 6, true, TXN_NEW, REASON_NONE },
    { "toggled bit after a commit", 7, 0, 6, false, TXN_NEW, REASON_NONE },
    { "repeat", 7, 1, 5, true, TXN_REPEAT, REASON_NONE },
    { "repeat of what was committed", 7, 1, 5, false, TXN_REFUSED, REASON_OUT_OF_STEP },
    { "same bit, another ID", 7, 1, 6, true, TXN_REFUSED, REASON_OUT_OF_STEP },
    { "toggled bit, same ID", 7, 0, 5, true, TXN_REFUSED, REASON_OUT_OF_STEP },
    { "older session", 6, 0, 6, true, TXN_REFUSED, REASON_SESSION_REPLACED },
    { "a session that is not open yet", 8, 0, 6, true, TXN_REFUSED, REASON_SESSION_REPLACED },
    { "zero ID", 7, 0, 0, true, TXN_REFUSED, REASON_MALFORMED },
    { "bit out of range", 7, 2, 6, true, TXN_REFUSED, REASON_MALFORMED },
};

static void judgements(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(judge_cases); i++) {
        const struct judge_case *c = &judge_cases[i];
        struct txn_server s = { .session = 7, .bit = 1, .pending = c->pending };
        wide(5, s.id);
        uint8_t id[TXN_ID_BYTES];
        wide(c->id, id);
        enum reason why = REASON_NONE;
        enum txn_verdict v = txn_server_judge(&s, c->session, c->bit, id, &why);
        if (v != c->verdict || why != c->reason)
            fail_msg("%s: %d %s", c->name, v, reason_code(why));
    }
}

static void commits(void **state)
{
    (void)state;
    struct txn_server s = { .session = 7, .bit = 1, .pending = true };
    wide(5, s.id);
    uint8_t id[TXN_ID_BYTES], other[TXN_ID_BYTES];
    wide(5, id);
    wide(6, other);
    assert_false(txn_server_commit(&s, 6, 1, id));
    assert_false(txn_server_commit(&s, 7, 0, id));
    assert_false(txn_server_commit(&s, 7, 1, other));
    assert_true(s.pending);
    assert_true(txn_server_commit(&s, 7, 1, id));
    assert_false(txn_server_commit(&s, 7, 1, id));
    assert_int_equal(txn_server_open(&s), 8);
    assert_int_equal(s.bit, 1);
}

/* A device restored from a backup follows the distributor, then goes on. */
static void restored_device(void **state)
{
    (void)state;
    struct rng_fake fake;
    rng_fake_init(&fake, 1);
    struct txn_server s = { .session = 1, .bit = 1, .pending = true };
    wide(5, s.id);
    struct txn_client c = { .bit = 0 };
    uint32_t bit;
    txn_client_begin(&c, &fake.rng, &bit);
    enum reason why = REASON_NONE;
    assert_int_equal(txn_server_judge(&s, 1, bit, c.id, &why), TXN_REFUSED);
    assert_int_equal(why, REASON_OUT_OF_STEP);
    txn_client_follow(&c, s.bit);
    assert_false(c.outstanding);
    txn_client_begin(&c, &fake.rng, &bit);
    assert_int_equal(txn_server_judge(&s, 1, bit, c.id, &why), TXN_NEW);
    txn_server_answered(&s, bit, c.id);
    assert_true(txn_client_finish(&c, bit, c.id));
    assert_false(txn_client_finish(&c, bit, c.id));
}

/* An answer to anything else, or when nothing was asked, ends nothing. */
static void foreign_answers(void **state)
{
    (void)state;
    struct rng_fake fake;
    rng_fake_init(&fake, 1);
    struct txn_client c = { .bit = 1 };
    uint8_t other[TXN_ID_BYTES];
    uint32_t bit;
    wide(9, other);
    assert_false(txn_client_finish(&c, 0, other));
    txn_client_begin(&c, &fake.rng, &bit);
    assert_int_equal(bit, 0);
    assert_false(txn_client_finish(&c, bit, other));
    assert_false(txn_client_finish(&c, 1, c.id));
    assert_true(c.outstanding);
    assert_int_equal(c.bit, 1);
    assert_true(txn_client_finish(&c, bit, c.id));
    assert_int_equal(c.bit, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_history),   cmocka_unit_test(judgements),      cmocka_unit_test(commits),
        cmocka_unit_test(foreign_answers), cmocka_unit_test(restored_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
