/* metadata: tags, chapters, lyrics and covers that others have signed for a track (R1). */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "base/util.h"
#include "protocol/metadata.h"
#include "ui-cli/verbs.h"

struct listing {
    struct cli *cli;
    json_t *list;       /* NULL: for people */
    struct table table; /* list, for people */
    bool parts;         /* show */
    unsigned count;
    uint32_t kind; /* of the part before */
    ctl_MetadataRow last;
};

static const char *signer_words(const ctl_MetadataRow *m, char out[96])
{
    char id[56];
    if (!m->has_signer)
        return "-";
    snprintf(out, 96, "%s%s", output_id(m->signer, id),
             m->publisher ? " (publisher)"
             : m->vouched ? " (vouched for)"
                          : "");
    return out;
}

static json_t *row_json(const ctl_MetadataRow *m)
{
    json_t *o = json_pack("{s:i, s:b, s:s, s:s, s:i, s:i, s:i}", "number", (int)m->number, "permitted", m->permitted,
                          "verdict", m->permitted ? "permitted" : m->verdict.code, "text", m->verdict.text, "tags",
                          (int)m->tags, "chapters", (int)m->chapters, "lyrics", (int)m->lyrics);
    if (m->has_signer)
        json_object_update_new(o, json_pack("{s:o, s:b, s:b, s:I, s:s, s:I}", "signer", json_id(m->signer), "publisher",
                                            m->publisher, "vouched", m->vouched, "sequence", (json_int_t)m->sequence,
                                            "language", m->language, "issued_ms", (json_int_t)m->issued_ms));
    if (m->has_ends_ms)
        json_object_set_new(o, "ends_ms", json_integer((json_int_t)m->ends_ms));
    json_put_text(o, "cover", m->has_cover, m->cover);
    return o;
}

/* --- Rows ----------------------------------------------------------------------------------------------------------- */

static void row_line(struct listing *l, const ctl_MetadataRow *m)
{
    char number[16], signer[96], sequence[24], what[96];
    snprintf(number, sizeof(number), "%u", (unsigned)m->number);
    snprintf(sequence, sizeof(sequence), "%llu", (unsigned long long)m->sequence);
    snprintf(what, sizeof(what), "%u tags, %u chapters, %u lines%s", (unsigned)m->tags, (unsigned)m->chapters,
             (unsigned)m->lyrics, m->has_cover ? ", cover" : "");
    if (l->parts)
        output_line(&l->cli->output, "%s%s  %s  %s", l->count > 1 ? "\n" : "", number, signer_words(m, signer),
                    m->permitted ? m->language : m->verdict.text);
    else
        table_row(&l->table, number, m->permitted ? "permitted" : m->verdict.code, signer_words(m, signer),
                  m->has_signer ? sequence : "-", m->language, m->permitted ? what : m->verdict.text);
}

static void part_line(struct listing *l, const ctl_MetadataPart *p)
{
    static const char *const headings[] = { "", "", "chapters", "lyrics" };
    char text[METADATA_TEXT_MAX + 1], at[24];
    text_safe(p->text, text, sizeof(text));
    if (p->kind != l->kind && p->kind < ARRAY_COUNT(headings) && headings[p->kind][0] != '\0')
        output_line(&l->cli->output, "   %s", headings[p->kind]);
    l->kind = p->kind;
    if (p->kind == METADATA_TAG)
        output_line(&l->cli->output, "   %-12s %s", p->key, text);
    else
        output_line(&l->cli->output, "   %8s  %s", output_duration(p->start_ms + 1, at), text);
}

static void part_json(struct listing *l, const ctl_MetadataPart *p)
{
    static const char *const names[] = { "", "tag_list", "chapter_list", "lyric_list" };
    json_t *o = json_array_get(l->list, json_array_size(l->list) - 1);
    const char *name = p->kind < ARRAY_COUNT(names) ? names[p->kind] : "";
    json_t *array = json_object_get(o, name);
    if (array == NULL) {
        array = json_array();
        json_object_set_new(o, name, array);
    }
    json_array_append_new(array, p->kind == METADATA_TAG
                                     ? json_pack("{s:s, s:s}", "key", p->key, "value", p->text)
                                     : json_pack("{s:I, s:s}", "start_ms", (json_int_t)p->start_ms, "text", p->text));
}

static int on_row(const struct frame *f, void *ctx)
{
    struct listing *l = ctx;
    ctl_MetadataPart part;
    if (f->type == ctl_Type_METADATA_PART && CODEC_DECODE(ctl_MetadataPart, f->message, &part) == 0 && l->count > 0) {
        if (l->list != NULL)
            part_json(l, &part);
        else
            part_line(l, &part);
        return 0;
    }
    if (f->type != ctl_Type_METADATA_ROW || CODEC_DECODE(ctl_MetadataRow, f->message, &l->last) != 0)
        return -EPROTO;
    l->count++;
    l->kind = 0;
    if (l->list != NULL)
        json_array_append_new(l->list, row_json(&l->last));
    else
        row_line(l, &l->last);
    return 0;
}

/* --- Commands ------------------------------------------------------------------------------------------------------- */

static bool parse_number(const char *text, uint32_t *out)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    *out = (uint32_t)n;
    return text[0] >= '1' && text[0] <= '9' && *end == '\0' && n <= 1000;
}

