/* The command publish. One thread. */
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/admin_products.h"
#include "distributor/admin_provider.h"
#include "distributor/billing.h"
#include "distributor/publish.h"

enum {
    OPTION_PRODUCT = ADMIN_PRODUCT_OPTIONS,
    OPTION_TITLE,
    OPTION_CREATOR,
    OPTION_ALBUM,
    OPTION_MEDIA_TYPE,
    OPTION_SIGNERS,
    PUBLISH_OPTIONS
};

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
            return admin_fail(a, REASON_NOT_FOUND,
                              "There is no product %s on sale; see: hearth-distributor product list",
                              options[OPTION_PRODUCT].text);
    } else {
        r = admin_product_add(a, options, &p);
        if (r != 0)
            return r;
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

static void override(char *field, size_t cap, const struct admin_option *option, bool *cut)
{
    if (!option->given)
        return;
    text_safe(option->text, field, cap);
    *cut |= strlen(option->text) >= cap;
}

/* It is the operator's to know better: a player of theirs may. */
static void warn_of(const char *path, const struct admin_option *options, const struct tags *t)
{
    if (!t->is_media && !options[OPTION_MEDIA_TYPE].given)
        fprintf(
            stderr,
            "hearth-distributor: warning: %s does not look like sound, film or picture, and is sold as %s: try it with a "
            "player. `withdraw CONTENT` takes it off sale.\n",
            path, t->media_type);
    if (t->cut)
        fprintf(stderr,
                "hearth-distributor: warning: %s: title, creator or album is longer than %zu bytes, and was cut.\n",
                path, sizeof(t->title) - 1);
}

static int describe(struct admin *a, const char *path, const struct admin_option *options, struct publish *p)
{
    int r = tags_read(path, &p->tags);
    if (r != 0)
        return admin_fail(a, admin_reason(r), "Cannot read %s: %s.", path, strerror(-r));
    struct tags *t = &p->tags;
    override(t->title, sizeof(t->title), &options[OPTION_TITLE], &t->cut);
    override(t->creator, sizeof(t->creator), &options[OPTION_CREATOR], &t->cut);
    override(t->album, sizeof(t->album), &options[OPTION_ALBUM], &t->cut);
    override(t->media_type, sizeof(t->media_type), &options[OPTION_MEDIA_TYPE], &t->cut);
    warn_of(path, options, t);
    return 0;
}

static int fail_file(struct admin *a, int r, const char *path)
{
    if (r == PUBLISH_EMPTY)
        return admin_fail(a, REASON_TOO_LARGE, "%s is empty, or larger than a body can be.", path);
    if (r == PUBLISH_CHANGED)
        return admin_fail(a, REASON_IN_USE, "%s changed while it was read.", path);
    if (r == -ENOSPC || r == -EDQUOT)
        return admin_fail(a, REASON_STORAGE_FULL,
                          "Cannot publish %s: the disk of %s is full. Make room there, then say it again.", path,
                          a->state_dir);
    return admin_fail(a, admin_reason(r), "Cannot publish %s: %s.", path, strerror(r < 0 ? -r : EINVAL));
}

/* One file; *known: it was published before, and is on sale (again) with what was asked for now. */
static int publish_file(struct admin *a, const char *path, const struct admin_option *options, struct content *out,
                        bool *known)
{
    doc_SignerRange signers;
    int shown = -1;
    struct publish p = { .path = path, .now_ms = a->now_ms, .ctx = &shown };
    p.on_progress = !a->json && isatty(STDERR_FILENO) ? show_progress : NULL;
    struct content_new n CLEANUP(content_new_wipe) = { 0 };
    uint8_t hash[32];
    int r = describe(a, path, options, &p);
    if (r == 0 && options[OPTION_SIGNERS].given) {
        p.signers = &signers;
        r = admin_signers(a, &options[OPTION_SIGNERS], &signers);
    }
    if (r != 0)
        return r;
    r = publish_hash(&p, hash);
    if (r != 0)
        return fail_file(a, r, path);
    r = contents_find_file(a->o, hash, &n.content);
    *known = r == 0;
    if (r < 0)
        return admin_error(a, r, "read the database");
    bool as_it_was =
        *known && !n.content.withdrawn && !admin_product_described(options) && !options[OPTION_PRODUCT].given;
    if (!as_it_was && !options[OPTION_PRODUCT].given && !options[ADMIN_PRODUCT_PRICE].given)
        return admin_product_needs_price(a, true);
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

/* What holds, also of a file that was on sale already: each product once. */
static int say_prices(struct admin *a, const struct published *all, int count)
{
    uint32_t said[32];
    size_t said_count = 0;
    for (int i = 0; i < count; i++) {
        struct product p = { 0 };
        int r;
        if (products_of_content(a->o, &all[i].content.id, 0, &p) == OPERATIONS_ABSENT)
            printf("No product that it is on sale by is left of %s: publish it with --price or --product.\n",
                   all[i].content.title);
        p.number = 0;
        while ((r = products_of_content(a->o, &all[i].content.id, p.number, &p)) == 0) {
            size_t j = 0;
            while (j < said_count && said[j] != p.number)
                j++;
            if (j < said_count || said_count == ARRAY_COUNT(said))
                continue;
            said[said_count++] = p.number;
            char price[BILLING_MONEY_BYTES], copy_price[BILLING_MONEY_BYTES];
            printf("On sale by product %u for %s, a copy certificate for %s.\n", p.number,
                   billing_money(a->o, p.price, price), billing_money(a->o, p.copy_price, copy_price));
        }
        if (r != OPERATIONS_ABSENT)
            return admin_error(a, r, "read the prices");
    }
    return 0;
}

int admin_publish(struct admin *a, int argc, char **argv)
{
    struct admin_option options[PUBLISH_OPTIONS];
    admin_product_options(options);
    options[OPTION_PRODUCT] = (struct admin_option){ .name = "product", .kind = ADMIN_COUNT };
    options[OPTION_TITLE] = (struct admin_option){ .name = "title" };
    options[OPTION_CREATOR] = (struct admin_option){ .name = "creator" };
    options[OPTION_ALBUM] = (struct admin_option){ .name = "album" };
    options[OPTION_MEDIA_TYPE] = (struct admin_option){ .name = "media-type" };
    options[OPTION_SIGNERS] = (struct admin_option){ .name = "metadata-signers" }; /* of the content */
    options[ADMIN_PRODUCT_SIGNERS].name = "license-signers";                       /* of licenses for it */
    int r = admin_options(a, options, PUBLISH_OPTIONS, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 0 || (argc > 1 && options[OPTION_TITLE].given))
        return admin_usage(a, "publish FILE... (--title only with one file)");
    if (options[OPTION_PRODUCT].given && admin_product_described(options))
        return admin_usage(a, "--product names a product; its price and conditions are given already");
    if (admin_product_described(options) && !options[ADMIN_PRODUCT_PRICE].given)
        return admin_product_needs_price(a, true);
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
    return r == 0 && !a->json ? say_prices(a, all, done) : r;
}
