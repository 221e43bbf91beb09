/* programs: plug-ins and updates that distributors give to this device (R4). */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "base/util.h"
#include "protocol/program.h"
#include "ui-cli/verbs.h"

struct listing {
    struct cli *cli;
    json_t *list;       /* NULL: for people */
    struct table table; /* else */
    ctl_ProgramRow last;
    unsigned count;
};

static json_t *row_json(const ctl_ProgramRow *p)
{
    char version[PROGRAM_VERSION_BYTES], hex[HEX_TEXT_BYTES(32)];
    json_t *o =
        json_pack("{s:s, s:o, s:s, s:o, s:s, s:I, s:b}", "name", p->name, "distributor", json_id(p->distributor),
                  "distributor_name", p->distributor_name, "provider", json_id(p->provider), "kind",
                  program_kind_text(p->kind), "bytes", (json_int_t)p->program_bytes, "here", p->has_version);
    json_put_text(o, "version", p->has_version, program_version_text(p->version, version));
    json_put_text(o, "offered", p->has_offered, program_version_text(p->offered, version));
    json_put_text(o, "provider_name", p->has_provider_name, p->provider_name);
    json_put_text(o, "text", p->has_text, p->text);
    if (p->has_digest)
        hex_encode(SLICE_ARRAY(p->digest), hex);
    json_put_text(o, "digest", p->has_digest, hex);
    if (p->damaged)
        json_object_set_new(o, "damaged", json_true());
    return o;
}

static const char *state_word(const ctl_ProgramRow *p)
{
    return p->damaged                                  ? "damaged: get it again"
           : !p->has_version                           ? "not here"
           : p->has_offered && p->offered > p->version ? "later version there"
           : p->has_offered                            ? "here"
                                                       : "here, not given out now";
}

static int on_row(const struct frame *f, void *ctx)
{
    struct listing *l = ctx;
    ctl_Progress progress;
    char here[PROGRAM_VERSION_BYTES] = "-", offered[PROGRAM_VERSION_BYTES] = "-";
    if (f->type == ctl_Type_PROGRESS && CODEC_DECODE(ctl_Progress, f->message, &progress) == 0) {
        output_progress(&l->cli->output, &progress);
        return 0;
    }
    if (f->type != ctl_Type_PROGRAM_ROW || CODEC_DECODE(ctl_ProgramRow, f->message, &l->last) != 0)
        return -EPROTO;
    const ctl_ProgramRow *p = &l->last;
    l->count++;
    if (l->list != NULL)
        return json_array_append_new(l->list, row_json(p));
    table_row(&l->table, p->name, program_kind_text(p->kind),
              p->has_version ? program_version_text(p->version, here) : here,
              p->has_offered ? program_version_text(p->offered, offered) : offered, p->distributor_name,
              p->has_provider_name ? p->provider_name : "", state_word(p));
    return 0;
}

static int list(struct cli *cli, const char *name, bool here)
{
    static const char *const headings[] = { "NAME", "KIND", "HERE", "OFFERED", "DISTRIBUTOR", "PROVIDER", "STATE" };
    ctl_ProgramsGet m = { .here = here };
    struct listing l = { .cli = cli, .list = cli->output.json ? json_array() : NULL };
    if (name != NULL && !cli_text(cli, m.name, sizeof(m.name), name, "NAME"))
        return EXIT_USAGE;
    table_init(&l.table, ARRAY_COUNT(headings), headings);
    int code = CLI_CALL(cli, PROGRAMS_GET, ctl_ProgramsGet, &m, on_row, &l);
    if (code == EXIT_DONE && l.list != NULL) {
        json_t *o = json_object();
        json_object_set(o, "programs", l.list);
        output_json(&cli->output, o);
    } else if (code == EXIT_DONE && l.count == 0) {
        output_line(&cli->output, "There are no programs.");
    } else if (code == EXIT_DONE) {
        table_print(&l.table);
    }
    json_decref(l.list);
    table_deinit(&l.table);
    return code;
}

static int show(struct cli *cli, const char *name)
{
    ctl_ProgramsGet m = ctl_ProgramsGet_init_zero;
    struct listing l = { .cli = cli, .list = json_array() };
    char version[PROGRAM_VERSION_BYTES], text[56], hex[HEX_TEXT_BYTES(32)];
    if (!cli_text(cli, m.name, sizeof(m.name), name, "NAME"))
        return EXIT_USAGE;
    int code = CLI_CALL(cli, PROGRAMS_GET, ctl_ProgramsGet, &m, on_row, &l);
    if (code == EXIT_DONE && cli->output.json) {
        output_json(&cli->output, json_incref(json_array_get(l.list, 0)));
    } else if (code == EXIT_DONE) {
        const ctl_ProgramRow *p = &l.last;
        output_line(&cli->output, "name         %s", p->name);
        output_line(&cli->output, "kind         %s", program_kind_text(p->kind));
        output_line(&cli->output, "state        %s", state_word(p));
        if (p->has_version)
            output_line(&cli->output, "version      %s", program_version_text(p->version, version));
        if (p->has_offered)
            output_line(&cli->output, "offered      %s", program_version_text(p->offered, version));
        output_line(&cli->output, "distributor  %s", p->distributor_name);
        output_line(&cli->output, "provider     %s %s", output_id(p->provider, text),
                    p->has_provider_name ? p->provider_name : "");
        output_line(&cli->output, "size         %s", output_bytes(p->program_bytes, text));
        if (p->has_digest)
            hex_encode(SLICE_ARRAY(p->digest), hex);
        if (p->has_digest)
            output_line(&cli->output, "sha256       %s", hex);
        if (p->has_text && p->text[0] != '\0')
            output_line(&cli->output, "text         %s", p->text);
    }
    json_decref(l.list);
    return code;
}

