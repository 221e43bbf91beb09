/* Commands about what is sold: publish, product. One thread. */
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/billing.h"
#include "distributor/publish.h"

#define DAY_MS INT64_C(86400000)

/* --- Product options --------------------------------------------------------------------------------------------- */

enum {
    OPTION_NAME,
    OPTION_PRICE,
    OPTION_COPY_PRICE,
    OPTION_MAX_COPIES,
    OPTION_COPY_DEPTH,
    OPTION_MAX_REMOVABLE,
    OPTION_USAGE_DAYS,
    OPTION_USAGE_FROM,
    OPTION_USAGE_UNTIL,
    OPTION_DOWNLOAD_FROM,
    OPTION_DOWNLOAD_UNTIL,
    PRODUCT_OPTIONS,
    OPTION_PRODUCT = PRODUCT_OPTIONS,
    OPTION_TITLE,
    OPTION_CREATOR,
    OPTION_ALBUM,
    OPTION_MEDIA_TYPE,
    PUBLISH_OPTIONS
};

static void product_options(struct admin_option *options)
{
    options[OPTION_NAME] = (struct admin_option){ .name = "name", .text = "Purchase" };
    options[OPTION_PRICE] = (struct admin_option){ .name = "price", .kind = ADMIN_MONEY };
    options[OPTION_COPY_PRICE] = (struct admin_option){ .name = "copy-price", .kind = ADMIN_MONEY };
    options[OPTION_MAX_COPIES] = (struct admin_option){ .name = "max-copies", .kind = ADMIN_COUNT, .number = 5 };
    options[OPTION_COPY_DEPTH] = (struct admin_option){ .name = "copy-depth", .kind = ADMIN_COUNT, .number = 1 };
    options[OPTION_MAX_REMOVABLE] =
        (struct admin_option){ .name = "max-removable", .kind = ADMIN_COUNT, .number = UINT32_MAX };
    options[OPTION_USAGE_DAYS] = (struct admin_option){ .name = "usage-days", .kind = ADMIN_COUNT };
    options[OPTION_USAGE_FROM] = (struct admin_option){ .name = "usage-from", .kind = ADMIN_TIME };
    options[OPTION_USAGE_UNTIL] = (struct admin_option){ .name = "usage-until", .kind = ADMIN_TIME };
    options[OPTION_DOWNLOAD_FROM] = (struct admin_option){ .name = "download-from", .kind = ADMIN_TIME };
    options[OPTION_DOWNLOAD_UNTIL] = (struct admin_option){ .name = "download-until", .kind = ADMIN_TIME };
}

static void product_of(const struct admin_option *options, struct product *p)
{
    doc_Conditions *c = &p->conditions;
    *p = (struct product){ .price = options[OPTION_PRICE].number, .copy_price = options[OPTION_COPY_PRICE].number };
    CODEC_SET_TEXT(p->name, options[OPTION_NAME].text);
    c->max_copies = (uint32_t)options[OPTION_MAX_COPIES].number;
    c->copy_depth = (uint32_t)options[OPTION_COPY_DEPTH].number;
    c->max_removable = (uint32_t)options[OPTION_MAX_REMOVABLE].number;
    p->has_usage_for_ms = options[OPTION_USAGE_DAYS].given;
    p->usage_for_ms = (uint64_t)options[OPTION_USAGE_DAYS].number * (uint64_t)DAY_MS;
    c->has_usage_from_ms = options[OPTION_USAGE_FROM].given;
    c->usage_from_ms = (uint64_t)options[OPTION_USAGE_FROM].number;
    c->has_usage_until_ms = options[OPTION_USAGE_UNTIL].given;
    c->usage_until_ms = (uint64_t)options[OPTION_USAGE_UNTIL].number;
    c->has_download_from_ms = options[OPTION_DOWNLOAD_FROM].given;
    c->download_from_ms = (uint64_t)options[OPTION_DOWNLOAD_FROM].number;
    c->has_download_until_ms = options[OPTION_DOWNLOAD_UNTIL].given;
    c->download_until_ms = (uint64_t)options[OPTION_DOWNLOAD_UNTIL].number;
}

static bool has_product_option(const struct admin_option *options)
{
    for (int i = 0; i < PRODUCT_OPTIONS; i++)
        if (options[i].given)
            return true;
    return false;
}

/* --- publish ----------------------------------------------------------------------------------------------------- */

