/* Options that describe a product, for the commands product and publish. */
#ifndef DISTRIBUTOR_ADMIN_PRODUCTS_H
#define DISTRIBUTOR_ADMIN_PRODUCTS_H

#include "distributor/admin.h"

enum {
    ADMIN_PRODUCT_NAME,
    ADMIN_PRODUCT_PRICE,
    ADMIN_PRODUCT_COPY_PRICE,
    ADMIN_PRODUCT_SIGNERS, /* of metadata, in the license */
    ADMIN_PRODUCT_OPTIONS = 25,
};
/* The first ADMIN_PRODUCT_OPTIONS of options. */
void admin_product_options(struct admin_option *options);
/* The tariff's product that they describe, added when there is none like it. 0, or the exit status of an error that was printed. */
int admin_product_add(struct admin *a, const struct admin_option *options, struct product *p);
int admin_product_needs_price(struct admin *a, bool publishing);  /* says so; ADMIN_USAGE */
int admin_product_option(struct admin *a, int argc, char **argv); /* admin_options.c */
bool admin_product_described(const struct admin_option *options); /* was one of them given? */

#endif
