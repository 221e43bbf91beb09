/* Commands that give money back, or say who gets and pays it: refund, certificate, tariff. One thread. */
#include <inttypes.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/admin_money.h"
#include "distributor/billing.h"
#include "distributor/copies.h"
#include "distributor/refunds.h"

/* --- refund ---------------------------------------------------------------------------------------------------------- */

static int fail_refund(struct admin *a, int r, uint64_t entry)
{
    switch (r) {
    case REASON_NOT_PERMITTED:
        return admin_fail(a, REASON_NOT_PERMITTED, "Entry %" PRIu64 " is not a charge of a user.", entry);
    case REASON_ALREADY:
        return admin_fail(a, REASON_ALREADY, "Entry %" PRIu64 " was refunded before.", entry);
    case REASON_TOO_LARGE:
        return admin_fail(a, REASON_TOO_LARGE, "Entry %" PRIu64 " charged less than that.", entry);
    case REASON_NO_LICENSE:
        return admin_fail(
            a, REASON_NO_LICENSE,
            "The license that was bought is not where it was (moved, or replaced by a later one): it cannot be "
            "revoked. Use --license keep.");
    case REASON_NOT_FOUND:
        return admin_absent_number(a, "entry", entry, "ledger list, or ledger user NAME");
    default:
        return admin_error(a, r, "refund the entry");
    }
}

int admin_refund(struct admin *a, int argc, char **argv)
{
    enum { AMOUNT, TEXT, LICENSE, COUNT };
    struct admin_option options[COUNT] = { [AMOUNT] = { .name = "amount", .kind = ADMIN_MONEY },
                                           [TEXT] = { .name = "text", .text = "Refund" },
                                           [LICENSE] = { .name = "license", .text = "keep" } };
    struct refund f = { .now_ms = a->now_ms };
    struct refunded given = { 0 };
    int r = admin_options(a, options, COUNT, &argc, argv);
    if (r != 0)
        return r;
    f.revoke = strcmp(options[LICENSE].text, "revoke") == 0;
    if (argc != 1 || admin_parse_number(argv[0], &f.entry) != 0 ||
        (!f.revoke && strcmp(options[LICENSE].text, "keep") != 0) ||
        (options[AMOUNT].given && options[AMOUNT].number == 0))
        return admin_usage(a, "refund ENTRY [--amount AMOUNT] [--text REASON] [--license keep|revoke]: the number that "
                              "`ledger user NAME` shows");
    f.amount = options[AMOUNT].number;
    f.text = options[TEXT].text;
    r = admin_begin(a);
    if (r != 0)
        return r;
    r = refunds_give(a->o, &f, &given);
    if (r != 0)
        return fail_refund(a, r, f.entry);
    r = admin_commit(a);
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_N("refunds", f.entry), OUT_N("entry", given.entry),
                                        OUT_M("amount", given.amount), OUT_F("license-revoked", given.revoked) };
    out_object(a, fields, ARRAY_COUNT(fields));
    if (given.revoked && !a->json)
        puts(
            "The license may be copied and renewed no more. What a device has stored keeps working: it cannot be taken back.");
    return ADMIN_DONE;
}

/* --- certificate ------------------------------------------------------------------------------------------------------ */

static const char *const state_names[] = { [CERTIFICATE_ISSUED] = "issued",
                                           [CERTIFICATE_REDEEMED] = "redeemed",
                                           [CERTIFICATE_REFUSED] = "refused",
                                           [CERTIFICATE_ENDED] = "ended",
                                           [CERTIFICATE_GIVEN_BACK] = "given-back" };

static int certificate_list(struct admin *a, const char *user, uint32_t state)
{
    struct out_list l;
    struct copy c = { 0 };
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "certificates");
    while ((r = copies_next(a->o, c.serial, user, state, &c)) == 0) {
        char serial[HEX_TEXT_BYTES(16)];
        hex_encode(SLICE_ARRAY(c.serial), serial);
        const struct out_field fields[] = {
            OUT_T("serial", serial),
            OUT_T("user", c.account),
            OUT_I("content", &c.content),
            OUT_I("destination", &c.destination),
            OUT_F("move", c.move),
            OUT_T("state", c.state < ARRAY_COUNT(state_names) && state_names[c.state] ? state_names[c.state] : "other"),
            OUT_N("entry", c.charge),
            OUT_MS("issued", c.issued_ms),
            OUT_MS("ends", c.ends_ms)
        };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    if (r == OPERATIONS_ABSENT)
        return admin_list_end(a, &l, user);
    out_list_drop(&l);
    return admin_error(a, r, "list the certificates");
}

