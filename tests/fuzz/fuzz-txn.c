/* Exactly-once transactions between ends that crash, over connections that lose, stall and die. A connection keeps its order and
 * repeats nothing (TLS); letters of an old one may arrive after a new one was opened. The device repeats itself.
 * Promises, at every moment: an item is executed once at most; no answer is dropped before the device has it; a repeat gets the
 * same answer; what the device has was executed. And afterwards, when the network behaves: the item under way is finished.
 * Input: a list of events. A device restored from a backup is the last event, since from then on it follows the server. */
#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "protocol/txn.h"

#define ITEMS 64
#define QUEUE 8

enum what { REQUEST, ANSWER, COMMIT, OUT_OF_STEP, REPLACED };
struct letter {
    enum what what;
    uint64_t session;
    uint32_t bit;
    uint8_t id[TXN_ID_BYTES];
    int item;            /* asked for, or answered */
    unsigned connection; /* an answer returns only on the connection that asked */
};

struct run {
    struct rng_fake rng;
    /* what each end keeps on disk */
    struct txn_server server;
    int kept_item;
    struct txn_client client;
    int wanted; /* the item asked for now, from 1 */
    /* what is lost in a crash */
    uint64_t session; /* 0: not connected */
    unsigned connection;
    struct letter queue[QUEUE];
    size_t queued;
    /* what an observer sees */
    int executed[ITEMS + 2], got[ITEMS + 2];
    bool restored;
};

static void post(struct run *r, const struct letter *l)
{
    if (r->queued < QUEUE) /* a full network drops */
        r->queue[r->queued++] = *l;
}

static struct letter take(struct run *r, size_t at)
{
    struct letter l = r->queue[at];
    r->queued--;
    memmove(&r->queue[at], &r->queue[at + 1], (r->queued - at) * sizeof(l));
    return l;
}

static bool is_asking(const struct letter *l) { return l->what == REQUEST || l->what == COMMIT; }

/* The one that arrives before this one: the first of the same connection and direction. */
static size_t first_before(const struct run *r, size_t at)
{
    size_t first = 0;
    while (r->queue[first].connection != r->queue[at].connection ||
           is_asking(&r->queue[first]) != is_asking(&r->queue[at]))
        first++;
    return first;
}

/* ---- the two ends -------------------------------------------------------------------------------------------- */

static void serve(struct run *r, const struct letter *l)
{
    if (l->what == COMMIT) {
        if (txn_server_commit(&r->server, l->session, l->bit, l->id))
            CHECK(r->restored || r->got[r->kept_item] > 0); /* the kept answer goes now */
        return;
    }
    struct letter answer = *l;
    enum reason why = REASON_NONE;
    switch (txn_server_judge(&r->server, l->session, l->bit, l->id, &why)) {
    case TXN_NEW:
        if (r->kept_item > 0 && r->server.pending)
            CHECK(r->restored || r->got[r->kept_item] > 0); /* a toggled bit says that it has arrived */
        r->executed[l->item]++;
        txn_server_answered(&r->server, l->bit, l->id);
        r->kept_item = l->item;
        answer.what = ANSWER;
        break;
    case TXN_REPEAT:
        answer.what = ANSWER;
        answer.item = r->kept_item;
        CHECK(r->restored || answer.item == l->item);
        break;
    default:
        CHECK(why == REASON_SESSION_REPLACED || why == REASON_OUT_OF_STEP);
        answer.what = why == REASON_OUT_OF_STEP ? OUT_OF_STEP : REPLACED;
        answer.bit = r->server.bit;
        break;
    }
    post(r, &answer);
}

static void receive(struct run *r, const struct letter *l)
{
    if (l->connection != r->connection || r->session == 0)
        return; /* an old connection's */
    if (l->what == REPLACED) {
        r->session = 0;
        return;
    }
    if (l->what == OUT_OF_STEP) {
        if (!r->client.outstanding || memcmp(l->id, r->client.id, TXN_ID_BYTES) != 0)
            return;
        CHECK(r->restored); /* who kept what it should keep is never out of step */
        txn_client_follow(&r->client, l->bit);
        return;
    }
    if (!txn_client_finish(&r->client, l->bit, l->id))
        return;
    CHECK(r->restored || l->item == r->wanted);
    r->got[l->item]++;
    if (r->wanted <= ITEMS)
        r->wanted++;
}

