/* hearth-player: child of hearthd. Wiring, and the conversation with hearthd.
 *
 *   fd 3  the vault, which decrypts block by block
 *   fd 4  the body file, read only
 *   fd 5  hearthd (player.proto) */
#define LOG_MODULE "main"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/util.h"
#include "player/digest.h"
#include "player/player.h"
#include "player/sandbox.h"

#define VAULT_FD 3
#define BODY_FD 4
#define CONTROL_FD 5
#define PROGRESS_MS 250

struct session {
    struct channel control;
    uint32_t request; /* of START */
    ply_Start start;
    struct track *track;
    struct digest *digest;
    struct player *player;
    ply_Played played;
    const char *detail;
};

static int receive_start(struct session *s)
{
    struct frame f;
    int r = channel_read(&s->control, true, &f);
    if (r != 0)
        return r > 0 ? -EPIPE : r;
    s->request = f.request;
    if (f.type != ply_Type_START || CODEC_DECODE(ply_Start, f.message, &s->start) != 0 ||
        s->start.output < ply_Output_OUTPUT_AUDIO || s->start.output > ply_Output_OUTPUT_NULL)
        return REASON_MALFORMED;
    if (strncmp(s->start.media_type, "audio/", 6) != 0 && strncmp(s->start.media_type, "video/", 6) != 0) {
        s->detail = "The player renders sound, this content is of another kind.";
        return REASON_UNPLAYABLE;
    }
    return 0;
}

static int prepare(struct session *s)
{
    int r = sandbox_enter(s->start.output == ply_Output_OUTPUT_AUDIO);
    if (r == 0)
        r = track_open(&s->track, BODY_FD, VAULT_FD);
    if (r == 0 && s->start.output == ply_Output_OUTPUT_DIGEST)
        r = digest_start(&s->digest);
    if (r == 0)
        r = player_new(&s->player, &s->start, s->track, s->digest ? digest_fd(s->digest) : -1);
    return r != 0 ? r : player_load(s->player);
}

static int report_progress(struct session *s)
{
    ply_Progress m = { 0 };
    player_position(s->player, &m.position_ms, &m.duration_ms);
    return channel_send(&s->control, ply_Type_PROGRESS, s->request, ply_Progress_fields, &m, slice(NULL, 0));
}

/* STOP, silence for good, or what is no frame. */
static bool is_told_to_stop(struct session *s)
{
    struct frame f;
    int r;
    do
        r = channel_read(&s->control, false, &f);
    while (r == 0 && f.type != ply_Type_STOP);
    return r != CHANNEL_NOTHING;
}

/* 0 at the end of the track, a reason, -errno. */
static int play(struct session *s)
{
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
        if (clock_mono_ms(clock) - reported_ms >= PROGRESS_MS) {
            reported_ms = clock_mono_ms(clock);
            r = report_progress(s);
            if (r != 0)
                return r;
        }
    }
}

/* Ends libmpv first, which has the pipe open too. */
static int summarize(struct session *s)
{
    unsigned frame_bytes;
    CODEC_SET_TEXT(s->played.format, player_format(s->player, &frame_bytes));
    s->played.has_format = s->played.format[0] != '\0';
    player_free(steal(&s->player));
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
    track_close(steal(&s->track));
    channel_deinit(&s->control);
}

static bool is_given(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

int main(void)
{
    log_init("hearth-player");
    if (!is_given(VAULT_FD) || !is_given(BODY_FD) || !is_given(CONTROL_FD)) {
        log_error("started by hearthd only, with descriptors 3, 4 and 5");
        return 2;
    }
    /* The terminal's interrupt reaches the whole group; hearthd closes the channel when it means it. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    struct session s = { 0 };
    channel_init(&s.control, CONTROL_FD, 0);
    int r = secret_init();
    if (r == 0)
        r = secret_harden_process();
    if (r == 0)
        r = run(&s);
    if (r < 0)
        log_error("playing failed: errno=%d", -r);
    int sent = s.request != 0 ? answer(&s, r) : 0;
    release(&s);
    return r == 0 && sent == 0 ? 0 : 1;
}
