/* play: S41-S50, with the keyboard while it lasts. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "base/width.h"
#include "crypto/id.h"
#include "protocol/output.h"
#include "ui-cli/keys.h"
#include "ui-cli/playing.h"
#include "ui-cli/prompt.h"
#include "ui-cli/verbs.h"

#define OFFER_MS 10000 /* left later than this, going on there is offered */
#define LIST_BYTES_MAX (256 * 1024)

struct playing {
    struct cli *cli;
    bool follow, agreed; /* --follow; --renew: any price of a renewal */
    bool many, in_time;
    bool has_keys, hinted;   /* the keyboard is ours; what its keys do was said */
    bool interrupted;        /* Ctrl-C: it is stopped, what became of it is said, and then this ends by it */
    bool refused;            /* why it was not played was said already */
    bool announced;          /* what is left of the license of this track */
    json_t *played, *failed; /* with --json */
    const char *list;
    unsigned rows[64]; /* of the list, where each name comes from; 0: from the command line */
    ctl_Playing state; /* the last one */
    unsigned played_count, failed_count;
    uint32_t mended; /* number of the track that was renewed last: once is enough */
};

/* As the shell expects of what Ctrl-C ends. */
static void die_of_interrupt(struct cli *cli)
{
    keys_stop();
    output_progress_end(&cli->output);
    fflush(stdout);
    (void)signal(SIGINT, SIG_DFL);
    (void)raise(SIGINT);
}

/* --- The keyboard --- */

static const struct {
    int key;
    uint32_t action;
    int64_t value;
} bound[] = {
    { ' ', 3, 0 },        { 'p', 3, 0 },   { KEY_LEFT, 8, -10000 }, { KEY_RIGHT, 8, 10000 }, { KEY_DOWN, 8, -60000 },
    { KEY_UP, 8, 60000 }, { '-', 10, -5 }, { '+', 10, 5 },          { '=', 10, 5 },          { 'n', 4, 0 },
    { 'b', 5, 0 },        { 'q', 6, 0 },   { KEY_INTERRUPT, 6, 0 }, { ']', 14, 1 },          { '[', 14, -1 },
};
#define KEYS_TEXT "space pauses; arrows 10 s, 1 min; - + volume; n next, b back, [ ] chapters, q quits"

static int on_keys(void *ctx)
{
    struct playing *p = ctx;
    for (int key; (key = keys_next()) != KEY_NONE;) {
        if (key == KEY_INTERRUPT && p->interrupted)
            die_of_interrupt(p->cli); /* twice: whether hearthd answers or not */
        p->interrupted |= key == KEY_INTERRUPT;
        if (key == KEY_END) {
            client_watch(p->cli->client, -1, NULL, NULL);
            return 0;
        }
        for (size_t i = 0; i < ARRAY_COUNT(bound); i++) {
            ctl_PlayControl m = { .action = bound[i].action, .value = bound[i].value };
            int r = bound[i].key != key
                        ? 0
                        : client_send(p->cli->client, ctl_Type_PLAY_CONTROL, ctl_PlayControl_fields, &m);
            if (r != 0)
                return r;
        }
    }
    return 0;
}

static void take_keys(struct playing *p)
{
    p->has_keys = !p->cli->output.json && keys_start();
    if (p->has_keys)
        client_watch(p->cli->client, STDIN_FILENO, on_keys, p);
}

static void leave_keys(struct playing *p)
{
    client_watch(p->cli->client, -1, NULL, NULL);
    keys_stop();
}

/* --- What comes while it plays --- */

/* Before it costs something: what is left of what the license counts. */
static void announce(struct playing *p, const ctl_Playing *s)
{
    char left[PLAYING_LEFT_BYTES], from[24], counts[64] = "";
    if (!p->in_time || s->state != 2 || p->announced)
        return;
    p->announced = true;
    if (!s->has_left)
        return;
    if (s->left.has_charge_from_ms)
        snprintf(counts, sizeof(counts), " This one counts from %s on.", output_duration(s->left.charge_from_ms, from));
    output_progress_end(&p->cli->output);
    output_line(&p->cli->output, "%s: %s%s", s->title, playing_left(&s->left, left),
                counts[0] != '\0'   ? counts
                : s->left.has_plays ? " This is one of them."
                                    : "");
}

