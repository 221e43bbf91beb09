/* What must be true of what is shared, read from the databases after every event:
 *
 *   sequence  the keyset of each distributor that anybody goes by never becomes an older one: vaults, shops
 *   chain     what a shop has taken of the other's rows is what that has in its outbox, row by row, however the directory may lie
 *
 * A shop that learns that a device was removed is held to it from then on (promises.c). */
#include <sqlite3.h>

#include "distributor/share_chain.h"
#include "world.h"

#define KNOWN_MAX 8

enum { OF_KEYSETS, OF_REVOKED, OF_HEAD, SHARED_COUNT };
struct known_keyset {
    uint8_t distributor[32];
    int64_t sequence;
};
struct shared_view {
    sqlite3_stmt *statements[SHARED_COUNT];
    struct known_keyset keysets[KNOWN_MAX];
    int keyset_count;
    int64_t taken; /* of the other shop's rows, as it was checked last */
};
struct shared_facts {
    struct shared_view views[DIRECTORY_NODE];
};

static const char *const of_vault[SHARED_COUNT] = { "SELECT distributor, keyset_sequence FROM distributor" };
static const char *const of_shop[SHARED_COUNT] = {
    "SELECT id, keyset_sequence, chain_sequence, chain_head FROM distributor",
    "SELECT client FROM client_user WHERE revoked = 1",
    "SELECT head FROM outbox WHERE sequence = ?1",
};

struct shared_facts *shared_new(void)
{
    struct shared_facts *f = calloc(1, sizeof(*f));
    MUST(f);
    return f;
}

void shared_open(struct world *w, int node, sqlite3 *db)
{
    struct shared_view *v = &w->shared->views[node];
    const char *const *sql = node < DEVICES ? of_vault : of_shop;
    for (int i = 0; i < SHARED_COUNT; i++)
        MUST(!sql[i] || sqlite3_prepare_v2(db, sql[i], -1, &v->statements[i], NULL) == SQLITE_OK);
}

void shared_close(struct world *w, int node)
{
    for (int i = 0; i < SHARED_COUNT; i++)
        sqlite3_finalize(steal(&w->shared->views[node].statements[i]));
}

/* ---- sequence ---------------------------------------------------------------------------------------------------------- */

static struct known_keyset *known_of(struct shared_view *v, const uint8_t *distributor)
{
    for (int i = 0; i < v->keyset_count; i++)
        if (memcmp(v->keysets[i].distributor, distributor, ID_BYTES) == 0)
            return &v->keysets[i];
    MUST(v->keyset_count < KNOWN_MAX);
    struct known_keyset *k = &v->keysets[v->keyset_count++];
    memcpy(k->distributor, distributor, ID_BYTES);
    return k;
}

int64_t shared_keyset(struct world *w, int node, const uint8_t *distributor)
{
    return known_of(&w->shared->views[node], distributor)->sequence;
}

static void check_sequence(struct world *w, int node, const uint8_t *distributor, int64_t sequence)
{
    struct known_keyset *k = known_of(&w->shared->views[node], distributor);
    if (sequence < k->sequence)
        broken("%s goes by keyset %lld, and knew %lld", node_name(node), (long long)sequence, (long long)k->sequence);
    k->sequence = sequence;
}

/* ---- chain --------------------------------------------------------------------------------------------------------------- */

/* of: the shop whose rows they are. */
static void check_chain(struct world *w, int node, int of, int64_t taken, const void *head)
{
    struct shared_view *v = &w->shared->views[node];
    if (taken < v->taken)
        broken("%s has taken %lld rows, and had %lld", node_name(node), (long long)taken, (long long)v->taken);
    sqlite3_stmt *s = w->shared->views[SHOP_NODE(of)].statements[OF_HEAD];
    if (taken == 0 || !s || !w->up[SHOP_NODE(of)]) /* when it is there again */
        return;
    v->taken = taken;
    MUST(sqlite3_bind_int64(s, 1, taken) == SQLITE_OK);
    if (sqlite3_step(s) != SQLITE_ROW)
        broken("%s has taken row %lld of %s, which has none", node_name(node), (long long)taken,
               node_name(SHOP_NODE(of)));
    if (memcmp(sqlite3_column_blob(s, 0), head, SHARE_CHAIN_BYTES) != 0)
        broken("%s has taken other rows up to %lld than %s has", node_name(node), (long long)taken,
               node_name(SHOP_NODE(of)));
    sqlite3_reset(s);
}

static void note_removed(struct world *w, int shop, sqlite3_stmt *s)
{
    while (sqlite3_step(s) == SQLITE_ROW)
        for (int i = 0; i < DEVICES; i++)
            if (w->removed_ms[i][shop] == 0 &&
                memcmp(sqlite3_column_blob(s, 0), w->devices[i].client.bytes, ID_BYTES) == 0)
                w->removed_ms[i][shop] = w->town.now_ms;
    sqlite3_reset(s);
}

void shared_check(struct world *w, int node)
{
    struct shared_view *v = &w->shared->views[node];
    sqlite3_stmt *s = v->statements[OF_KEYSETS];
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const uint8_t *distributor = sqlite3_column_blob(s, 0);
        check_sequence(w, node, distributor, sqlite3_column_int64(s, 1));
        for (int of = 0; node >= DEVICES && of < SHOPS; of++)
            if (of != node - DEVICES && id_equal(&shop_at(w, of)->keys->self, distributor))
                check_chain(w, node, of, sqlite3_column_int64(s, 2), sqlite3_column_blob(s, 3));
    }
    MUST(code == SQLITE_DONE);
    sqlite3_reset(s);
    if (node >= DEVICES)
        note_removed(w, node - DEVICES, v->statements[OF_REVOKED]);
}
