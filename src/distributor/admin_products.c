/* The command product: the tariff, its conditions and options. One thread. Source: seed Fig. 12, S81; related system R3. */
#include "distributor/admin_products.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/admin_provider.h"
#include "distributor/conditions.h"
#include "protocol/metadata.h"

#define DAY_MS INT64_C(86400000)
#define RECOVERIES_DEFAULT 3 /* of what is counted: power fails, programs crash; nobody lives on it */

/* --- Options that describe a product ------------------------------------------------------------------------------- */

enum {
    MAX_COPIES = ADMIN_PRODUCT_SIGNERS + 1,
    COPY_DEPTH,
    MAX_REMOVABLE,
    USAGE_DAYS,
    USAGE_FROM,
    USAGE_UNTIL,
    DOWNLOAD_FROM,
    DOWNLOAD_UNTIL,
    MAX_PLAYS,
    PLAY_TIME,
    MAX_CHECKOUTS,
    RECORD,
    OWN_PRICE,
    USE_LOG,
    RENEW_PRICE,
    RENEW_LATE,
    LEASE,
    LEASE_GRACE,
    LEASE_PLAYS,
    MAX_RECOVERIES,
    CHARGE_FROM,
};
_Static_assert(CHARGE_FROM + 1 == ADMIN_PRODUCT_OPTIONS, "as the header says");

void admin_product_options(struct admin_option *options)
{
    static const struct admin_option all[ADMIN_PRODUCT_OPTIONS] = {
        [ADMIN_PRODUCT_NAME] = { .name = "name", .text = "Purchase" },
        [ADMIN_PRODUCT_PRICE] = { .name = "price", .kind = ADMIN_MONEY },
        [ADMIN_PRODUCT_COPY_PRICE] = { .name = "copy-price", .kind = ADMIN_MONEY },
        [ADMIN_PRODUCT_SIGNERS] = { .name = "metadata-signers" },
        [MAX_COPIES] = { .name = "max-copies", .kind = ADMIN_COUNT, .number = 5 },
        [COPY_DEPTH] = { .name = "copy-depth", .kind = ADMIN_COUNT, .number = 1 },
        [MAX_REMOVABLE] = { .name = "max-removable", .kind = ADMIN_COUNT, .number = UINT32_MAX },
        [USAGE_DAYS] = { .name = "usage-days", .kind = ADMIN_COUNT },
        [USAGE_FROM] = { .name = "usage-from", .kind = ADMIN_TIME },
        [USAGE_UNTIL] = { .name = "usage-until", .kind = ADMIN_TIME },
        [DOWNLOAD_FROM] = { .name = "download-from", .kind = ADMIN_TIME },
        [DOWNLOAD_UNTIL] = { .name = "download-until", .kind = ADMIN_TIME },
        [MAX_PLAYS] = { .name = "max-plays", .kind = ADMIN_COUNT },
        [PLAY_TIME] = { .name = "play-time", .kind = ADMIN_DURATION },
        [MAX_CHECKOUTS] = { .name = "max-checkouts", .kind = ADMIN_COUNT },
        [RECORD] = { .name = "record", .kind = ADMIN_FLAG },
        [OWN_PRICE] = { .name = "own-price", .kind = ADMIN_MONEY },
        [USE_LOG] = { .name = "use-log", .kind = ADMIN_FLAG },
        [RENEW_PRICE] = { .name = "renew-price", .kind = ADMIN_MONEY },
        [RENEW_LATE] = { .name = "renew-late", .kind = ADMIN_DURATION },
        [LEASE] = { .name = "lease", .kind = ADMIN_DURATION },
        [LEASE_GRACE] = { .name = "lease-grace", .kind = ADMIN_DURATION },
        [LEASE_PLAYS] = { .name = "lease-plays", .kind = ADMIN_COUNT },
        [MAX_RECOVERIES] = { .name = "max-recoveries", .kind = ADMIN_COUNT, .number = RECOVERIES_DEFAULT },
        [CHARGE_FROM] = { .name = "charge-from", .kind = ADMIN_DURATION },
    };
    memcpy(options, all, sizeof(all));
}