static void show_progress(void *ctx, uint64_t done, uint64_t all)
{
    int *shown = ctx;
    int percent = all == 0 ? 100 : (int)(done * 100 / all);
    if (percent == *shown)
        return;
    *shown = percent;
    fprintf(stderr, "\r%3d %%%s", percent, percent == 100 ? "\r      \r" : "");
}

/* The product given by number, or the one that the other options describe. */
static int find_product(struct admin *a, const struct admin_option *options, uint32_t *number)
{
    struct product p;
    int r;
    if (options[OPTION_PRODUCT].given) {
        r = products_get(a->o, (uint32_t)options[OPTION_PRODUCT].number, &p);
        if (r == OPERATIONS_ABSENT || (r == 0 && p.withdrawn))
            return admin_fail(a, REASON_NOT_FOUND, "There is no product %s on sale.", options[OPTION_PRODUCT].text);
    } else {
        product_of(options, &p);
        r = products_add(a->o, &p);
    }
    *number = p.number;
    return r == 0 ? 0 : admin_error(a, r, "find the product");
}

static int store_content(struct admin *a, const struct content_new *n, const struct admin_option *options, bool known)
{
    uint32_t product = 0;
    int r = admin_begin(a);
    if (r == 0)
        r = find_product(a, options, &product);
    if (r != 0)
        return r;
    struct content other; /* another command may have been quicker with the same file */
    if (!known) {
        r = contents_find_file(a->o, n->file_hash, &other);
        if (r != OPERATIONS_ABSENT)
            return r == 0 ? admin_fail(a, REASON_IN_USE, "It was published by another command just now.")
                          : admin_error(a, r, "read the database");
    }
    if (known)
        r = contents_withdraw(a->o, &n->content.id, false);
    else
        r = contents_add(a->o, n);
    if (r == 0)
        r = contents_offer(a->o, &n->content.id, &product, 1);
    return r == 0 ? admin_commit(a) : admin_error(a, r, "store the content");
}

static void override(char *field, size_t cap, const struct admin_option *option)
{
    if (option->given)
        text_safe(option->text, field, cap);
}

static int describe(struct admin *a, const char *path, const struct admin_option *options, struct publish *p)
{
    int r = tags_read(path, &p->tags);
    if (r != 0)
        return admin_fail(a, admin_reason(r), "Cannot read %s: %s.", path, strerror(-r));
    override(p->tags.title, sizeof(p->tags.title), &options[OPTION_TITLE]);
    override(p->tags.creator, sizeof(p->tags.creator), &options[OPTION_CREATOR]);
    override(p->tags.album, sizeof(p->tags.album), &options[OPTION_ALBUM]);
    override(p->tags.media_type, sizeof(p->tags.media_type), &options[OPTION_MEDIA_TYPE]);
    return 0;
}

static int fail_file(struct admin *a, int r, const char *path)
{
    if (r == PUBLISH_EMPTY)
        return admin_fail(a, REASON_TOO_LARGE, "%s is empty, or larger than a body can be.", path);
    if (r == PUBLISH_CHANGED)
        return admin_fail(a, REASON_IN_USE, "%s changed while it was read.", path);
    return admin_fail(a, admin_reason(r), "Cannot publish %s: %s.", path, strerror(r < 0 ? -r : EINVAL));
}

/* One file; *known: it was published before, and is on sale (again) with what was asked for now. */
static int publish_file(struct admin *a, const char *path, const struct admin_option *options, struct content *out,
                        bool *known)
{
    int shown = -1;
    struct publish p = { .path = path, .now_ms = a->now_ms, .ctx = &shown };
    p.on_progress = !a->json && isatty(STDERR_FILENO) ? show_progress : NULL;
    struct content_new n CLEANUP(content_new_wipe) = { 0 };
    uint8_t hash[32];
    int r = describe(a, path, options, &p);
    if (r != 0)
        return r;
    r = publish_hash(&p, hash);
    if (r != 0)
        return fail_file(a, r, path);
    r = contents_find_file(a->o, hash, &n.content);
    *known = r == 0;
    if (r < 0)
        return admin_error(a, r, "read the database");
    bool as_it_was = *known && !n.content.withdrawn && !has_product_option(options) && !options[OPTION_PRODUCT].given;
    if (!*known) {
        r = publish_body(a->o, &p, hash, &n);
        if (r != 0)
            return fail_file(a, r, path);
    }
    r = as_it_was ? 0 : store_content(a, &n, options, *known);
    if (r != 0 && !*known)
        publish_undo(a->o, &n);
    *out = n.content;
    return r;
}

struct published {
    struct content content;
    bool known;
};

