/* Commands: sync export, sync import. Files are written beside and renamed; each is taken in a transaction of its own. One thread.
 *
 * A medium is slow, or somebody else's: nothing waits for it while the database is locked. What is exported is made in a file of the state directory
 * first, what is imported is copied there first; only regular files are read, no link is followed, nothing of another name is written. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "distributor/admin_money.h"
#include "distributor/delegations.h"
#include "distributor/findings.h"
#include "distributor/settlements.h"
#include "distributor/sync.h"

#define ENDING ".sync"
#define FILE_BYTES_MAX (INT64_C(4) << 30)

static void file_closep(FILE **f)
{
    if (*f != NULL)
        fclose(*f);
}

/* --- A file of ours in between ------------------------------------------------------------------------------------ */

/* Without a name, so that nothing is left of it. */
static int open_scratch(struct admin *a, FILE **f)
{
    char path[PATH_MAX];
    int r = file_join(path, sizeof(path), a->state_dir, "sync-XXXXXX");
    int fd = r == 0 ? mkostemp(path, O_CLOEXEC) : -1;
    if (fd < 0)
        return r != 0 ? r : -errno;
    unlink(path);
    *f = fdopen(fd, "w+b");
    if (*f != NULL)
        return 0;
    r = -errno;
    close(fd);
    return r;
}