static void set_time(const struct admin_option *option, bool *has, uint64_t *value)
{
    *has = option->given;
    *value = option->given ? (uint64_t)option->number : 0;
}

static void set_count(const struct admin_option *option, bool *has, uint32_t *value)
{
    *has = option->given;
    *value = option->given ? (uint32_t)option->number : 0;
}

static void conditions_of(const struct admin_option *options, doc_Conditions *c)
{
    c->max_copies = (uint32_t)options[MAX_COPIES].number;
    c->copy_depth = (uint32_t)options[COPY_DEPTH].number;
    c->max_removable = (uint32_t)options[MAX_REMOVABLE].number;
    set_time(&options[USAGE_FROM], &c->has_usage_from_ms, &c->usage_from_ms);
    set_time(&options[USAGE_UNTIL], &c->has_usage_until_ms, &c->usage_until_ms);
    set_time(&options[DOWNLOAD_FROM], &c->has_download_from_ms, &c->download_from_ms);
    set_time(&options[DOWNLOAD_UNTIL], &c->has_download_until_ms, &c->download_until_ms);
    set_count(&options[MAX_PLAYS], &c->has_max_plays, &c->max_plays);
    set_time(&options[PLAY_TIME], &c->has_max_play_ms, &c->max_play_ms);
    set_count(&options[MAX_CHECKOUTS], &c->has_max_checkouts, &c->max_checkouts);
    c->has_record = c->record = options[RECORD].given;
    c->has_own_price = options[OWN_PRICE].given;
    c->own_price = options[OWN_PRICE].number;
    c->has_use_log = c->use_log = options[USE_LOG].given;
    bool counted = c->has_max_plays || c->has_max_play_ms || options[LEASE_PLAYS].given;
    c->has_max_recoveries = options[MAX_RECOVERIES].given || counted;
    c->max_recoveries = c->has_max_recoveries ? (uint32_t)options[MAX_RECOVERIES].number : 0;
    set_time(&options[CHARGE_FROM], &c->has_charge_from_ms, &c->charge_from_ms);
}

static void product_of(const struct admin_option *options, struct product *p)
{
    uint64_t renew_price;
    *p = (struct product){ .price = options[ADMIN_PRODUCT_PRICE].number,
                           .copy_price = options[ADMIN_PRODUCT_COPY_PRICE].number };
    CODEC_SET_TEXT(p->name, options[ADMIN_PRODUCT_NAME].text);
    conditions_of(options, &p->conditions);
    p->has_usage_for_ms = options[USAGE_DAYS].given;
    p->usage_for_ms = (uint64_t)options[USAGE_DAYS].number * (uint64_t)DAY_MS;
    set_time(&options[RENEW_PRICE], &p->has_renew_price, &renew_price);
    p->renew_price = (int64_t)renew_price;
    set_time(&options[RENEW_LATE], &p->has_renew_late_ms, &p->renew_late_ms);
    set_time(&options[LEASE], &p->has_lease_ms, &p->lease_ms);
    p->lease_grace_ms = (uint64_t)options[LEASE_GRACE].number;
    p->lease_plays = (uint32_t)options[LEASE_PLAYS].number;
    bool copied = (options[MAX_COPIES].given && options[MAX_COPIES].number > 0) ||
                  (options[COPY_DEPTH].given && options[COPY_DEPTH].number > 0);
    if (p->has_lease_ms && !copied) /* one device's at a time */
        p->conditions.max_copies = p->conditions.copy_depth = p->conditions.max_removable = 0;
}

bool admin_product_described(const struct admin_option *options)
{
    for (int i = 0; i < ADMIN_PRODUCT_OPTIONS; i++)
        if (options[i].given)
            return true;
    return false;
}

int admin_product_needs_price(struct admin *a, bool publishing)
{
    return admin_usage(a, "say what it costs: --price 1.29, or --price 0 for what is given away%s",
                       publishing ? "; or name a product that is there: --product NUMBER (see product list)" : "");
}

