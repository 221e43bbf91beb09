/* Commands about people and their devices: invite, user, device. One thread. */
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "crypto/password.h"
#include "distributor/accounts.h"
#include "distributor/admin.h"
#include "distributor/billing.h"
#include "distributor/copies.h"
#include "distributor/devices.h"
#include "distributor/rows.h"
#include "distributor/standings.h"

#define DAY_MS INT64_C(86400000)
#define INVITES_MAX 1000

int admin_invite(struct admin *a, int argc, char **argv)
{
    struct admin_option options[] = { { .name = "count", .kind = ADMIN_COUNT, .number = 1 },
                                      { .name = "days", .kind = ADMIN_COUNT, .number = 30 } };
    int r = admin_options(a, options, ARRAY_COUNT(options), &argc, argv);
    if (r != 0)
        return r;
    int64_t count = options[0].number, days = options[1].number;
    if (argc != 0 || count < 1 || count > INVITES_MAX || days < 1 || days > 3650)
        return admin_usage(a, "invite [--count 1..%d] [--days 1..3650]", INVITES_MAX);
    char(*codes)[ACCOUNTS_INVITE_BYTES] CLEANUP(freep) = calloc((size_t)count, sizeof(*codes));
    if (!codes)
        return admin_error(a, -ENOMEM, "make invitations");
    r = admin_begin(a);
    if (r != 0)
        return r;
    int64_t ends_ms = a->now_ms + days * DAY_MS;
    for (int64_t i = 0; r == 0 && i < count; i++)
        r = accounts_invite(a->o, a->now_ms, ends_ms, codes[i]);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "make invitations");
    if (r != 0)
        return r;
    struct out_list l;
    out_list_begin(&l, a, "invitations");
    for (int64_t i = 0; i < count; i++) {
        const struct out_field fields[] = { OUT_T("code", codes[i]), OUT_MS("ends", ends_ms) };
        if (a->json)
            out_list_row(&l, fields, ARRAY_COUNT(fields));
        else
            puts(codes[i]);
    }
    out_list_end(&l);
    return ADMIN_DONE;
}

/* --- user -------------------------------------------------------------------------------------------------------- */

enum {
    USER_PASSWORD_FILE,
    USER_CREDIT,
    USER_FULL_NAME,
    USER_EMAIL,
    USER_REFERENCE,
    USER_FORGIVE,
    USER_YES,
    USER_OPTION_COUNT
};

static int hash_password(struct admin *a, const char *file, char hash[PASSWORD_HASH_BYTES])
{
    char password[ADMIN_PASSWORD_BYTES] = "";
    int r = admin_password(a, file, password);
    if (r == 0 && strlen(password) < ACCOUNTS_PASSWORD_MIN)
        r = admin_fail(a, REASON_NOT_PERMITTED, "A password needs at least %d characters.", ACCOUNTS_PASSWORD_MIN);
    if (r == 0 && password_hash(slice_str(password), hash) != 0)
        r = admin_error(a, -ENOMEM, "hash the password");
    secret_wipe(password, sizeof(password));
    return r;
}

static int judge_person(struct admin *a, const struct admin_option *options)
{
    for (size_t i = USER_FULL_NAME; i <= USER_REFERENCE; i++)
        if (options[i].given && text_has_card_number(options[i].text))
            return admin_fail(a, REASON_NOT_PERMITTED, "--%s looks like a card number, which is not stored here.",
                              options[i].name);
    static const struct account room;
    const struct {
        size_t option, cap;
        const char *what;
    } bounds[] = { { USER_FULL_NAME, sizeof(room.full_name), "a full name" },
                   { USER_EMAIL, sizeof(room.email), "an e-mail address" },
                   { USER_REFERENCE, sizeof(room.payment_reference), "a payment reference" } };
    for (size_t i = 0; i < ARRAY_COUNT(bounds); i++)
        if (options[bounds[i].option].given && strlen(options[bounds[i].option].text) >= bounds[i].cap)
            return admin_usage(a, "%s has at most %zu bytes", bounds[i].what, bounds[i].cap - 1);
    return 0;
}

