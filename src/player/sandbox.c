/* Entering the player's sandbox. Its libraries are loaded by then. */
#define LOG_MODULE "sandbox"
#include "player/sandbox.h"

#include <limits.h>
#include <stdlib.h>

#include "base/confine.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"

/* Configuration, plug-ins and devices of ALSA, PulseAudio and PipeWire. */
static const struct confine_path sound[] = {
    { "/usr/lib", false },
    { "/usr/share/alsa", false },
    { "/usr/share/pipewire", false },
    { "/etc/alsa", false },
    { "/etc/asound.conf", false },
    { "/etc/pulse", false },
    { "/etc/pipewire", false },
    { "/etc/machine-id", false },
    { "/etc/ld.so.cache", false },
    { "/etc/nsswitch.conf", false },
    { "/etc/passwd", false },
    { "/proc/asound", false },
    { "/sys/class/sound", false },
    { "/dev/snd", true },
    { "/dev/null", true },
    { "/dev/shm", true },
};
static const char *const in_home[] = { ".config/pulse", ".config/pipewire", ".pulse-cookie", ".asoundrc" };

/* Locales and keyboards of X11 and Wayland, and the pictures of the pointer. The sockets are reached without a rule: Landlock knows none for them. */
static const struct confine_path window[] = {
    { "/usr/lib", false },         { "/usr/share/X11", false }, { "/usr/share/icons", false },
    { "/etc/ld.so.cache", false }, { "/dev/null", true },
};

#define PATHS_MAX (ARRAY_COUNT(sound) + ARRAY_COUNT(in_home) + ARRAY_COUNT(window) + 2)

struct allowed {
    struct confine_path paths[PATHS_MAX];
    size_t count;
    char names[ARRAY_COUNT(in_home)][PATH_MAX];
};

static void allow(struct allowed *a, const struct confine_path *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        a->paths[a->count++] = paths[i];
}

static void allow_sound(struct allowed *a)
{
    const char *home = getenv("HOME"), *runtime = getenv("XDG_RUNTIME_DIR");
    allow(a, sound, ARRAY_COUNT(sound));
    for (size_t i = 0; home && i < ARRAY_COUNT(in_home); i++)
        if (file_join(a->names[i], sizeof(a->names[i]), home, in_home[i]) == 0)
            a->paths[a->count++] = (struct confine_path){ a->names[i], false };
    if (runtime)
        a->paths[a->count++] = (struct confine_path){ runtime, false };
}

static int confine(const struct sandbox *needs)
{
    struct allowed *a CLEANUP(freep) = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    if (needs->sound)
        allow_sound(a);
    if (needs->window)
        allow(a, window, ARRAY_COUNT(window));
    if (needs->window && needs->authority)
        a->paths[a->count++] = (struct confine_path){ needs->authority, false };
    return confine_files(a->paths, a->count);
}

int sandbox_enter(const struct sandbox *needs)
{
    int r = confine(needs);
    if (r < 0)
        return r;
    if (r == CONFINE_UNAVAILABLE)
        log_warn("this kernel has no Landlock: the file system is not closed off");
    r = sandbox_filter_calls(needs->sound || needs->window);
    if (r == SANDBOX_NO_FILTER)
        log_warn("built without libseccomp: system calls are not filtered");
    return r > 0 ? 0 : r;
}
