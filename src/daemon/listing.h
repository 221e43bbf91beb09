/* The last listing shown to a person: its numbers name tracks until the next listing at the same terminal. In memory; loop thread.
 * Which terminal is meant is chosen before a request is handled; who goes on later chooses it again. Source: seed S41. */
#ifndef DAEMON_LISTING_H
#define DAEMON_LISTING_H

#include "daemon/daemon.h"
#include "messages.pb.h"

struct listing_product {
    uint32_t product;
    int64_t price;
    char name[64], currency[4];
};
#define LISTING_PRODUCTS_MAX 4
struct listing_entry {
    struct id content;
    struct id distributor;            /* who offers it, or the license's issuer */
    char *title;                      /* owned */
    pb_size_t product_count;          /* 0 in a library listing */
    struct listing_product *products; /* owned */
};
/* terminal: as the client says (control.proto, Terminal). */
void listing_choose(struct daemon *d, uint64_t terminal);
uint64_t listing_chosen(const struct daemon *d);
/* A listing that begins now: the chosen terminal's, empty, instead of the one before. What names it, for listing_add. */
uint64_t listing_begin(struct daemon *d);
/* The same, when the first entry comes: drawn when it is asked for, begun unless the terminal has one by now that was drawn later. */
uint64_t listing_draw(struct daemon *d);
void listing_begin_drawn(struct daemon *d, uint64_t listing);
/* Returns the number given (from 1); 0: the chosen terminal has another listing by now, or there is no room. */
uint32_t listing_add(struct daemon *d, uint64_t listing, const struct id *content, const struct id *distributor,
                     const char *title, const msg_CatalogueItem *item);
const struct listing_entry *listing_number(struct daemon *d, uint32_t number); /* NULL when there is none */
size_t listing_count(const struct daemon *d);
void listing_free(struct daemon *d);
/* An entry of its own. listing_entry_copy: 0, -ENOMEM. */
int listing_entry_init(struct listing_entry *e, const struct id *content, const struct id *distributor,
                       const char *title, const msg_CatalogueItem *item) MUST_USE; /* 0, -ENOMEM; item may be NULL */
int listing_entry_copy(struct listing_entry *out, const struct listing_entry *e) MUST_USE;
void listing_entry_deinit(struct listing_entry *e); /* idempotent */
/* The number in text, when it is only digits; 0 otherwise. */
uint32_t listing_parse(const char *text);

#endif
