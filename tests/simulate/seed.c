/* The world of a seed: made once, with what is there before any seed; then what people wish, until all has settled. */
#include "seed.h"

#include <sys/stat.h>

#include "base/secret.h"
#include "crypto/body.h"
#include "disk.h"

#define TROUBLE_MS (6 * 60 * 1000) /* as long as things go wrong */
#define SETTLED_MS (8 * TOWN_DAY_MS)
#define EVENTS_MAX 400000

/* Figures of a seed, in the order of their names. */
enum {
    EVENTS,
    KILLED,
    POWERLESS,
    LOST,
    REPEATED,
    BOUGHT,
    COPIED,
    MOVED,
    DIRECTORY_FAULTS,
    PUT_BACK,
    LIES,
    KEY_CHANGES,
    WITHDRAWALS,
    THEFTS,
    RESTORED,
    PARTINGS,
    RENEWED,
    FIGURES_END
};
_Static_assert(FIGURES_END == SEED_FIGURES, "each has a name");
const char *const seed_figure_names[SEED_FIGURES] = {
    "events",
    "killed",
    "without power",
    "lost",
    "repeated",
    "bought",
    "copied",
    "moved",
    "faults of the directory",
    "put back",
    "lies",
    "key changes",
    "keys withdrawn",
    "tries of thieves",
    "restored",
    "partners withdrawn",
    "renewed",
};

static char place[64];

/* ---- before any seed: shops, accounts, contents ------------------------------------------------------------------- */

static void publish(struct world *w)
{
    for (int i = 0; i < CONTENTS; i++) {
        struct content_fact *f = &w->contents[i];
        char title[16];
        f->shop = i / 2;
        struct shop *s = f->shop == 0 ? &w->town.a : &w->town.b;
        (void)snprintf(title, sizeof(title), "Track %d", i);
        struct product product = { .name = "Purchase", .price = PRICE, .copy_price = COPY_PRICE };
        product.conditions.max_copies = 2;
        product.conditions.copy_depth = product.conditions.max_removable = 1;
        if (i % 2 == 1) { /* for some time, and renewed */
            product.has_usage_for_ms = product.has_renew_price = true;
            product.usage_for_ms = 300 * TOWN_DAY_MS;
            product.renew_price = RENEW_PRICE;
        }
        f->id = shop_publish_as(s, title, &product);
        shop_license_id(s, &f->id, f->license_id);
        f->info = buf(BODY_INFO_MAX);
        vault_body_head(s, &f->id, &f->info, f->list_root);
    }
}

/* Two people of one household, whose accounts are linked, and one who has nothing to do with them. */
static void people(struct world *w)
{
    struct gadget anna, bert;
    shop_user(&w->town.a, "anna", 100000);
    shop_user(&w->town.b, "bert", 100000);
    shop_user(&w->town.a, "carl", 100000);
    gadget_init(&w->town, &anna, "a phone");
    gadget_init(&w->town, &bert, "another");
    MUST(gadget_register(&w->town.a, &anna, "anna", TOWN_PASSWORD) == 0);
    MUST(gadget_register(&w->town.b, &bert, "bert", TOWN_PASSWORD) == 0);
    town_link(&w->town, &anna, &bert);
    gadget_deinit(&anna);
    gadget_deinit(&bert);
}

struct world *seed_prepare(const char *in)
{
    (void)snprintf(place, sizeof(place), "%s", in);
    struct world *w = calloc(1, sizeof(*w));
    MUST(w);
    disk_init();
    town_init(&w->town);
    disk_add(SHOP_NODE(0), w->town.a.dir);
    disk_add(SHOP_NODE(1), w->town.b.dir);
    town_shop_init(&w->town, &w->directory.shop, "Cosmos");
    disk_add(DIRECTORY_NODE, w->directory.shop.dir);
    for (int i = 0; i < SHOPS; i++) {
        town_befriend(shop_at(w, i), &w->directory.shop, "Cosmos");
        town_befriend(&w->directory.shop, shop_at(w, i), node_name(SHOP_NODE(i)));
    }
    directory_make(w);
    for (int i = 0; i < SHOPS; i++) /* they have seen its newest keyset */
        town_meet(shop_at(w, i), &w->directory.shop);
    people(w);
    publish(w);
    static const int homes[DEVICES] = { 0, 0, 1, 1, 0 };
    static const char *const users[DEVICES] = { "anna", "anna", "bert", "bert", "carl" };
    for (int i = 0; i < DEVICES; i++) {
        struct device *d = &w->devices[i];
        d->node = i;
        d->home = homes[i];
        d->user = users[i];
        (void)snprintf(d->dir, sizeof(d->dir), "%s/%d", place, i);
        char vault[128];
        (void)snprintf(vault, sizeof(vault), "%s/vault", d->dir);
        MUST(mkdir(d->dir, 0700) == 0 && mkdir(vault, 0700) == 0);
        disk_add((unsigned)i, d->dir);
        device_make(w, d);
    }
    shop_stop(w, 0);
    shop_stop(w, 1);
    operations_close(steal(&w->directory.shop.o));
    return w;
}

