/* user token: the login tokens of an account. One thread. */
#include "base/text.h"
#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/admin.h"
#include "distributor/devices.h"
#include "distributor/tokens.h"

#define NAME_BYTES 8 /* of the hash: enough to tell them apart */

static int token_list(struct admin *a, const char *user)
{
    struct out_list l;
    struct token t = { 0 };
    int r = admin_open(a);
    if (r == 0)
        r = admin_need_user(a, user);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "tokens");
    while ((r = tokens_next(a->o, user, &t.client, &t)) == 0) {
        struct device d = { .name = "?" };
        char id[HEX_TEXT_BYTES(NAME_BYTES)];
        hex_encode(slice(t.hash, NAME_BYTES), id);
        r = devices_find(a->o, &t.client, &d);
        if (r < 0)
            break;
        const struct out_field fields[] = { OUT_T("id", id),           OUT_I("client", &t.client),
                                            OUT_T("name", d.name),     OUT_MS("since", t.created_ms),
                                            OUT_MS("used", t.used_ms), OUT_MS("ends", t.ends_ms) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the login tokens");
}

/* prefix "": all of them. */
static int token_revoke(struct admin *a, const char *user, const char *prefix)
{
    struct token t = { 0 };
    int64_t count = 0;
    int r = admin_begin(a);
    if (r == 0)
        r = admin_need_user(a, user);
    if (r != 0)
        return r;
    while ((r = tokens_next(a->o, user, &t.client, &t)) == 0) {
        char id[HEX_TEXT_BYTES(NAME_BYTES)];
        hex_encode(slice(t.hash, NAME_BYTES), id);
        if (strncmp(id, prefix, strlen(prefix)) != 0)
            continue;
        r = tokens_revoke_device(a->o, &t.client);
        if (r != 0)
            break;
        count++;
    }
    if (r != OPERATIONS_ABSENT)
        return admin_error(a, r, "revoke the login tokens");
    if (count == 0 && prefix[0] != '\0')
        return admin_fail(a, REASON_NOT_FOUND, "%s has no login token %s.", user, prefix);
    if (count > 1 && prefix[0] != '\0')
        return admin_fail(a, REASON_AMBIGUOUS, "%s fits several login tokens.", prefix);
    r = admin_commit(a);
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_T("user", user), OUT_N("revoked", count) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_token(struct admin *a, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[0], "list") == 0)
        return token_list(a, argv[1]);
    if ((argc == 2 || argc == 3) && strcmp(argv[0], "revoke") == 0)
        return token_revoke(a, argv[1], argc == 3 ? argv[2] : "");
    return admin_usage(a, "user token list NAME, or user token revoke NAME [ID]");
}
