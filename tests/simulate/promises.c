/* What must be true after every event, read from the databases by connections of its own:
 *
 *   kept    what a device was told to be safe is in its vault; what a shop answered is in its database (a vault knows no serial and holds no
 *           license that its issuer does not know)
 *   once    a serial is stored in one vault, the one that it names; there are never more licenses that play than were bought and copied; a moved
 *           license does not play where it came from; a purchase is posted once
 *   rights  whoever holds a license bought it or was given a certificate; of a household, nobody else
 *   money   every posting is even, and what accounts owe is what was bought and copied */
#include "view.h"

/* A move that was let go by a device which was lost then, and whose license was given again elsewhere: nobody can call it back. */
static bool is_of_lost(const struct world *w, const struct certificate *c)
{
    return c->move && c->state == 3 && view_is_removed(w, c->source);
}

/* One vault against the issuers of what is in it. */
static void check_vault(struct world *w, int device)
{
    const struct view *v = &w->promises->views[device];
    const uint8_t *self = w->devices[device].client.bytes;
    for (int i = 0; i < v->serial_count; i++) {
        const struct serial *s = &v->serials[i];
        const struct certificate *c = view_certificate(view_of_issuer(w, s->issuer), s->serial);
        if (!c)
            broken("%s knows a serial that its issuer has not issued", node_name(device));
        if (memcmp(c->destination, self, ID_BYTES) != 0)
            broken("%s has taken a certificate for somebody else", node_name(device));
        if (s->state == 2 && c->state == 3 && !is_of_lost(w, c))
            broken("%s has stored what its issuer took back", node_name(device));
    }
    for (int i = 0; i < v->license_count; i++) {
        const struct license *l = &v->licenses[i];
        const struct view *issuer = view_of_issuer(w, l->issuer);
        bool rightful = view_license(issuer, l->issuer, l->license_id, self) != NULL;
        for (int j = 0; j < issuer->certificate_count && !rightful; j++)
            rightful = memcmp(issuer->certificates[j].destination, self, ID_BYTES) == 0 &&
                       memcmp(issuer->certificates[j].license_id, l->license_id, 16) == 0;
        if (!rightful)
            broken("%s holds a license that its issuer did not give it", node_name(device));
    }
    for (int i = 0; i < v->move_count; i++) {
        const struct move *m = &v->moves[i];
        const struct license *l = view_license(v, m->issuer, m->license_id, self);
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
            view_license(&p->views[k->device], k->issuer, k->license_id, w->devices[k->device].client.bytes);
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
        const struct certificate *c = view_certificate(view_of_issuer(w, s->issuer), s->serial);
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
            view_read(w, node);
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