static int user_add(struct admin *a, const char *user, const struct admin_option *options)
{
    char hash[PASSWORD_HASH_BYTES];
    if (!accounts_name_is_valid(user))
        return admin_usage(a, "a user name has 1 to 63 letters, digits or one of . _ @ + -");
    int r = judge_person(a, options);
    if (r == 0)
        r = hash_password(a, options[USER_PASSWORD_FILE].text, hash);
    if (r == 0)
        r = admin_begin(a);
    if (r != 0)
        return r;
    const char *full_name = options[USER_FULL_NAME].given ? options[USER_FULL_NAME].text : "";
    const char *email = options[USER_EMAIL].given ? options[USER_EMAIL].text : "";
    int64_t credit = options[USER_CREDIT].given ? options[USER_CREDIT].number : -1;
    r = accounts_add(a->o, user, hash, full_name, email, credit, a->now_ms);
    if (r == 0 && options[USER_REFERENCE].given)
        r = accounts_set_reference(a->o, user, options[USER_REFERENCE].text);
    return r == 0 ? admin_commit(a) : admin_error(a, r, "add the user");
}

static int user_set(struct admin *a, const char *user, const struct admin_option *options)
{
    char hash[PASSWORD_HASH_BYTES];
    if (!options[USER_PASSWORD_FILE].given && !options[USER_CREDIT].given && !options[USER_REFERENCE].given)
        return admin_usage(a, "user set NAME needs --password-file FILE, --credit AMOUNT or --payment-reference TEXT");
    int r = judge_person(a, options);
    if (r == 0 && options[USER_PASSWORD_FILE].given)
        r = hash_password(a, options[USER_PASSWORD_FILE].text, hash);
    if (r == 0)
        r = admin_begin(a);
    if (r != 0)
        return r;
    if (options[USER_PASSWORD_FILE].given)
        r = accounts_set_password(a->o, user, hash);
    if (r == 0 && options[USER_CREDIT].given)
        r = accounts_set_credit(a->o, user, options[USER_CREDIT].number);
    if (r == 0 && options[USER_REFERENCE].given)
        r = accounts_set_reference(a->o, user, options[USER_REFERENCE].text);
    if (r == OPERATIONS_ABSENT)
        return admin_absent(a, "user", user, "user list");
    return r == 0 ? admin_commit(a) : admin_error(a, r, "change the user");
}

