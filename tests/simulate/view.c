/* What vaults and shops have in their databases, read by connections of our own. */
#include "view.h"

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

void view_read(struct world *w, int node)
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

const struct view *view_of_issuer(const struct world *w, const uint8_t *issuer)
{
    return &w->promises->views[SHOP_NODE(shop_of_issuer(w, issuer))];
}

const struct certificate *view_certificate(const struct view *v, const uint8_t serial[16])
{
    for (int i = 0; i < v->certificate_count; i++)
        if (memcmp(v->certificates[i].serial, serial, 16) == 0)
            return &v->certificates[i];
    return NULL;
}

const struct license *view_license(const struct view *v, const uint8_t *issuer, const uint8_t *license_id,
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
    view_read(w, device);
    const struct license *l =
        view_license(&w->promises->views[device], issuer, license_id, w->devices[device].client.bytes);
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

bool view_is_removed(const struct world *w, const uint8_t *client)
{
    for (int device = 0; device < DEVICES; device++)
        if (memcmp(w->devices[device].client.bytes, client, ID_BYTES) == 0)
            return w->removing[device];
    return false;
}
