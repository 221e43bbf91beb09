/* The command partner. One thread. */
#include <stdio.h>
#include <time.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/admin_money.h"
#include "distributor/keyset.h"
#include "distributor/share.h"

/* The operator's commands name a partner by it; one that was withdrawn may have had the same, and is named by its ID. */
static int judge_name(struct admin *a, const struct id *id, const char *name)
{
    struct partner p = { 0 };
    char text[ID_TEXT_BYTES];
    int r;
    while ((r = delegations_partner_next(a->o, p.number, &p)) == 0) {
        if (p.withdrawn || id_equal(&p.id, id) || strcmp(p.name, name) != 0)
            continue;
        id_text(&p.id, text);
        return admin_fail(a, REASON_AMBIGUOUS, "Another partner is called %s (%.8s): choose another name.", name, text);
    }
    return r == OPERATIONS_ABSENT ? 0 : admin_error(a, r, "look for the name");
}

static int partner_add(struct admin *a, const char *url, const char *name)
{
    char address[OPERATIONS_ADDRESS_BYTES];
    struct id id;
    if (admin_parse_url(url, address, &id) != 0)
        return admin_usage(a, "a partner's URL is hearth://HOST:PORT#ID, as its `hearth-distributor id` prints it");
    if (name[0] == '\0' || strlen(name) >= OPERATIONS_NAME_BYTES || !text_is_plain(slice_str(name)))
        return admin_usage(a, "partner add URL --name NAME (a printable text of 1 to 63 bytes)");
    int r = admin_begin(a);
    if (r == 0)
        r = judge_name(a, &id, name);
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

#define ROOM_IS_SHORT 8
#define NEEDED_BYTES 400

/* Nothing more is given; what it holds counts until devices see it in a keyset, which has room for so many. */
static void say_needed(const struct admin *a, unsigned due, unsigned left, int64_t until_ms, char out[NEEDED_BYTES])
{
    static const char ends_all[] =
        "withdrawing the license key ends all delegations at once: hearth-distributor keys withdraw license";
    char until[32] = "?";
    struct tm date;
    time_t seconds = (time_t)(until_ms / 1000);
    if (gmtime_r(&seconds, &date))
        strftime(until, sizeof(until), "%Y-%m-%d", &date);
    out[0] = '\0';
    if ((due & KEYSET_DUE_PARTNER) != 0 && a->keys->has_root)
        snprintf(out, NEEDED_BYTES,
                 "the keyset has no room for more withdrawn partners before %s, and what was delegated to one of them "
                 "counts on devices until it ends by itself; %s",
                 until, ends_all);
    else if ((due & KEYSET_DUE_PARTNER) != 0)
        snprintf(out, NEEDED_BYTES, "the root key is not here: hearth-distributor keys request FILE");
    else if (left <= ROOM_IS_SHORT)
        snprintf(out, NEEDED_BYTES, "the keyset has room for %u more withdrawn partners before %s; %s", left, until,
                 ends_all);
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
    unsigned due = 0, left = 0;
    int64_t until_ms = 0;
    r = delegations_partner_withdraw(a->o, &p.id, a->now_ms, &told);
    if (r == 0)
        r = keyset_due(a->o, a->now_ms, &due);
    if (r == 0)
        r = keyset_room(a->o, a->now_ms, &left, &until_ms);
    if (r != 0)
        return admin_error(a, r, "withdraw the partner");
    r = admin_commit(a);
    if (r != 0)
        return r;
    char needed[NEEDED_BYTES];
    say_needed(a, due, left, until_ms, needed);
    const struct out_field fields[] = { OUT_T("partner", p.name), OUT_F("withdrawn-before", p.withdrawn),
                                        OUT_N("room", left), OUT_T("needed", needed) };
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
