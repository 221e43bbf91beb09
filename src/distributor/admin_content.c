/* Commands about contents that are published: withdraw, content. One thread. */
#include "base/util.h"
#include "distributor/admin.h"

#define CONTENT_PRODUCTS_MAX 4 /* what a catalogue entry lists */

/* --- withdraw, content ------------------------------------------------------------------------------------------- */

static int find_content(struct admin *a, const char *word, struct content *out)
{
    struct content c = { 0 };
    int found = 0, r;
    while ((r = contents_next(a->o, &c.id, &c)) == 0) {
        if (!id_has_prefix(&c.id, word) && strcmp(c.title, word) != 0)
            continue;
        found++;
        *out = c;
    }
    if (r != OPERATIONS_ABSENT)
        return admin_error(a, r, "look for the content");
    if (found > 1)
        return admin_fail(a, REASON_AMBIGUOUS, "%s fits %d contents; say more of its ID: content list.", word, found);
    return found == 1 ? 0
                      : admin_fail(a, REASON_UNKNOWN_CONTENT,
                                   "There is no content %s; see: hearth-distributor content list", word);
}

/* Off the catalogue; whoever has a license keeps it, and the body stays. */
int admin_withdraw(struct admin *a, int argc, char **argv)
{
    struct admin_option options[] = { { .name = "undo", .kind = ADMIN_FLAG } };
    int r = admin_options(a, options, ARRAY_COUNT(options), &argc, argv);
    if (r == 0 && argc != 1)
        r = admin_usage(a, "withdraw CONTENT [--undo] (an ID, its beginning, or the title)");
    struct content c;
    if (r == 0)
        r = admin_begin(a);
    if (r == 0)
        r = find_content(a, argv[0], &c);
    if (r != 0)
        return r;
    const bool withdrawn = !options[0].given;
    r = contents_withdraw(a->o, &c.id, withdrawn);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "withdraw the content");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_I("content", &c.id), OUT_T("title", c.title), OUT_F("withdrawn", withdrawn),
                                        OUT_F("known-before", c.withdrawn == withdrawn) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

/* From now on the buyer chooses among exactly these. */
static int content_offer(struct admin *a, const char *word, char **products, int count)
{
    uint32_t numbers[CONTENT_PRODUCTS_MAX];
    struct content c;
    struct product p;
    int r = admin_begin(a);
    if (r == 0)
        r = find_content(a, word, &c);
    for (int i = 0; r == 0 && i < count; i++) {
        numbers[i] = admin_product_number(products[i]);
        r = products_get(a->o, numbers[i], &p);
        if (r == OPERATIONS_ABSENT || (r == 0 && p.withdrawn))
            return admin_fail(a, REASON_NOT_FOUND,
                              "There is no product %s on sale; see: hearth-distributor product list", products[i]);
        r = r == 0 ? 0 : admin_error(a, r, "find the product");
    }
    if (r != 0)
        return r;
    r = contents_offer(a->o, &c.id, numbers, (size_t)count);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "offer the content");
    if (r != 0)
        return r;
    const struct out_field fields[] = {
        OUT_I("content", &c.id), OUT_T("title", c.title), OUT_N("products", count),
        OUT_T("needed",
              c.withdrawn ? "it is withdrawn, and on sale after: hearth-distributor withdraw CONTENT --undo" : "")
    };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

/* Numbers of the products that it is on sale by; cut after so many as no content has. */
static int on_sale_by(struct admin *a, const struct content *c, char *out, size_t cap)
{
    struct product p = { 0 };
    size_t len = 0;
    int r = OPERATIONS_ABSENT;
    out[0] = '\0';
    while (!c->withdrawn && len < cap && (r = products_of_content(a->o, &c->id, p.number, &p)) == 0)
        len += (size_t)snprintf(out + len, cap - len, "%s%u", len > 0 ? ", " : "", p.number);
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static int content_list(struct admin *a)
{
    int r = admin_open(a);
    if (r != 0)
        return r;
    struct out_list l;
    struct content c = { 0 };
    out_list_begin(&l, a, "contents");
    while ((r = contents_next(a->o, &c.id, &c)) == 0) {
        char products[128];
        r = on_sale_by(a, &c, products, sizeof(products));
        if (r != 0)
            break;
        const struct out_field fields[] = { OUT_I("content", &c.id),           OUT_T("title", c.title),
                                            OUT_T("creator", c.creator),       OUT_T("album", c.album),
                                            OUT_T("media-type", c.media_type), OUT_N("bytes", c.plain_bytes),
                                            OUT_T("on-sale-by", products),     OUT_F("withdrawn", c.withdrawn) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the contents");
}

int admin_content(struct admin *a, int argc, char **argv)
{
    int r = admin_options(a, NULL, 0, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return content_list(a);
    if (argc >= 3 && argc <= 2 + CONTENT_PRODUCTS_MAX && strcmp(argv[0], "offer") == 0)
        return content_offer(a, argv[1], argv + 2, argc - 2);
    return admin_usage(a, "content list, or content offer CONTENT PRODUCT... (up to 4 numbers of product list)");
}
