/* Time, chance, the wire, and what goes wrong. */
#include "world.h"

#include <stdarg.h>

#include "crypto/sha256.h"
#include "disk.h"

/* ---- events ---------------------------------------------------------------------------------------------------- */

const char *node_name(int node)
{
    static const char *const names[NODES] = { "anna-1", "anna-2", "bert-1", "bert-2",
                                              "carl",   "Aurora", "Boreal", "the directory" };
    return node < 0 ? "nobody" : names[node];
}

void broken(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)fflush(stdout);
    (void)fputs("BROKEN: ", stderr);
    (void)vfprintf(stderr, format, list);
    (void)fputc('\n', stderr);
    va_end(list);
    exit(1);
}

int64_t world_mono(const struct world *w) { return w->town.now_ms - TOWN_START_MS + 1; }

unsigned chance(struct world *w, unsigned of)
{
    uint32_t v;
    rng_fill(&w->rng.rng, &v, sizeof(v));
    return v % of;
}

int64_t between(struct world *w, int64_t least, int64_t most)
{
    return least + (int64_t)chance(w, (unsigned)(most - least + 1));
}

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(struct event **a, struct event **b)
{
    struct event *t = *a;
    *a = *b;
    *b = t;
}

struct event *event_new(struct world *w, int node, event_fn *run)
{
    struct event *e = calloc(1, sizeof(*e));
    MUST(e);
    *e = (struct event){ .run = run,
                         .node = node,
                         .life = node < 0 ? 0 : w->life[node],
                         .message = buf(FRAME_MESSAGE_MAX),
                         .tail = buf(FRAME_TAIL_MAX) };
    return e;
}

void event_in(struct world *w, struct event *e, int64_t delay_ms)
{
    e->at_ms = w->town.now_ms + delay_ms;
    e->order = w->next_order++;
    if (w->event_count == w->event_cap) {
        w->event_cap = w->event_cap * 2 + 64;
        w->heap = realloc(w->heap, w->event_cap * sizeof(struct event *));
        MUST(w->heap);
    }
    size_t at = w->event_count++;
    w->heap[at] = e;
    for (; at > 0 && is_before(w->heap[at], w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&w->heap[at], &w->heap[(at - 1) / 2]);
}

void event_now(struct world *w, struct event *e) { event_in(w, e, 0); }

struct event *after(struct world *w, int64_t delay_ms, int node, event_fn *run)
{
    struct event *e = event_new(w, node, run);
    event_in(w, e, delay_ms);
    return e;
}

static struct event *take(struct world *w)
{
    struct event *first = w->heap[0];
    w->heap[0] = w->heap[--w->event_count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < w->event_count; child++)
            if (is_before(w->heap[child], w->heap[least]))
                least = child;
        if (least == at)
            return first;
        swap(&w->heap[at], &w->heap[least]);
        at = least;
    }
}

void trace(struct world *w, const char *format, ...)
{
    char line[512];
    va_list list;
    int len = snprintf(line, sizeof(line), "%10lld ", (long long)(w->town.now_ms - TOWN_START_MS));
    va_start(list, format);
    len += vsnprintf(line + len, sizeof(line) - (size_t)len, format, list);
    va_end(list);
    sha256_update(w->digest, slice(line, strlen(line)));
    if (w->trace)
        (void)printf("%s\n", line);
}

/* ---- machines ---------------------------------------------------------------------------------------------------- */

void node_start(struct world *w, int node)
{
    if (node == DIRECTORY_NODE)
        directory_start(w);
    else if (node >= DEVICES)
        shop_start(w, node - DEVICES);
    else
        device_start(w, &w->devices[node]);
}

static void on_start(struct world *w, struct event *e)
{
    trace(w, "%s starts", node_name(e->a));
    w->up[e->a] = true;
    w->halted[e->a] = false;
    w->dirty[e->a] = true;
    node_start(w, e->a);
}

static void forget_conns(struct world *w, int node)
{
    for (int i = 1; i <= w->conn_count; i++)
        for (int end = 0; end < 2; end++)
            if (w->conns[i] && w->conns[i]->ends[end] == node) {
                conn_break(w, i);
                w->conns[i]->ends[end] = -1;
            }
}