/* --- product ----------------------------------------------------------------------------------------------------- */

/* Appends "until 2027-03-01", or with the time of day when it is not midnight. */
static void say_day(bool given, const char *what, uint64_t at_ms, char *out, size_t cap)
{
    char when[32] = "?";
    size_t n = strlen(out);
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm tm;
    if (!given || n >= cap)
        return;
    if (gmtime_r(&seconds, &tm) != NULL)
        (void)strftime(when, sizeof(when), seconds % 86400 == 0 ? "%Y-%m-%d" : "%Y-%m-%d %H:%M UTC", &tm);
    (void)snprintf(out + n, cap - n, "%s%s %s", n > 0 ? ", " : "", what, when);
}

static const char *words(const struct product *p, char *out, size_t cap)
{
    const doc_Conditions *c = &p->conditions;
    size_t n = 0;
    out[0] = '\0';
#define SAY(when, ...)                                                      \
    do {                                                                    \
        if ((when) && n < cap) {                                            \
            int more = snprintf(out + n, cap - n, "%s", n > 0 ? ", " : ""); \
            n += more > 0 ? (size_t)more : 0;                               \
            more = n < cap ? snprintf(out + n, cap - n, __VA_ARGS__) : 0;   \
            n += more > 0 ? (size_t)more : 0;                               \
        }                                                                   \
    } while (0)
    say_day(c->has_usage_from_ms, "from", c->usage_from_ms, out, cap);
    say_day(c->has_usage_until_ms, "until", c->usage_until_ms, out, cap);
    say_day(c->has_download_from_ms, "download from", c->download_from_ms, out, cap);
    say_day(c->has_download_until_ms, "download until", c->download_until_ms, out, cap);
    n = strlen(out);
    SAY(c->has_max_plays, "%u play%s", c->max_plays, c->max_plays == 1 ? "" : "s");
    SAY(c->has_max_play_ms && c->max_play_ms % 60000 == 0, "%llu min playing",
        (unsigned long long)(c->max_play_ms / 60000));
    SAY(c->has_max_play_ms && c->max_play_ms % 60000 != 0, "%llu:%02u min playing",
        (unsigned long long)(c->max_play_ms / 60000), (unsigned)(c->max_play_ms / 1000 % 60));
    SAY(c->has_max_checkouts, "%u checkouts", c->max_checkouts);
    SAY(c->record, "CD-R");
    SAY(c->has_own_price, "own %lld.%02lld", (long long)(c->own_price / 100), (long long)(c->own_price % 100));
    SAY(c->use_log, "use log");
    SAY(c->has_max_recoveries, "%u recoveries", c->max_recoveries);
    SAY(c->has_charge_from_ms, "counted from %llu s", (unsigned long long)(c->charge_from_ms / 1000));
    SAY(c->has_metadata_signers, "metadata by %s", metadata_range_text(c->metadata_signers.kind));
    SAY(p->has_renew_price, "renewal %lld.%02lld", (long long)(p->renew_price / 100),
        (long long)(p->renew_price % 100));
    SAY(p->has_lease_ms, "lease %llu h", (unsigned long long)(p->lease_ms / 3600000));
#undef SAY
    return out;
}

