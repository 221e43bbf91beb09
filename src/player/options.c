/* What libmpv is told before it begins. */
#define LOG_MODULE "player"
#include "player/options.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"

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
    { "volume-max", "100" },
    { "cache", "no" },
    { "demuxer-max-bytes", "4MiB" },
    { "demuxer-max-back-bytes", "0" },
    /* What is read is charged, where playing time counts: little ahead, and no reading through to a place. */
    { "stream-buffer-size", "8KiB" },
    { "demuxer-lavf-buffersize", "8192" },
    { "demuxer-lavf-o", "fflags=+fastseek" },
    { "idle", "yes" }, /* until player_load; the end of the file is an event */
    { "stop-screensaver", "no" },
};

static int set(mpv_handle *mpv, const char *name, const char *value)
{
    int r = mpv_set_option_string(mpv, name, value);
    if (r >= 0)
        return 0;
    log_error("libmpv does not take an option: name=%s error=%s", name, mpv_error_string(r));
    return -EINVAL;
}

static int set_all(mpv_handle *mpv, const struct setting *settings, size_t count)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = set(mpv, settings[i].name, settings[i].value);
    return r;
}

int options_set_common(mpv_handle *mpv) { return set_all(mpv, common, ARRAY_COUNT(common)); }

static int set_sound(mpv_handle *mpv, const ply_Start *start)
{
    int r = set(mpv, "audio-client-name", "hearth");
    if (r == 0 && start->has_device)
        r = set(mpv, "audio-device", start->device);
    return r;
}

/* What an audio CD holds. */
static const struct setting disc[] = {
    { "audio-format", "s16" },
    { "audio-samplerate", "44100" },
    { "audio-channels", "stereo" },
};

static int set_output(mpv_handle *mpv, const ply_Start *start, int samples_fd)
{
    char path[32];
    int r = 0;
    switch (start->output) {
    case ply_Output_OUTPUT_DISC:
    case ply_Output_OUTPUT_DIGEST:
        if (start->output == ply_Output_OUTPUT_DISC)
            r = set_all(mpv, disc, ARRAY_COUNT(disc));
        snprintf(path, sizeof(path), "/dev/fd/%d", samples_fd);
        if (r == 0)
            r = set(mpv, "ao", "pcm");
        if (r == 0)
            r = set(mpv, "ao-pcm-file", path);
        return r == 0 ? set(mpv, "ao-pcm-waveheader", "no") : r;
    case ply_Output_OUTPUT_NULL:
        r = set(mpv, "ao", "null");
        return r == 0 ? set(mpv, "ao-null-untimed", "yes") : r;
    case ply_Output_OUTPUT_SILENT:
        return set(mpv, "ao", "null");
    default:
        return set_sound(mpv, start);
    }
}

bool options_window(const ply_Start *start, bool cover)
{
    bool in_time = start->output == ply_Output_OUTPUT_AUDIO || start->output == ply_Output_OUTPUT_SILENT;
    bool pictures = strncmp(start->media_type, "video/", 6) == 0 || strncmp(start->media_type, "image/", 6) == 0;
    return in_time && (pictures || cover) && (start->has_display || start->has_wayland);
}

/* Drawn in memory and handed over as it is: the player needs no graphics device, no driver and no compiler of shaders. */
static const struct setting window[] = {
    { "vid", "auto" },        { "hwdec", "no" },        { "title", "${media-title}" },
    { "x11-name", "hearth" }, { "force-window", "no" },
};

static int set_window(mpv_handle *mpv, const ply_Start *start)
{
    char seconds[32] = "inf";
    if (start->picture_ms > 0)
        snprintf(seconds, sizeof(seconds), "%.3f", (double)start->picture_ms / 1000);
    int r = set_all(mpv, window, ARRAY_COUNT(window));
    if (r == 0)
        r = set(mpv, "vo", start->has_wayland ? start->has_display ? "wlshm,x11" : "wlshm" : "x11");
    if (r == 0 && start->has_window && strcmp(start->window, "fullscreen") == 0)
        r = set(mpv, "fullscreen", "yes");
    else if (r == 0 && start->has_window) /* digits and one x: nothing else comes here, and mpv would refuse it */
        r = set(mpv, "geometry", start->window);
    return r == 0 ? set(mpv, "image-display-duration", seconds) : r;
}

static int set_start(mpv_handle *mpv, const ply_Start *start)
{
    char text[32];
    int r = set(mpv, "force-media-title", start->title);
    snprintf(text, sizeof(text), "%.3f", (double)start->from_ms / 1000);
    if (r == 0 && start->from_ms > 0)
        r = set(mpv, "start", text);
    snprintf(text, sizeof(text), "%u", (unsigned)start->volume);
    if (r == 0 && start->volume != 100) /* else the samples stay as they are */
        r = set(mpv, "volume", text);
    return r;
}

/* Keys of the window, as `hearth play` has them at the terminal. */
int options_bind_keys(mpv_handle *mpv)
{
    static const struct setting keys[] = {
        { "SPACE", "cycle pause" },
        { "p", "cycle pause" },
        { "LEFT", "seek -10" },
        { "RIGHT", "seek 10" },
        { "DOWN", "seek -60" },
        { "UP", "seek 60" },
        { "-", "add volume -5" },
        { "+", "add volume 5" },
        { "f", "cycle fullscreen" },
        { "n", "script-message next" },
        { "b", "script-message previous" },
        { "q", "script-message stop" },
        { "CLOSE_WIN", "script-message stop" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const char *command[] = { "keybind", keys[i].name, keys[i].value, NULL };
        if (mpv_command(mpv, command) < 0)
            return -EINVAL;
    }
    return 0;
}

/* libmpv passes over named covers together with files it would find by itself; of these it looks for none, nor could it. */
static const struct setting beside[] = {
    { "autoload-files", "yes" },
    { "cover-art-auto", "no" },
    { "sub-auto", "no" },
    { "audio-file-auto", "no" },
    { "audio-display", "external-first" },
};

/* As a list: in a text, the colon of the name would part it in two. */
static int set_cover(mpv_handle *mpv)
{
    char uri[] = OPTIONS_COVER_URI;
    mpv_node file = { .format = MPV_FORMAT_STRING, .u.string = uri };
    mpv_node_list list = { .num = 1, .values = &file };
    mpv_node files = { .format = MPV_FORMAT_NODE_ARRAY, .u.list = &list };
    int r = set_all(mpv, beside, ARRAY_COUNT(beside));
    return r == 0 && mpv_set_option(mpv, "cover-art-files", MPV_FORMAT_NODE, &files) < 0 ? -EINVAL : r;
}

int options_set(mpv_handle *mpv, const ply_Start *start, bool cover, int samples_fd)
{
    int r = options_set_common(mpv);
    if (r == 0)
        r = set_output(mpv, start, samples_fd);
    if (r == 0)
        r = set_start(mpv, start);
    if (r == 0 && options_window(start, cover))
        r = set_window(mpv, start);
    return r == 0 && cover ? set_cover(mpv) : r;
}
