/* Command: settings. One thread. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/admin_init.h"
#include "distributor/billing.h"
#include "distributor/devices.h"
#include "distributor/keyblocks.h"
#include "distributor/tokens.h"

static const char *const names[] = { "name",
                                     "currency",
                                     "listen",
                                     "address",
                                     "directory",
                                     "directory-url",
                                     "registration",
                                     "credit-limit",
                                     "devices-per-account",
                                     "login-policy",
                                     "login-days",
                                     "certificate-days",
                                     "compare-every",
                                     "directory-patience",
                                     "key-block-kind",
                                     "move-charged",
                                     "copy-charged",
                                     "pay-within-days",
                                     "payment-command",
                                     "payment-timeout",
                                     "collect-at",
                                     "settlement-days" };
#define FIRST_CHANGEABLE 2 /* name and currency are part of what was issued */

/* Stored in minor units, as JSON shows them. */
static bool is_amount(const char *name) { return strcmp(name, "credit-limit") == 0 || strcmp(name, "collect-at") == 0; }

static int list_settings(struct admin *a)
{
    struct out_list l;
    out_list_begin(&l, a, "settings");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char value[256];
        int r = operations_setting(a->o, names[i], value, sizeof(value));
        if (r != 0)
            snprintf(value, sizeof(value), "?");
        if (r == 0 && !a->json && is_amount(names[i]))
            billing_money(a->o, strtoll(value, NULL, 10), value);
        const struct out_field fields[] = { OUT_T("name", names[i]), OUT_T("value", value) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return ADMIN_DONE;
}

static const struct {
    const char *name;
    int least, most;
} numbers[] = { { "certificate-days", 1, 365 },     { "compare-every", 0, 86400 },
                { "directory-patience", 1, 86400 }, { "devices-per-account", 1, DEVICES_PER_HOUSEHOLD },
                { "login-days", 1, 3650 },          { "pay-within-days", 0, 365 },
                { "payment-timeout", 1, 3600 },     { "settlement-days", 0, 365 } };

static int judge_setting(struct admin *a, const char *name, const char *value)
{
    char *end;
    if (strcmp(name, "registration") == 0 && !admin_is_registration(value))
        return admin_usage(a, "registration is one of: invite, open, closed");
    enum tokens_policy policy;
    if (strcmp(name, "login-policy") == 0 && !tokens_policy_of(value, &policy))
        return admin_usage(a, "login-policy is one of: device-key, password, both");
    if (strcmp(name, "key-block-kind") == 0 && !keyblocks_kind_is_valid(value))
        return admin_usage(a, "key-block-kind is one of: auto, complete-subtree, subset-difference");
    bool yes_no = strcmp(name, "move-charged") == 0 || strcmp(name, "directory") == 0;
    if (yes_no && strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        return admin_usage(a, "%s is yes or no", name);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (strcmp(name, numbers[i].name) != 0)
            continue;
        long long n = strtoll(value, &end, 10);
        if (*value == '\0' || *end != '\0' || n < numbers[i].least || n > numbers[i].most)
            return admin_usage(a, "%s is a whole number from %d to %d", name, numbers[i].least, numbers[i].most);
    }
    if (strcmp(name, "payment-command") == 0 && *value != '\0' && *value != '/')
        return admin_usage(a, "payment-command is the whole path of a program, or empty");
    if (strcmp(name, "copy-charged") == 0 && strcmp(value, "source") != 0 && strcmp(value, "destination") != 0)
        return admin_usage(a, "copy-charged is source or destination");
    if (strcmp(name, "listen") == 0)
        return admin_judge_listen(a, name, value);
    if (strcmp(name, "address") == 0)
        return admin_judge_address(a, name, value);
    if (strcmp(name, "directory-url") == 0)
        return admin_usage(a, "use: directory set URL");
    return 0;
}

/* An address that only says where it listened goes with it; one that the operator chose stays. */
static int move_address(struct admin *a, const char *listen)
{
    char before[OPERATIONS_ADDRESS_BYTES], derived[OPERATIONS_ADDRESS_BYTES], address[OPERATIONS_ADDRESS_BYTES];
    int r = operations_setting(a->o, "listen", before, sizeof(before));
    if (r == 0)
        r = operations_setting(a->o, "address", address, sizeof(address));
    if (r != 0)
        return r;
    admin_address_of(before, derived);
    if (strcmp(address, derived) != 0)
        return 0;
    admin_address_of(listen, derived);
    return operations_setting_set(a->o, "address", derived);
}

int admin_settings(struct admin *a, int argc, char **argv)
{
    int r = admin_options(a, NULL, 0, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 0) {
        r = admin_open(a);
        return r == 0 ? list_settings(a) : r;
    }
    if (argc != 2)
        return admin_usage(a, "settings [NAME VALUE]");
    for (size_t i = FIRST_CHANGEABLE; i < ARRAY_COUNT(names); i++) {
        if (strcmp(names[i], argv[0]) != 0)
            continue;
        char minor[32];
        const char *value = argv[1];
        int64_t amount;
        r = judge_setting(a, argv[0], value);
        if (r == 0 && is_amount(argv[0])) {
            if (text_money(value, &amount) != 0)
                return admin_usage(a, "%s is an amount such as 50 or 49.99", argv[0]);
            snprintf(minor, sizeof(minor), "%" PRId64, amount);
            value = minor;
        }
        if (r == 0)
            r = admin_begin(a);
        if (r != 0)
            return r;
        r = strcmp(argv[0], "listen") == 0 ? move_address(a, value) : 0;
        if (r == 0)
            r = operations_setting_set(a->o, argv[0], value);
        r = r == 0 ? admin_commit(a) : admin_error(a, r, "store the setting");
        if (r == 0 && strcmp(argv[0], "payment-command") == 0)
            fprintf(stderr,
                    "A server that runs goes by what was set when it began: start it again, and payments go on.\n");
        return r == 0 ? list_settings(a) : r;
    }
    struct suggest s = suggest(argv[0]);
    for (size_t i = FIRST_CHANGEABLE; i < ARRAY_COUNT(names); i++)
        suggest_try(&s, names[i]);
    return suggest_found(&s) != NULL
               ? admin_usage(a, "there is no setting %s to change; is it %s? All of them: settings", argv[0],
                             suggest_found(&s))
               : admin_usage(a, "there is no setting %s to change; those there are: settings", argv[0]);
}
