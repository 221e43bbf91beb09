/* What must be true after every event, read from the databases by connections of its own:
 *
 *   kept    what a device was told to be safe is in its vault; what a shop answered is in its database (a vault knows no serial and holds no
 *           license that its issuer does not know)
 *   once    a serial is stored in one vault, the one that it names; there are never more licenses that play than were bought and copied; a moved
 *           license does not play where it came from; a purchase is posted once
 *   rights  whoever holds a license bought it or was given a certificate; of a household, nobody else
 *   money   every posting is even, and what accounts owe is what was bought and copied */
#include "world.h"

#include <sqlite3.h>

#define ROWS_MAX 128

struct license { /* of a vault, or of a shop for a client */
    uint8_t issuer[32], license_id[16], client[32];
    int64_t sequence, issued_ms;
    int state;
};
struct certificate { /* of a shop */
    uint8_t serial[16], license_id[16], source[32], destination[32];
    bool move;
    int state;
    int64_t charge, edition, issued_ms;
};
struct serial { /* of a vault, as destination */
    uint8_t issuer[32], serial[16];
    int state;
    bool move;
};
struct move { /* of a vault, as source */
    uint8_t issuer[32], serial[16], license_id[16];
    int64_t sequence;
    int state;
};
enum { OF_LICENSES, OF_SERIALS, OF_MOVES, OF_CERTIFICATES = OF_SERIALS, OF_MONEY = OF_MOVES, OF_COUNT };
struct view {
    sqlite3 *db;
    sqlite3_stmt *statements[OF_COUNT];
    struct license licenses[ROWS_MAX];
    struct certificate certificates[ROWS_MAX];
    struct serial serials[ROWS_MAX];
    struct move moves[ROWS_MAX];
    int license_count, certificate_count, serial_count, move_count;
    int64_t sold, copies_sold, refunded, renewed, uneven, owed;
};
struct known { /* was acknowledged */
    int device;
    uint8_t issuer[32], license_id[16];
    int64_t sequence;
};
struct promises {
    struct view views[DIRECTORY_NODE];
    struct known known[ROWS_MAX];
    int known_count;
};

struct promises *promises_new(void)
{
    struct promises *p = calloc(1, sizeof(*p));
    MUST(p);
    return p;
}

void promises_free(struct promises *p) { free(p); }

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

static const char *const of_vault[OF_COUNT] = {
    "SELECT issuer, license_id, sequence, state, issued_ms FROM license",
    "SELECT issuer, serial, state, move FROM certificate",
    "SELECT issuer, serial, license_id, sequence, state FROM move",
};
static const char *const of_shop[OF_COUNT] = {
    "SELECT client, license_id, sequence, state, issued_ms FROM license",
    "SELECT serial, license_id, source, destination, move, state, charge, edition, issued_ms FROM certificate",
    "SELECT (SELECT count(*) FROM posting WHERE kind = 1), (SELECT count(*) FROM posting WHERE kind = 2),"
    " (SELECT count(*) FROM posting WHERE kind = 6), (SELECT count(*) FROM posting WHERE kind = 3),"
    " (SELECT count(*) FROM (SELECT 1 FROM ledger GROUP BY posting HAVING sum(amount) <> 0)),"
    " (SELECT coalesce(-sum(amount), 0) FROM ledger WHERE account GLOB 'user:*')",
};

