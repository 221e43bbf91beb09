/* How the source of a copy gets its certificate from the issuer, and what it makes of one. As src/daemon's copy_ask.c. */
#include "device.h"

static void submit(struct world *w, struct device *d, struct copy *c, struct slice use)
{
    const struct copy_out_subject *about = &c->m.about;
    msg_Item item = msg_Item_init_zero;
    item.has_copy = true;
    memcpy(item.copy.content, about->content.bytes, ID_BYTES);
    memcpy(item.copy.license_id, about->license_id, sizeof(about->license_id));
    memcpy(item.copy.destination, about->destination.bytes, ID_BYTES);
    item.copy.move = about->move;
    item.copy.has_use = use.len > 0;
    MUST(CODEC_SET_BYTES(item.copy.use, use) == 0);
    service_submit(w, d, shop_of_issuer(w, about->issuer.bytes), &item, c->number);
}

static void on_use(struct world *w, struct event *e)
{
    struct device *d = &w->devices[e->node];
    struct copy *c = copy_of(w, e);
    vlt_UseSigned use;
    if (!c)
        return;
    enum reason why = event_reason(e, vlt_Type_USE_SIGNED);
    if (why != REASON_NONE) {
        copy_out_denied(&c->m, why, NULL);
        copy_go(w, d, c);
        return;
    }
    MUST(CODEC_DECODE(vlt_UseSigned, buf_slice(&e->message), &use) == 0);
    if (d->services[shop_of_issuer(w, c->m.about.issuer.bytes)].stage == TXN_IDLE)
        submit(w, d, c, CODEC_BYTES(use.use));
    else
        c->waits = true;
}

void copy_ask(struct world *w, struct device *d, struct copy *c)
{
    int shop = shop_of_issuer(w, c->m.about.issuer.bytes);
    struct service *s = &d->services[shop];
    c->waits = !s->ready || s->stage != TXN_IDLE || s->quoting;
    if (shop != d->home && !s->wanted) {
        s->wanted = true;
        device_visit(w, d, shop);
    }
    if (c->waits)
        return;
    if (!s->presented) {
        copy_out_denied(&c->m, REASON_NOT_REGISTERED, NULL);
        copy_go(w, d, c);
    } else if (c->m.about.move) {
        vlt_UseSign sign = { .give_back = false };
        memcpy(sign.issuer, c->m.about.issuer.bytes, ID_BYTES);
        memcpy(sign.license_id, c->m.about.license_id, sizeof(sign.license_id));
        ASK_VAULT(w, d, USE_SIGN, vlt_UseSign, &sign, on_use, c->number, 0, 0);
    } else {
        submit(w, d, c, slice(NULL, 0));
    }
}

void copies_go(struct world *w, struct device *d)
{
    (void)service_restores(w, d);
    for (size_t i = 0; i < ARRAY_COUNT(d->copies); i++)
        if (d->copies[i].number != 0 && d->copies[i].waits)
            copy_ask(w, d, &d->copies[i]);
}

static bool is_asked(struct world *w, const struct copy *c, int shop, const msg_CopyAsk *ask)
{
    const struct copy_out_subject *about = &c->m.about;
    return shop_of_issuer(w, about->issuer.bytes) == shop && id_equal(about->content.bytes, ask->content) &&
           memcmp(about->license_id, ask->license_id, sizeof(about->license_id)) == 0 &&
           id_equal(about->destination.bytes, ask->destination) && about->move == ask->move;
}

bool copies_granted(struct world *w, struct device *d, int shop, const msg_CopyAsk *ask, const msg_Result *result)
{
    struct copy *asking = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(d->copies); i++) {
        struct copy *c = &d->copies[i];
        if (c->number == 0 || copy_out_has_ended(&c->m) || !is_asked(w, c, shop, ask))
            continue;
        if (c->m.state != COPY_OUT_ASKING &&
            slice_equal(buf_slice(&c->m.certificate), CODEC_BYTES(result->certificate)))
            return false;
        if (copy_out_wants_grant(&c->m) && !c->adding && !asking)
            asking = c;
    }
    if (!asking) {
        struct copy_out_subject about = { .issuer = w->contents[0].id };
        about = (struct copy_out_subject){ .issuer = (shop == 0 ? &w->town.a : &w->town.b)->keys->self,
                                           .content = id_from(ask->content),
                                           .source = d->client,
                                           .destination = id_from(ask->destination),
                                           .move = ask->move };
        memcpy(about.license_id, ask->license_id, sizeof(about.license_id));
        asking = copy_new(w, d, &about);
        MUST(asking);
    }
    struct slice delegation = result->has_delegation ? CODEC_BYTES(result->delegation) : slice(NULL, 0);
    MUST(copy_out_granted(&asking->m, CODEC_BYTES(result->certificate), delegation) == 0);
    asking->item_shop = shop;
    copy_go(w, d, asking);
    return true;
}

void copies_outcome(struct world *w, struct device *d, int number, enum reason why)
{
    struct copy *c = copy_numbered(d, number);
    if (!c)
        return;
    if (why != REASON_NONE)
        copy_out_denied(&c->m, why, NULL);
    else if (c->m.state == COPY_OUT_ASKING && c->m.doing == COPY_OUT_ASK)
        copy_out_given_already(&c->m, world_mono(w));
    copy_go(w, d, c);
}
