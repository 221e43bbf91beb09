/* user export: everything that is held about a person, as one JSON object (person.h). Read-only. One thread. */
#include <stdlib.h>

#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/admin.h"
#include "distributor/person.h"

static int add_row(const char *text, void *ctx)
{
    json_t *row = json_loads(text, 0, NULL);
    if (row == NULL)
        return -EUCLEAN;
    return json_array_append_new(ctx, row) == 0 ? 0 : -ENOMEM;
}

int admin_export(struct admin *a, const char *user)
{
    struct account account;
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = accounts_find(a->o, user, &account);
    if (r == OPERATIONS_ABSENT)
        return admin_absent(a, "user", user, "user list");
    json_t *all = json_object();
    for (unsigned i = 0; r == 0 && i < person_part_count; i++) {
        json_t *part = json_array();
        r = person_read(a->o, user, i, 0, add_row, part);
        if (json_object_set_new(all, person_part_name(i), part) != 0 && r == 0)
            r = -ENOMEM;
    }
    if (r == 0 && (json_dumpf(all, stdout, a->json ? JSON_COMPACT : JSON_INDENT(2)) != 0 || putchar('\n') == EOF))
        r = -EIO;
    json_decref(all);
    return r == 0 ? ADMIN_DONE : admin_error(a, r, "export the account");
}