int admin_publish(struct admin *a, int argc, char **argv)
{
    struct admin_option options[PUBLISH_OPTIONS];
    product_options(options);
    options[OPTION_PRODUCT] = (struct admin_option){ .name = "product", .kind = ADMIN_COUNT };
    options[OPTION_TITLE] = (struct admin_option){ .name = "title" };
    options[OPTION_CREATOR] = (struct admin_option){ .name = "creator" };
    options[OPTION_ALBUM] = (struct admin_option){ .name = "album" };
    options[OPTION_MEDIA_TYPE] = (struct admin_option){ .name = "media-type" };
    int r = admin_options(a, options, PUBLISH_OPTIONS, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 0 || (argc > 1 && options[OPTION_TITLE].given))
        return admin_usage(a, "publish FILE... (--title only with one file)");
    if (options[OPTION_PRODUCT].given && has_product_option(options))
        return admin_usage(a, "--product names a product; its price and conditions are given already");
    r = admin_open(a);
    if (r != 0)
        return r;
    struct published *all CLEANUP(freep) = calloc((size_t)argc, sizeof(*all));
    if (!all)
        return admin_error(a, -ENOMEM, "publish");
    int done = 0;
    while (done < argc && (r = publish_file(a, argv[done], options, &all[done].content, &all[done].known)) == 0)
        done++;
    if (r != 0 && (done == 0 || a->json)) /* said already; running it again finds what went well */
        return r;
    struct out_list l;
    out_list_begin(&l, a, "published");
    for (int i = 0; i < done; i++) {
        const struct content *c = &all[i].content;
        const struct out_field fields[] = { OUT_I("content", &c->id),           OUT_T("title", c->title),
                                            OUT_T("creator", c->creator),       OUT_T("media-type", c->media_type),
                                            OUT_N("bytes", c->plain_bytes),     OUT_N("duration-ms", c->duration_ms),
                                            OUT_F("known-before", all[i].known) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    if (r == 0 && !a->json && !options[OPTION_PRODUCT].given) {
        char price[48], copy_price[48];
        billing_money(a->o, options[OPTION_PRICE].number, price);
        billing_money(a->o, options[OPTION_COPY_PRICE].number, copy_price);
        printf("On sale for %s, a copy certificate for %s.\n", price, copy_price);
    }
    return r;
}

/* A number as it was given; 0: it is none. */
uint32_t admin_product_number(const char *word)
{
    char *end;
    unsigned long number = strtoul(word, &end, 10);
    return number > UINT32_MAX || *end != '\0' ? 0 : (uint32_t)number;
}

/* --- product ----------------------------------------------------------------------------------------------------- */

static int product_list(struct admin *a)
{
    struct out_list l;
    struct product p = { 0 };
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "products");
    while ((r = products_next(a->o, p.number, &p)) == 0) {
        const struct out_field fields[] = { OUT_N("product", p.number),
                                            OUT_T("name", p.name),
                                            OUT_M("price", p.price),
                                            OUT_M("copy-price", p.copy_price),
                                            OUT_N("max-copies", p.conditions.max_copies),
                                            OUT_N("copy-depth", p.conditions.copy_depth),
                                            OUT_N("max-removable", p.conditions.max_removable),
                                            OUT_N("usage-days",
                                                  p.has_usage_for_ms ? p.usage_for_ms / (uint64_t)DAY_MS : 0),
                                            OUT_F("withdrawn", p.withdrawn) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the products");
}

static int product_add(struct admin *a, const struct admin_option *options)
{
    struct product p;
    product_of(options, &p);
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = products_add(a->o, &p);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "add the product");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_N("product", p.number), OUT_T("name", p.name), OUT_M("price", p.price) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int product_withdraw(struct admin *a, const char *word)
{
    uint32_t number = admin_product_number(word);
    if (number == 0)
        return admin_usage(a, "product withdraw NUMBER");
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = products_withdraw(a->o, number);
    return r == 0 ? admin_commit(a) : admin_error(a, r, "withdraw the product");
}

int admin_product(struct admin *a, int argc, char **argv)
{
    struct admin_option options[PRODUCT_OPTIONS];
    product_options(options);
    int r = admin_options(a, options, PRODUCT_OPTIONS, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return product_list(a);
    if (argc == 1 && strcmp(argv[0], "add") == 0 && options[OPTION_NAME].given)
        return product_add(a, options);
    if (argc == 2 && strcmp(argv[0], "withdraw") == 0)
        return product_withdraw(a, argv[1]);
    return admin_usage(a, "product list, product add --name NAME --price AMOUNT ..., or product withdraw NUMBER");
}
