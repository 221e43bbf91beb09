/* The command contents: a contents server on a machine of its own. One thread; no operations database. */
#include <dirent.h>
#include <stdlib.h>

#include "base/util.h"
#include "distributor/admin_init.h"
#include "distributor/admin_products.h"
#include "distributor/config.h"
#include "distributor/contents_state.h"

#define BEGINNING_MIN 4 /* characters of an ID */

static void wipe(struct contents_state **s)
{
    if (*s != NULL)
        contents_state_deinit(*s);
    free(*s);
}

static const char *dir_of(const struct admin *a) { return a->state_dir ? a->state_dir : CONFIG_STATE_DIR_DEFAULT; }

static int load(struct admin *a, struct contents_state **out)
{
    struct contents_state *s = calloc(1, sizeof(*s));
    int r = s != NULL ? contents_state_load(s, dir_of(a)) : -ENOMEM;
    if (r == 0) {
        *out = s;
        return 0;
    }
    free(s);
    return r == -ENOENT ? admin_fail(a, REASON_NOT_FOUND, "There is no contents server in %s; make one: contents init",
                                     dir_of(a))
                        : admin_error(a, r, "read the state of the contents server");
}

static int show_id(struct admin *a)
{
    struct contents_state *s CLEANUP(wipe) = NULL;
    int r = load(a, &s);
    if (r != 0)
        return r;
    char id[ID_TEXT_BYTES], url[PLACE_TEXT_MAX + 1];
    id_text(s->self.bytes, id);
    snprintf(url, sizeof(url), "hearth://%s#%s", s->address[0] != '\0' ? s->address : s->listen, id);
    const struct out_field fields[] = { OUT_T("id", id), OUT_T("url", url) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static bool is_address(const char *text)
{
    char url[PLACE_TEXT_MAX + 1], id[ID_TEXT_BYTES];
    struct place p;
    static const struct id any;
    id_text(any.bytes, id);
    return (size_t)snprintf(url, sizeof(url), "hearth://%s#%s", text, id) < sizeof(url) && place_parse(url, &p) == 0;
}

/* init once more, of what is there: it is done. */
static int made_before(struct admin *a, const char *listen, const char *address)
{
    struct contents_state *s CLEANUP(wipe) = NULL;
    int r = load(a, &s);
    if (r != 0)
        return r;
    if (strcmp(s->listen, listen) == 0 && strcmp(s->address, address) == 0)
        return show_id(a);
    return admin_fail(a, REASON_ALREADY,
                      "There is a contents server in %s already, which listens on %s: contents.conf there says so. "
                      "Another one has another --state-dir.",
                      dir_of(a), s->listen);
}

static int init(struct admin *a, const char *listen, const char *address)
{
    if (!is_address(listen) || (address[0] != '\0' && !is_address(address)))
        return admin_usage(a, "contents init --listen HOST:PORT [--address HOST:PORT]");
    int r = admin_judge_directory(a, dir_of(a), true, &a->config_path, 1);
    if (r != 0)
        return r;
    r = contents_state_create(dir_of(a), listen, address);
    if (r == -EEXIST)
        return made_before(a, listen, address);
    return r == 0 ? show_id(a) : admin_error_at(a, r, "make the contents server in", dir_of(a));
}

static int count_bodies(const struct contents_state *s)
{
    char path[1100];
    int count = 0;
    snprintf(path, sizeof(path), "%s/bodies", s->dir);
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name);
        count += len > 5 && strcmp(e->d_name + len - 5, ".body") == 0;
    }
    if (d != NULL)
        closedir(d);
    return count;
}

static int show(struct admin *a)
{
    struct contents_state *s CLEANUP(wipe) = NULL;
    struct out_list l;
    int r = load(a, &s);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "follows");
    for (size_t i = 0; i < s->principal_count; i++) {
        const struct out_field fields[] = { OUT_T("distributor", s->principals[i].text) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    if (!a->json)
        printf("%d bodies are here.\n", count_bodies(s));
    return ADMIN_DONE;
}

/* The one whose ID begins so. */
static int unfollow(struct admin *a, const char *beginning)
{
    struct contents_state *s CLEANUP(wipe) = NULL;
    size_t at = 0, count = 0;
    int r = load(a, &s);
    if (r != 0)
        return r;
    for (size_t i = 0; i < s->principal_count; i++) {
        char id[ID_TEXT_BYTES];
        id_text(s->principals[i].server.bytes, id);
        if (strncmp(id, beginning, strlen(beginning)) != 0)
            continue;
        at = i;
        count++;
    }
    if (count != 1)
        return admin_fail(a, REASON_NOT_FOUND,
                          count == 0 ? "It is not followed; see: contents list"
                                     : "Several IDs begin so; see: contents list");
    s->principals[at] = s->principals[--s->principal_count];
    r = contents_state_save(s);
    return r == 0 ? show(a) : admin_error(a, r, "write the configuration");
}

static int follow(struct admin *a, const char *url, bool on)
{
    struct contents_state *s CLEANUP(wipe) = NULL;
    struct place p;
    if (place_parse(url, &p) != 0 || p.kind != PLACE_SERVER)
        return admin_usage(a, "a distributor's URL is hearth://HOST:PORT#ID, as its `hearth-distributor id` prints it");
    int r = load(a, &s);
    if (r != 0)
        return r;
    size_t at = 0;
    while (at < s->principal_count && !id_equal(&s->principals[at].server, p.server.bytes))
        at++;
    if (!on && at == s->principal_count)
        return admin_fail(a, REASON_NOT_FOUND, "It is not followed; see: contents list");
    if (on && at == CONTENTS_PRINCIPALS_MAX)
        return admin_fail(a, REASON_TOO_LARGE, "%d distributors are followed already.", CONTENTS_PRINCIPALS_MAX);
    if (on) { /* also a new address of one that is followed */
        s->principals[at] = p;
        s->principal_count += at == s->principal_count;
    } else {
        s->principals[at] = s->principals[--s->principal_count];
    }
    r = contents_state_save(s);
    return r == 0 ? show(a) : admin_error(a, r, "write the configuration");
}

int admin_contents(struct admin *a, int argc, char **argv)
{
    enum { LISTEN, ADDRESS, COUNT };
    struct admin_option options[COUNT] = { { .name = "listen" }, { .name = "address" } };
    int r = admin_options(a, options, COUNT, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 1 && strcmp(argv[0], "init") == 0 && options[LISTEN].given)
        return init(a, options[LISTEN].text, options[ADDRESS].given ? options[ADDRESS].text : "");
    if (argc == 1 && strcmp(argv[0], "id") == 0)
        return show_id(a);
    if (argc == 2 && strcmp(argv[0], "follow") == 0)
        return follow(a, argv[1], true);
    if (argc == 2 && strcmp(argv[0], "unfollow") == 0 && strlen(argv[1]) >= BEGINNING_MIN && !strchr(argv[1], ':'))
        return unfollow(a, argv[1]);
    if (argc == 2 && strcmp(argv[0], "unfollow") == 0)
        return follow(a, argv[1], false);
    if (argc == 0 || (argc == 1 && strcmp(argv[0], "list") == 0))
        return show(a);
    return admin_usage(a, "contents init --listen HOST:PORT [--address HOST:PORT], contents id, contents list, "
                          "contents follow URL, or contents unfollow URL|ID");
}