static int on_state(struct playing *p, const ctl_Playing *s)
{
    struct output *o = &p->cli->output;
    char line[PLAYING_LINE_BYTES];
    p->state = *s;
    if (p->follow) {
        output_json(o, playing_json(s));
        return 0;
    }
    if (s->state == 0) {
        p->announced = false;
        output_progress_end(o);
        output_line(o, "%s", playing_stopped(s, line));
        return 0;
    }
    if (s->state >= 2 && p->has_keys && !p->hinted) {
        p->hinted = true;
        output_progress_end(o);
        fprintf(stderr, "%s\n", KEYS_TEXT);
    }
    announce(p, s);
    output_status(o, playing_line(s, width_of_terminal(STDERR_FILENO) - 1, line));
    return 0;
}

static int on_played(struct playing *p, const ctl_Played *played)
{
    char hex[HEX_TEXT_BYTES(32)] = "", left[PLAYING_LEFT_BYTES] = "";
    p->played_count++;
    p->announced = false;
    if (played->has_digest)
        hex_encode(slice(played->digest, 32), hex);
    output_progress_end(&p->cli->output);
    if (p->cli->output.json) {
        json_t *o = json_pack("{s:s, s:I}", "title", played->track_title, "samples", (json_int_t)played->samples);
        json_put_text(o, "digest", played->has_digest, hex);
        json_put_text(o, "format", played->has_format, played->format);
        playing_put_left(o, played->has_left, &played->left);
        json_array_append_new(p->played, o);
    } else if (played->has_digest) {
        output_line(&p->cli->output, "%s  %s%s%s", hex, played->has_format ? played->format : "", p->many ? "  " : "",
                    p->many ? played->track_title : "");
    } else {
        if (played->has_left)
            (void)playing_left(&played->left, left);
        output_line(&p->cli->output, "Played %s.%s%s", played->track_title, left[0] != '\0' ? " " : "", left);
    }
    return 0;
}

/* An expired license is renewed when the person agrees to the price (S45), and playing goes on; else it goes on with the next. On a connection
 * of its own: this one is in the middle of a call. */
static int mend(struct playing *p, const ctl_PlayFailed *f)
{
    char track[ID_TEXT_BYTES];
    struct cli side = { .verb = p->cli->verb, .socket_path = p->cli->socket_path, .output = p->cli->output };
    int code = EXIT_REFUSED;
    id_text(f->content, track);
    leave_keys(p);
    if (p->mended != f->number)
        code = verb_renew_track(&side, track, p->agreed);
    p->mended = f->number;
    client_free(side.client);
    take_keys(p);
    p->failed_count += code != EXIT_DONE;
    ctl_PlayControl m = { .action = code == EXIT_DONE ? 11 : 12 };
    return client_send(p->cli->client, ctl_Type_PLAY_CONTROL, ctl_PlayControl_fields, &m);
}

static int on_failed(struct playing *p, const ctl_PlayFailed *f)
{
    const msg_Refusal *r = &f->refusal;
    char line[1024], where[288] = "";
    unsigned row = f->has_unknown && f->unknown && f->number <= ARRAY_COUNT(p->rows) ? p->rows[f->number - 1] : 0;
    output_progress_end(&p->cli->output);
    p->announced = false;
    if (row > 0)
        snprintf(where, sizeof(where), "%.250s, line %u: ", p->list, row);
    if (!p->cli->output.json) {
        snprintf(line, sizeof(line), "%s%s was not played%s: %s", where, f->title,
                 f->has_begun && f->begun ? " to its end" : "", r->text);
        output_error(&p->cli->output, r->code, line, r->has_remedy && !f->waits ? r->remedy : NULL);
        p->refused = true;
    }
    if (f->waits)
        return mend(p, f);
    p->failed_count++;
    if (p->failed != NULL)
        json_array_append_new(p->failed,
                              json_pack("{s:s, s:s, s:s}", "title", f->title, "code", r->code, "message", r->text));
    return 0;
}

