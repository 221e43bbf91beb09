/* The directory (the seed's operations database C): greets its members, stores what they push, gives what everybody pushed. As
 * src/distributor/directory.c; a pull that finds nothing waits.
 *
 * It may be down, slow, put back from an older copy, and it may lie: what it is worth believing is what members find out (member.c, promises_shared.c). */
#include "disk.h"
#include "distributor/directory_db.h"
#include "distributor/directory_rows.h"
#include "distributor/findings.h"
#include "distributor/meet.h"
#include "distributor/reply.h"
#include "world.h"

#define ROWS_BYTES_MAX DIRECTORY_PULL_BYTES
#define FILES "directory.db"

void directory_make(struct world *w)
{
    struct directory *d = &w->directory;
    d->older_keyset = buf(KEYSET_ENVELOPE_MAX);
    MUST(keyset_current(d->shop.o, &d->older_keyset) == 0);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    MUST(transaction_begin_batch(&t, d->shop.o->store) == 0 && keyset_issue(d->shop.o, w->town.now_ms) == 0);
    MUST(transaction_commit(&t) == 0);
}

void directory_start(struct world *w)
{
    struct directory *d = &w->directory;
    char path[128];
    MUST(operations_open(&d->shop.o, d->shop.dir, d->shop.keys, &w->town.rng.rng, 0) == 0);
    MUST(keyset_own(d->shop.o, &d->shop.keyset) == 0);
    (void)snprintf(path, sizeof(path), "%s/" FILES, d->shop.dir);
    MUST(directory_db_open(&d->store, path) == 0);
    memset(d->parked, 0, sizeof(d->parked));
    d->rests_ms = 0;
    (void)node_failed(w, DIRECTORY_NODE);
}

void directory_stop(struct world *w)
{
    store_close(steal(&w->directory.store));
    operations_close(steal(&w->directory.shop.o));
}

void directory_is_restored(struct world *w)
{
    if (!w->directory.put_back)
        return;
    w->directory.put_back = false;
    disk_put_back(DIRECTORY_NODE);
}

/* ---- lies ------------------------------------------------------------------------------------------------------------ */

static bool lies_to(const struct world *w, int shop, enum lie lie)
{
    return w->directory.lie == lie && (w->directory.lied_to == shop || w->directory.lied_to == SHOPS);
}

/* The keyset that a connection opens with. */
void directory_keyset(struct world *w, int shop, struct buf *out)
{
    if (lies_to(w, shop, LIE_OLDER_KEYSET)) {
        w->lies++;
        MUST(buf_append(out, buf_slice(&w->directory.older_keyset)) == 0);
    } else
        MUST(keyset_current(w->directory.shop.o, out) == 0);
}

/* Signed by itself, in the name of another: what that has signed last, under the next number. */
static void forge(struct world *w, struct buf *list)
{
    static doc_Share share;
    uint8_t signer[32];
    struct buf envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    struct reader r = reader(buf_slice(list));
    struct slice row = slice(NULL, 0);
    while (codec_list_next(&r, SHARE_ENVELOPE_MAX, &row) == 0)
        ;
    MUST(document_open(DOCUMENT_SHARE, row, &share, sizeof(share), signer) == 0);
    share.sequence++;
    struct signer self;
    signer_from_pair(&self, &w->directory.shop.keys->license);
    MUST(document_sign(&envelope, DOCUMENT_SHARE, &share, &self) == 0);
    MUST(codec_list_put(list, buf_slice(&envelope)) == 0);
}

/* Other rows than there are, in a list of count. */
static void change_rows(struct world *w, enum lie lie, struct buf *list, uint32_t *count)
{
    struct slice rows[DIRECTORY_PULL_ROWS];
    struct buf changed = buf(ROWS_BYTES_MAX + SHARE_ENVELOPE_MAX);
    struct reader r = reader(buf_slice(list));
    uint32_t n = *count, left_out = chance(w, n), given = 0;
    for (uint32_t i = 0; i < n; i++)
        MUST(codec_list_next(&r, SHARE_ENVELOPE_MAX, &rows[i]) == 0);
    for (uint32_t i = 0; i < n; i++) {
        if (lie == LIE_LEAVES_OUT && i == left_out)
            continue;
        MUST(codec_list_put(&changed, rows[lie == LIE_OTHER_ORDER ? n - 1 - i : i]) == 0);
        given++;
    }
    if (lie == LIE_CHANGES)
        changed.data[4 + chance(w, (unsigned)(changed.len - 4))] ^= (uint8_t)(1u << chance(w, 8));
    if (lie == LIE_FORGES) {
        forge(w, &changed);
        given++;
    }
    buf_free(list);
    *list = changed;
    *count = given;
}

