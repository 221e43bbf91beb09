/* Commands: backup, restore. One thread. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/admin.h"
#include "distributor/backup.h"
#include "distributor/keyset.h"
#include "distributor/products.h"
#include "distributor/publish.h"
#include "distributor/replaced.h"
#include "distributor/rows.h"
#include "distributor/serving.h"

#define TITLE_BYTES 256
#define BODIES_NAMED 10

int admin_backup(struct admin *a, int argc, char **argv)
{
    struct admin_option options[] = { { .name = "without-bodies", .kind = ADMIN_FLAG } };
    struct backup b;
    int r = admin_options(a, options, ARRAY_COUNT(options), &argc, argv);
    if (r == 0 && argc != 1)
        r = admin_usage(a, "backup needs a directory that is not there yet");
    if (r == 0)
        r = admin_open(a);
    if (r != 0)
        return r;
    r = backup_make(a->o, argv[0], !options[0].given, a->now_ms, &b);
    if (r == -EEXIST)
        return admin_fail(a, REASON_ALREADY, "%s is there already. Give the backup a name of its own.", argv[0]);
    if (r == -ENOTSUP)
        return admin_fail(
            a, REASON_NOT_PERMITTED,
            "This distributor's database is a server's: back it up with that server's tools "
            "(pg_dump), and `database`, keys/, confidential/, programs/ and bodies/ of the state directory as files. "
            "After putting it back: restore --here");
    if (r == -ENOSPC || r == -EDQUOT)
        return admin_fail(a, REASON_STORAGE_FULL,
                          "Cannot make the backup: the disk of %s is full. Make room there, or name another place.",
                          argv[0]);
    if (r != 0)
        return admin_error_at(a, r, "make the backup", argv[0]);
    const struct out_field fields[] = { OUT_T("backup", argv[0]), OUT_MS("taken", b.taken_ms), OUT_N("bytes", b.bytes),
                                        OUT_N("bodies", b.bodies), OUT_F("directory", b.has_directory) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

/* --- restore ----------------------------------------------------------------------------------------------------- */

/* No server may run on it (serve.c holds the same lock). */
int admin_lock_state(struct admin *a, int *fd)
{
    char path[1100];
    int r = file_make_dirs(a->state_dir, 0700);
    if (r == 0)
        r = file_join(path, sizeof(path), a->state_dir, "serve.lock");
    if (r != 0)
        return admin_error_at(a, r, "use the state directory", a->state_dir);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        return admin_error_at(a, -errno, "lock the state directory with", path);
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
        return admin_fail(a, REASON_IN_USE, "A server runs on %s. Stop it first.", a->state_dir);
    return 0;
}

/* Not a directory alone, which nobody has an account at and which has published nothing. */
static int does_sell(struct admin *a, uint64_t contents, bool *out)
{
    struct account account;
    char is_directory[8] = "";
    int r = operations_setting(a->o, "directory", is_directory, sizeof(is_directory));
    int any = r == 0 ? accounts_next(a->o, "", &account) : 0;
    *out = strcmp(is_directory, "yes") != 0 || contents > 0 || any == 0;
    return r != 0 ? r : any == OPERATIONS_ABSENT ? 0 : any;
}

static int tell(struct admin *a, const struct reserve_report *r)
{
    unsigned due = 0;
    int looked = keyset_due(a->o, a->now_ms, &due);
    if (looked != 0)
        return admin_error(a, looked, "read the database");
    char ids[BODIES_NAMED][ID_TEXT_BYTES], titles[BODIES_NAMED][TITLE_BYTES];
    uint64_t missing = 0, all = 0;
    size_t named = 0;
    struct content c = { 0 };
    while ((looked = contents_next(a->o, &c.id, &c)) == 0) {
        char path[PATH_MAX];
        all++;
        if (publish_body_path(a->o, &c.id, path, sizeof(path)) != 0 || access(path, R_OK) == 0)
            continue;
        missing++;
        if (named == BODIES_NAMED)
            continue;
        id_text(&c.id, ids[named]);
        text_safe(c.title, titles[named++], TITLE_BYTES);
    }
    if (looked != OPERATIONS_ABSENT)
        return admin_error(a, looked, "read the database");
    bool sells;
    looked = does_sell(a, all, &sells);
    if (looked != 0)
        return admin_error(a, looked, "read the database");
    bool needs_root = due != 0 && !a->keys->has_root;
    const struct out_field fields[] = {
        OUT_N("restores", r->epoch),
        OUT_MS("taken", r->taken_ms),
        OUT_N("numbers-skipped", r->leap),
        OUT_F("catches-up-from-directory", r->catches_up),
        OUT_F("was-collecting", r->was_collecting),
        OUT_N("bodies-missing", missing),
        OUT_F("needs-root-key", needs_root),
        OUT_M("collect-at-before", r->collect_at),
    };
    out_object(a, fields, ARRAY_COUNT(fields));
    if (a->json)
        return ADMIN_DONE;
    puts(sells ? "\nWhat happened after the backup was taken is unknown here. Before customers come back:\n"
                 "  - payments received since: enter them (ledger pay NAME AMOUNT --reference TEXT)"
               : "\nWhat happened after the backup was taken is unknown here:\n"
                 "  - members' rows that are not here they push again, by themselves\n"
                 "  - members that were added or withdrawn since: do it again (partner add, partner withdraw)");
    if (needs_root)
        puts(
            "  - devices refuse the keyset of before, and the root key is not here: keys request FILE; keys sign where "
            "the key is; keys install FILE");
    if (r->was_collecting)
        puts("  - payments are not collected by themselves until you say so again (settings collect-at AMOUNT)");
    if (sells)
        puts(
            "  - keys withdrawn since, which are in use again: keys withdraw KEY (`keys list` shows what is known of it here)\n"
            "  - accounts erased, partners and providers withdrawn, products and prices changed since: do it again\n"
            "  - content published since: publish it again; devices that joined since register again\n"
            "  - open invitations, link codes and logins have ended: make new ones");
    if (missing > 0)
        printf("  - %llu of %llu bodies are not in %s/bodies: devices cannot download what they hold\n",
               (unsigned long long)missing, (unsigned long long)all, a->state_dir);
    for (size_t i = 0; missing > 0 && i < named; i++)
        printf("      %s.body  %s\n", ids[i], titles[i]);
    if (missing > 0)
        puts(
            "    A file of that name will do, wherever it is: the bodies/ of another backup, of the old state directory, of "
            "a place or a contents server, or of a device. See: content list");
    if (sells)
        puts(r->catches_up
                 ? "Our own rows come back from the directory once the server has reached it; then: restore lost"
                 : "There is no directory that could say what was given out since.");
    return ADMIN_DONE;
}

