/* browse: the catalogues of all distributors as one numbered listing. Source: seed S21, S22 (contents selection window). */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/session.h"
#include "daemon/shop.h"
#include "daemon/walk.h"

#define PAGES_MAX 256

struct browse {
    struct walk walk;
    struct call *call;
    char query[128];
    uint32_t offset, pages;
    uint64_t listing;
    msg_Catalogue page;
    ctl_CatalogueRow row;
};

static void visit(struct walk *w, struct account *a);

static void show(struct browse *b, struct account *a)
{
    call_choose_listing(b->walk.daemon, b->call);
    for (pb_size_t i = 0; i < b->page.items_count; i++) {
        const msg_CatalogueItem *item = &b->page.items[i];
        struct id content = id_from(item->content);
        b->row.number = listing_add(b->walk.daemon, b->listing, &content, &a->distributor, item->title, item);
        b->row.item = *item;
        CODEC_SET_TEXT(b->row.distributor_name, a->name);
        CALL_ROW(b->call, CATALOGUE_ROW, CatalogueRow, &b->row);
    }
}

static void on_page(const struct answer *answer, void *ctx)
{
    struct browse *b = ctx;
    struct account *a = b->walk.accounts[b->walk.index];
    if (answer->why != REASON_NONE) {
        b->offset = b->pages = 0;
        walk_failed(&b->walk, answer);
        return;
    }
    if (CODEC_DECODE(msg_Catalogue, answer->frame->message, &b->page) != 0) {
        b->offset = b->pages = 0;
        walk_error(&b->walk, REASON_MALFORMED);
        return;
    }
    show(b, a);
    b->offset += b->page.items_count;
    if (b->page.items_count > 0 && b->offset < b->page.total && ++b->pages < PAGES_MAX && call_is_watched(b->call)) {
        visit(&b->walk, a);
        return;
    }
    b->offset = b->pages = 0;
    walk_next(&b->walk);
}

static void visit(struct walk *w, struct account *a)
{
    struct browse *b = container_of(w, struct browse, walk);
    msg_CatalogueGet get = { .offset = b->offset };
    memcpy(get.query, b->query, sizeof(get.query));
    int r = session_call(a, &ASK(msg_Type_CATALOGUE_GET, msg_Type_CATALOGUE, msg_CatalogueGet, &get), on_page, b);
    if (r != 0)
        walk_error(w, r);
}

static void done(struct walk *w)
{
    struct browse *b = container_of(w, struct browse, walk);
    /* One distributor that is away does not spoil the others' listing; when none answers, that is said. */
    if (w->answered == 0 && w->failure != REASON_NONE)
        call_refuse_as(b->call, &w->refusal);
    else
        call_finish(b->call);
    free(b);
}

void browse_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Browse *m = message;
    struct browse *b = d->accounts != NULL ? calloc(1, sizeof(*b)) : NULL;
    if (b == NULL) {
        call_refuse(c, d->accounts == NULL ? REASON_NOT_REGISTERED : REASON_INTERNAL, NULL);
        return;
    }
    b->listing = listing_begin(d);
    b->call = c;
    memcpy(b->query, m->query, sizeof(b->query));
    b->walk.visit = visit;
    b->walk.done = done;
    walk_start(&b->walk, d, NULL);
}
