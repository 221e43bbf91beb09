/* user export: everything that is held about a person, as one JSON object. Read-only; keys and hashes of passwords and codes are not part of it.
 * One thread. Source: design section 6.2 (accounts). */
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/admin.h"
#include "distributor/operations_schema.h"
#include "distributor/rows.h"

#define ROW_BYTES 8192

static const struct {
    const char *member;
    enum statement statement; /* ?1: the user; each row one JSON object */
} parts[] = {
    { "account", EXPORT_ACCOUNT },         { "devices", EXPORT_DEVICES },      { "links", EXPORT_LINKS },
    { "linked_devices", EXPORT_LINKED },   { "licenses", EXPORT_LICENSES },    { "downloads", EXPORT_DOWNLOADS },
    { "copies", EXPORT_COPIES },           { "entries", EXPORT_ENTRIES },      { "payments", EXPORT_PAYMENTS },
    { "logins", EXPORT_LOGINS },           { "spending_limit", EXPORT_LIMIT }, { "unlocked", EXPORT_UNLOCKED },
    { "invitations", EXPORT_INVITATIONS },
};

/* The statements write IDs in hex; people know them as everywhere else. */
static int name_ids(json_t *row)
{
    static const char *const members[] = { "client", "content", "distributor", "source", "destination" };
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        const char *hex = json_string_value(json_object_get(row, members[i]));
        struct id id;
        char text[ID_TEXT_BYTES];
        if (hex == NULL)
            continue;
        if (hex_decode(hex, id.bytes, ID_BYTES) != 0)
            return -EUCLEAN;
        id_text(&id, text);
        json_object_set_new(row, members[i], json_string(text));
    }
    return 0;
}

/* Returns owned; NULL after an error, in *r. */
static json_t *read_part(struct operations *o, const char *user, enum statement statement, int *r)
{
    char text[ROW_BYTES];
    json_t *rows = json_array();
    struct query q CLEANUP(query_end) = query(o->store, statement);
    query_bind_text(&q, 1, user);
    while (rows_next(&q, r)) {
        query_text(&q, 0, text, sizeof(text));
        *r = query_check(&q);
        json_t *row = *r == 0 ? json_loads(text, 0, NULL) : NULL;
        if (*r == 0)
            *r = row != NULL ? name_ids(row) : -EUCLEAN;
        if (*r == 0 && json_array_append(rows, row) != 0)
            *r = -ENOMEM;
        json_decref(row);
        if (*r != 0)
            break;
    }
    if (*r == 0)
        return rows;
    json_decref(rows);
    return NULL;
}

int admin_export(struct admin *a, const char *user)
{
    struct account account;
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = accounts_find(a->o, user, &account);
    if (r == OPERATIONS_ABSENT)
        return admin_fail(a, REASON_NOT_FOUND, "There is no user %s.", user);
    json_t *all = json_object();
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(parts); i++) {
        json_t *part = read_part(a->o, user, parts[i].statement, &r);
        if (r == 0 && json_object_set_new(all, parts[i].member, part) != 0)
            r = -ENOMEM;
    }
    if (r == 0 && (json_dumpf(all, stdout, a->json ? JSON_COMPACT : JSON_INDENT(2)) != 0 || putchar('\n') == EOF))
        r = -EIO;
    json_decref(all);
    return r == 0 ? ADMIN_DONE : admin_error(a, r, "export the account");
}
