/* libmpv: options, the stream it reads from, and its events. */
#define LOG_MODULE "player"
#include "player/player.h"

#include <mpv/client.h>
#include <mpv/stream_cb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "base/util.h"

#define FORMAT_BYTES 64

struct player {
    mpv_handle *mpv;
    struct track *track;
    uint64_t offset; /* of the stream; libmpv's thread */
    int event_fd;
    bool wants_sound;
    char format[FORMAT_BYTES];
    unsigned frame_bytes;
    enum reason failure;
    const char *detail;
};

/* --- The stream: called from libmpv's threads --- */

static int64_t stream_size(void *cookie) { return (int64_t)track_bytes(((struct player *)cookie)->track); }

static int64_t stream_seek(void *cookie, int64_t offset)
{
    struct player *p = cookie;
    if (offset < 0 || (uint64_t)offset > track_bytes(p->track))
        return MPV_ERROR_GENERIC;
    p->offset = (uint64_t)offset;
    return offset;
}

static int64_t stream_read(void *cookie, char *out, uint64_t len)
{
    struct player *p = cookie;
    int64_t got = track_read(p->track, p->offset, out, len);
    if (got < 0)
        return -1;
    p->offset += (uint64_t)got;
    return got;
}

static void stream_close(void *cookie) { (void)cookie; } /* the track is the caller's */

static void stream_cancel(void *cookie) { track_cancel(((struct player *)cookie)->track); }

static int stream_open(void *user_data, char *uri, mpv_stream_cb_info *info)
{
    (void)uri;
    struct player *p = user_data;
    p->offset = 0;
    info->cookie = p;
    info->size_fn = stream_size;
    info->seek_fn = stream_seek;
    info->read_fn = stream_read;
    info->close_fn = stream_close;
    info->cancel_fn = stream_cancel;
    return 0;
}

static void wake_up(void *ctx)
{
    const uint64_t one = 1;
    ssize_t ignored = write(((struct player *)ctx)->event_fd, &one, sizeof(one)); /* full: it is awake already */
    (void)ignored;
}

/* --- Setting up --- */

struct setting {
    const char *name, *value;
};
/* The file is hostile: it may not name other files, and nothing but the track is opened. */
static const struct setting common[] = {
    { "config", "no" },
    { "terminal", "no" },
    { "load-scripts", "no" },
    { "ytdl", "no" },
    { "osc", "no" },
    { "load-stats-overlay", "no" },
    { "load-osd-console", "no" },
    { "load-auto-profiles", "no" },
    { "osd-level", "0" },
    { "osd-font-provider", "none" },
    { "sub-font-provider", "none" },
    { "input-default-bindings", "no" },
    { "autoload-files", "no" },
    { "access-references", "no" },
    { "load-unsafe-playlists", "no" },
    { "ordered-chapters", "no" },
    { "demuxer", "lavf" },
    { "vid", "no" },
    { "sid", "no" },
    { "audio-display", "no" },
    { "resume-playback", "no" },
    { "cache", "no" },
    { "demuxer-max-bytes", "4MiB" },
    { "demuxer-max-back-bytes", "0" },
    { "idle", "yes" }, /* until player_load; the end of the file is an event */
    { "stop-screensaver", "no" },
};

static int set(struct player *p, const char *name, const char *value)
{
    int r = mpv_set_option_string(p->mpv, name, value);
    if (r >= 0)
        return 0;
    log_error("libmpv does not take an option: name=%s error=%s", name, mpv_error_string(r));
    return -EINVAL;
}

static int set_output(struct player *p, const ply_Start *start, int samples_fd)
{
    char path[32];
    int r = 0;
    switch (start->output) {
    case ply_Output_OUTPUT_DIGEST:
        snprintf(path, sizeof(path), "/dev/fd/%d", samples_fd);
        r = set(p, "ao", "pcm");
        if (r == 0)
            r = set(p, "ao-pcm-file", path);
        return r == 0 ? set(p, "ao-pcm-waveheader", "no") : r;
    case ply_Output_OUTPUT_NULL:
        r = set(p, "ao", "null");
        return r == 0 ? set(p, "ao-null-untimed", "yes") : r;
    default:
        p->wants_sound = true;
        r = set(p, "audio-client-name", "hearth");
        return r == 0 ? set(p, "force-media-title", start->title) : r;
    }
}

static int set_up(struct player *p, const ply_Start *start, int samples_fd)
{
    p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->event_fd < 0)
        return -errno;
    p->mpv = mpv_create();
    if (!p->mpv)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(common); i++)
        r = set(p, common[i].name, common[i].value);
    if (r == 0)
        r = set_output(p, start, samples_fd);
    if (r != 0)
        return r;
    mpv_request_log_messages(p->mpv, "error");
    mpv_set_wakeup_callback(p->mpv, wake_up, p);
    if (mpv_initialize(p->mpv) < 0)
        return -ENOMEM;
    if (mpv_hook_add(p->mpv, 0, "on_unload", 0) < 0)
        return -EINVAL;
    return mpv_stream_cb_add_ro(p->mpv, "hearth", p, stream_open) < 0 ? -EINVAL : 0;
}

