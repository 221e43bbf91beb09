/* Commands about rights holders. One thread. */
#include "base/text.h"
#include "base/util.h"
#include "distributor/admin_money.h"
#include "distributor/holders.h"

enum { FULL_NAME, PRODUCT, BASIS_POINTS, FIXED, OF, TEXT, REFERENCE, OPTIONS };

static int holder_add(struct admin *a, const char *name, const struct admin_option *options)
{
    struct holder h = { .created_ms = a->now_ms }, before;
    if (strlen(name) >= sizeof(h.name))
        return admin_usage(a, "holder add NAME: 1 to 63 letters, digits, . _ @ + -");
    snprintf(h.name, sizeof(h.name), "%s", name);
    text_safe(options[FULL_NAME].text ? options[FULL_NAME].text : "", h.full_name, sizeof(h.full_name));
    int r = admin_begin(a);
    if (r != 0)
        return r;
    int found = holders_find(a->o, name, &before);
    r = found < 0 ? found : 0;
    if (r == 0 && !(found == 0 && !options[FULL_NAME].given))
        r = holders_add(a->o, &h);
    if (r == REASON_MALFORMED)
        return admin_usage(a, "holder add NAME: 1 to 63 letters, digits, . _ @ + -");
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "add the rights holder");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_T("holder", h.name), OUT_F("known-before", found == 0) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int put_shares(struct admin *a, struct out_list *l, const struct holder *h, int64_t due)
{
    struct holder_share s = { 0 };
    int r, shares = 0;
    do {
        r = holders_share_next(a->o, h->name, s.product, &s);
        if (r < 0 || (r != 0 && shares > 0))
            break;
        if (r != 0)
            s = (struct holder_share){ 0 };
        shares++;
        const struct out_field fields[] = {
            OUT_T("holder", h->name),    OUT_T("full-name", h->full_name),      OUT_M("due", due),
            OUT_N("product", s.product), OUT_N("basis-points", s.basis_points), OUT_M("fixed", s.fixed)
        };
        out_list_row(l, fields, ARRAY_COUNT(fields));
    } while (r == 0);
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static int holder_list(struct admin *a)
{
    struct out_list l;
    struct holder h = { 0 };
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "holders");
    while ((r = holders_next(a->o, h.name, &h)) == 0) {
        char account[LEDGER_ACCOUNT_BYTES];
        int64_t due;
        ledger_account_holder(h.name, account);
        r = ledger_balance(a->o, account, &due);
        if (r == 0)
            r = put_shares(a, &l, &h, due);
        if (r != 0)
            break;
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the rights holders");
}

static int need_holder(struct admin *a, const char *name)
{
    struct holder found;
    int r = holders_find(a->o, name, &found);
    if (r == OPERATIONS_ABSENT)
        return admin_absent(a, "rights holder", name, "holder list");
    return r == 0 ? 0 : admin_error(a, r, "look for the rights holder");
}

/* "license,copy": bits. 0 or -EINVAL. */
static int parse_tariffs(const char *text, uint32_t *out)
{
    uint32_t bits = 0;
    while (*text) {
        char word[16];
        size_t len = strcspn(text, ",");
        uint32_t kind;
        if (len >= sizeof(word))
            return -EINVAL;
        memcpy(word, text, len);
        word[len] = '\0';
        if (posting_kind_find(word, &kind) != 0 || kind > POSTING_OWNERSHIP)
            return -EINVAL;
        bits |= 1u << kind;
        text += len + (text[len] == ',');
    }
    *out = bits;
    return bits == 0 ? -EINVAL : 0;
}

static int holder_share(struct admin *a, const char *name, const struct admin_option *options)
{
    struct holder_share s = { .product = (uint32_t)options[PRODUCT].number,
                              .basis_points = (uint32_t)options[BASIS_POINTS].number,
                              .fixed = options[FIXED].number,
                              .tariffs = HOLDERS_TARIFFS_ALL };
    bool tariffs = !options[OF].given || parse_tariffs(options[OF].text, &s.tariffs) == 0;
    if (!options[PRODUCT].given || options[BASIS_POINTS].given == options[FIXED].given || !tariffs)
        return admin_usage(a, "holder share NAME --product NUMBER (--basis-points N | --fixed AMOUNT)"
                              " [--of license,copy,renewal,ownership]");
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = need_holder(a, name);
    if (r != 0)
        return r;
    bool none = s.basis_points == 0 && s.fixed == 0;
    r = none ? holders_clear_share(a->o, name, s.product) : holders_set_share(a->o, name, &s);
    if (none && r == OPERATIONS_ABSENT)
        r = 0;
    if (r == REASON_NOT_FOUND)
        return admin_absent_number(a, "product", s.product, "product list");
    if (r == REASON_NOT_PERMITTED)
        return admin_fail(a, REASON_NOT_PERMITTED,
                          "The shares of product %u would be more than the whole, or more than %d.", s.product,
                          HOLDERS_PER_PRODUCT);
    return r == 0 ? admin_commit(a) : admin_error(a, r, "set the share");
}

static int holder_pay(struct admin *a, const char *name, const char *amount_text, const struct admin_option *options)
{
    int64_t amount;
    if (text_money(amount_text, &amount) != 0 || amount == 0)
        return admin_usage(a, "holder pay NAME AMOUNT [--reference TEXT]");
    int r = admin_begin(a);
    if (r == 0)
        r = need_holder(a, name);
    if (r != 0)
        return r;
    r = holders_pay(a->o, name, amount, options[REFERENCE].text, a->now_ms,
                    options[TEXT].given ? options[TEXT].text : "Royalties paid out");
    bool known = r == REASON_ALREADY;
    if (r == REASON_CREDIT_REFUSED)
        return admin_fail(a, REASON_CREDIT_REFUSED, "Less than that is due to %s.", name);
    r = r == 0 || known ? admin_commit(a) : admin_error(a, r, "enter the payout");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_T("holder", name), OUT_M("paid", known ? 0 : amount),
                                        OUT_F("known-before", known) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_holder(struct admin *a, int argc, char **argv)
{
    struct admin_option options[OPTIONS] = { [FULL_NAME] = { .name = "full-name" },
                                             [PRODUCT] = { .name = "product", .kind = ADMIN_COUNT },
                                             [BASIS_POINTS] = { .name = "basis-points", .kind = ADMIN_COUNT },
                                             [FIXED] = { .name = "fixed", .kind = ADMIN_MONEY },
                                             [OF] = { .name = "of" },
                                             [TEXT] = { .name = "text" },
                                             [REFERENCE] = { .name = "reference" } };
    int r = admin_options(a, options, OPTIONS, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return holder_list(a);
    if (argc == 2 && strcmp(argv[0], "add") == 0)
        return holder_add(a, argv[1], options);
    if (argc == 2 && strcmp(argv[0], "share") == 0)
        return holder_share(a, argv[1], options);
    if (argc == 3 && strcmp(argv[0], "pay") == 0)
        return holder_pay(a, argv[1], argv[2], options);
    return admin_usage(a, "holder add NAME, holder list, holder share NAME --product N ..., or holder pay NAME AMOUNT");
}
