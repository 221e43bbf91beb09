/* The operators of the shops: operational keys are rotated while the shop serves, and one that was stolen is withdrawn; so is a partner. As
 * src/distributor/admin_keys.c and admin_partners.c, by a database connection of its own, and renew.c, step by step (rotation.h), so that the machine may stop between any two of them.
 *
 * Key files are files; of them it is not tried here what a loss of power does (base-file, distributor-keys). */
#include "distributor/findings.h"
#include "distributor/keys_age.h"
#include "distributor/rotation.h"
#include "thief.h"
#include "world.h"

enum { STEP_PREPARE, STEP_LIST, STEP_PLACE, STEP_GO_OVER };

static event_fn on_step;

static void next_step(struct world *w, int shop, int step, int64_t delay_ms)
{
    w->operators[shop].step = step;
    after(w, delay_ms, -1, on_step)->a = shop;
}

/* As another program of this machine opens it. */
static struct operations *open_beside(struct shop *s, struct keys **keys)
{
    struct operations *o;
    MUST(keys_load(keys, s->dir) == 0);
    MUST(operations_open(&o, s->dir, *keys, &s->town->rng.rng, 0) == 0);
    return o;
}

static void close_beside(struct operations *o, struct keys *keys)
{
    operations_close(o);
    keys_free(keys);
}

static bool prepare(struct world *w, int shop)
{
    struct operator* p = & w->operators[shop];
    struct shop *s = shop_at(w, shop);
    struct keys *keys = NULL;
    struct operations *o = open_beside(s, &keys);
    MUST(keys_prepare(keys, s->dir, &w->town.rng.rng, p->purpose) == 0);
    bool done = true;
    if (p->withdraws) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        MUST(transaction_begin(&t, o->store) == 0 && keyset_withdraw(o, p->former, w->town.now_ms) == 0);
        MUST(transaction_commit(&t) == 0);
        done = !node_failed(w, SHOP_NODE(shop));
    }
    close_beside(o, keys);
    return done;
}

static bool list(struct world *w, int shop)
{
    struct operator* p = & w->operators[shop];
    struct keys *keys = NULL;
    struct operations *o = open_beside(shop_at(w, shop), &keys);
    static doc_Keyset own;
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        MUST(transaction_begin(&t, o->store) == 0 && keyset_issue(o, w->town.now_ms) == 0);
        MUST(transaction_commit(&t) == 0);
    }
    bool done = !node_failed(w, SHOP_NODE(shop));
    if (done) {
        MUST(keyset_own(o, &own) == 0);
        w->key_changes++;
        p->has_changed_license_key = p->has_changed_license_key || p->purpose == KEY_LICENSE;
        w->withdrawals += p->withdraws;
        if (p->withdraws)
            thief_is_known(w, shop, p->former, own.sequence);
        trace(w, "%s lists its next key of purpose %d in keyset %llu", node_name(SHOP_NODE(shop)), (int)p->purpose,
              (unsigned long long)own.sequence);
    }
    close_beside(o, keys);
    return done;
}

static void place(struct world *w, int shop)
{
    struct keys *keys = NULL;
    bool changed;
    struct operations *o = open_beside(shop_at(w, shop), &keys);
    MUST(rotation_settle(o, &changed) == 0);
    close_beside(o, keys);
}

/* ---- the server ------------------------------------------------------------------------------------------------------------ */

static void sign_again(struct world *w, struct shop *s)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    MUST(transaction_begin_batch(&t, s->o->store) == 0 && rotation_sign_again(s->o, w->town.now_ms) == 0);
    MUST(transaction_commit(&t) == 0);
}

static void show(struct world *w, int shop)
{
    struct shop *s = shop_at(w, shop);
    struct buf *shown = &w->operators[shop].shown;
    buf_free(shown);
    *shown = buf(KEYSET_ENVELOPE_MAX);
    MUST(keyset_current(s->o, shown) == 0 && keyset_own(s->o, &s->keyset) == 0);
    for (int i = 1; i <= w->conn_count; i++) {
        struct conn *c = w->conns[i];
        if (c->ends[1] != SHOP_NODE(shop) || !c->open)
            continue;
        if (c->greeted == GREET_SERVER_READY)
            conn_send(w, i, SHOP_NODE(shop), msg_Type_KEYSET, 0, slice(NULL, 0), buf_slice(shown));
        else
            conn_break(w, i);
    }
}

/* Who is connected hears of the keyset before anything that a new key has signed. */
static bool go_over(struct world *w, int shop)
{
    struct shop *s = shop_at(w, shop);
    struct keys *keys = NULL;
    MUST(rotation_load(&keys, s->dir) == 0);
    show(w, shop);
    s->keys = keys; /* those of before: somebody may still have them in hand */
    s->o->keys = keys;
    sign_again(w, s);
    w->dirty[SHOP_NODE(shop)] = true;
    w->members[shop].rows_seen = UINT64_MAX; /* by the operator's connection: this one has not counted them */
    member_poke(w, shop);
    return !node_failed(w, SHOP_NODE(shop));
}

void operator_start(struct world *w, int shop)
{
    struct shop *s = shop_at(w, shop);
    struct keys *keys = NULL;
    MUST(rotation_load(&keys, s->dir) == 0);
    s->keys = keys;
    int r = operations_open(&s->o, s->dir, s->keys, &w->town.rng.rng, 0);
    if (r != 0)
        broken("the database of %s does not open: %d", s->dir, r);
    sign_again(w, s);
    show(w, shop);
}

bool operator_serves(struct world *w, int shop)
{
    int r = keys_usable(shop_at(w, shop)->o, w->town.now_ms);
    MUST(r == 0 || r == -EKEYREVOKED);
    return r == 0;
}