/* What it says instead of the truth. */
static void lie_about(struct world *w, int shop, uint64_t after, struct buf *list, uint32_t *count, uint64_t *next)
{
    enum lie lie = w->directory.lie;
    if (!lies_to(w, shop, lie) || lie == LIE_NONE || lie == LIE_OLDER_KEYSET || lie == LIE_DROPS || lie == LIE_BOASTS)
        return;
    if (lie == LIE_REPEATS) {
        uint64_t from = after > 0 ? chance(w, (unsigned)after) : 0, end;
        buf_free(list);
        *list = buf(ROWS_BYTES_MAX);
        MUST(directory_db_read(w->directory.store, from, DIRECTORY_PULL_ROWS, list, count, &end) == 0);
        *next = *next > end ? *next : end;
    } else if (*count > 0 && lie == LIE_WITHHOLDS) {
        buf_free(list);
        *list = buf(ROWS_BYTES_MAX);
        *count = 0;
        *next = after;
    } else if (*count > 0) {
        change_rows(w, lie, list, count);
        *next += lie == LIE_LEAVES_OUT && chance(w, 2) ? 3 : 0;
    } else
        return;
    w->lies++;
    w->directory.left_out =
        w->directory.left_out || lie == LIE_LEAVES_OUT || lie == LIE_CHANGES || lie == LIE_OTHER_ORDER;
    trace(w, "the directory lies to %s: %d", node_name(SHOP_NODE(shop)), (int)lie);
}

/* ---- pulls -------------------------------------------------------------------------------------------------------------- */

static event_fn on_parked_end;

static void answer_pull(struct world *w, const struct parked *p, bool may_wait)
{
    struct directory *d = &w->directory;
    struct buf rows CLEANUP(buf_free) = buf(ROWS_BYTES_MAX);
    msg_SharePulled pulled = msg_SharePulled_init_zero;
    struct conn *c = conn_of(w, p->conn, DIRECTORY_NODE);
    if (!c || c->ends[0] < 0)
        return;
    MUST(directory_db_read(d->store, p->after, DIRECTORY_PULL_ROWS, &rows, &pulled.count, &pulled.next) == 0);
    lie_about(w, c->ends[0] - DEVICES, p->after, &rows, &pulled.count, &pulled.next);
    if (pulled.count == 0 && may_wait && w->town.now_ms < p->until_ms)
        for (size_t i = 0; i < ARRAY_COUNT(d->parked); i++)
            if (d->parked[i].conn == 0) {
                d->parked[i] = *p;
                struct event *e = after(w, p->until_ms - w->town.now_ms, DIRECTORY_NODE, on_parked_end);
                e->a = p->conn;
                e->request = p->request;
                return;
            }
    conn_send_as(w, p->conn, DIRECTORY_NODE, msg_Type_SHARE_PULLED, p->request, msg_SharePulled_fields, &pulled,
                 buf_slice(&rows));
}

static void on_parked_end(struct world *w, struct event *e)
{
    struct directory *d = &w->directory;
    for (size_t i = 0; i < ARRAY_COUNT(d->parked); i++)
        if (d->parked[i].conn == e->a && d->parked[i].request == e->request) {
            struct parked p = d->parked[i];
            d->parked[i].conn = 0;
            answer_pull(w, &p, false);
        }
}

static void wake(struct world *w)
{
    struct directory *d = &w->directory;
    for (size_t i = 0; i < ARRAY_COUNT(d->parked); i++)
        if (d->parked[i].conn != 0) {
            struct parked p = d->parked[i];
            d->parked[i].conn = 0;
            answer_pull(w, &p, true);
        }
}

static void pull(struct world *w, const struct event *e)
{
    msg_SharePull m;
    MUST(CODEC_DECODE(msg_SharePull, buf_slice(&e->message), &m) == 0);
    answer_pull(w, &(struct parked){ e->a, e->request, m.after, w->town.now_ms + m.wait_ms }, true);
}

/* ---- greetings and pushes ------------------------------------------------------------------------------------------------ */

static void greet(struct world *w, struct conn *c, const struct event *e)
{
    static doc_Keyset keyset;
    struct directory *d = &w->directory;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    msg_Welcome welcome = { .registered = true };
    MUST(transaction_begin_batch(&t, d->shop.o->store) == 0);
    c->caller.role = REQUESTS_DISTRIBUTOR;
    struct buf known CLEANUP(buf_free) = buf(DSSE_PAYLOAD_MAX + 256);
    int r = meet_distributor(d->shop.o, buf_slice(&e->tail), c->caller.key, w->town.now_ms, &c->caller.partner, &keyset,
                             &known);
    MUST(r >= 0 && findings_flush(d->shop.o, w->town.now_ms) == 0 && transaction_commit(&t) == 0);
    if (node_failed(w, DIRECTORY_NODE))
        return;
    trace(w, "the directory meets %s: %s", node_name(c->ends[0]), reason_code((enum reason)r));
    if (r > 0)
        conn_refuse(w, e->a, DIRECTORY_NODE, e->request, (enum reason)r);
    else if (greet_server_judged(&c->greeted))
        CONN_SEND(w, e->a, DIRECTORY_NODE, WELCOME, e->request, msg_Welcome, &welcome);
}