static int on_row(const struct frame *f, void *ctx)
{
    struct playing *p = ctx;
    ctl_Playing state;
    ctl_Played played;
    ctl_PlayFailed failed;
    if (f->type == ctl_Type_PLAYING && CODEC_DECODE(ctl_Playing, f->message, &state) == 0)
        return on_state(p, &state);
    if (f->type == ctl_Type_PLAYED && CODEC_DECODE(ctl_Played, f->message, &played) == 0)
        return on_played(p, &played);
    if (f->type == ctl_Type_PLAY_FAILED && CODEC_DECODE(ctl_PlayFailed, f->message, &failed) == 0)
        return on_failed(p, &failed);
    return -EPROTO;
}

/* --- What is to be played --- */

static bool add_track(struct cli *cli, ctl_Play *m, const char *track)
{
    if (m->tracks_count == ARRAY_COUNT(m->tracks)) {
        cli_usage(cli, "at most 64 tracks at a time: hearth queue TRACK... adds more");
        return false;
    }
    return cli_text(cli, m->tracks[m->tracks_count++], sizeof(m->tracks[0]), track, "TRACK");
}

static bool fail_list(struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);

static bool fail_list(struct cli *cli, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    cli_fail(cli, "not-found", message, NULL);
    return false;
}

/* A TRACK a line; empty lines and lines that begin with # are left out. */
static bool add_list(struct playing *p, ctl_Play *m)
{
    struct buf text CLEANUP(buf_free) = buf(LIST_BYTES_MAX);
    static const char zero;
    unsigned row = 0;
    int r = file_read(p->list, &text);
    if (r == 0)
        r = buf_append(&text, slice(&zero, 1));
    if (r != 0)
        return fail_list(p->cli, "%.250s cannot be read: %s", p->list, r < 0 ? strerror(-r) : "it is too long");
    for (char *line = (char *)text.data, *next; line != NULL; line = next) {
        row++;
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        line[strcspn(line, "\r")] = '\0';
        if (line[0] == '#' || line[strspn(line, " \t")] == '\0')
            continue;
        if (strlen(line) >= sizeof(m->tracks[0]) || !text_is_plain(slice(line, strlen(line))))
            return fail_list(p->cli, "%.250s, line %u: this is no name of a track", p->list, row);
        if (!add_track(p->cli, m, line))
            return false;
        p->rows[m->tracks_count - 1] = row;
    }
    return true;
}

/* Where a window could be opened: this terminal's display, not that of hearthd. */
static void set_display(ctl_Play *m)
{
    const char *display = getenv("DISPLAY"), *authority = getenv("XAUTHORITY"), *wayland = getenv("WAYLAND_DISPLAY"),
               *runtime = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME");
    int n;
    if (display != NULL && display[0] != '\0')
        m->has_display = snprintf(m->display, sizeof(m->display), "%s", display) < (int)sizeof(m->display);
    if (authority != NULL)
        n = snprintf(m->authority, sizeof(m->authority), "%s", authority);
    else
        n = snprintf(m->authority, sizeof(m->authority), "%s/.Xauthority", home != NULL ? home : "");
    m->has_authority = m->has_display && n < (int)sizeof(m->authority) && access(m->authority, R_OK) == 0;
    if (wayland == NULL || wayland[0] == '\0' || (wayland[0] != '/' && runtime == NULL))
        return;
    n = wayland[0] == '/' ? snprintf(m->wayland, sizeof(m->wayland), "%s", wayland)
                          : snprintf(m->wayland, sizeof(m->wayland), "%s/%s", runtime, wayland);
    m->has_wayland = n < (int)sizeof(m->wayland);
}

static bool is_output(const char *output)
{
    return strcmp(output, "audio") == 0 || strcmp(output, "silent") == 0 || strcmp(output, "digest") == 0 ||
           strcmp(output, "null") == 0 || output_is_device(output);
}

static bool in_time(const char *output) { return strcmp(output, "digest") != 0 && strcmp(output, "null") != 0; }

/* Of several places, the person says which. */
struct places {
    ctl_PositionRow list[8];
    size_t count;
};

static int on_place(const struct frame *f, void *ctx)
{
    struct places *p = ctx;
    if (f->type != ctl_Type_POSITION_ROW || p->count == ARRAY_COUNT(p->list))
        return -EPROTO;
    return CODEC_DECODE(ctl_PositionRow, f->message, &p->list[p->count++]) == 0 ? 0 : -EPROTO;
}

