/* burn: a track as an audio CD. */
#include "ui-cli/verbs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/id.h"
#include "ui-cli/prompt.h"

struct burning {
    struct cli *cli;
    json_t *files;
    ctl_Burned burned;
};

static int on_row(const struct frame *f, void *ctx)
{
    struct burning *b = ctx;
    ctl_Progress p;
    ctl_FileRow file;
    if (f->type == ctl_Type_PROGRESS && CODEC_DECODE(ctl_Progress, f->message, &p) == 0) {
        output_progress(&b->cli->output, &p);
        return 0;
    }
    output_progress_end(&b->cli->output);
    if (f->type == ctl_Type_FILE_ROW && CODEC_DECODE(ctl_FileRow, f->message, &file) == 0) {
        if (b->files != NULL)
            return json_array_append_new(b->files, json_string(file.path));
        output_line(&b->cli->output, "%s", file.path);
        return 0;
    }
    return f->type == ctl_Type_BURNED && CODEC_DECODE(ctl_Burned, f->message, &b->burned) == 0 ? 0 : -EPROTO;
}

/* The daemon has a working directory of its own. The file is not there yet: its directory is. */
static bool absolute(struct cli *cli, const char *path, char *out, size_t cap)
{
    char dir[PATH_MAX], message[512];
    const char *slash = strrchr(path, '/');
    int n =
        snprintf(dir, sizeof(dir), "%.*s", slash != NULL ? (int)(slash - path + 1) : 2, slash != NULL ? path : "./");
    char *real = n < (int)sizeof(dir) ? realpath(dir, NULL) : NULL;
    if (real == NULL) {
        snprintf(message, sizeof(message), "%.400s: %s", dir, strerror(errno));
        cli_fail(cli, "not-found", message, NULL);
        return false;
    }
    bool fits =
        snprintf(out, cap, "%s/%s", strcmp(real, "/") == 0 ? "" : real, slash != NULL ? slash + 1 : path) < (int)cap;
    free(real);
    if (!fits)
        cli_usage(cli, "the path is too long");
    return fits;
}

/* What it costs, before it is done: a disc cannot be taken back. -1: go on. */
static int confirm(struct cli *cli, const ctl_TrackRow *t, bool to_disc, bool yes)
{
    const doc_Conditions *c = &t->conditions;
    char used[24], all[24], plays[96] = "", time[128] = "", question[512];
    if (t->has_conditions && c->has_max_plays)
        snprintf(plays, sizeof(plays), "It counts as a play: %u of %u were used. ", (unsigned)t->plays,
                 (unsigned)c->max_plays);
    if (t->has_conditions && c->has_max_play_ms)
        snprintf(time, sizeof(time), "It takes its length from the playing time: %s of %s was used. ",
                 output_duration(t->play_ms, used), output_duration(c->max_play_ms, all));
    bool logged = t->has_conditions && c->has_use_log && c->use_log;
    if (yes || (plays[0] == '\0' && time[0] == '\0' && !to_disc))
        return -1;
    if (cli->output.json || !prompt_possible())
        return cli_usage(cli, "nobody is here to confirm what it costs: give --yes");
    snprintf(question, sizeof(question), "%s%s%s%sBurn %s? [y/N] ", plays, time, logged ? "It is logged. " : "",
             to_disc ? "A disc cannot be written twice. " : "", t->title);
    return prompt_yes(question) ? -1 : cli_fail(cli, "cancelled", "nothing was burned", NULL);
}

static int say(struct cli *cli, struct burning *b)
{
    char length[24];
    uint64_t ms = b->burned.samples * 10 / 441;
    if (b->files == NULL)
        output_line(&cli->output, "Recorded %s: %s, %llu sectors.", b->burned.title, output_duration(ms, length),
                    (unsigned long long)b->burned.sectors);
    else
        output_json(&cli->output, json_pack("{s:s, s:I, s:I, s:O}", "title", b->burned.title, "samples",
                                            (json_int_t)b->burned.samples, "sectors", (json_int_t)b->burned.sectors,
                                            "files", b->files));
    return EXIT_DONE;
}

static int run_burn(struct cli *cli, int argc, char **argv)
{
    bool yes = false;
    const char *device = NULL, *image = NULL;
    const struct option_spec specs[] = { { "device", &device, NULL },
                                         { "image", &image, NULL },
                                         { "yes", NULL, &yes } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, 3, 1, 1, &args, &count);
    if (code >= 0)
        return code;
    if (device != NULL && image != NULL)
        return cli_usage(cli, "--device and --image exclude each other");
    ctl_Show show = ctl_Show_init_zero;
    ctl_TrackRow track = ctl_TrackRow_init_zero;
    ctl_Burn m = { .has_device = image == NULL, .has_image = image != NULL };
    if (!cli_text(cli, show.track, sizeof(show.track), args[0], "TRACK") ||
        (m.has_device &&
         !cli_text(cli, m.device, sizeof(m.device), device != NULL ? device : "/dev/sr0", "the device")))
        return EXIT_USAGE;
    if (m.has_image && !absolute(cli, image, m.image, sizeof(m.image)))
        return EXIT_REFUSED;
    code = CLI_CALL(cli, SHOW, ctl_Show, &show, verb_on_track, &track);
    if (code != EXIT_DONE)
        return code;
    id_text(track.content, m.track); /* what was confirmed */
    if ((code = confirm(cli, &track, m.has_device, yes)) >= 0)
        return code;
    struct burning b = { .cli = cli, .files = cli->output.json ? json_array() : NULL };
    code = CLI_CALL(cli, BURN, ctl_Burn, &m, on_row, &b);
    if (code == EXIT_DONE)
        code = say(cli, &b);
    json_decref(b.files);
    return code;
}
const struct verb verb_burn = {
    "burn", "TRACK [--device /dev/sr0 | --image FILE] [--yes]", "Records a track as an audio CD.",
    "Only what its license gives the right to record; it counts as a play. --image writes FILE.wav, or FILE.bin with FILE.cue,\n"
    "instead of a disc. Interrupted by Ctrl-C, it ends: of an image nothing is left, a disc is spoilt.",
    run_burn
};
