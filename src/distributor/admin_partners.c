/* Commands about other distributors: partner, directory. One thread. */
#include "base/util.h"
#include "distributor/admin_money.h"
#include "distributor/share.h"

static int partner_add(struct admin *a, const char *url, const char *name)
{
    char address[OPERATIONS_ADDRESS_BYTES];
    struct id id;
    if (admin_parse_url(url, address, &id) != 0)
        return admin_usage(a, "a partner's URL is hearth://HOST:PORT#ID, as its `hearth-distributor id` prints it");
    if (name[0] == '\0' || strlen(name) >= OPERATIONS_NAME_BYTES)
        return admin_usage(a, "partner add URL --name NAME (1 to 63 characters)");
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = delegations_partner_add(a->o, &id, name, address);
    bool known = r == REASON_ALREADY;
    if (r == REASON_NOT_PERMITTED)
        return admin_fail(a, REASON_NOT_PERMITTED, "That is this very distributor.");
    r = r == 0 || known ? admin_commit(a) : admin_error(a, r, "add the partner");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_I("partner", &id), OUT_T("name", name), OUT_T("address", address),
                                        OUT_F("known-before", known) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int partner_list(struct admin *a)
{
    struct out_list l;
    struct partner p = { 0 };
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "partners");
    while ((r = delegations_partner_next(a->o, p.number, &p)) == 0) {
        struct delegations_usable usable;
        struct buf delegation CLEANUP(buf_free) = buf(1024);
        int usable_now = delegations_usable(a->o, &p, a->now_ms, &usable, &delegation);
        const struct out_field fields[] = { OUT_I("partner", &p.id), OUT_T("name", p.name), OUT_T("address", p.address),
                                            OUT_F("withdrawn", p.withdrawn),
                                            OUT_F("delegates-to-us", usable_now == 0) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the partners");
}

static int partner_withdraw(struct admin *a, const char *word)
{
    struct partner p;
    int r = admin_begin(a);
    if (r == 0)
        r = admin_find_partner(a, word, &p);
    if (r != 0)
        return r;
    bool told;
    r = delegations_partner_withdraw(a->o, &p.id, a->now_ms, &told);
    if (r != 0)
        return admin_error(a, r, "withdraw the partner");
    r = admin_commit(a);
    if (r != 0 || told)
        return r;
    /* Nothing more is given; what it holds counts until devices see it in a keyset. */
    const struct out_field fields[] = {
        OUT_T("partner", p.name), OUT_T("needed", "the root key is not here: hearth-distributor keys request FILE")
    };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_partner(struct admin *a, int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "terms") == 0)
        return admin_partner_terms(a, argc - 1, argv + 1);
    struct admin_option options[] = { { .name = "name", .text = "" } };
    int r = admin_options(a, options, ARRAY_COUNT(options), &argc, argv);
    if (r != 0)
        return r;
    if (argc == 2 && strcmp(argv[0], "add") == 0)
        return partner_add(a, argv[1], options[0].text);
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return partner_list(a);
    if (argc == 2 && strcmp(argv[0], "withdraw") == 0)
        return partner_withdraw(a, argv[1]);
    return admin_usage(a,
                       "partner add URL --name NAME, partner list, partner terms NAME ..., or partner withdraw NAME");
}

/* --- directory --------------------------------------------------------------------------------------------------- */

static int directory_set(struct admin *a, const char *url)
{
    char address[OPERATIONS_ADDRESS_BYTES];
    struct id id;
    if (url[0] != '\0' && admin_parse_url(url, address, &id) != 0)
        return admin_usage(a, "a directory's URL is hearth://HOST:PORT#ID");
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = operations_setting_set(a->o, "directory-url", url);
    if (r == 0)
        r = share_restart(a->o, a->now_ms); /* another directory has seen nothing of ours */
    return r == 0 ? admin_commit(a) : admin_error(a, r, "set the directory");
}

static int directory_show(struct admin *a)
{
    char url[256];
    uint64_t confirmed = 0, last = 0, cursor = 0;
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = operations_setting(a->o, "directory-url", url, sizeof(url));
    if (r == 0)
        r = share_outbox_confirmed(a->o, &confirmed);
    if (r == 0)
        r = share_outbox_last(a->o, &last);
    if (r == 0)
        r = share_cursor(a->o, &cursor);
    if (r != 0)
        return admin_error(a, r, "read the database");
    const struct out_field fields[] = { OUT_T("url", url), OUT_N("rows", last), OUT_N("rows-confirmed", confirmed),
                                        OUT_N("pulled-to", cursor) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_directory(struct admin *a, int argc, char **argv)
{
    int r = admin_options(a, NULL, 0, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 0 || (argc == 1 && strcmp(argv[0], "show") == 0))
        return directory_show(a);
    if (argc == 2 && strcmp(argv[0], "set") == 0)
        return directory_set(a, argv[1]);
    if (argc == 1 && strcmp(argv[0], "unset") == 0)
        return directory_set(a, "");
    if (argc == 1 && strcmp(argv[0], "check") == 0)
        return admin_directory_check(a);
    if (argc == 1 && strcmp(argv[0], "members") == 0)
        return admin_directory_members(a);
    return admin_usage(a, "directory set URL, unset, show, check, or members");
}