static void send_wanted(struct run *r)
{
    uint32_t bit;
    if (r->session == 0)
        return;
    if (!r->client.outstanding) {
        if (r->wanted > ITEMS)
            return;
        txn_client_begin(&r->client, &r->rng.rng, &bit);
        CHECK(bit == txn_client_bit(&r->client));
    }
    struct letter l = { REQUEST, r->session, txn_client_bit(&r->client), { 0 }, r->wanted, r->connection };
    memcpy(l.id, r->client.id, TXN_ID_BYTES);
    post(r, &l);
}

static void send_commit(struct run *r)
{
    if (r->session == 0 || r->client.outstanding)
        return;
    struct letter l = { COMMIT, r->session, r->client.bit, { 0 }, 0, r->connection };
    memcpy(l.id, r->client.id, TXN_ID_BYTES);
    post(r, &l);
}

static void connect_again(struct run *r)
{
    uint64_t before = r->server.session;
    r->session = txn_server_open(&r->server);
    CHECK(r->session > before);
    r->connection++;
}

/* ---- events -------------------------------------------------------------------------------------------------- */

static void deliver(struct run *r, size_t at)
{
    struct letter l = take(r, first_before(r, at));
    if (is_asking(&l))
        serve(r, &l);
    else
        receive(r, &l);
}

static void event(struct run *r, uint8_t choice)
{
    size_t at = r->queued > 0 ? (choice >> 4) % r->queued : 0;
    switch (choice & 7) {
    case 0:
        send_wanted(r);
        break;
    case 1:
        send_commit(r);
        break;
    case 2:
        connect_again(r);
        break;
    case 3: /* the device goes away; what it sent may still arrive */
        r->session = 0;
        break;
    case 4:
        if (r->queued > 0)
            take(r, at);
        break;
    case 5: /* the distributor restarts: what was on its way is gone */
        r->queued = 0;
        break;
    default:
        if (r->queued > 0)
            deliver(r, at);
        break;
    }
}

static void check(const struct run *r)
{
    for (int i = 1; i <= ITEMS + 1; i++) {
        CHECK(r->executed[i] <= 1 && r->got[i] <= 1 && r->got[i] <= r->executed[i]);
        CHECK(i >= r->wanted || r->got[i] == 1);
    }
    /* Executed and not yet received: still kept for the device. */
    if (r->executed[r->wanted])
        CHECK(r->kept_item == r->wanted && r->server.pending);
}

/* A network that behaves: whatever happened before, the item under way is finished. */
static void settle(struct run *r)
{
    int target = r->wanted;
    bool starts = r->wanted <= ITEMS;
    r->queued = 0;
    connect_again(r);
    for (int i = 0; i < 8 && r->wanted == target && (starts || r->client.outstanding); i++) {
        send_wanted(r);
        while (r->queued > 0)
            deliver(r, 0);
    }
    CHECK(!starts || r->wanted == target + 1);
    CHECK(!r->client.outstanding);
    send_commit(r);
    while (r->queued > 0)
        deliver(r, 0);
    CHECK(r->restored || !r->server.pending);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    struct run *r CLEANUP(freep) = calloc(1, sizeof(*r));
    CHECK(r);
    rng_fake_init(&r->rng, 1);
    r->wanted = 1;
    uint8_t backup_at = input_u8(&in);
    struct txn_client backup = { 0 };
    for (size_t n = 0; in.rest.len > 0 && n < 4096; n++) {
        if (n == backup_at)
            backup = r->client;
        event(r, input_u8(&in));
        check(r);
    }
    settle(r);
    check(r);
    if (backup_at & 1) { /* restored: it may ask again for what it had, yet it is not stuck */
        r->restored = true;
        r->client = backup;
        settle(r);
    }
    return 0;
}
