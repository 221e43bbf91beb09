/* export, import: by removable medium (S151-S153, S161). */
#include "ui-cli/verbs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct moving {
    struct cli *cli;
    json_t *list;
    ctl_Charged charged;
};

static int on_row(const struct frame *f, void *ctx)
{
    struct moving *m = ctx;
    ctl_Progress p;
    ctl_FileRow file;
    ctl_TrackRow track;
    if (f->type == ctl_Type_PROGRESS && CODEC_DECODE(ctl_Progress, f->message, &p) == 0) {
        output_progress(&m->cli->output, &p);
        return 0;
    }
    if (verb_on_charged(f, &m->charged))
        return 0;
    if (f->type == ctl_Type_FILE_ROW && CODEC_DECODE(ctl_FileRow, f->message, &file) == 0) {
        if (m->list != NULL)
            return json_array_append_new(m->list, json_string(file.path));
        output_line(&m->cli->output, "%s", file.path);
        return 0;
    }
    if (f->type == ctl_Type_TRACK_ROW && CODEC_DECODE(ctl_TrackRow, f->message, &track) == 0) {
        if (m->list != NULL)
            return json_array_append_new(m->list, verb_track_json(&track));
        output_line(&m->cli->output, "%s is in the library.", track.title);
        return 0;
    }
    return -EPROTO;
}

/* The daemon has a working directory of its own: it gets absolute paths. */
static bool absolute(struct cli *cli, const char *path, char *out, size_t cap)
{
    char *real = realpath(path, NULL);
    if (real == NULL) {
        char message[512];
        snprintf(message, sizeof(message), "%.400s: %s", path, strerror(errno));
        cli_fail(cli, "not-found", message, NULL);
        return false;
    }
    bool fits = snprintf(out, cap, "%s", real) < (int)cap;
    free(real);
    if (!fits)
        cli_usage(cli, "the path is too long");
    return fits;
}

static int finish(struct cli *cli, struct moving *m, int code, const char *key)
{
    char cost[VERB_CHARGED_BYTES];
    if (code == EXIT_DONE && m->list != NULL) {
        json_t *o = json_pack("{s:O}", key, m->list);
        verb_put_charged(o, &m->charged);
        output_json(&cli->output, o);
    } else if (code == EXIT_DONE && m->charged.amount > 0) {
        output_line(&cli->output, "Written%s.", verb_charged_text(&m->charged, cost));
    }
    json_decref(m->list);
    return code;
}

/* -1: go on. */
static int confirm_export(struct cli *cli, const ctl_Export *e)
{
    ctl_TermsGet terms = { .has_copy = true, .has_removable = true, .removable = true };
    bool costs = false;
    memcpy(terms.track, e->track, sizeof(terms.track));
    memcpy(terms.copy.track, e->track, sizeof(terms.copy.track));
    memcpy(terms.copy.device, e->device, sizeof(terms.copy.device));
    int code = verb_weigh(cli, &terms, "the copy", &costs);
    return code >= 0 ? code : verb_confirm_cost(cli, costs);
}

static int run_export(struct cli *cli, int argc, char **argv)
{
    const char *device = NULL;
    bool yes = false;
    const struct option_spec specs[] = { { "to", &device, NULL }, { "yes", NULL, &yes } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, 2, 2, 2, &args, &count);
    if (code >= 0)
        return code;
    if (device == NULL)
        return cli_usage(cli, "say for which device with --to DEVICE");
    ctl_Export e = ctl_Export_init_zero;
    if (!cli_text(cli, e.track, sizeof(e.track), args[0], "TRACK") ||
        !cli_text(cli, e.device, sizeof(e.device), device, "the device"))
        return EXIT_USAGE;
    if (!absolute(cli, args[1], e.directory, sizeof(e.directory)))
        return EXIT_REFUSED;
    if (verb_asks(cli, yes) && (code = confirm_export(cli, &e)) >= 0)
        return code;
    struct moving m = { .cli = cli, .list = cli->output.json ? json_array() : NULL };
    return finish(cli, &m, CLI_CALL(cli, EXPORT, ctl_Export, &e, on_row, &m), "files");
}
const struct verb verb_export = {
    "export", "TRACK --to DEVICE DIRECTORY [--yes]", "Writes a track and its copy certificate to a removable medium.",
    "Only the device named can import it, once. It costs what a copy costs, each time: asked at a terminal, unless --yes is given;\n"
    "elsewhere it is told afterwards.",
    run_export
};

static int run_import(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_Import i = ctl_Import_init_zero;
    if (!absolute(cli, args[0], i.path, sizeof(i.path)))
        return EXIT_REFUSED;
    struct moving m = { .cli = cli, .list = cli->output.json ? json_array() : NULL };
    return finish(cli, &m, CLI_CALL(cli, IMPORT, ctl_Import, &i, on_row, &m), "library");
}
const struct verb verb_import = { "import", "DIRECTORY | FILE",
                                  "Takes a track from a removable medium into the library.", NULL, run_import };