/* false: the row is lost, and nobody is told. */
static bool stores(const struct world *w, int shop) { return !lies_to(w, shop, LIE_DROPS); }

static void push(struct world *w, struct conn *c, const struct event *e)
{
    struct directory *d = &w->directory;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct reply reply CLEANUP(reply_free);
    msg_SharePushed pushed;
    reply_init(&reply);
    MUST(transaction_begin_batch(&t, d->store) == 0);
    int r = directory_rows_push(d->store, &c->caller, buf_slice(&e->message), buf_slice(&e->tail), &reply);
    MUST(r >= 0);
    if (r == 0 && stores(w, c->ends[0] - DEVICES))
        MUST(transaction_commit(&t) == 0);
    transaction_end(&t);
    if (node_failed(w, DIRECTORY_NODE))
        return;
    if (r > 0) {
        conn_refuse(w, e->a, DIRECTORY_NODE, e->request, (enum reason)r);
        return;
    }
    MUST(CODEC_DECODE(msg_SharePushed, buf_slice(&reply.message), &pushed) == 0);
    bool boasts = lies_to(w, c->ends[0] - DEVICES, LIE_BOASTS);
    w->lies += boasts || !stores(w, c->ends[0] - DEVICES);
    pushed.sequence += boasts ? chance(w, 7) : 0;
    CONN_SEND(w, e->a, DIRECTORY_NODE, SHARE_PUSHED, e->request, msg_SharePushed, &pushed);
    wake(w);
}

static void serve(struct world *w, struct event *e)
{
    struct conn *c = conn_of(w, e->a, DIRECTORY_NODE);
    const char *detail;
    if (!c || c->ends[0] < 0)
        return;
    enum greet_verdict verdict = greet_server_frame(&c->greeted, e->type, &detail);
    MUST(verdict == GREET_JUDGE || verdict == GREET_SERVE);
    if (e->type == msg_Type_HELLO)
        greet(w, c, e);
    else if (e->type == msg_Type_SHARE_PUSH)
        push(w, c, e);
    else if (e->type == msg_Type_SHARE_PULL)
        pull(w, e);
}

void directory_hears(struct world *w, struct event *e)
{
    if (w->directory.slow_ms == 0) {
        serve(w, e);
        return;
    }
    struct event *later = after(w, between(w, 1, w->directory.slow_ms), DIRECTORY_NODE, serve);
    later->a = e->a;
    later->type = e->type;
    later->request = e->request;
    later->message = e->message;
    later->tail = e->tail;
    e->message = e->tail = buf(0);
}

/* ---- what goes wrong with it ------------------------------------------------------------------------------------------------ */

void directory_fault(struct world *w)
{
    struct directory *d = &w->directory;
    w->directory_faults++;
    switch (chance(w, 8)) {
    case 0:
    case 1:
    case 2:
        if (d->has_backup && w->up[DIRECTORY_NODE] && chance(w, 2)) {
            trace(w, "the directory is put back from an older copy");
            d->put_back = true;
            w->put_back++;
            node_stop(w, DIRECTORY_NODE, chance(w, 2));
            break;
        }
        trace(w, "the directory's rows are backed up");
        disk_keep(DIRECTORY_NODE, FILES);
        d->has_backup = true;
        break;
    case 3:
        d->rests_ms = 300000;
        node_stop(w, DIRECTORY_NODE, chance(w, 2));
        break;
    case 4:
        d->slow_ms = chance(w, 2) ? 0 : 1 + chance(w, 30000);
        trace(w, "the directory is slow: %lld ms", (long long)d->slow_ms);
        break;
    default:
        d->lie = (enum lie)chance(w, LIE_COUNT);
        d->lied_to = (int)chance(w, SHOPS + 1);
        trace(w, "the directory lies: %d to %s", (int)d->lie,
              d->lied_to < SHOPS ? node_name(SHOP_NODE(d->lied_to)) : "everybody");
        break;
    }
}

void directory_calm(struct world *w)
{
    w->directory.lie = LIE_NONE;
    w->directory.slow_ms = w->directory.rests_ms = 0;
    w->directory.put_back = false;
    for (int i = 1; i <= w->conn_count;
         i++) /* whoever finds it honest and looks again comes to the same as the others */
        if (w->conns[i]->ends[1] == DIRECTORY_NODE)
            conn_break(w, i);
}

uint64_t directory_has(struct world *w, int shop)
{
    uint64_t last;
    MUST(directory_db_last(w->directory.store, &shop_at(w, shop)->keys->self, &last) == 0);
    return last;
}