static int choose_place(struct cli *cli, ctl_Play *m)
{
    struct places p = { .count = 0 };
    ctl_PositionsGet ask = ctl_PositionsGet_init_zero;
    char at[24], device[64], answer[16];
    memcpy(ask.track, m->tracks[0], sizeof(ask.track));
    int code = CLI_CALL(cli, POSITIONS_GET, ctl_PositionsGet, &ask, on_place, &p);
    if (code != EXIT_DONE)
        return code;
    fprintf(stderr, "It was left at different places on devices that did not know of each other:\n");
    for (size_t i = 0; i < p.count; i++)
        fprintf(stderr, "  %zu  %s on %s\n", i + 1, output_duration(p.list[i].position_ms, at),
                text_safe(p.list[i].device, device, sizeof(device)));
    if (prompt_line("Which one? [number; Enter: from the beginning] ", answer, sizeof(answer)) != 0)
        answer[0] = '\0';
    size_t number = (size_t)strtoul(answer, NULL, 10);
    m->has_position = true;
    snprintf(m->position, sizeof(m->position), "%s",
             number == 0 || number > p.count ? "start" : p.list[number - 1].device);
    return EXIT_DONE;
}

/* Asked before the daemon is: going on where it was left. */
static int offer_position(struct cli *cli, ctl_Play *m)
{
    ctl_Show ask = ctl_Show_init_zero;
    ctl_TrackRow t = ctl_TrackRow_init_zero;
    char at[24], question[64];
    if (m->has_position || m->has_playlist || cli->output.json || m->background || !in_time(m->output) ||
        !prompt_possible())
        return EXIT_DONE;
    memcpy(ask.track, m->tracks[0], sizeof(ask.track));
    int code = cli_call_except(cli, ctl_Type_SHOW, ctl_Show_fields, &ask, verb_on_track, &t, REASON_NOT_FOUND);
    if (code > 0)
        return code;
    if (code == EXIT_DONE && t.has_positions_differ)
        return choose_place(cli, m);
    if (m->resume)
        return EXIT_DONE;
    snprintf(question, sizeof(question), "Go on at %s? [y/N] ", output_duration(t.position_ms, at));
    m->resume = code == EXIT_DONE && t.position_ms >= OFFER_MS && prompt_yes(question);
    return EXIT_DONE;
}

/* --- play --- */

static int say_result(struct playing *p, const ctl_Play *m)
{
    struct cli *cli = p->cli;
    if (!cli->output.json)
        return p->failed_count > 0 ? EXIT_REFUSED : EXIT_DONE;
    bool one = m->tracks_count == 1 && !m->has_playlist && p->played_count == 1 && p->failed_count == 0;
    json_t *o = one ? json_incref(json_array_get(p->played, 0))
                    : json_pack("{s:O, s:O}", "played", p->played, "failed", p->failed);
    output_json(&cli->output, o);
    return p->failed_count > 0 ? EXIT_REFUSED : EXIT_DONE;
}

/* Of one track the refusal comes twice: as it is met, and at the end. */
static int fail(const struct playing *p, const msg_Refusal *r)
{
    return p->refused ? EXIT_REFUSED : cli_fail(p->cli, r->code, r->text, r->has_remedy ? r->remedy : NULL);
}

static int play(struct playing *p, const ctl_Play *m)
{
    struct cli *cli = p->cli;
    char line[PLAYING_LINE_BYTES];
    int code = EXIT_DONE;
    if (!m->background && in_time(m->output)) {
        if (cli->client == NULL)
            code = CLI_CALL(cli, STATUS_GET, ctl_StatusGet, &(ctl_StatusGet){ 0 }, verb_skip_row, NULL);
        if (code != EXIT_DONE)
            return code;
        take_keys(p);
    }
    cli->when_lost = "start it again; what the play cost is then told by hearth events and hearth show TRACK";
    code = cli_call_quietly(cli, ctl_Type_PLAY, ctl_Play_fields, m, on_row, p);
    keys_stop();
    if (p->interrupted)
        die_of_interrupt(cli);
    if (code < 0)
        code = fail(p, client_refusal(cli->client));
    if (cli->client != NULL)
        client_watch(cli->client, -1, NULL, NULL);
    if (code == EXIT_DONE && m->background && p->state.state != 0)
        output_line(&cli->output, "%s\nIt plays on: hearth now, hearth stop", playing_line(&p->state, SIZE_MAX, line));
    return code == EXIT_DONE ? say_result(p, m) : code;
}

