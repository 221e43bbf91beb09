/* The command directory: which one, is it reached, and do it and the partners agree with what is here. One thread. */
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/delegations.h"
#include "distributor/directory_client.h"
#include "distributor/directory_db.h"
#include "distributor/findings.h"
#include "distributor/share.h"
#include "distributor/share_chain.h"

#define WAIT_MS 15000
#define LOOK_US 200000

/* --- Is it reached? ---------------------------------------------------------------------------------------------- */

/* What the running server says, as a word for a program, and a sentence for a person. */
struct directory_state {
    char line[64];
    char text[512];
};

static const char *why_away(const struct admin *a, enum reason why, bool is_ours, char *out, size_t cap)
{
    char id[ID_TEXT_BYTES];
    switch (why) {
    case REASON_NOT_PERMITTED:
    case REASON_UNKNOWN_DISTRIBUTOR:
        id_text(&a->keys->self, id);
        snprintf(out, cap,
                 "It does not know us: its operator runs there `hearth-distributor partner add hearth://HOST:PORT#%s "
                 "--name %s` (our URL: hearth-distributor id).",
                 id, a->o->name);
        break;
    case REASON_KEYSET_INVALID:
        if (is_ours)
            snprintf(
                out, cap,
                "It refuses our keyset: it knows a later one, or ours has ended, or a clock is wrong. Was this database put back "
                "from an older copy, stop the server and run: hearth-distributor restore --here. After that, with the root "
                "key elsewhere: keys request, keys sign, keys install.");
        else
            snprintf(
                out, cap,
                "Another distributor than the one of the URL answers there, or its keyset has ended. The URL is what "
                "`hearth-distributor id` prints on the directory.");
        break;
    case REASON_OFFLINE:
    case REASON_TIMED_OUT:
        snprintf(out, cap, "Nobody answers at its address; it is tried again and again.");
        break;
    default:
        snprintf(out, cap, "%s", reason_text(why));
    }
    return out;
}

static void ask_state(struct admin *a, struct directory_state *s)
{
    int r = admin_ask_line(a, "GET /directory HTTP/1.1\r\nHost: console\r\n\r\n", s->line, sizeof(s->line));
    s->text[0] = '\0';
    if (r != 0)
        snprintf(s->line, sizeof(s->line), "%s", admin_runs_none(r) ? "no server runs" : "unknown");
    else if (strncmp(s->line, "away ", 5) == 0) {
        size_t len = strlen(s->line), end = strlen(DIRECTORY_CLIENT_OURS);
        bool is_ours = len > end && strcmp(s->line + len - end, DIRECTORY_CLIENT_OURS) == 0;
        if (is_ours)
            s->line[len - end] = '\0';
        why_away(a, reason_of_code(s->line + 5), is_ours, s->text, sizeof(s->text));
    }
}

/* --- Which one ---------------------------------------------------------------------------------------------------- */

static int directory_set(struct admin *a, const char *url)
{
    char address[OPERATIONS_ADDRESS_BYTES], own[OPERATIONS_ADDRESS_BYTES] = "";
    struct id id;
    if (url[0] != '\0' && admin_parse_url(url, address, &id) != 0)
        return admin_usage(a, "a directory's URL is hearth://HOST:PORT#ID");
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = operations_setting(a->o, "address", own, sizeof(own));
    if (r != 0)
        return admin_error(a, r, "read the settings");
    if (url[0] != '\0' && (id_equal(a->keys->self.bytes, &id) || strcmp(own, address) == 0))
        return admin_fail(a, REASON_NOT_PERMITTED,
                          "That is this very distributor. Name the directory's URL: what `hearth-distributor id` "
                          "prints there. A directory itself needs none.");
    r = operations_setting_set(a->o, "directory-url", url);
    if (r == 0)
        r = share_restart(a->o, a->now_ms); /* another directory has seen nothing of ours */
    return r == 0 ? admin_commit(a) : admin_error(a, r, "set the directory");
}

static int directory_show(struct admin *a)
{
    char url[256];
    struct directory_state state;
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
    ask_state(a, &state);
    const struct out_field fields[] = { OUT_T("url", url),
                                        OUT_T("state", url[0] == '\0' ? "none" : state.line),
                                        OUT_T("why", url[0] == '\0' ? "" : state.text),
                                        OUT_N("rows", last),
                                        OUT_N("rows-confirmed", confirmed),
                                        OUT_N("pulled-to", cursor) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

/* --- check, members ----------------------------------------------------------------------------------------------- */

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

static int directory_check(struct admin *a)
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
    char url[256];
    struct directory_state state;
    r = operations_setting(a->o, "directory-url", url, sizeof(url));
    if (r != 0)
        return admin_error(a, r, "read the settings");
    ask_state(a, &state);
    const char *directory = url[0] == '\0' ? "none" : state.line;
    const struct out_field head[] = { OUT_F("asked", asked), OUT_T("directory", directory), OUT_N("open", open) };
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
    if (url[0] != '\0' && state.text[0] != '\0' && !a->json)
        fprintf(stderr, "hearth-distributor: The directory was not reached (%s): nothing was compared with it. %s\n",
                state.line + strlen("away "), state.text);
    return ADMIN_DONE;
}

/* On the directory itself: who it knows, and how much it has of them. */
static int own_members(struct admin *a)
{
    struct store *s CLEANUP(store_closep) = NULL;
    struct partner p = { 0 };
    struct out_list l;
    char path[1100];
    int r = file_join(path, sizeof(path), a->state_dir, "directory.db");
    if (r == 0 && access(path, F_OK) == 0) /* it is made when the directory first serves */
        r = directory_db_open(&s, path);
    if (r != 0)
        return admin_error(a, r > 0 ? -EUCLEAN : r, "open the directory's database");
    out_list_begin(&l, a, "members");
    while ((r = delegations_partner_next(a->o, p.number, &p)) == 0) {
        uint64_t rows = 0;
        if (s != NULL && (r = directory_db_last(s, &p.id, &rows)) != 0)
            break;
        const struct out_field fields[] = { OUT_I("distributor", &p.id), OUT_T("name", p.name), OUT_N("rows", rows),
                                            OUT_F("withdrawn", p.withdrawn) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    if (r != OPERATIONS_ABSENT) {
        out_list_drop(&l);
        return admin_error(a, r, "list the members");
    }
    out_list_end(&l);
    return ADMIN_DONE;
}

static int directory_members(struct admin *a)
{
    struct share_progress p;
    struct out_list l;
    struct id id;
    char name[OPERATIONS_NAME_BYTES], is_directory[8];
    int64_t number = OPERATIONS_SELF;
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = operations_setting(a->o, "directory", is_directory, sizeof(is_directory));
    if (r != 0)
        return admin_error(a, r, "read the settings");
    if (strcmp(is_directory, "yes") == 0)
        return own_members(a);
    out_list_begin(&l, a, "members");
    while ((r = share_progress_next(a->o, number, &number, &id, name, &p)) == 0) {
        const struct out_field fields[] = { OUT_I("distributor", &id), OUT_T("name", name), OUT_N("rows", p.taken),
                                            OUT_N("from-directory", p.directory), OUT_N("signed-to", p.signed_to) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the members");
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
        return directory_check(a);
    if (argc == 1 && strcmp(argv[0], "members") == 0)
        return directory_members(a);
    return admin_usage(a, "directory set URL, unset, show, check, or members");
}
