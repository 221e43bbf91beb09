/* Command: database. One thread. */
#include <inttypes.h>
#include <unistd.h>

#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/database.h"
#include "distributor/database_move.h"
#include "distributor/ledger.h"

int admin_judge_database(struct admin *a, const char *option, const char *database)
{
    switch (store_pg_judge(database)) {
    case 0:
        return 0;
    case -ENOTSUP:
        return admin_fail(a, REASON_NOT_PERMITTED, "This program was built without PostgreSQL.");
    case -EACCES:
        return admin_usage(a, "%s holds no password: put it into a password file (passfile=FILE, or ~/.pgpass)",
                           option);
    default:
        return admin_usage(a, "%s is postgresql://HOST/NAME or \"postgresql:host=HOST dbname=NAME\"", option);
    }
}

/* --- show -------------------------------------------------------------------------------------------------------- */

static int show(struct admin *a)
{
    char database[STORE_PG_DATABASE_BYTES];
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = database_of(a->state_dir, database);
    if (r != 0)
        return admin_error(a, r, "read the file `database`");
    const struct out_field fields[] = { OUT_F("embedded", database[0] == '\0'),
                                        OUT_T("database", database[0] != '\0' ? database : "operations.db") };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

/* --- move -------------------------------------------------------------------------------------------------------- */

static int judge_ledger(struct admin *a, struct ledger_audit *audit)
{
    int r = ledger_check(a->o, audit);
    if (r != 0)
        return admin_error(a, r, "check the ledger");
    if (audit->uneven_posting != 0 || audit->sum != 0 || audit->drifted_entry != 0 || audit->open_entry != 0)
        return admin_fail(a, REASON_INTERNAL, "The ledger is not right: `ledger check` says where.");
    return 0;
}

static int explain(struct admin *a, const char *to, int r)
{
    switch (r) {
    case DATABASE_MOVE_TAKEN:
        return admin_fail(a, REASON_ALREADY,
                          "The database %s is another distributor's already. Make an empty one (createdb -E UTF8 -T "
                          "template0 NAME) and name that.",
                          to);
    case DATABASE_MOVE_THERE:
        return admin_fail(a, REASON_ALREADY,
                          "%s holds this distributor's database already, and it counts: what is here is a copy of "
                          "before. Put back the file `database` that names it.",
                          to);
    case DATABASE_MOVE_ELSEWHERE:
        return admin_fail(a, REASON_ALREADY,
                          "It has moved to another database; the line above says which. Say database move --to that "
                          "one: the move ends there.");
    case -ENOTEMPTY:
        return admin_fail(
            a, REASON_ALREADY,
            "The database %s is not empty: somebody's tables are in it. Make an empty one (createdb -E UTF8 -T "
            "template0 NAME) and name that.",
            to);
    case -ENOENT:
        return admin_fail(a, REASON_NOT_FOUND,
                          "The database was moved to %s, and is not there any more. Put that one back with its "
                          "server's tools, or a backup: restore BACKUP --replace",
                          to);
    case STORE_NEWER:
        return admin_fail(a, REASON_NOT_PERMITTED, "%s was made by a newer version of this program.", to);
    default:
        return admin_error(a, r > 0 ? -EUCLEAN : r, "move the database");
    }
}

/* The rows, and which of the two counts. */
static int move_rows(struct admin *a, const char *to, struct store_copied *copied)
{
    struct ledger_audit audit;
    a->any_place = true;
    int r = admin_begin(a);
    if (r == 0)
        r = judge_ledger(a, &audit);
    if (r != 0)
        return r;
    r = database_move(a->o, &a->open, to, copied);
    if (r != 0)
        return explain(a, to, r);
    admin_close(a);
    a->any_place = false;
    return 0;
}

static int move(struct admin *a, const char *to)
{
    int lock CLEANUP(closep) = -1;
    char now[STORE_PG_DATABASE_BYTES], aside[1200] = "";
    struct store_copied copied = { 0 };
    struct ledger_audit audit;
    int r = admin_judge_database(a, "--to", to);
    if (r == 0)
        r = admin_lock_state(a, &lock);
    if (r != 0)
        return r;
    r = database_of(a->state_dir, now);
    if (r != 0)
        return admin_error(a, r, "read the file `database`");
    if (now[0] != '\0' && strcmp(now, to) != 0)
        return admin_fail(a, REASON_ALREADY,
                          "The database of %s is on a server already: %s. Between servers it moves "
                          "with their tools (pg_dump), and then the file `database` is changed.",
                          a->state_dir, now);
    r = now[0] == '\0' ? move_rows(a, to, &copied) : 0;
    if (r != 0)
        return r;
    r = database_move_end(a->state_dir, to, a->now_ms, aside, sizeof(aside));
    if (r != 0)
        return admin_error(a, r, "choose the database");
    r = admin_open(a);
    if (r == 0)
        r = judge_ledger(a, &audit);
    if (r != 0)
        return r;
    const struct out_field fields[] = {
        OUT_T("database", to),        OUT_N("tables", copied.tables),         OUT_N("rows", copied.rows),
        OUT_N("bytes", copied.bytes), OUT_N("ledger-entries", audit.entries), OUT_F("balanced", true),
        OUT_T("before", aside)
    };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_database(struct admin *a, int argc, char **argv)
{
    struct admin_option options[] = { { .name = "to" } };
    int r = admin_options(a, options, ARRAY_COUNT(options), &argc, argv);
    if (r != 0)
        return r;
    if (argc == 1 && strcmp(argv[0], "show") == 0 && !options[0].given)
        return show(a);
    if (argc == 1 && strcmp(argv[0], "move") == 0 && options[0].given)
        return move(a, options[0].text);
    return admin_usage(a, "database show, or database move --to postgresql:CONNECTION");
}
