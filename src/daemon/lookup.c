/* What a person means by TRACK when it need not be here yet.
 *
 * Callbacks, in order: on_page for every page of every catalogue, then the answer. on_now when no catalogue is needed. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/util.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/shop.h"
#include "daemon/walk.h"

#define PREFIX_MIN 4
#define PAGES_MAX 256 /* of one catalogue, when an ID must be looked for in all of it */

struct lookup {
    struct walk walk;
    struct daemon *daemon;
    struct later_item later;
    char track[128];
    uint64_t terminal; /* whose numbers are meant */
    bool whole;        /* second round: every page, for an ID */
    uint32_t offset, pages;
    unsigned count; /* different contents that fit */
    struct found found;
    struct account *account; /* of found; a reference */
    char detail[256];
    lookup_fn on_found;
    void *ctx;
    msg_Catalogue page;
};

static void finish(struct lookup *l, enum reason why, const char *detail, const msg_Refusal *refusal)
{
    if (why == REASON_NONE && l->account == NULL)
        why = REASON_INTERNAL; /* out of memory */
    l->found.account = l->account;
    l->on_found(why == REASON_NONE ? &l->found : NULL, why, detail, refusal, l->ctx);
    account_unref(l->account);
    listing_entry_deinit(&l->found.entry);
    free(l);
}

static void take(struct lookup *l, struct account *a, const struct listing_entry *e)
{
    if (l->count > 0 && id_equal(l->found.entry.content.bytes, e->content.bytes))
        return; /* offered twice: the first distributor's it is */
    char id[ID_SHORT_BYTES];
    size_t len = strlen(l->detail);
    id_short(e->content.bytes, id);
    (void)snprintf(l->detail + len, sizeof(l->detail) - len, "%s%s (%s)", len == 0 ? "It fits: " : ", ", e->title, id);
    if (l->count++ > 0 || listing_entry_copy(&l->found.entry, e) != 0)
        return;
    l->account = account_ref(a);
}

/* --- Without asking anybody --- */

static bool by_listing(struct lookup *l)
{
    struct daemon *d = l->daemon;
    const struct listing_entry *e = listing_number(d, listing_parse(l->track));
    struct account *a = e == NULL ? NULL : account_find(d, e->distributor.bytes);
    if (a != NULL) {
        take(l, a, e);
        return true;
    }
    for (uint32_t i = 1; i <= listing_count(d); i++) {
        e = listing_number(d, i);
        a = account_find(d, e->distributor.bytes);
        if (a == NULL || e->product_count == 0)
            continue;
        if (strcasecmp(e->title, l->track) == 0 ||
            (strlen(l->track) >= PREFIX_MIN && id_has_prefix(e->content.bytes, l->track)))
            take(l, a, e);
    }
    return l->count > 0;
}

/* A track of the library is bought where its license came from, else where it was published. */
static bool by_library(struct lookup *l)
{
    struct track *t;
    char detail[256];
    if (library_resolve(l->daemon, l->track, &t, detail, sizeof(detail)) != 0)
        return false;
    const struct track_license *license = track_license(t);
    struct account *a = license == NULL ? NULL : account_find(l->daemon, license->issuer.bytes);
    if (a == NULL && t->has_info)
        a = account_find(l->daemon, t->publisher.bytes);
    if (a == NULL)
        return false;
    struct listing_entry e = { .content = t->content,
                               .distributor = a->distributor,
                               .title = t->has_info ? t->title : l->track }; /* borrowed: take() copies */
    take(l, a, &e);
    return true;
}

/* --- The catalogues --- */

static void take_item(struct lookup *l, struct account *a, const msg_CatalogueItem *item)
{
    struct listing_entry e;
    struct id content = id_from(item->content);
    if (strcasecmp(item->title, l->track) != 0 &&
        !(strlen(l->track) >= PREFIX_MIN && id_has_prefix(item->content, l->track)))
        return;
    if (listing_entry_init(&e, &content, &a->distributor, item->title, item) != 0)
        return;
    take(l, a, &e);
    listing_entry_deinit(&e);
}

static void visit(struct walk *w, struct account *a);

static void on_page(const struct answer *answer, void *ctx)
{
    struct lookup *l = ctx;
    struct account *a = l->walk.accounts[l->walk.index];
    if (answer->why != REASON_NONE) {
        l->offset = l->pages = 0;
        walk_failed(&l->walk, answer);
        return;
    }
    if (CODEC_DECODE(msg_Catalogue, answer->frame->message, &l->page) != 0) {
        walk_error(&l->walk, REASON_MALFORMED);
        return;
    }
    for (pb_size_t i = 0; i < l->page.items_count; i++)
        take_item(l, a, &l->page.items[i]);
    l->offset += l->page.items_count;
    if (l->page.items_count > 0 && l->offset < l->page.total && ++l->pages < PAGES_MAX) {
        visit(&l->walk, a);
        return;
    }
    l->offset = l->pages = 0;
    walk_next(&l->walk);
}

static void visit(struct walk *w, struct account *a)
{
    struct lookup *l = container_of(w, struct lookup, walk);
    msg_CatalogueGet get = { .offset = l->offset };
    CODEC_SET_TEXT(get.query, l->whole ? "" : l->track);
    int r = session_call(a, &ASK(msg_Type_CATALOGUE_GET, msg_Type_CATALOGUE, msg_CatalogueGet, &get), on_page, l);
    if (r != 0)
        walk_error(w, r);
}

/* Could it be the beginning of an ID? */
static bool looks_like_id(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    return len >= PREFIX_MIN && len <= ID_TEXT_BYTES - 1 && text[len] == '\0';
}

static void walked(struct walk *w)
{
    struct lookup *l = container_of(w, struct lookup, walk);
    if (l->count == 1) {
        finish(l, REASON_NONE, NULL, NULL);
    } else if (l->count > 1) {
        finish(l, REASON_AMBIGUOUS, l->detail, NULL);
    } else if (!l->whole && looks_like_id(l->track) && w->answered > 0) {
        l->whole = true;
        walk_start(w, l->daemon, NULL);
    } else if (w->answered == 0 && w->failure != REASON_NONE) {
        finish(l, w->failure, NULL, &w->refusal);
    } else {
        finish(l, REASON_NOT_FOUND, "No distributor of this device offers that. What is on sale: hearth browse", NULL);
    }
}

static void on_now(struct later_item *item)
{
    struct lookup *l = container_of(item, struct lookup, later);
    listing_choose(l->daemon, l->terminal);
    if (l->daemon->accounts == NULL)
        finish(l, REASON_NOT_REGISTERED, NULL, NULL);
    else if (by_listing(l) || by_library(l))
        finish(l, l->count == 1 ? REASON_NONE : REASON_AMBIGUOUS, l->count == 1 ? NULL : l->detail, NULL);
    else if (listing_parse(l->track) != 0 && strlen(l->track) < PREFIX_MIN)
        finish(l, REASON_NOT_FOUND,
               "No list that was shown at this terminal has such a number: hearth browse, hearth library", NULL);
    else
        walk_start(&l->walk, l->daemon, NULL);
}

int lookup_start(struct daemon *d, const char *track, lookup_fn on_found, void *ctx)
{
    struct lookup *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    l->daemon = d;
    l->terminal = listing_chosen(d);
    l->on_found = on_found;
    l->ctx = ctx;
    l->walk.visit = visit;
    l->walk.done = walked;
    CODEC_SET_TEXT(l->track, track);
    later_run(&d->later, &l->later, on_now);
    return 0;
}
