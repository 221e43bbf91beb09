/* hearth-player: child of hearthd. Wiring, and the conversation with hearthd.
 *
 *   fd 3  hearthd (player.proto), which hands the body file and the connection to the vault over it
 *
 * A player may be started before there is something to play: its libraries are loaded by the time it waits for the first word. */
#define LOG_MODULE "main"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/standard.h"
#include "base/util.h"
#include "player/digest.h"
#include "player/disc.h"
#include "player/display.h"
#include "player/options.h"
#include "player/outputs.h"
#include "player/player.h"
#include "player/plugin.h"
#include "player/sandbox.h"
#include "protocol/output.h"

#define CONTROL_FD 3
#define PROGRESS_MS 250
#define COVER_BYTES_MAX (1 << 20)

struct session {
    struct channel control;
    uint32_t request; /* of START */
    ply_Start start;
    int body_fd, vault_fd; /* -1: not here, or the track's by now */
    int plugin_fd;         /* -1: there is none, or it is loaded */
    int disc_fd;           /* -1: there is none, or the disc has it */
    int cover_fd;          /* the same */
    struct buf cover;
    struct track *track;
    struct digest *digest;
    struct disc *disc;
    struct plugin *plugin;
    bool no_window; /* there was to be one */
    struct player *player;
    ply_Played played;
    const char *detail;
};

/* --- What is to be done --- */

static bool is_kind(const char *media_type, const char *kind) { return strncmp(media_type, kind, strlen(kind)) == 0; }

static bool has_display(const ply_Start *s) { return s->has_display || s->has_wayland; }

static int judge_start(struct session *s)
{
    const char *type = s->start.media_type;
    bool picture = is_kind(type, "image/");
    if (s->start.output < ply_Output_OUTPUT_AUDIO || s->start.output > ply_Output_OUTPUT_DISC ||
        s->start.volume > 100 || (s->start.output == ply_Output_OUTPUT_DISC) != (s->disc_fd >= 0) ||
        (s->start.has_device && !output_is_device(s->start.device)))
        return REASON_MALFORMED;
    if (!picture && !is_kind(type, "audio/") && !is_kind(type, "video/")) {
        s->detail = "The player renders sound, pictures and video; this content is of another kind.";
        return REASON_UNPLAYABLE;
    }
    if (picture && !has_display(&s->start)) {
        s->detail = "A picture needs a window, and there is no display here.";
        return REASON_UNPLAYABLE;
    }
    return 0;
}

static int take_start(struct session *s, const struct frame *f)
{
    s->request = f->request;
    if (CODEC_DECODE(ply_Start, f->message, &s->start) != 0 || s->body_fd < 0 || s->vault_fd < 0)
        return REASON_MALFORMED;
    return judge_start(s);
}

#define DONE_ALREADY 1000 /* no reason: there was nothing to play */

static int receive_start(struct session *s)
{
    for (;;) {
        struct frame f;
        int r = channel_read(&s->control, true, &f);
        if (r != 0)
            return r == CHANNEL_CLOSED ? DONE_ALREADY : r > 0 ? -EPROTO : r;
        if (f.type == ply_Type_START)
            return take_start(s, &f);
        if (f.type == ply_Type_OUTPUTS_GET)
            return outputs_tell(&s->control, f.request) == 0 ? DONE_ALREADY : -EPIPE;
        int *fd = f.type == ply_Type_BODY     ? &s->body_fd
                  : f.type == ply_Type_VAULT  ? &s->vault_fd
                  : f.type == ply_Type_PLUGIN ? &s->plugin_fd
                  : f.type == ply_Type_DISC   ? &s->disc_fd
                  : f.type == ply_Type_COVER  ? &s->cover_fd
                                              : NULL;
        if (!fd || *fd >= 0)
            return -EPROTO;
        *fd = channel_take_fd(&s->control);
    }
}

/* Where windows go: as libX11 and libwayland are told. Before any thread. */
static int set_display(const ply_Start *m)
{
    if (m->has_display && setenv("DISPLAY", m->display, 1) != 0)
        return -errno;
    if (m->has_authority && setenv("XAUTHORITY", m->authority, 1) != 0)
        return -errno;
    return m->has_wayland && setenv("WAYLAND_DISPLAY", m->wayland, 1) != 0 ? -errno : 0;
}