static int explain(struct admin *a, const char *dir, int r)
{
    switch (r) {
    case BACKUP_DAMAGED:
        return admin_fail(a, REASON_SIGNATURE_INVALID,
                          "%s is damaged or not whole: use another backup. Nothing was changed.", dir);
    case BACKUP_NEWER:
    case STORE_NEWER:
        return admin_fail(a, REASON_NOT_PERMITTED, "%s was made by a newer version of this program.", dir);
    case -ENOKEY:
        return admin_fail(
            a, REASON_NOT_FOUND,
            "The database of %s lies under a storage key that is not among the keys with it; the log line above says which. Restore a "
            "backup that is whole, or put that key file into its keys/. Nothing was changed.",
            dir);
    case BACKUP_OTHER:
        return admin_fail(a, REASON_SIGNATURE_INVALID, "Keys and database of %s are of different distributors.", dir);
    case -ENOENT:
    case -ENOTDIR:
        return admin_fail(a, REASON_NOT_FOUND, "%s is no backup: there is no backup.json in it.", dir);
    case -EEXIST:
        return admin_fail(a, REASON_ALREADY,
                          "There is a distributor in %s. With --replace it is moved aside, and stays there.",
                          a->state_dir);
    case -ERANGE:
        return admin_fail(
            a, REASON_CLOCK_UNTRUSTED,
            "The clock of this machine is before the backup. Set it, and try again. If it is right now, and was ahead when "
            "the backup was made or before: once more with --clock-was-ahead");
    case -EOVERFLOW:
        return admin_fail(a, REASON_TOO_LARGE, "Numbers for devices or products have run out.");
    default:
        return admin_error_at(a, r, "restore", dir);
    }
}

static int restore_from(struct admin *a, const char *dir, bool replace, bool clock_was_ahead)
{
    struct backup b;
    struct reserve_report report;
    int lock CLEANUP(closep) = -1;
    int r = backup_read(dir, &b); /* before anything is moved */
    if (r != 0)
        return explain(a, dir, r);
    r = admin_lock_state(a, &lock);
    if (r != 0)
        return r;
    if (replace && a->now_ms < b.taken_ms && !clock_was_ahead)
        return explain(a, dir, -ERANGE);
    char place[SERVING_PLACE_BYTES];
    int64_t seen_ms;
    if (replace && replaced_serving(a->state_dir, rng_system(), a->now_ms, place, &seen_ms) == 0)
        return admin_fail(a, REASON_IN_USE,
                          "A server serves over the database that this would take the place of, or did %lld s ago: %s. "
                          "Stop it first: what both of them sold would have the same numbers.",
                          (long long)((a->now_ms - seen_ms) / 1000), place);
    if (replace) {
        r = backup_move_aside(a->state_dir, a->now_ms);
        if (r != 0)
            return admin_error_at(a, r, "move aside what is in", a->state_dir);
    }
    r = backup_restore(dir, a->state_dir, rng_system(), a->now_ms, clock_was_ahead, &b, &report);
    if (r != 0)
        return explain(a, dir, r);
    r = admin_open(a); /* amounts are shown in its currency; and it opens */
    return r == 0 ? tell(a, &report) : r;
}

