/* Commands about agreement with the directory and between partners: directory check, directory members. One thread. */
#include <unistd.h>

#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/findings.h"
#include "distributor/share.h"
#include "distributor/share_chain.h"

#define WAIT_MS 15000
#define LOOK_US 200000

/* Asks the server that runs over this database, by a number in it; waits until it has been done. */
static int ask_server(struct admin *a, bool *asked)
{
    uint64_t wanted = 0, done = 0;
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = share_check(a->o, SHARE_CHECK_WANTED, &wanted);
    if (r == 0)
        r = share_check(a->o, SHARE_CHECK_DONE, &done);
    wanted = (wanted > done ? wanted : done) + 1;
    if (r == 0)
        r = share_check_set(a->o, SHARE_CHECK_WANTED, wanted);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "ask the server");
    for (int waited_ms = 0; r == 0 && done < wanted && waited_ms < WAIT_MS; waited_ms += LOOK_US / 1000) {
        usleep(LOOK_US);
        r = share_check(a->o, SHARE_CHECK_DONE, &done);
        if (r != 0)
            r = admin_error(a, r, "read the database");
    }
    *asked = done >= wanted;
    return r;
}

int admin_directory_check(struct admin *a)
{
    struct finding_row f = { 0 };
    struct out_list l;
    int64_t open = 0;
    bool asked = false;
    int r = ask_server(a, &asked);
    if (r != 0)
        return r;
    r = findings_open(a->o, &open);
    if (r != 0)
        return admin_error(a, r, "read the database");
    const struct out_field head[] = { OUT_F("asked", asked), OUT_N("open", open) };
    out_list_begin(&l, a, "findings");
    out_list_head(&l, head, ARRAY_COUNT(head));
    while ((r = findings_next(a->o, &f)) == 0) {
        const struct out_field fields[] = { OUT_T("finding", f.code),    OUT_T("about", f.name),
                                            OUT_I("distributor", &f.id), OUT_F("open", f.settled_ms == 0),
                                            OUT_MS("first", f.first_ms), OUT_MS("last", f.last_ms),
                                            OUT_N("times", f.count),     OUT_T("text", f.text) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    if (r != OPERATIONS_ABSENT)
        return admin_error(a, r, "list the findings");
    if (!asked && !a->json)
        fprintf(stderr,
                "hearth-distributor: The server does not run, or did not answer: this is what was known before.\n");
    return ADMIN_DONE;
}

int admin_directory_members(struct admin *a)
{
    struct share_progress p;
    struct out_list l;
    struct id id;
    char name[OPERATIONS_NAME_BYTES];
    int64_t number = OPERATIONS_SELF;
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "members");
    while ((r = share_progress_next(a->o, number, &number, &id, name, &p)) == 0) {
        const struct out_field fields[] = { OUT_I("distributor", &id), OUT_T("name", name), OUT_N("rows", p.taken),
                                            OUT_N("from-directory", p.directory), OUT_N("signed-to", p.signed_to) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the members");
}