int player_new(struct player **out, const ply_Start *start, struct track *t, int samples_fd)
{
    struct player *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->event_fd = -1;
    p->track = t;
    int r = set_up(p, start, samples_fd);
    if (r != 0) {
        player_free(p);
        return r;
    }
    *out = p;
    return 0;
}

void player_free(struct player *p)
{
    if (!p)
        return;
    if (p->mpv)
        mpv_terminate_destroy(p->mpv);
    closep(&p->event_fd);
    free(p);
}

int player_event_fd(const struct player *p) { return p->event_fd; }

int player_load(struct player *p)
{
    const char *command[] = { "loadfile", "hearth://track", NULL };
    return mpv_command(p->mpv, command) < 0 ? -EIO : 0;
}

/* --- Events --- */

static unsigned sample_bytes(const char *format)
{
    static const struct {
        const char *name;
        unsigned bytes;
    } known[] = { { "u8", 1 }, { "s16", 2 }, { "s32", 4 }, { "s64", 8 }, { "float", 4 }, { "double", 8 } };
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (strcmp(known[i].name, format) == 0)
            return known[i].bytes;
    }
    return 0;
}

static void note_format(struct player *p)
{
    int64_t rate, channels;
    char *format = mpv_get_property_string(p->mpv, "audio-out-params/format");
    if (format && mpv_get_property(p->mpv, "audio-out-params/samplerate", MPV_FORMAT_INT64, &rate) >= 0 &&
        mpv_get_property(p->mpv, "audio-out-params/channel-count", MPV_FORMAT_INT64, &channels) >= 0) {
        snprintf(p->format, sizeof(p->format), "%s/%dch/%d", format, (int)channels, (int)rate);
        p->frame_bytes = sample_bytes(format) * (unsigned)channels;
    }
    mpv_free(format);
}

static int ended(struct player *p, const mpv_event_end_file *end)
{
    if (track_failure(p->track) != REASON_NONE) { /* whatever libmpv makes of a failed read: it may look like the end */
        p->failure = track_failure(p->track);
        return -EIO;
    }
    if (end->reason == MPV_END_FILE_REASON_EOF && p->format[0] != '\0')
        return 0;
    p->failure = REASON_UNPLAYABLE;
    if (end->reason == MPV_END_FILE_REASON_ERROR && end->error == MPV_ERROR_AO_INIT_FAILED && p->wants_sound)
        p->detail = "There is no sound output that works. Without sound: --output digest or --output null";
    else if (end->reason == MPV_END_FILE_REASON_ERROR && end->error == MPV_ERROR_UNKNOWN_FORMAT)
        p->detail = "The player does not know this format.";
    else
        p->detail = "The player finds no sound in this content.";
    return -EIO;
}

static void log_message(const mpv_event_log_message *m)
{
    char line[256], text[256];
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(m->text, "\n"), m->text);
    text_safe(line, text, sizeof(text));
    log_info("libmpv: from=%s text=%s", m->prefix, text);
}

int player_step(struct player *p)
{
    uint64_t count;
    ssize_t ignored = read(p->event_fd, &count, sizeof(count));
    (void)ignored;
    for (;;) {
        const mpv_event *e = mpv_wait_event(p->mpv, 0);
        switch (e->event_id) {
        case MPV_EVENT_NONE:
            return PLAYER_PLAYING;
        case MPV_EVENT_AUDIO_RECONFIG:
            note_format(p);
            break;
        case MPV_EVENT_HOOK: /* before the file is closed: of a short one the output may have come and gone between two steps */
            if (p->format[0] == '\0')
                note_format(p);
            (void)mpv_hook_continue(p->mpv, ((const mpv_event_hook *)e->data)->id);
            break;
        case MPV_EVENT_LOG_MESSAGE:
            log_message(e->data);
            break;
        case MPV_EVENT_END_FILE:
            return ended(p, e->data);
        case MPV_EVENT_SHUTDOWN:
            p->failure = REASON_INTERNAL;
            return -EIO;
        default:
            break;
        }
    }
}

enum reason player_failure(const struct player *p, const char **detail)
{
    *detail = p->detail;
    return p->failure;
}

static uint64_t milliseconds(struct player *p, const char *property)
{
    double seconds;
    if (mpv_get_property(p->mpv, property, MPV_FORMAT_DOUBLE, &seconds) < 0 || !(seconds > 0) || seconds > 1e9)
        return 0;
    return (uint64_t)(seconds * 1000);
}

void player_position(struct player *p, uint64_t *position_ms, uint64_t *duration_ms)
{
    *position_ms = milliseconds(p, "time-pos");
    *duration_ms = milliseconds(p, "duration");
}

const char *player_format(const struct player *p, unsigned *frame_bytes)
{
    *frame_bytes = p->frame_bytes;
    return p->format;
}