/* Nor over its database, on another machine. */
static int judge_alone(struct admin *a)
{
    struct serving here;
    char place[SERVING_PLACE_BYTES];
    int64_t seen_ms;
    int r = serving_init(&here, a->state_dir, rng_system());
    if (r == 0)
        r = serving_elsewhere(a->o, &here, a->now_ms, place, &seen_ms);
    if (r == OPERATIONS_ABSENT)
        return 0;
    return r != 0
               ? admin_error(a, r, "see who serves")
               : admin_fail(
                     a, REASON_IN_USE,
                     "A server serves over this database, or did %lld s ago: %s. Stop it first; one that was killed is "
                     "forgotten within a minute.",
                     (long long)((a->now_ms - seen_ms) / 1000), place);
}

/* The database was put back by other means: a copy of the files, a snapshot of the disk, the tools of a database server. */
static int restore_here(struct admin *a, bool clock_was_ahead)
{
    struct reserve_report report;
    int64_t taken_ms;
    int lock CLEANUP(closep) = -1;
    int r = admin_lock_state(a, &lock);
    a->any_keys = true; /* the database may be older than they are; the next keyset judges that (keyset_propose) */
    if (r == 0)
        r = admin_begin(a);
    if (r == 0)
        r = judge_alone(a);
    if (r != 0)
        return r;
    r = reserve_newest(a->o, &taken_ms);
    if (r == 0)
        r = reserve_leap(a->o, &(struct reserve_from){ taken_ms, a->state_dir, clock_was_ahead }, a->now_ms, &report);
    if (r != 0)
        return explain(a, a->state_dir, r);
    r = admin_commit(a);
    return r == 0 ? tell(a, &report) : r;
}

static int list_lost(struct admin *a)
{
    static const char *const kinds[] = { "?", "license", "certificate", "device", "content" };
    uint64_t catching_up = 0;
    struct out_list l;
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = operations_counter(a->o, "catching-up", &catching_up);
    if (r != 0)
        return admin_error(a, r, "read the database");
    struct query q CLEANUP(query_end) = query(a->o->store, LOST);
    out_list_begin(&l, a, "lost");
    const struct out_field head[] = { OUT_F("catching-up", catching_up != 0) };
    out_list_head(&l, head, ARRAY_COUNT(head));
    while (rows_next(&q, &r)) {
        uint32_t kind = query_u32(&q, 0);
        char user[OPERATIONS_NAME_BYTES], title[TITLE_BYTES], subject[2 * ID_BYTES + 1] = "", client[ID_TEXT_BYTES];
        uint8_t id[ID_BYTES];
        query_text(&q, 1, user, sizeof(user));
        struct slice bytes = query_blob(&q, 2);
        for (size_t i = 0; i < bytes.len && i < ID_BYTES; i++)
            snprintf(subject + 2 * i, 3, "%02x", bytes.data[i]);
        query_fixed(&q, 3, id, sizeof(id));
        id_text(id, client);
        if (kind > 2 && bytes.len == ID_BYTES)
            id_text(bytes.data, subject);
        query_text(&q, 6, title, sizeof(title));
        int64_t price = query_i64(&q, 7);
        const struct out_field now =
            price >= 0 ? (struct out_field)OUT_M("price-now", price) : (struct out_field)OUT_T("price-now", "");
        const char *came = kind > 2 ? "" : query_bool(&q, 8) ? "copied" : "bought";
        const struct out_field fields[] = { OUT_T("kind", kinds[kind < ARRAY_COUNT(kinds) ? kind : 0]),
                                            OUT_T("user", user),
                                            OUT_T("title", title),
                                            OUT_T("came", came),
                                            now,
                                            OUT_T("subject", subject),
                                            OUT_T("device", kind < 4 ? client : ""),
                                            OUT_N("sequence", query_i64(&q, 4)),
                                            OUT_MS("time-ms", query_i64(&q, 5)) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    if (r == 0)
        r = query_check(&q);
    if (r != 0) {
        out_list_drop(&l);
        return admin_error(a, r, "read the database");
    }
    out_list_end(&l);
    return ADMIN_DONE;
}

int admin_restore(struct admin *a, int argc, char **argv)
{
    enum { REPLACE, HERE, CLOCK, COUNT };
    struct admin_option options[COUNT] = { { .name = "replace", .kind = ADMIN_FLAG },
                                           { .name = "here", .kind = ADMIN_FLAG },
                                           { .name = "clock-was-ahead", .kind = ADMIN_FLAG } };
    int r = admin_options(a, options, COUNT, &argc, argv);
    if (r != 0)
        return r;
    if (options[HERE].given)
        return argc == 0 && !options[REPLACE].given
                   ? restore_here(a, options[CLOCK].given)
                   : admin_usage(a, "restore --here takes nothing else but --clock-was-ahead");
    if (argc == 1 && strcmp(argv[0], "lost") == 0 && !options[REPLACE].given)
        return list_lost(a);
    if (argc != 1)
        return admin_usage(a, "restore needs the directory of a backup, or --here");
    return restore_from(a, argv[0], options[REPLACE].given, options[CLOCK].given);
}
