/* What must be true when all is calm and has ended: what was begun has its outcome, who paid has what was paid, and nothing sleeps that nobody wakes.
 * After every event: promises.c. */
#include "view.h"

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
            view_license(&w->promises->views[device], l->issuer, l->license_id, w->devices[device].client.bytes);
        if (there && memcmp(there->client, l->client, ID_BYTES) == 0)
            return *there;
    }
    return (struct license){ 0 };
}

/* The move was asked for an edition before; while it was judged, a license of the same content arrived by another move, and the vault, which has one
 * license of a content, gave that one away. Its issuer still has it, and gives it again to whoever asks (hearth restore). */
static bool is_to_be_restored(const struct world *w, const struct license *l, const struct license *there)
{
    const struct view *issuer = view_of_issuer(w, l->issuer);
    if (l->state > 2 || there->state != 3 || l->sequence != there->sequence)
        return false;
    for (int device = 0; device < DEVICES; device++)
        for (int i = 0; i < w->promises->views[device].move_count; i++) {
            const struct move *m = &w->promises->views[device].moves[i];
            const struct certificate *c = view_certificate(issuer, m->serial);
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
            view_is_removed(w, v->certificates[i].destination))
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
        if (view_is_removed(w, l->client))
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
        view_read(w, node);
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
            const struct license *source = view_license(v, shop_self(w, shop), c->license_id, c->source);
            if (c->state != 2 && c->state != 3 && !is_of_changed_key(w, shop, c) && !view_is_removed(w, c->source) &&
                !view_is_removed(w, c->destination) && !(c->move && source && is_there_to_be_restored(w, source)))
                broken("a certificate of %s by %s for %s has not ended: %d (%s, %lld ms)", node_name(SHOP_NODE(shop)),
                       name_of(w, c->source), name_of(w, c->destination), c->state, c->move ? "move" : "copy",
                       (long long)(c->issued_ms - TOWN_START_MS));
            bool paid = c->state != 3 && c->charge != 0;
            copied += paid && !view_is_removed(w, c->destination);
            perhaps +=
                paid && view_is_removed(w, c->destination); /* its price may have come back when it was removed */
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
