/* The last listing: an array that the next listing replaces. */
#include "daemon/listing.h"

#include <stdlib.h>

#include "protocol/codec.h"

#define LISTING_MAX 100000u

struct listing {
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

void listing_clear(struct daemon *d)
{
    if (d->listing == NULL)
        return;
    for (size_t i = 0; i < d->listing->count; i++)
        listing_entry_deinit(&d->listing->entries[i]);
    free(d->listing->entries);
    *d->listing = (struct listing){ 0 };
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

uint32_t listing_add(struct daemon *d, const struct id *content, const struct id *distributor, const char *title,
                     const msg_CatalogueItem *item)
{
    if (d->listing == NULL)
        d->listing = calloc(1, sizeof(*d->listing));
    if (d->listing == NULL || d->listing->count >= LISTING_MAX)
        return 0;
    struct listing_entry *e = grow(d->listing);
    if (e == NULL)
        return 0;
    if (listing_entry_init(e, content, distributor, title, item) != 0) {
        d->listing->count--;
        return 0;
    }
    return (uint32_t)d->listing->count;
}

const struct listing_entry *listing_number(struct daemon *d, uint32_t number)
{
    if (d->listing == NULL || number == 0 || number > d->listing->count)
        return NULL;
    return &d->listing->entries[number - 1];
}

size_t listing_count(const struct daemon *d) { return d->listing == NULL ? 0 : d->listing->count; }

void listing_free(struct daemon *d)
{
    listing_clear(d);
    free(d->listing);
    d->listing = NULL;
}

uint32_t listing_parse(const char *text)
{
    uint32_t number = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || number > LISTING_MAX)
            return 0;
        number = number * 10 + (uint32_t)(*p - '0');
    }
    return number;
}
