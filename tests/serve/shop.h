/* A distributor with something to sell, for tests: accounts, small published tracks, purchases of one device. */
#ifndef TESTS_SERVE_SHOP_H
#define TESTS_SERVE_SHOP_H

#include "client.h"
#include "program.h"

#define SHOP_PASSWORD "correct horse battery"
#define SHOP_PRICE "1.29" /* as the admin writes it */
#define SHOP_PRICE_MINOR 129
#define SHOP_CREDIT "1000.00"
#define SHOP_TRACKS_MAX 64

/* Adds an account with SHOP_PASSWORD and SHOP_CREDIT. */
void shop_add_user(struct program *p, const char *user);
/* Publishes count tracks at SHOP_PRICE, each a second of noise. */
void shop_publish(struct program *p, unsigned count);
void shop_write_track(const char *path, unsigned number); /* a second of noise, the same for the same number */

struct shop_item {
    uint8_t content[32];
    uint32_t product;
};
/* What is for sale, by the catalogue. */
unsigned shop_browse(struct client *c, struct shop_item items[SHOP_TRACKS_MAX]);
unsigned shop_browse_most(struct client *c, struct shop_item *items, unsigned most);
/* Asks for a quote; appends the Purchase as an Item of a transaction. */
void shop_quote(struct client *c, const struct shop_item *item, struct buf *items);
int64_t shop_balance(struct client *c);
/* Number of charges in the account's bills, and their sum. */
unsigned shop_charges(struct client *c, int64_t *sum);

#endif