/* ---- what they do ------------------------------------------------------------------------------------------------------------ */

static void begin(struct world *w, int shop)
{
    struct operator* p = & w->operators[shop];
    const struct keys *keys = shop_at(w, shop)->keys;
    p->purpose = (enum key_purpose)(KEY_TLS + chance(w, KEYS_PURPOSES));
    p->withdraws = chance(w, 2);
    memcpy(p->former, keys_public(keys, p->purpose), sizeof(p->former));
    trace(w, "%s %s its key of purpose %d", node_name(SHOP_NODE(shop)), p->withdraws ? "withdraws" : "rotates",
          (int)p->purpose);
    if (p->withdraws)
        thief_steals(w, shop, p->purpose);
}

static void on_step(struct world *w, struct event *e)
{
    int shop = e->a;
    struct operator* p = & w->operators[shop];
    if (!w->up[SHOP_NODE(shop)]) {
        next_step(w, shop, p->step == STEP_GO_OVER ? STEP_PLACE : p->step, between(w, 1000, 5000));
        return;
    }
    switch (p->step) {
    case STEP_PREPARE:
        p->is_done = w->calm && !p->begun;
        if (p->is_done)
            break;
        if (!p->begun)
            begin(w, shop);
        p->begun = true;
        next_step(w, shop, prepare(w, shop) ? STEP_LIST : STEP_PREPARE, between(w, 1, 5000));
        break;
    case STEP_LIST:
        next_step(w, shop, list(w, shop) ? STEP_PLACE : STEP_LIST, between(w, 1, 3000));
        break;
    case STEP_PLACE:
        place(w, shop);
        next_step(w, shop, STEP_GO_OVER, between(w, 1, 3000));
        break;
    default:
        p->begun = false;
        if (!go_over(w, shop))
            next_step(w, shop, STEP_PLACE, between(w, 1000, 5000));
        else if (!w->calm)
            next_step(w, shop, STEP_PREPARE, between(w, 20000, 240000));
        else
            p->is_done = true;
        break;
    }
}

/* The other shop is no partner any more: what was delegated to it counts no longer, where the new keyset is known. */
static void on_part(struct world *w, struct event *e)
{
    int shop = e->a;
    struct operator* p = & w->operators[shop];
    static doc_Keyset own;
    struct keys *keys = NULL;
    bool told = false;
    if (!w->up[SHOP_NODE(shop)] || p->begun) {
        after(w, 5000, -1, on_part)->a = shop;
        return;
    }
    struct operations *o = open_beside(shop_at(w, shop), &keys);
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        MUST(transaction_begin(&t, o->store) == 0);
        MUST(delegations_partner_withdraw(o, &shop_at(w, 1 - shop)->keys->self, w->town.now_ms, &told) == 0);
        MUST(transaction_commit(&t) == 0 && told);
    }
    bool done = !node_failed(w, SHOP_NODE(shop));
    MUST(keyset_own(o, &own) == 0);
    close_beside(o, keys);
    if (!done || !go_over(w, shop)) {
        after(w, 5000, -1, on_part)->a = shop;
        return;
    }
    MUST(own.floors_count <= 1);
    p->floor = own.floors_count == 1 ? own.floors[0].lowest_sequence : 0; /* nothing was delegated to it */
    p->floor_sequence = own.sequence;
    w->partings++;
    trace(w, "%s parts with %s: delegations before %llu are over", node_name(SHOP_NODE(shop)),
          node_name(SHOP_NODE(1 - shop)), (unsigned long long)p->floor);
}

void operators_begin(struct world *w)
{
    if (w->seed % 5 == 2)
        after(w, between(w, 60000, 330000), -1, on_part)->a = (int)chance(w, SHOPS);
    for (int shop = 0; shop < SHOPS; shop++)
        if ((w->seed + (unsigned)shop) % 4 != 0) /* there are shops that change nothing */
            next_step(w, shop, STEP_PREPARE, between(w, 5000, 240000));
        else
            w->operators[shop].is_done = true;
}

/* Its next row: a keyset, as when half of the life of the one before is over. */
static void on_speak(struct world *w, struct event *e)
{
    int shop = e->a;
    struct keys *keys = NULL;
    if (!w->up[SHOP_NODE(shop)] || w->operators[shop].begun) {
        after(w, 1000, -1, on_speak)->a = shop;
        return;
    }
    struct operations *o = open_beside(shop_at(w, shop), &keys);
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        MUST(transaction_begin(&t, o->store) == 0 && keyset_issue(o, w->town.now_ms) == 0);
        MUST(transaction_commit(&t) == 0);
    }
    close_beside(o, keys);
    (void)go_over(w, shop);
    w->operators[shop].has_spoken = true;
}

void operators_calm(struct world *w)
{
    for (int shop = 0; shop < SHOPS; shop++) {
        w->operators[shop].has_spoken = !w->directory.left_out;
        if (w->directory.left_out)
            after(w, between(w, 60000, 90000), -1, on_speak)->a = shop;
    }
}

bool operators_are_done(const struct world *w)
{
    for (int shop = 0; shop < SHOPS; shop++)
        if (!w->operators[shop].has_spoken ||
            (!w->operators[shop].is_done && (w->operators[shop].begun || w->operators[shop].step != STEP_PREPARE)))
            return false;
    return true;
}

bool operator_has_withdrawn(const struct world *w, int shop, enum key_purpose purpose)
{
    for (int i = 0; i < w->stolen_count; i++)
        if (w->stolen[i].shop == shop && w->stolen[i].purpose == purpose)
            return true;
    return false;
}