void promises_open(struct world *w, int node)
{
    struct view *v = &w->promises->views[node];
    const char *const *sql = node < DEVICES ? of_vault : of_shop;
    char path[160];
    if (node < DEVICES)
        (void)snprintf(path, sizeof(path), "%s/vault/vault.db", w->devices[node].dir);
    else
        (void)snprintf(path, sizeof(path), "%s/operations.db", (node == DEVICES ? &w->town.a : &w->town.b)->dir);
    MUST(sqlite3_open_v2(path, &v->db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    for (int i = 0; i < OF_COUNT; i++)
        MUST(sqlite3_prepare_v2(v->db, sql[i], -1, &v->statements[i], NULL) == SQLITE_OK);
    shared_open(w, node, v->db);
}

void promises_close(struct world *w, int node)
{
    struct view *v = &w->promises->views[node];
    shared_close(w, node);
    for (int i = 0; i < OF_COUNT; i++)
        sqlite3_finalize(steal(&v->statements[i]));
    MUST(sqlite3_close(steal(&v->db)) == SQLITE_OK);
}

static void blob(sqlite3_stmt *s, int column, uint8_t *out, int len)
{
    MUST(sqlite3_column_bytes(s, column) == len);
    memcpy(out, sqlite3_column_blob(s, column), (size_t)len);
}

static void read_license(struct view *v, sqlite3_stmt *s, const uint8_t *self, bool of_a_vault)
{
    MUST(v->license_count < ROWS_MAX);
    struct license *l = &v->licenses[v->license_count++];
    blob(s, 0, of_a_vault ? l->issuer : l->client, ID_BYTES);
    memcpy(of_a_vault ? l->client : l->issuer, self, ID_BYTES);
    blob(s, 1, l->license_id, 16);
    l->sequence = sqlite3_column_int64(s, 2);
    l->state = sqlite3_column_int(s, 3);
    l->issued_ms = sqlite3_column_int64(s, 4);
}

static void read_serial(struct view *v, sqlite3_stmt *s)
{
    MUST(v->serial_count < ROWS_MAX);
    struct serial *c = &v->serials[v->serial_count++];
    blob(s, 0, c->issuer, ID_BYTES);
    blob(s, 1, c->serial, 16);
    c->state = sqlite3_column_int(s, 2);
    c->move = sqlite3_column_int(s, 3);
}

static void read_move(struct view *v, sqlite3_stmt *s)
{
    MUST(v->move_count < ROWS_MAX);
    struct move *m = &v->moves[v->move_count++];
    blob(s, 0, m->issuer, ID_BYTES);
    blob(s, 1, m->serial, 16);
    blob(s, 2, m->license_id, 16);
    m->sequence = sqlite3_column_int64(s, 3);
    m->state = sqlite3_column_int(s, 4);
}

static void read_certificate(struct view *v, sqlite3_stmt *s)
{
    MUST(v->certificate_count < ROWS_MAX);
    struct certificate *c = &v->certificates[v->certificate_count++];
    blob(s, 0, c->serial, 16);
    blob(s, 1, c->license_id, 16);
    blob(s, 2, c->source, ID_BYTES);
    blob(s, 3, c->destination, ID_BYTES);
    c->move = sqlite3_column_int(s, 4);
    c->state = sqlite3_column_int(s, 5);
    c->charge = sqlite3_column_int64(s, 6);
    c->edition = sqlite3_column_int64(s, 7);
    c->issued_ms = sqlite3_column_int64(s, 8);
}

static void read_money(struct view *v, sqlite3_stmt *s)
{
    int64_t *const out[] = { &v->sold, &v->copies_sold, &v->refunded, &v->renewed, &v->uneven, &v->owed };
    for (int i = 0; i < (int)ARRAY_COUNT(out); i++)
        *out[i] = sqlite3_column_int64(s, i);
}

static void read_all(struct world *w, int node)
{
    struct view *v = &w->promises->views[node];
    bool of_a_vault = node < DEVICES;
    const uint8_t *self =
        of_a_vault ? w->devices[node].client.bytes : (node == DEVICES ? &w->town.a : &w->town.b)->keys->self.bytes;
    v->license_count = v->serial_count = v->move_count = v->certificate_count = 0;
    for (int i = 0; i < OF_COUNT; i++) {
        sqlite3_stmt *s = v->statements[i];
        int code;
        while ((code = sqlite3_step(s)) == SQLITE_ROW)
            if (i == OF_LICENSES)
                read_license(v, s, self, of_a_vault);
            else if (i == OF_SERIALS)
                (of_a_vault ? read_serial : read_certificate)(v, s);
            else
                (of_a_vault ? read_move : read_money)(v, s);
        MUST(code == SQLITE_DONE);
        sqlite3_reset(s);
    }
}

/* ---- finding ---------------------------------------------------------------------------------------------------------------- */

static const struct view *issuer_view(const struct world *w, const uint8_t *issuer)
{
    return &w->promises->views[SHOP_NODE(shop_of_issuer(w, issuer))];
}

static const struct certificate *find_certificate(const struct view *v, const uint8_t serial[16])
{
    for (int i = 0; i < v->certificate_count; i++)
        if (memcmp(v->certificates[i].serial, serial, 16) == 0)
            return &v->certificates[i];
    return NULL;
}

static const struct license *find_license(const struct view *v, const uint8_t *issuer, const uint8_t *license_id,
                                          const uint8_t *client)
{
    for (int i = 0; i < v->license_count; i++)
        if (memcmp(v->licenses[i].issuer, issuer, ID_BYTES) == 0 &&
            memcmp(v->licenses[i].license_id, license_id, 16) == 0 &&
            memcmp(v->licenses[i].client, client, ID_BYTES) == 0)
            return &v->licenses[i];
    return NULL;
}

int promises_license_state(struct world *w, int device, const uint8_t *issuer, const uint8_t license_id[16])
{
    read_all(w, device);
    const struct license *l =
        find_license(&w->promises->views[device], issuer, license_id, w->devices[device].client.bytes);
    return l ? l->state : 0;
}

int promises_acknowledged(struct world *w, int device, struct slice envelope)
{
    doc_License license;
    uint8_t signer[32];
    struct promises *p = w->promises;
    MUST(document_open(DOCUMENT_LICENSE, envelope, &license, sizeof(license), signer) == 0);
    MUST(p->known_count < ROWS_MAX);
    struct known *k = &p->known[p->known_count++];
    *k = (struct known){ .device = device, .sequence = (int64_t)license.sequence };
    memcpy(k->issuer, license.issuer, ID_BYTES);
    memcpy(k->license_id, license.license_id, 16);
    for (int i = 0; i < CONTENTS; i++)
        if (id_equal(&w->contents[i].id, license.content))
            return i;
    broken("a license for a content that nobody has published");
}

/* ---- judging ------------------------------------------------------------------------------------------------------------------ */

/* One vault against the issuers of what is in it. */
static bool is_removed(const struct world *w, const uint8_t *client)
{
    for (int device = 0; device < DEVICES; device++)
        if (memcmp(w->devices[device].client.bytes, client, ID_BYTES) == 0)
            return w->removing[device];
    return false;
}

/* A move that was let go by a device which was lost then, and whose license was given again elsewhere: nobody can call it back. */
static bool is_of_lost(const struct world *w, const struct certificate *c)
{
    return c->move && c->state == 3 && is_removed(w, c->source);
}

static void check_vault(struct world *w, int device)
{
    const struct view *v = &w->promises->views[device];
    const uint8_t *self = w->devices[device].client.bytes;
    for (int i = 0; i < v->serial_count; i++) {
        const struct serial *s = &v->serials[i];
        const struct certificate *c = find_certificate(issuer_view(w, s->issuer), s->serial);
        if (!c)
            broken("%s knows a serial that its issuer has not issued", node_name(device));
        if (memcmp(c->destination, self, ID_BYTES) != 0)
            broken("%s has taken a certificate for somebody else", node_name(device));
        if (s->state == 2 && c->state == 3 && !is_of_lost(w, c))
            broken("%s has stored what its issuer took back", node_name(device));
    }
    for (int i = 0; i < v->license_count; i++) {
        const struct license *l = &v->licenses[i];
        const struct view *issuer = issuer_view(w, l->issuer);
        bool rightful = find_license(issuer, l->issuer, l->license_id, self) != NULL;
        for (int j = 0; j < issuer->certificate_count && !rightful; j++)
            rightful = memcmp(issuer->certificates[j].destination, self, ID_BYTES) == 0 &&
                       memcmp(issuer->certificates[j].license_id, l->license_id, 16) == 0;
        if (!rightful)
            broken("%s holds a license that its issuer did not give it", node_name(device));
    }
    for (int i = 0; i < v->move_count; i++) {
        const struct move *m = &v->moves[i];
        const struct license *l = find_license(v, m->issuer, m->license_id, self);
        MUST(l);
        if (m->state != 3 && l->state == 1 && l->sequence <= m->sequence)
            broken("%s plays what it has moved away", node_name(device));
    }
}

static void check_known(struct world *w)
{
    struct promises *p = w->promises;
    for (int i = 0; i < p->known_count; i++) {
        const struct known *k = &p->known[i];
        if (!w->up[k->device])
            continue;
        const struct license *l =
            find_license(&p->views[k->device], k->issuer, k->license_id, w->devices[k->device].client.bytes);
        if (!l || l->sequence < k->sequence)
            broken("%s has lost a license that was acknowledged", node_name(k->device));
    }
}

/* A move is here or there. */
static void check_moved(struct world *w, int device)
{
    const struct view *v = &w->promises->views[device];
    for (int i = 0; i < v->serial_count; i++) {
        const struct serial *s = &v->serials[i];
        if (s->state != 2)
            continue;
        const struct certificate *c = find_certificate(issuer_view(w, s->issuer), s->serial);
        for (int other = 0; other < DEVICES; other++) {
            const struct view *o = &w->promises->views[other];
            for (int j = 0; other != device && j < o->serial_count; j++)
                if (o->serials[j].state == 2 && memcmp(o->serials[j].serial, s->serial, 16) == 0)
                    broken("a certificate was stored by %s and %s", node_name(device), node_name(other));
            bool released = false;
            if (!s->move || memcmp(w->devices[other].client.bytes, c->source, ID_BYTES) != 0)
                continue;
            for (int j = 0; j < o->move_count; j++)
                released = released || (memcmp(o->moves[j].serial, s->serial, 16) == 0 && o->moves[j].state != 3);
            if (!released)
                broken("a move has arrived at %s, and %s has not let it go", node_name(device), node_name(other));
        }
    }
}

/* Nothing new for a device that the shop knows to be removed. */
static void check_removed(struct world *w, int shop)
{
    const struct view *v = &w->promises->views[SHOP_NODE(shop)];
    for (int device = 0; device < DEVICES; device++) {
        int64_t since_ms = w->removed_ms[device][shop];
        const uint8_t *client = w->devices[device].client.bytes;
        for (int i = 0; since_ms != 0 && i < v->certificate_count; i++)
            if (v->certificates[i].issued_ms > since_ms &&
                (memcmp(v->certificates[i].destination, client, ID_BYTES) == 0 ||
                 memcmp(v->certificates[i].source, client, ID_BYTES) == 0))
                broken("%s certifies for %s, which was removed", node_name(SHOP_NODE(shop)), node_name(device));
        for (int i = 0; since_ms != 0 && i < v->license_count; i++)
            if (v->licenses[i].issued_ms > since_ms && memcmp(v->licenses[i].client, client, ID_BYTES) == 0)
                broken("%s licenses %s, which was removed", node_name(SHOP_NODE(shop)), node_name(device));
    }
}

static void check_sums(struct world *w, int shop)
{
    const struct promises *p = w->promises;
    const struct view *v = &p->views[SHOP_NODE(shop)];
    int64_t begun[2] = { 0 }, granted[2] = { 0 }; /* bought, renewed */
    for (int i = 0; i < w->purchase_count; i++) {
        const struct purchase *b = &w->purchases[i];
        begun[b->renewal] += b->shop == shop && (!b->finished || b->granted);
        granted[b->renewal] += b->shop == shop && b->granted;
    }
    if (v->uneven != 0)
        broken("%s has a posting that is not even", node_name(SHOP_NODE(shop)));
    if (v->sold < granted[0] || v->renewed < granted[1])
        broken("%s has sold %lld, and devices have bought %lld; it has renewed %lld, and they have renewed %lld",
               node_name(SHOP_NODE(shop)), (long long)v->sold, (long long)granted[0], (long long)v->renewed,
               (long long)granted[1]);
    if (v->sold > begun[0] || v->renewed > begun[1])
        broken("%s has charged %lld purchases, and %lld were begun; %lld renewals of %lld", node_name(SHOP_NODE(shop)),
               (long long)v->sold, (long long)begun[0], (long long)v->renewed, (long long)begun[1]);
    if (v->owed != v->sold * PRICE + v->renewed * RENEW_PRICE + (v->copies_sold - v->refunded) * COPY_PRICE)
        broken("%s is owed %lld for %lld sold, %lld copied and %lld given back", node_name(SHOP_NODE(shop)),
               (long long)v->owed, (long long)v->sold, (long long)v->copies_sold, (long long)v->refunded);
    for (int i = 0; i < CONTENTS; i++) {
        const struct content_fact *f = &w->contents[i];
        int64_t playing = 0, allowed = 0;
        if (f->shop != shop)
            continue;
        for (int device = 0; device < DEVICES;
             device++) /* what a lost device keeps nobody can take from it; another one may get it again */
            for (int j = 0; w->removed_ms[device][shop] == 0 && j < p->views[device].license_count; j++)
                playing += p->views[device].licenses[j].state == 1 &&
                           memcmp(p->views[device].licenses[j].license_id, f->license_id, 16) == 0;
        for (int j = 0; j < v->certificate_count; j++)
            allowed +=
                ((!v->certificates[j].move && v->certificates[j].state != 3) || is_of_lost(w, &v->certificates[j])) &&
                memcmp(v->certificates[j].license_id, f->license_id, 16) == 0;
        if (playing > allowed + w->sold[i])
            broken("%lld licenses play content %d, of which %lld were bought and %lld copied", (long long)playing, i,
                   (long long)w->sold[i], (long long)allowed);
    }
}

void promises_check(struct world *w)
{
    bool changed = false;
    for (int node = 0; node < DIRECTORY_NODE; node++)
        if (w->dirty[node] && w->up[node]) {
            read_all(w, node);
            shared_check(w, node);
            w->dirty[node] = false;
            changed = true;
        }
    if (!changed)
        return;
    for (int device = 0; device < DEVICES; device++) {
        check_vault(w, device);
        check_moved(w, device);
    }
    check_known(w);
    for (int shop = 0; shop < SHOPS; shop++) {
        check_sums(w, shop);
        check_removed(w, shop);
    }
}

/* ---- in the end ------------------------------------------------------------------------------------------------------------------- */

static const char *name_of(const struct world *w, const uint8_t *client)
{
    for (int device = 0; device < DEVICES; device++)
        if (id_equal(&w->devices[device].client, client))
            return node_name(device);
    return "somebody";
}

/* What its holder's vault has of it. */
static struct license held(const struct world *w, const struct license *l)
{
    for (int device = 0; device < DEVICES; device++) {
        const struct license *there =
            find_license(&w->promises->views[device], l->issuer, l->license_id, w->devices[device].client.bytes);
        if (there && memcmp(there->client, l->client, ID_BYTES) == 0)
            return *there;
    }
    return (struct license){ 0 };
}

/* The move was asked for an edition before; while it was judged, a license of the same content arrived by another move, and the vault, which has one
 * license of a content, gave that one away. Its issuer still has it, and gives it again to whoever asks (hearth restore). */
static bool is_to_be_restored(const struct world *w, const struct license *l, const struct license *there)
{
    const struct view *issuer = issuer_view(w, l->issuer);
    if (l->state > 2 || there->state != 3 || l->sequence != there->sequence)
        return false;
    for (int device = 0; device < DEVICES; device++)
        for (int i = 0; i < w->promises->views[device].move_count; i++) {
            const struct move *m = &w->promises->views[device].moves[i];
            const struct certificate *c = find_certificate(issuer, m->serial);
            if (c && m->state == 2 && m->sequence == l->sequence && c->edition < l->sequence &&
                memcmp(c->source, l->client, ID_BYTES) == 0 && memcmp(c->license_id, l->license_id, 16) == 0)
                return true;
        }
    return false;
}

static int content_of(const struct world *w, const struct license *l)
{
    int i = 0;
    while (i < CONTENTS - 1 && memcmp(w->contents[i].license_id, l->license_id, 16) != 0)
        i++;
    return i;
}

static const uint8_t *shop_self(const struct world *w, int shop)
{
    return (shop == 0 ? &w->town.a : &w->town.b)->keys->self.bytes;
}

static bool is_there_to_be_restored(const struct world *w, const struct license *l)
{
    struct license there = held(w, l);
    return is_to_be_restored(w, l, &there);
}

static bool moves_to_removed(const struct world *w, const struct view *v, const struct license *l)
{
    for (int i = 0; i < v->certificate_count; i++)
        if (v->certificates[i].state == 1 && memcmp(v->certificates[i].source, l->client, ID_BYTES) == 0 &&
            is_removed(w, v->certificates[i].destination))
            return true;
    return false;
}

/* A move that its source does not let out any more, because the key that signed it was withdrawn; a copy whose destination had not heard of the key that
 * signed it, or had heard that it was withdrawn, and which its source has given up: they end with their time. */
static bool is_of_changed_key(const struct world *w, int shop, const struct certificate *c)
{
    for (int i = 0; i < w->stolen_count; i++)
        if (w->stolen[i].shop == shop && w->stolen[i].purpose == KEY_LICENSE && c->move &&
            c->issued_ms <= w->stolen[i].known_ms)
            return true;
    return !c->move && (w->operators[0].has_changed_license_key || w->operators[1].has_changed_license_key);
}

static bool moves_by_withdrawn_key(const struct world *w, int shop, const struct license *l)
{
    const struct view *v = &w->promises->views[SHOP_NODE(shop)];
    for (int i = 0; i < v->certificate_count; i++)
        if (v->certificates[i].state == 1 && memcmp(v->certificates[i].source, l->client, ID_BYTES) == 0 &&
            memcmp(v->certificates[i].license_id, l->license_id, 16) == 0 &&
            is_of_changed_key(w, shop, &v->certificates[i]))
            return true;
    return false;
}

/* What the issuer has, and the vaults. What a removed device has not heard or said is left open. */
static void check_licenses_end(const struct world *w, int shop)
{
    const struct view *v = &w->promises->views[SHOP_NODE(shop)];
    for (int i = 0; i < v->license_count; i++) {
        const struct license *l = &v->licenses[i];
        struct license there = held(w, l);
        if (is_removed(w, l->client))
            continue;
        if (is_there_to_be_restored(w, l) || moves_by_withdrawn_key(w, shop, l))
            continue;
        if (l->state == 2 && !moves_to_removed(w, v, l))
            broken("%s has a move of edition %lld of content %d by %s, which has not ended; it has edition %lld as %d",
                   node_name(SHOP_NODE(shop)), (long long)l->sequence, content_of(w, l), name_of(w, l->client),
                   (long long)there.sequence, there.state);
        if (l->state != 2 && (l->state == 1) != (there.state == 1))
            broken("%s has edition %lld of content %d for %s as %d, and that has edition %lld as %d",
                   node_name(SHOP_NODE(shop)), (long long)l->sequence, content_of(w, l), name_of(w, l->client),
                   l->state, (long long)there.sequence, there.state);
    }
}

void promises_check_end(struct world *w)
{
    bool any_removed = false;
    for (int device = 0; device < DEVICES; device++)
        any_removed = any_removed || w->removing[device];
    for (int node = 0; node < DIRECTORY_NODE; node++)
        read_all(w, node);
    for (int shop = 0; shop < SHOPS; shop++) {
        const struct view *v = &w->promises->views[SHOP_NODE(shop)];
        int64_t granted = 0, left = 0, copied = 0, perhaps = 0;
        for (int i = 0; i < w->purchase_count; i++) {
            granted += w->purchases[i].shop == shop && w->purchases[i].granted;
            left += w->purchases[i].shop == shop && !w->purchases[i].finished;
        }
        MUST(left == 0 || any_removed);
        int64_t charged = v->sold + v->renewed;
        if (charged < granted || charged > granted + left)
            broken("%s has charged %lld purchases and renewals, and devices have %lld", node_name(SHOP_NODE(shop)),
                   (long long)charged, (long long)granted);
        check_licenses_end(w, shop);
        for (int i = 0; i < v->certificate_count; i++) {
            const struct certificate *c = &v->certificates[i];
            const struct license *source = find_license(v, shop_self(w, shop), c->license_id, c->source);
            if (c->state != 2 && c->state != 3 && !is_of_changed_key(w, shop, c) && !is_removed(w, c->source) &&
                !is_removed(w, c->destination) && !(c->move && source && is_there_to_be_restored(w, source)))
                broken("a certificate of %s by %s for %s has not ended: %d (%s, %lld ms)", node_name(SHOP_NODE(shop)),
                       name_of(w, c->source), name_of(w, c->destination), c->state, c->move ? "move" : "copy",
                       (long long)(c->issued_ms - TOWN_START_MS));
            bool paid = c->state != 3 && c->charge != 0;
            copied += paid && !is_removed(w, c->destination);
            perhaps += paid && is_removed(w, c->destination); /* its price may have come back when it was removed */
        }
        if (v->copies_sold - v->refunded < copied || v->copies_sold - v->refunded > copied + perhaps)
            broken("%s has charged %lld copies, and there are %lld", node_name(SHOP_NODE(shop)),
                   (long long)(v->copies_sold - v->refunded), (long long)copied);
    }
}

unsigned promises_copied(const struct world *w, bool move)
{
    unsigned count = 0;
    for (int shop = 0; shop < SHOPS; shop++) {
        const struct view *v = &w->promises->views[SHOP_NODE(shop)];
        for (int i = 0; i < v->certificate_count; i++)
            count += v->certificates[i].state == 2 && v->certificates[i].move == move;
    }
    return count;
}