/* All of from, from its beginning, to `to`, which then is at its beginning. 0, -EFBIG, -errno. */
static int copy(int from, int to)
{
    uint8_t part[65536];
    uint64_t at = 0;
    for (;;) {
        ssize_t got = pread(from, part, sizeof(part), (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        if (at + (uint64_t)got > FILE_BYTES_MAX)
            return -EFBIG;
        int r = file_pwrite_all(to, part, (size_t)got, at);
        if (r != 0)
            return r;
        at += (uint64_t)got;
    }
}

/* --- Export ------------------------------------------------------------------------------------------------------- */

/* FROM-FOR.sync in the directory. */
static int path_for(struct admin *a, const char *dir, const struct partner *p, char path[PATH_MAX])
{
    char self[ID_SHORT_BYTES], other[ID_SHORT_BYTES], name[2 * ID_SHORT_BYTES + sizeof(ENDING) + 1];
    id_short(&a->keys->self, self);
    id_short(&p->id, other);
    snprintf(name, sizeof(name), "%s-%s" ENDING, self, other);
    return file_join(path, PATH_MAX, dir, name);
}

/* In a transaction of its own, which has ended when the medium is met. */
static int make_file(struct admin *a, FILE *f, const struct partner *p, bool everything, struct sync_written *written)
{
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = sync_write(a->o, p, everything, a->now_ms, f, written);
    if (r == 0 && (fflush(f) != 0 || ferror(f)))
        r = -EIO;
    if (r == 0)
        return admin_commit(a);
    transaction_end(&a->open);
    return r;
}

static int write_file(struct admin *a, const char *path, const struct partner *p, bool everything,
                      struct sync_written *written)
{
    char partial[PATH_MAX];
    if ((size_t)snprintf(partial, sizeof(partial), "%s.partial", path) >= sizeof(partial))
        return -ENAMETOOLONG;
    FILE *made CLEANUP(file_closep) = NULL;
    int fd CLEANUP(closep) = -1;
    int r = open_scratch(a, &made);
    if (r == 0)
        r = make_file(a, made, p, everything, written);
    if (r != 0)
        return r;
    if (unlink(partial) != 0 && errno != ENOENT) /* of a time before, or of whoever had the medium */
        return -errno;
    fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    r = copy(fileno(made), fd);
    if (r == 0)
        r = file_sync(fd);
    if (r == 0 && rename(partial, path) != 0)
        r = -errno;
    if (r != 0)
        unlink(partial);
    return r == 0 ? file_sync_parent(path) : r;
}

/* Statements of what is owed lie beside it, as `settlement export` writes them: accepting one is an operator's decision. */
static int write_statements(struct admin *a, const char *dir, const struct partner *p, uint32_t *count)
{
    struct settlement_made s = { 0 };
    char self[ID_SHORT_BYTES], other[ID_SHORT_BYTES], name[96], path[PATH_MAX];
    int r;
    id_short(&a->keys->self, self);
    id_short(&p->id, other);
    while ((r = settlements_next(a->o, s.number, &s)) == 0) {
        if (s.partner != p->number)
            continue;
        struct buf file CLEANUP(buf_free) = buf(SETTLEMENTS_FILE_MAX);
        snprintf(name, sizeof(name), "%s-%s-%llu.settlement", self, other, (unsigned long long)s.number);
        r = settlements_file(a->o, s.number, &file);
        if (r == 0)
            r = file_join(path, sizeof(path), dir, name);
        if (r == 0) /* anew each time: receipts of what it charges may have come */
            r = file_replace(path, buf_slice(&file), 0600);
        if (r != 0)
            return r > 0 ? -EIO : r;
        ++*count;
    }
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static int export_one(struct admin *a, const char *dir, const struct partner *p, bool everything, struct out_list *l)
{
    char path[PATH_MAX];
    struct sync_written w = { 0 };
    uint32_t statements = 0;
    int r = path_for(a, dir, p, path);
    if (r == 0)
        r = write_file(a, path, p, everything, &w);
    if (r == 0)
        r = write_statements(a, dir, p, &statements);
    if (r == ADMIN_FAILED || r >= REASON_COUNT)
        return r;
    if (r != 0)
        return admin_error_at(a, r, "write to", dir);
    const uint64_t rows = w.to < w.from ? 0 : w.to - w.from + 1;
    const struct out_field fields[] = { OUT_T("partner", p->name),
                                        OUT_T("file", path),
                                        OUT_N("rows", rows),
                                        OUT_N("from", rows > 0 || a->json ? w.from : 0),
                                        OUT_N("to", rows > 0 || a->json ? w.to : 0),
                                        OUT_F("delegation", w.delegation),
                                        OUT_F("grant", w.grant),
                                        OUT_N("statements", statements) };
    out_list_row(l, fields, ARRAY_COUNT(fields));
    return 0;
}

/* A medium that is not there must not become a directory. */
static int no_directory(struct admin *a, const char *dir)
{
    return admin_fail(a, REASON_NOT_FOUND, "%s is no directory. Is the medium there? Else make it: mkdir %s", dir, dir);
}

static int sync_export(struct admin *a, const char *dir, const char *only, bool everything)
{
    struct partner p = { 0 };
    struct out_list l;
    struct stat s;
    if (stat(dir, &s) != 0 || !S_ISDIR(s.st_mode))
        return no_directory(a, dir);
    int r = admin_open(a);
    if (r == 0 && only != NULL)
        r = admin_find_partner(a, only, &p);
    if (r != 0)
        return r;
    if (p.withdrawn)
        return admin_fail(a, REASON_NOT_PERMITTED, "%s was withdrawn.", p.name);
    out_list_begin(&l, a, "files");
    if (only != NULL)
        r = export_one(a, dir, &p, everything, &l);
    while (only == NULL && r == 0 && (r = delegations_partner_next(a->o, p.number, &p)) == 0)
        if (!p.withdrawn)
            r = export_one(a, dir, &p, everything, &l);
    if (r == OPERATIONS_ABSENT)
        r = 0;
    else if (r < 0)
        r = admin_error(a, r, "list the partners");
    if (r == 0)
        out_list_end(&l);
    else
        out_list_drop(&l);
    return r;
}

/* --- Import ------------------------------------------------------------------------------------------------------- */

struct imported {
    size_t taken, refused, others;
    char first[512]; /* the first refusal */
    enum reason reason;
};

static int take_file(struct admin *a, const char *path, struct sync_read *read)
{
    FILE *f CLEANUP(file_closep) = NULL;
    int fd CLEANUP(closep) = -1;
    int r = file_open_regular(path, O_NOFOLLOW, &fd);
    if (r == 0)
        r = open_scratch(a, &f);
    if (r == 0)
        r = copy(fd, fileno(f));
    if (r == FILE_NOT_REGULAR || r == -EFBIG) {
        snprintf(read->detail, sizeof(read->detail), "%s",
                 r == -EFBIG ? "It is larger than any such file." : "It is no regular file.");
        return REASON_MALFORMED;
    }
    if (r != 0)
        return r;
    r = admin_begin(a);
    if (r != 0)
        return r;
    r = sync_take(a->o, f, a->now_ms, read);
    if (r == 0)
        return admin_commit(a);
    transaction_end(&a->open); /* whole or not at all */
    return r;
}

static int import_one(struct admin *a, const char *dir, const char *name, struct out_list *l, struct imported *sum)
{
    char path[PATH_MAX];
    struct sync_read read = { 0 };
    int r = file_join(path, sizeof(path), dir, name);
    if (r == 0)
        r = take_file(a, path, &read);
    if (r < 0)
        return admin_error_at(a, r, "read", path);
    if (r == REASON_WRONG_DESTINATION) { /* a medium that goes round */
        sum->others++;
        return 0;
    }
    if (r >= REASON_COUNT || r == ADMIN_FAILED)
        return r;
    if (r > 0 && sum->refused++ == 0) {
        snprintf(sum->first, sizeof(sum->first), "%s: %s", name, read.detail);
        sum->reason = (enum reason)r;
    }
    sum->taken += r == 0;
    const struct out_field fields[] = { OUT_T("file", name),
                                        OUT_T("from", read.name),
                                        OUT_N("rows", r == 0 ? read.rows : 0),
                                        OUT_N("new", r == 0 ? read.rows - read.known : 0),
                                        OUT_F("delegation", r == 0 && read.delegation),
                                        OUT_F("grant", r == 0 && read.grant),
                                        OUT_T("outcome", r == 0 ? "taken" : reason_code((enum reason)r)),
                                        OUT_T("detail", read.detail) };
    out_list_row(l, fields, ARRAY_COUNT(fields));
    return 0;
}

static int flush_findings(struct admin *a)
{
    int r = admin_begin(a);
    if (r == 0)
        r = findings_flush(a->o, a->now_ms);
    return r == 0 ? admin_commit(a) : r < 0 ? admin_error(a, r, "keep what was found") : r;
}

static int is_sync(const struct dirent *e)
{
    size_t len = strlen(e->d_name);
    return len > strlen(ENDING) && strcmp(e->d_name + len - strlen(ENDING), ENDING) == 0;
}

static int sync_import(struct admin *a, const char *dir)
{
    struct dirent **names = NULL;
    struct out_list l;
    struct imported sum = { 0 };
    int r = admin_open(a);
    if (r != 0)
        return r;
    int count = scandir(dir, &names, is_sync, alphasort);
    if (count < 0)
        return errno == ENOENT || errno == ENOTDIR ? no_directory(a, dir)
                                                   : admin_error_at(a, -errno, "read the directory", dir);
    out_list_begin(&l, a, "files");
    for (int i = 0; i < count; i++) {
        if (r == 0)
            r = import_one(a, dir, names[i]->d_name, &l, &sum);
        free(names[i]);
    }
    free(names);
    if (r == 0)
        r = flush_findings(a);
    if (r == 0 && sum.refused == 0 && sum.taken == 0)
        r = admin_fail(a, REASON_NOT_FOUND, "There is no file for this distributor in %s.", dir);
    if (r == 0 && sum.refused > 0 && sum.taken == 0)
        r = admin_fail(a, sum.reason, "%s", sum.first);
    if (r != 0) {
        out_list_drop(&l);
        return r;
    }
    out_list_end(&l);
    return sum.refused > 0 ? ADMIN_FAILED : ADMIN_DONE;
}

int admin_sync(struct admin *a, int argc, char **argv)
{
    enum { FOR, ALL, COUNT };
    struct admin_option options[COUNT] = { { .name = "for" }, { .name = "all", .kind = ADMIN_FLAG } };
    int r = admin_options(a, options, COUNT, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 2 && strcmp(argv[0], "export") == 0)
        return sync_export(a, argv[1], options[FOR].text, options[ALL].given);
    if (argc == 2 && strcmp(argv[0], "import") == 0 && options[FOR].text == NULL && !options[ALL].given)
        return sync_import(a, argv[1]);
    return admin_usage(a, "sync export DIR [--for PARTNER] [--all], or sync import DIR");
}