static int run_play(struct cli *cli, int argc, char **argv)
{
    const char *output = "audio", *list = NULL, *plugin = NULL, *position = NULL, *playlist = NULL;
    struct playing p = { .cli = cli };
    ctl_Play m = ctl_Play_init_zero;
    const struct option_spec specs[] = {
        { "output", &output, NULL },           { "list", &list, NULL },       { "playlist", &playlist, NULL },
        { "position", &position, NULL },       { "resume", NULL, &m.resume }, { "renew", NULL, &p.agreed },
        { "background", NULL, &m.background }, { "follow", NULL, &p.follow }, { "plugin", &plugin, NULL }
    };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, ARRAY_COUNT(specs), 0, -1, &args, &count);
    if (code >= 0)
        return code;
    p.follow = p.follow && cli->output.json;
    if (count == 0 && list == NULL && playlist == NULL)
        return cli_usage(cli, "an argument is missing");
    if (!is_output(output))
        return cli_usage(cli, "--output is audio, silent, digest, null, or a device that hearth outputs lists");
    p.in_time = in_time(output);
    if (m.background && !p.in_time)
        return cli_usage(cli, "--background is for what plays in time: nobody would read what digest and null say");
    if (!cli_text(cli, m.output, sizeof(m.output), output, "the output"))
        return EXIT_USAGE;
    if (plugin != NULL && plugin[0] == '\0')
        return cli_usage(cli, "--plugin names one that is here: hearth programs");
    m.has_plugin = plugin != NULL;
    if (plugin != NULL && !cli_text(cli, m.plugin, sizeof(m.plugin), plugin, "the plug-in's name"))
        return EXIT_USAGE;
    m.has_position = position != NULL;
    if (position != NULL && !cli_text(cli, m.position, sizeof(m.position), position, "the position"))
        return EXIT_USAGE;
    m.has_playlist = playlist != NULL;
    if (playlist != NULL && !cli_text(cli, m.playlist, sizeof(m.playlist), playlist, "the playlist"))
        return EXIT_USAGE;
    for (int i = 0; i < count; i++)
        if (!add_track(cli, &m, args[i]))
            return EXIT_USAGE;
    p.list = list;
    if (list != NULL && !add_list(&p, &m))
        return EXIT_REFUSED;
    if (m.tracks_count == 0 && !m.has_playlist)
        return cli_fail(cli, "not-found", "the list names no track", NULL);
    set_display(&m);
    code = offer_position(cli, &m);
    if (code != EXIT_DONE)
        return code;
    m.ask = p.agreed || (!cli->output.json && prompt_possible());
    p.many = m.tracks_count > 1 || m.has_playlist;
    p.played = cli->output.json ? json_array() : NULL;
    p.failed = cli->output.json ? json_array() : NULL;
    code = play(&p, &m);
    json_decref(p.played);
    json_decref(p.failed);
    return code;
}
const struct verb verb_play = {
    "play",
    "TRACK... [--playlist NAME] [--list FILE] [--position DEVICE|start] [--output audio|silent|digest|null|SOUND] [--plugin NAME] [--resume] [--renew] [--background] [--follow]",
    "Plays tracks, one after the other.",
    "At a terminal, " KEYS_TEXT ".\n"
    "From elsewhere: hearth pause, seek, volume, next, previous, stop, now, queue.\n"
    "FILE has a TRACK a line. --resume goes on where the first track was left, on whichever device; left at several\n"
    "places by devices that did not know of each other, it asks which: --position. --renew agrees to any price of\n"
    "renewing a license that has ended. --plugin: the sound goes through a plug-in (hearth programs). --background\n"
    "returns once it plays; --json --follow prints each state. SOUND is a device that hearth outputs lists;\n"
    "silent: in time, without sound; digest: as fast as it can, the SHA-256 of the samples; null: only decodes.",
    run_play
};