/* Its processes end; what their last words change on the disk is undone. */
static void halt(struct world *w, int node)
{
    w->halted[node] = true;
    trace(w, "%s stops", node_name(node));
    w->life[node]++;
    forget_conns(w, node);
    if (node == DIRECTORY_NODE) {
        directory_stop(w);
    } else {
        promises_close(w, node);
        if (node >= DEVICES)
            shop_stop(w, node - DEVICES);
        else
            device_stop(w, &w->devices[node]);
    }
    disk_restore((unsigned)node);
    directory_is_restored(w);
    int64_t rests_ms = node == DIRECTORY_NODE ? w->directory.rests_ms : 0;
    after(w, between(w, 10, w->calm ? 2000 : 60000 + rests_ms), -1, on_start)->a = node;
}

void node_stop(struct world *w, int node, bool power)
{
    if (!w->up[node])
        return;
    trace(w, "%s %s", node_name(node), power ? "loses power" : "is killed");
    w->restarts += !power;
    w->power_losses += power;
    disk_stop((unsigned)node, power, &w->rng.rng);
    w->up[node] = false;
}

bool node_failed(struct world *w, int node)
{
    if (w->up[node] && disk_failed((unsigned)node))
        node_stop(w, node, true);
    return !w->up[node];
}

bool world_step(struct world *w)
{
    if (w->event_count == 0)
        return false;
    struct event *e = take(w);
    MUST(e->at_ms >= w->town.now_ms);
    w->town.now_ms = e->at_ms;
    if (e->node < 0 || (w->up[e->node] && e->life == w->life[e->node])) {
        w->events_run++;
        e->run(w, e);
        for (int i = 0; i < NODES; i++)
            if (!w->up[i] && !w->halted[i])
                halt(w, i);
        promises_check(w);
    }
    buf_free(&e->message);
    buf_free(&e->tail);
    free(e);
    return true;
}

/* ---- the wire ------------------------------------------------------------------------------------------------------ */

bool can_reach(const struct world *w, int from, int to) { return w->up[from] && w->up[to] && !w->apart[from][to]; }

int conn_open(struct world *w, int from, int to)
{
    if (!can_reach(w, from, to))
        return 0;
    MUST(w->conn_count + 1 < CONNS_MAX);
    struct conn *c = calloc(1, sizeof(*c));
    MUST(c);
    *c = (struct conn){ .ends = { from, to }, .to = to, .open = true };
    w->conns[++w->conn_count] = c;
    return w->conn_count;
}

struct conn *conn_of(struct world *w, int conn, int node)
{
    struct conn *c = conn > 0 ? w->conns[conn] : NULL;
    return c && (c->ends[0] == node || c->ends[1] == node) ? c : NULL;
}

static void on_lost(struct world *w, struct event *e)
{
    struct conn *c = conn_of(w, e->a, e->node);
    if (!c)
        return;
    c->ends[c->ends[1] == e->node] = -1;
    if (e->node < DEVICES) {
        device_lost(w, &w->devices[e->node], e->a);
        copies_lost(w, &w->devices[e->node], e->a);
    } else if (e->node < DIRECTORY_NODE) {
        member_lost(w, e->node - DEVICES, e->a);
    }
}

void conn_break(struct world *w, int conn)
{
    struct conn *c = w->conns[conn];
    if (!c->open)
        return;
    c->open = false;
    for (int end = 0; end < 2; end++)
        if (c->ends[end] >= 0 && w->up[c->ends[end]])
            after(w, between(w, 1, chance(w, 4) == 0 ? 20000 : 100), c->ends[end], on_lost)->a = conn;
}

static void on_arrival(struct world *w, struct event *e)
{
    struct conn *c = conn_of(w, e->a, e->node);
    if (!c)
        return;
    trace(w, "%s hears %u of %d", node_name(e->node), e->type, e->a);
    if (e->node == DIRECTORY_NODE)
        directory_hears(w, e);
    else if (c->to == DIRECTORY_NODE)
        member_hears(w, e);
    else if (e->node >= DEVICES)
        shop_hears(w, e);
    else if (c->to >= DEVICES)
        device_hears(w, e);
    else
        copies_hear(w, e);
}

/* TLS repeats nothing by itself; these are said again by whoever said them, and that may be at any time. What makes a transaction is said again on a
 * new connection only, by the device itself. */
static bool may_repeat(uint16_t type)
{
    switch (type) {
    case msg_Type_REDEEM:
    case msg_Type_REDEEMS:
    case msg_Type_MOVE_DONE:
    case msg_Type_MOVE_CANCEL:
    case msg_Type_OFFER:
    case msg_Type_WITHDRAW:
    case msg_Type_DELIVERED:
        return true;
    default:
        return false;
    }
}