static int certificate_give_back(struct admin *a, const char *word, const char *text)
{
    uint8_t serial[16];
    if (hex_decode(word, serial, sizeof(serial)) != 0)
        return admin_usage(a, "certificate give-back SERIAL: 32 hexadecimal digits, as `certificate list` shows them");
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = copies_give_back(a->o, serial, a->now_ms, text);
    if (r == REASON_NOT_FOUND)
        return admin_absent(a, "certificate", word, "certificate list");
    if (r == REASON_IN_USE)
        return admin_fail(a, REASON_IN_USE, "The certificate has not ended: it may still be used.");
    if (r == REASON_NOT_PERMITTED)
        return admin_fail(a, REASON_NOT_PERMITTED,
                          "The certificate was used, or is a move's, which its destination must refuse.");
    bool known = r == REASON_ALREADY;
    r = r == 0 || known ? admin_commit(a) : admin_error(a, r, "give the certificate back");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_T("serial", word), OUT_F("known-before", known) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_certificate(struct admin *a, int argc, char **argv)
{
    enum { USER, STATE, TEXT, COUNT };
    struct admin_option options[COUNT] = { [USER] = { .name = "user" },
                                           [STATE] = { .name = "state" },
                                           [TEXT] = { .name = "text",
                                                      .text = "Given back: copy certificate not used" } };
    uint32_t state = 0;
    int r = admin_options(a, options, COUNT, &argc, argv);
    if (r != 0)
        return r;
    for (uint32_t i = CERTIFICATE_ISSUED; options[STATE].given && i < ARRAY_COUNT(state_names); i++)
        if (strcmp(options[STATE].text, state_names[i]) == 0)
            state = i;
    if (options[STATE].given && state == 0)
        return admin_usage(a, "--state issued|redeemed|refused|ended|given-back");
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return certificate_list(a, options[USER].text, state);
    if (argc == 2 && strcmp(argv[0], "give-back") == 0)
        return certificate_give_back(a, argv[1], options[TEXT].text);
    return admin_usage(a, "certificate list [--user NAME] [--state STATE], or certificate give-back SERIAL");
}

/* --- tariff ---------------------------------------------------------------------------------------------------------- */

static int tariff_list(struct admin *a)
{
    struct out_list l;
    struct product p = { 0 };
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "tariffs");
    while ((r = products_next(a->o, p.number, &p)) == 0) {
        bool destination;
        r = billing_copy_payer(a->o, p.number, &destination);
        if (r != 0)
            break;
        const struct out_field fields[] = { OUT_N("product", p.number), OUT_T("name", p.name), OUT_M("price", p.price),
                                            OUT_M("copy-price", p.copy_price),
                                            OUT_T("copy-charged", destination ? "destination" : "source") };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the tariffs");
}

static int tariff_set(struct admin *a, const char *product, const char *word)
{
    static const char *const words[] = { "source", "destination", "default" };
    uint64_t number = 0;
    struct product p;
    bool known = false;
    for (size_t i = 0; word && i < ARRAY_COUNT(words); i++)
        known = known || strcmp(word, words[i]) == 0;
    if (admin_parse_number(product, &number) != 0 || number > UINT32_MAX || !known)
        return admin_usage(a, "tariff set PRODUCT --copy-charged source|destination|default");
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = products_get(a->o, (uint32_t)number, &p);
    if (r == OPERATIONS_ABSENT)
        return admin_absent_number(a, "product", number, "product list");
    if (r == 0)
        r = billing_set_copy_payer(a->o, p.number, strcmp(word, "default") == 0 ? NULL : word);
    return r == 0 ? admin_commit(a) : admin_error(a, r, "set the tariff");
}

int admin_tariff(struct admin *a, int argc, char **argv)
{
    struct admin_option options[] = { { .name = "copy-charged" } };
    int r = admin_options(a, options, ARRAY_COUNT(options), &argc, argv);
    if (r != 0)
        return r;
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return tariff_list(a);
    if (argc == 2 && strcmp(argv[0], "set") == 0)
        return tariff_set(a, argv[1], options[0].text);
    return admin_usage(a, "tariff list, or tariff set PRODUCT --copy-charged source|destination|default");
}