/* ---- one seed ------------------------------------------------------------------------------------------------------- */

/* The write-ahead log into the database, as the server does beside its writer. */
static void on_checkpoint(struct world *w, struct event *e)
{
    for (int shop = 0; shop < SHOPS; shop++)
        if (w->up[SHOP_NODE(shop)]) {
            uint64_t pages;
            MUST(store_checkpoint((shop == 0 ? &w->town.a : &w->town.b)->o->store, &pages) == 0);
            (void)node_failed(w, SHOP_NODE(shop));
        }
    after(w, between(w, 1000, 60000), -1, e->run);
}

/* Mostly of what is there, and to whom it may go. */
static void wish_copy(struct world *w, bool move)
{
    struct device *d = &w->devices[chance(w, DEVICES)];
    int content = (int)chance(w, CONTENTS), to = (int)chance(w, chance(w, 8) == 0 ? DEVICES : DEVICES - 1);
    for (int i = 0; i < 10 && (!w->up[d->node] || !d->body[content] || to == d->node); i++) {
        d = &w->devices[chance(w, DEVICES)];
        content = (int)chance(w, CONTENTS);
    }
    device_wish_copy(w, d, content, to, move);
}

static void on_wish(struct world *w, struct event *e)
{
    struct device *d = &w->devices[chance(w, DEVICES)];
    if (w->calm)
        return;
    switch (chance(w, 12)) {
    case 0:
    case 1:
        device_wish_purchase(w, d, d->home * 2 + (int)chance(w, 2), false);
        break;
    case 2:
    case 3:
    case 4:
        wish_copy(w, false);
        break;
    case 5:
    case 6:
    case 7:
        wish_copy(w, true);
        break;
    case 8:
        copies_cancel(w, d);
        break;
    case 10:
        device_wish_purchase(w, d, d->home * 2 + 1, true);
        break;
    case 9:
        device_wish_restore(w, d, d->home * 2 + (int)chance(w, 2));
        break;
    default:
        incoming_cancel(w, d);
        break;
    }
    if (w->seed % 3 == 0 && chance(w, 50) == 0) /* anna-1 removes anna-2, or bert-1 bert-2 */
        device_wish_removal(w, &w->devices[w->seed % 2 * 2], (int)(w->seed % 2 * 2) + 1);
    after(w, between(w, 100, 8000), -1, e->run);
}

static void on_calm(struct world *w, struct event *e)
{
    (void)e;
    trace(w, "nothing goes wrong any more");
    w->calm = true;
    memset(w->apart, 0, sizeof(w->apart));
    for (int i = 0; i < DEVICES; i++)
        w->devices[i].skew_ms = 0;
    operators_calm(w);
    directory_calm(w);
    for (int i = 0; i < NODES; i++)
        disk_arm((unsigned)i, 0, NULL);
}

/* What has not come to its end; NULL: nothing. */
static const char *unsettled(struct world *w)
{
    for (int i = 0; i < NODES; i++) {
        if (!w->up[i])
            return "a machine is down";
        if (i < DEVICES && !w->removing[i] && !device_is_idle(w, &w->devices[i]))
            return node_name(i);
    }
    if (!operators_are_done(w))
        return "keys are still changed";
    return members_have_settled(w) ? NULL : "rows are still shared";
}