static int view(struct cli *cli, const char *track, const char *number, bool parts)
{
    static const char *const headings[] = { "N", "VERDICT", "SIGNER", "NUMBER", "LANGUAGE", "WHAT" };
    ctl_MetadataGet m = { .parts = parts };
    struct listing l = { .cli = cli, .list = cli->output.json ? json_array() : NULL, .parts = parts };
    if (!cli_text(cli, m.track, sizeof(m.track), track, "TRACK"))
        return EXIT_USAGE;
    if (number != NULL && !parse_number(number, &m.number))
        return cli_usage(cli, "N is a number that `hearth metadata list TRACK` shows");
    table_init(&l.table, ARRAY_COUNT(headings), headings);
    int code = CLI_CALL(cli, METADATA_GET, ctl_MetadataGet, &m, on_row, &l);
    if (code == EXIT_DONE && l.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "metadata", l.list));
    else if (code == EXIT_DONE && l.count == 0)
        output_line(&cli->output, parts ? "There is no metadata that may be used." : "There is no metadata.");
    else if (code == EXIT_DONE && !parts)
        table_print(&l.table);
    json_decref(l.list);
    table_deinit(&l.table);
    return code;
}

static bool whole_path(struct cli *cli, const char *path, char *field, size_t cap)
{
    char here[PATH_MAX], whole[2 * PATH_MAX];
    if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL) {
        cli_usage(cli, "the working directory is gone: name the file by its whole path");
        return false;
    }
    snprintf(whole, sizeof(whole), "%s%s%s", path[0] == '/' ? "" : here, path[0] == '/' ? "" : "/", path);
    return cli_text(cli, field, cap, whole, "FILE");
}

static int add(struct cli *cli, const char *track, const char *path)
{
    ctl_MetadataAdd m = ctl_MetadataAdd_init_zero;
    struct listing l = { .cli = cli, .list = json_array() };
    char signer[96];
    if (!cli_text(cli, m.track, sizeof(m.track), track, "TRACK") || !whole_path(cli, path, m.path, sizeof(m.path)))
        return EXIT_USAGE;
    int code = CLI_CALL(cli, METADATA_ADD, ctl_MetadataAdd, &m, on_row, &l);
    if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, json_incref(json_array_get(l.list, 0)));
    else if (code == EXIT_DONE)
        output_line(&cli->output, "Metadata %u is there, signed by %s.", (unsigned)l.last.number,
                    signer_words(&l.last, signer));
    json_decref(l.list);
    return code;
}

static int discard(struct cli *cli, const char *track, const char *number)
{
    ctl_MetadataRemove m = ctl_MetadataRemove_init_zero;
    if (!cli_text(cli, m.track, sizeof(m.track), track, "TRACK"))
        return EXIT_USAGE;
    if (!parse_number(number, &m.number))
        return cli_usage(cli, "N is a number that `hearth metadata list TRACK` shows");
    int code = CLI_CALL(cli, METADATA_REMOVE, ctl_MetadataRemove, &m, NULL, NULL);
    if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, json_pack("{s:i}", "removed", (int)m.number));
    else if (code == EXIT_DONE)
        output_line(&cli->output, "Metadata %u is no longer there.", (unsigned)m.number);
    return code;
}

static int vouch(struct cli *cli, const char *path)
{
    ctl_MetadataVouch m = ctl_MetadataVouch_init_zero;
    if (!whole_path(cli, path, m.path, sizeof(m.path)))
        return EXIT_USAGE;
    int code = CLI_CALL(cli, METADATA_VOUCH, ctl_MetadataVouch, &m, NULL, NULL);
    if (code == EXIT_DONE && cli->output.json)
        output_json(&cli->output, json_pack("{s:b}", "taken", 1));
    else if (code == EXIT_DONE)
        output_line(&cli->output, "It counts from now on.");
    return code;
}

static int run_metadata(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 1, 3, &args, &count);
    if (code >= 0)
        return code;
    if (strcmp(args[0], "list") == 0 && count == 2)
        return view(cli, args[1], NULL, false);
    if (strcmp(args[0], "show") == 0 && (count == 2 || count == 3))
        return view(cli, args[1], count == 3 ? args[2] : NULL, true);
    if (strcmp(args[0], "add") == 0 && count == 3)
        return add(cli, args[1], args[2]);
    if (strcmp(args[0], "remove") == 0 && count == 3)
        return discard(cli, args[1], args[2]);
    if (strcmp(args[0], "vouch") == 0 && count == 2)
        return vouch(cli, args[1]);
    if (strcmp(args[0], "remove") == 0 && count == 2)
        return cli_usage(cli, "metadata remove TRACK N: N is a number that `hearth metadata list TRACK` shows");
    return cli_usage(cli, "metadata list TRACK, show TRACK [N], add TRACK FILE, remove TRACK N, or vouch FILE");
}

const struct verb verb_metadata = {
    "metadata",
    "list TRACK | show TRACK [N] | add TRACK FILE | remove TRACK N | vouch FILE",
    "Tags, chapters, lyrics and covers that others have signed for a track.",
    "The vault judges who signed it, and whether the content and its license permit that signer, before any of it is shown or used.\n"
    "list gives the verdicts, show what may be used. FILE is what a publisher or a provider of metadata made; one that is added takes the place of\n"
    "an earlier one of its signer and language. vouch takes a distributor's word for or against a provider from a file.\n"
    "What is permitted is used in playing: hearth now, hearth seek --chapter N, hearth next --chapter.",
    run_metadata,
};