static int get(struct cli *cli, const char *name, const char *from, const char *version, bool older)
{
    ctl_ProgramGet m = { .has_version = version != NULL, .older = older };
    struct listing l = { .cli = cli, .list = json_array() };
    char text[PROGRAM_VERSION_BYTES];
    if (!cli_text(cli, m.name, sizeof(m.name), name, "NAME") ||
        !cli_text(cli, m.distributor, sizeof(m.distributor), from, "DISTRIBUTOR"))
        return EXIT_USAGE;
    if (version != NULL && program_version_parse(version, &m.version) != 0)
        return cli_usage(cli, "--version is three numbers such as 1.2.3");
    int code = CLI_CALL(cli, PROGRAM_GET, ctl_ProgramGet, &m, on_row, &l);
    if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, json_incref(json_array_get(l.list, 0)));
    else if (code == EXIT_DONE)
        output_line(&cli->output, "%s %s is here. %s", l.last.name, program_version_text(l.last.version, text),
                    l.last.kind == PROGRAM_PLUGIN ? "Use it: hearth play TRACK --plugin NAME"
                                                  : "Write it out: hearth programs save NAME FILE");
    json_decref(l.list);
    return code;
}

static int discard(struct cli *cli, const char *name, const char *from, bool forget)
{
    ctl_ProgramRemove m = { .forget = forget };
    if (!cli_text(cli, m.name, sizeof(m.name), name, "NAME") ||
        !cli_text(cli, m.distributor, sizeof(m.distributor), from, "DISTRIBUTOR"))
        return EXIT_USAGE;
    int code = CLI_CALL(cli, PROGRAM_REMOVE, ctl_ProgramRemove, &m, NULL, NULL);
    if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, json_pack("{s:s}", "removed", name));
    else if (code == EXIT_DONE)
        output_line(&cli->output, "%s is no longer on this device.", name);
    return code;
}

static int on_file(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_FILE_ROW && CODEC_DECODE(ctl_FileRow, f->message, (ctl_FileRow *)ctx) == 0 ? 0 : -EPROTO;
}

static int save(struct cli *cli, const char *name, const char *from, const char *path)
{
    ctl_ProgramSave m = ctl_ProgramSave_init_zero;
    ctl_FileRow row = ctl_FileRow_init_zero;
    char here[PATH_MAX], whole[2 * PATH_MAX];
    if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL)
        return cli_usage(cli, "the working directory is gone: name the file by its whole path");
    snprintf(whole, sizeof(whole), "%s%s%s", path[0] == '/' ? "" : here, path[0] == '/' ? "" : "/", path);
    if (!cli_text(cli, m.name, sizeof(m.name), name, "NAME") ||
        !cli_text(cli, m.distributor, sizeof(m.distributor), from, "DISTRIBUTOR") ||
        !cli_text(cli, m.path, sizeof(m.path), whole, "FILE"))
        return EXIT_USAGE;
    int code = CLI_CALL(cli, PROGRAM_SAVE, ctl_ProgramSave, &m, on_file, &row);
    if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, json_pack("{s:s}", "path", row.path));
    else if (code == EXIT_DONE)
        output_line(&cli->output, "%s", row.path);
    return code;
}

static int run_programs(struct cli *cli, int argc, char **argv)
{
    const char *from = "", *version = NULL;
    bool older = false, here = false, forget = false;
    const struct option_spec specs[] = { { "from", &from, NULL },
                                         { "version", &version, NULL },
                                         { "older", NULL, &older },
                                         { "here", NULL, &here },
                                         { "forget", NULL, &forget } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, ARRAY_COUNT(specs), 0, 3, &args, &count);
    if (code >= 0)
        return code;
    const char *word = count > 0 ? args[0] : "list";
    if (strcmp(word, "list") == 0 && count <= 1)
        return list(cli, NULL, here);
    if (strcmp(word, "show") == 0 && count == 2)
        return show(cli, args[1]);
    if (strcmp(word, "get") == 0 && count == 2)
        return get(cli, args[1], from, version, older);
    if (strcmp(word, "remove") == 0 && count == 2)
        return discard(cli, args[1], from, forget);
    if (strcmp(word, "save") == 0 && count == 3)
        return save(cli, args[1], from, args[2]);
    return cli_usage(cli, "list, show, get, remove or save, and a program's name");
}

const struct verb verb_programs = {
    "programs",
    "[list [--here] | show NAME | get NAME [--from DISTRIBUTOR] [--version N.N.N] [--older] |\n"
    "       remove NAME [--forget] | save NAME FILE]",
    "Plug-ins for the player, and updates, from the distributors.",
    "A program is signed by its provider, vouched for by the distributor, and sealed for this device: it opens on no other.\n"
    "Getting it again brings the same. --older also takes a version below one that was here.\n"
    "remove --forget also forgets who provided it, so that another provider's program of this name is taken.\n"
    "A plug-in is used with: hearth play TRACK --plugin NAME. An update is written to FILE.",
    run_programs,
};