/* Its bytes only: what they are, the decoder sees behind the sandbox. */
static int read_cover(struct session *s)
{
    struct stat st;
    if (s->cover_fd < 0)
        return 0;
    if (fstat(s->cover_fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > COVER_BYTES_MAX)
        return REASON_MALFORMED;
    int r = buf_reserve(&s->cover, (size_t)st.st_size);
    if (r == 0)
        r = file_pread_all(s->cover_fd, s->cover.data, (size_t)st.st_size, 0);
    if (r == 0)
        s->cover.len = (size_t)st.st_size;
    closep(&s->cover_fd);
    return r > 0 ? -ENOMEM : r;
}

/* One that does not answer is none. */
static void choose_display(struct session *s)
{
    s->start.has_wayland = s->start.has_wayland && display_wayland_answers();
    if (!s->start.has_wayland)
        s->start.has_display = s->start.has_display && display_x11_answers();
    s->no_window = !has_display(&s->start);
    if (s->no_window)
        log_warn("the display does not answer: there is no window");
}

static int prepare(struct session *s)
{
    int bad = read_cover(s);
    if (bad != 0)
        return bad;
    const struct sandbox needs = {
        .sound = s->start.output == ply_Output_OUTPUT_AUDIO,
        .window = options_window(&s->start, s->cover.len > 0),
        .authority = s->start.has_authority ? s->start.authority : NULL,
    };
    int r = needs.window ? set_display(&s->start) : 0;
    if (r == 0)
        r = sandbox_enter(&needs);
    if (r == 0 && needs.window)
        choose_display(s);
    if (r == 0 && s->no_window && is_kind(s->start.media_type, "image/"))
        return REASON_UNPLAYABLE;
    if (r == 0 && s->disc_fd >= 0)
        r = disc_judge(s->vault_fd);
    if (r == 0 && s->plugin_fd >= 0) { /* code of others: it must not run before the sandbox is closed */
        r = plugin_open(&s->plugin, s->plugin_fd, s->vault_fd, &s->detail);
        s->plugin_fd = -1;
    }
    if (r == 0) {
        r = track_open(&s->track, s->body_fd, s->vault_fd);
        s->body_fd = s->vault_fd = -1;
    }
    if (r == 0 && s->start.output == ply_Output_OUTPUT_DIGEST)
        r = digest_start(&s->digest);
    if (r == 0 && s->disc_fd >= 0) {
        r = disc_start(&s->disc, s->disc_fd);
        s->disc_fd = -1;
    }
    if (r == 0)
        r = player_new(&s->player, &s->start, s->track, s->plugin, buf_slice(&s->cover),
                       s->digest ? digest_fd(s->digest)
                       : s->disc ? disc_fd(s->disc)
                                 : -1);
    return r != 0 ? r : player_load(s->player);
}

/* --- While it plays --- */

/* What runs at the end has nowhere to look but a global. */
static volatile sig_atomic_t shows;

static void on_exit_of_library(void)
{
    if (shows)
        _exit(OUTPUT_LOST_STATUS);
}

static int report_progress(struct session *s)
{
    ply_Progress m = { 0 };
    player_state(s->player, &m);
    return channel_send(&s->control, ply_Type_PROGRESS, s->request, ply_Progress_fields, &m, slice(NULL, 0));
}

static int report_wish(struct session *s, uint32_t wanted)
{
    ply_Wish m = { .wanted = wanted };
    return channel_send(&s->control, ply_Type_WISH, s->request, ply_Wish_fields, &m, slice(NULL, 0));
}

/* What hearthd wants meanwhile. CHANNEL_CLOSED: to end, by STOP, by silence for good, or by what is no word of it. 0 */
static int obey(struct session *s, const struct frame *f)
{
    ply_Pause pause;
    ply_Seek seek;
    ply_Volume volume;
    if (f->type == ply_Type_PAUSE && CODEC_DECODE(ply_Pause, f->message, &pause) == 0)
        player_pause(s->player, pause.paused);
    else if (f->type == ply_Type_SEEK && CODEC_DECODE(ply_Seek, f->message, &seek) == 0)
        player_seek(s->player, seek.position_ms);
    else if (f->type == ply_Type_VOLUME && CODEC_DECODE(ply_Volume, f->message, &volume) == 0)
        player_volume(s->player, volume.percent);
    else
        return CHANNEL_CLOSED;
    return 0;
}

static bool is_told_to_stop(struct session *s)
{
    struct frame f;
    int r;
    do {
        r = channel_read(&s->control, false, &f);
        if (r == 0)
            r = obey(s, &f);
    } while (r == 0);
    return r != CHANNEL_NOTHING;
}

/* 0 at the end of the track, a reason, -errno. */
static int play(struct session *s)
{
    shows = options_window(&s->start, s->cover.len > 0);
    struct pollfd fds[] = { { CONTROL_FD, POLLIN, 0 }, { player_event_fd(s->player), POLLIN, 0 } };
    const struct clock *clock = clock_system();
    int64_t reported_ms = clock_mono_ms(clock);
    for (;;) {
        if (is_told_to_stop(s)) /* before waiting: the word may have come together with START */
            return REASON_CANCELLED;
        if (poll(fds, ARRAY_COUNT(fds), PROGRESS_MS) < 0 && errno != EINTR)
            return -errno;
        int r = player_step(s->player);
        if (r < 0)
            return player_failure(s->player, &s->detail);
        if (r == 0)
            return 0;
        r = s->disc ? disc_failure(s->disc) : 0;
        if (r != 0)
            return r;
        uint32_t wanted = player_take_wish(s->player);
        r = wanted != ply_Wanted_WANTED_NONE ? report_wish(s, wanted) : 0;
        if (r == 0 && (player_take_news(s->player) || clock_mono_ms(clock) - reported_ms >= PROGRESS_MS)) {
            reported_ms = clock_mono_ms(clock);
            r = report_progress(s);
        }
        if (r != 0)
            return r;
    }
}

/* Ends libmpv first, which has the pipe open too. */
static int summarize(struct session *s)
{
    unsigned frame_bytes;
    CODEC_SET_TEXT(s->played.format, player_format(s->player, &frame_bytes));
    s->played.has_format = s->played.format[0] != '\0';
    player_free(steal(&s->player));
    if (s->disc) {
        bool fits = strcmp(s->played.format, DISC_FORMAT) == 0;
        int r = disc_finish(steal(&s->disc), &s->played.samples);
        return r != 0 || fits ? r : -EIO;
    }
    if (!s->digest)
        return 0;
    uint64_t bytes;
    int r = digest_finish(steal(&s->digest), s->played.digest, &bytes);
    s->played.has_digest = r == 0;
    if (r == 0 && frame_bytes > 0)
        s->played.samples = bytes / frame_bytes;
    return r;
}

static int run(struct session *s)
{
    int r = receive_start(s);
    if (r == 0)
        r = prepare(s);
    if (r == 0)
        r = play(s);
    if (r == 0)
        r = summarize(s);
    if (r == REASON_UNPLAYABLE && s->no_window) { /* there is no sound in it: the window would have been all */
        s->detail = "No window can be opened on this display.";
        return REASON_OUTPUT_FAILED;
    }
    return r;
}

static int answer(struct session *s, int outcome)
{
    if (outcome == 0)
        return channel_send(&s->control, ply_Type_PLAYED, s->request, ply_Played_fields, &s->played, slice(NULL, 0));
    return channel_refuse(&s->control, s->request, reason_of_error(outcome), outcome > 0 ? s->detail : NULL);
}

static void release(struct session *s)
{
    uint8_t hash[32];
    uint64_t bytes;
    player_free(steal(&s->player));
    if (s->digest && digest_finish(steal(&s->digest), hash, &bytes) != 0)
        log_warn("samples were lost");
    if (s->disc && disc_finish(steal(&s->disc), &bytes) != 0)
        log_warn("the disc is not whole");
    track_close(steal(&s->track));
    plugin_close(steal(&s->plugin));
    closep(&s->body_fd);
    closep(&s->vault_fd);
    closep(&s->plugin_fd);
    closep(&s->disc_fd);
    closep(&s->cover_fd);
    buf_free(&s->cover);
    channel_deinit(&s->control);
}

static bool is_given(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static const char usage[] = "usage: hearth-player\n"
                            "\n"
                            "Decodes one track that a hearth device plays. hearthd starts it, with a socket\n"
                            "as descriptor 3; nobody starts it by hand: hearth play TRACK\n"
                            "\n"
                            "man hearth-player says more.\n";

int main(int argc, char **argv)
{
    if (argc > 1) {
        bool asked = argc == 2 && strcmp(argv[1], "--help") == 0;
        (void)fputs(usage, asked ? stdout : stderr);
        return standard_end("hearth-player", asked ? 0 : 2);
    }
    log_init("hearth-player");
    if (!is_given(CONTROL_FD)) {
        log_error("started by hearthd only, with a socket as descriptor 3");
        return 2;
    }
    /* The terminal's interrupt reaches the whole group; hearthd closes the channel when it means it. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)atexit(on_exit_of_library);
    struct session s = {
        .body_fd = -1, .vault_fd = -1, .plugin_fd = -1, .disc_fd = -1, .cover_fd = -1, .cover = buf(COVER_BYTES_MAX)
    };
    channel_init(&s.control, CONTROL_FD, 0);
    int r = log_leave_stderr(); /* a device may be told to write to a descriptor */
    if (r == 0)
        r = secret_init();
    if (r == 0)
        r = secret_harden_process();
    if (r == 0)
        r = run(&s);
    if (r < 0)
        log_error("playing failed: errno=%d", -r);
    shows = 0;
    int sent = s.request != 0 ? answer(&s, r) : 0;
    release(&s);
    return (r == 0 || r == DONE_ALREADY) && sent == 0 ? 0 : 1;
}
