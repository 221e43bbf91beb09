/* The last listing shown to a person: its numbers name tracks until the next listing. In memory; loop thread. Source: seed S41. */
#ifndef DAEMON_LISTING_H
#define DAEMON_LISTING_H

#include "daemon/daemon.h"
#include "messages.pb.h"

struct listing_entry {
    struct id content;
    struct id distributor; /* who offers it, or the license's issuer */
    char title[128];
    pb_size_t product_count; /* 0 in a library listing */
    struct {
        uint32_t product;
        int64_t price;
        char name[64], currency[4];
    } products[4];
};
void listing_clear(struct daemon *d);
/* Returns the number given (from 1); 0 when out of memory. */
uint32_t listing_add(struct daemon *d, const struct id *content, const struct id *distributor, const char *title,
                     const msg_CatalogueItem *item);
const struct listing_entry *listing_number(struct daemon *d, uint32_t number); /* NULL when there is none */
size_t listing_count(const struct daemon *d);
void listing_free(struct daemon *d);
/* The number in text, when it is only digits; 0 otherwise. */
uint32_t listing_parse(const char *text);

#endif
