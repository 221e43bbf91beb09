/* libmpv: the stream it reads from, its events, and its controls. */
#define LOG_MODULE "player"
#include "player/player.h"

#include <mpv/client.h>
#include <mpv/stream_cb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "player/options.h"
#include "player/outputs.h"
#include "protocol/output.h"

#define FORMAT_BYTES 64

struct player {
    mpv_handle *mpv;
    struct track *track;
    const struct plugin *plugin; /* NULL: none */
    uint64_t offset;             /* of the stream; libmpv's thread */
    int event_fd;
    bool wants_sound, has_window;
    bool sound_failed, window_failed; /* to open */
    bool shown;                       /* a picture, in the window */
    bool running;                     /* the first sound or picture is out */
    bool news;
    uint32_t wish;      /* enum ply_Wanted */
    struct slice cover; /* empty: none */
    uint32_t seeks_asked, seeks_done;
    bool seek_waits; /* until something plays */
    uint64_t seek_ms;
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

/* The cover: a picture in memory, of which each stream has its own place. */
struct picture {
    struct slice bytes;
    size_t at;
};

static int64_t picture_size(void *cookie) { return (int64_t)((struct picture *)cookie)->bytes.len; }

static int64_t picture_seek(void *cookie, int64_t offset)
{
    struct picture *c = cookie;
    if (offset < 0 || (uint64_t)offset > c->bytes.len)
        return MPV_ERROR_GENERIC;
    c->at = (size_t)offset;
    return offset;
}

static int64_t picture_read(void *cookie, char *out, uint64_t len)
{
    struct picture *c = cookie;
    size_t n = (size_t)u64_min(len, c->bytes.len - c->at);
    if (n > 0)
        memcpy(out, c->bytes.data + c->at, n);
    c->at += n;
    return (int64_t)n;
}

static int picture_open(const struct player *p, mpv_stream_cb_info *info)
{
    struct picture *c = p->cover.len > 0 ? calloc(1, sizeof(*c)) : NULL;
    if (!c)
        return MPV_ERROR_LOADING_FAILED;
    c->bytes = p->cover;
    info->cookie = c;
    info->size_fn = picture_size;
    info->seek_fn = picture_seek;
    info->read_fn = picture_read;
    info->close_fn = free;
    return 0;
}

static int stream_open(void *user_data, char *uri, mpv_stream_cb_info *info)
{
    struct player *p = user_data;
    if (strcmp(uri, OPTIONS_COVER_URI) == 0)
        return picture_open(p, info);
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

static int set_up(struct player *p, const ply_Start *start, int samples_fd)
{
    p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->event_fd < 0)
        return -errno;
    p->mpv = mpv_create();
    if (!p->mpv)
        return -ENOMEM;
    p->wants_sound = start->output == ply_Output_OUTPUT_AUDIO;
    p->has_window = options_window(start, p->cover.len > 0);
    int r = options_set(p->mpv, start, p->cover.len > 0, samples_fd);
    if (r == 0 && p->plugin && mpv_set_option_string(p->mpv, "af", plugin_filter(p->plugin)) < 0)
        r = -EINVAL;
    if (r != 0)
        return r;
    mpv_request_log_messages(p->mpv, "error");
    mpv_set_wakeup_callback(p->mpv, wake_up, p);
    if (mpv_initialize(p->mpv) < 0)
        return -ENOMEM;
    if (mpv_hook_add(p->mpv, 0, "on_unload", 0) < 0)
        return -EINVAL;
    if (mpv_observe_property(p->mpv, 0, "pause", MPV_FORMAT_FLAG) < 0 ||
        mpv_observe_property(p->mpv, 0, "volume", MPV_FORMAT_DOUBLE) < 0)
        return -ENOMEM;
    if (start->has_device && output_judge(start->device) == OUTPUT_DEVICE_IF_LISTED &&
        !outputs_list_has(p->mpv, start->device))
        return REASON_OUTPUT_FAILED;
    r = p->has_window ? options_bind_keys(p->mpv) : 0;
    if (r != 0)
        return r;
    return mpv_stream_cb_add_ro(p->mpv, "hearth", p, stream_open) < 0 ? -EINVAL : 0;
}

int player_new(struct player **out, const ply_Start *start, struct track *t, const struct plugin *plugin,
               struct slice cover, int samples_fd)
{
    struct player *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->event_fd = -1;
    p->track = t;
    p->plugin = plugin;
    p->cover = cover;
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

static bool has_shown(struct player *p)
{
    int shown = 0;
    return p->has_window && p->running && mpv_get_property(p->mpv, "vo-configured", MPV_FORMAT_FLAG, &shown) >= 0 &&
           shown;
}

/* libmpv plays on without a filter that it cannot use: only the plug-in itself knows whether it was asked. Of what has no sound it is not. */
static int judge_plugin(struct player *p)
{
    if (!p->plugin || p->format[0] == '\0' || plugin_frames(p->plugin) > 0)
        return 0;
    p->failure = REASON_PROGRAM_UNUSABLE;
    p->detail = "The plug-in did not take part: the sound did not go through it.";
    return -EIO;
}

static int ended(struct player *p, const mpv_event_end_file *end)
{
    if (track_failure(p->track) != REASON_NONE) { /* whatever libmpv makes of a failed read: it may look like the end */
        p->failure = track_failure(p->track);
        return -EIO;
    }
    if (end->reason == MPV_END_FILE_REASON_EOF && p->running) /* without a stream to render it is no end but an error */
        return judge_plugin(p);
    p->failure = REASON_UNPLAYABLE;
    bool no_sound = p->wants_sound && (end->error == MPV_ERROR_AO_INIT_FAILED || p->sound_failed);
    bool no_window = end->error == MPV_ERROR_VO_INIT_FAILED || p->window_failed;
    if (end->reason == MPV_END_FILE_REASON_ERROR && (no_sound || no_window)) {
        p->failure = REASON_OUTPUT_FAILED;
        p->detail = !no_window ? "This sound output does not work."
                    : no_sound ? "No window can be opened on this display, and this sound output does not work."
                               : "No window can be opened on this display.";
    } else if (end->reason == MPV_END_FILE_REASON_ERROR && end->error == MPV_ERROR_UNKNOWN_FORMAT)
        p->detail = "The player does not know this format.";
    else
        p->detail = p->has_window ? "The player finds neither sound nor pictures in this content."
                                  : "The player finds no sound in this content.";
    return -EIO;
}

/* What libmpv could not open it goes on without, and says so in its log only. */
static void log_message(struct player *p, const mpv_event_log_message *m)
{
    char line[256], text[256];
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(m->text, "\n"), m->text);
    text_safe(line, text, sizeof(text));
    p->sound_failed = p->sound_failed || strncmp(m->prefix, "ao", 2) == 0;
    p->window_failed = p->window_failed || strncmp(m->prefix, "vo", 2) == 0;
    log_info("libmpv: from=%s text=%s", m->prefix, text);
}

/* Sound or picture goes on: at the beginning, and after each seek. */
static void on_restart(struct player *p)
{
    p->running = true;
    note_format(p); /* a short track may be over, and its output gone, before the other events are seen */
    p->shown = p->shown || has_shown(p);
    p->seeks_done = p->seek_waits ? p->seeks_done : p->seeks_asked;
    p->news = true;
    if (p->seek_waits) {
        p->seek_waits = false;
        p->seeks_asked--;
        player_seek(p, p->seek_ms);
    }
}

static void on_message(struct player *p, const mpv_event_client_message *m)
{
    static const char *const wishes[] = {
        [ply_Wanted_WANTED_NEXT] = "next", [ply_Wanted_WANTED_PREVIOUS] = "previous", [ply_Wanted_WANTED_STOP] = "stop"
    };
    for (uint32_t i = ply_Wanted_WANTED_NEXT; m->num_args == 1 && i < ARRAY_COUNT(wishes); i++)
        if (strcmp(m->args[0], wishes[i]) == 0)
            p->wish = i;
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
            log_message(p, e->data);
            break;
        case MPV_EVENT_PLAYBACK_RESTART:
            on_restart(p);
            if (judge_plugin(p) != 0) /* sound is out */
                return -EIO;
            break;
        case MPV_EVENT_PROPERTY_CHANGE:
            p->news = true;
            break;
        case MPV_EVENT_COMMAND_REPLY: /* of a seek: what cannot be sought goes on where it is */
            p->seeks_done = e->error < 0 ? p->seeks_asked : p->seeks_done;
            p->news = p->news || e->error < 0;
            break;
        case MPV_EVENT_CLIENT_MESSAGE:
            on_message(p, e->data);
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

/* --- Controls: whatever libmpv is doing, these do not wait for it --- */

void player_pause(struct player *p, bool paused)
{
    int flag = paused;
    (void)mpv_set_property_async(p->mpv, 0, "pause", MPV_FORMAT_FLAG, &flag);
}

void player_seek(struct player *p, uint64_t position_ms)
{
    char seconds[32];
    const char *command[] = { "seek", seconds, "absolute", NULL };
    p->seeks_asked++;
    p->seek_ms = position_ms;
    p->seek_waits = !p->running;
    if (p->seek_waits)
        return;
    snprintf(seconds, sizeof(seconds), "%.3f", (double)position_ms / 1000);
    if (mpv_command_async(p->mpv, 1, command) < 0)
        p->seeks_done = p->seeks_asked;
}

void player_volume(struct player *p, uint32_t percent)
{
    double volume = percent > 100 ? 100 : percent;
    (void)mpv_set_property_async(p->mpv, 0, "volume", MPV_FORMAT_DOUBLE, &volume);
}

void player_state(struct player *p, ply_Progress *out)
{
    int paused = 0;
    double volume = 100;
    (void)mpv_get_property(p->mpv, "pause", MPV_FORMAT_FLAG, &paused); /* both are always there */
    (void)mpv_get_property(p->mpv, "volume", MPV_FORMAT_DOUBLE, &volume);
    *out = (ply_Progress){
        .position_ms = milliseconds(p, "time-pos"),
        .duration_ms = milliseconds(p, "duration"),
        .paused = paused != 0,
        .volume = volume < 0     ? 0
                  : volume > 100 ? 100
                                 : (uint32_t)(volume + 0.5),
        .seeks = p->seeks_done,
        .running = p->running,
        .picture = p->shown,
    };
}

bool player_take_news(struct player *p)
{
    bool news = p->news;
    p->news = false;
    return news;
}

uint32_t player_take_wish(struct player *p)
{
    uint32_t wish = p->wish;
    p->wish = ply_Wanted_WANTED_NONE;
    return wish;
}

const char *player_format(const struct player *p, unsigned *frame_bytes)
{
    *frame_bytes = p->frame_bytes;
    return p->format;
}