/* Its keys are files, and change: this seed has copies of its own. */
static void move_in(struct world *w, uint64_t seed)
{
    char command[512];
    for (int i = 0; i < SHOPS; i++) {
        struct shop *s = shop_at(w, i);
        char to[128];
        (void)snprintf(to, sizeof(to), "%s/%llu-%d", place, (unsigned long long)seed, i);
        (void)snprintf(command, sizeof(command), "mkdir '%s' && cp -a '%s/keys' '%s/operations.db' '%s/'", to, s->dir,
                       s->dir, to);
        MUST(system(command) == 0);
        disk_move((unsigned)SHOP_NODE(i), to);
        MUST(strlen(to) < sizeof(s->dir));
        memcpy(s->dir, to, strlen(to) + 1);
    }
}

static void move_out(struct world *w)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "rm -rf '%s' '%s'", w->town.a.dir, w->town.b.dir);
    MUST(system(command) == 0);
}

static void begin(struct world *w, uint64_t seed)
{
    w->seed = seed;
    move_in(w, seed);
    w->promises = promises_new();
    w->shared = shared_new();
    w->digest = calloc(1, sizeof(*w->digest));
    MUST(w->digest && sha256_init(w->digest) == 0);
    rng_fake_init(&w->rng, seed);
    rng_fake_init(&w->town.rng, seed ^ UINT64_C(0x5eed));
    w->town.now_ms += 1000;
    for (int i = 0; i < NODES; i++)
        w->halted[i] = w->up[i] = true;
    for (int i = 0; i < DEVICES; i++)
        rng_fake_init(&w->devices[i].rng, seed * 16 + (unsigned)i);
    node_start(w, DIRECTORY_NODE);
    for (int i = 0; i < SHOPS; i++)
        node_start(w, SHOP_NODE(i));
    for (int i = 0; i < DEVICES; i++)
        node_start(w, i);
    for (int i = 0; i < NODES; i++) {
        w->halted[i] = false;
        w->dirty[i] = true;
    }
    after(w, 1000, -1, on_checkpoint);
    after(w, 1000, -1, on_wish);
    after(w, TROUBLE_MS, -1, on_calm);
    operators_begin(w);
    thief_begin(w);
    faults_start(w);
}

static uint64_t bought(const struct world *w)
{
    uint64_t count = 0;
    for (int i = 0; i < w->purchase_count; i++)
        count += w->purchases[i].granted;
    return count;
}

static uint64_t figure(const struct world *w, int which)
{
    switch (which) {
    case EVENTS:
        return w->events_run;
    case KILLED:
        return w->restarts;
    case POWERLESS:
        return w->power_losses;
    case LOST:
        return w->lost;
    case REPEATED:
        return w->repeated;
    case BOUGHT:
        return bought(w);
    case COPIED:
    case MOVED:
        return promises_copied(w, which == MOVED);
    case DIRECTORY_FAULTS:
        return w->directory_faults;
    case PUT_BACK:
        return w->put_back;
    case LIES:
        return w->lies;
    case KEY_CHANGES:
        return w->key_changes;
    case WITHDRAWALS:
        return w->withdrawals;
    case THEFTS:
        return w->thefts;
    case RESTORED:
        return w->restored;
    case PARTINGS:
        return w->partings;
    default:
        return w->renewed;
    }
}

void seed_run(struct world *w, uint64_t seed, bool with_trace)
{
    uint8_t digest[32];
    int64_t settled_ms = 0;
    w->trace = with_trace;
    begin(w, seed);
    while (world_step(w)) {
        if (w->town.now_ms - TOWN_START_MS > SETTLED_MS || w->events_run >= EVENTS_MAX)
            broken("it does not come to an end: %s", unsettled(w));
        if (!w->calm || w->events_run % 64 != 0)
            continue;
        bool settled = !unsettled(w);
        settled_ms = settled && settled_ms == 0 ? w->town.now_ms : settled ? settled_ms : 0;
        if (settled && w->town.now_ms - settled_ms > 10 * 60 * 1000)
            break;
    }
    promises_check_end(w);
    move_out(w);
    sha256_final(w->digest, digest);
    (void)printf("seed %llu:", (unsigned long long)seed);
    for (int i = 0; i < SEED_FIGURES; i++)
        (void)printf(" %llu %s,", (unsigned long long)figure(w, i), seed_figure_names[i]);
    (void)printf(" trace %02x%02x%02x%02x\n", digest[0], digest[1], digest[2], digest[3]);
}

void seed_clean(const struct world *w)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "rm -rf '%s' '%s' '%s' '%s'", place, w->town.a.dir, w->town.b.dir,
                   w->directory.shop.dir);
    if (system(command) != 0)
        (void)fprintf(stderr, "%s stays\n", place);
}
