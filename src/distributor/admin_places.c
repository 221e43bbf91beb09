/* The command place: where our bodies lie beside this server. One thread. */
#include "base/util.h"
#include "distributor/admin_products.h"
#include "distributor/places.h"

static int show(struct admin *a)
{
    struct out_list l;
    struct place p;
    int64_t number = 0;
    int r;
    out_list_begin(&l, a, "places");
    while ((r = places_next(a->o, &number, &p)) == 0) {
        const struct out_field fields[] = { OUT_T("place", p.text),
                                            OUT_T("kind", p.kind == PLACE_HTTP ? "http" : "contents-server") };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the places");
}

static int add(struct admin *a, const char *text)
{
    struct place p;
    if (place_parse(text, &p) != 0)
        return admin_usage(a,
                           "a place is http://HOST[:PORT][/PATH], https://..., or hearth://HOST:PORT#ID of a contents "
                           "server, at most %d characters",
                           PLACE_TEXT_MAX);
    int r = admin_begin(a);
    if (r == 0)
        r = places_add(a->o, &p, a->now_ms);
    if (r == REASON_TOO_LARGE)
        return admin_fail(a, REASON_TOO_LARGE, "There are %d places already; remove one first.", PLACES_MAX);
    r = r == 0 || r == REASON_ALREADY ? admin_commit(a) : admin_error(a, r, "add the place");
    return r == 0 ? show(a) : r;
}

static int take_away(struct admin *a, const char *text)
{
    int r = admin_begin(a);
    if (r == 0)
        r = places_remove(a->o, text);
    if (r == OPERATIONS_ABSENT)
        return admin_absent(a, "such place as", text, "place list");
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "remove the place");
    return r == 0 ? show(a) : r;
}

int admin_place(struct admin *a, int argc, char **argv)
{
    int r = admin_options(a, NULL, 0, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 2 && strcmp(argv[0], "add") == 0)
        return add(a, argv[1]);
    if (argc == 2 && strcmp(argv[0], "remove") == 0)
        return take_away(a, argv[1]);
    if (argc > 1 || (argc == 1 && strcmp(argv[0], "list") != 0))
        return admin_usage(a, "place list, place add URL, or place remove URL");
    r = admin_open(a);
    return r == 0 ? show(a) : r;
}
