/* The command product option: what buyers may add to a product (S81, S95). One thread. */
#include <stdlib.h>

#include "base/util.h"
#include "distributor/admin_products.h"

enum { NAME, PRICE, COPIES, COPY_DEPTH, REMOVABLE, USAGE, PLAYS, PLAY_TIME, CHECKOUTS, RECORD, OPTIONS };

static int option_list(struct admin *a, uint32_t product)
{
    struct out_list l;
    struct product_option o = { 0 };
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "options");
    while ((r = products_next_option(a->o, product, o.number, &o)) == 0) {
        const struct out_field fields[] = {
            OUT_N("option", o.number),        OUT_T("name", o.name),
            OUT_M("price", o.price),          OUT_N("copies", o.copies),
            OUT_N("removable", o.removables), OUT_N("usage-hours", o.usage_ms / 3600000),
            OUT_N("plays", o.plays),          OUT_N("play-minutes", o.play_ms / 60000),
            OUT_N("checkouts", o.checkouts),  OUT_F("record", o.record),
            OUT_F("withdrawn", o.withdrawn)
        };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the options");
}

static int option_add(struct admin *a, uint32_t product, const struct admin_option *options)
{
    struct product_option o = { .product = product,
                                .price = options[PRICE].number,
                                .copies = (uint32_t)options[COPIES].number,
                                .copy_depth = (uint32_t)options[COPY_DEPTH].number,
                                .removables = (uint32_t)options[REMOVABLE].number,
                                .usage_ms = (uint64_t)options[USAGE].number,
                                .plays = (uint32_t)options[PLAYS].number,
                                .play_ms = (uint64_t)options[PLAY_TIME].number,
                                .checkouts = (uint32_t)options[CHECKOUTS].number,
                                .record = options[RECORD].given };
    CODEC_SET_TEXT(o.name, options[NAME].text);
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = products_add_option(a->o, &o);
    if (r == REASON_NOT_FOUND)
        return admin_fail(a, REASON_NOT_FOUND, "There is no product %u on sale; see: hearth-distributor product list",
                          product);
    if (r == REASON_NOT_PERMITTED)
        return admin_fail(
            a, REASON_NOT_PERMITTED,
            "An option adds something that product %u has and limits: a leased one is not copied or lent, "
            "and what is not counted or has no end has enough.",
            product);
    if (r == REASON_TOO_LARGE)
        return admin_fail(a, REASON_TOO_LARGE, "A product has at most %d options: withdraw one.", PRODUCTS_OPTIONS_MAX);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "add the option");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_N("product", product), OUT_N("option", o.number), OUT_T("name", o.name),
                                        OUT_M("price", o.price) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int option_withdraw(struct admin *a, uint32_t product, uint32_t number)
{
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = products_withdraw_option(a->o, product, number);
    if (r == OPERATIONS_ABSENT)
        return admin_fail(a, REASON_NOT_FOUND,
                          "Product %u has no option %u; see: hearth-distributor product option list %u", product,
                          number, product);
    return r == 0 ? admin_commit(a) : admin_error(a, r, "withdraw the option");
}

int admin_product_option(struct admin *a, int argc, char **argv)
{
    struct admin_option options[OPTIONS] = {
        [NAME] = { .name = "name" },
        [PRICE] = { .name = "price", .kind = ADMIN_MONEY },
        [COPIES] = { .name = "copies", .kind = ADMIN_COUNT },
        [COPY_DEPTH] = { .name = "copy-depth", .kind = ADMIN_COUNT },
        [REMOVABLE] = { .name = "removable", .kind = ADMIN_COUNT },
        [USAGE] = { .name = "usage", .kind = ADMIN_DURATION },
        [PLAYS] = { .name = "plays", .kind = ADMIN_COUNT },
        [PLAY_TIME] = { .name = "play-time", .kind = ADMIN_DURATION },
        [CHECKOUTS] = { .name = "checkouts", .kind = ADMIN_COUNT },
        [RECORD] = { .name = "record", .kind = ADMIN_FLAG },
    };
    int r = admin_options(a, options, OPTIONS, &argc, argv);
    if (r != 0)
        return r;
    uint32_t product = argc >= 2 ? admin_product_number(argv[1]) : 0;
    uint32_t number = argc >= 3 ? admin_product_number(argv[2]) : 0;
    if (argc == 2 && product != 0 && strcmp(argv[0], "list") == 0)
        return option_list(a, product);
    if (argc == 2 && product != 0 && strcmp(argv[0], "add") == 0 && options[NAME].given)
        return option_add(a, product, options);
    if (argc == 3 && number != 0 && strcmp(argv[0], "withdraw") == 0)
        return option_withdraw(a, product, number);
    return admin_usage(
        a, "product option list PRODUCT, product option add PRODUCT --name NAME --price AMOUNT ..., or product "
           "option withdraw PRODUCT NUMBER");
}