static int product_list(struct admin *a)
{
    struct out_list l;
    struct product p = { 0 };
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "products");
    while ((r = products_next(a->o, p.number, &p)) == 0) {
        char more[256];
        const struct out_field fields[] = { OUT_N("product", p.number),
                                            OUT_T("name", p.name),
                                            OUT_M("price", p.price),
                                            OUT_M("copy-price", p.copy_price),
                                            OUT_N("max-copies", p.conditions.max_copies),
                                            OUT_N("copy-depth", p.conditions.copy_depth),
                                            OUT_N("max-removable", p.conditions.max_removable),
                                            OUT_N("usage-days", p.has_usage_for_ms ? p.usage_for_ms / (uint64_t)DAY_MS
                                                                : a->json          ? 0
                                                                                   : UINT32_MAX),
                                            OUT_T("conditions", words(&p, more, sizeof(more))),
                                            OUT_F("withdrawn", p.withdrawn) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the products");
}

/* A renewal gives what the product gives: the same end again, where nothing is counted anew. */
static void warn_of_renewal(const struct product *p)
{
    const doc_Conditions *c = &p->conditions;
    if (p->has_renew_price && c->has_usage_until_ms && !p->has_usage_for_ms && !c->has_max_plays && !c->has_max_play_ms)
        fprintf(
            stderr,
            "hearth-distributor: warning: a renewal of this product adds nothing to its own license, which ends when it does "
            "(--usage-until): --usage-days gives each renewal a time of its own.\n");
}

int admin_product_add(struct admin *a, const struct admin_option *options, struct product *p)
{
    if (!text_is_plain(slice_str(options[ADMIN_PRODUCT_NAME].text))) /* devices show it */
        return admin_usage(a, "--name is a printable text");
    product_of(options, p);
    p->conditions.has_metadata_signers = options[ADMIN_PRODUCT_SIGNERS].given;
    if (options[ADMIN_PRODUCT_SIGNERS].given) {
        int bad = admin_signers(a, &options[ADMIN_PRODUCT_SIGNERS], &p->conditions.metadata_signers);
        if (bad != 0)
            return bad;
    }
    const doc_Conditions *c = &p->conditions;
    if ((c->has_usage_until_ms && c->usage_until_ms <= (uint64_t)a->now_ms) ||
        (c->has_download_until_ms && c->download_until_ms <= (uint64_t)a->now_ms))
        return admin_fail(a, REASON_NOT_PERMITTED, "A period that is over already leaves nothing to sell.");
    int r = products_add(a->o, p);
    if (r == REASON_MALFORMED)
        return admin_fail(
            a, REASON_NOT_PERMITTED,
            "A product has a name, no negative price, a play at least where plays are counted, and no period that ends before it begins; "
            "--lease-grace and --lease-plays need --lease, and a leased product cannot be copied or checked out.");
    if (r == 0)
        warn_of_renewal(p);
    return r == 0 ? 0 : admin_error(a, r, "add the product");
}

static int product_add(struct admin *a, const struct admin_option *options)
{
    struct product p;
    int r = admin_begin(a);
    if (r == 0)
        r = admin_product_add(a, options, &p);
    if (r == 0)
        r = admin_commit(a);
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_N("product", p.number), OUT_T("name", p.name), OUT_M("price", p.price) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

/* A number as it was given; 0: it is none. */
uint32_t admin_product_number(const char *word)
{
    char *end;
    unsigned long number = strtoul(word, &end, 10);
    return number > UINT32_MAX || *end != '\0' ? 0 : (uint32_t)number;
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
    if (r == OPERATIONS_ABSENT)
        return admin_absent_number(a, "product", number, "product list");
    return r == 0 ? admin_commit(a) : admin_error(a, r, "withdraw the product");
}

int admin_product(struct admin *a, int argc, char **argv)
{
    struct admin_option options[ADMIN_PRODUCT_OPTIONS];
    if (argc > 0 && strcmp(argv[0], "option") == 0)
        return admin_product_option(a, argc - 1, argv + 1);
    admin_product_options(options);
    int r = admin_options(a, options, ADMIN_PRODUCT_OPTIONS, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return product_list(a);
    if (argc == 1 && strcmp(argv[0], "add") == 0 && options[ADMIN_PRODUCT_NAME].given)
        return options[ADMIN_PRODUCT_PRICE].given ? product_add(a, options) : admin_product_needs_price(a, false);
    if (argc == 2 && strcmp(argv[0], "withdraw") == 0)
        return product_withdraw(a, argv[1]);
    return admin_usage(
        a, "product list, product add --name NAME --price AMOUNT ..., product withdraw NUMBER, or product option ...");
}
