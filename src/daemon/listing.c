/* The last listing of each terminal: an array that the next listing there replaces. */
#include "daemon/listing.h"

#include <stdlib.h>

#include "protocol/codec.h"

#define LISTINGS_MAX 32
#define ENTRIES_MAX 100000u /* of all together */

struct listing {
    struct listing *next;
    uint64_t terminal, name; /* name: drawn, later ones are larger */
    struct listing_entry *entries;
    size_t count, cap;
};

int listing_entry_init(struct listing_entry *e, const struct id *content, const struct id *distributor,
                       const char *title, const msg_CatalogueItem *item)
{
    pb_size_t count = item == NULL ? 0 : item->products_count;
    *e = (struct listing_entry){ .content = *content, .distributor = *distributor, .product_count = count };
    e->title = strdup(title);
    e->products = count == 0 ? NULL : calloc(count, sizeof(*e->products));
    if (e->title == NULL || (count > 0 && e->products == NULL)) {
        listing_entry_deinit(e);
        return -ENOMEM;
    }
    for (pb_size_t i = 0; i < count; i++) {
        e->products[i].product = item->products[i].product;
        e->products[i].price = item->products[i].price;
        CODEC_SET_TEXT(e->products[i].name, item->products[i].name);
        CODEC_SET_TEXT(e->products[i].currency, item->products[i].currency);
    }
    return 0;
}

int listing_entry_copy(struct listing_entry *out, const struct listing_entry *e)
{
    struct listing_entry copy;
    int r = listing_entry_init(&copy, &e->content, &e->distributor, e->title, NULL);
    if (r != 0)
        return r;
    copy.products = e->product_count == 0 ? NULL : calloc(e->product_count, sizeof(*copy.products));
    if (e->product_count > 0 && copy.products == NULL) {
        listing_entry_deinit(&copy);
        return -ENOMEM;
    }
    if (e->product_count > 0)
        memcpy(copy.products, e->products, e->product_count * sizeof(*copy.products));
    copy.product_count = e->product_count;
    *out = copy;
    return 0;
}

void listing_entry_deinit(struct listing_entry *e)
{
    free(e->title);
    free(e->products);
    *e = (struct listing_entry){ 0 };
}

void listing_choose(struct daemon *d, uint64_t terminal) { d->terminal = terminal; }
uint64_t listing_chosen(const struct daemon *d) { return d->terminal; }

static struct listing *chosen(const struct daemon *d)
{
    struct listing *l = d->listings;
    while (l != NULL && l->terminal != d->terminal)
        l = l->next;
    return l;
}

static void drop(struct daemon *d, struct listing *l)
{
    struct listing **at = &d->listings;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    for (size_t i = 0; i < l->count; i++)
        listing_entry_deinit(&l->entries[i]);
    free(l->entries);
    free(l);
}

/* Those of other terminals give way, the oldest first. */
static bool make_room(struct daemon *d, const struct listing *mine)
{
    for (;;) {
        size_t count = 0, entries = 0;
        struct listing *oldest = NULL;
        for (struct listing *l = d->listings; l != NULL; l = l->next) {
            count++;
            entries += l->count;
            oldest = l == mine ? oldest : l;
        }
        if (count <= LISTINGS_MAX && entries < ENTRIES_MAX)
            return true;
        if (oldest == NULL)
            return false;
        drop(d, oldest);
    }
}

uint64_t listing_draw(struct daemon *d) { return ++d->listings_drawn; }

void listing_begin_drawn(struct daemon *d, uint64_t listing)
{
    struct listing *before = chosen(d), *l = NULL;
    if (before != NULL && before->name > listing)
        return;
    if (before != NULL)
        drop(d, before);
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return;
    l->terminal = d->terminal;
    l->name = listing;
    l->next = d->listings;
    d->listings = l;
}

uint64_t listing_begin(struct daemon *d)
{
    uint64_t listing = listing_draw(d);
    listing_begin_drawn(d, listing);
    return listing;
}

static struct listing_entry *grow(struct listing *l)
{
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 16 : l->cap * 2;
        struct listing_entry *entries = reallocarray(l->entries, cap, sizeof(*entries));
        if (entries == NULL)
            return NULL;
        l->entries = entries;
        l->cap = cap;
    }
    struct listing_entry *e = &l->entries[l->count++];
    *e = (struct listing_entry){ 0 };
    return e;
}

uint32_t listing_add(struct daemon *d, uint64_t listing, const struct id *content, const struct id *distributor,
                     const char *title, const msg_CatalogueItem *item)
{
    struct listing *l = chosen(d);
    struct listing_entry *e = l != NULL && l->name == listing && make_room(d, l) ? grow(l) : NULL;
    if (e == NULL)
        return 0;
    if (listing_entry_init(e, content, distributor, title, item) != 0) {
        l->count--;
        return 0;
    }
    return (uint32_t)l->count;
}

const struct listing_entry *listing_number(struct daemon *d, uint32_t number)
{
    const struct listing *l = chosen(d);
    return l == NULL || number == 0 || number > l->count ? NULL : &l->entries[number - 1];
}

size_t listing_count(const struct daemon *d)
{
    const struct listing *l = chosen(d);
    return l == NULL ? 0 : l->count;
}

void listing_free(struct daemon *d)
{
    while (d->listings != NULL)
        drop(d, d->listings);
}

uint32_t listing_parse(const char *text)
{
    uint32_t number = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || number > ENTRIES_MAX)
            return 0;
        number = number * 10 + (uint32_t)(*p - '0');
    }
    return number;
}