static void deliver(struct world *w, int conn, int to, int64_t at_ms, uint16_t type, uint32_t request,
                    struct slice message, struct slice tail)
{
    struct event *e = after(w, at_ms - w->town.now_ms, to, on_arrival);
    e->a = conn;
    e->type = type;
    e->request = request;
    MUST(buf_append(&e->message, message) == 0 && buf_append(&e->tail, tail) == 0);
}

void conn_send(struct world *w, int conn, int from, uint16_t type, uint32_t request, struct slice message,
               struct slice tail)
{
    struct conn *c = conn_of(w, conn, from);
    if (!w->up[from] || !c || !c->open)
        return;
    int end = c->ends[1] == from, to = c->ends[1 - end];
    if (to < 0 || !can_reach(w, from, to) || (!w->calm && chance(w, 25) == 0)) {
        trace(w, "%s: %u is lost on %d", node_name(from), type, conn);
        w->lost++;
        conn_break(w, conn);
        return;
    }
    int64_t at_ms = w->town.now_ms + between(w, 1, chance(w, 20) == 0 && !w->calm ? 3000 : 30);
    at_ms = at_ms > c->next_ms[end] ? at_ms : c->next_ms[end];
    c->next_ms[end] = at_ms;
    deliver(w, conn, to, at_ms, type, request, message, tail);
    if (w->calm || !may_repeat(type) || chance(w, 10) != 0)
        return;
    w->repeated++;
    deliver(w, conn, to, at_ms + between(w, 0, 5000), type, request, message, tail);
}

void conn_send_as(struct world *w, int conn, int from, uint16_t type, uint32_t request, const pb_msgdesc_t *fields,
                  const void *message, struct slice tail)
{
    struct buf bytes CLEANUP(buf_free) = buf(FRAME_MESSAGE_MAX);
    MUST(codec_encode(&bytes, fields, message) == 0);
    conn_send(w, conn, from, type, request, buf_slice(&bytes), tail);
}

void conn_refuse(struct world *w, int conn, int from, uint32_t request, enum reason why)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, why, NULL);
    CONN_SEND(w, conn, from, REFUSAL, request, msg_Refusal, &refusal);
}

/* ---- what goes wrong ------------------------------------------------------------------------------------------------ */

static void on_joined(struct world *w, struct event *e) { w->apart[e->a][e->b] = w->apart[e->b][e->a] = false; }

static void part(struct world *w)
{
    int a = (int)chance(w, NODES), b = (int)chance(w, NODES);
    trace(w, "%s and %s are apart", node_name(a), node_name(b));
    w->apart[a][b] = w->apart[b][a] = true;
    for (int i = 1; i <= w->conn_count; i++) {
        const int *ends = w->conns[i]->ends;
        if ((ends[0] == a && ends[1] == b) || (ends[0] == b && ends[1] == a))
            conn_break(w, i);
    }
    struct event *e = after(w, between(w, 1000, 120000), -1, on_joined);
    e->a = a;
    e->b = b;
}

static void jump(struct world *w)
{
    struct device *d = &w->devices[chance(w, DEVICES)];
    static const int64_t by_ms[] = { 0, 60 * 1000, -60 * 1000, 3 * 3600 * 1000, -3 * 3600 * 1000 };
    d->skew_ms = by_ms[chance(w, ARRAY_COUNT(by_ms))];
    trace(w, "the clock of %s is wrong by %lld ms", node_name(d->node), (long long)d->skew_ms);
}

static void on_fault(struct world *w, struct event *e)
{
    (void)e;
    if (w->calm)
        return;
    int node = (int)chance(w, NODES + DEVICES) % NODES; /* devices twice as often as shops */
    switch (chance(w, 10)) {
    case 0:
    case 1:
        node_stop(w, node, false);
        break;
    case 2:
        node_stop(w, node, true);
        break;
    case 3:
    case 4:
    case 5:
        if (w->up[node])
            disk_arm((unsigned)node, 1 + chance(w, 24), &w->rng.rng);
        break;
    case 6:
        part(w);
        break;
    case 7:
    case 8:
        directory_fault(w);
        break;
    default:
        jump(w);
        break;
    }
    after(w, between(w, 200, 20000), -1, on_fault);
}

void faults_start(struct world *w) { after(w, between(w, 200, 20000), -1, on_fault); }