static int user_list(struct admin *a)
{
    struct out_list l;
    struct account account = { .user = "" };
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "users");
    while ((r = accounts_next(a->o, account.user, &account)) == 0) {
        int64_t balance = 0, devices = 0, most = 0;
        r = billing_balance(a->o, account.user, &balance);
        if (r == 0)
            r = accounts_devices(a->o, account.user, &devices, &most);
        if (r != 0)
            break;
        const struct out_field fields[] = { OUT_T("user", account.user),
                                            OUT_T("name", account.full_name),
                                            OUT_T("email", account.email),
                                            OUT_N("devices", devices),
                                            OUT_T("payment_reference", account.payment_reference),
                                            OUT_M("balance", balance),
                                            OUT_M("credit", account.credit_limit),
                                            OUT_MS("since", account.created_ms) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the users");
}

int admin_user(struct admin *a, int argc, char **argv)
{
    struct admin_option options[USER_OPTION_COUNT] = { { .name = "password-file" },
                                                       { .name = "credit", .kind = ADMIN_MONEY },
                                                       { .name = "full-name" },
                                                       { .name = "email" },
                                                       { .name = "payment-reference" },
                                                       { .name = "forgive", .kind = ADMIN_FLAG },
                                                       { .name = "yes", .kind = ADMIN_FLAG } };
    int r = admin_options(a, options, USER_OPTION_COUNT, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return user_list(a);
    if (argc == 2 && strcmp(argv[0], "add") == 0)
        return user_add(a, argv[1], options);
    if (argc == 2 && strcmp(argv[0], "set") == 0)
        return user_set(a, argv[1], options);
    if (argc >= 3 && strcmp(argv[0], "token") == 0)
        return admin_token(a, argc - 1, argv + 1);
    if (argc == 2 && strcmp(argv[0], "erase") == 0)
        return admin_erase(a, argv[1], options[USER_FORGIVE].given, options[USER_YES].given);
    if (argc == 2 && strcmp(argv[0], "export") == 0)
        return admin_export(a, argv[1]);
    return admin_usage(a, "user add|set|export|erase NAME, user list, or user token list|revoke NAME [ID]");
}

/* --- device ------------------------------------------------------------------------------------------------------ */

static int next_device(struct admin *a, const char *user, struct device *d)
{
    struct query q CLEANUP(query_end) = query(a->o->store, DEVICE_NEXT);
    rows_bind_id(&q, 1, &d->client);
    query_bind_text(&q, 2, user);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, d->client.bytes, ID_BYTES);
    query_text(&q, 1, d->user, sizeof(d->user));
    query_text(&q, 2, d->name, sizeof(d->name));
    d->registered_ms = query_i64(&q, 3);
    d->revoked = query_bool(&q, 4);
    d->distributor = OPERATIONS_SELF;
    return query_check(&q);
}

static int device_list(struct admin *a, const char *user)
{
    struct out_list l;
    struct device d = { 0 };
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "devices");
    while ((r = next_device(a, user, &d)) == 0) {
        uint32_t category = 0, leaf = 0;
        r = devices_leaf(a->o, OPERATIONS_SELF, &d.client, &category, &leaf);
        if (r != 0)
            break;
        const struct out_field fields[] = { OUT_I("client", &d.client),  OUT_T("name", d.name),
                                            OUT_T("user", d.user),       OUT_N("leaf", leaf),
                                            OUT_F("revoked", d.revoked), OUT_MS("since", d.registered_ms) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    if (r == OPERATIONS_ABSENT)
        return admin_list_end(a, &l, user);
    out_list_drop(&l);
    return admin_error(a, r, "list the devices");
}

/* By an unambiguous prefix of its client ID. */
static int find_device(struct admin *a, const char *prefix, struct device *out)
{
    struct device d = { 0 };
    int found = 0, r;
    while ((r = next_device(a, "", &d)) == 0) {
        if (!id_has_prefix(&d.client, prefix))
            continue;
        found++;
        *out = d;
    }
    if (r != OPERATIONS_ABSENT)
        return admin_error(a, r, "look for the device");
    if (found > 1)
        return admin_fail(a, REASON_AMBIGUOUS, "%s fits %d devices; say more of its ID: device list.", prefix, found);
    return found == 1 ? 0 : admin_absent(a, "device", prefix, "device list");
}

static int device_revoke(struct admin *a, const char *prefix)
{
    struct device d = { 0 };
    int r = admin_begin(a);
    if (r == 0)
        r = find_device(a, prefix, &d);
    if (r != 0)
        return r;
    if (d.revoked)
        return admin_fail(a, REASON_ALREADY, "%s was revoked before.", d.name);
    r = devices_revoke(a->o, &d, a->now_ms);
    if (r == 0)
        r = copies_device_removed(a->o, &d, a->now_ms);
    if (r == 0)
        r = admin_commit(a);
    else
        r = admin_error(a, r, "revoke the device");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_I("client", &d.client), OUT_T("name", d.name), OUT_F("revoked", true) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

/* A device whose vault's count went astray, or that we remember wrongly. Its vault finds itself current, or catches up, at its next session. */
static int device_reset_generation(struct admin *a, const char *prefix)
{
    struct device d = { 0 };
    struct standing known = { 0 };
    int r = admin_begin(a);
    if (r == 0)
        r = find_device(a, prefix, &d);
    if (r != 0)
        return r;
    r = standings_get(a->o, &d.client, &known);
    if (r == 0)
        r = standings_reset(a->o, &d.client);
    if (r == OPERATIONS_ABSENT)
        return admin_fail(a, REASON_ALREADY, "Nothing is remembered of the vault of %s.", d.name);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "forget the generation");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_I("client", &d.client), OUT_T("name", d.name),
                                        OUT_N("generation", (int64_t)known.generation) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_device(struct admin *a, int argc, char **argv)
{
    struct admin_option options[] = { { .name = "user", .text = "" } };
    int r = admin_options(a, options, ARRAY_COUNT(options), &argc, argv);
    if (r != 0)
        return r;
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return device_list(a, options[0].text);
    if (argc == 2 && strcmp(argv[0], "revoke") == 0)
        return device_revoke(a, argv[1]);
    if (argc == 2 && strcmp(argv[0], "reset-generation") == 0)
        return device_reset_generation(a, argv[1]);
    return admin_usage(a, "device list [--user NAME], device revoke CLIENT, or device reset-generation CLIENT");
}
